"""What the pinger decides without a connection: throttling, where a URL leads, which addresses are asked."""

import asyncio
from collections.abc import Sequence

import pytest
from hostile_bidders import PATIENT_MS, answering, asking, bidder, ok, pinging
from hypothesis import given
from hypothesis import strategies as st

from callmatrix.dialects.http import HttpRequest
from callmatrix.live.pinger.names import MAX_ADDRESSES, AddressRefused, Names
from callmatrix.live.pinger.target import Origin, Unaskable, origin_of, render, render_head
from callmatrix.live.pinger.throttle import FORGIVEN, HALF_LIFE_S, MAX_SKIPPED, Throttle

# --- the throttle --------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.booleans(), st.floats(min_value=0, max_value=100)), max_size=300))
def test_the_throttle_stays_within_its_bounds_and_forgives_few_failures(
    events: list[tuple[bool, float]],
) -> None:
    throttle, now_s = Throttle(), 0.0
    for good, after_s in events:
        now_s += after_s
        throttle.record(good=good, now_s=now_s)
        failing, share = throttle.failing(now_s), throttle.skip_share(now_s)
        assert 0.0 <= failing <= 1.0
        assert 0.0 <= share <= MAX_SKIPPED
        assert (share == 0.0) == (failing <= FORGIVEN)
        assert share == 0.0 or throttle.strained
        assert throttle.failing(now_s + HALF_LIFE_S) == pytest.approx(failing / 2)


@given(st.lists(st.booleans(), min_size=1, max_size=100), st.data())
def test_a_failure_more_never_makes_the_throttle_milder(events: list[bool], data: st.DataObject) -> None:
    place = data.draw(st.integers(min_value=0, max_value=len(events) - 1))
    worse = [*events[:place], False, *events[place + 1 :]]
    mild, strict = Throttle(), Throttle()
    for good, worse_good in zip(events, worse, strict=True):
        mild.record(good=good, now_s=0.0)
        strict.record(good=worse_good, now_s=0.0)
    assert strict.skip_share(0.0) >= mild.skip_share(0.0)


def test_who_always_fails_is_skipped_nine_times_in_ten_and_who_recovers_is_asked_again() -> None:
    throttle = Throttle()
    for _ in range(1_000):
        throttle.record(good=False, now_s=0.0)
    assert throttle.skip_share(0.0) == pytest.approx(MAX_SKIPPED)
    for _ in range(100):
        throttle.record(good=True, now_s=0.0)
    assert throttle.skip_share(0.0) == 0.0


# --- where a URL leads ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "origin", "start"),
    [
        (
            "http://bid.example.com",
            Origin(secure=False, host="bid.example.com", port=80),
            b"POST / HTTP/1.1\r\nhost: bid.example.com\r\n",
        ),
        (
            "HTTPS://Bid.Example.com:8443/a/b?c=d&e#f",
            Origin(secure=True, host="bid.example.com", port=8443),
            b"POST /a/b?c=d&e HTTP/1.1\r\nhost: bid.example.com:8443\r\n",
        ),
        (
            "https://bid.example.com:443?zip=60601",
            Origin(secure=True, host="bid.example.com", port=443),
            b"POST /?zip=60601 HTTP/1.1\r\nhost: bid.example.com\r\n",
        ),
        (
            "https://bid.example.com./",
            Origin(secure=True, host="bid.example.com", port=443),
            b"POST / HTTP/1.1\r\nhost: bid.example.com\r\n",
        ),
        (
            "http://[2606:4700::1111]:81/é%20 b",
            Origin(secure=False, host="2606:4700::1111", port=81),
            b"POST /%C3%A9%20%20b HTTP/1.1\r\nhost: [2606:4700::1111]:81\r\n",
        ),
        (
            "https://bücher.example/",
            Origin(secure=True, host="xn--bcher-kva.example", port=443),
            b"POST / HTTP/1.1\r\nhost: xn--bcher-kva.example\r\n",
        ),
    ],
)
def test_a_url_is_read_once_for_connection_and_request(url: str, origin: Origin, start: bytes) -> None:
    assert origin_of(url) == origin
    request = HttpRequest(method="POST", url=url, body=b"{}")
    assert render(render_head(request), request) == (
        start + b"accept-encoding: identity\r\nuser-agent: CallMatrix\r\ncontent-length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bid.example.com",
        "ftp://bid.example.com/",
        "http://",
        "http:///path",
        "http://user@bid.example.com/",
        "http://user:secret@bid.example.com/",
        "http://bid.example.com:0/",
        "http://bid.example.com:65536/",
        "http://bid.example.com:80:80/",
        "http://bid.example.com\\@inside/",
        "http://bid example.com/",
        "http://bid.example.com\r\nx: y/",
        "http://[::1%25eth0]/",
        "http://[bid.example.com]/",
        "http://.bid.example.com/",
        "http://bid..example.com/",
        "http://b%69d.example.com/",
        "http://" + "a" * 300 + ".example.com/",
        "http://bid.example.com/" + "a" * 9_000,
    ],
)
def test_what_could_be_read_in_two_ways_is_not_asked(url: str) -> None:
    with pytest.raises(Unaskable):
        origin_of(url)


