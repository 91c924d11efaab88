"""The HTTP application: the table of operations turned into routes, and one way through for every request."""

import logging
from typing import Any, Final

from litestar import Litestar, Request
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.response import Response, Stream

from callmatrix.api import auth, repeats
from callmatrix.api.access import Principal, may
from callmatrix.api.docs import docs_page
from callmatrix.api.hot import Counters
from callmatrix.api.openapi import document
from callmatrix.api.operation import MAX_BODY_BYTES, Ask, Operation, Reply
from callmatrix.api.operations import OPERATIONS
from callmatrix.api.problems import of_framework, refused_response
from callmatrix.api.reading import AnyRequest, read_body, read_path, read_query, read_revision
from callmatrix.api.welcome import WELCOME_PAGE, WELCOME_POLICY
from callmatrix.core.documents import encode
from callmatrix.core.errors import Refused
from callmatrix.live.app import App
from callmatrix.store.db import DatabaseGone

RETRY_AFTER_S: Final = 5

_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_PAGE_HEADERS: Final = _HEADERS | {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
}
_log = logging.getLogger("callmatrix.api")


def build(app: App, counters: Counters) -> Litestar:
    """The management API on these parts: `/api/…`, `/healthz`, `/openapi.json` and `/docs`. `counters` are
    those of the carriers' lane, which `/healthz` shows."""
    return Litestar(
        route_handlers=[*(_route(app, counters, operation) for operation in OPERATIONS), *_pages(app)],
        openapi_config=None,
        request_max_body_size=MAX_BODY_BYTES,
        exception_handlers={
            Refused: _refused,
            DatabaseGone: _database_gone,
            HTTPException: _framework,
            Exception: _bug,
        },
        logging_config=None,
    )


def _route(app: App, counters: Counters, operation: Operation) -> HTTPRouteHandler:
    async def handle(request: Request[Any, Any, Any]) -> Response[Any]:
        return await _answer(app, counters, operation, request)

    path = operation.path.replace("}", ":str}")
    return HTTPRouteHandler(path, http_method=[operation.method], name=operation.name, status_code=200)(
        handle
    )


async def _answer(app: App, counters: Counters, operation: Operation, request: AnyRequest) -> Response[Any]:
    """Who asks, may they, what do they ask, was it asked before, the answer."""
    principal: Principal | None = None
    if operation.permission != "public":
        principal = await auth.identify(app, request)
        if not may(principal, operation.permission):
            raise Refused(
                "not_allowed", f"The role {principal.role} may not do this, or the key lacks the scope"
            )
    auth.refuse_cross_site(app, principal, request)
    path = read_path(request)
    query = read_query(operation, request)
    revision = read_revision(operation, request)
    raw_body, body = await read_body(operation, request)
    ask = Ask(
        app=app,
        principal=principal,
        now=app.world.now(),
        path=path,
        query=query,
        body=body,
        raw_body=raw_body,
        revision=revision,
        session=request.cookies.get(auth.COOKIE, ""),
        address=request.client.host if request.client is not None else "",
        accept=request.headers.get("accept", ""),
        last_event_id=request.headers.get("last-event-id", ""),
        lane=counters,
    )
    key = request.headers.get("idempotency-key", "") if operation.takes_key else ""
    if key:
        return await repeats.once(operation, ask, key=key, target=_target(request), render=render)
    return render(await operation.run(ask))


def render(reply: Reply) -> Response[Any]:
    """A reply as a response."""
    if reply.stream is not None:
        return Stream(
            reply.stream,
            status_code=reply.status,
            media_type=reply.media_type,
            headers=_HEADERS | reply.headers,
        )
    body = reply.raw
    if body is None:
        body = b"" if reply.status == 204 else encode(reply.value)
    return Response(
        body, status_code=reply.status, media_type=reply.media_type, headers=_HEADERS | reply.headers
    )


def _target(request: AnyRequest) -> str:
    return f"{request.method} {request.url.path}?{request.url.query}"


def _pages(app: App) -> list[HTTPRouteHandler]:
    described = document(OPERATIONS, server=app.settings.public_url)
    described_json = encode(described)
    page = docs_page(described).encode()

    async def openapi() -> Response[bytes]:
        return Response(described_json, media_type="application/json", headers=_HEADERS)

    async def docs() -> Response[bytes]:
        return Response(page, media_type="text/html", headers=_PAGE_HEADERS)

    async def welcome() -> Response[bytes]:
        headers = _HEADERS | {"Content-Security-Policy": WELCOME_POLICY, "Referrer-Policy": "no-referrer"}
        return Response(WELCOME_PAGE.encode(), media_type="text/html", headers=headers)

    return [
        HTTPRouteHandler("/first-sign-in", http_method=["GET"], name="welcome")(welcome),
        HTTPRouteHandler("/openapi.json", http_method=["GET"], name="openapi")(openapi),
        HTTPRouteHandler("/docs", http_method=["GET"], name="docs")(docs),
    ]


def _refused(_request: AnyRequest, error: Refused) -> Response[bytes]:
    retry_after = getattr(error, "retry_after_s", None)
    extra = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return refused_response(error, _HEADERS | extra)


def _database_gone(_request: AnyRequest, _error: DatabaseGone) -> Response[bytes]:
    refused = Refused("unavailable", "The database cannot be reached; repeat the request a little later")
    return refused_response(refused, _HEADERS | {"Retry-After": str(RETRY_AFTER_S)})


def _framework(_request: AnyRequest, error: HTTPException) -> Response[bytes]:
    allow = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
    return refused_response(of_framework(error), _HEADERS | allow)


def _bug(request: AnyRequest, error: Exception) -> Response[bytes]:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return refused_response(Refused("internal", "This is a bug; the server's log has the details"), _HEADERS)
