"""Configuration: what is saved, refused, archived, restored and found again, on a real PostgreSQL."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

import make
import saved
from callmatrix.core.campaign import Account, Buyer, Campaign, Number, Offer, Publisher, PublisherInCampaign
from callmatrix.core.caps import CountCap, Limits, Owner
from callmatrix.core.errors import Refused
from callmatrix.core.rules import Leaf
from callmatrix.store import audit, capacity, caps, catalog, lifecycle, references, scheduled
from callmatrix.store.audit import By
from callmatrix.store.catalog import Wanted
from callmatrix.store.db import Database
from saved import AT, BY

ACCOUNT = make.ACCOUNT
LATER = By(who="usr_2", at=AT + timedelta(hours=1), note="a better price")
TEN_A_DAY = Limits(caps=(CountCap(metric="attempt", window="day", limit=10),), concurrency=2)


async def _refused(work: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        await work
    return refused.value


async def test_every_save_is_a_revision_with_its_author(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        dearer = replace(make.offer(1), price=make.fixed("44"))
        changed = await catalog.change(tx, ACCOUNT, dearer, by=LATER, expected_revision=1)
        assert changed == await catalog.get(tx, ACCOUNT, Offer, "off_1")
        assert (changed.document, changed.revision, changed.created_at, changed.changed_at) == (
            dearer,
            2,
            AT,
            LATER.at,
        )
        assert await catalog.at_revision(tx, ACCOUNT, Offer, "off_1", 1) == make.offer(1)
        history = await catalog.history(tx, ACCOUNT, Offer, "off_1")
        assert [(one.revision, one.what, one.changed_by, one.note) for one in history] == [
            (2, "change", "usr_2", "a better price"),
            (1, "create", "usr_1", ""),
        ]
        acts = await audit.acts(tx, ACCOUNT, kind="offer")
        assert [(row.who, row.act.what, row.act.before_revision, row.act.after_revision) for row in acts] == [
            ("usr_2", "change", 1, 2),
            ("usr_1", "create", None, 1),
        ]


async def test_a_change_of_what_somebody_else_changed_is_refused(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        await catalog.change(tx, ACCOUNT, replace(make.offer(1), name="One"), by=BY, expected_revision=1)
        refused = await _refused(
            catalog.change(tx, ACCOUNT, replace(make.offer(1), name="Two"), by=BY, expected_revision=1)
        )
        assert refused.code == "changed_meanwhile"
        assert (await catalog.get(tx, ACCOUNT, Offer, "off_1")).document.name == "One"


async def test_two_who_change_the_same_revision_at_once_are_told_apart(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)

    async def change(name: str) -> str:
        try:
            async with db.transaction() as tx:
                offer = replace(make.offer(1), name=name)
                await catalog.change(tx, ACCOUNT, offer, by=BY, expected_revision=1)
        except Refused as refused:
            return refused.code
        return "saved"

    assert sorted(await asyncio.gather(change("One"), change("Two"), change("Three"))) == [
        "changed_meanwhile",
        "changed_meanwhile",
        "saved",
    ]


async def test_saving_the_same_again_makes_no_revision(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        before = await catalog.get(tx, ACCOUNT, Offer, "off_1")
        assert await catalog.change(tx, ACCOUNT, make.offer(1), by=LATER) == before


async def test_revisions_cannot_be_rewritten(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
    for statement in ("update config_revision set note = 'x'", "delete from audit"):
        with pytest.raises(asyncpg.RestrictViolationError):
            async with db.transaction() as tx:
                await tx.execute(statement)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (make.offer(1, time_zone="Mars/Olympus"), "time_zone"),
        (make.offer(1, rule=Leaf(subject="caller_number", operator="matches", values=("(",))), "rule"),
        (make.offer(1, buyer_id="buy_9"), "buyer_id"),
        (make.offer(1, whisper="a\0b"), ""),
        (make.campaign(make.offer(1), make.offer(1)), "plan.entries.1.offer_id"),
        (make.campaign(make.offer(9)), "plan.entries.0.offer_id"),
        (make.campaign(make.offer(1), flow_id="flw_1"), "flow_id"),
        (saved.number(connection_id="con_9"), "connection_id"),
        (saved.number(2, number="+18885550101"), "number"),
    ],
)
async def test_what_cannot_be_lived_by_is_refused_and_the_old_one_stays(
    db: Database, document: Any, field: str
) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        before = await catalog.versions(tx)
        kept = await catalog.find(tx, ACCOUNT, type(document), document.id)
    save = catalog.create if kept is None else catalog.change
    async with db.transaction() as tx:
        refused = await _refused(_within(tx, save(tx, ACCOUNT, document, by=LATER)))
        assert refused.code == "invalid"
        assert field in [problem.field.split(".values")[0] for problem in refused.problems]
        assert await catalog.find(tx, ACCOUNT, type(document), document.id) == kept
        assert await catalog.versions(tx) == before


async def _within(tx: Any, work: Any) -> None:
    async with tx.transaction():
        await work


async def test_an_offer_that_would_break_a_campaign_is_refused(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        refused = await _refused(
            catalog.change(tx, ACCOUNT, replace(make.offer(1), required_fields=("zip",)), by=BY)
        )
        assert (refused.code, [problem.field for problem in refused.problems]) == (
            "invalid",
            ["plan.entries.0.offer_id"],
        )


async def test_what_is_in_use_cannot_be_archived_and_says_by_whom(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        for kind, config_id, user in (
            (Buyer, "buy_1", "offer"),
            (Offer, "off_1", "campaign"),
            (Campaign, "cmp_1", "number"),
            (Publisher, "pub_1", "number"),
        ):
            refused = await _refused(lifecycle.archive(tx, ACCOUNT, kind, config_id, by=BY))
            assert refused.code == "conflict"
            assert [problem.problem.split()[1] for problem in refused.problems] == [user]
            used = await references.uses(tx, ACCOUNT, catalog.kind_of(kind), config_id)
            assert [one.kind for one in used] == [user]


async def test_what_nobody_names_any_more_is_archived_and_comes_back_paused(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        await lifecycle.archive(tx, ACCOUNT, Number, "num_1", by=BY)
        await lifecycle.archive(tx, ACCOUNT, Campaign, "cmp_1", by=BY)
        archived = await lifecycle.archive(tx, ACCOUNT, Offer, "off_1", by=BY)
        assert (archived.archived, archived.document.status) == (True, "archived")
        assert (await catalog.page(tx, ACCOUNT, Offer, Wanted())).items == ()
        assert (await catalog.page(tx, ACCOUNT, Offer, Wanted(archived=True))).items == (archived,)
        assert (await _refused(catalog.change(tx, ACCOUNT, make.offer(1), by=BY))).code == "conflict"
        back = await lifecycle.restore(tx, ACCOUNT, Offer, "off_1", 1, by=BY)
        assert (back.archived, back.document, back.revision) == (
            False,
            replace(make.offer(1), status="paused"),
            3,
        )


async def test_restoring_a_campaign_whose_offers_are_archived_is_refused(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        for kind, config_id in ((Number, "num_1"), (Campaign, "cmp_1"), (Offer, "off_1")):
            await lifecycle.archive(tx, ACCOUNT, kind, config_id, by=BY)
        refused = await _refused(lifecycle.restore(tx, ACCOUNT, Campaign, "cmp_1", 1, by=BY))
        assert [(one.field, one.problem) for one in refused.problems] == [
            ("plan.entries.0.offer_id", "off_1 is archived")
        ]


async def test_the_number_of_an_archived_one_may_be_used_again(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        await lifecycle.archive(tx, ACCOUNT, Number, "num_1", by=BY)
        again = saved.number(2, number="+18885550101")
        stored = await catalog.create(tx, ACCOUNT, again, by=BY)
        assert await catalog.number_by_e164(tx, ACCOUNT, "+18885550101") == stored
        refused = await _refused(lifecycle.restore(tx, ACCOUNT, Number, "num_1", 1, by=BY))
        assert [problem.field for problem in refused.problems] == ["number"]


async def test_a_restored_revision_of_a_paused_offer_stays_paused(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        await catalog.change(tx, ACCOUNT, replace(make.offer(1), price=make.fixed("44")), by=BY)
        await lifecycle.pause(tx, ACCOUNT, Offer, "off_1", by=BY)
        restored = await lifecycle.restore(tx, ACCOUNT, Offer, "off_1", 1, by=BY)
        assert restored.document == replace(make.offer(1), status="paused")
        assert (await lifecycle.resume(tx, ACCOUNT, Offer, "off_1", by=BY)).document == make.offer(1)


async def test_a_cloned_campaign_begins_as_a_draft(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        copy = await lifecycle.clone(tx, ACCOUNT, Campaign, "cmp_1", new_id="cmp_2", by=BY)
        source = make.campaign(make.offer(1))
        assert copy.document == replace(source, id="cmp_2", name="Campaign 1 (copy)", status="draft")
        refused = await _refused(lifecycle.clone(tx, ACCOUNT, Number, "num_1", new_id="num_2", by=BY))
        assert refused.code == "conflict"


async def test_a_list_goes_on_where_its_page_ended(db: Database) -> None:
    async with db.transaction() as tx:
        await catalog.create_account(tx, make.account(), by=BY)
        for place, name in enumerate(("delta", "Alpha", "charlie", "alpha", "Bravo_%"), start=1):
            await catalog.create(tx, ACCOUNT, make.buyer(place, name=name), by=BY)
        seen: list[str] = []
        cursor: str | None = None
        for _ in range(3):
            page = await catalog.page(tx, ACCOUNT, Buyer, Wanted(cursor=cursor, limit=2))
            seen += [one.document.id for one in page.items]
            cursor = page.next_cursor
        assert (seen, cursor) == (["buy_2", "buy_4", "buy_5", "buy_3", "buy_1"], None)
        for search, found in (("ALPH", ["buy_2", "buy_4"]), ("_%", ["buy_5"]), ("buy_1", ["buy_1"])):
            page = await catalog.page(tx, ACCOUNT, Buyer, Wanted(search=search))
            assert [one.document.id for one in page.items] == found
        assert (await _refused(catalog.page(tx, ACCOUNT, Buyer, Wanted(cursor="nonsense")))).code == "invalid"


async def test_one_account_does_not_see_another_ones_documents(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        await catalog.create_account(tx, make.account(id="acc_2"), by=BY)
        assert await catalog.find(tx, "acc_2", Offer, "off_1") is None
        refused = await _refused(catalog.create(tx, "acc_2", make.offer(1), by=BY))
        assert [problem.field for problem in refused.problems] == ["buyer_id"]


async def test_limits_and_pauses_are_there_for_reservations(db: Database) -> None:
    owner = Owner(kind="offer", id="off_1")
    async with db.transaction() as tx:
        await saved.save_network(tx)
        await catalog.change(tx, ACCOUNT, replace(make.offer(1), limits=TEN_A_DAY), by=BY)
        await lifecycle.pause(tx, ACCOUNT, Offer, "off_1", by=BY)
        (use,) = await caps.cap_use(tx, ACCOUNT, [owner], now=AT)
        assert (use.status, use.concurrency, [(one.metric, one.limit) for one in use.caps]) == (
            "paused",
            2,
            [("attempt", 10)],
        )
        await catalog.change(tx, ACCOUNT, make.offer(1), by=BY)
        (use,) = await caps.cap_use(tx, ACCOUNT, [owner], now=AT)
        assert (use.status, use.concurrency, use.caps) == ("open", None, ())


async def test_an_entry_left_out_of_a_plan_loses_its_limits(db: Database) -> None:
    pair = Owner(kind="offer_in_campaign", id="off_2/cmp_1")
    async with db.transaction() as tx:
        await saved.save_network(tx, offers=2)
        campaign = make.campaign(make.offer(1), make.offer(2))
        first, second = campaign.plan.entries
        limited = replace(second, limits=TEN_A_DAY, paused=True)
        plan = replace(campaign.plan, entries=(first, limited))
        await catalog.change(tx, ACCOUNT, replace(campaign, plan=plan), by=BY)
        (use,) = await caps.cap_use(tx, ACCOUNT, [pair], now=AT)
        assert (use.status, len(use.caps)) == ("paused", 1)
        await catalog.change(
            tx, ACCOUNT, replace(campaign, plan=replace(campaign.plan, entries=(first,))), by=BY
        )
        (use,) = await caps.cap_use(tx, ACCOUNT, [pair], now=AT)
        assert (use.status, use.caps) == ("open", ())


async def test_what_a_publisher_does_when_capped_reaches_its_campaigns(db: Database) -> None:
    campaign = make.campaign(make.offer(1))
    one = PublisherInCampaign(publisher_id=make.PUBLISHER, limits=TEN_A_DAY)
    async with db.transaction() as tx:
        await saved.save_network(tx)
        await catalog.change(tx, ACCOUNT, replace(campaign, publishers=(one,)), by=BY)
        await catalog.change(tx, ACCOUNT, make.publisher(when_capped="unpaid"), by=BY)
        rows = await tx.fetch("select owner, when_capped from cap_owner where owner like 'publisher%'")
    assert [tuple(row) for row in rows] == [("publisher_in_campaign:pub_1/cmp_1", "unpaid")]


async def test_only_postpaid_buyers_have_credit(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        await catalog.change(tx, ACCOUNT, make.buyer(1, billing="prepaid"), by=BY)
        assert await tx.fetchval("select credit_limit_micros from buyer_funds") == 0
        await catalog.change(tx, ACCOUNT, make.buyer(1, credit_limit=make.usd("5")), by=BY)
        assert await tx.fetchval("select credit_limit_micros from buyer_funds") == 5_000_000


async def test_the_currency_of_an_account_stays(db: Database) -> None:
    async with db.transaction() as tx:
        await catalog.create_account(tx, make.account(), by=BY)
        refused = await _refused(catalog.change(tx, ACCOUNT, make.account(currency="EUR"), by=BY))
        assert refused.code == "conflict"
        moved = make.account(time_zone="America/Chicago", week_starts_on=6)
        await catalog.change(tx, ACCOUNT, moved, by=BY)
        assert (await catalog.get(tx, ACCOUNT, Account, ACCOUNT)).document == moved
        row = await tx.fetchrow("select time_zone, week_starts_on from account")
        assert row is not None
        assert tuple(row) == ("America/Chicago", 7)


# --- scheduled changes ---------------------------------------------------------------------------------


async def test_a_scheduled_price_starts_at_its_instant_and_keeps_what_changed_meanwhile(db: Database) -> None:
    starts_at = AT + timedelta(days=1)
    dearer = replace(make.offer(1), price=make.fixed("44"))
    async with db.transaction() as tx:
        await saved.save_network(tx)
        waiting = await scheduled.schedule(tx, ACCOUNT, dearer, id="sch_1", starts_at=starts_at, by=BY)
        assert await scheduled.of(tx, ACCOUNT, Offer, "off_1") == (waiting,)
        await lifecycle.pause(tx, ACCOUNT, Offer, "off_1", by=BY)
        assert await scheduled.apply_due(tx, now=starts_at - timedelta(seconds=1)) == 0
        assert await scheduled.apply_due(tx, now=starts_at) == 1
        assert await scheduled.apply_due(tx, now=starts_at) == 0
        stored = await catalog.get(tx, ACCOUNT, Offer, "off_1")
        assert stored.document == replace(dearer, status="paused")
        assert stored.changed_at == starts_at
        (past,) = await scheduled.of(tx, ACCOUNT, Offer, "off_1", waiting=False)
        assert (past.state, past.reason) == ("applied", "")


async def test_a_scheduled_change_that_has_become_impossible_fails_and_says_why(db: Database) -> None:
    starts_at = AT + timedelta(days=1)
    async with db.transaction() as tx:
        await saved.save_network(tx, offers=2)
        both = make.campaign(make.offer(1), make.offer(2))
        only_first = replace(both, plan=make.routing_plan(make.offer(1)))
        await catalog.change(tx, ACCOUNT, only_first, by=BY)
        await scheduled.schedule(tx, ACCOUNT, both, id="sch_1", starts_at=starts_at, by=BY)
        await lifecycle.archive(tx, ACCOUNT, Offer, "off_2", by=BY)
        assert await scheduled.apply_due(tx, now=starts_at) == 1
        (past,) = await scheduled.of(tx, ACCOUNT, Campaign, "cmp_1", waiting=False)
        assert past.state == "failed"
        assert "off_2 is archived" in past.reason
        assert (await catalog.get(tx, ACCOUNT, Campaign, "cmp_1")).document == only_first


async def test_a_canceled_change_never_comes(db: Database) -> None:
    starts_at = AT + timedelta(days=1)
    async with db.transaction() as tx:
        await saved.save_network(tx)
        dearer = replace(make.offer(1), price=make.fixed("44"))
        await scheduled.schedule(tx, ACCOUNT, dearer, id="sch_1", starts_at=starts_at, by=BY)
        await scheduled.cancel(tx, ACCOUNT, "sch_1", by=BY)
        assert await scheduled.apply_due(tx, now=starts_at) == 0
        assert (await catalog.get(tx, ACCOUNT, Offer, "off_1")).revision == 1
        assert (await _refused(scheduled.cancel(tx, ACCOUNT, "sch_1", by=BY))).code == "not_found"


@pytest.mark.parametrize(
    ("base", "wanted", "current", "result"),
    [
        ({"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 3}, {"a": 2, "b": 3}),
        ({"a": {"x": 1, "y": 1}}, {"a": {"x": 2, "y": 1}}, {"a": {"x": 1, "y": 5}}, {"a": {"x": 2, "y": 5}}),
        ({"a": [1, 2]}, {"a": [1, 3]}, {"a": [1, 2, 9]}, {"a": [1, 3]}),
        ({"a": 1}, {}, {"a": 1, "c": 1}, {"c": 1}),
        ({}, {"a": 1}, {"c": 1}, {"a": 1, "c": 1}),
        (
            {"p": {"kind": "fixed", "amount": "1"}},
            {"p": {"kind": "fixed", "amount": "2"}},
            {"p": {"kind": "bid", "floor": "1"}},
            {"p": {"kind": "fixed", "amount": "2"}},
        ),
    ],
)
def test_only_what_was_changed_is_changed(base: Any, wanted: Any, current: Any, result: Any) -> None:
    assert scheduled.merged(base, wanted, current) == result


def test_draft_and_paused_campaigns_get_no_reservations() -> None:
    owner = Owner(kind="campaign", id="cmp_1")
    statuses = {
        status: capacity.allowances(make.campaign(make.offer(1), status=status), inherited={})[owner].status
        for status in ("draft", "live", "paused", "archived")
    }
    assert statuses == {"draft": "paused", "live": "open", "paused": "paused", "archived": "paused"}
