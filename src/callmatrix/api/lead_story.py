"""The story of one form: its events taken again, each told with what was decided and why."""

from typing import Final, assert_never

import msgspec

from callmatrix.api.call_story import names_of, told_decision
from callmatrix.api.call_views import ToldDecision, ToldNote
from callmatrix.api.lead_views import LeadAttempt, LeadMoment, LeadMoney
from callmatrix.api.sentences import told_note
from callmatrix.core.call.draft import Note, StepTrace
from callmatrix.core.lead import Attempt, FormLead, events, given_at, step
from callmatrix.core.ledger import Transaction
from callmatrix.core.plan import CompiledPlan
from callmatrix.store.leads import StoredEvent

# A note's code -> what it says of a form; `{name}` is a compared value. Others are told as of calls.
FORM_NOTES: Final[dict[str, str]] = {
    "already_submitted": "The form was here before; nothing changed.",
    "adjusted_too_often": "Nothing was booked: the lead was adjusted {most} times, the most there is.",
    "answer_too_late": "The answer ({answer}) came when nobody waited for it any more; nothing was booked.",
    "already_adjusted": "This adjustment was booked before; nothing changed.",
    "attempts_used_up": "No further buyer gets it: {posted} posts, {refused} refused by limits.",
    "auction_interrupted": "Round {round} of pings was lost with its process; it is held again.",
    "campaign_archived": "Refused: the campaign is archived.",
    "campaign_closed": "Refused: the campaign was outside its hours.",
    "campaign_draft": "Refused: the campaign is a draft.",
    "campaign_paused": "Refused: the campaign is paused.",
    "block_list": "Refused by the block-list entry {entry}.",
    "grant_not_asked": "The reservation came too late and was given back.",
    "nobody_eligible": "No offer could take the lead.",
    "out_of_time": "Not sold within {within_s} s.",
    "nothing_asked": "Nothing was waited for; nothing changed.",
    "more_than_left": (
        "Nothing was booked: only {credit_left} can be credited and {clawback_left} clawed back."
    ),
    "auction": "Round {round}: {pings} bidders were pinged, {bids} bid, in {spent_ms} ms.",
    "post_refused": "The buyer did not take the lead ({answer}); the next best is tried.",
    "phone_kind": "Refused: nobody can be called back on this phone ({kind}).",
    "publisher_paused": "Refused: the publisher {publisher} is paused.",
    "refusal_not_asked": "A refusal came too late; nothing changed.",
    "repeat": "Refused: the same phone came {seconds} s before (within {within_s} s).",
    "sold": "Sold to {buyer} for {amount}.",
    "test_chosen": "A test: {offer} would have got it.",
    "trap_filled": "Refused: the field {field}, which people don't see, was filled.",
    "revenue_duplicate": "Revenue: none, a duplicate of {original}.",
    "revenue_converted": "Revenue: the buyer owes for this lead.",
    "payout_paid": "Payout: the publisher earns for this lead.",
    "payout_duplicate": "Payout: none, a duplicate of {original}.",
    "payout_below_threshold": "Payout: none, the publisher's terms ask for a call's duration.",
    "payout_publisher_not_on_call": "Payout: none, no publisher brought this lead.",
}


