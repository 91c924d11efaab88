"""Lists of the API: a page of items and the cursor of the next one."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Generic, TypeVar

import msgspec

from callmatrix.api.problems import invalid

T = TypeVar("T")

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
MAX_CURSOR_CHARS: Final = 400

Limit = Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)]
Cursor = Annotated[
    str, msgspec.Meta(max_length=MAX_CURSOR_CHARS, description="`next_cursor` of the page before")
]
Search = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
IdText = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Items in order; `next_cursor` is null on the last page."""

    items: tuple[T, ...]
    next_cursor: str | None = None


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of a list."""

    cursor: Cursor | None = None
    limit: Limit = DEFAULT_LIMIT


def cursor_of(*parts: str) -> str:
    """A cursor that holds these parts."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def parts_of(cursor: str | None, count: int) -> tuple[str, ...] | None:
    """The parts of a cursor, None for the first page; a cursor that we did not make is refused."""
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        parts = msgspec.json.decode(raw, type=tuple[str, ...])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        parts = ()
    if len(parts) != count or any("\x00" in part for part in parts):
        raise _bad_cursor()
    return parts


def place_of(cursor: str | None) -> tuple[datetime, str] | None:
    """The instant and id of a cursor of a list in order of time."""
    parts = parts_of(cursor, 2)
    if parts is None:
        return None
    try:
        at = datetime.fromisoformat(parts[0])
    except ValueError:
        raise _bad_cursor() from None
    if at.tzinfo is None:
        raise _bad_cursor()
    return at, parts[1]


def number_of(cursor: str | None) -> int | None:
    """The number of a cursor of a list in order of a number."""
    parts = parts_of(cursor, 1)
    if parts is None:
        return None
    if not (parts[0].isascii() and parts[0].isdecimal() and len(parts[0]) <= 18):
        raise _bad_cursor()
    return int(parts[0])


def is_full(items: Sequence[object], limit: int) -> bool:
    """Whether there may be a next page."""
    return len(items) >= limit


def _bad_cursor() -> Exception:
    return invalid("cursor", "This is not a cursor of this list", "Send `next_cursor` as you got it, or none")
