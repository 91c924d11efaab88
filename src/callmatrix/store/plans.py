"""Keeps the plans that calls are pinned to: each version is the revisions that it is made of."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from callmatrix.core.campaign import Account, Buyer, Campaign, Connection, Offer, Publisher
from callmatrix.core.documents import decode
from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId, CampaignId
from callmatrix.core.plan import PlanDocument
from callmatrix.store.db import Transaction
from callmatrix.store.kinds import read_flow

MAX_CAMPAIGNS: Final = 10_000
MAX_PRUNED: Final = 1_000
PIN_LAG: Final = timedelta(hours=1)
"""For how long after a new version a slow process may still begin calls on the one before."""


class PlanVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a campaign's plan and when it was made."""

    campaign_id: CampaignId
    version: int
    made_at: datetime


async def make(
    tx: Transaction,
    account_id: AccountId,
    campaign_ids: Iterable[CampaignId],
    *,
    catalog_version: int,
    now: datetime,
) -> dict[CampaignId, int]:
    """Store a new version of each campaign's plan from the current configuration, where it differs from the
    last one; the versions made."""
    rows = await tx.fetch(
        "select campaign_id, version from make_plans($1, $2, $3, $4)",
        account_id,
        list(campaign_ids)[:MAX_CAMPAIGNS],
        catalog_version,
        now,
    )
    return {row["campaign_id"]: row["version"] for row in rows}


async def current(tx: Transaction, account_id: AccountId, campaign_id: CampaignId) -> PlanDocument | None:
    """The campaign's latest plan; None where there is no such campaign."""
    version = await tx.fetchval(
        "select max(version) from plan where account_id = $1 and campaign_id = $2", account_id, campaign_id
    )
    return None if version is None else await load(tx, account_id, campaign_id, version)


async def load(tx: Transaction, account_id: AccountId, campaign_id: CampaignId, version: int) -> PlanDocument:
    """One version of a plan; `Refused("not_found")` where it never was or is kept no more."""
    rows = await tx.fetch(
        "with part as (select t.* from plan p, unnest(p.kinds, p.ids, p.revisions) t(kind, id, revision)"
        " where p.account_id = $1 and p.campaign_id = $2 and p.version = $3)"
        " select r.kind, r.id, r.document from part join config_revision r on r.account_id = $1"
        " and r.kind = part.kind and r.id = part.id and r.revision = part.revision"
        " union all select 'flow', v.flow_id, v.document from part join flow_version v on v.account_id = $1"
        " and part.kind = 'flow_version' and v.flow_id = part.id and v.version = part.revision"
        " order by 1, 2",
        account_id,
        campaign_id,
        version,
    )
    if not rows:
        raise Refused("not_found", f"There is no version {version} of the plan of {campaign_id}")
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row["kind"], []).append(row["document"])
    return PlanDocument(
        version=version,
        account=decode(found["account"][0], Account),
        campaign=decode(found["campaign"][0], Campaign),
        offers=tuple(decode(one, Offer) for one in found.get("offer", ())),
        buyers=tuple(decode(one, Buyer) for one in found.get("buyer", ())),
        publishers=tuple(decode(one, Publisher) for one in found.get("publisher", ())),
        connections=tuple(decode(one, Connection) for one in found.get("connection", ())),
        flow=read_flow(found["flow"][0]) if "flow" in found else None,
    )


async def versions_since(
    tx: Transaction, account_id: AccountId, *, after: int
) -> tuple[tuple[CampaignId, int], ...]:
    """The latest version of every campaign's plan that got one after a version of the catalog."""
    rows = await tx.fetch(
        "select campaign_id, max(version) as version from plan"
        " where account_id = $1 and catalog_version > $2 group by 1 order by 1",
        account_id,
        after,
    )
    return tuple((row["campaign_id"], row["version"]) for row in rows)


async def versions(
    tx: Transaction, account_id: AccountId, campaign_id: CampaignId, *, limit: int = 100
) -> tuple[PlanVersion, ...]:
    """A campaign's plans, newest first."""
    rows = await tx.fetch(
        "select campaign_id, version, made_at from plan where account_id = $1 and campaign_id = $2"
        " order by version desc limit $3",
        account_id,
        campaign_id,
        limit,
    )
    return tuple(
        PlanVersion(campaign_id=row["campaign_id"], version=row["version"], made_at=row["made_at"])
        for row in rows
    )


async def prune(tx: Transaction, account_id: AccountId, *, made_before: datetime) -> int:
    """Remove at most `MAX_PRUNED` versions that were followed by another one before `made_before` (less
    `PIN_LAG`) and that no stored call or lead refers to; returns how many."""
    rows = await tx.fetch(
        """
        with followed as (
            select campaign_id, version, made_at, lead(made_at) over later as followed_at
            from plan where account_id = $1
            window later as (partition by campaign_id order by version)
        )
        delete from plan p using (
            select f.campaign_id, f.version from followed f
            where f.followed_at < $2::timestamptz - $3::interval and not exists (
                select from call c where c.account_id = $1 and c.campaign_id = f.campaign_id
                    and c.plan_version = f.version and c.arrived_at >= f.made_at - $3::interval
                    and c.arrived_at <= f.followed_at + $3::interval)
                and not exists (
                select from lead l where l.account_id = $1 and l.campaign_id = f.campaign_id
                    and l.plan_version = f.version and l.submitted_at >= f.made_at - $3::interval
                    and l.submitted_at <= f.followed_at + $3::interval)
            order by f.followed_at limit $4
        ) f
        where p.account_id = $1 and p.campaign_id = f.campaign_id and p.version = f.version
        returning 1
        """,
        account_id,
        made_before,
        PIN_LAG,
        MAX_PRUNED,
    )
    return len(rows)
