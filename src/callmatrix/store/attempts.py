"""Counts how often somebody tried to sign in, so that passwords can't be guessed."""

from datetime import datetime, timedelta
from typing import Final

from callmatrix.store.db import Transaction

MAX_FORGOTTEN: Final = 10_000
_NOBODY: Final = ""
"""It is not known whose account it is before it has worked."""


async def count(tx: Transaction, subject: str, *, now: datetime, window_s: int) -> int:
    """One more attempt of a subject (`email:…`, `address:…`); how many there were since its window began.

    A window begins with the first attempt and lasts `window_s`. To be committed also where the attempt fails.
    """
    attempts: int = await tx.fetchval(
        "insert into sign_in_attempt as a (account_id, subject, started_at, attempts) values ($1, $2, $3, 1)"
        " on conflict (account_id, subject) do update set"
        " attempts = case when a.started_at <= $4 then 1 else a.attempts + 1 end,"
        " started_at = case when a.started_at <= $4 then $3 else a.started_at end returning attempts",
        _NOBODY,
        subject[:300],
        now,
        now - timedelta(seconds=window_s),
    )
    return attempts


async def clear(tx: Transaction, subject: str) -> None:
    """It worked: earlier attempts count no more."""
    await tx.execute(
        "delete from sign_in_attempt where account_id = $1 and subject = $2", _NOBODY, subject[:300]
    )


async def forget(tx: Transaction, *, before: datetime) -> int:
    """Remove windows that began before an instant, at most `MAX_FORGOTTEN`; returns how many."""
    rows = await tx.fetch(
        "delete from sign_in_attempt where (account_id, subject) in (select account_id, subject"
        " from sign_in_attempt where started_at < $1 order by started_at limit $2) returning 1",
        before,
        MAX_FORGOTTEN,
    )
    return len(rows)
