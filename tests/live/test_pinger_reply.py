"""The reader of replies: whatever bytes come, in whatever pieces, there is one outcome within the limits."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from callmatrix.live.pinger.reply import MAX_BODY_BYTES, MAX_HEAD_BYTES, ReplyReader

CODES = {"", "malformed", "too_large", "unreachable"}

fragments = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n",
        b"HTTP/1.1 302 Found\r\n",
        b"content-length: 5\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"transfer-encoding: chunked\r\n",
        b"connection: close\r\n",
        b"upgrade: x\r\n",
        b"\r\n",
        b"hello",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"ffffffffffffffff\r\n",
        b"x: " + b"y" * 5_000 + b"\r\n",
        b"x: y\r\n" * 60,
        b"z" * 30_000,
    ]
)
streams = st.lists(st.one_of(fragments, st.binary(max_size=40)), max_size=14).map(b"".join)
cuts = st.lists(st.integers(min_value=0, max_value=100_000), max_size=12)


def pieces(stream: bytes, at: list[int]) -> list[bytes]:
    """The stream cut at these places."""
    places = sorted({min(each, len(stream)) for each in at} | {0, len(stream)})
    return [stream[start:end] for start, end in pairwise(places)]


def read(parts: list[bytes], *, clean: bool) -> tuple[object, ...]:
    """What the reader makes of these pieces and the connection's end, with its laws checked on the way."""
    reader = ReplyReader()
    for part in parts:
        over = reader.feed(part)
        assert over == reader.over
        assert len(reader.body()) <= MAX_BODY_BYTES
        if over:
            break
    else:
        reader.end(clean=clean)
        assert not reader.reusable
    assert reader.over
    assert reader.code in CODES
    if reader.code:
        assert (reader.body(), reader.reusable) == (b"", False)
        assert reader.detail
    else:
        assert 200 <= reader.status <= 999
    return reader.code, reader.status, reader.body()


@given(stream=streams, at=cuts, clean=st.booleans())
def test_every_stream_has_exactly_one_outcome_within_the_limits(
    stream: bytes, at: list[int], clean: bool
) -> None:
    read(pieces(stream, at), clean=clean)


@given(stream=streams, at=cuts, clean=st.booleans())
def test_whole_replies_are_read_the_same_however_they_are_cut(
    stream: bytes, at: list[int], clean: bool
) -> None:
    uncut = read([stream] if stream else [], clean=clean)
    if uncut[0] == "":
        assert read(pieces(stream, at), clean=clean) == uncut


@given(
    bodies=st.lists(st.binary(max_size=300), min_size=1, max_size=5),
    chunked=st.booleans(),
    at=st.lists(st.integers(min_value=0, max_value=400), max_size=5),
)
def test_one_reply_after_the_other_is_read_on_one_connection(
    bodies: list[bytes], chunked: bool, at: list[int]
) -> None:
    reader = ReplyReader()
    for body in bodies:
        if chunked:
            frame = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            reply = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + frame + b"0\r\n\r\n"
        else:
            reply = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        overs = [reader.feed(part) for part in pieces(reply, at)]
        assert overs == [False] * (len(overs) - 1) + [True]
        assert (reader.code, reader.status, reader.body(), reader.reusable) == ("", 200, body, True)
        reader.start()


@given(size=st.integers(min_value=MAX_HEAD_BYTES - 50, max_value=MAX_HEAD_BYTES + 50), at=cuts)
def test_the_limit_of_the_head_does_not_depend_on_how_it_is_cut(size: int, at: list[int]) -> None:
    start, end = b"HTTP/1.1 200 OK\r\nx: ", b"\r\ncontent-length: 2\r\n\r\n"
    head = start + b"y" * (size - len(start) - len(end)) + end
    code, status, body = read(pieces(head + b"ok", at), clean=True)
    assert (code, status, body) == (("", 200, b"ok") if size <= MAX_HEAD_BYTES else ("too_large", 0, b""))
