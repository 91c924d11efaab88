"""The stream of events over HTTP: it goes on where it broke off, and shows each role its own."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp
import pytest
import uvicorn
from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler
from litestar.response import Response, Stream

import make
from arrivals import CALLER, arrive
from callmatrix.api import events
from callmatrix.api.access import Principal, Role
from callmatrix.api.events import EventsQuery
from callmatrix.api.problems import refused_response
from callmatrix.api.reading import read_query
from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId, BuyerId, CampaignId, PublisherId
from callmatrix.live import feed as live_feed
from callmatrix.live.feed import Feed
from callmatrix.store import outbox
from callmatrix.store.db import Database
from callmatrix.store.outbox import Watermark

FOREIGN = "1-00000001-5.1.1"
(OPERATION,) = events.OPERATIONS
Message = dict[str, str]


def person(role: Role = "admin", **changes: Any) -> Principal:
    return Principal(**{"account_id": make.ACCOUNT, "id": "usr_1", "name": "One", "role": role, **changes})


PEOPLE = {
    "admin": person(),
    "elsewhere": person(account_id=AccountId("acc_2")),
    "buyer": person("buyer", buyer_id=BuyerId("buy_1")),
    "other buyer": person("buyer", buyer_id=BuyerId("buy_2")),
    "publisher": person("publisher", publisher_id=make.PUBLISHER),
    "other publisher": person("publisher", publisher_id=PublisherId("pub_2")),
    "nobody's buyer": person("buyer"),
}


@pytest.fixture
async def feed(db: Database) -> Feed:
    """A feed that reads only when it is told to."""
    async with db.session() as tx:
        return Feed(db, position=await outbox.tail(tx))


@pytest.fixture
async def client(feed: Feed) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a server whose only operation is the stream; the user is named in a header."""

    async def answer(request: Request[Any, Any, Any]) -> Response[Any]:
        query = read_query(OPERATION, request)
        who = PEOPLE[request.headers["x-who"]]
        reply = events.begin(feed, query, who, last_event_id=request.headers.get("last-event-id", ""))
        assert reply.stream is not None
        return Stream(reply.stream, media_type=reply.media_type, headers=reply.headers)

    def refuse(_request: Request[Any, Any, Any], refused: Refused) -> Response[bytes]:
        return refused_response(refused)

    app = Litestar(
        route_handlers=[HTTPRouteHandler(OPERATION.path, http_method=["GET"], name="stream")(answer)],
        exception_handlers={Refused: refuse},
        openapi_config=None,
        logging_config=None,
    )
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error", http="httptools"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with aiohttp.ClientSession(base_url=address) as http:
            yield http
        feed.close()
        server.should_exit = True
        await serving


@asynccontextmanager
async def streaming(
    client: aiohttp.ClientSession, who: str = "admin", *, last_event_id: str = "", **query: str
) -> AsyncIterator[AsyncIterator[Message]]:
    """The messages of a stream, from the one that says where it begins."""
    headers = {"x-who": who} | ({"last-event-id": last_event_id} if last_event_id else {})
    async with client.get("/api/events", headers=headers, params=query) as response:
        assert response.status == 200
        assert response.headers["content-type"].partition(";")[0] == "text/event-stream"
        async with aclosing(_messages(response)) as messages:
            yield messages


async def _messages(response: aiohttp.ClientResponse) -> AsyncIterator[Message]:
    fields: Message = {}
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line:
            name, _, value = line.partition(": ")
            fields[name or "comment"] = value
        else:
            yield fields
            fields = {}


async def begun(messages: AsyncIterator[Message]) -> tuple[list[Message], str]:
    """What comes before the stream is live, and its place then."""
    before: list[Message] = []
    async for message in messages:
        if "comment" not in message:
            before.append(message)
        elif "id" in message:
            return before, message["id"]
    raise AssertionError("the stream ended before it was live")


async def save(db: Database, feed: Feed, *names: str, **changes: Any) -> None:
    for name in names:
        async with db.transaction() as tx:
            await arrive(tx, name, **changes)
    await read_on(feed)


async def read_on(feed: Feed) -> None:
    """Read what is committed. Transactions of other tests, in other databases, hold readers back."""
    while await feed.read_on():
        pass


def call_of(message: Message) -> str:
    call_id: str = json.loads(message["data"])["call_id"]
    return call_id


async def test_an_event_comes_with_its_place_its_kind_and_its_call(
    db: Database, feed: Feed, client: aiohttp.ClientSession
) -> None:
    async with streaming(client) as messages:
        assert await begun(messages) == ([{"retry": "1000"}], str(feed.position))
        await save(db, feed, "call_1")
        message = await anext(messages)
    told = json.loads(message["data"])
    assert (message["id"], message["event"]) == (str(feed.position), "arrived")
    call = told.pop("call")
    assert told == {
        "noun": "call",
        "id": str(feed.position),
        "call_id": "call_1",
        "version": 1,
        "kind": "arrived",
        "at": "2026-11-20T18:00:00Z",
        "campaign_id": make.CAMPAIGN,
    }
    assert (call["id"], call["caller"], call["revenue"], call["profit"]) == ("call_1", CALLER, "0.00", "0.00")


@pytest.mark.parametrize("by_header", [True, False], ids=["by header", "by query"])
async def test_who_comes_back_goes_on_without_gap_or_repeat(
    db: Database, feed: Feed, client: aiohttp.ClientSession, by_header: bool
) -> None:
    async with streaming(client) as messages:
        await begun(messages)
        await save(db, feed, "call_1", "call_2")
        seen = [await anext(messages)]
    await save(db, feed, "call_3")
    last = seen[-1]["id"]
    back = {"last_event_id": last} if not by_header else {}
    async with streaming(client, **back) if back else streaming(client, last_event_id=last) as messages:
        missed, _ = await begun(messages)
        await save(db, feed, "call_4")
        seen += [message for message in missed if "data" in message]
        seen.append(await anext(messages))
    assert [call_of(message) for message in seen] == ["call_1", "call_2", "call_3", "call_4"]


