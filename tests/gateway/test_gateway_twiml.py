import pytest

from callmatrix.gateway.twiml import (
    MAX_TWIML_BYTES,
    Destination,
    Dial,
    Gather,
    Hangup,
    MalformedTwiml,
    Pause,
    Play,
    Record,
    Redirect,
    Reject,
    Say,
    parse,
)


def test_every_verb_reads_with_twilio_s_defaults() -> None:
    document = b"""<?xml version="1.0" encoding="UTF-8"?>
    <Response>
      <Say>Hello   there</Say><Play>/a.wav</Play><Pause/>
      <Gather/><Dial>+12135550111</Dial><Record/><Redirect>/next</Redirect><Reject/><Hangup/>
    </Response>"""
    assert parse(document) == (
        Say(text="Hello there"),
        Play(url="/a.wav"),
        Pause(length_ms=1_000),
        Gather(
            prompts=(),
            num_digits=None,
            timeout_ms=5_000,
            finish_on_key="#",
            action="",
            method="POST",
            action_on_empty_result=False,
            barge_in=True,
            keys_count=True,
        ),
        Dial(
            destination=Destination(
                noun="Number",
                address="+12135550111",
                whisper_url="",
                whisper_method="POST",
                status_url="",
                status_method="POST",
                status_events=frozenset(),
            ),
            action=None,
            method="POST",
            timeout_ms=30_000,
            time_limit_ms=14_400_000,
            caller_id="",
            answer_on_bridge=False,
            hangup_on_star=False,
            record="",
            record_channels=1,
            recording_url="",
            recording_method="POST",
            recording_events=frozenset({"completed"}),
        ),
        Record(
            action="",
            method="POST",
            timeout_ms=5_000,
            max_length_ms=3_600_000,
            finish_on_key="1234567890*#",
            play_beep=True,
            recording_url="",
            recording_method="POST",
            recording_events=frozenset({"completed"}),
        ),
        Redirect(url="/next", method="POST"),
        Reject(reason="rejected"),
        Hangup(),
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 12100),
        (b"<Response>", 12100),
        (b"\xff\xfe<Response/>", 12100),
        (b'<!DOCTYPE r [<!ENTITY a "b">]><Response><Say>&a;</Say></Response>', 12100),
        (b'<?xml version="1.0"?>\n<!doctype r><Response/>', 12100),
        (b"<Response>" + b" " * MAX_TWIML_BYTES + b"</Response>", 11750),
        (b"<Reply/>", 12200),
        (b"<Response><Conference/></Response>", 12200),
        (b"<Response><Gather><Dial>1</Dial></Gather></Response>", 12200),
        (b'<Response><Gather timeout="soon"/></Response>', 12200),
        (b'<Response><Gather method="PUT"/></Response>', 12200),
        (b'<Response><Dial answerOnBridge="yes">1</Dial></Response>', 12200),
        (b"<Response><Dial/></Response>", 12200),
        (b"<Response><Dial><Number>1</Number><Number>2</Number></Dial></Response>", 12200),
        (b"<Response><Dial><Queue>a</Queue></Dial></Response>", 12200),
        (b'<Response><Dial record="always">1</Dial></Response>', 12200),
        (b'<Response><Dial><Number statusCallbackEvent="ended">1</Number></Dial></Response>', 12200),
        (b'<Response><Reject reason="spam"/></Response>', 12200),
        (b"<Response>" + b"<Hangup/>" * 201 + b"</Response>", 12200),
    ],
)
def test_a_document_that_a_carrier_would_not_execute_is_refused_by_twilio_s_code(
    body: bytes, code: int
) -> None:
    with pytest.raises(MalformedTwiml) as refused:
        parse(body)
    assert refused.value.code == code
