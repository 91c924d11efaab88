"""Holds auctions: asks the bidders, reads what they say, keeps the evidence; and posts leads to winners."""

import asyncio
import logging
from datetime import datetime
from typing import Final

import msgspec

from callmatrix.core.auction import (
    Bid,
    Lead,
    NoBid,
    PingResult,
    Post,
    Posted,
    PostRefused,
    outcome,
    ping_of,
    post_of,
)
from callmatrix.core.call import events
from callmatrix.core.call.bidding import interrupted, lead_of, ping_id
from callmatrix.core.call.commands import Ping as PingBidders
from callmatrix.core.call.commands import Post as PostLead
from callmatrix.core.call.commands import Simulate as SimulateBidders
from callmatrix.core.call.facts import facts_of
from callmatrix.core.call.value import Attempt, Call
from callmatrix.core.campaign import Bidder, Offer
from callmatrix.core.ids import AccountId, AttemptId, CallId, OfferId
from callmatrix.core.money import Money
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import BidPrice
from callmatrix.core.routing import Looked
from callmatrix.core.rules import Facts
from callmatrix.dialects import bidders
from callmatrix.dialects.http import HttpReply, HttpRequest
from callmatrix.live.app import App
from callmatrix.live.evidence import PingRecord, PostRecord
from callmatrix.live.pinger import Answered, Asking
from callmatrix.store import calls
from callmatrix.store.jobs import Job
from callmatrix.store.pings import AuctionRecord
from callmatrix.world import monotonic_s

# Answers that say that a bidder works: the others feed its throttle.
_ORDERLY: Final = ("", "no_bid", "terms_min_s", "terms_duplicates")
POST_TIMEOUT_MS: Final = 10_000
WARM_EVERY_S: Final = 10.0
WARM_CONNECTIONS: Final = 2
MAX_WARMED: Final = 500


_log = logging.getLogger(__name__)


class PostFailed(Exception):
    """The winner could not be told of the lead now; the job is tried again."""


class _Asked(msgspec.Struct):
    """One ping on its way: what is known before, and what came back."""

    offer: Offer
    bidder: Bidder
    ping_id: str
    secrets: dict[str, str]
    request: HttpRequest | None = None
    refused: NoBid | None = None
    answered: Answered | None = None


async def keep_warm(app: App) -> None:
    """Keep connections to the bidders of live auctions open, until cancelled: an auction that has to open
    twenty at once is slow just when many callers come."""
    while True:
        try:
            await warm(app)
        except Exception:  # the next round starts anew
            _log.exception("connections to bidders could not be kept")
        await asyncio.sleep(WARM_EVERY_S)


async def warm(app: App) -> None:
    """Open what is missing of `WARM_CONNECTIONS` to each bidder that a call could be offered to now."""
    at = app.world.now()
    wanted: dict[str, str] = {}
    for account in app.catalog.accounts():
        for plan in app.catalog.plans(account.id):
            if app.catalog.campaign_standing(account.id, plan.campaign.id, at) != ("live", True):
                continue
            for offer_id in plan.routing.ids(plan.routing.bidding & plan.routing.open_mask(at)):
                bidder = plan.offers[offer_id].bidder
                assert bidder is not None
                wanted[bidder_name(account.id, offer_id)] = bidder.ping_url
    bidders_at_once = list(wanted.items())[:MAX_WARMED]
    await asyncio.gather(*(app.pinger.prewarm(url, name, WARM_CONNECTIONS) for name, url in bidders_at_once))


async def hold(
    app: App,
    account_id: AccountId,
    *,
    lead: Lead,
    plan: CompiledPlan,
    facts: Facts,
    offer_ids: tuple[OfferId, ...],
    deadline_ms: int,
    round_number: int = 1,
    simulated: bool = False,
) -> tuple[tuple[PingResult, ...], int]:
    """One round of pings: a result for each offer in the order given, and the milliseconds that it took.

    Never raises for what bidders do, and never takes longer than the deadline but for the process's own
    slowness. The evidence is kept behind.
    """
    at = app.world.now()
    started_s = monotonic_s()
    asked = [
        _prepare(
            app,
            account_id,
            plan.offers[offer_id],
            lead=lead,
            plan=plan,
            ping_id=ping_id(lead.id, round_number, offer_id),
            deadline_ms=deadline_ms,
            at=at,
        )
        for offer_id in offer_ids
    ]
    sent = [one for one in asked if one.request is not None]
    answers = await app.pinger.ask(
        [_asking(account_id, one, one.request) for one in sent if one.request is not None],
        deadline_ms=deadline_ms,
    )
    for one, answered in zip(sent, answers, strict=True):
        one.answered = answered
    spent_ms = int((monotonic_s() - started_s) * 1_000)
    back_at = app.world.now()
    results = tuple(_result(app, account_id, one, plan=plan, facts=facts, at=back_at) for one in asked)
    app.evidence.keep(
        account_id,
        AuctionRecord(
            auction_id=f"{lead.id}-{round_number}{'-trial' if simulated else ''}",
            channel=lead.channel,
            lead_id=lead.id,
            campaign_id=plan.campaign.id,
            plan_version=plan.version,
            round=round_number,
            at=at,
            deadline_ms=deadline_ms,
            spent_ms=spent_ms,
            simulated=simulated,
            test=lead.test,
        ),
        [_record(one, result, at) for one, result in zip(asked, results, strict=True)],
        number=lead.number,
    )
    return results, spent_ms


