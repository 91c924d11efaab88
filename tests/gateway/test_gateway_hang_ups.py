import pytest
from customer import BUYER, Application, CarrierOf, buyers, script

from callmatrix.gateway.callers import (
    AfterArrival,
    AfterBridge,
    Answers,
    AtPrompt,
    Busy,
    HangUp,
    Press,
    RingsOnly,
    WhileRinging,
)

LEG = f'<Number url="/whisper" statusCallback="/leg">{BUYER}</Number>'
PAGES = {
    "/voice": '<Say>Welcome</Say><Gather numDigits="1" action="/menu"><Say>Press one</Say></Gather>',
    "/menu": f'<Dial action="/after" timeout="30" answerOnBridge="true">{LEG}</Dial>',
    "/whisper": "<Say>A call</Say>",
    "/after": "<Say>Goodbye</Say>",
}
ONE = (Press(digits="1", after_ms=580),)  # the dial starts at 1,000 ms: Welcome lasts 420


@pytest.mark.parametrize(
    ("hangs_up", "ended_ms", "status", "paths"),
    [
        (AfterArrival(after_ms=0), 0, "no-answer", []),
        (AfterArrival(after_ms=100), 100, "completed", ["/voice"]),
        (AtPrompt(nth=1, after_ms=50), 50, "completed", ["/voice"]),
        (AtPrompt(nth=2, after_ms=200), 620, "completed", ["/voice"]),
        (AfterArrival(after_ms=700), 700, "completed", ["/voice"]),
    ],
)
async def test_a_caller_who_leaves_before_the_dial_ends_the_call_there(
    application: Application,
    carrier_of: CarrierOf,
    hangs_up: HangUp,
    ended_ms: int,
    status: str,
    paths: list[str],
) -> None:
    application.pages = dict(PAGES)
    record = await carrier_of().place_call(script(entries=ONE, hangs_up=hangs_up))
    assert (record.ended_by, record.status, record.total_ms) == ("caller", status, ended_ms)
    assert application.paths() == [*paths, "/status"]
    assert application.to("/status")[0]["CallStatus"] == status


async def test_a_caller_who_leaves_while_it_rings_cancels_the_leg_and_the_action_is_told(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = dict(PAGES)
    carrier = carrier_of(behaviour=buyers(RingsOnly()))
    record = await carrier.place_call(script(entries=ONE, hangs_up=WhileRinging(after_ms=2_500)))
    (leg,) = record.legs
    assert (leg.status, leg.sip_code, leg.ring_ms, leg.leg_ms, leg.ended_by) == (
        "canceled",
        487,
        2_500,
        0,
        "caller",
    )
    assert [params["CallStatus"] for params in application.to("/leg")] == ["canceled"]
    (after,) = application.to("/after")
    assert (after["DialCallStatus"], after["CallStatus"]) == ("canceled", "completed")
    assert (record.ended_by, record.total_ms, record.said()) == ("caller", 3_500, ("Welcome", "Press one"))


async def test_a_caller_who_leaves_in_the_second_dial_has_heard_the_first_one_out(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = PAGES | {"/after": PAGES["/menu"]}
    carrier = carrier_of(behaviour=buyers(Busy(after_ms=500)))
    record = await carrier.place_call(script(entries=ONE, hangs_up=WhileRinging(after_ms=100, nth=2)))
    assert [(leg.status, leg.ring_ms) for leg in record.legs] == [("busy", 500), ("canceled", 100)]


async def test_a_caller_who_leaves_during_the_whisper_ends_an_unbridged_leg(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = PAGES | {"/whisper": "<Pause length='10'/>"}
    carrier = carrier_of(behaviour=buyers(Answers(after_ms=1_000)))
    record = await carrier.place_call(script(entries=ONE, hangs_up=WhileRinging(after_ms=4_000)))
    (leg,) = record.legs
    assert (leg.status, leg.ring_ms, leg.leg_ms, leg.bridged) == ("completed", 1_000, 3_000, False)
    assert application.to("/after")[0]["DialBridged"] == "false"
    assert record.total_ms == 5_000


async def test_a_caller_who_would_leave_the_ringing_stays_once_bridged(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = dict(PAGES)
    carrier = carrier_of(behaviour=buyers(Answers(after_ms=1_000, talk_ms=90_000)))
    record = await carrier.place_call(script(entries=ONE, hangs_up=WhileRinging(after_ms=4_000)))
    assert [(leg.bridged_ms, leg.ended_by) for leg in record.legs] == [(90_000, "buyer")]


@pytest.mark.parametrize(
    ("talk_ms", "bridged_ms", "by"),
    [(None, 45_000, "caller"), (45_001, 45_000, "caller"), (3_000, 3_000, "buyer")],
)
async def test_the_first_to_hang_up_ends_the_bridge(
    application: Application, carrier_of: CarrierOf, talk_ms: int | None, bridged_ms: int, by: str
) -> None:
    application.pages = dict(PAGES)
    carrier = carrier_of(behaviour=buyers(Answers(talk_ms=talk_ms)))
    record = await carrier.place_call(script(entries=ONE, hangs_up=AfterBridge(after_ms=45_000)))
    assert [(leg.bridged_ms, leg.ended_by) for leg in record.legs] == [(bridged_ms, by)]
    (after,) = application.to("/after")
    assert (after["DialCallStatus"], after["DialBridgedMs"]) == ("completed", str(bridged_ms))
    assert after["CallStatus"] == ("completed" if by == "caller" else "in-progress")
    assert ("Goodbye" in record.said()) == (by == "buyer")


@pytest.mark.parametrize(
    ("allowed", "bridged_ms", "by"), [("true", 8_000, "star"), ("false", 20_000, "buyer")]
)
async def test_a_star_ends_the_bridge_only_where_the_dial_says_so(
    application: Application, carrier_of: CarrierOf, allowed: str, bridged_ms: int, by: str
) -> None:
    application.pages = PAGES | {
        "/menu": f'<Dial action="/after" hangupOnStar="{allowed}"><Number>{BUYER}</Number></Dial>'
    }
    carrier = carrier_of(behaviour=buyers(Answers(talk_ms=20_000)))
    record = await carrier.place_call(script(entries=ONE, hangs_up=AfterBridge(after_ms=8_000, star=True)))
    assert [(leg.bridged_ms, leg.ended_by) for leg in record.legs] == [(bridged_ms, by)]
    assert record.said()[-1] == "Goodbye"


async def test_hanging_up_a_voicemail_keeps_what_was_said_and_tells_the_action(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {"/voice": '<Record action="/left"/>', "/left": "<Say>Never heard</Say>"}
    record = await carrier_of().place_call(
        script(voicemail_ms=60_000, hangs_up=AfterArrival(after_ms=12_700))
    )
    assert [recording.duration_ms for recording in record.recordings] == [12_200]
    (left,) = application.to("/left")
    assert (left["Digits"], left["RecordingDuration"], left["CallStatus"]) == ("hangup", "12", "completed")
    assert (record.said(), record.ended_by) == ((), "caller")
