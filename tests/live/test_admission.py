"""When a process turns callers away: never less for more trouble, and no longer once the trouble is over."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from callmatrix.live.admission import (
    BEGIN_S,
    FULL_S,
    MEMORY_S,
    MIN_IN_HAND,
    UNKNOWN_PER_S,
    Admission,
    Strain,
    expected_s,
    finished,
    lagged,
    later,
    put_aside,
    shed_share,
    taken,
)
from served import SteeredWorld

FLOOD_S = 6.0
# Less than half of what the most impatient carrier waits, since a route takes more than one step.
IN_TIME_S = 2.0
COUNTS = st.integers(0, 5_000)
SPEEDS = st.floats(0.01, 10_000.0)
SECONDS = st.floats(0.0, 30.0)
STRAINS = st.builds(Strain, at_s=SECONDS, in_hand=COUNTS, finished_per_s=SPEEDS, lag_s=SECONDS)


def test_a_process_with_nothing_to_do_turns_nobody_away() -> None:
    assert shed_share(Strain(at_s=0.0)) == 0.0


def test_the_share_rises_from_none_to_all_between_the_two_bounds() -> None:
    shares = [
        shed_share(Strain(at_s=0.0, in_hand=100, finished_per_s=100 / mean_s))
        for mean_s in (BEGIN_S / 2, BEGIN_S, (BEGIN_S + FULL_S) / 2, FULL_S, FULL_S * 9)
    ]
    assert [round(share, 9) for share in shares] == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_who_has_little_to_do_is_slow_and_not_overloaded() -> None:
    crawls = Strain(at_s=0.0, in_hand=MIN_IN_HAND, finished_per_s=0.001, lag_s=60.0)
    assert shed_share(crawls) == 0.0
    assert shed_share(taken(crawls, 0.0)) == 1.0


def test_work_in_hand_of_which_nothing_is_finished_makes_a_process_slower() -> None:
    strain = Strain(at_s=5.0, in_hand=1)
    assert later(strain, 5.0 + MEMORY_S).finished_per_s == UNKNOWN_PER_S / math.e


def test_idle_time_says_nothing_of_the_speed() -> None:
    assert later(Strain(at_s=5.0), 500.0) == Strain(at_s=500.0)


def test_what_waits_for_somebody_else_is_neither_in_hand_nor_finished() -> None:
    strain = taken(Strain(at_s=0.0), 0.0)
    assert put_aside(strain, 0.0) == Strain(at_s=0.0)
    assert taken(put_aside(strain, 0.0), 0.0) == strain


@given(STRAINS, st.integers(0, 500), st.floats(1.0, 100.0), SECONDS)
def test_more_work_less_speed_or_more_lag_never_admits_more(
    strain: Strain, more: int, slower: float, later_by_s: float
) -> None:
    worse = Strain(
        at_s=strain.at_s,
        in_hand=strain.in_hand + more,
        finished_per_s=strain.finished_per_s / slower,
        lag_s=strain.lag_s + later_by_s,
    )
    assert 0.0 <= shed_share(strain) <= shed_share(worse) <= 1.0


@given(STRAINS, SECONDS, SECONDS)
def test_a_later_loop_never_admits_more(strain: Strain, one_s: float, other_s: float) -> None:
    least, most = sorted((one_s, other_s))
    assert expected_s(lagged(strain, least)) <= expected_s(lagged(strain, most))


@settings(deadline=None)
@given(STRAINS, st.floats(0.001, 1.0))
def test_once_its_work_is_done_a_process_turns_nobody_away(strain: Strain, every_s: float) -> None:
    at_s = strain.at_s
    for _ in range(strain.in_hand):
        at_s += every_s
        strain = finished(strain, at_s)
    assert (strain.in_hand, shed_share(strain)) == (0, 0.0)


@settings(deadline=None, max_examples=50)
@given(per_s=st.floats(30.0, 400.0), over=st.floats(1.5, 10.0))
def test_under_any_flood_what_is_admitted_is_done_in_time_and_the_process_stays_busy(
    per_s: float, over: float
) -> None:
    """A process that does so many a second, one after the other, is asked for several times as many."""
    strain = Strain(at_s=0.0)
    waiting: list[float] = []
    waits: list[float] = []
    idle_s = owed = 0.0
    for number in range(int(FLOOD_S * per_s * over)):
        at_s = number / (per_s * over)
        while waiting and idle_s + 1 / per_s <= at_s:
            idle_s += 1 / per_s
            waits.append(idle_s - waiting.pop(0))
            strain = finished(strain, idle_s)
        owed += 1.0 - shed_share(later(strain, at_s))
        if owed >= 1.0:
            owed -= 1.0
            idle_s = idle_s if waiting else at_s
            waiting.append(at_s)
            strain = taken(strain, at_s)
    assert max(waits) < IN_TIME_S
    assert len(waits) > 0.9 * FLOOD_S * per_s


def test_a_process_that_is_flooded_turns_all_away_and_then_nobody() -> None:
    admission = Admission(SteeredWorld())
    flood = [admission.in_hand() for _ in range(400)]
    for one in flood:
        one.__enter__()
    assert [admission.admits() for _ in range(20)] == [False] * 20
    for one in flood:
        one.__exit__(None, None, None)
    assert admission.strain.in_hand == 0
    assert [admission.admits() for _ in range(20)] == [True] * 20


def test_what_waits_for_a_bidder_is_not_in_hand_and_a_failure_is_no_speed() -> None:
    admission = Admission(SteeredWorld())
    seen = []
    try:
        with admission.in_hand():
            seen.append(admission.strain.in_hand)
            with admission.elsewhere():
                seen.append(admission.strain.in_hand)
            seen.append(admission.strain.in_hand)
            raise TimeoutError
    except TimeoutError:
        seen.append(admission.strain.in_hand)
    assert seen == [1, 0, 1, 0]
    assert admission.strain.finished_per_s <= UNKNOWN_PER_S


def test_who_waits_without_a_webhook_in_hand_leaves_no_trace() -> None:
    admission = Admission(SteeredWorld())
    with admission.elsewhere():
        assert admission.strain.in_hand == -1
    assert admission.strain.in_hand == 0
