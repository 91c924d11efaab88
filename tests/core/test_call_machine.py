"""Stories of one call, and the laws of every step."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from call_scenes import NOON, Scene, claimed, kinds, only

import make
from callmatrix.core.call import Amounts
from callmatrix.core.call import events as ev
from callmatrix.core.call.commands import (
    AskAcceptance,
    Bridge,
    Connect,
    Enqueue,
    Fetch,
    GatherDigits,
    HangUp,
    Look,
    Record,
    Reject,
    Reserve,
    Settle,
)
from callmatrix.core.call.dialling import APOLOGY, MAX_REFUSED_CLAIMS
from callmatrix.core.call.machine import LATE_LEG_S
from callmatrix.core.campaign import (
    Acceptance,
    Fallback,
    FallbackBusy,
    FallbackMessage,
    FallbackNumber,
    FallbackOffer,
    FallbackVoicemail,
    Recording,
    Screening,
)
from callmatrix.core.caps import Owner
from callmatrix.core.flow import (
    CollectNode,
    Flow,
    HangupNode,
    LookupNode,
    MenuNode,
    RouteNode,
    Say,
    SpokenPrompt,
    VoicemailNode,
)
from callmatrix.core.ids import BuyerId, CallId, OfferId
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import DuplicateRule, MinutePrice, PastCall
from callmatrix.core.routing import Shut
from callmatrix.core.rules import Leaf
from make import usd

FULL = {"code": "cap_full", "owner": Owner(kind="offer", id="off_1"), "metric": "attempt", "window": "day"}


def ivr() -> Flow:
    return Flow(
        start="menu",
        nodes={
            "menu": MenuNode(
                prompt=SpokenPrompt(text="Press 1 for a plumber, 2 to leave a message."),
                branches={"1": "zip", "2": "message"},
                no_input="end",
                retries=0,
            ),
            "zip": CollectNode(
                prompt=SpokenPrompt(text="Your ZIP?"), field="zip", type="zip", next="buyers", failed="buyers"
            ),
            "message": VoicemailNode(prompt=SpokenPrompt(text="Speak now."), max_s=30),
            "buyers": RouteNode(),
            "end": HangupNode(),
        },
    )


def two_offers(**changes: Any) -> CompiledPlan:
    return make.plan(make.offer(1), make.offer(2), **changes)


# --- screening and the closed campaign -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "screening", "arrival"),
    [
        ("block_list", Screening(), {"blocked_by": "+1415555"}),
        ("publisher_paused", Screening(), {"publisher_paused": True}),
        ("anonymous", Screening(block_anonymous=True), {"caller": None}),
        ("attestation", Screening(min_attestation="B"), {"attestation": "C"}),
        ("attestation", Screening(min_attestation="C"), {"attestation": "none"}),
        ("attestation", Screening(min_attestation="C"), {"attestation": "failed"}),
        ("repeat", Screening(repeat_within_s=5), {"previous_call_at": NOON - timedelta(seconds=4)}),
    ],
)
def test_a_screened_call_is_rejected_unanswered(
    code: str, screening: Screening, arrival: dict[str, Any]
) -> None:
    scene = Scene(make.plan(screening=screening))
    assert scene.arrives(**arrival) == (Reject(reason="rejected"),)
    assert (scene.call.blocked, scene.call.state, scene.notes) == (code, "closing", [code])
    scene.later(1).ends(reason="busy")
    assert (scene.call.state, scene.call.end_reason, scene.call.attempts) == ("ended", code, ())


@pytest.mark.parametrize(
    ("screening", "arrival"),
    [
        (Screening(), {"caller": None}),
        (Screening(min_attestation="B"), {"attestation": "B"}),
        (Screening(repeat_within_s=5), {"previous_call_at": NOON - timedelta(seconds=5)}),
        (Screening(repeat_within_s=0), {"previous_call_at": NOON}),
    ],
)
def test_a_call_at_the_edge_of_the_screening_passes(screening: Screening, arrival: dict[str, Any]) -> None:
    scene = Scene(make.plan(screening=screening))
    assert scene.arrives(**arrival) == (Look(),)


@pytest.mark.parametrize(
    ("arrival", "code"),
    [
        ({"campaign_status": "paused"}, "campaign_paused"),
        ({"campaign_status": "archived"}, "campaign_archived"),
        ({"campaign_open": False}, "campaign_closed"),
    ],
)
def test_a_campaign_that_is_not_open_gives_its_closed_treatment(arrival: dict[str, Any], code: str) -> None:
    scene = Scene(make.plan(closed_treatment=FallbackMessage(text="Closed.")))
    assert scene.arrives(**arrival) == (Say(text="Closed."), HangUp())
    assert scene.call.end_reason == code


def test_a_closed_campaign_can_call_a_number_that_nobody_pays_for() -> None:
    scene = Scene(make.plan(closed_treatment=FallbackNumber(number="+14155550177")))
    claim = only(scene.arrives(campaign_open=False), Reserve).claim
    assert (claim.offer_id, claim.buyer_id, claim.publisher_id, claim.revenue_max) == (
        None,
        None,
        None,
        usd("0"),
    )
    connect = only(scene.granted(), Connect)
    assert connect.destination.number == "+14155550177"
    scene.talks(200)
    scene.ends()
    assert scene.booked == {"cost": "0.12"}


# --- the IVR -------------------------------------------------------------------------------------------


def test_keys_lead_through_the_flow_to_the_routing_plan() -> None:
    zip_rule = Leaf(subject="zip", operator="equal", values=("94105",))
    scene = Scene(make.plan(make.offer(1, rule=zip_rule), make.offer(2), flow=ivr()))
    gather = only(scene.arrives(caller="+12125550199"), GatherDigits)
    assert (gather.turn, gather.gather.max_digits) == (1, 1)
    gather = only(
        scene.later(3).send(ev.DigitsEntered(at=scene.now, draw=1, turn=1, digits="1")), GatherDigits
    )
    assert (gather.turn, scene.call.state) == (2, "ivr")
    assert scene.send(ev.DigitsEntered(at=scene.now, draw=1, turn=2, digits="94105")) == (Look(),)
    assert claimed(scene.looks()) == "off_1"
    assert scene.call.fields == {"zip": "94105"}


def test_keys_of_an_earlier_gather_change_nothing() -> None:
    scene = Scene(make.plan(flow=ivr()))
    scene.arrives()
    scene.send(ev.DigitsEntered(at=scene.now, draw=1, turn=1, digits="1"))
    before = scene.call
    assert scene.send(ev.DigitsEntered(at=scene.now, draw=1, turn=1, digits="2")) == ()
    assert scene.notes[-1] == "gather_not_asked"
    assert (scene.call.state, scene.call.fields, scene.call.turn) == (
        before.state,
        before.fields,
        before.turn,
    )


def test_silence_leads_where_the_flow_says() -> None:
    scene = Scene(make.plan(flow=ivr()))
    scene.arrives()
    assert scene.send(ev.GatherTimedOut(at=scene.now, draw=1, turn=1)) == (HangUp(),)
    assert (scene.call.state, scene.call.end_reason) == ("closing", "flow_hangup")


def test_a_voicemail_is_recorded_and_its_recording_kept() -> None:
    scene = Scene(make.plan(flow=ivr()))
    scene.arrives()
    commands = scene.send(ev.DigitsEntered(at=scene.now, draw=1, turn=1, digits="2"))
    assert commands == (Say(text="Speak now."), Record(max_s=30))
    assert scene.later(9).send(ev.VoicemailEnded(at=scene.now, duration_s=8)) == (HangUp(),)
    scene.send(ev.RecordingReady(at=scene.now, url="https://r.example.com/1", duration_s=8))
    scene.ends()
    assert (scene.call.voicemail_url, scene.call.end_reason) == ("https://r.example.com/1", "voicemail")
    assert scene.call.cost_booked


def lookup_flow() -> Flow:
    return Flow(
        start="crm",
        nodes={
            "crm": LookupNode(
                url="https://crm.example.com/x", read={"tier": "tier"}, next="buyers", failed="end"
            ),
            "buyers": RouteNode(),
            "end": HangupNode(),
        },
    )


def test_a_lookup_is_asked_and_its_answer_becomes_fields() -> None:
    scene = Scene(make.plan(flow=lookup_flow()))
    assert kinds(scene.arrives()) == ["Fetch"]
    assert scene.send(ev.Fetched(at=scene.now, draw=1, values={"tier": "gold"})) == (Look(),)
    assert scene.call.fields == {"tier": "gold"}


def test_a_lookup_that_fails_takes_the_other_way_and_a_second_answer_changes_nothing() -> None:
    scene = Scene(make.plan(flow=lookup_flow()))
    assert isinstance(scene.arrives()[0], Fetch)
    assert scene.send(ev.Fetched(at=scene.now, draw=1, code="timeout")) == (HangUp(),)
    assert scene.send(ev.Fetched(at=scene.now, draw=1, values={"tier": "gold"})) == ()
    assert (scene.call.fields, scene.notes[-1]) == ({}, "answer_not_asked")


# --- dialling ------------------------------------------------------------------------------------------


def test_a_call_is_bridged_billed_and_paid() -> None:
    scene = Scene()
    scene.arrives()
    connect = scene.dials()
    assert (connect.destination.number, connect.caller_id, connect.whisper) == (
        "+14155550001",
        "+14155550199",
        False,
    )
    scene.answers()
    assert kinds(scene.talks(90)) == ["Settle", "Book", "Book", "HangUp"]
    scene.ends()
    assert scene.booked == {"revenue": "29.00", "payout": "14.50", "cost": "0.06"}
    assert scene.call.amounts == Amounts(revenue=usd("29"), payout=usd("14.50"), cost=usd("0.06"), revision=1)
    assert (scene.call.billed_attempt, scene.call.end_reason) == (scene.attempt, "completed_by_buyer")


def test_a_call_below_the_threshold_is_connected_and_not_billed() -> None:
    scene = Scene()
    scene.arrives()
    scene.dials()
    scene.talks(59, ended_by="caller", caller_gone=True)
    scene.ends()
    assert scene.call.connected_at is not None
    assert (scene.call.converted_at, scene.booked) == (None, {"cost": "0.03"})
    assert "revenue_below_threshold" in scene.notes


@pytest.mark.parametrize("outcome", ["busy", "no_answer", "failed", "canceled", "declined"])
def test_whoever_does_not_answer_is_followed_by_the_next(outcome: ev.Outcome) -> None:
    scene = Scene(two_offers())
    scene.arrives()
    scene.dials()
    assert kinds(scene.later(20).leg_ends(outcome)) == ["Settle", "Look"]
    scene.dials()
    scene.talks(70)
    scene.ends()
    assert scene.offers == ["off_1", "off_2"]
    assert scene.booked["revenue"] == "28.00"
    assert scene.settled == ["call_1-1", "call_1-2"]


def test_a_claim_that_is_refused_is_followed_by_the_next_offer() -> None:
    scene = Scene(two_offers())
    scene.arrives()
    scene.looks()
    assert scene.send(ev.CapFull(at=scene.now, attempt_id=scene.attempt, **FULL)) == (Look(),)
    assert claimed(scene.looks()) == "off_2"
    assert [attempt.state for attempt in scene.call.attempts] == ["refused", "reserving"]
    assert scene.settled == []


def test_attempts_have_a_bound() -> None:
    offers = tuple(make.offer(number) for number in range(1, 5))
    plan = make.plan(*offers, plan=make.routing_plan(*offers, max_attempts=2))
    scene = Scene(plan)
    scene.arrives()
    for _ in range(2):
        scene.dials()
        scene.leg_ends("busy")
    assert scene.last[-1] == HangUp()
    assert scene.notes[-3:] == ["attempts_used_up", "fallback", "fallback"]


def test_waiting_has_a_bound() -> None:
    scene = Scene(two_offers(plan=make.routing_plan(make.offer(1), make.offer(2), max_wait_s=30)))
    scene.arrives()
    scene.dials()
    scene.later(30).leg_ends("no_answer")
    assert scene.call.state == "closing"
    assert scene.offers == ["off_1"]


def test_refused_claims_have_a_bound_of_their_own() -> None:
    offers = tuple(make.offer(number) for number in range(1, MAX_REFUSED_CLAIMS + 5))
    scene = Scene(make.plan(*offers))
    scene.arrives()
    while scene.call.state == "asking":
        scene.looks()
        scene.send(ev.CapFull(at=scene.now, attempt_id=scene.attempt, **FULL))
    assert len(scene.call.attempts) == MAX_REFUSED_CLAIMS
    assert scene.call.state == "closing"


def test_the_tracked_number_is_shown_where_the_offer_wants_it() -> None:
    scene = Scene(make.plan(make.offer(1, caller_id="tracked")))
    scene.arrives()
    assert scene.dials().caller_id == "+18005550100"


def test_an_anonymous_caller_is_shown_as_the_number_that_was_dialled() -> None:
    scene = Scene()
    scene.arrives(caller=None)
    assert scene.dials().caller_id == "+18005550100"


def test_no_dial_outlasts_the_campaigns_longest_call() -> None:
    scene = Scene(make.plan(make.offer(1, time_limit_s=900), max_call_s=1_000))
    scene.arrives()
    scene.later(300)
    assert scene.dials().time_limit_s == 700


# --- whisper, acceptance, recording --------------------------------------------------------------------


def test_a_whisper_is_heard_before_the_bridge() -> None:
    scene = Scene(make.plan(make.offer(1, whisper="Plumbing call.")))
    scene.arrives()
    assert scene.dials().whisper
    assert scene.answers() == (Say(text="Plumbing call."), Bridge())


def test_an_accepted_call_is_billed_from_the_key_on() -> None:
    scene = Scene(make.plan(make.offer(1, acceptance=Acceptance(prompt="Press 1."))))
    scene.arrives()
    scene.dials()
    ask = only(scene.answers(), AskAcceptance)
    assert (ask.attempt_id, ask.prompt) == (scene.attempt, "Press 1.")
    assert scene.later(10).presses_to_accept("1") == (Bridge(),)
    scene.later(65).leg_ends("answered", leg_ms=75_000, bridged_ms=None, precision="s", ended_by="caller")
    assert scene.call.rating is not None
    assert scene.call.rating.revenue_reason.values["billable_s"] == "65"


@pytest.mark.parametrize("digits", ["", "2"])
def test_a_declined_call_is_not_connected_and_goes_to_the_next(digits: str) -> None:
    scene = Scene(make.plan(make.offer(1, acceptance=Acceptance()), make.offer(2)))
    scene.arrives()
    scene.dials()
    scene.answers()
    assert scene.presses_to_accept(digits) == (HangUp(),)
    assert kinds(scene.leg_ends("answered", leg_ms=12_000, bridged_ms=0)) == ["Settle", "Look"]
    assert scene.call.attempts[0].outcome == "declined"
    assert scene.call.connected_at is None
    settlement = only(tuple(scene.commands), Settle).settlement
    assert not settlement.connected


def test_a_leg_that_was_not_dialled_is_never_bridged() -> None:
    scene = Scene(two_offers())
    scene.arrives()
    scene.looks()
    first = scene.attempt
    assert scene.send(ev.LegAnswered(at=scene.now, attempt_id=first)) == (HangUp(),)
    scene.send(ev.CapFull(at=scene.now, attempt_id=first, **FULL))
    assert scene.send(ev.LegAnswered(at=scene.now, attempt_id=first)) == (HangUp(),)
    assert scene.send(ev.AcceptanceEntered(at=scene.now, attempt_id=first, digits="1")) == (HangUp(),)


def test_a_recorded_call_is_announced_once_and_the_prompts_version_kept() -> None:
    recording = Recording(on=True, prompt="Recorded.", prompt_version=3)
    scene = Scene(two_offers(recording=recording))
    scene.arrives()
    scene.looks()
    first = scene.granted()
    assert (first[0], first[1].record) == (Say(text="Recorded."), True)  # type: ignore[union-attr]
    assert (scene.call.consent_version, scene.call.consented_at) == (3, NOON)
    scene.leg_ends("busy")
    scene.looks()
    assert kinds(scene.granted()) == ["Connect"]


def test_two_one_party_states_need_no_prompt_where_the_campaign_skips_it() -> None:
    texas = make.PhoneDestination(number="+12145550110")
    recording = Recording(on=True, skip_in_one_party_states=True)
    scene = Scene(make.plan(make.offer(1, destination=texas), recording=recording))
    scene.arrives(caller="+17135550199")
    scene.looks()
    assert kinds(scene.granted()) == ["Connect"]
    assert scene.call.consented_at is None


@pytest.mark.parametrize("caller", ["+14155550199", None])
def test_an_all_party_or_unknown_state_needs_the_prompt(caller: str | None) -> None:
    texas = make.PhoneDestination(number="+12145550110")
    recording = Recording(on=True, skip_in_one_party_states=True)
    scene = Scene(make.plan(make.offer(1, destination=texas), recording=recording))
    scene.arrives(caller=caller)
    scene.looks()
    assert kinds(scene.granted()) == ["Say", "Connect"]


# --- re-routing, and one buyer billed ------------------------------------------------------------------


def test_an_early_buyer_hang_up_is_routed_again_and_only_the_second_buyer_billed() -> None:
    scene = Scene(make.plan(make.offer(1, reroute_below_s=20), make.offer(2)))
    scene.arrives()
    scene.dials()
    assert kinds(scene.talks(19)) == ["Settle", "Look"]
    scene.dials()
    scene.talks(80)
    scene.ends()
    assert scene.offers == ["off_1", "off_2"]
    assert scene.call.billed_attempt == "call_1-2"
    assert scene.booked["revenue"] == "28.00"


@pytest.mark.parametrize(
    ("seconds", "changes"),
    [(20, {}), (19, {"ended_by": "caller"}), (19, {"caller_gone": True}), (19, {"ended_by": "platform"})],
)
def test_a_call_is_not_routed_again_past_the_threshold_or_without_its_caller(
    seconds: int, changes: dict[str, Any]
) -> None:
    scene = Scene(make.plan(make.offer(1, reroute_below_s=20), make.offer(2)))
    scene.arrives()
    scene.dials()
    scene.talks(seconds, **changes)
    assert scene.call.state == "closing"
    assert scene.offers == ["off_1"]


def test_a_call_that_converted_is_not_routed_again() -> None:
    quick = make.offer(1, reroute_below_s=20, price=make.fixed("30", after_s=10))
    scene = Scene(make.plan(quick, make.offer(2)))
    scene.arrives()
    scene.dials()
    scene.talks(15)
    assert (scene.call.state, scene.booked["revenue"]) == ("closing", "30.00")


def test_a_claim_that_the_configuration_refuses_is_released_in_case_it_is_held() -> None:
    scene = Scene(two_offers())
    scene.arrives()
    scene.looks()
    owner = Owner(kind="offer", id="off_1")
    commands = scene.send(ev.CapFull(at=scene.now, attempt_id=scene.attempt, code="closed", owner=owner))
    assert kinds(commands) == ["Settle", "Look"]


# --- fallbacks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fallback", "heard"),
    [
        (FallbackMessage(text="Sorry."), (Say(text="Sorry."), HangUp())),
        (FallbackVoicemail(prompt="Speak.", max_s=60), (Say(text="Speak."), Record(max_s=60))),
        (FallbackBusy(), (Reject(reason="busy"),)),
    ],
)
def test_a_caller_whom_nobody_takes_gets_the_fallback(fallback: Fallback, heard: tuple[Any, ...]) -> None:
    scene = Scene(make.plan(fallback=fallback))
    scene.arrives()
    assert scene.looks(shut=(Shut(code="paused", mask="1"),)) == heard
    assert "nobody_eligible" in scene.notes


def test_a_busy_signal_is_a_hang_up_once_the_call_was_answered() -> None:
    scene = Scene(make.plan(fallback=FallbackBusy()))
    scene.arrives()
    scene.dials()
    assert scene.leg_ends("busy")[-1] == Look()
    assert scene.looks() == (HangUp(),)


def test_a_fallback_number_is_called_and_nobody_billed() -> None:
    scene = Scene(make.plan(fallback=FallbackNumber(number="+14155550188")))
    scene.arrives()
    scene.looks(shut=(Shut(code="closed", mask="1"),))
    connect = only(scene.granted(), Connect)
    assert connect.destination.number == "+14155550188"
    scene.talks(300)
    scene.ends()
    assert scene.booked == {"cost": "0.15"}
    assert "revenue_no_buyer" in scene.notes


def test_a_fallback_number_that_is_full_leaves_a_message() -> None:
    scene = Scene(make.plan(fallback=FallbackNumber(number="+14155550188")))
    scene.arrives()
    scene.looks(shut=(Shut(code="closed", mask="1"),))
    assert scene.send(ev.CapFull(at=scene.now, attempt_id=scene.attempt, **FULL))[-1] == HangUp()
    assert scene.notes[-1] == "fallback_refused"


def test_a_fallback_number_that_does_not_answer_leaves_a_message() -> None:
    scene = Scene(make.plan(fallback=FallbackNumber(number="+14155550188")))
    scene.arrives()
    scene.looks(shut=(Shut(code="closed", mask="1"),))
    scene.granted()
    assert kinds(scene.leg_ends("no_answer")) == ["Settle", "Say", "HangUp"]
    assert scene.call.state == "closing"


@pytest.mark.parametrize("takes_part", [True, False])
def test_the_fallback_offer_is_tried_when_the_attempts_are_used_up(takes_part: bool) -> None:
    first, last = make.offer(1), make.offer(2)
    entries = make.routing_plan(*((first, last) if takes_part else (first,)), max_attempts=1)
    plan = make.plan(first, last, plan=entries, fallback=FallbackOffer(offer_id=last.id))
    scene = Scene(plan)
    scene.arrives()
    scene.dials()
    assert scene.leg_ends("busy")[-1] == Look()
    assert claimed(scene.looks()) == "off_2"
    scene.granted()
    assert kinds(scene.leg_ends("busy")) == ["Settle", "Say", "HangUp"]


def test_a_fallback_offer_that_was_tried_already_is_not_tried_again() -> None:
    offers = make.offer(1), make.offer(2)
    plan = make.plan(
        *offers,
        plan=make.routing_plan(*offers, max_attempts=1),
        fallback=FallbackOffer(offer_id=OfferId("off_1")),
    )
    scene = Scene(plan)
    scene.arrives()
    scene.dials()
    scene.leg_ends("busy")
    assert (scene.call.state, scene.notes[-1]) == ("closing", "fallback_tried")


def test_a_question_that_nobody_answers_ends_with_an_apology() -> None:
    scene = Scene()
    scene.arrives()
    scene.looks()
    commands = scene.later(20).send(ev.TimedOut(at=scene.now, what="question"))
    assert kinds(commands) == ["Settle", "Say", "HangUp"]
    assert commands[1] == Say(text=APOLOGY)
    assert scene.call.question is None


# --- ends ----------------------------------------------------------------------------------------------


def test_a_grant_that_comes_after_the_caller_is_gone_is_released() -> None:
    scene = Scene()
    scene.arrives()
    scene.looks()
    claimed_id = scene.attempt
    assert kinds(scene.later(2).ends()) == ["Settle", "Book"]
    assert only(scene.granted(), Settle).settlement.attempt_id == claimed_id
    assert scene.notes[-1] == "grant_not_wanted"
    assert scene.call.attempts[0].dialled_at is None


def test_a_caller_who_leaves_while_it_rings_releases_the_attempt() -> None:
    scene = Scene()
    scene.arrives()
    scene.dials()
    scene.later(8).leg_ends("canceled", caller_gone=True, ended_by="caller")
    assert (scene.call.state, scene.call.end_reason) == ("closing", "caller_hung_up")
    assert scene.settled == ["call_1-1"]
    scene.ends()
    assert scene.call.cost_booked


def test_a_leg_end_that_comes_after_the_calls_end_still_settles() -> None:
    scene = Scene()
    scene.arrives()
    scene.dials()
    scene.later(100)
    job = only(scene.ends(duration_ms=100_000), Enqueue)
    assert (job.job, job.run_at) == ("ask_carrier", scene.now + timedelta(seconds=LATE_LEG_S))
    assert not scene.call.cost_booked
    scene.leg_ends("answered", leg_ms=95_000, bridged_ms=90_000, ended_by="caller", caller_gone=True)
    assert scene.booked == {"revenue": "29.00", "payout": "14.50", "cost": "0.06"}
    assert scene.call.cost_booked


def test_the_legs_own_report_settles_where_the_dials_answer_never_comes() -> None:
    scene = Scene()
    scene.arrives()
    scene.dials()
    scene.later(100)
    leg = ev.LegEnded(
        at=scene.now, attempt_id=scene.attempt, outcome="answered", leg_ms=95_000, bridged_ms=90_000
    )
    scene.send(ev.LegReported(at=scene.now, leg=leg))
    scene.ends()
    assert scene.booked == {}
    scene.later(30).ends(reason="swept", asked=True, duration_ms=100_000)
    assert scene.booked == {"revenue": "29.00", "payout": "14.50", "cost": "0.06"}
    assert (scene.call.review, scene.call.connected_at is not None) == ("", True)


def test_a_leg_that_is_reported_twice_is_kept_as_reported_first() -> None:
    scene = Scene()
    scene.arrives()
    scene.dials()
    first = ev.LegEnded(at=scene.now, attempt_id=scene.attempt, outcome="busy")
    scene.send(ev.LegReported(at=scene.now, leg=first))
    second = msgspec.structs.replace(first, outcome="failed")
    scene.later(5).send(ev.LegReported(at=scene.now, leg=second))
    assert scene.call.attempts[0].reported == first


def test_unknown_durations_go_to_review_unbilled() -> None:
    scene = Scene()
    scene.arrives()
    scene.dials()
    scene.answers()
    scene.later(500).ends(duration_ms=None)
    scene.later(30).ends(reason="swept", asked=True, duration_ms=None)
    assert (scene.call.review, scene.booked) == ("durations_unknown", {})
    assert only(tuple(scene.commands), Settle).settlement.connected
    assert scene.call.cost_booked


def test_the_carriers_answer_to_the_sweep_bills_the_call() -> None:
    scene = Scene()
    scene.arrives()
    scene.dials()
    scene.later(500)
    leg = ev.LegEnded(
        at=scene.now, attempt_id=scene.attempt, outcome="answered", leg_ms=90_000, bridged_ms=88_000
    )
    scene.ends(reason="swept", asked=True, duration_ms=99_000, legs=(leg,))
    assert scene.booked == {"revenue": "29.00", "payout": "14.50", "cost": "0.06"}
    assert scene.call.duration_ms == 99_000


def test_a_call_of_unknown_duration_stays_open_until_the_carrier_was_asked() -> None:
    scene = Scene()
    scene.arrives()
    scene.dials()
    scene.later(100).ends(duration_ms=None)
    scene.leg_ends("answered", leg_ms=90_000, bridged_ms=88_000, caller_gone=True)
    assert not scene.call.cost_booked
    scene.later(30).ends(reason="swept", asked=True, duration_ms=100_000)
    assert scene.call.cost_booked
    assert (scene.call.review, scene.booked["cost"]) == ("", "0.06")


def test_a_call_that_should_be_over_has_the_carrier_asked() -> None:
    scene = Scene()
    scene.arrives()
    scene.dials()
    job = only(scene.later(4_000).send(ev.TimedOut(at=scene.now, what="call")), Enqueue)
    assert (job.job, job.run_at) == ("ask_carrier", scene.now)


def test_an_end_that_comes_twice_books_nothing_twice() -> None:
    scene = Scene()
    scene.arrives()
    scene.dials()
    scene.talks(90)
    scene.ends()
    before = scene.call
    assert scene.later(5).ends(duration_ms=1) == ()
    assert scene.leg_ends("answered", leg_ms=1, bridged_ms=1) == ()
    assert scene.granted() == ()
    assert (scene.call.amounts, scene.call.duration_ms) == (before.amounts, before.duration_ms)


def test_a_failed_webhook_of_a_dead_process_closes_the_call() -> None:
    scene = Scene()
    scene.arrives()
    scene.looks()
    assert kinds(scene.send(ev.FailedSafe(at=scene.now, asked="dial"))) == ["Settle"]
    assert (scene.call.state, scene.call.end_reason) == ("closing", "failed_safe")


# --- money ---------------------------------------------------------------------------------------------


def past(**changes: Any) -> PastCall:
    given = {
        "call_id": CallId("call_0"),
        "campaign_id": make.CAMPAIGN,
        "connected_at": NOON - timedelta(days=1),
        "offer_id": OfferId("off_1"),
        "buyer_id": BuyerId("buy_1"),
        "publisher_id": make.PUBLISHER,
        "converted_at": NOON - timedelta(days=1),
        "paid_at": NOON - timedelta(days=1),
    }
    return PastCall(**{**given, **changes})


def test_a_duplicate_that_another_call_became_meanwhile_is_found_at_settlement() -> None:
    rule = DuplicateRule(window_days=30)
    scene = Scene(make.plan(make.offer(1, duplicates=rule)))
    scene.arrives()
    scene.dials()
    twin = past(connected_at=NOON + timedelta(seconds=10), converted_at=NOON + timedelta(seconds=80))
    scene.talks(90, history=(twin,))
    assert "revenue_duplicate" in scene.notes
    assert (scene.booked, scene.call.converted_at) == ({}, None)


def test_a_duplicate_that_is_routed_unpaid_holds_nothing() -> None:
    rule = DuplicateRule(window_days=30, action="unpaid")
    scene = Scene(make.plan(make.offer(1, duplicates=rule)))
    scene.arrives()
    claim = only(scene.looks(history=(past(),)), Reserve).claim
    assert (claim.revenue_max, claim.payout_max) == (usd("0"), usd("0"))
    scene.granted()
    scene.talks(90, history=(past(),))
    scene.ends()
    assert scene.booked == {"cost": "0.06"}


def test_a_capped_publisher_is_routed_unpaid() -> None:
    scene = Scene()
    scene.arrives()
    scene.looks()
    scene.granted(pays_publisher=False)
    scene.talks(90)
    scene.ends()
    assert scene.booked == {"revenue": "29.00", "cost": "0.06"}
    assert "payout_capped_unpaid" in scene.notes


def test_a_call_without_a_publisher_pays_nobody() -> None:
    scene = Scene()
    scene.arrives(publisher_id=None)
    scene.dials()
    scene.talks(90)
    assert scene.booked == {"revenue": "29.00"}


def postback_scene() -> Scene:
    scene = Scene(make.plan(make.offer(1, converts_on="postback", conversion_expires_h=24)))
    scene.arrives()
    scene.dials()
    scene.talks(90)
    scene.ends()
    return scene


def test_a_postback_converts_the_call_and_counts_late() -> None:
    scene = postback_scene()
    assert scene.booked == {"cost": "0.06"}
    commands = scene.later(3_600).send(ev.ConversionReported(at=scene.now, by="postback"))
    assert kinds(commands) == ["BookLate", "Book", "Book"]
    assert scene.booked == {"revenue": "29.00", "payout": "14.50", "cost": "0.06"}
    booking = commands[0].booking  # type: ignore[union-attr]
    assert (booking.conversions, booking.payments, booking.revenue) == (1, 1, usd("29"))


def test_a_postback_that_comes_twice_changes_no_money() -> None:
    scene = postback_scene()
    scene.send(ev.ConversionReported(at=scene.now, by="postback"))
    before = scene.booked
    assert scene.send(ev.ConversionReported(at=scene.now, by="postback")) == ()
    assert (scene.booked, scene.call.amounts.revenue) == (before, usd("29"))


def test_a_postback_that_takes_the_conversion_back_reverses_it() -> None:
    scene = postback_scene()
    scene.send(ev.ConversionReported(at=scene.now, by="postback"))
    scene.send(ev.ConversionReported(at=scene.now, by="postback", converted=False))
    assert scene.booked == {"cost": "0.06"}
    assert scene.call.converted_at is None


def test_a_postback_after_its_time_earns_nothing() -> None:
    scene = postback_scene()
    assert scene.later(24 * 3_600).send(ev.ConversionReported(at=scene.now, by="postback")) == ()
    assert "revenue_expired" in scene.notes


@pytest.mark.parametrize(
    ("converts_on", "by", "code"),
    [("duration", "postback", "converts_on_duration"), ("manual", "postback", "converts_otherwise")],
)
def test_a_conversion_that_the_offer_does_not_ask_for_changes_nothing(
    converts_on: str, by: Any, code: str
) -> None:
    scene = Scene(make.plan(make.offer(1, converts_on=converts_on)))
    scene.arrives()
    scene.dials()
    scene.talks(30)
    before = scene.call.amounts
    assert scene.send(ev.ConversionReported(at=scene.now, by=by)) == ()
    assert (scene.notes[-1], scene.call.amounts) == (code, before)


def billed_scene() -> Scene:
    scene = Scene()
    scene.arrives()
    scene.dials()
    scene.talks(90)
    scene.ends()
    return scene


def adjusted(scene: Scene, id: str = "", *, credit: str, clawback: str = "0") -> ev.Adjusted:
    return ev.Adjusted(
        at=scene.now, credit=usd(credit), clawback=usd(clawback), reason="wrong number", by="usr_1", id=id
    )


def test_an_adjustment_of_more_than_is_left_is_refused_whole() -> None:
    scene = billed_scene()
    scene.send(adjusted(scene, "adj_1", credit="20", clawback="5"))
    assert scene.send(adjusted(scene, "adj_2", credit="20")) == ()
    assert scene.notes[-1] == "more_than_left"
    assert scene.send(adjusted(scene, "adj_3", credit="9", clawback="9.51")) == ()
    assert [one.id for one in scene.call.adjustments] == ["adj_1"]
    scene.send(adjusted(scene, "adj_4", credit="9", clawback="9.50"))
    assert scene.booked == {
        "revenue": "29.00",
        "payout": "14.50",
        "cost": "0.06",
        "credited": "29.00",
        "clawed_back": "14.50",
    }
    assert scene.send(adjusted(scene, "adj_5", credit="0.01")) == ()


def test_an_adjustment_that_is_known_changes_nothing_and_one_with_another_id_is_meant() -> None:
    scene = billed_scene()
    scene.send(adjusted(scene, "adj_1", credit="5"))
    assert scene.send(adjusted(scene, "adj_1", credit="5")) == ()
    assert scene.notes[-1] == "already_adjusted"
    scene.send(adjusted(scene, "adj_2", credit="5"))
    assert scene.booked["credited"] == "10.00"
    told = [(one.id, one.credit, one.reason, one.by) for one in scene.call.adjustments]
    assert told == [
        ("adj_1", usd("5"), "wrong number", "usr_1"),
        ("adj_2", usd("5"), "wrong number", "usr_1"),
    ]


def test_a_rerating_that_comes_again_late_does_not_undo_a_later_one() -> None:
    scene = billed_scene()
    rated = ev.Rerated(
        at=scene.now, revenue=usd("20"), payout=usd("15"), reason="price list", by="usr_1", id="rer_1"
    )
    scene.send(rated)
    scene.send(msgspec.structs.replace(rated, revenue=usd("25"), id="rer_2"))
    assert scene.send(rated) == ()
    assert scene.notes[-1] == "already_rerated"
    assert (scene.call.reratings, scene.booked["revenue"]) == (("rer_1", "rer_2"), "25.00")


def test_a_rerating_books_the_difference() -> None:
    scene = billed_scene()
    scene.send(ev.Rerated(at=scene.now, revenue=usd("20"), payout=usd("15"), reason="price list", by="usr_1"))
    assert scene.booked == {"revenue": "20.00", "payout": "15.00", "cost": "0.06"}
    assert scene.call.amounts.revision == 2


def test_what_was_credited_is_not_taken_back_a_second_time() -> None:
    scene = postback_scene()
    scene.send(ev.ConversionReported(at=scene.now, by="postback"))
    adjusted = ev.Adjusted(at=scene.now, credit=usd("20"), clawback=usd("4"), reason="late", by="usr_1")
    scene.send(adjusted)
    scene.send(ev.ConversionReported(at=scene.now, by="postback", converted=False))
    assert scene.booked == {
        "revenue": "20.00",
        "payout": "4.00",
        "cost": "0.06",
        "credited": "20.00",
        "clawed_back": "4.00",
    }
    scene.send(ev.Rerated(at=scene.now, revenue=usd("1"), payout=usd("0"), reason="x", by="usr_1"))
    assert scene.call.amounts.revenue == usd("20")


def test_a_disposition_is_kept() -> None:
    scene = billed_scene()
    scene.send(ev.Disposed(at=scene.now, disposition="sold", by="usr_1"))
    assert scene.call.disposition == "sold"


def test_money_by_the_minute_is_held_to_the_time_limit() -> None:
    price = MinutePrice(rate=usd("3"), increment_s=60)
    scene = Scene(make.plan(make.offer(1, price=price, time_limit_s=600)))
    scene.arrives()
    assert only(scene.looks(), Reserve).claim.revenue_max == usd("30")


def test_a_test_call_touches_nothing() -> None:
    scene = Scene()
    scene.arrives(test=True)
    assert kinds(scene.looks()) == ["Connect"]
    scene.talks(90)
    scene.ends()
    assert set(kinds(tuple(scene.commands))) == {"Look", "Connect", "HangUp"}
    assert (scene.booked, scene.call.cost_booked) == ({}, True)


def test_a_price_of_the_plan_that_the_call_started_with_stays() -> None:
    scene = Scene()
    scene.arrives()
    scene.dials()
    scene.plan = make.plan(make.offer(1, price=make.fixed("99")), version=2)
    scene.talks(90)
    assert scene.booked["revenue"] == "29.00"


def test_a_call_that_never_arrived_has_no_end() -> None:
    scene = Scene()
    assert scene.ends() == ()
    assert (scene.call.state, scene.notes) == ("new", ["never_arrived"])


def test_the_stored_events_lead_to_the_same_call_and_commands() -> None:
    scene = Scene(make.plan(make.offer(1, reroute_below_s=20), make.offer(2), flow=ivr()))
    scene.arrives()
    scene.send(ev.DigitsEntered(at=scene.now, draw=1, turn=1, digits="1"))
    scene.send(ev.DigitsEntered(at=scene.now, draw=9, turn=2, digits="94105"))
    scene.dials()
    scene.talks(10)
    scene.dials()
    scene.talks(100)
    scene.ends()
    assert scene.replayed() == (scene.call, scene.commands)
