"""Decides whether one test of one attribute of a call holds; a missing or empty value never does."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, assert_never
from typing import Literal as OneOf

import msgspec
import re2

from callmatrix.core import geo
from callmatrix.core.errors import Problem

MAX_VALUES: Final = 50_000
"""Values of one leaf: enough for every ZIP."""
MAX_VALUE_CHARS: Final = 128
MAX_NAME_CHARS: Final = 64
MAX_PATTERN_CHARS: Final = 256
MAX_PATTERN_BYTES: Final = 1 << 20
"""Memory that one compiled pattern may take."""
MAX_NUMBER_CHARS: Final = 32
MAX_CACHED_LEAVES: Final = 16_384
MAX_CACHED_PATTERNS: Final = 4_096

Subject = OneOf[
    "caller_state",
    "area_code",
    "zip",
    "caller_number",
    "dialed_number",
    "publisher",
    "day_of_week",
    "time_of_day",
    "field",
    "tag",
    "attestation",
]
Operator = OneOf["equal", "in", "starts_with", "matches", "less", "greater", "between", "present"]

OPERATORS: Final[dict[str, tuple[str, ...]]] = {
    "caller_state": ("equal", "in", "present"),
    "area_code": ("equal", "in", "starts_with", "present"),
    "zip": ("equal", "in", "starts_with", "between", "present"),
    "caller_number": ("equal", "in", "starts_with", "matches", "present"),
    "dialed_number": ("equal", "in", "starts_with", "matches"),
    "publisher": ("equal", "in", "present"),
    "day_of_week": ("equal", "in"),
    "time_of_day": ("less", "greater", "between"),
    "field": ("equal", "in", "starts_with", "matches", "less", "greater", "between", "present"),
    "tag": ("equal", "in", "starts_with", "matches", "less", "greater", "between", "present"),
    "attestation": ("equal", "in", "present"),
}
"""The operators that each subject offers."""

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ATTESTATIONS: Final = ("A", "B", "C")

# How many values an operator takes, where the number is fixed.
_VALUE_COUNTS: Final = {"equal": 1, "matches": 1, "less": 1, "greater": 1, "between": 2, "present": 0}
_NAMED: Final = ("field", "tag")
_TIMED: Final = ("day_of_week", "time_of_day")

_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")


class Leaf(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    cache_hash=True,
    tag="leaf",
    tag_field="kind",
):
    """One test of one attribute.

    - `equal`, `in`, `starts_with` compare text exactly; `starts_with` takes several prefixes.
    - `matches` searches one RE2 pattern anywhere in the text; anchor it with `^` and `$`.
    - `less` and `greater` are strict, `between` includes both ends; they compare numbers, and a text that
      is no number is not matched. On `time_of_day` they compare whole minutes as `HH:MM`; there `between`
      leaves out its end, and one that ends before it starts crosses midnight.
    - `present` takes no values.

    `name` is the field's or the tag's; `time_zone` (IANA) belongs to `day_of_week` and `time_of_day`.
    """

    subject: Subject
    operator: Operator
    values: tuple[str, ...] = ()
    name: str | None = None
    time_zone: str | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a call when a rule is asked. `caller` is None for a hidden number."""

    caller: str | None
    dialed_number: str
    caller_state: str | None
    area_code: str | None
    zip: str | None
    publisher_id: str | None
    campaign_id: str
    at: datetime
    fields: dict[str, str]
    tags: dict[str, str]
    attestation: str | None


