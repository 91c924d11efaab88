"""Save-time checks of configuration documents: each names the field and the remedy."""

from datetime import timedelta
from typing import Any

from msgspec.structs import replace
from routing_plans import AT, CAMPAIGN, PUBLISHER, dollars, entry, fixed, offer, plan, publisher

from callmatrix.core.campaign import (
    Account,
    Assignment,
    Buyer,
    CampaignShare,
    FallbackOffer,
    Geography,
    MarginFloor,
    Number,
    Offer,
    PublisherInCampaign,
    account_problems,
    buyer_problems,
    campaign_problems,
    campaign_warnings,
    number_problems,
    offer_problems,
    publisher_problems,
)
from callmatrix.core.caps import CountCap, Limits
from callmatrix.core.errors import Problem
from callmatrix.core.hours import Hours
from callmatrix.core.ids import BuyerId, CampaignId, NumberId
from callmatrix.core.money import Money
from callmatrix.core.pricing import FixedPrice, PublisherTerms, SharePayout, Tier, TieredPrice
from callmatrix.core.rules import Leaf

TWO_ALIKE = Limits(caps=(CountCap(metric="attempt", window="day", limit=1),) * 2)


def fields(problems: tuple[Problem, ...]) -> list[str]:
    assert all(one.problem and one.remedy for one in problems)
    return [one.field for one in problems]


def billed_after(seconds: int) -> FixedPrice:
    return FixedPrice(amount=dollars(10), after_s=seconds)


def test_a_sound_offer_has_no_problems() -> None:
    assert offer_problems(offer("a", price=billed_after(90), reroute_below_s=30)) == ()


def test_the_reroute_threshold_lies_below_the_billable_one() -> None:
    assert offer_problems(offer("a", price=billed_after(30), reroute_below_s=30)) == (
        Problem(
            field="reroute_below_s",
            problem="Calls under 30 s are routed on, but 30 s are billed",
            remedy="Re-route below less than 30 s, or bill later",
        ),
    )


def test_every_part_of_an_offer_is_checked() -> None:
    descending = TieredPrice(tiers=(Tier(from_s=90, amount=dollars(1)), Tier(from_s=30, amount=dollars(2))))
    broken = offer(
        "a",
        time_zone="EST5",
        hours=Hours(time_zone="nowhere", spans=()),
        rule=Leaf(subject="caller_state", operator="equal", values=("XX",)),
        price=descending,
        limits=TWO_ALIKE,
        required_fields=("age", "age"),
    )
    assert fields(offer_problems(broken)) == [
        "time_zone",
        "hours.time_zone",
        "rule.values.0",
        "price.tiers",
        "limits.caps.1",
        "required_fields.1",
    ]


def test_accounts_buyers_and_publishers_are_checked() -> None:
    assert fields(account_problems(Account(id="acc_1", name="N", time_zone="Mars/Base"))) == ["time_zone"]
    buyer = Buyer(id=BuyerId("buy_1"), name="B", credit_limit=Money(-1), limits=TWO_ALIKE)
    assert fields(buyer_problems(buyer)) == ["limits.caps.1", "credit_limit"]
    assert fields(publisher_problems(publisher(fixed(-1)))) == ["terms.payout.amount"]


def checked(*offers: Offer, known: Any = (PUBLISHER,), flow_fields: Any = (), **changes: Any) -> list[str]:
    document = plan("auction", *offers).document
    campaign = replace(document.campaign, **changes)
    return fields(
        campaign_problems(
            campaign,
            offers={one.id: one for one in document.offers},
            buyers={one.id: one for one in document.buyers},
            publishers=known,
            flow_fields=flow_fields,
        )
    )


def test_a_campaign_names_what_is_there() -> None:
    pair = PublisherInCampaign(publisher_id=PUBLISHER, limits=TWO_ALIKE)
    assert checked(offer("a"), publishers=(pair, pair), known=()) == [
        "publishers.1.publisher_id",
        "publishers.0.publisher_id",
        "publishers.0.limits.caps.1",
        "publishers.1.publisher_id",
        "publishers.1.limits.caps.1",
    ]
    assert checked(offer("a"), publishers=(replace(pair, limits=Limits()),)) == []


