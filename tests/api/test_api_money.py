"""Payments, balances and statements over HTTP; and POSTs that are repeated."""

import asyncio
from datetime import timedelta

import make
from callmatrix.core import ledger
from callmatrix.core.ids import BuyerId
from callmatrix.live.app import App
from callmatrix.store import books, repeats
from conftest import Client
from placed import place


def line(kind: str, count: int, amount: str) -> dict[str, object]:
    return {"kind": kind, "count": count, "amount": amount}


async def test_payments_are_booked_once_per_reference_and_move_the_funds(admin: Client) -> None:
    deposit = {"buyer_id": "buy_1", "amount": "500.00", "reference": "wire-1", "reason": "Top-up"}
    booked = await admin.post("/api/deposits", deposit)
    assert [(one["account"], one["owner_id"], one["amount"]) for one in booked["postings"]] == [
        ("cash", "", "500.00"),
        ("buyer", "buy_1", "-500.00"),
    ]
    again = await admin.ask("POST", "/api/deposits", deposit)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert await admin.get("/api/buyers/buy_1/funds") == {
        "balance": "500.00",
        "held": "0.00",
        "credit_limit": "10000.00",
        "available": "10500.00",
    }
    await admin.post("/api/disbursements", {"publisher_id": "pub_1", "amount": "20.00", "reference": "ach-1"})
    balances = (await admin.get("/api/balances"))["items"]
    assert [(one["account"], one["owner_id"], one["amount"]) for one in balances] == [
        ("buyer", "buy_1", "-500.00"),
        ("cash", "", "480.00"),
        ("publisher", "pub_1", "20.00"),
    ]
    for body, field in ((deposit | {"amount": "0"}, "amount"), (deposit | {"reference": "a b"}, "reference")):
        answer = await admin.ask("POST", "/api/deposits", body)
        assert (answer.status_code, answer.json()["problems"][0]["field"]) == (422, field)
    nobody = await admin.ask("POST", "/api/deposits", deposit | {"buyer_id": "buy_9", "reference": "wire-2"})
    assert nobody.status_code == 404


async def test_the_ledger_is_listed_by_owner_kind_and_call_page_by_page(app: App, admin: Client) -> None:
    await place(app, "call_1")
    await place(app, "call_2", caller="+12125550100", minutes_ago=30)

    async def keys(query: str) -> list[str]:
        return [one["key"] for one in (await admin.get(f"/api/transactions?{query}"))["items"]]

    assert await keys("kind=charge") == ["call_2/charge/1", "call_1/charge/1"]
    assert sorted(await keys("call_id=call_1")) == ["call_1/charge/1", "call_1/cost/1", "call_1/payout/1"]
    assert await keys("account=publisher&owner_id=pub_1") == ["call_2/payout/1", "call_1/payout/1"]
    first = await admin.get("/api/transactions?limit=4")
    rest = await admin.get(f"/api/transactions?limit=4&cursor={first['next_cursor']}")
    assert len({one["key"] for one in first["items"] + rest["items"]}) == 6
    assert rest["next_cursor"] is None


