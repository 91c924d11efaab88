"""Claims and settlements in PostgreSQL: rules 9 to 15, repeats, races, and Counters as the oracle."""

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random  # noqa: TID251  for the type alone; world.dice rolls
from typing import Any

import pytest

from callmatrix.core.caps import (
    Cap,
    Claim,
    CountCap,
    Counters,
    Denied,
    Granted,
    LateBooking,
    Limits,
    MoneyCap,
    Owner,
    OwnerKind,
    Settlement,
)
from callmatrix.core.ids import AccountId, AttemptId, BuyerId, CallId, CampaignId, OfferId, PublisherId
from callmatrix.core.money import Money
from callmatrix.store import caps, reservations
from callmatrix.store.db import Database, Transaction
from callmatrix.store.reservations import Answer, Stale
from callmatrix.world import dice

ACCOUNT = AccountId("acc_1")
NOW = datetime(2026, 3, 4, 16, 20, tzinfo=UTC)
OFFER = Owner(kind="offer", id="off_1")
BUYER = Owner(kind="buyer", id="buy_1")
CAMPAIGN = Owner(kind="campaign", id="cmp_1")
PUBLISHER = Owner(kind="publisher", id="pub_1")
EVERYBODY = (
    Owner(kind="account", id=ACCOUNT),
    CAMPAIGN,
    PUBLISHER,
    Owner(kind="publisher_in_campaign", id="pub_1/cmp_1"),
    BUYER,
    OFFER,
    Owner(kind="offer_in_campaign", id="off_1/cmp_1"),
)


def claim(attempt: str, **fields: Any) -> Claim:
    given: dict[str, Any] = {
        "attempt_id": AttemptId(attempt),
        "call_id": CallId(f"call_{attempt}"),
        "campaign_id": CampaignId("cmp_1"),
        "offer_id": OfferId("off_1"),
        "buyer_id": BuyerId("buy_1"),
        "publisher_id": PublisherId("pub_1"),
        "expires_at": NOW + timedelta(hours=2),
    }
    return Claim(**(given | fields))


def granted(attempt: str, *, pays_publisher: bool = True) -> Granted:
    return Granted(attempt_id=AttemptId(attempt), pays_publisher=pays_publisher)


def full(attempt: str, owner: Owner, metric: str, window: str, limit: str, used: str) -> Denied:
    return Denied(
        attempt_id=AttemptId(attempt),
        code="cap_full",
        owner=owner,
        metric=metric,
        window=window,
        limit=limit,
        used=used,
    )


def over(attempt: str) -> Denied:
    return Denied(attempt_id=AttemptId(attempt), code="closed", owner=Owner(kind="account", id=ACCOUNT))


async def limit(
    db: Database,
    owner: Owner,
    *limits: Cap,
    concurrency: int | None = None,
    spacing_s: int | None = None,
    zone: str = "UTC",
    at: datetime = NOW,
    **more: Any,
) -> None:
    async with db.transaction() as tx:
        await caps.set_limits(
            tx,
            ACCOUNT,
            owner,
            Limits(caps=limits, concurrency=concurrency, spacing_s=spacing_s),
            time_zone=zone,
            week_starts_on=0,
            now=at,
            **more,
        )


async def reserve(db: Database, *claims: Claim, at: datetime = NOW, version: int = 1) -> list[Answer]:
    async with db.session() as session:
        return list(
            await reservations.reserve_batch(session, ACCOUNT, claims, now=at, catalog_version=version)
        )


async def settle(db: Database, *settlements: Settlement, at: datetime = NOW) -> set[str]:
    async with db.session() as session:
        return set(await reservations.settle_batch(session, ACCOUNT, settlements, now=at))


async def sweep(db: Database, *, at: datetime) -> set[str]:
    async with db.session() as session:
        return set(await reservations.sweep_expired(session, ACCOUNT, now=at))


async def used(db: Database, owner: Owner, *, at: datetime = NOW) -> dict[tuple[str, str], tuple[int, int]]:
    """Use and overage of each of an owner's caps."""
    async with db.transaction() as tx:
        (use,) = await caps.cap_use(tx, ACCOUNT, [owner], now=at)
    return {(cap.metric, cap.window): (cap.used, cap.overage) for cap in use.caps}


