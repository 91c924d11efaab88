"""Which offers are shut at an instant, from what is live, on a real PostgreSQL."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

import make
import saved
from callmatrix.core.campaign import Buyer, Campaign, Offer, Publisher, PublisherInCampaign
from callmatrix.core.caps import Claim, CountCap, Limits, MoneyCap
from callmatrix.core.hours import Hours, Span
from callmatrix.core.plan import CompiledPlan
from callmatrix.live.catalog import Catalog
from callmatrix.live.masks import Masks
from callmatrix.store import caps, catalog, lifecycle, reservations
from callmatrix.store.db import Database
from callmatrix.world import SeededWorld
from saved import AT, BY

ACCOUNT, CAMPAIGN = make.ACCOUNT, make.CAMPAIGN
KEY = b"k" * 32
MONDAYS = Hours(time_zone="UTC", spans=(Span(day=0, opens_minute=0, closes_minute=1_440),))
TUESDAY = AT + timedelta(hours=12)


class Process:
    """A catalog and its masks, at an instant that the test sets."""

    def __init__(self, db: Database) -> None:
        self.now = AT
        self.db = db
        self.catalog = Catalog(db, secret_key=KEY)
        world = SeededWorld(seed=1, clock=lambda: self.now)
        self.masks = Masks(db, catalog=self.catalog, world=world)

    async def look(self) -> None:
        await self.catalog.refresh_all()
        await self.masks.refresh()

    @property
    def plan(self) -> CompiledPlan:
        found = self.catalog.plan(ACCOUNT, CAMPAIGN)
        assert found is not None
        return found

    def shut(self, plan: CompiledPlan | None = None, at: datetime = AT) -> dict[str, list[str]]:
        asked = plan or self.plan
        return {shut.code: list(asked.routing.ids(int(shut.mask, 16))) for shut in self.masks.shut(asked, at)}


@pytest.fixture
async def process(db: Database) -> Process:
    """A campaign of three offers."""
    async with db.transaction() as tx:
        await saved.save_network(tx, offers=3)
    found = Process(db)
    await found.look()
    return found


async def change(process: Process, *documents: Any) -> None:
    async with process.db.transaction() as tx:
        for document in documents:
            await catalog.change(tx, ACCOUNT, document, by=BY)


async def reserve(process: Process, *offers: int, **claimed: Any) -> None:
    claims = [
        Claim(
            attempt_id=f"call_{process.now.timestamp()}-{number}",
            call_id="call_1",
            campaign_id=CAMPAIGN,
            offer_id=f"off_{number}",
            buyer_id=f"buy_{number}",
            expires_at=process.now + timedelta(hours=1),
            **claimed,
        )
        for number in offers
    ]
    version = process.catalog.version(ACCOUNT)
    async with process.db.session() as session:
        answers = await reservations.reserve_batch(
            session, ACCOUNT, claims, now=process.now, catalog_version=version
        )
    assert [type(answer).__name__ for answer in answers] == ["Granted"] * len(claims)


async def test_nothing_is_shut_where_nothing_is_in_the_way(process: Process) -> None:
    assert process.shut() == {}


@pytest.mark.parametrize(
    ("kind", "config_id", "shut"),
    [
        (Offer, "off_2", ["off_2"]),
        (Buyer, "buy_3", ["off_3"]),
        (Campaign, CAMPAIGN, ["off_1", "off_2", "off_3"]),
    ],
)
async def test_a_pause_shuts_the_plan_that_a_call_is_on(
    process: Process, kind: Any, config_id: str, shut: list[str]
) -> None:
    pinned = process.plan
    async with process.db.transaction() as tx:
        await lifecycle.pause(tx, ACCOUNT, kind, config_id, by=BY)
    await process.look()
    assert process.shut(pinned) == process.shut() == {"paused": shut}
    async with process.db.transaction() as tx:
        await lifecycle.resume(tx, ACCOUNT, kind, config_id, by=BY)
    await process.look()
    assert process.shut(pinned) == process.shut() == {}


async def test_a_paused_entry_is_shut_and_its_offer_elsewhere_is_not(process: Process) -> None:
    campaign = make.campaign(*(make.offer(number) for number in (1, 2, 3)))
    first, *others = campaign.plan.entries
    plan = replace(campaign.plan, entries=(replace(first, paused=True), *others))
    await change(process, replace(campaign, plan=plan))
    other = replace(campaign, id="cmp_2", name="Other")
    async with process.db.transaction() as tx:
        await catalog.create(tx, ACCOUNT, other, by=BY)
    await process.look()
    assert process.shut() == {"paused": ["off_1"]}
    elsewhere = process.catalog.plan(ACCOUNT, "cmp_2")
    assert elsewhere is not None
    assert process.shut(elsewhere) == {}


async def test_hours_are_those_of_now_and_change_without_a_look(process: Process) -> None:
    pinned = process.plan
    await change(process, make.offer(2, hours=MONDAYS))
    await process.look()
    assert process.shut(pinned) == {}
    assert process.shut(pinned, TUESDAY) == {"closed": ["off_2"]}
    assert process.shut(pinned, TUESDAY + timedelta(days=6)) == {}
    assert process.masks.shut_code(pinned, "off_2", TUESDAY) == "closed"
    assert process.masks.shut_code(pinned, "off_1", TUESDAY) is None
    assert process.masks.shut_code(pinned, "off_9", TUESDAY) is None


async def test_an_offer_that_the_campaign_gave_up_goes_by_its_own_status(process: Process) -> None:
    pinned = process.plan
    await change(process, make.campaign(make.offer(1), make.offer(3)))
    await process.look()
    assert process.shut(pinned) == {}
    async with process.db.transaction() as tx:
        await lifecycle.pause(tx, ACCOUNT, Offer, "off_2", by=BY)
    await process.look()
    assert process.shut(pinned) == {"paused": ["off_2"]}


async def test_a_full_cap_shuts_until_its_window_ends(process: Process) -> None:
    limits = Limits(caps=(CountCap(metric="attempt", window="hour", limit=1),))
    await change(process, make.offer(1, limits=limits))
    await process.look()
    await reserve(process, 1)
    await process.look()
    assert process.shut() == {"cap_full": ["off_1"]}
    assert process.masks.shut_code(process.plan, "off_1", AT) is None
    assert process.shut(at=AT + timedelta(minutes=59)) == {"cap_full": ["off_1"]}
    assert process.shut(at=AT + timedelta(minutes=60)) == {}


async def test_a_cap_of_the_account_shuts_every_offer(process: Process) -> None:
    limits = Limits(caps=(CountCap(metric="attempt", window="day", limit=1),))
    await change(process, make.account(limits=limits))
    await process.look()
    await reserve(process, 2)
    await process.look()
    assert process.shut() == {"cap_full": ["off_1", "off_2", "off_3"]}


async def test_a_conversion_cap_does_not_shut_what_converts_later(process: Process) -> None:
    limits = Limits(caps=(CountCap(metric="conversion", window="day", limit=1),))
    later = make.offer(2, converts_on="postback", buyer_id="buy_1")
    await change(process, later, make.buyer(1, limits=limits))
    await process.look()
    await reserve(process, 1)
    await process.look()
    assert process.shut() == {"cap_full": ["off_1"]}


async def test_a_spent_revenue_cap_does_not_shut_what_is_free(process: Process) -> None:
    limits = Limits(caps=(MoneyCap(metric="revenue", window="day", limit=make.usd("29")),))
    await change(process, make.account(limits=limits), make.offer(3, price=make.fixed("0")))
    await process.look()
    await reserve(process, 1, revenue_max=make.usd("29"))
    await process.look()
    assert process.shut() == {"cap_full": ["off_1", "off_2"]}


async def test_concurrency_and_spacing_shut_for_as_long_as_they_last(process: Process) -> None:
    await change(
        process,
        make.offer(1, limits=Limits(concurrency=1)),
        make.offer(2, limits=Limits(spacing_s=30)),
    )
    await process.look()
    await reserve(process, 1, 2)
    await process.look()
    assert process.shut() == {"concurrency_full": ["off_1"], "spacing": ["off_2"]}
    assert process.shut(at=AT + timedelta(seconds=30)) == {"concurrency_full": ["off_1"]}


async def test_a_buyer_without_funds_is_shut_but_for_what_is_free(process: Process) -> None:
    await change(
        process,
        make.buyer(2, billing="prepaid"),
        make.buyer(3, billing="prepaid"),
        make.offer(3, price=make.fixed("0")),
    )
    await process.look()
    assert process.shut() == {"no_funds": ["off_2"]}
    async with process.db.transaction() as tx:
        await caps.add_funds(tx, ACCOUNT, "buy_2", make.usd("100"))
    await process.look()
    assert process.shut() == {}


async def test_a_publishers_pause_shuts_no_offer(process: Process) -> None:
    here = PublisherInCampaign(publisher_id=make.PUBLISHER, paused=True)
    await change(process, make.campaign(*(make.offer(n) for n in (1, 2, 3)), publishers=(here,)))
    async with process.db.transaction() as tx:
        await lifecycle.pause(tx, ACCOUNT, Publisher, "pub_1", by=BY)
    await process.look()
    assert process.shut() == {}


async def test_the_same_state_is_rendered_once(process: Process) -> None:
    async with process.db.transaction() as tx:
        await lifecycle.pause(tx, ACCOUNT, Offer, "off_2", by=BY)
    await process.look()
    first = process.masks.shut(process.plan, AT)
    await process.masks.refresh(ACCOUNT)
    assert process.masks.shut(process.plan, AT + timedelta(seconds=1)) is first
