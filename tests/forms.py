"""Forms taken through their machine and saved, without anybody on the wire."""

from datetime import UTC, datetime, timedelta
from typing import Any

import make
from callmatrix.core.campaign import Bidder, NativeFormat, Offer
from callmatrix.core.caps import Claim
from callmatrix.core.ids import LeadId
from callmatrix.core.lead import Consent, Contact, FormLead, events, step
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import FixedPrice
from callmatrix.core.routing import Looked
from callmatrix.store import leads
from callmatrix.store.db import Transaction
from callmatrix.store.leads import SaveResult, Taken

AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
PHONE = "+14155550142"
BIDDER = Bidder(
    format=NativeFormat(), ping_url="https://bids.example.com/ping", post_url="https://bids.example.com/post"
)


def form_offer(number: int = 1, **changes: Any) -> Offer:
    """An offer that buys forms for 20."""
    given = {"price": FixedPrice(amount=make.usd("20")), "bidder": BIDDER, "channels": ("form",)}
    return make.offer(number, **{**given, **changes})


PLAN = make.plan(form_offer(1), form_offer(2))


def new_lead(name: str, **changes: Any) -> FormLead:
    given = {"id": LeadId(name), "account_id": make.ACCOUNT, "campaign_id": make.CAMPAIGN, "plan_version": 1}
    return FormLead(**{**given, **changes})


def submitted(**changes: Any) -> events.Submitted:
    given = {
        "at": AT,
        "contact": Contact(phone=PHONE, zip="94110"),
        "consent": Consent(text="Call me.", at=AT),
        "publisher_id": make.PUBLISHER,
    }
    return events.Submitted(**{**given, **changes})


def looked(at: datetime = AT) -> events.Looked:
    return events.Looked(at=at, draw=1, world=Looked())


def reserved(name: str, number: int = 1, *, at: datetime = AT) -> events.Reserved:
    return events.Reserved(at=at, attempt_id=f"{name}-{number}")


def accepted(name: str, number: int = 1, *, at: datetime = AT) -> events.PostAnswered:
    return events.PostAnswered(at=at, attempt_id=f"{name}-{number}", reference=f"ref-{number}")


def taken(lead: FormLead, *happened: events.Event, plan: CompiledPlan = PLAN) -> tuple[Taken, ...]:
    """The steps of these events."""
    done: list[Taken] = []
    for event in happened:
        done.append(Taken(event=event, step=step(lead, event, plan)))
        lead = done[-1].step.lead
    return tuple(done)


def sale(name: str, **changes: Any) -> tuple[Taken, ...]:
    """Every step of a form that the first buyer takes."""
    return taken(new_lead(name), submitted(**changes), looked(), reserved(name), accepted(name))


def claim_of(name: str) -> Claim:
    """What the first attempt of `sale` holds."""
    lead = sale(name)[-1].step.lead
    claim: Claim = lead.attempts[0].claim
    return claim


async def save(tx: Transaction, done: tuple[Taken, ...], **changes: Any) -> SaveResult:
    """Save these steps, of a new lead unless it is said otherwise."""
    given = {"new": True, "digest": b"1", "campaign_group": "", "saved_at": AT + timedelta(seconds=1)}
    return await leads.save(tx, done, **{**given, **changes})
