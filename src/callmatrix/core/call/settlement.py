"""What an attempt and a call came to: rating, postings, and giving back what was held."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from callmatrix.core import ledger
from callmatrix.core.call.commands import Book, BookLate, Settle
from callmatrix.core.call.draft import Draft
from callmatrix.core.call.events import Adjusted, ConversionReported, Rerated
from callmatrix.core.call.facts import terms_of_sale
from callmatrix.core.call.value import (
    MAX_ADJUSTMENTS,
    MAX_RERATINGS,
    Adjustment,
    Amounts,
    Attempt,
    Call,
)
from callmatrix.core.caps import LateBooking, Settlement
from callmatrix.core.ids import AttemptId
from callmatrix.core.money import ZERO, Money
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import (
    Disposition,
    Durations,
    PastCall,
    PublisherTerms,
    Rating,
    RatingInput,
    billable_s,
    carrier_cost,
    rate_call,
    rerate,
)

# How long a spoken whisper lasts, for carriers that time only the whole leg: speech synthesis at its
# slowest, so that what is in doubt is not billed (rule 16).
WHISPER_MS_PER_CHARACTER: Final = 90


def settle_attempt(draft: Draft, attempt: Attempt, history: tuple[PastCall, ...]) -> bool:
    """Rate and settle an attempt whose leg has ended; True where the caller was connected.

    A call has at most one buyer billed: once one is, later attempts are settled without rating.
    """
    connected = attempt.outcome == "answered"
    if not connected or draft.call.billed_attempt is not None:
        _settle(draft, attempt, connected=connected)
        return connected
    draft.set(connected_at=draft.call.connected_at or _connected_at(draft, attempt))
    rating = rate_call(_rating_input(draft, attempt, history, at=draft.at))
    _settle(draft, attempt, connected=True, rating=rating)
    if may_reroute(draft, attempt, rating):
        draft.note("rerouted", bridged_ms=attempt.bridged_ms, ended_by=attempt.ended_by)
        return False
    _take_rating(draft, attempt, rating)
    return True


def may_reroute(draft: Draft, attempt: Attempt, rating: Rating) -> bool:
    """Rule 19: the buyer hung up early, the call has not converted, and the caller is still there."""
    if attempt.offer_id is None or attempt.ended_by != "buyer" or rating.converted or rating.paid:
        return False
    if draft.call.state != "dialling" or draft.caller_gone:
        return False
    threshold_s = draft.plan.offers[attempt.offer_id].reroute_below_s
    talked_ms = attempt.bridged_ms if attempt.bridged_ms is not None else attempt.leg_ms
    return talked_ms is not None and talked_ms < threshold_s * 1_000


def settle_unknown(draft: Draft, attempt: Attempt, history: tuple[PastCall, ...]) -> None:
    """A leg whose end never came: by what the leg itself reported, else into review, unbilled (rule 20)."""
    leg = attempt.reported
    if leg is None:
        attempt = draft.change(attempt, state="ended", ended_at=draft.at)
        answered = attempt.answered_at is not None
        draft.set(review="durations_unknown")
        draft.note("durations_unknown", attempt=attempt.id)
        _settle(draft, attempt, connected=answered)
        return
    attempt = draft.change(
        attempt,
        state="ended",
        outcome=leg.outcome,
        ring_ms=leg.ring_ms,
        leg_ms=leg.leg_ms,
        bridged_ms=leg.bridged_ms,
        precision=leg.precision,
        ended_by=leg.ended_by,
        ended_at=leg.at,
    )
    settle_attempt(draft, attempt, history)


def drop_claims(draft: Draft) -> None:
    """Claims that were never dialled go back, granted or not yet."""
    for attempt in draft.call.attempts:
        if attempt.state == "reserving":
            changed = draft.change(attempt, state="ended", outcome="canceled", ended_at=draft.at)
            _settle(draft, changed, connected=False)


def drop_unheard(draft: Draft) -> None:
    """Dials that no carrier executed, because it got another reply, go back; one that rang was executed."""
    for attempt in draft.call.attempts:
        if attempt.state == "dialling":
            changed = draft.change(attempt, state="ended", outcome="canceled", ended_at=draft.at)
            _settle(draft, changed, connected=False)


def release(draft: Draft, attempt_id: AttemptId) -> None:
    """A grant that came too late goes back."""
    if not draft.call.test:
        draft.order(Settle(settlement=Settlement(attempt_id=attempt_id)))


def close_books(draft: Draft, *, final: bool) -> None:
    """The call is over and every leg known: book what the carrier costs, once (rule 22).

    A call of unknown duration stays open until the carrier was asked: `final`.
    """
    call = draft.call
    if call.state != "ended" or call.cost_booked or any(not attempt.settled for attempt in call.attempts):
        return
    if call.duration_ms is None:
        if not final:
            return
        draft.set(review=call.review or "duration_unknown")
    draft.set(cost_booked=True)
    if call.test or call.connection_id is None:
        return
    tariff = draft.plan.tariff_of(call.connection_id)
    legs_ms = tuple(attempt.leg_ms for attempt in call.attempts if attempt.leg_ms)
    amount = carrier_cost(tariff, inbound_ms=call.duration_ms or 0, outbound_ms=legs_ms)
    if amount:
        booked = ledger.cost(
            call_id=call.id, revision=1, at=draft.at, connection_id=call.connection_id, amount=amount
        )
        draft.order(Book(transaction=booked))
        _amounts(draft, cost=amount)


def conversion_reported(draft: Draft, event: ConversionReported) -> None:
    """The buyer's side says whether the call converted; rate again with that (rule 17)."""
    call = draft.call
    attempt = _rated_attempt(draft)
    if attempt is None or attempt.offer_id is None or call.connected_at is None:
        draft.note("not_connected")
        return
    offer = draft.plan.offers[attempt.offer_id]
    if offer.converts_on == "duration":
        draft.note("converts_on_duration")
        return
    if offer.converts_on != event.by:
        draft.note("converts_otherwise", offer=offer.converts_on, reported=event.by)
        return
    draft.set(said=Disposition(at=event.at, converted=event.converted, amount=event.amount))
    rating = _beyond_adjustments(draft, rate_call(_rating_input(draft, attempt, event.history, at=event.at)))
    _count_late(draft, attempt, rating)
    _take_rating(draft, attempt, rating)


