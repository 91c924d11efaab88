"""Keeps the older plans that calls in the air are pinned to: loaded on demand, the longest unused dropped."""

import asyncio
from collections import OrderedDict
from typing import Final

from callmatrix.core.ids import AccountId, CampaignId
from callmatrix.core.plan import CompiledPlan, compile_plan
from callmatrix.store import plans
from callmatrix.store.db import Database

MAX_PINS: Final = 500
MAX_PINNED_OFFERS: Final = 50_000
"""How many offers all kept plans may have together: they take most of the memory."""
MAX_IN_LOOP: Final = 50

_Key = tuple[AccountId, CampaignId, int]


class Pins:
    """Compiled plans by campaign and version."""

    def __init__(self, db: Database, *, max_offers: int = MAX_PINNED_OFFERS) -> None:
        self._db = db
        self._max_offers = max_offers
        self._plans: OrderedDict[_Key, CompiledPlan] = OrderedDict()
        self._offers = 0
        self._loading: dict[_Key, asyncio.Task[CompiledPlan]] = {}

    def __len__(self) -> int:
        return len(self._plans)

    async def get(self, account_id: AccountId, campaign_id: CampaignId, version: int) -> CompiledPlan:
        """The plan, kept or loaded once for all who wait; raises as `plans.load` does, or `DatabaseGone`."""
        key = (account_id, campaign_id, version)
        plan = self._plans.get(key)
        if plan is not None:
            self._plans.move_to_end(key)
            return plan
        task = self._loading.get(key)
        if task is None:
            task = self._loading[key] = asyncio.create_task(self._load(key))
        # One who gives up must not take the plan from the others who wait.
        return await asyncio.shield(task)

    def keep(self, account_id: AccountId, plan: CompiledPlan) -> None:
        """Remember a plan that was in force until now."""
        key = (account_id, plan.campaign.id, plan.version)
        before = self._plans.pop(key, None)
        self._offers += len(plan.offers) - (0 if before is None else len(before.offers))
        self._plans[key] = plan
        while len(self._plans) > 1 and (len(self._plans) > MAX_PINS or self._offers > self._max_offers):
            _, dropped = self._plans.popitem(last=False)
            self._offers -= len(dropped.offers)

    async def _load(self, key: _Key) -> CompiledPlan:
        try:
            plan = await compiled(self._db, *key)
            self.keep(key[0], plan)
            return plan
        finally:
            del self._loading[key]


async def compiled(
    db: Database, account_id: AccountId, campaign_id: CampaignId, version: int
) -> CompiledPlan:
    """Load one version of a plan and compile it, in a thread where it has many offers."""
    async with db.transaction() as tx:
        document = await plans.load(tx, account_id, campaign_id, version)
    if len(document.offers) <= MAX_IN_LOOP:
        return compile_plan(document)
    return await asyncio.to_thread(compile_plan, document)
