"""Requests are answered once and bids used once, however many ask at the same time."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec

import make
from callmatrix.core.ids import BidId, CallId, EndpointId, NumberId, OfferId
from callmatrix.core.rtb import BidRequest, SoldBid
from callmatrix.store import rtb
from callmatrix.store.db import Database
from callmatrix.store.rtb import Answering, Declined, Gone, KeptBid, Made, Offered, Window
from saved import AT
from served import one

ENDPOINT = EndpointId("rtb_1")
NUMBER = NumberId("num_2")
CALLER = "+14155550199"
WINDOW = Window(minute_at=AT, hour_at=AT, day_at=AT)


def offered(name: str, **changes: Any) -> Offered:
    sold = SoldBid(bid_id=BidId(name), endpoint_id=ENDPOINT, amount=make.usd("20"))
    given = {
        "amount": make.usd("20"),
        "min_s": 60,
        "revenue": make.usd("29"),
        "offer_id": OfferId("off_1"),
        "plan_version": 1,
        "hold": "none",
        "hold_s": 3_600,
        "expires_at": AT + timedelta(seconds=40),
        "sip_host": "",
        "sold": sold,
    }
    return Offered(**{**given, **changes})


def asking(name: str, **changes: Any) -> Answering:
    """A request of its own by its name; `hashed` makes it the same as others."""
    hashed = changes.pop("hashed", name)
    given = {
        "bid_id": BidId(name),
        "call_id": CallId(f"call_{name}"),
        "endpoint_id": ENDPOINT,
        "campaign_id": make.CAMPAIGN,
        "publisher_id": make.PUBLISHER,
        "at": AT,
        "request": BidRequest(caller=CALLER),
        "request_hash": hashed.encode().ljust(32)[:32],
        "window": WINDOW,
        "max_open": 100,
        "numbers": ((NUMBER, "+18885550102"),),
        "answer": offered(name),
    }
    return Answering(**{**given, **changes})


async def ask(db: Database, asked: Answering) -> Any:
    async with db.session() as tx:
        return await rtb.answer(tx, make.ACCOUNT, asked)


async def use(db: Database, ref: str, *, caller: str | None = CALLER, after_s: float = 1) -> Any:
    async with db.session() as tx:
        return await rtb.use(
            tx,
            make.ACCOUNT,
            ENDPOINT,
            number_id=NUMBER,
            caller=caller,
            at=AT + timedelta(seconds=after_s),
            connection_id="con_1",
            carrier_ref=ref,
        )


async def tallied(db: Database) -> dict[str, int]:
    async with db.session() as tx:
        hour = AT - timedelta(hours=1)
        return await rtb.tallies(tx, make.ACCOUNT, ENDPOINT, since=hour, until=AT + timedelta(hours=1))


async def test_of_the_same_request_at_once_one_makes_a_bid_and_the_others_get_it(db: Database) -> None:
    told = await asyncio.gather(*(ask(db, asking(f"bid_{n}", hashed="same")) for n in range(20)))
    assert {type(one) for one in told} == {Made}
    assert len({made.bid.id for made in told}) == 1
    assert sorted(made.repeated for made in told) == [False, *[True] * 19]
    assert await tallied(db) == {"bid": 1, "repeat": 19}
    assert await one(db, "select repeats from rtb_bid") == 19


async def test_a_limit_lets_so_many_requests_through_and_not_one_more_at_once(db: Database) -> None:
    window = msgspec.structs.replace(WINDOW, per_hour=7)
    told = await asyncio.gather(*(ask(db, asking(f"bid_{n}", window=window)) for n in range(20)))
    assert sorted(str(one) if isinstance(one, str) else "made" for one in told) == [
        *["made"] * 7,
        *["rate_limited"] * 13,
    ]


async def test_a_process_whose_clock_is_behind_does_not_begin_the_minute_anew(db: Database) -> None:
    window = msgspec.structs.replace(WINDOW, per_minute=1)
    assert isinstance(await ask(db, asking("bid_1", window=window)), Made)
    behind = msgspec.structs.replace(window, minute_at=AT - timedelta(minutes=1))
    assert await ask(db, asking("bid_2", window=behind)) == "rate_limited"
    ahead = msgspec.structs.replace(window, minute_at=AT + timedelta(minutes=1))
    assert isinstance(await ask(db, asking("bid_3", window=ahead)), Made)


async def test_bids_are_open_up_to_their_bound_at_once(db: Database) -> None:
    told = await asyncio.gather(*(ask(db, asking(f"bid_{n}", max_open=5)) for n in range(12)))
    assert sorted(str(one) if isinstance(one, str) else "made" for one in told) == [
        *["made"] * 5,
        *["too_many_open_bids"] * 7,
    ]


async def test_a_bid_that_was_to_be_repeated_and_is_over_is_gone_and_counts_for_nothing(db: Database) -> None:
    assert await ask(db, asking("bid_1", answer=None)) == Gone()
    await ask(db, asking("bid_1"))
    later = AT + timedelta(seconds=40)
    assert await ask(db, asking("bid_2", hashed="bid_1", answer=None, at=later)) == Gone()
    assert await tallied(db) == {"bid": 1}
    assert await one(db, "select minute_count from rtb_gate") == 1


async def test_a_refusal_is_kept_with_its_reason_and_does_not_stand_in_the_way_of_a_bid(db: Database) -> None:
    refused = asking("bid_1", hashed="same", answer=Declined(code="no_match", detail="rule_failed: 2"))
    assert await ask(db, refused) == "no_match"
    assert await one(db, "select code || ' ' || detail || ' ' || state from rtb_bid") == (
        "no_match rule_failed: 2 refused"
    )
    assert isinstance(await ask(db, asking("bid_2", hashed="same")), Made)


async def test_two_calls_of_one_caller_at_once_use_two_bids_and_a_third_none(db: Database) -> None:
    for name in ("bid_1", "bid_2"):
        await ask(db, asking(name))
    told = await asyncio.gather(*(use(db, f"CA{n}") for n in range(3)))
    assert sorted(one.id if isinstance(one, KeptBid) else one for one in told) == [
        "bid_1",
        "bid_2",
        "rtb_used",
    ]
    assert await tallied(db) == {"bid": 2, "call": 2, "rtb_used": 1}


async def test_one_call_that_is_told_twice_at_once_uses_one_bid(db: Database) -> None:
    for name in ("bid_1", "bid_2"):
        await ask(db, asking(name))
    told = await asyncio.gather(*(use(db, "CA1") for _ in range(5)))
    assert {kept.id for kept in told} == {"bid_2"}
    assert await one(db, "select count(*) from rtb_bid where state = 'used'") == 1


async def test_the_newest_bid_of_a_caller_is_the_one_that_counts(db: Database) -> None:
    await ask(db, asking("bid_1"))
    await ask(db, asking("bid_2", at=AT + timedelta(seconds=1)))
    assert (await use(db, "CA1")).id == "bid_2"


async def test_a_bid_is_used_by_a_call_that_came_in_time_though_it_is_told_of_late(db: Database) -> None:
    await ask(db, asking("bid_1"))
    async with db.transaction() as tx:
        await rtb.expire(tx, now=AT + timedelta(minutes=5))
    assert await one(db, "select state from rtb_bid") == "expired"
    assert (await use(db, "CA1", after_s=39)).id == "bid_1"
    assert await use(db, "CA2", after_s=41) == "rtb_expired"
    assert await use(db, "CA3", caller="+14155550198") == "rtb_no_bid"
    assert await use(db, "CA4", caller=None) == "rtb_caller_hidden"


async def test_unused_rows_are_forgotten_by_their_age_and_used_bids_are_not(db: Database) -> None:
    await ask(db, asking("bid_1"))
    await use(db, "CA1")
    await ask(db, asking("bid_2"))
    await ask(db, asking("bid_3", answer=Declined(code="no_match")))
    after = AT + timedelta(days=1)
    async with db.transaction() as tx:
        await rtb.expire(tx, now=after)
        await rtb.forget(tx, refused_before=AT, expired_before=AT)
        assert await tx.fetchval("select count(*) from rtb_bid") == 3
        await rtb.forget(tx, refused_before=after, expired_before=AT)
        assert await tx.fetchval("select array_agg(id order by id) from rtb_bid") == ["bid_1", "bid_2"]
        await rtb.forget(tx, refused_before=after, expired_before=after)
        assert await tx.fetchval("select array_agg(id) from rtb_bid") == ["bid_1"]
