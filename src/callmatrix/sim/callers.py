"""Who calls, when, and what they and the buyers do: seeded arrivals and behaviours as values."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from math import log
from typing import Final, Literal

import msgspec

from callmatrix.core import geo
from callmatrix.core.campaign import Destination, PhoneDestination
from callmatrix.core.ids import CampaignId
from callmatrix.gateway import callers as script
from callmatrix.sim.network import AUTO, AUTO_CHALLENGER, LEGAL, MEDICARE, PLUMBING, Network
from callmatrix.world import Dice, dice

MAX_REMEMBERED: Final = 4_000
MAX_BURST: Final = 25
DAY_MS: Final = 86_400_000

# Calls by local hour, as pay-per-call traffic comes: little at night, most before noon, a second crest.
HOUR_WEIGHTS: Final = (2, 1, 1, 1, 1, 3, 8, 20, 45, 62, 70, 68, 60, 58, 60, 62, 58, 50, 40, 32, 24, 16, 9, 4)
WEEKDAY_WEIGHTS: Final = (1.12, 1.1, 1.06, 1.03, 1.0, 0.72, 0.6)

Attestation = Literal["A", "B", "C", "failed", "none"]


class Audience(msgspec.Struct, frozen=True, kw_only=True):
    """Where a campaign's callers live and how often it is called. `zips` belong to `area_codes`' states."""

    weight: int
    time_zone: str
    area_codes: tuple[str, ...]
    zips: tuple[str, ...]


_AUTO: Final = Audience(
    weight=30,
    time_zone="America/Chicago",
    area_codes=("214", "713", "404", "614", "216", "704", "919", "602", "615", "312", "215", "412"),
    zips=("75201", "77002", "30303", "43215", "44114", "28202", "27601", "85004", "37203", "60601", "19103"),
)
AUDIENCES: Final[dict[CampaignId, Audience]] = {
    PLUMBING: Audience(
        weight=34,
        time_zone="America/Los_Angeles",
        area_codes=("415", "510", "408", "650", "925", "213", "310", "818", "619", "714", "916"),
        zips=("94105", "94607", "95112", "94301", "90012", "90210", "91401", "92101", "95814", "93101"),
    ),
    MEDICARE: Audience(
        weight=26,
        time_zone="America/New_York",
        area_codes=("305", "813", "407", "904", "561", "239"),
        zips=("33130", "33602", "32801", "32202", "33401", "34102"),
    ),
    AUTO: _AUTO,
    AUTO_CHALLENGER: _AUTO,
    LEGAL: Audience(
        weight=10,
        time_zone="America/New_York",
        area_codes=("212", "312", "415", "305", "617", "206", "303"),
        zips=("10001", "60601", "94105", "33130", "02108", "98101", "80202"),
    ),
}
# Some callers come from somewhere else than the campaign buys.
ELSEWHERE: Final = ("207", "303", "503", "801", "800")


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One caller's script. `keys` answer the gathers in order ("" is silence; after the last: silence).

    `patience_ms` is how long they wait for somebody to talk to, `talk_ms` how long they then talk unless
    the buyer ends it sooner.
    """

    at: datetime
    caller: str | None
    dialed: str
    keys: tuple[str, ...]
    patience_ms: int
    talk_ms: int
    voicemail_ms: int = 8_000
    attestation: Attestation = "A"
    test: bool = False


def visits(network: Network, *, seed: int, starts_on: date, days: int, calls_per_day: int) -> Iterator[Visit]:
    """Every visit of some days, in order of time; the same for the same seed."""
    rolls = dice(seed)
    lines = _lines(network)
    known: dict[str, list[str]] = {number: [] for number, _, _ in lines}
    for day in range(days):
        on = starts_on + timedelta(days=day)
        found = [
            visit
            for line, count in zip(lines, _counts(rolls, lines, on, calls_per_day), strict=True)
            for visit in _of_line(rolls, line, on, count=count, known=known[line[0]])
        ]
        yield from sorted(found, key=lambda visit: (visit.at, visit.dialed, visit.caller or ""))


