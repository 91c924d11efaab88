"""The demo's bidders: what each of them does with pings and posts, on a port of their own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from callmatrix.gateway.bidders import Accepts, Bidder, Bidders, Bids, Refuses, bidders_app
from callmatrix.world import World

SEED: Final = 7
SHUTDOWN_S: Final = 1.0


def scripts(token: str) -> tuple[Bidder, ...]:
    """By the names in the addresses of the network's offers. `token` is what the first asks for."""
    return (
        Bidder(
            name="desert",
            behaviour=Bids(low_cents=700, high_cents=3_200, after_ms=60, no_bid_bps=1_500),
            token=token,
        ),
        Bidder(
            name="keystone",
            behaviour=Bids(low_cents=900, high_cents=2_800, after_ms=110, no_bid_bps=2_500, expires_in_s=40),
            format="ringba",
        ),
        Bidder(
            name="lone-star",
            behaviour=Bids(low_cents=500, high_cents=2_600, after_ms=40, no_bid_bps=1_000, expires_in_s=30),
            posts=Accepts(after_ms=30),
        ),
        Bidder(
            name="redwood",
            behaviour=Bids(low_cents=800, high_cents=5_200, after_ms=90, no_bid_bps=3_000),
            posts=Accepts(after_ms=20),
        ),
        Bidder(
            name="southland",
            behaviour=Bids(low_cents=1_000, high_cents=4_000, after_ms=250, no_bid_bps=4_000),
            posts=Refuses(),
        ),
    )


@asynccontextmanager
async def bidding(token: str, *, port: int, world: World) -> AsyncIterator[Bidders]:
    """The bidders, answering on loopback until the block ends."""
    bidders = Bidders(scripts(token), seed=SEED, world=world)
    runner = web.AppRunner(bidders_app(bidders), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield bidders
    finally:
        await runner.cleanup()
