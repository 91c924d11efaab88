"""Double-entry postings: which accounts a charge, payout, cost, credit or deposit moves."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Final, Literal, get_args

import msgspec

from callmatrix.core.ids import BuyerId, CallId, ConnectionId, LeadId, NumberId, PublisherId
from callmatrix.core.money import ZERO, Money
from callmatrix.core.pricing import Difference

MAX_POSTINGS: Final = 20

AccountKind = Literal[
    "buyer",  # asset: what a buyer owes us (positive) or has paid ahead (negative)
    "publisher",  # liability: what we owe a publisher (negative)
    "carrier",  # liability: what we owe a carrier (negative)
    "cash",  # asset: money received and paid out
    "revenue",  # income (negative)
    "payout",  # expense (positive)
    "carrier_cost",  # expense (positive)
    "adjustments",  # income taken back or given (either sign)
]
TransactionKind = Literal[
    "charge",  # buyer owes: buyer +, revenue −
    "payout",  # publisher earns: payout +, publisher −
    "cost",  # carrier earns: carrier_cost +, carrier −
    "number_rent",  # carrier earns the day's rent of a number
    "credit",  # buyer is credited: adjustments +, buyer −
    "clawback",  # publisher returns: publisher +, adjustments −
    "deposit",  # buyer pays: cash +, buyer −
    "disbursement",  # publisher is paid: publisher +, cash −
]


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `owner_id` is the buyer, publisher or connection, empty for the account's own books."""

    account: AccountKind
    owner_id: str
    amount: Money


class Transaction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Postings that sum to zero. Idempotent by `key`: for calls `<call>/<kind>/<rating revision>`, for leads
    that came by form likewise."""

    key: str
    kind: TransactionKind
    at: datetime
    postings: tuple[Posting, ...]
    call_id: CallId | None = None
    lead_id: LeadId | None = None
    rating_revision: int = 0
    reason: str = ""


class CallTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What a call's transactions come to: charged and credited, paid and clawed back, and its cost."""

    revenue: Money = ZERO
    payout: Money = ZERO
    cost: Money = ZERO
    credited: Money = ZERO
    clawed_back: Money = ZERO

    @property
    def revenue_left(self) -> Money:
        """The most that can still be credited."""
        return self.revenue - self.credited

    @property
    def payout_left(self) -> Money:
        """The most that can still be clawed back."""
        return self.payout - self.clawed_back


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """All transactions of one kind in the period: how many, and what they moved the account by."""

    kind: TransactionKind
    count: int
    amount: Money


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """One buyer's or publisher's period: opening + lines = closing, signed as the account is."""

    account: AccountKind
    owner_id: str
    starts_at: datetime
    ends_at: datetime
    opening: Money
    lines: tuple[StatementLine, ...]
    closing: Money


def charge(
    *, call_id: CallId, revision: int, at: datetime, buyer_id: BuyerId, amount: Money, reason: str = ""
) -> Transaction:
    """The buyer owes `amount` more (negative: less) for the call, as of this rating revision."""
    return _of_call(
        call_id,
        "charge",
        revision=revision,
        at=at,
        reason=reason,
        postings=_move(amount, to=("buyer", buyer_id), out_of=("revenue", "")),
    )


def payout(
    *,
    call_id: CallId,
    revision: int,
    at: datetime,
    publisher_id: PublisherId,
    amount: Money,
    reason: str = "",
) -> Transaction:
    """The publisher earns `amount` more (negative: less) for the call, as of this rating revision."""
    return _of_call(
        call_id,
        "payout",
        revision=revision,
        at=at,
        reason=reason,
        postings=_move(amount, to=("payout", ""), out_of=("publisher", publisher_id)),
    )


def cost(
    *,
    call_id: CallId,
    revision: int,
    at: datetime,
    connection_id: ConnectionId,
    amount: Money,
    reason: str = "",
) -> Transaction:
    """The carrier earns `amount` more for the call's legs (rule 22)."""
    return _of_call(
        call_id,
        "cost",
        revision=revision,
        at=at,
        reason=reason,
        postings=_move(amount, to=("carrier_cost", ""), out_of=("carrier", connection_id)),
    )


def number_rent(
    *, number_id: NumberId, day: date, at: datetime, connection_id: ConnectionId, amount: Money
) -> Transaction:
    """The carrier earns one day's rent of a number; once per number and day."""
    return Transaction(
        key=f"{number_id}/number_rent/{day.isoformat()}",
        kind="number_rent",
        at=at,
        postings=_move(amount, to=("carrier_cost", ""), out_of=("carrier", connection_id)),
    )


def credit(
    *, call_id: CallId, revision: int, at: datetime, buyer_id: BuyerId, amount: Money, reason: str
) -> Transaction:
    """The buyer gets `amount` back for the call, with a reason (rule 23); `amount` is positive."""
    assert amount > ZERO
    assert reason
    return _of_call(
        call_id,
        "credit",
        revision=revision,
        at=at,
        reason=reason,
        postings=_move(amount, to=("adjustments", ""), out_of=("buyer", buyer_id)),
    )


def clawback(
    *, call_id: CallId, revision: int, at: datetime, publisher_id: PublisherId, amount: Money, reason: str
) -> Transaction:
    """The publisher returns `amount` of the call's payout, with a reason (rule 23); `amount` is positive."""
    assert amount > ZERO
    assert reason
    return _of_call(
        call_id,
        "clawback",
        revision=revision,
        at=at,
        reason=reason,
        postings=_move(amount, to=("publisher", publisher_id), out_of=("adjustments", "")),
    )


