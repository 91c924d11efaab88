"""The compiled plan: the frozen snapshot of all configuration that a campaign's calls need."""

from typing import Final

import msgspec

from callmatrix.core.campaign import (
    Account,
    Buyer,
    Campaign,
    Connection,
    Entry,
    Offer,
    Publisher,
    PublisherInCampaign,
    plan_problems,
)
from callmatrix.core.errors import Refused
from callmatrix.core.flow import Flow, shareable_fields, zip_fields
from callmatrix.core.ids import BuyerId, ConnectionId, OfferId, PublisherId
from callmatrix.core.pricing import Price, PublisherTerms, Tariff
from callmatrix.core.routing import Index

PLAN_FORMAT: Final = 1


class PlanDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a call of one campaign is pinned to; kept while any call refers to its version."""

    version: int
    account: Account
    campaign: Campaign
    offers: tuple[Offer, ...]
    buyers: tuple[Buyer, ...]
    publishers: tuple[Publisher, ...]
    connections: tuple[Connection, ...] = ()
    flow: Flow | None = None
    format: int = PLAN_FORMAT


class CompiledPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan arranged for looking up; made by `compile_plan` alone, and never changed.

    `entries` are the routing plan's by offer, the fallback offer's own among them. `terms` are those in
    force for each publisher. `zip_fields` are the fields in which the flow collects a ZIP,
    `shared_fields` those that pings may carry.
    """

    document: PlanDocument
    version: int
    account: Account
    campaign: Campaign
    offers: dict[OfferId, Offer]
    entries: dict[OfferId, Entry]
    buyers: dict[BuyerId, Buyer]
    publishers: dict[PublisherId, Publisher]
    publishers_in_campaign: dict[PublisherId, PublisherInCampaign]
    connections: dict[ConnectionId, Connection]
    terms: dict[PublisherId, PublisherTerms]
    flow: Flow | None
    zip_fields: frozenset[str]
    shared_fields: tuple[str, ...]
    routing: Index

    def price_of(self, offer_id: OfferId) -> Price:
        """The price in force: the entry's where it overrides the offer's."""
        entry = self.entries.get(offer_id)
        return (entry.price if entry is not None else None) or self.offers[offer_id].price

    def tariff_of(self, connection_id: ConnectionId | None) -> Tariff:
        """What the connection's carrier charges; nothing where the plan does not know it."""
        connection = None if connection_id is None else self.connections.get(connection_id)
        return Tariff() if connection is None else connection.tariff


def compile_plan(document: PlanDocument) -> CompiledPlan:
    """Compile a plan; `Refused("invalid")` with every problem where it cannot be."""
    offers = {offer.id: offer for offer in document.offers}
    buyers = {buyer.id: buyer for buyer in document.buyers}
    publishers = {publisher.id: publisher for publisher in document.publishers}
    campaign = document.campaign
    problems = plan_problems(campaign, offers=offers, buyers=buyers)
    if problems:
        raise Refused("invalid", f"The plan of {campaign.name} cannot be compiled", problems)
    index = Index(
        version=document.version, campaign=campaign, offers=offers, buyers=buyers, publishers=publishers
    )
    return CompiledPlan(
        document=document,
        version=document.version,
        account=document.account,
        campaign=campaign,
        offers=offers,
        entries={entry.offer_id: entry for entry in index.entries},
        buyers=buyers,
        publishers=publishers,
        publishers_in_campaign={one.publisher_id: one for one in campaign.publishers},
        connections={connection.id: connection for connection in document.connections},
        terms=index.terms,
        flow=document.flow,
        zip_fields=frozenset() if document.flow is None else zip_fields(document.flow),
        shared_fields=() if document.flow is None else tuple(sorted(shareable_fields(document.flow))),
        routing=index,
    )
