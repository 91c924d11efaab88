"""A server on loopback with an account, a person of each role, and a client that speaks real HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

import make
from callmatrix.core.ids import UserId
from callmatrix.live.app import App
from callmatrix.main import asgi, assembled
from callmatrix.settings import Settings
from callmatrix.store import access, catalog
from callmatrix.store.access import User
from callmatrix.store.audit import By
from callmatrix.store.db import Database
from callmatrix.world import RealWorld

KEY = b"k" * 32
SETTINGS = Settings(
    database_url=None,
    data=Path("var"),
    host="127.0.0.1",
    port=0,
    public_url="http://calls.example.com",
    processes=1,
    secret_key=KEY,
    allow_loopback=True,
)
BUYER, PUBLISHER = "buy_1", "pub_1"
ROLES = ("admin", "manager", "analyst", "buyer", "publisher")


class Client:
    """What one person or program asks; `json` is sent as the body, and answers are read."""

    def __init__(self, http: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.http = http
        self.headers = headers

    async def ask(self, method: str, path: str, json: Any = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(method, path, json=json, headers=self.headers | named)

    async def get(self, path: str, **headers: str) -> Any:
        answer = await self.ask("GET", path, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, json: Any = None, **headers: str) -> Any:
        answer = await self.ask("POST", path, json, **headers)
        assert answer.status_code in (200, 201, 202), answer.text
        return answer.json()


@pytest.fixture
async def app(db: Database) -> AsyncIterator[App]:
    """The parts of a server process on an account with a buyer, an offer, a publisher and a campaign."""
    world = RealWorld()
    by = By(who="usr_seed", at=world.now())
    async with db.transaction() as tx:
        await catalog.create_account(tx, make.account(), by=by)
        for document in (
            make.connection(),
            make.buyer(1),
            make.buyer(2),
            make.offer(1),
            make.offer(2),
            make.publisher(),
            make.campaign(make.offer(1), make.offer(2)),
        ):
            await catalog.create(tx, make.ACCOUNT, document, by=by)
    async with assembled(SETTINGS, db=db, world=world, secret_key=KEY) as built:
        yield built


@pytest.fixture
async def address(app: App, tmp_path: Path) -> AsyncIterator[str]:
    """Where the server listens; no console is built in its folder of static files."""
    parts = asgi(app, static=tmp_path / "static")
    server = uvicorn.Server(uvicorn.Config(parts, lifespan="off", log_level="error", http="httptools"))
    # Named as TCP, so that asyncio sends at once instead of waiting 40 ms for what may follow.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await serving


@pytest.fixture
async def http(address: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client without any sign-in."""
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
async def people(app: App, http: httpx.AsyncClient) -> dict[str, Client]:
    """A signed-in person of each role; the buyer's and the publisher's people see what is theirs."""
    now = app.world.now()
    found: dict[str, Client] = {"nobody": Client(http, {})}
    async with app.db.transaction() as tx:
        for role in ROLES:
            user = User(
                id=UserId(f"usr_{role}"),
                account_id=make.ACCOUNT,
                email=f"{role}@example.com",
                name=role.capitalize(),
                role=role,  # type: ignore[arg-type]
                buyer_id=make.BuyerId(BUYER) if role == "buyer" else None,
                publisher_id=make.PUBLISHER if role == "publisher" else None,
                created_at=now,
            )
            await access.add_user(tx, user, by=By(who="usr_seed", at=now))
            await access.begin_session(
                tx,
                user,
                token=f"session-of-{role}",
                csrf=f"csrf-of-{role}",
                now=now,
                expires_at=now + timedelta(hours=1),
            )
            headers = {"Cookie": f"callmatrix_session=session-of-{role}", "X-CSRF-Token": f"csrf-of-{role}"}
            found[role] = Client(http, headers)
    return found


@pytest.fixture
def admin(people: dict[str, Client]) -> Client:
    """Who may do everything."""
    return people["admin"]
