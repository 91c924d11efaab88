"""A routing plan compiled for decisions: offers by rank, one bit each, and a mask for every question."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

import msgspec

from callmatrix.core import auction, hours
from callmatrix.core.auction import NO_PRICE, Ladder, lowest, mask_of, standing_price
from callmatrix.core.campaign import Buyer, Campaign, Channel, Entry, FallbackOffer, Offer, Publisher
from callmatrix.core.ids import BuyerId, OfferId, PublisherId
from callmatrix.core.money import Money
from callmatrix.core.pricing import (
    BidPrice,
    DuplicateRule,
    Price,
    PublisherTerms,
    Tariff,
    below_margin,
    estimate,
    terms_of,
)
from callmatrix.core.routing.conditions import Conditions
from callmatrix.core.routing.steps import Steps
from callmatrix.core.routing.values import Ranked, RefusalCode, Shut
from callmatrix.core.rules import AllOf, Rule

FALLBACK_PRIORITY: Final = 1_001
"""The tier of the campaign's fallback offer: behind every tier of the plan."""
MAX_KEPT_MARGINS: Final = 4_096
MAX_KEPT_WEEKS: Final = 4

_K = TypeVar("_K")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WEEK: Final = timedelta(days=7)


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """The offers of one priority: positions from `start` up to `stop`, exclusive."""

    priority: int
    start: int
    stop: int
    mask: int


