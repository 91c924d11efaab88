"""Why an offer got no more calls today, over HTTP."""

from callmatrix.live.app import App
from conftest import Client
from placed import place


async def test_an_offer_is_told_what_became_of_it_in_each_decision_of_today(app: App, admin: Client) -> None:
    await place(app, "call_1", minutes_ago=0)
    await place(app, "call_2", minutes_ago=0, first_busy=True, caller="+12125550101")
    first = await admin.get("/api/offers/off_1/refusals")
    assert (first["decisions"], first["taken"], first["more"]) == (3, 2, False)
    assert first["reasons"] == [{"code": "tried", "count": 1, "last_call_id": "call_2"}]
    second = await admin.get("/api/offers/off_2/refusals")
    assert (second["decisions"], second["taken"]) == (3, 1)
    assert second["reasons"] == [{"code": "outbid", "count": 2, "last_call_id": "call_2"}]
    assert second["since"].endswith("T00:00:00Z")


async def test_an_offer_of_no_campaign_has_no_decisions(app: App, admin: Client) -> None:
    copy = await admin.post("/api/offers/off_1/clone", {})
    told = await admin.get(f"/api/offers/{copy['id']}/refusals")
    assert (told["decisions"], told["taken"], told["reasons"], told["more"]) == (0, 0, [], False)
