"""A lead that came by form, as it stands: one frozen value, saved after every event."""

from datetime import datetime
from typing import Final, Literal

import msgspec

from callmatrix.core.auction import Bid, NoBidCode
from callmatrix.core.call.commands import Awaited
from callmatrix.core.call.value import MAX_ADJUSTMENTS, Adjustment, Amounts
from callmatrix.core.campaign import Channel
from callmatrix.core.caps import CapRefusal, Claim, Settlement
from callmatrix.core.ids import AccountId, AttemptId, BuyerId, CampaignId, LeadId, OfferId, PublisherId
from callmatrix.core.money import Money
from callmatrix.core.pricing import Price, Rating
from callmatrix.core.routing import Asked

LEAD_FORMAT: Final = 1

# Where a lead stands. Every state answers every event (core/lead/machine.py).
State = Literal[
    "new",  # nothing happened yet
    "asking",  # a question is out (look, ping)
    "reserving",  # a claim is out
    "posting",  # one buyer has it, and has not answered yet
    "sold",  # a buyer took it
    "unsold",  # nobody did
    "rejected",  # refused before any buyer was asked
    "tested",  # a test: the buyer was chosen, and nothing was done
]
OVER: Final[frozenset[State]] = frozenset({"sold", "unsold", "rejected", "tested"})

AttemptState = Literal["reserving", "refused", "posting", "accepted", "declined", "chosen"]


class Contact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who it is. `phone` is E.164; what was not told is empty."""

    phone: str
    name: str = ""
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    address: str = ""
    city: str = ""
    state: str = ""
    zip: str = ""


class Consent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the sender of the form agreed to, word for word, and when; `version` is the text's, if it has
    one."""

    text: str
    at: datetime
    version: str = ""


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One post to one offer's buyer, from its claim to its settlement. `code` says why it came to nothing:
    what the reservation refused by, or the buyer's answer."""

    id: AttemptId
    number: int
    claim: Claim
    reserved_at: datetime
    offer_id: OfferId
    buyer_id: BuyerId
    price: Price
    amount: Money
    state: AttemptState = "reserving"
    bid: Money | None = None
    won: Bid | None = None
    earns: bool = True
    pays_publisher: bool = True
    code: CapRefusal | NoBidCode | Literal[""] = ""
    detail: str = ""
    posted_at: datetime | None = None
    answered_at: datetime | None = None
    reference: str = ""
    settled: bool = False
    settlement: Settlement | None = None


class FormLead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One form. `version` counts the events that it has taken.

    `auctions` counts the rounds of pings, `auction_ms` what they took since the last post; `bids` are the
    latest of each offer, `asked` all whose bidders were pinged. `pings` is False for a test that asks no
    bidder (rule 2). `rejected` and `end_reason` are codes of docs/exchange.md.
    """

    id: LeadId
    account_id: AccountId
    campaign_id: CampaignId
    plan_version: int
    channel: Channel = "form"
    version: int = 0
    state: State = "new"
    submitted_at: datetime | None = None
    contact: Contact | None = None
    fields: dict[str, str] = {}
    consent: Consent | None = None
    source_url: str = ""
    ip: str = ""
    external_id: str = ""
    publisher_id: PublisherId | None = None
    test: bool = False
    pings: bool = True
    question: Awaited | None = None
    attempts: tuple[Attempt, ...] = ()
    auctions: int = 0
    auction_ms: int = 0
    bids: tuple[Bid, ...] = ()
    asked: tuple[Asked, ...] = ()
    rejected: str = ""
    end_reason: str = ""
    review: str = ""
    sold_at: datetime | None = None
    ended_at: datetime | None = None
    rating: Rating | None = None
    amounts: Amounts = Amounts()
    adjustments: tuple[Adjustment, ...] = ()
    format: int = LEAD_FORMAT

    @property
    def sold_to(self) -> Attempt | None:
        """The post that was accepted."""
        return next((attempt for attempt in self.attempts if attempt.state == "accepted"), None)


__all__ = [
    "LEAD_FORMAT",
    "MAX_ADJUSTMENTS",
    "OVER",
    "Attempt",
    "AttemptState",
    "Consent",
    "Contact",
    "FormLead",
    "State",
]
