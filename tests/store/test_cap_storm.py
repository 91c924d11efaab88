"""Real processes storm caps of 1, 10 and 1,000 and are killed at random: no unit is oversold, none leaks.

Everything is recomputed from the rows of `reservation`; the counters must agree with them. Run as a program,
this file is one of those processes.
"""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random  # noqa: TID251  for the type alone; world.dice rolls

import pytest

from callmatrix.core.caps import Claim, CountCap, Granted, Limits, Owner, Settlement
from callmatrix.core.ids import AccountId, AttemptId, CallId, CampaignId, OfferId
from callmatrix.live.reservations import Reservations
from callmatrix.store import caps, reservations
from callmatrix.store.db import Database, Transaction, connect
from callmatrix.world import SeededWorld, dice

PROCESSES = 4
WORKERS = 8
KILLS = 5
GRANTS_BETWEEN_KILLS = 100
MAX_POLLS = 20_000
MAX_TURNS = 1_000_000
ACCOUNT = AccountId("acc_storm")
CAMPAIGN = CampaignId("cmp_storm")
NOW = datetime(2026, 3, 4, 16, 20, tzinfo=UTC)
# What the next victim holds expires first, what the processes that live on hold after everything.
EXPIRY = timedelta(minutes=1)
LIMITS = (1, 10, 1_000)
CONCURRENCY = 40
# An attempt's unit never comes back; a conversion's does where the call does not convert.
ATTEMPTS = {f"off_attempt_{limit}": limit for limit in LIMITS}
CONVERSIONS = {f"off_conversion_{limit}": limit for limit in LIMITS}
OFFERS = (*ATTEMPTS, *CONVERSIONS)
ASKED_FOR = (*OFFERS, *["off_attempt_1000", "off_conversion_1000"] * len(OFFERS))


async def storm(dsn: str, name: str, expires_at: datetime, acknowledged: Path) -> None:
    """One process: `WORKERS` tasks reserve and settle until the input ends. Every grant told is noted."""
    db = await connect(dsn, application_name=name, max_connections=4)
    ours = Reservations(db, world=SeededWorld(seed=1, clock=lambda: NOW))
    stopping = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    with acknowledged.open("a", buffering=1) as notes:

        async def work(number: int) -> None:
            chance = dice(sum(f"{name}-{number}".encode()))
            for turn in range(MAX_TURNS):
                if stopping.done():
                    break
                attempt = AttemptId(f"{name}-{number}-{turn}")
                told = await ours.reserve(ACCOUNT, _claim(attempt, chance, expires_at), catalog_version=1)
                if not isinstance(told, Granted):
                    continue
                notes.write(f"{attempt}\n")
                converted = chance.random() < 0.5
                ended = Settlement(attempt_id=attempt, connected=converted, converted=converted)
                await ours.settle(ACCOUNT, ended)

        await asyncio.gather(*(work(number) for number in range(WORKERS)))
    await db.close()


def _claim(attempt: AttemptId, chance: Random, expires_at: datetime) -> Claim:
    return Claim(
        attempt_id=attempt,
        call_id=CallId(f"call_{attempt}"),
        campaign_id=CAMPAIGN,
        offer_id=OfferId(chance.choice(ASKED_FOR)),
        expires_at=expires_at,
    )


