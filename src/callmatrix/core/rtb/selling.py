"""What we bid for somebody else's caller: who would take the call, for how much, and what that leaves us."""

from datetime import datetime
from typing import Final, assert_never

import msgspec

from callmatrix.core.auction import Lead, gives_away
from callmatrix.core.campaign import BidFixed, BidLess, BidShare, Endpoint, MarginFloor
from callmatrix.core.caps import Claim
from callmatrix.core.geo import CallerGeo, caller_geo
from callmatrix.core.ids import AttemptId, CallId, OfferId
from callmatrix.core.money import BPS_PER_WHOLE, ZERO, Money, share
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import Estimate, estimate, minimum_threshold_s
from callmatrix.core.routing import Chosen, Decision, Given, RefusalCode, Trace, decide
from callmatrix.core.rtb.codes import RtbCode, RtbRefused
from callmatrix.core.rtb.requests import BidRequest
from callmatrix.core.rtb.sold import sold_terms
from callmatrix.core.rules import Facts

LEAST_LIFE_S: Final = 5
"""A bid that would expire sooner is not given: no call could come in time."""

# What the last filter that took an offer away says to a seller.
_TOLD: Final[dict[RefusalCode, RtbCode]] = {
    "rule_state": "no_match",
    "rule_failed": "no_match",
    "field_missing": "no_match",
    "duplicate": "duplicate",
    "no_bid": "no_bid",
    "bid_expired": "no_bid",
    "below_floor": "no_bid",
    "below_reserve": "no_bid",
    "no_price": "no_bid",
    "static_refused": "no_bid",
    "simulate_only": "no_bid",
}


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """Our bid: `amount`, owed after `min_s`. `revenue` is what we expect of the offer `chosen`."""

    amount: Money
    min_s: int
    revenue: Money
    chosen: Chosen
    trace: Trace


class AskFirst(msgspec.Struct, frozen=True, kw_only=True):
    """The price hangs on bids that are not there yet: ask the bidders of these offers."""

    offer_ids: tuple[OfferId, ...]


def unfit(endpoint: Endpoint, request: BidRequest) -> RtbRefused | None:
    """Why a request is refused whatever the campaign has to say."""
    if endpoint.status != "active":
        return RtbRefused(code="disabled", detail=f"The endpoint is {endpoint.status}")
    if request.unread:
        return RtbRefused(code="caller_invalid", detail=request.unread)
    if endpoint.require_caller_id and request.caller is None:
        return RtbRefused(code="caller_required")
    missing = [name for name in endpoint.required_fields if not request.fields.get(name)]
    if missing:
        return RtbRefused(code="field_missing", detail=", ".join(missing))
    return None


def geo_of_request(caller: str | None, zip_code: str | None, state: str | None) -> CallerGeo:
    """Where the caller is: a ZIP that exists, else the state that the seller names, else the area code."""
    found = caller_geo(caller, zip_code)
    if state is None or found.source == "zip":
        return found
    return msgspec.structs.replace(found, state=state)


def facts_of_request(request: BidRequest, *, endpoint: Endpoint, dialed: str, at: datetime) -> Facts:
    """The facts of a call that the request foretells; they are those of the call when it comes."""
    geo = geo_of_request(request.caller, request.zip, request.state)
    return Facts(
        at=at,
        caller=request.caller,
        dialed_number=dialed,
        caller_state=geo.state,
        area_code=geo.area_code,
        zip=geo.zip,
        publisher_id=endpoint.publisher_id,
        campaign_id=endpoint.campaign_id,
        attestation="none",
        fields=request.fields,
        tags=request.fields,
    )


def lead_of_request(
    request: BidRequest, *, lead_id: str, endpoint: Endpoint, vertical: str, facts: Facts
) -> Lead:
    """The caller as a lead for our bidders: the number only where the seller exposes it."""
    return Lead(
        id=lead_id,
        channel="call",
        vertical=vertical,
        number=request.caller if request.exposed else None,
        state=facts.caller_state,
        zip=facts.zip,
        area_code=facts.area_code,
        fields={
            name: value
            for name, value in request.fields.items()
            if request.exposed or not gives_away(value, request.caller)
        },
        shared=endpoint.shared_fields,
        source=endpoint.publisher_id,
    )


