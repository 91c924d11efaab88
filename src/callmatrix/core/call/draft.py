"""One step under construction: the call as it will be, what it orders, and the notes of its trace."""

from datetime import datetime
from typing import Any

import msgspec

from callmatrix.core.call.commands import CarrierOrder, Command
from callmatrix.core.call.value import Attempt, Call
from callmatrix.core.flow import Visit
from callmatrix.core.ids import AttemptId
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.routing import Trace


class Note(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing decided in a step: a code of docs/life-of-a-call.md and the compared values."""

    code: str
    values: dict[str, str] = {}


class StepTrace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a step did what it did; stored with its event."""

    notes: tuple[Note, ...] = ()
    visits: tuple[Visit, ...] = ()
    decision: Trace | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one event. `commands` are in the order in which they are meant."""

    call: Call
    commands: tuple[Command, ...]
    trace: StepTrace


class Draft:
    """Mutable while one step is computed; nothing outside the step ever sees it."""

    __slots__ = ("at", "call", "caller_gone", "commands", "decision", "notes", "plan", "visits")

    def __init__(self, call: Call, plan: CompiledPlan, at: datetime) -> None:
        self.call = call
        self.plan = plan
        self.at = at
        self.caller_gone = False
        self.commands: list[Command] = []
        self.notes: list[Note] = []
        self.visits: tuple[Visit, ...] = ()
        self.decision: Trace | None = None

    def set(self, **changes: Any) -> None:
        """Change fields of the call."""
        self.call = msgspec.structs.replace(self.call, **changes)

    def order(self, *commands: Command) -> None:
        """Order books, capacity or a question."""
        self.commands.extend(commands)

    def reply(self, *orders: CarrierOrder) -> None:
        """Order the carrier, after what earlier steps of the same reply wanted said."""
        self.commands.extend((*self.call.spoken, *orders))
        self.set(spoken=(), answered=True)

    def note(self, code: str, **values: object) -> None:
        """Say in the trace what was decided and by which values."""
        self.notes.append(Note(code=code, values={name: str(value) for name, value in values.items()}))

    def attempt(self, attempt_id: AttemptId) -> Attempt | None:
        """The attempt of that id, if the call has it."""
        return next((a for a in self.call.attempts if a.id == attempt_id), None)

    def change(self, attempt: Attempt, **changes: Any) -> Attempt:
        """Change fields of one attempt; returns it as it is now."""
        changed = msgspec.structs.replace(attempt, **changes)
        self.set(attempts=tuple(changed if a.id == attempt.id else a for a in self.call.attempts))
        return changed

    def step(self) -> Step:
        """The finished step."""
        call = msgspec.structs.replace(self.call, version=self.call.version + 1)
        trace = StepTrace(notes=tuple(self.notes), visits=self.visits, decision=self.decision)
        return Step(call=call, commands=tuple(self.commands), trace=trace)
