"""Keeps the current configuration of all accounts in memory, and the plans that calls in the air are on."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Final, Literal

import msgspec

from callmatrix.core import hours
from callmatrix.core.campaign import Account, Campaign, Connection, Endpoint, Number, Publisher
from callmatrix.core.documents import from_plain
from callmatrix.core.errors import Refused
from callmatrix.core.ids import (
    AccountId,
    CampaignId,
    ConnectionId,
    EndpointId,
    NumberId,
    OfferId,
    PublisherId,
)
from callmatrix.core.plan import CompiledPlan, PlanDocument
from callmatrix.dialects.carriers.dialect import Dialect, Secrets, capability_problems, dialect_of
from callmatrix.live.blocklist import BlockList
from callmatrix.live.endpoints import Endpoints, Seller
from callmatrix.live.pins import Pins, compiled
from callmatrix.store import blocks, catalog, impact, plans, rtb_keys, seals
from callmatrix.store.blocks import Block
from callmatrix.store.catalog import Changed
from callmatrix.store.db import Database, DatabaseGone, Transaction
from callmatrix.store.kinds import Config, Kind
from callmatrix.store.rtb_keys import EndpointKey

POLL_S: Final = 1.0
"""How long a change may go unnoticed where its notice was lost."""
MAX_COMPILED_AT_ONCE: Final = 100
"""Plans of more entries are compiled in the background; the one before serves until they are ready."""
_NO_SECRETS: Final[Mapping[str, str]] = {}
_KINDS: Final[tuple[Kind, ...]] = ("account", "publisher", "connection", "campaign", "number", "endpoint")

CampaignStatus = Literal["draft", "live", "paused", "archived"]

_log = logging.getLogger(__name__)


class Wired(msgspec.Struct, frozen=True, kw_only=True):
    """A connection ready for use: whose it is, how its carrier speaks, and its opened secrets."""

    account_id: AccountId
    connection: Connection
    dialect: Dialect
    secrets: Secrets


class _Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at the database brought."""

    version: int
    changed: tuple[Changed, ...]
    secrets: dict[ConnectionId, dict[str, str] | seals.SealBroken]
    bidder_secrets: dict[OfferId, dict[str, str] | seals.SealBroken]
    endpoint_keys: dict[EndpointId, EndpointKey]
    blocks: tuple[Block, ...]
    plans: tuple[tuple[CampaignId, int], ...]


class _Standing:
    """One account as it stands. Changed only between two awaits, so nobody sees half of a change."""

    def __init__(self) -> None:
        self.version = 0
        self.account: Account | None = None
        self.numbers: dict[tuple[ConnectionId, str], Number] = {}
        self.number_places: dict[NumberId, tuple[ConnectionId, str]] = {}
        self.connections: dict[ConnectionId, Wired] = {}
        self.campaigns: dict[CampaignId, Campaign] = {}
        self.publishers: dict[PublisherId, Publisher] = {}
        self.bidder_secrets: dict[OfferId, dict[str, str]] = {}
        self.blocks = BlockList()
        self.wanted: dict[CampaignId, int] = {}
        self.plans: dict[CampaignId, CompiledPlan] = {}
        self.troubles: dict[str, str] = {}
        self.refreshing = asyncio.Lock()
        self.compiling: asyncio.Task[None] | None = None


@asynccontextmanager
async def open_catalog(db: Database, *, secret_key: bytes) -> AsyncIterator["Catalog"]:
    """A catalog that knows everything saved by now and follows every change until the block ends.

    Raises `DatabaseGone` where there is no database to begin with."""
    opened = Catalog(db, secret_key=secret_key)
    await opened.refresh_all()
    for account in opened.accounts():
        await opened.settle(account.id)
    following = asyncio.create_task(opened.run())
    try:
        yield opened
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await opened.close()


