"""Decides whether a process can take another caller on, by how long it would take to answer them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from callmatrix.world import DRAW_BITS, World, monotonic_s

MIN_IN_HAND: Final = 24
"""With so few webhooks in hand nobody is turned away: who has so little to do is slow, not overloaded."""
BEGIN_S: Final = 0.2
"""The first callers are turned away once a webhook is expected to take longer than this."""
FULL_S: Final = 0.7
"""Everybody is, once it is expected to take so long. A webhook that routes takes several times the mean."""
MEMORY_S: Final = 2.0
"""For how long, in busy time, the speed of the process is remembered."""
UNKNOWN_PER_S: Final = 100.0
"""What a process is thought to do before it has done anything."""
LAG_WEIGHT: Final = 0.2


class Strain(msgspec.Struct, frozen=True, kw_only=True):
    """How busy a process is: webhooks in hand, but for those that wait for somebody else (a bidder, a
    lookup); how many it finishes in a second while it has any in hand; and how late the event loop comes to
    what is due. `at_s` is when that was so. `in_hand` is below 0 while a sweep waits for somebody."""

    at_s: float
    in_hand: int = 0
    finished_per_s: float = UNKNOWN_PER_S
    lag_s: float = 0.0


def later(strain: Strain, at_s: float) -> Strain:
    """The same at a later instant: work in hand and none finished means that it is slow."""
    if strain.in_hand <= 0:
        return msgspec.structs.replace(strain, at_s=at_s)
    fades = math.exp(min(0.0, strain.at_s - at_s) / MEMORY_S)
    return msgspec.structs.replace(strain, at_s=at_s, finished_per_s=strain.finished_per_s * fades)


def taken(strain: Strain, at_s: float) -> Strain:
    """One more is in hand."""
    now = later(strain, at_s)
    return msgspec.structs.replace(now, in_hand=now.in_hand + 1)


def put_aside(strain: Strain, at_s: float) -> Strain:
    """One waits for somebody else, or was given up: it is not in hand, and is not finished."""
    now = later(strain, at_s)
    return msgspec.structs.replace(now, in_hand=now.in_hand - 1)


def finished(strain: Strain, at_s: float) -> Strain:
    """One is done."""
    now = later(strain, at_s)
    return msgspec.structs.replace(
        now,
        in_hand=now.in_hand - 1,
        finished_per_s=now.finished_per_s + 1.0 / MEMORY_S,
    )


def lagged(strain: Strain, lag_s: float) -> Strain:
    """The event loop has come so late to something that was due."""
    smooth_s = strain.lag_s + LAG_WEIGHT * (lag_s - strain.lag_s)
    return msgspec.structs.replace(strain, lag_s=smooth_s)


def expected_s(strain: Strain) -> float:
    """How long a webhook that comes now should take on average, waits for others apart (Little's law)."""
    if strain.in_hand <= 0:
        return strain.lag_s
    if strain.finished_per_s <= 0.0:
        return math.inf
    return strain.lag_s + strain.in_hand / strain.finished_per_s


def shed_share(strain: Strain) -> float:
    """The share of new callers to turn away, 0 to 1: never less for more work, less speed or more lag."""
    if strain.in_hand <= MIN_IN_HAND:
        return 0.0
    return min(1.0, max(0.0, (expected_s(strain) - BEGIN_S) / (FULL_S - BEGIN_S)))


class Admission:
    """What a process has in hand, and whether it takes another caller on."""

    __slots__ = ("_strain", "_world")

    def __init__(self, world: World) -> None:
        self._world = world
        self._strain = Strain(at_s=monotonic_s())

    @property
    def strain(self) -> Strain:
        """How busy the process is now."""
        return later(self._strain, monotonic_s())

    def admits(self) -> bool:
        """Whether to take a new caller on."""
        share = shed_share(self.strain)
        return share == 0.0 or self._world.draw() >= share * (1 << DRAW_BITS)

    @contextmanager
    def in_hand(self) -> Iterator[None]:
        """While a webhook is answered. What fails is no measure of speed."""
        self._strain = taken(self._strain, monotonic_s())
        try:
            yield
        except BaseException:
            self._strain = put_aside(self._strain, monotonic_s())
            raise
        self._strain = finished(self._strain, monotonic_s())

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """While a webhook in hand waits for somebody else."""
        self._strain = put_aside(self._strain, monotonic_s())
        try:
            yield
        finally:
            self._strain = taken(self._strain, monotonic_s())

    def began(self, *, due_s: float) -> None:
        """Something that was due at this instant (`monotonic_s`) begins now."""
        self._strain = lagged(self._strain, monotonic_s() - due_s)
