"""Expands a trace for people: for every offer of the plan, taken or refused, with the compared values."""

from collections.abc import Callable
from typing import Final

from callmatrix.core import rules
from callmatrix.core.ids import OfferId
from callmatrix.core.routing import bidding, choice, duplicates
from callmatrix.core.routing.choice import Routable
from callmatrix.core.routing.index import Index
from callmatrix.core.routing.values import Explained, Given, Ranked, RefusalCode, Trace
from callmatrix.core.rules import Failed

MAX_SHOWN_VALUES: Final = 10
"""Values of one leaf that are written out."""


def explain(plan: Routable, trace: Trace, *, given: Given) -> tuple[Explained, ...]:
    """Every offer of the plan exactly once: those with a place in order, then the others by rank.

    `given` is what `decide` was given; facts and looked are stored with the call. Values are texts, money
    decimal. Only the best `MAX_RANKED` have a place (`rank`, from 1).
    """
    ranked = [one.offer_id for one in trace.ranked]
    rest = set(ranked)
    others = [offer_id for offer_id in plan.routing.offer_ids if offer_id not in rest]
    explained = _explainer(plan.routing, trace, given)
    return tuple(explained(offer_id) for offer_id in (*ranked, *others))


def why_not(plan: Routable, trace: Trace, *, given: Given, offer_id: OfferId) -> Explained | None:
    """One offer of a decision; None where the plan does not have it."""
    if offer_id not in plan.routing.position_of:
        return None
    return _explainer(plan.routing, trace, given)(offer_id)


def verdict(index: Index, trace: Trace, *, offer_id: OfferId) -> str | None:
    """What became of one offer of the plan in a decision, by its code alone; None: it was chosen."""
    position = index.position_of[offer_id]
    if trace.ranked and trace.ranked[0].offer_id == offer_id:
        return None
    for shut in trace.removed:
        if int(shut.mask, 16) >> position & 1:
            return shut.code
    is_lower = int(trace.lower_tier, 16) >> position & 1
    return "lower_tier" if is_lower and not trace.same_buyer else "outbid"


def _explainer(index: Index, trace: Trace, given: Given) -> Callable[[OfferId], Explained]:
    removed = [(shut.code, int(shut.mask, 16)) for shut in trace.removed]
    lower = int(trace.lower_tier, 16)
    places = {one.offer_id: (rank, one) for rank, one in enumerate(trace.ranked, start=1)}
    bids = bidding.stand(index, given).usable
    asked = int(trace.asked, 16)

    def explained(offer_id: OfferId) -> Explained:
        position = index.position_of[offer_id]
        place = places.get(offer_id)
        if place is not None:
            return _placed(trace, rank=place[0], one=place[1])
        for code, mask in removed:
            if mask >> position & 1:
                values = _values(index, given, position=position, code=code)
                return Explained(offer_id=offer_id, taken=False, code=code, values=values)
        price = bids[position].ranked if position in bids else index.ranked[position].price
        if asked and not lower >> position & 1:
            code = "asked" if asked >> position & 1 else "awaits_bids"
            return Explained(offer_id=offer_id, taken=False, code=code, price=price)
        chosen = trace.same_buyer or _is_held(trace, given)
        code = "lower_tier" if lower >> position & 1 and not chosen else "outbid"
        return Explained(
            offer_id=offer_id, taken=False, code=code, values=_compared(index, trace, position), price=price
        )

    return explained


def _is_held(trace: Trace, given: Given) -> bool:
    """Whether the call went to the offer for which capacity was held, whatever the others offered."""
    return bool(trace.ranked) and given.held == trace.ranked[0].offer_id


def _placed(trace: Trace, *, rank: int, one: Ranked) -> Explained:
    if rank > 1:
        return Explained(
            offer_id=one.offer_id,
            taken=False,
            code="outbid",
            values={"by": trace.ranked[0].offer_id},
            rank=rank,
            price=one.price,
        )
    drawn = {"ticket": str(one.draw), "weight": str(one.weight)} if one.draw else {}
    return Explained(offer_id=one.offer_id, taken=True, values=drawn, rank=rank, price=one.price)


def _compared(index: Index, trace: Trace, position: int) -> dict[str, str]:
    """Why an eligible offer had no place: by whom it was beaten, and in which tier it stands."""
    if not trace.ranked:
        return {"priority": str(index.entries[position].priority)}
    winner = trace.ranked[0]
    values = {
        "by": winner.offer_id,
        "priority": str(index.entries[position].priority),
        "best_priority": str(winner.priority),
    }
    if trace.same_buyer:
        values["returned_to"] = index.offers[index.position_of[winner.offer_id]].buyer_id
    return values


def _values(index: Index, given: Given, *, position: int, code: RefusalCode) -> dict[str, str]:
    """What a filter compared. Live limits are told by mask alone: their values are the reservation's."""
    offer = index.offers[position]
    match code:
        case "wrong_channel":
            return {"channel": given.channel, "takes": ", ".join(offer.channels)}
        case "tried":
            return {} if offer.id in given.tried else {"attempts": str(index.campaign.plan.max_attempts)}
        case "closed":
            return {"at": given.at.isoformat()}
        case "rule_state":
            states = index.campaign.geography.states
            return {"wanted": _shown(states), "actual": given.facts.caller_state or ""}
        case "rule_failed":
            return _failed_leaf(index, given, position)
        case "field_missing":
            fields = [name for name in offer.required_fields if not given.facts.fields.get(name)]
            return {"fields": ", ".join(fields)}
        case "duplicate":
            return duplicates.original_of(index, given, position)
        case "below_margin":
            return choice.margin_values(index, given, position)
        case "no_price" | "no_bid" | "bid_expired" | "below_floor" | "below_reserve":
            return bidding.values(index, given, position)
        case "static_refused":
            price = index.ranked[position].price
            return {"price": str(price), "bids": "none"}
        case _:
            return {}


def _failed_leaf(index: Index, given: Given, position: int) -> dict[str, str]:
    found = rules.holds(index.rules[position], given.facts)
    assert isinstance(found, Failed)
    has_own_rule = index.offers[position].rule is not None
    values = {"rule_of": "offer" if has_own_rule and found.path[:1] == (0,) else "entry"}
    leaf = found.leaf
    if leaf is None:
        return values
    values |= {
        "subject": leaf.subject if leaf.name is None else f"{leaf.subject} {leaf.name}",
        "operator": leaf.operator if found.wanted else f"not {leaf.operator}",
        "wanted": _shown(leaf.values),
        "actual": found.actual or "",
    }
    return values


def _shown(values: tuple[str, ...]) -> str:
    text = ", ".join(values[:MAX_SHOWN_VALUES])
    more = len(values) - MAX_SHOWN_VALUES
    return f"{text} and {more} more" if more > 0 else text
