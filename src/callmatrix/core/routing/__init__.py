"""Which offer a call goes to, and why every other one did not get it."""

from callmatrix.core.routing.choice import Routable, decide
from callmatrix.core.routing.index import FALLBACK_PRIORITY, Index
from callmatrix.core.routing.values import (
    MAX_ASKED,
    MAX_PINGS,
    MAX_RANKED,
    Asked,
    Chosen,
    Decision,
    Explained,
    Given,
    Looked,
    Ranked,
    RefusalCode,
    Shut,
    Trace,
)
from callmatrix.core.routing.why import explain, verdict, why_not

__all__ = [
    "FALLBACK_PRIORITY",
    "MAX_ASKED",
    "MAX_PINGS",
    "MAX_RANKED",
    "Asked",
    "Chosen",
    "Decision",
    "Explained",
    "Given",
    "Index",
    "Looked",
    "Ranked",
    "RefusalCode",
    "Routable",
    "Shut",
    "Trace",
    "decide",
    "explain",
    "verdict",
    "why_not",
]
