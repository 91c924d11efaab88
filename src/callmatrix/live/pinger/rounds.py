"""One auction's pings in flight: which are answered, and what becomes of the rest when their time is up."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from callmatrix.live.pinger.values import Answered, Asking, Code
from callmatrix.world import monotonic_s


class Carrying(Protocol):
    """Who carries a ping: a connection."""

    def leave(self, *, now_s: float, failed: bool) -> str:
        """Nobody waits for this answer any more, because it took too long where it `failed`; how far it had
        come, for people."""


class Round:
    """The pings of one auction: one answer each, one future for all of them. Who carries a ping puts itself
    into its place of `carriers`."""

    __slots__ = ("_future", "_left", "_limits_ms", "answers", "askings", "carriers", "started_s")

    def __init__(self, askings: Sequence[Asking], *, deadline_ms: int) -> None:
        self.askings = askings
        self.started_s = monotonic_s()
        self.answers: list[Answered | None] = [None] * len(askings)
        self.carriers: list[Carrying | None] = [None] * len(askings)
        self._limits_ms = [min(asking.timeout_ms, deadline_ms) for asking in askings]
        self._left = len(askings)
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answer(self, place: int, answered: Answered) -> None:
        """The one answer of a ping."""
        self.answers[place] = answered
        self.carriers[place] = None
        self._left -= 1
        if not self._left and not self._future.done():
            self._future.set_result(None)

    def refuse(self, place: int, code: Code, detail: str = "") -> None:
        """A ping that is not sent, or finds no connection."""
        total_us = int((monotonic_s() - self.started_s) * 1e6)
        self.answer(place, Answered(key=self.askings[place].key, code=code, detail=detail, total_us=total_us))

    async def wait(self) -> tuple[Answered, ...]:
        """All answers, in the order asked."""
        if self._left:
            loop = asyncio.get_running_loop()
            # One timer for each distinct time limit, mostly one or two, and none for a ping.
            gone_s = monotonic_s() - self.started_s
            timers = [
                loop.call_later(limit / 1_000 - gone_s, self._expire, limit) for limit in set(self._limits_ms)
            ]
            try:
                await self._future
            finally:
                for timer in timers:
                    timer.cancel()
                self._abandon()
        return tuple(answered for answered in self.answers if answered is not None)

    def _expire(self, limit_ms: int) -> None:
        now_s = monotonic_s()
        total_us = int((now_s - self.started_s) * 1e6)
        for place, answered in enumerate(self.answers):
            if answered is None and self._limits_ms[place] <= limit_ms:
                carrier = self.carriers[place]
                detail = carrier.leave(now_s=now_s, failed=True) if carrier is not None else ""
                key = self.askings[place].key
                self.answer(place, Answered(key=key, code="timed_out", detail=detail, total_us=total_us))

    def _abandon(self) -> None:
        """Whoever asked has gone: what still comes belongs to nobody."""
        for carrier in self.carriers:
            if carrier is not None:
                carrier.leave(now_s=monotonic_s(), failed=False)
