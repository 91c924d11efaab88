"""What is refused, and what is warned of, when an offer's bidder or a campaign's auctions are saved."""

from typing import Any

import pytest

import make
from callmatrix.core.campaign import (
    Acceptance,
    AuctionTerms,
    Bidder,
    Campaign,
    Entry,
    FallbackOffer,
    NativeFormat,
    Offer,
    RetreaverFormat,
    RingbaFormat,
    RuledAdjustment,
    StaticAbove,
    TrackDriveFormat,
    campaign_problems,
    campaign_warnings,
    offer_problems,
)
from callmatrix.core.campaign.bidders import Adjustment
from callmatrix.core.ids import OfferId
from callmatrix.core.money import Money
from callmatrix.core.pricing import BidPrice
from callmatrix.core.rules import Leaf

ENTRY = Entry(offer_id=OfferId("off_1"))
BID = BidPrice(floor=make.usd("5"))
MATCHING = RingbaFormat()


def bidder(**changes: Any) -> Bidder:
    return Bidder(**{"format": NativeFormat(), "ping_url": "https://bids.example.com/ping", **changes})


def offer(number: int = 1, *, asked: Bidder | None = None, **changes: Any) -> Offer:
    return make.offer(number, **{"price": BID, "bidder": asked or bidder(), **changes})


def fields_of(found: Any) -> list[str]:
    return [one.field for one in found]


def of_campaign(campaign: Campaign, *offers: Offer) -> list[str]:
    return fields_of(
        campaign_problems(
            campaign,
            offers={one.id: one for one in offers},
            buyers={one.buyer_id: make.buyer(id=one.buyer_id) for one in offers},
            publishers=(make.PUBLISHER,),
            flow_fields=(),
        )
    )


def warned(campaign: Campaign, *offers: Offer) -> list[str]:
    found = campaign_warnings(campaign, offers={one.id: one for one in offers}, publishers={})
    return fields_of(found)


FAULTY_RULE = RuledAdjustment(
    rule=Leaf(subject="zip", operator="less", values=("1",)), adjustment=Adjustment(share_bps=1)
)


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        (offer(), []),
        (offer(price=make.fixed()), ["price"]),
        (offer(asked=bidder(post_timing="accept")), ["bidder.post_timing"]),
        (offer(asked=bidder(post_timing="accept"), acceptance=Acceptance()), []),
        (offer(asked=bidder(post_timing="before_dial")), ["bidder.post_url"]),
        (offer(asked=bidder(post_timing="before_dial", post_url="https://bids.example.com/post")), []),
        (offer(asked=bidder(post_timing="before_dial", format=TrackDriveFormat())), []),
        (offer(asked=bidder(format=MATCHING)), ["bidder.share_number"]),
        (offer(asked=bidder(format=MATCHING, share_number=True)), []),
        (offer(asked=bidder(format=MATCHING, share_number=True), caller_id="tracked"), ["caller_id"]),
        (offer(asked=bidder(format=MATCHING), caller_id="tracked"), ["bidder.share_number", "caller_id"]),
        (offer(asked=bidder(format=RingbaFormat(expose_caller_id=False)), caller_id="tracked"), []),
        (offer(asked=bidder(format=RetreaverFormat()), caller_id="tracked"), []),
        (offer(asked=bidder(ruled=(FAULTY_RULE,))), ["bidder.ruled.0.rule.operator"]),
    ],
)
def test_an_offer_is_refused_where_its_bidder_could_not_work(wrong: Offer, fields: list[str]) -> None:
    found = offer_problems(wrong)
    assert fields_of(found) == fields
    assert all(one.problem and one.remedy for one in found)


def test_an_entry_of_an_offer_with_a_bidder_is_priced_by_the_bid_too() -> None:
    plan = make.routing_plan(offer(), entries=(Entry(offer_id=offer().id, price=make.fixed()),))
    assert of_campaign(make.campaign(plan=plan), offer()) == ["plan.entries.0.price"]
    plan = make.routing_plan(offer(), entries=(Entry(offer_id=offer().id, price=BidPrice()),))
    assert of_campaign(make.campaign(plan=plan), offer()) == []


def test_a_bidder_that_matches_by_the_number_needs_the_campaigns_consent_as_well() -> None:
    matching = offer(asked=bidder(format=MATCHING, share_number=True))
    assert of_campaign(make.campaign(matching), matching) == ["auction.share_number"]
    consenting = AuctionTerms(share_number=True)
    assert of_campaign(make.campaign(matching, auction=consenting), matching) == []
    behind = make.campaign(make.offer(2), fallback=FallbackOffer(offer_id=matching.id))
    assert of_campaign(behind, make.offer(2), matching) == ["auction.share_number"]


def test_amounts_of_an_auction_are_not_negative() -> None:
    terms = AuctionTerms(reserve=Money(-1), static_fallback=StaticAbove(amount=Money(-1)))
    assert of_campaign(make.campaign(offer(), auction=terms), offer()) == [
        "auction.reserve",
        "auction.static_fallback.amount",
    ]


@pytest.mark.parametrize(
    ("strategy", "entry", "entered", "fields"),
    [
        ("auction", ENTRY, offer(), []),
        ("weighted", ENTRY, offer(), ["plan.entries.0"]),
        ("waterfall", ENTRY, make.offer(1, price=BID), ["plan.entries.0"]),
        ("auction", ENTRY, make.offer(1, price=BID), ["plan.entries.0"]),
        ("auction", Entry(offer_id=OfferId("off_1"), price=make.fixed()), make.offer(1, price=BID), []),
        (
            "auction",
            ENTRY,
            offer(asked=bidder(timeout_ms=2_001)),
            ["plan.entries.0"],
        ),
        ("round_robin", ENTRY, make.offer(1), []),
    ],
)
def test_bidders_that_nobody_asks_or_waits_for_are_warned_of(
    strategy: str, entry: Entry, entered: Offer, fields: list[str]
) -> None:
    plan = make.routing_plan(strategy=strategy, entries=(entry,))
    assert warned(make.campaign(plan=plan), entered) == fields
