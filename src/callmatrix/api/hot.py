"""The raw ASGI lane of the carriers' webhooks: bounded, verified, shed when overloaded, always answered."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from callmatrix.api.raw import Receive as Receive
from callmatrix.api.raw import Scope as Scope
from callmatrix.api.raw import Send as Send
from callmatrix.api.raw import answer, problem_reply, read_body
from callmatrix.core.errors import Refused
from callmatrix.core.ids import ConnectionId
from callmatrix.dialects.carriers.forms import Form, parse_body
from callmatrix.dialects.carriers.render import failsafe
from callmatrix.dialects.carriers.signatures import verify
from callmatrix.dialects.carriers.urls import Callback, Page, parse_path, signed_url
from callmatrix.live import spool, voice
from callmatrix.live.app import App
from callmatrix.live.catalog import Wired
from callmatrix.store.db import DatabaseGone
from callmatrix.world import monotonic_s

MAX_BODY_BYTES: Final = 65_536
# Arrivals being decided at once in one process, whatever `live/admission` says; beyond that a new caller gets
# the fail-safe reply at once instead of a late one. Events of calls in the air are never shed.
MAX_ARRIVALS_AT_ONCE: Final = 200
TURNED_AWAY_LOG_S: Final = 10.0
# Calls remembered that the database does not know: their callers were turned away, so that whatever comes
# of them later concerns nobody; or their arrival is kept in a file, and their end waits behind it.
MAX_UNKNOWN: Final = 10_000
# Inside every carrier's patience (some give 5 s).
DEADLINE_S: Final = 4.5
BODY_TIMEOUT_S: Final = 4.5
ARRIVALS: Final = ("arrival", "fallback")
XML: Final = b"text/xml; charset=utf-8"
HANG_UP: Final = b"<Response><Hangup/></Response>"
_READ_HERE: Final = ("application/x-www-form-urlencoded", "application/json")

_log = logging.getLogger(__name__)


class Counters(msgspec.Struct):
    """What this process's lane saw; shown by `/healthz`."""

    arrivals_now: int = 0
    shed: int = 0
    bad_signatures: int = 0
    spooled: int = 0
    failed_safe: int = 0


