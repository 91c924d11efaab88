"""Keeps the bids that we sell: a request is answered, and a bid used, at most once and in one round trip."""

from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from callmatrix.core.caps import Owner
from callmatrix.core.documents import decode, encode, from_plain
from callmatrix.core.ids import (
    AccountId,
    BidId,
    CallId,
    CampaignId,
    EndpointId,
    NumberId,
    OfferId,
    PublisherId,
)
from callmatrix.core.money import Money
from callmatrix.core.rtb import BidRequest, NotSoldCode, RtbCode, SoldBid
from callmatrix.store.caps import owner_key
from callmatrix.store.db import Row, Transaction

MAX_EXPIRED: Final = 5_000
MAX_DELETED: Final = 5_000
MAX_TALLIES: Final = 20_000
# The clocks of two processes may differ by so much.
SKEW: Final = timedelta(seconds=5)

BidState = Literal["open", "used", "expired", "refused"]


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The clock minute, hour and day of an instant, and how many requests each may have."""

    minute_at: datetime
    hour_at: datetime
    day_at: datetime
    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """A bid to be made; the number that is to be dialled is found when it is."""

    amount: Money
    min_s: int
    revenue: Money
    offer_id: OfferId
    plan_version: int
    hold: Literal["none", "soft", "hard"]
    hold_s: int
    expires_at: datetime
    sip_host: str
    sold: SoldBid


class Declined(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal to be kept; `detail` is for us."""

    code: RtbCode
    detail: str = ""


class Answering(msgspec.Struct, frozen=True, kw_only=True):
    """One request and what is to be answered; `answer` None where an open bid is to be repeated. `call_id` is
    that of the call to come, and of the auctions that were held for it."""

    bid_id: BidId
    call_id: CallId
    endpoint_id: EndpointId
    campaign_id: CampaignId
    publisher_id: PublisherId
    at: datetime
    request: BidRequest
    request_hash: bytes
    window: Window
    max_open: int
    numbers: tuple[tuple[NumberId, str], ...]
    answer: Offered | Declined | None


class KeptBid(msgspec.Struct, frozen=True, kw_only=True):
    """A bid as it stands."""

    id: BidId
    endpoint_id: EndpointId
    campaign_id: CampaignId
    publisher_id: PublisherId
    asked_at: datetime
    state: BidState
    caller: str | None
    amount_micros: int
    min_s: int
    revenue_micros: int
    offer_id: OfferId
    plan_version: int
    hold: Literal["none", "soft", "hard"]
    expires_at: datetime
    number_id: NumberId
    number: str
    sip_host: str
    sold: SoldBid
    call_id: CallId

    @property
    def amount(self) -> Money:
        """What the publisher is paid."""
        return Money(self.amount_micros)


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """The bid that answers a request; `repeated`: it was given before."""

    bid: KeptBid
    repeated: bool = False


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """The bid that was to be repeated is over: price the request anew."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is known before a request is priced: whether the same one has an open bid, whether the requests of
    a window are used up, whether a cap of its publisher is, and what the publisher's caps leave to be paid
    (None: any amount)."""

    open: bool
    limited: bool
    capped: bool
    payout_left: Money | None


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """How many more calls an offer's limits let through (None: any number), its open bids, and how many bids
    and calls the endpoint has had."""

    room: int | None
    open_bids: int
    bids: int
    calls: int


async def standing(
    tx: Transaction,
    account_id: AccountId,
    endpoint_id: EndpointId,
    *,
    request_hash: bytes,
    publishers: tuple[Owner, ...],
    window: Window,
    at: datetime,
) -> Standing:
    """A look that changes nothing; `answer` judges again."""
    row = await tx.fetchrow(
        "select exists (select from rtb_bid where account_id = $1 and endpoint_id = $2 and request_hash = $3"
        " and state = 'open' and expires_at > $4) as open, coalesce((select"
        " (g.minute_at >= $5 and g.minute_count >= $8) or (g.hour_at >= $6 and g.hour_count >= $9)"
        " or (g.day_at >= $7 and g.day_count >= $10)"
        " from rtb_gate g where g.account_id = $1 and g.endpoint_id = $2), false) as limited,"
        " exists (select from cap_owner o where o.account_id = $1 and o.owner = any($11)"
        " and o.live >= o.concurrency) or exists (select from cap_window w where w.account_id = $1"
        " and w.owner = any($11) and w.ends_at > $4 and w.starts_at <= $4 and w.used >= w.limit_amount)"
        " as capped, (select min(w.limit_amount - w.used) from cap_window w where w.account_id = $1"
        " and w.owner = any($11) and w.ends_at > $4 and w.starts_at <= $4 and w.metric = 'payout')"
        " as payout_left",
        account_id,
        endpoint_id,
        request_hash,
        at,
        window.minute_at,
        window.hour_at,
        window.day_at,
        window.per_minute,
        window.per_hour,
        window.per_day,
        [owner_key(owner) for owner in publishers],
    )
    assert row is not None
    left = row["payout_left"]
    return Standing(
        open=row["open"],
        limited=row["limited"],
        capped=row["capped"],
        payout_left=None if left is None else Money(left),
    )


