"""The values of a routing decision: what it is given, what it decides, and the trace that it leaves."""

from datetime import datetime
from typing import Final, Literal

import msgspec

from callmatrix.core.auction import Bid, NoBidCode
from callmatrix.core.campaign import Channel
from callmatrix.core.ids import BuyerId, OfferId
from callmatrix.core.money import ZERO, Money
from callmatrix.core.pricing import PastCall, Price, PublisherTerms, Tariff
from callmatrix.core.rules import Facts

MAX_RANKED: Final = 20
MAX_ASKED: Final = 100
"""Bidders pinged at once; more of one tier are asked in a further round, if there is time."""
MAX_PINGS: Final = 2
"""How often one offer's bidder is pinged on one call: again only where its bid has expired (rule 25)."""

# The filters in the order in which they are applied: an offer's refusal is the first that removes it.
RefusalCode = Literal[
    "wrong_channel",  # the offer does not take leads of this channel
    "paused",  # offer, entry, buyer paused or archived (live)
    "closed",  # outside the offer's hours (live)
    "tried",  # already attempted on this call
    "rule_state",  # the campaign's geography
    "rule_failed",  # the offer's or the entry's rule
    "field_missing",  # a required field was not captured
    "duplicate",  # the caller was there before (rule 18)
    "cap_full",  # live
    "concurrency_full",  # live
    "spacing",  # live
    "no_funds",  # live
    "blocked",  # live
    "below_margin",  # rule 8
    "simulate_only",  # its bidder is only simulated: pinged and recorded, never ranked
    "bid_expired",  # its bid could not be used in time any more (rule 25)
    "below_floor",  # its bid is under the offer's floor
    "below_reserve",  # its bid is under the campaign's reserve price
    "no_bid",  # its bidder was asked and has no bid
    "no_price",  # only a bid tells its price, and its bidder was not asked
    "static_refused",  # nobody bid, and the campaign then refuses its static price
    "lower_tier",  # eligible, but a tier above has offers left
    "outbid",  # eligible, but ranked lower
    "asked",  # eligible, and pinged for a bid
    "awaits_bids",  # eligible, but others of its tier are pinged first
]


class Shut(msgspec.Struct, frozen=True, kw_only=True):
    """The offers that one reason shuts: `mask` is hex, bit n = `Index.offer_ids[n]` of the call's plan."""

    code: RefusalCode
    mask: str


class Looked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What routing must know of the world at one instant; stored with the call, so that replay agrees.

    `rotation` has, for round robin only, the offer ids from least to most recently reserved (rule 6);
    offers that are not listed join the tail. `history` are the caller's earlier calls (rule 18).
    """

    shut: tuple[Shut, ...] = ()
    rotation: tuple[OfferId, ...] = ()
    history: tuple[PastCall, ...] = ()


class Ranked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of the best offers of a decision, in order. `price` is what ranked it; `bid` what it would owe,
    where an adjustment ranks the bid otherwise."""

    offer_id: OfferId
    priority: int
    weight: int
    price: Money | None = None
    draw: int = 0
    bid: Money | None = None


class Trace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision, compactly: masks in hex, bit n = `Index.offer_ids[n]` of the plan version.

    `removed` has, per filter that removed anything, the mask of what it removed, in filter order;
    `eligible` the offers that competed, of one tier, and `ranked` the best `MAX_RANKED` of them;
    `lower_tier` the other eligible offers: of tiers below or, with `same_buyer` (the caller was returned
    to a buyer), of other buyers. `removed`, `eligible` and `lower_tier` are disjoint and make up the plan.
    Where bidders are to be asked before anybody can be chosen, `asked` are those, and nobody is ranked.
    Expanded by `explain`.
    """

    plan_version: int
    strategy: str
    at: datetime
    draw: int
    removed: tuple[Shut, ...] = ()
    ranked: tuple[Ranked, ...] = ()
    eligible: str = "0"
    lower_tier: str = "0"
    same_buyer: bool = False
    asked: str = "0"


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An offer whose bidder was pinged on this call: how often, and why it has no bid ("": it has one)."""

    offer_id: OfferId
    times: int = 1
    code: NoBidCode | Literal[""] = ""
    detail: str = ""


class Explained(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One offer of one decision, for people: taken, or refused with the compared values."""

    offer_id: OfferId
    taken: bool
    code: str = ""
    values: dict[str, str] = {}
    rank: int | None = None
    price: Money | None = None


class Given(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that one decision hangs on.

    `tried` are the offers that earlier attempts of this call went to; `attempt_number` counts from 1, and
    with `draw` makes the chances. `tariff` is the connection's, for the margin floor. `pays_publisher` is
    False where this call earns no payout anyway. `bids` are the answers of this call's auction, so far.
    `asked` are those whose bidders were pinged; `may_ask`: more may be, there is time for it.
    `fallback_only`: the attempts are used up, only the campaign's fallback offer may still be chosen.
    `sold_terms` are the publisher's for this one call, where it was sold by a bid; `held` is the offer for
    which capacity is held already, so that it gets the call whatever is full.
    `channel` is how the lead reaches us: offers that do not take it are refused.
    """

    facts: Facts
    looked: Looked
    at: datetime
    draw: int
    attempt_number: int = 1
    tried: tuple[OfferId, ...] = ()
    tariff: Tariff = Tariff()
    pays_publisher: bool = True
    bids: tuple[Bid, ...] = ()
    asked: tuple[Asked, ...] = ()
    may_ask: bool = False
    fallback_only: bool = False
    sold_terms: PublisherTerms | None = None
    held: OfferId | None = None
    channel: Channel = "call"


class Chosen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The offer that a call goes to, on which terms.

    `price` is the entry's where it overrides the offer's; `bid` the amount where the price is a bid, and
    `won` that bid.
    `revenue_max` and `payout_max` are what the claim holds (rule 11). `earns` and `pays_publisher` are
    False where a duplicate (rule 18) is routed unpaid; settlement judges that again.
    """

    offer_id: OfferId
    buyer_id: BuyerId
    price: Price
    revenue_max: Money = ZERO
    payout_max: Money = ZERO
    bid: Money | None = None
    won: Bid | None = None
    earns: bool = True
    pays_publisher: bool = True
    same_buyer: bool = False


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The offer chosen, None where none is eligible, and why.

    `ask`: nobody is chosen yet; ping the bidders of these offers, in order of rank, and decide again.
    `simulate`: the bidders of these may be pinged as well, for the record alone.
    """

    chosen: Chosen | None
    trace: Trace
    ask: tuple[OfferId, ...] = ()
    simulate: tuple[OfferId, ...] = ()
