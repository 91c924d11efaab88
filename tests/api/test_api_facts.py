"""Figures over HTTP: sums by what calls have in common, each role's own, and what is nearly full."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

import make
import saved
from callmatrix.api.facts import FactsQuery, bounds
from callmatrix.core.caps import CountCap, Limits
from callmatrix.core.errors import Refused
from callmatrix.live.app import App
from callmatrix.store import catalog
from conftest import Client
from placed import place

MONEY = "revenue,payout,cost,profit"


def told(**figures: Any) -> dict[str, Any]:
    names = ("received", "connected", "converted", "paid", "blocked", "bridged_ms", *MONEY.split(","))
    return dict.fromkeys(names) | figures


async def test_calls_are_summed_by_what_they_have_in_common(app: App, admin: Client) -> None:
    since = app.world.now() - timedelta(days=2)
    await place(app, "call_1", minutes_ago=60)
    await place(app, "call_2", minutes_ago=30, talked_s=10, caller="+12125550100")
    await place(app, "call_3", minutes_ago=10, first_busy=True, caller="+12125550101")
    ends = app.world.now().isoformat().replace("+00:00", "Z")
    window = f"since={since.isoformat().replace('+00:00', 'Z')}&until={ends}"
    answer = await admin.get(f"/api/facts?{window}&metrics=received,connected,converted,{MONEY}&by=offer_id")
    total = answer["total"]
    assert total == told(
        received=3,
        connected=3,
        converted=2,
        revenue="57.00",
        payout="28.50",
        cost=total["cost"],
        profit=str(Decimal("28.50") - Decimal(total["cost"])),
    )
    assert Decimal(total["cost"]) > 0
    assert [(one["by"], one["figures"]["received"]) for one in answer["groups"]] == [
        ({"offer_id": "off_1"}, 2),
        ({"offer_id": "off_2"}, 1),
    ]
    assert (answer["group_count"], answer["zone"]) == (2, make.account().time_zone)
    one = await admin.get(f"/api/facts?{window}&metrics=received&by=offer_id&limit=1")
    assert [group["by"]["offer_id"] for group in one["groups"]] == ["off_1"]
    assert (one["total"], one["group_count"]) == (told(received=3), 2)
    filtered = await admin.get(f"/api/facts?{window}&metrics=received&offer_id=off_2")
    assert (filtered["total"], filtered["groups"], filtered["group_count"]) == (told(received=1), [], 0)


async def test_times_are_those_of_the_zone_that_was_asked_for(app: App, admin: Client) -> None:
    await place(app, "call_1", minutes_ago=26 * 60)
    await place(app, "call_2", minutes_ago=1)
    since = (app.world.now() - timedelta(days=3)).isoformat().replace("+00:00", "Z")
    until = (app.world.now() + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    query = f"since={since}&until={until}&metrics=received&by=day&zone=Asia/Kolkata"
    answer = await admin.get(f"/api/facts?{query}")
    days = [datetime.fromisoformat(one["by"]["day"]) for one in answer["groups"]]
    assert [(day.astimezone(UTC).hour, day.minute) for day in days] == [(18, 30), (18, 30)]
    assert days == sorted(days)


async def test_each_role_sums_its_own_calls_and_is_not_told_what_is_others(
    app: App, people: dict[str, Client]
) -> None:
    await place(app, "call_1", minutes_ago=60)
    await place(app, "call_2", minutes_ago=30, first_busy=True)
    since = (app.world.now() - timedelta(days=1)).isoformat().replace("+00:00", "Z")
    until = (app.world.now() + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    window = f"/api/facts?since={since}&until={until}"
    buyers = await people["buyer"].get(f"{window}&metrics=received,revenue")
    assert buyers["total"] == told(received=1, revenue="29.00")
    publishers = await people["publisher"].get(f"{window}&metrics=received,payout")
    assert publishers["total"] == told(received=2, payout="28.50")
    for role, query in (
        ("buyer", "metrics=profit"),
        ("buyer", "metrics=received&by=publisher_id"),
        ("publisher", "metrics=revenue"),
        ("publisher", "metrics=received&buyer_id=buy_1"),
    ):
        answer = await people[role].ask("GET", f"{window}&{query}")
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), (role, query)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("metrics=received;drop", "metrics"),
        ("range=today&metrics=secrets", "metrics"),
        ("range=today&by=document", "by"),
        ("range=today&by=campaign_id,buyer_id,offer_id,day,hour", "by"),
        ("range=today&zone=Mars/Base", "zone"),
        ("range=today&since=2026-07-01T00:00:00Z", "range"),
        ("since=2026-07-01T00:00:00Z", "since"),
        ("since=2026-07-01T00:00:00Z&until=2026-06-01T00:00:00Z", "since"),
        ("since=2020-07-01T00:00:00Z&until=2026-06-01T00:00:00Z", "since"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused_by_name(
    query: str, field: str, admin: Client
) -> None:
    answer = await admin.ask("GET", f"/api/facts?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["problems"][0]["field"] == field


@pytest.mark.parametrize(
    ("asked", "since", "until"),
    [
        # The clocks went back on 1 November: that day had 25 hours.
        ({"range": "today"}, "2026-11-02T05:00:00Z", "2026-11-02T15:30:00Z"),
        ({"range": "yesterday"}, "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
        ({"range": "today", "back_days": 1}, "2026-11-01T04:00:00Z", "2026-11-01T15:30:00Z"),
        ({"range": "today", "back_days": 7}, "2026-10-26T04:00:00Z", "2026-10-26T14:30:00Z"),
        ({"range": "last_7_days"}, "2026-10-26T04:00:00Z", "2026-11-02T05:00:00Z"),
        ({"range": "this_month"}, "2026-11-01T04:00:00Z", "2026-11-02T15:30:00Z"),
        ({"range": "last_month"}, "2026-10-01T04:00:00Z", "2026-11-01T04:00:00Z"),
    ],
)
def test_ranges_are_days_of_the_zone_up_to_the_same_time_of_day(
    asked: dict[str, Any], since: str, until: str
) -> None:
    now = datetime(2026, 11, 2, 15, 30, tzinfo=UTC)
    found = bounds(FactsQuery(**asked), now=now, time_zone="America/New_York")
    assert found == (datetime.fromisoformat(since), datetime.fromisoformat(until))


def test_a_range_without_an_end_is_refused() -> None:
    with pytest.raises(Refused, match="missing or empty"):
        bounds(FactsQuery(), now=datetime(2026, 11, 2, tzinfo=UTC), time_zone="UTC")


async def test_a_cap_that_is_nearly_used_is_told_and_one_that_is_not_is_not(app: App, admin: Client) -> None:
    limits = Limits(caps=(CountCap(metric="attempt", window="day", limit=4),))
    async with app.db.transaction() as tx:
        offer = msgspec.structs.replace(make.offer(1), limits=limits)
        await catalog.change(tx, make.ACCOUNT, offer, by=saved.BY)
    await app.catalog.refresh(make.ACCOUNT)
    for number in range(2):
        await place(app, f"call_{number}", minutes_ago=0, caller=f"+1212555010{number}")
    assert (await admin.get("/api/caps/near?percent=70"))["items"] == []
    await place(app, "call_2", minutes_ago=0, caller="+12125550107")
    (near,) = (await admin.get("/api/caps/near?percent=70"))["items"]
    assert near["owner"] == {"kind": "offer", "id": "off_1"}
    assert [(cap["used"], cap["limit"]) for cap in near["caps"]] == [("3", "4")]
