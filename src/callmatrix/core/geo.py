"""Decides where a caller is: state, area code, ZIP, county, possible time zones. Unknown is never guessed."""

from collections import defaultdict
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
import phonenumbers
import zipcodes
from phonenumbers.tzdata import TIMEZONE_DATA

from callmatrix.core import phone

ZIP_DIGITS: Final = 5
ZIP_PLUS_FOUR_DIGITS: Final = 9
MAX_ZIP_CHARS: Final = 16
MAX_CACHED_NUMBERS: Final = 16_384

STATE_NAMES: Final[dict[str, str]] = {
    "AL": "Alabama",
    "AK": "Alaska",
    "AZ": "Arizona",
    "AR": "Arkansas",
    "CA": "California",
    "CO": "Colorado",
    "CT": "Connecticut",
    "DE": "Delaware",
    "DC": "District of Columbia",
    "FL": "Florida",
    "GA": "Georgia",
    "HI": "Hawaii",
    "ID": "Idaho",
    "IL": "Illinois",
    "IN": "Indiana",
    "IA": "Iowa",
    "KS": "Kansas",
    "KY": "Kentucky",
    "LA": "Louisiana",
    "ME": "Maine",
    "MD": "Maryland",
    "MA": "Massachusetts",
    "MI": "Michigan",
    "MN": "Minnesota",
    "MS": "Mississippi",
    "MO": "Missouri",
    "MT": "Montana",
    "NE": "Nebraska",
    "NV": "Nevada",
    "NH": "New Hampshire",
    "NJ": "New Jersey",
    "NM": "New Mexico",
    "NY": "New York",
    "NC": "North Carolina",
    "ND": "North Dakota",
    "OH": "Ohio",
    "OK": "Oklahoma",
    "OR": "Oregon",
    "PA": "Pennsylvania",
    "RI": "Rhode Island",
    "SC": "South Carolina",
    "SD": "South Dakota",
    "TN": "Tennessee",
    "TX": "Texas",
    "UT": "Utah",
    "VT": "Vermont",
    "VA": "Virginia",
    "WA": "Washington",
    "WV": "West Virginia",
    "WI": "Wisconsin",
    "WY": "Wyoming",
    "AS": "American Samoa",
    "GU": "Guam",
    "MP": "Northern Mariana Islands",
    "PR": "Puerto Rico",
    "VI": "U.S. Virgin Islands",
}
"""The fifty states, the District of Columbia and the five territories: the values of a caller's state."""

TERRITORIES: Final = ("AS", "GU", "MP", "PR", "VI")

# The numbering data names two states differently from the postal service.
_CODES_BY_NAME: Final = {name: code for code, name in STATE_NAMES.items()} | {
    "Washington D.C.": "DC",
    "Washington State": "WA",
}


class CallerGeo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a caller's place.

    `time_zones` are the possible IANA zones, sorted; empty means unknown. `area_code` is that of the
    number even where a ZIP tells the place. `source` says what told it.
    """

    state: str | None = None
    area_code: str | None = None
    zip: str | None = None
    county: str | None = None
    time_zones: tuple[str, ...] = ()
    source: Literal["zip", "number", "unknown"] = "unknown"


UNKNOWN: Final = CallerGeo()


@cache
def zone_names() -> frozenset[str]:
    """The IANA zones that may be named: `Area/City` and `UTC`, from the pinned tzdata, not the machine's."""
    names = (resources.files("tzdata") / "zones").read_text(encoding="ascii").split()
    return frozenset(name for name in names if "/" in name) | {"UTC"}


@cache
def zone(name: str) -> ZoneInfo:
    """The rules of a zone, read once from the pinned tzdata; `ValueError` for a name not in `zone_names`."""
    if name not in zone_names():
        raise ValueError(f"{name!r} is not an IANA time zone")
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@lru_cache(maxsize=MAX_CACHED_NUMBERS)
def from_number(e164: str | None) -> CallerGeo:
    """The place that a number's area code stands for.

    Unknown for toll-free and other non-geographic codes, for countries outside the North American plan
    and for no number. Codes outside the United States have time zones and no state. A code that the
    numbering data does not know yet keeps its digits, so that a rule can name it.
    """
    code = phone.area_code(e164)
    if code is None or e164 is None:
        return UNKNOWN
    area = _areas().get(code)
    if area is None:
        return UNKNOWN if _is_service_code(code) else CallerGeo(area_code=code)
    for length in range(len(e164), len("+1415"), -1):
        zones = _exchange_zones().get(e164[1:length])
        if zones is not None:
            return CallerGeo(state=area.state, area_code=code, time_zones=zones, source="number")
    return area


def from_zip(text: str) -> CallerGeo:
    """The place of a ZIP (five digits, or ZIP+4); `UNKNOWN` where there is no such ZIP.

    A military or freely associated ZIP is known and has no state.
    """
    digits = _zip_digits(text)
    return UNKNOWN if digits is None else _zips().get(digits, UNKNOWN)


