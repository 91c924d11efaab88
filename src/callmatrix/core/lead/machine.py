"""The form's machine: `step(lead, event, plan)`, pure and total over (state, event)."""

from datetime import timedelta
from typing import Final, assert_never

from callmatrix.core.auction import PingResult
from callmatrix.core.call.commands import Look, Ping, Post, Reserve, Simulate
from callmatrix.core.campaign import MAX_TIMEOUT_MS, MIN_TIMEOUT_MS
from callmatrix.core.caps import Claim, Settlement
from callmatrix.core.ids import AttemptId, CallId, OfferId, attempt_id
from callmatrix.core.lead import events, settlement
from callmatrix.core.lead.draft import Draft, Step
from callmatrix.core.lead.facts import facts_of
from callmatrix.core.lead.screening import rejected
from callmatrix.core.lead.value import OVER, Attempt, FormLead, State
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.routing import Asked, Chosen, Given, decide

# A claim outlives the longest post, and the sweep that finds a post which nobody answers any more.
CLAIM_S: Final = MAX_TIMEOUT_MS // 1_000 + 300
MAX_REFUSED_CLAIMS: Final = 20
# Answers after which the buyer may have the lead all the same: it is looked at by people.
UNCERTAIN: Final = frozenset({"timed_out", "malformed", "too_large", "interrupted"})


def step(lead: FormLead, event: events.Event, plan: CompiledPlan) -> Step:
    """Take one event. An event that does not fit the state changes nothing but the version and says so."""
    draft = Draft(lead, plan, event.at)
    match event:
        case events.Submitted():
            _submit(draft, event)
        case events.Looked():
            _looked(draft, event)
        case events.BidsReturned():
            _bids_returned(draft, event)
        case events.Reserved():
            _reserved(draft, event)
        case events.CapFull():
            _cap_full(draft, event)
        case events.PostAnswered():
            _post_answered(draft, event)
        case events.TimedOut():
            _timed_out(draft, event)
        case events.Adjusted():
            settlement.adjusted(draft, event)
        case _:
            assert_never(event)
    return draft.step()


def _submit(draft: Draft, event: events.Submitted) -> None:
    if draft.lead.state != "new":
        draft.note("already_submitted")
        return
    draft.set(
        submitted_at=event.at,
        contact=event.contact,
        fields=event.fields,
        consent=event.consent,
        source_url=event.source_url,
        ip=event.ip,
        external_id=event.external_id,
        publisher_id=event.publisher_id,
        test=event.test,
        pings=event.pings,
    )
    found = rejected(draft.plan.campaign.form, event)
    if found is not None:
        code, values = found
        draft.note(code, **values)
        draft.set(rejected=code)
        _end(draft, "rejected", reason=code)
        return
    _look(draft)


def _look(draft: Draft) -> None:
    """Ask how the world stands, unless the bounds of this lead are used up."""
    lead, campaign = draft.lead, draft.plan.campaign
    refused = sum(1 for attempt in lead.attempts if attempt.state == "refused")
    posted = len(lead.attempts) - refused
    if posted >= campaign.plan.max_attempts or refused >= MAX_REFUSED_CLAIMS:
        draft.note("attempts_used_up", posted=posted, refused=refused)
        _end(draft, "unsold", reason="attempts_used_up")
        return
    since = lead.submitted_at or draft.at
    if draft.at - since >= timedelta(seconds=campaign.form.sell_within_s):
        draft.note("out_of_time", within_s=campaign.form.sell_within_s)
        _end(draft, "unsold", reason="out_of_time")
        return
    draft.ask(Look(), state="asking")


def _looked(draft: Draft, event: events.Looked) -> None:
    if not isinstance(draft.lead.question, Look):
        draft.note("nothing_asked")
        return
    _choose(draft, event)


def _bids_returned(draft: Draft, event: events.BidsReturned) -> None:
    question = draft.lead.question
    if not isinstance(question, Ping) or question.round != event.round:
        draft.note("nothing_asked")
        return
    _take(draft, event)
    _choose(draft, event)


