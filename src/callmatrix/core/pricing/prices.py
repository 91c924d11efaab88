"""What a buyer's price and a publisher's payout give for a call of some length."""

from itertools import pairwise
from typing import Annotated, Final, Literal, assert_never

import msgspec

from callmatrix.core.errors import Problem
from callmatrix.core.money import BPS_PER_WHOLE, ZERO, Money, per_minute, share
from callmatrix.core.pricing.duplicates import DuplicateRule

MAX_TIERS: Final = 20
MAX_BILLABLE_S: Final = 86_400
MAX_PRICE: Final = Money(1_000_000_000_000)
NEVER_S: Final = MAX_BILLABLE_S + 1
Seconds = Annotated[int, msgspec.Meta(ge=0, le=MAX_BILLABLE_S)]
Bps = Annotated[int, msgspec.Meta(ge=0, le=BPS_PER_WHOLE)]
ConvertsOn = Literal["duration", "postback", "manual"]
Basis = Literal["bridged", "leg"]


class FixedPrice(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="fixed"
):
    """`amount` once the billable time reaches `after_s` (0: every connected call)."""

    amount: Money
    after_s: Seconds = 0


class Tier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From `from_s` billable seconds on, `amount`."""

    from_s: Seconds
    amount: Money


class TieredPrice(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="tiers"
):
    """The amount of the highest tier reached. Tiers ascend in `from_s`."""

    tiers: Annotated[tuple[Tier, ...], msgspec.Meta(min_length=1, max_length=MAX_TIERS)]


class MinutePrice(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="per_minute"
):
    """`rate` a minute once `after_s` is reached; time rounds up to `increment_s`, at least `minimum_s`."""

    rate: Money
    increment_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 60
    minimum_s: Seconds = 0
    after_s: Seconds = 0


class BidPrice(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="bid"
):
    """The amount of the bid that won, once the billable time reaches `after_s`."""

    floor: Money = Money(0)
    after_s: Seconds = 0


class SharePayout(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="share"
):
    """`share_bps` ten-thousandths of the settled revenue (rule 17)."""

    share_bps: Bps


Price = FixedPrice | TieredPrice | MinutePrice | BidPrice
Payout = FixedPrice | TieredPrice | SharePayout


class PublisherTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a publisher earns. Precedence: publisher in campaign, then campaign, then publisher."""

    payout: Payout
    only_if_converted: bool = True
    duplicates: DuplicateRule | None = None