def _prepare(
    app: App,
    account_id: AccountId,
    offer: Offer,
    *,
    lead: Lead,
    plan: CompiledPlan,
    ping_id: str,
    deadline_ms: int,
    at: datetime,
) -> _Asked:
    """The request to one bidder, or why it cannot be asked. What it is told is `ping_of`'s to say."""
    bidder = offer.bidder
    assert bidder is not None
    secrets = dict(app.catalog.bidder_secrets(account_id, offer.id))
    ping = ping_of(
        lead,
        ping_id=ping_id,
        at=at,
        deadline_ms=min(deadline_ms, bidder.timeout_ms),
        bidder=bidder,
        auction=plan.campaign.auction,
        performance=app.performances.of(account_id, offer.buyer_id),
        floor=_least(plan, offer) if bidder.share_floor else None,
    )
    made = bidders.ping_request(ping, bidder, secrets, at=at)
    asked = _Asked(offer=offer, bidder=bidder, ping_id=ping_id, secrets=secrets)
    if isinstance(made, NoBid):
        asked.refused = made
    else:
        asked.request = made
    return asked


def _least(plan: CompiledPlan, offer: Offer) -> Money:
    """The least bid of this offer that ranks."""
    price, reserve = plan.price_of(offer.id), plan.campaign.auction.reserve
    return max(price.floor, reserve) if isinstance(price, BidPrice) else reserve


def bidder_name(account_id: AccountId, offer_id: OfferId) -> str:
    """Under what name the pinger knows an offer's bidder."""
    return f"{account_id}/{offer_id}"


def _asking(account_id: AccountId, one: _Asked, request: HttpRequest) -> Asking:
    return Asking(
        key=one.offer.id,
        bidder=bidder_name(account_id, one.offer.id),
        request=request,
        timeout_ms=one.bidder.timeout_ms,
    )


def _result(
    app: App, account_id: AccountId, one: _Asked, *, plan: CompiledPlan, facts: Facts, at: datetime
) -> PingResult:
    answered = one.answered
    if answered is None:
        assert one.refused is not None
        said: Bid | NoBid = one.refused
        answered = Answered(key=one.offer.id)
    elif answered.code:
        said = NoBid(code=answered.code, detail=answered.detail)
    else:
        said = outcome(
            bidders.read_ping(HttpReply(status=answered.status, body=answered.body), one.bidder, at=at),
            offer=one.offer,
            price=plan.price_of(one.offer.id),
            currency=plan.account.currency,
            ping_id=one.ping_id,
            facts=facts,
            at=at,
        )
        code = said.code if isinstance(said, NoBid) else ""
        app.pinger.verdict(bidder_name(account_id, one.offer.id), good=code in _ORDERLY)
    return PingResult(
        offer_id=one.offer.id,
        ping_id=one.ping_id,
        bid=said if isinstance(said, Bid) else None,
        code=said.code if isinstance(said, NoBid) else "",
        detail=said.detail if isinstance(said, NoBid) else "",
        status=answered.status,
        reused=answered.reused,
        connect_us=answered.connect_us,
        tls_us=answered.tls_us,
        first_byte_us=answered.first_byte_us,
        total_us=answered.total_us,
    )


def _record(one: _Asked, result: PingResult, at: datetime) -> PingRecord:
    return PingRecord(
        result=result,
        buyer_id=one.offer.buyer_id,
        at=at,
        request=one.request,
        reply=b"" if one.answered is None else one.answered.body,
        secrets=one.secrets,
    )


# --- posts ---------------------------------------------------------------------------------------------