class _Values(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


def begun(lead: FormLead) -> FormLead:
    """The lead before its first event."""
    return FormLead(
        id=lead.id,
        account_id=lead.account_id,
        campaign_id=lead.campaign_id,
        plan_version=lead.plan_version,
        channel=lead.channel,
    )


def timeline(
    lead: FormLead, stored: tuple[StoredEvent, ...], plan: CompiledPlan
) -> tuple[tuple[LeadMoment, ...], bool]:
    """Every event told, and whether taking them again leads to the lead as it is stored."""
    names = names_of(plan)
    before = begun(lead)
    moments: list[LeadMoment] = []
    for one in stored:
        moments.append(
            LeadMoment(
                version=one.version,
                at=one.at,
                kind=str(one.event.__struct_config__.tag),
                text=told_event(one.event, before, names),
                notes=tuple(_note(note) for note in one.trace.notes),
                decision=_decision(one.event, one.trace, before, plan),
                pings=one.event.results if isinstance(one.event, events.BidsReturned) else (),
            )
        )
        before = step(before, one.event, plan).lead
    return tuple(moments), before == lead


def told_attempts(lead: FormLead, plan: CompiledPlan) -> tuple[LeadAttempt, ...]:
    """The posts of a lead, in order."""
    return tuple(_attempt(attempt, plan) for attempt in lead.attempts)


def own_attempts(lead: FormLead, plan: CompiledPlan, buyer_id: str | None) -> tuple[LeadAttempt, ...]:
    """The posts that went to one buyer, without the publisher's money."""
    return tuple(
        msgspec.structs.replace(_attempt(attempt, plan), held_payout=None)
        for attempt in lead.attempts
        if buyer_id is not None and attempt.buyer_id == buyer_id
    )


def told_money(lead: FormLead, transactions: tuple[Transaction, ...]) -> LeadMoney:
    """What a lead came to."""
    amounts = lead.amounts
    revenue, payout = amounts.revenue - amounts.credited, amounts.payout - amounts.clawed_back
    return LeadMoney(
        revenue=revenue,
        payout=payout,
        profit=revenue - payout,
        credited=amounts.credited,
        clawed_back=amounts.clawed_back,
        credit_left=revenue,
        clawback_left=payout,
        adjustments=lead.adjustments,
        revision=amounts.revision,
        rating=lead.rating,
        transactions=transactions,
    )


def told_event(event: events.Event, before: FormLead, names: dict[str, str]) -> str:
    """What happened. `before` is the lead when it happened; `names` are those of offers and others by id."""
    match event:
        case events.Submitted():
            by = (
                f", sent by {names.get(event.publisher_id, event.publisher_id)}" if event.publisher_id else ""
            )
            return f"A form of {event.contact.phone} came in{by}."
        case events.Looked():
            return "The open offers, the rotation and the phone's history were read for routing."
        case events.BidsReturned():
            bids = [result.bid for result in event.results if result.bid is not None]
            best = f", the best {max(bid.amount for bid in bids)}" if bids else ""
            return f"{len(event.results)} asked: {len(bids)} bids{best}, in {event.spent_ms} ms."
        case events.Reserved():
            return f"Capacity for {_offer(event.attempt_id, before, names)} was reserved; it gets the lead."
        case events.CapFull():
            return f"Capacity for {_offer(event.attempt_id, before, names)} was refused ({event.code})."
        case events.PostAnswered():
            offer = _offer(event.attempt_id, before, names)
            return f"{offer} refused the lead ({event.code})." if event.code else f"{offer} took the lead."
        case events.TimedOut():
            return "An answer never came."
        case events.Adjusted():
            return (
                f"{event.by} credited {event.credit} to the buyer and clawed back {event.clawback}"
                f" from the publisher: {event.reason}."
            )
        case _:
            assert_never(event)


def _note(note: Note) -> ToldNote:
    template = FORM_NOTES.get(note.code)
    text = told_note(note) if template is None else template.format_map(_Values(note.values))
    return ToldNote(code=note.code, text=text, values=note.values)


def _decision(
    event: events.Event, trace: StepTrace, before: FormLead, plan: CompiledPlan
) -> ToldDecision | None:
    if trace.decision is None or not isinstance(event, events.Looked | events.BidsReturned):
        return None
    return told_decision(plan, trace.decision, given_at(before, plan, event))


def _attempt(attempt: Attempt, plan: CompiledPlan) -> LeadAttempt:
    return LeadAttempt(
        id=attempt.id,
        number=attempt.number,
        state=attempt.state,
        offer_id=attempt.offer_id,
        offer=plan.offers[attempt.offer_id].name,
        buyer_id=attempt.buyer_id,
        code=attempt.code,
        detail=attempt.detail,
        reserved_at=attempt.reserved_at,
        posted_at=attempt.posted_at,
        answered_at=attempt.answered_at,
        price=attempt.price,
        bid=attempt.bid,
        amount=attempt.amount,
        reference=attempt.reference,
        held_payout=attempt.claim.payout_max,
        settled=attempt.settled,
    )


def _offer(attempt_id: str, before: FormLead, names: dict[str, str]) -> str:
    attempt = next((one for one in before.attempts if one.id == attempt_id), None)
    return "an unknown attempt" if attempt is None else names.get(attempt.offer_id, attempt.offer_id)
