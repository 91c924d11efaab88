"""What of a lead that came by form is shown to whom: lists and the one lead, by role."""

from datetime import datetime

import msgspec

from callmatrix.api.access import Principal
from callmatrix.api.call_views import ToldDecision, ToldNote
from callmatrix.core import phone
from callmatrix.core.auction import PingResult
from callmatrix.core.call.value import Adjustment
from callmatrix.core.campaign import Channel
from callmatrix.core.lead import Consent, Contact
from callmatrix.core.ledger import Transaction
from callmatrix.core.money import Money
from callmatrix.core.pricing import Price, Rating
from callmatrix.store.db import Row


class LeadSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One lead in a list. Buyers see no payout or publisher, publishers no revenue or buyer, and neither the
    whole phone number."""

    id: str
    state: str
    test: bool
    channel: Channel
    campaign_id: str
    publisher_id: str | None
    buyer_id: str | None
    offer_id: str | None
    external_id: str | None
    phone: str
    phone_state: str | None
    submitted_at: datetime
    sold_at: datetime | None
    ended_at: datetime | None
    revenue: Money | None
    payout: Money | None
    profit: Money | None
    rejected: str
    end_reason: str
    review: str


class LeadMoment(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a lead: when, what happened in plain English, what was decided by it, and the pings."""

    version: int
    at: datetime
    kind: str
    text: str
    notes: tuple[ToldNote, ...]
    decision: ToldDecision | None
    pings: tuple[PingResult, ...]


class LeadAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One post: to which offer, by which price, and what its buyer answered."""

    id: str
    number: int
    state: str
    offer_id: str
    offer: str
    buyer_id: str
    code: str
    detail: str
    reserved_at: datetime
    posted_at: datetime | None
    answered_at: datetime | None
    price: Price
    bid: Money | None
    amount: Money
    reference: str
    held_payout: Money | None
    settled: bool


class LeadMoney(msgspec.Struct, frozen=True, kw_only=True):
    """What the lead came to, why, and every transaction in the ledger; `left` may still be given back."""

    revenue: Money
    payout: Money
    profit: Money
    credited: Money
    clawed_back: Money
    credit_left: Money
    clawback_left: Money
    adjustments: tuple[Adjustment, ...]
    revision: int
    rating: Rating | None
    transactions: tuple[Transaction, ...]


class LeadDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One lead, whole. `replays` says that its events, taken again, lead to the lead as it is stored.

    Buyers and publishers get the summary and (buyers) their own posts.
    """

    lead: LeadSummary
    campaign: str
    plan_version: int
    contact: Contact | None
    fields: dict[str, str]
    consent: Consent | None
    source_url: str
    ip: str
    timeline: tuple[LeadMoment, ...]
    attempts: tuple[LeadAttempt, ...]
    money: LeadMoney | None
    replays: bool | None


def summary_of(row: Row, who: Principal) -> LeadSummary:
    """A stored row as `who` may see it."""
    revenue, payout = Money(row["revenue_micros"]), Money(row["payout_micros"])
    staff, outside = who.is_staff, who.role
    return LeadSummary(
        id=row["id"],
        state=row["state"],
        test=row["test"],
        channel=row["channel"],
        campaign_id=row["campaign_id"],
        publisher_id=None if outside == "buyer" else row["publisher_id"],
        buyer_id=None if outside == "publisher" else row["buyer_id"],
        offer_id=None if outside == "publisher" else row["offer_id"],
        external_id=None if outside == "buyer" else row["external_id"],
        phone=row["phone"] if staff else phone.mask(row["phone"]),
        phone_state=row["phone_state"],
        submitted_at=row["submitted_at"],
        sold_at=row["sold_at"],
        ended_at=row["ended_at"],
        revenue=None if outside == "publisher" else revenue,
        payout=None if outside == "buyer" else payout,
        profit=revenue - payout if staff else None,
        rejected=row["rejected"],
        end_reason=row["end_reason"],
        review=row["review"] if staff else "",
    )
