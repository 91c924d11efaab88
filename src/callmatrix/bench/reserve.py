"""Measures durable reservations from four processes, beside a bare UPDATE of the same rows.

Ours checks and books caps and concurrency of offer, buyer and campaign, keeps a reservation that can be
repeated, settled and swept, and micro-batches per process. Bare writes the same six rows (cap and
concurrency of the three) by UPDATE … WHERE used < limit RETURNING, one statement and so one round trip and
one transaction for each attempt, on a connection of its own for each task, and keeps nothing else. Both are
answered after the commit is on disk. Bare takes nothing back when a limit is full; here none ever is.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final, Literal, assert_never

import msgspec
import uvloop

from callmatrix.bench import BenchReport, conditions
from callmatrix.core.caps import Claim, CountCap, Granted, Limits, Owner, Settlement
from callmatrix.core.ids import AccountId, AttemptId, BuyerId, CallId, CampaignId, OfferId
from callmatrix.live.reservations import Reservations
from callmatrix.store import embedded
from callmatrix.store.caps import owner_key, set_limits
from callmatrix.store.db import Database, Transaction, connect
from callmatrix.store.migrate import migrate
from callmatrix.world import RealWorld, dice, monotonic_s

PROCESSES: Final = 4
TASKS: Final = (8, 32)
"""In all processes together."""
OFFERS: Final = 50
CAMPAIGNS: Final = 10
ROUNDS: Final = 5
ROUND_S: Final = 1.5
SEED: Final = 20_260_301
LIMIT: Final = 1_000_000_000
MAX_ATTEMPTS_A_TASK: Final = 1_000_000
WORKER_WAIT_S: Final = 120

_ACCOUNT: Final = AccountId("acc_bench")
_AT: Final = datetime(2026, 3, 4, 16, 20, tzinfo=UTC)
_EXPIRES_AT: Final = _AT + timedelta(days=3_650)
_CATALOG_VERSION: Final = 1
_BARE: Final = (
    "with held as (update cap_owner set live = live + 1 where account_id = $1 and owner = any($2) "
    "and status = 'open' and live < concurrency returning owner), "
    "used as (update cap_window set used = used + 1 where account_id = $1 and owner = any($2) "
    "and ends_at > $3 and starts_at <= $3 and used < limit_amount returning owner) "
    "select owner from held union all select owner from used"
)
# Rows are found, and so locked, in the order of their keys: found in any other order they would deadlock.
_BARE_PLANS: Final = "enable_seqscan=off&enable_bitmapscan=off"

Subject = Literal["ours", "bare", "ended"]
"""`ended`: ours, each reservation settled before the task makes its next one."""

_Key = tuple[Subject, int, bool]


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is to do: `tasks` of its own, over all offers or, `hot`, over one."""

    name: str
    subject: Subject
    tasks: int
    hot: bool
    seconds: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker did: answered attempts a second, and the time that 99 in 100 answers took at most."""

    per_s: float
    p99_ms: float


def run() -> BenchReport:
    """Measure; about a minute, on an embedded server of its own."""
    with tempfile.TemporaryDirectory(prefix="callmatrix-bench-") as folder:
        data = Path(folder)
        try:
            with embedded.start(data) as running:
                return asyncio.run(_run_migrated(running.dsn))
        finally:
            embedded.discard(data)


async def _run_migrated(dsn: str) -> BenchReport:
    db = await connect(dsn)
    await migrate(db)
    await db.close()
    return await run_on(dsn, rounds=ROUNDS, round_s=ROUND_S)


async def run_on(database_url: str, *, rounds: int, round_s: float) -> BenchReport:
    """Measure on a migrated database; what the benchmark wrote there is deleted afterwards."""
    db = await connect(database_url)
    await _prepare(db)
    try:
        measured = await asyncio.to_thread(_measure, database_url, rounds=rounds, round_s=round_s)
    finally:
        await _clean(db)
        await db.close()
    return _report(measured, rounds=rounds, round_s=round_s)


def _report(measured: dict[_Key, list[Measured]], *, rounds: int, round_s: float) -> BenchReport:
    rates = {key: median(one.per_s for one in many) for key, many in measured.items()}
    slow = {key: median(one.p99_ms for one in many) for key, many in measured.items()}
    figures = {f"{_name(key)}_per_s": round(rate, 1) for key, rate in rates.items()}
    figures |= {f"{_name(key)}_p99_ms": round(time, 2) for key, time in slow.items()}
    few, many = TASKS
    return BenchReport(
        bench="reserve",
        ratios={
            f"over_bare_{few}": _ratio(measured, tasks=few, hot=False),
            f"over_bare_{many}": _ratio(measured, tasks=many, hot=False),
            f"hot_over_bare_{many}": _ratio(measured, tasks=many, hot=True),
        },
        figures=figures,
        conditions=conditions()
        | {
            "processes": PROCESSES,
            "offers": OFFERS,
            "buyers": OFFERS,
            "campaigns": CAMPAIGNS,
            "rounds": rounds,
            "round_s": round_s,
            "seed": SEED,
        },
    )


def _name(key: _Key) -> str:
    subject, tasks, hot = key
    return f"{subject}_{'hot_' if hot else ''}{tasks}"


def _ratio(measured: dict[_Key, list[Measured]], *, tasks: int, hot: bool) -> float:
    """The median over rounds of ours to the bare that was measured right after it."""
    pairs = zip(measured["ours", tasks, hot], measured["bare", tasks, hot], strict=True)
    return round(median(ours.per_s / bare.per_s for ours, bare in pairs), 3)


def _measure(database_url: str, *, rounds: int, round_s: float) -> dict[_Key, list[Measured]]:
    with _workers(database_url) as workers:
        return _measure_with(workers, rounds=rounds, round_s=round_s)


def _measure_with(
    workers: list[subprocess.Popen[bytes]], *, rounds: int, round_s: float
) -> dict[_Key, list[Measured]]:
    subjects: tuple[Subject, ...] = ("ours", "bare")
    keys: list[_Key] = [
        (subject, tasks, hot)
        for tasks, hot in ((TASKS[0], False), (TASKS[1], False), (TASKS[1], True))
        for subject in subjects
    ]
    keys.append(("ended", TASKS[1], False))
    measured: dict[_Key, list[Measured]] = {key: [] for key in keys}
    # The first round warms plans and caches and is not counted.
    for number in range(rounds + 1):
        for key in keys:
            subject, tasks, hot = key
            told = _one_round(
                workers,
                Round(
                    name=f"{number}-{_name(key)}",
                    subject=subject,
                    tasks=tasks // PROCESSES,
                    hot=hot,
                    seconds=round_s,
                ),
            )
            if number > 0:
                measured[key].append(told)
    return measured


def _one_round(workers: list[subprocess.Popen[bytes]], wanted: Round) -> Measured:
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(msgspec.json.encode(wanted) + b"\n")
        worker.stdin.flush()
    told = []
    for worker in workers:
        assert worker.stdout is not None
        told.append(msgspec.json.decode(worker.stdout.readline(), type=Measured))
    return Measured(per_s=sum(one.per_s for one in told), p99_ms=max(one.p99_ms for one in told))


@contextmanager
def _workers(dsn: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "callmatrix.bench.reserve", dsn, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]
    try:
        yield workers
    finally:
        for worker in workers:
            # The end of its orders is the end of a worker.
            worker.communicate(timeout=WORKER_WAIT_S)


async def _prepare(db: Database) -> None:
    owners = {owner for place in range(OFFERS) for owner in _owners(place)}
    limits = Limits(caps=(CountCap(metric="attempt", window="total", limit=LIMIT),), concurrency=LIMIT)
    async with db.transaction() as tx:
        await tx.execute(
            "insert into account (account_id, name, currency, time_zone, week_starts_on, catalog_version, "
            "created_at) values ($1, 'Bench', 'USD', 'UTC', 1, $2, $3)",
            _ACCOUNT,
            _CATALOG_VERSION,
            _AT,
        )
        for owner in sorted(owners, key=owner_key):
            await set_limits(tx, _ACCOUNT, owner, limits, time_zone="UTC", week_starts_on=0, now=_AT)


async def _clean(db: Database) -> None:
    async with db.transaction() as tx:
        for table in ("reservation", "cap_window", "cap", "cap_owner", "account"):
            await tx.execute(f"delete from {table} where account_id = $1", _ACCOUNT)


def _campaign(place: int) -> CampaignId:
    return CampaignId(f"cmp_{place % CAMPAIGNS:026}")


def _owners(place: int) -> tuple[Owner, ...]:
    return (
        Owner(kind="buyer", id=f"buy_{place:026}"),
        Owner(kind="campaign", id=_campaign(place)),
        Owner(kind="offer", id=f"off_{place:026}"),
    )


def _claim(name: str, place: int) -> Claim:
    return Claim(
        attempt_id=AttemptId(f"att_{name}"),
        call_id=CallId(f"call_{name}"),
        campaign_id=_campaign(place),
        offer_id=OfferId(f"off_{place:026}"),
        buyer_id=BuyerId(f"buy_{place:026}"),
        expires_at=_EXPIRES_AT,
    )


_Act = Callable[[str, int], Awaitable[None]]


async def _work(dsn: str, number: int) -> None:
    """A worker's life: a line in, a line out."""
    db = await connect(dsn, max_connections=TASKS[-1] // PROCESSES + 2)
    bare = await connect(_with_bare_plans(dsn), max_connections=TASKS[-1] // PROCESSES)
    reservations = Reservations(db, world=RealWorld())
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        wanted = msgspec.json.decode(line, type=Round)
        times: list[float] = []
        started = monotonic_s()
        async with asyncio.TaskGroup() as tasks:
            for task in range(wanted.tasks):
                name = f"{wanted.name}-{number}-{task}"
                tasks.create_task(_task(bare, reservations, wanted, name=name, times=times))
        elapsed = monotonic_s() - started
        await reservations.drain()
        times.sort()
        told = Measured(per_s=len(times) / elapsed, p99_ms=times[len(times) * 99 // 100] * 1e3)
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        sys.stdout.buffer.flush()
    await db.close()
    await bare.close()


def _with_bare_plans(dsn: str) -> str:
    return f"{dsn}{'&' if '?' in dsn else '?'}{_BARE_PLANS}"


async def _task(
    bare: Database, reservations: Reservations, wanted: Round, *, name: str, times: list[float]
) -> None:
    match wanted.subject:
        case "ours":
            await _repeat(lambda attempt, place: _reserve(reservations, attempt, place), wanted, name, times)
        case "ended":
            await _repeat(lambda attempt, place: _pass(reservations, attempt, place), wanted, name, times)
        case "bare":
            async with bare.session() as session:
                await _repeat(lambda _, place: _update(session, place), wanted, name, times)
        case _:
            assert_never(wanted.subject)


async def _repeat(act: _Act, wanted: Round, name: str, times: list[float]) -> None:
    chance = dice(SEED + sum(name.encode()))
    ends = monotonic_s() + wanted.seconds
    before = monotonic_s()
    for attempt in range(MAX_ATTEMPTS_A_TASK):
        if before >= ends:
            break
        await act(f"{name}-{attempt}", 0 if wanted.hot else chance.randrange(OFFERS))
        after = monotonic_s()
        times.append(after - before)
        before = after


async def _reserve(reservations: Reservations, name: str, place: int) -> None:
    told = await reservations.reserve(_ACCOUNT, _claim(name, place), catalog_version=_CATALOG_VERSION)
    assert isinstance(told, Granted), told


async def _pass(reservations: Reservations, name: str, place: int) -> None:
    await _reserve(reservations, name, place)
    assert await reservations.settle(_ACCOUNT, Settlement(attempt_id=AttemptId(f"att_{name}")))


async def _update(session: Transaction, place: int) -> None:
    owners = [owner_key(owner) for owner in _owners(place)]
    booked = await session.fetch(_BARE, _ACCOUNT, owners, _AT)
    assert len(booked) == 2 * len(owners)


if __name__ == "__main__":
    uvloop.run(_work(sys.argv[1], int(sys.argv[2])))
