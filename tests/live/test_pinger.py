"""The pinger with orderly bidders: what is sent, what comes back, which connections it uses, its limits."""

import asyncio

import msgspec
import pytest
from hostile_bidders import (
    IMPATIENT_MS,
    PATIENT_MS,
    Talk,
    answering,
    asking,
    bidder,
    never,
    ok,
    on_each_loop,
    once,
    pinging,
    until,
)

from callmatrix.live.pinger import Answered, Health
from callmatrix.world import DRAW_BITS, SeededWorld


def outcome(answered: Answered) -> tuple[str, str, int, bytes]:
    """What an answer says without its times and words."""
    return answered.key, answered.code, answered.status, answered.body


@on_each_loop
async def test_all_are_asked_and_answer_in_the_order_asked() -> None:
    async with (
        bidder(answering(ok(b"one"))) as one,
        bidder(answering(ok(b"two"))) as two,
        pinging() as pinger,
    ):
        askings = [asking(two.url, "off_2"), asking(one.url, "off_1")]
        answers = await pinger.ask(askings, deadline_ms=PATIENT_MS)
    assert [outcome(each) for each in answers] == [("off_2", "", 200, b"two"), ("off_1", "", 200, b"one")]


@on_each_loop
async def test_a_post_is_sent_with_its_headers_and_body_and_asks_for_nothing_packed() -> None:
    async with bidder(answering(ok())) as one, pinging() as pinger:
        wanted = asking(
            f"{one.url}?campaign=7", headers={"content-type": "text/xml", "x-key": "secret"}, body=b"<a/>"
        )
        await pinger.ask([wanted], deadline_ms=PATIENT_MS)
    assert one.requests == [
        b"POST /ping?campaign=7 HTTP/1.1\r\n"
        b"host: 127.0.0.1:%d\r\n"
        b"accept-encoding: identity\r\n"
        b"content-type: text/xml\r\n"
        b"x-key: secret\r\n"
        b"user-agent: CallMatrix\r\n"
        b"content-length: 4\r\n\r\n"
        b"<a/>" % one.port
    ]


@on_each_loop
async def test_a_get_has_no_body_and_its_query_may_differ_each_time() -> None:
    async with bidder(answering(ok())) as one, pinging() as pinger:
        for zip_code in ("60601", "10001"):
            await pinger.ask(
                [asking(f"{one.url}?zip={zip_code}", method="GET", headers={})], deadline_ms=PATIENT_MS
            )
    assert one.requests == [
        b"GET /ping?zip=%s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept-encoding: identity\r\n"
        b"user-agent: CallMatrix\r\n\r\n" % (zip_code, one.port)
        for zip_code in (b"60601", b"10001")
    ]


@on_each_loop
async def test_headers_of_ours_cannot_be_replaced() -> None:
    async with bidder(answering(ok())) as one, pinging() as pinger:
        headers = {"Host": "elsewhere.example", "Content-Length": "0", "Transfer-Encoding": "chunked"}
        headers["User-Agent"] = "a format's own"
        await pinger.ask([asking(one.url, headers=headers, body=b"{}")], deadline_ms=PATIENT_MS)
    assert one.requests == [
        b"POST /ping HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept-encoding: identity\r\n"
        b"User-Agent: a format's own\r\ncontent-length: 2\r\n\r\n{}" % one.port
    ]


@on_each_loop
async def test_what_would_break_the_request_apart_is_not_sent() -> None:
    async with bidder(answering(ok())) as one, pinging() as pinger:
        askings = [
            asking(one.url, "off_1", headers={"x-key": "a\r\nx-other: b"}),
            asking(one.url, "off_2", headers={"x key": "a"}),
            asking(f"http://user@127.0.0.1:{one.port}/", "off_3"),
            asking(f"http://127.0.0.1:{one.port}\\@elsewhere.example/", "off_4"),
            asking("ftp://127.0.0.1/", "off_5"),
            asking(one.url, "off_6", body=b"x" * 70_000),
            asking("http://127.0.0.1:99999/", "off_7"),
        ]
        answers = await pinger.ask(askings, deadline_ms=PATIENT_MS)
    assert [each.code for each in answers] == ["unconfigured"] * 7
    assert one.connections == 0


@on_each_loop
async def test_a_connection_is_used_again() -> None:
    async with bidder(answering(ok())) as one, pinging() as pinger:
        first = await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
        second = await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
        assert (pinger.connections, pinger.idle, pinger.in_flight) == (1, 1, 0)
    assert [first[0].reused, second[0].reused] == [False, True]
    assert first[0].connect_us > 0
    assert second[0].connect_us == 0
    assert (one.connections, len(one.requests)) == (1, 2)


