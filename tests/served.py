"""A server process inside the test's own: real parts, real HTTP on loopback, a clock that the test moves."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
import uvicorn

import make
import saved
from callmatrix.api.hot import Lane, Receive, Scope, Send
from callmatrix.api.rtb import RtbLane
from callmatrix.core.campaign import Connection, Offer
from callmatrix.core.documents import decode
from callmatrix.core.flow import Flow
from callmatrix.gateway.wire import signature
from callmatrix.live.app import App
from callmatrix.main import assembled
from callmatrix.settings import Settings
from callmatrix.store import catalog, flows, seals
from callmatrix.store.db import Database
from callmatrix.world import SeededWorld

KEY = b"k" * 32
SECRET = "s3cret"
# Long enough never to be what a passing test waits for, however busy the machine.
PATIENCE_S = 120.0
MAX_LOOKS = 4_000
SID = "AC00000000000000000000000000000001"
CALLER = "+14155550199"
DIALED = "+18885550101"
START = saved.AT + timedelta(hours=1)
FORM = "application/x-www-form-urlencoded"
# What tells a run from another although nothing else differs.
_OF_THE_RUN = ("xid", "id", "saved_at", "created_at", "received_at", "lease_until")


class SteeredWorld(SeededWorld):
    """Reproducible chance on a clock that stands still until it is told to go on."""

    def __init__(self, *, seed: int = 1, at: datetime = START) -> None:
        self.at = at
        super().__init__(seed=seed, clock=lambda: self.at)

    def go_on(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


Start = Callable[[], Awaitable["Process"]]


class Answer(msgspec.Struct, frozen=True):
    """What a webhook was answered."""

    status: int
    content_type: str
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def problem(self) -> dict[str, Any]:
        assert self.content_type == "application/problem+json", self
        return decode(self.body, dict[str, Any])


class Process:
    """The parts, the carriers' lane, and its address."""

    def __init__(self, app: App, lane: Lane, url: str, http: aiohttp.ClientSession) -> None:
        self.app = app
        self.lane = lane
        self.url = url
        self._http = http

    async def settled(self) -> None:
        """Return when what nobody waits for is done as well."""
        await self.app.background.drain()
        await self.app.reservations.drain()

    async def send(
        self, path: str, body: bytes | AsyncIterator[bytes], headers: dict[str, str], *, method: str = "POST"
    ) -> Answer:
        async with self._http.request(method, self.url + path, data=body, headers=headers) as reply:
            return Answer(reply.status, reply.content_type, await reply.read())

    async def post(self, path: str, params: dict[str, str], *, secret: str = SECRET) -> Answer:
        """A webhook as our gateway would sign it."""
        signed = signature(token=secret, url=make.connection().public_base_url + path, params=params)
        headers = {"Content-Type": FORM, "X-Twilio-Signature": signed}
        return await self.send(path, urlencode(params).encode(), headers)


class Line:
    """The carrier's side of one call, by hand."""

    def __init__(self, process: Process, *, sid: str = "CA1", caller: str = CALLER) -> None:
        self.process = process
        self.sid = sid
        self.caller = caller
        self.call_id = ""

    def params(self, **more: str) -> dict[str, str]:
        named = {"CallSid": self.sid, "AccountSid": SID, "From": self.caller, "To": DIALED}
        return {**named, "CallStatus": "in-progress", **more}

    async def arrive(self, **more: str) -> Answer:
        params = self.params(**{"CallStatus": "ringing", **more})
        answer = await self.process.post(f"/voice/{make.CONNECTION}", params)
        _, found, rest = answer.text.partition(f"/voice/{make.CONNECTION}/")
        if found:
            self.call_id = rest.partition("/")[0]
        return answer

    async def tell(self, kind: str, key: int, **more: str) -> Answer:
        """A callback of the call."""
        return await self.process.post(
            f"/voice/{make.CONNECTION}/{self.call_id}/{kind}/{key}", self.params(**more)
        )

    async def status(self, **more: str) -> Answer:
        """The end of the call, told to the connection's own address."""
        over = {"CallStatus": "completed", "CallDuration": "130", **more}
        return await self.process.post(f"/voice/{make.CONNECTION}/status", self.params(**over))


TALKED = {
    "DialCallStatus": "completed",
    "DialBridged": "true",
    "DialCallDuration": "90",
    "DialRingMs": "4000",
    "DialLegMs": "90000",
    "DialBridgedMs": "90000",
}
BUSY = {"DialCallStatus": "busy", "DialBridged": "false"}


async def save_network(
    db: Database,
    *offers: Offer,
    flow: Flow | None = None,
    connection: Connection | None = None,
    **campaign_changes: Any,
) -> None:
    """An account with a signed connection, a publisher, offers of as many buyers, and a number."""
    account_id, by = make.ACCOUNT, saved.BY
    chosen = offers or (make.offer(1), make.offer(2))
    async with db.transaction() as tx:
        await catalog.create_account(tx, make.account(), by=by)
        await catalog.create(tx, account_id, connection or make.connection(), by=by)
        await seals.set_secrets(tx, account_id, make.CONNECTION, {"signing": SECRET}, key=KEY, by=by)
        await catalog.create(tx, account_id, make.publisher(), by=by)
        for place, offer in enumerate(chosen, start=1):
            await catalog.create(tx, account_id, make.buyer(place), by=by)
            await catalog.create(tx, account_id, offer, by=by)
        if flow is not None:
            await catalog.create(tx, account_id, saved.flow_document(draft=flow), by=by)
            await flows.publish(tx, account_id, saved.FLOW, by=by)
            campaign_changes = {"flow_id": saved.FLOW, **campaign_changes}
        await catalog.create(tx, account_id, make.campaign(*chosen, **campaign_changes), by=by)
        await catalog.create(tx, account_id, saved.number(), by=by)


