"""Calls: their saved steps, their callbacks, what routing asks about a caller, and lists of them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from callmatrix.core.call.commands import Book, BookLate, Command, Enqueue
from callmatrix.core.call.draft import Step
from callmatrix.core.call.events import Event
from callmatrix.core.call.settlement import reversed_in_full
from callmatrix.core.call.value import Attempt, Call
from callmatrix.core.documents import decode, encode, encode_text
from callmatrix.core.ids import AccountId, CallId, CampaignId, ConnectionId, OfferId
from callmatrix.core.ledger import Transaction as LedgerTransaction
from callmatrix.core.pricing import PastCall
from callmatrix.store.db import Row, Transaction

MAX_HISTORY: Final = 200
MAX_OPEN_PER_SWEEP: Final = 500

BOOK_LATE: Final = "book_late"
_AT_ONCE: Final = datetime.min.replace(tzinfo=UTC)

SaveResult = Literal["saved", "repeat", "version", "caller", "exists"]

_SAVE: Final = "select save_step($1, $2, $3, $4)"
_HISTORY_COLUMNS: Final = (
    "call_id, campaign_id, campaign_group, offer_id, buyer_id, publisher_id,"
    " connected_at, converted_at, paid_at"
)  # fmt: skip
_FROM_HISTORY: Final = (
    " coalesce((select version from caller where account_id = $1 and caller = $2), 0) as version,"
    f" {_HISTORY_COLUMNS} from (select 1) as one left join lateral (select * from caller_history"
    " where account_id = $1 and caller = $2 and call_id <> $3"
    f" order by connected_at desc limit {MAX_HISTORY}) as h on true"
)
_HISTORY: Final = f"select{_FROM_HISTORY}"
_BEFORE_ARRIVAL: Final = (
    "select (select arrived_at from call where account_id = $1 and caller = $2 and campaign_id = $4"
    f" order by arrived_at desc limit 1) as previous_call_at,{_FROM_HISTORY}"
)


class CallbackKey(msgspec.Struct, frozen=True, kw_only=True):
    """One carrier callback: with the connection and the carrier's call id, the key of a repeat."""

    connection_id: ConnectionId
    carrier_ref: str
    key: str


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers a callback: from when, until when it is theirs alone; `first` until it was saved once."""

    callback: CallbackKey
    at: datetime
    lease_until: datetime
    first: bool


class StoredReply(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered to a callback; `reply` is None while somebody is still at it."""

    call_id: CallId
    lease_until: datetime
    reply: bytes | None


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """One event and the step that took it."""

    event: Event
    step: Step


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A caller's earlier calls, newest first, and the version that a settlement must name."""

    version: int
    calls: tuple[PastCall, ...]


class PastRoutes(msgspec.Struct, frozen=True, kw_only=True):
    """What routing asks the database; `version` is that of the caller's history."""

    rotation: tuple[OfferId, ...]
    history: tuple[PastCall, ...]
    version: int = 0


async def save(
    tx: Transaction,
    taken: tuple[Taken, ...],
    *,
    new: bool,
    campaign_group: str,
    saved_at: datetime,
    lease: Lease | None = None,
    reply: bytes | None = None,
    caller_version: int | None = None,
    job_ids: tuple[str, ...] = (),
    before: tuple[Attempt, ...] = (),
) -> SaveResult:
    """Save steps of one call, in order, in one transaction and round trip.

    `caller_version` is the version of the history that these steps settled by, None where they settled
    nothing. `job_ids` are new ids, one for each of `queued`. `before` are the attempts as they were last
    saved, if known: those that are still the same are not written again.
    """
    call = taken[-1].step.call
    commands = [command for each in taken for command in each.step.commands]
    row = _changing(call, saved_at)
    head: dict[str, Any] = {
        "call": row | _lasting(call) if new else row,
        "new": new,
        "expected_version": call.version - len(taken),
        "campaign_group": campaign_group,
        "events": [
            {
                "version": each.step.call.version,
                "kind": each.event.__struct_config__.tag,
                "at": each.event.at,
            }
            for each in taken
        ],
    }
    if lease is not None:
        head["callback"] = {
            "connection_id": lease.callback.connection_id,
            "carrier_ref": lease.callback.carrier_ref,
            "key": lease.callback.key,
            "at": lease.at,
            "lease_until": lease.lease_until,
            "first": lease.first,
        }
    if caller_version is not None:
        head["expected_caller_version"] = caller_version
        forgiven = reversed_in_full(call.amounts)
        head["history"] = {
            "converted_at": None if forgiven else call.converted_at,
            "paid_at": None if forgiven else call.paid_at,
        }
    changed = [attempt for attempt in call.attempts if attempt not in before]
    if changed:
        head["attempts"] = [_attempt_row(call, attempt) for attempt in changed]
    booked = [command.transaction for command in commands if isinstance(command, Book)]
    if booked:
        head["transactions"] = [transaction_row(each) for each in booked]
    if jobs := queued(commands):
        head["jobs"] = _job_rows(jobs, job_ids, saved_at)
    documents: list[Any] = [call]
    for each in taken:
        documents += (each.event, each.step.trace, each.step.commands)
    result: SaveResult = await tx.fetchval(_SAVE, call.account_id, encode(head), encode(documents), reply)
    return result


