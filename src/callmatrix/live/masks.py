"""Decides which offers of a plan are shut at an instant, from what is live: pauses, hours, caps, funds."""

import asyncio
import logging
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

import msgspec

from callmatrix.core.auction import mask_of
from callmatrix.core.campaign import Offer
from callmatrix.core.caps import CapRefusal, Owner
from callmatrix.core.ids import AccountId, BuyerId, CampaignId, OfferId
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import BidPrice, Price, maximum
from callmatrix.core.routing import Index, RefusalCode
from callmatrix.core.routing import Shut as Mask
from callmatrix.live.catalog import Catalog
from callmatrix.store import caps
from callmatrix.store.caps import Shut
from callmatrix.store.db import Database, DatabaseGone
from callmatrix.world import World

REFRESH_S: Final = 1.0
MAX_RENDERED: Final = 2_000
LEAST_KEPT: Final = timedelta(milliseconds=50)
"""So long an offer may stay shut after its reason has ended: thousands of them end all the time."""
_NEVER: Final = datetime.max.replace(tzinfo=UTC)

_log = logging.getLogger(__name__)


class _Needs:
    """What the offers of a plan are sure to need of their owners, worked out when first asked for."""

    def __init__(self, plan: CompiledPlan) -> None:
        self._plan = plan

    @cached_property
    def conversion(self) -> int:
        """Those that convert by their duration: others hold neither conversion nor revenue (rule 11)."""
        offers = self._plan.routing.offers
        return mask_of([n for n, offer in enumerate(offers) if offer.converts_on == "duration"])

    @cached_property
    def money(self) -> int:
        """Those that are sure to owe something: some are free, and a bid is not known yet."""
        index = self._plan.routing
        return mask_of([n for n, price in enumerate(index.prices) if self._costs(price, index.offers[n])])

    def _costs(self, price: Price, offer: Offer) -> bool:
        if isinstance(price, BidPrice):
            return bool(price.floor)
        time_limit_s = min(offer.time_limit_s, self._plan.campaign.max_call_s)
        return bool(maximum(price, time_limit_s=time_limit_s))


class _Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """The masks of one plan, and what they were made of: they hold until something of it changes."""

    state: tuple[Shut, ...]
    current: CompiledPlan
    until: datetime
    hours: int
    needs: _Needs
    documents: tuple[tuple[RefusalCode, int], ...]
    shut: tuple[Mask, ...]


class Masks:
    """Answers from memory; `run` asks the database each `REFRESH_S`. A stale answer is caught by the
    reservation, which looks itself."""

    def __init__(self, db: Database, *, catalog: Catalog, world: World) -> None:
        self._db = db
        self._catalog = catalog
        self._world = world
        self._states: dict[AccountId, tuple[Shut, ...]] = {}
        self._rendered: OrderedDict[tuple[AccountId, CampaignId, int], _Rendered] = OrderedDict()
        self._asked: set[AccountId] = set()

    def shut(self, plan: CompiledPlan, at: datetime) -> tuple[Mask, ...]:
        """The offers of a plan that are shut now, by reason; bit n is `plan.routing.offer_ids[n]`."""
        return self._at(plan, at).shut

    def shut_code(self, plan: CompiledPlan, offer_id: OfferId, at: datetime) -> CapRefusal | None:
        """Whether the documents as they are now keep an offer from being dialled: `paused` or `closed`.
        Caps, funds and spacing are for the reservation to judge, which knows them to the unit."""
        position = plan.routing.position_of.get(offer_id)
        if position is None:
            return None
        for code, mask in self._at(plan, at).documents:
            if mask >> position & 1:
                return "paused" if code == "paused" else "closed"
        return None

    def _at(self, plan: CompiledPlan, at: datetime) -> _Rendered:
        account_id, campaign_id = plan.account.id, plan.campaign.id
        self._asked.add(account_id)
        current = self._catalog.plan(account_id, campaign_id) or plan
        state = self._states.get(account_id, ())
        hours = current.routing.open_mask(at)
        key = (account_id, campaign_id, plan.version)
        known = self._rendered.get(key)
        if (
            known is not None
            and known.state is state
            and known.current is current
            and known.hours == hours
            and at < known.until
        ):
            return known
        needs = _Needs(plan) if known is None else known.needs
        rendered = self._rendered[key] = _render(plan, current, state, needs, hours=hours, at=at)
        self._rendered.move_to_end(key)
        if len(self._rendered) > MAX_RENDERED:
            self._rendered.popitem(last=False)
        return rendered

    async def refresh(self, account_id: AccountId | None = None) -> None:
        """Look at what is full, spent or paused in an account, or in all. Raises `DatabaseGone`."""
        if account_id is None:
            for account in self._catalog.accounts():
                await self.refresh(account.id)
            return
        async with self._db.session() as tx:
            state = await caps.open_state(tx, account_id, now=self._world.now())
        # The same state keeps what was rendered of it.
        if state != self._states.get(account_id):
            self._states[account_id] = state

    async def run(self) -> None:
        """Look each `REFRESH_S` at the accounts whose calls asked since the last look, until cancelled."""
        self._asked.update(account.id for account in self._catalog.accounts())
        while True:
            asked, self._asked = self._asked, set()
            try:
                for account_id in asked:
                    await self.refresh(account_id)
            except DatabaseGone:
                self._asked |= asked
                _log.warning("caps cannot be looked at: reservations decide alone")
            except Exception:  # the next look begins anew
                self._asked |= asked
                _log.exception("caps could not be taken over")
            await asyncio.sleep(REFRESH_S)


