"""Limits, windows and the open state of owners in PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from callmatrix.core.caps import Cap, Claim, CountCap, Granted, Limits, MoneyCap, Owner, Settlement
from callmatrix.core.ids import AccountId, AttemptId, BuyerId, CallId, CampaignId, OfferId, PublisherId
from callmatrix.core.money import Money
from callmatrix.store import caps
from callmatrix.store.caps import CapUse, OwnerUse, Shut
from callmatrix.store.db import Database
from callmatrix.store.reservations import reserve_batch, settle_batch

ACCOUNT = AccountId("acc_1")
NOW = datetime(2026, 3, 4, 16, 20, tzinfo=UTC)
OFFER = Owner(kind="offer", id="off_1")
EVERYBODY = (
    Owner(kind="account", id=ACCOUNT),
    Owner(kind="buyer", id="buy_1"),
    Owner(kind="campaign", id="cmp_1"),
    OFFER,
    Owner(kind="offer_in_campaign", id="off_1/cmp_1"),
    Owner(kind="publisher", id="pub_1"),
    Owner(kind="publisher_in_campaign", id="pub_1/cmp_1"),
)


async def limit(db: Database, owner: Owner, *limits: Cap, at: datetime = NOW, **fields: Any) -> None:
    named = {"time_zone": "UTC", "week_starts_on": 0} | {
        key: fields.pop(key) for key in ("time_zone", "when_capped") if key in fields
    }
    async with db.transaction() as tx:
        await caps.set_limits(tx, ACCOUNT, owner, Limits(caps=limits, **fields), now=at, **named)


async def reserve(db: Database, *names: str, at: datetime = NOW) -> list[bool]:
    claims = [
        Claim(
            attempt_id=AttemptId(name),
            call_id=CallId(f"call_{name}"),
            campaign_id=CampaignId("cmp_1"),
            offer_id=OfferId("off_1"),
            buyer_id=BuyerId("buy_1"),
            publisher_id=PublisherId("pub_1"),
            expires_at=at + timedelta(hours=2),
        )
        for name in names
    ]
    async with db.session() as session:
        told = await reserve_batch(session, ACCOUNT, claims, now=at, catalog_version=1)
    return [isinstance(one, Granted) for one in told]


async def use_of(db: Database, *owners: Owner, at: datetime = NOW) -> tuple[OwnerUse, ...]:
    async with db.transaction() as tx:
        return await caps.cap_use(tx, ACCOUNT, owners, now=at)


def attempts(window: Any, amount: int) -> CountCap:
    return CountCap(metric="attempt", window=window, limit=amount)


@pytest.mark.parametrize("owner", EVERYBODY, ids=lambda owner: owner.kind)
async def test_a_new_cap_counts_what_was_reserved_before_in_its_window(db: Database, owner: Owner) -> None:
    await reserve(db, "yesterday", at=NOW - timedelta(days=1))
    await reserve(db, "a", "b", "c")
    async with db.session() as session:
        await settle_batch(session, ACCOUNT, [Settlement(attempt_id=AttemptId("a"), connected=True)], now=NOW)
        await settle_batch(session, ACCOUNT, [Settlement(attempt_id=AttemptId("b"))], now=NOW)
    connects = CountCap(metric="connect", window="day", limit=2)
    await limit(db, owner, attempts("day", 9), connects, attempts("total", 9), concurrency=5)
    (use,) = await use_of(db, owner)
    told = {(cap.metric, cap.window): cap.used for cap in use.caps}
    assert told == {("attempt", "day"): 3, ("connect", "day"): 2, ("attempt", "total"): 4}
    assert (use.live, use.last_granted_at) == (2, NOW)
    assert await reserve(db, "d") == [False]


async def test_a_new_zone_counts_anew_in_its_own_day(db: Database) -> None:
    await limit(db, OFFER, attempts("day", 9))
    await reserve(db, "before midnight in Denver", at=datetime(2026, 3, 4, 6, 30, tzinfo=UTC))
    await reserve(db, "after", at=datetime(2026, 3, 4, 7, 30, tzinfo=UTC))
    assert [cap.used for cap in (await use_of(db, OFFER))[0].caps] == [2]
    await limit(db, OFFER, attempts("day", 9), time_zone="America/Denver")
    assert [cap.used for cap in (await use_of(db, OFFER))[0].caps] == [1]
    assert await reserve(db, "now") == [True]


async def test_a_cap_that_is_removed_refuses_no_more(db: Database) -> None:
    await limit(db, OFFER, attempts("day", 1))
    assert await reserve(db, "a", "b") == [True, False]
    await limit(db, OFFER)
    assert await reserve(db, "c") == [True]
    await limit(db, OFFER, attempts("day", 1))
    assert [cap.used for cap in (await use_of(db, OFFER))[0].caps] == [2]


async def test_use_is_told_with_limits_and_resets(db: Database) -> None:
    money = MoneyCap(metric="revenue", window="total", limit=Money.parse("10.00"))
    await limit(db, OFFER, attempts("day", 5), money, concurrency=4, spacing_s=0)
    await reserve(db, "a")
    named = {"owner": OFFER, "overage": 0}
    resets_at = datetime(2026, 3, 5, tzinfo=UTC)
    assert await use_of(db, Owner(kind="offer", id="unknown"), OFFER) == (
        OwnerUse(
            owner=OFFER,
            status="open",
            concurrency=4,
            live=1,
            spacing_s=0,
            last_granted_at=NOW,
            caps=(
                CapUse(metric="attempt", window="day", limit=5, used=1, resets_at=resets_at, **named),
                CapUse(metric="revenue", window="total", limit=10_000_000, used=0, resets_at=None, **named),
            ),
        ),
    )


async def test_windows_are_written_ahead_once(db: Database) -> None:
    await limit(db, OFFER, attempts("hour", 5), attempts("total", 5))
    later = NOW + timedelta(hours=1)
    async with db.transaction() as tx:
        written = [await caps.materialise_windows(tx, ACCOUNT, now=at) for at in (NOW, later, later)]
    assert written == [0, 1, 0]


async def test_everybody_who_would_refuse_is_named_with_the_first_reason(db: Database) -> None:
    paused, busy, spaced, full, broke = (
        Owner(kind="campaign", id="cmp_1"),
        Owner(kind="publisher", id="pub_1"),
        Owner(kind="offer_in_campaign", id="off_1/cmp_1"),
        OFFER,
        Owner(kind="buyer", id="buy_9"),
    )
    await limit(db, busy, concurrency=1)
    await limit(db, spaced, spacing_s=60)
    await limit(db, full, attempts("hour", 1), attempts("day", 1), attempts("month", 2))
    await reserve(db, "a")
    async with db.transaction() as tx:
        await caps.set_status(tx, ACCOUNT, paused, "paused")
        await caps.set_credit_limit(tx, ACCOUNT, BuyerId(broke.id), Money(5))
        await caps.add_funds(tx, ACCOUNT, BuyerId(broke.id), Money(-5))
        told = await caps.open_state(tx, ACCOUNT, now=NOW)
        later = await caps.open_state(tx, ACCOUNT, now=NOW + timedelta(days=1))
    resets_at = datetime(2026, 3, 5, tzinfo=UTC)
    shut = (
        Shut(owner=broke, code="no_funds", metric="", until=None),
        Shut(owner=paused, code="paused", metric="", until=None),
        Shut(owner=full, code="cap_full", metric="attempt", until=resets_at),
        Shut(owner=spaced, code="spacing", metric="", until=NOW + timedelta(seconds=60)),
        Shut(owner=busy, code="concurrency_full", metric="", until=None),
    )
    assert (told, later) == (shut, (shut[0], shut[1], shut[4]))


async def test_no_counter_passes_its_ceiling_whoever_writes_it(db: Database) -> None:
    await limit(db, OFFER, attempts("day", 1), concurrency=1)
    for statement in (
        "update cap_window set used = 2",
        "update cap_owner set live = 2",
        "update cap_owner set live = -1",
        "update cap_window set used = -1",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            async with db.transaction() as tx:
                await tx.execute(statement)


async def test_a_change_of_limits_waits_for_claims_and_counts_them(db: Database) -> None:
    async def add_cap() -> None:
        for number in range(10):
            await limit(db, OFFER, attempts("day", 1_000), concurrency=1_000 + number)
            await limit(db, OFFER)

    async def rush() -> None:
        for turn in range(20):
            await reserve(db, *(f"{turn}-{place}" for place in range(3)))

    await asyncio.gather(add_cap(), rush())
    await limit(db, OFFER, attempts("day", 1_000))
    (use,) = await use_of(db, OFFER)
    assert (use.live, [cap.used for cap in use.caps]) == (60, [60])
