"""Decides how often a bidder that keeps failing is still asked."""

import math
from typing import Final

WEIGHT: Final = 0.02
"""What one ping weighs: about the latest fifty count."""
FORGIVEN: Final = 0.2
"""Below this share of failures every ping is sent."""
MAX_SKIPPED: Final = 0.9
"""One ping in ten always goes out: only by it can a bidder show that it works again."""
HALF_LIFE_S: Final = 120.0
"""Old failures fade, so that a bidder with little traffic is not kept out for a day."""


class Throttle:
    """One bidder's moving average of failures, from 0.0 to 1.0."""

    __slots__ = ("_at_s", "_failing")

    def __init__(self) -> None:
        self._failing = 0.0
        self._at_s = 0.0

    def record(self, *, good: bool, now_s: float) -> None:
        """One more ping went well or not."""
        failing = self.failing(now_s) if self._failing else 0.0
        self._failing = failing + WEIGHT * ((0.0 if good else 1.0) - failing)
        self._at_s = now_s

    @property
    def strained(self) -> bool:
        """Whether there may be anything to skip; cheap, for every ping."""
        return self._failing >= FORGIVEN

    @property
    def clean(self) -> bool:
        """Whether nothing has failed yet: then a success changes nothing."""
        return not self._failing

    def failing(self, now_s: float) -> float:
        """The share of failures, faded by the time since the last one was recorded."""
        return self._failing * math.exp2(-max(0.0, now_s - self._at_s) / HALF_LIFE_S)

    def skip_share(self, now_s: float) -> float:
        """The chance that a ping is not sent: none below `FORGIVEN`, from there up to `MAX_SKIPPED`."""
        if self._failing < FORGIVEN:
            return 0.0
        over = (self.failing(now_s) - FORGIVEN) / (1.0 - FORGIVEN)
        return min(MAX_SKIPPED, max(0.0, over * MAX_SKIPPED))
