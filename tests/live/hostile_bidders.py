"""Bidders on loopback, real sockets and all, that answer byte by byte as a test tells them to."""

import asyncio
import contextlib
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from callmatrix.dialects.http import HttpRequest
from callmatrix.live.pinger import Asking, Pinger, open_pinger
from callmatrix.world import RealWorld

PATIENT_MS = 20_000
IMPATIENT_MS = 150
MAX_TURNS = 1_000_000


def on_each_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[Any], None]:
    """A test of this scenario on asyncio's loop and on uvloop's, which is the one that serves."""

    @pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
    def test(run: Any) -> None:
        run(scenario())

    test.__doc__ = scenario.__doc__
    return test


class Talk:
    """One connection from a pinger."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bidder: "Bidder") -> None:
        self._reader = reader
        self._writer = writer
        self._bidder = bidder
        self.number = bidder.connections

    async def request(self) -> bytes:
        """The next request, whole."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        whole = head + await self._reader.readexactly(length)
        self._bidder.requests.append(whole)
        return whole

    async def say(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def until_closed(self) -> None:
        """Wait for the other side to close."""
        while await self._reader.read(65_536):
            pass

    def reset(self) -> None:
        """Break the connection off, with RST."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def abort(self) -> None:
        """End the connection with none of TLS's goodbyes."""
        # uvloop's socket cannot be shut down by itself; its twin can.
        with socket.socket(fileno=os.dup(self._writer.get_extra_info("socket").fileno())) as twin:
            twin.shutdown(socket.SHUT_RDWR)

    @property
    def resumed(self) -> bool:
        """Whether this TLS connection took up an earlier session."""
        return bool(self._writer.get_extra_info("ssl_object").session_reused)


Behave = Callable[[Talk], Awaitable[None]]


class Bidder:
    """A listening bidder: what it was asked, over how many connections, and how many are open."""

    def __init__(self) -> None:
        self.url = ""
        self.port = 0
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        self._changed = asyncio.Condition()

    async def until_open(self, connections: int) -> None:
        """Wait until so many connections are open."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.open == connections)

    async def changed(self, by: int) -> None:
        """Count."""
        async with self._changed:
            self.open += by
            self._changed.notify_all()


@asynccontextmanager
async def bidder(behave: Behave, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Bidder]:
    """A bidder; each connection to it is one `behave`, and ends with it."""
    this = Bidder()
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        this.connections += 1
        talks.add(asyncio.current_task())  # type: ignore[arg-type]
        await this.changed(1)
        try:
            await behave(Talk(reader, writer, this))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side has gone, or the test is over
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            await this.changed(-1)

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls, backlog=512)
    this.port = server.sockets[0].getsockname()[1]
    this.url = f"{'https' if tls else 'http'}://127.0.0.1:{this.port}/ping"
    try:
        yield this
    finally:
        server.close()
        for each in talks:
            each.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await server.wait_closed()


@asynccontextmanager
async def pinging(**changes: Any) -> AsyncIterator[Pinger]:
    """A pinger that may ask loopback."""
    opened = open_pinger(**{"allow_loopback": True, "world": RealWorld(), **changes})
    try:
        yield opened
    finally:
        await opened.close()


def asking(url: str, key: str = "off_1", **changes: Any) -> Asking:
    """A ping of offer `key` to this address."""
    request = HttpRequest(
        method=changes.pop("method", "POST"),
        url=url,
        headers=changes.pop("headers", {"content-type": "application/json"}),
        body=changes.pop("body", b'{"zip":"60601"}'),
    )
    given = {"key": key, "bidder": f"acc_1/{key}", "timeout_ms": PATIENT_MS, "request": request}
    return Asking(**{**given, **changes})


def ok(body: bytes = b'{"amount":"20"}', *headers: str, status: str = "200 OK") -> bytes:
    """A whole reply."""
    lines = [f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answering(*replies: bytes) -> Behave:
    """A bidder that answers with these, over and over, on every connection."""

    async def behave(talk: Talk) -> None:
        while True:
            for reply in replies:
                await talk.request()
                await talk.say(reply)

    return behave


def once(reply: bytes) -> Behave:
    """A bidder that answers once and closes."""

    async def behave(talk: Talk) -> None:
        await talk.request()
        await talk.say(reply)

    return behave


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop work until something holds."""
    for _ in range(MAX_TURNS):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to hold")


async def never(talk: Talk) -> None:
    """A bidder that says nothing."""
    await talk.until_closed()
