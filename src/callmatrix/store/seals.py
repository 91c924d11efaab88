"""Keeps the secrets of connections and of offers' bidders, sealed; opened for who uses them, never listed."""

from datetime import datetime
from typing import Final, TypeAlias, TypeVar

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from callmatrix.core.campaign import Connection, Offer
from callmatrix.core.errors import Problem, Refused
from callmatrix.core.ids import AccountId, ConnectionId, OfferId
from callmatrix.store import audit, catalog
from callmatrix.store.audit import Act, By
from callmatrix.store.db import Row, Transaction
from callmatrix.store.kinds import kind_of

MAX_SECRET: Final = 8_000
MAX_SECRETS: Final = 10
MAX_SECRET_NAME: Final = 40
MAX_CONNECTIONS: Final = 10_000

OwnerId = TypeVar("OwnerId", ConnectionId, OfferId)
Owner: TypeAlias = type[Connection] | type[Offer]
"""What has secrets: its ids are told from those of other kinds by their prefix."""


class SealBroken(Exception):
    """A secret cannot be opened: the key is another one, or the row was moved or changed."""


def seal(account_id: AccountId, owner_id: str, name: str, secret: str, *, key: bytes) -> bytes:
    """The secret, encrypted by a key of 32 bytes and bound to its place. The nonce is the library's own."""
    return bytes(SecretBox(key).encrypt(_place(account_id, owner_id, name) + secret.encode()))


def unseal(account_id: AccountId, owner_id: str, name: str, sealed: bytes, *, key: bytes) -> str:
    """What `seal` sealed at this place; raises `SealBroken`."""
    place = _place(account_id, owner_id, name)
    try:
        opened = SecretBox(key).decrypt(sealed)
    except CryptoError:
        opened = b""
    if not opened.startswith(place):
        raise SealBroken(
            f"the secret {name} of {owner_id} cannot be opened with this CALLMATRIX_SECRET_KEY: "
            "set the key that it was sealed with, or enter the secret again"
        )
    return opened[len(place) :].decode()


async def set_secrets(
    tx: Transaction,
    account_id: AccountId,
    owner_id: ConnectionId | OfferId,
    secrets: dict[str, str],
    *,
    key: bytes,
    by: By,
    owner: Owner = Connection,
) -> None:
    """Keep these secrets, replacing those of the same names; an empty one is removed. Every process uses
    them from its next look at the catalog on. `Refused("invalid")` for too long or too many ones."""
    await catalog.lock(tx, account_id)
    await _get(tx, account_id, owner, owner_id)
    _refuse_unfit(secrets)
    kind = kind_of(owner)
    for name, secret in secrets.items():
        if not secret:
            await tx.execute(
                "delete from secret where account_id = $1 and kind = $2 and owner_id = $3 and name = $4",
                account_id,
                kind,
                owner_id,
                name,
            )
            continue
        sealed = seal(account_id, owner_id, name, secret, key=key)
        await tx.execute(
            "insert into secret (account_id, kind, owner_id, name, sealed, changed_at)"
            " values ($1, $2, $3, $4, $5, $6) on conflict (account_id, kind, owner_id, name)"
            " do update set sealed = excluded.sealed, changed_at = excluded.changed_at",
            account_id,
            kind,
            owner_id,
            name,
            sealed,
            by.at,
        )
    await _refuse_too_many(tx, account_id, kind, owner_id)
    version = await catalog.bump(tx, account_id)
    await tx.execute(
        "update config set catalog_version = $4 where account_id = $1 and kind = $2 and id = $3",
        account_id,
        kind,
        owner_id,
        version,
    )
    act = Act(
        what="secrets",
        kind=kind,
        target_id=owner_id,
        details={name: "set" if secret else "removed" for name, secret in secrets.items()},
    )
    await audit.record(tx, account_id, act, by=by)


