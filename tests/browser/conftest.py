"""The console in Debian's Chromium, against the real server and database; every page is free of messages
in the browser's console."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

import make
from callmatrix.api.console import STATIC
from callmatrix.core.ids import UserId
from callmatrix.live.app import App
from callmatrix.main import asgi
from callmatrix.store import access
from callmatrix.store.access import User
from callmatrix.store.audit import By
from callmatrix.store.db import Database
from callmatrix.world import RealWorld
from served import app_on, save_network

CHROMIUM = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
SHOTS = os.environ.pop("CALLMATRIX_SCREENSHOTS", None)
PATIENCE_MS = 30_000
# What a browser says of a server that a test takes away.
_AWAY = (
    "ERR_CONNECTION_REFUSED",
    "ERR_INCOMPLETE_CHUNKED_ENCODING",
    "ERR_EMPTY_RESPONSE",
    "ERR_CONNECTION_RESET",
)

OpenPage = Callable[..., Awaitable[Page]]


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


class Site:
    """The server on an address of its own, that can be taken away and brought back."""

    def __init__(self, app: App) -> None:
        self.app = app
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.expected: tuple[str, ...] = ()  # what a browser may say of answers that a test wants
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        config = uvicorn.Config(
            asgi(self.app),
            host="127.0.0.1",
            port=self.port,
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=0,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve())
        await self._server.up.wait()

    async def stop(self) -> None:
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        self._server.force_exit = True
        await self._serving
        self._server = self._serving = None


@pytest.fixture(scope="session")
def console() -> Path:
    """The folder of the built console."""
    if not (STATIC / "index.html").exists():
        pytest.fail("The console is not built: run `make console`")
    return STATIC


@pytest.fixture(scope="session")
async def browser(console: Path) -> AsyncIterator[Browser]:
    """One Chromium for all tests."""
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail("There is no Chromium: run `make setup`, or `apt-get install chromium`")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        await launched.close()


@pytest.fixture
async def app(db: Database, tmp_path: Path) -> AsyncIterator[App]:
    """The parts of a server on an account with two offers of two buyers, a publisher and a campaign."""
    await save_network(db)
    async with app_on(db, world=RealWorld(), data=tmp_path) as built:  # type: ignore[arg-type]
        yield built


@pytest.fixture
async def site(app: App) -> AsyncIterator[Site]:
    """The server, up."""
    served = Site(app)
    await served.start()
    yield served
    await served.stop()


@pytest.fixture
async def open_page(browser: Browser, site: Site, app: App) -> AsyncIterator[OpenPage]:
    """Opens a path as a person of a role, or as nobody; at the end no page may have complained."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def listen(page: Page) -> None:
        def said(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                complaints.append(f"{page.url}: {message.text}")

        page.on("console", said)
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))

    async def opened(path: str, *, role: str | None = "admin", **options: Any) -> Page:
        context = await browser.new_context(**{"viewport": WIDE, "locale": "en-US", **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        if role is not None:
            await sign_in(app, role)
            await context.add_cookies(
                [{"name": "callmatrix_session", "value": f"session-of-{role}", "url": site.url}]
            )
        page = await context.new_page()
        listen(page)
        await page.goto(site.url + path)
        return page

    yield opened
    for context in contexts:
        await context.close()
    assert [one for one in complaints if not any(part in one for part in site.expected)] == []


async def sign_in(app: App, role: str) -> None:
    """A person of a role with a session, once."""
    now = app.world.now()
    user = User(
        id=UserId(f"usr_{role}"),
        account_id=make.ACCOUNT,
        email=f"{role}@example.com",
        name=role.capitalize(),
        role=role,  # type: ignore[arg-type]
        buyer_id=make.BuyerId("buy_1") if role == "buyer" else None,
        publisher_id=make.PUBLISHER if role == "publisher" else None,
        created_at=now,
    )
    async with app.db.transaction() as tx:
        if await access.find_user(tx, make.ACCOUNT, user.id) is not None:
            return
        await access.add_user(tx, user, by=By(who="usr_seed", at=now))
        await access.begin_session(
            tx,
            user,
            token=f"session-of-{role}",
            csrf=f"csrf-of-{role}",
            now=now,
            expires_at=now + timedelta(hours=1),
        )


@asynccontextmanager
async def away(site: Site) -> AsyncIterator[None]:
    """The server is gone inside the block, and back after it."""
    site.expected += _AWAY
    await site.stop()
    yield
    await site.start()
