"""Whether a caller was there before, so that this call is not billed or not paid (rule 18)."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, assert_never

import msgspec

from callmatrix.core.ids import BuyerId, CallId, CampaignId, OfferId, PublisherId

MAX_DUPLICATE_DAYS: Final = 3_650
DuplicateScope = Literal["offer", "buyer", "campaign", "campaign_group", "publisher"]
DuplicateAction = Literal["refuse", "unpaid", "same_buyer"]


class DuplicateRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A caller seen in `scope` within `window_days` (rolling) of a connection or conversion (rule 18)."""

    window_days: Annotated[int, msgspec.Meta(ge=1, le=MAX_DUPLICATE_DAYS)]
    counts_from: Literal["connected", "converted"] = "converted"
    scope: DuplicateScope = "buyer"
    action: DuplicateAction = "refuse"


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


def duplicate_of(
    rule: DuplicateRule,
    *,
    history: tuple[PastCall, ...],
    at: datetime,
    offer_id: OfferId | None,
    buyer_id: BuyerId | None,
    campaign_id: CampaignId,
    campaign_group: str,
    publisher_id: PublisherId | None,
    side: Literal["revenue", "payout"] = "revenue",
    call_id: CallId | None = None,
    earned_at: datetime | None = None,
) -> PastCall | None:
    """The latest earlier call that makes this one a duplicate (rule 18), or None.

    `at` is this call's connection (before it: now). A past event counts while less than
    `window_days` of 24 hours lie between. Of two calls at once, the first to connect, or the first
    to convert under the lock, owns the caller. `call_id` and `earned_at` are this call's own, where
    it is rated: it is never its own duplicate, nor that of a call that converted after it.
    """
    oldest = at - timedelta(days=rule.window_days)
    found: list[tuple[datetime, CallId, PastCall]] = []
    for past in history:
        if past.call_id == call_id or not _in_scope(
            rule.scope,
            past,
            offer_id=offer_id,
            buyer_id=buyer_id,
            campaign_id=campaign_id,
            campaign_group=campaign_group,
            publisher_id=publisher_id,
        ):
            continue
        by_connection = rule.counts_from == "connected"
        if side == "payout" and past.publisher_id != publisher_id:
            # across publishers only the first paid owns the caller, not the first to get through
            by_connection = False
        if by_connection:
            happened, ours = past.connected_at, (at, call_id or "")
            owns = call_id is None or (happened, past.call_id) < ours
        else:
            earned = past.converted_at if side == "revenue" else past.paid_at
            if earned is None:
                continue
            happened = earned
            owns = earned_at is None or (happened, past.call_id) < (earned_at, call_id or "")
        if owns and happened > oldest:
            found.append((happened, past.call_id, past))
    return max(found, key=lambda item: item[:2])[2] if found else None


def _in_scope(
    scope: DuplicateScope,
    past: PastCall,
    *,
    offer_id: OfferId | None,
    buyer_id: BuyerId | None,
    campaign_id: CampaignId,
    campaign_group: str,
    publisher_id: PublisherId | None,
) -> bool:
    match scope:
        case "offer":
            return offer_id is not None and past.offer_id == offer_id
        case "buyer":
            return buyer_id is not None and past.buyer_id == buyer_id
        case "campaign":
            return past.campaign_id == campaign_id
        case "campaign_group":
            # a campaign without a group is a group of its own
            same_group = campaign_group != "" and past.campaign_group == campaign_group
            return same_group or past.campaign_id == campaign_id
        case "publisher":
            return publisher_id is not None and past.publisher_id == publisher_id
        case _:
            assert_never(scope)
