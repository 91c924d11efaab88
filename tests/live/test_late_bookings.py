"""What a call converts to after its settlement counts in the caps' windows, once, whoever dies."""

import make
from callmatrix.core.call import events
from callmatrix.core.caps import Limits
from callmatrix.core.ids import CallId
from callmatrix.live import calls, jobs, schedule
from callmatrix.sim.parties import units
from callmatrix.store.db import Database
from served import TALKED, Line, Start, SteeredWorld, one, save_network

CONVERSIONS = "select conversions from reservation"


async def test_a_conversion_told_later_is_counted_once_even_where_the_process_dies_before_counting(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    offer = make.offer(1, converts_on="postback", limits=Limits(caps=(units("conversion", "day", 5),)))
    await save_network(db, offer)
    process = await start()
    line = Line(process)
    await line.arrive()
    await line.tell("dial", 1, **TALKED)
    await process.settled()
    assert await one(db, CONVERSIONS) == 0

    told = events.ConversionReported(at=world.now(), by="postback")
    await calls.apply(process.app, make.ACCOUNT, CallId(line.call_id), told)
    await process.settled()
    assert await one(db, CONVERSIONS) == 1

    # A process that died before counting leaves the job, which counts; after one that did, it does nothing.
    world.go_on(1)
    assert await jobs.run_due(process.app, schedule.JOBS) == 1
    assert await one(db, CONVERSIONS) == 1
    await one(db, "update job set done_at = null where kind = 'book_late' returning 1")
    await one(db, "update reservation set conversions = 0, revisions = null returning 1")
    assert await jobs.run_due(process.app, schedule.JOBS) == 1
    assert await one(db, CONVERSIONS) == 1
