"""The tokens of templates: what each stands for, and how a text with tokens is filled in."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from callmatrix.core.auction import Performance, Ping, Post
from callmatrix.core.money import Money
from callmatrix.dialects.bidders.authentication import Secrets

MAX_PARSED: Final = 4_096
MAX_FILTERS: Final = 5
MAX_VALUE_CHARS: Final = 2_000

# token -> (what it stands for, whether a ping has it, whether a post has it)
TOKENS: Final[dict[str, tuple[str, bool, bool]]] = {
    "ping_id": ("Our id of the ping.", True, True),
    "at": ("The instant, as 2026-03-01T17:00:00Z.", True, True),
    "at_epoch": ("The instant in whole seconds since 1970.", True, True),
    "at_epoch_ms": ("The instant in milliseconds since 1970.", True, True),
    "channel": ("call, form or callback.", True, True),
    "vertical": ("The campaign's vertical.", True, True),
    "state": ("Two letters, such as CA.", True, True),
    "zip": ("Five digits.", True, True),
    "area_code": ("The three digits of the caller's area code.", True, True),
    "attestation": ("How the carrier vouches for the caller's number: A, B or C.", True, True),
    "source": ("Where the lead came from, by the campaign's consent in a ping.", True, True),
    "field:NAME": ("The captured field NAME; in a ping only one that is marked as shareable.", True, True),
    "number": ("The caller's number, +13105550123; in a ping only by consent of both.", True, True),
    "number_no_plus": ("The caller's number without its plus, 13105550123.", True, True),
    "number_10": ("The ten digits of a number in North America, 3105550123.", True, True),
    "number_dashed": ("The same ten digits as 310-555-0123.", True, True),
    "test": ("true for a test, else empty.", True, True),
    "secret:NAME": ("The offer's secret NAME.", True, True),
    "deadline_ms": ("How long the answer counts, in milliseconds.", True, False),
    "floor": ("The least bid that counts, 12.50; empty where there is none.", True, False),
    "performance_days": ("Over how many days the next three are counted.", True, False),
    "performance_calls": ("Calls that this buyer took from us.", True, False),
    "performance_connected": ("Of those, connected.", True, False),
    "performance_converted": ("Of those, converted.", True, False),
    "bid_id": ("The bidder's own id of its bid.", False, True),
    "amount": ("The bid, 12.50.", False, True),
    "amount_cents": ("The bid in whole hundredths, 1250; empty where it has more places.", False, True),
    "lead_id": ("Our id of the lead.", False, True),
    "call_id": ("Our id of the call, if it is one.", False, True),
    "offer_id": ("Our id of the offer.", False, True),
    "consent": ("The text that the sender of a form agreed to.", False, True),
    "consented_at": ("When they did.", False, True),
}
# filter -> what it makes of a value
FILTERS: Final[dict[str, str]] = {
    "upper": "In capitals.",
    "lower": "In small letters.",
    "digits": "Its digits only.",
    "first:N": "Its first N characters.",
    "last:N": "Its last N characters.",
    "map:A=B,C=D": "B where it is A, D where it is C, whatever the case; else empty.",
    "default:TEXT": "TEXT where it is empty.",
}

_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_PLAIN: Final = frozenset(("upper", "lower", "digits"))
_CUTS: Final = frozenset(("first", "last"))
_WHOLE: Final = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
_NANP: Final = re.compile(r"\+1[0-9]{10}", re.ASCII)
_MICROS_PER_CENT: Final = 10_000


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """One token in a text: its name, the NAME after its colon, and its filters with their arguments."""

    name: str
    argument: str = ""
    filters: tuple[tuple[str, str], ...] = ()


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A text taken apart: literals and tokens in order, and what is wrong with it."""

    parts: tuple[str | Use, ...]
    wrong: tuple[str, ...] = ()


@lru_cache(maxsize=MAX_PARSED)
def parse(text: str) -> Text:
    """Take a text apart. `{{` and `}}` stand for braces."""
    parts: list[str | Use] = []
    wrong: list[str] = []
    begin = 0
    for found in _TOKEN.finditer(text):
        if found.start() > begin:
            parts.append(text[begin : found.start()])
        begin = found.end()
        token = found.group()
        if token in ("{{", "}}"):
            parts.append(token[0])
        elif len(token) == 1:
            parts.append(token)
            wrong.append(f"A brace stands alone; write {token}{token} for the character itself")
        else:
            use, reasons = _use(found.group(1))
            parts.append(use)
            wrong += reasons
    if begin < len(text):
        parts.append(text[begin:])
    return Text(parts=tuple(parts), wrong=tuple(wrong))


def _use(written: str) -> tuple[Use, list[str]]:
    token, *filters = written.split("|")
    name, colon, argument = token.strip().partition(":")
    wrong = []
    if f"{name}:NAME" not in TOKENS if colon else name not in TOKENS:
        wrong.append(f"{{{written}}} is not a token")
    if colon and not argument:
        wrong.append(f"{{{written}}} names nothing after its colon")
    read = tuple(_filter(one) for one in filters[:MAX_FILTERS])
    wrong += [
        f"{one} is not a filter" for one, pair in zip(filters, read, strict=False) if not _is_filter(pair)
    ]
    if name == "secret" and filters:  # changed, it could not be hidden again where a request is shown
        return Use(name=name, argument=argument), [*wrong, "A secret takes no filters"]
    if len(filters) > MAX_FILTERS:
        wrong.append(f"{{{written}}} has more than {MAX_FILTERS} filters")
    return Use(name=name, argument=argument, filters=read), wrong


