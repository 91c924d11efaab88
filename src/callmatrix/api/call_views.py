"""What of a call is shown to whom: lists and the one call, by role."""

from datetime import datetime

import msgspec

from callmatrix.api.access import Principal
from callmatrix.core import phone
from callmatrix.core.call.value import Adjustment
from callmatrix.core.documents import decode
from callmatrix.core.flow import Visit
from callmatrix.core.geo import CallerGeo
from callmatrix.core.ledger import Transaction
from callmatrix.core.money import Money
from callmatrix.core.pricing import Price, Rating
from callmatrix.store.db import Row


class CallSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One call in a list. `answered_at`: of a call in the air, since when the leg that is up is answered;
    `connected_at` is known when that leg ended. Buyers see no payout, cost or publisher, publishers no
    revenue, cost or buyer, and neither the caller's whole number."""

    id: str
    state: str
    test: bool
    campaign_id: str
    arrived_at: datetime
    dialed: str
    caller: str | None
    caller_state: str | None
    number_id: str | None
    publisher_id: str | None
    buyer_id: str | None
    offer_id: str | None
    answered_at: datetime | None
    connected_at: datetime | None
    converted_at: datetime | None
    paid_at: datetime | None
    ended_at: datetime | None
    duration_ms: int | None
    bridged_ms: int
    revenue: Money | None
    payout: Money | None
    cost: Money | None
    profit: Money | None
    blocked: str
    end_reason: str
    review: str
    disposition: str
    tags: dict[str, str]


class ToldNote(msgspec.Struct, frozen=True, kw_only=True):
    """One thing decided: its code, the compared values, and both in a sentence."""

    code: str
    text: str
    values: dict[str, str]


class ToldOffer(msgspec.Struct, frozen=True, kw_only=True):
    """One offer of a routing decision: taken, or refused by `code` with the compared values."""

    offer_id: str
    offer: str
    buyer_id: str
    buyer: str
    taken: bool
    code: str
    text: str
    values: dict[str, str]
    rank: int | None
    price: Money | None


class ToldDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Why this buyer: every offer of the plan (the first `MAX_TOLD_OFFERS`), and how many a code refused."""

    strategy: str
    plan_version: int
    at: datetime
    draw: int
    chosen_offer_id: str | None
    same_buyer: bool
    refused: dict[str, int]
    offers: tuple[ToldOffer, ...]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a call: when, what happened in plain English, and what was decided by it."""

    version: int
    at: datetime
    kind: str
    text: str
    notes: tuple[ToldNote, ...]
    visits: tuple[Visit, ...]
    decision: ToldDecision | None


class ToldAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One dial: to which offer, how it went, by which price, and whether it is the billed one."""

    id: str
    number: int
    state: str
    offer_id: str | None
    offer: str
    buyer_id: str | None
    refusal: str
    outcome: str | None
    reserved_at: datetime
    dialled_at: datetime | None
    answered_at: datetime | None
    accepted_at: datetime | None
    ended_at: datetime | None
    ring_ms: int
    leg_ms: int | None
    bridged_ms: int | None
    precision: str
    ended_by: str
    sip_code: int
    price: Price | None
    bid: Money | None
    held_revenue: Money | None
    held_payout: Money | None
    settled: bool
    billed: bool
    recording_url: str


class CallMoney(msgspec.Struct, frozen=True, kw_only=True):
    """What the call came to, why, and every transaction in the ledger; `left` may still be given back."""

    revenue: Money
    payout: Money
    cost: Money
    profit: Money
    credited: Money
    clawed_back: Money
    credit_left: Money
    clawback_left: Money
    adjustments: tuple[Adjustment, ...]
    revision: int
    rating: Rating | None
    revenue_text: str
    payout_text: str
    transactions: tuple[Transaction, ...]


class CallDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One call, whole. `replays` says that its events, taken again, lead to the call as it is stored.

    Buyers and publishers get the summary and (buyers) their own attempts.
    """

    call: CallSummary
    campaign: str
    plan_version: int
    geo: CallerGeo | None
    attestation: str
    fields: dict[str, str]
    timeline: tuple[Moment, ...]
    attempts: tuple[ToldAttempt, ...]
    money: CallMoney | None
    voicemail_url: str
    replays: bool | None


def summary_of(row: Row, who: Principal) -> CallSummary:
    """A stored row as `who` may see it."""
    revenue, payout, cost = (Money(row[f"{name}_micros"]) for name in ("revenue", "payout", "cost"))
    staff = who.is_staff
    caller = row["caller"]
    return CallSummary(
        id=row["id"],
        state=row["state"],
        test=row["test"],
        campaign_id=row["campaign_id"],
        arrived_at=row["arrived_at"],
        dialed=row["dialed"],
        caller=caller if staff or caller is None else phone.mask(caller),
        caller_state=row["caller_state"],
        number_id=row["number_id"] if staff else None,
        publisher_id=None if who.role == "buyer" else row["publisher_id"],
        buyer_id=None if who.role == "publisher" else row["buyer_id"],
        offer_id=None if who.role == "publisher" else row["offer_id"],
        answered_at=row["answered_at"],
        connected_at=row["connected_at"],
        converted_at=None if who.role == "publisher" else row["converted_at"],
        paid_at=None if who.role == "buyer" else row["paid_at"],
        ended_at=row["ended_at"],
        duration_ms=row["duration_ms"],
        bridged_ms=row["bridged_ms"],
        revenue=None if who.role == "publisher" else revenue,
        payout=None if who.role == "buyer" else payout,
        cost=cost if staff else None,
        profit=revenue - payout - cost if staff else None,
        blocked=row["blocked"],
        end_reason=row["end_reason"],
        review=row["review"] if staff else "",
        disposition=row["disposition"],
        tags={} if who.role == "buyer" else decode(row["tags"], dict[str, str]),
    )
