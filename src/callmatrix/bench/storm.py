"""Measures what overload does to the complete route: at three times what can be borne, and after it.

A call comes in by a signed webhook, is asked for a key (every second one), looked up, auctioned among 20
bidders over HTTP who answer after 20 to 120 ms, reserved, dialled, posted to the winner, ended and settled,
through a real server process and PostgreSQL. Callers come by a Poisson process, whether or not the callers
before them were answered. Rates rise until they cannot be borne; then come once, three times and half of the
highest that could. All that the server did then is checked from the raw rows.
"""

import asyncio
import math
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from callmatrix.bench import BenchReport, conditions, cpu
from callmatrix.bench.servers import POLL_S, BenchFailed, answers, listen, postmaster, serving, stop, url_of
from callmatrix.bench.storm_load import Orders, Outcome, Phase, Report
from callmatrix.bench.storm_network import (
    ACCOUNT,
    BIDDERS,
    CONNECTION,
    FASTEST_MS,
    SLOWEST_MS,
    write,
)
from callmatrix.dialects.carriers.urls import Page, page_path
from callmatrix.gateway.wire import open_session
from callmatrix.settings import format_secret_key, parse_secret_key
from callmatrix.store import embedded, promises
from callmatrix.store.db import Database, connect
from callmatrix.store.migrate import migrate
from callmatrix.world import RealWorld

ANSWER_MS: Final = 5_000
"""A caller who hears nothing for so long was not answered: some carriers wait no longer."""
BORNE_P99_MS: Final = 1_500
"""What can be borne: nobody is turned away, and 99 of 100 wait for less."""
STORM: Final = 3.0
CALM: Final = 0.5
SLACK: Final = 2.0
"""Answers are as before once they come within so many times the 99th percentile at the rate borne, and
within what can be borne."""
TRIES: Final = 2
MAX_LOWERED: Final = 3
LOWERED: Final = 0.85
DRAIN_WAIT_S: Final = 60.0
MAX_REPORT_BYTES: Final = 64_000_000


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured: rates rise from `first_rate_per_s` by `step`, at most `steps` times."""

    first_rate_per_s: float = 10.0
    step: float = 1.25
    steps: int = 12
    step_s: float = 5.0
    once_s: float = 8.0
    storm_s: float = 25.0
    calm_s: float = 15.0


SIZES: Final = Sizes()


class Load:
    """The process that places the calls."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._placed = 0

    async def place(self, *phases: Phase) -> Report:
        """What became of the callers of these phases."""
        orders = Orders(phases=phases, first=self._placed)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(orders) + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise BenchFailed("the process that places the calls has ended")
        report = msgspec.json.decode(line, type=Report)
        self._placed += len(report.outcomes)
        return report


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """The processes of the measurement: by pid, but for the one that places the calls."""

    db: Database
    load: Load
    url: str
    server: int
    postgres: int
    bidders: int

    def used_s(self) -> dict[str, float]:
        """CPU seconds so far, and those of the whole machine."""
        return {
            "server": cpu.process_s(self.server),
            "postgres": cpu.family_s(self.postgres),
            "bidders": cpu.process_s(self.bidders),
            "machine": cpu.machine_s(),
        }


def run() -> BenchReport:
    """Measure; about three minutes, on an embedded server of its own."""
    with tempfile.TemporaryDirectory(prefix="callmatrix-bench-") as folder:
        data = Path(folder)
        try:
            with embedded.start(data) as running:
                return uvloop.run(run_on(running.dsn))
        finally:
            embedded.discard(data)


async def run_on(dsn: str, *, sizes: Sizes = SIZES) -> BenchReport:
    """Measure on an empty database, which is not empty any more afterwards."""
    async with _stage(dsn) as stage:
        await stage.load.place(Phase(rate_per_s=sizes.first_rate_per_s, seconds=sizes.step_s))
        borne_per_s = await _borne(stage, sizes)
        before = await _counters(stage.url)
        used_s = stage.used_s()
        report = await stage.load.place(
            Phase(rate_per_s=borne_per_s, seconds=sizes.once_s),
            Phase(rate_per_s=borne_per_s * STORM, seconds=sizes.storm_s),
            Phase(rate_per_s=borne_per_s * CALM, seconds=sizes.calm_s),
        )
        used = _cpus(used_s, stage.used_s(), report)
        counted = {name: count - before[name] for name, count in (await _counters(stage.url)).items()}
        await _settled(stage.db)
        broken = await promises.counterexamples(stage.db, ACCOUNT, now=RealWorld().now())
        static = await _went_static(stage.db)
    for one in broken:
        print(f"callmatrix bench storm: {one.name}: {one.text}", file=sys.stderr)
    return _told(
        report, sizes, borne_per_s=borne_per_s, used=used, counted=counted, broken=broken, static=static
    )


