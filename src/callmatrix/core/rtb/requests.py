"""Reads what a seller sent, in any of the trade's spellings, as one kind of request."""

import hashlib
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from callmatrix.core.geo import STATE_NAMES
from callmatrix.core.money import Money
from callmatrix.core.phone import BadPhone, is_anonymous, parse_e164

MAX_FIELDS: Final = 100
MAX_NAME_CHARS: Final = 40
MAX_VALUE_CHARS: Final = 200
MAX_SUB_ID_CHARS: Final = 100

# Names are compared without case and punctuation: `CID`, `caller_number`, `CallerId`, `InboundZipCode`.
_CALLER: Final = (
    "cid",
    "callerid",
    "callernumber",
    "caller",
    "callerphone",
    "ani",
    "phonenumber",
    "phone",
    "number",
)
_ZIP: Final = ("zip", "zipcode", "callerzip", "inboundzipcode", "postalcode", "callerzipcode")
_STATE: Final = ("state", "callerstate", "inboundstatecode", "statecode")
_SUB_ID: Final = ("subid", "publisherid", "trafficsourceid", "affiliateid", "source")
_SIP: Final = ("sipok",)
_EXPOSE: Final = ("exposecallerid",)
_DEADLINE: Final = ("deadlinems", "timeoutms")
_FLOOR: Final = ("floor", "minbid")
# How the request is sent, not what it asks for: these do not tell two requests apart.
_OF_THE_TRANSPORT: Final = frozenset(
    ("key", "apikey", "format", "id", "pingid", "at", "timestamp", *_DEADLINE)
)
_NO: Final = frozenset(("no", "false", "0", "n", "off"))
_UNFIT: Final = re.compile(r"[^a-z0-9]+")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class BidRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody who has a caller asks: `caller` is E.164, None where it is not told; `unread` says why a
    number that was told is none. `exposed`: bidders of ours may be told the number. `floor` is the least bid
    that is of use. `fields` are all values that are sent, by names in `snake_case`, `zip` and `state` among
    them."""

    caller: str | None = None
    unread: str = ""
    zip: str | None = None
    state: str | None = None
    sub_id: str = ""
    sip_ok: bool = True
    exposed: bool = False
    deadline_ms: int | None = None
    floor: Money | None = None
    fields: dict[str, str] = {}


def read_request(values: Mapping[str, str]) -> BidRequest:
    """A request in any network's names."""
    known = {_plain(name): value.strip() for name, value in reversed(tuple(values.items())) if value.strip()}
    told = _first(known, _CALLER)
    read = parse_e164(told) if told and not is_anonymous(told) else None
    fields = _fields(values)
    zip_code, state = _first(known, _ZIP), _first(known, _STATE).upper()
    if zip_code:
        fields["zip"] = zip_code[:MAX_VALUE_CHARS]
    if state:
        fields["state"] = state[:MAX_VALUE_CHARS]
    return BidRequest(
        caller=read if isinstance(read, str) else None,
        unread=read.problem if isinstance(read, BadPhone) else "",
        zip=zip_code[:MAX_VALUE_CHARS] or None,
        state=state if state in STATE_NAMES else None,
        sub_id=_first(known, _SUB_ID)[:MAX_SUB_ID_CHARS],
        sip_ok=_first(known, _SIP).lower() not in _NO,
        exposed=bool(_first(known, _EXPOSE)) and _first(known, _EXPOSE).lower() not in _NO,
        deadline_ms=_whole(_first(known, _DEADLINE)),
        floor=_amount(_first(known, _FLOOR)),
        fields=fields,
    )


def request_hash(endpoint_id: str, request: BidRequest) -> bytes:
    """What the same request has in common with its repeats: endpoint, caller and every value asked by."""
    parts = [endpoint_id, request.caller or ""]
    for name in sorted(request.fields):
        parts += (name, request.fields[name])
    parts += (str(request.floor or ""), str(request.sip_ok))
    return hashlib.sha256("\0".join(parts).encode()).digest()


def _fields(values: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in values.items():
        plain = _plain(name)
        if plain in _OF_THE_TRANSPORT or plain in _CALLER or not value.strip():
            continue
        written = _snake(name)
        if written and written not in kept:
            kept[written] = "".join(c if c.isprintable() else " " for c in value.strip()[:MAX_VALUE_CHARS])
    return kept


def _plain(name: str) -> str:
    return _UNFIT.sub("", name.lower())


def _snake(name: str) -> str:
    """`publisherInboundCallId` as `publisher_inbound_call_id`; empty where it begins with no letter."""
    written = _UNFIT.sub("_", _HUMP.sub("_", name).lower()).strip("_")[:MAX_NAME_CHARS]
    return written if written[:1].isalpha() else ""


def _first(known: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((known[name] for name in names if name in known), "")


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def _amount(text: str) -> Money | None:
    try:
        return Money.parse(text)
    except ValueError:
        return None