async def live(db: Database, owner: Owner) -> int:
    async with db.transaction() as tx:
        (use,) = await caps.cap_use(tx, ACCOUNT, [owner], now=NOW)
    return use.live


async def funds(db: Database, *, balance: str, credit: str) -> None:
    async with db.transaction() as tx:
        await caps.set_credit_limit(tx, ACCOUNT, BuyerId("buy_1"), Money.parse(credit))
        await caps.add_funds(tx, ACCOUNT, BuyerId("buy_1"), Money.parse(balance))


def attempts(window: Any, amount: int) -> CountCap:
    return CountCap(metric="attempt", window=window, limit=amount)


async def test_a_batch_is_judged_in_its_order_and_stops_at_the_limit(db: Database) -> None:
    await limit(db, OFFER, attempts("day", 2))
    assert await reserve(db, claim("c"), claim("a"), claim("b")) == [
        granted("c"),
        granted("a"),
        full("b", OFFER, "attempt", "day", "2", "2"),
    ]
    assert await used(db, OFFER) == {("attempt", "day"): (2, 0)}


async def test_the_same_attempt_gets_the_same_answer_and_holds_once(db: Database) -> None:
    await limit(db, OFFER, attempts("day", 2), concurrency=2)
    first = await reserve(db, claim("a"), claim("b"), claim("c"), claim("a"))
    assert await reserve(db, claim("c"), claim("a"), claim("b")) == [first[2], first[0], first[1]]
    assert first[3] == first[0]
    assert (await used(db, OFFER), await live(db, OFFER)) == ({("attempt", "day"): (2, 0)}, 2)


async def test_a_unit_counts_in_the_window_of_its_reservation_whenever_it_converts(db: Database) -> None:
    await limit(db, OFFER, CountCap(metric="conversion", window="hour", limit=5))
    before, after = NOW, NOW + timedelta(hours=1)
    await reserve(db, claim("a"), claim("b"), at=before)
    await reserve(db, claim("c"), at=after)
    await settle(db, Settlement(attempt_id=AttemptId("a"), connected=True, converted=True), at=after)
    await settle(db, Settlement(attempt_id=AttemptId("b"), connected=True), at=after)
    assert await used(db, OFFER, at=before) == {("conversion", "hour"): (1, 0)}
    assert await used(db, OFFER, at=after) == {("conversion", "hour"): (1, 0)}


async def test_days_are_days_of_the_owners_zone(db: Database) -> None:
    await limit(db, OFFER, attempts("day", 1), zone="America/New_York")
    late = datetime(2026, 3, 5, 4, 59, 59, tzinfo=UTC)
    assert await reserve(db, claim("a"), at=NOW) == [granted("a")]
    assert await reserve(db, claim("b"), at=late) == [full("b", OFFER, "attempt", "day", "1", "1")]
    assert await reserve(db, claim("c"), at=late + timedelta(seconds=1)) == [granted("c")]


async def test_a_window_that_nobody_wrote_ahead_is_written_by_the_first_claim(db: Database) -> None:
    await limit(db, OFFER, attempts("hour", 1), attempts("month", 9))
    far = NOW + timedelta(days=100)
    assert await reserve(db, claim("a"), at=far) == [granted("a")]
    assert await reserve(db, claim("b"), at=far) == [full("b", OFFER, "attempt", "hour", "1", "1")]


@pytest.mark.parametrize("owner", EVERYBODY, ids=lambda owner: owner.kind)
async def test_every_kind_of_owner_refuses_in_its_name(db: Database, owner: Owner) -> None:
    await limit(db, owner, attempts("total", 1), concurrency=5)
    assert await reserve(db, claim("a"), claim("b")) == [
        granted("a"),
        full("b", owner, "attempt", "total", "1", "1"),
    ]


async def test_the_first_owner_in_order_refuses(db: Database) -> None:
    for owner in EVERYBODY:
        await limit(db, owner, attempts("day", 0))
    assert await reserve(db, claim("a")) == [full("a", EVERYBODY[0], "attempt", "day", "0", "0")]


