"""The sellers' lane: who may ask, what bad input gets, and what overload and a lost database get."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import make
import saved
from callmatrix.api.rtb import MAX_BODY_BYTES, RtbLane
from callmatrix.live.rtb import MAX_SESSIONS
from callmatrix.store import rtb_keys
from callmatrix.store.db import Database, connect
from rtb_network import ENDPOINT, KEY, SOLD_NUMBER, save_selling_network
from served import (
    Answer,
    Line,
    Process,
    SteeredWorld,
    answering,
    app_on,
    looks,
    nothing_else,
    one,
    process_on,
)

PAGE = f"/rtb/{ENDPOINT}.json?key={KEY}"
ASKED = b'{"CID": "14155550199", "zipcode": "94105"}'
WAITING = (
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
)
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def process(db: Database, tmp_path: Path) -> AsyncIterator[Process]:
    await save_selling_network(db)
    async with process_on(db, world=SteeredWorld(), data=tmp_path) as process:
        yield process


@asynccontextmanager
async def bounded(db: Database, data: Path, **bounds: Any) -> AsyncIterator[tuple[RtbLane, str]]:
    async with app_on(db, world=SteeredWorld(), data=data) as app:
        lane = RtbLane(app, nothing_else, **bounds)
        async with answering(lane) as url:
            yield lane, url


async def ask(process: Process, path: str = PAGE, body: bytes = ASKED, **headers: str) -> Answer:
    return await process.send(path, body, {**JSON, **{k.replace("_", "-"): v for k, v in headers.items()}})


# --- who may ask ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        (f"/rtb/{ENDPOINT}.json", {}, 401, "not_signed_in"),
        (f"/rtb/{ENDPOINT}.json?key=", {}, 401, "not_signed_in"),
        (f"/rtb/{ENDPOINT}.json?key=wrong", {}, 401, "not_signed_in"),
        (PAGE, {"Authorization": "Bearer wrong"}, 401, "not_signed_in"),
        (f"/rtb/rtb_none.json?key={KEY}", {}, 404, "not_found"),
        (f"/rtb/{'x' * 500}?key={KEY}", {}, 404, "not_found"),
        ("/rtb/", {}, 404, "not_found"),
    ],
)
async def test_without_the_endpoints_key_nothing_is_told_or_kept(
    db: Database, process: Process, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await ask(process, path, **headers)
    assert (answer.status, answer.problem()["code"]) == (status, code)
    assert await one(db, "select count(*) from rtb_bid") + await one(db, "select count(*) from rtb_gate") == 0


async def test_a_changed_key_opens_at_once_and_the_one_before_for_as_long_as_was_said(
    db: Database, process: Process
) -> None:
    world: Any = process.app.world
    async with db.transaction() as tx:
        until = world.at + timedelta(seconds=60)
        await rtb_keys.set_key(tx, make.ACCOUNT, ENDPOINT, "newer", former_until=until, by=saved.BY)
    await process.app.catalog.refresh(make.ACCOUNT)
    for key, status in ((KEY, 200), ("newer", 200)):
        assert (await ask(process, f"/rtb/{ENDPOINT}.json?key={key}")).status == status
    world.go_on(60)
    for key, status in ((KEY, 401), ("newer", 200)):
        assert (await ask(process, f"/rtb/{ENDPOINT}.json?key={key}")).status == status


@pytest.mark.parametrize(
    ("networks", "status"),
    [(("127.0.0.0/8",), 200), (("::ffff:127.0.0.1", "127.0.0.1"), 200), (("203.0.113.0/24",), 403)],
)
async def test_only_addresses_on_the_list_may_ask_where_there_is_one(
    db: Database, tmp_path: Path, networks: tuple[str, ...], status: int
) -> None:
    await save_selling_network(db, given={"networks": networks})
    async with process_on(db, world=SteeredWorld(), data=tmp_path) as process:
        assert (await ask(process)).status == status


# --- how it may be asked -------------------------------------------------------------------------------


async def test_a_bid_is_asked_for_by_get_as_well_and_as_xml(process: Process) -> None:
    query = f"/rtb/{ENDPOINT}.xml?key={KEY}&CID=14155550199&zipcode=94105"
    answer = await process.send(query, b"", {}, method="GET")
    assert (answer.status, answer.content_type) == (200, "application/xml")
    assert f"<phoneNumber>{SOLD_NUMBER}</phoneNumber>" in answer.text
    # The same request in another shape gets the same bid.
    again = json.loads((await ask(process)).body)
    assert (f"<bidId>{again['bidId']}</bidId>" in answer.text, again["warnings"][0]["code"]) == (True, 230)


@pytest.mark.parametrize(
    ("method", "body", "status", "code"),
    [
        ("PUT", ASKED, 405, "wrong_method"),
        ("DELETE", b"", 405, "wrong_method"),
        ("POST", b"{", 400, "malformed"),
        ("POST", b"[]", 400, "malformed"),
        ("POST", b'{"a": "' + b"x" * MAX_BODY_BYTES + b'"}', 413, "too_large"),
        ("POST", b"{" + b",".join(b'"a%d": 1' % n for n in range(121)) + b"}", 413, "too_large"),
    ],
)
async def test_bad_requests_are_told_what_is_wrong(
    db: Database, process: Process, method: str, body: bytes, status: int, code: str
) -> None:
    answer = await process.send(PAGE, body, JSON, method=method)
    assert (answer.status, answer.problem()["code"]) == (status, code)
    assert await one(db, "select count(*) from rtb_bid") == 0


async def test_a_query_longer_than_anybody_needs_is_refused(process: Process) -> None:
    answer = await ask(process, f"{PAGE}&a={'x' * 9_000}")
    assert (answer.status, answer.problem()["code"]) == (413, "too_large")


# --- too much, and nothing at all ----------------------------------------------------------------------


async def test_over_the_bound_sellers_are_refused_at_once_and_the_others_get_their_bids(
    db: Database, tmp_path: Path
) -> None:
    await save_selling_network(db)
    async with (
        bounded(db, tmp_path, max_at_once=2, deadline_s=120) as (lane, url),
        aiohttp.ClientSession() as http,
    ):

        async def bid(caller: str) -> Any:
            async with http.post(url + PAGE, json={"CID": caller}) as reply:
                return reply.status, await reply.json()

        async with db.transaction() as tx:
            # Nobody is answered while somebody else has the endpoint's gate.
            await tx.execute("lock table rtb_gate")
            held = [asyncio.create_task(bid(f"1415555010{number}")) for number in range(2)]
            async for _ in looks(db):
                if lane.counters.now == 2:
                    break
            status, shed = await bid("14155550109")
        assert (status, shed["rejectReason"]) == (200, "Rate-limited (Code: 1025)")
        assert [(status, told["bidAmount"]) for status, told in await asyncio.gather(*held)] == [
            (200, 20.3)
        ] * 2
    assert lane.counters.shed == 1


async def test_however_many_sellers_wait_for_the_database_callers_are_answered(
    db: Database, process: Process
) -> None:
    async with db.transaction() as tx:
        await tx.execute("lock table rtb_gate")
        asked = [
            asyncio.create_task(ask(process, body=json.dumps({"CID": f"141555501{number:02}"}).encode()))
            for number in range(40)
        ]
        async for _ in looks(db):
            if await one(db, WAITING) == MAX_SESSIONS:
                break
        assert "/dial/1" in (await Line(process).arrive()).text
        assert await one(db, WAITING) == MAX_SESSIONS
    answers = await asyncio.gather(*asked)
    assert [json.loads(answer.body)["bidAmount"] for answer in answers] == [20.3] * 40


async def test_a_bid_that_takes_too_long_is_refused_in_time(db: Database, tmp_path: Path) -> None:
    await save_selling_network(db)
    async with bounded(db, tmp_path, deadline_s=0.2) as (lane, url), aiohttp.ClientSession() as http:
        async with db.transaction() as tx:
            await tx.execute("lock table rtb_gate")
            async with http.post(url + PAGE, json={"CID": "14155550199"}) as reply:
                told = await reply.json()
        assert (told["bidAmount"], told["rejectReason"]) == (0, "Rate-limited (Code: 1025)")
        assert lane.counters.late == 1


async def test_without_a_database_no_bid_is_given(db: Database, database_url: str, tmp_path: Path) -> None:
    await save_selling_network(db)
    own = await connect(database_url)
    async with process_on(own, world=SteeredWorld(), data=tmp_path) as process:
        assert (await ask(process)).status == 200
        await own.close(wait_s=0)
        answer = await ask(process)
    assert (answer.status, answer.problem()["code"]) == (503, "unavailable")
