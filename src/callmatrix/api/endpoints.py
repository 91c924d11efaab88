"""What an RTB endpoint has beside its document: its key, its requests, and what became of them."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec

from callmatrix.api.access import Principal
from callmatrix.api.config import Note, by_of
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import Cursor, IdText, Instant, Limit, Page, cursor_of, is_full, place_of
from callmatrix.api.problems import invalid
from callmatrix.api.routing import present_plan
from callmatrix.core import phone
from callmatrix.core.campaign import Endpoint
from callmatrix.core.documents import decode
from callmatrix.core.errors import Problem
from callmatrix.core.ids import EndpointId
from callmatrix.core.money import Money
from callmatrix.core.rtb import REFUSALS, BidRequest, RtbCode, endpoint_warnings
from callmatrix.store import catalog, rtb, rtb_keys
from callmatrix.store.db import Row
from callmatrix.store.rtb import BidState

DEFAULT_LIMIT: Final = 50
KEY_PREFIX: Final = "rtbkey_"
MAX_FORMER_S: Final = 604_800
DEFAULT_RANGE: Final = timedelta(days=1)
MAX_RANGE: Final = timedelta(days=92)
_NOT_CALLS: Final = ("bid", "repeat", "call")


class KeyBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new key for the endpoint. The one before opens it for `former_s` more seconds, so that a seller can
    change over; 0 shuts it at once."""

    former_s: Annotated[int, msgspec.Meta(ge=0, le=MAX_FORMER_S)] = 0
    note: Note = ""


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoint's key, shown now and never again, and the address at which bids are asked for with it."""

    endpoint_id: str
    key: str
    url: str
    former_until: Instant | None


class BidsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests to list, newest first: `since <= asked_at < until`. `code` is why there was no bid."""

    cursor: Cursor | None = None
    limit: Limit = DEFAULT_LIMIT
    since: Instant | None = None
    until: Instant | None = None
    endpoint_id: IdText | None = None
    publisher_id: IdText | None = None
    state: BidState | None = None
    code: RtbCode | None = None
    caller: Annotated[str, msgspec.Meta(pattern=r"^\+[1-9][0-9]{6,14}$")] | None = None


class ToldBid(msgspec.Struct, frozen=True, kw_only=True):
    """One request: the bid that it got and what became of it, or why it got none. Publishers see their own
    ones, without `revenue` (what we expect to earn), `offer_id`, `detail`, and `lead_id`, by which its
    auctions are kept."""

    id: str
    endpoint_id: str
    campaign_id: str
    publisher_id: str
    asked_at: Instant
    state: BidState
    code: str
    detail: str
    caller: str | None
    request: BidRequest
    repeats: int
    amount: Money | None
    min_s: int | None
    revenue: Money | None
    offer_id: str | None
    hold: Literal["none", "soft", "hard"] | None
    expires_at: Instant | None
    number: str | None
    lead_id: str | None
    call_id: str | None
    used_at: Instant | None


class StatisticsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which clock hours to count; by default those of the last day."""

    since: Instant | None = None
    until: Instant | None = None


class Refusals(msgspec.Struct, frozen=True, kw_only=True):
    """How often one code was told; `number` is Ringba's, None for the refusal of a call."""

    code: str
    count: int
    number: int | None


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an endpoint's requests in a range: `requests` are all of them, `bids` those that got a
    new bid, `repeats` those that got theirs once more. `calls` answered a bid; `calls_refused` did not.
    `bid_amount` is the sum of the bids asked for in the range, `used_amount` of those that a call used."""

    endpoint_id: str
    since: Instant
    until: Instant
    requests: int
    bids: int
    repeats: int
    refused: tuple[Refusals, ...]
    calls: int
    calls_refused: tuple[Refusals, ...]
    bid_amount: Money
    used_amount: Money
    open_bids: int
    key_changed_at: Instant | None


async def set_key(ask: Ask) -> Reply:
    """A new key, shown once."""
    given = ask.given(KeyBody)
    endpoint_id = EndpointId(ask.path["id"])
    key = KEY_PREFIX + ask.app.world.token()
    former_until = ask.now + timedelta(seconds=given.former_s) if given.former_s else None
    async with ask.app.db.transaction() as tx:
        await rtb_keys.set_key(
            tx,
            ask.who.account_id,
            endpoint_id,
            key,
            former_until=former_until,
            by=by_of(ask, given.note),
        )
    url = f"{ask.app.settings.public_url.rstrip('/')}/rtb/{endpoint_id}.json?key={key}"
    made = NewKey(endpoint_id=endpoint_id, key=key, url=url, former_until=former_until)
    return Reply(value=made, status=201)


async def list_bids(ask: Ask) -> Reply:
    """Requests and bids, newest first."""
    query, who = ask.asked(BidsQuery), ask.who
    publisher_id = query.publisher_id
    if not who.is_staff:
        if who.publisher_id is None:
            return Reply(value=Page(items=()))
        publisher_id = who.publisher_id
    async with ask.app.db.transaction() as tx:
        found = await rtb.page(
            tx,
            who.account_id,
            endpoint_id=query.endpoint_id,
            publisher_id=publisher_id,
            state=query.state,
            code=query.code,
            caller=query.caller,
            since=query.since,
            until=query.until,
            after=place_of(query.cursor),
            at=ask.now,
            limit=query.limit,
        )
    last = found[-1] if is_full(found, query.limit) else None
    cursor = None if last is None else cursor_of(last["asked_at"].isoformat(), last["id"])
    return Reply(value=Page(items=tuple(_told(row, who) for row in found), next_cursor=cursor))


async def read_statistics(ask: Ask) -> Reply:
    """What became of an endpoint's requests."""
    query, endpoint_id = ask.asked(StatisticsQuery), EndpointId(ask.path["id"])
    until = query.until or ask.now
    since = query.since or until - DEFAULT_RANGE
    if not timedelta(0) < until - since <= MAX_RANGE:
        raise invalid(
            "since", "It is not before `until`, or too long before", f"Ask for {MAX_RANGE.days} days"
        )
    async with ask.app.db.transaction() as tx:
        await catalog.get(tx, ask.who.account_id, Endpoint, endpoint_id)
        counts = await rtb.tallies(tx, ask.who.account_id, endpoint_id, since=since, until=until)
        totals = await rtb.totals(tx, ask.who.account_id, endpoint_id, since=since, until=until, at=ask.now)
        keys = await rtb_keys.keys_of(tx, ask.who.account_id, [endpoint_id])
    return Reply(value=_statistics(endpoint_id, since, until, counts, totals, keys.get(endpoint_id)))


