"""What auctions came to is written behind them: whole, masked, never in the way, and counted where lost."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

import make
import served
from callmatrix.core.auction import Bid, PingResult
from callmatrix.core.ids import BuyerId, OfferId
from callmatrix.dialects.http import HttpRequest
from callmatrix.live import evidence, schedule
from callmatrix.live.evidence import Evidence, PingRecord, PostRecord
from callmatrix.store import pings
from callmatrix.store.db import Database, connect
from callmatrix.store.pings import AuctionRecord

AT = served.START
NUMBER = served.CALLER
SECRETS = {"token": "s3cret-token"}
CUT_WHO_WAITS = (
    "select count(*) from (select pg_terminate_backend(pid) from pg_locks where not granted"
    " and relation = 'ping'::regclass) t"
)
TABLES = ("auction", "ping", "ping_body", "post")


def auction(number: int = 1, **changes: Any) -> AuctionRecord:
    given = {
        "auction_id": f"auc_{number}",
        "channel": "call",
        "lead_id": "call_1",
        "campaign_id": make.CAMPAIGN,
        "plan_version": 3,
        "round": number,
        "at": AT,
        "deadline_ms": 2_000,
        "spent_ms": 140,
    }
    return AuctionRecord(**{**given, **changes})


def bid_ping(offer: int = 1, amount: str = "31.50") -> PingRecord:
    bid = Bid(
        offer_id=OfferId(f"off_{offer}"),
        amount=make.usd(amount),
        rank_by=make.usd("0"),
        bid_id=f"for {NUMBER}",
        expires_at=AT + timedelta(seconds=30),
    )
    result = PingResult(
        offer_id=bid.offer_id,
        ping_id=f"call_1-1-off_{offer}",
        bid=bid,
        status=200,
        reused=True,
        first_byte_us=18_000,
        total_us=21_000,
    )
    request = HttpRequest(
        method="POST",
        url="https://bids.example.com/ping",
        headers={"authorization": "Bearer s3cret-token", "content-type": "application/json"},
        body=f'{{"caller":"{NUMBER}"}}'.encode(),
    )
    return PingRecord(
        result=result,
        buyer_id=BuyerId(f"buy_{offer}"),
        at=AT,
        request=request,
        reply=b'{"bid":31.5,"you":"s3cret-token"}',
        secrets=SECRETS,
    )


def silent_ping(offer: int) -> PingRecord:
    result = PingResult(
        offer_id=OfferId(f"off_{offer}"), ping_id="p", code="unreachable", detail=f"no \0 {NUMBER}"
    )
    return PingRecord(result=result, buyer_id=BuyerId(f"buy_{offer}"), at=AT)


async def test_an_auction_is_kept_with_its_pings_masked_and_without_secrets(db: Database) -> None:
    kept = Evidence(db)
    kept.keep(make.ACCOUNT, auction(), (bid_ping(), silent_ping(2)), number=NUMBER)
    await kept.drain()
    found = await served.rows(db, *TABLES)
    assert found["auction"] == [
        {
            "account_id": make.ACCOUNT,
            "at": "2026-03-02T13:00:00+00:00",
            "bids": 1,
            "campaign_id": make.CAMPAIGN,
            "channel": "call",
            "deadline_ms": 2_000,
            "lead_id": "call_1",
            "pings": 2,
            "plan_version": 3,
            "round": 1,
            "simulated": False,
            "spent_ms": 140,
            "test": False,
        }
    ]
    first, second = found["ping"]
    assert (first["amount_micros"], first["rank_by_micros"], first["bid_id"]) == (
        31_500_000,
        0,
        "for +1415•••••99",
    )
    assert (second["code"], second["detail"], second["amount_micros"]) == (
        "unreachable",
        "no  +1415•••••99",
        None,
    )
    assert found["ping_body"] == [
        {
            "account_id": make.ACCOUNT,
            "at": "2026-03-02T13:00:00+00:00",
            "auction_id": "auc_1",
            "offer_id": "off_1",
            "request": "POST https://bids.example.com/ping\ncontent-type: application/json\n\n"
            '{"caller":"+1415•••••99"}',
            "reply": '{"bid":31.5,"you":"***"}',
        }
    ]
    assert (kept.dropped, kept.waiting) == (0, 0)


async def test_the_same_auction_twice_is_kept_once_and_others_are_kept_beside_it(db: Database) -> None:
    kept = Evidence(db)
    kept.keep(make.ACCOUNT, auction(1), (bid_ping(amount="10"),), number=None)
    await kept.drain()
    kept.keep(make.ACCOUNT, auction(1), (bid_ping(amount="99"),), number=None)
    kept.keep(make.AccountId("acc_2"), auction(1), (bid_ping(amount="20"),), number=None)
    await kept.drain()
    rows = (await served.rows(db, "ping"))["ping"]
    assert sorted((row["account_id"], row["amount_micros"]) for row in rows) == [
        ("acc_1", 10_000_000),
        ("acc_2", 20_000_000),
    ]


async def test_one_that_cannot_be_kept_is_counted_and_keeps_no_other_from_being_kept(db: Database) -> None:
    kept = Evidence(db)
    unfit = msgspec.structs.replace(bid_ping(), result=PingResult(offer_id=OfferId("off_1"), ping_id="p"))
    kept.keep(make.ACCOUNT, auction(1), (unfit,), number=None)
    kept.keep(make.ACCOUNT, auction(2), (bid_ping(),), number=None)
    await kept.drain()
    assert [row["round"] for row in (await served.rows(db, "auction"))["auction"]] == [2]
    assert (kept.dropped, kept.waiting) == (2, 0)


async def test_more_than_may_wait_is_dropped_at_once_and_counted(db: Database) -> None:
    kept = Evidence(db)
    large = msgspec.structs.replace(bid_ping(), reply=b"x" * 64_000)
    room = evidence.MAX_WAITING_BYTES // 64_000
    for number in range(room + 5):
        kept.keep(make.ACCOUNT, auction(number), (large,), number=None)
    assert kept.dropped >= 10
    assert kept.waiting + kept.dropped == 2 * (room + 5)
    await kept.drain()
    written = await served.one(db, "select count(*) from auction")
    assert 2 * written + kept.dropped == 2 * (room + 5)


async def test_without_bodies_to_keep_none_is_read_or_written(db: Database) -> None:
    kept = Evidence(db, keeps_bodies=False)
    kept.keep(make.ACCOUNT, auction(), (bid_ping(),), number=None)
    kept.keep_post(make.ACCOUNT, post(), number=None)
    await kept.drain()
    found = await served.rows(db, *TABLES)
    assert (len(found["ping"]), found["ping_body"], found["post"][0]["reply"]) == (1, [], None)


def post(**changes: Any) -> PostRecord:
    given = {
        "id": "pst_1",
        "offer_id": OfferId("off_1"),
        "buyer_id": BuyerId("buy_1"),
        "campaign_id": make.CAMPAIGN,
        "lead_id": "call_1",
        "ping_id": "call_1-1-off_1",
        "at": AT,
        "status": 200,
        "reference": f"lead of {NUMBER}",
        "reply": f'{{"ok":true,"caller":"{NUMBER}"}}'.encode(),
    }
    return PostRecord(**{**given, **changes})


async def test_a_post_is_kept_with_its_answer_but_not_with_the_lead(db: Database) -> None:
    kept = Evidence(db)
    kept.keep_post(make.ACCOUNT, post(), number=NUMBER)
    await kept.drain()
    (row,) = (await served.rows(db, "post"))["post"]
    assert (row["reply"], row["reference"]) == ('{"ok":true,"caller":"+1415•••••99"}', "lead of +1415•••••99")
    assert "request" not in row


async def test_bodies_are_forgotten_before_the_rest_is(db: Database) -> None:
    kept = Evidence(db)
    kept.keep(make.ACCOUNT, auction(), (bid_ping(),), number=NUMBER)
    kept.keep_post(make.ACCOUNT, post(), number=NUMBER)
    await kept.drain()
    later = AT + timedelta(seconds=1)

    async def left(*, bodies_before: Any, pings_before: Any) -> list[int]:
        async with db.transaction() as tx:
            await pings.forget(tx, bodies_before=bodies_before, pings_before=pings_before)
        found = await served.rows(db, *TABLES)
        replies = [row for row in found["post"] if row["reply"] is not None]
        return [*(len(found[table]) for table in TABLES), len(replies)]

    assert await left(bodies_before=AT, pings_before=AT) == [1, 1, 1, 1, 1]
    assert await left(bodies_before=later, pings_before=AT) == [1, 1, 0, 1, 0]
    assert await left(bodies_before=later, pings_before=later) == [0, 0, 0, 0, 0]


async def test_what_cannot_be_written_before_the_end_is_given_up_and_counted(
    db: Database, database_url: str
) -> None:
    gone = await connect(database_url, max_connections=1)
    await gone.close()
    kept = Evidence(gone)
    kept.keep(make.ACCOUNT, auction(), (bid_ping(), silent_ping(2)), number=None)
    kept.keep_post(make.ACCOUNT, post(), number=None)
    assert (kept.dropped, kept.waiting) == (0, 4)
    await kept.drain()
    assert (kept.dropped, kept.waiting) == (4, 0)


async def test_what_a_lost_connection_kept_from_being_written_is_written_again(db: Database) -> None:
    kept = Evidence(db)
    async with db.transaction() as tx:
        await tx.execute("lock table ping in access exclusive mode")
        kept.keep(make.ACCOUNT, auction(), (bid_ping(),), number=None)
        async for _ in served.looks(db):
            if await served.one(db, CUT_WHO_WAITS):
                break
    async for _ in served.looks(db):
        if kept.waiting == 0:
            break
    assert (kept.dropped, await served.one(db, "select count(*) from ping")) == (0, 1)


async def test_the_clock_forgets_bodies_and_then_all_else_by_the_settings(
    db: Database, tmp_path: Path
) -> None:
    world = served.SteeredWorld()
    await served.save_network(db)
    async with served.app_on(db, world=world, data=tmp_path) as app:
        app.evidence.keep(make.ACCOUNT, auction(), (bid_ping(),), number=NUMBER)
        await app.evidence.drain()
        left = []
        for days in (app.settings.ping_bodies_days, app.settings.pings_days):
            for now in (AT + timedelta(days=days), AT + timedelta(days=days, seconds=1)):
                await schedule.tick(app, now=now)
                found = await served.rows(db, *TABLES)
                left.append(tuple(len(found[table]) for table in TABLES))
    assert left == [(1, 1, 1, 0), (1, 1, 0, 0), (1, 1, 0, 0), (0, 0, 0, 0)]
