"""The seeded network as configuration documents: what the simulation runs on and the demo shows."""

from datetime import datetime
from typing import Final

import msgspec

from callmatrix.core.campaign import (
    Account,
    Assignment,
    AuctionTerms,
    Buyer,
    Campaign,
    CampaignShare,
    Connection,
    Entry,
    FallbackMessage,
    FallbackNumber,
    FallbackOffer,
    FallbackVoicemail,
    FlowDocument,
    Geography,
    Goals,
    MarginFloor,
    Number,
    Offer,
    Publisher,
    PublisherInCampaign,
    Recording,
    RoutingPlan,
    Screening,
    StaticAbove,
)
from callmatrix.core.caps import Limits
from callmatrix.core.ids import AccountId, BuyerId, CampaignId, ConnectionId, NumberId, OfferId, PublisherId
from callmatrix.core.money import Money
from callmatrix.core.plan import PlanDocument
from callmatrix.core.pricing import DuplicateRule, FixedPrice, PublisherTerms, SharePayout, Tariff
from callmatrix.core.rules import Leaf
from callmatrix.sim import flows, offers, parties
from callmatrix.sim.parties import (
    BLUEBIRD,
    CHICAGO,
    COPPERLINE,
    LOS_ANGELES,
    NEW_YORK,
    NORTHWIND,
    SEARCHLIGHT,
    money,
    units,
    usd,
)

ACCOUNT: Final = AccountId("acc_harbor")
CARRIER: Final = ConnectionId("con_own")
PLUMBING: Final = CampaignId("cmp_plumbing_ca")
MEDICARE: Final = CampaignId("cmp_medicare_fl")
AUTO: Final = CampaignId("cmp_auto_8")
AUTO_CHALLENGER: Final = CampaignId("cmp_auto_challenger")
LEGAL: Final = CampaignId("cmp_injury")
AUTO_STATES: Final = ("AZ", "GA", "IL", "NC", "OH", "PA", "TN", "TX")
LOOKUP_URL: Final = "https://crm.example.com/callers"
BIDDERS_URL: Final = "https://bids.example.com"


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an operator would have typed in. `deposits` are what prepaid buyers pay ahead."""

    account: Account
    connections: tuple[Connection, ...]
    buyers: tuple[Buyer, ...]
    publishers: tuple[Publisher, ...]
    offers: tuple[Offer, ...]
    flows: tuple[FlowDocument, ...]
    campaigns: tuple[Campaign, ...]
    numbers: tuple[Number, ...]
    deposits: dict[BuyerId, Money]


def network(
    *,
    starts_at: datetime,
    public_base_url: str = "https://calls.example.com",
    lookup_url: str | None = LOOKUP_URL,
    bidders_url: str = BIDDERS_URL,
) -> Network:
    """The network, its numbers assigned from `starts_at` on. Without `lookup_url` no flow asks a service;
    `bidders_url` is where its bidders answer."""
    return Network(
        account=_account(),
        connections=(_connection(public_base_url),),
        buyers=parties.buyers(),
        publishers=parties.publishers(),
        offers=offers.all_offers(bidders_url),
        flows=(flows.plumbing(), flows.medicare(), flows.auto(), flows.legal(lookup_url)),
        campaigns=(_plumbing(), _medicare(), _auto(), _auto_challenger(), _legal()),
        numbers=_numbers(starts_at),
        deposits=parties.deposits(),
    )


def plan_document(network: Network, campaign_id: CampaignId, *, version: int) -> PlanDocument:
    """One campaign's part of the network, as its calls are pinned to it."""
    campaign = next(one for one in network.campaigns if one.id == campaign_id)
    taking_part = {entry.offer_id for entry in campaign.plan.entries}
    if isinstance(campaign.fallback, FallbackOffer):
        taking_part.add(campaign.fallback.offer_id)
    chosen = tuple(offer for offer in network.offers if offer.id in taking_part)
    paying = {offer.buyer_id for offer in chosen}
    return PlanDocument(
        version=version,
        account=network.account,
        campaign=campaign,
        offers=chosen,
        buyers=tuple(buyer for buyer in network.buyers if buyer.id in paying),
        publishers=network.publishers,
        connections=network.connections,
        flow=next((flow.draft for flow in network.flows if flow.id == campaign.flow_id), None),
    )


def _account() -> Account:
    return Account(
        id=ACCOUNT,
        name="Harbor Call Network",
        time_zone=NEW_YORK,
        week_starts_on=6,
        limits=Limits(
            caps=(units("attempt", "hour", 2_000), money("revenue", "day", "90000")), concurrency=150
        ),
    )


def _connection(public_base_url: str) -> Connection:
    return Connection(
        id=CARRIER,
        name="Own gateway",
        carrier="own",
        public_base_url=public_base_url,
        tariff=Tariff(
            inbound_per_minute=usd("0.0085"),
            outbound_per_minute=usd("0.014"),
            number_per_month=usd("1.15"),
        ),
        failsafe_number="+12125550199",
    )


