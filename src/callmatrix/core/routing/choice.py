"""Decides which offer a call goes to: the filters in their order, then the strategy inside the best tier."""

from bisect import bisect_right
from typing import Protocol, assert_never

from callmatrix.core import auction
from callmatrix.core.auction import Bid, Place
from callmatrix.core.ids import OfferId
from callmatrix.core.money import ZERO, Money
from callmatrix.core.pricing import (
    PublisherTerms,
    SharePayout,
    maximum,
    minimum_threshold_s,
    payout_maximum,
)
from callmatrix.core.routing import duplicates
from callmatrix.core.routing.bidding import Bidding, latest_bids, stand, static_refused
from callmatrix.core.routing.duplicates import Duplicates
from callmatrix.core.routing.index import Index, Tier
from callmatrix.core.routing.values import (
    MAX_ASKED,
    MAX_RANKED,
    Chosen,
    Decision,
    Given,
    Ranked,
    RefusalCode,
    Shut,
    Trace,
)


class Routable(Protocol):
    """What carries an index: a compiled plan."""

    @property
    def routing(self) -> Index: ...


class _Sieve:
    """Takes away from the offers left, and keeps what each filter took."""

    __slots__ = ("left", "removed")

    def __init__(self, every: int) -> None:
        self.left = every
        self.removed: list[Shut] = []

    def remove(self, code: RefusalCode, mask: int) -> None:
        gone = self.left & mask
        if gone:
            self.left ^= gone
            self.removed.append(Shut(code=code, mask=f"{gone:x}"))


def decide(plan: Routable, given: Given) -> Decision:
    """The offer for one attempt, or none, with the trace. Pure: the same given makes the same decision."""
    index = plan.routing
    twice = duplicates.judge(index, given)
    bidding = stand(index, given)
    sieve = _filtered(index, given, twice=twice, bidding=bidding)
    competing, same_buyer = _competing(index, given, sieve.left, twice)
    tier = _best_tier(index, competing)
    places: list[Place] = []
    current = asked = 0
    if tier is not None:
        current = competing & tier.mask
        asked = current & bidding.waiting
    if tier is not None and not asked:
        places = _order(index, given, tier=tier, current=current, bids=bidding.usable)
    ask = index.ids(asked)[:MAX_ASKED]
    trace = Trace(
        plan_version=index.version,
        strategy=index.campaign.plan.strategy,
        at=given.at,
        draw=given.draw,
        removed=tuple(sieve.removed),
        ranked=tuple(_ranked(index, place, bidding.usable.get(place.position)) for place in places),
        eligible=f"{current:x}",
        lower_tier=f"{sieve.left ^ current:x}",
        same_buyer=same_buyer,
        asked=f"{index.mask(ask):x}",
    )
    simulate = _simulated(index, given, sieve=sieve, tier=tier)
    if not places:
        return Decision(chosen=None, trace=trace, ask=ask, simulate=simulate)
    position = places[0].position
    won = bidding.usable.get(position)
    chosen = _chosen(index, given, position=position, won=won, twice=twice, same_buyer=same_buyer)
    return Decision(chosen=chosen, trace=trace, simulate=simulate)


def _simulated(index: Index, given: Given, *, sieve: "_Sieve", tier: Tier | None) -> tuple[OfferId, ...]:
    """Simulated bidders of the tier that gets the call, where nothing but that keeps them out."""
    if not index.simulated or tier is None or not given.may_ask:
        return ()
    kept_out = next((int(shut.mask, 16) for shut in sieve.removed if shut.code == "simulate_only"), 0)
    return index.ids(kept_out & tier.mask)[:MAX_ASKED]


def paying_terms(index: Index, given: Given) -> PublisherTerms | None:
    """What the lead's publisher earns; None where nobody does, as by a duration that no form has."""
    if not given.pays_publisher:
        return None
    terms = given.sold_terms or index.terms_for(given.facts.publisher_id)
    if terms is not None and given.channel != "call" and minimum_threshold_s(terms.payout):
        return None
    return terms


def _filtered(index: Index, given: Given, *, twice: Duplicates, bidding: Bidding) -> _Sieve:
    """Every filter of `RefusalCode`, in that order."""
    live = {shut.code: int(shut.mask, 16) for shut in given.looked.shut}
    # Among what fills the caps of a held offer is what is held for this very call.
    full = index.every & ~_held(index, given)
    sieve = _Sieve(index.every)
    sieve.remove("wrong_channel", index.without(given.channel))
    sieve.remove("paused", live.get("paused", 0) | index.unposted(given.channel))
    sieve.remove("closed", live.get("closed", 0))
    sieve.remove("tried", index.mask(given.tried))
    if given.fallback_only:
        sieve.remove("tried", index.every & ~index.fallback)
    if not is_bought_state(index, given):
        sieve.remove("rule_state", index.every)
    sieve.remove("rule_failed", index.every & ~index.conditions.passing(given.facts))
    sieve.remove("field_missing", _missing(index, given))
    sieve.remove("duplicate", twice.refused | live.get("duplicate", 0))
    sieve.remove("cap_full", live.get("cap_full", 0) & full)
    sieve.remove("concurrency_full", live.get("concurrency_full", 0) & full)
    sieve.remove("spacing", live.get("spacing", 0) & full)
    sieve.remove("no_funds", live.get("no_funds", 0) & full)
    sieve.remove("blocked", live.get("blocked", 0))
    sieve.remove("below_margin", _too_dear(index, given, twice=twice, bids=bidding.usable))
    for code, mask in bidding.refused:
        sieve.remove(code, mask)
    priced = auction.mask_of(tuple(bidding.usable)) | bidding.waiting
    sieve.remove("no_price", index.without_price & ~priced)
    sieve.remove("static_refused", static_refused(index, bidding))
    return sieve


