"""The story of one call: its events taken again, each told with what was decided and why."""

from typing import Final

import msgspec

from callmatrix.api.call_views import CallMoney, Moment, ToldAttempt, ToldDecision, ToldNote, ToldOffer
from callmatrix.api.sentences import told_event, told_note
from callmatrix.core.call import events
from callmatrix.core.call.dialling import given_at
from callmatrix.core.call.draft import Note, StepTrace
from callmatrix.core.call.machine import step
from callmatrix.core.call.value import Attempt, Call
from callmatrix.core.ledger import Transaction
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import Reason
from callmatrix.core.routing import Explained, Given, Trace, explain
from callmatrix.store.call_search import StoredEvent

MAX_TOLD_OFFERS: Final = 1_000

# A routing code -> what it says of an offer; `{name}` is a compared value.
VERDICTS: Final[dict[str, str]] = {
    "": "Taken.",
    "wrong_channel": "Takes leads by {takes}, not by {channel}.",
    "paused": "Paused or archived.",
    "closed": "Outside its hours.",
    "tried": "Tried before on this call.",
    "rule_state": "The campaign buys calls from {wanted}; the caller is in {actual}.",
    "rule_failed": "The {rule_of}'s rule failed: {subject} {operator} {wanted}, but it is “{actual}”.",
    "field_missing": "Needs captured fields that the call does not have: {fields}.",
    "duplicate": "The caller was there before.",
    "cap_full": "A cap is full.",
    "concurrency_full": "As many calls in the air as allowed.",
    "spacing": "Took a call a moment ago.",
    "no_funds": "The buyer has not enough funds.",
    "blocked": "Blocked.",
    "below_margin": "Under the campaign's margin floor.",
    "simulate_only": "On trial: its bidder is pinged for the record and never gets a call.",
    "bid_expired": "Its bid of {bid} expired at {expires_at}, before the call could be set up.",
    "below_floor": "Its bid of {bid} is under its floor of {floor}.",
    "below_reserve": "Its bid of {bid} is under the campaign's reserve price of {reserve}.",
    "no_bid": "Its bidder was pinged and has no bid ({answer}). {detail}",
    "no_price": "No price: only a bid tells it, and its bidder was not pinged.",
    "static_refused": "Nobody bid, and the campaign then takes no price like its {price}.",
    "lower_tier": "Eligible, but an offer of a higher tier is there (priority {best_priority}).",
    "outbid": "Eligible, but ranked behind {by}.",
    "asked": "Eligible; its bidder was pinged.",
    "awaits_bids": "Eligible; bidders of its tier were pinged first.",
}


