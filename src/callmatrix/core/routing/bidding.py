"""Which bids may be used, whose bidders are still to be asked, and why an offer has no bid."""

from datetime import datetime
from typing import Final, assert_never

import msgspec

from callmatrix.core.auction import Bid, is_late, lowest, mask_of, standing_price
from callmatrix.core.campaign import AlwaysStatic, NeverStatic, StaticAbove, StaticFallback
from callmatrix.core.money import Money
from callmatrix.core.pricing import BidPrice
from callmatrix.core.routing.index import Index
from callmatrix.core.routing.values import MAX_PINGS, Asked, Given, RefusalCode

_NOTHING: Final[dict[int, Bid]] = {}


class Bidding(msgspec.Struct, frozen=True, kw_only=True):
    """How the auction stands: `usable` bids by position; masks of the offers whose bidders may still be
    asked (`waiting`), were `asked`, and `bid` enough, be it too late now; and what others are refused for."""

    usable: dict[int, Bid] = _NOTHING
    waiting: int = 0
    refused: tuple[tuple[RefusalCode, int], ...] = ()
    asked: int = 0
    bid: int = 0


def stand(index: Index, given: Given) -> Bidding:
    """How the auction of this call stands at this instant."""
    if not given.bids and not given.asked and not (index.bidding | index.simulated):
        return Bidding()
    latest = latest_bids(index, given)
    asked = {one.offer_id: one for one in given.asked}
    refused: dict[RefusalCode, list[int]] = {
        code: [] for code in ("bid_expired", "below_floor", "below_reserve", "no_bid")
    }
    usable: dict[int, Bid] = {}
    waiting: list[int] = []
    enough: list[int] = []
    for position in lowest(index.without_price & ~index.simulated, len(index.offers)):
        bid = latest.get(position)
        found = asked.get(index.offer_ids[position])
        code = None if bid is None else refusal(index, position, bid, at=given.at)
        if bid is not None and code in (None, "bid_expired"):
            enough.append(position)
        if bid is not None and code is None:
            usable[position] = bid
        elif given.may_ask and index.bidding >> position & 1 and _may_ask(found, bid, code):
            waiting.append(position)
        elif code is not None:
            refused[code].append(position)
        elif found is not None:
            refused["no_bid"].append(position)
    return Bidding(
        usable=usable,
        waiting=mask_of(waiting),
        refused=(
            ("simulate_only", index.simulated),
            *((code, mask_of(positions)) for code, positions in refused.items()),
        ),
        asked=index.mask(tuple(asked)),
        bid=mask_of(enough),
    )


def latest_bids(index: Index, given: Given) -> dict[int, Bid]:
    """Each offer's latest bid by position; those of offers with a price of their own do not count."""
    latest = {bid.offer_id: bid for bid in given.bids}
    places = ((index.position_of.get(offer_id), bid) for offer_id, bid in latest.items())
    return {n: bid for n, bid in places if n is not None and isinstance(index.prices[n], BidPrice)}


def refusal(index: Index, position: int, bid: Bid, *, at: datetime) -> RefusalCode | None:
    """Why a bid does not compete; None where it does."""
    price = index.prices[position]
    assert isinstance(price, BidPrice)
    if bid.amount < price.floor:
        return "below_floor"
    if bid.amount < index.campaign.auction.reserve:
        return "below_reserve"
    if bid.expires_at is not None and is_late(bid.expires_at, at):
        return "bid_expired"
    return None


def static_refused(index: Index, bidding: Bidding) -> int:
    """The static offers that the campaign keeps from a call for which bidders of their tier or a better one
    were asked, and none of those bid. Its fallback offer is not one of them."""
    if not bidding.asked:
        return 0
    static = so_far = 0
    for tier in index.tiers:
        so_far |= tier.mask
        if bidding.asked & so_far and not bidding.bid & so_far:
            static |= tier.mask & ~index.without_price & ~index.behind
    rule: StaticFallback = index.campaign.auction.static_fallback
    match rule:
        case AlwaysStatic():
            return 0
        case NeverStatic():
            return static
        case StaticAbove(amount=amount):
            cheap = [n for n in lowest(static, len(index.offers)) if _standing(index, n) < amount]
            return mask_of(cheap)
        case _:
            assert_never(rule)


def values(index: Index, given: Given, position: int) -> dict[str, str]:
    """What was compared for an offer that has no usable bid."""
    price = index.prices[position]
    bid = latest_bids(index, given).get(position)
    found = next((one for one in given.asked if one.offer_id == index.offer_ids[position]), None)
    bidder = index.offers[position].bidder
    told = {"bid": "none" if bid is None else str(bid.amount)}
    if bidder is not None and bidder.mode == "paused":
        told["bidder"] = bidder.mode
    if isinstance(price, BidPrice):
        told["floor"] = str(price.floor)
    if index.campaign.auction.reserve:
        told["reserve"] = str(index.campaign.auction.reserve)
    if bid is not None and bid.expires_at is not None:
        told["expires_at"] = bid.expires_at.isoformat()
    if found is not None and found.code:
        told |= {"answer": found.code, "detail": found.detail}
    return told


def _may_ask(found: Asked | None, bid: Bid | None, code: RefusalCode | None) -> bool:
    """Whether a bidder may be pinged: for the first time, or once more since its bid has expired."""
    if found is None:
        return bid is None
    return code == "bid_expired" and found.times < MAX_PINGS


def _standing(index: Index, position: int) -> Money:
    price = standing_price(index.prices[position])
    assert price is not None
    return price
