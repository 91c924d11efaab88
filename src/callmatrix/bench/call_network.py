"""The configuration of the calls benchmark: an IVR with a digit and a ZIP, and two buyers with caps."""

from datetime import datetime
from typing import Final

from callmatrix.core.campaign import (
    Account,
    Assignment,
    Buyer,
    Campaign,
    CampaignShare,
    Connection,
    Entry,
    FlowDocument,
    Number,
    Offer,
    PhoneDestination,
    Publisher,
    RoutingPlan,
)
from callmatrix.core.caps import CountCap, Limits
from callmatrix.core.flow import CollectNode, Flow, MenuNode, RouteNode, SayNode, SetNode, SpokenPrompt
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
from callmatrix.core.pricing import FixedPrice, PublisherTerms, SharePayout, Tariff
from callmatrix.core.rules import Leaf
from callmatrix.gateway.callers import Answers, Behaviour, Busy
from callmatrix.store import catalog, flows, seals
from callmatrix.store.audit import By
from callmatrix.store.db import Transaction

ACCOUNT: Final = AccountId("acc_bench")
CONNECTION: Final = ConnectionId("con_bench")
SECRET: Final = "a carrier's secret of the benchmark"
DIALED: Final = "+14155550100"
TALK_MS: Final = 90_000

_CAMPAIGN: Final = CampaignId("cmp_bench")
_PUBLISHER: Final = PublisherId("pub_bench")
_FLOW: Final = FlowId("flw_bench")
_BUSY: Final = "+14155550101"
_TALKS: Final = "+14155550102"
_PLENTY: Final = Limits(
    caps=(CountCap(metric="conversion", window="day", limit=1_000_000),), concurrency=100_000
)


def behaviour(destination: str, _draw: int) -> Behaviour:
    """The first buyer's line is busy, the second's is answered."""
    return Busy() if destination == _BUSY else Answers(after_ms=4_000, talk_ms=TALK_MS)


def connection(public_url: str) -> Connection:
    """A connection to our own gateway."""
    return Connection(
        id=CONNECTION,
        name="Own gateway",
        carrier="own",
        public_base_url=public_url,
        tariff=Tariff(inbound_per_minute=Money.parse("0.01"), outbound_per_minute=Money.parse("0.02")),
    )


async def write(tx: Transaction, *, public_url: str, key: bytes, at: datetime) -> None:
    """Save the configuration, as of `at`, on an empty database; secrets are sealed by `key`."""
    by = By(who="system", at=at)
    await catalog.create_account(tx, Account(id=ACCOUNT, name="Bench"), by=by)
    await catalog.create(tx, ACCOUNT, connection(public_url), by=by)
    await seals.set_secrets(tx, ACCOUNT, CONNECTION, {"signing": SECRET}, key=key, by=by)
    for number, destination in ((1, _BUSY), (2, _TALKS)):
        await catalog.create(tx, ACCOUNT, _buyer(number), by=by)
        await catalog.create(tx, ACCOUNT, _offer(number, destination), by=by)
    publisher = Publisher(
        id=_PUBLISHER, name="Publisher", terms=PublisherTerms(payout=SharePayout(share_bps=5_000))
    )
    await catalog.create(tx, ACCOUNT, publisher, by=by)
    await catalog.create(tx, ACCOUNT, FlowDocument(id=_FLOW, name="Intake", draft=_flow()), by=by)
    await flows.publish(tx, ACCOUNT, _FLOW, by=by)
    await catalog.create(tx, ACCOUNT, _campaign(), by=by)
    number_of_campaign = Number(
        id=NumberId("num_bench"),
        number=DIALED,
        connection_id=CONNECTION,
        status="assigned",
        assignments=(
            Assignment(
                split=(CampaignShare(campaign_id=_CAMPAIGN, percent=100),),
                starts_at=at,
                publisher_id=_PUBLISHER,
            ),
        ),
    )
    await catalog.create(tx, ACCOUNT, number_of_campaign, by=by)


def _buyer(number: int) -> Buyer:
    return Buyer(
        id=BuyerId(f"buy_bench_{number}"),
        name=f"Buyer {number}",
        credit_limit=Money.parse("100000000"),
        limits=_PLENTY,
    )


def _offer(number: int, destination: str) -> Offer:
    return Offer(
        id=OfferId(f"off_bench_{number}"),
        buyer_id=BuyerId(f"buy_bench_{number}"),
        name=f"Offer {number}",
        destination=PhoneDestination(number=destination),
        price=FixedPrice(amount=Money.parse(str(40 - number)), after_s=60),
        rule=Leaf(subject="caller_state", operator="in", values=("CA", "NV")),
        limits=_PLENTY,
    )


def _campaign() -> Campaign:
    entries = tuple(Entry(offer_id=OfferId(f"off_bench_{number}")) for number in (1, 2))
    return Campaign(
        id=_CAMPAIGN,
        name="Plumbing",
        vertical="plumbing",
        status="live",
        flow_id=_FLOW,
        limits=_PLENTY,
        plan=RoutingPlan(strategy="auction", entries=entries),
    )


def _flow() -> Flow:
    return Flow(
        start="welcome",
        nodes={
            "welcome": SayNode(text="Thank you for calling.", next="work"),
            "work": MenuNode(
                prompt=SpokenPrompt(text="For a leak, press 1. For anything else, press 2."),
                branches={"1": "leak", "2": "other"},
                field="work",
                no_input="other",
            ),
            "leak": SetNode(field="service", value="leak", next="zip"),
            "other": SetNode(field="service", value="general", next="zip"),
            "zip": CollectNode(
                prompt=SpokenPrompt(text="Please enter your five-digit ZIP code."),
                field="zip",
                type="zip",
                next="connecting",
                failed="connecting",
            ),
            "connecting": SayNode(text="Please hold.", next="buyers"),
            "buyers": RouteNode(),
        },
    )
