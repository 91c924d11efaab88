"""One form's events in order: step, save, ask, reserve, post; with repeats, races and lost processes."""

import logging
from datetime import timedelta
from typing import Final, assert_never, get_args

import msgspec

from callmatrix.core.auction import PingResult, Posted, PostRefused, post_of
from callmatrix.core.auction import Post as AuctionPost
from callmatrix.core.call.commands import Awaited, Fetch, Look, Ping, Post, Reserve, Settle, Simulate
from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId, CallId, LeadId, OfferId
from callmatrix.core.lead import Attempt, FormLead, events, facts_of, lead_of, step
from callmatrix.core.lead.draft import Command
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.routing import Looked
from callmatrix.live import auctions, calls
from callmatrix.live.app import App
from callmatrix.store import calls as callers
from callmatrix.store import leads
from callmatrix.store.db import DatabaseGone
from callmatrix.store.leads import SaveResult, Taken

# No lead takes so many steps for one event; a machine that would not stop is a bug.
MAX_ROUNDS: Final = 200
MAX_CONFLICTS: Final = 30
# Longer than the longest question, a post of 30 s: who has not answered by then is dead.
LOST_S: Final = 60
SETTLEMENT_S: Final = 5

_QUESTIONS: Final = get_args(Awaited)
_log = logging.getLogger(__name__)


class Turn:
    """One event of a lead being handled: the lead so far and the steps that are not saved yet."""

    __slots__ = ("batch", "caller_version", "digest", "lead", "new", "plan", "saved")

    def __init__(self, lead: FormLead, plan: CompiledPlan, *, new: bool = False, digest: bytes = b"") -> None:
        self.lead = lead
        self.saved = lead
        self.plan = plan
        self.new = new
        self.digest = digest
        self.batch: list[Taken] = []
        self.caller_version: int | None = None


async def submit(
    app: App, lead: FormLead, plan: CompiledPlan, event: events.Submitted, *, digest: bytes
) -> FormLead:
    """Take a form in and sell it: how it stands when that is over. One that is there already, by its id or
    by its sender's name for it, is told as it stands; `Refused("conflict")` where that says something else.
    """
    turn = Turn(lead, plan, new=True, digest=digest)
    known = await drive(app, turn, event)
    return turn.lead if known else await _known(app, lead, event, digest)


async def apply(app: App, account_id: AccountId, lead_id: LeadId, event: events.Event) -> FormLead:
    """Give a lead an event that nobody waits for, such as an adjustment."""
    lead, plan = await load(app, account_id, lead_id)
    turn = Turn(lead, plan)
    await drive(app, turn, event)
    return turn.lead


async def load(app: App, account_id: AccountId, lead_id: LeadId) -> tuple[FormLead, CompiledPlan]:
    """The lead as last saved and the plan that it is pinned to; `Refused("not_found")`."""
    async with app.db.session() as tx:
        lead = await leads.load(tx, account_id, lead_id)
    if lead is None:
        raise Refused("not_found", f"There is no lead {lead_id}")
    return lead, await app.catalog.pinned(account_id, lead.campaign_id, lead.plan_version)


def standing(app: App, lead: FormLead, event: events.Submitted) -> events.Submitted:
    """The event with what is read live at its instant: blocks, pauses, hours."""
    account_id, campaign_id, number = lead.account_id, lead.campaign_id, event.contact.phone
    status, is_open = app.catalog.campaign_standing(account_id, campaign_id, event.at)
    return msgspec.structs.replace(
        event,
        publisher_paused=app.catalog.publisher_paused(account_id, campaign_id, event.publisher_id),
        blocked_by=app.catalog.blocked_by(account_id, campaign_id, number, "", event.at),
        campaign_status=status,
        campaign_open=is_open,
    )


async def drive(app: App, turn: Turn, event: events.Event) -> bool:
    """Take events until no question is open. False where a new lead was there already: nothing was done."""
    conflicts = 0
    for _ in range(MAX_ROUNDS):
        commands = await _take(app, turn, event)
        question = next((one for one in commands if isinstance(one, _QUESTIONS)), None)
        if isinstance(question, Look):
            event = await _look(app, turn)  # reads only: saved together with what it leads to
            continue
        first_event = turn.batch[0].event
        result = await _save(app, turn)
        match result:
            case "saved":
                if question is None:
                    return True
                event = await _ask(app, turn, question)
            case "exists":
                return False
            case "version" | "caller":
                conflicts += 1
                if conflicts > MAX_CONFLICTS:
                    raise Refused("unavailable", "Too many changes of this lead at once")
                if isinstance(first_event, events.TimedOut):
                    return True  # somebody went on with it: it is not lost
                await _reload(app, turn)
                event = first_event
            case _:
                assert_never(result)
    raise AssertionError(f"lead {turn.lead.id} took more than {MAX_ROUNDS} steps for one event")


