"""Auctions: searching them, and telling one with every ping, who won and at what price."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, Literal, get_args

import msgspec

from callmatrix.api import call_story, lead_story
from callmatrix.api.access import Principal
from callmatrix.api.call_views import ToldDecision
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import Cursor, IdText, Instant, Limit, Page, cursor_of, is_full, place_of
from callmatrix.api.problems import invalid, not_found
from callmatrix.core.auction import NoBidCode
from callmatrix.core.call.events import BidsReturned
from callmatrix.core.campaign import Channel
from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId, BuyerId, CallId, LeadId, OfferId
from callmatrix.core.money import Money
from callmatrix.core.plan import CompiledPlan
from callmatrix.live.app import App
from callmatrix.store import auction_search, call_search, calls, leads
from callmatrix.store.auction_search import BID, AuctionFilter
from callmatrix.store.call_search import Place
from callmatrix.store.db import Row

DEFAULT_LIMIT: Final = 50
CODES: Final = (BID, *get_args(NoBidCode))

CodeText = Annotated[str, msgspec.Meta(max_length=40, description=f"One of {', '.join(CODES)}")]


class AuctionsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which auctions to list, newest first. `since <= at < until`. `offer_id` and `code` are met by one and
    the same ping: `bid`, or why there was none. `lead_id` is a call's or a form's id."""

    cursor: Cursor | None = None
    limit: Limit = DEFAULT_LIMIT
    since: Instant | None = None
    until: Instant | None = None
    campaign_id: IdText | None = None
    lead_id: IdText | None = None
    channel: Channel | None = None
    offer_id: IdText | None = None
    code: CodeText | None = None
    simulated: bool | None = None
    test: bool | None = None


class AuctionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One round of pings. `lead_id` is the call's or form's; the winner is who got it by a bid of this round,
    at `clearing_price` (first price). Buyers see neither how many others there were nor who won, unless they
    did themselves."""

    id: str
    channel: Channel
    lead_id: str | None
    campaign_id: str
    round: int
    at: datetime
    deadline_ms: int
    spent_ms: int
    pings: int | None
    bids: int | None
    simulated: bool
    test: bool
    winner_offer_id: str | None
    winner_buyer_id: str | None
    clearing_price: Money | None


class ToldPing(msgspec.Struct, frozen=True, kw_only=True):
    """One ping: a bid, or the code of why there is none. `rank` is among the bids of this round, by what they
    rank by; buyers don't see it.

    `attempt` is the dial or post by which the bid was tried, if it was, and `outcome` how that went; `won`:
    it got the lead. Times in microseconds. `request` and `reply` are None once they are kept no more; numbers
    in them are masked.
    """

    offer_id: str
    offer: str
    buyer_id: str
    buyer: str
    ping_id: str
    at: datetime
    status: int
    code: NoBidCode | Literal[""]
    detail: str
    amount: Money | None
    ranks_by: Money | None
    rank: int | None
    bid_id: str
    expires_at: datetime | None
    attempt: int | None
    outcome: str
    won: bool
    reused: bool
    connect_us: int
    tls_us: int
    first_byte_us: int
    total_us: int
    request: str | None
    reply: str | None


class ToldPost(msgspec.Struct, frozen=True, kw_only=True):
    """One try to tell a winner the lead: `code` is empty where it was taken."""

    id: str
    offer_id: str
    offer: str
    ping_id: str
    at: datetime
    attempt: int
    status: int
    code: NoBidCode | Literal[""]
    detail: str
    reference: str
    total_us: int
    reply: str | None


class AuctionDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One auction, whole. `decision` tells every offer after the bids were in, taken or refused and why; it
    is the lead's own, None where the lead is kept no more. `posts` are all of the lead. Buyers see their own
    pings and posts."""

    auction: AuctionSummary
    pings: tuple[ToldPing, ...]
    posts: tuple[ToldPost, ...]
    decision: ToldDecision | None


class _Tried(msgspec.Struct, frozen=True):
    """What became of a bid."""

    attempt: int
    outcome: str
    won: bool


class _Story(msgspec.Struct, frozen=True):
    """What the lead itself says: what became of each bid by its ping's id, and the decision."""

    tried: dict[str, _Tried] = {}
    decision: ToldDecision | None = None


