"""The carrier's REST interface: what a customer may ask of calls afterwards, and hanging one up."""

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable
from datetime import datetime
from email.utils import format_datetime

from aiohttp import web

from callmatrix.gateway.carrier import CallResource, Carrier
from callmatrix.gateway.interpreter import API_VERSION

MAX_FORM_BYTES = 16 * 1024
_ENDINGS = frozenset({"completed", "canceled"})

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def rest_app(carrier: Carrier) -> web.Application:
    """An application answering Twilio's paths under basic authentication by account sid and auth token.

    GET `/2010-04-01/Accounts/{sid}/Calls/{CallSid}.json`, GET `…/Calls.json?ParentCallSid=`, and POST
    `…/Calls/{CallSid}.json` with Status=completed (or canceled), which ends a call or leg.
    """

    @web.middleware
    async def signed_in(request: web.Request, handler: Answer) -> web.StreamResponse:
        if not _may(request.headers.get("Authorization", ""), carrier):
            challenge = {"WWW-Authenticate": 'Basic realm="gateway"'}
            return _problem(401, 20003, "Authenticate", challenge)
        if request.match_info.get("account") != carrier.account_sid:
            return _problem(404, 20404, "The requested resource was not found")
        return await handler(request)

    async def show(request: web.Request) -> web.StreamResponse:
        return _shown(carrier.fetch_call(request.match_info["call"]))

    async def end(request: web.Request) -> web.StreamResponse:
        sid = request.match_info["call"]
        found = carrier.fetch_call(sid)
        if found is None:
            return _shown(None)
        wanted = (await request.post()).get("Status")
        if wanted not in _ENDINGS:
            return _problem(400, 20001, "Status must be completed or canceled")
        if not carrier.hang_up(sid):
            return _problem(400, 21220, "Call is not in-progress. Cannot redirect.")
        return _shown(carrier.fetch_call(sid))

    async def children(request: web.Request) -> web.StreamResponse:
        parent = request.query.get("ParentCallSid", "")
        calls = [_as_json(resource) for resource in carrier.child_calls(parent)]
        return web.json_response({"calls": calls, "page": 0, "page_size": len(calls), "next_page_uri": None})

    app = web.Application(middlewares=[signed_in], client_max_size=MAX_FORM_BYTES)
    account = f"/{API_VERSION}/Accounts/{{account}}"
    app.router.add_get(f"{account}/Calls.json", children)
    app.router.add_get(f"{account}/Calls/{{call}}.json", show)
    app.router.add_post(f"{account}/Calls/{{call}}.json", end)
    return app


def _may(header: str, carrier: Carrier) -> bool:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(given, f"{carrier.account_sid}:{carrier.auth_token}".encode())


def _problem(
    status: int, code: int, message: str, headers: dict[str, str] | None = None
) -> web.StreamResponse:
    return web.json_response(
        {"code": code, "message": message, "status": status}, status=status, headers=headers
    )


def _shown(resource: CallResource | None) -> web.StreamResponse:
    if resource is None:
        return _problem(404, 20404, "The requested resource was not found")
    return web.json_response(_as_json(resource))


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else format_datetime(instant)


def _as_json(resource: CallResource) -> dict[str, str | int | None]:
    return {
        "sid": resource.sid,
        "parent_call_sid": resource.parent_call_sid,
        "account_sid": resource.account_sid,
        "from": resource.from_,
        "to": resource.to,
        "status": resource.status,
        "direction": resource.direction,
        "start_time": _time(resource.started_at),
        "answer_time": _time(resource.answered_at),
        "end_time": _time(resource.ended_at),
        "duration": None if resource.duration_s is None else str(resource.duration_s),
        "ring_ms": resource.ring_ms,
        "leg_ms": resource.leg_ms,
        "bridged_ms": resource.bridged_ms,
        "sip_response_code": resource.sip_code,
        "api_version": API_VERSION,
    }
