"""Keeps who may come in: users, their sessions and sign-in links, API keys, and how often somebody tried."""

import hashlib
import re
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from callmatrix.core.errors import Problem, Refused
from callmatrix.core.ids import AccountId, BuyerId, PublisherId, UserId
from callmatrix.store import audit
from callmatrix.store.audit import Act, By
from callmatrix.store.db import Row, Transaction

Role = Literal["admin", "manager", "analyst", "buyer", "publisher"]

MAX_USERS: Final = 10_000
MAX_KEYS: Final = 1_000
MAX_SCOPES: Final = 20
MAX_NAME: Final = 120
MAX_EMAIL: Final = 254
KEY_PREFIX_CHARS: Final = 8
KEY_SEEN_EVERY: Final = timedelta(minutes=1)
"""A key's last use is written down at most so often: a write for every read would cost more than it tells."""
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person who signs in. Buyers' and publishers' people see only what is theirs."""

    id: UserId
    account_id: AccountId
    email: str
    name: str
    role: Role
    status: Literal["active", "disabled"] = "active"
    buyer_id: BuyerId | None = None
    publisher_id: PublisherId | None = None
    has_password: bool = False
    created_at: datetime
    last_seen_at: datetime | None = None


class SessionFound(msgspec.Struct, frozen=True, kw_only=True):
    """A session in force and whose it is; `csrf` is what changing requests must repeat."""

    user: User
    csrf: str
    expires_at: datetime


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key for programs, without its secret: `prefix` is the beginning of it, for people to tell by. One of
    a buyer's or publisher's own system sees what is theirs, like their people."""

    id: str
    account_id: AccountId
    name: str
    prefix: str
    scopes: tuple[str, ...]
    buyer_id: BuyerId | None = None
    publisher_id: PublisherId | None = None
    created_by: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


def hashed(token: str) -> bytes:
    """What is kept of a token: with 256 random bits a plain SHA-256 can't be guessed."""
    return hashlib.sha256(token.encode()).digest()


# --- users ---------------------------------------------------------------------------------------------


async def add_user(tx: Transaction, user: User, *, by: By) -> User:
    """Keep a new user, without a password. `Refused("invalid")` for an address that is none or a scope that
    is not the role's, `("conflict")` where somebody signs in with that address already."""
    user = _checked(user)
    made = await tx.fetchval(
        "insert into app_user (account_id, id, email, name, role, buyer_id, publisher_id, status, created_at,"
        " changed_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)"
        " on conflict (email) do nothing returning 1",
        user.account_id,
        user.id,
        user.email,
        user.name,
        user.role,
        user.buyer_id,
        user.publisher_id,
        user.status,
        by.at,
    )
    if made is None:
        raise Refused("conflict", f"Somebody signs in with {user.email} already")
    await audit.record(tx, user.account_id, Act(what="create", kind="user", target_id=user.id), by=by)
    return msgspec.structs.replace(user, created_at=by.at, has_password=False, last_seen_at=None)


async def change_user(tx: Transaction, user: User, *, by: By) -> User:
    """Change name, role, scope or status; who is disabled, or has less than before, is signed out.

    `Refused("not_found")`, `("invalid")`, or `("conflict")` where nobody would be left to administer.
    """
    user = _checked(user)
    # Two admins who take each other's role at once: the second waits, and then is refused.
    await tx.execute("select from account where account_id = $1 for update", user.account_id)
    before = await get_user(tx, user.account_id, user.id)
    if before.email != user.email:
        raise Refused("conflict", "An address stays: add another user instead")
    await tx.execute(
        "update app_user set name = $3, role = $4, buyer_id = $5, publisher_id = $6, status = $7,"
        " changed_at = $8 where account_id = $1 and id = $2",
        user.account_id,
        user.id,
        user.name,
        user.role,
        user.buyer_id,
        user.publisher_id,
        user.status,
        by.at,
    )
    admins = await tx.fetchval(
        "select count(*) from app_user where account_id = $1 and role = 'admin' and status = 'active'",
        user.account_id,
    )
    if not admins:
        raise Refused("conflict", f"{user.email} is the last one who may administer: name another one first")
    if _reach(before) != _reach(user):
        await end_sessions(tx, user.account_id, user.id)
    await audit.record(tx, user.account_id, Act(what="change", kind="user", target_id=user.id), by=by)
    return await get_user(tx, user.account_id, user.id)


