"""Caps, concurrency, spacing and funds: what a reservation needs, and whether it may have it."""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from callmatrix.core.ids import AttemptId, BuyerId, CallId, CampaignId, OfferId, PublisherId
from callmatrix.core.money import Money

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
