"""A server in a process of its own that can be killed, and what the sweeps make of what it leaves."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from callmatrix import main
from callmatrix.live import jobs, replay, schedule, sweeps
from callmatrix.live.app import App
from callmatrix.settings import Settings, format_secret_key
from callmatrix.world import SeededWorld
from served import KEY

MAX_ROUNDS = 40


class Server:
    """`callmatrix serve`, in a process of its own that can be killed and started again."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self.settings = settings
        self._environment = os.environ | {
            "DATABASE_URL": settings.database_url or "",
            "CALLMATRIX_DATA": str(settings.data),
            "CALLMATRIX_PORT": str(settings.port),
            "CALLMATRIX_PUBLIC_URL": settings.public_url,
            "CALLMATRIX_SECRET_KEY": format_secret_key(KEY),
            "CALLMATRIX_ALLOW_LOOPBACK": "1",
        }
        self._log = log
        self.up = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "callmatrix.cli",
                "serve",
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if line.startswith(b"CallMatrix is on"):
                self.up.set()
                return
        raise AssertionError(f"the server did not start: {self._log.read_text()}")

    def kill(self) -> None:
        """Without a word: what it was doing, it was doing."""
        if self.process is not None and self.up.is_set():
            self.up.clear()
            self.process.send_signal(signal.SIGKILL)

    async def end(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


async def keep_up(server: Server) -> None:
    """Start the server whenever it was killed."""
    while True:
        assert server.process is not None
        await server.process.wait()
        await server.start()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def settings_at(database_url: str, *, data: Path, port: int) -> Settings:
    """Those of a server that tests kill."""
    return Settings(
        database_url=database_url,
        data=data,
        host="127.0.0.1",
        port=port,
        public_url=f"http://127.0.0.1:{port}",
        processes=1,
        secret_key=KEY,
        allow_loopback=True,
    )


@asynccontextmanager
async def process_of_ours(settings: Settings, *, at: datetime) -> AsyncIterator[App]:
    """A process at another instant, without its loops."""
    world = SeededWorld(seed=7, clock=lambda: at)
    assert settings.database_url is not None
    async with main.running(settings, dsn=settings.database_url, world=world, loops=False) as app:
        yield app


async def swept(settings: Settings, *, at: datetime) -> None:
    """Everything that the sweeps of a server would do at an instant, until there is nothing more to do."""
    async with process_of_ours(settings, at=at) as app:
        for _ in range(MAX_ROUNDS):
            told = await replay.replay(app)
            await sweeps.sweep(app)
            ran = await jobs.run_due(app, schedule.JOBS)
            await app.background.drain()
            if not told and not ran:
                return
    raise AssertionError("the sweeps never come to an end")
