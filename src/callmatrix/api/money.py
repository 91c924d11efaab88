"""Money: the ledger, balances, payments in and out, statements, and rating calls again."""

from typing import Annotated, Final, Literal

import msgspec

from callmatrix.api.access import Principal
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import Cursor, IdText, Instant, Limit, Page, cursor_of, is_full, place_of
from callmatrix.api.problems import invalid, not_found
from callmatrix.core import ledger
from callmatrix.core.campaign import Buyer, Publisher
from callmatrix.core.errors import Refused
from callmatrix.core.ids import BuyerId, PublisherId
from callmatrix.core.ledger import AccountKind, Statement, Transaction, TransactionKind
from callmatrix.core.money import ZERO, Money
from callmatrix.store import audit, books, catalog
from callmatrix.store.audit import Act, By
from callmatrix.store.books import Balance, BookFilter, BuyerFunds, ClosedStatement
from callmatrix.store.db import Transaction as Tx

DEFAULT_LIMIT: Final = 50
Side = Literal["buyer", "publisher"]
Reference = Annotated[
    str,
    msgspec.Meta(pattern=r"^[A-Za-z0-9_.:-]{1,80}$", description="The payment's own reference: booked once"),
]
Why = Annotated[str, msgspec.Meta(max_length=500)]


class BooksQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which transactions to list, newest first. `account` and `owner_id` are those of a posting."""

    cursor: Cursor | None = None
    limit: Limit = DEFAULT_LIMIT
    since: Instant | None = None
    until: Instant | None = None
    kind: TransactionKind | None = None
    call_id: IdText | None = None
    lead_id: IdText | None = None
    account: AccountKind | None = None
    owner_id: IdText | None = None


class BalancesQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose balances."""

    account: AccountKind | None = None
    owner_id: IdText | None = None


class Deposit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A buyer paid."""

    buyer_id: IdText
    amount: Money
    reference: Reference
    reason: Why = ""


class Disbursement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A publisher was paid."""

    publisher_id: IdText
    amount: Money
    reference: Reference
    reason: Why = ""


class StatementsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which closed statements to list, the latest closed first."""

    cursor: Cursor | None = None
    limit: Limit = DEFAULT_LIMIT
    account: Side | None = None
    owner_id: IdText | None = None


class OpenStatementQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose open statement; `ends_at` is now where it is left out."""

    account: Side
    owner_id: IdText
    ends_at: Instant | None = None


class CloseStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Close a period: from the end of the last closed one to `ends_at`, which is not after now."""

    account: Side
    owner_id: IdText
    ends_at: Instant


async def list_transactions(ask: Ask) -> Reply:
    """The ledger, newest first."""
    query = ask.asked(BooksQuery)
    wanted = BookFilter(
        since=query.since,
        until=query.until,
        kind=query.kind,
        call_id=query.call_id,
        lead_id=query.lead_id,
        account=query.account,
        owner_id=query.owner_id,
    )
    async with ask.app.db.transaction() as tx:
        found = await books.transactions(
            tx, ask.who.account_id, wanted, after=place_of(query.cursor), limit=query.limit
        )
    last = found[-1] if is_full(found, query.limit) else None
    cursor = None if last is None else cursor_of(last.at.isoformat(), last.key)
    return Reply(value=Page(items=found, next_cursor=cursor))


async def list_balances(ask: Ask) -> Reply:
    """Every balance, or one's own."""
    query, who = ask.asked(BalancesQuery), ask.who
    account, owner_id = _narrowed(who, query.account, query.owner_id)
    async with ask.app.db.transaction() as tx:
        found = await books.balances(tx, who.account_id, account=account, owner_id=owner_id)
    return Reply(value=Page(items=found))


async def read_funds(ask: Ask) -> Reply:
    """A buyer's funds."""
    buyer_id, who = ask.path["id"], ask.who
    if not who.is_staff and buyer_id != who.buyer_id:
        raise not_found("buyer", buyer_id)
    async with ask.app.db.transaction() as tx:
        await catalog.get(tx, who.account_id, Buyer, buyer_id)
        found = await books.funds_of(tx, who.account_id, buyer_id)
    return Reply(value=found)


