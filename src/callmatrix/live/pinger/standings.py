"""How one bidder stands: its failures, its counts, and how many connections it has."""

from typing import Final

from callmatrix.live.pinger.throttle import Throttle
from callmatrix.live.pinger.values import Code, Health
from callmatrix.world import monotonic_s

# What a bidder did to us; being busy, throttled or overloaded is our own doing.
_FAILURES: Final = frozenset(("timed_out", "unreachable", "too_large", "malformed", "redirected"))


class Standing:
    """One bidder's numbers. Connections and rounds count here as they go."""

    __slots__ = (
        "_unjudged",
        "asked",
        "bidder",
        "codes",
        "connections",
        "idle",
        "late",
        "opened",
        "retried",
        "throttle",
        "throttled",
        "would_throttle",
    )

    def __init__(self, bidder: str) -> None:
        self.bidder = bidder
        self.throttle = Throttle()
        self.codes: dict[str, int] = {}
        self.asked = self.throttled = self.would_throttle = 0
        self.connections = self.idle = self.opened = 0
        self.late = self.retried = 0
        self._unjudged = 0

    def heard(self, code: Code, now_s: float) -> None:
        """A ping has its answer. A whole reply counts only with the verdict of who reads it."""
        self.codes[code] = self.codes.get(code, 0) + 1
        if not code:
            self._unjudged += 1
        elif code in _FAILURES:
            self.throttle.record(good=False, now_s=now_s)

    def judged(self, *, good: bool) -> None:
        """A whole reply was usable or not; so a status 5xx counts once. More verdicts than replies, as on
        pings that failed and have counted already, change nothing."""
        if self._unjudged:
            self._unjudged -= 1
            if not (good and self.throttle.clean):
                self.throttle.record(good=good, now_s=monotonic_s())

    def health(self, now_s: float) -> Health:
        """The numbers as a value."""
        return Health(
            bidder=self.bidder,
            failing=self.throttle.failing(now_s),
            skip_share=self.throttle.skip_share(now_s),
            asked=self.asked,
            throttled=self.throttled,
            would_throttle=self.would_throttle,
            late=self.late,
            retried=self.retried,
            opened=self.opened,
            connections=self.connections,
            idle=self.idle,
            codes=dict(self.codes),
        )
