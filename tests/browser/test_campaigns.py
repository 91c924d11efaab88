"""What operators do with campaigns, buyers and offers, and that none of those pages has a barrier."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from ringing import Ringing
from test_pages import barriers

import make
from callmatrix.live.app import App
from conftest import NARROW, SHOTS, WIDE, OpenPage, Site
from placed import place

PAGES = {
    "campaigns": ("/campaigns", "1 campaign"),
    "campaign": ("/campaigns/cmp_1", "Recent calls"),
    "campaign-routing": ("/campaigns/cmp_1?tab=routing", "Edit the routing plan"),
    "campaign-numbers": ("/campaigns/cmp_1?tab=numbers", "Numbers that lead here"),
    "campaign-caps": ("/campaigns/cmp_1?tab=caps", "Used now"),
    "campaign-publishers": ("/campaigns/cmp_1?tab=publishers", "Terms of this campaign"),
    "campaign-auction": ("/campaigns/cmp_1?tab=auction", "How auctions are held"),
    "campaign-settings": ("/campaigns/cmp_1?tab=settings", "Vertical and geography"),
    "campaign-try": ("/campaigns/cmp_1?tab=try", "Place a simulated call"),
    "campaign-history": ("/campaigns/cmp_1?tab=history", "Scheduled changes"),
    "new-campaign": ("/campaigns/new", "Vertical and geography"),
    "buyers": ("/buyers", "2 buyers"),
    "buyer": ("/buyers/buy_1", "Available for more calls"),
    "buyer-terms": ("/buyers/buy_1?tab=terms", "Credit limit"),
    "buyer-why": ("/buyers/buy_1?tab=why", "Why not more: Offer 1"),
    "offers": ("/offers", "2 offers"),
    "offer": ("/offers/off_1", "Recent calls"),
    "offer-terms": ("/offers/off_1?tab=terms", "What is paid"),
    "offer-caps": ("/offers/off_1?tab=caps", "Open at any time"),
    "offer-bidder": ("/offers/off_1?tab=bidder", "This buyer is not asked for bids"),
    "publishers": ("/publishers", "1 publisher"),
    "publisher": ("/publishers/pub_1", "Terms and balance"),
    "numbers": ("/numbers", "1 number"),
    "number": ("/numbers/num_1", "Where its callers go"),
    "unknown-calls": ("/numbers?tab=unknown", "No unknown calls"),
    "connections": ("/numbers?tab=connections", "1 connection"),
    "connection": ("/connections/con_1", "Set-up, step by step"),
    "money": ("/money", "balances"),
    "ledger": ("/money?tab=ledger", "transactions"),
    "statements": ("/money?tab=statements", "No statement is closed yet"),
    "reconcile": ("/money?tab=reconcile", "Their list"),
    "settings": ("/settings", "Test phones"),
    "blocks": ("/settings?tab=blocks", "Nobody is refused"),
    "audit": ("/settings?tab=audit", "acts"),
    "auctions": ("/settings?tab=auctions", "No auction yet"),
    "endpoints": ("/settings?tab=endpoints", "No RTB endpoint"),
    "leads": ("/settings?tab=leads", "No leads yet"),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
async def test_a_page_of_the_network_has_no_barrier(
    name: str, scheme: str, app: App, open_page: OpenPage
) -> None:
    await place(app, "call_1")
    path, text = PAGES[name]
    page = await open_page(path, color_scheme=scheme)
    for width in (WIDE, NARROW):
        await page.set_viewport_size(width)  # type: ignore[arg-type]
        await expect(page.get_by_text(text).first).to_be_visible()
        found = await barriers(page)
        if SHOTS is not None:
            await page.screenshot(path=Path(SHOTS) / f"{name}-{scheme}-{width['width']}.png", full_page=True)
        assert found == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= width["width"]


async def test_a_campaign_is_made_from_nothing_tried_and_goes_live(open_page: OpenPage) -> None:
    page = await open_page("/campaigns")
    await page.get_by_role("button", name="New campaign").first.click()
    await page.get_by_label("Name").fill("Roofing Texas")
    await page.get_by_label("Vertical", exact=True).fill("home services")
    await next_step(page, "Numbers")
    await next_step(page, "Flow")
    await next_step(page, "Offers")
    await page.get_by_label("Offer 2").check()
    await next_step(page, "Strategy")
    await next_step(page, "Caps and hours")
    await next_step(page, "Goals")
    await page.get_by_label("Calls a day").fill("40")
    await next_step(page, "Review")
    await page.get_by_role("button", name="Make the campaign").click()
    await expect(page.get_by_role("heading", name="Roofing Texas")).to_be_visible()
    await page.get_by_role("button", name="Place a simulated call").click()
    await expect(page.get_by_role("heading", name="Offer 2 of Buyer 2 would get it")).to_be_visible()
    await page.get_by_role("button", name="Go live").click()
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await page.get_by_role("tab", name="History").click()
    await page.get_by_role("button", name="What changed").first.click()
    await expect(page.get_by_text("Status")).to_be_visible()


async def test_the_next_call_skips_a_buyer_who_was_paused_and_its_trace_says_so(
    app: App, open_page: OpenPage
) -> None:
    page = await open_page("/buyers/buy_1")
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_text("Buyer 1 is paused.")).to_be_visible()
    await app.catalog.current(make.ACCOUNT, make.CAMPAIGN)
    call = Ringing(app, "call_next")
    await call.arrive()
    await call.answer()
    await call.hang_up()
    await page.goto(re.sub(r"/buyers/.*", "/calls/call_next", page.url))
    decision = page.get_by_role("region", name="Offers of this decision")
    await expect(decision.get_by_role("row", name=re.compile("Offer 2"))).to_contain_text("Taken")
    await expect(decision.get_by_role("row", name=re.compile("Offer 1"))).to_contain_text("Paused")


async def test_who_saves_second_is_told_what_changed_and_keeps_their_own(
    open_page: OpenPage, site: Site
) -> None:
    site.expected = (*site.expected, "status of 409")
    mine = await open_page("/offers/off_1?tab=terms")
    await mine.get_by_label("Whisper to the buyer").fill("A call for you")
    theirs = await open_page("/offers/off_1?tab=terms")
    await theirs.get_by_label("Name").fill("Offer one")
    await theirs.get_by_role("button", name="Save", exact=True).click()
    await expect(theirs.get_by_role("heading", name="Offer one", exact=True)).to_be_visible()
    await mine.get_by_role("button", name="Save", exact=True).click()
    await expect(mine.get_by_text("Somebody else changed this meanwhile")).to_be_visible()
    await expect(mine.get_by_text("Offer one").first).to_be_visible()
    await mine.get_by_role("button", name="Save mine on top of theirs").click()
    await expect(mine.get_by_role("heading", name="Offer one", exact=True)).to_be_visible()
    await expect(mine.get_by_label("Whisper to the buyer")).to_have_value("A call for you")


async def next_step(page: Page, heading: str) -> None:
    """On to the wizard's next step."""
    await page.get_by_role("button", name="Next").click()
    await expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
