"""What the gateway's tests share: a customer's application, scripts, and records fit for comparison."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from callmatrix.gateway.callers import Behaviour, Caller
from callmatrix.gateway.carrier import Carrier
from callmatrix.gateway.records import CallRecord

START_MS = 1_790_000_000_000
DIALED = "+18005550100"
CALLER = "+13105550123"
ACCOUNT = "AC" + "0" * 32
TOKEN = "a token of the tests"
BUYER = "+12135550111"

CarrierOf = Callable[..., Carrier]


@dataclass(kw_only=True)
class Received:
    """One request as the application got it."""

    path: str
    url: str
    method: str
    params: dict[str, str]
    headers: dict[str, str]


@dataclass(kw_only=True)
class Application:
    """Answers paths with TwiML (what goes inside Response), a status, or one whole reply; keeps what came.

    A list is used up from the front, its last staying; anything else gets 204.
    """

    base: str = ""
    pages: dict[str, Any] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    before_reply: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)

    def to(self, path: str) -> list[dict[str, str]]:
        return [request.params for request in self.received if request.path == path]

    def paths(self) -> list[str]:
        return [request.path for request in self.received]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        form = await request.post() if request.method == "POST" else request.query
        self.received.append(
            Received(
                path=request.path,
                url=self.base + request.raw_path,
                method=request.method,
                params={key: str(value) for key, value in form.items()},
                headers=dict(request.headers),
            )
        )
        if request.path in self.before_reply:
            await self.before_reply[request.path]()
        page = self.pages.get(request.path)
        if isinstance(page, list):
            page = page.pop(0) if len(page) > 1 else page[0]
        if page is None or isinstance(page, int):
            return web.Response(status=page or 204)
        if isinstance(page, web.StreamResponse):
            return page
        return web.Response(text=f"<Response>{page}</Response>", content_type="text/xml")


def buyers(behaviour: Behaviour) -> Callable[[str, int], Behaviour]:
    """Every destination behaves so."""

    def of(_destination: str, _draw: int) -> Behaviour:
        return behaviour

    return of


def script(**options: Any) -> Caller:
    return Caller(**({"number": CALLER, "dialed": DIALED} | options))


def plain(record: CallRecord, base: str) -> CallRecord:
    """The record with its generated sids blanked and its addresses without the host."""
    return msgspec.structs.replace(
        record,
        sid="",
        legs=tuple(msgspec.structs.replace(leg, sid="") for leg in record.legs),
        recordings=tuple(msgspec.structs.replace(recording, sid="") for recording in record.recordings),
        webhooks=tuple(
            msgspec.structs.replace(posted, url=posted.url.removeprefix(base)) for posted in record.webhooks
        ),
    )
