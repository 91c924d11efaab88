"""Webhooks that came while the database was gone are on disk, and accounted for when it is back."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import make
from callmatrix.live import replay, spool
from callmatrix.live.spool import Spooled, SpoolFull
from callmatrix.store import embedded
from callmatrix.store.db import Database, DatabaseGone, connect
from callmatrix.store.migrate import migrate
from served import (
    START,
    TALKED,
    Line,
    Process,
    Start,
    SteeredWorld,
    came_to,
    one,
    process_on,
    rows,
    save_network,
)

SORRY = "We are sorry. We cannot take your call right now."


def webhook(number: int = 1, **changes: str) -> Spooled:
    return Spooled(
        id=f"web_{number:03}",
        at=START,
        connection_id=make.CONNECTION,
        path=f"/voice/{make.CONNECTION}",
        params={"CallSid": f"CA{number}", **changes},
    )


async def replayed(process: Process) -> int:
    told = await replay.replay(process.app)
    await process.settled()
    return told


# --- the folder ----------------------------------------------------------------------------------------


def test_what_is_kept_is_read_back_oldest_first(tmp_path: Path) -> None:
    place = spool.folder(tmp_path)
    assert spool.waiting(place) == ()
    for number in (2, 1, 3):
        spool.keep(place, webhook(number))
    read = []
    for path in spool.waiting(place):
        taken = spool.take(path)
        assert taken is not None
        read.append(taken.read())
        taken.done()
        taken.let_go()
    assert read == [webhook(1), webhook(2), webhook(3)]
    assert list(place.iterdir()) == []


def test_one_process_has_a_webhook_at_a_time(tmp_path: Path) -> None:
    place = spool.folder(tmp_path)
    spool.keep(place, webhook())
    (path,) = spool.waiting(place)
    first = spool.take(path)
    assert first is not None
    assert spool.take(path) is None
    first.let_go()
    again = spool.take(path)
    assert again is not None
    again.done()
    again.let_go()
    assert spool.take(path) is None


def test_what_was_half_written_when_the_process_died_is_no_webhook(tmp_path: Path) -> None:
    place = spool.folder(tmp_path)
    spool.keep(place, webhook())
    (place / "web_000.part").write_bytes(b'{"id": "web_0')
    assert [path.name for path in spool.waiting(place)] == ["web_001.webhook"]


def test_the_folder_is_for_the_servers_eyes_only(tmp_path: Path) -> None:
    spool.keep(spool.folder(tmp_path), webhook())
    assert spool.folder(tmp_path).stat().st_mode & 0o777 == 0o700


def test_a_full_spool_says_so(tmp_path: Path) -> None:
    place = spool.folder(tmp_path)
    spool.keep(place, webhook(1), room=2)
    spool.keep(place, webhook(2), room=2)
    with pytest.raises(SpoolFull):
        spool.keep(place, webhook(3), room=2)
    assert len(spool.waiting(place)) == 2


# --- telling it ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        b"{",
        b"",
        b'{"id":"web_1","at":"2026-03-02T13:00:00Z","connection_id":"con_1","path":"/dance","params":{}}',
        b'{"id":"web_1","at":"2026-03-02T13:00:00Z","connection_id":"con_1","path":"/voice/con_9","params":{}}',
        b'{"id":"web_1","at":"2026-03-02T13:00:00Z","connection_id":"con_1","path":"/voice/con_1","params":{}}',
    ],
)
async def test_what_cannot_be_told_is_put_aside_and_keeps_nothing_else_waiting(
    db: Database, start: Start, tmp_path: Path, written: bytes
) -> None:
    await save_network(db)
    process = await start()
    place = spool.folder(tmp_path)
    line = Line(process, sid="CA2")
    spool.keep(place, webhook(2, **line.params(CallStatus="ringing")))
    (place / "web_001.webhook").write_bytes(written)
    assert await replayed(process) == 1
    assert [path.name for path in place.iterdir()] == ["web_001.refused"]
    assert await one(db, "select array_agg(carrier_ref || ' ' || end_reason) from call") == [
        "CA2 failed_safe"
    ]


async def test_a_webhook_told_twice_changes_nothing(db: Database, start: Start, tmp_path: Path) -> None:
    """As when the process dies between the telling and the deleting."""
    await save_network(db)
    process = await start()
    line = Line(process)
    await line.arrive()
    path = f"/voice/{make.CONNECTION}/{line.call_id}"
    ends = (
        ("dial/1", line.params(**TALKED, CallStatus="completed")),
        ("status/0", line.params(CallStatus="completed", CallDuration="130")),
    )
    told = []
    for _ in range(2):
        for number, (tail, params) in enumerate(ends):
            kept = Spooled(
                id=f"web_{number}",
                at=START,
                connection_id=make.CONNECTION,
                path=f"{path}/{tail}",
                params=params,
            )
            spool.keep(spool.folder(tmp_path), kept)
        assert await replayed(process) == 2
        told.append((await came_to(db, line.call_id), await rows(db, "posting", "reservation", "cap_window")))
    assert told[0] == told[1]
    assert told[0][0]["call"]["revenue_micros"] == 29_000_000


async def test_a_reply_that_was_saved_but_never_heard_is_overtaken(
    db: Database, start: Start, tmp_path: Path
) -> None:
    """The database was lost just after the commit: the caller heard the fail-safe reply, no buyer rang."""
    await save_network(db)
    process = await start()
    line = Line(process)
    await line.arrive()
    spool.keep(spool.folder(tmp_path), webhook(1, **line.params(CallStatus="ringing")))
    assert await replayed(process) == 1
    assert await one(db, "select state || ' ' || end_reason from call") == "closing failed_safe"
    assert await one(db, "select array_agg(state) from reservation") == ["released"]
    await line.status()
    told = await came_to(db, line.call_id)
    assert [each["outcome"] for each in told["attempts"]] == ["canceled"]
    assert (told["call"]["closed"], told["call"]["review"]) == (True, "")


async def test_a_buyers_leg_that_was_hung_up_leaves_the_caller_to_the_next_buyer(
    db: Database, start: Start, tmp_path: Path
) -> None:
    await save_network(db)
    process = await start()
    line = Line(process)
    await line.arrive()
    path = f"/voice/{make.CONNECTION}/{line.call_id}"
    for number, (kind, digits) in enumerate((("whisper", ""), ("accept", "1"))):
        params = line.params(CallSid="CA-leg", Digits=digits)
        kept = Spooled(
            id=f"web_{number}",
            at=START,
            connection_id=make.CONNECTION,
            path=f"{path}/{kind}/1",
            params=params,
        )
        spool.keep(spool.folder(tmp_path), kept)
    assert await replayed(process) == 2
    answer = await line.tell("dial", 1, DialCallStatus="completed", DialBridged="false", DialCallDuration="3")
    assert "/dial/2" in answer.text
    told = await came_to(db, line.call_id)
    assert [each["outcome"] for each in told["attempts"]] == ["declined", None]


# --- the database gone in the middle -------------------------------------------------------------------


class Server:
    """A PostgreSQL of this test's own, that dies when it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running = embedded.start(folder)

    def dies(self) -> None:
        """At once, without a word to anybody."""
        pid = self.running.pid
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        self.running.stop()

    def is_back(self) -> None:
        self.running = embedded.start(self.folder)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    folder = tmp_path / "database"
    folder.mkdir()
    server = await asyncio.to_thread(Server, folder)
    yield server
    await asyncio.to_thread(server.running.stop)
    await asyncio.to_thread(embedded.discard, folder)


