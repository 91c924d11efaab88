"""Retreaver RTB: a ping reserves, and the reservation names its own SIP address.

Source: learn.retreaver.com, "Working with the Retreaver Real-Time Bidding API".
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from callmatrix.core.auction import NoBid, Ping
from callmatrix.core.campaign import Bidder, RetreaverFormat
from callmatrix.dialects.bidders.asking import Asked, by_query
from callmatrix.dialects.bidders.authentication import Secrets, missing
from callmatrix.dialects.bidders.readings import Said, words
from callmatrix.dialects.bidders.trees import json_decoder, read_json

SECRET: Final = "token"
_RESERVED: Final = frozenset(("reserved", "confirmed"))
_OWN_NAMES: Final = frozenset(("key", "publisher_id", "caller_number", "caller_zip", "caller_state"))
_FAILED: Final = b"FAILED"


class _Reply(msgspec.Struct, frozen=True, kw_only=True):
    uuid: Any = None
    status: Any = None
    retreaver_payout: Any = None
    retreaver_seconds: Any = None
    inbound_number: Any = None
    sip_address: Any = None
    expires_at: Any = None
    error: Any = None
    errors: Any = None
    message: Any = None


KNOWN: Final = frozenset(_Reply.__struct_fields__)
_REPLY: Final = json_decoder(_Reply)


def ask(ping: Ping, bidder: Bidder, secrets: Secrets) -> Asked | NoBid:
    """A request whose query carries the postback key, the publisher, the caller's place, shared fields."""
    assert isinstance(bidder.format, RetreaverFormat)
    key = secrets.get(SECRET, "")
    if not key:
        return missing(SECRET)
    pairs = _pairs(ping, key, bidder.format.publisher_id)
    return by_query(bidder.ping_url, pairs, method=bidder.method)


def _pairs(ping: Ping, key: str, publisher_id: str) -> Iterator[tuple[str, str]]:
    own = (
        ("key", key),
        ("publisher_id", publisher_id),
        ("caller_number", ping.number or ""),
        ("caller_zip", ping.zip or ""),
        ("caller_state", ping.state or ""),
    )
    for name, value in own:
        if value:
            yield name, value
    for name, value in ping.fields.items():
        if value and name.lower() not in _OWN_NAMES:
            yield name, value


def read(body: bytes, bidder: Bidder) -> Said | NoBid:
    """A reservation, `reserved` or `confirmed`; any other status is a no.

    Without the caller's number a fixed inbound number cannot tell whose call arrives: the reservation's own
    SIP address then goes first.
    """
    if body.lstrip().startswith(_FAILED):
        return NoBid(code="no_bid", detail=words(body.decode(errors="replace")))
    reply: _Reply = read_json(body, _REPLY)
    status = words(reply.status).lower()
    if status not in _RESERVED:
        reasons = (reply.error, reply.errors, reply.message)
        said = [words(reply.status), *(words(one) for one in reasons if one is not None)]
        return NoBid(code="no_bid", detail=words(": ".join(one for one in said if one) or "no status"))
    return Said(
        amount=reply.retreaver_payout,
        bid_id=reply.uuid,
        expires_at=reply.expires_at,
        number=reply.inbound_number,
        sip=reply.sip_address,
        min_s=reply.retreaver_seconds,
        sip_first=not bidder.share_number,
    )
