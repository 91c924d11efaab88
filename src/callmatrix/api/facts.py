"""Figures: sums over many calls by what they have in common, and the caps that are nearly full."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec

from callmatrix.api.access import Principal
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import IdText, Instant, Page
from callmatrix.api.problems import invalid
from callmatrix.api.routing import OwnerCaps, told_caps
from callmatrix.core.campaign import Account
from callmatrix.core.caps import window_bounds
from callmatrix.core.errors import Refused
from callmatrix.core.geo import zone, zone_names
from callmatrix.core.money import Money
from callmatrix.store import caps, catalog, facts
from callmatrix.store.facts import DIMENSIONS, METRICS, MONEY, Dimension, FactQuestion, Metric

MAX_BACK_DAYS: Final = 800
MAX_RANGE_DAYS: Final = 800
MAX_NEAR: Final = 100
DEFAULT_GROUPS: Final = 200

Range = Literal["today", "yesterday", "last_7_days", "last_30_days", "this_month", "last_month"]
Names = Annotated[str, msgspec.Meta(pattern="^[a-z_]{1,20}(,[a-z_]{1,20}){0,20}$", max_length=300)]

# What a role is not told, of calls that are its own.
_HIDDEN_METRICS: Final[dict[str, tuple[Metric, ...]]] = {
    "buyer": ("paid", "payout", "cost", "profit"),
    "publisher": ("converted", "revenue", "cost", "profit"),
}
_HIDDEN_DIMENSIONS: Final[dict[str, tuple[Dimension, ...]]] = {
    "buyer": ("publisher_id", "number_id"),
    "publisher": ("buyer_id", "offer_id", "number_id"),
}


class FactsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which calls, by when they arrived: of a `range` of days in `zone` (the account's by default), as many
    days earlier as `back_days` says, up to the same time of day; or from `since` to before `until`.

    `metrics` and `by` are names, separated by commas. Test calls count nowhere.
    """

    metrics: Names = "received,connected"
    by: Names | None = None
    range: Range | None = None
    back_days: Annotated[int, msgspec.Meta(ge=0, le=MAX_BACK_DAYS)] = 0
    since: Instant | None = None
    until: Instant | None = None
    zone: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=facts.MAX_GROUPS)] = DEFAULT_GROUPS
    campaign_id: IdText | None = None
    publisher_id: IdText | None = None
    buyer_id: IdText | None = None
    offer_id: IdText | None = None
    number_id: IdText | None = None
    caller_state: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")] | None = None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The sums that were asked for, null where not. Revenue, payout and profit are what is left after
    credits and claw-backs; profit is revenue less payout and cost."""

    received: int | None = None
    connected: int | None = None
    converted: int | None = None
    paid: int | None = None
    blocked: int | None = None
    bridged_ms: int | None = None
    revenue: Money | None = None
    payout: Money | None = None
    cost: Money | None = None
    profit: Money | None = None


class FactsGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that have these values in common (null where they have none); times are where an hour, day or
    month begins, as instants."""

    by: dict[str, str | None]
    figures: Figures


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: its range as instants, the total of all calls in it, and the first of the groups."""

    since: datetime
    until: datetime
    zone: str
    total: Figures
    groups: tuple[FactsGroup, ...]
    group_count: int


class NearQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From which share of its limit on a cap is told."""

    percent: Annotated[int, msgspec.Meta(ge=1, le=100)] = 70


async def read_facts(ask: Ask) -> Reply:
    """Sum the calls that were asked for."""
    query, who = ask.asked(FactsQuery), ask.who
    metrics: Any = _named("metrics", query.metrics, METRICS)
    by: Any = _named("by", query.by, DIMENSIONS)
    if len(by) > facts.MAX_DIMENSIONS:
        raise invalid("by", "There are too many", f"Name at most {facts.MAX_DIMENSIONS}")
    where = _where(query, who)
    _refuse_hidden(who, metrics, (*by, *where))
    async with ask.app.db.transaction() as tx:
        account = (await catalog.get(tx, who.account_id, Account, who.account_id)).document
        time_zone = query.zone or account.time_zone
        if time_zone not in zone_names():
            raise invalid("zone", "It is not an IANA time zone", "Send a name such as America/New_York")
        since, until = bounds(query, now=ask.now, time_zone=time_zone)
        question = FactQuestion(
            since=since,
            until=until,
            zone=time_zone,
            metrics=metrics,
            by=by,
            where=where | _own(who),
            limit=query.limit,
        )
        answer = await facts.ask(tx, who.account_id, question)
    told = Facts(
        since=since,
        until=until,
        zone=time_zone,
        total=_figures(metrics, answer.total),
        groups=tuple(
            FactsGroup(by=_told_by(by, group.by), figures=_figures(metrics, group.sums))
            for group in (answer.groups if by else ())
        ),
        group_count=answer.group_count if by else 0,
    )
    return Reply(value=told)


