"""The real server is killed at random points under traffic: nothing is lost, nothing is billed twice."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from killed import Server, free_port, keep_up, process_of_ours, settings_at, swept

from callmatrix.demo import bidders, seed, traffic
from callmatrix.gateway.carrier import Carrier
from callmatrix.gateway.records import CallRecord
from callmatrix.live import sweeps
from callmatrix.sim.callers import Visit, gateway_caller
from callmatrix.sim.network import ACCOUNT
from callmatrix.store import promises
from callmatrix.store.db import Database
from callmatrix.world import RealWorld, dice
from served import KEY, SECRET, one

TOKEN = "bidders-token"
CALLS = 210
AT_ONCE = 16
KILLS = 4
# One kill in so many webhooks, on average; a call has about six.
WEBHOOKS_PER_KILL = 150


class Killer:
    """Counts the carrier's webhooks and kills the server while one of them is under way."""

    def __init__(self, server: Server, *, seed: int) -> None:
        self._server = server
        chance = dice(seed)
        self.kills = [chance.randrange(1, 2 * WEBHOOKS_PER_KILL) for _ in range(KILLS)]
        self._left = self.kills[0]
        self.done = 0

    async def webhook(self, _session: Any, _context: SimpleNamespace, _params: Any) -> None:
        if self.done == len(self.kills) or not self._server.up.is_set():
            return
        self._left -= 1
        if self._left == 0:
            self.done += 1
            self._left = self.kills[self.done] if self.done < len(self.kills) else 0
            self._server.kill()

    def trace(self) -> aiohttp.TraceConfig:
        """At every webhook that the carrier has sent, and not yet been answered."""
        config = aiohttp.TraceConfig()
        config.on_request_headers_sent.append(self.webhook)
        return config


async def drive(carrier: Carrier, visits: Iterator[Visit], server: Server) -> tuple[CallRecord, ...]:
    """As many calls at once as `AT_ONCE`; nobody calls anew while there is no server."""
    records = []
    waiting = iter(range(CALLS))

    async def one_after_the_other() -> None:
        for _ in waiting:
            await server.up.wait()
            records.append(await carrier.place_call(gateway_caller(next(visits))))

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
    return tuple(records)


async def per_call(db: Database, query: str) -> dict[str, Any]:
    async with db.session() as tx:
        return {row[0]: row[1] for row in await tx.fetch(query)}


@pytest.mark.parametrize("chance", [1])
async def test_no_call_is_lost_or_billed_twice(
    db: Database, database_url: str, tmp_path: Path, chance: int
) -> None:
    world = RealWorld()
    port, rest_port, bidders_port = free_port(), free_port(), free_port()
    settings = settings_at(database_url, data=tmp_path, port=port)
    network = seed.demo_network(
        starts_at=world.now() - timedelta(days=1),
        public_url=settings.public_url,
        rest_url=f"http://127.0.0.1:{rest_port}/2010-04-01",
        bidders_url=f"http://127.0.0.1:{bidders_port}",
    )
    async with process_of_ours(settings, at=world.now()) as app:
        at = world.now() - timedelta(hours=1)
        await seed.ensure(app, network, at=at, secret=SECRET, bidder_token=TOKEN, key=KEY)
    server = Server(settings, tmp_path / "server.log")
    killer = Killer(server, seed=chance)
    session = aiohttp.ClientSession(trace_configs=[killer.trace()], cookie_jar=aiohttp.DummyCookieJar())
    try:
        await server.start()
        reviving = asyncio.create_task(keep_up(server))
        carrier = traffic.carrier(
            network,
            public_url=settings.public_url,
            secret=SECRET,
            session=session,
            world=world,
            seed=chance,
            at_full_speed=True,
        )
        visits = traffic.endless_visits(network, seed=chance, starts_on=world.now().date())
        async with (
            traffic.rest_interface((carrier,), port=rest_port),
            bidders.bidding(TOKEN, port=bidders_port, world=world) as bidding,
        ):
            records = await drive(carrier, visits, server)
            assert not reviving.done(), reviving.exception()
            reviving.cancel()
            await asyncio.wait([reviving])
            await server.end()
            silent_at = world.now() + timedelta(seconds=sweeps.SILENT_S + 60)
            await swept(settings, at=silent_at)
            await swept(settings, at=world.now() + timedelta(hours=6))
    finally:
        await server.end()
        await session.close()

    assert killer.done == KILLS
    assert len(records) == CALLS
    assert bidding.pings()
    assert bidding.wrong() == []
    now = world.now() + timedelta(hours=6)
    assert await promises.counterexamples(db, ACCOUNT, now=now) == ()

    answered = {
        record.sid
        for record in records
        if any(webhook.kind in ("voice", "fallback") and webhook.status == 200 for webhook in record.webhooks)
    }
    refs = "select carrier_ref, 1 from call union select carrier_ref, 1 from unknown_call"
    known = set(await per_call(db, refs))
    assert answered - known == set()

    charges = await per_call(
        db,
        "select c.carrier_ref, count(*) from ledger_transaction t join call c on c.id = t.call_id"
        " where t.kind = 'charge' group by 1",
    )
    assert {ref: count for ref, count in charges.items() if count > 1} == {}
    talked = {record.sid: sum(leg.bridged_ms for leg in record.legs) for record in records}
    billed = await per_call(db, "select carrier_ref, bridged_ms from call where review = '' and not test")
    assert {ref: ms for ref, ms in billed.items() if ms != talked[ref]} == {}
    assert set(charges) <= {ref for ref, ms in talked.items() if ms}

    assert await one(db, "select count(*) from call where not closed") == 0
    assert await one(db, "select count(*) from reservation where state = 'held'") == 0
    assert await one(db, "select coalesce(sum(live), 0) from cap_owner") == 0
    assert await one(db, "select coalesce(sum(held_micros), 0) from buyer_funds") == 0
    assert await one(db, "select sum(amount_micros) from posting") == 0
    # The run was worth it: most calls came in, and capacity was held by some of them.
    assert len(known) > CALLS // 2
    assert await one(db, "select count(*) from reservation") > 0
