"""Forms as they are kept: steps, versions, names of their senders, their place among the events of calls."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

import make
import saved
from arrivals import arrive
from callmatrix.core.caps import Settlement
from callmatrix.core.ids import LeadId, PublisherId
from callmatrix.store import books, calls, catalog, leads, outbox, plans, promises, reservations
from callmatrix.store.db import Database
from callmatrix.store.leads import LeadFilter
from callmatrix.store.outbox import LeadOutboxEvent, OutboxEvent, Page
from forms import AT, PHONE, claim_of, form_offer, new_lead, reserved, sale, save, submitted, taken

LATER = AT + timedelta(days=1)


async def test_a_saved_lead_is_read_back_with_its_events_and_what_was_booked(db: Database) -> None:
    done = sale("lead_1", external_id="form-1")
    async with db.session() as tx:
        assert await save(tx, done) == "saved"
        assert await leads.load(tx, make.ACCOUNT, LeadId("lead_1")) == done[-1].step.lead
        stored = await leads.events_of(tx, make.ACCOUNT, LeadId("lead_1"))
        booked = await books.of_lead(tx, make.ACCOUNT, LeadId("lead_1"))
        row = await leads.one(tx, make.ACCOUNT, LeadId("lead_1"))
        known = await leads.by_external_id(tx, make.ACCOUNT, make.PUBLISHER, "form-1")
    assert [(one.version, one.event, one.trace) for one in stored] == [
        (number, each.event, each.step.trace) for number, each in enumerate(done, start=1)
    ]
    assert [one.key for one in booked] == ["lead_1/charge/1", "lead_1/payout/1"]
    assert row is not None
    assert (row["state"], row["buyer_id"], row["revenue_micros"], row["phone_state"]) == (
        "sold",
        "buy_1",
        20_000_000,
        "CA",
    )
    assert known == (done[-1].step.lead, b"1")


async def test_a_lead_is_saved_once_by_its_id_and_by_its_senders_name_for_it(db: Database) -> None:
    async with db.session() as tx:
        assert await save(tx, sale("lead_1", external_id="form-1")) == "saved"
        assert await save(tx, sale("lead_1")) == "exists"
        assert await save(tx, sale("lead_2", external_id="form-1")) == "exists"
        assert await save(tx, sale("lead_3", external_id="form-1", publisher_id=None)) == "saved"
        other = sale("lead_4", external_id="form-1", publisher_id=PublisherId("pub_2"))
        assert await save(tx, other) == "saved"
        assert await leads.by_external_id(tx, make.ACCOUNT, PublisherId("pub_3"), "form-1") is None


async def test_who_saves_an_older_version_is_told_so(db: Database) -> None:
    first = taken(new_lead("lead_1"), submitted())
    second = taken(first[-1].step.lead, reserved("lead_1"))
    async with db.session() as tx:
        assert await save(tx, first) == "saved"
        assert await save(tx, second, new=False) == "saved"
        assert await save(tx, second, new=False) == "version"


async def test_two_sales_to_one_person_settle_one_after_the_other(db: Database) -> None:
    async with db.session() as tx:
        before = await calls.history(tx, make.ACCOUNT, PHONE, apart_from=make.CallId("lead_1"))
        assert await save(tx, sale("lead_1"), caller_version=before.version) == "saved"
        assert await save(tx, sale("lead_2"), caller_version=before.version) == "caller"
        after = await calls.history(tx, make.ACCOUNT, PHONE, apart_from=make.CallId("lead_2"))
    assert [(past.call_id, past.offer_id, past.converted_at) for past in after.calls] == [
        ("lead_1", "off_1", AT)
    ]
    assert after.version == before.version + 1


async def test_a_repeat_is_told_by_the_latest_form_that_counts(db: Database) -> None:
    async def previous() -> Any:
        async with db.session() as tx:
            at, _ = await leads.before_submission(tx, make.ACCOUNT, make.CAMPAIGN, PHONE)
        return at

    assert await previous() is None
    async with db.session() as tx:
        await save(tx, taken(new_lead("lead_1"), submitted(blocked_by="blk_1", at=LATER)))
        await save(tx, taken(new_lead("lead_2"), submitted(test=True, at=LATER)))
    assert await previous() is None
    async with db.session() as tx:
        await save(tx, sale("lead_3"))
    assert await previous() == AT


async def test_leads_are_found_by_every_condition(db: Database) -> None:
    async with db.session() as tx:
        await save(tx, sale("lead_1", external_id="form-1"))
        await save(tx, taken(new_lead("lead_2", channel="callback"), submitted(publisher_id=None, at=LATER)))

    async def found(**wanted: Any) -> list[str]:
        async with db.session() as tx:
            rows = await leads.search(tx, make.ACCOUNT, LeadFilter(**wanted), after=None, limit=10)
        return [row["id"] for row in rows]

    assert await found() == ["lead_2", "lead_1"]
    assert await found(status="sold") == await found(until=LATER) == ["lead_1"]
    assert await found(status="open") == await found(since=LATER) == ["lead_2"]
    assert await found(channel="callback", phone=PHONE, test=False) == ["lead_2"]
    assert await found(buyer_id="buy_1", offer_id="off_1", publisher_id="pub_1") == ["lead_1"]
    assert await found(external_id="form-1", campaign_id=make.CAMPAIGN) == ["lead_1"]
    assert (
        await found(status="review") == await found(status="rejected") == await found(status="unsold") == []
    )


@pytest.mark.parametrize("limit", [1, 2, 3, 500])
async def test_events_of_calls_and_leads_are_read_in_one_order(db: Database, limit: int) -> None:
    async with db.session() as tx:
        place = await outbox.beginning(tx)
    async with db.transaction() as tx:
        await arrive(tx, "call_1")
    async with db.transaction() as tx:
        await save(tx, sale("lead_1"))
    async with db.transaction() as tx:
        await arrive(tx, "call_2")
    read: list[tuple[str, str, int]] = []
    while len(read) < 6:
        async with db.session() as tx:
            page = await outbox.read(tx, place, limit=limit)
        assert isinstance(page, Page)
        read += [_told(event) for event in page.events]
        place = page.next
    assert read == [
        ("call_1", "arrived", 1),
        ("lead_1", "lead.asking", 1),
        ("lead_1", "lead.reserving", 2),
        ("lead_1", "lead.posting", 3),
        ("lead_1", "lead.sold", 4),
        ("call_2", "arrived", 1),
    ]


def _told(event: OutboxEvent | LeadOutboxEvent) -> tuple[str, str, int]:
    if isinstance(event, LeadOutboxEvent):
        assert event.lead["id"] == event.lead_id
        return event.lead_id, event.kind, event.version
    return event.call_id, event.kind, event.version


async def test_a_restored_dump_gives_its_leads_again(db: Database) -> None:
    async with db.transaction() as tx:
        await outbox.adopt(tx)
        await save(tx, sale("lead_1"))
        await tx.execute("update outbox_origin set cluster = 'another'")
    async with db.transaction() as tx:
        assert await outbox.adopt(tx) == 4


async def test_a_plan_is_kept_as_long_as_a_lead_refers_to_it(db: Database) -> None:
    offer = form_offer(1)
    async with db.transaction() as tx:
        await catalog.create_account(tx, make.account(), by=saved.BY)
        for document in (make.buyer(1), make.publisher(), offer, make.campaign(offer)):
            await catalog.create(tx, make.ACCOUNT, document, by=saved.BY)
        (version, *_) = await plans.versions(tx, make.ACCOUNT, make.CAMPAIGN)
        lead = new_lead("lead_1", plan_version=version.version)
        await save(tx, taken(lead, submitted(at=saved.AT + timedelta(hours=1))))
        later = replace(saved.BY, at=saved.AT + timedelta(days=2))
        await catalog.change(tx, make.ACCOUNT, replace(offer, name="Renamed"), by=later)
        until = saved.AT + timedelta(days=300)
        assert await plans.prune(tx, make.ACCOUNT, made_before=until) == 0
        await tx.execute("delete from lead")
        assert await plans.prune(tx, make.ACCOUNT, made_before=until) == 1


# --- promises --------------------------------------------------------------------------------------------


async def healthy(db: Database) -> None:
    """One sold form with all that belongs to it."""
    offers = (form_offer(1), form_offer(2))
    async with db.transaction() as tx:
        await catalog.create_account(tx, make.account(), by=saved.BY)
        for document in (make.buyer(1), make.buyer(2), make.publisher(), *offers, make.campaign(*offers)):
            await catalog.create(tx, make.ACCOUNT, document, by=saved.BY)
        version = (await catalog.versions(tx))[make.ACCOUNT]
    async with db.session() as tx:
        claim = claim_of("lead_1")
        await reservations.reserve_batch(tx, make.ACCOUNT, [claim], now=AT, catalog_version=version)
        done = sale("lead_1")
        await save(tx, done)
        settlement = done[-1].step.lead.attempts[0].settlement
        assert isinstance(settlement, Settlement)
        await reservations.settle_batch(tx, make.ACCOUNT, [settlement], now=AT)


CORRUPTIONS = [
    (
        "update lead_attempt set state = 'declined'",
        "one_buyer_is_billed_at_most",
        [
            "lead lead_1: buy_1 was charged by lead_1/charge/1, and took no post of it",
            "lead lead_1 is sold: 0 of its posts were accepted",
        ],
    ),
    (
        "insert into lead_attempt select account_id, 'extra', lead_id, 2, campaign_id, offer_id, buyer_id,"
        " publisher_id, 'declined', '', reserved_at, posted_at, null, '', true, null from lead_attempt",
        "one_buyer_is_billed_at_most",
        ["lead lead_1: posted 2 times to offer off_1"],
    ),
    (
        "insert into ledger_transaction (account_id, key, kind, at, lead_id, rating_revision, reason)"
        " select account_id, 'extra', kind, at, lead_id, 2, '' from ledger_transaction where kind = 'charge'",
        "one_buyer_is_billed_at_most",
        ["lead lead_1: 2 charges"],
    ),
    (
        "update lead set revenue_micros = 1",
        "reports_equal_postings",
        ["lead lead_1: revenue, payout are 1, 10000000 micros, the postings say 20000000, 10000000"],
    ),
    (
        "update reservation set state = 'held', ended_at = null",
        "every_reservation_ends",
        [
            "reservation lead_1-1: still held, and it expired at 2026-11-20 18:05:30+00",
            "reservation lead_1-1: still held, and its post is settled",
        ],
    ),
    (
        "update lead set closed = false",
        "every_call_ends",
        ["lead lead_1: sold since 2026-11-20 18:00:01+00"],
    ),
    (
        "delete from lead_event where version = 2",
        "repeats_change_nothing",
        ["lead lead_1: version 4, its events are 3 from 1 to 4"],
    ),
    (
        "delete from reservation",
        "nothing_is_dialled_unreserved",
        ["post lead_1-1: sent at 2026-11-20 18:00:00+00, never reserved"],
    ),
    (
        "update lead set publisher_id = null",
        "payout_needs_a_publisher",
        ["lead lead_1: lead_1/payout/1 paid pub_1, and the lead is of nobody"],
    ),
    (
        "update lead set test = true",
        "test_calls_touch_nothing",
        [
            "lead lead_1 is a test: lead_1/charge/1 was booked for it",
            "lead lead_1 is a test: lead_1/payout/1 was booked for it",
        ],
    ),
    (
        "update lead set document = replace(document, 'Call me.', 'Do call me.')",
        "replay_gives_the_same_call",
        ["lead lead_1: another document comes out"],
    ),
    (
        "update lead_event set commands = '[]' where version = 1",
        "replay_gives_the_same_call",
        ["lead lead_1: event 1 orders other commands than were kept"],
    ),
    (
        "update lead set state = 'unsold'",
        "replay_gives_the_same_call",
        ["lead lead_1: its row says state unsold instead of sold"],
    ),
]


async def test_a_sold_form_keeps_every_promise(db: Database) -> None:
    await healthy(db)
    assert await promises.counterexamples(db, make.ACCOUNT, now=LATER) == ()


@pytest.mark.parametrize(("corruption", "name", "texts"), CORRUPTIONS)
async def test_rows_that_break_a_promise_are_told(
    db: Database, corruption: str, name: str, texts: list[str]
) -> None:
    await healthy(db)
    async with db.transaction() as tx:
        await tx.execute("set local session_replication_role = replica")
        await tx.execute(corruption)
    found = await promises.counterexamples(db, make.ACCOUNT, now=LATER)
    assert [one.text for one in found if one.name == name and "lead" in one.text] == texts


async def test_a_settlement_that_nobody_performed_is_found(db: Database) -> None:
    await healthy(db)
    async with db.session() as tx:
        assert await leads.unperformed_settlements(tx, before=LATER) == ()
        await tx.execute("update reservation set state = 'held', ended_at = null")
        ((account_id, settlement),) = await leads.unperformed_settlements(tx, before=LATER)
        assert (account_id, settlement.attempt_id, settlement.converted) == (make.ACCOUNT, "lead_1-1", True)
        assert await leads.unperformed_settlements(tx, before=AT - timedelta(seconds=1)) == ()


async def test_leads_that_wait_for_an_answer_are_found_by_age(db: Database) -> None:
    async with db.session() as tx:
        await save(tx, taken(new_lead("lead_1"), submitted()))
        await save(tx, sale("lead_2"))
        assert await leads.waiting(tx, before=AT) == ()
        assert await leads.waiting(tx, before=LATER) == ((make.ACCOUNT, "lead_1"),)
