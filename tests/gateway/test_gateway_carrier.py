import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from customer import ACCOUNT, BUYER, CALLER, DIALED, TOKEN, Application, CarrierOf, buyers, script

from callmatrix.gateway.callers import AfterBridge, Answers, Busy, RingsOnly, presses
from callmatrix.gateway.carrier import Carrier
from callmatrix.gateway.clocks import RealClock, VirtualClock, join
from callmatrix.gateway.rest import rest_app
from callmatrix.world import RealWorld

DIAL = f'<Dial action="/after" answerOnBridge="true"><Number url="/whisper">{BUYER}</Number></Dial>'
PAGES = {"/voice": DIAL, "/whisper": "<Say>A call</Say>", "/after": "<Say>Goodbye</Say>"}
CALLS = f"/2010-04-01/Accounts/{ACCOUNT}/Calls"
SIGNED_IN = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}

Ask = Callable[..., Awaitable[tuple[int, Any]]]


@asynccontextmanager
async def rest_of(carrier: Carrier, session: aiohttp.ClientSession) -> AsyncIterator[Ask]:
    runner = web.AppRunner(rest_app(carrier))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]

    async def ask(method: str, path: str, **options: Any) -> tuple[int, Any]:
        given = {"headers": SIGNED_IN} | options
        async with session.request(method, f"http://{host}:{port}{path}", **given) as reply:
            return reply.status, await reply.json()

    yield ask
    await runner.cleanup()


