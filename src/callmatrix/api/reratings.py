"""Rating calls again by the present prices: what it would change, and doing it, a call at a time."""

from typing import Annotated, Final

import msgspec

from callmatrix.api.calls import stored_call
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import Cursor, IdText, Instant, Limit, Page, cursor_of, is_full, parts_of
from callmatrix.api.problems import invalid, not_found
from callmatrix.core.call import events
from callmatrix.core.call.settlement import rate_again
from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId, CallId
from callmatrix.core.money import ZERO, Money
from callmatrix.core.pricing import PastCall
from callmatrix.live import calls as live_calls
from callmatrix.live.app import App
from callmatrix.store import audit, call_search, calls, reratings
from callmatrix.store.audit import Act, By
from callmatrix.store.call_search import CallFilter
from callmatrix.store.reratings import NewAmounts, Rerating

MAX_CALLS: Final = 1_000
"""How many calls one re-rating takes; a longer span is done in parts."""
DEFAULT_LIMIT: Final = 50


class RatedCalls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which calls to rate again: `since <= arrived_at < until`, at most `MAX_CALLS` connected ones."""

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
    """What re-rating would change: the calls whose amounts differ, and the sums of the differences."""

    looked_at: int
    revenue_difference: Money
    payout_difference: Money
    calls: tuple[NewAmounts, ...]


class RerateQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of re-ratings, newest first."""

    cursor: Cursor | None = None
    limit: Limit = DEFAULT_LIMIT


async def preview_rerating(ask: Ask) -> Reply:
    """What would change; books nothing."""
    looked_at, changed = await _differences(ask, ask.given(RatedCalls))
    return Reply(value=_preview(looked_at, changed))


async def create_rerating(ask: Ask) -> Reply:
    """Book the differences, a call at a time, in the background."""
    given, who = ask.given(RerateBody), ask.who
    _, changed = await _differences(ask, given.calls)
    rerating_id = ask.app.world.new_id("rer")
    async with ask.app.db.transaction() as tx:
        await reratings.create(
            tx,
            who.account_id,
            id=rerating_id,
            reason=given.reason,
            asked_by=who.name,
            asked_at=ask.now,
            calls=changed,
        )
        act = Act(what="rerate", kind="rerating", target_id=rerating_id, details={"calls": str(len(changed))})
        await audit.record(tx, who.account_id, act, by=By(who=who.id, at=ask.now, note=given.reason))
        kept = await reratings.get(tx, who.account_id, rerating_id)
    ask.app.background.start(work_off(ask.app, who.account_id, rerating_id))
    return Reply(value=kept, status=202, headers={"Location": f"/api/reratings/{rerating_id}"})


async def resume_rerating(ask: Ask) -> Reply:
    """Go on with a re-rating whose process died. Amounts that are booked already change nothing."""
    kept = await _kept(ask)
    if kept.done + kept.refused < kept.total:
        ask.app.background.start(work_off(ask.app, ask.who.account_id, kept.id))
    return Reply(value=kept, status=202)


async def read_rerating(ask: Ask) -> Reply:
    """One re-rating and its progress."""
    return Reply(value=await _kept(ask))


async def list_reratings(ask: Ask) -> Reply:
    """Re-ratings, newest first."""
    query = ask.asked(RerateQuery)
    parts = parts_of(query.cursor, 1)
    async with ask.app.db.transaction() as tx:
        found = await reratings.latest(
            tx, ask.who.account_id, after=None if parts is None else parts[0], limit=query.limit
        )
    cursor = cursor_of(found[-1].id) if is_full(found, query.limit) else None
    return Reply(value=Page(items=found, next_cursor=cursor))


async def work_off(app: App, account_id: AccountId, rerating_id: str) -> None:
    """Book what is still open of a re-rating."""
    async with app.db.transaction() as tx:
        kept = await reratings.get(tx, account_id, rerating_id)
        left = await reratings.still_open(tx, account_id, rerating_id)
    assert kept is not None
    for one in left:
        event = events.Rerated(
            at=app.world.now(),
            revenue=one.new_revenue,
            payout=one.new_payout,
            reason=kept.reason,
            by=kept.asked_by,
        )
        refusal = ""
        try:
            await live_calls.apply(app, account_id, one.call_id, event)
        except Refused as error:
            refusal = error.code
        async with app.db.transaction() as tx:
            await reratings.done(
                tx, account_id, rerating_id, one.call_id, at=app.world.now(), refusal=refusal
            )


async def _kept(ask: Ask) -> Rerating:
    async with ask.app.db.transaction() as tx:
        kept = await reratings.get(tx, ask.who.account_id, ask.path["id"])
    if kept is None:
        raise not_found("rerating", ask.path["id"])
    return kept


async def _differences(ask: Ask, wanted: RatedCalls) -> tuple[int, tuple[NewAmounts, ...]]:
    """How many calls were looked at, and those whose amounts would differ."""
    if wanted.until <= wanted.since:
        raise invalid("until", "It does not come after `since`", "Send a later instant")
    found = CallFilter(status="connected", test=False, **msgspec.structs.asdict(wanted))
    async with ask.app.db.transaction() as tx:
        rows = await call_search.search(tx, ask.who.account_id, found, after=None, limit=MAX_CALLS + 1)
    if len(rows) > MAX_CALLS:
        raise invalid(
            "since", f"More than {MAX_CALLS} calls match", "Choose a shorter span, and do it in parts"
        )
    changed = [await _again(ask, CallId(row["id"])) for row in rows]
    return len(rows), tuple(one for one in changed if one is not None)


async def _again(ask: Ask, call_id: CallId) -> NewAmounts | None:
    """One call's amounts by the present plan; None where nothing differs."""
    account_id = ask.who.account_id
    call, _ = await stored_call(ask.app, account_id, call_id)
    plan = ask.app.catalog.plan(account_id, call.campaign_id)
    history: tuple[PastCall, ...] = ()
    if call.caller is not None:
        async with ask.app.db.transaction() as tx:
            history = (await calls.history(tx, account_id, call.caller, apart_from=call_id)).calls
    rating = None if plan is None else rate_again(call, plan, history, at=ask.now)
    if rating is None:
        return None
    amounts = call.amounts
    if (rating.revenue, rating.payout) == (amounts.revenue, amounts.payout):
        return None
    return NewAmounts(
        call_id=call_id,
        old_revenue=amounts.revenue,
        old_payout=amounts.payout,
        new_revenue=rating.revenue,
        new_payout=rating.payout,
    )


def _preview(looked_at: int, changed: tuple[NewAmounts, ...]) -> Preview:
    return Preview(
        looked_at=looked_at,
        revenue_difference=sum((one.new_revenue - one.old_revenue for one in changed), start=ZERO),
        payout_difference=sum((one.new_payout - one.old_payout for one in changed), start=ZERO),
        calls=changed,
    )


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
        query=RerateQuery,
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
