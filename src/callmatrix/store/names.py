"""Tells what records are called: by their ids, or by a part of the name."""

from collections.abc import Sequence
from typing import Final

import msgspec

from callmatrix.core.ids import AccountId, BuyerId
from callmatrix.store.db import Row, Transaction
from callmatrix.store.kinds import Kind

MAX_NAMES: Final = 200
_COLUMNS: Final = "kind, id, name, status, archived"


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """One record of the configuration, as lists call it."""

    kind: Kind
    id: str
    name: str
    status: str
    archived: bool


async def of_ids(
    tx: Transaction,
    account_id: AccountId,
    ids: Sequence[str],
    *,
    kinds: Sequence[Kind],
    buyer_id: BuyerId | None = None,
) -> tuple[Named, ...]:
    """The records of these kinds that are there; with `buyer_id`, of the offers that buyer's only."""
    rows = await tx.fetch(
        f"select {_COLUMNS} from config where account_id = $1 and kind = any($2) and id = any($3)"
        " and ($4::text is null or kind <> 'offer' or document->>'buyer_id' = $4) order by kind, id",
        account_id,
        list(kinds),
        list(ids)[:MAX_NAMES],
        buyer_id,
    )
    return tuple(_named(row) for row in rows)


async def search(
    tx: Transaction, account_id: AccountId, wanted: str, *, kinds: Sequence[Kind], limit: int
) -> tuple[Named, ...]:
    """Records whose name holds `wanted`, those that begin with it first; archived ones are left out."""
    pattern = wanted.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows = await tx.fetch(
        f"select {_COLUMNS} from config where account_id = $1 and kind = any($2) and not archived"
        " and lower(name) like '%' || $3 || '%'"
        " order by lower(name) not like $3 || '%', lower(name), kind, id limit $4",
        account_id,
        list(kinds),
        pattern,
        min(limit, MAX_NAMES),
    )
    return tuple(_named(row) for row in rows)


def _named(row: Row) -> Named:
    return Named(**dict(row))
