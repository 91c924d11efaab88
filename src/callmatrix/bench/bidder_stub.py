"""Bidders for benchmarks: a process of its own that answers pings as their path asks, and says when it did.

`/bid/57300` answers with a bid after 57,300 µs, `/never` never, `/error` with status 500, `/malformed` with
what is no JSON, `/empty` with 204. A body's `sent_us` is the monotonic clock at the answer's sending, so that
the grain of this process's timers is nobody's delay.
"""

import asyncio
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from typing import Final, cast

import msgspec
import uvloop

from callmatrix.bench.certificate import Certificate
from callmatrix.world import monotonic_s

MAX_PORT_TRIES: Final = 50
MAX_HEADS: Final = 10_000
MAX_RECORD_BYTES: Final = 16_384
_BODY: Final = (
    '{{"bid_id":"b-0123456789","amount":"23.50","currency":"USD","expires_in_s":30,'
    '"destination":"+13125550143","min_s":90,"reference":"r0123456789","sent_us":"{sent_us}"}}'
)
_SENT_DIGITS: Final = 16
_HEAD: Final = (
    "HTTP/1.1 {status}\r\ndate: Mon, 02 Mar 2026 16:20:00 GMT\r\nserver: bidder\r\n"
    "content-type: application/json\r\ncache-control: no-store\r\nx-request-id: 0123456789abcdef\r\n"
    "x-frame-options: DENY\r\nvary: accept\r\ncontent-length: {length}\r\n\r\n"
)
_EMPTY: Final = b"HTTP/1.1 204 No Content\r\ndate: Mon, 02 Mar 2026 16:20:00 GMT\r\nserver: bidder\r\n\r\n"


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What the stub is started with: its addresses, and the certificate for its TLS port."""

    addresses: tuple[str, ...]
    certificate: Certificate


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Where it listens, on each address."""

    plain: int
    tls: int


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    kind: bytes
    delay_s: float
    length: int


def _whole(status: str, body: str) -> bytes:
    return (_HEAD.format(status=status, length=len(body)) + body).encode()


_BID: Final = _whole("200 OK", _BODY.format(sent_us="%0*d")).replace(
    # The reply is as long as with the digits.
    f"content-length: {len(_BODY.format(sent_us='%0*d'))}".encode(),
    f"content-length: {len(_BODY.format(sent_us='0' * _SENT_DIGITS))}".encode(),
)


def _bid() -> bytes:
    return _BID % (_SENT_DIGITS, int(monotonic_s() * 1e6))


_FIXED: Final[dict[bytes, bytes]] = {
    b"error": _whole("500 Internal Server Error", '{"error":"of the bidder\'s own"}'),
    b"malformed": _whole("200 OK", '{"bid_id":"b-0123456789","amount":'),
    b"empty": _EMPTY,
}


class Bidder(asyncio.Protocol):
    """One connection of a pinger: one request at a time, whole. TLS is done in place: the loop's own would
    make the stub slower than those it is to measure."""

    def __init__(self, open_now: "set[Bidder]", context: ssl.SSLContext | None) -> None:
        self._open_now = open_now
        self._transport: asyncio.Transport | None = None
        self._read = b""
        self._tls: ssl.SSLObject | None = None
        self._ready = False
        if context is not None:
            self._incoming = ssl.MemoryBIO()
            self._outgoing = ssl.MemoryBIO()
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A pinger has come."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class
        self._open_now.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The pinger has gone."""
        self._transport = None
        self._open_now.discard(self)

    def end(self) -> None:
        """Break the connection off."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """A request, or part of one."""
        if self._tls is not None:
            data = self._opened(self._tls, data)
        read = self._read + data if self._read else data
        end = read.find(b"\r\n\r\n")
        wanted = _wanted(read[:end]) if end >= 0 else None
        if wanted is None or len(read) < end + 4 + wanted.length:
            self._read = read
            return
        self._read = b""
        if wanted.kind == b"bid":
            if wanted.delay_s:
                asyncio.get_running_loop().call_later(wanted.delay_s, self._send, _bid)
            else:
                self._send(_bid)
        elif wanted.kind != b"never":
            self._send(lambda: _FIXED[wanted.kind])

    def _opened(self, tls: ssl.SSLObject, data: bytes) -> bytes:
        self._incoming.write(data)
        said = b""
        try:
            if not self._ready:
                tls.do_handshake()
                self._ready = True
            while self._incoming.pending:
                said += tls.read(MAX_RECORD_BYTES)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            if self._transport is not None:
                self._transport.abort()
        if self._outgoing.pending and self._transport is not None:
            self._transport.write(self._outgoing.read())
        return said

    def _send(self, answer: Callable[[], bytes]) -> None:
        if self._transport is None:
            return
        data = answer()
        if self._tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
        self._transport.write(data)


@lru_cache(MAX_HEADS)
def _wanted(head: bytes) -> _Wanted:
    """What a request's head asks for; pingers say the same again and again."""
    line, *headers = head.split(b"\r\n")
    _, kind, *more = line.split(b" ")[1].split(b"/")
    length = 0
    for header in headers:
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return _Wanted(kind=kind, delay_s=int(more[0]) / 1e6 if more else 0.0, length=length)


def _listening(addresses: tuple[str, ...]) -> list[socket.socket]:
    """Sockets on one port of all addresses."""
    for _ in range(MAX_PORT_TRIES):
        first = socket.create_server((addresses[0], 0), backlog=1024)
        port = first.getsockname()[1]
        opened = [first]
        try:
            opened += [socket.create_server((each, port), backlog=1024) for each in addresses[1:]]
        except OSError:
            for one in opened:
                one.close()
        else:
            return opened
    raise OSError("no port is free on all addresses")


async def serve(orders: Orders) -> None:
    """Answer until the end of the standard input; the ports go to the standard output."""
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(orders.certificate.chain + orders.certificate.key)
        file.flush()
        context.load_cert_chain(file.name)
    plain, sealed = _listening(orders.addresses), _listening(orders.addresses)
    open_now: set[Bidder] = set()
    servers = [
        *[await loop.create_server(lambda: Bidder(open_now, None), sock=one) for one in plain],
        *[await loop.create_server(lambda: Bidder(open_now, context), sock=one) for one in sealed],
    ]
    ports = Ports(plain=plain[0].getsockname()[1], tls=sealed[0].getsockname()[1])
    print(msgspec.json.encode(ports).decode(), flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    for server in servers:
        server.close()
    for bidder in tuple(open_now):
        bidder.end()
    for server in servers:
        await server.wait_closed()


if __name__ == "__main__":
    uvloop.run(serve(msgspec.json.decode(sys.stdin.buffer.readline(), type=Orders)))
