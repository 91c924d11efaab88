"""Callers for the storm: a process of its own that places calls at rates, whether or not they are answered.

It reads one line of orders after the other and answers each with a line of what became of the callers.
"""

import asyncio
import contextvars
import sys
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Final

import aiohttp
import msgspec
import uvloop

from callmatrix.bench.outside import outside
from callmatrix.bench.storm_network import ASKED, SECRET, STRAIGHT, behaviour, connection
from callmatrix.dialects.carriers.urls import page_url
from callmatrix.gateway.callers import Caller, Press
from callmatrix.gateway.carrier import Carrier, Number
from callmatrix.gateway.clocks import RealClock
from callmatrix.gateway.wire import MAX_CONNECTIONS
from callmatrix.world import RealWorld, cpu_s, dice, monotonic_s

MAX_ORDER_BYTES: Final = 100_000
MAX_CALLERS: Final = 100_000
# Webhooks that nobody waits for, by the gateway's word and by our paths.
_TOLD: Final = ("status", "leg", "recording")
_TOLD_PATHS: Final = ("/leg/", "/status", "/recording/")
_APOLOGY: Final = "We are sorry."
_FIRST_CALLER: Final = 2_000_000


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """Arrivals by a Poisson process."""

    rate_per_s: float
    seconds: float


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """Phases that follow one another without a pause; `first` is the number of the first caller."""

    phases: tuple[Phase, ...]
    first: int


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What became of one caller: when they came (from the start of the first phase), how long the longest
    answer took that they waited for, from its asking, and what it all came to. `wrong` is why an answer was
    none."""

    phase: int
    at_s: float
    answer_ms: float
    end: str
    wrong: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All callers of the orders in the order of their coming; what this process used of the CPU, and how
    late it placed the caller whom it placed latest."""

    outcomes: list[Outcome]
    cpu_s: float
    elapsed_s: float
    latest_ms: float


class _Waits:
    """The answers that one caller waits for."""

    __slots__ = ("failed_s", "longest_s")

    def __init__(self) -> None:
        self.failed_s: float | None = None
        self.longest_s = 0.0

    def begun_s(self) -> float:
        """When the wait for the next answer begins: with a request that failed and is tried again."""
        failed_s, self.failed_s = self.failed_s, None
        return monotonic_s() if failed_s is None else failed_s


_waits: contextvars.ContextVar[_Waits] = contextvars.ContextVar("waits")


async def _asked(
    _session: aiohttp.ClientSession, trace: SimpleNamespace, params: aiohttp.TraceRequestStartParams
) -> None:
    told = any(part in params.url.path for part in _TOLD_PATHS)
    trace.begun_s = None if told else _waits.get().begun_s()


async def _answered(_session: aiohttp.ClientSession, trace: SimpleNamespace, _params: object) -> None:
    if trace.begun_s is not None:
        waits = _waits.get()
        waits.longest_s = max(waits.longest_s, monotonic_s() - trace.begun_s)


async def _failed(session: aiohttp.ClientSession, trace: SimpleNamespace, params: object) -> None:
    await _answered(session, trace, params)
    _waits.get().failed_s = trace.begun_s


def _session() -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(_asked)
    trace.on_request_end.append(_answered)
    trace.on_request_exception.append(_failed)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS * 4, keepalive_timeout=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[trace],
    )


def _carrier(public_url: str, session: aiohttp.ClientSession, *, seed: int) -> Carrier:
    document = connection(public_url)
    return Carrier(
        account_sid="AC" + "0" * 32,
        auth_token=SECRET,
        numbers=tuple(
            Number(
                number=number,
                voice_url=page_url(document, "arrival"),
                fallback_url=page_url(document, "fallback"),
                status_url=page_url(document, "status"),
            )
            for number in (STRAIGHT, ASKED)
        ),
        session=session,
        clock=RealClock(RealWorld()),
        seed=seed,
        behaviour=behaviour,
        own_timelines=True,
    )


async def _call(carrier: Carrier, *, number: int, phase: int, at_s: float) -> Outcome:
    waits = _Waits()
    _waits.set(waits)
    record = await carrier.place_call(
        Caller(
            number=f"+1415{_FIRST_CALLER + number}",
            dialed=(STRAIGHT, ASKED)[number % 2],
            entries=(Press(digits="1"),),
        )
    )
    wrong = "; ".join(record.errors)
    if not wrong:
        unanswered = [one for one in record.webhooks if one.kind not in _TOLD and one.status != 200]
        wrong = f"{unanswered[0].kind}: {unanswered[0].status}" if unanswered else ""
    if record.connected():
        end = "connected"
    elif any(_APOLOGY in text for text in record.said()):
        end = "failed_safe"
    else:
        end = "other"
    return Outcome(phase, at_s, waits.longest_s * 1e3, end, wrong)


async def _place(carrier: Carrier, orders: Orders) -> Report:
    chance = dice(orders.first)
    started_s, used_s = monotonic_s(), cpu_s()
    calls: list[asyncio.Task[Outcome]] = []
    phase_s = at_s = latest_s = 0.0
    for number, phase in enumerate(orders.phases):
        at_s = phase_s
        phase_s += phase.seconds
        while (at_s := at_s + chance.expovariate(phase.rate_per_s)) < phase_s and len(calls) < MAX_CALLERS:
            due_s = started_s + at_s
            await asyncio.sleep(max(0.0, due_s - monotonic_s()))
            latest_s = max(latest_s, monotonic_s() - due_s)
            calls.append(
                asyncio.create_task(_call(carrier, number=orders.first + len(calls), phase=number, at_s=at_s))
            )
    outcomes = await asyncio.gather(*calls)
    return Report(
        outcomes=list(outcomes),
        cpu_s=cpu_s() - used_s,
        elapsed_s=monotonic_s() - started_s,
        latest_ms=latest_s * 1e3,
    )


async def _lines() -> AsyncIterator[bytes]:
    reader = asyncio.StreamReader(limit=MAX_ORDER_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        yield line


async def work(public_url: str) -> None:
    """Do what is ordered until the end of the standard input."""
    async with _session() as session:
        async for line in _lines():
            orders = msgspec.json.decode(line, type=Orders)
            carrier = _carrier(public_url, session, seed=orders.first)
            report = await _place(carrier, orders)
            print(msgspec.json.encode(report).decode(), flush=True)


if __name__ == "__main__":
    outside()
    uvloop.run(work(sys.argv[1]))
