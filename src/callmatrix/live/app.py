"""What a process has in hand: its parts, built once in main.py and handed down."""

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any, Final

import msgspec

from callmatrix.core.call.value import Call
from callmatrix.core.ids import AccountId, CallId
from callmatrix.live.catalog import Catalog
from callmatrix.live.feed import Feed
from callmatrix.live.masks import Masks
from callmatrix.live.outbound import Outbound
from callmatrix.live.reservations import Reservations
from callmatrix.settings import Settings
from callmatrix.store.db import Database
from callmatrix.world import World

MAX_RECENT_CALLS: Final = 10_000
MAX_BACKGROUND: Final = 20_000


class RecentCalls:
    """Calls as this process saved them last. Never trusted: the save compares the version."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: OrderedDict[tuple[AccountId, CallId], Call] = OrderedDict()

    def get(self, account_id: AccountId, call_id: CallId) -> Call | None:
        """The call, if this process had it lately."""
        return self._calls.get((account_id, call_id))

    def put(self, call: Call) -> None:
        """Remember a call, forgetting the oldest past `MAX_RECENT_CALLS`, and closed ones."""
        key = (call.account_id, call.id)
        if call.cost_booked:
            self._calls.pop(key, None)
            return
        self._calls[key] = call
        self._calls.move_to_end(key)
        if len(self._calls) > MAX_RECENT_CALLS:
            self._calls.popitem(last=False)

    def drop(self, account_id: AccountId, call_id: CallId) -> None:
        """Forget a call that somebody else changed."""
        self._calls.pop((account_id, call_id), None)


class Background:
    """Work that nobody waits for, but that an orderly end of the process does."""

    __slots__ = ("_tasks", "failures")

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self.failures = 0

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Start it. What fails is left to the sweeps, and counted."""
        if len(self._tasks) >= MAX_BACKGROUND:
            work.close()
            self.failures += 1
            return
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.failures += 1

    async def drain(self) -> None:
        """Wait until all of it is done."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)


class App(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one process."""

    settings: Settings
    world: World
    db: Database
    catalog: Catalog
    masks: Masks
    reservations: Reservations
    outbound: Outbound
    feed: Feed
    recent: RecentCalls
    background: Background
