"""The secrets of offers' bidders: sealed, told by name only, and known to every process."""

import pytest

import make
import saved
from callmatrix.core.campaign import Offer
from callmatrix.core.errors import Refused
from callmatrix.core.ids import OfferId
from callmatrix.live.catalog import Catalog
from callmatrix.store import audit, catalog, seals
from callmatrix.store.db import Database
from saved import AT, BY

ACCOUNT = make.ACCOUNT
OFFER = OfferId("off_1")
KEY = b"k" * 32


async def keep(db: Database, secrets: dict[str, str], *, offer_id: OfferId = OFFER) -> None:
    async with db.transaction() as tx:
        await seals.set_secrets(tx, ACCOUNT, offer_id, secrets, key=KEY, by=BY, owner=Offer)


@pytest.fixture
async def network(db: Database) -> Database:
    async with db.transaction() as tx:
        await saved.save_network(tx)
    return db


async def test_a_bidders_secret_is_sealed_and_told_by_name_only(network: Database) -> None:
    await keep(network, {"token": "hunter2", "password": "hunter3"})
    async with network.transaction() as tx:
        named = await seals.secret_names(tx, ACCOUNT, OFFER, owner=Offer)
        rows = await tx.fetch("select kind, sealed from secret where owner_id = $1", OFFER)
        acts = await audit.acts(tx, ACCOUNT, kind="offer", target_id=OFFER)
        document = (await catalog.get(tx, ACCOUNT, Offer, OFFER)).document
    assert named == (("password", AT), ("token", AT))
    assert [row["kind"] for row in rows] == ["offer", "offer"]
    assert acts[0].act.details == {"password": "set", "token": "set"}
    assert "hunter" not in repr(acts) + repr(document)
    assert not any(b"hunter" in row["sealed"] for row in rows)


async def test_a_connections_and_a_bidders_secrets_of_one_name_do_not_meet(network: Database) -> None:
    await keep(network, {"signing": "the bidder's"})
    async with network.transaction() as tx:
        await seals.set_secrets(tx, ACCOUNT, make.CONNECTION, {"signing": "the carrier's"}, key=KEY, by=BY)
        opened = await seals.open_secrets(tx, ACCOUNT, [make.CONNECTION], key=KEY)
        changed = await seals.open_changed(tx, ACCOUNT, after=0, key=KEY)
    assert opened == {make.CONNECTION: {"signing": "the carrier's"}}
    assert changed == {OFFER: {"signing": "the bidder's"}}


async def test_every_process_uses_new_secrets_from_its_next_look_on(network: Database) -> None:
    known = Catalog(network, secret_key=KEY)
    await known.refresh_all()
    assert known.bidder_secrets(ACCOUNT, OFFER) == {}
    await keep(network, {"token": "first", "key": "second"})
    await known.refresh(ACCOUNT)
    assert known.bidder_secrets(ACCOUNT, OFFER) == {"token": "first", "key": "second"}
    await keep(network, {"token": ""})
    await known.refresh(ACCOUNT)
    assert known.bidder_secrets(ACCOUNT, OFFER) == {"key": "second"}
    await keep(network, {"key": ""})
    await known.refresh(ACCOUNT)
    assert known.bidder_secrets(ACCOUNT, OFFER) == {}


async def test_secrets_sealed_by_another_key_are_a_trouble_of_their_offer(network: Database) -> None:
    await keep(network, {"token": "first"})
    known = Catalog(network, secret_key=b"x" * 32)
    await known.refresh_all()
    assert known.bidder_secrets(ACCOUNT, OFFER) == {}
    assert "cannot be opened" in known.troubles(ACCOUNT)[OFFER]


@pytest.mark.parametrize(
    ("secrets", "field"),
    [
        ({"token": "a" * 8_001}, "secrets.token"),
        ({"n" * 41: "a"}, f"secrets.{'n' * 40}"),
        ({f"name{place}": "a" for place in range(10)}, "secrets"),
    ],
)
async def test_secrets_past_a_limit_are_refused(
    network: Database, secrets: dict[str, str], field: str
) -> None:
    await keep(network, {"first": "one"})
    with pytest.raises(Refused) as refused:
        await keep(network, secrets)
    assert (refused.value.code, refused.value.problems[0].field) == ("invalid", field)


async def test_nobody_has_secrets_who_is_not_there(network: Database) -> None:
    with pytest.raises(Refused) as refused:
        await keep(network, {"token": "first"}, offer_id=OfferId("off_9"))
    assert refused.value.code == "not_found"
