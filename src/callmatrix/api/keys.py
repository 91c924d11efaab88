"""API keys: making them for our own programs or a partner's, listing and revoking them."""

from typing import Annotated, Final

import msgspec

from callmatrix.api import auth
from callmatrix.api.access import Scope
from callmatrix.api.config import by_of
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import IdText, Instant, Page, PageQuery, cursor_of, is_full, place_of
from callmatrix.api.people import PersonName, refuse_unknown_scope
from callmatrix.api.problems import invalid
from callmatrix.core.ids import BuyerId, PublisherId
from callmatrix.store import access
from callmatrix.store.access import ApiKey


class KeyBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be: what for, what it may, and until when. With `buyer_id` or `publisher_id` it is for that
    one's own system: it sees what their people see, and may have the scopes `read` and `write`."""

    name: PersonName
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=4)]
    expires_at: Instant | None = None
    buyer_id: IdText | None = None
    publisher_id: IdText | None = None


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key with its secret, shown now and never again."""

    key: ApiKey
    secret: str


async def list_keys(ask: Ask) -> Reply:
    """Every key, revoked ones too."""
    query = ask.asked(PageQuery)
    async with ask.app.db.transaction() as tx:
        found = await access.keys(tx, ask.who.account_id, after=place_of(query.cursor), limit=query.limit)
    last = found[-1] if is_full(found, query.limit) else None
    cursor = None if last is None else cursor_of(last.created_at.isoformat(), last.id)
    return Reply(value=Page(items=found, next_cursor=cursor))


async def create_key(ask: Ask) -> Reply:
    """A new key, its secret shown once."""
    given = ask.given(KeyBody)
    if given.expires_at is not None and given.expires_at <= ask.now:
        raise invalid("expires_at", "It is past", "Send a later instant, or none")
    outsider = given.buyer_id is not None or given.publisher_id is not None
    if outsider and not set(given.scopes) <= {"read", "write"}:
        raise invalid("scopes", "A buyer's or publisher's key may not so much", "Send read, write, or both")
    secret = auth.KEY_PREFIX + ask.app.world.token()
    key = ApiKey(
        id=ask.new_id("key"),
        account_id=ask.who.account_id,
        name=given.name,
        prefix="",
        scopes=tuple(dict.fromkeys(given.scopes)),
        buyer_id=None if given.buyer_id is None else BuyerId(given.buyer_id),
        publisher_id=None if given.publisher_id is None else PublisherId(given.publisher_id),
        created_by=ask.who.id,
        created_at=ask.now,
        expires_at=given.expires_at,
    )
    async with ask.app.db.transaction() as tx:
        await refuse_unknown_scope(tx, key)
        made = await access.renew_key(tx, key.account_id, key.id, token=secret) if ask.repeat else None
        kept = made or await access.add_key(tx, key, token=secret, by=by_of(ask))
    return Reply(value=NewKey(key=kept, secret=secret), status=201)


async def revoke_key(ask: Ask) -> Reply:
    """The key opens nothing any more."""
    async with ask.app.db.transaction() as tx:
        await access.revoke_key(tx, ask.who.account_id, ask.path["id"], by=by_of(ask))
    return Reply(status=204)


_TAG: Final = "users and keys"

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/keys",
        name="list_keys",
        tag=_TAG,
        summary="API keys, newest first",
        permission="administer",
        query=PageQuery,
        returns=Page[ApiKey],
        run=list_keys,
    ),
    Operation(
        method="POST",
        path="/api/keys",
        name="create_key",
        tag=_TAG,
        summary="A new API key, its secret shown once",
        permission="administer",
        body=KeyBody,
        returns=NewKey,
        status=201,
        example=KeyBody(name="Nightly export", scopes=("read",)),
        secret=True,
        refusals=("not_found", "conflict"),
        run=create_key,
    ),
    Operation(
        method="DELETE",
        path="/api/keys/{id}",
        name="revoke_key",
        tag=_TAG,
        summary="The key opens nothing any more",
        permission="administer",
        status=204,
        run=revoke_key,
    ),
)
