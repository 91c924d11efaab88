"""A fuzz target: arbitrary bytes in arbitrary pieces to a pinger's connection that has asked one ping.

Run by `test_pinger_fuzz`; by hand without end: `python tests/live/fuzz_pinger.py CORPUS_FOLDER`.
"""

import asyncio
import sys

import atheris

with atheris.instrument_imports(include=["callmatrix.live.pinger"]):
    from callmatrix.live.pinger.connection import Connection
    from callmatrix.live.pinger.reply import MAX_BODY_BYTES
    from callmatrix.live.pinger.rounds import Round
    from callmatrix.live.pinger.standings import Standing
    from callmatrix.live.pinger.values import Asking

from callmatrix.dialects.http import HttpRequest

CODES = {"", "malformed", "too_large", "unreachable", "redirected"}
ASKED = Asking(
    key="off_1", bidder="acc_1/off_1", timeout_ms=1, request=HttpRequest(method="GET", url="http://127.0.0.1")
)


class Wire(asyncio.Transport):
    """A transport that sends nowhere and notes its end."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended, "written to after its end"
        self.sent += bytes(data)

    def abort(self) -> None:
        self.ended = True


class Owner:
    """A line with no other connection, that opens no fresh one."""

    def __init__(self) -> None:
        self.idle: dict[Connection, None] = {}
        self.idle_s = self.linger_s = 1.0
        self.gone_times = 0

    def again(self, ping_round: Round, place: int, payload: bytes) -> None:
        raise AssertionError("a fresh connection is never asked again")

    def gone(self, connection: Connection) -> None:
        self.gone_times += 1


async def one_input(data: bytes) -> None:
    """One connection's life: asked, answered by the input, ended."""
    provider = atheris.FuzzedDataProvider(data)
    with_eof = provider.ConsumeBool()
    cuts = sorted(provider.ConsumeIntListInRange(provider.ConsumeIntInRange(0, 6), 0, 300))
    stream = provider.ConsumeBytes(provider.remaining_bytes())
    owner, standing, wire = Owner(), Standing("acc_1/off_1"), Wire()
    asked = Round([ASKED], deadline_ms=1)
    connection = Connection(owner, standing, host="127.0.0.1", sessions=None)
    connection.reserve(asked, 0, b"GET / HTTP/1.1\r\n\r\n")
    connection.connection_made(wire)
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        if start < end and not wire.ended:
            connection.data_received(stream[start:end])
            assert (connection in owner.idle) == connection.is_idle
    if with_eof and not wire.ended:
        connection.eof_received()
    connection.connection_lost(None)
    (answered,) = asked.answers
    assert answered is not None
    assert answered.code in CODES, answered.code
    assert len(answered.body) <= MAX_BODY_BYTES
    assert (answered.code not in ("", "redirected")) == (answered.status == 0)
    assert sum(standing.codes.values()) == 1
    assert owner.gone_times == 1
    assert owner.idle == {}


def main() -> None:
    """Fuzz as the arguments say."""
    with asyncio.Runner() as runner:
        atheris.Setup(sys.argv, lambda data: runner.run(one_input(data)))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
