"""Names the promises, and how one that was not kept is told."""

from typing import Final

import msgspec

MAX_COUNTEREXAMPLES: Final = 20
"""How many of each promise are told: one is enough to fail, several help to see the pattern."""

PROMISES: Final = (
    "no_cap_is_exceeded",
    "no_concurrency_is_exceeded",
    "spacing_is_kept",
    "one_buyer_is_billed_at_most",
    "postings_sum_to_zero",
    "reports_equal_postings",
    "every_reservation_ends",
    "every_call_ends",
    "replay_gives_the_same_call",
    "repeats_change_nothing",
    "closed_offers_are_never_dialled",
    "nothing_is_dialled_unreserved",
    "a_higher_price_never_loses",
    "auctions_charge_the_clearing_price",
    "no_auction_outlasts_its_deadline",
    "payout_needs_a_publisher",
    "sold_calls_are_paid_as_bid",
    "funds_are_never_overdrawn",
    "test_calls_touch_nothing",
)
"""By the names and in the order in which the simulator checks them too."""


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A counterexample: the promise by name, and the row that breaks it with the values compared."""

    name: str
    text: str
