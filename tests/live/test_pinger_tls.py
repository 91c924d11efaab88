"""The pinger over TLS: verified, resumed, cut short, and as robust as without."""

import ssl
import tempfile

import pytest
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

from callmatrix.bench.certificate import Certificate, make
from callmatrix.live.pinger import Answered
from callmatrix.world import RealWorld

TRUSTED = make(("127.0.0.1", "localhost"), at=RealWorld().now())
OTHER = make(("127.0.0.1",), at=RealWorld().now())
MISNAMED = make(("bid.example.com", "127.0.0.9"), at=RealWorld().now())
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def server_of(
    certificate: Certificate, *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    """A server's side with this certificate and just this version of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(certificate.chain + certificate.key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


async def ask_once(behave: Behave, *, server: ssl.SSLContext, deadline_ms: int = PATIENT_MS) -> Answered:
    """What one ping over TLS brings; a connection that failed is let go."""
    async with bidder(behave, tls=server) as one:
        async with pinging(extra_ca=TRUSTED.authority, linger_s=0) as pinger:
            (answered,) = await pinger.ask([asking(one.url)], deadline_ms=deadline_ms)
            if answered.code:
                await until(lambda: pinger.connections == 0)
            return answered


@on_each_loop
async def test_bidders_are_asked_over_either_version_and_connections_used_again() -> None:
    for version in VERSIONS:
        async with bidder(answering(ok(b"sealed")), tls=server_of(TRUSTED, version=version)) as one:
            async with pinging(extra_ca=TRUSTED.authority) as pinger:
                first = await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
                second = await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
        assert [(each.code, each.body, each.reused) for each in (*first, *second)] == [
            ("", b"sealed", False),
            ("", b"sealed", True),
        ]
        assert first[0].tls_us > 0
        assert second[0].tls_us == 0
        assert one.connections == 1


@on_each_loop
async def test_the_next_connection_takes_up_the_session_of_the_last() -> None:
    for version in VERSIONS:
        resumed = []

        async def answers_once(talk: Talk, resumed: list[bool] = resumed) -> None:
            resumed.append(talk.resumed)
            await talk.request()
            await talk.say(ok(b"%d" % talk.number))
            await talk.request()

        async with bidder(answers_once, tls=server_of(TRUSTED, version=version)) as one:
            async with pinging(extra_ca=TRUSTED.authority) as pinger:
                for number in range(1, 4):
                    (answered,) = await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
                    assert (answered.code, answered.body) == ("", b"%d" % number)
        assert resumed == [False, True, True]


@on_each_loop
async def test_a_connection_opened_beforehand_serves() -> None:
    async with bidder(answering(ok()), tls=server_of(TRUSTED)) as one:
        async with pinging(extra_ca=TRUSTED.authority) as pinger:
            await pinger.prewarm(one.url, "acc_1/off_1", 2)
            assert pinger.idle == 2
            (answered,) = await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
            assert (answered.code, answered.reused) == ("", True)


@on_each_loop
async def test_the_name_is_told_to_the_server_and_verified() -> None:
    told = []
    server = server_of(TRUSTED)
    server.sni_callback = lambda _socket, name, _context: told.append(name)
    async with bidder(answering(ok()), tls=server) as one, pinging(extra_ca=TRUSTED.authority) as pinger:
        (answered,) = await pinger.ask(
            [asking(one.url.replace("127.0.0.1", "localhost"))], deadline_ms=PATIENT_MS
        )
    assert (answered.code, told) == ("", ["localhost"])


@pytest.mark.parametrize(
    ("certificate", "complaint"),
    [(OTHER, "unable to get local issuer certificate"), (MISNAMED, "unable to get local issuer certificate")],
)
async def test_a_stranger_is_not_asked(certificate: Certificate, complaint: str) -> None:
    answered = await ask_once(answering(ok()), server=server_of(certificate))
    assert answered.code == "unreachable"
    assert complaint in answered.detail


async def test_a_certificate_for_another_host_is_not_accepted() -> None:
    async with bidder(answering(ok()), tls=server_of(MISNAMED)) as one:
        async with pinging(extra_ca=MISNAMED.authority) as pinger:
            (answered,) = await pinger.ask([asking(one.url)], deadline_ms=PATIENT_MS)
    assert answered.code == "unreachable"
    assert "IP address mismatch" in answered.detail
    assert one.requests == []


@on_each_loop
async def test_who_speaks_no_tls_is_unreachable() -> None:
    async with bidder(once(ok())) as plain, pinging(extra_ca=TRUSTED.authority) as pinger:
        (silent,) = await pinger.ask([asking(plain.url.replace("http", "https"))], deadline_ms=IMPATIENT_MS)
    assert silent.code in ("timed_out", "unreachable")

    async def babbles(talk: Talk) -> None:
        await talk.say(b"220 mail.example.com\r\n" * 10)
        await talk.until_closed()

    async with bidder(babbles) as plain, pinging(extra_ca=TRUSTED.authority) as pinger:
        (answered,) = await pinger.ask([asking(plain.url.replace("http", "https"))], deadline_ms=PATIENT_MS)
        assert (answered.code, answered.status) == ("unreachable", 0)
        await until(lambda: pinger.connections == 0)


@on_each_loop
async def test_an_answer_until_the_end_must_end_in_an_orderly_way() -> None:
    """Without TLS's own goodbye anybody on the way could have cut the answer short."""
    until_the_end = b"HTTP/1.1 200 OK\r\n\r\nabc"
    whole = await ask_once(once(until_the_end), server=server_of(TRUSTED))
    assert (whole.code, whole.body) == ("", b"abc")

    async def cut(talk: Talk) -> None:
        await talk.request()
        await talk.say(until_the_end)
        talk.abort()

    answered = await ask_once(cut, server=server_of(TRUSTED))
    assert (answered.code, answered.body) == ("unreachable", b"")


@on_each_loop
async def test_limits_and_deadlines_hold_over_tls_too() -> None:
    async def endless(talk: Talk) -> None:
        await talk.request()
        await talk.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await talk.say(b"z" * 10_000)

    server = server_of(TRUSTED)
    assert (await ask_once(endless, server=server)).code == "too_large"
    assert (await ask_once(never, server=server, deadline_ms=IMPATIENT_MS)).code == "timed_out"
    assert (await ask_once(once(b"garbage, no HTTP"), server=server)).code == "malformed"
