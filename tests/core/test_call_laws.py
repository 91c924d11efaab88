"""The machine is total: no event in any state that can be reached is without an answer."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from call_scenes import NOON, checked
from hypothesis import given, settings
from hypothesis import strategies as st

import make
from callmatrix.core.auction import Bid, PingResult
from callmatrix.core.call import Call, step
from callmatrix.core.call import events as ev
from callmatrix.core.call.commands import Book, Fetch, Ping, Post, Settle
from callmatrix.core.campaign import (
    Acceptance,
    AuctionTerms,
    Bidder,
    FallbackNumber,
    FallbackOffer,
    FallbackVoicemail,
    NativeFormat,
    PhoneDestination,
    Recording,
    StaticAbove,
)
from callmatrix.core.caps import Owner
from callmatrix.core.flow import (
    CollectNode,
    Flow,
    LookupNode,
    MenuNode,
    RouteNode,
    SpokenPrompt,
    VoicemailNode,
)
from callmatrix.core.ids import AttemptId, CallId, NumberId, OfferId
from callmatrix.core.ledger import balanced, totals_of
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import BidPrice, DuplicateRule, PastCall
from callmatrix.core.routing import Looked, Shut
from make import usd

FLOW = Flow(
    start="menu",
    nodes={
        "menu": MenuNode(
            prompt=SpokenPrompt(text="1 or 2 or 3"),
            branches={"1": "zip", "2": "crm", "3": "message"},
            no_input="buyers",
        ),
        "zip": CollectNode(
            prompt=SpokenPrompt(text="ZIP"), field="zip", type="zip", next="buyers", failed="buyers"
        ),
        "crm": LookupNode(url="https://crm.example.com", read={"tier": "tier"}, next="buyers", failed="zip"),
        "message": VoicemailNode(prompt=SpokenPrompt(text="Speak")),
        "buyers": RouteNode(),
    },
)
OFFERS = (
    make.offer(1, reroute_below_s=20, acceptance=Acceptance(), whisper="Hello."),
    make.offer(2, converts_on="postback", duplicates=DuplicateRule(window_days=3, action="unpaid")),
    make.offer(3, reroute_below_s=50),
)
BIDDING = (
    make.offer(1, reroute_below_s=20, acceptance=Acceptance()),
    make.offer(
        2,
        price=BidPrice(floor=usd("5"), after_s=60),
        bidder=Bidder(
            format=NativeFormat(), ping_url="https://a.example.com/", post_url="https://a.example.com/"
        ),
    ),
    make.offer(
        3,
        price=BidPrice(after_s=30),
        bidder=Bidder(
            format=NativeFormat(),
            ping_url="https://b.example.com/",
            post_url="https://b.example.com/",
            post_timing="before_dial",
        ),
    ),
)
PLANS = (
    make.plan(
        *BIDDING,
        auction=AuctionTerms(reserve=usd("7"), static_fallback=StaticAbove(amount=usd("20"))),
        fallback=FallbackNumber(number="+14155550186"),
    ),
    make.plan(*OFFERS, flow=FLOW, fallback=FallbackOffer(offer_id=OFFERS[2].id)),
    make.plan(*OFFERS, fallback=FallbackNumber(number="+14155550188"), recording=Recording(on=True)),
    make.plan(
        *OFFERS,
        plan=make.routing_plan(*OFFERS, strategy="round_robin", max_attempts=2),
        fallback=FallbackVoicemail(prompt="Speak"),
        closed_treatment=FallbackNumber(number="+14155550187"),
    ),
)

Fitting = Callable[[Call, AttemptId, datetime], ev.Event]
ATTEMPTS = st.sampled_from([AttemptId(f"call_1-{number}") for number in (1, 1, 2, 2, 3, 4, 9)])
DRAWS = st.integers(0, 2**53 - 1)
MS = st.none() | st.sampled_from((0, 999, 15_000, 61_000, 600_000))
ENDED_BY = st.sampled_from(("caller", "buyer", "buyer", "platform", "unknown"))
INSTANTS = st.builds(lambda s: NOON + timedelta(seconds=s), st.integers(0, 4_000))
HISTORY = st.lists(
    st.builds(
        PastCall,
        call_id=st.just(CallId("call_0")),
        campaign_id=st.just(make.CAMPAIGN),
        connected_at=st.just(NOON - timedelta(days=1)),
        offer_id=st.sampled_from([offer.id for offer in OFFERS]),
        buyer_id=st.sampled_from([offer.buyer_id for offer in OFFERS]),
        converted_at=st.sampled_from((None, NOON - timedelta(days=1))),
    ),
    max_size=1,
).map(tuple)
LEGS = st.builds(
    ev.LegEnded,
    at=INSTANTS,
    attempt_id=ATTEMPTS,
    outcome=st.sampled_from(("answered", "answered", "busy", "no_answer", "failed", "canceled")),
    leg_ms=MS,
    bridged_ms=MS,
    ended_by=ENDED_BY,
    caller_gone=st.booleans(),
    history=HISTORY,
)
MONEY = st.sampled_from((usd("0"), usd("1"), usd("14.50"), usd("29"), usd("500")))
WORLDS = st.builds(
    Looked,
    shut=st.lists(
        st.builds(
            Shut,
            code=st.sampled_from(("paused", "closed", "cap_full")),
            mask=st.sampled_from(("1", "2", "7")),
        ),
        max_size=1,
    ).map(tuple),
    rotation=st.just((OfferId("off_2"), OfferId("off_1"))),
    history=HISTORY,
)
ARRIVALS = st.builds(
    ev.Arrived,
    at=st.just(NOON),
    draw=DRAWS,
    caller=st.sampled_from((None, "+14155550199", "+14155550199")),
    dialed=st.just("+18005550100"),
    number_id=st.just(NumberId("num_1")),
    connection_id=st.just(make.CONNECTION),
    carrier_ref=st.just("CA1"),
    publisher_id=st.sampled_from((None, make.PUBLISHER)),
    campaign_open=st.sampled_from((True, True, True, False)),
    test=st.sampled_from((False, False, False, True)),
    failed_safe=st.sampled_from((False, False, False, False, False, True)),
)
RESULTS = st.lists(
    st.one_of(
        st.builds(
            PingResult,
            offer_id=st.sampled_from(("off_2", "off_3")),
            ping_id=st.just("p"),
            code=st.just("timed_out"),
        ),
        st.builds(
            lambda offer_id, amount, rank_by, lives_s: PingResult(
                offer_id=offer_id,
                ping_id="p",
                bid=Bid(
                    offer_id=offer_id,
                    amount=amount,
                    rank_by=rank_by,
                    expires_at=NOON + timedelta(seconds=lives_s),
                ),
            ),
            st.sampled_from((OfferId("off_2"), OfferId("off_3"))),
            st.sampled_from((usd("3"), usd("6"), usd("31"), usd("80"))),
            st.none() | st.just(usd("8")),
            st.integers(0, 4_000),
        ),
    ),
    max_size=3,
    unique_by=lambda result: result.offer_id,
).map(tuple)
EVENTS = st.one_of(
    ARRIVALS,
    st.builds(
        ev.BidsReturned,
        at=INSTANTS,
        draw=DRAWS,
        world=WORLDS,
        round=st.integers(1, 3),
        results=RESULTS,
        spent_ms=st.integers(0, 3_000),
    ),
    st.builds(
        ev.PostAnswered,
        at=INSTANTS,
        attempt_id=ATTEMPTS,
        code=st.sampled_from(("", "no_bid", "timed_out")),
        destination=st.none()
        | st.sampled_from([PhoneDestination(number=n) for n in ("+14155550170", "+19005550170")]),
        spent_ms=st.integers(0, 3_000),
    ),
    st.builds(ev.FailedSafe, at=INSTANTS, asked=st.just("dial")),
    st.builds(
        ev.DigitsEntered,
        at=INSTANTS,
        draw=DRAWS,
        turn=st.integers(1, 4),
        digits=st.sampled_from(("1", "2", "3", "94105", "99999", "*")),
    ),
    st.builds(ev.GatherTimedOut, at=INSTANTS, draw=DRAWS, turn=st.integers(1, 4)),
    st.builds(ev.Fetched, at=INSTANTS, draw=DRAWS, values=st.just({"tier": "gold"})),
    st.builds(ev.Fetched, at=INSTANTS, draw=DRAWS, code=st.just("timeout")),
    *(st.builds(ev.Looked, at=INSTANTS, draw=DRAWS, world=WORLDS) for _ in range(3)),
    *(
        st.builds(ev.Reserved, at=INSTANTS, attempt_id=ATTEMPTS, pays_publisher=st.booleans())
        for _ in range(3)
    ),
    st.builds(
        ev.CapFull,
        at=INSTANTS,
        attempt_id=ATTEMPTS,
        code=st.sampled_from(("cap_full", "closed", "no_funds")),
        owner=st.just(Owner(kind="buyer", id="buy_1")),
    ),
    st.builds(ev.LegRinging, at=INSTANTS, attempt_id=ATTEMPTS),
    st.builds(ev.LegAnswered, at=INSTANTS, attempt_id=ATTEMPTS),
    st.builds(
        ev.AcceptanceEntered, at=INSTANTS, attempt_id=ATTEMPTS, digits=st.sampled_from(("1", "1", "", "2"))
    ),
    LEGS,
    LEGS,
    st.builds(ev.LegReported, at=INSTANTS, leg=LEGS),
    st.builds(
        ev.RecordingReady,
        at=INSTANTS,
        url=st.just("https://r.example.com"),
        duration_s=st.just(3),
        attempt_id=st.none() | ATTEMPTS,
    ),
    st.builds(ev.VoicemailEnded, at=INSTANTS),
    st.builds(
        ev.CallEnded,
        at=INSTANTS,
        reason=st.sampled_from(("hung_up", "swept")),
        duration_ms=MS,
        ended_by=ENDED_BY,
        asked=st.booleans(),
        legs=st.lists(LEGS, max_size=2).map(tuple),
        history=HISTORY,
    ),
    st.builds(ev.TimedOut, at=INSTANTS, what=st.sampled_from(("question", "call"))),
    st.builds(
        ev.ConversionReported,
        at=INSTANTS,
        by=st.sampled_from(("postback", "manual")),
        converted=st.booleans(),
        amount=st.none() | MONEY,
        history=HISTORY,
    ),
    st.builds(
        ev.Adjusted, at=INSTANTS, credit=MONEY, clawback=MONEY, reason=st.just("r"), by=st.just("usr_1")
    ),
    st.builds(ev.Rerated, at=INSTANTS, revenue=MONEY, payout=MONEY, reason=st.just("r"), by=st.just("usr_1")),
    st.builds(ev.Disposed, at=INSTANTS, disposition=st.just("sold"), by=st.just("usr_1")),
)
# A number stands for an event that fits the state that the call is in then, so that walks come far.
Walk = tuple[CompiledPlan, list[ev.Event | int]]
FITTING = st.integers(0, 10_000)
WALKS = st.tuples(
    st.sampled_from(PLANS),
    st.lists(st.one_of(*[FITTING] * 7, EVENTS), min_size=8, max_size=25),
)


def fitting(call: Call, number: int, at: datetime) -> ev.Event:
    """One of the events that a call in this state may expect."""
    chosen = FITTING_EVENTS[call.state]
    attempt_id = call.attempts[-1].id if call.attempts else AttemptId("call_1-1")
    return chosen[number % len(chosen)](call, attempt_id, at)


def arrived(test: bool) -> Fitting:
    def event(call: Call, attempt_id: AttemptId, at: datetime) -> ev.Event:
        return ev.Arrived(
            at=at,
            draw=3,
            caller="+14155550199",
            dialed="+18005550100",
            number_id=NumberId("num_1"),
            connection_id=make.CONNECTION,
            carrier_ref="CA1",
            publisher_id=make.PUBLISHER,
            test=test,
        )

    return event


def keys(digits: str) -> Fitting:
    return lambda call, _, at: ev.DigitsEntered(at=at, draw=3, turn=call.turn, digits=digits)


def looked_or_fetched(call: Call, attempt_id: AttemptId, at: datetime) -> ev.Event:
    if isinstance(call.question, Fetch):
        return ev.Fetched(at=at, draw=3, values={"tier": "gold"})
    if isinstance(call.question, Ping):
        bids = [
            PingResult(
                offer_id=offer_id,
                ping_id="p",
                bid=Bid(offer_id=offer_id, amount=usd("40"), expires_at=at + timedelta(seconds=60)),
            )
            for offer_id in call.question.offer_ids
        ]
        round_number = call.question.round
        return ev.BidsReturned(at=at, draw=3, world=Looked(), round=round_number, results=tuple(bids))
    return ev.Looked(at=at, draw=3, world=Looked())


def granted_or_posted(pays_publisher: bool) -> Fitting:
    def event(call: Call, attempt_id: AttemptId, at: datetime) -> ev.Event:
        if isinstance(call.question, Post):
            return ev.PostAnswered(at=at, attempt_id=attempt_id, code="" if pays_publisher else "no_bid")
        return ev.Reserved(at=at, attempt_id=attempt_id, pays_publisher=pays_publisher)

    return event


def leg(outcome: ev.Outcome, **changes: Any) -> Fitting:
    return lambda _, attempt_id, at: ev.LegEnded(at=at, attempt_id=attempt_id, outcome=outcome, **changes)


def call_ended(**changes: Any) -> Fitting:
    return lambda _, __, at: ev.CallEnded(at=at, reason="hung_up", **changes)


FITTING_EVENTS: dict[str, tuple[Fitting, ...]] = {
    "new": (arrived(False), arrived(False), arrived(False), arrived(True)),
    "ivr": (keys("1"), keys("2"), keys("3"), keys("94105"), keys("94105")),
    "asking": (looked_or_fetched,),
    "reserving": (
        granted_or_posted(True),
        granted_or_posted(False),
        lambda _, attempt_id, at: ev.CapFull(
            at=at, attempt_id=attempt_id, code="cap_full", owner=Owner(kind="buyer", id="buy_1")
        ),
    ),
    "dialling": (
        lambda _, attempt_id, at: ev.LegAnswered(at=at, attempt_id=attempt_id),
        lambda _, attempt_id, at: ev.AcceptanceEntered(at=at, attempt_id=attempt_id, digits="1"),
        leg("busy"),
        leg("answered", leg_ms=95_000, bridged_ms=90_000, ended_by="buyer"),
        leg("answered", leg_ms=12_000, bridged_ms=10_000, ended_by="buyer"),
        leg("answered", leg_ms=95_000, bridged_ms=90_000, ended_by="caller", caller_gone=True),
        call_ended(duration_ms=90_000),
    ),
    "voicemail": (lambda _, __, at: ev.VoicemailEnded(at=at, duration_s=4),),
    "closing": (call_ended(duration_ms=100_000), call_ended()),
    "ended": (
        lambda _, __, at: ev.ConversionReported(at=at, by="postback"),
        lambda _, __, at: ev.Adjusted(at=at, credit=usd("5"), clawback=usd("2"), reason="r", by="usr_1"),
        leg("answered", leg_ms=95_000, bridged_ms=90_000),
        call_ended(duration_ms=100_000, asked=True),
    ),
}


def walked(
    plan: CompiledPlan, walk: list[ev.Event | int], reached: set[str] | None = None
) -> tuple[Call, list[Any]]:
    """The call and its commands after a walk, whose instants never run backwards.

    The states that it comes through are added to `reached`.
    """
    call, commands, now = make.call(), [], NOON
    for given_event in walk:
        event = fitting(call, given_event, now) if isinstance(given_event, int) else given_event
        now = max(now, event.at) + timedelta(seconds=1)
        taken = checked(call, _at(event, now), plan)
        call = taken.call
        commands += taken.commands
        if reached is not None:
            reached.add(call.state)
    return call, commands


def _at(event: ev.Event, at: datetime) -> ev.Event:
    return msgspec.structs.replace(event, at=at)


@settings(max_examples=400, deadline=None)
@given(WALKS)
def test_every_state_answers_every_event_with_a_call_that_can_be_stored(
    walk: Walk,
) -> None:
    plan, events = walk
    call, _ = walked(plan, events)
    assert call.version == len(events)


@settings(max_examples=200, deadline=None)
@given(WALKS)
def test_the_same_events_make_the_same_call_and_commands(walk: Walk) -> None:
    assert walked(*walk) == walked(*walk)


@settings(max_examples=400, deadline=None)
@given(WALKS)
def test_whatever_happens_one_buyer_is_charged_and_the_books_agree(
    walk: Walk,
) -> None:
    call, commands = walked(*walk)
    booked = [command.transaction for command in commands if isinstance(command, Book)]
    assert all(balanced(transaction) for transaction in booked)
    assert len({transaction.key for transaction in booked}) == len(booked)
    charged = {line.owner_id for one in booked for line in one.postings if line.account == "buyer"}
    assert len(charged) <= 1
    totals = totals_of(booked)
    told = {name: getattr(call.amounts, name) for name in totals.__struct_fields__}
    assert told == {name: getattr(totals, name) for name in totals.__struct_fields__}
    assert totals.credited <= totals.revenue
    assert totals.clawed_back <= totals.payout
    if call.test:
        assert booked == []
    billed = next((one for one in call.attempts if one.id == call.billed_attempt), None)
    if billed is not None and billed.won is not None:
        charges = [one for one in booked if one.kind == "charge" and one.rating_revision == 1]
        assert {
            posting.amount for one in charges for posting in one.postings if posting.account == "buyer"
        } <= {billed.won.amount}


@settings(max_examples=300, deadline=None)
@given(WALKS)
def test_a_call_that_is_over_and_was_asked_for_holds_nothing(
    walk: Walk,
) -> None:
    plan, events = walk
    call, commands = walked(plan, events)
    if call.state == "new":
        return
    end = ev.CallEnded(at=NOON + timedelta(hours=2), reason="swept", asked=True)
    taken = step(call, end, plan)
    commands += taken.commands
    assert taken.call.state == "ended"
    assert taken.call.cost_booked
    assert taken.call.question is None
    assert all(attempt.settled for attempt in taken.call.attempts)
    settled = {command.settlement.attempt_id for command in commands if isinstance(command, Settle)}
    held = {attempt.id for attempt in taken.call.attempts if attempt.dialled_at is not None}
    assert taken.call.test or held <= settled


@settings(max_examples=200, deadline=None)
@given(WALKS, EVENTS)
def test_after_its_end_no_late_event_moves_a_settled_attempt(walk: Walk, late: ev.Event) -> None:
    plan, events = walk
    call, _ = walked(plan, events)
    if call.state == "new":
        return
    end = ev.CallEnded(at=NOON + timedelta(hours=2), reason="swept", asked=True, duration_ms=1_000)
    ended = step(call, end, plan).call
    after = step(ended, _at(late, NOON + timedelta(hours=3)), plan).call
    assert [attempt.settlement for attempt in after.attempts] == [
        attempt.settlement for attempt in ended.attempts
    ]


def test_the_walks_reach_every_state() -> None:
    """The laws above say little if no walk came far."""
    reached: set[str] = set()

    @settings(max_examples=400, deadline=None, database=None, derandomize=True)
    @given(WALKS)
    def walk_on(walk: Walk) -> None:
        walked(*walk, reached)

    walk_on()
    assert reached == {"new", "ivr", "asking", "reserving", "dialling", "voicemail", "closing", "ended"}
