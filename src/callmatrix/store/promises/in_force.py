"""Says which revision of the configuration may have been in force when."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

import msgspec

from callmatrix.core.ids import AccountId
from callmatrix.store.db import Transaction
from callmatrix.store.kinds import TYPES, Config, Kind, read

ROWS_AT_ONCE: Final = 500
ENDS_SLACK: Final = timedelta(seconds=2)
REVISIONS_SLACK: Final = timedelta(seconds=5)
"""Processes take their instants before they wait for the gate, so two changes this close may have been
committed in either order: what ended, changed or closed so near to a grant counts in the grant's favour."""

T = TypeVar("T")


class Since(msgspec.Struct, Generic[T], frozen=True):
    """A value and the instant from which it was in force."""

    at: datetime
    value: T


Timeline = list[Since[T]]


def append(timeline: Timeline[T], at: datetime, value: T) -> None:
    """Add what was in force from `at` on, where it is something new."""
    if not timeline or timeline[-1].value != value:
        timeline.append(Since(at, value))


def in_force(timeline: Timeline[T], at: datetime) -> list[Since[T]]:
    """Whatever may have been in force at `at`, newest first; nothing where it may not have been there yet."""
    found: list[Since[T]] = []
    for since in reversed(timeline):
        if since.at <= at + REVISIONS_SLACK:
            found.append(since)
        if since.at <= at - REVISIONS_SLACK:
            return found
    return []


async def revisions(
    tx: Transaction, account_id: AccountId, kinds: tuple[Kind, ...]
) -> AsyncIterator[tuple[datetime, Config]]:
    """Every revision of the documents of these kinds, those of one document together and in order."""
    rows = tx.cursor(
        "select kind, document, changed_at from config_revision"
        " where account_id = $1 and kind = any($2) order by kind, id, revision",
        account_id,
        list(kinds),
        prefetch=ROWS_AT_ONCE,
    )
    async for row in rows:
        yield row["changed_at"], read(row["document"], TYPES[row["kind"]])
