"""Keeps the addresses of bidders' hosts for a while, and refuses those that nobody may have us ask."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp.helpers import is_ip_address

from callmatrix.live.outbound import allowed_address, allowed_host
from callmatrix.world import monotonic_s

FRESH_S: Final = 60.0
"""So long an answer counts; the system's resolver does not say what its name servers would allow."""
STALE_S: Final = 600.0
"""So long an old answer is used while it is asked anew: no auction waits for a name server."""
FAILED_S: Final = 5.0
LOOKUP_S: Final = 5.0
MAX_NAMES: Final = 10_000
MAX_ADDRESSES: Final = 8

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a name, in the order to try them. Raises OSError."""


class AddressRefused(Exception):
    """The host has no address that may be asked."""


class _Known:
    """What is known of one name: when it may be asked again, and until when the old answer serves."""

    __slots__ = ("addresses", "ask_at_s", "failed", "lookup", "serves_until_s")

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ()
        self.failed = ""
        self.ask_at_s = self.serves_until_s = 0.0
        self.lookup: asyncio.Task[None] | None = None


async def resolve_by_system(host: str) -> Sequence[str]:
    """The system's resolver, on a thread of the loop."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


class Names:
    """The process's cache of names. Connections go to just the addresses it returns."""

    def __init__(self, *, allow_loopback: bool, resolve: Resolve) -> None:
        self._allow_loopback = allow_loopback
        self._resolve = resolve
        self._known: dict[str, _Known] = {}

    async def find(self, host: str) -> tuple[str, ...]:
        """The addresses of `host` to try in order, at least one. Raises `AddressRefused`, `OSError`."""
        if not allowed_host(host, loopback=self._allow_loopback):
            raise AddressRefused
        if is_ip_address(host):
            return (host,)
        known = self._entry(host)
        now_s = monotonic_s()
        if known.lookup is None and now_s >= known.ask_at_s:
            known.lookup = asyncio.create_task(self._look_up(host, known))
        if known.lookup is not None and now_s >= known.serves_until_s:
            await asyncio.shield(known.lookup)
        if known.failed and monotonic_s() >= known.serves_until_s:
            raise OSError(known.failed)
        if not known.addresses:
            raise AddressRefused
        return known.addresses

    def unreachable(self, host: str, address: str) -> None:
        """An address did not take a connection: the others are tried before it from now on."""
        known = self._known.get(host)
        if known is not None and known.addresses[:1] == (address,):
            known.addresses = (*known.addresses[1:], address)

    async def close(self) -> None:
        """Give up lookups under way."""
        lookups = [known.lookup for known in self._known.values() if known.lookup is not None]
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)

    def _entry(self, host: str) -> _Known:
        known = self._known.get(host)
        if known is None:
            known = self._known[host] = _Known()
            if len(self._known) > MAX_NAMES:
                oldest = next(iter(self._known))
                if self._known[oldest].lookup is None:
                    del self._known[oldest]
        return known

    async def _look_up(self, host: str, known: _Known) -> None:
        try:
            async with asyncio.timeout(LOOKUP_S):
                found = await self._resolve(host)
        except (OSError, TimeoutError, UnicodeError) as error:
            known.failed = f"{host} cannot be resolved: {error}"[:200]
            known.ask_at_s = monotonic_s() + FAILED_S
        else:
            allowed = (each for each in found if allowed_address(each, loopback=self._allow_loopback))
            known.addresses = tuple(dict.fromkeys(allowed))[:MAX_ADDRESSES]
            known.failed = ""
            known.ask_at_s = monotonic_s() + FRESH_S
            known.serves_until_s = monotonic_s() + STALE_S
        finally:
            known.lookup = None
