"""Where a cap's window begins and ends: the only place that computes it, for memory and SQL alike."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, assert_never
from zoneinfo import ZoneInfo

from callmatrix.core.caps.limits import Window
from callmatrix.core.geo import zone

TOTAL: Final = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
MAX_DAY_STARTS: Final = 20_000
_HOUR: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)
_DAY: Final = timedelta(days=1)


def window_bounds(
    window: Window, *, at: datetime, time_zone: str, week_starts_on: int
) -> tuple[datetime, datetime]:
    """The window that holds `at`, as UTC instants `starts_at <= at < ends_at`.

    Hours are clock hours: where clocks fall back, the repeated hour is a window of its own. Days,
    weeks and months run from local midnight to local midnight, so a day may have 23 or 25 hours; a
    midnight that is skipped is the instant of the jump, one that comes twice is its first. Weeks start
    on `week_starts_on` (0 is Monday). `total` holds every instant. `ValueError` for an unknown zone.
    """
    assert at.tzinfo is not None
    if window == "total":
        return TOTAL
    rules = zone(time_zone)
    if window == "hour":
        return _hour(rules, at.astimezone(UTC))
    first, following = _dates(window, at.astimezone(rules).date(), week_starts_on)
    starts_at, ends_at = _day_start(rules, first), _day_start(rules, following)
    if at >= ends_at:
        # clocks that fall back across midnight tell yesterday's date again: the new day has begun
        _, after = _dates(window, following, week_starts_on)
        return ends_at, _day_start(rules, after)
    return starts_at, ends_at


def _dates(window: Window, day: date, week_starts_on: int) -> tuple[date, date]:
    """The first date of the window that holds `day`, and that of the next window."""
    match window:
        case "day":
            return day, day + _DAY
        case "week":
            first = day - timedelta(days=(day.weekday() - week_starts_on) % 7)
            return first, first + timedelta(days=7)
        case "month":
            first = day.replace(day=1)
            return first, (first + timedelta(days=31)).replace(day=1)
        case "hour" | "total":
            raise AssertionError(window)
        case _:
            assert_never(window)


def _hour(rules: ZoneInfo, at: datetime) -> tuple[datetime, datetime]:
    """The part of the clock hour around `at` that has one and the same offset from UTC."""
    local = at.astimezone(rules)
    offset = local.utcoffset()
    second = at.replace(microsecond=0)
    starts_at = second - timedelta(minutes=local.minute, seconds=local.second)
    ends_at = starts_at + _HOUR
    if starts_at.astimezone(rules).utcoffset() != offset:
        starts_at = _change(rules, before=starts_at, after=second)
    last = ends_at - _SECOND
    if last.astimezone(rules).utcoffset() != offset:
        ends_at = _change(rules, before=second, after=last)
    return starts_at, ends_at


@lru_cache(maxsize=MAX_DAY_STARTS)
def _day_start(rules: ZoneInfo, day: date) -> datetime:
    """The first instant of a local date; where the whole date is skipped, the instant of the jump."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=rules)
    instant = midnight.astimezone(UTC)
    if instant.astimezone(rules).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return instant
    # read with the offset after the jump, a skipped midnight lies before the jump
    return _change(rules, before=midnight.replace(fold=1).astimezone(UTC), after=instant)


def _change(rules: ZoneInfo, *, before: datetime, after: datetime) -> datetime:
    """The second between the two at which the offset from UTC changes; it halves at every turn."""
    offset = before.astimezone(rules).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // _SECOND // 2 * _SECOND
        if middle.astimezone(rules).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
