"""What carriers report, as the call's events."""

import pytest
from carrier_samples import AT, CALL
from hypothesis import given
from hypothesis import strategies as st

from callmatrix.core.call.events import (
    AcceptanceEntered,
    CallEnded,
    DigitsEntered,
    EndedBy,
    GatherTimedOut,
    LegAnswered,
    LegEnded,
    LegReported,
    LegRinging,
    Outcome,
    RecordingReady,
    VoicemailEnded,
)
from callmatrix.core.errors import Refused
from callmatrix.core.ids import AttemptId, ConnectionId
from callmatrix.dialects.carriers.dialect import DIALECTS, CarrierName
from callmatrix.dialects.carriers.twiml import (
    MAX_DIALED_CHARS,
    Arrival,
    CallbackEvent,
    carrier_ref,
    parse_arrival,
    parse_callback,
    parse_status,
)
from callmatrix.dialects.carriers.urls import Callback, CallbackKind

ATTEMPT = AttemptId("call_01-2")
DRAW = 42


def reported(
    kind: CallbackKind, params: dict[str, str], *, carrier: CarrierName = "twilio", key: int = 2
) -> CallbackEvent | None:
    callback = Callback(connection_id=ConnectionId("con_1"), call_id=CALL, kind=kind, key=key)
    return parse_callback(DIALECTS[carrier], callback, params, at=AT, draw=DRAW)


def refusal(kind: CallbackKind, params: dict[str, str]) -> str:
    with pytest.raises(Refused) as caught:
        reported(kind, params)
    assert caught.value.code == "malformed"
    return caught.value.detail


ARRIVAL = {"CallSid": "CA1", "From": "+14155550100", "To": "+12125550100", "CallStatus": "ringing"}


def test_an_arrival_says_who_calls_whom() -> None:
    params = {**ARRIVAL, "StirVerstat": "TN-Validation-Passed-A"}
    assert parse_arrival(DIALECTS["twilio"], params) == Arrival(
        caller="+14155550100", dialed="+12125550100", carrier_ref="CA1", attestation="A"
    )


@pytest.mark.parametrize(
    ("text", "caller"),
    [
        ("+14155550100", "+14155550100"),
        ("4155550100", "+14155550100"),
        ("sip:+14155550100@pbx.example", "+14155550100"),
        ("+266696687", None),
        ("anonymous", None),
        ("Restricted", None),
        ("", None),
        ("sip:sales@pbx.example", None),
        ("client:jenny", None),
    ],
)
def test_a_caller_is_a_number_or_nobody(text: str, caller: str | None) -> None:
    assert parse_arrival(DIALECTS["twilio"], {**ARRIVAL, "From": text}).caller == caller


@pytest.mark.parametrize(
    ("carrier", "name", "text", "attestation"),
    [
        ("twilio", "StirVerstat", "TN-Validation-Passed-B", "B"),
        ("twilio", "StirVerstat", "TN-Validation-Passed-C-Diverted", "C"),
        ("twilio", "StirVerstat", "TN-Validation-Passed-A-Passthrough", "A"),
        ("twilio", "StirVerstat", "TN-Validation-Failed-A", "failed"),
        ("twilio", "StirVerstat", "TN-Validation-Failed", "failed"),
        ("twilio", "StirVerstat", "No-TN-Validation", "none"),
        ("twilio", "StirVerstat", "TN-Validation-Passed-Z", "none"),
        ("twilio", "ShakenStirAttestation", "A", "none"),
        ("own", "StirVerstat", "TN-Validation-Passed-A", "A"),
        ("telnyx", "ShakenStirAttestation", "B", "B"),
        ("telnyx", "StirVerstat", "TN-Validation-Passed-A", "none"),
        ("somleng", "StirVerstat", "TN-Validation-Passed-A", "none"),
        ("signalwire", "StirVerstat", "TN-Validation-Passed-A", "none"),
    ],
)
def test_an_attestation_is_read_where_the_carrier_puts_it(
    carrier: CarrierName, name: str, text: str, attestation: str
) -> None:
    assert parse_arrival(DIALECTS[carrier], {**ARRIVAL, name: text}).attestation == attestation