async def test_a_claim_that_is_refused_holds_nothing_anywhere(db: Database) -> None:
    await limit(db, CAMPAIGN, attempts("day", 9), concurrency=9)
    await limit(db, OFFER, attempts("day", 0))
    await reserve(db, claim("a"))
    assert (await used(db, CAMPAIGN), await live(db, CAMPAIGN)) == ({("attempt", "day"): (0, 0)}, 0)


async def test_a_fallback_number_meets_account_and_campaign_only(db: Database) -> None:
    await limit(db, BUYER, attempts("day", 0))
    await limit(db, CAMPAIGN, attempts("day", 1), CountCap(metric="conversion", window="day", limit=0))
    plain = {"offer_id": None, "buyer_id": None, "publisher_id": None}
    assert await reserve(db, claim("a", **plain), claim("b", **plain)) == [
        granted("a"),
        full("b", CAMPAIGN, "attempt", "day", "1", "1"),
    ]


@pytest.mark.parametrize("status", ["paused", "closed", "blocked"])
async def test_a_status_refuses_until_it_is_open_again(db: Database, status: Any) -> None:
    async with db.transaction() as tx:
        await caps.set_status(tx, ACCOUNT, BUYER, status)
    assert await reserve(db, claim("a")) == [Denied(attempt_id=AttemptId("a"), code=status, owner=BUYER)]
    async with db.transaction() as tx:
        await caps.set_status(tx, ACCOUNT, BUYER, "open")
    assert await reserve(db, claim("b")) == [granted("b")]


async def test_concurrency_is_held_from_the_reservation_to_its_end(db: Database) -> None:
    await limit(db, OFFER, concurrency=1)
    refused = Denied(attempt_id=AttemptId("b"), code="concurrency_full", owner=OFFER, limit="1", used="1")
    assert await reserve(db, claim("a"), claim("b")) == [granted("a"), refused]
    assert await settle(db, Settlement(attempt_id=AttemptId("a"), connected=True)) == {"a"}
    assert await reserve(db, claim("c")) == [granted("c")]
    assert await live(db, OFFER) == 1


async def test_spacing_lets_the_next_one_through_when_it_has_passed(db: Database) -> None:
    await limit(db, OFFER, spacing_s=60)
    refused = Denied(attempt_id=AttemptId("b"), code="spacing", owner=OFFER, limit="60", used="59")
    assert await reserve(db, claim("a")) == [granted("a")]
    assert await reserve(db, claim("b"), at=NOW + timedelta(seconds=59.9)) == [refused]
    assert await reserve(db, claim("c"), claim("d"), at=NOW + timedelta(seconds=60)) == [
        granted("c"),
        Denied(attempt_id=AttemptId("d"), code="spacing", owner=OFFER, limit="60", used="0"),
    ]


async def test_money_caps_hold_the_maximum_until_settled(db: Database) -> None:
    await funds(db, balance="1000.00", credit="0.00")
    await limit(db, OFFER, MoneyCap(metric="revenue", window="day", limit=Money.parse("100.00")))
    most = {"revenue_max": Money.parse("60.00")}
    assert await reserve(db, claim("a", **most), claim("b", **most)) == [
        granted("a"),
        full("b", OFFER, "revenue", "day", "100.00", "60.00"),
    ]
    await settle(
        db,
        Settlement(attempt_id=AttemptId("a"), connected=True, converted=True, revenue=Money.parse("40.00")),
    )
    assert await used(db, OFFER) == {("revenue", "day"): (40_000_000, 0)}
    assert await reserve(db, claim("c", **most)) == [granted("c")]


async def test_a_conversion_by_postback_holds_no_unit_and_is_booked_late(db: Database) -> None:
    await funds(db, balance="100.00", credit="0.00")
    await limit(db, OFFER, CountCap(metric="conversion", window="day", limit=1))
    later = {"holds_conversion": False, "revenue_max": Money.parse("30.00")}
    assert await reserve(db, claim("a", **later), claim("b", **later)) == [granted("a"), granted("b")]
    assert await used(db, OFFER) == {("conversion", "day"): (0, 0)}
    await settle(
        db,
        *(Settlement(attempt_id=AttemptId(name), connected=True) for name in ("a", "b")),
    )
    async with db.session() as session:
        told = [
            await reservations.book_late(
                session,
                ACCOUNT,
                LateBooking(attempt_id=AttemptId(name), revision=revision, conversions=1),
            )
            for name, revision in (("a", 1), ("a", 1), ("b", 1), ("nobody", 1))
        ]
    assert told == [True, False, True, False]
    assert await used(db, OFFER) == {("conversion", "day"): (1, 1)}


