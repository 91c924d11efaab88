"""Reads one HTTP/1.x reply after the other from a connection's bytes, within limits, whatever they are."""

from typing import Final

import httptools

from callmatrix.live.pinger.values import Code

MAX_HEAD_BYTES: Final = 16_384
MAX_HEADERS: Final = 100
MAX_BODY_BYTES: Final = 65_536
MAX_INFORMATIONAL: Final = 8
"""Replies with a status 1xx before the real one."""

_HEAD_END: Final = b"\r\n\r\n"
_FRAMES: Final = (b"\ncontent-length:", b"\ntransfer-encoding:")


class _Stop(Exception):
    """Nothing more is to be read from this connection; the reader says why."""


class ReplyReader:
    """Reads the replies of one connection: `feed` until it says that one is over, then `start` the next.

    When one is over: `code` is "" for a whole reply, else `malformed`, `too_large` or, where the connection
    ended inside it, `unreachable`; `status` and `body` are what came; `reusable` says whether the connection
    may carry another request.
    """

    __slots__ = (
        "_head",
        "_head_done",
        "_informational",
        "_parser",
        "_parts",
        "_size",
        "_surplus",
        "code",
        "detail",
        "over",
        "reusable",
        "status",
    )

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._surplus = False
        self.code: Code = ""
        self.detail = ""
        self.reusable = False
        self.status = 0
        self.start()

    def start(self) -> None:
        """Expect a reply; the one before, if any, left the connection reusable."""
        self._head = b""
        self._head_done = False
        self._informational = 0
        self._parts.clear()
        self._size = 0
        self.over = False

    def body(self) -> bytes:
        """The reply's body as far as it came."""
        parts = self._parts
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def feed(self, data: bytes) -> bool:
        """Read on; whether the reply is over. Never raises."""
        try:
            if self._head_done or self._head or len(data) > MAX_HEAD_BYTES:
                self._feed_part(data)
            else:
                # The usual reply comes whole. Where it has many lines, headers are counted for themselves.
                self._parser.feed_data(data)
                if not self.over or data.count(b"\n") > MAX_HEADERS:
                    self._note_head(data)
        except _Stop:
            pass
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._failed(error)
        if self._surplus:
            self.reusable = False
        return self.over

    def end(self, *, clean: bool) -> None:
        """The connection has ended: the reply is over, and whole only if it was to last until then."""
        if self.over:
            return
        self.over = True
        self.reusable = False
        if clean and self._head_done and _lasts_until_the_end(self._head):
            return
        self._give_up("unreachable", "The connection broke off inside the answer")

    def _feed_part(self, data: bytes) -> None:
        if self._head_done:
            self._parser.feed_data(data)
            return
        head = self._head + data
        room = MAX_HEAD_BYTES - len(self._head)
        # What may be head is read alone: only then is it known whether the rest is head too.
        self._parser.feed_data(data[:room])
        if not self._head_done and len(head) > MAX_HEAD_BYTES:
            self._give_up("too_large", f"Its headers are longer than {MAX_HEAD_BYTES} bytes")
            raise _Stop
        self._note_head(head)
        if room < len(data):
            self._parser.feed_data(data[room:])

    def _note_head(self, head: bytes) -> None:
        """Count the headers, and keep them where the reply is not over: they say how it may end."""
        if not self._head_done:
            self._head = head
            if head.count(b"\n") > MAX_HEADERS + 2 * MAX_INFORMATIONAL:
                self._too_many()
            return
        if self._informational:
            head = _without_informational(head)
        end = head.find(_HEAD_END)
        if head.count(b"\n", 0, end) > MAX_HEADERS:
            self._too_many()
        if not self.over:
            self._head = head[:end]

    def _too_many(self) -> None:
        self._give_up("too_large", f"It has more than {MAX_HEADERS} headers")
        raise _Stop

    def _give_up(self, code: Code, detail: str) -> None:
        self.over = True
        self.reusable = False
        self.code = code
        self.detail = detail
        self._parts.clear()

    def _failed(self, error: Exception) -> None:
        if self.over:
            # The reply was whole before, or its end has been said: what follows only costs the connection.
            self.reusable = False
        else:
            self._give_up("malformed", f"Not HTTP: {error}"[:200])

    # --- what the parser finds -------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A reply starts. A second one was not asked for."""
        if self.over:
            self._surplus = True
            raise _Stop

    def on_headers_complete(self) -> None:
        """The head is read."""
        status = self._parser.get_status_code()
        if status >= 200:
            self._head_done = True
            self.status = status

    def on_body(self, data: bytes) -> None:
        """More of the body."""
        self._size += len(data)
        if self._size > MAX_BODY_BYTES:
            self._give_up("too_large", f"Its body is longer than {MAX_BODY_BYTES} bytes")
            raise _Stop
        self._parts.append(data)

    def on_message_complete(self) -> None:
        """A reply ends; a status 1xx announces another."""
        if self._head_done:
            self.over = True
            self.reusable = self._parser.should_keep_alive()
            return
        self._informational += 1
        if self._informational > MAX_INFORMATIONAL:
            self._give_up("malformed", f"More than {MAX_INFORMATIONAL} announcements of an answer")
            raise _Stop


def _without_informational(head: bytes) -> bytes:
    """What follows the heads of statuses 1xx."""
    for _ in range(MAX_INFORMATIONAL):
        head = head.lstrip(b"\r\n")
        if head[9:10] != b"1":
            break
        head = head[head.find(_HEAD_END) + len(_HEAD_END) :]
    return head


def _lasts_until_the_end(head: bytes) -> bool:
    """Whether nothing in the head says where the body ends (RFC 9112, 6.3)."""
    lower = head.lower()
    return not any(frame in lower for frame in _FRAMES)
