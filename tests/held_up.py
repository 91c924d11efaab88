"""Holds a step up in the database, so that a process can be ended just there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

import make
from callmatrix.dialects.carriers.urls import Page
from callmatrix.live import voice
from callmatrix.store.db import Database, DatabaseGone
from served import Line, Process, looks, one

ARRIVAL = Page(connection_id=make.CONNECTION, kind="arrival")


@asynccontextmanager
async def capacity_held_up(db: Database) -> AsyncIterator[None]:
    """Nobody gets or gives back capacity while the block runs."""
    async with db.transaction() as tx:
        await tx.execute("select pg_advisory_xact_lock(capacity_gate($1))", make.ACCOUNT)
        yield


async def asked_for_capacity(db: Database) -> int:
    """Return when somebody waits for capacity: the server process that does it for them."""
    async for _ in looks(db):
        pid: int | None = await one(
            db,
            "select pid from pg_locks where locktype = 'advisory' and not granted and database ="
            " (select oid from pg_database where datname = current_database())",
        )
        if pid is not None:
            return pid
    raise AssertionError("nobody asked for capacity")


async def dies_while_reserving(db: Database, process: Process, line: Line, *, granted: bool) -> None:
    """A process saves that it is about to reserve, and never tells what came of it."""
    async with capacity_held_up(db):
        wired = process.app.catalog.connection(make.CONNECTION)
        assert wired is not None
        at = process.app.world.now()
        telling = asyncio.create_task(
            voice.told(process.app, wired, ARRIVAL, line.params(CallStatus="ringing"), at=at)
        )
        pid = await asked_for_capacity(db)
        if granted:
            telling.cancel()
        else:
            await one(db, "select pg_terminate_backend($1)", pid)
        with pytest.raises((DatabaseGone, asyncio.CancelledError)):
            await telling
    await process.settled()
