"""RTB endpoints over the API: keys shown once, requests listed and masked by role, and what they came to."""

from typing import Any

import httpx
import pytest

import make
from callmatrix.live.app import App
from callmatrix.store import catalog
from callmatrix.store.audit import By
from conftest import Client
from rtb_network import SOLD_NUMBER, SOLD_NUMBER_ID, sold_number

BODY = {
    "name": "Resale",
    "campaign_id": make.CAMPAIGN,
    "publisher_id": make.PUBLISHER,
    "numbers": [SOLD_NUMBER_ID],
    "price": {"kind": "share", "share_bps": 7_000},
    "required_fields": ["zip"],
}
CALLER = "+14155550199"


class Endpoint:
    """An endpoint, its key, and who asks it."""

    def __init__(self, http: httpx.AsyncClient, made: dict[str, Any]) -> None:
        self.http = http
        self.id: str = made["endpoint_id"]
        self.key: str = made["key"]

    async def ask(self, **values: str) -> dict[str, Any]:
        answer = await self.http.post(f"/rtb/{self.id}.json", json=values, params={"key": self.key})
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told


@pytest.fixture
async def endpoint(app: App, admin: Client) -> Endpoint:
    """One that is saved, has a key, and is known to the server."""
    async with app.db.transaction() as tx:
        by = By(who="usr_seed", at=app.world.now())
        await catalog.create(tx, make.ACCOUNT, sold_number(), by=by)
    record = await admin.post("/api/endpoints", BODY)
    made = await admin.post(f"/api/endpoints/{record['id']}/key", {})
    await app.catalog.refresh(make.ACCOUNT)
    return Endpoint(admin.http, made)


async def test_a_key_is_shown_once_kept_as_a_hash_and_audited(
    app: App, admin: Client, endpoint: Endpoint
) -> None:
    assert (await endpoint.ask(CID=CALLER, zip="94105"))["phoneNumber"] == SOLD_NUMBER
    newer = await admin.post(f"/api/endpoints/{endpoint.id}/key", {"former_s": 3_600, "note": "Yearly"})
    assert newer["url"] == f"http://calls.example.com/rtb/{endpoint.id}.json?key={newer['key']}"
    assert newer["former_until"] is not None
    told = (await admin.ask("GET", f"/api/endpoints/{endpoint.id}")).text
    kept = await admin.get("/api/audit?kind=endpoint")
    assert endpoint.key not in told + str(kept)
    assert [row["act"]["what"] for row in kept["items"]] == ["key", "key", "create"]
    async with app.db.session() as tx:
        rows = await tx.fetch("select key_hash, former_hash from rtb_key")
    assert [len(row["key_hash"]) + len(row["former_hash"]) for row in rows] == [64]


async def test_requests_are_listed_with_what_became_of_them(admin: Client, endpoint: Endpoint) -> None:
    made = await endpoint.ask(CID=CALLER, zip="94105")
    await endpoint.ask(CID=CALLER, zip="94105")
    refused = await endpoint.ask(CID=CALLER)
    listed = (await admin.get("/api/rtb-bids"))["items"]
    assert [(one["id"], one["state"], one["code"], one["repeats"]) for one in listed] == [
        (refused["bidId"], "refused", "field_missing", 0),
        (made["bidId"], "open", "", 1),
    ]
    bid = listed[1]
    assert (bid["amount"], bid["revenue"], bid["offer_id"], bid["min_s"]) == ("20.30", "29.00", "off_1", 60)
    assert (bid["caller"], bid["number"], bid["call_id"]) == (CALLER, SOLD_NUMBER, None)
    assert all(one["lead_id"].startswith("call_") for one in listed)
    assert bid["request"]["fields"] == {"zip": "94105"}
    for query, expected in (
        ("state=open", [made["bidId"]]),
        ("code=field_missing", [refused["bidId"]]),
        ("caller=%2B14155550100", []),
        (f"endpoint_id={endpoint.id}&limit=1", [refused["bidId"]]),
        ("endpoint_id=rtb_none", []),
    ):
        found = await admin.get(f"/api/rtb-bids?{query}")
        assert [one["id"] for one in found["items"]] == expected, query
    first = await admin.get("/api/rtb-bids?limit=1")
    rest = await admin.get(f"/api/rtb-bids?limit=1&cursor={first['next_cursor']}")
    assert [one["id"] for one in rest["items"]] == [made["bidId"]]