def caller_geo(number: str | None, zip_from_ivr: str | None) -> CallerGeo:
    """The place of a caller: a ZIP from the IVR outranks the area code, unless there is no such ZIP."""
    by_number = from_number(number)
    by_zip = UNKNOWN if zip_from_ivr is None else from_zip(zip_from_ivr)
    if by_zip is UNKNOWN:
        return by_number
    return CallerGeo(
        state=by_zip.state,
        area_code=by_number.area_code,
        zip=by_zip.zip,
        county=by_zip.county,
        time_zones=by_zip.time_zones,
        source="zip",
    )


def preload() -> None:
    """Build the tables (about a second), so that the first caller does not wait for them."""
    _zips()
    _areas()
    _exchange_zones()


def _zip_digits(text: str) -> str | None:
    written = text[:MAX_ZIP_CHARS].strip()
    first, dash, four = written.partition("-")
    digits = first + four
    if dash and (len(first) != ZIP_DIGITS or len(digits) != ZIP_PLUS_FOUR_DIGITS):
        return None
    if digits.isascii() and digits.isdigit() and len(digits) in (ZIP_DIGITS, ZIP_PLUS_FOUR_DIGITS):
        return digits[:ZIP_DIGITS]
    return None


def _zip_rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = zipcodes.list_all()  # type: ignore[no-untyped-call]
    return rows


@cache
def _zips() -> dict[str, CallerGeo]:
    return {
        row["zip_code"]: CallerGeo(
            state=row["state"] if row["state"] in STATE_NAMES else None,
            zip=row["zip_code"],
            county=row["county"] or None,
            time_zones=(row["timezone"],) if row["timezone"] in zone_names() else (),
            source="zip",
        )
        for row in _zip_rows()
    }


@cache
def _areas() -> dict[str, CallerGeo]:
    """Area code to place, for every geographic code of the North American plan."""
    states = _states_by_area_code()
    zones_by_zip = _zones_by_area_code_and_state()
    zones_by_number: defaultdict[str, set[str]] = defaultdict(set)
    for prefix, zones in TIMEZONE_DATA.items():
        if prefix.startswith("1") and len(prefix) >= len("1415"):
            zones_by_number[prefix[1:4]].update(zones)
    areas: dict[str, CallerGeo] = {}
    codes = (code for code in states.keys() | zones_by_number.keys() if not _is_service_code(code))
    for code in sorted(codes):
        state = states.get(code)
        # The ZIPs know which zones an area code reaches; the numbering data has several overlays wrong.
        found = zones_by_zip.get((code, state)) or zones_by_number[code]
        areas[code] = CallerGeo(
            state=state,
            area_code=code,
            time_zones=tuple(sorted(found & zone_names())),
            source="number",
        )
    return areas


@cache
def _exchange_zones() -> dict[str, tuple[str, ...]]:
    return {
        prefix: tuple(sorted(zones))
        for prefix, zones in TIMEZONE_DATA.items()
        if prefix.startswith("1") and len(prefix) > len("1415")
    }


def _zones_by_area_code_and_state() -> dict[tuple[str, str | None], set[str]]:
    zones: defaultdict[tuple[str, str | None], set[str]] = defaultdict(set)
    for row in _zip_rows():
        if row["timezone"] in zone_names():
            for code in row["area_codes"]:
                zones[code, row["state"]].add(row["timezone"])
    return dict(zones)


def _states_by_area_code() -> dict[str, str]:
    # A second to import, so only where callers are placed: `preload` does it when a server starts.
    from phonenumbers.geodata import GEOCODE_DATA

    whole_codes: dict[str, str] = {}
    exchanges: defaultdict[str, set[str]] = defaultdict(set)
    for prefix, names in GEOCODE_DATA.items():
        if not prefix.startswith("1") or len(prefix) < len("1415"):
            continue
        state = _state_of_place(names.get("en", ""))
        if len(prefix) == len("1415") and state is not None:
            whole_codes[prefix[1:]] = state
        elif state is not None:
            exchanges[prefix[1:4]].add(state)
    spanning_one = {code: next(iter(found)) for code, found in exchanges.items() if len(found) == 1}
    states = spanning_one | whole_codes
    for territory in TERRITORIES:
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(territory, None)
        for code in (metadata.leading_digits or "").split("|") if metadata else ():
            states[code] = territory
    return states


def _state_of_place(place: str) -> str | None:
    """`California` and `San Francisco, CA` are both CA; a province or an island is none of ours."""
    last = place.rpartition(", ")[2]
    return last if last in STATE_NAMES else _CODES_BY_NAME.get(place)


def _is_service_code(code: str) -> bool:
    """Codes that the plan keeps for services: equal last digits (800, 555, N11), 52x and 710."""
    return code[1] == code[2] or code.startswith("52") or code == "710"
