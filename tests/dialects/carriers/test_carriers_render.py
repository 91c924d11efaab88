"""What carriers are told, whole documents compared."""

import xml.etree.ElementTree as ElementTree

import pytest
from carrier_orders import orders
from carrier_samples import CALL, ROOT, connect, connection
from hypothesis import given
from hypothesis import strategies as st

from callmatrix.core.call.commands import (
    AskAcceptance,
    Bridge,
    CarrierOrder,
    GatherDigits,
    HangUp,
    Record,
    Reject,
)
from callmatrix.core.campaign import SipDestination
from callmatrix.core.flow import Gather, Play, Say
from callmatrix.core.ids import AttemptId
from callmatrix.dialects.carriers.dialect import DIALECTS, CarrierName
from callmatrix.dialects.carriers.render import (
    MAX_SAY_CHARS,
    MAX_TWIML_BYTES,
    NOTHING,
    failsafe,
    render,
    unknown_number,
)

HEAD = '<?xml version="1.0" encoding="UTF-8"?><Response>'
LEG = f'statusCallback="{ROOT}/leg/2" statusCallbackMethod="POST" statusCallbackEvent='
RECORDING = (
    f'recordingStatusCallback="{ROOT}/recording/2" recordingStatusCallbackMethod="POST" '
    'recordingStatusCallbackEvent="completed"'
)


def rendered(carrier: CarrierName, *orders: CarrierOrder) -> str:
    document = render(DIALECTS[carrier], orders, connection=connection(carrier), call_id=CALL).decode()
    assert document.startswith(HEAD)
    assert document.endswith("</Response>")
    return document.removeprefix(HEAD).removesuffix("</Response>")


MENU = GatherDigits(
    turn=3,
    gather=Gather(
        prompts=(Say(text="Press 1 for <sales> & more."), Play(url="https://a.example/x?a=1&b=2")),
        timeout_s=5,
        max_digits=1,
    ),
)
MENU_DOCUMENT = (
    f'<Gather input="dtmf" action="{ROOT}/gather/3" method="POST" actionOnEmptyResult="true" timeout="5" '
    'numDigits="1" finishOnKey="" bargeIn="true">'
    '<Say language="en-US">Press 1 for &lt;sales&gt; &amp; more.</Say>'
    "<Play>https://a.example/x?a=1&amp;b=2</Play></Gather>"
)
REPORTED_SILENCE = f'<Redirect method="POST">{ROOT}/gather/3</Redirect>'


@pytest.mark.parametrize(
    ("carrier", "document"),
    [
        ("twilio", MENU_DOCUMENT),
        ("own", MENU_DOCUMENT),
        ("signalwire", MENU_DOCUMENT),
        ("telnyx", MENU_DOCUMENT + REPORTED_SILENCE),
        ("somleng", MENU_DOCUMENT),
    ],
)
def test_a_gather_reports_silence_on_every_carrier(carrier: CarrierName, document: str) -> None:
    assert rendered(carrier, MENU) == document


TWILIO_DIAL = (
    f'<Dial action="{ROOT}/dial/2" method="POST" timeout="25" timeLimit="3600" callerId="+12125550100" '
    f'answerOnBridge="true" record="record-from-answer-dual" {RECORDING}>'
    f'<Number url="{ROOT}/whisper/2" method="POST" {LEG}"ringing completed">+14155550123</Number></Dial>'
)
TELNYX_DIAL = (
    f'<Dial action="{ROOT}/dial/2" method="POST" timeout="25" timeLimit="3600" callerId="+12125550100" '
    f'record="record-from-answer" {RECORDING}>'
    f'<Number url="{ROOT}/whisper/2" method="POST" {LEG}"ringing completed">+14155550123</Number></Dial>'
)
SOMLENG_DIAL = (
    f'<Dial action="{ROOT}/dial/2" method="POST" timeout="25" timeLimit="3600" callerId="+12125550100">'
    "<Number>+14155550123</Number></Dial>"
)


@pytest.mark.parametrize(
    ("carrier", "document"),
    [
        ("twilio", TWILIO_DIAL),
        ("own", TWILIO_DIAL),
        ("signalwire", TWILIO_DIAL),
        ("telnyx", TELNYX_DIAL),
        ("somleng", SOMLENG_DIAL),
    ],
)
def test_a_dial_asks_of_a_carrier_only_what_it_honours(carrier: CarrierName, document: str) -> None:
    assert rendered(carrier, connect(whisper=True, record=True)) == document


def test_a_leg_without_a_whisper_reports_its_answer() -> None:
    assert rendered("twilio", connect()) == (
        f'<Dial action="{ROOT}/dial/2" method="POST" timeout="25" timeLimit="3600" callerId="+12125550100" '
        f'answerOnBridge="true"><Number {LEG}"ringing answered completed">+14155550123</Number></Dial>'
    )


def test_times_outside_the_carriers_limits_are_brought_inside() -> None:
    document = rendered("twilio", connect(ring_timeout_s=1, time_limit_s=3))
    assert 'timeout="5" timeLimit="60"' in document
    document = rendered("telnyx", connect(ring_timeout_s=500, time_limit_s=99_999))
    assert 'timeout="120" timeLimit="14400"' in document