def _plumbing() -> Campaign:
    return Campaign(
        id=PLUMBING,
        name="Plumbing California",
        vertical="plumbing",
        status="live",
        flow_id=flows.PLUMBING,
        geography=Geography(states=("CA",)),
        time_zone=LOS_ANGELES,
        limits=Limits(caps=(units("attempt", "day", 900), money("payout", "month", "45000")), concurrency=40),
        plan=RoutingPlan(
            strategy="auction",
            entries=(
                Entry(offer_id=OfferId("off_bay_emergency")),
                Entry(offer_id=OfferId("off_bay_general")),
                Entry(offer_id=OfferId("off_redwood_drains"), weight=60),
                Entry(
                    offer_id=OfferId("off_southland_night"),
                    limits=Limits(caps=(units("conversion", "hour", 9),)),
                ),
                Entry(
                    offer_id=OfferId("off_southland_day"),
                    price=FixedPrice(amount=usd("29.50"), after_s=60),
                    limits=Limits(caps=(units("connect", "day", 45),)),
                ),
                Entry(offer_id=OfferId("off_redwood_bids")),
                Entry(offer_id=OfferId("off_southland_trial")),
                Entry(offer_id=OfferId("off_pacific_jobs"), priority=2),
            ),
            max_attempts=4,
            max_wait_s=90,
        ),
        auction=AuctionTerms(reserve=usd("10")),
        publishers=(
            PublisherInCampaign(
                publisher_id=BLUEBIRD,
                terms=PublisherTerms(payout=SharePayout(share_bps=6_000)),
                limits=Limits(caps=(money("payout", "day", "700"),)),
            ),
            PublisherInCampaign(
                publisher_id=COPPERLINE,
                limits=Limits(caps=(units("paid", "week", 90),)),
                when_capped="unpaid",
            ),
        ),
        screening=Screening(repeat_within_s=3),
        margin_floor=MarginFloor(amount=usd("1.50"), share_bps=500),
        fallback=FallbackNumber(number="+14155550198"),
        max_call_s=3_000,
        goals=Goals(calls_per_day=180, target_cost_per_call=usd("16"), conversion_rate_bps=5_500),
    )


def _medicare() -> Campaign:
    return Campaign(
        id=MEDICARE,
        name="Medicare Florida",
        vertical="medicare",
        status="live",
        flow_id=flows.MEDICARE,
        geography=Geography(states=("FL",), unknown_passes=False),
        hours=offers.weekly(NEW_YORK, offers.EVERY_DAY, 8, 21),
        time_zone=NEW_YORK,
        limits=Limits(caps=(units("conversion", "week", 900), units("connect", "hour", 60))),
        plan=RoutingPlan(
            strategy="weighted",
            entries=(
                Entry(offer_id=OfferId("off_sunrise_advisors"), weight=60),
                Entry(offer_id=OfferId("off_gulf_transfers"), weight=30),
                Entry(offer_id=OfferId("off_palm_enrolments"), weight=10),
            ),
            max_attempts=3,
        ),
        terms=PublisherTerms(payout=FixedPrice(amount=usd("24"), after_s=120)),
        publishers=(
            PublisherInCampaign(
                publisher_id=NORTHWIND,
                terms=PublisherTerms(payout=SharePayout(share_bps=5_000)),
                limits=Limits(caps=(units("conversion", "month", 600),)),
            ),
        ),
        screening=Screening(block_anonymous=True, repeat_within_s=5, min_attestation="C"),
        recording=Recording(
            on=True, prompt="This call may be monitored or recorded for quality and compliance."
        ),
        margin_floor=MarginFloor(amount=usd("4"), share_bps=1_000),
        fallback=FallbackVoicemail(
            prompt="All our advisors are helping other callers. Please leave your name and number."
        ),
        closed_treatment=FallbackVoicemail(
            prompt="Our office is closed. Please leave your name and number.", max_s=60
        ),
        goals=Goals(calls_per_day=150, conversion_rate_bps=4_500),
    )


def _auto() -> Campaign:
    return Campaign(
        id=AUTO,
        name="Auto insurance, eight states",
        vertical="auto insurance",
        status="live",
        group="auto",
        flow_id=flows.AUTO,
        geography=Geography(states=AUTO_STATES),
        time_zone=CHICAGO,
        plan=RoutingPlan(
            strategy="waterfall",
            entries=(
                Entry(offer_id=OfferId("off_lone_star_insured"), priority=1),
                Entry(offer_id=OfferId("off_heartland_agents"), priority=1, weight=80),
                Entry(
                    offer_id=OfferId("off_keystone_quotes"),
                    priority=2,
                    rule=Leaf(
                        subject="day_of_week",
                        operator="in",
                        values=("monday", "tuesday", "wednesday", "thursday", "friday", "saturday"),
                        time_zone=NEW_YORK,
                    ),
                ),
                Entry(offer_id=OfferId("off_lone_star_any"), priority=3),
            ),
            max_attempts=5,
            max_wait_s=150,
        ),
        publishers=(
            PublisherInCampaign(
                publisher_id=SEARCHLIGHT,
                terms=PublisherTerms(payout=FixedPrice(amount=usd("7"), after_s=90)),
                limits=Limits(caps=(units("attempt", "total", 200_000), units("paid", "month", 1_500))),
            ),
        ),
        duplicates=DuplicateRule(window_days=14, scope="campaign_group", action="unpaid"),
        recording=Recording(on=True, skip_in_one_party_states=True),
        fallback=FallbackOffer(offer_id=OfferId("off_desert_overflow")),
        closed_treatment=FallbackMessage(text="Open Road Quotes is closed for now. Please call again later."),
        max_call_s=2_400,
        goals=Goals(calls_per_day=220),
    )