def is_bought_state(index: Index, given: Given) -> bool:
    """Whether the campaign buys calls from the caller's state."""
    geography = index.campaign.geography
    state = given.facts.caller_state
    if not geography.states:
        return True
    return geography.unknown_passes if state is None else state in geography.states


def _missing(index: Index, given: Given) -> int:
    missing = 0
    for field, mask in index.requiring.items():
        if not given.facts.fields.get(field):
            missing |= mask
    return missing


def _too_dear(index: Index, given: Given, *, twice: Duplicates, bids: dict[int, Bid]) -> int:
    """Offers under the margin floor. One that is routed unpaid on purpose is not judged by its margin."""
    judged = index.every & ~twice.unearning
    terms = paying_terms(index, given)
    refused = index.below_margin(terms, given.tariff) & ~twice.unpaid
    if twice.unpaid:
        refused |= index.below_margin(None, given.tariff) & twice.unpaid
    for position, bid in bids.items():
        owed = None if twice.unpaid >> position & 1 else terms
        if index.margin_refusal(position, terms=owed, tariff=given.tariff, bid=bid.amount) is not None:
            refused |= 1 << position
    return refused & judged


def margin_values(index: Index, given: Given, position: int) -> dict[str, str]:
    """What the margin floor compared for an offer that it refused."""
    unpaid = duplicates.judge(index, given).unpaid >> position & 1
    bid = latest_bids(index, given).get(position)
    refusal = index.margin_refusal(
        position,
        terms=None if unpaid else paying_terms(index, given),
        tariff=given.tariff,
        bid=None if bid is None else bid.amount,
    )
    return refusal or {}


def _held(index: Index, given: Given) -> int:
    return 0 if given.held is None else index.mask((given.held,))


def _competing(index: Index, given: Given, left: int, twice: Duplicates) -> tuple[int, bool]:
    """Who may compete: the eligible offers, or those of the buyer to whom the caller is returned, or the one
    for which capacity is held."""
    held = left & _held(index, given)
    if held:
        return held, False
    for mask in twice.same_buyer:
        if left & mask:
            return left & mask, True
    return left, False


def _best_tier(index: Index, competing: int) -> Tier | None:
    if not competing:
        return None
    first = (competing & -competing).bit_length() - 1
    return index.tiers[bisect_right(index.tier_starts, first) - 1]


def _order(index: Index, given: Given, *, tier: Tier, current: int, bids: dict[int, Bid]) -> list[Place]:
    """The best of the tier, by the plan's strategy."""
    amounts = {position: bid.ranked.micros for position, bid in bids.items()}
    chance = auction.chances(given.draw, given.attempt_number)
    ladder, strategy = index.ladder, index.campaign.plan.strategy
    match strategy:
        case "auction":
            return auction.by_price(ladder, current, bids=amounts, chance=chance, limit=MAX_RANKED)
        case "weighted":
            span = (tier.start, tier.stop)
            places = auction.by_weight(ladder, current, span=span, chance=chance, limit=MAX_RANKED)
        case "round_robin":
            rotation = map(index.position_of.get, given.looked.rotation)
            places = auction.by_rotation(ladder, current, rotation=rotation, limit=MAX_RANKED)
        case "waterfall":
            places = auction.in_order(ladder, current, limit=MAX_RANKED)
        case _:
            assert_never(strategy)
    return [auction.with_bid(place, amounts) for place in places] if amounts else places


def _ranked(index: Index, place: Place, bid: Bid | None) -> Ranked:
    known = index.ranked[place.position]
    if place.ticket == 0 and place.price == index.ladder.prices[place.position]:
        return known
    return Ranked(
        offer_id=known.offer_id,
        priority=known.priority,
        weight=known.weight,
        price=None if place.price == auction.NO_PRICE else Money(place.price),
        draw=place.ticket,
        bid=None if bid is None or bid.rank_by is None else bid.amount,
    )


def _chosen(
    index: Index, given: Given, *, position: int, won: Bid | None, twice: Duplicates, same_buyer: bool
) -> Chosen:
    offer = index.offers[position]
    bid = None if won is None else won.amount
    earns = not twice.unearning >> position & 1
    terms = paying_terms(index, given)
    pays = terms is not None and not twice.unpaid >> position & 1
    limit_s = min(offer.time_limit_s, index.campaign.max_call_s)
    most = maximum(index.prices[position], time_limit_s=limit_s, bid=bid) if earns else ZERO
    return Chosen(
        offer_id=offer.id,
        buyer_id=offer.buyer_id,
        price=index.prices[position],
        revenue_max=most,
        payout_max=_payout_max(terms, earns=earns, most=most) if terms is not None and pays else ZERO,
        bid=bid,
        won=won,
        earns=earns,
        pays_publisher=given.pays_publisher and not twice.unpaid >> position & 1,
        same_buyer=same_buyer,
    )


def _payout_max(terms: PublisherTerms, *, earns: bool, most: Money) -> Money:
    """A call that earns us nothing pays only where the payout does not hang on the buyer's side."""
    if not earns and (terms.only_if_converted or isinstance(terms.payout, SharePayout)):
        return ZERO
    return payout_maximum(terms.payout, revenue_max=most)
