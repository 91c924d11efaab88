"""The buyer's leg: ringing, whisper, acceptance, its end, and what the call does next."""

from typing import Final

from callmatrix.core.call import bidding, dialling, settlement
from callmatrix.core.call.commands import AskAcceptance, Bridge, Enqueue, HangUp
from callmatrix.core.call.draft import Draft
from callmatrix.core.call.events import AcceptanceEntered, LegAnswered, LegEnded, LegRinging, Outcome
from callmatrix.core.call.value import Attempt
from callmatrix.core.flow import Say

ASK_CARRIER: Final = "ask_carrier"


def ringing(draft: Draft, event: LegRinging) -> None:
    """Kept for the timeline."""
    attempt = draft.attempt(event.attempt_id)
    if attempt is not None and attempt.state == "dialling":
        draft.change(attempt, state="ringing")


def answered(draft: Draft, event: LegAnswered) -> None:
    """What the buyer hears before the bridge. Asked twice, answered the same."""
    attempt = draft.attempt(event.attempt_id)
    if attempt is None or attempt.offer_id is None or not _is_up(draft, attempt):
        draft.note("leg_too_late")
        draft.order(HangUp())
        return
    offer = draft.plan.offers[attempt.offer_id]
    if attempt.state in ("dialling", "ringing"):
        attempt = draft.change(attempt, state="answered", answered_at=event.at)
    if offer.whisper:
        draft.order(Say(text=offer.whisper))
    if offer.acceptance is None:
        bidding.post(draft, attempt)
        draft.order(Bridge())
        return
    prompt, timeout_s = offer.acceptance.prompt, offer.acceptance.timeout_s
    draft.order(AskAcceptance(attempt_id=attempt.id, prompt=prompt, timeout_s=timeout_s))


def acceptance(draft: Draft, event: AcceptanceEntered) -> None:
    """The right key bridges; anything else declines, and the next offer is tried when the leg has ended."""
    attempt = draft.attempt(event.attempt_id)
    if attempt is None or attempt.offer_id is None or not _is_up(draft, attempt):
        draft.note("leg_too_late")
        draft.order(HangUp())
        return
    wanted = draft.plan.offers[attempt.offer_id].acceptance
    if wanted is not None and event.digits != wanted.key:
        draft.note("declined", pressed=event.digits, wanted=wanted.key)
        draft.order(HangUp())
        return
    if attempt.accepted_at is None:
        attempt = draft.change(attempt, state="accepted", accepted_at=event.at)
    bidding.post(draft, attempt)
    draft.order(Bridge())


def ended(draft: Draft, event: LegEnded) -> None:
    """Settle the attempt; then hang up, route again, or leave the closing to the caller's end."""
    attempt = draft.attempt(event.attempt_id)
    if attempt is None or attempt.dialled_at is None:
        draft.note("unknown_attempt", attempt=event.attempt_id)
        return
    if attempt.settled:
        draft.note("leg_already_settled", attempt=attempt.id)
        return
    attempt = _with_end(draft, attempt, event)
    draft.caller_gone = event.caller_gone
    if attempt.outcome == "answered":
        attempt = bidding.post(draft, attempt)  # where the carrier did not say earlier that it was bridged
    connected = settlement.settle_attempt(draft, attempt, event.history)
    if draft.call.state == "ended":
        settlement.close_books(draft, final=False)
        return
    if event.caller_gone:
        draft.set(state="closing", end_reason=draft.call.end_reason or "caller_hung_up")
        return
    if not connected:
        go_on(draft)
        return
    draft.set(state="closing", end_reason="completed_by_buyer")
    draft.reply(HangUp())


def _is_up(draft: Draft, attempt: Attempt) -> bool:
    """Whether a leg that we dialled may still be bridged to the caller."""
    dialled = attempt.state in ("dialling", "ringing", "answered", "accepted")
    return dialled and draft.call.state == "dialling"


def go_on(draft: Draft) -> None:
    """The caller is still there and nobody has them: try the next offer, or fall back."""
    if draft.call.treatment is not None:
        dialling.fall_back(draft, draft.plan.campaign.fallback)
    else:
        dialling.ask(draft)


def _with_end(draft: Draft, attempt: Attempt, event: LegEnded) -> Attempt:
    return draft.change(
        attempt,
        state="ended",
        outcome=_outcome(draft, attempt, event),
        ring_ms=event.ring_ms,
        leg_ms=event.leg_ms,
        bridged_ms=event.bridged_ms,
        precision=event.precision,
        ended_by=event.ended_by,
        sip_code=event.sip_code,
        ended_at=event.at,
    )


def _outcome(draft: Draft, attempt: Attempt, event: LegEnded) -> Outcome:
    """A carrier calls a leg that was answered but not accepted completed; it was declined (rule 16)."""
    if event.outcome != "answered" or attempt.offer_id is None:
        return event.outcome
    if draft.plan.offers[attempt.offer_id].acceptance is not None and attempt.accepted_at is None:
        return "declined"
    return "answered"


def ask_carrier_later(draft: Draft, *, after_s: int) -> None:
    """A leg's end is missing: let a job ask the carrier for the durations (rule 20)."""
    run_at = dialling.after(draft.at, after_s)
    key = f"{ASK_CARRIER}/{draft.call.id}/{draft.call.version}"
    draft.order(Enqueue(job=ASK_CARRIER, dedupe_key=key, run_at=run_at, payload={"call_id": draft.call.id}))