class Attribute(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """What a leaf reads of a call: leaves with equal attributes read the same text."""

    subject: Subject
    name: str | None
    time_zone: str | None


def attribute_of(leaf: Leaf) -> Attribute:
    """What this leaf reads; a name or zone that its subject does not use is left out."""
    return Attribute(
        subject=leaf.subject,
        name=leaf.name if leaf.subject in _NAMED else None,
        time_zone=leaf.time_zone if leaf.subject in _TIMED else None,
    )


def read(attribute: Attribute, facts: Facts) -> str | None:
    """The text of an attribute; None where it is missing, empty, or told in a zone that does not exist."""
    match attribute.subject:
        case "caller_state":
            found = facts.caller_state
        case "area_code":
            found = facts.area_code
        case "zip":
            found = facts.zip
        case "caller_number":
            found = facts.caller
        case "dialed_number":
            found = facts.dialed_number
        case "publisher":
            found = facts.publisher_id
        case "day_of_week" | "time_of_day":
            found = _read_clock(attribute, facts.at)
        case "field":
            found = facts.fields.get(attribute.name or "")
        case "tag":
            found = facts.tags.get(attribute.name or "")
        case "attestation":
            found = facts.attestation
        case _:
            assert_never(attribute.subject)
    return found or None


def _read_clock(attribute: Attribute, at: datetime) -> str | None:
    if attribute.time_zone not in geo.zone_names():
        return None
    local = at.astimezone(geo.zone(attribute.time_zone or ""))
    if attribute.subject == "day_of_week":
        return DAYS[local.weekday()]
    return f"{local.hour:02}:{local.minute:02}"


@lru_cache(maxsize=MAX_CACHED_LEAVES)
def accepts(leaf: Leaf) -> Callable[[str], bool]:
    """The test of a leaf on a text that is there. Never true for a leaf that has problems."""
    if not _is_usable(leaf):
        return _never
    values = leaf.values
    match leaf.operator:
        case "equal":
            return values[0].__eq__
        case "in":
            return frozenset(values).__contains__
        case "starts_with":
            return lambda text: text.startswith(values)
        case "matches":
            pattern = _pattern(values[0])
            return lambda text: pattern.search(text.encode(errors="replace")) is not None
        case "present":
            return _always
        case "less" | "greater" | "between":
            return _ordered_test(leaf)
        case _:
            assert_never(leaf.operator)


def _never(_text: str) -> bool:
    return False


def _always(_text: str) -> bool:
    return True


def _is_usable(leaf: Leaf) -> bool:
    return next(leaf_problems(leaf, ""), None) is None


def _ordered_test(leaf: Leaf) -> Callable[[str], bool]:
    """`less`, `greater` and `between`, over minutes of the day or over numbers."""
    if leaf.subject == "time_of_day":
        minutes = [parse_minute(value) for value in leaf.values]
        if leaf.operator == "between":
            start, end = minutes
            if start <= end:
                return lambda text: start <= parse_minute(text) < end
            return lambda text: not end <= parse_minute(text) < start
        bound_minute = minutes[0]
        if leaf.operator == "less":
            return lambda text: parse_minute(text) < bound_minute
        return lambda text: parse_minute(text) > bound_minute
    numbers = [Decimal(value) for value in leaf.values]
    if leaf.operator == "between":
        least, most = numbers
        return lambda text: (number := parse_number(text)) is not None and least <= number <= most
    bound = numbers[0]
    if leaf.operator == "less":
        return lambda text: (number := parse_number(text)) is not None and number < bound
    return lambda text: (number := parse_number(text)) is not None and number > bound


def parse_minute(text: str) -> int:
    """The minute of the day of `HH:MM`, a time of day as it is read or a value without problems."""
    return int(text[:2]) * 60 + int(text[3:])


def parse_number(text: str) -> Decimal | None:
    """The number that a text is, exactly; None where it is none, or longer than `MAX_NUMBER_CHARS`."""
    if len(text) > MAX_NUMBER_CHARS or not _NUMBER.fullmatch(text):
        return None
    return Decimal(text)


@lru_cache(maxsize=MAX_CACHED_PATTERNS)
def _pattern(text: str) -> Any:
    """A compiled pattern over bytes; `re2.error` with the reason, `UnicodeError` for half a character."""
    options = re2.Options()
    options.max_mem = MAX_PATTERN_BYTES
    options.log_errors = False
    options.never_capture = True
    return re2.compile(text.encode(), options)


def leaf_holds(leaf: Leaf, facts: Facts) -> bool:
    """Whether a leaf holds for a call."""
    text = read(attribute_of(leaf), facts)
    return text is not None and accepts(leaf)(text)


# --- problems ----------------------------------------------------------------------------------------


def leaf_problems(leaf: Leaf, field: str) -> Iterator[Problem]:
    """What must be mended in one leaf; `field` is its path."""
    offered = OPERATORS.get(leaf.subject)
    if offered is None:
        yield Problem(
            field=f"{field}.subject",
            problem=f"{leaf.subject!r} is unknown",
            remedy=f"Use {', '.join(OPERATORS)}",
        )
        return
    if leaf.operator not in offered:
        yield Problem(
            field=f"{field}.operator",
            problem=f"{leaf.subject} can't be asked with {leaf.operator!r}",
            remedy=f"Use {', '.join(offered)}",
        )
        return
    yield from _name_problems(leaf, field)
    yield from _count_problems(leaf, field)
    for place, value in enumerate(leaf.values[:MAX_VALUES]):
        problem = _value_problem(leaf, value)
        if problem is not None:
            yield Problem(field=f"{field}.values.{place}", problem=problem[0], remedy=problem[1])


def _name_problems(leaf: Leaf, field: str) -> Iterator[Problem]:
    named, timed = leaf.subject in _NAMED, leaf.subject in _TIMED
    if named and not (leaf.name and len(leaf.name) <= MAX_NAME_CHARS):
        yield Problem(
            field=f"{field}.name",
            problem=f"A {leaf.subject} needs its name, of at most {MAX_NAME_CHARS} characters",
            remedy=f"Name the {leaf.subject}",
        )
    if not named and leaf.name is not None:
        yield Problem(field=f"{field}.name", problem=f"{leaf.subject} has no name", remedy="Leave it out")
    if timed and leaf.time_zone not in geo.zone_names():
        yield Problem(
            field=f"{field}.time_zone",
            problem=f"{leaf.time_zone!r} is not an IANA time zone",
            remedy="Name a zone such as America/Chicago",
        )
    if not timed and leaf.time_zone is not None:
        yield Problem(
            field=f"{field}.time_zone", problem=f"{leaf.subject} has no zone", remedy="Leave it out"
        )


def _count_problems(leaf: Leaf, field: str) -> Iterator[Problem]:
    count = len(leaf.values)
    exact = _VALUE_COUNTS.get(leaf.operator)
    if exact is not None and count != exact:
        yield Problem(
            field=f"{field}.values",
            problem=f"{leaf.operator} takes {exact} values, not {count}",
            remedy="Use in for one of several values" if leaf.operator == "equal" else f"Give {exact}",
        )
    elif exact is None and not 1 <= count <= MAX_VALUES:
        yield Problem(
            field=f"{field}.values",
            problem=f"{leaf.operator} takes 1 to {MAX_VALUES} values, not {count}",
            remedy="Add a value" if count == 0 else "Use prefixes, or several conditions",
        )
    elif leaf.operator == "between" and leaf.subject == "time_of_day":
        if leaf.values[0] == leaf.values[1]:
            yield Problem(
                field=f"{field}.values",
                problem="It ends when it starts",
                remedy="For the whole day use 00:00 and 24:00",
            )
    elif leaf.operator == "between":
        least, most = (parse_number(value) for value in leaf.values)
        if least is not None and most is not None and least > most:
            yield Problem(
                field=f"{field}.values", problem="The first value is above the second", remedy="Swap them"
            )


def _value_problem(leaf: Leaf, value: str) -> tuple[str, str] | None:
    """What is wrong with one value of a leaf, and the remedy."""
    if leaf.operator == "matches":
        return _pattern_problem(value)
    if not 1 <= len(value) <= MAX_VALUE_CHARS:
        return f"A value has 1 to {MAX_VALUE_CHARS} characters", "Shorten it or leave it out"
    if leaf.subject == "time_of_day":
        return None if _TIME.fullmatch(value) else (f"{value!r} is not a time", "Write it as 09:30 or 17:00")
    if leaf.operator in ("less", "greater", "between"):
        return (
            None
            if parse_number(value) is not None
            else (f"{value!r} is not a number", "Write it as 18 or 2.5")
        )
    if leaf.operator == "starts_with":
        return _prefix_problem(leaf.subject, value)
    return _exact_problem(leaf.subject, value)


def _pattern_problem(text: str) -> tuple[str, str] | None:
    if not 1 <= len(text) <= MAX_PATTERN_CHARS:
        return f"A pattern has 1 to {MAX_PATTERN_CHARS} characters", "Shorten it, or use several conditions"
    try:
        _pattern(text)
    except re2.error as error:
        reason = error.args[0] if error.args else "it can't be read"
        said = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        return f"The pattern is not valid: {said}", "Mend it; back-references and look-around are not offered"
    except UnicodeError:
        return "The pattern holds half a character", "Type it again"
    return None


def _prefix_problem(subject: Subject, value: str) -> tuple[str, str] | None:
    digits = value.isascii() and value.isdigit()
    if subject == "zip" and not (digits and len(value) <= geo.ZIP_DIGITS):
        return f"{value!r} is not the start of a ZIP", "Give 1 to 5 digits"
    if subject == "area_code" and not (digits and len(value) <= 3):
        return f"{value!r} is not the start of an area code", "Give 1 to 3 digits"
    if subject in ("caller_number", "dialed_number") and not _is_e164_start(value):
        return f"{value!r} is not the start of an E.164 number", "Start with + and the country code: +1415"
    return None


def _exact_problem(subject: Subject, value: str) -> tuple[str, str] | None:
    digits = value.isascii() and value.isdigit()
    if subject == "caller_state" and value not in geo.STATE_NAMES:
        return f"{value!r} is not a state", "Use the two letters of the postal service, such as CA"
    if subject == "zip" and not (digits and len(value) == geo.ZIP_DIGITS):
        return f"{value!r} is not a ZIP", "Give 5 digits"
    if subject == "area_code" and not (digits and len(value) == 3):
        return f"{value!r} is not an area code", "Give 3 digits"
    if subject in ("caller_number", "dialed_number") and not _is_e164_start(value):
        return f"{value!r} is not an E.164 number", "Write it as +14155550100"
    if subject == "day_of_week" and value not in DAYS:
        return f"{value!r} is not a day", f"Use {', '.join(DAYS)}"
    if subject == "attestation" and value not in ATTESTATIONS:
        return f"{value!r} is not an attestation", "Use A, B or C"
    return None


def _is_e164_start(value: str) -> bool:
    digits = value[1:]
    return value.startswith("+") and digits.isascii() and digits.isdigit() and digits[0] != "0"