async def test_lowering_a_limit_below_its_use_succeeds_and_refuses(db: Database) -> None:
    await limit(db, OFFER, attempts("day", 3), concurrency=3)
    await reserve(db, claim("a"), claim("b"), claim("c"))
    await limit(db, OFFER, attempts("day", 1), concurrency=1)
    assert await used(db, OFFER) == {("attempt", "day"): (3, 0)}
    assert await reserve(db, claim("d")) == [
        Denied(attempt_id=AttemptId("d"), code="concurrency_full", owner=OFFER, limit="1", used="3")
    ]
    await settle(db, *(Settlement(attempt_id=AttemptId(name)) for name in ("a", "b", "c")))
    assert await reserve(db, claim("e")) == [full("e", OFFER, "attempt", "day", "1", "3")]
    await limit(db, OFFER, attempts("day", 4))
    assert await reserve(db, claim("f"), claim("g")) == [
        granted("f"),
        full("g", OFFER, "attempt", "day", "4", "4"),
    ]


async def test_what_goes_beyond_a_cap_later_is_overage(db: Database) -> None:
    await funds(db, balance="100.00", credit="0.00")
    await limit(db, OFFER, MoneyCap(metric="revenue", window="day", limit=Money.parse("50.00")))
    await reserve(db, claim("a", revenue_max=Money.parse("50.00")))
    await settle(
        db,
        Settlement(attempt_id=AttemptId("a"), connected=True, converted=True, revenue=Money.parse("65.00")),
    )
    assert await used(db, OFFER) == {("revenue", "day"): (50_000_000, 15_000_000)}


async def test_a_correction_takes_back_no_more_than_is_counted(db: Database) -> None:
    await limit(db, OFFER, CountCap(metric="conversion", window="day", limit=5))
    await reserve(db, claim("a"), claim("b"))
    await settle(db, Settlement(attempt_id=AttemptId("a"), connected=True, converted=True))
    async with db.session() as session:
        late = LateBooking(attempt_id=AttemptId("a"), revision=1, conversions=-3)
        assert await reservations.book_late(session, ACCOUNT, late)
    assert await used(db, OFFER) == {("conversion", "day"): (1, 0)}
    await settle(db, Settlement(attempt_id=AttemptId("b")))
    assert await used(db, OFFER) == {("conversion", "day"): (0, 0)}


async def test_a_buyer_needs_funds_for_the_calls_maximum(db: Database) -> None:
    most = {"revenue_max": Money.parse("20.00")}
    assert await reserve(db, claim("a", **most)) == [
        Denied(attempt_id=AttemptId("a"), code="no_funds", owner=BUYER, limit="0.00", used="0.00")
    ]
    await funds(db, balance="-30.00", credit="70.00")
    assert await reserve(db, claim("b", **most), claim("c", **most), claim("d", **most)) == [
        granted("b"),
        granted("c"),
        Denied(attempt_id=AttemptId("d"), code="no_funds", owner=BUYER, limit="40.00", used="40.00"),
    ]
    await settle(db, Settlement(attempt_id=AttemptId("b")))
    assert await reserve(db, claim("e", **most)) == [granted("e")]


async def test_a_buyer_beyond_its_credit_gets_no_call_that_costs_nothing_either(db: Database) -> None:
    await funds(db, balance="-30.00", credit="30.00")
    assert await reserve(db, claim("a")) == [granted("a")]
    await funds(db, balance="-0.01", credit="30.00")
    assert await reserve(db, claim("b")) == [
        Denied(attempt_id=AttemptId("b"), code="no_funds", owner=BUYER, limit="-0.01", used="0.00")
    ]


