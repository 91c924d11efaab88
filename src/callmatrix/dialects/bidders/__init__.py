"""The one table of bidder formats: how each asks, and reads what comes back."""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import Final
from urllib.parse import quote, quote_plus

import msgspec

from callmatrix.core.auction import NoBid, Offered, Ping, Post, Posted, PostRefused
from callmatrix.core.auction.bids import MAX_DETAIL
from callmatrix.core.campaign import (
    Bidder,
    BidderFormat,
    NativeFormat,
    RetreaverFormat,
    RingbaFormat,
    TemplateFormat,
    TrackDriveFormat,
)
from callmatrix.core.errors import Problem
from callmatrix.dialects.bidders import native, oddities, retreaver, ringba, template, trackdrive
from callmatrix.dialects.bidders.asking import Asked, query_of
from callmatrix.dialects.bidders.authentication import (
    RESERVED_HEADERS,
    Secrets,
    authenticate,
    header_of,
    secrets_of,
)
from callmatrix.dialects.bidders.postings import PostSaid, posted
from callmatrix.dialects.bidders.readings import Said, Unreadable, offered
from callmatrix.dialects.bidders.template import template_problems as template_problems
from callmatrix.dialects.bidders.trees import xml_attribute, xml_text
from callmatrix.dialects.http import HttpReply, HttpRequest

MAX_REPLY_BYTES: Final = 64 * 1024
MAX_COMPLAINTS: Final = 50
HIDDEN: Final = "••••••"
_NO_CONTENT: Final = 204
_RETRIED: Final = frozenset((408, 425, 429))
_NO_NAMES: Final[frozenset[str]] = frozenset()


def _nothing_more(body: bytes, bidder: Bidder) -> Iterator[str]:
    return iter(())


class _Format(msgspec.Struct, frozen=True, kw_only=True):
    """How one format asks and tells, how it reads, and what it knows: the names that it reads in a reply,
    the kinds of document, and whether an amount is usually a text."""

    ask: Callable[[Ping, Bidder, Secrets], Asked | NoBid]
    read: Callable[[bytes, Bidder], Said | NoBid]
    tell: Callable[[Post, Bidder, Secrets], Asked | NoBid | None]
    heard: Callable[[bytes, Bidder], PostSaid]
    names: Collection[str] = _NO_NAMES
    kinds: tuple[str, ...] = ("json",)
    text_is_usual: bool = False
    oddities: Callable[[bytes, Bidder], Iterator[str]] = _nothing_more


# Ringba and Retreaver have no post of their own: an offer with a post URL gets our own format's.
_FORMATS: Final[Mapping[type, _Format]] = {
    NativeFormat: _Format(
        ask=native.ask,
        read=native.read,
        tell=native.tell,
        heard=native.heard,
        names=native.KNOWN,
        text_is_usual=True,
    ),
    RingbaFormat: _Format(
        ask=ringba.ask,
        read=ringba.read,
        tell=native.tell,
        heard=native.heard,
        names=ringba.KNOWN,
        kinds=("json", "xml"),
        oddities=ringba.oddities,
    ),
    RetreaverFormat: _Format(
        ask=retreaver.ask,
        read=retreaver.read,
        tell=native.tell,
        heard=native.heard,
        names=retreaver.KNOWN,
    ),
    TrackDriveFormat: _Format(
        ask=trackdrive.ask,
        read=trackdrive.read,
        tell=trackdrive.tell,
        heard=trackdrive.heard,
        names=trackdrive.KNOWN,
        oddities=trackdrive.oddities,
    ),
    TemplateFormat: _Format(
        ask=template.ask, read=template.read, tell=template.tell, heard=template.heard, text_is_usual=True
    ),
}


def _of(form: BidderFormat) -> _Format:
    return _FORMATS[type(form)]


# --- pings ---------------------------------------------------------------------------------------------


def ping_request(
    ping: Ping, bidder: Bidder, secrets: Mapping[str, str], *, at: datetime
) -> HttpRequest | NoBid:
    """How this bidder is asked; `unconfigured` where a secret is missing or cannot be sent."""
    asked = _of(bidder.format).ask(ping, bidder, secrets)
    return _request(asked, bidder, secrets, at)


