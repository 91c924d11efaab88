"""What happens to calls and leads, as it happens: one reader of the outbox per process, many subscribers."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, Literal

import msgspec

from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId, BuyerId, CampaignId, PublisherId
from callmatrix.store import outbox
from callmatrix.store.db import Database, DatabaseGone
from callmatrix.store.outbox import CHANNEL, Foreign, LeadOutboxEvent, OutboxEvent, Watermark

# Writers tell the readers at most so often: each notification takes a lock of the whole cluster at commit.
TICK_S: Final = 0.02
# Without any notification (its sender died between save and tick) events are found so much later at most.
POLL_S: Final = 0.5
RETRY_S: Final = 1.0
MAX_PAGES_AT_ONCE: Final = 100
MAX_SUBSCRIPTIONS: Final = 2_000
MAX_QUEUED: Final = 1_000
# Who was away for longer asks for the lists again instead of for every event of them.
MAX_RESUMED: Final = 10_000

EndReason = Literal[
    "lagged",  # took the events more slowly than they came; resume by the watermark
    "restarted",  # the database goes on with another history (restored, or a standby took over)
    "closed",  # this process ends
]

Happened = OutboxEvent | LeadOutboxEvent

_log = logging.getLogger(__name__)


class Audience(msgspec.Struct, frozen=True, kw_only=True):
    """Who listens: one account, and of it only what is named. No `kinds` are all kinds."""

    account_id: AccountId
    buyer_id: BuyerId | None = None
    publisher_id: PublisherId | None = None
    campaign_id: CampaignId | None = None
    kinds: frozenset[str] = frozenset()

    def sees(self, event: Happened) -> bool:
        """Whether an event is for this audience, as its call or lead stands now."""
        call = event.call if isinstance(event, OutboxEvent) else event.lead
        return (
            event.account_id == self.account_id
            and (self.buyer_id is None or call["buyer_id"] == self.buyer_id)
            and (self.publisher_id is None or call["publisher_id"] == self.publisher_id)
            and (self.campaign_id is None or call["campaign_id"] == self.campaign_id)
            and (not self.kinds or event.kind in self.kinds)
        )


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """No more events come by this subscription."""

    reason: EndReason


class Subscription:
    """A bounded queue of one subscriber's events, those after `since`."""

    __slots__ = ("_ended", "_feed", "_queue", "_wake", "audience", "since")

    def __init__(self, feed: "Feed", audience: Audience, since: Watermark) -> None:
        self._feed = feed
        self._queue: deque[Happened] = deque()
        self._wake = asyncio.Event()
        self._ended: EndReason | None = None
        self.audience = audience
        self.since = since

    async def next(self, *, timeout_s: float) -> Happened | Ended | None:
        """The next event, or that there will be none, or None after `timeout_s` without either."""
        if not self._queue and self._ended is None:
            self._wake.clear()
            await _set_within(self._wake, timeout_s)
        if self._queue:
            return self._queue.popleft()
        return Ended(reason=self._ended) if self._ended is not None else None

    @property
    def position(self) -> Watermark | None:
        """Up to where this subscriber has seen all; None while events are queued or after the end."""
        return self._feed.position if not self._queue and self._ended is None else None

    def put(self, event: Happened) -> bool:
        """Queue an event; False where there is no room."""
        if len(self._queue) >= MAX_QUEUED:
            return False
        self._queue.append(event)
        self._wake.set()
        return True

    def end(self, reason: EndReason) -> None:
        """Let what is queued be taken, then nothing more."""
        self._ended = reason
        self._wake.set()


