"""Measures whole calls by HTTP and PostgreSQL, and the server's CPU beside the least that webhooks cost.

A call is answered, asked for a digit and a ZIP, offered to a busy buyer and then to one who talks for 90 s,
ended, settled and booked. The same gateway drives the real server and the floor (`bench/floor.py`), which
answers with the documents that the real server gave to the first call of the run, so both get the same
webhooks. Rounds alternate; the ratio is the median over rounds.
"""

import asyncio
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Final

import aiohttp
import msgspec
import uvloop

from callmatrix.bench import BenchReport, conditions, cpu, floor
from callmatrix.bench.call_network import (
    ACCOUNT,
    CONNECTION,
    DIALED,
    SECRET,
    behaviour,
    connection,
    write,
)
from callmatrix.bench.servers import (
    POLL_S,
    BenchFailed,
    answers,
    listen,
    postmaster,
    serving,
    stop,
    url_of,
)
from callmatrix.core.documents import encode
from callmatrix.dialects.carriers.urls import Callback, Page, callback_path, page_path, page_url
from callmatrix.gateway.callers import Caller, Press
from callmatrix.gateway.carrier import Carrier, Number
from callmatrix.gateway.clocks import RealClock
from callmatrix.gateway.records import CallRecord
from callmatrix.gateway.wire import open_session
from callmatrix.settings import format_secret_key, parse_secret_key
from callmatrix.store import embedded
from callmatrix.store.db import Database, connect
from callmatrix.store.migrate import migrate
from callmatrix.world import RealWorld, monotonic_s

CALLS: Final = 100
ROUNDS: Final = 9
AT_ONCE: Final = 16
SEED: Final = 20_260_302
DRAIN_WAIT_S: Final = 30.0
_FIRST_CALLER: Final = 2_000_000
_ARRIVALS: Final = page_path(Page(connection_id=CONNECTION, kind="arrival"))


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What `calls` calls took of one server: CPU seconds of it and of PostgreSQL, and how long."""

    calls: int
    webhooks: int
    server_s: float
    postgres_s: float
    elapsed_s: float


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A server under measurement: its process and its address."""

    pid: int
    url: str


def run() -> BenchReport:
    """Measure; about a minute, on an embedded server of its own."""
    with tempfile.TemporaryDirectory(prefix="callmatrix-bench-") as folder:
        data = Path(folder)
        try:
            with embedded.start(data) as running:
                return uvloop.run(run_on(running.dsn, calls=CALLS, rounds=ROUNDS))
        finally:
            embedded.discard(data)


async def run_on(dsn: str, *, calls: int, rounds: int) -> BenchReport:
    """Measure on an empty database, which is not empty any more afterwards."""
    db = await connect(dsn)
    await migrate(db)
    world = RealWorld()
    key = format_secret_key(parse_secret_key(world.token()))
    async with AsyncExitStack() as open_until_the_end:
        open_until_the_end.push_async_callback(db.close)
        session = await open_until_the_end.enter_async_context(open_session())
        ours_socket, floor_socket = listen(), listen()
        ours_url, floor_url = url_of(ours_socket), url_of(floor_socket)
        async with db.transaction() as tx:
            await write(
                tx, public_url=ours_url, key=parse_secret_key(key), at=world.now() - timedelta(days=1)
            )
        ours_pid = await open_until_the_end.enter_async_context(serving(dsn, ours_socket, key=key))
        ours = Server(pid=ours_pid, url=ours_url)
        await answers(ours_url, _ARRIVALS, session)
        _check(await _carrier(ours_url, session, seed=SEED).place_call(_caller(0)))
        replies = await _recorded(db, ours_url, floor_url)
        floor_pid = await open_until_the_end.enter_async_context(
            _floor(db, dsn, floor_socket, floor_url=floor_url, replies=replies)
        )
        lowest = Server(pid=floor_pid, url=floor_url)
        await answers(floor_url, _ARRIVALS, session)
        postgres = await postmaster(db)
        measured = await _measure(db, (ours, lowest), postgres=postgres, calls=calls, rounds=rounds)
    return _report(*measured, calls=calls)


async def _measure(
    db: Database, servers: tuple[Server, Server], *, postgres: int, calls: int, rounds: int
) -> tuple[list[Round], list[Round]]:
    found: tuple[list[Round], list[Round]] = ([], [])
    placed = 1
    # The first round warms plans and caches and is not counted.
    for number in range(rounds + 1):
        for server, kept in zip(servers, found, strict=True):
            one = await _round(db, server, postgres=postgres, calls=calls, first=placed)
            placed += calls
            if number > 0:
                kept.append(one)
    return found


async def _round(db: Database, server: Server, *, postgres: int, calls: int, first: int) -> Round:
    server_s, postgres_s, started = cpu.process_s(server.pid), cpu.family_s(postgres), monotonic_s()
    records: list[CallRecord] = []
    waiting = iter(range(first, first + calls))
    # Connections that were idle while the other server was measured may be closed by now.
    async with open_session() as session:
        carrier = _carrier(server.url, session, seed=SEED + first)

        async def one_after_the_other() -> None:
            for number in waiting:
                records.append(await carrier.place_call(_caller(number)))

        await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
        elapsed_s = monotonic_s() - started
    await _settled(db)
    measured = Round(
        calls=calls,
        webhooks=sum(len(record.webhooks) for record in records),
        server_s=cpu.process_s(server.pid) - server_s,
        postgres_s=cpu.family_s(postgres) - postgres_s,
        elapsed_s=elapsed_s,
    )
    for record in records:
        _check(record)
    return measured


