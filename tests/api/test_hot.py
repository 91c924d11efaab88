"""The carriers' lane: what bad input gets, what overload gets, and that a caller is always answered."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

import make
from callmatrix.api.hot import MAX_BODY_BYTES
from callmatrix.live import replay
from callmatrix.live.app import App
from callmatrix.live.masks import Masks
from callmatrix.store.db import Database
from held_up import capacity_held_up
from served import (
    CALLER,
    DIALED,
    EVERYTHING,
    FORM,
    SID,
    Line,
    Process,
    SteeredWorld,
    app_on,
    came_to,
    lane_of,
    looks,
    one,
    process_on,
    rows,
    save_network,
)

SORRY = "We are sorry. We cannot take your call right now."
FAILSAFE_NUMBER = "+18885550199"
PAGE = f"/voice/{make.CONNECTION}"
ARRIVAL = {"CallSid": "CA1", "AccountSid": SID, "From": CALLER, "To": DIALED, "CallStatus": "ringing"}


@asynccontextmanager
async def bounded(db: Database, data: Path, **bounds: Any) -> AsyncIterator[Process]:
    async with app_on(db, world=SteeredWorld(), data=data) as app, lane_of(app, **bounds) as process:
        yield process


async def being_decided(process: Process, arrivals: int) -> None:
    async for _ in looks(process.app.db):
        if process.lane.counters.arrivals_now == arrivals:
            return
    raise AssertionError(f"{process.lane.counters} never came to {arrivals} arrivals")


@pytest.fixture
async def process(db: Database, tmp_path: Path) -> AsyncIterator[Process]:
    await save_network(db)
    async with process_on(db, world=SteeredWorld(), data=tmp_path) as process:
        yield process


# --- bad input -----------------------------------------------------------------------------------------


async def test_a_wrong_or_missing_signature_is_refused_and_leaves_nothing_but_a_count(
    db: Database, process: Process
) -> None:
    wrong = await process.post(PAGE, ARRIVAL, secret="another")
    missing = await process.send(PAGE, urlencode(ARRIVAL).encode(), {"Content-Type": FORM})
    told_otherwise = await process.post(f"{PAGE}/status", {**ARRIVAL, "CallStatus": "completed"}, secret="")
    for answer in (wrong, missing, told_otherwise):
        assert answer.status == 403
        assert answer.problem() == {
            "type": "about:blank",
            "title": "The signature is missing or wrong",
            "status": 403,
            "code": "bad_signature",
            "detail": "The signature is missing or wrong: check the connection's secret",
            "problems": [],
        }
    assert process.lane.counters.bad_signatures == 3
    kept = await rows(db, *EVERYTHING, "unknown_call")
    assert {name: found for name, found in kept.items() if found and name != "buyer_funds"} == {}


@pytest.mark.parametrize(
    ("path", "code", "status"),
    [
        ("/voice/con_none", "not_found", 404),
        ("/voice/con_1/call_none/dial/1", "not_found", 404),
        ("/voice/con_1/call_none/dance/1", "not_found", 404),
        ("/voice/con_1/call_none/dial/01", "not_found", 404),
        ("/voice/" + "x" * 400, "not_found", 404),
        ("/voice/", "not_found", 404),
    ],
)
async def test_an_address_that_nobody_has_is_not_found(
    process: Process, path: str, code: str, status: int
) -> None:
    answer = await process.post(path, {**ARRIVAL, "DialCallStatus": "busy"})
    assert (answer.status, answer.problem()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code", "field"),
    [
        (b"CallSid", FORM, 400, "malformed", "CallSid"),
        (b"CallSid=%ZZ", FORM, 400, "malformed", "CallSid"),
        (b"CallSid=%FF", FORM, 400, "malformed", "CallSid"),
        (b"CallSid=\xff", FORM, 400, "malformed", "byte 8"),
        (b"=CA1", FORM, 400, "malformed", "=CA1"),
        (b"{", "application/json", 400, "malformed", ""),
        (b'{"CallSid": ["CA1"]}', "application/json", 400, "malformed", ""),
        (b"&".join(b"a%d=1" % number for number in range(201)), FORM, 413, "too_large", None),
        (b"a=" + b"x" * MAX_BODY_BYTES, FORM, 413, "too_large", None),
        (b"CallSid=CA1", "text/plain", 415, "wrong_media_type", None),
        (b"CallSid=CA1", "multipart/form-data; boundary=x", 415, "wrong_media_type", None),
        (b"CallSid=CA1", "", 415, "wrong_media_type", None),
    ],
)
async def test_a_body_that_is_no_webhook_is_named(
    process: Process, body: bytes, content_type: str, status: int, code: str, field: str | None
) -> None:
    headers = {"Content-Type": content_type, "X-Twilio-Signature": "x"}
    answer = await process.send(PAGE, body, headers)
    problem = answer.problem()
    named = problem["problems"][0]["field"] if problem["problems"] else None
    assert (answer.status, problem["code"], named) == (status, code, field)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"To": DIALED}, "CallSid"),
        ({"CallSid": "CA1"}, "To"),
        ({"CallSid": "x" * 129, "To": DIALED}, "CallSid"),
        ({"CallSid": "CA\x00", "To": DIALED}, "CallSid"),
    ],
)
async def test_a_signed_webhook_that_says_nothing_is_named(
    process: Process, params: dict[str, str], field: str
) -> None:
    answer = await process.post(PAGE, params)
    problem = answer.problem()
    assert (answer.status, problem["code"], problem["problems"][0]["field"]) == (400, "malformed", field)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_webhooks_come_by_post(process: Process, method: str) -> None:
    answer = await process.send(PAGE, b"", {}, method=method)
    assert (answer.status, answer.problem()["code"]) == (405, "wrong_method")


async def test_a_body_longer_than_it_says_is_not_read_to_its_end(process: Process) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(2 * MAX_BODY_BYTES // 4_096):
            yield b"a" * 4_096

    answer = await process.send(PAGE, endless(), {"Content-Type": FORM})
    assert (answer.status, answer.problem()["code"]) == (413, "too_large")


# --- always an answer ----------------------------------------------------------------------------------


async def test_a_number_of_nobody_hears_so_and_is_listed_once(db: Database, process: Process) -> None:
    wrong = {**ARRIVAL, "To": "+18885550177"}
    first = await process.post(PAGE, wrong)
    assert await process.post(PAGE, wrong) == first
    assert first.status == 200
    assert first.content_type == "text/xml"
    assert "The number you have dialed is not in service. Goodbye.</Say><Hangup/>" in first.text
    assert await rows(db, "unknown_call", "call") == {
        "call": [],
        "unknown_call": [
            {
                "account_id": make.ACCOUNT,
                "connection_id": make.CONNECTION,
                "carrier_ref": "CA1",
                "dialed": "+18885550177",
                "caller": CALLER,
                "at": "2026-03-02T13:00:00+00:00",
            }
        ],
    }


async def test_over_the_bound_new_callers_fail_safe_and_calls_in_the_air_are_served(
    db: Database, tmp_path: Path
) -> None:
    await save_network(db, make.offer(1, whisper="A caller from the website."))
    async with bounded(db, tmp_path, max_arrivals=2) as process:
        in_the_air = Line(process, sid="CA-air")
        await in_the_air.arrive()
        async with capacity_held_up(db):
            lines = [Line(process, sid=f"CA{number}", caller="anonymous") for number in range(2)]
            waiting = [asyncio.create_task(line.arrive()) for line in lines]
            await being_decided(process, 2)
            shed = await Line(process, sid="CA-shed").arrive()
            whisper = await in_the_air.tell("whisper", 1, CallSid="CA-leg")
        answers = await asyncio.gather(*waiting)
        again = await Line(process, sid="CA-next", caller="anonymous").arrive()
    assert (shed.status, SORRY in shed.text) == (200, True)
    assert "A caller from the website." in whisper.text
    assert ["/dial/1" in answer.text for answer in (*answers, again)] == [True, True, True]
    assert process.lane.counters.shed == 1
    assert await one(db, "select array_agg(carrier_ref order by carrier_ref) from call") == [
        "CA-air",
        "CA-next",
        "CA0",
        "CA1",
    ]


async def test_at_the_deadline_the_caller_fails_safe_and_the_call_is_accounted_for(
    db: Database, tmp_path: Path
) -> None:
    await save_network(db, connection=make.connection(failsafe_number=FAILSAFE_NUMBER))
    async with bounded(db, tmp_path, deadline_s=0.5) as process:
        line = Line(process)
        async with capacity_held_up(db):
            answer = await line.arrive()
        assert answer.status == 200
        assert f"<Number>{FAILSAFE_NUMBER}</Number>" in answer.text
        counters = process.lane.counters
        assert (counters.failed_safe, counters.spooled, counters.arrivals_now) == (1, 1, 0)
        await process.settled()
        assert await replay.replay(process.app) == 1
        await process.settled()
        line.call_id = await one(db, "select id from call")
        assert (await line.status()).status == 200
        await process.settled()
        told = await came_to(db, line.call_id)
    assert (told["call"]["closed"], told["call"]["review"], told["call"]["revenue_micros"]) == (True, "", 0)
    assert [attempt["outcome"] for attempt in told["attempts"]] == ["canceled"]
    assert await one(db, "select count(*) from reservation where state = 'held'") == 0
    assert await one(db, "select end_reason from call") == "failed_safe"


async def test_a_database_that_hangs_holds_no_caller_up(db: Database, tmp_path: Path) -> None:
    await save_network(db)
    async with bounded(db, tmp_path, deadline_s=0.5) as process:
        async with db.transaction() as tx:
            await tx.execute("lock table call in access exclusive mode")
            answer = await Line(process).arrive()
        assert SORRY in answer.text
        await process.settled()
        assert await replay.replay(process.app) == 1
    assert await one(db, "select array_agg(end_reason) from call") == ["failed_safe"]


class _NoMasks(Masks):
    """What a bug in a part looks like to those who ask it."""

    def shut(self, plan: Any, at: Any) -> Any:
        raise ZeroDivisionError


async def test_a_bug_costs_nobody_the_call(
    db: Database, process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    sound = process.app
    broken: App = msgspec.structs.replace(sound, masks=_NoMasks(db, catalog=sound.catalog, world=sound.world))
    async with lane_of(broken) as buggy:
        with caplog.at_level(logging.ERROR):
            answer = await Line(buggy).arrive()
    assert (answer.status, SORRY in answer.text) == (200, True)
    assert [(record.getMessage(), record.exc_info is not None) for record in caplog.records] == [
        (f"failed at {PAGE}", True)
    ]
    assert await replay.replay(sound) == 1
    assert await one(db, "select array_agg(end_reason) from call") == ["failed_safe"]


async def test_the_fail_safe_reply_to_a_buyers_leg_hangs_that_leg_up(db: Database, process: Process) -> None:
    line = Line(process)
    await line.arrive()
    async with db.transaction() as tx:
        await tx.execute("lock table call in access exclusive mode")
        async with lane_of(process.app, deadline_s=0.5) as impatient:
            line.process = impatient
            answer = await line.tell("accept", 1, CallSid="CA-leg", Digits="1")
    assert answer.text == "<Response><Hangup/></Response>"


async def test_the_fallback_page_answers_and_makes_the_call_known(db: Database, process: Process) -> None:
    answer = await process.post(f"{PAGE}/fallback", ARRIVAL)
    assert SORRY in answer.text
    assert await one(db, "select array_agg(state || ' ' || end_reason) from call") == ["closing failed_safe"]
    line = Line(process)
    await line.status()
    assert await one(db, "select array_agg(state || ' ' || end_reason) from call") == ["ended failed_safe"]


async def test_the_fallback_page_ends_what_the_first_answer_began(db: Database, process: Process) -> None:
    line = Line(process)
    await line.arrive()
    assert SORRY in (await process.post(f"{PAGE}/fallback", ARRIVAL)).text
    assert await one(db, "select array_agg(state || ' ' || end_reason) from call") == ["closing failed_safe"]
