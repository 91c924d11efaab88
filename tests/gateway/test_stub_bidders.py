"""The stub bidders: what they answer, by their scripts alone, and what they notice and keep."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from callmatrix.gateway.bidders import (
    Accepts,
    Bidder,
    Bidders,
    Bids,
    Declines,
    Errors,
    Garbage,
    Malformed,
    Refuses,
    Silent,
    bidders_app,
)
from callmatrix.world import RealWorld

PING = {
    "ping_id": "png_1",
    "at": "2026-03-01T17:00:00Z",
    "deadline_ms": 1_500,
    "channel": "call",
    "vertical": "plumbing",
    "fields": {"homeowner": "yes"},
}
TWELVE = Bids(low_cents=1_250, high_cents=1_250)
Ask = Callable[..., Any]


@asynccontextmanager
async def playing(*bidders: Bidder, seed: int = 7) -> AsyncIterator[tuple[Bidders, Ask]]:
    """The bidders on loopback, and a function that posts JSON to a path: (status, what was answered)."""
    played = Bidders(bidders, seed=seed, world=RealWorld())
    runner = web.AppRunner(bidders_app(played))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]

    async with aiohttp.ClientSession(f"http://{host}:{port}") as session:

        async def ask(path: str, said: Any = None, method: str = "POST", **options: Any) -> tuple[int, Any]:
            given = options if said is None else {"json": said, **options}
            async with session.request(method, path, **given) as reply:
                return reply.status, json.loads(await reply.text())

        try:
            yield played, ask
        finally:
            await runner.cleanup()


def lead(bid_id: str, **changes: Any) -> dict[str, Any]:
    given = {name: value for name, value in PING.items() if name != "deadline_ms"}
    return {
        **given,
        "bid_id": bid_id,
        "lead_id": "call_1",
        "amount": "12.50",
        "number": "+13105550123",
        **changes,
    }


async def test_a_native_bidder_bids_between_its_amounts_and_the_same_ping_gets_the_same_bid() -> None:
    script = Bids(low_cents=1_000, high_cents=2_000, expires_in_s=30)
    async with playing(Bidder(name="a", behaviour=script, number="+14155550100")) as (bidders, ask):
        first = await ask("/a/ping", PING)
        again = await ask("/a/ping", PING)
    status, said = first
    cents = bidders.pings("a")[0].bid_cents
    assert cents is not None
    assert 1_000 <= cents <= 2_000
    assert (status, said) == (
        200,
        {
            "bid": f"{cents // 100}.{cents % 100:02d}",
            "currency": "USD",
            "bid_id": said["bid_id"],
            "expires_in_s": 30,
            "phone_number": "+14155550100",
        },
    )
    assert again[1]["bid_id"] == said["bid_id"]
    assert bidders.wrong() == []


async def test_two_networks_of_one_seed_bid_alike_in_any_order() -> None:
    script = Bids(low_cents=1, high_cents=100_000, no_bid_bps=5_000)
    pings = [{**PING, "ping_id": f"png_{number}"} for number in range(20)]
    answers = []
    for order in (pings, pings[::-1]):
        async with playing(Bidder(name="a", behaviour=script)) as (_bidders, ask):
            answers.append({one["ping_id"]: (await ask("/a/ping", one))[1].get("bid") for one in order})
    assert answers[0] == answers[1]
    assert 0 in answers[0].values()
    assert len(set(answers[0].values())) > 5


async def test_a_ringba_bidder_is_asked_by_json_xml_and_query_and_repeats_its_bid_with_a_warning() -> None:
    bidder = Bidder(name="r", format="ringba", behaviour=TWELVE, number="+14155550100", sip="sip:r@b.example")
    xml = "<bid_request><CID>13105550123</CID><zipcode>90001</zipcode></bid_request>"
    async with playing(bidder) as (bidders, ask):
        by_json = await ask("/r/ping", {"CID": "13105550123", "zipcode": "90001"})
        by_xml = await ask("/r/ping", data=xml, headers={"Content-Type": "application/xml"})
        by_query = await ask("/r/ping?CID=13105550123&zipcode=90001", method="GET")
    said = by_json[1]
    assert said == {
        "bidId": said["bidId"],
        "bidAmount": 12.5,
        "expireInSeconds": 60,
        "bidExpireEpoch": said["bidExpireEpoch"],
        "phoneNumber": "+14155550100",
        "phoneNumberNoPlus": "14155550100",
        "sipAddress": "r@b.example",
    }
    repeated = {
        **said,
        "warnings": [{"code": 230, "description": "Previous bid for this request not yet expired"}],
    }
    assert (by_xml[1], by_query[1]) == (repeated, repeated)
    assert [one.said for one in bidders.pings()] == [{"CID": "13105550123", "zipcode": "90001"}] * 3


@pytest.mark.parametrize(
    ("bidder", "expected"),
    [
        (Bidder(name="a", behaviour=Declines(reason="Closed")), (200, {"bid": 0, "reason": "Closed"})),
        (
            Bidder(name="a", format="ringba", behaviour=Declines(reason="No capacity (Code: 1003)")),
            (200, {"bidId": "", "bidAmount": 0, "rejectReason": "No capacity (Code: 1003)"}),
        ),
        (Bidder(name="a", behaviour=Errors(status=503)), (503, {"error": "of the bidder's own"})),
        (
            Bidder(name="a", behaviour=Bids(low_cents=1, high_cents=1, no_bid_bps=10_000)),
            (200, {"bid": 0, "reason": "Not wanted"}),
        ),
    ],
)
async def test_a_bidder_that_does_not_bid_says_so(bidder: Bidder, expected: tuple[int, Any]) -> None:
    async with playing(bidder) as (bidders, ask):
        assert await ask("/a/ping", PING) == expected
    assert [one.bid_cents for one in bidders.pings()] == [None]


async def test_a_malformed_answer_is_cut_off_and_garbage_is_no_http() -> None:
    async with playing(Bidder(name="m", behaviour=Malformed()), Bidder(name="g", behaviour=Garbage())) as (
        bidders,
        ask,
    ):
        with pytest.raises(json.JSONDecodeError):
            await ask("/m/ping", PING)
        with pytest.raises(aiohttp.ClientError):
            await ask("/g/ping", PING)
    assert [(one.bidder, one.status) for one in bidders.received] == [("m", 200), ("g", None)]


async def test_a_silent_bidder_keeps_the_ping_and_ends_with_the_server() -> None:
    async with playing(Bidder(name="s", behaviour=Silent())) as (bidders, ask):
        asking = asyncio.ensure_future(ask("/s/ping", PING))
        await bidders.until(lambda one: bool(one.pings("s")))
        bidders.closing.set()
        with pytest.raises(aiohttp.ClientError):
            await asking


async def test_a_lead_is_posted_for_a_bid_that_was_made() -> None:
    bidder = Bidder(name="a", behaviour=TWELVE, posts=Accepts(number="+14155550199"))
    async with playing(bidder) as (bidders, ask):
        bid_id = (await ask("/a/ping", PING))[1]["bid_id"]
        taken = (200, {"accepted": True, "reference": bid_id, "phone_number": "+14155550199"})
        assert await ask("/a/post", lead(bid_id)) == taken
        assert await ask("/a/post", lead(bid_id)) == taken
    assert bidders.wrong() == []
    assert [one.said["number"] for one in bidders.posts("a")] == ["+13105550123"] * 2


async def test_a_post_that_does_not_fit_the_bid_is_noticed() -> None:
    async with playing(Bidder(name="a", behaviour=TWELVE), Bidder(name="b", behaviour=TWELVE)) as (
        bidders,
        ask,
    ):
        bid_id = (await ask("/a/ping", PING))[1]["bid_id"]
        assert await ask("/b/post", lead(bid_id)) == (200, {"accepted": False, "reason": "Unknown bid"})
        assert (await ask("/a/post", lead(bid_id, amount="11.00")))[0] == 200
        second = await ask("/a/post", lead(bid_id, lead_id="call_2"))
        assert second == (200, {"accepted": False, "reason": "Bid used"})
    assert bidders.wrong() == [
        "b: the post names a bid that was never made",
        "a: the post says 11.00, 12.50 was bid",
        "a: a second lead is posted for one bid",
    ]


async def test_a_bidder_may_refuse_a_post_or_fail_at_first() -> None:
    async with playing(
        Bidder(name="r", behaviour=TWELVE, posts=Refuses()),
        Bidder(name="f", behaviour=TWELVE, posts=Accepts(fails=2)),
    ) as (_bidders, ask):
        refused = (await ask("/r/ping", PING))[1]["bid_id"]
        failing = (await ask("/f/ping", PING))[1]["bid_id"]
        assert await ask("/r/post", lead(refused)) == (200, {"accepted": False, "reason": "Duplicate"})
        assert [(await ask("/f/post", lead(failing)))[0] for _ in range(3)] == [503, 503, 200]


async def test_a_ping_that_tells_who_it_is_or_lacks_its_names_is_noticed() -> None:
    async with playing(
        Bidder(name="n", behaviour=TWELVE), Bidder(name="r", format="ringba", behaviour=TWELVE)
    ) as (bidders, ask):
        await ask("/n/ping", {**PING, "fields": {"email": "x"}})
        await ask("/n/ping", {"ping_id": "png_2"})
        await ask("/r/ping", {"CID": "+13105550123", "Name": "x"})
        await ask("/n/ping", data="[", headers={"Content-Type": "application/json"})
    assert bidders.wrong()[:7] == [
        "n: the ping tells the person's email",
        "n: the ping has no at",
        "n: the ping has no deadline_ms",
        "n: the ping has no channel",
        "n: the ping has no vertical",
        "r: CID begins with a plus",
        "r: the ping tells the person's Name",
    ]
    assert "n: the body cannot be read" in bidders.wrong()


async def test_a_bidder_that_expects_a_token_or_signature_answers_nobody_else() -> None:
    async with playing(
        Bidder(name="t", behaviour=TWELVE, token="s3cret"), Bidder(name="h", behaviour=TWELVE, key="k1")
    ) as (bidders, ask):
        body = json.dumps(PING).encode()
        digest = hmac.new(b"k1", b"1772384400." + body, hashlib.sha256).hexdigest()
        json_type = {"Content-Type": "application/json"}
        good = {**json_type, "X-Signature": f"t=1772384400,v1={digest}"}
        bad = {**json_type, "X-Signature": f"t=1772384401,v1={digest}"}
        statuses = [
            (await ask("/t/ping", PING))[0],
            (await ask("/t/ping", PING, headers={"Authorization": "Bearer s3cret"}))[0],
            (await ask("/t/post", lead("x")))[0],
            (await ask("/h/ping", data=body, headers=bad))[0],
            (await ask("/h/ping", data=body, headers=good))[0],
        ]
    assert statuses == [401, 200, 401, 401, 200]
    assert [one.bid_cents for one in bidders.pings()] == [None, 1_250, None, 1_250]


async def test_a_name_that_nobody_has_is_not_found() -> None:
    async with playing(Bidder(name="a", behaviour=TWELVE)) as (bidders, ask):
        with pytest.raises(json.JSONDecodeError):
            await ask("/nobody/ping", PING)
    assert list(bidders.received) == []
