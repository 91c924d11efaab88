"""What the tests of bidder formats share: a ping, a post, and cases kept as JSON files.

A case names what is given (`bidder`, `secrets`, changes to `ping` and `post`, `reply`, `post_reply`) and what
comes of it (`request`, `read`, `complaints`, `post_request`, `posted`). `PYTHONPATH=src python
tests/dialects/bidder_cases.py` writes what comes of the givens into every file; review the difference.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from callmatrix.core import documents
from callmatrix.core.auction import NoBid, Offered, Performance, Ping, Post, Posted, PostRefused
from callmatrix.core.campaign import Bidder
from callmatrix.core.ids import CallId, OfferId
from callmatrix.core.money import Money
from callmatrix.dialects.bidders import complaints, ping_request, post_request, read_ping, read_post
from callmatrix.dialects.http import HttpReply, HttpRequest

GIVEN = ("about", "bidder", "secrets", "ping", "reply", "post", "post_reply")
FOLDER = Path(__file__).parent / "bidders"
AT = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)
NUMBER = "+13105550123"
JSON_TYPE = {"content-type": "application/json"}


def ping(**changes: Any) -> Ping:
    given = {
        "id": "png_01",
        "at": AT,
        "deadline_ms": 1_500,
        "channel": "call",
        "vertical": "plumbing",
        "state": "CA",
        "zip": "90001",
        "area_code": "310",
        "fields": {"homeowner": "yes"},
        "attestation": "A",
        "performance": Performance(days=30, calls=120, connected=90, converted=40),
    }
    return Ping(**{**given, **changes})


def post(**changes: Any) -> Post:
    given = {
        "ping_id": "png_01",
        "bid_id": "bid-77",
        "lead_id": "call_01",
        "offer_id": OfferId("off_1"),
        "at": AT,
        "channel": "call",
        "vertical": "plumbing",
        "amount": Money.parse("12.50"),
        "number": NUMBER,
        "state": "CA",
        "zip": "90001",
        "area_code": "310",
        "fields": {"homeowner": "yes", "name": "Maria O'Neil"},
        "attestation": "A",
        "source": "search",
        "call_id": CallId("call_01"),
    }
    return Post(**{**given, **changes})


def bidder(form: Any, **changes: Any) -> Bidder:
    return Bidder(**{"format": form, "ping_url": "https://bids.example.com/ping", **changes})


def said(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> HttpReply:
    """A reply of this text, these bytes, or the JSON of anything else."""
    if isinstance(body, str):
        body = body.encode()
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpReply(status=status, body=raw, headers=JSON_TYPE if headers is None else headers)


def files() -> list[Path]:
    return sorted(FOLDER.glob("*/*/*.json"))


def load(path: Path) -> dict[str, Any]:
    case: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return case


def outcome(case: dict[str, Any]) -> dict[str, Any]:
    """What comes of a case's givens, in the words of its file."""
    asked = documents.from_plain(case["bidder"], Bidder)
    secrets = case.get("secrets", {})
    found: dict[str, Any] = {}
    if "ping" in case:
        found["request"] = shown_request(ping_request(_changed(ping(), case["ping"]), asked, secrets, at=AT))
    if "reply" in case:
        reply = _reply(case["reply"])
        found["read"] = shown_answer(read_ping(reply, asked, at=AT))
        found["complaints"] = list(complaints(reply, asked, at=AT))
    if "post" in case:
        found["post_request"] = shown_request(
            post_request(_changed(post(), case["post"]), asked, secrets, at=AT)
        )
    if "post_reply" in case:
        found["posted"] = shown_answer(read_post(_reply(case["post_reply"]), asked))
    return found


def shown_request(request: HttpRequest | NoBid | None) -> Any:
    if not isinstance(request, HttpRequest):
        return None if request is None else shown_answer(request)
    plain: dict[str, Any] = {"method": request.method, "url": request.url, "headers": request.headers}
    if request.headers.get("content-type") == "application/json":
        plain["json"] = json.loads(request.body)
    elif request.body:
        plain["text"] = request.body.decode()
    return plain


def shown_answer(answer: Offered | NoBid | Posted | PostRefused) -> Any:
    return {type(answer).__name__: documents.to_plain(answer)}


def _changed(value: Any, changes: dict[str, Any]) -> Any:
    return documents.from_plain({**documents.to_plain(value), **changes}, type(value))


def _reply(given: dict[str, Any]) -> HttpReply:
    if "json" in given:
        body = json.dumps(given["json"]).encode()
    elif "hex" in given:
        body = bytes.fromhex(given["hex"])
    else:
        body = given["text"].encode()
    return HttpReply(status=given.get("status", 200), body=body, headers=given.get("headers", JSON_TYPE))


def rewrite() -> None:
    """Bring every file up to what comes of its givens."""
    for path in files():
        case = {name: value for name, value in load(path).items() if name in GIVEN}
        text = json.dumps(case | outcome(case), indent=2, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    rewrite()
