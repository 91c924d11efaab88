"""What keeps a network in order: connections' secrets, block lists, the account, the audit log, health."""

from typing import Annotated, Any, Final, Literal

import msgspec

from callmatrix.api.config import Noun, by_of, record_of, record_reply, with_id, without_id
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import (
    Cursor,
    IdText,
    Instant,
    Limit,
    Page,
    cursor_of,
    is_full,
    number_of,
    place_of,
)
from callmatrix.api.problems import invalid
from callmatrix.core.campaign import Account, Campaign, Connection
from callmatrix.core.errors import Refused
from callmatrix.core.ids import CampaignId, ConnectionId
from callmatrix.store import audit, blocks, catalog, seals
from callmatrix.store.audit import AuditRow
from callmatrix.store.blocks import Block

DEFAULT_LIMIT: Final = 50

_ACCOUNT: Final = Noun(one="account", many="account", document=Account, body=without_id(Account))
Pattern = Annotated[str, msgspec.Meta(pattern=r"^\+[1-9][0-9]{0,14}$")]


class SecretsBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Secrets to keep, by name: `signing` (what webhooks are signed with), `api` (for the carrier's REST
    interface, where it differs). An empty text removes one. They are sealed and never shown again."""

    secrets: Annotated[
        dict[
            Literal["signing", "api"],
            Annotated[str, msgspec.Meta(max_length=seals.MAX_SECRET)],
        ],
        msgspec.Meta(min_length=1, max_length=seals.MAX_SECRETS),
    ]


class SecretKept(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that a connection has, and since when; never the secret itself."""

    name: str
    changed_at: Instant


class BlockBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to refuse: a number or its beginning, as caller or as dialed number, in one campaign or all."""

    pattern: Pattern
    side: Literal["caller", "dialed"] = "caller"
    matches: Literal["number", "prefix"] = "number"
    campaign_id: IdText | None = None
    reason: Annotated[str, msgspec.Meta(max_length=blocks.MAX_REASON)] = ""
    expires_at: Instant | None = None


class BlocksQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which entries to list, newest first; `search` is how their pattern begins."""

    cursor: Cursor | None = None
    limit: Limit = DEFAULT_LIMIT
    search: Annotated[str, msgspec.Meta(max_length=16)] = ""
    campaign_id: IdText | None = None


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which acts to list, newest first."""

    cursor: Cursor | None = None
    limit: Limit = DEFAULT_LIMIT
    kind: IdText | None = None
    target_id: IdText | None = None
    who: IdText | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether this server can do its work, and what its webhooks came to since it started: `arrivals_now`
    are being decided; `shed` callers got the fail-safe reply because too many came at once, `failed_safe`
    ones because something failed; `spooled` webhooks were kept for later; `bad_signatures` were refused.
    `evidence_dropped` counts auctions, pings and posts of which nothing was kept."""

    database: Literal["ok"]
    arrivals_now: int
    shed: int
    bad_signatures: int
    spooled: int
    failed_safe: int
    evidence_dropped: int


class Troubles(msgspec.Struct, frozen=True, kw_only=True):
    """What is saved but not in force in this process, by id, and why; the one before it still is."""

    troubles: dict[str, str]


async def set_secrets(ask: Ask) -> Reply:
    """Keep a connection's secrets."""
    key = ask.app.settings.secret_key
    if key is None:
        raise Refused("unavailable", "There is no key to seal secrets with; set CALLMATRIX_SECRET_KEY")
    connection_id = ConnectionId(ask.path["id"])
    async with ask.app.db.transaction() as tx:
        given = {str(name): secret for name, secret in ask.given(SecretsBody).secrets.items()}
        await seals.set_secrets(tx, ask.who.account_id, connection_id, given, key=key, by=by_of(ask))
    return await list_secrets(ask)


async def list_secrets(ask: Ask) -> Reply:
    """Which secrets a connection has."""
    connection_id = ConnectionId(ask.path["id"])
    async with ask.app.db.transaction() as tx:
        await catalog.get(tx, ask.who.account_id, Connection, connection_id)
        found = await seals.secret_names(tx, ask.who.account_id, connection_id)
    return Reply(value=Page(items=tuple(SecretKept(name=name, changed_at=at) for name, at in found)))


async def list_blocks(ask: Ask) -> Reply:
    """Entries of the block list in use."""
    query = ask.asked(BlocksQuery)
    async with ask.app.db.transaction() as tx:
        found = await blocks.page(
            tx,
            ask.who.account_id,
            search=query.search,
            campaign_id=None if query.campaign_id is None else CampaignId(query.campaign_id),
            before=place_of(query.cursor),
            limit=query.limit,
        )
    last = found[-1] if is_full(found, query.limit) else None
    cursor = None if last is None else cursor_of(last.blocked_at.isoformat(), last.id)
    return Reply(value=Page(items=found, next_cursor=cursor))


