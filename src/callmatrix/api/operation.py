"""One operation of the API as a value: its path, its shapes, who may call it, and what answers it."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import msgspec

from callmatrix.api.access import Permission, Principal
from callmatrix.api.hot import Counters
from callmatrix.live.app import App

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
T = TypeVar("T")

MAX_BODY_BYTES: Final = 1_048_576
JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
PROBLEM_JSON: Final = "application/problem+json"
_ID_BYTES: Final = 16


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request, checked and read: `query` and `body` are of the operation's types.

    `revision` is that of `If-Match`; `session` is the session cookie's secret; `address` the caller's;
    `last_event_id` the header of a stream that goes on. `repeat` names the request where it came with an
    idempotency key: the same for its repeats, and for no other request. `lane` counts what the
    carriers' lane of this process saw.
    """

    app: App
    principal: Principal | None
    now: datetime
    path: dict[str, str]
    query: Any
    body: Any
    raw_body: bytes
    revision: int | None
    session: str
    address: str
    accept: str
    last_event_id: str = ""
    repeat: bytes = b""
    lane: Counters

    def new_id(self, prefix: str) -> str:
        """The id of a record to make: of a request with an idempotency key always the same one, so that a
        repeat whose first answer was lost finds the record that it made."""
        if not self.repeat:
            return self.app.world.new_id(prefix)
        return derived_id(prefix, self.repeat)

    @property
    def who(self) -> Principal:
        """The principal of an operation that is not public."""
        assert self.principal is not None
        return self.principal

    def given(self, kind: type[T]) -> T:
        """The body, which is of the operation's type."""
        assert isinstance(self.body, kind)
        return self.body

    def asked(self, kind: type[T]) -> T:
        """The query, which is of the operation's type."""
        assert isinstance(self.query, kind)
        return self.query


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered: a value to encode as JSON, or `raw` bytes or a `stream` of `media_type`."""

    value: Any = None
    status: int = 200
    headers: dict[str, str] = {}
    raw: bytes | None = None
    stream: AsyncIterator[bytes] | None = None
    media_type: str = JSON


def derived_id(prefix: str, name: bytes) -> str:
    """An id made of a name of at least 128 evenly spread bits; it looks like every other one."""
    return f"{prefix}_{base64.b32hexencode(name[:_ID_BYTES]).decode().rstrip('=').lower()}"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is the operation id. `patches`: the body is a merge patch (RFC 7396) of `body`.

    `needs_revision`: `If-Match` names the revision that was read. `secret`: the reply shows a secret once,
    so that it is sealed where it is kept for a repeated idempotency key. `other_media` are the media types
    that `Accept` may ask for instead of JSON; `returned_as`
    is the media type of `returns`. `refusals` are codes beyond those that every operation has.
    """

    method: Method
    path: str
    name: str
    tag: str
    summary: str
    permission: Permission
    run: Callable[[Ask], Awaitable[Reply]]
    description: str = ""
    query: Any = None
    body: Any = None
    returns: Any = None
    returned_as: str = JSON
    status: int = 200
    example: Any = None
    patches: bool = False
    needs_revision: bool = False
    secret: bool = False
    other_media: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()

    @property
    def takes_key(self) -> bool:
        """Whether `Idempotency-Key` makes it safe to repeat."""
        return self.method == "POST" and self.permission not in ("public", "self")
