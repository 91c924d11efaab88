"""Twenty thousand calls through the core, with a carrier and processes that fail: every promise is kept."""

from pathlib import Path

import pytest

from callmatrix.sim.driver import NO_FAULTS, Faults
from callmatrix.sim.promises import PROMISES
from callmatrix.sim.run import SimReport, million, simulate, together

SEEDS_THAT_FAILED = [
    line.split()[:4]
    for line in (Path(__file__).parent / "seeds.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
ALL_KEPT = dict.fromkeys(PROMISES, True)
# Much worse than any carrier, so that rare orders of events are met.
STORM = Faults(lost=40, doubled=150, late=150, dies=40, slow=100, never=200, unsaid=300, stale=150)


def kept(report: SimReport) -> tuple[dict[str, bool], dict[str, str]]:
    return report.promises, report.broken


@pytest.mark.parametrize("seed", [101, 102])
def test_every_promise_is_kept_for_days_of_ordinary_trouble(seed: int) -> None:
    report = simulate(seed, days=7, calls_per_day=900, replay_every=3)
    assert kept(report) == (ALL_KEPT, {})
    assert report.calls > 5_000
    assert min(report.connected, report.converted, report.repeats, report.deaths, report.changes) > 0


@pytest.mark.parametrize("seed", [201, 202, 203])
def test_every_promise_is_kept_in_a_storm_of_faults(seed: int) -> None:
    report = simulate(seed, days=3, calls_per_day=900, faults=STORM)
    assert kept(report) == (ALL_KEPT, {})
    assert report.deaths > 500


@pytest.mark.parametrize(("faults", "seed", "days", "calls_per_day"), SEEDS_THAT_FAILED)
def test_a_seed_that_once_failed_is_kept(faults: str, seed: str, days: str, calls_per_day: str) -> None:
    report = simulate(
        int(seed),
        days=int(days),
        calls_per_day=int(calls_per_day),
        faults={"ordinary": Faults(), "storm": STORM}[faults],
        replay_every=3,
    )
    assert kept(report) == (ALL_KEPT, {})


def test_the_same_seed_tells_the_same_story() -> None:
    first, second = (simulate(7, days=1, calls_per_day=300) for _ in range(2))
    assert first == second
    assert first.calls != simulate(8, days=1, calls_per_day=300).calls


def test_without_faults_nothing_is_lost_and_nothing_comes_twice() -> None:
    report = simulate(9, days=1, calls_per_day=300, faults=NO_FAULTS)
    assert (report.repeats, report.deaths) == (0, 0)
    assert kept(report) == (ALL_KEPT, {})


def test_one_broken_seed_breaks_the_promise_of_all() -> None:
    good = simulate(10, days=1, calls_per_day=50)
    name = PROMISES[0]
    bad = SimReport(
        calls=1,
        connected=0,
        converted=0,
        promises={**ALL_KEPT, name: False},
        seeds=(11,),
        days=1,
        failed_seed=11,
        broken={name: "call_1"},
    )
    report = together((good, bad))
    assert report.failed_seed == 11
    assert report.broken == {name: "seed 11: call_1"}
    assert report.promises == {**ALL_KEPT, name: False}
    assert report.calls == good.calls + 1


def test_many_calls_are_split_over_processes() -> None:
    report = million(seed=301, calls=1, workers=1, days=1, calls_per_day=60)
    assert report.seeds[0] == 301
    assert kept(report) == (ALL_KEPT, {})
