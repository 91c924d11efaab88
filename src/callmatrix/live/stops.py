"""Stop now: ends calls that are up, through their carrier. A pause alone lets them go on (rule 1)."""

from typing import Final, Literal

from callmatrix.core.call.value import Call
from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId, CallId, CampaignId
from callmatrix.dialects.carriers.rest import hang_up_request, read_hang_up
from callmatrix.live import calls
from callmatrix.live.app import App
from callmatrix.live.outbound import exchange
from callmatrix.store import sweeps

MAX_STOPPED: Final = sweeps.MAX_FOUND

# `ending`: the carrier took the order, and will tell how the call ended. `over`: it had ended already.
Stopped = Literal["ending", "over", "refused"]


async def stop_call(app: App, account_id: AccountId, call_id: CallId) -> Stopped:
    """Tell the carrier to end a call with all its legs; settlement follows the carrier's own callbacks.

    Raises `Refused("not_found")`, and `("conflict")` where the connection has no REST interface to ask.
    """
    call, _ = await calls.load(app, account_id, call_id)
    if call.state == "ended":
        return "over"
    return await _hang_up(app, call)


async def stop_campaign(app: App, account_id: AccountId, campaign_id: CampaignId) -> dict[CallId, Stopped]:
    """End every call of a campaign that is up, the oldest `MAX_STOPPED` of them."""
    async with app.db.session() as tx:
        found = await sweeps.calls_up(tx, account_id, campaign_id)
    return {call_id: await stop_call(app, account_id, call_id) for call_id in found}


async def stop_everything(app: App, account_id: AccountId) -> dict[CallId, Stopped]:
    """End every call that is up, the oldest `MAX_STOPPED` of them; one that can't be ended keeps none of the
    others from it."""
    async with app.db.session() as tx:
        found = await sweeps.calls_up(tx, account_id, None)
    stopped: dict[CallId, Stopped] = {}
    for call_id in found:
        try:
            stopped[call_id] = await stop_call(app, account_id, call_id)
        except Refused:
            stopped[call_id] = "refused"
    return stopped


async def _hang_up(app: App, call: Call) -> Stopped:
    wired = app.catalog.connection(call.connection_id) if call.connection_id is not None else None
    if wired is None:
        raise Refused("conflict", f"The connection of {call.id} is not in force: end the call at the carrier")
    request = hang_up_request(wired.connection, secrets=wired.secrets, carrier_ref=call.carrier_ref)
    if request is None:
        remedy = "give it a rest_url and an account_sid, or end the call at the carrier"
        raise Refused("conflict", f"{wired.connection.name} has no REST interface to ask: {remedy}")
    return "ending" if read_hang_up(await exchange(app.outbound, request)) else "refused"
