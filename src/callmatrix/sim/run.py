"""Runs seeds of simulated days against the bare core and tells which promises were kept."""

import gc
import multiprocessing
from collections.abc import Coroutine, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from callmatrix.core.ids import CampaignId
from callmatrix.core.plan import CompiledPlan
from callmatrix.sim.backend import Backend
from callmatrix.sim.callers import visits
from callmatrix.sim.driver import Counted, Faults, Simulation
from callmatrix.sim.memory import MemoryBackend
from callmatrix.sim.network import Network, network
from callmatrix.sim.promises import PROMISES, Evidence, check

# A month with a change of clocks, so that windows and hours of 23 and 25 hours come by.
STARTS_ON: Final = date(2026, 10, 26)
MILLION: Final = 1_000_000
DAYS_PER_SEED: Final = 8
CALLS_PER_DAY: Final = 900
WORKERS: Final = 2
MAX_SEEDS: Final = 10_000
SEEDS_PER_PROCESS: Final = 4
REPLAYED_ONE_IN: Final = 4
"""Of a million calls; a replay costs nearly as much as the call."""

T = TypeVar("T")


class SimReport(msgspec.Struct, frozen=True, kw_only=True):
    """One JSON object: what happened, and each promise with whether it was kept.

    `broken` has the first counterexample of each broken promise, `failed_seed` the first seed that broke
    one.
    """

    calls: int
    connected: int
    converted: int
    promises: dict[str, bool]
    seeds: tuple[int, ...]
    days: int
    webhooks: int = 0
    repeats: int = 0
    deaths: int = 0
    changes: int = 0
    failed_seed: int | None = None
    broken: dict[str, str] = {}


def simulate(
    seed: int,
    *,
    days: int = DAYS_PER_SEED,
    calls_per_day: int = CALLS_PER_DAY,
    faults: Faults | None = None,
    replay_every: int = 1,
) -> SimReport:
    """One seed's days through the bare core, in memory; every promise checked from the rows."""
    configuration = start_network()
    backend = MemoryBackend(configuration)
    collects = gc.isenabled()
    gc.disable()  # nothing is freed before the end, and looking for it costs a fifth of the time
    try:
        return finish(
            simulate_on(
                backend,
                configuration,
                seed=seed,
                days=days,
                calls_per_day=calls_per_day,
                faults=faults or Faults(),
                replay_every=replay_every,
            )
        )
    finally:
        if collects:
            gc.enable()


def start_network() -> Network:
    """The network that simulations start with."""
    return network(starts_at=datetime.combine(STARTS_ON, datetime.min.time(), tzinfo=UTC) - timedelta(days=1))


async def simulate_on(
    backend: Backend,
    configuration: Network,
    *,
    seed: int,
    days: int,
    calls_per_day: int,
    faults: Faults,
    replay_every: int = 1,
) -> SimReport:
    """The same on any backend: the same seed must lead to the same calls and postings."""
    evidence, counted = await play(
        backend,
        configuration,
        seed=seed,
        days=days,
        calls_per_day=calls_per_day,
        faults=faults,
        replay_every=replay_every,
    )
    broken = check(evidence)
    rows = evidence.rows
    return SimReport(
        calls=len(rows.calls),
        connected=sum(1 for row in rows.calls if row.call.connected_at is not None),
        converted=sum(1 for row in rows.calls if row.call.converted_at is not None),
        promises={name: name not in broken for name in PROMISES},
        seeds=(seed,),
        days=days,
        webhooks=counted.webhooks,
        repeats=counted.repeats,
        deaths=counted.deaths,
        changes=counted.changes,
        failed_seed=seed if broken else None,
        broken=broken,
    )


async def play(
    backend: Backend,
    configuration: Network,
    *,
    seed: int,
    days: int,
    calls_per_day: int,
    faults: Faults,
    replay_every: int = 1,
) -> tuple[Evidence, Counted]:
    """Let the days happen; what is left of them, to be judged."""
    starts_at = datetime.combine(STARTS_ON, datetime.min.time(), tzinfo=UTC)
    simulation = Simulation(backend, configuration, seed=seed, starts_at=starts_at, faults=faults)
    coming = visits(configuration, seed=seed, starts_on=STARTS_ON, days=days, calls_per_day=calls_per_day)
    await simulation.run(coming, ends_at=starts_at + timedelta(days=days + 1))
    rows = await backend.rows()
    plans: dict[tuple[CampaignId, int], CompiledPlan] = {}
    for row in rows.calls:
        key = (row.call.campaign_id, row.call.plan_version)
        if key not in plans:
            plans[key] = await backend.plan(*key)
    evidence = Evidence(
        rows=rows,
        configured=simulation.configured,
        plan_of=lambda campaign_id, version: plans[campaign_id, version],
        repeats=tuple(simulation.broken),
        replay_every=replay_every,
    )
    return evidence, simulation.counted


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run what never waits for anything: in memory every answer is there at once."""
    try:
        work.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    raise AssertionError("a simulation in memory waited for something")


def together(reports: Sequence[SimReport]) -> SimReport:
    """Several seeds as one report: a promise is kept where every seed kept it."""
    broken: dict[str, str] = {}
    for report in reports:
        for name, text in report.broken.items():
            broken.setdefault(name, f"seed {report.seeds[0]}: {text}")
    failed = (report.failed_seed for report in reports if report.failed_seed is not None)
    return SimReport(
        calls=sum(report.calls for report in reports),
        connected=sum(report.connected for report in reports),
        converted=sum(report.converted for report in reports),
        promises={name: all(report.promises[name] for report in reports) for name in PROMISES},
        seeds=tuple(seed for report in reports for seed in report.seeds),
        days=sum(report.days for report in reports),
        webhooks=sum(report.webhooks for report in reports),
        repeats=sum(report.repeats for report in reports),
        deaths=sum(report.deaths for report in reports),
        changes=sum(report.changes for report in reports),
        failed_seed=next(failed, None),
        broken=broken,
    )


def million(
    *,
    seed: int = 1,
    calls: int = MILLION,
    workers: int = WORKERS,
    days: int = DAYS_PER_SEED,
    calls_per_day: int = CALLS_PER_DAY,
) -> SimReport:
    """At least `calls` calls over as many seeds as they take, from `seed` on, split over processes."""
    reports: list[SimReport] = []
    done = 0
    simulate_seed = partial(simulate, days=days, calls_per_day=calls_per_day, replay_every=REPLAYED_ONE_IN)
    # Spawned, not forked: a fork of a process with threads (a test run, a server) may hang.
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, maxtasksperchild=SEEDS_PER_PROCESS) as pool:
        for report in pool.imap(simulate_seed, range(seed, seed + MAX_SEEDS)):
            reports.append(report)
            done += report.calls
            if done >= calls:
                break
        pool.terminate()
    return together(reports)
