"""The gateway's two clocks: the real one, and a virtual one that jumps when every task waits."""

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

from callmatrix.world import World

T = TypeVar("T")


class Signal:
    """Something that happens once, and wakes who waits for it."""

    def __init__(self) -> None:
        self.is_set = False
        self._wakers: list[Callable[[], None]] = []

    def set(self) -> None:
        self.is_set = True
        wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def add(self, wake: Callable[[], None]) -> None:
        self._wakers.append(wake)

    def discard(self, wake: Callable[[], None]) -> None:
        if wake in self._wakers:
            self._wakers.remove(wake)


class Spawned(Generic[T]):
    """A task under a clock, with the signal of its end."""

    def __init__(self, task: "asyncio.Task[T]") -> None:
        self.task = task
        self.finished = Signal()


class Clock(Protocol):
    """Time in whole milliseconds since the epoch, and the only way to let it pass."""

    def now_ms(self) -> int: ...

    def spawn(self, work: Coroutine[Any, Any, T]) -> Spawned[T]:
        """Start a task that lives under this clock; everything that waits for the clock should be one."""

    async def wait(self, until_ms: int | None, *signals: Signal) -> None:
        """Return at the instant, or when a signal is set, whichever is first; at once if that is now."""


async def join(clock: Clock, spawned: Spawned[T]) -> T:
    """The result of a task under `clock`, or its exception."""
    await clock.wait(None, spawned.finished)
    return await spawned.task


class RealClock:
    """The world's clock, waited for on the event loop."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now_ms(self) -> int:
        return int(self._world.now().timestamp() * 1000)

    def spawn(self, work: Coroutine[Any, Any, T]) -> Spawned[T]:
        spawned = Spawned(asyncio.get_running_loop().create_task(work))
        spawned.task.add_done_callback(lambda _task: spawned.finished.set())
        return spawned

    async def wait(self, until_ms: int | None, *signals: Signal) -> None:
        left_ms = None if until_ms is None else until_ms - self.now_ms()
        if any(signal.is_set for signal in signals) or (left_ms is not None and left_ms <= 0):
            return
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        timer = None if left_ms is None else loop.call_later(left_ms / 1000, wake)
        for signal in signals:
            signal.add(wake)
        try:
            await woken
        finally:
            if timer is not None:
                timer.cancel()
            for signal in signals:
                signal.discard(wake)


class VirtualClock:
    """Discrete events: time stands still while any of its tasks runs, then jumps to the next instant awaited.

    A task that does real I/O counts as running, so a webhook takes no virtual time and no two instants ever
    overlap. Waiting from a task that this clock did not spawn is allowed and does not hold time back.
    """

    def __init__(self, *, start_ms: int) -> None:
        self._now_ms = start_ms
        self._running = 0
        self._serial = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: list[tuple[int, int, Callable[[], bool]]] = []
        self._settling = False

    def now_ms(self) -> int:
        return self._now_ms

    def spawn(self, work: Coroutine[Any, Any, T]) -> Spawned[T]:
        spawned = Spawned(asyncio.get_running_loop().create_task(work))
        self._tasks.add(spawned.task)
        self._running += 1

        def ended(task: "asyncio.Task[T]") -> None:
            self._tasks.discard(task)
            spawned.finished.set()  # counts its waiters as running before this task stops counting
            self._leave()

        spawned.task.add_done_callback(ended)
        return spawned

    async def wait(self, until_ms: int | None, *signals: Signal) -> None:
        if any(signal.is_set for signal in signals) or (until_ms is not None and until_ms <= self._now_ms):
            return
        counted = asyncio.current_task() in self._tasks
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        resumed = False

        def wake() -> bool:
            nonlocal resumed
            if resumed or woken.done():
                return False
            resumed = True
            self._running += counted
            woken.set_result(None)
            return True

        def ring() -> None:
            wake()

        if until_ms is not None:
            self._serial += 1
            heapq.heappush(self._timers, (until_ms, self._serial, wake))
        for signal in signals:
            signal.add(ring)
        if counted:
            self._leave()
        else:
            self._settle()
        try:
            await woken
        finally:
            if not resumed:  # cancelled while waiting
                resumed = True
                self._running += counted
            for signal in signals:
                signal.discard(ring)

    def _leave(self) -> None:
        self._running -= 1
        self._settle()

    def _settle(self) -> None:
        if self._running == 0 and not self._settling and self._timers:
            self._settling = True
            asyncio.get_running_loop().call_soon(self._advance)

    def _advance(self) -> None:
        """Jump to the earliest live instant and wake all who wait for it."""
        self._settling = False
        if self._running:
            return
        woke_at_ms: int | None = None
        while self._timers and (woke_at_ms is None or self._timers[0][0] <= woke_at_ms):
            at_ms, _, wake = self._timers[0]
            before_ms, self._now_ms = self._now_ms, max(self._now_ms, at_ms)
            heapq.heappop(self._timers)
            if wake():
                woke_at_ms = at_ms
            else:
                self._now_ms = before_ms
        self._settle()
