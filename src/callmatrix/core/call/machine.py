"""The call machine: `step(call, event, plan)`, pure and total over (state, event)."""

from typing import Final, assert_never

import msgspec

from callmatrix.core.auction import may_dial
from callmatrix.core.call import bidding, dialling, events, ivr, legs, settlement
from callmatrix.core.call.commands import Fetch, HangUp, Look, Ping, Post, Reject, Reserve
from callmatrix.core.call.draft import Draft, Step
from callmatrix.core.call.screening import blocked
from callmatrix.core.call.value import Attempt, Call
from callmatrix.core.campaign import FallbackMessage
from callmatrix.core.flow import Digits, FlowInput, LookupAnswered, LookupFailed, Silence, Started
from callmatrix.core.geo import caller_geo
from callmatrix.core.ids import AttemptId
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.rtb import SoldBid, geo_of_request

# How long to wait for a leg's end that should come with the call's own before asking the carrier.
LATE_LEG_S: Final = 10


def step(call: Call, event: events.Event, plan: CompiledPlan) -> Step:
    """Take one event. An event that does not fit the state changes nothing but the version and says so."""
    draft = Draft(call, plan, event.at)
    match event:
        case events.Arrived():
            _arrive(draft, event)
        case events.FailedSafe():
            _failed_safe(draft, event.asked)
        case events.DigitsEntered():
            _answer_gather(draft, Digits(digits=event.digits), turn=event.turn, draw=event.draw)
        case events.GatherTimedOut():
            _answer_gather(draft, Silence(), turn=event.turn, draw=event.draw)
        case events.Fetched():
            _fetched(draft, event)
        case events.Looked():
            _looked(draft, event)
        case events.BidsReturned():
            _bids_returned(draft, event)
        case events.PostAnswered():
            _post_answered(draft, event)
        case events.Reserved():
            _reserved(draft, event)
        case events.CapFull():
            _cap_full(draft, event)
        case events.LegRinging():
            legs.ringing(draft, event)
        case events.LegAnswered():
            legs.answered(draft, event)
        case events.AcceptanceEntered():
            legs.acceptance(draft, event)
        case events.LegEnded():
            legs.ended(draft, event)
        case events.LegReported():
            _leg_reported(draft, event)
        case events.RecordingReady():
            _recording(draft, event)
        case events.VoicemailEnded():
            _voicemail_ended(draft)
        case events.CallEnded():
            _call_ended(draft, event)
        case events.TimedOut():
            _timed_out(draft, event)
        case events.ConversionReported():
            settlement.conversion_reported(draft, event)
        case events.Adjusted():
            settlement.adjusted(draft, event)
        case events.Rerated():
            settlement.rerated(draft, event)
        case events.Disposed():
            draft.set(disposition=event.disposition)
        case _:
            assert_never(event)
    return draft.step()


def _arrive(draft: Draft, event: events.Arrived) -> None:
    if draft.call.state != "new":
        draft.note("already_arrived")
        return
    draft.set(
        arrived_at=event.at,
        caller=event.caller,
        dialed=event.dialed,
        number_id=event.number_id,
        connection_id=event.connection_id,
        carrier_ref=event.carrier_ref,
        publisher_id=event.publisher_id,
        pays_late=event.pays_late,
        attestation=event.attestation,
        tags=event.tags,
        test=event.test,
        pings=event.pings,
        geo=caller_geo(event.caller, None),
    )
    if isinstance(event.sold, SoldBid):
        _sold(draft, event.sold)
    if event.failed_safe:
        _failed_safe(draft, "arrival")
        return
    campaign = draft.plan.campaign
    reason = blocked(campaign.screening, event)
    if reason is not None:
        code, values = reason
        draft.note(code, **values)
        draft.set(blocked=code, state="closing", end_reason=code)
        settlement.drop_claims(draft)
        draft.order(Reject(reason="rejected"))
    elif event.campaign_status != "live":
        draft.note("campaign_not_live", status=event.campaign_status)
        _turn_away(draft, code=f"campaign_{event.campaign_status}")
    elif not event.campaign_open:
        draft.note("campaign_closed")
        _turn_away(draft, code="campaign_closed")
    else:
        ivr.walk(draft, Started(), draw=event.draw)


