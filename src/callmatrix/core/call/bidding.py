"""The call's side of an auction: whom to ask, what came back, and when the winner gets the lead."""

from typing import Final

from callmatrix.core.auction import Lead, PingResult
from callmatrix.core.call.commands import Enqueue, Ping, Post, Simulate
from callmatrix.core.call.draft import Draft
from callmatrix.core.call.events import BidsReturned
from callmatrix.core.call.facts import geo_of
from callmatrix.core.call.value import Attempt, Call
from callmatrix.core.campaign import MIN_TIMEOUT_MS
from callmatrix.core.ids import CallId, OfferId
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.routing import Asked

POST_LEAD: Final = "post_lead"


def lead_of(call: Call, plan: CompiledPlan) -> Lead:
    """The caller as a lead: what a bidder may know of it is `ping_of`'s to say."""
    geo = geo_of(call, plan)
    return Lead(
        id=call.id,
        channel="call",
        vertical=plan.campaign.vertical,
        number=call.caller,
        state=geo.state,
        zip=geo.zip,
        area_code=geo.area_code,
        fields=call.fields,
        shared=plan.shared_fields if call.sold is None else (*plan.shared_fields, *call.sold.shared),
        attestation=call.attestation,
        source=call.publisher_id or "",
        call_id=call.id,
        test=call.test,
    )


def may_ask(draft: Draft) -> bool:
    """Whether there is time for a round of pings, and the call is one that asks bidders (rule 2)."""
    return draft.call.pings and has_time(draft)


def has_time(draft: Draft) -> bool:
    """Whether enough of the deadline is left to ask anybody anything before the caller hears somebody."""
    return _left_ms(draft) >= MIN_TIMEOUT_MS


def _left_ms(draft: Draft) -> int:
    """What the rounds since the last dial have left of the campaign's deadline (rule 4)."""
    return draft.plan.campaign.auction.deadline_ms - draft.call.auction_ms


def ask(draft: Draft, offer_ids: tuple[OfferId, ...]) -> None:
    """Order a round of pings."""
    question = Ping(round=draft.call.auctions + 1, offer_ids=offer_ids, deadline_ms=_left_ms(draft))
    draft.set(state="asking", question=question, auctions=question.round)
    draft.order(question)


def simulate(draft: Draft, offer_ids: tuple[OfferId, ...]) -> None:
    """Let simulated bidders be pinged by the way, once a call."""
    if offer_ids and not draft.call.attempts and draft.call.auctions == 0:
        draft.order(Simulate(offer_ids=offer_ids, deadline_ms=_left_ms(draft)))


def take(draft: Draft, event: BidsReturned) -> None:
    """Keep what came back: each offer's latest bid, who was asked how often, and the time it took."""
    call = draft.call
    results = {result.offer_id: result for result in event.results}
    kept = [bid for bid in call.bids if bid.offer_id not in results]
    before = {one.offer_id: one for one in call.asked}
    again = [_asked(result, before.get(result.offer_id)) for result in event.results]
    draft.set(
        bids=(*kept, *(result.bid for result in event.results if result.bid is not None)),
        asked=(*(one for one in call.asked if one.offer_id not in results), *again),
        auction_ms=call.auction_ms + event.spent_ms,
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


def ping_id(lead_id: str, round_number: int, offer_id: OfferId) -> str:
    """The id of a ping: derived, so that a repeated step names the same one."""
    return f"{lead_id}-{round_number}-{offer_id}"


def interrupted(call_id: CallId, question: Ping) -> tuple[PingResult, ...]:
    """The results of a round whose asker died: it is not held again, since bidders may have answered."""
    return tuple(
        PingResult(offer_id=offer_id, ping_id=ping_id(call_id, question.round, offer_id), code="interrupted")
        for offer_id in question.offer_ids
    )


def posts_before_dial(draft: Draft, attempt: Attempt) -> bool:
    """Whether the winner gets the lead before it is dialled, and may still refuse it (rule 27)."""
    bidder = None if attempt.offer_id is None else draft.plan.offers[attempt.offer_id].bidder
    return attempt.won is not None and bidder is not None and bidder.post_timing == "before_dial"


def post_first(draft: Draft, attempt: Attempt) -> None:
    """Post, and dial when it is accepted."""
    question = Post(attempt_id=attempt.id, deadline_ms=_left_ms(draft))
    draft.set(state="reserving", question=question)
    draft.order(question)


def post(draft: Draft, attempt: Attempt) -> Attempt:
    """The winner has the caller, or has accepted: let the lead be posted to it, once (rule 27)."""
    if attempt.won is None or attempt.posted or draft.call.test:
        return attempt
    draft.order(
        Enqueue(
            job=POST_LEAD,
            dedupe_key=f"{POST_LEAD}/{attempt.id}",
            run_at=draft.at,
            payload={"call_id": draft.call.id, "attempt_id": attempt.id},
        )
    )
    return draft.change(attempt, posted=True)
