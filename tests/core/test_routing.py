"""Routing by example: rules 4 to 8 and 18, filters, hours."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from routing_plans import (
    AT,
    PUBLISHER,
    asked,
    dollars,
    entry,
    facts,
    fixed,
    names,
    offer,
    order,
    past,
    plan,
    publisher,
    refusals,
    shut,
    winner,
)

from callmatrix.core.auction import Bid
from callmatrix.core.campaign import (
    FallbackOffer,
    Geography,
    MarginFloor,
)
from callmatrix.core.hours import Hours, Span, is_open
from callmatrix.core.ids import OfferId
from callmatrix.core.money import ZERO
from callmatrix.core.pricing import (
    BidPrice,
    DuplicateRule,
    MinutePrice,
    PublisherTerms,
    SharePayout,
    Tariff,
)
from callmatrix.core.routing import Explained, Looked, Ranked, decide, explain, why_not
from callmatrix.core.rules import Leaf

# --- rule 4: order of choice -----------------------------------------------------------------------------


def test_a_tier_outranks_any_price() -> None:
    compiled = plan(
        "auction",
        offer("dear", price=fixed(90)),
        offer("near", price=fixed(5)),
        entries=(entry("dear", priority=2), entry("near", priority=1)),
    )
    assert winner(compiled, asked()) == "near"
    assert refusals(compiled, asked()) == {"near": "", "dear": "lower_tier"}


def test_the_next_tier_is_used_when_the_first_has_no_eligible_offer_left() -> None:
    compiled = plan(
        "auction",
        offer("first"),
        offer("second"),
        entries=(entry("first", priority=1), entry("second", priority=2)),
    )
    assert winner(compiled, asked(tried=("off_first",), attempt_number=2)) == "second"


def test_the_highest_price_wins_an_auction_and_the_others_are_outbid_in_order() -> None:
    compiled = plan(
        "auction", offer("low", price=fixed(5)), offer("high", price=fixed(20)), offer("mid", price=fixed(9))
    )
    assert order(compiled, asked()) == ["high", "mid", "low"]
    assert refusals(compiled, asked()) == {"high": "", "mid": "outbid", "low": "outbid"}


def test_an_entry_overrides_its_offers_price() -> None:
    compiled = plan(
        "auction",
        offer("a", price=fixed(5)),
        offer("b", price=fixed(20)),
        entries=(entry("a", price=fixed(30)), entry("b")),
    )
    chosen = decide(compiled, asked()).chosen
    assert chosen is not None
    assert (chosen.offer_id, chosen.price, chosen.revenue_max) == ("off_a", fixed(30), dollars(30))


def test_a_live_bid_competes_with_standing_prices() -> None:
    compiled = plan("auction", offer("standing", price=fixed(20)), offer("live", price=BidPrice()))
    lower, higher = (Bid(offer_id=OfferId("off_live"), amount=dollars(n)) for n in (19, 21))
    assert order(compiled, asked(bids=(lower,))) == ["standing", "live"]
    assert order(compiled, asked(bids=(higher,))) == ["live", "standing"]
    chosen = decide(compiled, asked(bids=(higher,))).chosen
    assert chosen is not None
    assert (chosen.bid, chosen.revenue_max) == (dollars(21), dollars(21))


def test_an_offer_priced_by_bids_needs_a_bid_that_reaches_its_floor() -> None:
    compiled = plan("auction", offer("live", price=BidPrice(floor=dollars(8))))
    under = asked(bids=(Bid(offer_id=OfferId("off_live"), amount=dollars(7)),))
    decision = decide(compiled, under)
    assert decision.chosen is None
    assert explain(compiled, decision.trace, given=under) == (
        Explained(
            offer_id=OfferId("off_live"),
            taken=False,
            code="below_floor",
            values={"bid": "7.00", "floor": "8.00"},
        ),
    )
    assert refusals(compiled, asked()) == {"live": "no_price"}


def test_equal_prices_are_broken_by_a_weight_draw_and_the_trace_says_so() -> None:
    compiled = plan(
        "auction",
        offer("a"),
        offer("b"),
        offer("cheap", price=fixed(1)),
        entries=(entry("a", weight=300), entry("b", weight=100), entry("cheap", weight=10_000)),
    )
    won = Counter(winner(compiled, asked(draw=draw)) for draw in range(4_000))
    assert set(won) == {"a", "b"}
    assert won["a"] == pytest.approx(3_000, rel=0.05)
    trace = decide(compiled, asked(draw=3)).trace
    assert trace.ranked[0].draw > 0
    assert [one.draw for one in trace.ranked[1:]] == [0, 0]


# --- rules 5 to 7: strategies ----------------------------------------------------------------------------


def test_weights_renormalise_over_the_eligible_offers() -> None:
    compiled = plan(
        "weighted",
        offer("a"),
        offer("b"),
        offer("c"),
        entries=(entry("a", weight=800), entry("b", weight=150), entry("c", weight=50)),
    )
    full = Counter(winner(compiled, asked(draw=draw)) for draw in range(4_000))
    assert full["a"] == pytest.approx(3_200, rel=0.05)
    looked = Looked(shut=(shut(compiled, "cap_full", "a"),))
    rest = Counter(winner(compiled, asked(draw=draw, looked=looked)) for draw in range(4_000))
    assert set(rest) == {"b", "c"}
    assert rest["b"] == pytest.approx(3_000, rel=0.05)


def test_later_attempts_redraw_without_replacement() -> None:
    compiled = plan("weighted", *(offer(name) for name in "abcd"))
    for draw in range(50):
        tried: tuple[OfferId, ...] = ()
        for number in range(1, 5):
            chosen = decide(compiled, asked(draw=draw, tried=tried, attempt_number=number)).chosen
            assert chosen is not None
            tried = (*tried, chosen.offer_id)
        assert sorted(names(tried)) == ["a", "b", "c", "d"]


def test_round_robin_takes_the_least_recently_reserved_and_new_offers_join_the_tail() -> None:
    compiled = plan("round_robin", *(offer(name) for name in "abcde"))
    looked = Looked(rotation=("off_d", "off_gone", "off_a", "off_c"))
    assert order(compiled, asked(looked=looked)) == ["d", "a", "c", "b", "e"]
    shut_d = replace(looked, shut=(shut(compiled, "paused", "d"),))
    assert winner(compiled, asked(looked=shut_d)) == "a"


def test_a_waterfall_follows_priority_whatever_the_price() -> None:
    compiled = plan(
        "waterfall",
        offer("a", price=fixed(1)),
        offer("b", price=fixed(50)),
        offer("c", price=fixed(99)),
        entries=(entry("a", priority=1), entry("b", priority=2), entry("c", priority=3)),
    )
    seen: list[str] = []
    for number in range(1, 5):
        tried = tuple(OfferId(f"off_{name}") for name in seen)
        found = winner(compiled, asked(tried=tried, attempt_number=number))
        if found is not None:
            seen.append(found)
    assert seen == ["a", "b", "c"]


# --- rule 8: margin --------------------------------------------------------------------------------------


def test_an_offer_that_leaves_less_than_the_margin_floor_is_refused_with_the_sums() -> None:
    compiled = plan(
        "auction",
        offer("thin", price=fixed(22)),
        offer("fat", price=fixed(40)),
        publishers=(publisher(fixed(20)),),
        margin_floor=MarginFloor(amount=dollars(5)),
    )
    question = asked(facts=facts(publisher_id=PUBLISHER), tried=("off_fat",))
    trace = decide(compiled, question).trace
    assert why_not(compiled, trace, given=question, offer_id=OfferId("off_thin")) == Explained(
        offer_id=OfferId("off_thin"),
        taken=False,
        code="below_margin",
        values={"revenue": "22.00", "payout": "20.00", "cost": "0.00", "margin": "2.00", "floor": "5.00"},
    )
    assert winner(compiled, asked(tried=("off_fat",))) == "thin"


def test_carrier_cost_counts_against_the_margin_and_bids_are_judged_too() -> None:
    compiled = plan(
        "auction",
        offer("live", price=BidPrice()),
        publishers=(publisher(fixed(20)),),
    )
    tariff = Tariff(inbound_per_minute=dollars(1), outbound_per_minute=dollars(1))
    bid = Bid(offer_id=OfferId("off_live"), amount=dollars(21))
    question = asked(facts=facts(publisher_id=PUBLISHER), bids=(bid,))
    assert winner(compiled, question) == "live"
    assert refusals(compiled, replace(question, tariff=tariff)) == {"live": "below_margin"}
    assert winner(compiled, replace(question, tariff=tariff, pays_publisher=False)) == "live"


def test_the_payout_held_is_that_of_the_terms_in_force() -> None:
    compiled = plan(
        "auction",
        offer("a", price=fixed(40)),
        publishers=(publisher(fixed(20)),),
        terms=PublisherTerms(payout=SharePayout(share_bps=2_500)),
    )
    chosen = decide(compiled, asked(facts=facts(publisher_id=PUBLISHER))).chosen
    assert chosen is not None
    assert (chosen.revenue_max, chosen.payout_max) == (dollars(40), dollars(10))


def test_a_price_by_the_minute_holds_as_much_as_the_time_limit_of_offer_and_campaign_allows() -> None:
    by_minute = offer("a", price=MinutePrice(rate=dollars(1)), time_limit_s=1_200)
    for max_call_s, held in ((3_600, 20), (600, 10)):
        chosen = decide(plan("auction", by_minute, max_call_s=max_call_s), asked()).chosen
        assert chosen is not None
        assert chosen.revenue_max == dollars(held)


# --- rule 18: duplicates ---------------------------------------------------------------------------------


def test_a_duplicate_is_refused_by_the_buyer_who_had_the_caller() -> None:
    compiled = plan(
        "auction",
        offer("a", price=fixed(30)),
        offer("b", buyer="b", price=fixed(20)),
        duplicates=DuplicateRule(window_days=30, scope="buyer"),
    )
    question = asked(looked=Looked(history=(past(),)))
    assert winner(compiled, question) == "b"
    trace = decide(compiled, question).trace
    refused = why_not(compiled, trace, given=question, offer_id=OfferId("off_a"))
    assert refused == Explained(
        offer_id=OfferId("off_a"),
        taken=False,
        code="duplicate",
        values={
            "original": "call_1",
            "connected_at": "2026-02-27T15:30:00+00:00",
            "side": "revenue",
            "scope": "buyer",
            "window_days": "30",
        },
    )
    assert winner(compiled, asked(looked=Looked(history=(past(),)), facts=facts(caller=None))) == "a"
    old = past(converted_at=AT - timedelta(days=30))
    assert winner(compiled, asked(looked=Looked(history=(old,)))) == "a"


def test_a_duplicate_routed_unpaid_earns_nothing_holds_nothing_and_needs_no_margin() -> None:
    compiled = plan(
        "auction",
        offer("a", price=fixed(15)),
        publishers=(publisher(fixed(20)),),
        duplicates=DuplicateRule(window_days=30, action="unpaid"),
    )
    question = asked(looked=Looked(history=(past(),)), facts=facts(publisher_id=PUBLISHER))
    chosen = decide(compiled, question).chosen
    assert chosen is not None
    assert (chosen.earns, chosen.revenue_max, chosen.payout_max) == (False, ZERO, ZERO)


def test_a_returning_caller_goes_back_to_the_same_buyer_whatever_others_pay() -> None:
    compiled = plan(
        "auction",
        offer("a", price=fixed(5)),
        offer("b", buyer="b", price=fixed(50)),
        entries=(entry("a", priority=2), entry("b", priority=1)),
        duplicates=DuplicateRule(window_days=30, scope="campaign", action="same_buyer"),
    )
    question = asked(looked=Looked(history=(past(),)))
    decision = decide(compiled, question)
    assert decision.chosen is not None
    assert (decision.chosen.offer_id, decision.chosen.same_buyer, decision.chosen.earns) == (
        "off_a",
        True,
        False,
    )
    assert explain(compiled, decision.trace, given=question)[1] == Explained(
        offer_id=OfferId("off_b"),
        taken=False,
        code="outbid",
        values={"by": "off_a", "priority": "1", "best_priority": "2", "returned_to": "buy_a"},
        price=dollars(50),
    )
    closed = Looked(history=(past(),), shut=(shut(compiled, "closed", "a"),))
    assert winner(compiled, asked(looked=closed)) == "b"


def test_the_buyer_who_had_the_caller_last_gets_the_caller_back() -> None:
    compiled = plan(
        "auction",
        offer("a", price=fixed(50)),
        offer("b", buyer="b", price=fixed(5)),
        duplicates=DuplicateRule(window_days=30, scope="campaign", action="same_buyer"),
    )
    later = past(call_id="call_2", connected_at=AT - timedelta(days=1), offer_id="off_b", buyer_id="buy_b")
    assert winner(compiled, asked(looked=Looked(history=(past(), later)))) == "b"
    assert winner(compiled, asked(looked=Looked(history=(later, past())))) == "b"


def test_a_missing_field_is_told_before_a_duplicate() -> None:
    rule = DuplicateRule(window_days=30)
    compiled = plan("auction", offer("a", required_fields=("age",)), duplicates=rule)
    assert refusals(compiled, asked(looked=Looked(history=(past(),)))) == {"a": "field_missing"}


def test_on_the_payout_side_a_duplicate_is_routed_without_payout() -> None:
    rule = DuplicateRule(window_days=30, scope="campaign", action="unpaid")
    compiled = plan("auction", offer("a"), publishers=(publisher(fixed(12), duplicates=rule),))
    history = (past(publisher_id=PUBLISHER, paid_at=AT - timedelta(days=1)),)
    chosen = decide(
        compiled, asked(looked=Looked(history=history), facts=facts(publisher_id=PUBLISHER))
    ).chosen
    assert chosen is not None
    assert (chosen.earns, chosen.pays_publisher, chosen.payout_max) == (True, False, ZERO)


# --- other filters ---------------------------------------------------------------------------------------


def test_the_first_filter_that_removes_an_offer_is_its_refusal() -> None:
    compiled = plan(
        "auction",
        offer(
            "a", required_fields=("age",), rule=Leaf(subject="caller_state", operator="equal", values=("TX",))
        ),
        offer("b", required_fields=("age",)),
        offer("c"),
    )
    looked = Looked(shut=(shut(compiled, "no_funds", "a", "b", "c"), shut(compiled, "paused", "c")))
    question = asked(looked=looked)
    assert refusals(compiled, question) == {"a": "rule_failed", "b": "field_missing", "c": "paused"}
    trace = decide(compiled, question).trace
    assert [one.values for one in explain(compiled, trace, given=question)] == [
        {"rule_of": "offer", "subject": "caller_state", "operator": "equal", "wanted": "TX", "actual": "IL"},
        {"fields": "age"},
        {},
    ]


def test_a_text_that_is_no_number_keeps_no_bound() -> None:
    older, younger = (
        Leaf(subject="field", name="age", operator=operator, values=("18",))
        for operator in ("greater", "less")
    )
    compiled = plan("auction", offer("older", rule=older), offer("younger", rule=younger))
    for age, eligible in (("19", ["older"]), ("17.5", ["younger"]), ("18", []), ("old", []), ("", [])):
        assert order(compiled, asked(facts=facts(fields={"age": age}))) == eligible


def test_the_campaigns_geography_refuses_known_other_states_and_lets_unknown_ones_pass() -> None:
    compiled = plan("auction", offer("a"), geography=Geography(states=("TX", "OK")))
    assert refusals(compiled, asked()) == {"a": "rule_state"}
    assert winner(compiled, asked(facts=facts(caller_state=None))) == "a"
    strict = plan("auction", offer("a"), geography=Geography(states=("TX",), unknown_passes=False))
    assert winner(strict, asked(facts=facts(caller_state=None))) is None


def test_the_fallback_offer_is_the_last_tier_and_alone_when_the_attempts_are_used_up() -> None:
    compiled = plan(
        "weighted",
        offer("a"),
        offer("last", buyer="b", price=fixed(99)),
        entries=(entry("a", priority=1_000),),
        fallback=FallbackOffer(offer_id=OfferId("off_last")),
    )
    assert refusals(compiled, asked()) == {"a": "", "last": "lower_tier"}
    assert winner(compiled, asked(tried=("off_a",))) == "last"
    assert refusals(compiled, asked(fallback_only=True)) == {"last": "", "a": "tried"}


def test_hours_and_pauses_are_told_for_any_instant() -> None:
    nine_to_five = Hours(
        time_zone="America/Chicago",
        spans=tuple(Span(day=day, opens_minute=540, closes_minute=1_020) for day in range(5)),
    )
    compiled = plan(
        "auction", offer("always"), offer("day", hours=nine_to_five), offer("off", status="paused")
    )
    index = compiled.routing
    assert index.shut_at(AT) == (shut(compiled, "paused", "off"),)
    sunday = AT - timedelta(days=1)
    assert index.shut_at(sunday) == (shut(compiled, "paused", "off"), shut(compiled, "closed", "day"))


@given(st.integers(0, 60 * 24 * 800))
def test_open_masks_agree_with_the_hours_at_every_minute(minutes: int) -> None:
    at = AT + timedelta(minutes=minutes)
    mask = TIMETABLE.routing.open_mask(at)
    expected = TIMETABLE.routing.mask(
        one.id for one in TIMETABLE.routing.offers if one.hours is None or is_open(one.hours, at)
    )
    assert mask == expected


TIMETABLE = plan(
    "auction",
    offer("always"),
    offer("never", hours=Hours(time_zone="UTC", spans=())),
    *(
        offer(
            f"h{place}",
            hours=Hours(
                time_zone=zone,
                spans=tuple(
                    Span(day=d, opens_minute=60 * place, closes_minute=900 + 300 * place) for d in days
                ),
            ),
        )
        for place, (zone, days) in enumerate(
            (("America/New_York", (0, 2, 6)), ("America/Los_Angeles", (5, 6)), ("America/Phoenix", (3,)))
        )
    ),
)


def test_a_mask_of_the_current_plan_is_translated_for_a_call_pinned_to_an_older_one() -> None:
    old = plan("auction", offer("a", price=fixed(1)), offer("b", price=fixed(2)), offer("gone"))
    new = plan(
        "auction", offer("new", price=fixed(9)), offer("a", price=fixed(3)), offer("b", price=fixed(2))
    )
    assert names(new.routing.ids(0b011)) == ["new", "a"]
    assert names(old.routing.ids(old.routing.translated(0b011, new.routing))) == ["a"]


def test_the_trace_shows_the_best_twenty_of_a_large_tier() -> None:
    offers = [offer(f"{n:03}", price=fixed(n)) for n in range(100)]
    compiled = plan("auction", *offers)
    trace = decide(compiled, asked()).trace
    assert trace.ranked == tuple(
        Ranked(offer_id=OfferId(f"off_{n:03}"), priority=1, weight=100, price=dollars(n))
        for n in range(99, 79, -1)
    )
    assert trace.eligible == f"{(1 << 100) - 1:x}"


def test_a_question_about_an_offer_that_the_plan_does_not_have_has_no_answer() -> None:
    compiled = plan("auction", offer("a"))
    trace = decide(compiled, asked()).trace
    assert why_not(compiled, trace, given=asked(), offer_id=OfferId("off_other")) is None


def test_an_offer_is_refused_leads_of_a_channel_that_it_does_not_take() -> None:
    compiled = plan(
        "auction",
        offer("calls", price=fixed(12)),
        offer("forms", channels=("form",)),
        offer("both", channels=("call", "callback")),
    )
    assert refusals(compiled, asked()) == {"calls": "", "both": "outbid", "forms": "wrong_channel"}
    assert refusals(compiled, asked(channel="form")) == {
        "forms": "",
        "both": "wrong_channel",
        "calls": "wrong_channel",
    }
    callback = asked(channel="callback")
    trace = decide(compiled, callback).trace
    told = {one.offer_id: one.values for one in explain(compiled, trace, given=callback) if not one.taken}
    assert told == {
        "off_calls": {"channel": "callback", "takes": "call"},
        "off_forms": {"channel": "callback", "takes": "form"},
    }
