"""How an offer's buyer is asked for a live bid, and on what terms a campaign holds its auctions."""

from typing import Annotated, Final, Literal, assert_never

import msgspec

from callmatrix.core.campaign.document import Document
from callmatrix.core.flow import Url
from callmatrix.core.money import ZERO, Money
from callmatrix.core.rules import Rule

MIN_TIMEOUT_MS: Final = 50
MAX_TIMEOUT_MS: Final = 30_000
MAX_DEADLINE_MS: Final = 4_000
DEFAULT_DEADLINE_MS: Final = 2_000
MAX_ADJUSTMENTS: Final = 100
MAX_TEMPLATE_FIELDS: Final = 60
MAX_SHARE_OF_BID_BPS: Final = 100_000

Token = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Path = Annotated[str, msgspec.Meta(max_length=200)]
HeaderName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]{1,60}$")]
PostTiming = Literal["bridge", "accept", "before_dial"]
Conversion = Literal[
    "text", "number", "money", "cents", "seconds", "epoch_s", "epoch_ms", "time", "phone", "yes_no"
]
"""How a reply's value is read: `time` is ISO 8601, `cents` whole hundredths, `phone` any usual spelling."""


# --- authentication: the secret itself is kept apart, sealed ------------------------------------------


class NoAuth(Document, frozen=True, kw_only=True, tag_field="kind", tag="none"):
    """The address alone opens the bidder."""


class BearerAuth(Document, frozen=True, kw_only=True, tag_field="kind", tag="bearer"):
    """`Authorization: Bearer <secret token>`."""


class HeaderAuth(Document, frozen=True, kw_only=True, tag_field="kind", tag="header"):
    """The secret `token` in a header of this name."""

    name: HeaderName = "X-Api-Key"


class BasicAuth(Document, frozen=True, kw_only=True, tag_field="kind", tag="basic"):
    """HTTP basic: this user with the secret `password`."""

    user: Annotated[str, msgspec.Meta(pattern=r"^[^:\x00-\x1f\x7f]{1,120}$")]


class HmacAuth(Document, frozen=True, kw_only=True, tag_field="kind", tag="hmac"):
    """The SHA-256 HMAC (hex) of `<unix seconds>.<body>` by the secret `key`, as `t=<seconds>,v1=<hmac>`;
    of a request without a body, its query stands for it."""

    name: HeaderName = "X-Signature"


Authentication = NoAuth | BearerAuth | HeaderAuth | BasicAuth | HmacAuth


# --- formats -------------------------------------------------------------------------------------------


class NativeFormat(Document, frozen=True, kw_only=True, tag_field="kind", tag="native"):
    """Our own format, documented in docs/exchange.md."""


class RingbaFormat(Document, frozen=True, kw_only=True, tag_field="kind", tag="ringba"):
    """Ringba RTB: `CID` (where the number is shared), `zipcode`, `State` and tags; as JSON, XML or query."""

    encoding: Literal["json", "xml", "query"] = "json"
    expose_caller_id: bool = True
    sip_ok: bool = False


class RetreaverFormat(Document, frozen=True, kw_only=True, tag_field="kind", tag="retreaver"):
    """Retreaver RTB: the query carries the secret `token` as `key`, the publisher and the caller's place."""

    publisher_id: Annotated[str, msgspec.Meta(max_length=100)] = ""


class TrackDriveFormat(Document, frozen=True, kw_only=True, tag_field="kind", tag="trackdrive"):
    """TrackDrive ping and post: the ping's best buyer is bid, its `ping_id` posted."""

    traffic_source_id: Annotated[str, msgspec.Meta(max_length=100)] = ""


class ReadField(Document, frozen=True, kw_only=True):
    """Where a value stands in a reply: `path` is dotted, with numbers for places in lists (`buyers.0.bid`);
    in XML a path of elements below the root, `@name` last for an attribute; in a form a name. An empty path
    is the whole reply."""

    path: Path
    conversion: Conversion = "text"


class TemplateFormat(Document, frozen=True, kw_only=True, tag_field="kind", tag="template"):
    """Any other bidder. `ping` and `post` map the bidder's names to texts with `{token}`s (see
    dialects/bidders/tokens); a dotted name makes a nested object or element. The reply's `read_…` maps say
    where our words stand: amount, bid_id, expires_in_s, expires_at, destination, sip, min_s,
    duplicate_days, currency, accepted, reason; of a post accepted, destination, sip, reference, reason.
    `accepts` are the values of `accepted` that mean yes."""

    encoding: Literal["json", "xml", "form", "query"] = "json"
    reply: Literal["json", "xml", "form"] = "json"
    root: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,60}$")] = "request"
    ping: Annotated[dict[Token, Token], msgspec.Meta(max_length=MAX_TEMPLATE_FIELDS)]
    post: Annotated[dict[Token, Token], msgspec.Meta(max_length=MAX_TEMPLATE_FIELDS)] = msgspec.field(
        default_factory=dict
    )
    read_ping: Annotated[dict[str, ReadField], msgspec.Meta(max_length=MAX_TEMPLATE_FIELDS)]
    read_post: Annotated[dict[str, ReadField], msgspec.Meta(max_length=MAX_TEMPLATE_FIELDS)] = msgspec.field(
        default_factory=dict
    )
    accepts: Annotated[tuple[Token, ...], msgspec.Meta(max_length=20)] = ("true", "yes", "1", "accepted")


