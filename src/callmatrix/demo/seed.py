"""The demo's network as an operator would have typed it in: ordinary configuration, ordinary store."""

import logging
from datetime import datetime

import msgspec

from callmatrix.core.campaign import Connection, Offer
from callmatrix.dialects.bidders import needed_secrets
from callmatrix.live.app import App
from callmatrix.sim.network import ACCOUNT, CARRIER, Network, network
from callmatrix.sim.postgres import write_network
from callmatrix.store import catalog, seals
from callmatrix.store.audit import By
from callmatrix.store.db import Transaction

SIGNING_SECRET = "signing"
ACCOUNT_SID = "AC" + "0" * 31 + "1"
_log = logging.getLogger(__name__)


def demo_network(*, starts_at: datetime, public_url: str, rest_url: str, bidders_url: str) -> Network:
    """The network with its connection pointing at this server and at our gateway's REST interface, and its
    bidders at the demo's."""
    made = network(starts_at=starts_at, public_base_url=public_url, lookup_url=None, bidders_url=bidders_url)
    connections = tuple(
        msgspec.structs.replace(each, account_sid=ACCOUNT_SID, rest_url=rest_url) for each in made.connections
    )
    return msgspec.structs.replace(made, connections=connections)


async def ensure(
    app: App, seeded: Network, *, at: datetime, secret: str, bidder_token: str, key: bytes
) -> bool:
    """Write the network where it is not there yet; True if it was written now.

    On a later start only the addresses of the connection and of bidders are brought up to date.
    """
    async with app.db.transaction() as tx:
        if await catalog.find(tx, ACCOUNT, Connection, CARRIER) is not None:
            await _point_connection(tx, seeded, at=app.world.now())
            await _point_bidders(tx, seeded, at=app.world.now())
            return False
        await write_network(tx, seeded, by=By(who="system", at=at, note="demo network"))
        await seals.set_secrets(
            tx, ACCOUNT, CARRIER, {SIGNING_SECRET: secret}, key=key, by=By(who="system", at=at)
        )
        for offer in seeded.offers:
            if offer.bidder is not None and (names := needed_secrets(offer.bidder)):
                tokens = dict.fromkeys(names, bidder_token)
                by = By(who="system", at=at)
                await seals.set_secrets(tx, ACCOUNT, offer.id, tokens, key=key, by=by, owner=Offer)
    _log.info("seeded %s", seeded.account.name)
    return True


async def _point_connection(tx: Transaction, seeded: Network, *, at: datetime) -> None:
    wanted = seeded.connections[0]
    stored = await catalog.get(tx, ACCOUNT, Connection, CARRIER)
    pointed = msgspec.structs.replace(
        stored.document, public_base_url=wanted.public_base_url, rest_url=wanted.rest_url
    )
    await catalog.change(tx, ACCOUNT, pointed, by=By(who="system", at=at, note="the server moved"))


async def _point_bidders(tx: Transaction, seeded: Network, *, at: datetime) -> None:
    by = By(who="system", at=at, note="the bidders moved")
    for wanted in seeded.offers:
        if wanted.bidder is None:
            continue
        stored = await catalog.find(tx, ACCOUNT, Offer, wanted.id)
        if stored is None or stored.document.bidder is None:
            continue
        pointed = msgspec.structs.replace(
            stored.document.bidder, ping_url=wanted.bidder.ping_url, post_url=wanted.bidder.post_url
        )
        moved = msgspec.structs.replace(stored.document, bidder=pointed)
        if moved != stored.document and stored.document.status != "archived":
            await catalog.change(tx, ACCOUNT, moved, by=by)
