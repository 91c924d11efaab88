"""What is left open in the database by crashes and silence; found by age, in bounded batches."""

from datetime import datetime
from typing import Final

from callmatrix.core.caps import Settlement
from callmatrix.core.documents import decode
from callmatrix.core.ids import AccountId, CallId, CampaignId
from callmatrix.store.db import Transaction

MAX_FOUND: Final = 200
_SWEEP_LOCK: Final = 4_170_001  # an arbitrary constant; the only advisory lock of the sweeps


async def only_one(tx: Transaction) -> bool:
    """Whether this transaction may sweep; held until it ends."""
    got: bool = await tx.fetchval("select pg_try_advisory_xact_lock($1)", _SWEEP_LOCK)
    return got


async def unperformed_settlements(
    tx: Transaction, *, before: datetime
) -> tuple[tuple[AccountId, Settlement], ...]:
    """Attempts settled in their call before an instant whose reservation is still held, or expired meanwhile
    and does not count yet what came of it."""
    rows = await tx.fetch(
        "select r.account_id, a.settlement from reservation r"
        " join attempt a on a.account_id = r.account_id and a.id = r.attempt_id"
        " where (r.state = 'held' or r.state = 'expired') and a.settled and a.ended_at <= $1"
        " and a.settlement is not null"
        f" limit {MAX_FOUND}",
        before,
    )
    return tuple((row["account_id"], decode(row["settlement"], Settlement)) for row in rows)


async def waiting_calls(tx: Transaction, *, before: datetime) -> tuple[tuple[AccountId, CallId], ...]:
    """Calls that have waited for an answer of ours since before an instant."""
    rows = await tx.fetch(
        "select account_id, id from call where not closed and state in ('asking', 'reserving')"
        f" and saved_at <= $1 order by saved_at limit {MAX_FOUND}",
        before,
    )
    return tuple((row["account_id"], row["id"]) for row in rows)


async def silent_calls(tx: Transaction, *, before: datetime) -> tuple[tuple[AccountId, CallId], ...]:
    """Calls that are not closed and of which nothing was heard since before an instant."""
    rows = await tx.fetch(
        "select account_id, id from call where not closed and state not in ('asking', 'reserving')"
        f" and saved_at <= $1 order by saved_at limit {MAX_FOUND}",
        before,
    )
    return tuple((row["account_id"], row["id"]) for row in rows)


async def heard_of(tx: Transaction, account_id: AccountId, call_id: CallId, *, now: datetime) -> None:
    """The carrier says that the call lives: ask again later."""
    await tx.execute(
        "update call set saved_at = $3 where account_id = $1 and id = $2", account_id, call_id, now
    )


async def calls_up(
    tx: Transaction, account_id: AccountId, campaign_id: CampaignId | None
) -> tuple[CallId, ...]:
    """The calls of a campaign, or of all, that have not ended, oldest first."""
    rows = await tx.fetch(
        "select id from call where account_id = $1 and ($2::text is null or campaign_id = $2)"
        " and not closed and state <> 'ended'"
        f" order by arrived_at limit {MAX_FOUND}",
        account_id,
        campaign_id,
    )
    return tuple(row["id"] for row in rows)