class Durations(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the carrier says of the billed leg, in its own precision; None where it does not say.

    `bridged_ms` runs from the bridge (with acceptance: from the accepting key) to the end.
    `whisper_ms` is what the buyer heard before the bridge, prompt for acceptance included.
    """

    leg_ms: int | None = None
    bridged_ms: int | None = None
    whisper_ms: int = 0


class Rated(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a price or payout gives for one call. `detail` has the compared values, for people."""

    amount: Money = ZERO
    reached: bool = False
    detail: dict[str, str] = {}


def billable_s(durations: Durations, *, basis: Basis) -> int | None:
    """Whole floored seconds (rule 16); None where the carrier does not say (rule 20).

    Basis `bridged` falls back to the leg less the whisper, where the carrier times only the leg.
    """
    if basis == "bridged" and durations.bridged_ms is not None:
        return max(0, durations.bridged_ms) // 1_000
    if durations.leg_ms is None:
        return None
    heard_ms = durations.whisper_ms if basis == "bridged" else 0
    return max(0, durations.leg_ms - heard_ms) // 1_000


def revenue(price: Price, *, billable_s: int, connected: bool, bid: Money | None = None) -> Rated:
    """What the buyer's price gives for `billable_s` seconds. A tier of nothing counts as not reached."""
    if not connected:
        return Rated(detail={"connected": "no"})
    match price:
        case FixedPrice() | TieredPrice():
            return _by_duration(price, billable_s)
        case MinutePrice():
            return _by_minute(price, billable_s)
        case BidPrice():
            if bid is None:
                return Rated(detail={"bid": "none"})
            return _once_reached(bid, billable_s=billable_s, threshold_s=price.after_s)
        case _:
            assert_never(price)


def payout(terms: Payout, *, billable_s: int, connected: bool, settled_revenue: Money) -> Rated:
    """What the publisher's payout gives; a share is of settled revenue (rule 17), its rest stays ours."""
    if not connected:
        return Rated(detail={"connected": "no"})
    match terms:
        case FixedPrice() | TieredPrice():
            return _by_duration(terms, billable_s)
        case SharePayout():
            detail = {"settled_revenue": str(settled_revenue), "share_bps": str(terms.share_bps)}
            reached = settled_revenue > ZERO
            return Rated(amount=share(settled_revenue, terms.share_bps), reached=reached, detail=detail)
        case _:
            assert_never(terms)


def maximum(price: Price, *, time_limit_s: int, bid: Money | None = None) -> Money:
    """The most that a call of at most `time_limit_s` can earn us: what caps and funds hold (rule 11)."""
    match price:
        case FixedPrice():
            return price.amount
        case TieredPrice():
            return max(tier.amount for tier in price.tiers)
        case MinutePrice():
            return per_minute(price.rate, _charged_s(price, time_limit_s))
        case BidPrice():
            return bid or ZERO
        case _:
            assert_never(price)


def payout_maximum(terms: Payout, *, revenue_max: Money) -> Money:
    """The most that a call can earn the publisher; `revenue_max` is the call's `maximum`."""
    match terms:
        case FixedPrice():
            return terms.amount
        case TieredPrice():
            return max(tier.amount for tier in terms.tiers)
        case SharePayout():
            return share(revenue_max, terms.share_bps)
        case _:
            assert_never(terms)


def minimum_threshold_s(price: Price | Payout) -> int:
    """The least billable seconds that earn anything; `NEVER_S` where no tier has an amount."""
    match price:
        case FixedPrice() | BidPrice():
            return price.after_s
        case TieredPrice():
            return min((tier.from_s for tier in price.tiers if tier.amount), default=NEVER_S)
        case MinutePrice():
            return price.after_s if price.minimum_s else max(price.after_s, 1)
        case SharePayout():
            return 0
        case _:
            assert_never(price)


def terms_of(
    *,
    publisher: PublisherTerms,
    campaign: PublisherTerms | None,
    publisher_in_campaign: PublisherTerms | None,
) -> PublisherTerms:
    """The terms in force: publisher in campaign, then campaign, then publisher; whole, never mixed."""
    return publisher_in_campaign or campaign or publisher


def payout_precedes_revenue(price: Price, *, converts_on: ConvertsOn, terms: PublisherTerms) -> bool:
    """Whether a publisher can earn before the buyer owes (rule 8): saving warns of it."""
    if terms.only_if_converted or isinstance(terms.payout, SharePayout):
        return False
    if converts_on != "duration":
        return True
    return minimum_threshold_s(terms.payout) < minimum_threshold_s(price)


def price_problems(price: Price | Payout, *, field: str) -> tuple[Problem, ...]:
    """What is wrong with a price or payout before it is saved; `field` is its path in the document."""
    found: list[Problem] = []
    for name, amount in _amounts(price):
        if not ZERO <= amount <= MAX_PRICE:
            remedy = f"Use an amount from 0 to {MAX_PRICE}"
            found.append(Problem(field=f"{field}.{name}", problem=f"{amount} is out of range", remedy=remedy))
    if isinstance(price, TieredPrice):
        starts = [tier.from_s for tier in price.tiers]
        if any(later <= earlier for earlier, later in pairwise(starts)):
            remedy = "Sort the tiers by from_s, each start once"
            found.append(Problem(field=f"{field}.tiers", problem="The tiers do not ascend", remedy=remedy))
        if minimum_threshold_s(price) == NEVER_S:
            remedy = "Give at least one tier an amount"
            found.append(Problem(field=f"{field}.tiers", problem="No tier earns anything", remedy=remedy))
    return tuple(found)


def _once_reached(amount: Money, *, billable_s: int, threshold_s: int) -> Rated:
    detail = {"billable_s": str(billable_s), "threshold_s": str(threshold_s)}
    reached = billable_s >= threshold_s
    return Rated(amount=amount if reached else ZERO, reached=reached, detail=detail)


def _by_duration(price: FixedPrice | TieredPrice, billable_s: int) -> Rated:
    if isinstance(price, FixedPrice):
        return _once_reached(price.amount, billable_s=billable_s, threshold_s=price.after_s)
    reached = [tier for tier in price.tiers if tier.from_s <= billable_s]
    if not reached or not reached[-1].amount:
        threshold_s = min((tier.from_s for tier in price.tiers if tier.from_s > billable_s), default=NEVER_S)
        return _once_reached(ZERO, billable_s=billable_s, threshold_s=threshold_s)
    return _once_reached(reached[-1].amount, billable_s=billable_s, threshold_s=reached[-1].from_s)


def _by_minute(price: MinutePrice, billable_s: int) -> Rated:
    charged_s = _charged_s(price, billable_s)
    rated = _once_reached(
        per_minute(price.rate, charged_s), billable_s=billable_s, threshold_s=minimum_threshold_s(price)
    )
    return msgspec.structs.replace(rated, detail=rated.detail | {"charged_s": str(charged_s)})


def _charged_s(price: MinutePrice, seconds: int) -> int:
    return max(price.minimum_s, -(-seconds // price.increment_s) * price.increment_s)


def _amounts(price: Price | Payout) -> tuple[tuple[str, Money], ...]:
    match price:
        case FixedPrice():
            return (("amount", price.amount),)
        case TieredPrice():
            return tuple((f"tiers.{place}.amount", tier.amount) for place, tier in enumerate(price.tiers))
        case MinutePrice():
            return (("rate", price.rate),)
        case BidPrice():
            return (("floor", price.floor),)
        case SharePayout():
            return ()
        case _:
            assert_never(price)