def _auto_challenger() -> Campaign:
    return Campaign(
        id=AUTO_CHALLENGER,
        name="Auto insurance, challenger",
        vertical="auto insurance",
        status="live",
        group="auto",
        flow_id=flows.AUTO,
        geography=Geography(states=AUTO_STATES, unknown_passes=False),
        time_zone=CHICAGO,
        limits=Limits(caps=(units("attempt", "day", 260),), concurrency=25),
        plan=RoutingPlan(
            strategy="auction",
            entries=(
                Entry(offer_id=OfferId("off_lone_star_any")),
                Entry(offer_id=OfferId("off_keystone_quotes")),
                Entry(offer_id=OfferId("off_heartland_agents")),
                Entry(offer_id=OfferId("off_desert_bids")),
                Entry(offer_id=OfferId("off_keystone_bids")),
                Entry(offer_id=OfferId("off_lone_star_bids")),
                Entry(offer_id=OfferId("off_desert_overflow"), priority=2),
            ),
            max_attempts=3,
        ),
        terms=PublisherTerms(payout=SharePayout(share_bps=4_500)),
        auction=AuctionTerms(
            deadline_ms=1_500,
            share_number=True,
            share_source=True,
            static_fallback=StaticAbove(amount=usd("9")),
        ),
        fallback=FallbackMessage(text="All our partners are busy. Please call again in a few minutes."),
        max_call_s=2_400,
    )


def _legal() -> Campaign:
    return Campaign(
        id=LEGAL,
        name="Injury help line",
        vertical="legal",
        status="live",
        flow_id=flows.LEGAL,
        time_zone=NEW_YORK,
        limits=Limits(caps=(money("revenue", "week", "40000"),)),
        plan=RoutingPlan(
            strategy="round_robin",
            entries=(
                Entry(offer_id=OfferId("off_summit_east")),
                Entry(offer_id=OfferId("off_summit_west")),
                Entry(
                    offer_id=OfferId("off_harbor_intake"), limits=Limits(caps=(units("attempt", "hour", 15),))
                ),
            ),
            max_attempts=3,
        ),
        terms=PublisherTerms(
            payout=FixedPrice(amount=usd("25"), after_s=120),
            duplicates=DuplicateRule(window_days=90, scope="campaign", action="unpaid"),
        ),
        screening=Screening(block_anonymous=False, repeat_within_s=10),
        recording=Recording(on=True, prompt_version=2),
        margin_floor=MarginFloor(share_bps=800),
        fallback=FallbackVoicemail(
            prompt="Everybody is on a call. Leave your number and we will call you back.", max_s=90
        ),
        max_call_s=3_600,
    )


def _numbers(starts_at: datetime) -> tuple[Number, ...]:
    whole: tuple[tuple[str, CampaignId, PublisherId | None], ...] = (
        ("+14155550101", PLUMBING, SEARCHLIGHT),
        ("+12135550101", PLUMBING, BLUEBIRD),
        ("+19165550101", PLUMBING, COPPERLINE),
        ("+18005550101", PLUMBING, None),
        ("+13055550101", MEDICARE, NORTHWIND),
        ("+18135550101", MEDICARE, SEARCHLIGHT),
        ("+14075550101", MEDICARE, COPPERLINE),
        ("+12145550101", AUTO, SEARCHLIGHT),
        ("+14045550101", AUTO, NORTHWIND),
        ("+12125550101", LEGAL, NORTHWIND),
        ("+18775550101", LEGAL, BLUEBIRD),
    )
    split = (
        CampaignShare(campaign_id=AUTO, percent=70),
        CampaignShare(campaign_id=AUTO_CHALLENGER, percent=30),
    )
    made = [
        _number(number, (CampaignShare(campaign_id=campaign, percent=100),), publisher, starts_at)
        for number, campaign, publisher in whole
    ]
    made.append(_number("+18885550101", split, BLUEBIRD, starts_at))
    return tuple(made)


def _number(
    number: str, split: tuple[CampaignShare, ...], publisher_id: PublisherId | None, starts_at: datetime
) -> Number:
    return Number(
        id=NumberId(f"num_{number[1:]}"),
        number=number,
        connection_id=CARRIER,
        status="assigned",
        assignments=(Assignment(split=split, starts_at=starts_at, publisher_id=publisher_id),),
    )
