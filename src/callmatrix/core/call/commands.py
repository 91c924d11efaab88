"""What a call orders: imperatives of four kinds — books, capacity, questions, and the carrier's orders."""

from datetime import datetime
from typing import Literal

import msgspec

from callmatrix.core.campaign import Destination
from callmatrix.core.caps import Claim, LateBooking, Settlement
from callmatrix.core.flow import AskService, Gather, Play, Say
from callmatrix.core.ids import AttemptId, OfferId
from callmatrix.core.ledger import Transaction


class _Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    pass


# Books: in the same transaction as the event.


class Book(_Command, frozen=True, kw_only=True, tag="book"):
    """Write a ledger transaction; a known key changes nothing."""

    transaction: Transaction


class Enqueue(_Command, frozen=True, kw_only=True, tag="enqueue"):
    """Queue a job for `run_at`; one with a known `dedupe_key` is not queued again."""

    job: str
    dedupe_key: str
    run_at: datetime
    payload: dict[str, str] = {}


# Capacity: intents committed with the event, performed by the batcher.


class Reserve(_Command, frozen=True, kw_only=True, tag="reserve"):
    """Hold capacity; the answer is `Reserved` or `CapFull`."""

    claim: Claim


class Settle(_Command, frozen=True, kw_only=True, tag="settle"):
    """End a reservation: units used stay, the others and the concurrency go back."""

    settlement: Settlement


class BookLate(_Command, frozen=True, kw_only=True, tag="book_late"):
    """Count in the caps' windows what a rating after settlement adds or takes (rules 9, 12)."""

    booking: LateBooking


# Questions: asked with no transaction open.


class Look(_Command, frozen=True, kw_only=True, tag="look"):
    """Say who is open, the rotation and the caller's history; the answer is `Looked`."""


class Fetch(_Command, frozen=True, kw_only=True, tag="fetch"):
    """Ask a flow's HTTP service; the answer is `Fetched`."""

    ask: AskService


class Ping(_Command, frozen=True, kw_only=True, tag="ping"):
    """Ask the bidders of these offers for bids, all at once; the answer is `BidsReturned`, at most
    `deadline_ms` later. `round` counts the call's auctions from 1."""

    round: int
    offer_ids: tuple[OfferId, ...]
    deadline_ms: int


class Post(_Command, frozen=True, kw_only=True, tag="post"):
    """Post the lead to the winner before the dial; the answer is `PostAnswered`, at most `deadline_ms`
    later."""

    attempt_id: AttemptId
    deadline_ms: int


# Asked by the way: nobody waits for the answer, and no decision hangs on it.


class Simulate(_Command, frozen=True, kw_only=True, tag="simulate"):
    """Ping the bidders of these offers for the record alone."""

    offer_ids: tuple[OfferId, ...]
    deadline_ms: int


# The carrier's orders: the reply.


class Reject(_Command, frozen=True, kw_only=True, tag="reject"):
    """Refuse the call unanswered."""

    reason: Literal["rejected", "busy"]


class GatherDigits(_Command, frozen=True, kw_only=True, tag="gather_digits"):
    """Ask for keys; they come back with `turn`."""

    turn: int
    gather: Gather


class AskAcceptance(_Command, frozen=True, kw_only=True, tag="ask_acceptance"):
    """Ask the buyer, on the buyer's leg, to press `key`; silence or another key declines."""

    attempt_id: AttemptId
    prompt: str
    timeout_s: int


class Bridge(_Command, frozen=True, kw_only=True, tag="bridge"):
    """The buyer's leg goes on to the caller: the whisper is over, or the key was pressed."""


class Connect(_Command, frozen=True, kw_only=True, tag="connect"):
    """Dial the buyer and bridge. `caller_id` is the number shown. `whisper`: something is said or asked
    on the buyer's leg before the bridge, so the carrier fetches it when the leg is answered."""

    attempt_id: AttemptId
    destination: Destination
    caller_id: str
    ring_timeout_s: int
    time_limit_s: int
    whisper: bool = False
    record: bool = False


class Record(_Command, frozen=True, kw_only=True, tag="record"):
    """Take a message of at most `max_s` seconds."""

    max_s: int


class HangUp(_Command, frozen=True, kw_only=True, tag="hang_up"):
    """End the call (or, answering `AcceptanceEntered`, the buyer's leg)."""


BookCommand = Book | Enqueue
CapacityCommand = Reserve | Settle | BookLate
Question = Look | Fetch | Ping | Post
Awaited = Look | Fetch | Ping | Post | Reserve  # what a call waits for before it can go on
CarrierOrder = Reject | Say | Play | GatherDigits | AskAcceptance | Bridge | Connect | Record | HangUp
Command = BookCommand | CapacityCommand | Question | Simulate | CarrierOrder
