"""The configuration documents of an account: who buys, who brings, what is offered, and on what terms."""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from callmatrix.core.campaign.bidders import AuctionTerms, Bidder
from callmatrix.core.campaign.document import Document
from callmatrix.core.campaign.forms import FormTerms
from callmatrix.core.caps import Limits
from callmatrix.core.flow import MAX_NODES, FieldName, Flow, NodeId, Text, Url
from callmatrix.core.hours import Hours
from callmatrix.core.ids import (
    AccountId,
    BuyerId,
    CampaignId,
    ConnectionId,
    FlowId,
    NumberId,
    OfferId,
    PublisherId,
)
from callmatrix.core.money import Money
from callmatrix.core.pricing import (
    Basis,
    Bps,
    ConvertsOn,
    DuplicateRule,
    Price,
    PublisherTerms,
    Tariff,
)
from callmatrix.core.rules import Rule

MAX_NAME: Final = 120
MAX_OFFERS: Final = 10_000
MAX_ATTEMPTS: Final = 10
MAX_REQUIRED_FIELDS: Final = 30
MAX_CALL_S: Final = 14_400
MIN_TIME_LIMIT_S: Final = 60
MAX_SPLIT: Final = 10
MAX_TEST_PHONES: Final = 50
PERCENT: Final = 100
MAX_COORDINATE: Final = 1_000_000

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
E164 = Annotated[str, msgspec.Meta(pattern=r"^\+[1-9][0-9]{6,14}$")]
TimeZone = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Weekday = Annotated[int, msgspec.Meta(ge=0, le=6)]
Priority = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
Weight = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Coordinate = Annotated[int, msgspec.Meta(ge=-MAX_COORDINATE, le=MAX_COORDINATE)]
RingSeconds = Annotated[int, msgspec.Meta(ge=5, le=120)]
CallSeconds = Annotated[int, msgspec.Meta(ge=MIN_TIME_LIMIT_S, le=MAX_CALL_S)]
Status = Literal["active", "paused", "archived"]
Channel = Literal["call", "form", "callback"]
"""How a lead reaches us: a phone call, a form, or a form that asks to be called."""
BY_FORM: Final[frozenset[Channel]] = frozenset({"form", "callback"})


class PhoneDestination(Document, frozen=True, kw_only=True, tag_field="kind", tag="phone"):
    """A telephone number."""

    number: E164


class SipDestination(Document, frozen=True, kw_only=True, tag_field="kind", tag="sip"):
    """A SIP address, such as `sip:sales@example.com`, and the headers sent with the INVITE."""

    uri: Annotated[str, msgspec.Meta(pattern=r"^sips?:[^\s@<>\"]{1,64}@[^\s<>\"]{1,200}$")]
    headers: Annotated[dict[str, str], msgspec.Meta(max_length=10)] = msgspec.field(default_factory=dict)


Destination = PhoneDestination | SipDestination


class Account(Document, frozen=True, kw_only=True):
    """One network: its currency, zone, week and its own limits. Calls from `test_phones` are test calls
    (rule 2): they touch no cap, ledger or report, and ping bidders only with `test_calls_ping`."""

    id: AccountId
    name: Name
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")] = "USD"
    time_zone: TimeZone = "UTC"
    week_starts_on: Weekday = 0
    limits: Limits = Limits()
    test_phones: Annotated[tuple[E164, ...], msgspec.Meta(max_length=MAX_TEST_PHONES)] = ()
    test_calls_ping: bool = False


class Buyer(Document, frozen=True, kw_only=True):
    """Who pays. Funds: prepaid buyers pay ahead; postpaid ones owe up to `credit_limit` (rule 15)."""

    id: BuyerId
    name: Name
    status: Status = "active"
    billing: Literal["prepaid", "postpaid"] = "postpaid"
    credit_limit: Money = Money(0)
    time_zone: TimeZone = "UTC"
    week_starts_on: Weekday = 0
    limits: Limits = Limits()
    credit_returns_unit: bool = False
    notes: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class Acceptance(Document, frozen=True, kw_only=True):
    """The buyer presses a key to take the call; billable time starts then (rule 16)."""

    prompt: Text = "Press 1 to accept this call."
    key: Annotated[str, msgspec.Meta(pattern=r"^[0-9*#]$")] = "1"
    timeout_s: Annotated[int, msgspec.Meta(ge=3, le=30)] = 8


