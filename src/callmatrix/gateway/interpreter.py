"""Executes TwiML on one line as Twilio does: which verb runs next, what is posted where, and when it ends."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal, assert_never
from urllib.parse import urljoin

import msgspec

from callmatrix.gateway.clocks import Clock
from callmatrix.gateway.legs import CalleeLeg, CallerLeg, HungUp, Leg
from callmatrix.gateway.records import CallStatus, EndedBy, Recording, Step, WebhookKind
from callmatrix.gateway.twiml import (
    ERROR_SCHEMA,
    Dial,
    Gather,
    Hangup,
    MalformedTwiml,
    Method,
    Pause,
    Play,
    Record,
    Redirect,
    Reject,
    Say,
    Verb,
)
from callmatrix.gateway.wire import Wire

MAX_DOCUMENTS = 500  # per line: a redirect loop must end
API_VERSION = "2010-04-01"
RECORDINGS_HOST = "https://recordings.invalid"


class Ended(Exception):
    """The document ended the call, or an error did."""

    def __init__(self, by: EndedBy, status: CallStatus | None = None) -> None:
        super().__init__(by)
        self.by: EndedBy = by
        self.status = status


class Goto(msgspec.Struct, frozen=True, kw_only=True):
    """Where the next document is, and what is told to get it."""

    kind: WebhookKind
    url: str
    method: Method
    extra: dict[str, str] = {}


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A fetched document and the address that relative addresses in it start from."""

    url: str
    verbs: tuple[Verb, ...]


@dataclass(kw_only=True)
class Line:
    """One leg as the carrier's books have it, changing while it lives. Instants in ms since the epoch."""

    sid: str
    parent_sid: str
    number: str
    dialed: str
    started_ms: int
    name: str
    leg: Leg
    status: CallStatus = "ringing"
    answered_ms: int | None = None
    bridged_ms: int | None = None
    ended_ms: int | None = None
    ended_by: EndedBy = "carrier"
    sip_code: int = 0
    callbacks: int = 0
    documents: int = 0

    def end(self, *, at_ms: int, by: EndedBy, status: CallStatus) -> None:
        self.ended_ms = at_ms
        self.ended_by = by
        self.status = status

    def ring_length_ms(self) -> int:
        until_ms = self.ended_ms if self.answered_ms is None else self.answered_ms
        return _between(self.started_ms, until_ms)

    def leg_length_ms(self) -> int:
        return _between(self.answered_ms, self.ended_ms)

    def bridged_length_ms(self) -> int:
        return _between(self.bridged_ms, self.ended_ms)


def _between(begin_ms: int | None, end_ms: int | None) -> int:
    return 0 if begin_ms is None or end_ms is None else end_ms - begin_ms


@dataclass(kw_only=True)
class Visit:
    """One call with all its lines, while it lives and after."""

    account_sid: str
    clock: Clock
    wire: Wire
    new_sid: Callable[[str], str]
    stir_verstat: str
    fallback_url: str
    caller: Line
    caller_leg: CallerLeg
    lines: list[Line] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    recordings: list[Recording] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    on_line: Callable[[Line], None] = lambda _line: None

    def note(self, line_name: str, what: str, detail: str) -> None:
        at_ms = self.clock.now_ms() - self.caller.started_ms
        self.steps.append(Step(at_ms=at_ms, line=line_name, what=what, detail=detail))

    def is_caller(self, line: Line) -> bool:
        return line is self.caller


def form(visit: Visit, line: Line) -> dict[str, str]:
    """Twilio's common parameters for a line, as they stand now."""
    params = {
        "CallSid": line.sid,
        "AccountSid": visit.account_sid,
        "From": line.number,
        "To": line.dialed,
        "Caller": line.number,
        "Called": line.dialed,
        "CallStatus": line.status,
        "Direction": "outbound-dial" if line.parent_sid else "inbound",
        "ApiVersion": API_VERSION,
    }
    if line.parent_sid:
        params["ParentCallSid"] = line.parent_sid
    else:
        params["StirVerstat"] = visit.stir_verstat
        params |= {"FromCity": "", "FromState": "", "FromZip": "", "FromCountry": "US"}
    return params