@pytest.mark.timeout(120)
async def test_killed_processes_neither_oversell_nor_leak(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    await _limit(db)
    chance = dice(20_260_304)
    # Who is to be killed is settled first, so that its reservations can be swept and nobody else's.
    names = [f"p{number}" for number in range(PROCESSES)]
    victims = [_replace(names, chance.randrange(PROCESSES), by=f"r{kill}") for kill in range(KILLS)]
    expiry = {victim: NOW + EXPIRY * (1 + kill) for kill, victim in enumerate(victims)}
    running: dict[str, subprocess.Popen[bytes]] = {}

    def start(name: str) -> None:
        running[name] = _start(database_url, name, expiry.get(name, NOW + EXPIRY * (2 + KILLS)), tmp_path)

    try:
        for number in range(PROCESSES):
            start(f"p{number}")
        for kill, victim in enumerate(victims):
            await _until_granted(db, GRANTS_BETWEEN_KILLS)
            running[victim].kill()
            running.pop(victim).communicate()
            start(f"r{kill}")
            await _until_disconnected(db, victim)
            await _sweep(db, now=expiry[victim])
        await _until_used_up(db)
    finally:
        for process in running.values():
            process.communicate(input=b"")
    assert {name: process.returncode for name, process in running.items()} == dict.fromkeys(names, 0)
    async with db.transaction() as tx:
        assert await _oversold(tx) == []
        assert {offer: await _granted(tx, offer) for offer in ATTEMPTS} == ATTEMPTS
        assert {offer: await _converted(tx, offer) for offer in CONVERSIONS} == CONVERSIONS
        await _assert_counters_equal_rows(tx)
        await _assert_every_told_grant_is_kept(tx, _told(tmp_path))


def _replace(names: list[str], place: int, *, by: str) -> str:
    replaced, names[place] = names[place], by
    return replaced


def _start(dsn: str, name: str, expires_at: datetime, folder: Path) -> subprocess.Popen[bytes]:
    told = str(folder / f"{name}.txt")
    return subprocess.Popen(
        [sys.executable, __file__, dsn, name, expires_at.isoformat(), told], stdin=subprocess.PIPE
    )


async def _limit(db: Database) -> None:
    async with db.transaction() as tx:
        for offer, limit in (ATTEMPTS | CONVERSIONS).items():
            cap = CountCap(
                metric="attempt" if offer in ATTEMPTS else "conversion", window="total", limit=limit
            )
            await caps.set_limits(
                tx,
                ACCOUNT,
                Owner(kind="offer", id=offer),
                Limits(caps=(cap,), concurrency=CONCURRENCY),
                time_zone="UTC",
                week_starts_on=0,
                now=NOW,
            )
        await caps.set_limits(
            tx,
            ACCOUNT,
            Owner(kind="campaign", id=CAMPAIGN),
            Limits(concurrency=CONCURRENCY),
            time_zone="UTC",
            week_starts_on=0,
            now=NOW,
        )


async def _until_granted(db: Database, more: int) -> None:
    """Return when so many claims more are granted; in every snapshot on the way nothing is oversold."""
    first: int | None = None
    for _ in range(MAX_POLLS):
        async with db.transaction() as tx:
            assert await _oversold(tx) == []
            granted = int(await tx.fetchval("select count(*) from reservation where state <> 'denied'"))
            first = granted if first is None else first
            # Once all is used up no more grants come; the storm of refusals goes on.
            if granted >= first + more or await _used_up(tx):
                return
    raise AssertionError("the storm has stopped granting")


async def _until_disconnected(db: Database, name: str) -> None:
    """Return when the server has ended what a killed process had asked for: it may still take effect."""
    for _ in range(MAX_POLLS):
        async with db.transaction() as tx:
            if not await tx.fetchval(
                "select count(*) from pg_stat_activity where application_name = $1", name
            ):
                return
    raise AssertionError("the server goes on with what a killed process had asked for")


async def _until_used_up(db: Database) -> None:
    for _ in range(MAX_POLLS):
        async with db.transaction() as tx:
            assert await _oversold(tx) == []
            if await _used_up(tx):
                return
    raise AssertionError("the storm does not use the caps up")


async def _used_up(tx: Transaction) -> bool:
    granted = {offer: await _granted(tx, offer) for offer in ATTEMPTS}
    converted = {offer: await _converted(tx, offer) for offer in CONVERSIONS}
    return granted | converted == ATTEMPTS | CONVERSIONS


async def _sweep(db: Database, *, now: datetime) -> None:
    async with db.session() as session:
        for _ in range(MAX_POLLS):
            if not await reservations.sweep_expired(session, ACCOUNT, now=now):
                return
    raise AssertionError("the sweep finds no end")


async def _granted(tx: Transaction, offer: str) -> int:
    return int(
        await tx.fetchval("select count(*) from reservation where offer_id = $1 and state <> 'denied'", offer)
    )


async def _converted(tx: Transaction, offer: str) -> int:
    return int(
        await tx.fetchval(
            "select count(*) from reservation where offer_id = $1 and state = 'settled' and conversions = 1",
            offer,
        )
    )


async def _oversold(tx: Transaction) -> list[tuple[str, str, int]]:
    """What the rows of this instant hold and have used beyond a limit."""
    rows = await tx.fetch(
        "select offer_id, count(*) as attempts, "
        "sum(conversions) as conversions, "
        "count(*) filter (where state = 'held') as live from reservation "
        "where state <> 'denied' and offer_id is not null group by offer_id"
    )
    found = [
        (row["offer_id"], what, row[what])
        for row in rows
        for what, limit in (
            ("attempts", ATTEMPTS.get(row["offer_id"], sys.maxsize)),
            ("conversions", CONVERSIONS.get(row["offer_id"], sys.maxsize)),
            ("live", CONCURRENCY),
        )
        if row[what] > limit
    ]
    live = sum(row["live"] for row in rows)
    return found + ([(str(CAMPAIGN), "live", live)] if live > CONCURRENCY else [])


async def _assert_counters_equal_rows(tx: Transaction) -> None:
    owners = [Owner(kind="offer", id=offer) for offer in OFFERS]
    told = await caps.cap_use(tx, ACCOUNT, [*owners, Owner(kind="campaign", id=CAMPAIGN)], now=NOW)
    assert [use.live for use in told] == [0] * len(told)
    assert {use.owner.id: [(cap.used, cap.overage) for cap in use.caps] for use in told} == {
        CAMPAIGN: [],
        **{offer: [(await _granted(tx, offer), 0)] for offer in ATTEMPTS},
        **{offer: [(await _converted(tx, offer), 0)] for offer in CONVERSIONS},
    }
    held = await tx.fetchval("select count(*) from reservation where state = 'held'")
    assert held == 0


async def _assert_every_told_grant_is_kept(tx: Transaction, told: set[str]) -> None:
    kept = await tx.fetch(
        "select attempt_id from reservation where state <> 'denied' and attempt_id = any($1)", sorted(told)
    )
    assert len(told) > sum(LIMITS)
    assert told - {row["attempt_id"] for row in kept} == set()


def _told(folder: Path) -> set[str]:
    """The grants that processes noted; a process that was killed may leave half a line."""
    texts = [path.read_text().rpartition("\n")[0] for path in folder.glob("*.txt")]
    return {line for text in texts for line in text.splitlines()}


async def test_the_check_sees_what_is_oversold(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.executemany(
            "insert into reservation (account_id, attempt_id, campaign_id, offer_id, state, reserved_at, "
            "expires_at, conversions) values ($1, $2, $3, 'off_conversion_1', 'held', $4, $4, 1)",
            [(ACCOUNT, f"a{number}", CAMPAIGN, NOW) for number in range(CONCURRENCY + 1)],
        )
        assert await _oversold(tx) == [
            ("off_conversion_1", "conversions", CONCURRENCY + 1),
            ("off_conversion_1", "live", CONCURRENCY + 1),
            (CAMPAIGN, "live", CONCURRENCY + 1),
        ]


if __name__ == "__main__":
    asyncio.run(storm(sys.argv[1], sys.argv[2], datetime.fromisoformat(sys.argv[3]), Path(sys.argv[4])))
