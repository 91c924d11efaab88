"""Formats against bidders over real HTTP, who read the format with code of their own."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from bidder_cases import NUMBER, ping, post
from msgspec.structs import replace
from yarl import URL

from callmatrix.core.auction import NoBid, Offered, Posted, PostRefused
from callmatrix.core.campaign import (
    BearerAuth,
    Bidder,
    HmacAuth,
    NativeFormat,
    PhoneDestination,
    ReadField,
    RingbaFormat,
    TemplateFormat,
)
from callmatrix.core.money import Money
from callmatrix.dialects.bidders import complaints, ping_request, post_request, read_ping, read_post
from callmatrix.dialects.http import HttpReply, HttpRequest
from callmatrix.gateway import bidders as stubs
from callmatrix.world import RealWorld

Exchange = Callable[[HttpRequest], Any]
BIDS = stubs.Bids(low_cents=1_250, high_cents=1_250)
SECRETS = {"token": "t-1", "key": "k-1"}
DIALLED = PhoneDestination(number="+14155550100")


@asynccontextmanager
async def playing(*played: stubs.Bidder) -> AsyncIterator[tuple[stubs.Bidders, str, Exchange]]:
    """The stubs on loopback, their address, and a client that sends a request as it is."""
    bidders = stubs.Bidders(played, seed=1, world=RealWorld())
    runner = web.AppRunner(stubs.bidders_app(bidders))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with aiohttp.ClientSession() as session:

        async def send(request: HttpRequest) -> HttpReply:
            async with session.request(
                request.method, URL(request.url, encoded=True), headers=request.headers, data=request.body
            ) as reply:
                headers = {name.lower(): value for name, value in reply.headers.items()}
                return HttpReply(status=reply.status, body=await reply.read(), headers=headers)

        try:
            yield bidders, f"http://{host}:{port}", send
        finally:
            await runner.cleanup()


def asked(request: HttpRequest | NoBid | None) -> HttpRequest:
    assert isinstance(request, HttpRequest)
    return request


@pytest.mark.parametrize(
    ("stub", "bidder"),
    [
        (stubs.Bidder(name="a", behaviour=BIDS), {"format": NativeFormat()}),
        (
            stubs.Bidder(name="a", behaviour=BIDS, token="t-1"),
            {"format": NativeFormat(), "authentication": BearerAuth()},
        ),
        (
            stubs.Bidder(name="a", behaviour=BIDS, key="k-1"),
            {"format": NativeFormat(), "authentication": HmacAuth()},
        ),
        (stubs.Bidder(name="a", format="ringba", behaviour=BIDS), {"format": RingbaFormat()}),
        (stubs.Bidder(name="a", format="ringba", behaviour=BIDS), {"format": RingbaFormat(encoding="xml")}),
        (
            stubs.Bidder(name="a", format="ringba", behaviour=BIDS, key="k-1"),
            {"format": RingbaFormat(encoding="query"), "method": "GET", "authentication": HmacAuth()},
        ),
        (
            stubs.Bidder(name="a", format="ringba", behaviour=BIDS, key="k-1"),
            {"format": RingbaFormat(encoding="query"), "authentication": HmacAuth()},
        ),
    ],
)
async def test_a_ping_is_bid_on_and_the_lead_taken_without_a_complaint_on_either_side(
    stub: stubs.Bidder, bidder: dict[str, Any]
) -> None:
    world = RealWorld()
    async with playing(replace(stub, number=DIALLED.number)) as (played, base, send):
        buyer = Bidder(ping_url=f"{base}/a/ping", post_url=f"{base}/a/post", **bidder)
        at = world.now()
        fields = {"homeowner": "yes & no", "note": 'a <b> "c" ünïcode'}
        told = ping(at=at, number=NUMBER, fields=fields)
        reply = await send(asked(ping_request(told, buyer, SECRETS, at=at)))
        bid = read_ping(reply, buyer, at=at)
        assert isinstance(bid, Offered)
        assert (bid.amount, bid.destination) == (Money.parse("12.50"), DIALLED)
        assert complaints(reply, buyer, at=at) == ()
        lead = post(at=at, bid_id=bid.bid_id, amount=bid.amount, ping_id=told.id)
        answer = await send(asked(post_request(lead, buyer, SECRETS, at=at)))
        assert read_post(answer, buyer) == Posted(reference=bid.bid_id)
    assert played.wrong() == []
    (heard,) = played.pings()
    said = heard.said["fields"] if stub.format == "native" else heard.said
    assert {name: said[name] for name in fields} == fields


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (stubs.Declines(reason="Closed"), NoBid(code="no_bid", detail="Closed")),
        (stubs.Errors(status=503), NoBid(code="http_error", detail="Status 503")),
        (stubs.Malformed(), NoBid(code="malformed", detail="The reply is not JSON")),
    ],
)
async def test_what_is_no_bid_is_read_as_none(behaviour: stubs.Behaviour, expected: NoBid) -> None:
    world = RealWorld()
    async with playing(stubs.Bidder(name="a", behaviour=behaviour)) as (_played, base, send):
        buyer = Bidder(format=NativeFormat(), ping_url=f"{base}/a/ping")
        reply = await send(asked(ping_request(ping(), buyer, {}, at=world.now())))
        assert read_ping(reply, buyer, at=world.now()) == expected


async def test_a_wrong_secret_and_a_refused_lead_are_noes() -> None:
    world = RealWorld()
    stub = stubs.Bidder(name="a", behaviour=BIDS, posts=stubs.Refuses(reason="Seen before"), token="t-1")
    async with playing(stub) as (_played, base, send):
        buyer = Bidder(
            format=NativeFormat(),
            ping_url=f"{base}/a/ping",
            post_url=f"{base}/a/post",
            authentication=BearerAuth(),
        )
        at = world.now()
        reply = await send(asked(ping_request(ping(), buyer, {"token": "other"}, at=at)))
        assert read_ping(reply, buyer, at=at) == NoBid(code="http_error", detail="Status 401: Unauthorized")
        reply = await send(asked(ping_request(ping(), buyer, SECRETS, at=at)))
        bid = read_ping(reply, buyer, at=at)
        assert isinstance(bid, Offered)
        answer = await send(asked(post_request(post(bid_id=bid.bid_id), buyer, SECRETS, at=at)))
        assert read_post(answer, buyer) == PostRefused(code="no_bid", detail="Seen before")


async def test_a_template_speaks_the_native_format_with_no_code() -> None:
    """The same bidder that the native format is for, described as if it were a stranger."""
    world = RealWorld()
    form = TemplateFormat(
        ping={
            **{name: "{" + name + "}" for name in ("ping_id", "at", "channel", "vertical", "zip")},
            "deadline_ms": "={deadline_ms}",
            "fields.homeowner": "{field:homeowner}",
        },
        post={
            **{name: "{" + name + "}" for name in ("ping_id", "bid_id", "lead_id", "at", "channel")},
            **{name: "{" + name + "}" for name in ("vertical", "amount", "number")},
        },
        read_ping={
            "amount": ReadField(path="bid", conversion="money"),
            "currency": ReadField(path="currency"),
            "bid_id": ReadField(path="bid_id"),
            "destination": ReadField(path="phone_number", conversion="phone"),
            "expires_in_s": ReadField(path="expires_in_s", conversion="seconds"),
            "reason": ReadField(path="reason"),
        },
        read_post={
            "accepted": ReadField(path="accepted", conversion="yes_no"),
            "reference": ReadField(path="reference"),
        },
    )
    async with playing(stubs.Bidder(name="a", behaviour=BIDS, number=DIALLED.number)) as (played, base, send):
        buyer = Bidder(format=form, ping_url=f"{base}/a/ping", post_url=f"{base}/a/post")
        native = Bidder(format=NativeFormat(), ping_url=f"{base}/a/ping")
        at = world.now()
        reply = await send(asked(ping_request(ping(at=at), buyer, {}, at=at)))
        bid = read_ping(reply, buyer, at=at)
        assert isinstance(bid, Offered)
        assert bid == read_ping(reply, native, at=at)
        answer = await send(asked(post_request(post(bid_id=bid.bid_id), buyer, {}, at=at)))
        assert read_post(answer, buyer) == Posted(reference=bid.bid_id)
    assert played.wrong() == []