def adjusted(draft: Draft, event: Adjusted) -> None:
    """Credit the buyer and claw back from the publisher (rule 23). More than is left is refused whole: part
    of what was meant would be nobody's decision."""
    call, amounts = draft.call, draft.call.amounts
    if event.id and any(one.id == event.id for one in call.adjustments):
        draft.note("already_adjusted", id=event.id)
        return
    credit_left, clawback_left = amounts.revenue - amounts.credited, amounts.payout - amounts.clawed_back
    if event.credit > credit_left or event.clawback > clawback_left:
        draft.note("more_than_left", credit_left=credit_left, clawback_left=clawback_left)
        return
    if len(call.adjustments) >= MAX_ADJUSTMENTS:
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
    draft.set(adjustments=(*call.adjustments, taken))


def _book_adjustment(draft: Draft, event: Adjusted) -> None:
    call, amounts = draft.call, draft.call.amounts
    attempt = _rated_attempt(draft)
    revision = amounts.revision + 1
    if attempt is not None and attempt.buyer_id is not None and event.credit > ZERO:
        booked = ledger.credit(
            call_id=call.id,
            revision=revision,
            at=event.at,
            buyer_id=attempt.buyer_id,
            amount=event.credit,
            reason=event.reason,
        )
        draft.order(Book(transaction=booked))
        _amounts(draft, credited=amounts.credited + event.credit, revision=revision)
    if call.publisher_id is not None and event.clawback > ZERO:
        booked = ledger.clawback(
            call_id=call.id,
            revision=revision,
            at=event.at,
            publisher_id=call.publisher_id,
            amount=event.clawback,
            reason=event.reason,
        )
        draft.order(Book(transaction=booked))
        _amounts(draft, clawed_back=amounts.clawed_back + event.clawback, revision=revision)


