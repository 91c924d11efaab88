"""The demo's network as an operator would have typed it in: ordinary configuration, ordinary store."""

import logging
from datetime import datetime

import msgspec

from callmatrix.core.campaign import Connection
from callmatrix.live.app import App
from callmatrix.sim.network import ACCOUNT, CARRIER, Network, network
from callmatrix.sim.postgres import write_network
from callmatrix.store import catalog, seals
from callmatrix.store.audit import By
from callmatrix.store.db import Transaction

SIGNING_SECRET = "signing"
ACCOUNT_SID = "AC" + "0" * 31 + "1"
_log = logging.getLogger(__name__)


def demo_network(*, starts_at: datetime, public_url: str, rest_url: str) -> Network:
    """The network with its connection pointing at this server and at our gateway's REST interface."""
    made = network(starts_at=starts_at, public_base_url=public_url, lookup_url=None)
    connections = tuple(
        msgspec.structs.replace(each, account_sid=ACCOUNT_SID, rest_url=rest_url) for each in made.connections
    )
    return msgspec.structs.replace(made, connections=connections)


async def ensure(app: App, seeded: Network, *, at: datetime, secret: str, key: bytes) -> bool:
    """Write the network where it is not there yet; True if it was written now.

    On a later start only the connection's addresses are brought up to date.
    """
    async with app.db.transaction() as tx:
        if await catalog.find(tx, ACCOUNT, Connection, CARRIER) is not None:
            await _point_connection(tx, seeded, at=app.world.now())
            return False
        await write_network(tx, seeded, by=By(who="system", at=at, note="demo network"))
        await seals.set_secrets(
            tx, ACCOUNT, CARRIER, {SIGNING_SECRET: secret}, key=key, by=By(who="system", at=at)
        )
    _log.info("seeded %s", seeded.account.name)
    return True


async def _point_connection(tx: Transaction, seeded: Network, *, at: datetime) -> None:
    wanted = seeded.connections[0]
    stored = await catalog.get(tx, ACCOUNT, Connection, CARRIER)
    pointed = msgspec.structs.replace(
        stored.document, public_base_url=wanted.public_base_url, rest_url=wanted.rest_url
    )
    await catalog.change(tx, ACCOUNT, pointed, by=By(who="system", at=at, note="the server moved"))
