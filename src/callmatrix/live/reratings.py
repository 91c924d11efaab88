"""Rates calls again by the prices in force: what that would change, and booking it, a batch to a job."""

from typing import Final

import msgspec

from callmatrix.core.call.events import Rerated
from callmatrix.core.call.settlement import rate_again
from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId, CallId
from callmatrix.core.money import Money
from callmatrix.core.pricing import PastCall
from callmatrix.live import calls as live_calls
from callmatrix.live.app import App
from callmatrix.store import call_search, calls, jobs, reratings
from callmatrix.store.call_search import CallFilter, Place
from callmatrix.store.db import Transaction
from callmatrix.store.jobs import Job
from callmatrix.store.reratings import NewAmounts

RERATE: Final = "rerate"
# A batch is done well inside a job's lease; the next one is another job.
BATCH: Final = 100
NOT_RATED: Final = "not_rated"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What rating one call again would change. What was credited or clawed back stays so."""

    amounts: NewAmounts
    credited: Money
    clawed_back: Money


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of calls: how many were looked at, which would change, and the place of the last one, None
    where there are no more."""

    looked_at: int
    differences: tuple[Difference, ...]
    place: Place | None


async def look(
    app: App, account_id: AccountId, wanted: CallFilter, *, after: Place | None, limit: int
) -> Looked:
    """Rate at most `limit` calls again, newest first, older than `after`, by what is saved until now."""
    await app.catalog.refresh(account_id)
    await app.catalog.settle(account_id)
    async with app.db.transaction() as tx:
        rows = await call_search.search(tx, account_id, wanted, after=after, limit=limit)
    found = [await _difference(app, account_id, CallId(row["id"])) for row in rows]
    last = rows[-1] if len(rows) == limit else None
    return Looked(
        looked_at=len(rows),
        differences=tuple(one for one in found if one is not None),
        place=None if last is None else Place(at=last["arrived_at"], id=last["id"]),
    )


async def _difference(app: App, account_id: AccountId, call_id: CallId) -> Difference | None:
    history: tuple[PastCall, ...] = ()
    async with app.db.transaction() as tx:
        call = await calls.load(tx, account_id, call_id)
        assert call is not None
        if call.caller is not None:
            history = (await calls.history(tx, account_id, call.caller, apart_from=call_id)).calls
    plan = app.catalog.plan(account_id, call.campaign_id)
    rating = None if plan is None else rate_again(call, plan, history, at=app.world.now())
    if rating is None:
        return None
    booked = call.amounts
    new = NewAmounts(
        call_id=call_id,
        old_revenue=booked.revenue,
        old_payout=booked.payout,
        new_revenue=max(rating.revenue, booked.credited),
        new_payout=max(rating.payout, booked.clawed_back),
    )
    if (new.new_revenue, new.new_payout) == (new.old_revenue, new.old_payout):
        return None
    return Difference(amounts=new, credited=booked.credited, clawed_back=booked.clawed_back)


async def queue(app: App, tx: Transaction, account_id: AccountId, rerating_id: str, *, after: str) -> None:
    """Have the next batch of a re-rating done. `after` is who asks, a request or job: once for each."""
    now = app.world.now()
    await jobs.enqueue(
        tx,
        account_id,
        id=app.world.new_id("job"),
        kind=RERATE,
        dedupe_key=f"{RERATE}/{after}",
        payload={"rerating_id": rerating_id},
        run_at=now,
        now=now,
    )


async def work(app: App, job: Job, *, batch: int = BATCH) -> None:
    """One batch: look at the next calls, book those that differ, and queue what is left. A process that dies
    leaves the job to another one; calls that are booked already know the re-rating and do not change."""
    account_id, rerating_id = job.account_id, job.payload["rerating_id"]
    async with app.db.transaction() as tx:
        search = await reratings.search(tx, account_id, rerating_id)
    assert search is not None
    if not search.looked_through:
        found = await look(app, account_id, search.wanted, after=search.place, limit=batch)
        async with app.db.transaction() as tx:
            await reratings.looked(
                tx,
                account_id,
                rerating_id,
                before=search.place,
                after=found.place,
                looked_at=found.looked_at,
                changed=[one.amounts for one in found.differences],
            )
    await _book(app, account_id, rerating_id, batch=batch)
    async with app.db.transaction() as tx:
        kept = await reratings.get(tx, account_id, rerating_id)
        assert kept is not None
        if not kept.complete:
            await queue(app, tx, account_id, rerating_id, after=job.id)


async def _book(app: App, account_id: AccountId, rerating_id: str, *, batch: int) -> None:
    async with app.db.transaction() as tx:
        kept = await reratings.get(tx, account_id, rerating_id)
        left = await reratings.still_open(tx, account_id, rerating_id, limit=batch)
    assert kept is not None
    for one in left:
        event = Rerated(
            at=app.world.now(),
            revenue=one.new_revenue,
            payout=one.new_payout,
            reason=kept.reason,
            by=kept.asked_by,
            id=rerating_id,
        )
        try:
            call = await live_calls.apply(app, account_id, one.call_id, event)
            refusal = "" if rerating_id in call.reratings else NOT_RATED
        except Refused as error:
            if error.code == "unavailable":
                raise  # passes: the job is done again
            refusal = error.code
        async with app.db.transaction() as tx:
            await reratings.done(
                tx, account_id, rerating_id, one.call_id, at=app.world.now(), refusal=refusal
            )