_Line = tuple[str, CampaignId, Audience]


def _lines(network: Network) -> list[_Line]:
    """The assigned numbers with the first campaign of each and its audience."""
    return [
        (
            number.number,
            number.assignments[-1].split[0].campaign_id,
            AUDIENCES[number.assignments[-1].split[0].campaign_id],
        )
        for number in network.numbers
        if number.assignments and number.assignments[-1].split[0].campaign_id in AUDIENCES
    ]


def _counts(rolls: Dice, lines: list[_Line], on: date, calls_per_day: int) -> list[int]:
    siblings = {campaign: sum(1 for _, other, _ in lines if other == campaign) for _, campaign, _ in lines}
    weights = [audience.weight / siblings[campaign] for _, campaign, audience in lines]
    total = sum(weights)
    busy = WEEKDAY_WEIGHTS[on.weekday()] * rolls.uniform(0.92, 1.08)
    return [_rounded(rolls, calls_per_day * busy * weight / total) for weight in weights]


def _rounded(rolls: Dice, wanted: float) -> int:
    return int(wanted) + (rolls.random() < wanted % 1)


def _of_line(rolls: Dice, line: _Line, on: date, *, count: int, known: list[str]) -> Iterator[Visit]:
    if count >= MAX_BURST and rolls.random() < 0.04:
        yield from _burst(rolls, line, on)
    hours = list(accumulate(HOUR_WEIGHTS))
    for hour in rolls.choices(range(24), cum_weights=hours, k=count):
        at = _instant(line[2].time_zone, on, hour * 3_600_000 + rolls.randrange(3_600_000))
        yield _visit(rolls, line, at=at, known=known)


def _instant(time_zone: str, on: date, ms: int) -> datetime:
    midnight = datetime.combine(on, time(), tzinfo=geo.zone(time_zone)).astimezone(UTC)
    return midnight + timedelta(milliseconds=ms)


def _burst(rolls: Dice, line: _Line, on: date) -> Iterator[Visit]:
    """A machine dials one number over and over."""
    caller = _number(rolls, rolls.choice(ELSEWHERE))
    at = _instant(line[2].time_zone, on, rolls.randrange(DAY_MS))
    for _ in range(rolls.randrange(5, MAX_BURST)):
        yield Visit(
            at=at,
            caller=caller,
            dialed=line[0],
            keys=(),
            patience_ms=rolls.randrange(2_000, 12_000),
            talk_ms=4_000,
            attestation=rolls.choice(("C", "failed", "none")),
        )
        at += timedelta(milliseconds=rolls.randrange(300, 9_000))


def _visit(rolls: Dice, line: _Line, *, at: datetime, known: list[str]) -> Visit:
    dialed, campaign, audience = line
    return Visit(
        at=at,
        caller=_caller(rolls, audience, known),
        dialed=dialed,
        keys=_keys(rolls, campaign, audience),
        patience_ms=int(rolls.expovariate(1 / 110_000)) + 4_000,
        talk_ms=int(rolls.expovariate(1 / 260_000)) + 1_500,
        voicemail_ms=rolls.randrange(0, 40_000),
        attestation=rolls.choices(("A", "B", "C", "none", "failed"), cum_weights=(78, 90, 95, 99, 100))[0],
        test=rolls.random() < 0.004,
    )


def _caller(rolls: Dice, audience: Audience, known: list[str]) -> str | None:
    chance = rolls.random()
    if chance < 0.03:
        return None
    if chance < 0.13 and known:
        return rolls.choice(known)
    codes = ELSEWHERE if chance > 0.96 else audience.area_codes
    caller = _number(rolls, rolls.choice(codes))
    if len(known) < MAX_REMEMBERED:
        known.append(caller)
    else:
        known[rolls.randrange(MAX_REMEMBERED)] = caller
    return caller


