"""How sellers ask us for bids and what they are answered: Ringba's format as JSON, XML or query, and ours.

Source: support.ringba.com, "RTB publisher instructions", "RTB set-up" and "RTB error codes".
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import msgspec

from callmatrix.core.errors import Problem, Refused
from callmatrix.core.money import MICROS_PER_UNIT, Money
from callmatrix.core.rtb import REFUSALS, REPEATED, RtbCode
from callmatrix.dialects.bidders.readings import Unreadable
from callmatrix.dialects.bidders.trees import read_form, read_json, read_xml, xml_text

MAX_VALUES: Final = 120
MAX_NAME_CHARS: Final = 80
JSON: Final = b"application/json"
XML: Final = b"application/xml; charset=utf-8"
ROOT: Final = "bid_response"
_PROLOGUE: Final = '<?xml version="1.0" encoding="UTF-8"?>'

Format = Literal["ringba_json", "ringba_xml", "native"]

# Amounts are JSON numbers, to the last digit.
_encoder: Final = msgspec.json.Encoder(decimal_format="number")
_REPEATED_TEXT: Final = "Previous bid for this request not yet expired. This is a cached version"
_EXTENSIONS: Final = (".json", ".xml")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A bid as a seller is told it. `number` is E.164; `sip_host` "" where it is not dialled by SIP."""

    bid_id: str
    amount: Money
    now: datetime
    expires_at: datetime
    number: str
    sip_host: str
    min_s: int
    duplicate_days: int = 0
    repeated: bool = False


class NoSale(msgspec.Struct, frozen=True, kw_only=True):
    """No bid as a seller is told it."""

    bid_id: str
    code: RtbCode


def split_name(text: str) -> tuple[str, str]:
    """The endpoint's id and the extension of an address's last part: `rtb_1.json` is `rtb_1`, `.json`."""
    for extension in _EXTENSIONS:
        if text.endswith(extension):
            return text.removesuffix(extension), extension
    return text, ""


def format_of(extension: str, wanted: str, accept: str) -> Format:
    """How to answer: by `format=…` of the request, the address's extension, or what is accepted."""
    if wanted.strip().lower() == "native" or (not extension and "callmatrix" in accept):
        return "native"
    if wanted.strip().lower() == "xml" or extension == ".xml":
        return "ringba_xml"
    first = accept.partition(",")[0].partition(";")[0].strip().lower()
    return "ringba_xml" if not extension and first in ("application/xml", "text/xml") else "ringba_json"


def read_values(*, query: str, content_type: str, body: bytes) -> dict[str, str]:
    """Everything that a request says, as texts; of two values with one name the body's, then the first.

    `fields` and `tags` that are objects count as if their values stood beside them; other objects and lists
    are left out. `Refused("malformed")` for what cannot be read, `("too_large")` for too many values.
    """
    values: dict[str, str] = {}
    for name, value in (*_in_body(content_type, body), *_in_query(query)):
        if len(name) <= MAX_NAME_CHARS:
            values.setdefault(name, value.replace("\x00", ""))
    if len(values) > MAX_VALUES:
        raise Refused("too_large", f"A request has at most {MAX_VALUES} values")
    return values


def _in_query(query: str) -> Iterator[tuple[str, str]]:
    try:
        yield from parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_VALUES, errors="strict")
    except ValueError:
        raise _malformed("The query", "Encode it as UTF-8, percent-encoded") from None


def _in_body(content_type: str, body: bytes) -> Iterator[tuple[str, str]]:
    """By what it looks like: sellers' systems do not always say what they send."""
    body = body.strip()
    media_type = content_type.partition(";")[0].strip().lower()
    if not body:
        return
    try:
        if body.startswith(b"<"):
            yield from _flat(read_xml(body))
        elif body.startswith(b"{") or media_type.endswith("json"):
            yield from _flat(read_json(body))
        else:
            yield from read_form(body).items()
    except Unreadable:
        raise _malformed("The body", "Send JSON, XML or a form") from None


