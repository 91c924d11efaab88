"""What a carrier charges for a call and a number, and whether a call leaves enough margin."""

from calendar import monthrange
from datetime import date
from typing import Annotated

import msgspec

from callmatrix.core.money import BPS_PER_WHOLE, ZERO, Money, divide_half_even, per_minute, share
from callmatrix.core.pricing.prices import (
    MAX_BILLABLE_S,
    Price,
    PublisherTerms,
    minimum_threshold_s,
    payout,
    revenue,
)


class Tariff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the carrier charges: each leg per started `increment_s`, and a number per month by day."""

    inbound_per_minute: Money = Money(0)
    outbound_per_minute: Money = Money(0)
    increment_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 60
    number_per_month: Money = Money(0)


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Revenue, payout and carrier cost of a call that just converts; what the margin floor judges."""

    revenue: Money
    payout: Money
    cost: Money


def carrier_cost(tariff: Tariff, *, inbound_ms: int, outbound_ms: tuple[int, ...]) -> Money:
    """What the carrier charges for the caller's leg and every dialled leg, each per started increment."""
    cost = per_minute(tariff.inbound_per_minute, _started_s(tariff, inbound_ms))
    for leg_ms in outbound_ms:
        cost += per_minute(tariff.outbound_per_minute, _started_s(tariff, leg_ms))
    return cost


def daily_rent(tariff: Tariff, day: date) -> Money:
    """One day's part of a number's monthly rent; the days of a month sum to it exactly (rule 22)."""
    _, days = monthrange(day.year, day.month)
    monthly = tariff.number_per_month.micros
    until_today = divide_half_even(monthly * day.day, days)
    return Money(until_today - divide_half_even(monthly * (day.day - 1), days))


def estimate(
    price: Price, *, terms: PublisherTerms | None, tariff: Tariff, bid: Money | None = None
) -> Estimate:
    """Revenue, payout and cost of a call that lasts just long enough to convert.

    The payout is what the publisher can earn of such a call at the most: its first amount where the
    call is shorter than the payout's own threshold, so that a late payout is not overlooked.
    """
    seconds = min(minimum_threshold_s(price), MAX_BILLABLE_S)
    income = revenue(price, billable_s=seconds, connected=True, bid=bid).amount
    owed = ZERO
    if terms is not None:
        least_s = min(max(seconds, minimum_threshold_s(terms.payout)), MAX_BILLABLE_S)
        owed = payout(terms.payout, billable_s=least_s, connected=True, settled_revenue=income).amount
    leg_ms = max(seconds, 1) * 1_000
    cost = carrier_cost(tariff, inbound_ms=leg_ms, outbound_ms=(leg_ms,))
    return Estimate(revenue=income, payout=owed, cost=cost)


def below_margin(estimate: Estimate, *, floor: Money, floor_bps: int) -> dict[str, str] | None:
    """The compared values where revenue − payout − cost falls under the margin floor (rule 8), else None.

    The floor is the greater of an amount and a share of the revenue, compared without rounding.
    """
    margin = estimate.revenue - estimate.payout - estimate.cost
    enough = margin >= floor and margin.micros * BPS_PER_WHOLE >= estimate.revenue.micros * floor_bps
    if enough:
        return None
    return {
        "revenue": str(estimate.revenue),
        "payout": str(estimate.payout),
        "cost": str(estimate.cost),
        "margin": str(margin),
        "floor": str(max(floor, share(estimate.revenue, floor_bps))),
    }


def _started_s(tariff: Tariff, leg_ms: int) -> int:
    return -(-leg_ms // (tariff.increment_s * 1_000)) * tariff.increment_s