@on_each_loop
async def test_bidders_share_no_connection_even_to_one_host() -> None:
    async with bidder(answering(ok())) as one, pinging() as pinger:
        for offer in ("off_1", "off_2"):
            await pinger.ask([asking(one.url, offer)], deadline_ms=PATIENT_MS)
    assert one.connections == 2


@on_each_loop
async def test_bidders_with_shorter_timeouts_hold_up_nobody_and_are_held_up_by_nobody() -> None:
    answered = asyncio.Event()

    async def last(talk: Talk) -> None:
        await talk.request()
        await answered.wait()
        await talk.say(ok())

    async with bidder(never) as silent, bidder(last) as slow, pinging(linger_s=0) as pinger:
        asked = asyncio.create_task(
            pinger.ask(
                [asking(silent.url, "off_1", timeout_ms=50), asking(slow.url, "off_2")],
                deadline_ms=PATIENT_MS,
            )
        )
        # The silent one's connection ends only after its own timeout, while the other is still waited for.
        await silent.until_open(1)
        await silent.until_open(0)
        assert not asked.done()
        answered.set()
        answers = await asked
    assert [each.code for each in answers] == ["timed_out", ""]


@on_each_loop
async def test_the_deadline_is_the_end_for_all() -> None:
    async with bidder(never) as silent, bidder(answering(ok())) as good, pinging() as pinger:
        askings = [asking(silent.url, "off_1"), asking(good.url, "off_2"), asking(silent.url, "off_3")]
        answers = await pinger.ask(askings, deadline_ms=IMPATIENT_MS)
    assert [each.code for each in answers] == ["timed_out", "", "timed_out"]


@on_each_loop
async def test_bidders_that_never_answer_leave_no_connection_open() -> None:
    async with bidder(never) as silent, pinging(linger_s=0) as pinger:
        for _ in range(5):
            askings = [asking(silent.url, f"off_{number}") for number in range(20)]
            answers = await pinger.ask(askings, deadline_ms=IMPATIENT_MS)
            assert {each.code for each in answers} == {"timed_out"}
        await silent.until_open(0)
        assert pinger.connections == 0


@on_each_loop
async def test_a_late_answer_is_drained_and_its_connection_used_again() -> None:
    release = asyncio.Event()

    async def late(talk: Talk) -> None:
        await talk.request()
        await release.wait()
        await talk.say(ok(b"of the first"))
        while True:
            await talk.request()
            await talk.say(ok(b"of the second"))

    async with bidder(late) as one, pinging(linger_s=60) as pinger:
        first = await pinger.ask([asking(one.url)], deadline_ms=IMPATIENT_MS)
        release.set()
        await until(lambda: pinger.idle == 1)
        second = await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
        health = pinger.health("acc_1/off_1")
    assert [outcome(each) for each in (*first, *second)] == [
        ("off_1", "timed_out", 0, b""),
        ("off_1", "", 200, b"of the second"),
    ]
    assert (one.connections, second[0].reused, health.late) == (1, True, 1)


