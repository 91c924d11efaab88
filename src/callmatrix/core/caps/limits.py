"""What owners allow, what an attempt asks to hold of it, and how it ends: the values of a reservation."""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from callmatrix.core.errors import Problem
from callmatrix.core.ids import AccountId, AttemptId, BuyerId, CallId, CampaignId, OfferId, PublisherId
from callmatrix.core.money import ZERO, Money

Metric = Literal["attempt", "connect", "conversion", "paid", "revenue", "payout"]
CountMetric = Literal["attempt", "connect", "conversion", "paid"]
MoneyMetric = Literal["revenue", "payout"]
Window = Literal["hour", "day", "week", "month", "total"]
OwnerKind = Literal[
    "account", "campaign", "buyer", "offer", "offer_in_campaign", "publisher", "publisher_in_campaign"
]
CapRefusal = Literal["cap_full", "concurrency_full", "spacing", "no_funds", "paused", "closed", "blocked"]

MAX_CAPS: Final = 30
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]


class CountCap(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="count"
):
    """At most `limit` units of `metric` reserved in one window."""

    metric: CountMetric
    window: Window
    limit: Count


class MoneyCap(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="money"
):
    """At most `limit` of money reserved in one window; a call holds its maximum until settled."""

    metric: MoneyMetric
    window: Window
    limit: Money


Cap = CountCap | MoneyCap


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one owner allows. Windows are clock hours, days, weeks, months in the owner's time zone."""

    caps: Annotated[tuple[Cap, ...], msgspec.Meta(max_length=MAX_CAPS)] = ()
    concurrency: Count | None = None
    spacing_s: Count | None = None


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose limits. `id` of a pair is `<offer or publisher id>/<campaign id>`."""

    kind: OwnerKind
    id: str


class Claim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that one attempt asks to hold, in one go, before it is dialled.

    `offer_id` and `buyer_id` are None for a fallback number, which holds only what account and
    campaign limit. `holds_conversion` is False where conversion comes later by postback (rule 11).
    """

    attempt_id: AttemptId
    call_id: CallId
    campaign_id: CampaignId
    expires_at: datetime
    offer_id: OfferId | None = None
    buyer_id: BuyerId | None = None
    publisher_id: PublisherId | None = None
    revenue_max: Money = Money(0)
    payout_max: Money = Money(0)
    holds_conversion: bool = True


class Granted(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="granted"):
    """The claim is held. `pays_publisher` is False where a capped publisher is routed unpaid."""

    attempt_id: AttemptId
    pays_publisher: bool = True


class Denied(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="denied", omit_defaults=True):
    """The claim is refused, whole: the first limit in lock order that it breaks."""

    attempt_id: AttemptId
    code: CapRefusal
    owner: Owner
    metric: str = ""
    window: str = ""
    limit: str = ""
    used: str = ""


Grant = Granted | Denied


class Settlement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a reservation ended. Units not used go back; all False releases everything but the attempt."""

    attempt_id: AttemptId
    connected: bool = False
    converted: bool = False
    paid: bool = False
    revenue: Money = Money(0)
    payout: Money = Money(0)


class LateBooking(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a later rating adds to (negative: takes from) the windows of a settled attempt, once per
    `revision`: conversions by postback, corrections (rules 9 and 12)."""

    attempt_id: AttemptId
    revision: int
    conversions: int = 0
    payments: int = 0
    revenue: Money = ZERO
    payout: Money = ZERO


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """One cap in one window, as whole units or micros. `used <= ceiling`; `overage` stands outside."""

    limit: int
    ceiling: int
    used: int = 0
    overage: int = 0


def owners_of(claim: Claim, *, account_id: AccountId) -> tuple[Owner, ...]:
    """Whose limits a claim must meet, in lock order, which is also the order of evaluation."""
    owners = [
        Owner(kind="account", id=account_id),
        Owner(kind="campaign", id=claim.campaign_id),
    ]
    if claim.publisher_id is not None:
        owners.append(Owner(kind="publisher", id=claim.publisher_id))
        owners.append(Owner(kind="publisher_in_campaign", id=f"{claim.publisher_id}/{claim.campaign_id}"))
    if claim.buyer_id is not None:
        owners.append(Owner(kind="buyer", id=claim.buyer_id))
    if claim.offer_id is not None:
        owners.append(Owner(kind="offer", id=claim.offer_id))
        owners.append(Owner(kind="offer_in_campaign", id=f"{claim.offer_id}/{claim.campaign_id}"))
    return tuple(owners)


def needs_of(claim: Claim) -> dict[Metric, int]:
    """The units (money: micros) that a claim holds of each metric, before a capped publisher goes unpaid.

    Without an offer nothing can convert, without a publisher nothing is paid, and what converts
    later by postback holds neither (rule 11).
    """
    converts = int(claim.holds_conversion and claim.offer_id is not None)
    pays = int(claim.holds_conversion and claim.publisher_id is not None)
    return {
        "attempt": 1,
        "connect": 1,
        "conversion": converts,
        "paid": pays,
        "payout": pays * claim.payout_max.micros,
        "revenue": converts * claim.revenue_max.micros,
    }


def limit_of(cap: Cap) -> int:
    """A cap's limit as whole units or micros."""
    return cap.limit if isinstance(cap, CountCap) else cap.limit.micros


def in_order(caps: tuple[Cap, ...]) -> tuple[tuple[Metric, Window, int], ...]:
    """Caps in order of evaluation, by metric and window; of two alike the lower limit holds."""
    lowest: dict[tuple[Metric, Window], int] = {}
    for cap in caps:
        key = (cap.metric, cap.window)
        lowest[key] = min(limit_of(cap), lowest.get(key, limit_of(cap)))
    return tuple((metric, window, lowest[metric, window]) for metric, window in sorted(lowest))


def limits_problems(limits: Limits, *, field: str) -> tuple[Problem, ...]:
    """What is wrong with limits before they are saved; `field` is their path in the document."""
    found: list[Problem] = []
    seen: set[tuple[Metric, Window]] = set()
    for place, cap in enumerate(limits.caps):
        path = f"{field}.caps.{place}"
        if (cap.metric, cap.window) in seen:
            problem = f"There is another cap on {cap.metric} by {cap.window}"
            found.append(Problem(field=path, problem=problem, remedy="Keep the lower of the two"))
        seen.add((cap.metric, cap.window))
        if limit_of(cap) < 0:
            remedy = "Use 0 or more; 0 lets nothing through"
            found.append(Problem(field=f"{path}.limit", problem="The limit is negative", remedy=remedy))
    return tuple(found)