def _named(field: str, text: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys((text or "").split(","))) if text else ()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise invalid(field, f"There is no {unknown[0]}", f"Name some of {', '.join(known)}")
    return names


def _where(query: FactsQuery, who: Principal) -> dict[Dimension, str]:
    return {name: value for name in facts.FILTERS if (value := getattr(query, name)) is not None}


def _own(who: Principal) -> dict[Dimension, str]:
    """Buyers and publishers sum their own calls, whatever they ask for."""
    match who.role:
        case "buyer":
            return {"buyer_id": who.buyer_id or ""}
        case "publisher":
            return {"publisher_id": who.publisher_id or ""}
        case _:
            return {}


def _refuse_hidden(who: Principal, metrics: tuple[Metric, ...], dimensions: tuple[Dimension, ...]) -> None:
    hidden = {*_HIDDEN_METRICS.get(who.role, ()), *_HIDDEN_DIMENSIONS.get(who.role, ())}
    asked = [name for name in (*metrics, *dimensions) if name in hidden]
    if asked:
        raise Refused("not_allowed", f"The role {who.role} is not told {asked[0]}")


def bounds(query: FactsQuery, *, now: datetime, time_zone: str) -> tuple[datetime, datetime]:
    """The instants of what was asked for. Days are the zone's, from midnight to midnight; `today` and
    `this_month` end now, and `back_days` earlier when the clock said the same."""
    if query.range is None:
        if query.since is None or query.until is None or query.since >= query.until:
            raise invalid("since", "The range is missing or empty", "Send range, or since and a later until")
        if query.until - query.since > timedelta(days=MAX_RANGE_DAYS):
            raise invalid("since", "The range is too long", f"Ask for at most {MAX_RANGE_DAYS} days")
        return query.since, query.until
    if query.since is not None or query.until is not None:
        raise invalid("range", "There are two ranges", "Send either range, or since and until")
    if query.back_days:
        wall = now.astimezone(zone(time_zone))
        now = (wall - timedelta(days=query.back_days)).astimezone(UTC)
    day, month = (_begins(window, now, time_zone) for window in ("day", "month"))
    match query.range:
        case "today":
            return day, now
        case "yesterday":
            return _days_before(day, 1, time_zone), day
        case "last_7_days":
            return _days_before(day, 7, time_zone), day
        case "last_30_days":
            return _days_before(day, 30, time_zone), day
        case "this_month":
            return month, now
        case "last_month":
            return _begins("month", month - timedelta(hours=1), time_zone), month


def _begins(window: Any, at: datetime, time_zone: str) -> datetime:
    return window_bounds(window, at=at, time_zone=time_zone, week_starts_on=0)[0]


def _days_before(day: datetime, days: int, time_zone: str) -> datetime:
    """The beginning of the day so many days earlier; noon is in every day, however long it is."""
    noon = day.astimezone(zone(time_zone)).replace(hour=12) - timedelta(days=days)
    return _begins("day", noon.astimezone(UTC), time_zone)


def _figures(metrics: tuple[Metric, ...], sums: tuple[int, ...]) -> Figures:
    told = {name: Money(value) if name in MONEY else value for name, value in zip(metrics, sums, strict=True)}
    return Figures(**told)  # type: ignore[arg-type]


def _told_by(by: tuple[Dimension, ...], values: tuple[str | datetime | None, ...]) -> dict[str, str | None]:
    return {
        name: value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if isinstance(value, datetime)
        else value
        for name, value in zip(by, values, strict=True)
    }


async def list_near_caps(ask: Ask) -> Reply:
    """Whose caps are nearly or wholly used."""
    share = ask.asked(NearQuery).percent
    async with ask.app.db.transaction() as tx:
        near = await caps.near(tx, ask.who.account_id, percent=share, now=ask.now, limit=MAX_NEAR)
        found = await caps.cap_use(tx, ask.who.account_id, near, now=ask.now)
    return Reply(value=Page(items=tuple(told_caps(one) for one in found)))


_TAG: Final = "figures"

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/facts",
        name="read_facts",
        tag=_TAG,
        summary="Sums over calls, by what they have in common",
        description=(
            f"`metrics`: some of {', '.join(METRICS)}. `by`: at most {facts.MAX_DIMENSIONS} of "
            f"{', '.join(DIMENSIONS)}. Ratios are for who asks to make: answer rate = connected ÷ received, "
            "conversion rate = converted ÷ connected."
        ),
        permission="read_calls",
        query=FactsQuery,
        returns=Facts,
        run=read_facts,
    ),
    Operation(
        method="GET",
        path="/api/caps/near",
        name="list_near_caps",
        tag=_TAG,
        summary="Whose caps are nearly or wholly used now",
        permission="read_config",
        query=NearQuery,
        returns=Page[OwnerCaps],
        run=list_near_caps,
    ),
)
