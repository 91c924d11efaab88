"""Pauses, resumes, archives, restores and copies configuration documents."""

from typing import Any, Final, assert_never

import msgspec

from callmatrix.core.campaign import (
    MAX_NAME,
    Account,
    Buyer,
    Campaign,
    Connection,
    Endpoint,
    FlowDocument,
    Number,
    Offer,
    Publisher,
)
from callmatrix.core.errors import Problem, Refused
from callmatrix.core.ids import AccountId
from callmatrix.store import catalog, references
from callmatrix.store.audit import By
from callmatrix.store.catalog import Stored
from callmatrix.store.db import Transaction
from callmatrix.store.kinds import T, kind_of, name_of, status_of

_COPY: Final = " (copy)"


async def pause(
    tx: Transaction,
    account_id: AccountId,
    kind: type[T],
    config_id: str,
    *,
    by: By,
    expected_revision: int | None = None,
) -> Stored[T]:
    """No new calls from now on; those in the air go on (rule 1). A number is `disabled`."""
    return await _set_status(
        tx, account_id, kind, config_id, running=False, by=by, expected_revision=expected_revision
    )


async def resume(
    tx: Transaction,
    account_id: AccountId,
    kind: type[T],
    config_id: str,
    *,
    by: By,
    expected_revision: int | None = None,
) -> Stored[T]:
    """Calls again from now on; a campaign that was a draft goes live."""
    return await _set_status(
        tx, account_id, kind, config_id, running=True, by=by, expected_revision=expected_revision
    )


async def archive(
    tx: Transaction,
    account_id: AccountId,
    kind: type[T],
    config_id: str,
    *,
    by: By,
    expected_revision: int | None = None,
) -> Stored[T]:
    """Put a document away. `Refused("conflict")` with the documents that name it, while there are any."""
    await catalog.lock(tx, account_id)
    before = await _current(tx, account_id, kind, config_id, expected_revision)
    if isinstance(before.document, Account):
        raise Refused("conflict", "An account cannot be archived")
    if before.archived:
        return before
    used = await references.uses(tx, account_id, kind_of(kind), config_id)
    if used:
        named = tuple(
            Problem(
                field="",
                problem=f"The {use.kind} {use.name} ({use.id}) names it",
                remedy=f"Change the {use.kind} first",
            )
            for use in used
        )
        raise Refused("conflict", f"{name_of(before.document)} is in use", named)
    return await catalog.save(
        tx,
        account_id,
        with_status(before.document, _archived_status(before.document)),
        before=before,
        what="archive",
        by=by,
        archived=True,
    )


async def restore(
    tx: Transaction,
    account_id: AccountId,
    kind: type[T],
    config_id: str,
    revision: int,
    *,
    by: By,
    expected_revision: int | None = None,
) -> Stored[T]:
    """Make an earlier revision the current one again, all but its status: what is paused stays paused, and
    what was archived comes back paused."""
    await catalog.lock(tx, account_id)
    before = await _current(tx, account_id, kind, config_id, expected_revision)
    wanted = await catalog.at_revision(tx, account_id, kind, config_id, revision)
    status = (
        _running_status(before.document, running=False) if before.archived else status_of(before.document)
    )
    return await catalog.save(
        tx, account_id, with_status(wanted, status), before=before, what="restore", by=by
    )


async def clone(
    tx: Transaction,
    account_id: AccountId,
    kind: type[T],
    config_id: str,
    *,
    new_id: str,
    by: By,
    name: str | None = None,
) -> Stored[T]:
    """A copy under a new id and name; a campaign's begins as a draft, everything else's paused.

    Accounts, connections, numbers and endpoints are there once and can't be copied: `Refused("conflict")`.
    """
    source = (await catalog.get(tx, account_id, kind, config_id)).document
    if isinstance(source, Account | Connection | Number | Endpoint):
        raise Refused("conflict", f"A {kind_of(kind)} cannot be copied")
    status = "draft" if isinstance(source, Campaign) else "paused"
    named = name or f"{source.name[: MAX_NAME - len(_COPY)]}{_COPY}"
    copy: T = msgspec.structs.replace(source, id=new_id, name=named, status=status)
    return await catalog.create(tx, account_id, copy, by=by, what="clone")


def with_status(document: T, status: str) -> T:
    """The same document with another status; an account has none."""
    if isinstance(document, Account):
        return document
    plain: Any = document
    changed: T = msgspec.structs.replace(plain, status=status)
    return changed


async def _set_status(
    tx: Transaction,
    account_id: AccountId,
    kind: type[T],
    config_id: str,
    *,
    running: bool,
    by: By,
    expected_revision: int | None,
) -> Stored[T]:
    await catalog.lock(tx, account_id)
    before = await catalog.get(tx, account_id, kind, config_id)
    return await catalog.change(
        tx,
        account_id,
        with_status(before.document, _running_status(before.document, running=running)),
        by=by,
        expected_revision=expected_revision,
        what="resume" if running else "pause",
    )


async def _current(
    tx: Transaction, account_id: AccountId, kind: type[T], config_id: str, expected_revision: int | None
) -> Stored[T]:
    before = await catalog.get(tx, account_id, kind, config_id)
    if expected_revision is not None and before.revision != expected_revision:
        raise catalog.changed_meanwhile(config_id, found=before.revision, expected=expected_revision)
    return before


def _running_status(document: T, *, running: bool) -> str:
    match document:
        case Campaign():
            return "live" if running else "paused"
        case Number():
            if not running:
                return "disabled"
            return "assigned" if document.assignments else "available"
        case Buyer() | Offer() | Publisher() | Connection() | FlowDocument() | Endpoint():
            return "active" if running else "paused"
        case Account():
            raise Refused("conflict", "An account cannot be paused")
        case _:
            assert_never(document)


def _archived_status(document: T) -> str:
    return "disabled" if isinstance(document, Number) else "archived"
