"""Jobs are done once, by one worker at a time, again after a failure, but not for ever."""

import asyncio
from datetime import datetime, timedelta

import msgspec
import pytest

import make
import saved
from callmatrix.live import jobs as worker
from callmatrix.live import schedule
from callmatrix.live.app import App
from callmatrix.store import jobs
from callmatrix.store.db import Database, DatabaseGone
from callmatrix.store.jobs import FIRST_RETRY_S, LEASE_S, MAX_ATTEMPTS, MAX_BATCH, MAX_RETRY_S, Job
from served import Line, Start, SteeredWorld, looks, one, rows, save_network


async def queue(db: Database, name: str, *, at: datetime, kind: str = "greet", **payload: str) -> bool:
    async with db.transaction() as tx:
        return await jobs.enqueue(
            tx,
            make.ACCOUNT,
            id=f"job_{name}",
            kind=kind,
            dedupe_key=name,
            payload=payload,
            run_at=at,
            now=at,
        )


async def lease(db: Database, *, now: datetime) -> tuple[Job, ...]:
    async with db.transaction() as tx:
        return await jobs.lease(tx, now=now)


async def test_a_job_runs_when_it_is_due_and_once(db: Database, start: Start, world: SteeredWorld) -> None:
    process = await start()
    greeted: list[Job] = []

    async def greet(_app: App, job: Job) -> None:
        greeted.append(job)

    due_at = world.now() + timedelta(seconds=10)
    assert await queue(db, "one", at=due_at, who="me")
    assert not await queue(db, "one", at=due_at, who="you")
    assert await worker.run_due(process.app, {"greet": greet}) == 0
    world.go_on(10)
    assert await worker.run_due(process.app, {"greet": greet}) == 1
    assert await worker.run_due(process.app, {"greet": greet}) == 0
    assert greeted == [
        Job(
            account_id=make.ACCOUNT,
            id="job_one",
            kind="greet",
            payload={"who": "me"},
            run_at=due_at,
            attempts=1,
        )
    ]
    assert await one(db, "select done_at from job") == world.now()


async def test_a_job_that_fails_is_tried_again_ever_later_and_then_given_up(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    process = await start()

    async def fails(_app: App, _job: Job) -> None:
        raise ValueError("not today")

    await queue(db, "one", at=world.now())
    waits = []
    for _ in range(MAX_ATTEMPTS):
        assert await worker.run_due(process.app, {"greet": fails}) == 1
        assert await one(db, "select last_error from job") == "ValueError: not today"
        waits.append(int((await one(db, "select run_at from job") - world.now()).total_seconds()))
        assert await worker.run_due(process.app, {"greet": fails}) == 0
        world.go_on(waits[-1])
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600]
    assert (waits[0], waits[-1]) == (FIRST_RETRY_S, MAX_RETRY_S)
    assert await worker.run_due(process.app, {"greet": fails}) == 0
    assert await one(db, "select done_at is not null and last_error is not null from job")


