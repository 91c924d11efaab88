"""What a form came to: its rating and postings when a buyer takes it, and what is given back later."""

import msgspec

from callmatrix.core import ledger
from callmatrix.core.call.commands import Book, Settle
from callmatrix.core.call.value import Adjustment, Amounts
from callmatrix.core.caps import Settlement
from callmatrix.core.ids import AttemptId, CallId
from callmatrix.core.lead.draft import Draft
from callmatrix.core.lead.events import Adjusted, PostAnswered
from callmatrix.core.lead.value import MAX_ADJUSTMENTS, Attempt
from callmatrix.core.money import ZERO
from callmatrix.core.pricing import RatingInput, rate_call, rerate


def sell(draft: Draft, attempt: Attempt, event: PostAnswered) -> None:
    """The buyer took it: what they owe is settled now, and what the publisher earns. A form has no duration,
    so terms that ask for one earn nothing."""
    lead, plan = draft.lead, draft.plan
    rating = rate_call(_rating_input(draft, attempt, event))
    settlement = Settlement(
        attempt_id=attempt.id,
        connected=True,
        converted=rating.converted,
        paid=rating.paid,
        revenue=rating.revenue,
        payout=rating.payout,
    )
    draft.change(
        attempt,
        state="accepted",
        answered_at=event.at,
        reference=event.reference,
        settled=True,
        settlement=settlement,
    )
    draft.note("sold", buyer=plan.offers[attempt.offer_id].buyer_id, amount=rating.revenue)
    draft.note("revenue_" + rating.revenue_reason.code, **rating.revenue_reason.values)
    draft.note("payout_" + rating.payout_reason.code, **rating.payout_reason.values)
    draft.set(
        state="sold",
        question=None,
        sold_at=event.at,
        ended_at=event.at,
        end_reason="sold",
        rating=rating,
        amounts=Amounts(revenue=rating.revenue, payout=rating.payout, revision=rating.revision),
    )
    draft.order(Settle(settlement=settlement))
    booked = ledger.correction(
        rerate(None, rating), at=event.at, buyer_id=attempt.buyer_id, publisher_id=lead.publisher_id
    )
    draft.order(*(Book(transaction=ledger.of_lead(one, lead.id)) for one in booked))


def release(draft: Draft, attempt_id: AttemptId) -> None:
    """Give back what an attempt that came to nothing holds."""
    draft.order(Settle(settlement=Settlement(attempt_id=attempt_id)))


def adjusted(draft: Draft, event: Adjusted) -> None:
    """Credit the buyer and claw back from the publisher (rule 23). More than is left is refused whole."""
    lead, amounts = draft.lead, draft.lead.amounts
    if event.id and any(one.id == event.id for one in lead.adjustments):
        draft.note("already_adjusted", id=event.id)
        return
    credit_left, clawback_left = amounts.revenue - amounts.credited, amounts.payout - amounts.clawed_back
    if event.credit > credit_left or event.clawback > clawback_left:
        draft.note("more_than_left", credit_left=credit_left, clawback_left=clawback_left)
        return
    if len(lead.adjustments) >= MAX_ADJUSTMENTS:
        draft.note("adjusted_too_often", most=MAX_ADJUSTMENTS)
        return
    _book_adjustment(draft, event)
    taken = Adjustment(
        id=event.id,
        credit=event.credit,
        clawback=event.clawback,
        reason=event.reason,
        by=event.by,
        at=event.at,
    )
    draft.set(adjustments=(*lead.adjustments, taken))


def _book_adjustment(draft: Draft, event: Adjusted) -> None:
    lead, amounts = draft.lead, draft.lead.amounts
    sold_to, revision, as_call = lead.sold_to, amounts.revision + 1, CallId(lead.id)
    changes = {}
    if sold_to is not None and event.credit > ZERO:
        booked = ledger.credit(
            call_id=as_call,
            revision=revision,
            at=event.at,
            buyer_id=sold_to.buyer_id,
            amount=event.credit,
            reason=event.reason,
        )
        draft.order(Book(transaction=ledger.of_lead(booked, lead.id)))
        changes["credited"] = amounts.credited + event.credit
    if lead.publisher_id is not None and event.clawback > ZERO:
        booked = ledger.clawback(
            call_id=as_call,
            revision=revision,
            at=event.at,
            publisher_id=lead.publisher_id,
            amount=event.clawback,
            reason=event.reason,
        )
        draft.order(Book(transaction=ledger.of_lead(booked, lead.id)))
        changes["clawed_back"] = amounts.clawed_back + event.clawback
    if changes:
        draft.set(amounts=msgspec.structs.replace(amounts, revision=revision, **changes))


def _rating_input(draft: Draft, attempt: Attempt, event: PostAnswered) -> RatingInput:
    lead, campaign = draft.lead, draft.plan.campaign
    offer = draft.plan.offers[attempt.offer_id]
    return RatingInput(
        call_id=CallId(lead.id),
        at=event.at,
        campaign_id=lead.campaign_id,
        campaign_group=campaign.group,
        connected_at=event.at,
        billable_s=0,
        offer_id=offer.id,
        buyer_id=offer.buyer_id,
        price=attempt.price,
        bid=attempt.bid,
        duplicates=offer.duplicates or campaign.duplicates,
        publisher_id=lead.publisher_id,
        terms=draft.plan.terms.get(lead.publisher_id) if lead.publisher_id is not None else None,
        pays_publisher=attempt.pays_publisher,
        history=event.history,
        test=lead.test,
    )
