"""The offers of the seeded network: prices of every kind, hours, rules, caps and how each is answered."""

from typing import Final

from callmatrix.core.campaign import (
    Acceptance,
    Adjustment,
    BearerAuth,
    Bidder,
    NativeFormat,
    Offer,
    PhoneDestination,
    RingbaFormat,
    RuledAdjustment,
    SipDestination,
)
from callmatrix.core.caps import Limits
from callmatrix.core.hours import HolidayRule, Hours, Span
from callmatrix.core.ids import BuyerId, OfferId
from callmatrix.core.pricing import BidPrice, DuplicateRule, FixedPrice, MinutePrice, Tier, TieredPrice
from callmatrix.core.rules import AllOf, AnyOf, Leaf, NoneOf
from callmatrix.sim.parties import CHICAGO, LOS_ANGELES, NEW_YORK, PHOENIX, money, units, usd

WEEKDAYS: Final = (0, 1, 2, 3, 4)
EVERY_DAY: Final = (0, 1, 2, 3, 4, 5, 6)
US_HOLIDAYS: Final = (HolidayRule(calendar="US"),)


def weekly(time_zone: str, days: tuple[int, ...], opens_h: int, closes_h: int) -> Hours:
    """The same hours on several days; `closes_h` past 24 is the next day."""
    spans = tuple(Span(day=day, opens_minute=opens_h * 60, closes_minute=closes_h * 60) for day in days)
    return Hours(time_zone=time_zone, spans=spans)


def plumbing() -> tuple[Offer, ...]:
    """Plumbers in California, paid by fixed price, tiers, the minute and the buyer's own postback."""
    bay = AnyOf(
        rules=(
            Leaf(
                subject="zip",
                operator="starts_with",
                values=("940", "941", "943", "944", "945", "946", "947", "948", "949", "950", "951"),
            ),
            Leaf(subject="area_code", operator="in", values=("408", "415", "510", "650", "925")),
        )
    )
    south = AnyOf(
        rules=(
            Leaf(subject="zip", operator="between", values=("90001", "93599")),
            Leaf(subject="area_code", operator="in", values=("213", "310", "619", "714", "818")),
        )
    )
    return (
        Offer(
            id=OfferId("off_bay_emergency"),
            buyer_id=BuyerId("buy_bay_plumbing"),
            name="Bay Area emergencies",
            destination=PhoneDestination(number="+14155550110"),
            price=FixedPrice(amount=usd("46"), after_s=90),
            rule=AllOf(
                rules=(
                    bay,
                    Leaf(subject="field", name="service", operator="equal", values=("emergency",)),
                )
            ),
            required_fields=("service",),
            time_zone=LOS_ANGELES,
            limits=Limits(caps=(units("conversion", "day", 25),), concurrency=3),
            duplicates=DuplicateRule(window_days=30, scope="buyer", action="refuse"),
            reroute_below_s=20,
            time_limit_s=2_400,
        ),
        Offer(
            id=OfferId("off_bay_general"),
            buyer_id=BuyerId("buy_bay_plumbing"),
            name="Bay Area, any work",
            destination=PhoneDestination(number="+14155550111"),
            price=FixedPrice(amount=usd("31"), after_s=60),
            hours=weekly(LOS_ANGELES, (0, 1, 2, 3, 4, 5), 7, 19),
            rule=bay,
            time_zone=LOS_ANGELES,
            limits=Limits(caps=(units("connect", "hour", 12),)),
            duplicates=DuplicateRule(window_days=30, scope="buyer", action="refuse"),
        ),
        Offer(
            id=OfferId("off_redwood_drains"),
            buyer_id=BuyerId("buy_redwood_rooter"),
            name="Drains and sewers, statewide",
            destination=PhoneDestination(number="+19165550112"),
            price=TieredPrice(
                tiers=(
                    Tier(from_s=45, amount=usd("18")),
                    Tier(from_s=120, amount=usd("29")),
                    Tier(from_s=420, amount=usd("41")),
                )
            ),
            hours=weekly(LOS_ANGELES, EVERY_DAY, 6, 22),
            required_fields=("zip",),
            time_zone=LOS_ANGELES,
            limits=Limits(caps=(units("attempt", "hour", 30),), spacing_s=15),
            whisper="Call from Golden State Plumbing Help.",
            reroute_below_s=15,
        ),
        Offer(
            id=OfferId("off_southland_night"),
            buyer_id=BuyerId("buy_southland_leak"),
            name="Southland evenings and nights",
            destination=PhoneDestination(number="+12135550113"),
            price=MinutePrice(rate=usd("4.20"), increment_s=6, minimum_s=30, after_s=30),
            hours=weekly(LOS_ANGELES, EVERY_DAY, 17, 26),
            rule=south,
            time_zone=LOS_ANGELES,
            limits=Limits(caps=(money("revenue", "day", "2400"),), concurrency=4),
            acceptance=Acceptance(prompt="Plumbing call from Southern California. Press 1 to take it."),
            whisper="Golden State Plumbing Help.",
            time_limit_s=1_800,
        ),
        Offer(
            id=OfferId("off_southland_day"),
            buyer_id=BuyerId("buy_southland_leak"),
            name="Southland by day",
            destination=PhoneDestination(number="+12135550114"),
            price=FixedPrice(amount=usd("28"), after_s=60),
            hours=weekly(LOS_ANGELES, WEEKDAYS, 8, 17),
            rule=AllOf(
                rules=(
                    south,
                    NoneOf(
                        rules=(
                            Leaf(subject="field", name="service", operator="equal", values=("water_heater",)),
                        )
                    ),
                )
            ),
            time_zone=LOS_ANGELES,
            duplicates=DuplicateRule(window_days=7, counts_from="connected", scope="offer", action="unpaid"),
            caller_id="tracked",
        ),
        Offer(
            id=OfferId("off_pacific_jobs"),
            buyer_id=BuyerId("buy_pacific_pipe"),
            name="Paid per booked job",
            destination=PhoneDestination(number="+18185550115"),
            price=FixedPrice(amount=usd("60"), after_s=30),
            converts_on="postback",
            conversion_expires_h=72,
            time_zone=LOS_ANGELES,
            limits=Limits(concurrency=6),
            ring_timeout_s=20,
        ),
    )


