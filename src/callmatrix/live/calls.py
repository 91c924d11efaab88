"""One call's events in order: step, save, ask, reserve, reply; with repeats, races and lost processes."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, assert_never, get_args

import msgspec

from callmatrix.core.call import events
from callmatrix.core.call.commands import (
    Awaited,
    BookLate,
    CarrierOrder,
    Command,
    Fetch,
    Look,
    Ping,
    Post,
    Reserve,
    Settle,
    Simulate,
)
from callmatrix.core.call.machine import step
from callmatrix.core.call.value import Call
from callmatrix.core.caps import Claim, Denied, Granted, LateBooking, Owner
from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId, CallId, OfferId
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.routing import Looked
from callmatrix.live import auctions
from callmatrix.live.app import App
from callmatrix.live.outbound import ask_service
from callmatrix.store import calls, reservations
from callmatrix.store.calls import CallbackKey, Lease, SaveResult, Taken
from callmatrix.store.reservations import Stale

# No call takes so many steps for one webhook; a machine that would not stop is a bug and fails safe.
MAX_ROUNDS: Final = 100
MAX_CONFLICTS: Final = 30
MAX_STALE: Final = 10
# Longer than the slowest question (a lookup of 3 s and a reservation), shorter than carriers wait.
LEASE_S: Final = 8
REPEAT_POLL_S: Final = 0.05
MAX_REPEAT_POLLS: Final = 240

_ORDERS: Final = get_args(CarrierOrder)
Respond = Callable[[Call, tuple[CarrierOrder, ...]], bytes]


class Turn:
    """One webhook (or act) being handled: the call so far and the steps that are not saved yet."""

    __slots__ = (
        "account_id",
        "batch",
        "call",
        "caller_version",
        "failed_safe",
        "history",
        "lease",
        "new",
        "plan",
        "respond",
        "saved",
    )

    def __init__(
        self,
        call: Call,
        plan: CompiledPlan,
        *,
        new: bool,
        lease: Lease | None,
        respond: Respond,
        history: calls.History | None = None,
        failed_safe: str = "",
    ) -> None:
        self.account_id = call.account_id
        self.call = call
        self.saved = call
        self.plan = plan
        self.new = new
        self.lease = lease
        self.respond = respond
        self.failed_safe = failed_safe
        self.batch: list[Taken] = []
        self.caller_version: int | None = None
        self.history = history


def no_reply(call: Call, orders: tuple[CarrierOrder, ...]) -> bytes:
    """For events that nobody waits for."""
    return b""


def lease(callback: CallbackKey, at: datetime) -> Lease:
    """The lease of whoever starts to answer a callback now."""
    return Lease(callback=callback, at=at, lease_until=at + timedelta(seconds=LEASE_S), first=True)


async def begin(
    app: App,
    call: Call,
    plan: CompiledPlan,
    event: events.Arrived,
    *,
    callback: CallbackKey,
    respond: Respond,
    history: calls.History | None = None,
    failed_safe: str = "",
) -> bytes:
    """A call's first event. A carrier that asks twice gets the first answer.

    `history` is that of the caller, if it was read. `failed_safe` is the kind of webhook to which the
    carrier has got the fail-safe reply, if it has.
    """
    own = lease(callback, app.world.now())
    turn = Turn(call, plan, new=True, lease=own, respond=respond, history=history, failed_safe=failed_safe)
    return await drive(app, turn, event)


async def receive(
    app: App,
    account_id: AccountId,
    call_id: CallId,
    event: events.Event,
    *,
    callback: CallbackKey,
    respond: Respond,
    failed_safe: str = "",
) -> bytes:
    """A later event of a call; `Refused("not_found")` where there is no such call on that connection."""
    call, plan = await load(app, account_id, call_id)
    if call.connection_id != callback.connection_id:
        raise Refused("not_found", f"There is no call {call_id}")
    own = lease(callback, app.world.now())
    turn = Turn(call, plan, new=False, lease=own, respond=respond, failed_safe=failed_safe)
    return await drive(app, turn, event)


async def apply(app: App, account_id: AccountId, call_id: CallId, event: events.Event) -> Call:
    """Give a call an event that no carrier waits for: an adjustment, a disposition, a sweep's finding."""
    call, plan = await load(app, account_id, call_id)
    turn = Turn(call, plan, new=False, lease=None, respond=no_reply)
    await drive(app, turn, event)
    return turn.call


