"""Round robin (rule 6): who comes back joins the tail, whoever they are brought back by."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

import make
from callmatrix.core.campaign import Buyer, Campaign, Offer
from callmatrix.core.ids import CallId, OfferId
from callmatrix.store import calls, catalog, lifecycle
from callmatrix.store.audit import By
from callmatrix.store.db import Database, Transaction
from saved import BY
from served import save_network

ALL = (OfferId("off_1"), OfferId("off_2"), OfferId("off_3"))


def later(seconds: int) -> By:
    return By(who=BY.who, at=BY.at + timedelta(seconds=seconds))


async def rotation(tx: Transaction, *, seconds: int) -> tuple[OfferId, ...]:
    past = await calls.past_routes(
        tx,
        make.ACCOUNT,
        make.CAMPAIGN,
        caller=None,
        apart_from=CallId(""),
        rotating=ALL,
        joins_at=later(seconds).at,
    )
    return past.rotation


@pytest.mark.parametrize("who", ["offer", "buyer", "entry"])
async def test_an_offer_that_comes_back_joins_the_tail(db: Database, who: str) -> None:
    await save_network(db, *(make.offer(n) for n in (1, 2, 3)))
    async with db.transaction() as tx:
        assert await rotation(tx, seconds=1) == ALL
        for back, seconds in ((False, 2), (True, 3)):
            by = later(seconds)
            if who == "entry":
                stored = await catalog.get(tx, make.ACCOUNT, Campaign, make.CAMPAIGN)
                first, *rest = stored.document.plan.entries
                plan = replace(stored.document.plan, entries=(replace(first, paused=not back), *rest))
                await catalog.change(tx, make.ACCOUNT, replace(stored.document, plan=plan), by=by)
            else:
                act = lifecycle.resume if back else lifecycle.pause
                kind, name = (Offer, "off_1") if who == "offer" else (Buyer, "buy_1")
                await act(tx, make.ACCOUNT, kind, name, by=by)
        assert await rotation(tx, seconds=4) == ("off_2", "off_3", "off_1")