def _number(rolls: Dice, area_code: str) -> str:
    """Nobody's number: exchange 555."""
    return f"+1{area_code}555{rolls.randrange(10_000):04}"


def _keys(rolls: Dice, campaign: CampaignId, audience: Audience) -> tuple[str, ...]:
    """What the campaign's flow asks for, most of the time."""
    zip_code = rolls.choice(audience.zips)
    if campaign == PLUMBING:
        wanted = [rolls.choice("112233"), zip_code]
    elif campaign == MEDICARE:
        wanted = [rolls.choice("111112"), rolls.choice("1112"), zip_code]
    elif campaign == LEGAL:
        wanted = [rolls.choice("1112"), str(rolls.randrange(1, 40))]
    else:
        wanted = [rolls.choice("11111222229"), zip_code]
    trouble = rolls.random()
    if trouble < 0.05:
        return ()
    if trouble < 0.12:
        wanted.insert(rolls.randrange(len(wanted)), rolls.choice(("", "7", "00000", "*")))
    return tuple(wanted)


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """How one buyer's line behaves; shares in per mille of the dials."""

    busy: int = 40
    rings_only: int = 60
    fails: int = 10
    declines: int = 80
    leaves_early: int = 60
    pick_up_ms: int = 9_000
    talk_ms: int = 300_000


# By the last digit of the destination, so that every network has good lines and bad ones.
_HABITS: Final = (
    Habits(),
    Habits(busy=120, talk_ms=240_000),
    Habits(rings_only=30, leaves_early=110),
    Habits(declines=200, pick_up_ms=5_000),
    Habits(busy=15, rings_only=20, fails=4, talk_ms=420_000),
    Habits(rings_only=160, pick_up_ms=14_000),
    Habits(fails=60, leaves_early=20),
)


def behaviour(destination: str, draw: int) -> script.Behaviour:
    """What the line at `destination` does this time: a `gateway.callers.BehaviourOf`."""
    habits = _HABITS[sum(destination.encode()) % len(_HABITS)]
    draw, chance = divmod(draw, 1_000)
    draw, mood = divmod(draw, 1_000)
    draw, quick = divmod(draw, 4_096)
    talk = draw % 65_536
    after_ms = 1_000 + habits.pick_up_ms * quick // 4_096
    if chance < habits.busy:
        return script.Busy(after_ms=300 + quick)
    if chance < habits.busy + habits.rings_only:
        return script.RingsOnly()
    if chance < habits.busy + habits.rings_only + habits.fails:
        return script.Fails(sip_code=503 if mood < 500 else 404, after_ms=200 + quick)
    talk_ms = int(-habits.talk_ms * log((talk + 1) / 65_537)) + 2_000
    if chance > 999 - habits.leaves_early:
        talk_ms = 1_000 + mood * 25
    if mood < habits.declines:
        entries: tuple[script.Entry, ...] = script.presses("" if mood % 2 else "9")
        return script.Answers(after_ms=after_ms, talk_ms=talk_ms, entries=entries)
    if mood > 990:
        return script.Answers(after_ms=after_ms, talk_ms=talk_ms, leaves_whisper_ms=1_200)
    return script.accepts(after_ms=after_ms, talk_ms=talk_ms)


def gateway_caller(visit: Visit) -> script.Caller:
    """A visit as a script of the gateway's; its one way to hang up is the one likelier to come first."""
    patient = visit.patience_ms > 40_000
    return script.Caller(
        number=visit.caller or "anonymous",
        dialed=visit.dialed,
        entries=script.presses(*visit.keys),
        hangs_up=script.AfterBridge(after_ms=visit.talk_ms)
        if patient
        else script.AfterArrival(after_ms=visit.patience_ms),
        attestation=visit.attestation,
        voicemail_ms=visit.voicemail_ms,
    )


def address(destination: Destination) -> str:
    """A destination as `behaviour` and the gateway name it."""
    return destination.number if isinstance(destination, PhoneDestination) else destination.uri