def read_ping(reply: HttpReply, bidder: Bidder, *, at: datetime) -> Offered | NoBid:
    """What a bidder answered, whatever the bytes are. `at` is when the answer came.

    Statuses: 2xx is read, 204 and an empty body are no bid; 3xx is `redirected`; else `http_error`, with
    the bidder's reason where it has one.
    """
    if reply.status == 200 and 0 < len(reply.body) <= MAX_REPLY_BYTES:
        return _read(reply.body, bidder, at)
    if 300 <= reply.status < 400:
        return NoBid(code="redirected", detail=f"Status {reply.status}")
    if len(reply.body) > MAX_REPLY_BYTES:
        return NoBid(code="too_large", detail=f"More than {MAX_REPLY_BYTES} bytes")
    if not 200 <= reply.status < 300:
        return NoBid(code="http_error", detail=_why(reply, _read(reply.body, bidder, at)))
    if reply.status == _NO_CONTENT or not reply.body.strip():
        return NoBid(code="no_bid", detail="No content")
    return _read(reply.body, bidder, at)


def _read(body: bytes, bidder: Bidder, at: datetime) -> Offered | NoBid:
    try:
        said = _of(bidder.format).read(body, bidder)
        if isinstance(said, NoBid):
            return said
        return offered(said, uses_destination=bidder.destination != "offer", at=at)
    except Unreadable as error:
        return NoBid(code="malformed", detail=str(error)[:MAX_DETAIL])


def _why(reply: HttpReply, read: Offered | NoBid) -> str:
    if isinstance(read, NoBid) and read.code == "no_bid" and read.detail:
        return f"Status {reply.status}: {read.detail}"[:MAX_DETAIL]
    return f"Status {reply.status}"


# --- posts ---------------------------------------------------------------------------------------------


def post_request(
    post: Post, bidder: Bidder, secrets: Mapping[str, str], *, at: datetime
) -> HttpRequest | NoBid | None:
    """How the winner is told of the lead; None where there is nothing to post to."""
    asked = _of(bidder.format).tell(post, bidder, secrets)
    return None if asked is None else _request(asked, bidder, secrets, at)


def read_post(reply: HttpReply, bidder: Bidder) -> Posted | PostRefused:
    """What the winner answered, whatever the bytes are. Statuses 408, 425, 429 and 5xx may be retried."""
    if 300 <= reply.status < 400:
        return PostRefused(code="redirected", detail=f"Status {reply.status}")
    if not 200 <= reply.status < 300:
        retry = reply.status >= 500 or reply.status in _RETRIED
        return PostRefused(code="http_error", detail=f"Status {reply.status}", retry=retry)
    if len(reply.body) > MAX_REPLY_BYTES:
        return PostRefused(code="too_large", detail=f"More than {MAX_REPLY_BYTES} bytes")
    try:
        return posted(_of(bidder.format).heard(reply.body, bidder), bidder)
    except Unreadable as error:
        return PostRefused(code="malformed", detail=str(error)[:MAX_DETAIL])


# --- secrets -------------------------------------------------------------------------------------------


def needed_secrets(bidder: Bidder) -> tuple[str, ...]:
    """The names of the secrets without which this bidder cannot be asked, in order."""
    names = list(secrets_of(bidder.authentication))
    match bidder.format:
        case RetreaverFormat():
            names.append(retreaver.SECRET)
        case TemplateFormat(ping=ping, post=post):
            names += [*template.secrets_of(ping), *template.secrets_of(post)]
        case _:
            pass
    return tuple(dict.fromkeys(names))


def shown(request: HttpRequest, bidder: Bidder, secrets: Mapping[str, str]) -> HttpRequest:
    """The request as a person may see it, and as it may be kept: without its secrets."""
    header = header_of(bidder.authentication)
    headers = {name: HIDDEN if name == header else value for name, value in request.headers.items()}
    url, body = request.url, request.body
    for name in needed_secrets(bidder):
        for spelling in _spellings(secrets.get(name, "")):
            url = url.replace(spelling, quote(HIDDEN))
            body = body.replace(spelling.encode(), HIDDEN.encode())
    return HttpRequest(method=request.method, url=url, headers=headers, body=body)


