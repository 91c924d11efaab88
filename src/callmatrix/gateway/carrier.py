"""Our own carrier: takes scripted calls to configured numbers and keeps the books of what happened."""

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime

import aiohttp
import msgspec

from callmatrix.gateway.callers import STIR_VERSTAT, Answers, Behaviour, BehaviourOf, Caller
from callmatrix.gateway.clocks import Clock, VirtualClock, join
from callmatrix.gateway.interpreter import Ended, Goto, Line, Visit, answer, progress, run_line
from callmatrix.gateway.legs import HungUp
from callmatrix.gateway.records import CallRecord, CallStatus, EndedBy, LegRecord
from callmatrix.gateway.twiml import Method
from callmatrix.gateway.virtual import PACE, Pace, VirtualCaller
from callmatrix.gateway.wire import NO_FAULTS, WEBHOOK_TIMEOUT_S, Faults, Wire
from callmatrix.world import DRAW_BITS, dice

MAX_KEPT_CALLS = 50_000
MAX_LIST = 1_000


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer configured for one of their numbers; empty addresses are not called."""

    number: str
    voice_url: str
    voice_method: Method = "POST"
    fallback_url: str = ""
    status_url: str = ""


class CallResource(msgspec.Struct, frozen=True, kw_only=True):
    """A call as this carrier's books have it now; lengths are 0, and `duration_s` None, while it lives."""

    sid: str
    parent_call_sid: str | None
    account_sid: str
    from_: str = msgspec.field(name="from")
    to: str
    status: str
    direction: str
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    duration_s: int | None
    ring_ms: int
    leg_ms: int
    bridged_ms: int
    sip_code: int


def talks(_destination: str, _draw: int) -> Behaviour:
    """The default buyer: answers after 4 s and talks for two minutes."""
    return Answers(after_ms=4_000, talk_ms=120_000)


class Carrier:
    """One account at our own carrier.

    `session` belongs to the caller of this constructor. Chance comes from `seed` and the order of the calls
    alone, so the same calls give the same records. With `own_timelines` every call runs on a virtual clock of
    its own, starting at `clock`'s time: then calls never wait for each other's instants.
    """

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        numbers: tuple[Number, ...],
        session: aiohttp.ClientSession,
        clock: Clock,
        seed: int,
        behaviour: BehaviourOf = talks,
        faults: Faults = NO_FAULTS,
        pace: Pace = PACE,
        latency_ms: int = 0,
        timeout_s: float = WEBHOOK_TIMEOUT_S,
        own_timelines: bool = False,
    ) -> None:
        self.account_sid = account_sid
        self.auth_token = auth_token
        self._numbers = {number.number: number for number in numbers}
        self._session = session
        self._clock = clock
        self._seed = seed
        self._behaviour = behaviour
        self._faults = faults
        self._pace = pace
        self._latency_ms = latency_ms
        self._timeout_s = timeout_s
        self._own_timelines = own_timelines
        self._placed = 0
        self._books: OrderedDict[str, Visit] = OrderedDict()
        self._lines: dict[str, Line] = {}

    def configure(self, number: Number) -> None:
        """Set or replace one number's configuration; calls in the air keep theirs."""
        self._numbers[number.number] = number

    async def place_call(self, script: Caller) -> CallRecord:
        """Carry one scripted call to its end, every callback sent, and tell what happened.

        Never raises for what the application does. Cancelled, it drops the call without another webhook.
        """
        clock = VirtualClock(start_ms=self._clock.now_ms()) if self._own_timelines else self._clock
        carried = clock.spawn(self._carry(script, clock))
        try:
            return await join(clock, carried)
        except asyncio.CancelledError:
            carried.task.cancel()
            await asyncio.wait([carried.task])
            raise

    def fetch_call(self, sid: str) -> CallResource | None:
        """One call or leg as it stands now, or None where this carrier has no such call."""
        line = self._lines.get(sid)
        return None if line is None else self._resource(line)

    def child_calls(self, parent_sid: str) -> tuple[CallResource, ...]:
        """The legs dialled for a call, in order; empty for an unknown call."""
        visit = self._books.get(parent_sid)
        return () if visit is None else tuple(self._resource(line) for line in visit.lines[:MAX_LIST])

    def hang_up(self, sid: str) -> bool:
        """End a call or leg that is up; False where there is none."""
        line = self._lines.get(sid)
        if line is None or line.ended_ms is not None:
            return False
        line.leg.cut("rest")
        return True

    def in_the_air(self) -> tuple[str, ...]:
        """The sids of the calls (not legs) that have not ended."""
        return tuple(sid for sid, visit in self._books.items() if visit.caller.ended_ms is None)

    async def _carry(self, script: Caller, clock: Clock) -> CallRecord:
        visit, number = self._open_visit(script, clock)
        line = visit.caller
        if number is None:
            line.sip_code = 404
            line.end(at_ms=clock.now_ms(), by="carrier", status="failed")
            return _record(visit)
        try:
            await _run_caller(visit, Goto(kind="voice", url=number.voice_url, method=number.voice_method))
            if number.status_url:
                params = progress(visit, line)
                visit.wire.tell(kind="status", url=number.status_url, method="POST", params=params)
            await visit.wire.finish()
        finally:
            if line.ended_ms is None:  # cancelled
                line.end(at_ms=clock.now_ms(), by="carrier", status="failed")
            visit.wire.abandon()
        return _record(visit)

    def _open_visit(self, script: Caller, clock: Clock) -> tuple[Visit, Number | None]:
        chance = dice((self._seed << 32) | self._placed)
        self._placed += 1
        number = self._numbers.get(script.dialed)
        wire = Wire(
            session=self._session,
            token=self.auth_token,
            clock=clock,
            faults=self._faults,
            dice=dice(chance.getrandbits(64)),
            latency_ms=self._latency_ms,
            timeout_s=self._timeout_s,
        )
        leg = VirtualCaller(
            script=script,
            clock=clock,
            pace=self._pace,
            behaviour=self._behaviour,
            draw=lambda: chance.getrandbits(DRAW_BITS),
            note=lambda what, detail: visit.note("caller", what, detail),
        )
        line = Line(
            sid=f"CA{chance.getrandbits(128):032x}",
            parent_sid="",
            number=script.number,
            dialed=script.dialed,
            started_ms=clock.now_ms(),
            name="caller",
            leg=leg,
        )
        visit = Visit(
            account_sid=self.account_sid,
            clock=clock,
            wire=wire,
            new_sid=lambda prefix: f"{prefix}{chance.getrandbits(128):032x}",
            stir_verstat=STIR_VERSTAT[script.attestation],
            fallback_url="" if number is None else number.fallback_url,
            caller=line,
            caller_leg=leg,
            on_line=self._keep_line,
        )
        self._keep_line(line)
        self._keep_visit(visit)
        return visit, number

    def _keep_line(self, line: Line) -> None:
        self._lines[line.sid] = line

    def _keep_visit(self, visit: Visit) -> None:
        self._books[visit.caller.sid] = visit
        if len(self._books) > MAX_KEPT_CALLS:
            _, oldest = self._books.popitem(last=False)
            for line in (oldest.caller, *oldest.lines):
                self._lines.pop(line.sid, None)

    def _resource(self, line: Line) -> CallResource:
        ended = line.ended_ms is not None
        return CallResource(
            sid=line.sid,
            parent_call_sid=line.parent_sid or None,
            account_sid=self.account_sid,
            from_=line.number,
            to=line.dialed,
            status=line.status,
            direction="outbound-dial" if line.parent_sid else "inbound",
            started_at=_instant(line.started_ms),
            answered_at=None if line.answered_ms is None else _instant(line.answered_ms),
            ended_at=None if line.ended_ms is None else _instant(line.ended_ms),
            duration_s=line.leg_length_ms() // 1000 if ended else None,
            ring_ms=line.ring_length_ms(),
            leg_ms=line.leg_length_ms(),
            bridged_ms=line.bridged_length_ms(),
            sip_code=line.sip_code,
        )


