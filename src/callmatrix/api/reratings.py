"""Rating calls again by the present prices: what it would change, and having it done by the job queue."""

from typing import Annotated, Final

import msgspec

from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import Cursor, IdText, Instant, Page, PageQuery, cursor_of, is_full, place_of
from callmatrix.api.problems import invalid, not_found
from callmatrix.core.money import ZERO, Money
from callmatrix.live import reratings as live_reratings
from callmatrix.live.reratings import Difference
from callmatrix.store import audit, reratings
from callmatrix.store.audit import Act, By
from callmatrix.store.call_search import CallFilter, Place
from callmatrix.store.reratings import NewAmounts, Rerating

MAX_PREVIEWED: Final = 1_000
"""How many calls one preview looks at; it goes on by its cursor."""


class RatedCalls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which connected calls to rate again: `since <= arrived_at < until`."""

    since: Instant
    until: Instant
    campaign_id: IdText | None = None
    buyer_id: IdText | None = None
    publisher_id: IdText | None = None
    offer_id: IdText | None = None


class RerateBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which calls to rate again, and why."""

    calls: RatedCalls
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What re-rating would change: of the calls looked at those whose amounts differ, after credits and
    claw-backs, and the sums of the differences. `next_cursor` goes on with older calls."""

    looked_at: int
    revenue_difference: Money
    payout_difference: Money
    calls: tuple[NewAmounts, ...]
    next_cursor: str | None


class PreviewQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of a preview of more than `MAX_PREVIEWED` calls."""

    cursor: Cursor | None = None


async def preview_rerating(ask: Ask) -> Reply:
    """What would change; books nothing."""
    wanted, query = _filter(ask.given(RatedCalls)), ask.asked(PreviewQuery)
    place = place_of(query.cursor)
    found = await live_reratings.look(
        ask.app,
        ask.who.account_id,
        wanted,
        after=None if place is None else Place(at=place[0], id=place[1]),
        limit=MAX_PREVIEWED,
    )
    changed = tuple(_net(one) for one in found.differences)
    told = Preview(
        looked_at=found.looked_at,
        revenue_difference=sum((one.new_revenue - one.old_revenue for one in changed), start=ZERO),
        payout_difference=sum((one.new_payout - one.old_payout for one in changed), start=ZERO),
        calls=changed,
        next_cursor=None if found.place is None else cursor_of(found.place.at.isoformat(), found.place.id),
    )
    return Reply(value=told)


def _net(one: Difference) -> NewAmounts:
    """What both sides owe in the end, as calls show it: after credits and claw-backs."""
    gross = one.amounts
    return NewAmounts(
        call_id=gross.call_id,
        old_revenue=gross.old_revenue - one.credited,
        old_payout=gross.old_payout - one.clawed_back,
        new_revenue=gross.new_revenue - one.credited,
        new_payout=gross.new_payout - one.clawed_back,
    )


async def create_rerating(ask: Ask) -> Reply:
    """Book the differences, a batch at a time, in the background."""
    given, who = ask.given(RerateBody), ask.who
    wanted, rerating_id = _filter(given.calls), ask.new_id("rer")
    async with ask.app.db.transaction() as tx:
        kept = await reratings.get(tx, who.account_id, rerating_id)
        if kept is None:
            await reratings.create(
                tx,
                who.account_id,
                id=rerating_id,
                wanted=wanted,
                reason=given.reason,
                asked_by=who.name,
                asked_at=ask.now,
            )
            span = {"since": given.calls.since.isoformat(), "until": given.calls.until.isoformat()}
            act = Act(what="rerate", kind="rerating", target_id=rerating_id, details=span)
            await audit.record(tx, who.account_id, act, by=By(who=who.id, at=ask.now, note=given.reason))
            await live_reratings.queue(ask.app, tx, who.account_id, rerating_id, after=rerating_id)
            kept = await reratings.get(tx, who.account_id, rerating_id)
    return Reply(value=kept, status=202, headers={"Location": f"/api/reratings/{rerating_id}"})


async def resume_rerating(ask: Ask) -> Reply:
    """Go on with a re-rating that failed too often. Calls that are booked already do not change."""
    kept = await _kept(ask)
    if not kept.complete:
        async with ask.app.db.transaction() as tx:
            await live_reratings.queue(ask.app, tx, ask.who.account_id, kept.id, after=ask.new_id("res"))
    return Reply(value=kept, status=202)


async def read_rerating(ask: Ask) -> Reply:
    """One re-rating and its progress."""
    return Reply(value=await _kept(ask))


async def list_reratings(ask: Ask) -> Reply:
    """Re-ratings, newest first."""
    query = ask.asked(PageQuery)
    async with ask.app.db.transaction() as tx:
        found = await reratings.latest(
            tx, ask.who.account_id, after=place_of(query.cursor), limit=query.limit
        )
    last = found[-1] if is_full(found, query.limit) else None
    cursor = None if last is None else cursor_of(last.asked_at.isoformat(), last.id)
    return Reply(value=Page(items=found, next_cursor=cursor))


async def _kept(ask: Ask) -> Rerating:
    async with ask.app.db.transaction() as tx:
        kept = await reratings.get(tx, ask.who.account_id, ask.path["id"])
    if kept is None:
        raise not_found("rerating", ask.path["id"])
    return kept


def _filter(wanted: RatedCalls) -> CallFilter:
    if wanted.until <= wanted.since:
        raise invalid("until", "It does not come after `since`", "Send a later instant")
    return CallFilter(status="connected", test=False, **msgspec.structs.asdict(wanted))


_TAG: Final = "re-rating"
_SPAN: Final = {"since": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z"}

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/api/reratings/preview",
        name="preview_rerating",
        tag=_TAG,
        summary="What rating these calls by the present prices would change",
        permission="move_money",
        query=PreviewQuery,
        body=RatedCalls,
        returns=Preview,
        example=_SPAN,
        run=preview_rerating,
    ),
    Operation(
        method="POST",
        path="/api/reratings",
        name="create_rerating",
        tag=_TAG,
        summary="Book the differences by correcting postings",
        description="Answers at once; progress is at the address in `Location`.",
        permission="move_money",
        body=RerateBody,
        returns=Rerating,
        status=202,
        example={"calls": _SPAN, "reason": "The price of November was wrong"},
        run=create_rerating,
    ),
    Operation(
        method="GET",
        path="/api/reratings",
        name="list_reratings",
        tag=_TAG,
        summary="Re-ratings and their progress, newest first",
        permission="read_books",
        query=PageQuery,
        returns=Page[Rerating],
        run=list_reratings,
    ),
    Operation(
        method="GET",
        path="/api/reratings/{id}",
        name="read_rerating",
        tag=_TAG,
        summary="One re-rating and its progress",
        permission="read_books",
        returns=Rerating,
        run=read_rerating,
    ),
    Operation(
        method="POST",
        path="/api/reratings/{id}/resume",
        name="resume_rerating",
        tag=_TAG,
        summary="Go on with a re-rating that was interrupted",
        permission="move_money",
        returns=Rerating,
        status=202,
        run=resume_rerating,
    ),
)
