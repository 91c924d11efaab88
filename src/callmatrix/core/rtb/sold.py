"""What a call that arrives at an endpoint's number was sold for, or why it was not sold at all."""

from typing import Literal

import msgspec

from callmatrix.core.auction import Bid
from callmatrix.core.caps import Claim
from callmatrix.core.ids import BidId, EndpointId, PublisherId
from callmatrix.core.money import Money
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import FixedPrice, PublisherTerms
from callmatrix.core.routing import Asked

# Why a call to an endpoint's number is refused; told as the call's `blocked`.
NotSoldCode = Literal[
    "rtb_caller_hidden",  # it hides its number, and no bid was given without one
    "rtb_no_bid",  # nobody asked for a bid for this caller
    "rtb_expired",  # the bid for this caller had expired
    "rtb_used",  # the bid for this caller was used by another call
    "rtb_wrong_number",  # the bid for this caller named another number
]


class SoldBid(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="sold"):
    """The bid that the call answers: the publisher gets `amount` once it lasts `min_s` billable seconds, but
    not for a caller of the last `duplicate_days`.

    `zip`, `state` and `fields` are what the seller said of the caller; of these bidders may see `shared`.
    `held` is the claim of the call's first attempt, reserved already. `bids` and `asked` are
    those of the auction that priced the bid, in so many `rounds`.
    """

    bid_id: BidId
    endpoint_id: EndpointId
    amount: Money
    min_s: int = 0
    duplicate_days: int = 0
    zip: str | None = None
    state: str | None = None
    fields: dict[str, str] = {}
    shared: tuple[str, ...] = ()
    held: Claim | None = None
    bids: tuple[Bid, ...] = ()
    asked: tuple[Asked, ...] = ()
    rounds: int = 0


class NotSold(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="not_sold"
):
    """No bid of ours stands for this call."""

    code: NotSoldCode
    endpoint_id: EndpointId


Sold = SoldBid | NotSold


def sold_terms(amount: Money, *, min_s: int, plan: CompiledPlan, publisher_id: PublisherId) -> PublisherTerms:
    """What the publisher earns of a call that it sold: the bid, whatever the buyer's side makes of the call;
    the publisher's rule about duplicates stands (rule 18)."""
    own = plan.terms.get(publisher_id)
    return PublisherTerms(
        payout=FixedPrice(amount=amount, after_s=min_s),
        only_if_converted=False,
        duplicates=None if own is None else own.duplicates,
    )
