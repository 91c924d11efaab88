"""Laws of routing on arbitrary small plans: agreement with a plain reading, partition, determinism."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from routing_plans import (
    AT,
    CAMPAIGN,
    PUBLISHER,
    asked,
    dollars,
    entry,
    facts,
    fixed,
    offer,
    order,
    past,
    plan,
    publisher,
)

from callmatrix.core import rules
from callmatrix.core.auction import Bid, standing_price
from callmatrix.core.campaign import (
    Entry,
    Geography,
    MarginFloor,
    Offer,
)
from callmatrix.core.ids import CampaignId, OfferId
from callmatrix.core.money import ZERO, Money
from callmatrix.core.plan import CompiledPlan, compile_plan
from callmatrix.core.pricing import (
    BidPrice,
    DuplicateRule,
    MinutePrice,
    PastCall,
    SharePayout,
    Tariff,
    Tier,
    TieredPrice,
    below_margin,
    duplicate_of,
    estimate,
)
from callmatrix.core.routing import Given, Looked, Shut, decide, explain, why_not
from callmatrix.core.routing.conditions import Conditions
from callmatrix.core.rules import AllOf, AnyOf, Facts, Held, Leaf, NoneOf, Rule

# --- laws ------------------------------------------------------------------------------------------------

STATES = ("CA", "IL", "TX")
LEAVES = st.one_of(
    st.builds(
        lambda states: Leaf(subject="caller_state", operator="in", values=tuple(states)),
        st.lists(st.sampled_from(STATES), min_size=1, max_size=2, unique=True),
    ),
    st.builds(
        lambda prefixes: Leaf(subject="zip", operator="starts_with", values=tuple(prefixes)),
        st.lists(st.sampled_from(("6", "606", "60601", "9")), min_size=1, max_size=3, unique=True),
    ),
    st.builds(
        lambda operator, bound: Leaf(subject="field", name="age", operator=operator, values=(bound,)),
        st.sampled_from(("less", "greater", "equal")),
        st.sampled_from(("18", "30", "65.5")),
    ),
    st.builds(
        lambda bounds: Leaf(
            subject="field", name="age", operator="between", values=tuple(sorted(bounds, key=float))
        ),
        st.lists(st.sampled_from(("18", "30.0", "65.5", "-4")), min_size=2, max_size=2),
    ),
    st.builds(
        lambda operator, value: Leaf(
            subject="time_of_day", operator=operator, values=(value,), time_zone="America/Chicago"
        ),
        st.sampled_from(("less", "greater")),
        st.sampled_from(("09:30", "15:30")),
    ),
    st.builds(
        lambda start, end: Leaf(
            subject="time_of_day", operator="between", values=(start, end), time_zone="America/Chicago"
        ),
        st.sampled_from(("00:00", "09:30", "22:00")),
        st.sampled_from(("09:30", "12:00", "24:00")),
    ),
    st.sampled_from(
        (
            Leaf(subject="tag", name="src", operator="present"),
            Leaf(subject="tag", name="src", operator="equal", values=("x",)),
            Leaf(subject="tag", name="src", operator="matches", values=("^x|y$",)),
            Leaf(subject="day_of_week", operator="in", values=("monday", "sunday"), time_zone="Asia/Tokyo"),
            Leaf(subject="area_code", operator="starts_with", values=("3", "21")),
        )
    ),
)
RULES = st.recursive(
    LEAVES,
    lambda children: st.builds(
        lambda group, held: group(rules=tuple(held)),
        st.sampled_from((AllOf, AnyOf, NoneOf)),
        st.lists(children, min_size=1, max_size=3),
    ),
    max_leaves=8,
).filter(lambda rule: not rules.problems(rule))
FACTS = st.builds(
    facts,
    caller_state=st.sampled_from((*STATES, None)),
    area_code=st.sampled_from(("312", "415", None)),
    zip=st.sampled_from(("60601", "60699", "94103", None)),
    fields=st.dictionaries(
        st.just("age"), st.sampled_from(("18", "18.0", "30", "70", "-5", "old", "")), max_size=1
    ),
    tags=st.dictionaries(st.just("src"), st.sampled_from(("x", "my", "z", "")), max_size=1),
    publisher_id=st.sampled_from((None, PUBLISHER, "pub_unknown")),
    at=st.sampled_from((AT, AT + timedelta(hours=7), AT + timedelta(days=6, minutes=-1))),
)
PRICES = st.sampled_from(
    (
        fixed(0),
        fixed(10),
        fixed(20),
        BidPrice(floor=dollars(5)),
        MinutePrice(rate=dollars(1)),
        TieredPrice(tiers=(Tier(from_s=0, amount=dollars(2)), Tier(from_s=90, amount=dollars(20)))),
    )
)
DUPLICATES = st.none() | st.builds(
    DuplicateRule,
    window_days=st.sampled_from((1, 30)),
    counts_from=st.sampled_from(("connected", "converted")),
    scope=st.sampled_from(("offer", "buyer", "campaign", "campaign_group", "publisher")),
    action=st.sampled_from(("refuse", "unpaid", "same_buyer")),
)
PASTS = st.builds(
    past,
    call_id=st.sampled_from(("call_1", "call_2", "call_3")),
    campaign_id=st.sampled_from((CAMPAIGN, CampaignId("cmp_2"))),
    connected_at=st.sampled_from((AT - timedelta(days=40), AT - timedelta(days=2), AT - timedelta(hours=1))),
    offer_id=st.sampled_from((None, "off_0", "off_1")),
    buyer_id=st.sampled_from((None, "buy_0", "buy_1")),
    publisher_id=st.sampled_from((None, PUBLISHER)),
    campaign_group=st.sampled_from(("", "roofs")),
    converted_at=st.sampled_from((None, AT - timedelta(days=1), AT - timedelta(days=20))),
    paid_at=st.sampled_from((None, AT - timedelta(days=1))),
)
LIVE_CODES = ("paused", "closed", "cap_full", "concurrency_full", "spacing", "no_funds", "blocked")
IDS = tuple(OfferId(f"off_{n}") for n in range(6))


@st.composite
def plans(draw: Any) -> CompiledPlan:
    count = draw(st.integers(1, len(IDS)))
    offers = tuple(
        offer(
            str(n),
            buyer=str(n % 3),
            price=draw(PRICES),
            rule=draw(st.none() | RULES),
            required_fields=draw(st.sampled_from(((), ("age",)))),
            duplicates=draw(DUPLICATES),
        )
        for n in range(count)
    )
    entries = tuple(
        entry(
            str(n),
            priority=draw(st.integers(1, 3)),
            weight=draw(st.sampled_from((1, 100, 10_000))),
            rule=draw(st.none() | LEAVES.filter(lambda leaf: not rules.problems(leaf))),
            price=draw(st.none() | PRICES),
        )
        for n in range(count)
    )
    return plan(
        draw(st.sampled_from(("auction", "weighted", "round_robin", "waterfall"))),
        *offers,
        entries=entries,
        publishers=(
            publisher(
                draw(st.sampled_from((fixed(8), SharePayout(share_bps=9_000)))), duplicates=draw(DUPLICATES)
            ),
        ),
        group=draw(st.sampled_from(("", "roofs"))),
        duplicates=draw(DUPLICATES),
        geography=draw(st.sampled_from((Geography(), Geography(states=("IL", "TX"))))),
        margin_floor=MarginFloor(amount=dollars(draw(st.sampled_from((0, 3)))), share_bps=1_000),
    )


@st.composite
def questions(draw: Any) -> tuple[CompiledPlan, Given]:
    compiled = draw(plans())
    ids = st.lists(st.sampled_from(IDS), max_size=4, unique=True)
    looked = Looked(
        shut=tuple(
            Shut(code=code, mask=f"{compiled.routing.mask(draw(ids)):x}")
            for code in draw(st.lists(st.sampled_from(LIVE_CODES), max_size=3, unique=True))
        ),
        rotation=tuple(draw(ids)),
        history=tuple(draw(st.lists(PASTS, max_size=3, unique_by=lambda one: one.call_id))),
    )
    bids = draw(st.dictionaries(st.sampled_from(IDS), st.sampled_from((4, 5, 10, 25)), max_size=4))
    question = asked(
        facts=draw(FACTS),
        looked=looked,
        draw=draw(st.integers(0, 2**53)),
        attempt_number=draw(st.integers(1, 3)),
        tried=tuple(draw(ids)),
        pays_publisher=draw(st.booleans()),
        bids=tuple(Bid(offer_id=one, amount=dollars(amount)) for one, amount in bids.items()),
        tariff=draw(st.sampled_from((Tariff(), Tariff(inbound_per_minute=dollars(2))))),
    )
    return compiled, question


class Plainly:
    """The same decision read from the rules, one offer at a time, without masks."""

    def __init__(self, compiled: CompiledPlan, question: Given) -> None:
        self.compiled = compiled
        self.given = question
        self.campaign = compiled.campaign
        self.terms = compiled.terms.get(question.facts.publisher_id) if question.pays_publisher else None

    def entry_and_offer(self, offer_id: OfferId) -> tuple[Entry, Offer]:
        return self.compiled.entries[offer_id], self.compiled.offers[offer_id]

    def bid(self, offer_id: OfferId) -> Money | None:
        return next((bid.amount for bid in self.given.bids if bid.offer_id == offer_id), None)

    def original(self, offer_id: OfferId, side: Any) -> tuple[DuplicateRule, PastCall] | None:
        one = self.compiled.offers[offer_id]
        rule = one.duplicates or self.campaign.duplicates
        if side == "payout":
            rule = None if self.terms is None else self.terms.duplicates
        if rule is None:
            return None
        found = duplicate_of(
            rule,
            history=self.given.looked.history,
            at=self.given.at,
            offer_id=offer_id,
            buyer_id=one.buyer_id,
            campaign_id=self.campaign.id,
            campaign_group=self.campaign.group,
            publisher_id=self.given.facts.publisher_id,
            side=side,
        )
        return None if found is None else (rule, found)

    def is_live(self, offer_id: OfferId, code: str) -> bool:
        bit = self.compiled.routing.mask((offer_id,))
        return any(shut.code == code and int(shut.mask, 16) & bit for shut in self.given.looked.shut)

    def refusal(self, offer_id: OfferId) -> str:
        chosen_entry, one = self.entry_and_offer(offer_id)
        given = self.given
        revenue, payout = self.original(offer_id, "revenue"), self.original(offer_id, "payout")
        price = chosen_entry.price or one.price
        bid = self.bid(offer_id)
        unpriced = isinstance(price, BidPrice) and (bid is None or bid < price.floor)
        terms = None if payout is not None else self.terms
        floor = self.campaign.margin_floor
        state, states = given.facts.caller_state, self.campaign.geography.states
        wanted = [rule for rule in (one.rule, chosen_entry.rule) if rule is not None]
        reasons = {
            "paused": self.is_live(offer_id, "paused"),
            "closed": self.is_live(offer_id, "closed"),
            "tried": offer_id in given.tried,
            "rule_state": bool(states) and state is not None and state not in states,
            "rule_failed": any(not isinstance(rules.holds(rule, given.facts), Held) for rule in wanted),
            "field_missing": any(not given.facts.fields.get(name) for name in one.required_fields),
            "duplicate": any(
                found is not None and found[0].action == "refuse" for found in (revenue, payout)
            ),
            **{code: self.is_live(offer_id, code) for code in LIVE_CODES[2:]},
            "below_margin": not unpriced
            and revenue is None
            and below_margin(
                estimate(price, terms=terms, tariff=given.tariff, bid=bid),
                floor=floor.amount,
                floor_bps=floor.share_bps,
            )
            is not None,
            "below_floor": unpriced and bid is not None,
            "no_price": unpriced,
        }
        return next((code for code, holds in reasons.items() if holds), "")

    def price(self, offer_id: OfferId) -> int:
        chosen_entry, one = self.entry_and_offer(offer_id)
        standing = standing_price(chosen_entry.price or one.price)
        return (standing if standing is not None else self.bid(offer_id) or ZERO).micros

    def possible_winners(self, eligible: list[OfferId]) -> set[OfferId]:
        competing = self.returned(eligible) or eligible
        best = min(self.compiled.entries[one].priority for one in competing)
        tier = [one for one in competing if self.compiled.entries[one].priority == best]
        match self.campaign.plan.strategy:
            case "auction":
                highest = max(map(self.price, tier))
                return {one for one in tier if self.price(one) == highest}
            case "weighted":
                return set(tier)
            case "round_robin":
                listed = [one for one in self.given.looked.rotation if one in tier]
                return {listed[0]} if listed else {tier_order(self.compiled, tier)[0]}
            case _:
                return {tier_order(self.compiled, tier)[0]}

    def returned(self, eligible: list[OfferId]) -> list[OfferId]:
        latest = sorted(
            self.given.looked.history, key=lambda one: (one.connected_at, one.call_id), reverse=True
        )
        for earlier in latest:
            alone = Plainly(self.compiled, replace(self.given, looked=Looked(history=(earlier,))))
            back = [
                one
                for one in eligible
                if (found := alone.original(one, "revenue")) is not None
                and found[0].action == "same_buyer"
                and earlier.buyer_id == self.compiled.offers[one].buyer_id
            ]
            if back:
                return back
        return []


def tier_order(compiled: CompiledPlan, tier: list[OfferId]) -> list[OfferId]:
    def rank(one: OfferId) -> tuple[int, int, str]:
        chosen = compiled.entries[one]
        standing = standing_price(chosen.price or compiled.offers[one].price)
        return -chosen.weight, 1 if standing is None else -standing.micros, one

    return sorted(tier, key=rank)


@settings(max_examples=1_000, deadline=None)
@given(st.lists(RULES, min_size=1, max_size=5), FACTS)
def test_the_mask_of_conditions_has_the_offers_whose_rule_holds(wanted: list[Rule], known: Facts) -> None:
    expected = [isinstance(rules.holds(rule, known), Held) for rule in wanted]
    mask = Conditions(wanted).passing(known)
    assert mask == sum(1 << place for place, held in enumerate(expected) if held)


@settings(max_examples=300, deadline=None)
@given(questions())
def test_decisions_agree_with_a_plain_reading_of_the_rules(case: tuple[CompiledPlan, Given]) -> None:
    compiled, question = case
    plainly = Plainly(compiled, question)
    expected = {one: plainly.refusal(one) for one in compiled.routing.offer_ids}
    decision = decide(compiled, question)
    explained = explain(compiled, decision.trace, given=question)
    told = {one.offer_id: "" if one.code in ("lower_tier", "outbid") else one.code for one in explained}
    assert told == expected
    eligible = [one for one, code in expected.items() if not code]
    if not eligible:
        assert decision.chosen is None
    else:
        assert decision.chosen is not None
        assert decision.chosen.offer_id in plainly.possible_winners(eligible)
        assert decision.chosen.earns == (plainly.original(decision.chosen.offer_id, "revenue") is None)


@settings(max_examples=200, deadline=None)
@given(questions())
def test_every_offer_is_ranked_or_removed_by_exactly_one_filter_and_explained_once(
    case: tuple[CompiledPlan, Given],
) -> None:
    compiled, question = case
    decision = decide(compiled, question)
    trace = decision.trace
    masks = [
        int(mask, 16) for mask in (*(one.mask for one in trace.removed), trace.eligible, trace.lower_tier)
    ]
    assert sum(masks) == compiled.routing.every
    assert sum(mask.bit_count() for mask in masks) == len(compiled.routing.offer_ids)
    explained = explain(compiled, trace, given=question)
    assert sorted(one.offer_id for one in explained) == sorted(compiled.routing.offer_ids)
    taken = [one.offer_id for one in explained if one.taken]
    assert taken == ([] if decision.chosen is None else [decision.chosen.offer_id])
    for one in explained:
        assert why_not(compiled, trace, given=question, offer_id=one.offer_id) == one


@settings(max_examples=100, deadline=None)
@given(questions())
def test_the_same_question_gets_the_same_decision_from_a_plan_compiled_again(
    case: tuple[CompiledPlan, Given],
) -> None:
    compiled, question = case
    again = compile_plan(compiled.document)
    assert decide(again, question) == decide(compiled, question)


@settings(max_examples=200, deadline=None)
@given(
    amounts=st.lists(st.integers(1, 6), min_size=2, max_size=6),
    priorities=st.lists(st.integers(1, 2), min_size=6, max_size=6),
    raised=st.integers(0, 5),
    by=st.integers(1, 3),
    draw=st.integers(0, 2**53),
    live=st.booleans(),
)
def test_raising_a_price_never_loses_rank(
    amounts: list[int], priorities: list[int], raised: int, by: int, draw: int, live: bool
) -> None:
    raised %= len(amounts)

    def rank(prices: list[int]) -> int | None:
        offers = [
            offer(str(n), price=BidPrice() if live and n % 2 else fixed(price))
            for n, price in enumerate(prices)
        ]
        entries = tuple(entry(str(n), priority=priorities[n]) for n in range(len(prices)))
        bids = tuple(Bid(offer_id=OfferId(f"off_{n}"), amount=dollars(prices[n])) for n in range(len(prices)))
        ranked = order(plan("auction", *offers, entries=entries), asked(draw=draw, bids=bids))
        return ranked.index(str(raised)) if str(raised) in ranked else None

    before = rank(amounts)
    after = rank([price + by if n == raised else price for n, price in enumerate(amounts)])
    assert (before is None) == (after is None)
    assert before is None or after is None or after <= before