async def test_a_capped_publisher_is_blocked_or_routed_unpaid_as_configured(db: Database) -> None:
    paid = CountCap(metric="paid", window="day", limit=1)
    account = Owner(kind="account", id=ACCOUNT)
    await limit(db, account, MoneyCap(metric="payout", window="day", limit=Money.parse("100.00")))
    await limit(db, PUBLISHER, paid, when_capped="unpaid")
    most = {"payout_max": Money.parse("5.00")}
    assert await reserve(db, claim("a", **most), claim("b", **most)) == [
        granted("a"),
        granted("b", pays_publisher=False),
    ]
    assert await used(db, account) == {("payout", "day"): (5_000_000, 0)}
    assert await reserve(db, claim("b", **most)) == [granted("b", pays_publisher=False)]
    await limit(db, PUBLISHER, paid, when_capped="block")
    assert await reserve(db, claim("c", **most)) == [full("c", PUBLISHER, "paid", "day", "1", "1")]


async def test_an_expired_reservation_gives_back_all_but_the_attempt(db: Database) -> None:
    await funds(db, balance="20.00", credit="0.00")
    await limit(
        db, OFFER, attempts("day", 9), CountCap(metric="connect", window="day", limit=1), concurrency=1
    )
    most = {"revenue_max": Money.parse("20.00")}
    await reserve(db, claim("a", **most))
    ends = NOW + timedelta(hours=2)
    assert await sweep(db, at=ends - timedelta(microseconds=1)) == set()
    assert await sweep(db, at=ends) == {"a"}
    assert await sweep(db, at=ends) == set()
    assert await used(db, OFFER) == {("attempt", "day"): (1, 0), ("connect", "day"): (0, 0)}
    assert await reserve(db, claim("b", **most)) == [granted("b")]
    late = Settlement(attempt_id=AttemptId("a"), connected=True)
    assert await settle(db, late) == set()
    assert await settle(db, late) == set()
    # b holds the only unit of the cap: what is known of a late is beyond it
    assert await used(db, OFFER) == {("attempt", "day"): (2, 0), ("connect", "day"): (1, 1)}
    assert await live(db, OFFER) == 1


async def test_the_accounts_to_sweep_are_those_with_something_expired(db: Database) -> None:
    await _account(db, version=1)
    await reserve(db, claim("a"))
    async with db.session() as session:
        early = await reservations.accounts_with_expired(session, now=NOW)
        late = await reservations.accounts_with_expired(session, now=NOW + timedelta(hours=2))
    assert (early, late) == ((), (ACCOUNT,))


async def test_an_attempt_that_is_over_stays_refused(db: Database) -> None:
    await reserve(db, claim("released"), claim("settled"), claim("expired"))
    await settle(
        db,
        Settlement(attempt_id=AttemptId("released")),
        Settlement(attempt_id=AttemptId("settled"), connected=True),
        Settlement(attempt_id=AttemptId("never reserved")),
    )
    await sweep(db, at=NOW + timedelta(hours=2))
    names = ("released", "settled", "expired", "never reserved")
    assert await reserve(db, *(claim(name) for name in names)) == [over(name) for name in names]


async def test_a_settlement_counts_once(db: Database) -> None:
    await limit(db, OFFER, CountCap(metric="connect", window="day", limit=5), concurrency=5)
    await reserve(db, claim("a"), claim("b"))
    ended = Settlement(attempt_id=AttemptId("a"), connected=True)
    assert await settle(db, ended, ended) == {"a"}
    assert await settle(db, Settlement(attempt_id=AttemptId("a"))) == set()
    assert (await used(db, OFFER), await live(db, OFFER)) == ({("connect", "day"): (2, 0)}, 1)


async def test_newer_configuration_makes_a_batch_ask_again_and_holds_nothing(db: Database) -> None:
    await _account(db, version=7)
    await limit(db, OFFER, attempts("day", 1))
    assert await reserve(db, claim("a"), version=6) == [Stale(attempt_id=AttemptId("a"))]
    assert await reserve(db, claim("a"), version=7) == [granted("a")]
    assert await used(db, OFFER) == {("attempt", "day"): (1, 0)}


async def test_claims_on_two_connections_share_the_last_unit_out_once(db: Database) -> None:
    await limit(db, OFFER, attempts("day", 10), concurrency=10)

    async def rush(number: int) -> list[Answer]:
        async with db.session() as session:
            return [
                one
                for turn in range(5)
                for one in await reservations.reserve_batch(
                    session,
                    ACCOUNT,
                    [claim(f"{number}-{turn}-{place}") for place in range(3)],
                    now=NOW,
                    catalog_version=1,
                )
            ]

    told = [one for many in await asyncio.gather(*(rush(number) for number in range(4))) for one in many]
    assert sum(isinstance(one, Granted) for one in told) == 10
    assert (await used(db, OFFER), await live(db, OFFER)) == ({("attempt", "day"): (10, 0)}, 10)


