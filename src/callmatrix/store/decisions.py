"""Reads the routing decisions of the latest calls that could have gone to an offer."""

from datetime import datetime
from typing import Final

import msgspec

from callmatrix.core.call import StepTrace
from callmatrix.core.documents import decode
from callmatrix.core.ids import AccountId, CallId, CampaignId, OfferId
from callmatrix.core.routing import Trace
from callmatrix.store.db import Transaction

MAX_CALLS: Final = 500
MAX_EVENTS: Final = 5_000


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """One routing decision of a call."""

    call_id: CallId
    campaign_id: CampaignId
    trace: Trace


async def latest(
    tx: Transaction, account_id: AccountId, offer_id: OfferId, *, since: datetime
) -> tuple[tuple[Decided, ...], bool]:
    """The final decisions of the latest calls since an instant in campaigns that name the offer now, newest
    call first; and whether there were more calls. Test calls are left out, and decisions that only said
    whom to ask for a bid."""
    rows = await tx.fetch(
        "with recent as (select c.id, c.campaign_id, c.arrived_at from call c"
        " where c.account_id = $1 and not c.test and c.arrived_at >= $3 and c.campaign_id in"
        " (select r.id from config_reference r where r.account_id = $1 and r.kind = 'campaign'"
        " and r.to_kind = 'offer' and r.to_id = $2)"
        " order by c.arrived_at desc, c.id desc limit $4)"
        " select r.id, r.campaign_id, e.trace, (select count(*) from recent) as calls from recent r"
        " join call_event e on e.account_id = $1 and e.call_id = r.id and strpos(e.trace, '\"decision\"') > 0"
        " order by r.arrived_at desc, r.id desc, e.version limit $5",
        account_id,
        offer_id,
        since,
        MAX_CALLS + 1,
        MAX_EVENTS,
    )
    found = [
        Decided(call_id=row["id"], campaign_id=row["campaign_id"], trace=trace)
        for row in rows
        if (trace := decode(row["trace"], StepTrace).decision) is not None and int(trace.asked, 16) == 0
    ]
    return tuple(found), bool(rows) and (rows[0]["calls"] > MAX_CALLS or len(rows) == MAX_EVENTS)
