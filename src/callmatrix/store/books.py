"""Reads the ledger for people (transactions, balances) and writes payments and closed statements."""

from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from callmatrix.core.documents import decode, encode_text
from callmatrix.core.ids import AccountId, CallId, LeadId
from callmatrix.core.ledger import Posting, Statement, StatementLine
from callmatrix.core.ledger import Transaction as LedgerTransaction
from callmatrix.core.money import Money
from callmatrix.store.calls import transaction_row
from callmatrix.store.db import Row, Transaction

MAX_BALANCES: Final = 10_000
MAX_CALL_TRANSACTIONS: Final = 1_000
BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Where the first statement of an owner starts: before anything was booked."""

Side = Literal["buyer", "publisher"]

_TRANSACTION: Final = (
    "select t.key, t.kind, t.at, t.call_id, t.lead_id, t.rating_revision, t.reason,"
    " (select jsonb_agg(jsonb_build_object('account', p.account, 'owner_id', p.owner_id,"
    " 'micros', p.amount_micros) order by p.line) from posting p"
    " where p.account_id = t.account_id and p.transaction_key = t.key) as postings from ledger_transaction t"
)


class BookFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which transactions to list; None asks nothing. `since <= at < until`."""

    since: datetime | None = None
    until: datetime | None = None
    kind: str | None = None
    call_id: str | None = None
    lead_id: str | None = None
    account: str | None = None
    owner_id: str | None = None


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What one account's postings sum to, signed as the ledger's accounts are."""

    account: str
    owner_id: str
    amount: Money


class BuyerFunds(msgspec.Struct, frozen=True, kw_only=True):
    """What reservations are judged by (rule 15): `available` is balance + credit limit − held."""

    balance: Money
    held: Money
    credit_limit: Money
    available: Money


class ClosedStatement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that stays as it is."""

    id: str
    statement: Statement
    closed_at: datetime
    closed_by: str


class _StoredPosting(msgspec.Struct, frozen=True):
    account: str
    owner_id: str
    micros: int


async def book(tx: Transaction, account_id: AccountId, transaction: LedgerTransaction) -> bool:
    """Write one transaction; False where its key is known already, and then nothing is written."""
    count: int = await tx.fetchval(
        "select book($1, $2)", account_id, encode_text([transaction_row(transaction)])
    )
    return count == 1


async def by_key(tx: Transaction, account_id: AccountId, key: str) -> LedgerTransaction | None:
    """The transaction of that key."""
    row = await tx.fetchrow(f"{_TRANSACTION} where t.account_id = $1 and t.key = $2", account_id, key)
    return None if row is None else _transaction(row)


async def of_call(tx: Transaction, account_id: AccountId, call_id: CallId) -> tuple[LedgerTransaction, ...]:
    """What was booked for a call, oldest first."""
    rows = await tx.fetch(
        f"{_TRANSACTION} where t.account_id = $1 and t.call_id = $2"
        f" order by t.rating_revision, t.at, t.key limit {MAX_CALL_TRANSACTIONS}",
        account_id,
        call_id,
    )
    return tuple(_transaction(row) for row in rows)


async def of_lead(tx: Transaction, account_id: AccountId, lead_id: LeadId) -> tuple[LedgerTransaction, ...]:
    """What was booked for a lead that came by form, oldest first."""
    rows = await tx.fetch(
        f"{_TRANSACTION} where t.account_id = $1 and t.lead_id = $2"
        f" order by t.rating_revision, t.at, t.key limit {MAX_CALL_TRANSACTIONS}",
        account_id,
        lead_id,
    )
    return tuple(_transaction(row) for row in rows)


async def transactions(
    tx: Transaction,
    account_id: AccountId,
    wanted: BookFilter,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
) -> tuple[LedgerTransaction, ...]:
    """At most `limit` transactions, newest first, older than `after` (instant and key)."""
    conditions, values = ["t.account_id = $1"], [account_id]

    def add(condition: str, *given: object) -> None:
        places = [f"${len(values) + number}" for number in range(1, len(given) + 1)]
        values.extend(given)  # type: ignore[arg-type]
        conditions.append(condition.format(*places))

    if wanted.since is not None:
        add("t.at >= {}", wanted.since)
    if wanted.until is not None:
        add("t.at < {}", wanted.until)
    if wanted.kind is not None:
        add("t.kind = {}", wanted.kind)
    if wanted.call_id is not None:
        add("t.call_id = {}", wanted.call_id)
    if wanted.lead_id is not None:
        add("t.lead_id = {}", wanted.lead_id)
    if wanted.account is not None or wanted.owner_id is not None:
        add(
            "exists (select from posting p where p.account_id = t.account_id and p.transaction_key = t.key"
            " and ({0}::text is null or p.account = {0}) and ({1}::text is null or p.owner_id = {1}))",
            wanted.account,
            wanted.owner_id,
        )
    if after is not None:
        add("(t.at, t.key) < ({}, {})", *after)
    values.append(limit)  # type: ignore[arg-type]
    rows = await tx.fetch(
        f"{_TRANSACTION} where {' and '.join(conditions)} order by t.at desc, t.key desc"
        f" limit ${len(values)}",
        *values,
    )
    return tuple(_transaction(row) for row in rows)


async def balances(
    tx: Transaction, account_id: AccountId, *, account: str | None = None, owner_id: str | None = None
) -> tuple[Balance, ...]:
    """The balance of every account of the ledger, or of those named."""
    rows = await tx.fetch(
        "select account, owner_id, sum(amount_micros)::bigint as micros from posting where account_id = $1"
        " and ($2::text is null or account = $2) and ($3::text is null or owner_id = $3)"
        f" group by account, owner_id order by account, owner_id limit {MAX_BALANCES}",
        account_id,
        account,
        owner_id,
    )
    return tuple(
        Balance(account=row["account"], owner_id=row["owner_id"], amount=Money(row["micros"])) for row in rows
    )


