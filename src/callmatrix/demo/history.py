"""The demo's past: days of calls made by the simulator, written as ordinary events and postings."""

import logging
from datetime import UTC, date, datetime, timedelta
from typing import Final

from callmatrix.live.app import App
from callmatrix.sim.callers import visits
from callmatrix.sim.driver import NO_FAULTS, Simulation
from callmatrix.sim.network import Network
from callmatrix.sim.postgres import PostgresBackend

CALLS_PER_DAY: Final = 40
_log = logging.getLogger(__name__)


async def make(app: App, seeded: Network, *, seed: int, starts_on: date, days: int) -> None:
    """Simulate the days from `starts_on` on, on the configuration as it is."""
    _log.info("making %s days of history (about a minute)", days)
    backend = PostgresBackend(app.db, live=app.catalog, network=seeded)
    starts_at = datetime.combine(starts_on, datetime.min.time(), tzinfo=UTC)
    simulation = Simulation(
        backend, seeded, seed=seed, starts_at=starts_at, faults=NO_FAULTS, changes_per_day=0
    )
    coming = visits(seeded, seed=seed, starts_on=starts_on, days=days, calls_per_day=CALLS_PER_DAY)
    await simulation.run(coming, ends_at=starts_at + timedelta(days=days))
