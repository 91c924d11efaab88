"""Requests to configured addresses: where they may go, what they bring back, what a flow makes of it."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

import make
from callmatrix.core.flow import (
    AskService,
    BranchNode,
    Case,
    Flow,
    HangupNode,
    LookupNode,
    RouteNode,
    SayNode,
)
from callmatrix.core.rules import Leaf
from callmatrix.dialects.http import HttpReply, HttpRequest
from callmatrix.live.outbound import (
    MAX_EXCHANGE_BYTES,
    MAX_REPLY_BYTES,
    Answer,
    Outbound,
    allowed_address,
    allowed_host,
    ask_service,
    exchange,
    open_outbound,
)
from callmatrix.store.db import Database
from served import Line, Start, one, save_network

PATIENT_MS = 30_000
IS_GOLD = Leaf(subject="field", name="tier", operator="equal", values=("gold",))


def ask(url: str, **changes: Any) -> AskService:
    given = {"method": "GET", "body": {}, "read": {"tier": "client.tier"}, "timeout_ms": PATIENT_MS}
    return AskService(url=url, **{**given, **changes})


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    opened = open_outbound(allow_loopback=True)
    yield opened
    await opened.close()


@pytest.fixture
async def guarded() -> AsyncIterator[Outbound]:
    """As in production: loopback is nobody's service."""
    opened = open_outbound(allow_loopback=False)
    yield opened
    await opened.close()


