"""Keeps which document names which: what is named must be there, and may not be archived meanwhile."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, assert_never

import msgspec

from callmatrix.core.campaign import (
    Account,
    Buyer,
    Campaign,
    Connection,
    Endpoint,
    FallbackOffer,
    FlowDocument,
    Number,
    Offer,
    Publisher,
)
from callmatrix.core.ids import AccountId
from callmatrix.store.db import Transaction
from callmatrix.store.kinds import Config, Kind, kind_of

MAX_NAMED: Final = 20


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A document is named at `field` of another one."""

    field: str
    kind: Kind
    id: str


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """A document that names the one asked about."""

    kind: Kind
    id: str
    name: str


def of(document: Config, *, now: datetime) -> tuple[Reference, ...]:
    """What a document names. A number's assignments count until they have ended."""
    match document:
        case Account() | Buyer() | Publisher() | Connection() | FlowDocument():
            return ()
        case Offer():
            return (Reference(field="buyer_id", kind="buyer", id=document.buyer_id),)
        case Campaign():
            return tuple(_of_campaign(document))
        case Number():
            return tuple(_of_number(document, now))
        case Endpoint():
            return tuple(_of_endpoint(document))
        case _:
            assert_never(document)


def _of_campaign(campaign: Campaign) -> Iterator[Reference]:
    for place, entry in enumerate(campaign.plan.entries):
        yield Reference(field=f"plan.entries.{place}.offer_id", kind="offer", id=entry.offer_id)
    for field, fallback in (
        ("fallback", campaign.fallback),
        ("closed_treatment", campaign.closed_treatment),
    ):
        if isinstance(fallback, FallbackOffer):
            yield Reference(field=f"{field}.offer_id", kind="offer", id=fallback.offer_id)
    for place, one in enumerate(campaign.publishers):
        yield Reference(field=f"publishers.{place}.publisher_id", kind="publisher", id=one.publisher_id)
    if campaign.flow_id is not None:
        yield Reference(field="flow_id", kind="flow", id=campaign.flow_id)


def _of_number(number: Number, now: datetime) -> Iterator[Reference]:
    yield Reference(field="connection_id", kind="connection", id=number.connection_id)
    for place, assignment in enumerate(number.assignments):
        if assignment.ends_at is not None and assignment.ends_at <= now:
            continue
        if assignment.publisher_id is not None:
            field = f"assignments.{place}.publisher_id"
            yield Reference(field=field, kind="publisher", id=assignment.publisher_id)
        for order, share in enumerate(assignment.split):
            field = f"assignments.{place}.split.{order}.campaign_id"
            yield Reference(field=field, kind="campaign", id=share.campaign_id)


def _of_endpoint(endpoint: Endpoint) -> Iterator[Reference]:
    yield Reference(field="campaign_id", kind="campaign", id=endpoint.campaign_id)
    yield Reference(field="publisher_id", kind="publisher", id=endpoint.publisher_id)
    for place, number_id in enumerate(endpoint.numbers):
        yield Reference(field=f"numbers.{place}", kind="number", id=number_id)


async def missing(
    tx: Transaction, account_id: AccountId, references: Sequence[Reference]
) -> tuple[tuple[Reference, bool], ...]:
    """Those that name nothing in use, each with whether it is there but archived."""
    if not references:
        return ()
    rows = await tx.fetch(
        "select t.place, c.id is not null as archived from unnest($2::text[], $3::text[]) with ordinality"
        " t(kind, id, place) left join config c on c.account_id = $1 and c.kind = t.kind and c.id = t.id"
        " where c.id is null or c.archived order by t.place",
        account_id,
        [one.kind for one in references],
        [one.id for one in references],
    )
    return tuple((references[row["place"] - 1], row["archived"]) for row in rows)


async def replace(
    tx: Transaction, account_id: AccountId, references: Iterable[Reference], document: Config
) -> None:
    """From now on a document names these, and nothing else."""
    wanted = sorted({(one.kind, one.id) for one in references})
    named = "unnest($4::text[], $5::text[]) t(kind, id)"
    given = (
        account_id,
        kind_of(document),
        document.id,
        [kind for kind, _ in wanted],
        [named_id for _, named_id in wanted],
    )
    await tx.execute(
        "delete from config_reference r where r.account_id = $1 and r.kind = $2 and r.id = $3"
        f" and not exists (select from {named} where t.kind = r.to_kind and t.id = r.to_id)",
        *given,
    )
    await tx.execute(
        "insert into config_reference (account_id, kind, id, to_kind, to_id)"
        f" select $1, $2, $3, t.kind, t.id from {named} on conflict do nothing",
        *given,
    )


async def uses(tx: Transaction, account_id: AccountId, kind: Kind, config_id: str) -> tuple[Use, ...]:
    """Who names a document: at most `MAX_NAMED` of them, by kind and name."""
    rows = await tx.fetch(
        "select c.kind, c.id, c.name from config_reference r join config c on c.account_id = r.account_id"
        " and c.kind = r.kind and c.id = r.id where r.account_id = $1 and r.to_kind = $2 and r.to_id = $3"
        " order by 1, 3, 2 limit $4",
        account_id,
        kind,
        config_id,
        MAX_NAMED,
    )
    return tuple(Use(kind=row["kind"], id=row["id"], name=row["name"]) for row in rows)