class Lane:
    """An ASGI callable for `/voice/…`; everything else goes to `rest`."""

    def __init__(
        self,
        app: App,
        rest: Callable[..., Awaitable[None]],
        *,
        max_arrivals: int = MAX_ARRIVALS_AT_ONCE,
        deadline_s: float = DEADLINE_S,
        counters: Counters | None = None,
    ) -> None:
        self._app = app
        self._rest = rest
        self._max_arrivals = max_arrivals
        self._deadline_s = deadline_s
        self._given_up: set[asyncio.Task[bytes]] = set()
        self._unknown: OrderedDict[tuple[ConnectionId, str], Path | None] = OrderedDict()
        self._database_gone = False
        self._logged_s = -TURNED_AWAY_LOG_S
        self.counters = Counters() if counters is None else counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/voice/"):
            await self._rest(scope, receive, send)
            return
        try:
            status, content_type, body = await self._answer(scope, receive)
        except Refused as refused:
            status, content_type, body = problem_reply(refused)
        await answer(send, status, content_type, body)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes, bytes]:
        came_s = monotonic_s()
        if scope["method"] != "POST":
            raise Refused("wrong_method", "Carriers' webhooks are sent by POST")
        target = parse_path(scope["path"])
        if target is None:
            raise Refused("not_found", "There is no such address")
        wired = self._app.catalog.connection(target.connection_id)
        if wired is None:
            raise Refused("not_found", f"There is no connection {target.connection_id}")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = await read_body(receive, headers, most=MAX_BODY_BYTES, within_s=BODY_TIMEOUT_S)
        _check_media_type(headers.get("content-type", ""), body)
        form = parse_body(body, headers.get("content-type", ""))
        now = self._app.world.now()
        url = signed_url(wired.connection, scope["path"], scope["query_string"].decode("latin-1"))
        if not verify(
            wired.dialect,
            secret=wired.secrets.signing,
            url=url,
            headers=headers,
            body=body,
            form=form,
            now=now,
        ):
            self.counters.bad_signatures += 1
            raise Refused("bad_signature", "The signature is missing or wrong: check the connection's secret")
        return await self._decide(wired, target, scope["path"], form, now, came_s=came_s)

    async def _decide(
        self,
        wired: Wired,
        target: Callback | Page,
        path: str,
        form: Form,
        now: datetime,
        *,
        came_s: float,
    ) -> tuple[int, bytes, bytes]:
        arrives = isinstance(target, Page) and target.kind in ARRIVALS
        ref = (wired.connection.id, form.params.get("CallSid", ""))
        if isinstance(target, Page) and ref in self._unknown:
            arrival = self._unknown[ref]
            if arrival is None:
                return 200, XML, failsafe(wired.connection) if arrives else b""
            if not arrives and arrival.exists():
                return await self._fail_safe(wired, target, path, form, now)
        if arrives and not self._admits(*ref):
            return await self._turn_away(wired, path, form, now)
        self.counters.arrivals_now += arrives
        try:
            with self._app.admission.in_hand():
                reply = await self._told(wired, target, form, now, came_s=came_s)
            self._database_gone = False
            return 200, XML, reply
        except DatabaseGone as error:
            self._database_gone = True
            _log.warning("the database is gone at %s: %s", path, error)
        except TimeoutError:
            _log.error("no reply to %s in %s s", path, self._deadline_s)
        except Refused as refused:
            if refused.code != "unavailable":
                raise
            _log.error("no reply to %s: %s", path, refused)
        except Exception:  # a bug of ours must not cost the caller the call
            _log.exception("failed at %s", path)
        finally:
            self.counters.arrivals_now -= arrives
        return await self._fail_safe(wired, target, path, form, now)

    async def _fail_safe(
        self, wired: Wired, target: Callback | Page, path: str, form: Form, now: datetime
    ) -> tuple[int, bytes, bytes]:
        """The fail-safe reply, and the webhook kept, to be told later."""
        kept = await self._keep(wired, path, form, now)
        if kept is not None and isinstance(target, Page) and target.kind in ARRIVALS:
            self._remember(wired, form, kept)
        self.counters.failed_safe += 1
        return 200, XML, _safe_reply(wired, target)

    def _admits(self, connection_id: ConnectionId, carrier_ref: str) -> bool:
        """Whether a caller is taken on; one whose call this process has already is in the air."""
        if self.counters.arrivals_now < self._max_arrivals and self._app.admission.admits():
            return True
        return self._app.recent.find(connection_id, carrier_ref) is not None

    async def _turn_away(
        self, wired: Wired, path: str, form: Form, now: datetime
    ) -> tuple[int, bytes, bytes]:
        """The fail-safe reply at once, and to whatever else comes of that call. Where it is the database that
        does not answer, the call is kept, to be accounted for; of an overload nothing is that would add to
        it, but the count."""
        self.counters.shed += 1
        self._log_overload()
        kept = await self._keep(wired, path, form, now) if self._database_gone else None
        self._remember(wired, form, kept)
        return 200, XML, failsafe(wired.connection)

    def _remember(self, wired: Wired, form: Form, kept: Path | None) -> None:
        if "CallSid" in form.params:
            self._unknown[wired.connection.id, form.params["CallSid"]] = kept
        if len(self._unknown) > MAX_UNKNOWN:
            self._unknown.popitem(last=False)

    def _log_overload(self) -> None:
        if monotonic_s() - self._logged_s >= TURNED_AWAY_LOG_S:
            self._logged_s = monotonic_s()
            strain = self._app.admission.strain
            _log.warning(
                "overload: callers are turned away, %s since the start; %s webhooks in hand, %.0f done in a"
                " second, the loop %.0f ms late",
                self.counters.shed,
                strain.in_hand,
                strain.finished_per_s,
                strain.lag_s * 1e3,
            )

    async def _told(
        self, wired: Wired, target: Callback | Page, form: Form, now: datetime, *, came_s: float
    ) -> bytes:
        """The reply; `TimeoutError` at the deadline, which a loop that sees requests late and sends replies
        late has earlier. What is given up then is not waited for: to give up a statement of a database that
        hangs takes its time, too."""
        late_s = min(self._deadline_s / 2, monotonic_s() - came_s + 2 * self._app.admission.strain.lag_s)
        telling = asyncio.create_task(self._tell(wired, target, form, now, due_s=monotonic_s()))
        try:
            done, _ = await asyncio.wait((telling,), timeout=max(0.0, self._deadline_s - late_s))
            if not done:
                raise TimeoutError
            return telling.result()
        finally:
            if not telling.done():
                self._given_up.add(telling)
                telling.add_done_callback(self._over)
                telling.cancel()

    async def _tell(
        self, wired: Wired, target: Callback | Page, form: Form, now: datetime, *, due_s: float
    ) -> bytes:
        self._app.admission.began(due_s=due_s)
        return await voice.told(self._app, wired, target, form.params, at=now)

    def _over(self, telling: "asyncio.Task[bytes]") -> None:
        self._given_up.discard(telling)
        if not telling.cancelled() and telling.exception() is not None:
            _log.warning("a webhook that was given up ended with %r", telling.exception())

    async def _keep(self, wired: Wired, path: str, form: Form, now: datetime) -> Path | None:
        webhook = spool.Spooled(
            id=self._app.world.new_id("web"),
            at=now,
            connection_id=wired.connection.id,
            path=path,
            params=dict(form.params),
        )
        try:
            kept = await asyncio.to_thread(spool.keep, spool.folder(self._app.settings.data), webhook)
        except (OSError, spool.SpoolFull):
            _log.exception("a webhook could not be kept: %s", path)
            return None
        self.counters.spooled += 1
        return kept


def _safe_reply(wired: Wired, target: Callback | Page) -> bytes:
    """The fail-safe reply. On the buyer's leg it is a hang-up: nobody is bridged who was not asked, and the
    caller goes on to the next offer."""
    if isinstance(target, Callback) and target.kind in ("whisper", "accept"):
        return HANG_UP
    return failsafe(wired.connection)


def _check_media_type(content_type: str, body: bytes) -> None:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in _READ_HERE and (media_type or body):
        raise Refused("wrong_media_type", f"A webhook is {' or '.join(_READ_HERE)}")
