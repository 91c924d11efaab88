"""Refuses an offer whose bidder this installation could not ask: by its format or its addresses."""

from collections.abc import Iterator
from typing import Any

import msgspec

from callmatrix.core.campaign import Bidder, Offer
from callmatrix.core.errors import Problem, Refused
from callmatrix.dialects.bidders import bidder_problems
from callmatrix.live.outbound import allowed_host
from callmatrix.live.pinger.target import Origin, Unaskable, origin_of


def check_bidder(document: Any, *, allow_loopback: bool) -> None:
    """`Refused("invalid")` where the document is an offer whose bidder could not be asked; others pass.
    Names are judged again when they are resolved, at every connection."""
    if not isinstance(document, Offer) or document.bidder is None:
        return
    bidder = document.bidder
    found = [*bidder_problems(bidder), *_address_problems(bidder, allow_loopback=allow_loopback)]
    if found:
        problems = tuple(msgspec.structs.replace(one, field=f"bidder.{one.field}") for one in found)
        raise Refused("invalid", f"The bidder of {document.name} could not be asked", problems)


def _address_problems(bidder: Bidder, *, allow_loopback: bool) -> Iterator[Problem]:
    for field, url in (("ping_url", bidder.ping_url), ("post_url", bidder.post_url)):
        if url is None:
            continue
        try:
            origin = origin_of(url)
        except Unaskable as unaskable:
            yield Problem(field=field, problem=str(unaskable), remedy="Send an address with https")
            continue
        yield from _origin_problems(origin, field, allow_loopback=allow_loopback)


def _origin_problems(origin: Origin, field: str, *, allow_loopback: bool) -> Iterator[Problem]:
    here = is_loopback(origin.host)
    if here and not allow_loopback:
        yield Problem(
            field=field,
            problem="It is an address of this machine itself",
            remedy="Name a public host (for development: CALLMATRIX_ALLOW_LOOPBACK)",
        )
    elif not here and not allowed_host(origin.host, loopback=allow_loopback):
        yield Problem(field=field, problem="It is no public address", remedy="Name a public host")
    elif not here and not origin.secure:
        yield Problem(
            field=field, problem="It is not encrypted on its way", remedy="Use an address with https"
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself, as far as its text says."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return allowed_host(host, loopback=True) and not allowed_host(host, loopback=False)
