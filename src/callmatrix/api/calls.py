"""Calls: searching them, telling one whole, and saying later what came of it."""

import csv
import io
from collections.abc import Iterable
from typing import Annotated, Final, Literal

import msgspec

from callmatrix.api.access import Principal
from callmatrix.api.call_story import own_attempts, told_attempts, told_money
from callmatrix.api.call_story import timeline as told_timeline
from callmatrix.api.call_views import CallDetail, CallMoney, CallSummary, summary_of
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import Cursor, IdText, Instant, Limit, Page, PageQuery, cursor_of, is_full, place_of
from callmatrix.api.problems import invalid, not_found
from callmatrix.core.call import events
from callmatrix.core.call.value import MAX_ADJUSTMENTS, Call
from callmatrix.core.errors import Problem, Refused
from callmatrix.core.ids import AccountId, CallId
from callmatrix.core.money import ZERO, Money
from callmatrix.core.phone import BadPhone, parse_e164
from callmatrix.core.plan import CompiledPlan
from callmatrix.live import calls as live_calls
from callmatrix.live.app import App
from callmatrix.store import audit, books, call_search, calls, unknown
from callmatrix.store.audit import Act, By
from callmatrix.store.call_search import CallFilter, CallStatus, Place

MAX_REASON: Final = 500
MAX_DISPOSITION: Final = 200
DEFAULT_LIMIT: Final = 50
CONVERSION_DAYS: Final = 90
CSV: Final = "text/csv"

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_REASON)]
Phone = Annotated[str, msgspec.Meta(min_length=3, max_length=64)]


class CallsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which calls to list, newest first. `since <= arrived_at < until`; `tag` is `key` or `key=value`."""

    cursor: Cursor | None = None
    limit: Limit = DEFAULT_LIMIT
    since: Instant | None = None
    until: Instant | None = None
    campaign_id: IdText | None = None
    buyer_id: IdText | None = None
    publisher_id: IdText | None = None
    offer_id: IdText | None = None
    caller: Phone | None = None
    status: CallStatus | None = None
    tag: Annotated[str, msgspec.Meta(min_length=1, max_length=300)] | None = None
    end_reason: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] | None = None
    test: bool | None = None


class UnknownCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call to a number that nobody owns."""

    connection_id: str
    carrier_ref: str
    dialed: str
    caller: str | None
    at: Instant


class AdjustmentBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give back to the buyer and take back from the publisher, in full or part, with a reason."""

    reason: Reason
    credit: Money = ZERO
    clawback: Money = ZERO


class DispositionBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came of the call, in the operator's own words."""

    disposition: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_DISPOSITION)]


