"""The real server is killed at random points under traffic: nothing is lost, nothing is billed twice."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from callmatrix import main
from callmatrix.demo import seed, traffic
from callmatrix.gateway.carrier import Carrier
from callmatrix.gateway.records import CallRecord
from callmatrix.live import jobs, replay, schedule, sweeps
from callmatrix.live.app import App
from callmatrix.settings import Settings, format_secret_key
from callmatrix.sim.callers import Visit, gateway_caller
from callmatrix.sim.network import ACCOUNT
from callmatrix.store import promises
from callmatrix.store.db import Database
from callmatrix.world import RealWorld, SeededWorld, dice
from served import KEY, SECRET, one

CALLS = 210
AT_ONCE = 16
KILLS = 4
# One kill in so many webhooks, on average; a call has about six.
WEBHOOKS_PER_KILL = 150
MAX_ROUNDS = 40


class Server:
    """`callmatrix serve`, in a process of its own that can be killed and started again."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self._environment = os.environ | {
            "DATABASE_URL": settings.database_url or "",
            "CALLMATRIX_DATA": str(settings.data),
            "CALLMATRIX_PORT": str(settings.port),
            "CALLMATRIX_PUBLIC_URL": settings.public_url,
            "CALLMATRIX_SECRET_KEY": format_secret_key(KEY),
            "CALLMATRIX_ALLOW_LOOPBACK": "1",
        }
        self._log = log
        self.up = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "callmatrix.cli",
                "serve",
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if line.startswith(b"CallMatrix is on"):
                self.up.set()
                return
        raise AssertionError(f"the server did not start: {self._log.read_text()}")

    def kill(self) -> None:
        """Without a word: what it was doing, it was doing."""
        if self.process is not None and self.up.is_set():
            self.up.clear()
            self.process.send_signal(signal.SIGKILL)

    async def end(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


class Killer:
    """Counts the carrier's webhooks and kills the server while one of them is under way."""

    def __init__(self, server: Server, *, seed: int) -> None:
        self._server = server
        chance = dice(seed)
        self.kills = [chance.randrange(1, 2 * WEBHOOKS_PER_KILL) for _ in range(KILLS)]
        self._left = self.kills[0]
        self.done = 0

    async def webhook(self, _session: Any, _context: SimpleNamespace, _params: Any) -> None:
        if self.done == len(self.kills) or not self._server.up.is_set():
            return
        self._left -= 1
        if self._left == 0:
            self.done += 1
            self._left = self.kills[self.done] if self.done < len(self.kills) else 0
            self._server.kill()

    def trace(self) -> aiohttp.TraceConfig:
        """At every webhook that the carrier has sent, and not yet been answered."""
        config = aiohttp.TraceConfig()
        config.on_request_headers_sent.append(self.webhook)
        return config


async def keep_up(server: Server) -> None:
    """Start the server whenever it was killed."""
    while True:
        assert server.process is not None
        await server.process.wait()
        await server.start()


async def drive(carrier: Carrier, visits: Iterator[Visit], server: Server) -> tuple[CallRecord, ...]:
    """As many calls at once as `AT_ONCE`; nobody calls anew while there is no server."""
    records = []
    waiting = iter(range(CALLS))

    async def one_after_the_other() -> None:
        for _ in waiting:
            await server.up.wait()
            records.append(await carrier.place_call(gateway_caller(next(visits))))

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
    return tuple(records)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def process_of_ours(settings: Settings, *, at: datetime) -> AsyncIterator[App]:
    """A process at another instant, without its loops."""
    world = SeededWorld(seed=7, clock=lambda: at)
    assert settings.database_url is not None
    async with main.running(settings, dsn=settings.database_url, world=world, loops=False) as app:
        yield app


async def swept(settings: Settings, *, at: datetime) -> None:
    """Everything that the sweeps of a server would do at an instant, until there is nothing more to do."""
    async with process_of_ours(settings, at=at) as app:
        for _ in range(MAX_ROUNDS):
            told = await replay.replay(app)
            await sweeps.sweep(app)
            ran = await jobs.run_due(app, schedule.JOBS)
            await app.background.drain()
            if not told and not ran:
                return
    raise AssertionError("the sweeps never come to an end")


async def per_call(db: Database, query: str) -> dict[str, Any]:
    async with db.session() as tx:
        return {row[0]: row[1] for row in await tx.fetch(query)}


@pytest.mark.parametrize("chance", [1])
async def test_no_call_is_lost_or_billed_twice(
    db: Database, database_url: str, tmp_path: Path, chance: int
) -> None:
    world = RealWorld()
    port, rest_port = free_port(), free_port()
    settings = Settings(
        database_url=database_url,
        data=tmp_path,
        host="127.0.0.1",
        port=port,
        public_url=f"http://127.0.0.1:{port}",
        processes=1,
        secret_key=KEY,
        allow_loopback=True,
    )
    network = seed.demo_network(
        starts_at=world.now() - timedelta(days=1),
        public_url=settings.public_url,
        rest_url=f"http://127.0.0.1:{rest_port}/2010-04-01",
    )
    async with process_of_ours(settings, at=world.now()) as app:
        await seed.ensure(app, network, at=world.now() - timedelta(hours=1), secret=SECRET, key=KEY)
    server = Server(settings, tmp_path / "server.log")
    killer = Killer(server, seed=chance)
    session = aiohttp.ClientSession(trace_configs=[killer.trace()], cookie_jar=aiohttp.DummyCookieJar())
    try:
        await server.start()
        reviving = asyncio.create_task(keep_up(server))
        carrier = traffic.carrier(
            network,
            public_url=settings.public_url,
            secret=SECRET,
            session=session,
            world=world,
            seed=chance,
            at_full_speed=True,
        )
        visits = traffic.endless_visits(network, seed=chance, starts_on=world.now().date())
        async with traffic.rest_interface((carrier,), port=rest_port):
            records = await drive(carrier, visits, server)
            assert not reviving.done(), reviving.exception()
            reviving.cancel()
            await asyncio.wait([reviving])
            await server.end()
            silent_at = world.now() + timedelta(seconds=sweeps.SILENT_S + 60)
            await swept(settings, at=silent_at)
            await swept(settings, at=world.now() + timedelta(hours=6))
    finally:
        await server.end()
        await session.close()

    assert killer.done == KILLS
    assert len(records) == CALLS
    now = world.now() + timedelta(hours=6)
    assert await promises.counterexamples(db, ACCOUNT, now=now) == ()

    answered = {
        record.sid
        for record in records
        if any(webhook.kind in ("voice", "fallback") and webhook.status == 200 for webhook in record.webhooks)
    }
    refs = "select carrier_ref, 1 from call union select carrier_ref, 1 from unknown_call"
    known = set(await per_call(db, refs))
    assert answered - known == set()

    charges = await per_call(
        db,
        "select c.carrier_ref, count(*) from ledger_transaction t join call c on c.id = t.call_id"
        " where t.kind = 'charge' group by 1",
    )
    assert {ref: count for ref, count in charges.items() if count > 1} == {}
    talked = {record.sid: sum(leg.bridged_ms for leg in record.legs) for record in records}
    billed = await per_call(db, "select carrier_ref, bridged_ms from call where review = '' and not test")
    assert {ref: ms for ref, ms in billed.items() if ms != talked[ref]} == {}
    assert set(charges) <= {ref for ref, ms in talked.items() if ms}

    assert await one(db, "select count(*) from call where not closed") == 0
    assert await one(db, "select count(*) from reservation where state = 'held'") == 0
    assert await one(db, "select coalesce(sum(live), 0) from cap_owner") == 0
    assert await one(db, "select coalesce(sum(held_micros), 0) from buyer_funds") == 0
    assert await one(db, "select sum(amount_micros) from posting") == 0
    # The run was worth it: most calls came in, and capacity was held by some of them.
    assert len(known) > CALLS // 2
    assert await one(db, "select count(*) from reservation") > 0
