"""Who may come in, and who may do what: every operation is walked for every role."""

import re
from typing import Any

import httpx
import pytest

import make
from callmatrix.api import people as api_people
from callmatrix.api.access import PERMISSIONS, ROLES
from callmatrix.api.auth import hash_password
from callmatrix.api.operation import Operation
from callmatrix.api.operations import OPERATIONS
from callmatrix.core.documents import to_plain
from callmatrix.core.ids import UserId
from callmatrix.live.app import App
from callmatrix.store import access, catalog
from callmatrix.store.audit import By
from conftest import Client
from placed import place

PASSWORD = "correct horse battery staple"
GUARDED = [operation for operation in OPERATIONS if operation.permission != "public"]
# A stream does not end; the others are for everybody, and would end the walker's own session or take long.
NOT_WALKED = ("stream_events", "sign_out", "change_password")
WALKED = [operation for operation in GUARDED if operation.name not in NOT_WALKED]


def walk(operation: Operation) -> tuple[str, Any, dict[str, str]]:
    """An address, body and headers that pass the reading, so that only the permission decides."""
    path = re.sub(
        r"\{(\w+)\}", lambda found: "1" if found[1] in ("revision", "version") else "none", operation.path
    )
    body = None if operation.body is None else to_plain(operation.example)
    headers = {"If-Match": '"1"'} if operation.needs_revision else {}
    if operation.patches:
        headers["Content-Type"] = "application/merge-patch+json"
    return path, body, headers


async def test_nobody_comes_in_anywhere_without_signing_in(people: dict[str, Client]) -> None:
    told = {}
    for operation in GUARDED:
        path, body, headers = walk(operation)
        answer = await people["nobody"].ask(operation.method, path, body, **headers)
        told[operation.name] = (
            answer.status_code,
            answer.json()["code"],
            answer.headers["content-type"],
            answer.headers["www-authenticate"],
        )
    refused = (401, "not_signed_in", "application/problem+json", "Bearer")
    assert told == {operation.name: refused for operation in GUARDED}


async def test_each_role_may_do_everywhere_what_the_table_says_and_nothing_else(
    people: dict[str, Client],
) -> None:
    told, expected = {}, {}
    for operation in WALKED:
        path, body, headers = walk(operation)
        for role in ROLES:
            answer = await people[role].ask(operation.method, path, body, **headers)
            told[operation.name, role] = "failed" if answer.status_code >= 500 else answer.status_code != 403
            expected[operation.name, role] = role in PERMISSIONS[operation.permission][0]
    assert told == expected


@pytest.mark.parametrize("scope", ["read", "write", "money", "admin"])
async def test_a_key_may_do_what_its_scope_says(admin: Client, http: httpx.AsyncClient, scope: str) -> None:
    made = await admin.post("/api/keys", {"name": "A key", "scopes": [scope]})
    key = Client(http, {"Authorization": f"Bearer {made['secret']}"})
    told = {
        "read": (await key.ask("GET", "/api/campaigns")).status_code,
        "write": (await key.ask("POST", "/api/blocks", {"pattern": "+13125550100"})).status_code,
        "money": (await key.ask("POST", "/api/reratings/none/resume")).status_code,
        "admin": (await key.ask("GET", "/api/audit")).status_code,
    }
    allowed = {"read": 200, "write": 201, "money": 404, "admin": 200}
    assert told == {name: allowed[name] if name == scope else 403 for name in told}


async def test_a_key_is_shown_once_kept_as_a_hash_and_can_be_revoked(
    admin: Client, http: httpx.AsyncClient, app: App
) -> None:
    made = await admin.post("/api/keys", {"name": "A key", "scopes": ["read"]})
    key = Client(http, {"Authorization": f"Bearer {made['secret']}"})
    assert (await key.get("/api/me"))["scopes"] == ["read"]
    assert made["secret"] not in (await admin.ask("GET", "/api/keys")).text
    async with app.db.transaction() as tx:
        dumped = await tx.fetch("select row_to_json(k)::text as told from api_key k")
    assert all(made["secret"] not in str(row["told"]) for row in dumped)
    assert (await admin.ask("DELETE", f"/api/keys/{made['key']['id']}")).status_code == 204
    assert (await key.ask("GET", "/api/me")).status_code == 401


