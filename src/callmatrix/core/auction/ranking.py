"""The order of offers inside one tier: by adjusted price, then priority, then a weight draw (rule 4).

Offers are positions in a mask: position n is the n-th offer of a plan, and a plan numbers its offers so
that inside a tier the lowest position is the best by what is known beforehand. So "the best twenty" are the
lowest twenty bits, and nothing is sorted while a caller waits.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby
from typing import Final, assert_never

import msgspec

from callmatrix.core.money import Money, per_minute
from callmatrix.core.pricing import BidPrice, FixedPrice, MinutePrice, Price, TieredPrice

COMPARED_CALL_S: Final = 600
"""Prices of different kinds are compared by what they pay for a call of ten billable minutes."""
NO_PRICE: Final = -1
MAX_ENUMERATED: Final = 64
MAX_REJECTIONS: Final = 64

_BITS_OF_BYTE: Final = tuple(tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256))
_WORD: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A position in the order. `price` in micros, `NO_PRICE` without one; `ticket` from 1 where chance
    decided by weight, else 0."""

    position: int
    price: int
    ticket: int = 0


def standing_price(price: Price) -> Money | None:
    """What a price is ranked by: its pay for a call of `COMPARED_CALL_S`, or of as long as it asks for at
    least. None for a price that only a bid tells."""
    match price:
        case FixedPrice():
            return price.amount
        case TieredPrice():
            reached = [tier.amount for tier in price.tiers if tier.from_s <= COMPARED_CALL_S]
            return reached[-1] if reached else price.tiers[0].amount
        case MinutePrice():
            seconds = max(COMPARED_CALL_S, price.after_s, price.minimum_s)
            return per_minute(price.rate, -(-seconds // price.increment_s) * price.increment_s)
        case BidPrice():
            return None
        case _:
            assert_never(price)


# --- masks ---------------------------------------------------------------------------------------------


def lowest(mask: int, limit: int) -> list[int]:
    """The positions of the lowest set bits, ascending, at most `limit`."""
    found: list[int] = []
    if not mask:
        return found
    data = mask.to_bytes((mask.bit_length() + 7) >> 3, "little")
    for place, byte in enumerate(data):
        if byte:
            base = place << 3
            for bit in _BITS_OF_BYTE[byte]:
                found.append(base + bit)
            if len(found) >= limit:
                return found[:limit]
    return found


def mask_of(positions: Sequence[int]) -> int:
    """The mask with these bits set; linear in the highest position, however many there are."""
    if not positions:
        return 0
    data = bytearray((max(positions) >> 3) + 1)
    for position in positions:
        data[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(data, "little")


def between(start: int, stop: int) -> int:
    """The mask of the positions from `start` up to `stop`, exclusive."""
    return (1 << stop) - (1 << start)


# --- chance --------------------------------------------------------------------------------------------


def chances(draw: int, attempt_number: int) -> Iterator[int]:
    """An endless sequence of uniform 64-bit integers, the same for the same draw and attempt (splitmix64)."""
    state = (draw + attempt_number * 0xD1B54A32D192ED03) & _WORD
    while True:
        state = (state + _GOLDEN) & _WORD
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _WORD
        yield mixed ^ (mixed >> 31)


class Ladder:
    """The offers of a plan in order, with what ranking needs of them; built once, never changed.

    `prices` in micros (`NO_PRICE` where only a bid tells); `spans[n]` is the range of positions of the same
    tier and price around n.
    """

    __slots__ = ("cumulated", "prices", "spans", "weights")

    def __init__(self, *, priorities: Sequence[int], prices: Sequence[int], weights: Sequence[int]) -> None:
        self.prices = tuple(prices)
        self.weights = tuple(weights)
        self.cumulated = (0, *accumulate(weights))
        spans: list[tuple[int, int]] = []
        for _, group in groupby(zip(priorities, prices, strict=True)):
            count = sum(1 for _ in group)
            spans += [(len(spans), len(spans) + count)] * count
        self.spans = tuple(spans)


def pick(ladder: Ladder, among: int, *, span: tuple[int, int], chance: Iterator[int]) -> tuple[int, int]:
    """One of the set bits (all of which lie in `span`), with chances in proportion to their weights.

    Returns the position and the ticket drawn, from 1. A ticket of an offer that is not among them is put
    back; where that takes too long, the weights are summed over those that are. Both are exact.
    """
    start, stop = span
    if among.bit_count() > MAX_ENUMERATED:
        bottom, top = ladder.cumulated[start], ladder.cumulated[stop]
        for _ in range(MAX_REJECTIONS):
            ticket = next(chance) % (top - bottom)
            position = bisect_right(ladder.cumulated, bottom + ticket) - 1
            if among >> position & 1:
                return position, ticket + 1
    positions = lowest(among, among.bit_count())
    sums = list(accumulate(ladder.weights[position] for position in positions))
    ticket = next(chance) % sums[-1]
    return positions[bisect_right(sums, ticket)], ticket + 1


# --- rankings ------------------------------------------------------------------------------------------


def by_price(
    ladder: Ladder, tier: int, *, bids: Mapping[int, int], chance: Iterator[int], limit: int
) -> list[Place]:
    """The best of one tier's eligible offers by price: the bid where there is one, else the standing price.

    Chance by weight decides who is first among equal prices; behind, equals keep the plan's order.
    `bids` maps positions to micros; positions outside `tier` are ignored.
    """
    offered = {position: amount for position, amount in bids.items() if tier >> position & 1}
    standing = tier & ~mask_of(tuple(offered)) if offered else tier
    places = [Place(position=n, price=ladder.prices[n]) for n in lowest(standing, limit)]
    places += [Place(position=n, price=amount) for n, amount in offered.items()]
    if offered:
        places.sort(key=lambda place: (-place.price, place.position))
    if not places:
        return places
    equals = _equals(ladder, standing, offered=offered, price=places[0].price)
    if equals & (equals - 1):
        winner, ticket = _first_among(ladder, equals, offered=offered, chance=chance)
        price = places[0].price
        places = [place for place in places if place.position != winner]
        places.insert(0, Place(position=winner, price=price, ticket=ticket))
    return places[:limit]


def _equals(ladder: Ladder, standing: int, *, offered: Mapping[int, int], price: int) -> int:
    """Who shares the best price."""
    equals = mask_of([position for position, amount in offered.items() if amount == price])
    if standing:
        first = (standing & -standing).bit_length() - 1
        if ladder.prices[first] == price:
            equals |= standing & between(*ladder.spans[first])
    return equals


def _first_among(
    ladder: Ladder, equals: int, *, offered: Mapping[int, int], chance: Iterator[int]
) -> tuple[int, int]:
    first = (equals & -equals).bit_length() - 1
    last = equals.bit_length()
    span = ladder.spans[first]
    # Bidders may lie anywhere in the tier; then the draw goes over all that lies between.
    return pick(
        ladder, equals, span=(min(first, span[0]), max(last, span[1])) if offered else span, chance=chance
    )


def by_weight(
    ladder: Ladder, tier: int, *, span: tuple[int, int], chance: Iterator[int], limit: int
) -> list[Place]:
    """Chance by weight decides who is first (rule 5); behind, the plan's order. `span` is the tier's."""
    if not tier:
        return []
    winner, ticket = pick(ladder, tier, span=span, chance=chance)
    rest = lowest(tier ^ (1 << winner), limit - 1)
    return [
        Place(position=winner, price=ladder.prices[winner], ticket=ticket),
        *(Place(position=n, price=ladder.prices[n]) for n in rest),
    ]


def in_order(ladder: Ladder, tier: int, *, limit: int) -> list[Place]:
    """The plan's own order (rule 7)."""
    return [Place(position=n, price=ladder.prices[n]) for n in lowest(tier, limit)]


def by_rotation(ladder: Ladder, tier: int, *, rotation: Iterable[int | None], limit: int) -> list[Place]:
    """The least recently reserved first; who is not in the rotation stands at its tail (rule 6).

    None in the rotation is an offer that the plan does not have.
    """
    wanted = min(limit, tier.bit_count())
    data = tier.to_bytes((tier.bit_length() + 7) >> 3, "little")
    size = len(data)
    found: list[int] = []
    for position in rotation:
        if len(found) == wanted:
            break
        if position is not None and position >> 3 < size and data[position >> 3] >> (position & 7) & 1:
            found.append(position)
    if len(found) < wanted:
        found += lowest(tier & ~mask_of(found), wanted - len(found))
    return [Place(position=n, price=ladder.prices[n]) for n in found]


def with_bid(place: Place, bids: Mapping[int, int]) -> Place:
    """A place with the bid for its price, where there is one: only the auction ranks by it."""
    amount = bids.get(place.position)
    return place if amount is None else Place(position=place.position, price=amount, ticket=place.ticket)
