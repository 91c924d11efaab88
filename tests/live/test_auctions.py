"""Auctions over real HTTP: whom they ask, who gets the call and the lead, and what bidders cannot do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

import make
import saved
from callmatrix.core.campaign import (
    Acceptance,
    AuctionTerms,
    BearerAuth,
    Bidder,
    NativeFormat,
    NeverStatic,
    Offer,
    RingbaFormat,
)
from callmatrix.core.pricing import BidPrice
from callmatrix.gateway import bidders as stub
from callmatrix.gateway.bidders import Accepts, Bidders, Bids, Declines, Errors, Malformed, Refuses, Silent
from callmatrix.live import auctions, jobs, schedule
from callmatrix.live.calls import LEASE_S
from callmatrix.live.pinger import open_pinger
from callmatrix.store import catalog
from callmatrix.store.db import Database
from served import BUSY, CALLER, TALKED, Line, Start, SteeredWorld, lane_of, one, save_network

SEED = 3
RETURNED = "select document::jsonb -> 'results' from call_event where kind = 'bids_returned'"


@asynccontextmanager
async def bidding(world: SteeredWorld, *scripts: stub.Bidder) -> AsyncIterator[tuple[Bidders, str]]:
    """Bidders that answer on loopback, and the beginning of their addresses."""
    bidders = Bidders(scripts, seed=SEED, world=world)
    runner = web.AppRunner(stub.bidders_app(bidders), access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    try:
        await site.start()
        port = runner.addresses[0][1]
        yield bidders, f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def bid_offer(number: int, url: str, name: str, **changes: Any) -> Offer:
    """An offer of which a stub bidder tells the price."""
    offer_changes = {key: changes.pop(key) for key in ("acceptance", "price") if key in changes}
    bidder = {
        "format": NativeFormat(),
        "ping_url": f"{url}/{name}/ping",
        "post_url": f"{url}/{name}/post",
        **changes,
    }
    return make.offer(number, **{"price": BidPrice(after_s=60), "bidder": Bidder(**bidder), **offer_changes})


def bids(cents: int, **changes: Any) -> Bids:
    return Bids(low_cents=cents, high_cents=cents, **changes)


async def fetched(db: Database, query: str) -> list[dict[str, Any]]:
    async with db.session() as tx:
        return [dict(row) for row in await tx.fetch(query)]


async def test_the_highest_bid_is_dialled_charged_and_gets_the_lead(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    async with bidding(
        world,
        stub.Bidder(name="low", behaviour=bids(2_500)),
        stub.Bidder(name="high", behaviour=bids(4_150)),
        stub.Bidder(name="broken", behaviour=Errors()),
        stub.Bidder(name="garbled", behaviour=Malformed()),
        stub.Bidder(name="full", behaviour=Declines()),
    ) as (bidders, url):
        names = ("low", "high", "broken", "garbled", "full")
        offers = [bid_offer(place, url, name) for place, name in enumerate(names, start=1)]
        await save_network(db, *offers, make.offer(6))
        process = await start()
        line = Line(process)
        answer = await line.arrive()
        assert "+14155550002" in answer.text
        await line.tell("leg", 1, CallSid="CA1-1", CallStatus="in-progress")
        await jobs.run_due(process.app, schedule.JOBS)
        world.go_on(100)
        await line.tell("dial", 1, **TALKED)
        await process.app.evidence.drain()
        (post,) = bidders.posts()
        assert (post.bidder, post.status, post.said["number"], post.said["amount"]) == (
            "high",
            200,
            CALLER,
            "41.50",
        )
        assert bidders.wrong() == []
        assert [CALLER.removeprefix("+1") in one.body for one in bidders.pings()] == [False] * 5
    assert await fetched(
        db, "select offer_id, code, rank_by_micros, amount_micros from ping order by offer_id"
    ) == [
        {"offer_id": f"off_{place}", "code": code, "rank_by_micros": amount, "amount_micros": amount}
        for place, code, amount in (
            (1, "", 25_000_000),
            (2, "", 41_500_000),
            (3, "http_error", None),
            (4, "malformed", None),
            (5, "no_bid", None),
        )
    ]
    assert await one(
        db,
        "select p.amount_micros from ledger_transaction t join posting p on p.transaction_key = t.key"
        " where t.kind = 'charge' and p.account = 'buyer'",
    ) in (41_500_000, -41_500_000)
    assert await one(db, "select code from post") == ""


async def test_a_bidder_that_never_answers_costs_the_deadline_and_no_more(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    async with bidding(
        world,
        stub.Bidder(name="silent", behaviour=Silent()),
        stub.Bidder(name="bids", behaviour=bids(2_100)),
    ) as (_, url):
        await save_network(
            db,
            bid_offer(1, url, "silent"),
            bid_offer(2, url, "bids"),
            auction=AuctionTerms(deadline_ms=300),
        )
        line = Line(await start())
        assert "+14155550002" in (await line.arrive()).text
    returned = await one(
        db, "select document::jsonb -> 'results' from call_event where kind = 'bids_returned'"
    )
    assert '"timed_out"' in str(returned)


async def test_where_nobody_bids_the_campaign_says_whether_a_static_price_takes_the_call(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    async with bidding(world, stub.Bidder(name="full", behaviour=Declines())) as (_, url):
        await save_network(
            db,
            bid_offer(1, url, "full"),
            make.offer(2),
            auction=AuctionTerms(static_fallback=NeverStatic()),
        )
        answer = await Line(await start()).arrive()
    assert "<Dial" not in answer.text
    assert "Nobody can take your call" in answer.text


@pytest.mark.parametrize("refuses", [True, False])
async def test_a_winner_may_refuse_the_lead_before_the_dial_or_say_where_it_wants_the_call(
    db: Database, start: Start, world: SteeredWorld, refuses: bool
) -> None:
    posts = Refuses() if refuses else Accepts(number="+14155550177")
    async with bidding(
        world,
        stub.Bidder(name="first", behaviour=bids(4_000), posts=posts),
        stub.Bidder(name="second", behaviour=bids(3_000)),
    ) as (bidders, url):
        await save_network(
            db, bid_offer(1, url, "first", post_timing="before_dial"), bid_offer(2, url, "second")
        )
        process = await start()
        answer = await Line(process).arrive()
        await process.settled()
        assert [one.bidder for one in bidders.posts()] == ["first"]
    assert ("+14155550002" if refuses else "+14155550177") in answer.text
    states = await fetched(db, "select attempt_id, state from reservation order by attempt_id")
    assert [row["state"] for row in states] == (["released", "held"] if refuses else ["held"])


async def test_an_accepting_buyer_gets_the_lead_when_it_accepts(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    async with bidding(world, stub.Bidder(name="accepts", behaviour=bids(3_000))) as (bidders, url):
        offer = bid_offer(1, url, "accepts", post_timing="accept", acceptance=Acceptance())
        await save_network(db, offer)
        process = await start()
        line = Line(process)
        await line.arrive()
        await line.tell("whisper", 1, CallSid="CA1-1")
        await jobs.run_due(process.app, schedule.JOBS)
        assert bidders.posts() == []
        await line.tell("accept", 1, CallSid="CA1-1", Digits="1")
        await jobs.run_due(process.app, schedule.JOBS)
        assert [one.status for one in bidders.posts()] == [200]


async def test_a_post_that_fails_is_tried_again(db: Database, start: Start, world: SteeredWorld) -> None:
    script = stub.Bidder(name="slow", behaviour=bids(3_000), posts=Accepts(fails=1))
    async with bidding(world, script) as (bidders, url):
        await save_network(db, bid_offer(1, url, "slow"))
        process = await start()
        line = Line(process)
        await line.arrive()
        await line.tell("leg", 1, CallSid="CA1-1", CallStatus="in-progress")
        await jobs.run_due(process.app, schedule.JOBS)
        world.go_on(600)
        await jobs.run_due(process.app, schedule.JOBS)
        await jobs.run_due(process.app, schedule.JOBS)
        assert [one.status for one in bidders.posts()] == [503, 200]


async def test_a_repeat_of_an_arrival_starts_no_second_auction(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    script = stub.Bidder(name="thinks", behaviour=bids(3_000, after_ms=200))
    async with bidding(world, script) as (bidders, url):
        await save_network(db, bid_offer(1, url, "thinks"))
        first, second = await start(), await start()
        answers = await asyncio.gather(Line(first).arrive(), Line(second).arrive())
        assert answers[0].body == answers[1].body
        assert len(bidders.pings()) == 1


async def test_with_too_many_auctions_in_flight_a_call_is_routed_by_static_prices_at_once(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    async with (
        bidding(world, stub.Bidder(name="silent", behaviour=Silent())) as (bidders, url),
        AsyncExitStack() as until_the_end,
    ):
        await save_network(db, bid_offer(1, url, "silent"), make.offer(2))
        pinger = open_pinger(allow_loopback=True, world=world, max_auctions=1)
        until_the_end.push_async_callback(pinger.close)
        app = msgspec.structs.replace((await start()).app, pinger=pinger)
        process = await until_the_end.enter_async_context(lane_of(app))
        asked = asyncio.create_task(Line(process, sid="CA-first").arrive())
        await bidders.until(lambda got: len(got.pings()) == 1)
        answer = await Line(process, sid="CA-second", caller="+14155550188").arrive()
        still_asked = pinger.in_flight
        await asked
    assert "+14155550002" in answer.text
    assert (still_asked, len(bidders.pings())) == (1, 1)
    assert '"overloaded"' in str(await one(db, f"{RETURNED} order by id limit 1"))


async def test_bidders_are_not_asked_again_for_a_process_that_died_while_they_thought(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    async with bidding(world, stub.Bidder(name="silent", behaviour=Silent())) as (bidders, url):
        await save_network(db, bid_offer(1, url, "silent"), make.offer(2))
        dying, other = await start(), await start()
        asked = asyncio.create_task(Line(dying).arrive())
        await bidders.until(lambda got: len(got.pings()) == 1)
        world.go_on(LEASE_S + 1)
        answer = await Line(other).arrive()
        assert "+14155550002" in answer.text
        late = await asked
        assert late.body == answer.body
        assert len(bidders.pings()) == 1
    assert '"interrupted"' in str(await one(db, RETURNED))


async def test_a_secret_that_is_missing_leaves_the_bidder_out(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    script = stub.Bidder(name="guarded", behaviour=bids(9_000), token="t")
    async with bidding(world, script) as (bidders, url):
        await save_network(db, bid_offer(1, url, "guarded", authentication=BearerAuth()), make.offer(2))
        answer = await Line(await start()).arrive()
        assert "+14155550002" in answer.text
        assert bidders.pings() == []


async def test_the_number_is_told_only_where_offer_and_campaign_both_allow_it(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    async with bidding(
        world,
        stub.Bidder(name="ringba", behaviour=bids(3_000), format="ringba"),
        stub.Bidder(name="native", behaviour=bids(2_000)),
    ) as (bidders, url):
        await save_network(
            db,
            bid_offer(1, url, "ringba", format=RingbaFormat(), share_number=True, post_url=None),
            bid_offer(2, url, "native", share_floor=True, price=BidPrice(floor=make.usd("3"), after_s=60)),
            auction=AuctionTerms(share_number=True, reserve=make.usd("7")),
        )
        await Line(await start()).arrive()
        assert [one.said.get("floor") for one in bidders.pings("native")] == ["7.00"]
        told = {one.bidder: CALLER.removeprefix("+1") in one.body for one in bidders.pings()}
    assert told == {"ringba": True, "native": False}


async def test_a_runner_up_takes_the_call_when_the_winner_is_busy_and_nobody_is_asked_again(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    async with bidding(
        world,
        stub.Bidder(name="first", behaviour=bids(4_000)),
        stub.Bidder(name="second", behaviour=bids(3_000)),
    ) as (bidders, url):
        await save_network(db, bid_offer(1, url, "first"), bid_offer(2, url, "second"))
        line = Line(await start())
        await line.arrive()
        world.go_on(5)
        answer = await line.tell("dial", 1, **BUSY)
        assert "+14155550002" in answer.text
        assert len(bidders.pings()) == 2


@pytest.mark.parametrize("pings", [False, True])
async def test_a_call_from_a_listed_phone_touches_nothing_and_pings_only_if_it_was_asked_to(
    db: Database, start: Start, world: SteeredWorld, pings: bool
) -> None:
    async with bidding(world, stub.Bidder(name="bids", behaviour=bids(4_000))) as (bidders, url):
        await save_network(db, bid_offer(1, url, "bids"), make.offer(2))
        async with db.transaction() as tx:
            listed = make.account(test_phones=(CALLER,), test_calls_ping=pings)
            await catalog.change(tx, make.ACCOUNT, listed, by=saved.BY)
        process = await start()
        line = Line(process)
        answer = await line.arrive()
        await line.tell("leg", 1, CallSid="CA1-1", CallStatus="in-progress")
        await jobs.run_due(process.app, schedule.JOBS)
        world.go_on(100)
        await line.tell("dial", 1, **TALKED)
        assert ("+14155550001" if pings else "+14155550002") in answer.text
        assert [one.said["test"] for one in bidders.pings()] == [True] * pings
        assert bidders.posts() == []
    tables = ("reservation", "posting", "rotation")
    touched = [await one(db, f"select count(*) from {table}") for table in tables]
    assert touched == [0, 0, 0]
    assert await one(db, "select test from call") is True


async def test_connections_to_the_bidders_of_live_campaigns_are_kept_open(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    async with bidding(world, stub.Bidder(name="bids", behaviour=bids(4_000))) as (_, url):
        await save_network(db, bid_offer(1, url, "bids"), bid_offer(2, url, "bids", mode="paused"))
        process = await start()
        await auctions.warm(process.app)
        assert process.app.pinger.idle == auctions.WARM_CONNECTIONS
        await Line(process).arrive()
        assert '"reused": true' in str(await one(db, RETURNED))
