"""All connections: opens them within limits, hands out idle ones, and ends those that are of no use."""

import asyncio
import errno
from typing import Final

import msgspec

from callmatrix.live.pinger.connection import Connection
from callmatrix.live.pinger.names import AddressRefused, Names
from callmatrix.live.pinger.rounds import Round
from callmatrix.live.pinger.standings import Standing
from callmatrix.live.pinger.target import Origin
from callmatrix.live.pinger.tls import Sessions
from callmatrix.world import monotonic_s

OPEN_S: Final = 3.0
ADDRESS_S: Final = 1.0
"""So long one address of several is tried before the next."""
MAX_TRIED: Final = 3
SWEEP_S: Final = 0.25
ENDING: Final = "The process is ending"
# The system has no more sockets or ports for us, whoever the bidder is.
_OURS: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM))
ROOM_PARTS: Final = 10
"""Where there is no room, one idle connection in so many ends."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How many connections there may be: in all, of one bidder, and being opened at once (that is dear, with
    TLS above all: a burst of it slows the answers that would have freed connections). A late answer is
    waited for `linger_s`, so that its connection can be used again; an idle one is kept for `idle_s`."""

    connections: int
    connections_per_bidder: int
    opening: int
    linger_s: float
    idle_s: float


class Lines:
    """The process's connections to bidders."""

    def __init__(self, *, limits: Limits, names: Names, sessions: Sessions) -> None:
        self.limits = limits
        self.names = names
        self.sessions = sessions
        self.opening: set[asyncio.Task[None]] = set()
        self.open: dict[Connection, None] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event = asyncio.Event()
        self._room_at_s = 0.0
        self.closing = False

    def why_full(self, standing: Standing) -> str:
        """Why one more may not be opened for this bidder; "" where it may."""
        if standing.connections >= self.limits.connections_per_bidder:
            return f"It has {standing.connections} connections, the most that a bidder may have"
        if len(self.opening) >= self.limits.opening:
            return f"{len(self.opening)} connections are being opened, the most at once"
        if len(self.open) >= self.limits.connections and not self._make_room():
            return f"There are {len(self.open)} connections, the most that there may be"
        return ""

    def started(self, connection: Connection, work: asyncio.Task[None]) -> None:
        """Count a connection that opens."""
        self.open[connection] = None
        self.opening.add(work)
        work.add_done_callback(self.opening.discard)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_S, self._swept)

    def ended(self, connection: Connection) -> None:
        """Count a connection that is no more."""
        del self.open[connection]
        if not self.open:
            self._emptied.set()

    async def close(self) -> None:
        """End all connections, and wait until they have."""
        self.closing = True
        for work in tuple(self.opening):
            work.cancel()
        await asyncio.gather(*self.opening, return_exceptions=True)
        for connection in tuple(self.open):
            connection.fail("unreachable", ENDING)
        while self.open:
            self._emptied.clear()
            await self._emptied.wait()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        await self.names.close()

    def _make_room(self) -> bool:
        """End the idle connections that have waited longest: they are the least use. Once a sweep at most:
        it looks at all connections."""
        now_s = monotonic_s()
        if now_s < self._room_at_s:
            return False
        self._room_at_s = now_s + SWEEP_S
        idle = sorted(
            (connection for connection in self.open if connection.is_idle), key=lambda each: each.until_s
        )
        for connection in idle[: max(1, len(idle) // ROOM_PARTS)]:
            connection.drop()
        return bool(idle)

    def _swept(self) -> None:
        now_s = monotonic_s()
        for connection in [each for each in self.open if each.until_s <= now_s]:
            connection.drop()
        self._sweep = None
        if self.open:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_S, self._swept)


class Line:
    """One bidder's connections to one origin, the idle ones at hand. Bidders share none: none can spoil or
    take another's."""

    __slots__ = ("_lines", "_opening", "_origin", "_standing", "idle", "idle_s", "linger_s")

    def __init__(self, lines: Lines, standing: Standing, origin: Origin) -> None:
        self._lines = lines
        self._standing = standing
        self._origin = origin
        self._opening = 0
        self.idle: dict[Connection, None] = {}
        self.idle_s = lines.limits.idle_s
        self.linger_s = lines.limits.linger_s

    def send(self, ping_round: Round, place: int, payload: bytes, *, fresh: bool = False) -> None:
        """Send a ping: on the idle connection that was used last, else (or where it must be `fresh`) on a
        new one; `busy` without."""
        if self.idle and not fresh:
            connection, _ = self.idle.popitem()
            self._standing.idle -= 1
            connection.carry(ping_round, place, payload)
            return
        full = self._lines.why_full(self._standing)
        if full:
            self._standing.heard("busy", monotonic_s())
            ping_round.refuse(place, "busy", full)
        else:
            self._open().reserve(ping_round, place, payload)

    def again(self, ping_round: Round, place: int, payload: bytes) -> None:
        """Send a ping on a fresh connection, in the place of one that has died."""
        if self._lines.closing:
            self._standing.heard("unreachable", monotonic_s())
            ping_round.refuse(place, "unreachable", ENDING)
            return
        self._open().reserve(ping_round, place, payload)

    async def warm(self, connections: int) -> None:
        """Open connections until so many are idle or being opened, as far as the limits allow."""
        missing = connections - len(self.idle) - self._opening
        opened = []
        for _ in range(missing):
            if self._lines.why_full(self._standing):
                break
            opened.append(self._open().opened)
        if opened:
            await asyncio.wait(opened)

    def gone(self, connection: Connection) -> None:
        """A connection has ended."""
        self._standing.connections -= 1
        self._lines.ended(connection)

    def _open(self) -> Connection:
        connection = Connection(
            self,
            self._standing,
            host=self._origin.host,
            sessions=self._lines.sessions if self._origin.secure else None,
        )
        self._opening += 1
        self._standing.connections += 1
        self._standing.opened += 1
        self._lines.started(connection, asyncio.create_task(self._connect(connection)))
        return connection

    async def _connect(self, connection: Connection) -> None:
        """Connect to one of the host's addresses; a failure is told to the ping that waits."""
        try:
            async with asyncio.timeout(OPEN_S):
                await self._reach(connection, await self._lines.names.find(self._origin.host))
                await connection.opened
        except AddressRefused:
            connection.fail("address_refused", f"{self._origin.host} has no address that may be asked")
        except TimeoutError:
            connection.fail("unreachable", f"No connection within {OPEN_S:g} s")
        except OSError as error:
            connection.fail("busy" if error.errno in _OURS else "unreachable", str(error))
        except asyncio.CancelledError:
            connection.fail("unreachable", ENDING)
            raise
        finally:
            self._opening -= 1

    async def _reach(self, connection: Connection, addresses: tuple[str, ...]) -> None:
        loop = asyncio.get_running_loop()
        tried = addresses[:MAX_TRIED]
        for address in tried:
            last = address == tried[-1]
            try:
                async with asyncio.timeout(None if last else ADDRESS_S):
                    await loop.create_connection(lambda: connection, address, self._origin.port)
                return
            except asyncio.CancelledError:
                connection.forsake()
                raise
            except (OSError, TimeoutError):
                self._lines.names.unreachable(self._origin.host, address)
                if connection.forsake() or last:
                    raise
