"""A mask that changes at points along a line: numbers, times of day, instants."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, Final

from callmatrix.core.auction import mask_of

MAX_KEPT_MASKS: Final = 2_048
"""Masks kept ready per line; between two of them the changes are applied one by one."""


class Steps:
    """`at(x)` is the mask after every change at a point ≤ x; `before` is the one ahead of them all.

    `changes` maps a point to the positions that change there. Built once, never changed.
    """

    __slots__ = ("_changes", "_kept", "_points", "_stride")

    def __init__(self, before: int, changes: Mapping[Any, Sequence[int]]) -> None:
        self._points = sorted(changes)
        self._changes = [_odd(changes[point]) for point in self._points]
        self._stride = len(self._points) // MAX_KEPT_MASKS + 1
        self._kept = [before]
        mask = before
        for done, positions in enumerate(self._changes, start=1):
            mask ^= mask_of(positions)
            if done % self._stride == 0:
                self._kept.append(mask)

    def at(self, point: Any) -> int:
        done = bisect_right(self._points, point)
        kept, rest = divmod(done, self._stride)
        mask = self._kept[kept]
        for positions in self._changes[done - rest : done]:
            mask ^= mask_of(positions)
        return mask


def _odd(positions: Sequence[int]) -> tuple[int, ...]:
    """The positions that change an odd number of times."""
    seen: set[int] = set()
    for position in positions:
        seen ^= {position}
    return tuple(seen)
