"""What the raw ASGI lanes share: reading a bounded body, sending an answer, telling a refusal."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from callmatrix.core.documents import encode
from callmatrix.core.errors import REFUSALS, Refused

PROBLEM: Final = b"application/problem+json"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def read_body(receive: Receive, headers: dict[str, str], *, most: int, within_s: float) -> bytes:
    """The body, at most so many bytes, in so many seconds; `Refused("too_large")` or `("malformed")`."""
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or int(length[:12]) > most:
        raise Refused("too_large", f"A body has at most {most} bytes")
    try:
        async with asyncio.timeout(within_s):
            return await _read_all(receive, most)
    except TimeoutError:
        raise Refused("malformed", f"The body did not come within {within_s} s") from None


async def _read_all(receive: Receive, most: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused("malformed", "The request ended before its body")
        body += message.get("body", b"")
        if len(body) > most:
            raise Refused("too_large", f"A body has at most {most} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def problem_reply(refused: Refused) -> tuple[int, bytes, bytes]:
    """A refusal as status, media type and body."""
    status, title = REFUSALS[refused.code]
    document = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": refused.code,
        "detail": refused.detail,
        "problems": refused.problems,
    }
    return status, PROBLEM, encode(document)


async def answer(send: Send, status: int, content_type: bytes, body: bytes) -> None:
    """Send a whole answer."""
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