async def _run_caller(visit: Visit, goto: Goto) -> None:
    """Execute the caller's documents; the caller's line is ended when this returns."""
    line = visit.caller
    try:
        await run_line(visit, line, goto)
        _end_caller(visit, "document")
    except HungUp as hung_up:
        _end_caller(visit, hung_up.by)
    except Ended as ended:
        if ended.status is None:
            _end_caller(visit, ended.by)
        else:
            line.end(at_ms=visit.clock.now_ms(), by=ended.by, status=ended.status)
    line.leg.cut(line.ended_by)


def _end_caller(visit: Visit, by: EndedBy) -> None:
    line = visit.caller
    if by == "document":
        answer(visit, line)
    if line.answered_ms is not None:
        line.end(at_ms=visit.clock.now_ms(), by=by, status="completed")
    else:
        unanswered: dict[EndedBy, CallStatus] = {"error": "failed", "rest": "canceled"}
        status = unanswered.get(by, "no-answer")
        line.end(at_ms=visit.clock.now_ms(), by=by, status=status)


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _record(visit: Visit) -> CallRecord:
    line = visit.caller
    begun_ms = line.started_ms
    return CallRecord(
        sid=line.sid,
        number=line.number,
        dialed=line.dialed,
        started_at=_instant(begun_ms),
        status=line.status,
        ended_by=line.ended_by,
        answered_ms=None if line.answered_ms is None else line.answered_ms - begun_ms,
        duration_ms=line.leg_length_ms(),
        total_ms=(line.ended_ms or begun_ms) - begun_ms,
        steps=tuple(visit.steps),
        legs=tuple(_leg_record(leg, begun_ms) for leg in visit.lines),
        recordings=tuple(visit.recordings),
        webhooks=tuple(visit.wire.posted),
        errors=tuple(visit.errors),
    )


def _leg_record(line: Line, begun_ms: int) -> LegRecord:
    return LegRecord(
        sid=line.sid,
        destination=line.dialed,
        caller_id=line.number,
        started_ms=line.started_ms - begun_ms,
        status=line.status,
        sip_code=line.sip_code,
        ring_ms=line.ring_length_ms(),
        leg_ms=line.leg_length_ms(),
        bridged_ms=line.bridged_length_ms(),
        bridged=line.bridged_ms is not None,
        ended_by=line.ended_by,
    )
