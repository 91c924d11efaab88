"""What is due by the clock: scheduled changes, daily rents, what served its time forgotten."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from typing import Final

from callmatrix.core import ledger
from callmatrix.core.call.bidding import POST_LEAD
from callmatrix.core.call.legs import ASK_CARRIER
from callmatrix.core.campaign import Account
from callmatrix.core.caps import LateBooking
from callmatrix.core.documents import decode
from callmatrix.core.geo import zone
from callmatrix.core.pricing import daily_rent
from callmatrix.live import auctions, reratings, sweeps
from callmatrix.live.app import App
from callmatrix.store import (
    attempts,
    books,
    housekeeping,
    jobs,
    pings,
    plans,
    repeats,
    reservations,
    rtb,
    scheduled,
)
from callmatrix.store.calls import BOOK_LATE
from callmatrix.store.db import DatabaseGone, Transaction
from callmatrix.store.jobs import Job

EVERY_S: Final = 5.0
# Carriers repeat a webhook within minutes; a reply kept for two days answers any repeat.
KEEP_CALLBACKS: Final = timedelta(days=2)
KEEP_JOBS: Final = timedelta(days=30)
KEEP_TRIES: Final = timedelta(days=1)
KEEP_PLANS: Final = timedelta(days=30)
KEEP_REFUSED_BIDS: Final = timedelta(days=7)
KEEP_UNUSED_BIDS: Final = timedelta(days=30)
NUMBER_RENT: Final = "number_rent"
PRUNE_PLANS: Final = "prune_plans"
_log = logging.getLogger(__name__)


async def run(app: App) -> None:
    """Do what is due every few seconds until cancelled."""
    while True:
        try:
            await tick(app, now=app.world.now())
        except DatabaseGone:
            pass
        except Exception:  # the next round starts anew
            _log.exception("what is due could not be done")
        await asyncio.sleep(EVERY_S)


async def tick(app: App, *, now: datetime) -> None:
    """Everything due at this instant; done twice, it changes nothing the second time."""
    async with app.db.transaction() as tx:
        await scheduled.apply_due(tx, now=now)
        for account in app.catalog.accounts():
            await _queue_daily(app, tx, account, now)
        await housekeeping.forget(tx, callbacks_before=now - KEEP_CALLBACKS, jobs_before=now - KEEP_JOBS)
        await pings.forget(
            tx,
            bodies_before=now - timedelta(days=app.settings.ping_bodies_days),
            pings_before=now - timedelta(days=app.settings.pings_days),
        )
        await attempts.forget(tx, before=now - KEEP_TRIES)
        await repeats.forget(tx, before=now - KEEP_TRIES)
        await rtb.expire(tx, now=now)
        await rtb.forget(tx, refused_before=now - KEEP_REFUSED_BIDS, expired_before=now - KEEP_UNUSED_BIDS)


async def _queue_daily(app: App, tx: Transaction, account: Account, now: datetime) -> None:
    """One job of each daily kind for each day of the account; queued again it is the same one."""
    today = now.astimezone(zone(account.time_zone)).date().isoformat()
    for kind in (NUMBER_RENT, PRUNE_PLANS):
        await jobs.enqueue(
            tx,
            account.id,
            id=app.world.new_id("job"),
            kind=kind,
            dedupe_key=f"{kind}/{today}",
            payload={"day": today},
            run_at=now,
            now=now,
        )


async def prune_plans(app: App, job: Job) -> None:
    """Old versions of plans that no call refers to."""
    async with app.db.transaction() as tx:
        await plans.prune(tx, job.account_id, made_before=app.world.now() - KEEP_PLANS)


async def number_rent(app: App, job: Job) -> None:
    """A day's rent of every number in use (rule 22); a number's day is booked once, by its key."""
    day = date.fromisoformat(job.payload["day"])
    async with app.db.transaction() as tx:
        for number in app.catalog.numbers(job.account_id):
            wired = app.catalog.connection(number.connection_id)
            sells = app.catalog.seller_of(job.account_id, number.id) is not None
            if (number.status not in ("assigned", "cooldown") and not sells) or wired is None:
                continue
            amount = daily_rent(wired.connection.tariff, day)
            if amount:
                rent = ledger.number_rent(
                    number_id=number.id,
                    day=day,
                    at=app.world.now(),
                    connection_id=number.connection_id,
                    amount=amount,
                )
                await books.book(tx, job.account_id, rent)


async def book_late(app: App, job: Job) -> None:
    """What a rating after settlement changed in the caps' windows, where the process that saved it died."""
    booking = decode(job.payload["booking"], LateBooking)
    async with app.db.session() as tx:
        await reservations.book_late(tx, job.account_id, booking)


# Every kind of job and who does it.
JOBS: Final[dict[str, Callable[[App, Job], Awaitable[None]]]] = {
    ASK_CARRIER: sweeps.ask_carrier_job,
    BOOK_LATE: book_late,
    NUMBER_RENT: number_rent,
    POST_LEAD: auctions.post_lead,
    PRUNE_PLANS: prune_plans,
    reratings.RERATE: reratings.work,
}