@pytest.mark.parametrize("role", ["buyer", "publisher"])
async def test_a_key_of_a_buyers_or_publishers_system_sees_what_their_people_see(
    app: App, people: dict[str, Client], http: httpx.AsyncClient, role: str
) -> None:
    owner_id = {"buyer": "buy_1", "publisher": "pub_1"}[role]
    await place(app, "call_1")
    body = {"name": "Their CRM", "scopes": ["read", "write"], f"{role}_id": owner_id}
    made = await people["admin"].post("/api/keys", body)
    assert made["key"][f"{role}_id"] == owner_id
    key = Client(http, {"Authorization": f"Bearer {made['secret']}"})
    for path in ("/api/calls", "/api/calls/call_1", "/api/offers", "/api/buyers", "/api/balances"):
        assert await key.get(path) == await people[role].get(path), path
    reported = await key.ask("POST", "/api/conversions", {"call_id": "call_1"})
    assert reported.status_code == (200 if role == "buyer" else 403)
    for method, path, sent in (
        ("GET", "/api/campaigns", None),
        ("POST", "/api/blocks", {"pattern": "+13125550100"}),
        ("GET", "/api/transactions", None),
        ("POST", "/api/keys", {"name": "Another", "scopes": ["read"]}),
    ):
        assert (await key.ask(method, path, sent)).status_code == 403, path
    async with app.db.transaction() as tx:
        await tx.execute("update call set buyer_id = 'buy_2', publisher_id = 'pub_2'")
    assert (await key.ask("GET", "/api/calls/call_1")).status_code == 404


async def test_a_key_for_somebody_else_is_bounded_when_it_is_made(admin: Client) -> None:
    named = {"name": "Their CRM", "scopes": ["read"]}
    told = []
    for changes in (
        {"buyer_id": "buy_1", "scopes": ["read", "money"]},
        {"publisher_id": "pub_1", "scopes": ["admin"]},
        {"buyer_id": "buy_1", "publisher_id": "pub_1"},
        {"buyer_id": "buy_9"},
    ):
        answer = (await admin.ask("POST", "/api/keys", named | changes)).json()
        told.append((answer["code"], [one["field"] for one in answer["problems"]]))
    assert told == [
        ("invalid", ["scopes"]),
        ("invalid", ["scopes"]),
        ("invalid", ["publisher_id"]),
        ("not_found", []),
    ]


async def test_people_and_keys_are_listed_page_by_page(admin: Client) -> None:
    for number in range(3):
        await admin.post("/api/keys", {"name": f"Key {number}", "scopes": ["read"]})

    async def listed(path: str, field: str) -> list[str]:
        names, cursor = [], ""
        while cursor is not None:
            page = await admin.get(f"{path}?limit=2{cursor and f'&cursor={cursor}'}")
            assert len(page["items"]) <= 2
            names += [one[field] for one in page["items"]]
            cursor = page["next_cursor"]
        return names

    assert await listed("/api/keys", "name") == ["Key 2", "Key 1", "Key 0"]
    assert await listed("/api/users", "email") == sorted(f"{role}@example.com" for role in ROLES)
    for note in ("a", "b", "c"):
        await admin.post(f"/api/offers/off_1/{'resume' if note == 'b' else 'pause'}", {"note": note})
    assert await listed("/api/offers/off_1/history", "note") == ["c", "b", "a", ""]


async def test_a_person_is_invited_chooses_a_password_signs_in_and_out(
    admin: Client, http: httpx.AsyncClient
) -> None:
    invited = await admin.post("/api/users", {"email": "Ann@Example.com", "name": "Ann", "role": "analyst"})
    token = invited["link"].partition("token=")[2]
    too_short = await http.post("/api/first-sign-in", json={"token": token, "password": "short"})
    assert (too_short.status_code, too_short.json()["problems"][0]["field"]) == (422, "password")
    first = await http.post("/api/first-sign-in", json={"token": token, "password": PASSWORD})
    assert (first.status_code, first.json()["role"]) == (200, "analyst")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    again = await http.post("/api/first-sign-in", json={"token": token, "password": PASSWORD})
    assert again.status_code == 401

    http.cookies.clear()
    wrong = await http.post("/api/sign-in", json={"email": "ann@example.com", "password": "not the one"})
    nobody = await http.post("/api/sign-in", json={"email": "ben@example.com", "password": "not the one"})
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.json() == nobody.json()
    right = await http.post("/api/sign-in", json={"email": "ann@example.com", "password": PASSWORD})
    assert right.status_code == 200
    signed_in = {"X-CSRF-Token": right.json()["csrf_token"]}
    assert (await http.get("/api/me")).json()["name"] == "Ann"
    assert (await http.post("/api/sign-out", headers=signed_in)).status_code == 204
    assert (await http.get("/api/me")).status_code == 401


