"""Answers a seller's request with a bid by the plan as it is now, and knows the call that follows."""

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from callmatrix.core.auction import SETUP_S, Bid, PingResult
from callmatrix.core.call.dialling import EXPIRY_MARGIN_S
from callmatrix.core.campaign import MIN_TIMEOUT_MS, Endpoint
from callmatrix.core.caps import Claim, Granted, Owner, Settlement, owners_of
from callmatrix.core.geo import zone
from callmatrix.core.ids import BidId, CallId, ConnectionId, EndpointId, NumberId, OfferId, attempt_id
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.routing import Asked, Given, Looked
from callmatrix.core.rtb import (
    LEAST_LIFE_S,
    AskFirst,
    BidRequest,
    NotSold,
    Priced,
    RtbRefused,
    Sold,
    SoldBid,
    claim_of,
    facts_of_request,
    has_room,
    lead_of_request,
    request_hash,
    sell,
    unfit,
)
from callmatrix.live import auctions
from callmatrix.live.app import App
from callmatrix.live.endpoints import Seller
from callmatrix.store import calls, rtb
from callmatrix.store.calls import History
from callmatrix.store.reservations import Stale
from callmatrix.store.rtb import Answering, Declined, Gone, KeptBid, Made, Offered, Window

# What is left of a seller's deadline for the way back and for writing the bid down.
REPLY_MARGIN_MS: Final = 100
MAX_ROUNDS: Final = 3
MAX_STALE: Final = 5
MAX_GONE: Final = 3
# A reservation outlives its bid by the time in which a call that comes at the last moment is told to us.
HOLD_MARGIN_S: Final = 15
RATIO_DAYS: Final = 7
# Of a process's connections to the database, so that sellers cannot keep callers from theirs.
MAX_SESSIONS: Final = 6
NO_CALL: Final = CallId("")

_log = logging.getLogger(__name__)


class _Question(msgspec.Struct, frozen=True, kw_only=True):
    """One request, and what is known of the world when it is priced."""

    seller: Seller
    request: BidRequest
    hash: bytes
    at: datetime
    bid_id: BidId
    call_id: CallId
    places: asyncio.Semaphore

    @property
    def endpoint(self) -> Endpoint:
        return self.seller.endpoint


class _Heard(msgspec.Struct, frozen=True, kw_only=True):
    """A price, and the auction that it rests on."""

    priced: Priced
    bids: tuple[Bid, ...] = ()
    asked: tuple[Asked, ...] = ()
    rounds: int = 0


