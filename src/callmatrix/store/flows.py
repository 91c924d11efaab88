"""Keeps the published versions of flows; campaigns use the latest, calls the one of their plan."""

from datetime import datetime
from typing import Final

import msgspec

from callmatrix.core.campaign import FlowDocument
from callmatrix.core.documents import encode
from callmatrix.core.errors import Problem, Refused
from callmatrix.core.flow import Flow, FlowProblem, problems
from callmatrix.core.ids import AccountId, FlowId
from callmatrix.store import audit, catalog, impact
from callmatrix.store.audit import Act, By
from callmatrix.store.catalog import Stored
from callmatrix.store.db import Transaction
from callmatrix.store.kinds import read_flow

MAX_VERSIONS: Final = 200


class FlowVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One published version of a flow."""

    flow_id: FlowId
    version: int
    published_by: str
    published_at: datetime
    note: str


async def publish(
    tx: Transaction,
    account_id: AccountId,
    flow_id: FlowId,
    *,
    by: By,
    expected_revision: int | None = None,
) -> FlowVersion:
    """Make the draft the version that new calls use. `Refused("invalid")` with what is wrong with it, or
    with the campaigns that could not go on with it; then the version before stays in force."""
    await catalog.lock(tx, account_id)
    draft = await catalog.get(tx, account_id, FlowDocument, flow_id)
    if expected_revision is not None and draft.revision != expected_revision:
        raise catalog.changed_meanwhile(flow_id, found=draft.revision, expected=expected_revision)
    if draft.archived:
        raise Refused("conflict", f"{flow_id} is archived: restore it first")
    found = problems(draft.document.draft)
    if found:
        told = tuple(_told(problem) for problem in found)
        raise Refused("invalid", f"{draft.document.name} cannot be published so", told)
    last = await _last(tx, account_id, flow_id)
    published = FlowVersion(
        flow_id=flow_id, version=last + 1, published_by=by.who, published_at=by.at, note=by.note
    )
    await tx.execute(
        "insert into flow_version (account_id, flow_id, version, document, published_by, published_at, note)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        account_id,
        flow_id,
        published.version,
        encode(draft.document.draft),
        by.who,
        by.at,
        by.note[: audit.MAX_NOTE],
    )
    catalog_version = await catalog.bump(tx, account_id)
    await impact.remake_plans(
        tx, account_id, draft.document, what="publish", catalog_version=catalog_version, now=by.at
    )
    act = Act(
        what="publish",
        kind="flow",
        target_id=flow_id,
        before_revision=draft.revision,
        after_revision=draft.revision,
        details={"version": str(published.version)},
    )
    await audit.record(tx, account_id, act, by=by)
    return published


async def versions(tx: Transaction, account_id: AccountId, flow_id: FlowId) -> tuple[FlowVersion, ...]:
    """The published versions, newest first, at most `MAX_VERSIONS`."""
    rows = await tx.fetch(
        "select version, published_by, published_at, note from flow_version"
        " where account_id = $1 and flow_id = $2 order by version desc limit $3",
        account_id,
        flow_id,
        MAX_VERSIONS,
    )
    return tuple(
        FlowVersion(
            flow_id=flow_id,
            version=row["version"],
            published_by=row["published_by"],
            published_at=row["published_at"],
            note=row["note"],
        )
        for row in rows
    )


async def at_version(tx: Transaction, account_id: AccountId, flow_id: FlowId, version: int) -> Flow:
    """A published flow; `Refused("not_found")` where that version never was."""
    data = await tx.fetchval(
        "select document from flow_version where account_id = $1 and flow_id = $2 and version = $3",
        account_id,
        flow_id,
        version,
    )
    if data is None:
        raise Refused("not_found", f"{flow_id} has no version {version}")
    return read_flow(data)


async def restore_version(
    tx: Transaction,
    account_id: AccountId,
    flow_id: FlowId,
    version: int,
    *,
    by: By,
    expected_revision: int | None = None,
) -> Stored[FlowDocument]:
    """Make a published version the draft again; what callers hear does not change."""
    await catalog.lock(tx, account_id)
    flow = await at_version(tx, account_id, flow_id, version)
    before = await catalog.get(tx, account_id, FlowDocument, flow_id)
    return await catalog.change(
        tx,
        account_id,
        msgspec.structs.replace(before.document, draft=flow),
        by=by,
        expected_revision=expected_revision,
        what="restore",
    )


async def _last(tx: Transaction, account_id: AccountId, flow_id: FlowId) -> int:
    last: int | None = await tx.fetchval(
        "select max(version) from flow_version where account_id = $1 and flow_id = $2", account_id, flow_id
    )
    return last or 0


def _told(problem: FlowProblem) -> Problem:
    field = f"draft.nodes.{problem.node}" if problem.node else "draft"
    return Problem(field=field, problem=problem.problem, remedy=problem.remedy)