@asynccontextmanager
async def service(answer: Any) -> AsyncIterator[str]:
    """Somebody's HTTP service, which answers by `answer(request)`; its address."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def gold(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"client": {"tier": "gold"}})


# --- where a request may go ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "127.0.0.1",
        "127.8.8.8",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "192.0.2.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
    ],
)
def test_addresses_inside_are_refused(address: str) -> None:
    assert not allowed_address(address, loopback=False)
    assert not allowed_host(address, loopback=False)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_outside_are_allowed(address: str) -> None:
    assert allowed_address(address, loopback=False)
    assert allowed_host(address, loopback=False)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_a_setting_allows_loopback_and_nothing_else(address: str) -> None:
    assert allowed_address(address, loopback=True)
    assert not allowed_address("10.0.0.1", loopback=True)
    assert not allowed_address("169.254.169.254", loopback=True)


@pytest.mark.parametrize(
    "host", ["127.1", "127.0.1", "2130706433", "0177.0.0.1", "10.1", "0", "", None, "1.2.3.4.5"]
)
def test_what_only_the_operating_system_takes_for_an_address_is_refused(host: str | None) -> None:
    assert not allowed_host(host, loopback=False)
    assert not allowed_host(host, loopback=True)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://127.1:{port}/",
        "http://2130706433:{port}/",
        "http://calls.example.com@127.0.0.1:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "http:///nowhere",
        "not an address",
        "http://[::1/",
    ],
)
async def test_no_service_inside_is_asked(guarded: Outbound, address: str) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return await gold(request)

    async with service(answer) as url:
        wanted = address.replace("{port}", url.rpartition(":")[2])
        assert await ask_service(guarded, ask(wanted)) == Answer(code="address_refused")
        request = HttpRequest(method="GET", url=wanted, headers={}, body=b"")
        assert await exchange(guarded, request) == HttpReply(status=0, body=b"address refused")
    assert asked == []


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST"])
async def test_a_name_that_resolves_to_an_address_inside_is_not_connected_to(
    guarded: Outbound, name: str
) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return await gold(request)

    async with service(answer) as url:
        port = url.rpartition(":")[2]
        assert await ask_service(guarded, ask(f"http://{name}:{port}/")) == Answer(code="unreachable")
    assert asked == []


async def test_the_same_name_is_asked_where_loopback_is_allowed(outbound: Outbound) -> None:
    async with service(gold) as url:
        port = url.rpartition(":")[2]
        answer = await ask_service(outbound, ask(f"http://localhost:{port}/"))
    assert answer == Answer(values={"tier": "gold"})


async def test_a_redirect_is_an_answer_and_not_followed(outbound: Outbound) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        raise web.HTTPFound("http://169.254.169.254/latest/meta-data/")

    async with service(answer) as url:
        assert await ask_service(outbound, ask(f"{url}/one")) == Answer(code="status_302")
        request = HttpRequest(method="GET", url=f"{url}/two", headers={}, body=b"")
        assert (await exchange(outbound, request)).status == 302
    assert asked == ["/one", "/two"]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://8.8.8.8/", "gopher://8.8.8.8/"])
async def test_only_http_is_spoken(outbound: Outbound, url: str) -> None:
    assert (await ask_service(outbound, ask(url))).code in ("address_refused", "unreachable")


# --- what it may bring back ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (200, b'{"client": {"tier": "gold"}}', Answer(values={"tier": "gold"})),
        (200, b'{"client": {"tier": 3}}', Answer(values={"tier": "3"})),
        (200, b'{"client": []}', Answer()),
        (200, b"[]", Answer()),
        (200, b"", Answer(code="not_json")),
        (200, b"<html>", Answer(code="not_json")),
        (200, b"{", Answer(code="not_json")),
        (200, b"\xff", Answer(code="not_json")),
        (200, b'{"client": {"tier": "\\ud800"}}', Answer(code="not_json")),
        (200, b"[" * 60_000, Answer(code="not_json")),
        (200, gzip.compress(b'{"client": {"tier": "gold"}}', mtime=0), Answer(code="not_json")),
        (200, b'"' + b"x" * MAX_REPLY_BYTES + b'"', Answer(code="too_large")),
        (201, b"{}", Answer(code="status_201")),
        (204, b"", Answer(code="status_204")),
        (404, b"{}", Answer(code="status_404")),
        (500, b"{}", Answer(code="status_500")),
    ],
)
async def test_an_answer_is_fields_or_the_code_of_what_is_wrong(
    outbound: Outbound, status: int, body: bytes, answer: Answer
) -> None:
    async def answers(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body)

    async with service(answers) as url:
        assert await ask_service(outbound, ask(url)) == answer


async def test_what_is_packed_is_not_unpacked(outbound: Outbound) -> None:
    async def answers(_request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=gzip.compress(b" " * 50_000_000, mtime=0), headers={"Content-Encoding": "gzip"}
        )

    async with service(answers) as url:
        assert (await ask_service(outbound, ask(url))).code in ("not_json", "too_large")


async def test_a_service_that_keeps_silent_is_given_up_at_its_deadline(outbound: Outbound) -> None:
    for_ever = asyncio.Event()

    async def answers(_request: web.Request) -> web.StreamResponse:
        await for_ever.wait()
        raise AssertionError("nobody waits any more")

    async with service(answers) as url:
        answer = await ask_service(outbound, ask(url, timeout_ms=50))
        for_ever.set()
    assert answer == Answer(code="timed_out")


async def test_nobody_there_is_unreachable(outbound: Outbound) -> None:
    async with service(gold) as url:
        pass
    assert await ask_service(outbound, ask(url)) == Answer(code="unreachable")
    request = HttpRequest(method="GET", url=url, headers={}, body=b"")
    assert await exchange(outbound, request) == HttpReply(status=0, body=b"")


async def test_fields_are_posted_as_json(outbound: Outbound) -> None:
    seen: list[object] = []

    async def answers(request: web.Request) -> web.StreamResponse:
        seen.append((request.method, request.content_type, await request.json()))
        return await gold(request)

    async with service(answers) as url:
        await ask_service(outbound, ask(url, method="POST", body={"zip": "94105"}))
    assert seen == [("POST", "application/json", {"zip": "94105"})]


async def test_no_cookie_of_one_service_is_sent_to_another(outbound: Outbound) -> None:
    seen: list[str] = []

    async def answers(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Cookie", ""))
        reply = web.json_response({})
        reply.set_cookie("who", "me")
        return reply

    async with service(answers) as url:
        named = url.replace("127.0.0.1", "localhost")
        await ask_service(outbound, ask(named))
        await ask_service(outbound, ask(named))
    assert seen == ["", ""]


async def test_a_carriers_books_may_be_longer_than_a_lookup(outbound: Outbound) -> None:
    async def answers(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * int(request.path.strip("/")))

    async with service(answers) as url:
        for size, kept in ((MAX_EXCHANGE_BYTES, MAX_EXCHANGE_BYTES), (MAX_EXCHANGE_BYTES + 1, 0)):
            request = HttpRequest(method="GET", url=f"{url}/{size}", headers={}, body=b"")
            reply = await exchange(outbound, request)
            assert (reply.status, len(reply.body)) == (200, kept)


# --- in a flow -----------------------------------------------------------------------------------------


def looking_up(url: str) -> Flow:
    """Asks a service; gold clients hear so, and whoever can't be told goes on all the same."""
    return Flow(
        start="ask",
        nodes={
            "ask": LookupNode(url=url, read={"tier": "client.tier"}, next="gold", failed="lost"),
            "gold": BranchNode(
                cases=(Case(rule=IS_GOLD, next="hi"),),
                otherwise="bye",
            ),
            "hi": SayNode(text="Welcome back, {tier} client.", next="route"),
            "lost": SayNode(text="One moment please.", next="route"),
            "route": RouteNode(),
            "bye": HangupNode(),
        },
    )


@pytest.mark.parametrize(
    ("status", "heard"), [(200, "Welcome back, gold client."), (503, "One moment please.")]
)
async def test_a_call_goes_on_by_what_its_lookup_brought(
    db: Database, start: Start, status: int, heard: str
) -> None:
    async def answers(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"client": {"tier": "gold"}}, status=status)

    async with service(answers) as url:
        await save_network(db, make.offer(1), flow=looking_up(url))
        process = await start()
        answer = await Line(process).arrive()
    assert heard in answer.text
    assert "/dial/1" in answer.text
    assert await one(db, "select array_agg(kind order by version) from call_event") == [
        "arrived",
        "fetched",
        "looked",
        "reserved",
    ]
