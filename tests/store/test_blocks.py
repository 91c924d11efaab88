"""The block list, and the secrets of connections: what is kept and what is shown of it."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import make
import saved
from callmatrix.core.errors import Refused
from callmatrix.live.blocklist import BlockList
from callmatrix.store import audit, blocks, catalog, seals
from callmatrix.store.blocks import Block
from callmatrix.store.db import Database
from saved import AT, BY

ACCOUNT, CAMPAIGN = make.ACCOUNT, make.CAMPAIGN
CALLER, DIALED = "+13125550123", "+18885550101"
KEY = b"k" * 32


def block(number: int = 1, pattern: str = CALLER, **changes: Any) -> Block:
    given = {"id": f"blk_{number}", "pattern": pattern, "blocked_by": "usr_1", "blocked_at": AT}
    return Block(**{**given, **changes})


def found(*listed: Block, campaign: Any = CAMPAIGN, caller: str | None = CALLER, at: Any = AT) -> str | None:
    match = BlockList(listed).match(campaign, caller=caller, dialed=DIALED, at=at)
    return None if match is None else match.id


async def test_what_is_blocked_is_loaded_until_it_is_removed(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        kept = await blocks.add(tx, ACCOUNT, block(reason="robot"))
        assert await blocks.load(tx, ACCOUNT) == (kept,)
        known = (await catalog.versions(tx))[ACCOUNT]
        await blocks.remove(tx, ACCOUNT, "blk_1", by=BY)
        assert await blocks.load(tx, ACCOUNT) == ()
        (removed,) = await blocks.load(tx, ACCOUNT, after=known)
        assert (removed.id, removed.removed_at) == ("blk_1", AT)
        acts = await audit.acts(tx, ACCOUNT, kind="block")
        assert [(row.act.what, row.act.details) for row in acts] == [
            ("unblock", {"pattern": CALLER}),
            ("block", {"pattern": CALLER}),
        ]


async def test_the_same_blocked_twice_is_one_entry(db: Database) -> None:
    until = AT + timedelta(days=1)
    async with db.transaction() as tx:
        await saved.save_network(tx)
        await blocks.add(tx, ACCOUNT, block(1))
        again = await blocks.add(tx, ACCOUNT, block(2, reason="again", expires_at=until))
        assert (again.id, again.reason, again.expires_at) == ("blk_1", "again", until)
        assert await blocks.page(tx, ACCOUNT) == (again,)


@pytest.mark.parametrize("wrong", [block(pattern="3125550123"), block(pattern="+", matches="prefix")])
async def test_a_pattern_that_is_no_number_is_refused(db: Database, wrong: Block) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        with pytest.raises(Refused) as refused:
            await blocks.add(tx, ACCOUNT, wrong)
    assert (refused.value.code, refused.value.problems[0].field) == ("invalid", "pattern")


def test_an_entry_refuses_its_own_side_only() -> None:
    assert found(block(pattern=CALLER)) == "blk_1"
    assert found(block(pattern=CALLER, side="dialed")) is None
    assert found(block(pattern=DIALED, side="dialed")) == "blk_1"
    assert found(block(pattern=CALLER), caller=None) is None


def test_a_campaigns_entry_refuses_there_only_and_comes_first() -> None:
    own, everywhere = block(1, campaign_id=CAMPAIGN), block(2)
    assert found(own, everywhere) == "blk_1"
    assert found(own, campaign="cmp_2") is None
    assert found(own, everywhere, campaign="cmp_2") == "blk_2"


def test_an_entry_ends_at_its_expiry() -> None:
    until = AT + timedelta(days=1)
    entry = block(expires_at=until)
    assert found(entry, at=until - timedelta(microseconds=1)) == "blk_1"
    assert found(entry, at=until) is None


def test_the_longest_pattern_is_named() -> None:
    listed = (block(1, "+1312", matches="prefix"), block(2, "+1", matches="prefix"), block(3))
    assert found(*listed) == "blk_3"
    assert found(*listed[:2]) == "blk_1"
    assert found(*listed, caller="+14155550123") == "blk_2"


@given(
    patterns=st.lists(st.from_regex(r"\+[12]{1,6}", fullmatch=True), max_size=8, unique=True),
    caller=st.from_regex(r"\+[12]{7}", fullmatch=True),
)
def test_a_caller_is_refused_just_where_a_prefix_begins_the_number(patterns: list[str], caller: str) -> None:
    listed = [block(place, pattern, matches="prefix") for place, pattern in enumerate(patterns)]
    matching = [one for one in listed if caller.startswith(one.pattern)]
    longest = max(matching, key=lambda one: len(one.pattern), default=None)
    assert found(*listed, caller=caller) == (None if longest is None else longest.id)


def test_a_list_follows_what_changes() -> None:
    kept = BlockList((block(1), block(2, "+1415", matches="prefix")))
    kept.put(block(1, removed_at=AT))
    assert kept.match(CAMPAIGN, caller=CALLER, dialed=DIALED, at=AT) is None
    kept.put(block(3))
    kept.put(block(1, removed_at=AT))
    match = kept.match(CAMPAIGN, caller=CALLER, dialed=DIALED, at=AT)
    assert match == block(3)


async def test_a_secret_is_sealed_and_told_by_name_only(db: Database) -> None:
    async with db.transaction() as tx:
        await saved.save_network(tx)
        secrets = {"signing": "hunter2", "api": "hunter3"}
        await seals.set_secrets(tx, ACCOUNT, make.CONNECTION, secrets, key=KEY, by=BY)
        assert await seals.secret_names(tx, ACCOUNT, make.CONNECTION) == (("api", AT), ("signing", AT))
        opened = await seals.open_secrets(tx, ACCOUNT, [make.CONNECTION], key=KEY)
        assert opened == {make.CONNECTION: secrets}
        await seals.set_secrets(tx, ACCOUNT, make.CONNECTION, {"api": ""}, key=KEY, by=BY)
        opened = await seals.open_secrets(tx, ACCOUNT, [make.CONNECTION], key=KEY)
        assert opened == {make.CONNECTION: {"signing": "hunter2"}}
        (row,) = await tx.fetch("select sealed from secret")
        told = repr(await audit.acts(tx, ACCOUNT)) + repr(
            await catalog.get_many(tx, ACCOUNT, make.Connection)
        )
    assert b"hunter" not in row["sealed"]
    assert "hunter" not in told


def test_a_seal_opens_in_its_place_by_its_key_only() -> None:
    sealed = seals.seal(ACCOUNT, make.CONNECTION, "signing", "s3cret", key=KEY)
    assert seals.unseal(ACCOUNT, make.CONNECTION, "signing", sealed, key=KEY) == "s3cret"
    for account_id, name, data, key in (
        (ACCOUNT, "signing", sealed, b"x" * 32),
        (ACCOUNT, "api", sealed, KEY),
        ("acc_2", "signing", sealed, KEY),
        (ACCOUNT, "signing", sealed[:-1], KEY),
    ):
        with pytest.raises(seals.SealBroken):
            seals.unseal(account_id, make.CONNECTION, name, data, key=key)