def medicare() -> tuple[Offer, ...]:
    """Medicare advisers in Florida; every call is recorded."""
    eligible = NoneOf(rules=(Leaf(subject="field", name="is_65", operator="equal", values=("no",)),))
    return (
        Offer(
            id=OfferId("off_sunrise_advisors"),
            buyer_id=BuyerId("buy_sunrise_medicare"),
            name="Licensed advisors, Florida",
            destination=PhoneDestination(number="+13055550120"),
            price=FixedPrice(amount=usd("52"), after_s=120),
            hours=Hours(
                time_zone=NEW_YORK,
                spans=weekly(NEW_YORK, WEEKDAYS, 9, 20).spans + weekly(NEW_YORK, (5,), 10, 16).spans,
                holidays=US_HOLIDAYS,
            ),
            rule=AllOf(rules=(eligible, Leaf(subject="field", name="has_a_and_b", operator="present"))),
            required_fields=("zip",),
            time_zone=NEW_YORK,
            limits=Limits(caps=(units("conversion", "hour", 14),), concurrency=5),
            duplicates=DuplicateRule(window_days=60, scope="buyer", action="same_buyer"),
            whisper="Medicare caller, sixty-five or older.",
            reroute_below_s=30,
        ),
        Offer(
            id=OfferId("off_gulf_transfers"),
            buyer_id=BuyerId("buy_gulf_benefits"),
            name="Accepted transfers",
            destination=PhoneDestination(number="+18135550121"),
            price=FixedPrice(amount=usd("44"), after_s=90),
            hours=weekly(NEW_YORK, EVERY_DAY, 9, 21),
            rule=eligible,
            time_zone=NEW_YORK,
            acceptance=Acceptance(prompt="A Medicare caller is on the line. Press 1 to accept.", timeout_s=6),
            reroute_below_s=30,
        ),
        Offer(
            id=OfferId("off_palm_enrolments"),
            buyer_id=BuyerId("buy_palm_senior"),
            name="Paid per enrolment",
            destination=SipDestination(uri="sip:intake@pbx.example.com"),
            price=FixedPrice(amount=usd("130"), after_s=120),
            converts_on="manual",
            conversion_expires_h=240,
            hours=weekly(NEW_YORK, (0, 1, 2, 3, 4, 5), 8, 18),
            rule=AllOf(rules=(eligible, Leaf(subject="attestation", operator="in", values=("A", "B")))),
            time_zone=NEW_YORK,
            limits=Limits(caps=(units("connect", "week", 140),)),
        ),
    )