class Desk:
    """Where requests are answered, in one process: two that are the same at once are answered as one."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._places = asyncio.Semaphore(MAX_SESSIONS)
        self._under_way: dict[tuple[EndpointId, bytes], asyncio.Future[Made | RtbRefused]] = {}

    async def ask(self, seller: Seller, request: BidRequest) -> Made | RtbRefused:
        """The bid for this request, or why there is none. Raises `DatabaseGone`."""
        key = (seller.endpoint.id, request_hash(seller.endpoint.id, request))
        first = self._under_way.get(key)
        if first is not None:
            await asyncio.wait((first,))
            told = None if first.cancelled() or first.exception() is not None else first.result()
            # A bid of the first is repeated by whoever asks for it now; no is no for all of them.
            return told if isinstance(told, RtbRefused) else await self._answer(seller, request)
        answering = asyncio.ensure_future(self._answer(seller, request))
        self._under_way[key] = answering
        answering.add_done_callback(lambda done: self._over(key, done))
        return await asyncio.shield(answering)

    async def _answer(self, seller: Seller, request: BidRequest) -> Made | RtbRefused:
        return await answer(self._app, seller, request, places=self._places)

    def _over(self, key: tuple[EndpointId, bytes], done: "asyncio.Future[Made | RtbRefused]") -> None:
        del self._under_way[key]
        if not done.cancelled() and done.exception() is not None:
            _log.warning("a request of %s was not answered: %r", key[0], done.exception())


async def answer(
    app: App, seller: Seller, request: BidRequest, *, places: asyncio.Semaphore
) -> Made | RtbRefused:
    """Price a request and keep what is answered, in one of so many `places` at the database."""
    hashed = request_hash(seller.endpoint.id, request)
    for _ in range(MAX_GONE):
        question = _Question(
            seller=seller,
            request=request,
            hash=hashed,
            at=app.world.now(),
            bid_id=BidId(app.world.new_id("bid")),
            call_id=CallId(app.world.new_id("call")),
            places=places,
        )
        found = unfit(seller.endpoint, request) or await _priced(app, question)
        match found:
            case RtbRefused():
                return await _declined(app, question, found)
            case None:
                told = await _keep(app, question, None)
                if not isinstance(told, Gone):
                    return told
            case _Heard():
                return await _offered(app, question, found)
    return RtbRefused(code="overloaded", detail="Bids for this request end faster than they are repeated")


# --- pricing -------------------------------------------------------------------------------------------


async def _priced(app: App, question: _Question) -> _Heard | RtbRefused | None:
    """The price; None where the same request has an open bid."""
    endpoint, account_id, at = question.endpoint, question.seller.account_id, question.at
    publishers = (
        Owner(kind="publisher", id=endpoint.publisher_id),
        Owner(kind="publisher_in_campaign", id=f"{endpoint.publisher_id}/{endpoint.campaign_id}"),
    )
    caller, history = question.request.caller, History(version=0, calls=())
    plan = app.catalog.plan(account_id, endpoint.campaign_id)
    rotation: tuple[OfferId, ...] = ()
    async with question.places, app.db.session() as tx:
        standing = await rtb.standing(
            tx,
            account_id,
            endpoint.id,
            request_hash=question.hash,
            publishers=publishers,
            window=window_of(app, question.seller, at),
            at=at,
        )
        if not (standing.open or standing.limited or standing.capped) and plan is not None:
            if caller is not None:
                _, history = await calls.before_arrival(tx, account_id, endpoint.campaign_id, caller)
            if plan.campaign.plan.strategy == "round_robin":
                routes = await calls.past_routes(
                    tx,
                    account_id,
                    endpoint.campaign_id,
                    caller=None,
                    apart_from=NO_CALL,
                    rotating=plan.routing.offer_ids,
                )
                rotation = routes.rotation
    if standing.open:
        return None
    if standing.limited:
        return RtbRefused(code="rate_limited")
    if standing.capped:
        return RtbRefused(code="capped", detail=endpoint.publisher_id)
    shut = _shut(app, question)
    if shut is not None or plan is None:
        return shut or RtbRefused(code="campaign_not_live", detail="Its plan is not in force yet")
    world = Looked(shut=app.masks.shut(plan, at), rotation=rotation, history=history.calls)
    found = await _sell(app, question, plan, world)
    left = standing.payout_left
    if isinstance(found, _Heard) and left is not None and found.priced.amount > left:
        return RtbRefused(
            code="capped", detail=f"{found.priced.amount} is more than the {left} left to be paid"
        )
    return found


def _shut(app: App, question: _Question) -> RtbRefused | None:
    """What is live and refuses every call of the campaign or publisher (rule 1), or this caller's."""
    endpoint, account_id, at = question.endpoint, question.seller.account_id, question.at
    status, is_open = app.catalog.campaign_standing(account_id, endpoint.campaign_id, at)
    if status != "live":
        return RtbRefused(code="campaign_not_live", detail=status)
    if app.catalog.publisher_paused(account_id, endpoint.campaign_id, endpoint.publisher_id):
        return RtbRefused(code="publisher_paused", detail=endpoint.publisher_id)
    if not is_open:
        return RtbRefused(code="closed")
    numbers = _numbers(app, question)
    if not numbers:
        return RtbRefused(code="no_number", detail="None of its numbers is in use")
    blocked = app.catalog.blocked_by(
        account_id, endpoint.campaign_id, question.request.caller, numbers[0][1], at
    )
    return RtbRefused(code="caller_blocked", detail=blocked) if blocked else None


async def _sell(app: App, question: _Question, plan: CompiledPlan, world: Looked) -> _Heard | RtbRefused:
    """The price by the plan; where it hangs on bids, our bidders are asked within the seller's deadline."""
    endpoint, request = question.endpoint, question.request
    number_id, dialed = _numbers(app, question)[0]
    facts = facts_of_request(request, endpoint=endpoint, dialed=dialed, at=question.at)
    left_ms = min(endpoint.deadline_ms, request.deadline_ms or endpoint.deadline_ms) - REPLY_MARGIN_MS
    left_ms = min(left_ms, plan.campaign.auction.deadline_ms)
    results: dict[OfferId, PingResult] = {}
    rounds = 0
    while True:
        given = Given(
            facts=facts,
            looked=world,
            at=app.world.now(),
            draw=app.world.draw(),
            tariff=plan.tariff_of(app.catalog.connection_of(question.seller.account_id, number_id)),
            bids=_bids(results.values()),
            asked=_asked(results.values()),
            may_ask=endpoint.pings and rounds < MAX_ROUNDS and left_ms >= MIN_TIMEOUT_MS,
        )
        found = sell(endpoint, plan, given, floor=request.floor)
        if not isinstance(found, AskFirst):
            break
        rounds += 1
        back, spent_ms = await auctions.hold(
            app,
            question.seller.account_id,
            lead=lead_of_request(
                request,
                lead_id=question.call_id,
                endpoint=endpoint,
                vertical=plan.campaign.vertical,
                facts=facts,
            ),
            plan=plan,
            facts=facts,
            offer_ids=found.offer_ids,
            deadline_ms=left_ms,
            round_number=rounds,
        )
        left_ms -= spent_ms
        results |= {result.offer_id: result for result in back}
    if isinstance(found, RtbRefused):
        return found
    heard = _Heard(priced=found, bids=_bids(results.values()), asked=_asked(results.values()), rounds=rounds)
    return await _with_room(app, question, plan, heard)