async def list_warnings(ask: Ask) -> Reply:
    """The warnings of an endpoint as its campaign's plan stands."""
    async with ask.app.db.transaction() as tx:
        stored = await catalog.get(tx, ask.who.account_id, Endpoint, ask.path["id"])
    plan = await present_plan(ask, stored.document.campaign_id)
    return Reply(value=Page(items=() if plan is None else endpoint_warnings(stored.document, plan)))


def _statistics(
    endpoint_id: str,
    since: datetime,
    until: datetime,
    counts: dict[str, int],
    totals: Row,
    key: rtb_keys.EndpointKey | None,
) -> Statistics:
    asked = {code: count for code, count in counts.items() if code in REFUSALS}
    calls = {code: n for code, n in counts.items() if code not in REFUSALS and code not in _NOT_CALLS}
    bids, repeats = counts.get("bid", 0), counts.get("repeat", 0)
    return Statistics(
        endpoint_id=endpoint_id,
        since=since,
        until=until,
        requests=bids + repeats + sum(asked.values()),
        bids=bids,
        repeats=repeats,
        refused=tuple(
            Refusals(code=code, count=count, number=REFUSALS[msgspec.convert(code, RtbCode)].number)
            for code, count in asked.items()
        ),
        calls=counts.get("call", 0),
        calls_refused=tuple(Refusals(code=code, count=n, number=None) for code, n in calls.items()),
        bid_amount=Money(totals["bid_micros"]),
        used_amount=Money(totals["used_micros"]),
        open_bids=totals["open"],
        key_changed_at=None if key is None else key.changed_at,
    )


def _told(row: Row, who: Principal) -> ToldBid:
    """A row as `who` may see it: callers masked, and what we earn kept to ourselves."""
    staff = who.is_staff
    request = decode(row["request"], BidRequest)
    caller = row["caller"]
    if not staff and caller is not None:
        caller = phone.mask(caller)
        request = msgspec.structs.replace(request, caller=caller)
    micros = row["amount_micros"]
    return ToldBid(
        id=row["id"],
        endpoint_id=row["endpoint_id"],
        campaign_id=row["campaign_id"],
        publisher_id=row["publisher_id"],
        asked_at=row["asked_at"],
        state=row["state"],
        code=row["code"],
        detail=row["detail"] if staff else "",
        caller=caller,
        request=request,
        repeats=row["repeats"],
        amount=None if micros is None else Money(micros),
        min_s=row["min_s"],
        revenue=Money(row["revenue_micros"]) if staff and micros is not None else None,
        offer_id=row["offer_id"] if staff else None,
        hold=row["hold"],
        expires_at=row["expires_at"],
        number=row["number"],
        lead_id=row["call_id"] if staff else None,
        call_id=row["call_id"] if row["used_at"] is not None else None,
        used_at=row["used_at"],
    )


_TAG: Final = "endpoints"

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/api/endpoints/{id}/key",
        name="set_endpoint_key",
        tag=_TAG,
        summary="A new key for the sellers of an endpoint, shown once",
        permission="change_config",
        body=KeyBody,
        returns=NewKey,
        status=201,
        example=KeyBody(former_s=3_600, note="Yearly change"),
        secret=True,
        run=set_key,
    ),
    Operation(
        method="GET",
        path="/api/endpoints/{id}/statistics",
        name="read_endpoint_statistics",
        tag=_TAG,
        summary="Requests, bids, refusals by code, calls",
        permission="read_config",
        query=StatisticsQuery,
        returns=Statistics,
        run=read_statistics,
    ),
    Operation(
        method="GET",
        path="/api/endpoints/{id}/warnings",
        name="list_endpoint_warnings",
        tag=_TAG,
        summary="What the endpoint may go on with, but somebody should know",
        description="Bids owed before a buyer owes; fields that offers need and sellers need not send.",
        permission="read_config",
        returns=Page[Problem],
        run=list_warnings,
    ),
    Operation(
        method="GET",
        path="/api/rtb-bids",
        name="list_rtb_bids",
        tag=_TAG,
        summary="Requests for bids: what was bid, or why not, and the call that followed",
        permission="read_calls",
        query=BidsQuery,
        returns=Page[ToldBid],
        run=list_bids,
    ),
)
