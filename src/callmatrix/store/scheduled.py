"""Keeps changes that start at an instant to come, and makes them when it has come (rule 3)."""

from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from callmatrix.core.documents import encode, from_plain, to_plain
from callmatrix.core.errors import Problem, Refused
from callmatrix.core.ids import AccountId
from callmatrix.store import audit, catalog, soundness
from callmatrix.store.audit import Act, By
from callmatrix.store.db import Row, Transaction
from callmatrix.store.kinds import TYPES, Config, Kind, T, kind_of, read, status_of

MAX_DUE: Final = 100
MAX_WAITING: Final = 100
MAX_REASON: Final = 500
MAX_DEPTH: Final = 20
_GONE: Final = object()


class Scheduled(msgspec.Struct, frozen=True, kw_only=True):
    """One change to come, or that came. What will change is what differs between `document` and the
    revision `base_revision`; what others changed meanwhile stays. `reason` says why it `failed`."""

    id: str
    kind: Kind
    config_id: str
    base_revision: int
    document: Config
    starts_at: datetime
    state: Literal["waiting", "applied", "canceled", "failed"]
    reason: str
    scheduled_by: str
    scheduled_at: datetime
    note: str


async def schedule(
    tx: Transaction, account_id: AccountId, document: T, *, id: str, starts_at: datetime, by: By
) -> Scheduled:
    """Make this change at `starts_at`. `Refused("invalid")` for what could not be saved today, or an instant
    that is over; `Refused("conflict")` for more than `MAX_WAITING` changes of one document."""
    await catalog.lock(tx, account_id)
    if starts_at <= by.at:
        over = Problem(field="starts_at", problem="This instant is over", remedy="Choose a later one")
        raise Refused("invalid", "The change cannot be scheduled so", (over,))
    base = await catalog.get(tx, account_id, type(document), document.id)
    if base.archived or status_of(document) == "archived":
        raise Refused("conflict", f"{document.id} is archived: restore it first")
    await soundness.check(tx, account_id, document, now=by.at)
    waiting = await of(tx, account_id, type(document), document.id)
    if len(waiting) >= MAX_WAITING:
        raise Refused("conflict", f"{document.id} has {MAX_WAITING} scheduled changes already: cancel some")
    row = await tx.fetchrow(
        "insert into config_scheduled (account_id, id, kind, config_id, base_revision, document, starts_at,"
        " note, scheduled_by, scheduled_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning *",
        account_id,
        id,
        kind_of(document),
        document.id,
        base.revision,
        encode(document),
        starts_at,
        by.note[: audit.MAX_NOTE],
        by.who,
        by.at,
    )
    assert row is not None
    await audit.record(tx, account_id, _act("schedule", row), by=by)
    return _scheduled(row)


async def cancel(tx: Transaction, account_id: AccountId, scheduled_id: str, *, by: By) -> None:
    """Let it be. `Refused("not_found")` where there is no such change waiting."""
    await catalog.lock(tx, account_id)
    row = await tx.fetchrow(
        "update config_scheduled set state = 'canceled', ended_at = $3 where account_id = $1 and id = $2"
        " and state = 'waiting' returning *",
        account_id,
        scheduled_id,
        by.at,
    )
    if row is None:
        raise Refused("not_found", f"There is no scheduled change {scheduled_id} waiting")
    await audit.record(tx, account_id, _act("cancel", row), by=by)


async def find(tx: Transaction, account_id: AccountId, scheduled_id: str) -> Scheduled | None:
    """One change to come, or that came; None where there is none."""
    row = await tx.fetchrow(
        "select * from config_scheduled where account_id = $1 and id = $2", account_id, scheduled_id
    )
    return None if row is None else _scheduled(row)


async def of(
    tx: Transaction, account_id: AccountId, kind: type[T], config_id: str, *, waiting: bool = True
) -> tuple[Scheduled, ...]:
    """A document's changes to come, the next one first; or with `waiting` off its past ones too."""
    rows = await tx.fetch(
        "select * from config_scheduled where account_id = $1 and kind = $2 and config_id = $3"
        " and (state = 'waiting' or not $4) order by starts_at, id limit $5",
        account_id,
        kind_of(kind),
        config_id,
        waiting,
        MAX_WAITING,
    )
    return tuple(_scheduled(row) for row in rows)


