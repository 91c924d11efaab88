"""What buyers and operators say of a call once it is over: postbacks, credits, ratings, dispositions."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal

from callmatrix.core.call import Call, events
from callmatrix.core.money import MICROS_PER_UNIT, ZERO, Money, divide_half_even
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import BidPrice
from callmatrix.sim.carrier import EventOf
from callmatrix.world import Dice

MEAN_DELAY_MS: Final = 30_000_000
LEAST_DELAY_MS: Final = 60_000
BY: Final = "usr_1"

Later = tuple[str, int, EventOf]
"""The key of a webhook, after how many milliseconds it comes, and its event."""


def afterwards(call: Call, plan: CompiledPlan, rolls: Dice) -> Iterator[Later]:
    """What comes after a call that connected."""
    if call.connected_at is None:
        return
    yield from _conversions(call, plan, rolls)
    if rolls.random() < 0.02:
        credit = Money(divide_half_even(call.amounts.revenue.micros, rolls.choice((1, 2, 2, 5))))
        clawback = call.amounts.payout if rolls.random() < 0.5 else ZERO
        yield "adjust/1", _delay_ms(rolls), _adjusted(credit, clawback)
    if rolls.random() < 0.005 and call.rating is not None and call.publisher_id is not None:
        revenue = Money(divide_half_even(call.amounts.revenue.micros * rolls.randrange(5, 15), 10))
        yield "rerate/1", _delay_ms(rolls), _rerated(revenue, call.amounts.payout)
    if rolls.random() < 0.05:
        yield (
            "dispose/1",
            _delay_ms(rolls),
            lambda at, _: events.Disposed(at=at, disposition="sold", by=BY),
        )


def _conversions(call: Call, plan: CompiledPlan, rolls: Dice) -> Iterator[Later]:
    """The buyer's word, where the offer waits for it; now and then it is taken back."""
    attempt = next(one for one in reversed(call.attempts) if one.outcome == "answered")
    offer = plan.offers.get(attempt.offer_id) if attempt.offer_id is not None else None
    if offer is None or offer.converts_on == "duration" or rolls.random() >= 0.6:
        return
    converted = rolls.random() < 0.8
    bids = isinstance(attempt.price, BidPrice)
    amount = Money(rolls.randrange(8, 40) * MICROS_PER_UNIT) if bids else None
    yield "converted/1", _delay_ms(rolls), _reported(offer.converts_on, converted, amount)
    if rolls.random() < 0.1:
        yield "converted/2", _delay_ms(rolls), _reported(offer.converts_on, not converted, amount)


def _delay_ms(rolls: Dice) -> int:
    return int(rolls.expovariate(1 / MEAN_DELAY_MS)) + LEAST_DELAY_MS


def _reported(by: Literal["postback", "manual"], converted: bool, amount: Money | None) -> EventOf:
    def event_of(at: datetime, _draw: int) -> events.Event:
        return events.ConversionReported(at=at, by=by, converted=converted, amount=amount)

    return event_of


def _adjusted(credit: Money, clawback: Money) -> EventOf:
    def event_of(at: datetime, _draw: int) -> events.Event:
        return events.Adjusted(at=at, credit=credit, clawback=clawback, reason="complaint", by=BY)

    return event_of


def _rerated(revenue: Money, payout: Money) -> EventOf:
    def event_of(at: datetime, _draw: int) -> events.Event:
        return events.Rerated(at=at, revenue=revenue, payout=payout, reason="price list", by=BY)

    return event_of
