"""The demo's past: days of calls made by the simulator, written as ordinary events and postings."""

import logging
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Final

from callmatrix.live.app import App
from callmatrix.sim.callers import visits
from callmatrix.sim.driver import NO_FAULTS, Simulation
from callmatrix.sim.network import Network
from callmatrix.sim.postgres import PostgresBackend

CALLS_PER_DAY: Final = 40
LONGEST_CALL: Final = timedelta(hours=2)
"""Calls that came later than so long ago could still be in the air."""
_log = logging.getLogger(__name__)


async def make(app: App, seeded: Network, *, seed: int, days: int, now: datetime) -> None:
    """Simulate the last days up to an instant, on the configuration as it is. What would have come of those
    calls later than that is left out."""
    _log.info("making %s days of history (about a minute)", days)
    backend = PostgresBackend(app.db, live=app.catalog, network=seeded)
    starts_on = (now - timedelta(days=days)).date()
    starts_at = datetime.combine(starts_on, datetime.min.time(), tzinfo=UTC)
    simulation = Simulation(
        backend, seeded, seed=seed, starts_at=starts_at, faults=NO_FAULTS, changes_per_day=0
    )
    coming = visits(seeded, seed=seed, starts_on=starts_on, days=days + 1, calls_per_day=CALLS_PER_DAY)
    past = takewhile(lambda visit: visit.at < now - LONGEST_CALL, coming)
    await simulation.run_until(past, stops_at=now)
