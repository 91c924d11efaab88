"""Money in whole micros (millionths of the account's currency): exact sums and one rounding."""

import re
from typing import Any, Final, Self

import msgspec

MICROS_PER_UNIT: Final = 1_000_000
BPS_PER_WHOLE: Final = 10_000
MAX_MICROS: Final = 2**62
_DECIMAL: Final = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,6}))?", re.ASCII)


class Money:
    """An exact amount. Immutable, hashable, ordered; encodes as a decimal string such as `"12.50"`."""

    __slots__ = ("micros",)
    micros: int

    def __init__(self, micros: int = 0) -> None:
        if not -MAX_MICROS < micros < MAX_MICROS:
            raise ValueError(f"amount of {micros} micros is out of range")
        object.__setattr__(self, "micros", micros)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Money is immutable")

    def __reduce__(self) -> tuple[type["Money"], tuple[int]]:
        return Money, (self.micros,)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a decimal string with up to six places; `ValueError` says what is wrong."""
        match = _DECIMAL.fullmatch(text)
        if match is None:
            raise ValueError(f'"{text[:40]}" is not an amount; write it as "12.50", with at most 6 places')
        sign, units, fraction = match.groups()
        micros = int(units) * MICROS_PER_UNIT + int((fraction or "").ljust(6, "0"))
        return cls(-micros if sign else micros)

    def __str__(self) -> str:
        units, rest = divmod(abs(self.micros), MICROS_PER_UNIT)
        places = f"{rest:06d}".rstrip("0").ljust(2, "0")
        return f"{'-' if self.micros < 0 else ''}{units}.{places}"

    def __repr__(self) -> str:
        return f"Money({self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and self.micros == other.micros

    def __hash__(self) -> int:
        return hash(self.micros)

    def __lt__(self, other: "Money") -> bool:
        return self.micros < other.micros

    def __le__(self, other: "Money") -> bool:
        return self.micros <= other.micros

    def __gt__(self, other: "Money") -> bool:
        return self.micros > other.micros

    def __ge__(self, other: "Money") -> bool:
        return self.micros >= other.micros

    def __add__(self, other: "Money") -> "Money":
        return Money(self.micros + other.micros)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.micros - other.micros)

    def __neg__(self) -> "Money":
        return Money(-self.micros)

    def __bool__(self) -> bool:
        return self.micros != 0


ZERO: Final = Money(0)


def divide_half_even(numerator: int, denominator: int) -> int:
    """`numerator / denominator` to the nearest whole number, ties to even: the only rounding of money."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient % 2 == 1):
        return quotient + 1
    return quotient


def share(amount: Money, bps: int) -> Money:
    """`bps` ten-thousandths of `amount`, rounded half even; the caller keeps what rounding leaves."""
    return Money(divide_half_even(amount.micros * bps, BPS_PER_WHOLE))


def per_minute(rate: Money, seconds: int) -> Money:
    """`seconds` (already rounded up to the increment) at `rate` a minute, rounded half even."""
    return Money(divide_half_even(rate.micros * seconds, 60))


def encode_hook(value: Any) -> Any:
    """msgspec `enc_hook`: money as a decimal string."""
    if isinstance(value, Money):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} cannot be encoded")


def decode_hook(kind: type, value: Any) -> Any:
    """msgspec `dec_hook`: money from a decimal string."""
    if kind is Money:
        if not isinstance(value, str):
            raise msgspec.ValidationError('Expected an amount as a decimal string, such as "12.50"')
        try:
            return Money.parse(value)
        except ValueError as error:
            raise msgspec.ValidationError(str(error)) from None
    raise NotImplementedError(f"{kind.__name__} cannot be decoded")


def schema_hook(kind: type) -> dict[str, Any]:
    """msgspec `schema_hook`: the JSON schema of money."""
    if kind is Money:
        return {
            "type": "string",
            "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,6})?$",
            "examples": ["12.50"],
            "description": "An amount in the account's currency, as a decimal string",
        }
    raise NotImplementedError(f"{kind.__name__} has no schema")
