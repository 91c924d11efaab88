"""Names of records, one's own sessions, and stopping everything, over HTTP."""

from callmatrix.live.app import App
from conftest import Client


async def test_records_are_called_by_their_names(people: dict[str, Client]) -> None:
    path = "/api/names?ids=cmp_1,off_1,off_2,buy_1,buy_2,pub_1,nothing"

    async def seen(role: str) -> list[tuple[str, str]]:
        return [(one["id"], one["name"]) for one in (await people[role].get(path))["items"]]

    assert await seen("analyst") == [
        ("buy_1", "Buyer 1"),
        ("buy_2", "Buyer 2"),
        ("cmp_1", "Campaign 1"),
        ("off_1", "Offer 1"),
        ("off_2", "Offer 2"),
        ("pub_1", "Publisher 1"),
    ]
    assert await seen("buyer") == [("buy_1", "Buyer 1"), ("cmp_1", "Campaign 1"), ("off_1", "Offer 1")]
    assert await seen("publisher") == [("cmp_1", "Campaign 1"), ("pub_1", "Publisher 1")]


async def test_a_part_of_a_name_finds_records_of_every_kind_for_staff_only(people: dict[str, Client]) -> None:
    found = (await people["analyst"].get("/api/names?search=ER+1"))["items"]
    assert [one["name"] for one in found] == ["Buyer 1", "Offer 1", "Publisher 1"]
    assert (await people["analyst"].get("/api/names?search=100%25"))["items"] == []
    refused = await people["buyer"].ask("GET", "/api/names?search=a")
    assert refused.json()["code"] == "not_allowed"
    unclear = await people["analyst"].ask("GET", "/api/names")
    assert unclear.json()["problems"][0]["field"] == "ids"


async def test_one_sees_where_one_is_signed_in_and_signs_out_there(people: dict[str, Client]) -> None:
    manager = people["manager"]
    changed = await people["admin"].post("/api/users/usr_manager/link")
    token = changed["link"].partition("token=")[2]
    body = {"token": token, "password": "a long enough password"}
    again = await people["nobody"].ask("POST", "/api/first-sign-in", body)
    cookie = again.headers["set-cookie"].partition(";")[0]
    here = Client(manager.http, {"Cookie": cookie, "X-CSRF-Token": again.json()["csrf_token"]})
    manager.http.cookies.clear()
    await people["nobody"].ask(
        "POST", "/api/sign-in", {"email": "manager@example.com", "password": "a long enough password"}
    )
    manager.http.cookies.clear()
    found = (await here.get("/api/me/sessions"))["items"]
    assert [one["current"] for one in found] == [False, True]
    gone = await here.ask("DELETE", f"/api/me/sessions/{found[0]['id']}")
    assert gone.status_code == 204
    assert [one["current"] for one in (await here.get("/api/me/sessions"))["items"]] == [True]
    unknown = await here.ask("DELETE", f"/api/me/sessions/{found[0]['id']}")
    assert unknown.json()["code"] == "not_found"
    others = await people["analyst"].ask("DELETE", f"/api/me/sessions/{found[1]['id']}")
    assert others.json()["code"] == "not_found"


async def test_everything_is_stopped_by_pausing_every_live_campaign(
    app: App, people: dict[str, Client]
) -> None:
    assert (await people["analyst"].ask("POST", "/api/stop", {})).json()["code"] == "not_allowed"
    assert await people["manager"].post("/api/stop", {}) == {"campaigns": ["cmp_1"], "calls": {}}
    campaign = await people["manager"].get("/api/campaigns/cmp_1")
    assert campaign["document"]["status"] == "paused"
    assert await people["manager"].post("/api/stop", {}) == {"campaigns": [], "calls": {}}
    acts = (await people["admin"].get("/api/audit?kind=account"))["items"]
    assert [one["act"]["what"] for one in acts][:2] == ["stop_now", "stop_now"]
