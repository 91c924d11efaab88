"""A process that dies after the work and before its answer is kept: the retry does nothing a second time."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import msgspec

import make
from callmatrix.api.access import Principal
from callmatrix.api.app import render
from callmatrix.api.hot import Counters
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.repeats import LEASE_S, once
from callmatrix.live.app import App
from conftest import Client
from placed import place

ADJUST = "/api/calls/call_1/adjustments"


async def lose_answer(app: App) -> None:
    """What a process leaves that is killed just before the answer is kept, when its lease has run out."""
    async with app.db.transaction() as tx:
        lost = await tx.fetch(
            "update idempotency_key set status = null, response = null, lease_until = $1"
            " where status is not null returning key",
            app.world.now() - timedelta(seconds=1),
        )
    assert len(lost) == 1


async def twice(app: App, client: Client, path: str, body: dict[str, Any] | None) -> list[httpx.Response]:
    """The same request with the same key, its first answer lost."""
    first = await client.ask("POST", path, body, Idempotency_Key="k-1")
    await lose_answer(app)
    second = await client.ask("POST", path, body, Idempotency_Key="k-1")
    async with app.db.transaction() as tx:
        await tx.execute("delete from idempotency_key")
    return [first, second]


async def test_a_credit_is_given_once(app: App, admin: Client) -> None:
    await place(app, "call_1")
    body = {"reason": "Wrong number", "credit": "20.00", "clawback": "4.50"}
    first, second = await twice(app, admin, ADJUST, body)
    assert (first.status_code, first.content) == (200, second.content)
    told = first.json()
    assert (told["credited"], told["clawed_back"], told["credit_left"]) == ("20.00", "4.50", "9.00")
    (kept,) = told["adjustments"]
    assert (kept["credit"], kept["clawback"], kept["reason"], kept["by"]) == (
        "20.00",
        "4.50",
        "Wrong number",
        "Admin",
    )
    acts = (await admin.get("/api/audit?kind=call"))["items"]
    assert [(one["act"]["what"], one["act"]["details"]["adjustment_id"]) for one in acts] == [
        ("adjust", kept["id"])
    ]
    another = await admin.post(ADJUST, {"reason": "Also", "credit": "9.00"}, Idempotency_Key="k-2")
    assert (another["credited"], len(another["adjustments"])) == ("29.00", 2)


async def test_of_two_adjustments_at_once_the_one_that_is_too_much_is_refused_whole(
    app: App, admin: Client
) -> None:
    await place(app, "call_1")
    answers = await asyncio.gather(
        *(admin.ask("POST", ADJUST, {"reason": "Both", "credit": "20.00"}) for _ in range(2))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 422]
    (refused,) = [answer.json() for answer in answers if answer.status_code == 422]
    assert [one["problem"] for one in refused["problems"]] == ["Only 9.00 is left"]
    assert (await admin.get("/api/calls/call_1"))["money"]["credited"] == "20.00"


async def test_a_record_is_made_once_and_the_retry_answers_with_it(app: App, admin: Client) -> None:
    counted = {
        "/api/buyers": ({"name": "Made once"}, "/api/buyers?search=Made"),
        "/api/offers/off_1/clone": ({"name": "Copied once"}, "/api/offers?search=Copied"),
        "/api/blocks": ({"pattern": "+13125550100"}, "/api/blocks"),
        "/api/offers/off_1/scheduled": (
            {"starts_at": "2030-01-01T08:00:00Z", "change": {"name": "Later"}},
            "/api/offers/off_1/scheduled",
        ),
        "/api/statements": (
            {"account": "buyer", "owner_id": "buy_1", "ends_at": app.world.now().isoformat()},
            "/api/statements",
        ),
    }
    told = {}
    for path, (body, listed) in counted.items():
        first, second = await twice(app, admin, path, body)
        same = (first.status_code, first.content) == (201, second.content)
        told[path] = (same, len((await admin.get(listed))["items"]))
    assert told == dict.fromkeys(counted, (True, 1))


async def test_a_payment_is_booked_once_and_the_retry_is_told_so(app: App, admin: Client) -> None:
    body = {"buyer_id": "buy_1", "amount": "5.00", "reference": "wire-1"}
    first, second = await twice(app, admin, "/api/deposits", body)
    assert (first.status_code, second.status_code, second.json()["code"]) == (201, 409, "conflict")
    assert (await admin.get("/api/buyers/buy_1/funds"))["balance"] == "5.00"


async def test_a_person_is_invited_once_and_the_first_link_is_void(
    app: App, admin: Client, http: httpx.AsyncClient
) -> None:
    body = {"email": "ann@example.com", "name": "Ann", "role": "analyst"}
    answers = await twice(app, admin, "/api/users", body)
    assert [answer.status_code for answer in answers] == [201, 201]
    assert len({answer.json()["user"]["id"] for answer in answers}) == 1
    statuses = []
    for answer in answers:
        token = answer.json()["link"].partition("token=")[2]
        chosen = {"token": token, "password": "correct horse battery staple"}
        statuses.append((await http.post("/api/first-sign-in", json=chosen)).status_code)
        http.cookies.clear()
    assert statuses == [401, 200]


async def test_a_key_is_made_once_and_only_the_secret_that_arrived_opens_anything(
    app: App, admin: Client, http: httpx.AsyncClient
) -> None:
    body = {"name": "Export", "scopes": ["read"]}
    answers = await twice(app, admin, "/api/keys", body)
    assert len((await admin.get("/api/keys"))["items"]) == 1
    statuses = [
        (await Client(http, {"Authorization": f"Bearer {answer.json()['secret']}"}).ask("GET", "/api/me"))
        for answer in answers
    ]
    assert [answer.status_code for answer in statuses] == [401, 200]
    used = await admin.ask("POST", "/api/keys", body, Idempotency_Key="k-1")
    assert (used.status_code, used.json()["code"]) == (409, "conflict")


async def test_who_was_so_slow_that_the_request_was_repeated_answers_as_the_repeat_did(app: App) -> None:
    asked = Ask(
        app=app,
        principal=Principal(account_id=make.ACCOUNT, id="usr_1", name="One", role="admin"),
        now=app.world.now(),
        path={},
        query=None,
        body=None,
        raw_body=b"",
        revision=None,
        session="",
        address="",
        accept="",
        lane=Counters(),
    )
    repeated: list[bytes] = []

    async def slow(ask: Ask) -> Reply:
        if not repeated:
            repeated.append(b"begun")
            later = msgspec.structs.replace(asked, now=asked.now + timedelta(seconds=LEASE_S + 1))
            answer = await once(operation, later, key="k-1", target="POST /api/slow?", render=render)
            repeated.append(answer.content)
            return Reply(value="the slow one")
        return Reply(value="the repeat")

    operation = Operation(
        method="POST",
        path="/api/slow",
        name="slow",
        tag="tests",
        summary="Takes longer than a lease",
        permission="change_config",
        run=slow,
    )
    answer = await once(operation, asked, key="k-1", target="POST /api/slow?", render=render)
    assert [answer.content, *repeated] == [b'"the repeat"', b"begun", b'"the repeat"']
