"""The pool: what goes in comes out, and a lost database has one name."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import msgspec
import pytest

from callmatrix.store.db import (
    Database,
    DatabaseGone,
    DatabaseUnfit,
    Transaction,
    connect,
    pool_connections,
)
from callmatrix.store.embedded import SERVER_OPTIONS

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def _add_account(tx: Transaction) -> None:
    await tx.execute(
        "insert into account (account_id, name, currency, time_zone, week_starts_on, created_at) "
        "values ('acc_1', 'One', 'USD', 'America/New_York', 1, $1)",
        AT,
    )


async def _account_ids(db: Database) -> list[str]:
    async with db.transaction() as tx:
        return [row["account_id"] for row in await tx.fetch("select account_id from account")]


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """A second pool of one connection on the same database, as another process has it."""
    database = await connect(database_url, application_name="other", max_connections=1)
    yield database
    await database.close()


async def test_a_finished_block_is_seen_by_another_connection(db: Database, other: Database) -> None:
    async with db.transaction() as tx:
        await _add_account(tx)
        assert await _account_ids(other) == []
    assert await _account_ids(other) == ["acc_1"]


async def test_a_failed_block_leaves_nothing_and_keeps_its_error(db: Database) -> None:
    async def fail() -> None:
        async with db.transaction() as tx:
            await _add_account(tx)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await _account_ids(db) == []


@pytest.mark.parametrize("run", [1, 2])
async def test_every_test_starts_on_empty_tables(db: Database, run: int) -> None:
    assert await _account_ids(db) == [], f"run {run}"
    async with db.transaction() as tx:
        await _add_account(tx)


async def test_json_is_bytes_both_ways(db: Database) -> None:
    async with db.transaction() as tx:
        row = await tx.fetchrow(
            "select $1::jsonb, $2::jsonb[], $3::json, $4::jsonb",
            b'{"a": "\xc3\xa9"}',
            [b"[1]", b"{}"],
            b'{"b":  2}',
            '"text"',
        )
    assert row is not None
    assert tuple(row) == (b'{"a": "\xc3\xa9"}', [b"[1]", b"{}"], b'{"b":  2}', b'"text"')


async def test_a_session_is_in_utc_and_durable_under_its_name(other: Database) -> None:
    async with other.transaction() as tx:
        row = await tx.fetchrow(
            "select current_setting('timezone'), current_setting('synchronous_commit'), "
            "current_setting('application_name')"
        )
    assert row is not None
    assert tuple(row) == ("UTC", "on", "other")


async def test_a_refused_statement_is_not_a_lost_database(db: Database) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        async with db.transaction() as tx:
            await tx.execute("select * from nowhere")


async def test_a_session_ended_by_the_server_is_a_lost_database_and_the_next_one_works(
    db: Database, other: Database
) -> None:
    async def lose() -> None:
        async with other.transaction() as lost:
            pid = await lost.fetchval("select pg_backend_pid()")
            async with db.transaction() as tx:
                assert await tx.fetchval("select pg_terminate_backend($1, 5000)", pid)
            await lost.fetchval("select 1")

    with pytest.raises(DatabaseGone, match="connection lost"):
        await lose()
    await other.ping()


async def test_a_pool_with_nothing_to_give_is_a_lost_database(other: Database) -> None:
    impatient = msgspec.structs.replace(other, acquire_timeout_s=0.05)
    async with other.transaction():
        with pytest.raises(DatabaseGone, match="no connection"):
            await impatient.ping()


async def test_nobody_at_the_address_is_a_lost_database(tmp_path: Path) -> None:
    with pytest.raises(DatabaseGone, match="cannot connect"):
        await connect(f"postgresql://nobody@/nothing?host={tmp_path}")


async def test_a_wrong_database_name_is_told_in_one_line(database_url: str) -> None:
    with pytest.raises(DatabaseUnfit, match=r"^DATABASE_URL does not work \(.*\): correct it$"):
        await connect(database_url.replace("callmatrix_test_", "callmatrix_absent_"))


async def test_closing_cuts_a_connection_that_is_never_given_back(database_url: str) -> None:
    database = await connect(database_url)
    given = asyncio.Event()

    async def hold() -> None:
        async with database.transaction():
            given.set()
            await asyncio.Event().wait()

    holder = asyncio.create_task(hold())
    await given.wait()
    await database.close(wait_s=0)
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    with pytest.raises(DatabaseGone):
        await database.ping()


def test_every_process_has_connections_and_together_they_leave_room_on_the_embedded_server() -> None:
    shares = {processes: pool_connections(processes) for processes in (1, 4, 8, 64)}
    assert shares == {1: 20, 4: 20, 8: 10, 64: 2}
    assert all(
        processes * share < int(SERVER_OPTIONS["max_connections"]) for processes, share in shares.items()
    )
