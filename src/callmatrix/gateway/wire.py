"""How the gateway reaches the application: signed webhooks, their retries, and the faults played on them."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Literal, Protocol
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import aiohttp
import msgspec
from yarl import URL

from callmatrix.gateway.clocks import Clock, Signal, Spawned, join
from callmatrix.gateway.records import Posted, WebhookKind
from callmatrix.gateway.twiml import (
    ERROR_CONTENT_TYPE,
    ERROR_RETRIEVAL,
    MAX_TWIML_BYTES,
    MalformedTwiml,
    Method,
    Verb,
    parse,
)

WEBHOOK_TIMEOUT_S = 15  # Twilio's total
MAX_CONNECTIONS = 512
MAX_CALLBACKS = 2_000
TRIES = 2  # of a request that can't connect, or whose reply was lost
_URL_CHARACTERS = "%/:=&?~#+!$,;'@()*[]"
_TWIML_TYPES = frozenset({"text/xml", "application/xml", "text/html"})

Params = Mapping[str, str]


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """Probabilities, from 0 to 1, of what goes wrong with webhooks.

    `lose`: a callback is never sent; a request for TwiML goes unanswered, is repeated after the timeout, then
    goes to the fallback. `double`: sent twice at once with the same token; of two TwiML replies, either is
    used. `reorder`: a callback leaves the order and comes up to `reorder_ms` late. `delay`: up to `delay_ms`.
    """

    lose: float = 0.0
    double: float = 0.0
    reorder: float = 0.0
    delay: float = 0.0
    reorder_ms: int = 2_000
    delay_ms: int = 60_000


NO_FAULTS = Faults()


class Dice(Protocol):
    """The part of a seeded generator that faults and tokens need."""

    def random(self) -> float: ...

    def randrange(self, stop: int, /) -> int: ...

    def getrandbits(self, bits: int, /) -> int: ...


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    content_type: str
    body: bytes


def signature(*, token: str, url: str, params: Params) -> str:
    """Twilio's X-Twilio-Signature: base64 of HMAC-SHA1 over the exact URL and the sorted form parameters."""
    text = url + "".join(f"{key}{params[key]}" for key in sorted(params))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def open_session() -> aiohttp.ClientSession:
    """A keep-alive HTTP client fit for hundreds of calls at once; whoever opens it closes it."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
    )


class Wire:
    """The webhooks of one call: callbacks leave in order, and TwiML is asked for after them."""

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        token: str,
        clock: Clock,
        faults: Faults,
        dice: Dice,
        latency_ms: int,
        timeout_s: float,
    ) -> None:
        self._session = session
        self._token = token
        self._clock = clock
        self._faults = faults
        self._dice = dice
        self._latency_ms = latency_ms
        self._timeout_s = timeout_s
        self._begun_ms = clock.now_ms()
        self._last: Spawned[None] | None = None
        self._pending: list[Spawned[None]] = []
        self.posted: list[Posted] = []

    async def page(self, *, kind: WebhookKind, url: str, method: Method, params: Params) -> tuple[Verb, ...]:
        """The verbs that the application answers with; raises MalformedTwiml when there are none."""
        await self._callbacks_out()
        token = self._new_token()
        for _ in range(TRIES):
            if self._chance(self._faults.lose):
                self._post(kind, url, None, "lost", self._clock.now_ms())
                await self._clock.wait(self._clock.now_ms() + int(self._timeout_s * 1000))
                continue
            if self._chance(self._faults.double):
                twins = [
                    self._clock.spawn(self._send(kind, url, method, params, token, "doubled")) for _ in "ab"
                ]
                replies = [await join(self._clock, twin) for twin in twins]
                reply = replies[self._dice.getrandbits(1)]
            else:
                reply = await self._send(kind, url, method, params, token, "")
            return _read_page(reply, url)
        raise MalformedTwiml(ERROR_RETRIEVAL, f"no reply from {url}")

    def tell(self, *, kind: WebhookKind, url: str, method: Method, params: Params) -> None:
        """Send a callback in the background; nothing is expected back."""
        faults = self._faults
        if len(self._pending) >= MAX_CALLBACKS or self._chance(faults.lose):
            self._post(kind, url, None, "lost", self._clock.now_ms())
            return
        times = 2 if self._chance(faults.double) else 1
        late_ms = 0
        if self._chance(faults.reorder):
            late_ms = 1 + self._dice.randrange(faults.reorder_ms)
        if self._chance(faults.delay):
            late_ms = 1 + self._dice.randrange(faults.delay_ms)
        token = self._new_token()

        async def deliver(after: Signal | None) -> None:
            if late_ms:
                await self._clock.wait(self._clock.now_ms() + late_ms)
            elif after is not None:
                await self._clock.wait(None, after)
            fault: Literal["", "doubled", "late"] = "late" if late_ms else "doubled" if times == 2 else ""
            for _ in range(times):
                await self._send(kind, url, method, params, token, fault)

        if late_ms:
            self._pending.append(self._clock.spawn(deliver(None)))
        else:
            self._last = self._clock.spawn(deliver(None if self._last is None else self._last.finished))
            self._pending.append(self._last)

    async def finish(self) -> None:
        """Wait until every callback, late ones too, has been sent."""
        for spawned in self._pending:
            await self._clock.wait(None, spawned.finished)
            await spawned.task
        self._pending.clear()

    def abandon(self) -> None:
        """Drop the callbacks that are still to be sent, if any."""
        for spawned in self._pending:
            spawned.task.cancel()
        self._pending.clear()

    async def _callbacks_out(self) -> None:
        if self._last is not None:
            await self._clock.wait(None, self._last.finished)

    def _chance(self, probability: float) -> bool:
        return probability > 0 and self._dice.random() < probability

    def _new_token(self) -> str:
        return f"{self._dice.getrandbits(128):032x}"

    def _post(
        self,
        kind: WebhookKind,
        url: str,
        status: int | None,
        fault: Literal["", "lost", "doubled", "late"],
        at_ms: int,
    ) -> None:
        self.posted.append(
            Posted(
                at_ms=at_ms - self._begun_ms,
                took_ms=self._clock.now_ms() - at_ms,
                kind=kind,
                url=url,
                status=status,
                fault=fault,
            )
        )

    async def _send(
        self,
        kind: WebhookKind,
        url: str,
        method: Method,
        params: Params,
        token: str,
        fault: Literal["", "doubled", "late"],
    ) -> Reply | None:
        at_ms = self._clock.now_ms()
        if self._latency_ms:
            await self._clock.wait(at_ms + self._latency_ms)
        reply: Reply | None = None
        for _ in range(TRIES):
            try:
                reply = await self._request(url, method, params, token)
                break
            except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError):
                continue
            except TimeoutError:
                await self._clock.wait(at_ms + int(self._timeout_s * 1000))  # virtual time waited as well
                break
            except (aiohttp.ClientError, ValueError):
                break
        self._post(kind, url, None if reply is None else reply.status, fault, at_ms)
        return reply

    async def _request(self, url: str, method: Method, params: Params, token: str) -> Reply:
        headers = {"I-Twilio-Idempotency-Token": token, "User-Agent": "CallMatrixGateway/1.0"}
        data: bytes | None = None
        url = quote(url, safe=_URL_CHARACTERS)  # what a document may write and a request line may not
        if method == "GET":
            target = _with_query(url, params)
            headers["X-Twilio-Signature"] = signature(token=self._token, url=target, params={})
        else:
            target = url
            headers["X-Twilio-Signature"] = signature(token=self._token, url=url, params=params)
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
            data = urlencode(params).encode()
        async with self._session.request(
            method,
            URL(target, encoded=True),
            data=data,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
        ) as response:
            body = await _read_bounded(response)
            return Reply(status=response.status, content_type=response.content_type, body=body)


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body, or its first bytes over the limit, which `parse` then refuses."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_TWIML_BYTES:
            break
    return bytes(body)


def _with_query(url: str, params: Params) -> str:
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(params)) if part)
    return urlunsplit(parts._replace(query=query))


def _read_page(reply: Reply | None, url: str) -> tuple[Verb, ...]:
    if reply is None:
        raise MalformedTwiml(ERROR_RETRIEVAL, f"no reply from {url}")
    if not 200 <= reply.status < 300:
        raise MalformedTwiml(ERROR_RETRIEVAL, f"status {reply.status} from {url}")
    if reply.content_type not in _TWIML_TYPES:
        raise MalformedTwiml(ERROR_CONTENT_TYPE, f"content type {reply.content_type!r} from {url}")
    return parse(reply.body)
