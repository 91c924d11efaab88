"""Compiling a plan: what it arranges, the order of its offers, and what it refuses."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from routing_plans import AT, PUBLISHER, dollars, entry, fixed, offer, plan, publisher

from callmatrix.core.campaign import Connection, FallbackOffer, PublisherInCampaign
from callmatrix.core.documents import decode, encode
from callmatrix.core.errors import Problem, Refused
from callmatrix.core.flow import CollectNode, Flow, HangupNode, RouteNode, SpokenPrompt
from callmatrix.core.hours import Hours
from callmatrix.core.ids import BuyerId, ConnectionId, OfferId
from callmatrix.core.plan import PlanDocument, compile_plan
from callmatrix.core.pricing import PublisherTerms, SharePayout, Tariff
from callmatrix.core.routing.steps import MAX_KEPT_MASKS, Steps
from callmatrix.core.rules import AnyOf


def test_offers_stand_in_order_of_priority_then_price_then_id() -> None:
    compiled = plan(
        "auction",
        offer("d", price=fixed(1)),
        offer("a", price=fixed(2)),
        offer("c", price=fixed(2)),
        offer("b", price=fixed(9)),
        entries=(entry("d"), entry("c", priority=2), entry("a", priority=2), entry("b", priority=3)),
    )
    assert compiled.routing.offer_ids == ("off_d", "off_a", "off_c", "off_b")
    assert [(tier.priority, tier.mask) for tier in compiled.routing.tiers] == [
        (1, 0b1),
        (2, 0b110),
        (3, 0b1000),
    ]


def test_for_weighted_plans_the_heavier_offer_stands_first() -> None:
    compiled = plan(
        "weighted",
        offer("a", price=fixed(9)),
        offer("b", price=fixed(1)),
        entries=(entry("a", weight=1), entry("b", weight=2)),
    )
    assert compiled.routing.offer_ids == ("off_b", "off_a")


def test_a_plan_from_its_stored_document_is_the_same_plan() -> None:
    compiled = plan("auction", offer("a"), offer("b", price=fixed(3)), publishers=(publisher(fixed(2)),))
    again = compile_plan(decode(encode(compiled.document), PlanDocument))
    assert again.document == compiled.document
    assert again.routing.offer_ids == compiled.routing.offer_ids
    assert again.terms == compiled.terms


def test_terms_are_those_of_publisher_in_campaign_then_campaign_then_publisher() -> None:
    own, of_campaign, of_publisher = (
        PublisherTerms(payout=payout) for payout in (fixed(1), SharePayout(share_bps=2), fixed(3))
    )
    others = {"publishers": (publisher(fixed(3)),)}
    pair = PublisherInCampaign(publisher_id=PUBLISHER, terms=own)
    assert plan("auction", offer("a"), **others).terms == {PUBLISHER: of_publisher}
    assert plan("auction", offer("a"), **others, terms=of_campaign).terms == {PUBLISHER: of_campaign}
    last = plan("auction", offer("a"), **others, terms=of_campaign, campaign_publishers=(pair,))
    assert last.terms == {PUBLISHER: own}
    assert last.publishers_in_campaign == {PUBLISHER: pair}


def test_prices_and_tariffs_are_found_by_id() -> None:
    compiled = plan(
        "auction",
        offer("a", price=fixed(1)),
        offer("b", price=fixed(2)),
        entries=(entry("a", price=fixed(7)),),
    )
    assert compiled.price_of(OfferId("off_a")) == fixed(7)
    assert compiled.price_of(OfferId("off_b")) == fixed(2)
    tariff = Tariff(number_per_month=dollars(1))
    connection = Connection(
        id=ConnectionId("con_1"), name="Own", carrier="own", public_base_url="http://127.0.0.1", tariff=tariff
    )
    connected = compile_plan(replace(compiled.document, connections=(connection,)))
    assert connected.tariff_of(ConnectionId("con_1")) == tariff
    assert connected.tariff_of(ConnectionId("con_2")) == Tariff()
    assert connected.tariff_of(None) == Tariff()


def test_zip_fields_are_those_that_the_flow_collects_as_a_zip() -> None:
    def collect(field: str, kind: str, onward: str) -> CollectNode:
        return CollectNode(
            prompt=SpokenPrompt(text="?"),
            field=field,
            next=onward,
            failed="end",
            type=kind,
        )

    flow = Flow(
        nodes={
            "a": collect("home_zip", "zip", "b"),
            "b": collect("age", "digits", "c"),
            "c": RouteNode(),
            "end": HangupNode(),
        },
        start="a",
    )
    document = plan("auction", offer("a")).document
    assert compile_plan(replace(document, flow=flow)).zip_fields == {"home_zip"}
    assert compile_plan(document).zip_fields == frozenset()


def test_a_plan_with_unknown_offers_or_buyers_is_refused_with_every_problem() -> None:
    document = plan("auction", offer("a"), offer("b", buyer="b")).document
    campaign = replace(
        document.campaign,
        plan=replace(document.campaign.plan, entries=(entry("a"), entry("gone"), entry("a"), entry("b"))),
        fallback=FallbackOffer(offer_id=OfferId("off_lost")),
    )
    buyers = tuple(one for one in document.buyers if one.id != BuyerId("buy_b"))
    with pytest.raises(Refused) as refused:
        compile_plan(replace(document, campaign=campaign, buyers=buyers))
    assert refused.value.code == "invalid"
    assert refused.value.problems == (
        Problem(field="plan.entries.2.offer_id", problem="off_a is there twice", remedy="Keep one of them"),
        Problem(
            field="plan.entries.1.offer_id",
            problem="There is no offer off_gone",
            remedy="Add the offer or leave it out",
        ),
        Problem(
            field="plan.entries.3.offer_id",
            problem="There is no buyer buy_b",
            remedy="Add the buyer or leave it out",
        ),
        Problem(
            field="fallback.offer_id",
            problem="There is no offer off_lost",
            remedy="Add the offer or leave it out",
        ),
    )


def test_a_plan_with_a_broken_rule_or_hours_is_refused() -> None:
    for broken in ({"rule": AnyOf(rules=())}, {"hours": Hours(time_zone="Mars/Base", spans=())}):
        with pytest.raises(Refused) as refused:
            plan("auction", offer("a", **broken))
        assert len(refused.value.problems) == 1


def test_a_plan_without_offers_compiles_and_is_open_to_none() -> None:
    compiled = plan("auction")
    assert (compiled.routing.every, compiled.routing.open_mask(AT), compiled.routing.tiers) == (0, 0, ())
    assert compiled.routing.open_mask(AT + timedelta(days=30)) == 0


@given(
    before=st.integers(0, 255),
    changes=st.dictionaries(st.integers(0, 50), st.lists(st.integers(0, 7), max_size=4), max_size=20),
    point=st.integers(-1, 51),
)
def test_steps_apply_every_change_up_to_a_point(
    before: int, changes: dict[int, list[int]], point: int
) -> None:
    expected = before
    for at, positions in changes.items():
        for position in positions if at <= point else ():
            expected ^= 1 << position
    assert Steps(before, changes).at(point) == expected


def test_steps_are_exact_between_the_masks_that_are_kept() -> None:
    count = 3 * MAX_KEPT_MASKS + 1
    steps = Steps(0, {point: [point % 64] for point in range(count)})
    mask = 0
    for point in range(count):
        mask ^= 1 << point % 64
        assert steps.at(point) == mask
