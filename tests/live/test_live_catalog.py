"""The configuration in memory, on a real PostgreSQL."""

from datetime import UTC, datetime

import make

from callmatrix.core.campaign import Offer
from callmatrix.live.catalog import Catalog, open_catalog
from callmatrix.store import catalog as store
from callmatrix.store import lifecycle, seals
from callmatrix.store.audit import By
from callmatrix.store.db import Database

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
BY = By(who="usr_1", at=AT)
KEY = b"k" * 32


async def seed(db: Database) -> None:
    async with db.transaction() as tx:
        await store.create_account(tx, make.account(), by=BY)
        await store.create(tx, make.ACCOUNT, make.connection(), by=BY)
        await seals.set_secrets(tx, make.ACCOUNT, make.CONNECTION, {"signing": "s3cret"}, key=KEY, by=BY)
        await store.create(tx, make.ACCOUNT, make.buyer(1), by=BY)
        await store.create(tx, make.ACCOUNT, make.offer(1), by=BY)
        await store.create(tx, make.ACCOUNT, make.publisher(), by=BY)
        await store.create(tx, make.ACCOUNT, make.campaign(make.offer(1)), by=BY)


async def test_a_change_is_in_force_after_its_notice(db: Database) -> None:
    await seed(db)
    async with open_catalog(db, secret_key=KEY) as catalog:
        before = catalog.plan(make.ACCOUNT, make.CAMPAIGN)
        assert before is not None
        async with db.transaction() as tx:
            paused = await lifecycle.pause(tx, make.ACCOUNT, Offer, "off_1", by=BY)
        await catalog.reached(make.ACCOUNT, paused.catalog_version)
        after = catalog.plan(make.ACCOUNT, make.CAMPAIGN)
        assert after is not None
        assert (before.version, after.version) == (1, 2)
        assert [shut.code for shut in after.routing.shut_at(AT)] == ["paused"]
        assert await catalog.pinned(make.ACCOUNT, make.CAMPAIGN, 1) is before
    fresh = Catalog(db, secret_key=KEY)
    assert (await fresh.pinned(make.ACCOUNT, make.CAMPAIGN, 1)).document == before.document
