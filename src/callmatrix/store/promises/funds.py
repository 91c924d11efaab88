"""Judges again, in order of time, whether a buyer's funds sufficed for every reservation (rule 15)."""

from collections import deque
from datetime import datetime
from heapq import heappop, heappush
from typing import Final

import msgspec

from callmatrix.core.campaign import Buyer
from callmatrix.core.ids import AccountId
from callmatrix.core.money import Money
from callmatrix.store.capacity import credit_of
from callmatrix.store.db import Transaction
from callmatrix.store.promises.broken import MAX_COUNTEREXAMPLES, Broken
from callmatrix.store.promises.in_force import (
    ENDS_SLACK,
    ROWS_AT_ONCE,
    Timeline,
    append,
    in_force,
    revisions,
)

NAME: Final = "funds_are_never_overdrawn"
_HOLDS: Final = """
    select attempt_id, buyer_id, reserved_at, ended_at, funds_micros from reservation
    where account_id = $1 and state <> 'denied' and buyer_id is not null and funds_micros > 0
    order by reserved_at, attempt_id
    """
_MOVES: Final = """
    select owner_id, at, -amount_micros as amount from posting
    where account_id = $1 and account = 'buyer' order by at, transaction_key, line
    """


class _Funds(msgspec.Struct):
    """What one buyer certainly had and held: charges count when they are past, credits a little before."""

    balance: int = 0
    held: int = 0
    charges: deque[tuple[datetime, int]] = msgspec.field(default_factory=deque)
    ends: list[tuple[datetime, int]] = []

    def move(self, at: datetime, amount: int) -> None:
        """Take a posting's effect."""
        if amount > 0:
            self.balance += amount
        else:
            self.charges.append((at, amount))

    def hold(self, amount: int, ended_at: datetime | None) -> None:
        """Hold what a reservation held until it ended."""
        self.held += amount
        if ended_at is not None:
            heappush(self.ends, (ended_at, amount))

    def left(self, at: datetime) -> int:
        """The most that may have been free at `at`, without credit."""
        while self.charges and self.charges[0][0] <= at - ENDS_SLACK:
            self.balance += self.charges.popleft()[1]
        while self.ends and self.ends[0][0] <= at + ENDS_SLACK:
            self.held -= heappop(self.ends)[1]
        return self.balance - self.held


async def broken_funds(tx: Transaction, account_id: AccountId) -> list[Broken]:
    """Reservations for which the buyer's balance and credit, less what other calls held, were too small."""
    credit: dict[str, Timeline[Money]] = {}
    async for changed_at, document in revisions(tx, account_id, ("buyer",)):
        if isinstance(document, Buyer):
            append(credit.setdefault(document.id, []), changed_at, credit_of(document))
    found: list[Broken] = []
    funds: dict[str, _Funds] = {}
    moves = aiter(tx.cursor(_MOVES, account_id, prefetch=ROWS_AT_ONCE))
    move = await anext(moves, None)
    async for row in tx.cursor(_HOLDS, account_id, prefetch=ROWS_AT_ONCE):
        at, buyer_id = row["reserved_at"], row["buyer_id"]
        while move is not None and move["at"] <= at + ENDS_SLACK:
            funds.setdefault(move["owner_id"], _Funds()).move(move["at"], move["amount"])
            move = await anext(moves, None)
        had = funds.setdefault(buyer_id, _Funds())
        left = had.left(at)
        had.hold(row["funds_micros"], row["ended_at"])
        allowed = [since.value for since in in_force(credit.get(buyer_id, []), at)]
        if not allowed or left + max(allowed).micros >= row["funds_micros"]:
            continue
        if len(found) < MAX_COUNTEREXAMPLES:
            text = (
                f"reservation {row['attempt_id']}: {buyer_id} had {Money(left)} and credit of {max(allowed)} "
                f"at {at}, and {Money(row['funds_micros'])} was held"
            )
            found.append(Broken(name=NAME, text=text))
    return found