async def test_the_same_attempt_on_two_connections_holds_once(db: Database) -> None:
    await limit(db, OFFER, attempts("day", 50))
    same = [claim(f"{place}") for place in range(20)]
    told = await asyncio.gather(reserve(db, *same), reserve(db, *same[::-1]), reserve(db, *same))
    assert told == [[granted(f"{place}") for place in range(20)] for _ in range(3)] or told == [
        [granted(each.attempt_id) for each in order] for order in (same, same[::-1], same)
    ]
    assert await used(db, OFFER) == {("attempt", "day"): (20, 0)}


async def test_reserving_and_settling_the_same_attempts_at_once_ends_with_nothing_held(db: Database) -> None:
    await limit(db, OFFER, attempts("day", 500), concurrency=500)
    for turn in range(10):
        same = [claim(f"{turn}-{place}") for place in range(10)]
        await asyncio.gather(
            reserve(db, *same), settle(db, *(Settlement(attempt_id=each.attempt_id) for each in same))
        )
        await settle(db, *(Settlement(attempt_id=each.attempt_id) for each in same))
    assert await live(db, OFFER) == 0


SEEDS = range(6)
STEPS = 250
METRICS: tuple[Any, ...] = ("attempt", "connect", "conversion", "paid", "revenue", "payout")


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_database_and_the_counters_in_memory_agree(db: Database, seed: int) -> None:
    chance = dice(seed)
    counters = Counters(ACCOUNT)
    at = NOW
    names: list[str] = []
    ended: set[str] = set()
    for owner in _owners()[1:]:
        await _set_both(db, counters, owner, chance, at=at)
    for buyer in ("buy_0", "buy_1"):
        counters.set_funds(BuyerId(buyer), balance=Money(0), credit_limit=Money.parse("200.00"))
        async with db.transaction() as tx:
            await caps.set_credit_limit(tx, ACCOUNT, BuyerId(buyer), Money.parse("200.00"))
    for step in range(STEPS):
        at += timedelta(seconds=chance.choice((0, 1, 30, 400)))
        match chance.randrange(12):
            case 0 | 1 | 2 | 3 | 4:
                batch = [
                    _some_claim(chance, f"{step}-{place}", at) for place in range(chance.choice((1, 1, 3)))
                ]
                assert await reserve(db, *batch, at=at) == [counters.reserve(one, at) for one in batch]
                names.extend(one.attempt_id for one in batch)
                names.append(f"{step}-unclaimed")
            case 5 | 6 | 7 | 8 if names:
                settlement = _some_settlement(chance, chance.choice(names))
                told = await settle(db, settlement, at=at)
                assert told == ({settlement.attempt_id} if counters.settle(settlement, at) else set())
                ended |= told
            case 9 if ended:
                name = chance.choice(sorted(ended))
                booking = _some_booking(chance, name)
                async with db.session() as session:
                    told_late = await reservations.book_late(session, ACCOUNT, booking)
                assert told_late == counters.book_late(booking)
            case 10:
                swept = await sweep(db, at=at)
                assert swept == set(counters.sweep(at))
                ended |= swept
            case _:
                await _set_both(db, counters, chance.choice(_owners()), chance, at=at)
        async with db.transaction() as tx:
            await _assert_same_use(tx, counters, at=at)


def _owners() -> tuple[Owner, ...]:
    kinds: tuple[tuple[OwnerKind, str], ...] = (
        ("account", ACCOUNT),
        ("campaign", "cmp_0"),
        ("publisher", "pub_0"),
        ("publisher_in_campaign", "pub_1/cmp_0"),
        ("buyer", "buy_0"),
        ("offer", "off_0"),
        ("offer", "off_1"),
        ("offer_in_campaign", "off_0/cmp_1"),
    )
    return tuple(Owner(kind=kind, id=name) for kind, name in kinds)


