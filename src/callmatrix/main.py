"""The one place where parts are built and handed to each other; and how a server process runs."""

import asyncio
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import uvicorn
import uvloop

from callmatrix.api.app import build
from callmatrix.api.console import STATIC, Console
from callmatrix.api.hot import Counters, Lane
from callmatrix.api.openapi import document
from callmatrix.api.operations import OPERATIONS
from callmatrix.api.people import offer_first_sign_in
from callmatrix.api.rtb import RtbLane
from callmatrix.core import geo
from callmatrix.core.campaign import Account
from callmatrix.core.ids import PREFIXES, AccountId, UserId
from callmatrix.live import auctions, jobs, replay, schedule, sweeps
from callmatrix.live.admission import Admission
from callmatrix.live.app import App, Background, RecentCalls
from callmatrix.live.catalog import open_catalog
from callmatrix.live.evidence import Evidence
from callmatrix.live.feed import open_feed
from callmatrix.live.masks import Masks
from callmatrix.live.outbound import open_outbound
from callmatrix.live.performance import Performances
from callmatrix.live.pinger import open_pinger
from callmatrix.live.reservations import Reservations
from callmatrix.settings import Settings, format_secret_key, parse_secret_key
from callmatrix.store import access, catalog, embedded
from callmatrix.store.audit import By
from callmatrix.store.db import Database, connect, pool_connections
from callmatrix.store.migrate import migrate
from callmatrix.world import RealWorld, World

SECRET_KEY_FILE: Final = "secret-key"
GRACE_S: Final = 10
BACKLOG: Final = 1_024
RESTART_AFTER_S: Final = 1.0

_log = logging.getLogger(__name__)


def secret_key(settings: Settings, world: World) -> bytes:
    """The key that seals connections' secrets: the setting's, or one made once, kept in the data folder."""
    if settings.secret_key is not None:
        return settings.secret_key
    path = settings.data / SECRET_KEY_FILE
    if not path.exists():
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(format_secret_key(parse_secret_key(world.token())))
    return parse_secret_key(path.read_text().strip())


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """The address of a migrated database: the setting's, or our own server, stopped at the end."""
    running = None
    dsn = settings.database_url
    if dsn is None:
        running = await asyncio.to_thread(embedded.start, settings.data)
        dsn = running.dsn
    try:
        db = await connect(dsn, application_name="callmatrix-migrate", max_connections=2)
        try:
            for name in await migrate(db):
                _log.info("migrated: %s", name)
        finally:
            await db.close()
        yield dsn
    finally:
        if running is not None:
            await asyncio.to_thread(running.stop)


@asynccontextmanager
async def running(settings: Settings, *, dsn: str, world: World, loops: bool = True) -> AsyncIterator[App]:
    """The parts of a process on a migrated database; with `loops`, its workers and sweeps too."""
    await asyncio.to_thread(geo.preload)
    db = await connect(dsn, max_connections=pool_connections(settings.processes))
    key = secret_key(settings, world)
    settings = msgspec.structs.replace(settings, secret_key=key)
    async with assembled(settings, db=db, world=world, secret_key=key) as app:
        tasks = [asyncio.create_task(work) for work in _loops(app)] if loops else []
        try:
            yield app
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    await db.close()


@asynccontextmanager
async def assembled(
    settings: Settings, *, db: Database, world: World, secret_key: bytes
) -> AsyncIterator[App]:
    """The parts of a process, without its loops, on a database that is open; what they have begun is done
    before the end."""
    outbound = open_outbound(allow_loopback=settings.allow_loopback)
    pinger = open_pinger(allow_loopback=settings.allow_loopback, world=world)
    try:
        async with open_catalog(db, secret_key=secret_key) as catalog, open_feed(db) as feed:
            app = App(
                settings=settings,
                world=world,
                db=db,
                catalog=catalog,
                masks=Masks(db, catalog=catalog, world=world),
                reservations=Reservations(db, world=world),
                outbound=outbound,
                pinger=pinger,
                performances=Performances(db, world=world),
                evidence=Evidence(db, keeps_bodies=settings.ping_bodies_days > 0),
                feed=feed,
                recent=RecentCalls(),
                background=Background(),
                admission=Admission(world),
            )
            await app.masks.refresh()
            try:
                yield app
            finally:
                await app.background.drain()
                await app.reservations.drain()
                await app.evidence.drain()
    finally:
        await pinger.close()
        await outbound.close()


def _loops(app: App) -> tuple[Coroutine[Any, Any, None], ...]:
    """What a server process does besides answering."""
    return (
        app.catalog.run(),
        app.masks.run(),
        app.performances.run(),
        auctions.keep_warm(app),
        jobs.work(app, schedule.JOBS),
        schedule.run(app),
        sweeps.run(app),
        replay.run(app),
    )


def asgi(app: App, *, static: Path = STATIC) -> Lane:
    """The process's ASGI callable: the lanes of carriers and of sellers in front of the console in `static`
    and the API."""
    counters = Counters()
    return Lane(app, RtbLane(app, Console(build(app, counters), folder=static)), counters=counters)


