"""What flows are used for: published versions, campaigns that name them, and the ways that callers took."""

from datetime import datetime
from typing import Final

import msgspec

from callmatrix.core.ids import AccountId, CampaignId, FlowId
from callmatrix.store.db import Transaction

MAX_FLOWS: Final = 2_000
MAX_CAMPAIGNS_TOLD: Final = 50
MAX_CALLS_COUNTED: Final = 5_000
MAX_EDGES: Final = 5_000


class UsingCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign whose calls go through a flow."""

    id: CampaignId
    name: str


class FlowStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How a flow stands. `version` None was never published; `changed` tells that the draft is not what
    callers hear. At most `MAX_CAMPAIGNS_TOLD` campaigns are named."""

    flow_id: FlowId
    version: int | None
    published_at: datetime | None
    changed: bool
    campaigns: tuple[UsingCampaign, ...]


class EdgeUse(msgspec.Struct, frozen=True, kw_only=True):
    """How many callers left `node` by `exit`, each counted once."""

    node: str
    exit: str
    callers: int


class FlowUse(msgspec.Struct, frozen=True, kw_only=True):
    """The ways that callers took. `counted` of the newest calls are in it, at most `MAX_CALLS_COUNTED`."""

    since: datetime
    until: datetime
    counted: int
    edges: tuple[EdgeUse, ...]


_STANDINGS: Final = (
    "with named as materialized (select r.to_id as flow_id, n.id, n.document ->> 'name' as name,"
    " row_number() over (partition by r.to_id order by n.document ->> 'name', n.id) as place"
    " from config_reference r join config n on n.account_id = r.account_id and n.kind = r.kind"
    " and n.id = r.id and not n.archived"
    " where r.account_id = $1 and r.kind = 'campaign' and r.to_kind = 'flow'),"
    " grouped as (select flow_id, array_agg(id order by place) as ids,"
    " array_agg(name order by place) as names from named where place <= $2 group by flow_id)"
    " select c.id, v.version, v.published_at, v.document is distinct from c.document -> 'draft' as changed,"
    " coalesce(g.ids, '{}') as ids, coalesce(g.names, '{}') as names"
    " from config c left join grouped g on g.flow_id = c.id"
    " left join lateral (select f.version, f.published_at, f.document from flow_version f"
    " where f.account_id = c.account_id and f.flow_id = c.id order by f.version desc limit 1) v on true"
    " where c.account_id = $1 and c.kind = 'flow' and not c.archived order by c.id limit $3"
)

# A call is pinned to a plan, and the plan names the version of the flow.
_EDGES: Final = (
    "with recent as materialized (select c.id from call c join plan p on p.account_id = c.account_id"
    " and p.campaign_id = c.campaign_id and p.version = c.plan_version"
    " where c.account_id = $1 and c.arrived_at >= $3 and c.arrived_at < $4 and not c.test"
    " and exists (select from unnest(p.kinds, p.ids) part(kind, id)"
    " where part.kind = 'flow_version' and part.id = $2)"
    " order by c.arrived_at desc, c.id desc limit $5),"
    " visits as (select e.call_id, v ->> 'node' as node, v ->> 'exit' as exit from recent r"
    " join call_event e on e.account_id = $1 and e.call_id = r.id and strpos(e.trace, '\"visits\"') > 0"
    " cross join lateral jsonb_array_elements(e.trace::jsonb -> 'visits') v)"
    " select node, exit, count(distinct call_id)::int as callers,"
    " (select count(*) from recent)::int as counted from visits"
    " where exit <> 'wait' group by node, exit order by node, exit limit $6"
)


async def standings(tx: Transaction, account_id: AccountId) -> tuple[FlowStanding, ...]:
    """How every flow that is not archived stands, at most `MAX_FLOWS`."""
    rows = await tx.fetch(_STANDINGS, account_id, MAX_CAMPAIGNS_TOLD, MAX_FLOWS)
    return tuple(
        FlowStanding(
            flow_id=FlowId(row["id"]),
            version=row["version"],
            published_at=row["published_at"],
            changed=row["changed"],
            campaigns=tuple(
                UsingCampaign(id=CampaignId(each), name=name)
                for each, name in zip(row["ids"], row["names"], strict=True)
            ),
        )
        for row in rows
    )


async def use(
    tx: Transaction, account_id: AccountId, flow_id: FlowId, *, since: datetime, until: datetime
) -> FlowUse:
    """The ways taken by the newest calls that arrived in `[since, until)`, whatever version they heard; test
    calls are left out. A way that ended the flow is told by the node's kind."""
    rows = await tx.fetch(_EDGES, account_id, flow_id, since, until, MAX_CALLS_COUNTED, MAX_EDGES)
    return FlowUse(
        since=since,
        until=until,
        counted=rows[0]["counted"] if rows else 0,
        edges=tuple(EdgeUse(node=row["node"], exit=row["exit"], callers=row["callers"]) for row in rows),
    )
