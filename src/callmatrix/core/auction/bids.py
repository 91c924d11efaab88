"""Bids: what a bidder's answer says, whether it may be used, and what it ranks by."""

from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from callmatrix.core import phone, rules
from callmatrix.core.campaign import Adjustment, Bidder, Destination, Offer, PhoneDestination
from callmatrix.core.ids import OfferId
from callmatrix.core.money import ZERO, Money, share
from callmatrix.core.pricing import BidPrice, Price
from callmatrix.core.rules import Facts

MAX_BID: Final = Money(100_000_000_000)
"""$100,000: more is a mistake of units."""
MAX_BID_ID: Final = 200
MAX_DETAIL: Final = 300
SETUP_S: Final = 4
"""What a bid must still live at least when it is used: the time to set up the call (rule 25)."""
NANP_NUMBER: Final = "+12025550100"
"""What a number is compared with where the offer itself has a SIP address: the North American plan."""
DEFAULT_EXPIRY_S: Final = 60
MAX_EXPIRY_S: Final = 3_600

# Why a bidder that was asked, or should have been, has no bid.
NoBidCode = Literal[
    "no_bid",  # it says so; the detail has its own reason
    "timed_out",  # no answer in time
    "unreachable",  # no connection, or it broke
    "address_refused",  # its address is none that we connect to
    "http_error",  # a status other than 2xx
    "redirected",  # a status 3xx: never followed
    "too_large",  # its answer is longer than we read
    "malformed",  # its answer cannot be read
    "bad_amount",  # not above zero, or above the maximum
    "bad_currency",  # not the account's
    "bad_destination",  # neither E.164 nor SIP, or missing where the reply must have one
    "bad_expiry",  # expired, or so soon that the call could not be set up
    "terms_min_s",  # asks for more seconds than was agreed
    "terms_duplicates",  # refuses duplicates for longer than was agreed
    "throttled",  # it has failed too often lately
    "busy",  # all connections that it may have are in use
    "overloaded",  # too many auctions at once: nobody was asked
    "out_of_time",  # too little of the deadline was left to ask
    "interrupted",  # the process that asked died
    "unconfigured",  # a secret is missing: it could not be asked
]


class Offered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A bidder's yes as its format says it, not judged yet. `currency` is "" where it does not say."""

    amount: Money
    currency: str = ""
    bid_id: str = ""
    expires_at: datetime | None = None
    destination: Destination | None = None
    min_s: int | None = None
    duplicate_days: int | None = None


