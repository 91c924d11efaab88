"""Reads what bidders write: amounts, times, numbers and addresses, and what all of them say as a bid."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

import msgspec

from callmatrix.core import documents
from callmatrix.core.auction import NoBid, Offered
from callmatrix.core.auction.bids import MAX_BID_ID, MAX_DETAIL
from callmatrix.core.campaign import Destination, PhoneDestination, SipDestination
from callmatrix.core.money import MAX_MICROS, MICROS_PER_UNIT, ZERO, Money, divide_half_even
from callmatrix.core.phone import MAX_PHONE_CHARS, BadPhone, parse_e164

MAX_NUMBER_CHARS: Final = 40
MAX_WHOLE: Final = 10**15
MAX_AHEAD_S: Final = 366 * 86_400
MAX_CURRENCY: Final = 20
MASKED_DIGITS: Final = 7
"""So many digits in a row may be somebody's number: what a bidder's words say of it is masked."""

ExpiryKind = Literal["time", "epoch_s", "epoch_ms"]

_CENTS: Final = 100
_MAX_MAGNITUDE: Final = 11
_MIN_MAGNITUDE: Final = -10
_LARGEST: Final = MAX_MICROS // MICROS_PER_UNIT - 1
_TEXT_AMOUNT: Final = re.compile(
    r"(?P<before>[$€£]|[A-Z]{3} ?|)(?P<minus>-?)"
    r"(?P<units>[0-9]{1,12}|[0-9]{1,3}(?:,[0-9]{3}){1,3}(?=\.)|[0-9]{1,3}(?:,[0-9]{3}){2,3})"
    r"(?:\.(?P<fraction>[0-9]{1,20})|,(?P<cents>[0-9]{2}))?(?P<after> ?[A-Z]{3}|)",
    re.ASCII,
)
_SIGNS: Final = {"$": "", "€": "EUR", "£": "GBP"}  # a dollar sign does not say whose dollars
_SIP: Final = re.compile(
    r"(?:sips?:)?[A-Za-z0-9!$%&'*+,/=_.~;-]{1,64}@[A-Za-z0-9.:\[\]-]{1,120}(?:;[A-Za-z0-9_.=-]{1,60}){0,5}"
)
_US_TIME: Final = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{1,2}):(\d{2})(?::(\d{2}))?(?: ([AP])M)?"
    r"(?: ?([+-])(\d{2}):?(\d{2})| ?Z)?",
    re.ASCII,
)
_DIGIT_RUN: Final = re.compile(rf"[0-9]{{{MASKED_DIGITS},}}")
_EPOCH_FACTORS: Final = {"epoch_s": 1, "epoch_ms": 1_000}
_MAX_EPOCH_S: Final = 32_503_680_000  # the year 3000


class Unreadable(Exception):
    """A reply, or a value that the bid hangs on, cannot be read; says what and where."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A reply to a ping in one set of words, each value as it stands there; None where it is silent.

    `lasts_s` and `expires_at` (read as `expires_as`) say until when; `in_cents`: the amount is in
    hundredths; `sip_first`: of a number and a SIP address, the address is the better way in.
    """

    amount: object = None
    currency: object = None
    bid_id: object = None
    lasts_s: object = None
    expires_at: object = None
    number: object = None
    sip: object = None
    min_s: object = None
    duplicate_days: object = None
    reason: object = None
    expires_as: ExpiryKind = "time"
    in_cents: bool = False
    sip_first: bool = False


def offered(said: Said, *, uses_destination: bool, at: datetime) -> Offered | NoBid:
    """The bid that a reply is, or why it is none. Raises `Unreadable` where a value that counts is not one
    of its kind: a bid that is half understood is not used."""
    if said.amount is None:
        if said.reason is None:
            raise Unreadable("The reply names no amount")
        return NoBid(code="no_bid", detail=words(said.reason))
    amount, currency = read_amount(said.amount, in_cents=said.in_cents)
    if amount is None:
        return NoBid(code="bad_amount", detail="More than money can be")
    if amount == ZERO:
        return NoBid(code="no_bid", detail="" if said.reason is None else words(said.reason))
    destination = None
    if uses_destination and (said.number is not None or said.sip is not None):
        destination = read_destination(said)
        if destination is None and (words(said.number) or words(said.sip)):
            return NoBid(code="bad_destination", detail="Neither a number in E.164 nor a SIP address")
    if said.currency is not None:
        currency = _currency(said.currency)
    return Offered(
        amount=amount,
        currency=currency,
        bid_id="" if said.bid_id is None else read_id(said.bid_id),
        expires_at=read_expiry(said, at),
        destination=destination,
        min_s=None if said.min_s is None else read_whole(said.min_s, "the least seconds"),
        duplicate_days=(
            None if said.duplicate_days is None else read_whole(said.duplicate_days, "the days of duplicates")
        ),
    )


def _currency(value: object) -> str:
    if type(value) is str and len(value) <= MAX_CURRENCY and value.isprintable():
        return value.upper()
    return words(value)[:MAX_CURRENCY].upper()


def read_amount(value: object, *, in_cents: bool = False) -> tuple[Money | None, str]:
    """An amount, to the nearest micro (what a bidder computes in binary fractions has more places), and
    the currency that its text names; None where it is a number but none that money can be.

    Texts: `12.50`, `$12.50`, `12.50 USD`, `1,250.00`, `12,50`; not `1,250`, which has two meanings.
    """
    currency = ""
    if type(value) is str:
        if not in_cents:
            try:
                return Money.parse(value), ""
            except ValueError:
                pass  # not the plain spelling
        value, currency = _amount_of_text(value)
    if type(value) is int:
        number: int | Decimal = value
    elif isinstance(value, Decimal):
        number = value
    else:
        raise Unreadable("The amount is not a number")
    micros = _micros(number, _CENTS if in_cents else 1)
    return (None if micros is None else Money(micros)), currency


def _amount_of_text(text: str) -> tuple[Decimal, str]:
    found = _TEXT_AMOUNT.fullmatch(text.strip()) if len(text) <= MAX_NUMBER_CHARS else None
    if found is None:
        raise Unreadable(f'"{words(text)[:MAX_NUMBER_CHARS]}" is not an amount')
    before, after = found["before"].strip(), found["after"].strip()
    fraction = found["fraction"] or found["cents"] or "0"
    number = Decimal(f"{found['minus']}{found['units'].replace(',', '')}.{fraction}")
    return number, after or _SIGNS.get(before, before)


def _micros(number: int | Decimal, units_per: int) -> int | None:
    if type(number) is int:
        if not -_LARGEST <= number <= _LARGEST:
            return None
        return divide_half_even(number * MICROS_PER_UNIT, units_per)
    assert isinstance(number, Decimal)
    if not number:
        return 0
    if not number.is_finite() or (magnitude := number.adjusted()) > _MAX_MAGNITUDE:
        return None
    if magnitude < _MIN_MAGNITUDE:  # no tenth of a micro; and such exponents make huge fractions
        return 0
    scaled = number * MICROS_PER_UNIT
    if units_per == 1 and scaled == (whole := int(scaled)):
        return whole
    numerator, denominator = number.as_integer_ratio()
    return divide_half_even(numerator * MICROS_PER_UNIT, denominator * units_per)


def read_whole(value: object, name: str) -> int:
    """A whole number (what it has after the point is cut), also as text."""
    if type(value) is str and len(value) <= MAX_NUMBER_CHARS:
        try:
            value = Decimal(value.strip())
        except ArithmeticError:
            raise Unreadable(f"What stands for {name} is not a number") from None
    if type(value) is int and -MAX_WHOLE <= value <= MAX_WHOLE:
        return value
    if isinstance(value, Decimal) and value.is_finite() and abs(value) <= MAX_WHOLE:
        return int(value)
    raise Unreadable(f"What stands for {name} is not a number")


def read_expiry(said: Said, at: datetime) -> datetime | None:
    """Until when a bid holds: by the seconds from now where it says them, since clocks differ."""
    if said.lasts_s is not None:
        seconds = read_whole(said.lasts_s, "the seconds to expiry")
        return at + timedelta(seconds=seconds if 0 <= seconds <= MAX_AHEAD_S else _clamped(seconds))
    if said.expires_at is None:
        return None
    return min(read_instant(said.expires_at, said.expires_as), at + timedelta(seconds=MAX_AHEAD_S))


def _clamped(seconds: int) -> int:
    return 0 if seconds < 0 else MAX_AHEAD_S


def read_instant(value: object, kind: ExpiryKind) -> datetime:
    """An instant: ISO 8601 or `8/12/2025 4:12:56 PM +00:00` (UTC where it names no offset), or since 1970."""
    if kind != "time":
        factor = _EPOCH_FACTORS[kind]
        since = read_whole(value, "the expiry")
        if not 0 <= since <= _MAX_EPOCH_S * factor:
            raise Unreadable("The expiry is not an instant of this age")
        return datetime.fromtimestamp(since // factor, UTC) + timedelta(
            milliseconds=since % factor if factor > 1 else 0
        )
    if type(value) is not str or len(value) > MAX_NUMBER_CHARS:
        raise Unreadable("The expiry is not a time")
    text = value.strip()
    try:
        instant = _us_time(text) if "/" in text else datetime.fromisoformat(text)
        instant = instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
        return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable("The expiry is not a time in ISO 8601") from None


def _us_time(text: str) -> datetime:
    found = _US_TIME.fullmatch(text)
    if found is None:
        raise ValueError(text)
    month, day, year, hour, minute, second, half, sign, off_h, off_min = found.groups()
    hours = int(hour)
    if half:
        if not 1 <= hours <= 12:
            raise ValueError(text)
        hours = hours % 12 + (12 if half == "P" else 0)
    offset = timedelta(hours=int(off_h or 0), minutes=int(off_min or 0))
    written = datetime(int(year), int(month), int(day), hours, int(minute), int(second or 0), tzinfo=UTC)
    return written + offset if sign == "-" else written - offset


def read_destination(said: Said) -> Destination | None:
    """Where the bidder wants the call; None where neither value can be dialled."""
    if said.sip_first:
        return _sip(said.sip) or _phone(said.number)
    return _phone(said.number) or _sip(said.sip)


def _phone(value: object) -> Destination | None:
    if type(value) is int and 0 < value < MAX_WHOLE * 10:
        value = str(value)
    if type(value) is not str or len(value) > MAX_PHONE_CHARS * 4:
        return None
    if "@" in value:
        return _sip(value)
    number = parse_e164(value)
    if isinstance(number, BadPhone) and value.strip().isdigit():
        number = parse_e164(f"+{value.strip()}")
    return None if isinstance(number, BadPhone) else PhoneDestination(number=number)


def _sip(value: object) -> Destination | None:
    if type(value) is not str:
        return None
    text = value.strip()
    if _SIP.fullmatch(text) is None:
        return None
    return SipDestination(uri=text if text.startswith(("sip:", "sips:")) else f"sip:{text}")


def read_id(value: object) -> str:
    """A bidder's own id, which goes back to it as it came."""
    if type(value) is int and -MAX_WHOLE < value < MAX_WHOLE * MAX_WHOLE:
        return str(value)
    if type(value) is str and len(value) <= MAX_BID_ID and value.isprintable():
        return value
    raise Unreadable("The bid's id is not a text of at most 200 characters")


def words(value: object) -> str:
    """A value as a short text for people: one line, without what may be somebody's number."""
    match value:
        case None:
            return ""
        case str():
            text = value
        case bool():
            text = "true" if value else "false"
        case Decimal():
            text = str(value)
        case int():
            text = str(value) if -MAX_WHOLE < value < MAX_WHOLE else "a very large number"
        case list() if value and all(type(one) is str for one in value):
            text = "; ".join(value[:10])
        case _:
            text = _as_json(value)
    text = " ".join(text[: MAX_DETAIL * 2].split())
    text = text if text.isprintable() else "".join(one if one.isprintable() else "?" for one in text)
    return _DIGIT_RUN.sub(_masked, text)[:MAX_DETAIL]


def _as_json(value: object) -> str:
    try:
        return documents.encode_text(value)
    except (TypeError, ValueError, RecursionError, OverflowError, NotImplementedError):
        return "unreadable"


def _masked(found: re.Match[str]) -> str:
    return "•" * (len(found.group()) - 2) + found.group()[-2:]
