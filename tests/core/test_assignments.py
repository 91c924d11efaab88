"""Whose a number's call is: dated assignments, cooldown, and splits that stick to callers."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callmatrix.core.campaign import (
    Assigned,
    Assignment,
    CampaignShare,
    Number,
    assignment_at,
    choose_campaign,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DIALED = "+18885550101"


def split(**percents: int) -> tuple[CampaignShare, ...]:
    return tuple(CampaignShare(campaign_id=f"cmp_{name}", percent=part) for name, part in percents.items())


def assigned(from_day: int, to_day: int | None = None, *, to: str = "a") -> Assignment:
    return Assignment(
        split=split(**{to: 100}),
        starts_at=START + from_day * DAY,
        ends_at=None if to_day is None else START + to_day * DAY,
    )


def number(*assignments: Assignment, **changes: Any) -> Number:
    given = {
        "id": "num_1",
        "number": DIALED,
        "connection_id": "con_1",
        "status": "assigned",
        "assignments": assignments,
        "late_payout_days": 30,
    }
    return Number(**{**given, **changes})


def test_the_assignment_of_the_day_is_followed() -> None:
    first, second = assigned(0, 10), assigned(10, to="b")
    owned = number(first, second)
    assert assignment_at(owned, START - DAY) is None
    assert assignment_at(owned, START) == Assigned(assignment=first)
    assert assignment_at(owned, START + 10 * DAY) == Assigned(assignment=second)


def test_after_its_end_the_last_assignment_is_followed_and_pays_for_so_many_days() -> None:
    first, second = assigned(0, 10), assigned(10, 20, to="b")
    for status in ("assigned", "cooldown"):
        owned = number(first, second, status=status)
        assert assignment_at(owned, START + 20 * DAY) == Assigned(assignment=second, late=True)
        assert assignment_at(owned, START + 50 * DAY) == Assigned(assignment=second, late=True, pays=False)


def test_without_late_payout_the_end_is_the_end() -> None:
    last = assigned(0, 10)
    owned = number(last, late_payout_days=0)
    assert assignment_at(owned, START + 10 * DAY) == Assigned(assignment=last, late=True, pays=False)


@pytest.mark.parametrize(("status", "day"), [("available", 10), ("disabled", 5)])
def test_a_number_given_back_or_disabled_is_nobodys(status: str, day: int) -> None:
    assert assignment_at(number(assigned(0, 10), status=status), START + day * DAY) is None


def test_an_assignment_begins_by_its_date_whatever_the_status_says_yet() -> None:
    coming = assigned(5)
    owned = number(coming, status="available")
    assert assignment_at(owned, START) is None
    assert assignment_at(owned, START + 5 * DAY) == Assigned(assignment=coming)


def test_an_open_assignment_returns_after_one_that_was_put_into_it() -> None:
    standing, weekend = assigned(0), assigned(5, 7, to="b")
    owned = number(standing, weekend)
    assert assignment_at(owned, START + 6 * DAY) == Assigned(assignment=weekend)
    assert assignment_at(owned, START + 7 * DAY) == Assigned(assignment=standing)


@given(caller=st.from_regex(r"\+1[2-9][0-9]{9}", fullmatch=True), draws=st.lists(st.integers(0, 2**53)))
def test_a_caller_stays_with_a_campaign_whatever_is_drawn(caller: str, draws: list[int]) -> None:
    shared = Assignment(split=split(a=30, b=70), starts_at=START)
    chosen = {choose_campaign(shared, caller=caller, number=DIALED, draw=draw) for draw in (0, *draws)}
    assert len(chosen) == 1


@given(caller=st.from_regex(r"\+1[2-9][0-9]{9}", fullmatch=True))
def test_a_share_that_grows_takes_callers_and_loses_none(caller: str) -> None:
    def chosen(percent: int) -> str:
        shared = Assignment(split=split(a=percent, b=100 - percent), starts_at=START)
        return choose_campaign(shared, caller=caller, number=DIALED, draw=0)

    assert (chosen(30), chosen(60)) != ("cmp_a", "cmp_b")


def test_callers_spread_by_percent_and_those_who_hide_by_the_draw() -> None:
    shared = Assignment(split=split(a=25, b=75), starts_at=START)
    known = Counter(
        choose_campaign(shared, caller=f"+1415555{place:04}", number=DIALED, draw=0)
        for place in range(10_000)
    )
    hidden = Counter(choose_campaign(shared, caller=None, number=DIALED, draw=draw) for draw in range(10_000))
    assert hidden == {"cmp_a": 2_500, "cmp_b": 7_500}
    assert 2_300 < known["cmp_a"] < 2_700
    assert known.total() == 10_000