class Offer(Document, frozen=True, kw_only=True):
    """One buyer's standing terms for a kind of call: what gets routed to."""

    id: OfferId
    buyer_id: BuyerId
    name: Name
    destination: Destination
    price: Price
    status: Status = "active"
    converts_on: ConvertsOn = "duration"
    conversion_expires_h: Annotated[int, msgspec.Meta(ge=1, le=8_760)] = 720
    basis: Basis = "bridged"
    hours: Hours | None = None
    rule: Rule | None = None
    required_fields: Annotated[tuple[FieldName, ...], msgspec.Meta(max_length=MAX_REQUIRED_FIELDS)] = ()
    time_zone: TimeZone = "UTC"
    week_starts_on: Weekday = 0
    limits: Limits = Limits()
    duplicates: DuplicateRule | None = None
    ring_timeout_s: RingSeconds = 25
    time_limit_s: CallSeconds = 3_600
    whisper: Annotated[str, msgspec.Meta(max_length=500)] = ""
    acceptance: Acceptance | None = None
    caller_id: Literal["caller", "tracked"] = "caller"
    reroute_below_s: Annotated[int, msgspec.Meta(ge=0, le=600)] = 0
    bidder: Bidder | None = None
    channels: Annotated[tuple[Channel, ...], msgspec.Meta(min_length=1, max_length=3)] = ("call",)


class Publisher(Document, frozen=True, kw_only=True):
    """Who brings calls; `when_capped` says what a full payout or paid cap does (rule 10)."""

    id: PublisherId
    name: Name
    status: Status = "active"
    terms: PublisherTerms
    time_zone: TimeZone = "UTC"
    week_starts_on: Weekday = 0
    limits: Limits = Limits()
    when_capped: Literal["block", "unpaid"] = "block"
    notes: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class PublisherInCampaign(Document, frozen=True, kw_only=True):
    """One publisher's own terms and limits in this campaign."""

    publisher_id: PublisherId
    terms: PublisherTerms | None = None
    limits: Limits = Limits()
    when_capped: Literal["block", "unpaid"] | None = None
    paused: bool = False


class Entry(Document, frozen=True, kw_only=True):
    """An offer taking part in a routing plan. Priority 1 is first; `price` overrides the offer's."""

    offer_id: OfferId
    priority: Priority = 1
    weight: Weight = 100
    price: Price | None = None
    rule: Rule | None = None
    limits: Limits = Limits()
    paused: bool = False


class RoutingPlan(Document, frozen=True, kw_only=True):
    """How a campaign chooses among its offers."""

    strategy: Literal["auction", "weighted", "round_robin", "waterfall"]
    entries: Annotated[tuple[Entry, ...], msgspec.Meta(max_length=MAX_OFFERS)]
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=MAX_ATTEMPTS)] = 5
    max_wait_s: Annotated[int, msgspec.Meta(ge=5, le=600)] = 120


class FallbackOffer(Document, frozen=True, kw_only=True, tag_field="kind", tag="offer"):
    """Route to one more offer, with all its terms."""

    offer_id: OfferId


class FallbackNumber(Document, frozen=True, kw_only=True, tag_field="kind", tag="number"):
    """Connect to a number that nobody pays for."""

    number: E164


class FallbackVoicemail(Document, frozen=True, kw_only=True, tag_field="kind", tag="voicemail"):
    """Take a message."""

    prompt: Text
    max_s: Annotated[int, msgspec.Meta(ge=5, le=600)] = 120


class FallbackMessage(Document, frozen=True, kw_only=True, tag_field="kind", tag="message"):
    """Say something and hang up."""

    text: Text = "We are sorry. Nobody can take your call right now. Please try again later."


class FallbackBusy(Document, frozen=True, kw_only=True, tag_field="kind", tag="busy"):
    """A busy signal, where the call was not answered yet; else hang up."""


Fallback = FallbackOffer | FallbackNumber | FallbackVoicemail | FallbackMessage | FallbackBusy


class Recording(Document, frozen=True, kw_only=True):
    """Record bridged calls. `prompt` is heard first by everybody unless `skip_in_one_party_states` and
    both parties' states are known and one-party (rule 30). `prompt_version` is stored with the call."""

    on: bool = False
    prompt: Text = "This call may be recorded for quality."
    prompt_version: Annotated[int, msgspec.Meta(ge=1)] = 1
    skip_in_one_party_states: bool = False


class Screening(Document, frozen=True, kw_only=True):
    """What is refused before the flow."""

    block_anonymous: bool = False
    repeat_within_s: Annotated[int, msgspec.Meta(ge=0, le=3_600)] = 2
    min_attestation: Literal["none", "C", "B", "A"] = "none"