async def load(app: App, account_id: AccountId, call_id: CallId) -> tuple[Call, CompiledPlan]:
    """The call as last saved (or as this process saved it last) and the plan that it is pinned to."""
    call = app.recent.get(account_id, call_id)
    if call is None:
        async with app.db.session() as tx:
            call = await calls.load(tx, account_id, call_id)
    if call is None:
        raise Refused("not_found", f"There is no call {call_id}")
    return call, await app.catalog.pinned(account_id, call.campaign_id, call.plan_version)


async def drive(app: App, turn: Turn, event: events.Event) -> bytes:
    """Take events until only the carrier's orders are left; the reply is saved with the last step."""
    conflicts = 0
    for _ in range(MAX_ROUNDS):
        commands = await _take(app, turn, event)
        question = next((command for command in commands if isinstance(command, Awaited)), None)
        if isinstance(question, Look):
            event = await _look(app, turn)  # reads only: saved together with what it leads to
            continue
        orders = tuple(command for command in commands if isinstance(command, _ORDERS))
        reply = None if question is not None else turn.respond(turn.call, orders)
        first_event = turn.batch[0].event
        result = await _save(app, turn, reply)
        match result:
            case "saved":
                if question is None:
                    assert reply is not None
                    return reply
                event = await _ask(app, turn, question)
            case "repeat" | "exists":
                return await _repeated(app, turn)
            case "version" | "caller":
                conflicts += 1
                if conflicts > MAX_CONFLICTS:
                    raise Refused("unavailable", "Too many changes of this call at once")
                if await _taken_over(app, turn):
                    return await _repeated(app, turn)
                await _reload(app, turn)
                event = first_event
            case _:
                assert_never(result)
    raise AssertionError(f"call {turn.call.id} took more than {MAX_ROUNDS} steps for one event")


async def _take(app: App, turn: Turn, event: events.Event) -> tuple[Command, ...]:
    event = await _with_history(app, turn, event)
    taken = step(turn.call, event, turn.plan)
    turn.batch.append(Taken(event=event, step=taken))
    turn.call = taken.call
    return taken.commands


async def _with_history(app: App, turn: Turn, event: events.Event) -> events.Event:
    """Events that settle or reverse carry the caller's history, read at a version that the save checks
    (rule 18): two calls of one caller that settle at once cannot both count as the first."""
    if turn.call.caller is None or not _settles(turn.call, event):
        return event
    past = await _history(app, turn, turn.call.caller)
    turn.caller_version = past.version
    match event:
        case events.LegEnded() | events.ConversionReported():
            return msgspec.structs.replace(event, history=past.calls)
        case events.CallEnded():
            legs = tuple(msgspec.structs.replace(leg, history=past.calls) for leg in event.legs)
            return msgspec.structs.replace(event, history=past.calls, legs=legs)
        case _:
            return event


async def _history(app: App, turn: Turn, caller: str) -> calls.History:
    """The caller's history as it was read for this call. Routing may go by one that is a little old, as it
    may be overtaken anyway; who settles by it is told so by the save."""
    call = turn.call
    if turn.history is None:
        turn.history = app.recent.history(call.account_id, call.id)
    if turn.history is None:
        async with app.db.session() as tx:
            turn.history = await calls.history(tx, call.account_id, caller, apart_from=call.id)
    return turn.history


def _settles(call: Call, event: events.Event) -> bool:
    match event:
        case events.LegEnded():
            return event.outcome == "answered"
        case events.CallEnded():
            return any(not attempt.settled for attempt in call.attempts)
        case events.ConversionReported() | events.Adjusted() | events.Rerated():
            return True
        case _:
            return False


