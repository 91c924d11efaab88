import asyncio
from collections import Counter
from email.utils import parsedate_to_datetime

from customer import BUYER, START_MS, Application, CarrierOf, buyers, script

from callmatrix.gateway.callers import Answers, presses
from callmatrix.gateway.clocks import VirtualClock
from callmatrix.gateway.records import CallRecord
from callmatrix.gateway.wire import Faults

PAGES = {
    "/voice": '<Gather numDigits="1" action="/menu"><Say>Press one</Say></Gather>',
    "/menu": (
        '<Dial action="/after" answerOnBridge="true"><Number statusCallback="/leg" '
        f'statusCallbackEvent="initiated ringing answered completed">{BUYER}</Number></Dial>'
    ),
    "/after": "<Say>Goodbye</Say>",
}
CALL = script(entries=presses("1"))
TALKS = buyers(Answers(after_ms=2_000, talk_ms=30_000))


async def test_lost_callbacks_never_arrive_and_the_call_goes_on(
    application: Application, carrier_of: CarrierOf
) -> None:
    """Lost requests for TwiML are repeated, then given up: with certain loss nothing is ever asked."""
    application.pages = dict(PAGES)
    record = await carrier_of(behaviour=TALKS, faults=Faults(lose=1.0), fallback="/fallback").place_call(CALL)
    assert application.received == []
    assert [(posted.at_ms, posted.kind, posted.fault) for posted in record.webhooks] == [
        (0, "voice", "lost"),
        (15_000, "voice", "lost"),
        (30_000, "fallback", "lost"),
        (45_000, "fallback", "lost"),
        (60_000, "status", "lost"),
    ]
    assert (record.status, record.ended_by) == ("failed", "error")


