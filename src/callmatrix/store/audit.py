"""Keeps who did what and when: append-only, one row per act."""

from datetime import datetime
from typing import Final

import msgspec

from callmatrix.core.documents import decode, encode
from callmatrix.core.ids import AccountId
from callmatrix.store.db import Transaction

MAX_AUDIT_PAGE: Final = 200
MAX_NOTE: Final = 500


class By(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts (a user's or key's id, or `system`), at which instant, and why in their own words."""

    who: str
    at: datetime
    note: str = ""


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One act, for the audit trail. `what` is a verb (`change`, `adjust`, `sign_in`); `details` are texts."""

    what: str
    kind: str
    target_id: str
    before_revision: int | None = None
    after_revision: int | None = None
    details: dict[str, str] = {}


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One act as it was recorded; `id` grows with every act."""

    id: int
    at: datetime
    who: str
    note: str
    act: Act


async def record(tx: Transaction, account_id: AccountId, act: Act, *, by: By) -> None:
    """Write an act down, in the transaction that does it."""
    await tx.execute(
        "insert into audit (account_id, at, who, what, kind, target_id, before_revision, after_revision,"
        " note, details) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        account_id,
        by.at,
        by.who,
        act.what,
        act.kind,
        act.target_id,
        act.before_revision,
        act.after_revision,
        by.note[:MAX_NOTE],
        encode(act.details),
    )


async def record_once(tx: Transaction, account_id: AccountId, act: Act, *, by: By) -> None:
    """As `record`, unless the same act on the same target is written down already: the details name it."""
    known = await tx.fetchval(
        "select exists(select from audit where account_id = $1 and kind = $2 and target_id = $3"
        " and what = $4 and details = $5)",
        account_id,
        act.kind,
        act.target_id,
        act.what,
        encode(act.details),
    )
    if not known:
        await record(tx, account_id, act, by=by)


async def acts(
    tx: Transaction,
    account_id: AccountId,
    *,
    kind: str | None = None,
    target_id: str | None = None,
    who: str | None = None,
    before_id: int | None = None,
    limit: int = MAX_AUDIT_PAGE,
) -> tuple[AuditRow, ...]:
    """The newest acts first, those before `before_id`, at most `MAX_AUDIT_PAGE`."""
    rows = await tx.fetch(
        "select * from audit where account_id = $1 and ($2::text is null or kind = $2)"
        " and ($3::text is null or target_id = $3) and ($4::text is null or who = $4)"
        " and ($5::bigint is null or id < $5) order by id desc limit $6",
        account_id,
        kind,
        target_id,
        who,
        before_id,
        min(limit, MAX_AUDIT_PAGE),
    )
    return tuple(
        AuditRow(
            id=row["id"],
            at=row["at"],
            who=row["who"],
            note=row["note"],
            act=Act(
                what=row["what"],
                kind=row["kind"],
                target_id=row["target_id"],
                before_revision=row["before_revision"],
                after_revision=row["after_revision"],
                details=decode(row["details"], dict[str, str]),
            ),
        )
        for row in rows
    )
