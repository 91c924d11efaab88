"""Money: exact, immutable, one rounding, decimal strings at the edges."""

import copy
import pickle
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callmatrix.core import documents
from callmatrix.core.money import (
    MAX_MICROS,
    Money,
    divide_half_even,
    per_minute,
    share,
)

amounts = st.integers(min_value=-(10**15), max_value=10**15).map(Money)


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    amount: Money


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0", 0),
        ("12.5", 12_500_000),
        ("12.50", 12_500_000),
        ("-0.000001", -1),
        ("999999999999.999999", 999_999_999_999_999_999),
    ],
)
def test_a_decimal_string_is_read_to_the_micro(text: str, micros: int) -> None:
    assert Money.parse(text) == Money(micros)


@pytest.mark.parametrize(
    "text", ["", ".5", "1.", "1,5", "1.0000001", "+1", "1e3", " 1", "NaN", "٣", "1" * 13]
)
def test_what_is_no_amount_is_refused_with_its_remedy(text: str) -> None:
    with pytest.raises(ValueError, match=r'write it as "12\.50"'):
        Money.parse(text)


@given(amounts)
def test_every_amount_survives_its_decimal_string(amount: Money) -> None:
    assert Money.parse(str(amount)) == amount


@given(amounts, amounts)
def test_sums_are_exact_and_order_is_that_of_micros(one: Money, other: Money) -> None:
    assert one + other - other == one
    assert one - one == -(one - one) == Money(0)
    assert (one < other) == (one.micros < other.micros)
    assert sorted([one, other]) == [min(one, other), max(one, other)]


def test_money_is_written_with_at_least_two_places() -> None:
    written = [str(Money(micros)) for micros in (0, 1_000_000, 1_230_000, 1_234_500, -1)]
    assert written == ["0.00", "1.00", "1.23", "1.2345", "-0.000001"]


def test_money_cannot_be_changed_and_can_be_copied() -> None:
    amount = Money(5)
    with pytest.raises(AttributeError, match="immutable"):
        amount.micros = 6
    assert copy.deepcopy(amount) == pickle.loads(pickle.dumps(amount)) == amount
    assert {amount, Money(5)} == {amount}


def test_an_amount_beyond_the_range_is_refused_not_wrapped() -> None:
    with pytest.raises(ValueError, match="out of range"):
        Money(MAX_MICROS - 1) + Money(1)


def test_money_is_a_decimal_string_in_json_and_nothing_else_is_read() -> None:
    assert documents.encode(Priced(amount=Money(12_500_000))) == b'{"amount":"12.50"}'
    assert documents.decode(b'{"amount":"12.5"}', Priced) == Priced(amount=Money(12_500_000))
    for body in (b'{"amount":12.5}', b'{"amount":12}', b'{"amount":"12.5000000"}'):
        with pytest.raises(msgspec.ValidationError):
            documents.decode(body, Priced)


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_the_one_rounding_is_half_to_even(numerator: int, denominator: int) -> None:
    assert divide_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(amounts, st.integers(0, 10_000))
def test_a_share_and_its_rest_are_the_whole(amount: Money, bps: int) -> None:
    part = share(amount, bps)
    assert part + (amount - part) == amount
    assert abs(part.micros * 10_000 - amount.micros * bps) <= 5_000


def test_ties_of_a_share_go_to_the_even_micro() -> None:
    assert [share(Money(micros), 5_000).micros for micros in (1, 3, 5, -1, -3)] == [0, 2, 2, 0, -2]


def test_time_at_a_rate_a_minute_is_rounded_once() -> None:
    assert per_minute(Money(10_000), 6) == Money(1_000)
    assert per_minute(Money(10_000), 1) == Money(167)
    assert per_minute(Money.parse("0.85"), 90) == Money.parse("1.275")
