"""Reads a bidder's URL once, and renders requests to it."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import msgspec

from callmatrix.dialects.http import HttpRequest

MAX_URL: Final = 8_000
MAX_REQUEST_BYTES: Final = 65_536
MAX_REQUEST_HEADERS: Final = 40
USER_AGENT: Final = "CallMatrix"
"""Where the bidder's format names none: servers are wary of who has no name."""

# One reader of the text: what it takes for the host is connected to and told to the bidder.
_URL: Final = re.compile(
    r"(https?)://(\[[0-9A-Fa-f:.]{2,45}\]|[^\s/?#@:\\\[\]%]{1,253})(?::([0-9]{1,5}))?(/[^?#]*)?(\?[^#]*)?(?:#.*)?",
    re.ASCII | re.IGNORECASE,
)
_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_KEPT: Final = "/?%:@!$&'()*+,;=-._~[]|"
_OURS: Final = frozenset(
    (
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "accept-encoding",
        "expect",
        "te",
        "upgrade",
    )
)


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where connections go: `host` a lower-case name or an address without brackets."""

    secure: bool
    host: str
    port: int


class Unaskable(Exception):
    """A request that cannot be sent as it stands; the text says why, without its values."""


def origin_of(url: str) -> Origin:
    """Where a URL's connections go. Raises `Unaskable`."""
    scheme, host, port, _ = _parts(url)
    secure = scheme == "https"
    return Origin(secure=secure, host=host, port=port or (443 if secure else 80))


def render_head(request: HttpRequest) -> bytes:
    """Everything before the number of the body's bytes; a POST's ends in `content-length: `. Raises
    `Unaskable`.

    Nothing that would be unpacked is asked for, and no header of ours can be replaced.
    """
    scheme, host, port, path = _parts(request.url)
    shown = f"[{host}]" if ":" in host else host
    if port and port != (443 if scheme == "https" else 80):
        shown = f"{shown}:{port}"
    lines = [f"{request.method} {path} HTTP/1.1", f"host: {shown}", "accept-encoding: identity"]
    lines += _headers(request.headers)
    text = "\r\n".join(lines)
    return f"{text}\r\ncontent-length: ".encode() if request.method == "POST" else f"{text}\r\n\r\n".encode()


def render(head: bytes, request: HttpRequest) -> bytes:
    """The request's bytes. Raises `Unaskable`."""
    if request.method == "GET":
        return head
    body = request.body
    if len(body) > MAX_REQUEST_BYTES:
        raise Unaskable(f"The request's body is longer than {MAX_REQUEST_BYTES} bytes")
    return b"%b%d\r\n\r\n%b" % (head, len(body), body)


def _parts(url: str) -> tuple[str, str, int, str]:
    if len(url) > MAX_URL:
        raise Unaskable(f"The address is longer than {MAX_URL} characters")
    found = _URL.fullmatch(url)
    if found is None:
        raise Unaskable("The address is no http or https URL, or has a user in it")
    scheme, host, port, path, query = found.groups()
    number = int(port or 0)
    if port is not None and not 0 < number < 65_536:
        raise Unaskable("The address has no possible port")
    return scheme.lower(), _host(host), number, quote(f"{path or '/'}{query or ''}", safe=_KEPT)


def _host(text: str) -> str:
    if text.startswith("["):
        return text[1:-1].lower()
    try:
        name = text.encode("idna").decode() if not text.isascii() else text
    except UnicodeError:
        raise Unaskable("The address has no possible host") from None
    name = name.lower()
    if not _NAME.fullmatch(name):
        raise Unaskable("The address has no possible host")
    return name.rstrip(".")


def _headers(headers: Mapping[str, str]) -> list[str]:
    if len(headers) > MAX_REQUEST_HEADERS:
        raise Unaskable(f"The request has more than {MAX_REQUEST_HEADERS} headers")
    lines = []
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or _FORBIDDEN.search(value):
            raise Unaskable("A header of the request has characters that no header may have")
        if name.lower() not in _OURS:
            lines.append(f"{name}: {value}")
    if not any(name.lower() == "user-agent" for name in headers):
        lines.append(f"user-agent: {USER_AGENT}")
    return lines