async def test_a_closed_statement_stays_closed_and_what_comes_late_falls_into_the_next(
    app: App, people: dict[str, Client]
) -> None:
    admin = people["admin"]
    await place(app, "call_1", minutes_ago=60)
    now = app.world.now()
    closed = await admin.post(
        "/api/statements",
        {"account": "buyer", "owner_id": "buy_1", "ends_at": (now - timedelta(minutes=10)).isoformat()},
    )
    assert closed["statement"]["lines"] == [line("charge", 1, "29.00")]
    assert (closed["statement"]["opening"], closed["statement"]["closing"]) == ("0.00", "29.00")

    late = ledger.deposit(
        deposit_id="late",
        at=now - timedelta(minutes=30),
        buyer_id=BuyerId("buy_1"),
        amount=make.usd("9"),
    )
    async with app.db.transaction() as tx:
        assert await books.book(tx, make.ACCOUNT, late)
    await place(app, "call_2", caller="+12125550100", minutes_ago=5, talked_s=70)
    upcoming = await people["buyer"].get("/api/statements/open?account=buyer&owner_id=buy_1")
    assert upcoming["starts_at"] == closed["statement"]["ends_at"]
    assert (upcoming["opening"], upcoming["closing"]) == ("29.00", "49.00")
    assert upcoming["lines"] == [line("charge", 1, "29.00"), line("deposit", 1, "-9.00")]
    assert await people["buyer"].get(f"/api/statements/{closed['id']}") == closed
    assert (await people["publisher"].ask("GET", f"/api/statements/{closed['id']}")).status_code == 404
    assert (await people["publisher"].get("/api/statements"))["items"] == []

    for ends_at, field in ((now - timedelta(hours=2), "ends_at"), (now + timedelta(hours=2), "ends_at")):
        body = {"account": "buyer", "owner_id": "buy_1", "ends_at": ends_at.isoformat()}
        answer = await admin.ask("POST", "/api/statements", body)
        assert (answer.status_code, answer.json()["problems"][0]["field"]) == (422, field)
    body = {"account": "buyer", "owner_id": "buy_1", "ends_at": app.world.now().isoformat()}
    both = await asyncio.gather(*(admin.ask("POST", "/api/statements", body) for _ in range(2)))
    assert sorted(answer.status_code for answer in both)[0] == 201
    listed = (await admin.get("/api/statements?account=buyer"))["items"]
    assert [one["statement"]["closing"] for one in listed] == ["49.00", "29.00"]


async def test_a_repeated_post_gets_the_first_answer_byte_for_byte_and_does_nothing(admin: Client) -> None:
    body = {"buyer_id": "buy_1", "amount": "5.00", "reference": "wire-1"}
    first = await admin.ask("POST", "/api/deposits", body, Idempotency_Key="k-1")
    again = await admin.ask("POST", "/api/deposits", body, Idempotency_Key="k-1")
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    refused = await admin.ask("POST", "/api/deposits", body, Idempotency_Key="k-2")
    repeated = await admin.ask("POST", "/api/deposits", body, Idempotency_Key="k-2")
    assert refused.status_code == 409
    assert (refused.content, refused.headers["content-type"]) == (
        repeated.content,
        repeated.headers["content-type"],
    )
    other = await admin.ask("POST", "/api/deposits", body | {"amount": "6.00"}, Idempotency_Key="k-1")
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    elsewhere = await admin.ask("POST", "/api/blocks", {"pattern": "+1312"}, Idempotency_Key="k-1")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "key_reused")
    assert (await admin.get("/api/buyers/buy_1/funds"))["balance"] == "5.00"
    bad = await admin.ask("POST", "/api/deposits", body, Idempotency_Key="not a key")
    assert (bad.status_code, bad.json()["problems"][0]["field"]) == (422, "Idempotency-Key")


async def test_the_same_key_at_once_does_the_work_once(app: App, admin: Client) -> None:
    body = {"name": "Only one"}
    answers = await asyncio.gather(
        *(admin.ask("POST", "/api/buyers", body, Idempotency_Key="k-1") for _ in range(8))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"key_in_use"}
    assert len((await admin.get("/api/buyers?search=Only"))["items"]) == 1


async def test_a_request_still_under_way_is_told_so(app: App, admin: Client) -> None:
    now = app.world.now()
    body = b'{"pattern":"+13125550100"}'
    request = repeats.request_hash("POST /api/blocks? None", body)
    async with app.db.transaction() as tx:
        await repeats.begin(
            tx,
            make.ACCOUNT,
            "usr_admin/k-1",
            request=request,
            now=now,
            lease_until=now + timedelta(minutes=1),
        )
    answer = await admin.ask("POST", "/api/blocks", {"pattern": "+13125550100"}, Idempotency_Key="k-1")
    assert (answer.status_code, answer.json()["code"]) == (409, "key_in_use")


async def test_a_secret_is_repeated_but_kept_sealed(app: App, admin: Client) -> None:
    body = {"name": "A key", "scopes": ["read"]}
    first = await admin.ask("POST", "/api/keys", body, Idempotency_Key="k-1")
    again = await admin.ask("POST", "/api/keys", body, Idempotency_Key="k-1")
    assert first.content == again.content
    async with app.db.transaction() as tx:
        kept = await tx.fetchval("select response from idempotency_key")
    assert first.json()["secret"].encode() not in kept