async def create_deposit(ask: Ask) -> Reply:
    """Book a buyer's payment, once per reference."""
    given = ask.given(Deposit)
    _refuse_unless_positive(given.amount)
    async with ask.app.db.transaction() as tx:
        await catalog.get(tx, ask.who.account_id, Buyer, given.buyer_id)
        transaction = ledger.deposit(
            deposit_id=given.reference,
            at=ask.now,
            buyer_id=BuyerId(given.buyer_id),
            amount=given.amount,
            reason=given.reason,
        )
        return await _book_payment(ask, tx, transaction, reference=given.reference)


async def create_disbursement(ask: Ask) -> Reply:
    """Book a payment to a publisher, once per reference."""
    given = ask.given(Disbursement)
    _refuse_unless_positive(given.amount)
    async with ask.app.db.transaction() as tx:
        await catalog.get(tx, ask.who.account_id, Publisher, given.publisher_id)
        transaction = ledger.disbursement(
            disbursement_id=given.reference,
            at=ask.now,
            publisher_id=PublisherId(given.publisher_id),
            amount=given.amount,
            reason=given.reason,
        )
        return await _book_payment(ask, tx, transaction, reference=given.reference)


def _refuse_unless_positive(amount: Money) -> None:
    if amount <= ZERO:
        raise invalid("amount", "It is not positive", "Send what was paid, such as 100.00")


async def _book_payment(ask: Ask, tx: Tx, transaction: Transaction, *, reference: str) -> Reply:
    if not await books.book(tx, ask.who.account_id, transaction):
        raise Refused("conflict", f"A {transaction.kind} with the reference {reference} is booked already")
    details = {"amount": str(transaction.postings[0].amount)}
    act = Act(what=transaction.kind, kind="ledger", target_id=transaction.key, details=details)
    await audit.record(
        tx, ask.who.account_id, act, by=By(who=ask.who.id, at=ask.now, note=transaction.reason)
    )
    return Reply(value=transaction, status=201)


async def list_statements(ask: Ask) -> Reply:
    """Closed statements."""
    query, who = ask.asked(StatementsQuery), ask.who
    account, owner_id = _narrowed(who, query.account, query.owner_id)
    async with ask.app.db.transaction() as tx:
        found = await books.closed_statements(
            tx,
            who.account_id,
            account=account,
            owner_id=owner_id,
            after=place_of(query.cursor),
            limit=query.limit,
        )
    last = found[-1] if is_full(found, query.limit) else None
    cursor = None if last is None else cursor_of(last.closed_at.isoformat(), last.id)
    return Reply(value=Page(items=found, next_cursor=cursor))


async def read_statement(ask: Ask) -> Reply:
    """One closed statement."""
    async with ask.app.db.transaction() as tx:
        found = await books.closed_statement(tx, ask.who.account_id, ask.path["id"])
    if found is None or not _is_own(ask.who, found.statement.account, found.statement.owner_id):
        raise not_found("statement", ask.path["id"])
    return Reply(value=found)


async def read_open_statement(ask: Ask) -> Reply:
    """What the next statement would say."""
    query, who = ask.asked(OpenStatementQuery), ask.who
    if not _is_own(who, query.account, query.owner_id):
        raise not_found(query.account, query.owner_id)
    async with ask.app.db.transaction() as tx:
        await _refuse_unknown_owner(tx, ask, query.account, query.owner_id)
        found = await books.open_statement(
            tx,
            who.account_id,
            account=query.account,
            owner_id=query.owner_id,
            ends_at=query.ends_at or ask.now,
        )
    return Reply(value=found)


async def close_statement(ask: Ask) -> Reply:
    """Close a period for good."""
    given, who = ask.given(CloseStatement), ask.who
    if given.ends_at > ask.now:
        raise invalid("ends_at", "It has not come yet", "Close up to now at the latest")
    statement_id = ask.new_id("stm")
    async with ask.app.db.transaction() as tx:
        made = await books.closed_statement(tx, who.account_id, statement_id) if ask.repeat else None
        if made is not None:
            return _closed_reply(made)
        await _refuse_unknown_owner(tx, ask, given.account, given.owner_id)
        statement = await books.open_statement(
            tx, who.account_id, account=given.account, owner_id=given.owner_id, ends_at=given.ends_at
        )
        if given.ends_at <= statement.starts_at:
            at = statement.starts_at.isoformat()
            raise invalid("ends_at", f"Everything up to {at} is closed", "Close up to a later instant")
        closed = ClosedStatement(id=statement_id, statement=statement, closed_at=ask.now, closed_by=who.id)
        if not await books.close_statement(tx, who.account_id, closed):
            raise Refused("changed_meanwhile", "Somebody closed this period meanwhile; look at it again")
        details = {"account": given.account, "owner_id": given.owner_id}
        act = Act(what="close", kind="statement", target_id=closed.id, details=details)
        await audit.record(tx, who.account_id, act, by=By(who=who.id, at=ask.now))
    return _closed_reply(closed)


