"""Reads what carriers report into the call's events, with the carrier's own times and their precision."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal, assert_never

import msgspec

from callmatrix.core.call.events import (
    AcceptanceEntered,
    Attestation,
    CallEnded,
    DigitsEntered,
    EndedBy,
    GatherTimedOut,
    LegAnswered,
    LegEnded,
    LegReported,
    LegRinging,
    Outcome,
    Precision,
    RecordingReady,
    VoicemailEnded,
)
from callmatrix.core.errors import Problem, Refused
from callmatrix.core.ids import AttemptId, attempt_id
from callmatrix.core.phone import is_anonymous, parse_e164
from callmatrix.dialects.carriers.dialect import Dialect
from callmatrix.dialects.carriers.urls import Callback

MAX_CARRIER_REF_CHARS: Final = 128
MAX_DIALED_CHARS: Final = 64
MAX_DIGITS: Final = 64
MAX_RECORDING_URL_CHARS: Final = 2_000
MAX_DURATION_DIGITS: Final = 9

Params = Mapping[str, str]
EndReason = Literal["hung_up", "failed", "canceled", "busy", "no_answer"]
CallbackEvent = (
    DigitsEntered
    | GatherTimedOut
    | LegRinging
    | LegAnswered
    | AcceptanceEntered
    | LegEnded
    | LegReported
    | RecordingReady
    | VoicemailEnded
    | CallEnded
)

_KEYS: Final = frozenset("0123456789*#ABCD")
_ATTESTATIONS: Final[dict[str, Attestation]] = {"A": "A", "B": "B", "C": "C"}
CALL_END_REASONS: Final[dict[str, EndReason]] = {
    "completed": "hung_up",
    "busy": "busy",
    "failed": "failed",
    "no-answer": "no_answer",
    "canceled": "canceled",
}
_UNANSWERED: Final[dict[str, Outcome]] = {
    "busy": "busy",
    "no-answer": "no_answer",
    "failed": "failed",
    "canceled": "canceled",
}
# Somleng reports a leg that it lost track of by what the leg last did.
_LOST: Final = frozenset({"queued", "initiated", "ringing", "in-progress"})
_ANSWERED: Final = frozenset({"completed", "answered"})


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A call that comes in, as far as the carrier knows it.

    `caller` is E.164, None where hidden or no telephone number. `dialed` is E.164, or what was dialled as it
    came, at most MAX_DIALED_CHARS, where it is no number: then it is nobody's.
    """

    caller: str | None
    dialed: str
    carrier_ref: str
    attestation: Attestation


def parse_arrival(dialect: Dialect, params: Params) -> Arrival:
    """What an arrival's page received. Raises Refused `malformed` without a call id or a dialled number."""
    dialed = _required(params, "To").strip()
    number = parse_e164(dialed)
    return Arrival(
        caller=_caller(params.get("From", "")),
        dialed=number if isinstance(number, str) else dialed[:MAX_DIALED_CHARS],
        carrier_ref=carrier_ref(params),
        attestation=_attestation(params.get(dialect.attestation_param, "")),
    )


def carrier_ref(params: Params) -> str:
    """The carrier's id of the leg that it reports of. Raises Refused `malformed`."""
    ref = _required(params, "CallSid")
    if len(ref) > MAX_CARRIER_REF_CHARS or not ref.isprintable():
        raise _malformed("CallSid", f"is longer than {MAX_CARRIER_REF_CHARS} or not printable")
    return ref


