"""Keeps what each owner allows and what is used of it: limits, statuses, windows and funds."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, assert_never

import msgspec

from callmatrix.core.caps import (
    CapRefusal,
    Limits,
    Metric,
    Owner,
    OwnerKind,
    Status,
    WhenCapped,
    Window,
    in_order,
    window_bounds,
)
from callmatrix.core.ids import AccountId, BuyerId
from callmatrix.core.money import Money
from callmatrix.store.db import Row, Transaction

MAX_OWNERS: Final = 10_000
"""How many owners one question may name."""
MAX_CAP_ROWS: Final = 1_000_000
"""How many rows one answer may have: every cap of an account with ten thousand offers and more."""

_MONEY_METRICS: Final = ("revenue", "payout")
# Each half has its own indexes.
_GRANTED: Final = """(
    select * from reservation where state = 'held'
    union all select * from reservation where state in ('settled', 'released', 'expired')
) granted"""


class CapUse(msgspec.Struct, frozen=True, kw_only=True):
    """One cap in its current window, in whole units or micros. `resets_at` is None for `total`."""

    owner: Owner
    metric: Metric
    window: Window
    limit: int
    used: int
    overage: int
    resets_at: datetime | None


class OwnerUse(msgspec.Struct, frozen=True, kw_only=True):
    """An owner's status, what it has in the air, and its caps in order of evaluation."""

    owner: Owner
    status: Status
    concurrency: int | None
    live: int
    spacing_s: int | None
    last_granted_at: datetime | None
    caps: tuple[CapUse, ...]


class Shut(msgspec.Struct, frozen=True, kw_only=True):
    """An owner that would refuse now, and the first reason. `until` is None where time alone opens nothing.

    A metric that not every claim needs (`conversion`, `paid`, `revenue`, `payout`) is named: the reader
    knows which claims need it.
    """

    owner: Owner
    code: CapRefusal
    metric: str
    until: datetime | None


def owner_key(owner: Owner) -> str:
    """An owner as the tables write it."""
    return f"{owner.kind}:{owner.id}"


def owner_of_key(key: str) -> Owner:
    """The owner that `owner_key` wrote."""
    kind, _, owner_id = key.partition(":")
    return Owner(kind=msgspec.convert(kind, OwnerKind), id=owner_id)


def told(metric: str, amount: int) -> str:
    """An amount of a metric as refusals and the API tell it: units, or a decimal string of money."""
    return str(Money(amount)) if metric in _MONEY_METRICS else str(amount)


async def set_limits(
    tx: Transaction,
    account_id: AccountId,
    owner: Owner,
    limits: Limits,
    *,
    time_zone: str,
    week_starts_on: int,
    now: datetime,
    when_capped: WhenCapped = "block",
) -> None:
    """Set or change an owner's limits; reservations of the account wait until the transaction ends.

    Lowering a limit below its use succeeds and refuses from now on (rule 12). A cap that is new, or whose
    window has new bounds, starts with what its owner reserved in the window before.
    """
    key = owner_key(owner)
    await _close_gate(tx, account_id)
    await _ensure_owner(tx, account_id, owner)
    caps = in_order(limits.caps)
    await tx.execute(
        """
        update cap_owner
        set concurrency = $3::integer, live_ceiling = case when $3::integer is null then null
                when concurrency = $3::integer then live_ceiling else greatest($3::integer, live) end,
            spacing_s = $4, time_zone = $5, week_starts_on = $6, when_capped = $7, cap_count = $8
        where account_id = $1 and owner = $2
        """,
        account_id,
        key,
        limits.concurrency,
        limits.spacing_s,
        time_zone,
        week_starts_on,
        when_capped,
        len(caps),
    )
    await tx.execute("delete from cap where account_id = $1 and owner = $2", account_id, key)
    await tx.executemany(
        "insert into cap (account_id, owner, metric, window_kind, limit_amount) values ($1, $2, $3, $4, $5)",
        [(account_id, key, metric, window, limit) for metric, window, limit in caps],
    )
    wanted = [
        (metric, window, *bounds, limit)
        for metric, window, limit in caps
        for bounds in _current_and_next(window, now=now, time_zone=time_zone, week_starts_on=week_starts_on)
    ]
    await _replace_windows(tx, account_id, owner, wanted, now=now)