def _spellings(secret: str) -> tuple[str, ...]:
    """A secret as it may stand in an address or a body, the longest first."""
    if not secret:
        return ()
    found = {
        secret,
        msgspec.json.encode(secret).decode()[1:-1],
        xml_text(secret),
        xml_attribute(secret),
        quote_plus(secret, errors="replace"),
    }
    return tuple(sorted(found - {""}, key=len, reverse=True))


# --- trying an offer out -------------------------------------------------------------------------------


def complaints(reply: HttpReply, bidder: Bidder, *, at: datetime) -> tuple[str, ...]:
    """Everything odd about an answer to a ping, in words for the operator; () where nothing is."""
    read = read_ping(reply, bidder, at=at)
    found: list[str] = []
    if isinstance(read, NoBid) and read.code != "no_bid":
        found.append(f"{read.code}: {read.detail}" if read.detail else read.code)
    if 200 <= reply.status < 300 and 0 < len(reply.body) <= MAX_REPLY_BYTES:
        if reply.status != 200:
            found.append(f"The status is {reply.status}, not 200; it is read all the same")
        found += _oddities(reply, bidder, at)
    return tuple(one[:MAX_DETAIL] for one in found[:MAX_COMPLAINTS])


def _oddities(reply: HttpReply, bidder: Bidder, at: datetime) -> list[str]:
    form = _of(bidder.format)
    kinds = (bidder.format.reply,) if isinstance(bidder.format, TemplateFormat) else form.kinds
    found = list(oddities.of_content_type(reply, kinds))
    try:
        said = form.read(reply.body, bidder)
        found += oddities.of_names(reply.body, form.names)
        found += form.oddities(reply.body, bidder)
        if isinstance(said, Said):
            is_usual = form.text_is_usual or reply.body.lstrip().startswith(b"<")
            found += oddities.of_bid(
                said,
                text_is_usual=is_usual,
                destination_for=bidder if _names_destination(bidder, said) else None,
                at=at,
            )
    except Unreadable:
        return found  # what cannot be read is said already
    return found


def _names_destination(bidder: Bidder, said: Said) -> bool:
    """Whether the reply to a ping is where this bidder says where the call goes, if it says so at all."""
    if bidder.destination == "offer":
        return False
    in_post = bidder.post_timing == "before_dial" or isinstance(bidder.format, TrackDriveFormat)
    return said.number is not None or said.sip is not None or not in_post


# --- saving an offer -----------------------------------------------------------------------------------


def bidder_problems(bidder: Bidder) -> tuple[Problem, ...]:
    """What must be mended in a bidder's format and authentication before its offer is saved; fields are
    named from the bidder down."""
    found: list[Problem] = []
    if header_of(bidder.authentication) in RESERVED_HEADERS:
        found.append(
            Problem(
                field="authentication.name",
                problem="This header says how the request is read, and cannot carry a secret",
                remedy="Use a header of the bidder's own, such as X-Api-Key",
            )
        )
    if isinstance(bidder.format, TemplateFormat):
        found += [
            msgspec.structs.replace(one, field=f"format.{one.field}")
            for one in template_problems(bidder.format)
        ]
        if bidder.post_url is not None and not bidder.format.post:
            found.append(
                Problem(
                    field="format.post",
                    problem="There is a post URL, but nothing is posted",
                    remedy="Map the post's names, or leave out post_url",
                )
            )
    if isinstance(bidder.format, TrackDriveFormat) and bidder.destination == "reply":
        found.append(
            Problem(
                field="destination",
                problem="TrackDrive names the number in the post's reply, never in the ping's",
                remedy='Use "either" with post_timing "before_dial", or "offer"',
            )
        )
    return tuple(found)


def _request(
    asked: Asked | NoBid, bidder: Bidder, secrets: Mapping[str, str], at: datetime
) -> HttpRequest | NoBid:
    if isinstance(asked, NoBid):
        return asked
    headers = {"accept": asked.accept}
    if asked.content_type:
        headers["content-type"] = asked.content_type
    signed = asked.body or query_of(asked.url)
    refused = authenticate(headers, bidder.authentication, secrets, signed=signed, at=at)
    if refused is not None:
        return refused
    return HttpRequest(method=asked.method, url=asked.url, headers=headers, body=asked.body)
