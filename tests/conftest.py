"""One PostgreSQL server a run, one database a worker, emptied for each test; no network but loopback.

`CALLMATRIX_TEST_DATABASE_URL` (by a superuser role) replaces the embedded server.
"""

import asyncio
import contextlib
import ipaddress
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from callmatrix.store import embedded
from callmatrix.store.db import Database, connect
from callmatrix.store.migrate import migrate

_GIVEN_DATABASE_URL = os.environ.pop("CALLMATRIX_TEST_DATABASE_URL", None)
_TEST_DATA = Path(tempfile.gettempdir()) / "callmatrix-tests"
_SERVER_URL = pytest.StashKey[str]()
_SERVER = pytest.StashKey[embedded.Running]()
_KEPT_TABLES = ("callmatrix_migrations",)


class OutsideNetwork(BaseException):
    """A test tried to reach an address that is not on this machine."""


def _allow_loopback_only(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            raise OutsideNetwork(f"tests may connect to loopback only, not to {address}")
    elif event == "socket.getaddrinfo" and not _is_resolvable_here(arguments[0]):
        raise OutsideNetwork(f"tests may not look up {arguments[0]}")


def _is_loopback(host: Any) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_resolvable_here(host: Any) -> bool:
    """Names would ask a name server; numbers ask nobody."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


sys.addaudithook(_allow_loopback_only)


def _start_server(config: pytest.Config) -> str:
    """The address of this run's server, started by the first who asks in the run's main process."""
    if _GIVEN_DATABASE_URL is not None:
        return _GIVEN_DATABASE_URL
    if _SERVER not in config.stash:
        _discard_left_behind()
        ours = _TEST_DATA / str(os.getpid())
        ours.mkdir(exist_ok=True)
        config.stash[_SERVER] = embedded.start(ours)
    return config.stash[_SERVER].dsn


def _discard_left_behind() -> None:
    """Remove the servers of test runs that were killed."""
    _TEST_DATA.mkdir(exist_ok=True)
    for folder in _TEST_DATA.iterdir():
        if not _is_alive(int(folder.name)):
            # Another run may be removing the same one.
            with contextlib.suppress(embedded.ServerNotStarted, FileNotFoundError):
                embedded.discard(folder)
                shutil.rmtree(folder)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist: the main process starts the server before its workers and outlives them."""
    node.workerinput["server_url"] = _start_server(node.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SERVER in config.stash:
        config.stash[_SERVER].stop()
        embedded.discard(_TEST_DATA / str(os.getpid()))
        shutil.rmtree(_TEST_DATA / str(os.getpid()))


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    """The address of the server's maintenance database, by a superuser role."""
    given = getattr(request.config, "workerinput", {}).get("server_url")
    return given or _start_server(request.config)


@pytest.fixture(scope="session")
def database_names() -> Iterator[str]:
    """Names of databases that no other worker or run uses."""

    def count() -> Iterator[str]:
        for number in range(1_000_000):
            yield f"callmatrix_test_{os.getpid()}_{number}"

    return count()


@pytest.fixture(scope="session")
async def database_url(server_url: str, database_names: Iterator[str]) -> AsyncIterator[str]:
    """The address of this worker's migrated database, for tests that start processes; `db` empties it."""
    name = next(database_names)
    await _administer(server_url, f'create database "{name}"')
    url = _with_database(server_url, name)
    database = await connect(url)
    await migrate(database)
    await database.close()
    yield url
    await _administer(server_url, f'drop database "{name}" with (force)')


@pytest.fixture(scope="session")
async def connected(database_url: str) -> AsyncIterator[Database]:
    """A pool on this worker's database, holding whatever earlier tests wrote; tests ask for `db` instead."""
    database = await connect(database_url, application_name="callmatrix-tests")
    yield database
    await database.close()


@pytest.fixture
async def db(connected: Database) -> Database:
    """A pool on a migrated database with empty tables."""
    await _empty(connected)
    return connected


@pytest.fixture
async def unmigrated_url(server_url: str, database_names: Iterator[str]) -> AsyncIterator[str]:
    """The address of a new database without any table, dropped after the test."""
    name = next(database_names)
    await _administer(server_url, f'create database "{name}"')
    yield _with_database(server_url, name)
    await _administer(server_url, f'drop database "{name}" with (force)')


async def _empty(database: Database) -> None:
    async with database.transaction() as tx:
        # Triggers that keep tables append-only must not keep a test from starting empty.
        await tx.execute("set local session_replication_role = replica")
        names = await tx.fetch(
            "select format('%I.%I', schemaname, tablename) as name from pg_tables "
            "where schemaname = 'public' and tablename <> all ($1::text[])",
            _KEPT_TABLES,
        )
        if not names:
            return
        asked = " union all ".join(
            f"(select '{row['name']}' from only {row['name']} limit 1)" for row in names
        )
        filled = await tx.fetch(asked)
        if filled:
            listed = ", ".join(row[0] for row in filled)
            await tx.execute(f"truncate {listed} restart identity cascade")


async def _administer(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await asyncio.shield(connection.close())


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
