"""Keeps the block list: whose calls are refused before anything else, where, why and until when."""

import re
from datetime import datetime
from typing import Final, Literal

import msgspec

from callmatrix.core.errors import Problem, Refused
from callmatrix.core.ids import AccountId, CampaignId
from callmatrix.store import audit, catalog
from callmatrix.store.audit import Act, By
from callmatrix.store.db import Row, Transaction

MAX_BLOCKS: Final = 100_000
MAX_PAGE: Final = 200
MAX_REASON: Final = 200
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_PREFIX: Final = re.compile(r"\+[1-9][0-9]{0,13}")


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `side` is whom it looks at, the caller or the dialed number; `matches` says whether
    `pattern` is a whole number in E.164 or its beginning; `campaign_id` None means all of them."""

    id: str
    pattern: str
    side: Literal["caller", "dialed"] = "caller"
    matches: Literal["number", "prefix"] = "number"
    campaign_id: CampaignId | None = None
    reason: str = ""
    blocked_by: str
    blocked_at: datetime
    expires_at: datetime | None = None
    removed_at: datetime | None = None


async def add(tx: Transaction, account_id: AccountId, block: Block) -> Block:
    """Block, from now on. Where the same is blocked already, that entry takes over reason and expiry and is
    returned. `Refused("invalid")` for a pattern that is none, or more than `MAX_BLOCKS` entries."""
    await catalog.lock(tx, account_id)
    await _check(tx, account_id, block)
    version = await catalog.bump(tx, account_id)
    row = await tx.fetchrow(
        "insert into block (account_id, id, campaign_id, side, matches, pattern, reason, blocked_by,"
        " blocked_at, expires_at, catalog_version) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        " on conflict (account_id, coalesce(campaign_id, ''), side, matches, pattern)"
        " where removed_at is null do update set reason = excluded.reason, expires_at = excluded.expires_at,"
        " catalog_version = excluded.catalog_version returning *",
        account_id,
        block.id,
        block.campaign_id,
        block.side,
        block.matches,
        block.pattern,
        block.reason[:MAX_REASON],
        block.blocked_by,
        block.blocked_at,
        block.expires_at,
        version,
    )
    assert row is not None
    kept = _block(row)
    act = Act(what="block", kind="block", target_id=kept.id, details={"pattern": kept.pattern})
    await audit.record(
        tx, account_id, act, by=By(who=block.blocked_by, at=block.blocked_at, note=block.reason)
    )
    return kept


async def find(tx: Transaction, account_id: AccountId, block_id: str) -> Block | None:
    """One entry, in use or removed; None where there is none."""
    row = await tx.fetchrow("select * from block where account_id = $1 and id = $2", account_id, block_id)
    return None if row is None else _block(row)


async def remove(tx: Transaction, account_id: AccountId, block_id: str, *, by: By) -> None:
    """Block no more; `Refused("not_found")` where there is no such entry."""
    await catalog.lock(tx, account_id)
    version = await catalog.bump(tx, account_id)
    pattern = await tx.fetchval(
        "update block set removed_at = $3, catalog_version = $4 where account_id = $1 and id = $2"
        " and removed_at is null returning pattern",
        account_id,
        block_id,
        by.at,
        version,
    )
    if pattern is None:
        raise Refused("not_found", f"There is no block {block_id}")
    act = Act(what="unblock", kind="block", target_id=block_id, details={"pattern": pattern})
    await audit.record(tx, account_id, act, by=by)


async def load(tx: Transaction, account_id: AccountId, *, after: int = 0) -> tuple[Block, ...]:
    """The entries that changed after a version of the catalog, removed ones too; after 0, those in use."""
    rows = await tx.fetch(
        "select * from block where account_id = $1 and catalog_version > $2"
        " and ($2 > 0 or removed_at is null) order by id limit $3",
        account_id,
        after,
        2 * MAX_BLOCKS,
    )
    return tuple(_block(row) for row in rows)


async def page(
    tx: Transaction,
    account_id: AccountId,
    *,
    search: str = "",
    campaign_id: CampaignId | None = None,
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> tuple[Block, ...]:
    """Entries in use, the newest first, those before (`blocked_at`, `id`); `search` begins their pattern."""
    rows = await tx.fetch(
        "select * from block where account_id = $1 and removed_at is null and starts_with(pattern, $2)"
        " and ($3::text is null or campaign_id = $3)"
        " and ($4::timestamptz is null or (blocked_at, id) < ($4, $5))"
        " order by blocked_at desc, id desc limit $6",
        account_id,
        search.strip(),
        campaign_id,
        None if before is None else before[0],
        None if before is None else before[1],
        max(1, min(limit, MAX_PAGE)),
    )
    return tuple(_block(row) for row in rows)


async def _check(tx: Transaction, account_id: AccountId, block: Block) -> None:
    shape = _NUMBER if block.matches == "number" else _PREFIX
    if shape.fullmatch(block.pattern) is None:
        remedy = "Write it as +13125550100" if block.matches == "number" else "Write it as +1312"
        problem = Problem(field="pattern", problem="This is not the beginning of a number", remedy=remedy)
        raise Refused("invalid", "The entry cannot be saved so", (problem,))
    held = await tx.fetchval(
        "select count(*) from block where account_id = $1 and removed_at is null", account_id
    )
    if held >= MAX_BLOCKS:
        raise Refused("conflict", f"The block list is full: it holds {MAX_BLOCKS} entries")


def _block(row: Row) -> Block:
    return Block(
        id=row["id"],
        pattern=row["pattern"],
        side=row["side"],
        matches=row["matches"],
        campaign_id=row["campaign_id"],
        reason=row["reason"],
        blocked_by=row["blocked_by"],
        blocked_at=row["blocked_at"],
        expires_at=row["expires_at"],
        removed_at=row["removed_at"],
    )
