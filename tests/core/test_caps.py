"""Caps: exact windows, the order of refusals, holds that end, and never one unit too many."""

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from callmatrix.core.caps import (
    TOTAL,
    Cap,
    Claim,
    CountCap,
    Counters,
    Denied,
    Granted,
    LateBooking,
    Limits,
    Metric,
    MoneyCap,
    Owner,
    Settlement,
    Tally,
    WhenCapped,
    Window,
    in_order,
    limit_of,
    limits_problems,
    needs_of,
    owners_of,
    window_bounds,
)
from callmatrix.core.geo import zone, zone_names
from callmatrix.core.ids import AccountId, AttemptId, BuyerId, CallId, CampaignId, OfferId, PublisherId
from callmatrix.core.money import ZERO, Money

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
WINDOWS: tuple[Window, ...] = ("hour", "day", "week", "month", "total")


def usd(text: str) -> Money:
    return Money.parse(text)


# Windows


def bounds(window: Window, at: datetime, time_zone: str, week_starts_on: int = 0) -> tuple[str, str]:
    """The window's bounds as wall times of the zone."""
    starts_at, ends_at = window_bounds(window, at=at, time_zone=time_zone, week_starts_on=week_starts_on)
    local = zone(time_zone)
    return f"{starts_at.astimezone(local):%m-%d %H:%M %z}", f"{ends_at.astimezone(local):%m-%d %H:%M %z}"


def test_rule_9_windows_are_clock_hours_days_weeks_and_months_of_the_owners_zone() -> None:
    late_sunday_in_chicago = datetime(2026, 6, 1, 4, 59, tzinfo=UTC)
    found = [bounds(window, late_sunday_in_chicago, "America/Chicago") for window in WINDOWS[:4]]
    assert found == [
        ("05-31 23:00 -0500", "06-01 00:00 -0500"),
        ("05-31 00:00 -0500", "06-01 00:00 -0500"),
        ("05-25 00:00 -0500", "06-01 00:00 -0500"),
        ("05-01 00:00 -0500", "06-01 00:00 -0500"),
    ]


def test_rule_9_weeks_start_on_the_owners_weekday() -> None:
    wednesday = datetime(2026, 6, 3, 12, tzinfo=UTC)
    assert [bounds("week", wednesday, "UTC", weekday)[0][:5] for weekday in range(7)] == [
        "06-01",
        "06-02",
        "06-03",
        "05-28",
        "05-29",
        "05-30",
        "05-31",
    ]


def test_a_day_on_which_clocks_change_has_23_or_25_hours() -> None:
    lengths = []
    for at in (datetime(2026, 3, 8, 20, tzinfo=UTC), datetime(2026, 11, 1, 20, tzinfo=UTC)):
        starts_at, ends_at = window_bounds("day", at=at, time_zone="America/New_York", week_starts_on=0)
        lengths.append(ends_at - starts_at)
    assert lengths == [timedelta(hours=23), timedelta(hours=25)]


def test_the_hour_that_autumn_repeats_is_two_windows() -> None:
    first, second = (datetime(2026, 11, 1, hour, 30, tzinfo=UTC) for hour in (5, 6))
    assert bounds("hour", first, "America/New_York") == ("11-01 01:00 -0400", "11-01 01:00 -0500")
    assert bounds("hour", second, "America/New_York") == ("11-01 01:00 -0500", "11-01 02:00 -0500")


def test_the_hour_that_spring_skips_is_no_window() -> None:
    before = datetime(2026, 3, 8, 6, 59, 59, tzinfo=UTC)
    assert bounds("hour", before, "America/New_York") == ("03-08 01:00 -0500", "03-08 03:00 -0400")


def test_a_change_by_half_an_hour_cuts_the_clock_hour() -> None:
    autumn, spring = datetime(2026, 4, 4, 15, 10, tzinfo=UTC), datetime(2026, 10, 3, 15, 40, tzinfo=UTC)
    lord_howe = "Australia/Lord_Howe"
    assert bounds("hour", autumn, lord_howe) == ("04-05 01:30 +1030", "04-05 02:00 +1030")
    assert bounds("hour", spring, lord_howe) == ("10-04 02:30 +1100", "10-04 03:00 +1100")


def test_a_change_one_minute_past_the_hour_leaves_a_window_of_one_minute() -> None:
    minute = datetime(2009, 11, 1, 3, 0, 30, tzinfo=UTC)
    starts_at, ends_at = window_bounds("hour", at=minute, time_zone="America/Goose_Bay", week_starts_on=0)
    assert (starts_at, ends_at - starts_at) == (minute.replace(second=0), timedelta(minutes=1))


def test_hours_of_a_zone_at_half_past_are_its_own() -> None:
    assert bounds("hour", NOON, "Asia/Kolkata") == ("03-02 17:00 +0530", "03-02 18:00 +0530")


def test_a_day_without_midnight_starts_at_the_jump() -> None:
    at = datetime(2026, 4, 24, 12, tzinfo=UTC)
    assert bounds("day", at, "Africa/Cairo") == ("04-24 01:00 +0300", "04-25 00:00 +0300")


def test_a_day_whose_midnight_comes_twice_starts_at_the_first() -> None:
    # at one minute past midnight the clocks of Goose Bay fell back to the evening before
    after_the_change = datetime(2009, 11, 1, 3, 30, tzinfo=UTC)
    assert bounds("day", after_the_change, "America/Goose_Bay") == ("11-01 00:00 -0300", "11-02 00:00 -0400")


