"""TrackDrive ping and post: the ping lists buyers with their bids, the post commits one and names a number.

Source: TrackDrive, "Ping Post Integration" and "What is ping post and what do I give to a traffic source".
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from callmatrix.core import documents
from callmatrix.core.auction import NoBid, Ping, Post
from callmatrix.core.campaign import Bidder, TrackDriveFormat
from callmatrix.core.money import Money
from callmatrix.dialects.bidders.asking import Asked, by_json, by_query
from callmatrix.dialects.bidders.authentication import Secrets
from callmatrix.dialects.bidders.postings import PostSaid
from callmatrix.dialects.bidders.readings import Said, Unreadable, read_amount, read_id, words
from callmatrix.dialects.bidders.trees import at_path, json_decoder, read_json

MAX_BUYERS: Final = 500
_SUCCESS: Final = "success"
_PING_PATH: Final = "/inbound_webhooks/ping/"
_POST_PATH: Final = "/inbound_webhooks/post/"
_OWN_NAMES: Final = frozenset(("caller_id", "traffic_source_id", "zip", "state", "ping_id", "buyer_id"))
_BUYER: Final = "#"
"""Between a ping's id and its buyer's in our bid's id: the post needs both."""
# The number's name is not published: those that its kin use, beside and inside of what may wrap it.
_NUMBERS: Final = (
    *("number", "phone_number", "tracking_number", "inbound_number", "forwarding_number"),
    *("transfer_number", "destination_number", "did", "destination"),
)
_SIPS: Final = ("sip_address", "sip_uri", "sip")
_REFERENCES: Final = ("call_uuid", "uuid", "lead_id", "call_id", "id")
_REASONS: Final = ("errors", "error", "message", "reason")
_WRAPPERS: Final = ("", "buyer.", "buyers.0.", "call.", "lead.", "data.")


class _Reply(msgspec.Struct, frozen=True, kw_only=True):
    status: Any = None
    try_all_buyers_ping_id: Any = None
    buyers: Any = None
    errors: Any = None
    error: Any = None
    message: Any = None


KNOWN: Final = frozenset(_Reply.__struct_fields__)
_REPLY: Final = json_decoder(_Reply)


def ask(ping: Ping, bidder: Bidder, secrets: Secrets) -> Asked:
    """The ping, as JSON or in the query."""
    pairs = dict(_pairs(ping.fields, ping.number, ping.zip, ping.state, bidder))
    if bidder.method == "GET":
        return by_query(bidder.ping_url, pairs.items(), method="GET")
    return by_json(bidder.ping_url, documents.encode(pairs))


def _pairs(
    fields: dict[str, str], number: str | None, zip_code: str | None, state: str | None, bidder: Bidder
) -> Iterator[tuple[str, str]]:
    assert isinstance(bidder.format, TrackDriveFormat)
    own = (
        ("caller_id", (number or "").removeprefix("+")),
        ("traffic_source_id", bidder.format.traffic_source_id),
        ("zip", zip_code or ""),
        ("state", state or ""),
    )
    for name, value in own:
        if value:
            yield name, value
    for name, value in fields.items():
        if value and name.lower() not in _OWN_NAMES:
            yield name, value


def read(body: bytes, bidder: Bidder) -> Said | NoBid:
    """The best buyer's bid; no buyers are no bid. The number to dial comes with the post's reply."""
    reply: _Reply = read_json(body, _REPLY)
    if words(reply.status).lower() != _SUCCESS:
        return NoBid(code="no_bid", detail=_reason(reply.status, reply.errors, reply.error, reply.message))
    buyers = reply.buyers if reply.buyers is not None else []
    if not isinstance(buyers, list):
        raise Unreadable("buyers is not a list")
    best: dict[str, Any] | None = None
    most: Money | None = None
    for buyer in buyers[:MAX_BUYERS]:
        amount = _bid_of(buyer)
        if amount is not None and (most is None or amount > most):
            best, most = buyer, amount
    if best is None:
        if buyers:
            raise Unreadable("No buyer has both a bid and a ping_id")
        return NoBid(code="no_bid", detail="No buyers")
    buyer_id = best.get("buyer_id")
    bid_id = f"{read_id(best['ping_id'])}{_BUYER}{'' if buyer_id is None else read_id(buyer_id)}"
    return Said(amount=best["bid"], bid_id=bid_id)


def _bid_of(buyer: object) -> Money | None:
    if not isinstance(buyer, dict) or not isinstance(buyer.get("ping_id"), str | int):
        return None
    try:
        return read_amount(buyer.get("bid"))[0]
    except Unreadable:
        return None


def oddities(body: bytes, bidder: Bidder) -> Iterator[str]:
    """Buyers that are passed over, and what keeps the number from being known."""
    reply: _Reply = read_json(body, _REPLY)
    buyers = reply.buyers if isinstance(reply.buyers, list) else []
    for place, buyer in enumerate(buyers[:MAX_BUYERS]):
        if _bid_of(buyer) is None:
            yield f"buyers.{place} has no bid and ping_id that can be read, and is passed over"
    if len(buyers) > MAX_BUYERS:
        yield f"Of {len(buyers)} buyers only the first {MAX_BUYERS} are looked at"
    if buyers and bidder.destination != "offer" and bidder.post_timing != "before_dial":
        yield "The number to dial comes with the post's reply: post before_dial, or use the offer's"


def tell(post: Post, bidder: Bidder, secrets: Secrets) -> Asked | None:
    """The post that commits the bid. Without a post URL it is the ping's, `…/ping/…` as `…/post/…`."""
    url = bidder.post_url
    if url is None:
        if _PING_PATH not in bidder.ping_url:
            return None
        url = bidder.ping_url.replace(_PING_PATH, _POST_PATH, 1)
    ping_id, _, buyer_id = post.bid_id.rpartition(_BUYER)
    pairs: dict[str, str | int] = {"ping_id": ping_id or post.bid_id}
    if ping_id and buyer_id:
        pairs["buyer_id"] = int(buyer_id) if _is_whole(buyer_id) else buyer_id
    pairs.update(_pairs(post.fields, post.number, post.zip, post.state, bidder))
    if bidder.method == "GET":
        return by_query(url, ((name, str(value)) for name, value in pairs.items()), method="GET")
    return by_json(url, documents.encode(pairs))


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15 and str(int(text)) == text


def heard(body: bytes, bidder: Bidder) -> PostSaid:
    """`{"status": "success", …}` with the number to dial, under any of the names that are in use."""
    reply = read_json(body)
    if not isinstance(reply, dict):
        raise Unreadable("The reply is JSON, but not an object")
    return PostSaid(
        accepted=words(reply.get("status")).lower() == _SUCCESS,
        number=_first(reply, _NUMBERS),
        sip=_first(reply, _SIPS),
        reference=_first(reply, _REFERENCES),
        reason=_reason(reply.get("status"), *(reply.get(name) for name in _REASONS)),
    )


def _first(reply: dict[str, Any], names: tuple[str, ...]) -> object:
    for wrapper in _WRAPPERS:
        for name in names:
            value = at_path(reply, wrapper + name)
            if isinstance(value, str | int) and value != "":
                return value
    return None


def _reason(*said: object) -> str:
    return words(": ".join(text for one in said if (text := words(one))) or "no status")
