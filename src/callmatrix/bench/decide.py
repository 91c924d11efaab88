"""Measures one routing decision over 50, 500 and 5,000 offers, beside the same rules as plain closures."""

import random  # noqa: TID251  for the type alone; world.dice rolls
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, assert_never

from callmatrix.bench import BenchReport, conditions
from callmatrix.core import rules
from callmatrix.core.campaign import (
    Account,
    Buyer,
    Campaign,
    Entry,
    Offer,
    PhoneDestination,
    Publisher,
    RoutingPlan,
)
from callmatrix.core.geo import STATE_NAMES
from callmatrix.core.ids import AccountId, BuyerId, CampaignId, OfferId, PublisherId
from callmatrix.core.money import Money
from callmatrix.core.plan import CompiledPlan, PlanDocument, compile_plan
from callmatrix.core.pricing import FixedPrice, PublisherTerms, SharePayout
from callmatrix.core.routing import Given, Looked, Shut, decide, explain
from callmatrix.core.rules import DAYS, AllOf, AnyOf, Attribute, Facts, Leaf, NoneOf, Rule
from callmatrix.world import cpu_s, dice

SIZES: Final = (50, 500, 5_000)
ROUNDS: Final = 7
CALLS: Final = 20
"""Different calls, each decided once a repetition."""
SEED: Final = 20_260_301
MIN_ROUND_S: Final = 0.02
"""A round repeats its calls until it has lasted so long."""
MAX_REPETITIONS: Final = 1_000

_AT: Final = datetime(2026, 3, 4, 16, 20, tzinfo=UTC)
_ZONE: Final = "America/Chicago"
_STATES: Final = tuple(STATE_NAMES)[:51]
_AREA_CODES: Final = tuple(str(code) for code in range(201, 501))
_OFFERS_PER_BUYER: Final = 4
_TIERS: Final = 3


def run(*, sizes: tuple[int, ...] = SIZES, rounds: int = ROUNDS) -> BenchReport:
    """Measure; half a minute. Times are CPU time, the least of `rounds` interleaved rounds."""
    subjects = [_Subject(size) for size in sizes]
    for subject in subjects:
        assert subject.agrees(), "masks and closures must tell the same offers"
    ours = dict.fromkeys(sizes, float("inf"))
    closures = dict.fromkeys(sizes, float("inf"))
    explained = dict.fromkeys(sizes, float("inf"))
    for _ in range(rounds):
        for subject in subjects:
            size = subject.size
            ours[size] = min(ours[size], _timed(subject.decide_all))
            closures[size] = min(closures[size], _timed(subject.ask_closures))
            explained[size] = min(explained[size], _timed(subject.explain_one))
    least, most = sizes[0], sizes[-1]
    figures = {f"decide_us_{size}": ours[size] / CALLS * 1e6 for size in sizes}
    figures |= {f"closures_us_{size}": closures[size] / CALLS * 1e6 for size in sizes}
    figures |= {f"explain_ms_{size}": explained[size] * 1e3 for size in sizes}
    figures |= {f"eligible_share_{subject.size}": subject.eligible_share() for subject in subjects}
    figures |= {
        f"predicates_per_offer_{subject.size}": subject.predicates_per_offer() for subject in subjects
    }
    return BenchReport(
        bench="decide",
        ratios={
            "growth": ours[most] / ours[least],
            "closures_growth": closures[most] / closures[least],
            f"closures_over_ours_{most}": closures[most] / ours[most],
        },
        figures={name: round(figure, 3) for name, figure in figures.items()},
        conditions=conditions() | {"seed": SEED, "rounds": rounds, "calls": CALLS},
    )


