"""Brings the limits and statuses by which capacity is reserved in line with a saved document."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, assert_never

import msgspec

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
)
from callmatrix.core.caps import Limits, Owner, Status, WhenCapped
from callmatrix.core.ids import AccountId, PublisherId
from callmatrix.core.money import ZERO, Money
from callmatrix.store import caps
from callmatrix.store.db import Transaction
from callmatrix.store.kinds import Config, read

_NONE: Final = Limits()


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What one owner allows, and whether it takes part at all."""

    limits: Limits = _NONE
    time_zone: str = "UTC"
    week_starts_on: int = 0
    when_capped: WhenCapped = "block"
    status: Status = "open"


_EVERYTHING: Final = Allowance()


async def keep(
    tx: Transaction, account_id: AccountId, before: Config | None, after: Config, *, now: datetime
) -> None:
    """Write the limits, statuses and credit that differ between two revisions of a document. Calls in the
    air keep what they hold; new reservations wait until the transaction ends."""
    inherited = await _inherited(tx, account_id, after)
    was = {} if before is None else allowances(before, inherited=inherited)
    will = allowances(after, inherited=inherited)
    if (
        isinstance(after, Publisher)
        and isinstance(before, Publisher)
        and before.when_capped != after.when_capped
    ):
        will |= await _in_campaigns(tx, account_id, after)
    for owner in sorted(was.keys() | will.keys(), key=caps.owner_key):
        await _keep_one(
            tx,
            account_id,
            owner,
            was=was.get(owner, _EVERYTHING),
            will=will.get(owner, _EVERYTHING),
            now=now,
        )
    if isinstance(after, Buyer) and (before is None or credit_of(after) != _credit_before(before)):
        await caps.set_credit_limit(tx, account_id, after.id, credit_of(after))


def allowances(document: Config, *, inherited: Mapping[PublisherId, WhenCapped]) -> dict[Owner, Allowance]:
    """What each owner that a document speaks for allows. `inherited` says what publishers do when capped
    where the campaign does not."""
    match document:
        case Account():
            return {Owner(kind="account", id=document.id): _of(document)}
        case Buyer():
            return {Owner(kind="buyer", id=document.id): _of(document, status=document.status)}
        case Offer():
            return {Owner(kind="offer", id=document.id): _of(document, status=document.status)}
        case Publisher():
            allowed = _of(document, status=document.status, when_capped=document.when_capped)
            return {Owner(kind="publisher", id=document.id): allowed}
        case Campaign():
            return _of_campaign(document, inherited)
        case Number() | Connection() | FlowDocument() | Endpoint():
            return {}
        case _:
            assert_never(document)


def credit_of(buyer: Buyer) -> Money:
    """How far below zero a buyer's balance may go."""
    return buyer.credit_limit if buyer.billing == "postpaid" else ZERO


def _credit_before(before: Config) -> Money | None:
    return credit_of(before) if isinstance(before, Buyer) else None


def _of(
    document: Account | Buyer | Offer | Publisher | Campaign,
    *,
    limits: Limits | None = None,
    status: str = "active",
    when_capped: WhenCapped = "block",
) -> Allowance:
    return Allowance(
        limits=document.limits if limits is None else limits,
        time_zone=document.time_zone,
        week_starts_on=document.week_starts_on,
        when_capped=when_capped,
        status="open" if status in ("active", "live") else "paused",
    )


def _of_campaign(campaign: Campaign, inherited: Mapping[PublisherId, WhenCapped]) -> dict[Owner, Allowance]:
    found = {Owner(kind="campaign", id=campaign.id): _of(campaign, status=campaign.status)}
    for entry in campaign.plan.entries:
        owner = Owner(kind="offer_in_campaign", id=f"{entry.offer_id}/{campaign.id}")
        found[owner] = _of(campaign, limits=entry.limits, status="paused" if entry.paused else "active")
    for one in campaign.publishers:
        owner = Owner(kind="publisher_in_campaign", id=f"{one.publisher_id}/{campaign.id}")
        found[owner] = _of(
            campaign,
            limits=one.limits,
            status="paused" if one.paused else "active",
            when_capped=one.when_capped or inherited.get(one.publisher_id, "block"),
        )
    return found


async def _keep_one(
    tx: Transaction, account_id: AccountId, owner: Owner, *, was: Allowance, will: Allowance, now: datetime
) -> None:
    limited = was.limits != _NONE or will.limits != _NONE
    if limited and msgspec.structs.replace(was, status=will.status) != will:
        await caps.set_limits(
            tx,
            account_id,
            owner,
            will.limits,
            time_zone=will.time_zone,
            week_starts_on=will.week_starts_on,
            now=now,
            when_capped=will.when_capped,
        )
    if was.status != will.status:
        await caps.set_status(tx, account_id, owner, will.status)


async def _inherited(
    tx: Transaction, account_id: AccountId, document: Config
) -> dict[PublisherId, WhenCapped]:
    if not isinstance(document, Campaign):
        return {}
    rows = await tx.fetch(
        "select id, document ->> 'when_capped' as when_capped from config"
        " where account_id = $1 and kind = 'publisher' and id = any($2)",
        account_id,
        [one.publisher_id for one in document.publishers],
    )
    return {row["id"]: row["when_capped"] or "block" for row in rows}


async def _in_campaigns(
    tx: Transaction, account_id: AccountId, publisher: Publisher
) -> dict[Owner, Allowance]:
    """The allowances of a publisher in those campaigns that leave it to the publisher what happens."""
    rows = await tx.fetch(
        "select c.document from config_reference r join config c on c.account_id = r.account_id"
        " and c.kind = r.kind and c.id = r.id where r.account_id = $1 and r.kind = 'campaign'"
        " and r.to_kind = 'publisher' and r.to_id = $2",
        account_id,
        publisher.id,
    )
    found: dict[Owner, Allowance] = {}
    for row in rows:
        campaign = read(row["document"], Campaign)
        if any(one.publisher_id == publisher.id and one.when_capped is None for one in campaign.publishers):
            owner = Owner(kind="publisher_in_campaign", id=f"{publisher.id}/{campaign.id}")
            found[owner] = _of_campaign(campaign, {publisher.id: publisher.when_capped})[owner]
    return found
