"""Whether a caller must hear the recording prompt before a bridge (rule 30)."""

from typing import Final

from callmatrix.core.campaign import Destination, PhoneDestination, Recording
from callmatrix.core.geo import from_number

# States whose law asks for the consent of all parties, or is read so by careful operators.
# Kept wide on purpose: a state listed without need costs a sentence, one missing breaks a law.
ALL_PARTY_STATES: Final = frozenset(
    ("CA", "CT", "DE", "FL", "IL", "MA", "MD", "MI", "MT", "NH", "NV", "OR", "PA", "VT", "WA")
)


def must_prompt(recording: Recording, *, caller_state: str | None, destination: Destination) -> bool:
    """True unless both parties' states are known and one-party, and the campaign skips there."""
    if not recording.skip_in_one_party_states:
        return True
    buyer_state = from_number(destination.number).state if isinstance(destination, PhoneDestination) else None
    states = (caller_state, buyer_state)
    return any(state is None or state in ALL_PARTY_STATES for state in states)