def progress(visit: Visit, line: Line) -> dict[str, str]:
    """The parameters of a status callback about a line; counts the callback."""
    params = form(visit, line)
    params["SequenceNumber"] = str(line.callbacks)
    params["CallbackSource"] = "call-progress-events"
    params["Timestamp"] = format_datetime(datetime.fromtimestamp(visit.clock.now_ms() / 1000, UTC))
    line.callbacks += 1
    if line.sip_code:
        params["SipResponseCode"] = str(line.sip_code)
    if line.ended_ms is not None:
        length_s = line.leg_length_ms() // 1000
        params["CallDuration"] = str(length_s)
        params["Duration"] = str(-(-length_s // 60))
    return params


def answer(visit: Visit, line: Line) -> None:
    """Pick up, if nobody has yet."""
    if line.answered_ms is None:
        line.answered_ms = visit.clock.now_ms()
        line.status = "in-progress"


async def run_line(visit: Visit, line: Line, goto: Goto) -> None:
    """Execute documents on a line until one runs out of verbs.

    Raises Ended when a document or an error ends it, HungUp when its party is gone.
    """
    going: Goto | None = goto
    while going is not None:
        line.leg.check()
        line.documents += 1
        if line.documents > MAX_DOCUMENTS:
            visit.errors.append(f"{ERROR_SCHEMA} more than {MAX_DOCUMENTS} documents on {line.name}")
            raise Ended("error")
        page = await _fetch(visit, line, going)
        going = await _run_page(visit, line, page)


async def _fetch(visit: Visit, line: Line, goto: Goto) -> Page:
    """The document, or the fallback's, once per call; after that the line drops."""
    params = form(visit, line) | goto.extra
    try:
        verbs = await visit.wire.page(kind=goto.kind, url=goto.url, method=goto.method, params=params)
        return Page(url=goto.url, verbs=verbs)
    except MalformedTwiml as error:
        visit.errors.append(str(error))
        fallback = visit.fallback_url
        if not visit.is_caller(line) or not fallback:
            raise Ended("error") from error
        visit.fallback_url = ""
        params = form(visit, line) | {"ErrorCode": str(error.code), "ErrorUrl": goto.url}
    try:
        verbs = await visit.wire.page(kind="fallback", url=fallback, method="POST", params=params)
    except MalformedTwiml as error:
        visit.errors.append(str(error))
        raise Ended("error") from error
    return Page(url=fallback, verbs=verbs)


async def _run_page(visit: Visit, line: Line, page: Page) -> Goto | None:
    for verb in page.verbs:
        line.leg.check()
        goto = await _run_verb(visit, line, verb, page.url)
        if goto is not None:
            return goto
    return None


async def _run_verb(visit: Visit, line: Line, verb: Verb, base_url: str) -> Goto | None:
    match verb:
        case Say() | Play():
            answer(visit, line)
            await line.leg.play(verb)
        case Pause():
            await line.leg.play(verb)
        case Gather():
            answer(visit, line)
            return await _gather(visit, line, verb, base_url)
        case Dial():
            return await _dial(visit, line, verb, base_url)
        case Record():
            answer(visit, line)
            return await _record(visit, line, verb, base_url)
        case Redirect():
            visit.note(line.name, "Redirect", verb.url)
            return Goto(kind="redirect", url=urljoin(base_url, verb.url), method=verb.method)
        case Reject():
            visit.note(line.name, "Reject", verb.reason)
            if line.answered_ms is not None:
                raise Ended("document")
            raise Ended("document", "busy" if verb.reason == "busy" else "no-answer")
        case Hangup():
            visit.note(line.name, "Hangup", "")
            answer(visit, line)
            raise Ended("document")
        case _:
            assert_never(verb)
    return None


async def _gather(visit: Visit, line: Line, gather: Gather, base_url: str) -> Goto | None:
    visit.note(line.name, "Gather", "")
    collected = await line.leg.collect(gather)
    if collected.digits or collected.finished_on_key:
        visit.note(line.name, "Digits", collected.digits + collected.finished_on_key)
    if not collected.digits and not gather.action_on_empty_result:
        return None
    extra = {"Digits": collected.digits}
    if collected.finished_on_key:
        extra["FinishedOnKey"] = collected.finished_on_key
    url = urljoin(base_url, gather.action)
    return Goto(kind="action", url=url, method=gather.method, extra=extra)


def _keep_recording(
    visit: Visit,
    *,
    source: Literal["DialVerb", "RecordVerb"],
    begun_ms: int,
    duration_ms: int,
) -> Recording:
    started_ms = begun_ms - visit.caller.started_ms
    recording = Recording(
        sid=visit.new_sid("RE"), source=source, started_ms=started_ms, duration_ms=duration_ms
    )
    visit.recordings.append(recording)
    return recording


def _recording_url(visit: Visit, recording: Recording) -> str:
    return f"{RECORDINGS_HOST}/{API_VERSION}/Accounts/{visit.account_sid}/Recordings/{recording.sid}"


def _tell_recording(
    visit: Visit, recording: Recording, verb: Dial | Record, base_url: str, channels: int
) -> None:
    if not verb.recording_url or "completed" not in verb.recording_events:
        return
    begun_ms = visit.caller.started_ms + recording.started_ms
    params = {
        "AccountSid": visit.account_sid,
        "CallSid": visit.caller.sid,
        "RecordingSid": recording.sid,
        "RecordingUrl": _recording_url(visit, recording),
        "RecordingStatus": "completed",
        "RecordingDuration": str(recording.duration_ms // 1000),
        "RecordingChannels": str(channels),
        "RecordingStartTime": format_datetime(datetime.fromtimestamp(begun_ms / 1000, UTC)),
        "RecordingSource": recording.source,
        "RecordingTrack": "both",
        "ErrorCode": "0",
    }
    url = urljoin(base_url, verb.recording_url)
    visit.wire.tell(kind="recording", url=url, method=verb.recording_method, params=params)


async def _record(visit: Visit, line: Line, record: Record, base_url: str) -> Goto | None:
    visit.note(line.name, "Record", "")
    recorded = await line.leg.record(record)
    if not recorded.duration_ms:
        line.leg.check()
        return None
    recording = _keep_recording(
        visit, source="RecordVerb", begun_ms=recorded.begun_ms, duration_ms=recorded.duration_ms
    )
    _tell_recording(visit, recording, record, base_url, 1)
    goto = Goto(
        kind="action",
        url=urljoin(base_url, record.action),
        method=record.method,
        extra={
            "RecordingUrl": _recording_url(visit, recording),
            "RecordingSid": recording.sid,
            "RecordingDuration": str(recording.duration_ms // 1000),
            "Digits": recorded.digits,
        },
    )
    await _tell_if_gone(visit, line, goto)
    return goto


async def _tell_if_gone(visit: Visit, line: Line, goto: Goto) -> None:
    """The action of a verb that the party's leaving ended is still posted, but its reply has no listener."""
    by = line.leg.gone_by()
    if by is None:
        return
    line.status = "completed" if line.answered_ms is not None else "no-answer"
    params = form(visit, line) | goto.extra
    try:
        await visit.wire.page(kind=goto.kind, url=goto.url, method=goto.method, params=params)
    except MalformedTwiml as error:
        visit.errors.append(str(error))
    raise HungUp(by)


async def _dial(visit: Visit, line: Line, dial: Dial, base_url: str) -> Goto | None:
    if not visit.is_caller(line):
        visit.errors.append(f"{ERROR_SCHEMA} Dial on a dialled leg")
        raise Ended("error")
    visit.note(line.name, "Dial", dial.destination.address)
    if not dial.answer_on_bridge:
        answer(visit, line)
    callee, leg = _open_leg(visit, dial)
    _tell_leg(visit, callee, dial, base_url, "initiated")
    await _carry(visit, callee, leg, dial, base_url)
    recording = _dial_recording(visit, callee, dial)
    _tell_leg(visit, callee, dial, base_url, "completed")
    if recording is not None:
        _tell_recording(visit, recording, dial, base_url, dial.record_channels)
    if dial.action is None:
        return None
    goto = Goto(
        kind="action",
        url=urljoin(base_url, dial.action),
        method=dial.method,
        extra=_dial_outcome(visit, callee, dial, recording),
    )
    await _tell_if_gone(visit, line, goto)
    return goto


def _open_leg(visit: Visit, dial: Dial) -> tuple[Line, CalleeLeg]:
    name = f"leg {len(visit.lines) + 1}"

    def note(what: str, detail: str) -> None:
        visit.note(name, what, detail)

    leg = visit.caller_leg.dial(dial.destination.address, note)
    callee = Line(
        sid=visit.new_sid("CA"),
        parent_sid=visit.caller.sid,
        number=dial.caller_id or visit.caller.number,
        dialed=dial.destination.address,
        started_ms=visit.clock.now_ms(),
        name=name,
        leg=leg,
        status="initiated",
    )
    visit.lines.append(callee)
    visit.on_line(callee)
    return callee, leg


async def _carry(visit: Visit, callee: Line, leg: CalleeLeg, dial: Dial, base_url: str) -> None:
    """Ring, whisper, bridge; the line is ended when this returns."""

    def ringing() -> None:
        callee.status = "ringing"
        _tell_leg(visit, callee, dial, base_url, "ringing")

    try:
        rung = await leg.ring(until_ms=visit.clock.now_ms() + dial.timeout_ms, ringing=ringing)
        callee.sip_code = rung.sip_code
        if rung.outcome != "answered":
            by: EndedBy = "carrier" if rung.outcome == "no-answer" else "buyer"
            callee.end(at_ms=visit.clock.now_ms(), by=by, status=rung.outcome)
            return
        answer(visit, callee)
        _tell_leg(visit, callee, dial, base_url, "answered")
        by = await _talk(visit, callee, leg, dial, base_url)
        callee.end(at_ms=visit.clock.now_ms(), by=by, status="completed")
    except HungUp as hung_up:
        leg.cut(hung_up.by)
        status: CallStatus = "canceled" if callee.answered_ms is None else "completed"
        callee.sip_code = callee.sip_code or 487
        callee.end(at_ms=visit.clock.now_ms(), by=hung_up.by, status=status)
    except Ended as ended:  # the whisper's document declined, or could not be had
        leg.cut("document")
        callee.end(at_ms=visit.clock.now_ms(), by=ended.by, status="completed")


async def _talk(visit: Visit, callee: Line, leg: CalleeLeg, dial: Dial, base_url: str) -> EndedBy:
    """The whisper, then the bridge. The time limit runs from the leg's answer, so no leg outlives it."""
    whisper = dial.destination.whisper_url
    if whisper:
        goto = Goto(kind="whisper", url=urljoin(base_url, whisper), method=dial.destination.whisper_method)
        await run_line(visit, callee, goto)
    leg.check()
    answer(visit, visit.caller)
    callee.bridged_ms = visit.clock.now_ms()
    visit.note(callee.name, "Bridge", "")
    until_ms = callee.started_ms + callee.ring_length_ms() + dial.time_limit_ms
    return await leg.bridge(until_ms=until_ms, star_ends=dial.hangup_on_star)


def _dial_recording(visit: Visit, callee: Line, dial: Dial) -> Recording | None:
    if not dial.record or callee.answered_ms is None or callee.ended_ms is None:
        return None
    begun_ms = callee.started_ms if dial.record == "ringing" else callee.answered_ms
    duration_ms = callee.ended_ms - begun_ms
    return _keep_recording(visit, source="DialVerb", begun_ms=begun_ms, duration_ms=duration_ms)


def _precise(line: Line) -> dict[str, str]:
    """Our own dialect's extra: lengths in milliseconds."""
    return {
        "DialRingMs": str(line.ring_length_ms()),
        "DialLegMs": str(line.leg_length_ms()),
        "DialBridgedMs": str(line.bridged_length_ms()),
    }


def _tell_leg(visit: Visit, callee: Line, dial: Dial, base_url: str, event: str) -> None:
    destination = dial.destination
    if not destination.status_url or event not in destination.status_events:
        return
    params = progress(visit, callee)
    if callee.ended_ms is not None:
        params |= _precise(callee)
    url = urljoin(base_url, destination.status_url)
    visit.wire.tell(kind="leg", url=url, method=destination.status_method, params=params)


def _dial_outcome(visit: Visit, callee: Line, dial: Dial, recording: Recording | None) -> dict[str, str]:
    extra = {
        "DialCallStatus": callee.status,
        "DialCallSid": callee.sid,
        "DialBridged": "true" if callee.bridged_ms is not None else "false",
    } | _precise(callee)
    if callee.answered_ms is not None:
        extra["DialCallDuration"] = str(callee.leg_length_ms() // 1000)
    if dial.destination.noun == "Sip":
        extra["DialSipCallId"] = f"{callee.sid}@gateway.invalid"
        extra["DialSipResponseCode"] = str(callee.sip_code)
    if recording is not None:
        extra["RecordingUrl"] = _recording_url(visit, recording)
        extra["RecordingSid"] = recording.sid
        extra["RecordingDuration"] = str(recording.duration_ms // 1000)
    return extra