class Conversion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which call converted (or not): by its id, or by the caller (their latest connected call before `at`).

    `amount` replaces the bid where the price is a bid.
    """

    call_id: IdText | None = None
    caller: Phone | None = None
    at: Instant | None = None
    converted: bool = True
    amount: Money | None = None
    by: Literal["postback", "manual"] = "postback"


class ConversionTaken(msgspec.Struct, frozen=True, kw_only=True):
    """The call that was meant, and how it stands now. `changed` is False where the report changed nothing."""

    call_id: str
    changed: bool
    converted: bool
    revenue: Money
    revenue_code: str


async def list_calls(ask: Ask) -> Reply:
    """A page of calls, or all of them as CSV."""
    query, who = ask.asked(CallsQuery), ask.who
    wanted = filter_of(query, who)
    if CSV in ask.accept:
        async with ask.app.db.transaction() as tx:
            shown = [summary_of(row, who) async for row in call_search.every(tx, who.account_id, wanted)]
        headers = {"Content-Disposition": 'attachment; filename="calls.csv"'}
        return Reply(raw=csv_of(shown), media_type=CSV, headers=headers)
    place = place_of(query.cursor)
    async with ask.app.db.transaction() as tx:
        rows = await call_search.search(
            tx,
            who.account_id,
            wanted,
            after=None if place is None else Place(at=place[0], id=place[1]),
            limit=query.limit,
        )
    last = rows[-1] if is_full(rows, query.limit) else None
    cursor = None if last is None else cursor_of(last["arrived_at"].isoformat(), last["id"])
    return Reply(value=Page(items=tuple(summary_of(row, who) for row in rows), next_cursor=cursor))


def filter_of(query: CallsQuery, who: Principal) -> CallFilter:
    """What was asked, narrowed to what `who` may see. Nobody searches by what is masked for them."""
    caller = None if query.caller is None else _e164(query.caller, "caller")
    if caller is not None and not who.is_staff:
        raise Refused("not_allowed", f"The role {who.role} may not search by caller")
    own_buyer = who.buyer_id or "" if who.role == "buyer" else query.buyer_id
    own_publisher = who.publisher_id or "" if who.role == "publisher" else query.publisher_id
    hidden = (query.offer_id, query.buyer_id) if who.role == "publisher" else ()
    if who.role == "buyer":
        hidden = (query.publisher_id, query.tag)
    if any(value is not None for value in hidden):
        raise Refused("not_allowed", f"The role {who.role} may not search by that")
    return CallFilter(
        since=query.since,
        until=query.until,
        campaign_id=query.campaign_id,
        buyer_id=own_buyer,
        publisher_id=own_publisher,
        offer_id=query.offer_id,
        caller=caller,
        status=query.status,
        tag=query.tag,
        end_reason=query.end_reason,
        test=query.test,
    )


def csv_of(shown: Iterable[CallSummary]) -> bytes:
    """Calls as CSV: a header, then a row each; texts from outside cannot become formulas."""
    text = io.StringIO()
    writer = csv.writer(text)
    names = CallSummary.__struct_fields__
    writer.writerow(names)
    for call in shown:
        writer.writerow([_cell(name, getattr(call, name)) for name in names])
    return text.getvalue().encode()


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return _inert("; ".join(f"{key}={inner}" for key, inner in value.items()))
    told = str(msgspec.to_builtins(value)) if name.endswith("_at") else str(value)
    return _inert(told) if name in ("disposition", "end_reason", "blocked", "review") else told


def _inert(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


async def read_call(ask: Ask) -> Reply:
    """One call, whole."""
    who, call_id = ask.who, CallId(ask.path["id"])
    async with ask.app.db.transaction() as tx:
        row = await call_search.one(tx, who.account_id, call_id)
        if row is None or not is_own(row["buyer_id"], row["publisher_id"], who):
            raise not_found("call", call_id)
        stored = await call_search.events_of(tx, who.account_id, call_id) if who.is_staff else ()
        booked = await books.of_call(tx, who.account_id, call_id) if who.is_staff else ()
    summary = summary_of(row, who)
    call, plan = await stored_call(ask.app, who.account_id, call_id)
    if not who.is_staff:
        return Reply(value=_outside(summary, call, plan, who))
    moments, replays = told_timeline(call, stored, plan)
    detail = CallDetail(
        call=summary,
        campaign=plan.campaign.name,
        plan_version=call.plan_version,
        geo=call.geo,
        attestation=call.attestation,
        fields=call.fields,
        timeline=moments,
        attempts=told_attempts(call, plan),
        money=told_money(call, booked),
        voicemail_url=call.voicemail_url,
        replays=replays,
    )
    return Reply(value=detail)


async def stored_call(app: App, account_id: AccountId, call_id: CallId) -> tuple[Call, CompiledPlan]:
    """A call as last saved, whoever saved it, and the plan that it is pinned to."""
    async with app.db.transaction() as tx:
        call = await calls.load(tx, account_id, call_id)
    if call is None:
        raise not_found("call", call_id)
    return call, await app.catalog.pinned(account_id, call.campaign_id, call.plan_version)


def is_own(buyer_id: str | None, publisher_id: str | None, who: Principal) -> bool:
    """Whether a call is shown to `who`."""
    if who.role == "buyer":
        return buyer_id is not None and buyer_id == who.buyer_id
    if who.role == "publisher":
        return publisher_id is not None and publisher_id == who.publisher_id
    return True


def _outside(summary: CallSummary, call: Call, plan: CompiledPlan, who: Principal) -> CallDetail:
    """What buyers and publishers see of their call."""
    return CallDetail(
        call=summary,
        campaign=plan.campaign.name,
        plan_version=call.plan_version,
        geo=None,
        attestation="",
        fields={},
        timeline=(),
        attempts=own_attempts(call, plan, who.buyer_id),
        money=None,
        voicemail_url="",
        replays=None,
    )


async def adjust_call(ask: Ask) -> Reply:
    """Credit the buyer and claw back from the publisher, never more than is left."""
    given, who, call_id = ask.given(AdjustmentBody), ask.who, CallId(ask.path["id"])
    if given.credit < ZERO or given.clawback < ZERO or not (given.credit or given.clawback):
        raise invalid("credit", "Nothing is given back", "Send a positive credit, clawback, or both")
    adjustment_id = ask.new_id("adj")
    call, _ = await stored_call(ask.app, who.account_id, call_id)
    if not _is_adjusted(call, adjustment_id):
        _refuse_too_much(call, given)
        event = events.Adjusted(
            at=ask.now,
            credit=given.credit,
            clawback=given.clawback,
            reason=given.reason,
            by=who.name,
            id=adjustment_id,
        )
        call = await live_calls.apply(ask.app, who.account_id, call_id, event)
    if not _is_adjusted(call, adjustment_id):  # somebody else was first
        _refuse_too_much(call, given)
        raise Refused("conflict", f"{call_id} was adjusted {MAX_ADJUSTMENTS} times, the most there is")
    details = {"credit": str(given.credit), "clawback": str(given.clawback), "adjustment_id": adjustment_id}
    act = Act(what="adjust", kind="call", target_id=call_id, details=details)
    async with ask.app.db.transaction() as tx:
        by = By(who=who.id, at=ask.now, note=given.reason)
        await audit.record_once(tx, who.account_id, act, by=by)
        booked = await books.of_call(tx, who.account_id, call_id)
    return Reply(value=told_money(call, booked))


def _is_adjusted(call: Call, adjustment_id: str) -> bool:
    return any(one.id == adjustment_id for one in call.adjustments)


def _refuse_too_much(call: Call, given: AdjustmentBody) -> None:
    amounts = call.amounts
    left = {"credit": amounts.revenue - amounts.credited, "clawback": amounts.payout - amounts.clawed_back}
    too_much = tuple(
        Problem(field=field, problem=f"Only {most} is left", remedy=f"Send at most {most}")
        for field, most in left.items()
        if getattr(given, field) > most
    )
    if too_much:
        raise Refused("invalid", "More than is left of what was booked", too_much)


async def dispose_call(ask: Ask) -> Reply:
    """Note what came of the call."""
    given, who, call_id = ask.given(DispositionBody), ask.who, CallId(ask.path["id"])
    event = events.Disposed(at=ask.now, disposition=given.disposition, by=who.name)
    await live_calls.apply(ask.app, who.account_id, call_id, event)
    async with ask.app.db.transaction() as tx:
        act = Act(what="dispose", kind="call", target_id=call_id, details={"disposition": given.disposition})
        await audit.record(tx, who.account_id, act, by=By(who=who.id, at=ask.now))
        row = await call_search.one(tx, who.account_id, call_id)
    assert row is not None
    return Reply(value=summary_of(row, who))


async def report_conversion(ask: Ask) -> Reply:
    """The buyer's side says whether a call converted."""
    given, who = ask.given(Conversion), ask.who
    if given.amount is not None and given.amount < ZERO:
        raise invalid("amount", "It is negative", "Send zero or more")
    if given.by == "manual" and who.role == "buyer":
        raise Refused("not_allowed", "Buyers report by postback; manual reports are the operator's")
    call_id = await _meant(ask, given)
    before, _ = await stored_call(ask.app, who.account_id, call_id)
    event = events.ConversionReported(at=ask.now, by=given.by, converted=given.converted, amount=given.amount)
    after = await live_calls.apply(ask.app, who.account_id, call_id, event)
    async with ask.app.db.transaction() as tx:
        details = {"converted": str(given.converted).lower(), "by": given.by}
        act = Act(what="report_conversion", kind="call", target_id=call_id, details=details)
        await audit.record(tx, who.account_id, act, by=By(who=who.id, at=ask.now))
    taken = ConversionTaken(
        call_id=call_id,
        changed=after.said != before.said,
        converted=after.converted_at is not None,
        revenue=after.amounts.revenue - after.amounts.credited,
        revenue_code=after.rating.revenue_reason.code if after.rating is not None else "not_connected",
    )
    return Reply(value=taken)


