"""Stub bidders over real HTTP: how each answers pings and posts is scripted, what it gets is kept."""

import asyncio
import hashlib
import hmac
import json
import xml.etree.ElementTree as ElementTree
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, assert_never
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from callmatrix.world import World, dice

MAX_BODY_BYTES = 64 * 1024
MAX_RECEIVED = 10_000
MAX_OPEN_BIDS = 10_000
MAX_SILENCE_S = 120
WHOLE_BPS = 10_000
GARBAGE = b"\x16\x03\x01 this is no HTTP \x00\xff\r\n\r\n"

_CACHED = {"warnings": [{"code": 230, "description": "Previous bid for this request not yet expired"}]}
_PERSONAL = frozenset(("name", "first_name", "last_name", "email", "phone", "address", "street", "ssn"))
_PING_NAMES = ("ping_id", "at", "deadline_ms", "channel", "vertical")
_POST_NAMES = ("ping_id", "bid_id", "lead_id", "at", "channel", "vertical", "amount")


# What a bidder does with a ping.


class Bids(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="bids"):
    """Bids between the two amounts after `after_ms`, but for `no_bid_bps` ten-thousandths of the pings.

    One that answers later than anybody waits is late.
    """

    low_cents: int
    high_cents: int
    after_ms: int = 0
    no_bid_bps: int = 0
    expires_in_s: int = 60


class Declines(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="declines"):
    after_ms: int = 0
    reason: str = "No capacity"


class Silent(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="silent"):
    """Takes the ping and never answers."""


class Errors(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="errors"):
    status: int = 500
    after_ms: int = 0


class Malformed(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="malformed"):
    """Answers with a bid that is cut off in the middle, with status 200."""

    after_ms: int = 0


class Garbage(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="garbage"):
    """Answers with bytes that are no HTTP, and hangs up."""

    after_ms: int = 0


Behaviour = Bids | Declines | Silent | Errors | Malformed | Garbage


# What it does with a post.


class Accepts(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="accepts"):
    """Takes the lead; `number` is where it wants the call, for posts before the dial. The first `fails`
    posts of each lead get status 503."""

    number: str = ""
    after_ms: int = 0
    fails: int = 0


class Refuses(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="refuses"):
    after_ms: int = 0
    reason: str = "Duplicate"


PostBehaviour = Accepts | Refuses


class Bidder(msgspec.Struct, frozen=True, kw_only=True):
    """One scripted bidder, asked at `/{name}/ping` and posted to at `/{name}/post`.

    `token` is expected as a bearer, `key` as that of an HMAC in X-Signature; empty: nothing is expected.
    """

    name: str
    behaviour: Behaviour
    format: Literal["native", "ringba"] = "native"
    posts: PostBehaviour = Accepts()
    number: str = ""
    sip: str = ""
    token: str = ""
    key: str = ""


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """One request as the bidder got it. `wrong` is what an honest bidder would complain about; `bid_cents`
    what it bid (None: nothing); `status` what it was answered, None where it was not."""

    bidder: str
    kind: Literal["ping", "post"]
    method: str
    url: str
    headers: dict[str, str]
    body: str
    said: dict[str, Any]
    status: int | None
    bid_cents: int | None = None
    wrong: tuple[str, ...] = ()
    at_ms: int = 0


class _OpenBid(msgspec.Struct):
    """A bid that was made, and the lead that was posted for it."""

    cents: int
    bid_id: str
    expires_ms: int
    lead_id: str = ""
    posts: int = 0


