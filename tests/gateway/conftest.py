"""A customer's web application on loopback, and our carrier pointed at it."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from customer import ACCOUNT, DIALED, START_MS, TOKEN, Application, CarrierOf

from callmatrix.gateway.carrier import Carrier, Number
from callmatrix.gateway.clocks import VirtualClock
from callmatrix.gateway.wire import open_session


@pytest.fixture
async def application() -> AsyncIterator[Application]:
    application = Application()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", application.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    application.base = f"http://{host}:{port}"
    yield application
    await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as session:
        yield session


@pytest.fixture
def carrier_of(application: Application, session: aiohttp.ClientSession) -> CarrierOf:
    """Makes a carrier on a virtual clock; keywords as Carrier's, `fallback` adds a fallback address."""

    def make(*, fallback: str = "", **options: Any) -> Carrier:
        number = Number(
            number=DIALED,
            voice_url=application.base + "/voice?key=1",
            fallback_url=fallback and application.base + fallback,
            status_url=application.base + "/status",
        )
        given: dict[str, Any] = {
            "account_sid": ACCOUNT,
            "auth_token": TOKEN,
            "numbers": (number,),
            "session": session,
            "clock": VirtualClock(start_ms=START_MS),
            "seed": 7,
        }
        return Carrier(**(given | options))

    return make