async def test_calls_that_came_while_the_database_was_gone_are_accounted_for(
    server: Server, world: SteeredWorld, tmp_path: Path
) -> None:
    db = await connect(server.running.dsn)
    await migrate(db)
    await save_network(db)
    place = spool.folder(tmp_path)
    async with process_on(db, world=world, data=tmp_path) as process:
        talking, arriving = Line(process), Line(process, sid="CA2", caller="+14155550188")
        await talking.arrive()
        await process.settled()
        await asyncio.to_thread(server.dies)

        answers = [
            await arriving.arrive(),
            await talking.tell("leg", 1, CallSid="CA-leg", CallStatus="completed", CallDuration="90"),
            await talking.tell("dial", 1, **TALKED, CallStatus="completed"),
            await talking.status(),
            await arriving.status(CallDuration="7"),
        ]
        assert [(answer.status, SORRY in answer.text) for answer in answers] == [(200, True)] * 5
        kept = [path.read_bytes() for path in spool.waiting(place)]
        assert len(kept) == 5
        with pytest.raises(DatabaseGone):
            await replay.replay(process.app)
        assert [path.read_bytes() for path in spool.waiting(place)] == kept
        counters = process.lane.counters
        assert (counters.spooled, counters.failed_safe) == (5, 5)

        await asyncio.to_thread(server.is_back)
        assert await replayed(process) == 5
        assert list(place.iterdir()) == []
        told = await came_to(db, talking.call_id)
        assert (told["call"]["closed"], told["call"]["revenue_micros"]) == (True, 29_000_000)
        assert [each["state"] for each in told["reservations"]] == ["settled"]
        again = await talking.tell("dial", 1, **TALKED, CallStatus="completed")
        assert again.status == 200
        await process.settled()
        assert await came_to(db, talking.call_id) == told
        missed = await came_to(db, await one(db, "select id from call where carrier_ref = 'CA2'"))
        assert (missed["call"]["closed"], missed["call"]["duration_ms"], missed["attempts"]) == (
            True,
            7_000,
            None,
        )
        assert await one(db, "select end_reason from call where carrier_ref = 'CA2'") == "failed_safe"
        assert await one(db, "select sum(amount_micros) from posting") == 0
        answer = await Line(process, sid="CA3", caller="+14155550177").arrive()
        assert "/dial/1" in answer.text
    await db.close()
