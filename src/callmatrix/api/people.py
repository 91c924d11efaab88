"""People: signing in and out, users, and one-time links."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import msgspec

from callmatrix.api import auth
from callmatrix.api.access import Principal, Role
from callmatrix.api.config import by_of
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import (
    IdText,
    Page,
    PageQuery,
    cursor_of,
    is_full,
    parts_of,
)
from callmatrix.api.problems import invalid
from callmatrix.core.campaign import Account, Buyer, Publisher
from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId, BuyerId, PublisherId, UserId
from callmatrix.store import access, attempts, audit, catalog
from callmatrix.store.access import ApiKey, User
from callmatrix.store.audit import Act, By
from callmatrix.store.db import Transaction

SESSION_S: Final = 12 * 3_600
LINK_S: Final = 7 * 24 * 3_600
MIN_PASSWORD: Final = 12
MAX_PASSWORD: Final = 200
TRIES: Final = 10
TRIES_BY_ADDRESS: Final = 50
TRY_WINDOW_S: Final = 900
FIRST_EMAIL: Final = "admin@localhost"

Email = Annotated[str, msgspec.Meta(min_length=3, max_length=254)]
Password = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_PASSWORD)]
NewPassword = Annotated[str, msgspec.Meta(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)]
PersonName = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
Token = Annotated[str, msgspec.Meta(min_length=20, max_length=200)]


class SignIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who signs in."""

    email: Email
    password: Password


class FirstSignIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The token of a one-time link, and the password to be."""

    token: Token
    password: NewPassword


class ChangePassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password now, and the one to be."""

    password: Password
    new_password: NewPassword


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in, and in which account, whose currency and zone everything is shown in. `csrf_token`
    goes into `X-CSRF-Token` where a client is no browser on our pages."""

    id: str
    account_id: str
    name: str
    role: Role
    buyer_id: str | None
    publisher_id: str | None
    scopes: tuple[str, ...] | None
    csrf_token: str
    account: str
    currency: str
    time_zone: str


class UserBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person to be. Role `buyer` needs `buyer_id`, role `publisher` needs `publisher_id`."""

    email: Email
    name: PersonName
    role: Role
    buyer_id: IdText | None = None
    publisher_id: IdText | None = None


class UserChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name, role, scope and status as they shall be; who may less than before is signed out."""

    name: PersonName
    role: Role
    status: Annotated[str, msgspec.Meta(pattern="^(active|disabled)$")] = "active"
    buyer_id: IdText | None = None
    publisher_id: IdText | None = None


class UserLink(msgspec.Struct, frozen=True, kw_only=True):
    """A person and the link that signs them in once, to choose a password; shown now and never again."""

    user: User
    link: str
    expires_at: datetime


class TooManyTries(Refused):
    """`Refused("too_many_requests")` with the seconds to wait."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("too_many_requests", "Too many tries to sign in; wait a little")
        self.retry_after_s = retry_after_s


async def offer_first_sign_in(
    tx: Transaction, account_id: AccountId, *, token: str, user_id: UserId, now: datetime
) -> None:
    """A one-time link (`/first-sign-in?token=…`) for the first admin of an account where nobody has chosen a
    password yet; links made before are void."""
    known = await access.password_of(tx, FIRST_EMAIL)
    if known is not None:
        user, _ = known
    else:
        user = User(
            id=user_id,
            account_id=account_id,
            email=FIRST_EMAIL,
            name="First admin",
            role="admin",
            created_at=now,
        )
        user = await access.add_user(tx, user, by=By(who="system", at=now, note="First start"))
    await access.make_link(tx, user, token=token, now=now, expires_at=now + timedelta(seconds=LINK_S))


# --- signing in and out --------------------------------------------------------------------------------


async def sign_in(ask: Ask) -> Reply:
    """Compare the password and begin a session."""
    given = ask.given(SignIn)
    email = given.email.strip().lower()
    await _count_try(ask, f"address:{ask.address}", most=TRIES_BY_ADDRESS)
    await _count_try(ask, f"email:{email}", most=TRIES)
    async with ask.app.db.transaction() as tx:
        found = await access.password_of(tx, email)
    user, hashed = (None, None) if found is None else found
    right = await auth.is_password(hashed, given.password)
    if user is None or not right or user.status != "active":
        raise Refused("not_signed_in", "The e-mail or the password is wrong")
    async with ask.app.db.transaction() as tx:
        await attempts.clear(tx, f"email:{email}")
        return await _begin(ask, tx, user)


async def first_sign_in(ask: Ask) -> Reply:
    """Choose a password by a one-time link, and begin a session."""
    given = ask.given(FirstSignIn)
    await _count_try(ask, f"address:{ask.address}", most=TRIES_BY_ADDRESS)
    hashed = await auth.hash_password(given.password)
    async with ask.app.db.transaction() as tx:
        user = await access.use_link(tx, given.token, now=ask.now)
        if user is None:
            raise Refused("not_signed_in", "The link was used, is over, or never was; ask for a new one")
        by = By(who=user.id, at=ask.now, note="One-time link")
        await access.set_password(tx, user.account_id, user.id, hashed, by=by)
        return await _begin(ask, tx, user)


