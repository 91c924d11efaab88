"""The real server is killed while it sells forms: nobody gets one twice, and only who took it is charged."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from killed import Server, free_port, keep_up, settings_at, swept

import make
from callmatrix.api.auth import KEY_PREFIX
from callmatrix.core.lead import FormLead
from callmatrix.core.pricing import FixedPrice
from callmatrix.live import leads as live_leads
from callmatrix.store import access, catalog, leads, promises
from callmatrix.store.access import ApiKey
from callmatrix.store.audit import By
from callmatrix.store.db import Database
from callmatrix.store.leads import LeadFilter
from callmatrix.world import RealWorld, dice
from lead_buyers import Buyers, buyers
from served import one

FORMS = 40
AT_ONCE = 6
KILLS = 2
TRIES = 100
TOKEN = f"{KEY_PREFIX}a-key-of-a-test-that-nobody-else-has"
LATE = timedelta(seconds=live_leads.LOST_S + 60)


class KillingBuyers(Buyers):
    """Buyers at whose doors the server dies: at every so-manieth post, before it is answered."""

    def __init__(self, server: Server, *, chance: int) -> None:
        super().__init__()
        self._server = server
        rolled = dice(chance)
        self.kills = [rolled.randrange(5, 18) for _ in range(KILLS)]
        self.done = 0
        self._left = self.kills[0]

    async def answer_post(self, number: int) -> None:
        self._left -= 1
        if self._left == 0 and self.done < KILLS and self._server.up.is_set():
            self.done += 1
            self._left = self.kills[self.done] if self.done < KILLS else 0
            self._server.kill()


def form(number: int) -> dict[str, Any]:
    return {
        "campaign_id": make.CAMPAIGN,
        "publisher_id": make.PUBLISHER,
        "external_id": f"form-{number}",
        "contact": {"phone": f"+1415555{number:04}"},
        "consent": {"text": "Call me.", "at": "2026-03-01T10:00:00Z"},
    }


async def send(http: httpx.AsyncClient, number: int, *, server: Server) -> None:
    """Send a form until a server says that it is taken in."""
    for _ in range(TRIES):
        try:
            answer = await http.post("/api/leads", json=form(number))
        except httpx.TransportError:
            await server.up.wait()
            continue
        if answer.status_code == 201:
            return
        assert answer.status_code in (409, 503), answer.text
    raise AssertionError(f"form {number} was never taken in")


async def save_network(db: Database, sellers: Buyers, *, by: By) -> None:
    offers = (
        sellers.offer(1),
        sellers.offer(2),
        sellers.offer(3, price=FixedPrice(amount=make.usd("10"))),
    )
    async with db.transaction() as tx:
        await catalog.create_account(tx, make.account(), by=by)
        for document in (make.publisher(), *(make.buyer(number) for number in (1, 2, 3)), *offers):
            await catalog.create(tx, make.ACCOUNT, document, by=by)
        await catalog.create(tx, make.ACCOUNT, make.campaign(*offers), by=by)
        key = ApiKey(
            id="key_1",
            account_id=make.ACCOUNT,
            name="Forms",
            prefix="",
            scopes=("write",),
            created_by=by.who,
            created_at=by.at,
        )
        await access.add_key(tx, key, token=TOKEN, by=by)


async def stored(db: Database) -> list[FormLead]:
    async with db.session() as tx:
        rows = await leads.search(tx, make.ACCOUNT, LeadFilter(), after=None, limit=FORMS + 1)
        found = [await leads.load(tx, make.ACCOUNT, row["id"]) for row in rows]
    return [lead for lead in found if lead is not None]


@pytest.fixture
async def server(database_url: str, tmp_path: Path) -> AsyncIterator[Server]:
    built = Server(settings_at(database_url, data=tmp_path, port=free_port()), tmp_path / "server.log")
    yield built
    await built.end()


async def test_no_form_is_sold_twice_and_only_who_took_it_is_charged(db: Database, server: Server) -> None:
    world, settings = RealWorld(), server.settings
    async with buyers(KillingBuyers(server, chance=5)) as sellers:
        sellers.bids = {1: "18.00", 2: "22.50"}
        sellers.answers = {2: {"accepted": False, "reason": "Not this one"}}
        await save_network(db, sellers, by=By(who="usr_1", at=world.now()))
        await server.start()
        reviving = asyncio.create_task(keep_up(server))
        headers = {"Authorization": f"Bearer {TOKEN}"}
        waiting = iter(range(FORMS))
        async with httpx.AsyncClient(
            base_url=settings.public_url, headers=headers, trust_env=False, timeout=60
        ) as http:

            async def one_after_the_other() -> None:
                for number in waiting:
                    await send(http, number, server=server)

            await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
        assert not reviving.done(), reviving.exception()
        reviving.cancel()
        await asyncio.wait([reviving])
        await server.end()
        # Each sweep goes on with what the one before has left.
        for late in (LATE, 2 * LATE):
            await swept(settings, at=world.now() + late)
        posts = Counter((number, post["lead_id"]) for number, post in sellers.posts)

    assert sellers.done == KILLS
    found = await stored(db)
    assert len(found) == FORMS
    assert {lead.state for lead in found} <= {"sold", "unsold"}
    assert {key: count for key, count in posts.items() if count > 1} == {}
    sold_to = {lead.id: lead.sold_to.buyer_id for lead in found if lead.sold_to is not None}
    assert {
        lead_id for lead_id, buyer_id in sold_to.items() if (int(buyer_id[-1]), lead_id) not in posts
    } == set()
    async with db.session() as tx:
        charged = await tx.fetch(
            "select t.lead_id, p.owner_id from ledger_transaction t"
            " join posting p on p.account_id = t.account_id and p.transaction_key = t.key"
            " where t.kind = 'charge' and p.account = 'buyer'"
        )
    assert sorted((row["lead_id"], row["owner_id"]) for row in charged) == sorted(sold_to.items())
    assert await promises.counterexamples(db, make.ACCOUNT, now=world.now() + timedelta(hours=1)) == ()
    assert await one(db, "select count(*) from reservation where state = 'held'") == 0
    # The run was worth it: some post was under way when its process died, and most forms were sold.
    assert any(lead.review == "post_unanswered" for lead in found)
    assert len(sold_to) > FORMS // 2
