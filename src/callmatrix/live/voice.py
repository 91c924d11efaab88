"""What a carrier's webhook leads to: arrivals begin calls, callbacks go on with them."""

from datetime import datetime
from typing import Final

import msgspec

from callmatrix.core.call import events
from callmatrix.core.call.commands import CarrierOrder
from callmatrix.core.call.value import Call
from callmatrix.core.campaign import Number, assignment_at, choose_campaign
from callmatrix.core.ids import CallId, PublisherId
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.rtb import Sold
from callmatrix.dialects.carriers.render import failsafe, render, unknown_number
from callmatrix.dialects.carriers.twiml import (
    Arrival,
    Params,
    carrier_ref,
    parse_arrival,
    parse_callback,
    parse_status,
)
from callmatrix.dialects.carriers.urls import Callback, Page
from callmatrix.live import calls, rtb
from callmatrix.live.app import App
from callmatrix.live.catalog import Wired
from callmatrix.live.endpoints import Seller
from callmatrix.store import calls as call_store
from callmatrix.store import unknown
from callmatrix.store.calls import CallbackKey, History

# Kinds whose reply the carrier executes; every other callback only tells us something.
ANSWERED_KINDS: Final = frozenset(("gather", "dial", "whisper", "accept", "record"))
# Of these the reply is for the caller, so that a fail-safe reply is the caller's end of the call with us.
CALLER_KINDS: Final = frozenset(("gather", "dial", "record"))
ARRIVAL_KEY: Final = "arrival"


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """What an arriving call belongs to; `call_id` is given where a bid foretold the call."""

    plan: CompiledPlan
    publisher_id: PublisherId | None
    pays_late: bool = True
    sold: Sold | None = None
    call_id: CallId | None = None


async def told(
    app: App,
    wired: Wired,
    target: Callback | Page,
    params: Params,
    *,
    at: datetime,
    failed_safe: bool = False,
) -> bytes:
    """What a verified webhook says, to whom it concerns; the reply.

    `failed_safe`: the carrier has had its reply already, and it was the fail-safe one.
    """
    match target:
        case Callback():
            return await callback(app, wired, target, params, at=at, failed_safe=failed_safe)
        case Page(kind="status"):
            return await status(app, wired, params, at=at)
        case Page(kind="fallback"):
            # Our first reply could not be had: the call must be known all the same.
            await arrive(app, wired, params, at=at, failed_safe="fallback")
            return failsafe(wired.connection)
        case Page():
            return await arrive(app, wired, params, at=at, failed_safe="arrival" if failed_safe else "")


async def arrive(app: App, wired: Wired, params: Params, *, at: datetime, failed_safe: str = "") -> bytes:
    """A call comes in: find its number, campaign and plan, and take the first step.

    `failed_safe` is the kind of webhook to which the carrier gets the fail-safe reply, if it does.
    """
    arrival = parse_arrival(wired.dialect, params)
    number = app.catalog.number(wired.connection.id, arrival.dialed)
    draw = app.world.draw()
    place = None if number is None else await _place(app, wired, number, arrival, at=at, draw=draw)
    if number is None or place is None:
        return await _unknown(app, wired, arrival.dialed, arrival.caller, arrival.carrier_ref, at)
    plan, campaign_id, publisher_id = place.plan, place.plan.campaign.id, place.publisher_id
    status, is_open = app.catalog.campaign_standing(wired.account_id, campaign_id, at)
    previous_call_at, history = await _before(app, plan, arrival.caller)
    is_test = arrival.caller is not None and arrival.caller in plan.account.test_phones
    event = events.Arrived(
        at=at,
        draw=draw,
        caller=arrival.caller,
        dialed=arrival.dialed,
        number_id=number.id,
        connection_id=wired.connection.id,
        carrier_ref=arrival.carrier_ref,
        publisher_id=publisher_id,
        publisher_paused=app.catalog.publisher_paused(wired.account_id, campaign_id, publisher_id),
        attestation=arrival.attestation,
        blocked_by=app.catalog.blocked_by(wired.account_id, campaign_id, arrival.caller, arrival.dialed, at),
        previous_call_at=previous_call_at,
        campaign_status=status,
        campaign_open=is_open,
        pays_late=place.pays_late,
        tags=number.tags,
        test=is_test,
        pings=not is_test or plan.account.test_calls_ping,
        failed_safe=bool(failed_safe),
        sold=place.sold,
    )
    call = Call(
        id=place.call_id or CallId(app.world.new_id("call")),
        account_id=wired.account_id,
        campaign_id=campaign_id,
        plan_version=plan.version,
    )
    callback = CallbackKey(
        connection_id=wired.connection.id, carrier_ref=arrival.carrier_ref, key=ARRIVAL_KEY
    )
    return await calls.begin(
        app,
        call,
        plan,
        event,
        callback=callback,
        respond=_renderer(wired),
        history=history,
        failed_safe=failed_safe,
    )


