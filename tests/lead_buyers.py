"""Buyers of forms on loopback: they bid and answer posts as a test says, and keep what they were told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec

import make
from callmatrix.api.hot import Receive, Scope, Send
from callmatrix.core.campaign import Bidder, NativeFormat, Offer
from callmatrix.core.documents import decode
from callmatrix.core.pricing import BidPrice
from served import answering

PHONE = "+14155550142"


class Buyers:
    """One server for all of them. `bids` and `answers` are by the offer's number: an amount, and what is
    answered to a post (a dict as JSON, an int as a status). `pings` and `posts` are (number, what was sent)
    in order. They answer while `bidding` and `go_on` are set."""

    def __init__(self) -> None:
        self.url = ""
        self.bids: dict[int, str] = {}
        self.answers: dict[int, dict[str, Any] | int] = {}
        self.pings: list[tuple[int, dict[str, Any]]] = []
        self.posts: list[tuple[int, dict[str, Any]]] = []
        self.pinged, self.asked = asyncio.Event(), asyncio.Event()
        self.bidding, self.go_on = asyncio.Event(), asyncio.Event()
        self.bidding.set()
        self.go_on.set()

    def offer(self, number: int, **changes: Any) -> Offer:
        """An offer of buyer `number` that bids and takes forms."""
        bidder = Bidder(
            format=NativeFormat(),
            ping_url=f"{self.url}/ping/{number}",
            post_url=f"{self.url}/post/{number}",
            **changes.pop("bidder", {}),
        )
        given = {"price": BidPrice(), "channels": ("form", "callback"), "bidder": bidder}
        return make.offer(number, **{**given, **changes})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        said = decode((await receive())["body"], dict[str, Any])
        _, kind, number = scope["path"].split("/")
        if kind == "ping":
            self.pings.append((int(number), said))
            self.pinged.set()
            await self.bidding.wait()
            bid = self.bids.get(int(number), "0")
            await _answer(send, 200, {"bid": bid, "bid_id": f"bid-{number}", "expires_in_s": 600})
            return
        self.posts.append((int(number), said))
        self.asked.set()
        await self.go_on.wait()
        await self.answer_post(int(number))
        answer = self.answers.get(int(number), {"accepted": True, "reference": f"lead-{number}"})
        if isinstance(answer, int):
            await _answer(send, answer, {})
        else:
            await _answer(send, 200, answer)

    async def answer_post(self, number: int) -> None:
        """What happens before a post is answered."""

    @property
    def posted_to(self) -> list[int]:
        """Who was posted to, in order."""
        return [number for number, _ in self.posts]


async def _answer(send: Send, status: int, body: dict[str, Any]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(body)})


SomeBuyers = TypeVar("SomeBuyers", bound=Buyers)


@asynccontextmanager
async def buyers(opened: SomeBuyers) -> AsyncIterator[SomeBuyers]:
    """Buyers who answer until the block ends."""
    async with answering(opened) as url:
        opened.url = url
        yield opened
