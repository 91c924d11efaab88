"""Tries a bidder out: one test ping over the wire, and how its answer is read. Nothing is reserved."""

from datetime import datetime
from typing import Final

import msgspec

from callmatrix.core import geo
from callmatrix.core.auction import Bid, Lead, NoBid, NoBidCode, Offered, outcome, ping_of
from callmatrix.core.call.bidding import ping_id
from callmatrix.core.campaign import AuctionTerms, Bidder, Campaign, Channel, Offer
from callmatrix.core.ids import AccountId
from callmatrix.core.money import Money
from callmatrix.core.pricing import BidPrice, Price
from callmatrix.core.rules import Facts
from callmatrix.dialects import bidders
from callmatrix.dialects.http import HttpReply, HttpRequest
from callmatrix.live.app import App
from callmatrix.live.auctions import bidder_name
from callmatrix.live.pinger import Answered, Asking
from callmatrix.live.redaction import without_secrets

MAX_SHOWN: Final = 20_000
"""Characters of an answer that are shown."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The lead to try with. Without a campaign, what the offer allows is allowed. `state` and `area_code`
    follow from ZIP and number where they are left out."""

    campaign: Campaign | None = None
    channel: Channel = "call"
    vertical: str = ""
    number: str | None = None
    state: str | None = None
    zip: str | None = None
    area_code: str | None = None
    fields: dict[str, str] = {}
    attestation: str = ""
    source: str = ""


class SentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent, with its secrets hidden."""

    method: str
    url: str
    headers: dict[str, str]
    body: str


class HeardReply(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: the beginning of the body, and whether there is more of it. Times in microseconds from
    the asking (`first_byte_us`: from the sending)."""

    status: int
    body: str
    cut: bool
    reused: bool
    connect_us: int
    tls_us: int
    first_byte_us: int
    total_us: int


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """How a bidder was asked and what its answer comes to.

    `request` is None where it could not be put together, `reply` where none came. `said` is the answer as
    its format reads it, not judged yet; `bid` what would compete; else `code` and `detail` say why not.
    `complaints` are everything odd about the answer, and why the bid would not rank.
    """

    offer_id: str
    at: datetime
    deadline_ms: int
    request: SentRequest | None
    reply: HeardReply | None
    said: Offered | None
    bid: Bid | None
    ranks_by: Money | None
    code: NoBidCode | str
    detail: str
    complaints: tuple[str, ...]


async def try_bidder(app: App, account_id: AccountId, offer: Offer, chosen: Chosen) -> Tried:
    """Send one test ping to an offer's bidder, whatever its mode. Connections, throttle and evidence of the
    real pings are left alone."""
    bidder = offer.bidder
    assert bidder is not None
    at = app.world.now()
    await app.catalog.refresh(account_id)
    secrets = app.catalog.bidder_secrets(account_id, offer.id)
    terms = _terms(bidder, chosen)
    deadline_ms = min(bidder.timeout_ms, terms.deadline_ms)
    lead = _lead(chosen, lead_id=app.world.new_id("test"))
    ping = ping_of(
        lead,
        ping_id=ping_id(lead.id, 1, offer.id),
        at=at,
        deadline_ms=deadline_ms,
        bidder=bidder,
        auction=terms,
        performance=app.performances.of(account_id, offer.buyer_id),
    )
    made = bidders.ping_request(ping, bidder, secrets, at=at)
    tried = Tried(
        offer_id=offer.id,
        at=at,
        deadline_ms=deadline_ms,
        request=None,
        reply=None,
        said=None,
        bid=None,
        ranks_by=None,
        code="",
        detail="",
        complaints=(),
    )
    if isinstance(made, NoBid):
        return msgspec.structs.replace(tried, code=made.code, detail=made.detail)
    asking = Asking(
        key=offer.id,
        bidder=f"{bidder_name(account_id, offer.id)}/test",
        request=made,
        timeout_ms=deadline_ms,
    )
    (answered,) = await app.pinger.ask((asking,), deadline_ms=deadline_ms)
    hidden = tuple(secrets.values())
    tried = msgspec.structs.replace(tried, request=_shown(made, bidder, secrets=dict(secrets)))
    if answered.code:
        return msgspec.structs.replace(
            tried,
            reply=_heard(answered, hidden) if answered.status else None,
            code=answered.code,
            detail=without_secrets(answered.detail, hidden),
        )
    read = _read(app, account_id, offer, answered, chosen=chosen, lead=lead, ping_id=ping.id)
    app.pinger.verdict(asking.bidder, good=not read.code or read.code == "no_bid")
    return msgspec.structs.replace(
        tried,
        reply=_heard(answered, hidden),
        said=read.said,
        bid=read.bid,
        ranks_by=None if read.bid is None else read.bid.ranked,
        code=read.code,
        detail=without_secrets(read.detail, hidden),
        complaints=tuple(without_secrets(one, hidden) for one in read.complaints),
    )


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    said: Offered | None
    bid: Bid | None
    code: NoBidCode | str
    detail: str
    complaints: tuple[str, ...]


