"""Batching of claims and settlements: order, bounds, and what waiters are told when something goes wrong."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from callmatrix.core.caps import Claim, CountCap, Denied, Granted, Limits, Owner, Settlement
from callmatrix.core.ids import AccountId, AttemptId, CallId, CampaignId, OfferId
from callmatrix.live.reservations import MAX_WAITING, Reservations, TooManyWaiting
from callmatrix.store.caps import set_limits
from callmatrix.store.db import Database, DatabaseGone, connect
from callmatrix.store.reservations import MAX_BATCH, Stale
from callmatrix.world import SeededWorld

ACCOUNT = AccountId("acc_1")
NOW = datetime(2026, 3, 4, 16, 20, tzinfo=UTC)
OFFER = Owner(kind="offer", id="off_1")


def batcher(db: Database) -> Reservations:
    return Reservations(db, world=SeededWorld(seed=1, clock=lambda: NOW))


def claim(name: str, **fields: Any) -> Claim:
    return Claim(
        attempt_id=AttemptId(name),
        call_id=CallId(f"call_{name}"),
        campaign_id=CampaignId("cmp_1"),
        offer_id=OfferId("off_1"),
        expires_at=NOW + timedelta(hours=2),
        **fields,
    )


async def limit(db: Database, amount: int) -> None:
    async with db.transaction() as tx:
        await set_limits(
            tx,
            ACCOUNT,
            OFFER,
            Limits(caps=(CountCap(metric="attempt", window="day", limit=amount),), concurrency=amount),
            time_zone="UTC",
            week_starts_on=0,
            now=NOW,
        )


async def transactions(db: Database) -> int:
    """How many transactions wrote the reservations."""
    async with db.transaction() as tx:
        return int(await tx.fetchval("select count(distinct xmin::text) from reservation"))


async def test_what_comes_together_goes_in_one_transaction_and_keeps_its_order(db: Database) -> None:
    await limit(db, 3)
    ours = batcher(db)
    told = await asyncio.gather(
        *(ours.reserve(ACCOUNT, claim(f"{place}"), catalog_version=1) for place in range(5))
    )
    assert [type(one) for one in told] == [Granted, Granted, Granted, Denied, Denied]
    assert [one.attempt_id for one in told] == [f"{place}" for place in range(5)]
    assert await transactions(db) == 1
    await ours.drain()


async def test_a_batch_is_bounded(db: Database) -> None:
    ours = batcher(db)
    names = [f"{place:04}" for place in range(MAX_BATCH + 1)]
    await asyncio.gather(*(ours.reserve(ACCOUNT, claim(name), catalog_version=1) for name in names))
    assert await transactions(db) == 2
    await ours.drain()


async def test_more_waiters_than_the_queue_holds_are_refused_at_once(db: Database) -> None:
    ours = batcher(db)
    told = await asyncio.gather(
        *(ours.reserve(ACCOUNT, claim(f"{place}"), catalog_version=1) for place in range(MAX_WAITING + 2)),
        return_exceptions=True,
    )
    assert [type(one) for one in told[-3:]] == [Granted, TooManyWaiting, TooManyWaiting]
    await ours.drain()


async def test_settling_frees_what_the_next_claim_takes(db: Database) -> None:
    await limit(db, 1)
    ours = batcher(db)
    await ours.reserve(ACCOUNT, claim("a"), catalog_version=1)
    ended = Settlement(attempt_id=AttemptId("a"), connected=True)
    assert [await ours.settle(ACCOUNT, ended), await ours.settle(ACCOUNT, ended)] == [True, False]
    told = await ours.reserve(ACCOUNT, claim("b"), catalog_version=1)
    assert isinstance(told, Denied)
    assert (told.code, told.metric) == ("cap_full", "attempt")
    await ours.drain()


async def test_claims_checked_by_different_configurations_go_apart(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(
            "insert into account (account_id, name, currency, time_zone, week_starts_on, catalog_version, "
            "created_at) values ($1, 'One', 'USD', 'UTC', 1, 2, $2)",
            ACCOUNT,
            NOW,
        )
    ours = batcher(db)
    told = await asyncio.gather(
        *(ours.reserve(ACCOUNT, claim(f"{version}"), catalog_version=version) for version in (1, 2, 3))
    )
    assert told == [
        Stale(attempt_id=AttemptId("1")),
        Granted(attempt_id=AttemptId("2")),
        Granted(attempt_id=AttemptId("3")),
    ]
    await ours.drain()


async def test_one_impossible_claim_does_not_take_the_others_with_it(db: Database) -> None:
    ours = batcher(db)
    told = await asyncio.gather(
        ours.reserve(ACCOUNT, claim("a"), catalog_version=1),
        ours.reserve(ACCOUNT, claim("x" * 300), catalog_version=1),
        ours.reserve(ACCOUNT, claim("b"), catalog_version=1),
        return_exceptions=True,
    )
    assert [type(one).__name__ for one in told] == ["Granted", "CheckViolationError", "Granted"]
    await ours.drain()


async def test_a_waiter_that_goes_away_is_not_reserved_for(db: Database) -> None:
    ours = batcher(db)
    leaving = asyncio.create_task(ours.reserve(ACCOUNT, claim("a"), catalog_version=1))
    staying = asyncio.create_task(ours.reserve(ACCOUNT, claim("b"), catalog_version=1))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == Granted(attempt_id=AttemptId("b"))
    async with db.transaction() as tx:
        held = await tx.fetch("select attempt_id from reservation")
    assert [row["attempt_id"] for row in held] == ["b"]
    await ours.drain()


async def test_a_lost_database_is_told_to_every_waiter_and_the_next_one_finds_it_again(
    db: Database, database_url: str
) -> None:
    lost = await connect(database_url, application_name="callmatrix-lost", max_connections=2)
    ours = batcher(lost)
    assert await ours.reserve(ACCOUNT, claim("a"), catalog_version=1) == Granted(attempt_id=AttemptId("a"))
    async with db.transaction() as tx:
        # The gate keeps the batch in flight until its connection is cut.
        await tx.execute("select pg_advisory_xact_lock(capacity_gate($1))", ACCOUNT)
        waiting = [
            asyncio.create_task(ours.reserve(ACCOUNT, claim(name), catalog_version=1)) for name in ("b", "c")
        ]
        cut = False
        while not cut:
            cut = bool(
                await tx.fetchval(
                    "select bool_or(pg_terminate_backend(pid)) from pg_stat_activity "
                    "where application_name = 'callmatrix-lost' and wait_event_type = 'Lock'"
                )
            )
        told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in told] == [DatabaseGone, DatabaseGone]
    assert await ours.reserve(ACCOUNT, claim("b"), catalog_version=1) == Granted(attempt_id=AttemptId("b"))
    await ours.drain()
    await lost.close()


async def test_the_end_of_the_process_cancels_who_waits(db: Database) -> None:
    ours = batcher(db)
    async with db.transaction() as tx:
        await tx.execute("select pg_advisory_xact_lock(capacity_gate($1))", ACCOUNT)
        waiting = asyncio.create_task(ours.reserve(ACCOUNT, claim("a"), catalog_version=1))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await ours.drain()
