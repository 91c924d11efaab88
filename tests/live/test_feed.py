"""The live feed: told by notification or found by polling, each to whom it may concern, none lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest

import make
from arrivals import arrive
from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId, BuyerId, CampaignId, PublisherId
from callmatrix.live import feed as live_feed
from callmatrix.live.feed import Audience, Ended, Feed, Subscription, open_feed
from callmatrix.store import outbox
from callmatrix.store.db import Database
from callmatrix.store.outbox import Foreign, OutboxEvent, Watermark

ALL = Audience(account_id=make.ACCOUNT)
# Long enough never to be what a passing test waits for.
PATIENCE_S = 60.0


async def save(db: Database, *names: str, **changes: object) -> None:
    for name in names:
        async with db.transaction() as tx:
            await arrive(tx, name, **changes)


async def read_on(feed: Feed) -> None:
    """Read what is committed. Transactions of other tests, in other databases, hold readers back."""
    while await feed.read_on():
        pass


async def taken(subscription: Subscription) -> str:
    """The call of the next event, or why there is none."""
    event = await subscription.next(timeout_s=PATIENCE_S)
    match event:
        case OutboxEvent():
            return event.call_id
        case Ended():
            return event.reason
        case None:
            return "nothing"


async def still(db: Database) -> Feed:
    """A feed that reads only when it is told to."""
    async with db.session() as tx:
        return Feed(db, position=await outbox.tail(tx))


@pytest.fixture
async def by_notification(db: Database) -> AsyncIterator[Feed]:
    async with open_feed(db, poll_s=PATIENCE_S) as feed:
        yield feed


async def test_every_process_hears_of_what_one_of_them_saved(db: Database, by_notification: Feed) -> None:
    async with open_feed(db, poll_s=PATIENCE_S) as other, other.subscribe(ALL) as there:
        async with by_notification.subscribe(ALL) as here:
            heard = asyncio.create_task(taken(here)), asyncio.create_task(taken(there))
            await save(db, "call_1")
            while not all(task.done() for task in heard):
                # The readers may still be about to listen; they are told until they have heard.
                by_notification.saved()
                await db.ping()
            assert [task.result() for task in heard] == ["call_1", "call_1"]


async def test_what_nobody_told_of_is_found_by_polling(db: Database) -> None:
    async with open_feed(db, poll_s=0.01) as feed, feed.subscribe(ALL) as subscription:
        await save(db, "call_1", "call_2")
        assert [await taken(subscription), await taken(subscription)] == ["call_1", "call_2"]


async def test_a_thousand_saves_at_once_are_one_notification(db: Database) -> None:
    heard: list[str] = []
    changed = asyncio.Event()

    def hear() -> None:
        heard.append("notified")
        changed.set()

    async with db.listening(outbox.CHANNEL, hear):
        feed = await still(db)
        for _ in range(1_000):
            feed.saved()
        ticking = asyncio.create_task(feed.tick())
        await changed.wait()
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        changed.clear()
        async with db.session() as tx:
            await outbox.notify(tx)
        await changed.wait()
        assert len(heard) == 2


async def test_a_lost_listener_is_replaced(db: Database) -> None:
    async with open_feed(db, poll_s=0.01) as feed, feed.subscribe(ALL) as subscription:
        await save(db, "call_1")
        assert await taken(subscription) == "call_1"
        async with db.session() as tx:
            ended = await tx.fetchval(
                "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity"
                " where query ilike 'listen%' and datname = current_database()"
            )
        assert ended == 1
        await save(db, "call_2")
        assert await taken(subscription) == "call_2"


async def test_each_audience_is_told_only_what_is_its_own(db: Database) -> None:
    feed = await still(db)
    audiences = {
        "all": ALL,
        "other account": Audience(account_id=AccountId("acc_2")),
        "campaign": Audience(account_id=make.ACCOUNT, campaign_id=CampaignId("cmp_2")),
        "publisher": Audience(account_id=make.ACCOUNT, publisher_id=make.PUBLISHER),
        "other publisher": Audience(account_id=make.ACCOUNT, publisher_id=PublisherId("pub_2")),
        "buyer": Audience(account_id=make.ACCOUNT, buyer_id=BuyerId("buy_1")),
        "kind": Audience(account_id=make.ACCOUNT, kinds=frozenset({"arrived"})),
        "other kind": Audience(account_id=make.ACCOUNT, kinds=frozenset({"leg_ended", "call_ended"})),
    }
    told: dict[str, list[str]] = {}
    async with db.transaction() as tx:
        await arrive(tx, "call_1")
        await arrive(tx, "call_2", campaign_id=CampaignId("cmp_2"))
        await tx.execute("update call set buyer_id = 'buy_1' where id = 'call_2'")
    page = await _events(db, feed.position)
    for name, audience in audiences.items():
        told[name] = [event.call_id for event in page if audience.sees(event)]
    assert told == {
        "all": ["call_1", "call_2"],
        "other account": [],
        "campaign": ["call_2"],
        "publisher": ["call_1", "call_2"],
        "other publisher": [],
        "buyer": ["call_2"],
        "kind": ["call_1", "call_2"],
        "other kind": [],
    }


async def test_who_is_too_slow_gets_what_was_queued_and_then_lagged(db: Database) -> None:
    feed = await still(db)
    async with feed.subscribe(ALL) as slow, feed.subscribe(ALL) as quick:
        await save(db, "call_1")
        await read_on(feed)
        assert await taken(quick) == "call_1"
        (event,) = await _events(db, slow.since)
        while slow.put(event):
            pass
        await save(db, "call_2")
        await read_on(feed)
        assert await taken(quick) == "call_2"
        assert (feed.lagged, feed.subscribers, slow.position) == (1, 1, None)
        reasons = [await taken(slow) for _ in range(live_feed.MAX_QUEUED + 1)]
    assert reasons == ["call_1"] * live_feed.MAX_QUEUED + ["lagged"]


async def _events(db: Database, after: Watermark) -> tuple[OutboxEvent, ...]:
    while True:
        async with db.session() as tx:
            page = await outbox.read(tx, after)
        assert isinstance(page, outbox.Page)
        if not page.holds_back:
            return page.events


async def test_what_was_missed_and_what_is_new_join_without_gap_or_repeat(db: Database) -> None:
    feed = await still(db)
    start = feed.position
    await save(db, "call_1", "call_2")
    await read_on(feed)
    async with db.transaction() as late:
        await arrive(late, "call_late")
        await save(db, "call_3")
        assert await feed.read_on() is True
        async with feed.subscribe(ALL) as subscription:
            await save(db, "call_4")
            missed = [event async for event in feed.missed(subscription, start)]
            assert await feed.read_on() is True
            assert [event.call_id for event in missed if isinstance(event, OutboxEvent)] == [
                "call_1",
                "call_2",
            ]
            assert subscription.position == feed.position
    async with feed.subscribe(ALL) as subscription:
        await read_on(feed)
        assert [await taken(subscription) for _ in range(3)] == ["call_late", "call_3", "call_4"]
        assert subscription.position == feed.position


async def test_missed_events_are_only_those_that_the_audience_sees(db: Database) -> None:
    feed = await still(db)
    start = feed.position
    await save(db, "call_1")
    await save(db, "call_2", campaign_id=CampaignId("cmp_2"))
    await read_on(feed)
    async with feed.subscribe(Audience(account_id=make.ACCOUNT, campaign_id=make.CAMPAIGN)) as subscription:
        missed = [event async for event in feed.missed(subscription, start)]
    assert [event.call_id for event in missed if isinstance(event, OutboxEvent)] == ["call_1"]
    assert len(missed) == 1


async def test_a_watermark_of_another_history_is_said_to_be_one(db: Database) -> None:
    feed = await still(db)
    async with feed.subscribe(ALL) as subscription:
        missed = [
            event async for event in feed.missed(subscription, Watermark(epoch="1-00000001-5", xid=1, id=1))
        ]
    (foreign,) = missed
    assert isinstance(foreign, Foreign)


async def test_when_the_database_is_another_one_every_subscription_ends_and_the_feed_goes_on(
    db: Database,
) -> None:
    feed = Feed(db, position=Watermark(epoch="1-00000001-5", xid=1, id=1))
    async with feed.subscribe(ALL) as subscription:
        await read_on(feed)
        assert await taken(subscription) == "restarted"
    async with feed.subscribe(ALL) as subscription:
        await save(db, "call_1")
        await read_on(feed)
        assert await taken(subscription) == "call_1"


async def test_a_closed_feed_ends_its_subscriptions(db: Database) -> None:
    async with open_feed(db) as feed:
        async with feed.subscribe(ALL) as subscription:
            feed.close()
            assert await taken(subscription) == "closed"


async def test_subscriptions_are_counted_and_bounded(db: Database) -> None:
    feed = await still(db)
    opened = [feed.subscribe(ALL) for _ in range(live_feed.MAX_SUBSCRIPTIONS)]
    for each in opened:
        await each.__aenter__()
    with pytest.raises(Refused, match="at most"):
        feed.refuse_when_full()
    for each in opened:
        await each.__aexit__(None, None, None)
    assert feed.subscribers == 0


async def test_nothing_within_the_time_is_none(db: Database) -> None:
    feed = await still(db)
    async with feed.subscribe(ALL) as subscription:
        assert await subscription.next(timeout_s=0.001) is None
