"""Decides from raw rows, never from counters, whether an account's history kept the promises."""

from datetime import datetime
from typing import Final

from callmatrix.core.ids import AccountId, CampaignId
from callmatrix.core.plan import CompiledPlan, compile_plan
from callmatrix.store.db import Database, Transaction
from callmatrix.store.plans import load
from callmatrix.store.promises.auctions import broken_auctions
from callmatrix.store.promises.broken import MAX_COUNTEREXAMPLES, PROMISES, Broken
from callmatrix.store.promises.funds import broken_funds
from callmatrix.store.promises.leads import broken_leads
from callmatrix.store.promises.limits import broken_limits
from callmatrix.store.promises.replay import PlanOf, broken_replays
from callmatrix.store.promises.sums import broken_sums

__all__ = ["MAX_COUNTEREXAMPLES", "PROMISES", "Broken", "PlanOf", "check", "counterexamples", "verdicts"]

_READ: Final = "repeatable_read"


async def check(db: Database, account_id: AccountId, *, now: datetime) -> dict[str, bool]:
    """Whether each promise was kept, by name. To be asked when no call is in the air: those that are have
    not ended yet. `now` is the instant by which reservations should have expired."""
    return verdicts(await counterexamples(db, account_id, now=now))


def verdicts(found: tuple[Broken, ...]) -> dict[str, bool]:
    """The answer of `check` for these counterexamples."""
    names = {one.name for one in found}
    return {name: name not in names for name in PROMISES}


async def counterexamples(
    db: Database, account_id: AccountId, *, now: datetime, plan_of: PlanOf | None = None
) -> tuple[Broken, ...]:
    """What breaks the promises, at most `MAX_COUNTEREXAMPLES` of each, in the order of `PROMISES`.

    Everything is read in one snapshot, in bounded batches. `plan_of` gives the plan that a call is pinned
    to; without it the stored one is read.
    """
    async with db.session() as connection:
        async with connection.transaction(isolation=_READ, readonly=True):
            found = [
                *await broken_sums(connection, account_id, now=now),
                *await broken_limits(connection, account_id),
                *await broken_funds(connection, account_id),
                *await broken_auctions(connection, account_id),
                *await broken_leads(
                    connection, account_id, plan_of=plan_of or _stored(connection, account_id)
                ),
                *await broken_replays(
                    connection, account_id, plan_of=plan_of or _stored(connection, account_id)
                ),
            ]
    return tuple(
        one
        for name in PROMISES
        for one in [each for each in found if each.name == name][:MAX_COUNTEREXAMPLES]
    )


def _stored(tx: Transaction, account_id: AccountId) -> PlanOf:
    async def plan_of(campaign_id: CampaignId, version: int) -> CompiledPlan:
        return compile_plan(await load(tx, account_id, campaign_id, version))

    return plan_of
