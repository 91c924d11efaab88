"""What a process has in hand: its parts, built once in main.py and handed down."""

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any, Final

import msgspec

from callmatrix.core.call.value import Call
from callmatrix.core.ids import AccountId, CallId, ConnectionId
from callmatrix.live.admission import Admission
from callmatrix.live.catalog import Catalog
from callmatrix.live.evidence import Evidence
from callmatrix.live.feed import Feed
from callmatrix.live.masks import Masks
from callmatrix.live.outbound import Outbound
from callmatrix.live.performance import Performances
from callmatrix.live.pinger import Pinger
from callmatrix.live.reservations import Reservations
from callmatrix.settings import Settings
from callmatrix.store.calls import History
from callmatrix.store.db import Database
from callmatrix.world import World

MAX_RECENT_CALLS: Final = 10_000
# Longer ones are read again each time: hardly a caller has one.
MAX_KEPT_HISTORY: Final = 20
MAX_BACKGROUND: Final = 20_000


class RecentCalls:
    """Calls as this process saved them last, and the history of their callers as it read it. Never trusted:
    the save compares the versions of both."""

    __slots__ = ("_calls", "_histories", "_named")

    def __init__(self) -> None:
        self._calls: OrderedDict[tuple[AccountId, CallId], Call] = OrderedDict()
        self._histories: dict[tuple[AccountId, CallId], History] = {}
        self._named: dict[tuple[ConnectionId, str], CallId] = {}

    def get(self, account_id: AccountId, call_id: CallId) -> Call | None:
        """The call, if this process had it lately."""
        return self._calls.get((account_id, call_id))

    def find(self, connection_id: ConnectionId, carrier_ref: str) -> CallId | None:
        """The call that a carrier names, if this process had it lately."""
        return self._named.get((connection_id, carrier_ref))

    def put(self, call: Call, *, history: History | None = None) -> None:
        """Remember a call and, if it was just read, its caller's history; forget the oldest past
        `MAX_RECENT_CALLS`, and closed ones."""
        if call.cost_booked:
            self.drop(call.account_id, call.id)
            return
        key = (call.account_id, call.id)
        self._calls[key] = call
        self._calls.move_to_end(key)
        if history is not None and len(history.calls) <= MAX_KEPT_HISTORY:
            self._histories[key] = history
        if call.connection_id is not None:
            self._named[call.connection_id, call.carrier_ref] = call.id
        if len(self._calls) > MAX_RECENT_CALLS:
            self.drop(*next(iter(self._calls)))

    def drop(self, account_id: AccountId, call_id: CallId) -> None:
        """Forget a call: somebody else changed it, or it is over."""
        call = self._calls.pop((account_id, call_id), None)
        self._histories.pop((account_id, call_id), None)
        if call is not None and call.connection_id is not None:
            self._named.pop((call.connection_id, call.carrier_ref), None)

    def history(self, account_id: AccountId, call_id: CallId) -> History | None:
        """The history of a call's caller, if this process read it for that call."""
        return self._histories.get((account_id, call_id))

    def forget_history(self, account_id: AccountId, call_id: CallId) -> None:
        """There is a newer history than the one that was read: the call has settled."""
        self._histories.pop((account_id, call_id), None)


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
    pinger: Pinger
    performances: Performances
    evidence: Evidence
    feed: Feed
    recent: RecentCalls
    background: Background
    admission: Admission
