"""Whatever caller, buyers and faults do, the carrier's books hold together."""

from customer import BUYER, Application, CarrierOf, script
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callmatrix.gateway.callers import (
    AfterArrival,
    AfterBridge,
    Answers,
    AtPrompt,
    Behaviour,
    Busy,
    Fails,
    HangUp,
    Press,
    RingsOnly,
    Silence,
    StaysOn,
    WhileRinging,
)
from callmatrix.gateway.records import CallRecord
from callmatrix.gateway.wire import Faults

TIME_LIMIT_MS = 90_000
NUMBER = f'<Number url="/whisper" statusCallback="/leg">{BUYER}</Number>'
DIAL = (
    f'<Dial action="/after" timeout="10" timeLimit="90" answerOnBridge="true" record="true">{NUMBER}</Dial>'
)
PRESS_ONE = '<Gather numDigits="1" action="/accept"><Say>Press one to accept</Say></Gather><Hangup/>'
PAGES = {
    "/voice": '<Gather numDigits="1" timeout="4" action="/menu"><Say>Press one</Say></Gather><Say>Bye</Say>',
    "/menu": DIAL,
    "/whisper": PRESS_ONE,
    "/accept": "",
}

spans = st.integers(min_value=0, max_value=120_000)
entries = st.lists(
    st.one_of(
        st.just(Silence()),
        st.builds(Press, digits=st.text("019#*", max_size=3), after_ms=spans, hears_out=st.booleans()),
    ),
    max_size=3,
).map(tuple)
hang_ups = st.one_of(
    st.just(StaysOn()),
    st.builds(AtPrompt, nth=st.integers(1, 4), after_ms=spans),
    st.builds(AfterArrival, after_ms=spans),
    st.builds(WhileRinging, after_ms=spans, nth=st.integers(1, 3)),
    st.builds(AfterBridge, after_ms=spans, star=st.booleans()),
)
behaviours = st.one_of(
    st.builds(Busy, after_ms=spans),
    st.just(RingsOnly()),
    st.builds(Fails, after_ms=spans),
    st.builds(
        Answers,
        after_ms=spans,
        talk_ms=st.none() | spans,
        entries=entries,
        leaves_whisper_ms=st.none() | spans,
    ),
)
chances = st.sampled_from([0.0, 0.3])
faults = st.builds(Faults, lose=chances, double=chances, reorder=chances, delay=chances)


@given(
    entries=entries,
    hangs_up=hang_ups,
    buyers=st.lists(behaviours, min_size=3, max_size=3),
    faults=faults,
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_call_ends_and_its_times_add_up(
    application: Application,
    carrier_of: CarrierOf,
    entries: tuple[Press | Silence, ...],
    hangs_up: HangUp,
    buyers: list[Behaviour],
    faults: Faults,
    seed: int,
) -> None:
    application.pages = PAGES | {"/after": [DIAL, DIAL, "<Hangup/>"]}
    application.received.clear()
    left = iter(buyers + buyers)
    carrier = carrier_of(behaviour=lambda _destination, _draw: next(left), faults=faults, seed=seed)
    record = await carrier.place_call(script(entries=entries, hangs_up=hangs_up))
    assert record.status in ("completed", "no-answer", "failed")
    assert carrier.in_the_air() == ()
    _times_add_up(record)
    arrived = sorted(request.path for request in application.received)
    sent = sorted(
        posted.url.removeprefix(application.base).partition("?")[0]
        for posted in record.webhooks
        if posted.fault != "lost"
    )
    assert arrived == sent


def _times_add_up(record: CallRecord) -> None:
    free_from_ms = 0
    for leg in record.legs:
        assert leg.started_ms >= free_from_ms  # one leg at a time
        free_from_ms = leg.started_ms + leg.ring_ms + leg.leg_ms
        assert leg.ring_ms <= 10_000
        assert leg.bridged_ms <= leg.leg_ms <= TIME_LIMIT_MS
        assert (leg.leg_ms == 0) or leg.status == "completed"
        assert leg.bridged_ms == 0 or leg.bridged
    assert free_from_ms <= record.total_ms
    assert record.duration_ms == (0 if record.answered_ms is None else record.total_ms - record.answered_ms)
    assert [step.at_ms for step in record.steps] == sorted(step.at_ms for step in record.steps)
    assert all(step.at_ms <= record.total_ms for step in record.steps)
