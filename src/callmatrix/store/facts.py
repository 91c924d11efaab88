"""Answers questions about many calls: sums by what calls have in common, over PostgreSQL's own rows.

Only what is named here can be asked; nothing of a question becomes SQL but by these tables. A call counts
in the time in which it arrived, and test calls count nowhere.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, get_args

import msgspec

from callmatrix.core.ids import AccountId
from callmatrix.store.db import Transaction

Dimension = Literal[
    "campaign_id",
    "publisher_id",
    "buyer_id",
    "offer_id",
    "number_id",
    "caller_state",
    "end_reason",
    "blocked",
    "disposition",
    "hour",
    "day",
    "month",
]
Metric = Literal[
    "received",
    "connected",
    "converted",
    "paid",
    "blocked",
    "bridged_ms",
    "revenue",
    "payout",
    "cost",
    "profit",
]

DIMENSIONS: Final[tuple[Dimension, ...]] = get_args(Dimension)
METRICS: Final[tuple[Metric, ...]] = get_args(Metric)
TIMES: Final[tuple[Dimension, ...]] = ("hour", "day", "month")
MONEY: Final[tuple[Metric, ...]] = ("revenue", "payout", "cost", "profit")
FILTERS: Final[tuple[Dimension, ...]] = (
    "campaign_id",
    "publisher_id",
    "buyer_id",
    "offer_id",
    "number_id",
    "caller_state",
)
MAX_DIMENSIONS: Final = 4
MAX_GROUPS: Final = 5_000

_SUMS: Final[dict[Metric, str]] = {
    "received": "count(*)",
    "connected": "count(connected_at)",
    "converted": "count(converted_at)",
    "paid": "count(paid_at)",
    "blocked": "count(*) filter (where blocked <> '')",
    "bridged_ms": "coalesce(sum(bridged_ms), 0)::bigint",
    "revenue": "coalesce(sum(revenue_micros), 0)::bigint",
    "payout": "coalesce(sum(payout_micros), 0)::bigint",
    "cost": "coalesce(sum(cost_micros), 0)::bigint",
    "profit": "coalesce(sum(revenue_micros - payout_micros - cost_micros), 0)::bigint",
}


class FactQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """`since <= arrived_at < until`; the times of `by` are those of `zone` (an IANA name). `where` must each
    hold; at most `limit` groups, in order of time where there is one in `by`, else of the first metric."""

    since: datetime
    until: datetime
    zone: str
    metrics: tuple[Metric, ...]
    by: tuple[Dimension, ...] = ()
    where: Mapping[Dimension, str] = {}
    limit: int = MAX_GROUPS


class FactGroup(msgspec.Struct, frozen=True, kw_only=True):
    """What the calls of one group have in common, and their sums: counts, or micros of money."""

    by: tuple[str | datetime | None, ...]
    sums: tuple[int, ...]


class FactAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The groups, the sums of all calls (of those in groups left out too), and how many groups there are."""

    groups: tuple[FactGroup, ...]
    total: tuple[int, ...]
    group_count: int


async def ask(tx: Transaction, account_id: AccountId, question: FactQuestion) -> FactAnswer:
    """The sums of the calls that a question is about; groups and total are of one moment."""
    query, values = statement(account_id, question)
    rows = await tx.fetch(query, *values)
    keys = [f"by_{name}" for name in question.by]
    sums = [f"sum_{name}" for name in question.metrics]
    told = [
        FactGroup(by=tuple(row[key] for key in keys), sums=tuple(row[key] for key in sums)) for row in rows
    ]
    # The total is the group of none of the dimensions; it comes first.
    total, groups = told[0], told[1:] if question.by else told
    return FactAnswer(
        groups=tuple(groups),
        total=total.sums,
        group_count=rows[0]["group_count"] - 1 if question.by else 1,
    )


def statement(account_id: AccountId, question: FactQuestion) -> tuple[str, list[Any]]:
    """The question as SQL and its values."""
    values: list[Any] = [account_id, question.since, question.until]
    conditions = ["account_id = $1", "not test", "arrived_at >= $2", "arrived_at < $3"]
    for name, value in question.where.items():
        assert name in FILTERS
        values.append(value)
        conditions.append(f"{name} = ${len(values)}")
    columns = []
    if any(name in TIMES for name in question.by):
        values.append(question.zone)
    zone_place = len(values)
    for name in question.by:
        told = f"date_trunc('{name}', arrived_at, ${zone_place})" if name in TIMES else name
        columns.append(f"{told} as by_{name}")
    sums = [f"{_SUMS[name]} as sum_{name}" for name in question.metrics]
    where = " and ".join(conditions)
    if not question.by:
        return f"select {', '.join(sums)}, 1 as group_count from call where {where}", values
    keys = [f"by_{name}" for name in question.by]
    values.append(min(question.limit, MAX_GROUPS) + 1)
    query = (
        f"select {', '.join([*keys, *sums])}, count(*) over () as group_count"
        f" from (select *, {', '.join(columns)} from call where {where}) c"
        f" group by grouping sets (({', '.join(keys)}), ())"
        f" order by grouping({keys[0]}) desc, {_order(question, keys)} limit ${len(values)}"
    )
    return query, values


def _order(question: FactQuestion, keys: Sequence[str]) -> str:
    """Times as they passed; else the greatest first; then by name, so that the order is always the same."""
    times = [f"by_{name}" for name in question.by if name in TIMES]
    greatest = [] if times else [f"sum_{question.metrics[0]} desc"]
    return ", ".join([*times, *greatest, *(key for key in keys if key not in times)])