@on_each_loop
async def test_whoever_gives_up_asking_leaves_nothing_behind() -> None:
    async with bidder(never) as silent, pinging(linger_s=0) as pinger:
        asked = asyncio.create_task(pinger.ask([asking(silent.url)], deadline_ms=PATIENT_MS))
        await silent.until_open(1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await silent.until_open(0)
        assert (pinger.in_flight, pinger.connections) == (0, 0)
        assert pinger.health("acc_1/off_1").failing == 0


@on_each_loop
async def test_what_has_an_effect_goes_out_on_a_connection_of_its_own_and_never_twice() -> None:
    """A bidder that hangs up on what it has read may have done it."""

    async def answers_one_and_hangs_up_on_the_next(talk: Talk) -> None:
        await talk.request()
        if talk.number == 1:
            await talk.say(ok())
            await talk.request()

    async with bidder(answers_one_and_hangs_up_on_the_next) as one, pinging() as pinger:
        first = await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
        sale = msgspec.structs.replace(asking(one.url), once=True)
        second = await pinger.ask([sale], deadline_ms=PATIENT_MS)
        health = pinger.health("acc_1/off_1")
    assert [first[0].code, second[0].code, second[0].reused] == ["", "unreachable", False]
    assert (health.retried, one.connections) == (0, 2)


@on_each_loop
async def test_an_idle_connection_that_dies_is_replaced_once() -> None:
    """The bidder closes after each answer without saying so; the pinger sees it only when it asks."""

    async def closes_when_asked_again(talk: Talk) -> None:
        await talk.request()
        await talk.say(ok(b"%d" % talk.number))
        await talk.request()  # and hangs up without a word

    # Even where there is room for one connection only.
    async with bidder(closes_when_asked_again) as one, pinging(max_connections_per_bidder=1) as pinger:
        first = await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
        second = await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
        health = pinger.health("acc_1/off_1")
    assert [outcome(each) for each in (*first, *second)] == [
        ("off_1", "", 200, b"1"),
        ("off_1", "", 200, b"2"),
    ]
    assert (second[0].reused, health.retried, one.connections) == (False, 1, 2)


@on_each_loop
async def test_a_fresh_connection_that_dies_is_not_replaced() -> None:
    async def hangs_up(talk: Talk) -> None:
        if talk.number == 1:
            await talk.request()
            await talk.say(ok())
        await talk.request()

    async with bidder(hangs_up) as one, pinging() as pinger:
        await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
        answers = await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
    assert answers[0].code == "unreachable"
    assert one.connections == 2


@on_each_loop
async def test_a_reused_connection_that_dies_inside_the_answer_is_not_asked_again() -> None:
    async def breaks_off(talk: Talk) -> None:
        await talk.request()
        await talk.say(ok())
        await talk.request()
        await talk.say(b"HTTP/1.1 200 OK\r\n")

    async with bidder(breaks_off) as one, pinging() as pinger:
        await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
        answers = await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
    assert (answers[0].code, one.connections) == ("unreachable", 1)


@on_each_loop
async def test_idle_connections_expire() -> None:
    async with bidder(answering(ok())) as one, pinging(idle_s=0) as pinger:
        await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
        await one.until_open(0)
        assert (pinger.connections, pinger.idle) == (0, 0)


@on_each_loop
async def test_connections_can_be_opened_beforehand() -> None:
    async with bidder(answering(ok())) as one, pinging(max_connections_per_bidder=3) as pinger:
        await pinger.prewarm(one.url, "acc_1/off_1", 2)
        assert pinger.idle == 2
        await pinger.prewarm(one.url, "acc_1/off_1", 2)
        assert pinger.idle == 2
        await pinger.prewarm(one.url, "acc_1/off_1", 10)
        assert pinger.idle == 3
        answers = await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
        assert answers[0].reused
        await pinger.prewarm("no address", "acc_1/off_1", 2)
    assert one.connections == 3


@on_each_loop
async def test_a_bidder_has_so_many_connections_and_nothing_waits_for_one() -> None:
    async with bidder(never) as silent, pinging(max_connections_per_bidder=2) as pinger:
        askings = [asking(silent.url, f"{n}", bidder="acc_1/off_1") for n in range(3)]
        answers = await pinger.ask(askings, deadline_ms=IMPATIENT_MS)
        assert [each.code for each in answers] == ["timed_out", "timed_out", "busy"]
        assert pinger.health("acc_1/off_1").connections == 2


@on_each_loop
async def test_there_are_so_many_connections_in_all_and_idle_ones_make_room() -> None:
    async with bidder(answering(ok())) as one, bidder(never) as silent, pinging(max_connections=2) as pinger:
        await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
        askings = [asking(silent.url, f"off_{number}") for number in (2, 3, 4)]
        answers = await pinger.ask(askings, deadline_ms=IMPATIENT_MS)
    codes = [each.code for each in answers]
    assert codes.count("busy") >= 1
    assert set(codes) == {"timed_out", "busy"}


@on_each_loop
async def test_so_many_connections_are_opened_at_once() -> None:
    async with bidder(never) as silent, pinging(max_opening=1) as pinger:
        askings = [asking(silent.url, f"off_{number}") for number in (1, 2)]
        answers = await pinger.ask(askings, deadline_ms=IMPATIENT_MS)
    assert [each.code for each in answers] == ["timed_out", "busy"]


@on_each_loop
async def test_too_many_auctions_are_refused_at_once() -> None:
    async with bidder(never) as silent, pinging(max_auctions=1) as pinger:
        asked = asyncio.create_task(pinger.ask([asking(silent.url)], deadline_ms=PATIENT_MS))
        await silent.until_open(1)
        assert pinger.in_flight == 1
        answers = await pinger.ask([asking(silent.url, "off_2")], deadline_ms=PATIENT_MS)
        assert [(each.key, each.code) for each in answers] == [("off_2", "overloaded")]
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)


