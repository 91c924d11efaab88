"""Counts again, from reservations and calls alone, what every owner held at every instant."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from callmatrix.core import hours
from callmatrix.core.call import Attempt, Call, step
from callmatrix.core.call.commands import BookLate
from callmatrix.core.call.events import ConversionReported, Rerated
from callmatrix.core.caps import (
    Claim,
    LateBooking,
    Limits,
    Metric,
    Owner,
    Settlement,
    Window,
    limit_of,
    needs_of,
    owners_of,
    window_bounds,
)
from callmatrix.core.ids import AccountId, AttemptId, BuyerId, CampaignId
from callmatrix.core.ledger import Transaction
from callmatrix.core.money import Money
from callmatrix.core.plan import CompiledPlan
from callmatrix.sim.backend import RawRows, ReservationRow
from callmatrix.sim.network import Network
from callmatrix.sim.standing import LimitsOf, limits_of, statuses_of

PlanOf = Callable[[CampaignId, int], CompiledPlan]
"""The plan of a campaign at a version that calls are pinned to."""
Configured = Sequence[tuple[datetime, Network]]
"""The configurations of a simulation, each with the instant from which it was in force."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One granted reservation and what became of it."""

    claim: Claim
    reserved_at: datetime
    ended_at: datetime | None
    needs: dict[Metric, int]
    used: dict[Metric, int]


class InForce:
    """Which configuration was in force when."""

    def __init__(self, configured: Configured) -> None:
        self.networks = [network for _, network in configured]
        self._starts = [at for at, _ in configured]
        self._limits: list[dict[Owner, LimitsOf]] = [
            {one[0]: one for one in limits_of(network)} for network in self.networks
        ]
        self._paused = [
            {owner for owner, status in statuses_of(network) if status != "open"} for network in self.networks
        ]
        self._hours = [{offer.id: offer.hours for offer in network.offers} for network in self.networks]
        self._live = [
            {one.id for one in network.campaigns if one.status == "live"} for network in self.networks
        ]

    def network(self, at: datetime) -> Network:
        """The configuration at an instant."""
        return self.networks[self._place(at)]

    def limits(self, owner: Owner, at: datetime) -> LimitsOf | None:
        """What an owner allowed at an instant."""
        return self._limits[self._place(at)].get(owner)

    def shut(self, claim: Claim, at: datetime) -> str | None:
        """Why a claim must not be granted at an instant, by the documents alone, or None."""
        place = self._place(at)
        network = self.networks[place]
        for owner in owners_of(claim, account_id=network.account.id):
            if owner in self._paused[place]:
                return f"{owner.kind} {owner.id} was paused at {at.isoformat()}"
        if claim.offer_id is None:
            return None
        opening = self._hours[place][claim.offer_id]
        if opening is not None and not hours.is_open(opening, at):
            return f"{claim.offer_id} was closed at {at.isoformat()}"
        live = claim.campaign_id in self._live[place]
        return None if live else f"{claim.campaign_id} was paused at {at.isoformat()}"

    def _place(self, at: datetime) -> int:
        return max(0, bisect_right(self._starts, at) - 1)


def held_of(rows: RawRows) -> list[Held]:
    """The granted reservations in order of their grants, with what their attempts came to."""
    attempts = attempts_of(rows)
    found = []
    for row in rows.reservations:
        attempt = attempts.get(row.attempt_id)
        if row.state == "denied" or attempt is None:
            continue
        needs = needs_of(attempt.claim)
        if not row.pays_publisher:
            needs["paid"] = needs["payout"] = 0
        found.append(
            Held(
                claim=attempt.claim,
                reserved_at=row.reserved_at,
                ended_at=row.ended_at,
                needs=needs,
                used=_used(None if _was_swept(row, attempt.claim) else attempt.settlement),
            )
        )
    return found


def _was_swept(row: ReservationRow, claim: Claim) -> bool:
    """Whether it ended by expiry: what became known of it later may be overage (rule 12)."""
    return row.ended_at is not None and row.ended_at >= claim.expires_at


def attempts_of(rows: RawRows) -> dict[AttemptId, Attempt]:
    """Every attempt of every call."""
    return {attempt.id: attempt for row in rows.calls for attempt in row.call.attempts}


