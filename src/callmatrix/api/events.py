"""What happens to calls and leads, as a stream of server-sent events that goes on where it broke off."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Final, get_args

import msgspec

from callmatrix.api.access import Principal
from callmatrix.api.call_views import CallSummary, summary_of
from callmatrix.api.lead_views import LeadSummary
from callmatrix.api.lead_views import summary_of as lead_summary_of
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import IdText
from callmatrix.api.problems import invalid
from callmatrix.core.call.events import Event
from callmatrix.core.documents import encode
from callmatrix.core.errors import Refused
from callmatrix.core.ids import BuyerId, CampaignId, PublisherId
from callmatrix.core.lead import State
from callmatrix.live.feed import Audience, Ended, Feed, Happened, Subscription
from callmatrix.store.outbox import (
    MAX_WATERMARK_CHARS,
    Foreign,
    LeadOutboxEvent,
    OutboxEvent,
    Watermark,
    parse_watermark,
)
from callmatrix.world import monotonic_s

EVENT_STREAM: Final = "text/event-stream"
HEARTBEAT_S: Final = 15.0
RETRY_MS: Final = 1_000
# Then a stream ends and the browser goes on without a gap, by a sign-in that may be over meanwhile.
MAX_STREAM_S: Final = 900.0
MAX_KINDS: Final = 30

Kinds = Annotated[
    str,
    msgspec.Meta(
        pattern="^[a-z_.]{1,40}(,[a-z_.]{1,40})*$", max_length=1_000, description="Kinds, separated by commas"
    ),
]


KINDS: Final = tuple(sorted(str(one.__struct_config__.tag) for one in get_args(Event)))
Kind = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(KINDS)})]
LEAD_KINDS: Final = tuple(f"lead.{state}" for state in (*sorted(set(get_args(State)) - {"new"}), "adjusted"))
LeadKind = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(LEAD_KINDS)})]


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events: of a campaign, of some kinds. `last_event_id` is for who can't send the header."""

    campaign_id: IdText | None = None
    kind: Kinds | None = None
    last_event_id: Annotated[str, msgspec.Meta(max_length=MAX_WATERMARK_CHARS)] | None = None


class CallEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="noun", tag="call"):
    """Something happened to a call. `id` orders all events and is what a stream goes on by; `call` is the
    call as it stands now, as lists show it to who listens."""

    id: str
    call_id: str
    version: int
    kind: Kind
    at: datetime
    campaign_id: str
    call: CallSummary


class LeadEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="noun", tag="lead"):
    """Something happened to a lead that came by form: `kind` is `lead.` and the state that it came to, or
    `lead.adjusted`; `lead` is the lead as it stands now, as lists show it to who listens."""

    id: str
    lead_id: str
    version: int
    kind: LeadKind
    at: datetime
    campaign_id: str
    lead: LeadSummary


class StreamReset(msgspec.Struct, frozen=True, kw_only=True):
    """Events are missing before this point: read the lists again. `history`: the database was replaced;
    `too_far`: more happened meanwhile than a stream repeats."""

    reason: str


async def stream_events(ask: Ask) -> Reply:
    """A stream from now on, or from the event that was seen last."""
    return begin(ask.app.feed, ask.asked(EventsQuery), ask.who, last_event_id=ask.last_event_id)


def begin(feed: Feed, query: EventsQuery, who: Principal, *, last_event_id: str) -> Reply:
    """The stream for `who`; `Refused` before it begins where the query or the role forbids it."""
    feed.refuse_when_full()
    audience = audience_of(query, who)
    after = resumed_at(last_event_id or query.last_event_id or "")
    chunks = stream(feed, who, audience, after=after)
    return Reply(stream=chunks, media_type=EVENT_STREAM, headers={"X-Accel-Buffering": "no"})


def audience_of(query: EventsQuery, who: Principal) -> Audience:
    """What was asked, narrowed to what `who` may see."""
    if (who.role == "buyer" and not who.buyer_id) or (who.role == "publisher" and not who.publisher_id):
        raise Refused("not_allowed", f"This user has the role {who.role}, but of nobody's calls")
    kinds = frozenset((query.kind or "").split(",")) - {""}
    if len(kinds) > MAX_KINDS:
        raise invalid("kind", "There are too many", f"Name at most {MAX_KINDS}, or none for all")
    return Audience(
        account_id=who.account_id,
        buyer_id=BuyerId(who.buyer_id) if who.role == "buyer" and who.buyer_id else None,
        publisher_id=PublisherId(who.publisher_id) if who.role == "publisher" and who.publisher_id else None,
        campaign_id=None if query.campaign_id is None else CampaignId(query.campaign_id),
        kinds=kinds,
    )


