"""Keeps an account's configuration: every document and its revisions, saved only where it can be lived by."""

import base64
import binascii
from datetime import datetime
from typing import Final, Generic, Literal

import msgspec

from callmatrix.core.campaign import Account, Number
from callmatrix.core.documents import decode, encode
from callmatrix.core.errors import Problem, Refused
from callmatrix.core.ids import AccountId
from callmatrix.store import audit, capacity, impact, references, rotation, soundness
from callmatrix.store.audit import Act, By
from callmatrix.store.db import Row, Transaction
from callmatrix.store.kinds import TYPES, Config, Kind, T, kind_of, name_of, read, status_of

CHANNEL: Final = "callmatrix_catalog"
MAX_PAGE: Final = 200
MAX_SEARCH: Final = 100
MAX_HISTORY: Final = 200
MAX_IDS: Final = 10_000
MAX_ACCOUNTS: Final = 10_000

What = Literal["create", "change", "pause", "resume", "archive", "restore", "clone", "publish", "schedule"]
_COLUMNS: Final = "kind, id, revision, document, archived, created_at, changed_at, catalog_version"


class Stored(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A document as it stands; `revision` is what a change must name. `catalog_version` is the version of
    the account's catalog since which it is so."""

    document: T
    revision: int
    archived: bool
    created_at: datetime
    changed_at: datetime
    catalog_version: int


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A part of a list; `next_cursor` is None at its end."""

    items: tuple[Stored[T], ...]
    next_cursor: str | None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which documents to list. `archived` None means both; `buyer_id` is for offers, `connection_id` for
    numbers; `search` is found anywhere in the name, or is the id."""

    search: str = ""
    status: str | None = None
    archived: bool | None = False
    ids: tuple[str, ...] | None = None
    buyer_id: str | None = None
    connection_id: str | None = None
    cursor: str | None = None
    limit: int = 50


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """A document as it is now, or what keeps it from being read."""

    kind: Kind
    id: str
    document: Config | str


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of a document: what was done, by whom and why."""

    revision: int
    what: What
    changed_by: str
    changed_at: datetime
    note: str


# --- reading -------------------------------------------------------------------------------------------


async def find(tx: Transaction, account_id: AccountId, kind: type[T], config_id: str) -> Stored[T] | None:
    """A document as it stands, archived or not; None where there is none."""
    row = await tx.fetchrow(
        f"select {_COLUMNS} from config where account_id = $1 and kind = $2 and id = $3",
        account_id,
        kind_of(kind),
        config_id,
    )
    return None if row is None else stored(row, kind)


async def get(tx: Transaction, account_id: AccountId, kind: type[T], config_id: str) -> Stored[T]:
    """As `find`; `Refused("not_found")` where there is none."""
    found = await find(tx, account_id, kind, config_id)
    if found is None:
        raise Refused("not_found", f"There is no {kind_of(kind)} {config_id}")
    return found


async def get_many(
    tx: Transaction, account_id: AccountId, kind: type[T], ids: tuple[str, ...] | None = None
) -> tuple[Stored[T], ...]:
    """The documents of these ids, or all of a kind, archived ones too; at most `MAX_IDS`, by id."""
    rows = await tx.fetch(
        f"select {_COLUMNS} from config where account_id = $1 and kind = $2"
        " and ($3::text[] is null or id = any($3)) order by id limit $4",
        account_id,
        kind_of(kind),
        None if ids is None else list(ids),
        MAX_IDS,
    )
    return tuple(stored(row, kind) for row in rows)


async def number_by_e164(tx: Transaction, account_id: AccountId, e164: str) -> Stored[Number] | None:
    """The tracked number in use that reads so."""
    row = await tx.fetchrow(
        f"select {_COLUMNS} from config where account_id = $1 and kind = 'number' and name = $2"
        " and not archived",
        account_id,
        e164,
    )
    return None if row is None else stored(row, Number)


async def page(tx: Transaction, account_id: AccountId, kind: type[T], wanted: Wanted) -> Page[T]:
    """Documents by name, case folded, then id; `Refused("invalid")` for a cursor that is none of ours."""
    limit = max(1, min(wanted.limit, MAX_PAGE))
    name, config_id = read_cursor(wanted.cursor) if wanted.cursor else (None, None)
    search = wanted.search.strip()[:MAX_SEARCH]
    rows = await tx.fetch(
        f"select {_COLUMNS}, lower(name) as ordered_by from config where account_id = $1 and kind = $2"
        " and ($3 = '' or name ilike $4 or id = $3)"
        " and ($5::text is null or status = $5) and ($6::boolean is null or archived = $6)"
        " and ($7::text is null or document ->> 'buyer_id' = $7)"
        " and ($8::text is null or document ->> 'connection_id' = $8)"
        " and ($9::text[] is null or id = any($9))"
        " and ($10::text is null or (lower(name), id) > ($10, $11))"
        " order by lower(name), id limit $12",
        account_id,
        kind_of(kind),
        search,
        f"%{_escaped(search)}%",
        wanted.status,
        wanted.archived,
        wanted.buyer_id,
        wanted.connection_id,
        None if wanted.ids is None else list(wanted.ids),
        name,
        config_id,
        limit + 1,
    )
    items = tuple(stored(row, kind) for row in rows[:limit])
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        items=items, next_cursor=None if last is None else write_cursor(last["ordered_by"], last["id"])
    )


async def history(
    tx: Transaction,
    account_id: AccountId,
    kind: type[T],
    config_id: str,
    *,
    before_revision: int | None = None,
    limit: int = MAX_HISTORY,
) -> tuple[Revision, ...]:
    """The newest revisions first, those before `before_revision`, at most `MAX_HISTORY`."""
    rows = await tx.fetch(
        "select revision, what, changed_by, changed_at, note from config_revision where account_id = $1"
        " and kind = $2 and id = $3 and ($4::integer is null or revision < $4)"
        " order by revision desc limit $5",
        account_id,
        kind_of(kind),
        config_id,
        before_revision,
        min(limit, MAX_HISTORY),
    )
    return tuple(
        Revision(
            revision=row["revision"],
            what=row["what"],
            changed_by=row["changed_by"],
            changed_at=row["changed_at"],
            note=row["note"],
        )
        for row in rows
    )


async def at_revision(
    tx: Transaction, account_id: AccountId, kind: type[T], config_id: str, revision: int
) -> T:
    """A document as it was; `Refused("not_found")` where it never had that revision."""
    data = await tx.fetchval(
        "select document from config_revision where account_id = $1 and kind = $2 and id = $3"
        " and revision = $4",
        account_id,
        kind_of(kind),
        config_id,
        revision,
    )
    if data is None:
        raise Refused("not_found", f"{config_id} has no revision {revision}")
    return read(data, kind)


async def versions(tx: Transaction) -> dict[AccountId, int]:
    """The version of every account's catalog."""
    rows = await tx.fetch("select account_id, catalog_version from account order by 1 limit $1", MAX_ACCOUNTS)
    return {row["account_id"]: row["catalog_version"] for row in rows}


async def changed_since(
    tx: Transaction, account_id: AccountId, *, after: int, kinds: tuple[Kind, ...]
) -> tuple[Changed, ...]:
    """The documents of these kinds that changed after a version of the catalog, archived ones too."""
    rows = await tx.fetch(
        "select kind, id, document from config where account_id = $1 and catalog_version > $2"
        " and kind = any($3) order by catalog_version",
        account_id,
        after,
        list(kinds),
    )
    return tuple(_changed(row) for row in rows)


def _changed(row: Row) -> Changed:
    kind: Kind = row["kind"]
    try:
        document: Config | str = read(row["document"], TYPES[kind])
    except (msgspec.DecodeError, Refused) as error:
        document = f"cannot be read: {error}"
    return Changed(kind=kind, id=row["id"], document=document)


def stored(row: Row, kind: type[T]) -> Stored[T]:
    """A row of `config` as a value."""
    return Stored(
        document=read(row["document"], kind),
        revision=row["revision"],
        archived=row["archived"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        catalog_version=row["catalog_version"],
    )


def write_cursor(name: str, config_id: str) -> str:
    """Where a list goes on, as opaque text."""
    return base64.urlsafe_b64encode(encode((name, config_id))).decode().rstrip("=")


def read_cursor(text: str) -> tuple[str, str]:
    """What `write_cursor` wrote; `Refused("invalid")` for anything else."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return decode(data, tuple[str, str])
    except (binascii.Error, ValueError, msgspec.DecodeError):
        problem = Problem(
            field="cursor", problem="This is not a cursor of ours", remedy="Begin the list anew, without it"
        )
        raise Refused("invalid", "The cursor cannot be read", (problem,)) from None


def _escaped(search: str) -> str:
    return search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


# --- saving --------------------------------------------------------------------------------------------


async def create_account(tx: Transaction, account: Account, *, by: By) -> Stored[Account]:
    """A new account with its own document; `Refused("conflict")` where the id is taken."""
    made = await tx.fetchval(
        "insert into account (account_id, name, currency, time_zone, week_starts_on, created_at)"
        " values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning 1",
        account.id,
        account.name,
        account.currency,
        account.time_zone,
        account.week_starts_on + 1,
        by.at,
    )
    if made is None:
        raise Refused("conflict", f"There is an account {account.id} already")
    await lock(tx, account.id)
    return await save(tx, account.id, account, before=None, what="create", by=by)


async def create(
    tx: Transaction, account_id: AccountId, document: T, *, by: By, what: What = "create"
) -> Stored[T]:
    """Save a new document. `Refused("invalid")` with what is wrong, `("conflict")` where the id is taken or
    the number is there already."""
    await lock(tx, account_id)
    if await find(tx, account_id, type(document), document.id) is not None:
        raise Refused("conflict", f"There is a {kind_of(document)} {document.id} already")
    return await save(tx, account_id, document, before=None, what=what, by=by)


async def change(
    tx: Transaction,
    account_id: AccountId,
    document: T,
    *,
    by: By,
    expected_revision: int | None = None,
    what: What = "change",
) -> Stored[T]:
    """Put a document in the place of its last revision; as it stands where nothing differs.

    `Refused("changed_meanwhile")` where `expected_revision` is not the last one any more, `("invalid")` with
    what is wrong; then the old one stays in force.
    """
    await lock(tx, account_id)
    before = await get(tx, account_id, type(document), document.id)
    if expected_revision is not None and before.revision != expected_revision:
        raise changed_meanwhile(document.id, found=before.revision, expected=expected_revision)
    if before.archived:
        raise Refused("conflict", f"{document.id} is archived: restore it first")
    if status_of(document) == "archived":
        raise Refused("conflict", f"{document.id} is archived by an act of its own, not by a change")
    if before.document == document:
        return before
    if isinstance(document, Account) and document.currency != before.document.currency:
        raise Refused("conflict", "The currency of an account stays: what is booked is in it")
    return await save(tx, account_id, document, before=before, what=what, by=by)


def changed_meanwhile(config_id: str, *, found: int, expected: int) -> Refused:
    """Somebody saved a document after the asker read it."""
    detail = f"{config_id} is at revision {found}, not {expected}: look at it again"
    return Refused("changed_meanwhile", detail)


async def save(
    tx: Transaction,
    account_id: AccountId,
    document: T,
    *,
    before: Stored[T] | None,
    what: What,
    by: By,
    archived: bool = False,
) -> Stored[T]:
    """Write the next revision and all that follows from it: references, plans, limits, audit, the notice to
    every process. The caller has `lock`ed the account and read `before` since."""
    if not archived:
        await soundness.check(tx, account_id, document, now=by.at)
    version = await bump(tx, account_id)
    saved = await _write(tx, account_id, document, before=before, archived=archived, version=version, by=by)
    await _write_revision(tx, account_id, document, revision=saved.revision, what=what, by=by)
    await references.replace(tx, account_id, () if archived else references.of(document, now=by.at), document)
    await impact.remake_plans(tx, account_id, document, what=what, catalog_version=version, now=by.at)
    previous = None if before is None else before.document
    await capacity.keep(tx, account_id, previous, document, now=by.at)
    await rotation.keep(tx, account_id, previous, document, now=by.at)
    act = Act(
        what=what,
        kind=kind_of(document),
        target_id=document.id,
        before_revision=None if before is None else before.revision,
        after_revision=saved.revision,
    )
    await audit.record(tx, account_id, act, by=by)
    return saved


async def lock(tx: Transaction, account_id: AccountId) -> int:
    """Hold the account against other saves until the transaction ends; its catalog's version."""
    version: int | None = await tx.fetchval(
        "select catalog_version from account where account_id = $1 for update", account_id
    )
    if version is None:
        raise Refused("not_found", f"There is no account {account_id}")
    return version


async def bump(tx: Transaction, account_id: AccountId) -> int:
    """Begin the next version of the account's catalog and tell every process when the transaction commits."""
    version: int = await tx.fetchval(
        "update account set catalog_version = catalog_version + 1 where account_id = $1"
        " returning catalog_version",
        account_id,
    )
    await tx.execute("select pg_notify($1, $2)", CHANNEL, account_id)
    return version


async def _write(
    tx: Transaction,
    account_id: AccountId,
    document: T,
    *,
    before: Stored[T] | None,
    archived: bool,
    version: int,
    by: By,
) -> Stored[T]:
    saved = Stored(
        document=document,
        revision=1 if before is None else before.revision + 1,
        archived=archived,
        created_at=by.at if before is None else before.created_at,
        changed_at=by.at,
        catalog_version=version,
    )
    await tx.execute(
        "insert into config (account_id, kind, id, revision, name, status, archived, document, created_at,"
        " changed_at, catalog_version) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        " on conflict (account_id, kind, id) do update set revision = excluded.revision,"
        " name = excluded.name, status = excluded.status, archived = excluded.archived,"
        " document = excluded.document, changed_at = excluded.changed_at,"
        " catalog_version = excluded.catalog_version",
        account_id,
        kind_of(document),
        document.id,
        saved.revision,
        name_of(document),
        status_of(document),
        archived,
        encode(document),
        saved.created_at,
        saved.changed_at,
        version,
    )
    if isinstance(document, Account):
        await tx.execute(
            "update account set name = $2, time_zone = $3, week_starts_on = $4 where account_id = $1",
            account_id,
            document.name,
            document.time_zone,
            document.week_starts_on + 1,
        )
    return saved


async def _write_revision(
    tx: Transaction, account_id: AccountId, document: Config, *, revision: int, what: What, by: By
) -> None:
    await tx.execute(
        "insert into config_revision (account_id, kind, id, revision, document, what, changed_by, changed_at,"
        " note) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        account_id,
        kind_of(document),
        document.id,
        revision,
        encode(document),
        what,
        by.who,
        by.at,
        by.note[: audit.MAX_NOTE],
    )
