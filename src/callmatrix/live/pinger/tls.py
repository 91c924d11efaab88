"""TLS over a transport's bytes: verified, resumed where the server allows it, with no buffer of its own."""

import ssl
from collections import OrderedDict
from typing import Final

MAX_SESSIONS: Final = 2_000
MAX_RECORD_BYTES: Final = 16_384


def client_context(*, extra_ca: str = "") -> ssl.SSLContext:
    """The one context of a process: the system's authorities and `extra_ca` (PEM); TLS 1.2 or later."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if extra_ca:
        context.load_verify_locations(cadata=extra_ca)
    return context


class Sessions:
    """The last TLS session of each host: taking it up again saves most of a handshake.

    A session holds only for the host whose certificate was verified when it began.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self._sessions: OrderedDict[str, ssl.SSLSession] = OrderedDict()

    def get(self, host: str) -> ssl.SSLSession | None:
        """The session to offer, if there is one."""
        return self._sessions.get(host)

    def put(self, host: str, session: ssl.SSLSession) -> None:
        """Remember a session; forget the oldest past `MAX_SESSIONS`."""
        self._sessions[host] = session
        self._sessions.move_to_end(host)
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)


class Tls:
    """One connection's TLS. The caller moves the bytes: `received` from the wire, `to_send` to it."""

    __slots__ = ("_host", "_incoming", "_object", "_outgoing", "_sessions", "ended", "resumed")

    def __init__(self, sessions: Sessions, host: str) -> None:
        self._sessions = sessions
        self._host = host
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = sessions.context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=host, session=sessions.get(host)
        )
        self.resumed = False
        self.ended = False

    def shake_hands(self, data: bytes) -> bool:
        """Go on with the handshake by these bytes; whether it is done. Raises `ssl.SSLError`."""
        self._incoming.write(data)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.resumed = bool(self._object.session_reused)
        return True

    def to_send(self) -> bytes:
        """What the wire is owed."""
        return self._outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        """The wire's form of what is said. Raises `ssl.SSLError`."""
        self._object.write(data)
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        """What is said in these bytes, as far as its records are whole; `ended` once the other side says that
        it sends no more. Raises `ssl.SSLError`."""
        incoming = self._incoming
        incoming.write(data)
        said = b""
        # One record a turn, mostly the only one, and each takes bytes away.
        while incoming.pending:
            try:
                more = self._object.read(MAX_RECORD_BYTES)
            except ssl.SSLWantReadError:
                break
            if not more:
                self.ended = True
                break
            said = said + more if said else more
        return said

    def remember(self) -> None:
        """Keep the session for the next connection to this host; with TLS 1.3 it is known only after the
        first bytes of an answer."""
        session = self._object.session
        if session is not None and session.has_ticket:
            self._sessions.put(self._host, session)
