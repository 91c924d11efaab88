"""Builders of documents for tests: everything has a default, and a test names only what it is about."""

from typing import Any

from callmatrix.core.call import Call
from callmatrix.core.campaign import (
    Account,
    Buyer,
    Campaign,
    Connection,
    Entry,
    Offer,
    PhoneDestination,
    Publisher,
    RoutingPlan,
)
from callmatrix.core.flow import Flow
from callmatrix.core.ids import (
    AccountId,
    AttemptId,
    BuyerId,
    CallId,
    CampaignId,
    ConnectionId,
    OfferId,
    PublisherId,
    attempt_id,
)
from callmatrix.core.money import Money
from callmatrix.core.plan import CompiledPlan, PlanDocument, compile_plan
from callmatrix.core.pricing import FixedPrice, PublisherTerms, SharePayout, Tariff

ACCOUNT = AccountId("acc_1")
CAMPAIGN = CampaignId("cmp_1")
CONNECTION = ConnectionId("con_1")
PUBLISHER = PublisherId("pub_1")


def usd(text: str) -> Money:
    return Money.parse(text)


def fixed(amount: str = "20", *, after_s: int = 60) -> FixedPrice:
    return FixedPrice(amount=usd(amount), after_s=after_s)


def account(**changes: Any) -> Account:
    return Account(**{"id": ACCOUNT, "name": "Test network", **changes})


def buyer(number: int = 1, **changes: Any) -> Buyer:
    given = {"id": BuyerId(f"buy_{number}"), "name": f"Buyer {number}", "credit_limit": usd("10000")}
    return Buyer(**{**given, **changes})


def offer(number: int = 1, **changes: Any) -> Offer:
    """Offer `number` of buyer `number`; the lower the number, the higher its price."""
    given = {
        "id": OfferId(f"off_{number}"),
        "buyer_id": BuyerId(f"buy_{number}"),
        "name": f"Offer {number}",
        "destination": PhoneDestination(number=f"+1415555{number:04}"),
        "price": fixed(str(30 - number)),
    }
    return Offer(**{**given, **changes})


def publisher(**changes: Any) -> Publisher:
    given = {
        "id": PUBLISHER,
        "name": "Publisher 1",
        "terms": PublisherTerms(payout=SharePayout(share_bps=5_000)),
    }
    return Publisher(**{**given, **changes})


def connection(**changes: Any) -> Connection:
    given = {
        "id": CONNECTION,
        "name": "Own gateway",
        "carrier": "own",
        "public_base_url": "https://calls.example.com",
        "tariff": Tariff(inbound_per_minute=usd("0.01"), outbound_per_minute=usd("0.02")),
    }
    return Connection(**{**given, **changes})


def routing_plan(*offers: Offer, **changes: Any) -> RoutingPlan:
    entries = tuple(Entry(offer_id=one.id) for one in offers)
    return RoutingPlan(**{"strategy": "auction", "entries": entries, **changes})


def campaign(*offers: Offer, **changes: Any) -> Campaign:
    given = {
        "id": CAMPAIGN,
        "name": "Campaign 1",
        "vertical": "plumbing",
        "status": "live",
        "plan": routing_plan(*offers),
    }
    return Campaign(**{**given, **changes})


def plan_document(
    *offers: Offer,
    version: int = 1,
    flow: Flow | None = None,
    publishers: tuple[Publisher, ...] | None = None,
    buyers: tuple[Buyer, ...] | None = None,
    **campaign_changes: Any,
) -> PlanDocument:
    """A plan of these offers (by default: one), whose buyers and publisher are the default ones."""
    chosen = offers or (offer(),)
    given = {one.id: one for one in buyers or ()}
    paying = {one.buyer_id: None for one in chosen}
    return PlanDocument(
        version=version,
        account=account(),
        campaign=campaign(*chosen, **campaign_changes),
        offers=chosen,
        buyers=tuple(given.get(each) or buyer(id=each, name=each) for each in paying),
        publishers=(publisher(),) if publishers is None else publishers,
        connections=(connection(),),
        flow=flow,
    )


def plan(*offers: Offer, **changes: Any) -> CompiledPlan:
    """The compiled plan of `plan_document`."""
    return compile_plan(plan_document(*offers, **changes))


def call(**changes: Any) -> Call:
    """A call that nothing has happened to."""
    given = {"id": CallId("call_1"), "account_id": ACCOUNT, "campaign_id": CAMPAIGN, "plan_version": 1}
    return Call(**{**given, **changes})


def attempt(number: int) -> AttemptId:
    """The id of an attempt of `call()`."""
    return attempt_id(call().id, number)