def _sold(draft: Draft, sold: SoldBid) -> None:
    """The call answers a bid: what its seller said of the caller is known, as are the bids it rests on."""
    draft.note("sold", bid=sold.bid_id, amount=sold.amount, min_s=sold.min_s)
    draft.set(
        sold=sold,
        geo=geo_of_request(draft.call.caller, sold.zip, sold.state),
        tags=draft.call.tags | sold.fields,
        fields=sold.fields,
        bids=sold.bids,
        asked=sold.asked,
        auctions=sold.rounds,
    )
    if sold.held is not None:
        dialling.hold(draft, sold.held)


def _failed_safe(draft: Draft, asked: str) -> None:
    """The caller got the fail-safe number or message: what was meant for them no longer matters."""
    if draft.call.state == "ended":
        draft.note("already_ended")
        return
    draft.note("failed_safe", asked=asked)
    settlement.drop_claims(draft)
    if asked != "fallback":
        # The reply that ordered the dial was never heard. A fallback may follow on a dial that was.
        settlement.drop_unheard(draft)
    draft.set(state="closing", question=None, spoken=(), end_reason=draft.call.end_reason or "failed_safe")


def _turn_away(draft: Draft, *, code: str) -> None:
    """A paused or closed campaign: its closed treatment, which may dial (with a reservation)."""
    draft.set(end_reason=code)
    settlement.drop_claims(draft)
    dialling.treat(draft, draft.plan.campaign.closed_treatment)


def _answer_gather(draft: Draft, given: FlowInput, *, turn: int, draw: int) -> None:
    if draft.call.state != "ivr" or draft.call.turn != turn:
        _too_late(draft, "gather_not_asked", turn=turn)
        return
    ivr.walk(draft, given, draw=draw)


def _fetched(draft: Draft, event: events.Fetched) -> None:
    if draft.call.state != "asking" or not isinstance(draft.call.question, Fetch):
        draft.note("answer_not_asked")
        return
    draft.set(question=None)
    given = LookupFailed(code=event.code) if event.code else LookupAnswered(values=event.values)
    ivr.walk(draft, given, draw=event.draw)


def _looked(draft: Draft, event: events.Looked) -> None:
    if draft.call.state != "asking" or not isinstance(draft.call.question, Look | None):
        draft.note("answer_not_asked")
        return
    draft.set(question=None)
    dialling.choose(draft, event)


def _bids_returned(draft: Draft, event: events.BidsReturned) -> None:
    question = draft.call.question
    if draft.call.state != "asking" or not isinstance(question, Ping) or question.round != event.round:
        draft.note("answer_not_asked")
        return
    draft.set(question=None)
    bidding.take(draft, event)
    dialling.choose(draft, event)


def _reserved(draft: Draft, event: events.Reserved) -> None:
    attempt = draft.attempt(event.attempt_id)
    if attempt is not None and _is_posting(draft, attempt.id):
        draft.note("already_granted", attempt=event.attempt_id)
        return
    if attempt is None or attempt.state != "reserving" or not isinstance(draft.call.question, Reserve):
        draft.note("grant_not_wanted", attempt=event.attempt_id)
        if attempt is None or attempt.dialled_at is None:
            settlement.release(draft, event.attempt_id)
        return
    attempt = draft.change(attempt, pays_publisher=attempt.pays_publisher and event.pays_publisher)
    if not bidding.posts_before_dial(draft, attempt):
        dialling.connect(draft, attempt)
    elif bidding.has_time(draft):
        bidding.post_first(draft, attempt)
    else:
        _post_refused(draft, attempt, code="out_of_time")


def _is_posting(draft: Draft, attempt_id: AttemptId) -> bool:
    question = draft.call.question
    return isinstance(question, Post) and question.attempt_id == attempt_id


def _post_answered(draft: Draft, event: events.PostAnswered) -> None:
    attempt = draft.attempt(event.attempt_id)
    if attempt is None or attempt.state != "reserving" or not _is_posting(draft, attempt.id):
        draft.note("answer_not_asked")
        return
    draft.set(auction_ms=draft.call.auction_ms + event.spent_ms)
    attempt = draft.change(attempt, posted=True, post_reference=event.reference)
    if event.code:
        _post_refused(draft, attempt, code=event.code, detail=event.detail)
        return
    assert attempt.offer_id is not None
    if not may_dial(draft.plan.offers[attempt.offer_id], event.destination):
        _post_refused(draft, attempt, code="bad_destination")
        return
    if event.destination is not None and attempt.won is not None:
        won = msgspec.structs.replace(attempt.won, destination=event.destination)
        attempt = draft.change(attempt, won=won)
    dialling.connect(draft, attempt)