async def list_auctions(ask: Ask) -> Reply:
    """A page of auctions."""
    query, who = ask.asked(AuctionsQuery), ask.who
    if query.code is not None and query.code not in CODES:
        raise invalid("code", "There is no such code", f"Send one of {', '.join(CODES)}")
    place = place_of(query.cursor)
    async with ask.app.db.transaction() as tx:
        rows = await auction_search.search(
            tx,
            who.account_id,
            _filter(query, who),
            after=None if place is None else Place(at=place[0], id=place[1]),
            limit=query.limit,
        )
    last = rows[-1] if is_full(rows, query.limit) else None
    cursor = None if last is None else cursor_of(last["at"].isoformat(), last["id"])
    return Reply(value=Page(items=tuple(_summary(row, who) for row in rows), next_cursor=cursor))


def _filter(query: AuctionsQuery, who: Principal) -> AuctionFilter:
    wanted = {
        name: getattr(query, name)
        for name in query.__struct_fields__
        if name not in ("cursor", "limit") and getattr(query, name) is not None
    }
    if not who.is_staff:
        wanted["buyer_id"] = who.buyer_id or ""
    return AuctionFilter(**wanted)


async def read_auction(ask: Ask) -> Reply:
    """One auction with its pings."""
    who, auction_id = ask.who, ask.path["id"]
    own = None if who.is_staff else who.buyer_id or ""
    async with ask.app.db.transaction() as tx:
        row = await auction_search.one(tx, who.account_id, auction_id)
        if row is None:
            raise not_found("auction", auction_id)
        pings = await auction_search.pings_of(tx, who.account_id, auction_id, buyer_id=own)
        if own is not None and not pings:
            raise not_found("auction", auction_id)
        posts = await auction_search.posts_of(tx, who.account_id, row["lead_id"], buyer_id=own)
    plan = await _plan(ask.app, who.account_id, row)
    story = _Story() if plan is None or row["simulated"] else await _story(ask.app, who, row, plan)
    detail = AuctionDetail(
        auction=_summary(row, who),
        pings=tuple(_ping(one, plan, story, who) for one in pings),
        posts=tuple(_post(one, plan) for one in posts),
        decision=story.decision,
    )
    return Reply(value=detail)


def _summary(row: Row, who: Principal) -> AuctionSummary:
    winner = row["winner_offer_id"]
    is_shown = winner is not None and (who.is_staff or row["winner_buyer_id"] == who.buyer_id)
    return AuctionSummary(
        id=row["id"],
        channel=row["channel"],
        lead_id=row["lead_id"] if who.is_staff or is_shown else None,
        campaign_id=row["campaign_id"],
        round=row["round"],
        at=row["at"],
        deadline_ms=row["deadline_ms"],
        spent_ms=row["spent_ms"],
        pings=row["pings"] if who.is_staff else None,
        bids=row["bids"] if who.is_staff else None,
        simulated=row["simulated"],
        test=row["test"],
        winner_offer_id=winner if is_shown else None,
        winner_buyer_id=row["winner_buyer_id"] if is_shown else None,
        clearing_price=Money(row["amount_micros"]) if is_shown else None,
    )


async def _plan(app: App, account_id: AccountId, row: Row) -> CompiledPlan | None:
    """The plan that the auction was held by, while it is kept."""
    try:
        return await app.catalog.pinned(account_id, row["campaign_id"], row["plan_version"])
    except Refused:
        return None


async def _story(app: App, who: Principal, row: Row, plan: CompiledPlan) -> _Story:
    if row["channel"] == "call":
        return await _call_story(app, who, row, plan)
    return await _lead_story(app, who, row, plan)


async def _call_story(app: App, who: Principal, row: Row, plan: CompiledPlan) -> _Story:
    call_id = CallId(row["lead_id"])
    async with app.db.transaction() as tx:
        call = await calls.load(tx, who.account_id, call_id)
        stored = await call_search.events_of(tx, who.account_id, call_id) if who.is_staff else ()
    if call is None:
        return _Story()
    answered = [one.id for one in call.attempts if one.outcome == "answered"]
    winner = call.billed_attempt or (answered[-1] if answered else None)
    tried = {
        one.won.ping_id: _Tried(one.number, one.outcome or one.refusal or one.state, one.id == winner)
        for one in call.attempts
        if one.won is not None
    }
    told = zip(stored, call_story.timeline(call, stored, plan)[0], strict=True)
    decisions = ((one.event, moment.decision) for one, moment in told)
    return _Story(tried=tried, decision=_decision(decisions, row["round"]))