def _choose(draft: Draft, event: events.Looked | events.BidsReturned) -> None:
    decision = decide(draft.plan, _given(draft, event))
    draft.decision = decision.trace
    if decision.simulate and not draft.lead.attempts and draft.lead.auctions == 0:
        draft.order(Simulate(offer_ids=decision.simulate, deadline_ms=_left_ms(draft)))
    if decision.ask:
        _ping(draft, decision.ask)
    elif decision.chosen is None:
        draft.note("nobody_eligible")
        _end(draft, "unsold", reason="nobody_eligible")
    else:
        _claim(draft, decision.chosen)


def given_at(lead: FormLead, plan: CompiledPlan, event: events.Looked | events.BidsReturned) -> Given:
    """What the decision of this event knew; `lead` is as it was before the event."""
    draft = Draft(lead, plan, event.at)
    if isinstance(event, events.BidsReturned):
        _take(draft, event)
    return _given(draft, event)


def _given(draft: Draft, event: events.Looked | events.BidsReturned) -> Given:
    lead = draft.lead
    return Given(
        facts=facts_of(lead, event.at),
        looked=event.world,
        at=event.at,
        draw=event.draw,
        attempt_number=len(lead.attempts) + 1,
        tried=tuple(attempt.offer_id for attempt in lead.attempts),
        bids=lead.bids,
        asked=lead.asked,
        may_ask=lead.pings and _left_ms(draft) >= MIN_TIMEOUT_MS,
        channel=lead.channel,
    )


# --- the auction -----------------------------------------------------------------------------------------


def _left_ms(draft: Draft) -> int:
    """What the rounds since the last post have left of the campaign's deadline (rule 4)."""
    return draft.plan.campaign.auction.deadline_ms - draft.lead.auction_ms


def _ping(draft: Draft, offer_ids: tuple[OfferId, ...]) -> None:
    question = Ping(round=draft.lead.auctions + 1, offer_ids=offer_ids, deadline_ms=_left_ms(draft))
    draft.ask(question, state="asking", auctions=question.round)


def _take(draft: Draft, event: events.BidsReturned) -> None:
    """Keep what came back: each offer's latest bid, who was asked how often, and the time it took."""
    lead = draft.lead
    results = {result.offer_id: result for result in event.results}
    before = {one.offer_id: one for one in lead.asked}
    again = [_asked(result, before.get(result.offer_id)) for result in event.results]
    draft.set(
        bids=(
            *(bid for bid in lead.bids if bid.offer_id not in results),
            *(result.bid for result in event.results if result.bid is not None),
        ),
        asked=(*(one for one in lead.asked if one.offer_id not in results), *again),
        auction_ms=lead.auction_ms + event.spent_ms,
    )
    bids = sum(1 for result in event.results if result.bid is not None)
    draft.note("auction", round=event.round, pings=len(event.results), bids=bids, spent_ms=event.spent_ms)


def _asked(result: PingResult, before: Asked | None) -> Asked:
    return Asked(
        offer_id=result.offer_id,
        times=1 if before is None else before.times + 1,
        code=result.code,
        detail=result.detail,
    )


# --- the sale --------------------------------------------------------------------------------------------


def _claim(draft: Draft, chosen: Chosen) -> None:
    """Order the reservation of the chosen offer; a test ends with the choice (rule 2)."""
    lead, offer = draft.lead, draft.plan.offers[chosen.offer_id]
    number = len(lead.attempts) + 1
    claim = Claim(
        attempt_id=attempt_id(CallId(lead.id), number),
        call_id=CallId(lead.id),
        campaign_id=lead.campaign_id,
        expires_at=draft.at + timedelta(seconds=CLAIM_S),
        offer_id=offer.id,
        buyer_id=offer.buyer_id,
        publisher_id=lead.publisher_id,
        revenue_max=chosen.revenue_max,
        payout_max=chosen.payout_max,
    )
    attempt = Attempt(
        id=claim.attempt_id,
        number=number,
        claim=claim,
        reserved_at=draft.at,
        offer_id=offer.id,
        buyer_id=offer.buyer_id,
        price=chosen.price,
        amount=chosen.revenue_max,
        bid=chosen.bid,
        won=chosen.won,
        earns=chosen.earns,
        pays_publisher=chosen.pays_publisher,
    )
    draft.set(attempts=(*lead.attempts, attempt))
    if lead.test:
        draft.change(attempt, state="chosen", settled=True)
        draft.note("test_chosen", offer=offer.id)
        _end(draft, "tested", reason="test")
        return
    draft.ask(Reserve(claim=claim), state="reserving")


