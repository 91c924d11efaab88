"""`callmatrix call`: one call through our own gateway to a running server, and why it went where it went."""

import asyncio
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from callmatrix import main
from callmatrix.api.call_story import timeline
from callmatrix.api.call_views import ToldDecision
from callmatrix.core.call import Call
from callmatrix.core.campaign import Connection, Number
from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId
from callmatrix.dialects.carriers.urls import page_url
from callmatrix.gateway import callers, carrier
from callmatrix.gateway.clocks import RealClock
from callmatrix.gateway.records import CallRecord
from callmatrix.gateway.wire import open_session
from callmatrix.live.app import App
from callmatrix.live.catalog import Wired
from callmatrix.settings import Settings
from callmatrix.store import call_search, calls
from callmatrix.world import RealWorld

CLOSE_POLLS: Final = 100
POLL_S: Final = 0.1


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """What to dial and press, and how long the buyer talks."""

    number: str
    caller: str
    keys: tuple[str, ...]
    talk_s: int


async def place(settings: Settings, placed: Placed) -> None:
    """Place the call and print its timeline and decisions. Minutes pass in no time on the carrier's side."""
    world = RealWorld()
    async with main.database(settings) as dsn:
        async with main.running(settings, dsn=dsn, world=world, loops=False) as app:
            account_id, number, wired = _line(app, placed.number)
            record = await _dial(app, wired, placed)
            call = await _closed(app, account_id, wired.connection, record.sid)
            await _print(app, call, number)


def _line(app: App, dialed: str) -> tuple[AccountId, Number, Wired]:
    """The number on our own gateway; `Refused` says which numbers there are."""
    own = []
    for account in app.catalog.accounts():
        for number in app.catalog.numbers(account.id):
            wired = app.catalog.connection(number.connection_id)
            if wired is not None and wired.connection.carrier == "own":
                if number.number == dialed:
                    return account.id, number, wired
                own.append(number.number)
    known = ", ".join(sorted(own)) or "none; `callmatrix demo` makes some"
    raise Refused("not_found", f"{dialed} is no number on our own gateway. There are: {known}")


async def _dial(app: App, wired: Wired, placed: Placed) -> CallRecord:
    def talks(_destination: str, _draw: int) -> callers.Behaviour:
        return callers.accepts(after_ms=3_000, talk_ms=placed.talk_s * 1_000)

    connection = wired.connection
    async with open_session() as session:
        own = carrier.Carrier(
            account_sid=connection.account_sid,
            auth_token=wired.secrets.signing,
            numbers=(
                carrier.Number(
                    number=placed.number,
                    voice_url=page_url(connection, "arrival"),
                    fallback_url=page_url(connection, "fallback"),
                    status_url=page_url(connection, "status"),
                ),
            ),
            session=session,
            clock=RealClock(app.world),
            seed=app.world.draw(),
            behaviour=talks,
            own_timelines=True,
        )
        script = callers.Caller(
            number=placed.caller, dialed=placed.number, entries=callers.presses(*placed.keys)
        )
        return await own.place_call(script)


async def _closed(app: App, account_id: AccountId, connection: Connection, sid: str) -> Call:
    """The call once its books are closed, or as it stands when that takes too long."""
    call = None
    for _ in range(CLOSE_POLLS):
        async with app.db.session() as tx:
            call = await calls.find(tx, account_id, connection.id, sid)
        if call is not None and call.cost_booked:
            break
        await asyncio.sleep(POLL_S)
    if call is None:
        raise Refused("not_found", f"The server at {connection.public_base_url} never heard of the call")
    return call


async def _print(app: App, call: Call, number: Number) -> None:
    async with app.db.session() as tx:
        stored = await call_search.events_of(tx, call.account_id, call.id)
    plan = await app.catalog.pinned(call.account_id, call.campaign_id, call.plan_version)
    moments, _ = timeline(call, stored, plan)
    console = Console()
    table = Table(title=f"{call.caller or 'anonymous'} dials {number.number}", title_justify="left")
    for column in ("at", "what happened", "what it led to"):
        table.add_column(column)
    for moment in moments:
        led_to = [note.text for note in moment.notes]
        led_to += [f"{visit.node} → {visit.exit}" for visit in moment.visits]
        table.add_row(f"{moment.at:%H:%M:%S}", moment.text, "\n".join(led_to))
    console.print(table)
    for moment in moments:
        if moment.decision is not None:
            console.print(_decision(moment.decision))
    amounts = call.amounts
    console.print(
        f"{call.id} ended: {call.end_reason.replace('_', ' ')}. Revenue {amounts.revenue}, payout"
        f" {amounts.payout}, carrier cost {amounts.cost} {plan.account.currency}."
    )


def _decision(decision: ToldDecision) -> Table:
    table = Table(title=f"Who gets the call, by {decision.strategy}", title_justify="left")
    for column in ("rank", "offer", "buyer", "price", "verdict"):
        table.add_column(column)
    for one in decision.offers:
        price = "" if one.price is None else str(one.price)
        table.add_row(str(one.rank or ""), one.offer, one.buyer, price, one.text)
    return table