async def answer(tx: Transaction, account_id: AccountId, asked: Answering) -> Made | RtbCode | Gone:
    """Answer a request, durably and in one round trip; it is counted, and of its repeats at any time, in any
    process, only one makes a bid. A code: refused, also where a limit was met meanwhile."""
    head: dict[str, Any] = {
        "endpoint_id": asked.endpoint_id,
        "at": asked.at,
        "max_open": asked.max_open,
        "hash": asked.request_hash.hex(),
        "caller": asked.request.caller,
        "numbers": [
            {"id": number_id, "number": number, "place": place}
            for place, (number_id, number) in enumerate(asked.numbers)
        ],
        **{name: getattr(asked.window, name) for name in Window.__struct_fields__},
    }
    if asked.answer is not None:
        head["row"] = _row(asked, asked.answer)
    told = decode(await tx.fetchval("select rtb_answer($1, $2)", account_id, encode(head)), dict[str, Any])
    match told["outcome"]:
        case "gone":
            return Gone()
        case "refused":
            return msgspec.convert(told["code"], RtbCode)  # type: ignore[no-any-return]
        case _:
            return Made(bid=from_plain(told["bid"], KeptBid), repeated=told["outcome"] == "repeat")


async def use(
    tx: Transaction,
    account_id: AccountId,
    endpoint_id: EndpointId,
    *,
    number_id: NumberId,
    caller: str | None,
    at: datetime,
    connection_id: str,
    carrier_ref: str,
) -> KeptBid | NotSoldCode:
    """The bid that a call answers, used by it from now on; or why there is none. Idempotent by the carrier's
    reference."""
    told = decode(
        await tx.fetchval(
            "select rtb_use($1, $2, $3, $4, $5, $6, $7, $8)",
            account_id,
            endpoint_id,
            number_id,
            caller,
            at,
            connection_id,
            carrier_ref,
            SKEW,
        ),
        dict[str, Any],
    )
    if "code" in told:
        return msgspec.convert(told["code"], NotSoldCode)  # type: ignore[no-any-return]
    return from_plain(told["bid"], KeptBid)


async def room(
    tx: Transaction,
    account_id: AccountId,
    endpoint_id: EndpointId,
    *,
    owners: tuple[Owner, ...],
    offer_id: OfferId,
    at: datetime,
    since: datetime,
) -> Room:
    """What an endpoint that overbooks must know of an offer: what its owners' limits leave by now, and what
    became of the bids given `since`."""
    row = await tx.fetchrow(
        "select least("
        " (select min(o.concurrency - o.live) from cap_owner o"
        " where o.account_id = $1 and o.owner = any($3)), (select min(w.limit_amount - w.used)"
        " from cap_window w where w.account_id = $1 and w.owner = any($3)"
        " and w.ends_at > $5 and w.starts_at <= $5 and w.metric in ('attempt', 'connect', 'conversion'))"
        ") as room, (select count(*) from rtb_bid b where b.account_id = $1 and b.offer_id = $4"
        " and b.state = 'open' and b.expires_at > $5) as open_bids,"
        " (select coalesce(sum(t.count) filter (where t.code = 'bid'), 0)::bigint from rtb_tally t"
        " where t.account_id = $1 and t.endpoint_id = $2 and t.hour_at >= $6) as bids,"
        " (select coalesce(sum(t.count) filter (where t.code = 'call'), 0)::bigint from rtb_tally t"
        " where t.account_id = $1 and t.endpoint_id = $2 and t.hour_at >= $6) as calls",
        account_id,
        endpoint_id,
        [owner_key(owner) for owner in owners],
        offer_id,
        at,
        since,
    )
    assert row is not None
    return Room(room=row["room"], open_bids=row["open_bids"], bids=row["bids"], calls=row["calls"])


