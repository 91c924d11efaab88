"""The types of identifiers: prefixed, time-ordered text, one type per noun."""

from typing import Final, NewType

AccountId = NewType("AccountId", str)
UserId = NewType("UserId", str)
CampaignId = NewType("CampaignId", str)
BuyerId = NewType("BuyerId", str)
OfferId = NewType("OfferId", str)
PublisherId = NewType("PublisherId", str)
NumberId = NewType("NumberId", str)
FlowId = NewType("FlowId", str)
ConnectionId = NewType("ConnectionId", str)
CallId = NewType("CallId", str)
AttemptId = NewType("AttemptId", str)
LeadId = NewType("LeadId", str)
EndpointId = NewType("EndpointId", str)
BidId = NewType("BidId", str)

PREFIXES: Final[dict[str, str]] = {
    "account": "acc",
    "user": "usr",
    "campaign": "cmp",
    "buyer": "buy",
    "offer": "off",
    "publisher": "pub",
    "number": "num",
    "flow": "flw",
    "connection": "con",
    "call": "call",
    "attempt": "att",
    "lead": "lead",
    "endpoint": "rtb",
    "bid": "bid",
}


def attempt_id(call_id: CallId, number: int) -> AttemptId:
    """The id of a call's attempt: derived, so that a repeated step names the same attempt."""
    return AttemptId(f"{call_id}-{number}")
