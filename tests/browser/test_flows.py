"""Flows and routing plans in the console: built with the mouse and with the keyboard, published, broken and
restored; no barrier in light and dark."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.async_api import Locator, Page, expect
from test_pages import barriers

import make
import saved
from callmatrix.core.campaign import Campaign, FlowDocument
from callmatrix.core.documents import from_plain
from callmatrix.core.flow import Flow, HangupNode, RouteNode, SayNode, problems
from callmatrix.live.app import App
from callmatrix.store import catalog, flows
from callmatrix.store.audit import By
from conftest import NARROW, SHOTS, WIDE, OpenPage, Site

TEMPLATES = Path(__file__).parents[2] / "console" / "src" / "features" / "flows" / "templates"
DRAFT = Flow(
    start="hello",
    nodes={
        "hello": SayNode(text="Hello.", next="buyers"),
        "buyers": RouteNode(),
    },
)
SAVED = "Draft saved"


async def save_flow(app: App, draft: Flow = DRAFT) -> None:
    by = By(who="usr_seed", at=app.world.now())
    async with app.db.transaction() as tx:
        document = FlowDocument(id=saved.FLOW, name="Intake", draft=draft)
        await catalog.create(tx, make.ACCOUNT, document, by=by)
        await flows.publish(tx, make.ACCOUNT, saved.FLOW, by=by)


async def draft_of(app: App, flow_id: str) -> Flow:
    async with app.db.transaction() as tx:
        return (await catalog.get(tx, make.ACCOUNT, FlowDocument, flow_id)).document.draft


def node(page: Page, name: str) -> Locator:
    return page.locator(f'.react-flow__node[data-id="{name}"]')


async def draw(page: Page, name: str, exit_: str, to: str) -> None:
    """Connect with the mouse: from an exit's handle to the handle of another node."""
    start = node(page, name).locator(f'.react-flow__handle[data-handleid="{exit_}"]')
    end = node(page, to).locator(".react-flow__handle-left")
    await start.hover()
    await page.mouse.down()
    there = await end.bounding_box()
    assert there is not None
    middle = (there["x"] + there["width"] / 2, there["y"] + there["height"] / 2)
    await page.mouse.move(*middle, steps=8)
    await page.mouse.up()


async def new_flow(page: Page, name: str) -> str:
    """A flow from nothing, and its id."""
    await page.get_by_role("button", name="New flow").first.click()
    await page.get_by_role("textbox", name="Name").fill(name)
    await page.get_by_role("button", name="Create").click()
    await expect(page.get_by_role("heading", name=name)).to_be_visible()
    await expect(node(page, "greeting")).to_be_visible()
    return page.url.rpartition("/")[2]


async def publish(page: Page, button: str = "Publish") -> None:
    await page.get_by_role("button", name="Publish", exact=True).click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name=button).click()
    await expect(page.get_by_role("status").get_by_text(re.compile("is published"))).to_be_visible()
    await expect(dialog).to_have_count(0)


@pytest.mark.parametrize("name", ["auto", "legal", "medicare", "plumbing"])
def test_a_template_may_be_published_as_it_is(name: str) -> None:
    plain: Any = msgspec.json.decode((TEMPLATES / f"{name}.json").read_bytes())
    assert problems(from_plain(plain, Flow)) == ()


