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
EXPIRES_AT = NOW + timedelta(minutes=5)
LIMITS = (1, 10, 1_000)
CONCURRENCY = 40
# An attempt's unit never comes back; a conversion's does where the call does not convert.
ATTEMPTS = {f"off_attempt_{limit}": limit for limit in LIMITS}
CONVERSIONS = {f"off_conversion_{limit}": limit for limit in LIMITS}
OFFERS = (*ATTEMPTS, *CONVERSIONS)
# The test sweeps what living processes hold, too: what they then settle counts, beyond the cap as overage.
ON_TIME = "ended_at is null or ended_at < expires_at"
ASKED_FOR = (*OFFERS, *["off_attempt_1000"] * len(OFFERS))


async def storm(dsn: str, name: str, acknowledged: Path) -> None:
    """One process: `WORKERS` tasks reserve and settle until the input ends. Every grant told is noted."""
    db = await connect(dsn, max_connections=4)
    ours = Reservations(db, world=SeededWorld(seed=1, clock=lambda: NOW))
    stopping = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    with acknowledged.open("a", buffering=1) as notes:

        async def work(number: int) -> None:
            chance = dice(sum(f"{name}-{number}".encode()))
            for turn in range(MAX_TURNS):
                if stopping.done():
                    break
                attempt = AttemptId(f"{name}-{number}-{turn}")
                told = await ours.reserve(ACCOUNT, _claim(attempt, chance), catalog_version=1)
                if not isinstance(told, Granted):
                    continue
                notes.write(f"{attempt}\n")
                converted = chance.random() < 0.3
                ended = Settlement(attempt_id=attempt, connected=converted, converted=converted)
                await ours.settle(ACCOUNT, ended)

        await asyncio.gather(*(work(number) for number in range(WORKERS)))
    await db.close()


def _claim(attempt: AttemptId, chance: Random) -> Claim:
    return Claim(
        attempt_id=attempt,
        call_id=CallId(f"call_{attempt}"),
        campaign_id=CAMPAIGN,
        offer_id=OfferId(chance.choice(ASKED_FOR)),
        expires_at=EXPIRES_AT,
    )


@pytest.mark.timeout(120)
async def test_killed_processes_neither_oversell_nor_leak(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    await _limit(db)
    chance = dice(20_260_304)
    running = [_start(database_url, f"p{number}", tmp_path) for number in range(PROCESSES)]
    try:
        for kill in range(KILLS):
            await _until_granted(db, GRANTS_BETWEEN_KILLS)
            victim = running.pop(chance.randrange(PROCESSES))
            victim.kill()
            victim.communicate()
            running.append(_start(database_url, f"r{kill}", tmp_path))
        await _until_used_up(db)
    finally:
        for process in running:
            process.communicate(input=b"")
    assert [process.returncode for process in running] == [0] * PROCESSES
    await _sweep(db)
    async with db.transaction() as tx:
        assert await _oversold(tx) == []
        await _assert_counters_equal_rows(tx)
        for offer, limit in ATTEMPTS.items():
            assert await _granted(tx, offer) == limit
        for offer in ("off_conversion_1", "off_conversion_10"):
            assert await _converted(tx, offer) >= CONVERSIONS[offer]
        await _assert_every_told_grant_is_kept(tx, _told(tmp_path))


def _start(dsn: str, name: str, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, __file__, dsn, name, str(folder / f"{name}.txt")], stdin=subprocess.PIPE
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


async def _until_used_up(db: Database) -> None:
    for _ in range(MAX_POLLS):
        await _sweep(db)
        async with db.transaction() as tx:
            assert await _oversold(tx) == []
            if await _used_up(tx):
                return
    raise AssertionError("the storm does not use the caps up")


async def _used_up(tx: Transaction) -> bool:
    for offer, limit in ATTEMPTS.items():
        if await _granted(tx, offer) < limit:
            return False
    return all([await _converted(tx, offer) >= CONVERSIONS[offer] for offer in list(CONVERSIONS)[:2]])


async def _sweep(db: Database) -> None:
    async with db.session() as session:
        for _ in range(MAX_POLLS):
            if not await reservations.sweep_expired(session, ACCOUNT, now=EXPIRES_AT):
                break


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
        f"coalesce(sum(conversions) filter (where {ON_TIME}), 0) as conversions, "
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
    for use in told[: len(owners)]:
        counted = _granted if use.owner.id in ATTEMPTS else _converted
        assert [cap.used + cap.overage for cap in use.caps] == [await counted(tx, use.owner.id)]
        late = await tx.fetchval(
            f"select count(*) from reservation where offer_id = $1 and conversions > 0 and not ({ON_TIME})",
            use.owner.id,
        )
        assert [cap.overage <= late for cap in use.caps] == [True]
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
    asyncio.run(storm(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
