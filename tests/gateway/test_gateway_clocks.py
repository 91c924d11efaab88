import asyncio
from collections.abc import Callable

import pytest

from callmatrix.gateway.clocks import Clock, RealClock, Signal, VirtualClock, join
from callmatrix.world import RealWorld


async def test_virtual_time_jumps_to_each_awaited_instant_in_order() -> None:
    clock = VirtualClock(start_ms=1_000)
    seen: list[tuple[str, int]] = []

    async def sleeper(name: str, *waits_ms: int) -> None:
        for wait_ms in waits_ms:
            await clock.wait(clock.now_ms() + wait_ms)
            seen.append((name, clock.now_ms()))

    tasks = [clock.spawn(sleeper("a", 3_600_000, 1)), clock.spawn(sleeper("b", 5, 3_599_995))]
    for task in tasks:
        await join(clock, task)
    assert seen == [("b", 1_005), ("a", 3_601_000), ("b", 3_601_000), ("a", 3_601_001)]


async def test_virtual_time_stands_still_while_a_task_does_real_work() -> None:
    clock = VirtualClock(start_ms=0)
    real_work = asyncio.Event()
    woken_at: list[int] = []

    async def works() -> int:
        await real_work.wait()
        return clock.now_ms()

    async def sleeps() -> None:
        await clock.wait(10)
        woken_at.append(clock.now_ms())

    worker, sleeper = clock.spawn(works()), clock.spawn(sleeps())
    for _ in range(20):
        await asyncio.sleep(0)
    assert woken_at == []
    real_work.set()
    assert await join(clock, worker) == 0
    await join(clock, sleeper)
    assert woken_at == [10]


async def test_a_signal_ends_a_wait_before_its_instant_and_time_does_not_jump_to_it() -> None:
    clock = VirtualClock(start_ms=0)
    signal = Signal()

    async def waits() -> int:
        await clock.wait(1_000_000, signal)
        return clock.now_ms()

    async def rings() -> None:
        await clock.wait(40)
        signal.set()
        await clock.wait(50)

    waiting, ringing = clock.spawn(waits()), clock.spawn(rings())
    assert await join(clock, waiting) == 40
    await join(clock, ringing)
    assert clock.now_ms() == 50


async def test_a_cancelled_wait_does_not_hold_virtual_time_back() -> None:
    clock = VirtualClock(start_ms=0)
    waiting = clock.spawn(clock.wait(100, Signal()))
    await asyncio.sleep(0)
    waiting.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting.task

    async def after() -> int:
        await clock.wait(500)
        return clock.now_ms()

    assert await join(clock, clock.spawn(after())) == 500


@pytest.mark.parametrize("make", [lambda: VirtualClock(start_ms=0), lambda: RealClock(RealWorld())])
async def test_the_error_of_a_task_reaches_who_joins_it(make: Callable[[], Clock]) -> None:
    clock = make()

    async def fails() -> None:
        await clock.wait(clock.now_ms() + 1)
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await join(clock, clock.spawn(fails()))


async def test_the_real_clock_is_never_early_and_heeds_signals() -> None:
    clock = RealClock(RealWorld())
    until_ms = clock.now_ms() + 15
    await clock.wait(until_ms)
    assert clock.now_ms() >= until_ms
    signal = Signal()
    waiting = clock.spawn(clock.wait(None, signal))
    await asyncio.sleep(0)
    signal.set()
    await join(clock, waiting)
