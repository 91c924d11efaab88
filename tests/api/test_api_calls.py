"""Calls over HTTP: found, told whole, adjusted, converted, disposed of and rated again."""

import csv
import io
from functools import partial

import make
from callmatrix.live import jobs, reratings, schedule
from callmatrix.live.app import App
from callmatrix.store import catalog, unknown
from callmatrix.store.audit import By
from conftest import Client
from placed import CALLER, DIALED, place


async def test_one_call_tells_step_by_step_what_happened_and_why(app: App, admin: Client) -> None:
    call_id = await place(app, "call_1", tags={"gclid": "abc"})
    told = await admin.get(f"/api/calls/{call_id}")
    assert told["replays"] is True
    assert [(one["kind"], one["text"]) for one in told["timeline"]] == [
        ("arrived", f"{CALLER} (area code 415) called {DIALED}, brought by Publisher 1."),
        ("looked", "The open offers, the rotation and the caller's earlier calls were read for routing."),
        ("reserved", "Capacity for Offer 1 was reserved; it is dialled."),
        ("leg_ended", "The leg to Offer 1 ended after 120 s, hung up by the caller."),
        ("call_ended", "The call ended by the caller after 125 s."),
    ]
    (decision,) = [one["decision"] for one in told["timeline"] if one["decision"] is not None]
    assert decision["chosen_offer_id"] == "off_1"
    assert [(one["offer"], one["taken"], one["code"], one["text"]) for one in decision["offers"]] == [
        ("Offer 1", True, "", "Taken."),
        ("Offer 2", False, "outbid", "Eligible, but ranked behind off_1."),
    ]
    notes = [note["text"] for one in told["timeline"] for note in one["notes"]]
    assert notes == [
        "Revenue: the buyer owes for this call.",
        "Payout: the publisher earns for this call.",
    ]
    (attempt,) = told["attempts"]
    assert (attempt["offer"], attempt["outcome"], attempt["billed"]) == ("Offer 1", "answered", True)
    money = told["money"]
    assert (money["revenue"], money["payout"], money["cost"], money["profit"]) == (
        "29.00",
        "14.50",
        "0.07",
        "14.43",
    )
    assert sorted(one["kind"] for one in money["transactions"]) == ["charge", "cost", "payout"]
    assert told["call"]["tags"] == {"gclid": "abc"}


async def test_calls_are_found_by_what_is_known_of_them(app: App, admin: Client) -> None:
    await place(app, "call_1", minutes_ago=60, tags={"utm_source": "bing"})
    await place(app, "call_2", minutes_ago=30, caller="+12125550100", talked_s=10)
    await place(app, "call_3", minutes_ago=10, caller="+12125550101")

    async def found(query: str) -> list[str]:
        return [one["id"] for one in (await admin.get(f"/api/calls?{query}"))["items"]]

    assert await found("") == ["call_3", "call_2", "call_1"]
    assert await found("caller=(415)+555-0100") == ["call_1"]
    assert await found("tag=utm_source=bing") == ["call_1"]
    assert await found("tag=utm_source") == ["call_1"]
    assert await found("tag=utm_medium") == []
    assert await found("status=converted") == ["call_3", "call_1"]
    assert await found("status=live") == []
    assert await found("buyer_id=buy_1&campaign_id=cmp_1&publisher_id=pub_1&offer_id=off_1&test=false") == [
        "call_3",
        "call_2",
        "call_1",
    ]
    first = await admin.get("/api/calls?limit=2")
    rest = await admin.get(f"/api/calls?limit=2&cursor={first['next_cursor']}")
    assert [one["id"] for one in first["items"] + rest["items"]] == ["call_3", "call_2", "call_1"]
    exported = await admin.ask("GET", "/api/calls?status=converted", Accept="text/csv")
    assert exported.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(exported.text)))
    assert [(row["id"], row["caller"], row["revenue"]) for row in rows] == [
        ("call_3", "+12125550101", "29.00"),
        ("call_1", CALLER, "29.00"),
    ]


