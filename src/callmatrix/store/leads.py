"""Leads that came by form: their saved steps, who sent them before, what a sweep must finish, and lists."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from callmatrix.core.call.commands import Book
from callmatrix.core.call.draft import StepTrace
from callmatrix.core.call.settlement import reversed_in_full
from callmatrix.core.caps import Settlement
from callmatrix.core.documents import decode, encode
from callmatrix.core.ids import AccountId, CampaignId, LeadId, PublisherId
from callmatrix.core.lead import OVER, Attempt, Event, FormLead, Step, facts_of
from callmatrix.store.calls import transaction_row
from callmatrix.store.db import Row, Transaction

MAX_FOUND: Final = 200
MAX_EVENTS: Final = 2_000

SaveResult = Literal["saved", "version", "caller", "exists"]
LeadStatus = Literal["open", "sold", "unsold", "rejected", "tested", "review"]

COLUMNS: Final = (
    "id, state, test, channel, campaign_id, publisher_id, buyer_id, offer_id, external_id, phone,"
    " phone_state, submitted_at, sold_at, ended_at, revenue_micros, payout_micros, rejected, end_reason,"
    " review"
)
_SAVE: Final = "select save_lead($1, $2, $3)"
_CONDITIONS: Final[dict[LeadStatus, str]] = {
    "open": "not closed",
    "sold": "state = 'sold'",
    "unsold": "state = 'unsold'",
    "rejected": "state = 'rejected'",
    "tested": "state = 'tested'",
    "review": "review <> ''",
}


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """One event and the step that took it."""

    event: Event
    step: Step


class LeadFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What leads to find; None asks nothing. `since <= submitted_at < until`."""

    since: datetime | None = None
    until: datetime | None = None
    campaign_id: str | None = None
    buyer_id: str | None = None
    publisher_id: str | None = None
    offer_id: str | None = None
    external_id: str | None = None
    phone: str | None = None
    channel: str | None = None
    status: LeadStatus | None = None
    test: bool | None = None


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a lead with the trace of its step."""

    version: int
    at: datetime
    event: Event
    trace: StepTrace


async def save(
    tx: Transaction,
    taken: tuple[Taken, ...],
    *,
    new: bool,
    digest: bytes,
    campaign_group: str,
    saved_at: datetime,
    caller_version: int | None = None,
    before: tuple[Attempt, ...] = (),
) -> SaveResult:
    """Save steps of one lead, in order, in one transaction and round trip.

    `digest` is that of what was sent. `caller_version` is the version of the phone's history that these
    steps settled by, None where they settled nothing. `before` are the attempts as they were last saved.
    """
    lead = taken[-1].step.lead
    head: dict[str, Any] = {
        "lead": _row(lead, digest, saved_at),
        "new": new,
        "expected_version": lead.version - len(taken),
        "campaign_group": campaign_group,
        "events": [
            {
                "version": each.step.lead.version,
                "kind": each.event.__struct_config__.tag,
                "state": each.step.lead.state,
                "at": each.event.at,
            }
            for each in taken
        ],
    }
    if caller_version is not None:
        rating, forgiven = lead.rating, reversed_in_full(lead.amounts)
        earned = rating is not None and not forgiven
        head["expected_caller_version"] = caller_version
        head["history"] = {
            "converted_at": rating.converted_at if earned and rating is not None else None,
            "paid_at": rating.paid_at if earned and rating is not None else None,
        }
    changed = [attempt for attempt in lead.attempts if attempt not in before]
    if changed:
        head["attempts"] = [_attempt_row(lead, attempt) for attempt in changed]
    commands = [command for each in taken for command in each.step.commands]
    booked = [command.transaction for command in commands if isinstance(command, Book)]
    if booked:
        head["transactions"] = [transaction_row(each) for each in booked]
    documents: list[Any] = [lead]
    for each in taken:
        documents += (each.event, each.step.trace, each.step.commands)
    result: SaveResult = await tx.fetchval(_SAVE, lead.account_id, encode(head), encode(documents))
    return result


def _row(lead: FormLead, digest: bytes, saved_at: datetime) -> dict[str, Any]:
    assert lead.contact is not None
    sold_to, amounts = lead.sold_to, lead.amounts
    return {
        "id": lead.id,
        "version": lead.version,
        "state": lead.state,
        "test": lead.test,
        "channel": lead.channel,
        "campaign_id": lead.campaign_id,
        "plan_version": lead.plan_version,
        "publisher_id": lead.publisher_id,
        "buyer_id": sold_to.buyer_id if sold_to is not None else None,
        "offer_id": sold_to.offer_id if sold_to is not None else None,
        "external_id": lead.external_id or None,
        "digest": digest.hex(),
        "phone": lead.contact.phone,
        "phone_state": facts_of(lead, saved_at).caller_state,
        "submitted_at": lead.submitted_at,
        "sold_at": lead.sold_at,
        "ended_at": lead.ended_at,
        "revenue_micros": amounts.revenue.micros - amounts.credited.micros,
        "payout_micros": amounts.payout.micros - amounts.clawed_back.micros,
        "rejected": lead.rejected,
        "end_reason": lead.end_reason,
        "review": lead.review,
        "closed": lead.state in OVER,
        "saved_at": saved_at,
    }


def _attempt_row(lead: FormLead, attempt: Attempt) -> dict[str, Any]:
    return {
        "account_id": lead.account_id,
        "id": attempt.id,
        "lead_id": lead.id,
        "number": attempt.number,
        "campaign_id": lead.campaign_id,
        "offer_id": attempt.offer_id,
        "buyer_id": attempt.buyer_id,
        "publisher_id": lead.publisher_id,
        "state": attempt.state,
        "code": attempt.code,
        "reserved_at": attempt.reserved_at,
        "posted_at": attempt.posted_at,
        "answered_at": attempt.answered_at,
        "reference": attempt.reference,
        "settled": attempt.settled,
        "settlement": attempt.settlement,
    }


async def load(tx: Transaction, account_id: AccountId, lead_id: LeadId) -> FormLead | None:
    """The lead as last saved."""
    text = await tx.fetchval(
        "select document from lead where account_id = $1 and id = $2", account_id, lead_id
    )
    return None if text is None else decode(text, FormLead)


async def by_external_id(
    tx: Transaction, account_id: AccountId, publisher_id: PublisherId | None, external_id: str
) -> tuple[FormLead, bytes] | None:
    """The lead that its sender calls so, and the digest of what was sent."""
    row = await tx.fetchrow(
        "select document, digest from lead where account_id = $1 and coalesce(publisher_id, '') = $2"
        " and external_id = $3",
        account_id,
        publisher_id or "",
        external_id,
    )
    return None if row is None else (decode(row["document"], FormLead), row["digest"])


async def before_submission(
    tx: Transaction, account_id: AccountId, campaign_id: CampaignId, phone: str
) -> tuple[datetime | None, int]:
    """When a form of this phone came to this campaign last (tests and refused ones don't count), and the
    version of the phone's history."""
    row = await tx.fetchrow(
        "select (select submitted_at from lead where account_id = $1 and phone = $2 and campaign_id = $3"
        " and not test and state <> 'rejected' order by submitted_at desc limit 1) as previous_at,"
        " coalesce((select version from caller where account_id = $1 and caller = $2), 0) as version",
        account_id,
        phone,
        campaign_id,
    )
    assert row is not None
    return row["previous_at"], row["version"]


# --- what a lost process leaves --------------------------------------------------------------------------


async def waiting(tx: Transaction, *, before: datetime) -> tuple[tuple[AccountId, LeadId], ...]:
    """Leads that have waited for an answer of ours since before an instant."""
    rows = await tx.fetch(
        "select account_id, id from lead where not closed and saved_at <= $1"
        f" order by saved_at limit {MAX_FOUND}",
        before,
    )
    return tuple((row["account_id"], row["id"]) for row in rows)


async def still_waiting(
    tx: Transaction, account_id: AccountId, lead_id: LeadId, *, before: datetime
) -> FormLead | None:
    """The lead, unless somebody went on with it since `before`."""
    text = await tx.fetchval(
        "select document from lead where account_id = $1 and id = $2 and not closed and saved_at <= $3",
        account_id,
        lead_id,
        before,
    )
    return None if text is None else decode(text, FormLead)


async def unperformed_settlements(
    tx: Transaction, *, before: datetime
) -> tuple[tuple[AccountId, Settlement], ...]:
    """Attempts settled in their lead before an instant whose reservation is still held."""
    rows = await tx.fetch(
        "select r.account_id, a.settlement from reservation r"
        " join lead_attempt a on a.account_id = r.account_id and a.id = r.attempt_id"
        " where r.state = 'held' and a.settled and a.answered_at <= $1 and a.settlement is not null"
        f" limit {MAX_FOUND}",
        before,
    )
    return tuple((row["account_id"], decode(row["settlement"], Settlement)) for row in rows)


# --- for people ------------------------------------------------------------------------------------------


async def search(
    tx: Transaction,
    account_id: AccountId,
    wanted: LeadFilter,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[Row]:
    """At most `limit` leads, newest first, older than `after` (instant and id)."""
    conditions, values = _where(account_id, wanted)
    if after is not None:
        values += after
        conditions.append(f"(submitted_at, id) < (${len(values) - 1}, ${len(values)})")
    values.append(limit)
    rows: list[Row] = await tx.fetch(
        f"select {COLUMNS} from lead where {' and '.join(conditions)}"
        f" order by submitted_at desc, id desc limit ${len(values)}",
        *values,
    )
    return rows


async def one(tx: Transaction, account_id: AccountId, lead_id: LeadId) -> Row | None:
    """One lead as lists show it."""
    return await tx.fetchrow(
        f"select {COLUMNS} from lead where account_id = $1 and id = $2", account_id, lead_id
    )


async def rows(
    tx: Transaction, named: Sequence[tuple[AccountId, LeadId]]
) -> dict[tuple[AccountId, LeadId], Row]:
    """Leads as lists show them, by account and id."""
    found = await tx.fetch(
        f"select account_id, {COLUMNS} from lead"
        " where (account_id, id) in (select * from unnest($1::text[], $2::text[]))",
        [account_id for account_id, _ in named],
        [lead_id for _, lead_id in named],
    )
    return {(row["account_id"], row["id"]): row for row in found}


async def events_of(tx: Transaction, account_id: AccountId, lead_id: LeadId) -> tuple[StoredEvent, ...]:
    """Everything that happened to a lead, in order."""
    rows = await tx.fetch(
        "select version, at, document, trace from lead_event where account_id = $1 and lead_id = $2"
        f" order by version limit {MAX_EVENTS}",
        account_id,
        lead_id,
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


def _where(account_id: AccountId, wanted: LeadFilter) -> tuple[list[str], list[Any]]:
    conditions, values = ["account_id = $1"], [account_id]

    def add(condition: str, value: Any) -> None:
        values.append(value)
        conditions.append(condition.format(f"${len(values)}"))

    same = ("campaign_id", "buyer_id", "publisher_id", "offer_id", "external_id", "phone", "channel", "test")
    for name in same:
        value = getattr(wanted, name)
        if value is not None:
            add(f"{name} = {{}}", value)
    if wanted.since is not None:
        add("submitted_at >= {}", wanted.since)
    if wanted.until is not None:
        add("submitted_at < {}", wanted.until)
    if wanted.status is not None:
        conditions.append(_CONDITIONS[wanted.status])
    return conditions, values
