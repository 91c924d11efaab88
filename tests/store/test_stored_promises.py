"""The promises from raw rows: a healthy history keeps them, and every corrupted row breaks its own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from promise_corruptions import CORRUPTIONS, one_more

import make
from callmatrix.core.call import events as ev
from callmatrix.core.call import step
from callmatrix.core.call.commands import Look, Reserve, Settle
from callmatrix.core.campaign import FallbackNumber
from callmatrix.core.caps import CountCap, Limits, MoneyCap
from callmatrix.core.documents import encode_text
from callmatrix.core.hours import Hours, Span
from callmatrix.core.ids import CallId, CampaignId
from callmatrix.core.plan import CompiledPlan, compile_plan
from callmatrix.core.routing import Looked
from callmatrix.live.calls import granted
from callmatrix.sim import promises as simulated
from callmatrix.store import calls, capacity, promises, reservations
from callmatrix.store.calls import Taken
from callmatrix.store.db import Database
from callmatrix.store.kinds import kind_of
from callmatrix.store.promises import PROMISES, Broken, counterexamples, verdicts

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
CONFIGURED_AT = MONDAY - timedelta(days=3)
NOW = MONDAY + timedelta(days=4)
EVENINGS_OFF = Hours(
    time_zone="UTC",
    spans=tuple(Span(day=day, opens_minute=8 * 60, closes_minute=18 * 60) for day in range(5)),
)
OFFERS = (
    make.offer(
        1,
        hours=EVENINGS_OFF,
        limits=Limits(
            caps=(
                CountCap(metric="conversion", window="day", limit=2),
                MoneyCap(metric="revenue", window="week", limit=make.usd("87")),
            ),
            concurrency=1,
        ),
    ),
    make.offer(2, limits=Limits(spacing_s=30)),
)
PLAN_DOCUMENT = make.plan_document(
    *OFFERS,
    limits=Limits(caps=(CountCap(metric="attempt", window="total", limit=5),)),
    fallback=FallbackNumber(number="+14155550111"),
)
PLAN = compile_plan(PLAN_DOCUMENT)


NO_PLAN = "There is no version 1 of the plan of cmp_1"


async def the_plan(campaign_id: CampaignId, version: int) -> CompiledPlan:
    assert (campaign_id, version) == (make.CAMPAIGN, 1)
    return PLAN


async def configure(db: Database, document: Any, *, revision: int = 1, at: datetime = CONFIGURED_AT) -> None:
    """A revision as the catalog writes it; what it refers to is left out."""
    async with db.transaction() as tx:
        await tx.execute("set local session_replication_role = replica")
        await tx.execute(
            "insert into config_revision (account_id, kind, id, revision, document, what, changed_by,"
            " changed_at, note) values ($1, $2, $3, $4, $5, 'change', 'test', $6, '')",
            make.ACCOUNT,
            kind_of(document),
            document.id,
            revision,
            encode_text(document),
            at,
        )
        await capacity.keep(tx, make.ACCOUNT, None, document, now=at)


class Driver:
    """Drives one call as the live layer does, but one thing after another and by the given clock."""

    def __init__(self, db: Database, number: int, at: datetime) -> None:
        self.db, self.at, self.new = db, at, True
        self.call = make.call(id=CallId(f"call_{number}"))

    def later(self, seconds: int) -> datetime:
        self.at += timedelta(seconds=seconds)
        return self.at

    async def take(self, event: ev.Event) -> None:
        """Take an event, save the step, and do what it orders until nothing is open."""
        taken = step(self.call, event, PLAN)
        history = isinstance(event, ev.LegEnded | ev.Adjusted)
        async with self.db.session() as tx:
            version = await calls.history(tx, make.ACCOUNT, str(taken.call.caller), apart_from=self.call.id)
            saved = await calls.save(
                tx,
                (Taken(event=event, step=taken),),
                new=self.new,
                campaign_group="",
                saved_at=self.at,
                caller_version=version.version if history else None,
            )
        assert saved == "saved"
        self.call, self.new = taken.call, False
        for command in taken.commands:
            match command:
                case Look():
                    await self.take(ev.Looked(at=self.at, draw=1, world=Looked()))
                case Reserve(claim=claim):
                    async with self.db.session() as tx:
                        (answer,) = await reservations.reserve_batch(
                            tx, make.ACCOUNT, [claim], now=self.at, catalog_version=1
                        )
                    assert not isinstance(answer, reservations.Stale)
                    await self.take(granted(answer, at=self.at))
                case Settle(settlement=settlement):
                    async with self.db.session() as tx:
                        await reservations.settle_batch(tx, make.ACCOUNT, [settlement], now=self.at)

    async def leg_ends(self, outcome: ev.Outcome, *, seconds: int = 5) -> None:
        attempt = next(one for one in self.call.attempts if not one.settled and one.dialled_at)
        talked = {"leg_ms": seconds * 1_000, "bridged_ms": seconds * 1_000} if outcome == "answered" else {}
        await self.take(ev.LegEnded(at=self.later(seconds), attempt_id=attempt.id, outcome=outcome, **talked))


async def drive(db: Database, number: int, at: datetime, *outcomes: ev.Outcome) -> Driver:
    """A call whose legs end like this, one after another; answered ones last 90 s."""
    driver = Driver(db, number, at)
    await driver.take(
        ev.Arrived(
            at=at,
            draw=7,
            caller=f"+1415555{number:04}",
            dialed="+14155550100",
            number_id="num_1",
            connection_id=make.CONNECTION,
            carrier_ref=f"CA{number}",
            publisher_id=make.PUBLISHER,
        )
    )
    for outcome in outcomes:
        await driver.leg_ends(outcome, seconds=90 if outcome == "answered" else 5)
    await driver.take(ev.CallEnded(at=driver.later(1), reason="hung_up", duration_ms=100_000))
    assert driver.call.cost_booked
    return driver


async def history(db: Database) -> None:
    """Calls on a Monday: two for offer 1, whose cap is full then, one busy and then offer 2, one credited."""
    for document in (
        PLAN.account,
        PLAN.campaign,
        *PLAN.offers.values(),
        *PLAN.buyers.values(),
        make.publisher(),
    ):
        await configure(db, document)
    await drive(db, 1, MONDAY + timedelta(hours=9), "answered")
    await drive(db, 2, MONDAY + timedelta(hours=10), "busy", "answered")
    third = await drive(db, 3, MONDAY + timedelta(hours=11), "answered")
    await third.take(
        ev.Adjusted(
            at=third.later(3_600),
            credit=make.usd("9"),
            clawback=make.usd("4"),
            reason="wrong zip",
            by="usr_1",
        )
    )
    # conversions of offer 1 are used up, offer 2 takes it
    await drive(db, 4, MONDAY + timedelta(hours=12), "answered")


async def broken(db: Database, **changes: Any) -> list[tuple[str, str]]:
    given = {"now": NOW, "plan_of": the_plan}
    return [(one.name, one.text) for one in await counterexamples(db, make.ACCOUNT, **{**given, **changes})]


async def corrupt(db: Database, *statements: str) -> None:
    async with db.transaction() as tx:
        await tx.execute("set local session_replication_role = replica")
        for statement in statements:
            await tx.execute(statement)


async def test_a_healthy_history_keeps_every_promise(db: Database) -> None:
    await history(db)
    assert await broken(db) == []
    async with db.session() as tx:
        rows = await tx.fetch("select attempt_id, state from reservation order by attempt_id")
    assert [tuple(row) for row in rows] == [
        ("call_1-1", "settled"),
        ("call_2-1", "released"),
        ("call_2-2", "settled"),
        ("call_3-1", "settled"),
        ("call_4-1", "denied"),
        ("call_4-2", "settled"),
    ]


@pytest.mark.parametrize(("statements", "name", "texts"), CORRUPTIONS)
async def test_a_corrupted_row_breaks_its_promise_and_is_named(
    db: Database, statements: tuple[str, ...], name: str, texts: tuple[str, ...]
) -> None:
    await history(db)
    await corrupt(db, *statements)
    found = await broken(db)
    assert tuple(text for promise, text in found if promise == name) == texts


def test_there_is_a_corruption_for_every_promise() -> None:
    assert {name for _, name, _ in CORRUPTIONS} == set(PROMISES)


def test_the_store_checks_the_promises_that_the_simulator_checks() -> None:
    assert PROMISES == simulated.PROMISES


async def test_a_limit_lowered_below_its_use_is_not_exceeded_and_refuses_from_then_on(db: Database) -> None:
    await history(db)
    lowered = msgspec.structs.replace(
        OFFERS[0], limits=Limits(caps=(CountCap(metric="conversion", window="day", limit=1),))
    )
    await configure(db, lowered, revision=2, at=MONDAY + timedelta(hours=15))
    assert await broken(db) == []
    await corrupt(db, one_more("call_1-1", shift="7 hours", revenue_micros="0"))
    assert await broken(db) == [
        (
            "no_cap_is_exceeded",
            "reservation extra: offer:off_1 had 2 of 1 conversion by day at 2026-11-16 16:00:00+00:00, "
            "and 1 more was granted",
        )
    ]


async def test_a_grant_next_to_a_change_is_judged_by_either_configuration(db: Database) -> None:
    await history(db)
    paused = msgspec.structs.replace(OFFERS[1], status="paused")
    await configure(db, paused, revision=2, at=MONDAY + timedelta(hours=12, seconds=-3))
    assert await broken(db) == []


async def test_a_plan_that_is_kept_no_more_is_a_counterexample(db: Database) -> None:
    await history(db)
    found = await broken(db, plan_of=None)
    assert found == [
        ("replay_gives_the_same_call", f"call call_{n}: there is no plan 1 of cmp_1: {NO_PLAN}")
        for n in range(1, 5)
    ]


async def test_the_verdict_names_every_promise(db: Database) -> None:
    await history(db)
    assert await promises.check(db, make.ACCOUNT, now=NOW) == {
        name: name != "replay_gives_the_same_call" for name in PROMISES
    }
    (one,) = (Broken(name="every_call_ends", text="call call_1: dialling since then"),)
    assert verdicts((one,)) == {name: name != "every_call_ends" for name in PROMISES}


async def test_no_more_than_so_many_counterexamples_are_told(db: Database) -> None:
    await corrupt(
        db,
        "insert into ledger_transaction (account_id, key, kind, at, rating_revision, reason)"
        " select 'acc_1', 'k' || n, 'deposit', '2026-11-16', 0, '' from generate_series(1, 50) n",
    )
    found = await broken(db)
    assert len(found) == promises.MAX_COUNTEREXAMPLES