async def _known(app: App, lead: FormLead, event: events.Submitted, digest: bytes) -> FormLead:
    async with app.db.session() as tx:
        found = None
        if event.external_id:
            found = await leads.by_external_id(tx, lead.account_id, event.publisher_id, event.external_id)
        stored = await leads.load(tx, lead.account_id, lead.id) if found is None else found[0]
    if found is not None and found[1] != digest:
        detail = f"Another form was sent as {event.external_id}: {found[0].id}"
        raise Refused("conflict", detail)
    assert stored is not None
    return stored


async def _take(app: App, turn: Turn, event: events.Event) -> tuple[Command, ...]:
    event = await _with_history(app, turn, event)
    taken = step(turn.lead, event, turn.plan)
    turn.batch.append(Taken(event=event, step=taken))
    turn.lead = taken.lead
    return taken.commands


async def _with_history(app: App, turn: Turn, event: events.Event) -> events.Event:
    """What settles, gives back or looks for repeats carries what is known of the phone, read at a version
    that the save checks (rule 18): two forms of one person at once cannot both count as the first."""
    lead = turn.lead
    if isinstance(event, events.Submitted):
        if event.test:
            return event  # it is nobody's repeat, and makes nobody one (rule 2)
        async with app.db.session() as tx:
            previous_at, turn.caller_version = await leads.before_submission(
                tx, lead.account_id, lead.campaign_id, event.contact.phone
            )
        return msgspec.structs.replace(event, previous_at=previous_at)
    settles = isinstance(event, events.PostAnswered) and not event.code
    if lead.contact is None or not (settles or isinstance(event, events.Adjusted)):
        return event
    async with app.db.session() as tx:
        past = await callers.history(tx, lead.account_id, lead.contact.phone, apart_from=CallId(lead.id))
    turn.caller_version = past.version
    if isinstance(event, events.PostAnswered):
        return msgspec.structs.replace(event, history=past.calls)
    return event


async def _save(app: App, turn: Turn) -> SaveResult:
    taken = tuple(turn.batch)
    async with app.db.session() as tx:
        result = await leads.save(
            tx,
            taken,
            new=turn.new,
            digest=turn.digest,
            campaign_group=turn.plan.campaign.group,
            saved_at=app.world.now(),
            caller_version=turn.caller_version,
            before=turn.saved.attempts,
        )
    if result == "saved":
        turn.saved = turn.lead
        turn.batch.clear()
        turn.caller_version = None
        turn.new = False
        app.feed.saved()
        _perform(app, turn, [command for each in taken for command in each.step.commands])
    return result


def _perform(app: App, turn: Turn, commands: list[Command]) -> None:
    """Start what nobody waits for; a sweep finishes the settlements that a crash leaves."""
    for command in commands:
        match command:
            case Settle(settlement=settlement):
                app.background.start(app.reservations.settle(turn.lead.account_id, settlement))
            case Simulate():
                app.background.start(_hold(app, turn.lead, turn.plan, command))
            case _:
                pass


async def _reload(app: App, turn: Turn) -> None:
    """Somebody else saved meanwhile: take the lead as it is now; the unsaved steps never happened."""
    fresh = turn.saved
    if not turn.new:
        async with app.db.session() as tx:
            stored = await leads.load(tx, turn.lead.account_id, turn.lead.id)
        assert stored is not None
        fresh = stored
    turn.batch.clear()
    turn.caller_version = None
    turn.lead = turn.saved = fresh


# --- questions -------------------------------------------------------------------------------------------


async def _ask(app: App, turn: Turn, question: Awaited) -> events.Event:
    match question:
        case Look():
            return await _look(app, turn)
        case Ping():
            results, spent_ms = await _hold(app, turn.lead, turn.plan, question)
            looked = await _look(app, turn)
            return events.BidsReturned(
                at=looked.at,
                draw=looked.draw,
                world=looked.world,
                round=question.round,
                results=results,
                spent_ms=spent_ms,
            )
        case Reserve(claim=claim):
            return await calls.reserve(app, turn.lead.account_id, turn.plan, claim)
        case Post():
            return await _post(app, turn.lead, turn.plan, question)
        case Fetch():
            raise AssertionError("no form has a flow that could ask a service")
        case _:
            assert_never(question)


