"""Whether a call is refused first of all: block list, pauses, no bid, anonymity, attestation, repeats."""

from typing import Final

from callmatrix.core.call.events import Arrived
from callmatrix.core.campaign import Screening
from callmatrix.core.rtb import NotSold

# Levels of caller-ID attestation (ATIS-1000074): A full, B partial, C gateway. A failed or missing
# verdict is below C: a minimum that a missing verdict satisfied would screen nothing.
_LEVELS: Final = {"A": 3, "B": 2, "C": 1, "failed": 0, "none": 0}


def blocked(screening: Screening, event: Arrived) -> tuple[str, dict[str, str]] | None:
    """The code and the compared values of the first reason to refuse, or None."""
    if event.blocked_by:
        return "block_list", {"entry": event.blocked_by}
    if event.publisher_paused:
        return "publisher_paused", {"publisher": str(event.publisher_id)}
    if isinstance(event.sold, NotSold):
        return event.sold.code, {"endpoint": event.sold.endpoint_id}
    if screening.block_anonymous and event.caller is None:
        return "anonymous", {}
    if _LEVELS[event.attestation] < _LEVELS[screening.min_attestation]:
        return "attestation", {"needed": screening.min_attestation, "found": event.attestation}
    if event.caller is not None and event.previous_call_at is not None and screening.repeat_within_s:
        seconds = (event.at - event.previous_call_at).total_seconds()
        if 0 <= seconds < screening.repeat_within_s:
            return "repeat", {"seconds": str(int(seconds)), "within_s": str(screening.repeat_within_s)}
    return None