async def _with_room(app: App, question: _Question, plan: CompiledPlan, heard: _Heard) -> _Heard | RtbRefused:
    """An endpoint that overbooks looks how many calls its open bids will bring (rule 24: `soft`)."""
    endpoint, account_id = question.endpoint, question.seller.account_id
    if endpoint.hold != "soft":
        return heard
    claim = _claim(question, heard.priced, plan, question.at)
    async with question.places, app.db.session() as tx:
        room = await rtb.room(
            tx,
            account_id,
            endpoint.id,
            owners=owners_of(claim, account_id=account_id),
            offer_id=heard.priced.chosen.offer_id,
            at=question.at,
            since=question.at - timedelta(days=RATIO_DAYS),
        )
    over = max(0, room.bids - room.open_bids)
    if has_room(room=room.room, open_bids=room.open_bids, bids=over, calls=room.calls):
        return heard
    detail = f"Room for {room.room}, {room.open_bids} open bids; {room.calls} calls came of {over} bids"
    return RtbRefused(code="no_capacity", detail=detail)


def _bids(results: Iterable[PingResult]) -> tuple[Bid, ...]:
    return tuple(result.bid for result in results if result.bid is not None)


def _asked(results: Iterable[PingResult]) -> tuple[Asked, ...]:
    return tuple(
        Asked(offer_id=result.offer_id, code=result.code, detail=result.detail) for result in results
    )


# --- answering -----------------------------------------------------------------------------------------


async def _offered(app: App, question: _Question, heard: _Heard) -> Made | RtbRefused:
    """Make the bid: reserve where the endpoint holds, write it down, and give back what is not needed."""
    endpoint, priced = question.endpoint, heard.priced
    expires_at = _expiry(question, heard, app.world.now())
    if expires_at is None:
        return await _declined(
            app, question, RtbRefused(code="no_bid", detail="The winning bid is too short")
        )
    plan = await app.catalog.pinned(
        question.seller.account_id, endpoint.campaign_id, priced.trace.plan_version
    )
    claim = None
    if endpoint.hold == "hard":
        claim = _claim(question, priced, plan, expires_at + timedelta(seconds=HOLD_MARGIN_S))
        refused = await _reserve(app, question, plan, claim)
        if refused is not None:
            return await _declined(app, question, refused)
    offer = plan.offers[priced.chosen.offer_id]
    told = await _keep(
        app,
        question,
        Offered(
            amount=priced.amount,
            min_s=priced.min_s,
            revenue=priced.revenue,
            offer_id=offer.id,
            plan_version=plan.version,
            hold=endpoint.hold,
            hold_s=plan.campaign.max_call_s + offer.ring_timeout_s + EXPIRY_MARGIN_S,
            expires_at=expires_at,
            sip_host=endpoint.sip_host,
            sold=_sold_bid(question, plan, heard, claim),
        ),
    )
    assert not isinstance(told, Gone)
    made = isinstance(told, Made) and told.bid.id == question.bid_id
    if claim is not None and not made:
        await app.reservations.settle(question.seller.account_id, Settlement(attempt_id=claim.attempt_id))
    return told


def _expiry(question: _Question, heard: _Heard, now: datetime) -> datetime | None:
    """Until when the bid stands: not longer than the one that it rests on (rule 25); None: too short."""
    expires_at = now + timedelta(seconds=question.endpoint.expire_s)
    won = heard.priced.chosen.won
    if won is not None and won.expires_at is not None:
        expires_at = min(expires_at, won.expires_at - timedelta(seconds=SETUP_S))
    return expires_at if expires_at >= now + timedelta(seconds=LEAST_LIFE_S) else None


def _sold_bid(question: _Question, plan: CompiledPlan, heard: _Heard, claim: Claim | None) -> SoldBid:
    terms = plan.terms.get(question.endpoint.publisher_id)
    return SoldBid(
        bid_id=question.bid_id,
        endpoint_id=question.endpoint.id,
        amount=heard.priced.amount,
        min_s=heard.priced.min_s,
        duplicate_days=0 if terms is None or terms.duplicates is None else terms.duplicates.window_days,
        zip=question.request.zip,
        state=question.request.state,
        fields=question.request.fields,
        shared=question.endpoint.shared_fields,
        held=claim,
        bids=heard.bids,
        asked=heard.asked,
        rounds=heard.rounds,
    )