async def _look(app: App, turn: Turn) -> events.Looked:
    lead, plan = turn.lead, turn.plan
    rotating: tuple[OfferId, ...] = (
        plan.routing.offer_ids if plan.campaign.plan.strategy == "round_robin" else ()
    )
    at = app.world.now()
    async with app.db.session() as tx:
        past = await callers.past_routes(
            tx,
            lead.account_id,
            lead.campaign_id,
            caller=None if lead.contact is None else lead.contact.phone,
            apart_from=CallId(lead.id),
            rotating=rotating,
            joins_at=at,
        )
    world = Looked(shut=app.masks.shut(plan, at), rotation=past.rotation, history=past.history)
    return events.Looked(at=at, draw=app.world.draw(), world=world)


async def _hold(
    app: App, lead: FormLead, plan: CompiledPlan, asked: Ping | Simulate
) -> tuple[tuple[PingResult, ...], int]:
    at = app.world.now()
    simulated = isinstance(asked, Simulate)
    return await auctions.hold(
        app,
        lead.account_id,
        lead=lead_of(lead, plan, at),
        plan=plan,
        facts=facts_of(lead, at),
        offer_ids=asked.offer_ids,
        deadline_ms=asked.deadline_ms,
        round_number=1 if isinstance(asked, Simulate) else asked.round,
        simulated=simulated,
    )


async def _post(app: App, lead: FormLead, plan: CompiledPlan, question: Post) -> events.PostAnswered:
    """The buyer's answer: whoever takes it owes for it."""
    attempt = next(one for one in lead.attempts if one.id == question.attempt_id)
    said = await auctions.post(
        app,
        lead.account_id,
        plan.offers[attempt.offer_id],
        _told(app, lead, plan, attempt),
        plan=plan,
        timeout_ms=question.deadline_ms,
    )
    at = app.world.now()
    match said:
        case None:
            detail = "The offer's bidder has no address to post to"
            return events.PostAnswered(at=at, attempt_id=attempt.id, code="unconfigured", detail=detail)
        case Posted():
            return events.PostAnswered(at=at, attempt_id=attempt.id, reference=said.reference)
        case PostRefused():
            return events.PostAnswered(at=at, attempt_id=attempt.id, code=said.code, detail=said.detail)
        case _:
            assert_never(said)


def _told(app: App, lead: FormLead, plan: CompiledPlan, attempt: Attempt) -> AuctionPost:
    """What the buyer of an attempt is told."""
    at, won = app.world.now(), attempt.won
    return post_of(
        lead_of(lead, plan, at),
        offer_id=attempt.offer_id,
        ping_id=attempt.id if won is None else won.ping_id,
        bid_id="" if won is None else won.bid_id,
        amount=attempt.amount,
        at=at,
    )


# --- what a lost process leaves --------------------------------------------------------------------------


async def sweep(app: App) -> None:
    """Finish leads whose process died, and settlements that it did not perform."""
    now = app.world.now()
    async with app.db.session() as tx:
        unperformed = await leads.unperformed_settlements(tx, before=now - timedelta(seconds=SETTLEMENT_S))
        lost = await leads.waiting(tx, before=now - timedelta(seconds=LOST_S))
    for account_id, settlement in unperformed:
        app.background.start(app.reservations.settle(account_id, settlement))
    for account_id, lead_id in lost:
        app.background.start(_resume(app, account_id, lead_id))


async def _resume(app: App, account_id: AccountId, lead_id: LeadId) -> None:
    now = app.world.now()
    try:
        async with app.db.session() as tx:
            lead = await leads.still_waiting(tx, account_id, lead_id, before=now - timedelta(seconds=LOST_S))
        if lead is None:
            return
        plan = await app.catalog.pinned(account_id, lead.campaign_id, lead.plan_version)
        await drive(app, Turn(lead, plan), events.TimedOut(at=now, what="question"))
    except DatabaseGone:
        pass  # the next sweep finds it again
    except Exception:
        _log.exception("lead %s could not be finished", lead_id)
