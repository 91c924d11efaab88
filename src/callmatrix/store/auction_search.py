"""Finds auctions for people, newest first, a page at a time; and reads one with its pings and posts."""

from datetime import datetime
from typing import Any, Final

import msgspec

from callmatrix.core.ids import AccountId
from callmatrix.store.call_search import Place
from callmatrix.store.db import Row, Transaction

MAX_PAGE: Final = 200
MAX_PINGS: Final = 1_000
MAX_POSTS: Final = 200
BID: Final = "bid"
"""Among the codes of why there is no bid: there is one."""

_COLUMNS: Final = (
    "id, channel, lead_id, campaign_id, plan_version, round, at, deadline_ms, spent_ms, pings, bids,"
    " simulated, test"
)
# Who got the lead is the lead's own to say, whatever its channel.
_WINNER: Final = (
    " left join call c on c.account_id = a.account_id and c.id = a.lead_id"
    " left join lead l on l.account_id = a.account_id and l.id = a.lead_id"
    " left join ping w on w.account_id = a.account_id and w.auction_id = a.id"
    " and w.offer_id = coalesce(c.offer_id, l.offer_id) and w.code = '' and not a.simulated"
)


class AuctionFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What auctions to find; None asks nothing. `since <= at < until`. `offer_id`, `buyer_id` and `code` (of
    why there is no bid, or `bid`) are met by one and the same ping."""

    since: datetime | None = None
    until: datetime | None = None
    campaign_id: str | None = None
    lead_id: str | None = None
    channel: str | None = None
    simulated: bool | None = None
    test: bool | None = None
    offer_id: str | None = None
    buyer_id: str | None = None
    code: str | None = None


async def search(
    tx: Transaction, account_id: AccountId, wanted: AuctionFilter, *, after: Place | None, limit: int
) -> list[Row]:
    """At most `limit` auctions, newest first, older than `after`; with the offer that got the lead by its
    bid, its buyer and that bid."""
    conditions, values = _where(account_id, wanted)
    if after is not None:
        values += [after.at, after.id]
        conditions.append(f"(at, id) < (${len(values) - 1}, ${len(values)})")
    values.append(min(limit, MAX_PAGE))
    rows: list[Row] = await tx.fetch(
        "select a.*, w.offer_id as winner_offer_id, w.buyer_id as winner_buyer_id, w.amount_micros from"
        f" (select account_id, {_COLUMNS} from auction where {' and '.join(conditions)}"
        f" order by at desc, id desc limit ${len(values)}) a{_WINNER} order by a.at desc, a.id desc",
        *values,
    )
    return rows


async def one(tx: Transaction, account_id: AccountId, auction_id: str) -> Row | None:
    """One auction as lists show it."""
    return await tx.fetchrow(
        "select a.*, w.offer_id as winner_offer_id, w.buyer_id as winner_buyer_id, w.amount_micros from"
        f" (select account_id, {_COLUMNS} from auction where account_id = $1 and id = $2) a{_WINNER}",
        account_id,
        auction_id,
    )


async def pings_of(
    tx: Transaction, account_id: AccountId, auction_id: str, *, buyer_id: str | None = None
) -> list[Row]:
    """The pings of an auction with their bodies, the best bid first, then by offer; of one buyer alone
    where it is named. `rank` is among all bids."""
    rows: list[Row] = await tx.fetch(
        "select * from (select p.*, b.request, b.reply,"
        " case when p.code = '' then rank() over (order by p.rank_by_micros desc nulls last) end as rank"
        " from ping p left join ping_body b on b.account_id = p.account_id and b.auction_id = p.auction_id"
        " and b.offer_id = p.offer_id where p.account_id = $1 and p.auction_id = $2) t"
        " where $3::text is null or buyer_id = $3"
        f" order by rank nulls last, offer_id limit {MAX_PINGS}",
        account_id,
        auction_id,
        buyer_id,
    )
    return rows


async def posts_of(
    tx: Transaction, account_id: AccountId, lead_id: str, *, buyer_id: str | None = None
) -> list[Row]:
    """Each time that a winner was told of a lead, in order; of one buyer alone where it is named."""
    rows: list[Row] = await tx.fetch(
        "select * from post where account_id = $1 and lead_id = $2 and ($3::text is null or buyer_id = $3)"
        f" order by at, id limit {MAX_POSTS}",
        account_id,
        lead_id,
        buyer_id,
    )
    return rows


def _where(account_id: AccountId, wanted: AuctionFilter) -> tuple[list[str], list[Any]]:
    conditions, values = ["account_id = $1"], [account_id]

    def bound(value: Any) -> str:
        values.append(value)
        return f"${len(values)}"

    for name in ("campaign_id", "lead_id", "channel", "simulated", "test"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(f"{name} = {bound(value)}")
    if wanted.since is not None:
        conditions.append(f"at >= {bound(wanted.since)}")
    if wanted.until is not None:
        conditions.append(f"at < {bound(wanted.until)}")
    met = [
        f"p.{name} = {bound(value)}"
        for name in ("offer_id", "buyer_id")
        if (value := getattr(wanted, name)) is not None
    ]
    if wanted.code is not None:
        met.append(f"p.code = {bound('' if wanted.code == BID else wanted.code)}")
    if met:
        pinged = "select from ping p where p.account_id = $1 and p.auction_id = auction.id"
        conditions.append(f"exists ({pinged} and {' and '.join(met)})")
    return conditions, values
