"""Bidders for the API's tests: each path answers what it is told to, over real HTTP on loopback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import make
import served
from callmatrix.api.hot import Receive, Scope, Send
from callmatrix.core.campaign import Bidder, Campaign, NativeFormat, Offer
from callmatrix.core.documents import encode
from callmatrix.core.pricing import BidPrice
from callmatrix.live.app import App
from callmatrix.store import catalog
from callmatrix.store.audit import By


class Bidders:
    """`answers` by path: a status and a body; `heard` is what came, body and headers."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.heard: list[tuple[str, bytes, dict[str, str]]] = []

    def bid(self, path: str, amount: str, **more: Any) -> None:
        """Let a path bid."""
        self.answers[path] = (200, encode({"bid": amount, "bid_id": f"bid{path}", **more}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.heard.append((scope["path"], body, headers))
        status, answer = self.answers.get(scope["path"], (404, b""))
        named = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": named})
        await send({"type": "http.response.body", "body": answer})


@asynccontextmanager
async def bidders_answering() -> AsyncIterator[Bidders]:
    """Bidders that listen."""
    found = Bidders()
    async with served.answering(found) as url:
        found.url = url
        yield found


def asking(bidders: Bidders, number: int, **changes: Any) -> Offer:
    """Offer `number`, whose bidder is asked at `/<number>`."""
    given = {"format": NativeFormat(), "ping_url": f"{bidders.url}/{number}", "timeout_ms": 30_000, **changes}
    return make.offer(number, price=BidPrice(floor=make.usd("1")), bidder=Bidder(**given))


async def auctioned(app: App, *offers: Offer, **changes: Any) -> Campaign:
    """Let these offers take part in the campaign, and no other."""
    by = By(who="usr_seed", at=app.world.now())
    campaign = make.campaign(*offers, **changes)
    async with app.db.transaction() as tx:
        for offer in offers:
            if await catalog.find(tx, make.ACCOUNT, Offer, offer.id) is None:
                await catalog.create(tx, make.ACCOUNT, make.buyer(id=offer.buyer_id), by=by)
                await catalog.create(tx, make.ACCOUNT, offer, by=by)
            else:
                await catalog.change(tx, make.ACCOUNT, offer, by=by)
        await catalog.change(tx, make.ACCOUNT, campaign, by=by)
    assert await app.catalog.current(make.ACCOUNT, make.CAMPAIGN) is not None
    await app.masks.refresh()
    return campaign