def test_a_dialled_address_that_is_no_number_is_kept_as_it_came() -> None:
    arrival = parse_arrival(DIALECTS["twilio"], {**ARRIVAL, "To": "sip:sales@x.example" + "x" * 100})
    assert arrival.dialed == ("sip:sales@x.example" + "x" * 100)[:MAX_DIALED_CHARS]
    assert parse_arrival(DIALECTS["own"], {**ARRIVAL, "To": "sip:+12125550100@us.example"}).dialed == (
        "+12125550100"
    )


@pytest.mark.parametrize(
    ("changed", "detail"),
    [
        ({"CallSid": ""}, "CallSid is missing"),
        ({"To": ""}, "To is missing"),
        ({"CallSid": "x" * 129}, "CallSid is longer than 128 or not printable"),
        ({"CallSid": "a\n"}, "CallSid is longer than 128 or not printable"),
    ],
)
def test_an_arrival_without_its_names_is_refused(changed: dict[str, str], detail: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_arrival(DIALECTS["twilio"], {**ARRIVAL, **changed})
    assert (caught.value.code, caught.value.detail) == ("malformed", detail)


def test_keys_answer_the_gather_of_their_address() -> None:
    assert reported("gather", {"Digits": "94105"}, key=7) == DigitsEntered(
        at=AT, draw=DRAW, turn=7, digits="94105"
    )


@pytest.mark.parametrize("params", [{"Digits": ""}, {}])
def test_no_keys_are_a_gather_that_timed_out(params: dict[str, str]) -> None:
    assert reported("gather", params, key=7) == GatherTimedOut(at=AT, draw=DRAW, turn=7)


@pytest.mark.parametrize("digits", ["12a", "١", "1" * 65, " "])
def test_what_no_telephone_has_is_refused(digits: str) -> None:
    for kind in ("gather", "accept"):
        assert refusal(kind, {"Digits": digits}) == "Digits is not made of at most 64 keys"


def test_the_buyers_keys_are_an_answer_and_so_is_silence() -> None:
    for digits in ("1", "#", ""):
        assert reported("accept", {"Digits": digits}) == AcceptanceEntered(
            at=AT, attempt_id=ATTEMPT, digits=digits
        )


def test_a_leg_rings_and_is_answered() -> None:
    assert reported("leg", {"CallStatus": "ringing"}) == LegRinging(at=AT, attempt_id=ATTEMPT)
    assert reported("leg", {"CallStatus": "in-progress"}) == LegAnswered(at=AT, attempt_id=ATTEMPT)
    assert reported("whisper", {}) == LegAnswered(at=AT, attempt_id=ATTEMPT)


@pytest.mark.parametrize("status", ["initiated", "queued", ""])
def test_a_leg_that_only_begins_is_nothing(status: str) -> None:
    assert reported("leg", {"CallStatus": status}) is None


@pytest.mark.parametrize(
    ("carrier", "params", "leg"),
    [
        (
            "twilio",
            {"CallStatus": "completed", "CallDuration": "61", "SipResponseCode": "200"},
            LegEnded(
                at=AT, attempt_id=ATTEMPT, outcome="answered", leg_ms=61_000, precision="s", sip_code=200
            ),
        ),
        (
            "twilio",
            {"CallStatus": "busy", "CallDuration": "0", "SipResponseCode": "486"},
            LegEnded(
                at=AT,
                attempt_id=ATTEMPT,
                outcome="busy",
                leg_ms=0,
                bridged_ms=0,
                precision="s",
                sip_code=486,
            ),
        ),
        (
            "own",
            {"CallStatus": "completed", "DialRingMs": "900", "DialLegMs": "61500", "DialBridgedMs": "58250"},
            LegEnded(
                at=AT,
                attempt_id=ATTEMPT,
                outcome="answered",
                ring_ms=900,
                leg_ms=61_500,
                bridged_ms=58_250,
                precision="ms",
            ),
        ),
        (
            "own",
            {"CallStatus": "completed", "DialRingMs": "900", "DialLegMs": "2500", "DialBridgedMs": "0"},
            LegEnded(
                at=AT,
                attempt_id=ATTEMPT,
                outcome="declined",
                ring_ms=900,
                leg_ms=2_500,
                bridged_ms=0,
                precision="ms",
            ),
        ),
    ],
)
def test_a_legs_own_last_word_is_kept_for_want_of_a_better(
    carrier: CarrierName, params: dict[str, str], leg: LegEnded
) -> None:
    assert reported("leg", params, carrier=carrier) == LegReported(at=AT, leg=leg)


def test_our_own_gateway_times_a_leg_to_the_millisecond() -> None:
    params = {
        "CallStatus": "in-progress",
        "DialCallStatus": "completed",
        "DialBridged": "true",
        "DialCallDuration": "4",
        "DialRingMs": "3005",
        "DialLegMs": "4832",
        "DialBridgedMs": "3828",
        "DialSipResponseCode": "200",
    }
    assert reported("dial", params, carrier="own") == LegEnded(
        at=AT,
        attempt_id=ATTEMPT,
        outcome="answered",
        ring_ms=3_005,
        leg_ms=4_832,
        bridged_ms=3_828,
        precision="ms",
        ended_by="buyer",
        sip_code=200,
    )
    assert reported("dial", params, carrier="twilio") == LegEnded(
        at=AT,
        attempt_id=ATTEMPT,
        outcome="answered",
        leg_ms=4_000,
        precision="s",
        ended_by="buyer",
        sip_code=200,
    )


def ended(
    outcome: Outcome, *, s: int = 0, bridged: bool = False, by: EndedBy = "unknown", gone: bool = False
) -> LegEnded:
    return LegEnded(
        at=AT,
        attempt_id=ATTEMPT,
        outcome=outcome,
        leg_ms=s * 1_000,
        bridged_ms=None if bridged else 0,
        precision="s",
        ended_by=by,
        caller_gone=gone,
    )


HERE, GONE = "in-progress", "completed"


@pytest.mark.parametrize(
    ("call", "status", "bridged", "duration", "expected"),
    [
        (HERE, "completed", "true", "61", ended("answered", s=61, bridged=True, by="buyer")),
        (GONE, "completed", "true", "61", ended("answered", s=61, bridged=True, by="caller", gone=True)),
        (HERE, "completed", "false", "9", ended("declined", s=9, by="buyer")),
        (GONE, "completed", "false", "9", ended("canceled", s=9, by="caller", gone=True)),
        # A carrier that does not say whether it bridged: the core knows about the acceptance.
        (HERE, "completed", "", "61", ended("answered", s=61, bridged=True, by="buyer")),
        (HERE, "answered", "", "5", ended("answered", s=5, bridged=True, by="buyer")),
        (HERE, "busy", "false", "0", ended("busy")),
        (HERE, "no-answer", "false", "", ended("no_answer")),
        (GONE, "no-answer", "false", "", ended("canceled", by="caller", gone=True)),
        ("no-answer", "canceled", "", "", ended("canceled", by="caller", gone=True)),
        (HERE, "failed", "", "", ended("failed")),
        (HERE, "in-progress", "", "", ended("failed")),
        (HERE, "ringing", "", "", ended("failed")),
        (GONE, "busy", "", "", ended("busy", by="caller", gone=True)),
    ],
)
def test_a_dial_ends_as_its_carrier_says(
    call: str, status: str, bridged: str, duration: str, expected: LegEnded
) -> None:
    params = {"CallStatus": call, "DialCallStatus": status}
    params |= {"DialBridged": bridged} if bridged else {}
    params |= {"DialCallDuration": duration} if duration else {}
    assert reported("dial", params) == expected


def test_an_answered_leg_without_a_duration_can_not_be_timed() -> None:
    assert reported("dial", {"CallStatus": HERE, "DialCallStatus": "completed"}) == LegEnded(
        at=AT, attempt_id=ATTEMPT, outcome="answered", precision="none", ended_by="buyer"
    )


def test_telnyx_says_who_hung_up() -> None:
    params = {"CallStatus": "completed", "CallDuration": "31", "HangupSource": "caller"}
    assert parse_status(DIALECTS["telnyx"], params, at=AT) == CallEnded(
        at=AT, reason="hung_up", duration_ms=31_000, ended_by="caller"
    )


@pytest.mark.parametrize(
    ("params", "detail"),
    [
        ({}, "DialCallStatus is missing"),
        ({"DialCallStatus": "eaten"}, "DialCallStatus 'eaten' is unknown"),
        ({"DialCallStatus": "completed", "DialCallDuration": "-1"}, "DialCallDuration is not a whole number"),
        (
            {"DialCallStatus": "completed", "DialCallDuration": "9" * 10},
            "DialCallDuration is not a whole number",
        ),
        ({"DialCallStatus": "busy", "DialSipResponseCode": "x"}, "DialSipResponseCode is not a whole number"),
    ],
)
def test_a_dial_that_makes_no_sense_is_refused(params: dict[str, str], detail: str) -> None:
    assert refusal("dial", params) == detail


def test_recordings_belong_to_a_bridge_or_to_a_message() -> None:
    params = {
        "RecordingStatus": "completed",
        "RecordingUrl": "https://api.example/RE1",
        "RecordingDuration": "12",
    }
    ready = RecordingReady(at=AT, url="https://api.example/RE1", duration_s=12, attempt_id=ATTEMPT)
    assert reported("recording", params) == ready
    assert reported("voicemail", params, key=0) == RecordingReady(
        at=AT, url="https://api.example/RE1", duration_s=12
    )
    assert reported("recording", {**params, "RecordingStatus": "absent"}) is None
    assert reported("recording", {**params, "RecordingStatus": "in-progress"}) is None
    assert refusal("recording", {**params, "RecordingUrl": "file:///x"}) == (
        "RecordingUrl is not an http address"
    )
    assert refusal("recording", {**params, "RecordingUrl": ""}) == "RecordingUrl is missing"


def test_a_message_ends_with_or_without_words() -> None:
    assert reported("record", {"RecordingDuration": "9", "Digits": "hangup"}, key=0) == VoicemailEnded(
        at=AT, duration_s=9
    )
    assert reported("record", {}, key=0) == VoicemailEnded(at=AT)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("completed", "hung_up"),
        ("busy", "busy"),
        ("failed", "failed"),
        ("no-answer", "no_answer"),
        ("canceled", "canceled"),
    ],
)
def test_a_call_ends_with_the_carriers_duration(status: str, reason: str) -> None:
    params = {"CallSid": "CA1", "CallStatus": status, "CallDuration": "75"}
    assert reported("status", params, key=0) == CallEnded(at=AT, reason=reason, duration_ms=75_000)
    assert parse_status(DIALECTS["twilio"], params, at=AT) == reported("status", params, key=0)
    assert carrier_ref(params) == "CA1"