async def test_the_first_admin_comes_in_by_the_link_of_the_first_start(
    app: App, http: httpx.AsyncClient
) -> None:
    token = app.world.token()
    async with app.db.transaction() as tx:
        await api_people.offer_first_sign_in(
            tx, make.ACCOUNT, token=token, user_id=UserId("usr_first"), now=app.world.now()
        )
    answer = await http.post("/api/first-sign-in", json={"token": token, "password": PASSWORD})
    assert (answer.status_code, answer.json()["role"]) == (200, "admin")


async def test_after_too_many_tries_a_right_password_has_to_wait_too(
    app: App, people: dict[str, Client], http: httpx.AsyncClient
) -> None:
    hashed = await hash_password(PASSWORD)
    async with app.db.transaction() as tx:
        await access.set_password(
            tx, make.ACCOUNT, UserId("usr_admin"), hashed, by=By(who="usr_admin", at=app.world.now())
        )
    statuses = []
    for _ in range(api_people.TRIES + 1):
        answer = await http.post("/api/sign-in", json={"email": "admin@example.com", "password": "wrong"})
        statuses.append(answer.status_code)
    assert statuses == [401] * api_people.TRIES + [429]
    right = await http.post("/api/sign-in", json={"email": "admin@example.com", "password": PASSWORD})
    assert (right.status_code, right.json()["code"]) == (429, "too_many_requests")
    assert int(right.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "http://calls.example.com"}, True),
        ({"Origin": "http://elsewhere.example.com"}, False),
        ({"Origin": "null"}, False),
        ({"X-CSRF-Token": "csrf-of-admin"}, True),
        ({"X-CSRF-Token": "csrf-of-manager"}, False),
        ({}, False),
    ],
)
async def test_what_another_site_makes_a_browser_send_is_refused(
    people: dict[str, Client], http: httpx.AsyncClient, headers: dict[str, str], allowed: bool
) -> None:
    browser = Client(http, {"Cookie": people["admin"].headers["Cookie"]} | headers)
    answer = await browser.ask("POST", "/api/blocks", {"pattern": "+13125550100"})
    assert answer.status_code == (201 if allowed else 403)
    assert (await browser.ask("GET", "/api/blocks")).status_code == 200


async def test_buyers_and_publishers_see_their_own_records_only(people: dict[str, Client]) -> None:
    told = {
        role: {
            many: [one["id"] for one in (await people[role].get(f"/api/{many}"))["items"]]
            for many in ("buyers", "offers", "publishers")
        }
        for role in ("analyst", "buyer", "publisher")
    }
    assert told == {
        "analyst": {"buyers": ["buy_1", "buy_2"], "offers": ["off_1", "off_2"], "publishers": ["pub_1"]},
        "buyer": {"buyers": ["buy_1"], "offers": ["off_1"], "publishers": []},
        "publisher": {"buyers": [], "offers": [], "publishers": ["pub_1"]},
    }
    for role, path in (
        ("buyer", "/api/offers/off_2"),
        ("buyer", "/api/buyers/buy_2"),
        ("publisher", "/api/offers/off_1"),
        ("publisher", "/api/buyers/buy_1/funds"),
        ("buyer", "/api/buyers/buy_2/funds"),
        ("buyer", "/api/statements/open?account=buyer&owner_id=buy_2"),
        ("publisher", "/api/statements/open?account=buyer&owner_id=buy_1"),
    ):
        assert (await people[role].ask("GET", path)).status_code == 404, (role, path)


async def test_another_accounts_records_are_not_there(
    app: App, people: dict[str, Client], http: httpx.AsyncClient
) -> None:
    now = app.world.now()
    by = By(who="usr_seed", at=now)
    async with app.db.transaction() as tx:
        await catalog.create_account(tx, make.account(id="acc_2", name="Other"), by=by)
        user = access.User(
            id=UserId("usr_other"),
            account_id=make.AccountId("acc_2"),
            email="other@example.com",
            name="Other",
            role="admin",
            created_at=now,
        )
        await access.add_user(tx, user, by=by)
        await access.begin_session(
            tx,
            user,
            token="session-of-other",
            csrf="csrf",
            now=now,
            expires_at=now.replace(year=now.year + 1),
        )
    other = Client(http, {"Cookie": "callmatrix_session=session-of-other", "X-CSRF-Token": "csrf"})
    assert (await other.get("/api/offers"))["items"] == []
    assert (await other.ask("GET", "/api/offers/off_1")).status_code == 404
    assert (await other.ask("POST", "/api/offers/off_1/pause", {})).status_code == 404
    assert [one["email"] for one in (await other.get("/api/users"))["items"]] == ["other@example.com"]


async def test_the_last_admin_stays(admin: Client) -> None:
    answer = await admin.ask("PUT", "/api/users/usr_admin", {"name": "Admin", "role": "analyst"})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