def test_a_date_that_was_skipped_is_nobodys_window() -> None:
    before, after = datetime(2011, 12, 30, 9, 59, tzinfo=UTC), datetime(2011, 12, 30, 10, tzinfo=UTC)
    assert bounds("day", before, "Pacific/Apia") == ("12-29 00:00 -1000", "12-31 00:00 +1400")
    assert bounds("day", after, "Pacific/Apia") == ("12-31 00:00 +1400", "01-01 00:00 +1400")


def test_total_is_one_window_for_ever() -> None:
    assert window_bounds("total", at=NOON, time_zone="UTC", week_starts_on=0) == TOTAL


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="is not an IANA time zone"):
        window_bounds("day", at=NOON, time_zone="Europe/Atlantis", week_starts_on=0)


instants = st.datetimes(
    min_value=datetime(1970, 2, 1),  # noqa: DTZ001  hypothesis adds the zone
    max_value=datetime(2090, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
near_changes = st.builds(
    lambda change, seconds: change + timedelta(seconds=seconds),
    st.sampled_from(
        [
            datetime(2026, 3, 8, 7, tzinfo=UTC),
            datetime(2026, 11, 1, 6, tzinfo=UTC),
            datetime(2026, 10, 25, 1, tzinfo=UTC),
            datetime(2009, 11, 1, 3, 1, tzinfo=UTC),
            datetime(2011, 12, 30, 10, tzinfo=UTC),
        ]
    ),
    st.integers(-90_000, 90_000),
)


@given(
    st.sampled_from(WINDOWS),
    st.one_of(instants, near_changes),
    st.sampled_from(sorted(zone_names())),
    st.integers(0, 6),
)
def test_windows_hold_their_instant_and_follow_each_other_without_a_gap(
    window: Window, at: datetime, time_zone: str, week_starts_on: int
) -> None:
    def bounds_at(instant: datetime) -> tuple[datetime, datetime]:
        return window_bounds(window, at=instant, time_zone=time_zone, week_starts_on=week_starts_on)

    starts_at, ends_at = bounds_at(at)
    assert starts_at <= at < ends_at
    assert bounds_at(starts_at) == bounds_at(ends_at - timedelta(microseconds=1)) == (starts_at, ends_at)
    if window != "total":
        assert bounds_at(ends_at)[0] == ends_at
        assert bounds_at(starts_at - timedelta(microseconds=1))[1] == starts_at


@given(st.one_of(instants, near_changes), st.sampled_from(sorted(zone_names())))
def test_an_hour_is_of_one_clock_hour_and_one_offset(at: datetime, time_zone: str) -> None:
    def wall(instant: datetime) -> tuple[date, int, Any]:
        local = instant.astimezone(zone(time_zone))
        return local.date(), local.hour, local.utcoffset()

    starts_at, ends_at = window_bounds("hour", at=at, time_zone=time_zone, week_starts_on=0)
    assert timedelta(0) < ends_at - starts_at <= timedelta(hours=1)
    assert wall(starts_at) == wall(at) == wall(ends_at - timedelta(microseconds=1)) != wall(ends_at)


# Claims, and who is asked

ACCOUNT = AccountId("acc_1")
_numbers = itertools.count()
ALL_OWNERS: dict[str, Owner] = {
    "account": Owner(kind="account", id="acc_1"),
    "campaign": Owner(kind="campaign", id="cmp_1"),
    "publisher": Owner(kind="publisher", id="pub_1"),
    "publisher_in_campaign": Owner(kind="publisher_in_campaign", id="pub_1/cmp_1"),
    "buyer": Owner(kind="buyer", id="buy_1"),
    "offer": Owner(kind="offer", id="off_1"),
    "offer_in_campaign": Owner(kind="offer_in_campaign", id="off_1/cmp_1"),
}
OFFER, BUYER, PUBLISHER = ALL_OWNERS["offer"], ALL_OWNERS["buyer"], ALL_OWNERS["publisher"]


def claim(attempt: str = "att_1", **changes: Any) -> Claim:
    values: dict[str, Any] = {
        "attempt_id": AttemptId(attempt),
        "call_id": CallId("call_1"),
        "campaign_id": CampaignId("cmp_1"),
        "expires_at": NOON + timedelta(hours=2),
        "offer_id": OfferId("off_1"),
        "buyer_id": BuyerId("buy_1"),
        "publisher_id": PublisherId("pub_1"),
        "revenue_max": usd("25"),
        "payout_max": usd("15"),
    }
    return Claim(**(values | changes))


def funded() -> Counters:
    """Counters in which funds stand in nobody's way."""
    counters = Counters(ACCOUNT)
    counters.set_funds(BuyerId("buy_1"), balance=usd("100000"), credit_limit=ZERO)
    return counters


def count(metric: Literal["attempt", "connect", "conversion", "paid"], window: Window, limit: int) -> Cap:
    return CountCap(metric=metric, window=window, limit=limit)


def money(metric: Literal["revenue", "payout"], window: Window, limit: str) -> Cap:
    return MoneyCap(metric=metric, window=window, limit=usd(limit))


def capped(*caps: Cap, owner: Owner = OFFER, **settings: Any) -> Counters:
    counters = funded()
    counters.register(owner, Limits(caps=caps), **settings, at=NOON)
    return counters


def granted(counters: Counters, count: int, *, at: datetime = NOON, **changes: Any) -> list[bool]:
    """Which of `count` new claims are granted, one after the other."""
    return [
        isinstance(counters.reserve(claim(f"att_new_{next(_numbers)}", **changes), at), Granted)
        for _ in range(count)
    ]


def test_owners_are_asked_in_lock_order() -> None:
    assert owners_of(claim(), account_id=ACCOUNT) == tuple(ALL_OWNERS.values())


def test_a_fallback_number_asks_only_account_and_campaign() -> None:
    fallback = claim(offer_id=None, buyer_id=None, publisher_id=None, revenue_max=ZERO, payout_max=ZERO)
    assert owners_of(fallback, account_id=ACCOUNT) == (ALL_OWNERS["account"], ALL_OWNERS["campaign"])
    assert needs_of(fallback) == {
        "attempt": 1,
        "connect": 1,
        "conversion": 0,
        "paid": 0,
        "payout": 0,
        "revenue": 0,
    }


def test_rule_11_what_converts_later_by_postback_needs_no_unit() -> None:
    assert needs_of(claim()) == {
        "attempt": 1,
        "connect": 1,
        "conversion": 1,
        "paid": 1,
        "payout": 15_000_000,
        "revenue": 25_000_000,
    }
    by_postback = {name: need for name, need in needs_of(claim(holds_conversion=False)).items() if need}
    assert by_postback == {"attempt": 1, "connect": 1}


def test_caps_are_asked_by_metric_and_window_and_the_lower_of_two_alike_holds() -> None:
    caps = (
        money("revenue", "day", "5"),
        count("connect", "total", 3),
        count("connect", "day", 9),
        count("attempt", "week", 2),
        count("connect", "day", 4),
    )
    assert in_order(caps) == (
        ("attempt", "week", 2),
        ("connect", "day", 4),
        ("connect", "total", 3),
        ("revenue", "day", 5_000_000),
    )


def test_two_caps_alike_and_negative_limits_are_not_saved() -> None:
    limits = Limits(
        caps=(count("attempt", "day", 1), count("attempt", "day", 2), money("revenue", "day", "-1"))
    )
    assert [problem.field for problem in limits_problems(limits, field="limits")] == [
        "limits.caps.1",
        "limits.caps.2.limit",
    ]
    assert limits_problems(Limits(caps=limits.caps[:1]), field="limits") == ()


# Reservations


@pytest.mark.parametrize("metric", ["attempt", "connect", "conversion", "paid"])
def test_rule_10_a_cap_of_any_metric_lets_its_number_through_and_no_more(metric: Any) -> None:
    owner = PUBLISHER if metric == "paid" else OFFER
    assert granted(capped(count(metric, "day", 2), owner=owner), 3) == [True, True, False]


@pytest.mark.parametrize("kind", list(ALL_OWNERS))
def test_rule_10_every_owner_is_asked_and_named(kind: str) -> None:
    counters = capped(count("attempt", "day", 0), owner=ALL_OWNERS[kind])
    assert counters.reserve(claim(), NOON) == Denied(
        attempt_id=AttemptId("att_1"),
        code="cap_full",
        owner=ALL_OWNERS[kind],
        metric="attempt",
        window="day",
        limit="0",
        used="0",
    )


def test_a_refused_claim_holds_nothing_with_anybody() -> None:
    counters = capped(count("attempt", "day", 5), owner=ALL_OWNERS["account"])
    counters.register(ALL_OWNERS["offer_in_campaign"], Limits(concurrency=0), at=NOON)
    assert isinstance(counters.reserve(claim(), NOON), Denied)
    assert counters.tally(ALL_OWNERS["account"], "attempt", "day", at=NOON) == Tally(limit=5, ceiling=5)
    assert counters.live(ALL_OWNERS["account"]) == 0
    assert counters.held_funds(BuyerId("buy_1")) == ZERO
    assert counters.open_attempts() == ()


def test_the_first_refusal_in_order_is_told() -> None:
    told = []
    counters = funded()
    counters.set_funds(BuyerId("buy_1"), balance=ZERO, credit_limit=ZERO)
    steps: list[tuple[Owner, Limits]] = [
        (ALL_OWNERS["offer_in_campaign"], Limits(concurrency=0)),
        (OFFER, Limits(caps=(count("attempt", "day", 0),))),
        (BUYER, Limits()),
        (BUYER, Limits(caps=(count("connect", "day", 0),))),
        (BUYER, Limits(caps=(count("connect", "day", 0), count("attempt", "week", 0)))),
        (BUYER, Limits(caps=(count("attempt", "week", 0),), concurrency=0)),
        (PUBLISHER, Limits(concurrency=0)),
        (ALL_OWNERS["account"], Limits(concurrency=0)),
    ]
    for number, (owner, limits) in enumerate(steps):
        counters.register(owner, limits, at=NOON)
        if number == 1:
            counters.set_funds(BuyerId("buy_1"), balance=usd("100"), credit_limit=ZERO)
        if number == 2:
            counters.set_funds(BuyerId("buy_1"), balance=ZERO, credit_limit=ZERO)
        denied = counters.reserve(claim(f"att_{number}"), NOON)
        assert isinstance(denied, Denied)
        told.append((denied.owner.kind, denied.code, denied.metric))
    assert told == [
        ("buyer", "no_funds", ""),
        ("offer", "cap_full", "attempt"),
        ("buyer", "no_funds", ""),
        ("buyer", "cap_full", "connect"),
        ("buyer", "cap_full", "attempt"),
        ("buyer", "concurrency_full", ""),
        ("publisher", "concurrency_full", ""),
        ("account", "concurrency_full", ""),
    ]


@pytest.mark.parametrize("status", ["paused", "closed", "blocked"])
def test_rule_1_a_pause_is_read_live_and_outranks_the_owners_limits(status: Any) -> None:
    counters = capped(count("attempt", "day", 0))
    counters.set_status(OFFER, status)
    assert counters.reserve(claim(), NOON) == Denied(attempt_id=AttemptId("att_1"), code=status, owner=OFFER)
    counters.set_status(OFFER, "open")
    counters.register(OFFER, Limits(), at=NOON)
    assert isinstance(counters.reserve(claim("att_2"), NOON), Granted)


def test_a_repeated_reserve_gets_the_same_answer_and_holds_once() -> None:
    counters = capped(count("attempt", "day", 1))
    answers = [counters.reserve(claim(attempt), NOON) for attempt in ("att_1", "att_1", "att_2", "att_2")]
    assert answers[0] == answers[1] == Granted(attempt_id=AttemptId("att_1"))
    assert answers[2] == answers[3]
    assert counters.tally(OFFER, "attempt", "day", at=NOON) == Tally(limit=1, ceiling=1, used=1)
    counters.register(OFFER, Limits(), at=NOON)
    assert counters.reserve(claim("att_2"), NOON) == answers[2]


def test_a_claim_that_comes_after_its_attempt_is_over_is_never_granted() -> None:
    counters = capped(count("attempt", "day", 9))
    closed = Denied(attempt_id=AttemptId("att_1"), code="closed", owner=ALL_OWNERS["account"])
    counters.reserve(claim(), NOON)
    counters.settle(Settlement(attempt_id=AttemptId("att_1")), NOON)
    assert counters.reserve(claim(), NOON) == closed
    counters.settle(Settlement(attempt_id=AttemptId("att_2")), NOON)
    assert counters.reserve(claim("att_2"), NOON) == msgspec.structs.replace(
        closed, attempt_id=AttemptId("att_2")
    )
    assert counters.tally(OFFER, "attempt", "day", at=NOON) == Tally(limit=9, ceiling=9, used=1)


def test_settling_twice_or_settling_what_is_unknown_changes_nothing() -> None:
    counters = capped(count("connect", "day", 5))
    counters.reserve(claim(), NOON)
    settlement = Settlement(attempt_id=AttemptId("att_1"), connected=True)
    assert [counters.settle(settlement, NOON) for _ in range(2)] == [True, False]
    assert not counters.settle(Settlement(attempt_id=AttemptId("att_9")), NOON)
    assert counters.tally(OFFER, "connect", "day", at=NOON) == Tally(limit=5, ceiling=5, used=1)
    assert counters.live(OFFER) == 0


def test_a_denied_attempt_cannot_be_settled() -> None:
    counters = capped(count("connect", "day", 0))
    counters.reserve(claim(), NOON)
    assert not counters.settle(Settlement(attempt_id=AttemptId("att_1"), connected=True), NOON)
    assert counters.tally(OFFER, "connect", "day", at=NOON) == Tally(limit=0, ceiling=0)


def test_an_attempt_stays_used_and_everything_else_that_was_not_used_goes_back() -> None:
    caps = (
        count("attempt", "day", 9),
        count("connect", "day", 9),
        count("conversion", "day", 9),
        count("paid", "day", 9),
        money("revenue", "day", "900"),
        money("payout", "day", "900"),
    )
    counters = capped(*caps, owner=ALL_OWNERS["campaign"])

    def used() -> dict[str, int]:
        tallies = {
            cap.metric: counters.tally(ALL_OWNERS["campaign"], cap.metric, "day", at=NOON) for cap in caps
        }
        return {metric: tally.used for metric, tally in tallies.items() if tally is not None}

    for attempt in ("att_1", "att_2"):
        counters.reserve(claim(attempt), NOON)
    held = {
        "attempt": 2,
        "connect": 2,
        "conversion": 2,
        "paid": 2,
        "revenue": 50_000_000,
        "payout": 30_000_000,
    }
    assert used() == held
    counters.settle(Settlement(attempt_id=AttemptId("att_1")), NOON)
    counters.settle(
        Settlement(
            attempt_id=AttemptId("att_2"),
            connected=True,
            converted=True,
            paid=False,
            revenue=usd("10"),
            payout=ZERO,
        ),
        NOON,
    )
    assert used() == {
        "attempt": 2,
        "connect": 1,
        "conversion": 1,
        "paid": 0,
        "revenue": 10_000_000,
        "payout": 0,
    }


def test_rule_11_a_call_in_the_air_holds_its_maximum_of_a_revenue_cap() -> None:
    counters = capped(money("revenue", "day", "60"))
    assert granted(counters, 3) == [True, True, False]
    first = counters.open_attempts()[0]
    counters.settle(Settlement(attempt_id=first, connected=True, converted=True, revenue=usd("10")), NOON)
    assert granted(counters, 2) == [True, False]


def test_a_full_cap_tells_money_as_money() -> None:
    denied = capped(money("revenue", "month", "24.99")).reserve(claim(), NOON)
    assert isinstance(denied, Denied)
    assert (denied.metric, denied.window, denied.limit, denied.used) == ("revenue", "month", "24.99", "0.00")


def test_rule_11_postback_offers_pass_a_full_conversion_cap() -> None:
    counters = capped(count("conversion", "day", 0), money("revenue", "day", "0"))
    assert granted(counters, 1, holds_conversion=False) == [True]


def test_rule_9_a_unit_counts_in_the_window_in_which_it_was_reserved() -> None:
    counters = capped(count("conversion", "hour", 1))
    before, after = NOON + timedelta(minutes=59), NOON + timedelta(minutes=61)
    counters.reserve(claim(), before)
    assert granted(counters, 1, at=after) == [True]
    counters.settle(
        Settlement(attempt_id=AttemptId("att_1"), connected=True, converted=True, revenue=usd("25")), after
    )
    used = [counters.tally(OFFER, "conversion", "hour", at=at) for at in (before, after)]
    assert used == [Tally(limit=1, ceiling=1, used=1)] * 2


def test_rule_9_a_new_day_of_the_owners_zone_opens_the_cap_again() -> None:
    counters = capped(count("attempt", "day", 1), time_zone="America/Los_Angeles")
    evening, midnight = (datetime(2026, 3, 3, 7, 59, tzinfo=UTC), datetime(2026, 3, 3, 8, tzinfo=UTC))
    assert granted(counters, 2, at=evening) == [True, False]
    assert granted(counters, 2, at=midnight) == [True, False]


# Rule 12: limits below use, and overage


def test_rule_12_a_limit_below_its_use_succeeds_keeps_a_ceiling_and_only_refuses() -> None:
    counters = capped(count("attempt", "day", 5))
    assert granted(counters, 3) == [True] * 3
    counters.register(OFFER, Limits(caps=(count("attempt", "day", 1),)), at=NOON)
    assert counters.tally(OFFER, "attempt", "day", at=NOON) == Tally(limit=1, ceiling=3, used=3)
    assert granted(counters, 1) == [False]
    counters.register(OFFER, Limits(caps=(count("attempt", "day", 4),)), at=NOON)
    assert counters.tally(OFFER, "attempt", "day", at=NOON) == Tally(limit=4, ceiling=4, used=3)
    assert granted(counters, 2) == [True, False]


def test_rule_12_a_cap_that_is_added_counts_what_was_reserved_in_its_window_before() -> None:
    counters = funded()
    early, later = NOON - timedelta(hours=1), NOON + timedelta(minutes=1)
    for attempt, at in (("att_1", early), ("att_2", NOON), ("att_3", NOON)):
        counters.reserve(claim(attempt), at)
    counters.settle(Settlement(attempt_id=AttemptId("att_2")), NOON)
    added = (count("conversion", "hour", 5), count("conversion", "day", 1), count("attempt", "day", 5))
    counters.register(OFFER, Limits(caps=added), at=later)

    def tallies() -> list[Tally | None]:
        return [counters.tally(OFFER, cap.metric, cap.window, at=later) for cap in added]

    assert tallies() == [
        Tally(limit=5, ceiling=5, used=1),
        Tally(limit=1, ceiling=2, used=2),
        Tally(limit=5, ceiling=5, used=3),
    ]
    counters.settle(Settlement(attempt_id=AttemptId("att_1")), later)
    assert [tally.used for tally in tallies() if tally] == [1, 1, 3]


def test_rule_12_a_cap_that_is_added_counts_late_bookings_too() -> None:
    counters = funded()
    counters.reserve(claim(holds_conversion=False), NOON)
    counters.settle(Settlement(attempt_id=AttemptId("att_1"), connected=True), NOON)
    counters.book_late(LateBooking(attempt_id=AttemptId("att_1"), revision=2, conversions=1))
    counters.register(OFFER, Limits(caps=(count("conversion", "day", 5),)), at=NOON)
    assert counters.tally(OFFER, "conversion", "day", at=NOON) == Tally(limit=5, ceiling=5, used=1)


def test_rule_9_a_change_of_zone_counts_again_in_the_new_windows() -> None:
    counters = capped(count("attempt", "day", 9))
    counters.reserve(claim("att_1"), datetime(2026, 3, 2, 1, tzinfo=UTC))
    counters.reserve(claim("att_2"), NOON)
    counters.register(OFFER, Limits(caps=(count("attempt", "day", 9),)), at=NOON, time_zone="America/Chicago")
    assert counters.tally(OFFER, "attempt", "day", at=NOON) == Tally(limit=9, ceiling=9, used=1)


def test_rule_12_what_a_settlement_used_beyond_its_hold_is_overage_where_the_cap_is_full() -> None:
    counters = capped(money("revenue", "day", "30"))
    counters.reserve(claim(), NOON)
    counters.settle(
        Settlement(attempt_id=AttemptId("att_1"), connected=True, converted=True, revenue=usd("42")), NOON
    )
    assert counters.tally(OFFER, "revenue", "day", at=NOON) == Tally(
        limit=30_000_000, ceiling=30_000_000, used=30_000_000, overage=12_000_000
    )


def test_rule_12_a_late_postback_fills_the_cap_of_its_window_and_then_is_overage() -> None:
    counters = capped(count("conversion", "day", 1), money("revenue", "day", "40"))
    for attempt in ("att_1", "att_2"):
        counters.reserve(claim(attempt, holds_conversion=False), NOON)
        counters.settle(Settlement(attempt_id=AttemptId(attempt), connected=True), NOON)
    late = [
        LateBooking(attempt_id=AttemptId(attempt), revision=2, conversions=1, payments=1, revenue=usd("25"))
        for attempt in ("att_1", "att_2", "att_2", "att_9")
    ]
    assert [counters.book_late(booking) for booking in late] == [True, True, False, False]
    assert counters.tally(OFFER, "conversion", "day", at=NOON) == Tally(limit=1, ceiling=1, used=1, overage=1)
    assert counters.tally(OFFER, "revenue", "day", at=NOON) == Tally(
        limit=40_000_000, ceiling=40_000_000, used=40_000_000, overage=10_000_000
    )
    assert granted(counters, 1) == [False]


def test_rule_13_a_correction_takes_from_the_overage_first() -> None:
    counters = capped(count("conversion", "day", 1))
    for attempt in ("att_1", "att_2"):
        counters.reserve(claim(attempt, holds_conversion=False), NOON)
        counters.settle(Settlement(attempt_id=AttemptId(attempt), connected=True), NOON)
        counters.book_late(LateBooking(attempt_id=AttemptId(attempt), revision=2, conversions=1))
    counters.book_late(LateBooking(attempt_id=AttemptId("att_1"), revision=3, conversions=-1))
    assert counters.tally(OFFER, "conversion", "day", at=NOON) == Tally(limit=1, ceiling=1, used=1)
    counters.book_late(LateBooking(attempt_id=AttemptId("att_2"), revision=3, conversions=-1))
    assert counters.tally(OFFER, "conversion", "day", at=NOON) == Tally(limit=1, ceiling=1)


def test_rule_13_a_correction_takes_back_no_more_than_its_attempt_counts() -> None:
    counters = capped(count("conversion", "day", 5), money("revenue", "day", "90"))
    for attempt in ("att_1", "att_2"):
        counters.reserve(claim(attempt), NOON)
        counters.settle(
            Settlement(attempt_id=AttemptId(attempt), connected=True, converted=True, revenue=usd("30")), NOON
        )
    late = LateBooking(attempt_id=AttemptId("att_1"), revision=2, conversions=-2, revenue=usd("-45"))
    assert counters.book_late(late)
    assert counters.tally(OFFER, "conversion", "day", at=NOON) == Tally(limit=5, ceiling=5, used=1)
    assert counters.tally(OFFER, "revenue", "day", at=NOON) == Tally(
        limit=90_000_000, ceiling=90_000_000, used=30_000_000
    )


def test_a_late_booking_waits_for_the_settlement() -> None:
    counters = capped(count("conversion", "day", 5))
    counters.reserve(claim(), NOON)
    booking = LateBooking(attempt_id=AttemptId("att_1"), revision=2, conversions=1)
    assert not counters.book_late(booking)
    counters.settle(Settlement(attempt_id=AttemptId("att_1"), connected=True), NOON)
    assert counters.book_late(booking)
    assert counters.tally(OFFER, "conversion", "day", at=NOON) == Tally(limit=5, ceiling=5, used=1)


# Rule 10: capped publishers


def test_rule_10_a_capped_publisher_blocks_or_is_routed_unpaid_as_configured() -> None:
    block = capped(count("paid", "day", 1), owner=PUBLISHER)
    unpaid = capped(count("paid", "day", 1), owner=PUBLISHER, when_capped="unpaid")
    answers = [counters.reserve(claim(f"att_{n}"), NOON) for counters in (block, unpaid) for n in (1, 2)]
    assert [getattr(answer, "pays_publisher", None) for answer in answers] == [True, None, True, False]


def test_rule_10_an_unpaid_call_holds_neither_payment_nor_payout_with_anybody() -> None:
    counters = capped(money("payout", "day", "0"), owner=PUBLISHER, when_capped="unpaid")
    watched = (ALL_OWNERS["account"], ALL_OWNERS["publisher_in_campaign"])
    for owner in watched:
        counters.register(
            owner, Limits(caps=(count("paid", "day", 1), money("payout", "day", "15"))), at=NOON
        )
    assert granted(counters, 3) == [True] * 3
    for owner in watched:
        assert counters.tally(owner, "paid", "day", at=NOON) == Tally(limit=1, ceiling=1)
        assert counters.tally(owner, "payout", "day", at=NOON) == Tally(limit=15_000_000, ceiling=15_000_000)


def test_rule_10_routing_unpaid_does_not_lift_other_caps_of_the_publisher() -> None:
    counters = capped(
        count("attempt", "day", 1), count("paid", "day", 0), owner=PUBLISHER, when_capped="unpaid"
    )
    assert granted(counters, 2) == [True, False]


def test_rule_10_only_a_publishers_cap_routes_unpaid() -> None:
    assert granted(capped(count("paid", "day", 0), owner=BUYER, when_capped="unpaid"), 1) == [False]


# Concurrency, spacing, funds, sweeps


def test_rule_14_concurrency_is_given_back_only_by_settlement_or_sweep() -> None:
    counters = funded()
    counters.register(BUYER, Limits(concurrency=1), at=NOON)
    first = claim(expires_at=NOON + timedelta(minutes=10))
    counters.reserve(first, NOON)
    just_before = NOON + timedelta(minutes=10, microseconds=-1)
    assert counters.sweep(just_before) == ()
    assert counters.reserve(claim("att_2"), just_before) == Denied(
        attempt_id=AttemptId("att_2"), code="concurrency_full", owner=BUYER, limit="1", used="1"
    )
    assert counters.sweep(NOON + timedelta(minutes=10)) == ("att_1",)
    assert isinstance(counters.reserve(claim("att_3"), NOON + timedelta(minutes=10)), Granted)


def test_spacing_is_counted_from_the_owners_last_grant() -> None:
    counters = funded()
    counters.register(OFFER, Limits(spacing_s=60), at=NOON)
    counters.reserve(claim("att_1"), NOON)
    answers = [
        counters.reserve(claim(f"att_{ms}"), NOON + timedelta(milliseconds=ms))
        for ms in (59_999, 60_000, 119_999, 120_000)
    ]
    assert answers[0] == Denied(
        attempt_id=AttemptId("att_59999"), code="spacing", owner=OFFER, limit="60", used="59"
    )
    assert [isinstance(answer, Granted) for answer in answers] == [False, True, False, True]


def test_rule_15_a_call_needs_funds_for_its_maximum_beside_what_is_held() -> None:
    counters = Counters(ACCOUNT)
    counters.set_funds(BuyerId("buy_1"), balance=usd("-10"), credit_limit=usd("60"))
    answers = [counters.reserve(claim(f"att_{n}"), NOON) for n in range(3)]
    assert answers == [
        Granted(attempt_id=AttemptId("att_0")),
        Granted(attempt_id=AttemptId("att_1")),
        Denied(attempt_id=AttemptId("att_2"), code="no_funds", owner=BUYER, limit="50.00", used="50.00"),
    ]
    counters.settle(Settlement(attempt_id=AttemptId("att_0")), NOON)
    assert counters.held_funds(BuyerId("buy_1")) == usd("25")
    counters.move_funds(BuyerId("buy_1"), usd("-0.000001"))
    assert isinstance(counters.reserve(claim("att_3"), NOON), Denied)


def test_rule_15_a_buyer_without_funds_gets_no_call_that_costs() -> None:
    counters = Counters(ACCOUNT)
    assert isinstance(counters.reserve(claim("att_1"), NOON), Denied)
    assert isinstance(counters.reserve(claim("att_2", revenue_max=ZERO), NOON), Granted)


def test_rule_15_funds_are_held_for_postback_offers_too() -> None:
    counters = Counters(ACCOUNT)
    counters.set_funds(BuyerId("buy_1"), balance=usd("30"), credit_limit=ZERO)
    assert granted(counters, 2, holds_conversion=False) == [True, False]


def test_rule_20_a_sweep_uses_nothing_but_the_attempt_and_names_each_attempt_once() -> None:
    counters = capped(count("attempt", "day", 9), count("conversion", "day", 9))
    for number in (2, 1, 3):
        counters.reserve(claim(f"att_{number}", expires_at=NOON + timedelta(minutes=number)), NOON)
    assert [counters.sweep(NOON + timedelta(minutes=2)) for _ in range(2)] == [("att_1", "att_2"), ()]
    assert counters.open_attempts() == ("att_3",)
    used = [counters.tally(OFFER, metric, "day", at=NOON) for metric in ("attempt", "conversion")]
    assert used == [Tally(limit=9, ceiling=9, used=3), Tally(limit=9, ceiling=9, used=1)]


def test_what_is_over_is_forgotten_and_what_is_held_is_not() -> None:
    counters = capped(count("attempt", "hour", 9))
    for attempt in ("att_1", "att_2"):
        counters.reserve(claim(attempt), NOON)
    counters.settle(Settlement(attempt_id=AttemptId("att_1")), NOON)
    counters.forget(NOON + timedelta(hours=1))
    assert not counters.book_late(LateBooking(attempt_id=AttemptId("att_1"), revision=2, conversions=1))
    assert counters.open_attempts() == ("att_2",)
    counters.settle(Settlement(attempt_id=AttemptId("att_2")), NOON)
    counters.forget(NOON + timedelta(days=1))
    assert counters.tally(OFFER, "attempt", "hour", at=NOON) is None


# The laws, under any order of events


class Held(msgspec.Struct):
    """One granted attempt as the raw list has it, apart from all counters."""

    claim: Claim
    at: datetime
    pays: bool
    settlement: Settlement | None = None
    expired: bool = False


COUNT_METRICS: tuple[Metric, ...] = ("attempt", "connect", "conversion", "paid")
LIMITED = ("account", "campaign", "publisher", "publisher_in_campaign", "buyer", "offer", "offer_in_campaign")
any_limits = st.builds(
    Limits,
    caps=st.lists(
        st.one_of(
            st.builds(
                CountCap,
                metric=st.sampled_from(COUNT_METRICS),
                window=st.sampled_from(WINDOWS),
                limit=st.integers(0, 6),
            ),
            st.builds(
                MoneyCap,
                metric=st.sampled_from(("revenue", "payout")),
                window=st.sampled_from(WINDOWS),
                limit=st.integers(0, 100).map(lambda units: Money(units * 1_000_000)),
            ),
        ),
        max_size=3,
        unique_by=lambda cap: (cap.metric, cap.window),
    ).map(tuple),
    concurrency=st.one_of(st.none(), st.integers(0, 4)),
)


def uses(held: Held) -> dict[Metric, int]:
    """What an attempt should stand for: its needs in the air, what came of it when settled."""
    if held.settlement is None:
        needs = needs_of(held.claim)
        return needs if held.pays else needs | {"paid": 0, "payout": 0}
    return {
        "attempt": 1,
        "connect": int(held.settlement.connected),
        "conversion": int(held.settlement.converted),
        "paid": int(held.settlement.paid),
        "payout": held.settlement.payout.micros,
        "revenue": held.settlement.revenue.micros,
    }


class Reservations(RuleBasedStateMachine):
    """Claims, settlements, sweeps and passing time, against a plain list of what was granted."""

    @initialize(limits=st.lists(any_limits, min_size=7, max_size=7), unpaid=st.booleans())
    def start(self, limits: list[Limits], unpaid: bool) -> None:
        self.counters = Counters(ACCOUNT)
        self.at = NOON
        self.limits = dict(zip(LIMITED, limits, strict=True))
        self.when_capped: WhenCapped = "unpaid" if unpaid else "block"
        for kind in LIMITED:
            self.register(kind)
        self.counters.set_funds(BuyerId("buy_1"), balance=usd("80"), credit_limit=usd("40"))
        self.granted: dict[AttemptId, Held] = {}
        self.asked = 0
        self.late = False

    @rule(
        seconds=st.integers(1, 7_200),
        revenue=st.integers(0, 30),
        payout=st.integers(0, 20),
        holds_conversion=st.booleans(),
    )
    def reserve(self, seconds: int, revenue: int, payout: int, holds_conversion: bool) -> None:
        self.asked += 1
        asked = claim(
            f"att_{self.asked}",
            expires_at=self.at + timedelta(seconds=seconds),
            revenue_max=Money(revenue * 1_000_000),
            payout_max=Money(payout * 1_000_000),
            holds_conversion=holds_conversion,
        )
        answer = self.counters.reserve(asked, self.at)
        assert self.counters.reserve(asked, self.at) == answer
        if isinstance(answer, Granted):
            self.nothing_is_oversold(needs_of(asked), pays=answer.pays_publisher)
            self.granted[asked.attempt_id] = Held(claim=asked, at=self.at, pays=answer.pays_publisher)

    @rule(data=st.data(), connected=st.booleans(), converted=st.booleans(), percent=st.integers(0, 100))
    def settle(self, data: st.DataObject, connected: bool, converted: bool, percent: int) -> None:
        if not self.granted:
            return
        attempt_id = data.draw(st.sampled_from(sorted(self.granted)))
        held = self.granted[attempt_id]
        converts = connected and converted and held.claim.holds_conversion
        settlement = Settlement(
            attempt_id=attempt_id,
            connected=connected,
            converted=converts,
            paid=converts and held.pays,
            revenue=Money(held.claim.revenue_max.micros * percent // 100 if converts else 0),
            payout=Money(held.claim.payout_max.micros * percent // 100 if converts and held.pays else 0),
        )
        assert self.counters.settle(settlement, self.at) == (held.settlement is None)
        if held.settlement is None or held.expired:
            held.settlement = settlement
        self.late |= held.expired
        held.expired = False

    @rule(seconds=st.integers(0, 100_000))
    def wait_and_sweep(self, seconds: int) -> None:
        self.at += timedelta(seconds=seconds)
        due = {
            attempt_id
            for attempt_id, held in self.granted.items()
            if held.settlement is None and held.claim.expires_at <= self.at
        }
        assert set(self.counters.sweep(self.at)) == due
        for attempt_id in due:
            self.granted[attempt_id].settlement = Settlement(attempt_id=attempt_id)
            self.granted[attempt_id].expired = True

    @rule(kind=st.sampled_from(LIMITED), limits=any_limits)
    def change_limits(self, kind: str, limits: Limits) -> None:
        self.limits[kind] = limits
        self.register(kind)

    def register(self, kind: str) -> None:
        self.counters.register(
            ALL_OWNERS[kind],
            self.limits[kind],
            at=self.at,
            time_zone="America/New_York",
            week_starts_on=6,
            when_capped=self.when_capped,
        )

    def used(self, kind: str, cap: Cap) -> int:
        """Recomputed: what the raw list has in the window of now."""
        starts_at, ends_at = window_bounds(
            cap.window, at=self.at, time_zone="America/New_York", week_starts_on=6
        )
        in_window = [held for held in self.granted.values() if starts_at <= held.at < ends_at]
        return sum(uses(held)[cap.metric] for held in in_window)

    def nothing_is_oversold(self, needs: dict[Metric, int], *, pays: bool) -> None:
        for kind, limits in self.limits.items():
            assert limits.concurrency is None or self.counters.live(ALL_OWNERS[kind]) <= limits.concurrency
            for cap in limits.caps:
                need = needs[cap.metric] if pays or cap.metric not in ("paid", "payout") else 0
                tally = self.counters.tally(ALL_OWNERS[kind], cap.metric, cap.window, at=self.at)
                beyond = 0 if tally is None else tally.overage
                assert need == 0 or self.used(kind, cap) - beyond + need <= limit_of(cap)

    @invariant()
    def every_tally_is_the_sum_of_the_raw_list(self) -> None:
        for kind, limits in self.limits.items():
            for cap in limits.caps:
                tally = self.counters.tally(ALL_OWNERS[kind], cap.metric, cap.window, at=self.at)
                used = self.used(kind, cap)
                if tally is None:
                    assert used == 0
                else:
                    assert (tally.limit, tally.used + tally.overage) == (limit_of(cap), used)
                    assert tally.used <= tally.ceiling
                    assert tally.overage == 0 or self.late

    @invariant()
    def concurrency_and_funds_are_those_of_the_calls_in_the_air(self) -> None:
        in_the_air = [held for held in self.granted.values() if held.settlement is None]
        for kind in LIMITED:
            assert self.counters.live(ALL_OWNERS[kind]) == len(in_the_air)
        held_funds = sum((held.claim.revenue_max for held in in_the_air), start=ZERO)
        assert self.counters.held_funds(BuyerId("buy_1")) == held_funds <= usd("120")

    def teardown(self) -> None:
        """Every reservation ends."""
        if hasattr(self, "counters"):
            self.counters.sweep(self.at + timedelta(days=1))
            assert self.counters.open_attempts() == ()


TestReservations = Reservations.TestCase