def _changing(call: Call, saved_at: datetime) -> dict[str, Any]:
    """The columns of `call` that a step may change, and those that its caller's history is known by."""
    billed = next((a for a in call.attempts if a.id == call.billed_attempt), None)
    connected = [a for a in call.attempts if a.outcome == "answered"]
    shown = billed or (connected[-1] if connected else None)
    amounts = call.amounts
    return {
        "id": call.id,
        "version": call.version,
        "state": call.state,
        "campaign_id": call.campaign_id,
        "caller": call.caller,
        "caller_state": call.geo.state if call.geo is not None else None,
        "publisher_id": call.publisher_id,
        "buyer_id": shown.buyer_id if shown is not None else None,
        "offer_id": shown.offer_id if shown is not None else None,
        "connected_at": call.connected_at,
        "converted_at": call.converted_at,
        "paid_at": call.paid_at,
        "ended_at": call.ended_at,
        "duration_ms": call.duration_ms,
        "bridged_ms": sum(a.bridged_ms or 0 for a in connected),
        "revenue_micros": amounts.revenue.micros - amounts.credited.micros,
        "payout_micros": amounts.payout.micros - amounts.clawed_back.micros,
        "cost_micros": amounts.cost.micros,
        "end_reason": call.end_reason,
        "review": call.review,
        "disposition": call.disposition,
        "closed": call.state == "ended" and call.cost_booked,
        "saved_at": saved_at,
    }


def _lasting(call: Call) -> dict[str, Any]:
    """The columns of `call` that stay as its first step leaves them."""
    return {
        "test": call.test,
        "plan_version": call.plan_version,
        "connection_id": call.connection_id,
        "carrier_ref": call.carrier_ref,
        "number_id": call.number_id,
        "dialed": call.dialed,
        "arrived_at": call.arrived_at,
        "blocked": call.blocked,
        "tags": call.tags,
    }


def _attempt_row(call: Call, attempt: Attempt) -> dict[str, Any]:
    return {
        "account_id": call.account_id,
        "id": attempt.id,
        "call_id": call.id,
        "number": attempt.number,
        "campaign_id": call.campaign_id,
        "offer_id": attempt.offer_id,
        "buyer_id": attempt.buyer_id,
        "publisher_id": call.publisher_id,
        "state": attempt.state,
        "refusal": attempt.refusal,
        "outcome": attempt.outcome,
        "reserved_at": attempt.reserved_at,
        "dialled_at": attempt.dialled_at,
        "answered_at": attempt.answered_at,
        "accepted_at": attempt.accepted_at,
        "ended_at": attempt.ended_at,
        "ring_ms": attempt.ring_ms,
        "leg_ms": attempt.leg_ms or 0,
        "bridged_ms": attempt.bridged_ms or 0,
        "precision": attempt.precision,
        "settled": attempt.settled,
        "settlement": attempt.settlement,
    }


def transaction_row(transaction: LedgerTransaction) -> dict[str, Any]:
    """A transaction as the SQL function `book` takes it."""
    return {
        "key": transaction.key,
        "kind": transaction.kind,
        "at": transaction.at,
        "call_id": transaction.call_id,
        "lead_id": transaction.lead_id,
        "rating_revision": transaction.rating_revision,
        "reason": transaction.reason,
        "postings": [
            {"account": line.account, "owner_id": line.owner_id, "micros": line.amount.micros}
            for line in transaction.postings
        ],
    }


def queued(commands: Iterable[Command]) -> tuple[Enqueue, ...]:
    """The jobs that these commands leave behind: those ordered, and late bookings, which are performed at
    once but must survive the process that performs them."""
    jobs: list[Enqueue] = []
    for command in commands:
        match command:
            case Enqueue():
                jobs.append(command)
            case BookLate(booking=booking):
                key = f"{BOOK_LATE}/{booking.attempt_id}/{booking.revision}"
                payload = {"booking": encode_text(booking)}
                jobs.append(Enqueue(job=BOOK_LATE, dedupe_key=key, run_at=_AT_ONCE, payload=payload))
            case _:
                pass
    return tuple(jobs)


def _job_rows(jobs: tuple[Enqueue, ...], ids: tuple[str, ...], created_at: datetime) -> list[dict[str, Any]]:
    return [
        {
            "id": job_id,
            "kind": job.job,
            "dedupe_key": job.dedupe_key,
            "payload": job.payload,
            "run_at": max(job.run_at, created_at),
            "created_at": created_at,
        }
        for job, job_id in zip(jobs, ids, strict=True)
    ]


async def load(tx: Transaction, account_id: AccountId, call_id: CallId) -> Call | None:
    """The call as last saved."""
    text = await tx.fetchval(
        "select document from call where account_id = $1 and id = $2", account_id, call_id
    )
    return None if text is None else decode(text, Call)


