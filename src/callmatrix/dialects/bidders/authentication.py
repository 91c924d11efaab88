"""Says with which headers a bidder is asked, and which secrets that takes."""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Final, assert_never

from callmatrix.core.auction import NoBid
from callmatrix.core.campaign import Authentication, BasicAuth, BearerAuth, HeaderAuth, HmacAuth, NoAuth

RESERVED_HEADERS: Final = frozenset(
    (
        *("host", "connection", "keep-alive", "content-length", "content-type", "transfer-encoding"),
        *("te", "trailer", "upgrade", "expect", "accept", "accept-encoding", "user-agent", "cookie"),
    )
)
"""Headers that an authentication may not be called: they say how the request itself is read."""

Secrets = Mapping[str, str]


def secrets_of(authentication: Authentication) -> tuple[str, ...]:
    """The names of the secrets that it takes."""
    match authentication:
        case NoAuth():
            return ()
        case BearerAuth() | HeaderAuth():
            return ("token",)
        case BasicAuth():
            return ("password",)
        case HmacAuth():
            return ("key",)
        case _:
            assert_never(authentication)


def authenticate(
    headers: dict[str, str], authentication: Authentication, secrets: Secrets, *, signed: bytes, at: datetime
) -> NoBid | None:
    """Add the header that opens the bidder; what keeps it from being added, otherwise.

    `signed` is what an HMAC covers: the body, or where there is none the query.
    """
    if type(authentication) is NoAuth:
        return None
    (name,) = secrets_of(authentication)
    secret = secrets.get(name, "")
    if not secret:
        return missing(name)
    match authentication:
        case NoAuth():
            return None
        case BearerAuth():
            return _add(headers, "authorization", f"Bearer {secret}")
        case HeaderAuth():
            return _add(headers, authentication.name.lower(), secret)
        case BasicAuth():
            both = f"{authentication.user}:{secret}".encode()
            return _add(headers, "authorization", f"Basic {b64encode(both).decode()}")
        case HmacAuth():
            at_s = int(at.timestamp())
            digest = hmac.digest(secret.encode(), b"%d.%b" % (at_s, signed), "sha256").hex()
            return _add(headers, authentication.name.lower(), f"t={at_s},v1={digest}")
        case _:
            assert_never(authentication)


def header_of(authentication: Authentication) -> str | None:
    """The name of the header that it adds, in lower case."""
    match authentication:
        case NoAuth():
            return None
        case BearerAuth() | BasicAuth():
            return "authorization"
        case HeaderAuth() | HmacAuth():
            return authentication.name.lower()
        case _:
            assert_never(authentication)


def missing(name: str) -> NoBid:
    """A bidder that cannot be asked, for want of this secret."""
    return NoBid(code="unconfigured", detail=f"The secret {name} is missing")


def _add(headers: dict[str, str], name: str, value: str) -> NoBid | None:
    if name in RESERVED_HEADERS:
        return NoBid(code="unconfigured", detail=f"The header {name} cannot carry a secret")
    # Line ends in a value would add headers, or a whole request, of somebody else's making.
    if not (value.isascii() and value.isprintable()):
        return NoBid(code="unconfigured", detail="The secret has characters that a header cannot carry")
    headers[name] = value
    return None
