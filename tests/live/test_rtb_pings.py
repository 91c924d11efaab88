"""An endpoint that asks on: our own bidders price the bid, within the seller's deadline, less our margin."""

import json
from typing import Any

from test_auctions import bid_offer, bidding, bids

import make
from callmatrix.core.auction import Offered
from callmatrix.core.campaign import AuctionTerms, Bidder, NativeFormat
from callmatrix.dialects import bidders as formats
from callmatrix.dialects.http import HttpReply
from callmatrix.gateway import bidders as stub
from callmatrix.gateway.bidders import Declines, Silent
from callmatrix.live import jobs, schedule
from callmatrix.store.db import Database
from rtb_network import ENDPOINT, KEY, Seller, SoldLine, save_selling_network
from served import CALLER, START, TALKED, Start, SteeredWorld, came_to, one

ASKING = {"pings": True, "shared_fields": ("age",)}


async def test_the_bid_is_the_best_of_our_bidders_less_the_margin_and_its_call_goes_to_that_bidder(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    async with bidding(
        world,
        stub.Bidder(name="low", behaviour=bids(2_500)),
        stub.Bidder(name="high", behaviour=bids(4_000)),
        stub.Bidder(name="full", behaviour=Declines()),
    ) as (bidders, url):
        offers = [bid_offer(place, url, name) for place, name in enumerate(("low", "high", "full"), start=1)]
        await save_selling_network(db, *offers, make.offer(4), given=ASKING)
        process = await start()
        bid = await Seller(process).ask(zipcode="94105", age="44", secret="x")
        assert bid.amount == "28"
        assert [CALLER.removeprefix("+1") in one.body for one in bidders.pings()] == [False] * 3
        assert [one.said["fields"] for one in bidders.pings()] == [{"age": "44"}] * 3
        line = SoldLine(process)
        assert make.offer(2).destination.number in (await line.arrive()).text
        # Nobody is asked again for a call that bids were given for.
        assert len(bidders.pings()) == 3
        await line.tell("leg", 1, CallSid="CA1-1", CallStatus="in-progress")
        await jobs.run_due(process.app, schedule.JOBS)
        await line.tell("dial", 1, **TALKED)
        await line.status()
        await process.settled()
        (post,) = bidders.posts()
        assert (post.bidder, post.said["amount"], post.said["number"]) == ("high", "40.00", CALLER)
    told = await came_to(db, line.call_id)
    assert (told["call"]["revenue_micros"], told["call"]["payout_micros"]) == (40_000_000, 28_000_000)


async def test_our_bid_does_not_outlive_the_one_that_it_rests_on(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    async with bidding(world, stub.Bidder(name="short", behaviour=bids(4_000, expires_in_s=20))) as (_, url):
        await save_selling_network(db, bid_offer(1, url, "short"), given=ASKING)
        bid = await Seller(await start()).ask()
    # Four seconds are left to set up the call.
    assert (bid.amount, bid.whole["expireInSeconds"]) == ("28", 16)


async def test_nobodys_silence_delays_the_seller_past_the_deadline_it_names(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    async with bidding(
        world, stub.Bidder(name="mute", behaviour=Silent()), stub.Bidder(name="quick", behaviour=bids(3_000))
    ) as (_, url):
        await save_selling_network(
            db,
            bid_offer(1, url, "mute"),
            bid_offer(2, url, "quick"),
            given=ASKING | {"deadline_ms": 4_000},
            auction=AuctionTerms(deadline_ms=4_000),
        )
        process = await start()
        bid = await Seller(process).ask(deadline_ms="400")
        await process.app.evidence.drain()
    assert bid.amount == "21"
    assert await one(db, "select array_agg(code order by offer_id) from ping") == ["timed_out", ""]
    assert await one(db, "select deadline_ms from auction") == 300


async def test_without_a_bid_of_ours_there_is_none_for_the_seller(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    async with bidding(world, stub.Bidder(name="full", behaviour=Declines())) as (_, url):
        await save_selling_network(db, bid_offer(1, url, "full"), given=ASKING)
        bid = await Seller(await start()).ask()
    assert (bid.amount, bid.reason) == ("0", "Final capacity check (Code: 1006)")
    assert await one(db, "select array_agg(code || ' ' || detail) from rtb_bid") == ["no_bid no_bid: 1"]


async def test_another_network_on_this_platform_asks_and_reads_us_in_the_native_format(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_selling_network(db)
    process = await start()
    path = f"/rtb/{ENDPOINT}?key={KEY}&format=native"
    ping: dict[str, Any] = {
        "ping_id": "png_1",
        "at": START.isoformat(),
        "deadline_ms": 900,
        "channel": "call",
        "vertical": "plumbing",
        "state": "CA",
        "fields": {"age": "44"},
        "number": CALLER,
        "floor": "20.30",
    }
    answer = await process.send(path, json.dumps(ping).encode(), {"Content-Type": "application/json"})
    bidder = Bidder(format=NativeFormat(), ping_url="https://bids.example.com/rtb")
    read = formats.read_ping(HttpReply(status=answer.status, body=answer.body), bidder, at=world.at)
    assert isinstance(read, Offered)
    assert (str(read.amount), read.min_s) == ("20.30", 60)
    dear = ping | {"floor": "20.31"}
    refused = await process.send(path, json.dumps(dear).encode(), {"Content-Type": "application/json"})
    assert json.loads(refused.body)["reason"] == "below_floor"