def _report(ours: list[Round], lowest: list[Round], *, calls: int) -> BenchReport:
    figures = {
        "calls_per_s": median(one.calls / one.elapsed_s for one in ours),
        "floor_calls_per_s": median(one.calls / one.elapsed_s for one in lowest),
        "webhooks_per_call": median(one.webhooks / one.calls for one in ours),
        "floor_webhooks_per_call": median(one.webhooks / one.calls for one in lowest),
        "cpu_ms_per_call": median(_ms_per_call(one.server_s, one) for one in ours),
        "floor_cpu_ms_per_call": median(_ms_per_call(one.server_s, one) for one in lowest),
        "cpu_ms_per_webhook": median(one.server_s * 1e3 / one.webhooks for one in ours),
        "floor_cpu_ms_per_webhook": median(one.server_s * 1e3 / one.webhooks for one in lowest),
        "postgres_cpu_ms_per_call": median(_ms_per_call(one.postgres_s, one) for one in ours),
        "floor_postgres_cpu_ms_per_call": median(_ms_per_call(one.postgres_s, one) for one in lowest),
    }
    over_floor = median(
        _ms_per_call(one.server_s, one) / _ms_per_call(other.server_s, other)
        for one, other in zip(ours, lowest, strict=True)
    )
    return BenchReport(
        bench="calls",
        ratios={"cpu_over_floor": round(over_floor, 3)},
        figures={name: round(figure, 3) for name, figure in figures.items()},
        conditions=conditions()
        | {"calls": calls, "rounds": len(ours), "at_once": AT_ONCE, "seed": SEED, "processes": 1},
    )


def _ms_per_call(seconds: float, measured: Round) -> float:
    return seconds * 1e3 / measured.calls


# --- the calls -----------------------------------------------------------------------------------------


def _carrier(public_url: str, session: aiohttp.ClientSession, *, seed: int) -> Carrier:
    document = connection(public_url)
    number = Number(
        number=DIALED,
        voice_url=page_url(document, "arrival"),
        fallback_url=page_url(document, "fallback"),
        status_url=page_url(document, "status"),
    )
    return Carrier(
        account_sid="AC" + "0" * 32,
        auth_token=SECRET,
        numbers=(number,),
        session=session,
        clock=RealClock(RealWorld()),
        seed=seed,
        behaviour=behaviour,
        own_timelines=True,
    )


def _caller(number: int) -> Caller:
    """Everybody calls once, so nobody is a duplicate or a repeat."""
    return Caller(
        number=f"+1415{_FIRST_CALLER + number}",
        dialed=DIALED,
        entries=(Press(digits="1"), Press(digits="94105")),
    )


def _check(record: CallRecord) -> None:
    """Every call went the whole way: two gathers, a busy buyer, 90 s with another, every webhook answered."""
    legs = [(leg.status, leg.bridged_ms // 1_000) for leg in record.legs]
    if legs != [("busy", 0), ("completed", 90)] or record.errors:
        raise BenchFailed(f"a call went another way: legs {legs}, errors {record.errors}, {record.steps}")
    refused = [one for one in record.webhooks if one.status != 200]
    if refused:
        raise BenchFailed(f"a webhook was not answered: {refused[0]}")


async def _settled(db: Database) -> None:
    """Wait until what the calls left to do is done, so that its CPU is counted with them."""
    for _ in range(int(DRAIN_WAIT_S / POLL_S)):
        async with db.session() as tx:
            left = await tx.fetchval(
                "select (select count(*) from reservation where account_id = $1 and state = 'held')"
                " + (select count(*) from call where account_id = $1 and not closed)",
                ACCOUNT,
            )
        if left == 0:
            return
        await asyncio.sleep(POLL_S)
    raise BenchFailed(f"{left} calls and reservations have not ended after {DRAIN_WAIT_S} s")


async def _recorded(db: Database, ours_url: str, floor_url: str) -> dict[str, str]:
    """The real server's replies to its first call, by path, with the floor's address in them."""
    await _settled(db)
    async with db.session() as tx:
        rows = await tx.fetch("select call_id, key, reply from callback where account_id = $1", ACCOUNT)
    replies = {}
    for row in rows:
        kind, _, number = row["key"].partition("/")
        if not row["reply"]:
            continue
        if kind == "arrival":
            path = _ARRIVALS
        else:
            path = callback_path(
                Callback(connection_id=CONNECTION, call_id=row["call_id"], kind=kind, key=int(number))
            )
        replies[path] = row["reply"].decode().replace(ours_url, floor_url)
    return replies


# --- the servers ---------------------------------------------------------------------------------------


@asynccontextmanager
async def _floor(
    db: Database, dsn: str, listening: socket.socket, *, floor_url: str, replies: dict[str, str]
) -> AsyncIterator[int]:
    """The floor; its pid."""
    async with db.transaction() as tx:
        await tx.execute(floor.TABLE)
        await tx.execute(floor.FILL)
    orders = floor.Orders(
        dsn=dsn,
        socket=listening.fileno(),
        connection=connection(floor_url),
        secret=SECRET,
        replies=replies,
    )
    listening.set_inheritable(True)
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "callmatrix.bench.floor",
        stdin=asyncio.subprocess.PIPE,
        pass_fds=(listening.fileno(),),
    )
    listening.close()
    try:
        assert server.stdin is not None
        server.stdin.write(encode(orders))
        server.stdin.close()
        yield server.pid
    finally:
        await stop(server)