def _cap(metric: Any, window: Any, chance: Random) -> Cap:
    if metric in ("revenue", "payout"):
        return MoneyCap(metric=metric, window=window, limit=Money(chance.randrange(0, 90) * 1_000_000))
    return CountCap(metric=metric, window=window, limit=chance.randrange(0, 12))


def _some_limits(chance: Random) -> Limits:
    pairs = {(chance.choice(METRICS), chance.choice(("hour", "day", "total"))) for _ in range(3)}
    return Limits(
        caps=tuple(_cap(metric, window, chance) for metric, window in sorted(pairs)),
        concurrency=chance.choice((None, 2, 6)),
        spacing_s=chance.choice((None, None, None, 20)),
    )


def _some_claim(chance: Random, name: str, at: datetime) -> Claim:
    fallback = chance.random() < 0.1
    return Claim(
        attempt_id=AttemptId(name),
        call_id=CallId(f"call_{name}"),
        campaign_id=CampaignId(chance.choice(("cmp_0", "cmp_1"))),
        expires_at=at + timedelta(seconds=chance.choice((300, 3_000))),
        offer_id=None if fallback else OfferId(chance.choice(("off_0", "off_1", "off_2"))),
        buyer_id=None if fallback else BuyerId(chance.choice(("buy_0", "buy_1"))),
        publisher_id=None if chance.random() < 0.2 else PublisherId(chance.choice(("pub_0", "pub_1"))),
        revenue_max=Money(chance.choice((0, 10_000_000, 25_000_000))),
        payout_max=Money(chance.choice((0, 4_000_000, 9_000_000))),
        holds_conversion=chance.random() < 0.8,
    )


def _some_settlement(chance: Random, name: str) -> Settlement:
    converted = chance.random() < 0.5
    return Settlement(
        attempt_id=AttemptId(name),
        connected=converted or chance.random() < 0.5,
        converted=converted,
        paid=converted and chance.random() < 0.8,
        revenue=Money(chance.choice((0, 10_000_000, 30_000_000)) if converted else 0),
        payout=Money(chance.choice((0, 4_000_000, 12_000_000)) if converted else 0),
    )


def _some_booking(chance: Random, name: str) -> LateBooking:
    """A correction, which may ask to take back more than is counted."""
    return LateBooking(
        attempt_id=AttemptId(name),
        revision=chance.randrange(3),
        conversions=chance.choice((-2, -1, 0, 1)),
        payments=chance.choice((-2, -1, 0, 1)),
        revenue=Money(chance.choice((-50_000_000, -1_000_000, 0, 3_000_000))),
    )


async def _set_both(db: Database, counters: Counters, owner: Owner, chance: Random, *, at: datetime) -> None:
    limits = _some_limits(chance)
    named: Any = {
        "time_zone": chance.choice(("America/Denver", "America/Denver", "Asia/Kathmandu")),
        "week_starts_on": 0,
        "when_capped": chance.choice(("unpaid", "block")),
    }
    counters.register(owner, limits, at=at, **named)
    async with db.transaction() as tx:
        await caps.set_limits(tx, ACCOUNT, owner, limits, now=at, **named)


async def _assert_same_use(tx: Transaction, counters: Counters, *, at: datetime) -> None:
    ours = await caps.cap_use(tx, ACCOUNT, _owners(), now=at)
    for use in ours:
        assert use.live == counters.live(use.owner)
        for cap in use.caps:
            tally = counters.tally(use.owner, cap.metric, cap.window, at=at)
            told = (0, 0) if tally is None else (tally.used, tally.overage)
            assert (cap.used, cap.overage) == told, cap
    held = await tx.fetch("select buyer_id, held_micros from buyer_funds where account_id = $1", ACCOUNT)
    assert {row["buyer_id"]: row["held_micros"] for row in held} == {
        buyer: counters.held_funds(BuyerId(buyer)).micros for buyer in ("buy_0", "buy_1")
    }


async def _account(db: Database, *, version: int) -> None:
    async with db.transaction() as tx:
        await tx.execute(
            "insert into account (account_id, name, currency, time_zone, week_starts_on, catalog_version, "
            "created_at) values ($1, 'One', 'USD', 'UTC', 1, $2, $3)",
            ACCOUNT,
            version,
            NOW,
        )
