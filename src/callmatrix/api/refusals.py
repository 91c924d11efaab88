"""Why an offer got no more calls today: the routing decisions that it took part in, by what became of it."""

from datetime import datetime
from typing import Final

import msgspec

from callmatrix.api.facts import FactsQuery, bounds
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.core.campaign import Account, Offer
from callmatrix.core.errors import Refused
from callmatrix.core.ids import OfferId
from callmatrix.core.routing import Index, verdict
from callmatrix.store import catalog, decisions
from callmatrix.store.decisions import Decided


class RefusedFor(msgspec.Struct, frozen=True, kw_only=True):
    """How many decisions refused the offer for one reason, and the call of the latest of them."""

    code: str
    count: int
    last_call_id: str


class OfferRefusals(msgspec.Struct, frozen=True, kw_only=True):
    """Of the `decisions` since midnight (in the account's zone) whose plan had the offer, `taken` chose it;
    `reasons` sum to the others, the most frequent first. `more`: there were calls before those counted."""

    offer_id: str
    since: datetime
    decisions: int
    taken: int
    reasons: tuple[RefusedFor, ...]
    more: bool


async def read_refusals(ask: Ask) -> Reply:
    """Count today's decisions about an offer by what became of it."""
    account_id, offer_id = ask.who.account_id, OfferId(ask.path["id"])
    async with ask.app.db.transaction() as tx:
        await catalog.get(tx, account_id, Offer, offer_id)
        account = (await catalog.get(tx, account_id, Account, account_id)).document
        since, _ = bounds(FactsQuery(range="today"), now=ask.now, time_zone=account.time_zone)
        found, more = await decisions.latest(tx, account_id, offer_id, since=since)
    taken, reasons = 0, dict[str, RefusedFor]()
    for one in found:
        index = await _index(ask, one)
        if index is None or offer_id not in index.position_of:
            continue
        code = verdict(index, one.trace, offer_id=offer_id)
        if code is None:
            taken += 1
            continue
        before = reasons.get(code)
        reasons[code] = RefusedFor(
            code=code,
            count=1 if before is None else before.count + 1,
            last_call_id=one.call_id if before is None else before.last_call_id,
        )
    told = OfferRefusals(
        offer_id=offer_id,
        since=since,
        decisions=taken + sum(one.count for one in reasons.values()),
        taken=taken,
        reasons=tuple(sorted(reasons.values(), key=lambda one: (-one.count, one.code))),
        more=more,
    )
    return Reply(value=told)


async def _index(ask: Ask, one: Decided) -> Index | None:
    """The offers as the decision's plan had them; None where that plan is kept no more."""
    try:
        plan = await ask.app.catalog.pinned(ask.who.account_id, one.campaign_id, one.trace.plan_version)
    except Refused:
        return None
    return plan.routing


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/offers/{id}/refusals",
        name="read_offer_refusals",
        tag="offers",
        summary="Why an offer got no more calls today",
        permission="read_config",
        returns=OfferRefusals,
        run=read_refusals,
    ),
)