def deposit(
    *, deposit_id: str, at: datetime, buyer_id: BuyerId, amount: Money, reason: str = ""
) -> Transaction:
    """The buyer paid `amount`; once per `deposit_id`, the payment's own reference."""
    assert amount > ZERO
    return Transaction(
        key=f"{deposit_id}/deposit",
        kind="deposit",
        at=at,
        postings=_move(amount, to=("cash", ""), out_of=("buyer", buyer_id)),
        reason=reason,
    )


def disbursement(
    *, disbursement_id: str, at: datetime, publisher_id: PublisherId, amount: Money, reason: str = ""
) -> Transaction:
    """The publisher was paid `amount`; once per `disbursement_id`, the payment's own reference."""
    assert amount > ZERO
    return Transaction(
        key=f"{disbursement_id}/disbursement",
        kind="disbursement",
        at=at,
        postings=_move(amount, to=("publisher", publisher_id), out_of=("cash", "")),
        reason=reason,
    )


def correction(
    difference: Difference,
    *,
    at: datetime,
    buyer_id: BuyerId | None,
    publisher_id: PublisherId | None,
    reason: str = "",
) -> tuple[Transaction, ...]:
    """The postings of a rating's difference to the one before (rule 21); the first rating's too.

    A side that does not change posts nothing. Dated `at`, they fall into the statement still open.
    """
    transactions: list[Transaction] = []
    if difference.revenue:
        assert buyer_id is not None
        transactions.append(
            charge(
                call_id=difference.call_id,
                revision=difference.revision,
                at=at,
                buyer_id=buyer_id,
                amount=difference.revenue,
                reason=reason,
            )
        )
    if difference.payout:
        assert publisher_id is not None
        transactions.append(
            payout(
                call_id=difference.call_id,
                revision=difference.revision,
                at=at,
                publisher_id=publisher_id,
                amount=difference.payout,
                reason=reason,
            )
        )
    return tuple(transactions)


def of_lead(transaction: Transaction, lead_id: LeadId) -> Transaction:
    """A transaction that was made as a call's, as that of a lead which came by form and has this id."""
    return msgspec.structs.replace(transaction, call_id=None, lead_id=lead_id)


def balanced(transaction: Transaction) -> bool:
    """Whether the postings sum to zero."""
    return sum(posting.amount.micros for posting in transaction.postings) == 0


def balance_of(postings: Iterable[Posting], *, account: AccountKind, owner_id: str = "") -> Money:
    """The sum of one account's postings, signed as `AccountKind` says."""
    return Money(
        sum(
            posting.amount.micros
            for posting in postings
            if posting.account == account and posting.owner_id == owner_id
        )
    )


def funds_of(postings: Iterable[Posting], *, buyer_id: BuyerId) -> Money:
    """What a buyer has paid ahead (positive) or owes (negative): the balance of rule 15."""
    return -balance_of(postings, account="buyer", owner_id=buyer_id)


def totals_of(transactions: Iterable[Transaction]) -> CallTotals:
    """What the transactions of one call come to."""
    sums: dict[TransactionKind, int] = dict.fromkeys(get_args(TransactionKind), 0)
    for transaction in transactions:
        sums[transaction.kind] += transaction.postings[0].amount.micros
    return CallTotals(
        revenue=Money(sums["charge"]),
        payout=Money(sums["payout"]),
        cost=Money(sums["cost"]),
        credited=Money(sums["credit"]),
        clawed_back=Money(sums["clawback"]),
    )


def statement(
    transactions: Iterable[Transaction],
    *,
    account: Literal["buyer", "publisher"],
    owner_id: str,
    starts_at: datetime,
    ends_at: datetime,
    opening: Money = ZERO,
) -> Statement:
    """One owner's statement of `starts_at <= at < ends_at`, a line per kind of transaction that moved it.

    Earlier transactions add to the opening balance; later ones are left for the next statement.
    """
    before = opening
    moved: dict[TransactionKind, list[Money]] = {}
    for transaction in transactions:
        amounts = [
            posting.amount
            for posting in transaction.postings
            if posting.account == account and posting.owner_id == owner_id
        ]
        if not amounts or transaction.at >= ends_at:
            continue
        amount = sum(amounts, start=ZERO)
        if transaction.at < starts_at:
            before += amount
        else:
            moved.setdefault(transaction.kind, []).append(amount)
    lines = tuple(
        StatementLine(kind=kind, count=len(moved[kind]), amount=sum(moved[kind], start=ZERO))
        for kind in get_args(TransactionKind)
        if kind in moved
    )
    return Statement(
        account=account,
        owner_id=owner_id,
        starts_at=starts_at,
        ends_at=ends_at,
        opening=before,
        lines=lines,
        closing=sum((line.amount for line in lines), start=before),
    )


def _move(
    amount: Money, *, to: tuple[AccountKind, str], out_of: tuple[AccountKind, str]
) -> tuple[Posting, Posting]:
    """The debited side first: the sign of `amount` is the sign of the first posting."""
    return (
        Posting(account=to[0], owner_id=to[1], amount=amount),
        Posting(account=out_of[0], owner_id=out_of[1], amount=-amount),
    )


def _of_call(
    call_id: CallId,
    kind: TransactionKind,
    *,
    revision: int,
    at: datetime,
    reason: str,
    postings: tuple[Posting, ...],
) -> Transaction:
    transaction = Transaction(
        key=f"{call_id}/{kind}/{revision}",
        kind=kind,
        at=at,
        postings=postings,
        call_id=call_id,
        rating_revision=revision,
        reason=reason,
    )
    assert balanced(transaction)
    return transaction
