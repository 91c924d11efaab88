"""What operators change while calls are in the air: pauses, limits, prices, hours, funds."""

from collections.abc import Callable
from typing import Final

import msgspec

from callmatrix.core.campaign import Buyer, Campaign, Offer, Publisher
from callmatrix.core.caps import CountCap, Limits
from callmatrix.core.hours import Hours
from callmatrix.core.money import Money, divide_half_even
from callmatrix.core.pricing import BidPrice, FixedPrice, MinutePrice, Price, TieredPrice
from callmatrix.sim.network import Network
from callmatrix.world import Dice

PER_CENT: Final = 100
LOWEST_LIMIT: Final = 1
LATEST_CLOSING: Final = 27 * 60


def change(network: Network, rolls: Dice) -> Network:
    """The network after one more change."""
    return rolls.choice(_CHANGES)(network, rolls)


def priced(price: Price, per_cent: int) -> Price:
    """A price at so many hundredths of itself."""
    match price:
        case FixedPrice(amount=amount):
            return msgspec.structs.replace(price, amount=_times(amount, per_cent))
        case TieredPrice(tiers=tiers):
            raised = tuple(msgspec.structs.replace(t, amount=_times(t.amount, per_cent)) for t in tiers)
            return msgspec.structs.replace(price, tiers=raised)
        case MinutePrice(rate=rate):
            return msgspec.structs.replace(price, rate=_times(rate, per_cent))
        case BidPrice():
            return price


def _times(amount: Money, per_cent: int) -> Money:
    return Money(divide_half_even(amount.micros * per_cent, PER_CENT))


def _pause_offer(network: Network, rolls: Dice) -> Network:
    offer = rolls.choice(network.offers)
    status = "active" if offer.status == "paused" else "paused"
    return _with_offer(network, msgspec.structs.replace(offer, status=status))


def _resume_all(network: Network, rolls: Dice) -> Network:
    """Everything that was paused is opened again."""
    opened = tuple(msgspec.structs.replace(offer, status="active") for offer in network.offers)
    buyers = tuple(msgspec.structs.replace(buyer, status="active") for buyer in network.buyers)
    publishers = tuple(msgspec.structs.replace(one, status="active") for one in network.publishers)
    campaigns = tuple(msgspec.structs.replace(one, status="live") for one in network.campaigns)
    return msgspec.structs.replace(
        network, offers=opened, buyers=buyers, publishers=publishers, campaigns=campaigns
    )


def _pause_buyer(network: Network, rolls: Dice) -> Network:
    buyer = rolls.choice(network.buyers)
    return _with_buyer(network, msgspec.structs.replace(buyer, status="paused"))


def _pause_publisher(network: Network, rolls: Dice) -> Network:
    one = rolls.choice(network.publishers)
    return _with_publisher(network, msgspec.structs.replace(one, status="paused"))


def _pause_campaign(network: Network, rolls: Dice) -> Network:
    campaign = rolls.choice(network.campaigns)
    return _with_campaign(network, msgspec.structs.replace(campaign, status="paused"))


def _reprice(network: Network, rolls: Dice) -> Network:
    offer = rolls.choice(network.offers)
    price = priced(offer.price, rolls.randrange(80, 126))
    return _with_offer(network, msgspec.structs.replace(offer, price=price))


def _shift_hours(network: Network, rolls: Dice) -> Network:
    """An offer opens later and closes earlier on every day."""
    offer = rolls.choice([one for one in network.offers if one.hours is not None])
    assert offer.hours is not None
    minutes = rolls.choice((-60, -30, 30, 60))
    spans = tuple(
        msgspec.structs.replace(
            span, closes_minute=min(max(span.closes_minute + minutes, span.opens_minute + 60), LATEST_CLOSING)
        )
        for span in offer.hours.spans
    )
    changed: Hours = msgspec.structs.replace(offer.hours, spans=spans)
    return _with_offer(network, msgspec.structs.replace(offer, hours=changed))


def _limit_offer(network: Network, rolls: Dice) -> Network:
    offer = rolls.choice([one for one in network.offers if one.limits != Limits()])
    return _with_offer(network, msgspec.structs.replace(offer, limits=_moved(offer.limits, rolls)))


def _limit_buyer(network: Network, rolls: Dice) -> Network:
    buyer = rolls.choice([one for one in network.buyers if one.limits != Limits()])
    return _with_buyer(network, msgspec.structs.replace(buyer, limits=_moved(buyer.limits, rolls)))


def _limit_publisher(network: Network, rolls: Dice) -> Network:
    one = rolls.choice(network.publishers)
    return _with_publisher(network, msgspec.structs.replace(one, limits=_moved(one.limits, rolls)))


def _limit_campaign(network: Network, rolls: Dice) -> Network:
    one = rolls.choice([campaign for campaign in network.campaigns if campaign.limits != Limits()])
    return _with_campaign(network, msgspec.structs.replace(one, limits=_moved(one.limits, rolls)))


def _limit_credit(network: Network, rolls: Dice) -> Network:
    buyer = rolls.choice(network.buyers)
    credit = _times(buyer.credit_limit, rolls.choice((70, 90, 110, 140)))
    return _with_buyer(network, msgspec.structs.replace(buyer, credit_limit=credit))


def _moved(limits: Limits, rolls: Dice) -> Limits:
    """The same limits, tighter or wider, often below what is used already."""
    factor = rolls.choice((30, 60, 90, 130, 200))
    caps = tuple(
        msgspec.structs.replace(cap, limit=max(LOWEST_LIMIT, cap.limit * factor // PER_CENT))
        if isinstance(cap, CountCap)
        else msgspec.structs.replace(cap, limit=_times(cap.limit, factor))
        for cap in limits.caps
    )
    held = limits.concurrency
    concurrency = None if held is None else max(LOWEST_LIMIT, held * factor // PER_CENT)
    return msgspec.structs.replace(limits, caps=caps, concurrency=concurrency)


def _with_offer(network: Network, changed: Offer) -> Network:
    offers = tuple(changed if one.id == changed.id else one for one in network.offers)
    return msgspec.structs.replace(network, offers=offers)


def _with_buyer(network: Network, changed: Buyer) -> Network:
    buyers = tuple(changed if one.id == changed.id else one for one in network.buyers)
    return msgspec.structs.replace(network, buyers=buyers)


def _with_publisher(network: Network, changed: Publisher) -> Network:
    publishers = tuple(changed if one.id == changed.id else one for one in network.publishers)
    return msgspec.structs.replace(network, publishers=publishers)


def _with_campaign(network: Network, changed: Campaign) -> Network:
    campaigns = tuple(changed if one.id == changed.id else one for one in network.campaigns)
    return msgspec.structs.replace(network, campaigns=campaigns)


_CHANGES: Final[tuple[Callable[[Network, Dice], Network], ...]] = (
    _pause_offer,
    _pause_buyer,
    _pause_publisher,
    _pause_campaign,
    _resume_all,
    _resume_all,
    _resume_all,
    _resume_all,
    _reprice,
    _reprice,
    _shift_hours,
    _limit_offer,
    _limit_offer,
    _limit_buyer,
    _limit_publisher,
    _limit_campaign,
    _limit_credit,
)
