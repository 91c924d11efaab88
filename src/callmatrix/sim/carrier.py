"""A carrier on virtual time: executes our orders for scripted callers and buyers, and knows the truth."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from callmatrix.core.call import events
from callmatrix.core.call.commands import (
    AskAcceptance,
    Bridge,
    CarrierOrder,
    Connect,
    GatherDigits,
    HangUp,
    Record,
    Reject,
)
from callmatrix.core.call.events import EndedBy, LegEnded, Outcome
from callmatrix.core.flow import Play, Say
from callmatrix.core.ids import CallId, CampaignId
from callmatrix.gateway import callers as script
from callmatrix.sim.agenda import Agenda
from callmatrix.sim.callers import Visit, address, behaviour
from callmatrix.world import DRAW_BITS, Dice

SAY_MS_PER_CHARACTER: Final = 60
PLAY_MS: Final = 4_000
KEYS_MS: Final = 1_500
RENEWED_PATIENCE_MS: Final = 15_000
MAX_REPORT_DELAY_MS: Final = 2_500
RECORDING_MS: Final = 5_000
PER_MILLE: Final = 1_000
ANSWERED_AFTER_CALLER_PER_MILLE: Final = 750
RINGS_TOLD_PER_MILLE: Final = 300
WHOLE_SECONDS_PER_MILLE: Final = 100
UNKNOWN_DURATION_PER_MILLE: Final = 15

Orders = tuple[CarrierOrder, ...]
EventOf = Callable[[datetime, int], events.Event]
Then = Callable[[Orders], Awaitable[None]]


class Leg:
    """One dialled leg, as the carrier knows it."""

    __slots__ = ("answered_at", "bridged_at", "connect", "does", "end", "key", "started_at")

    def __init__(self, connect: Connect, does: script.Behaviour, started_at: datetime) -> None:
        self.connect = connect
        self.does = does
        self.key = connect.attempt_id.rpartition("-")[2]
        self.started_at = started_at
        self.answered_at: datetime | None = None
        self.bridged_at: datetime | None = None
        self.end: LegEnded | None = None


class Line:
    """One call, as the carrier knows it, and what became known of its webhooks."""

    __slots__ = (
        "arrived_at",
        "call_id",
        "campaign_id",
        "gathers",
        "gives_up_at",
        "in_flight",
        "leg",
        "legs",
        "over_at",
        "plan_version",
        "ref",
        "replies",
        "saved",
        "turn",
        "visit",
    )

    def __init__(self, visit: Visit, *, ref: str, call_id: CallId, campaign_id: CampaignId) -> None:
        self.visit = visit
        self.ref = ref
        self.call_id = call_id
        self.campaign_id = campaign_id
        self.plan_version = 0
        self.arrived_at = visit.at
        self.gives_up_at = visit.at + timedelta(milliseconds=visit.patience_ms)
        self.over_at: datetime | None = None
        self.gathers = 0
        self.turn = 0
        self.leg: Leg | None = None
        self.legs: list[Leg] = []
        self.saved = False
        self.replies: dict[str, Orders | None] = {}
        self.in_flight: set[str] = set()


Deliver = Callable[[Line, str, EventOf, Then | None], Awaitable[None]]


class Carrier:
    """Executes replies. `deliver` takes every webhook, with what to do with the reply where one is due."""

    def __init__(self, agenda: Agenda, rolls: Dice, deliver: Deliver) -> None:
        self._agenda = agenda
        self._rolls = rolls
        self._deliver = deliver

    def waits(self, line: Line) -> None:
        """The caller begins to lose patience."""
        self._agenda.at(line.gives_up_at, self._gives_up, line)

    async def _gives_up(self, line: Line) -> None:
        talks = line.leg is not None and line.leg.bridged_at is not None
        if line.over_at is None and not talks and self._agenda.now >= line.gives_up_at:
            await self.over(line, ended_by="caller")

    async def failed(self, line: Line) -> None:
        """A reply did not come: the carrier ends the call."""
        await self.over(line, ended_by="platform")

    async def execute(self, line: Line, orders: Orders) -> None:
        """Do what a reply says, as long as the caller is there; a reply of nothing ends the call."""
        if line.over_at is not None:
            return
        line.turn += 1
        spoken_ms = 0
        for order in orders:
            match order:
                case Say(text=text):
                    spoken_ms += len(text) * SAY_MS_PER_CHARACTER
                case Play():
                    spoken_ms += PLAY_MS
                case GatherDigits():
                    self._gather(line, order, spoken_ms)
                    return
                case Connect():
                    self._agenda.after(spoken_ms, self._dial, line, line.turn, order)
                    return
                case Record(max_s=max_s):
                    message_ms = min(line.visit.voicemail_ms, max_s * 1_000)
                    self._agenda.after(spoken_ms + message_ms, self._recorded, line, line.turn, message_ms)
                    return
                case Reject() | HangUp():
                    break
                case _:
                    break
        self._agenda.after(spoken_ms, self._hangs_up, line, line.turn)

    async def _hangs_up(self, line: Line, turn: int) -> None:
        if line.turn == turn:
            await self.over(line, ended_by="platform")

    # --- keys and messages -----------------------------------------------------------------------------

    def _gather(self, line: Line, order: GatherDigits, spoken_ms: int) -> None:
        keys = line.visit.keys[line.gathers] if line.gathers < len(line.visit.keys) else ""
        line.gathers += 1
        for prompt in order.gather.prompts:
            spoken_ms += len(prompt.text) * SAY_MS_PER_CHARACTER if isinstance(prompt, Say) else PLAY_MS
        wait_ms = KEYS_MS if keys else order.gather.timeout_s * 1_000
        self._agenda.after(
            spoken_ms + wait_ms, self._keyed, line, line.turn, order.turn, keys[: order.gather.max_digits]
        )

    async def _keyed(self, line: Line, turn: int, gather: int, keys: str) -> None:
        if line.over_at is not None or line.turn != turn:
            return

        def event_of(at: datetime, draw: int) -> events.Event:
            if keys:
                return events.DigitsEntered(at=at, draw=draw, turn=gather, digits=keys)
            return events.GatherTimedOut(at=at, draw=draw, turn=gather)

        await self._deliver(line, f"gather/{gather}", event_of, self._then(line))

    async def _recorded(self, line: Line, turn: int, message_ms: int) -> None:
        if line.over_at is not None or line.turn != turn:
            return
        url = f"https://recordings.example.com/{line.ref}"
        self._agenda.after(
            RECORDING_MS,
            self._deliver,
            line,
            "voicemail/0",
            lambda at, _: events.RecordingReady(at=at, url=url, duration_s=message_ms // 1_000),
            None,
        )
        await self._deliver(
            line,
            "record/0",
            lambda at, _: events.VoicemailEnded(at=at, duration_s=message_ms // 1_000),
            self._then(line),
        )

    def _then(self, line: Line) -> Then:
        async def then(orders: Orders) -> None:
            await self.execute(line, orders)

        return then

    # --- the buyer's leg -------------------------------------------------------------------------------

    async def _dial(self, line: Line, turn: int, connect: Connect) -> None:
        if line.over_at is not None or line.turn != turn:
            return
        does = behaviour(address(connect.destination), self._rolls.getrandbits(DRAW_BITS))
        leg = line.leg = Leg(connect, does, self._agenda.now)
        line.legs.append(leg)
        ring_ms = connect.ring_timeout_s * 1_000
        match does:
            case script.Answers(after_ms=after_ms) if after_ms < ring_ms:
                self._agenda.after(after_ms, self._answered, line, leg)
                if self._rolls.randrange(PER_MILLE) < RINGS_TOLD_PER_MILLE:
                    self._agenda.after(after_ms // 2, self._rings, line, leg)
            case script.Answers() | script.RingsOnly():
                self._agenda.after(ring_ms, self._leg_over, line, leg, "no_answer", "unknown")
            case script.Busy(after_ms=after_ms):
                self._agenda.after(after_ms, self._leg_over, line, leg, "busy", "unknown")
            case script.Fails(after_ms=after_ms):
                self._agenda.after(after_ms, self._leg_over, line, leg, "failed", "unknown")

    async def _rings(self, line: Line, leg: Leg) -> None:
        if leg.end is None:
            attempt_id = leg.connect.attempt_id
            await self._deliver(
                line,
                f"leg/{leg.key}/ringing",
                lambda at, _: events.LegRinging(at=at, attempt_id=attempt_id),
                None,
            )

    async def _answered(self, line: Line, leg: Leg) -> None:
        if leg.end is not None:
            return
        leg.answered_at = self._agenda.now
        if not leg.connect.whisper:
            self._bridge(line, leg)
            return
        attempt_id = leg.connect.attempt_id
        leaves_ms = leg.does.leaves_whisper_ms if isinstance(leg.does, script.Answers) else None
        if leaves_ms is not None:
            self._agenda.after(leaves_ms, self._leaves_whisper, line, leg)

        async def then(orders: Orders) -> None:
            await self._whisper(line, leg, orders)

        await self._deliver(
            line,
            f"whisper/{leg.key}",
            lambda at, _: events.LegAnswered(at=at, attempt_id=attempt_id),
            then,
        )

    async def _leaves_whisper(self, line: Line, leg: Leg) -> None:
        if leg.bridged_at is None:
            await self._leg_over(line, leg, "answered", "buyer")

    async def _whisper(self, line: Line, leg: Leg, orders: Orders) -> None:
        """What the buyer hears and is asked before the bridge."""
        if leg.end is not None:
            return
        spoken_ms = 0
        for order in orders:
            match order:
                case Say(text=text):
                    spoken_ms += len(text) * SAY_MS_PER_CHARACTER
                case AskAcceptance(prompt=prompt, timeout_s=timeout_s):
                    spoken_ms += len(prompt) * SAY_MS_PER_CHARACTER
                    keys = _accepting(leg.does)
                    wait_ms = KEYS_MS if keys else timeout_s * 1_000
                    self._agenda.after(spoken_ms + wait_ms, self._asked, line, leg, keys)
                    return
                case Bridge():
                    self._agenda.after(spoken_ms, self._bridged, line, leg)
                    return
                case _:
                    break
        await self._leg_over(line, leg, "answered", "platform")

    async def _asked(self, line: Line, leg: Leg, keys: str) -> None:
        if leg.end is not None:
            return
        attempt_id = leg.connect.attempt_id

        async def then(orders: Orders) -> None:
            await self._whisper(line, leg, orders)

        await self._deliver(
            line,
            f"accept/{leg.key}",
            lambda at, _: events.AcceptanceEntered(at=at, attempt_id=attempt_id, digits=keys),
            then,
        )

    async def _bridged(self, line: Line, leg: Leg) -> None:
        if leg.end is None:
            self._bridge(line, leg)

    def _bridge(self, line: Line, leg: Leg) -> None:
        """Both talk until the first of them, or the time limit, ends it."""
        now = self._agenda.now
        leg.bridged_at = now
        talk_ms = leg.does.talk_ms if isinstance(leg.does, script.Answers) else None
        limit_at = (leg.answered_at or now) + timedelta(seconds=leg.connect.time_limit_s)
        buyer_at = now + timedelta(milliseconds=talk_ms or 0) if talk_ms is not None else limit_at
        caller_at = now + timedelta(milliseconds=line.visit.talk_ms)
        if caller_at < buyer_at and caller_at < limit_at:
            self._agenda.at(caller_at, self._caller_leaves, line, leg)
        elif buyer_at < limit_at:
            self._agenda.at(buyer_at, self._leg_over, line, leg, "answered", "buyer")
        else:
            self._agenda.at(limit_at, self._leg_over, line, leg, "answered", "platform")

    async def _caller_leaves(self, line: Line, leg: Leg) -> None:
        if leg.end is None:
            await self.over(line, ended_by="caller")

    async def _leg_over(self, line: Line, leg: Leg, outcome: Outcome, ended_by: EndedBy) -> None:
        if leg.end is None:
            await self._end_leg(line, leg, outcome, ended_by=ended_by, caller_gone=False)

    async def _end_leg(
        self, line: Line, leg: Leg, outcome: Outcome, *, ended_by: EndedBy, caller_gone: bool
    ) -> None:
        end = leg.end = self._books(leg, outcome, ended_by=ended_by)
        line.leg = None
        self._report(line, leg, end)

        def event_of(at: datetime, _draw: int) -> events.Event:
            return msgspec.structs.replace(end, at=at, caller_gone=caller_gone)

        if not caller_gone:
            renewed_at = self._agenda.now + timedelta(milliseconds=RENEWED_PATIENCE_MS)
            line.gives_up_at = max(line.gives_up_at, renewed_at)
            self.waits(line)
            await self._deliver(line, f"dial/{leg.key}", event_of, self._then(line))
        elif self._rolls.randrange(PER_MILLE) < ANSWERED_AFTER_CALLER_PER_MILLE:
            delay_ms = self._rolls.randrange(MAX_REPORT_DELAY_MS)
            self._agenda.after(delay_ms, self._deliver, line, f"dial/{leg.key}", event_of, None)

    def _report(self, line: Line, leg: Leg, end: LegEnded) -> None:
        """The leg's own status, and the recording."""
        self._agenda.after(
            self._rolls.randrange(MAX_REPORT_DELAY_MS),
            self._deliver,
            line,
            f"leg/{leg.key}",
            lambda at, _: events.LegReported(at=at, leg=msgspec.structs.replace(end, at=at)),
            None,
        )
        if leg.connect.record and leg.bridged_at is not None:
            url = f"https://recordings.example.com/{line.ref}/{leg.key}"
            self._agenda.after(
                RECORDING_MS,
                self._deliver,
                line,
                f"recording/{leg.key}",
                lambda at, _: events.RecordingReady(
                    at=at, url=url, duration_s=(end.bridged_ms or 0) // 1_000, attempt_id=end.attempt_id
                ),
                None,
            )

    def _books(self, leg: Leg, outcome: Outcome, *, ended_by: EndedBy) -> LegEnded:
        now = self._agenda.now
        answered_at = leg.answered_at
        end = LegEnded(
            at=now,
            attempt_id=leg.connect.attempt_id,
            outcome=outcome,
            ring_ms=_ms(leg.started_at, answered_at or now),
            ended_by=ended_by,
        )
        if answered_at is None:
            return end
        leg_ms = _ms(answered_at, now)
        if self._rolls.randrange(PER_MILLE) < WHOLE_SECONDS_PER_MILLE and leg.bridged_at is not None:
            return msgspec.structs.replace(end, leg_ms=leg_ms // 1_000 * 1_000, precision="s")
        bridged_ms = 0 if leg.bridged_at is None else _ms(leg.bridged_at, now)
        return msgspec.structs.replace(end, leg_ms=leg_ms, bridged_ms=bridged_ms)

    async def over(self, line: Line, *, ended_by: EndedBy) -> None:
        """The caller's leg is over, and with it every other."""
        if line.over_at is not None:
            return
        now = line.over_at = self._agenda.now
        line.turn += 1
        leg = line.leg
        if leg is not None and leg.end is None:
            outcome: Outcome = "canceled" if leg.answered_at is None else "answered"
            await self._end_leg(line, leg, outcome, ended_by=ended_by, caller_gone=True)
        told = self._rolls.randrange(PER_MILLE) >= UNKNOWN_DURATION_PER_MILLE
        duration_ms = _ms(line.arrived_at, now) if told else None
        self._agenda.after(
            self._rolls.randrange(MAX_REPORT_DELAY_MS),
            self._deliver,
            line,
            "status/0",
            lambda at, _: events.CallEnded(
                at=at, reason="hung_up", duration_ms=duration_ms, ended_by=ended_by
            ),
            None,
        )


def _accepting(does: script.Behaviour) -> str:
    if isinstance(does, script.Answers) and does.entries and isinstance(does.entries[0], script.Press):
        return does.entries[0].digits
    return ""


def _ms(start: datetime, end: datetime) -> int:
    return (end - start) // timedelta(milliseconds=1)
