"""Keeps who holds capacity: batches of claims and settlements, each one SQL function and round trip.

Functions take a session outside of a transaction (`Database.session`): each is durable when it returns, and
may be repeated after `DatabaseGone`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain
from operator import add, itemgetter
from typing import Final

import msgspec

from callmatrix.core.caps import (
    CapRefusal,
    Claim,
    Denied,
    Granted,
    LateBooking,
    Owner,
    Settlement,
    needs_of,
    owners_of,
)
from callmatrix.core.ids import AccountId, AttemptId
from callmatrix.store.caps import materialise_windows, owner_of_key, told
from callmatrix.store.db import Row, Transaction

MAX_BATCH: Final = 200
MAX_WINDOW_TRIES: Final = 5
MAX_SWEEP: Final = 500
MAX_ACCOUNTS: Final = 10_000

_RESERVE: Final = (
    "call reserve_durably($1, $2, $3, $4, $5, $6::text::bigint[], $7, $8::text::bigint[], $9, null)"
)
_END: Final = "call end_durably($1, $2, $3, $4, $5, $6, $7, $8, null)"


class Stale(msgspec.Struct, frozen=True, kw_only=True):
    """The account's configuration is newer than the asker's: refresh, check the claim, ask again."""

    attempt_id: AttemptId


Answer = Granted | Denied | Stale


class WindowsMissing(Exception):
    """Windows kept missing: limits change faster than they can be read."""


class _Refusal(msgspec.Struct):
    code: CapRefusal
    owner: str
    metric: str
    window: str
    limit: int | None
    used: int | None


_refusal_decoder = msgspec.json.Decoder(_Refusal)


async def reserve_batch(
    session: Transaction,
    account_id: AccountId,
    claims: Sequence[Claim],
    *,
    now: datetime,
    catalog_version: int,
) -> tuple[Answer, ...]:
    """Hold capacity for at most `MAX_BATCH` claims, judged in their order; durable when this returns.

    Idempotent by attempt id: a repeat gets its stored answer, but `closed` once the attempt is over. When the
    account's catalog version is above `catalog_version`, every answer is `Stale` and nothing is held.
    """
    assert len(claims) <= MAX_BATCH
    if not claims:
        return ()
    single: dict[AttemptId, Claim] = {}
    for claim in claims:
        single.setdefault(claim.attempt_id, claim)
    columns = _columns(tuple(single.values()), account_id=account_id)
    for _ in range(MAX_WINDOW_TRIES):
        rows = await session.fetchval(_RESERVE, account_id, now, catalog_version, *columns)
        if rows is None:
            return tuple([Granted(attempt_id=claim.attempt_id) for claim in claims])
        missing = {msgspec.json.decode(row["refusal"], type=str) for row in rows if not row["attempt_id"]}
        if not missing:
            answers = {row["attempt_id"]: _answer(row, account_id=account_id) for row in rows}
            return tuple(answers[claim.attempt_id] for claim in claims)
        async with session.transaction():
            owners = [owner_of_key(key) for key in sorted(missing)]
            await materialise_windows(session, account_id, now=now, owners=owners)
    raise WindowsMissing


async def settle_batch(
    session: Transaction, account_id: AccountId, settlements: Sequence[Settlement], *, now: datetime
) -> frozenset[AttemptId]:
    """End at most `MAX_BATCH` reservations; returns those that were held until now.

    Idempotent by attempt id. An attempt that nobody reserved yet can't be reserved any more.
    """
    assert len(settlements) <= MAX_BATCH
    single = list({settlement.attempt_id: settlement for settlement in reversed(settlements)}.values())
    ended = await session.fetchval(
        _END,
        account_id,
        now,
        [settlement.attempt_id for settlement in single],
        [int(settlement.connected) for settlement in single],
        [int(settlement.converted) for settlement in single],
        [int(settlement.paid) for settlement in single],
        [settlement.revenue.micros for settlement in single],
        [settlement.payout.micros for settlement in single],
    )
    return frozenset(map(AttemptId, ended))


async def book_late(session: Transaction, account_id: AccountId, booking: LateBooking) -> bool:
    """Count what came after the end in the windows of the reservation; False where nothing changed."""
    rows = await session.fetch(
        "select book_late($1, $2, $3, $4, $5, $6, $7)",
        account_id,
        booking.attempt_id,
        booking.revision,
        booking.conversions,
        booking.payments,
        booking.revenue.micros,
        booking.payout.micros,
    )
    return bool(rows[0][0])


async def sweep_expired(
    session: Transaction, account_id: AccountId, *, now: datetime, limit: int = MAX_SWEEP
) -> frozenset[AttemptId]:
    """End at most `limit` reservations that expired by `now`, oldest first; nothing but the attempt stays."""
    rows = await session.fetch(
        "select sweep_expired($1, $2, $3)", account_id, now, max(0, min(limit, MAX_SWEEP))
    )
    return frozenset(AttemptId(row[0]) for row in rows)


async def accounts_with_expired(session: Transaction, *, now: datetime) -> tuple[AccountId, ...]:
    """The accounts that need a sweep."""
    rows = await session.fetch(
        "select account_id from account where exists (select from reservation r "
        "where r.account_id = account.account_id and r.state = 'held' and r.expires_at <= $1) limit $2",
        now,
        MAX_ACCOUNTS,
    )
    return tuple(AccountId(row["account_id"]) for row in rows)


def _columns(claims: Sequence[Claim], *, account_id: AccountId) -> tuple[object, ...]:
    """What `reserve_durably` takes: the claims, then their sums by owner and by buyer."""
    needs = [needs_of(claim) for claim in claims]
    amounts = [(1, need["conversion"], need["paid"], need["revenue"], need["payout"]) for need in needs]
    by_owner: dict[str, tuple[int, ...]] = {}
    by_buyer: dict[str, int] = {}
    for claim, amount in zip(claims, amounts, strict=True):
        for key in _owner_keys(claim, account_id=account_id):
            before = by_owner.get(key)
            by_owner[key] = amount if before is None else tuple(map(add, before, amount))
        if claim.buyer_id is not None:
            by_buyer[claim.buyer_id] = by_buyer.get(claim.buyer_id, 0) + claim.revenue_max.micros
    rows = [
        (
            place,
            claim.attempt_id,
            claim.call_id,
            claim.campaign_id,
            claim.offer_id,
            claim.buyer_id,
            claim.publisher_id,
            *amount[1:],
            0 if claim.buyer_id is None else claim.revenue_max.micros,
            claim.expires_at,
        )
        for place, (claim, amount) in enumerate(zip(claims, amounts, strict=True))
    ]
    return (
        sorted(rows, key=itemgetter(1)),
        list(by_owner),
        _array(chain.from_iterable(by_owner.values())),
        list(by_buyer),
        _array(by_buyer.values()),
        sum(funds > 0 for funds in by_buyer.values()),
    )


def _array(amounts: Iterable[int]) -> str:
    """An array as PostgreSQL reads it; the driver would ask each number whether it is an array itself."""
    return f"{{{','.join(map(str, amounts))}}}"


def _owner_keys(claim: Claim, *, account_id: AccountId) -> list[str]:
    return [f"{owner.kind}:{owner.id}" for owner in owners_of(claim, account_id=account_id)]


def _answer(row: Row, *, account_id: AccountId) -> Answer:
    attempt_id = AttemptId(row["attempt_id"])
    match row["verdict"]:
        case "held":
            return Granted(attempt_id=attempt_id, pays_publisher=row["pays_publisher"])
        case "denied":
            return _denied(attempt_id, _refusal_decoder.decode(row["refusal"]))
        case "stale":
            return Stale(attempt_id=attempt_id)
        case _:
            # Over already: its capacity is gone, so it must not be dialled on the strength of an old grant.
            return Denied(attempt_id=attempt_id, code="closed", owner=Owner(kind="account", id=account_id))


def _denied(attempt_id: AttemptId, refusal: _Refusal) -> Denied:
    metric = "revenue" if refusal.code == "no_funds" else refusal.metric
    return Denied(
        attempt_id=attempt_id,
        code=refusal.code,
        owner=owner_of_key(refusal.owner),
        metric=refusal.metric,
        window=refusal.window,
        limit="" if refusal.limit is None else told(metric, refusal.limit),
        used="" if refusal.used is None else told(metric, refusal.used),
    )