async def nothing_else(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def settings_of(data: Path, *, port: int = 0) -> Settings:
    return Settings(
        database_url=None,
        data=data,
        host="127.0.0.1",
        port=port,
        public_url=make.connection().public_base_url,
        processes=1,
        secret_key=KEY,
        allow_loopback=True,
    )


@asynccontextmanager
async def app_on(db: Database, *, world: SteeredWorld, data: Path) -> AsyncIterator[App]:
    """The parts of one process, without its loops: a test runs a round of each when it wants one."""
    db = msgspec.structs.replace(db, acquire_timeout_s=PATIENCE_S)
    async with assembled(settings_of(data), db=db, world=world, secret_key=KEY) as app:
        yield app


@asynccontextmanager
async def process_on(db: Database, *, world: SteeredWorld, data: Path) -> AsyncIterator[Process]:
    """One process that answers on a port of its own."""
    async with app_on(db, world=world, data=data) as app, lane_of(app) as process:
        yield process


@asynccontextmanager
async def lane_of(app: App, **bounds: Any) -> AsyncIterator[Process]:
    """The lane of an app on a port of its own; `bounds` are the lane's, where a test needs its own."""
    sellers = RtbLane(app, nothing_else, deadline_s=PATIENCE_S)
    lane = Lane(app, sellers, **{"deadline_s": PATIENCE_S, **bounds})
    connector = aiohttp.TCPConnector(limit=0)
    async with answering(lane) as url, aiohttp.ClientSession(connector=connector) as http:
        yield Process(app, lane, url, http)


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@asynccontextmanager
async def answering(application: Callable[..., Awaitable[None]]) -> AsyncIterator[str]:
    """An ASGI application on loopback; its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(200)
        config = uvicorn.Config(
            application, loop="none", lifespan="off", ws="none", access_log=False, log_config=None
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await server.up.wait()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def rows(db: Database, *tables: str, call_id: str = "") -> dict[str, list[dict[str, Any]]]:
    """Everything in these tables but what tells one run from another; `call_id` is written as CALL."""
    found = {}
    async with db.session() as tx:
        for table in tables:
            read = await tx.fetch(f"select to_jsonb(t) as row from {table} t")
            texts = [row["row"].decode() for row in read]
            if call_id:
                texts = [text.replace(call_id, "CALL") for text in texts if call_id in text]
            found[table] = sorted((_told(text) for text in texts), key=str)
    return found


def _told(text: str) -> dict[str, Any]:
    row: dict[str, Any] = decode(text.encode(), dict[str, Any])
    return {name: value for name, value in row.items() if name not in _OF_THE_RUN}


_CAME_TO = (
    "select (select to_jsonb(c) from (select state, closed, review, buyer_id, offer_id, connected_at,"
    " converted_at, paid_at, ended_at, duration_ms, bridged_ms, revenue_micros, payout_micros, cost_micros"
    " from call where id = $1) c) as call,"
    " (select jsonb_agg(to_jsonb(a) order by number) from (select number, offer_id, outcome, ring_ms, leg_ms,"
    " bridged_ms, settled from attempt where call_id = $1) a) as attempts,"
    " (select jsonb_agg(to_jsonb(r) order by attempt_id) from (select right(attempt_id, 2) as attempt_id,"
    " state, connects, conversions, paids, funds_micros, revenue_micros, payout_micros"
    " from reservation where call_id = $1) r) as reservations,"
    " (select jsonb_agg(to_jsonb(p) order by kind, line) from (select t.kind, t.rating_revision, p.line,"
    " p.account, p.owner_id, p.amount_micros from ledger_transaction t join posting p"
    " on p.account_id = t.account_id and p.transaction_key = t.key where t.call_id = $1) p) as postings"
)


async def came_to(db: Database, call_id: str) -> dict[str, Any]:
    """What a call came to: its end, its attempts, what they held, and what was booked."""
    async with db.session() as tx:
        row = await tx.fetchrow(_CAME_TO, call_id)
    assert row is not None
    return {name: None if value is None else decode(value, Any) for name, value in row.items()}


BOOKS = ("attempt", "reservation", "ledger_transaction", "posting", "caller_history", "buyer_funds", "job")
EVERYTHING = ("call", "call_event", "callback", "cap_window", "rotation", *BOOKS)


async def looks(db: Database) -> AsyncIterator[int]:
    """So many looks at something that is under way, each a moment after the one before."""
    for number in range(MAX_LOOKS):
        yield number
        await one(db, "select pg_sleep(0.005)")


async def one(db: Database, query: str, *values: object) -> Any:
    """One value."""
    async with db.session() as tx:
        return await tx.fetchval(query, *values)
