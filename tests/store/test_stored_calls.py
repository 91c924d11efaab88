"""Steps of calls saved and read back, against a real PostgreSQL."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import make
from callmatrix.core.call import Call, step
from callmatrix.core.call import events as ev
from callmatrix.core.routing import Looked
from callmatrix.store import calls
from callmatrix.store.calls import CallbackKey, Lease, Taken
from callmatrix.store.db import Database

AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
CALLBACK = CallbackKey(connection_id=make.CONNECTION, carrier_ref="CA1", key="arrival")
CALLER = "+14155550199"


def arrived(**changes: Any) -> ev.Arrived:
    given = {
        "at": AT,
        "draw": 7,
        "caller": CALLER,
        "dialed": "+14155550100",
        "number_id": "num_1",
        "connection_id": make.CONNECTION,
        "carrier_ref": "CA1",
        "publisher_id": make.PUBLISHER,
    }
    return ev.Arrived(**{**given, **changes})


def take(call: Call, *happened: ev.Event, plan: Any = None) -> tuple[Taken, ...]:
    """The steps of these events, in order."""
    plan = plan or make.plan(make.offer(1), make.offer(2))
    taken = []
    for event in happened:
        taken.append(Taken(event=event, step=step(call, event, plan)))
        call = taken[-1].step.call
    return tuple(taken)


def lease(*, first: bool = True, callback: CallbackKey = CALLBACK) -> Lease:
    return Lease(callback=callback, at=AT, lease_until=AT + timedelta(seconds=8), first=first)


async def save(db: Database, taken: tuple[Taken, ...], **changes: Any) -> str:
    given: dict[str, Any] = {"new": False, "campaign_group": "", "saved_at": AT}
    async with db.session() as tx:
        return await calls.save(tx, taken, **{**given, **changes})


async def stored(db: Database, call_id: str = "call_1") -> Call | None:
    async with db.session() as tx:
        return await calls.load(tx, make.ACCOUNT, call_id)


def whole_call() -> tuple[tuple[Taken, ...], ...]:
    """A call from arrival to the end, as the batches in which it is saved."""
    looked = ev.Looked(at=AT, draw=3, world=Looked())
    first = take(make.call(), arrived(), looked)
    call = first[-1].step.call
    attempt = call.attempts[0].id
    second = take(call, ev.Reserved(at=AT, attempt_id=attempt))
    later = AT + timedelta(seconds=100)
    third = take(
        second[-1].step.call,
        ev.LegEnded(at=later, attempt_id=attempt, outcome="answered", leg_ms=95_000, bridged_ms=92_000),
    )
    fourth = take(third[-1].step.call, ev.CallEnded(at=later, reason="hung_up", duration_ms=101_000))
    return first, second, third, fourth


async def test_a_call_comes_back_as_it_was_saved(db: Database) -> None:
    first, second, third, fourth = whole_call()
    results = [
        await save(db, first, new=True, lease=lease()),
        await save(db, second, lease=lease(first=False), reply=b"<Response/>"),
        await save(db, third, caller_version=0),
        await save(db, fourth),
    ]
    assert results == ["saved"] * 4
    assert await stored(db) == fourth[-1].step.call
    async with db.session() as tx:
        assert await calls.find(tx, make.ACCOUNT, make.CONNECTION, "CA1") == fourth[-1].step.call
        events = await tx.fetch("select version, kind from call_event order by version")
        assert [(row["version"], row["kind"]) for row in events] == [
            (1, "arrived"),
            (2, "looked"),
            (3, "reserved"),
            (4, "leg_ended"),
            (5, "call_ended"),
        ]
        row = await tx.fetchrow("select revenue_micros, payout_micros, cost_micros, closed from call")
        assert row is not None
        assert dict(row) == {
            "revenue_micros": 29_000_000,
            "payout_micros": 14_500_000,
            "cost_micros": 60_000,
            "closed": True,
        }
        sums = await tx.fetch("select account, sum(amount_micros)::bigint as n from posting group by 1")
        assert {row["account"]: row["n"] for row in sums} == {
            "buyer": 29_000_000,
            "revenue": -29_000_000,
            "payout": 14_500_000,
            "publisher": -14_500_000,
            "carrier_cost": 60_000,
            "carrier": -60_000,
        }


async def test_the_same_callback_twice_is_a_repeat_with_the_first_reply(db: Database) -> None:
    first, second, *_ = whole_call()
    assert await save(db, first, new=True, lease=lease()) == "saved"
    async with db.session() as tx:
        waiting = await calls.stored_reply(tx, make.ACCOUNT, CALLBACK)
    assert waiting is not None
    assert waiting.reply is None
    again = take(make.call(id="call_2"), arrived())
    assert await save(db, again, new=True, lease=lease()) == "repeat"
    assert await save(db, second, lease=lease(first=False), reply=b"<one/>") == "saved"
    async with db.session() as tx:
        answered = await calls.stored_reply(tx, make.ACCOUNT, CALLBACK)
    assert answered == calls.StoredReply(call_id="call_1", lease_until=waiting.lease_until, reply=b"<one/>")
    assert await stored(db, "call_2") is None


async def test_a_second_call_under_the_same_carrier_reference_is_refused(db: Database) -> None:
    first, *_ = whole_call()
    assert await save(db, first, new=True) == "saved"
    assert await save(db, take(make.call(id="call_2"), arrived()), new=True) == "exists"


async def test_who_saves_on_an_old_version_saves_nothing(db: Database) -> None:
    first, second, third, _ = whole_call()
    await save(db, first, new=True)
    assert await save(db, second) == "saved"
    assert await save(db, second) == "version"
    assert await stored(db) == second[-1].step.call
    assert await save(db, third, caller_version=0) == "saved"


async def test_who_settles_by_an_old_history_is_told_and_nothing_is_booked(db: Database) -> None:
    first, second, third, _ = whole_call()
    await save(db, first, new=True)
    await save(db, second)
    async with db.session() as tx:
        await tx.execute(
            "insert into caller (account_id, caller, version) values ($1, $2, 1)", make.ACCOUNT, CALLER
        )
    assert await save(db, third, caller_version=0) == "caller"
    async with db.session() as tx:
        assert await tx.fetchval("select count(*) from posting") == 0
    assert await save(db, third, caller_version=1) == "saved"


async def test_history_has_the_other_calls_of_the_caller_newest_first(db: Database) -> None:
    first, second, third, _ = whole_call()
    await save(db, first, new=True)
    await save(db, second)
    await save(db, third, caller_version=0, campaign_group="plumbers")
    async with db.session() as tx:
        own = await calls.history(tx, make.ACCOUNT, CALLER, apart_from="call_1")
        others = await calls.history(tx, make.ACCOUNT, CALLER, apart_from="call_9")
        nobody = await calls.history(tx, make.ACCOUNT, "+12125550100", apart_from="call_9")
    saved = third[-1].step.call
    assert (own.version, own.calls) == (1, ())
    assert nobody == calls.History(version=0, calls=())
    (past,) = others.calls
    assert (past.call_id, past.buyer_id, past.campaign_group) == ("call_1", "buy_1", "plumbers")
    assert (past.connected_at, past.converted_at, past.paid_at) == (
        saved.connected_at,
        saved.converted_at,
        saved.paid_at,
    )


async def test_an_arrival_is_told_of_the_last_call_and_the_history_at_once(db: Database) -> None:
    async def before(campaign_id: str) -> tuple[datetime | None, calls.History]:
        async with db.session() as tx:
            return await calls.before_arrival(tx, make.ACCOUNT, campaign_id, CALLER)

    assert await before(make.CAMPAIGN) == (None, calls.History(version=0, calls=()))
    first, second, third, _ = whole_call()
    await save(db, first, new=True)
    assert await before(make.CAMPAIGN) == (AT, calls.History(version=0, calls=()))
    await save(db, second)
    await save(db, third, caller_version=0)
    async with db.session() as tx:
        history = await calls.history(tx, make.ACCOUNT, CALLER, apart_from="call_9")
    assert len(history.calls) == 1
    assert await before(make.CAMPAIGN) == (AT, history)
    assert await before("cmp_other") == (None, history)


async def test_an_attempt_that_is_as_it_was_saved_is_not_written_again(db: Database) -> None:
    first, second, third, fourth = whole_call()
    await save(db, first, new=True)
    await save(db, second, before=first[-1].step.call.attempts)
    await save(db, third, caller_version=0, before=second[-1].step.call.attempts)

    async def row() -> tuple[str, str]:
        async with db.session() as tx:
            found = await tx.fetchrow("select state, xmin::text as written_by from attempt")
        assert found is not None
        return found["state"], found["written_by"]

    settled = await row()
    assert settled[0] == "ended"
    assert fourth[-1].step.call.attempts == third[-1].step.call.attempts
    await save(db, fourth, before=third[-1].step.call.attempts)
    assert await row() == settled


async def test_the_rotation_is_least_recently_reserved_first_and_new_offers_join_its_tail(
    db: Database,
) -> None:
    async def rotation(*offers: str) -> tuple[str, ...]:
        async with db.session() as tx:
            past = await calls.past_routes(
                tx,
                make.ACCOUNT,
                make.CAMPAIGN,
                caller=None,
                apart_from="call_9",
                rotating=offers,
                joins_at=AT - timedelta(seconds=1),
            )
        return past.rotation

    assert await rotation("off_2", "off_1", "off_3") == ("off_2", "off_1", "off_3")
    first, second, *_ = whole_call()
    await save(db, first, new=True)
    await save(db, second)
    assert await rotation("off_2", "off_1", "off_3") == ("off_2", "off_3", "off_1")


async def test_the_ledger_refuses_what_does_not_sum_to_zero_and_any_change(db: Database) -> None:
    unbalanced = (
        '[{"key":"k","kind":"deposit","at":"2026-11-20T18:00:00Z","rating_revision":0,"reason":"",'
        '"postings":[{"account":"cash","owner_id":"","micros":5}]}]'
    )
    async with db.session() as tx:
        with pytest.raises(Exception, match="sum to 5, not zero"):
            await tx.fetchval("select book($1, $2)", make.ACCOUNT, unbalanced)
    first, second, third, _ = whole_call()
    await save(db, first, new=True)
    await save(db, second)
    await save(db, third, caller_version=0)
    async with db.session() as tx:
        with pytest.raises(Exception, match="append-only"):
            await tx.execute("update posting set amount_micros = 0")
        with pytest.raises(Exception, match="append-only"):
            await tx.execute("delete from ledger_transaction")