async def get_user(tx: Transaction, account_id: AccountId, user_id: UserId) -> User:
    """A user of an account; `Refused("not_found")`."""
    found = await find_user(tx, account_id, user_id)
    if found is None:
        raise Refused("not_found", f"There is no user {user_id}")
    return found


async def find_user(tx: Transaction, account_id: AccountId, user_id: UserId) -> User | None:
    """A user of an account; None where there is none."""
    row = await tx.fetchrow("select * from app_user where account_id = $1 and id = $2", account_id, user_id)
    return None if row is None else _user(row)


async def users(
    tx: Transaction, account_id: AccountId, *, after: str = "", limit: int = MAX_USERS
) -> tuple[User, ...]:
    """The users of an account, by address, those after an address."""
    rows = await tx.fetch(
        "select * from app_user where account_id = $1 and email > $2 order by email limit $3",
        account_id,
        after,
        min(limit, MAX_USERS),
    )
    return tuple(_user(row) for row in rows)


async def password_of(tx: Transaction, email: str) -> tuple[User, str | None] | None:
    """The user who signs in with an address, and the hash of the password (None: has none)."""
    row = await tx.fetchrow("select * from app_user where email = $1", email.strip().lower())
    return None if row is None else (_user(row), row["password_hash"])


async def anybody_has_a_password(tx: Transaction) -> bool:
    """Whether somebody can sign in at all."""
    found: bool = await tx.fetchval("select exists(select from app_user where password_hash is not null)")
    return found


async def set_password(
    tx: Transaction, account_id: AccountId, user_id: UserId, password_hash: str, *, by: By
) -> None:
    """Keep the hash of a new password; every session of the user ends."""
    found = await tx.fetchval(
        "update app_user set password_hash = $3, changed_at = $4 where account_id = $1 and id = $2"
        " returning 1",
        account_id,
        user_id,
        password_hash,
        by.at,
    )
    if found is None:
        raise Refused("not_found", f"There is no user {user_id}")
    await end_sessions(tx, account_id, user_id)
    await audit.record(tx, account_id, Act(what="password", kind="user", target_id=user_id), by=by)


def _checked(user: User) -> User:
    problems = []
    email = user.email.strip().lower()
    if len(email) > MAX_EMAIL or _EMAIL.fullmatch(email) is None:
        problems.append(Problem(field="email", problem="This is not an address", remedy="name@example.com"))
    if not 1 <= len(user.name) <= MAX_NAME or "\0" in user.name:
        remedy = f"Use 1 to {MAX_NAME} characters"
        problems.append(Problem(field="name", problem="This is not a name", remedy=remedy))
    for field, scope, role in (
        ("buyer_id", user.buyer_id, "buyer"),
        ("publisher_id", user.publisher_id, "publisher"),
    ):
        if (scope is not None) != (user.role == role):
            problem = f"A user has a {field} if, and only if, the role is {role}"
            problems.append(Problem(field=field, problem=problem, remedy="Set both, or neither"))
    if problems:
        raise Refused("invalid", "The user cannot be saved so", tuple(problems))
    return msgspec.structs.replace(user, email=email)


def _reach(user: User) -> tuple[object, ...]:
    return user.role, user.status, user.buyer_id, user.publisher_id


def _user(row: Row) -> User:
    return User(
        id=row["id"],
        account_id=row["account_id"],
        email=row["email"],
        name=row["name"],
        role=row["role"],
        status=row["status"],
        buyer_id=row["buyer_id"],
        publisher_id=row["publisher_id"],
        has_password=row["password_hash"] is not None,
        created_at=row["created_at"],
        last_seen_at=row["last_seen_at"],
    )


