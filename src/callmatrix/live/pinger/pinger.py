"""Asks all bidders of an auction at once, and is back at the deadline at the latest, whatever they do."""

from collections.abc import Sequence
from typing import Final, Literal

from callmatrix.dialects.http import HttpRequest
from callmatrix.live.pinger.lines import ENDING, Limits, Line, Lines
from callmatrix.live.pinger.names import Names, Resolve, resolve_by_system
from callmatrix.live.pinger.rounds import Round
from callmatrix.live.pinger.standings import Standing
from callmatrix.live.pinger.target import Origin, Unaskable, origin_of, render, render_head
from callmatrix.live.pinger.tls import Sessions, client_context
from callmatrix.live.pinger.values import Answered, Asking, Health
from callmatrix.world import DRAW_BITS, World, monotonic_s

MAX_AUCTIONS: Final = 1_000
MAX_ASKINGS: Final = 200
"""Of one auction; what is asked beyond is `overloaded`."""
MAX_CONNECTIONS: Final = 4_000
MAX_CONNECTIONS_PER_BIDDER: Final = 256
MAX_OPENING: Final = 256
MAX_BIDDERS: Final = 20_000
LINGER_S: Final = 1.75
"""The sweep adds a quarter of a second at most."""
IDLE_S: Final = 30.0
MAX_ROUTES: Final = 64
"""Addresses of one bidder that are kept parsed."""

Throttling = Literal["on", "simulate"]
"""`simulate` counts the pings that it would not send, and sends them."""


class _Route:
    """A bidder's URL as it was asked last, with its head rendered."""

    __slots__ = ("_head", "_headers", "_method", "_url", "line")

    def __init__(self, line: Line) -> None:
        self.line = line
        self._url = self._method = ""
        self._headers: dict[str, str] = {}
        self._head = b""

    def payload(self, request: HttpRequest) -> bytes:
        """The request's bytes. Raises `Unaskable`."""
        if request.url != self._url or request.headers != self._headers or request.method != self._method:
            self._head = render_head(request)
            self._url, self._method, self._headers = request.url, request.method, request.headers
        return render(self._head, request)


class _Bidder:
    """One bidder's standing and its ways."""

    __slots__ = ("lines", "routes", "standing")

    def __init__(self, name: str) -> None:
        self.standing = Standing(name)
        self.lines: dict[Origin, Line] = {}
        self.routes: dict[str, _Route] = {}


