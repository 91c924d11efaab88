"""One connection to a bidder: carries one ping at a time, and reads its reply even after its auction."""

import asyncio
import ssl
from typing import Final, Protocol, cast

from callmatrix.live.pinger.reply import ReplyReader
from callmatrix.live.pinger.rounds import Round
from callmatrix.live.pinger.standings import Standing
from callmatrix.live.pinger.tls import Sessions, Tls
from callmatrix.live.pinger.values import Answered, Code
from callmatrix.world import monotonic_s

_NEVER_S: Final = float("inf")

_OPENING: Final = 0
_IDLE: Final = 1
_ASKED: Final = 2
_CLOSED: Final = 3


class Owner(Protocol):
    """Whose connection it is: a line."""

    idle: "dict[Connection, None]"
    idle_s: float
    linger_s: float

    def again(self, ping_round: Round, place: int, payload: bytes) -> None:
        """Send a ping on a fresh connection, in the place of one that has died."""

    def gone(self, connection: "Connection") -> None:
        """A connection has ended."""


class Connection(asyncio.Protocol):
    """A connection is opening, idle, asked, or closed. An asked one whose round has left it lingers: what
    still comes is read and thrown away, and then it is idle again."""

    __slots__ = (
        "_connect_us",
        "_first_s",
        "_gone",
        "_opened_s",
        "_owner",
        "_payload",
        "_place",
        "_reader",
        "_remembered",
        "_reused",
        "_round",
        "_sent_s",
        "_sessions",
        "_standing",
        "_state",
        "_tls",
        "_tls_us",
        "_transport",
        "host",
        "opened",
        "until_s",
    )

    def __init__(self, owner: Owner, standing: Standing, *, host: str, sessions: Sessions | None) -> None:
        self._owner = owner
        self._standing = standing
        self._sessions = sessions
        self.host = host
        self.until_s = _NEVER_S
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._state = _OPENING
        self._gone = False
        self._transport: asyncio.Transport | None = None
        self._reader = ReplyReader()
        self._tls: Tls | None = None
        self._remembered = False
        self._round: Round | None = None
        self._place = 0
        self._payload = b""
        self._reused = False
        self._opened_s = monotonic_s()
        self._sent_s = self._first_s = 0.0
        self._connect_us = self._tls_us = 0

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do."""
        return self._state == _IDLE

    # --- a ping ----------------------------------------------------------------------------------------

    def reserve(self, ping_round: Round, place: int, payload: bytes) -> None:
        """Carry this ping as soon as the connection is open."""
        self._round = ping_round
        self._place = place
        self._payload = payload
        ping_round.carriers[place] = self

    def carry(self, ping_round: Round, place: int, payload: bytes) -> None:
        """Send a ping; the connection was idle."""
        self._round = ping_round
        self._place = place
        self._payload = payload
        self._reused = True
        ping_round.carriers[place] = self
        self._send()

    def leave(self, *, now_s: float, failed: bool) -> str:
        """The round waits no longer for its answer; how far it had come."""
        self._round = None
        if failed:
            self._standing.heard("timed_out", now_s)
        if self._state == _OPENING:
            return "No connection yet"
        self.until_s = now_s + self._owner.linger_s
        return "It had begun to answer" if self._first_s else "It had not begun to answer"

    def _send(self) -> None:
        assert self._transport is not None
        self._state = _ASKED
        self._first_s = 0.0
        self.until_s = _NEVER_S
        self._sent_s = monotonic_s()
        if self._tls is None:
            self._transport.write(self._payload)
            return
        try:
            sealed = self._tls.encrypt(self._payload)
        except ssl.SSLError as error:
            self._broken(clean=False, detail=f"TLS: {_reason(error)}")
        else:
            self._transport.write(sealed)

    def _finish(self, now_s: float) -> None:
        """The reply is over: tell the round, and rest or end."""
        reader = self._reader
        code = reader.code
        status = reader.status
        if not code and 300 <= status < 400:
            code = "redirected"
        waiting = self._round
        if waiting is None:
            self._standing.late += not code
        else:
            self._round = None
            self._standing.heard(code, now_s)
            waiting.answer(
                self._place,
                Answered(
                    key=waiting.askings[self._place].key,
                    status=0 if reader.code else status,
                    body=reader.body(),
                    code=code,
                    detail=reader.detail,
                    reused=self._reused,
                    connect_us=0 if self._reused else self._connect_us,
                    tls_us=0 if self._reused else self._tls_us,
                    first_byte_us=int((self._first_s - self._sent_s) * 1e6) if self._first_s else 0,
                    total_us=int((now_s - waiting.started_s) * 1e6),
                ),
            )
        if reader.reusable:
            if self._tls is not None and not self._remembered:
                self._remembered = True
                self._tls.remember()
            self._rest(now_s)
        else:
            self.drop()

    def _rest(self, now_s: float) -> None:
        """Nothing to do: whoever asks next may have it."""
        self._reader.start()
        self._payload = b""
        self._state = _IDLE
        self.until_s = now_s + self._owner.idle_s
        self._owner.idle[self] = None
        self._standing.idle += 1

    # --- opening and ending ----------------------------------------------------------------------------

    def fail(self, code: Code, detail: str) -> None:
        """The connection cannot be opened."""
        waiting = self._round
        if waiting is not None:
            self._round = None
            self._standing.heard(code, monotonic_s())
            waiting.refuse(self._place, code, detail[:200])
        self.drop()

    def forsake(self) -> bool:
        """Connecting was given up. Where the transport was there just then, the loop closes it and may not
        say so (uvloop does not): then this is the connection's end. Whether it was there."""
        if self._transport is None:
            return False
        self._transport.abort()
        self._transport = None
        self.fail("unreachable", "The connection was given up while it opened")
        return True

    def drop(self) -> None:
        """End it at once. Whoever waits for its answer must have been told."""
        if self._state == _IDLE:
            self._owner.idle.pop(self, None)
            self._standing.idle -= 1
        self._state = _CLOSED
        if not self.opened.done():
            self.opened.set_result(None)
        if self._transport is None:
            self._end()
        else:
            self._transport.abort()

    def _end(self) -> None:
        if not self._gone:
            self._gone = True
            self._owner.gone(self)

    def _ready(self, now_s: float) -> None:
        self.opened.set_result(None)
        if self._round is None:
            self._rest(now_s)
        else:
            self._send()

    def _shake(self, data: bytes) -> None:
        assert self._tls is not None
        assert self._transport is not None
        try:
            done = self._tls.shake_hands(data)
        except (ssl.SSLError, ValueError) as error:
            self.fail("unreachable", f"TLS: {_reason(error)}")
            return
        self._transport.write(self._tls.to_send())
        if done:
            now_s = monotonic_s()
            self._tls_us = int((now_s - self._opened_s) * 1e6) - self._connect_us
            self._ready(now_s)

    # --- what the loop calls ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The address has taken the connection."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class
        if self._state == _CLOSED:
            self._transport.abort()
            return
        now_s = monotonic_s()
        self._connect_us = int((now_s - self._opened_s) * 1e6)
        if self._sessions is None:
            self._ready(now_s)
            return
        try:
            self._tls = Tls(self._sessions, self.host)
        except (ssl.SSLError, ValueError) as error:
            self.fail("unreachable", f"TLS: {_reason(error)}")
        else:
            self._shake(b"")

    def data_received(self, data: bytes) -> None:
        """Bytes of a reply, or of TLS."""
        tls = self._tls
        if tls is not None:
            data = self._opened_data(tls, data)
        if data:
            if self._state == _ASKED:
                now_s = monotonic_s()
                if not self._first_s:
                    self._first_s = now_s
                if self._reader.feed(data):
                    self._finish(now_s)
            elif self._state != _CLOSED:
                # Nobody asked: taken for the next reply, it would answer a question that it has not heard.
                self.drop()
        if tls is not None and tls.ended:
            # The other side may wait for ours before it ends the transport.
            self._broken(clean=True, detail="")

    def _opened_data(self, tls: Tls, data: bytes) -> bytes:
        """What TLS bytes say; the handshake's say nothing."""
        if self._state == _OPENING:
            self._shake(data)
            if self._state == _OPENING:
                return b""
            data = b""
        if self._state == _CLOSED:
            return b""
        try:
            said = tls.decrypt(data)
        except ssl.SSLError as error:
            self._broken(clean=False, detail=f"TLS: {_reason(error)}")
            return b""
        if not said and self._transport is not None:
            # What was no reply may want one; what came beside a reply waits for the next request.
            owed = tls.to_send()
            if owed:
                self._transport.write(owed)
        return said

    def eof_received(self) -> None:
        """The other side sends no more; the transport ends by itself."""
        self._broken(clean=self._tls is None, detail="")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._broken(clean=False, detail=str(exc or ""))
        self._end()

    def _broken(self, *, clean: bool, detail: str) -> None:
        """No more bytes will come."""
        if self._state == _OPENING:
            self.fail("unreachable", detail or "The connection was closed while it opened")
        elif self._state == _IDLE:
            self.drop()
        elif self._state == _ASKED:
            waiting = self._round
            if waiting is not None and self._reused and not self._first_s:
                # It had died while it was idle, most likely, and no byte of an answer came: asked once more
                # on a fresh connection. To ask twice does no harm: a ping changes nothing, POST or not.
                self._round = None
                self._standing.retried += 1
                self.drop()
                self._owner.again(waiting, self._place, self._payload)
                return
            self._reader.end(clean=clean)
            self._finish(monotonic_s())


def _reason(error: Exception) -> str:
    return getattr(error, "verify_message", "") or getattr(error, "reason", None) or str(error)