async def find(
    tx: Transaction, account_id: AccountId, connection_id: ConnectionId, carrier_ref: str
) -> Call | None:
    """The call that a carrier names."""
    text = await tx.fetchval(
        "select document from call where account_id = $1 and connection_id = $2 and carrier_ref = $3",
        account_id,
        connection_id,
        carrier_ref,
    )
    return None if text is None else decode(text, Call)


async def stored_reply(tx: Transaction, account_id: AccountId, callback: CallbackKey) -> StoredReply | None:
    """What was answered to this callback, or who is at it."""
    row = await tx.fetchrow(
        "select call_id, lease_until, reply from callback where account_id = $1 and connection_id = $2"
        " and carrier_ref = $3 and key = $4",
        account_id,
        callback.connection_id,
        callback.carrier_ref,
        callback.key,
    )
    if row is None:
        return None
    return StoredReply(call_id=row["call_id"], lease_until=row["lease_until"], reply=row["reply"])


async def take_over(tx: Transaction, account_id: AccountId, lease: Lease, *, seen: datetime) -> bool:
    """Become the one who answers a callback whose lease, `seen`, has run out; False where another did."""
    status = await tx.execute(
        "update callback set lease_until = $5 where account_id = $1 and connection_id = $2"
        " and carrier_ref = $3 and key = $4 and lease_until = $6 and reply is null",
        account_id,
        lease.callback.connection_id,
        lease.callback.carrier_ref,
        lease.callback.key,
        lease.lease_until,
        seen,
    )
    return bool(status == "UPDATE 1")


async def history(tx: Transaction, account_id: AccountId, caller: str, *, apart_from: CallId) -> History:
    """A caller's connected calls but one, with the version to settle by."""
    return _history(await tx.fetch(_HISTORY, account_id, caller, apart_from))


async def before_arrival(
    tx: Transaction, account_id: AccountId, campaign_id: CampaignId, caller: str
) -> tuple[datetime | None, History]:
    """When this caller last called this campaign, and the caller's connected calls; in one round trip."""
    no_call = ""  # the one that arrives is not there yet
    rows = await tx.fetch(_BEFORE_ARRIVAL, account_id, caller, no_call, campaign_id)
    return rows[0]["previous_call_at"], _history(rows)


def _history(rows: list[Row]) -> History:
    calls = tuple(_past_call(row) for row in rows if row["call_id"] is not None)
    return History(version=rows[0]["version"], calls=calls)


async def past_routes(
    tx: Transaction,
    account_id: AccountId,
    campaign_id: CampaignId,
    *,
    caller: str | None,
    apart_from: CallId,
    rotating: tuple[OfferId, ...] = (),
    joins_at: datetime | None = None,
) -> PastRoutes:
    """The caller's history; and, where offers rotate, those from least to most recently reserved.

    An offer that rotates for the first time joins the tail (rule 6), in the given order: for good from
    `joins_at` on; where that is None, nothing is written.
    """
    rotated = await _rotation(tx, account_id, campaign_id, rotating, joins_at) if rotating else ()
    if caller is None:
        return PastRoutes(rotation=rotated, history=())
    past = await history(tx, account_id, caller, apart_from=apart_from)
    return PastRoutes(rotation=rotated, history=past.calls, version=past.version)


async def _rotation(
    tx: Transaction,
    account_id: AccountId,
    campaign_id: CampaignId,
    rotating: tuple[OfferId, ...],
    joins_at: datetime | None,
) -> tuple[OfferId, ...]:
    found = await _rotated(tx, account_id, campaign_id)
    joining = [offer_id for offer_id in rotating if offer_id not in found]
    if not joining or joins_at is None:
        return (*found, *joining)
    await tx.execute(
        "insert into rotation (account_id, campaign_id, offer_id, reserved_at, attempt_id)"
        " select $1, $2, o.id, $4, lpad(o.place::text, 6, '0')"
        " from unnest($3::text[]) with ordinality as o (id, place) on conflict do nothing",
        account_id,
        campaign_id,
        joining,
        joins_at,
    )
    return await _rotated(tx, account_id, campaign_id)


async def _rotated(tx: Transaction, account_id: AccountId, campaign_id: CampaignId) -> tuple[OfferId, ...]:
    rows = await tx.fetch(
        "select offer_id from rotation where account_id = $1 and campaign_id = $2"
        ' order by reserved_at, attempt_id collate "C"',
        account_id,
        campaign_id,
    )
    return tuple(row["offer_id"] for row in rows)


def _past_call(row: Any) -> PastCall:
    return PastCall(
        call_id=row["call_id"],
        campaign_id=row["campaign_id"],
        connected_at=row["connected_at"],
        offer_id=row["offer_id"],
        buyer_id=row["buyer_id"],
        publisher_id=row["publisher_id"],
        campaign_group=row["campaign_group"],
        converted_at=row["converted_at"],
        paid_at=row["paid_at"],
    )


async def previous_call_at(
    tx: Transaction, account_id: AccountId, campaign_id: CampaignId, caller: str
) -> datetime | None:
    """When this caller last called this campaign."""
    at, _ = await before_arrival(tx, account_id, campaign_id, caller)
    return at
