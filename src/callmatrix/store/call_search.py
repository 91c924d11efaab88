"""Finds calls for people: by what is known of them, newest first, a page at a time; and reads one whole."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from callmatrix.core.call.draft import StepTrace
from callmatrix.core.call.events import Event
from callmatrix.core.documents import decode, encode_text
from callmatrix.core.ids import AccountId, CallId
from callmatrix.store.db import Row, Transaction

MAX_PAGE: Final = 200
MAX_EXPORTED: Final = 100_000
MAX_EVENTS: Final = 2_000
EXPORT_PAGE: Final = 2_000

CallStatus = Literal[
    "live", "ended", "connected", "not_connected", "converted", "paid", "blocked", "review", "unsettled"
]

_CONDITIONS: Final[dict[str, str]] = {
    "live": "state <> 'ended'",
    "ended": "state = 'ended'",
    "connected": "connected_at is not null",
    "not_connected": "connected_at is null and state = 'ended'",
    "converted": "converted_at is not null",
    "paid": "paid_at is not null",
    "blocked": "blocked <> ''",
    "review": "review <> ''",
    "unsettled": "not closed",
}
COLUMNS: Final = (
    "id, state, test, campaign_id, number_id, dialed, caller, caller_state, publisher_id, buyer_id, offer_id,"
    " arrived_at, connected_at, converted_at, paid_at, ended_at, duration_ms, bridged_ms, revenue_micros,"
    " payout_micros, cost_micros, blocked, end_reason, review, disposition, tags,"
    # Since when the leg that is up is answered; of calls in the air only, so that long lists ask no more.
    " case when state <> 'ended' then (select max(a.answered_at) from attempt a"
    " where a.account_id = call.account_id and a.call_id = call.id and a.ended_at is null) end"
    " as answered_at"
)


class CallFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What calls to find; None asks nothing. `since <= arrived_at < until`; `tag` is `key` or `key=value`."""

    since: datetime | None = None
    until: datetime | None = None
    campaign_id: str | None = None
    buyer_id: str | None = None
    publisher_id: str | None = None
    offer_id: str | None = None
    caller: str | None = None
    status: CallStatus | None = None
    tag: str | None = None
    end_reason: str | None = None
    test: bool | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page of a list ended: the next one is older."""

    at: datetime
    id: str


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a call with the trace of its step."""

    version: int
    at: datetime
    event: Event
    trace: StepTrace


async def search(
    tx: Transaction, account_id: AccountId, wanted: CallFilter, *, after: Place | None, limit: int
) -> list[Row]:
    """At most `limit` calls, newest first, older than `after`."""
    conditions, values = _where(account_id, wanted)
    if after is not None:
        values += [after.at, after.id]
        conditions.append(f"(arrived_at, id) < (${len(values) - 1}, ${len(values)})")
    values.append(limit)
    rows: list[Row] = await tx.fetch(
        f"select {COLUMNS} from call where {' and '.join(conditions)}"
        f" order by arrived_at desc, id desc limit ${len(values)}",
        *values,
    )
    return rows


async def every(tx: Transaction, account_id: AccountId, wanted: CallFilter) -> AsyncIterator[Row]:
    """At most `MAX_EXPORTED` calls, newest first, read page by page."""
    after: Place | None = None
    for _ in range(MAX_EXPORTED // EXPORT_PAGE):
        rows = await search(tx, account_id, wanted, after=after, limit=EXPORT_PAGE)
        for row in rows:
            yield row
        if len(rows) < EXPORT_PAGE:
            return
        after = Place(at=rows[-1]["arrived_at"], id=rows[-1]["id"])


async def one(tx: Transaction, account_id: AccountId, call_id: CallId) -> Row | None:
    """One call as lists show it."""
    return await tx.fetchrow(
        f"select {COLUMNS} from call where account_id = $1 and id = $2", account_id, call_id
    )


async def events_of(tx: Transaction, account_id: AccountId, call_id: CallId) -> tuple[StoredEvent, ...]:
    """Everything that happened to a call, in order."""
    rows = await tx.fetch(
        "select version, at, document, trace from call_event where account_id = $1 and call_id = $2"
        f" order by version limit {MAX_EVENTS}",
        account_id,
        call_id,
    )
    return tuple(
        StoredEvent(
            version=row["version"],
            at=row["at"],
            event=decode(row["document"], Event),  # type: ignore[arg-type]
            trace=decode(row["trace"], StepTrace),
        )
        for row in rows
    )


async def latest_of_caller(
    tx: Transaction, account_id: AccountId, caller: str, *, before: datetime, days: int
) -> Row | None:
    """The caller's latest connected call in the `days` before an instant: what a conversion is about."""
    return await tx.fetchrow(
        f"select {COLUMNS} from call where account_id = $1 and caller = $2 and arrived_at <= $3"
        " and arrived_at >= $4 and connected_at is not null order by arrived_at desc limit 1",
        account_id,
        caller,
        before,
        before - timedelta(days=days),
    )


def _where(account_id: AccountId, wanted: CallFilter) -> tuple[list[str], list[Any]]:
    conditions, values = ["account_id = $1"], [account_id]

    def add(condition: str, value: Any) -> None:
        values.append(value)
        conditions.append(condition.format(f"${len(values)}"))

    for name in ("campaign_id", "buyer_id", "publisher_id", "offer_id", "caller", "end_reason", "test"):
        value = getattr(wanted, name)
        if value is not None:
            add(f"{name} = {{}}", value)
    if wanted.since is not None:
        add("arrived_at >= {}", wanted.since)
    if wanted.until is not None:
        add("arrived_at < {}", wanted.until)
    if wanted.status is not None:
        conditions.append(_CONDITIONS[wanted.status])
    if wanted.tag is not None:
        key, equals, value = wanted.tag.partition("=")
        if equals:
            add("tags @> {}", encode_text({key: value}))
        else:
            add("tags ? {}", key)
    return conditions, values