class Feed:
    """The process's reader and its subscribers; `open_feed` runs it."""

    def __init__(self, db: Database, *, position: Watermark, poll_s: float = POLL_S) -> None:
        self._db = db
        self._poll_s = poll_s
        self._saved = asyncio.Event()
        self._heard = asyncio.Event()
        self._wanted = asyncio.Event()
        self._subscriptions: dict[AccountId, set[Subscription]] = {}
        self.position = position
        self.lagged = 0

    def saved(self) -> None:
        """Events were committed: tell every process's reader at the next tick."""
        self._saved.set()

    @property
    def subscribers(self) -> int:
        """How many listen now."""
        return sum(len(each) for each in self._subscriptions.values())

    def refuse_when_full(self) -> None:
        """Raise `Refused("unavailable")` where nobody more can listen."""
        if self.subscribers >= MAX_SUBSCRIPTIONS:
            raise Refused("unavailable", f"This process serves {MAX_SUBSCRIPTIONS} live streams at most")

    @asynccontextmanager
    async def subscribe(self, audience: Audience) -> AsyncIterator[Subscription]:
        """Listen from now on: to every event after `Subscription.since`."""
        self.refuse_when_full()
        subscription = Subscription(self, audience, self.position)
        self._subscriptions.setdefault(audience.account_id, set()).add(subscription)
        self._wanted.set()
        try:
            yield subscription
        finally:
            self._drop(subscription)

    async def missed(
        self, subscription: Subscription, after: Watermark
    ) -> AsyncGenerator[Happened | Foreign | None, None]:
        """The events after `after` up to where `subscription` began, from the database.

        Ends with `Foreign` where `after` is of another history, with None where more than `MAX_RESUMED`
        events (of every audience) lie between.
        """
        for _ in range(MAX_RESUMED // outbox.MAX_PAGE):
            async with self._db.session() as tx:
                page = await outbox.read(tx, after)
            if isinstance(page, Foreign) or subscription.since.epoch != after.epoch:
                yield page if isinstance(page, Foreign) else None
                return
            for event in page.events:
                if not subscription.since.covers(event.watermark):
                    return
                if subscription.audience.sees(event):
                    yield event
            if len(page.events) < outbox.MAX_PAGE:
                return
            after = page.next
        yield None

    async def tick(self) -> None:
        """Tell the readers what `saved` was told, at most once per `TICK_S`, until cancelled."""
        while True:
            await self._saved.wait()
            self._saved.clear()
            try:
                async with self._db.session() as tx:
                    await outbox.notify(tx)
            except DatabaseGone:
                pass  # every reader polls
            except Exception:  # no failure may end the ticking
                _log.exception("a notification failed")
            await asyncio.sleep(TICK_S)

    async def follow(self) -> None:
        """Read and hand out what is saved by any process, until cancelled."""
        while True:
            try:
                async with self._db.listening(CHANNEL, self._heard.set) as lost:
                    while not lost.is_set():
                        await self._read_and_wait()
            except DatabaseGone:
                pass
            except Exception:  # no failure may end the reading
                _log.exception("the live feed failed")
            await asyncio.sleep(RETRY_S)

    async def _read_and_wait(self) -> None:
        self._heard.clear()
        if not self._subscriptions:
            self._wanted.clear()
            await self._skip_on()
            await _set_within(self._wanted, self._poll_s)
            return
        holds_back = await self.read_on()
        # Events behind an older transaction get no notification of their own when it ends.
        wait_s = min(TICK_S, self._poll_s) if holds_back else self._poll_s
        await _set_within(self._heard, wait_s)

    async def _skip_on(self) -> None:
        """Nobody listens here: the position is kept near to the end, and no event is read for it."""
        async with self._db.session() as tx:
            tail = await outbox.tail(tx)
        if not self._subscriptions:  # who came meanwhile listens from the position that was
            self.position = tail

    async def read_on(self) -> bool:
        """Hand out what is readable now; returns whether more is committed but not readable yet."""
        for _ in range(MAX_PAGES_AT_ONCE):
            async with self._db.session() as tx:
                page = await outbox.read(tx, self.position)
            if isinstance(page, Foreign):
                self.position = page.tail
                self._end_all("restarted")
                return False
            for event in page.events:
                self._hand_out(event)
            self.position = page.next
            if len(page.events) < outbox.MAX_PAGE:
                return page.holds_back
        return True

    def close(self) -> None:
        """End every subscription."""
        self._end_all("closed")

    def _hand_out(self, event: Happened) -> None:
        for subscription in tuple(self._subscriptions.get(event.account_id, ())):
            if subscription.audience.sees(event) and not subscription.put(event):
                self.lagged += 1
                subscription.end("lagged")
                self._drop(subscription)

    def _end_all(self, reason: EndReason) -> None:
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.end(reason)
        self._subscriptions.clear()

    def _drop(self, subscription: Subscription) -> None:
        account_id = subscription.audience.account_id
        left = self._subscriptions.get(account_id)
        if left is not None:
            left.discard(subscription)
            if not left:
                del self._subscriptions[account_id]


async def _set_within(event: asyncio.Event, timeout_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()


@asynccontextmanager
async def open_feed(db: Database, *, poll_s: float = POLL_S) -> AsyncIterator[Feed]:
    """A running feed that begins now, on a migrated database."""
    async with db.transaction() as tx:
        await outbox.adopt(tx)
        position = await outbox.tail(tx)
    feed = Feed(db, position=position, poll_s=poll_s)
    tasks = (asyncio.create_task(feed.tick()), asyncio.create_task(feed.follow()))
    try:
        yield feed
    finally:
        feed.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
