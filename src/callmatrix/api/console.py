"""Serves the built console: hashed files for ever, its one page for every address that is a page's."""

import asyncio
import hashlib
import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec

from callmatrix.api.hot import Receive, Scope, Send

STATIC: Final = Path(__file__).parents[1] / "static"
INDEX: Final = "/index.html"
MAX_FILES: Final = 2_000
MAX_FILE_BYTES: Final = 8_388_608

# Ours to answer whether a console is there or not.
_OTHERS: Final = ("/api/", "/voice/", "/docs", "/openapi.json", "/healthz")
_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))
_POLICY: Final = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; media-src 'self' https:;"
    " object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_SAFE: Final = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
_TYPES: Final = {".js": "text/javascript", ".woff2": "font/woff2", ".svg": "image/svg+xml"}
_TEXTS: Final = ("text/", "image/svg+xml", "application/json")
_MISSING: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>CallMatrix</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<style>:root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;max-width:34rem;"
    "margin:12vh auto;padding:0 1.25rem}</style></head>"
    "<body><main><h1>The console is not built</h1><p>Run <code>make console</code> where CallMatrix was "
    "checked out, then load this page again. It needs Node 20.19 or later.</p><p>The server itself runs: "
    '<a href="/docs">the API’s reference</a>.</p></main></body></html>'
).encode()

Rest = Callable[..., Awaitable[None]]


class StaticFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the console: its bytes as they are and as they were compressed when it was built."""

    bodies: dict[str, bytes]
    media_type: str
    etag: str


class Console:
    """An ASGI callable in front of `rest`, which gets whatever is neither a file of the console nor one of
    its pages. The folder is read when the first is asked for, and again when it was built anew."""

    def __init__(self, rest: Rest, *, folder: Path = STATIC) -> None:
        self._rest = rest
        self._folder = folder
        self._built_at = 0
        self._files: dict[str, StaticFile] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD") or _is_others(scope["path"]):
            await self._rest(scope, receive, send)
            return
        await self._look()
        path: str = scope["path"]
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        found = self._files.get(path)
        if found is not None and path != INDEX:
            await _send_file(send, found, headers, cache=_cache_of(path))
        elif not _is_page(path):
            await self._rest(scope, receive, send)
        elif INDEX in self._files:
            await _send_file(send, self._files[INDEX], headers, cache=b"no-cache", policy=_POLICY)
        elif path == "/":
            await _send(send, 503, [(b"content-type", b"text/html; charset=utf-8"), *_SAFE], _MISSING)
        else:
            await self._rest(scope, receive, send)

    async def _look(self) -> None:
        try:
            built_at = (self._folder / "index.html").stat().st_mtime_ns
        except OSError:
            self._built_at, self._files = 0, {}
            return
        if built_at != self._built_at:
            self._files = await asyncio.to_thread(read_folder, self._folder)
            self._built_at = built_at


def read_folder(folder: Path) -> dict[str, StaticFile]:
    """The files of a built console by their path in the address, each with its compressed forms."""
    found: dict[str, StaticFile] = {}
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in paths[:MAX_FILES]:
        if path.suffix in (".br", ".gz") or path.stat().st_size > MAX_FILE_BYTES:
            continue
        bodies = {"": path.read_bytes()}
        for encoding, suffix in _ENCODINGS:
            squeezed = path.with_name(path.name + suffix)
            if squeezed.is_file():
                bodies[encoding] = squeezed.read_bytes()
        guessed = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        media_type = f"{guessed}; charset=utf-8" if guessed.startswith(_TEXTS) else guessed
        etag = f'"{hashlib.sha256(bodies[""]).hexdigest()[:24]}"'
        found[f"/{path.relative_to(folder).as_posix()}"] = StaticFile(
            bodies=bodies, media_type=media_type, etag=etag
        )
    return found


def _is_others(path: str) -> bool:
    return any(path == one.rstrip("/") or path.startswith(one) for one in _OTHERS)


def _is_page(path: str) -> bool:
    """A page's address names no file."""
    return "." not in path.rpartition("/")[2]


def _cache_of(path: str) -> bytes:
    """What Vite names after its content never changes."""
    return b"public, max-age=31536000, immutable" if path.startswith("/assets/") else b"no-cache"


async def _send_file(
    send: Send, file: StaticFile, headers: dict[bytes, str], *, cache: bytes, policy: str = ""
) -> None:
    told = [(b"etag", file.etag.encode()), (b"cache-control", cache), (b"vary", b"accept-encoding"), *_SAFE]
    if policy:
        told.append((b"content-security-policy", policy.encode()))
    if headers.get(b"if-none-match", "") == file.etag:
        await _send(send, 304, told, b"")
        return
    accepted = {one.partition(";")[0].strip() for one in headers.get(b"accept-encoding", "").split(",")}
    encoding = next((name for name, _ in _ENCODINGS if name in accepted and name in file.bodies), "")
    if encoding:
        told.append((b"content-encoding", encoding.encode()))
    told.append((b"content-type", file.media_type.encode()))
    await _send(send, 200, told, file.bodies[encoding])


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    length = [] if status == 304 else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": body})