def rerated(draft: Draft, event: Rerated) -> None:
    """New amounts, decided outside: the books take the difference (rule 21)."""
    attempt, call = _rated_attempt(draft), draft.call
    if event.id and event.id in call.reratings:
        draft.note("already_rerated", id=event.id)
        return
    if attempt is None or call.rating is None:
        draft.note("nothing_to_rate")
        return
    if len(call.reratings) >= MAX_RERATINGS:
        draft.note("rerated_too_often", most=MAX_RERATINGS)
        return
    new = msgspec.structs.replace(
        call.rating,
        revision=call.amounts.revision + 1,
        at=event.at,
        revenue=event.revenue,
        payout=event.payout,
        converted_at=(call.rating.converted_at or event.at) if event.revenue else None,
        paid_at=(call.rating.paid_at or event.at) if event.payout else None,
    )
    new = _beyond_adjustments(draft, new)
    _count_late(draft, attempt, new)
    _book_rating(draft, attempt, new, reason=event.reason)
    if event.id:
        draft.set(reratings=(*call.reratings, event.id))


def rate_again(
    call: Call, plan: CompiledPlan, history: tuple[PastCall, ...], *, at: datetime
) -> Rating | None:
    """What the call would come to by `plan`'s prices and terms, to preview a re-rating (rule 21); changes
    nothing. None where no leg was connected to an offer that `plan` still has. Bids stay as they were."""
    draft = Draft(call, plan, at)
    attempt = _rated_attempt(draft)
    if attempt is None or attempt.offer_id is None or attempt.offer_id not in plan.offers:
        return None
    priced = msgspec.structs.replace(attempt, price=plan.price_of(attempt.offer_id))
    return rate_call(_rating_input(draft, priced, history, at=at))


def reversed_in_full(amounts: Amounts) -> bool:
    """Whether nothing is left of what the buyer owed; such a call blocks no duplicate (rule 18)."""
    return bool(amounts.credited) and amounts.credited >= amounts.revenue


def _rated_attempt(draft: Draft) -> Attempt | None:
    """The attempt that is billed, or else the last one that connected."""
    connected = [attempt for attempt in draft.call.attempts if attempt.outcome == "answered"]
    billed = [attempt for attempt in connected if attempt.id == draft.call.billed_attempt]
    found = billed or connected
    return found[-1] if found else None


def _rating_input(
    draft: Draft, attempt: Attempt, history: tuple[PastCall, ...], *, at: datetime
) -> RatingInput:
    call, campaign = draft.call, draft.plan.campaign
    offer = draft.plan.offers.get(attempt.offer_id) if attempt.offer_id is not None else None
    revision = 1 if call.rating is None else call.amounts.revision + 1
    given = RatingInput(
        call_id=call.id,
        at=at,
        campaign_id=call.campaign_id,
        campaign_group=campaign.group,
        connected_at=call.connected_at,
        publisher_id=call.publisher_id,
        terms=_terms(draft),
        pays_publisher=attempt.pays_publisher,
        number_expired=not call.pays_late,
        history=history,
        disposition=call.said,
        converted_at=call.converted_at,
        paid_at=call.paid_at,
        test=call.test,
        revision=revision,
    )
    if offer is None:
        return given
    return msgspec.structs.replace(
        given,
        offer_id=offer.id,
        buyer_id=offer.buyer_id,
        price=attempt.price,
        bid=attempt.bid,
        billable_s=billable_s(_durations(draft, attempt), basis=offer.basis),
        converts_on=offer.converts_on,
        conversion_expires_h=offer.conversion_expires_h,
        duplicates=offer.duplicates or campaign.duplicates,
    )


