"""What a network's configuration says of each owner: limits and whether it is open, at an instant."""

from collections.abc import Iterator

import msgspec

from callmatrix.core.caps import Limits, Owner, Status, WhenCapped
from callmatrix.core.plan import PlanDocument
from callmatrix.sim.network import Network

LimitsOf = tuple[Owner, Limits, str, int, WhenCapped]
"""An owner, what it allows, its time zone, the first day of its week, and what a capped publisher does."""


def limits_of(network: Network) -> Iterator[LimitsOf]:
    """Every owner of limits in a network."""
    account = network.account
    yield (
        Owner(kind="account", id=account.id),
        account.limits,
        account.time_zone,
        account.week_starts_on,
        "block",
    )
    for buyer in network.buyers:
        yield Owner(kind="buyer", id=buyer.id), buyer.limits, buyer.time_zone, buyer.week_starts_on, "block"
    for offer in network.offers:
        yield Owner(kind="offer", id=offer.id), offer.limits, offer.time_zone, offer.week_starts_on, "block"
    publishers = {one.id: one for one in network.publishers}
    for one in network.publishers:
        owner = Owner(kind="publisher", id=one.id)
        yield owner, one.limits, one.time_zone, one.week_starts_on, one.when_capped
    for campaign in network.campaigns:
        zone, week = campaign.time_zone, campaign.week_starts_on
        yield Owner(kind="campaign", id=campaign.id), campaign.limits, zone, week, "block"
        for entry in campaign.plan.entries:
            pair = Owner(kind="offer_in_campaign", id=f"{entry.offer_id}/{campaign.id}")
            yield pair, entry.limits, zone, week, "block"
        for own in campaign.publishers:
            pair = Owner(kind="publisher_in_campaign", id=f"{own.publisher_id}/{campaign.id}")
            when_capped = own.when_capped or publishers[own.publisher_id].when_capped
            yield pair, own.limits, zone, week, when_capped


def statuses_of(network: Network) -> Iterator[tuple[Owner, Status]]:
    """Who is paused. A paused campaign is not told here: its fallback number may still be called, and its
    offers are refused by the campaign's own status."""
    for buyer in network.buyers:
        yield Owner(kind="buyer", id=buyer.id), _open(buyer.status == "active")
    for offer in network.offers:
        yield Owner(kind="offer", id=offer.id), _open(offer.status == "active")
    for one in network.publishers:
        yield Owner(kind="publisher", id=one.id), _open(one.status == "active")
    for campaign in network.campaigns:
        for entry in campaign.plan.entries:
            pair = Owner(kind="offer_in_campaign", id=f"{entry.offer_id}/{campaign.id}")
            yield pair, _open(not entry.paused)
        for own in campaign.publishers:
            pair = Owner(kind="publisher_in_campaign", id=f"{own.publisher_id}/{campaign.id}")
            yield pair, _open(not own.paused)


def is_same(one: PlanDocument, other: PlanDocument) -> bool:
    """Whether two versions of a plan say the same."""
    return msgspec.structs.replace(one, version=other.version) == other


def _open(is_open: bool) -> Status:
    return "open" if is_open else "paused"
