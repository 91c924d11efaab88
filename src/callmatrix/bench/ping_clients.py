"""The clients that the auction benchmark compares, each at its best: connections kept, no limits."""

import asyncio
import io
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import aiohttp
import msgspec
import pycurl
from yarl import URL

from callmatrix.dialects.http import HttpRequest
from callmatrix.live.pinger import Asking, open_pinger
from callmatrix.world import RealWorld

MAX_KEPT: Final = 1_000
_HEADERS: Final = {"content-type": "application/json", "accept-encoding": "identity"}


class Ping(msgspec.Struct, frozen=True, kw_only=True):
    """What every client is to send: a POST."""

    url: str
    body: bytes


class Got(msgspec.Struct, frozen=True):
    """What came back; status 0 where nothing did."""

    status: int = 0
    body: bytes = b""


NOTHING: Final = Got()


class Reply(Protocol):
    """What is asked of whatever a client brings back."""

    @property
    def status(self) -> int:
        """The status, 0 where nothing came."""

    @property
    def body(self) -> bytes:
        """The body, whole."""


Auction = Callable[[], Awaitable[Sequence[Reply]]]
"""Asks all at once; what came by the deadline, in the order asked."""


class Client(Protocol):
    """One way to hold auctions."""

    def auction(self, pings: Sequence[Ping], *, deadline_ms: int) -> Auction:
        """An auction that can be held many times, prepared as far as it can be without the wire."""

    async def close(self) -> None:
        """End its connections."""


class Ours:
    """The pinger, each reply with its verdict. Its throttle counts but never skips: the others have none."""

    def __init__(self, authority: str) -> None:
        self._pinger = open_pinger(
            allow_loopback=True,
            world=RealWorld(),
            extra_ca=authority,
            throttling="simulate",
            max_opening=MAX_KEPT,
        )

    def auction(self, pings: Sequence[Ping], *, deadline_ms: int) -> Auction:
        """One call for all."""
        pinger = self._pinger
        askings = [
            Asking(
                key=str(place),
                bidder=URL(ping.url).host or "",
                request=HttpRequest(
                    method="POST",
                    url=ping.url,
                    headers={"content-type": "application/json"},
                    body=ping.body,
                ),
                timeout_ms=deadline_ms,
            )
            for place, ping in enumerate(pings)
        ]

        async def held() -> Sequence[Reply]:
            answers = await pinger.ask(askings, deadline_ms=deadline_ms)
            for asking, answered in zip(askings, answers, strict=True):
                if not answered.code:
                    pinger.verdict(asking.bidder, good=answered.status < 300)
            return answers

        return held

    async def close(self) -> None:
        """End its connections."""
        await self._pinger.close()


class Aiohttp:
    """aiohttp: a task for each ping, as its documentation has it; the URLs parsed beforehand."""

    def __init__(self, authority: str) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, limit_per_host=0, ssl=ssl.create_default_context(cadata=authority)
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            headers=_HEADERS,
            skip_auto_headers=("user-agent", "accept"),
        )

    def auction(self, pings: Sequence[Ping], *, deadline_ms: int) -> Auction:
        """A task for each; those that are not done at the deadline are cancelled."""
        prepared = [(URL(ping.url), ping.body) for ping in pings]

        async def held() -> Sequence[Reply]:
            tasks = [asyncio.create_task(self._ask(url, body)) for url, body in prepared]
            _, late = await asyncio.wait(tasks, timeout=deadline_ms / 1_000)
            for task in late:
                task.cancel()
            return [
                NOTHING if task in late or task.exception() is not None else task.result() for task in tasks
            ]

        return held

    async def _ask(self, url: URL, body: bytes) -> Got:
        async with self._session.post(url, data=body, allow_redirects=False) as reply:
            return Got(reply.status, await reply.read())

    async def close(self) -> None:
        """End its connections."""
        await self._session.close()


class _Transfer:
    """One easy handle, used again for the same bidder, so that only what changes is set."""

    __slots__ = ("body", "curl")

    def __init__(self, ping: Ping, *, authority: bytes) -> None:
        self.curl = pycurl.Curl()
        self.body = io.BytesIO()
        self.curl.setopt(pycurl.URL, ping.url)
        self.curl.setopt(pycurl.POST, 1)
        self.curl.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in _HEADERS.items()])
        self.curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        self.curl.setopt(pycurl.NOSIGNAL, 1)
        self.curl.setopt(pycurl.TCP_NODELAY, 1)
        self.curl.setopt(pycurl.WRITEDATA, self.body)
        if ping.url.startswith("https"):
            self.curl.setopt(pycurl.CAINFO_BLOB, authority)


class Pycurl:
    """pycurl: libcurl's multi interface on the loop, its transfers used again."""

    def __init__(self, authority: str) -> None:
        self._authority = authority.encode()
        self._multi = pycurl.AsyncCurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, MAX_KEPT)
        self._kept: dict[str, list[_Transfer]] = {}

    def auction(self, pings: Sequence[Ping], *, deadline_ms: int) -> Auction:
        """A transfer for each; those that are not done at the deadline are taken out."""

        async def held() -> Sequence[Reply]:
            transfers = [self._transfer(ping) for ping in pings]
            futures = [self._multi.add_handle(transfer.curl) for transfer in transfers]
            await asyncio.wait(futures, timeout=deadline_ms / 1_000)
            got = []
            for ping, transfer, future in zip(pings, transfers, futures, strict=True):
                if not future.done():
                    self._multi.remove_handle(transfer.curl)
                    got.append(NOTHING)
                elif future.exception() is not None:
                    got.append(NOTHING)
                else:
                    got.append(Got(transfer.curl.getinfo(pycurl.RESPONSE_CODE), transfer.body.getvalue()))
                self._kept[ping.url].append(transfer)
            return got

        return held

    def _transfer(self, ping: Ping) -> _Transfer:
        kept = self._kept.setdefault(ping.url, [])
        transfer = kept.pop() if kept else _Transfer(ping, authority=self._authority)
        transfer.body.seek(0)
        transfer.body.truncate()
        transfer.curl.setopt(pycurl.POSTFIELDS, ping.body)
        return transfer

    async def close(self) -> None:
        """End its connections."""
        await self._multi.aclose()
