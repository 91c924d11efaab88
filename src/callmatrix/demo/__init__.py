"""The whole product at once: a seeded network, its history, the real server, and simulated traffic."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

import aiohttp
import msgspec

from callmatrix import main
from callmatrix.core.documents import encode_text
from callmatrix.demo import bidders, history, seed, traffic
from callmatrix.demo.summary import Summary, open_ends, summary_of
from callmatrix.live.app import App
from callmatrix.settings import Settings
from callmatrix.sim.network import ACCOUNT, Network
from callmatrix.store import promises
from callmatrix.world import RealWorld

CARRIER_SECRET: Final = "demo-carrier-secret"
BIDDER_TOKEN: Final = "demo-bidder-token"
START_TIMEOUT_S: Final = 60
ANSWER_TIMEOUT_S: Final = 2
SETTLE_TIMEOUT_S: Final = 90
POLL_S: Final = 0.2

__all__ = ["Summary", "Wanted", "run"]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asked for."""

    calls: int
    then_exit: bool
    seed: int
    history_days: int


def run(settings: Settings, wanted: Wanted) -> bool:
    """Run the demo; False where a promise is broken."""
    try:
        return asyncio.run(_run(msgspec.structs.replace(settings, allow_loopback=True), wanted))
    except asyncio.CancelledError:
        return True


async def _run(settings: Settings, wanted: Wanted) -> bool:
    """Until the calls are made, or until Ctrl-C or SIGTERM, which end everything in order."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _cancel(asyncio.current_task()))
    with main.listen(settings) as listening:
        return await _on_socket(settings, wanted, listening)


def _cancel(task: "asyncio.Task[bool] | None") -> Callable[[], object]:
    assert task is not None
    return task.cancel


async def _on_socket(settings: Settings, wanted: Wanted, listening: socket.socket) -> bool:
    world = RealWorld()
    rest_port, bidders_port = _free_port(), _free_port()
    started_at = world.now()
    seeded = seed.demo_network(
        starts_at=started_at - timedelta(days=wanted.history_days + 1),
        public_url=settings.public_url,
        rest_url=f"http://127.0.0.1:{rest_port}/2010-04-01",
        bidders_url=f"http://127.0.0.1:{bidders_port}",
    )
    secret = _kept_secret(settings, world, CARRIER_SECRET)
    token = _kept_secret(settings, world, BIDDER_TOKEN)
    async with main.database(settings) as dsn:
        async with main.running(settings, dsn=dsn, world=world, loops=False) as app:
            key = main.secret_key(settings, world)
            first_day = started_at - timedelta(days=wanted.history_days + 1)
            fresh = await seed.ensure(app, seeded, at=first_day, secret=secret, bidder_token=token, key=key)
            if fresh and wanted.history_days:
                await app.catalog.refresh_all()
                await history.make(app, seeded, seed=wanted.seed, days=wanted.history_days, now=started_at)
        await main.first_start(settings, dsn=dsn)
        async with (
            bidders.bidding(token, port=bidders_port, world=world),
            _server(settings, dsn=dsn, listening=listening),
        ):
            return await _with_server(settings, wanted, seeded, secret, dsn, rest_port)


async def _with_server(
    settings: Settings, wanted: Wanted, seeded: Network, secret: str, dsn: str, rest_port: int
) -> bool:
    world = RealWorld()
    kept = True
    callers = traffic.endless_visits(seeded, seed=wanted.seed, starts_on=world.now().date())
    async with traffic.http_session() as session:
        fast = traffic.carrier(
            seeded,
            public_url=settings.public_url,
            secret=secret,
            session=session,
            world=world,
            seed=world.draw(),  # another run's calls are other calls, with ids of their own
            at_full_speed=True,
        )
        slow = traffic.carrier(
            seeded,
            public_url=settings.public_url,
            secret=secret,
            session=session,
            world=world,
            seed=world.draw(),
            at_full_speed=False,
        )
        async with traffic.rest_interface((fast if wanted.then_exit else slow,), port=rest_port):
            if wanted.calls:
                began_at = world.now()
                await traffic.drive(fast, callers, count=wanted.calls)
                kept = await _report(settings, dsn=dsn, since=began_at)
            if not wanted.then_exit:
                print(f"The API's reference: {settings.public_url}/docs. Stop with Ctrl-C.", flush=True)
                await traffic.keep_calling(slow, callers, seed=wanted.seed)
    return kept


async def _report(settings: Settings, *, dsn: str, since: datetime) -> bool:
    """Wait until every call is closed, check every promise on the raw rows, and print one JSON object."""
    async with main.running(settings, dsn=dsn, world=RealWorld(), loops=False) as app:
        await _settled(app)

        found = await promises.counterexamples(app.db, ACCOUNT, now=app.world.now())
        report = await summary_of(app.db, ACCOUNT, since=since, promises=promises.verdicts(found))
    for broken in found:
        print(f"broken: {broken.name}: {broken.text}", file=sys.stderr)
    print(encode_text(report), flush=True)
    return all(report.promises.values())


async def _settled(app: App) -> None:
    for _ in range(int(SETTLE_TIMEOUT_S / POLL_S)):
        async with app.db.session() as tx:
            if await open_ends(tx, ACCOUNT) == 0:
                return
        await asyncio.sleep(POLL_S)


@asynccontextmanager
async def _server(settings: Settings, *, dsn: str, listening: socket.socket) -> AsyncIterator[None]:
    """The real server, in a process of its own, until the block ends."""
    server = await main.start_server(
        dsn, listening, CALLMATRIX_DATA=str(settings.data), CALLMATRIX_ALLOW_LOOPBACK="1"
    )
    try:
        await _answers(settings, server)
        print(f"CallMatrix is on {settings.public_url}", flush=True)
        yield
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()


async def _answers(settings: Settings, server: asyncio.subprocess.Process) -> None:
    patience = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=patience) as session:
        for _ in range(int(START_TIMEOUT_S / POLL_S)):
            if server.returncode is not None:
                raise OSError(f"the server ended with {server.returncode} before it answered")
            try:
                async with session.get(f"http://127.0.0.1:{settings.port}/healthz") as reply:
                    if reply.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(POLL_S)
    raise OSError(f"the server did not answer on port {settings.port} in {START_TIMEOUT_S} s")


def _kept_secret(settings: Settings, world: RealWorld, name: str) -> str:
    """A secret between the demo and its carrier or bidders, made once and kept in the data folder."""
    path = settings.data / name
    if not path.exists():
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(world.token())
    return path.read_text()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