async def _save(app: App, turn: Turn, reply: bytes | None) -> SaveResult:
    taken = tuple(turn.batch)
    commands = [command for each in taken for command in each.step.commands]
    jobs = len(calls.queued(commands))
    async with app.db.session() as tx:
        result = await calls.save(
            tx,
            taken,
            new=turn.new,
            campaign_group=turn.plan.campaign.group,
            saved_at=app.world.now(),
            lease=turn.lease,
            reply=reply,
            caller_version=turn.caller_version,
            job_ids=tuple(app.world.new_id("job") for _ in range(jobs)),
            before=turn.saved.attempts,
        )
    if result == "saved":
        turn.saved = turn.call
        if turn.caller_version is not None:
            turn.history = None  # what was settled made a newer one
            app.recent.forget_history(turn.account_id, turn.call.id)
        app.recent.put(turn.call, history=turn.history)
        turn.batch.clear()
        turn.caller_version = None
        turn.new = False
        if turn.lease is not None:
            turn.lease = msgspec.structs.replace(turn.lease, first=False)
        app.feed.saved()
        perform(app, turn.call, turn.plan, commands)
    return result


def perform(app: App, call: Call, plan: CompiledPlan, commands: list[Command]) -> None:
    """Start the capacity intents that nobody waits for; a sweep finishes those that a crash leaves."""
    account_id = call.account_id
    for command in commands:
        match command:
            case Settle(settlement=settlement):
                app.background.start(app.reservations.settle(account_id, settlement))
            case BookLate(booking=booking):
                app.background.start(_book_late(app, account_id, booking))
            case Simulate():
                app.background.start(auctions.simulate_for_call(app, call, plan, command))
            case _:
                pass


async def _book_late(app: App, account_id: AccountId, booking: LateBooking) -> None:
    async with app.db.session() as tx:
        await reservations.book_late(tx, account_id, booking)


async def _reload(app: App, turn: Turn) -> None:
    """Somebody else saved meanwhile: take the call as it is now; the unsaved steps never happened."""
    turn.batch.clear()
    turn.caller_version = None
    turn.history = None
    app.recent.drop(turn.account_id, turn.call.id)
    async with app.db.session() as tx:
        fresh = await calls.load(tx, turn.account_id, turn.call.id)
    assert fresh is not None
    turn.call = turn.saved = fresh


async def _ask(app: App, turn: Turn, question: Awaited) -> events.Event:
    match question:
        case Look():
            return await _look(app, turn)
        case Fetch(ask=ask):
            with app.admission.elsewhere():
                answer = await ask_service(app.outbound, ask)
            return events.Fetched(
                at=app.world.now(), draw=app.world.draw(), values=answer.values, code=answer.code
            )
        case Ping():
            with app.admission.elsewhere():
                results, spent_ms = await auctions.ask_for_call(app, turn.call, turn.plan, question)
            looked = await _look(app, turn)
            return events.BidsReturned(
                at=looked.at,
                draw=looked.draw,
                world=looked.world,
                round=question.round,
                results=results,
                spent_ms=spent_ms,
            )
        case Post():
            with app.admission.elsewhere():
                return await auctions.post_for_call(app, turn.call, turn.plan, question)
        case Reserve(claim=claim):
            return await reserve(app, turn.account_id, turn.plan, claim)
        case _:
            assert_never(question)


async def _ask_again(app: App, turn: Turn, question: Awaited) -> events.Event:
    """The answer to a question whose asker died. Bidders are not asked twice: they may have answered, and
    may count on what they said."""
    match question:
        case Ping():
            looked = await _look(app, turn)
            return auctions.lost_round(
                turn.call, question, world=looked.world, at=looked.at, draw=looked.draw
            )
        case Post(attempt_id=attempt_id):
            return events.PostAnswered(at=app.world.now(), attempt_id=attempt_id, code="interrupted")
        case _:
            return await _ask(app, turn, question)


async def reserve(
    app: App, account_id: AccountId, plan: CompiledPlan, claim: Claim
) -> events.Reserved | events.CapFull:
    """Hours, pauses and blocks are checked by the configuration that the reservation then finds in force
    (rule 1): where it has changed meanwhile, they are checked again."""
    for _ in range(MAX_STALE):
        version = app.catalog.version(account_id)
        at = app.world.now()
        code = app.masks.shut_code(plan, claim.offer_id, at) if claim.offer_id is not None else None
        if code is not None:
            owner = Owner(kind="offer", id=str(claim.offer_id))
            return events.CapFull(at=at, attempt_id=claim.attempt_id, code=code, owner=owner)
        answer = await app.reservations.reserve(account_id, claim, catalog_version=version)
        if not isinstance(answer, Stale):
            return granted(answer, at=app.world.now())
        await app.catalog.refresh(account_id)
    raise Refused("unavailable", "The configuration changes faster than calls can be reserved")


