"""What one call earned from its buyer and for its publisher, with a reason for either."""

from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from callmatrix.core.ids import BuyerId, CallId, CampaignId, OfferId, PublisherId
from callmatrix.core.money import ZERO, Money
from callmatrix.core.pricing.duplicates import DuplicateRule, PastCall, duplicate_of
from callmatrix.core.pricing.prices import (
    MAX_PRICE,
    BidPrice,
    ConvertsOn,
    Price,
    PublisherTerms,
    SharePayout,
    payout,
    revenue,
)

FIRST_REVISION: Final = 1
RatingCode = Literal[
    "converted",  # revenue: the buyer owes
    "paid",  # payout: the publisher earns
    "test_call",  # rule 2
    "no_buyer",  # a fallback number: nobody pays
    "not_connected",
    "not_billed_in_review",  # the carrier cannot say how long (rule 20)
    "no_bid",  # priced by a bid that is not there
    "below_threshold",
    "awaits_postback",
    "awaits_manual",
    "expired",  # no disposition in time (rule 17)
    "not_converted",  # the disposition says no; payout: the buyer's side did not convert
    "duplicate",  # rule 18
    "publisher_not_on_call",
    "number_cooldown_expired",  # rule 29
    "capped_unpaid",  # rule 10
]


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a side of a call earned or did not, with the compared values."""

    code: RatingCode
    values: dict[str, str] = {}


class Disposition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the buyer's system (`postback`) or a person (`manual`) said of a call, and when."""

    at: datetime
    converted: bool
    amount: Money | None = None


class RatingInput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that rating one call needs, of the attempt that may be billed.

    `connected_at` is None where no buyer's leg was bridged, `billable_s` where its length is unknown;
    `price` where nobody pays (a fallback number). `duplicates` is the offer's rule, else the
    campaign's. `history` is read under the caller's lock at settlement, empty for anonymous callers.
    A re-rating passes the `converted_at` and `paid_at` that the call already has.
    """

    call_id: CallId
    at: datetime
    campaign_id: CampaignId
    campaign_group: str = ""
    connected_at: datetime | None = None
    billable_s: int | None = None
    offer_id: OfferId | None = None
    buyer_id: BuyerId | None = None
    price: Price | None = None
    bid: Money | None = None
    converts_on: ConvertsOn = "duration"
    conversion_expires_h: int = 720
    disposition: Disposition | None = None
    duplicates: DuplicateRule | None = None
    publisher_id: PublisherId | None = None
    terms: PublisherTerms | None = None
    pays_publisher: bool = True
    number_expired: bool = False
    history: tuple[PastCall, ...] = ()
    converted_at: datetime | None = None
    paid_at: datetime | None = None
    test: bool = False
    revision: int = FIRST_REVISION


class Rating(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one call earned, on either side, and why. Kept per revision; never changed."""

    call_id: CallId
    revision: int
    at: datetime
    revenue_reason: Reason
    payout_reason: Reason
    revenue: Money = ZERO
    payout: Money = ZERO
    converted_at: datetime | None = None
    paid_at: datetime | None = None

    @property
    def converted(self) -> bool:
        """Whether the buyer's rule was met."""
        return self.converted_at is not None

    @property
    def paid(self) -> bool:
        """Whether the publisher's rule was met."""
        return self.paid_at is not None


