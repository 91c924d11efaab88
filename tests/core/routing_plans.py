"""Small plans, calls and questions for the tests of routing."""

from datetime import UTC, datetime, timedelta
from typing import Any

from callmatrix.core.campaign import (
    Account,
    Buyer,
    Campaign,
    Entry,
    Offer,
    PhoneDestination,
    Publisher,
    PublisherInCampaign,
    RoutingPlan,
)
from callmatrix.core.ids import BuyerId, CallId, CampaignId, OfferId, PublisherId
from callmatrix.core.money import Money
from callmatrix.core.plan import CompiledPlan, PlanDocument, compile_plan
from callmatrix.core.pricing import (
    FixedPrice,
    PastCall,
    PublisherTerms,
)
from callmatrix.core.routing import Given, Looked, Shut, decide, explain
from callmatrix.core.rules import Facts

AT = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)  # a Monday
CAMPAIGN = CampaignId("cmp_1")
PUBLISHER = PublisherId("pub_1")


def dollars(amount: int) -> Money:
    return Money(amount * 1_000_000)


def fixed(amount: int) -> FixedPrice:
    return FixedPrice(amount=dollars(amount))


def offer(name: str, *, buyer: str = "a", **fields: Any) -> Offer:
    return Offer(
        **{
            "id": OfferId(f"off_{name}"),
            "buyer_id": BuyerId(f"buy_{buyer}"),
            "name": name,
            "destination": PhoneDestination(number="+13125550100"),
            "price": fixed(10),
        }
        | fields
    )


def entry(name: str, **fields: Any) -> Entry:
    return Entry(offer_id=OfferId(f"off_{name}"), **fields)


def plan(
    strategy: Any,
    *offers: Offer,
    entries: tuple[Entry, ...] = (),
    publishers: tuple[Publisher, ...] = (),
    campaign_publishers: tuple[PublisherInCampaign, ...] = (),
    **fields: Any,
) -> CompiledPlan:
    entries = entries or tuple(Entry(offer_id=one.id) for one in offers)
    campaign = Campaign(
        id=CAMPAIGN,
        name="Roofing",
        vertical="home services",
        plan=RoutingPlan(strategy=strategy, entries=entries),
        publishers=campaign_publishers,
        **fields,
    )
    buyers = tuple(Buyer(id=one, name=one) for one in dict.fromkeys(one.buyer_id for one in offers))
    return compile_plan(
        PlanDocument(
            version=7,
            account=Account(id="acc_1", name="Network"),
            campaign=campaign,
            offers=offers,
            buyers=buyers,
            publishers=publishers,
        )
    )


def facts(**fields: Any) -> Facts:
    return Facts(
        **{
            "caller": "+13125550123",
            "dialed_number": "+18885550100",
            "caller_state": "IL",
            "area_code": "312",
            "zip": "60601",
            "publisher_id": None,
            "campaign_id": CAMPAIGN,
            "at": AT,
            "fields": {},
            "tags": {},
            "attestation": "A",
        }
        | fields
    )


def asked(*, facts: Facts = facts(), draw: int = 1, looked: Looked = Looked(), **fields: Any) -> Given:  # noqa: B008
    return Given(facts=facts, looked=looked, at=AT, draw=draw, **fields)


def names(ids: Any) -> list[str]:
    return [one.removeprefix("off_") for one in ids]


def winner(compiled: CompiledPlan, given: Given) -> str | None:
    chosen = decide(compiled, given).chosen
    return None if chosen is None else chosen.offer_id.removeprefix("off_")


def order(compiled: CompiledPlan, given: Given) -> list[str]:
    return names(one.offer_id for one in decide(compiled, given).trace.ranked)


def refusals(compiled: CompiledPlan, given: Given) -> dict[str, str]:
    trace = decide(compiled, given).trace
    return {one.offer_id.removeprefix("off_"): one.code for one in explain(compiled, trace, given=given)}


def shut(compiled: CompiledPlan, code: Any, *offers: str) -> Shut:
    mask = compiled.routing.mask(OfferId(f"off_{name}") for name in offers)
    return Shut(code=code, mask=f"{mask:x}")


def publisher(payout: Any, **fields: Any) -> Publisher:
    return Publisher(id=PUBLISHER, name="Search", terms=PublisherTerms(payout=payout, **fields))


def past(**fields: Any) -> PastCall:
    return PastCall(
        **{
            "call_id": CallId("call_1"),
            "campaign_id": CAMPAIGN,
            "connected_at": AT - timedelta(days=3),
            "offer_id": OfferId("off_a"),
            "buyer_id": BuyerId("buy_a"),
            "converted_at": AT - timedelta(days=3),
        }
        | fields
    )
