"""`callmatrix bidder`, as a process of its own against a bidder over HTTP."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import make
import saved
import served
from callmatrix.api.hot import Receive, Scope, Send
from callmatrix.core.campaign import BearerAuth, Bidder, NativeFormat, Offer
from callmatrix.core.pricing import BidPrice
from callmatrix.settings import format_secret_key
from callmatrix.store import catalog, seals
from callmatrix.store.db import Database


class Answering:
    """Answers every ping alike."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.heard: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.heard.append((await receive())["body"])
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


async def save(db: Database, url: str) -> None:
    bidder = Bidder(format=NativeFormat(), ping_url=url, authentication=BearerAuth(), timeout_ms=30_000)
    offer = make.offer(price=BidPrice(floor=make.usd("20")), bidder=bidder)
    async with db.transaction() as tx:
        await catalog.create_account(tx, make.account(), by=saved.BY)
        await catalog.create(tx, make.ACCOUNT, make.buyer(), by=saved.BY)
        await catalog.create(tx, make.ACCOUNT, offer, by=saved.BY)
        await seals.set_secrets(
            tx,
            make.ACCOUNT,
            offer.id,
            {"token": "hunter-2"},
            key=served.KEY,
            by=saved.BY,
            owner=Offer,
        )


async def run(database_url: str, data: Path, *arguments: str) -> tuple[int | None, str, str]:
    variables: dict[str, Any] = {
        "DATABASE_URL": database_url,
        "CALLMATRIX_DATA": str(data),
        "CALLMATRIX_ALLOW_LOOPBACK": "1",
        "CALLMATRIX_SECRET_KEY": format_secret_key(served.KEY),
        "COLUMNS": "200",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "callmatrix.cli",
        "bidder",
        *arguments,
        env=os.environ | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    return process.returncode, out.decode(), error.decode()


async def test_a_test_ping_from_the_command_line_shows_all_that_it_came_to(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    answering = Answering(b'{"bid": "12.50", "bid_id": "[bold]77[/bold]", "expires_in_s": 60}')
    async with served.answering(answering) as url:
        await save(db, f"{url}/ping")
        lead = ("--zip", "94105", "--number", "+14155550100", "--field", "homeowner=yes")
        code, out, error = await run(database_url, tmp_path, "off_1", *lead)
        assert (code, len(answering.heard)) == (0, 1), error
        for told in (
            f"POST {url}/ping",
            '"zip":"94105"',
            '"homeowner":"yes"',
            "status 200",
            '"bid_id": "[bold]77[/bold]"',
            "12.50, ranks by 12.50",
            "under the offer's floor of 20.00",
        ):
            assert told in out, out
        assert "hunter" not in out + error
        assert "+14155550100" not in out


async def test_what_keeps_a_test_ping_from_being_sent_is_one_line(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    async with served.answering(Answering(b'{"bid": 0, "reason": "Not today"}')) as url:
        await save(db, f"{url}/ping")
        code, out, _ = await run(database_url, tmp_path, "off_1")
        assert code == 1
        assert "no_bid: Not today" in out
    code, out, error = await run(database_url, tmp_path, "off_9")
    assert (code, out) == (2, "")
    assert error.splitlines()[-1] == "callmatrix: There is no offer off_9"
    code, out, error = await run(database_url, tmp_path, "off_1", "--zip", "9410")
    assert (code, out) == (2, "")
    assert error.splitlines()[-1].startswith("callmatrix: Expected `str` matching regex")