async def secret_names(
    tx: Transaction, account_id: AccountId, owner_id: ConnectionId | OfferId, *, owner: Owner = Connection
) -> tuple[tuple[str, datetime], ...]:
    """Which secrets somebody has, and since when; never the secrets."""
    rows = await tx.fetch(
        "select name, changed_at from secret where account_id = $1 and kind = $2 and owner_id = $3"
        " order by name",
        account_id,
        kind_of(owner),
        owner_id,
    )
    return tuple((row["name"], row["changed_at"]) for row in rows)


async def open_secrets(
    tx: Transaction, account_id: AccountId, connection_ids: list[ConnectionId], *, key: bytes
) -> dict[ConnectionId, dict[str, str] | SealBroken]:
    """The secrets of connections by name, for their use; where one is broken, what is wrong with it."""
    wanted = connection_ids[:MAX_CONNECTIONS]
    rows = await tx.fetch(
        "select owner_id, name, sealed from secret where account_id = $1 and kind = 'connection'"
        " and owner_id = any($2)",
        account_id,
        wanted,
    )
    return _opened(rows, account_id, wanted, key=key)


async def open_changed(
    tx: Transaction, account_id: AccountId, *, after: int, key: bytes
) -> dict[OfferId, dict[str, str] | SealBroken]:
    """As `open_secrets`, of the offers that changed after a version of the catalog: none has no names."""
    rows = await tx.fetch(
        "select c.id as owner_id, s.name, s.sealed from config c left join secret s"
        " on s.account_id = c.account_id and s.kind = c.kind and s.owner_id = c.id"
        " where c.account_id = $1 and c.kind = 'offer' and c.catalog_version > $2",
        account_id,
        after,
    )
    changed = [OfferId(row["owner_id"]) for row in rows]
    return _opened([row for row in rows if row["name"] is not None], account_id, changed, key=key)


def _opened(
    rows: list[Row], account_id: AccountId, owner_ids: list[OwnerId], *, key: bytes
) -> dict[OwnerId, dict[str, str] | SealBroken]:
    found: dict[OwnerId, dict[str, str] | SealBroken] = {one: {} for one in owner_ids}
    for row in rows:
        owner_id, name = row["owner_id"], row["name"]
        known = found[owner_id]
        if isinstance(known, SealBroken):
            continue
        try:
            known[name] = unseal(account_id, owner_id, name, row["sealed"], key=key)
        except SealBroken as broken:
            found[owner_id] = broken
    return found


async def _get(tx: Transaction, account_id: AccountId, owner: Owner, owner_id: str) -> None:
    """`Refused("not_found")` where there is nobody to have secrets."""
    if owner is Connection:
        await catalog.get(tx, account_id, Connection, owner_id)
    else:
        await catalog.get(tx, account_id, Offer, owner_id)


def _refuse_unfit(secrets: dict[str, str]) -> None:
    problems = tuple(
        Problem(
            field=f"secrets.{name[:MAX_SECRET_NAME]}",
            problem="The secret is too long",
            remedy=f"At most {MAX_SECRET}",
        )
        for name, secret in secrets.items()
        if len(secret) > MAX_SECRET or not 1 <= len(name) <= MAX_SECRET_NAME
    )
    if problems or len(secrets) > MAX_SECRETS:
        raise Refused("invalid", "These secrets cannot be kept", problems)


async def _refuse_too_many(tx: Transaction, account_id: AccountId, kind: str, owner_id: str) -> None:
    kept = await tx.fetchval(
        "select count(*) from secret where account_id = $1 and kind = $2 and owner_id = $3",
        account_id,
        kind,
        owner_id,
    )
    if kept > MAX_SECRETS:
        problem = Problem(
            field="secrets", problem=f"These are {kept} secrets", remedy=f"Keep at most {MAX_SECRETS}"
        )
        raise Refused("invalid", "These secrets cannot be kept", (problem,))


def _place(account_id: AccountId, owner_id: str, name: str) -> bytes:
    return f"{account_id}\0{owner_id}\0{name}\0".encode()
