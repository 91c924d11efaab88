"""A call as it stands: one frozen value, saved after every event."""

from datetime import datetime
from typing import Final, Literal

import msgspec

from callmatrix.core.auction import Bid
from callmatrix.core.call.commands import Awaited
from callmatrix.core.call.events import EndedBy, LegEnded, Outcome, Precision
from callmatrix.core.campaign import Fallback
from callmatrix.core.caps import Claim, Settlement
from callmatrix.core.flow import FlowState, Play, Say
from callmatrix.core.geo import CallerGeo
from callmatrix.core.ids import (
    AccountId,
    AttemptId,
    BuyerId,
    CallId,
    CampaignId,
    ConnectionId,
    NumberId,
    OfferId,
    PublisherId,
)
from callmatrix.core.money import Money
from callmatrix.core.pricing import Disposition, Price, Rating
from callmatrix.core.routing import Asked
from callmatrix.core.rtb import SoldBid

CALL_FORMAT: Final = 1
MAX_ADJUSTMENTS: Final = 100
MAX_RERATINGS: Final = 100

# Where a call stands. Every state answers every event (core/call/machine.py).
State = Literal[
    "new",  # nothing happened yet
    "ivr",  # a gather waits for keys
    "asking",  # a question is out (look, fetch, ping)
    "reserving",  # a claim is out, or granted and posted to the winner before the dial
    "dialling",  # a leg rings, is in its whisper, or is bridged
    "voicemail",  # a message is being recorded
    "closing",  # the caller hears the last words; only the end is awaited
    "ended",  # over
]
AttemptState = Literal["reserving", "refused", "dialling", "ringing", "answered", "accepted", "ended"]


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One dial to one offer (or to a fallback number: no offer), from its claim to its settlement."""

    id: AttemptId
    number: int
    claim: Claim
    reserved_at: datetime
    state: AttemptState = "reserving"
    offer_id: OfferId | None = None
    buyer_id: BuyerId | None = None
    price: Price | None = None
    bid: Money | None = None
    won: Bid | None = None
    posted: bool = False
    post_reference: str = ""
    earns: bool = True
    time_limit_s: int = 0
    dialled_at: datetime | None = None
    pays_publisher: bool = True
    refusal: str = ""
    outcome: Outcome | None = None
    ring_ms: int = 0
    leg_ms: int | None = None
    bridged_ms: int | None = None
    precision: Precision = "none"
    ended_by: EndedBy = "unknown"
    sip_code: int = 0
    accepted_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    settled: bool = False
    settlement: Settlement | None = None
    reported: LegEnded | None = None
    recording_url: str = ""


class Amounts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the call came to in the ledger. `revision` is that of its latest transactions."""

    revenue: Money = Money(0)
    payout: Money = Money(0)
    cost: Money = Money(0)
    credited: Money = Money(0)
    clawed_back: Money = Money(0)
    revision: int = 0


class Adjustment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One credit and claw-back as it was booked; `id` is what a repeated request is known by."""

    id: str
    credit: Money
    clawback: Money
    reason: str
    by: str
    at: datetime


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One caller's visit. `version` counts the events that it has taken.

    `auctions` counts the rounds of pings, `auction_ms` what they and posts took since the last dial;
    `bids` are the latest of each offer, `asked` all whose bidders were pinged; `sold` is the bid by which
    the publisher sold the call.
    """

    id: CallId
    account_id: AccountId
    campaign_id: CampaignId
    plan_version: int
    version: int = 0
    state: State = "new"
    arrived_at: datetime | None = None
    caller: str | None = None
    dialed: str = ""
    number_id: NumberId | None = None
    connection_id: ConnectionId | None = None
    carrier_ref: str = ""
    publisher_id: PublisherId | None = None
    pays_late: bool = True
    attestation: str = "none"
    test: bool = False
    answered: bool = False
    geo: CallerGeo | None = None
    tags: dict[str, str] = {}
    fields: dict[str, str] = {}
    flow: FlowState | None = None
    turn: int = 0
    question: Awaited | None = None
    spoken: tuple[Say | Play, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    pings: bool = True
    auctions: int = 0
    auction_ms: int = 0
    bids: tuple[Bid, ...] = ()
    asked: tuple[Asked, ...] = ()
    sold: SoldBid | None = None
    routing_started_at: datetime | None = None
    consent_version: int = 0
    consented_at: datetime | None = None
    treatment: Fallback | None = None
    blocked: str = ""
    end_reason: str = ""
    ended_by: EndedBy = "unknown"
    ended_at: datetime | None = None
    duration_ms: int | None = None
    connected_at: datetime | None = None
    converted_at: datetime | None = None
    paid_at: datetime | None = None
    billed_attempt: AttemptId | None = None
    said: Disposition | None = None
    rating: Rating | None = None
    review: str = ""
    cost_booked: bool = False
    amounts: Amounts = Amounts()
    adjustments: tuple[Adjustment, ...] = ()
    reratings: tuple[str, ...] = ()
    disposition: str = ""
    voicemail_url: str = ""
    format: int = CALL_FORMAT
