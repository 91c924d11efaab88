"""What a simulated call's driver asks of its surroundings.

The driver takes one step after the other in virtual time, so every answer is a function of what was asked
before: two backends given the same seed must give the same answers, calls and postings.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from callmatrix.core.call import Call, Step
from callmatrix.core.call.events import Event
from callmatrix.core.caps import Claim, Grant, LateBooking, Settlement
from callmatrix.core.ids import AttemptId, BuyerId, CallId, CampaignId
from callmatrix.core.ledger import Transaction
from callmatrix.core.money import Money
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import PastCall
from callmatrix.core.routing import Looked
from callmatrix.sim.network import Network


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """One event and the step that took it."""

    event: Event
    step: Step


class ReservationRow(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one claim. `ended_at` is None while it is held."""

    attempt_id: AttemptId
    state: Literal["held", "ended", "denied"]
    reserved_at: datetime
    ended_at: datetime | None
    pays_publisher: bool = True


class CallRow(msgspec.Struct, frozen=True, kw_only=True):
    """A call as last saved, and every event that it took, in order."""

    call: Call
    events: tuple[Event, ...]


class RawRows(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a simulation: rows, and no counter or balance."""

    calls: tuple[CallRow, ...]
    reservations: tuple[ReservationRow, ...]
    transactions: tuple[Transaction, ...]


class Backend(Protocol):
    """Where calls are kept and capacity is held. The driver performs what a step orders, in its order."""

    async def configure(self, network: Network, *, at: datetime) -> None:
        """Put this configuration in force: limits, statuses, hours, credit limits, and a new version of
        every campaign's plan that it changes. The first call also sets everything up."""

    async def book(self, transaction: Transaction) -> None:
        """Write a transaction that belongs to no call, such as a deposit."""

    async def plan(self, campaign_id: CampaignId, version: int | None = None) -> CompiledPlan:
        """A campaign's plan: the one in force, or the one that a call is pinned to."""

    async def load(self, call_id: CallId) -> Call:
        """A call as last saved."""

    async def funds(self, buyer_id: BuyerId) -> Money:
        """What a buyer has paid ahead (positive) or owes (negative)."""

    async def previous_call_at(self, campaign_id: CampaignId, caller: str) -> datetime | None:
        """When this caller last called this campaign."""

    async def history(self, caller: str, *, apart_from: CallId) -> tuple[PastCall, ...]:
        """The caller's connected calls but one, the newest first."""

    async def look(self, call: Call, plan: CompiledPlan, *, at: datetime) -> Looked:
        """Who is shut, the rotation and the caller's history."""

    async def reserve(self, claim: Claim, *, at: datetime) -> Grant:
        """Hold a claim, or say why not. Repeated: the stored answer."""

    async def settle(self, settlement: Settlement, *, at: datetime) -> None:
        """End a reservation; a second time changes nothing."""

    async def book_late(self, booking: LateBooking) -> None:
        """Count what came after the settlement; a second time changes nothing."""

    async def save(self, taken: Sequence[Taken], *, at: datetime) -> None:
        """Keep one call's steps, and book their transactions, at once."""

    async def sweep(self, *, at: datetime) -> tuple[AttemptId, ...]:
        """Release the reservations that expired."""

    async def rows(self) -> RawRows:
        """Everything that is kept."""