def sell(
    endpoint: Endpoint, plan: CompiledPlan, given: Given, *, floor: Money | None = None
) -> Priced | AskFirst | RtbRefused:
    """What we bid, by the plan's own decision on this call; a bid leaves the margin floor (rule 8)."""
    fixed = endpoint.price.amount if isinstance(endpoint.price, BidFixed) else ZERO
    terms = sold_terms(fixed, min_s=endpoint.min_s or 0, plan=plan, publisher_id=endpoint.publisher_id)
    decision = decide(plan, msgspec.structs.replace(given, sold_terms=terms))
    if decision.ask:
        return AskFirst(offer_ids=decision.ask)
    chosen = decision.chosen
    if chosen is None:
        return _nobody(decision)
    if not (chosen.earns and chosen.pays_publisher):
        return RtbRefused(code="duplicate", detail=f"{chosen.offer_id} would be routed unpaid")
    expected = estimate(chosen.price, terms=None, tariff=given.tariff, bid=chosen.bid)
    amount = _amount(endpoint, expected, plan.campaign.margin_floor)
    if amount <= ZERO or amount < endpoint.min_bid:
        detail = f"{chosen.offer_id}: {amount} of {expected.revenue}"
        return RtbRefused(code="below_min_bid", detail=detail)
    if floor is not None and amount < floor:
        return RtbRefused(code="below_floor", detail=f"{amount}, and {floor} is asked")
    threshold_s = minimum_threshold_s(chosen.price)
    return Priced(
        amount=amount,
        min_s=threshold_s if endpoint.min_s is None else endpoint.min_s,
        revenue=expected.revenue,
        chosen=chosen,
        trace=decision.trace,
    )


def claim_of(
    priced: Priced,
    *,
    endpoint: Endpoint,
    call_id: CallId,
    attempt_id: AttemptId,
    plan: CompiledPlan,
    expires_at: datetime,
) -> Claim:
    """What a bid with `hold` `hard` reserves: the first attempt of the call to come."""
    return Claim(
        attempt_id=attempt_id,
        call_id=call_id,
        campaign_id=endpoint.campaign_id,
        expires_at=expires_at,
        offer_id=priced.chosen.offer_id,
        buyer_id=priced.chosen.buyer_id,
        publisher_id=endpoint.publisher_id,
        revenue_max=priced.chosen.revenue_max,
        payout_max=priced.amount,
        holds_conversion=plan.offers[priced.chosen.offer_id].converts_on == "duration",
    )


def has_room(*, room: int | None, open_bids: int, bids: int, calls: int) -> bool:
    """Whether one more bid may stand where `room` calls fit: as many calls are expected of the open bids as
    came of the `bids` that are over. Without experience every bid counts as a call (rule 24: `soft`)."""
    return room is None or (open_bids + 1) * (min(calls, bids) + 1) <= room * (bids + 1)


def _amount(endpoint: Endpoint, expected: Estimate, floor: MarginFloor) -> Money:
    """The bid by the endpoint's price, at most what the margin floor leaves and the endpoint allows."""
    match endpoint.price:
        case BidFixed(amount=amount):
            # `decide` has judged the margin with this very payout.
            return amount if amount <= endpoint.max_bid else ZERO
        case BidLess(amount=amount):
            wanted = expected.revenue - amount
        case BidShare(share_bps=share_bps):
            wanted = share(expected.revenue, share_bps)
        case _:
            assert_never(endpoint.price)
    return min(wanted, most(expected, floor), endpoint.max_bid)


def most(expected: Estimate, floor: MarginFloor) -> Money:
    """The highest payout that leaves revenue − payout − cost at or above the margin floor (rule 8)."""
    kept_share = -(-expected.revenue.micros * floor.share_bps // BPS_PER_WHOLE)
    return expected.revenue - expected.cost - max(floor.amount, Money(kept_share))


def _nobody(decision: Decision) -> RtbRefused:
    """Told by the last filter that took an offer away: what was nearest to a sale."""
    if not decision.trace.removed:
        return RtbRefused(code="no_match", detail="The campaign has no offers")
    removed = decision.trace.removed
    counted = ", ".join(f"{shut.code}: {int(shut.mask, 16).bit_count()}" for shut in removed)
    return RtbRefused(code=_TOLD.get(removed[-1].code, "no_capacity"), detail=counted)
