"""Writes down what auctions, pings and posts came to, behind the calls: never in the way of one."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, Literal

import msgspec

from callmatrix.core.auction import NoBidCode, PingResult
from callmatrix.core.ids import AccountId, BuyerId, CampaignId, OfferId
from callmatrix.dialects.http import HttpRequest
from callmatrix.live.redaction import MAX_READ, kept_reply, kept_request, kept_text
from callmatrix.store import pings
from callmatrix.store.db import Database, DatabaseGone
from callmatrix.store.pings import AuctionRecord, KeptAuction, KeptPing, KeptPost

MAX_WAITING: Final = 40_000
"""Pings and posts that may wait to be written; more are dropped, and counted."""
MAX_WAITING_BYTES: Final = 64_000_000
MAX_BATCH: Final = 200
"""Pings and posts of one write: what puts them into it keeps the process's calls waiting meanwhile."""
GATHER_S: Final = 0.2
"""How long what comes is gathered, so that a busy process writes seldom."""
RETRY_S: Final = 1.0
MAX_SHORT: Final = 500
"""Characters kept of a bidder's own ids and reasons."""

_log = logging.getLogger(__name__)


class PingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One ping as it went. `request` is None where none was put together; `secrets` are those that it was
    put together with."""

    result: PingResult
    buyer_id: BuyerId
    at: datetime
    request: HttpRequest | None = None
    reply: bytes = b""
    secrets: Mapping[str, str] = {}


class PostRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One try to tell a winner the lead: `attempt` counts from 1, `code` is "" where it was taken. Of the
    request nothing is kept: it is the person's own data."""

    id: str
    offer_id: OfferId
    buyer_id: BuyerId
    campaign_id: CampaignId
    lead_id: str
    ping_id: str
    at: datetime
    attempt: int = 1
    status: int = 0
    code: NoBidCode | Literal[""] = ""
    detail: str = ""
    reference: str = ""
    total_us: int = 0
    reply: bytes = b""
    secrets: Mapping[str, str] = {}


class _Auction(msgspec.Struct, frozen=True):
    account_id: AccountId
    auction: AuctionRecord
    pings: tuple[PingRecord, ...]
    number: str | None

    def size(self) -> tuple[int, int]:
        return len(self.pings) + 1, sum(_bytes(one.request) + len(one.reply) for one in self.pings)


class _Post(msgspec.Struct, frozen=True):
    account_id: AccountId
    post: PostRecord
    number: str | None

    def size(self) -> tuple[int, int]:
        return 1, len(self.post.reply)