async def set_status(tx: Transaction, account_id: AccountId, owner: Owner, status: Status) -> None:
    """Pause, close, block or open an owner; what it holds stays."""
    await _close_gate(tx, account_id)
    await _ensure_owner(tx, account_id, owner)
    await tx.execute(
        "update cap_owner set status = $3 where account_id = $1 and owner = $2",
        account_id,
        owner_key(owner),
        status,
    )


async def set_credit_limit(
    tx: Transaction, account_id: AccountId, buyer_id: BuyerId, credit_limit: Money
) -> None:
    """How far below zero a buyer's balance may go; lowering it below what is held only refuses."""
    await tx.execute(
        "insert into buyer_funds (account_id, buyer_id, credit_limit_micros) values ($1, $2, $3) "
        "on conflict (account_id, buyer_id) do update set credit_limit_micros = excluded.credit_limit_micros",
        account_id,
        buyer_id,
        credit_limit.micros,
    )


async def add_funds(tx: Transaction, account_id: AccountId, buyer_id: BuyerId, amount: Money) -> None:
    """A posting's effect on what a buyer has: a deposit is positive, a charge negative."""
    await tx.execute("select funds_add($1, $2, $3)", account_id, buyer_id, amount.micros)


async def materialise_windows(
    tx: Transaction, account_id: AccountId, *, now: datetime, owners: Sequence[Owner] | None = None
) -> int:
    """Write the rows of the windows around and after `now` that are missing; returns how many there were.

    To be run before windows begin (every few minutes); what it misses a reservation asks for.
    """
    await tx.execute("select pg_advisory_xact_lock(capacity_gate($1))", account_id)
    keys = None if owners is None else [owner_key(owner) for owner in owners[:MAX_OWNERS]]
    rows = await tx.fetch(
        "select c.owner, c.metric, c.window_kind, c.limit_amount, o.time_zone, o.week_starts_on "
        "from cap c join cap_owner o using (account_id, owner) "
        "where account_id = $1 and ($2::text[] is null or owner = any($2)) order by 1, 2, 3 limit $3",
        account_id,
        keys,
        MAX_CAP_ROWS,
    )
    wanted = [
        (row["owner"], row["metric"], row["window_kind"], *bounds, row["limit_amount"])
        for row in rows
        for bounds in _current_and_next(
            row["window_kind"], now=now, time_zone=row["time_zone"], week_starts_on=row["week_starts_on"]
        )
    ]
    written = await tx.fetch(
        """
        insert into cap_window
            (account_id, owner, metric, window_kind, starts_at, ends_at, limit_amount, ceiling)
        select $1, w.*, w.limit_amount
        from unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::bigint[])
            w(owner, metric, window_kind, starts_at, ends_at, limit_amount)
        on conflict do nothing returning 1
        """,
        account_id,
        *_columns(wanted, 6),
    )
    return len(written)


async def cap_use(
    tx: Transaction, account_id: AccountId, owners: Sequence[Owner], *, now: datetime
) -> tuple[OwnerUse, ...]:
    """What is used of each owner's limits at `now`; owners that never had any are left out."""
    keys = [owner_key(owner) for owner in owners[:MAX_OWNERS]]
    held = await tx.fetch(
        "select owner, status, concurrency, live, spacing_s, last_granted_at from cap_owner "
        "where account_id = $1 and owner = any($2) order by array_position($2, owner)",
        account_id,
        keys,
    )
    caps = await tx.fetch(
        "select c.owner, c.metric, c.window_kind, c.limit_amount, coalesce(w.used, 0) as used, "
        "coalesce(w.overage, 0) as overage, o.time_zone, o.week_starts_on "
        "from cap c join cap_owner o using (account_id, owner) "
        "left join cap_window w on w.account_id = c.account_id and w.owner = c.owner and w.metric = c.metric "
        "and w.window_kind = c.window_kind and w.starts_at <= $3 and w.ends_at > $3 "
        "where c.account_id = $1 and c.owner = any($2) order by c.owner, c.metric, c.window_kind",
        account_id,
        keys,
        now,
    )
    by_owner: dict[str, list[CapUse]] = {}
    for row in caps:
        by_owner.setdefault(row["owner"], []).append(_cap_use(row, now=now))
    return tuple(_owner_use(row, caps=by_owner.get(row["owner"], ())) for row in held)


