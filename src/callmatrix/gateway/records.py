"""What really happened to one call on the carrier's side, frozen for assertions and for the command line."""

from datetime import datetime
from typing import Literal

import msgspec

CallStatus = Literal[
    "initiated", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"
]
EndedBy = Literal["caller", "buyer", "document", "limit", "star", "rest", "carrier", "error"]
WebhookKind = Literal["voice", "action", "redirect", "whisper", "fallback", "status", "leg", "recording"]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing done on a line: a verb, or keys received (`what` = Digits). `at_ms` from the call's arrival.

    `line` is "caller" or "leg 1", "leg 2" and so on.
    """

    at_ms: int
    line: str
    what: str
    detail: str = ""


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook request. `status` is None where no reply came; times are the clock's, from the arrival."""

    at_ms: int
    took_ms: int
    kind: WebhookKind
    url: str
    status: int | None
    fault: Literal["", "lost", "doubled", "late"] = ""


class LegRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One dialled leg: ring is dial to answer (or end), leg answer to end, bridged both parties to end."""

    sid: str
    destination: str
    caller_id: str
    started_ms: int
    status: CallStatus
    sip_code: int
    ring_ms: int
    leg_ms: int
    bridged_ms: int
    bridged: bool
    ended_by: EndedBy


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    sid: str
    source: Literal["DialVerb", "RecordVerb"]
    started_ms: int
    duration_ms: int


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A whole call. `answered_ms` is None where it never was; `duration_ms` is answer to end."""

    sid: str
    number: str
    dialed: str
    started_at: datetime
    status: CallStatus
    ended_by: EndedBy
    answered_ms: int | None
    duration_ms: int
    total_ms: int
    steps: tuple[Step, ...]
    legs: tuple[LegRecord, ...]
    recordings: tuple[Recording, ...]
    webhooks: tuple[Posted, ...]
    errors: tuple[str, ...]

    def said(self) -> tuple[str, ...]:
        """The texts and addresses heard on any line, in order."""
        return tuple(step.detail for step in self.steps if step.what in ("Say", "Play"))

    def connected(self) -> bool:
        """Whether the caller was ever bridged to somebody."""
        return any(leg.bridged for leg in self.legs)
