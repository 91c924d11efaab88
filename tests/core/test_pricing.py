"""Prices, payouts, duplicates, ratings and costs: the rules of money that need no database."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callmatrix.core.errors import Problem
from callmatrix.core.ids import BuyerId, CallId, CampaignId, OfferId, PublisherId
from callmatrix.core.money import ZERO, Money
from callmatrix.core.pricing import (
    MAX_BILLABLE_S,
    NEVER_S,
    Basis,
    BidPrice,
    Difference,
    Disposition,
    DuplicateRule,
    Durations,
    Estimate,
    FixedPrice,
    MinutePrice,
    PastCall,
    Price,
    PublisherTerms,
    Rated,
    Rating,
    RatingInput,
    Reason,
    SharePayout,
    Tariff,
    Tier,
    TieredPrice,
    below_margin,
    billable_s,
    carrier_cost,
    daily_rent,
    duplicate_of,
    estimate,
    maximum,
    minimum_threshold_s,
    payout,
    payout_maximum,
    payout_precedes_revenue,
    price_problems,
    rate_call,
    rerate,
    revenue,
    terms_of,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)

amounts = st.integers(1, 10**9).map(Money)
thresholds = st.integers(0, 600)
tiered = st.dictionaries(thresholds, amounts, min_size=1, max_size=5).map(
    lambda tiers: TieredPrice(tiers=tuple(Tier(from_s=start, amount=tiers[start]) for start in sorted(tiers)))
)
fixed = st.builds(FixedPrice, amount=amounts, after_s=thresholds)
by_minute = st.builds(
    MinutePrice,
    rate=amounts,
    increment_s=st.integers(1, 90),
    minimum_s=st.integers(0, 120),
    after_s=thresholds,
)
by_bid = st.builds(BidPrice, after_s=thresholds)
prices: st.SearchStrategy[Price] = st.one_of(fixed, tiered, by_minute, by_bid)


def usd(text: str) -> Money:
    return Money.parse(text)


def tiers(**starts: str) -> TieredPrice:
    """`tiers(_30="5.00")`: five from 30 seconds on."""
    return TieredPrice(
        tiers=tuple(Tier(from_s=int(start[1:]), amount=usd(amount)) for start, amount in starts.items())
    )


def earned(price: Price, *seconds: int, bid: Money | None = None) -> list[str]:
    return [str(revenue(price, billable_s=s, connected=True, bid=bid).amount) for s in seconds]


# Prices


def test_a_fixed_price_is_owed_from_its_threshold_on() -> None:
    assert earned(FixedPrice(amount=usd("25"), after_s=90), 0, 89, 90, 91) == [
        "0.00",
        "0.00",
        "25.00",
        "25.00",
    ]


def test_the_threshold_and_the_time_are_told_with_the_amount() -> None:
    price = FixedPrice(amount=usd("25"), after_s=90)
    assert revenue(price, billable_s=89, connected=True) == Rated(
        detail={"billable_s": "89", "threshold_s": "90"}
    )
    assert revenue(price, billable_s=90, connected=True) == Rated(
        amount=usd("25"), reached=True, detail={"billable_s": "90", "threshold_s": "90"}
    )


def test_tiers_give_the_amount_of_the_highest_tier_reached_not_their_sum() -> None:
    price = tiers(_30="5", _90="12", _300="30")
    assert earned(price, 29, 30, 89, 90, 299, 300, 9_999) == [
        "0.00",
        "5.00",
        "5.00",
        "12.00",
        "12.00",
        "30.00",
        "30.00",
    ]


def test_a_tier_of_nothing_is_not_reached() -> None:
    price = tiers(_0="0", _60="9")
    assert not revenue(price, billable_s=59, connected=True).reached
    assert revenue(price, billable_s=60, connected=True).reached
    assert minimum_threshold_s(price) == 60


def test_time_by_the_minute_is_rounded_up_to_the_increment_and_at_least_the_minimum() -> None:
    price = MinutePrice(rate=usd("0.60"), increment_s=6, minimum_s=30)
    assert earned(price, 0, 1, 30, 31, 36, 37) == ["0.30", "0.30", "0.30", "0.36", "0.36", "0.42"]


def test_by_the_minute_a_call_of_no_time_and_no_minimum_earns_nothing() -> None:
    price = MinutePrice(rate=usd("1"))
    assert not revenue(price, billable_s=0, connected=True).reached
    assert earned(price, 1, 60, 61) == ["1.00", "1.00", "2.00"]


def test_a_bid_price_gives_the_bid_and_nothing_without_one() -> None:
    price = BidPrice(floor=usd("10"), after_s=60)
    assert earned(price, 59, 60, bid=usd("17.31")) == ["0.00", "17.31"]
    assert revenue(price, billable_s=60, connected=True) == Rated(detail={"bid": "none"})


@given(prices, st.integers(0, MAX_BILLABLE_S), amounts)
def test_a_call_that_did_not_connect_never_earns(price: Price, seconds: int, bid: Money) -> None:
    assert revenue(price, billable_s=seconds, connected=False, bid=bid) == Rated(detail={"connected": "no"})


@given(prices, st.integers(0, 7_200), st.integers(0, 7_200), amounts)
def test_rule_11_no_call_within_the_limit_earns_more_than_the_maximum_held(
    price: Price, seconds: int, beyond: int, bid: Money
) -> None:
    rated = revenue(price, billable_s=seconds, connected=True, bid=bid)
    assert ZERO <= rated.amount <= maximum(price, time_limit_s=seconds + beyond, bid=bid)


def test_rule_11_the_maximum_is_the_top_tier_or_the_rate_times_the_limit() -> None:
    held = [
        maximum(FixedPrice(amount=usd("25"), after_s=90), time_limit_s=60),
        maximum(tiers(_30="5", _90="12"), time_limit_s=60),
        maximum(MinutePrice(rate=usd("0.50")), time_limit_s=3_601),
        maximum(BidPrice(), time_limit_s=60, bid=usd("9")),
        maximum(BidPrice(), time_limit_s=60),
    ]
    assert held == [usd("25"), usd("12"), usd("30.50"), usd("9"), ZERO]


@given(prices, amounts)
def test_rule_19_the_least_billable_seconds_are_exactly_where_earning_begins(
    price: Price, bid: Money
) -> None:
    threshold_s = minimum_threshold_s(price)
    assert revenue(price, billable_s=threshold_s, connected=True, bid=bid).reached
    if threshold_s > 0:
        assert not revenue(price, billable_s=threshold_s - 1, connected=True, bid=bid).reached


def test_tiers_without_an_amount_never_begin_to_earn_and_are_not_saved() -> None:
    price = tiers(_0="0", _60="0")
    assert minimum_threshold_s(price) == NEVER_S
    assert price_problems(price, field="price") == (
        Problem(
            field="price.tiers", problem="No tier earns anything", remedy="Give at least one tier an amount"
        ),
    )


def test_negative_amounts_and_tiers_out_of_order_are_not_saved() -> None:
    unsorted_tiers = tiers(_60="9", _30="-5")
    assert [problem.field for problem in price_problems(unsorted_tiers, field="price")] == [
        "price.tiers.1.amount",
        "price.tiers",
    ]
    for price in (FixedPrice(amount=usd("-1")), MinutePrice(rate=usd("-1")), BidPrice(floor=usd("-1"))):
        assert [problem.problem for problem in price_problems(price, field="price")] == [
            "-1.00 is out of range"
        ]
    assert price_problems(SharePayout(share_bps=10_000), field="payout") == ()


# Rule 16: billable time


@pytest.mark.parametrize(
    ("durations", "basis", "seconds"),
    [
        (Durations(leg_ms=95_000, bridged_ms=89_999), "bridged", 89),
        (Durations(leg_ms=95_000, bridged_ms=90_000), "bridged", 90),
        (Durations(leg_ms=95_999, bridged_ms=90_000), "leg", 95),
        (Durations(leg_ms=95_000, whisper_ms=4_200), "bridged", 90),
        (Durations(leg_ms=95_000, whisper_ms=4_200), "leg", 95),
        (Durations(leg_ms=95_000, bridged_ms=92_000, whisper_ms=4_200), "bridged", 92),
        (Durations(leg_ms=3_000, whisper_ms=4_200), "bridged", 0),
        (Durations(bridged_ms=90_000), "leg", None),
        (Durations(), "bridged", None),
    ],
)
def test_rule_16_billable_time_is_whole_floored_seconds_of_the_basis(
    durations: Durations, basis: Basis, seconds: int | None
) -> None:
    assert billable_s(durations, basis=basis) == seconds


# Rule 17: payout


def test_rule_17_a_share_is_of_settled_revenue_and_the_rounding_stays_with_us() -> None:
    settled = Money(10_000_001)
    owed = payout(SharePayout(share_bps=5_000), billable_s=0, connected=True, settled_revenue=settled)
    assert (owed.amount, settled - owed.amount, owed.reached) == (Money(5_000_000), Money(5_000_001), True)


def test_rule_17_a_share_of_nothing_is_not_reached() -> None:
    owed = payout(SharePayout(share_bps=5_000), billable_s=600, connected=True, settled_revenue=ZERO)
    assert (owed.amount, owed.reached) == (ZERO, False)


@given(
    st.one_of(fixed, tiered, st.builds(SharePayout, share_bps=st.integers(0, 10_000))),
    amounts,
    st.integers(0, 900),
    st.integers(0, 100),
)
def test_rule_11_no_payout_is_more_than_the_maximum_held(
    terms: Any, most: Money, seconds: int, percent: int
) -> None:
    settled = Money(most.micros * percent // 100)
    owed = payout(terms, billable_s=seconds, connected=True, settled_revenue=settled)
    assert ZERO <= owed.amount <= payout_maximum(terms, revenue_max=most)


def test_the_nearest_terms_are_in_force_and_are_never_mixed() -> None:
    own, of_campaign, of_publisher = (
        PublisherTerms(payout=FixedPrice(amount=usd(amount))) for amount in ("3", "2", "1")
    )
    chosen = [
        terms_of(publisher=of_publisher, campaign=of_campaign, publisher_in_campaign=own),
        terms_of(publisher=of_publisher, campaign=of_campaign, publisher_in_campaign=None),
        terms_of(publisher=of_publisher, campaign=None, publisher_in_campaign=None),
        terms_of(publisher=of_publisher, campaign=None, publisher_in_campaign=own),
    ]
    assert chosen == [own, of_campaign, of_publisher, own]


# Rule 18: duplicates

THIS: dict[str, Any] = {
    "offer_id": OfferId("off_1"),
    "buyer_id": BuyerId("buy_1"),
    "campaign_id": CampaignId("cmp_1"),
    "campaign_group": "roofing",
    "publisher_id": PublisherId("pub_1"),
}


def past(call_id: str = "call_0", **changes: Any) -> PastCall:
    """An earlier call, alike in nothing, that connected and converted a day ago."""
    values: dict[str, Any] = {
        "call_id": CallId(call_id),
        "campaign_id": CampaignId("cmp_0"),
        "connected_at": NOON - DAY,
        "offer_id": OfferId("off_0"),
        "buyer_id": BuyerId("buy_0"),
        "publisher_id": PublisherId("pub_0"),
        "campaign_group": "",
        "converted_at": NOON - DAY,
        "paid_at": NOON - DAY,
    }
    return PastCall(**(values | changes))


@pytest.mark.parametrize(
    ("scope", "alike"),
    [
        ("offer", {"offer_id": OfferId("off_1")}),
        ("buyer", {"buyer_id": BuyerId("buy_1")}),
        ("campaign", {"campaign_id": CampaignId("cmp_1")}),
        ("campaign_group", {"campaign_group": "roofing"}),
        ("campaign_group", {"campaign_id": CampaignId("cmp_1")}),
        ("publisher", {"publisher_id": PublisherId("pub_1")}),
    ],
)
def test_rule_18_a_duplicate_is_alike_in_the_scope_and_in_nothing_else(
    scope: Any, alike: dict[str, Any]
) -> None:
    rule = DuplicateRule(window_days=30, scope=scope)
    everything_but = {**THIS, "call_id": "call_0"}
    for name in alike:
        del everything_but[name]
    if scope == "campaign_group":
        everything_but = {"offer_id": THIS["offer_id"], "buyer_id": THIS["buyer_id"]}
    twin, stranger = past(**alike), past(**everything_but)
    assert duplicate_of(rule, history=(twin,), at=NOON, **THIS) == twin
    assert duplicate_of(rule, history=(stranger,), at=NOON, **THIS) is None


@pytest.mark.parametrize("scope", ["offer", "buyer", "publisher"])
def test_rule_18_calls_without_an_offer_buyer_or_publisher_are_not_alike_in_having_none(scope: Any) -> None:
    nobody: dict[str, Any] = {"offer_id": None, "buyer_id": None, "publisher_id": None}
    rule = DuplicateRule(window_days=30, scope=scope)
    assert duplicate_of(rule, history=(past(**nobody),), at=NOON, **(THIS | nobody)) is None


def test_rule_18_campaigns_without_a_group_are_groups_of_their_own() -> None:
    rule = DuplicateRule(window_days=30, scope="campaign_group")
    assert duplicate_of(rule, history=(past(),), at=NOON, **(THIS | {"campaign_group": ""})) is None


def test_rule_18_the_window_rolls_by_days_of_24_hours() -> None:
    rule = DuplicateRule(window_days=30, scope="buyer")
    still, no_more = (
        past(buyer_id=BuyerId("buy_1"), converted_at=NOON - 30 * DAY + timedelta(microseconds=early))
        for early in (1, 0)
    )
    assert duplicate_of(rule, history=(still,), at=NOON, **THIS) == still
    assert duplicate_of(rule, history=(no_more,), at=NOON, **THIS) is None


def test_rule_18_a_window_from_connection_counts_calls_that_never_converted() -> None:
    unconverted = past(buyer_id=BuyerId("buy_1"), converted_at=None)
    found = [
        duplicate_of(
            DuplicateRule(window_days=30, counts_from=counts_from), history=(unconverted,), at=NOON, **THIS
        )
        for counts_from in ("connected", "converted")
    ]
    assert found == [unconverted, None]


def test_rule_18_a_fully_reversed_original_no_longer_blocks() -> None:
    rule = DuplicateRule(window_days=30, scope="buyer")
    original = past(buyer_id=BuyerId("buy_1"))
    reversed_in_full = msgspec.structs.replace(original, converted_at=None, paid_at=None)
    assert duplicate_of(rule, history=(original,), at=NOON, **THIS) == original
    assert duplicate_of(rule, history=(reversed_in_full,), at=NOON, **THIS) is None


def test_rule_18_anonymous_callers_have_no_history_and_match_nobody() -> None:
    assert duplicate_of(DuplicateRule(window_days=30), history=(), at=NOON, **THIS) is None


def test_rule_18_the_latest_original_is_named() -> None:
    older, newer = (
        past(name, buyer_id=BuyerId("buy_1"), converted_at=NOON - days * DAY)
        for name, days in (("call_a", 9), ("call_b", 2))
    )
    assert duplicate_of(DuplicateRule(window_days=30), history=(newer, older), at=NOON, **THIS) == newer


def test_rule_18_across_publishers_the_first_paid_owns_the_caller_not_the_first_connected() -> None:
    rule = DuplicateRule(window_days=30, scope="campaign_group", counts_from="connected")
    of_another = past(campaign_group="roofing", paid_at=None)
    of_the_same = past(campaign_group="roofing", paid_at=None, publisher_id=PublisherId("pub_1"))
    paid_to_another = past(campaign_group="roofing", paid_at=NOON - DAY)
    found = [
        duplicate_of(rule, history=(call,), at=NOON, side="payout", **THIS)
        for call in (of_another, of_the_same, paid_to_another)
    ]
    assert found == [None, of_the_same, paid_to_another]


def test_rule_18_the_sides_are_judged_apart() -> None:
    rule = DuplicateRule(window_days=30, scope="campaign_group")
    only_converted = past(campaign_group="roofing", paid_at=None)
    only_paid = past(campaign_group="roofing", converted_at=None)
    found = [
        duplicate_of(rule, history=(call,), at=NOON, side=side, **THIS)
        for call in (only_converted, only_paid)
        for side in ("revenue", "payout")
    ]
    assert found == [only_converted, None, None, only_paid]


@given(st.integers(-5, 5), st.sampled_from(["connected", "converted"]), st.booleans())
def test_rule_18_of_two_calls_at_once_exactly_one_owns_the_caller(
    apart_s: int, counts_from: Any, first_settles_first: bool
) -> None:
    rule = DuplicateRule(window_days=1, counts_from=counts_from)
    connected = {"call_a": NOON, "call_b": NOON + timedelta(seconds=apart_s)}
    order = ("call_a", "call_b") if first_settles_first else ("call_b", "call_a")
    known = {
        name: past(name, buyer_id=BuyerId("buy_1"), connected_at=connected[name], converted_at=None)
        for name in order
    }
    for turn, name in enumerate(order):
        original = duplicate_of(
            rule,
            history=tuple(known.values()),
            at=connected[name],
            call_id=CallId(name),
            **THIS,
        )
        if original is None:
            settled_at = NOON + timedelta(minutes=5 - turn)  # the clocks of two processes may disagree
            known[name] = msgspec.structs.replace(known[name], converted_at=settled_at)
    assert [call.converted_at is not None for call in known.values()].count(True) == 1


def test_rule_18_re_rating_the_owner_finds_no_duplicate_in_calls_that_came_later() -> None:
    rule = DuplicateRule(window_days=30)
    later = past("call_9", buyer_id=BuyerId("buy_1"), connected_at=NOON + DAY, converted_at=NOON + DAY)
    itself = past("call_1", buyer_id=BuyerId("buy_1"), connected_at=NOON, converted_at=NOON)
    own: dict[str, Any] = {"at": NOON, "call_id": CallId("call_1")} | THIS
    assert duplicate_of(rule, history=(itself, later), earned_at=NOON, **own) is None
    assert duplicate_of(rule, history=(itself,), **own) is None


# Rating

PRICE = FixedPrice(amount=usd("25"), after_s=90)
TERMS = PublisherTerms(payout=FixedPrice(amount=usd("15"), after_s=60))


def rating_input(**changes: Any) -> RatingInput:
    """A call of two minutes that converts and pays."""
    values: dict[str, Any] = THIS | {
        "call_id": CallId("call_1"),
        "at": NOON + timedelta(minutes=2),
        "connected_at": NOON,
        "billable_s": 120,
        "price": PRICE,
        "terms": TERMS,
    }
    return RatingInput(**(values | changes))


def codes(**changes: Any) -> tuple[str, str, str, str]:
    rating = rate_call(rating_input(**changes))
    assert rating.converted == (rating.revenue_reason.code == "converted")
    assert rating.paid == (rating.payout_reason.code == "paid")
    return (
        rating.revenue_reason.code,
        str(rating.revenue),
        rating.payout_reason.code,
        str(rating.payout),
    )


def test_a_call_that_converts_is_rated_on_both_sides_with_reasons() -> None:
    assert rate_call(rating_input()) == Rating(
        call_id=CallId("call_1"),
        revision=1,
        at=NOON + timedelta(minutes=2),
        revenue=usd("25"),
        revenue_reason=Reason(code="converted", values={"billable_s": "120", "threshold_s": "90"}),
        converted_at=NOON + timedelta(minutes=2),
        payout=usd("15"),
        payout_reason=Reason(code="paid", values={"billable_s": "120", "threshold_s": "60"}),
        paid_at=NOON + timedelta(minutes=2),
    )


OWN_RULE = PublisherTerms(payout=FixedPrice(amount=usd("15"), after_s=60), only_if_converted=False)
HALF = PublisherTerms(payout=SharePayout(share_bps=5_000), only_if_converted=False)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"billable_s": 89}, ("below_threshold", "0.00", "not_converted", "0.00")),
        ({"billable_s": 89, "terms": OWN_RULE}, ("below_threshold", "0.00", "paid", "15.00")),
        ({"billable_s": 59, "terms": OWN_RULE}, ("below_threshold", "0.00", "below_threshold", "0.00")),
        ({"billable_s": 89, "terms": HALF}, ("below_threshold", "0.00", "not_converted", "0.00")),
        ({"terms": HALF}, ("converted", "25.00", "paid", "12.50")),
        ({"connected_at": None}, ("not_connected", "0.00", "not_connected", "0.00")),
        ({"publisher_id": None}, ("converted", "25.00", "publisher_not_on_call", "0.00")),
        ({"terms": None}, ("converted", "25.00", "publisher_not_on_call", "0.00")),
        ({"price": None, "offer_id": None}, ("no_buyer", "0.00", "not_converted", "0.00")),
        ({"price": None, "terms": OWN_RULE}, ("no_buyer", "0.00", "paid", "15.00")),
        ({"price": BidPrice()}, ("no_bid", "0.00", "not_converted", "0.00")),
        ({"price": BidPrice(), "bid": usd("31.4")}, ("converted", "31.40", "paid", "15.00")),
    ],
)
def test_rule_17_payout_follows_the_buyers_side_or_its_own_rule(
    changes: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert codes(**changes) == expected


def test_rule_2_a_test_call_is_worth_nothing() -> None:
    assert codes(test=True) == ("test_call", "0.00", "test_call", "0.00")


def test_rule_20_a_call_of_unknown_length_goes_to_review_unbilled() -> None:
    review = ("not_billed_in_review", "0.00", "not_billed_in_review", "0.00")
    assert codes(billable_s=None, terms=OWN_RULE) == review


def test_rule_10_a_capped_publisher_is_routed_unpaid() -> None:
    assert codes(pays_publisher=False) == ("converted", "25.00", "capped_unpaid", "0.00")


def test_rule_29_a_late_call_to_a_number_past_its_cooldown_pays_nobody() -> None:
    assert codes(number_expired=True) == ("converted", "25.00", "number_cooldown_expired", "0.00")


def test_rule_18_a_duplicate_found_at_settlement_is_not_billed_and_not_paid() -> None:
    history = (past(buyer_id=BuyerId("buy_1"), publisher_id=PublisherId("pub_1")),)
    by_buyer, by_publisher = (DuplicateRule(window_days=30, scope=scope) for scope in ("buyer", "publisher"))
    rating = rate_call(rating_input(history=history, duplicates=by_buyer))
    assert rating.revenue_reason == Reason(code="duplicate", values={"original": "call_0"})
    strict = PublisherTerms(payout=TERMS.payout, only_if_converted=False, duplicates=by_publisher)
    sides = [
        codes(history=history, duplicates=by_buyer),
        codes(history=history, duplicates=by_buyer, terms=OWN_RULE),
        codes(history=history, terms=strict),
        codes(history=history, duplicates=by_buyer, terms=strict),
    ]
    assert sides == [
        ("duplicate", "0.00", "not_converted", "0.00"),
        ("duplicate", "0.00", "paid", "15.00"),
        ("converted", "25.00", "duplicate", "0.00"),
        ("duplicate", "0.00", "duplicate", "0.00"),
    ]


LATER = NOON + 3 * DAY
YES = Disposition(at=LATER, converted=True)
NO = Disposition(at=LATER, converted=False)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("awaits_postback", "0.00", "awaits_postback", "0.00")),
        ({"converts_on": "manual"}, ("awaits_manual", "0.00", "awaits_manual", "0.00")),
        ({"terms": HALF}, ("awaits_postback", "0.00", "awaits_postback", "0.00")),
        ({"terms": OWN_RULE}, ("awaits_postback", "0.00", "paid", "15.00")),
        ({"disposition": YES, "at": LATER}, ("converted", "25.00", "paid", "15.00")),
        ({"disposition": NO, "at": LATER}, ("not_converted", "0.00", "not_converted", "0.00")),
        ({"at": NOON + 4 * DAY}, ("expired", "0.00", "not_converted", "0.00")),
        (
            {"disposition": Disposition(at=NOON + 4 * DAY, converted=True), "at": NOON + 5 * DAY},
            ("expired", "0.00", "not_converted", "0.00"),
        ),
        ({"disposition": YES, "at": NOON + 9 * DAY}, ("converted", "25.00", "paid", "15.00")),
        (
            {"disposition": YES, "at": LATER, "billable_s": 10},
            ("below_threshold", "0.00", "not_converted", "0.00"),
        ),
        ({"disposition": YES, "connected_at": None}, ("not_connected", "0.00", "not_connected", "0.00")),
    ],
)
def test_rule_17_a_postback_or_a_person_converts_a_call_before_it_expires(
    changes: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert codes(**({"converts_on": "postback", "conversion_expires_h": 96} | changes)) == expected


def test_a_bid_that_won_is_what_is_owed_and_a_postback_says_the_amount_only_where_there_is_none() -> None:
    said = Disposition(at=LATER, converted=True, amount=usd("40"))
    common: dict[str, Any] = {"converts_on": "postback", "disposition": said, "at": LATER, "terms": HALF}
    negative = Disposition(at=LATER, converted=True, amount=usd("-40"))
    rated = [
        codes(price=BidPrice(), bid=usd("30"), **common),
        codes(price=BidPrice(), **common),
        codes(**common),
        codes(price=BidPrice(), bid=usd("30"), **(common | {"converts_on": "duration"})),
        codes(price=BidPrice(), bid=usd("30"), **(common | {"disposition": negative})),
    ]
    assert rated == [
        ("converted", "30.00", "paid", "15.00"),
        ("converted", "40.00", "paid", "20.00"),
        ("converted", "25.00", "paid", "12.50"),
        ("converted", "30.00", "paid", "15.00"),
        ("converted", "30.00", "paid", "15.00"),
    ]
    assert rate_call(rating_input(**common)).revenue_reason.values["amount_ignored"] == "40.00"


def test_rule_18_a_call_that_converts_by_a_late_postback_is_judged_by_when_it_connected() -> None:
    original = past(buyer_id=BuyerId("buy_1"), converted_at=NOON - DAY)
    late: dict[str, Any] = {
        "converts_on": "postback",
        "disposition": YES,
        "at": LATER,
        "history": (original,),
        "duplicates": DuplicateRule(window_days=2),
    }
    assert codes(**late)[0] == "duplicate"


def test_rule_21_re_rating_gives_what_to_add_to_either_side() -> None:
    short, long = rate_call(rating_input(billable_s=10)), rate_call(rating_input(revision=2))
    added = Difference(
        call_id=CallId("call_1"),
        revision=2,
        revenue=usd("25"),
        payout=usd("15"),
        conversions=1,
        payments=1,
    )
    assert rerate(short, long) == added
    assert rerate(None, long) == added
    again = rate_call(rating_input(revision=3, price=FixedPrice(amount=usd("20"))))
    assert rerate(long, again) == Difference(call_id=CallId("call_1"), revision=3, revenue=usd("-5"))
    undone = rate_call(rating_input(revision=4, billable_s=0))
    assert rerate(long, undone) == Difference(
        call_id=CallId("call_1"),
        revision=4,
        revenue=usd("-25"),
        payout=usd("-15"),
        conversions=-1,
        payments=-1,
    )


def test_rule_21_re_rating_keeps_the_instant_of_conversion() -> None:
    rating = rate_call(rating_input(revision=2, at=LATER, converted_at=NOON, paid_at=NOON))
    assert (rating.at, rating.converted_at, rating.paid_at) == (LATER, NOON, NOON)


@given(
    prices,
    st.one_of(st.none(), st.integers(0, 600)),
    st.sampled_from(["duration", "postback", "manual"]),
    st.sampled_from([TERMS, OWN_RULE, HALF, None]),
    st.booleans(),
    st.one_of(st.none(), amounts),
)
def test_a_call_is_worth_something_only_where_its_reason_says_so(
    price: Price, seconds: int | None, converts_on: Any, terms: Any, pays: bool, bid: Money | None
) -> None:
    rating = rate_call(
        rating_input(
            price=price,
            billable_s=seconds,
            converts_on=converts_on,
            terms=terms,
            pays_publisher=pays,
            bid=bid,
        )
    )
    assert rating.converted == (rating.revenue_reason.code == "converted")
    assert rating.converted or not rating.revenue
    assert rating.paid == (rating.payout_reason.code == "paid")
    assert rating.paid or not rating.payout
    assert rating.converted or not rating.paid or terms is OWN_RULE


# Rule 22: costs


def test_rule_22_every_leg_is_charged_by_itself_per_started_increment() -> None:
    tariff = Tariff(inbound_per_minute=usd("0.01"), outbound_per_minute=usd("0.02"))
    costs = [
        carrier_cost(tariff, inbound_ms=0, outbound_ms=()),
        carrier_cost(tariff, inbound_ms=1, outbound_ms=()),
        carrier_cost(tariff, inbound_ms=60_000, outbound_ms=(60_000,)),
        carrier_cost(tariff, inbound_ms=60_001, outbound_ms=(500, 59_000)),
    ]
    assert costs == [ZERO, usd("0.01"), usd("0.03"), usd("0.06")]


def test_rule_22_a_tariff_by_six_seconds_charges_tenths_of_a_minute() -> None:
    tariff = Tariff(inbound_per_minute=usd("0.01"), increment_s=6)
    assert carrier_cost(tariff, inbound_ms=6_001, outbound_ms=()) == usd("0.002")


@given(amounts, st.integers(2020, 2040), st.integers(1, 12))
def test_rule_22_the_days_of_a_month_sum_to_its_rent_exactly(rent: Money, year: int, month: int) -> None:
    first = date(year, month, 1)
    following = (first + timedelta(days=31)).replace(day=1)
    tariff = Tariff(number_per_month=rent)
    days = [daily_rent(tariff, first + timedelta(days=n)) for n in range((following - first).days)]
    assert sum(days, start=ZERO) == rent
    assert max(days) - min(days) <= Money(1)


# Rule 8: margin


def test_rule_8_an_offer_is_refused_below_the_margin_floor_with_the_values() -> None:
    thin = Estimate(revenue=usd("25"), payout=usd("20"), cost=usd("0.05"))
    assert below_margin(thin, floor=usd("4.95"), floor_bps=0) is None
    assert below_margin(thin, floor=usd("4.96"), floor_bps=0) == {
        "revenue": "25.00",
        "payout": "20.00",
        "cost": "0.05",
        "margin": "4.95",
        "floor": "4.96",
    }
    assert below_margin(thin, floor=ZERO, floor_bps=1_980) is None
    assert below_margin(thin, floor=ZERO, floor_bps=1_981) is not None


def test_rule_8_by_default_only_a_loss_is_refused() -> None:
    even = Estimate(revenue=usd("20"), payout=usd("20"), cost=ZERO)
    loss = Estimate(revenue=usd("20"), payout=usd("20"), cost=Money(1))
    assert below_margin(even, floor=ZERO, floor_bps=0) is None
    assert below_margin(loss, floor=ZERO, floor_bps=0) is not None


def test_rule_8_the_estimate_is_of_a_call_that_just_converts() -> None:
    tariff = Tariff(inbound_per_minute=usd("0.01"), outbound_per_minute=usd("0.02"))
    estimated = [
        estimate(PRICE, terms=TERMS, tariff=tariff),
        estimate(BidPrice(), terms=HALF, tariff=tariff, bid=usd("30")),
        estimate(MinutePrice(rate=usd("0.60")), terms=None, tariff=tariff),
        estimate(
            PRICE, terms=PublisherTerms(payout=FixedPrice(amount=usd("24"), after_s=600)), tariff=Tariff()
        ),
    ]
    assert estimated == [
        Estimate(revenue=usd("25"), payout=usd("15"), cost=usd("0.06")),
        Estimate(revenue=usd("30"), payout=usd("15"), cost=usd("0.03")),
        Estimate(revenue=usd("0.60"), payout=ZERO, cost=usd("0.03")),
        Estimate(revenue=usd("25"), payout=usd("24"), cost=ZERO),
    ]


def test_rule_8_saving_warns_when_payout_can_be_earned_before_revenue() -> None:
    warned = [
        payout_precedes_revenue(PRICE, converts_on="duration", terms=TERMS),
        payout_precedes_revenue(PRICE, converts_on="duration", terms=OWN_RULE),
        payout_precedes_revenue(FixedPrice(amount=usd("9")), converts_on="duration", terms=OWN_RULE),
        payout_precedes_revenue(FixedPrice(amount=usd("9")), converts_on="postback", terms=OWN_RULE),
        payout_precedes_revenue(PRICE, converts_on="postback", terms=HALF),
    ]
    assert warned == [False, True, False, True, False]
