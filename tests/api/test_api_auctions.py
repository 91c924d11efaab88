"""Auctions over the API: what came of each ping, who won at what price, and what of it is shown to whom."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from answering import Bidders, asking, auctioned, bidders_answering

from callmatrix.core.campaign import AuctionTerms
from callmatrix.live.app import App
from conftest import Client
from placed import CALLER, place

TERMS = AuctionTerms(deadline_ms=4_000, share_number=True)
MASKED = "+1415•••••00"


@pytest.fixture
async def bidders() -> AsyncIterator[Bidders]:
    async with bidders_answering() as found:
        yield found


@pytest.fixture
async def held(app: App, bidders: Bidders) -> App:
    """A call whose auction the second of three offers won; the third said no."""
    bidders.bid("/1", "12.00")
    bidders.bid("/2", "20.50", phone_number="+14155550177")
    bidders.answers["/3"] = (200, b'{"bid": 0, "reason": "Not today"}')
    offers = (asking(bidders, 1, share_number=True), asking(bidders, 2), asking(bidders, 3))
    await auctioned(app, *offers, auction=TERMS)
    await place(app, "call_1", minutes_ago=0)
    await app.evidence.drain()
    return app


def of(pings: Any, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(ping[name] for name in names) for ping in pings]


async def test_an_auction_tells_every_ping_and_who_won_at_what_price(held: App, admin: Client) -> None:
    (summary,) = (await admin.get("/api/auctions"))["items"]
    assert {name: summary[name] for name in ("lead_id", "pings", "bids", "simulated", "test")} == {
        "lead_id": "call_1",
        "pings": 3,
        "bids": 2,
        "simulated": False,
        "test": False,
    }
    assert (summary["winner_offer_id"], summary["clearing_price"]) == ("off_2", "20.50")
    detail = await admin.get(f"/api/auctions/{summary['id']}")
    assert detail["auction"] == summary
    assert of(detail["pings"], "offer_id", "amount", "rank", "attempt", "outcome", "won", "code") == [
        ("off_2", "20.50", 1, 1, "answered", True, ""),
        ("off_1", "12.00", 2, None, "", False, ""),
        ("off_3", None, None, None, "", False, "no_bid"),
    ]
    assert of(detail["pings"], "offer", "buyer", "status") == [
        ("Offer 2", "Buyer 2", 200),
        ("Offer 1", "Buyer 1", 200),
        ("Offer 3", "Buyer 1", 200),
    ]
    assert detail["pings"][2]["detail"] == "Not today"
    assert all(ping["total_us"] > 0 for ping in detail["pings"])


async def test_the_decision_after_the_bids_is_told_with_every_offer(held: App, admin: Client) -> None:
    detail = await admin.get("/api/auctions/call_1-1")
    told = {one["offer_id"]: one["code"] for one in detail["decision"]["offers"]}
    assert (detail["decision"]["chosen_offer_id"], told) == (
        "off_2",
        {"off_1": "outbid", "off_2": "", "off_3": "no_bid"},
    )


async def test_the_number_is_masked_in_bodies_whoever_got_it(
    held: App, admin: Client, bidders: Bidders
) -> None:
    heard = {path: body.decode() for path, body, _ in bidders.heard}
    assert CALLER in heard["/1"]
    assert CALLER not in heard["/2"]
    detail = await admin.get("/api/auctions/call_1-1")
    bodies = {ping["offer_id"]: ping["request"] + ping["reply"] for ping in detail["pings"]}
    assert MASKED in bodies["off_1"]
    assert not any(CALLER[1:] in body for body in bodies.values())


async def test_a_buyer_sees_its_own_pings_and_not_who_else_was_there(
    held: App, people: dict[str, Client]
) -> None:
    buyer = people["buyer"]
    (summary,) = (await buyer.get("/api/auctions"))["items"]
    hidden = ("lead_id", "pings", "bids", "winner_offer_id", "winner_buyer_id", "clearing_price")
    assert {name: summary[name] for name in hidden} == dict.fromkeys(hidden)
    detail = await buyer.get("/api/auctions/call_1-1")
    assert of(detail["pings"], "offer_id", "amount", "ranks_by", "rank", "won") == [
        ("off_1", "12.00", None, None, False)
    ]
    assert (detail["posts"], detail["decision"]) == ([], None)
    assert (await buyer.get("/api/auctions?offer_id=off_2"))["items"] == []
    refused = await people["publisher"].ask("GET", "/api/auctions")
    assert refused.status_code == 403


async def test_an_auction_of_others_is_none_for_a_buyer(
    app: App, bidders: Bidders, people: dict[str, Client]
) -> None:
    bidders.bid("/2", "8.00")
    await auctioned(app, asking(bidders, 2), auction=TERMS)
    await place(app, "call_1", minutes_ago=0)
    await app.evidence.drain()
    assert (await people["buyer"].get("/api/auctions"))["items"] == []
    answer = await people["buyer"].ask("GET", "/api/auctions/call_1-1")
    assert answer.status_code == 404
    answer = await people["admin"].ask("GET", "/api/auctions/call_9-1")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["call_2", "call_1"]),
        ("?limit=1", ["call_2"]),
        ("?offer_id=off_3&code=no_bid", ["call_2", "call_1"]),
        ("?offer_id=off_3&code=bid", []),
        ("?code=bid", ["call_2", "call_1"]),
        ("?code=timed_out", []),
        ("?campaign_id=cmp_1&channel=call&simulated=false&test=false", ["call_2", "call_1"]),
        ("?campaign_id=cmp_2", []),
        ("?channel=form", []),
        ("?simulated=true", []),
        ("?lead_id=call_1", ["call_1"]),
        ("?since=2100-01-01T00:00:00Z", []),
        ("?until=2020-01-01T00:00:00Z", []),
    ],
)
async def test_auctions_are_found_by_what_is_known_of_them(
    held: App, admin: Client, query: str, found: list[str]
) -> None:
    await place(held, "call_2", caller="+14155550123", minutes_ago=0)
    await held.evidence.drain()
    page = await admin.get(f"/api/auctions{query}")
    assert [one["lead_id"] for one in page["items"]] == found
    if page["next_cursor"]:
        rest = await admin.get(f"/api/auctions?limit=1&cursor={page['next_cursor']}")
        assert [one["lead_id"] for one in rest["items"]] == ["call_1"]


async def test_an_unknown_code_is_refused_by_name(admin: Client) -> None:
    answer = await admin.ask("GET", "/api/auctions?code=nothing")
    assert (answer.status_code, answer.json()["problems"][0]["field"]) == (422, "code")


async def test_what_was_posted_to_the_winner_is_told_with_its_answer(
    app: App, admin: Client, bidders: Bidders
) -> None:
    bidders.bid("/1", "9.00")
    bidders.answers["/post"] = (200, f'{{"accepted": true, "reference": "lead of {CALLER}"}}'.encode())
    offer = asking(bidders, 1, post_url=f"{bidders.url}/post", post_timing="before_dial")
    await auctioned(app, offer, auction=TERMS)
    await place(app, "call_1", minutes_ago=0)
    await app.evidence.drain()
    detail = await admin.get("/api/auctions/call_1-1")
    assert of(detail["posts"], "offer_id", "offer", "attempt", "status", "code", "reference") == [
        ("off_1", "Offer 1", 1, 200, "", f"lead of {MASKED}")
    ]
    assert CALLER[1:] not in detail["posts"][0]["reply"]


async def test_a_forms_auction_is_told_as_a_calls_is(app: App, admin: Client, bidders: Bidders) -> None:
    bidders.bid("/1", "12.00")
    bidders.bid("/2", "20.00")
    bidders.answers["/post/1"] = (200, b'{"accepted": true, "reference": "taken"}')
    bidders.answers["/post/2"] = (200, b'{"accepted": false, "reason": "Full"}')
    offers = [
        msgspec.structs.replace(
            asking(bidders, number, post_url=f"{bidders.url}/post/{number}"), channels=("form",)
        )
        for number in (1, 2)
    ]
    await auctioned(app, *offers, auction=TERMS)
    lead = await admin.post(
        "/api/leads",
        {
            "campaign_id": "cmp_1",
            "contact": {"phone": CALLER, "zip": "94105"},
            "consent": {"text": "I agree to be called.", "at": app.world.now().isoformat()},
        },
    )
    assert lead["state"] == "sold", lead
    await app.evidence.drain()
    (summary,) = (await admin.get("/api/auctions?channel=form"))["items"]
    assert (summary["lead_id"], summary["winner_offer_id"], summary["clearing_price"]) == (
        lead["id"],
        "off_1",
        "12.00",
    )
    detail = await admin.get(f"/api/auctions/{summary['id']}")
    assert of(detail["pings"], "offer_id", "rank", "attempt", "outcome", "won") == [
        ("off_2", 1, 1, "no_bid", False),
        ("off_1", 2, 2, "accepted", True),
    ]
    assert of(detail["posts"], "offer_id", "code", "detail") == [
        ("off_2", "no_bid", "Full"),
        ("off_1", "", ""),
    ]
    assert {one["offer_id"] for one in detail["decision"]["offers"]} == {"off_1", "off_2"}
    assert CALLER[1:] not in str([*detail["pings"], *detail["posts"]])
    counted = (await admin.get("/api/campaigns/cmp_1/bidders"))["items"]
    assert of(counted, "offer_id", "bids", "dialled", "won") == [("off_1", 1, 1, 1), ("off_2", 1, 1, 0)]
