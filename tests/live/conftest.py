"""Server processes on the test's database, started when a test asks for them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from callmatrix.store.db import Database
from served import Process, Start, SteeredWorld, process_on


@pytest.fixture
def world() -> SteeredWorld:
    """The clock of every process of a test."""
    return SteeredWorld()


@pytest.fixture
async def start(db: Database, world: SteeredWorld, tmp_path: Path) -> AsyncIterator[Start]:
    """Start a process on what is saved by now; call it twice for two."""
    async with AsyncExitStack() as running:

        async def started() -> Process:
            return await running.enter_async_context(process_on(db, world=world, data=tmp_path))

        yield started
