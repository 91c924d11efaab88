"""The job queue: rows in PostgreSQL, enqueued in the transaction that wants them, leased to one worker."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from callmatrix.core.documents import decode, encode_text
from callmatrix.core.ids import AccountId
from callmatrix.store.db import Transaction

MAX_BATCH: Final = 50
MAX_ATTEMPTS: Final = 12
LEASE_S: Final = 60
MAX_ERROR_CHARS: Final = 1_000
FIRST_RETRY_S: Final = 5
MAX_RETRY_S: Final = 3_600


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do at or after `run_at`. `attempts` counts the one under way."""

    account_id: AccountId
    id: str
    kind: str
    payload: dict[str, str]
    run_at: datetime
    attempts: int


async def enqueue(
    tx: Transaction,
    account_id: AccountId,
    *,
    id: str,
    kind: str,
    dedupe_key: str,
    payload: dict[str, str],
    run_at: datetime,
    now: datetime,
) -> bool:
    """Queue a job in this transaction; False where one of that `dedupe_key` is known already."""
    status = await tx.execute(
        "insert into job (account_id, id, kind, dedupe_key, payload, run_at, created_at)"
        " values ($1, $2, $3, $4, $5, $6, $7) on conflict (account_id, dedupe_key) do nothing",
        account_id,
        id,
        kind,
        dedupe_key,
        encode_text(payload),
        run_at,
        now,
    )
    return bool(status == "INSERT 0 1")


async def lease(tx: Transaction, *, now: datetime) -> tuple[Job, ...]:
    """Take due jobs for `LEASE_S` seconds, oldest first; nobody else gets them meanwhile."""
    rows = await tx.fetch(
        "update job set leased_until = $2, attempts = attempts + 1 where (account_id, id) in ("
        " select account_id, id from job where done_at is null and run_at <= $1"
        " and (leased_until is null or leased_until <= $1)"
        f" order by run_at limit {MAX_BATCH} for update skip locked)"
        " returning account_id, id, kind, payload, run_at, attempts",
        now,
        now + timedelta(seconds=LEASE_S),
    )
    return tuple(
        Job(
            account_id=row["account_id"],
            id=row["id"],
            kind=row["kind"],
            payload=decode(row["payload"], dict[str, str]),
            run_at=row["run_at"],
            attempts=row["attempts"],
        )
        for row in rows
    )


async def done(tx: Transaction, job: Job, *, now: datetime) -> None:
    """The job is finished, whoever else has taken it meanwhile."""
    await tx.execute(
        "update job set done_at = $3, leased_until = null, last_error = null"
        " where account_id = $1 and id = $2 and done_at is null",
        job.account_id,
        job.id,
        now,
    )


async def finish(tx: Transaction, account_id: AccountId, ids: Sequence[str], *, now: datetime) -> None:
    """These jobs need nobody: what they ask for was done where they were queued."""
    await tx.execute(
        "update job set done_at = $3 where account_id = $1 and id = any($2) and done_at is null",
        account_id,
        list(ids),
        now,
    )


async def failed(tx: Transaction, job: Job, *, error: str, now: datetime) -> None:
    """The job failed: again later, or never after `MAX_ATTEMPTS`. Whoever was so slow that another took the
    job has no say in it any more."""
    given_up = job.attempts >= MAX_ATTEMPTS
    await tx.execute(
        "update job set leased_until = null, last_error = $3, run_at = $4, done_at = $5"
        " where account_id = $1 and id = $2 and attempts = $6 and done_at is null",
        job.account_id,
        job.id,
        error[:MAX_ERROR_CHARS].replace("\0", ""),
        now + timedelta(seconds=retry_in_s(job.attempts)),
        now if given_up else None,
        job.attempts,
    )


def retry_in_s(attempts: int) -> int:
    """Seconds until the next attempt: doubling from `FIRST_RETRY_S` to `MAX_RETRY_S`."""
    doubled: int = FIRST_RETRY_S << min(attempts - 1, 20)
    return min(doubled, MAX_RETRY_S)
