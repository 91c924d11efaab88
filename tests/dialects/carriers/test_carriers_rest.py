"""What carriers are asked about calls, and what is made of their answers."""

import json
from typing import Any

import pytest
from carrier_samples import AT, connection
from hypothesis import given
from hypothesis import strategies as st

from callmatrix.core.call.events import CallEnded, LegEnded
from callmatrix.core.ids import AttemptId
from callmatrix.dialects.carriers.dialect import DIALECTS, CarrierName, Secrets
from callmatrix.dialects.carriers.rest import (
    MAX_LEGS,
    MAX_REPLY_BYTES,
    CarrierCall,
    CarrierLeg,
    Unknown,
    asked_end,
    fetch_call_request,
    fetch_legs_request,
    hang_up_request,
    read_call,
    read_hang_up,
    read_legs,
)
from callmatrix.dialects.http import HttpReply, HttpRequest

SECRETS = Secrets(signing="token")
BASIC = {"authorization": "Basic QUMwMTIzOnRva2Vu", "accept": "application/json"}
TWILIO = "https://api.twilio.com/2010-04-01/Accounts/AC0123/Calls"
FIRST, SECOND = AttemptId("call_01-1"), AttemptId("call_01-2")


def said(value: Any, status: int = 200) -> HttpReply:
    return HttpReply(status=status, body=json.dumps(value).encode())


def test_a_call_and_its_legs_are_asked_for_and_ended_at_twilio() -> None:
    at_twilio = connection()
    assert fetch_call_request(at_twilio, secrets=SECRETS, carrier_ref="CA1") == HttpRequest(
        method="GET", url=f"{TWILIO}/CA1.json", headers=BASIC
    )
    assert fetch_legs_request(at_twilio, secrets=SECRETS, carrier_ref="CA1") == HttpRequest(
        method="GET", url=f"{TWILIO}.json?ParentCallSid=CA1&PageSize=50", headers=BASIC
    )
    assert hang_up_request(at_twilio, secrets=SECRETS, carrier_ref="CA1") == HttpRequest(
        method="POST",
        url=f"{TWILIO}/CA1.json",
        headers={**BASIC, "content-type": "application/x-www-form-urlencoded"},
        body=b"Status=completed",
    )


def test_telnyx_is_asked_with_its_api_key() -> None:
    secrets = Secrets(signing="public-key", api="KEY1")
    assert fetch_call_request(connection("telnyx"), secrets=secrets, carrier_ref="v3:a/b") == HttpRequest(
        method="GET",
        url="https://api.telnyx.com/v2/texml/Accounts/AC0123/Calls/v3:a%2Fb",
        headers={"authorization": "Bearer KEY1", "accept": "application/json"},
    )
    assert fetch_legs_request(connection("telnyx"), secrets=secrets, carrier_ref="v3:a") is None


def test_a_connections_own_address_comes_first_and_none_means_nobody_to_ask() -> None:
    own = connection("own", rest_url="http://127.0.0.1:9/2010-04-01/")
    asked = fetch_call_request(own, secrets=SECRETS, carrier_ref="CA1")
    assert asked is not None
    assert asked.url == "http://127.0.0.1:9/2010-04-01/Accounts/AC0123/Calls/CA1.json"
    for nowhere in (connection("own"), connection("signalwire"), connection(account_sid="")):
        assert fetch_call_request(nowhere, secrets=SECRETS, carrier_ref="CA1") is None
        assert fetch_legs_request(nowhere, secrets=SECRETS, carrier_ref="CA1") is None
        assert hang_up_request(nowhere, secrets=SECRETS, carrier_ref="CA1") is None


@pytest.mark.parametrize(
    ("carrier", "resource", "call"),
    [
        ("twilio", {"status": "completed", "duration": "15"}, ("hung_up", 15_000)),
        ("twilio", {"status": "completed", "duration": 15, "leg_ms": 1}, ("hung_up", 15_000)),
        ("own", {"status": "completed", "duration": "15", "leg_ms": 15_730}, ("hung_up", 15_730)),
        ("twilio", {"status": "no-answer", "duration": "0"}, ("no_answer", 0)),
        ("twilio", {"status": "completed", "duration": None}, ("hung_up", None)),
        ("twilio", {"status": "completed", "duration": "soon"}, ("hung_up", None)),
        ("twilio", {"status": "completed", "duration": "9" * 19}, ("hung_up", None)),
        ("twilio", {"status": "in-progress", "duration": None}, ("live", None)),
        ("twilio", {"status": "ringing"}, ("live", None)),
    ],
)
def test_a_call_is_read_from_the_carriers_books(
    carrier: CarrierName, resource: dict[str, Any], call: tuple[Any, int | None]
) -> None:
    status, duration_ms = call
    assert read_call(DIALECTS[carrier], said(resource)) == CarrierCall(status=status, duration_ms=duration_ms)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (said({}, 404), "not_found"),
        (said({}, 401), "not_allowed"),
        (said({}, 403), "not_allowed"),
        (said({}, 503), "http_503"),
        (said({}), "unreadable"),
        (said([]), "unreadable"),
        (HttpReply(status=200, body=b"\xff"), "unreadable"),
        (HttpReply(status=200, body=b" " * (MAX_REPLY_BYTES + 1)), "unreadable"),
    ],
)
def test_what_the_carrier_cannot_say_is_unknown(reply: HttpReply, code: str) -> None:
    assert read_call(DIALECTS["twilio"], reply) == Unknown(code=code)
    assert read_legs(DIALECTS["twilio"], reply) == Unknown(code=code)


