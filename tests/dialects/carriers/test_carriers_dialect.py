"""Campaigns that need what their carrier lacks are refused when they are configured."""

from typing import Any, get_args

import msgspec
import pytest
from carrier_samples import connection

from callmatrix.core.campaign import (
    MAX_CALL_S,
    Acceptance,
    Campaign,
    Connection,
    Entry,
    FallbackOffer,
    Offer,
    PhoneDestination,
    Recording,
    RoutingPlan,
    Screening,
)
from callmatrix.core.errors import MAX_PROBLEMS, Problem
from callmatrix.core.ids import BuyerId, CampaignId, OfferId
from callmatrix.core.money import Money
from callmatrix.core.pricing import FixedPrice
from callmatrix.dialects.carriers.dialect import (
    DIALECTS,
    CarrierName,
    capability_problems,
    dialect_of,
)

OTHER_CARRIER = "or use numbers of another carrier"


def offer(offer_id: str = "off_1", **changes: Any) -> Offer:
    values = {"time_limit_s": MAX_CALL_S, **changes}
    return Offer(
        id=OfferId(offer_id),
        buyer_id=BuyerId("buy_1"),
        name="Plumber",
        destination=PhoneDestination(number="+14155550123"),
        price=FixedPrice(amount=Money.parse("20")),
        **values,
    )


def campaign(*offers: str, **changes: Any) -> Campaign:
    values = {"max_call_s": MAX_CALL_S, **changes}
    entries = tuple(Entry(offer_id=OfferId(offer_id)) for offer_id in offers)
    return Campaign(
        id=CampaignId("cmp_1"),
        name="Plumbing",
        vertical="plumbing",
        plan=RoutingPlan(strategy="waterfall", entries=entries),
        **values,
    )


def problems(carrier: CarrierName, asked: Campaign, *offers: Offer) -> tuple[Problem, ...]:
    return capability_problems(DIALECTS[carrier], asked, {known.id: known for known in offers})


DEMANDING = offer(whisper="A plumbing lead.", acceptance=Acceptance(), time_limit_s=3_600)


def test_every_carrier_of_a_connection_has_a_dialect() -> None:
    carriers = get_args(Connection.__annotations__["carrier"])
    assert set(DIALECTS) == set(carriers)
    for carrier in carriers:
        assert dialect_of(connection(carrier)).name == carrier


@pytest.mark.parametrize("carrier", ["twilio", "own"])
def test_a_full_carrier_lacks_nothing(carrier: CarrierName) -> None:
    asked = campaign(
        "off_1",
        recording=Recording(on=True),
        screening=Screening(min_attestation="B"),
        max_call_s=3_600,
    )
    assert problems(carrier, asked, DEMANDING) == ()


def test_somleng_is_refused_what_it_ignores_with_the_reason() -> None:
    asked = campaign("off_1", recording=Recording(on=True), max_call_s=3_600)
    field = "plan.entries.0.offer_id"
    assert problems("somleng", asked, DEMANDING) == (
        Problem(
            field="recording.on",
            problem="somleng does not record bridged calls",
            remedy=f"Turn recording off, {OTHER_CARRIER}",
        ),
        Problem(
            field="max_call_s",
            problem="somleng ignores the time limit of a call",
            remedy=f"Set it to 14400, {OTHER_CARRIER}",
        ),
        Problem(
            field=field,
            problem="off_1 asks the buyer to accept the call, which somleng can't do",
            remedy=f"Remove the offer's acceptance, {OTHER_CARRIER}",
        ),
        Problem(
            field=field,
            problem="off_1 has a whisper, which somleng ignores",
            remedy=f"Remove the offer's whisper, {OTHER_CARRIER}",
        ),
        Problem(
            field=field,
            problem="off_1 limits a call to 3600 s, which somleng ignores",
            remedy=f"Set the offer's time limit to 14400, {OTHER_CARRIER}",
        ),
    )


def test_a_campaign_that_asks_nothing_special_runs_anywhere() -> None:
    for carrier in DIALECTS:
        assert problems(carrier, campaign("off_1"), offer()) == ()


def test_an_offer_of_a_fallback_takes_part_too() -> None:
    asked = campaign(
        fallback=FallbackOffer(offer_id=OfferId("off_2")),
        closed_treatment=FallbackOffer(offer_id=OfferId("off_3")),
    )
    found = problems("somleng", asked, offer("off_2", whisper="A lead."), offer("off_3", whisper="A lead."))
    assert [problem.field for problem in found] == ["fallback.offer_id", "closed_treatment.offer_id"]


@pytest.mark.parametrize("carrier", ["signalwire", "somleng"])
def test_an_attestation_that_never_comes_cannot_be_asked_for(carrier: CarrierName) -> None:
    asked = campaign(screening=Screening(min_attestation="C"))
    assert [problem.field for problem in problems(carrier, asked)] == ["screening.min_attestation"]


def test_a_long_list_of_problems_ends() -> None:
    ids = [f"off_{number}" for number in range(MAX_PROBLEMS + 50)]
    offers = [offer(offer_id, whisper="A lead.") for offer_id in ids]
    assert len(problems("somleng", campaign(*ids), *offers)) == MAX_PROBLEMS


def test_the_table_is_the_same_for_everybody() -> None:
    with pytest.raises(AttributeError):
        DIALECTS["twilio"].name = "own"  # type: ignore[misc]
    assert msgspec.structs.asdict(DIALECTS["somleng"].capabilities) == {
        "whisper": False,
        "answer_on_bridge": False,
        "time_limit": False,
        "record": False,
        "leg_events": False,
        "precise_ms": False,
        "empty_gather": True,
        "lists_legs": False,
    }