class Difference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a newer rating adds to an older one: signed money, and −1, 0 or 1 conversions and payments."""

    call_id: CallId
    revision: int
    revenue: Money = ZERO
    payout: Money = ZERO
    conversions: int = 0
    payments: int = 0


def rate_call(given: RatingInput) -> Rating:
    """What the call earned from the buyer and for the publisher, with a reason for either."""
    earned, amount, reason = _rate_revenue(given)
    paid, owed, payout_reason = _rate_payout(given, converted=earned, settled=amount, reason=reason)
    return Rating(
        call_id=given.call_id,
        revision=given.revision,
        at=given.at,
        revenue=amount,
        revenue_reason=reason,
        converted_at=(given.converted_at or given.at) if earned else None,
        payout=owed,
        payout_reason=payout_reason,
        paid_at=(given.paid_at or given.at) if paid else None,
    )


def rerate(old: Rating | None, new: Rating) -> Difference:
    """What `new` adds to `old` (None: to nothing booked yet); the ledger books it (rule 21)."""
    if old is None:
        return Difference(
            call_id=new.call_id,
            revision=new.revision,
            revenue=new.revenue,
            payout=new.payout,
            conversions=int(new.converted),
            payments=int(new.paid),
        )
    assert old.call_id == new.call_id
    assert old.revision < new.revision
    return Difference(
        call_id=new.call_id,
        revision=new.revision,
        revenue=new.revenue - old.revenue,
        payout=new.payout - old.payout,
        conversions=int(new.converted) - int(old.converted),
        payments=int(new.paid) - int(old.paid),
    )


_Verdict = tuple[bool, Money, Reason]


def _nothing(code: RatingCode, values: dict[str, str] | None = None) -> _Verdict:
    return False, ZERO, Reason(code=code, values=values or {})


def _rate_revenue(given: RatingInput) -> _Verdict:
    if given.test:
        return _nothing("test_call")
    if given.price is None:
        return _nothing("no_buyer")
    if given.connected_at is None:
        return _nothing("not_connected")
    if given.billable_s is None:
        return _nothing("not_billed_in_review")
    bid, noted = _settled_bid(given)
    if isinstance(given.price, BidPrice) and bid is None:
        return _nothing("no_bid")
    rated = revenue(given.price, billable_s=given.billable_s, connected=True, bid=bid)
    detail = rated.detail | noted
    if not rated.reached:
        return _nothing("below_threshold", detail)
    unsettled = _unsettled(given, given.connected_at)
    if unsettled is not None:
        return unsettled
    past = _duplicate(given, given.duplicates, connected_at=given.connected_at, side="revenue")
    if past is not None:
        return _nothing("duplicate", {"original": past.call_id})
    return True, rated.amount, Reason(code="converted", values=detail)


def _settled_bid(given: RatingInput) -> tuple[Money | None, dict[str, str]]:
    """The bid that won is what is owed; a postback's amount counts only where a price is by bid and none
    was made."""
    said = given.disposition.amount if given.disposition is not None else None
    if given.converts_on == "duration" or said is None:
        return given.bid, {}
    if isinstance(given.price, BidPrice) and given.bid is None and ZERO <= said <= MAX_PRICE:
        return said, {"bid": "none", "amount_from_disposition": str(said)}
    return given.bid, {"amount_ignored": str(said)}


def _unsettled(given: RatingInput, connected_at: datetime) -> _Verdict | None:
    """Why a call that converts by disposition has not (yet), or None where it has."""
    if given.converts_on == "duration":
        return None
    expires_at = connected_at + timedelta(hours=given.conversion_expires_h)
    values = {"expires_at": expires_at.isoformat()}
    said = given.disposition
    if said is None:
        if given.at >= expires_at:
            return _nothing("expired", values)
        return _nothing("awaits_postback" if given.converts_on == "postback" else "awaits_manual", values)
    if said.at >= expires_at:
        return _nothing("expired", values | {"said_at": said.at.isoformat()})
    return None if said.converted else _nothing("not_converted", {"said_at": said.at.isoformat()})


def _rate_payout(given: RatingInput, *, converted: bool, settled: Money, reason: Reason) -> _Verdict:
    if given.test:
        return _nothing("test_call")
    if given.publisher_id is None or given.terms is None:
        return _nothing("publisher_not_on_call")
    if given.connected_at is None:
        return _nothing("not_connected")
    if given.billable_s is None:
        return _nothing("not_billed_in_review")
    if given.number_expired:
        return _nothing("number_cooldown_expired")
    shares = isinstance(given.terms.payout, SharePayout)
    if not converted and (given.terms.only_if_converted or shares):
        awaits = reason.code in ("awaits_postback", "awaits_manual")
        return _nothing(reason.code if awaits else "not_converted", {"revenue": reason.code})
    rated = payout(given.terms.payout, billable_s=given.billable_s, connected=True, settled_revenue=settled)
    if not rated.reached:
        return _nothing("below_threshold", rated.detail)
    if not given.pays_publisher:
        return _nothing("capped_unpaid")
    past = _duplicate(given, given.terms.duplicates, connected_at=given.connected_at, side="payout")
    if past is not None:
        return _nothing("duplicate", {"original": past.call_id})
    return True, rated.amount, Reason(code="paid", values=rated.detail)


def _duplicate(
    given: RatingInput,
    rule: DuplicateRule | None,
    *,
    connected_at: datetime,
    side: Literal["revenue", "payout"],
) -> PastCall | None:
    if rule is None:
        return None
    return duplicate_of(
        rule,
        history=given.history,
        at=connected_at,
        offer_id=given.offer_id,
        buyer_id=given.buyer_id,
        campaign_id=given.campaign_id,
        campaign_group=given.campaign_group,
        publisher_id=given.publisher_id,
        side=side,
        call_id=given.call_id,
        earned_at=given.converted_at if side == "revenue" else given.paid_at,
    )
