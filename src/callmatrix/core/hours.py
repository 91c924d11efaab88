"""Decides whether opening times are open at an instant, since when, and when that changes.

A span is told by wall times of its zone. The wall clock is read as one that never runs backwards: an
opening or closing time counts from the first instant at which the clock reads that time or later. So, on
the day the clocks spring forward, a time inside the missing hour falls on the instant of the jump, and a
span wholly inside it does not happen. On the day they fall back, a time inside the repeated hour means its
first pass, and a span that reaches from before the repeated hour to its end or later lasts an hour longer.
Spans that touch on the wall also touch in time, on every day.

A date with its own spans (`open_on`) outranks a closed date or a holiday, which outrank the week. They
decide about spans that begin on that date: what began the evening before runs to its end.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import holidays
import msgspec

from callmatrix.core import geo
from callmatrix.core.errors import Problem

MINUTES_PER_DAY: Final = 24 * 60
MINUTES_PER_WEEK: Final = 7 * MINUTES_PER_DAY
MAX_CLOSES_MINUTE: Final = 2 * MINUTES_PER_DAY
MAX_SPANS: Final = 100
MAX_SPANS_PER_DATE: Final = 20
MAX_DATES: Final = 1_000
MAX_HOLIDAY_RULES: Final = 10
MAX_HOLIDAY_NAMES: Final = 100
MAX_SEARCH_WEEKS: Final = 58
"""How far a next or last change is looked for: past a year with its holidays."""
MAX_RANGE_WEEKS: Final = 530
MAX_CACHED_WEEKS: Final = 16_384
MAX_CACHED_HOURS: Final = 4_096

# Holiday names come and go with the years; these are the years whose names may be chosen.
_NAME_YEARS: Final = tuple(range(2020, 2041))
# A span lasts at most two days and a zone is at most a day from UTC: none from further off reaches a week.
_REACH_DAYS: Final = 4
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WEEK: Final = timedelta(days=7)
_ONE_SECOND: Final = timedelta(seconds=1)


class Span(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open on a weekday (Monday is 0), in minutes after its midnight; closing past 1440 is the next day."""

    day: int
    opens_minute: int
    closes_minute: int


class DateSpan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open on a date, in minutes after its midnight; closing past 1440 is the next day."""

    opens_minute: int
    closes_minute: int


class HolidayRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Closed on the public holidays of a calendar: `US`, or with a subdivision `US-CA`.

    `names` picks some of them by the calendar's own names; empty means all. A holiday that is observed on
    another date closes both dates.
    """

    calendar: str
    names: tuple[str, ...] = ()


class OpenDate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One date with its own spans instead of the week's."""

    on: date
    spans: tuple[DateSpan, ...]


class Hours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, cache_hash=True):
    """Opening times in an IANA zone. No spans and no open dates: never open."""

    time_zone: str
    spans: tuple[Span, ...]
    holidays: tuple[HolidayRule, ...] = ()
    closed_on: tuple[date, ...] = ()
    open_on: tuple[OpenDate, ...] = ()


class OpenState(msgspec.Struct, frozen=True, kw_only=True):
    """Open or not, since the last change (inclusive) until the next one (exclusive).

    `since` and `until` are None where there is no change within `MAX_SEARCH_WEEKS`.
    """

    open: bool
    since: datetime | None
    until: datetime | None


class _Week(msgspec.Struct, frozen=True, kw_only=True):
    """The changes in one week of UTC, and whether it was open just before it."""

    open_before: bool
    changes: tuple[datetime, ...]


def always_open() -> Hours:
    """Open at every instant."""
    return Hours(
        time_zone="UTC",
        spans=tuple(Span(day=day, opens_minute=0, closes_minute=MINUTES_PER_DAY) for day in range(7)),
    )


def is_open(hours: Hours, at: datetime) -> bool:
    """Whether these hours (which must have no `problems`) are open at an aware instant."""
    week = _week(hours, _week_number(at))
    return week.open_before ^ bool(bisect_right(week.changes, at) & 1)


