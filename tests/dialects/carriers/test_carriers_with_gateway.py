"""Our own carrier executes what we render, signs what it reports, and we read it as events."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from carrier_samples import AT, CALL, connect, connection

from callmatrix.core.call.commands import (
    AskAcceptance,
    Bridge,
    CarrierOrder,
    GatherDigits,
    HangUp,
    Record,
)
from callmatrix.core.call.events import (
    AcceptanceEntered,
    CallEnded,
    DigitsEntered,
    GatherTimedOut,
    LegAnswered,
    LegEnded,
    LegReported,
    LegRinging,
    RecordingReady,
    VoicemailEnded,
)
from callmatrix.core.campaign import Connection, SipDestination
from callmatrix.core.flow import Gather, Say
from callmatrix.core.ids import AttemptId
from callmatrix.dialects.carriers.dialect import DIALECTS, Secrets
from callmatrix.dialects.carriers.forms import parse_body
from callmatrix.dialects.carriers.render import CONTENT_TYPE, NOTHING, render
from callmatrix.dialects.carriers.rest import (
    CarrierCall,
    CarrierLeg,
    asked_end,
    fetch_call_request,
    fetch_legs_request,
    hang_up_request,
    read_call,
    read_hang_up,
    read_legs,
)
from callmatrix.dialects.carriers.signatures import verify
from callmatrix.dialects.carriers.twiml import (
    Arrival,
    CallbackEvent,
    carrier_ref,
    parse_arrival,
    parse_callback,
    parse_status,
)
from callmatrix.dialects.carriers.urls import Callback, Page, page_url, parse_path, signed_url
from callmatrix.dialects.http import HttpReply, HttpRequest
from callmatrix.gateway.callers import Answers, Behaviour, Busy, Caller, Press, accepts, presses
from callmatrix.gateway.carrier import Carrier, Number
from callmatrix.gateway.clocks import VirtualClock
from callmatrix.gateway.rest import rest_app
from callmatrix.gateway.wire import open_session

TOKEN, ACCOUNT = "a-token", "AC0123"
CALLER, DIALED = "+14155550100", "+12125550100"
OWN = DIALECTS["own"]
FIRST, SECOND = AttemptId("call_01-1"), AttemptId("call_01-2")
Reply = Callable[[Arrival | CallbackEvent], tuple[CarrierOrder, ...]]


@dataclass(kw_only=True)
class Customer:
    """A web application made of nothing but the dialect: what it read, and what it orders next."""

    connection: Connection
    reply: Reply
    read: list[Arrival | CallbackEvent] = field(default_factory=list)
    refs: set[str] = field(default_factory=set)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        form = parse_body(body, request.content_type)
        assert verify(
            OWN,
            secret=TOKEN,
            url=signed_url(self.connection, request.path, request.query_string),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
            form=form,
            now=AT,
        )
        event: Arrival | CallbackEvent | None
        match parse_path(request.path):
            case Page(kind="arrival"):
                event = parse_arrival(OWN, form.params)
                self.refs.add(event.carrier_ref)
                event = Arrival(
                    caller=event.caller, dialed=event.dialed, carrier_ref="", attestation=event.attestation
                )
            case Page(kind="status"):
                event = parse_status(OWN, form.params, at=AT)
                self.refs.add(carrier_ref(form.params))
            case Callback() as callback:
                event = parse_callback(OWN, callback, form.params, at=AT, draw=1)
            case _:
                return web.Response(status=404)
        assert event is not None
        self.read.append(event)
        orders = self.reply(event)
        document = render(OWN, orders, connection=self.connection, call_id=CALL) if orders else NOTHING
        return web.Response(body=document, headers={"content-type": CONTENT_TYPE})


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as session:
        yield session


async def serve(app: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    return runner, f"http://{host}:{port}"


async def carry(
    session: aiohttp.ClientSession, script: Caller, reply: Reply, behaviour: Callable[[str, int], Behaviour]
) -> tuple[Customer, Carrier]:
    """One scripted call to its end, through signed webhooks on loopback."""
    customer = Customer(connection=connection("own"), reply=reply)
    app = web.Application()
    app.router.add_post("/{path:.*}", customer.answer)
    runner, base = await serve(app)
    try:
        customer.connection = connection("own", public_base_url=base)
        number = Number(
            number=DIALED,
            voice_url=page_url(customer.connection, "arrival"),
            status_url=page_url(customer.connection, "status"),
        )
        carrier = Carrier(
            account_sid=ACCOUNT,
            auth_token=TOKEN,
            numbers=(number,),
            session=session,
            clock=VirtualClock(start_ms=int(AT.timestamp() * 1_000)),
            seed=7,
            behaviour=behaviour,
        )
        record = await carrier.place_call(script)
    finally:
        await runner.cleanup()
    assert record.errors == ()
    assert {posted.status for posted in record.webhooks} == {200}
    assert customer.refs == {record.sid}
    return customer, carrier


MENU = GatherDigits(
    turn=1, gather=Gather(prompts=(Say(text="Your ZIP?"),), timeout_s=5, max_digits=5, finish_key="#")
)
BUSY_BUYER = SipDestination(uri="sip:busy@buyers.example", headers={"X-Lead": "7"})


def two_buyers(event: Arrival | CallbackEvent) -> tuple[CarrierOrder, ...]:
    match event:
        case Arrival() | GatherTimedOut():
            return (Say(text="Welcome."), MENU)
        case DigitsEntered():
            return (connect(attempt_id=FIRST, destination=BUSY_BUYER),)
        case LegAnswered():
            return (
                Say(text="A lead."),
                AskAcceptance(attempt_id=SECOND, prompt="Press 1.", timeout_s=8),
            )
        case AcceptanceEntered():
            return (Bridge(),)
        case LegEnded(outcome="busy"):
            return (connect(attempt_id=SECOND, whisper=True, record=True),)
        case LegEnded():
            return (HangUp(),)
        case _:
            return ()


def busy_then_accepting(destination: str, _draw: int) -> Behaviour:
    return Busy() if destination.startswith("sip:busy@") else accepts(after_ms=4_000, talk_ms=61_900)


async def test_a_call_through_menu_busy_buyer_whisper_acceptance_and_bridge(
    session: aiohttp.ClientSession,
) -> None:
    script = Caller(number=CALLER, dialed=DIALED, entries=presses("", "94105#"), attestation="B")
    customer, _ = await carry(session, script, two_buyers, busy_then_accepting)
    (recording,) = [event for event in customer.read if isinstance(event, RecordingReady)]
    talked = [event for event in customer.read if isinstance(event, LegEnded) and event.outcome == "answered"]
    (answered,) = talked
    assert answered.leg_ms is not None
    assert recording == RecordingReady(
        at=AT, url=recording.url, duration_s=answered.leg_ms // 1_000, attempt_id=SECOND
    )
    busy = LegEnded(
        at=AT,
        attempt_id=FIRST,
        outcome="busy",
        ring_ms=500,
        leg_ms=0,
        bridged_ms=0,
        precision="ms",
        sip_code=486,
    )
    assert [event for event in customer.read if event != recording] == [
        Arrival(caller=CALLER, dialed=DIALED, carrier_ref="", attestation="B"),
        GatherTimedOut(at=AT, draw=1, turn=1),
        DigitsEntered(at=AT, draw=1, turn=1, digits="94105"),
        LegReported(at=AT, leg=busy),
        busy,
        LegRinging(at=AT, attempt_id=SECOND),
        LegAnswered(at=AT, attempt_id=SECOND),
        AcceptanceEntered(at=AT, attempt_id=SECOND, digits="1"),
        LegReported(
            at=AT,
            leg=LegEnded(
                at=AT,
                attempt_id=SECOND,
                outcome="answered",
                ring_ms=4_000,
                leg_ms=answered.leg_ms,
                bridged_ms=61_900,
                sip_code=200,
            ),
        ),
        LegEnded(
            at=AT,
            attempt_id=SECOND,
            outcome="answered",
            ring_ms=4_000,
            leg_ms=answered.leg_ms,
            bridged_ms=61_900,
            ended_by="buyer",
        ),
        CallEnded(at=AT, reason="hung_up", duration_ms=customer_duration_ms(customer)),
    ]


def customer_duration_ms(customer: Customer) -> int | None:
    (ended,) = [event for event in customer.read if isinstance(event, CallEnded)]
    assert ended.duration_ms is not None
    assert ended.duration_ms % 1_000 == 0
    assert ended.duration_ms > 61_900
    return ended.duration_ms


async def test_a_buyer_who_declines_ends_the_leg_unbridged(session: aiohttp.ClientSession) -> None:
    def reply(event: Arrival | CallbackEvent) -> tuple[CarrierOrder, ...]:
        match event:
            case Arrival():
                return (connect(attempt_id=FIRST, whisper=True),)
            case LegAnswered():
                return (AskAcceptance(attempt_id=FIRST, prompt="Press 1.", timeout_s=8),)
            case AcceptanceEntered() | LegEnded():
                return (HangUp(),)
            case _:
                return ()

    declines = Answers(after_ms=1_000, entries=(Press(digits="9", hears_out=True),))
    customer, _ = await carry(
        session, Caller(number=CALLER, dialed=DIALED), reply, lambda _destination, _draw: declines
    )
    assert AcceptanceEntered(at=AT, attempt_id=FIRST, digits="9") in customer.read
    (ended,) = [event for event in customer.read if isinstance(event, LegEnded)]
    assert (ended.outcome, ended.bridged_ms, ended.ended_by, ended.caller_gone) == (
        "declined",
        0,
        "buyer",
        False,
    )


@pytest.mark.parametrize("spoken_ms", [0, 7_400])
async def test_a_message_is_reported_with_words_and_without(
    session: aiohttp.ClientSession, spoken_ms: int
) -> None:
    def reply(event: Arrival | CallbackEvent) -> tuple[CarrierOrder, ...]:
        match event:
            case Arrival():
                return (Say(text="Leave a message."), Record(max_s=60))
            case VoicemailEnded():
                return (HangUp(),)
            case _:
                return ()

    script = Caller(number="anonymous", dialed=DIALED, voicemail_ms=spoken_ms)
    customer, _ = await carry(session, script, reply, lambda _destination, _draw: Busy())
    assert customer.read[0] == Arrival(caller=None, dialed=DIALED, carrier_ref="", attestation="A")
    ended = [event for event in customer.read if isinstance(event, VoicemailEnded)]
    ready = [event for event in customer.read if isinstance(event, RecordingReady)]
    assert ended == [VoicemailEnded(at=AT, duration_s=spoken_ms // 1_000)]
    assert [(event.duration_s, event.attempt_id) for event in ready] == ([(7, None)] if spoken_ms else [])


async def fetched(session: aiohttp.ClientSession, request: HttpRequest | None) -> HttpReply:
    assert request is not None
    async with session.request(
        request.method, request.url, headers=request.headers, data=request.body or None
    ) as reply:
        return HttpReply(status=reply.status, body=await reply.read())


async def test_a_sweep_finds_the_call_and_its_legs_in_the_carriers_books(
    session: aiohttp.ClientSession,
) -> None:
    script = Caller(number=CALLER, dialed=DIALED, entries=presses("94105"))
    customer, carrier = await carry(session, script, two_buyers, busy_then_accepting)
    (ref,) = customer.refs
    told = {event.attempt_id: event for event in customer.read if isinstance(event, LegEnded)}
    runner, base = await serve(rest_app(carrier))
    try:
        ours = connection("own", rest_url=f"{base}/2010-04-01")
        secrets = Secrets(signing=TOKEN)
        call = read_call(
            OWN, await fetched(session, fetch_call_request(ours, secrets=secrets, carrier_ref=ref))
        )
        legs = read_legs(
            OWN, await fetched(session, fetch_legs_request(ours, secrets=secrets, carrier_ref=ref))
        )
        over = read_hang_up(await fetched(session, hang_up_request(ours, secrets=secrets, carrier_ref=ref)))
    finally:
        await runner.cleanup()
    assert over
    assert isinstance(call, CarrierCall)
    assert legs == (
        CarrierLeg(outcome="busy", leg_ms=0, bridged_ms=0),
        CarrierLeg(
            outcome="answered",
            ring_ms=4_000,
            leg_ms=told[SECOND].leg_ms,
            bridged_ms=told[SECOND].bridged_ms,
            precision="ms",
        ),
    )
    swept = asked_end(call, legs, attempts=(FIRST, SECOND), at=AT)
    assert swept is not None
    assert (swept.reason, swept.asked, len(swept.legs)) == ("hung_up", True, 2)
    assert swept.duration_ms is not None
    (ended,) = [event for event in customer.read if isinstance(event, CallEnded)]
    assert swept.duration_ms // 1_000 * 1_000 == ended.duration_ms
