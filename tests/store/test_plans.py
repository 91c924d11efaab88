"""Plans: what a version is made of, that it stays so, and when it may go."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

import make
import saved
from callmatrix.core.campaign import Campaign, FallbackOffer, FlowDocument, Offer, Publisher
from callmatrix.core.errors import Refused
from callmatrix.core.plan import PlanDocument
from callmatrix.store import catalog, flows, lifecycle, plans
from callmatrix.store.audit import By
from callmatrix.store.db import Database
from saved import AT, BY

ACCOUNT, CAMPAIGN = make.ACCOUNT, make.CAMPAIGN


async def test_a_plan_holds_everything_that_its_calls_need(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx, offers=2)
        await catalog.create(tx, ACCOUNT, make.buyer(3), by=BY)
        await catalog.create(tx, ACCOUNT, make.offer(3), by=BY)
        await catalog.create(tx, ACCOUNT, saved.flow_document(), by=BY)
        await flows.publish(tx, ACCOUNT, saved.FLOW, by=BY)
        campaign = make.campaign(make.offer(1), flow_id=saved.FLOW, fallback=FallbackOffer(offer_id="off_3"))
        await catalog.change(tx, ACCOUNT, campaign, by=BY)
        assert await plans.current(tx, ACCOUNT, CAMPAIGN) == PlanDocument(
            version=2,
            account=make.account(),
            campaign=campaign,
            offers=(make.offer(1), make.offer(3)),
            buyers=(make.buyer(1), make.buyer(3)),
            publishers=(make.publisher(),),
            connections=(make.connection(),),
            flow=saved.flow(),
        )


async def test_an_older_version_stays_as_it_was(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        first = await plans.load(tx, ACCOUNT, CAMPAIGN, 1)
        await catalog.change(tx, ACCOUNT, replace(make.offer(1), price=make.fixed("44")), by=BY)
        await catalog.change(tx, ACCOUNT, make.buyer(1, name="Other"), by=BY)
        await lifecycle.pause(tx, ACCOUNT, Publisher, "pub_1", by=BY)
        await catalog.change(tx, ACCOUNT, make.account(name="Other"), by=BY)
        assert [one.version for one in await plans.versions(tx, ACCOUNT, CAMPAIGN)] == [5, 4, 3, 2, 1]
        assert await plans.load(tx, ACCOUNT, CAMPAIGN, 1) == first
        fifth = await plans.load(tx, ACCOUNT, CAMPAIGN, 5)
        assert (fifth.account.name, fifth.buyers[0].name, fifth.publishers[0].status) == (
            "Other",
            "Other",
            "paused",
        )


async def test_what_no_campaign_is_made_of_makes_no_version(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        await catalog.create(tx, ACCOUNT, saved.number(2), by=BY)
        await catalog.create(tx, ACCOUNT, make.buyer(2), by=BY)
        await catalog.create(tx, ACCOUNT, make.offer(2), by=BY)
        await catalog.create(tx, ACCOUNT, saved.flow_document(), by=BY)
        assert [one.version for one in await plans.versions(tx, ACCOUNT, CAMPAIGN)] == [1]


async def test_a_version_that_was_never_made_is_not_found(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        assert await plans.current(tx, ACCOUNT, "cmp_9") is None
        with pytest.raises(Refused) as refused:
            await plans.load(tx, ACCOUNT, CAMPAIGN, 9)
    assert refused.value.code == "not_found"


async def test_a_draft_reaches_callers_only_when_it_is_published(db: Database) -> None:
    silent = replace(saved.flow(), start="bye")
    async with db.transaction() as tx:
        await saved.save_network(tx)
        await catalog.create(tx, ACCOUNT, saved.flow_document(), by=BY)
        await flows.publish(tx, ACCOUNT, saved.FLOW, by=BY)
        await catalog.change(tx, ACCOUNT, make.campaign(make.offer(1), flow_id=saved.FLOW), by=BY)
        await catalog.change(tx, ACCOUNT, saved.flow_document(draft=silent), by=BY)
        current = await plans.current(tx, ACCOUNT, CAMPAIGN)
        assert current is not None
        assert (current.version, current.flow) == (2, saved.flow())
        with pytest.raises(Refused) as refused:
            await flows.publish(tx, ACCOUNT, saved.FLOW, by=BY)
        assert {problem.field for problem in refused.value.problems} == {
            "draft.nodes.zip",
            "draft.nodes.route",
        }
        back = await flows.restore_version(tx, ACCOUNT, saved.FLOW, 1, by=BY)
        assert back.document == saved.flow_document()
        assert [one.version for one in await flows.versions(tx, ACCOUNT, saved.FLOW)] == [1]


async def test_a_flow_that_captures_too_little_for_an_offer_is_not_published(db: Database) -> None:
    asks_nothing = replace(saved.flow(), start="route", nodes={"route": saved.flow().nodes["route"]})
    needing = make.offer(1, required_fields=("zip",))
    async with db.transaction() as tx:
        await saved.save_network(tx)
        await catalog.create(tx, ACCOUNT, saved.flow_document(), by=BY)
        await flows.publish(tx, ACCOUNT, saved.FLOW, by=BY)
        await catalog.change(tx, ACCOUNT, make.campaign(make.offer(1), flow_id=saved.FLOW), by=BY)
        await catalog.change(tx, ACCOUNT, needing, by=BY)
        await catalog.change(tx, ACCOUNT, saved.flow_document(draft=asks_nothing), by=BY)
    with pytest.raises(Refused) as refused:
        async with db.transaction() as tx:
            await flows.publish(tx, ACCOUNT, saved.FLOW, by=BY)
    assert [problem.field for problem in refused.value.problems] == ["plan.entries.0.offer_id"]
    async with db.transaction() as tx:
        assert [one.version for one in await flows.versions(tx, ACCOUNT, saved.FLOW)] == [1]
        current = await plans.current(tx, ACCOUNT, CAMPAIGN)
    assert current is not None
    assert current.flow == saved.flow()


async def test_a_flow_in_use_cannot_be_archived(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        await catalog.create(tx, ACCOUNT, saved.flow_document(), by=BY)
        await flows.publish(tx, ACCOUNT, saved.FLOW, by=BY)
        await catalog.change(tx, ACCOUNT, make.campaign(make.offer(1), flow_id=saved.FLOW), by=BY)
        with pytest.raises(Refused) as refused:
            await lifecycle.archive(tx, ACCOUNT, FlowDocument, saved.FLOW, by=BY)
    assert refused.value.code == "conflict"


async def test_versions_that_no_call_refers_to_are_forgotten_but_never_the_last(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        for hours in (10, 20, 30):
            by = By(who="usr_1", at=AT + timedelta(hours=hours))
            await catalog.change(tx, ACCOUNT, make.offer(1, name=f"After {hours} hours"), by=by)
        await tx.execute(
            "insert into call (account_id, id, version, state, test, campaign_id, plan_version,"
            " carrier_ref, dialed, arrived_at, bridged_ms, revenue_micros, payout_micros, cost_micros,"
            " blocked, end_reason, review, disposition, tags, closed, saved_at, document)"
            " values ($1, 'call_1', 1, 'ended', false, $2, 2, 'CA1', '+18885550101', $3, 0, 0, 0, 0,"
            " '', '', '', '', '{}', true, $3, '{}')",
            ACCOUNT,
            CAMPAIGN,
            AT + timedelta(hours=20, minutes=30),
        )
        assert await plans.prune(tx, ACCOUNT, made_before=AT + timedelta(hours=10)) == 0
        assert await plans.prune(tx, ACCOUNT, made_before=AT + timedelta(days=90)) == 2
        assert [one.version for one in await plans.versions(tx, ACCOUNT, CAMPAIGN)] == [4, 2]
        assert (await plans.load(tx, ACCOUNT, CAMPAIGN, 2)).offers[0].name == "After 10 hours"


async def test_an_archived_campaign_keeps_its_last_plan(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        await catalog.change(tx, ACCOUNT, saved.number(assignments=(), status="available"), by=BY)
        await lifecycle.archive(tx, ACCOUNT, Campaign, CAMPAIGN, by=BY)
        await lifecycle.archive(tx, ACCOUNT, Offer, "off_1", by=BY)
        current = await plans.current(tx, ACCOUNT, CAMPAIGN)
        assert current is not None
        assert (current.version, current.campaign.status, current.offers) == (1, "live", (make.offer(1),))