def _render(
    plan: CompiledPlan,
    current: CompiledPlan,
    state: tuple[Shut, ...],
    needs: _Needs,
    *,
    hours: int,
    at: datetime,
) -> _Rendered:
    index = plan.routing
    found: dict[RefusalCode, int] = defaultdict(int)
    until = _NEVER
    documents = tuple(_documents(plan, current, at))
    for code, mask in documents:
        found[code] |= mask
    for shut in state:
        if shut.until is not None and shut.until <= at:
            continue
        mask = _owned(index, plan, shut, needs)
        if mask:
            found[shut.code] |= mask
            until = until if shut.until is None else min(until, shut.until)
    masks = tuple(Mask(code=code, mask=f"{mask:x}") for code, mask in sorted(found.items()) if mask)
    return _Rendered(
        state=state,
        current=current,
        until=max(until, at + LEAST_KEPT),
        hours=hours,
        needs=needs,
        documents=documents,
        shut=masks,
    )


def _documents(plan: CompiledPlan, current: CompiledPlan, at: datetime) -> Iterable[tuple[RefusalCode, int]]:
    """Pauses and hours of the documents as they are now; of an offer that the campaign no longer names, as
    they were when it did."""
    index = plan.routing
    for shut in current.routing.shut_at(at):
        yield shut.code, index.translated(int(shut.mask, 16), current.routing)
    if current is plan:
        return
    gone = index.every & ~index.translated(current.routing.every, current.routing)
    if gone:
        for shut in index.shut_at(at):
            yield shut.code, int(shut.mask, 16) & gone


def _owned(index: Index, plan: CompiledPlan, shut: Shut, needs: _Needs) -> int:
    """The offers that an owner who refuses shuts. Publishers shut none: what they bring is judged as a
    whole, by the reservation, which may also let it pass unpaid."""
    mask = _of_owner(index, plan, shut.owner)
    if shut.code == "no_funds":
        return mask & needs.money
    match shut.metric:
        case "conversion":
            return mask & needs.conversion
        case "revenue":
            return mask & needs.conversion & needs.money
        case "paid" | "payout":
            return 0
        case _:
            return mask


def _of_owner(index: Index, plan: CompiledPlan, owner: Owner) -> int:
    named, _, campaign_id = owner.id.partition("/")
    match owner.kind:
        case "account":
            return index.every
        case "campaign":
            return index.every if owner.id == plan.campaign.id else 0
        case "buyer":
            return index.of_buyer.get(BuyerId(owner.id), 0)
        case "offer":
            return index.mask((OfferId(owner.id),))
        case "offer_in_campaign":
            return index.mask((OfferId(named),)) if campaign_id == plan.campaign.id else 0
        case "publisher" | "publisher_in_campaign":
            return 0
