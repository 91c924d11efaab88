"""The configuration nouns: one table of kinds, and for each the same operations on revisioned documents."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec

from callmatrix.api.access import Permission, Principal
from callmatrix.api.bidder_checks import check_bidder
from callmatrix.api.examples import EXAMPLES
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import (
    Cursor,
    IdText,
    Limit,
    Page,
    PageQuery,
    Search,
    cursor_of,
    is_full,
    number_of,
)
from callmatrix.api.problems import not_found
from callmatrix.core.campaign import (
    Buyer,
    Campaign,
    Connection,
    Endpoint,
    FlowDocument,
    Number,
    Offer,
    Publisher,
)
from callmatrix.core.documents import from_plain, problem_of, to_plain
from callmatrix.core.errors import Refused
from callmatrix.core.ids import PREFIXES
from callmatrix.live.catalog import check_capabilities
from callmatrix.store import catalog
from callmatrix.store.audit import By
from callmatrix.store.db import Transaction

MAX_NOTE: Final = 500
DEFAULT_LIMIT: Final = 50
MAX_REVISION: Final = 2**31 - 1

T = TypeVar("T")
Note = Annotated[str, msgspec.Meta(max_length=MAX_NOTE, description="Why, for the history and the audit log")]


class Record(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A document as it stands. `revision` is its ETag: a change names it in `If-Match`."""

    id: str
    revision: int
    archived: bool
    created_at: datetime
    changed_at: datetime
    document: T


