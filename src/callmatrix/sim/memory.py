"""The simulation's surroundings in memory: the rules of `core.caps.Counters` and plain dicts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from callmatrix.core.call import Call
from callmatrix.core.call.commands import Book
from callmatrix.core.call.events import Event
from callmatrix.core.call.settlement import reversed_in_full
from callmatrix.core.campaign.returns import comes_back, entries_back
from callmatrix.core.caps import (
    Claim,
    Counters,
    Denied,
    Grant,
    Granted,
    LateBooking,
    Owner,
    Settlement,
)
from callmatrix.core.ids import AttemptId, BuyerId, CallId, CampaignId, OfferId
from callmatrix.core.ledger import Transaction
from callmatrix.core.money import Money
from callmatrix.core.plan import CompiledPlan, compile_plan
from callmatrix.core.pricing import PastCall
from callmatrix.core.routing import Looked, RefusalCode, Shut
from callmatrix.sim.backend import CallRow, RawRows, ReservationRow, Taken
from callmatrix.sim.network import Network, plan_document
from callmatrix.sim.standing import is_same, limits_of, statuses_of

MAX_HISTORY: Final = 200
"""Earlier calls of one caller that are told, the newest."""


class _Kept(msgspec.Struct):
    """One reservation, as the memory keeps it."""

    state: Literal["held", "ended", "denied"]
    reserved_at: datetime
    ended_at: datetime | None = None
    pays_publisher: bool = True


class _Holder(msgspec.Struct, frozen=True):
    """An owner of limits, the offers of a plan that it limits, and those that hold a conversion's units."""

    owner: Owner
    mask: int
    converting: int