class Pinger:
    """The process's client of bidders. Nothing queues in it: a ping is sent at once or refused at once."""

    def __init__(self, *, lines: Lines, world: World, auctions: int, throttling: Throttling) -> None:
        self._lines = lines
        self._world = world
        self._max_auctions = auctions
        self._throttling = throttling
        self._bidders: dict[str, _Bidder] = {}
        self._auctions = 0
        self._closed = False

    @property
    def in_flight(self) -> int:
        """Auctions that are waiting for answers."""
        return self._auctions

    @property
    def connections(self) -> int:
        """Connections of all bidders: idle, asked, lingering, being opened."""
        return len(self._lines.open)

    @property
    def idle(self) -> int:
        """Idle connections of all bidders."""
        return sum(connection.is_idle for connection in self._lines.open)

    async def ask(self, askings: Sequence[Asking], *, deadline_ms: int) -> tuple[Answered, ...]:
        """The answers, one each in the order asked, as soon as all are there; at the deadline at the latest.

        Never raises for what bidders do: why there is no whole reply is a code. A whole reply wants a
        `verdict`.
        """
        if self._auctions >= self._max_auctions or self._closed:
            detail = ENDING if self._closed else f"{self._auctions} auctions are in flight"
            return tuple(Answered(key=asking.key, code="overloaded", detail=detail) for asking in askings)
        this = Round(askings, deadline_ms=deadline_ms)
        self._auctions += 1
        try:
            for place, asking in enumerate(askings):
                if place < MAX_ASKINGS:
                    self._send(this, place, asking)
                else:
                    this.refuse(place, "overloaded", f"More than {MAX_ASKINGS} bidders in one auction")
            return await this.wait()
        finally:
            self._auctions -= 1

    def verdict(self, bidder: str, *, good: bool) -> None:
        """Say whether a whole reply was usable (a bid or an orderly no): it feeds the throttle."""
        known = self._bidders.get(bidder)
        if known is not None:
            known.standing.judged(good=good)

    def health(self, bidder: str) -> Health:
        """How a bidder stands; one that was never asked stands well."""
        known = self._bidders.get(bidder)
        return Health(bidder=bidder) if known is None else known.standing.health(monotonic_s())

    async def prewarm(self, url: str, bidder: str, connections: int) -> None:
        """Open connections until so many are idle, or cannot be. Called again it replaces the expired."""
        if self._closed:
            return
        try:
            line = self._line(self._bidder(bidder), url)
        except Unaskable:
            return
        await line.warm(min(connections, self._lines.limits.connections_per_bidder))

    async def close(self) -> None:
        """End all connections and wait until they have; pings in flight become `unreachable`."""
        self._closed = True
        await self._lines.close()

    def _send(self, this: Round, place: int, asking: Asking) -> None:
        known = self._bidders.get(asking.bidder)
        if known is None:
            known = self._bidder(asking.bidder)
        standing = known.standing
        standing.asked += 1
        if standing.throttle.strained and self._skips(standing):
            standing.heard("throttled", 0.0)
            this.refuse(place, "throttled", "It has failed too often lately")
            return
        request = asking.request
        url = request.url
        if "?" in url:
            url = url[: url.index("?")]
        try:
            route = known.routes.get(url)
            if route is None:
                route = self._route(known, url)
            payload = route.payload(request)
        except Unaskable as error:
            standing.heard("unconfigured", 0.0)
            this.refuse(place, "unconfigured", str(error))
            return
        route.line.send(this, place, payload, fresh=asking.once)

    def _skips(self, standing: Standing) -> bool:
        share = standing.throttle.skip_share(monotonic_s())
        if self._world.draw() >= share * (1 << DRAW_BITS):
            return False
        if self._throttling == "simulate":
            standing.would_throttle += 1
            return False
        standing.throttled += 1
        return True

    def _bidder(self, name: str) -> _Bidder:
        known = self._bidders.get(name)
        if known is None:
            known = self._bidders[name] = _Bidder(name)
            if len(self._bidders) > MAX_BIDDERS:
                oldest = next(iter(self._bidders))
                if not self._bidders[oldest].standing.connections:
                    del self._bidders[oldest]
        return known

    def _line(self, known: _Bidder, url: str) -> Line:
        origin = origin_of(url)
        line = known.lines.get(origin)
        if line is None:
            if len(known.lines) >= MAX_ROUTES:
                known.lines.clear()
            line = known.lines[origin] = Line(self._lines, known.standing, origin)
        return line

    def _route(self, known: _Bidder, url: str) -> _Route:
        route = _Route(self._line(known, url))
        if len(known.routes) >= MAX_ROUTES:
            known.routes.clear()
        known.routes[url] = route
        return route


def open_pinger(
    *,
    allow_loopback: bool,
    world: World,
    extra_ca: str = "",
    throttling: Throttling = "on",
    max_auctions: int = MAX_AUCTIONS,
    max_connections: int = MAX_CONNECTIONS,
    max_connections_per_bidder: int = MAX_CONNECTIONS_PER_BIDDER,
    max_opening: int = MAX_OPENING,
    linger_s: float = LINGER_S,
    idle_s: float = IDLE_S,
    resolve: Resolve = resolve_by_system,
) -> Pinger:
    """A pinger; call inside a running event loop. `extra_ca` (PEM) is trusted beside the system's."""
    lines = Lines(
        limits=Limits(
            connections=max_connections,
            connections_per_bidder=max_connections_per_bidder,
            opening=max_opening,
            linger_s=linger_s,
            idle_s=idle_s,
        ),
        names=Names(allow_loopback=allow_loopback, resolve=resolve),
        sessions=Sessions(client_context(extra_ca=extra_ca)),
    )
    return Pinger(lines=lines, world=world, auctions=max_auctions, throttling=throttling)