@given(url=st.text(max_size=60), value=st.text(max_size=20), name=st.text(min_size=1, max_size=10))
def test_no_text_can_add_a_line_to_a_request(url: str, value: str, name: str) -> None:
    request = HttpRequest(method="GET", url=f"http://bid.example.com/{url}", headers={name: value})
    try:
        head = render_head(request)
    except Unaskable:
        return
    lines = head.split(b"\r\n")
    assert len(lines) in (6, 7)
    assert lines[-2:] == [b"", b""]
    assert len(lines[0].split(b" ")) == 3
    assert b"\n" not in b"".join(lines)
    assert b"\r" not in b"".join(lines)


# --- which addresses are asked -------------------------------------------------------------------------


class NameServer:
    """Answers as told, and counts."""

    def __init__(self, *answers: Sequence[str] | OSError) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer


async def test_a_name_is_looked_up_once_for_many() -> None:
    server = NameServer(["8.8.8.8", "8.8.4.4", "8.8.8.8"])
    names = Names(allow_loopback=False, resolve=server)
    found = await asyncio.gather(*(names.find("bid.example.com") for _ in range(5)))
    assert found == [("8.8.8.8", "8.8.4.4")] * 5
    assert server.asked == 1
    await names.close()


async def test_addresses_inside_are_left_out_and_without_others_the_name_is_refused() -> None:
    names = Names(allow_loopback=False, resolve=NameServer(["10.0.0.1", "8.8.8.8", "127.0.0.1", "fe80::1"]))
    assert await names.find("bid.example.com") == ("8.8.8.8",)
    inside = Names(allow_loopback=False, resolve=NameServer(["169.254.169.254", "::ffff:10.0.0.1"]))
    with pytest.raises(AddressRefused):
        await inside.find("bid.example.com")


async def test_an_address_needs_no_name_server_and_must_be_outside() -> None:
    server = NameServer(OSError("must not be asked"))
    names = Names(allow_loopback=False, resolve=server)
    assert await names.find("8.8.8.8") == ("8.8.8.8",)
    for inside in ("127.0.0.1", "10.1.2.3", "::1", "::ffff:192.168.0.1"):
        with pytest.raises(AddressRefused):
            await names.find(inside)
    assert server.asked == 0


async def test_a_name_that_cannot_be_resolved_is_not_asked_about_again_at_once() -> None:
    server = NameServer(OSError("no such name"), ["8.8.8.8"])
    names = Names(allow_loopback=False, resolve=server)
    for _ in range(3):
        with pytest.raises(OSError, match="no such name"):
            await names.find("bid.example.com")
    assert server.asked == 1


async def test_an_address_that_takes_no_connection_is_tried_last() -> None:
    names = Names(allow_loopback=False, resolve=NameServer([f"8.8.8.{n}" for n in range(20)]))
    assert len(await names.find("bid.example.com")) == MAX_ADDRESSES
    names.unreachable("bid.example.com", "8.8.8.0")
    found = await names.find("bid.example.com")
    assert (found[0], found[-1]) == ("8.8.8.1", "8.8.8.0")


async def test_loopback_is_asked_only_where_it_is_allowed() -> None:
    async with bidder(answering(ok())) as one, pinging(allow_loopback=False) as pinger:
        answers = await pinger.ask(
            [asking(one.url, "off_1"), asking(f"http://localhost:{one.port}/", "off_2")],
            deadline_ms=PATIENT_MS,
        )
        health = pinger.health("acc_1/off_1")
    assert [each.code for each in answers] == ["address_refused"] * 2
    assert (one.connections, health.failing) == (0, 0.0)


async def test_the_connection_goes_to_the_address_that_was_judged() -> None:
    """A name server that says another address the second time is not asked a second time."""
    async with bidder(answering(ok(b"outside"))) as one:
        server = NameServer(["127.0.0.1"], ["127.0.0.2"])
        async with pinging(resolve=server) as pinger:
            url = f"http://bid.example.com:{one.port}/ping"
            for _ in range(2):
                (answered,) = await pinger.ask([asking(url)], deadline_ms=PATIENT_MS)
                assert answered.body == b"outside"
        assert server.asked == 1
        assert b"\r\nhost: bid.example.com:%d\r\n" % one.port in one.requests[0]


async def test_the_next_address_is_tried_where_one_takes_no_connection() -> None:
    async with bidder(answering(ok())) as one, pinging(resolve=NameServer(["::1", "127.0.0.1"])) as pinger:
        (answered,) = await pinger.ask(
            [asking(f"http://bid.example.com:{one.port}/")], deadline_ms=PATIENT_MS
        )
    assert answered.code == ""
