"""Bidders of the simulator: they bid, refuse, lie, stall and die, and answer after a while."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from callmatrix.core.auction import Bid, NoBid, Offered, PingResult, outcome
from callmatrix.core.call import Call
from callmatrix.core.call.bidding import ping_id
from callmatrix.core.call.commands import Ping
from callmatrix.core.call.events import PostAnswered
from callmatrix.core.call.facts import facts_of
from callmatrix.core.campaign import PhoneDestination
from callmatrix.core.ids import AttemptId, OfferId
from callmatrix.core.money import MICROS_PER_UNIT, ZERO, Money
from callmatrix.core.plan import CompiledPlan
from callmatrix.world import Dice

SLOWEST_MS: Final = 2_600
"""Beyond every deadline: a bidder that stalls."""
MAX_BID_UNITS: Final = 45

Answer = Callable[[datetime], Offered | NoBid]


def round_of(
    call: Call, plan: CompiledPlan, question: Ping, rolls: Dice, at: datetime
) -> tuple[tuple[PingResult, ...], int]:
    """The results of one round of pings that starts now, and the milliseconds until the last that counts."""
    results: list[PingResult] = []
    spent_ms = 0
    for offer_id in question.offer_ids:
        result, took_ms = _ping(call, plan, offer_id, question, rolls, at)
        results.append(result)
        spent_ms = max(spent_ms, took_ms)
    return tuple(results), spent_ms


def _ping(
    call: Call, plan: CompiledPlan, offer_id: OfferId, question: Ping, rolls: Dice, at: datetime
) -> tuple[PingResult, int]:
    offer = plan.offers[offer_id]
    assert offer.bidder is not None
    ping = ping_id(call.id, question.round, offer_id)
    allowed_ms = min(offer.bidder.timeout_ms, question.deadline_ms)
    took_ms = _latency_ms(rolls)
    answer = _answer(rolls, at)
    if took_ms > allowed_ms:
        late = PingResult(offer_id=offer_id, ping_id=ping, code="timed_out", total_us=allowed_ms * 1_000)
        return late, allowed_ms
    said = outcome(
        answer,
        offer=offer,
        price=plan.price_of(offer_id),
        currency=plan.account.currency,
        ping_id=ping,
        facts=facts_of(call, plan, at),
        at=at,
    )
    return PingResult(
        offer_id=offer_id,
        ping_id=ping,
        bid=said if isinstance(said, Bid) else None,
        code=said.code if isinstance(said, NoBid) else "",
        detail=said.detail if isinstance(said, NoBid) else "",
        status=200,
        total_us=took_ms * 1_000,
    ), took_ms


def _latency_ms(rolls: Dice) -> int:
    return SLOWEST_MS if rolls.random() < 0.03 else int(rolls.expovariate(1 / 90)) + 10


def _answer(rolls: Dice, at: datetime) -> Offered | NoBid:
    """Mostly a bid; now and then none, or one that may not be believed."""
    amount = Money(rolls.randrange(4, MAX_BID_UNITS) * MICROS_PER_UNIT + rolls.randrange(100) * 10_000)
    chance = rolls.random()
    if chance < 0.70:
        return Offered(
            amount=amount,
            bid_id=f"{rolls.getrandbits(64):x}",
            expires_at=at + timedelta(seconds=rolls.choice((5, 20, 60, 300))),
            destination=PhoneDestination(number="+16025550190") if rolls.random() < 0.2 else None,
        )
    if chance < 0.82:
        return NoBid(code="no_bid", detail="capacity")
    lies = (
        Offered(amount=ZERO - amount),
        Offered(amount=Money(10**15)),
        Offered(amount=amount, currency="EUR"),
        Offered(amount=amount, expires_at=at - timedelta(seconds=1)),
        Offered(amount=amount, min_s=86_000),
        Offered(amount=amount, duplicate_days=3_000),
    )
    failures = (NoBid(code="http_error", detail="503"), NoBid(code="malformed"), NoBid(code="unreachable"))
    return rolls.choice((*lies, *failures))


def post_answer(attempt_id: AttemptId, rolls: Dice, at: datetime, *, spent_ms: int) -> PostAnswered:
    """The winner's answer to a post before the dial."""
    chance = rolls.random()
    if chance < 0.15:
        return PostAnswered(
            at=at, attempt_id=attempt_id, spent_ms=spent_ms, code="no_bid", detail="Duplicate"
        )
    destination = PhoneDestination(number="+16025550191") if chance > 0.6 else None
    return PostAnswered(
        at=at, attempt_id=attempt_id, spent_ms=spent_ms, destination=destination, reference="taken"
    )
