"""Steps every stored call again through its stored events, and compares the result with what is kept."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import msgspec

from callmatrix.core.call.commands import Command
from callmatrix.core.call.draft import StepTrace
from callmatrix.core.call.events import BidsReturned, Event, Looked
from callmatrix.core.call.machine import step
from callmatrix.core.call.value import Call
from callmatrix.core.documents import decode, encode_text
from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId, CallId, CampaignId
from callmatrix.core.plan import CompiledPlan
from callmatrix.store.db import Row, Transaction
from callmatrix.store.promises.broken import MAX_COUNTEREXAMPLES, Broken
from callmatrix.store.promises.prices import NAME as PRICES
from callmatrix.store.promises.prices import Raising

NAME: Final = "replay_gives_the_same_call"
CALLS_AT_ONCE: Final = 200
MAX_PLANS: Final = 500
"""How many compiled plans are kept at once; a plan that is asked for again is compiled again."""

PlanOf = Callable[[CampaignId, int], Awaitable[CompiledPlan]]

_CALLS: Final = (
    "select id, campaign_id, plan_version, version, document, state, closed, revenue_micros, payout_micros,"
    " cost_micros from call where account_id = $1 and id > $2 order by id limit $3"
)
_EVENTS: Final = (
    "select call_id, version, document, trace, commands from call_event"
    " where account_id = $1 and call_id = any($2) order by call_id, version"
)


async def broken_replays(tx: Transaction, account_id: AccountId, *, plan_of: PlanOf) -> list[Broken]:
    """The calls that come out otherwise when their events are taken again, and auctions that do."""
    found: list[Broken] = []
    raising = Raising()
    plans: dict[tuple[CampaignId, int], CompiledPlan] = {}
    last = ""
    while len(found) < MAX_COUNTEREXAMPLES:
        calls = await tx.fetch(_CALLS, account_id, last, CALLS_AT_ONCE)
        if not calls:
            break
        last = calls[-1]["id"]
        events: dict[str, list[Row]] = {call["id"]: [] for call in calls}
        for event in await tx.fetch(_EVENTS, account_id, list(events)):
            events[event["call_id"]].append(event)
        for call in calls:
            pinned = (call["campaign_id"], call["plan_version"])
            if len(plans) >= MAX_PLANS:
                plans.clear()
            try:
                if pinned not in plans:
                    plans[pinned] = await plan_of(*pinned)
                said = tuple(_judged(account_id, call, events[call["id"]], plans[pinned], raising))
            except Refused as refused:
                said = ((NAME, f"there is no plan {pinned[1]} of {pinned[0]}: {refused.detail}"),)
            except msgspec.MsgspecError as error:
                said = ((NAME, f"an event cannot be read: {error}"),)
            found += [Broken(name=name, text=f"call {call['id']}: {text}") for name, text in said]
    return found


def _judged(
    account_id: AccountId, stored: Row, events: list[Row], plan: CompiledPlan, raising: Raising
) -> Iterator[tuple[str, str]]:
    """What is wrong with one call, each with the promise that it breaks; at most its first difference."""
    call = Call(
        id=CallId(stored["id"]),
        account_id=account_id,
        campaign_id=stored["campaign_id"],
        plan_version=stored["plan_version"],
    )
    for row in events:
        event: Event = decode(row["document"], Event)  # type: ignore[arg-type]
        if isinstance(event, Looked | BidsReturned):
            lost = raising.lost(call, event, decode(row["commands"], tuple[Command, ...]), plan)
            if lost:
                yield PRICES, lost
        taken = step(call, event, plan)
        call = taken.call
        if decode(row["trace"], StepTrace) != taken.trace:
            yield NAME, f"event {row['version']} leaves another trace than was kept"
            return
        if decode(row["commands"], tuple[Command, ...]) != taken.commands:
            yield NAME, f"event {row['version']} orders other commands than were kept"
            return
    kept = decode(stored["document"], Call)
    if kept != call:  # as values: an amount of nothing may be written out or left out
        yield NAME, f"another document comes out: {_first_other(encode_text(call), encode_text(kept))}"
        return
    shown = {
        "version": call.version,
        "state": call.state,
        "closed": call.state == "ended" and call.cost_booked,
        "revenue_micros": (call.amounts.revenue - call.amounts.credited).micros,
        "payout_micros": (call.amounts.payout - call.amounts.clawed_back).micros,
        "cost_micros": call.amounts.cost.micros,
    }
    other = [f"{name} {stored[name]} instead of {now}" for name, now in shown.items() if stored[name] != now]
    if other:
        yield NAME, f"its row says {', '.join(other)}"


def _first_other(ours: str, theirs: str) -> str:
    """Where two documents part."""
    place = next(
        (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
    )
    start = max(0, place - 20)
    return f"{ours[start : place + 40]!r} instead of {theirs[start : place + 40]!r}"