def _post_refused(draft: Draft, attempt: Attempt, *, code: str, detail: str = "") -> None:
    draft.note("post_refused", answer=code, detail=detail)
    settlement.release(draft, attempt.id)
    dialling.refuse(draft, attempt, code="post_refused")


def _cap_full(draft: Draft, event: events.CapFull) -> None:
    attempt = draft.attempt(event.attempt_id)
    if attempt is None or attempt.state != "reserving" or not isinstance(draft.call.question, Reserve):
        draft.note("grant_not_wanted", attempt=event.attempt_id)
        return
    owner = f"{event.owner.kind} {event.owner.id}"
    cap = f"{event.metric} per {event.window}" if event.metric else ""
    draft.note(event.code, owner=owner, cap=cap, limit=event.limit, used=event.used)
    if event.code in ("paused", "closed"):
        # Said by the configuration, perhaps to somebody who asks again for a claim that is held already.
        settlement.release(draft, attempt.id)
    dialling.refuse(draft, attempt, code=event.code)


def _leg_reported(draft: Draft, event: events.LegReported) -> None:
    attempt = draft.attempt(event.leg.attempt_id)
    if attempt is None or attempt.settled:
        draft.note("leg_already_settled", attempt=event.leg.attempt_id)
        return
    if attempt.reported is not None:
        draft.note("leg_already_reported", attempt=attempt.id)
        return
    draft.change(attempt, reported=event.leg)


def _recording(draft: Draft, event: events.RecordingReady) -> None:
    if event.attempt_id is None:
        draft.set(voicemail_url=event.url)
        return
    attempt = draft.attempt(event.attempt_id)
    if attempt is None:
        draft.note("unknown_attempt", attempt=event.attempt_id)
        return
    draft.change(attempt, recording_url=event.url)


def _voicemail_ended(draft: Draft) -> None:
    if draft.call.state != "voicemail":
        _too_late(draft, "voicemail_not_asked")
        return
    draft.set(state="closing", end_reason=draft.call.end_reason or "voicemail")
    draft.reply(HangUp())


def _too_late(draft: Draft, code: str, **values: object) -> None:
    """A reply is due but nothing fits: a call that is over is hung up, any other is left as it is."""
    draft.note(code, **values)
    if draft.call.state in ("closing", "ended"):
        draft.order(HangUp())


def _call_ended(draft: Draft, event: events.CallEnded) -> None:
    """The caller is gone. Legs still open settle by their own ends: named here, reported, or asked for."""
    call = draft.call
    if call.state == "new":
        draft.note("never_arrived")
        return
    if call.state != "ended":
        draft.set(
            state="ended",
            question=None,
            spoken=(),
            ended_at=event.at,
            ended_by=event.ended_by,
            end_reason=call.end_reason or event.reason,
            duration_ms=event.duration_ms,
        )
        settlement.drop_claims(draft)
    elif call.duration_ms is None and event.duration_ms is not None:
        draft.set(duration_ms=event.duration_ms)
    for leg in event.legs:
        legs.ended(draft, leg)
    open_legs = [attempt for attempt in draft.call.attempts if not attempt.settled]
    if open_legs and not event.asked:
        legs.ask_carrier_later(draft, after_s=LATE_LEG_S)
        return
    for attempt in open_legs:
        settlement.settle_unknown(draft, attempt, event.history)
    if draft.call.duration_ms is None and not event.asked:
        legs.ask_carrier_later(draft, after_s=LATE_LEG_S)
        return
    settlement.close_books(draft, final=event.asked)


def _timed_out(draft: Draft, event: events.TimedOut) -> None:
    """A question that nobody answered: say the last words; a call that should be over: ask the carrier."""
    if event.what == "call":
        if draft.call.state != "ended" or not draft.call.cost_booked:
            legs.ask_carrier_later(draft, after_s=0)
        return
    if draft.call.question is None:
        draft.note("nothing_asked")
        return
    draft.set(question=None)
    settlement.drop_claims(draft)
    dialling.last_words(draft, FallbackMessage(), code="question_timed_out")
