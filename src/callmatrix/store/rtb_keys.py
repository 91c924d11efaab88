"""Keeps the secrets by which sellers ask: hashed, shown once, replaced without a gap."""

import hashlib
from datetime import datetime

import msgspec

from callmatrix.core.campaign import Endpoint
from callmatrix.core.ids import AccountId, EndpointId
from callmatrix.store import audit, catalog
from callmatrix.store.audit import Act, By
from callmatrix.store.db import Transaction


class EndpointKey(msgspec.Struct, frozen=True, kw_only=True):
    """The hash of an endpoint's key, and of the one before while that is still good."""

    key_hash: bytes
    changed_at: datetime
    former_hash: bytes | None = None
    former_until: datetime | None = None


def hashed(key: str) -> bytes:
    """What is kept of a key: keys are 256 random bits, so that a plain hash is enough."""
    return hashlib.sha256(key.encode()).digest()


async def set_key(
    tx: Transaction,
    account_id: AccountId,
    endpoint_id: EndpointId,
    key: str,
    *,
    former_until: datetime | None,
    by: By,
) -> None:
    """Replace an endpoint's key; the one before stays good until `former_until`. Every process knows it from
    its next look at the catalog on. `Refused("not_found")` where there is no such endpoint."""
    await catalog.lock(tx, account_id)
    await catalog.get(tx, account_id, Endpoint, endpoint_id)
    former = (await keys_of(tx, account_id, [endpoint_id])).get(endpoint_id)
    kept = former is not None and former_until is not None
    await tx.execute(
        "insert into rtb_key (account_id, endpoint_id, key_hash, former_hash, former_until, changed_at)"
        " values ($1, $2, $3, $4, $5, $6) on conflict (account_id, endpoint_id) do update set"
        " key_hash = excluded.key_hash, former_hash = excluded.former_hash,"
        " former_until = excluded.former_until, changed_at = excluded.changed_at",
        account_id,
        endpoint_id,
        hashed(key),
        former.key_hash if kept and former is not None else None,
        former_until if kept else None,
        by.at,
    )
    version = await catalog.bump(tx, account_id)
    await tx.execute(
        "update config set catalog_version = $3 where account_id = $1 and kind = 'endpoint' and id = $2",
        account_id,
        endpoint_id,
        version,
    )
    await audit.record(tx, account_id, Act(what="key", kind="endpoint", target_id=endpoint_id), by=by)


async def keys_of(
    tx: Transaction, account_id: AccountId, endpoint_ids: list[EndpointId]
) -> dict[EndpointId, EndpointKey]:
    """The keys of these endpoints that have one."""
    rows = await tx.fetch(
        "select endpoint_id, key_hash, changed_at, former_hash, former_until from rtb_key"
        " where account_id = $1 and endpoint_id = any($2)",
        account_id,
        endpoint_ids,
    )
    return {
        row["endpoint_id"]: EndpointKey(
            key_hash=row["key_hash"],
            changed_at=row["changed_at"],
            former_hash=row["former_hash"],
            former_until=row["former_until"],
        )
        for row in rows
    }
