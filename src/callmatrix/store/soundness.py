"""Refuses a document that could not be lived by, before it is written."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, assert_never

from callmatrix.core.campaign import (
    Account,
    Buyer,
    Campaign,
    Connection,
    Endpoint,
    FlowDocument,
    Number,
    Offer,
    Publisher,
    account_problems,
    buyer_problems,
    endpoint_problems,
    number_problems,
    offer_problems,
    publisher_problems,
)
from callmatrix.core.documents import encode
from callmatrix.core.errors import Problem, Refused
from callmatrix.core.ids import AccountId
from callmatrix.store import references
from callmatrix.store.db import Transaction
from callmatrix.store.kinds import Config, name_of

_NUL: Final = b"\\u0000"  # PostgreSQL stores every character but this one


async def check(tx: Transaction, account_id: AccountId, document: Config, *, now: datetime) -> None:
    """`Refused("invalid")` with every problem found. A campaign's plan is judged after it is put together."""
    problems = [*_within(document), *await _unknown(tx, account_id, document, now=now)]
    if isinstance(document, Number):
        problems += await _numbers_problems(tx, account_id, document)
    if isinstance(document, Endpoint):
        problems += await _dialled_otherwise(tx, account_id, document)
    if problems:
        raise Refused("invalid", f"{name_of(document)} cannot be saved so", tuple(problems))


def _within(document: Config) -> tuple[Problem, ...]:
    if _NUL in encode(document):
        problem = "A text has the character NUL in it"
        return (Problem(field="", problem=problem, remedy="Remove the character"),)
    match document:
        case Account():
            return account_problems(document)
        case Buyer():
            return buyer_problems(document)
        case Offer():
            return offer_problems(document)
        case Publisher():
            return publisher_problems(document)
        case Endpoint():
            return endpoint_problems(document)
        case Campaign() | Number() | Connection() | FlowDocument():
            return ()
        case _:
            assert_never(document)


async def _unknown(
    tx: Transaction, account_id: AccountId, document: Config, *, now: datetime
) -> tuple[Problem, ...]:
    found = await references.missing(tx, account_id, references.of(document, now=now))
    return tuple(
        Problem(
            field=one.field,
            problem=f"{one.id} is archived" if archived else f"There is no {one.kind} {one.id}",
            remedy=f"Restore the {one.kind} or leave it out"
            if archived
            else f"Name a {one.kind} that exists",
        )
        for one, archived in found
    )


async def _numbers_problems(tx: Transaction, account_id: AccountId, number: Number) -> tuple[Problem, ...]:
    named = [share.campaign_id for assignment in number.assignments for share in assignment.split]
    # What it names from now on is asked for above; the past may name what is archived now.
    found = list(number_problems(number, campaigns=frozenset(named)))
    taken = await tx.fetchrow(
        "select id from config where account_id = $1 and kind = 'number' and name = $2 and not archived"
        " and id <> $3",
        account_id,
        number.number,
        number.id,
    )
    if taken is not None:
        found.append(
            Problem(
                field="number",
                problem=f"{number.number} is there already, as {taken['id']}",
                remedy="Change that one, or archive it first",
            )
        )
    seller = await tx.fetchval(
        "select id from config_reference where account_id = $1 and kind = 'endpoint' and to_kind = 'number'"
        " and to_id = $2 and $3",
        account_id,
        number.id,
        bool(number.assignments),
    )
    if seller is not None:
        found.append(
            Problem(
                field="assignments",
                problem=f"The number is dialled for the endpoint {seller}",
                remedy="Leave it unassigned, or take it from the endpoint first",
            )
        )
    if any(
        at is not None and at.tzinfo is None
        for one in number.assignments
        for at in (one.starts_at, one.ends_at)
    ):
        found.append(Problem(field="assignments", problem="An instant has no zone", remedy="End it with Z"))
    return tuple(found)


async def _dialled_otherwise(tx: Transaction, account_id: AccountId, endpoint: Endpoint) -> Iterator[Problem]:
    """Numbers that another endpoint has, or that are assigned: their calls would be refused for want of a
    bid."""
    rows = await tx.fetch(
        "select r.to_id as number_id, c.id, c.kind from config_reference r join config c on c.account_id = $1"
        " and c.kind = r.kind and c.id = r.id where r.account_id = $1 and r.kind = 'endpoint'"
        " and r.to_kind = 'number' and r.to_id = any($2) and r.id <> $3 union all"
        " select distinct r.id, r.to_id, r.to_kind from config_reference r where r.account_id = $1"
        " and r.kind = 'number' and r.id = any($2) and r.to_kind = 'campaign' order by 1, 2",
        account_id,
        list(endpoint.numbers),
        endpoint.id,
    )
    return iter(
        Problem(
            field=f"numbers.{endpoint.numbers.index(row['number_id'])}",
            problem=f"{row['number_id']} is dialled for the {row['kind']} {row['id']}",
            remedy="Name a number that nothing else uses",
        )
        for row in rows
    )