async def page(
    tx: Transaction,
    account_id: AccountId,
    *,
    endpoint_id: str | None = None,
    publisher_id: str | None = None,
    state: BidState | None = None,
    code: str | None = None,
    caller: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: tuple[datetime, str] | None = None,
    at: datetime,
    limit: int,
) -> list[Row]:
    """Requests and bids, newest first, older than `after` (instant and id). One that has expired by `at` is
    told as expired."""
    rows: list[Row] = await tx.fetch(
        "select * from (select id, endpoint_id, campaign_id, publisher_id, asked_at, case when state = 'open'"
        " and expires_at <= $9 then 'expired' else state end as state, code, detail, caller, request,"
        " repeats, amount_micros, min_s, revenue_micros, offer_id, hold, expires_at, number, call_id, used_at"
        " from rtb_bid where account_id = $1 and ($2::text is null or endpoint_id = $2)"
        " and ($3::text is null or publisher_id = $3) and ($4::text is null or code = $4)"
        " and ($5::text is null or caller = $5) and ($6::timestamptz is null or asked_at >= $6)"
        " and ($7::timestamptz is null or asked_at < $7)) b where ($8::text is null or state = $8)"
        " and ($10::timestamptz is null or (asked_at, id) < ($10, $11))"
        " order by asked_at desc, id desc limit $12",
        account_id,
        endpoint_id,
        publisher_id,
        code,
        caller,
        since,
        until,
        state,
        at,
        None if after is None else after[0],
        None if after is None else after[1],
        limit,
    )
    return rows


async def tallies(
    tx: Transaction, account_id: AccountId, endpoint_id: str, *, since: datetime, until: datetime
) -> dict[str, int]:
    """What became of an endpoint's requests and calls in the clock hours that begin in a range, by code."""
    rows = await tx.fetch(
        "select code, sum(count)::bigint as count from rtb_tally where account_id = $1 and endpoint_id = $2"
        f" and hour_at >= $3 and hour_at < $4 group by code order by code limit {MAX_TALLIES}",
        account_id,
        endpoint_id,
        since,
        until,
    )
    return {row["code"]: row["count"] for row in rows}


async def totals(
    tx: Transaction,
    account_id: AccountId,
    endpoint_id: str,
    *,
    since: datetime,
    until: datetime,
    at: datetime,
) -> Row:
    """Of the bids asked for in a range: the sum bid and of those used, and how many are open at `at`."""
    row = await tx.fetchrow(
        "select coalesce(sum(amount_micros), 0)::bigint as bid_micros,"
        " coalesce(sum(amount_micros) filter (where used_at is not null), 0)::bigint as used_micros,"
        " count(*) filter (where state = 'open' and expires_at > $5) as open from rtb_bid"
        " where account_id = $1 and endpoint_id = $2 and asked_at >= $3 and asked_at < $4"
        " and state <> 'refused'",
        account_id,
        endpoint_id,
        since,
        until,
        at,
    )
    assert row is not None
    return row


async def expire(tx: Transaction, *, now: datetime) -> None:
    """Close bids whose time is over; nothing hangs on it but what lists and counts say."""
    await tx.execute(
        "update rtb_bid set state = 'expired' where ctid in (select ctid from rtb_bid"
        f" where state = 'open' and expires_at <= $1 limit {MAX_EXPIRED} for update skip locked)",
        now,
    )


async def forget(tx: Transaction, *, refused_before: datetime, expired_before: datetime) -> None:
    """Delete refusals and unused bids asked for before these instants; bids that were used stay."""
    for state, before in (("refused", refused_before), ("expired", expired_before)):
        await tx.execute(
            "delete from rtb_bid where ctid in (select ctid from rtb_bid where state = $1 and asked_at < $2"
            f" limit {MAX_DELETED})",
            state,
            before,
        )


def _row(asked: Answering, answer: Offered | Declined) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": asked.bid_id,
        "campaign_id": asked.campaign_id,
        "publisher_id": asked.publisher_id,
        "caller": asked.request.caller,
        "request": asked.request,
        "call_id": asked.call_id,
    }
    if isinstance(answer, Declined):
        return row | {"state": "refused", "code": answer.code, "detail": answer.detail}
    return row | {
        "state": "open",
        "code": "",
        "detail": "",
        "amount_micros": answer.amount.micros,
        "min_s": answer.min_s,
        "revenue_micros": answer.revenue.micros,
        "offer_id": answer.offer_id,
        "plan_version": answer.plan_version,
        "hold": answer.hold,
        "hold_s": answer.hold_s,
        "expires_at": answer.expires_at,
        "sip_host": answer.sip_host,
        "sold": answer.sold,
    }
