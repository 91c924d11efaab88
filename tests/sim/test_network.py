"""The seeded network is configuration like any other, and shows what the product can do."""

from datetime import UTC, datetime
from typing import get_args

import pytest

from callmatrix.core import geo, hours, phone
from callmatrix.core.campaign import PhoneDestination
from callmatrix.core.caps import Limits, Metric, OwnerKind, Window, limits_problems
from callmatrix.core.documents import decode, encode
from callmatrix.core.flow import Flow, problems
from callmatrix.core.plan import compile_plan
from callmatrix.core.pricing import DuplicateRule, price_problems
from callmatrix.sim.network import LOOKUP_URL, Network, network, plan_document

NETWORK = network(starts_at=datetime(2026, 1, 1, tzinfo=UTC))


def all_limits() -> dict[OwnerKind, list[Limits]]:
    return {
        "account": [NETWORK.account.limits],
        "campaign": [one.limits for one in NETWORK.campaigns],
        "buyer": [one.limits for one in NETWORK.buyers],
        "offer": [one.limits for one in NETWORK.offers],
        "offer_in_campaign": [entry.limits for one in NETWORK.campaigns for entry in one.plan.entries],
        "publisher": [one.limits for one in NETWORK.publishers],
        "publisher_in_campaign": [own.limits for one in NETWORK.campaigns for own in one.publishers],
    }


def all_duplicate_rules() -> list[DuplicateRule]:
    own = [offer.duplicates for offer in NETWORK.offers] + [one.duplicates for one in NETWORK.campaigns]
    return [rule for rule in own if rule is not None]


def test_the_network_survives_being_written_and_read() -> None:
    assert decode(encode(NETWORK), Network) == NETWORK


@pytest.mark.parametrize("lookup_url", [None, LOOKUP_URL])
def test_every_flow_may_be_published(lookup_url: str | None) -> None:
    made = network(starts_at=datetime(2026, 1, 1, tzinfo=UTC), lookup_url=lookup_url)
    assert {document.id: problems(document.draft) for document in made.flows} == dict.fromkeys(
        [document.id for document in made.flows], ()
    )


def test_every_campaign_compiles_and_has_its_flow() -> None:
    for campaign in NETWORK.campaigns:
        plan = compile_plan(plan_document(NETWORK, campaign.id, version=1))
        assert isinstance(plan.flow, Flow)
        assert plan.offers


def test_nothing_in_it_would_be_refused_at_save() -> None:
    found = [
        problem
        for limits in all_limits().values()
        for one in limits
        for problem in limits_problems(one, field="limits")
    ]
    found += [problem for offer in NETWORK.offers for problem in price_problems(offer.price, field="price")]
    found += [
        problem
        for offer in NETWORK.offers
        if offer.hours is not None
        for problem in hours.problems(offer.hours, field="hours")
    ]
    assert found == []


def test_ids_and_numbers_are_told_apart() -> None:
    ids = [
        one.id
        for group in (
            NETWORK.buyers,
            NETWORK.publishers,
            NETWORK.offers,
            NETWORK.flows,
            NETWORK.campaigns,
            NETWORK.numbers,
        )
        for one in group
    ]
    assert len(set(ids)) == len(ids)
    assert len({number.number for number in NETWORK.numbers}) == len(NETWORK.numbers)


def test_every_telephone_number_is_fictional() -> None:
    dialled = [o.destination.number for o in NETWORK.offers if isinstance(o.destination, PhoneDestination)]
    for number in (*dialled, *(one.number for one in NETWORK.numbers)):
        assert phone.parse_e164(number) == number
        assert number[5:10] == "55501"


def test_it_is_as_large_as_promised_and_uses_every_strategy() -> None:
    assert {campaign.plan.strategy for campaign in NETWORK.campaigns} == {
        "auction",
        "weighted",
        "round_robin",
        "waterfall",
    }
    assert len(NETWORK.buyers) >= 10
    assert len(NETWORK.offers) >= 14
    assert len(NETWORK.publishers) == 4
    auto = next(one for one in NETWORK.campaigns if one.id == "cmp_auto_8")
    assert len(auto.geography.states) == 8
    assert set(auto.geography.states) <= set(geo.STATE_NAMES)


def test_every_kind_of_price_cap_window_owner_and_duplicate_action_is_in_use() -> None:
    limits = all_limits()
    caps = [cap for found in limits.values() for one in found for cap in one.caps]
    assert {type(offer.price).__struct_config__.tag for offer in NETWORK.offers} == {
        "fixed",
        "tiers",
        "per_minute",
        "bid",
    }
    assert {offer.converts_on for offer in NETWORK.offers} == {"duration", "postback", "manual"}
    assert {cap.metric for cap in caps} == set(get_args(Metric))
    assert {cap.window for cap in caps} == set(get_args(Window))
    assert {kind for kind, found in limits.items() if any(one.caps for one in found)} == set(
        get_args(OwnerKind)
    )
    assert {rule.action for rule in all_duplicate_rules()} == {"refuse", "unpaid", "same_buyer"}
    assert {buyer.billing for buyer in NETWORK.buyers} == {"prepaid", "postpaid"}
    assert {publisher.when_capped for publisher in NETWORK.publishers} == {"block", "unpaid"}
    assert {type(one.fallback).__struct_config__.tag for one in NETWORK.campaigns} == {
        "number",
        "voicemail",
        "offer",
        "message",
    }


def test_a_number_splits_its_callers_between_two_campaigns() -> None:
    shares = [
        [share.percent for share in assignment.split]
        for number in NETWORK.numbers
        for assignment in number.assignments
        if len(assignment.split) > 1
    ]
    assert shares == [[70, 30]]