def _filter(written: str) -> tuple[str, str]:
    name, _, argument = written.partition(":")
    return name.strip(), argument


def _is_filter(pair: tuple[str, str]) -> bool:
    name, argument = pair
    if name in _PLAIN:
        return not argument
    if name in _CUTS:
        return _WHOLE.fullmatch(argument) is not None
    if name == "map":
        return all("=" in one for one in argument.split(","))
    return name == "default"


def uses(text: str) -> tuple[Use, ...]:
    """The tokens of a text."""
    return tuple(part for part in parse(text).parts if isinstance(part, Use))


def fill(text: str, values: Callable[[str, str], str]) -> str | None:
    """The text with its tokens' values, by `values(name, argument)`; None where one of them is empty."""
    filled: list[str] = []
    for part in parse(text).parts:
        if isinstance(part, str):
            filled.append(part)
            continue
        value = values(part.name, part.argument)[:MAX_VALUE_CHARS]
        for name, argument in part.filters:
            value = _filtered(value, name, argument)
        if not value:
            return None
        filled.append(value)
    return "".join(filled)


def _filtered(value: str, name: str, argument: str) -> str:
    match name:
        case "upper":
            return value.upper()
        case "lower":
            return value.lower()
        case "digits":
            return "".join(one for one in value if "0" <= one <= "9")
        case "first" | "last":
            count = int(argument) if _WHOLE.fullmatch(argument) else 0
            return value[:count] if name == "first" else value[-count:] if count else ""
        case "map":
            table = {
                key.strip().casefold(): mapped
                for key, _, mapped in (one.partition("=") for one in argument.split(","))
            }
            return table.get(value.strip().casefold(), "")
        case "default":
            return value or argument
        case _:
            return ""


def ping_values(ping: Ping, secrets: Secrets) -> Callable[[str, str], str]:
    """What each token stands for in a ping; one that a ping does not have is empty."""
    return lambda name, argument: _value(_PING, ping, name, argument, secrets)


def post_values(post: Post, secrets: Secrets) -> Callable[[str, str], str]:
    """What each token stands for in a post."""
    return lambda name, argument: _value(_POST, post, name, argument, secrets)


def _value(
    table: "Mapping[str, Callable[..., str]]", lead: Ping | Post, name: str, of: str, secrets: Secrets
) -> str:
    if name == "field":
        return lead.fields.get(of, "")
    if name == "secret":
        return secrets.get(of, "")
    find = table.get(name)
    return "" if find is None else find(lead)


def _iso(lead: Ping | Post) -> str:
    return lead.at.isoformat().replace("+00:00", "Z")


def _ten_digits(lead: Ping | Post) -> str:
    return lead.number[2:] if lead.number and _NANP.fullmatch(lead.number) else ""


def _dashed(lead: Ping | Post) -> str:
    ten = _ten_digits(lead)
    return f"{ten[:3]}-{ten[3:6]}-{ten[6:]}" if ten else ""


def _performance(ping: Ping, of: Callable[[Performance], int]) -> str:
    return "" if ping.performance is None else str(of(ping.performance))


def _cents(amount: Money) -> str:
    cents, rest = divmod(amount.micros, _MICROS_PER_CENT)
    return "" if rest else str(cents)


_BOTH: Final[dict[str, Callable[[Ping | Post], str]]] = {
    "at": _iso,
    "at_epoch": lambda lead: str(int(lead.at.timestamp())),
    "at_epoch_ms": lambda lead: str(int(lead.at.timestamp() * 1_000)),
    "channel": lambda lead: lead.channel,
    "vertical": lambda lead: lead.vertical,
    "state": lambda lead: lead.state or "",
    "zip": lambda lead: lead.zip or "",
    "area_code": lambda lead: lead.area_code or "",
    "attestation": lambda lead: lead.attestation,
    "source": lambda lead: lead.source,
    "number": lambda lead: lead.number or "",
    "number_no_plus": lambda lead: (lead.number or "").removeprefix("+"),
    "number_10": _ten_digits,
    "number_dashed": _dashed,
    "test": lambda lead: "true" if lead.test else "",
}
_PING: Final[dict[str, Callable[[Ping], str]]] = {
    **_BOTH,
    "ping_id": lambda ping: ping.id,
    "deadline_ms": lambda ping: str(ping.deadline_ms),
    "floor": lambda ping: "" if ping.floor is None else str(ping.floor),
    "performance_days": lambda ping: _performance(ping, lambda one: one.days),
    "performance_calls": lambda ping: _performance(ping, lambda one: one.calls),
    "performance_connected": lambda ping: _performance(ping, lambda one: one.connected),
    "performance_converted": lambda ping: _performance(ping, lambda one: one.converted),
}
_POST: Final[dict[str, Callable[[Post], str]]] = {
    **_BOTH,
    "ping_id": lambda post: post.ping_id,
    "bid_id": lambda post: post.bid_id,
    "amount": lambda post: str(post.amount),
    "amount_cents": lambda post: _cents(post.amount),
    "lead_id": lambda post: post.lead_id,
    "call_id": lambda post: post.call_id or "",
    "offer_id": lambda post: post.offer_id,
    "consent": lambda post: post.consent,
    "consented_at": lambda post: (
        "" if post.consented_at is None else post.consented_at.isoformat().replace("+00:00", "Z")
    ),
}
