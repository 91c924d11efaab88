"""Opening times, against a slow reading of the wall clock minute by minute."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from callmatrix.core import geo, hours
from callmatrix.core.hours import DateSpan, HolidayRule, Hours, OpenDate, OpenState, Span

CHICAGO = geo.zone("America/Chicago")
MINUTE = timedelta(minutes=1)


def wall(text: str, zone: ZoneInfo = CHICAGO, *, fold: int = 0) -> datetime:
    """The instant of a wall time."""
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def weekdays(
    opens_minute: int, closes_minute: int, *, days: tuple[int, ...] = (0, 1, 2, 3, 4)
) -> tuple[Span, ...]:
    return tuple(Span(day=day, opens_minute=opens_minute, closes_minute=closes_minute) for day in days)


OFFICE = Hours(time_zone="America/Chicago", spans=weekdays(9 * 60, 17 * 60))


# --- the week ------------------------------------------------------------------------------------------


def test_it_opens_at_the_opening_minute_and_is_closed_at_the_closing_minute() -> None:
    asked = ["2026-03-02T08:59:59", "2026-03-02T09:00", "2026-03-02T16:59:59", "2026-03-02T17:00"]
    assert [hours.is_open(OFFICE, wall(at)) for at in asked] == [False, True, True, False]


def test_it_says_since_when_and_until_when() -> None:
    assert hours.state_at(OFFICE, wall("2026-03-06T12:00")) == OpenState(
        open=True, since=wall("2026-03-06T09:00"), until=wall("2026-03-06T17:00")
    )
    assert hours.state_at(OFFICE, wall("2026-03-07T12:00")) == OpenState(
        open=False, since=wall("2026-03-06T17:00"), until=wall("2026-03-09T09:00")
    )


def test_it_opens_next_at_once_when_open_and_on_monday_when_closed_for_the_weekend() -> None:
    assert hours.next_open(OFFICE, wall("2026-03-06T12:00:30")) == wall("2026-03-06T12:00:30")
    assert hours.next_open(OFFICE, wall("2026-03-06T17:00")) == wall("2026-03-09T09:00")


def test_a_day_may_have_several_spans() -> None:
    lunch = Hours(time_zone="America/Chicago", spans=(*weekdays(540, 720), *weekdays(780, 1020)))
    assert hours.transitions(lunch, wall("2026-03-02T00:00"), wall("2026-03-03T00:00")) == (
        (wall("2026-03-02T09:00"), True),
        (wall("2026-03-02T12:00"), False),
        (wall("2026-03-02T13:00"), True),
        (wall("2026-03-02T17:00"), False),
    )


def test_a_span_may_cross_midnight_and_the_end_of_the_week() -> None:
    bar = Hours(
        time_zone="America/Chicago", spans=(Span(day=6, opens_minute=22 * 60, closes_minute=26 * 60),)
    )
    assert hours.state_at(bar, wall("2026-03-02T01:00")) == OpenState(
        open=True, since=wall("2026-03-01T22:00"), until=wall("2026-03-02T02:00")
    )


def test_spans_that_touch_at_midnight_are_one() -> None:
    weekend = Hours(time_zone="America/Chicago", spans=weekdays(0, 1440, days=(5, 6)))
    assert hours.state_at(weekend, wall("2026-03-07T23:59")) == OpenState(
        open=True, since=wall("2026-03-07T00:00"), until=wall("2026-03-09T00:00")
    )


def test_the_same_wall_times_are_different_instants_in_different_zones() -> None:
    coasts = [
        Hours(time_zone=name, spans=OFFICE.spans) for name in ("America/New_York", "America/Los_Angeles")
    ]
    assert [hours.next_open(coast, utc("2026-03-02T00:00")) for coast in coasts] == [
        utc("2026-03-02T14:00"),
        utc("2026-03-02T17:00"),
    ]


@pytest.mark.parametrize(
    ("span", "opens", "closes"),
    [
        (Span(day=3, opens_minute=0, closes_minute=60), "2026-03-05T00:00", "2026-03-05T01:00"),
        (Span(day=2, opens_minute=0, closes_minute=1440), "2026-03-04T00:00", "2026-03-05T00:00"),
        (Span(day=2, opens_minute=60, closes_minute=2880), "2026-03-04T01:00", "2026-03-06T00:00"),
        (Span(day=1, opens_minute=1380, closes_minute=2880), "2026-03-03T23:00", "2026-03-05T00:00"),
    ],
)
def test_the_weeks_in_which_changes_are_kept_leave_no_seam(span: Span, opens: str, closes: str) -> None:
    # They begin on Thursday at 00:00 UTC.
    told = Hours(time_zone="UTC", spans=(span,))
    assert hours.transitions(told, utc("2026-03-02T00:00"), utc("2026-03-07T00:00")) == (
        (utc(opens), True),
        (utc(closes), False),
    )
    assert hours.state_at(told, utc(closes) - MINUTE) == OpenState(
        open=True, since=utc(opens), until=utc(closes)
    )
    assert not hours.is_open(told, utc(opens) - MINUTE)
    assert not hours.is_open(told, utc(closes))


def test_a_span_of_two_days_is_open_to_its_end_far_west_of_utc() -> None:
    told = Hours(time_zone="Pacific/Honolulu", spans=(Span(day=1, opens_minute=0, closes_minute=2880),))
    honolulu = geo.zone("Pacific/Honolulu")
    assert hours.state_at(told, utc("2026-03-05T09:59")) == OpenState(
        open=True, since=wall("2026-03-03T00:00", honolulu), until=wall("2026-03-05T00:00", honolulu)
    )


def test_always_open_never_changes() -> None:
    always = hours.always_open()
    assert hours.problems(always) == ()
    assert hours.state_at(always, utc("2026-03-02T00:00")) == OpenState(open=True, since=None, until=None)
    assert hours.transitions(always, utc("2026-01-01T00:00"), utc("2028-01-01T00:00")) == ()


def test_no_spans_are_never_open() -> None:
    never = Hours(time_zone="UTC", spans=())
    assert hours.problems(never) == ()
    assert hours.state_at(never, utc("2026-03-02T00:00")) == OpenState(open=False, since=None, until=None)
    assert hours.next_open(never, utc("2026-03-02T00:00")) is None


def test_transitions_include_their_start_and_exclude_their_end() -> None:
    opens, closes = wall("2026-03-02T09:00"), wall("2026-03-02T17:00")
    assert hours.transitions(OFFICE, opens, closes) == ((opens, True),)


def test_a_range_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 530 weeks"):
        hours.transitions(OFFICE, utc("2026-01-01T00:00"), utc("2046-01-01T00:00"))


# --- the two days on which clocks change ------------------------------------------------------------------
# Chicago 2026: 8 March 02:00 -> 03:00, 1 November 02:00 -> 01:00. Both are Sundays.


def sunday(opens_minute: int, closes_minute: int) -> Hours:
    return Hours(
        time_zone="America/Chicago",
        spans=(Span(day=6, opens_minute=opens_minute, closes_minute=closes_minute),),
    )


def changes_on(sundays: Hours, on: str) -> tuple[datetime, ...]:
    start = wall(f"{on}T00:00")
    return tuple(at for at, _ in hours.transitions(sundays, start, start + timedelta(days=1, hours=1)))


JUMP = utc("2026-03-08T08:00")
REPEAT = utc("2026-11-01T07:00")


@pytest.mark.parametrize(
    ("opens_minute", "closes_minute", "expected"),
    [
        (150, 300, (JUMP, utc("2026-03-08T10:00"))),  # opens in the missing hour: at the jump
        (60, 150, (utc("2026-03-08T07:00"), JUMP)),  # closes in the missing hour: at the jump
        (120, 180, ()),  # wholly inside: does not happen
        (60, 180, (utc("2026-03-08T07:00"), JUMP)),  # closes as the missing hour ends
        (60, 240, (utc("2026-03-08T07:00"), utc("2026-03-08T09:00"))),  # across: an hour shorter
    ],
)
def test_when_clocks_spring_forward(
    opens_minute: int, closes_minute: int, expected: tuple[datetime, ...]
) -> None:
    assert changes_on(sunday(opens_minute, closes_minute), "2026-03-08") == expected


@pytest.mark.parametrize(
    ("opens_minute", "closes_minute", "expected"),
    [
        (90, 300, (utc("2026-11-01T06:30"), utc("2026-11-01T11:00"))),  # opens on the first pass
        (0, 90, (utc("2026-11-01T05:00"), utc("2026-11-01T06:30"))),  # closes on the first pass
        (75, 90, (utc("2026-11-01T06:15"), utc("2026-11-01T06:30"))),  # wholly inside: once
        (60, 120, (utc("2026-11-01T06:00"), utc("2026-11-01T08:00"))),  # to the end of the hour: two hours
        (0, 180, (utc("2026-11-01T05:00"), utc("2026-11-01T09:00"))),  # across: an hour longer
    ],
)
def test_when_clocks_fall_back(opens_minute: int, closes_minute: int, expected: tuple[datetime, ...]) -> None:
    assert changes_on(sunday(opens_minute, closes_minute), "2026-11-01") == expected


def test_the_second_pass_of_the_repeated_hour_is_past_a_closing_time_inside_it() -> None:
    late = sunday(0, 90)
    assert hours.is_open(late, REPEAT - 31 * MINUTE)
    assert not hours.is_open(late, REPEAT)
    assert not hours.is_open(late, wall("2026-11-01T01:15", fold=1))


def test_a_day_that_a_zone_skipped_has_no_hours() -> None:
    samoa = Hours(time_zone="Pacific/Apia", spans=weekdays(540, 1020, days=tuple(range(7))))
    apia = geo.zone("Pacific/Apia")
    # Samoa went from 29 to 31 December 2011 at midnight.
    assert hours.transitions(samoa, wall("2011-12-29T12:00", apia), wall("2011-12-31T12:00", apia)) == (
        (wall("2011-12-29T17:00", apia), False),
        (wall("2011-12-31T09:00", apia), True),
    )


def test_a_midnight_that_does_not_exist_begins_the_day_at_the_jump() -> None:
    # Clocks in Santiago go from 24:00 on Saturday to 01:00 on Sunday.
    santiago = geo.zone("America/Santiago")
    daily = Hours(time_zone="America/Santiago", spans=(Span(day=6, opens_minute=0, closes_minute=120),))
    assert hours.transitions(daily, utc("2026-09-06T00:00"), utc("2026-09-07T00:00")) == (
        (wall("2026-09-06T01:00", santiago), True),
        (wall("2026-09-06T02:00", santiago), False),
    )


# --- holidays and dates --------------------------------------------------------------------------------


def with_holidays(
    *rules: HolidayRule, closed_on: tuple[date, ...] = (), open_on: tuple[OpenDate, ...] = ()
) -> Hours:
    return Hours(
        time_zone="America/Chicago", spans=OFFICE.spans, holidays=rules, closed_on=closed_on, open_on=open_on
    )


def test_a_public_holiday_closes() -> None:
    assert hours.state_at(with_holidays(HolidayRule(calendar="US")), wall("2026-11-26T12:00")) == OpenState(
        open=False, since=wall("2026-11-25T17:00"), until=wall("2026-11-27T09:00")
    )


def test_a_holiday_of_a_state_closes_in_its_calendar_only() -> None:
    cesar_chavez = wall("2026-03-31T12:00")
    calendars = [with_holidays(HolidayRule(calendar=name)) for name in ("US", "US-CA")]
    assert [hours.is_open(calendar, cesar_chavez) for calendar in calendars] == [True, False]


def test_named_holidays_close_and_others_do_not() -> None:
    christmas = with_holidays(HolidayRule(calendar="US", names=("Christmas Day",)))
    assert [hours.is_open(christmas, wall(f"2026-{day}T12:00")) for day in ("11-26", "12-25")] == [
        True,
        False,
    ]


def test_a_holiday_is_closed_on_its_observed_date_too() -> None:
    independence = with_holidays(HolidayRule(calendar="US", names=("Independence Day",)))
    # 4 July 2026 is a Saturday, observed on Friday.
    assert not hours.is_open(independence, wall("2026-07-03T12:00"))


def test_new_year_is_observed_at_the_end_of_the_old_year() -> None:
    # 1 January 2028 is a Saturday.
    assert not hours.is_open(with_holidays(HolidayRule(calendar="US")), wall("2027-12-31T12:00"))


def test_a_closed_date_closes() -> None:
    closed = with_holidays(closed_on=(date(2026, 3, 3),))
    assert hours.next_open(closed, wall("2026-03-02T18:00")) == wall("2026-03-04T09:00")


def test_a_date_with_its_own_spans_outranks_holidays_and_closed_dates() -> None:
    half_day = OpenDate(on=date(2026, 11, 26), spans=(DateSpan(opens_minute=600, closes_minute=720),))
    special = with_holidays(HolidayRule(calendar="US"), closed_on=(date(2026, 11, 26),), open_on=(half_day,))
    assert hours.transitions(special, wall("2026-11-26T00:00"), wall("2026-11-27T00:00")) == (
        (wall("2026-11-26T10:00"), True),
        (wall("2026-11-26T12:00"), False),
    )


def test_a_date_with_no_spans_of_its_own_is_closed() -> None:
    shut = with_holidays(open_on=(OpenDate(on=date(2026, 3, 3), spans=()),))
    assert not hours.is_open(shut, wall("2026-03-03T12:00"))


def test_a_holiday_does_not_cut_what_began_the_evening_before() -> None:
    nights = Hours(
        time_zone="America/Chicago",
        spans=weekdays(20 * 60, 28 * 60, days=tuple(range(7))),
        closed_on=(date(2026, 3, 3),),
    )
    assert hours.transitions(nights, wall("2026-03-02T12:00"), wall("2026-03-04T21:00")) == (
        (wall("2026-03-02T20:00"), True),
        (wall("2026-03-03T04:00"), False),
        (wall("2026-03-04T20:00"), True),
    )


# --- laws ----------------------------------------------------------------------------------------------

ZONES = (
    "America/Chicago",
    "America/Los_Angeles",
    "America/Phoenix",
    "America/Santiago",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Pacific/Apia",
    "UTC",
)
# Days around which clocks change in one of the zones, a leap day, and ends of years.
STARTS = tuple(
    utc(f"{day}T00:00")
    for day in (
        "2011-12-29",
        "2024-02-28",
        "2026-03-04",
        "2026-03-07",
        "2026-03-28",
        "2026-04-04",
        "2026-09-05",
        "2026-10-03",
        "2026-10-24",
        "2026-10-31",
        "2026-12-31",
    )
)


US_HOLIDAYS = set(holidays.country_holidays("US", years=range(2011, 2028), expand=False))


@st.composite
def date_spans(draw: st.DrawFn) -> DateSpan:
    opens = draw(st.integers(0, 1440))
    return DateSpan(opens_minute=opens, closes_minute=draw(st.integers(opens + 1, 2880)))


@st.composite
def spans(draw: st.DrawFn) -> Span:
    span = draw(date_spans())
    return Span(day=draw(st.integers(0, 6)), opens_minute=span.opens_minute, closes_minute=span.closes_minute)


@st.composite
def any_hours(draw: st.DrawFn, start: datetime) -> Hours:
    near = st.integers(-2, 4).map(lambda offset: start.date() + timedelta(days=offset))
    return Hours(
        time_zone=draw(st.sampled_from(ZONES)),
        spans=tuple(draw(st.lists(spans(), max_size=12))),
        holidays=draw(st.sampled_from([(), (HolidayRule(calendar="US"),)])),
        closed_on=tuple(draw(st.lists(near, max_size=2))),
        open_on=tuple(
            OpenDate(on=on, spans=tuple(draw(st.lists(date_spans(), max_size=2))))
            for on in draw(st.lists(near, max_size=2, unique=True))
        ),
    )


def open_by_the_wall_clock(told: Hours, start: datetime, minutes: int) -> list[bool]:
    """Open or not for each minute from `start`, from the latest time that the wall clock has shown so far."""
    zone = geo.zone(told.time_zone)
    closed_on = set(told.closed_on) | (US_HOLIDAYS if told.holidays else set())
    special = {each.on: each.spans for each in told.open_on}
    spans_on: dict[date, list[tuple[datetime, datetime]]] = {}
    for offset in range(-5, 8):
        on = start.date() + timedelta(days=offset)
        week = () if on in closed_on else tuple(span for span in told.spans if span.day == on.weekday())
        todays = special.get(on, week)
        midnight = datetime(on.year, on.month, on.day)  # noqa: DTZ001  a wall time has no zone
        spans_on[on] = [
            (midnight + span.opens_minute * MINUTE, midnight + span.closes_minute * MINUTE) for span in todays
        ]
    latest = datetime(2000, 1, 1)  # noqa: DTZ001  a wall time has no zone
    answers: list[bool] = []
    warm_up = 2 * 1440
    for minute in range(-warm_up, minutes):
        latest = max(latest, (start + minute * MINUTE).astimezone(zone).replace(tzinfo=None))
        if minute >= 0:
            answers.append(
                any(
                    opens <= latest < closes
                    for offset in range(-3, 1)
                    for opens, closes in spans_on.get(latest.date() + timedelta(days=offset), ())
                )
            )
    return answers


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(STARTS))
def test_is_open_and_transitions_agree_with_the_wall_clock_minute_by_minute(
    data: st.DataObject, start: datetime
) -> None:
    told = data.draw(any_hours(start))
    minutes = 2 * 1440
    by_clock = open_by_the_wall_clock(told, start, minutes)
    assert [hours.is_open(told, start + minute * MINUTE) for minute in range(minutes)] == by_clock
    by_changes: list[bool] = []
    changes = dict(hours.transitions(told, start, start + minutes * MINUTE))
    open_now = by_clock[0]
    for minute in range(minutes):
        open_now = changes.get(start + minute * MINUTE, open_now)
        by_changes.append(open_now)
    assert by_changes == by_clock


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(STARTS), st.integers(0, 5 * 86_400_000))
def test_the_last_and_the_next_change_are_changes_with_none_between(
    data: st.DataObject, start: datetime, after_ms: int
) -> None:
    told = data.draw(any_hours(start))
    at = start + timedelta(milliseconds=after_ms)
    state = hours.state_at(told, at)
    moment = timedelta(microseconds=1)
    assert state.open == hours.is_open(told, at)
    if state.since is not None:
        assert state.since <= at
        assert hours.is_open(told, state.since) == state.open
        assert hours.is_open(told, state.since - moment) != state.open
    if state.until is not None:
        assert state.until > at
        assert hours.is_open(told, state.until) != state.open
        assert hours.is_open(told, state.until - moment) == state.open
    if state.since is not None and state.until is not None:
        assert hours.transitions(told, state.since + moment, state.until) == ()
    if not state.open:
        assert hours.next_open(told, at) == state.until


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(STARTS))
def test_transitions_alternate_and_do_not_depend_on_where_the_range_is_cut(
    data: st.DataObject, start: datetime
) -> None:
    told = data.draw(any_hours(start))
    end = start + timedelta(days=20)
    cut = start + timedelta(minutes=data.draw(st.integers(0, 20 * 1440)))
    whole = hours.transitions(told, start, end)
    assert hours.transitions(told, start, cut) + hours.transitions(told, cut, end) == whole
    assert all(one[0] < other[0] and one[1] != other[1] for one, other in pairwise(whole))


# --- problems ------------------------------------------------------------------------------------------


def fields(told: Hours) -> list[str]:
    found = hours.problems(told)
    assert all(problem.problem and problem.remedy for problem in found)
    return [problem.field for problem in found]


def test_good_hours_have_no_problems() -> None:
    good = with_holidays(
        HolidayRule(calendar="US-CA", names=("Christmas Day", "Cesar Chavez Day")),
        closed_on=(date(2026, 3, 3),),
        open_on=(OpenDate(on=date(2026, 3, 4), spans=(DateSpan(opens_minute=0, closes_minute=1440),)),),
    )
    assert hours.problems(good) == ()


def test_spans_that_touch_do_not_overlap() -> None:
    touching = Hours(time_zone="UTC", spans=(*weekdays(0, 600, days=(0,)), *weekdays(600, 1440, days=(0, 6))))
    assert hours.problems(touching) == ()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (Hours(time_zone="EST", spans=()), ["hours.time_zone"]),
        (Hours(time_zone="UTC", spans=weekdays(540, 540, days=(0,))), ["hours.spans.0.closes_minute"]),
        (Hours(time_zone="UTC", spans=weekdays(1320, 120, days=(0,))), ["hours.spans.0.closes_minute"]),
        (Hours(time_zone="UTC", spans=weekdays(-1, 120, days=(0,))), ["hours.spans.0.opens_minute"]),
        (Hours(time_zone="UTC", spans=weekdays(1, 2881, days=(0,))), ["hours.spans.0.closes_minute"]),
        (Hours(time_zone="UTC", spans=weekdays(1, 2, days=(7,))), ["hours.spans.0.day"]),
        (
            Hours(time_zone="UTC", spans=(*weekdays(540, 720, days=(0,)), *weekdays(700, 800, days=(0,)))),
            ["hours.spans.1"],
        ),
        (
            Hours(time_zone="UTC", spans=(*weekdays(0, 60, days=(0,)), *weekdays(1200, 1470, days=(6,)))),
            ["hours.spans.0"],
        ),
        (with_holidays(HolidayRule(calendar="ZZ")), ["hours.holidays.0.calendar"]),
        (with_holidays(HolidayRule(calendar="US-XX")), ["hours.holidays.0.calendar"]),
        (with_holidays(HolidayRule(calendar="US", names=("Chrismas",))), ["hours.holidays.0.names"]),
        (
            with_holidays(open_on=(OpenDate(on=date(2026, 3, 3), spans=()),) * 2),
            ["hours.open_on.1.on"],
        ),
        (
            with_holidays(
                open_on=(
                    OpenDate(
                        on=date(2026, 3, 3),
                        spans=(
                            DateSpan(opens_minute=0, closes_minute=60),
                            DateSpan(opens_minute=30, closes_minute=90),
                        ),
                    ),
                )
            ),
            ["hours.open_on.0.spans.1"],
        ),
        (with_holidays(closed_on=(date(2026, 3, 3),) * (hours.MAX_DATES + 1)), ["hours.closed_on"]),
        (with_holidays(*[HolidayRule(calendar="US")] * 11), ["hours.holidays"]),
    ],
)
def test_each_problem_is_named_with_its_place(told: Hours, expected: list[str]) -> None:
    assert fields(told) == expected


def test_too_many_spans_are_refused() -> None:
    crowd = Hours(
        time_zone="UTC", spans=tuple(Span(day=0, opens_minute=n, closes_minute=n + 1) for n in range(101))
    )
    assert fields(crowd) == ["hours.spans"]


@given(st.lists(spans(), max_size=6))
def test_an_overlap_is_reported_exactly_when_two_spans_share_a_minute_of_the_week(week: list[Span]) -> None:
    assume(all(span.closes_minute > span.opens_minute for span in week))
    minutes = [
        minute % hours.MINUTES_PER_WEEK
        for span in week
        for minute in range(
            span.day * hours.MINUTES_PER_DAY + span.opens_minute,
            span.day * hours.MINUTES_PER_DAY + span.closes_minute,
        )
    ]
    shared = len(minutes) != len(set(minutes))
    assert bool(hours.problems(Hours(time_zone="UTC", spans=tuple(week)))) == shared