async def _meant(ask: Ask, given: Conversion) -> CallId:
    """The call that a conversion is about."""
    if (given.call_id is None) == (given.caller is None):
        raise invalid("call_id", "It is not clear which call is meant", "Send call_id, or caller (and at)")
    async with ask.app.db.transaction() as tx:
        if given.call_id is not None:
            row = await call_search.one(tx, ask.who.account_id, CallId(given.call_id))
        else:
            assert given.caller is not None
            row = await call_search.latest_of_caller(
                tx,
                ask.who.account_id,
                _e164(given.caller, "caller"),
                before=given.at or ask.now,
                days=CONVERSION_DAYS,
            )
    if row is None or not is_own(row["buyer_id"], row["publisher_id"], ask.who):
        raise not_found("call", given.call_id or "of this caller")
    return CallId(row["id"])


async def list_unknown_calls(ask: Ask) -> Reply:
    """Calls to numbers that nobody owns."""
    query = ask.asked(PageQuery)
    async with ask.app.db.transaction() as tx:
        rows = await unknown.latest(tx, ask.who.account_id, after=place_of(query.cursor), limit=query.limit)
    found = tuple(UnknownCall(**dict(row)) for row in rows)
    last = found[-1] if is_full(found, query.limit) else None
    cursor = None if last is None else cursor_of(last.at.isoformat(), last.carrier_ref)
    return Reply(value=Page(items=found, next_cursor=cursor))


