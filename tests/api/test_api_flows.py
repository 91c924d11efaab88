"""Flows over HTTP: where their nodes are drawn, how they stand, and the ways that callers took."""

from typing import Any

import msgspec

import make
import saved
from callmatrix.core.campaign import Campaign, FlowDocument
from callmatrix.core.flow import Flow, RouteNode, SayNode
from callmatrix.live.app import App
from callmatrix.store import catalog, flows
from callmatrix.store.audit import By
from conftest import Client
from placed import place

GREETING = Flow(start="hello", nodes={"hello": SayNode(text="Hello.", next="buyers"), "buyers": RouteNode()})


async def callers_hear(app: App, flow: Flow) -> None:
    """A published flow that the campaign names."""
    by = By(who="usr_seed", at=app.world.now())
    async with app.db.transaction() as tx:
        document = FlowDocument(id=saved.FLOW, name="Greeting", draft=flow)
        await catalog.create(tx, make.ACCOUNT, document, by=by)
        await flows.publish(tx, make.ACCOUNT, saved.FLOW, by=by)
        campaign = (await catalog.get(tx, make.ACCOUNT, Campaign, make.CAMPAIGN)).document
        named = msgspec.structs.replace(campaign, flow_id=saved.FLOW)
        await catalog.change(tx, make.ACCOUNT, named, by=by)
    await app.catalog.refresh(make.ACCOUNT)
    await app.catalog.settle(make.ACCOUNT)


async def test_a_flow_says_where_its_nodes_are_drawn_and_callers_hear_the_same(admin: Client) -> None:
    given: dict[str, Any] = {
        "name": "Greeting",
        "draft": {"start": "buyers", "nodes": {"buyers": {"kind": "route"}}},
        "layout": {"buyers": {"x": -40, "y": 120}},
    }
    created = await admin.post("/api/flows", given)
    assert created["document"]["layout"] == {"buyers": {"x": -40, "y": 120}}
    too_far = given | {"layout": {"buyers": {"x": 2_000_000, "y": 0}}}
    refused = await admin.ask("PUT", f"/api/flows/{created['id']}", too_far, If_Match='"1"')
    assert (refused.status_code, refused.json()["problems"][0]["field"]) == (422, "layout[...].x")


async def test_a_flow_stands_by_its_version_its_campaigns_and_whether_the_draft_differs(
    app: App, admin: Client
) -> None:
    await callers_hear(app, GREETING)
    never = await admin.post(
        "/api/flows", {"name": "New", "draft": {"start": "end", "nodes": {"end": {"kind": "hangup"}}}}
    )
    standings = {one["flow_id"]: one for one in (await admin.get("/api/flow-standings"))["items"]}
    used = standings[saved.FLOW]
    assert (used["version"], used["changed"]) == (1, False)
    assert used["campaigns"] == [{"id": make.CAMPAIGN, "name": make.campaign().name}]
    assert standings[never["id"]] == {
        "flow_id": never["id"],
        "version": None,
        "published_at": None,
        "changed": True,
        "campaigns": [],
    }
    flow = await admin.get(f"/api/flows/{saved.FLOW}")
    flow["document"]["draft"]["nodes"]["hello"]["text"] = "Good day."
    await admin.ask("PUT", f"/api/flows/{saved.FLOW}", flow["document"], If_Match=f'"{flow["revision"]}"')
    again = {one["flow_id"]: one for one in (await admin.get("/api/flow-standings"))["items"]}
    assert again[saved.FLOW] == used | {"changed": True}


async def test_the_ways_of_callers_are_counted_once_each_in_the_days_asked_for(
    app: App, admin: Client
) -> None:
    await place(app, "call_before", minutes_ago=90)
    await callers_hear(app, GREETING)
    await place(app, "call_1", minutes_ago=60)
    await place(app, "call_2", minutes_ago=30, caller="+12125550100")
    await place(app, "call_old", minutes_ago=3 * 24 * 60, caller="+12125550101")
    answer = await admin.get(f"/api/flows/{saved.FLOW}/use?days=1")
    assert (answer["counted"], answer["edges"]) == (
        2,
        [
            {"node": "buyers", "exit": "route", "callers": 2},
            {"node": "hello", "exit": "next", "callers": 2},
        ],
    )
    assert (await admin.get(f"/api/flows/{saved.FLOW}/use?days=7"))["counted"] == 3
    assert (await admin.ask("GET", "/api/flows/flw_none/use")).status_code == 404


async def test_a_flow_that_is_being_edited_is_told_its_problems_node_by_node(admin: Client) -> None:
    nodes = {"hello": {"kind": "say", "text": "", "next": "buyers"}, "buyers": {"kind": "route"}}
    told = await admin.post("/api/flow-checks", {"start": "hello", "nodes": nodes})
    assert told == {
        "saveable": False,
        "publishable": False,
        "problems": [
            {
                "node": "hello",
                "field": "text",
                "code": "invalid",
                "problem": "Expected `str` of length >= 1",
                "remedy": "Send a value of the documented type",
            }
        ],
    }
    nodes["hello"] = {"kind": "say", "text": "Hello.", "next": "nowhere"}
    told = await admin.post("/api/flow-checks", {"start": "hello", "nodes": nodes})
    assert (told["saveable"], told["publishable"]) == (True, False)
    assert next((one["node"], one["code"]) for one in told["problems"]) == ("hello", "unknown_next")
    nodes["hello"]["next"] = "buyers"
    told = await admin.post("/api/flow-checks", {"start": "hello", "nodes": nodes})
    assert told == {"saveable": True, "publishable": True, "problems": []}