async def test_buyers_and_publishers_see_their_calls_masked_and_without_the_other_sides_money(
    app: App, people: dict[str, Client]
) -> None:
    await place(app, "call_1")
    shown = {}
    for role in ("analyst", "buyer", "publisher"):
        (one,) = (await people[role].get("/api/calls"))["items"]
        detail = await people[role].get("/api/calls/call_1")
        assert detail["call"] == one
        shown[role] = (one["caller"], one["revenue"], one["payout"], one["cost"], one["buyer_id"])
        assert (detail["money"] is None, detail["timeline"] == []) == (role != "analyst", role != "analyst")
        assert len(detail["attempts"]) == (0 if role == "publisher" else 1)
    masked = "+1415•••••00"
    assert shown == {
        "analyst": (CALLER, "29.00", "14.50", "0.07", "buy_1"),
        "buyer": (masked, "29.00", None, None, "buy_1"),
        "publisher": (masked, None, "14.50", None, None),
    }
    for role, query in (("buyer", f"caller={CALLER[1:]}"), ("publisher", "offer_id=off_1")):
        assert (await people[role].ask("GET", f"/api/calls?{query}")).status_code == 403
    async with app.db.transaction() as tx:
        await tx.execute("update call set buyer_id = 'buy_2', publisher_id = 'pub_2'")
    for role in ("buyer", "publisher"):
        assert (await people[role].get("/api/calls"))["items"] == []
        assert (await people[role].ask("GET", "/api/calls/call_1")).status_code == 404


async def test_a_buyer_sees_the_dials_that_went_to_them_and_nobody_elses(
    app: App, people: dict[str, Client]
) -> None:
    await place(app, "call_1", first_busy=True)
    staff = (await people["analyst"].get("/api/calls/call_1"))["attempts"]
    assert [(one["buyer_id"], one["outcome"]) for one in staff] == [
        ("buy_1", "busy"),
        ("buy_2", "answered"),
    ]
    assert (await people["buyer"].ask("GET", "/api/calls/call_1")).status_code == 404
    async with app.db.transaction() as tx:
        await tx.execute("update app_user set buyer_id = 'buy_2' where id = 'usr_buyer'")
    own = (await people["buyer"].get("/api/calls/call_1"))["attempts"]
    assert own == [staff[1] | {"held_payout": None, "recording_url": ""}]
    assert staff[1]["held_payout"] == "14.00"


async def test_an_adjustment_gives_back_at_most_what_is_left_by_correcting_postings(
    app: App, admin: Client
) -> None:
    await place(app, "call_1")
    path = "/api/calls/call_1/adjustments"
    part = await admin.post(path, {"reason": "Wrong number", "credit": "9.00", "clawback": "4.50"})
    assert (part["revenue"], part["payout"], part["credit_left"], part["clawback_left"]) == (
        "20.00",
        "10.00",
        "20.00",
        "10.00",
    )
    assert sorted(one["kind"] for one in part["transactions"]) == [
        "charge",
        "clawback",
        "cost",
        "credit",
        "payout",
    ]
    too_much = await admin.ask("POST", path, {"reason": "Again", "credit": "20.01", "clawback": "10.01"})
    assert too_much.status_code == 422
    assert [one["field"] for one in too_much.json()["problems"]] == ["credit", "clawback"]
    nothing = await admin.ask("POST", path, {"reason": "Nothing"})
    assert (nothing.status_code, nothing.json()["code"]) == (422, "invalid")
    acts = (await admin.get("/api/audit?kind=call"))["items"]
    assert [(one["act"]["what"], one["note"], one["act"]["details"]) for one in acts] == [
        (
            "adjust",
            "Wrong number",
            {"credit": "9.00", "clawback": "4.50", "adjustment_id": part["adjustments"][0]["id"]},
        )
    ]


async def test_a_disposition_is_noted_and_told_in_the_timeline(app: App, admin: Client) -> None:
    await place(app, "call_1")
    noted = await admin.post("/api/calls/call_1/disposition", {"disposition": "Booked"})
    assert noted["disposition"] == "Booked"
    last = (await admin.get("/api/calls/call_1"))["timeline"][-1]
    assert last["text"] == "Admin noted what came of the call: Booked."
    unknown_call = await admin.ask("POST", "/api/calls/call_9/disposition", {"disposition": "Booked"})
    assert (unknown_call.status_code, unknown_call.json()["code"]) == (404, "not_found")


async def test_a_buyers_system_reports_a_conversion_by_call_or_by_caller(
    app: App, people: dict[str, Client]
) -> None:
    by = By(who="usr_seed", at=app.world.now())
    async with app.db.transaction() as tx:
        await catalog.change(tx, make.ACCOUNT, make.offer(1, converts_on="postback"), by=by)
    await app.catalog.refresh(make.ACCOUNT)
    await place(app, "call_1")
    await place(app, "call_2", caller="+12125550100")
    buyer = people["buyer"]
    taken = await buyer.post("/api/conversions", {"call_id": "call_1"})
    assert taken == {
        "call_id": "call_1",
        "changed": True,
        "converted": True,
        "revenue": "29.00",
        "revenue_code": "converted",
    }
    by_caller = await buyer.post("/api/conversions", {"caller": "+12125550100", "converted": False})
    assert (by_caller["call_id"], by_caller["converted"]) == ("call_2", False)
    for body in ({}, {"call_id": "call_1", "caller": CALLER}):
        assert (await buyer.ask("POST", "/api/conversions", body)).status_code == 422
    assert (await buyer.ask("POST", "/api/conversions", {"call_id": "call_9"})).status_code == 404


