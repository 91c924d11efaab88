"""Stop now ends a call that is up, through its carrier's interface; its end is settled as ever."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from test_sweeps import with_gateway

import make
from callmatrix.core.errors import Refused
from callmatrix.core.ids import CallId
from callmatrix.gateway.callers import Answers, Caller
from callmatrix.live.app import App
from callmatrix.live.stops import Stopped, stop_call, stop_campaign
from callmatrix.store.db import Database
from served import CALLER, DIALED, SteeredWorld, looks, one

Stop = Callable[[App, CallId], Awaitable[Stopped]]
UP = "select answered_at is not null from attempt"


def stays(_destination: str, _draw: int) -> Answers:
    return Answers(after_ms=0)


async def stopped_by(db: Database, world: SteeredWorld, data: Path, stop: Stop) -> Stopped:
    """What came of stopping a call that talks, once the carrier has told of its end."""
    async with with_gateway(db, world, data, behaviour=stays, own_timelines=False) as (app, carrier):
        placed = asyncio.create_task(carrier.place_call(Caller(number=CALLER, dialed=DIALED)))
        async for _ in looks(db):
            if await one(db, UP):
                break
        answer = await stop(app, CallId(await one(db, "select id from call")))
        record = await placed
        await app.background.drain()
        assert record.status == "completed"
        assert await one(db, "select state from call") == "ended"
        assert await one(db, "select count(*) from reservation where state = 'held'") == 0
        again = await stop(app, CallId(await one(db, "select id from call")))
        assert again == "over"
        return answer


async def test_a_call_that_is_stopped_ends_at_its_carrier_and_is_settled(
    db: Database, world: SteeredWorld, tmp_path: Path
) -> None:
    async def stop(app: App, call_id: CallId) -> Stopped:
        return await stop_call(app, make.ACCOUNT, call_id)

    assert await stopped_by(db, world, tmp_path, stop) == "ending"


async def test_stopping_a_campaign_ends_its_calls(db: Database, world: SteeredWorld, tmp_path: Path) -> None:
    async def stop(app: App, call_id: CallId) -> Stopped:
        found = await stop_campaign(app, make.ACCOUNT, make.CAMPAIGN)
        return found.get(call_id, "over")

    assert await stopped_by(db, world, tmp_path, stop) == "ending"


async def test_a_connection_without_a_rest_interface_says_what_to_do(
    db: Database, world: SteeredWorld, tmp_path: Path
) -> None:
    async with with_gateway(db, world, tmp_path, behaviour=stays, own_timelines=False, rest_url="") as (
        app,
        carrier,
    ):
        placed = asyncio.create_task(carrier.place_call(Caller(number=CALLER, dialed=DIALED)))
        async for _ in looks(db):
            if await one(db, UP):
                break
        with pytest.raises(Refused, match="no REST interface to ask: give it a rest_url"):
            await stop_call(app, make.ACCOUNT, CallId(await one(db, "select id from call")))
        placed.cancel()
        await asyncio.wait([placed])
