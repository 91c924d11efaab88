"""One step of a form under construction: the lead as it will be, what it orders, and its notes."""

from datetime import datetime
from typing import Any

import msgspec

from callmatrix.core.call.commands import Book, Look, Ping, Post, Reserve, Settle, Simulate
from callmatrix.core.call.draft import Note, StepTrace
from callmatrix.core.ids import AttemptId
from callmatrix.core.lead.value import Attempt, FormLead
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.routing import Trace

Command = Book | Reserve | Settle | Look | Ping | Post | Simulate


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one event. `commands` are in the order in which they are meant."""

    lead: FormLead
    commands: tuple[Command, ...]
    trace: StepTrace


class Draft:
    """Mutable while one step is computed; nothing outside the step ever sees it."""

    __slots__ = ("at", "commands", "decision", "lead", "notes", "plan")

    def __init__(self, lead: FormLead, plan: CompiledPlan, at: datetime) -> None:
        self.lead = lead
        self.plan = plan
        self.at = at
        self.commands: list[Command] = []
        self.notes: list[Note] = []
        self.decision: Trace | None = None

    def set(self, **changes: Any) -> None:
        """Change fields of the lead."""
        self.lead = msgspec.structs.replace(self.lead, **changes)

    def order(self, *commands: Command) -> None:
        """Order books, capacity or a question."""
        self.commands.extend(commands)

    def ask(self, question: Look | Ping | Post | Reserve, **changes: Any) -> None:
        """Order a question and wait for its answer."""
        self.set(question=question, **changes)
        self.order(question)

    def note(self, code: str, **values: object) -> None:
        """Say in the trace what was decided and by which values."""
        self.notes.append(Note(code=code, values={name: str(value) for name, value in values.items()}))

    def attempt(self, attempt_id: AttemptId) -> Attempt | None:
        """The attempt of that id, if the lead has it."""
        return next((a for a in self.lead.attempts if a.id == attempt_id), None)

    def change(self, attempt: Attempt, **changes: Any) -> Attempt:
        """Change fields of one attempt; returns it as it is now."""
        changed = msgspec.structs.replace(attempt, **changes)
        self.set(attempts=tuple(changed if a.id == attempt.id else a for a in self.lead.attempts))
        return changed

    def step(self) -> Step:
        """The finished step."""
        lead = msgspec.structs.replace(self.lead, version=self.lead.version + 1)
        trace = StepTrace(notes=tuple(self.notes), decision=self.decision)
        return Step(lead=lead, commands=tuple(self.commands), trace=trace)
