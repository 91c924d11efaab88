"""Reads what a winner answers to its post: taken, refused, and where it wants the call."""

import msgspec

from callmatrix.core.auction import Posted, PostRefused
from callmatrix.core.campaign import Bidder
from callmatrix.dialects.bidders.readings import Said, read_destination, read_id, words


class PostSaid(msgspec.Struct, frozen=True, kw_only=True):
    """A reply to a post in one set of words; None where it is silent."""

    accepted: bool
    number: object = None
    sip: object = None
    reference: object = None
    reason: object = None
    sip_first: bool = False


def posted(said: PostSaid, bidder: Bidder) -> Posted | PostRefused:
    """The winner's yes or no. A destination counts only before the dial, and must then be one."""
    if not said.accepted:
        return PostRefused(code="no_bid", detail=words(said.reason))
    destination = None
    if bidder.post_timing == "before_dial" and bidder.destination != "offer":
        destination = read_destination(Said(number=said.number, sip=said.sip, sip_first=said.sip_first))
        if destination is None and (words(said.number) or words(said.sip)):
            return PostRefused(code="bad_destination", detail="Neither a number in E.164 nor a SIP address")
    return Posted(
        destination=destination, reference="" if said.reference is None else read_id(said.reference)
    )
