"""Measures one auction of twenty bidders by our pinger, aiohttp and pycurl, side by side, and over TLS.

The bidders are a process of their own on as many loopback addresses. Three things are measured: the CPU of a
ping when all answer at once; what an auction takes beyond its slowest answer when they answer after 20 to
120 ms, counted from the instant at which the bidder says that it sent it; and what becomes of good bids, and
of the deadline, among bidders that never answer, answer late, or answer nonsense.
"""

import asyncio
import gc
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec
import uvloop

from callmatrix.bench import BenchReport, conditions
from callmatrix.bench.bidder_stub import Orders, Ports
from callmatrix.bench.certificate import Certificate, make
from callmatrix.world import RealWorld, cpu_s, dice, monotonic_s

if TYPE_CHECKING:
    from callmatrix.bench.ping_clients import Auction, Client, Ping, Reply

BIDDERS: Final = 20
ADDRESSES: Final = tuple(f"127.0.0.{number}" for number in range(1, BIDDERS + 1))
ROUNDS: Final = 9
ROUND_S: Final = 0.4
AT_ONCE: Final = 16
"""Auctions in flight while CPU is measured, as on a server under load."""
SPREAD_MS: Final = (20, 120)
SPREAD_AUCTIONS: Final = 32
"""Of each client in each round, `SPREAD_AT_ONCE` at a time."""
SPREAD_AT_ONCE: Final = 4
MIXED_AUCTIONS: Final = 10
"""Of each client in each round, all at a time."""
MIXED_ROUNDS: Final = 3
GOOD: Final = 14
LATE_MS: Final = 700
DEADLINE_MS: Final = 500
PATIENT_MS: Final = 5_000
MAX_AUCTIONS_A_ROUND: Final = 100_000
STUB_WAIT_S: Final = 10
SEED: Final = 20_260_302
_BODY: Final = (
    b'{"vertical":"home services","state":"IL","zip":"60601","area_code":"312","captured":{%b}}'
    % (b",".join(b'"field_%02d":"value %02d"' % (number, number) for number in range(12)))
)


class _Said(msgspec.Struct):
    amount: str
    sent_us: str


class _Subject:
    """One client and what it was measured at."""

    def __init__(self, name: str, client: "Client") -> None:
        self.name = name
        self.client = client
        self.cpu_us: list[float] = []
        self.overheads_ms: list[float] = []
        self.past_ms: list[float] = []
        self.lost = 0


def run(
    *,
    rounds: int = ROUNDS,
    round_s: float = ROUND_S,
    spread: int = SPREAD_AUCTIONS,
    mixed: int = MIXED_ROUNDS,
) -> BenchReport:
    """Measure; about a minute and a half. Raises OSError where pycurl is not installed."""
    return uvloop.run(_run(rounds=rounds, round_s=round_s, spread=spread, mixed=mixed))


async def _run(*, rounds: int, round_s: float, spread: int, mixed: int) -> BenchReport:
    ratios: dict[str, float] = {}
    figures: dict[str, float] = {}
    # What the command line has loaded is no client's garbage.
    gc.collect()
    gc.freeze()
    certificate = make(ADDRESSES, at=RealWorld().now())
    with _bidders(certificate) as ports:
        for secure in (False, True):
            subjects = _subjects(certificate.authority)
            base = f"https://{{}}:{ports.tls}" if secure else f"http://{{}}:{ports.plain}"
            try:
                await _measure_cpu(subjects, base, rounds=rounds, round_s=round_s)
                await _measure_overhead(subjects, base, rounds=rounds, auctions=spread)
                await _measure_mixed(subjects, base, rounds=mixed)
            finally:
                for subject in subjects:
                    await subject.client.close()
            ending = "_tls" if secure else ""
            ratios |= {f"{name}{ending}": value for name, value in _ratios(subjects).items()}
            figures |= {f"{name}{ending}": value for name, value in _figures(subjects).items()}
    return BenchReport(
        bench="auction",
        ratios=ratios,
        figures=figures,
        conditions=conditions()
        | {
            "bidders": BIDDERS,
            "rounds": rounds,
            "round_s": round_s,
            "at_once": AT_ONCE,
            "spread_auctions": spread * rounds,
            "spread_at_once": SPREAD_AT_ONCE,
            "mixed_auctions": mixed * MIXED_AUCTIONS,
            "deadline_ms": DEADLINE_MS,
            "seed": SEED,
        },
    )


def _subjects(authority: str) -> list[_Subject]:
    try:
        from callmatrix.bench import ping_clients
    except ImportError as error:
        raise OSError(f"{error.name} is missing: install callmatrix[dev] to compare with it") from error
    return [
        _Subject("ours", ping_clients.Ours(authority)),
        _Subject("aiohttp", ping_clients.Aiohttp(authority)),
        _Subject("pycurl", ping_clients.Pycurl(authority)),
    ]


def _ratios(subjects: Sequence[_Subject]) -> dict[str, float]:
    """Each library's CPU to ours, both the least of interleaved rounds: what else the machine does adds."""
    ours, *others = subjects
    return {f"{other.name}_over_ours_cpu": round(min(other.cpu_us) / min(ours.cpu_us), 2) for other in others}


def _figures(subjects: Sequence[_Subject]) -> dict[str, float]:
    """Ours by the bare names, the others' with theirs in front."""
    figures: dict[str, float] = {}
    for subject in subjects:
        start = "" if subject.name == "ours" else f"{subject.name}_"
        cpu_us = min(subject.cpu_us)
        figures |= {
            f"{start}cpu_us_per_ping": round(cpu_us, 1),
            f"{start}auctions_per_s_per_core": round(1e6 / (cpu_us * BIDDERS)),
            f"{start}overhead_p50_ms": round(_quantile(subject.overheads_ms, 50), 2),
            f"{start}overhead_p99_ms": round(_quantile(subject.overheads_ms, 99), 2),
            f"{start}mixed_lost_bids": subject.lost,
            f"{start}mixed_past_deadline_p50_ms": round(_quantile(subject.past_ms, 50), 2),
        }
    return figures


