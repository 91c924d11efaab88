"""The reservations of one account in memory: the rules that the SQL function obeys too, for simulation.

How a claim is judged. Owners are asked in the order of `owners_of`; each first whether it is paused,
closed or blocked, then its concurrency, its spacing, and its caps in the order of `in_order`; a buyer's
funds come after the buyer's own limits. The first refusal is the answer, and nothing is held.

- A cap is asked only where the claim needs some of its metric: `used + need <= limit`.
- A `paid` or `payout` cap of a publisher (or publisher in campaign) with `when_capped` "unpaid" does not
  refuse: from there on the call pays nobody, later caps on `paid` and `payout` are not asked, and the
  grant holds none of either, with any owner.
- Funds: `balance + credit limit − held >= revenue_max`. They are held for the call's maximum even where
  conversion comes later by postback (rule 15 speaks of the call, rule 11 of units of caps), and given
  back when it is settled; the ledger's postings move the balance.
- A settlement keeps the attempt's unit and gives back what was held and not used. What was used beyond
  the hold fills the cap up to its limit; the rest is overage, outside the check (rule 12).
- Units belong to the windows of the reservation, whenever they are settled or booked (rule 9). A cap that
  is added, or whose windows get other bounds, starts with what its owner reserved in the window before.
- A repeated claim gets its stored answer while it is held or denied. Once the attempt is over, it is
  `closed`, even if the claim comes only after the settlement: nothing may be dialled on an old grant.
"""

from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Final, Literal

import msgspec

from callmatrix.core.caps.limits import (
    CapRefusal,
    Claim,
    Denied,
    Grant,
    Granted,
    LateBooking,
    Limits,
    Metric,
    Owner,
    Settlement,
    Tally,
    Window,
    in_order,
    needs_of,
    owners_of,
)
from callmatrix.core.caps.windows import window_bounds
from callmatrix.core.ids import AccountId, AttemptId, BuyerId
from callmatrix.core.money import ZERO, Money

Status = Literal["open", "paused", "closed", "blocked"]
WhenCapped = Literal["block", "unpaid"]

_PUBLISHER_METRICS: Final = ("paid", "payout")
_MONEY_METRICS: Final = ("revenue", "payout")
_PUBLISHERS: Final = ("publisher", "publisher_in_campaign")


class _Row(msgspec.Struct):
    """One cap of one owner in one window."""

    ends_at: datetime
    limit: int
    ceiling: int
    used: int = 0
    overage: int = 0

    def book(self, amount: int) -> None:
        """Count what was not held: up to the limit, the rest as overage; negative gives back."""
        if amount >= 0:
            fits = min(amount, max(0, self.limit - self.used))
            self.used += fits
            self.overage += amount - fits
        else:
            from_overage = min(-amount, self.overage)
            self.overage -= from_overage
            self.used += amount + from_overage


class _OwnerState(msgspec.Struct):
    """One owner's limits and what is held of them."""

    owner: Owner
    caps: tuple[tuple[Metric, Window, int], ...] = ()
    concurrency: int | None = None
    spacing_s: int | None = None
    time_zone: str = "UTC"
    week_starts_on: int = 0
    when_capped: WhenCapped = "block"
    status: Status = "open"
    live: int = 0
    last_granted_at: datetime | None = None
    rows: dict[tuple[Metric, Window, datetime], _Row] = {}
    current: dict[Window, tuple[datetime, datetime]] = {}

    def row(self, metric: Metric, window: Window, *, limit: int, at: datetime) -> _Row:
        """The row of the window that holds `at`, new where there is none yet."""
        starts_at, ends_at = self.bounds(window, at)
        found = self.rows.get((metric, window, starts_at))
        if found is None:
            found = _Row(ends_at=ends_at, limit=limit, ceiling=limit)
            self.rows[metric, window, starts_at] = found
        return found

    def bounds(self, window: Window, at: datetime) -> tuple[datetime, datetime]:
        """The window that holds `at`; the last one asked for is kept."""
        known = self.current.get(window)
        if known is None or not known[0] <= at < known[1]:
            known = self.current[window] = window_bounds(
                window, at=at, time_zone=self.time_zone, week_starts_on=self.week_starts_on
            )
        return known


class _Funds(msgspec.Struct):
    """What a buyer has, and what calls in the air hold of it."""

    balance: Money = ZERO
    credit_limit: Money = ZERO
    held: Money = ZERO