class Bidders:
    """The scripts of all bidders, and what they received. The same seed and ping get the same answer."""

    def __init__(self, bidders: tuple[Bidder, ...], *, seed: int, world: World) -> None:
        self.by_name = {bidder.name: bidder for bidder in bidders}
        assert len(self.by_name) == len(bidders), "two bidders of one name"
        self.received: deque[Received] = deque(maxlen=MAX_RECEIVED)
        self.closing = asyncio.Event()
        self._seed = seed
        self._world = world
        self._open: dict[tuple[str, str], _OpenBid] = {}  # by bidder and ping
        self._waiting: list[asyncio.Event] = []
        self._made: dict[str, _OpenBid] = {}  # by the bid's id

    def pings(self, name: str | None = None) -> list[Received]:
        """The pings of one bidder, or of all, as they were answered."""
        return self._of("ping", name)

    def posts(self, name: str | None = None) -> list[Received]:
        """The posts of one bidder, or of all."""
        return self._of("post", name)

    def wrong(self) -> list[str]:
        """Everything that an honest bidder would complain about, with the bidder's name."""
        return [f"{one.bidder}: {what}" for one in self.received for what in one.wrong]

    def keep(self, received: Received) -> None:
        """Note what came, now."""
        self.received.append(msgspec.structs.replace(received, at_ms=self.now_ms()))
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.set()

    async def until(self, holds: Callable[["Bidders"], bool]) -> None:
        """Return when this holds, asked again whenever something came."""
        while not holds(self):
            waiter = asyncio.Event()
            self._waiting.append(waiter)
            await waiter.wait()

    def _of(self, kind: str, name: str | None) -> list[Received]:
        return [one for one in self.received if one.kind == kind and name in (None, one.bidder)]

    def now_ms(self) -> int:
        return int(self._world.now().timestamp() * 1_000)

    def bid_on(self, bidder: Bidder, key: str) -> tuple[_OpenBid | None, bool]:
        """What this bidder bids on the ping of this key, if it does, and whether it has bid so before."""
        assert isinstance(bidder.behaviour, Bids)
        standing = self._open.get((bidder.name, key))
        if standing is not None and standing.expires_ms > self.now_ms():
            return standing, True
        draw = dice(self._seed ^ zlib.crc32(f"{bidder.name} {key}".encode()))
        if draw.randrange(WHOLE_BPS) < bidder.behaviour.no_bid_bps:
            return None, False
        bid = _OpenBid(
            cents=draw.randint(bidder.behaviour.low_cents, bidder.behaviour.high_cents),
            bid_id=f"{bidder.name}-{draw.getrandbits(40):010x}",
            expires_ms=self.now_ms() + bidder.behaviour.expires_in_s * 1_000,
        )
        self._open[(bidder.name, key)] = self._made[bid.bid_id] = bid
        if len(self._open) > MAX_OPEN_BIDS:
            del self._open[next(iter(self._open))]
        if len(self._made) > MAX_OPEN_BIDS:
            del self._made[next(iter(self._made))]
        return bid, False

    def found(self, bid_id: str) -> _OpenBid | None:
        """The bid that was made under this id, which begins with its bidder's name."""
        return self._made.get(bid_id)


def bidders_app(bidders: Bidders) -> web.Application:
    """An application answering `/{name}/ping` and `/{name}/post` as the scripts say."""

    async def ping(request: web.Request) -> web.StreamResponse:
        bidder = _bidder(bidders, request)
        body, said, wrong = await _heard(request, bidder)
        wrong += _ping_complaints(bidder, said)
        bid, answer, status = _ping_answer(bidders, bidder, said)
        if any(one.startswith("not authorised") for one in wrong):
            bid, answer, status = None, {"reason": "Unauthorized"}, 401
        bid_cents = None if bid is None else bid.cents
        bidders.keep(
            _received(request, "ping", body, said=said, status=status, bid_cents=bid_cents, wrong=wrong)
        )
        return await _answered(bidders, request, bidder, answer, status)

    async def post(request: web.Request) -> web.StreamResponse:
        bidder = _bidder(bidders, request)
        body, said, wrong = await _heard(request, bidder)
        answer, status = _post_answer(bidders, bidder, said, wrong)
        bidders.keep(_received(request, "post", body, said=said, status=status, wrong=wrong))
        await asyncio.sleep(bidder.posts.after_ms / 1_000)
        return web.json_response(answer, status=status)

    async def close(_app: web.Application) -> None:
        bidders.closing.set()

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_route("*", "/{name}/ping", ping)
    app.router.add_route("*", "/{name}/post", post)
    app.on_shutdown.append(close)
    return app