async def test_a_publisher_sees_their_own_requests_masked_and_a_buyer_none(
    people: dict[str, Client], endpoint: Endpoint
) -> None:
    await endpoint.ask(CID=CALLER, zip="94105")
    await endpoint.ask(CID="12", zip="94105")
    told = (await people["publisher"].get("/api/rtb-bids"))["items"]
    assert [(one["code"], one["detail"], one["amount"], one["revenue"], one["offer_id"]) for one in told] == [
        ("caller_invalid", "", None, None, None),
        ("", "", "20.30", None, None),
    ]
    assert CALLER.removeprefix("+1") not in str(told)
    assert (await people["buyer"].get("/api/rtb-bids"))["items"] == []
    for name in ("buyer", "publisher"):
        answer = await people[name].ask("GET", f"/api/endpoints/{endpoint.id}/statistics")
        assert answer.status_code == 403


async def test_what_requests_came_to_is_counted(admin: Client, endpoint: Endpoint) -> None:
    await endpoint.ask(CID=CALLER, zip="94105")
    await endpoint.ask(CID=CALLER, zip="94105")
    await endpoint.ask(CID=CALLER)
    counted = await admin.get(f"/api/endpoints/{endpoint.id}/statistics")
    for name in ("since", "until", "key_changed_at"):
        assert counted.pop(name) is not None
    assert counted == {
        "endpoint_id": endpoint.id,
        "requests": 3,
        "bids": 1,
        "repeats": 1,
        "refused": [{"code": "field_missing", "count": 1, "number": 1002}],
        "calls": 0,
        "calls_refused": [],
        "bid_amount": "20.30",
        "used_amount": "0.00",
        "open_bids": 1,
    }
    wrong = await admin.ask("GET", f"/api/endpoints/{endpoint.id}/statistics?since=2030-01-01T00:00:00Z")
    assert (wrong.status_code, wrong.json()["problems"][0]["field"]) == (422, "since")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"networks": ["nowhere"]}, "networks.0"),
        ({"min_bid": "5.00", "max_bid": "4.00"}, "min_bid"),
        ({"price": {"kind": "less", "amount": "-1.00"}}, "price.amount"),
        ({"numbers": [SOLD_NUMBER_ID, SOLD_NUMBER_ID]}, "numbers"),
        ({"numbers": ["num_none"]}, "numbers.0"),
        ({"campaign_id": "cmp_none"}, "campaign_id"),
        ({"sip_host": "sip example"}, "sip_host"),
    ],
)
async def test_an_endpoint_that_could_not_be_lived_by_is_refused_by_field(
    admin: Client, endpoint: Endpoint, change: dict[str, Any], field: str
) -> None:
    answer = await admin.ask("PUT", f"/api/endpoints/{endpoint.id}", BODY | change, If_Match='"1"')
    assert (answer.status_code, answer.json()["problems"][0]["field"]) == (422, field)


async def test_what_an_endpoint_names_is_not_archived_while_it_does(
    app: App, admin: Client, endpoint: Endpoint
) -> None:
    for path in (f"/api/numbers/{SOLD_NUMBER_ID}", "/api/publishers/pub_1", "/api/campaigns/cmp_1"):
        answer = await admin.ask("POST", f"{path}/archive", {})
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict"), path
    await admin.post(f"/api/endpoints/{endpoint.id}/archive", {})
    await app.catalog.refresh(make.ACCOUNT)
    gone = await admin.http.post(f"/rtb/{endpoint.id}.json", params={"key": endpoint.key})
    assert gone.status_code == 404
    assert (await admin.ask("POST", f"/api/numbers/{SOLD_NUMBER_ID}/archive", {})).status_code == 200


async def test_what_somebody_should_know_of_an_endpoint_is_listed(admin: Client, endpoint: Endpoint) -> None:
    place = f"/api/endpoints/{endpoint.id}"
    assert (await admin.get(f"{place}/warnings"))["items"] == []
    media = "application/merge-patch+json"
    await admin.ask("PATCH", place, {"min_s": 10}, If_Match='"1"', Content_Type=media)
    told = (await admin.get(f"{place}/warnings"))["items"]
    assert [one["problem"] for one in told] == [
        f"A bid is owed after 10 s, and {offer} owes nothing before 60 s" for offer in ("off_1", "off_2")
    ]


async def test_offers_may_need_what_sellers_must_send(admin: Client, endpoint: Endpoint) -> None:
    """No flow captures the ZIP, and yet every call of the endpoint has one."""
    media = "application/merge-patch+json"
    for fields, status in ((["zip"], 200), (["zip", "age"], 422)):
        patch = {"required_fields": fields}
        revision = (await admin.get("/api/offers/off_1"))["revision"]
        answer = await admin.ask(
            "PATCH", "/api/offers/off_1", patch, If_Match=f'"{revision}"', Content_Type=media
        )
        assert answer.status_code == status, answer.text
