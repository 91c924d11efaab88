"""What a buyer owes and a publisher earns for one call, and why."""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from callmatrix.core.ids import BuyerId, CallId, CampaignId, OfferId, PublisherId
from callmatrix.core.money import BPS_PER_WHOLE, Money

MAX_TIERS: Final = 20
MAX_BILLABLE_S: Final = 86_400
MAX_DUPLICATE_DAYS: Final = 3_650

Seconds = Annotated[int, msgspec.Meta(ge=0, le=MAX_BILLABLE_S)]
Bps = Annotated[int, msgspec.Meta(ge=0, le=BPS_PER_WHOLE)]


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
    """`rate` a minute once `after_s` is reached; time is rounded up to `increment_s`, at least `minimum_s`."""

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


Price = FixedPrice | TieredPrice | MinutePrice | BidPrice


class SharePayout(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="share"
):
    """`share_bps` ten-thousandths of the settled revenue (rule 17)."""

    share_bps: Bps


Payout = FixedPrice | TieredPrice | SharePayout

ConvertsOn = Literal["duration", "postback", "manual"]
Basis = Literal["bridged", "leg"]
DuplicateScope = Literal["offer", "buyer", "campaign", "campaign_group", "publisher"]
DuplicateAction = Literal["refuse", "unpaid", "same_buyer"]


class DuplicateRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A caller seen in `scope` within `window_days` (rolling) of a connection or conversion (rule 18)."""

    window_days: Annotated[int, msgspec.Meta(ge=1, le=MAX_DUPLICATE_DAYS)]
    counts_from: Literal["connected", "converted"] = "converted"
    scope: DuplicateScope = "buyer"
    action: DuplicateAction = "refuse"


class PublisherTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a publisher earns. Precedence: publisher in campaign, then campaign, then publisher."""

    payout: Payout
    only_if_converted: bool = True
    duplicates: DuplicateRule | None = None


class Tariff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the carrier charges: each leg per started `increment_s`, and a number per month by day."""

    inbound_per_minute: Money = Money(0)
    outbound_per_minute: Money = Money(0)
    increment_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 60
    number_per_month: Money = Money(0)


class PastCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One earlier call of the same caller that connected; what duplicates are judged by.

    `converted_at` and `paid_at` are None where it did not, or where it was reversed in full.
    """

    call_id: CallId
    campaign_id: CampaignId
    connected_at: datetime
    offer_id: OfferId | None = None
    buyer_id: BuyerId | None = None
    publisher_id: PublisherId | None = None
    campaign_group: str = ""
    converted_at: datetime | None = None
    paid_at: datetime | None = None