class Catalog:
    """What every arrival asks. Answers come from memory; `run` keeps it up to date."""

    def __init__(self, db: Database, *, secret_key: bytes) -> None:
        self._db = db
        self._secret_key = secret_key
        self._accounts: dict[AccountId, _Standing] = {}
        self._owners: dict[ConnectionId, AccountId] = {}
        self._endpoints = Endpoints()
        self._pins = Pins(db)
        self._moved = asyncio.Condition()

    # --- asked by calls --------------------------------------------------------------------------------

    def accounts(self) -> tuple[Account, ...]:
        """Every account that is known."""
        return tuple(one.account for one in self._accounts.values() if one.account is not None)

    def account(self, account_id: AccountId) -> Account | None:
        """The account's own document: its zone, week and currency."""
        standing = self._accounts.get(account_id)
        return None if standing is None else standing.account

    def version(self, account_id: AccountId) -> int:
        """Up to which version of its catalog an account is known; 0 where it is not."""
        standing = self._accounts.get(account_id)
        return 0 if standing is None else standing.version

    def connection(self, connection_id: ConnectionId) -> Wired | None:
        """A connection in use, with its secrets; None also while its signing secret is missing."""
        account_id = self._owners.get(connection_id)
        return None if account_id is None else self._accounts[account_id].connections.get(connection_id)

    def bidder_secrets(self, account_id: AccountId, offer_id: OfferId) -> Mapping[str, str]:
        """The opened secrets of an offer's bidder by name; none where none is kept, or one is broken."""
        standing = self._accounts.get(account_id)
        return _NO_SECRETS if standing is None else standing.bidder_secrets.get(offer_id, _NO_SECRETS)

    def number(self, connection_id: ConnectionId, e164: str) -> Number | None:
        """The tracked number that a carrier says was dialed."""
        account_id = self._owners.get(connection_id)
        return None if account_id is None else self._accounts[account_id].numbers.get((connection_id, e164))

    def numbers(self, account_id: AccountId) -> tuple[Number, ...]:
        """Every tracked number of an account."""
        standing = self._accounts.get(account_id)
        return () if standing is None else tuple(standing.numbers.values())

    def e164_of(self, account_id: AccountId, number_id: NumberId) -> str | None:
        """The number of this id, where it is in use."""
        standing = self._accounts.get(account_id)
        place = None if standing is None else standing.number_places.get(number_id)
        if standing is None or place is None or standing.numbers[place].status == "disabled":
            return None
        return place[1]

    def connection_of(self, account_id: AccountId, number_id: NumberId) -> ConnectionId | None:
        """The connection over which a number's calls come."""
        standing = self._accounts.get(account_id)
        place = None if standing is None else standing.number_places.get(number_id)
        return None if place is None else place[0]

    def seller(self, endpoint_id: str) -> Seller | None:
        """The RTB endpoint of this id, whoever's it is."""
        return self._endpoints.get(endpoint_id)

    def seller_of(self, account_id: AccountId, number_id: NumberId) -> Seller | None:
        """The RTB endpoint whose calls come over this number; for most numbers none."""
        return self._endpoints.of_number(account_id, number_id)

    def plan(self, account_id: AccountId, campaign_id: CampaignId) -> CompiledPlan | None:
        """The plan that new calls of a campaign are pinned to."""
        standing = self._accounts.get(account_id)
        return None if standing is None else standing.plans.get(campaign_id)

    def plans(self, account_id: AccountId) -> tuple[CompiledPlan, ...]:
        """The plans that new calls of an account's campaigns are pinned to."""
        standing = self._accounts.get(account_id)
        return () if standing is None else tuple(standing.plans.values())

    async def current(self, account_id: AccountId, campaign_id: CampaignId) -> CompiledPlan | None:
        """As `plan`, after everything that is saved by now is in force: for people, not for calls."""
        await self.refresh(account_id)
        await self.settle(account_id)
        return self.plan(account_id, campaign_id)

    async def pinned(self, account_id: AccountId, campaign_id: CampaignId, version: int) -> CompiledPlan:
        """The plan that a call began with; `Refused("not_found")` where it is kept no more, `DatabaseGone`
        where it must be loaded and can't be."""
        plan = self.plan(account_id, campaign_id)
        if plan is not None and plan.version == version:
            return plan
        return await self._pins.get(account_id, campaign_id, version)

    def campaign_standing(
        self, account_id: AccountId, campaign_id: CampaignId, at: datetime
    ) -> tuple[CampaignStatus, bool]:
        """A campaign's status now, and whether its hours are open; one that is not there is archived."""
        standing = self._accounts.get(account_id)
        campaign = None if standing is None else standing.campaigns.get(campaign_id)
        if campaign is None:
            return "archived", False
        return campaign.status, campaign.hours is None or hours.is_open(campaign.hours, at)

    def publisher_paused(
        self, account_id: AccountId, campaign_id: CampaignId, publisher_id: PublisherId | None
    ) -> bool:
        """Whether a publisher's calls are refused, everywhere or in this campaign."""
        standing = self._accounts.get(account_id)
        if standing is None or publisher_id is None:
            return False
        publisher = standing.publishers.get(publisher_id)
        if publisher is not None and publisher.status != "active":
            return True
        campaign = standing.campaigns.get(campaign_id)
        own = () if campaign is None else campaign.publishers
        return any(one.paused for one in own if one.publisher_id == publisher_id)

    def blocked_by(
        self, account_id: AccountId, campaign_id: CampaignId, caller: str | None, dialed: str, at: datetime
    ) -> str:
        """The id of the block-list entry that refuses this call, or nothing."""
        standing = self._accounts.get(account_id)
        if standing is None:
            return ""
        block = standing.blocks.match(campaign_id, caller=caller, dialed=dialed, at=at)
        return "" if block is None else block.id

    def troubles(self, account_id: AccountId) -> dict[str, str]:
        """What is saved but not in force, by id, and why: the one before it still is."""
        standing = self._accounts.get(account_id)
        return {} if standing is None else dict(standing.troubles)

    # --- kept up to date -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow every change until cancelled: at its notice, and by a look each `POLL_S`."""
        heard = asyncio.Event()
        while True:
            try:
                async with self._db.listening(catalog.CHANNEL, heard.set) as lost:
                    while not lost.is_set():
                        heard.clear()
                        await self.refresh_all()
                        # Not `wait_for`: before Python 3.12 it swallows a cancellation now and then.
                        with suppress(TimeoutError):
                            async with asyncio.timeout(POLL_S):
                                await heard.wait()
            except DatabaseGone:
                _log.warning("the catalog cannot be looked at: calls go by what is known of it")
            except Exception:  # the next look begins anew
                _log.exception("the catalog could not be taken over")
            await asyncio.sleep(POLL_S)

    async def refresh_all(self) -> None:
        """Take over what changed in any account. Raises `DatabaseGone`."""
        async with self._db.session() as tx:
            versions = await catalog.versions(tx)
        for account_id, version in versions.items():
            if self.version(account_id) < version or self._is_behind(account_id):
                await self.refresh(account_id)

    async def refresh(self, account_id: AccountId) -> int:
        """Take over what changed in an account; the version that is known now. Plans of many offers go into
        force a little later: see `settle`. Raises `DatabaseGone`."""
        standing = self._accounts.get(account_id) or _Standing()
        async with standing.refreshing:
            loaded = await self._look(account_id, after=standing.version)
            if loaded is None:
                return 0
            self._accounts[account_id] = standing
            self._apply(account_id, standing, loaded)
            async with self._moved:
                self._moved.notify_all()
            await self._compile(account_id, standing, at_most=MAX_COMPILED_AT_ONCE)
        if self._is_behind(account_id):
            standing.compiling = asyncio.create_task(self._compile_behind(account_id, standing))
        return standing.version

    def _is_behind(self, account_id: AccountId) -> bool:
        """Whether plans wait to be compiled, and nobody is at it."""
        standing = self._accounts[account_id]
        return bool(_stale(standing)) and (standing.compiling is None or standing.compiling.done())

    async def settle(self, account_id: AccountId) -> None:
        """Wait until every plan known of is in force, or in `troubles`."""
        standing = self._accounts.get(account_id)
        if standing is None:
            return
        async with standing.refreshing:
            pass
        while standing.compiling is not None and not standing.compiling.done():
            await asyncio.wait((standing.compiling,))

    async def reached(self, account_id: AccountId, version: int) -> None:
        """Wait until a version of an account's catalog is known here."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.version(account_id) >= version)

    async def close(self) -> None:
        """Stop compiling; calls that still ask get what is in force."""
        tasks = [one.compiling for one in self._accounts.values() if one.compiling is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, account_id: AccountId, *, after: int) -> _Loaded | None:
        async with self._db.transaction() as tx:
            # The version first: what is committed while we read is read again the next time.
            version = (await catalog.versions(tx)).get(account_id)
            if version is None:
                return None
            changed = await catalog.changed_since(tx, account_id, after=after, kinds=_KINDS)
            connections = [ConnectionId(one.id) for one in changed if one.kind == "connection"]
            endpoints = [EndpointId(one.id) for one in changed if one.kind == "endpoint"]
            return _Loaded(
                version=version,
                changed=changed,
                secrets=await seals.open_secrets(tx, account_id, connections, key=self._secret_key),
                bidder_secrets=await seals.open_changed(tx, account_id, after=after, key=self._secret_key),
                endpoint_keys=await rtb_keys.keys_of(tx, account_id, endpoints),
                blocks=await blocks.load(tx, account_id, after=after),
                plans=await plans.versions_since(tx, account_id, after=after),
            )

    def _apply(self, account_id: AccountId, standing: _Standing, loaded: _Loaded) -> None:
        for one in loaded.changed:
            standing.troubles.pop(one.id, None)
            match one.document:
                case str() as trouble:
                    _report(standing, one.id, trouble)
                case Account() as account:
                    standing.account = account
                case Publisher() as publisher:
                    standing.publishers[publisher.id] = publisher
                case Campaign() as campaign:
                    standing.campaigns[campaign.id] = campaign
                case Number() as number:
                    _apply_number(standing, number)
                case Connection() as connection:
                    self._apply_connection(account_id, standing, connection, loaded.secrets[connection.id])
                case Endpoint() as endpoint:
                    key = loaded.endpoint_keys.get(endpoint.id)
                    self._endpoints.put(Seller(account_id=account_id, endpoint=endpoint, key=key))
                case _:
                    raise AssertionError(one.kind)
        for offer_id, secrets in loaded.bidder_secrets.items():
            _apply_bidder(standing, offer_id, secrets)
        for block in loaded.blocks:
            standing.blocks.put(block)
        for campaign_id, version in loaded.plans:
            standing.wanted[campaign_id] = max(version, standing.wanted.get(campaign_id, 0))
        standing.version = max(standing.version, loaded.version)

    def _apply_connection(
        self,
        account_id: AccountId,
        standing: _Standing,
        connection: Connection,
        secrets: dict[str, str] | seals.SealBroken,
    ) -> None:
        owner = self._owners.setdefault(connection.id, account_id)
        if owner != account_id:
            _report(standing, connection.id, "another account has a connection of this id")
            return
        if isinstance(secrets, seals.SealBroken):
            standing.connections.pop(connection.id, None)
            _report(standing, connection.id, str(secrets))
            return
        if connection.status == "archived" or not secrets.get("signing"):
            # Without a secret anybody could sign.
            standing.connections.pop(connection.id, None)
            if connection.status != "archived":
                standing.troubles[connection.id] = "it has no signing secret yet: enter it"
            return
        known = {name: secret for name, secret in secrets.items() if name in Secrets.__struct_fields__}
        standing.connections[connection.id] = Wired(
            account_id=account_id,
            connection=connection,
            dialect=dialect_of(connection),
            secrets=from_plain(known, Secrets),
        )

    async def _compile_behind(self, account_id: AccountId, standing: _Standing) -> None:
        try:
            await self._compile(account_id, standing, at_most=None)
        except DatabaseGone:
            _log.warning("plans of %s wait for the database; the ones before serve", account_id)

    async def _compile(self, account_id: AccountId, standing: _Standing, *, at_most: int | None) -> None:
        """Bring the plans into force whose versions are behind, those of at most so many entries."""
        for _ in range(plans.MAX_CAMPAIGNS):
            behind = [one for one in _stale(standing) if at_most is None or _size(standing, one) <= at_most]
            if not behind:
                return
            campaign_id = behind[0]
            version = standing.wanted[campaign_id]
            try:
                plan = await compiled(self._db, account_id, campaign_id, version)
            except DatabaseGone:
                raise
            except Exception as error:
                _log.exception("version %s of the plan of %s is not in force", version, campaign_id)
                standing.troubles[campaign_id] = f"version {version} of its plan is not in force: {error}"
                if standing.wanted[campaign_id] == version:
                    del standing.wanted[campaign_id]
                continue
            before = standing.plans.get(campaign_id)
            if before is None or before.version < version:
                standing.plans[campaign_id] = plan
                standing.troubles.pop(campaign_id, None)
                if before is not None:
                    self._pins.keep(account_id, before)


async def check_capabilities(tx: Transaction, account_id: AccountId, document: Config) -> None:
    """To be called after a document was saved, in the same transaction: `Refused("invalid")` where a
    campaign now needs what the carrier of one of its numbers lacks."""
    loaded: dict[CampaignId, PlanDocument | None] = {}
    for campaign_id, connection in await impact.carriers(tx, account_id, document):
        if campaign_id not in loaded:
            loaded[campaign_id] = await plans.current(tx, account_id, campaign_id)
        plan = loaded[campaign_id]
        if plan is None:
            continue
        offers = {offer.id: offer for offer in plan.offers}
        problems = capability_problems(dialect_of(connection), plan.campaign, offers)
        if problems:
            detail = f"{plan.campaign.name} has numbers at {connection.name}, which cannot do all it needs"
            raise Refused("invalid", detail, problems)


def _apply_bidder(standing: _Standing, offer_id: OfferId, secrets: dict[str, str] | seals.SealBroken) -> None:
    standing.troubles.pop(offer_id, None)
    standing.bidder_secrets.pop(offer_id, None)
    if isinstance(secrets, seals.SealBroken):
        _report(standing, offer_id, str(secrets))
    elif secrets:
        standing.bidder_secrets[offer_id] = secrets


def _stale(standing: _Standing) -> list[CampaignId]:
    """The campaigns whose plan in force is not the last one."""
    in_force = standing.plans
    return [
        campaign_id
        for campaign_id, version in standing.wanted.items()
        if campaign_id not in in_force or in_force[campaign_id].version < version
    ]


def _size(standing: _Standing, campaign_id: CampaignId) -> int:
    campaign = standing.campaigns.get(campaign_id)
    return 0 if campaign is None else len(campaign.plan.entries)


def _apply_number(standing: _Standing, number: Number) -> None:
    before = standing.number_places.pop(number.id, None)
    if before is not None and standing.numbers[before].id == number.id:
        del standing.numbers[before]
    place = (number.connection_id, number.number)
    holder = standing.numbers.get(place)
    if number.status == "disabled" and holder is not None:
        # Put away; the same number is in use as another document.
        return
    standing.numbers[place] = number
    standing.number_places[number.id] = place


def _report(standing: _Standing, config_id: str, trouble: str) -> None:
    _log.error("%s is not in force: %s", config_id, trouble)
    standing.troubles[config_id] = trouble