async def sign_out(ask: Ask) -> Reply:
    """End the session."""
    async with ask.app.db.transaction() as tx:
        await access.end_session(tx, ask.session)
    return Reply(status=204, headers={"Set-Cookie": _cookie(ask, "", max_age_s=0)})


async def read_me(ask: Ask) -> Reply:
    """Who is signed in."""
    async with ask.app.db.transaction() as tx:
        return Reply(value=await told_me(tx, ask.who))


async def change_password(ask: Ask) -> Reply:
    """Change one's own password; every other session ends."""
    given, who = ask.given(ChangePassword), ask.who
    if who.user_id is None:
        raise Refused("not_allowed", "A key has no password")
    async with ask.app.db.transaction() as tx:
        user = await access.get_user(tx, who.account_id, who.user_id)
    await _count_try(ask, f"email:{user.email}", most=TRIES)
    async with ask.app.db.transaction() as tx:
        found = await access.password_of(tx, user.email)
    if found is None or not await auth.is_password(found[1], given.password):
        raise invalid("password", "It is not the password of now", "Send the one that you signed in with")
    hashed = await auth.hash_password(given.new_password)
    async with ask.app.db.transaction() as tx:
        await access.set_password(tx, who.account_id, who.user_id, hashed, by=by_of(ask))
        await attempts.clear(tx, f"email:{user.email}")
        return await _begin(ask, tx, user)


async def _count_try(ask: Ask, subject: str, *, most: int) -> None:
    """One more try, counted also where it fails; `TooManyTries` past the most."""
    async with ask.app.db.transaction() as tx:
        count = await attempts.count(tx, subject, now=ask.now, window_s=TRY_WINDOW_S)
    if count > most:
        raise TooManyTries(TRY_WINDOW_S)


async def _begin(ask: Ask, tx: Transaction, user: User) -> Reply:
    token, csrf = ask.app.world.token(), ask.app.world.token()
    expires_at = ask.now + timedelta(seconds=SESSION_S)
    await access.begin_session(tx, user, token=token, csrf=csrf, now=ask.now, expires_at=expires_at)
    act = Act(what="sign_in", kind="user", target_id=user.id)
    await audit.record(tx, user.account_id, act, by=By(who=user.id, at=ask.now))
    cookie = _cookie(ask, token, max_age_s=SESSION_S)
    return Reply(value=await told_me(tx, auth.principal_of(user, csrf=csrf)), headers={"Set-Cookie": cookie})


def _cookie(ask: Ask, token: str, *, max_age_s: int) -> str:
    secure = "; Secure" if ask.app.settings.public_url.startswith("https://") else ""
    return f"{auth.COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}"


async def told_me(tx: Transaction, who: Principal) -> Me:
    """Who somebody is, and in which account."""
    account = (await catalog.get(tx, who.account_id, Account, who.account_id)).document
    return Me(
        id=who.id,
        account_id=who.account_id,
        name=who.name,
        role=who.role,
        buyer_id=who.buyer_id,
        publisher_id=who.publisher_id,
        scopes=None if who.scopes is None else tuple(sorted(who.scopes)),
        csrf_token=who.csrf,
        account=account.name,
        currency=account.currency,
        time_zone=account.time_zone,
    )


# --- users ---------------------------------------------------------------------------------------------


async def list_users(ask: Ask) -> Reply:
    """Everybody who may sign in."""
    query = ask.asked(PageQuery)
    after = parts_of(query.cursor, 1)
    async with ask.app.db.transaction() as tx:
        found = await access.users(
            tx, ask.who.account_id, after="" if after is None else after[0], limit=query.limit
        )
    cursor = cursor_of(found[-1].email) if is_full(found, query.limit) else None
    return Reply(value=Page(items=found, next_cursor=cursor))


async def create_user(ask: Ask) -> Reply:
    """A new person, with the link by which they choose a password."""
    given = ask.given(UserBody)
    user = User(
        id=UserId(ask.new_id("usr")),
        account_id=ask.who.account_id,
        email=given.email,
        name=given.name,
        role=given.role,
        buyer_id=None if given.buyer_id is None else BuyerId(given.buyer_id),
        publisher_id=None if given.publisher_id is None else PublisherId(given.publisher_id),
        created_at=ask.now,
    )
    async with ask.app.db.transaction() as tx:
        await refuse_unknown_scope(tx, user)
        made = await access.find_user(tx, user.account_id, user.id) if ask.repeat else None
        kept = made or await access.add_user(tx, user, by=by_of(ask))
        return await _linked(ask, tx, kept)


