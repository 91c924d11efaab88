"""What is wrong with how an offer's buyer is asked for bids, and with how a campaign holds its auctions."""

from collections.abc import Iterator, Mapping

from callmatrix.core import rules
from callmatrix.core.campaign.bidders import Bidder, StaticAbove, TrackDriveFormat, needs_number
from callmatrix.core.campaign.documents import BY_FORM, Campaign, Entry, FallbackOffer, Offer
from callmatrix.core.errors import Problem
from callmatrix.core.ids import OfferId
from callmatrix.core.money import ZERO
from callmatrix.core.pricing import BidPrice


def asking_problems(offer: Offer) -> Iterator[Problem]:
    """What must be mended in an offer's bidder before it is saved."""
    bidder = offer.bidder
    if bidder is None:
        return
    if not isinstance(offer.price, BidPrice) and BY_FORM.isdisjoint(offer.channels):
        yield Problem(
            field="price",
            problem="The offer has a bidder, but its price is not the bid",
            remedy='Use the price of kind "bid", with a floor, or leave the bidder out',
        )
    for place, one in enumerate(bidder.ruled):
        yield from rules.problems(one.rule, field=f"bidder.ruled.{place}.rule")
    if "call" in offer.channels:
        yield from _post_timing(offer, bidder)
        yield from _number(offer, bidder)


def holding_problems(campaign: Campaign, *, offers: Mapping[OfferId, Offer]) -> Iterator[Problem]:
    """What must be mended in a campaign's auctions before it is saved."""
    terms = campaign.auction
    if terms.reserve < ZERO:
        yield Problem(field="auction.reserve", problem="The reserve is negative", remedy="Use 0 or more")
    if isinstance(terms.static_fallback, StaticAbove) and terms.static_fallback.amount < ZERO:
        yield Problem(
            field="auction.static_fallback.amount", problem="The amount is negative", remedy="Use 0 or more"
        )
    for place, entry in enumerate(campaign.plan.entries):
        offer = offers.get(entry.offer_id)
        if offer is not None and offer.bidder is not None and BY_FORM.isdisjoint(offer.channels):
            yield from _entry(entry, f"plan.entries.{place}.price")
    if terms.share_number:
        return
    for offer_id in _named(campaign):
        offer = offers.get(offer_id)
        if offer is None or offer.bidder is None or "call" not in offer.channels:
            continue
        if needs_number(offer.bidder):
            yield Problem(
                field="auction.share_number",
                problem=f"The bidder of {offer_id} matches calls by the caller's number,"
                " which this campaign does not share",
                remedy="Let the campaign's auctions share the number, or leave the offer out",
            )
            return


def holding_warnings(campaign: Campaign, *, offers: Mapping[OfferId, Offer]) -> Iterator[Problem]:
    """What a campaign may be saved with, but somebody should know of its auctions."""
    deadline_ms = campaign.auction.deadline_ms
    for place, entry in enumerate(campaign.plan.entries):
        offer = offers.get(entry.offer_id)
        if offer is None:
            continue
        field = f"plan.entries.{place}"
        bidder = offer.bidder
        if isinstance(entry.price or offer.price, BidPrice):
            if campaign.plan.strategy != "auction":
                yield Problem(
                    field=field,
                    problem=f"{offer.id} is priced by its bids, and strategy {campaign.plan.strategy}"
                    " asks for none",
                    remedy="Use the strategy auction, or give the entry a price of its own",
                )
            elif bidder is None:
                yield Problem(
                    field=field,
                    problem=f"{offer.id} is priced by its bids, and has no bidder to ask",
                    remedy="Give the offer a bidder, or the entry a price of its own",
                )
        if bidder is not None and bidder.timeout_ms > deadline_ms:
            yield Problem(
                field=field,
                problem=f"The bidder of {offer.id} may take {bidder.timeout_ms} ms,"
                f" and the auctions end after {deadline_ms} ms",
                remedy="Lengthen the auctions' deadline, or shorten the bidder's timeout",
            )


def _post_timing(offer: Offer, bidder: Bidder) -> Iterator[Problem]:
    if bidder.post_timing == "accept" and offer.acceptance is None:
        yield Problem(
            field="bidder.post_timing",
            problem="The lead is posted when the buyer accepts, but nothing asks the buyer to accept",
            remedy="Give the offer an acceptance, or post at the bridge",
        )
    posts = bidder.post_url is not None or isinstance(bidder.format, TrackDriveFormat)
    if bidder.post_timing == "before_dial" and not posts:
        yield Problem(
            field="bidder.post_url",
            problem="The lead is posted before the dial, but nobody says where to",
            remedy="Name the post URL, or post at the bridge",
        )


def _number(offer: Offer, bidder: Bidder) -> Iterator[Problem]:
    """Rule 26: whose contract is by the caller's number needs it in the ping and at the dial."""
    if not needs_number(bidder):
        return
    if not bidder.share_number:
        yield Problem(
            field="bidder.share_number",
            problem="This format matches the call by the caller's number, which the ping does not carry",
            remedy="Let the bidder be told the number, or use another format",
        )
    if offer.caller_id != "caller":
        yield Problem(
            field="caller_id",
            problem="This format matches the call by the caller's number, but the tracked one is shown",
            remedy="Show the caller's number, or use another format",
        )


def _entry(entry: Entry, field: str) -> Iterator[Problem]:
    if entry.price is not None and not isinstance(entry.price, BidPrice):
        yield Problem(
            field=field,
            problem=f"{entry.offer_id} has a bidder, but its price here is not the bid",
            remedy='Use the price of kind "bid", or leave the entry\'s price out',
        )


def _named(campaign: Campaign) -> Iterator[OfferId]:
    for entry in campaign.plan.entries:
        yield entry.offer_id
    if isinstance(campaign.fallback, FallbackOffer):
        yield campaign.fallback.offer_id
