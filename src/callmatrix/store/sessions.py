"""Tells a person where they are signed in, and ends one of these sessions."""

from datetime import datetime
from typing import Final

import msgspec

from callmatrix.core.ids import AccountId, UserId
from callmatrix.store.access import hashed
from callmatrix.store.db import Transaction

MAX_SESSIONS: Final = 200
_ID_CHARS: Final = 20


class OpenSession(msgspec.Struct, frozen=True, kw_only=True):
    """One sign-in that is in force; `current` is the one that asks."""

    id: str
    created_at: datetime
    expires_at: datetime
    current: bool


async def open_sessions(
    tx: Transaction, account_id: AccountId, user_id: UserId, *, token: str, now: datetime
) -> tuple[OpenSession, ...]:
    """The sessions of a user, newest first. `token` is that of the one that asks."""
    rows = await tx.fetch(
        f"select left(encode(token_hash, 'hex'), {_ID_CHARS}) as id, created_at, expires_at,"
        " token_hash = $3 as current from session where account_id = $1 and user_id = $2"
        f" and expires_at > $4 order by created_at desc, id limit {MAX_SESSIONS}",
        account_id,
        user_id,
        hashed(token),
        now,
    )
    return tuple(OpenSession(**dict(row)) for row in rows)


async def end_one(tx: Transaction, account_id: AccountId, user_id: UserId, session_id: str) -> bool:
    """End a user's session; False where there is none."""
    ended = await tx.fetchval(
        f"delete from session where account_id = $1 and user_id = $2"
        f" and left(encode(token_hash, 'hex'), {_ID_CHARS}) = $3 returning 1",
        account_id,
        user_id,
        session_id,
    )
    return ended is not None