BidderFormat = NativeFormat | RingbaFormat | RetreaverFormat | TrackDriveFormat | TemplateFormat


# --- adjustment ----------------------------------------------------------------------------------------


class Adjustment(Document, frozen=True, kw_only=True):
    """What ranks a bid up or down: `share_bps` of it (10,000: as bid), then `amount` more or less."""

    share_bps: Annotated[int, msgspec.Meta(ge=0, le=MAX_SHARE_OF_BID_BPS)] = 10_000
    amount: Money = ZERO


class RuledAdjustment(Document, frozen=True, kw_only=True):
    """An adjustment for the calls of which `rule` holds."""

    rule: Rule
    adjustment: Adjustment


# --- the bidder ----------------------------------------------------------------------------------------


class Bidder(Document, frozen=True, kw_only=True):
    """Where and how an offer's buyer is pinged and posted to.

    `adjustment` and `ruled` (the first that holds wins) change the rank of a bid, never what is owed.
    `destination`: `reply` needs one in the reply, `offer` ignores it, `either` takes the reply's if any.
    `mode`: `simulate` pings and records, and never ranks; `paused` does not ping. `share_floor` tells it the
    least bid that counts. `share_number` is the offer's consent to carry the caller's number in pings
    (rule 26); the campaign's is needed too.
    """

    format: BidderFormat
    ping_url: Url
    post_url: Url | None = None
    method: Literal["GET", "POST"] = "POST"
    authentication: Authentication = NoAuth()
    timeout_ms: Annotated[int, msgspec.Meta(ge=MIN_TIMEOUT_MS, le=MAX_TIMEOUT_MS)] = 1_500
    adjustment: Adjustment = Adjustment()
    ruled: Annotated[tuple[RuledAdjustment, ...], msgspec.Meta(max_length=MAX_ADJUSTMENTS)] = ()
    destination: Literal["reply", "offer", "either"] = "either"
    post_timing: PostTiming = "bridge"
    mode: Literal["live", "simulate", "paused"] = "live"
    share_number: bool = False
    share_floor: bool = False


def needs_number(bidder: Bidder) -> bool:
    """Whether the bidder matches the arriving call by the caller's number (rule 26): the ping must then
    carry it, by consent of offer and campaign, and the dial must show it.

    Ringba: the caller ID of the call must equal the request's `CID`, which calls that hide it go without.
    Retreaver: only a reservation that was asked with a `caller_number`. The others are told the caller by
    the post, or agree on their own terms.
    """
    match bidder.format:
        case RingbaFormat(expose_caller_id=exposed):
            return exposed or bidder.share_number
        case RetreaverFormat():
            return bidder.share_number
        case NativeFormat() | TrackDriveFormat() | TemplateFormat():
            return False
        case _:
            assert_never(bidder.format)


# --- the campaign's side -------------------------------------------------------------------------------


class AlwaysStatic(Document, frozen=True, kw_only=True, tag_field="kind", tag="yes"):
    """Where nobody bids, offers with a static price take the call."""


class NeverStatic(Document, frozen=True, kw_only=True, tag_field="kind", tag="no"):
    """Where nobody bids, the campaign's fallback takes the call."""


class StaticAbove(Document, frozen=True, kw_only=True, tag_field="kind", tag="above"):
    """Where nobody bids, offers whose static price is at least `amount` take the call."""

    amount: Money


StaticFallback = AlwaysStatic | NeverStatic | StaticAbove


class AuctionTerms(Document, frozen=True, kw_only=True):
    """A campaign's auctions: bids under `reserve` do not rank; `static_fallback` says who takes the call
    where bidders were asked and none bid. `share_number` and `share_source` are the campaign's consent to
    carry the caller's number, and where the caller came from, in pings."""

    deadline_ms: Annotated[int, msgspec.Meta(ge=MIN_TIMEOUT_MS, le=MAX_DEADLINE_MS)] = DEFAULT_DEADLINE_MS
    reserve: Money = ZERO
    static_fallback: StaticFallback = AlwaysStatic()
    share_number: bool = False
    share_source: bool = False
