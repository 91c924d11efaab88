"""One's own sessions: whether and where one is signed in, and ending them."""

from typing import Final

import msgspec

from callmatrix.api import auth
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import Page
from callmatrix.api.people import Me, told_me
from callmatrix.api.problems import not_found
from callmatrix.core.errors import Refused
from callmatrix.core.ids import UserId
from callmatrix.store import access, sessions
from callmatrix.store.sessions import OpenSession


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in by the session cookie; null where nobody is, which is no error to ask."""

    me: Me | None


async def read_session(ask: Ask) -> Reply:
    """Who is signed in, if anybody."""
    if not auth.may_be_token(ask.session):
        return Reply(value=Session(me=None))
    async with ask.app.db.transaction() as tx:
        found = await access.find_session(tx, ask.session, now=ask.now)
        if found is None:
            return Reply(value=Session(me=None))
        who = auth.principal_of(found.user, csrf=found.csrf)
        return Reply(value=Session(me=await told_me(tx, who)))


async def list_sessions(ask: Ask) -> Reply:
    """The sessions in force, newest first."""
    async with ask.app.db.transaction() as tx:
        found = await sessions.open_sessions(
            tx, ask.who.account_id, _user(ask), token=ask.session, now=ask.now
        )
    return Reply(value=Page(items=found))


async def end_session(ask: Ask) -> Reply:
    """Sign out there."""
    session_id = ask.path["id"]
    async with ask.app.db.transaction() as tx:
        if not await sessions.end_one(tx, ask.who.account_id, _user(ask), session_id):
            raise not_found("session", session_id)
    return Reply(status=204)


def _user(ask: Ask) -> UserId:
    if ask.who.user_id is None:
        raise Refused("not_allowed", "A key has no sessions")
    return ask.who.user_id


_TAG: Final = "sign-in"

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/session",
        name="read_session",
        tag=_TAG,
        summary="Who is signed in by the session cookie, if anybody",
        permission="public",
        returns=Session,
        run=read_session,
    ),
    Operation(
        method="GET",
        path="/api/me/sessions",
        name="list_sessions",
        tag=_TAG,
        summary="Where one is signed in, newest first",
        permission="self",
        returns=Page[OpenSession],
        run=list_sessions,
    ),
    Operation(
        method="DELETE",
        path="/api/me/sessions/{id}",
        name="end_session_elsewhere",
        tag=_TAG,
        summary="End one of one's own sessions",
        permission="self",
        status=204,
        run=end_session,
    ),
)