async def test_several_hundred_calls_share_one_virtual_timeline(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = PAGES | {
        "/voice": '<Gather numDigits="1" action="/menu"><Say>Press one</Say></Gather>',
        "/menu": DIAL,
    }
    carrier = carrier_of(behaviour=buyers(Answers(after_ms=3_000, talk_ms=300_000)))
    call = script(entries=presses("1"))
    records = await asyncio.gather(*(carrier.place_call(call) for _ in range(300)))
    assert {(record.total_ms, record.status) for record in records} == {(304_780, "completed")}
    assert len({record.sid for record in records}) == 300
    assert len(application.to("/status")) == 300


async def test_calls_may_be_placed_from_a_task_of_the_same_clock(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {"/voice": "<Pause length='5'/>"}
    clock = VirtualClock(start_ms=0)
    carrier = carrier_of(clock=clock)

    async def traffic() -> list[int]:
        ended_ms = []
        for _ in range(3):
            await clock.wait(clock.now_ms() + 1_000)
            await carrier.place_call(script())
            ended_ms.append(clock.now_ms())
        return ended_ms

    assert await join(clock, clock.spawn(traffic())) == [6_000, 12_000, 18_000]


async def test_on_the_real_clock_the_same_call_takes_real_time(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = dict(PAGES) | {"/whisper": "", "/after": ""}
    clock = RealClock(RealWorld())
    carrier = carrier_of(clock=clock, behaviour=buyers(Answers(after_ms=30, talk_ms=50)))
    record = await carrier.place_call(script())
    (leg,) = record.legs
    assert leg.ring_ms >= 30
    assert leg.bridged_ms >= 50
    assert record.total_ms >= leg.ring_ms + leg.leg_ms
    assert (record.status, leg.status, leg.ended_by) == ("completed", "completed", "buyer")


async def test_the_books_show_a_call_and_its_legs_after_it_ended(
    application: Application, carrier_of: CarrierOf, session: aiohttp.ClientSession
) -> None:
    application.pages = dict(PAGES)
    carrier = carrier_of(behaviour=buyers(Answers(after_ms=4_000, talk_ms=61_500)))
    record = await carrier.place_call(script())
    async with rest_of(carrier, session) as ask:
        assert await ask("GET", f"{CALLS}/{record.sid}.json") == (
            200,
            {
                "sid": record.sid,
                "parent_call_sid": None,
                "account_sid": ACCOUNT,
                "from": CALLER,
                "to": DIALED,
                "status": "completed",
                "direction": "inbound",
                "start_time": "Mon, 21 Sep 2026 14:13:20 +0000",
                "answer_time": "Mon, 21 Sep 2026 14:13:24 +0000",
                "end_time": "Mon, 21 Sep 2026 14:14:26 +0000",
                "duration": "61",
                "ring_ms": 4_360,
                "leg_ms": 61_920,
                "bridged_ms": 0,
                "sip_response_code": 0,
                "api_version": "2010-04-01",
            },
        )
        (leg,) = record.legs
        status, listed = await ask("GET", f"{CALLS}.json?ParentCallSid={record.sid}")
        assert (status, len(listed["calls"])) == (200, 1)
        shown = listed["calls"][0]
        assert (shown["sid"], shown["parent_call_sid"], shown["duration"]) == (leg.sid, record.sid, "61")
        assert (shown["ring_ms"], shown["leg_ms"], shown["bridged_ms"]) == (4_000, 61_860, 61_500)
        assert (await ask("GET", f"{CALLS}/{leg.sid}.json")) == (200, shown)
        assert (await ask("GET", f"{CALLS}.json"))[1]["calls"] == []
        assert (await ask("GET", f"{CALLS}/CA{'0' * 32}.json"))[0] == 404


async def test_only_the_account_with_its_token_may_ask(
    carrier_of: CarrierOf, session: aiohttp.ClientSession
) -> None:
    async with rest_of(carrier_of(), session) as ask:
        guessed = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, "guessed")}
        for headers in (guessed, {}, {"Authorization": "Basic ***"}):
            assert (await ask("GET", f"{CALLS}.json", headers=headers))[0] == 401
        assert (await ask("GET", f"/2010-04-01/Accounts/AC{'1' * 32}/Calls.json"))[0] == 404


async def test_a_customer_can_hang_up_a_call_in_the_air(
    application: Application, carrier_of: CarrierOf, session: aiohttp.ClientSession
) -> None:
    """While the answered leg waits for its whisper, the customer ends the whole call by REST."""
    application.pages = dict(PAGES)
    carrier = carrier_of(behaviour=buyers(Answers(after_ms=4_000)))
    async with rest_of(carrier, session) as ask:
        replies = []

        async def hang_up() -> None:
            sid = application.to("/voice")[0]["CallSid"]
            replies.append(await ask("POST", f"{CALLS}/{sid}.json", data={"Status": "paused"}))
            replies.append(await ask("POST", f"{CALLS}/{sid}.json", data={"Status": "completed"}))

        application.before_reply = {"/whisper": hang_up}
        record = await carrier.place_call(script())
        assert [status for status, _ in replies] == [400, 200]
        again, _ = await ask("POST", f"{CALLS}/{record.sid}.json", data={"Status": "completed"})
        nobody, _ = await ask("POST", f"{CALLS}/CA0.json", data={"Status": "completed"})
    assert (again, nobody) == (400, 404)
    assert (record.status, record.ended_by, record.total_ms) == ("canceled", "rest", 4_000)
    assert [(leg.bridged, leg.ended_by) for leg in record.legs] == [(False, "rest")]
    assert application.to("/after")[0]["DialBridged"] == "false"


async def test_hanging_up_a_ringing_leg_goes_on_with_the_caller_at_once(
    application: Application, carrier_of: CarrierOf
) -> None:
    number = f'<Number statusCallback="/leg" statusCallbackEvent="ringing">{BUYER}</Number>'
    application.pages = {"/voice": f'<Dial action="/after">{number}</Dial>', "/after": "<Say>Goodbye</Say>"}
    carrier = carrier_of(behaviour=buyers(RingsOnly()))
    hung_up = []

    async def hang_up() -> None:
        leg_sid = application.to("/leg")[0]["CallSid"]
        hung_up.extend([carrier.hang_up(leg_sid), leg_sid])

    application.before_reply = {"/leg": hang_up}
    record = await carrier.place_call(script())
    (leg,) = record.legs
    assert hung_up == [True, leg.sid]
    assert (leg.status, leg.ended_by, leg.ring_ms) == ("canceled", "rest", 0)
    assert (record.said(), record.ended_by, record.total_ms) == (("Goodbye",), "document", 420)
    assert not carrier.hang_up(leg.sid)


async def test_a_caller_s_bridge_script_outlives_a_busy_first_buyer(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {"/voice": DIAL, "/after": [DIAL, "<Say>Goodbye</Say>"], "/whisper": ""}
    behaviours = iter([Busy(), Answers(after_ms=1_000)])
    carrier = carrier_of(behaviour=lambda _destination, _draw: next(behaviours))
    record = await carrier.place_call(script(hangs_up=AfterBridge(after_ms=7_000)))
    assert [(leg.status, leg.bridged_ms) for leg in record.legs] == [("busy", 0), ("completed", 7_000)]


async def test_a_cancelled_call_leaves_nothing_behind(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {"/voice": "<Say>Welcome</Say><Pause length='600'/>"}
    carrier = carrier_of(clock=RealClock(RealWorld()))
    asked = asyncio.Event()

    async def ask() -> None:
        asked.set()

    application.before_reply = {"/voice": ask}
    placed = asyncio.create_task(carrier.place_call(script()))
    await asked.wait()
    (sid,) = carrier.in_the_air()
    placed.cancel()
    await asyncio.gather(placed, return_exceptions=True)
    assert placed.cancelled()
    assert carrier.in_the_air() == ()
    left = carrier.fetch_call(sid)
    assert left is not None
    assert left.status == "failed"
    assert application.to("/status") == []