def granted(grant: Granted | Denied, *, at: datetime) -> events.Reserved | events.CapFull:
    """The answer of the reservation as the call's next event."""
    match grant:
        case Granted():
            return events.Reserved(at=at, attempt_id=grant.attempt_id, pays_publisher=grant.pays_publisher)
        case Denied():
            return events.CapFull(
                at=at,
                attempt_id=grant.attempt_id,
                code=grant.code,
                owner=grant.owner,
                metric=grant.metric,
                window=grant.window,
                limit=grant.limit,
                used=grant.used,
            )
        case _:
            assert_never(grant)


async def _look(app: App, turn: Turn) -> events.Looked:
    call, plan = turn.call, turn.plan
    rotating = plan.routing.offer_ids if plan.campaign.plan.strategy == "round_robin" else ()
    at = app.world.now()
    rotation: tuple[OfferId, ...] = ()
    if rotating:
        async with app.db.session() as tx:
            routes = await calls.past_routes(
                tx,
                turn.account_id,
                call.campaign_id,
                caller=None,
                apart_from=call.id,
                rotating=rotating,
                joins_at=at,
            )
        rotation = routes.rotation
    past = () if call.caller is None else (await _history(app, turn, call.caller)).calls
    world = Looked(shut=app.masks.shut(plan, at), rotation=rotation, history=past)
    return events.Looked(at=at, draw=app.world.draw(), world=world)


async def _repeated(app: App, turn: Turn) -> bytes:
    """The same callback again: the stored reply, the one in the making, or (its maker died) ours."""
    assert turn.lease is not None
    callback = turn.lease.callback
    if turn.failed_safe:
        return await _overtaken(app, turn, callback)
    for _ in range(MAX_REPEAT_POLLS):
        async with app.db.session() as tx:
            stored = await calls.stored_reply(tx, turn.account_id, callback)
        if stored is None:  # an arrival whose call another callback made known first
            return turn.respond(turn.call, ())
        if stored.reply is not None:
            return stored.reply
        if stored.lease_until <= app.world.now():
            own = msgspec.structs.replace(lease(callback, app.world.now()), first=False)
            async with app.db.session() as tx:
                taken_over = await calls.take_over(tx, turn.account_id, own, seen=stored.lease_until)
            if taken_over:
                return await _resume(app, turn, stored.call_id, own)
        await asyncio.sleep(REPEAT_POLL_S)
    raise Refused("unavailable", "This webhook is still being answered")


async def _taken_over(app: App, turn: Turn) -> bool:
    """Whether we were so slow that somebody else has gone on with our callback: theirs is the reply."""
    if turn.lease is None or turn.lease.first:
        return False
    async with app.db.session() as tx:
        stored = await calls.stored_reply(tx, turn.account_id, turn.lease.callback)
    return stored is not None and stored.lease_until != turn.lease.lease_until


async def _overtaken(app: App, turn: Turn, callback: CallbackKey) -> bytes:
    """The webhook was answered, or nearly, but what the carrier heard is the fail-safe reply: whatever our
    own said is not executed."""
    async with app.db.session() as tx:
        stored = await calls.stored_reply(tx, turn.account_id, callback)
    if stored is not None:
        failed = events.FailedSafe(at=app.world.now(), asked=turn.failed_safe)
        await apply(app, turn.account_id, stored.call_id, failed)
    return b""


async def _resume(app: App, turn: Turn, call_id: CallId, own: Lease) -> bytes:
    """The maker of a reply died: go on from the question that the call still has open."""
    app.recent.drop(turn.account_id, call_id)
    call, plan = await load(app, turn.account_id, call_id)
    resumed = Turn(call, plan, new=False, lease=own, respond=turn.respond)
    if call.question is None:
        return turn.respond(call, ())
    event = await _ask_again(app, resumed, call.question)
    return await drive(app, resumed, event)


async def finish_question(app: App, account_id: AccountId, call_id: CallId) -> Call:
    """A question that nobody answers any more: give up on it, so that what it holds goes back."""
    return await apply(app, account_id, call_id, events.TimedOut(at=app.world.now(), what="question"))
