"""Telephone numbers as people and carriers write them."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callmatrix.core import phone
from callmatrix.core.phone import BadPhone


@pytest.mark.parametrize(
    ("text", "e164"),
    [
        ("+14155550100", "+14155550100"),
        ("(415) 555-0100", "+14155550100"),
        ("1-415-555-0100", "+14155550100"),
        ("tel:+1-415-555-0100", "+14155550100"),
        ("sip:+14155550100@carrier.example;user=phone", "+14155550100"),
        ("1-800-FLOWERS", "+18003569377"),
        ("+44 20 7183 8750", "+442071838750"),
        ("+39 06 698 12345", "+390669812345"),
        ("+1 555 555 0100", "+15555550100"),
    ],
)
def test_a_number_is_read_as_people_and_carriers_write_it(text: str, e164: str) -> None:
    assert phone.parse_e164(text) == e164


def test_a_national_number_is_read_in_the_default_region() -> None:
    assert phone.parse_e164("020 7183 8750", "GB") == "+442071838750"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("sip:@carrier.example", "empty"),
        ("hello", "not_a_number"),
        ("555-0100", "too_short"),
        ("+1415", "too_short"),
        ("+1415555010099999", "too_long"),
        ("+9991234567", "unknown_country"),
        ("4155550100 x12", "has_extension"),
        ("4" * 65, "too_long"),
        ("+266696687", "too_short"),
    ],
)
def test_what_is_no_number_is_refused_with_the_reason(text: str, code: str) -> None:
    found = phone.parse_e164(text)
    assert isinstance(found, BadPhone)
    assert found.code == code
    assert found.problem


@given(st.integers(2_000_000_000, 9_999_999_999))
def test_the_short_way_for_plain_numbers_agrees_with_the_library(national: int) -> None:
    written = f"+1{national}"
    number = phonenumbers.parse(written, None)
    assert phonenumbers.is_possible_number(number)
    assert phone.parse_e164(written) == phonenumbers.format_number(
        number, phonenumbers.PhoneNumberFormat.E164
    )


@given(st.text(max_size=40))
def test_whatever_is_read_is_read_again_as_itself(text: str) -> None:
    found = phone.parse_e164(text)
    if isinstance(found, str):
        assert phone.parse_e164(found) == found
        assert found.startswith("+")
        assert found[1:].isdigit()


@pytest.mark.parametrize(
    "caller",
    [
        None,
        "",
        "  ",
        "anonymous",
        "Anonymous",
        "RESTRICTED",
        "unavailable",
        "Unknown",
        "Private",
        "No Caller ID",
        "+266696687",
        "266696687",
        "+7378742833",
        "+2562533",
        "+8656696",
        "+86282452253",
        "sip:anonymous@anonymous.invalid",
        "sip:+266696687@carrier.example",
        "anonymous@anonymous.invalid",
        "+",
    ],
)
def test_a_hidden_caller_is_seen_in_every_spelling(caller: str | None) -> None:
    assert phone.is_anonymous(caller)


@pytest.mark.parametrize("caller", ["+14155550100", "4155550100", "sip:alice@example.com", "+442071838750"])
def test_a_caller_who_shows_something_is_not_hidden(caller: str) -> None:
    assert not phone.is_anonymous(caller)


@given(st.integers(2_000_000_000, 9_999_999_999))
def test_no_number_of_the_north_american_plan_is_taken_for_hidden(national: int) -> None:
    assert not phone.is_anonymous(f"+1{national}")


@pytest.mark.parametrize(
    ("e164", "code"),
    [
        ("+14155550100", "415"),
        ("+18005550100", "800"),
        ("+442071838750", None),
        ("+1415555010", None),
        ("+10155550100", None),
        (None, None),
        ("+1٤١٥٥٥٥٠١٠٠", None),
    ],
)
def test_an_area_code_is_read_in_the_north_american_plan_only(e164: str | None, code: str | None) -> None:
    assert phone.area_code(e164) == code


@pytest.mark.parametrize(
    ("e164", "masked"),
    [
        ("+14155550134", "+1415•••••34"),
        ("+442071838750", "+44••••••••50"),
        ("+1", "••"),
        ("", ""),
    ],
)
def test_a_mask_keeps_the_area_and_the_last_two_digits(e164: str, masked: str) -> None:
    assert phone.mask(e164) == masked


@pytest.mark.parametrize(
    ("e164", "kind"),
    [
        ("+18005550100", "toll_free"),
        ("+18885550100", "toll_free"),
        ("+448081570000", "toll_free"),
        ("+14155550100", "geographic"),
        ("+447400123456", "geographic"),
        ("+19005550100", "other"),
        ("+15005550006", "other"),
        ("+15555550100", "other"),
        ("anonymous", "other"),
    ],
)
def test_a_number_is_toll_free_or_geographic_or_other(e164: str, kind: str) -> None:
    assert phone.kind(e164) == kind