@pytest.mark.parametrize(
    ("carrier", "uri", "address"),
    [
        ("twilio", "sip:a@b.example", "sip:a@b.example?X-Lead=7%26%20up"),
        ("signalwire", "sip:a@b.example", "sip:a@b.example;transport=udp?X-Lead=7%26%20up"),
        ("signalwire", "sip:a@b.example;transport=tcp", "sip:a@b.example;transport=tcp?X-Lead=7%26%20up"),
        ("signalwire", "sips:a@b.example", "sips:a@b.example?X-Lead=7%26%20up"),
        ("own", "sip:a@b.example?X-A=1", "sip:a@b.example?X-A=1&amp;X-Lead=7%26%20up"),
    ],
)
def test_a_sip_address_carries_its_transport_and_headers(
    carrier: CarrierName, uri: str, address: str
) -> None:
    destination = SipDestination(uri=uri, headers={"X-Lead": "7& up"})
    assert f">{address}</Sip></Dial>" in rendered(carrier, connect(destination=destination))


def test_a_buyer_who_stays_silent_is_hung_up_on() -> None:
    ask = AskAcceptance(attempt_id=AttemptId("call_01-2"), prompt="Press 1.", timeout_s=8)
    assert rendered("twilio", Say(text="A lead."), ask) == (
        '<Say language="en-US">A lead.</Say>'
        f'<Gather input="dtmf" action="{ROOT}/accept/2" method="POST" actionOnEmptyResult="true" '
        'timeout="8" numDigits="1" finishOnKey=""><Say language="en-US">Press 1.</Say></Gather><Hangup/>'
    )


def test_a_bridge_is_the_end_of_the_whisper() -> None:
    assert rendered("twilio", Bridge()) == ""
    assert rendered("twilio", Say(text="A lead.", language="es-US"), Bridge()) == (
        '<Say language="es-US">A lead.</Say>'
    )


def test_a_message_of_mere_silence_is_reported_too() -> None:
    assert rendered("twilio", Record(max_s=90)) == (
        f'<Record action="{ROOT}/record/0" method="POST" maxLength="90" timeout="5" playBeep="true" '
        f'finishOnKey="#" recordingStatusCallback="{ROOT}/voicemail/0" recordingStatusCallbackMethod="POST" '
        f'recordingStatusCallbackEvent="completed"/><Redirect method="POST">{ROOT}/record/0</Redirect>'
    )


def test_a_call_is_refused_or_ended() -> None:
    assert rendered("twilio", Reject(reason="busy")) == '<Reject reason="busy"/>'
    assert rendered("twilio", HangUp()) == "<Hangup/>"
    assert NOTHING.decode() == f"{HEAD}</Response>"


def test_a_public_address_under_a_folder_keeps_it() -> None:
    under = connection(public_base_url="https://x.example/calls/")
    document = render(DIALECTS["twilio"], (MENU,), connection=under, call_id=CALL).decode()
    assert 'action="https://x.example/calls/voice/con_1/call_01/gather/3"' in document


def test_the_failsafe_dials_the_number_of_the_connection() -> None:
    assert failsafe(connection(failsafe_number="+14155550199")).decode() == (
        f'{HEAD}<Dial answerOnBridge="true" timeout="30" timeLimit="3600">'
        "<Number>+14155550199</Number></Dial></Response>"
    )


def test_the_failsafe_without_a_number_and_an_unknown_number_are_polite() -> None:
    for document in (failsafe(connection()), unknown_number()):
        say, hangup = ElementTree.fromstring(document)
        assert (say.tag, hangup.tag) == ("Say", "Hangup")
        assert say.text is not None
        assert say.text.startswith("We are sorry.")


@given(st.sampled_from(sorted(DIALECTS)), st.lists(orders(), max_size=6))
def test_any_orders_make_a_well_formed_document(
    carrier: CarrierName, given_orders: list[CarrierOrder]
) -> None:
    document = render(DIALECTS[carrier], tuple(given_orders), connection=connection(carrier), call_id=CALL)
    assert ElementTree.fromstring(document).tag == "Response"
    assert len(document) <= MAX_TWIML_BYTES


@given(st.text())
def test_what_is_said_is_the_text_without_what_xml_cannot_hold(text: str) -> None:
    document = render(DIALECTS["twilio"], (Say(text=f"x{text}"),), connection=connection(), call_id=CALL)
    said = ElementTree.fromstring(document)[0].text
    assert said is not None
    assert said == "x" + "".join(
        character
        for character in text[: MAX_SAY_CHARS - 1]
        if character in "\t\n" or (character >= " " and character not in "\ufffe\uffff")
    )


def test_half_a_character_is_left_out() -> None:
    assert rendered("twilio", Say(text="a\ud800b\x00c")) == '<Say language="en-US">abc</Say>'
    assert rendered("twilio", Say(text=" \x07 ")) == ""


def test_speech_yields_where_a_document_would_be_too_large() -> None:
    talk = tuple(Say(text="&" * MAX_SAY_CHARS) for _ in range(20))
    document = render(DIALECTS["twilio"], (*talk, HangUp()), connection=connection(), call_id=CALL)
    assert document.decode() == f"{HEAD}<Hangup/></Response>"
