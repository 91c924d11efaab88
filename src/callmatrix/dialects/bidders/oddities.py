"""Says what is odd about a bidder's answer, in words for the operator who tries an offer out."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Final

from callmatrix.core.auction.bids import DEFAULT_EXPIRY_S, MAX_EXPIRY_S, is_late
from callmatrix.core.campaign import Bidder, PhoneDestination
from callmatrix.core.money import ZERO
from callmatrix.dialects.bidders.readings import (
    Said,
    Unreadable,
    read_amount,
    read_destination,
    read_expiry,
    read_instant,
    words,
)
from callmatrix.dialects.bidders.trees import read_json
from callmatrix.dialects.http import HttpReply

CLOCKS_AGREE: Final = timedelta(seconds=5)
MAX_NAMES: Final = 20
MICROS_PLACES: Final = 6
_KNOWN_TYPES: Final = {
    "json": ("application/json", "text/json", "application/problem+json"),
    "xml": ("application/xml", "text/xml"),
    "form": ("application/x-www-form-urlencoded", "text/plain"),
}


def of_content_type(reply: HttpReply, kinds: Collection[str]) -> Iterator[str]:
    """Where the reply is called something else than it should be. It is read all the same."""
    if "content-type" not in reply.headers:
        if reply.headers:
            yield "The reply names no content type"
        return
    given = reply.headers["content-type"].partition(";")[0].strip().lower()
    known = [name for kind in kinds for name in _KNOWN_TYPES[kind]]
    if given not in known:
        yield f"The content type is {words(given)}, not {known[0]}"


def of_names(body: bytes, known: Collection[str]) -> Iterator[str]:
    """The names in a JSON reply that mean nothing to its format."""
    if not known or body.lstrip().startswith(b"<"):
        return
    reply = read_json(body)
    if isinstance(reply, dict):
        strange = sorted(words(name) for name in reply if name not in known)
        if strange:
            more = f" and {len(strange) - MAX_NAMES} more" if len(strange) > MAX_NAMES else ""
            yield f"Not read: {', '.join(strange[:MAX_NAMES])}{more}"


def of_bid(said: Said, *, text_is_usual: bool, destination_for: Bidder | None, at: datetime) -> Iterator[str]:
    """What is odd about the values of a bid; nothing of a no. `destination_for` is the bidder where its
    reply to a ping is where it says where the call goes."""
    amount, _currency = (
        read_amount(said.amount, in_cents=said.in_cents) if said.amount is not None else (None, "")
    )
    if amount is None or amount == ZERO:
        return
    yield from _of_amount(said, text_is_usual=text_is_usual)
    if amount < ZERO:
        yield "The amount is below zero"
    yield from _of_expiry(said, at)
    if destination_for is not None:
        yield from _of_destination(said, destination_for)


def _of_amount(said: Said, *, text_is_usual: bool) -> Iterator[str]:
    if isinstance(said.amount, str) and not text_is_usual:
        yield "The amount is a text; it is read as the number that it spells"
    fraction = str(said.amount).partition(".")[2]
    if len(fraction.rstrip("0")) > MICROS_PLACES and fraction.isdigit():
        yield f"The amount has more than {MICROS_PLACES} places; it is read to the nearest millionth"


def _of_expiry(said: Said, at: datetime) -> Iterator[str]:
    expires_at = read_expiry(said, at)
    if expires_at is None:
        yield f"It does not say until when the bid holds; {DEFAULT_EXPIRY_S} seconds are assumed"
        return
    if is_late(expires_at, at):
        yield "The bid is expired, or expires before a call could be set up"
    elif expires_at > at + timedelta(seconds=MAX_EXPIRY_S):
        yield f"The bid holds for longer than {MAX_EXPIRY_S} seconds, of which no more are used"
    if isinstance(said.expires_at, str) and said.expires_as == "time" and _is_naive(said.expires_at):
        yield "The expiry names no offset; it is read as UTC"
    if said.lasts_s is not None and said.expires_at is not None:
        try:
            apart = abs(read_instant(said.expires_at, said.expires_as) - expires_at)
        except Unreadable:
            yield "The expiry as an instant cannot be read; the seconds are used"
            return
        if apart > CLOCKS_AGREE:
            yield (
                f"The expiry in seconds and the one as an instant are {int(apart.total_seconds())} s apart: "
                "their clock is off, or the bid is an old one. The seconds are used"
            )


def _is_naive(text: str) -> bool:
    tail = text.strip()[10:].upper()
    return not (tail.endswith("Z") or "+" in tail or "-" in tail)


def _of_destination(said: Said, bidder: Bidder) -> Iterator[str]:
    if said.number is None and said.sip is None:
        if bidder.destination == "reply":
            yield "It names neither a number nor a SIP address, and this offer must have one"
        else:
            yield "It names neither a number nor a SIP address; the offer's own destination is dialled"
        return
    number = read_destination(Said(number=said.number))
    if said.number is not None and number is None:
        yield "The number cannot be read"
    elif isinstance(number, PhoneDestination) and said.number != number.number:
        yield "The number is not in E.164 (+ and the country code first); it is read as if it were"
    if said.sip is not None and read_destination(Said(sip=said.sip)) is None:
        yield "The SIP address cannot be read"