def _closed_reply(closed: ClosedStatement) -> Reply:
    return Reply(value=closed, status=201, headers={"Location": f"/api/statements/{closed.id}"})


async def _refuse_unknown_owner(tx: Tx, ask: Ask, account: Side, owner_id: str) -> None:
    if account == "buyer":
        await catalog.get(tx, ask.who.account_id, Buyer, owner_id)
    else:
        await catalog.get(tx, ask.who.account_id, Publisher, owner_id)


def _narrowed(who: Principal, account: str | None, owner_id: str | None) -> tuple[str | None, str | None]:
    """Whose books are asked for: buyers and publishers see their own."""
    if who.role == "buyer":
        return "buyer", who.buyer_id or ""
    if who.role == "publisher":
        return "publisher", who.publisher_id or ""
    return account, owner_id


def _is_own(who: Principal, account: str, owner_id: str) -> bool:
    own, own_id = _narrowed(who, account, owner_id)
    return (own, own_id) == (account, owner_id)


_TAG: Final = "money"

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/transactions",
        name="list_transactions",
        tag=_TAG,
        summary="The ledger, newest first",
        permission="read_books",
        query=BooksQuery,
        returns=Page[Transaction],
        run=list_transactions,
    ),
    Operation(
        method="GET",
        path="/api/balances",
        name="list_balances",
        tag=_TAG,
        summary="What each account's postings sum to",
        description="Buyers: positive is owed to us. Publishers, carriers: negative is owed by us.",
        permission="read_money",
        query=BalancesQuery,
        returns=Page[Balance],
        run=list_balances,
    ),
    Operation(
        method="GET",
        path="/api/buyers/{id}/funds",
        name="read_buyer_funds",
        tag=_TAG,
        summary="A buyer's balance, holds, credit limit and what is available",
        permission="read_money",
        returns=BuyerFunds,
        run=read_funds,
    ),
    Operation(
        method="POST",
        path="/api/deposits",
        name="create_deposit",
        tag=_TAG,
        summary="Book a buyer's payment",
        permission="move_money",
        body=Deposit,
        returns=Transaction,
        status=201,
        example=Deposit(
            buyer_id="buy_01jq0000000000000000000000", amount=Money.parse("500.00"), reference="wire-2071"
        ),
        refusals=("not_found", "conflict"),
        run=create_deposit,
    ),
    Operation(
        method="POST",
        path="/api/disbursements",
        name="create_disbursement",
        tag=_TAG,
        summary="Book a payment to a publisher",
        permission="move_money",
        body=Disbursement,
        returns=Transaction,
        status=201,
        example=Disbursement(
            publisher_id="pub_01jq0000000000000000000000", amount=Money.parse("210.00"), reference="ach-88"
        ),
        refusals=("not_found", "conflict"),
        run=create_disbursement,
    ),
    Operation(
        method="GET",
        path="/api/statements",
        name="list_statements",
        tag=_TAG,
        summary="Closed statements, the latest closed first",
        permission="read_money",
        query=StatementsQuery,
        returns=Page[ClosedStatement],
        run=list_statements,
    ),
    Operation(
        method="GET",
        path="/api/statements/open",
        name="read_open_statement",
        tag=_TAG,
        summary="What the next statement of a buyer or publisher would say",
        description="It also has what was booked late into a closed period: closed statements stay so.",
        permission="read_money",
        query=OpenStatementQuery,
        returns=Statement,
        refusals=("not_found",),
        run=read_open_statement,
    ),
    Operation(
        method="POST",
        path="/api/statements",
        name="close_statement",
        tag=_TAG,
        summary="Close a period for good",
        permission="move_money",
        body=CloseStatement,
        returns=ClosedStatement,
        status=201,
        example={
            "account": "buyer",
            "owner_id": "buy_01jq0000000000000000000000",
            "ends_at": "2026-11-01T00:00:00Z",
        },
        refusals=("not_found", "changed_meanwhile"),
        run=close_statement,
    ),
    Operation(
        method="GET",
        path="/api/statements/{id}",
        name="read_statement",
        tag=_TAG,
        summary="One closed statement",
        permission="read_money",
        returns=ClosedStatement,
        run=read_statement,
    ),
)
