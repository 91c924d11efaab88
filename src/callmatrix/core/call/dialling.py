"""From the routing plan to a bridge: look, decide, reserve, connect, fall through, fall back."""

from datetime import datetime, timedelta
from typing import Final, assert_never

from callmatrix.core.call import bidding, events, settlement
from callmatrix.core.call.commands import Connect, HangUp, Look, Record, Reject, Reserve
from callmatrix.core.call.consent import must_prompt
from callmatrix.core.call.draft import Draft
from callmatrix.core.call.facts import facts_of, geo_of, terms_of_sale
from callmatrix.core.call.value import Attempt, Call
from callmatrix.core.campaign import (
    MIN_TIME_LIMIT_S,
    Destination,
    Fallback,
    FallbackBusy,
    FallbackMessage,
    FallbackNumber,
    FallbackOffer,
    FallbackVoicemail,
    PhoneDestination,
)
from callmatrix.core.caps import Claim
from callmatrix.core.flow import Say
from callmatrix.core.ids import attempt_id
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.routing import Chosen, Given, decide

# A leg can outlive its time limit by the carrier's slowness to say so (rule 14).
EXPIRY_MARGIN_S: Final = 120
# A claim refused costs no ringing, so more of them are borne than dials; still a bound.
MAX_REFUSED_CLAIMS: Final = 20
FALLBACK_RING_S: Final = 30
APOLOGY: Final = "We are sorry. Nobody can take your call right now. Please try again later."


def begin(draft: Draft) -> None:
    """The flow hands the caller to the routing plan."""
    if draft.call.routing_started_at is None:
        draft.set(routing_started_at=draft.at)
    ask(draft)


def ask(draft: Draft) -> None:
    """Ask how the world stands, unless the bounds of this call are used up."""
    plan = draft.plan.campaign.plan
    spent = _spent(draft.call)
    dialled = sum(1 for attempt in spent if attempt.state != "refused")
    refused = len(spent) - dialled
    waited_s = _waited_s(draft)
    if dialled >= plan.max_attempts or refused >= MAX_REFUSED_CLAIMS or waited_s >= plan.max_wait_s:
        draft.note("attempts_used_up", dialled=dialled, refused=refused, waited_s=waited_s)
        fall_back(draft, draft.plan.campaign.fallback)
        return
    _look(draft)


def _look(draft: Draft) -> None:
    question = Look()
    draft.set(state="asking", question=question)
    draft.order(question)


def choose(draft: Draft, event: events.Looked | events.BidsReturned) -> None:
    """Decide among the offers by what the world is like; ask for bids, reserve the chosen one, or fall
    back."""
    decision = decide(draft.plan, _given(draft, event))
    draft.decision = decision.trace
    bidding.simulate(draft, decision.simulate)
    if decision.ask:
        bidding.ask(draft, decision.ask)
        return
    held = _held(draft.call)
    if held is not None and decision.chosen is not None and decision.chosen.offer_id == held.offer_id:
        _claim_held(draft, held, decision.chosen)
        return
    if held is not None:
        settlement.release(draft, held.id)
        draft.change(held, state="refused", refusal="held_in_vain", ended_at=draft.at, settled=True)
    if decision.chosen is None:
        draft.note("nobody_eligible")
        fall_back(draft, draft.plan.campaign.fallback)
        return
    claim_offer(draft, decision.chosen)


def given_at(call: Call, plan: CompiledPlan, event: events.Looked | events.BidsReturned) -> Given:
    """What the decision of this event knew; `call` is as it was before the event."""
    draft = Draft(call, plan, event.at)
    if isinstance(event, events.BidsReturned):
        bidding.take(draft, event)
    return _given(draft, event)


def _given(draft: Draft, event: events.Looked | events.BidsReturned) -> Given:
    """What the decision may know: the call's facts, the world, and what was tried."""
    call, plan = draft.call, draft.plan
    held = _held(call)
    return Given(
        facts=facts_of(call, plan, event.at),
        looked=event.world,
        at=event.at,
        draw=event.draw,
        attempt_number=len(_spent(call)) + 1,
        tried=tuple(attempt.offer_id for attempt in _spent(call) if attempt.offer_id is not None),
        tariff=plan.tariff_of(call.connection_id),
        pays_publisher=call.pays_late,
        bids=call.bids,
        asked=call.asked,
        may_ask=bidding.may_ask(draft),
        fallback_only=isinstance(call.treatment, FallbackOffer),
        sold_terms=terms_of_sale(call, plan),
        held=None if held is None else held.offer_id,
    )


