"""Keeps what was answered to requests with an idempotency key, so that a repeat changes nothing."""

import hashlib
from datetime import datetime
from typing import Final

import msgspec

from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId
from callmatrix.store.db import Transaction

MAX_RESPONSE: Final = 1_000_000
MAX_FORGOTTEN: Final = 10_000


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """The request is the asker's to do until the lease runs out; `turn` counts who had it."""

    turn: int


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """The request was done before; this was the answer."""

    status: int
    response: bytes


def request_hash(target: str, body: bytes) -> bytes:
    """What tells one request from another: method, address and body."""
    return hashlib.sha256(target.encode() + b"\0" + body).digest()


async def begin(
    tx: Transaction, account_id: AccountId, key: str, *, request: bytes, now: datetime, lease_until: datetime
) -> Begun | Answered:
    """Take a request on, in a transaction of its own.

    `Refused("key_reused")` where the key came with another request, `("key_in_use")` while somebody is at it
    and their lease has not run out.
    """
    turn = await tx.fetchval(
        "insert into idempotency_key as k (account_id, key, request_hash, created_at, lease_until)"
        " values ($1, $2, $3, $4, $5) on conflict (account_id, key) do update set lease_until = $5,"
        " turn = k.turn + 1 where k.request_hash = $3 and k.status is null and k.lease_until <= $4"
        " returning turn",
        account_id,
        key,
        request,
        now,
        lease_until,
    )
    if turn is not None:
        return Begun(turn=turn)
    row = await tx.fetchrow(
        "select request_hash, status, response from idempotency_key where account_id = $1 and key = $2",
        account_id,
        key,
    )
    if row is None:
        raise Refused("key_in_use", "A request with this key was given up just now: repeat it")
    if row["request_hash"] != request:
        raise Refused("key_reused", "This key came with another request before: use a new one")
    if row["status"] is None:
        raise Refused("key_in_use", "A request with this key is still under way: repeat it a little later")
    return Answered(status=row["status"], response=row["response"])


async def finish(
    tx: Transaction, account_id: AccountId, key: str, *, turn: int, status: int, response: bytes
) -> bool:
    """Keep the answer, best in the transaction that did the work; False where the lease ran out and
    somebody else took the request on: then the work must not be kept."""
    assert len(response) <= MAX_RESPONSE
    kept = await tx.fetchval(
        "update idempotency_key set status = $4, response = $5 where account_id = $1 and key = $2"
        " and turn = $3 and status is null returning 1",
        account_id,
        key,
        turn,
        status,
        response,
    )
    return kept is not None


async def answered(tx: Transaction, account_id: AccountId, key: str) -> Answered | None:
    """The answer that a key has by now."""
    row = await tx.fetchrow(
        "select status, response from idempotency_key where account_id = $1 and key = $2"
        " and status is not null",
        account_id,
        key,
    )
    return None if row is None else Answered(status=row["status"], response=row["response"])


async def give_up(tx: Transaction, account_id: AccountId, key: str, *, turn: int) -> None:
    """Nothing was done: the same key may be used again, also for another request."""
    await tx.execute(
        "delete from idempotency_key where account_id = $1 and key = $2 and turn = $3 and status is null",
        account_id,
        key,
        turn,
    )


async def forget(tx: Transaction, *, before: datetime) -> int:
    """Remove keys that came before an instant, at most `MAX_FORGOTTEN`; returns how many."""
    rows = await tx.fetch(
        "delete from idempotency_key where (account_id, key) in (select account_id, key from idempotency_key"
        " where created_at < $1 order by created_at limit $2) returning 1",
        before,
        MAX_FORGOTTEN,
    )
    return len(rows)
