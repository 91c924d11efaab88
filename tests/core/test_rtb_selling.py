"""What we bid by the plan's own decision, never more than the margin floor leaves; the call that follows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from call_scenes import NOON, Scene, claimed, kinds, only
from hypothesis import given
from hypothesis import strategies as st

import make
from callmatrix.core.auction import Bid
from callmatrix.core.call import events as ev
from callmatrix.core.call.commands import Connect, Reject, Reserve, Settle
from callmatrix.core.campaign import (
    Bidder,
    BidFixed,
    BidLess,
    BidPricing,
    BidShare,
    Endpoint,
    MarginFloor,
    NativeFormat,
)
from callmatrix.core.caps import Claim, Owner
from callmatrix.core.ids import BidId, EndpointId, NumberId, attempt_id
from callmatrix.core.money import ZERO, Money
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import (
    BidPrice,
    DuplicateRule,
    FixedPrice,
    PastCall,
    PublisherTerms,
    SharePayout,
    below_margin,
    estimate,
)
from callmatrix.core.routing import Asked, Given, Looked, Shut
from callmatrix.core.rtb import (
    AskFirst,
    BidRequest,
    NotSold,
    Priced,
    RtbRefused,
    SoldBid,
    endpoint_warnings,
    facts_of_request,
    geo_of_request,
    has_room,
    lead_of_request,
    sell,
    sold_terms,
    unfit,
)
from callmatrix.core.rules import Leaf

AT = datetime(2026, 11, 20, 20, tzinfo=UTC)
CALLER = "+14155550199"
REQUEST = BidRequest(caller=CALLER, zip="94105", fields={"zip": "94105", "age": "44"})


def endpoint(**changes: Any) -> Endpoint:
    given = {
        "id": EndpointId("rtb_1"),
        "name": "Resale",
        "campaign_id": make.CAMPAIGN,
        "publisher_id": make.PUBLISHER,
        "numbers": (NumberId("num_2"),),
        "price": BidShare(share_bps=7_000),
    }
    return Endpoint(**{**given, **changes})


def given_for(plan: CompiledPlan, request: BidRequest = REQUEST, **changes: Any) -> Given:
    facts = facts_of_request(request, endpoint=endpoint(), dialed="+18885550102", at=AT)
    tariff = plan.tariff_of(make.CONNECTION)
    return Given(**{"facts": facts, "looked": Looked(), "at": AT, "draw": 3, "tariff": tariff, **changes})


def make_bidder() -> Bidder:
    return Bidder(format=NativeFormat(), ping_url="https://bids.example.com/ping")


def make_bid(amount: str, **changes: Any) -> Bid:
    return Bid(**{"offer_id": "off_1", "amount": make.usd(amount), **changes})


def asked() -> Asked:
    return Asked(offer_id="off_1")


def bid(asked: Endpoint, plan: CompiledPlan | None = None, **changes: Any) -> Any:
    plan = plan or make.plan(make.offer(1), make.offer(2))
    floor = changes.pop("floor", None)
    return sell(asked, plan, given_for(plan, **changes), floor=floor)


def amount(found: Any) -> str:
    assert isinstance(found, Priced), found
    return str(found.amount)


# --- the price -----------------------------------------------------------------------------------------


def test_the_bid_is_a_share_of_what_the_best_offer_pays_or_that_less_an_amount_or_fixed() -> None:
    assert amount(bid(endpoint())) == "20.30"
    assert amount(bid(endpoint(price=BidLess(amount=make.usd("4"))))) == "25.00"
    assert amount(bid(endpoint(price=BidFixed(amount=make.usd("11.11"))))) == "11.11"
    assert bid(endpoint()).min_s == 60
    assert bid(endpoint(min_s=90)).min_s == 90


def test_a_bid_is_lowered_to_what_the_margin_floor_leaves_and_a_fixed_one_is_not_given() -> None:
    """Of 29, 40 % stay ours and 0.03 go to the carrier: 17.37 are left."""
    plan = make.plan(make.offer(1), margin_floor=MarginFloor(share_bps=4_000))
    assert amount(bid(endpoint(), plan)) == "17.37"
    assert amount(bid(endpoint(price=BidFixed(amount=make.usd("17.37"))), plan)) == "17.37"
    found = bid(endpoint(price=BidFixed(amount=make.usd("17.38"))), plan)
    assert found == RtbRefused(code="no_capacity", detail="below_margin: 1")


def test_a_fixed_bid_rests_on_an_offer_that_bears_it_though_a_dearer_tier_does_not() -> None:
    cheap = make.offer(1, price=make.fixed("10"))
    plan = make.plan(cheap, make.offer(2), plan=make.routing_plan(cheap, make.offer(2), strategy="waterfall"))
    assert bid(endpoint(price=BidFixed(amount=make.usd("12"))), plan).chosen.offer_id == "off_2"


def test_a_bid_stands_between_the_endpoints_least_and_most_and_above_the_requests_floor() -> None:
    assert amount(bid(endpoint(max_bid=make.usd("15")))) == "15.00"
    assert bid(endpoint(min_bid=make.usd("20.31"))).code == "below_min_bid"
    assert bid(endpoint(), floor=make.usd("20.31")).code == "below_floor"
    assert amount(bid(endpoint(), floor=make.usd("20.30"))) == "20.30"
    assert bid(endpoint(price=BidLess(amount=make.usd("29")))).code == "below_min_bid"


prices = st.one_of(
    st.builds(BidShare, share_bps=st.integers(0, 10_000)),
    st.builds(BidLess, amount=st.builds(Money, st.integers(0, 40_000_000))),
    st.builds(BidFixed, amount=st.builds(Money, st.integers(0, 40_000_000))),
)
floors = st.builds(
    MarginFloor,
    amount=st.builds(Money, st.integers(0, 20_000_000)),
    share_bps=st.integers(0, 10_000),
)


@given(price=prices, floor=floors, revenue=st.integers(1, 40_000_000), min_s=st.integers(0, 200))
def test_no_bid_leaves_less_than_the_margin_floor(
    price: BidPricing, floor: MarginFloor, revenue: int, min_s: int
) -> None:
    offer = make.offer(1, price=FixedPrice(amount=Money(revenue), after_s=60))
    plan = make.plan(offer, margin_floor=floor)
    found = bid(endpoint(price=price, min_s=min_s), plan)
    if isinstance(found, RtbRefused):
        return
    assert found.amount > ZERO
    terms = sold_terms(found.amount, min_s=found.min_s, plan=plan, publisher_id=make.PUBLISHER)
    left = estimate(offer.price, terms=terms, tariff=plan.tariff_of(make.CONNECTION))
    assert below_margin(left, floor=floor.amount, floor_bps=floor.share_bps) is None


def test_live_bids_are_asked_for_first_and_then_priced() -> None:
    live = make.offer(1, price=BidPrice(after_s=30), bidder=make_bidder())
    plan = make.plan(live)
    assert bid(endpoint(), plan, may_ask=True) == AskFirst(offer_ids=("off_1",))
    won = make_bid("40")
    found = bid(endpoint(), plan, bids=(won,))
    assert (amount(found), found.min_s, found.chosen.won) == ("28.00", 30, won)
    assert bid(endpoint(), plan).code == "no_bid"


# --- refusals ------------------------------------------------------------------------------------------


def test_a_request_is_refused_for_what_is_missing_whatever_the_plan_says() -> None:
    asked = endpoint(required_fields=("zip", "age"))
    assert unfit(asked, REQUEST) is None
    assert unfit(endpoint(status="paused"), REQUEST) == RtbRefused(
        code="disabled", detail="The endpoint is paused"
    )
    assert unfit(asked, BidRequest(fields={"zip": "94105"})) == RtbRefused(code="caller_required")
    assert unfit(asked, BidRequest(unread="too short")) == RtbRefused(
        code="caller_invalid", detail="too short"
    )
    lacking = BidRequest(caller=CALLER, fields={"zip": "94105"})
    assert unfit(asked, lacking) == RtbRefused(code="field_missing", detail="age")
    assert unfit(endpoint(require_caller_id=False), BidRequest()) is None


def test_the_last_filter_that_took_an_offer_away_is_what_the_seller_is_told() -> None:
    texas = Leaf(subject="caller_state", operator="equal", values=("TX",))
    plan = make.plan(make.offer(1, rule=texas))
    assert bid(endpoint(), plan) == RtbRefused(code="no_match", detail="rule_failed: 1")
    both = make.plan(make.offer(1, rule=texas), make.offer(2))
    full = Looked(shut=(Shut(code="cap_full", mask="2"),))
    assert bid(endpoint(), both, looked=full) == RtbRefused(
        code="no_capacity", detail="rule_failed: 1, cap_full: 1"
    )


def test_a_caller_for_whom_the_publisher_would_not_be_paid_gets_no_bid() -> None:
    past = PastCall(
        call_id="call_0",
        campaign_id=make.CAMPAIGN,
        connected_at=AT - timedelta(days=1),
        offer_id="off_1",
        buyer_id="buy_1",
        publisher_id=make.PUBLISHER,
        paid_at=AT - timedelta(days=1),
        converted_at=AT - timedelta(days=1),
    )
    looked = Looked(history=(past,))
    rule = DuplicateRule(window_days=30, scope="campaign", action="unpaid")
    terms = PublisherTerms(payout=SharePayout(share_bps=5_000), duplicates=rule)
    unpaid = make.plan(make.offer(1), publishers=(make.publisher(terms=terms),))
    assert bid(endpoint(), unpaid, looked=looked).code == "duplicate"
    refused = make.plan(make.offer(1, duplicates=msgspec.structs.replace(rule, action="refuse")))
    assert bid(endpoint(), refused, looked=looked).code == "duplicate"


@given(
    room=st.integers(0, 50),
    open_bids=st.integers(0, 500),
    bids=st.integers(0, 10_000),
    calls=st.integers(0, 99),
)
def test_a_soft_hold_lets_no_more_bids_stand_than_bring_the_calls_that_fit(
    room: int, open_bids: int, bids: int, calls: int
) -> None:
    stands = has_room(room=room, open_bids=open_bids, bids=bids, calls=calls)
    assert has_room(room=None, open_bids=open_bids, bids=bids, calls=calls)
    if stands:
        expected = (open_bids + 1) * (min(calls, bids) + 1) / (bids + 1)
        assert expected <= room
        assert has_room(room=room + 1, open_bids=open_bids, bids=bids, calls=calls)
    if bids == 0:
        assert stands == (open_bids < room)


def test_somebody_should_know_where_a_bid_is_owed_and_a_buyer_may_owe_nothing() -> None:
    plan = make.plan(
        make.offer(1), make.offer(2, converts_on="postback"), make.offer(3, price=make.fixed("9", after_s=30))
    )
    assert [(one.field, one.problem) for one in endpoint_warnings(endpoint(min_s=45), plan)] == [
        ("min_s", "A bid is owed after 45 s, and off_1 owes nothing before 60 s"),
        ("min_s", "A bid is owed after its seconds, and off_2 owes nothing before it says so"),
    ]
    assert endpoint_warnings(endpoint(), make.plan(make.offer(1))) == ()


def test_somebody_should_know_what_sellers_need_not_send_and_that_nobody_is_asked() -> None:
    needs = make.offer(1, required_fields=("zip", "age"))
    plan = make.plan(needs, plan=make.routing_plan(needs, strategy="weighted"))
    found = endpoint_warnings(endpoint(required_fields=("zip",), pings=True), plan)
    assert [(one.field, one.problem) for one in found] == [
        ("required_fields", "off_1 needs age, which a request may lack"),
        ("pings", "The campaign's strategy is weighted, which asks no bidders"),
    ]


# --- what bidders are told -----------------------------------------------------------------------------


def test_bidders_get_the_number_only_where_the_seller_exposes_it_and_never_inside_a_field() -> None:
    request = msgspec.structs.replace(REQUEST, fields=REQUEST.fields | {"note": "call 415-555-0199"})
    facts = facts_of_request(request, endpoint=endpoint(), dialed="+18885550102", at=AT)

    def told(request: BidRequest) -> Any:
        asked = endpoint(shared_fields=("age", "note"))
        return lead_of_request(request, lead_id="call_1", endpoint=asked, vertical="x", facts=facts)

    hidden, shown = told(request), told(msgspec.structs.replace(request, exposed=True))
    assert (hidden.number, hidden.fields) == (None, REQUEST.fields)
    assert (shown.number, shown.fields) == (CALLER, request.fields)
    assert (hidden.shared, hidden.state, hidden.zip) == (("age", "note"), "CA", "94105")


def test_a_zip_that_exists_outranks_the_state_that_is_named_and_that_the_area_code() -> None:
    assert geo_of_request(CALLER, "10001", "TX").state == "NY"
    assert geo_of_request(CALLER, "00000", "TX").state == "TX"
    assert geo_of_request(CALLER, None, None).state == "CA"


# --- the call that follows -----------------------------------------------------------------------------


def sold(**changes: Any) -> SoldBid:
    given = {
        "bid_id": BidId("bid_1"),
        "endpoint_id": EndpointId("rtb_1"),
        "amount": make.usd("20.30"),
        "min_s": 30,
        "zip": "10001",
        "fields": {"zip": "10001"},
    }
    return SoldBid(**{**given, **changes})


def held(number: int = 2) -> Claim:
    offer = make.offer(number)
    return Claim(
        attempt_id=make.attempt(1),
        call_id=make.call().id,
        campaign_id=make.CAMPAIGN,
        expires_at=NOON + timedelta(seconds=55),
        offer_id=offer.id,
        buyer_id=offer.buyer_id,
        publisher_id=make.PUBLISHER,
        revenue_max=make.usd("28"),
        payout_max=make.usd("20.30"),
    )


def test_a_sold_call_pays_its_bid_after_the_bids_seconds_whatever_the_publishers_terms_say() -> None:
    for seconds, booked in (
        (29, {}),
        (30, {"payout": "20.30"}),
        (60, {"revenue": "29.00", "payout": "20.30"}),
    ):
        scene = Scene(make.plan(make.offer(1), make.offer(2)))
        scene.arrives(sold=sold())
        scene.dials()
        scene.answers()
        scene.talks(seconds, ended_by="caller", caller_gone=True)
        scene.ends()
        assert {name: told for name, told in scene.booked.items() if name != "cost"} == booked
        assert scene.replayed()[0] == scene.call


def test_a_sold_call_goes_to_no_offer_that_its_bid_leaves_too_little_of() -> None:
    """28 − 20.30 − 0.03 is under 8.00: the second offer cannot bear the bid, the first can."""
    floor = MarginFloor(amount=make.usd("8"))
    scene = Scene(make.plan(make.offer(1), make.offer(2), margin_floor=floor))
    scene.arrives(sold=sold())
    assert claimed(scene.looks()) == "off_1"
    scene.granted()
    scene.leg_ends("busy")
    scene.looks()
    assert (scene.offers, scene.notes[-3]) == (["off_1"], "nobody_eligible")


def test_what_the_seller_said_of_the_caller_is_what_offers_are_matched_by() -> None:
    new_york = Leaf(subject="caller_state", operator="equal", values=("NY",))
    needs = make.offer(1, rule=new_york, required_fields=("age",))
    plan = make.plan(needs, make.offer(2))
    scene = Scene(plan)
    scene.arrives(sold=sold(fields={"zip": "10001", "age": "44"}))
    assert claimed(scene.looks()) == "off_1"
    assert scene.call.tags == {"zip": "10001", "age": "44"}
    without = Scene(plan)
    without.arrives(sold=sold())
    assert claimed(without.looks()) == "off_2"


def test_a_call_that_no_bid_sold_is_refused_with_the_reason() -> None:
    scene = Scene()
    orders = scene.arrives(sold=NotSold(code="rtb_expired", endpoint_id=EndpointId("rtb_1")))
    assert kinds(orders) == ["Reject"]
    assert only(orders, Reject).reason == "rejected"
    assert (scene.call.blocked, scene.call.end_reason) == ("rtb_expired", "rtb_expired")


def test_the_offer_that_is_held_gets_the_call_though_its_limits_are_full_and_others_pay_more() -> None:
    scene = Scene(make.plan(make.offer(1), make.offer(2)))
    scene.arrives(sold=sold(held=held()))
    full = (Shut(code="concurrency_full", mask="2"), Shut(code="no_funds", mask="2"))
    reserve = only(scene.looks(shut=full), Reserve)
    assert reserve.claim == held()
    assert only(scene.granted(), Connect).destination == make.offer(2).destination
    scene.answers()
    scene.talks(70, ended_by="caller", caller_gone=True)
    scene.ends()
    assert scene.settled == [make.attempt(1)]
    assert scene.booked["payout"] == "20.30"


def test_what_was_held_in_vain_is_given_back_and_the_call_goes_to_another() -> None:
    scene = Scene(make.plan(make.offer(1), make.offer(2)))
    scene.arrives(sold=sold(held=held()))
    orders = scene.looks(shut=(Shut(code="paused", mask="2"),))
    assert only(orders, Settle).settlement.attempt_id == make.attempt(1)
    assert claimed(orders) == "off_1"
    assert only(orders, Reserve).claim.attempt_id == attempt_id(make.call().id, 2)
    assert [attempt.state for attempt in scene.call.attempts] == ["refused", "reserving"]


def test_a_hold_that_lapsed_costs_the_call_no_more_than_one_refused_claim() -> None:
    scene = Scene(make.plan(make.offer(1), make.offer(2)))
    scene.arrives(sold=sold(held=held()))
    scene.looks()
    owner = Owner(kind="account", id=make.ACCOUNT)
    scene.send(ev.CapFull(at=scene.now, attempt_id=scene.attempt, code="closed", owner=owner))
    assert claimed(scene.looks()) == "off_1"


def test_a_sold_call_that_is_never_routed_gives_back_what_is_held() -> None:
    for changes in ({"campaign_open": False}, {"blocked_by": "blk_1"}, {"failed_safe": True}):
        scene = Scene(make.plan(make.offer(1), make.offer(2)))
        orders = scene.arrives(sold=sold(held=held()), **changes)
        assert only(orders, Settle).settlement.attempt_id == make.attempt(1), changes
    hung_up = Scene(make.plan(make.offer(1), make.offer(2)))
    hung_up.arrives(sold=sold(held=held()))
    hung_up.ends()
    assert hung_up.settled == [make.attempt(1)]


def test_the_bids_of_the_auction_that_priced_a_bid_are_used_by_its_call_and_nobody_is_asked_again() -> None:
    live = make.offer(1, price=BidPrice(after_s=30), bidder=make_bidder())
    scene = Scene(make.plan(live, make.offer(2)))
    won = make_bid("40", expires_at=NOON + timedelta(seconds=60))
    scene.arrives(sold=sold(bids=(won,), asked=(asked(),), rounds=1))
    assert claimed(scene.looks()) == "off_1"
    assert scene.call.attempts[0].bid == make.usd("40")


def test_a_bid_of_ours_that_has_expired_is_asked_for_again_in_a_round_of_its_own() -> None:
    live = make.offer(1, price=BidPrice(after_s=30), bidder=make_bidder())
    scene = Scene(make.plan(live))
    scene.arrives(sold=sold(bids=(make_bid("40", expires_at=NOON),), asked=(asked(),), rounds=1))
    assert kinds(scene.looks()) == ["Ping"]
    assert scene.call.auctions == 2
