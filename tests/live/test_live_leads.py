"""Forms sold over the wire: posts, runners-up, repeats, races, and processes that die in between."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

import make
import saved
from callmatrix.core.campaign import FormTerms, Offer
from callmatrix.core.caps import CountCap, Limits
from callmatrix.core.errors import Refused
from callmatrix.core.ids import LeadId
from callmatrix.core.lead import Consent, Contact, FormLead, events
from callmatrix.core.pricing import DuplicateRule, FixedPrice
from callmatrix.live import leads, sweeps
from callmatrix.live.app import App
from callmatrix.store import promises
from callmatrix.store.db import Database
from lead_buyers import PHONE, Buyers, buyers
from served import SteeredWorld, app_on, one, save_network


@pytest.fixture
async def sellers() -> AsyncIterator[Buyers]:
    async with buyers(Buyers()) as opened:
        yield opened


async def save(db: Database, *offers: Offer, **changes: Any) -> None:
    await save_network(db, *offers, **changes)


def submitted(app: App, **changes: Any) -> events.Submitted:
    given = {
        "at": app.world.now(),
        "contact": Contact(phone=PHONE, name="Ada Example", zip="94110"),
        "fields": {"roof_age": "20"},
        "consent": Consent(text="Call me about roofs.", at=saved.AT),
        "publisher_id": make.PUBLISHER,
    }
    return events.Submitted(**{**given, **changes})


async def send(app: App, name: str = "lead_1", *, digest: bytes = b"1", **changes: Any) -> FormLead:
    plan = app.catalog.plan(make.ACCOUNT, make.CAMPAIGN)
    assert plan is not None
    lead = FormLead(
        id=LeadId(name),
        account_id=make.ACCOUNT,
        campaign_id=make.CAMPAIGN,
        plan_version=plan.version,
        channel="form",
    )
    event = leads.standing(app, lead, submitted(app, **changes))
    return await leads.submit(app, lead, plan, event, digest=digest)


async def settled(app: App) -> None:
    await app.background.drain()
    await app.reservations.drain()


_BOOKED = (
    "select coalesce(jsonb_agg(jsonb_build_array(t.key, p.account, p.owner_id, p.amount_micros)"
    " order by t.key, p.line), '[]')::text from ledger_transaction t join posting p"
    " on p.account_id = t.account_id and p.transaction_key = t.key where t.lead_id is not null"
)
_HELD = (
    "select coalesce(jsonb_agg(jsonb_build_array(right(attempt_id, 2), state, connects, conversions, paids,"
    " revenue_micros, payout_micros) order by attempt_id), '[]')::text from reservation"
)


async def kept(app: App, db: Database) -> None:
    """Every promise, by the rows as they are now."""
    await settled(app)
    now = app.world.now() + timedelta(hours=1)
    assert await promises.counterexamples(db, make.ACCOUNT, now=now) == ()


async def test_the_highest_bidder_gets_the_form_and_is_charged_its_bid(
    db: Database, world: SteeredWorld, sellers: Buyers, tmp_path: Any
) -> None:
    sellers.bids = {1: "18.00", 2: "22.50"}
    await save(db, sellers.offer(1), sellers.offer(2), form=FormTerms(shared_fields=("roof_age",)))
    async with app_on(db, world=world, data=tmp_path) as app:
        sold = await send(app)
        assert (sold.state, sold.amounts.revenue, sold.amounts.payout) == (
            "sold",
            make.usd("22.50"),
            make.usd("11.25"),
        )
        assert sorted(number for number, _ in sellers.pings) == [1, 2]
        assert {str(ping["fields"]) for _, ping in sellers.pings} == {"{'roof_age': '20'}"}
        assert all(PHONE not in str(ping) and "Ada" not in str(ping) for _, ping in sellers.pings)
        ((number, post),) = sellers.posts
        assert number == 2
        assert (post["amount"], post["bid_id"], post["number"], post["channel"], post["consent"]) == (
            "22.50",
            "bid-2",
            PHONE,
            "form",
            "Call me about roofs.",
        )
        assert post["fields"] == {"roof_age": "20", "name": "Ada Example", "zip": "94110"}
        await kept(app, db)
    assert await one(db, _BOOKED) == (
        '[["lead_1/charge/1", "buyer", "buy_2", 22500000], ["lead_1/charge/1", "revenue", "", -22500000],'
        ' ["lead_1/payout/1", "payout", "", 11250000], ["lead_1/payout/1", "publisher", "pub_1", -11250000]]'
    )
    assert await one(db, _HELD) == '[["-1", "settled", 1, 1, 1, 22500000, 11250000]]'


async def test_whoever_refuses_gets_nothing_held_and_the_next_is_asked(
    db: Database, world: SteeredWorld, sellers: Buyers, tmp_path: Any
) -> None:
    sellers.bids = {1: "18.00", 2: "22.50"}
    sellers.answers = {2: {"accepted": False, "reason": "Duplicate"}, 3: 503}
    third = sellers.offer(3, price=FixedPrice(amount=make.usd("20")))
    await save(db, sellers.offer(1), sellers.offer(2), third)
    async with app_on(db, world=world, data=tmp_path) as app:
        sold = await send(app)
        assert sellers.posted_to == [2, 3, 1]
        assert [(one.state, one.code) for one in sold.attempts] == [
            ("declined", "no_bid"),
            ("declined", "http_error"),
            ("accepted", ""),
        ]
        assert sold.amounts.revenue == make.usd("18.00")
        await kept(app, db)
    assert await one(db, _HELD) == (
        '[["-1", "released", 0, 0, 0, 0, 0], ["-2", "released", 0, 0, 0, 0, 0],'
        ' ["-3", "settled", 1, 1, 1, 18000000, 9000000]]'
    )


async def test_offers_for_calls_alone_see_no_form(
    db: Database, world: SteeredWorld, sellers: Buyers, tmp_path: Any
) -> None:
    await save(db, make.offer(1), sellers.offer(2))
    async with app_on(db, world=world, data=tmp_path) as app:
        unsold = await send(app)
        assert (unsold.state, unsold.end_reason, sellers.posts) == ("unsold", "nobody_eligible", [])
        await kept(app, db)


async def test_a_full_cap_keeps_a_buyer_from_the_second_form(
    db: Database, world: SteeredWorld, sellers: Buyers, tmp_path: Any
) -> None:
    price = FixedPrice(amount=make.usd("20"))
    limits = Limits(caps=(CountCap(metric="conversion", window="day", limit=1),))
    await save(db, sellers.offer(1, price=price, limits=limits), sellers.offer(2, price=price))
    async with app_on(db, world=world, data=tmp_path) as app:
        first, second = await asyncio.gather(
            send(app, "lead_1", contact=Contact(phone="+14155550143")),
            send(app, "lead_2", contact=Contact(phone="+14155550144")),
        )
        sold_to = [lead.sold_to.offer_id for lead in (first, second) if lead.sold_to is not None]
        assert len(sold_to) == 2
        assert sold_to.count("off_1") <= 1
        await kept(app, db)


async def test_the_same_form_sent_again_is_the_same_lead(
    db: Database, world: SteeredWorld, sellers: Buyers, tmp_path: Any
) -> None:
    sellers.bids = {1: "18.00"}
    await save(db, sellers.offer(1))
    async with app_on(db, world=world, data=tmp_path) as app:
        sold = await send(app, external_id="form-7")
        world.go_on(3_600)
        assert await send(app) == sold
        assert await send(app, "lead_2", external_id="form-7") == sold
        with pytest.raises(Refused) as refused:
            await send(app, "lead_3", external_id="form-7", digest=b"2")
        assert refused.value.code == "conflict"
        assert sellers.posted_to == [1]
        await kept(app, db)
    assert await one(db, "select count(*) from lead") == 1


async def test_two_forms_of_one_phone_at_once_are_one_and_a_repeat(
    db: Database, world: SteeredWorld, sellers: Buyers, tmp_path: Any
) -> None:
    sellers.bids = {1: "18.00"}
    await save(db, sellers.offer(1))
    async with app_on(db, world=world, data=tmp_path) as app:
        both = await asyncio.gather(send(app, "lead_1"), send(app, "lead_2"))
        assert sorted((lead.state, lead.rejected) for lead in both) == [("rejected", "repeat"), ("sold", "")]
        world.go_on(61)
        later = await send(app, "lead_3")
        assert later.state == "sold"
        await kept(app, db)


async def test_a_person_who_was_sold_is_a_duplicate_for_forms_of_the_same_buyer(
    db: Database, world: SteeredWorld, sellers: Buyers, tmp_path: Any
) -> None:
    sellers.bids = {1: "18.00", 2: "9.00"}
    await save(db, sellers.offer(1), sellers.offer(2), duplicates=DuplicateRule(window_days=30))
    async with app_on(db, world=world, data=tmp_path) as app:
        await send(app, "lead_1")
        world.go_on(3_600)
        second = await send(app, "lead_2")
        assert second.sold_to is not None
        assert second.sold_to.offer_id == "off_2"
        await kept(app, db)


async def test_a_test_asks_nobody_and_touches_nothing(
    db: Database, world: SteeredWorld, sellers: Buyers, tmp_path: Any
) -> None:
    await save(db, sellers.offer(1, price=FixedPrice(amount=make.usd("20"))))
    async with app_on(db, world=world, data=tmp_path) as app:
        tested = await send(app, test=True, pings=False)
        assert (tested.state, sellers.pings, sellers.posts) == ("tested", [], [])
        await kept(app, db)
    assert await one(db, _HELD) == "[]"


async def test_a_process_that_dies_while_a_buyer_answers_never_posts_to_it_again(
    db: Database, world: SteeredWorld, sellers: Buyers, tmp_path: Any
) -> None:
    sellers.bids = {1: "18.00", 2: "22.50"}
    await save(db, sellers.offer(1), sellers.offer(2))
    sellers.go_on.clear()
    async with app_on(db, world=world, data=tmp_path / "one") as dying:
        selling = asyncio.create_task(send(dying))
        await sellers.asked.wait()
        selling.cancel()
        await asyncio.gather(selling, return_exceptions=True)
    sellers.go_on.set()
    async with app_on(db, world=world, data=tmp_path / "two") as app:
        await leads.sweep(app)
        await settled(app)
        assert sellers.posted_to == [2]  # not lost yet
        world.go_on(leads.LOST_S + 1)
        await sweeps.sweep(app)
        await settled(app)
        assert sellers.posted_to == [2, 1]
        lead, _ = await leads.load(app, make.ACCOUNT, LeadId("lead_1"))
        assert (lead.state, lead.review) == ("sold", "post_unanswered")
        assert [(one.offer_id, one.state, one.code) for one in lead.attempts] == [
            ("off_2", "declined", "interrupted"),
            ("off_1", "accepted", ""),
        ]
        await kept(app, db)
    assert await one(db, "select count(*) from ledger_transaction where kind = 'charge'") == 1


async def test_a_process_that_dies_while_bidders_are_asked_is_followed_by_one_that_asks_again(
    db: Database, world: SteeredWorld, sellers: Buyers, tmp_path: Any
) -> None:
    sellers.bids = {1: "18.00"}
    await save(db, sellers.offer(1))
    sellers.bidding.clear()
    async with app_on(db, world=world, data=tmp_path / "one") as dying:
        selling = asyncio.create_task(send(dying))
        await sellers.pinged.wait()
        selling.cancel()
        await asyncio.gather(selling, return_exceptions=True)
    sellers.bidding.set()
    async with app_on(db, world=world, data=tmp_path / "two") as app:
        world.go_on(leads.LOST_S + 1)
        await sweeps.sweep(app)
        await settled(app)
        lead, _ = await leads.load(app, make.ACCOUNT, LeadId("lead_1"))
        assert (lead.state, lead.auctions, lead.review) == ("sold", 2, "")
        assert len({ping["ping_id"] for _, ping in sellers.pings}) == len(sellers.pings) == 2
        await kept(app, db)


async def test_bidders_on_trial_are_asked_for_the_record_alone(
    db: Database, world: SteeredWorld, sellers: Buyers, tmp_path: Any
) -> None:
    sellers.bids = {1: "18.00", 2: "99.00"}
    await save(db, sellers.offer(1), sellers.offer(2, bidder={"mode": "simulate"}))
    async with app_on(db, world=world, data=tmp_path) as app:
        sold = await send(app)
        await settled(app)
        assert sorted(number for number, _ in sellers.pings) == [1, 2]
        assert (sellers.posted_to, sold.amounts.revenue) == ([1], make.usd("18.00"))
        await kept(app, db)


async def test_two_processes_that_get_the_same_form_sell_it_once(
    db: Database, world: SteeredWorld, sellers: Buyers, tmp_path: Any
) -> None:
    sellers.bids = {1: "18.00"}
    await save(db, sellers.offer(1))
    async with (
        app_on(db, world=world, data=tmp_path / "one") as first,
        app_on(db, world=world, data=tmp_path / "two") as second,
    ):
        told = await asyncio.gather(
            send(first, "lead_1", external_id="form-7"), send(second, "lead_2", external_id="form-7")
        )
        assert len({lead.id for lead in told}) == 1
        assert sellers.posted_to == [1]
        await settled(second)
        await kept(first, db)


async def test_two_sweeps_at_once_go_on_with_a_lost_lead_once(
    db: Database, world: SteeredWorld, sellers: Buyers, tmp_path: Any
) -> None:
    sellers.bids = {1: "18.00", 2: "22.50", 3: "12.00"}
    await save(db, *(sellers.offer(number) for number in (1, 2, 3)))
    sellers.go_on.clear()
    async with app_on(db, world=world, data=tmp_path / "one") as dying:
        selling = asyncio.create_task(send(dying))
        await sellers.asked.wait()
        selling.cancel()
        await asyncio.gather(selling, return_exceptions=True)
    sellers.go_on.set()
    world.go_on(leads.LOST_S + 1)
    async with (
        app_on(db, world=world, data=tmp_path / "two") as first,
        app_on(db, world=world, data=tmp_path / "three") as second,
    ):
        await asyncio.gather(leads.sweep(first), leads.sweep(second))
        await settled(first)
        await settled(second)
        lead, _ = await leads.load(first, make.ACCOUNT, LeadId("lead_1"))
        assert (lead.state, sellers.posted_to) == ("sold", [2, 1])
        await kept(first, db)
