"""Keeps re-ratings of many calls: which calls, the old and new amounts, and how far each has come."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from callmatrix.core.documents import decode, encode_text
from callmatrix.core.ids import AccountId, CallId
from callmatrix.core.money import Money
from callmatrix.store.call_search import CallFilter, Place
from callmatrix.store.db import Row, Transaction

MAX_OPEN: Final = 1_000
"""How many calls that are not booked yet are read at once."""


_PROGRESS: Final = (
    "select r.id, r.reason, r.asked_by, r.asked_at, r.looked_at, c.total, c.done, c.refused,"
    " r.looked_through and c.total = c.done + c.refused as complete from rerating r cross join lateral ("
    " select count(*) as total, count(done_at) filter (where refusal = '') as done,"
    " count(done_at) filter (where refusal <> '') as refused from rerating_call"
    " where account_id = r.account_id and rerating_id = r.id) c where r.account_id = $1"
)


class NewAmounts(msgspec.Struct, frozen=True, kw_only=True):
    """One call's amounts as booked and as they would be, before credits and claw-backs."""

    call_id: CallId
    old_revenue: Money
    old_payout: Money
    new_revenue: Money
    new_payout: Money


class Rerating(msgspec.Struct, frozen=True, kw_only=True):
    """One re-rating and its progress: of the calls `looked_at` so far, `total` differ; of those `done` are
    booked, and `refused` could not be. `complete`: nothing is left to do."""

    id: str
    reason: str
    asked_by: str
    asked_at: datetime
    looked_at: int
    total: int
    done: int
    refused: int
    complete: bool


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls a re-rating takes, and the last one that it has looked at, newest first."""

    wanted: CallFilter
    place: Place | None
    looked_through: bool


async def create(
    tx: Transaction,
    account_id: AccountId,
    *,
    id: str,
    wanted: CallFilter,
    reason: str,
    asked_by: str,
    asked_at: datetime,
) -> None:
    """Keep a re-rating before the first of its calls is looked at, so that a lost process can be followed."""
    await tx.execute(
        "insert into rerating (account_id, id, reason, asked_by, asked_at, wanted, looked_through)"
        " values ($1, $2, $3, $4, $5, $6, false)",
        account_id,
        id,
        reason,
        asked_by,
        asked_at,
        encode_text(wanted),
    )


async def search(tx: Transaction, account_id: AccountId, id: str) -> Search | None:
    """Which calls, and how far they were looked through."""
    row = await tx.fetchrow(
        "select wanted, place_at, place_id, looked_through from rerating where account_id = $1 and id = $2",
        account_id,
        id,
    )
    if row is None:
        return None
    at = row["place_at"]
    return Search(
        wanted=decode(row["wanted"], CallFilter),
        place=None if at is None else Place(at=at, id=row["place_id"]),
        looked_through=row["looked_through"],
    )


async def looked(
    tx: Transaction,
    account_id: AccountId,
    id: str,
    *,
    before: Place | None,
    after: Place | None,
    looked_at: int,
    changed: Sequence[NewAmounts],
) -> bool:
    """Keep what looking at the calls from `before` on found; `after` None: there are no more. False where
    somebody else has looked at them meanwhile, and nothing is kept."""
    moved = await tx.fetchval(
        "update rerating set looked_at = looked_at + $3, looked_through = $5, place_at = $4, place_id = $6"
        " where account_id = $1 and id = $2 and not looked_through"
        " and place_at is not distinct from $7 and place_id is not distinct from $8 returning 1",
        account_id,
        id,
        looked_at,
        None if after is None else after.at,
        after is None,
        None if after is None else after.id,
        None if before is None else before.at,
        None if before is None else before.id,
    )
    if moved is None:
        return False
    await tx.execute(
        "insert into rerating_call (account_id, rerating_id, call_id, old_revenue_micros, old_payout_micros,"
        " new_revenue_micros, new_payout_micros) select $1, $2, c.* from unnest($3::text[], $4::bigint[],"
        " $5::bigint[], $6::bigint[], $7::bigint[]) as c on conflict do nothing",
        account_id,
        id,
        [one.call_id for one in changed],
        [one.old_revenue.micros for one in changed],
        [one.old_payout.micros for one in changed],
        [one.new_revenue.micros for one in changed],
        [one.new_payout.micros for one in changed],
    )
    return True


async def still_open(
    tx: Transaction, account_id: AccountId, id: str, *, limit: int = MAX_OPEN
) -> tuple[NewAmounts, ...]:
    """Calls that are not booked yet, at most `limit`."""
    rows = await tx.fetch(
        "select call_id, old_revenue_micros, old_payout_micros, new_revenue_micros, new_payout_micros"
        " from rerating_call where account_id = $1 and rerating_id = $2 and done_at is null"
        " order by call_id limit $3",
        account_id,
        id,
        min(limit, MAX_OPEN),
    )
    return tuple(_amounts(row) for row in rows)


async def done(
    tx: Transaction, account_id: AccountId, id: str, call_id: CallId, *, at: datetime, refusal: str
) -> None:
    """One call is booked, or (`refusal`) cannot be."""
    await tx.execute(
        "update rerating_call set done_at = $4, refusal = $5"
        " where account_id = $1 and rerating_id = $2 and call_id = $3",
        account_id,
        id,
        call_id,
        at,
        refusal,
    )


async def get(tx: Transaction, account_id: AccountId, id: str) -> Rerating | None:
    """One re-rating."""
    rows = await tx.fetch(f"{_PROGRESS} and r.id = $2", account_id, id)
    return Rerating(**dict(rows[0])) if rows else None


async def latest(
    tx: Transaction, account_id: AccountId, *, after: tuple[datetime, str] | None, limit: int
) -> tuple[Rerating, ...]:
    """Re-ratings, newest first, older than `after` (the instant when it was asked for, and id)."""
    rows = await tx.fetch(
        f"{_PROGRESS} and ($2::timestamptz is null or (r.asked_at, r.id) < ($2, $3))"
        " order by r.asked_at desc, r.id desc limit $4",
        account_id,
        None if after is None else after[0],
        None if after is None else after[1],
        limit,
    )
    return tuple(Rerating(**dict(row)) for row in rows)


def _amounts(row: Row) -> NewAmounts:
    return NewAmounts(
        call_id=row["call_id"],
        old_revenue=Money(row["old_revenue_micros"]),
        old_payout=Money(row["old_payout_micros"]),
        new_revenue=Money(row["new_revenue_micros"]),
        new_payout=Money(row["new_payout_micros"]),
    )
