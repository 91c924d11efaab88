"""Ringba RTB, as its publishers are told to ask and its partners' replies are published.

Source: support.ringba.com, "RTB publisher instructions" and "RTB error codes".
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from callmatrix.core import documents
from callmatrix.core.auction import NoBid, Ping
from callmatrix.core.campaign import Bidder, RingbaFormat
from callmatrix.dialects.bidders.asking import XML, Asked, by_json, by_query
from callmatrix.dialects.bidders.authentication import Secrets
from callmatrix.dialects.bidders.readings import ExpiryKind, Said, Unreadable, read_whole, words
from callmatrix.dialects.bidders.trees import (
    at_path,
    is_xml_name,
    json_decoder,
    read_json,
    read_xml,
    write_xml,
)

MAX_TERMS: Final = 20
MAX_WARNINGS: Final = 20
# The contract's own names, which no captured field may take.
_OWN_NAMES: Final = frozenset(("cid", "exposecallerid", "sipok"))
# A term's least duration, as public clients of the format call it.
_MIN_SECONDS: Final = frozenset(("callMinDuration", "minDuration", "minCallDuration"))


class _Reply(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    bid_amount: Any = None
    bid_id: Any = None
    expire_in_seconds: Any = None
    bid_expire_epoch: Any = None
    bid_expire_d_t: Any = msgspec.field(default=None, name="bidExpireDT")
    phone_number: Any = None
    phone_number_no_plus: Any = None
    sip_address: Any = None
    bid_terms: Any = None
    warnings: Any = None
    reject_reason: Any = None


KNOWN: Final = frozenset(one.encode_name for one in msgspec.structs.fields(_Reply))
_REPLY: Final = json_decoder(_Reply)


def ask(ping: Ping, bidder: Bidder, secrets: Secrets) -> Asked:
    """The bid request; `CID` where the ping has the number. Empty tags are left out: they are refused."""
    assert isinstance(bidder.format, RingbaFormat)
    pairs = dict(_tags(ping, bidder.format))
    if bidder.format.encoding == "query" or bidder.method == "GET":
        return by_query(bidder.ping_url, pairs.items(), method=bidder.method)
    if bidder.format.encoding == "json":
        return by_json(bidder.ping_url, documents.encode(pairs))
    body = write_xml("bid_request", {name: value for name, value in pairs.items() if is_xml_name(name)})
    return Asked(method="POST", url=bidder.ping_url, body=body, content_type=XML, accept=XML)


def _tags(ping: Ping, form: RingbaFormat) -> Iterator[tuple[str, str]]:
    for name, value in ping.fields.items():
        if value and name.lower() not in _OWN_NAMES:
            yield name, value
    if ping.number:
        yield "CID", ping.number.removeprefix("+")
        yield "exposeCallerId", "yes" if form.expose_caller_id else "no"
    if ping.zip:
        yield "zipcode", ping.zip
    if ping.state:
        yield "State", ping.state
    if ping.source:
        yield "SubID", ping.source
    if form.sip_ok:
        yield "sipOk", "yes"


def read(body: bytes, bidder: Bidder) -> Said | NoBid:
    """`{"bidAmount": 4.2, …}` or the same as XML; no bid is an amount of 0 with a `rejectReason`."""
    assert isinstance(bidder.format, RingbaFormat)
    reply = _parsed(body)
    expires_at, expires_as = reply.bid_expire_epoch, "epoch_ms"
    if expires_at is None:
        expires_at, expires_as = reply.bid_expire_d_t, "time"
    number = reply.phone_number
    if number is None and reply.phone_number_no_plus is not None:
        number = reply.phone_number_no_plus
    return Said(
        amount=reply.bid_amount,
        bid_id=reply.bid_id,
        lasts_s=reply.expire_in_seconds,
        expires_at=expires_at,
        expires_as=_KINDS[expires_as],
        number=number,
        sip=reply.sip_address,
        min_s=_least_seconds(reply.bid_terms),
        reason=reply.reject_reason,
        sip_first=bidder.format.sip_ok,
    )


_KINDS: Final[dict[str, ExpiryKind]] = {"epoch_ms": "epoch_ms", "time": "time"}


def _parsed(body: bytes) -> _Reply:
    if not body.lstrip().startswith(b"<"):
        return read_json(body, _REPLY)  # type: ignore[no-any-return]
    tree = read_xml(body)
    if isinstance(tree, str):
        raise Unreadable("The reply's root element is empty")
    return msgspec.convert({name: value for name, value in tree.items() if value != ""}, _Reply)


def _least_seconds(terms: object) -> int | None:
    """The longest of the least durations that the bid's terms name. Their shape is not published beyond
    the name: a list of objects, of which those are read that name a least duration."""
    found: int | None = None
    for term in _listed(terms, MAX_TERMS):
        if isinstance(term, dict):
            for name in _MIN_SECONDS:
                if term.get(name) is not None:
                    found = max(found or 0, read_whole(term[name], "the least seconds"))
    return found


def _listed(value: object, most: int) -> list[object]:
    if isinstance(value, list):
        return value[:most]
    if isinstance(value, dict) and len(value) == 1:  # XML wraps a list in an element of its own
        (inner,) = value.values()
        return inner[:most] if isinstance(inner, list) else [inner]
    return [] if value is None else [value]


def oddities(body: bytes, bidder: Bidder) -> Iterator[str]:
    """What the reply says beside the bid: warnings, and terms that are not read."""
    reply = _parsed(body)
    for warning in _listed(reply.warnings, MAX_WARNINGS):
        yield f"Warning {words(at_path(warning, 'code'))}: {words(at_path(warning, 'description'))}"
    terms = _listed(reply.bid_terms, MAX_TERMS)
    if terms and _least_seconds(reply.bid_terms) is None:
        yield f"The bid's terms are not read: {words(reply.bid_terms)}"
