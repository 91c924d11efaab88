"""Bidders over the API: what is refused when one is saved, its secrets, how it fares, and the test bench."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from answering import Bidders, asking, auctioned, bidders_answering

import make
from callmatrix.api.bidder_checks import check_bidder
from callmatrix.core.campaign import AuctionTerms, BearerAuth, Bidder, NativeFormat
from callmatrix.core.documents import decode
from callmatrix.core.errors import Refused
from callmatrix.core.pricing import BidPrice
from callmatrix.live.app import App
from conftest import Client
from placed import place

PUBLIC = "https://bids.example.com/ping"
TERMS = AuctionTerms(deadline_ms=4_000)


@pytest.fixture
async def bidders() -> AsyncIterator[Bidders]:
    async with bidders_answering() as found:
        yield found


def offer(**bidder: Any) -> dict[str, Any]:
    return {
        "buyer_id": "buy_1",
        "name": "Live bids",
        "destination": {"kind": "phone", "number": "+14155550110"},
        "price": {"kind": "bid", "floor": "5.00"},
        "bidder": {"format": {"kind": "native"}, "ping_url": PUBLIC, **bidder},
    }


# --- saving --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bidder", "fields"),
    [
        ({}, []),
        ({"ping_url": "http://127.0.0.1:9/ping", "post_url": "http://localhost:9/post"}, []),
        ({"ping_url": "http://bids.example.com/ping"}, ["bidder.ping_url"]),
        ({"ping_url": "https://10.1.2.3/ping"}, ["bidder.ping_url"]),
        ({"ping_url": "https://[fd00::1]/ping"}, ["bidder.ping_url"]),
        ({"ping_url": "https://169.254.169.254/ping"}, ["bidder.ping_url"]),
        ({"ping_url": "https://bids.example.com:99999/ping"}, ["bidder.ping_url"]),
        ({"post_url": "https://192.168.0.1/post"}, ["bidder.post_url"]),
        (
            {"format": {"kind": "template", "ping": {"zip": "{nothing}"}, "read_ping": {}}},
            ["bidder.format.ping.zip", "bidder.format.read_ping.amount"],
        ),
        ({"authentication": {"kind": "header", "name": "Host"}}, ["bidder.authentication.name"]),
        ({"post_timing": "accept"}, ["bidder.post_timing"]),
    ],
)
async def test_a_bidder_that_could_not_be_asked_is_refused_at_its_field(
    admin: Client, bidder: dict[str, Any], fields: list[str]
) -> None:
    answer = await admin.ask("POST", "/api/offers", offer(**bidder))
    told = answer.json()
    assert [one["field"] for one in told.get("problems", ())] == fields, told
    assert answer.status_code == (422 if fields else 201)
    changed = await admin.ask("PUT", "/api/offers/off_1", offer(**bidder), If_Match='"1"')
    assert changed.status_code == (422 if fields else 200)
    bid = {"kind": "bid", "floor": "5.00", "amount": None}
    later = {"starts_at": "2090-01-01T00:00:00Z", "change": {**offer(**bidder), "price": bid}}
    planned = await admin.ask("POST", "/api/offers/off_2/scheduled", later)
    assert planned.status_code == (422 if fields else 201)


@pytest.mark.parametrize(
    ("url", "passes"),
    [
        (PUBLIC, True),
        ("https://localhost/ping", False),
        ("http://bids.localhost/ping", False),
        ("https://127.0.0.1/ping", False),
        ("https://[::1]/ping", False),
    ],
)
def test_a_bidder_on_this_machine_is_refused_where_no_setting_allows_it(url: str, passes: bool) -> None:
    found = make.offer(price=BidPrice(), bidder=Bidder(format=NativeFormat(), ping_url=url))
    check_bidder(found, allow_loopback=True)
    check_bidder(make.offer(), allow_loopback=False)
    if passes:
        check_bidder(found, allow_loopback=False)
        return
    with pytest.raises(Refused) as refused:
        check_bidder(found, allow_loopback=False)
    assert [one.field for one in refused.value.problems] == ["bidder.ping_url"]


# --- secrets -------------------------------------------------------------------------------------------


async def test_a_bidders_secrets_are_kept_told_by_name_and_used_at_once(
    app: App, admin: Client, bidders: Bidders
) -> None:
    await auctioned(app, asking(bidders, 1, authentication=BearerAuth()))
    before = await admin.get("/api/offers/off_1/secrets")
    assert before == {"items": [], "missing": ["token"]}
    kept = await admin.ask("PUT", "/api/offers/off_1/secrets", {"secrets": {"token": "hunter-2"}})
    assert kept.status_code == 200
    assert ([one["name"] for one in kept.json()["items"]], kept.json()["missing"]) == (["token"], [])
    bidders.bid("/1", "10")
    tried = await admin.post("/api/offers/off_1/test-ping", {})
    assert bidders.heard[-1][2]["authorization"] == "Bearer hunter-2"
    assert "hunter" not in str(tried) + kept.text
    acts = await admin.get("/api/audit?kind=offer&target_id=off_1")
    assert acts["items"][0]["act"]["details"] == {"token": "set"}
    await admin.ask("PUT", "/api/offers/off_1/secrets", {"secrets": {"token": ""}})
    tried = await admin.post("/api/offers/off_1/test-ping", {})
    assert (tried["request"], tried["code"]) == (None, "unconfigured")


async def test_only_administrators_set_secrets_and_only_of_what_is_there(people: dict[str, Client]) -> None:
    body = {"secrets": {"token": "hunter-2"}}
    found = {
        role: (await people[role].ask("PUT", "/api/offers/off_1/secrets", body)).status_code
        for role in ("admin", "manager", "buyer")
    }
    assert found == {"admin": 200, "manager": 403, "buyer": 403}
    missing = await people["admin"].ask("PUT", "/api/offers/off_9/secrets", body)
    assert missing.status_code == 404
    unfit = await people["admin"].ask("PUT", "/api/offers/off_1/secrets", {"secrets": {"a b": "c"}})
    assert unfit.status_code == 422


# --- the test bench ------------------------------------------------------------------------------------


async def test_a_test_ping_shows_the_request_the_answer_and_how_it_is_read(
    app: App, admin: Client, bidders: Bidders
) -> None:
    await auctioned(app, asking(bidders, 1, share_number=True), auction=TERMS)
    bidders.bid("/1", "10.00", phone_number="+14155550177", surprise=1)
    lead = {
        "campaign_id": "cmp_1",
        "zip": "94105",
        "number": "+14155550100",
        "fields": {"homeowner": "yes"},
        "attestation": "A",
    }
    tried = await admin.post("/api/offers/off_1/test-ping", lead)
    (heard,) = (body for path, body, _ in bidders.heard if path == "/1")
    assert tried["request"]["body"] == heard.decode()
    said = decode(heard, dict[str, Any])
    assert {name: said.get(name) for name in ("test", "state", "zip", "area_code", "number", "fields")} == {
        "test": True,
        "state": "CA",
        "zip": "94105",
        "area_code": "415",
        "number": None,
        "fields": {"homeowner": "yes"},
    }
    assert (tried["reply"]["status"], tried["reply"]["body"]) == (200, bidders.answers["/1"][1].decode())
    assert (tried["bid"]["amount"], tried["ranks_by"], tried["code"]) == ("10.00", "10.00", "")
    assert tried["bid"]["destination"] == {"kind": "phone", "number": "+14155550177"}
    assert any("surprise" in complaint for complaint in tried["complaints"])
    assert (await admin.get("/api/auctions"))["items"] == []
    assert (await admin.get("/api/offers/off_1/health"))["pings"] == 0


@pytest.mark.parametrize(
    ("answer", "code", "complains"),
    [
        ((200, b'{"bid": 0, "reason": "Not today"}'), "no_bid", False),
        ((200, b'{"bid": "0.50"}'), "", True),
        ((200, b'{"bid": "10", "currency": "EUR"}'), "bad_currency", True),
        ((200, b'{"bid": "10", "min_s": 600}'), "terms_min_s", True),
        ((200, b"<html>"), "malformed", True),
        ((500, b"oops"), "http_error", True),
        ((302, b""), "redirected", False),
    ],
)
async def test_what_is_wrong_with_an_answer_is_told(
    app: App,
    admin: Client,
    bidders: Bidders,
    answer: tuple[int, bytes],
    code: str,
    complains: bool,
) -> None:
    await auctioned(app, asking(bidders, 1))
    bidders.answers["/1"] = answer
    tried = await admin.post("/api/offers/off_1/test-ping", {"state": "CA"})
    assert (tried["code"], bool(tried["complaints"])) == (code, complains), tried


async def test_a_bidder_that_is_not_there_is_unreachable(app: App, admin: Client, bidders: Bidders) -> None:
    await auctioned(app, asking(bidders, 1, ping_url="http://127.0.0.1:1/ping"))
    tried = await admin.post("/api/offers/off_1/test-ping", {})
    assert (tried["code"], tried["reply"], tried["bid"]) == ("unreachable", None, None)


async def test_an_offer_without_a_bidder_cannot_be_tried(people: dict[str, Client]) -> None:
    answer = await people["admin"].ask("POST", "/api/offers/off_2/test-ping", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    answer = await people["admin"].ask("POST", "/api/offers/off_2/test-ping", {"number": "12"})
    assert answer.status_code in (409, 422)
    answer = await people["analyst"].ask("POST", "/api/offers/off_2/test-ping", {})
    assert answer.status_code == 403


# --- health --------------------------------------------------------------------------------------------


async def test_a_bidders_health_counts_what_its_pings_came_to(
    app: App, admin: Client, bidders: Bidders, people: dict[str, Client]
) -> None:
    bidders.bid("/1", "12.00")
    bidders.bid("/2", "9.00")
    bidders.answers["/3"] = (500, b"")
    offers = (asking(bidders, 1), asking(bidders, 2), asking(bidders, 3))
    await auctioned(app, *offers, auction=TERMS)
    await place(app, "call_1", minutes_ago=0)
    bidders.answers["/1"] = (204, b"")
    await place(app, "call_2", caller="+14155550123", minutes_ago=0)
    await app.evidence.drain()
    found = (await admin.get("/api/campaigns/cmp_1/bidders"))["items"]
    names = ("offer_id", "pings", "sent", "bids", "no_bids", "errors", "dialled", "won", "bid_rate_bps")
    assert [tuple(one[name] for name in names) for one in found] == [
        ("off_1", 2, 2, 1, 1, 0, 1, 1, 5_000),
        ("off_2", 2, 2, 2, 0, 0, 1, 1, 10_000),
        ("off_3", 2, 2, 0, 0, 2, 0, 0, 0),
    ]
    assert [one["win_rate_bps"] for one in found] == [10_000, 5_000, None]
    assert (found[2]["codes"], found[0]["throttle"]["asked"]) == ({"http_error": 2}, 2)
    assert all(0 < one["p50_us"] <= one["p95_us"] <= one["p99_us"] for one in found)
    own = await people["buyer"].get("/api/offers/off_1/health")
    assert {name: own[name] for name in names} == {name: found[0][name] for name in names}
    other = await people["buyer"].ask("GET", "/api/offers/off_2/health")
    assert other.status_code == 404
    refused = await people["buyer"].ask("GET", "/api/campaigns/cmp_1/bidders")
    assert refused.status_code == 403


async def test_test_leads_and_other_times_and_campaigns_count_nowhere(
    app: App, admin: Client, bidders: Bidders
) -> None:
    bidders.bid("/1", "12.00")
    await auctioned(app, asking(bidders, 1), auction=TERMS)
    await place(app, "call_1", minutes_ago=0)
    await app.evidence.drain()
    past = await admin.get("/api/offers/off_1/health?since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z")
    assert (past["pings"], past["p50_us"], past["bid_rate_bps"], past["last_at"]) == (0, None, None, None)
    for query in (
        "since=2020-01-02T00:00:00Z&until=2020-01-01T00:00:00Z",
        "since=2020-01-01T00:00:00Z&until=2021-01-01T00:00:00Z",
    ):
        answer = await admin.ask("GET", f"/api/offers/off_1/health?{query}")
        assert answer.status_code == 422
    clone = await admin.post("/api/campaigns/cmp_1/clone", {})
    elsewhere = (await admin.get(f"/api/campaigns/{clone['id']}/bidders"))["items"]
    assert [one["pings"] for one in elsewhere] == [0]
    assert make.OfferId("off_1") == elsewhere[0]["offer_id"]


async def test_a_bidder_that_may_take_longer_than_the_auction_is_warned_of(
    app: App, admin: Client, bidders: Bidders
) -> None:
    assert (await admin.get("/api/campaigns/cmp_1/warnings"))["items"] == []
    await auctioned(app, asking(bidders, 1), auction=TERMS)
    (warning,) = (await admin.get("/api/campaigns/cmp_1/warnings"))["items"]
    assert (warning["field"], "30000 ms" in warning["problem"]) == ("plan.entries.0", True)
    missing = await admin.ask("GET", "/api/campaigns/cmp_9/warnings")
    assert missing.status_code == 404