async def test_who_was_told_of_nothing_goes_on_from_where_the_stream_began(
    db: Database, feed: Feed, client: aiohttp.ClientSession
) -> None:
    async with streaming(client) as messages:
        _, place = await begun(messages)
    await save(db, feed, "call_1")
    async with streaming(client, last_event_id=place) as messages:
        missed, _ = await begun(messages)
    assert [call_of(message) for message in missed if "data" in message] == ["call_1"]


async def test_a_place_in_another_history_is_answered_by_a_reset_and_the_stream_is_live(
    db: Database, feed: Feed, client: aiohttp.ClientSession
) -> None:
    async with streaming(client, last_event_id=FOREIGN) as messages:
        before, _ = await begun(messages)
        await save(db, feed, "call_1")
        after = await anext(messages)
    assert before == [{"retry": "1000"}, {"event": "reset", "data": '{"reason":"history"}'}]
    assert call_of(after) == "call_1"


async def test_when_the_database_is_another_one_the_stream_says_so_and_ends(
    db: Database, feed: Feed, client: aiohttp.ClientSession
) -> None:
    async with streaming(client) as messages:
        await begun(messages)
        feed.position = Watermark(epoch="1-00000001-5", xid=1, id=1)
        await read_on(feed)
        assert [message async for message in messages] == [{"event": "restarted", "data": "{}"}]
    assert feed.subscribers == 0


async def test_each_role_is_told_of_its_own_calls_with_what_it_may_see(
    db: Database, feed: Feed, client: aiohttp.ClientSession
) -> None:
    start = str(feed.position)
    async with db.transaction() as tx:
        await arrive(tx, "call_1")
        await tx.execute("update call set buyer_id = 'buy_1', offer_id = 'off_1'")
    await read_on(feed)
    shown: dict[str, list[tuple[Any, ...]]] = {}
    names = ("caller", "buyer_id", "publisher_id", "revenue", "payout", "cost")
    for who in PEOPLE:
        if who == "nobody's buyer":
            continue
        async with streaming(client, who, last_event_id=start) as messages:
            missed, _ = await begun(messages)
        calls = [json.loads(message["data"])["call"] for message in missed if "data" in message]
        shown[who] = [tuple(call[name] for name in names) for call in calls]
    masked = "+1415•••••99"
    assert shown == {
        "admin": [(CALLER, "buy_1", "pub_1", "0.00", "0.00", "0.00")],
        "elsewhere": [],
        "buyer": [(masked, "buy_1", None, "0.00", None, None)],
        "other buyer": [],
        "publisher": [(masked, None, "pub_1", None, "0.00", None)],
        "other publisher": [],
    }


async def test_events_are_chosen_by_campaign_and_kind(
    db: Database, feed: Feed, client: aiohttp.ClientSession
) -> None:
    start = str(feed.position)
    await save(db, feed, "call_1")
    await save(db, feed, "call_2", campaign_id=CampaignId("cmp_2"))
    found = {}
    for name, query in {
        "campaign": {"campaign_id": "cmp_2"},
        "kind": {"kind": "call_ended,arrived"},
        "other kind": {"kind": "call_ended"},
    }.items():
        async with streaming(client, last_event_id=start, **query) as messages:
            missed, _ = await begun(messages)
        found[name] = [call_of(message) for message in missed if "data" in message]
    assert found == {"campaign": ["call_2"], "kind": ["call_1", "call_2"], "other kind": []}


@pytest.mark.parametrize(
    ("who", "query", "status"),
    [
        ("admin", {"last_event_id": "7"}, 422),
        ("admin", {"kind": "Not A Kind"}, 422),
        ("admin", {"kinds": "arrived"}, 422),
        ("nobody's buyer", {}, 403),
    ],
    ids=["no place", "no kind", "no such parameter", "of nobody"],
)
async def test_a_stream_that_cannot_be_is_refused_before_it_begins(
    client: aiohttp.ClientSession, who: str, query: dict[str, str], status: int
) -> None:
    async with client.get("/api/events", headers={"x-who": who}, params=query) as response:
        assert response.status == status


async def test_a_full_process_says_so(feed: Feed) -> None:
    opened = [
        feed.subscribe(events.audience_of(EventsQuery(), person()))
        for _ in range(live_feed.MAX_SUBSCRIPTIONS)
    ]
    for each in opened:
        await each.__aenter__()
    with pytest.raises(Refused) as refused:
        events.begin(feed, EventsQuery(), person(), last_event_id="")
    assert refused.value.code == "unavailable"
    for each in opened:
        await each.__aexit__(None, None, None)


async def test_heartbeats_carry_the_place_and_the_stream_ends_in_time(feed: Feed) -> None:
    audience = events.audience_of(EventsQuery(), person())
    chunks = events.stream(feed, person(), audience, after=None, heartbeat_s=0.001, max_stream_s=0.05)
    told = [chunk async for chunk in chunks]
    place = f": heartbeat\nid: {feed.position}\n\n".encode()
    assert (told[0], set(told[1:])) == (b"retry: 1000\n\n", {place})
    assert feed.subscribers == 0


async def test_who_hangs_up_is_forgotten(feed: Feed, db: Database, client: aiohttp.ClientSession) -> None:
    async with streaming(client) as messages:
        await begun(messages)
        assert feed.subscribers == 1
    while feed.subscribers:
        await db.ping()
    assert feed.subscribers == 0