class MarginFloor(Document, frozen=True, kw_only=True):
    """Rule 8: revenue − payout − carrier cost is at least `amount` and `share_bps` of the revenue."""

    amount: Money = Money(0)
    share_bps: Bps = 0


class Goals(Document, frozen=True, kw_only=True):
    """What the campaign should bring."""

    calls_per_day: Annotated[int, msgspec.Meta(ge=0)] | None = None
    target_cost_per_call: Money | None = None
    conversion_rate_bps: Bps | None = None


class Geography(Document, frozen=True, kw_only=True):
    """Where the campaign buys calls; empty means everywhere. Calls from known other states are refused
    offers by `rule_state`; unknown states pass where `unknown_passes`."""

    states: Annotated[tuple[str, ...], msgspec.Meta(max_length=60)] = ()
    unknown_passes: bool = True


class Campaign(Document, frozen=True, kw_only=True):
    """Numbers, flow, routing plan, caps, hours, goals for one vertical and geography."""

    id: CampaignId
    name: Name
    vertical: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    plan: RoutingPlan
    status: Literal["draft", "live", "paused", "archived"] = "draft"
    geography: Geography = Geography()
    group: Annotated[str, msgspec.Meta(max_length=60)] = ""
    flow_id: FlowId | None = None
    hours: Hours | None = None
    time_zone: TimeZone = "UTC"
    week_starts_on: Weekday = 0
    limits: Limits = Limits()
    terms: PublisherTerms | None = None
    publishers: Annotated[tuple[PublisherInCampaign, ...], msgspec.Meta(max_length=1_000)] = ()
    duplicates: DuplicateRule | None = None
    screening: Screening = Screening()
    recording: Recording = Recording()
    margin_floor: MarginFloor = MarginFloor()
    auction: AuctionTerms = AuctionTerms()
    form: FormTerms = FormTerms()
    fallback: Fallback = FallbackMessage()
    closed_treatment: Fallback = FallbackMessage(text="We are closed right now. Please call again later.")
    max_call_s: CallSeconds = 3_600
    goals: Goals = Goals()
    dni_pool: Annotated[str, msgspec.Meta(max_length=60)] = ""


class CampaignShare(Document, frozen=True, kw_only=True):
    """`percent` of a number's callers, sticky by caller (rule 31)."""

    campaign_id: CampaignId
    percent: Annotated[int, msgspec.Meta(ge=1, le=100)]


class Assignment(Document, frozen=True, kw_only=True):
    """What a number is for, from an instant on (rule 29)."""

    split: Annotated[tuple[CampaignShare, ...], msgspec.Meta(min_length=1, max_length=MAX_SPLIT)]
    starts_at: datetime
    publisher_id: PublisherId | None = None
    ends_at: datetime | None = None


class Number(Document, frozen=True, kw_only=True):
    """A tracked number. In cooldown calls follow the last assignment; payout for `late_payout_days`."""

    id: NumberId
    number: E164
    connection_id: ConnectionId
    status: Literal["available", "assigned", "cooldown", "disabled"] = "available"
    provisioning: Literal["unknown", "pending", "active", "purchase_failed", "port_pending"] = "active"
    assignments: Annotated[tuple[Assignment, ...], msgspec.Meta(max_length=200)] = ()
    late_payout_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 30
    tags: Annotated[dict[str, str], msgspec.Meta(max_length=20)] = msgspec.field(default_factory=dict)


class Connection(Document, frozen=True, kw_only=True):
    """One account at a carrier. Secrets are kept apart, encrypted, and never returned."""

    id: ConnectionId
    name: Name
    carrier: Literal["twilio", "signalwire", "telnyx", "somleng", "own"]
    public_base_url: Url
    status: Status = "active"
    account_sid: Annotated[str, msgspec.Meta(max_length=100)] = ""
    rest_url: Annotated[str, msgspec.Meta(max_length=300)] = ""
    tariff: Tariff = Tariff()
    failsafe_number: E164 | None = None


class Spot(Document, frozen=True, kw_only=True):
    """Where a node is drawn, in whole units of the canvas."""

    x: Coordinate
    y: Coordinate


class FlowDocument(Document, frozen=True, kw_only=True):
    """A named flow: its draft, and the published version that new calls use. `layout` is for eyes only:
    nodes that it does not name are drawn where there is room."""

    id: FlowId
    name: Name
    draft: Flow
    status: Status = "active"
    layout: Annotated[dict[NodeId, Spot], msgspec.Meta(max_length=MAX_NODES)] = msgspec.field(
        default_factory=dict
    )
