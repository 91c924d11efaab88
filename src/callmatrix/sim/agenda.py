"""Virtual time: what is due when, in one order for every run of the same seed."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Any

Action = Callable[..., Awaitable[None]]


class Agenda:
    """Actions by instant; of those due at the same instant the first planned comes first."""

    __slots__ = ("_due", "_planned", "now")

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._due: list[tuple[datetime, int, Action, tuple[Any, ...]]] = []
        self._planned = 0

    def after(self, ms: int, action: Action, *arguments: Any) -> None:
        """Plan an action `ms` milliseconds from now."""
        self.at(self.now + timedelta(milliseconds=ms), action, *arguments)

    def at(self, instant: datetime, action: Action, *arguments: Any) -> None:
        """Plan an action at an instant; one that is past is due now."""
        self._planned += 1
        heappush(self._due, (max(instant, self.now), self._planned, action, arguments))

    @property
    def next_at(self) -> datetime | None:
        """When the next action is due."""
        return self._due[0][0] if self._due else None

    async def step(self) -> None:
        """Go to the next instant and do what is due first."""
        self.now, _, action, arguments = heappop(self._due)
        await action(*arguments)
