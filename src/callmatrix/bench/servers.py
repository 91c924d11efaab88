"""Starts the real server as a process of its own for benchmarks, and waits until it answers."""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from callmatrix.bench import cpu
from callmatrix.store.db import Database

START_WAIT_S: Final = 60.0
POLL_S: Final = 0.05
BACKLOG: Final = 1_024


class BenchFailed(Exception):
    """A server did not start, or a call went another way than it must: nothing was measured."""


def listen() -> socket.socket:
    """A listening socket on a free port of loopback, which no process inherits by accident."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(BACKLOG)
    return listening


def url_of(listening: socket.socket) -> str:
    """Where that socket is reached."""
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


@asynccontextmanager
async def serving(dsn: str, listening: socket.socket, *, key: str) -> AsyncIterator[int]:
    """The real server as the command line runs it, one process, on the port of `listening`; its pid."""
    with tempfile.TemporaryDirectory(prefix="callmatrix-bench-") as folder:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("CALLMATRIX_")
        }
        environment |= {
            "DATABASE_URL": dsn,
            "CALLMATRIX_DATA": folder,
            "CALLMATRIX_PORT": str(listening.getsockname()[1]),
            "CALLMATRIX_SECRET_KEY": key,
            "CALLMATRIX_ALLOW_LOOPBACK": "1",
        }
        listening.close()
        server = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "callmatrix.cli",
            "serve",
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            yield server.pid
        finally:
            await stop(server)


async def stop(server: asyncio.subprocess.Process) -> None:
    """End a process in an orderly way, if it has not ended."""
    if server.returncode is None:
        server.terminate()
    await server.wait()


async def answers(url: str, path: str, session: aiohttp.ClientSession) -> None:
    """Return when the server answers anything at all to a POST."""
    for _ in range(int(START_WAIT_S / POLL_S)):
        try:
            async with session.post(url + path, data=b"CallSid=000000"):
                return
        except aiohttp.ClientError:
            await asyncio.sleep(POLL_S)
    raise BenchFailed(f"nobody answers on {url} after {START_WAIT_S} s")


async def postmaster(db: Database) -> int:
    """The pid of PostgreSQL's first process."""
    async with db.session() as tx:
        return cpu.parent_of(await tx.fetchval("select pg_backend_pid()"))