def parse_callback(
    dialect: Dialect, callback: Callback, params: Params, *, at: datetime, draw: int
) -> CallbackEvent | None:
    """The event that a callback reports, or None where it reports nothing that matters to the call.

    Raises Refused `malformed` where a parameter that it needs is missing or can't be.
    """
    attempt = attempt_id(callback.call_id, callback.key)
    match callback.kind:
        case "gather":
            digits = _digits(params)
            if not digits:
                return GatherTimedOut(at=at, draw=draw, turn=callback.key)
            return DigitsEntered(at=at, draw=draw, turn=callback.key, digits=digits)
        case "dial":
            return _leg_ended(dialect, attempt, params, at)
        case "leg":
            return _leg_progress(dialect, attempt, params, at)
        case "whisper":
            return LegAnswered(at=at, attempt_id=attempt)
        case "accept":
            return AcceptanceEntered(at=at, attempt_id=attempt, digits=_digits(params))
        case "record":
            return VoicemailEnded(at=at, duration_s=_whole(params, "RecordingDuration") or 0)
        case "voicemail":
            return _recording_ready(None, params, at)
        case "recording":
            return _recording_ready(attempt, params, at)
        case "status":
            return parse_status(dialect, params, at=at)
        case _:
            assert_never(callback.kind)


def parse_status(dialect: Dialect, params: Params, *, at: datetime) -> CallEnded | None:
    """The end of the call that `carrier_ref(params)` names, or None while it goes on."""
    reason = CALL_END_REASONS.get(params.get("CallStatus", ""))
    if reason is None:
        return None
    duration_s = _whole(params, "CallDuration")
    return CallEnded(
        at=at,
        reason=reason,
        duration_ms=None if duration_s is None else duration_s * 1_000,
        ended_by=_ended_by(dialect, params),
    )


def _caller(text: str) -> str | None:
    if is_anonymous(text):
        return None
    number = parse_e164(text)
    return number if isinstance(number, str) else None


def _attestation(text: str) -> Attestation:
    """`TN-Validation-Passed-A` and its like, or the bare letter; more (`-Diverted`) may follow."""
    if text in _ATTESTATIONS:
        return _ATTESTATIONS[text]
    _, passed, rest = text.partition("TN-Validation-Passed-")
    if passed:
        return _ATTESTATIONS.get(rest[:1], "none")
    return "failed" if text.startswith("TN-Validation-Failed") else "none"


def _digits(params: Params) -> str:
    digits = params.get("Digits", "")
    if len(digits) > MAX_DIGITS or not _KEYS.issuperset(digits):
        raise _malformed("Digits", f"is not made of at most {MAX_DIGITS} keys")
    return digits


def _leg_progress(
    dialect: Dialect, attempt: AttemptId, params: Params, at: datetime
) -> LegRinging | LegAnswered | LegReported | None:
    status = params.get("CallStatus", "")
    match status:
        case "ringing":
            return LegRinging(at=at, attempt_id=attempt)
        case "in-progress" | "answered":
            return LegAnswered(at=at, attempt_id=attempt)
        case "completed" | "busy" | "no-answer" | "failed" | "canceled":
            return LegReported(at=at, leg=_leg_reported(dialect, attempt, status, params, at))
        case _:
            return None


def _leg_reported(
    dialect: Dialect, attempt: AttemptId, status: str, params: Params, at: datetime
) -> LegEnded:
    """A leg's own last callback, which does not know of the bridge unless our gateway sends it."""
    times = _leg_times(dialect, params, status=status, duration="CallDuration", bridged=None)
    outcome, _ = _outcome(status, "false" if times.bridged_ms == 0 else "", caller_gone=False)
    return LegEnded(
        at=at,
        attempt_id=attempt,
        outcome=outcome,
        ring_ms=times.ring_ms,
        leg_ms=times.leg_ms,
        bridged_ms=times.bridged_ms,
        precision=times.precision,
        sip_code=_whole(params, "SipResponseCode") or 0,
    )


def _leg_ended(dialect: Dialect, attempt: AttemptId, params: Params, at: datetime) -> LegEnded:
    """A dial is over. Where the carrier does not say whether it bridged an answered leg, it counts as
    bridged, and the core knows whether it was accepted."""
    status = _required(params, "DialCallStatus")
    caller_gone = params.get("CallStatus", "") in CALL_END_REASONS
    outcome, bridged = _outcome(status, params.get("DialBridged", ""), caller_gone=caller_gone)
    times = _leg_times(dialect, params, status=status, duration="DialCallDuration", bridged=bridged)
    return LegEnded(
        at=at,
        attempt_id=attempt,
        outcome=outcome,
        ring_ms=times.ring_ms,
        leg_ms=times.leg_ms,
        bridged_ms=times.bridged_ms,
        precision=times.precision,
        ended_by=_leg_ended_by(outcome, caller_gone=caller_gone),
        caller_gone=caller_gone,
        sip_code=_whole(params, "DialSipResponseCode") or 0,
    )