async def test_a_job_that_nobody_knows_fails_and_keeps_no_other_from_running(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    process = await start()
    greeted: list[str] = []

    async def greet(_app: App, job: Job) -> None:
        greeted.append(job.id)

    await queue(db, "odd", at=world.now(), kind="dance")
    await queue(db, "one", at=world.now())
    assert await worker.run_due(process.app, {"greet": greet}) == 2
    assert greeted == ["job_one"]
    assert await one(db, "select array_agg(last_error) from job where done_at is null") == [
        "LookupError: nobody knows how to do dance"
    ]


async def test_two_workers_never_have_the_same_job(db: Database, world: SteeredWorld) -> None:
    for number in range(2 * MAX_BATCH):
        await queue(db, f"{number:03}", at=world.now())
    async with db.transaction() as first, db.transaction() as second:
        taken = await jobs.lease(first, now=world.now()), await jobs.lease(second, now=world.now())
    ids = [{job.id for job in batch} for batch in taken]
    assert [len(batch) for batch in ids] == [MAX_BATCH, MAX_BATCH]
    assert ids[0].isdisjoint(ids[1])
    assert await lease(db, now=world.now()) == ()


async def test_a_worker_that_died_holds_a_job_for_its_lease_only(db: Database, world: SteeredWorld) -> None:
    await queue(db, "one", at=world.now())
    (first,) = await lease(db, now=world.now())
    world.go_on(LEASE_S - 1)
    assert await lease(db, now=world.now()) == ()
    world.go_on(1)
    (second,) = await lease(db, now=world.now())
    assert second == msgspec.structs.replace(first, attempts=2)


async def test_a_slow_worker_has_no_say_in_a_job_that_another_took(db: Database, world: SteeredWorld) -> None:
    await queue(db, "one", at=world.now())
    (slow,) = await lease(db, now=world.now())
    world.go_on(LEASE_S)
    (quick,) = await lease(db, now=world.now())
    before = await rows(db, "job")
    async with db.transaction() as tx:
        await jobs.failed(tx, slow, error="too slow", now=world.now())
    assert await rows(db, "job") == before
    async with db.transaction() as tx:
        await jobs.done(tx, quick, now=world.now())
        await jobs.failed(tx, quick, error="after all", now=world.now())
    assert await one(db, "select done_at is not null and last_error is null from job")


async def test_what_a_job_says_of_its_failure_can_be_stored(db: Database, world: SteeredWorld) -> None:
    await queue(db, "one", at=world.now())
    (job,) = await lease(db, now=world.now())
    async with db.transaction() as tx:
        await jobs.failed(tx, job, error="a\0b" + "x" * 5_000, now=world.now())
    assert await one(db, "select length(last_error) from job") == jobs.MAX_ERROR_CHARS - 1


async def test_a_job_that_loses_the_database_is_not_counted_as_done(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    process = await start()

    async def loses(_app: App, _job: Job) -> None:
        raise DatabaseGone("in the middle")

    await queue(db, "one", at=world.now())
    with pytest.raises(DatabaseGone):
        await worker.run_due(process.app, {"greet": loses})
    assert await one(db, "select done_at is null and last_error is null from job")
    world.go_on(LEASE_S)
    assert len(await lease(db, now=world.now())) == 1


async def test_the_worker_outlives_a_job_that_cannot_be_read(
    db: Database, start: Start, world: SteeredWorld, caplog: pytest.LogCaptureFixture
) -> None:
    process = await start()
    done = asyncio.Event()

    async def greet(_app: App, _job: Job) -> None:
        done.set()

    await queue(db, "odd", at=world.now())
    async with db.transaction() as tx:
        await tx.execute("update job set payload = '[1]'")
    working = asyncio.create_task(worker.work(process.app, {"greet": greet}))
    async for _ in looks(db):
        if "jobs could not be run" in caplog.messages:
            break
    assert "jobs could not be run" in caplog.messages
    async with db.transaction() as tx:
        await tx.execute("update job set payload = '{}'")
    await asyncio.wait_for(done.wait(), 60)
    working.cancel()
    await asyncio.wait([working])


# --- daily ---------------------------------------------------------------------------------------------


async def test_a_numbers_day_is_paid_once(db: Database, start: Start, world: SteeredWorld) -> None:
    tariff = make.connection().tariff
    rented = msgspec.structs.replace(tariff, number_per_month=make.usd("3.10"))
    await save_network(db, connection=make.connection(tariff=rented))
    process = await start()
    for _ in range(2):
        await schedule.tick(process.app, now=world.now())
        await worker.run_due(process.app, schedule.JOBS)
    assert await one(db, "select count(*) from job where kind = 'number_rent'") == 1
    assert await one(db, "select array_agg(kind) from ledger_transaction") == ["number_rent"]
    paid = await one(db, "select amount_micros from posting where account = 'carrier'")
    assert paid == -100_000  # a thirty-first of March
    world.go_on(86_400)
    await schedule.tick(process.app, now=world.now())
    await worker.run_due(process.app, schedule.JOBS)
    assert await one(db, "select count(*) from ledger_transaction") == 2


async def test_old_replies_and_done_jobs_are_forgotten_and_nothing_else(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_network(db, flow=saved.flow())
    process = await start()
    await Line(process, sid="CA-old").arrive()
    await queue(db, "done", at=world.now())
    await queue(db, "open", at=world.now())
    async with db.transaction() as tx:
        await tx.execute("update job set done_at = $1 where id = 'job_done'", world.now())
    world.go_on(schedule.KEEP_JOBS.total_seconds())
    await Line(process, sid="CA-new", caller="anonymous").arrive()
    await schedule.tick(process.app, now=world.now())
    assert await one(db, "select array_agg(carrier_ref) from callback") == ["CA-new"]
    assert await one(db, "select array_agg(id order by id) from job where kind = 'greet'") == [
        "job_done",
        "job_open",
    ]
    world.go_on(1)
    await schedule.tick(process.app, now=world.now())
    assert await one(db, "select array_agg(id order by id) from job where kind = 'greet'") == ["job_open"]
    assert await one(db, "select count(*) from call") == 2
