"""Bidders for the storm: a process of its own that answers pings and posts, far cheaper than they are asked.

`POST /bid/57` bids in our native format after 57 ms, `POST /post` takes the lead.
"""

import asyncio
import socket
import sys
from typing import Final, cast

import uvloop

from callmatrix.bench.outside import outside
from callmatrix.world import Dice, dice

SEED: Final = 20_261_123
LEAST_CENTS: Final = 1_000
MOST_CENTS: Final = 4_000
_HEAD: Final = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\ncontent-length:"


class Bidder(asyncio.Protocol):
    """One connection of the server: one request at a time."""

    def __init__(self, chance: Dice) -> None:
        self._chance = chance
        self._transport: asyncio.Transport | None = None
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The server has come."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class

    def connection_lost(self, exc: Exception | None) -> None:
        """The server has gone."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """A request, or part of one."""
        read = self._read + data
        end = read.find(_END)
        if end < 0 or len(read) < end + len(_END) + _length(read[:end].lower()):
            self._read = read
            return
        self._read = b""
        _, kind, *more = read[: read.index(b" ", len("POST "))].split(b"/")
        if kind == b"post":
            self._send('{"accepted":true}')
        else:
            asyncio.get_running_loop().call_later(int(more[0]) / 1e3, self._send, self._bid())

    def _bid(self) -> str:
        cents = self._chance.randint(LEAST_CENTS, MOST_CENTS)
        bid_id = f"b-{self._chance.getrandbits(40):010x}"
        return f'{{"bid":"{cents // 100}.{cents % 100:02}","bid_id":"{bid_id}","expires_in_s":60}}'

    def _send(self, body: str) -> None:
        if self._transport is not None:
            self._transport.write((_HEAD.format(length=len(body)) + body).encode())


def _length(head: bytes) -> int:
    _, found, rest = head.partition(_LENGTH)
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def serve(listening: socket.socket) -> None:
    """Answer on an inherited socket until the end of the standard input."""
    loop = asyncio.get_running_loop()
    chance = dice(SEED)
    await loop.create_server(lambda: Bidder(chance), sock=listening)
    await loop.run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    outside()
    with socket.socket(fileno=int(sys.argv[1])) as inherited:
        uvloop.run(serve(inherited))