def test_legs_come_in_the_order_of_dialling() -> None:
    listed = {
        "calls": [
            {"status": "completed", "duration": "60", "date_created": "Mon, 04 May 2026 12:00:05 +0000"},
            {"status": "no-answer", "duration": "0", "date_created": "Mon, 04 May 2026 12:00:01 +0000"},
            {"status": "busy", "duration": "0", "date_created": "Mon, 04 May 2026 12:00:01 +0000"},
        ]
    }
    answered = CarrierLeg(outcome="answered", leg_ms=60_000)
    no_answer = CarrierLeg(outcome="no_answer", leg_ms=0, bridged_ms=0)
    assert read_legs(DIALECTS["twilio"], said(listed)) == (BUSY, no_answer, answered)
    assert read_legs(DIALECTS["own"], said(listed)) == (no_answer, BUSY, answered)


def test_our_own_gateways_books_are_exact() -> None:
    leg = {"status": "completed", "duration": "4", "ring_ms": 3_005, "leg_ms": 4_832, "bridged_ms": 3_828}
    assert read_legs(DIALECTS["own"], said({"calls": [leg, {**leg, "bridged_ms": 0}]})) == (
        CarrierLeg(outcome="answered", ring_ms=3_005, leg_ms=4_832, bridged_ms=3_828, precision="ms"),
        CarrierLeg(outcome="declined", ring_ms=3_005, leg_ms=4_832, bridged_ms=0, precision="ms"),
    )


@pytest.mark.parametrize(
    "listed",
    [
        {"calls": [], "next_page_uri": "/more"},
        {"calls": [{"status": "busy"}] * (MAX_LEGS + 1)},
    ],
)
def test_more_legs_than_a_call_can_have_are_unknown(listed: dict[str, Any]) -> None:
    assert read_legs(DIALECTS["twilio"], said(listed)) == Unknown(code="too_many_legs")


def test_a_call_that_is_over_was_hung_up() -> None:
    assert read_hang_up(said({}))
    assert read_hang_up(said({}, 404))
    assert read_hang_up(said({"code": 21220}, 400))
    assert not read_hang_up(said({"code": 20001}, 400))
    assert not read_hang_up(HttpReply(status=500, body=b"sorry"))
    assert not read_hang_up(HttpReply(status=500, body=b" " * (MAX_REPLY_BYTES + 1)))


OVER = CarrierCall(status="hung_up", duration_ms=75_000)
TALKED = CarrierLeg(outcome="answered", leg_ms=60_000)
BUSY = CarrierLeg(outcome="busy", leg_ms=0, bridged_ms=0)


def test_an_end_that_was_asked_for_names_every_attempts_leg() -> None:
    assert asked_end(OVER, (BUSY, TALKED), attempts=(FIRST, SECOND), at=AT) == CallEnded(
        at=AT,
        reason="hung_up",
        duration_ms=75_000,
        asked=True,
        legs=(
            LegEnded(
                at=AT,
                attempt_id=FIRST,
                outcome="busy",
                leg_ms=0,
                bridged_ms=0,
                precision="s",
                caller_gone=True,
            ),
            LegEnded(
                at=AT,
                attempt_id=SECOND,
                outcome="answered",
                leg_ms=60_000,
                precision="s",
                caller_gone=True,
            ),
        ),
    )


@pytest.mark.parametrize(
    "legs", [(TALKED,), (BUSY, TALKED, TALKED), (BUSY, CarrierLeg(outcome=None)), Unknown(code="not_found")]
)
def test_legs_that_cannot_be_told_apart_are_not_guessed(legs: tuple[CarrierLeg, ...] | Unknown) -> None:
    assert asked_end(OVER, legs, attempts=(FIRST, SECOND), at=AT) == CallEnded(
        at=AT, reason="hung_up", duration_ms=75_000, asked=True
    )


def test_a_call_that_nobody_knows_is_swept_and_a_live_one_goes_on() -> None:
    assert asked_end(Unknown(code="not_found"), (), attempts=(), at=AT) == CallEnded(
        at=AT, reason="swept", duration_ms=None, asked=True
    )
    assert asked_end(CarrierCall(status="live", duration_ms=None), (), attempts=(), at=AT) is None


@given(
    st.integers(100, 599), st.binary(max_size=80) | st.sampled_from([b'{"calls": [{}]}', b'{"status": ""}'])
)
def test_no_reply_breaks_the_reader(status: int, body: bytes) -> None:
    reply = HttpReply(status=status, body=body)
    assert isinstance(read_call(DIALECTS["own"], reply), Unknown | CarrierCall)
    assert isinstance(read_legs(DIALECTS["own"], reply), Unknown | tuple)
    assert isinstance(read_hang_up(reply), bool)