async def create_link(ask: Ask) -> Reply:
    """A new one-time link, for a forgotten password; links made before are void."""
    async with ask.app.db.transaction() as tx:
        user = await access.get_user(tx, ask.who.account_id, UserId(ask.path["id"]))
        act = Act(what="link", kind="user", target_id=user.id)
        await audit.record(tx, ask.who.account_id, act, by=by_of(ask))
        return await _linked(ask, tx, user)


async def _linked(ask: Ask, tx: Transaction, user: User) -> Reply:
    token = ask.app.world.token()
    expires_at = ask.now + timedelta(seconds=LINK_S)
    await access.make_link(tx, user, token=token, now=ask.now, expires_at=expires_at)
    link = f"{ask.app.settings.public_url}/first-sign-in?token={token}"
    return Reply(value=UserLink(user=user, link=link, expires_at=expires_at), status=201)


async def read_user(ask: Ask) -> Reply:
    """One person."""
    async with ask.app.db.transaction() as tx:
        return Reply(value=await access.get_user(tx, ask.who.account_id, UserId(ask.path["id"])))


async def change_user(ask: Ask) -> Reply:
    """Change what a person is called and may."""
    given = ask.given(UserChange)
    async with ask.app.db.transaction() as tx:
        before = await access.get_user(tx, ask.who.account_id, UserId(ask.path["id"]))
        changes: dict[str, Any] = msgspec.structs.asdict(given)
        user = msgspec.structs.replace(before, **changes)
        await refuse_unknown_scope(tx, user)
        return Reply(value=await access.change_user(tx, user, by=by_of(ask)))


async def refuse_unknown_scope(tx: Transaction, whose: User | ApiKey) -> None:
    """`Refused("not_found")` where the buyer or publisher that somebody is to act for is not there."""
    if whose.buyer_id is not None:
        await catalog.get(tx, whose.account_id, Buyer, whose.buyer_id)
    if whose.publisher_id is not None:
        await catalog.get(tx, whose.account_id, Publisher, whose.publisher_id)


_TAG: Final = "sign-in"

SIGN_IN: Final = (
    Operation(
        method="POST",
        path="/api/sign-in",
        name="sign_in",
        tag=_TAG,
        summary="Sign in with e-mail and password",
        permission="public",
        body=SignIn,
        returns=Me,
        example={"email": "person@example.com", "password": "a long password of one's own"},
        refusals=("not_signed_in", "not_allowed", "too_many_requests"),
        run=sign_in,
    ),
    Operation(
        method="POST",
        path="/api/first-sign-in",
        name="first_sign_in",
        tag=_TAG,
        summary="Choose a password by a one-time link",
        permission="public",
        body=FirstSignIn,
        returns=Me,
        example={"token": "the token of the link", "password": "a long password of one's own"},
        refusals=("not_signed_in", "not_allowed", "too_many_requests"),
        run=first_sign_in,
    ),
    Operation(
        method="POST",
        path="/api/sign-out",
        name="sign_out",
        tag=_TAG,
        summary="End the session",
        permission="self",
        status=204,
        run=sign_out,
    ),
    Operation(
        method="GET",
        path="/api/me",
        name="read_me",
        tag=_TAG,
        summary="Who is signed in",
        permission="self",
        returns=Me,
        run=read_me,
    ),
    Operation(
        method="POST",
        path="/api/me/password",
        name="change_password",
        tag=_TAG,
        summary="Change one's own password",
        permission="self",
        body=ChangePassword,
        returns=Me,
        example={"password": "the one of now", "new_password": "a longer one of one's own"},
        refusals=("too_many_requests",),
        run=change_password,
    ),
)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/users",
        name="list_users",
        tag="users and keys",
        summary="Everybody who may sign in, by address",
        permission="administer",
        query=PageQuery,
        returns=Page[User],
        run=list_users,
    ),
    Operation(
        method="POST",
        path="/api/users",
        name="create_user",
        tag="users and keys",
        summary="A new person, with the one-time link to choose a password",
        permission="administer",
        body=UserBody,
        returns=UserLink,
        status=201,
        example=UserBody(email="analyst@example.com", name="An analyst", role="analyst"),
        secret=True,
        refusals=("conflict", "not_found"),
        run=create_user,
    ),
    Operation(
        method="GET",
        path="/api/users/{id}",
        name="read_user",
        tag="users and keys",
        summary="One person",
        permission="administer",
        returns=User,
        run=read_user,
    ),
    Operation(
        method="PUT",
        path="/api/users/{id}",
        name="change_user",
        tag="users and keys",
        summary="Change name, role, scope and status",
        permission="administer",
        body=UserChange,
        returns=User,
        example=UserChange(name="A manager", role="manager"),
        refusals=("conflict",),
        run=change_user,
    ),
    Operation(
        method="POST",
        path="/api/users/{id}/link",
        name="create_user_link",
        tag="users and keys",
        summary="A new one-time link, for a forgotten password",
        permission="administer",
        returns=UserLink,
        status=201,
        secret=True,
        run=create_link,
    ),
)