def _used(settlement: Settlement | None) -> dict[Metric, int]:
    ended = settlement or Settlement(attempt_id=AttemptId(""))
    return {
        "attempt": 1,
        "connect": int(ended.connected),
        "conversion": int(ended.converted),
        "paid": int(ended.paid),
        "payout": ended.payout.micros,
        "revenue": ended.revenue.micros,
    }


class Late(msgspec.Struct, frozen=True, kw_only=True):
    """What a rating after the settlement took from an attempt, or added to it."""

    at: datetime
    attempt_id: AttemptId
    amounts: dict[Metric, int]


def late_of(rows: RawRows, plan_of: PlanOf) -> list[Late]:
    """The late bookings of calls that were rated again, from their events."""
    found = []
    for row in rows.calls:
        if not any(isinstance(event, ConversionReported | Rerated) for event in row.events):
            continue
        call = fresh(row.call)
        plan = plan_of(call.campaign_id, call.plan_version)
        for event in row.events:
            taken = step(call, event, plan)
            call = taken.call
            found += [_late(event.at, one.booking) for one in taken.commands if isinstance(one, BookLate)]
    return found


def _late(at: datetime, booking: LateBooking) -> Late:
    amounts: dict[Metric, int] = {
        "conversion": booking.conversions,
        "paid": booking.payments,
        "payout": booking.payout.micros,
        "revenue": booking.revenue.micros,
    }
    return Late(at=at, attempt_id=booking.attempt_id, amounts=amounts)


def fresh(call: Call) -> Call:
    """A call as it was before its first event."""
    return Call(
        id=call.id, account_id=call.account_id, campaign_id=call.campaign_id, plan_version=call.plan_version
    )


# --- caps, concurrency, spacing ------------------------------------------------------------------------


def over_limits(
    held: Sequence[Held], late: Sequence[Late], in_force: InForce, *, account_id: AccountId
) -> dict[str, str]:
    """The first grant that broke each kind of limit: `caps`, `concurrency`, `spacing`.

    Of one instant, ends come first, then late bookings, then grants, then the ends of those just granted.
    """
    moments: list[tuple[datetime, int, int]] = []
    for place, one in enumerate(held):
        moments.append((one.reserved_at, 2, place))
        if one.ended_at is not None:
            moments.append((one.ended_at, 3 if one.ended_at == one.reserved_at else 0, place))
    moments += [(booking.at, 1, place) for place, booking in enumerate(late)]
    count = _Count(in_force, account_id)
    for _, kind, place in sorted(moments):
        if kind in (0, 3):
            count.end(held[place])
        elif kind == 1:
            count.late(late[place])
        else:
            count.grant(held[place])
    return count.broken


_Key = tuple[Owner, Metric, Window, datetime]


class _Counted(msgspec.Struct):
    """One reservation in the caps that it counts in; `came_to` moves with late bookings."""

    keys: list[_Key]
    came_to: dict[Metric, int]