async def work_off(app: App, *, batch: int = reratings.BATCH) -> None:
    """What the process's worker does until nothing is due."""
    kinds = schedule.JOBS | {reratings.RERATE: partial(reratings.work, batch=batch)}
    for _ in range(20):
        if not await jobs.run_due(app, kinds):
            return
    raise AssertionError("the jobs do not end")


async def test_calls_are_rated_again_by_the_present_price_after_a_preview(app: App, admin: Client) -> None:
    await place(app, "call_1")
    await place(app, "call_2", caller="+12125550100", talked_s=10)
    change = {"price": {"kind": "fixed", "amount": "33.00", "after_s": 60}}
    media = "application/merge-patch+json"
    await admin.ask("PATCH", "/api/offers/off_1", change, If_Match='"1"', Content_Type=media)
    span = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    preview = await admin.post("/api/reratings/preview", span)
    assert preview == {
        "looked_at": 2,
        "revenue_difference": "4.00",
        "payout_difference": "2.00",
        "calls": [
            {
                "call_id": "call_1",
                "old_revenue": "29.00",
                "old_payout": "14.50",
                "new_revenue": "33.00",
                "new_payout": "16.50",
            }
        ],
        "next_cursor": None,
    }
    assert (await admin.get("/api/calls/call_1"))["money"]["revenue"] == "29.00"
    begun = await admin.post("/api/reratings", {"calls": span, "reason": "The price was wrong"})
    assert (begun["looked_at"], begun["complete"]) == (0, False)
    await work_off(app)
    done = await admin.get(f"/api/reratings/{begun['id']}")
    assert (done["looked_at"], done["total"], done["done"], done["refused"], done["complete"]) == (
        2,
        1,
        1,
        0,
        True,
    )
    assert (await admin.get("/api/calls/call_1"))["money"]["revenue"] == "33.00"
    again = await admin.post("/api/reratings/preview", span)
    assert (again["looked_at"], again["calls"]) == (2, [])
    assert [one["id"] for one in (await admin.get("/api/reratings"))["items"]] == [begun["id"]]


async def test_a_rerating_whose_process_dies_is_gone_on_with_batch_by_batch(app: App, admin: Client) -> None:
    for number in (1, 2, 3):
        await place(app, f"call_{number}", caller=f"+1212555010{number}", minutes_ago=60 - number)
    change = {"price": {"kind": "fixed", "amount": "33.00", "after_s": 60}}
    media = "application/merge-patch+json"
    await admin.ask("PATCH", "/api/offers/off_1", change, If_Match='"1"', Content_Type=media)
    span = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    begun = await admin.post("/api/reratings", {"calls": span, "reason": "The price was wrong"})
    await jobs.run_due(app, {reratings.RERATE: partial(reratings.work, batch=1)})
    halfway = await admin.get(f"/api/reratings/{begun['id']}")
    assert (halfway["looked_at"], halfway["done"], halfway["complete"]) == (1, 1, False)
    async with app.db.transaction() as tx:  # dead before it said that call and job are done
        await tx.execute("update rerating_call set done_at = null")
        await tx.execute("update job set done_at = null, leased_until = null where kind = 'rerate'")
    await work_off(app, batch=1)
    done = await admin.get(f"/api/reratings/{begun['id']}")
    assert (done["looked_at"], done["done"], done["refused"], done["complete"]) == (3, 3, 0, True)
    for number in (1, 2, 3):
        money = (await admin.get(f"/api/calls/call_{number}"))["money"]
        assert (money["revenue"], money["revision"]) == ("33.00", 2)


async def test_a_rerating_compares_what_is_left_after_credits(app: App, admin: Client) -> None:
    await place(app, "call_1")
    await place(app, "call_2", caller="+12125550100")
    await admin.post("/api/calls/call_1/adjustments", {"reason": "All of it", "credit": "29.00"})
    await admin.post("/api/calls/call_2/adjustments", {"reason": "Some of it", "credit": "9.00"})
    change = {"price": {"kind": "fixed", "amount": "25.00", "after_s": 60}}
    media = "application/merge-patch+json"
    await admin.ask("PATCH", "/api/offers/off_1", change, If_Match='"1"', Content_Type=media)
    span = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    preview = await admin.post("/api/reratings/preview", span)
    revenues = {one["call_id"]: (one["old_revenue"], one["new_revenue"]) for one in preview["calls"]}
    assert revenues == {"call_1": ("0.00", "0.00"), "call_2": ("20.00", "16.00")}
    await admin.post("/api/reratings", {"calls": span, "reason": "The price was wrong"})
    await work_off(app)
    for call_id, (_, new) in revenues.items():
        assert (await admin.get(f"/api/calls/{call_id}"))["money"]["revenue"] == new
    assert (await admin.post("/api/reratings/preview", span))["calls"] == []


