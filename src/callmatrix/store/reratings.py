"""Keeps re-ratings of many calls: the calls, the old and new amounts, and how far each has come."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from callmatrix.core.ids import AccountId, CallId
from callmatrix.core.money import Money
from callmatrix.store.db import Row, Transaction

MAX_CALLS: Final = 10_000
"""How many calls one re-rating may take."""


class NewAmounts(msgspec.Struct, frozen=True, kw_only=True):
    """One call's amounts as booked and as they would be."""

    call_id: CallId
    old_revenue: Money
    old_payout: Money
    new_revenue: Money
    new_payout: Money


class Rerating(msgspec.Struct, frozen=True, kw_only=True):
    """One re-rating and its progress: `done` of `total` calls are booked, `refused` could not be."""

    id: str
    reason: str
    asked_by: str
    asked_at: datetime
    total: int
    done: int
    refused: int


async def create(
    tx: Transaction,
    account_id: AccountId,
    *,
    id: str,
    reason: str,
    asked_by: str,
    asked_at: datetime,
    calls: Sequence[NewAmounts],
) -> None:
    """Keep a re-rating before the first of its calls is booked, so that a lost process can be followed."""
    await tx.execute(
        "insert into rerating (account_id, id, reason, asked_by, asked_at) values ($1, $2, $3, $4, $5)",
        account_id,
        id,
        reason,
        asked_by,
        asked_at,
    )
    await tx.execute(
        "insert into rerating_call (account_id, rerating_id, call_id, old_revenue_micros, old_payout_micros,"
        " new_revenue_micros, new_payout_micros) select $1, $2, c.* from unnest($3::text[], $4::bigint[],"
        " $5::bigint[], $6::bigint[], $7::bigint[]) as c",
        account_id,
        id,
        [one.call_id for one in calls],
        [one.old_revenue.micros for one in calls],
        [one.old_payout.micros for one in calls],
        [one.new_revenue.micros for one in calls],
        [one.new_payout.micros for one in calls],
    )


async def still_open(tx: Transaction, account_id: AccountId, id: str) -> tuple[NewAmounts, ...]:
    """The calls that are not booked yet."""
    rows = await tx.fetch(
        "select call_id, old_revenue_micros, old_payout_micros, new_revenue_micros, new_payout_micros"
        " from rerating_call where account_id = $1 and rerating_id = $2 and done_at is null"
        f" order by call_id limit {MAX_CALLS}",
        account_id,
        id,
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
    found = await _list(tx, account_id, "and r.id = $2", id, limit=1)
    return found[0] if found else None


async def latest(
    tx: Transaction, account_id: AccountId, *, after: str | None, limit: int
) -> tuple[Rerating, ...]:
    """Re-ratings, newest first (ids are ordered by time), older than `after`."""
    return await _list(tx, account_id, "and ($2::text is null or r.id < $2)", after, limit=limit)


async def _list(
    tx: Transaction, account_id: AccountId, condition: str, value: str | None, *, limit: int
) -> tuple[Rerating, ...]:
    rows = await tx.fetch(
        "select r.id, r.reason, r.asked_by, r.asked_at, count(c.call_id) as total,"
        " count(c.done_at) filter (where c.refusal = '') as done,"
        " count(c.done_at) filter (where c.refusal <> '') as refused from rerating r"
        " left join rerating_call c on c.account_id = r.account_id and c.rerating_id = r.id"
        f" where r.account_id = $1 {condition} group by r.account_id, r.id order by r.id desc limit $3",
        account_id,
        value,
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