async def funds_of(tx: Transaction, account_id: AccountId, buyer_id: str) -> BuyerFunds:
    """A buyer's funds; one without any has none."""
    row = await tx.fetchrow(
        "select balance_micros, held_micros, credit_limit_micros from buyer_funds"
        " where account_id = $1 and buyer_id = $2",
        account_id,
        buyer_id,
    )
    balance, held, credit = (0, 0, 0) if row is None else tuple(row)
    return BuyerFunds(
        balance=Money(balance),
        held=Money(held),
        credit_limit=Money(credit),
        available=Money(balance + credit - held),
    )


async def open_statement(
    tx: Transaction, account_id: AccountId, *, account: Side, owner_id: str, ends_at: datetime
) -> Statement:
    """What a statement closed at `ends_at` would say: everything that no closed one has counted, also what
    was booked late into a closed period (rule 21)."""
    last = await tx.fetchrow(
        "select ends_at, closing_micros from statement where account_id = $1 and account = $2"
        " and owner_id = $3 order by ends_at desc limit 1",
        account_id,
        account,
        owner_id,
    )
    rows = await tx.fetch(
        """
        with moved as (
            select t.kind, count(distinct t.key) as count, sum(p.amount_micros) as micros
            from posting p join ledger_transaction t
                on t.account_id = p.account_id and t.key = p.transaction_key
            where p.account_id = $1 and p.account = $2 and p.owner_id = $3 and p.at < $4 group by t.kind
        ), told as (
            select line.value->>'kind' as kind, sum((line.value->>'count')::bigint) as count,
                sum((line.value->>'micros')::bigint) as micros
            from statement s, jsonb_array_elements(s.lines) as line
            where s.account_id = $1 and s.account = $2 and s.owner_id = $3 group by 1
        )
        select moved.kind, (moved.count - coalesce(told.count, 0))::bigint as count,
            (moved.micros - coalesce(told.micros, 0))::bigint as micros
        from moved left join told using (kind)
        where moved.count <> coalesce(told.count, 0) order by moved.kind
        """,
        account_id,
        account,
        owner_id,
        ends_at,
    )
    lines = tuple(
        StatementLine(kind=row["kind"], count=row["count"], amount=Money(row["micros"])) for row in rows
    )
    opening = Money(0 if last is None else last["closing_micros"])
    return Statement(
        account=account,
        owner_id=owner_id,
        starts_at=BEGINNING if last is None else last["ends_at"],
        ends_at=ends_at,
        opening=opening,
        lines=lines,
        closing=sum((line.amount for line in lines), start=opening),
    )


async def close_statement(tx: Transaction, account_id: AccountId, closed: ClosedStatement) -> bool:
    """Keep a closed statement; False where somebody closed the same period meanwhile."""
    told = closed.statement
    lines = [{"kind": one.kind, "count": one.count, "micros": one.amount.micros} for one in told.lines]
    status = await tx.execute(
        "insert into statement (account_id, id, account, owner_id, starts_at, ends_at, opening_micros,"
        " closing_micros, lines, closed_at, closed_by) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        " on conflict do nothing",
        account_id,
        closed.id,
        told.account,
        told.owner_id,
        told.starts_at,
        told.ends_at,
        told.opening.micros,
        told.closing.micros,
        encode_text(lines),
        closed.closed_at,
        closed.closed_by,
    )
    return bool(status == "INSERT 0 1")


async def closed_statements(
    tx: Transaction,
    account_id: AccountId,
    *,
    account: str | None,
    owner_id: str | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> tuple[ClosedStatement, ...]:
    """Closed statements, the latest closed first."""
    rows = await tx.fetch(
        "select * from statement where account_id = $1 and ($2::text is null or account = $2)"
        " and ($3::text is null or owner_id = $3)"
        " and ($4::timestamptz is null or (closed_at, id) < ($4, $5))"
        " order by closed_at desc, id desc limit $6",
        account_id,
        account,
        owner_id,
        None if after is None else after[0],
        "" if after is None else after[1],
        limit,
    )
    return tuple(_closed(row) for row in rows)


async def closed_statement(tx: Transaction, account_id: AccountId, id: str) -> ClosedStatement | None:
    """One closed statement."""
    row = await tx.fetchrow("select * from statement where account_id = $1 and id = $2", account_id, id)
    return None if row is None else _closed(row)


def _closed(row: Row) -> ClosedStatement:
    lines = decode(row["lines"], list[_StoredLine])
    return ClosedStatement(
        id=row["id"],
        statement=Statement(
            account=row["account"],
            owner_id=row["owner_id"],
            starts_at=row["starts_at"],
            ends_at=row["ends_at"],
            opening=Money(row["opening_micros"]),
            lines=tuple(
                StatementLine(kind=one.kind, count=one.count, amount=Money(one.micros))  # type: ignore[arg-type]
                for one in lines
            ),
            closing=Money(row["closing_micros"]),
        ),
        closed_at=row["closed_at"],
        closed_by=row["closed_by"],
    )


class _StoredLine(msgspec.Struct, frozen=True):
    kind: str
    count: int
    micros: int


def _transaction(row: Row) -> LedgerTransaction:
    postings = decode(row["postings"], list[_StoredPosting])
    return LedgerTransaction(
        key=row["key"],
        kind=row["kind"],
        at=row["at"],
        call_id=row["call_id"],
        lead_id=row["lead_id"],
        rating_revision=row["rating_revision"],
        reason=row["reason"],
        postings=tuple(
            Posting(account=one.account, owner_id=one.owner_id, amount=Money(one.micros))  # type: ignore[arg-type]
            for one in postings
        ),
    )