async def test_a_flow_of_eight_nodes_is_built_with_the_mouse_published_broken_and_restored(
    app: App, open_page: OpenPage
) -> None:
    page = await open_page("/flows")
    await expect(page.get_by_text("No flows yet")).to_be_visible()
    flow_id = await new_flow(page, "By mouse")
    palette = page.get_by_role("group", name="Add a node")
    canvas = page.get_by_role("region", name="Canvas of the flow")
    dropped = {
        "menu": ("Menu", 330, 330),
        "collect": ("Collect", 560, 90),
        "hours": ("Hours", 560, 420),
        "set": ("Set", 90, 500),
        "voicemail": ("Voicemail", 330, 640),
        "hangup": ("Hang up", 90, 330),
    }
    for name, (label, x, y) in dropped.items():
        await palette.get_by_role("button", name=label, exact=True).drag_to(
            canvas, target_position={"x": x, "y": y}
        )
        await expect(node(page, name)).to_be_visible()
        await page.get_by_role("button", name="Close the panel").click()
    await page.get_by_role("button", name="Tidy").click()
    await page.locator(".react-flow__controls-fitview").click()
    for start, exit_, end in (
        ("greeting", "next", "menu"),
        ("menu", "branches.1", "collect"),
        ("menu", "branches.2", "hours"),
        ("menu", "no_input", "hangup"),
        ("collect", "next", "set"),
        ("collect", "failed", "set"),
        ("set", "next", "buyers"),
        ("hours", "open", "buyers"),
        ("hours", "closed", "voicemail"),
    ):
        await draw(page, start, exit_, end)
        await expect(page.locator(f'.react-flow__edge[data-id="{start}|{exit_}"]')).to_have_count(1)
    await expect(page.get_by_text(SAVED)).to_be_visible()
    await expect(page.get_by_role("button", name=re.compile("problem"))).to_have_count(0)
    built = await draft_of(app, flow_id)
    assert (len(built.nodes), problems(built)) == (8, ())
    await publish(page)

    await node(page, "set").click()
    await page.keyboard.press("Delete")
    await expect(node(page, "set")).to_have_count(0)
    await expect(page.get_by_role("button", name=re.compile("problems"))).to_be_visible()
    await expect(page.get_by_role("button", name="Publish", exact=True)).to_be_disabled()
    await node(page, "collect").click()
    wrong = page.get_by_role("list", name="What is wrong with this node")
    await expect(wrong).to_contain_text("Its exit next leads to 'nowhere', which is not there")
    await expect(node(page, "collect").get_by_title("to mend")).to_be_visible()
    await expect(page.get_by_text(SAVED)).to_be_visible()

    await page.get_by_role("button", name="Version 1").click()
    await page.get_by_role("button", name="Restore").click()
    await expect(page.get_by_text("Version 1 is the draft again")).to_be_visible()
    await expect(node(page, "set")).to_be_visible()
    await expect(page.get_by_role("button", name=re.compile("problem"))).to_have_count(0)
    assert await draft_of(app, flow_id) == built


async def test_a_flow_of_eight_nodes_is_built_with_the_keyboard_alone_and_a_change_is_undone(
    app: App, open_page: OpenPage
) -> None:
    page = await open_page("/flows")
    await expect(page.get_by_text("No flows yet")).to_be_visible()
    await page.keyboard.press("n")
    await expect(page.get_by_role("textbox", name="Name")).to_be_focused()
    await page.keyboard.type("By keys")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="By keys")).to_be_visible()
    flow_id = page.url.rpartition("/")[2]
    await expect(node(page, "greeting")).to_be_visible()
    # Each node that is added is chosen, and the next one follows its first open exit.
    for label, name in (
        ("Menu", "menu"),
        ("Collect", "collect"),
        ("Set", "set"),
        ("Hours", "hours"),
        ("Voicemail", "voicemail"),
        ("Hang up", "hangup"),
    ):
        await (
            page.get_by_role("group", name="Add a node").get_by_role("button", name=label, exact=True).focus()
        )
        await page.keyboard.press("Enter")
        await expect(node(page, name)).to_be_visible()
    await expect(page.get_by_role("button", name=re.compile("problem"))).to_be_visible()
    for name, ways in (
        ("greeting", {"Then": "menu"}),
        ("menu", {"Key 2": "hours", "No key": "hangup"}),
        ("collect", {"Failed": "set"}),
        ("set", {"Then": "buyers"}),
        ("hours", {"Open": "buyers", "Closed": "voicemail"}),
    ):
        await node(page, name).focus()
        await page.keyboard.press("Enter")
        panel = page.get_by_role("complementary", name=f"Node {name}")
        await expect(panel.locator("input, textarea").first).to_be_focused()
        for way, to in ways.items():
            select = panel.get_by_role("combobox", name=way, exact=True)
            await select.focus()
            await page.keyboard.type(to)
            await expect(select).to_have_value(to)
    await expect(page.get_by_text(SAVED)).to_be_visible()
    await expect(page.get_by_role("button", name=re.compile("problem"))).to_have_count(0)
    built = await draft_of(app, flow_id)
    assert (len(built.nodes), problems(built)) == (8, ())

    await node(page, "hangup").focus()
    await page.keyboard.press("Enter")
    await node(page, "hangup").focus()
    before = await node(page, "hangup").bounding_box()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_text("Saving…").or_(page.get_by_text(SAVED))).to_be_visible()
    after = await node(page, "hangup").bounding_box()
    assert before is not None
    assert after is not None
    assert after["y"] > before["y"]
    await page.keyboard.press("Delete")
    await expect(node(page, "hangup")).to_have_count(0)
    await page.keyboard.press("Control+z")
    await expect(node(page, "hangup")).to_be_visible()
    await page.keyboard.press("Control+a")
    await page.keyboard.press("Control+c")
    await page.keyboard.press("Control+v")
    await expect(page.locator(".react-flow__node")).to_have_count(16)
    await page.keyboard.press("Control+z")
    await expect(page.locator(".react-flow__node")).to_have_count(8)
    await expect(page.get_by_text(SAVED)).to_be_visible()
    await publish(page)