async def _borne(stage: Stage, sizes: Sizes) -> float:
    """The highest rate that can be borne: found by rising, then held for longer. On a machine that is not
    ours alone one failure may be somebody else's doing, so each rate is tried twice."""
    rate_per_s = sizes.first_rate_per_s
    for _ in range(sizes.steps):
        if not await _bears(stage, rate_per_s * sizes.step, seconds=sizes.step_s):
            break
        rate_per_s *= sizes.step
    for _ in range(MAX_LOWERED):
        if await _bears(stage, rate_per_s, seconds=sizes.once_s):
            break
        rate_per_s *= LOWERED
    return rate_per_s


async def _bears(stage: Stage, rate_per_s: float, *, seconds: float) -> bool:
    for _ in range(TRIES):
        report = await stage.load.place(Phase(rate_per_s=rate_per_s, seconds=seconds))
        if _is_borne(report.outcomes):
            return True
    return False


def _is_borne(outcomes: Sequence[Outcome]) -> bool:
    if any(one.end != "connected" or one.wrong for one in outcomes):
        return False
    return _quantile([one.answer_ms for one in outcomes], 0.99) < BORNE_P99_MS


def recovery_s(calm: Sequence[Outcome], *, began_s: float, normal_ms: float) -> float:
    """How long after the storm answers were as before: until the last caller who was turned away or waited
    longer than `normal_ms` had been answered."""
    late = [
        one.at_s + one.answer_ms / 1e3
        for one in calm
        if one.end != "connected" or one.wrong or one.answer_ms > normal_ms
    ]
    return max(late, default=began_s) - began_s


def _told(
    report: Report,
    sizes: Sizes,
    *,
    borne_per_s: float,
    used: dict[str, float],
    counted: dict[str, int],
    broken: tuple[promises.Broken, ...],
    static: int,
) -> BenchReport:
    once, storm, calm = ([one for one in report.outcomes if one.phase == phase] for phase in range(3))
    once_ms, storm_ms = [one.answer_ms for one in once], [one.answer_ms for one in storm]
    once_p99_ms = _quantile(once_ms, 0.99)
    answered = sum(not one.wrong and one.answer_ms <= ANSWER_MS for one in storm)
    connected = sum(one.end == "connected" for one in storm)
    calm_began_s = sizes.once_s + sizes.storm_s
    figures = {
        "sustainable_per_s": borne_per_s,
        "answer_p50_ms_at_1x": _quantile(once_ms, 0.5),
        "answer_p99_ms_at_1x": once_p99_ms,
        "answer_p50_ms_at_3x": _quantile(storm_ms, 0.5),
        "answer_p99_ms_at_3x": _quantile(storm_ms, 0.99),
        "answer_max_ms_at_3x": max(storm_ms),
        "connected_p50_ms_at_3x": _quantile([one.answer_ms for one in storm if one.end == "connected"], 0.5),
        "connected_p99_ms_at_3x": _quantile([one.answer_ms for one in storm if one.end == "connected"], 0.99),
        "fail_safe_share_at_3x": sum(one.end == "failed_safe" for one in storm) / len(storm),
        "recovery_s": recovery_s(
            calm, began_s=calm_began_s, normal_ms=min(SLACK * once_p99_ms, BORNE_P99_MS)
        ),
        "static_by_overload": static,
        "dialled_unreserved": sum(one.name == "nothing_is_dialled_unreserved" for one in broken),
        "promises_broken": len({one.name for one in broken}),
        "arrivals_shed": counted["shed"],
        "arrivals_failed_safe": counted["failed_safe"],
    }
    return BenchReport(
        bench="storm",
        ratios={
            "answered_at_3x": round(answered / len(storm), 5),
            "connected_at_3x_over_1x": round(connected / sizes.storm_s / borne_per_s, 3),
        },
        figures={name: round(figure, 3) for name, figure in figures.items()},
        conditions={
            **conditions(),
            "bidders": BIDDERS,
            "bidders_answer_ms": f"{FASTEST_MS} to {SLOWEST_MS}",
            "callers_at_3x": len(storm),
            "storm_s": sizes.storm_s,
            "processes": 1,
            "load_latest_ms": round(report.latest_ms, 1),
            **used,
        },
    )


