"""What a run of calls came to, counted from the rows."""

from datetime import datetime

import msgspec

from callmatrix.core.ids import AccountId
from callmatrix.store.db import Database, Transaction


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of `callmatrix demo --exit`: counts by the glossary's words, and every promise."""

    calls: int
    connected: int
    converted: int
    promises: dict[str, bool]


async def summary_of(
    db: Database, account_id: AccountId, *, since: datetime, promises: dict[str, bool]
) -> Summary:
    """The calls that arrived since an instant."""
    async with db.session() as tx:
        row = await tx.fetchrow(
            "select count(*) as calls, count(connected_at) as connected, count(converted_at) as converted"
            " from call where account_id = $1 and arrived_at >= $2 and not test",
            account_id,
            since,
        )
    assert row is not None
    return Summary(
        calls=row["calls"], connected=row["connected"], converted=row["converted"], promises=promises
    )


async def open_ends(tx: Transaction, account_id: AccountId) -> int:
    """How many calls are not closed yet, and reservations still held."""
    count: int = await tx.fetchval(
        "select (select count(*) from call where account_id = $1 and not closed)"
        " + (select count(*) from reservation where account_id = $1 and state = 'held')",
        account_id,
    )
    return count