def test_a_call_that_goes_on_has_not_ended() -> None:
    for status in ("ringing", "in-progress", "queued", ""):
        assert reported("status", {"CallStatus": status}) is None


def test_a_call_whose_duration_is_missing_is_not_given_one() -> None:
    assert reported("status", {"CallStatus": "completed"}) == CallEnded(
        at=AT, reason="hung_up", duration_ms=None
    )


@given(
    kind=st.sampled_from(["gather", "dial", "leg", "whisper", "accept", "record", "recording", "status"]),
    carrier=st.sampled_from(sorted(DIALECTS)),
    params=st.dictionaries(
        st.sampled_from(
            ["CallStatus", "DialCallStatus", "Digits", "CallDuration", "DialLegMs", "RecordingUrl"]
        ),
        st.sampled_from(["", "completed", "busy", "1", "-1", "https://x.example"]) | st.text(max_size=5),
    ),
)
def test_whatever_is_reported_is_an_event_nothing_or_malformed(
    kind: CallbackKind, carrier: CarrierName, params: dict[str, str]
) -> None:
    try:
        event = reported(kind, params, carrier=carrier)
    except Refused as refused:
        code = refused.code
    else:
        code = "" if event is None else type(event).__name__
    assert code in {
        "",
        "malformed",
        "GatherTimedOut",
        "DigitsEntered",
        "LegEnded",
        "LegRinging",
        "LegAnswered",
        "LegReported",
        "AcceptanceEntered",
        "VoicemailEnded",
        "RecordingReady",
        "CallEnded",
    }
