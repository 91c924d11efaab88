"""How captured fields get into texts and addresses, and what an answer or an entry may become a field of."""

import re
from datetime import date
from typing import Final, Literal, assert_never

import msgspec

from callmatrix.core import geo
from callmatrix.core.flow.nodes import MAX_FIELD_LENGTH, MAX_TEXT, AskService, CollectNode, LookupNode

MAX_URL: Final = 8_000
MAX_PATH_PARTS: Final = 20
MAX_INDEX_DIGITS: Final = 6
MAX_INT_BITS: Final = 256

ZIP_LENGTH: Final = 5
DATE_LENGTH: Final = 8
PHONE_LENGTH: Final = 10
FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2099

# Known to every text without being captured, and derived from the call's facts.
BUILT_IN_FIELDS: Final = ("caller_state", "caller_zip", "caller_area_code", "dialed_number")

_PLACE: Final = re.compile(r"\{([^{}]*)\}")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

# The numbering plan: neither part starts with 0 or 1, and N11 is a service. 555 numbers pass, for tests.
_PHONE: Final = re.compile(r"(?!.11)(?!....11)[2-9][0-9]{2}[2-9][0-9]{6}")
_YES_NO: Final = {"1": "yes", "2": "no"}

EntryCode = Literal[
    "silence",
    "too_short",
    "too_long",
    "not_digits",
    "zip_unknown",
    "date_invalid",
    "phone_invalid",
    "not_1_or_2",
]


class Entered(msgspec.Struct, frozen=True):
    """An entry that passed its check, as it is kept."""

    value: str


class BadEntry(msgspec.Struct, frozen=True):
    """Why an entry is not kept."""

    code: EntryCode


def places(text: str) -> tuple[str, ...]:
    """The names between braces in a text, in order, whether or not they are fields."""
    return tuple(_PLACE.findall(text))


def fill(text: str, fields: dict[str, str]) -> str:
    """A text with every `{field}` replaced; an unknown field becomes nothing. At most `MAX_TEXT` long."""
    if "{" not in text:
        return text[:MAX_TEXT]
    return _PLACE.sub(lambda place: fields.get(place[1], ""), text)[:MAX_TEXT]


def kept(value: str) -> str:
    """A value as a field keeps it: one line of printable text of at most `MAX_FIELD_LENGTH`.

    Control characters and lone surrogates would be refused by the database and by XML.
    """
    if value.isprintable():
        return value[:MAX_FIELD_LENGTH]
    return "".join(c if c.isprintable() else " " for c in value[:MAX_FIELD_LENGTH])


def ask(node: LookupNode, fields: dict[str, str]) -> AskService | None:
    """The question that a lookup asks; None where the filled address is longer than `MAX_URL`.

    For GET the `send` values go into the query, for POST into the body.
    """
    encoded = {name: percent_encode(value) for name, value in fields.items()}
    url = _PLACE.sub(lambda place: encoded.get(place[1], ""), node.url.partition("#")[0])
    body = {name: fill(value, fields) for name, value in node.send.items()}
    if node.method == "GET" and body:
        query = "&".join(f"{percent_encode(name)}={percent_encode(value)}" for name, value in body.items())
        url, body = f"{url}{'&' if '?' in url else '?'}{query}", {}
    if len(url) > MAX_URL:
        return None
    return AskService(url=url, method=node.method, body=body, read=node.read, timeout_ms=node.timeout_ms)


def percent_encode(text: str) -> str:
    """A text as one part of an address, after RFC 3986: everything but the unreserved is escaped."""
    data = text.encode("utf-8", "replace")
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in data)


def read_reply(ask: AskService, reply: object) -> dict[str, str]:
    """The fields that a service's reply (decoded JSON) has under the question's paths.

    A path is dotted, a number in it counts list items from 0. Texts, numbers and booleans are kept as
    text (`true`, `false`); what is missing, null, a list, an object or out of bounds is left out.
    """
    values: dict[str, str] = {}
    for field, path in ask.read.items():
        text = _as_text(_at(reply, path))
        if text is not None:
            values[field] = kept(text)
    return values


def _at(reply: object, path: str) -> object:
    here = reply
    parts = path.split(".", MAX_PATH_PARTS)
    for part in parts:
        if isinstance(here, dict):
            here = here.get(part)
        elif isinstance(here, list) and _is_index(part) and int(part) < len(here):
            here = here[int(part)]
        else:
            return None
    return here


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) <= MAX_INDEX_DIGITS


def _as_text(value: object) -> str | None:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value) if value.bit_length() <= MAX_INT_BITS else None
        case float():
            return str(value)
        case _:
            return None


def entry_length(node: CollectNode) -> int:
    """How many keys the carrier waits for at most."""
    match node.type:
        case "digits":
            return node.max_length
        case "zip":
            return ZIP_LENGTH
        case "date":
            return DATE_LENGTH
        case "phone":
            return PHONE_LENGTH
        case "yes_no":
            return 1
        case _:
            assert_never(node.type)


def check_entry(node: CollectNode, digits: str) -> Entered | BadEntry:
    """Whether the keys are what the node asks for, and how they are kept."""
    if not (digits.isascii() and digits.isdigit()):
        return BadEntry("not_digits")
    if len(digits) > entry_length(node):
        return BadEntry("too_long")
    if len(digits) < (node.min_length if node.type == "digits" else entry_length(node)):
        return BadEntry("too_short")
    match node.type:
        case "digits":
            return Entered(digits)
        case "zip":
            return BadEntry("zip_unknown") if geo.from_zip(digits) is geo.UNKNOWN else Entered(digits)
        case "date":
            return Entered(digits) if _is_date(digits) else BadEntry("date_invalid")
        case "phone":
            return Entered(f"+1{digits}") if _PHONE.fullmatch(digits) else BadEntry("phone_invalid")
        case "yes_no":
            return Entered(_YES_NO[digits]) if digits in _YES_NO else BadEntry("not_1_or_2")
        case _:
            assert_never(node.type)


def _is_date(digits: str) -> bool:
    month, day, year = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return False
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