async def test_calls_to_numbers_that_nobody_owns_are_listed(app: App, admin: Client) -> None:
    async with app.db.transaction() as tx:
        at = app.world.now()
        for number in (1, 2, 3):
            await unknown.record(
                tx,
                make.ACCOUNT,
                connection_id=make.CONNECTION,
                carrier_ref=f"CA{number}",
                dialed="+14155550111",
                caller=CALLER,
                at=at,
            )
    first = await admin.get("/api/unknown-calls?limit=2")
    rest = await admin.get(f"/api/unknown-calls?limit=2&cursor={first['next_cursor']}")
    told = [(one["carrier_ref"], one["dialed"], one["caller"]) for one in first["items"] + rest["items"]]
    assert told == [(f"CA{number}", "+14155550111", CALLER) for number in (3, 2, 1)]
    assert rest["next_cursor"] is None


async def test_who_would_get_a_call_is_told_with_every_offer(admin: Client) -> None:
    media = "application/merge-patch+json"
    rule = {"kind": "leaf", "subject": "caller_state", "operator": "equal", "values": ["CA"]}
    await admin.ask("PATCH", "/api/offers/off_1", {"rule": rule}, If_Match='"1"', Content_Type=media)
    path = "/api/campaigns/cmp_1/who-would-get"
    from_california = await admin.post(path, {"caller": CALLER, "zip": "94105", "draw": 1})
    from_florida = await admin.post(path, {"caller": CALLER, "zip": "33101", "draw": 1})
    chosen = [told["decision"]["chosen_offer_id"] for told in (from_california, from_florida)]
    assert chosen == ["off_1", "off_2"]
    refused = {one["offer_id"]: one for one in from_florida["decision"]["offers"]}["off_1"]
    assert (refused["code"], refused["text"], refused["values"]["actual"]) == (
        "rule_failed",
        "The offer's rule failed: caller_state equal CA, but it is “FL”.",
        "FL",
    )
    assert (await admin.ask("POST", "/api/campaigns/cmp_9/who-would-get", {})).status_code == 404


async def test_the_tariff_of_the_number_called_counts_for_the_margin_floor(app: App, admin: Client) -> None:
    """Revenue 29.00, payout 14.50: a floor of 14.48 is met, until the carrier takes 0.03 a minute."""
    floor = {"margin_floor": {"amount": "14.48"}}
    media = "application/merge-patch+json"
    changed = await admin.ask("PATCH", "/api/campaigns/cmp_1", floor, If_Match='"1"', Content_Type=media)
    assert changed.status_code == 200, changed.text
    path, described = "/api/campaigns/cmp_1/who-would-get", {"caller": CALLER, "publisher_id": "pub_1"}
    without = await admin.post(path, described)
    assert without["decision"]["chosen_offer_id"] == "off_1"
    assignment = {"starts_at": "2020-01-01T00:00:00Z", "split": [{"campaign_id": "cmp_1", "percent": 100}]}
    number = {
        "number": DIALED,
        "connection_id": "con_1",
        "status": "assigned",
        "assignments": [assignment],
    }
    made = await admin.post("/api/numbers", number)
    by_default = await admin.post(path, described)
    named = await admin.post(path, described | {"number_id": made["id"]})
    for told in (by_default, named):
        refused = {one["offer_id"]: one["code"] for one in told["decision"]["offers"]}
        assert (told["decision"]["chosen_offer_id"], refused["off_1"]) == (None, "below_margin")
    nowhere = await admin.ask("POST", path, described | {"number_id": "num_9"})
    assert (nowhere.status_code, nowhere.json()["problems"][0]["field"]) == (422, "number_id")


async def test_caps_are_shown_with_their_use(app: App, admin: Client) -> None:
    cap = {"kind": "money", "metric": "revenue", "window": "total", "limit": "100.00"}
    media = "application/merge-patch+json"
    changed = await admin.ask(
        "PATCH", "/api/offers/off_1", {"limits": {"caps": [cap]}}, If_Match='"1"', Content_Type=media
    )
    assert changed.status_code == 200
    await app.catalog.refresh(make.ACCOUNT)
    await place(app, "call_1")
    await app.background.drain()
    (use,) = (await admin.get("/api/caps?owner=offer&id=off_1"))["items"]
    (told,) = use["caps"]
    assert (told["metric"], told["limit"], told["used"]) == ("revenue", "100.00", "29.00")
    listed = (await admin.get("/api/campaigns/cmp_1/caps"))["items"]
    assert use in listed
