"""Simulated callers and buyers on our own gateway, by signed webhooks over HTTP to the real server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Final

import aiohttp
from aiohttp import web

from callmatrix.demo.seed import ACCOUNT_SID
from callmatrix.gateway.carrier import Carrier, Number
from callmatrix.gateway.clocks import RealClock
from callmatrix.gateway.records import CallRecord
from callmatrix.gateway.rest import rest_app
from callmatrix.gateway.wire import open_session
from callmatrix.sim.callers import Visit, behaviour, gateway_caller, visits
from callmatrix.sim.network import CARRIER, Network
from callmatrix.world import World, dice

AT_ONCE: Final = 16
CALLS_PER_DAY: Final = 400
MAX_DAYS: Final = 3_650
MEAN_GAP_S: Final = 5.0
MAX_IN_THE_AIR: Final = 100


def numbers(network: Network, public_url: str) -> tuple[Number, ...]:
    """The network's numbers as the carrier has them configured: where to ask, where to tell."""
    voice = f"{public_url}/voice/{CARRIER}"
    return tuple(
        Number(
            number=each.number,
            voice_url=voice,
            fallback_url=f"{voice}/fallback",
            status_url=f"{voice}/status",
        )
        for each in network.numbers
    )


def carrier(
    network: Network,
    *,
    public_url: str,
    secret: str,
    session: aiohttp.ClientSession,
    world: World,
    seed: int,
    at_full_speed: bool,
) -> Carrier:
    """Our gateway with the demo's buyers behind it. At full speed a call's minutes pass in no time."""
    return Carrier(
        account_sid=ACCOUNT_SID,
        auth_token=secret,
        numbers=numbers(network, public_url),
        session=session,
        clock=RealClock(world),
        seed=seed,
        behaviour=behaviour,
        own_timelines=at_full_speed,
    )


def endless_visits(network: Network, *, seed: int, starts_on: date) -> Iterator[Visit]:
    """Callers of one day after the other, without end."""
    return visits(network, seed=seed, starts_on=starts_on, days=MAX_DAYS, calls_per_day=CALLS_PER_DAY)


async def drive(carrier: Carrier, callers: Iterator[Visit], *, count: int) -> tuple[CallRecord, ...]:
    """Place `count` calls, `AT_ONCE` at a time, as fast as the server answers."""
    records: list[CallRecord] = []
    waiting = iter(range(count))

    async def one_after_the_other() -> None:
        for _ in waiting:
            records.append(await carrier.place_call(gateway_caller(next(callers))))

    await asyncio.gather(*(one_after_the_other() for _ in range(min(AT_ONCE, count))))
    return tuple(records)


async def keep_calling(carrier: Carrier, callers: Iterator[Visit], *, seed: int) -> None:
    """Place calls in real time until cancelled, as independent callers come: gaps are exponential."""
    gaps = dice(seed)
    in_the_air: set[asyncio.Task[CallRecord]] = set()
    try:
        for visit in callers:
            await asyncio.sleep(gaps.expovariate(1 / MEAN_GAP_S))
            if len(in_the_air) < MAX_IN_THE_AIR:
                call = asyncio.create_task(carrier.place_call(gateway_caller(visit)))
                in_the_air.add(call)
                call.add_done_callback(in_the_air.discard)
    finally:
        for call in in_the_air:
            call.cancel()
        await asyncio.gather(*in_the_air, return_exceptions=True)


@asynccontextmanager
async def http_session() -> AsyncIterator[aiohttp.ClientSession]:
    """The gateway's HTTP client."""
    session = open_session()
    try:
        yield session
    finally:
        await session.close()


@asynccontextmanager
async def rest_interface(carriers: tuple[Carrier, ...], *, port: int) -> AsyncIterator[None]:
    """The carrier's own REST interface on loopback, for the platform's sweeps."""
    runner = web.AppRunner(rest_app(carriers[0]), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()
