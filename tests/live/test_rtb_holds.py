"""What stands between a request and a bid: limits, capacity held or overbooked, pauses, blocked callers."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

import make
import saved
from callmatrix.core.campaign import Endpoint, Publisher, PublisherInCampaign, RequestLimits, Screening
from callmatrix.core.caps import CountCap, Limits, MoneyCap
from callmatrix.core.errors import Refused
from callmatrix.core.ids import NumberId
from callmatrix.core.pricing import DuplicateRule, PublisherTerms, SharePayout, Tariff
from callmatrix.live import jobs, schedule, sweeps
from callmatrix.store import blocks, catalog, lifecycle
from callmatrix.store.db import Database
from rtb_network import SOLD_NUMBER, Seller, SoldLine, endpoint, save_selling_network, sold_number
from served import CALLER, TALKED, Start, SteeredWorld, came_to, one

OTHER = "+14155550198"
BLOCK = blocks.Block(id="blk_1", pattern=OTHER, reason="", blocked_by="usr_1", blocked_at=saved.AT)


def limited(**limits: Any) -> Limits:
    return Limits(**limits)


# --- how many ------------------------------------------------------------------------------------------


async def test_a_minutes_requests_are_answered_to_the_last_one_whichever_process_is_asked(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_selling_network(db, given={"limits": RequestLimits(per_minute=10)})
    sellers = [Seller(await start()), Seller(await start())]
    callers = [f"+141555501{number:02}" for number in range(20)]
    bids = await asyncio.gather(*(sellers[place % 2].ask(caller) for place, caller in enumerate(callers)))
    refused = [bid.reason for bid in bids if not bid.number]
    assert (len(bids) - len(refused), refused) == (10, ["Rate-limited (Code: 1024)"] * 10)
    world.go_on(60)
    assert (await sellers[0].ask()).number == SOLD_NUMBER
    assert await one(db, "select jsonb_object_agg(code, count) from rtb_tally") == (
        b'{"bid": 11, "rate_limited": 10}'
    )


async def test_hours_and_days_are_counted_in_the_accounts_zone(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_selling_network(db, given={"limits": RequestLimits(per_hour=2, per_day=3)})
    seller = Seller(await start())
    for number, reason in ((1, ""), (2, ""), (3, "Rate-limited (Code: 1024)")):
        assert (await seller.ask(f"+1415555010{number}")).reason == reason
    world.go_on(3_600)
    for number, reason in ((4, ""), (5, "Rate-limited (Code: 1024)")):
        assert (await seller.ask(f"+1415555010{number}")).reason == reason


async def test_no_more_bids_are_open_at_once_than_the_endpoint_may_have(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_selling_network(db, given={"max_open_bids": 2})
    seller = Seller(await start())
    for number, reason in ((1, ""), (2, ""), (3, "No capacity (Code: 1003)")):
        assert (await seller.ask(f"+1415555010{number}")).reason == reason
    world.go_on(40)
    assert (await seller.ask(OTHER)).reason == ""


async def test_two_requests_without_a_caller_get_two_numbers_and_a_third_none(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    """A call without a known caller can only be told by its number."""
    given = {"require_caller_id": False, "numbers": (NumberId("num_2"), NumberId("num_3"))}
    await save_selling_network(db, given=given)
    seller = Seller(await start())
    bids = [await seller.ask("", age=str(age)) for age in range(3)]
    assert [bid.number for bid in bids] == [SOLD_NUMBER, "+18885550103", ""]
    assert bids[2].reason == "No capacity (Code: 1003)"
    assert "/dial/1" in (await SoldLine(seller.process, caller="anonymous").arrive()).text
    assert (await seller.ask("", age="3")).number == SOLD_NUMBER


# --- capacity ------------------------------------------------------------------------------------------


async def test_a_hard_bid_holds_its_offer_until_it_expires_or_its_call_ends(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    only = make.offer(1, limits=limited(concurrency=1))
    await save_selling_network(db, only, given={"hold": "hard"})
    process = await start()
    seller = Seller(process)
    assert (await seller.ask()).amount == "20.3"
    assert (await seller.ask(OTHER)).reason == "Final capacity check (Code: 1006)"
    await process.app.masks.refresh()
    assert (await seller.ask(OTHER, age="1")).reason == "No capacity (Code: 1003)"
    world.go_on(30)
    line = SoldLine(process)
    assert "/dial/1" in (await line.arrive()).text
    # The bid is over, its call is not.
    world.go_on(60)
    await sweeps.sweep(process.app)
    assert await one(db, "select array_agg(state::text) from reservation where state <> 'denied'") == ["held"]
    await line.tell("dial", 1, **TALKED)
    await line.status()
    await process.settled()
    told = await came_to(db, line.call_id)
    assert (told["call"]["payout_micros"], told["reservations"][0]["state"]) == (20_300_000, "settled")


async def test_what_a_hard_bid_holds_goes_back_when_nobody_calls(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    only = make.offer(1, limits=limited(concurrency=1))
    await save_selling_network(db, only, given={"hold": "hard"})
    process = await start()
    seller = Seller(process)
    await seller.ask()
    world.go_on(60)
    await sweeps.sweep(process.app)
    await schedule.tick(process.app, now=world.at)
    await process.app.masks.refresh()
    assert await one(db, "select array_agg(state) from rtb_bid") == ["expired"]
    assert (await seller.ask(OTHER)).amount == "20.3"


async def test_a_repeated_hard_bid_holds_once(db: Database, start: Start) -> None:
    await save_selling_network(db, given={"hold": "hard"})
    sellers = [Seller(await start()), Seller(await start())]
    bids = await asyncio.gather(*(seller.ask() for seller in sellers * 4))
    await asyncio.gather(*(seller.process.settled() for seller in sellers))
    assert len({bid.whole["bidId"] for bid in bids}) == 1
    assert await one(db, "select count(*) from reservation where state = 'held'") == 1


async def test_without_a_hold_bids_are_given_as_long_as_the_offer_is_open_now(
    db: Database, start: Start
) -> None:
    only = make.offer(1, limits=limited(concurrency=1))
    await save_selling_network(db, only)
    process = await start()
    seller = Seller(process)
    assert [(await seller.ask(caller)).amount for caller in (CALLER, OTHER)] == ["20.3", "20.3"]
    await SoldLine(process).arrive()
    late = SoldLine(process, sid="CA2", caller=OTHER)
    assert "/dial/1" not in (await late.arrive()).text
    assert await one(db, "select array_agg(state::text order by state) from reservation") == [
        "held",
        "denied",
    ]


async def test_a_soft_endpoint_overbooks_by_what_came_of_its_bids(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    only = make.offer(1, limits=limited(concurrency=1))
    await save_selling_network(db, only, given={"hold": "soft"})
    process = await start()
    seller = Seller(process)
    assert (await seller.ask()).amount == "20.3"
    assert (await seller.ask(OTHER)).reason == "No capacity (Code: 1003)"
    async with db.session() as tx:
        hour = world.at.replace(minute=0, second=0) - timedelta(hours=5)
        await tx.execute(
            "insert into rtb_tally values ($1, 'rtb_1', $2, 'bid', 190), ($1, 'rtb_1', $2, 'call', 9)",
            make.ACCOUNT,
            hour,
        )
    # One call of twenty bids or so: nineteen bids may stand where one call fits.
    bids = [await seller.ask(f"+141555502{number:02}") for number in range(25)]
    assert [bid.amount for bid in bids].count("20.3") == 18


# --- who and what --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "tags", "reason"),
    [
        ({"required_fields": ("age",)}, {}, "Initial tag filter (Code: 1002)"),
        ({"required_fields": ("age",)}, {"age": " "}, "Initial tag filter (Code: 1002)"),
        ({}, {"CID": ""}, "Caller ID verification (Code: 1100)"),
        ({}, {"CID": "12"}, "Caller ID (Code: 1004)"),
        ({"min_bid": make.usd("25")}, {}, "No capacity (Code: 1003)"),
        ({"status": "paused"}, {}, "Disabled (Code: 1001)"),
    ],
)
async def test_a_request_that_lacks_something_is_told_what(
    db: Database, start: Start, given: dict[str, Any], tags: dict[str, str], reason: str
) -> None:
    await save_selling_network(db, given=given)
    bid = await Seller(await start()).ask(**tags)
    assert (bid.amount, bid.number, bid.reason) == ("0", "", reason)
    assert await one(db, "select array_agg(state || ' ' || id) from rtb_bid") == [
        f"refused {bid.whole['bidId']}"
    ]


async def test_pauses_blocks_and_caps_are_read_when_the_bid_is_asked_for(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    capped = PublisherInCampaign(
        publisher_id=make.PUBLISHER,
        limits=limited(caps=(CountCap(metric="attempt", window="day", limit=1),)),
    )
    await save_selling_network(db, publishers=(capped,))
    process = await start()
    seller = Seller(process)

    async def change(act: Any) -> None:
        async with db.transaction() as tx:
            await act(tx)
        await process.app.catalog.refresh(make.ACCOUNT)

    await change(lambda tx: lifecycle.pause(tx, make.ACCOUNT, Publisher, make.PUBLISHER, by=saved.BY))
    assert (await seller.ask()).reason == "Disabled (Code: 1001)"
    await change(lambda tx: lifecycle.resume(tx, make.ACCOUNT, Publisher, make.PUBLISHER, by=saved.BY))
    await change(lambda tx: blocks.add(tx, make.ACCOUNT, BLOCK))
    assert (await seller.ask(OTHER)).reason == "Caller ID (Code: 1004)"
    assert (await seller.ask()).amount == "20.3"
    await SoldLine(process).arrive()
    assert (await seller.ask("+14155550197")).reason == "Closed or capped (Code: 1007)"


async def test_no_more_is_bid_than_the_publishers_cap_leaves_to_be_paid(db: Database, start: Start) -> None:
    capped = PublisherInCampaign(
        publisher_id=make.PUBLISHER,
        limits=limited(caps=(MoneyCap(metric="payout", window="day", limit=make.usd("30")),)),
    )
    await save_selling_network(db, publishers=(capped,))
    process = await start()
    seller = Seller(process)
    assert (await seller.ask()).amount == "20.3"
    await SoldLine(process).arrive()
    assert (await seller.ask(OTHER)).reason == "Closed or capped (Code: 1007)"
    assert await one(db, "select detail from rtb_bid where state = 'refused'") == (
        "20.30 is more than the 9.70 left to be paid"
    )


async def test_the_rent_of_an_endpoints_number_is_booked_by_day(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    tariff = Tariff(number_per_month=make.usd("31"))
    await save_selling_network(db, connection=make.connection(tariff=tariff))
    process = await start()
    await schedule.tick(process.app, now=world.at)
    await jobs.run_due(process.app, schedule.JOBS)
    assert await one(db, "select array_agg(key order by key) from ledger_transaction") == [
        "num_1/number_rent/2026-03-02",
        "num_2/number_rent/2026-03-02",
    ]


async def test_a_caller_who_was_paid_for_is_not_bought_twice(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    rule = DuplicateRule(window_days=30, scope="campaign", action="refuse")
    await save_selling_network(db, screening=Screening(repeat_within_s=0))
    async with db.transaction() as tx:
        terms = PublisherTerms(payout=SharePayout(share_bps=5_000), duplicates=rule)
        await catalog.change(tx, make.ACCOUNT, make.publisher(terms=terms), by=saved.BY)
    process = await start()
    seller = Seller(process)
    bid = await seller.ask()
    assert bid.whole["bidTerms"][1]["windowDays"] == 30
    line = SoldLine(process)
    await line.arrive()
    await line.tell("dial", 1, **TALKED)
    world.go_on(100)
    assert (await seller.ask()).reason == "Caller ID (Code: 1004)"


async def test_a_number_is_dialled_for_one_endpoint_and_nothing_else(db: Database) -> None:
    await save_selling_network(db)
    for taken in (
        endpoint(id="rtb_2"),
        endpoint(id="rtb_2", numbers=(NumberId("num_1"),)),
        msgspec.structs.replace(sold_number(), assignments=saved.number().assignments),
    ):
        act = catalog.create if isinstance(taken, Endpoint) else catalog.change
        with pytest.raises(Refused, match="cannot be saved so"):
            async with db.transaction() as tx:
                await act(tx, make.ACCOUNT, taken, by=saved.BY)
