"""Migrations, from the first to the last, on a real PostgreSQL."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from callmatrix.store.db import Database, connect
from callmatrix.store.migrate import MigrationRefused, Status, migrate, read_migrations, status

ALL_NAMES = tuple(step.name for step in read_migrations())


@pytest.fixture
async def bare(unmigrated_url: str) -> AsyncIterator[Database]:
    database = await connect(unmigrated_url)
    yield database
    await database.close()


def _write(folder: Path, **files: str) -> None:
    for name, sql in files.items():
        (folder / f"{name.removeprefix('m')}.sql").write_text(sql, encoding="utf-8")


async def test_an_empty_database_gets_every_migration_once_in_order(bare: Database) -> None:
    assert await status(bare) == Status(applied=(), pending=ALL_NAMES)
    assert await migrate(bare) == ALL_NAMES
    assert await migrate(bare) == ()
    assert await status(bare) == Status(applied=ALL_NAMES, pending=())


def test_our_migrations_are_numbered_from_one_without_a_gap() -> None:
    numbers = [step.number for step in read_migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_processes_that_start_together_migrate_once(unmigrated_url: str) -> None:
    starters = await asyncio.gather(*(connect(unmigrated_url) for _ in range(4)))
    applied = await asyncio.gather(*(migrate(database) for database in starters))
    assert tuple(sorted(name for names in applied for name in names)) == ALL_NAMES
    for database in starters:
        await database.close()


async def test_asking_for_the_status_changes_nothing(bare: Database) -> None:
    await status(bare)
    async with bare.transaction() as tx:
        assert await tx.fetchval("select count(*) from pg_tables where schemaname = 'public'") == 0


async def test_a_failing_migration_leaves_no_trace_and_keeps_those_before_it(
    bare: Database, tmp_path: Path
) -> None:
    _write(
        tmp_path, m0001_good="create table one (a int);", m0002_bad="create table two (a int); select 1/0;"
    )
    steps = read_migrations(tmp_path)
    with pytest.raises(Exception, match="division by zero"):
        await migrate(bare, migrations=steps)
    async with bare.transaction() as tx:
        tables = await tx.fetch("select tablename from pg_tables where schemaname = 'public' order by 1")
    assert [row[0] for row in tables] == ["callmatrix_migrations", "one"]
    assert await status(bare, migrations=steps) == Status(applied=("0001_good",), pending=("0002_bad",))


async def test_a_changed_migration_that_is_applied_is_refused(bare: Database, tmp_path: Path) -> None:
    _write(tmp_path, m0001_first="create table one (a int);")
    await migrate(bare, migrations=read_migrations(tmp_path))
    _write(tmp_path, m0001_first="create table one (a bigint);")
    with pytest.raises(MigrationRefused, match="0001_first was applied as 0001_first with other contents"):
        await migrate(bare, migrations=read_migrations(tmp_path))


async def test_a_database_of_a_later_release_is_refused(bare: Database, tmp_path: Path) -> None:
    _write(tmp_path, m0001_first="create table one (a int);", m0002_second="create table two (a int);")
    steps = read_migrations(tmp_path)
    await migrate(bare, migrations=steps)
    with pytest.raises(MigrationRefused, match="has migration 0002_second, which this release does not"):
        await migrate(bare, migrations=steps[:1])


async def test_a_migration_before_an_applied_one_is_refused(bare: Database, tmp_path: Path) -> None:
    _write(tmp_path, m0002_second="create table two (a int);")
    await migrate(bare, migrations=read_migrations(tmp_path))
    _write(tmp_path, m0001_first="create table one (a int);")
    with pytest.raises(MigrationRefused, match=re.escape("0001_first comes before 0002")):
        await migrate(bare, migrations=read_migrations(tmp_path))


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"m1_first": ""}, "1_first.sql must be called like"),
        ({"m0001_a": "", "m0001_b": ""}, "0001_a and 0001_b have the same number"),
    ],
)
def test_a_wrong_number_is_refused(tmp_path: Path, files: dict[str, str], problem: str) -> None:
    _write(tmp_path, **files)
    with pytest.raises(MigrationRefused, match=problem):
        read_migrations(tmp_path)