class _Subject:
    """One plan, and the same calls asked of it either way."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.plan = _plan(size, dice(SEED))
        callers, shut = dice(SEED + 1), dice(SEED + 2)
        self.questions = [_question(self.plan, callers=callers, shut=shut) for _ in range(CALLS)]
        self.attributes: dict[Attribute, Attribute] = {}
        self.closures = [_closure(rule, self.attributes) for rule in self.plan.routing.rules]
        self.trace = decide(self.plan, self.questions[0]).trace

    def agrees(self) -> bool:
        """Whether closures and masks let the same offers through, for every call."""
        return all(self._by_masks(question) == self._by_closures(question) for question in self.questions)

    def _by_masks(self, question: Given) -> list[bool]:
        mask = self.plan.routing.conditions.passing(question.facts)
        return [bool(mask >> place & 1) for place in range(self.size)]

    def _by_closures(self, question: Given) -> list[bool]:
        texts = {attribute: rules.read(attribute, question.facts) for attribute in self.attributes}
        return [test(texts) for test in self.closures]

    def decide_all(self) -> None:
        for question in self.questions:
            decide(self.plan, question)

    def ask_closures(self) -> None:
        for question in self.questions:
            self._by_closures(question)

    def explain_one(self) -> None:
        explain(self.plan, self.trace, given=self.questions[0])

    def eligible_share(self) -> float:
        held = sum(self.plan.routing.conditions.passing(one.facts).bit_count() for one in self.questions)
        return held / (CALLS * self.size)

    def predicates_per_offer(self) -> float:
        return sum(len(rules.leaves(rule)) for rule in self.plan.routing.rules) / self.size


_Texts = dict[Attribute, str | None]


def _closure(rule: Rule, known: dict[Attribute, Attribute]) -> Callable[[_Texts], bool]:
    """A rule as a plain function of what was read of the call once: what there would be without an index.

    `known` collects the attributes, one object each, so that finding one compares no texts.
    """
    match rule:
        case Leaf():
            attribute, accept = rules.attribute_of(rule), rules.accepts(rule)
            attribute = known.setdefault(attribute, attribute)
            return lambda texts: (text := texts[attribute]) is not None and accept(text)
        case AllOf():
            every = [_closure(child, known) for child in rule.rules]
            return lambda texts: all(test(texts) for test in every)
        case AnyOf():
            some = [_closure(child, known) for child in rule.rules]
            return lambda texts: any(test(texts) for test in some)
        case NoneOf():
            no = [_closure(child, known) for child in rule.rules]
            return lambda texts: not any(test(texts) for test in no)
        case _:
            assert_never(rule)


def _timed(act: Callable[[], None]) -> float:
    """CPU seconds of one repetition."""
    started = cpu_s()
    repetitions, spent = 0, 0.0
    while spent < MIN_ROUND_S and repetitions < MAX_REPETITIONS:
        act()
        repetitions += 1
        spent = cpu_s() - started
    return spent / repetitions


def _plan(size: int, chance: random.Random) -> CompiledPlan:
    offers = tuple(_offer(place, chance) for place in range(size))
    entries = tuple(
        Entry(offer_id=offer.id, priority=chance.randint(1, _TIERS), weight=chance.randint(1, 1_000))
        for offer in offers
    )
    publisher = Publisher(
        id=PublisherId("pub_search"), name="Search", terms=PublisherTerms(payout=SharePayout(share_bps=6_000))
    )
    return compile_plan(
        PlanDocument(
            version=1,
            account=Account(id=AccountId("acc_bench"), name="Bench"),
            campaign=Campaign(
                id=CampaignId("cmp_bench"),
                name="Bench",
                vertical="home services",
                plan=RoutingPlan(strategy="auction", entries=entries),
            ),
            offers=offers,
            buyers=tuple(
                Buyer(id=one, name=one) for one in dict.fromkeys(offer.buyer_id for offer in offers)
            ),
            publishers=(publisher,),
        )
    )


def _offer(place: int, chance: random.Random) -> Offer:
    return Offer(
        id=OfferId(f"off_{place:05}"),
        buyer_id=BuyerId(f"buy_{place // _OFFERS_PER_BUYER}"),
        name=f"Offer {place}",
        destination=PhoneDestination(number="+13125550100"),
        price=FixedPrice(amount=Money(chance.randint(400, 9_000) * 10_000), after_s=90),
        rule=_rule(chance),
        required_fields=("zip",) if chance.random() < 0.3 else (),
    )


def _leaf(subject: rules.Subject, operator: rules.Operator, *values: str, **named: str) -> Leaf:
    return Leaf(subject=subject, operator=operator, values=values, **named)


def _rule(chance: random.Random) -> Rule:
    """States, excluded area codes, days, times, a tag and numbers, as an operator would write them."""
    start = chance.choice(("06:00", "07:00", "08:00", "09:00"))
    end = chance.choice(("17:00", "18:00", "20:00", "21:00"))
    held: list[Rule] = [
        _leaf("caller_state", "in", *chance.sample(_STATES, chance.randint(12, 38))),
        NoneOf(rules=(_leaf("area_code", "in", *chance.sample(_AREA_CODES, chance.randint(5, 30))),)),
        _leaf("day_of_week", "in", *DAYS[: chance.choice((5, 5, 6, 7))], time_zone=_ZONE),
        _leaf("time_of_day", "between", start, end, time_zone=_ZONE),
        _leaf("field", "greater", str(chance.randint(17, 40)), name="age"),
        _leaf("field", "less", str(chance.randint(60, 95)), name="age"),
        _leaf("tag", "in", *chance.sample(("search", "social", "native", "mail"), 3), name="source"),
        NoneOf(rules=(_leaf("attestation", "equal", chance.choice(("B", "C"))),)),
    ]
    if chance.random() < 0.3:
        owner, rents = (
            _leaf("field", "equal", "yes", name="owner"),
            _leaf("field", "equal", "no", name="rents"),
        )
        held.append(AnyOf(rules=(owner, rents)))
    if chance.random() < 0.2:
        held.append(NoneOf(rules=(_leaf("zip", "starts_with", *(str(n) for n in range(900, 962, 7))),)))
    return AllOf(rules=tuple(held))


def _question(plan: CompiledPlan, *, callers: random.Random, shut: random.Random) -> Given:
    area_code = callers.choice(_AREA_CODES)
    facts = Facts(
        caller=f"+1{area_code}5550123",
        dialed_number="+18885550100",
        caller_state=callers.choice(_STATES),
        area_code=area_code,
        zip=f"{callers.randint(10_000, 99_999)}",
        publisher_id=PublisherId("pub_search"),
        campaign_id=CampaignId("cmp_bench"),
        at=_AT,
        fields={"age": str(callers.randint(25, 70)), "owner": callers.choice(("yes", "no")), "zip": "60601"},
        tags={"source": callers.choice(("search", "social", "native", "mail"))},
        attestation=callers.choice(("A", "A", "A", "B")),
    )
    closed = sum(1 << place for place in range(len(plan.offers)) if shut.random() < 0.1)
    full = sum(1 << place for place in range(len(plan.offers)) if shut.random() < 0.1)
    looked = Looked(shut=(Shut(code="closed", mask=f"{closed:x}"), Shut(code="cap_full", mask=f"{full:x}")))
    return Given(facts=facts, looked=looked, at=_AT, draw=callers.getrandbits(53))
