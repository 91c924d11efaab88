"""Tells who asks: a session cookie or an API key; and refuses what another site makes a browser send."""

import asyncio
from functools import cache
from typing import Final
from urllib.parse import urlsplit

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from callmatrix.api.access import Principal, Role
from callmatrix.api.reading import AnyRequest
from callmatrix.core.errors import Refused
from callmatrix.live.app import App
from callmatrix.store import access
from callmatrix.store.access import ApiKey, User

COOKIE: Final = "callmatrix_session"
KEY_PREFIX: Final = "cmk_"
BEARER: Final = "bearer "
MAX_TOKEN_CHARS: Final = 200
MAX_HASHING_AT_ONCE: Final = 4
"""A password check takes 64 MiB and a tenth of a second of a core: more at once would starve the calls."""

_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_HASHER: Final = argon2.PasswordHasher()
_HASHING: Final = asyncio.Semaphore(MAX_HASHING_AT_ONCE)


@cache
def _nobodys_hash() -> str:
    """Compared when nobody has that address, so that the time taken does not tell."""
    return _HASHER.hash("nobody signs in with this")


async def identify(app: App, request: AnyRequest) -> Principal:
    """Who asks; `Refused("not_signed_in")` where nobody can be told."""
    now = app.world.now()
    header = request.headers.get("authorization", "")
    if header:
        token = header[len(BEARER) :].strip() if header[: len(BEARER)].lower() == BEARER else ""
        if not may_be_token(token) or not token.startswith(KEY_PREFIX):
            raise Refused("not_signed_in", "The Authorization header is not `Bearer cmk_…`")
        async with app.db.transaction() as tx:
            key = await access.find_key(tx, token, now=now)
        if key is None:
            raise Refused("not_signed_in", "The API key is unknown, revoked or over")
        return Principal(
            account_id=key.account_id,
            id=key.id,
            name=key.name,
            role=role_of(key),
            buyer_id=key.buyer_id,
            publisher_id=key.publisher_id,
            scopes=frozenset(key.scopes),
        )
    token = request.cookies.get(COOKIE, "")
    if not may_be_token(token):
        raise Refused("not_signed_in", "Sign in, or send an API key as `Authorization: Bearer cmk_…`")
    async with app.db.transaction() as tx:
        session = await access.find_session(tx, token, now=now)
    if session is None:
        raise Refused("not_signed_in", "The session is over; sign in again")
    return principal_of(session.user, csrf=session.csrf)


def role_of(key: ApiKey) -> Role:
    """As whom a key acts, within its scopes."""
    if key.buyer_id is not None:
        return "buyer"
    return "admin" if key.publisher_id is None else "publisher"


def principal_of(user: User, *, csrf: str) -> Principal:
    """A signed-in person."""
    return Principal(
        account_id=user.account_id,
        id=user.id,
        name=user.name,
        role=user.role,
        user_id=user.id,
        buyer_id=user.buyer_id,
        publisher_id=user.publisher_id,
        csrf=csrf,
    )


def refuse_cross_site(app: App, principal: Principal | None, request: AnyRequest) -> None:
    """A browser sends our cookie along with what other sites make it send: such a change is refused.

    What tells them apart, in this order: the session's `X-CSRF-Token`, `Sec-Fetch-Site`, `Origin`.
    """
    if request.method in _SAFE or (principal is not None and principal.scopes is not None):
        return
    if principal is not None and principal.csrf and request.headers.get("x-csrf-token") == principal.csrf:
        return
    site = request.headers.get("sec-fetch-site", "")
    origin = request.headers.get("origin", "")
    if site:
        if site in ("same-origin", "none"):
            return
    elif origin:
        if origin in _own_origins(app, request):
            return
    elif principal is None:
        return  # no browser, and nobody signed in whom it could act for
    raise Refused(
        "not_allowed",
        "This does not come from our own pages; send the session's X-CSRF-Token, or use an API key",
    )


def _own_origins(app: App, request: AnyRequest) -> tuple[str, str]:
    public = urlsplit(app.settings.public_url)
    return f"{public.scheme}://{public.netloc}", f"http://{request.headers.get('host', '')}"


def may_be_token(token: str) -> bool:
    """Whether a text can be a session's or a key's at all."""
    return 0 < len(token) <= MAX_TOKEN_CHARS and token.isascii() and token.isprintable()


async def hash_password(password: str) -> str:
    """The argon2 hash of a password."""
    async with _HASHING:
        return await asyncio.to_thread(_HASHER.hash, password)


async def is_password(hashed: str | None, password: str) -> bool:
    """Whether the password is right; takes as long where there is none."""
    async with _HASHING:
        right = await asyncio.to_thread(_verified, hashed, password)
    return right and hashed is not None


def _verified(hashed: str | None, password: str) -> bool:
    try:
        return _HASHER.verify(hashed or _nobodys_hash(), password)
    except (VerificationError, InvalidHashError):
        return False