class _Count:
    """What is used of every cap. Late bookings only take away: what they add may exceed a cap (rule 12)."""

    def __init__(self, in_force: InForce, account_id: AccountId) -> None:
        self.broken: dict[str, str] = {}
        self._in_force = in_force
        self._account_id = account_id
        self._used: dict[_Key, int] = {}
        self._live: dict[Owner, int] = {}
        self._last: dict[Owner, datetime] = {}
        self._bounds: dict[tuple[str, int, Window], tuple[datetime, datetime]] = {}
        self._counted: dict[AttemptId, _Counted] = {}

    def grant(self, one: Held) -> None:
        at, attempt_id = one.reserved_at, one.claim.attempt_id
        counted = self._counted[attempt_id] = _Counted(keys=[], came_to=dict(one.used))
        for owner in owners_of(one.claim, account_id=self._account_id):
            standing = self._in_force.limits(owner, at)
            live = self._live[owner] = self._live.get(owner, 0) + 1
            if standing is None:
                continue
            limits = standing[1]
            if limits.concurrency is not None and live > limits.concurrency:
                self._breaks("concurrency", f"{owner.id} had {live} of {limits.concurrency} at {at}")
            if limits.spacing_s is not None:
                self._space(owner, limits, at)
            for cap in limits.caps:
                need = one.needs[cap.metric]
                if not need:
                    continue
                bounds = self._window(cap.window, at, time_zone=standing[2], week_starts_on=standing[3])
                key = (owner, cap.metric, cap.window, bounds[0])
                used = self._used[key] = self._used.get(key, 0) + need
                counted.keys.append(key)
                if used > limit_of(cap):
                    over = f"{used} of {limit_of(cap)} {cap.metric} a {cap.window}"
                    self._breaks("caps", f"{attempt_id}: {owner.id} had {over}")
            self._last[owner] = at

    def end(self, one: Held) -> None:
        for owner in owners_of(one.claim, account_id=self._account_id):
            self._live[owner] -= 1
        for key in self._counted[one.claim.attempt_id].keys:
            need = one.needs[key[1]]
            self._used[key] -= need - min(need, one.used[key[1]])

    def late(self, booking: Late) -> None:
        counted = self._counted.get(booking.attempt_id)
        if counted is None:
            return
        for metric, amount in booking.amounts.items():
            before = counted.came_to[metric]
            after = counted.came_to[metric] = before + amount
            given_back = max(0, before) - max(0, after)
            for key in counted.keys:
                if key[1] == metric and given_back > 0:
                    self._used[key] -= given_back

    def _space(self, owner: Owner, limits: Limits, at: datetime) -> None:
        last, wanted_s = self._last.get(owner), limits.spacing_s or 0
        if last is not None and at - last < timedelta(seconds=wanted_s):
            self._breaks("spacing", f"{owner.id} was given two within {at - last} at {at}")

    def _breaks(self, kind: str, text: str) -> None:
        self.broken.setdefault(kind, text)

    def _window(
        self, window: Window, at: datetime, *, time_zone: str, week_starts_on: int
    ) -> tuple[datetime, datetime]:
        key = (time_zone, week_starts_on, window)
        known = self._bounds.get(key)
        if known is None or not known[0] <= at < known[1]:
            known = self._bounds[key] = window_bounds(
                window, at=at, time_zone=time_zone, week_starts_on=week_starts_on
            )
        return known


# --- funds ---------------------------------------------------------------------------------------------


def overdrawn(held: Sequence[Held], transactions: Sequence[Transaction], in_force: InForce) -> str | None:
    """The first grant for which its buyer's funds, less what other calls held, were too small (rule 15).

    Of one instant, ends and credits come first, then grants, then charges.
    """
    found: list[tuple[datetime, int, int, BuyerId, Claim | None]] = []
    for transaction in transactions:
        for posting in transaction.postings:
            if posting.account == "buyer":
                amount = -posting.amount.micros
                order = 0 if amount > 0 else 2
                found.append((transaction.at, order, amount, BuyerId(posting.owner_id), None))
    for one in held:
        claim = one.claim
        if claim.buyer_id is None:
            continue
        found.append((one.reserved_at, 1, claim.revenue_max.micros, claim.buyer_id, claim))
        if one.ended_at is not None:
            found.append(
                (
                    one.ended_at,
                    3 if one.ended_at == one.reserved_at else 0,
                    claim.revenue_max.micros,
                    claim.buyer_id,
                    claim,
                )
            )
    funds: dict[BuyerId, int] = {}
    for at, order, amount, buyer_id, asking in sorted(found, key=lambda item: item[:2]):
        left = funds.get(buyer_id, 0)
        if asking is None or order in (0, 3):
            funds[buyer_id] = left + amount
            continue
        credit = _credit(in_force.network(at), buyer_id)
        if left + credit < amount:
            return f"{asking.attempt_id}: {buyer_id} had {Money(left)} and credit of {Money(credit)} at {at}"
        funds[buyer_id] = left - amount
    return None


def _credit(network: Network, buyer_id: BuyerId) -> int:
    return next(buyer.credit_limit.micros for buyer in network.buyers if buyer.id == buyer_id)


def by_call(transactions: Sequence[Transaction]) -> Mapping[str, list[Transaction]]:
    """The transactions of each call."""
    found: dict[str, list[Transaction]] = {}
    for transaction in transactions:
        if transaction.call_id is not None:
            found.setdefault(transaction.call_id, []).append(transaction)
    return found
