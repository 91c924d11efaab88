"""Calls to numbers that nobody owns, for the operator to see."""

from datetime import datetime

from callmatrix.core.ids import AccountId, ConnectionId
from callmatrix.store.db import Row, Transaction


async def record(
    tx: Transaction,
    account_id: AccountId,
    *,
    connection_id: ConnectionId,
    carrier_ref: str,
    dialed: str,
    caller: str | None,
    at: datetime,
) -> None:
    """Keep one such call; the same carrier reference twice is one."""
    await tx.execute(
        "insert into unknown_call (account_id, connection_id, carrier_ref, dialed, caller, at)"
        " values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        account_id,
        connection_id,
        carrier_ref,
        dialed,
        caller,
        at,
    )


async def latest(
    tx: Transaction, account_id: AccountId, *, after: tuple[datetime, str] | None, limit: int
) -> list[Row]:
    """The unknown calls, newest first, older than `after` (instant and carrier reference)."""
    rows: list[Row] = await tx.fetch(
        "select connection_id, carrier_ref, dialed, caller, at from unknown_call"
        " where account_id = $1 and ($2::timestamptz is null or (at, carrier_ref) < ($2, $3))"
        " order by at desc, carrier_ref desc limit $4",
        account_id,
        None if after is None else after[0],
        None if after is None else after[1],
        limit,
    )
    return rows