def _received(
    request: web.Request,
    kind: Literal["ping", "post"],
    body: bytes,
    *,
    said: dict[str, Any],
    status: int | None,
    wrong: list[str],
    bid_cents: int | None = None,
) -> Received:
    return Received(
        bidder=request.match_info["name"],
        kind=kind,
        method=request.method,
        url=request.raw_path,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body.decode(errors="replace"),
        said=said,
        status=status,
        bid_cents=bid_cents,
        wrong=tuple(wrong),
    )


def _bidder(bidders: Bidders, request: web.Request) -> Bidder:
    bidder = bidders.by_name.get(request.match_info["name"])
    if bidder is None:
        raise web.HTTPNotFound
    return bidder


# --- hearing -------------------------------------------------------------------------------------------


async def _heard(request: web.Request, bidder: Bidder) -> tuple[bytes, dict[str, Any], list[str]]:
    body = await request.read()
    wrong = list(_authorisation(request, bidder, body))
    try:
        said = _parsed(request, body)
    except (ValueError, ElementTree.ParseError):
        return body, {}, [*wrong, "the body cannot be read"]
    return body, said, wrong


def _parsed(request: web.Request, body: bytes) -> dict[str, Any]:
    if not body:
        return dict(request.query)
    match request.content_type:
        case "application/json":
            said = json.loads(body)
            if not isinstance(said, dict):
                raise ValueError("not an object")
            return said
        case "application/xml":
            if b"<!" in body:
                raise ValueError("a document type")
            return {one.tag: one.text or "" for one in ElementTree.fromstring(body)}  # noqa: S314
        case "application/x-www-form-urlencoded":
            return dict(parse_qsl(body.decode(), strict_parsing=True))
        case other:
            raise ValueError(other)


