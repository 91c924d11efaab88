"""What crashes, lost webhooks and silent carriers leave open is found again and ended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import make
from callmatrix.api.hot import Lane, Receive, Scope, Send
from callmatrix.gateway.callers import AfterBridge, Answers, BehaviourOf, Caller
from callmatrix.gateway.carrier import Carrier, Number
from callmatrix.gateway.clocks import RealClock
from callmatrix.gateway.rest import rest_app
from callmatrix.gateway.wire import open_session
from callmatrix.live import jobs, schedule, sweeps
from callmatrix.live.app import App
from callmatrix.store import jobs as job_store
from callmatrix.store import reservations
from callmatrix.store import sweeps as sweep_store
from callmatrix.store.db import Database
from held_up import asked_for_capacity, capacity_held_up, dies_while_reserving
from served import (
    CALLER,
    DIALED,
    SECRET,
    SID,
    TALKED,
    Line,
    Start,
    SteeredWorld,
    answering,
    app_on,
    came_to,
    lane_of,
    looks,
    one,
    rows,
    save_network,
)

HELD = "select count(*) from reservation where state = 'held'"
STANDS = "select state || ' ' || end_reason || ' ' || review from call"


class Front:
    """A server that is known by its address before there is a process behind it. It loses webhooks to some
    paths, and the first reply to the arrival."""

    def __init__(self, *, loses: str = "", loses_reply: bool = False) -> None:
        self.lane: Lane | None = None
        self.loses = loses
        self.loses_reply = loses_reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.lane is None or (self.loses and self.loses in scope["path"]):
            await _unavailable(send)
        elif self.loses_reply and scope["path"] == f"/voice/{make.CONNECTION}":
            await self.lane(scope, receive, _nowhere)
            await _unavailable(send)
        else:
            await self.lane(scope, receive, send)


async def _unavailable(send: Send) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _nowhere(_message: Any) -> None:
    pass


def talks(_destination: str, _draw: int) -> Answers:
    return Answers(after_ms=4_000, talk_ms=90_000)


@asynccontextmanager
async def with_gateway(
    db: Database,
    world: SteeredWorld,
    data: Path,
    *,
    tells_end: bool = True,
    loses: str = "",
    loses_reply: bool = False,
    behaviour: BehaviourOf = talks,
    own_timelines: bool = True,
    **connection: Any,
) -> AsyncIterator[tuple[App, Carrier]]:
    """A process whose connection is our own gateway, with the gateway's books on loopback."""
    front = Front(loses=loses, loses_reply=loses_reply)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(answering(front))
        session = await stack.enter_async_context(open_session())
        voice = f"{url}/voice/{make.CONNECTION}"
        status_url = f"{voice}/status" if tells_end else ""
        carrier = Carrier(
            account_sid=SID,
            auth_token=SECRET,
            numbers=(
                Number(
                    number=DIALED, voice_url=voice, status_url=status_url, fallback_url=f"{voice}/fallback"
                ),
            ),
            session=session,
            clock=RealClock(world),
            seed=1,
            behaviour=behaviour,
            own_timelines=own_timelines,
        )
        runner = web.AppRunner(rest_app(carrier))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        rest_url = f"http://127.0.0.1:{runner.addresses[0][1]}/2010-04-01"
        named = {"public_base_url": url, "account_sid": SID, "rest_url": rest_url, **connection}
        await save_network(db, make.offer(1), connection=make.connection(**named))
        app = await stack.enter_async_context(app_on(db, world=world, data=data))
        front.lane = (await stack.enter_async_context(lane_of(app))).lane
        yield app, carrier


async def asked(app: App) -> int:
    """A sweep, and the jobs that it leads to."""
    await sweeps.sweep(app)
    ran = await jobs.run_due(app, schedule.JOBS)
    await app.background.drain()
    return ran


# --- capacity ------------------------------------------------------------------------------------------