class _Server(uvicorn.Server):
    """A server that ends the streams of events first, so that none of them keeps it from stopping."""

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening and end in an orderly way."""
        self._app.feed.close()
        await super().shutdown(sockets)


async def serve_one(settings: Settings, *, dsn: str, listening: socket.socket) -> None:
    """One server process on a socket that is bound already, until it is told to stop."""
    async with running(settings, dsn=dsn, world=RealWorld()) as app:
        config = uvicorn.Config(
            asgi(app),
            loop="none",
            http="httptools",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        await _Server(config, app).serve(sockets=[listening])


def listen(settings: Settings) -> socket.socket:
    """The listening socket; `OSError` says in one line why there is none."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        place = f"{settings.host} port {settings.port}"
        remedy = "stop who has it, or set CALLMATRIX_PORT and CALLMATRIX_PUBLIC_URL"
        raise OSError(f"cannot listen on {place} ({error.strerror}): {remedy}") from error
    listening.listen(BACKLOG)
    listening.set_inheritable(True)
    return listening


async def supervise(settings: Settings, *, dsn: str, listening: socket.socket) -> None:
    """Run `settings.processes` servers on one socket; one that dies is started again."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await asyncio.gather(*(_keep_up(dsn, listening, stop) for _ in range(settings.processes)))


async def start_server(dsn: str, listening: socket.socket, **variables: str) -> asyncio.subprocess.Process:
    """A server process of its own on a socket that is bound already and a migrated database."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "callmatrix.cli",
        "serve",
        f"--socket={listening.fileno()}",
        env=os.environ | {"DATABASE_URL": dsn} | variables,
        pass_fds=(listening.fileno(),),
        stdin=subprocess.DEVNULL,
    )


async def _keep_up(dsn: str, listening: socket.socket, stop: asyncio.Event) -> None:
    while not stop.is_set():
        child = await start_server(dsn, listening)
        ended = asyncio.create_task(child.wait())
        told = asyncio.create_task(stop.wait())
        await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not ended.done():
            with suppress(ProcessLookupError):
                child.terminate()
            await ended
            return
        _log.error("a server process ended with %s; starting another", child.returncode)
        await asyncio.sleep(RESTART_AFTER_S)


def allow_sockets() -> None:
    """Let this process open as many sockets as the system lets it: bidders, carriers and pages share them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError):  # some systems name a limit that they then refuse
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def serve(settings: Settings, *, inherited: int | None = None) -> None:
    """Run the server, with its database where the settings name none, until it is told to stop.

    `inherited` is the descriptor of a listening socket; then the database is there and migrated.
    """
    allow_sockets()
    if inherited is not None and settings.database_url is not None:
        with socket.socket(fileno=inherited) as listening:
            uvloop.run(serve_one(settings, dsn=settings.database_url, listening=listening))
        return
    with listen(settings) as listening:
        uvloop.run(_serve(settings, listening))


async def _serve(settings: Settings, listening: socket.socket) -> None:
    async with database(settings) as dsn:
        await first_start(settings, dsn=dsn)
        print(f"CallMatrix is on {settings.public_url}", flush=True)
        if settings.processes == 1:
            await serve_one(settings, dsn=dsn, listening=listening)
        else:
            await supervise(settings, dsn=dsn, listening=listening)


async def first_start(settings: Settings, *, dsn: str) -> None:
    """Where nobody can sign in yet: an account if there is none, its first administrator, and a link by
    which that person signs in, once."""
    world = RealWorld()
    db = await connect(dsn, application_name="callmatrix-first", max_connections=2)
    try:
        async with db.transaction() as tx:
            by = By(who="system", at=world.now(), note="first start")
            account_ids = tuple(await catalog.versions(tx))
            if not account_ids:
                account = Account(id=AccountId(world.new_id(PREFIXES["account"])), name="My network")
                await catalog.create_account(tx, account, by=by)
                account_ids = (account.id,)
            if await access.anybody_has_a_password(tx):
                return
            token = world.token()
            user_id = UserId(world.new_id(PREFIXES["user"]))
            await offer_first_sign_in(tx, account_ids[0], token=token, user_id=user_id, now=world.now())
        print(f"First sign-in, valid once: {settings.public_url}/first-sign-in?token={token}", flush=True)
    finally:
        await db.close()


async def migrate_only(settings: Settings) -> tuple[str, ...]:
    """Bring the database up to date; the names of what was applied."""
    running = None
    dsn = settings.database_url
    if dsn is None:
        running = await asyncio.to_thread(embedded.start, settings.data)
        dsn = running.dsn
    db = await connect(dsn, application_name="callmatrix-migrate", max_connections=2)
    try:
        return await migrate(db)
    finally:
        await db.close()
        if running is not None:
            await asyncio.to_thread(running.stop)


def openapi(settings: Settings) -> dict[str, object]:
    """The OpenAPI document of this server."""
    described: dict[str, object] = document(OPERATIONS, server=settings.public_url)
    return described
