"""The pinger with bidders that lie, stall, babble and die: each has its code, in time, and costs no more."""

import asyncio
from typing import Any

import pytest
import uvloop
from hostile_bidders import (
    IMPATIENT_MS,
    PATIENT_MS,
    Behave,
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

from callmatrix.live.pinger import Answered
from callmatrix.live.pinger.reply import MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_HEADERS, MAX_INFORMATIONAL

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def ask_once(behave: Behave, *, kept: bool, deadline_ms: int = PATIENT_MS) -> Answered:
    """What one ping brings; its connection is kept or not."""
    async with bidder(behave) as one, pinging(linger_s=0, idle_s=60) as pinger:
        (answered,) = await pinger.ask([asking(one.url)], deadline_ms=deadline_ms)
        await one.until_open(kept)
        await until(lambda: pinger.connections == pinger.idle == kept)
        return answered


def says(*parts: bytes) -> Behave:
    """A bidder that says these one after the other and stays on the line."""

    async def behave(talk: Talk) -> None:
        await talk.request()
        for part in parts:
            await talk.say(part)
        await talk.until_closed()

    return behave


def endless(start: bytes, more: bytes, times: int = 1_000_000) -> Behave:
    """A bidder that never comes to an end by itself."""

    async def behave(talk: Talk) -> None:
        await talk.request()
        await talk.say(start)
        for _ in range(times):
            await talk.say(more)
            await asyncio.sleep(0)

    return behave


def drip(data: bytes) -> Behave:
    """A bidder that sends byte by byte, and stays on the line."""
    return says(*(data[at : at + 1] for at in range(len(data))))


WHOLE: dict[str, tuple[Behave, int, bytes, bool]] = {
    "with a length": (says(ok(b"a")), 200, b"a", True),
    "in single bytes": (drip(ok(b"abc")), 200, b"abc", True),
    "in chunks": (
        says(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n",
            b"2;x=y\r\nbc\r\n0\r\n\r\n",
        ),
        200,
        b"abc",
        True,
    ),
    "in chunks with trailers": (
        says(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: y\r\n\r\n",
        ),
        200,
        b"a",
        True,
    ),
    "with no content": (says(b"HTTP/1.1 204 No Content\r\n\r\n"), 204, b"", True),
    "with nothing in it": (says(ok(b"")), 200, b"", True),
    "after 100-continue": (says(CONTINUE, ok(b"a")), 200, b"a", True),
    "after several announcements at once": (says(CONTINUE * MAX_INFORMATIONAL + ok(b"a")), 200, b"a", True),
    "after early hints": (
        says(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", ok(b"a")),
        200,
        b"a",
        True,
    ),
    "until the connection ends": (once(b"HTTP/1.1 200 OK\r\nx: y\r\n\r\nabc"), 200, b"abc", False),
    "until the connection ends, after 100-continue": (
        once(b"HTTP/1.1 100 Continue\r\ncontent-length: 7\r\n\r\nHTTP/1.1 200 OK\r\n\r\nabc"),
        200,
        b"abc",
        False,
    ),
    "by HTTP/1.0": (once(b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na"), 200, b"a", False),
    "by HTTP/1.0 kept alive": (
        says(b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\na"),
        200,
        b"a",
        True,
    ),
    "and hangs up": (once(ok(b"a", "connection: close")), 200, b"a", False),
    "with an error": (says(ok(b"a", status="503 Later")), 503, b"a", True),
    "with as many headers as may be": (
        says(ok(b"a", *(f"x{n}: y" for n in range(MAX_HEADERS - 1)))),
        200,
        b"a",
        True,
    ),
    "with a body of many lines": (says(ok(b"\n" * 5_000)), 200, b"\n" * 5_000, True),
    "with as long a body as may be": (says(ok(b"a" * MAX_BODY_BYTES)), 200, b"a" * MAX_BODY_BYTES, True),
    "with more than was asked for": (says(ok(b"a") + ok(b"b")), 200, b"a", False),
    "with garbage after it": (says(ok(b"a") + b"garbage"), 200, b"a", False),
}


@pytest.mark.parametrize("how", WHOLE)
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_whole_reply_is_read(how: str, run: Any) -> None:
    behave, status, body, kept = WHOLE[how]
    answered = run(ask_once(behave, kept=kept))
    assert (answered.code, answered.status, answered.body) == ("", status, body)


BROKEN: dict[str, tuple[Behave, str]] = {
    "garbage": (says(b"\x16\x03\x01 what is this"), "malformed"),
    "another protocol's greeting": (says(b"220 mail.example.com ESMTP\r\n"), "malformed"),
    "a status that is none": (says(b"HTTP/1.1 20x OK\r\n\r\n"), "malformed"),
    "another version": (says(b"HTTP/9.9 200 OK\r\n\r\n"), "malformed"),
    "bad chunking": (
        says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n"),
        "malformed",
    ),
    "two lengths": (
        says(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
        "malformed",
    ),
    "a length and chunks": (
        says(
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
        ),
        "malformed",
    ),
    "a length below nothing": (says(b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n"), "malformed"),
    "another protocol": (
        says(b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nhello"),
        "malformed",
    ),
    "announcements without end": (endless(b"", CONTINUE), "malformed"),
    "a header without end": (endless(b"HTTP/1.1 200 OK\r\nx: ", b"y" * 4_000), "too_large"),
    "headers without end": (endless(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"), "too_large"),
    "huge headers at once": (
        says(b"HTTP/1.1 200 OK\r\nx: " + b"y" * MAX_HEAD_BYTES + b"\r\ncontent-length: 0\r\n\r\n"),
        "too_large",
    ),
    "too many headers": (says(ok(b"a", *(f"x{n}: y" for n in range(MAX_HEADERS)))), "too_large"),
    "a body without end": (
        endless(b"HTTP/1.1 200 OK\r\n\r\n", b"z" * 10_000),
        "too_large",
    ),
    "chunks without end": (
        endless(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"3e8\r\n" + b"z" * 1_000 + b"\r\n"
        ),
        "too_large",
    ),
    "one byte too many": (says(ok(b"a" * (MAX_BODY_BYTES + 1))), "too_large"),
    "an answer that breaks off": (once(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"), "unreachable"),
    "chunks that break off": (
        once(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"),
        "unreachable",
    ),
    "headers that break off": (once(b"HTTP/1.1 200 OK\r\nx: "), "unreachable"),
    "a length that breaks off and hangs up": (
        once(b"HTTP/1.1 200 OK\r\nconnection: close\r\nContent-Length: 10\r\n\r\nabc"),
        "unreachable",
    ),
    "no word at all": (once(b""), "unreachable"),
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_broken_reply_has_its_code_and_its_connection_is_closed(what: str, run: Any) -> None:
    behave, code = BROKEN[what]
    answered = run(ask_once(behave, kept=False))
    assert (answered.code, answered.status, answered.body) == (code, 0, b"")
    assert answered.detail


SLOW: dict[str, Behave] = {
    "nothing": never,
    "part of its headers": says(b"HTTP/1.1 200 OK\r\nx: "),
    "part of its body": says(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"),
    "a body that should end with the connection": says(b"HTTP/1.1 200 OK\r\n\r\nabc"),
    "only that it will": says(CONTINUE),
}


@pytest.mark.parametrize("what", SLOW)
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_who_says_too_little_is_out_of_time_and_let_go(what: str, run: Any) -> None:
    answered = run(ask_once(SLOW[what], kept=False, deadline_ms=IMPATIENT_MS))
    assert (answered.code, answered.status, answered.body) == ("timed_out", 0, b"")


@on_each_loop
async def test_a_reset_inside_the_answer_is_no_answer() -> None:
    async def resets(talk: Talk) -> None:
        await talk.request()
        # With no length the answer would last until the connection ends: in an orderly way.
        await talk.say(b"HTTP/1.1 200 OK\r\n\r\nabc")
        talk.reset()

    answered = await ask_once(resets, kept=False)
    assert (answered.code, answered.body) == ("unreachable", b"")


@on_each_loop
async def test_redirects_are_not_followed() -> None:
    async with bidder(answering(ok(b"inside"))) as inside:
        moved = ok(b"", f"location: {inside.url}", status="302 Found")
        async with bidder(answering(moved)) as one, pinging() as pinger:
            (answered,) = await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
        assert (answered.code, answered.status, inside.connections) == ("redirected", 302, 0)


@on_each_loop
async def test_what_nobody_asked_for_is_no_answer_to_the_next_question() -> None:
    async def talks_first(talk: Talk) -> None:
        await talk.say(ok(b"forged"))
        while True:
            await talk.request()
            await talk.say(ok(b"honest"))

    async with bidder(talks_first) as one, pinging() as pinger:
        await pinger.prewarm(one.url, "acc_1/off_1", 1)
        await one.until_open(0)
        await until(lambda: pinger.connections == 0)


@on_each_loop
async def test_hostile_bidders_cost_the_good_one_nothing() -> None:
    hostile = [behave for behave, _ in BROKEN.values()] + list(SLOW.values())

    async def ask_among(behaves: list[Behave]) -> list[str]:
        if behaves:
            async with bidder(behaves[0]) as one:
                urls.append(one.url)
                return await ask_among(behaves[1:])
        async with bidder(answering(ok(b"good"))) as good, pinging() as pinger:
            askings = [asking(url, f"broken_{n}") for n, url in enumerate(urls[: len(BROKEN)])]
            askings += [
                asking(url, f"slow_{n}", timeout_ms=IMPATIENT_MS) for n, url in enumerate(urls[len(BROKEN) :])
            ]
            answers = await pinger.ask([*askings, asking(good.url)], deadline_ms=PATIENT_MS)
            assert (answers[-1].code, answers[-1].body) == ("", b"good")
            return [each.code for each in answers[:-1]]

    urls: list[str] = []
    codes = await ask_among(hostile)
    assert codes == [code for _, code in BROKEN.values()] + ["timed_out"] * len(SLOW)