@on_each_loop
async def test_an_auction_has_so_many_bidders() -> None:
    async with bidder(answering(ok())) as one, pinging() as pinger:
        askings = [asking(one.url, f"off_{number}") for number in range(201)]
        answers = await pinger.ask(askings, deadline_ms=PATIENT_MS)
    assert [each.code for each in answers] == [""] * 200 + ["overloaded"]
    assert [each.key for each in answers] == [each.key for each in askings]


@on_each_loop
async def test_nobody_to_ask_is_no_answer() -> None:
    async with pinging() as pinger:
        assert await pinger.ask([], deadline_ms=PATIENT_MS) == ()


@on_each_loop
async def test_the_end_of_the_process_is_an_answer_too() -> None:
    async with bidder(never) as silent, pinging() as pinger:
        asked = asyncio.create_task(pinger.ask([asking(silent.url)], deadline_ms=PATIENT_MS))
        await silent.until_open(1)
        await pinger.close()
        assert [each.code for each in await asked] == ["unreachable"]
        after = await pinger.ask([asking(silent.url)], deadline_ms=PATIENT_MS)
        assert [each.code for each in after] == ["overloaded"]


@on_each_loop
async def test_the_process_can_end_at_any_moment_of_an_opening() -> None:
    for turns in range(12):
        async with bidder(answering(ok())) as one, pinging() as pinger:
            askings = [asking(one.url, f"off_{number}") for number in range(10)]
            asked = asyncio.create_task(pinger.ask(askings, deadline_ms=PATIENT_MS))
            for _ in range(turns):
                await asyncio.sleep(0)
            await pinger.close()
            assert {each.code for each in await asked} <= {"", "unreachable", "overloaded"}
            assert pinger.connections == 0


@on_each_loop
async def test_a_bidder_that_nobody_listens_for_is_unreachable() -> None:
    async with bidder(once(ok())) as gone:
        url = gone.url
    async with pinging() as pinger:
        answers = await pinger.ask([asking(url)], deadline_ms=PATIENT_MS)
        assert (answers[0].code, pinger.connections) == ("unreachable", 0)


# --- the throttle --------------------------------------------------------------------------------------


def dice_of(draw: float) -> SeededWorld:
    """A world whose every draw is this share of the whole."""

    class Loaded(SeededWorld):
        def draw(self) -> int:
            return int(draw * ((1 << DRAW_BITS) - 1))

    return Loaded(seed=1, clock=lambda: None)  # type: ignore[arg-type, return-value]


@on_each_loop
async def test_a_bidder_that_keeps_failing_is_asked_less_and_never_not_at_all() -> None:
    async with bidder(once(b"no HTTP")) as broken, pinging(world=dice_of(0.5)) as pinger:
        codes = [(await pinger.ask([asking(broken.url)], deadline_ms=PATIENT_MS))[0].code for _ in range(100)]
        health = pinger.health("acc_1/off_1")
    failed = codes.count("malformed")
    assert codes == ["malformed"] * failed + ["throttled"] * (100 - failed)
    assert 11 <= failed < 100
    assert health.throttled == 100 - failed
    assert health.codes == {"malformed": failed, "throttled": 100 - failed}
    assert 0.5 <= health.skip_share <= 0.9


@on_each_loop
async def test_simulated_throttling_counts_and_sends() -> None:
    async with bidder(once(b"no HTTP")) as broken:
        async with pinging(world=dice_of(0.0), throttling="simulate") as pinger:
            for _ in range(30):
                answers = await pinger.ask([asking(broken.url)], deadline_ms=PATIENT_MS)
                assert answers[0].code == "malformed"
            health = pinger.health("acc_1/off_1")
    assert health.would_throttle > 0
    assert health.throttled == 0


@on_each_loop
async def test_a_whole_reply_counts_once_and_by_its_verdict() -> None:
    async with bidder(answering(ok(status="500 Oops"))) as one, pinging() as pinger:
        answers = await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
        assert outcome(answers[0]) == ("off_1", "", 500, b'{"amount":"20"}')
        assert pinger.health("acc_1/off_1").failing == 0
        pinger.verdict("acc_1/off_1", good=False)
        once_failed = pinger.health("acc_1/off_1").failing
        assert 0 < once_failed <= 0.02
        pinger.verdict("acc_1/off_1", good=False)
        assert pinger.health("acc_1/off_1").failing <= once_failed
        pinger.verdict("acc_1/unknown", good=False)
        assert pinger.health("acc_1/unknown") == Health(bidder="acc_1/unknown")
