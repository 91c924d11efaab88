"""Judges every granted reservation again, in order of time, by the configuration that was in force."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Final, get_args

import msgspec

from callmatrix.core.campaign import Offer
from callmatrix.core.caps import Claim, Metric, Settlement, Window, in_order, needs_of, window_bounds
from callmatrix.core.documents import decode
from callmatrix.core.hours import Hours, is_open
from callmatrix.core.ids import AccountId, OfferId
from callmatrix.store.capacity import Allowance, allowances
from callmatrix.store.caps import owner_key, told
from callmatrix.store.db import Row, Transaction
from callmatrix.store.kinds import Kind
from callmatrix.store.promises.broken import MAX_COUNTEREXAMPLES, Broken
from callmatrix.store.promises.in_force import (
    ENDS_SLACK,
    REVISIONS_SLACK,
    ROWS_AT_ONCE,
    Since,
    Timeline,
    append,
    in_force,
    revisions,
)

_CAPS: Final = "no_cap_is_exceeded"
_CONCURRENCY: Final = "no_concurrency_is_exceeded"
_SPACING: Final = "spacing_is_kept"
_CLOSED: Final = "closed_offers_are_never_dialled"
_METRICS: Final[tuple[Metric, ...]] = get_args(Metric)
_LIMITING: Final[tuple[Kind, ...]] = ("account", "buyer", "offer", "publisher", "campaign")
_GRANTS: Final = """
    select r.attempt_id, r.call_id, r.campaign_id, r.offer_id, r.buyer_id, r.publisher_id, r.reserved_at,
        r.ended_at, r.pays_publisher, r.revisions, 1 as attempt, r.connects as connect,
        r.conversions as conversion, r.paids as paid, r.revenue_micros as revenue, r.payout_micros as payout,
        a.dialled_at, a.settlement, (
            select e.value ->> 'claim' from call c, jsonb_array_elements(c.document::jsonb -> 'attempts') e
            where c.account_id = r.account_id and c.id = r.call_id and e.value ->> 'id' = r.attempt_id
        ) as claim
    from reservation r left join attempt a on a.account_id = r.account_id and a.id = r.attempt_id
    where r.account_id = $1 and r.state <> 'denied' and r.campaign_id is not null
    order by r.reserved_at, r.attempt_id
    """


class _Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """What was in force when: allowances by owner key, and offers' hours."""

    allowed: dict[str, Timeline[Allowance]]
    hours: dict[OfferId, Timeline[Hours | None]]


class _Grant(msgspec.Struct, frozen=True, kw_only=True):
    """One reservation that was granted. `held` is what it asked for; `counts` what is certain to have stayed
    counted under each metric until now."""

    attempt_id: str
    at: datetime
    ended_at: datetime | None
    offer_id: OfferId | None
    dialled_at: datetime | None
    owners: tuple[str, ...]
    held: dict[Metric, int]
    counts: dict[Metric, int]


class _Sum(msgspec.Struct):
    """What the grants so far count in one window of one owner."""

    starts_at: datetime
    ends_at: datetime
    amount: int = 0


class _OwnerState(msgspec.Struct):
    """What was granted to one owner so far: sums of the windows reached, ends of those in the air."""

    specs: frozenset[tuple[Metric, Window, str, int]]
    sums: dict[tuple[Metric, Window, str, int], _Sum] = {}
    ends: list[datetime] = []
    unending: int = 0
    last_at: datetime | None = None

    def sum_of(self, spec: tuple[Metric, Window, str, int], at: datetime) -> _Sum:
        """The sum of the window that holds `at`; windows are left behind in order of time."""
        found = self.sums.get(spec)
        if found is None or not found.starts_at <= at < found.ends_at:
            _, window, time_zone, week_starts_on = spec
            starts_at, ends_at = window_bounds(
                window, at=at, time_zone=time_zone, week_starts_on=week_starts_on
            )
            found = self.sums[spec] = _Sum(starts_at, ends_at)
        return found

    def live(self, at: datetime) -> int:
        """How many of the earlier grants were certainly in the air at `at`."""
        while self.ends and self.ends[0] <= at + ENDS_SLACK:
            heappop(self.ends)
        return len(self.ends) + self.unending

    def take(self, grant: _Grant) -> None:
        """Count a grant."""
        for spec in self.specs:
            self.sum_of(spec, grant.at).amount += grant.counts[spec[0]]
        if grant.ended_at is None:
            self.unending += 1
        else:
            heappush(self.ends, grant.ended_at)
        self.last_at = grant.at


