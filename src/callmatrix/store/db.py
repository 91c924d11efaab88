"""Keeps the connections to PostgreSQL and tells a lost database from every other error."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

MIN_POOL_CONNECTIONS = 1
MAX_POOL_CONNECTIONS = 20
LEAST_POOL_CONNECTIONS = 2
POOLED_CONNECTIONS_OF_ALL = 80  # PostgreSQL's own default allows 100; listeners and people need some
STATEMENT_CACHE_SIZE = 500
CONNECT_TIMEOUT_S = 10
ACQUIRE_TIMEOUT_S = 3
COMMAND_TIMEOUT_S = 30
CLOSE_TIMEOUT_S = 10
IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000  # one forgotten transaction would hold back every outbox reader
MIN_SERVER_VERSION = 150_000
_JSONB_VERSION = b"\x01"  # the first byte of jsonb's binary form, jsonb.c

Transaction: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
Row: TypeAlias = asyncpg.Record

# The server is not there (any more), as against: it refused a statement.
_GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.DatabaseDroppedError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TooManyConnectionsError,
    ConnectionError,
    TimeoutError,
)


class DatabaseGone(Exception):
    """The database cannot be reached or was lost; whether the transaction in hand took effect is unknown."""


class DatabaseUnfit(Exception):
    """The server at the given address cannot be used; the text names the problem and the remedy."""


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """A pool of connections to one PostgreSQL database, and as many places in a fair line for them: whoever
    comes to the driver's own pool as a connection is given back takes it from those who wait."""

    pool: "asyncpg.Pool[asyncpg.Record]"
    places: asyncio.Semaphore
    connect_apart: Callable[[], Awaitable["asyncpg.Connection[asyncpg.Record]"]]
    acquire_timeout_s: float = ACQUIRE_TIMEOUT_S

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """One read-committed transaction: committed at the end of the block, rolled back on any exception.

        Raises `DatabaseGone` when no connection is to be had in `acquire_timeout_s`, a statement takes longer
        than `COMMAND_TIMEOUT_S`, or the server is lost. Await nothing in the block but the database.
        """
        async with self.session() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Transaction]:
        """A connection on which every statement is a transaction of its own, in one round trip.

        Raises like `transaction`.
        """
        try:
            async with asyncio.timeout(self.acquire_timeout_s):
                await self.places.acquire()
                try:
                    connection = await self.pool.acquire()
                except BaseException:
                    self.places.release()
                    raise
        except (*_GONE, asyncpg.InterfaceError, OSError) as error:
            raise DatabaseGone(f"no connection: {_said(error)}") from error
        try:
            yield connection
        except (*_GONE, asyncpg.InterfaceError) as error:
            if isinstance(error.__context__, asyncio.CancelledError):
                # The rollback failed too, but who cancelled us waits for just this.
                raise error.__context__ from error
            if isinstance(error, _GONE) or _is_closed(connection):
                raise DatabaseGone(f"connection lost: {_said(error)}") from error
            raise
        finally:
            try:
                await self.pool.release(connection)
            finally:
                self.places.release()

    @asynccontextmanager
    async def listening(self, channel: str, heard: Callable[[], None]) -> AsyncIterator[asyncio.Event]:
        """Call `heard` at every notification on `channel`, over a connection apart from the pool.

        Yields an event that is set when that connection is lost; `heard` is called then too. Raises
        `DatabaseGone` when it cannot be opened.
        """
        lost = asyncio.Event()

        def lose(_connection: object) -> None:
            lost.set()
            heard()

        def hear(*_notification: object) -> None:
            heard()

        try:
            connection = await self._apart()
        except (*_GONE, asyncpg.InterfaceError, OSError) as error:
            raise DatabaseGone(f"cannot listen: {_said(error)}") from error
        try:
            try:
                await connection.add_listener(channel, hear)
            except (*_GONE, asyncpg.InterfaceError, OSError) as error:
                raise DatabaseGone(f"cannot listen: {_said(error)}") from error
            connection.add_termination_listener(lose)
            yield lost
        finally:
            connection.terminate()

    async def _apart(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection apart from the pool; one that is there only when nobody waits any more is ended."""
        connecting = asyncio.ensure_future(self.connect_apart())
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            await asyncio.wait([connecting])
            if not connecting.cancelled() and connecting.exception() is None:
                connecting.result().terminate()
            raise

    async def ping(self) -> None:
        """Return if the database answers; raises `DatabaseGone` if not."""
        async with self.transaction() as tx:
            await tx.execute("select 1")

    async def close(self, *, wait_s: float = CLOSE_TIMEOUT_S) -> None:
        """Close every connection, waiting at most `wait_s` for those in use, then cutting them."""
        try:
            async with asyncio.timeout(wait_s):
                await self.pool.close()
        except TimeoutError:
            self.pool.terminate()


def pool_connections(processes: int) -> int:
    """How many connections each of `processes` server processes may hold, so that all find room."""
    return max(LEAST_POOL_CONNECTIONS, min(MAX_POOL_CONNECTIONS, POOLED_CONNECTIONS_OF_ALL // processes))


async def connect(
    dsn: str,
    *,
    application_name: str = "callmatrix",
    min_connections: int = MIN_POOL_CONNECTIONS,
    max_connections: int = MAX_POOL_CONNECTIONS,
) -> Database:
    """Open a pool on `dsn` (a postgresql:// address).

    json and jsonb columns are bytes both ways: we encode and decode with msgspec. Raises `DatabaseGone` when
    nobody answers, `DatabaseUnfit` when the address, login or server version is wrong.
    """
    server_settings = {
        "application_name": application_name,
        "timezone": "UTC",
        "synchronous_commit": "on",
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
    }

    async def connect_apart() -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings=server_settings,
        )

    try:
        pool = await asyncpg.create_pool(
            dsn,
            min_size=min_connections,
            max_size=max_connections,
            init=_prepare,
            reset=_keep,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            statement_cache_size=STATEMENT_CACHE_SIZE,
            server_settings=server_settings,
        )
    except (*_GONE, OSError) as error:
        raise DatabaseGone(f"cannot connect: {_said(error)}") from error
    except (
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.ClientConfigurationError,
    ) as error:
        raise DatabaseUnfit(f"DATABASE_URL does not work ({_said(error)}): correct it") from error
    db = Database(pool=pool, places=asyncio.Semaphore(max_connections), connect_apart=connect_apart)
    async with db.transaction() as tx:
        number = int(await tx.fetchval("select current_setting('server_version_num')"))
    if number < MIN_SERVER_VERSION:
        await db.close()
        raise DatabaseUnfit(
            f"DATABASE_URL leads to PostgreSQL {number // 10_000}: "
            f"give the address of version {MIN_SERVER_VERSION // 10_000} or later"
        )
    return db


async def _keep(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Nothing to reset: no statement of ours leaves settings, cursors, listeners or session locks behind on
    a pooled connection, and the driver's own reset costs a round trip each time."""


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_jsonb, decoder=_decode_jsonb, format="binary"
    )
    await connection.set_type_codec(
        "json", schema="pg_catalog", encoder=_as_bytes, decoder=bytes, format="binary"
    )


def _encode_jsonb(value: bytes | str) -> bytes:
    return _JSONB_VERSION + _as_bytes(value)


def _decode_jsonb(value: bytes) -> bytes:
    return bytes(value[1:])


def _as_bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _is_closed(connection: Transaction) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        # A pool that was cut has taken the connection back.
        return True


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
