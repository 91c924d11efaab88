"""What a bidder is told of a lead before it has won, and what the winner is told."""

from datetime import datetime
from typing import Final

import msgspec

from callmatrix.core.campaign import AuctionTerms, Bidder, Channel
from callmatrix.core.ids import CallId, OfferId
from callmatrix.core.money import Money

# What says who somebody is. A flow cannot share fields of these names, and no ping ever carries them.
PERSONAL_FIELDS: Final = frozenset(
    (
        *("name", "first_name", "last_name", "full_name", "caller_name", "contact_name"),
        *("phone", "phone_number", "mobile", "number", "caller", "caller_id", "caller_number"),
        *("callback_number", "email", "address", "address1", "address2", "address_1", "address_2"),
        *("street", "street_address", "ip", "ip_address", "ssn", "dob", "date_of_birth", "birth_date"),
    )
)
MIN_NUMBER_DIGITS: Final = 7
"""A text with so many of the number's digits in a row, or more, gives the number away."""


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the calls that this buyer took from us in the last `days`."""

    days: int
    calls: int
    connected: int
    converted: int


class Ping(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A lead as a bidder sees it that has not won: never the caller's name or address, and the number only
    by the consent of offer and campaign (rule 26). `deadline_ms` is how long the answer counts."""

    id: str
    at: datetime
    deadline_ms: int
    channel: Channel
    vertical: str
    state: str | None = None
    zip: str | None = None
    area_code: str | None = None
    fields: dict[str, str] = {}
    attestation: str = ""
    source: str = ""
    performance: Performance | None = None
    number: str | None = None
    floor: Money | None = None
    test: bool = False


class Post(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A lead as its winner sees it. `number` is None for an anonymous caller; `consent` is what a form's
    sender agreed to, and when."""

    ping_id: str
    bid_id: str
    lead_id: str
    offer_id: OfferId
    at: datetime
    channel: Channel
    vertical: str
    amount: Money
    number: str | None = None
    state: str | None = None
    zip: str | None = None
    area_code: str | None = None
    fields: dict[str, str] = {}
    attestation: str = ""
    source: str = ""
    call_id: CallId | None = None
    consent: str = ""
    consented_at: datetime | None = None
    test: bool = False


class Lead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that we know of somebody who wants something: a caller, or the sender of a form. `shared` are
    the names of the fields that the flow or form marks as shareable."""

    id: str
    channel: Channel
    vertical: str
    number: str | None = None
    state: str | None = None
    zip: str | None = None
    area_code: str | None = None
    fields: dict[str, str] = {}
    shared: tuple[str, ...] = ()
    attestation: str = ""
    source: str = ""
    call_id: CallId | None = None
    consent: str = ""
    consented_at: datetime | None = None
    test: bool = False


def ping_of(
    lead: Lead,
    *,
    ping_id: str,
    at: datetime,
    deadline_ms: int,
    bidder: Bidder,
    auction: AuctionTerms,
    performance: Performance | None = None,
    floor: Money | None = None,
) -> Ping:
    """What this bidder is told now. Shared fields that name or number the person are left out all the
    same: a caller may key a number into any field."""
    by_consent = bidder.share_number and auction.share_number
    return Ping(
        id=ping_id,
        at=at,
        deadline_ms=deadline_ms,
        channel=lead.channel,
        vertical=lead.vertical,
        state=lead.state,
        zip=lead.zip,
        area_code=lead.area_code,
        fields={
            name: lead.fields[name]
            for name in lead.shared
            if name in lead.fields
            and name not in PERSONAL_FIELDS
            and (by_consent or not gives_away(lead.fields[name], lead.number))
        },
        attestation=lead.attestation,
        source=lead.source if auction.share_source else "",
        performance=performance,
        number=lead.number if by_consent else None,
        floor=floor,
        test=lead.test,
    )


def post_of(lead: Lead, *, offer_id: OfferId, ping_id: str, bid_id: str, amount: Money, at: datetime) -> Post:
    """What the winner is told: the whole lead."""
    return Post(
        ping_id=ping_id,
        bid_id=bid_id,
        lead_id=lead.id,
        offer_id=offer_id,
        at=at,
        channel=lead.channel,
        vertical=lead.vertical,
        amount=amount,
        number=lead.number,
        state=lead.state,
        zip=lead.zip,
        area_code=lead.area_code,
        fields=lead.fields,
        attestation=lead.attestation,
        source=lead.source,
        call_id=lead.call_id,
        consent=lead.consent,
        consented_at=lead.consented_at,
        test=lead.test,
    )


def gives_away(text: str, number: str | None) -> bool:
    """Whether a text has the number in it, however it is punctuated."""
    if number is None:
        return False
    digits = "".join(character for character in number if character.isdigit())
    said = "".join(character for character in text if character.isdigit())
    tail = digits[-MIN_NUMBER_DIGITS:]
    return len(tail) == MIN_NUMBER_DIGITS and tail in said