class Index:
    """One plan version's offers in order of rank, and the masks to choose among them.

    Position n everywhere means `offer_ids[n]`: by priority, then by what the strategy looks at first (price
    or weight), then by id. Never changed, but for answers that it remembers.
    """

    def __init__(
        self,
        *,
        version: int,
        campaign: Campaign,
        offers: Mapping[OfferId, Offer],
        buyers: Mapping[BuyerId, Buyer],
        publishers: Mapping[PublisherId, Publisher],
    ) -> None:
        entries = sorted(
            entries_of(campaign), key=lambda entry: _rank(campaign, entry, offers[entry.offer_id])
        )
        self.version = version
        self.campaign = campaign
        self.entries = tuple(entries)
        self.offers = tuple(offers[entry.offer_id] for entry in entries)
        self.offer_ids = tuple(entry.offer_id for entry in entries)
        self.buyers = buyers
        self.position_of = {offer_id: place for place, offer_id in enumerate(self.offer_ids)}
        self.every = (1 << len(entries)) - 1
        self.prices: tuple[Price, ...] = tuple(
            entry.price or offer.price for entry, offer in zip(entries, self.offers, strict=True)
        )
        self.rules = tuple(_rule(entry, offer) for entry, offer in zip(entries, self.offers, strict=True))
        self.conditions = Conditions(self.rules)
        self.tiers = _tiers(self.entries)
        self.tier_starts = tuple(tier.start for tier in self.tiers)
        self.ladder = Ladder(
            priorities=[entry.priority for entry in entries],
            prices=[_micros(price) for price in self.prices],
            weights=[entry.weight for entry in entries],
        )
        self.ranked = tuple(map(_ranked, self.entries, self.prices))
        self.without_price = mask_of(
            [n for n, price in enumerate(self.prices) if isinstance(price, BidPrice)]
        )
        self.bidding, self.simulated = self._bidders()
        fallback = campaign.fallback
        self.fallback = self.mask((fallback.offer_id,)) if isinstance(fallback, FallbackOffer) else 0
        self.behind = mask_of([n for n, e in enumerate(self.entries) if e.priority == FALLBACK_PRIORITY])
        self.requiring = _masks(
            (field, n) for n, offer in enumerate(self.offers) for field in offer.required_fields
        )
        self.of_buyer = _masks((offer.buyer_id, n) for n, offer in enumerate(self.offers))
        self._of_channel: dict[Channel, int] = _masks(
            (channel, n) for n, offer in enumerate(self.offers) for channel in offer.channels
        )
        self._unposted = mask_of(
            [
                n
                for n, offer in enumerate(self.offers)
                if offer.bidder is not None
                and offer.bidder.mode != "live"
                and not isinstance(self.prices[n], BidPrice)
            ]
        )
        self.of_duplicate_rule = self._duplicate_rules()
        self.terms = terms_by_publisher(campaign, publishers)
        self._of_hours = _masks(
            (offer.hours, n) for n, offer in enumerate(self.offers) if offer.hours is not None
        )
        self._paused = self._paused_mask()
        self._margins: dict[tuple[PublisherTerms | None, Tariff], int] = {}
        self._weeks: dict[int, Steps] = {}

    def terms_for(self, publisher_id: str | None) -> PublisherTerms | None:
        """What this publisher earns here; None without one, or for one that the plan does not know."""
        return None if publisher_id is None else self.terms.get(PublisherId(publisher_id))

    def mask(self, offer_ids: Iterable[OfferId]) -> int:
        """The mask of these offers; those that are not in the plan are left out."""
        places = map(self.position_of.get, offer_ids)
        return mask_of([place for place in places if place is not None])

    def ids(self, mask: int) -> tuple[OfferId, ...]:
        """The offers of a mask, in order of rank."""
        return tuple(self.offer_ids[n] for n in lowest(mask, mask.bit_count()))

    def without(self, channel: Channel) -> int:
        """The offers that do not take leads of a channel."""
        return self.every & ~self._of_channel.get(channel, 0)

    def unposted(self, channel: Channel) -> int:
        """The offers with a price of their own whose bidders get no form, because they are paused or on
        trial; a call needs no bidder at such a price."""
        return 0 if channel == "call" else self._unposted

    def translated(self, mask: int, current: "Index") -> int:
        """A mask of another version of this plan, for this one: the offers that both have."""
        return mask if self.offer_ids == current.offer_ids else self.mask(current.ids(mask))

    def open_mask(self, at: datetime) -> int:
        """The offers whose hours are open at an instant; exact for any instant."""
        number = (at - _EPOCH) // _WEEK
        week = self._weeks.get(number)
        if week is None:
            if len(self._weeks) >= MAX_KEPT_WEEKS:
                self._weeks.clear()
            week = self._weeks[number] = self._week(number)
        return week.at(at)

    def shut_at(self, at: datetime) -> tuple[Shut, ...]:
        """What this plan's own documents shut at an instant: pauses and hours. For the current plan only,
        since a call is pinned to neither (rule 1)."""
        found: tuple[tuple[RefusalCode, int], ...] = (
            ("paused", self._paused),
            ("closed", self.every & ~self.open_mask(at)),
        )
        return tuple(Shut(code=code, mask=f"{mask:x}") for code, mask in found if mask)

    def below_margin(self, terms: PublisherTerms | None, tariff: Tariff) -> int:
        """The offers whose standing price leaves less than the margin floor (rule 8)."""
        known = self._margins.get((terms, tariff))
        if known is None:
            if len(self._margins) >= MAX_KEPT_MARGINS:
                self._margins.clear()
            found = [
                n
                for n in lowest(self.every & ~self.without_price, len(self.offers))
                if self.margin_refusal(n, terms=terms, tariff=tariff, bid=None) is not None
            ]
            known = self._margins[terms, tariff] = mask_of(found)
        return known

    def margin_refusal(
        self, position: int, *, terms: PublisherTerms | None, tariff: Tariff, bid: Money | None
    ) -> dict[str, str] | None:
        """The compared values where an offer leaves too little, else None."""
        price = self.prices[position]
        floor = self.campaign.margin_floor
        return below_margin(
            estimate(price, terms=terms, tariff=tariff, bid=bid),
            floor=floor.amount,
            floor_bps=floor.share_bps,
        )

    def _bidders(self) -> tuple[int, int]:
        """The offers that a ping can give a price, and those whose bidders are pinged for the record."""
        if self.campaign.plan.strategy != "auction":
            return 0, 0
        modes = [
            (n, offer.bidder.mode)
            for n, offer in enumerate(self.offers)
            if offer.bidder is not None and isinstance(self.prices[n], BidPrice)
        ]
        live = mask_of([n for n, mode in modes if mode == "live"])
        return live, mask_of([n for n, mode in modes if mode == "simulate"])

    def _duplicate_rules(self) -> dict[DuplicateRule, int]:
        found = ((offer.duplicates or self.campaign.duplicates, n) for n, offer in enumerate(self.offers))
        return _masks((rule, n) for rule, n in found if rule is not None)

    def _paused_mask(self) -> int:
        return mask_of(
            [
                n
                for n, (entry, offer) in enumerate(zip(self.entries, self.offers, strict=True))
                if entry.paused or offer.status != "active" or self.buyers[offer.buyer_id].status != "active"
            ]
        )

    def _week(self, number: int) -> Steps:
        start = _EPOCH + number * _WEEK
        open_before = self.every
        changes: dict[datetime, list[int]] = defaultdict(list)
        for opening, mask in self._of_hours.items():
            if not hours.is_open(opening, start):
                open_before &= ~mask
            positions = lowest(mask, mask.bit_count())
            for instant, _ in hours.transitions(opening, start + timedelta.resolution, start + _WEEK):
                changes[instant] += positions
        return Steps(open_before, changes)


