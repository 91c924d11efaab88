"""The buyers and publishers of the seeded network, and what each of them allows."""

from typing import Final

from callmatrix.core.campaign import Buyer, Publisher
from callmatrix.core.caps import Cap, CountCap, CountMetric, Limits, MoneyCap, MoneyMetric, Window
from callmatrix.core.ids import BuyerId, PublisherId
from callmatrix.core.money import Money
from callmatrix.core.pricing import (
    DuplicateRule,
    FixedPrice,
    PublisherTerms,
    SharePayout,
    Tier,
    TieredPrice,
)

NEW_YORK: Final = "America/New_York"
CHICAGO: Final = "America/Chicago"
PHOENIX: Final = "America/Phoenix"
LOS_ANGELES: Final = "America/Los_Angeles"

SEARCHLIGHT: Final = PublisherId("pub_searchlight")
NORTHWIND: Final = PublisherId("pub_northwind")
BLUEBIRD: Final = PublisherId("pub_bluebird")
COPPERLINE: Final = PublisherId("pub_copperline")


def usd(text: str) -> Money:
    """An amount of dollars, such as `"12.50"`."""
    return Money.parse(text)


def units(metric: CountMetric, window: Window, limit: int) -> Cap:
    """A cap on calls."""
    return CountCap(metric=metric, window=window, limit=limit)


def money(metric: MoneyMetric, window: Window, limit: str) -> Cap:
    """A cap on money."""
    return MoneyCap(metric=metric, window=window, limit=usd(limit))


def buyers() -> tuple[Buyer, ...]:
    """Those who pay: prepaid ones spend what they paid ahead, postpaid ones go down to their credit limit."""
    return (
        Buyer(
            id=BuyerId("buy_bay_plumbing"),
            name="Bay Plumbing Co",
            credit_limit=usd("60000"),
            time_zone=LOS_ANGELES,
            limits=Limits(
                caps=(units("conversion", "day", 60), money("revenue", "month", "40000")), concurrency=6
            ),
        ),
        Buyer(
            id=BuyerId("buy_redwood_rooter"),
            name="Redwood Rooter & Drain",
            billing="prepaid",
            time_zone=LOS_ANGELES,
            limits=Limits(caps=(money("revenue", "day", "1500"),), concurrency=4),
        ),
        Buyer(
            id=BuyerId("buy_southland_leak"),
            name="Southland Leak Repair",
            credit_limit=usd("30000"),
            time_zone=LOS_ANGELES,
            limits=Limits(caps=(units("connect", "day", 90),)),
            credit_returns_unit=True,
        ),
        Buyer(
            id=BuyerId("buy_pacific_pipe"),
            name="Pacific Pipe Partners",
            credit_limit=usd("25000"),
            time_zone=LOS_ANGELES,
        ),
        Buyer(
            id=BuyerId("buy_sunrise_medicare"),
            name="Sunrise Medicare Advisors",
            credit_limit=usd("150000"),
            time_zone=NEW_YORK,
            limits=Limits(
                caps=(units("conversion", "week", 400), money("revenue", "week", "18000")), concurrency=8
            ),
        ),
        Buyer(
            id=BuyerId("buy_gulf_benefits"),
            name="Gulf Coast Benefits",
            billing="prepaid",
            time_zone=NEW_YORK,
            limits=Limits(caps=(units("attempt", "hour", 25),), concurrency=5),
        ),
        Buyer(
            id=BuyerId("buy_palm_senior"),
            name="Palm Senior Plans",
            credit_limit=usd("40000"),
            time_zone=NEW_YORK,
        ),
        Buyer(
            id=BuyerId("buy_lone_star_auto"),
            name="Lone Star Auto Cover",
            credit_limit=usd("80000"),
            time_zone=CHICAGO,
            week_starts_on=6,
            limits=Limits(caps=(units("attempt", "week", 1_200), money("revenue", "total", "250000"))),
        ),
        Buyer(
            id=BuyerId("buy_heartland_mutual"),
            name="Heartland Mutual Agency",
            credit_limit=usd("70000"),
            time_zone=CHICAGO,
            limits=Limits(concurrency=5, spacing_s=8),
        ),
        Buyer(
            id=BuyerId("buy_keystone_direct"),
            name="Keystone Direct Insurance",
            billing="prepaid",
            credit_limit=usd("250"),
            time_zone=NEW_YORK,
            limits=Limits(caps=(units("conversion", "month", 900),)),
        ),
        Buyer(
            id=BuyerId("buy_desert_quotes"),
            name="Desert Sun Quotes",
            credit_limit=usd("20000"),
            time_zone=PHOENIX,
        ),
        Buyer(
            id=BuyerId("buy_summit_injury"),
            name="Summit Injury Network",
            credit_limit=usd("200000"),
            time_zone=NEW_YORK,
            limits=Limits(caps=(units("connect", "month", 700),), concurrency=4),
        ),
        Buyer(
            id=BuyerId("buy_harbor_legal"),
            name="Harbor Legal Intake",
            credit_limit=usd("90000"),
            time_zone=CHICAGO,
        ),
    )


def deposits() -> dict[BuyerId, Money]:
    """What the prepaid buyers pay ahead, and again whenever they run low."""
    return {
        BuyerId("buy_redwood_rooter"): usd("4000"),
        BuyerId("buy_gulf_benefits"): usd("6000"),
        BuyerId("buy_keystone_direct"): usd("3000"),
    }


def publishers() -> tuple[Publisher, ...]:
    """Those who bring calls."""
    return (
        Publisher(
            id=SEARCHLIGHT,
            name="SearchLight Media",
            terms=PublisherTerms(payout=FixedPrice(amount=usd("14"), after_s=60)),
            time_zone=NEW_YORK,
            limits=Limits(caps=(units("paid", "day", 150), money("payout", "week", "9000"))),
            when_capped="block",
        ),
        Publisher(
            id=NORTHWIND,
            name="Northwind Leads",
            terms=PublisherTerms(
                payout=SharePayout(share_bps=5_500),
                duplicates=DuplicateRule(window_days=14, scope="publisher", action="unpaid"),
            ),
            time_zone=CHICAGO,
            limits=Limits(caps=(money("payout", "day", "2500"), units("conversion", "day", 250))),
            when_capped="unpaid",
        ),
        Publisher(
            id=BLUEBIRD,
            name="Bluebird Affiliates",
            terms=PublisherTerms(
                payout=TieredPrice(
                    tiers=(
                        Tier(from_s=60, amount=usd("6")),
                        Tier(from_s=120, amount=usd("12")),
                        Tier(from_s=600, amount=usd("18")),
                    )
                ),
                duplicates=DuplicateRule(
                    window_days=30, counts_from="connected", scope="campaign_group", action="unpaid"
                ),
            ),
            time_zone=LOS_ANGELES,
            limits=Limits(caps=(units("attempt", "hour", 60),), spacing_s=2),
            when_capped="block",
        ),
        Publisher(
            id=COPPERLINE,
            name="Copperline Radio",
            terms=PublisherTerms(payout=FixedPrice(amount=usd("9"), after_s=90), only_if_converted=False),
            time_zone=PHOENIX,
            limits=Limits(caps=(units("paid", "week", 260), units("connect", "day", 120))),
            when_capped="unpaid",
        ),
    )