async def near(
    tx: Transaction, account_id: AccountId, *, percent: int, now: datetime, limit: int
) -> tuple[Owner, ...]:
    """The owners with a cap of whose limit at least so much is used at `now`, the fullest first."""
    rows = await tx.fetch(
        "select owner from cap_window where account_id = $1 and starts_at <= $2 and ends_at > $2"
        " and used > 0 and used::numeric * 100 >= limit_amount::numeric * $3 group by owner"
        " order by max(case when limit_amount > 0 then used::numeric / limit_amount else 2 end) desc, owner"
        " limit $4",
        account_id,
        now,
        percent,
        limit,
    )
    return tuple(owner_of_key(row["owner"]) for row in rows)


async def open_state(tx: Transaction, account_id: AccountId, *, now: datetime) -> tuple[Shut, ...]:
    """Everybody who would refuse at `now`, for the masks of open offers: one query.

    A stale answer is caught by the reservation. Of an owner whose caps are full each full metric is told;
    a money cap or a buyer's funds count as full when nothing at all is left.
    """
    rows = await tx.fetch(
        """
        select owner, case when status <> 'open' then status
                when live >= concurrency then 'concurrency_full' else 'spacing' end as code, '' as metric,
            case when status = 'open' and (concurrency is null or live < concurrency)
                then last_granted_at + make_interval(secs => spacing_s) end as until
        from cap_owner
        where account_id = $1 and (status <> 'open' or live >= concurrency
            or $2 < last_granted_at + make_interval(secs => spacing_s))
        union all
        select w.owner, 'cap_full', w.metric,
            case when bool_or(w.window_kind = 'total') then null else max(w.ends_at) end
        from cap_window w
        where w.account_id = $1 and w.starts_at <= $2 and w.ends_at > $2 and w.used >= w.limit_amount
        group by w.owner, w.metric
        union all
        select 'buyer:' || buyer_id, 'no_funds', '', null from buyer_funds
        where account_id = $1 and balance_micros + credit_limit_micros - held_micros <= 0
        order by 1, 2, 3 limit $3
        """,
        account_id,
        now,
        MAX_CAP_ROWS,
    )
    return tuple(
        Shut(
            owner=owner_of_key(row["owner"]),
            code=row["code"],
            metric=row["metric"],
            until=row["until"],
        )
        for row in rows
    )


async def _close_gate(tx: Transaction, account_id: AccountId) -> None:
    await tx.execute("select pg_advisory_xact_lock(capacity_gate($1))", account_id)


async def _ensure_owner(tx: Transaction, account_id: AccountId, owner: Owner) -> None:
    key = owner_key(owner)
    condition, values = _reserved_by(owner)
    # Nothing is kept for owners without limits, so the row starts with what their reservations tell.
    await tx.execute(
        f"""
        insert into cap_owner (account_id, owner, time_zone, week_starts_on, live, last_granted_at)
        select $1, $2::text, 'UTC', 0, count(*) filter (where state = 'held'), max(reserved_at)
        from {_GRANTED}
        where account_id = $1{condition}
            and not exists (select from cap_owner where account_id = $1 and owner = $2)
        having not exists (select from cap_owner where account_id = $1 and owner = $2)
        """,
        account_id,
        key,
        *values,
    )


