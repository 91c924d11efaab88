"""The same answers from PostgreSQL: the real store, the real masks, on the driver's virtual clock.

For the differential run, where memory and database must agree, and for the demo's history.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from callmatrix.core.call import Call
from callmatrix.core.call.events import Event
from callmatrix.core.campaign import (
    Account,
    Buyer,
    Campaign,
    Connection,
    FlowDocument,
    Number,
    Offer,
    Publisher,
)
from callmatrix.core.caps import Claim, Denied, Grant, LateBooking, Owner, Settlement
from callmatrix.core.documents import decode, decoder
from callmatrix.core.ids import AccountId, AttemptId, BuyerId, CallId, CampaignId
from callmatrix.core.ledger import Posting, Transaction
from callmatrix.core.money import Money
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import PastCall
from callmatrix.core.routing import Looked
from callmatrix.live.catalog import Catalog
from callmatrix.live.masks import Masks
from callmatrix.sim.backend import CallRow, RawRows, ReservationRow, Taken
from callmatrix.sim.network import Network
from callmatrix.store import books, calls, catalog, flows, jobs, reservations
from callmatrix.store import db as store
from callmatrix.store.audit import By
from callmatrix.store.reservations import Stale
from callmatrix.world import SeededWorld

MAX_STALE: Final = 3
_EVENT: Final = "select call_id, document from call_event where account_id = $1 order by call_id, version"
T = TypeVar("T", Account, Buyer, Campaign, Connection, FlowDocument, Number, Offer, Publisher)


async def write_network(tx: store.Transaction, network: Network, *, by: By) -> None:
    """Create every document, in the order in which they refer to each other."""
    account_id = AccountId(network.account.id)
    await catalog.create_account(tx, network.account, by=by)
    for connection in network.connections:
        await catalog.create(tx, account_id, connection, by=by)
    for buyer in network.buyers:
        await catalog.create(tx, account_id, buyer, by=by)
    for publisher in network.publishers:
        await catalog.create(tx, account_id, publisher, by=by)
    for offer in network.offers:
        await catalog.create(tx, account_id, offer, by=by)
    for flow in network.flows:
        await catalog.create(tx, account_id, flow, by=by)
        await flows.publish(tx, account_id, flow.id, by=by)
    for campaign in network.campaigns:
        await catalog.create(tx, account_id, campaign, by=by)
    for number in network.numbers:
        await catalog.create(tx, account_id, number, by=by)


class PostgresBackend:
    """A `Backend` on a migrated database. `network` is what is configured already, None on an empty one."""

    def __init__(self, db: store.Database, *, live: Catalog, network: Network | None = None) -> None:
        self._db = db
        self._live = live
        self._network = network
        self._account_id = AccountId("") if network is None else AccountId(network.account.id)
        self._now: datetime | None = None
        self._masks = Masks(db, catalog=live, world=SeededWorld(seed=0, clock=self._clock))

    def _clock(self) -> datetime:
        assert self._now is not None
        return self._now

    async def configure(self, network: Network, *, at: datetime) -> None:
        by = By(who="system", at=at)
        before, self._network = self._network, network
        self._account_id = AccountId(network.account.id)
        async with self._db.transaction() as tx:
            if before is None:
                await write_network(tx, network, by=by)
            else:
                await self._change(tx, before.buyers, network.buyers, by=by)
                await self._change(tx, before.publishers, network.publishers, by=by)
                await self._change(tx, before.offers, network.offers, by=by)
                await self._change(tx, before.campaigns, network.campaigns, by=by)
                await self._change(tx, before.numbers, network.numbers, by=by)
        await self._live.refresh(self._account_id)
        await self._live.settle(self._account_id)

    async def _change(
        self, tx: store.Transaction, before: tuple[T, ...], after: tuple[T, ...], *, by: By
    ) -> None:
        known = {document.id: document for document in before}
        for document in after:
            if known[document.id] != document:
                await catalog.change(tx, self._account_id, document, by=by)

    async def book(self, transaction: Transaction) -> None:
        async with self._db.transaction() as tx:
            await books.book(tx, self._account_id, transaction)

    async def plan(self, campaign_id: CampaignId, version: int | None = None) -> CompiledPlan:
        if version is not None:
            return await self._live.pinned(self._account_id, campaign_id, version)
        plan = self._live.plan(self._account_id, campaign_id)
        assert plan is not None
        return plan

    async def load(self, call_id: CallId) -> Call:
        async with self._db.session() as tx:
            call = await calls.load(tx, self._account_id, call_id)
        assert call is not None
        return call

    async def funds(self, buyer_id: BuyerId) -> Money:
        async with self._db.session() as tx:
            return (await books.funds_of(tx, self._account_id, buyer_id)).balance

    async def previous_call_at(self, campaign_id: CampaignId, caller: str) -> datetime | None:
        async with self._db.session() as tx:
            return await calls.previous_call_at(tx, self._account_id, campaign_id, caller)

    async def history(self, caller: str, *, apart_from: CallId) -> tuple[PastCall, ...]:
        async with self._db.session() as tx:
            return (await calls.history(tx, self._account_id, caller, apart_from=apart_from)).calls

    async def look(self, call: Call, plan: CompiledPlan, *, at: datetime) -> Looked:
        self._now = at
        await self._masks.refresh(self._account_id)
        async with self._db.session() as tx:
            past = await calls.past_routes(
                tx,
                self._account_id,
                call.campaign_id,
                caller=call.caller,
                apart_from=call.id,
                rotating=plan.routing.offer_ids if plan.campaign.plan.strategy == "round_robin" else (),
                joins_at=at,
            )
        return Looked(shut=self._masks.shut(plan, at), rotation=past.rotation, history=past.history)

    async def reserve(self, claim: Claim, *, at: datetime) -> Grant:
        plan = self._live.plan(self._account_id, claim.campaign_id)
        if claim.offer_id is not None and plan is not None:
            code = self._masks.shut_code(plan, claim.offer_id, at)
            if code is not None and not await self._known(claim.attempt_id):
                owner = Owner(kind="offer", id=claim.offer_id)
                return Denied(attempt_id=claim.attempt_id, code=code, owner=owner)
        for _ in range(MAX_STALE):
            async with self._db.session() as tx:
                (answer,) = await reservations.reserve_batch(
                    tx,
                    self._account_id,
                    [claim],
                    now=at,
                    catalog_version=self._live.version(self._account_id),
                )
            if not isinstance(answer, Stale):
                return answer
            await self._live.refresh(self._account_id)
        raise AssertionError("nobody else changes this configuration")

    async def _known(self, attempt_id: AttemptId) -> bool:
        async with self._db.session() as tx:
            return bool(
                await tx.fetchval(
                    "select exists(select from reservation where account_id = $1 and attempt_id = $2)",
                    self._account_id,
                    attempt_id,
                )
            )

    async def settle(self, settlement: Settlement, *, at: datetime) -> None:
        async with self._db.session() as tx:
            await reservations.settle_batch(tx, self._account_id, [settlement], now=at)

    async def book_late(self, booking: LateBooking) -> None:
        async with self._db.session() as tx:
            await reservations.book_late(tx, self._account_id, booking)

    async def save(self, taken: Sequence[Taken], *, at: datetime) -> None:
        call = taken[-1].step.call
        queued = len(calls.queued(command for one in taken for command in one.step.commands))
        plan = await self.plan(call.campaign_id, call.plan_version)
        job_ids = tuple(f"job_{call.id}_{call.version}_{n}" for n in range(queued))
        async with self._db.session() as tx:
            version = None
            if call.caller is not None and call.connected_at is not None and not call.test:
                past = await calls.history(tx, self._account_id, call.caller, apart_from=call.id)
                version = past.version
            result = await calls.save(
                tx,
                tuple(calls.Taken(event=one.event, step=one.step) for one in taken),
                new=taken[0].step.call.version == 1,
                campaign_group=plan.campaign.group,
                saved_at=at,
                caller_version=version,
                job_ids=job_ids,
            )
            if job_ids:  # the driver asks the carrier itself, and winners of the past need no post
                await jobs.finish(tx, self._account_id, job_ids, now=at)
        assert result == "saved", result

    async def sweep(self, *, at: datetime) -> tuple[AttemptId, ...]:
        async with self._db.session() as tx:
            return tuple(sorted(await reservations.sweep_expired(tx, self._account_id, now=at)))

    async def rows(self) -> RawRows:
        async with self._db.transaction() as tx:
            documents = await tx.fetch(
                "select document from call where account_id = $1 order by id", self._account_id
            )
            happened = await tx.fetch(_EVENT, self._account_id)
            held = await tx.fetch(
                # One without a call was settled before it was claimed: nothing was ever held.
                "select attempt_id, state, reserved_at, ended_at, pays_publisher from reservation"
                " where account_id = $1 and call_id is not null",
                self._account_id,
            )
            booked = await tx.fetch(
                "select t.key, t.kind, t.at, t.call_id, t.rating_revision, t.reason,"
                " array_agg(p.account order by p.line) as accounts,"
                " array_agg(p.owner_id order by p.line) as owners,"
                " array_agg(p.amount_micros order by p.line) as amounts"
                " from ledger_transaction t join posting p on p.account_id = t.account_id"
                " and p.transaction_key = t.key where t.account_id = $1 group by t.account_id, t.key",
                self._account_id,
            )
        events: dict[str, list[Any]] = {}
        for row in happened:
            events.setdefault(row["call_id"], []).append(decoder(Event).decode(row["document"]))
        found = [decode(row["document"], Call) for row in documents]
        return RawRows(
            calls=tuple(CallRow(call=call, events=tuple(events[call.id])) for call in found),
            reservations=tuple(_reservation(row) for row in held),
            transactions=tuple(_transaction(row) for row in booked),
        )


def _reservation(row: store.Row) -> ReservationRow:
    state = row["state"]
    return ReservationRow(
        attempt_id=row["attempt_id"],
        state=state if state in ("held", "denied") else "ended",
        reserved_at=row["reserved_at"],
        ended_at=row["ended_at"],
        pays_publisher=row["pays_publisher"],
    )


def _transaction(row: store.Row) -> Transaction:
    lines = zip(row["accounts"], row["owners"], row["amounts"], strict=True)
    return Transaction(
        key=row["key"],
        kind=row["kind"],
        at=row["at"],
        postings=tuple(
            Posting(account=account, owner_id=owner, amount=Money(amount)) for account, owner, amount in lines
        ),
        call_id=row["call_id"],
        rating_revision=row["rating_revision"],
        reason=row["reason"],
    )