def test_every_part_of_a_campaign_is_checked() -> None:
    assert checked(
        offer("a"),
        time_zone="nowhere",
        limits=TWO_ALIKE,
        geography=Geography(states=("TX", "tx")),
        margin_floor=MarginFloor(amount=Money(-1)),
        terms=PublisherTerms(payout=fixed(-1)),
    ) == ["time_zone", "limits.caps.1", "geography.states.1", "margin_floor.amount", "terms.payout.amount"]


def test_a_required_field_must_be_captured_by_the_flow() -> None:
    assert checked(offer("a", required_fields=("age",))) == ["plan.entries.0.offer_id"]
    assert checked(offer("a", required_fields=("age",)), flow_fields=("age", "zip")) == []


def test_an_entrys_price_is_held_against_its_offers_reroute_threshold() -> None:
    document = plan("auction", offer("a", price=billed_after(90), reroute_below_s=30)).document
    entries = (entry("a", price=billed_after(20), limits=TWO_ALIKE),)
    changed = replace(document.campaign.plan, entries=entries)
    assert checked(*document.offers, plan=changed) == ["plan.entries.0.limits.caps.1", "plan.entries.0.price"]


def warned(terms: PublisherTerms, one: Offer) -> list[str]:
    compiled = plan("auction", one, publishers=(publisher(fixed(1)),), terms=terms)
    return fields(
        campaign_warnings(compiled.campaign, offers=compiled.offers, publishers=compiled.publishers)
    )


def test_saving_warns_where_payout_can_be_earned_before_revenue() -> None:
    early = PublisherTerms(payout=billed_after(60), only_if_converted=False)
    assert warned(early, offer("a", price=billed_after(90))) == ["plan.entries.0"]
    assert warned(early, offer("a", price=billed_after(60))) == []
    assert warned(early, offer("a", price=billed_after(60), converts_on="postback")) == ["plan.entries.0"]
    assert warned(replace(early, only_if_converted=True), offer("a", price=billed_after(90))) == []
    assert warned(replace(early, payout=SharePayout(share_bps=1)), offer("a", price=billed_after(90))) == []


def number(*assignments: Assignment) -> Number:
    return Number(
        id=NumberId("num_1"),
        number="+18885550100",
        connection_id="con_1",
        assignments=assignments,
    )


def split(*shares: tuple[CampaignId, int], **dates: Any) -> Assignment:
    return Assignment(
        **{"starts_at": AT, "split": tuple(CampaignShare(campaign_id=one, percent=of) for one, of in shares)}
        | dates
    )


def test_the_shares_of_a_number_sum_to_a_hundred_percent_of_known_campaigns() -> None:
    other = CampaignId("cmp_2")
    sound = split((CAMPAIGN, 60), (other, 40))
    assert number_problems(number(sound), campaigns=(CAMPAIGN, other)) == ()
    assert fields(number_problems(number(split((CAMPAIGN, 60), (CAMPAIGN, 30))), campaigns=())) == [
        "assignments.0.split",
        "assignments.0.split.1.campaign_id",
        "assignments.0.split.0.campaign_id",
        "assignments.0.split.1.campaign_id",
    ]


def test_assignments_follow_one_another() -> None:
    whole = split((CAMPAIGN, 100))
    backwards = split((CAMPAIGN, 100), ends_at=AT - timedelta(days=1))
    assert fields(number_problems(number(whole, backwards), campaigns=(CAMPAIGN,))) == [
        "assignments.1.ends_at",
        "assignments.1.starts_at",
    ]


def test_a_closed_campaign_may_use_its_own_fallback_offer_and_no_other() -> None:
    first, second = offer("a"), offer("b")
    own, other = FallbackOffer(offer_id=first.id), FallbackOffer(offer_id=second.id)
    assert checked(first, second, fallback=own, closed_treatment=own) == []
    assert checked(first, second, fallback=own, closed_treatment=other) == ["closed_treatment.offer_id"]
    assert checked(first, second, closed_treatment=other) == ["closed_treatment.offer_id"]