async def _replace_windows(
    tx: Transaction,
    account_id: AccountId,
    owner: Owner,
    wanted: list[tuple[Metric, Window, datetime, datetime, int]],
    *,
    now: datetime,
) -> None:
    """Bring the rows of present and coming windows to `wanted`; the past stays as it was."""
    key = owner_key(owner)
    columns = _columns(wanted, 5)
    bounds = "unnest($3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::bigint[]) "
    named = "n(metric, window_kind, starts_at, ends_at, limit_amount)"
    same = (
        "w.metric = n.metric and w.window_kind = n.window_kind and w.starts_at = n.starts_at "
        "and w.ends_at = n.ends_at"
    )
    await tx.execute(
        "delete from cap_window w where w.account_id = $1 and w.owner = $2 and w.ends_at > $8 "
        f"and not exists (select from {bounds}{named} where {same})",
        account_id,
        key,
        *columns,
        now,
    )
    await tx.execute(
        "update cap_window w set limit_amount = n.limit_amount, ceiling = greatest(n.limit_amount, w.used) "
        f"from {bounds}{named} where w.account_id = $1 and w.owner = $2 and {same} "
        "and w.limit_amount <> n.limit_amount",
        account_id,
        key,
        *columns,
    )
    condition, values = _reserved_by(owner, first=8)
    await tx.execute(
        f"""
        insert into cap_window
            (account_id, owner, metric, window_kind, starts_at, ends_at, limit_amount, used, ceiling)
        select $1, $2, n.*, u.used, greatest(n.limit_amount, u.used)
        from {bounds}{named}, lateral (
            select coalesce(sum(cap_amount(
                n.metric, 1, connects, conversions, paids, revenue_micros, payout_micros)), 0)::bigint
            from {_GRANTED}
            where account_id = $1 and reserved_at >= n.starts_at
                and reserved_at < n.ends_at{condition}
        ) u(used)
        where not exists (
            select from cap_window w where w.account_id = $1 and w.owner = $2 and {same})
        """,
        account_id,
        key,
        *columns,
        *values,
    )


def _reserved_by(owner: Owner, *, first: int = 3) -> tuple[str, tuple[str, ...]]:
    """The condition on reservations that an owner's limits meet, and its parameters from `$first` on."""
    one, _, campaign = owner.id.partition("/")
    in_campaign = f" and campaign_id = ${first + 1}"
    match owner.kind:
        case "account":
            return " and campaign_id is not null", ()
        case "campaign":
            return f" and campaign_id = ${first}", (owner.id,)
        case "publisher":
            return f" and publisher_id = ${first}", (owner.id,)
        case "publisher_in_campaign":
            return f" and publisher_id = ${first}{in_campaign}", (one, campaign)
        case "buyer":
            return f" and buyer_id = ${first}", (owner.id,)
        case "offer":
            return f" and offer_id = ${first}", (owner.id,)
        case "offer_in_campaign":
            return f" and offer_id = ${first}{in_campaign}", (one, campaign)
        case _ as never:
            assert_never(never)


def _current_and_next(
    window: Window, *, now: datetime, time_zone: str, week_starts_on: int
) -> tuple[tuple[datetime, datetime], ...]:
    current = window_bounds(window, at=now, time_zone=time_zone, week_starts_on=week_starts_on)
    if window == "total":
        return (current,)
    return current, window_bounds(window, at=current[1], time_zone=time_zone, week_starts_on=week_starts_on)


def _cap_use(row: Row, *, now: datetime) -> CapUse:
    window: Window = row["window_kind"]
    _, ends_at = window_bounds(
        window, at=now, time_zone=row["time_zone"], week_starts_on=row["week_starts_on"]
    )
    return CapUse(
        owner=owner_of_key(row["owner"]),
        metric=row["metric"],
        window=window,
        limit=row["limit_amount"],
        used=row["used"],
        overage=row["overage"],
        resets_at=None if window == "total" else ends_at,
    )


def _owner_use(row: Row, *, caps: Iterable[CapUse]) -> OwnerUse:
    return OwnerUse(
        owner=owner_of_key(row["owner"]),
        status=row["status"],
        concurrency=row["concurrency"],
        live=row["live"],
        spacing_s=row["spacing_s"],
        last_granted_at=row["last_granted_at"],
        caps=tuple(caps),
    )


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    return [[row[place] for row in rows] for place in range(width)]
