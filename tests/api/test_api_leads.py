"""Forms over HTTP: sent, checked, sold, told by role, searched, given back."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

import make
from callmatrix.core.campaign import FormTerms
from callmatrix.core.documents import decode
from callmatrix.live.app import App
from callmatrix.store import blocks, catalog
from callmatrix.store.audit import By
from callmatrix.store.blocks import Block
from conftest import Client
from lead_buyers import PHONE, Buyers, buyers

FORMS = "cmp_forms"
MASKED = "+1415•••••42"


@pytest.fixture
async def sellers(app: App) -> AsyncIterator[Buyers]:
    """Two buyers who bid, and a campaign of their offers."""
    by = By(who="usr_seed", at=app.world.now())
    async with buyers(Buyers()) as opened:
        opened.bids = {1: "18.00", 2: "22.50"}
        offers = tuple(
            opened.offer(number, id=f"off_form_{number}", buyer_id=f"buy_{number}") for number in (1, 2)
        )
        form = FormTerms(required_fields=("roof_age",), trap="website")
        async with app.db.transaction() as tx:
            for offer in offers:
                await catalog.create(tx, make.ACCOUNT, offer, by=by)
            await catalog.create(tx, make.ACCOUNT, make.campaign(*offers, id=FORMS, form=form), by=by)
        await app.catalog.refresh(make.ACCOUNT)
        await app.catalog.settle(make.ACCOUNT)
        yield opened


def form(**changes: Any) -> dict[str, Any]:
    return {
        "campaign_id": FORMS,
        "contact": {"phone": "(415) 555-0142", "name": "Ada Example", "email": "ada@example.com"},
        "publisher_id": make.PUBLISHER,
        "fields": {"roof_age": "20"},
        "consent": {"text": "Call me about roofs.", "at": "2026-03-01T10:00:00Z", "version": "3"},
        "source_url": "https://roofs.example.com/quote",
        "ip": "203.0.113.9",
        **changes,
    }


async def test_a_form_is_sold_to_the_highest_bidder_and_told_whole(
    app: App, admin: Client, sellers: Buyers
) -> None:
    answer = await admin.ask("POST", "/api/leads", form(external_id="form-1"))
    sold = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/api/leads/{sold['id']}")
    assert (sold["state"], sold["buyer_id"], sold["revenue"], sold["payout"], sold["profit"]) == (
        "sold",
        "buy_2",
        "22.50",
        "11.25",
        "11.25",
    )
    told = await admin.get(f"/api/leads/{sold['id']}")
    assert told["replays"] is True
    assert [(one["kind"], one["text"]) for one in told["timeline"][:2]] == [
        ("submitted", f"A form of {PHONE} came in, sent by Publisher 1."),
        ("looked", "The open offers, the rotation and the phone's history were read for routing."),
    ]
    assert [(one["kind"], one["text"]) for one in told["timeline"][3:]] == [
        ("reserved", "Capacity for Offer 2 was reserved; it gets the lead."),
        ("post_answered", "Offer 2 took the lead."),
    ]
    auction = told["timeline"][2]
    assert [(one["offer_id"], one["bid"]["amount"]) for one in auction["pings"]] == [
        ("off_form_1", "18.00"),
        ("off_form_2", "22.50"),
    ]
    assert [(one["offer"], one["code"], one["price"]) for one in auction["decision"]["offers"]] == [
        ("Offer 2", "", "22.50"),
        ("Offer 1", "outbid", "18.00"),
    ]
    assert [note["text"] for note in told["timeline"][4]["notes"]] == [
        "Sold to buy_2 for 22.50.",
        "Revenue: the buyer owes for this lead.",
        "Payout: the publisher earns for this lead.",
    ]
    (post,) = told["attempts"]
    assert (post["state"], post["amount"], post["reference"]) == ("accepted", "22.50", "lead-2")
    assert told["contact"] == {"phone": PHONE, "name": "Ada Example", "email": "ada@example.com"}
    assert told["consent"] == {"text": "Call me about roofs.", "at": "2026-03-01T10:00:00Z", "version": "3"}
    assert [one["key"] for one in told["money"]["transactions"]] == [
        f"{sold['id']}/charge/1",
        f"{sold['id']}/payout/1",
    ]


async def test_what_a_lead_came_to_is_in_balances_and_statements(
    app: App, admin: Client, sellers: Buyers
) -> None:
    await admin.post("/api/leads", form())
    balances = await admin.get("/api/balances")
    assert [(one["account"], one["owner_id"], one["amount"]) for one in balances["items"]] == [
        ("buyer", "buy_2", "22.50"),
        ("payout", "", "11.25"),
        ("publisher", "pub_1", "-11.25"),
        ("revenue", "", "-22.50"),
    ]
    statement = await admin.get("/api/statements/open?account=buyer&owner_id=buy_2")
    assert (statement["lines"], statement["closing"]) == (
        [{"kind": "charge", "count": 1, "amount": "22.50"}],
        "22.50",
    )
    await app.background.drain()
    await app.reservations.drain()
    funds = await admin.get("/api/buyers/buy_2/funds")
    assert (funds["balance"], funds["held"]) == ("-22.50", "0.00")


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"contact": {"phone": "12"}}, ["contact.phone"]),
        (
            {"contact": {"phone": PHONE, "email": "ada", "zip": "00000", "state": "ZZ"}},
            ["contact.email", "contact.zip", "contact.state"],
        ),
        ({"ip": "999.1.1.1"}, ["ip"]),
        ({"consent": None}, ["consent"]),
        ({"consent": {"text": "Yes", "at": "2126-01-01T00:00:00Z"}}, ["consent.at"]),
        ({"fields": {}}, ["fields.roof_age"]),
        ({"publisher_id": "pub_nobody"}, ["publisher_id"]),
        ({"campaign_id": "cmp_nothing"}, ["campaign_id"]),
        ({"fields": {"Roof Age": "20"}}, ["fields"]),
        ({"channel": "call"}, ["channel"]),
    ],
)
async def test_what_is_wrong_with_a_form_is_said_by_field(
    admin: Client, sellers: Buyers, changes: dict[str, Any], fields: list[str]
) -> None:
    answer = await admin.ask("POST", "/api/leads", form(**changes))
    told = answer.json()
    assert (answer.status_code, told["code"]) == (422, "invalid")
    assert [one["field"].partition("[")[0] for one in told["problems"]] == fields
    assert (await admin.get("/api/leads"))["items"] == []


async def test_spam_is_kept_with_its_reason_and_nobody_is_asked(
    app: App, admin: Client, sellers: Buyers
) -> None:
    async with app.db.transaction() as tx:
        block = Block(id="blk_1", pattern=PHONE, blocked_by="usr_seed", blocked_at=app.world.now())
        await blocks.add(tx, make.ACCOUNT, block)
    await app.catalog.refresh(make.ACCOUNT)
    fields = {"roof_age": "20", "website": "http://spam.example"}
    sent = (
        form(),
        form(contact={"phone": "+14155550143"}, fields=fields),
        form(contact={"phone": "+18005550143"}),
    )
    rejected = [(await admin.post("/api/leads", one))["rejected"] for one in sent]
    assert (rejected, sellers.pings, sellers.posts) == (["block_list", "trap_filled", "phone_kind"], [], [])
    found = await admin.get("/api/leads?status=rejected")
    assert [one["rejected"] for one in found["items"]] == list(reversed(rejected))


async def test_a_pause_keeps_forms_from_everybody_or_from_one_buyer_at_once(
    app: App, admin: Client, sellers: Buyers
) -> None:
    async def sent(phone: str) -> tuple[str, str, str | None]:
        await app.catalog.refresh(make.ACCOUNT)
        await app.catalog.settle(make.ACCOUNT)
        told = await admin.post("/api/leads", form(contact={"phone": phone}))
        return told["state"], told["rejected"], told["buyer_id"]

    await admin.post("/api/offers/off_form_2/pause", {})
    assert await sent("+14155550143") == ("sold", "", "buy_1")
    await admin.post("/api/publishers/pub_1/pause", {})
    assert await sent("+14155550144") == ("rejected", "publisher_paused", None)
    await admin.post("/api/publishers/pub_1/resume", {})
    await admin.post(f"/api/campaigns/{FORMS}/pause", {})
    assert await sent("+14155550145") == ("rejected", "campaign_paused", None)
    assert [number for number, _ in sellers.posts] == [1]


async def test_a_form_sent_again_is_the_same_lead_and_another_one_is_refused(
    admin: Client, sellers: Buyers
) -> None:
    first = await admin.post("/api/leads", form(external_id="form-1"))
    assert await admin.post("/api/leads", form(external_id="form-1")) == first
    other = await admin.ask("POST", "/api/leads", form(external_id="form-1", fields={"roof_age": "3"}))
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    keyed = [await admin.post("/api/leads", form(ip=""), Idempotency_Key="key-1") for _ in range(2)]
    assert keyed[0] == keyed[1]
    assert [number for number, _ in sellers.posts] == [2]
    assert len((await admin.get("/api/leads"))["items"]) == 2


async def test_each_role_sees_its_own_leads_and_no_whole_phone(
    people: dict[str, Client], sellers: Buyers
) -> None:
    sellers.bids = {1: "22.50", 2: "18.00"}
    own = await people["publisher"].post("/api/leads", form(publisher_id=None))
    assert (own["publisher_id"], own["payout"], own["revenue"], own["buyer_id"], own["phone"]) == (
        "pub_1",
        "11.25",
        None,
        None,
        MASKED,
    )
    await people["admin"].post("/api/leads", form(publisher_id=None, contact={"phone": "+14155550143"}))
    assert [one["id"] for one in (await people["publisher"].get("/api/leads"))["items"]] == [own["id"]]
    bought = (await people["buyer"].get("/api/leads"))["items"]
    assert {(one["revenue"], one["payout"], one["publisher_id"]) for one in bought} == {("22.50", None, None)}
    detail = await people["buyer"].get(f"/api/leads/{own['id']}")
    assert (detail["contact"], detail["fields"], detail["timeline"], detail["money"]) == (None, {}, [], None)
    assert [one["held_payout"] for one in detail["attempts"]] == [None]
    other = await people["publisher"].ask("POST", "/api/leads", form(publisher_id="pub_2"))
    assert (other.status_code, [one["field"] for one in other.json()["problems"]]) == (422, ["publisher_id"])
    for role in ("analyst", "buyer"):
        assert (await people[role].ask("POST", "/api/leads", form())).status_code == 403
    searched = await people["publisher"].ask("GET", f"/api/leads?phone={PHONE[1:]}")
    assert searched.status_code == 403


async def test_leads_are_found_by_what_is_known_of_them(admin: Client, sellers: Buyers) -> None:
    first = await admin.post("/api/leads", form(external_id="form-1"))
    second = await admin.post("/api/leads", form(channel="callback", contact={"phone": "+14155550143"}))

    async def found(query: str) -> list[str]:
        return [one["id"] for one in (await admin.get(f"/api/leads?{query}"))["items"]]

    assert await found("") == [second["id"], first["id"]]
    assert await found("phone=4155550142") == [first["id"]]
    assert await found("channel=callback") == [second["id"]]
    assert await found("external_id=form-1&status=sold&buyer_id=buy_2") == [first["id"]]
    assert await found(f"campaign_id={FORMS}&publisher_id=pub_1&since=2126-01-01T00:00:00Z") == []
    page = await admin.get("/api/leads?limit=1")
    assert await found(f"limit=1&cursor={page['next_cursor']}") == [first["id"]]


async def test_no_more_is_given_back_than_was_booked(admin: Client, sellers: Buyers) -> None:
    sold = await admin.post("/api/leads", form())
    path = f"/api/leads/{sold['id']}/adjustments"
    body = {"reason": "The number was disconnected", "credit": "22.50", "clawback": "11.25"}
    given_back = await admin.post(path, body, Idempotency_Key="back-1")
    assert (given_back["revenue"], given_back["payout"], given_back["credit_left"]) == (
        "0.00",
        "0.00",
        "0.00",
    )
    assert await admin.post(path, body, Idempotency_Key="back-1") == given_back
    again = await admin.ask("POST", path, body)
    assert (again.status_code, [one["field"] for one in again.json()["problems"]]) == (
        422,
        ["credit", "clawback"],
    )
    missing = await admin.ask("POST", "/api/leads/lead_nothing/adjustments", body)
    assert missing.status_code == 404


async def test_a_test_is_decided_on_and_sold_to_nobody(admin: Client, sellers: Buyers) -> None:
    silent = await admin.post("/api/leads", form(test=True))
    assert (silent["state"], silent["end_reason"], sellers.pings) == ("unsold", "nobody_eligible", [])
    asked = await admin.post("/api/leads", form(test=True, ping_bidders=True))
    assert (asked["state"], asked["revenue"], len(sellers.pings), sellers.posts) == ("tested", "0.00", 2, [])
    assert all(ping["test"] for _, ping in sellers.pings)


async def test_the_stream_tells_what_happens_to_leads_to_each_role_its_own(
    people: dict[str, Client], sellers: Buyers
) -> None:
    buyer, publisher = people["buyer"], people["publisher"]
    sellers.bids = {1: "22.50"}
    kinds = "lead.sold,lead.adjusted"
    url = f"/api/events?kind={kinds}"
    async with buyer.http.stream("GET", url, headers=buyer.headers) as stream:
        lines = stream.aiter_lines()
        async for line in lines:
            if line.startswith("id: "):
                break
        sold = await publisher.post("/api/leads", form(publisher_id=None))
        path = f"/api/leads/{sold['id']}/adjustments"
        await people["admin"].post(path, {"reason": "Wrong person", "credit": "2.50"})
        told = [line async for line in _events(lines, 2)]
    assert [(one["kind"], one["lead_id"], one["lead"]["state"], one["lead"]["phone"]) for one in told] == [
        ("lead.sold", sold["id"], "sold", MASKED),
        ("lead.adjusted", sold["id"], "sold", MASKED),
    ]
    assert (told[1]["lead"]["revenue"], told[1]["lead"]["payout"]) == ("20.00", None)


async def _events(lines: AsyncIterator[str], count: int) -> AsyncIterator[Any]:
    """The next documents of a stream."""
    async for line in lines:
        if line.startswith("data: "):
            yield decode(line.removeprefix("data: "), dict[str, Any])
            count -= 1
            if not count:
                return
