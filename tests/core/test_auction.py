"""The order inside a tier: masks, exact chances, and rankings against sorting."""

from collections import Counter
from itertools import chain, islice, repeat

from hypothesis import given
from hypothesis import strategies as st

from callmatrix.core.auction import (
    COMPARED_CALL_S,
    MAX_ENUMERATED,
    MAX_REJECTIONS,
    NO_PRICE,
    Ladder,
    Place,
    by_price,
    by_rotation,
    chances,
    lowest,
    mask_of,
    pick,
    standing_price,
)
from callmatrix.core.money import Money
from callmatrix.core.pricing import BidPrice, FixedPrice, MinutePrice, Tier, TieredPrice

POSITIONS = st.lists(st.integers(0, 300), max_size=60, unique=True)


@given(POSITIONS, st.integers(0, 70))
def test_the_lowest_bits_are_the_first_of_the_sorted_positions(positions: list[int], limit: int) -> None:
    assert lowest(mask_of(positions), limit) == sorted(positions)[:limit]


@given(st.integers(0, 2**53), st.integers(1, 10))
def test_chances_repeat_for_the_same_draw_and_differ_by_attempt(draw: int, attempt: int) -> None:
    first = list(islice(chances(draw, attempt), 5))
    assert first == list(islice(chances(draw, attempt), 5))
    assert first != list(islice(chances(draw, attempt + 1), 5))
    assert all(0 <= chance < 2**64 for chance in first)


def ladder(weights: list[int], prices: list[int] | None = None) -> Ladder:
    count = len(weights)
    return Ladder(priorities=[1] * count, prices=prices or [0] * count, weights=weights)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.data())
def test_every_ticket_belongs_to_one_offer_in_proportion_to_its_weight(
    weights: list[int], data: st.DataObject
) -> None:
    among = data.draw(st.lists(st.integers(0, len(weights) - 1), min_size=1, unique=True))
    total = sum(weights[place] for place in among)
    won = Counter(
        pick(ladder(weights), mask_of(among), span=(0, len(weights)), chance=iter((ticket,)))[0]
        for ticket in range(total)
    )
    assert won == {place: weights[place] for place in among}


def test_in_a_large_tier_tickets_of_others_are_put_back_and_the_proportions_stay() -> None:
    weights = [1 + place % 3 for place in range(4 * MAX_ENUMERATED)]
    among = range(1, len(weights), 2)
    crowd = ladder(weights)
    span = (0, len(weights))
    fallback = sum(weights[place] for place in among) - 1
    rejected = Counter[int]()
    for ticket in range(sum(weights)):
        # A ticket of an offer that is not among them is drawn again until the last way out.
        chance = chain(repeat(ticket, MAX_REJECTIONS), (fallback,))
        position, drawn = pick(crowd, mask_of(tuple(among)), span=span, chance=chance)
        if drawn == ticket + 1 and crowd.cumulated[position] <= ticket < crowd.cumulated[position + 1]:
            rejected[position] += 1
        else:
            assert position == among[-1]
    assert rejected == {place: weights[place] for place in among}


@given(
    prices=st.lists(st.integers(0, 5), min_size=1, max_size=30),
    bids=st.dictionaries(st.integers(0, 29), st.integers(0, 7), max_size=6),
    left_out=POSITIONS,
    limit=st.integers(1, 25),
    draw=st.integers(0, 2**53),
)
def test_a_ranking_by_price_is_the_sorted_one_but_for_who_is_first_among_equals(
    prices: list[int], bids: dict[int, int], left_out: list[int], limit: int, draw: int
) -> None:
    prices = sorted(prices, reverse=True)
    tier = ((1 << len(prices)) - 1) & ~mask_of(left_out)
    bids = {place: amount for place, amount in bids.items() if place < len(prices)}
    places = by_price(
        ladder([1] * len(prices), prices), tier, bids=bids, chance=chances(draw, 1), limit=limit
    )
    asked = {place: bids.get(place, prices[place]) for place in lowest(tier, len(prices))}
    expected = sorted(asked, key=lambda place: (-asked[place], place))
    assert [place.price for place in places] == [asked[place] for place in expected][:limit]
    if expected:
        winner = places[0].position
        equals = [place for place in expected if asked[place] == asked[expected[0]]]
        assert winner in equals
        assert (places[0].ticket > 0) == (len(equals) > 1)
        rest = [place for place in expected if place != winner]
        assert [place.position for place in places[1:]] == rest[: limit - 1]


@given(st.lists(st.none() | st.integers(0, 40), max_size=60, unique=True), POSITIONS, st.integers(1, 25))
def test_a_rotation_keeps_its_order_and_the_others_follow(
    rotation: list[int | None], eligible: list[int], limit: int
) -> None:
    crowd = ladder([1] * 301)
    listed = [place for place in rotation if place in eligible]
    expected = [*listed, *sorted(set(eligible).difference(listed))]
    places = by_rotation(crowd, mask_of(eligible), rotation=rotation, limit=limit)
    assert places == [Place(position=place, price=0) for place in expected[:limit]]


def test_prices_of_different_kinds_are_compared_by_a_call_of_ten_minutes() -> None:
    dollar = Money(1_000_000)
    tiers = TieredPrice(
        tiers=(
            Tier(from_s=30, amount=dollar),
            Tier(from_s=COMPARED_CALL_S, amount=Money(9_000_000)),
            Tier(from_s=COMPARED_CALL_S + 1, amount=Money(50_000_000)),
        )
    )
    assert standing_price(FixedPrice(amount=dollar, after_s=3_000)) == dollar
    assert standing_price(tiers) == Money(9_000_000)
    assert standing_price(TieredPrice(tiers=tiers.tiers[2:])) == Money(50_000_000)
    assert standing_price(MinutePrice(rate=dollar)) == Money(10_000_000)
    assert standing_price(MinutePrice(rate=dollar, after_s=630)) == Money(11_000_000)
    assert standing_price(BidPrice()) is None
    assert NO_PRICE < 0