def _flat(tree: Any, *, depth: int = 0) -> Iterator[tuple[str, str]]:
    if not isinstance(tree, dict):
        if depth == 0:
            raise Unreadable("It is no object")
        return
    for name, value in tree.items():
        match value:
            case bool():
                yield name, "true" if value else "false"
            case str() | int() | Decimal():
                yield name, str(value)
            case dict() if name in ("fields", "tags") and depth == 0:
                yield from _flat(value, depth=1)
            case _:
                pass


def _malformed(what: str, remedy: str) -> Refused:
    problem = Problem(field="", problem=f"{what} cannot be read", remedy=remedy)
    return Refused("malformed", f"{what} cannot be read", (problem,))


# --- answers -------------------------------------------------------------------------------------------


def render(answer: Answer | NoSale, how: Format) -> tuple[bytes, bytes]:
    """The media type and body of an answer; its status is always 200."""
    match how:
        case "native":
            told = _native(answer)
        case "ringba_json" | "ringba_xml":
            told = _ringba(answer)
    if how == "ringba_xml":
        return XML, (_PROLOGUE + _element(ROOT, told)).encode()
    return JSON, _encoder.encode(told)


def _ringba(answer: Answer | NoSale) -> dict[str, Any]:
    if isinstance(answer, NoSale):
        refusal = REFUSALS[answer.code]
        reason = f"{refusal.name} (Code: {refusal.number})"
        return {"bidId": answer.bid_id, "bidAmount": 0, "rejectReason": reason}
    told: dict[str, Any] = {
        "bidId": answer.bid_id,
        "bidAmount": _number(answer.amount),
        "expireInSeconds": _left_s(answer),
        "bidExpireDT": _spoken(answer.expires_at),
        "bidExpireEpoch": int(answer.expires_at.timestamp() * 1_000),
        "phoneNumber": answer.number,
        "phoneNumberNoPlus": answer.number.removeprefix("+"),
    }
    if answer.sip_host:
        told["sipAddress"] = f"{answer.number}@{answer.sip_host}"
    told["bidTerms"] = list(_terms(answer))
    told["warnings"] = [{"code": REPEATED, "description": _REPEATED_TEXT}] if answer.repeated else []
    return told


def _terms(answer: Answer) -> Iterator[dict[str, Any]]:
    paid = f"Paid once the call lasts {answer.min_s} seconds"
    yield {"code": "duration", "callMinDuration": answer.min_s, "description": paid}
    if answer.duplicate_days:
        unpaid = f"Not paid for a caller of the last {answer.duplicate_days} days"
        yield {"code": "duplicate", "windowDays": answer.duplicate_days, "description": unpaid}


def _native(answer: Answer | NoSale) -> dict[str, Any]:
    if isinstance(answer, NoSale):
        return {"bid": None, "bid_id": answer.bid_id, "reason": answer.code}
    told: dict[str, Any] = {
        "bid": str(answer.amount),
        "bid_id": answer.bid_id,
        "expires_in_s": _left_s(answer),
        "expires_at": answer.expires_at,
        "phone_number": answer.number,
        "min_s": answer.min_s,
        "duplicate_days": answer.duplicate_days,
        "repeated": answer.repeated,
    }
    if answer.sip_host:
        told["sip_address"] = f"sip:{answer.number}@{answer.sip_host}"
    return told


def _number(amount: Money) -> Decimal:
    return (Decimal(amount.micros) / MICROS_PER_UNIT).normalize() + 0


def _left_s(answer: Answer) -> int:
    return max(0, int((answer.expires_at - answer.now).total_seconds()))


def _spoken(at: datetime) -> str:
    """`8/12/2025 4:12:56 PM +00:00`, as the published examples write it."""
    utc = at.astimezone(UTC)
    half = "AM" if utc.hour < 12 else "PM"
    clock = f"{(utc.hour + 11) % 12 + 1}:{utc.minute:02}:{utc.second:02} {half}"
    return f"{utc.month}/{utc.day}/{utc.year} {clock} +00:00"


def _element(name: str, value: Any) -> str:
    """An element; a list holds one of the singular of its name for each of its things."""
    match value:
        case dict():
            inner = "".join(_element(key, one) for key, one in value.items())
        case list():
            inner = "".join(_element(name.removesuffix("s"), one) for one in value)
        case Decimal():
            inner = f"{value:f}"
        case _:
            inner = xml_text(str(value))
    return f"<{name}>{inner}</{name}>"
