"""Rows that only served for a while, deleted in bounded batches."""

from datetime import datetime
from typing import Final

from callmatrix.store.db import Transaction

MAX_DELETED: Final = 5_000


async def forget(tx: Transaction, *, callbacks_before: datetime, jobs_before: datetime) -> None:
    """Delete stored replies received, and jobs done, before these instants."""
    await tx.execute(
        "delete from callback where ctid in (select ctid from callback where received_at < $1"
        f" limit {MAX_DELETED})",
        callbacks_before,
    )
    await tx.execute(
        f"delete from job where ctid in (select ctid from job where done_at < $1 limit {MAX_DELETED})",
        jobs_before,
    )
