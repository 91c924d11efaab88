"""Where others ask us for bids: which campaign answers, at what price, what a seller must send and dial."""

from ipaddress import ip_address, ip_network
from typing import Annotated, Final, Literal

import msgspec

from callmatrix.core.campaign.bidders import MAX_DEADLINE_MS
from callmatrix.core.campaign.document import Document
from callmatrix.core.campaign.documents import MAX_NAME, Status
from callmatrix.core.errors import Problem
from callmatrix.core.ids import CampaignId, EndpointId, NumberId, PublisherId
from callmatrix.core.money import ZERO, Money
from callmatrix.core.pricing import MAX_PRICE, Bps, Seconds

MAX_NUMBERS: Final = 100
MAX_NETWORKS: Final = 100
MAX_REQUIRED: Final = 30
MAX_OPEN_BIDS: Final = 100_000
MAX_EXPIRE_S: Final = 600
MIN_EXPIRE_S: Final = 10
MAX_REQUESTS: Final = 1_000_000_000

TagName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Requests = Annotated[int, msgspec.Meta(ge=1, le=MAX_REQUESTS)]


class BidShare(Document, frozen=True, kw_only=True, tag_field="kind", tag="share"):
    """We bid `share_bps` ten-thousandths of the revenue that we expect."""

    share_bps: Bps


class BidLess(Document, frozen=True, kw_only=True, tag_field="kind", tag="less"):
    """We bid the revenue that we expect, less `amount`."""

    amount: Money


class BidFixed(Document, frozen=True, kw_only=True, tag_field="kind", tag="fixed"):
    """We bid `amount`, where the revenue leaves the campaign's margin floor, and nothing otherwise."""

    amount: Money


BidPricing = BidShare | BidLess | BidFixed


class RequestLimits(Document, frozen=True, kw_only=True):
    """How many requests are answered in one clock minute, hour and day (of the account's zone)."""

    per_minute: Requests | None = None
    per_hour: Requests | None = None
    per_day: Requests | None = None


class Endpoint(Document, frozen=True, kw_only=True):
    """An RTB endpoint: what `publisher_id` gets when it pings us for calls to `campaign_id`.

    The bid is the publisher's payout, owed once the call lasts `min_s` billable seconds (None: as many as the
    expected buyer pays for). `numbers` are tracked numbers that are dialled for nothing else; with `sip_host`
    bids name a SIP address there too. `hold`: `none` checks capacity at the bid, `soft` overbooks by the
    observed ratio of bids to calls, `hard` reserves (rule 24). `pings`: our own bidders are asked first,
    within `deadline_ms`, and the best of their bids is the expected revenue; of the seller's fields they see
    `shared_fields`. `networks` may ask; none: everybody who has the key.
    """

    id: EndpointId
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
    campaign_id: CampaignId
    publisher_id: PublisherId
    numbers: Annotated[tuple[NumberId, ...], msgspec.Meta(min_length=1, max_length=MAX_NUMBERS)]
    price: BidPricing
    status: Status = "active"
    sip_host: Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z0-9]([A-Za-z0-9.-]{0,198}[A-Za-z0-9])?)?$")] = ""
    min_s: Seconds | None = None
    min_bid: Money = ZERO
    max_bid: Money = MAX_PRICE
    require_caller_id: bool = True
    required_fields: Annotated[tuple[TagName, ...], msgspec.Meta(max_length=MAX_REQUIRED)] = ()
    shared_fields: Annotated[tuple[TagName, ...], msgspec.Meta(max_length=MAX_REQUIRED)] = ()
    hold: Literal["none", "soft", "hard"] = "none"
    expire_s: Annotated[int, msgspec.Meta(ge=MIN_EXPIRE_S, le=MAX_EXPIRE_S)] = 40
    max_open_bids: Annotated[int, msgspec.Meta(ge=1, le=MAX_OPEN_BIDS)] = 1_000
    limits: RequestLimits = RequestLimits()
    networks: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=50)], ...], msgspec.Meta(max_length=MAX_NETWORKS)
    ] = ()
    pings: bool = False
    deadline_ms: Annotated[int, msgspec.Meta(ge=100, le=MAX_DEADLINE_MS)] = 1_500
    notes: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


def endpoint_problems(endpoint: Endpoint) -> tuple[Problem, ...]:
    """What must be mended before an endpoint is saved."""
    found = [
        Problem(
            field=field, problem=f"{amount} is out of range", remedy=f"Use an amount from 0 to {MAX_PRICE}"
        )
        for field, amount in _amounts(endpoint)
        if not ZERO <= amount <= MAX_PRICE
    ]
    if endpoint.min_bid > endpoint.max_bid:
        found.append(
            Problem(field="min_bid", problem="It is above max_bid", remedy="Use at most the same amount")
        )
    for field, names in (("numbers", endpoint.numbers), ("required_fields", endpoint.required_fields)):
        if len(set(names)) < len(names):
            found.append(Problem(field=field, problem="One is named twice", remedy="Name each once"))
    for place, network in enumerate(endpoint.networks):
        if not _is_network(network):
            problem, remedy = "It is no network", "Write an address, or a network such as 203.0.113.0/24"
            found.append(Problem(field=f"networks.{place}", problem=problem, remedy=remedy))
    return tuple(found)


def may_come_from(endpoint: Endpoint, address: str) -> bool:
    """Whether the allow list lets this address ask; an empty list lets everybody."""
    if not endpoint.networks:
        return True
    try:
        asked = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(asked, "ipv4_mapped", None) or asked
    return any(mapped in ip_network(network, strict=False) for network in endpoint.networks)


def _amounts(endpoint: Endpoint) -> tuple[tuple[str, Money], ...]:
    limits = (("min_bid", endpoint.min_bid), ("max_bid", endpoint.max_bid))
    if isinstance(endpoint.price, BidShare):
        return limits
    return (*limits, ("price.amount", endpoint.price.amount))


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
