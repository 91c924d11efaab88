"""What happens to a call: past participles, each with its instant; stored, and all that replay reads."""

from datetime import datetime
from typing import Literal

import msgspec

from callmatrix.core.auction import NoBidCode, PingResult
from callmatrix.core.campaign import Destination
from callmatrix.core.caps import CapRefusal, Owner
from callmatrix.core.ids import AttemptId, ConnectionId, NumberId, PublisherId
from callmatrix.core.money import Money
from callmatrix.core.pricing import PastCall
from callmatrix.core.routing import Looked as LookedValues
from callmatrix.core.rtb import Sold

Outcome = Literal["answered", "busy", "no_answer", "failed", "canceled", "declined"]
EndedBy = Literal["caller", "buyer", "platform", "unknown"]
Precision = Literal["ms", "s", "none"]
Attestation = Literal["A", "B", "C", "failed", "none"]


class _Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    at: datetime


class Arrived(_Event, frozen=True, kw_only=True, tag="arrived"):
    """A call came in. It carries what is read live at that instant (rule 1).

    `failed_safe`: the database was gone, the caller got the fail-safe reply, and this is told afterwards.
    `blocked_by` is the block-list entry that the caller or number matches. `previous_call_at` is the same
    caller's last call to this campaign. `campaign_status` and `campaign_open` are the live ones. `pings`
    is False for a test call that asks no bidder (rule 2). `sold`: the number is an RTB endpoint's, and this
    is the bid that the call answers, or why there is none.
    """

    draw: int
    caller: str | None
    dialed: str
    number_id: NumberId
    connection_id: ConnectionId
    carrier_ref: str
    publisher_id: PublisherId | None = None
    publisher_paused: bool = False
    attestation: Attestation = "none"
    blocked_by: str = ""
    previous_call_at: datetime | None = None
    campaign_status: Literal["draft", "live", "paused", "archived"] = "live"
    campaign_open: bool = True
    pays_late: bool = True
    tags: dict[str, str] = {}
    test: bool = False
    pings: bool = True
    failed_safe: bool = False
    sold: Sold | None = None


class FailedSafe(_Event, frozen=True, kw_only=True, tag="failed_safe"):
    """The carrier asked what now and got the fail-safe reply, because nothing could be decided or saved;
    known afterwards, from the spool. `asked` is the kind of callback."""

    asked: str


class DigitsEntered(_Event, frozen=True, kw_only=True, tag="digits_entered"):
    """The caller pressed keys (without the finish key). `turn` is the gather that they answer."""

    draw: int
    turn: int
    digits: str


class GatherTimedOut(_Event, frozen=True, kw_only=True, tag="gather_timed_out"):
    """The caller pressed nothing in time."""

    draw: int
    turn: int


class Fetched(_Event, frozen=True, kw_only=True, tag="fetched"):
    """A flow's lookup came back: `values` by field, or a failure `code`."""

    draw: int
    values: dict[str, str] = {}
    code: str = ""


class Looked(_Event, frozen=True, kw_only=True, tag="looked"):
    """What routing needs of the world (see `routing.Looked`)."""

    draw: int
    world: LookedValues


class BidsReturned(_Event, frozen=True, kw_only=True, tag="bids_returned"):
    """The auction is over: every ping's result, and the world as it is now. `spent_ms` of its deadline."""

    draw: int
    world: LookedValues
    round: int
    results: tuple[PingResult, ...] = ()
    spent_ms: int = 0


class PostAnswered(_Event, frozen=True, kw_only=True, tag="post_answered"):
    """The winner's answer to a post before the dial: taken, at `destination` if it names one, or refused
    (`code`). `spent_ms` counts for the auction's deadline."""

    attempt_id: AttemptId
    spent_ms: int = 0
    code: NoBidCode | Literal[""] = ""
    detail: str = ""
    destination: Destination | None = None
    reference: str = ""


class Reserved(_Event, frozen=True, kw_only=True, tag="reserved"):
    """The attempt's claim is held; it may be dialled."""

    attempt_id: AttemptId
    pays_publisher: bool = True


class CapFull(_Event, frozen=True, kw_only=True, tag="cap_full"):
    """The attempt's claim was refused, with the limit that it broke."""

    attempt_id: AttemptId
    code: CapRefusal
    owner: Owner
    metric: str = ""
    window: str = ""
    limit: str = ""
    used: str = ""