async def create_block(ask: Ask) -> Reply:
    """Refuse from now on."""
    given = ask.given(BlockBody)
    if given.expires_at is not None and given.expires_at <= ask.now:
        raise invalid("expires_at", "It is past", "Send a later instant, or none")
    block = Block(
        id=ask.new_id("blk"),
        pattern=given.pattern,
        side=given.side,
        matches=given.matches,
        campaign_id=None if given.campaign_id is None else CampaignId(given.campaign_id),
        reason=given.reason,
        blocked_by=ask.who.id,
        blocked_at=ask.now,
        expires_at=given.expires_at,
    )
    async with ask.app.db.transaction() as tx:
        if given.campaign_id is not None:
            await catalog.get(tx, ask.who.account_id, Campaign, given.campaign_id)
        await catalog.lock(tx, ask.who.account_id)
        made = await blocks.find(tx, ask.who.account_id, block.id) if ask.repeat else None
        kept = made or await blocks.add(tx, ask.who.account_id, block)
    return Reply(value=kept, status=201)


async def delete_block(ask: Ask) -> Reply:
    """Refuse no more."""
    async with ask.app.db.transaction() as tx:
        await blocks.remove(tx, ask.who.account_id, ask.path["id"], by=by_of(ask))
    return Reply(status=204)


async def list_audit(ask: Ask) -> Reply:
    """Who did what, newest first."""
    query = ask.asked(AuditQuery)
    async with ask.app.db.transaction() as tx:
        found = await audit.acts(
            tx,
            ask.who.account_id,
            kind=query.kind,
            target_id=query.target_id,
            who=query.who,
            before_id=number_of(query.cursor),
            limit=query.limit,
        )
    cursor = cursor_of(str(found[-1].id)) if is_full(found, query.limit) else None
    return Reply(value=Page(items=found, next_cursor=cursor))


async def read_account(ask: Ask) -> Reply:
    """The account's settings."""
    async with ask.app.db.transaction() as tx:
        stored = await catalog.get(tx, ask.who.account_id, Account, ask.who.account_id)
    return record_reply(_ACCOUNT, stored, ask.who)


async def replace_account(ask: Ask) -> Reply:
    """Change the account's settings."""
    body: Any = ask.given(_ACCOUNT.body)
    document = with_id(_ACCOUNT, body, ask.who.account_id)
    async with ask.app.db.transaction() as tx:
        stored = await catalog.change(
            tx, ask.who.account_id, document, by=by_of(ask), expected_revision=ask.revision
        )
    return record_reply(_ACCOUNT, stored, ask.who)


async def read_troubles(ask: Ask) -> Reply:
    """What is saved but not in force."""
    return Reply(value=Troubles(troubles=ask.app.catalog.troubles(ask.who.account_id)))


async def read_health(ask: Ask) -> Reply:
    """Ask the database."""
    await ask.app.db.ping()
    counted = msgspec.structs.asdict(ask.lane)
    return Reply(value=Health(database="ok", **counted, evidence_dropped=ask.app.evidence.dropped))


_ACCOUNT_RECORD: Any = record_of(_ACCOUNT.body)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/connections/{id}/secrets",
        name="list_connection_secrets",
        tag="connections",
        summary="Which secrets a connection has; never the secrets",
        permission="read_config",
        returns=Page[SecretKept],
        run=list_secrets,
    ),
    Operation(
        method="PUT",
        path="/api/connections/{id}/secrets",
        name="set_connection_secrets",
        tag="connections",
        summary="Keep secrets, sealed; they are never shown again",
        permission="administer",
        body=SecretsBody,
        returns=Page[SecretKept],
        example=SecretsBody(secrets={"signing": "the carrier's auth token"}),
        run=set_secrets,
    ),
    Operation(
        method="GET",
        path="/api/blocks",
        name="list_blocks",
        tag="block list",
        summary="Whose calls are refused",
        permission="read_config",
        query=BlocksQuery,
        returns=Page[Block],
        run=list_blocks,
    ),
    Operation(
        method="POST",
        path="/api/blocks",
        name="create_block",
        tag="block list",
        summary="Refuse a number, or all that begin so",
        permission="change_config",
        body=BlockBody,
        returns=Block,
        status=201,
        example=BlockBody(pattern="+13125550100", reason="Calls every minute"),
        refusals=("conflict", "not_found"),
        run=create_block,
    ),
    Operation(
        method="DELETE",
        path="/api/blocks/{id}",
        name="delete_block",
        tag="block list",
        summary="Refuse no more",
        permission="change_config",
        status=204,
        run=delete_block,
    ),
    Operation(
        method="GET",
        path="/api/audit",
        name="list_audit",
        tag="account",
        summary="Who did what, newest first",
        permission="administer",
        query=AuditQuery,
        returns=Page[AuditRow],
        run=list_audit,
    ),
    Operation(
        method="GET",
        path="/api/account",
        name="read_account",
        tag="account",
        summary="The account's settings",
        permission="read_config",
        returns=_ACCOUNT_RECORD,
        run=read_account,
    ),
    Operation(
        method="PUT",
        path="/api/account",
        name="replace_account",
        tag="account",
        summary="Change the account's settings",
        permission="administer",
        body=_ACCOUNT.body,
        returns=_ACCOUNT_RECORD,
        needs_revision=True,
        example={"name": "Our network", "currency": "USD", "time_zone": "America/New_York"},
        refusals=("conflict",),
        run=replace_account,
    ),
    Operation(
        method="GET",
        path="/api/troubles",
        name="read_troubles",
        tag="account",
        summary="What is saved but not in force, and why",
        permission="read_config",
        returns=Troubles,
        run=read_troubles,
    ),
    Operation(
        method="GET",
        path="/healthz",
        name="read_health",
        tag="health",
        summary="Whether the database answers",
        permission="public",
        returns=Health,
        run=read_health,
    ),
)
