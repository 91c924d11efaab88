"""What a caller's earlier calls mean for each offer (rule 18): refused, unpaid, or back to the same buyer."""

from typing import Final, Literal

import msgspec

from callmatrix.core.ids import PublisherId
from callmatrix.core.pricing import DuplicateRule, PastCall, duplicate_of
from callmatrix.core.routing.index import Index
from callmatrix.core.routing.values import Given

MAX_HISTORY: Final = 100
"""Earlier calls that a decision looks at, the latest ones."""


class Duplicates(msgspec.Struct, frozen=True, kw_only=True):
    """Masks of offers. `same_buyer` are candidates for returning the caller, the latest call first."""

    refused: int = 0
    unearning: int = 0
    unpaid: int = 0
    same_buyer: tuple[int, ...] = ()


NONE: Final = Duplicates()


def judge(index: Index, given: Given) -> Duplicates:
    """The offers for which this caller is a duplicate. Anonymous callers never match each other."""
    if not given.looked.history or given.facts.caller is None:
        return NONE
    refused = unearning = unpaid = 0
    same_buyer: list[int] = []
    for past in latest(given):
        back = 0
        for rule, holders in index.of_duplicate_rule.items():
            mask = holders & _matching(index, given, rule=rule, past=past, side="revenue")
            if not mask:
                continue
            if rule.action == "refuse":
                refused |= mask
                continue
            unearning |= mask
            if rule.action == "same_buyer" and past.buyer_id is not None:
                back |= mask & index.of_buyer.get(past.buyer_id, 0)
        if back:
            same_buyer.append(back)
        rule_of_payout = _payout_rule(index, given)
        if rule_of_payout is not None:
            mask = _matching(index, given, rule=rule_of_payout, past=past, side="payout")
            if rule_of_payout.action == "refuse":
                refused |= mask
            else:
                unpaid |= mask
    return Duplicates(refused=refused, unearning=unearning, unpaid=unpaid, same_buyer=tuple(same_buyer))


def original_of(index: Index, given: Given, position: int) -> dict[str, str]:
    """The earlier call because of which an offer is refused, and how the rule counts."""
    offer = index.offers[position]
    terms_rule = _payout_rule(index, given)
    sides: tuple[tuple[Literal["revenue", "payout"], DuplicateRule | None], ...] = (
        ("revenue", offer.duplicates or index.campaign.duplicates),
        ("payout", terms_rule),
    )
    for side, rule in sides:
        if rule is None or rule.action != "refuse":
            continue
        for past in latest(given):
            if _matching(index, given, rule=rule, past=past, side=side) >> position & 1:
                return {
                    "original": past.call_id,
                    "connected_at": past.connected_at.isoformat(),
                    "side": side,
                    "scope": rule.scope,
                    "window_days": str(rule.window_days),
                }
    return {}


def latest(given: Given) -> list[PastCall]:
    """The caller's earlier calls, the latest first."""
    ordered = sorted(given.looked.history, key=lambda past: (past.connected_at, past.call_id), reverse=True)
    return ordered[:MAX_HISTORY]


def _payout_rule(index: Index, given: Given) -> DuplicateRule | None:
    terms = given.sold_terms or index.terms_for(given.facts.publisher_id)
    return terms.duplicates if terms is not None and given.pays_publisher else None


def _matching(
    index: Index, given: Given, *, rule: DuplicateRule, past: PastCall, side: Literal["revenue", "payout"]
) -> int:
    """The offers in whose scope one earlier call lies, if it counts at all."""
    publisher_id = given.facts.publisher_id
    counts = duplicate_of(
        rule,
        history=(past,),
        at=given.at,
        # Offer and buyer are asked as the earlier call's own; the masks below tell whose they are.
        offer_id=past.offer_id,
        buyer_id=past.buyer_id,
        campaign_id=index.campaign.id,
        campaign_group=index.campaign.group,
        publisher_id=None if publisher_id is None else PublisherId(publisher_id),
        side=side,
    )
    if counts is None:
        return 0
    if rule.scope == "offer":
        return 0 if past.offer_id is None else index.mask((past.offer_id,))
    if rule.scope == "buyer":
        return 0 if past.buyer_id is None else index.of_buyer.get(past.buyer_id, 0)
    return index.every
