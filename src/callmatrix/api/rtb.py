"""The raw ASGI lane of RTB requests: who may ask is checked, the request read, and the bid told in time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs

import msgspec

from callmatrix.api.raw import Receive, Scope, Send, answer, problem_reply, read_body
from callmatrix.core.campaign import may_come_from
from callmatrix.core.errors import Refused
from callmatrix.core.ids import BidId
from callmatrix.core.rtb import RtbRefused, read_request
from callmatrix.dialects.rtb import Answer, Format, NoSale, format_of, read_values, render, split_name
from callmatrix.live.app import App
from callmatrix.live.endpoints import Seller
from callmatrix.live.rtb import Desk
from callmatrix.store.db import DatabaseGone
from callmatrix.store.rtb import Made

PREFIX: Final = "/rtb/"
MAX_BODY_BYTES: Final = 65_536
MAX_QUERY_BYTES: Final = 8_192
MAX_NAME_CHARS: Final = 120
BODY_TIMEOUT_S: Final = 2.0
# Requests being priced at once in one process; those beyond get a refusal at once instead of a late bid.
MAX_AT_ONCE: Final = 300
# The longest auction, and what else a bid takes.
DEADLINE_S: Final = 5.0
_METHODS: Final = ("GET", "POST")

_log = logging.getLogger(__name__)


class RtbCounters(msgspec.Struct):
    """What this process's lane saw."""

    now: int = 0
    shed: int = 0
    late: int = 0
    not_signed_in: int = 0


class RtbLane:
    """An ASGI callable for `/rtb/…`; everything else goes to `rest`."""

    def __init__(
        self,
        app: App,
        rest: Callable[..., Awaitable[None]],
        *,
        max_at_once: int = MAX_AT_ONCE,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._app = app
        self._rest = rest
        self._desk = Desk(app)
        self._max_at_once = max_at_once
        self._deadline_s = deadline_s
        self.counters = RtbCounters()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._rest(scope, receive, send)
            return
        try:
            content_type, body = await self._answer(scope, receive)
            status = 200
        except Refused as refused:
            status, content_type, body = problem_reply(refused)
        await answer(send, status, content_type, body)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[bytes, bytes]:
        if scope["method"] not in _METHODS:
            raise Refused("wrong_method", "Bids are asked for by GET or POST")
        query = scope["query_string"]
        if len(query) > MAX_QUERY_BYTES:
            raise Refused("too_large", f"A query has at most {MAX_QUERY_BYTES} bytes")
        asked, extension = split_name(scope["path"].removeprefix(PREFIX)[:MAX_NAME_CHARS])
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        seller = self._seller(asked, query.decode("latin-1"), headers, scope)
        body = await read_body(receive, headers, most=MAX_BODY_BYTES, within_s=BODY_TIMEOUT_S)
        values = read_values(
            query=query.decode("latin-1"), content_type=headers.get("content-type", ""), body=body
        )
        how = format_of(extension, values.pop("format", ""), headers.get("accept", ""))
        values.pop("key", None)
        return await self._told(seller, values, how)

    def _seller(self, asked: str, query: str, headers: dict[str, str], scope: Scope) -> Seller:
        """The endpoint that is asked, if the one who asks has its key and comes from where it is allowed."""
        seller = self._app.catalog.seller(asked)
        if seller is None:
            raise Refused("not_found", "There is no such endpoint")
        if not seller.opens(_key(query, headers), self._app.world.now()):
            self.counters.not_signed_in += 1
            raise Refused("not_signed_in", "Send the endpoint's key: as `key`, a bearer token or X-Api-Key")
        client = scope.get("client")
        if not may_come_from(seller.endpoint, client[0] if client else ""):
            raise Refused("not_allowed", "This address is not on the endpoint's list")
        return seller

    async def _told(self, seller: Seller, values: dict[str, str], how: Format) -> tuple[bytes, bytes]:
        if self.counters.now >= self._max_at_once:
            self.counters.shed += 1
            return render(NoSale(bid_id="", code="overloaded"), how)
        self.counters.now += 1
        try:
            async with asyncio.timeout(self._deadline_s):
                told = await self._desk.ask(seller, read_request(values))
        except TimeoutError:
            self.counters.late += 1
            told = RtbRefused(code="overloaded", bid_id=BidId(""))
        except DatabaseGone:
            _log.warning("the database is gone: %s cannot bid", seller.endpoint.id)
            raise Refused("unavailable", "Bids cannot be kept right now; ask again a little later") from None
        finally:
            self.counters.now -= 1
        return render(_answer_of(told, self._app.world.now()), how)


def _key(query: str, headers: dict[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    named = headers.get("x-api-key", "")
    if named:
        return named.strip()
    try:
        return parse_qs(query, max_num_fields=200).get("key", [""])[0]
    except ValueError:
        return ""


def _answer_of(told: Made | RtbRefused, now: datetime) -> Answer | NoSale:
    if isinstance(told, RtbRefused):
        return NoSale(bid_id=told.bid_id, code=told.code)
    bid = told.bid
    return Answer(
        bid_id=bid.id,
        amount=bid.amount,
        now=now,
        expires_at=bid.expires_at,
        number=bid.number,
        sip_host=bid.sip_host,
        min_s=bid.min_s,
        duplicate_days=bid.sold.duplicate_days,
        repeated=told.repeated,
    )