class LegRinging(_Event, frozen=True, kw_only=True, tag="leg_ringing"):
    """The buyer's phone rings."""

    attempt_id: AttemptId


class LegAnswered(_Event, frozen=True, kw_only=True, tag="leg_answered"):
    """The buyer's leg was answered; the reply is what the buyer hears before the bridge."""

    attempt_id: AttemptId


class AcceptanceEntered(_Event, frozen=True, kw_only=True, tag="acceptance_entered"):
    """The buyer pressed keys when asked to accept; "" is silence."""

    attempt_id: AttemptId
    digits: str


class LegEnded(_Event, frozen=True, kw_only=True, tag="leg_ended"):
    """The buyer's leg is over, with the carrier's own times, None where it does not say.

    `caller_gone` is True where the carrier says that the whole call ended with it. `history` is the
    caller's, read under the caller's lock in the transaction that settles (rule 18).
    """

    attempt_id: AttemptId
    outcome: Outcome
    ring_ms: int = 0
    leg_ms: int | None = None
    bridged_ms: int | None = None
    precision: Precision = "ms"
    ended_by: EndedBy = "unknown"
    caller_gone: bool = False
    sip_code: int = 0
    history: tuple[PastCall, ...] = ()


class LegReported(_Event, frozen=True, kw_only=True, tag="leg_reported"):
    """The leg's own status callback: it is over. The dial's answer says more and comes apart, in either
    order; so this is kept, and used only where the other never comes."""

    leg: LegEnded


class RecordingReady(_Event, frozen=True, kw_only=True, tag="recording_ready"):
    """A recording can be fetched: of a bridge (`attempt_id`) or of a voicemail (None)."""

    url: str
    duration_s: int
    attempt_id: AttemptId | None = None


class VoicemailEnded(_Event, frozen=True, kw_only=True, tag="voicemail_ended"):
    """The caller finished the message (or said nothing)."""

    duration_s: int = 0


class CallEnded(_Event, frozen=True, kw_only=True, tag="call_ended"):
    """The caller's leg is over. `duration_ms` is None where the carrier could not say (rule 20).

    `asked` is True where a sweep asked the carrier. Legs still open take their ends from `legs`.
    """

    reason: Literal["hung_up", "failed", "canceled", "busy", "no_answer", "swept"]
    duration_ms: int | None = None
    ended_by: EndedBy = "unknown"
    asked: bool = False
    legs: tuple["LegEnded", ...] = ()
    history: tuple[PastCall, ...] = ()


class TimedOut(_Event, frozen=True, kw_only=True, tag="timed_out"):
    """Nobody said anything for too long: an orphaned question, or a call that should long be over."""

    what: Literal["question", "call"]


class ConversionReported(_Event, frozen=True, kw_only=True, tag="conversion_reported"):
    """The buyer's system or a person says that the call converted, or not after all (rule 17)."""

    by: Literal["postback", "manual"]
    converted: bool = True
    amount: Money | None = None
    history: tuple[PastCall, ...] = ()


class Adjusted(_Event, frozen=True, kw_only=True, tag="adjusted"):
    """A person credits the buyer and claws back from the publisher, in full, part or none (rule 23).

    `id` tells a repeated request from a second one that is meant: a known id changes nothing.
    """

    credit: Money
    clawback: Money
    reason: str
    by: str
    id: str = ""


class Rerated(_Event, frozen=True, kw_only=True, tag="rerated"):
    """The call was rated again, by given amounts; the books take the difference (rule 21).

    `id` is that of the re-rating: the same one again changes nothing, whatever was booked since.
    """

    revenue: Money
    payout: Money
    reason: str
    by: str
    id: str = ""


class Disposed(_Event, frozen=True, kw_only=True, tag="disposed"):
    """What came of the call, said later."""

    disposition: str
    by: str


Event = (
    Arrived
    | FailedSafe
    | DigitsEntered
    | GatherTimedOut
    | Fetched
    | Looked
    | BidsReturned
    | PostAnswered
    | Reserved
    | CapFull
    | LegRinging
    | LegAnswered
    | AcceptanceEntered
    | LegEnded
    | LegReported
    | RecordingReady
    | VoicemailEnded
    | CallEnded
    | TimedOut
    | ConversionReported
    | Adjusted
    | Rerated
    | Disposed
)
