"""Why a request gets no bid: our codes, and the numbers and names by which sellers' systems know them."""

from typing import Final, Literal

import msgspec

from callmatrix.core.ids import BidId

RtbCode = Literal[
    "disabled",
    "campaign_not_live",
    "publisher_paused",
    "field_missing",
    "below_min_bid",
    "below_floor",
    "no_capacity",
    "too_many_open_bids",
    "no_number",
    "caller_invalid",
    "caller_blocked",
    "duplicate",
    "no_match",
    "no_bid",
    "not_reserved",
    "closed",
    "capped",
    "rate_limited",
    "overloaded",
    "caller_required",
]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One code as it is told: `number` and `name` are those of Ringba's RTB error codes."""

    number: int
    name: str
    when: str


class RtbRefused(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """No bid, and why. `detail` is for us, never for the seller: it may name offers and amounts. `bid_id` is
    what the refusal is kept by, once it is."""

    code: RtbCode
    detail: str = ""
    bid_id: BidId = BidId("")


REPEATED: Final = 230
"""The warning that a bid is the one given before for the same request."""

# docs/exchange.md has the same table.
REFUSALS: Final[dict[RtbCode, Refusal]] = {
    "disabled": Refusal(number=1001, name="Disabled", when="The endpoint is paused"),
    "campaign_not_live": Refusal(number=1001, name="Disabled", when="Its campaign is not live"),
    "publisher_paused": Refusal(number=1001, name="Disabled", when="The publisher is paused"),
    "field_missing": Refusal(
        number=1002, name="Initial tag filter", when="A required field is missing or empty"
    ),
    "below_min_bid": Refusal(
        number=1003, name="No capacity", when="The bid would be under the endpoint's least"
    ),
    "below_floor": Refusal(number=1003, name="No capacity", when="The bid is under the floor of the request"),
    "no_capacity": Refusal(
        number=1003, name="No capacity", when="Offers that match are closed, paused, full or without funds"
    ),
    "too_many_open_bids": Refusal(
        number=1003, name="No capacity", when="The endpoint has as many open bids as it may have"
    ),
    "no_number": Refusal(
        number=1003, name="No capacity", when="No caller was named, and every number waits for such a call"
    ),
    "caller_invalid": Refusal(number=1004, name="Caller ID", when="The caller's number is no number"),
    "caller_blocked": Refusal(number=1004, name="Caller ID", when="The caller is on the block list"),
    "duplicate": Refusal(number=1004, name="Caller ID", when="The caller was there before"),
    "no_match": Refusal(
        number=1006, name="Final capacity check", when="No offer's rules or required fields let the call pass"
    ),
    "no_bid": Refusal(number=1006, name="Final capacity check", when="No bidder of ours bid for the call"),
    "not_reserved": Refusal(
        number=1006, name="Final capacity check", when="The capacity was taken while it was to be reserved"
    ),
    "closed": Refusal(number=1007, name="Closed or capped", when="The campaign is outside its hours"),
    "capped": Refusal(number=1007, name="Closed or capped", when="The publisher has used up a cap"),
    "rate_limited": Refusal(
        number=1024,
        name="Rate-limited",
        when="The endpoint's requests of the minute, hour or day are used up",
    ),
    "overloaded": Refusal(
        number=1025, name="Rate-limited", when="Too many requests are being answered at once"
    ),
    "caller_required": Refusal(
        number=1100, name="Caller ID verification", when="The caller's number is required, and missing"
    ),
}
