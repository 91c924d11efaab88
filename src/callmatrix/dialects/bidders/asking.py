"""Puts a request together: where its values go, and how they are escaped there."""

from collections.abc import Iterable
from typing import Final, Literal
from urllib.parse import urlencode

import msgspec

JSON: Final = "application/json"
XML: Final = "application/xml"
FORM: Final = "application/x-www-form-urlencoded"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request before it is authenticated. `content_type` is "" where there is no body."""

    method: Literal["GET", "POST"]
    url: str
    body: bytes = b""
    content_type: str = ""
    accept: str = JSON


def by_json(url: str, body: bytes) -> Asked:
    """A POST of this JSON."""
    return Asked(method="POST", url=url, body=body, content_type=JSON)


def by_query(
    url: str, pairs: Iterable[tuple[str, str]], *, method: Literal["GET", "POST"], accept: str = JSON
) -> Asked:
    """A request whose values are in the query, after those that the address has already."""
    return Asked(method=method, url=with_query(url, pairs), accept=accept)


def with_query(url: str, pairs: Iterable[tuple[str, str]]) -> str:
    """The address with these parameters added; a fragment is dropped, which no server is sent."""
    address = url.partition("#")[0]
    query = urlencode(list(pairs), errors="replace")
    if not query:
        return address
    return f"{address}{'&' if '?' in address else '?'}{query}"


def query_of(url: str) -> bytes:
    """The query of an address, as it is sent."""
    return url.partition("#")[0].partition("?")[2].encode()
