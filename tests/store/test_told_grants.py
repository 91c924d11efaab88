"""A grant that was told outlives the server: the gate may open before the disk has it, an answer may not."""

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from callmatrix.core.caps import Claim, CountCap, Granted, Limits, Owner, Settlement
from callmatrix.core.ids import AccountId, AttemptId, CallId, CampaignId, OfferId
from callmatrix.live.reservations import Reservations
from callmatrix.store import caps, embedded
from callmatrix.store.db import Database, DatabaseGone, connect
from callmatrix.store.migrate import migrate
from callmatrix.world import SeededWorld

ACCOUNT = AccountId("acc_1")
CAMPAIGN = Owner(kind="campaign", id="cmp_1")
NOW = datetime(2026, 3, 4, 16, 20, tzinfo=UTC)
PROCESSES = 4
TASKS = 4
TOLD_BEFORE_THE_CRASH = 400
MAX_CLAIMS_A_TASK = 5_000
MAX_RECONNECTS = 2_000
RECONNECT_S = 0.05


@pytest.mark.timeout(180)
async def test_no_told_grant_and_no_told_settlement_is_lost_with_the_server(tmp_path: Path) -> None:
    try:
        with embedded.start(tmp_path) as server:
            await _limit(server.dsn)
            granted: set[str] = set()
            settled: set[str] = set()
            enough = asyncio.Event()
            rush = [
                asyncio.create_task(_rush(server.dsn, number, granted, settled, enough))
                for number in range(PROCESSES)
            ]
            await asyncio.wait([asyncio.create_task(enough.wait()), *rush], return_when="FIRST_COMPLETED")
            _kill_all(server)
            await asyncio.gather(*rush)
            db = await _connect_again(server.dsn)
            async with db.transaction() as tx:
                rows = await tx.fetch("select attempt_id, state from reservation")
                (use,) = await caps.cap_use(tx, ACCOUNT, [CAMPAIGN], now=NOW)
            await db.close()
    finally:
        embedded.discard(tmp_path)
    states = {row["attempt_id"]: row["state"] for row in rows}
    assert len(granted) >= TOLD_BEFORE_THE_CRASH
    assert {name for name in granted if name not in states} == set()
    assert {name for name in settled if states[name] == "held"} == set()
    held = sum(state == "held" for state in states.values())
    assert (use.live, use.caps[0].used) == (held, len(states))


async def _limit(dsn: str) -> None:
    db = await connect(dsn)
    await migrate(db)
    limits = Limits(
        caps=(CountCap(metric="attempt", window="total", limit=1_000_000),), concurrency=1_000_000
    )
    async with db.transaction() as tx:
        await caps.set_limits(tx, ACCOUNT, CAMPAIGN, limits, time_zone="UTC", week_starts_on=0, now=NOW)
    await db.close()


async def _rush(dsn: str, number: int, granted: set[str], settled: set[str], enough: asyncio.Event) -> None:
    """What one process asks until the server is gone; what it is told is noted."""
    db = await connect(dsn, max_connections=TASKS)
    ours = Reservations(db, world=SeededWorld(seed=number, clock=lambda: NOW))

    async def work(task: int) -> None:
        for turn in range(MAX_CLAIMS_A_TASK):
            name = f"{number}-{task}-{turn}"
            try:
                assert isinstance(await ours.reserve(ACCOUNT, _claim(name), catalog_version=1), Granted)
                granted.add(name)
                if turn % 2:
                    assert await ours.settle(ACCOUNT, Settlement(attempt_id=AttemptId(name)))
                    settled.add(name)
            except DatabaseGone:
                return
            if len(granted) >= TOLD_BEFORE_THE_CRASH:
                enough.set()

    await asyncio.gather(*(work(task) for task in range(TASKS)))
    await db.close(wait_s=0)


def _claim(name: str) -> Claim:
    return Claim(
        attempt_id=AttemptId(name),
        call_id=CallId(f"call_{name}"),
        campaign_id=CampaignId(CAMPAIGN.id),
        offer_id=OfferId("off_1"),
        expires_at=NOW + timedelta(hours=1),
    )


def _kill_all(server: embedded.Running) -> None:
    """The server and every process of it at once, so that nobody writes out what is in memory only."""
    postmaster = server.pid
    assert postmaster is not None
    os.kill(postmaster, signal.SIGSTOP)
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    os.kill(postmaster, signal.SIGKILL)


async def _connect_again(dsn: str) -> Database:
    for _ in range(MAX_RECONNECTS):
        try:
            return await connect(dsn)
        except DatabaseGone:
            await asyncio.sleep(RECONNECT_S)
    raise AssertionError("the server does not come back")
