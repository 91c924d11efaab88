"""Others ask us for bids, call, and are paid as bid: over real HTTP, by the published examples alone."""

import asyncio

import make
from callmatrix.core.campaign import BidFixed, MarginFloor
from callmatrix.store.db import Database
from rtb_network import SOLD_NUMBER, Seller, SoldLine, later, save_selling_network
from served import CALLER, START, TALKED, Start, SteeredWorld, came_to, one


async def test_a_seller_who_knows_the_published_examples_asks_calls_and_is_paid_as_bid(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_selling_network(db, given={"sip_host": "sip.example.com"})
    process = await start()
    bid = await Seller(process).ask(zipcode="94105", sipOk="yes")
    bid_id = bid.whole.pop("bidId")
    assert bid.whole == {
        "bidAmount": "20.3",
        "expireInSeconds": 40,
        "bidExpireDT": later(40),
        "bidExpireEpoch": int(START.timestamp() + 40) * 1_000,
        "phoneNumber": SOLD_NUMBER,
        "phoneNumberNoPlus": SOLD_NUMBER.removeprefix("+"),
        "sipAddress": f"{SOLD_NUMBER}@sip.example.com",
        "bidTerms": [
            {
                "code": "duration",
                "callMinDuration": 60,
                "description": "Paid once the call lasts 60 seconds",
            }
        ],
        "warnings": [],
    }
    world.go_on(20)
    line = SoldLine(process)
    assert make.offer(1).destination.number in (await line.arrive()).text
    await line.tell("dial", 1, **TALKED)
    await line.status()
    await process.settled()
    told = await came_to(db, line.call_id)
    assert (told["call"]["revenue_micros"], told["call"]["payout_micros"]) == (29_000_000, 20_300_000)
    row = "select state || ' ' || (call_id = $2)::text || ' ' || used_ref from rtb_bid where id = $1"
    assert await one(db, row, bid_id, line.call_id) == "used true CA1"


async def test_the_same_request_gets_the_same_bid_with_a_warning_until_it_expires(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_selling_network(db)
    seller = Seller(await start())
    first = await seller.ask(zipcode="94105")
    world.go_on(30)
    again = await seller.ask(zipcode="94105")
    assert (again.whole["bidId"], again.warnings) == (first.whole["bidId"], (230,))
    assert again.whole["expireInSeconds"] == 10
    world.go_on(10)
    anew = await seller.ask(zipcode="94105")
    assert (anew.whole["bidId"] != first.whole["bidId"], anew.warnings) == (True, ())


async def test_the_same_request_at_two_processes_at_once_makes_one_bid(db: Database, start: Start) -> None:
    await save_selling_network(db)
    sellers = [Seller(await start()), Seller(await start())]
    bids = await asyncio.gather(*(seller.ask(zipcode="94105") for seller in sellers * 5))
    assert len({bid.whole["bidId"] for bid in bids}) == 1
    assert sorted(bid.warnings for bid in bids) == [(), *[(230,)] * 9]
    assert await one(db, "select array_agg(state) from rtb_bid") == ["open"]


async def test_a_call_that_answers_no_bid_is_refused_with_the_reason(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_selling_network(db)
    process = await start()
    await Seller(process).ask()
    hidden = await SoldLine(process, sid="CA1", caller="anonymous").arrive()
    other = await SoldLine(process, sid="CA2", caller="+14155550198").arrive()
    assert "/dial/1" in (await SoldLine(process, sid="CA3").arrive()).text
    world.go_on(10)
    twice = await SoldLine(process, sid="CA4").arrive()
    world.go_on(31)
    late = await SoldLine(process, sid="CA5").arrive()
    for answer in (hidden, other, twice, late):
        assert '<Reject reason="rejected"/>' in answer.text
    assert await one(db, "select array_agg(blocked order by carrier_ref) from call") == [
        "rtb_caller_hidden",
        "rtb_no_bid",
        "",
        "rtb_used",
        "rtb_expired",
    ]


async def test_a_carrier_that_tells_twice_of_a_sold_call_gets_one_answer_and_uses_one_bid(
    db: Database, start: Start
) -> None:
    await save_selling_network(db)
    process = await start()
    await Seller(process).ask()
    first, second = await SoldLine(process).arrive(), await SoldLine(process).arrive()
    assert first == second
    assert await one(db, "select array_agg(state) from rtb_bid") == ["used"]


async def test_a_bid_leaves_the_margin_floor_and_so_does_every_fall_through(
    db: Database, start: Start
) -> None:
    """Of 29, 20 % stay ours, 0.03 go to the carrier: 23.17 at most. The second offer leaves too little."""
    floor = MarginFloor(share_bps=2_000)
    await save_selling_network(db, given={"price": BidFixed(amount=make.usd("23.17"))}, margin_floor=floor)
    process = await start()
    assert (await Seller(process).ask()).amount == "23.17"
    line = SoldLine(process)
    await line.arrive()
    answer = await line.tell("dial", 1, DialCallStatus="busy", DialBridged="false")
    assert "/dial/2" not in answer.text
    assert "Nobody can take your call" in answer.text or "<Hangup/>" in answer.text
    assert await one(db, "select count(*) from reservation") == 1


async def test_a_wrong_key_is_not_signed_in_and_an_unknown_endpoint_is_not_there(
    db: Database, start: Start
) -> None:
    await save_selling_network(db)
    process = await start()
    body = b'{"CID": "14155550199"}'
    for path, headers, status in (
        ("/rtb/rtb_1.json", {}, 401),
        ("/rtb/rtb_1.json?key=another", {}, 401),
        ("/rtb/rtb_none.json?key=a-sellers-key", {}, 404),
        ("/rtb/rtb_1", {"Authorization": "Bearer a-sellers-key"}, 200),
        ("/rtb/rtb_1", {"X-Api-Key": "a-sellers-key"}, 200),
    ):
        answer = await process.send(path, body, {"Content-Type": "application/json", **headers})
        assert answer.status == status, path
    assert await one(db, "select array_agg(caller || ' ' || repeats) from rtb_bid") == [f"{CALLER} 1"]
