from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from aiohttp import web
from customer import (
    ACCOUNT,
    BUYER,
    CALLER,
    DIALED,
    START_MS,
    TOKEN,
    Application,
    CarrierOf,
    buyers,
    plain,
    script,
)
from twilio.request_validator import RequestValidator

from callmatrix.gateway.callers import (
    Answers,
    Behaviour,
    Busy,
    Fails,
    Press,
    RingsOnly,
    Silence,
    accepts,
    presses,
)
from callmatrix.gateway.carrier import Number
from callmatrix.gateway.records import CallRecord, LegRecord, Posted, Recording, Step, WebhookKind

MENU = '<Gather numDigits="1" action="/menu"><Say>Press one</Say></Gather>'  # the prompt lasts 540 ms
LEG_EVENTS = 'statusCallback="/leg" statusCallbackEvent="initiated ringing answered completed"'


def dial(noun: str = f"<Number>{BUYER}</Number>", **attributes: str) -> str:
    texts = {"action": "/after", "timeout": "20", "timeLimit": "3600", "answerOnBridge": "true"} | attributes
    written = " ".join(f'{name}="{text}"' for name, text in texts.items())
    return f"<Dial {written}>{noun}</Dial>"


async def test_a_call_through_menu_whisper_and_bridge_leaves_one_exact_record(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {
        "/voice": f"{MENU}<Say>Bye</Say>",
        "/menu": dial(f'<Number url="/whisper" {LEG_EVENTS}>{BUYER}</Number>'),
        "/whisper": '<Gather numDigits="1" action="/accept"><Say>A call</Say></Gather><Hangup/>',
        "/accept": "",
        "/after": "<Hangup/>",
    }
    carrier = carrier_of(behaviour=buyers(accepts(after_ms=4_000, talk_ms=61_900)))
    record = await carrier.place_call(script(entries=presses("1", after_ms=2_000)))

    def posted(at_ms: int, kind: WebhookKind, path: str, status: int = 200) -> Posted:
        return Posted(at_ms=at_ms, took_ms=0, kind=kind, url=path, status=status)

    assert plain(record, application.base) == CallRecord(
        sid="",
        number=CALLER,
        dialed=DIALED,
        started_at=datetime.fromtimestamp(START_MS / 1000, UTC),
        status="completed",
        ended_by="document",
        answered_ms=0,
        duration_ms=69_260,
        total_ms=69_260,
        steps=(
            Step(at_ms=0, line="caller", what="Gather"),
            Step(at_ms=0, line="caller", what="Say", detail="Press one"),
            Step(at_ms=2_000, line="caller", what="Digits", detail="1"),
            Step(at_ms=2_000, line="caller", what="Dial", detail=BUYER),
            Step(at_ms=6_000, line="leg 1", what="Gather"),
            Step(at_ms=6_000, line="leg 1", what="Say", detail="A call"),
            Step(at_ms=7_360, line="leg 1", what="Digits", detail="1"),
            Step(at_ms=7_360, line="leg 1", what="Bridge"),
            Step(at_ms=69_260, line="caller", what="Hangup"),
        ),
        legs=(
            LegRecord(
                sid="",
                destination=BUYER,
                caller_id=CALLER,
                started_ms=2_000,
                status="completed",
                sip_code=200,
                ring_ms=4_000,
                leg_ms=63_260,
                bridged_ms=61_900,
                bridged=True,
                ended_by="buyer",
            ),
        ),
        recordings=(),
        webhooks=(
            posted(0, "voice", "/voice?key=1"),
            posted(2_000, "action", "/menu"),
            posted(2_000, "leg", "/leg", 204),
            posted(2_000, "leg", "/leg", 204),
            posted(6_000, "leg", "/leg", 204),
            posted(6_000, "whisper", "/whisper"),
            posted(7_360, "action", "/accept"),
            posted(69_260, "leg", "/leg", 204),
            posted(69_260, "action", "/after"),
            posted(69_260, "status", "/status", 204),
        ),
        errors=(),
    )


async def test_the_parameters_are_twilio_s_and_the_milliseconds_are_ours(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {
        "/voice": dial(f"<Number {LEG_EVENTS}>{BUYER}</Number>", callerId=DIALED),
        "/after": "",
    }
    carrier = carrier_of(behaviour=buyers(Answers(after_ms=1_234, talk_ms=61_999)))
    record = await carrier.place_call(script(attestation="B"))
    caller = {
        "CallSid": record.sid,
        "AccountSid": ACCOUNT,
        "From": CALLER,
        "To": DIALED,
        "Caller": CALLER,
        "Called": DIALED,
        "CallStatus": "ringing",
        "Direction": "inbound",
        "ApiVersion": "2010-04-01",
        "StirVerstat": "TN-Validation-Passed-B",
        "FromCity": "",
        "FromState": "",
        "FromZip": "",
        "FromCountry": "US",
    }
    leg = record.legs[0].sid
    lengths = {"DialRingMs": "1234", "DialLegMs": "61999", "DialBridgedMs": "61999"}
    assert application.to("/voice") == [caller]
    assert application.to("/after") == [
        caller
        | lengths
        | {
            "CallStatus": "in-progress",
            "DialCallStatus": "completed",
            "DialCallSid": leg,
            "DialCallDuration": "61",
            "DialBridged": "true",
        }
    ]
    callee = {
        "CallSid": leg,
        "ParentCallSid": record.sid,
        "AccountSid": ACCOUNT,
        "From": DIALED,
        "To": BUYER,
        "Caller": DIALED,
        "Called": BUYER,
        "Direction": "outbound-dial",
        "ApiVersion": "2010-04-01",
        "CallbackSource": "call-progress-events",
    }
    began, answered, ended = (
        "Mon, 21 Sep 2026 14:13:20 +0000",
        "Mon, 21 Sep 2026 14:13:21 +0000",
        "Mon, 21 Sep 2026 14:14:23 +0000",
    )
    assert application.to("/leg") == [
        callee | {"CallStatus": "initiated", "SequenceNumber": "0", "Timestamp": began},
        callee | {"CallStatus": "ringing", "SequenceNumber": "1", "Timestamp": began},
        callee
        | {
            "CallStatus": "in-progress",
            "SequenceNumber": "2",
            "Timestamp": answered,
            "SipResponseCode": "200",
        },
        callee
        | lengths
        | {
            "CallStatus": "completed",
            "SequenceNumber": "3",
            "Timestamp": ended,
            "SipResponseCode": "200",
            "CallDuration": "61",
            "Duration": "2",
        },
    ]
    assert application.to("/status") == [
        caller
        | {
            "CallStatus": "completed",
            "SequenceNumber": "0",
            "CallbackSource": "call-progress-events",
            "Timestamp": ended,
            "CallDuration": "61",
            "Duration": "2",
        }
    ]
    assert (len(record.sid), record.sid[:2]) == (34, "CA")


async def test_every_request_carries_a_signature_that_twilio_s_own_code_accepts(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {
        "/voice": '<Gather numDigits="1" action="/menu?a=b%20c&amp;d=é" method="GET"><Say>One</Say></Gather>',
        "/menu": dial(f'<Number url="/whisper?x=1" {LEG_EVENTS}>{BUYER}</Number>', record="true"),
        "/whisper": "<Say>A call</Say>",
        "/after": "",
    }
    carrier = carrier_of(behaviour=buyers(Answers(talk_ms=5_000)))
    await carrier.place_call(script(entries=presses("1")))
    validator = RequestValidator(TOKEN)
    verdicts = {
        (
            request.path,
            request.method,
            validator.validate(
                request.url,
                request.params if request.method == "POST" else {},
                request.headers["X-Twilio-Signature"],
            ),
        )
        for request in application.received
    }
    assert verdicts == {
        ("/voice", "POST", True),
        ("/menu", "GET", True),
        ("/leg", "POST", True),
        ("/whisper", "POST", True),
        ("/after", "POST", True),
        ("/status", "POST", True),
    }


async def test_a_gather_without_keys_falls_through_to_the_next_verb(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {"/voice": f"{MENU}<Say>Bye</Say>"}
    record = await carrier_of().place_call(script(entries=(Silence(),)))
    assert [(step.at_ms, step.what, step.detail) for step in record.steps] == [
        (0, "Gather", ""),
        (0, "Say", "Press one"),
        (5_540, "Say", "Bye"),
    ]
    assert (record.total_ms, application.to("/menu")) == (5_720, [])


async def test_action_on_empty_result_posts_empty_digits_after_the_timeout(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {
        "/voice": '<Gather timeout="3" actionOnEmptyResult="true" action="/menu"/><Say>Never</Say>',
        "/menu": "",
    }
    record = await carrier_of().place_call(script())
    assert [params["Digits"] for params in application.to("/menu")] == [""]
    assert (record.said(), record.total_ms) == ((), 3_000)


@pytest.mark.parametrize(
    ("gather", "entry", "digits", "finished_on", "ended_ms"),
    [
        ('numDigits="5"', Press(digits="94105777"), "94105", None, 2_200),
        ("", Press(digits="94105#9"), "94105", "#", 2_500),
        ('finishOnKey="*"', Press(digits="12#*"), "12#", "*", 1_900),
        ('finishOnKey="" timeout="2"', Press(digits="12#"), "12#", None, 3_600),
        ('timeout="2"', Press(digits="12", every_ms=2_001), "1", None, 3_000),
        ('timeout="2"', Press(digits="12", every_ms=2_000), "12", None, 5_000),
        ('numDigits="1"', Press(digits="7", after_ms=5_001), None, None, 5_000),
        ("", Press(digits="#"), None, None, 1_000),
        ('input="speech" timeout="4"', Press(digits="1"), None, None, 4_000),
    ],
)
async def test_a_gather_ends_by_length_finish_key_or_silence(
    application: Application,
    carrier_of: CarrierOf,
    gather: str,
    entry: Press,
    digits: str | None,
    finished_on: str | None,
    ended_ms: int,
) -> None:
    application.pages = {"/voice": f'<Gather action="/menu" {gather}/>', "/menu": ""}
    record = await carrier_of().place_call(script(entries=(entry,)))
    got = [(params["Digits"], params.get("FinishedOnKey")) for params in application.to("/menu")]
    assert got == ([] if digits is None else [(digits, finished_on)])
    assert record.total_ms == ended_ms


async def test_a_key_cuts_the_prompts_short_unless_barge_in_is_off(
    application: Application, carrier_of: CarrierOf
) -> None:
    prompts = "<Say>Press one</Say><Pause length='2'/><Play>/jingle.wav</Play>"
    application.pages = {
        "/voice": f'<Gather numDigits="1" action="/second">{prompts}</Gather>',
        "/second": f'<Gather numDigits="1" bargeIn="false" action="/third">{prompts}</Gather>',
        "/third": "",
    }
    record = await carrier_of().place_call(script(entries=presses("1", "2")))
    assert [(step.at_ms, step.what) for step in record.steps] == [
        (0, "Gather"),
        (0, "Say"),
        (540, "Pause"),
        (1_000, "Digits"),
        (1_000, "Gather"),
        (1_000, "Say"),
        (1_540, "Pause"),
        (3_540, "Play"),
        (7_540, "Digits"),
    ]


async def test_a_busy_buyer_s_action_dials_the_next_one(
    application: Application, carrier_of: CarrierOf
) -> None:
    second = "sip:sales@buyer.example;transport=tls"
    application.pages = {
        "/voice": dial(f"<Number {LEG_EVENTS}>{BUYER}</Number>", action="/after?n=0"),
        "/after": [dial(f"<Sip>{second}</Sip>", action="/after?n=1"), "<Say>Sorry</Say>", ""],
    }

    def behaviour(destination: str, _draw: int) -> Behaviour:
        return {BUYER: Busy(after_ms=700), second: Fails(sip_code=503, after_ms=200)}[destination]

    record = await carrier_of(behaviour=behaviour).place_call(script())
    outcomes = [
        (leg.destination, leg.status, leg.sip_code, leg.ring_ms, leg.leg_ms, leg.bridged)
        for leg in record.legs
    ]
    assert outcomes == [(BUYER, "busy", 486, 700, 0, False), (second, "failed", 503, 200, 0, False)]
    keys = ("DialCallStatus", "DialBridged", "DialCallDuration", "DialSipResponseCode", "CallStatus")
    assert [tuple(params.get(key) for key in keys) for params in application.to("/after")] == [
        ("busy", "false", None, None, "ringing"),
        ("failed", "false", None, "503", "ringing"),
    ]
    statuses = [(params["CallStatus"], params.get("SipResponseCode")) for params in application.to("/leg")]
    assert statuses == [("initiated", None), ("busy", "486")]
    assert (record.answered_ms, record.said()) == (900, ("Sorry",))


async def test_a_buyer_who_only_rings_is_given_up_at_the_dial_s_timeout(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {"/voice": dial(timeout="20"), "/after": ""}
    for behaviour in (RingsOnly(), Answers(after_ms=20_001)):
        record = await carrier_of(behaviour=buyers(behaviour)).place_call(script())
        assert [(leg.status, leg.sip_code, leg.ring_ms, leg.leg_ms) for leg in record.legs] == [
            ("no-answer", 487, 20_000, 0)
        ]
    assert {params["DialCallStatus"] for params in application.to("/after")} == {"no-answer"}


async def test_without_an_action_the_next_verb_follows_the_dial(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {"/voice": f"<Dial>{BUYER}</Dial><Say>They are busy</Say>"}
    record = await carrier_of(behaviour=buyers(Busy())).place_call(script())
    assert (record.said(), record.answered_ms, record.status) == (("They are busy",), 0, "completed")


@pytest.mark.parametrize("page", [{"/whisper": "<Hangup/>"}, {"/whisper": f"{MENU}<Hangup/>"}])
async def test_hanging_up_in_the_whisper_declines_and_the_leg_was_never_bridged(
    application: Application, carrier_of: CarrierOf, page: dict[str, str]
) -> None:
    application.pages = {"/voice": dial(f'<Number url="/whisper">{BUYER}</Number>'), "/after": ""} | page
    record = await carrier_of(behaviour=buyers(Answers(after_ms=2_000))).place_call(script())
    (leg,) = record.legs
    assert (leg.status, leg.ring_ms, leg.bridged, leg.bridged_ms, leg.ended_by) == (
        "completed",
        2_000,
        False,
        0,
        "document",
    )
    (after,) = application.to("/after")
    assert (after["DialCallStatus"], after["DialBridged"], after["DialBridgedMs"]) == (
        "completed",
        "false",
        "0",
    )
    assert after["DialLegMs"] == str(leg.leg_ms)
    assert after["CallStatus"] == "ringing"


async def test_a_buyer_who_leaves_during_the_whisper_is_not_bridged(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {
        "/voice": dial(f'<Number url="/whisper">{BUYER}</Number>'),
        "/whisper": "<Pause length='10'/>",
        "/after": "",
    }
    behaviour = Answers(after_ms=1_000, leaves_whisper_ms=3_000)
    record = await carrier_of(behaviour=buyers(behaviour)).place_call(script())
    (leg,) = record.legs
    assert (leg.leg_ms, leg.bridged, leg.ended_by, leg.status) == (3_000, False, "buyer", "completed")


async def test_the_time_limit_runs_from_the_leg_s_answer_and_cuts_both(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {
        "/voice": dial(f'<Number url="/whisper">{BUYER}</Number>', timeLimit="60"),
        "/whisper": "<Pause length='10'/>",
        "/after": "<Say>Time is up</Say>",
    }
    record = await carrier_of(behaviour=buyers(Answers(talk_ms=None))).place_call(script())
    (leg,) = record.legs
    assert (leg.leg_ms, leg.bridged_ms, leg.ended_by) == (60_000, 50_000, "limit")
    assert record.said() == ("Time is up",)


async def test_a_recorded_dial_posts_its_recording_and_names_it_in_the_action(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {
        "/voice": dial(record="record-from-answer-dual", recordingStatusCallback="/recording"),
        "/after": "",
    }
    carrier = carrier_of(behaviour=buyers(Answers(after_ms=2_500, talk_ms=30_700)))
    record = await carrier.place_call(script())
    (recording,) = record.recordings
    assert recording == Recording(sid=recording.sid, source="DialVerb", started_ms=2_500, duration_ms=30_700)
    (told,), (after,) = application.to("/recording"), application.to("/after")
    assert told == {
        "AccountSid": ACCOUNT,
        "CallSid": record.sid,
        "RecordingSid": recording.sid,
        "RecordingUrl": after["RecordingUrl"],
        "RecordingStatus": "completed",
        "RecordingDuration": "30",
        "RecordingChannels": "2",
        "RecordingStartTime": "Mon, 21 Sep 2026 14:13:22 +0000",
        "RecordingSource": "DialVerb",
        "RecordingTrack": "both",
        "ErrorCode": "0",
    }
    assert (after["RecordingSid"], after["RecordingDuration"]) == (recording.sid, "30")


@pytest.mark.parametrize(
    ("spoken", "record_verb", "duration_ms", "digits", "ended_ms"),
    [
        ({"voicemail_ms": 9_000}, "timeout='5'", 9_000, "", 14_500),
        ({"voicemail_ms": 9_000, "voicemail_key": "#"}, "", 9_000, "#", 9_500),
        ({"voicemail_ms": 9_000}, "maxLength='6' playBeep='false'", 6_000, "", 6_000),
    ],
)
async def test_a_voicemail_ends_by_silence_key_or_length(
    application: Application,
    carrier_of: CarrierOf,
    spoken: dict[str, object],
    record_verb: str,
    duration_ms: int,
    digits: str,
    ended_ms: int,
) -> None:
    application.pages = {
        "/voice": f'<Record action="/left" recordingStatusCallback="/recording" {record_verb}/>',
        "/left": "",
    }
    record = await carrier_of().place_call(script(**spoken))
    (left,), (told,) = application.to("/left"), application.to("/recording")
    assert [recording.duration_ms for recording in record.recordings] == [duration_ms]
    assert (left["Digits"], left["RecordingDuration"]) == (digits, str(duration_ms // 1000))
    assert (told["RecordingSource"], told["RecordingUrl"]) == ("RecordVerb", left["RecordingUrl"])
    assert record.total_ms == ended_ms


async def test_an_empty_voicemail_falls_through(application: Application, carrier_of: CarrierOf) -> None:
    application.pages = {"/voice": '<Record action="/left"/><Say>Nothing heard</Say>'}
    record = await carrier_of().place_call(script(voicemail_ms=0))
    assert (record.said(), record.recordings) == (("Nothing heard",), ())


@pytest.mark.parametrize(("reason", "status"), [("busy", "busy"), ("rejected", "no-answer")])
async def test_a_rejected_call_is_never_answered(
    application: Application, carrier_of: CarrierOf, reason: str, status: str
) -> None:
    application.pages = {"/voice": f'<Reject reason="{reason}"/>'}
    record = await carrier_of().place_call(script())
    assert (record.status, record.answered_ms, record.duration_ms) == (status, None, 0)
    assert [(params["CallStatus"], params["CallDuration"]) for params in application.to("/status")] == [
        (status, "0")
    ]


async def test_redirects_resolve_against_the_current_document_and_end_when_they_loop(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {"/voice": "<Redirect>deep/one</Redirect>", "/deep/one": "<Redirect>one</Redirect>"}
    record = await carrier_of().place_call(script())
    assert set(application.paths()) == {"/voice", "/deep/one", "/status"}
    assert record.ended_by == "error"
    assert record.errors == ("12200 more than 500 documents on caller",)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (lambda: 500, "11200"),
        (lambda: web.Response(status=302, headers={"Location": "/elsewhere"}), "11200"),
        (lambda: web.Response(text="<Response/>", content_type="application/json"), "12300"),
        (lambda: web.Response(text="<Response><Sing/></Response>", content_type="text/xml"), "12200"),
        (lambda: web.Response(text="<Response>", content_type="text/xml"), "12100"),
    ],
)
async def test_a_bad_reply_goes_to_the_fallback_once_and_then_drops_the_call(
    application: Application, carrier_of: CarrierOf, reply: Callable[[], object], code: str
) -> None:
    application.pages = {"/voice": reply(), "/fallback": "<Say>Please hold</Say><Redirect>/again</Redirect>"}
    application.pages["/again"] = 503
    record = await carrier_of(fallback="/fallback").place_call(script())
    assert application.paths() == ["/voice", "/fallback", "/again", "/status"]
    (fallback,) = application.to("/fallback")
    assert (fallback["ErrorCode"], fallback["ErrorUrl"]) == (code, application.base + "/voice?key=1")
    assert (record.said(), record.status, record.ended_by) == (("Please hold",), "completed", "error")
    assert [error[:5] for error in record.errors] == [code, "11200"]


async def test_a_whisper_that_cannot_be_had_drops_only_the_buyer_s_leg(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {
        "/voice": dial(f'<Number url="/whisper">{BUYER}</Number>'),
        "/whisper": 500,
        "/after": "<Say>Next</Say>",
    }
    record = await carrier_of(fallback="/fallback").place_call(script())
    (leg,) = record.legs
    assert (leg.status, leg.bridged, leg.ended_by) == ("completed", False, "error")
    assert (record.said(), application.to("/fallback")) == (("Next",), [])


async def test_a_dial_inside_a_whisper_drops_the_buyer_s_leg(
    application: Application, carrier_of: CarrierOf
) -> None:
    whispering = dial(f'<Number url="/whisper">{BUYER}</Number>')
    application.pages = {"/voice": whispering, "/whisper": dial(), "/after": ""}
    record = await carrier_of().place_call(script())
    assert record.errors == ("12200 Dial on a dialled leg",)
    assert [(leg.destination, leg.bridged) for leg in record.legs] == [(BUYER, False)]


async def test_an_application_that_is_not_there_fails_the_call(
    application: Application, carrier_of: CarrierOf
) -> None:
    nobody = "http://127.0.0.1:1/voice"  # port 1 needs root to listen on, and nothing does
    carrier = carrier_of(numbers=(Number(number=DIALED, voice_url=nobody),))
    record = await carrier.place_call(script())
    assert (record.status, record.ended_by, record.answered_ms) == ("failed", "error", None)
    assert [posted.status for posted in record.webhooks] == [None]


async def test_a_number_that_nobody_configured_gets_no_webhook(
    application: Application, carrier_of: CarrierOf
) -> None:
    record = await carrier_of().place_call(script(dialed="+18005550999"))
    assert (record.status, record.webhooks, application.received) == ("failed", (), [])
