"""One HTTP exchange as values, so that dialects can say what to ask and read what came back."""

from typing import Literal

import msgspec


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to send. `headers` have lower-case names."""

    method: Literal["GET", "POST"]
    url: str
    headers: dict[str, str] = {}
    body: bytes = b""


class HttpReply(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, whole. `headers` have lower-case names, where anybody asks for them."""

    status: int
    body: bytes
    headers: dict[str, str] = {}
