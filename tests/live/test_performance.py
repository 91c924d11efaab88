"""What pings tell of a buyer's past calls: counted from the calls themselves, and of bidders only."""

from datetime import timedelta
from pathlib import Path

import make
import saved
import served
from callmatrix.core.auction import Performance
from callmatrix.core.campaign import Bidder, NativeFormat
from callmatrix.core.ids import BuyerId
from callmatrix.core.pricing import BidPrice
from callmatrix.live.performance import DAYS, Performances
from callmatrix.store import catalog
from callmatrix.store.db import Database
from served import BUSY, TALKED, Line, SteeredWorld

BIDDER = Bidder(format=NativeFormat(), ping_url="https://bids.example.com/ping")
FIRST, SECOND = BuyerId("buy_1"), BuyerId("buy_2")


async def give_bidder(db: Database, number: int) -> None:
    async with db.transaction() as tx:
        offer = make.offer(number, price=BidPrice(), bidder=BIDDER)
        await catalog.change(tx, make.ACCOUNT, offer, by=saved.BY)


async def test_a_buyers_performance_is_that_of_the_calls_dialled_to_it_lately(
    db: Database, tmp_path: Path
) -> None:
    world = SteeredWorld()
    await served.save_network(db)
    async with served.process_on(db, world=world, data=tmp_path) as process:
        for number, first in enumerate((TALKED, BUSY, {**TALKED, "DialBridgedMs": "3000"})):
            line = Line(process, sid=f"CA{number}", caller=f"+1415555020{number}")
            await line.arrive()
            await line.tell("dial", 1, **first)
            if first is BUSY:
                await line.tell("dial", 2, **TALKED)
            await line.status()
        await process.settled()
    known = Performances(db, world=world)
    await known.refresh()
    assert (known.of(make.ACCOUNT, FIRST), known.of(make.ACCOUNT, SECOND)) == (None, None)
    await give_bidder(db, 1)
    await give_bidder(db, 2)
    await known.refresh()
    assert known.of(make.ACCOUNT, FIRST) == Performance(days=DAYS, calls=3, connected=2, converted=1)
    assert known.of(make.ACCOUNT, SECOND) == Performance(days=DAYS, calls=1, connected=1, converted=1)
    world.at += timedelta(days=DAYS, hours=1)
    await known.refresh()
    assert (known.of(make.ACCOUNT, FIRST), known.of(make.ACCOUNT, SECOND)) == (None, None)
