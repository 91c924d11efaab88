"""The acts that every configuration noun has: pause, resume, archive, restore and copy."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal

import msgspec

from callmatrix.api.bidder_checks import check_bidder
from callmatrix.api.config import Note, Noun, by_of, made_before, record_of, record_reply
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.core.ids import PREFIXES
from callmatrix.live.catalog import check_capabilities
from callmatrix.store import lifecycle


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One act that every noun has."""

    name: Literal["pause", "resume", "archive"]
    summary: str
    perform: Callable[..., Awaitable[Any]]


ACTS: Final = (
    Act(
        name="pause",
        summary="No new calls from now on; those in the air go on",
        perform=lifecycle.pause,
    ),
    Act(name="resume", summary="Calls again from now on", perform=lifecycle.resume),
    Act(
        name="archive",
        summary="Put away, with its history; refused while something names it",
        perform=lifecycle.archive,
    ),
)


class ActBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An act on a record, with an optional reason."""

    note: Note = ""


class CloneBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the copy is called; without a name, the same and “(copy)”."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=120)] | None = None
    note: Note = ""


class RestoreBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which revision becomes the next one. What was archived comes back paused."""

    revision: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    note: Note = ""


def operations_of(noun: Noun) -> tuple[Operation, ...]:
    """The acts of one noun."""
    acts = (*(_act_operation(noun, act) for act in ACTS), _restore_operation(noun))
    return (*acts, _clone_operation(noun)) if noun.copies else acts


def _act_operation(noun: Noun, act: Act) -> Operation:
    async def run(ask: Ask) -> Reply:
        async with ask.app.db.transaction() as tx:
            stored = await act.perform(
                tx,
                ask.who.account_id,
                noun.document,
                ask.path["id"],
                by=by_of(ask, ask.given(ActBody).note),
                expected_revision=ask.revision,
            )
            await check_capabilities(tx, ask.who.account_id, stored.document)
        return record_reply(noun, stored, ask.who)

    return Operation(
        method="POST",
        path=f"/api/{noun.many}/{{id}}/{act.name}",
        name=f"{act.name}_{noun.one}",
        tag=noun.many,
        summary=act.summary,
        permission="change_config",
        body=ActBody,
        returns=record_of(noun.body),
        example=ActBody(note="Asked for by telephone"),
        refusals=("conflict", "changed_meanwhile"),
        run=run,
    )


def _restore_operation(noun: Noun) -> Operation:
    async def run(ask: Ask) -> Reply:
        given = ask.given(RestoreBody)
        async with ask.app.db.transaction() as tx:
            stored = await lifecycle.restore(
                tx,
                ask.who.account_id,
                noun.document,
                ask.path["id"],
                given.revision,
                by=by_of(ask, given.note),
                expected_revision=ask.revision,
            )
            check_bidder(stored.document, allow_loopback=ask.app.settings.allow_loopback)
            await check_capabilities(tx, ask.who.account_id, stored.document)
        return record_reply(noun, stored, ask.who)

    return Operation(
        method="POST",
        path=f"/api/{noun.many}/{{id}}/restore",
        name=f"restore_{noun.one}",
        tag=noun.many,
        summary="Make an earlier revision the current one again",
        permission="change_config",
        body=RestoreBody,
        returns=record_of(noun.body),
        example=RestoreBody(revision=1),
        refusals=("conflict", "changed_meanwhile"),
        run=run,
    )


def _clone_operation(noun: Noun) -> Operation:
    async def run(ask: Ask) -> Reply:
        given = ask.given(CloneBody)
        new_id = ask.new_id(PREFIXES[noun.one])
        async with ask.app.db.transaction() as tx:
            made = await made_before(tx, ask, noun, new_id)
            if made is not None:
                return made
            stored = await lifecycle.clone(
                tx,
                ask.who.account_id,
                noun.document,
                ask.path["id"],
                new_id=new_id,
                by=by_of(ask, given.note),
                name=given.name,
            )
        return record_reply(noun, stored, ask.who, status=201)

    return Operation(
        method="POST",
        path=f"/api/{noun.many}/{{id}}/clone",
        name=f"clone_{noun.one}",
        tag=noun.many,
        summary="Copy under a new id; the copy begins paused, a campaign's as a draft",
        permission="change_config",
        body=CloneBody,
        returns=record_of(noun.body),
        status=201,
        example=CloneBody(name="Another one"),
        refusals=("conflict",),
        run=run,
    )
