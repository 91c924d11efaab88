"""Repeated, reordered, late and simultaneous webhooks, and processes that die between two steps."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import permutations

import pytest

import make
import saved
from callmatrix.core.campaign import Screening
from callmatrix.core.pricing import DuplicateRule
from callmatrix.live import jobs, schedule
from callmatrix.live.calls import LEASE_S
from callmatrix.store.db import Database
from held_up import asked_for_capacity, capacity_held_up, dies_while_reserving
from served import (
    BOOKS,
    BUSY,
    EVERYTHING,
    START,
    TALKED,
    Answer,
    Line,
    Start,
    SteeredWorld,
    came_to,
    looks,
    one,
    rows,
    save_network,
)

Told = Callable[[Line], Awaitable[Answer]]

BEFORE_THE_BRIDGE: tuple[Told, ...] = (
    lambda line: line.arrive(),
    lambda line: line.tell("gather", 1, Digits="94105"),
    lambda line: line.tell("leg", 1, CallSid=f"{line.sid}-1", CallStatus="ringing"),
    lambda line: line.tell("dial", 1, **BUSY),
    lambda line: line.tell("leg", 2, CallSid=f"{line.sid}-2", CallStatus="ringing"),
)
AFTER_IT: tuple[Told, ...] = (
    lambda line: line.tell("leg", 2, CallSid=f"{line.sid}-2", CallStatus="in-progress"),
    lambda line: line.tell("leg", 2, CallSid=f"{line.sid}-2", CallStatus="completed", CallDuration="90"),
    lambda line: line.tell("dial", 2, **TALKED, CallStatus="completed"),
    lambda line: line.tell("status", 0, CallStatus="completed", CallDuration="130"),
)
# A ZIP, a busy buyer, another who talks for a minute and a half, and the end.
WHOLE_CALL = BEFORE_THE_BRIDGE + AFTER_IT
CAME_TO = {
    "call": {
        "state": "ended",
        "closed": True,
        "review": "",
        "buyer_id": "buy_2",
        "offer_id": "off_2",
        "connected_at": "2026-03-02T12:58:30+00:00",
        "converted_at": "2026-03-02T13:00:00+00:00",
        "paid_at": "2026-03-02T13:00:00+00:00",
        "ended_at": "2026-03-02T13:00:00+00:00",
        "duration_ms": 130_000,
        "bridged_ms": 90_000,
        "revenue_micros": 28_000_000,
        "payout_micros": 14_000_000,
        "cost_micros": 70_000,
    },
    "attempts": [
        {
            "number": 1,
            "offer_id": "off_1",
            "outcome": "busy",
            "ring_ms": 0,
            "leg_ms": 0,
            "bridged_ms": 0,
            "settled": True,
        },
        {
            "number": 2,
            "offer_id": "off_2",
            "outcome": "answered",
            "ring_ms": 4_000,
            "leg_ms": 90_000,
            "bridged_ms": 90_000,
            "settled": True,
        },
    ],
    "reservations": [
        {
            "attempt_id": "-1",
            "state": "released",
            "connects": 0,
            "conversions": 0,
            "paids": 0,
            "funds_micros": 29_000_000,
            "revenue_micros": 0,
            "payout_micros": 0,
        },
        {
            "attempt_id": "-2",
            "state": "settled",
            "connects": 1,
            "conversions": 1,
            "paids": 1,
            "funds_micros": 28_000_000,
            "revenue_micros": 28_000_000,
            "payout_micros": 14_000_000,
        },
    ],
    "postings": [
        {
            "kind": kind,
            "rating_revision": 1,
            "line": line,
            "account": account,
            "owner_id": owner,
            "amount_micros": micros,
        }
        for kind, line, account, owner, micros in (
            ("charge", 1, "buyer", "buy_2", 28_000_000),
            ("charge", 2, "revenue", "", -28_000_000),
            ("cost", 1, "carrier_cost", "", 70_000),
            ("cost", 2, "carrier", "con_1", -70_000),
            ("payout", 1, "payout", "", 14_000_000),
            ("payout", 2, "publisher", "pub_1", -14_000_000),
        )
    ],
}


async def waiting_for(db: Database, table: str, waiting: int) -> None:
    """Return when so many wait for a table."""
    async for _ in looks(db):
        count = await one(
            db,
            "select count(*) from pg_locks where not granted and relation = $1::regclass",
            table,
        )
        if count >= waiting:
            return
    raise AssertionError(f"nobody waits for {table}")


async def told_in_order(line: Line, *webhooks: Told) -> None:
    for told in webhooks:
        answer = await told(line)
        assert answer.status == 200, answer


# --- repeats -------------------------------------------------------------------------------------------


async def test_every_webhook_of_a_call_told_twice_is_answered_alike_and_books_nothing_twice(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_network(db, flow=saved.flow())
    process = await start()
    line = Line(process)
    for told in WHOLE_CALL:
        first = await told(line)
        await process.settled()
        before = await rows(db, *EVERYTHING)
        world.go_on(1)
        assert await told(line) == first
        await process.settled()
        assert await rows(db, *EVERYTHING) == before
        world.at = START
    assert await came_to(db, line.call_id) == CAME_TO


async def test_the_same_arrival_in_two_processes_at_once_is_one_call(db: Database, start: Start) -> None:
    await save_network(db)
    first, second = await start(), await start()
    async with capacity_held_up(db):
        arriving = [asyncio.create_task(Line(each).arrive()) for each in (first, second, first, second)]
        await asked_for_capacity(db)
    answers = await asyncio.gather(*arriving)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert "<Dial " in answers[0].text
    assert await one(db, "select count(*) from call") == 1
    assert await one(db, "select count(*) from reservation") == 1
    assert await one(db, "select array_agg(kind order by version) from call_event") == [
        "arrived",
        "looked",
        "reserved",
    ]


async def test_the_same_end_of_a_dial_in_two_processes_at_once_tries_one_next_buyer(
    db: Database, start: Start
) -> None:
    await save_network(db)
    first, second = await start(), await start()
    line, twin = Line(first), Line(second)
    await line.arrive()
    twin.call_id = line.call_id
    async with capacity_held_up(db):
        telling = [asyncio.create_task(each.tell("dial", 1, **BUSY)) for each in (line, twin, line, twin)]
        await asked_for_capacity(db)
    answers = await asyncio.gather(*telling)
    assert len({answer.body for answer in answers}) == 1
    assert "/dial/2" in answers[0].text
    assert await one(db, "select array_agg(state order by attempt_id) from reservation") == [
        "released",
        "held",
    ]


# --- order ---------------------------------------------------------------------------------------------


async def test_callbacks_in_any_order_come_to_the_same(db: Database, start: Start) -> None:
    await save_network(db, flow=saved.flow())
    process = await start()
    for number, order in enumerate(permutations(AFTER_IT)):
        line = Line(process, sid=f"CA{number}", caller=f"+1415555{2_000 + number}")
        await told_in_order(line, *BEFORE_THE_BRIDGE, *order)
        await process.settled()
        assert (number, await came_to(db, line.call_id)) == (number, CAME_TO)


async def test_two_processes_that_take_turns_come_to_the_same(db: Database, start: Start) -> None:
    await save_network(db, flow=saved.flow())
    first, second = await start(), await start()
    line = Line(first)
    for told in WHOLE_CALL:
        await told_in_order(line, told)
        line.process = second if line.process is first else first
    await first.settled()
    await second.settled()
    assert await came_to(db, line.call_id) == CAME_TO


async def test_what_comes_after_the_end_changes_nothing(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_network(db, flow=saved.flow())
    process = await start()
    line = Line(process)
    await told_in_order(line, *WHOLE_CALL)
    await process.settled()
    before = await rows(db, *BOOKS, "cap_window")
    world.go_on(60)
    late = [
        await line.tell("gather", 2, Digits="10001"),
        await line.tell("dial", 3, **TALKED),
        await line.tell("leg", 1, CallSid="CA1-1", CallStatus="completed", CallDuration="600"),
        await line.tell("whisper", 2, CallSid="CA1-2"),
        await line.tell("status", 0, CallSid="CA-other", CallStatus="completed", CallDuration="999"),
        await line.status(CallDuration="999"),
    ]
    await process.settled()
    assert {answer.status for answer in late} == {200}
    assert await rows(db, *BOOKS, "cap_window") == before
    assert await came_to(db, line.call_id) == CAME_TO


async def test_a_status_before_the_last_leg_asks_the_carrier_later_and_needs_no_answer_any_more(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_network(db, flow=saved.flow())
    process = await start()
    line = Line(process)
    answered, reported, dial, status = AFTER_IT
    await told_in_order(line, *BEFORE_THE_BRIDGE, answered, reported, status)
    assert await one(db, "select array_agg(kind) from job") == ["ask_carrier"]
    await told_in_order(line, dial)
    world.go_on(11)
    assert await jobs.run_due(process.app, schedule.JOBS) == 1
    await process.settled()
    assert await one(db, "select array_agg(last_error) from job where done_at is not null") == [None]
    assert await came_to(db, line.call_id) == CAME_TO


async def test_of_two_calls_of_one_caller_that_settle_at_once_one_is_the_duplicate(
    db: Database, start: Start
) -> None:
    once = DuplicateRule(window_days=30, scope="buyer")
    await save_network(db, make.offer(1, duplicates=once), screening=Screening(repeat_within_s=0))
    first, second = await start(), await start()
    lines = Line(first, sid="CA1"), Line(second, sid="CA2")
    for line in lines:
        assert "/dial/1" in (await line.arrive()).text
    async with db.transaction() as tx:
        await tx.execute("lock table caller in share mode")
        ending = [asyncio.create_task(line.tell("dial", 1, **TALKED)) for line in lines]
        await waiting_for(db, "caller", 2)
    answers = await asyncio.gather(*ending)
    assert {answer.status for answer in answers} == {200}
    for process in (first, second):
        await process.settled()
    told = [(await came_to(db, line.call_id))["call"] for line in lines]
    assert sorted(call["revenue_micros"] for call in told) == [0, 29_000_000]
    assert await one(db, "select sum(amount_micros) from posting where account = 'buyer'") == 29_000_000
    assert await one(db, "select array_agg(conversions order by conversions) from reservation") == [0, 1]


# --- processes that die --------------------------------------------------------------------------------


@pytest.mark.parametrize("granted", [False, True])
async def test_a_repeat_goes_on_where_the_process_that_died_was(
    db: Database, start: Start, world: SteeredWorld, granted: bool
) -> None:
    await save_network(db)
    died, other = await start(), await start()
    line = Line(other)
    await dies_while_reserving(db, died, line, granted=granted)
    assert await one(db, "select count(*) from reservation") == granted
    world.go_on(LEASE_S + 1)
    first = await line.arrive()
    assert "/dial/1" in first.text
    assert await line.arrive() == first
    assert await one(db, "select array_agg(kind order by version) from call_event") == [
        "arrived",
        "looked",
        "reserved",
    ]
    assert await one(db, "select array_agg(state) from reservation") == ["held"]
    world.at = START
    await told_in_order(
        line,
        lambda line: line.tell("dial", 1, **TALKED),
        lambda line: line.status(),
    )
    await other.settled()
    assert await one(db, "select sum(amount_micros) from posting where account = 'buyer'") == 29_000_000
    assert await one(db, "select closed from call")


async def test_only_one_of_the_repeats_goes_on_for_the_process_that_died(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_network(db)
    died, first, second = await start(), await start(), await start()
    await dies_while_reserving(db, died, Line(died), granted=False)
    world.go_on(LEASE_S + 1)
    async with capacity_held_up(db):
        arriving = [asyncio.create_task(Line(each).arrive()) for each in (first, second, first, second)]
        await asked_for_capacity(db)
    answers = await asyncio.gather(*arriving)
    assert len({answer.body for answer in answers}) == 1
    assert "/dial/1" in answers[0].text
    assert await one(db, "select array_agg(kind order by version) from call_event") == [
        "arrived",
        "looked",
        "reserved",
    ]