def _quantile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


# --- the three measurements ----------------------------------------------------------------------------


async def _measure_cpu(subjects: Sequence[_Subject], base: str, *, rounds: int, round_s: float) -> None:
    pings = _pings(base, ["bid/0"] * BIDDERS)
    auctions = [subject.client.auction(pings, deadline_ms=PATIENT_MS) for subject in subjects]
    # The first round opens connections and is not counted.
    async for counted, subject, auction in _interleaved(subjects, auctions, rounds=rounds):
        cpu_us = await _cpu_us_per_ping(auction, round_s if counted else round_s / 5)
        if counted:
            subject.cpu_us.append(cpu_us)


async def _cpu_us_per_ping(auction: "Auction", round_s: float) -> float:
    held = 0
    before = cpu_s()
    ends = monotonic_s() + round_s

    async def one_after_the_other() -> None:
        nonlocal held
        for _ in range(MAX_AUCTIONS_A_ROUND):
            got = await auction()
            assert all(each.status == 200 for each in got), got
            held += 1
            if monotonic_s() >= ends:
                break

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(one_after_the_other())
    return (cpu_s() - before) / (held * BIDDERS) * 1e6


async def _measure_overhead(subjects: Sequence[_Subject], base: str, *, rounds: int, auctions: int) -> None:
    first, last = SPREAD_MS
    steps = [first + (last - first) * place / (BIDDERS - 1) for place in range(BIDDERS)]
    pings = _pings(base, [f"bid/{round(step * 1_000)}" for step in steps])
    prepared = [subject.client.auction(pings, deadline_ms=PATIENT_MS) for subject in subjects]

    async def one_after_the_other(auction: "Auction", times: int) -> list[float]:
        return [await _overhead_ms(auction) for _ in range(times)]

    async for counted, subject, auction in _interleaved(subjects, prepared, rounds=rounds):
        times = max(1, auctions // SPREAD_AT_ONCE) if counted else 1
        measured = await asyncio.gather(*(one_after_the_other(auction, times) for _ in range(SPREAD_AT_ONCE)))
        if counted:
            subject.overheads_ms += [each for some in measured for each in some]


async def _overhead_ms(auction: "Auction") -> float:
    got = await auction()
    over = monotonic_s() * 1e3
    return over - max(int(_read(each).sent_us) for each in got) / 1e3


async def _measure_mixed(subjects: Sequence[_Subject], base: str, *, rounds: int) -> None:
    first, last = SPREAD_MS
    good = [f"bid/{round(first + (last - first) * place / (GOOD - 1)) * 1_000}" for place in range(GOOD)]
    paths = [*good, "never", "never", f"bid/{LATE_MS * 1_000}", "error", "malformed", "empty"]
    dice(SEED).shuffle(paths)
    pings = _pings(base, paths)
    auctions = [subject.client.auction(pings, deadline_ms=DEADLINE_MS) for subject in subjects]
    async for counted, subject, auction in _interleaved(subjects, auctions, rounds=rounds):
        measured = await asyncio.gather(*(_mixed(auction) for _ in range(MIXED_AUCTIONS)))
        if counted:
            subject.lost += sum(GOOD - bids for bids, _ in measured)
            subject.past_ms += [past_ms for _, past_ms in measured]


async def _mixed(auction: "Auction") -> tuple[int, float]:
    """The good bids of an auction, and by how much it ended after its deadline."""
    started = monotonic_s()
    got = await auction()
    past_ms = (monotonic_s() - started) * 1e3 - DEADLINE_MS
    return sum(_is_bid(each) for each in got), past_ms


async def _interleaved(
    subjects: Sequence[_Subject], auctions: Sequence["Auction"], *, rounds: int
) -> AsyncIterator[tuple[bool, _Subject, "Auction"]]:
    """Every subject in every round, in another order each time; the first round only warms."""
    chance = dice(SEED)
    pairs = list(zip(subjects, auctions, strict=True))
    for number in range(rounds + 1):
        chance.shuffle(pairs)
        for subject, auction in pairs:
            gc.collect()
            yield number > 0, subject, auction


def _pings(base: str, paths: Sequence[str]) -> "list[Ping]":
    from callmatrix.bench.ping_clients import Ping

    return [
        Ping(url=f"{base.format(address)}/{path}", body=_BODY)
        for address, path in zip(ADDRESSES, paths, strict=True)
    ]


def _read(reply: "Reply") -> _Said:
    return msgspec.json.decode(reply.body, type=_Said)


def _is_bid(reply: "Reply") -> bool:
    try:
        _read(reply)
    except msgspec.DecodeError:
        return False
    return reply.status == 200


@contextmanager
def _bidders(certificate: Certificate) -> Iterator[Ports]:
    stub = subprocess.Popen(
        [sys.executable, "-m", "callmatrix.bench.bidder_stub"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert stub.stdin is not None
    assert stub.stdout is not None
    try:
        orders = Orders(addresses=ADDRESSES, certificate=certificate)
        stub.stdin.write(msgspec.json.encode(orders) + b"\n")
        stub.stdin.flush()
        yield msgspec.json.decode(stub.stdout.readline(), type=Ports)
    finally:
        # The end of its orders is its end.
        stub.communicate(timeout=STUB_WAIT_S)
