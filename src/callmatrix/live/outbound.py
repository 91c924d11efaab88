"""Requests to addresses that come from configuration: bounded, to public addresses, no redirects."""

import asyncio
import ipaddress
import socket
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.helpers import is_ip_address
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from callmatrix.core.flow import AskService, read_reply
from callmatrix.dialects.http import HttpReply, HttpRequest

MAX_REPLY_BYTES: Final = 65_536
# A carrier's list of fifty legs is longer than what a flow's service may say.
MAX_EXCHANGE_BYTES: Final = 262_144
MAX_CONNECTIONS: Final = 200
DNS_CACHE_S: Final = 60
EXCHANGE_TIMEOUT_S: Final = 10
# Nothing is unpacked: what is small on the wire could be huge in memory.
_UNPACKED: Final = {"Accept-Encoding": "identity"}
# Addresses that carry an IPv4 address for a translator or tunnel to go on to.
_CARRYING: Final = tuple(
    ipaddress.IPv6Network(network) for network in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")
)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A service's answer as fields, or the `code` of what went wrong."""

    values: dict[str, str] = {}
    code: str = ""


class _GuardedResolver(AbstractResolver):
    """Resolves names to public addresses only; the connection then goes to just that address."""

    def __init__(self, *, allow_loopback: bool) -> None:
        self._inner = ThreadedResolver()
        self._allow_loopback = allow_loopback

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        allowed = [each for each in found if allowed_address(each["host"], loopback=self._allow_loopback)]
        if not allowed:
            raise OSError(f"{host} has no public address")
        return allowed

    async def close(self) -> None:
        await self._inner.close()


class Outbound(msgspec.Struct, frozen=True, kw_only=True):
    """The process's client for such requests."""

    session: aiohttp.ClientSession
    allow_loopback: bool

    async def close(self) -> None:
        """Close its connections."""
        await self.session.close()


def allowed_host(host: str | None, *, loopback: bool) -> bool:
    """Whether a URL's host may be asked as far as can be said before it is resolved.

    Names pass: their addresses are judged when they are resolved. Anything that looks like an address must
    be written as one: `127.1` and `2130706433` are no names to the operating system.
    """
    if not host:
        return False
    if is_ip_address(host):
        return allowed_address(host, loopback=loopback)
    return True


def allowed_address(text: str, *, loopback: bool) -> bool:
    """Whether an address may be asked: global ones, and loopback where a setting says so (development)."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return allowed_address(str(address.ipv4_mapped), loopback=loopback)
        if any(address in network for network in _CARRYING) and not address.is_loopback:
            return False
    if address.is_loopback:
        return loopback
    return address.is_global and not address.is_multicast


def open_outbound(*, allow_loopback: bool) -> Outbound:
    """A client; call inside a running event loop."""
    connector = aiohttp.TCPConnector(
        limit=MAX_CONNECTIONS,
        resolver=_GuardedResolver(allow_loopback=allow_loopback),
        ttl_dns_cache=DNS_CACHE_S,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers=_UNPACKED,
    )
    return Outbound(session=session, allow_loopback=allow_loopback)


async def ask_service(outbound: Outbound, ask: AskService) -> Answer:
    """Ask a flow's HTTP JSON service within its deadline; failures are codes, never exceptions.

    Codes: `address_refused`, `timed_out`, `unreachable`, `status_<n>`, `too_large`, `not_json`.
    """
    url = _allowed_url(outbound, ask.url)
    if url is None:
        return Answer(code="address_refused")
    body = ask.body if ask.method == "POST" else None
    try:
        async with asyncio.timeout(ask.timeout_ms / 1_000):
            async with outbound.session.request(ask.method, url, json=body, allow_redirects=False) as reply:
                if reply.status != 200:
                    return Answer(code=f"status_{reply.status}")
                return _read(ask, await _bounded(reply, at_most=MAX_REPLY_BYTES))
    except TimeoutError:
        return Answer(code="timed_out")
    except (aiohttp.ClientError, OSError):
        return Answer(code="unreachable")


def _allowed_url(outbound: Outbound, text: str) -> URL | None:
    """The URL as the client will read it: two readers of one text could see two hosts in it."""
    try:
        url = URL(text)
    except ValueError:
        return None
    return url if allowed_host(url.host, loopback=outbound.allow_loopback) else None


async def _bounded(reply: aiohttp.ClientResponse, *, at_most: int) -> bytes | None:
    """The body, or None past `at_most` bytes."""
    read = bytearray()
    async for chunk in reply.content.iter_any():
        read += chunk
        if len(read) > at_most:
            return None
    return bytes(read)


def _read(ask: AskService, body: bytes | None) -> Answer:
    if body is None:
        return Answer(code="too_large")
    try:
        decoded: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Answer(code="not_json")
    return Answer(values=read_reply(ask, decoded))


async def exchange(outbound: Outbound, request: HttpRequest) -> HttpReply:
    """One exchange with a carrier's REST interface; status 0 stands for: not reached."""
    url = _allowed_url(outbound, request.url)
    if url is None:
        return HttpReply(status=0, body=b"address refused")
    try:
        async with asyncio.timeout(EXCHANGE_TIMEOUT_S):
            async with outbound.session.request(
                request.method,
                url,
                headers=request.headers,
                data=request.body or None,
                allow_redirects=False,
            ) as reply:
                body = await _bounded(reply, at_most=MAX_EXCHANGE_BYTES)
                return HttpReply(status=reply.status, body=body if body is not None else b"")
    except (TimeoutError, aiohttp.ClientError, OSError):
        return HttpReply(status=0, body=b"")