# --- sessions and links --------------------------------------------------------------------------------


async def begin_session(
    tx: Transaction, user: User, *, token: str, csrf: str, now: datetime, expires_at: datetime
) -> None:
    """Sign a user in: whoever shows `token` is this user until `expires_at`. Ends sessions that are over."""
    await tx.execute(
        "delete from session where account_id = $1 and user_id = $2 and expires_at <= $3",
        user.account_id,
        user.id,
        now,
    )
    await tx.execute(
        "insert into session (account_id, token_hash, user_id, csrf, created_at, expires_at)"
        " values ($1, $2, $3, $4, $5, $6)",
        user.account_id,
        hashed(token),
        user.id,
        csrf,
        now,
        expires_at,
    )
    await tx.execute(
        "update app_user set last_seen_at = $3 where account_id = $1 and id = $2",
        user.account_id,
        user.id,
        now,
    )


async def find_session(tx: Transaction, token: str, *, now: datetime) -> SessionFound | None:
    """The session of a token; None where it is over, never was, or its user is disabled."""
    row = await tx.fetchrow(
        "select u.*, s.csrf, s.expires_at from session s join app_user u using (account_id)"
        " where s.token_hash = $1 and u.id = s.user_id and s.expires_at > $2 and u.status = 'active'",
        hashed(token),
        now,
    )
    return (
        None if row is None else SessionFound(user=_user(row), csrf=row["csrf"], expires_at=row["expires_at"])
    )


async def end_session(tx: Transaction, token: str) -> None:
    """Sign out; nothing where there is no such session."""
    await tx.execute("delete from session where token_hash = $1", hashed(token))


async def end_sessions(
    tx: Transaction, account_id: AccountId, user_id: UserId, *, but: str | None = None
) -> None:
    """Sign a user out everywhere, except where `but` is the token."""
    await tx.execute(
        "delete from session where account_id = $1 and user_id = $2"
        " and ($3::bytea is null or token_hash <> $3)",
        account_id,
        user_id,
        None if but is None else hashed(but),
    )


async def make_link(tx: Transaction, user: User, *, token: str, now: datetime, expires_at: datetime) -> None:
    """A link that signs a user in once, to choose a password; links made before are void."""
    await tx.execute(
        "update sign_in_link set used_at = $3 where account_id = $1 and user_id = $2 and used_at is null",
        user.account_id,
        user.id,
        now,
    )
    await tx.execute(
        "insert into sign_in_link (account_id, token_hash, user_id, created_at, expires_at)"
        " values ($1, $2, $3, $4, $5)",
        user.account_id,
        hashed(token),
        user.id,
        now,
        expires_at,
    )


async def use_link(tx: Transaction, token: str, *, now: datetime) -> User | None:
    """The user of a link, the first time only; None where it was used, is over or never was."""
    row = await tx.fetchrow(
        "with used as (update sign_in_link set used_at = $2 where token_hash = $1 and used_at is null"
        " and expires_at > $2 returning account_id, user_id)"
        " select u.* from used join app_user u on u.account_id = used.account_id and u.id = used.user_id"
        " and u.status = 'active'",
        hashed(token),
        now,
    )
    return None if row is None else _user(row)


# --- API keys ------------------------------------------------------------------------------------------