async def test_a_flow_is_tried_on_a_keypad_and_the_way_lights_up(app: App, open_page: OpenPage) -> None:
    await save_flow(app, saved.flow())
    page = await open_page(f"/flows/{saved.FLOW}")
    await page.get_by_role("button", name="Try it").click()
    await page.get_by_role("button", name="Call", exact=True).click()
    heard = page.get_by_role("log", name="What the caller hears")
    await expect(heard).to_contain_text("Your ZIP code, please.")
    for key in "94105":
        await page.get_by_role("group", name="Keypad").get_by_role("button", name=key, exact=True).click()
    await expect(heard).to_contain_text("The routing plan takes over")
    await expect(page.get_by_text("Captured: zip = 94105")).to_be_visible()
    await expect(node(page, "route").locator("[data-here]")).to_be_visible()
    await expect(node(page, "bye").locator("[data-lit]")).to_have_count(0)


async def test_what_somebody_else_saved_meanwhile_is_told_and_either_can_be_kept(
    app: App, site: Site, open_page: OpenPage
) -> None:
    site.expected += ("409 (Conflict)",)
    await save_flow(app)
    page = await open_page(f"/flows/{saved.FLOW}")
    await node(page, "hello").click()
    async with app.db.transaction() as tx:
        theirs = FlowDocument(
            id=saved.FLOW, name="Intake", draft=Flow(start="end", nodes={"end": HangupNode()})
        )
        await catalog.change(tx, make.ACCOUNT, theirs, by=By(who="usr_2", at=app.world.now()))
    page_text = page.get_by_role("textbox", name="The caller hears")
    await page_text.fill("Mine.")
    conflict = page.get_by_role("alert").filter(has_text="Somebody else changed this flow meanwhile")
    await expect(conflict).to_be_visible()
    await conflict.get_by_role("button", name="Take theirs").click()
    await expect(node(page, "end")).to_be_visible()
    await expect(conflict).to_have_count(0)
    await page.get_by_role("button", name="Undo").click()
    await expect(node(page, "hello")).to_contain_text("Mine.")
    await expect(page.get_by_text(SAVED)).to_be_visible()
    kept = (await draft_of(app, saved.FLOW)).nodes["hello"]
    assert kept == SayNode(text="Mine.", next="buyers")


