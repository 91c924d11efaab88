"""What the API promises on paper is what it does: its description, its errors, its documentation."""

import asyncio
import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import make
from callmatrix.api.docs import docs_page
from callmatrix.api.openapi import document, refusal_codes
from callmatrix.api.operations import OPERATIONS
from callmatrix.api.sentences import NOTES
from callmatrix.core.documents import encode, read_input
from callmatrix.core.errors import REFUSALS
from callmatrix.live.app import App
from conftest import Client
from forms import sale, save
from placed import place

DEEP = b'{"rule": ' + b'{"kind": "all", "rules": [' * 20_000
EXAMPLES_EACH = 3
DOCS = Path(__file__).parents[2] / "docs" / "api.md"


async def test_every_refusal_code_is_in_the_guide_with_its_status() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows) == {code: str(status) for code, (status, _) in REFUSALS.items()}


async def test_every_address_in_the_guide_is_an_operation() -> None:
    told = re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/api/[^`?…]+)", DOCS.read_text(encoding="utf-8"))
    known = {(operation.method, operation.path) for operation in OPERATIONS}
    assert told
    assert [one for one in told if one not in known] == []


def test_operations_have_names_of_their_own_and_known_refusals() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert sorted(set(names)) == sorted(names)
    places = [(operation.method, operation.path) for operation in OPERATIONS]
    assert sorted(set(places)) == sorted(places)
    assert {code for operation in OPERATIONS for code in refusal_codes(operation)} <= set(REFUSALS)


def test_every_example_body_is_one() -> None:
    for operation in OPERATIONS:
        if operation.body is not None and not operation.patches:
            assert read_input(encode(operation.example), operation.body), operation.name


def test_every_reference_in_the_description_leads_somewhere() -> None:
    described = document(OPERATIONS, server="http://localhost:8000")
    told = encode(described).decode()
    shapes = set(described["components"]["schemas"])
    referred = set(re.findall(r'"#/components/schemas/([^"]+)"', told))
    assert referred <= shapes
    assert described["openapi"] == "3.1.0"


async def test_the_page_of_the_api_shows_every_operation_and_loads_nothing(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for operation in OPERATIONS:
        assert f'id="{operation.name}"' in page.text
    assert not re.search(r"<script|<link|src=|@import|url\(", page.text)
    assert "prefers-color-scheme: dark" in page.text
    described = (await http.get("/openapi.json")).json()
    assert docs_page(described) == page.text


async def test_a_one_time_link_leads_to_a_page_that_runs_its_own_script_only(http: httpx.AsyncClient) -> None:
    page = await http.get("/first-sign-in?token=some-token")
    script = re.search(r"<script>(.*)</script>", page.text, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "some-token" not in page.text


async def test_health_asks_the_database_without_a_sign_in(http: httpx.AsyncClient) -> None:
    answer = await http.get("/healthz")
    names = ("arrivals_now", "shed", "bad_signatures", "spooled", "failed_safe", "evidence_dropped")
    counted = dict.fromkeys(names, 0)
    assert (answer.status_code, answer.json()) == (200, {"database": "ok"} | counted)


async def test_health_shows_what_the_carriers_lane_of_the_process_refused(
    app: App, admin: Client, http: httpx.AsyncClient
) -> None:
    kept = await admin.ask("PUT", "/api/connections/con_1/secrets", {"secrets": {"signing": "a secret"}})
    assert kept.status_code == 200
    await app.catalog.refresh(make.ACCOUNT)
    unsigned = await http.post("/voice/con_1", data={"CallSid": "CA1"})
    assert (unsigned.status_code, unsigned.json()["code"]) == (403, "bad_signature")
    assert (await http.get("/healthz")).json()["bad_signatures"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "media", "expected"),
    [
        ("GET", "/api/nothing", None, None, (404, "not_found")),
        ("DELETE", "/api/campaigns", None, None, (405, "wrong_method")),
        ("POST", "/api/buyers", b'{"name": ', "application/json", (400, "malformed")),
        ("POST", "/api/buyers", b'{"name": "\xff"}', "application/json", (400, "malformed")),
        ("POST", "/api/buyers", b'{"name": "a\\u0000"}', "application/json", (422, "invalid")),
        ("POST", "/api/buyers", b'{"name": "A", "nmae": 1}', "application/json", (422, "invalid")),
        ("POST", "/api/buyers", b"name=A", "application/x-www-form-urlencoded", (415, "wrong_media_type")),
        ("POST", "/api/offers", DEEP, "application/json", (400, "malformed")),
        ("POST", "/api/buyers", b" " * 1_100_000, "application/json", (413, "too_large")),
        ("GET", "/api/calls?limit=0", None, None, (422, "invalid")),
        ("GET", "/api/calls?limit=1&limit=2", None, None, (422, "invalid")),
        ("GET", "/api/calls?nothing=1", None, None, (422, "invalid")),
        ("GET", "/api/calls?since=2026-01-01T00:00:00", None, None, (422, "invalid")),
        ("GET", "/api/calls?since=9999-12-31T23:59:59Z", None, None, (422, "invalid")),
        (
            "POST",
            "/api/conversions",
            b'{"caller": "+14155550100", "at": "0001-01-01T00:00:00Z"}',
            "application/json",
            (422, "invalid"),
        ),
        ("GET", "/api/calls?tag=%00", None, None, (422, "invalid")),
        ("GET", "/api/calls?tag=%ff", None, None, (422, "invalid")),
        ("GET", "/api/calls/%00", None, None, (404, "not_found")),
        ("GET", f"/api/calls/{'a' * 500}", None, None, (404, "not_found")),
        ("POST", "/api/campaigns/cmp_1/pause", b"{}", "application/json", (200, None)),
    ],
)
async def test_bad_input_is_refused_by_name(
    admin: Client, method: str, path: str, body: bytes | None, media: str | None, expected: tuple[int, Any]
) -> None:
    headers = admin.headers | ({"Content-Type": media} if media else {})
    answer = await admin.http.request(method, path, content=body, headers=headers)
    told = answer.json()
    assert (answer.status_code, told.get("code")) == expected
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert (told["status"], told["title"]) == REFUSALS[told["code"]]
        assert told["detail"]


def test_every_sentence_can_be_told_without_its_values() -> None:
    for code, template in NOTES.items():
        assert template.format_map(_Anything()), code


class _Anything(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return key


# --- whatever the description allows, and what it does not --------------------------------------------

# A stream does not end; the others would end the session, or spend seconds on passwords.
NOT_TRIED = ("stream_events", "sign_out", "sign_in", "first_sign_in", "change_password")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


# Records that are there, so that more is tried than what becomes of unknown ids.
KNOWN = {
    "campaigns": "cmp_1",
    "offers": "off_1",
    "buyers": "buy_1",
    "publishers": "pub_1",
    "connections": "con_1",
    "calls": "call_1",
    "leads": "lead_1",
}


async def test_whatever_the_description_allows_is_answered_as_described(
    app: App, admin: Client, address: str
) -> None:
    await place(app, "call_1")
    async with app.db.transaction() as tx:
        assert await save(tx, sale("lead_1")) == "saved"
    made = await admin.post("/api/keys", {"name": "All", "scopes": ["read", "write", "money", "admin"]})
    headers = {"Authorization": f"Bearer {made['secret']}"}
    schema = schemathesis.openapi.from_dict(document(OPERATIONS, server=address))
    found: dict[str, str] = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        name = operation.definition.raw["operationId"]
        if name not in NOT_TRIED:
            await asyncio.to_thread(try_operation, operation, name, address, headers, found)
    assert found == {}


def try_operation(
    operation: Any, name: str, address: str, headers: dict[str, str], found: dict[str, str]
) -> None:
    @settings(
        max_examples=EXAMPLES_EACH,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(operation.as_strategy())
    def attempt(case: Any) -> None:
        noun = operation.path.split("/")[2] if operation.path.startswith("/api/") else ""
        if noun in KNOWN and "id" in (case.path_parameters or {}):
            case.path_parameters["id"] = KNOWN[noun]
        response = case.call(base_url=address, headers=headers, cookies={}, timeout=30)
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as failures:
            found[name] = "; ".join(str(one) for one in failures.exceptions)[:1_000]

    attempt()