class _Reservation(msgspec.Struct):
    """One attempt and what it counts: in the air the most that it may become, then what came of it.

    `rows` are the rows that it counts in. `claim` is None where it was over before it was asked for.
    `expired`: it ended by a sweep, and what came of it is not known yet.
    """

    at: datetime
    grant: Grant
    claim: Claim | None = None
    amounts: dict[Metric, int] = {}
    owners: tuple[_OwnerState, ...] = ()
    rows: list[tuple[_Row, Metric]] = []
    ended_at: datetime | None = None
    expired: bool = False
    booked: set[int] = set()


class _Judgement(msgspec.Struct):
    """A claim on its way through its owners: what it needs still, and the rows that it would count in."""

    claim: Claim
    at: datetime
    needs: dict[Metric, int]
    rows: list[tuple[_Row, Metric]] = []
    pays_publisher: bool = True


class Counters:
    """Caps, concurrency, spacing and funds of one account. An owner never registered limits nothing; a
    buyer whose funds were never set has none."""

    def __init__(self, account_id: AccountId) -> None:
        self._account_id = account_id
        self._account = Owner(kind="account", id=account_id)
        self._owners: dict[Owner, _OwnerState] = {}
        self._funds: dict[BuyerId, _Funds] = {}
        self._reservations: dict[AttemptId, _Reservation] = {}
        self._expiries: list[tuple[datetime, AttemptId]] = []

    def register(
        self,
        owner: Owner,
        limits: Limits,
        *,
        at: datetime,
        time_zone: str = "UTC",
        week_starts_on: int = 0,
        when_capped: WhenCapped = "block",
    ) -> None:
        """Set or change an owner's limits from `at` on; a limit below its use only refuses (rule 12)."""
        state = self._state(owner)
        state.caps = in_order(limits.caps)
        state.concurrency = limits.concurrency
        state.spacing_s = limits.spacing_s
        state.time_zone = time_zone
        state.week_starts_on = week_starts_on
        state.when_capped = when_capped
        state.current.clear()
        past = {key: row for key, row in state.rows.items() if row.ends_at <= at}
        standing, state.rows = state.rows, past
        for metric, window, limit in state.caps:
            starts_at, ends_at = state.bounds(window, at)
            key = (metric, window, starts_at)
            row = standing.get(key)
            if row is None or row.ends_at != ends_at:
                row = self._counted(state, metric, limit=limit, starts_at=starts_at, ends_at=ends_at)
            elif row.limit != limit:
                row.limit = limit
                row.ceiling = max(limit, row.used)
            state.rows[key] = row

    def set_status(self, owner: Owner, status: Status) -> None:
        """Pause, close, block or open an owner; what it holds stays."""
        self._state(owner).status = status

    def set_funds(self, buyer_id: BuyerId, *, balance: Money, credit_limit: Money) -> None:
        """What the buyer has paid ahead (negative: owes), and how far below zero they may go."""
        funds = self._funds.setdefault(buyer_id, _Funds())
        funds.balance = balance
        funds.credit_limit = credit_limit

    def move_funds(self, buyer_id: BuyerId, amount: Money) -> None:
        """Add a posting's effect to the buyer's balance: a deposit is positive, a charge negative."""
        funds = self._funds.setdefault(buyer_id, _Funds())
        funds.balance += amount

    def reserve(self, claim: Claim, at: datetime) -> Grant:
        """Hold everything that the claim needs, or nothing. A repeated attempt gets its stored answer."""
        known = self._reservations.get(claim.attempt_id)
        if known is not None:
            return known.grant
        states = tuple(self._state(owner) for owner in owners_of(claim, account_id=self._account_id))
        judgement = _Judgement(claim=claim, at=at, needs=needs_of(claim))
        for state in states:
            denied = _limit_refusal(judgement, state) or _cap_refusal(judgement, state)
            if denied is None and state.owner.kind == "buyer":
                denied = self._funds_refusal(claim, state.owner)
            if denied is not None:
                self._reservations[claim.attempt_id] = _Reservation(at=at, grant=denied, ended_at=at)
                return denied
        return self._hold(judgement, states)

    def settle(self, settlement: Settlement, at: datetime) -> bool:
        """End a reservation. False where it was not held; a claim that comes later is refused then.

        One that had expired is counted all the same, as what comes late is: beyond a cap it is overage.
        """
        attempt_id = settlement.attempt_id
        reservation = self._reservations.get(attempt_id)
        if reservation is None:
            over = Denied(attempt_id=attempt_id, code="closed", owner=self._account)
            self._reservations[attempt_id] = _Reservation(at=at, grant=over, ended_at=at)
            return False
        if reservation.ended_at is None:
            self._end(reservation, settlement, at)
            return True
        if reservation.expired:
            reservation.expired = False
            _come_to(reservation, settlement)
        return False

    def _end(self, reservation: _Reservation, settlement: Settlement, at: datetime) -> None:
        assert reservation.claim is not None
        reservation.ended_at = at
        reservation.grant = Denied(attempt_id=settlement.attempt_id, code="closed", owner=self._account)
        _come_to(reservation, settlement)
        for state in reservation.owners:
            state.live -= 1
        claim = reservation.claim
        if claim.buyer_id is not None:
            self._funds[claim.buyer_id].held -= claim.revenue_max

    def book_late(self, booking: LateBooking) -> bool:
        """Count what came after settlement, in the windows of the reservation; never takes back more than
        the reservation counts. False, and nothing changes, where the attempt is unknown, denied or held, or
        the revision is booked already."""
        reservation = self._reservations.get(booking.attempt_id)
        if reservation is None or reservation.claim is None or reservation.ended_at is None:
            return False
        if booking.revision in reservation.booked:
            return False
        reservation.booked.add(booking.revision)
        counted = reservation.amounts
        amounts: dict[Metric, int] = {
            "conversion": max(booking.conversions, -counted["conversion"]),
            "paid": max(booking.payments, -counted["paid"]),
            "payout": max(booking.payout.micros, -counted["payout"]),
            "revenue": max(booking.revenue.micros, -counted["revenue"]),
        }
        for metric, amount in amounts.items():
            counted[metric] += amount
        for row, metric in reservation.rows:
            row.book(amounts.get(metric, 0))
        return True

    def sweep(self, at: datetime) -> tuple[AttemptId, ...]:
        """Release what has expired by `at`, oldest first; nothing but the attempt stays used."""
        expired: list[AttemptId] = []
        while self._expiries and self._expiries[0][0] <= at:
            _, attempt_id = heappop(self._expiries)
            reservation = self._reservations.get(attempt_id)
            if reservation is not None and reservation.ended_at is None:
                self._end(reservation, Settlement(attempt_id=attempt_id), at)
                reservation.expired = True
                expired.append(attempt_id)
        return tuple(expired)

    def forget(self, before: datetime) -> None:
        """Drop attempts and windows that ended before an instant, so that long simulations stay small."""
        ended = [
            attempt_id
            for attempt_id, reservation in self._reservations.items()
            if reservation.ended_at is not None and reservation.ended_at < before
        ]
        for attempt_id in ended:
            del self._reservations[attempt_id]
        in_use = {id(row) for kept in self._reservations.values() for row, _ in kept.rows}
        for state in self._owners.values():
            state.rows = {
                key: row for key, row in state.rows.items() if row.ends_at >= before or id(row) in in_use
            }

    def tally(self, owner: Owner, metric: Metric, window: Window, *, at: datetime) -> Tally | None:
        """One cap in the window that holds `at`; None where there is no such row."""
        state = self._state(owner)
        starts_at, _ = window_bounds(
            window, at=at, time_zone=state.time_zone, week_starts_on=state.week_starts_on
        )
        row = state.rows.get((metric, window, starts_at))
        if row is None:
            return None
        return Tally(limit=row.limit, ceiling=row.ceiling, used=row.used, overage=row.overage)

    def shut(self, owner: Owner, *, at: datetime) -> tuple[tuple[CapRefusal, Metric | None], ...]:
        """Why the owner would refuse now, nothing where it would not; of full caps each metric is told.

        A money cap and a buyer's funds count as full when nothing at all is left: the reservation, which
        knows how much is asked, has the last word.
        """
        state = self._owners.get(owner)
        if state is None:
            return ()
        found: list[tuple[CapRefusal, Metric | None]] = []
        if state.status != "open":
            found.append((state.status, None))
        elif state.concurrency is not None and state.live >= state.concurrency:
            found.append(("concurrency_full", None))
        elif (
            state.spacing_s is not None
            and state.last_granted_at is not None
            and at - state.last_granted_at < timedelta(seconds=state.spacing_s)
        ):
            found.append(("spacing", None))
        for metric, window, limit in state.caps:
            row = state.row(metric, window, limit=limit, at=at)
            if row.used >= row.limit:
                found.append(("cap_full", metric))
        if owner.kind == "buyer":
            funds = self._funds.get(BuyerId(owner.id))
            if funds is not None and funds.balance + funds.credit_limit <= funds.held:
                found.append(("no_funds", None))
        return tuple(found)

    def live(self, owner: Owner) -> int:
        """How many attempts the owner has in the air."""
        return self._state(owner).live

    def held_funds(self, buyer_id: BuyerId) -> Money:
        """What calls in the air hold of the buyer's funds."""
        return self._funds.get(buyer_id, _Funds()).held

    def open_attempts(self) -> tuple[AttemptId, ...]:
        """The attempts that hold something."""
        return tuple(key for key, kept in self._reservations.items() if kept.ended_at is None)

    def _state(self, owner: Owner) -> _OwnerState:
        state = self._owners.get(owner)
        if state is None:
            state = self._owners[owner] = _OwnerState(owner=owner)
        return state

    def _counted(
        self, state: _OwnerState, metric: Metric, *, limit: int, starts_at: datetime, ends_at: datetime
    ) -> _Row:
        """A new row that counts what the owner reserved in its window before there was such a cap."""
        row = _Row(ends_at=ends_at, limit=limit, ceiling=limit)
        for reservation in self._reservations.values():
            if starts_at <= reservation.at < ends_at and any(owner is state for owner in reservation.owners):
                row.used += reservation.amounts[metric]
                reservation.rows.append((row, metric))
        row.ceiling = max(limit, row.used)
        return row

    def _funds_refusal(self, claim: Claim, owner: Owner) -> Denied | None:
        assert claim.buyer_id is not None
        funds = self._funds.setdefault(claim.buyer_id, _Funds())
        total = funds.balance + funds.credit_limit
        if total - funds.held >= claim.revenue_max:
            return None
        return Denied(
            attempt_id=claim.attempt_id,
            code="no_funds",
            owner=owner,
            limit=str(total),
            used=str(funds.held),
        )

    def _hold(self, judgement: _Judgement, states: tuple[_OwnerState, ...]) -> Granted:
        claim, at = judgement.claim, judgement.at
        for row, metric in judgement.rows:
            row.used += judgement.needs[metric]
        for state in states:
            state.live += 1
            state.last_granted_at = max(at, state.last_granted_at or at)
        if claim.buyer_id is not None:
            self._funds[claim.buyer_id].held += claim.revenue_max
        grant = Granted(attempt_id=claim.attempt_id, pays_publisher=judgement.pays_publisher)
        self._reservations[claim.attempt_id] = _Reservation(
            at=at,
            grant=grant,
            claim=claim,
            amounts=judgement.needs,
            owners=states,
            rows=judgement.rows,
        )
        heappush(self._expiries, (claim.expires_at, claim.attempt_id))
        return grant


