"""Keeps what every auction, ping and post came to: written in batches, kept for a while, and forgotten."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from callmatrix.core.auction import NoBidCode, PingResult
from callmatrix.core.campaign import Channel
from callmatrix.core.ids import AccountId, BuyerId, CampaignId, OfferId
from callmatrix.store.db import Transaction

MAX_DELETED: Final = 5_000


class AuctionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One round of pings. `lead_id` is the call's, form's or request's own id; `auction_id` names this round
    alone. `simulated`: it was held for the record, beside the call; `test`: by a test lead."""

    auction_id: str
    channel: Channel
    lead_id: str
    campaign_id: CampaignId
    plan_version: int
    round: int
    at: datetime
    deadline_ms: int
    spent_ms: int
    simulated: bool = False
    test: bool = False


class KeptPing(msgspec.Struct, frozen=True, kw_only=True):
    """One ping, fit to be kept. `request` and `reply` are None where bodies are not kept."""

    result: PingResult
    buyer_id: BuyerId
    at: datetime
    request: str | None
    reply: str | None


class KeptAuction(msgspec.Struct, frozen=True, kw_only=True):
    """An auction, fit to be kept."""

    account_id: AccountId
    auction: AuctionRecord
    pings: tuple[KeptPing, ...]


class KeptPost(msgspec.Struct, frozen=True, kw_only=True):
    """One try to tell a winner the lead, fit to be kept; `attempt` counts from 1. `code` is "" where it was
    taken; `reply` is None where bodies are not kept."""

    account_id: AccountId
    id: str
    offer_id: OfferId
    buyer_id: BuyerId
    campaign_id: CampaignId
    lead_id: str
    ping_id: str
    at: datetime
    attempt: int
    status: int
    code: NoBidCode | Literal[""]
    detail: str
    reference: str
    total_us: int
    reply: str | None


class BuyerCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the calls that were dialled to one buyer."""

    account_id: AccountId
    buyer_id: BuyerId
    calls: int
    connected: int
    converted: int


_AUCTIONS: Final = (
    "insert into auction (account_id, id, channel, lead_id, campaign_id, plan_version, round, at,"
    " deadline_ms, spent_ms, pings, bids, simulated, test)"
    " select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[],"
    " $7::integer[], $8::timestamptz[], $9::integer[], $10::integer[], $11::integer[], $12::integer[],"
    " $13::boolean[], $14::boolean[]) on conflict do nothing"
)
_PINGS: Final = (
    "insert into ping (account_id, auction_id, offer_id, ping_id, buyer_id, campaign_id, lead_id, at, status,"
    " code, detail, amount_micros, rank_by_micros, bid_id, expires_at, reused, connect_us, tls_us,"
    " first_byte_us, total_us, simulated, test)"
    " select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],"
    " $7::text[], $8::timestamptz[], $9::integer[], $10::text[], $11::text[], $12::bigint[], $13::bigint[],"
    " $14::text[], $15::timestamptz[], $16::boolean[], $17::integer[], $18::integer[], $19::integer[],"
    " $20::integer[], $21::boolean[], $22::boolean[]) on conflict do nothing"
)
_BODIES: Final = (
    "insert into ping_body (account_id, auction_id, offer_id, at, request, reply)"
    " select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[])"
    " on conflict do nothing"
)
_POSTS: Final = (
    "insert into post (account_id, id, offer_id, buyer_id, campaign_id, lead_id, ping_id, at, attempt,"
    " status, code, detail, reference, total_us, reply)"
    " select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],"
    " $7::text[], $8::timestamptz[], $9::integer[], $10::integer[], $11::text[], $12::text[], $13::text[],"
    " $14::integer[], $15::text[]) on conflict do nothing"
)


async def write(tx: Transaction, auctions: Sequence[KeptAuction], posts: Sequence[KeptPost]) -> None:
    """Keep them, of whichever accounts; those that are there already stay as they are."""
    if auctions:
        await tx.execute(_AUCTIONS, *_columns([_auction_row(one) for one in auctions]))
    if pings := [row for one in auctions for row in _ping_rows(one)]:
        await tx.execute(_PINGS, *_columns(pings))
    if bodies := [row for one in auctions for row in _body_rows(one)]:
        await tx.execute(_BODIES, *_columns(bodies))
    if posts:
        await tx.execute(_POSTS, *_columns([_post_row(one) for one in posts]))


async def forget(tx: Transaction, *, bodies_before: datetime, pings_before: datetime) -> None:
    """Delete bodies, and all else, from before these instants, at most `MAX_DELETED` of each."""
    await tx.execute(
        f"delete from ping_body where ctid in (select ctid from ping_body where at < $1 limit {MAX_DELETED})",
        max(bodies_before, pings_before),
    )
    await tx.execute(
        "update post set reply = null where ctid in (select ctid from post where at < $1"
        f" and reply is not null limit {MAX_DELETED})",
        bodies_before,
    )
    for table in ("ping", "auction", "post"):
        await tx.execute(
            f"delete from {table} where ctid in (select ctid from {table} where at < $1 limit {MAX_DELETED})",
            pings_before,
        )


_PERFORMANCES: Final = (
    "with bidding as (select account_id, id, document ->> 'buyer_id' as buyer_id from config"
    " where kind = 'offer' and not archived and jsonb_typeof(document -> 'bidder') = 'object'),"
    " dialled as (select distinct b.account_id, b.buyer_id, a.call_id from bidding b join attempt a"
    " on a.account_id = b.account_id and a.offer_id = b.id and a.reserved_at >= $1"
    " where a.dialled_at is not null)"
    " select d.account_id, d.buyer_id, count(*) as calls,"
    " count(*) filter (where c.connected_at is not null and c.buyer_id = d.buyer_id) as connected,"
    " count(*) filter (where c.converted_at is not null and c.buyer_id = d.buyer_id) as converted"
    " from dialled d join call c on c.account_id = d.account_id and c.id = d.call_id and not c.test"
    " group by 1, 2"
)


async def performances(tx: Transaction, *, since: datetime) -> tuple[BuyerCounts, ...]:
    """Of every buyer in every account that has a bidder: the calls dialled to it since then, test calls left
    out. Buyers without any are left out too."""
    rows = await tx.fetch(_PERFORMANCES, since)
    return tuple(
        BuyerCounts(
            account_id=row["account_id"],
            buyer_id=row["buyer_id"],
            calls=row["calls"],
            connected=row["connected"],
            converted=row["converted"],
        )
        for row in rows
    )


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _auction_row(kept: KeptAuction) -> tuple[object, ...]:
    one = kept.auction
    return (
        kept.account_id,
        one.auction_id,
        one.channel,
        one.lead_id,
        one.campaign_id,
        one.plan_version,
        one.round,
        one.at,
        one.deadline_ms,
        one.spent_ms,
        len(kept.pings),
        sum(1 for ping in kept.pings if ping.result.bid is not None),
        one.simulated,
        one.test,
    )


def _ping_rows(kept: KeptAuction) -> list[tuple[object, ...]]:
    auction = kept.auction
    rows: list[tuple[object, ...]] = []
    for one in kept.pings:
        result, bid = one.result, one.result.bid
        rows.append(
            (
                kept.account_id,
                auction.auction_id,
                result.offer_id,
                result.ping_id,
                one.buyer_id,
                auction.campaign_id,
                auction.lead_id,
                one.at,
                result.status,
                result.code,
                result.detail,
                None if bid is None else bid.amount.micros,
                None if bid is None else bid.ranked.micros,
                "" if bid is None else bid.bid_id,
                None if bid is None else bid.expires_at,
                result.reused,
                result.connect_us,
                result.tls_us,
                result.first_byte_us,
                result.total_us,
                auction.simulated,
                auction.test,
            )
        )
    return rows


def _body_rows(kept: KeptAuction) -> list[tuple[object, ...]]:
    return [
        (
            kept.account_id,
            kept.auction.auction_id,
            one.result.offer_id,
            one.at,
            one.request or "",
            one.reply or "",
        )
        for one in kept.pings
        if one.request is not None or one.reply is not None
    ]


def _post_row(one: KeptPost) -> tuple[object, ...]:
    return (
        one.account_id,
        one.id,
        one.offer_id,
        one.buyer_id,
        one.campaign_id,
        one.lead_id,
        one.ping_id,
        one.at,
        one.attempt,
        one.status,
        one.code,
        one.detail,
        one.reference,
        one.total_us,
        one.reply,
    )