class _Values(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "unknown"


def begun(call: Call) -> Call:
    """The call before its first event."""
    return Call(
        id=call.id,
        account_id=call.account_id,
        campaign_id=call.campaign_id,
        plan_version=call.plan_version,
    )


def timeline(
    call: Call, stored: tuple[StoredEvent, ...], plan: CompiledPlan
) -> tuple[tuple[Moment, ...], bool]:
    """Every event told, and whether taking them again leads to the call as it is stored."""
    names = names_of(plan)
    before = begun(call)
    moments: list[Moment] = []
    for one in stored:
        moments.append(
            Moment(
                version=one.version,
                at=one.at,
                kind=str(one.event.__struct_config__.tag),
                text=told_event(one.event, before, names),
                notes=tuple(_note(note) for note in one.trace.notes),
                visits=one.trace.visits,
                decision=_decision(one.event, one.trace, before, plan),
            )
        )
        before = step(before, one.event, plan).call
    return tuple(moments), before == call


def names_of(plan: CompiledPlan) -> dict[str, str]:
    """The names of everything that a plan refers to, by id."""
    names: dict[str, str] = {offer.id: offer.name for offer in plan.offers.values()}
    names |= {buyer.id: buyer.name for buyer in plan.buyers.values()}
    return names | {publisher.id: publisher.name for publisher in plan.publishers.values()}


def told_decision(plan: CompiledPlan, trace: Trace, given: Given) -> ToldDecision:
    """A decision expanded: each offer with its verdict."""
    explained = explain(plan, trace, given=given)
    refused: dict[str, int] = {}
    for one in explained:
        if not one.taken:
            refused[one.code] = refused.get(one.code, 0) + 1
    return ToldDecision(
        strategy=trace.strategy,
        plan_version=trace.plan_version,
        at=trace.at,
        draw=trace.draw,
        chosen_offer_id=next((one.offer_id for one in explained if one.taken), None),
        same_buyer=trace.same_buyer,
        refused=refused,
        offers=tuple(_offer(plan, one) for one in explained[:MAX_TOLD_OFFERS]),
    )


def told_attempts(call: Call, plan: CompiledPlan) -> tuple[ToldAttempt, ...]:
    """The dials of a call, in order."""
    return tuple(_attempt(call, attempt, plan) for attempt in call.attempts)


def own_attempts(call: Call, plan: CompiledPlan, buyer_id: str | None) -> tuple[ToldAttempt, ...]:
    """The dials that went to one buyer, without the publisher's money and where our recording is; none where
    there is no buyer."""
    return tuple(
        msgspec.structs.replace(_attempt(call, attempt, plan), held_payout=None, recording_url="")
        for attempt in call.attempts
        if buyer_id is not None and attempt.buyer_id == buyer_id
    )


def told_money(call: Call, transactions: tuple[Transaction, ...]) -> CallMoney:
    """What a call came to and why."""
    amounts, rating = call.amounts, call.rating
    revenue, payout = amounts.revenue - amounts.credited, amounts.payout - amounts.clawed_back
    return CallMoney(
        revenue=revenue,
        payout=payout,
        cost=amounts.cost,
        profit=revenue - payout - amounts.cost,
        credited=amounts.credited,
        clawed_back=amounts.clawed_back,
        credit_left=revenue,
        clawback_left=payout,
        adjustments=call.adjustments,
        revision=amounts.revision,
        rating=rating,
        revenue_text=_reason("revenue", rating.revenue_reason) if rating is not None else "Not rated.",
        payout_text=_reason("payout", rating.payout_reason) if rating is not None else "Not rated.",
        transactions=transactions,
    )


def _reason(side: str, reason: Reason) -> str:
    return told_note(Note(code=f"{side}_{reason.code}", values=reason.values))


def _note(note: Note) -> ToldNote:
    return ToldNote(code=note.code, text=told_note(note), values=note.values)


def _decision(event: events.Event, trace: StepTrace, before: Call, plan: CompiledPlan) -> ToldDecision | None:
    if trace.decision is None or not isinstance(event, events.Looked | events.BidsReturned):
        return None
    return told_decision(plan, trace.decision, given_at(before, plan, event))


def _offer(plan: CompiledPlan, one: Explained) -> ToldOffer:
    offer = plan.offers[one.offer_id]
    buyer = plan.buyers.get(offer.buyer_id)
    template = VERDICTS.get(one.code, one.code.replace("_", " ").capitalize() + ".")
    return ToldOffer(
        offer_id=offer.id,
        offer=offer.name,
        buyer_id=offer.buyer_id,
        buyer=offer.buyer_id if buyer is None else buyer.name,
        taken=one.taken,
        code=one.code,
        text=template.format_map(_Values(one.values)),
        values=one.values,
        rank=one.rank,
        price=one.price,
    )


def _attempt(call: Call, attempt: Attempt, plan: CompiledPlan) -> ToldAttempt:
    offer = plan.offers.get(attempt.offer_id) if attempt.offer_id is not None else None
    return ToldAttempt(
        id=attempt.id,
        number=attempt.number,
        state=attempt.state,
        offer_id=attempt.offer_id,
        offer="The fallback number" if offer is None else offer.name,
        buyer_id=attempt.buyer_id,
        refusal=attempt.refusal,
        outcome=attempt.outcome,
        reserved_at=attempt.reserved_at,
        dialled_at=attempt.dialled_at,
        answered_at=attempt.answered_at,
        accepted_at=attempt.accepted_at,
        ended_at=attempt.ended_at,
        ring_ms=attempt.ring_ms,
        leg_ms=attempt.leg_ms,
        bridged_ms=attempt.bridged_ms,
        precision=attempt.precision,
        ended_by=attempt.ended_by,
        sip_code=attempt.sip_code,
        price=attempt.price,
        bid=attempt.bid,
        held_revenue=attempt.claim.revenue_max,
        held_payout=attempt.claim.payout_max,
        settled=attempt.settled,
        billed=attempt.id == call.billed_attempt,
        recording_url=attempt.recording_url,
    )