def _come_to(reservation: _Reservation, settlement: Settlement) -> None:
    """What was held and not used goes back; what was used beyond it fills the cap, the rest is overage."""
    held = reservation.amounts
    reservation.amounts = {
        "attempt": 1,
        "connect": int(settlement.connected),
        "conversion": int(settlement.converted),
        "paid": int(settlement.paid),
        "payout": settlement.payout.micros,
        "revenue": settlement.revenue.micros,
    }
    for row, metric in reservation.rows:
        used = reservation.amounts[metric]
        row.used -= max(0, held[metric] - used)
        row.book(max(0, used - held[metric]))


def _limit_refusal(judgement: _Judgement, state: _OwnerState) -> Denied | None:
    """Paused, closed or blocked; concurrency; spacing."""
    attempt_id = judgement.claim.attempt_id
    if state.status != "open":
        return Denied(attempt_id=attempt_id, code=state.status, owner=state.owner)
    if state.concurrency is not None and state.live >= state.concurrency:
        return Denied(
            attempt_id=attempt_id,
            code="concurrency_full",
            owner=state.owner,
            limit=str(state.concurrency),
            used=str(state.live),
        )
    if state.spacing_s is None or state.last_granted_at is None:
        return None
    since = judgement.at - state.last_granted_at
    if since >= timedelta(seconds=state.spacing_s):
        return None
    return Denied(
        attempt_id=attempt_id,
        code="spacing",
        owner=state.owner,
        limit=str(state.spacing_s),
        used=str(max(0, since // timedelta(seconds=1))),
    )


def _cap_refusal(judgement: _Judgement, state: _OwnerState) -> Denied | None:
    """The first full cap. The rows of the others are added to the judgement."""
    for metric, window, limit in state.caps:
        row = state.row(metric, window, limit=limit, at=judgement.at)
        need = judgement.needs[metric]
        if need > 0 and row.used + need > row.limit:
            unpaid = state.when_capped == "unpaid" and state.owner.kind in _PUBLISHERS
            if not unpaid or metric not in _PUBLISHER_METRICS:
                return Denied(
                    attempt_id=judgement.claim.attempt_id,
                    code="cap_full",
                    owner=state.owner,
                    metric=metric,
                    window=window,
                    limit=_told(metric, row.limit),
                    used=_told(metric, row.used),
                )
            judgement.pays_publisher = False
            judgement.needs["paid"] = judgement.needs["payout"] = 0
        judgement.rows.append((row, metric))
    return None


def _told(metric: Metric, amount: int) -> str:
    return str(Money(amount)) if metric in _MONEY_METRICS else str(amount)
