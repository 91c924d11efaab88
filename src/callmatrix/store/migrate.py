"""Brings a database to the schema of this program: numbered SQL files, forward only, each applied once."""

import hashlib
import re
from pathlib import Path

import msgspec

from callmatrix.store.db import Database, Transaction

FOLDER = Path(__file__).parent / "migrations"
MAX_MIGRATIONS = 9_999
MIGRATION_TIMEOUT_S = 3_600  # rewriting a large table takes its time
LOCK_KEY = 0x63616C6C6D617478  # "callmatx": every process of ours, and nobody else, locks this number
_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")


class MigrationRefused(Exception):
    """The database and this program's migrations do not fit; the text names the problem and the remedy."""


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One file: `number` orders it, `checksum` is the SHA-256 of `sql` in hexadecimal."""

    number: int
    name: str
    sql: str
    checksum: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Names in order: applied to the database, and still to be applied."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]


def read_migrations(folder: Path = FOLDER) -> tuple[Migration, ...]:
    """The migrations of `folder` in order. Raises `MigrationRefused` for a bad or doubled number."""
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql"))[:MAX_MIGRATIONS]:
        matched = _NAME.match(path.name)
        if matched is None:
            raise MigrationRefused(
                f"migration {path.name} must be called like 0001_what_it_adds.sql: rename it"
            )
        sql = path.read_text(encoding="utf-8")
        checksum = hashlib.sha256(sql.encode()).hexdigest()
        found.append(Migration(number=int(matched[1]), name=path.stem, sql=sql, checksum=checksum))
        if len(found) > 1 and found[-2].number == found[-1].number:
            raise MigrationRefused(
                f"{found[-2].name} and {found[-1].name} have the same number: renumber the later one"
            )
    return tuple(found)


async def migrate(db: Database, *, migrations: tuple[Migration, ...] | None = None) -> tuple[str, ...]:
    """Apply what is missing, in order, each in its own transaction; returns the names applied now.

    Processes that start together wait for the first one. Raises `MigrationRefused` when an applied migration
    has changed or is unknown here, or a new one would have to go before an applied one.
    """
    wanted = read_migrations() if migrations is None else migrations
    done: list[str] = []
    for _ in range(len(wanted) + 1):
        async with db.transaction() as tx:
            await tx.execute("select pg_advisory_xact_lock($1)", LOCK_KEY, timeout=MIGRATION_TIMEOUT_S)
            await tx.execute(
                "create table if not exists callmatrix_migrations "
                "(number integer primary key, name text not null, checksum text not null)"
            )
            missing = _missing(wanted, await _applied(tx))
            if not missing:
                break
            step = missing[0]
            await tx.execute(step.sql, timeout=MIGRATION_TIMEOUT_S)
            await tx.execute(
                "insert into callmatrix_migrations (number, name, checksum) values ($1, $2, $3)",
                step.number,
                step.name,
                step.checksum,
            )
        done.append(step.name)
    return tuple(done)


async def status(db: Database, *, migrations: tuple[Migration, ...] | None = None) -> Status:
    """What is applied and what is not; changes nothing. Raises `MigrationRefused` like `migrate`."""
    wanted = read_migrations() if migrations is None else migrations
    async with db.transaction() as tx:
        known = await tx.fetchval("select to_regclass('callmatrix_migrations') is not null")
        applied = await _applied(tx) if known else ()
    missing = _missing(wanted, applied)
    return Status(applied=tuple(name for _, name, _ in applied), pending=tuple(step.name for step in missing))


async def _applied(tx: Transaction) -> tuple[tuple[int, str, str], ...]:
    rows = await tx.fetch("select number, name, checksum from callmatrix_migrations order by number")
    return tuple((row["number"], row["name"], row["checksum"]) for row in rows)


def _missing(
    wanted: tuple[Migration, ...], applied: tuple[tuple[int, str, str], ...]
) -> tuple[Migration, ...]:
    known = {step.number: step for step in wanted}
    for number, name, checksum in applied:
        step = known.pop(number, None)
        if step is None:
            raise MigrationRefused(
                f"the database has migration {name}, which this release does not: run a later release"
            )
        if step.checksum != checksum:
            raise MigrationRefused(
                f"migration {step.name} was applied as {name} with other contents: "
                "restore that file and put the change into a new migration"
            )
    last = max((number for number, _, _ in applied), default=0)
    missing = tuple(known[number] for number in sorted(known))
    if missing and missing[0].number < last:
        raise MigrationRefused(
            f"migration {missing[0].name} comes before {last:04}, which is applied: renumber it"
        )
    return missing