def auto() -> tuple[Offer, ...]:
    """Auto insurers in eight states."""
    insured = Leaf(subject="field", name="insured", operator="equal", values=("yes",))
    return (
        Offer(
            id=OfferId("off_lone_star_insured"),
            buyer_id=BuyerId("buy_lone_star_auto"),
            name="Insured drivers, Texas and Arizona",
            destination=PhoneDestination(number="+12145550130"),
            price=FixedPrice(amount=usd("24"), after_s=90),
            hours=weekly(CHICAGO, EVERY_DAY, 8, 21),
            rule=AllOf(rules=(insured, Leaf(subject="caller_state", operator="in", values=("TX", "AZ")))),
            time_zone=CHICAGO,
            week_starts_on=6,
            limits=Limits(caps=(units("conversion", "day", 40),)),
            duplicates=DuplicateRule(window_days=30, scope="campaign_group", action="refuse"),
        ),
        Offer(
            id=OfferId("off_lone_star_any"),
            buyer_id=BuyerId("buy_lone_star_auto"),
            name="Any driver",
            destination=PhoneDestination(number="+12145550131"),
            price=TieredPrice(tiers=(Tier(from_s=60, amount=usd("11")), Tier(from_s=180, amount=usd("19")))),
            time_zone=CHICAGO,
            duplicates=DuplicateRule(window_days=30, scope="campaign_group", action="unpaid"),
        ),
        Offer(
            id=OfferId("off_heartland_agents"),
            buyer_id=BuyerId("buy_heartland_mutual"),
            name="Midwest agents",
            destination=PhoneDestination(number="+16145550132"),
            price=MinutePrice(rate=usd("3.10"), increment_s=60, minimum_s=60, after_s=20),
            hours=weekly(CHICAGO, WEEKDAYS, 8, 18),
            rule=Leaf(subject="caller_state", operator="in", values=("OH", "IL", "TN", "PA")),
            time_zone=CHICAGO,
            limits=Limits(concurrency=3),
            whisper="Auto insurance shopper.",
            acceptance=Acceptance(prompt="Press 1 to take this driver.", timeout_s=7),
        ),
        Offer(
            id=OfferId("off_keystone_quotes"),
            buyer_id=BuyerId("buy_keystone_direct"),
            name="East, quotes by phone",
            destination=PhoneDestination(number="+12155550133"),
            price=FixedPrice(amount=usd("17"), after_s=60),
            hours=weekly(NEW_YORK, EVERY_DAY, 8, 22),
            rule=Leaf(subject="caller_state", operator="in", values=("PA", "NC", "GA", "OH")),
            time_zone=NEW_YORK,
            limits=Limits(caps=(units("attempt", "day", 160),)),
            reroute_below_s=10,
        ),
        Offer(
            id=OfferId("off_desert_overflow"),
            buyer_id=BuyerId("buy_desert_quotes"),
            name="Overflow, all states",
            destination=PhoneDestination(number="+16025550134"),
            price=FixedPrice(amount=usd("7.50"), after_s=45),
            time_zone=PHOENIX,
        ),
    )