def _read(
    app: App,
    account_id: AccountId,
    offer: Offer,
    answered: Answered,
    *,
    chosen: Chosen,
    lead: Lead,
    ping_id: str,
) -> _Read:
    bidder = offer.bidder
    assert bidder is not None
    at = app.world.now()
    reply = HttpReply(status=answered.status, body=answered.body)
    said = bidders.read_ping(reply, bidder, at=at)
    account = app.catalog.account(account_id)
    price = _price(offer, chosen.campaign)
    came = outcome(
        said,
        offer=offer,
        price=price,
        currency="USD" if account is None else account.currency,
        ping_id=ping_id,
        facts=_facts(lead, chosen, at),
        at=at,
    )
    complaints = bidders.complaints(reply, bidder, at=at)
    if isinstance(came, NoBid):
        return _Read(
            said=said if isinstance(said, Offered) else None,
            bid=None,
            code=came.code,
            detail=came.detail,
            complaints=complaints,
        )
    return _Read(
        said=said if isinstance(said, Offered) else None,
        bid=came,
        code="",
        detail="",
        complaints=(*complaints, *_unranked(came, price, chosen.campaign)),
    )


def _unranked(bid: Bid, price: Price, campaign: Campaign | None) -> tuple[str, ...]:
    """Why a bid that may be used would not rank all the same."""
    found = []
    if isinstance(price, BidPrice) and bid.amount < price.floor:
        found.append(f"The bid of {bid.amount} is under the offer's floor of {price.floor}")
    if campaign is not None and bid.amount < campaign.auction.reserve:
        found.append(f"The bid of {bid.amount} is under the campaign's reserve of {campaign.auction.reserve}")
    return tuple(found)


def _terms(bidder: Bidder, chosen: Chosen) -> AuctionTerms:
    if chosen.campaign is not None:
        return chosen.campaign.auction
    return AuctionTerms(
        deadline_ms=bidder.timeout_ms, share_number=bidder.share_number, share_source=bool(chosen.source)
    )


def _price(offer: Offer, campaign: Campaign | None) -> Price:
    entries = () if campaign is None else campaign.plan.entries
    own = next((entry.price for entry in entries if entry.offer_id == offer.id), None)
    return own or offer.price


def _lead(chosen: Chosen, *, lead_id: str) -> Lead:
    known = geo.caller_geo(chosen.number, chosen.zip)
    vertical = chosen.vertical or ("" if chosen.campaign is None else chosen.campaign.vertical)
    return Lead(
        id=lead_id,
        channel=chosen.channel,
        vertical=vertical,
        number=chosen.number,
        state=chosen.state or known.state,
        zip=chosen.zip or known.zip,
        area_code=chosen.area_code or known.area_code,
        fields=chosen.fields,
        shared=tuple(chosen.fields),
        attestation=chosen.attestation,
        source=chosen.source,
        test=True,
    )


def _facts(lead: Lead, chosen: Chosen, at: datetime) -> Facts:
    return Facts(
        caller=lead.number,
        dialed_number="",
        caller_state=lead.state,
        area_code=lead.area_code,
        zip=lead.zip,
        publisher_id=None,
        campaign_id="" if chosen.campaign is None else chosen.campaign.id,
        at=at,
        fields=lead.fields,
        tags={},
        attestation=lead.attestation or None,
    )


def _shown(request: HttpRequest, bidder: Bidder, *, secrets: dict[str, str]) -> SentRequest:
    shown = bidders.shown(request, bidder, secrets)
    hidden = tuple(secrets.values())
    return SentRequest(
        method=shown.method,
        url=without_secrets(shown.url, hidden),
        headers=shown.headers,
        body=without_secrets(shown.body.decode(errors="replace"), hidden),
    )


def _heard(answered: Answered, hidden: tuple[str, ...]) -> HeardReply:
    body = without_secrets(answered.body.decode(errors="replace"), hidden)
    return HeardReply(
        status=answered.status,
        body=body[:MAX_SHOWN],
        cut=len(body) > MAX_SHOWN,
        reused=answered.reused,
        connect_us=answered.connect_us,
        tls_us=answered.tls_us,
        first_byte_us=answered.first_byte_us,
        total_us=answered.total_us,
    )