def _cpus(before_s: dict[str, float], after_s: dict[str, float], report: Report) -> dict[str, float]:
    """How many processors each part kept busy, and what is none of ours."""
    used = {name: (after_s[name] - before_s[name]) / report.elapsed_s for name in before_s}
    used["load"] = report.cpu_s / report.elapsed_s
    used["others"] = used.pop("machine") - sum(used.values())
    return {f"{name}_cpus": round(max(0.0, cpus), 2) for name, cpus in used.items()}


def _quantile(values: Sequence[float], share: float) -> float:
    """The least value that this share of the values does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


# --- the processes -------------------------------------------------------------------------------------


@asynccontextmanager
async def _stage(dsn: str) -> AsyncIterator[Stage]:
    db = await connect(dsn)
    await migrate(db)
    world = RealWorld()
    key = format_secret_key(parse_secret_key(world.token()))
    async with AsyncExitStack() as open_until_the_end:
        open_until_the_end.push_async_callback(db.close)
        listening, bidding = listen(), listen()
        url, bidders_url = url_of(listening), url_of(bidding)
        async with db.transaction() as tx:
            await write(
                tx,
                public_url=url,
                bidders_url=bidders_url,
                key=parse_secret_key(key),
                at=world.now() - timedelta(days=1),
            )
        bidding.set_inheritable(True)
        bidders = await open_until_the_end.enter_async_context(
            _process("storm_bidders", str(bidding.fileno()), pass_fds=(bidding.fileno(),))
        )
        bidding.close()
        server = await open_until_the_end.enter_async_context(serving(dsn, listening, key=key))
        async with open_session() as session:
            await answers(url, page_path(Page(connection_id=CONNECTION, kind="arrival")), session)
        placing = await open_until_the_end.enter_async_context(_process("storm_load", url))
        yield Stage(
            db=db,
            load=Load(placing),
            url=url,
            server=server,
            postgres=await postmaster(db),
            bidders=bidders.pid,
        )


@asynccontextmanager
async def _process(
    module: str, argument: str, *, pass_fds: tuple[int, ...] = ()
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"callmatrix.bench.{module}",
        argument,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=MAX_REPORT_BYTES,
        pass_fds=pass_fds,
    )
    try:
        yield process
    finally:
        await stop(process)


async def _counters(url: str) -> dict[str, int]:
    """What the server counted of arrivals so far."""
    async with open_session() as session, session.get(f"{url}/healthz") as reply:
        said = msgspec.json.decode(await reply.read())
    return {name: said[name] for name in ("shed", "failed_safe")}


async def _settled(db: Database) -> None:
    """Wait until the calls have ended and what they held has gone back."""
    for _ in range(int(DRAIN_WAIT_S / POLL_S)):
        async with db.session() as tx:
            left = await tx.fetchval(
                "select (select count(*) from reservation where account_id = $1 and state = 'held')"
                " + (select count(*) from call where account_id = $1 and not closed)",
                ACCOUNT,
            )
        if left == 0:
            return
        await asyncio.sleep(POLL_S)
    raise BenchFailed(f"{left} calls and reservations have not ended after {DRAIN_WAIT_S} s")


async def _went_static(db: Database) -> int:
    """Auctions in which nobody was asked, because too many were held at once."""
    async with db.session() as tx:
        count: int = await tx.fetchval(
            "select count(*) from call_event where account_id = $1 and kind = 'bids_returned'"
            " and position('\"overloaded\"' in document::text) > 0",
            ACCOUNT,
        )
    return count