class _LegTimes(msgspec.Struct, frozen=True, kw_only=True):
    ring_ms: int = 0
    leg_ms: int | None = None
    bridged_ms: int | None = None
    precision: Precision = "s"


def _leg_times(
    dialect: Dialect, params: Params, *, status: str, duration: str, bridged: bool | None
) -> _LegTimes:
    """The carrier's times of a leg. Whole seconds are the leg's, whisper included, so that of a bridged leg
    the time of the bridge stays open (None) and the core takes the whisper off."""
    if dialect.capabilities.precise_ms and "DialLegMs" in params:
        return _LegTimes(
            ring_ms=_whole(params, "DialRingMs") or 0,
            leg_ms=_whole(params, "DialLegMs"),
            bridged_ms=_whole(params, "DialBridgedMs"),
            precision="ms",
        )
    leg_s = _whole(params, duration)
    if status not in _ANSWERED:
        return _LegTimes(leg_ms=0, bridged_ms=0)
    bridged_ms = 0 if bridged is False else None
    if leg_s is None:
        return _LegTimes(bridged_ms=bridged_ms, precision="none")
    return _LegTimes(leg_ms=leg_s * 1_000, bridged_ms=bridged_ms)


def _outcome(status: str, dial_bridged: str, *, caller_gone: bool) -> tuple[Outcome, bool]:
    """What became of a leg, and whether both parties talked."""
    if status in _ANSWERED:
        if dial_bridged.lower() != "false":
            return "answered", True
        # Answered and not bridged: the buyer said no, or the caller left during the whisper.
        return ("canceled" if caller_gone else "declined"), False
    outcome = "failed" if status in _LOST else _UNANSWERED.get(status)
    if outcome is None:
        raise _malformed("DialCallStatus", f"{status[:40]!r} is unknown")
    if outcome == "no_answer" and caller_gone:
        # The caller left while it rang; the buyer had no chance to answer.
        return "canceled", False
    return outcome, False


def _leg_ended_by(outcome: Outcome, *, caller_gone: bool) -> EndedBy:
    """Who ended the leg. A caller still there did not; then it was the buyer, or the time limit."""
    if caller_gone:
        return "caller"
    return "buyer" if outcome in ("answered", "declined") else "unknown"


def _recording_ready(attempt: AttemptId | None, params: Params, at: datetime) -> RecordingReady | None:
    if params.get("RecordingStatus", "completed") != "completed":
        return None
    url = _required(params, "RecordingUrl")
    if len(url) > MAX_RECORDING_URL_CHARS or not url.startswith(("https://", "http://")):
        raise _malformed("RecordingUrl", "is not an http address")
    return RecordingReady(
        at=at, url=url, duration_s=_whole(params, "RecordingDuration") or 0, attempt_id=attempt
    )


def _ended_by(dialect: Dialect, params: Params) -> EndedBy:
    if not dialect.ended_by_param:
        return "unknown"
    return dialect.ended_by.get(params.get(dialect.ended_by_param, ""), "unknown")


def _whole(params: Params, name: str) -> int | None:
    """A whole number, None where it is not given. Raises Refused `malformed` where it is something else."""
    text = params.get(name, "")
    if not text:
        return None
    if len(text) > MAX_DURATION_DIGITS or not (text.isascii() and text.isdigit()):
        raise _malformed(name, "is not a whole number")
    return int(text)


def _required(params: Params, name: str) -> str:
    value = params.get(name, "")
    if not value:
        raise _malformed(name, "is missing")
    return value


def _malformed(name: str, problem: str) -> Refused:
    return Refused(
        "malformed",
        f"{name} {problem}",
        (Problem(field=name, problem=problem, remedy="Send what this carrier documents"),),
    )