async def add_key(tx: Transaction, key: ApiKey, *, token: str, by: By) -> ApiKey:
    """Keep a key; `token` is shown to its maker now and never again. `Refused("invalid")`."""
    if not 1 <= len(key.name) <= MAX_NAME or "\0" in key.name or len(key.scopes) > MAX_SCOPES:
        remedy = f"Use a name of 1 to {MAX_NAME} characters and at most {MAX_SCOPES} scopes"
        problem = Problem(field="name", problem="The key cannot be called or scoped so", remedy=remedy)
        raise Refused("invalid", "The key cannot be saved so", (problem,))
    if key.buyer_id is not None and key.publisher_id is not None:
        problem = Problem(
            field="publisher_id", problem="A key is a buyer's or a publisher's", remedy="Send one of both"
        )
        raise Refused("invalid", "The key cannot be saved so", (problem,))
    kept = msgspec.structs.replace(
        key, prefix=token[:KEY_PREFIX_CHARS], created_by=by.who, created_at=by.at, last_used_at=None
    )
    await tx.execute(
        "insert into api_key (account_id, id, name, prefix, token_hash, scopes, created_by, created_at,"
        " expires_at, buyer_id, publisher_id) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        kept.account_id,
        kept.id,
        kept.name,
        kept.prefix,
        hashed(token),
        list(kept.scopes),
        kept.created_by,
        kept.created_at,
        kept.expires_at,
        kept.buyer_id,
        kept.publisher_id,
    )
    await audit.record(tx, kept.account_id, Act(what="create", kind="api_key", target_id=kept.id), by=by)
    return kept


async def renew_key(tx: Transaction, account_id: AccountId, key_id: str, *, token: str) -> ApiKey | None:
    """Another secret for a key whose first one never reached its maker; None where there is no such key.
    `Refused("conflict")` for one that was used or revoked: its secret did."""
    row = await tx.fetchrow(
        "select * from api_key where account_id = $1 and id = $2 for update", account_id, key_id
    )
    if row is None:
        return None
    if row["last_used_at"] is not None or row["revoked_at"] is not None:
        raise Refused("conflict", f"The key {key_id} was made by this request, and used or revoked since")
    prefix = token[:KEY_PREFIX_CHARS]
    await tx.execute(
        "update api_key set token_hash = $3, prefix = $4 where account_id = $1 and id = $2",
        account_id,
        key_id,
        hashed(token),
        prefix,
    )
    return msgspec.structs.replace(_key(row), prefix=prefix)


async def find_key(tx: Transaction, token: str, *, now: datetime) -> ApiKey | None:
    """The key of a token, its use written down; None where it is over, revoked or never was."""
    row = await tx.fetchrow(
        "select * from api_key where token_hash = $1 and revoked_at is null"
        " and (expires_at is null or expires_at > $2)",
        hashed(token),
        now,
    )
    if row is None:
        return None
    if row["last_used_at"] is None or now - row["last_used_at"] >= KEY_SEEN_EVERY:
        await tx.execute(
            "update api_key set last_used_at = $3 where account_id = $1 and id = $2",
            row["account_id"],
            row["id"],
            now,
        )
    return _key(row)


async def keys(
    tx: Transaction,
    account_id: AccountId,
    *,
    after: tuple[datetime, str] | None = None,
    limit: int = MAX_KEYS,
) -> tuple[ApiKey, ...]:
    """An account's keys, revoked ones too, newest first, older than `after` (instant made and id)."""
    rows = await tx.fetch(
        "select * from api_key where account_id = $1"
        " and ($2::timestamptz is null or (created_at, id) < ($2, $3))"
        " order by created_at desc, id desc limit $4",
        account_id,
        None if after is None else after[0],
        None if after is None else after[1],
        min(limit, MAX_KEYS),
    )
    return tuple(_key(row) for row in rows)


async def revoke_key(tx: Transaction, account_id: AccountId, key_id: str, *, by: By) -> None:
    """The key opens nothing any more; `Refused("not_found")`."""
    found = await tx.fetchval(
        "update api_key set revoked_at = $3 where account_id = $1 and id = $2 and revoked_at is null"
        " returning 1",
        account_id,
        key_id,
        by.at,
    )
    if found is None:
        raise Refused("not_found", f"There is no key {key_id} in use")
    await audit.record(tx, account_id, Act(what="revoke", kind="api_key", target_id=key_id), by=by)


def _key(row: Row) -> ApiKey:
    return ApiKey(
        id=row["id"],
        account_id=row["account_id"],
        name=row["name"],
        prefix=row["prefix"],
        scopes=tuple(row["scopes"]),
        buyer_id=row["buyer_id"],
        publisher_id=row["publisher_id"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
    )