def _claim(question: _Question, priced: Priced, plan: CompiledPlan, expires_at: datetime) -> Claim:
    return claim_of(
        priced,
        endpoint=question.endpoint,
        call_id=question.call_id,
        attempt_id=attempt_id(question.call_id, 1),
        plan=plan,
        expires_at=expires_at,
    )


async def _reserve(app: App, question: _Question, plan: CompiledPlan, claim: Claim) -> RtbRefused | None:
    """Hold what the call will need; pauses and hours by the configuration that is then in force (rule 1)."""
    account_id = question.seller.account_id
    assert claim.offer_id is not None
    for _ in range(MAX_STALE):
        version = app.catalog.version(account_id)
        code = app.masks.shut_code(plan, claim.offer_id, app.world.now())
        if code is not None:
            return RtbRefused(code="not_reserved", detail=code)
        told = await app.reservations.reserve(account_id, claim, catalog_version=version)
        if isinstance(told, Granted):
            if told.pays_publisher:
                return None
            await app.reservations.settle(account_id, Settlement(attempt_id=claim.attempt_id))
            return RtbRefused(code="capped", detail=question.endpoint.publisher_id)
        if not isinstance(told, Stale):
            return RtbRefused(code="not_reserved", detail=f"{told.code} of {told.owner.kind} {told.owner.id}")
        await app.catalog.refresh(account_id)
    return RtbRefused(code="not_reserved", detail="The configuration changes faster than it can be read")


async def _declined(app: App, question: _Question, refused: RtbRefused) -> Made | RtbRefused:
    told = await _keep(app, question, Declined(code=refused.code, detail=refused.detail))
    assert not isinstance(told, Gone)
    return told  # perhaps a bid: the same request may have got one meanwhile


async def _keep(app: App, question: _Question, answer: Offered | Declined | None) -> Made | RtbRefused | Gone:
    seller, endpoint = question.seller, question.endpoint
    asked = Answering(
        bid_id=question.bid_id,
        call_id=question.call_id,
        endpoint_id=endpoint.id,
        campaign_id=endpoint.campaign_id,
        publisher_id=endpoint.publisher_id,
        at=app.world.now(),
        request=question.request,
        request_hash=question.hash,
        window=window_of(app, seller, app.world.now()),
        max_open=endpoint.max_open_bids,
        numbers=_numbers(app, question),
        answer=answer,
    )
    async with question.places, app.db.session() as tx:
        told = await rtb.answer(tx, seller.account_id, asked)
    return RtbRefused(code=told, bid_id=question.bid_id) if isinstance(told, str) else told


def window_of(app: App, seller: Seller, at: datetime) -> Window:
    """The clock minute, hour and day of the account in which a request counts."""
    account = app.catalog.account(seller.account_id)
    local = at.astimezone(zone("UTC" if account is None else account.time_zone))
    limits = seller.endpoint.limits
    return Window(
        minute_at=at.replace(second=0, microsecond=0),
        hour_at=at.replace(minute=0, second=0, microsecond=0),
        day_at=local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(at.tzinfo),
        per_minute=limits.per_minute,
        per_hour=limits.per_hour,
        per_day=limits.per_day,
    )


def _numbers(app: App, question: _Question) -> tuple[tuple[NumberId, str], ...]:
    """The endpoint's numbers that are in use."""
    known = (
        (number_id, app.catalog.e164_of(question.seller.account_id, number_id))
        for number_id in question.endpoint.numbers
    )
    return tuple((number_id, e164) for number_id, e164 in known if e164 is not None)


# --- the call that follows -----------------------------------------------------------------------------


class Arriving(msgspec.Struct, frozen=True, kw_only=True):
    """A call to an endpoint's number: the bid that it answers with the call's id and plan version; or why
    none does."""

    sold: Sold
    call_id: CallId | None = None
    plan_version: int | None = None


async def arriving(
    app: App,
    seller: Seller,
    *,
    number_id: NumberId,
    caller: str | None,
    connection_id: ConnectionId,
    carrier_ref: str,
    at: datetime,
) -> Arriving:
    """Match a call by number, caller and time; the bid is used by it from now on. Raises `DatabaseGone`."""
    async with app.db.session() as tx:
        told = await rtb.use(
            tx,
            seller.account_id,
            seller.endpoint.id,
            number_id=number_id,
            caller=caller,
            at=at,
            connection_id=connection_id,
            carrier_ref=carrier_ref,
        )
    if isinstance(told, KeptBid):
        return Arriving(sold=told.sold, call_id=told.call_id, plan_version=told.plan_version)
    return Arriving(sold=NotSold(code=told, endpoint_id=seller.endpoint.id))