async def _lead_story(app: App, who: Principal, row: Row, plan: CompiledPlan) -> _Story:
    lead_id = LeadId(row["lead_id"])
    async with app.db.transaction() as tx:
        lead = await leads.load(tx, who.account_id, lead_id)
        stored = await leads.events_of(tx, who.account_id, lead_id) if who.is_staff else ()
    if lead is None:
        return _Story()
    tried = {
        one.won.ping_id: _Tried(one.number, one.code or one.state, one.state == "accepted")
        for one in lead.attempts
        if one.won is not None
    }
    told = zip(stored, lead_story.timeline(lead, stored, plan)[0], strict=True)
    decisions = ((one.event, moment.decision) for one, moment in told)
    return _Story(tried=tried, decision=_decision(decisions, row["round"]))


def _decision(told: Iterable[tuple[object, ToldDecision | None]], round_number: int) -> ToldDecision | None:
    """What was decided when the bids of this round were in."""
    for event, decision in told:
        if isinstance(event, BidsReturned) and event.round == round_number:
            return decision
    return None


def _ping(row: Row, plan: CompiledPlan | None, story: _Story, who: Principal) -> ToldPing:
    tried = story.tried.get(row["ping_id"]) if row["code"] == "" else None
    bid = row["amount_micros"]
    return ToldPing(
        offer_id=row["offer_id"],
        offer=_offer_name(plan, row["offer_id"]),
        buyer_id=row["buyer_id"],
        buyer=_buyer_name(plan, row["buyer_id"]),
        ping_id=row["ping_id"],
        at=row["at"],
        status=row["status"],
        code=row["code"],
        detail=row["detail"],
        amount=None if bid is None else Money(bid),
        ranks_by=Money(row["rank_by_micros"]) if bid is not None and who.is_staff else None,
        rank=row["rank"] if who.is_staff else None,
        bid_id=row["bid_id"],
        expires_at=row["expires_at"],
        attempt=None if tried is None else tried.attempt,
        outcome="" if tried is None else tried.outcome,
        won=tried is not None and tried.won,
        reused=row["reused"],
        connect_us=row["connect_us"],
        tls_us=row["tls_us"],
        first_byte_us=row["first_byte_us"],
        total_us=row["total_us"],
        request=row["request"],
        reply=row["reply"],
    )


def _post(row: Row, plan: CompiledPlan | None) -> ToldPost:
    return ToldPost(
        id=row["id"],
        offer_id=row["offer_id"],
        offer=_offer_name(plan, row["offer_id"]),
        ping_id=row["ping_id"],
        at=row["at"],
        attempt=row["attempt"],
        status=row["status"],
        code=row["code"],
        detail=row["detail"],
        reference=row["reference"],
        total_us=row["total_us"],
        reply=row["reply"],
    )


def _offer_name(plan: CompiledPlan | None, offer_id: OfferId) -> str:
    offer = None if plan is None else plan.offers.get(offer_id)
    return offer_id if offer is None else offer.name


def _buyer_name(plan: CompiledPlan | None, buyer_id: str) -> str:
    buyer = None if plan is None else plan.buyers.get(BuyerId(buyer_id))
    return buyer_id if buyer is None else buyer.name


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/auctions",
        name="list_auctions",
        tag="auctions",
        summary="Search auctions, newest first",
        permission="read_auctions",
        query=AuctionsQuery,
        returns=Page[AuctionSummary],
        run=list_auctions,
    ),
    Operation(
        method="GET",
        path="/api/auctions/{id}",
        name="read_auction",
        tag="auctions",
        summary="One auction: every ping with its timings, who was dialled, who won, at what price",
        permission="read_auctions",
        returns=AuctionDetail,
        run=read_auction,
    ),
)
