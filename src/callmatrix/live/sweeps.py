"""What crashes, lost webhooks and silent carriers leave open, found again and ended."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from callmatrix.core.call.legs import ASK_CARRIER
from callmatrix.core.call.value import Call
from callmatrix.core.campaign import MAX_CALL_S
from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId, CallId
from callmatrix.dialects.carriers.rest import (
    CarrierCall,
    CarrierLeg,
    Unknown,
    asked_end,
    fetch_call_request,
    fetch_legs_request,
    read_call,
    read_legs,
)
from callmatrix.live import calls, leads
from callmatrix.live.app import App
from callmatrix.live.catalog import Wired
from callmatrix.live.outbound import exchange
from callmatrix.store import jobs, reservations, sweeps
from callmatrix.store.db import DatabaseGone
from callmatrix.store.jobs import Job

EVERY_S: Final = 1.0
# A question is answered within its lease or never.
QUESTION_S: Final = 20
# A call of which nothing was heard for so long: is it still up? Asked again after as long.
SILENT_S: Final = 900
# Past this no carrier keeps a call; if it can't say, the call is closed, unbilled (rule 20).
GIVE_UP_S: Final = MAX_CALL_S + 900
SETTLEMENT_S: Final = 5

_log = logging.getLogger(__name__)


async def run(app: App) -> None:
    """Sweep every second until cancelled; one process at a time does it."""
    while True:
        try:
            await sweep(app)
        except DatabaseGone:
            pass
        except Exception:  # the next round starts anew
            _log.exception("a sweep failed")
        await asyncio.sleep(EVERY_S)


async def sweep(app: App) -> None:
    """One round of every sweep, unless another process is at it."""
    async with app.db.transaction() as tx:
        if not await sweeps.only_one(tx):
            return
        await _settlements(app)
        await _expired(app)
        await _questions(app)
        await _silent(app)
        await leads.sweep(app)


async def _settlements(app: App) -> None:
    """Settlements that were saved with their call, but whose performing process died."""
    before = app.world.now() - timedelta(seconds=SETTLEMENT_S)
    async with app.db.session() as tx:
        found = await sweeps.unperformed_settlements(tx, before=before)
    for account_id, settlement in found:
        with _alone("settlement", settlement.attempt_id):
            await app.reservations.settle(account_id, settlement)


async def _expired(app: App) -> None:
    """Reservations whose attempt cannot live any more."""
    now = app.world.now()
    async with app.db.session() as tx:
        for account_id in await reservations.accounts_with_expired(tx, now=now):
            await reservations.sweep_expired(tx, account_id, now=now)


async def _questions(app: App) -> None:
    """Questions whose asker died and whose carrier did not ask again."""
    before = app.world.now() - timedelta(seconds=QUESTION_S)
    async with app.db.session() as tx:
        found = await sweeps.waiting_calls(tx, before=before)
    for account_id, call_id in found:
        with _alone("question", call_id):
            await calls.finish_question(app, account_id, call_id)


async def _silent(app: App) -> None:
    """Calls of which nothing was heard for long: a job asks the carrier, since that may take its time."""
    now = app.world.now()
    async with app.db.transaction() as tx:
        for account_id, call_id in await sweeps.silent_calls(tx, before=now - timedelta(seconds=SILENT_S)):
            await jobs.enqueue(
                tx,
                account_id,
                id=app.world.new_id("job"),
                kind=ASK_CARRIER,
                dedupe_key=f"{ASK_CARRIER}/{call_id}/{now.isoformat()}",
                payload={"call_id": call_id},
                run_at=now,
                now=now,
            )
            await sweeps.heard_of(tx, account_id, call_id, now=now)


@contextmanager
def _alone(what: str, name: str) -> Iterator[None]:
    """One that cannot be done must not keep the others from it; a lost database concerns all of them."""
    try:
        yield
    except DatabaseGone:
        raise
    except Exception:
        _log.exception("a sweep failed at %s %s", what, name)


async def ask_carrier_job(app: App, job: Job) -> None:
    """A leg's end did not come with the call's."""
    await ask_carrier(app, job.account_id, CallId(job.payload["call_id"]))


async def ask_carrier(app: App, account_id: AccountId, call_id: CallId) -> Call:
    """Ask the carrier how a call and its legs ended, and tell the call. A call that still lives is left."""
    call, _ = await calls.load(app, account_id, call_id)
    if call.cost_booked or call.connection_id is None:
        return call
    wired = app.catalog.connection(call.connection_id)
    said, legs = await _books(app, wired, call)
    attempts = tuple(attempt.id for attempt in call.attempts if attempt.dialled_at is not None)
    event = asked_end(said, legs, attempts=attempts, at=app.world.now())
    if event is None:
        async with app.db.session() as tx:
            await sweeps.heard_of(tx, account_id, call_id, now=app.world.now())
        return call
    if isinstance(said, Unknown) and not _hopeless(app, call, said):
        raise Refused("unavailable", f"The carrier cannot say yet how {call_id} ended: {said.code}")
    return await calls.apply(app, account_id, call_id, event)


def _hopeless(app: App, call: Call, said: Unknown) -> bool:
    """Whether asking again is useless: the carrier knows no such call, or none lives so long."""
    if said.code in ("not_found", "no_rest_address"):
        return True
    started = call.arrived_at or app.world.now()
    return (app.world.now() - started).total_seconds() > GIVE_UP_S


async def _books(
    app: App, wired: Wired | None, call: Call
) -> tuple[CarrierCall | Unknown, tuple[CarrierLeg, ...] | Unknown]:
    if wired is None:
        return Unknown(code="no_rest_address"), Unknown(code="no_rest_address")
    ask = fetch_call_request(wired.connection, secrets=wired.secrets, carrier_ref=call.carrier_ref)
    if ask is None:
        return Unknown(code="no_rest_address"), Unknown(code="no_rest_address")
    said = read_call(wired.dialect, await exchange(app.outbound, ask))
    if call.end_reason == "failed_safe" and wired.connection.failsafe_number is not None:
        # One of the legs may be the fail-safe number's: no buyer is billed for that one.
        return said, Unknown(code="failed_safe")
    ask_legs = fetch_legs_request(wired.connection, secrets=wired.secrets, carrier_ref=call.carrier_ref)
    if ask_legs is None:
        return said, Unknown(code="not_listed")
    return said, read_legs(wired.dialect, await exchange(app.outbound, ask_legs))
