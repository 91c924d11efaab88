"""How an auction stands, read plainly from its rules, one offer at a time, beside the masks."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from routing_plans import AT, asked, dollars, entry, fixed, offer, order, plan, refusals

from callmatrix.core.auction import SETUP_S, Bid
from callmatrix.core.campaign import (
    AlwaysStatic,
    AuctionTerms,
    Bidder,
    NativeFormat,
    NeverStatic,
    StaticAbove,
)
from callmatrix.core.ids import OfferId
from callmatrix.core.pricing import BidPrice
from callmatrix.core.routing import MAX_PINGS, Asked, Given, decide

FLOOR, RESERVE = 5, 8
MODES = ("live", "live", "live", "simulate", "paused")
STATIC = st.sampled_from((AlwaysStatic(), NeverStatic(), StaticAbove(amount=dollars(15))))
CODES = (
    "simulate_only",
    "bid_expired",
    "below_floor",
    "below_reserve",
    "no_bid",
    "no_price",
    "static_refused",
)


def bidder(mode: Any) -> Bidder:
    return Bidder(format=NativeFormat(), ping_url="https://bids.example.com/", mode=mode)


class Told:
    """One offer as the example has it: `price` of a static one, else how its bidder stands."""

    def __init__(
        self, *, tier: int, price: int | None, mode: str, times: int, bid: int | None, lives_s: int
    ) -> None:
        self.tier = tier
        self.price = price
        self.mode = mode
        self.times = times
        self.bid = bid if times else None
        self.lives_s = lives_s

    @property
    def bids_enough(self) -> bool:
        return self.price is None and self.bid is not None and self.bid >= RESERVE and self.mode != "simulate"

    def waits(self, may_ask: bool) -> bool:
        if self.price is not None or self.mode != "live" or not may_ask:
            return False
        if not self.times:
            return True
        return self.bids_enough and self.lives_s < SETUP_S and self.times < MAX_PINGS

    def refusal(self, may_ask: bool) -> str:
        """Why it does not compete, but for what the static fallback says."""
        if self.price is not None or self.waits(may_ask):
            return ""
        if self.mode == "simulate":
            return "simulate_only"
        if self.bid is None:
            return "no_bid" if self.times else "no_price"
        if self.bid < FLOOR:
            return "below_floor"
        if self.bid < RESERVE:
            return "below_reserve"
        return "bid_expired" if self.lives_s < SETUP_S else ""


TOLD = st.builds(
    Told,
    tier=st.integers(1, 2),
    price=st.none() | st.sampled_from((10, 20)),
    mode=st.sampled_from(MODES),
    times=st.integers(0, MAX_PINGS),
    bid=st.none() | st.sampled_from((4, 6, 12, 30)),
    lives_s=st.sampled_from((0, SETUP_S - 1, SETUP_S, 60)),
)


def scene(told: list[Told], static: Any, may_ask: bool) -> tuple[Any, Given]:
    offers = [
        offer(str(n), price=fixed(one.price))
        if one.price is not None
        else offer(str(n), price=BidPrice(floor=dollars(FLOOR)), bidder=bidder(one.mode))
        for n, one in enumerate(told)
    ]
    compiled = plan(
        "auction",
        *offers,
        entries=tuple(entry(str(n), priority=one.tier) for n, one in enumerate(told)),
        auction=AuctionTerms(reserve=dollars(RESERVE), static_fallback=static),
    )
    pinged = [(OfferId(f"off_{n}"), one) for n, one in enumerate(told) if one.price is None and one.times]
    question = asked(
        bids=tuple(
            Bid(offer_id=offer_id, amount=dollars(one.bid), expires_at=AT + timedelta(seconds=one.lives_s))
            for offer_id, one in pinged
            if one.bid is not None
        ),
        asked=tuple(
            Asked(offer_id=offer_id, times=one.times, code="" if one.bid is not None else "timed_out")
            for offer_id, one in pinged
        ),
        may_ask=may_ask,
    )
    return compiled, question


def static_refused(one: Told, told: list[Told], static: Any) -> bool:
    """Nobody of its tier or a better one bid, though somebody was asked, and the rule takes no such price."""
    if one.price is None:
        return False
    before = [other for other in told if other.tier <= one.tier and other.price is None]
    if not any(other.times for other in before) or any(other.bids_enough for other in before):
        return False
    match static:
        case AlwaysStatic():
            return False
        case NeverStatic():
            return True
        case _:
            return dollars(one.price) < static.amount


@settings(max_examples=400, deadline=None)
@given(st.lists(TOLD, min_size=1, max_size=6), STATIC, st.booleans())
def test_an_auction_stands_as_its_rules_say(told: list[Told], static: Any, may_ask: bool) -> None:
    compiled, question = scene(told, static, may_ask)
    expected = {}
    for n, one in enumerate(told):
        code = one.refusal(may_ask) or ("static_refused" if static_refused(one, told, static) else "")
        if code:
            expected[str(n)] = code
    assert {name: code for name, code in refusals(compiled, question).items() if code in CODES} == expected
    left = [n for n in range(len(told)) if str(n) not in expected]
    decision = decide(compiled, question)
    if not left:
        assert (decision.chosen, decision.ask) == (None, ())
        return
    best = min(told[n].tier for n in left)
    waiting = {f"off_{n}" for n in left if told[n].tier == best and told[n].waits(may_ask)}
    assert set(decision.ask) == waiting
    assert (decision.chosen is None) == bool(waiting)
    if decision.chosen is not None:
        prices = {f"off_{n}": told[n].price or told[n].bid for n in left if told[n].tier == best}
        highest = max(price for price in prices.values() if price is not None)
        assert prices[decision.chosen.offer_id] == highest


def test_an_adjustment_ranks_a_bid_and_leaves_what_is_owed() -> None:
    compiled = plan("auction", offer("standing", price=fixed(20)), offer("live", price=BidPrice()))
    adjusted = Bid(offer_id=OfferId("off_live"), amount=dollars(19), rank_by=dollars(22))
    question = asked(bids=(adjusted,))
    assert order(compiled, question) == ["live", "standing"]
    chosen = decide(compiled, question).chosen
    assert chosen is not None
    assert (chosen.bid, chosen.revenue_max, chosen.won) == (dollars(19), dollars(19), adjusted)
