"""The call: a machine, total over (state, event), that orders everything and does nothing itself."""

from callmatrix.core.call.draft import Note, Step, StepTrace
from callmatrix.core.call.machine import step
from callmatrix.core.call.value import Amounts, Attempt, Call

__all__ = ["Amounts", "Attempt", "Call", "Note", "Step", "StepTrace", "step"]
