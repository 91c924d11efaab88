"""Which offer a call goes to, and why every other one did not get it."""

from datetime import datetime
from typing import Final, Literal

import msgspec

from callmatrix.core.ids import OfferId
from callmatrix.core.money import Money
from callmatrix.core.pricing import PastCall

MAX_RANKED: Final = 20

# The filters in the order in which they are applied: an offer's refusal is the first that removes it.
RefusalCode = Literal[
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
    "no_price",  # no static price and nobody bid
    "lower_tier",  # eligible, but a tier above has offers left
    "outbid",  # eligible, but ranked lower
]


class Shut(msgspec.Struct, frozen=True, kw_only=True):
    """The offers of a plan that one live reason shuts: `mask` is hex, bit n = n-th offer of the plan."""

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
    """One of the best offers of a decision, in order."""

    offer_id: OfferId
    priority: int
    weight: int
    price: Money | None = None
    draw: int = 0


class Trace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision, compactly: masks in hex, bit n = n-th offer of the plan version.

    `removed` has, per filter that removed anything, the mask of what it removed, in filter order;
    `ranked` the best `MAX_RANKED` of the tier; `lower_tier` the eligible offers of tiers below.
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


class Explained(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One offer of one decision, for people: taken, or refused with the compared values."""

    offer_id: OfferId
    taken: bool
    code: str = ""
    values: dict[str, str] = {}
    rank: int | None = None
    price: Money | None = None