def _e164(text: str, field: str) -> str:
    read = parse_e164(text)
    if isinstance(read, BadPhone):
        raise invalid(field, read.problem, "Send a number such as +14155550100")
    return read


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/calls",
        name="list_calls",
        tag="calls",
        summary="Search calls, newest first",
        description="With `Accept: text/csv` every match is exported as CSV, up to 100,000 calls.",
        permission="read_calls",
        query=CallsQuery,
        returns=Page[CallSummary],
        other_media=(CSV,),
        run=list_calls,
    ),
    Operation(
        method="GET",
        path="/api/calls/{id}",
        name="read_call",
        tag="calls",
        summary="One call: what happened step by step, and why",
        description=(
            "The timeline tells every event with what was decided; routing decisions show every offer, taken "
            "or refused, with the compared values; money shows the rating and every transaction."
        ),
        permission="read_calls",
        returns=CallDetail,
        run=read_call,
    ),
    Operation(
        method="POST",
        path="/api/calls/{id}/adjustments",
        name="adjust_call",
        tag="calls",
        summary="Credit the buyer, claw back from the publisher",
        permission="move_money",
        body=AdjustmentBody,
        returns=CallMoney,
        example=AdjustmentBody(reason="The caller dialled a wrong number", credit=Money.parse("12.50")),
        refusals=("conflict",),
        run=adjust_call,
    ),
    Operation(
        method="POST",
        path="/api/calls/{id}/disposition",
        name="dispose_call",
        tag="calls",
        summary="Note what came of the call",
        permission="change_calls",
        body=DispositionBody,
        returns=CallSummary,
        example=DispositionBody(disposition="Booked an appointment"),
        run=dispose_call,
    ),
    Operation(
        method="POST",
        path="/api/conversions",
        name="report_conversion",
        tag="calls",
        summary="Report a conversion of a call (the buyer's postback)",
        permission="report_conversions",
        body=Conversion,
        returns=ConversionTaken,
        example=Conversion(caller="+14155550100", amount=Money.parse("80.00")),
        refusals=("not_found",),
        run=report_conversion,
    ),
    Operation(
        method="GET",
        path="/api/unknown-calls",
        name="list_unknown_calls",
        tag="calls",
        summary="Calls to numbers that nobody owns",
        permission="read_config",
        query=PageQuery,
        returns=Page[UnknownCall],
        run=list_unknown_calls,
    ),
)
