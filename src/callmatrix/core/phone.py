"""Reads telephone numbers: what a number is in E.164, whether a caller hid it, and what kind it is."""

from functools import lru_cache
from typing import Final, Literal

import msgspec
import phonenumbers

MAX_PHONE_CHARS: Final = 64
MAX_CACHED_NUMBERS: Final = 65_536

NANP_CHARS: Final = len("+14155550100")
PREMIUM_AREA_CODE: Final = "900"
MASK: Final = "•"
MASK_KEEPS_LAST: Final = 2

NumberKind = Literal["toll_free", "geographic", "other"]
BadPhoneCode = Literal["empty", "not_a_number", "too_short", "too_long", "has_extension", "unknown_country"]

# What carriers and SIP say instead of a number, folded to letters only.
_HIDDEN_WORDS: Final = frozenset(
    {
        "anonymous",
        "anonymousanonymousinvalid",
        "blocked",
        "hidden",
        "nocallerid",
        "notavailable",
        "o",
        "outofarea",
        "p",
        "private",
        "restricted",
        "unavailable",
        "unknown",
        "unknowncaller",
        "withheld",
    }
)
# Some carriers spell the word on the telephone's keypad and send it as if it were a number.
_KEYPAD: Final = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
_SPELLED_WORDS: Final = ("anonymous", "blocked", "private", "restricted", "unavailable", "unknown")
_SPELLED_NUMBERS: Final = frozenset(word.translate(_KEYPAD) for word in _SPELLED_WORDS)

_GEOGRAPHIC_TYPES: Final = frozenset(
    {
        phonenumbers.PhoneNumberType.FIXED_LINE,
        phonenumbers.PhoneNumberType.MOBILE,
        phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
    }
)


class BadPhone(msgspec.Struct, frozen=True, kw_only=True):
    """Why a text is not a telephone number, in words for the person who typed it."""

    code: BadPhoneCode
    problem: str


def parse_e164(text: str, default_region: str = "US") -> str | BadPhone:
    """A number as people and carriers write it, as E.164.

    Reads national and international notation, vanity letters, and `tel:` and `sip:` addresses. It asks
    whether the number has a possible length in its country, not whether somebody holds it: new area codes
    and test numbers (555) must pass. A number with an extension is refused, because it would be dialled
    without.
    """
    if _is_plain_nanp(text):
        return text
    return _parse(text[: MAX_PHONE_CHARS + 1], default_region)


def _is_plain_nanp(text: str) -> bool:
    return (
        len(text) == NANP_CHARS
        and text.startswith("+1")
        and text.isascii()
        and text[2:].isdigit()
        and text[2] not in "01"
    )


@lru_cache(maxsize=MAX_CACHED_NUMBERS)
def _parse(text: str, default_region: str) -> str | BadPhone:
    written = _without_sip(text.strip())
    if not written:
        return BadPhone(code="empty", problem="There is no number")
    if len(text) > MAX_PHONE_CHARS:
        return BadPhone(code="too_long", problem=f"A number has at most {MAX_PHONE_CHARS} characters")
    try:
        number = phonenumbers.parse(written, default_region)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
            return BadPhone(
                code="unknown_country", problem="The country code is unknown; start with + and it"
            )
        if error.error_type == phonenumbers.NumberParseException.TOO_LONG:
            return BadPhone(code="too_long", problem="The number has too many digits")
        if error.error_type != phonenumbers.NumberParseException.NOT_A_NUMBER:
            return BadPhone(code="too_short", problem="The number has too few digits")
        return BadPhone(code="not_a_number", problem="This is not a telephone number")
    if number.extension:
        return BadPhone(code="has_extension", problem="Leave out the extension; it would not be dialled")
    return _with_possible_length(number)


def _with_possible_length(number: phonenumbers.PhoneNumber) -> str | BadPhone:
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason == phonenumbers.ValidationResult.IS_POSSIBLE:
        return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    if reason == phonenumbers.ValidationResult.TOO_LONG:
        return BadPhone(code="too_long", problem="The number has too many digits for its country")
    if reason == phonenumbers.ValidationResult.INVALID_COUNTRY_CODE:
        return BadPhone(code="unknown_country", problem="The country code is unknown; start with + and it")
    return BadPhone(code="too_short", problem="The number has too few digits; give it with its area code")


def _without_sip(text: str) -> str:
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() in ("sip", "sips"):
        return rest.partition("@")[0].partition(";")[0]
    return text


def is_anonymous(caller: str | None) -> bool:
    """Whether this stands for a caller who hid the number: nothing, a word, or a word on the keypad."""
    if not caller:
        return True
    text = caller.strip()[:MAX_PHONE_CHARS].lower()
    if text.startswith(("sip:", "sips:")):
        text = _without_sip(text)
    if text.lstrip("+") in _SPELLED_NUMBERS:
        return True
    if any(character.isdigit() for character in text):
        return False
    letters = "".join(character for character in text if character.isalpha())
    return not letters or letters in _HIDDEN_WORDS


def area_code(e164: str | None) -> str | None:
    """The three digits after +1; None outside the North American plan."""
    return e164[2:5] if e164 is not None and _is_plain_nanp(e164) else None


def mask(e164: str) -> str:
    """A number for eyes that may not see it: country and area code, and the last two digits."""
    shown = 5 if _is_plain_nanp(e164) else 3
    hidden = max(0, len(e164) - shown - MASK_KEEPS_LAST)
    if not hidden:
        return MASK * len(e164)
    return e164[:shown] + MASK * hidden + e164[-MASK_KEEPS_LAST:]


@lru_cache(maxsize=MAX_CACHED_NUMBERS)
def kind(e164: str) -> NumberKind:
    """Toll-free, geographic (fixed or mobile), or other: premium, personal, unallocated, not a number."""
    try:
        number_type = phonenumbers.number_type(phonenumbers.parse(e164[:MAX_PHONE_CHARS], None))
    except phonenumbers.NumberParseException:
        return "other"
    if number_type == phonenumbers.PhoneNumberType.TOLL_FREE:
        return "toll_free"
    return "geographic" if number_type in _GEOGRAPHIC_TYPES else "other"


@lru_cache(maxsize=MAX_CACHED_NUMBERS)
def same_cost(e164: str, like: str) -> bool:
    """Whether a number that somebody else names may be dialled at our cost where `like` was agreed: in the
    same country, or in both of the United States and Canada, and not of premium rate."""
    try:
        number, agreed = (phonenumbers.parse(one[:MAX_PHONE_CHARS], None) for one in (e164, like))
    except phonenumbers.NumberParseException:
        return False
    if number.country_code != agreed.country_code or area_code(e164) == PREMIUM_AREA_CODE:
        return False
    if phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.PREMIUM_RATE:
        return False
    # Numbers that nobody holds yet have no region; those of other countries in the same plan have theirs.
    region = phonenumbers.region_code_for_number(number)
    home = ("US", "CA") if number.country_code == 1 else (phonenumbers.region_code_for_number(agreed),)
    return region is None or region in home