def hold(draft: Draft, claim: Claim) -> None:
    """The first attempt's capacity is held already, for the bid by which the call was sold."""
    attempt = Attempt(
        id=claim.attempt_id,
        number=1,
        claim=claim,
        reserved_at=draft.at,
        offer_id=claim.offer_id,
        buyer_id=claim.buyer_id,
    )
    draft.set(attempts=(attempt,))


def _held(call: Call) -> Attempt | None:
    """While offers are chosen, the only claim that is out is the one held for a bid."""
    return next((attempt for attempt in call.attempts if attempt.state == "reserving"), None)


def _spent(call: Call) -> tuple[Attempt, ...]:
    return tuple(attempt for attempt in call.attempts if attempt.state != "reserving")


def _claim_held(draft: Draft, held: Attempt, chosen: Chosen) -> None:
    """Order the reservation that is there: asked again, it is granted while it is held."""
    offer = draft.plan.offers[chosen.offer_id]
    question = Reserve(claim=held.claim)
    draft.change(
        held,
        price=chosen.price,
        bid=chosen.bid,
        won=chosen.won,
        earns=chosen.earns,
        pays_publisher=chosen.pays_publisher,
        time_limit_s=min(offer.time_limit_s, _time_left_s(draft)),
    )
    draft.set(state="reserving", question=question)
    draft.order(question)


def claim_offer(draft: Draft, chosen: Chosen) -> None:
    """Order the reservation of the chosen offer."""
    offer = draft.plan.offers[chosen.offer_id]
    time_limit_s = min(offer.time_limit_s, _time_left_s(draft))
    number = len(draft.call.attempts) + 1
    held_s = offer.ring_timeout_s + time_limit_s + EXPIRY_MARGIN_S
    claim = Claim(
        attempt_id=attempt_id(draft.call.id, number),
        call_id=draft.call.id,
        campaign_id=draft.call.campaign_id,
        expires_at=after(draft.at, held_s),
        offer_id=offer.id,
        buyer_id=offer.buyer_id,
        publisher_id=draft.call.publisher_id,
        revenue_max=chosen.revenue_max,
        payout_max=chosen.payout_max,
        holds_conversion=offer.converts_on == "duration",
    )
    _reserve(
        draft,
        Attempt(
            id=claim.attempt_id,
            number=number,
            claim=claim,
            reserved_at=draft.at,
            offer_id=offer.id,
            buyer_id=offer.buyer_id,
            price=chosen.price,
            bid=chosen.bid,
            won=chosen.won,
            earns=chosen.earns,
            pays_publisher=chosen.pays_publisher,
            time_limit_s=time_limit_s,
        ),
    )


def _reserve(draft: Draft, attempt: Attempt) -> None:
    draft.set(attempts=(*draft.call.attempts, attempt))
    if draft.call.test:  # a test call touches no cap (rule 2)
        connect(draft, attempt)
        return
    question = Reserve(claim=attempt.claim)
    draft.set(state="reserving", question=question)
    draft.order(question)


def connect(draft: Draft, attempt: Attempt) -> None:
    """The claim is held: dial. The caller hears the recording prompt first where one is due."""
    attempt = draft.change(attempt, state="dialling", dialled_at=draft.at)
    draft.set(state="dialling", question=None, auction_ms=0)
    destination, ring_s, caller_id, whisper = _dial_terms(draft, attempt)
    recording = draft.plan.campaign.recording
    record = recording.on and attempt.offer_id is not None
    if record and draft.call.consented_at is None:
        state = geo_of(draft.call, draft.plan).state
        if must_prompt(recording, caller_state=state, destination=destination):
            draft.set(spoken=(*draft.call.spoken, Say(text=recording.prompt)))
            draft.set(consent_version=recording.prompt_version, consented_at=draft.at)
    draft.reply(
        Connect(
            attempt_id=attempt.id,
            destination=destination,
            caller_id=caller_id,
            ring_timeout_s=ring_s,
            time_limit_s=attempt.time_limit_s,
            whisper=whisper,
            record=record,
        )
    )


