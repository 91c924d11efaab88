"""Users, sessions, links, keys, attempts and repeated requests."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

import make
import saved
from callmatrix.core.errors import Refused
from callmatrix.store import access, attempts, audit, repeats
from callmatrix.store.access import ApiKey, User
from callmatrix.store.db import Database, Transaction
from callmatrix.store.repeats import Answered, Begun
from saved import AT, BY

ACCOUNT = make.ACCOUNT
HOUR = timedelta(hours=1)


def user(number: int = 1, **changes: Any) -> User:
    given = {
        "id": f"usr_{number}",
        "account_id": ACCOUNT,
        "email": f"user{number}@example.com",
        "name": f"User {number}",
        "role": "admin",
        "created_at": AT,
    }
    return User(**{**given, **changes})


async def refused_code(work: Any) -> str:
    with pytest.raises(Refused) as refused:
        await work
    return refused.value.code


@pytest.fixture
async def network(db: Database) -> Database:
    async with db.transaction() as tx:
        await saved.save_network(tx)
    return db


async def sign_in(tx: Transaction, who: User, token: str) -> None:
    await access.begin_session(tx, who, token=token, csrf=f"csrf-{token}", now=AT, expires_at=AT + HOUR)


async def test_people_sign_in_by_address_in_any_spelling(network: Database) -> None:
    async with network.transaction() as tx:
        kept = await access.add_user(tx, user(email=" User1@Example.com "), by=BY)
        assert kept.email == "user1@example.com"
        assert await access.password_of(tx, "USER1@example.com") == (kept, None)
        await access.set_password(tx, ACCOUNT, kept.id, "hash", by=BY)
        found = await access.password_of(tx, "user1@example.com")
        assert found == (replace(kept, has_password=True), "hash")
        assert await access.password_of(tx, "nobody@example.com") is None
        assert "hash" not in repr([await access.users(tx, ACCOUNT), await audit.acts(tx, ACCOUNT)])


async def test_an_address_signs_in_to_one_account(network: Database) -> None:
    async with network.transaction() as tx:
        await access.add_user(tx, user(), by=BY)
        assert (
            await refused_code(access.add_user(tx, user(2, email="user1@example.com"), by=BY)) == "conflict"
        )


@pytest.mark.parametrize(
    "wrong",
    [
        user(email="nobody"),
        user(name=""),
        user(role="buyer"),
        user(buyer_id="buy_1"),
        user(role="publisher", buyer_id="buy_1"),
    ],
)
async def test_a_user_must_be_whole(network: Database, wrong: User) -> None:
    async with network.transaction() as tx:
        assert await refused_code(access.add_user(tx, wrong, by=BY)) == "invalid"


async def test_a_session_lasts_until_it_expires_or_ends(network: Database) -> None:
    async with network.transaction() as tx:
        one = await access.add_user(tx, user(), by=BY)
        await sign_in(tx, one, "a")
        await sign_in(tx, one, "b")
        found = await access.find_session(tx, "a", now=AT)
        assert found is not None
        assert (found.user.id, found.csrf, found.user.last_seen_at) == (one.id, "csrf-a", AT)
        assert await access.find_session(tx, "a", now=AT + HOUR) is None
        assert await access.find_session(tx, "c", now=AT) is None
        await access.end_session(tx, "a")
        assert await access.find_session(tx, "a", now=AT) is None
        assert await access.find_session(tx, "b", now=AT) is not None
        rows = await tx.fetch("select token_hash from session")
    assert [row["token_hash"] for row in rows] == [access.hashed("b")]


async def test_who_loses_rights_is_signed_out_and_who_is_renamed_is_not(network: Database) -> None:
    async with network.transaction() as tx:
        await access.add_user(tx, user(1), by=BY)
        other = await access.add_user(tx, user(2), by=BY)
        await sign_in(tx, other, "a")
        await access.change_user(tx, replace(other, name="Renamed"), by=BY)
        assert await access.find_session(tx, "a", now=AT) is not None
        await access.change_user(tx, replace(other, role="analyst"), by=BY)
        assert await access.find_session(tx, "a", now=AT) is None


async def test_a_new_password_ends_every_session(network: Database) -> None:
    async with network.transaction() as tx:
        one = await access.add_user(tx, user(), by=BY)
        await sign_in(tx, one, "a")
        await access.set_password(tx, ACCOUNT, one.id, "hash", by=BY)
        assert await access.find_session(tx, "a", now=AT) is None


async def test_the_last_administrator_stays_even_if_two_step_down_at_once(network: Database) -> None:
    async with network.transaction() as tx:
        await access.add_user(tx, user(1), by=BY)
        await access.add_user(tx, user(2), by=BY)

    async def step_down(number: int) -> str:
        try:
            async with network.transaction() as tx:
                await access.change_user(tx, user(number, role="analyst"), by=BY)
        except Refused as refused:
            return refused.code
        return "done"

    assert sorted(await asyncio.gather(step_down(1), step_down(2))) == ["conflict", "done"]


async def test_a_link_works_once_and_only_the_last_one(network: Database) -> None:
    async with network.transaction() as tx:
        one = await access.add_user(tx, user(), by=BY)
        for token in ("first", "second"):
            await access.make_link(tx, one, token=token, now=AT, expires_at=AT + HOUR)
        assert await access.use_link(tx, "first", now=AT) is None
        assert await access.use_link(tx, "second", now=AT + HOUR) is None
        assert await access.use_link(tx, "second", now=AT) == one
        assert await access.use_link(tx, "second", now=AT) is None


async def test_two_who_use_a_link_at_once_are_one(network: Database) -> None:
    async with network.transaction() as tx:
        one = await access.add_user(tx, user(), by=BY)
        await access.make_link(tx, one, token="t", now=AT, expires_at=AT + HOUR)

    async def use() -> bool:
        async with network.transaction() as tx:
            return await access.use_link(tx, "t", now=AT) is not None

    assert sorted(await asyncio.gather(use(), use(), use())) == [False, False, True]


async def test_a_key_opens_until_it_expires_or_is_revoked(network: Database) -> None:
    key = ApiKey(
        id="key_1",
        account_id=ACCOUNT,
        name="CRM",
        prefix="",
        scopes=("read",),
        created_by="",
        created_at=AT,
        expires_at=AT + HOUR,
    )
    async with network.transaction() as tx:
        kept = await access.add_key(tx, key, token="cmk_0123456789", by=BY)
        assert (kept.prefix, kept.created_by) == ("cmk_0123", "usr_1")
        assert await access.find_key(tx, "cmk_0123456789", now=AT) == kept
        assert (await access.keys(tx, ACCOUNT))[0].last_used_at == AT
        assert await access.find_key(tx, "cmk_0123456789", now=AT + HOUR) is None
        assert await access.find_key(tx, "cmk_0123", now=AT) is None
        await access.revoke_key(tx, ACCOUNT, "key_1", by=BY)
        assert await access.find_key(tx, "cmk_0123456789", now=AT) is None
        assert await refused_code(access.revoke_key(tx, ACCOUNT, "key_1", by=BY)) == "not_found"


async def test_attempts_are_counted_by_window_and_cleared_by_success(network: Database) -> None:
    async with network.transaction() as tx:

        async def tried(minutes: int, subject: str = "email:a") -> int:
            return await attempts.count(tx, subject, now=AT + timedelta(minutes=minutes), window_s=600)

        assert [await tried(0), await tried(1), await tried(9), await tried(1, "email:b")] == [1, 2, 3, 1]
        assert [await tried(10), await tried(11)] == [1, 2]
        await attempts.clear(tx, "email:a")
        assert await tried(12) == 1
        assert await attempts.forget(tx, before=AT + timedelta(minutes=5)) == 1


async def test_a_repeated_request_gets_the_first_answer(network: Database) -> None:
    request = repeats.request_hash("POST /api/offers", b"{}")
    other = repeats.request_hash("POST /api/offers", b"[]")
    async with network.transaction() as tx:

        async def begin(asked: bytes = request, minutes: int = 0) -> Begun | Answered:
            now = AT + timedelta(minutes=minutes)
            lease_until = now + timedelta(minutes=1)
            return await repeats.begin(tx, ACCOUNT, "k", request=asked, now=now, lease_until=lease_until)

        assert await begin() == Begun(turn=1)
        assert await refused_code(begin()) == "key_in_use"
        assert await refused_code(begin(other, 5)) == "key_reused"
        assert await begin(minutes=1) == Begun(turn=2)
        assert not await repeats.finish(tx, ACCOUNT, "k", turn=1, status=201, response=b"late")
        assert await repeats.finish(tx, ACCOUNT, "k", turn=2, status=201, response=b"made")
        assert await begin(minutes=9) == Answered(status=201, response=b"made")
        assert await refused_code(begin(other)) == "key_reused"
        assert await repeats.forget(tx, before=AT + HOUR) == 1


async def test_a_request_that_came_to_nothing_frees_its_key(network: Database) -> None:
    async with network.transaction() as tx:
        for body in (b"1", b"2"):
            request = repeats.request_hash("POST /api/offers", body)
            begun = await repeats.begin(tx, ACCOUNT, "k", request=request, now=AT, lease_until=AT + HOUR)
            assert begun == Begun(turn=1)
            await repeats.give_up(tx, ACCOUNT, "k", turn=1)
