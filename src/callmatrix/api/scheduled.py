"""Changes of configuration that start at an instant to come: planning, listing, calling off."""

from typing import Annotated, Any, Final

import msgspec

from callmatrix.api.bidder_checks import check_bidder
from callmatrix.api.config import NOUNS, Note, Noun, body_from, body_of, by_of, merge_patch, with_id
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import Instant, Page
from callmatrix.core.documents import to_plain
from callmatrix.store import catalog, scheduled
from callmatrix.store.scheduled import Scheduled


class ScheduleBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What changes at `starts_at`: a merge patch (RFC 7396) of the document as it is now."""

    starts_at: Instant
    change: Annotated[dict[str, Any], msgspec.Meta(min_length=1)]
    note: Note = ""


class ScheduledQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether past changes are listed too."""

    past: bool = False


class ScheduledChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change to come, or that came. What others change meanwhile stays. `reason` says why it failed."""

    id: str
    record_id: str
    base_revision: int
    document: dict[str, Any]
    starts_at: Instant
    state: str
    reason: str
    scheduled_by: str
    scheduled_at: Instant
    note: str


async def cancel_change(ask: Ask) -> Reply:
    """Call a change off."""
    async with ask.app.db.transaction() as tx:
        await scheduled.cancel(tx, ask.who.account_id, ask.path["id"], by=by_of(ask))
    return Reply(status=204)


def operations_of(noun: Noun) -> tuple[Operation, ...]:
    """Planning and listing the changes of one noun."""

    async def plan(ask: Ask) -> Reply:
        given, new_id = ask.given(ScheduleBody), ask.new_id("sch")
        async with ask.app.db.transaction() as tx:
            await catalog.lock(tx, ask.who.account_id)
            made = await scheduled.find(tx, ask.who.account_id, new_id) if ask.repeat else None
            if made is not None:
                return Reply(value=_told(noun, made, ask), status=201)
            before = await catalog.get(tx, ask.who.account_id, noun.document, ask.path["id"])
            merged = merge_patch(to_plain(body_of(noun, before.document, ask.who)), given.change)
            document = with_id(noun, body_from(noun, merged), ask.path["id"])
            check_bidder(document, allow_loopback=ask.app.settings.allow_loopback)
            planned = await scheduled.schedule(
                tx,
                ask.who.account_id,
                document,
                id=new_id,
                starts_at=given.starts_at,
                by=by_of(ask, given.note),
            )
        return Reply(value=_told(noun, planned, ask), status=201)

    async def listed(ask: Ask) -> Reply:
        async with ask.app.db.transaction() as tx:
            await catalog.get(tx, ask.who.account_id, noun.document, ask.path["id"])
            found = await scheduled.of(
                tx,
                ask.who.account_id,
                noun.document,
                ask.path["id"],
                waiting=not ask.asked(ScheduledQuery).past,
            )
        return Reply(value=Page(items=tuple(_told(noun, one, ask) for one in found)))

    path = f"/api/{noun.many}/{{id}}/scheduled"
    return (
        Operation(
            method="POST",
            path=path,
            name=f"schedule_{noun.one}",
            tag=noun.many,
            summary="Change some fields at an instant to come",
            permission="change_config",
            body=ScheduleBody,
            returns=ScheduledChange,
            status=201,
            example={"starts_at": "2030-01-01T08:00:00Z", "change": {"name": "Another name"}},
            refusals=("conflict",),
            run=plan,
        ),
        Operation(
            method="GET",
            path=path,
            name=f"list_{noun.one}_schedule",
            tag=noun.many,
            summary="Changes to come, the next one first",
            permission="read_config",
            query=ScheduledQuery,
            returns=Page[ScheduledChange],
            run=listed,
        ),
    )


def _told(noun: Noun, change: Scheduled, ask: Ask) -> ScheduledChange:
    return ScheduledChange(
        id=change.id,
        record_id=change.config_id,
        base_revision=change.base_revision,
        document=to_plain(body_of(noun, change.document, ask.who)),
        starts_at=change.starts_at,
        state=change.state,
        reason=change.reason,
        scheduled_by=change.scheduled_by,
        scheduled_at=change.scheduled_at,
        note=change.note,
    )


OPERATIONS: Final = (
    *(operation for noun in NOUNS for operation in operations_of(noun)),
    Operation(
        method="DELETE",
        path="/api/scheduled/{id}",
        name="cancel_scheduled_change",
        tag="scheduled changes",
        summary="Call off a change that waits",
        permission="change_config",
        status=204,
        run=cancel_change,
    ),
)
