"""The process's worker: takes due jobs, runs them, and says what became of each."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from callmatrix.live.app import App
from callmatrix.store import jobs
from callmatrix.store.db import DatabaseGone
from callmatrix.store.jobs import Job

IDLE_S: Final = 0.5
MAX_AT_ONCE: Final = 8

Run = Callable[[App, Job], Awaitable[None]]
_log = logging.getLogger(__name__)


async def work(app: App, kinds: Mapping[str, Run]) -> None:
    """Run due jobs until cancelled; a lost database is waited for."""
    while True:
        try:
            busy = await run_due(app, kinds)
        except DatabaseGone:
            busy = 0
        except Exception:  # the worker outlives whatever it meets
            _log.exception("jobs could not be run")
            busy = 0
        if not busy:
            await asyncio.sleep(IDLE_S)


async def run_due(app: App, kinds: Mapping[str, Run]) -> int:
    """Run one batch of due jobs; how many there were."""
    async with app.db.transaction() as tx:
        batch = await jobs.lease(tx, now=app.world.now())
    at_once = asyncio.Semaphore(MAX_AT_ONCE)

    async def one(job: Job) -> None:
        async with at_once:
            await _run(app, kinds, job)

    await asyncio.gather(*(one(job) for job in batch))
    return len(batch)


async def _run(app: App, kinds: Mapping[str, Run], job: Job) -> None:
    try:
        run = kinds.get(job.kind)
        if run is None:
            raise LookupError(f"nobody knows how to do {job.kind}")
        await run(app, job)
    except DatabaseGone:
        raise
    except Exception as error:  # a job's failure is its own: kept with it, and retried
        _log.warning("job %s (%s) failed: %s", job.id, job.kind, error)
        async with app.db.transaction() as tx:
            await jobs.failed(tx, job, error=f"{type(error).__name__}: {error}", now=app.world.now())
        return
    async with app.db.transaction() as tx:
        await jobs.done(tx, job, now=app.world.now())
