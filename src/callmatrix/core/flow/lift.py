"""Brings stored flows of older versions to the one that the code reads."""

from collections.abc import Callable
from typing import Any, Final

from callmatrix.core.errors import Refused
from callmatrix.core.flow.nodes import FLOW_VERSION

Lift = Callable[[dict[str, Any]], dict[str, Any]]

# The n-th makes version n + 1 out of version n. Version 1 is the first.
LIFTS: Final[tuple[Lift, ...]] = ()


def lift(raw: dict[str, Any], *, lifts: tuple[Lift, ...] = LIFTS) -> dict[str, Any]:
    """A stored flow, as plain values, in the newest version; one without a version is of the first.

    `Refused("invalid")` for a version that this release does not know.
    """
    version = raw.get("version", 1)
    newest = len(lifts) + 1
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= newest:
        raise Refused(
            "invalid",
            f"This flow has version {version!r}; this release reads versions 1 to {newest}. "
            "A newer release wrote it: upgrade to read it.",
        )
    lifted = raw
    for step in lifts[version - 1 :]:
        lifted = step(lifted)
    return {**lifted, "version": newest}


assert len(LIFTS) + 1 == FLOW_VERSION
