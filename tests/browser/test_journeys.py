"""What people do in the console, from their first sign-in to a server that goes away and comes back."""

import re

from playwright.async_api import Page, expect
from ringing import Ringing

import make
from callmatrix.api.people import offer_first_sign_in
from callmatrix.core.ids import UserId
from callmatrix.live.app import App
from conftest import NARROW, OpenPage, Site, away
from placed import place

TOKEN = "the-token-of-a-one-time-link"
PASSWORD = "a long enough password"
CALLER = "(415) 555-0100"


async def test_the_first_person_signs_in_by_the_link_out_and_in_again_by_password(
    app: App, site: Site, open_page: OpenPage
) -> None:
    async with app.db.transaction() as tx:
        now = app.world.now()
        await offer_first_sign_in(tx, make.ACCOUNT, token=TOKEN, user_id=UserId("usr_first"), now=now)
    page = await open_page(f"/first-sign-in?token={TOKEN}", role=None)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await expect(page.get_by_text("Long enough")).to_be_visible()
    await page.get_by_role("button", name="Choose it and sign in").click()
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert TOKEN not in page.url
    await page.get_by_role("button", name=make.account().name).click()
    await page.get_by_role("menuitem", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.goto(f"{site.url}/calls?status=live")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.get_by_label("E-mail").fill("admin@localhost")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Calls")).to_be_visible()
    assert page.url.endswith("/calls?status=live")


async def test_a_call_is_watched_while_it_happens_and_its_trace_says_why_it_went_where_it_went(
    app: App, open_page: OpenPage
) -> None:
    page = await open_page("/")
    await expect(page.get_by_text("Nobody is calling just now")).to_be_visible()
    call = Ringing(app, "call_live")
    await call.arrive()
    air = page.get_by_role("region", name="In the air")
    line = air.get_by_role("link", name=re.compile(re.escape(CALLER)))
    await expect(line).to_contain_text("Ringing")
    await call.answer()
    await expect(line).to_contain_text("Talking")
    await call.hang_up()
    await expect(page.get_by_test_id("tile-converted")).to_contain_text("1")
    await expect(page.get_by_test_id("tile-revenue")).to_contain_text("$29.00")
    await expect(page.get_by_text("Nobody is calling just now")).to_be_visible()
    await page.keyboard.press("g")
    await page.keyboard.press("c")
    await expect(page.get_by_role("heading", name="Calls")).to_be_visible()
    await page.get_by_role("row", name=re.compile("Converted")).get_by_role("link").click()
    await expect(page.get_by_role("heading", name=CALLER)).to_be_visible()
    decision = page.get_by_role("region", name="Offers of this decision")
    taken = decision.get_by_role("row", name=re.compile("Offer 1"))
    await expect(taken).to_contain_text("Taken")
    await expect(decision.get_by_role("row", name=re.compile("Offer 2"))).to_contain_text(
        "Eligible, but ranked behind"
    )
    await expect(page.get_by_text("Its events lead to the same call")).to_be_visible()


async def test_a_server_that_goes_away_is_told_and_what_happened_meanwhile_is_there_when_it_is_back(
    app: App, site: Site, open_page: OpenPage
) -> None:
    page = await open_page("/calls")
    await expect(page.get_by_text("No calls yet")).to_be_visible()
    first = Ringing(app, "call_first")
    await first.arrive(caller="+12125550101")
    await expect(row(page, "(212) 555-0101")).to_contain_text("Ringing")
    async with away(site):
        await expect(page.get_by_text("Reconnecting…")).to_be_visible()
        await first.answer()
        await first.hang_up()
        second = Ringing(app, "call_second")
        await second.arrive(caller="+12125550102")
    await expect(page.get_by_text("Reconnecting…")).not_to_be_visible()
    await expect(row(page, "(212) 555-0101")).to_contain_text("Converted")
    await expect(row(page, "(212) 555-0102")).to_contain_text("Ringing")
    await expect(page.get_by_text("2 calls")).to_be_visible()


async def test_filters_are_in_the_address_and_a_view_keeps_them_under_a_name(
    app: App, site: Site, open_page: OpenPage
) -> None:
    await place(app, "call_1", caller="+12125550101")
    await place(app, "call_2", caller="+12125550102", talked_s=10)
    page = await open_page("/calls")
    await expect(page.get_by_text("2 calls")).to_be_visible()
    await page.get_by_role("combobox", name="State").click()
    await page.get_by_role("option", name="Converted", exact=True).click()
    await expect(page).to_have_url(re.compile(r"/calls\?status=converted$"))
    await expect(page.get_by_text("1 call", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Views").click()
    await page.get_by_label("Name of the view").fill("Good ones")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("button", name="Clear").click()
    await expect(page.get_by_text("2 calls")).to_be_visible()
    await page.reload()
    await page.get_by_role("button", name="Views").click()
    await page.get_by_role("button", name="Good ones", exact=True).click()
    await expect(row(page, "(212) 555-0101")).to_be_visible()
    await expect(row(page, "(212) 555-0102")).not_to_be_visible()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Export as CSV").click()
    text = (await (await download.value).path()).read_text()
    assert [line.partition(",")[0] for line in text.splitlines()] == ["id", "call_1"]


async def test_a_call_is_adjusted_with_its_problem_shown_at_the_field(
    app: App, site: Site, open_page: OpenPage
) -> None:
    site.expected = ("status of 422",)
    await place(app, "call_1")
    page = await open_page("/calls/call_1")
    await page.get_by_role("button", name="Adjust").click()
    await page.get_by_label("Credit to the buyer").fill("500")
    await page.get_by_label("Reason").fill("The caller dialled a wrong number")
    await page.get_by_role("button", name="Book the correction").click()
    await expect(page.get_by_text("Only 29.00 is left")).to_be_visible()
    await page.get_by_role("button", name="Whole credit").click()
    await page.get_by_role("button", name="Book the correction").click()
    await expect(page.get_by_text("The correction is booked")).to_be_visible()
    await expect(page.get_by_role("region", name="Money")).to_contain_text("Credit $29.00")


async def test_everything_is_stopped_only_by_who_types_so_and_can_be_resumed(
    app: App, open_page: OpenPage
) -> None:
    page = await open_page("/")
    campaigns = page.get_by_role("region", name="Campaigns").first
    await expect(campaigns).to_contain_text("Live")
    await page.get_by_role("button", name="Stop everything").click()
    dialog = page.get_by_role("dialog", name="Stop everything?")
    await expect(dialog.get_by_role("button", name="Stop everything")).to_be_disabled()
    await dialog.get_by_label("Type “stop” to go on").fill("stop")
    await dialog.get_by_role("button", name="Stop everything").click()
    await expect(campaigns).to_contain_text("Paused")
    await page.get_by_role("button", name="Undo").click()
    await expect(campaigns).to_contain_text("Live")


async def test_somebody_is_invited_and_a_key_is_made_and_revoked(app: App, open_page: OpenPage) -> None:
    page = await open_page("/people")
    await page.get_by_role("button", name="Invite somebody").click()
    await page.get_by_label("Name", exact=True).fill("Ann Alyst")
    await page.get_by_label("E-mail").fill("not an address at all@")
    await page.get_by_label("E-mail").fill("ann@example.com")
    await page.get_by_role("button", name="Invite", exact=True).click()
    await expect(page.get_by_label("One-time link")).to_have_value(re.compile("/first-sign-in"))
    await page.get_by_role("button", name="Done").click()
    await expect(row(page, "Ann Alyst")).to_contain_text("Invited")
    await page.keyboard.press("Control+k")
    await page.get_by_role("combobox", name="Find a command").fill("keys")
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="New key").first.click()
    await page.get_by_label("Name", exact=True).fill("Nightly export")
    await page.get_by_role("button", name="Make the key").click()
    await expect(page.get_by_label("Secret")).to_have_value(re.compile("^cmk_"))
    await page.get_by_role("button", name="Done").click()
    await page.get_by_role("button", name="Revoke Nightly export").click()
    await page.get_by_role("button", name="Revoke", exact=True).click()
    await expect(row(page, "Nightly export")).to_contain_text("Revoked")


async def test_a_buyers_person_is_shown_what_is_theirs_and_nothing_else(
    app: App, open_page: OpenPage
) -> None:
    await place(app, "call_1")
    page = await open_page("/", role="buyer")
    await expect(page.get_by_test_id("tile-revenue")).to_contain_text("Spent")
    await expect(page.get_by_text("Profit")).to_have_count(0)
    await expect(page.get_by_role("button", name="Stop everything")).to_have_count(0)
    await expect(page.get_by_role("link", name="People")).to_have_count(0)
    await page.get_by_role("link", name="Calls", exact=True).click()
    await expect(page.get_by_role("columnheader", name="Payout")).to_have_count(0)
    await expect(page.get_by_role("row", name=re.compile("Converted"))).to_contain_text("$29.00")


async def test_on_a_phone_the_menu_opens_and_leads_on(app: App, open_page: OpenPage) -> None:
    await place(app, "call_1")
    page = await open_page("/", viewport=NARROW)
    await expect(page.get_by_role("link", name="Calls", exact=True)).not_to_be_visible()
    await page.get_by_role("button", name="Menu").click()
    await page.get_by_role("link", name="Calls", exact=True).click()
    await expect(page.get_by_role("heading", name="Calls")).to_be_visible()
    await expect(page.get_by_role("link", name="People")).not_to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def row(page: Page, text: str):  # type: ignore[no-untyped-def]
    """The row of a table that has a text."""
    return page.get_by_role("row").filter(has_text=text)
