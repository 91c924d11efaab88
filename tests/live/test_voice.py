"""What a carrier's webhook leads to: whose call it is, and what its caller hears."""

import msgspec

import make
import saved
from callmatrix.core.campaign import Campaign, FallbackNumber, Screening
from callmatrix.core.ids import ConnectionId
from callmatrix.live.voice import ARRIVAL_KEY
from callmatrix.store import catalog, lifecycle, seals
from callmatrix.store.db import Database
from served import (
    CALLER,
    DIALED,
    EVERYTHING,
    KEY,
    SECRET,
    TALKED,
    Line,
    Process,
    Start,
    SteeredWorld,
    one,
    rows,
    save_network,
)

OTHER = ConnectionId("con_2")


async def save_other_connection(db: Database) -> None:
    async with db.transaction() as tx:
        await catalog.create(tx, make.ACCOUNT, make.connection(id=OTHER), by=saved.BY)
        await seals.set_secrets(tx, make.ACCOUNT, OTHER, {"signing": SECRET}, key=KEY, by=saved.BY)


async def test_a_callback_for_another_connections_call_is_not_found_and_changes_nothing(
    db: Database, start: Start
) -> None:
    await save_network(db)
    await save_other_connection(db)
    process = await start()
    line = Line(process)
    await line.arrive()
    before = await rows(db, *EVERYTHING)
    for kind, params in (
        ("dial/1", TALKED),
        ("leg/1", {"CallStatus": "completed"}),
        ("status/0", {"CallStatus": "completed"}),
    ):
        answer = await process.post(f"/voice/{OTHER}/{line.call_id}/{kind}", line.params(**params))
        assert (answer.status, answer.problem()["code"]) == (404, "not_found")
    # By the carrier's own id of the call, too: it is another carrier account's.
    answer = await process.post(f"/voice/{OTHER}/status", line.params(CallStatus="completed"))
    assert (answer.status, answer.body) == (200, b"")
    assert await rows(db, *EVERYTHING) == before


async def test_the_same_carrier_reference_at_two_connections_is_two_calls(db: Database, start: Start) -> None:
    await save_network(db)
    await save_other_connection(db)
    async with db.transaction() as tx:
        await catalog.create(tx, make.ACCOUNT, saved.number(2, connection_id=OTHER), by=saved.BY)
    process = await start()
    line = Line(process, caller="anonymous")
    await line.arrive()
    params = {**line.params(CallStatus="ringing"), "To": "+18885550102"}
    answer = await process.post(f"/voice/{OTHER}", params)
    assert "/dial/1" in answer.text
    assert await one(db, "select array_agg(connection_id order by connection_id) from call") == [
        make.CONNECTION,
        OTHER,
    ]
    assert await one(db, "select array_agg(distinct key) from callback") == [ARRIVAL_KEY]


async def test_a_number_that_is_not_assigned_is_nobodys(db: Database, start: Start) -> None:
    await save_network(db)
    process = await start()
    async with db.transaction() as tx:
        await catalog.change(tx, make.ACCOUNT, saved.number(status="available", assignments=()), by=saved.BY)
    await process.app.catalog.refresh(make.ACCOUNT)
    answer = await Line(process).arrive()
    assert "not in service" in answer.text
    assert await one(db, "select array_agg(dialed || ' ' || caller) from unknown_call") == [
        f"{DIALED} {CALLER}"
    ]


async def test_a_paused_campaign_gives_its_closed_treatment_and_a_resumed_one_its_buyers(
    db: Database, start: Start
) -> None:
    await save_network(db)
    process = await start()
    async with db.transaction() as tx:
        await lifecycle.pause(tx, make.ACCOUNT, Campaign, make.CAMPAIGN, by=saved.BY)
    await process.app.catalog.refresh(make.ACCOUNT)
    answer = await Line(process, sid="CA1", caller="anonymous").arrive()
    assert "We are closed right now." in answer.text
    async with db.transaction() as tx:
        await lifecycle.resume(tx, make.ACCOUNT, Campaign, make.CAMPAIGN, by=saved.BY)
    await process.app.catalog.refresh(make.ACCOUNT)
    answer = await Line(process, sid="CA2", caller="anonymous").arrive()
    assert "/dial/1" in answer.text
    assert await one(db, "select array_agg(end_reason order by carrier_ref) from call") == [
        "campaign_paused",
        "",
    ]


async def test_the_same_caller_within_seconds_is_rejected(
    db: Database, start: Start, world: SteeredWorld
) -> None:
    await save_network(db, screening=Screening(repeat_within_s=10))
    process = await start()
    await Line(process, sid="CA1").arrive()
    world.go_on(9)
    answer = await Line(process, sid="CA2").arrive()
    assert '<Reject reason="rejected"/>' in answer.text
    world.go_on(10)
    assert "/dial/1" in (await Line(process, sid="CA3").arrive()).text
    assert await one(db, "select array_agg(blocked order by carrier_ref) from call") == ["", "repeat", ""]


async def test_a_fallback_number_is_dialled_with_a_reservation_when_no_buyer_answers(
    db: Database, start: Start
) -> None:
    await save_network(db, make.offer(1), fallback=FallbackNumber(number="+18885550155"))
    process = await start()
    line = Line(process)
    await line.arrive()
    answer = await line.tell("dial", 1, DialCallStatus="no-answer")
    assert "+18885550155" in answer.text
    assert await one(db, "select array_agg(offer_id order by attempt_id) from reservation") == [
        "off_1",
        None,
    ]
    last = await line.tell("dial", 2, DialCallStatus="busy")
    assert "Nobody can take your call right now." in last.text
    await process.settled()
    assert await one(db, "select count(*) from reservation where state = 'held'") == 0


async def test_pauses_are_seen_by_the_reservation_although_the_process_has_not_heard_of_them(
    db: Database, start: Start
) -> None:
    """The masks are stale: the reservation finds newer configuration, and the offer is checked again."""
    await save_network(db)
    process: Process = await start()
    async with db.transaction() as tx:
        offer = msgspec.structs.replace(make.offer(1), status="paused")
        await catalog.change(tx, make.ACCOUNT, offer, by=saved.BY)
    answer = await Line(process).arrive()
    assert "/dial/2" in answer.text or make.offer(2).destination.number in answer.text
    assert await one(db, "select array_agg(offer_id) from reservation where state = 'held'") == ["off_2"]