class MemoryBackend:
    """The rules of `core.caps.Counters` and plain dicts: no database, the same answers."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._counters = Counters(network.account.id)
        self._plans: dict[tuple[CampaignId, int], CompiledPlan] = {}
        self._current: dict[CampaignId, CompiledPlan] = {}
        self._calls: dict[CallId, Call] = {}
        self._events: dict[CallId, list[Event]] = {}
        self._last: dict[tuple[CampaignId, str], datetime] = {}
        self._history: dict[str, dict[CallId, PastCall]] = {}
        self._rotation: dict[CampaignId, dict[OfferId, tuple[datetime, AttemptId]]] = {}
        self._reservations: dict[AttemptId, _Kept] = {}
        self._transactions: dict[str, Transaction] = {}
        self._funds: dict[BuyerId, int] = {}
        self._holders: dict[tuple[CampaignId, int], tuple[_Holder, ...]] = {}

    async def configure(self, network: Network, *, at: datetime) -> None:
        before = self.network if self._current else None
        self.network = network
        for owner, limits, zone, week, when_capped in limits_of(network):
            self._counters.register(
                owner, limits, at=at, time_zone=zone, week_starts_on=week, when_capped=when_capped
            )
        for owner, status in statuses_of(network):
            self._counters.set_status(owner, status)
        for buyer in network.buyers:
            balance = Money(self._funds.get(buyer.id, 0))
            self._counters.set_funds(buyer.id, balance=balance, credit_limit=buyer.credit_limit)
        for campaign in network.campaigns:
            self._compile(network, campaign.id, changed=before is not network)
        if before is not None:
            self._take_back(before, network, at=at)

    def _take_back(self, before: Network, after: Network, *, at: datetime) -> None:
        """Offers that come back join the tail of every rotation that they were in (rule 6)."""
        offers = {offer.id: offer for offer in before.offers}
        buyers = {buyer.id: buyer for buyer in before.buyers}
        back = {offer.id for offer in after.offers if comes_back(offers[offer.id], offer)}
        paying = {buyer.id for buyer in after.buyers if comes_back(buyers[buyer.id], buyer)}
        back |= {offer.id for offer in after.offers if offer.buyer_id in paying}
        for was, campaign in zip(before.campaigns, after.campaigns, strict=True):
            rotation = self._rotation.get(campaign.id, {})
            for offer_id in back | set(entries_back(was, campaign)):
                if offer_id in rotation:
                    rotation[offer_id] = (at, AttemptId(offer_id))

    def _compile(self, network: Network, campaign_id: CampaignId, *, changed: bool) -> None:
        current = self._current.get(campaign_id)
        version = 1 if current is None else current.version + 1
        document = plan_document(network, campaign_id, version=version)
        if current is not None and (not changed or is_same(document, current.document)):
            return
        plan = compile_plan(document)
        self._plans[campaign_id, version] = self._current[campaign_id] = plan

    async def book(self, transaction: Transaction) -> None:
        if transaction.key in self._transactions:
            return
        self._transactions[transaction.key] = transaction
        for posting in transaction.postings:
            if posting.account == "buyer":
                buyer_id = BuyerId(posting.owner_id)
                self._funds[buyer_id] = self._funds.get(buyer_id, 0) - posting.amount.micros
                self._counters.move_funds(buyer_id, -posting.amount)

    async def plan(self, campaign_id: CampaignId, version: int | None = None) -> CompiledPlan:
        return self._current[campaign_id] if version is None else self._plans[campaign_id, version]

    async def load(self, call_id: CallId) -> Call:
        return self._calls[call_id]

    async def funds(self, buyer_id: BuyerId) -> Money:
        return Money(self._funds.get(buyer_id, 0))

    async def previous_call_at(self, campaign_id: CampaignId, caller: str) -> datetime | None:
        return self._last.get((campaign_id, caller))

    async def history(self, caller: str, *, apart_from: CallId) -> tuple[PastCall, ...]:
        known = self._history.get(caller)
        if not known:
            return ()
        past = [one for call_id, one in known.items() if call_id != apart_from]
        past.sort(key=lambda one: one.connected_at, reverse=True)
        return tuple(past[:MAX_HISTORY])

    async def look(self, call: Call, plan: CompiledPlan, *, at: datetime) -> Looked:
        rotation: tuple[OfferId, ...] = ()
        if plan.campaign.plan.strategy == "round_robin":
            reserved = self._rotation.setdefault(call.campaign_id, {})
            for place, offer_id in enumerate(plan.routing.offer_ids, 1):  # new offers join the tail (rule 6)
                reserved.setdefault(offer_id, (at, AttemptId(f"{place:06}")))
            rotation = tuple(sorted(reserved, key=reserved.__getitem__))
        history = () if call.caller is None else await self.history(call.caller, apart_from=call.id)
        return Looked(shut=self._shut(plan, at), rotation=rotation, history=history)

    def _shut(self, plan: CompiledPlan, at: datetime) -> tuple[Shut, ...]:
        """The offers of a pinned plan that are shut by the configuration in force, or full."""
        current = self._current[plan.campaign.id]
        masks: dict[RefusalCode, int] = {}
        if current.campaign.status != "live":
            masks["paused"] = plan.routing.every
        for one in current.routing.shut_at(at):
            mask = plan.routing.translated(int(one.mask, 16), current.routing)
            masks[one.code] = masks.get(one.code, 0) | mask
        for holder in self._holders_of(plan):
            for code, metric in self._counters.shut(holder.owner, at=at):
                if metric in ("paid", "payout"):
                    continue  # whether they are needed hangs on the call's publisher
                mask = holder.converting if metric in ("conversion", "revenue") else holder.mask
                masks[code] = masks.get(code, 0) | mask
        return tuple(Shut(code=code, mask=f"{masks[code]:x}") for code in sorted(masks) if masks[code])

    def _holders_of(self, plan: CompiledPlan) -> tuple[_Holder, ...]:
        key = (plan.campaign.id, plan.version)
        known = self._holders.get(key)
        if known is None:
            known = self._holders[key] = _holders(plan)
        return known

    async def reserve(self, claim: Claim, *, at: datetime) -> Grant:
        known = self._reservations.get(claim.attempt_id)
        closed = None if known is not None else self._closed(claim, at)
        if closed is not None:
            owner = Owner(kind="offer", id=str(claim.offer_id))
            return Denied(attempt_id=claim.attempt_id, code=closed, owner=owner)
        grant = self._counters.reserve(claim, at)
        if known is None:
            self._reservations[claim.attempt_id] = (
                _Kept(state="held", reserved_at=at, pays_publisher=grant.pays_publisher)
                if isinstance(grant, Granted)
                else _Kept(state="denied", reserved_at=at, ended_at=at)
            )
        return grant

    def _closed(self, claim: Claim, at: datetime) -> Literal["paused", "closed"] | None:
        """What the configuration in force says of the claim's offer (rule 1)."""
        if claim.offer_id is None:
            return None
        plan = self._current[claim.campaign_id]
        if plan.campaign.status != "live":
            return "paused"
        index = plan.routing
        bit = index.mask((claim.offer_id,))
        if not bit:
            return "closed"
        codes: dict[RefusalCode, Literal["paused", "closed"]] = {"paused": "paused", "closed": "closed"}
        return next((codes[one.code] for one in index.shut_at(at) if int(one.mask, 16) & bit), None)

    async def settle(self, settlement: Settlement, *, at: datetime) -> None:
        if self._counters.settle(settlement, at):
            self._end(settlement.attempt_id, at)

    def _end(self, attempt_id: AttemptId, at: datetime) -> None:
        kept = self._reservations[attempt_id]
        kept.state = "ended"
        kept.ended_at = at

    async def book_late(self, booking: LateBooking) -> None:
        self._counters.book_late(booking)

    async def save(self, taken: Sequence[Taken], *, at: datetime) -> None:
        call = taken[-1].step.call
        if call.id not in self._calls and call.caller is not None and call.arrived_at is not None:
            self._last[call.campaign_id, call.caller] = call.arrived_at
        self._calls[call.id] = call
        self._events.setdefault(call.id, []).extend(one.event for one in taken)
        for one in taken:
            for command in one.step.commands:
                if isinstance(command, Book):
                    await self.book(command.transaction)
        if call.attempts:
            self._remember(call)

    def _remember(self, call: Call) -> None:
        """The rotation and the caller's history, as the call stands now."""
        last = call.attempts[-1]
        if last.state == "dialling" and last.offer_id is not None and not call.test:
            rotation = self._rotation.setdefault(call.campaign_id, {})
            rotation[last.offer_id] = (last.reserved_at, last.id)
        if call.caller is None or call.connected_at is None or call.test:
            return
        connected = [attempt for attempt in call.attempts if attempt.outcome == "answered"]
        billed = [attempt for attempt in connected if attempt.id == call.billed_attempt]
        shown = (billed or connected)[-1]
        forgiven = reversed_in_full(call.amounts)
        self._history.setdefault(call.caller, {})[call.id] = PastCall(
            call_id=call.id,
            campaign_id=call.campaign_id,
            connected_at=call.connected_at,
            offer_id=shown.offer_id,
            buyer_id=shown.buyer_id,
            publisher_id=call.publisher_id,
            campaign_group=self._plans[call.campaign_id, call.plan_version].campaign.group,
            converted_at=None if forgiven else call.converted_at,
            paid_at=None if forgiven else call.paid_at,
        )

    async def sweep(self, *, at: datetime) -> tuple[AttemptId, ...]:
        swept = self._counters.sweep(at)
        for attempt_id in swept:
            self._end(attempt_id, at)
        return swept

    async def rows(self) -> RawRows:
        return RawRows(
            calls=tuple(
                CallRow(call=call, events=tuple(self._events[call_id]))
                for call_id, call in self._calls.items()
            ),
            reservations=tuple(
                ReservationRow(
                    attempt_id=attempt_id,
                    state=kept.state,
                    reserved_at=kept.reserved_at,
                    ended_at=kept.ended_at,
                    pays_publisher=kept.pays_publisher,
                )
                for attempt_id, kept in self._reservations.items()
            ),
            transactions=tuple(self._transactions.values()),
        )


def _holders(plan: CompiledPlan) -> tuple[_Holder, ...]:
    index, campaign_id = plan.routing, plan.campaign.id
    masks: dict[Owner, int] = {
        Owner(kind="account", id=plan.account.id): index.every,
        Owner(kind="campaign", id=campaign_id): index.every,
    }
    for place, offer in enumerate(index.offers):
        for owner in (
            Owner(kind="buyer", id=offer.buyer_id),
            Owner(kind="offer", id=offer.id),
            Owner(kind="offer_in_campaign", id=f"{offer.id}/{campaign_id}"),
        ):
            masks[owner] = masks.get(owner, 0) | 1 << place
    converting = index.mask(offer.id for offer in index.offers if offer.converts_on == "duration")
    return tuple(_Holder(owner, mask, mask & converting) for owner, mask in masks.items())