def _dial_terms(draft: Draft, attempt: Attempt) -> tuple[Destination, int, str, bool]:
    """Destination, ring timeout in seconds, caller id shown, and whether the buyer hears something first."""
    call = draft.call
    caller = call.caller or call.dialed
    if attempt.offer_id is None:
        assert isinstance(call.treatment, FallbackNumber)
        return PhoneDestination(number=call.treatment.number), FALLBACK_RING_S, caller, False
    offer = draft.plan.offers[attempt.offer_id]
    shown = call.dialed if offer.caller_id == "tracked" else caller
    won = attempt.won
    destination = offer.destination if won is None or won.destination is None else won.destination
    return destination, offer.ring_timeout_s, shown, bool(offer.whisper or offer.acceptance)


def refuse(draft: Draft, attempt: Attempt, *, code: str) -> None:
    """The claim was refused: nothing was dialled; look again and choose another."""
    draft.change(attempt, state="refused", refusal=code, ended_at=draft.at, settled=True)
    draft.set(question=None)
    if draft.call.treatment is not None:
        last_words(draft, FallbackMessage(), code="fallback_refused")
    else:
        ask(draft)


def fall_back(draft: Draft, fallback: Fallback) -> None:
    """Nobody takes the call by the plan: do as the campaign says, once."""
    if draft.call.treatment is not None:
        last_words(draft, FallbackMessage(), code="fallback_failed")
        return
    draft.note("fallback", kind=type(fallback).__name__)
    treat(draft, fallback)


def treat(draft: Draft, treatment: Fallback) -> None:
    """Give the caller a fallback or a closed campaign's treatment; those that dial reserve first."""
    draft.set(treatment=treatment, routing_started_at=draft.call.routing_started_at or draft.at)
    match treatment:
        case FallbackOffer(offer_id=offer_id):
            if any(attempt.offer_id == offer_id for attempt in draft.call.attempts):
                last_words(draft, FallbackMessage(), code="fallback_tried")
            else:
                _look(draft)
        case FallbackNumber():
            _claim_number(draft)
        case FallbackVoicemail() | FallbackMessage() | FallbackBusy():
            last_words(draft, treatment, code="fallback")
        case _:
            assert_never(treatment)


def _claim_number(draft: Draft) -> None:
    """A fallback number is nobody's offer: it holds only what account and campaign limit."""
    number = len(draft.call.attempts) + 1
    time_limit_s = _time_left_s(draft)
    claim = Claim(
        attempt_id=attempt_id(draft.call.id, number),
        call_id=draft.call.id,
        campaign_id=draft.call.campaign_id,
        expires_at=after(draft.at, FALLBACK_RING_S + time_limit_s + EXPIRY_MARGIN_S),
        holds_conversion=False,
    )
    _reserve(
        draft,
        Attempt(
            id=claim.attempt_id,
            number=number,
            claim=claim,
            reserved_at=draft.at,
            earns=False,
            time_limit_s=time_limit_s,
        ),
    )


def last_words(draft: Draft, treatment: Fallback, *, code: str) -> None:
    """A treatment that dials nobody. Offers and numbers need a reservation and go through `fall_back`."""
    draft.note(code)
    draft.set(question=None, end_reason=draft.call.end_reason or code)
    match treatment:
        case FallbackVoicemail(prompt=prompt, max_s=max_s):
            draft.set(state="voicemail")
            draft.reply(Say(text=prompt), Record(max_s=max_s))
        case FallbackMessage(text=text):
            draft.set(state="closing")
            draft.reply(Say(text=text), HangUp())
        case FallbackBusy():
            draft.set(state="closing")
            if draft.call.answered or draft.call.spoken:
                draft.reply(HangUp())
            else:
                draft.reply(Reject(reason="busy"))
        case FallbackOffer() | FallbackNumber():
            draft.set(state="closing")
            draft.reply(Say(text=APOLOGY), HangUp())
        case _:
            assert_never(treatment)


def _waited_s(draft: Draft) -> int:
    started = draft.call.routing_started_at or draft.at
    return int((draft.at - started).total_seconds())


def _time_left_s(draft: Draft) -> int:
    """What is left of the campaign's longest call; never below what every carrier accepts."""
    started = draft.call.arrived_at or draft.at
    left_s = draft.plan.campaign.max_call_s - int((draft.at - started).total_seconds())
    return max(left_s, MIN_TIME_LIMIT_S)


def after(at: datetime, seconds: int) -> datetime:
    """The instant `seconds` later."""
    return at + timedelta(seconds=seconds)
