"""Keeps in memory what became of the calls that each buyer took from us lately, for the pings to tell."""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from callmatrix.core.auction import Performance
from callmatrix.core.ids import AccountId, BuyerId
from callmatrix.store import pings
from callmatrix.store.db import Database, DatabaseGone
from callmatrix.world import World

DAYS: Final = 7
EVERY_S: Final = 60.0

_log = logging.getLogger(__name__)


class Performances:
    """Asked by every ping; `run` keeps it up to date."""

    def __init__(self, db: Database, *, world: World) -> None:
        self._db = db
        self._world = world
        self._known: dict[tuple[AccountId, BuyerId], Performance] = {}

    def of(self, account_id: AccountId, buyer_id: BuyerId) -> Performance | None:
        """A buyer's last `DAYS` days; None where it took no call yet, or that is not known yet."""
        return self._known.get((account_id, buyer_id))

    async def refresh(self) -> None:
        """Count anew, all buyers that have bidders by one query. Raises `DatabaseGone`."""
        since = self._world.now() - timedelta(days=DAYS)
        async with self._db.session() as tx:
            found = await pings.performances(tx, since=since)
        self._known = {
            (one.account_id, one.buyer_id): Performance(
                days=DAYS, calls=one.calls, connected=one.connected, converted=one.converted
            )
            for one in found
        }

    async def run(self) -> None:
        """Count every minute until cancelled."""
        while True:
            try:
                await self.refresh()
            except DatabaseGone:
                pass
            except Exception:  # the next round starts anew
                _log.exception("the performance of buyers could not be counted")
            await asyncio.sleep(EVERY_S)
