"""Requests to addresses that come from configuration: bounded, to public addresses, no redirects."""

import asyncio
import ipaddress
import json
import socket
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from callmatrix.core.flow import AskService, read_reply
from callmatrix.dialects.http import HttpReply, HttpRequest

MAX_REPLY_BYTES: Final = 65_536
MAX_CONNECTIONS: Final = 200
DNS_CACHE_S: Final = 60
EXCHANGE_TIMEOUT_S: Final = 10


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


def allowed_address(text: str, *, loopback: bool) -> bool:
    """Whether an address may be asked: global ones, and loopback where a setting says so (development)."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return True  # a name: judged when it is resolved
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback if loopback and address.is_loopback else address.is_global


def open_outbound(*, allow_loopback: bool) -> Outbound:
    """A client; call inside a running event loop."""
    connector = aiohttp.TCPConnector(
        limit=MAX_CONNECTIONS,
        resolver=_GuardedResolver(allow_loopback=allow_loopback),
        ttl_dns_cache=DNS_CACHE_S,
    )
    return Outbound(session=aiohttp.ClientSession(connector=connector), allow_loopback=allow_loopback)


async def ask_service(outbound: Outbound, ask: AskService) -> Answer:
    """Ask a flow's HTTP JSON service within its deadline; failures are codes, never exceptions.

    Codes: `address_refused`, `timed_out`, `unreachable`, `status_<n>`, `too_large`, `not_json`.
    """
    host = urlsplit(ask.url).hostname or ""
    if not allowed_address(host, loopback=outbound.allow_loopback):
        return Answer(code="address_refused")
    body = ask.body if ask.method == "POST" else None
    try:
        async with asyncio.timeout(ask.timeout_ms / 1_000):
            async with outbound.session.request(
                ask.method, ask.url, json=body, allow_redirects=False
            ) as reply:
                if reply.status != 200:
                    return Answer(code=f"status_{reply.status}")
                return _read(ask, await _bounded(reply))
    except TimeoutError:
        return Answer(code="timed_out")
    except (aiohttp.ClientError, OSError):
        return Answer(code="unreachable")


async def _bounded(reply: aiohttp.ClientResponse) -> bytes | None:
    """The body, or None past `MAX_REPLY_BYTES`."""
    read = bytearray()
    async for chunk in reply.content.iter_any():
        read += chunk
        if len(read) > MAX_REPLY_BYTES:
            return None
    return bytes(read)


def _read(ask: AskService, body: bytes | None) -> Answer:
    if body is None:
        return Answer(code="too_large")
    try:
        decoded: Any = json.loads(body)
    except ValueError:
        return Answer(code="not_json")
    return Answer(values=read_reply(ask, decoded))


async def exchange(outbound: Outbound, request: HttpRequest) -> HttpReply:
    """One exchange with a carrier's REST interface; status 0 stands for: not reached."""
    host = urlsplit(request.url).hostname or ""
    if not allowed_address(host, loopback=outbound.allow_loopback):
        return HttpReply(status=0, body=b"address refused")
    try:
        async with asyncio.timeout(EXCHANGE_TIMEOUT_S):
            async with outbound.session.request(
                request.method,
                request.url,
                headers=request.headers,
                data=request.body or None,
                allow_redirects=False,
            ) as reply:
                body = await _bounded(reply)
                return HttpReply(status=reply.status, body=body if body is not None else b"")
    except (TimeoutError, aiohttp.ClientError, OSError):
        return HttpReply(status=0, body=b"")
