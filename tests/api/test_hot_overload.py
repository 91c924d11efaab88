"""Overload at the carriers' lane: who is turned away, who never is, and what becomes of those who are."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

import make
from callmatrix.live import replay
from callmatrix.live.app import App
from callmatrix.store.db import Database, connect
from held_up import capacity_held_up
from served import (
    CALLER,
    DIALED,
    FORM,
    SID,
    Line,
    Process,
    SteeredWorld,
    app_on,
    lane_of,
    one,
    process_on,
    save_network,
)

SORRY = "We are sorry. We cannot take your call right now."
FAILSAFE_NUMBER = "+18885550199"
PAGE = f"/voice/{make.CONNECTION}"
FLOOD = 400


@contextmanager
def flooded(app: App) -> Iterator[None]:
    """The process has more in hand than it does in several seconds."""
    with ExitStack() as until_the_end:
        for _ in range(FLOOD):
            until_the_end.enter_context(app.admission.in_hand())
        yield


@pytest.fixture
async def process(db: Database, tmp_path: Path) -> AsyncIterator[Process]:
    await save_network(db, make.offer(1, whisper="A caller from the website."))
    async with process_on(db, world=SteeredWorld(), data=tmp_path) as process:
        yield process


async def test_a_flooded_process_turns_new_callers_away_without_the_database_and_takes_them_afterwards(
    db: Database, process: Process
) -> None:
    with flooded(process.app):
        async with db.transaction() as tx:
            await tx.execute("lock table call in access exclusive mode")
            turned_away = await Line(process, sid="CA-away").arrive()
    taken_on = await Line(process, sid="CA-next").arrive()
    assert (turned_away.status, turned_away.content_type, SORRY in turned_away.text) == (
        200,
        "text/xml",
        True,
    )
    assert "/dial/1" in taken_on.text
    counters = process.lane.counters
    assert (counters.shed, counters.spooled, counters.failed_safe) == (1, 0, 0)
    assert await one(db, "select array_agg(carrier_ref) from call") == ["CA-next"]


async def test_events_of_calls_in_the_air_are_never_turned_away(db: Database, process: Process) -> None:
    line = Line(process)
    first = await line.arrive()
    with flooded(process.app):
        again = await line.arrive()
        whisper = await line.tell("whisper", 1, CallSid="CA-leg")
        over = await line.status()
    assert again.body == first.body
    assert "A caller from the website." in whisper.text
    assert (over.status, process.lane.counters.shed) == (200, 0)
    assert await one(db, "select array_agg(state) from call") == ["ended"]


async def test_who_was_turned_away_stays_so_and_costs_the_database_nothing_more(
    db: Database, process: Process
) -> None:
    line = Line(process)
    with flooded(process.app):
        first = await line.arrive()
    async with db.transaction() as tx:
        await tx.execute("lock table call in access exclusive mode")
        again = await line.arrive()
        fallback = await process.post(f"{PAGE}/fallback", line.params())
        over = await line.status()
    assert [answer.body for answer in (again, fallback)] == [first.body] * 2
    assert (over.status, over.body) == (200, b"")
    assert process.lane.counters.shed == 1
    assert await one(db, "select count(*) from call") == 0


async def test_an_unsigned_request_is_told_so_however_flooded_the_process_is(process: Process) -> None:
    params = {"CallSid": "CA1", "AccountSid": SID, "From": CALLER, "To": DIALED}
    with flooded(process.app):
        answer = await process.send(PAGE, urlencode(params).encode(), {"Content-Type": FORM})
    assert (answer.status, answer.problem()["code"]) == (403, "bad_signature")
    assert (process.lane.counters.shed, process.lane.counters.bad_signatures) == (0, 1)


async def test_without_a_database_who_is_turned_away_is_accounted_for_later(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    await save_network(db, connection=make.connection(failsafe_number=FAILSAFE_NUMBER))
    lost = await connect(database_url)
    async with app_on(lost, world=SteeredWorld(), data=tmp_path) as app, lane_of(app) as process:
        await lost.close()
        failed = await Line(process, sid="CA-failed").arrive()
        with flooded(app):
            turned_away = await Line(process, sid="CA-away").arrive()
        counters = process.lane.counters
        assert (counters.shed, counters.failed_safe, counters.spooled) == (1, 1, 2)
    assert failed.body == turned_away.body
    assert f"<Number>{FAILSAFE_NUMBER}</Number>" in turned_away.text
    async with app_on(db, world=SteeredWorld(seed=2), data=tmp_path) as app:
        assert await replay.replay(app) == 2
    assert await one(db, "select array_agg(carrier_ref || ' ' || end_reason order by 1) from call") == [
        "CA-away failed_safe",
        "CA-failed failed_safe",
    ]


async def test_the_end_of_a_call_whose_arrival_is_kept_is_told_after_it(db: Database, tmp_path: Path) -> None:
    await save_network(db)
    world = SteeredWorld()
    async with app_on(db, world=world, data=tmp_path) as app, lane_of(app, deadline_s=0.2) as process:
        line = Line(process)
        async with db.transaction() as tx:
            await tx.execute("lock table call in access exclusive mode")
            failed = await line.arrive()
            world.go_on(6)
            over = await line.status()
        assert (SORRY in failed.text, over.status, process.lane.counters.spooled) == (True, 200, 2)
        await process.settled()
        assert await replay.replay(app) == 2
    assert await one(db, "select array_agg(state || ' ' || end_reason) from call") == ["ended failed_safe"]


async def test_the_shed_are_told_in_the_log_once_in_a_while(
    process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    with flooded(process.app), caplog.at_level("WARNING", "callmatrix.api.hot"):
        for number in range(5):
            await Line(process, sid=f"CA{number}").arrive()
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert told[0].startswith(
        f"overload: callers are turned away, 1 since the start; {FLOOD} webhooks in hand"
    )


async def test_a_webhook_that_was_given_up_is_not_in_hand_any_more(db: Database, tmp_path: Path) -> None:
    await save_network(db)
    async with (
        app_on(db, world=SteeredWorld(), data=tmp_path) as app,
        lane_of(app, deadline_s=0.2) as process,
    ):
        async with capacity_held_up(db):
            answer = await Line(process).arrive()
        await process.settled()
    assert SORRY in answer.text
    assert app.admission.strain.in_hand == 0