async def broken_limits(tx: Transaction, account_id: AccountId) -> list[Broken]:
    """Grants beyond a cap, a concurrency or a spacing, and dials of who was closed or paused."""
    configuration = await _configuration(tx, account_id)
    states = {
        key: _OwnerState(specs=_specs(timeline))
        for key, timeline in configuration.allowed.items()
        if any(_is_limited(since.value) for since in timeline)
    }
    found: dict[str, list[Broken]] = {name: [] for name in (_CAPS, _CONCURRENCY, _SPACING, _CLOSED)}
    async for row in tx.cursor(_GRANTS, account_id, prefetch=ROWS_AT_ONCE):
        grant = _grant(account_id, row)
        for key in grant.owners:
            state = states.get(key)
            if state is not None:
                for name, said in _excess(state, in_force(configuration.allowed[key], grant.at), grant):
                    _tell(found[name], name, f"reservation {grant.attempt_id}: {key} {said}")
                state.take(grant)
        if grant.dialled_at is not None:
            shut = _shut(configuration, grant)
            if shut:
                _tell(found[_CLOSED], _CLOSED, f"attempt {grant.attempt_id}: {shut} at {grant.at}")
    return [one for many in found.values() for one in many]


def _tell(found: list[Broken], name: str, text: str) -> None:
    if len(found) < MAX_COUNTEREXAMPLES:
        found.append(Broken(name=name, text=text))


async def _configuration(tx: Transaction, account_id: AccountId) -> _Configuration:
    """Every revision of whatever limits or closes; of two alike in a row the first is kept."""
    kept = _Configuration(allowed={}, hours={})
    before = ""
    spoke_for: set[str] = set()
    async for at, document in revisions(tx, account_id, _LIMITING):
        if document.id != before:
            before, spoke_for = document.id, set()
        # Whether a capped publisher blocks or goes unpaid is told by the grant itself.
        will = {owner_key(owner): one for owner, one in allowances(document, inherited={}).items()}
        for key in spoke_for | will.keys():
            append(kept.allowed.setdefault(key, []), at, will.get(key, Allowance()))
        spoke_for |= will.keys()
        if isinstance(document, Offer):
            append(kept.hours.setdefault(document.id, []), at, document.hours)
    return kept


def _is_limited(allowed: Allowance) -> bool:
    limits = allowed.limits
    return bool(limits.caps) or limits.concurrency is not None or limits.spacing_s is not None


def _specs(timeline: Timeline[Allowance]) -> frozenset[tuple[Metric, Window, str, int]]:
    return frozenset(
        (cap.metric, cap.window, since.value.time_zone, since.value.week_starts_on)
        for since in timeline
        for cap in since.value.limits.caps
    )


def _grant(account_id: AccountId, row: Row) -> _Grant:
    counted: dict[Metric, int] = {metric: row[metric] for metric in _METRICS}
    if row["revisions"]:
        # What a later rating added may stand outside of the check, so only the settlement's part is certain.
        settled = _settled(row["settlement"])
        counted = {metric: max(0, min(settled[metric], counted[metric])) for metric in _METRICS}
    held = counted
    if row["claim"] is not None:
        held = needs_of(decode(row["claim"], Claim))
        if not row["pays_publisher"]:
            held["paid"] = held["payout"] = 0
    return _Grant(
        attempt_id=row["attempt_id"],
        at=row["reserved_at"],
        ended_at=row["ended_at"],
        offer_id=row["offer_id"],
        dialled_at=row["dialled_at"],
        owners=tuple(_owners(account_id, row)),
        held=held,
        counts={metric: min(held[metric], counted[metric]) for metric in _METRICS},
    )


