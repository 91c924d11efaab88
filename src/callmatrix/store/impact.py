"""Decides which campaigns a saved document touches, and refuses it where one of them could not go on."""

import asyncio
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
    campaign_problems,
)
from callmatrix.core.errors import Problem, Refused
from callmatrix.core.flow import fields_of
from callmatrix.core.ids import AccountId, CampaignId
from callmatrix.core.plan import PlanDocument, compile_plan
from callmatrix.store import plans
from callmatrix.store.db import Transaction
from callmatrix.store.kinds import Config, read

MAX_IN_LOOP: Final = 100
"""Plans of more offers are checked in a thread, so that the calls of this process go on."""
_HARMLESS: Final = ("pause", "resume", "archive")

_NAMING: Final = (
    "select r.id from config_reference r join config c on c.account_id = r.account_id and c.kind = r.kind"
    " and c.id = r.id and not c.archived where r.account_id = $1 and r.kind = 'campaign'"
)


async def remake_plans(
    tx: Transaction,
    account_id: AccountId,
    document: Config,
    *,
    what: str,
    catalog_version: int,
    now: datetime,
) -> None:
    """New versions of the plans that a saved document is part of; `Refused("invalid")` where one of them
    could not be compiled, and then nothing is saved."""
    campaigns = await touched(tx, account_id, document, what=what)
    if not campaigns:
        return
    made = await plans.make(tx, account_id, campaigns, catalog_version=catalog_version, now=now)
    if what in _HARMLESS or not isinstance(document, Campaign | Offer | FlowDocument):
        return
    for campaign_id, version in made.items():
        plan = await plans.load(tx, account_id, campaign_id, version)
        sent = await _sent_by_sellers(tx, account_id, campaign_id)
        if len(plan.offers) > MAX_IN_LOOP:
            problems = await asyncio.to_thread(plan_problems, plan, sent=sent)
        else:
            problems = plan_problems(plan, sent=sent)
        if problems:
            raise Refused("invalid", f"The campaign {plan.campaign.name} could not go on so", problems)


# A campaign's calls come over the numbers that are assigned to it, and over those of its endpoints.
_NUMBERS: Final = (
    "(select r.account_id, r.id as number_id, r.to_id as campaign_id from config_reference r"
    " where r.kind = 'number' and r.to_kind = 'campaign' union all"
    " select r.account_id, s.to_id, r.to_id from config_reference r join config_reference s"
    " on s.account_id = r.account_id and s.kind = 'endpoint' and s.id = r.id and s.to_kind = 'number'"
    " where r.kind = 'endpoint' and r.to_kind = 'campaign') n"
)


async def touched(
    tx: Transaction, account_id: AccountId, document: Config, *, what: str
) -> tuple[CampaignId, ...]:
    """The campaigns in use whose plans a document is part of. A flow's draft is part of none."""
    named: str = document.id
    match document:
        case Campaign():
            return () if document.status == "archived" else (document.id,)
        case Offer():
            asked = f"{_NAMING} and r.to_kind = 'offer' and r.to_id = $2"
        case Buyer():
            asked = (
                f"{_NAMING} and r.to_kind = 'offer' and r.to_id in (select s.id from config_reference s"
                " where s.account_id = $1 and s.kind = 'offer' and s.to_kind = 'buyer' and s.to_id = $2)"
            )
        case FlowDocument():
            if what != "publish":
                return ()
            asked = f"{_NAMING} and r.to_kind = 'flow' and r.to_id = $2"
        case Publisher() | Connection() | Account():
            asked = "select id from config where account_id = $1 and kind = $2 and not archived"
            named = "campaign"
        case Number() | Endpoint():
            return ()
        case _:
            assert_never(document)
    rows = await tx.fetch(f"select distinct id from ({asked}) t order by 1", account_id, named)
    return tuple(row["id"] for row in rows)


async def carriers(
    tx: Transaction, account_id: AccountId, document: Config
) -> tuple[tuple[CampaignId, Connection], ...]:
    """The campaigns that a saved document touches, each with every connection that its calls come over."""
    match document:
        case Number():
            asked = f"select n.campaign_id from {_NUMBERS} where n.account_id = $1 and n.number_id = $2"
            named: list[str] = [row[0] for row in await tx.fetch(asked, account_id, document.id)]
        case Connection():
            asked = (
                f"select distinct n.campaign_id from config_reference r join {_NUMBERS}"
                " on n.account_id = $1 and n.number_id = r.id"
                " where r.account_id = $1 and r.kind = 'number' and r.to_kind = 'connection' and r.to_id = $2"
            )
            named = [row[0] for row in await tx.fetch(asked, account_id, document.id)]
        case Endpoint():
            named = [document.campaign_id]
        case _:
            named = list(await touched(tx, account_id, document, what="publish"))
    rows = await tx.fetch(
        f"select distinct n.campaign_id, c.document from {_NUMBERS}"
        " join config_reference s on s.account_id = $1 and s.kind = 'number' and s.id = n.number_id"
        " and s.to_kind = 'connection' join config c on c.account_id = $1 and c.kind = 'connection'"
        " and c.id = s.to_id where n.account_id = $1 and n.campaign_id = any($2) order by 1",
        account_id,
        named,
    )
    return tuple((row["campaign_id"], read(row["document"], Connection)) for row in rows)


async def _sent_by_sellers(tx: Transaction, account_id: AccountId, campaign_id: CampaignId) -> frozenset[str]:
    """The fields that no request for a bid of the campaign's endpoints lacks."""
    rows = await tx.fetch(
        "select c.document from config_reference r join config c on c.account_id = r.account_id"
        " and c.kind = r.kind and c.id = r.id where r.account_id = $1 and r.kind = 'endpoint'"
        " and r.to_kind = 'campaign' and r.to_id = $2",
        account_id,
        campaign_id,
    )
    return frozenset(name for row in rows for name in read(row["document"], Endpoint).required_fields)


def plan_problems(plan: PlanDocument, *, sent: frozenset[str] = frozenset()) -> tuple[Problem, ...]:
    """What keeps a campaign from going on with the documents that its plan is made of. `sent` are fields that
    its calls have although its flow does not capture them."""
    campaign = plan.campaign
    if campaign.flow_id is not None and plan.flow is None:
        unpublished = Problem(
            field="flow_id",
            problem=f"{campaign.flow_id} has no published version",
            remedy="Publish the flow first",
        )
        return (unpublished,)
    found = campaign_problems(
        campaign,
        offers={offer.id: offer for offer in plan.offers},
        buyers={buyer.id: buyer for buyer in plan.buyers},
        publishers={publisher.id for publisher in plan.publishers},
        flow_fields=sent if plan.flow is None else fields_of(plan.flow) | sent,
    )
    if found:
        return found
    try:
        compile_plan(plan)
    except Refused as refused:
        return refused.problems
    return ()