def _authorisation(request: web.Request, bidder: Bidder, body: bytes) -> Iterator[str]:
    if bidder.token and request.headers.get("Authorization") != f"Bearer {bidder.token}":
        yield "not authorised: the bearer token is missing or wrong"
    if bidder.key:
        stamp, _, signature = request.headers.get("X-Signature", "").partition(",v1=")
        signed = (
            stamp.removeprefix("t=").encode() + b"." + (body or request.rel_url.raw_query_string.encode())
        )
        expected = hmac.new(bidder.key.encode(), signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            yield "not authorised: the signature is missing or wrong"


def _ping_complaints(bidder: Bidder, said: Mapping[str, Any]) -> Iterator[str]:
    fields = said.get("fields", {}) if bidder.format == "native" else said
    if bidder.format == "native":
        yield from (f"the ping has no {name}" for name in _PING_NAMES if name not in said)
    elif str(said.get("CID", "")).startswith("+"):
        yield "CID begins with a plus"
    names = [*said, *(fields if isinstance(fields, dict) else ())]
    yield from (f"the ping tells the person's {name}" for name in names if name.lower() in _PERSONAL)


# --- answering -----------------------------------------------------------------------------------------


def _ping_answer(
    bidders: Bidders, bidder: Bidder, said: Mapping[str, Any]
) -> tuple[_OpenBid | None, dict[str, Any], int | None]:
    """The bid, the body and the status; no status where there is no answer."""
    body = _native_body if bidder.format == "native" else _ringba_body
    match bidder.behaviour:
        case Bids():
            bid, again = bidders.bid_on(bidder, _key_of(bidder, said))
            return bid, body(bidder, bidder.behaviour, bid) | (_CACHED if again else {}), 200
        case Declines(reason=reason):
            return None, _refusal(bidder, reason), 200
        case Errors(status=status):
            return None, {"error": "of the bidder's own"}, status
        case Malformed():
            return None, {}, 200
        case Silent() | Garbage():
            return None, {}, None
        case _:
            assert_never(bidder.behaviour)


def _key_of(bidder: Bidder, said: Mapping[str, Any]) -> str:
    """What makes two pings the same: our id, or at Ringba the caller with all tags."""
    if bidder.format == "native":
        return str(said.get("ping_id", ""))
    return json.dumps(said, sort_keys=True)


def _native_body(bidder: Bidder, script: Bids, bid: _OpenBid | None) -> dict[str, Any]:
    if bid is None:
        return _refusal(bidder, "Not wanted")
    return _without_empty(
        bid=_amount(bid.cents),
        currency="USD",
        bid_id=bid.bid_id,
        expires_in_s=script.expires_in_s,
        phone_number=bidder.number,
        sip_address=bidder.sip,
    )


def _ringba_body(bidder: Bidder, script: Bids, bid: _OpenBid | None) -> dict[str, Any]:
    if bid is None:
        return _refusal(bidder, "Final tag filters (Code: 1005)")
    return _without_empty(
        bidId=bid.bid_id,
        bidAmount=bid.cents / 100,
        expireInSeconds=script.expires_in_s,
        bidExpireEpoch=bid.expires_ms,
        phoneNumber=bidder.number,
        phoneNumberNoPlus=bidder.number.removeprefix("+"),
        sipAddress=bidder.sip.removeprefix("sip:"),
    )


def _refusal(bidder: Bidder, reason: str) -> dict[str, Any]:
    if bidder.format == "native":
        return {"bid": 0, "reason": reason}
    return {"bidId": "", "bidAmount": 0, "rejectReason": reason}


def _without_empty(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in ("", None)}


def _amount(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


async def _answered(
    bidders: Bidders, request: web.Request, bidder: Bidder, body: dict[str, Any], status: int | None
) -> web.StreamResponse:
    script = bidder.behaviour
    if isinstance(script, Silent) and status is None:
        try:
            async with asyncio.timeout(MAX_SILENCE_S):
                await bidders.closing.wait()
        except TimeoutError:
            pass
        return _hung_up(request)
    if not isinstance(script, Silent):
        await asyncio.sleep(script.after_ms / 1_000)
    if status is None:
        if request.transport is not None:
            request.transport.write(GARBAGE)
        return _hung_up(request)
    if isinstance(script, Malformed) and status == 200:
        return web.Response(body=b'{"bid": "12.5', content_type="application/json")
    return web.json_response(body, status=status)


def _hung_up(request: web.Request) -> web.StreamResponse:
    """No answer: the connection is closed, and what is returned goes nowhere."""
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=500)


def _post_answer(
    bidders: Bidders, bidder: Bidder, said: Mapping[str, Any], wrong: list[str]
) -> tuple[dict[str, Any], int]:
    """The body and status of a post's answer; adds to `wrong` what does not fit the bid."""
    if any(one.startswith("not authorised") for one in wrong):
        return {"accepted": False, "reason": "Unauthorized"}, 401
    wrong += [f"the post has no {name}" for name in _POST_NAMES if name not in said]
    bid = bidders.found(str(said.get("bid_id", "")))
    if bid is None or not bid.bid_id.startswith(f"{bidder.name}-"):
        wrong.append("the post names a bid that was never made")
        return {"accepted": False, "reason": "Unknown bid"}, 200
    if said.get("amount") != _amount(bid.cents):
        wrong.append(f"the post says {said.get('amount')}, {_amount(bid.cents)} was bid")
    lead_id = str(said.get("lead_id", ""))
    if bid.lead_id not in ("", lead_id):
        wrong.append("a second lead is posted for one bid")
        return {"accepted": False, "reason": "Bid used"}, 200
    bid.lead_id = lead_id
    bid.posts += 1
    match bidder.posts:
        case Accepts(number=number, fails=fails):
            if bid.posts <= fails:
                return {"error": "busy"}, 503
            return _without_empty(accepted=True, reference=bid.bid_id, phone_number=number), 200
        case Refuses(reason=reason):
            return {"accepted": False, "reason": reason}, 200
        case _:
            assert_never(bidder.posts)