class Noun(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of configuration. `body` is the document without its id, which the server assigns."""

    one: str
    many: str
    document: Any
    body: Any
    read: Permission = "read_config"
    copies: bool = True


class ListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which records to list, in order of their names. `search` is looked for in the name, or is the id."""

    cursor: Cursor | None = None
    limit: Limit = DEFAULT_LIMIT
    search: Search | None = None
    status: Annotated[str, msgspec.Meta(max_length=20)] | None = None
    archived: bool = False
    buyer_id: IdText | None = None
    connection_id: IdText | None = None


class RevisionDocument(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A document as it was at a revision."""

    id: str
    revision: int
    document: T


def without_id(document: type) -> Any:
    """The type of a document's request body: every field but the id."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(document):
        if field.name == "id":
            continue
        if field.default is not msgspec.NODEFAULT:
            fields.append((field.name, field.type, field.default))
        elif field.default_factory is not msgspec.NODEFAULT:
            fields.append((field.name, field.type, msgspec.field(default_factory=field.default_factory)))
        else:
            fields.append((field.name, field.type))
    name = document.__name__.removesuffix("Document") + "Body"
    return msgspec.defstruct(
        name,
        fields,
        module=__name__,
        namespace={"__doc__": document.__doc__},
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )


NOUNS: Final = (
    Noun(one="campaign", many="campaigns", document=Campaign, body=without_id(Campaign)),
    Noun(one="offer", many="offers", document=Offer, body=without_id(Offer), read="read_own_config"),
    Noun(one="buyer", many="buyers", document=Buyer, body=without_id(Buyer), read="read_own_config"),
    Noun(
        one="publisher",
        many="publishers",
        document=Publisher,
        body=without_id(Publisher),
        read="read_own_config",
    ),
    Noun(one="number", many="numbers", document=Number, body=without_id(Number), copies=False),
    Noun(
        one="connection", many="connections", document=Connection, body=without_id(Connection), copies=False
    ),
    Noun(one="flow", many="flows", document=FlowDocument, body=without_id(FlowDocument)),
    Noun(one="endpoint", many="endpoints", document=Endpoint, body=without_id(Endpoint), copies=False),
)


def page_of(kind: Any) -> Any:
    """The type of a page of a type that is made at run time."""
    return Page[kind]


def record_of(body: Any) -> Any:
    """The type of a record of a body that is made at run time."""
    return Record[body]


def revision_of_type(body: Any) -> Any:
    """The type of a document as it was, of a body that is made at run time."""
    return RevisionDocument[body]


def by_of(ask: Ask, note: str = "") -> By:
    """Who acts, for the history and the audit log."""
    return By(who=ask.who.id, at=ask.now, note=note)


def with_id(noun: Noun, body: Any, record_id: str) -> Any:
    """A body as the document of that id."""
    fields = {name: getattr(body, name) for name in body.__struct_fields__}
    return noun.document(id=record_id, **fields)


def body_of(noun: Noun, document: Any, who: Principal) -> Any:
    """A document as it is shown: without its id, and our notes only to ourselves."""
    fields = {name: getattr(document, name) for name in noun.body.__struct_fields__}
    if "notes" in fields and not who.is_staff:
        fields["notes"] = ""
    return noun.body(**fields)


def record_reply(noun: Noun, stored: Any, who: Principal, *, status: int = 200) -> Reply:
    """A record with its ETag; a new one with its address too."""
    record: Record[Any] = Record(
        id=stored.document.id,
        revision=stored.revision,
        archived=stored.archived,
        created_at=stored.created_at,
        changed_at=stored.changed_at,
        document=body_of(noun, stored.document, who),
    )
    headers = {"ETag": f'"{stored.revision}"'}
    if status == 201:
        headers["Location"] = f"/api/{noun.many}/{record.id}"
    return Reply(value=record, status=status, headers=headers)


def operations_of(noun: Noun) -> tuple[Operation, ...]:
    """The operations of one noun."""
    base, record = f"/api/{noun.many}", f"/api/{noun.many}/{{id}}"
    record_type = record_of(noun.body)
    example = EXAMPLES[noun.one]
    return (
        Operation(
            method="GET",
            path=base,
            name=f"list_{noun.many}",
            tag=noun.many,
            summary=f"List {noun.many} by name",
            permission=noun.read,
            query=ListQuery,
            returns=page_of(record_type),
            run=_lister(noun),
        ),
        Operation(
            method="POST",
            path=base,
            name=f"create_{noun.one}",
            tag=noun.many,
            summary=f"Create a record ({noun.one})",
            permission="change_config",
            body=noun.body,
            returns=record_type,
            status=201,
            example=example,
            refusals=("conflict",),
            run=_creator(noun),
        ),
        Operation(
            method="GET",
            path=record,
            name=f"read_{noun.one}",
            tag=noun.many,
            summary=f"Read one {noun.one}",
            permission=noun.read,
            returns=record_type,
            run=_reader(noun),
        ),
        Operation(
            method="PUT",
            path=record,
            name=f"replace_{noun.one}",
            tag=noun.many,
            summary="Put a document in place of the last revision",
            permission="change_config",
            body=noun.body,
            returns=record_type,
            needs_revision=True,
            example=example,
            refusals=("conflict",),
            run=_replacer(noun),
        ),
        Operation(
            method="PATCH",
            path=record,
            name=f"change_{noun.one}",
            tag=noun.many,
            summary="Change some fields by a merge patch",
            permission="change_config",
            body=noun.body,
            patches=True,
            returns=record_type,
            needs_revision=True,
            example={"name": "Another name"} if noun.one != "number" else {"late_payout_days": 14},
            refusals=("conflict",),
            run=_patcher(noun),
        ),
        Operation(
            method="GET",
            path=f"{record}/history",
            name=f"list_{noun.one}_revisions",
            tag=noun.many,
            summary="List revisions: what was done, by whom, when and why",
            permission="read_config",
            query=PageQuery,
            returns=Page[catalog.Revision],
            run=_historian(noun),
        ),
        Operation(
            method="GET",
            path=f"{record}/history/{{revision}}",
            name=f"read_{noun.one}_revision",
            tag=noun.many,
            summary="Read the document as it was at a revision",
            permission="read_config",
            returns=revision_of_type(noun.body),
            run=_revision_reader(noun),
        ),
    )


# --- what the operations do -----------------------------------------------------------------------------

Run = Callable[[Ask], Awaitable[Reply]]


def _own_ids(noun: Noun, who: Principal) -> tuple[str, ...] | None:
    """The records of this noun that are shown; None: all."""
    if who.is_staff or noun.one == "offer":
        return None
    own = who.buyer_id if noun.one == "buyer" else who.publisher_id if noun.one == "publisher" else None
    return () if own is None else (own,)


def _is_shown(noun: Noun, document: Any, who: Principal) -> bool:
    if who.is_staff:
        return True
    if noun.one == "offer":
        return who.buyer_id is not None and document.buyer_id == who.buyer_id
    ids = _own_ids(noun, who)
    return ids is None or document.id in ids


def _lister(noun: Noun) -> Run:
    async def run(ask: Ask) -> Reply:
        query, who = ask.asked(ListQuery), ask.who
        buyer_id = query.buyer_id
        ids = _own_ids(noun, who)
        if noun.one == "offer" and not who.is_staff:
            buyer_id = who.buyer_id
            ids = () if who.buyer_id is None else None
        wanted = catalog.Wanted(
            search=query.search or "",
            status=query.status,
            archived=query.archived,
            ids=ids,
            buyer_id=buyer_id if noun.one == "offer" else None,
            connection_id=query.connection_id if noun.one == "number" else None,
            cursor=query.cursor,
            limit=query.limit,
        )
        async with ask.app.db.transaction() as tx:
            found = await catalog.page(tx, who.account_id, noun.document, wanted)
        items = tuple(record_reply(noun, one, who).value for one in found.items)
        return Reply(value=Page(items=items, next_cursor=found.next_cursor))

    return run


def _creator(noun: Noun) -> Run:
    async def run(ask: Ask) -> Reply:
        document = with_id(noun, ask.given(noun.body), ask.new_id(PREFIXES[noun.one]))
        check_bidder(document, allow_loopback=ask.app.settings.allow_loopback)
        async with ask.app.db.transaction() as tx:
            made = await made_before(tx, ask, noun, document.id)
            if made is not None:
                return made
            stored = await catalog.create(tx, ask.who.account_id, document, by=by_of(ask))
            await check_capabilities(tx, ask.who.account_id, stored.document)
        return record_reply(noun, stored, ask.who, status=201)

    return run


async def made_before(tx: Transaction, ask: Ask, noun: Noun, new_id: str) -> Reply | None:
    """The answer of a repeat whose first process died after making the record, or is about to make it."""
    if not ask.repeat:
        return None
    await catalog.lock(tx, ask.who.account_id)
    found = await catalog.find(tx, ask.who.account_id, noun.document, new_id)
    return None if found is None else record_reply(noun, found, ask.who, status=201)


def _reader(noun: Noun) -> Run:
    async def run(ask: Ask) -> Reply:
        async with ask.app.db.transaction() as tx:
            stored = await catalog.get(tx, ask.who.account_id, noun.document, ask.path["id"])
        if not _is_shown(noun, stored.document, ask.who):
            raise not_found(noun.one, ask.path["id"])
        return record_reply(noun, stored, ask.who)

    return run


def _replacer(noun: Noun) -> Run:
    async def run(ask: Ask) -> Reply:
        return await _changed(noun, ask, with_id(noun, ask.given(noun.body), ask.path["id"]))

    return run


def _patcher(noun: Noun) -> Run:
    async def run(ask: Ask) -> Reply:
        async with ask.app.db.transaction() as tx:
            before = await catalog.get(tx, ask.who.account_id, noun.document, ask.path["id"])
        merged = merge_patch(to_plain(body_of(noun, before.document, ask.who)), ask.body)
        return await _changed(noun, ask, with_id(noun, body_from(noun, merged), ask.path["id"]))

    return run


async def _changed(noun: Noun, ask: Ask, document: Any) -> Reply:
    check_bidder(document, allow_loopback=ask.app.settings.allow_loopback)
    async with ask.app.db.transaction() as tx:
        stored = await catalog.change(
            tx, ask.who.account_id, document, by=by_of(ask), expected_revision=ask.revision
        )
        await check_capabilities(tx, ask.who.account_id, stored.document)
    return record_reply(noun, stored, ask.who)


def body_from(noun: Noun, plain: Any) -> Any:
    """Plain values as the noun's body; `Refused` names the field that does not fit."""
    try:
        return from_plain(plain, noun.body)
    except msgspec.ValidationError as error:
        raise Refused("invalid", str(error), (problem_of(error),)) from None


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396: objects are merged, null removes, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def _historian(noun: Noun) -> Run:
    async def run(ask: Ask) -> Reply:
        query = ask.asked(PageQuery)
        before = number_of(query.cursor)
        async with ask.app.db.transaction() as tx:
            await catalog.get(tx, ask.who.account_id, noun.document, ask.path["id"])
            found = await catalog.history(
                tx,
                ask.who.account_id,
                noun.document,
                ask.path["id"],
                before_revision=None if before is None else min(before, MAX_REVISION),
                limit=query.limit,
            )
        cursor = cursor_of(str(found[-1].revision)) if is_full(found, query.limit) else None
        return Reply(value=Page(items=found, next_cursor=cursor))

    return run


def _revision_reader(noun: Noun) -> Run:
    async def run(ask: Ask) -> Reply:
        revision = revision_of(ask.path["revision"])
        async with ask.app.db.transaction() as tx:
            document = await catalog.at_revision(
                tx, ask.who.account_id, noun.document, ask.path["id"], revision
            )
        shown = body_of(noun, document, ask.who)
        return Reply(value=RevisionDocument(id=ask.path["id"], revision=revision, document=shown))

    return run


def revision_of(text: str) -> int:
    """A revision or version in a path."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise not_found("revision", text)
    return int(text)