class NoBid(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """No bid, and why. `detail` is for people."""

    code: NoBidCode
    detail: str = ""


class Bid(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an offer's buyer bids for this call: `amount` is owed, `rank_by` is compared (None: the amount).

    `destination` is where the bidder wants the call, None for the offer's own.
    """

    offer_id: OfferId
    amount: Money
    rank_by: Money | None = None
    bid_id: str = ""
    ping_id: str = ""
    expires_at: datetime | None = None
    destination: Destination | None = None

    @property
    def ranked(self) -> Money:
        """What the bid competes with."""
        return self.amount if self.rank_by is None else self.rank_by


class PingResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One ping of an auction: its `bid`, or why there is none. Times in microseconds from the auction's
    start (connect, TLS and first byte where there were any); `status` 0: no whole reply."""

    offer_id: OfferId
    ping_id: str
    bid: Bid | None = None
    code: NoBidCode | Literal[""] = ""
    detail: str = ""
    status: int = 0
    reused: bool = False
    connect_us: int = 0
    tls_us: int = 0
    first_byte_us: int = 0
    total_us: int = 0


class Posted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A winner's answer to the post: taken; a destination of a before-dial post is dialled."""

    destination: Destination | None = None
    reference: str = ""


class PostRefused(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The winner's no. `retry`: the same post may succeed later (nobody there, a status 5xx)."""

    code: NoBidCode
    detail: str = ""
    retry: bool = False


def outcome(
    answer: Offered | NoBid,
    *,
    offer: Offer,
    price: Price,
    currency: str,
    ping_id: str,
    facts: Facts,
    at: datetime,
) -> Bid | NoBid:
    """What an answer comes to: a bid that may compete, or why there is none."""
    if isinstance(answer, NoBid):
        return answer
    refused = judge(answer, offer=offer, price=price, currency=currency, at=at)
    return refused or bid_of(answer, offer=offer, ping_id=ping_id, facts=facts, at=at)


def judge(offered: Offered, *, offer: Offer, price: Price, currency: str, at: datetime) -> NoBid | None:
    """Why this bid may not be used at all; None where it may. Floors and reserves are the ranking's."""
    bidder = offer.bidder
    assert bidder is not None
    if not ZERO < offered.amount <= MAX_BID:
        return NoBid(code="bad_amount", detail=f"{offered.amount}")
    if offered.currency and offered.currency.upper() != currency:
        return NoBid(code="bad_currency", detail=f"{offered.currency[:20]}, not {currency}")
    if bidder.destination == "reply" and offered.destination is None and "call" in offer.channels:
        return NoBid(code="bad_destination", detail="The reply must name a number or SIP address")
    if bidder.destination != "offer" and not may_dial(offer, offered.destination):
        return NoBid(code="bad_destination", detail="A number abroad or of premium rate is not dialled")
    if offered.expires_at is not None and is_late(offered.expires_at, at):
        return NoBid(code="bad_expiry", detail=f"Expires at {offered.expires_at.isoformat()}")
    agreed_s = price.after_s if isinstance(price, BidPrice) else 0
    if offered.min_s is not None and offered.min_s > agreed_s:
        return NoBid(code="terms_min_s", detail=f"Asks for {offered.min_s} s, {agreed_s} s are agreed")
    agreed_days = offer.duplicates.window_days if offer.duplicates is not None else 0
    if offered.duplicate_days is not None and offered.duplicate_days > agreed_days:
        return NoBid(
            code="terms_duplicates", detail=f"For {offered.duplicate_days} days, {agreed_days} are agreed"
        )
    return None


def may_dial(offer: Offer, destination: Destination | None) -> bool:
    """Whether a destination that a bidder names is dialled: we pay for the leg, so it may be neither abroad,
    seen from the offer's own number, nor of premium rate."""
    if not isinstance(destination, PhoneDestination):
        return True
    own = offer.destination
    agreed = own.number if isinstance(own, PhoneDestination) else NANP_NUMBER
    return phone.same_cost(destination.number, agreed)


def bid_of(offered: Offered, *, offer: Offer, ping_id: str, facts: Facts, at: datetime) -> Bid:
    """The bid of an answer that `judge` lets pass. One that names no expiry counts for a minute."""
    bidder = offer.bidder
    assert bidder is not None
    latest = at + timedelta(seconds=MAX_EXPIRY_S)
    expires_at = offered.expires_at or at + timedelta(seconds=DEFAULT_EXPIRY_S)
    adjusted = adjust(offered.amount, adjustment_for(bidder, facts))
    return Bid(
        offer_id=offer.id,
        amount=offered.amount,
        rank_by=None if adjusted == offered.amount else adjusted,
        bid_id=offered.bid_id[:MAX_BID_ID],
        ping_id=ping_id,
        expires_at=min(expires_at, latest),
        destination=None if bidder.destination == "offer" else offered.destination,
    )


def is_late(expires_at: datetime, at: datetime) -> bool:
    """Whether a bid could not be used any more: the call takes a while to set up."""
    return at + timedelta(seconds=SETUP_S) > expires_at


def adjustment_for(bidder: Bidder, facts: Facts) -> Adjustment:
    """The first ruled adjustment whose rule holds, else the bidder's own."""
    for ruled in bidder.ruled:
        if isinstance(rules.holds(ruled.rule, facts), rules.Held):
            return ruled.adjustment
    return bidder.adjustment


def adjust(amount: Money, adjustment: Adjustment) -> Money:
    """What a bid ranks by; never below nothing."""
    return max(ZERO, share(amount, adjustment.share_bps) + adjustment.amount)
