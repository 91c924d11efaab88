"""The configuration of the storm benchmark: two numbers whose calls 20 bidders and one static offer want."""

from datetime import datetime
from typing import Final

from callmatrix.core.campaign import (
    Account,
    Assignment,
    AuctionTerms,
    Bidder,
    Buyer,
    Campaign,
    CampaignShare,
    Connection,
    Entry,
    FlowDocument,
    NativeFormat,
    Number,
    Offer,
    PhoneDestination,
    Publisher,
    RoutingPlan,
)
from callmatrix.core.caps import CountCap, Limits
from callmatrix.core.flow import Flow, MenuNode, RouteNode, SayNode, SpokenPrompt
from callmatrix.core.ids import (
    AccountId,
    BuyerId,
    CampaignId,
    ConnectionId,
    FlowId,
    NumberId,
    OfferId,
    PublisherId,
)
from callmatrix.core.money import Money
from callmatrix.core.pricing import BidPrice, FixedPrice, Price, PublisherTerms, SharePayout, Tariff
from callmatrix.gateway.callers import Answers, Behaviour
from callmatrix.store import catalog, flows, seals
from callmatrix.store.audit import By
from callmatrix.store.db import Transaction

ACCOUNT: Final = AccountId("acc_storm")
CONNECTION: Final = ConnectionId("con_storm")
SECRET: Final = "a carrier's secret of the benchmark"
STRAIGHT: Final = "+14155550100"
"""Routed on arrival, so that the first answer holds an auction."""
ASKED: Final = "+14155550110"
"""Asked for a key first, so that the auction is held by an event of a call in the air."""
BIDDERS: Final = 20
FASTEST_MS: Final = 20
SLOWEST_MS: Final = 120
DEADLINE_MS: Final = 2_000
TALK_MS: Final = 90_000

_FLOW: Final = FlowId("flw_storm")
_PUBLISHER: Final = PublisherId("pub_storm")
_PLENTY: Final = Limits(
    caps=(CountCap(metric="conversion", window="day", limit=1_000_000),), concurrency=100_000
)


def behaviour(_destination: str, _draw: int) -> Behaviour:
    """Every buyer answers and talks long enough to pay."""
    return Answers(after_ms=4_000, talk_ms=TALK_MS)


def connection(public_url: str) -> Connection:
    """A connection to our own gateway; its fail-safe reply is the spoken one."""
    return Connection(
        id=CONNECTION,
        name="Own gateway",
        carrier="own",
        public_base_url=public_url,
        tariff=Tariff(inbound_per_minute=Money.parse("0.01"), outbound_per_minute=Money.parse("0.02")),
    )


async def write(tx: Transaction, *, public_url: str, bidders_url: str, key: bytes, at: datetime) -> None:
    """Save the configuration, as of `at`, on an empty database; secrets are sealed by `key`."""
    by = By(who="system", at=at)
    await catalog.create_account(tx, Account(id=ACCOUNT, name="Storm"), by=by)
    await catalog.create(tx, ACCOUNT, connection(public_url), by=by)
    await seals.set_secrets(tx, ACCOUNT, CONNECTION, {"signing": SECRET}, key=key, by=by)
    offers = (*(_bidding(number, bidders_url) for number in range(BIDDERS)), _static())
    for offer in offers:
        await catalog.create(tx, ACCOUNT, _buyer(offer.buyer_id), by=by)
        await catalog.create(tx, ACCOUNT, offer, by=by)
    terms = PublisherTerms(payout=SharePayout(share_bps=5_000))
    await catalog.create(tx, ACCOUNT, Publisher(id=_PUBLISHER, name="Publisher", terms=terms), by=by)
    await catalog.create(tx, ACCOUNT, FlowDocument(id=_FLOW, name="One key", draft=_flow()), by=by)
    await flows.publish(tx, ACCOUNT, _FLOW, by=by)
    for number, flow_id in ((STRAIGHT, None), (ASKED, _FLOW)):
        campaign = _campaign(number, flow_id, offers)
        await catalog.create(tx, ACCOUNT, campaign, by=by)
        await catalog.create(tx, ACCOUNT, _number(number, campaign.id, at), by=by)


def _buyer(buyer_id: BuyerId) -> Buyer:
    return Buyer(id=buyer_id, name=buyer_id, credit_limit=Money.parse("100000000"), limits=_PLENTY)


def _bidding(number: int, bidders_url: str) -> Offer:
    """An offer of a bidder; the bidders' delays are spread evenly."""
    after_ms = FASTEST_MS + (SLOWEST_MS - FASTEST_MS) * number // (BIDDERS - 1)
    return _offer(
        f"{number:02}",
        BidPrice(after_s=60),
        Bidder(
            format=NativeFormat(),
            ping_url=f"{bidders_url}/bid/{after_ms}",
            post_url=f"{bidders_url}/post",
            timeout_ms=1_500,
        ),
    )


def _static() -> Offer:
    """Where a call goes for which nobody has bid."""
    return _offer("static", FixedPrice(amount=Money.parse("5"), after_s=60), None)


def _offer(name: str, price: Price, bidder: Bidder | None) -> Offer:
    return Offer(
        id=OfferId(f"off_storm_{name}"),
        buyer_id=BuyerId(f"buy_storm_{name}"),
        name=f"Offer {name}",
        destination=PhoneDestination(number="+14155550120"),
        price=price,
        limits=_PLENTY,
        bidder=bidder,
    )


def _campaign(number: str, flow_id: FlowId | None, offers: tuple[Offer, ...]) -> Campaign:
    return Campaign(
        id=CampaignId(f"cmp_storm_{number[-3:]}"),
        name="Plumbing",
        vertical="plumbing",
        status="live",
        flow_id=flow_id,
        limits=_PLENTY,
        plan=RoutingPlan(strategy="auction", entries=tuple(Entry(offer_id=offer.id) for offer in offers)),
        auction=AuctionTerms(deadline_ms=DEADLINE_MS),
    )


def _number(number: str, campaign_id: CampaignId, at: datetime) -> Number:
    share = CampaignShare(campaign_id=campaign_id, percent=100)
    return Number(
        id=NumberId(f"num_storm_{number[-3:]}"),
        number=number,
        connection_id=CONNECTION,
        status="assigned",
        assignments=(Assignment(split=(share,), starts_at=at, publisher_id=_PUBLISHER),),
    )


def _flow() -> Flow:
    return Flow(
        start="welcome",
        nodes={
            "welcome": SayNode(text="Thank you for calling.", next="work"),
            "work": MenuNode(
                prompt=SpokenPrompt(text="For a leak, press 1. For anything else, press 2."),
                branches={"1": "buyers", "2": "buyers"},
                field="work",
                no_input="buyers",
            ),
            "buyers": RouteNode(),
        },
    )