async def test_a_text_that_may_not_be_empty_is_told_at_its_field_and_saved_when_it_is_mended(
    app: App, open_page: OpenPage
) -> None:
    await save_flow(app)
    page = await open_page(f"/flows/{saved.FLOW}")
    await node(page, "hello").click()
    text = page.get_by_role("textbox", name="The caller hears")
    await text.fill("")
    await expect(page.get_by_text("Not saved: mend the marked nodes")).to_be_visible()
    await expect(text).to_have_attribute("aria-invalid", "true")
    await text.fill("Good day.")
    await expect(page.get_by_text(SAVED)).to_be_visible()
    await publish(page)
    assert (await draft_of(app, saved.FLOW)).nodes["hello"] == SayNode(text="Good day.", next="buyers")


async def test_a_plan_is_changed_by_keyboard_and_the_preview_asks_the_engine(
    app: App, open_page: OpenPage
) -> None:
    page = await open_page(f"/campaigns/{make.CAMPAIGN}/plan")
    answer = page.get_by_role("complementary", name="Preview").get_by_role("status").first
    await expect(answer).to_contain_text("Offer 1 of Buyer 1 would get it")
    await page.get_by_role("button", name="Move Offer 1 down a tier").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("region", name="Tier 2")).to_contain_text("Offer 1")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(answer).to_contain_text("Offer 2 of Buyer 2 would get it")
    await page.get_by_role("button", name="Terms of Offer 2").click()
    await page.get_by_role("button", name="Condition").click()
    await page.get_by_role("combobox", name="Values").fill("NV")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("The caller's state is NV.", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(answer).to_contain_text("Offer 1 of Buyer 1 would get it")
    refused = page.get_by_role("list", name="Offers, taken and refused").get_by_role("listitem")
    await expect(refused.filter(has_text="Offer 2")).to_contain_text("state")
    async with app.db.transaction() as tx:
        kept = (await catalog.get(tx, make.ACCOUNT, Campaign, make.CAMPAIGN)).document.plan
    assert [entry.priority for entry in kept.entries] == [2, 1]


async def test_an_offer_is_dragged_into_another_tier_and_a_bad_plan_is_told_at_its_offer(
    site: Site, open_page: OpenPage
) -> None:
    site.expected += ("422 (Unprocessable",)
    page = await open_page(f"/campaigns/{make.CAMPAIGN}/plan")
    await page.get_by_role("button", name="Move Offer 2 down a tier").click()
    second = page.get_by_role("region", name="Tier 2")
    await expect(second).to_contain_text("Offer 2")
    await page.get_by_title("Drag Offer 1 to another tier").drag_to(second)
    await expect(page.get_by_role("region", name="Tier 2")).to_have_count(0)
    await page.get_by_role("button", name="Terms of Offer 1").click()
    await page.get_by_role("button", name="Condition").click()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("alert").filter(has_text="Add a value").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["flows", "flow", "flow-node", "flow-try", "plan"])
async def test_flows_and_plans_have_no_barrier(name: str, scheme: str, app: App, open_page: OpenPage) -> None:
    await save_flow(app, saved.flow())
    path = {"flows": "/flows", "plan": f"/campaigns/{make.CAMPAIGN}/plan"}.get(name, f"/flows/{saved.FLOW}")
    page = await open_page(path, color_scheme=scheme)
    ready = {
        "flows": page.get_by_text("Intake").first,
        "plan": page.get_by_text("would get it").first,
    }.get(name, node(page, "zip"))
    await expect(ready).to_be_visible()
    if name == "flow-node":
        await node(page, "zip").click()
        await expect(page.get_by_role("complementary", name="Node zip")).to_be_visible()
    if name == "flow-try":
        await page.get_by_role("button", name="Try it").click()
        await page.get_by_role("button", name="Call", exact=True).click()
        await expect(page.get_by_text("Your ZIP code, please.").last).to_be_visible()
    if name == "plan":
        await page.get_by_role("button", name="Terms of Offer 1").click()
        await page.get_by_role("button", name="Condition").click()
    for width in (WIDE, NARROW):
        await page.set_viewport_size(width)  # type: ignore[arg-type]
        await expect(ready).to_be_visible()
        assert await barriers(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= width["width"]
        if SHOTS is not None:
            await page.screenshot(path=Path(SHOTS) / f"{name}-{scheme}-{width['width']}.png")