async def post(
    app: App,
    account_id: AccountId,
    offer: Offer,
    lead: Post,
    *,
    plan: CompiledPlan,
    timeout_ms: int,
    attempt: int = 1,
) -> Posted | PostRefused | None:
    """Tell the winner the lead; None where its format has nothing to post to. Never raises for what a
    bidder does. Every try is kept as evidence."""
    bidder = offer.bidder
    assert bidder is not None
    at = app.world.now()
    secrets = dict(app.catalog.bidder_secrets(account_id, offer.id))
    made = bidders.post_request(lead, bidder, secrets, at=at)
    if made is None:
        return None
    answered = Answered(key=offer.id)
    if isinstance(made, NoBid):
        said: Posted | PostRefused = PostRefused(code=made.code, detail=made.detail)
    else:
        asking = Asking(
            key=offer.id,
            bidder=f"{bidder_name(account_id, offer.id)}/post",
            request=made,
            timeout_ms=timeout_ms,
            once=True,
        )
        (answered,) = await app.pinger.ask((asking,), deadline_ms=timeout_ms)
        if answered.code:
            retry = answered.code not in ("address_refused", "redirected", "too_large")
            said = PostRefused(code=answered.code, detail=answered.detail, retry=retry)
        else:
            reply = HttpReply(status=answered.status, body=answered.body)
            said = bidders.read_post(reply, bidder)
            app.pinger.verdict(asking.bidder, good=isinstance(said, Posted) or said.code == "no_bid")
    app.evidence.keep_post(
        account_id,
        PostRecord(
            id=app.world.new_id("post"),
            offer_id=offer.id,
            buyer_id=offer.buyer_id,
            campaign_id=plan.campaign.id,
            lead_id=lead.lead_id,
            ping_id=lead.ping_id,
            at=at,
            attempt=attempt,
            status=answered.status,
            code=said.code if isinstance(said, PostRefused) else "",
            detail=said.detail if isinstance(said, PostRefused) else "",
            reference=said.reference if isinstance(said, Posted) else "",
            total_us=answered.total_us,
            reply=answered.body,
            secrets=secrets,
        ),
        number=lead.number,
    )
    return said


def call_post(call: Call, plan: CompiledPlan, attempt: Attempt, at: datetime) -> Post:
    """What the winner of a call is told."""
    assert attempt.won is not None
    return post_of(
        lead_of(call, plan),
        offer_id=attempt.won.offer_id,
        ping_id=attempt.won.ping_id,
        bid_id=attempt.won.bid_id,
        amount=attempt.won.amount,
        at=at,
    )


async def post_lead(app: App, job: Job) -> None:
    """The job that tells the winner of a bridged call (rule 27). What may succeed later is tried again."""
    call_id, attempt_id = CallId(job.payload["call_id"]), AttemptId(job.payload["attempt_id"])
    async with app.db.session() as tx:
        call = await calls.load(tx, job.account_id, call_id)
    attempt = None if call is None else next((one for one in call.attempts if one.id == attempt_id), None)
    if call is None or attempt is None or attempt.offer_id is None or attempt.won is None:
        return
    plan = await app.catalog.pinned(job.account_id, call.campaign_id, call.plan_version)
    said = await post(
        app,
        job.account_id,
        plan.offers[attempt.offer_id],
        call_post(call, plan, attempt, app.world.now()),
        plan=plan,
        timeout_ms=POST_TIMEOUT_MS,
        attempt=job.attempts,
    )
    if isinstance(said, PostRefused) and said.retry:
        raise PostFailed(f"{said.code} {said.detail}".strip())


# --- calls ---------------------------------------------------------------------------------------------


async def ask_for_call(
    app: App, call: Call, plan: CompiledPlan, question: PingBidders
) -> tuple[tuple[PingResult, ...], int]:
    """A call's round of pings."""
    return await hold(
        app,
        call.account_id,
        lead=lead_of(call, plan),
        plan=plan,
        facts=facts_of(call, plan, app.world.now()),
        offer_ids=question.offer_ids,
        deadline_ms=question.deadline_ms,
        round_number=question.round,
    )


async def simulate_for_call(app: App, call: Call, plan: CompiledPlan, trial: SimulateBidders) -> None:
    """Ping bidders on trial, for the record."""
    await hold(
        app,
        call.account_id,
        lead=lead_of(call, plan),
        plan=plan,
        facts=facts_of(call, plan, app.world.now()),
        offer_ids=trial.offer_ids,
        deadline_ms=trial.deadline_ms,
        simulated=True,
    )


async def post_for_call(app: App, call: Call, plan: CompiledPlan, question: PostLead) -> events.PostAnswered:
    """The winner's answer before the dial. One whose format has nothing to post to is dialled."""
    attempt = next(one for one in call.attempts if one.id == question.attempt_id)
    assert attempt.offer_id is not None
    offer = plan.offers[attempt.offer_id]
    assert offer.bidder is not None
    started_s = monotonic_s()
    said = await post(
        app,
        call.account_id,
        offer,
        call_post(call, plan, attempt, app.world.now()),
        plan=plan,
        timeout_ms=min(question.deadline_ms, offer.bidder.timeout_ms),
    )
    answered = events.PostAnswered(
        at=app.world.now(),
        attempt_id=attempt.id,
        spent_ms=int((monotonic_s() - started_s) * 1_000),
    )
    match said:
        case None:
            return answered
        case Posted():
            return msgspec.structs.replace(answered, destination=said.destination, reference=said.reference)
        case PostRefused():
            return msgspec.structs.replace(answered, code=said.code, detail=said.detail)


def lost_round(
    call: Call, question: PingBidders, *, world: Looked, at: datetime, draw: int
) -> events.BidsReturned:
    """The end of a round whose asker died: nobody has bid, and nobody is asked twice."""
    return events.BidsReturned(
        at=at, draw=draw, world=world, round=question.round, results=interrupted(call.id, question)
    )