def state_at(hours: Hours, at: datetime) -> OpenState:
    """Open or closed at an instant, since when and until when."""
    return OpenState(
        open=is_open(hours, at),
        since=_last_change(hours, at),
        until=_next_change(hours, at),
    )


def next_open(hours: Hours, at: datetime) -> datetime | None:
    """The first instant from `at` on at which it is open: `at` itself if it is open then.

    None where it does not open within `MAX_SEARCH_WEEKS`.
    """
    return at if is_open(hours, at) else _next_change(hours, at)


def transitions(hours: Hours, start: datetime, end: datetime) -> tuple[tuple[datetime, bool], ...]:
    """Every change in `[start, end)`: its instant (UTC), and whether it is open from then on.

    Between two of them nothing changes; before the first it is the opposite of the first.
    `ValueError` for a range of more than `MAX_RANGE_WEEKS`.
    """
    first, last = _week_number(start), _week_number(end)
    if last - first > MAX_RANGE_WEEKS:
        raise ValueError(f"Hours are compiled for at most {MAX_RANGE_WEEKS} weeks")
    found: list[tuple[datetime, bool]] = []
    for number in range(first, last + 1):
        week = _week(hours, number)
        for place, change in enumerate(week.changes):
            if start <= change < end:
                found.append((change, week.open_before ^ (place % 2 == 0)))
    return tuple(found)


def problems(hours: Hours, *, field: str = "hours") -> tuple[Problem, ...]:
    """What must be mended before these hours may be used."""
    return (
        *_zone_problems(hours, f"{field}.time_zone"),
        *_week_problems(hours.spans, f"{field}.spans"),
        *_holiday_problems(hours.holidays, f"{field}.holidays"),
        *_date_problems(hours, field),
    )


# --- from wall times to instants -----------------------------------------------------------------------


def _week_number(at: datetime) -> int:
    return (at - _EPOCH) // _WEEK


@lru_cache(maxsize=MAX_CACHED_WEEKS)
def _week(hours: Hours, number: int) -> _Week:
    start = _EPOCH + number * _WEEK
    end = start + _WEEK
    changes: list[datetime] = []
    open_before = False
    for opens, closes in _merged(_spans_around(hours, start)):
        if opens < start <= closes:
            open_before = True
        changes += [change for change in (opens, closes) if start <= change < end]
    return _Week(open_before=open_before, changes=tuple(changes))


def _spans_around(hours: Hours, week_start: datetime) -> Iterator[tuple[datetime, datetime]]:
    zone = geo.zone(hours.time_zone)
    first = week_start.date() - timedelta(days=_REACH_DAYS)
    for offset in range(7 + 2 * _REACH_DAYS):
        on = first + timedelta(days=offset)
        midnight = datetime(on.year, on.month, on.day)  # noqa: DTZ001  a wall time has no zone
        for opens_minute, closes_minute in _minutes_on(hours, on):
            opens = _first_instant(midnight + timedelta(minutes=opens_minute), zone)
            closes = _first_instant(midnight + timedelta(minutes=closes_minute), zone)
            if opens < closes:
                yield opens, closes