def _settled(settlement: str | None) -> dict[Metric, int]:
    if settlement is None:
        return dict.fromkeys(_METRICS, 0)
    one = decode(settlement, Settlement)
    return {
        "attempt": 1,
        "connect": int(one.connected),
        "conversion": int(one.converted),
        "paid": int(one.paid),
        "revenue": one.revenue.micros,
        "payout": one.payout.micros,
    }


def _owners(account_id: AccountId, row: Row) -> Iterator[str]:
    campaign, publisher, buyer, offer = (
        row[name] for name in ("campaign_id", "publisher_id", "buyer_id", "offer_id")
    )
    yield f"account:{account_id}"
    yield f"campaign:{campaign}"
    if publisher is not None:
        yield f"publisher:{publisher}"
        yield f"publisher_in_campaign:{publisher}/{campaign}"
    if buyer is not None:
        yield f"buyer:{buyer}"
    if offer is not None:
        yield f"offer:{offer}"
        yield f"offer_in_campaign:{offer}/{campaign}"


def _excess(state: _OwnerState, standing: list[Since[Allowance]], grant: _Grant) -> Iterator[tuple[str, str]]:
    """Which limits the grant broke, whatever may have been in force: promises by name, and the values."""
    for name, excess in ((_CAPS, _over_cap), (_CONCURRENCY, _over_concurrency), (_SPACING, _too_soon)):
        said = [excess(state, since, grant) for since in standing]
        if said and all(said):
            yield name, said[0]


def _over_concurrency(state: _OwnerState, since: Since[Allowance], grant: _Grant) -> str:
    limit, live = since.value.limits.concurrency, state.live(grant.at)
    return "" if limit is None or live < limit else f"had {live} in the air at {grant.at}, of {limit}"


def _too_soon(state: _OwnerState, since: Since[Allowance], grant: _Grant) -> str:
    spacing_s = since.value.limits.spacing_s
    if spacing_s is None or state.last_at is None or state.last_at < since.at:
        return ""
    gap = grant.at - state.last_at
    if gap >= timedelta(seconds=spacing_s):
        return ""
    return f"was granted {gap.total_seconds()} s after {state.last_at}, not {spacing_s} s"


def _over_cap(state: _OwnerState, since: Since[Allowance], grant: _Grant) -> str:
    allowed, at = since.value, grant.at
    for metric, window, limit in in_order(allowed.limits.caps):
        used = state.sum_of((metric, window, allowed.time_zone, allowed.week_starts_on), at).amount
        need = grant.held[metric]
        if need > 0 and used + need > limit:
            return (
                f"had {told(metric, used)} of {told(metric, limit)} {metric} by {window} at {at}, "
                f"and {told(metric, need)} more was granted"
            )
    return ""


def _shut(configuration: _Configuration, grant: _Grant) -> str:
    """Who was paused or closed when the attempt was reserved that was then dialled."""
    for key in grant.owners:
        standing = in_force(configuration.allowed.get(key, []), grant.at)
        if standing and all(since.value.status != "open" for since in standing):
            return f"{key} was {standing[0].value.status}"
    if grant.offer_id is None:
        return ""
    opening = in_force(configuration.hours.get(grant.offer_id, []), grant.at)
    if not opening or any(_may_be_open(since.value, grant.at) for since in opening):
        return ""
    return f"offer:{grant.offer_id} was closed"


def _may_be_open(hours: Hours | None, at: datetime) -> bool:
    """Hours are looked at before the claim waits for its batch, so the closing minute gets its slack too."""
    return hours is None or is_open(hours, at) or is_open(hours, at - REVISIONS_SLACK)
