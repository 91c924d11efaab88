"""Keeps the addresses that carriers call: which connection, call, turn and kind each of them means."""

import re
from typing import Final, Literal, get_args

import msgspec

from callmatrix.core.campaign import Connection
from callmatrix.core.ids import AttemptId, CallId, ConnectionId

MAX_PATH_CHARS: Final = 300
MAX_KEY: Final = 999_999

CallbackKind = Literal[
    "gather",  # keys of a gather, or silence; key: the turn
    "dial",  # a dial is over, and what now; key: the attempt's number
    "leg",  # a leg's progress; key: the attempt's number
    "whisper",  # a leg was answered, and what it hears; key: the attempt's number
    "accept",  # the buyer's keys; key: the attempt's number
    "record",  # a message was left, and what now; key: 0
    "voicemail",  # the message's recording is there; key: 0
    "recording",  # a bridge's recording is there; key: the attempt's number
    "status",  # the call is over; key: 0
]
PageKind = Literal["arrival", "status", "fallback"]

_ID: Final = "[A-Za-z0-9_-]{1,64}"
_CALLBACK: Final = re.compile(
    rf"/voice/({_ID})/({_ID})/({'|'.join(get_args(CallbackKind))})/(0|[1-9][0-9]{{0,5}})"
)
_PAGE: Final = re.compile(rf"/voice/({_ID})(?:/(status|fallback))?")


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """What a carrier reports of one call; with the carrier's call id, the key of a repeat."""

    connection_id: ConnectionId
    call_id: CallId
    kind: CallbackKind
    key: int = 0


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What a carrier asks of a connection, naming the call only by its own id.

    `arrival`: a call comes in. `status`: a call is over; for carriers that take the address from the number
    and not from a document. `fallback`: our first answer could not be had.
    """

    connection_id: ConnectionId
    kind: PageKind


def callback_path(callback: Callback) -> str:
    """`/voice/{connection_id}/{call_id}/{kind}/{key}`."""
    return f"/voice/{callback.connection_id}/{callback.call_id}/{callback.kind}/{callback.key}"


def page_path(page: Page) -> str:
    """`/voice/{connection_id}` for arrivals, with the kind appended for the others."""
    if page.kind == "arrival":
        return f"/voice/{page.connection_id}"
    return f"/voice/{page.connection_id}/{page.kind}"


def callback_root(connection: Connection, call_id: CallId) -> str:
    """What every absolute callback URL of a call begins with; `/{kind}/{key}` follows."""
    return f"{connection.public_base_url.rstrip('/')}/voice/{connection.id}/{call_id}"


def page_url(connection: Connection, kind: PageKind) -> str:
    """The absolute URL to configure at the carrier."""
    page = Page(connection_id=connection.id, kind=kind)
    return connection.public_base_url.rstrip("/") + page_path(page)


def signed_url(connection: Connection, path: str, query: str = "") -> str:
    """The URL as the carrier signed it: public, whatever host and scheme a proxy made of it.

    `path` begins with `/voice/` (without a prefix that the public URL may have); `query` without `?`.
    """
    url = connection.public_base_url.rstrip("/") + path
    return f"{url}?{query}" if query else url


def parse_path(path: str) -> Callback | Page | None:
    """What a request's path means, or None where it is none of these."""
    if len(path) > MAX_PATH_CHARS:
        return None
    found = _CALLBACK.fullmatch(path)
    if found is not None:
        connection_id, call_id, kind, key = found.groups()
        return Callback(
            connection_id=ConnectionId(connection_id),
            call_id=CallId(call_id),
            kind=_KINDS[kind],
            key=int(key),
        )
    found = _PAGE.fullmatch(path)
    if found is None:
        return None
    return Page(connection_id=ConnectionId(found.group(1)), kind=_PAGE_KINDS[found.group(2) or "arrival"])


def attempt_key(attempt_id: AttemptId) -> str:
    """The attempt's number, as it stands in its callback URLs (see `core.ids.attempt_id`)."""
    return attempt_id.rpartition("-")[2]


_KINDS: Final[dict[str, CallbackKind]] = {kind: kind for kind in get_args(CallbackKind)}
_PAGE_KINDS: Final[dict[str, PageKind]] = {kind: kind for kind in get_args(PageKind)}