def bidding(url: str) -> tuple[Offer, ...]:
    """Offers priced by live bids, in every way of being asked; `url` is where the bidders answer."""
    return (
        Offer(
            id=OfferId("off_desert_bids"),
            buyer_id=BuyerId("buy_desert_quotes"),
            name="Live bids",
            destination=PhoneDestination(number="+16025550135"),
            price=BidPrice(floor=usd("8"), after_s=60),
            time_zone=PHOENIX,
            bidder=Bidder(
                format=NativeFormat(),
                ping_url=f"{url}/desert/ping",
                post_url=f"{url}/desert/post",
                authentication=BearerAuth(),
            ),
        ),
        Offer(
            id=OfferId("off_keystone_bids"),
            buyer_id=BuyerId("buy_keystone_direct"),
            name="Live bids, East",
            destination=PhoneDestination(number="+12155550136"),
            price=BidPrice(after_s=60),
            rule=Leaf(subject="caller_state", operator="in", values=("PA", "NC", "GA", "OH", "TN")),
            time_zone=NEW_YORK,
            limits=Limits(caps=(units("conversion", "day", 60),)),
            bidder=Bidder(
                format=RingbaFormat(expose_caller_id=False),
                ping_url=f"{url}/keystone/ping",
                timeout_ms=900,
                adjustment=Adjustment(share_bps=9_000),
                share_number=True,
            ),
        ),
        Offer(
            id=OfferId("off_lone_star_bids"),
            buyer_id=BuyerId("buy_lone_star_auto"),
            name="Live bids, accepted before the dial",
            destination=PhoneDestination(number="+12145550137"),
            price=BidPrice(floor=usd("5"), after_s=45),
            time_zone=CHICAGO,
            limits=Limits(concurrency=4),
            bidder=Bidder(
                format=NativeFormat(),
                ping_url=f"{url}/lone-star/ping",
                post_url=f"{url}/lone-star/post",
                post_timing="before_dial",
                destination="offer",
            ),
        ),
        Offer(
            id=OfferId("off_redwood_bids"),
            buyer_id=BuyerId("buy_redwood_rooter"),
            name="Live bids, large jobs",
            destination=PhoneDestination(number="+19165550138"),
            price=BidPrice(floor=usd("12"), after_s=90),
            time_zone=LOS_ANGELES,
            acceptance=Acceptance(prompt="A large job in California. Press 1 to take it."),
            bidder=Bidder(
                format=NativeFormat(),
                ping_url=f"{url}/redwood/ping",
                post_url=f"{url}/redwood/post",
                post_timing="accept",
                timeout_ms=1_200,
                ruled=(
                    RuledAdjustment(
                        rule=Leaf(subject="field", name="service", operator="equal", values=("emergency",)),
                        adjustment=Adjustment(amount=usd("2")),
                    ),
                ),
            ),
        ),
        Offer(
            id=OfferId("off_southland_trial"),
            buyer_id=BuyerId("buy_southland_leak"),
            name="Live bids, on trial",
            destination=PhoneDestination(number="+12135550139"),
            price=BidPrice(after_s=60),
            time_zone=LOS_ANGELES,
            bidder=Bidder(format=NativeFormat(), ping_url=f"{url}/southland/ping", mode="simulate"),
        ),
    )


def legal() -> tuple[Offer, ...]:
    """Law firms' intake desks, in rotation."""
    hurt = Leaf(subject="field", name="injured", operator="equal", values=("yes",))
    recent = Leaf(subject="field", name="months_ago", operator="less", values=("24",))
    return (
        Offer(
            id=OfferId("off_summit_east"),
            buyer_id=BuyerId("buy_summit_injury"),
            name="Recent injuries, East desk",
            destination=PhoneDestination(number="+12125550140"),
            price=FixedPrice(amount=usd("85"), after_s=180),
            hours=weekly(NEW_YORK, EVERY_DAY, 8, 23),
            rule=AllOf(rules=(hurt, recent)),
            required_fields=("months_ago",),
            time_zone=NEW_YORK,
            duplicates=DuplicateRule(window_days=90, scope="buyer", action="refuse"),
        ),
        Offer(
            id=OfferId("off_summit_west"),
            buyer_id=BuyerId("buy_summit_injury"),
            name="Recent injuries, West desk",
            destination=PhoneDestination(number="+16195550141"),
            price=FixedPrice(amount=usd("80"), after_s=180),
            hours=weekly(LOS_ANGELES, EVERY_DAY, 7, 22),
            rule=AllOf(rules=(hurt, recent)),
            time_zone=LOS_ANGELES,
            duplicates=DuplicateRule(window_days=90, scope="buyer", action="refuse"),
        ),
        Offer(
            id=OfferId("off_harbor_intake"),
            buyer_id=BuyerId("buy_harbor_legal"),
            name="All injuries",
            destination=PhoneDestination(number="+13125550142"),
            price=TieredPrice(tiers=(Tier(from_s=90, amount=usd("35")), Tier(from_s=300, amount=usd("70")))),
            time_zone=CHICAGO,
            limits=Limits(caps=(money("revenue", "week", "12000"),)),
            acceptance=Acceptance(prompt="Injury intake. Press 1 to accept.", timeout_s=8),
            reroute_below_s=25,
        ),
    )


def all_offers(bidders_url: str) -> tuple[Offer, ...]:
    """Every offer of the network."""
    return plumbing() + medicare() + auto() + bidding(bidders_url) + legal()
