"""Readers of the outbox miss nothing that commits late, and go on where they were or are told otherwise."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

import make
from arrivals import AT, arrive
from callmatrix.store import outbox
from callmatrix.store.db import Database
from callmatrix.store.outbox import Foreign, Page, Watermark, parse_watermark

WRITERS = 16
CALLS_EACH = 20


async def read_now(db: Database, after: Watermark, *, limit: int = outbox.MAX_PAGE) -> Page:
    async with db.session() as tx:
        page = await outbox.read(tx, after, limit=limit)
    assert isinstance(page, Page)
    return page


async def read(db: Database, after: Watermark, *, limit: int = outbox.MAX_PAGE) -> Page:
    """What is committed. Transactions of other tests, in other databases, hold readers back for a moment."""
    page = await read_now(db, after, limit=limit)
    while page.holds_back:
        page = await read_now(db, after, limit=limit)
    return page


async def beginning(db: Database) -> Watermark:
    async with db.session() as tx:
        return await outbox.beginning(tx)


def named(page: Page) -> list[str]:
    return [event.call_id for event in page.events]


async def test_an_event_that_commits_late_is_not_missed_though_its_id_is_smaller(db: Database) -> None:
    start = await beginning(db)
    by_id = "select call_id, id from call_event where id > $1 order by id"
    async with db.transaction() as late:
        await arrive(late, "call_late")
        async with db.transaction() as tx:
            await arrive(tx, "call_early")
        first = await read_now(db, start)
        assert (named(first), first.next, first.holds_back) == ([], start, True)
        async with db.session() as tx:
            seen_by_id = await tx.fetch(by_id, 0)
    second = await read(db, first.next)
    assert (named(second), second.holds_back) == (["call_late", "call_early"], False)
    assert named(await read(db, second.next)) == []
    # The control: going by the bare id misses the late one for ever.
    async with db.session() as tx:
        seen_by_id += await tx.fetch(by_id, seen_by_id[-1]["id"])
    assert [row["call_id"] for row in seen_by_id] == ["call_early"]


async def test_sixteen_writers_at_once_and_every_event_is_read_exactly_once(db: Database) -> None:
    done = asyncio.Event()

    async def write(writer: int) -> None:
        for number in range(CALLS_EACH):
            async with db.transaction() as tx:
                await arrive(tx, f"call_{writer}_{number}")

    async def follow() -> list[str]:
        seen: list[str] = []
        watermark = await beginning(db)
        while True:
            last_round = done.is_set()
            page = await read_now(db, watermark, limit=7)
            seen += named(page)
            watermark = page.next
            if last_round and not page.events and not page.holds_back:
                return seen

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    done.set()
    seen = await following
    written = {f"call_{writer}_{number}" for writer in range(WRITERS) for number in range(CALLS_EACH)}
    assert (len(seen), set(seen)) == (WRITERS * CALLS_EACH, written)


async def test_pages_follow_each_other_in_one_order_of_transaction_and_id(db: Database) -> None:
    start = await beginning(db)
    names = [f"call_{number}" for number in range(12)]
    for name in names:
        async with db.transaction() as tx:
            await arrive(tx, name)
    whole = await read(db, start)
    pages, watermark = [], start
    for _ in range(3):
        page = await read(db, watermark, limit=5)
        pages += page.events
        watermark = page.next
    assert named(whole) == names
    assert [event.watermark for event in pages] == [event.watermark for event in whole.events]


async def test_transaction_ids_are_ordered_as_numbers_not_as_texts(db: Database) -> None:
    start = await beginning(db)
    for number in range(3):
        async with db.transaction() as tx:
            await arrive(tx, f"call_{number}")
    async with db.session() as tx:
        for number, xid in enumerate(("9", "10", "100")):
            await tx.execute(
                "update call_event set xid = $1::text::xid8 where call_id = $2", xid, f"call_{number}"
            )
    assert named(await read(db, start)) == ["call_0", "call_1", "call_2"]
    assert named(await read(db, Watermark(epoch=start.epoch, xid=9, id=10**9))) == ["call_1", "call_2"]


async def test_the_tail_is_past_all_that_was_readable_and_before_all_that_was_not(db: Database) -> None:
    async with db.transaction() as tx:
        await arrive(tx, "call_before")
    await read(db, await beginning(db))
    async with db.transaction() as late:
        await arrive(late, "call_late")
        async with db.session() as tx:
            tail = await outbox.tail(tx)
    async with db.transaction() as tx:
        await arrive(tx, "call_after")
    assert named(await read(db, tail)) == ["call_late", "call_after"]


async def test_an_event_comes_with_its_kind_and_the_row_of_its_call(db: Database) -> None:
    start = await beginning(db)
    async with db.transaction() as tx:
        await arrive(tx, "call_1")
    (event,) = (await read(db, start)).events
    assert (event.account_id, event.call_id, event.version, event.kind, event.at) == (
        make.ACCOUNT,
        "call_1",
        1,
        "arrived",
        AT,
    )
    assert (event.call["id"], event.call["campaign_id"], event.call["revenue_micros"]) == (
        "call_1",
        make.CAMPAIGN,
        0,
    )


async def test_a_watermark_of_another_cluster_or_of_the_future_is_foreign(db: Database) -> None:
    async with db.session() as tx:
        start, tail = await outbox.beginning(tx), await outbox.tail(tx)
        elsewhere = Watermark(epoch="1-00000001-5", xid=0, id=0)
        ahead = Watermark(epoch=start.epoch, xid=tail.xid + 1_000_000, id=0)
        for foreign in (elsewhere, ahead):
            answer = await outbox.read(tx, foreign)
            assert isinstance(answer, Foreign)
            assert answer.beginning == start
            assert answer.tail.covers(tail)


async def test_events_of_a_restored_dump_are_read_first_and_once(db: Database) -> None:
    async with db.transaction() as tx:
        assert await outbox.adopt(tx) == 0
    for name in ("call_1", "call_2"):
        async with db.transaction() as tx:
            await arrive(tx, name)
    start = await beginning(db)
    assert named(await read(db, start)) == ["call_1", "call_2"]
    async with db.transaction() as tx:
        # As a dump of a cluster that had given out more transaction ids leaves it.
        await tx.execute("update call_event set xid = (xid::text::bigint + 1000000)::text::xid8")
        await tx.execute("update outbox_origin set cluster = '1'")
    assert named(await read_now(db, start)) == []
    async with db.transaction() as tx:
        assert await outbox.adopt(tx) == 2
    async with db.transaction() as tx:
        assert await outbox.adopt(tx) == 0
        await arrive(tx, "call_3")
    assert named(await read(db, start)) == ["call_1", "call_2", "call_3"]


@given(
    st.builds(
        Watermark,
        epoch=st.from_regex(r"[0-9]{1,20}-[0-9A-F]{8}-[0-9]{1,10}", fullmatch=True).filter(str.isascii),
        xid=st.integers(0, 2**64 - 1),
        id=st.integers(0, 2**63 - 1),
    )
)
def test_a_watermark_is_read_back_as_it_was_written(watermark: Watermark) -> None:
    assert parse_watermark(str(watermark)) == watermark


@given(st.text() | st.from_regex(r"[0-9]+-[0-9A-F]{8}-[0-9]+\.[0-9]+\.[0-9]+", fullmatch=True))
def test_any_text_is_a_watermark_that_is_written_the_same_or_none(text: str) -> None:
    read_back = parse_watermark(text)
    assert read_back is None or parse_watermark(str(read_back)) == read_back
