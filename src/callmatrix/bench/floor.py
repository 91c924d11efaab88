"""The least that a server can do for a carrier's webhook: verify it, and change one row in a transaction.

The same uvicorn, loop, form parser, signature check and database pool as the real server; the replies are
the real server's own, recorded before.
"""

import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec
import uvicorn
import uvloop

from callmatrix.core.campaign import Connection
from callmatrix.core.documents import decode
from callmatrix.dialects.carriers.dialect import dialect_of
from callmatrix.dialects.carriers.forms import parse_body
from callmatrix.dialects.carriers.signatures import verify
from callmatrix.dialects.carriers.urls import signed_url
from callmatrix.store.db import Database, connect
from callmatrix.world import RealWorld

ROWS: Final = 4_096
"""So many calls have a row each; two calls in the air hardly ever meet at one."""
TABLE: Final = (
    "create table bench_floor (id integer primary key, version integer not null, saved_at timestamptz)"
    " with (fillfactor = 70)"
)
FILL: Final = f"insert into bench_floor select n, 0, null from generate_series(0, {ROWS - 1}) n"
_LOCK: Final = "select version from bench_floor where id = $1 for update"
_SAVE: Final = "update bench_floor set version = $2, saved_at = $3 where id = $1"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What the floor is started with: its database, socket, connection, secret, and replies by path."""

    dsn: str
    socket: int
    connection: Connection
    secret: str
    replies: dict[str, str]


class Floor:
    """The ASGI callable."""

    def __init__(self, db: Database, orders: Orders) -> None:
        self._db = db
        self._world = RealWorld()
        self._connection = orders.connection
        self._dialect = dialect_of(orders.connection)
        self._secret = orders.secret
        self._replies = {path: reply.encode() for path, reply in orders.replies.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        form = parse_body(body, headers.get("content-type", ""))
        now = self._world.now()
        verified = verify(
            self._dialect,
            secret=self._secret,
            url=signed_url(self._connection, scope["path"], scope["query_string"].decode("latin-1")),
            headers=headers,
            body=body,
            form=form,
            now=now,
        )
        reply = b""
        if verified:
            row = int(form.params["CallSid"][-6:], 16) % ROWS
            async with self._db.transaction() as tx:
                version = await tx.fetchval(_LOCK, row)
                await tx.execute(_SAVE, row, version + 1, now)
            reply = self._replies.get(scope["path"], b"")
        sent = [
            (b"content-type", b"text/xml; charset=utf-8"),
            (b"content-length", str(len(reply)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200 if verified else 403, "headers": sent})
        await send({"type": "http.response.body", "body": reply})


async def serve(orders: Orders) -> None:
    """Answer on an inherited socket until told to stop, with the settings of `main.serve_one`."""
    db = await connect(orders.dsn)
    with socket.socket(fileno=orders.socket) as listening:
        config = uvicorn.Config(
            Floor(db, orders),
            loop="none",
            http="httptools",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
        )
        await uvicorn.Server(config).serve(sockets=[listening])
    await db.close()


if __name__ == "__main__":
    uvloop.run(serve(decode(sys.stdin.buffer.read(), Orders)))
