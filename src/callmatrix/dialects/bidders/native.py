"""Our own format, documented in docs/exchange.md: JSON with the names of `Ping` and `Post`."""

from datetime import datetime
from typing import Any

import msgspec

from callmatrix.core import documents
from callmatrix.core.auction import NoBid, Performance, Ping, Post
from callmatrix.core.campaign import Bidder
from callmatrix.core.money import Money
from callmatrix.dialects.bidders.asking import Asked, by_json
from callmatrix.dialects.bidders.authentication import Secrets
from callmatrix.dialects.bidders.postings import PostSaid
from callmatrix.dialects.bidders.readings import Said, Unreadable
from callmatrix.dialects.bidders.trees import json_decoder, read_json


class _Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    ping_id: str
    at: datetime
    deadline_ms: int
    channel: str
    vertical: str
    state: str | None = None
    zip: str | None = None
    area_code: str | None = None
    fields: dict[str, str] = {}
    attestation: str = ""
    source: str = ""
    performance: Performance | None = None
    number: str | None = None
    floor: Money | None = None
    test: bool = False


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    bid: Any = None
    currency: Any = None
    bid_id: Any = None
    expires_in_s: Any = None
    expires_at: Any = None
    phone_number: Any = None
    sip_address: Any = None
    min_s: Any = None
    duplicate_days: Any = None
    reason: Any = None


class _PostAnswer(msgspec.Struct, frozen=True, kw_only=True):
    accepted: Any = None
    phone_number: Any = None
    sip_address: Any = None
    reference: Any = None
    reason: Any = None


KNOWN = frozenset(_Answer.__struct_fields__)
_ANSWER = json_decoder(_Answer)
_POST_ANSWER = json_decoder(_PostAnswer)


def ask(ping: Ping, bidder: Bidder, secrets: Secrets) -> Asked:
    """A POST of the ping."""
    question = _Question(
        ping_id=ping.id,
        at=ping.at,
        deadline_ms=ping.deadline_ms,
        channel=ping.channel,
        vertical=ping.vertical,
        state=ping.state,
        zip=ping.zip,
        area_code=ping.area_code,
        fields=ping.fields,
        attestation=ping.attestation,
        source=ping.source,
        performance=ping.performance,
        number=ping.number,
        floor=ping.floor,
        test=ping.test,
    )
    return by_json(bidder.ping_url, documents.encode(question))


def read(body: bytes, bidder: Bidder) -> Said | NoBid:
    """`{"bid": "12.50", …}`; no bid is 0 or null, with a reason if there is one."""
    answer: _Answer = read_json(body, _ANSWER)
    return Said(
        amount=answer.bid,
        currency=answer.currency,
        bid_id=answer.bid_id,
        lasts_s=answer.expires_in_s,
        expires_at=answer.expires_at,
        number=answer.phone_number,
        sip=answer.sip_address,
        min_s=answer.min_s,
        duplicate_days=answer.duplicate_days,
        reason=answer.reason,
    )


def tell(post: Post, bidder: Bidder, secrets: Secrets) -> Asked | None:
    """A POST of the lead to the post URL; None where there is none."""
    if bidder.post_url is None:
        return None
    return by_json(bidder.post_url, documents.encode(post))


def heard(body: bytes, bidder: Bidder) -> PostSaid:
    """`{"accepted": true, …}`. No content is a yes."""
    if not body.strip():
        return PostSaid(accepted=True)
    answer: _PostAnswer = read_json(body, _POST_ANSWER)
    if type(answer.accepted) is not bool:
        raise Unreadable("The reply does not say accepted: true or false")
    return PostSaid(
        accepted=answer.accepted,
        number=answer.phone_number,
        sip=answer.sip_address,
        reference=answer.reference,
        reason=answer.reason,
    )