async def test_a_lost_request_for_twiml_is_repeated_and_costs_the_timeout(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = dict(PAGES)
    carrier = carrier_of(behaviour=TALKS, faults=Faults(lose=0.4), seed=0)
    records = [await carrier.place_call(CALL) for _ in range(40)]
    lost = [posted.kind for record in records for posted in record.webhooks if posted.fault == "lost"]
    assert {"voice", "action", "leg", "status"} <= set(lost)
    arrived = Counter(application.paths())
    sent = Counter(
        posted.url.removeprefix(application.base).partition("?")[0]
        for record in records
        for posted in record.webhooks
        if posted.fault != "lost"
    )
    assert arrived == sent
    survivors = [record for record in records if not record.errors and "lost" in _voice_faults(record)]
    assert {record.answered_ms for record in survivors} == {15_000}


def _voice_faults(record: CallRecord) -> list[str]:
    return [posted.fault for posted in record.webhooks if posted.kind == "voice"]


async def test_doubled_webhooks_carry_one_token_and_the_call_is_the_same(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = dict(PAGES)
    record = await carrier_of(behaviour=TALKS, faults=Faults(double=1.0)).place_call(CALL)
    by_token = Counter(
        (request.headers["I-Twilio-Idempotency-Token"], request.path, tuple(request.params.items()))
        for request in application.received
    )
    assert set(by_token.values()) == {2}
    assert [path for _, path, _ in by_token] == [
        "/voice",
        "/menu",
        "/leg",
        "/leg",
        "/leg",
        "/leg",
        "/after",
        "/status",
    ]
    assert record.said() == ("Press one", "Goodbye")
    assert [leg.bridged_ms for leg in record.legs] == [30_000]


async def test_either_reply_to_a_doubled_request_may_be_the_one_that_is_used(
    application: Application, carrier_of: CarrierOf
) -> None:
    carrier = carrier_of(faults=Faults(double=1.0))
    said = set()
    for _ in range(20):
        application.pages = {"/voice": ["<Say>First</Say>", "<Say>Second</Say>"]}
        said.add((await carrier.place_call(script())).said())
    assert said == {("First",), ("Second",)}


async def test_reordered_callbacks_arrive_late_with_their_own_timestamps(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = dict(PAGES)
    carrier = carrier_of(behaviour=TALKS, faults=Faults(reorder=0.5, reorder_ms=60_000), seed=3)
    for _ in range(10):
        await carrier.place_call(CALL)
    legs = application.to("/leg")
    assert Counter(params["SequenceNumber"] for params in legs) == {"0": 10, "1": 10, "2": 10, "3": 10}
    orders = {
        tuple(params["SequenceNumber"] for params in legs if params["CallSid"] == sid)
        for sid in {params["CallSid"] for params in legs}
    }
    assert len(orders) > 1
    for sid in {params["CallSid"] for params in legs}:
        happened = {
            params["SequenceNumber"]: parsedate_to_datetime(params["Timestamp"])
            for params in legs
            if params["CallSid"] == sid
        }
        since_s = {number: (at - happened["0"]).total_seconds() for number, at in happened.items()}
        assert since_s == {"0": 0, "1": 0, "2": 2, "3": 32}
    paths = application.paths()
    assert any(paths[at] == "/leg" and paths[at - 1] == "/after" for at in range(1, len(paths)))


async def test_delayed_callbacks_all_come_and_the_record_waits_for_them(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = dict(PAGES)
    clock = VirtualClock(start_ms=START_MS)
    faults = Faults(delay=1.0, delay_ms=600_000)
    record = await carrier_of(behaviour=TALKS, faults=faults, clock=clock).place_call(CALL)
    late = [posted for posted in record.webhooks if posted.fault == "late"]
    assert [posted.kind for posted in record.webhooks if posted.fault == ""] == ["voice", "action", "action"]
    assert Counter(posted.kind for posted in late) == {"leg": 4, "status": 1}
    assert len(application.to("/leg")) == 4
    assert clock.now_ms() - START_MS == max(posted.at_ms for posted in late) > record.total_ms


async def test_the_same_seed_gives_the_same_calls_in_any_interleaving(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = dict(PAGES)
    faults = Faults(lose=0.1, double=0.2, reorder=0.2, delay=0.1)

    def drawn(_destination: str, draw: int) -> Answers:
        return Answers(after_ms=draw % 5_000, talk_ms=draw % 90_000)

    shared = carrier_of(behaviour=drawn, faults=faults, seed=11)
    alone = carrier_of(behaviour=drawn, faults=faults, seed=11, own_timelines=True)
    together = await asyncio.gather(*(shared.place_call(CALL) for _ in range(25)))
    one_by_one = [await alone.place_call(CALL) for _ in range(25)]
    assert [_sorted(record) for record in together] == [_sorted(record) for record in one_by_one]
    other = carrier_of(behaviour=drawn, faults=faults, seed=12)
    assert _sorted(await other.place_call(CALL)) != _sorted(one_by_one[0])


def _sorted(record: CallRecord) -> object:
    """Twins are sent at once, so their replies may come in either order; all else has one order."""
    return (record.sid, record.steps, record.legs, sorted(map(repr, record.webhooks)))


async def test_a_webhook_that_hangs_costs_the_carrier_s_timeout_and_then_falls_back(
    application: Application, carrier_of: CarrierOf
) -> None:
    released = asyncio.Event()

    async def hang() -> None:
        await released.wait()

    application.pages = {"/voice": "", "/fallback": "<Say>Please hold</Say>"}
    application.before_reply = {"/voice": hang}
    record = await carrier_of(fallback="/fallback", timeout_s=0.2).place_call(script())
    released.set()
    assert [(posted.at_ms, posted.took_ms, posted.kind, posted.status) for posted in record.webhooks] == [
        (0, 200, "voice", None),
        (200, 0, "fallback", 200),
        (860, 0, "status", 204),
    ]


async def test_configured_latency_passes_in_virtual_time_for_twins_as_well(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = {"/voice": "<Pause length='1'/>"}
    carrier = carrier_of(latency_ms=80, faults=Faults(double=1.0))
    record = await carrier.place_call(script())
    assert [(posted.at_ms, posted.took_ms, posted.kind) for posted in record.webhooks] == [
        (0, 80, "voice"),
        (0, 80, "voice"),
        (1_080, 80, "status"),
        (1_160, 80, "status"),
    ]


async def test_a_failing_status_callback_changes_nothing(
    application: Application, carrier_of: CarrierOf
) -> None:
    application.pages = PAGES | {"/leg": 500, "/status": 500}
    record = await carrier_of(behaviour=TALKS).place_call(CALL)
    assert (record.errors, record.said()) == ((), ("Press one", "Goodbye"))
