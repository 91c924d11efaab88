"""One call told step by step: each event is stepped, checked against the laws of every step, and kept."""

from datetime import UTC, datetime, timedelta
from typing import Any

import make
from callmatrix.core.call import Call, Step, step
from callmatrix.core.call import events as ev
from callmatrix.core.call.commands import Book, Command, Connect, Reserve, Settle
from callmatrix.core.documents import decode, encode
from callmatrix.core.ids import AttemptId, NumberId
from callmatrix.core.ledger import totals_of
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.routing import Looked as World

NOON = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)


def checked(call: Call, event: ev.Event, plan: CompiledPlan) -> Step:
    """One step, with what holds of every step: the version grows by one, and the call can be stored."""
    taken = step(call, event, plan)
    assert taken.call.version == call.version + 1
    assert decode(encode(taken.call), Call) == taken.call
    assert decode(encode(event), ev.Event) == event  # type: ignore[arg-type]
    return taken


class Scene:
    """A call, the clock, and all that it ordered. Every method is one event."""

    def __init__(self, plan: CompiledPlan | None = None) -> None:
        self.plan = make.plan() if plan is None else plan
        self.call = make.call()
        self.now = NOON
        self.events: list[ev.Event] = []
        self.commands: list[Command] = []
        self.last: tuple[Command, ...] = ()
        self.notes: list[str] = []

    def send(self, event: ev.Event) -> tuple[Command, ...]:
        taken = checked(self.call, event, self.plan)
        self.call = taken.call
        self.events.append(event)
        self.commands += taken.commands
        self.last = taken.commands
        self.notes += [note.code for note in taken.trace.notes]
        return taken.commands

    def later(self, seconds: float) -> "Scene":
        self.now += timedelta(seconds=seconds)
        return self

    def arrives(self, **changes: Any) -> tuple[Command, ...]:
        given = {
            "at": self.now,
            "draw": 5,
            "caller": "+14155550199",
            "dialed": "+18005550100",
            "number_id": NumberId("num_1"),
            "connection_id": make.CONNECTION,
            "carrier_ref": "CA1",
            "publisher_id": make.PUBLISHER,
            "attestation": "A",
        }
        return self.send(ev.Arrived(**{**given, **changes}))

    def looks(self, **world: Any) -> tuple[Command, ...]:
        return self.send(ev.Looked(at=self.now, draw=7, world=World(**world)))

    def granted(self, **changes: Any) -> tuple[Command, ...]:
        return self.send(ev.Reserved(at=self.now, attempt_id=self.attempt, **changes))

    def dials(self, **world: Any) -> Connect:
        """Look, choose, reserve, and the order to connect."""
        self.looks(**world)
        return only(self.granted(), Connect)

    def answers(self, after_s: float = 5) -> tuple[Command, ...]:
        self.later(after_s)
        return self.send(ev.LegAnswered(at=self.now, attempt_id=self.attempt))

    def presses_to_accept(self, digits: str) -> tuple[Command, ...]:
        return self.send(ev.AcceptanceEntered(at=self.now, attempt_id=self.attempt, digits=digits))

    def leg_ends(self, outcome: ev.Outcome, **changes: Any) -> tuple[Command, ...]:
        return self.send(
            ev.LegEnded(**{"at": self.now, "attempt_id": self.attempt, "outcome": outcome, **changes})
        )

    def talks(self, seconds: int, *, ended_by: ev.EndedBy = "buyer", **changes: Any) -> tuple[Command, ...]:
        """A leg that was bridged so long."""
        self.later(seconds)
        ms = seconds * 1_000
        given = {"leg_ms": ms, "bridged_ms": ms, "ended_by": ended_by, **changes}
        return self.leg_ends("answered", **given)

    def ends(self, **changes: Any) -> tuple[Command, ...]:
        given = {"at": self.now, "reason": "hung_up", "duration_ms": self.call_ms}
        return self.send(ev.CallEnded(**{**given, **changes}))

    @property
    def attempt(self) -> AttemptId:
        return self.call.attempts[-1].id

    @property
    def call_ms(self) -> int:
        return int((self.now - NOON).total_seconds() * 1_000)

    @property
    def offers(self) -> list[str | None]:
        return [attempt.offer_id for attempt in self.call.attempts]

    @property
    def booked(self) -> dict[str, str]:
        """What the ledger has for the call, amounts that are not zero."""
        totals = totals_of([each.transaction for each in self.commands if isinstance(each, Book)])
        named = {name: getattr(totals, name) for name in totals.__struct_fields__}
        return {name: str(amount) for name, amount in named.items() if amount}

    @property
    def settled(self) -> list[str]:
        return [each.settlement.attempt_id for each in self.commands if isinstance(each, Settle)]

    def replayed(self) -> tuple[Call, list[Command]]:
        """The stored events, folded from a fresh call."""
        call, commands = make.call(), []
        for event in self.events:
            taken = step(call, decode(encode(event), ev.Event), self.plan)  # type: ignore[arg-type]
            call = taken.call
            commands += taken.commands
        return call, commands


def only(commands: tuple[Command, ...], kind: type[Any]) -> Any:
    """The one command of a kind."""
    found = [command for command in commands if isinstance(command, kind)]
    assert len(found) == 1, commands
    return found[0]


def kinds(commands: tuple[Command, ...]) -> list[str]:
    return [type(command).__name__ for command in commands]


def claimed(commands: tuple[Command, ...]) -> str | None:
    return only(commands, Reserve).claim.offer_id  # type: ignore[no-any-return]
