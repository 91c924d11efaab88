"""Says what of a request and its answer may be kept: the person's number masked, and no secret."""

import html
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlencode

from callmatrix.core.auction.pings import MIN_NUMBER_DIGITS
from callmatrix.core.documents import encode_text
from callmatrix.core.phone import MASK, mask
from callmatrix.dialects.http import HttpRequest

MAX_KEPT: Final = 8_000
"""Characters of a request or an answer that are kept."""
MAX_READ: Final = 2 * MAX_KEPT
"""Characters that are looked at: what is masked may begin inside of what is kept and end outside."""
HIDDEN: Final = "***"
MAX_SECRETS_SPELT: Final = 2_000
MAX_NUMBERS_READ: Final = 2_000
MIN_SECRET: Final = 4
"""Shorter secrets are not looked for: they would be found everywhere."""

# Parameters of an address that open it, whoever wrote them there.
_OPENING: Final = re.compile(
    r"(?:api|auth|access|private|secret)?[_-]?(?:key|token|secret|password|passwd|signature|sig|auth)",
    re.IGNORECASE,
)
_NO_DIGITS: Final = bytes(range(ord("0"))) + bytes(range(ord("9") + 1, 256))
_ESCAPING: Final = re.compile(r"%|\\u|&#")
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|&#[xX]?[0-9A-Fa-f]{1,6};|[0-9]")


def kept_request(request: HttpRequest, *, number: str | None, secrets: Iterable[str] = ()) -> str:
    """A request as people are shown it: method, address, media type and body. No other header is kept."""
    lines = [f"{request.method} {_without_keys(request.url)}"]
    if media_type := request.headers.get("content-type"):
        lines.append(f"content-type: {media_type}")
    if request.body:
        lines += ["", _read(request.body)]
    return kept_text("\n".join(lines), number=number, secrets=secrets)


def kept_reply(body: bytes, *, number: str | None, secrets: Iterable[str] = ()) -> str:
    """The beginning of an answer as people are shown it."""
    return kept_text(_read(body), number=number, secrets=secrets)


def kept_text(text: str, *, number: str | None, secrets: Iterable[str] = (), at_most: int = MAX_KEPT) -> str:
    """A text fit to be kept: storable, without the secrets however they are written, the number masked."""
    storable = text[:MAX_READ].encode(errors="replace").decode().replace("\0", "")
    return without_number(without_secrets(storable, secrets), number)[:at_most]


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """The text with each secret hidden, however it is written there."""
    for secret in secrets:
        if len(secret) >= MIN_SECRET:
            for written in spellings(secret):
                text = text.replace(written, HIDDEN)
    return text


@lru_cache(maxsize=MAX_SECRETS_SPELT)
def spellings(secret: str) -> tuple[str, ...]:
    """How a secret may stand in a request or an answer that echoes it."""
    plain = (
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        encode_text(secret)[1:-1],
        html.escape(secret),
        b64encode(secret.encode()).decode(),
    )
    return tuple(sorted(set(plain), key=len, reverse=True))


def without_number(text: str, number: str | None) -> str:
    """The text with every digit masked that `phone.mask` would, wherever the number stands in it, however
    it is punctuated or escaped."""
    if number is None:
        return text
    tail = _tail(number)
    if len(tail) < MIN_NUMBER_DIGITS or not _has(text, tail):
        return text
    marks = bytearray(len(text))
    for digits in (_every_digit(text), _unescaped_digits(text)):
        for start, end in _hidden(tuple(digits), number):
            marks[start:end] = b"\1" * (end - start)
    return "".join(MASK if hidden else character for character, hidden in zip(text, marks, strict=True))


@lru_cache(maxsize=MAX_NUMBERS_READ)
def _tail(number: str) -> bytes:
    """The last digits of a number: who has them has the number."""
    return "".join(character for character in number if "0" <= character <= "9")[-MIN_NUMBER_DIGITS:].encode()


def _hidden(digits: tuple[tuple[str, int, int], ...], number: str) -> Iterator[tuple[int, int]]:
    """Where the digits stand that are to be masked."""
    told = "".join(digit for digit, _, _ in digits)
    wanted = [character for character in number if character.isdigit()]
    shown = [character.isdigit() for character in mask(number)]
    hide = [not kept for kept, character in zip(shown, number, strict=True) if character.isdigit()]
    tail = _tail(number).decode()
    place = told.find(tail)
    while place >= 0:
        end = place + len(tail)
        for back in range(1, min(len(wanted), end) + 1):
            digit, start, stop = digits[end - back]
            if digit != wanted[-back]:
                break
            if hide[-back]:
                yield start, stop
        place = told.find(tail, place + 1)


def _has(text: str, tail: bytes) -> bool:
    """Whether digits stand in the text one after the other, whatever is between them."""
    if tail in text.encode(errors="replace").translate(None, _NO_DIGITS):
        return True
    if _ESCAPING.search(text) is None:
        return False
    return tail in _plain(text).encode(errors="replace").translate(None, _NO_DIGITS)


def _every_digit(text: str) -> Iterator[tuple[str, int, int]]:
    for place, character in enumerate(text):
        if "0" <= character <= "9":
            yield character, place, place + 1


def _unescaped_digits(text: str) -> Iterator[tuple[str, int, int]]:
    """The digits that are left when escapes are read as what they stand for."""
    for found in _ESCAPE.finditer(text):
        read = _plain(found[0])
        if len(read) == 1 and read.isdigit():
            yield read, found.start(), found.end()


def _plain(text: str) -> str:
    """A text with its escapes read: of an address, of JSON, of XML."""
    if "\\u" in text:
        text = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda found: chr(int(found[1], 16)), text)
    if "&#" in text:
        text = html.unescape(text)
    return unquote(text) if "%" in text else text


def _without_keys(url: str) -> str:
    """An address without the values of parameters that open it."""
    address, mark, query = url.partition("?")
    if not mark or not _OPENING.search(query):
        return url
    pairs = parse_qsl(query, keep_blank_values=True)
    shown = [(name, HIDDEN if _OPENING.fullmatch(name) else value) for name, value in pairs]
    return f"{address}?{urlencode(shown, safe='*')}"


def _read(body: bytes) -> str:
    return body[: 4 * MAX_READ].decode(errors="replace")