def _reserved(draft: Draft, event: events.Reserved) -> None:
    attempt = _claimed(draft, event.attempt_id)
    if attempt is None:
        draft.note("grant_not_asked")
        settlement.release(draft, event.attempt_id)
        return
    pays = attempt.pays_publisher and event.pays_publisher
    draft.change(attempt, state="posting", pays_publisher=pays, posted_at=event.at)
    draft.set(auction_ms=0)
    bidder = draft.plan.offers[attempt.offer_id].bidder
    deadline_ms = MAX_TIMEOUT_MS if bidder is None else bidder.timeout_ms
    draft.ask(Post(attempt_id=attempt.id, deadline_ms=deadline_ms), state="posting")


def _cap_full(draft: Draft, event: events.CapFull) -> None:
    attempt = _claimed(draft, event.attempt_id)
    if attempt is None:
        draft.note("refusal_not_asked")
        return
    owner = f"{event.owner.kind} {event.owner.id}"
    cap = f"{event.metric} per {event.window}" if event.metric else ""
    draft.note(event.code, owner=owner, cap=cap, limit=event.limit, used=event.used)
    refused = draft.change(attempt, state="refused", code=event.code, answered_at=event.at, settled=True)
    if event.code in ("paused", "closed"):
        # Said by the configuration, perhaps to somebody who asks again for a claim that is held already.
        draft.change(refused, settlement=Settlement(attempt_id=attempt.id))
        settlement.release(draft, attempt.id)
    _look(draft)


def _post_answered(draft: Draft, event: events.PostAnswered) -> None:
    attempt, question = draft.attempt(event.attempt_id), draft.lead.question
    waits = isinstance(question, Post) and question.attempt_id == event.attempt_id
    if attempt is None or attempt.state != "posting" or not waits:
        draft.note("answer_too_late", answer=event.code or "accepted")
        if not event.code and draft.lead.sold_to is not attempt:
            draft.set(review="accepted_late")
        return
    if not event.code:
        settlement.sell(draft, attempt, event)
        return
    draft.note("post_refused", answer=event.code, detail=event.detail)
    if event.code in UNCERTAIN:
        draft.set(review="post_unanswered")
    draft.change(
        attempt,
        state="declined",
        code=event.code,
        detail=event.detail,
        answered_at=event.at,
        reference=event.reference,
        settled=True,
        settlement=Settlement(attempt_id=attempt.id),
    )
    settlement.release(draft, attempt.id)
    _look(draft)


def _timed_out(draft: Draft, event: events.TimedOut) -> None:
    """Who asked a question died. A reservation is asked again by its id; an auction is held again, as a new
    round; a post is never sent twice, so its buyer is passed over."""
    question = draft.lead.question
    match question:
        case None:
            draft.note("nothing_asked")
        case Post(attempt_id=posted):
            answer = events.PostAnswered(at=event.at, attempt_id=posted, code="interrupted")
            _post_answered(draft, answer)
        case Ping(offer_ids=offer_ids):
            draft.note("auction_interrupted", round=question.round)
            _ping(draft, offer_ids)
        case Look() | Reserve():
            draft.order(question)
        case _:
            draft.note("nothing_asked")


def _claimed(draft: Draft, wanted: AttemptId) -> Attempt | None:
    """The attempt whose claim is out."""
    attempt, question = draft.attempt(wanted), draft.lead.question
    waits = isinstance(question, Reserve) and question.claim.attempt_id == wanted
    return attempt if waits and attempt is not None and attempt.state == "reserving" else None


def _end(draft: Draft, state: State, *, reason: str) -> None:
    assert state in OVER
    draft.set(state=state, question=None, end_reason=reason, ended_at=draft.at)
