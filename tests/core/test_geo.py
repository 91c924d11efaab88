"""Where a caller is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callmatrix.core import geo, phone
from callmatrix.core.geo import UNKNOWN, CallerGeo

PACIFIC = ("America/Los_Angeles",)
EASTERN = ("America/New_York",)


def test_an_area_code_tells_state_and_zone() -> None:
    assert geo.from_number("+14155550100") == CallerGeo(
        state="CA", area_code="415", time_zones=PACIFIC, source="number"
    )


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("628", "CA"),
        ("738", "CA"),
        ("310", "CA"),
        ("332", "NY"),
        ("718", "NY"),
        ("645", "FL"),
        ("203", "CT"),
        ("959", "CT"),
        ("713", "TX"),
        ("201", "NJ"),
        ("202", "DC"),
        ("771", "DC"),
        ("206", "WA"),
        ("564", "WA"),
        ("907", "AK"),
        ("808", "HI"),
        ("787", "PR"),
        ("939", "PR"),
        ("340", "VI"),
        ("671", "GU"),
        ("670", "MP"),
        ("684", "AS"),
    ],
)
def test_overlays_and_territories_have_their_state(code: str, state: str) -> None:
    assert geo.from_number(f"+1{code}5550100").state == state


def test_every_state_has_an_area_code_and_every_place_a_zone_that_exists() -> None:
    places = [geo.from_number(f"+1{code}5550100") for code in range(200, 1000)]
    assert {place.state for place in places if place.state} == set(geo.STATE_NAMES)
    assert {name for place in places for name in place.time_zones} <= geo.zone_names()
    assert [place for place in places if place.state and not place.time_zones] == []


@pytest.mark.parametrize(
    "code", ["800", "833", "844", "855", "866", "877", "888", "900", "500", "521", "710", "555"]
)
def test_toll_free_and_service_codes_are_unknown(code: str) -> None:
    assert geo.from_number(f"+1{code}2345678") == UNKNOWN


def test_a_number_outside_the_plan_or_missing_is_unknown() -> None:
    assert [geo.from_number(number) for number in ("+442071838750", "anonymous", "", None)] == [UNKNOWN] * 4


def test_a_canadian_or_caribbean_code_has_zones_and_no_state() -> None:
    assert geo.from_number("+14165550100") == CallerGeo(
        area_code="416", time_zones=("America/Toronto",), source="number"
    )
    assert geo.from_number("+12425550100") == CallerGeo(
        area_code="242", time_zones=("America/Nassau",), source="number"
    )


def test_a_code_that_the_data_does_not_know_yet_keeps_its_digits() -> None:
    unassigned = next(
        code
        for code in map(str, range(200, 1000))
        if geo.from_number(f"+1{code}5550100") == CallerGeo(area_code=code)
    )
    assert phone.area_code(f"+1{unassigned}5550100") == unassigned


def test_an_exchange_narrows_the_zones_of_its_area_code() -> None:
    whole_state = geo.from_number("+12085550100")
    boise = geo.from_number("+12083340100")
    assert whole_state.time_zones == ("America/Boise", "America/Los_Angeles")
    assert boise == CallerGeo(state="ID", area_code="208", time_zones=("America/Denver",), source="number")


def test_an_overlay_that_the_numbering_data_puts_in_the_wrong_zone_is_put_right_by_its_zips() -> None:
    assert geo.from_number("+16895550100").time_zones == EASTERN


def test_a_zip_tells_state_county_and_zone() -> None:
    expected = CallerGeo(
        state="CA", zip="94105", county="San Francisco County", time_zones=PACIFIC, source="zip"
    )
    assert [geo.from_zip(text) for text in ("94105", " 94105 ", "94105-1234", "941051234")] == [expected] * 4


@pytest.mark.parametrize(
    "text", ["", "9410", "941055", "00000", "9410a", "٩٤١٠٥", "94105-", "-94105", "94105" * 9]
)
def test_what_is_no_zip_is_unknown(text: str) -> None:
    assert geo.from_zip(text) == UNKNOWN


def test_a_military_zip_is_known_and_has_no_state() -> None:
    assert geo.from_zip("09001") == CallerGeo(zip="09001", source="zip")


def test_a_zip_from_the_ivr_outranks_the_area_code() -> None:
    assert geo.caller_geo("+12125550100", "94105") == CallerGeo(
        state="CA",
        area_code="212",
        zip="94105",
        county="San Francisco County",
        time_zones=PACIFIC,
        source="zip",
    )


def test_a_zip_tells_the_place_of_a_toll_free_or_hidden_caller() -> None:
    assert geo.caller_geo("+18005550100", "94105") == geo.from_zip("94105")
    assert geo.caller_geo(None, "94105") == geo.from_zip("94105")


def test_a_zip_that_does_not_exist_is_ignored() -> None:
    assert geo.caller_geo("+12125550100", "00000") == geo.from_number("+12125550100")
    assert geo.caller_geo("+12125550100", None) == geo.from_number("+12125550100")


@given(st.text(max_size=20), st.none() | st.text(max_size=12))
def test_any_number_and_zip_have_an_answer_in_known_states(number: str, zip_code: str | None) -> None:
    place = geo.caller_geo(number, zip_code)
    assert place.state is None or place.state in geo.STATE_NAMES
    assert set(place.time_zones) <= geo.zone_names()


def test_zones_are_named_by_area_and_city_only() -> None:
    names = geo.zone_names()
    assert {"America/Chicago", "America/Argentina/Buenos_Aires", "UTC"} <= names
    assert names & {"EST", "EST5EDT", "MST", "Factory", "GMT", "localtime"} == set()
    assert {geo.zone(name).key for name in names} == names


@pytest.mark.parametrize("name", ["EST", "America/Nowhere", "../../etc/passwd", "", "america/chicago"])
def test_a_name_that_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not an IANA time zone"):
        geo.zone(name)
