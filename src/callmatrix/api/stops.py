"""Stop now: ending a call that is up, all of a campaign's, or everything."""

from typing import Final

import msgspec

from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.core.campaign import Campaign
from callmatrix.core.ids import CallId, CampaignId
from callmatrix.live import stops
from callmatrix.live.stops import Stopped
from callmatrix.store import audit, catalog, lifecycle
from callmatrix.store.audit import Act, By


class StopBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing more to say."""


class StoppedCalls(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the order, by call: `ending` (the carrier took it), `over`, or `refused`."""

    calls: dict[str, Stopped]


class StoppedEverything(msgspec.Struct, frozen=True, kw_only=True):
    """The campaigns that were paused, and what came of the order to end each call that was up."""

    campaigns: tuple[str, ...]
    calls: dict[str, Stopped]


async def stop_call(ask: Ask) -> Reply:
    """End one call."""
    call_id = CallId(ask.path["id"])
    stopped = await stops.stop_call(ask.app, ask.who.account_id, call_id)
    await _record(ask, kind="call", target_id=call_id, stopped=1)
    return Reply(value=StoppedCalls(calls={call_id: stopped}))


async def stop_campaign(ask: Ask) -> Reply:
    """Pause a campaign and end its calls."""
    account_id, campaign_id = ask.who.account_id, CampaignId(ask.path["id"])
    async with ask.app.db.transaction() as tx:
        stored = await catalog.get(tx, account_id, Campaign, campaign_id)
        if stored.document.status == "live":
            by = By(who=ask.who.id, at=ask.now, note="Stop now")
            await lifecycle.pause(tx, account_id, Campaign, campaign_id, by=by)
    found = await stops.stop_campaign(ask.app, account_id, campaign_id)
    await _record(ask, kind="campaign", target_id=campaign_id, stopped=len(found))
    return Reply(value=StoppedCalls(calls={str(call_id): stopped for call_id, stopped in found.items()}))


async def stop_everything(ask: Ask) -> Reply:
    """Pause every live campaign, then end every call. First all are paused, so that no new call comes while
    the calls of others are being ended."""
    account_id = ask.who.account_id
    by = By(who=ask.who.id, at=ask.now, note="Stop everything")
    paused: list[str] = []
    async with ask.app.db.transaction() as tx:
        for stored in await catalog.get_many(tx, account_id, Campaign):
            if stored.document.status == "live" and not stored.archived:
                await lifecycle.pause(tx, account_id, Campaign, stored.document.id, by=by)
                paused.append(stored.document.id)
    found = await stops.stop_everything(ask.app, account_id)
    await _record(ask, kind="account", target_id=account_id, stopped=len(found))
    calls = {str(call_id): stopped for call_id, stopped in found.items()}
    return Reply(value=StoppedEverything(campaigns=tuple(paused), calls=calls))


async def _record(ask: Ask, *, kind: str, target_id: str, stopped: int) -> None:
    act = Act(what="stop_now", kind=kind, target_id=target_id, details={"calls": str(stopped)})
    async with ask.app.db.transaction() as tx:
        await audit.record(tx, ask.who.account_id, act, by=By(who=ask.who.id, at=ask.now))


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/api/stop",
        name="stop_everything",
        tag="campaigns",
        summary="Stop everything: pause every live campaign and end the calls that are up",
        permission="change_config",
        body=StopBody,
        returns=StoppedEverything,
        example=StopBody(),
        refusals=("conflict",),
        run=stop_everything,
    ),
    Operation(
        method="POST",
        path="/api/calls/{id}/stop",
        name="stop_call",
        tag="calls",
        summary="Stop now: end a call that is up, with all its legs",
        permission="change_calls",
        body=StopBody,
        returns=StoppedCalls,
        example=StopBody(),
        refusals=("conflict",),
        run=stop_call,
    ),
    Operation(
        method="POST",
        path="/api/campaigns/{id}/stop",
        name="stop_campaign",
        tag="campaigns",
        summary="Stop now: pause the campaign and end its calls that are up",
        permission="change_config",
        body=StopBody,
        returns=StoppedCalls,
        example=StopBody(),
        refusals=("conflict",),
        run=stop_campaign,
    ),
)