class Evidence:
    """The process's queue of evidence, and the one task that writes it. `dropped` counts the pings and posts
    that were not kept."""

    def __init__(self, db: Database, *, keeps_bodies: bool = True) -> None:
        self._db = db
        self._keeps_bodies = keeps_bodies
        self._queue: deque[_Auction | _Post] = deque()
        self._waiting = 0
        self._waiting_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """How many pings, posts and auctions are not written yet."""
        return self._waiting

    def keep(
        self,
        account_id: AccountId,
        auction: AuctionRecord,
        pings: Sequence[PingRecord],
        *,
        number: str | None,
    ) -> None:
        """Keep an auction with its pings. `number` is the person's, masked wherever a text has it. Returns
        at once; it is written a moment later, or dropped where too much waits."""
        self._put(_Auction(account_id, auction, tuple(_short(one) for one in pings), number))

    def keep_post(self, account_id: AccountId, post: PostRecord, *, number: str | None) -> None:
        """As `keep`, for one try to post a lead."""
        reply = post.reply[: 4 * MAX_READ]
        self._put(_Post(account_id, msgspec.structs.replace(post, reply=reply), number))

    async def drain(self) -> None:
        """Return when everything is written or, where the database is gone, given up and counted."""
        self._hurry.set()
        while self._task is not None:
            await asyncio.wait([self._task])
        self._hurry.clear()

    def _put(self, item: _Auction | _Post) -> None:
        rows, size = item.size()
        if self._waiting + rows > MAX_WAITING or self._waiting_bytes + size > MAX_WAITING_BYTES:
            self.dropped += rows
            return
        self._queue.append(item)
        self._waiting += rows
        self._waiting_bytes += size
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._queue:
                if self._waiting < MAX_BATCH:
                    await self._pause(GATHER_S)
                await self._write(self._take())
        finally:
            self._task = None

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    def _take(self) -> list[_Auction | _Post]:
        batch: list[_Auction | _Post] = []
        rows = 0
        while self._queue and rows < MAX_BATCH:
            item = self._queue.popleft()
            rows += item.size()[0]
            batch.append(item)
        return batch

    async def _write(self, batch: Sequence[_Auction | _Post]) -> None:
        rows = sum(item.size()[0] for item in batch)
        try:
            auctions: list[KeptAuction] = []
            posts: list[KeptPost] = []
            for one in batch:
                if isinstance(one, _Auction):
                    auctions.append(self._kept_auction(one))
                else:
                    posts.append(self._kept_post(one))
                await asyncio.sleep(0)  # calls go first
            while not await self._written(auctions, posts):
                if self._hurry.is_set():
                    self.dropped += rows
                    return
                await self._pause(RETRY_S)
        except Exception:  # evidence is lost, and counted; the next may fare better
            _log.exception("evidence could not be kept")
            self.dropped += rows
        finally:
            self._waiting -= rows
            self._waiting_bytes -= sum(item.size()[1] for item in batch)

    async def _written(self, auctions: Sequence[KeptAuction], posts: Sequence[KeptPost]) -> bool:
        """Whether the database took them, as far as it ever will; False while it is gone."""
        try:
            async with self._db.transaction() as tx:
                await pings.write(tx, auctions, posts)
        except DatabaseGone:
            return False
        except Exception:  # what one of them holds must not keep the others from being written
            if len(auctions) + len(posts) == 1:
                raise
            for auction in auctions:
                await self._write_alone((auction,), ())
            for post in posts:
                await self._write_alone((), (post,))
        return True

    async def _write_alone(self, auctions: Sequence[KeptAuction], posts: Sequence[KeptPost]) -> None:
        try:
            async with self._db.transaction() as tx:
                await pings.write(tx, auctions, posts)
        except Exception:
            _log.exception("evidence could not be kept")
            self.dropped += sum(len(one.pings) + 1 for one in auctions) + len(posts)

    def _kept_auction(self, item: _Auction) -> KeptAuction:
        kept = tuple(self._kept_ping(one, item.number) for one in item.pings)
        return KeptAuction(account_id=item.account_id, auction=item.auction, pings=kept)

    def _kept_ping(self, one: PingRecord, number: str | None) -> KeptPing:
        secrets = tuple(one.secrets.values())
        short = _shortener(number, secrets)
        result, bid = one.result, one.result.bid
        bodies = self._keeps_bodies and one.request is not None
        return KeptPing(
            result=msgspec.structs.replace(
                result,
                detail=short(result.detail),
                bid=None if bid is None else msgspec.structs.replace(bid, bid_id=short(bid.bid_id)),
            ),
            buyer_id=one.buyer_id,
            at=one.at,
            request=kept_request(one.request, number=number, secrets=secrets)
            if bodies and one.request is not None
            else None,
            reply=kept_reply(one.reply, number=number, secrets=secrets) if bodies else None,
        )

    def _kept_post(self, item: _Post) -> KeptPost:
        post, secrets = item.post, tuple(item.post.secrets.values())
        short = _shortener(item.number, secrets)
        return KeptPost(
            account_id=item.account_id,
            id=post.id,
            offer_id=post.offer_id,
            buyer_id=post.buyer_id,
            campaign_id=post.campaign_id,
            lead_id=post.lead_id,
            ping_id=post.ping_id,
            at=post.at,
            attempt=post.attempt,
            status=post.status,
            code=post.code,
            detail=short(post.detail),
            reference=short(post.reference),
            total_us=post.total_us,
            reply=kept_reply(post.reply, number=item.number, secrets=secrets) if self._keeps_bodies else None,
        )


def _short(one: PingRecord) -> PingRecord:
    """Without what of a long answer is not looked at anyway: so much need not wait in memory."""
    if len(one.reply) <= 4 * MAX_READ:
        return one
    return msgspec.structs.replace(one, reply=one.reply[: 4 * MAX_READ])


def _shortener(number: str | None, secrets: Sequence[str]) -> Callable[[str], str]:
    def short(text: str) -> str:
        return kept_text(text, number=number, secrets=secrets, at_most=MAX_SHORT) if text else text

    return short


def _bytes(request: HttpRequest | None) -> int:
    return 0 if request is None else len(request.url) + len(request.body)
