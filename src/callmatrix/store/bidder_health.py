"""Counts how bidders fare: how often they bid and win, how fast they are, and what goes wrong."""

from datetime import datetime
from typing import Final

import msgspec

from callmatrix.core.ids import AccountId, OfferId
from callmatrix.store.db import Row, Transaction

MAX_OFFERS: Final = 10_000
# The codes of pings that never left: they say nothing of how fast a bidder is.
UNSENT: Final = (
    "address_refused",
    "busy",
    "interrupted",
    "out_of_time",
    "overloaded",
    "throttled",
    "unconfigured",
)


class BidderHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How one offer's bidder fared. `sent` pings left this process; `real_bids`
    were not simulated; `codes` counts why there was no bid;
    `dialled` bids were tried (dialled, or a form posted), `won` ones got the lead. Times of what was sent,
    in microseconds; None where nothing was."""

    offer_id: OfferId
    pings: int = 0
    sent: int = 0
    bids: int = 0
    real_bids: int = 0
    simulated: int = 0
    codes: dict[str, int] = {}
    dialled: int = 0
    won: int = 0
    p50_us: int | None = None
    p95_us: int | None = None
    p99_us: int | None = None
    reused: int = 0
    last_at: datetime | None = None


_ASKED: Final = (
    "ping where account_id = $1 and offer_id = any($2) and at >= $3 and at < $4 and not test"
    " and ($5::text is null or campaign_id = $5)"
)
_COUNTS: Final = (
    "select offer_id, count(*) as pings, count(*) filter (where code <> all($6)) as sent,"
    " count(*) filter (where code = '') as bids, count(*) filter (where simulated) as simulated,"
    " count(*) filter (where code = '' and not simulated) as real_bids,"
    " count(*) filter (where reused) as reused, max(at) as last_at,"
    " percentile_disc(array[0.5, 0.95, 0.99]) within group (order by total_us)"
    f" filter (where code <> all($6)) as times_us from {_ASKED} group by offer_id"
)
_CODES: Final = f"select offer_id, code, count(*) as count from {_ASKED} and code <> '' group by 1, 2"
# A lead may be auctioned in several rounds, and is sold once.
_SOLD: Final = (
    "with bid as (select distinct account_id, offer_id, lead_id"
    f" from {_ASKED} and code = '' and not simulated)"
    " select offer_id, count(*) filter (where dialled) as dialled, count(*) filter (where won) as won from ("
    " select b.offer_id, b.lead_id, bool_or(a.dialled_at is not null) as dialled,"
    " bool_or(a.outcome = 'answered') as won from bid b join attempt a on a.account_id = b.account_id"
    " and a.call_id = b.lead_id and a.offer_id = b.offer_id group by 1, 2"
    " union all"
    " select b.offer_id, b.lead_id, bool_or(f.posted_at is not null), bool_or(f.state = 'accepted')"
    " from bid b join lead_attempt f on f.account_id = b.account_id and f.lead_id = b.lead_id"
    " and f.offer_id = b.offer_id group by 1, 2) t group by 1"
)


async def healths(
    tx: Transaction,
    account_id: AccountId,
    offer_ids: tuple[OfferId, ...],
    *,
    since: datetime,
    until: datetime,
    campaign_id: str | None = None,
) -> tuple[BidderHealth, ...]:
    """How these offers' bidders fared from `since` until before `until`, in the order given, test leads
    left out; in one campaign alone where it is named."""
    asked = (account_id, list(offer_ids[:MAX_OFFERS]), since, until, campaign_id)
    counts = {row["offer_id"]: row for row in await tx.fetch(_COUNTS, *asked, list(UNSENT))}
    codes: dict[str, dict[str, int]] = {}
    for row in await tx.fetch(_CODES, *asked):
        codes.setdefault(row["offer_id"], {})[row["code"]] = row["count"]
    sold = {row["offer_id"]: row for row in await tx.fetch(_SOLD, *asked)}
    return tuple(
        _health(offer_id, counts.get(offer_id), codes=codes.get(offer_id, {}), sold=sold.get(offer_id))
        for offer_id in offer_ids
    )


def _health(offer_id: OfferId, row: Row | None, *, codes: dict[str, int], sold: Row | None) -> BidderHealth:
    if row is None:
        return BidderHealth(offer_id=offer_id)
    p50_us, p95_us, p99_us = row["times_us"] or (None, None, None)
    return BidderHealth(
        offer_id=offer_id,
        pings=row["pings"],
        sent=row["sent"],
        bids=row["bids"],
        real_bids=row["real_bids"],
        simulated=row["simulated"],
        codes=dict(sorted(codes.items())),
        dialled=0 if sold is None else sold["dialled"],
        won=0 if sold is None else sold["won"],
        p50_us=p50_us,
        p95_us=p95_us,
        p99_us=p99_us,
        reused=row["reused"],
        last_at=row["last_at"],
    )
