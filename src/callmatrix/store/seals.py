"""Keeps the secrets of connections, sealed; they are opened for the process that uses them, never listed."""

from datetime import datetime
from typing import Final

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from callmatrix.core.campaign import Connection
from callmatrix.core.errors import Problem, Refused
from callmatrix.core.ids import AccountId, ConnectionId
from callmatrix.store import audit, catalog
from callmatrix.store.audit import Act, By
from callmatrix.store.db import Transaction

MAX_SECRET: Final = 8_000
MAX_SECRETS: Final = 10
MAX_CONNECTIONS: Final = 10_000


class SealBroken(Exception):
    """A secret cannot be opened: the key is another one, or the row was moved or changed."""


def seal(account_id: AccountId, connection_id: ConnectionId, name: str, secret: str, *, key: bytes) -> bytes:
    """The secret, encrypted by a key of 32 bytes and bound to its place. The nonce is the library's own."""
    return bytes(SecretBox(key).encrypt(_place(account_id, connection_id, name) + secret.encode()))


def unseal(
    account_id: AccountId, connection_id: ConnectionId, name: str, sealed: bytes, *, key: bytes
) -> str:
    """What `seal` sealed at this place; raises `SealBroken`."""
    place = _place(account_id, connection_id, name)
    try:
        opened = SecretBox(key).decrypt(sealed)
    except CryptoError:
        opened = b""
    if not opened.startswith(place):
        raise SealBroken(
            f"the secret {name} of {connection_id} cannot be opened with this CALLMATRIX_SECRET_KEY: "
            "set the key that it was sealed with, or enter the secret again"
        )
    return opened[len(place) :].decode()


async def set_secrets(
    tx: Transaction,
    account_id: AccountId,
    connection_id: ConnectionId,
    secrets: dict[str, str],
    *,
    key: bytes,
    by: By,
) -> None:
    """Keep these secrets, replacing those of the same names; an empty one is removed. Every process uses
    them from its next look at the catalog on. `Refused("invalid")` for too long or too many ones."""
    await catalog.lock(tx, account_id)
    await catalog.get(tx, account_id, Connection, connection_id)
    problems = tuple(
        Problem(
            field=f"secrets.{name[:40]}", problem="The secret is too long", remedy=f"At most {MAX_SECRET}"
        )
        for name, secret in secrets.items()
        if len(secret) > MAX_SECRET or not 1 <= len(name) <= 40
    )
    if problems or len(secrets) > MAX_SECRETS:
        raise Refused("invalid", "These secrets cannot be kept", problems)
    for name, secret in secrets.items():
        if not secret:
            await tx.execute(
                "delete from connection_secret where account_id = $1 and connection_id = $2 and name = $3",
                account_id,
                connection_id,
                name,
            )
            continue
        await _write(tx, account_id, connection_id, name, secret, key=key, at=by.at)
    version = await catalog.bump(tx, account_id)
    await tx.execute(
        "update config set catalog_version = $3 where account_id = $1 and kind = 'connection' and id = $2",
        account_id,
        connection_id,
        version,
    )
    act = Act(
        what="secrets",
        kind="connection",
        target_id=connection_id,
        details={name: "set" if secret else "removed" for name, secret in secrets.items()},
    )
    await audit.record(tx, account_id, act, by=by)


async def secret_names(
    tx: Transaction, account_id: AccountId, connection_id: ConnectionId
) -> tuple[tuple[str, datetime], ...]:
    """Which secrets a connection has, and since when; never the secrets."""
    rows = await tx.fetch(
        "select name, changed_at from connection_secret where account_id = $1 and connection_id = $2"
        " order by name",
        account_id,
        connection_id,
    )
    return tuple((row["name"], row["changed_at"]) for row in rows)


async def open_secrets(
    tx: Transaction, account_id: AccountId, connection_ids: list[ConnectionId], *, key: bytes
) -> dict[ConnectionId, dict[str, str] | SealBroken]:
    """The secrets of connections by name, for their use; where one is broken, what is wrong with it."""
    rows = await tx.fetch(
        "select connection_id, name, sealed from connection_secret"
        " where account_id = $1 and connection_id = any($2)",
        account_id,
        connection_ids[:MAX_CONNECTIONS],
    )
    found: dict[ConnectionId, dict[str, str] | SealBroken] = {one: {} for one in connection_ids}
    for row in rows:
        connection_id, name = row["connection_id"], row["name"]
        known = found[connection_id]
        if isinstance(known, SealBroken):
            continue
        try:
            known[name] = unseal(account_id, connection_id, name, row["sealed"], key=key)
        except SealBroken as broken:
            found[connection_id] = broken
    return found


async def _write(
    tx: Transaction,
    account_id: AccountId,
    connection_id: ConnectionId,
    name: str,
    secret: str,
    *,
    key: bytes,
    at: datetime,
) -> None:
    await tx.execute(
        "insert into connection_secret (account_id, connection_id, name, sealed, changed_at)"
        " values ($1, $2, $3, $4, $5) on conflict (account_id, connection_id, name)"
        " do update set sealed = excluded.sealed, changed_at = excluded.changed_at",
        account_id,
        connection_id,
        name,
        seal(account_id, connection_id, name, secret, key=key),
        at,
    )


def _place(account_id: AccountId, connection_id: ConnectionId, name: str) -> bytes:
    return f"{account_id}\0{connection_id}\0{name}\0".encode()