def _merged(spans: Iterator[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Spans in order, those that overlap or touch as one."""
    merged: list[tuple[datetime, datetime]] = []
    for opens, closes in sorted(spans):
        if merged and opens <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], closes))
        else:
            merged.append((opens, closes))
    return merged


def _first_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which the wall clock of the zone reads `wall` or later."""
    early = wall.replace(tzinfo=zone, fold=0)
    instant = early.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    # The wall time is skipped. With the offset from before the jump (fold 0) it lies after the jump, with the
    # one from after it lies before; the jump is where the offset changes between the two.
    before_jump = early.replace(fold=1).astimezone(UTC)
    after_jump = instant
    offset_after = after_jump.astimezone(zone).utcoffset()
    while after_jump - before_jump > _ONE_SECOND:
        middle = before_jump + (after_jump - before_jump) // _ONE_SECOND // 2 * _ONE_SECOND
        if middle.astimezone(zone).utcoffset() == offset_after:
            after_jump = middle
        else:
            before_jump = middle
    return after_jump


class _Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """Hours arranged for looking up a date."""

    by_weekday: tuple[tuple[tuple[int, int], ...], ...]
    closed_on: frozenset[date]
    open_on: dict[date, tuple[tuple[int, int], ...]]


@lru_cache(maxsize=MAX_CACHED_HOURS)
def _calendar(hours: Hours) -> _Calendar:
    return _Calendar(
        by_weekday=tuple(
            tuple((span.opens_minute, span.closes_minute) for span in hours.spans if span.day == day)
            for day in range(7)
        ),
        closed_on=frozenset(hours.closed_on),
        open_on={
            special.on: tuple((span.opens_minute, span.closes_minute) for span in special.spans)
            for special in hours.open_on
        },
    )


def _minutes_on(hours: Hours, on: date) -> Sequence[tuple[int, int]]:
    calendar = _calendar(hours)
    special = calendar.open_on.get(on)
    if special is not None:
        return special
    if on in calendar.closed_on or any(on in _holiday_dates(rule, on.year) for rule in hours.holidays):
        return ()
    return calendar.by_weekday[on.weekday()]


def _next_change(hours: Hours, at: datetime) -> datetime | None:
    number = _week_number(at)
    for ahead in range(MAX_SEARCH_WEEKS + 1):
        changes = _week(hours, number + ahead).changes
        place = bisect_right(changes, at)
        if place < len(changes):
            return changes[place]
    return None


def _last_change(hours: Hours, at: datetime) -> datetime | None:
    number = _week_number(at)
    for back in range(MAX_SEARCH_WEEKS + 1):
        changes = _week(hours, number - back).changes
        place = bisect_right(changes, at)
        if place:
            return changes[place - 1]
    return None


# --- holidays ------------------------------------------------------------------------------------------


@cache
def _calendars() -> frozenset[str]:
    countries = holidays.list_supported_countries()
    return frozenset(countries) | {
        f"{country}-{subdivision}"
        for country, subdivisions in countries.items()
        for subdivision in subdivisions
    }


@lru_cache(maxsize=MAX_CACHED_HOURS)
def _named_dates(calendar: str, year: int) -> tuple[tuple[date, tuple[str, ...]], ...]:
    country, _, subdivision = calendar.partition("-")
    found = holidays.country_holidays(country, subdiv=subdivision or None, years=year, expand=False)
    return tuple((on, tuple(found.get_list(on))) for on in sorted(found))


@lru_cache(maxsize=MAX_CACHED_HOURS)
def _holiday_dates(rule: HolidayRule, year: int) -> frozenset[date]:
    return frozenset(
        on
        for on, names in _named_dates(rule.calendar, year)
        if not rule.names or any(_is_named(name, chosen) for name in names for chosen in rule.names)
    )


def _is_named(name: str, chosen: str) -> bool:
    # The library tells an observed date from the holiday itself by a word in brackets.
    return name == chosen or name.startswith(f"{chosen} (")


# --- problems ------------------------------------------------------------------------------------------


def _zone_problems(hours: Hours, field: str) -> Iterator[Problem]:
    if hours.time_zone not in geo.zone_names():
        yield Problem(
            field=field,
            problem=f"{hours.time_zone!r} is not an IANA time zone",
            remedy="Name a zone such as America/Chicago",
        )


def _too_many(count: int, most: int, field: str) -> Iterator[Problem]:
    if count > most:
        yield Problem(
            field=field, problem=f"There are {count}, at most {most} are allowed", remedy="Remove some"
        )


def _week_problems(spans: tuple[Span, ...], field: str) -> Iterator[Problem]:
    yield from _too_many(len(spans), MAX_SPANS, field)
    for place, span in enumerate(spans[:MAX_SPANS]):
        if not 0 <= span.day <= 6:
            yield Problem(
                field=f"{field}.{place}.day",
                problem=f"{span.day} is not a weekday",
                remedy="Use 0 for Monday to 6 for Sunday",
            )
        yield from _minute_problems(span.opens_minute, span.closes_minute, f"{field}.{place}")
    yield from _overlaps(
        [
            (span.day * MINUTES_PER_DAY + span.opens_minute, span.day * MINUTES_PER_DAY + span.closes_minute)
            for span in spans[:MAX_SPANS]
        ],
        field,
        wraps_at=MINUTES_PER_WEEK,
    )


def _minute_problems(opens: int, closes: int, field: str) -> Iterator[Problem]:
    if not 0 <= opens <= MINUTES_PER_DAY:
        yield Problem(
            field=f"{field}.opens_minute",
            problem=f"{opens} is not a minute of the day",
            remedy=f"Use 0 to {MINUTES_PER_DAY}",
        )
    if not 0 <= closes <= MAX_CLOSES_MINUTE:
        yield Problem(
            field=f"{field}.closes_minute",
            problem=f"{closes} is not a minute of this day or the next",
            remedy=f"Use 0 to {MAX_CLOSES_MINUTE}; past {MINUTES_PER_DAY} is the next day",
        )
    if closes <= opens:
        yield Problem(
            field=f"{field}.closes_minute",
            problem="It closes before it opens or at the same minute",
            remedy=f"For a closing time on the next day, add {MINUTES_PER_DAY}",
        )


def _overlaps(minutes: list[tuple[int, int]], field: str, *, wraps_at: int | None) -> Iterator[Problem]:
    places = sorted((opens, closes, place) for place, (opens, closes) in enumerate(minutes))
    if wraps_at is not None:
        places += [(opens + wraps_at, closes + wraps_at, place) for opens, closes, place in places]
    seen: set[frozenset[int]] = set()
    for (_, closes, place), (opens, _, other) in pairwise(places):
        pair = frozenset((place, other))
        if opens < closes and len(pair) == 2 and pair not in seen:
            seen.add(pair)
            yield Problem(
                field=f"{field}.{other}",
                problem=f"It overlaps with span {place}",
                remedy="Join the two spans or move one of them",
            )


def _holiday_problems(rules: tuple[HolidayRule, ...], field: str) -> Iterator[Problem]:
    yield from _too_many(len(rules), MAX_HOLIDAY_RULES, field)
    for place, rule in enumerate(rules[:MAX_HOLIDAY_RULES]):
        if rule.calendar not in _calendars():
            yield Problem(
                field=f"{field}.{place}.calendar",
                problem=f"{rule.calendar!r} is not a holiday calendar",
                remedy="Name a country such as US, or a country and subdivision such as US-CA",
            )
            continue
        yield from _too_many(len(rule.names), MAX_HOLIDAY_NAMES, f"{field}.{place}.names")
        for name in rule.names[:MAX_HOLIDAY_NAMES]:
            if not any(
                _is_named(known, name)
                for year in _NAME_YEARS
                for _, names in _named_dates(rule.calendar, year)
                for known in names
            ):
                yield Problem(
                    field=f"{field}.{place}.names",
                    problem=f"The calendar {rule.calendar} has no holiday named {name!r}",
                    remedy="Use the calendar's own name, such as Christmas Day",
                )


def _date_problems(hours: Hours, field: str) -> Iterator[Problem]:
    yield from _too_many(len(hours.closed_on), MAX_DATES, f"{field}.closed_on")
    yield from _too_many(len(hours.open_on), MAX_DATES, f"{field}.open_on")
    seen: set[date] = set()
    for place, special in enumerate(hours.open_on[:MAX_DATES]):
        where = f"{field}.open_on.{place}"
        if special.on in seen:
            yield Problem(
                field=f"{where}.on", problem=f"{special.on} is there twice", remedy="Keep one of them"
            )
        seen.add(special.on)
        yield from _too_many(len(special.spans), MAX_SPANS_PER_DATE, f"{where}.spans")
        spans = special.spans[:MAX_SPANS_PER_DATE]
        for number, span in enumerate(spans):
            yield from _minute_problems(span.opens_minute, span.closes_minute, f"{where}.spans.{number}")
        yield from _overlaps(
            [(span.opens_minute, span.closes_minute) for span in spans], f"{where}.spans", wraps_at=None
        )
