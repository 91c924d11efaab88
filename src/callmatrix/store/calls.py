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
from callmatrix.core.documents import decode, encode_text
from callmatrix.core.ids import AccountId, CallId, CampaignId, ConnectionId, OfferId
from callmatrix.core.ledger import Transaction as LedgerTransaction
from callmatrix.core.pricing import PastCall
from callmatrix.store.db import Transaction

MAX_HISTORY: Final = 200
MAX_OPEN_PER_SWEEP: Final = 500

BOOK_LATE: Final = "book_late"
_AT_ONCE: Final = datetime.min.replace(tzinfo=UTC)

SaveResult = Literal["saved", "repeat", "version", "caller", "exists"]

_SAVE: Final = "select save_step($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
_HISTORY_COLUMNS: Final = (
    "call_id, campaign_id, campaign_group, offer_id, buyer_id, publisher_id,"
    " connected_at, converted_at, paid_at"
)  # fmt: skip


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
) -> SaveResult:
    """Save steps of one call, in order, in one transaction and round trip.

    `caller_version` is the version of the history that these steps settled by, None where they settled
    nothing. `job_ids` are new ids, one for each of `queued`.
    """
    call = taken[-1].step.call
    commands = [command for each in taken for command in each.step.commands]
    head: dict[str, Any] = {
        "call": _call_row(call, saved_at),
        "new": new,
        "expected_version": call.version - len(taken),
        "campaign_group": campaign_group,
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
    event_heads = [
        {"version": each.step.call.version, "kind": each.event.__struct_config__.tag, "at": each.event.at}
        for each in taken
    ]
    result: SaveResult = await tx.fetchval(
        _SAVE,
        call.account_id,
        encode_text(head),
        encode_text(call),
        encode_text(event_heads),
        [encode_text(each.event) for each in taken],
        [encode_text(each.step.trace) for each in taken],
        [encode_text(each.step.commands) for each in taken],
        _attempt_rows(call, taken),
        _transactions(commands),
        _jobs(commands, job_ids, saved_at),
        reply,
    )
    return result


def _call_row(call: Call, saved_at: datetime) -> dict[str, Any]:
    billed = next((a for a in call.attempts if a.id == call.billed_attempt), None)
    connected = [a for a in call.attempts if a.outcome == "answered"]
    shown = billed or (connected[-1] if connected else None)
    return {
        "id": call.id,
        "version": call.version,
        "state": call.state,
        "test": call.test,
        "campaign_id": call.campaign_id,
        "plan_version": call.plan_version,
        "connection_id": call.connection_id,
        "carrier_ref": call.carrier_ref,
        "number_id": call.number_id,
        "dialed": call.dialed,
        "caller": call.caller,
        "caller_state": call.geo.state if call.geo is not None else None,
        "publisher_id": call.publisher_id,
        "buyer_id": shown.buyer_id if shown is not None else None,
        "offer_id": shown.offer_id if shown is not None else None,
        "arrived_at": call.arrived_at,
        "connected_at": call.connected_at,
        "converted_at": call.converted_at,
        "paid_at": call.paid_at,
        "ended_at": call.ended_at,
        "duration_ms": call.duration_ms,
        "bridged_ms": sum(a.bridged_ms or 0 for a in connected),
        "revenue_micros": (call.amounts.revenue - call.amounts.credited).micros,
        "payout_micros": (call.amounts.payout - call.amounts.clawed_back).micros,
        "cost_micros": call.amounts.cost.micros,
        "blocked": call.blocked,
        "end_reason": call.end_reason,
        "review": call.review,
        "disposition": call.disposition,
        "tags": call.tags,
        "closed": call.state == "ended" and call.cost_booked,
        "saved_at": saved_at,
    }


def _attempt_rows(call: Call, taken: tuple[Taken, ...]) -> str | None:
    """The attempts that these steps may have changed: all of them, for a call has few."""
    if not call.attempts:
        return None
    return encode_text([_attempt_row(call, attempt) for attempt in call.attempts])


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
        "settlement": encode_text(attempt.settlement) if attempt.settlement is not None else None,
    }


def _transactions(commands: list[Command]) -> str | None:
    booked = [command.transaction for command in commands if isinstance(command, Book)]
    return encode_text([transaction_row(each) for each in booked]) if booked else None


def transaction_row(transaction: LedgerTransaction) -> dict[str, Any]:
    """A transaction as the SQL function `book` takes it."""
    return {
        "key": transaction.key,
        "kind": transaction.kind,
        "at": transaction.at,
        "call_id": transaction.call_id,
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


def _jobs(commands: list[Command], ids: tuple[str, ...], created_at: datetime) -> str | None:
    jobs = queued(commands)
    if not jobs:
        return None
    return encode_text(
        [
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
    )


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
    rows = await tx.fetch(
        "select coalesce((select version from caller where account_id = $1 and caller = $2), 0) as version,"
        f" {_HISTORY_COLUMNS} from (select 1) as one left join lateral (select * from caller_history"
        " where account_id = $1 and caller = $2 and call_id <> $3"
        f" order by connected_at desc limit {MAX_HISTORY}) as h on true",
        account_id,
        caller,
        apart_from,
    )
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
    at: datetime | None = await tx.fetchval(
        "select arrived_at from call where account_id = $1 and caller = $2 and campaign_id = $3"
        " order by arrived_at desc limit 1",
        account_id,
        caller,
        campaign_id,
    )
    return at
