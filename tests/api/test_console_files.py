"""The console's files as a browser gets them, and what is told where none is built."""

import gzip
from pathlib import Path

import httpx
import pytest

SCRIPT = b"export const answer = 42;\n" * 40
PAGE = b"<!doctype html><title>CallMatrix</title>"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A console in the server's folder of static files."""
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "assets" / "index-a1.js").write_bytes(SCRIPT)
    (folder / "assets" / "index-a1.js.gz").write_bytes(gzip.compress(SCRIPT))
    (folder / "icon.svg").write_bytes(b"<svg/>")
    (folder / "index.html").write_bytes(PAGE)
    return folder


async def test_without_a_console_the_front_says_which_command_builds_it(http: httpx.AsyncClient) -> None:
    answer = await http.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert "make console" in answer.text
    assert 'href="/docs"' in answer.text
    assert (await http.get("/calls")).json()["code"] == "not_found"


@pytest.mark.parametrize("path", ["/", "/calls", "/calls/call_1", "/first-sign-in?token=abc", "/index"])
async def test_every_address_of_a_page_is_answered_with_the_one_page(
    path: str, built: Path, http: httpx.AsyncClient
) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.content) == (200, PAGE)
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["referrer-policy"] == "no-referrer"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "script-src" not in policy  # scripts come from here only, as everything by default


@pytest.mark.parametrize(
    "path",
    ["/api/nothing", "/api", "/assets/index-b2.js", "/.env", "/assets/../../main.py", "/index.html.gz"],
)
async def test_what_is_no_page_and_no_file_is_not_there(
    path: str, built: Path, http: httpx.AsyncClient
) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_hashed_file_is_kept_for_ever_and_sent_compressed_to_who_takes_it(
    built: Path, http: httpx.AsyncClient
) -> None:
    plain = await http.get("/assets/index-a1.js", headers={"Accept-Encoding": "identity"})
    assert (plain.content, plain.headers["content-type"]) == (SCRIPT, "text/javascript; charset=utf-8")
    assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "content-encoding" not in plain.headers
    squeezed = await http.get("/assets/index-a1.js", headers={"Accept-Encoding": "br;q=1.0, gzip"})
    assert (squeezed.headers["content-encoding"], squeezed.content) == ("gzip", SCRIPT)
    assert int(squeezed.headers["content-length"]) < len(SCRIPT)


async def test_a_page_that_a_browser_has_already_is_not_sent_again(
    built: Path, http: httpx.AsyncClient
) -> None:
    etag = (await http.get("/")).headers["etag"]
    again = await http.get("/", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_console_that_is_built_anew_is_served_at_once(built: Path, http: httpx.AsyncClient) -> None:
    assert (await http.get("/")).content == PAGE
    (built / "index.html").write_bytes(PAGE + b"2")
    assert (await http.get("/")).content == PAGE + b"2"


async def test_only_reading_is_answered_by_the_console(built: Path, http: httpx.AsyncClient) -> None:
    answer = await http.post("/calls")
    assert answer.status_code in (404, 405)
    assert (await http.get("/docs")).headers["content-type"] == "text/html; charset=utf-8"
    assert (await http.get("/healthz")).json()["database"] == "ok"
