"""One's own sessions: where one is signed in, and ending them."""

from typing import Final

from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import Page
from callmatrix.api.problems import not_found
from callmatrix.core.errors import Refused
from callmatrix.core.ids import UserId
from callmatrix.store import sessions
from callmatrix.store.sessions import OpenSession


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
