"""Configuration over HTTP: records with revisions, refused when somebody changed them meanwhile."""

from typing import Any

import pytest

from callmatrix.api.config import NOUNS
from callmatrix.api.examples import EXAMPLES
from callmatrix.live.app import App
from conftest import Client


def example(noun: str) -> dict[str, Any]:
    """A noun's example, naming records that are there."""
    given = dict(EXAMPLES[noun])
    return given | {name: there for name, there in REFERENCES.items() if name in given}


REFERENCES = {
    "buyer_id": "buy_1",
    "connection_id": "con_1",
    "campaign_id": "cmp_1",
    "publisher_id": "pub_1",
}
CHANGES: dict[str, dict[str, Any]] = {"number": {"late_payout_days": 14}}


@pytest.mark.parametrize("noun", [noun.one for noun in NOUNS])
async def test_a_record_is_created_changed_paused_archived_and_restored_and_keeps_its_history(
    admin: Client, noun: str
) -> None:
    many = next(one.many for one in NOUNS if one.one == noun)
    given = example(noun)
    if noun == "endpoint":
        given["numbers"] = [(await admin.post("/api/numbers", example("number")))["id"]]
    created = await admin.ask("POST", f"/api/{many}", given)
    assert created.status_code == 201, created.text
    record = created.json()
    place = f"/api/{many}/{record['id']}"
    assert (created.headers["location"], created.headers["etag"]) == (place, '"1"')
    assert await admin.get(place) == record

    change = CHANGES.get(noun, {"name": "Another name"})
    changed = await admin.ask(
        "PATCH", place, change, If_Match='"1"', Content_Type="application/merge-patch+json"
    )
    assert changed.status_code == 200, changed.text
    assert changed.json()["document"] == record["document"] | change
    replaced = await admin.ask("PUT", place, record["document"], If_Match='"2"')
    assert (replaced.status_code, replaced.json()["document"]) == (200, record["document"])

    paused = await admin.post(f"{place}/pause", {"note": "Asked for"})
    resumed = await admin.post(f"{place}/resume", {})
    assert paused["document"]["status"] != resumed["document"]["status"]
    archived = await admin.post(f"{place}/archive", {})
    assert archived["archived"] is True
    restored = await admin.post(f"{place}/restore", {"revision": 2})
    assert restored["archived"] is False
    history = await admin.get(f"{place}/history")
    told = [one["what"] for one in history["items"]]
    assert told[:2] == ["restore", "archive"]
    assert told[-3:] == ["change", "change", "create"]
    assert (await admin.get(f"{place}/history/1"))["document"] == record["document"]


async def test_a_lost_update_is_refused_and_changes_nothing(admin: Client) -> None:
    before = await admin.get("/api/offers/off_1")
    patch = {"limits": {"concurrency": 5}}
    media = "application/merge-patch+json"
    first = await admin.ask("PATCH", "/api/offers/off_1", patch, If_Match='"1"', Content_Type=media)
    assert first.json()["document"]["limits"]["concurrency"] == 5
    second = await admin.ask("PUT", "/api/offers/off_1", before["document"], If_Match='"1"')
    assert (second.status_code, second.json()["code"]) == (409, "changed_meanwhile")
    without = await admin.ask("PUT", "/api/offers/off_1", before["document"])
    assert (without.status_code, without.json()["problems"][0]["field"]) == (422, "If-Match")
    assert await admin.get("/api/offers/off_1") == first.json()


async def test_a_clone_is_a_paused_copy_under_another_id(admin: Client) -> None:
    original = await admin.get("/api/offers/off_1")
    copy = await admin.post("/api/offers/off_1/clone", {"name": "The copy"})
    assert copy["id"] != original["id"]
    assert copy["document"] == original["document"] | {"name": "The copy", "status": "paused"}


async def test_what_something_names_cannot_be_archived(admin: Client) -> None:
    answer = await admin.ask("POST", "/api/offers/off_1/archive", {})
    told = answer.json()
    assert (answer.status_code, told["code"]) == (409, "conflict")
    assert "cmp_1" in told["problems"][0]["problem"]


async def test_a_plan_that_cannot_be_compiled_is_refused_and_the_old_one_stays_live(
    admin: Client, app: App
) -> None:
    record = await admin.get("/api/campaigns/cmp_1")
    entries = [*record["document"]["plan"]["entries"], {"offer_id": "off_9"}]
    broken = record["document"] | {"plan": record["document"]["plan"] | {"entries": entries}}
    answer = await admin.ask("PUT", "/api/campaigns/cmp_1", broken, If_Match='"1"')
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert any("off_9" in one["problem"] for one in answer.json()["problems"])
    assert await admin.get("/api/campaigns/cmp_1") == record


async def test_lists_go_on_by_cursor_and_are_searched(admin: Client) -> None:
    for number in range(5):
        await admin.post("/api/buyers", {"name": f"Plumber {number}"})
    names: list[str] = []
    cursor = ""
    for _ in range(10):
        page = await admin.get(f"/api/buyers?search=plumb&limit=2{cursor}")
        names += [one["document"]["name"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert names == [f"Plumber {number}" for number in range(5)]
    bad = await admin.ask("GET", "/api/buyers?cursor=nonsense")
    assert (bad.status_code, bad.json()["problems"][0]["field"]) == (422, "cursor")


async def test_a_scheduled_change_waits_is_listed_and_can_be_called_off(admin: Client) -> None:
    planned = await admin.post(
        "/api/offers/off_1/scheduled",
        {"starts_at": "2100-01-01T00:00:00Z", "change": {"price": {"kind": "fixed", "amount": "45.00"}}},
    )
    assert planned["document"]["price"]["amount"] == "45.00"
    assert (await admin.get("/api/offers/off_1/scheduled"))["items"] == [planned]
    called_off = await admin.ask("DELETE", f"/api/scheduled/{planned['id']}")
    assert called_off.status_code == 204
    assert (await admin.get("/api/offers/off_1/scheduled"))["items"] == []
    late = await admin.ask(
        "POST",
        "/api/offers/off_1/scheduled",
        {"starts_at": "2020-01-01T00:00:00Z", "change": {"name": "Too late"}},
    )
    assert (late.status_code, late.json()["problems"][0]["field"]) == (422, "starts_at")


async def test_secrets_are_kept_and_never_shown(admin: Client) -> None:
    answer = await admin.ask("PUT", "/api/connections/con_1/secrets", {"secrets": {"signing": "s3cret"}})
    assert answer.status_code == 200
    assert [one["name"] for one in answer.json()["items"]] == ["signing"]
    for path in ("/api/connections/con_1", "/api/connections/con_1/secrets", "/api/audit"):
        assert "s3cret" not in (await admin.ask("GET", path)).text