async def _place(
    app: App, wired: Wired, number: Number, arrival: Arrival, *, at: datetime, draw: int
) -> _Place | None:
    """Where a number's call belongs: by its assignment, or by the bid of the endpoint whose number it is."""
    seller = app.catalog.seller_of(wired.account_id, number.id)
    if seller is not None:
        return await _sold(app, wired, seller, number, arrival, at=at)
    assigned = assignment_at(number, at)
    if assigned is None:
        return None
    campaign_id = choose_campaign(assigned.assignment, caller=arrival.caller, number=number.number, draw=draw)
    plan = app.catalog.plan(wired.account_id, campaign_id)
    if plan is None:
        return None
    return _Place(plan=plan, publisher_id=assigned.assignment.publisher_id, pays_late=assigned.pays)


async def _sold(
    app: App, wired: Wired, seller: Seller, number: Number, arrival: Arrival, *, at: datetime
) -> _Place | None:
    """A call that a bid sold follows the plan by which it was priced."""
    found = await rtb.arriving(
        app,
        seller,
        number_id=number.id,
        caller=arrival.caller,
        connection_id=wired.connection.id,
        carrier_ref=arrival.carrier_ref,
        at=at,
    )
    campaign_id, publisher_id = seller.endpoint.campaign_id, seller.endpoint.publisher_id
    plan = app.catalog.plan(wired.account_id, campaign_id)
    if found.plan_version is not None:
        plan = await app.catalog.pinned(wired.account_id, campaign_id, found.plan_version)
    if plan is None:
        return None
    return _Place(plan=plan, publisher_id=publisher_id, sold=found.sold, call_id=found.call_id)


async def callback(
    app: App, wired: Wired, callback: Callback, params: Params, *, at: datetime, failed_safe: bool = False
) -> bytes:
    """The carrier reports of a call; the reply is what the carrier does next, or empty."""
    parsed = parse_callback(wired.dialect, callback, params, at=at, draw=app.world.draw())
    if parsed is None:
        return b""
    event: events.Event = parsed
    asked = callback.kind if failed_safe and callback.kind in CALLER_KINDS else ""
    if asked:
        event = _after_failsafe(event, asked)
    elif failed_safe and callback.kind == "accept":
        return b""  # whatever the buyer pressed, the leg was hung up
    key = f"{callback.kind}/{callback.key}"
    if callback.kind == "leg":
        key = f"{key}/{event.__struct_config__.tag}"
    return await calls.receive(
        app,
        wired.account_id,
        callback.call_id,
        event,
        callback=CallbackKey(connection_id=wired.connection.id, carrier_ref=carrier_ref(params), key=key),
        respond=_renderer(wired) if callback.kind in ANSWERED_KINDS else calls.no_reply,
        failed_safe=asked,
    )


async def status(app: App, wired: Wired, params: Params, *, at: datetime) -> bytes:
    """A call is over, told to the connection's own address: by the carrier's id of the call."""
    event = parse_status(wired.dialect, params, at=at)
    ref = carrier_ref(params)
    if event is None:
        return b""
    call_id = app.recent.find(wired.connection.id, ref)
    if call_id is None:
        async with app.db.session() as tx:
            call = await call_store.find(tx, wired.account_id, wired.connection.id, ref)
        if call is None:
            return b""
        call_id = call.id
    return await calls.receive(
        app,
        wired.account_id,
        call_id,
        event,
        callback=CallbackKey(connection_id=wired.connection.id, carrier_ref=ref, key="status/0"),
        respond=calls.no_reply,
    )


def _after_failsafe(event: events.Event, kind: str) -> events.Event:
    """A leg that ended still has to be settled; everything else was overtaken by the fail-safe reply."""
    if isinstance(event, events.LegEnded):
        return msgspec.structs.replace(event, caller_gone=True)
    return events.FailedSafe(at=event.at, asked=kind)


def _renderer(wired: Wired) -> calls.Respond:
    def respond(call: Call, orders: tuple[CarrierOrder, ...]) -> bytes:
        if not orders and call.state not in ("closing", "ended"):
            return failsafe(wired.connection)  # a caller is always answered
        return render(wired.dialect, orders, connection=wired.connection, call_id=call.id)

    return respond


async def _before(app: App, plan: CompiledPlan, caller: str | None) -> tuple[datetime | None, History | None]:
    """When the caller last called this campaign, and the history by which to route and settle."""
    if caller is None:
        return None, None
    async with app.db.session() as tx:
        return await call_store.before_arrival(tx, plan.account.id, plan.campaign.id, caller)


async def _unknown(
    app: App, wired: Wired, dialed: str, caller: str | None, carrier_ref: str, at: datetime
) -> bytes:
    """Nobody's number: a polite message, and a line in the list of unknown calls."""
    async with app.db.session() as tx:
        await unknown.record(
            tx,
            wired.account_id,
            connection_id=wired.connection.id,
            carrier_ref=carrier_ref,
            dialed=dialed,
            caller=caller,
            at=at,
        )
    return unknown_number()