def resumed_at(text: str) -> Watermark | None:
    """The place that a client names, None where it names none."""
    if not text:
        return None
    watermark = parse_watermark(text)
    if watermark is None:
        raise invalid("last_event_id", "It is not an id of this stream", "Send an id as received, or none")
    return watermark


async def stream(
    feed: Feed,
    who: Principal,
    audience: Audience,
    *,
    after: Watermark | None,
    heartbeat_s: float = HEARTBEAT_S,
    max_stream_s: float = MAX_STREAM_S,
) -> AsyncIterator[bytes]:
    """The chunks of the stream: what was missed since `after`, then what happens, until the stream ends.

    A subscriber that is too slow ends too, and goes on from the database by the id that it saw last.
    """
    ends_at = monotonic_s() + max_stream_s
    async with feed.subscribe(audience) as subscription:
        yield f"retry: {RETRY_MS}\n\n".encode()
        if after is not None:
            async with aclosing(_missed(feed, who, subscription, after)) as chunks:
                async for chunk in chunks:
                    yield chunk
        yield _place(subscription.since)
        while monotonic_s() < ends_at:
            event = await subscription.next(timeout_s=heartbeat_s)
            match event:
                case OutboxEvent() | LeadOutboxEvent():
                    yield told(event, who)
                case Ended():
                    yield _message(f"event: {event.reason}", "{}")
                    return
                case None:
                    here = subscription.position
                    yield b": heartbeat\n\n" if here is None else _place(here)


async def _missed(
    feed: Feed, who: Principal, subscription: Subscription, after: Watermark
) -> AsyncGenerator[bytes, None]:
    async with aclosing(feed.missed(subscription, after)) as events:
        async for event in events:
            match event:
                case OutboxEvent() | LeadOutboxEvent():
                    yield told(event, who)
                case Foreign():
                    yield _reset(StreamReset(reason="history"))
                case None:
                    yield _reset(StreamReset(reason="too_far"))


def told(event: Happened, who: Principal) -> bytes:
    """One event as a message of the stream, as `who` may see it."""
    watermark = str(event.watermark)
    document = _call_event(event, who) if isinstance(event, OutboxEvent) else _lead_event(event, who)
    return _message(f"id: {watermark}\nevent: {event.kind}", encode(document).decode())


def _lead_event(event: LeadOutboxEvent, who: Principal) -> LeadEvent:
    return LeadEvent(
        id=str(event.watermark),
        lead_id=event.lead_id,
        version=event.version,
        kind=event.kind,
        at=event.at,
        campaign_id=event.lead["campaign_id"],
        lead=lead_summary_of(event.lead, who),
    )


def _call_event(event: OutboxEvent, who: Principal) -> CallEvent:
    return CallEvent(
        id=str(event.watermark),
        call_id=event.call_id,
        version=event.version,
        kind=event.kind,
        at=event.at,
        campaign_id=event.call["campaign_id"],
        call=summary_of(event.call, who),
    )


def _reset(document: StreamReset) -> bytes:
    return _message("event: reset", encode(document).decode())


def _message(head: str, data: str) -> bytes:
    return f"{head}\ndata: {data}\n\n".encode()


def _place(watermark: Watermark) -> bytes:
    """A heartbeat: no event, but the place to go on at."""
    return f": heartbeat\nid: {watermark}\n\n".encode()


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/events",
        name="stream_events",
        tag="calls",
        summary="What happens to calls and leads, live",
        description=(
            "Server-sent events: `event` is the kind, `data` is the JSON of one event, `id` its place. Kinds "
            "that begin with `lead.` are of leads that came by form, the others of calls. A "
            "client that comes back with `Last-Event-ID` (browsers do so by themselves) goes on without a "
            "gap. The event `reset` says that events are missing: read the lists again. After `lagged`, "
            "`restarted` or `closed` the stream ends: come back with the last id."
        ),
        permission="read_calls",
        query=EventsQuery,
        returns=CallEvent | LeadEvent,
        returned_as=EVENT_STREAM,
        refusals=("unavailable",),
        run=stream_events,
    ),
)
