"""Every page of the console: no barrier by WCAG 2.2 A and AA in light and dark, wide and narrow, and small
enough to load."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

import make
from callmatrix.api.console import STATIC
from callmatrix.live.app import App
from conftest import NARROW, SHOTS, WIDE, OpenPage
from placed import place

AXE = Path(__file__).parents[2] / "console" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
MAX_FIRST_LOAD_BYTES = 200_000
MANY_CALLS = 2_000
MAX_ROWS = 60

# A path, and a text that is there when the page is.
PAGES = {
    "sign-in": ("/sign-in", "Welcome back"),
    "first-sign-in": ("/first-sign-in?token=abc", "This link works once"),
    "overview": ("/", "Campaign 1"),
    "calls": ("/calls", "2 calls"),
    "calls-none": ("/calls?status=review", "No call is like that"),
    "call": ("/calls/call_1", "What happened"),
    "people": ("/people", "admin@example.com"),
    "keys": ("/keys", "No keys yet"),
    "me": ("/me", "Where you are signed in"),
    "nothing": ("/nothing/here", "There is no such page"),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
async def test_a_page_has_no_barrier(name: str, scheme: str, app: App, open_page: OpenPage) -> None:
    await place(app, "call_1", tags={"utm_source": "bing"})
    await place(app, "call_2", talked_s=10, first_busy=True, caller="+12125550101")
    path, text = PAGES[name]
    role = None if "sign-in" in name else "admin"
    page = await open_page(path, role=role, color_scheme=scheme)
    for width in (WIDE, NARROW):
        await page.set_viewport_size(width)  # type: ignore[arg-type]
        await expect(page.get_by_text(text).first).to_be_visible()
        assert await barriers(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= width["width"]
        if SHOTS is not None:
            await page.screenshot(path=Path(SHOTS) / f"{name}-{scheme}-{width['width']}.png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_what_opens_above_a_page_has_no_barrier(scheme: str, app: App, open_page: OpenPage) -> None:
    await place(app, "call_1")
    page = await open_page("/calls/call_1", color_scheme=scheme)
    await page.get_by_role("button", name="Adjust").click()
    await expect(page.get_by_role("dialog", name="Adjust this call")).to_be_visible()
    assert await barriers(page) == []
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("option").first).to_be_visible()
    assert await barriers(page) == []
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    assert await barriers(page) == []
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name=make.account().name).click()
    await expect(page.get_by_role("menuitem", name="Sign out")).to_be_visible()
    assert await barriers(page) == []


@pytest.mark.parametrize("button", ["Any time", "Views", "Choose columns"])
async def test_what_opens_above_the_calls_has_no_barrier(button: str, app: App, open_page: OpenPage) -> None:
    await place(app, "call_1")
    page = await open_page("/calls")
    await page.get_by_role("button", name=button).click()
    await page.get_by_role("combobox", name="Campaign").wait_for()
    assert await barriers(page) == []


async def test_the_first_page_loads_less_than_its_budget_of_scripts(app: App, open_page: OpenPage) -> None:
    page = await open_page("/")
    loaded: set[str] = set()
    page.on("request", lambda request: loaded.add(request.url))
    await page.reload()
    await expect(page.get_by_text("Campaign 1").first).to_be_visible()
    size = squeezed(loaded)
    assert 100_000 < size < MAX_FIRST_LOAD_BYTES


async def test_a_long_list_of_calls_keeps_few_rows_in_the_document(app: App, open_page: OpenPage) -> None:
    async with app.db.transaction() as tx:
        await tx.execute(
            "insert into call (account_id, id, version, state, test, campaign_id, plan_version,"
            " connection_id, carrier_ref, dialed, caller, arrived_at, bridged_ms, revenue_micros,"
            " payout_micros, cost_micros, blocked, end_reason, review, disposition, tags, closed, saved_at,"
            " document)"
            " select $1, 'call_' || n, 1, 'ended', false, $2, 1, null, 'ref-' || n, '+18885550101',"
            " '+12125550100', $3::timestamptz - make_interval(secs => n), 0, 0, 0, 0, '', '', '', '', '{}',"
            " true, $3, '' from generate_series(1, $4::int) n",
            make.ACCOUNT,
            make.CAMPAIGN,
            app.world.now(),
            MANY_CALLS,
        )
    page = await open_page("/calls")
    await expect(page.get_by_text("200+ calls")).to_be_visible()
    table = page.get_by_role("region", name="Calls")
    for _ in range(MANY_CALLS):
        await table.evaluate("(one) => { one.scrollTop = one.scrollHeight }")
        assert await page.get_by_role("row").count() < MAX_ROWS
        if await page.get_by_text(f"{MANY_CALLS:,} calls").count():
            break
    await expect(page.get_by_text(f"{MANY_CALLS:,} calls")).to_be_visible()


def squeezed(urls: set[str]) -> int:
    """The bytes of these scripts as they are sent. The map's shapes are drawn when the page is there; they
    are no part of the first load."""
    loaded = [url.partition("/assets/")[2] for url in urls if "/assets/" in url]
    scripts = [name for name in loaded if name.endswith(".js") and not name.startswith("states-albers")]
    return sum((STATIC / "assets" / f"{name}.gz").stat().st_size for name in scripts)


async def barriers(page: Page) -> list[str]:
    """What axe finds, in words."""
    await page.evaluate(AXE.read_text())
    # Colours are compared when nothing moves any more.
    await page.evaluate(
        "Promise.all(document.getAnimations().filter((one) => one.effect?.getComputedTiming()"
        ".iterations !== Infinity).map((one) => one.finished.catch(() => null)))"
    )
    found = await page.evaluate("(tags) => axe.run(document, { runOnly: tags })", RULES)
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