async def test_a_settlement_that_nobody_performed_is_finished(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_network(db)
    died, other = await start(), await start()
    line = Line(died)
    await line.arrive()
    async with capacity_held_up(db):
        answer = await line.tell("dial", 1, **TALKED)
        assert "<Hangup/>" in answer.text
        await one(db, "select pg_terminate_backend($1)", await asked_for_capacity(db))
    await died.settled()
    assert died.app.background.failures == 1
    assert await one(db, HELD) == 1
    await sweeps.sweep(other.app)
    assert await one(db, HELD) == 1
    world.go_on(sweeps.SETTLEMENT_S + 1)
    await sweeps.sweep(other.app)
    assert await one(db, HELD) == 0
    told = await came_to(db, line.call_id)
    assert [(each["state"], each["conversions"]) for each in told["reservations"]] == [("settled", 1)]
    before = await rows(db, "reservation", "cap_window", "buyer_funds")
    await sweeps.sweep(died.app)
    assert await rows(db, "reservation", "cap_window", "buyer_funds") == before


async def test_a_settlement_that_nobody_performed_counts_even_when_its_reservation_has_expired(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_network(db)
    died, other = await start(), await start()
    line = Line(died)
    await line.arrive()
    async with capacity_held_up(db):
        await line.tell("dial", 1, **TALKED)
        await one(db, "select pg_terminate_backend($1)", await asked_for_capacity(db))
    await died.settled()
    async with db.session() as tx:
        late = world.now() + timedelta(days=1)
        assert len(await reservations.sweep_expired(tx, make.ACCOUNT, now=late)) == 1
    world.go_on(sweeps.SETTLEMENT_S + 1)
    await sweeps.sweep(other.app)
    told = await came_to(db, line.call_id)
    assert [(each["state"], each["conversions"]) for each in told["reservations"]] == [("settled", 1)]


async def test_a_reservation_ends_when_its_attempt_cannot_live_any_more(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_network(db)
    process = await start()
    await Line(process).arrive()
    expires_at = await one(db, "select expires_at from reservation")
    assert expires_at == world.now() + timedelta(seconds=25 + 3_600 + 120)
    world.at = expires_at - timedelta(seconds=1)
    await sweeps.sweep(process.app)
    assert await one(db, HELD) == 1
    world.at = expires_at
    await sweeps.sweep(process.app)
    assert await one(db, HELD) == 0
    assert await one(db, "select held_micros from buyer_funds where buyer_id = 'buy_1'") == 0


@pytest.mark.parametrize("granted", [False, True])
async def test_a_question_that_nobody_asks_any_more_gives_its_capacity_back(
    db: Database, start: Start, world: SteeredWorld, granted: bool
) -> None:
    await save_network(db)
    died, other = await start(), await start()
    line = Line(other)
    await dies_while_reserving(db, died, line, granted=granted)
    await sweeps.sweep(other.app)
    assert await one(db, STANDS) == "reserving  "
    world.go_on(sweeps.QUESTION_S + 1)
    await sweeps.sweep(other.app)
    await other.settled()
    assert await one(db, STANDS) == "closing question_timed_out "
    assert await one(db, HELD) == 0
    assert await one(db, "select max(held_micros) from buyer_funds") == 0
    await line.status()
    assert await one(db, "select closed from call")


async def test_one_process_sweeps_at_a_time(db: Database, start: Start, world: SteeredWorld) -> None:
    await save_network(db)
    process = await start()
    await Line(process).arrive()
    world.go_on(7_200)
    async with db.transaction() as tx:
        assert await sweep_store.only_one(tx)
        await sweeps.sweep(process.app)
        assert await one(db, HELD) == 1
    await sweeps.sweep(process.app)
    assert await one(db, HELD) == 0


# --- silent calls --------------------------------------------------------------------------------------


async def test_a_call_whose_end_was_never_told_is_closed_by_the_carriers_books(
    db: Database, world: SteeredWorld, tmp_path: Path
) -> None:
    async with with_gateway(db, world, tmp_path, tells_end=False) as (app, carrier):
        record = await carrier.place_call(Caller(number=CALLER, dialed=DIALED))
        await app.background.drain()
        assert await one(db, STANDS) == "closing completed_by_buyer "
        world.go_on(sweeps.SILENT_S - 1)
        assert await asked(app) == 0
        world.go_on(1)
        assert await asked(app) == 1
        assert await asked(app) == 0
    assert await one(db, STANDS) == "ended completed_by_buyer "
    told = await came_to(db, await one(db, "select id from call"))
    assert (told["call"]["closed"], told["call"]["duration_ms"]) == (True, record.duration_ms)
    assert [each["bridged_ms"] for each in told["attempts"]] == [record.legs[0].bridged_ms] == [90_000]
    assert told["call"]["revenue_micros"] == 29_000_000
    assert await one(db, HELD) == 0


async def test_a_leg_whose_end_was_lost_is_billed_by_the_carriers_books(
    db: Database, world: SteeredWorld, tmp_path: Path
) -> None:
    caller = Caller(number=CALLER, dialed=DIALED, hangs_up=AfterBridge(after_ms=75_000))
    async with with_gateway(db, world, tmp_path, loses="/dial/") as (app, carrier):
        await carrier.place_call(caller)
        assert await one(db, "select array_agg(kind) from job") == ["ask_carrier"]
        assert await jobs.run_due(app, schedule.JOBS) == 0
        world.go_on(11)
        assert await jobs.run_due(app, schedule.JOBS) == 1
        await app.background.drain()
    told = await came_to(db, await one(db, "select id from call"))
    assert (told["call"]["closed"], told["call"]["review"]) == (True, "")
    assert [(each["outcome"], each["bridged_ms"]) for each in told["attempts"]] == [("answered", 75_000)]
    assert told["call"]["revenue_micros"] == 29_000_000
    assert await one(db, HELD) == 0


async def test_a_call_that_still_lives_is_left_and_asked_about_again_later(
    db: Database, world: SteeredWorld, tmp_path: Path
) -> None:
    def stays(_destination: str, _draw: int) -> Answers:
        return Answers(after_ms=0)

    gateway = with_gateway(db, world, tmp_path, behaviour=stays, own_timelines=False)
    async with gateway as (app, carrier):
        placed = asyncio.create_task(carrier.place_call(Caller(number=CALLER, dialed=DIALED)))
        async for _ in looks(db):
            if await one(db, "select answered_at is not null from attempt"):
                break
        before = await rows(db, "attempt", "reservation", "posting")
        world.go_on(sweeps.SILENT_S)
        assert (await asked(app), await asked(app)) == (1, 0)
        world.go_on(sweeps.SILENT_S)
        assert (await asked(app), await asked(app)) == (1, 0)
        assert await rows(db, "attempt", "reservation", "posting") == before
        assert await one(db, STANDS) == "dialling  "
        placed.cancel()
        await asyncio.wait([placed])


async def test_a_carrier_that_can_say_nothing_leaves_the_call_to_review_unbilled(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_network(db)  # without an address of the carrier's books
    process = await start()
    line = Line(process)
    await line.arrive()
    await line.tell("leg", 1, CallSid="CA-leg", CallStatus="in-progress")
    world.go_on(sweeps.SILENT_S)
    assert await asked(process.app) == 1
    assert await one(db, STANDS) == "ended swept durations_unknown"
    told = await came_to(db, line.call_id)
    assert (told["call"]["closed"], told["call"]["revenue_micros"], told["postings"]) == (True, 0, None)
    assert await one(db, HELD) == 0


async def test_a_carrier_out_of_reach_is_asked_again_until_no_call_lives_so_long(
    db: Database, world: SteeredWorld, tmp_path: Path
) -> None:
    nobody = {"rest_url": "http://127.0.0.1:1/2010-04-01"}
    gateway = with_gateway(db, world, tmp_path, tells_end=False, loses="/dial/", **nobody)
    async with gateway as (app, carrier):
        caller = Caller(number=CALLER, dialed=DIALED, hangs_up=AfterBridge(after_ms=75_000))
        await carrier.place_call(caller)
        began_at = world.now()
        world.go_on(sweeps.SILENT_S)
        assert await asked(app) == 1
        assert await one(db, STANDS) == "dialling  "
        assert "Refused: The carrier cannot say yet" in await one(db, "select last_error from job")
        assert await asked(app) == 0
        world.go_on(job_store.FIRST_RETRY_S)
        assert await asked(app) == 1
        assert await one(db, STANDS) == "dialling  "
        world.at = began_at + timedelta(seconds=sweeps.GIVE_UP_S + 1)
        await asked(app)
    # The leg itself had reported how long it was; the call's own length nobody knows.
    assert await one(db, STANDS) == "ended swept duration_unknown"
    assert await one(db, HELD) == 0
    assert await one(db, "select closed from call")


async def test_nobody_is_billed_for_a_talk_with_the_fail_safe_number(
    db: Database, world: SteeredWorld, tmp_path: Path
) -> None:
    gateway = with_gateway(db, world, tmp_path, loses_reply=True, failsafe_number="+18885550199")
    async with gateway as (app, carrier):
        record = await carrier.place_call(Caller(number=CALLER, dialed=DIALED))
        assert [(leg.destination, leg.bridged_ms) for leg in record.legs] == [("+18885550199", 90_000)]
        world.go_on(11)
        assert await jobs.run_due(app, schedule.JOBS) == 1
        await app.background.drain()
    assert await one(db, STANDS) == "ended failed_safe durations_unknown"
    told = await came_to(db, await one(db, "select id from call"))
    assert (told["call"]["closed"], told["call"]["revenue_micros"]) == (True, 0)
    assert await one(db, HELD) == 0
