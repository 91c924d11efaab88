"""Calls for the API's tests, made by the events that a carrier would bring."""

from datetime import timedelta

import make
from callmatrix.core.call import Call, events
from callmatrix.core.ids import AttemptId, CallId, NumberId
from callmatrix.live import calls
from callmatrix.live.app import App
from callmatrix.store.calls import CallbackKey

CALLER = "+14155550100"
DIALED = "+14155550199"


def _key(call_id: str, name: str) -> CallbackKey:
    return CallbackKey(connection_id=make.CONNECTION, carrier_ref=f"ref-{call_id}", key=name)


async def place(
    app: App,
    name: str,
    *,
    caller: str | None = CALLER,
    talked_s: int = 120,
    minutes_ago: int = 60,
    tags: dict[str, str] | None = None,
    first_busy: bool = False,
) -> CallId:
    """A call that the best offer (or, where that is busy, the next) answers, talks `talked_s` and ends."""
    call_id = CallId(name)
    at = app.world.now() - timedelta(minutes=minutes_ago)
    plan = app.catalog.plan(make.ACCOUNT, make.CAMPAIGN)
    assert plan is not None
    arrived = events.Arrived(
        at=at,
        draw=7,
        caller=caller,
        dialed=DIALED,
        number_id=NumberId("num_1"),
        connection_id=make.CONNECTION,
        carrier_ref=f"ref-{name}",
        publisher_id=make.PUBLISHER,
        tags=tags or {},
    )
    begun = Call(id=call_id, account_id=make.ACCOUNT, campaign_id=make.CAMPAIGN, plan_version=plan.version)
    await calls.begin(app, begun, plan, arrived, callback=_key(name, "arrived"), respond=calls.no_reply)
    ended_at = at + timedelta(seconds=talked_s + 5)
    busy = events.LegEnded(at=at, attempt_id=AttemptId(f"{call_id}-1"), outcome="busy")
    leg = events.LegEnded(
        at=ended_at,
        attempt_id=AttemptId(f"{call_id}-{2 if first_busy else 1}"),
        outcome="answered",
        ring_ms=4_000,
        leg_ms=talked_s * 1_000,
        bridged_ms=talked_s * 1_000,
        ended_by="caller",
        caller_gone=True,
    )
    ended = events.CallEnded(
        at=ended_at, reason="hung_up", duration_ms=(talked_s + 5) * 1_000, ended_by="caller"
    )
    for number, event in enumerate((busy, leg, ended) if first_busy else (leg, ended)):
        await calls.receive(
            app,
            make.ACCOUNT,
            call_id,
            event,
            callback=_key(name, f"event {number}"),
            respond=calls.no_reply,
        )
    return call_id