async def apply_due(tx: Transaction, *, now: datetime) -> int:
    """Make the changes whose instant has come, at most `MAX_DUE`, each whole or not at all; how many were
    looked at. One that is refused ends as `failed`, with the reason, and the document stays as it is."""
    rows = await tx.fetch(
        "select account_id, id from config_scheduled where state = 'waiting' and starts_at <= $1"
        " order by account_id, starts_at, id limit $2",
        now,
        MAX_DUE,
    )
    for due in rows:
        await catalog.lock(tx, due["account_id"])
        row = await tx.fetchrow(
            "select * from config_scheduled where account_id = $1 and id = $2 and state = 'waiting'",
            due["account_id"],
            due["id"],
        )
        if row is not None:
            await _apply(tx, row, now=now)
    return len(rows)


def merged(base: Any, wanted: Any, current: Any, *, depth: int = 0) -> Any:
    """Plain values: `current` with what differs between `base` and `wanted`. Objects are merged by field;
    lists and everything else are taken whole."""
    if wanted == base:
        return current
    plain = all(isinstance(one, dict) for one in (base, wanted, current))
    if not plain or depth >= MAX_DEPTH or len({one.get("kind") for one in (base, wanted, current)}) > 1:
        return wanted
    fields = {
        name: merged(
            base.get(name, _GONE), wanted.get(name, _GONE), current.get(name, _GONE), depth=depth + 1
        )
        for name in (*current, *(name for name in wanted if name not in current))
    }
    return {name: value for name, value in fields.items() if value is not _GONE}


async def _apply(tx: Transaction, row: Row, *, now: datetime) -> None:
    account_id: AccountId = row["account_id"]
    by = By(who=row["scheduled_by"], at=now, note=row["note"])
    state, reason = "applied", ""
    try:
        async with tx.transaction():
            await _change(tx, account_id, row, TYPES[row["kind"]], by=by)
    except (Refused, msgspec.ValidationError) as refused:
        state, reason = "failed", _told(refused)
        await audit.record(tx, account_id, _act("schedule_failed", row, reason=reason), by=by)
    await tx.execute(
        "update config_scheduled set state = $3, reason = $4, ended_at = $5"
        " where account_id = $1 and id = $2",
        account_id,
        row["id"],
        state,
        reason,
        now,
    )


async def _change(tx: Transaction, account_id: AccountId, row: Row, kind: type[T], *, by: By) -> None:
    before = await catalog.get(tx, account_id, kind, row["config_id"])
    base = await catalog.at_revision(tx, account_id, kind, row["config_id"], row["base_revision"])
    wanted = read(row["document"], kind)
    plain = merged(to_plain(base), to_plain(wanted), to_plain(before.document))
    await catalog.change(tx, account_id, from_plain(plain, kind), by=by, what="schedule")


def _told(refused: Refused | msgspec.ValidationError) -> str:
    problems = refused.problems if isinstance(refused, Refused) else ()
    named = "; ".join(f"{one.field}: {one.problem}" for one in problems)
    return (f"{refused}: {named}" if named else str(refused))[:MAX_REASON]


def _act(what: str, row: Row, *, reason: str = "") -> Act:
    details = {"scheduled": row["id"], "starts_at": row["starts_at"].isoformat()}
    return Act(
        what=what,
        kind=row["kind"],
        target_id=row["config_id"],
        before_revision=row["base_revision"],
        details=details | ({"reason": reason} if reason else {}),
    )


def _scheduled(row: Row) -> Scheduled:
    return Scheduled(
        id=row["id"],
        kind=row["kind"],
        config_id=row["config_id"],
        base_revision=row["base_revision"],
        document=read(row["document"], TYPES[row["kind"]]),
        starts_at=row["starts_at"],
        state=row["state"],
        reason=row["reason"],
        scheduled_by=row["scheduled_by"],
        scheduled_at=row["scheduled_at"],
        note=row["note"],
    )
