"""What a sweep asks a carrier about a call afterwards, how it ends one, and how the answers are read."""

from base64 import b64encode
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Final, Literal
from urllib.parse import quote, urlencode

import msgspec

from callmatrix.core.call.events import CallEnded, LegEnded, Outcome, Precision
from callmatrix.core.campaign import Connection
from callmatrix.core.ids import AttemptId
from callmatrix.dialects.carriers.dialect import Dialect, Secrets, dialect_of
from callmatrix.dialects.carriers.twiml import CALL_END_REASONS, EndReason
from callmatrix.dialects.http import HttpReply, HttpRequest

MAX_REPLY_BYTES: Final = 256 * 1024
MAX_LEGS: Final = 50
MAX_DURATION_S: Final = 1_000_000

_NOT_IN_PROGRESS: Final = 21220  # Twilio's code for hanging up what is over
_LEG_OUTCOMES: Final[dict[str, Outcome]] = {
    "busy": "busy",
    "no-answer": "no_answer",
    "failed": "failed",
    "canceled": "canceled",
}
_FORM: Final = "application/x-www-form-urlencoded"
_DAWN: Final = datetime(1970, 1, 1, tzinfo=UTC)

WholeOrText = Annotated[int, msgspec.Meta(ge=0)] | Annotated[str, msgspec.Meta(max_length=20)] | None


class CarrierCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call in the carrier's books. `duration_ms` is None while it lives or where they don't say."""

    status: Literal["live"] | EndReason
    duration_ms: int | None


class CarrierLeg(msgspec.Struct, frozen=True, kw_only=True):
    """A dialled leg in the carrier's books; `outcome` is None while it lives.

    Times are None where the carrier does not say, as with `LegEnded`.
    """

    outcome: Outcome | None
    ring_ms: int = 0
    leg_ms: int | None = None
    bridged_ms: int | None = None
    precision: Precision = "s"


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """The carrier could not say: `not_found`, `not_allowed`, `unreadable`, `too_many_legs`, `http_503`."""

    code: str


class _Resource(msgspec.Struct, frozen=True, kw_only=True):
    status: str
    duration: WholeOrText = None
    date_created: str | None = None
    start_time: str | None = None
    ring_ms: int | None = None
    leg_ms: int | None = None
    bridged_ms: int | None = None


class _Listing(msgspec.Struct, frozen=True, kw_only=True):
    calls: list[_Resource]
    next_page_uri: str | None = None


class _Problem(msgspec.Struct, frozen=True, kw_only=True):
    code: int | str | None = None


_RESOURCE: Final = msgspec.json.Decoder(_Resource)
_LISTING: Final = msgspec.json.Decoder(_Listing)
_PROBLEM: Final = msgspec.json.Decoder(_Problem)


def fetch_call_request(connection: Connection, *, secrets: Secrets, carrier_ref: str) -> HttpRequest | None:
    """Ask for a call; read by `read_call`. None where the connection has no REST address or account."""
    return _request(connection, secrets, "GET", f"/{_path_part(carrier_ref)}{_suffix(connection)}")


def fetch_legs_request(connection: Connection, *, secrets: Secrets, carrier_ref: str) -> HttpRequest | None:
    """Ask for a call's dialled legs; read by `read_legs`. None also where the carrier can't list them."""
    if not dialect_of(connection).capabilities.lists_legs:
        return None
    query = urlencode({"ParentCallSid": carrier_ref, "PageSize": MAX_LEGS})
    return _request(connection, secrets, "GET", f"{_suffix(connection)}?{query}")


def hang_up_request(connection: Connection, *, secrets: Secrets, carrier_ref: str) -> HttpRequest | None:
    """End a call with all its legs; read by `read_hang_up`."""
    tail = f"/{_path_part(carrier_ref)}{_suffix(connection)}"
    return _request(connection, secrets, "POST", tail, body=urlencode({"Status": "completed"}).encode())


def read_call(dialect: Dialect, reply: HttpReply) -> CarrierCall | Unknown:
    """What the carrier says of a call."""
    unknown = _unknown(reply)
    if unknown is not None:
        return unknown
    try:
        resource = _RESOURCE.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Unknown(code="unreadable")
    reason = CALL_END_REASONS.get(resource.status)
    if reason is None:
        return CarrierCall(status="live", duration_ms=None)
    if dialect.capabilities.precise_ms and resource.leg_ms is not None:
        return CarrierCall(status=reason, duration_ms=resource.leg_ms)
    duration_s = _seconds(resource.duration)
    return CarrierCall(status=reason, duration_ms=None if duration_s is None else duration_s * 1_000)


def read_legs(dialect: Dialect, reply: HttpReply) -> tuple[CarrierLeg, ...] | Unknown:
    """The dialled legs of a call, in the order in which they were dialled."""
    unknown = _unknown(reply)
    if unknown is not None:
        return unknown
    try:
        listing = _LISTING.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Unknown(code="unreadable")
    if listing.next_page_uri or len(listing.calls) > MAX_LEGS:
        return Unknown(code="too_many_legs")
    # Whole seconds tie when a buyer is busy at once; the listing's own order then decides.
    dialled = reversed(listing.calls) if dialect.lists_newest_first else listing.calls
    return tuple(_leg(dialect, resource) for resource in sorted(dialled, key=_started_at))


def read_hang_up(reply: HttpReply) -> bool:
    """Whether the call is over, by this request or before it."""
    if 200 <= reply.status < 300 or reply.status == 404:
        return True
    if len(reply.body) > MAX_REPLY_BYTES:
        return False
    try:
        return str(_PROBLEM.decode(reply.body).code) == str(_NOT_IN_PROGRESS)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def asked_end(
    call: CarrierCall | Unknown,
    legs: tuple[CarrierLeg, ...] | Unknown,
    *,
    attempts: tuple[AttemptId, ...],
    at: datetime,
) -> CallEnded | None:
    """The call's end as the carrier's books have it; None while it lives there.

    `attempts` are those ordered, in order. Where the carrier dialled nothing, none of them lived. Else legs
    are told only where there is exactly one ended leg for each; otherwise nobody can say which was whose,
    and the call is for a person to review (rule 20).
    """
    if isinstance(call, Unknown):
        return CallEnded(at=at, reason="swept", asked=True)
    if call.status == "live":
        return None
    ends: list[LegEnded] = []
    if legs == ():  # the caller was gone before the carrier read our order to dial
        ends = [
            LegEnded(at=at, attempt_id=attempt_id, outcome="canceled", caller_gone=True)
            for attempt_id in attempts
        ]
    elif not isinstance(legs, Unknown) and len(legs) == len(attempts):
        for attempt_id, leg in zip(attempts, legs, strict=True):
            if leg.outcome is None:
                ends = []
                break
            ends.append(
                LegEnded(
                    at=at,
                    attempt_id=attempt_id,
                    outcome=leg.outcome,
                    ring_ms=leg.ring_ms,
                    leg_ms=leg.leg_ms,
                    bridged_ms=leg.bridged_ms,
                    precision=leg.precision,
                    caller_gone=True,
                )
            )
    return CallEnded(at=at, reason=call.status, duration_ms=call.duration_ms, asked=True, legs=tuple(ends))


def _request(
    connection: Connection,
    secrets: Secrets,
    method: Literal["GET", "POST"],
    tail: str,
    *,
    body: bytes = b"",
) -> HttpRequest | None:
    dialect = dialect_of(connection)
    root = (connection.rest_url or dialect.rest_root).rstrip("/")
    if not root or not connection.account_sid:
        return None
    key = secrets.api or secrets.signing
    if dialect.rest_auth == "bearer":
        authorization = f"Bearer {key}"
    else:
        authorization = "Basic " + b64encode(f"{connection.account_sid}:{key}".encode()).decode()
    headers = {"authorization": authorization, "accept": "application/json"}
    if body:
        headers["content-type"] = _FORM
    return HttpRequest(
        method=method,
        url=f"{root}/Accounts/{_path_part(connection.account_sid)}/Calls{tail}",
        headers=headers,
        body=body,
    )


def _path_part(text: str) -> str:
    return quote(text, safe=":")


def _suffix(connection: Connection) -> str:
    return dialect_of(connection).rest_suffix


def _unknown(reply: HttpReply) -> Unknown | None:
    if reply.status == 404:
        return Unknown(code="not_found")
    if reply.status in (401, 403):
        return Unknown(code="not_allowed")
    if reply.status != 200:
        return Unknown(code=f"http_{reply.status}")
    return Unknown(code="unreadable") if len(reply.body) > MAX_REPLY_BYTES else None


def _leg(dialect: Dialect, resource: _Resource) -> CarrierLeg:
    if resource.status != "completed":
        outcome = _LEG_OUTCOMES.get(resource.status)
        return (
            CarrierLeg(outcome=None)
            if outcome is None
            else CarrierLeg(outcome=outcome, leg_ms=0, bridged_ms=0)
        )
    if dialect.capabilities.precise_ms and resource.leg_ms is not None and resource.bridged_ms is not None:
        return CarrierLeg(
            outcome="answered" if resource.bridged_ms else "declined",
            ring_ms=resource.ring_ms or 0,
            leg_ms=resource.leg_ms,
            bridged_ms=resource.bridged_ms,
            precision="ms",
        )
    duration_s = _seconds(resource.duration)
    if duration_s is None:
        return CarrierLeg(outcome="answered", precision="none")
    return CarrierLeg(outcome="answered", leg_ms=duration_s * 1_000)


def _seconds(duration: int | str | None) -> int | None:
    if isinstance(duration, str):
        if not (duration.isascii() and duration.isdigit()):
            return None
        duration = int(duration)
    return duration if duration is not None and duration <= MAX_DURATION_S else None


def _started_at(resource: _Resource) -> datetime:
    for text in (resource.date_created, resource.start_time):
        if text:
            try:
                instant = parsedate_to_datetime(text)
            except ValueError:
                continue
            return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
    return _DAWN