def entries_of(campaign: Campaign) -> tuple[Entry, ...]:
    """The plan's entries, and behind them the fallback offer as a tier of its own."""
    entries = campaign.plan.entries
    fallback = campaign.fallback
    if not isinstance(fallback, FallbackOffer) or any(e.offer_id == fallback.offer_id for e in entries):
        return entries
    return (*entries, Entry(offer_id=fallback.offer_id, priority=FALLBACK_PRIORITY))


def terms_by_publisher(
    campaign: Campaign, publishers: Mapping[PublisherId, Publisher]
) -> dict[PublisherId, PublisherTerms]:
    """The terms in force for each publisher."""
    own = {one.publisher_id: one.terms for one in campaign.publishers}
    return {
        publisher_id: terms_of(
            publisher=publisher.terms, campaign=campaign.terms, publisher_in_campaign=own.get(publisher_id)
        )
        for publisher_id, publisher in publishers.items()
    }


def _rank(campaign: Campaign, entry: Entry, offer: Offer) -> tuple[int, int, int, OfferId]:
    price = -_micros(entry.price or offer.price)
    by_price = campaign.plan.strategy == "auction"
    first, second = (price, -entry.weight) if by_price else (-entry.weight, price)
    return entry.priority, first, second, entry.offer_id


def _micros(price: Price) -> int:
    standing = standing_price(price)
    return NO_PRICE if standing is None else standing.micros


def _rule(entry: Entry, offer: Offer) -> Rule:
    return AllOf(rules=tuple(rule for rule in (offer.rule, entry.rule) if rule is not None))


def _ranked(entry: Entry, price: Price) -> Ranked:
    return Ranked(
        offer_id=entry.offer_id, priority=entry.priority, weight=entry.weight, price=standing_price(price)
    )


def _tiers(entries: Sequence[Entry]) -> tuple[Tier, ...]:
    sizes: dict[int, int] = defaultdict(int)
    for entry in entries:
        sizes[entry.priority] += 1
    tiers: list[Tier] = []
    start = 0
    for priority, size in sizes.items():
        stop = start + size
        tiers.append(Tier(priority=priority, start=start, stop=stop, mask=auction.between(start, stop)))
        start = stop
    return tuple(tiers)


def _masks(pairs: Iterable[tuple[_K, int]]) -> dict[_K, int]:
    places: dict[_K, list[int]] = defaultdict(list)
    for key, place in pairs:
        places[key].append(place)
    return {key: mask_of(found) for key, found in places.items()}
