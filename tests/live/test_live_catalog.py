"""The configuration in memory: what calls see of a change, and when, on a real PostgreSQL."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

import make
import saved
from callmatrix.core.campaign import Campaign, Connection, Number, Offer, Publisher, PublisherInCampaign
from callmatrix.core.errors import Refused
from callmatrix.core.hours import Hours, Span
from callmatrix.dialects.carriers.dialect import DIALECTS, Secrets
from callmatrix.live.catalog import Catalog, Wired, check_capabilities, open_catalog
from callmatrix.live.pins import Pins
from callmatrix.store import blocks, catalog, lifecycle, seals
from callmatrix.store.blocks import Block
from callmatrix.store.db import Database
from saved import AT, BY

ACCOUNT, CAMPAIGN, CONNECTION = make.ACCOUNT, make.CAMPAIGN, make.CONNECTION
KEY = b"k" * 32
DIALED = "+18885550101"
MONDAYS = Hours(time_zone="UTC", spans=(Span(day=0, opens_minute=0, closes_minute=1_440),))


@pytest.fixture
async def network(db: Database) -> Database:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        await seals.set_secrets(tx, ACCOUNT, CONNECTION, {"signing": "s3cret"}, key=KEY, by=BY)
    return db


async def known(db: Database, *, key: bytes = KEY) -> Catalog:
    found = Catalog(db, secret_key=key)
    await found.refresh_all()
    await found.settle(ACCOUNT)
    return found


async def changed(db: Database, *documents: Any) -> None:
    async with db.transaction() as tx:
        for document in documents:
            await catalog.change(tx, ACCOUNT, document, by=BY)


async def test_an_arrival_finds_its_connection_number_and_plan(network: Database) -> None:
    found = await known(network)
    assert found.connection(CONNECTION) == Wired(
        account_id=ACCOUNT,
        connection=make.connection(),
        dialect=DIALECTS["own"],
        secrets=Secrets(signing="s3cret"),
    )
    assert found.number(CONNECTION, DIALED) == saved.number()
    assert (found.numbers(ACCOUNT), found.accounts()) == ((saved.number(),), (make.account(),))
    plan = found.plan(ACCOUNT, CAMPAIGN)
    assert plan is not None
    assert (plan.version, plan.campaign) == (1, make.campaign(make.offer(1)))
    assert found.connection("con_9") is None
    assert found.number(CONNECTION, "+18885550199") is None
    assert found.plan("acc_9", CAMPAIGN) is None


async def test_a_change_is_in_force_after_its_notice_and_calls_in_the_air_keep_their_plan(
    network: Database,
) -> None:
    async with open_catalog(network, secret_key=KEY) as found:
        before = found.plan(ACCOUNT, CAMPAIGN)
        assert before is not None
        async with network.transaction() as tx:
            paused = await lifecycle.pause(tx, ACCOUNT, Offer, "off_1", by=BY)
        await found.reached(ACCOUNT, paused.catalog_version)
        await found.settle(ACCOUNT)
        after = found.plan(ACCOUNT, CAMPAIGN)
        assert after is not None
        assert (before.version, after.version) == (1, 2)
        assert await found.pinned(ACCOUNT, CAMPAIGN, 1) is before
        assert await found.pinned(ACCOUNT, CAMPAIGN, 2) is after


async def test_a_process_that_begins_later_loads_the_plan_that_a_call_is_on(network: Database) -> None:
    first = (await known(network)).plan(ACCOUNT, CAMPAIGN)
    assert first is not None
    await changed(network, replace(make.offer(1), price=make.fixed("44")))
    later = await known(network)
    one, two = await asyncio.gather(later.pinned(ACCOUNT, CAMPAIGN, 1), later.pinned(ACCOUNT, CAMPAIGN, 1))
    assert one is two
    assert one.document == first.document
    with pytest.raises(Refused) as refused:
        await later.pinned(ACCOUNT, CAMPAIGN, 9)
    assert refused.value.code == "not_found"


async def test_only_what_changed_is_read_again(network: Database) -> None:
    found = await known(network)
    plan, number = found.plan(ACCOUNT, CAMPAIGN), found.number(CONNECTION, DIALED)
    await changed(network, saved.number(tags={"line": "one"}))
    await found.refresh(ACCOUNT)
    assert found.plan(ACCOUNT, CAMPAIGN) is plan
    assert found.number(CONNECTION, DIALED) == replace(number, tags={"line": "one"})


async def test_many_offers_are_compiled_behind_and_the_old_plan_serves_meanwhile(db: Database) -> None:
    many = tuple(make.offer(place, price=make.fixed("20")) for place in range(1, 121))
    async with db.transaction() as tx:
        await saved.save_network(tx)
        for place, offer in enumerate(many[1:], start=2):
            await catalog.create(tx, ACCOUNT, make.buyer(place), by=BY)
            await catalog.create(tx, ACCOUNT, offer, by=BY)
    found = await known(db)
    before = found.plan(ACCOUNT, CAMPAIGN)
    await changed(db, make.campaign(*many))
    await found.refresh(ACCOUNT)
    assert found.plan(ACCOUNT, CAMPAIGN) is before
    current = await found.current(ACCOUNT, CAMPAIGN)
    assert current is not None
    assert (current.version, len(current.offers)) == (2, 120)


async def test_a_plan_that_cannot_be_compiled_leaves_the_old_one_in_force_and_is_reported(
    network: Database,
) -> None:
    found = await known(network)
    before = found.plan(ACCOUNT, CAMPAIGN)
    async with network.transaction() as tx:
        version = await catalog.bump(tx, ACCOUNT)
        await tx.execute(
            "insert into plan select account_id, campaign_id, 2, kinds[2:], ids[2:], revisions[2:], made_at,"
            " $1 from plan",
            version,
        )
    await found.refresh(ACCOUNT)
    assert found.plan(ACCOUNT, CAMPAIGN) is before
    assert list(found.troubles(ACCOUNT)) == [CAMPAIGN]
    await changed(network, replace(make.offer(1), price=make.fixed("44")))
    await found.refresh(ACCOUNT)
    after = found.plan(ACCOUNT, CAMPAIGN)
    assert after is not None
    assert (after.version, found.troubles(ACCOUNT)) == (3, {})


async def test_a_document_that_cannot_be_read_leaves_the_one_before_in_force(network: Database) -> None:
    found = await known(network)
    async with network.transaction() as tx:
        version = await catalog.bump(tx, ACCOUNT)
        await tx.execute(
            "update config set document = '{\"id\": 1}', catalog_version = $1 where kind = 'number'", version
        )
    await found.refresh(ACCOUNT)
    assert found.number(CONNECTION, DIALED) == saved.number()
    assert list(found.troubles(ACCOUNT)) == ["num_1"]


async def test_a_connection_without_its_secret_takes_no_webhooks(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
    found = await known(db)
    assert found.connection(CONNECTION) is None
    assert list(found.troubles(ACCOUNT)) == [CONNECTION]
    async with db.transaction() as tx:
        await seals.set_secrets(tx, ACCOUNT, CONNECTION, {"signing": "s3cret"}, key=KEY, by=BY)
    await found.refresh(ACCOUNT)
    wired = found.connection(CONNECTION)
    assert wired is not None
    assert (wired.secrets.signing, found.troubles(ACCOUNT)) == ("s3cret", {})
    assert (await known(db, key=b"x" * 32)).connection(CONNECTION) is None


async def test_an_archived_connection_takes_no_webhooks(network: Database) -> None:
    found = await known(network)
    async with network.transaction() as tx:
        await lifecycle.archive(tx, ACCOUNT, Number, "num_1", by=BY)
        await lifecycle.archive(tx, ACCOUNT, Connection, CONNECTION, by=BY)
    await found.refresh(ACCOUNT)
    assert (found.connection(CONNECTION), found.troubles(ACCOUNT)) == (None, {})


async def test_another_account_cannot_take_a_connection_over(network: Database) -> None:
    found = await known(network)
    async with network.transaction() as tx:
        await catalog.create_account(tx, make.account(id="acc_2"), by=BY)
        await catalog.create(tx, "acc_2", make.connection(), by=BY)
        await seals.set_secrets(tx, "acc_2", CONNECTION, {"signing": "theirs"}, key=KEY, by=BY)
    await found.refresh_all()
    wired = found.connection(CONNECTION)
    assert wired is not None
    assert (wired.account_id, wired.secrets.signing) == (ACCOUNT, "s3cret")
    assert list(found.troubles("acc_2")) == [CONNECTION]


async def test_a_number_that_changes_hands_belongs_to_its_new_document(network: Database) -> None:
    found = await known(network)
    again = saved.number(2, number=DIALED)
    async with network.transaction() as tx:
        await lifecycle.archive(tx, ACCOUNT, Number, "num_1", by=BY)
        await catalog.create(tx, ACCOUNT, again, by=BY)
    await found.refresh(ACCOUNT)
    assert found.number(CONNECTION, DIALED) == again
    assert (await known(network)).number(CONNECTION, DIALED) == again


async def test_a_campaigns_standing_is_its_status_and_hours_now(network: Database) -> None:
    await changed(network, make.campaign(make.offer(1), hours=MONDAYS, status="paused"))
    found = await known(network)
    tuesday = AT + timedelta(days=1)
    assert found.campaign_standing(ACCOUNT, CAMPAIGN, AT) == ("paused", True)
    assert found.campaign_standing(ACCOUNT, CAMPAIGN, tuesday) == ("paused", False)
    assert found.campaign_standing(ACCOUNT, "cmp_9", AT) == ("archived", False)


async def test_a_publisher_is_paused_everywhere_or_in_one_campaign(network: Database) -> None:
    found = await known(network)
    assert not found.publisher_paused(ACCOUNT, CAMPAIGN, make.PUBLISHER)
    assert not found.publisher_paused(ACCOUNT, CAMPAIGN, None)
    here = PublisherInCampaign(publisher_id=make.PUBLISHER, paused=True)
    await changed(network, make.campaign(make.offer(1), publishers=(here,)))
    await found.refresh(ACCOUNT)
    assert found.publisher_paused(ACCOUNT, CAMPAIGN, make.PUBLISHER)
    assert not found.publisher_paused(ACCOUNT, "cmp_2", make.PUBLISHER)
    async with network.transaction() as tx:
        await lifecycle.pause(tx, ACCOUNT, Publisher, "pub_1", by=BY)
    await found.refresh(ACCOUNT)
    assert found.publisher_paused(ACCOUNT, "cmp_2", make.PUBLISHER)


async def test_a_block_is_in_force_until_it_is_removed(network: Database) -> None:
    found = await known(network)
    block = Block(id="blk_1", pattern="+1312", matches="prefix", blocked_by="usr_1", blocked_at=AT)

    def blocked(caller: str) -> str:
        return found.blocked_by(ACCOUNT, CAMPAIGN, caller, DIALED, AT)

    async with network.transaction() as tx:
        await blocks.add(tx, ACCOUNT, block)
    await found.refresh(ACCOUNT)
    assert (blocked("+13125550123"), blocked("+14155550123")) == ("blk_1", "")
    async with network.transaction() as tx:
        await blocks.remove(tx, ACCOUNT, "blk_1", by=BY)
    await found.refresh(ACCOUNT)
    assert blocked("+13125550123") == ""


async def save_checked(db: Database, document: Any) -> None:
    async with db.transaction() as tx:
        await catalog.change(tx, ACCOUNT, document, by=BY)
        await check_capabilities(tx, ACCOUNT, document)


async def test_a_campaign_that_needs_what_its_carrier_lacks_is_refused(network: Database) -> None:
    simple = make.connection(carrier="somleng")
    long = replace(make.offer(1), time_limit_s=14_400)
    plain = make.campaign(make.offer(1), max_call_s=14_400)
    await changed(network, long, plain, simple)
    async with network.transaction() as tx:
        for document in (simple, plain, long, saved.number()):
            await check_capabilities(tx, ACCOUNT, document)
    whispering = replace(long, whisper="A call from the campaign")
    recording = replace(plain, recording=replace(plain.recording, on=True))
    for document, field in ((whispering, "plan.entries.0.offer_id"), (recording, "recording.on")):
        with pytest.raises(Refused) as refused:
            await save_checked(network, document)
        assert [problem.field for problem in refused.value.problems] == [field]
    async with network.transaction() as tx:
        assert (await catalog.get(tx, ACCOUNT, Campaign, CAMPAIGN)).document == plain


def test_the_plans_longest_unused_are_dropped_by_the_offers_they_hold(db: Database) -> None:
    pins = Pins(db, max_offers=4)
    for version in (1, 2, 3):
        pins.keep(ACCOUNT, make.plan(make.offer(1), make.offer(2), version=version))
    assert len(pins) == 2