def _terms(draft: Draft) -> PublisherTerms | None:
    """What the publisher earns of this call: by the bid, where it was sold by one."""
    call, plan = draft.call, draft.plan
    if call.publisher_id is None:
        return None
    return terms_of_sale(call, plan) or plan.terms.get(call.publisher_id)


def _durations(draft: Draft, attempt: Attempt) -> Durations:
    return Durations(
        leg_ms=attempt.leg_ms,
        bridged_ms=attempt.bridged_ms,
        whisper_ms=_whisper_ms(draft, attempt),
    )


def _whisper_ms(draft: Draft, attempt: Attempt) -> int:
    """What the buyer heard first: until acceptance by our clock, else by the length of the text."""
    if attempt.accepted_at is not None and attempt.answered_at is not None:
        return max(0, int((attempt.accepted_at - attempt.answered_at).total_seconds() * 1_000))
    if attempt.offer_id is None:
        return 0
    return len(draft.plan.offers[attempt.offer_id].whisper) * WHISPER_MS_PER_CHARACTER


def _connected_at(draft: Draft, attempt: Attempt) -> datetime:
    talked_ms = attempt.bridged_ms if attempt.bridged_ms is not None else attempt.leg_ms
    return (attempt.ended_at or draft.at) - timedelta(milliseconds=talked_ms or 0)


def _take_rating(draft: Draft, attempt: Attempt, rating: Rating) -> None:
    draft.note("revenue_" + rating.revenue_reason.code, **rating.revenue_reason.values)
    draft.note("payout_" + rating.payout_reason.code, **rating.payout_reason.values)
    _book_rating(draft, attempt, rating, reason="")


def _book_rating(draft: Draft, attempt: Attempt, rating: Rating, *, reason: str) -> None:
    difference = rerate(draft.call.rating, rating)
    booked = ledger.correction(
        difference,
        at=draft.at,
        buyer_id=attempt.buyer_id,
        publisher_id=draft.call.publisher_id,
        reason=reason,
    )
    draft.order(*(Book(transaction=transaction) for transaction in booked))
    draft.set(
        rating=rating,
        converted_at=rating.converted_at,
        paid_at=rating.paid_at,
        billed_attempt=attempt.id if rating.revenue or rating.converted else draft.call.billed_attempt,
    )
    _amounts(draft, revenue=rating.revenue, payout=rating.payout, revision=rating.revision)


def _beyond_adjustments(draft: Draft, rating: Rating) -> Rating:
    """A new rating that takes nothing back which was credited or clawed back already (rule 23)."""
    amounts = draft.call.amounts
    return msgspec.structs.replace(
        rating,
        revenue=max(rating.revenue, amounts.credited),
        payout=max(rating.payout, amounts.clawed_back),
    )


def _count_late(draft: Draft, attempt: Attempt, rating: Rating) -> None:
    """The attempt is settled; what this rating changes counts in its windows all the same."""
    difference = rerate(draft.call.rating, rating)
    booking = LateBooking(
        attempt_id=attempt.id,
        revision=rating.revision,
        conversions=difference.conversions,
        payments=difference.payments,
        revenue=difference.revenue,
        payout=difference.payout,
    )
    changed = booking.conversions or booking.payments or booking.revenue or booking.payout
    if changed and not draft.call.test:
        draft.order(BookLate(booking=booking))


def _amounts(draft: Draft, **changes: Money | int) -> None:
    draft.set(amounts=msgspec.structs.replace(draft.call.amounts, **changes))


def _settle(draft: Draft, attempt: Attempt, *, connected: bool, rating: Rating | None = None) -> None:
    settlement = Settlement(attempt_id=attempt.id, connected=connected)
    if rating is not None:
        settlement = Settlement(
            attempt_id=attempt.id,
            connected=connected,
            converted=rating.converted,
            paid=rating.paid,
            revenue=rating.revenue,
            payout=rating.payout,
        )
    draft.change(attempt, settled=True, settlement=settlement)
    if not draft.call.test:
        draft.order(Settle(settlement=settlement))
