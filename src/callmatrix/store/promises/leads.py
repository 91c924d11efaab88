"""The promises kept for leads that come by form: sums, ends, and their events taken again."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from callmatrix.core.call.draft import StepTrace
from callmatrix.core.documents import decode
from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId, CampaignId, LeadId
from callmatrix.core.lead import Event, FormLead, step
from callmatrix.core.lead.draft import Command
from callmatrix.core.plan import CompiledPlan
from callmatrix.store.db import Row, Transaction
from callmatrix.store.promises.broken import MAX_COUNTEREXAMPLES, Broken

LEADS_AT_ONCE: Final = 200
MAX_PLANS: Final = 500
REPLAY: Final = "replay_gives_the_same_call"

PlanOf = Callable[[CampaignId, int], Awaitable[CompiledPlan]]

# Each question answers with one text for each counterexample. $1 is the account.
_QUESTIONS: Final = (
    (
        "one_buyer_is_billed_at_most",
        """
        select format('lead %s: %s was charged by %s, and took no post of it', t.lead_id, p.owner_id, t.key)
        from ledger_transaction t
            join posting p on p.account_id = t.account_id and p.transaction_key = t.key
                and p.account = 'buyer'
        where t.account_id = $1 and t.kind = 'charge' and t.lead_id is not null and not exists (
            select from lead_attempt a where a.account_id = t.account_id and a.lead_id = t.lead_id
                and a.buyer_id = p.owner_id and a.state = 'accepted')
        order by t.key
        """,
    ),
    (
        "one_buyer_is_billed_at_most",
        """
        select format('lead %s: %s charges', t.lead_id, count(*))
        from ledger_transaction t where t.account_id = $1 and t.kind = 'charge' and t.lead_id is not null
        group by t.lead_id having count(*) > 1 order by t.lead_id
        """,
    ),
    (
        "one_buyer_is_billed_at_most",
        """
        select format('lead %s is %s: %s of its posts were accepted', l.id, l.state,
            count(a.id) filter (where a.state = 'accepted'))
        from lead l left join lead_attempt a on a.account_id = l.account_id and a.lead_id = l.id
        where l.account_id = $1 group by l.account_id, l.id
        having count(a.id) filter (where a.state = 'accepted') <> (l.state = 'sold')::integer
        order by l.id
        """,
    ),
    (
        "one_buyer_is_billed_at_most",
        """
        select format('lead %s: posted %s times to offer %s', a.lead_id, count(*), a.offer_id)
        from lead_attempt a where a.account_id = $1 and a.posted_at is not null
        group by a.lead_id, a.offer_id having count(*) > 1 order by a.lead_id
        """,
    ),
    (
        "reports_equal_postings",
        """
        with booked as (
            select t.lead_id,
                coalesce(sum(p.amount_micros) filter (where p.account = 'buyer'), 0) as revenue,
                coalesce(-sum(p.amount_micros) filter (where p.account = 'publisher'), 0) as payout
            from ledger_transaction t
                join posting p on p.account_id = t.account_id and p.transaction_key = t.key
            where t.account_id = $1 and t.lead_id is not null group by t.lead_id
        )
        select format('lead %s: revenue, payout are %s, %s micros, the postings say %s, %s',
            coalesce(l.id, b.lead_id), coalesce(l.revenue_micros::text, 'of no lead'), l.payout_micros,
            coalesce(b.revenue, 0), coalesce(b.payout, 0))
        from (select * from lead where account_id = $1) l full join booked b on b.lead_id = l.id
        where l.id is null or (l.revenue_micros, l.payout_micros)
            is distinct from (coalesce(b.revenue, 0), coalesce(b.payout, 0))
        order by 1
        """,
    ),
    (
        "every_reservation_ends",
        """
        select format('reservation %s: still held, and its post is settled', r.attempt_id)
        from reservation r
            join lead_attempt a on a.account_id = r.account_id and a.id = r.attempt_id and a.settled
        where r.account_id = $1 and r.state = 'held' order by r.attempt_id
        """,
    ),
    (
        "every_call_ends",
        """
        select format('lead %s: %s since %s', l.id, l.state, l.saved_at)
        from lead l where l.account_id = $1 and not l.closed order by l.saved_at, l.id
        """,
    ),
    (
        "repeats_change_nothing",
        """
        with taken as (
            select e.lead_id, count(*) as events, min(e.version) as first, max(e.version) as last
            from lead_event e where e.account_id = $1 group by e.lead_id
        )
        select format('lead %s: version %s, its events are %s from %s to %s', coalesce(l.id, t.lead_id),
            coalesce(l.version::text, 'of no lead'), coalesce(t.events, 0), t.first, t.last)
        from (select * from lead where account_id = $1) l full join taken t on t.lead_id = l.id
        where (t.first, t.last, t.events) is distinct from (1, l.version, l.version::bigint) order by 1
        """,
    ),
    (
        "nothing_is_dialled_unreserved",
        """
        select format('post %s: sent at %s, %s', a.id, a.posted_at,
            coalesce('its reservation is ' || r.state || ' since ' || r.reserved_at, 'never reserved'))
        from lead_attempt a
            left join reservation r on r.account_id = a.account_id and r.attempt_id = a.id
        where a.account_id = $1 and a.posted_at is not null
            and (r.attempt_id is null or r.state = 'denied' or r.campaign_id is null
                or r.reserved_at > a.posted_at)
        order by a.id
        """,
    ),
    (
        "payout_needs_a_publisher",
        """
        select format('lead %s: %s paid %s, and the lead is of %s', t.lead_id, t.key, p.owner_id,
            coalesce(l.publisher_id, 'nobody'))
        from ledger_transaction t
            join posting p on p.account_id = t.account_id and p.transaction_key = t.key
                and p.account = 'publisher'
            left join lead l on l.account_id = t.account_id and l.id = t.lead_id
        where t.account_id = $1 and t.kind = 'payout' and t.lead_id is not null
            and p.owner_id is distinct from l.publisher_id
        order by t.key
        """,
    ),
    (
        "test_calls_touch_nothing",
        """
        select format('lead %s is a test: %s', l.id, coalesce(t.key || ' was booked for it',
            r.attempt_id || ' was reserved for it'))
        from lead l
            left join ledger_transaction t on t.account_id = l.account_id and t.lead_id = l.id
            left join reservation r on r.account_id = l.account_id and r.call_id = l.id
        where l.account_id = $1 and l.test and (t.key is not null or r.attempt_id is not null) order by 1
        """,
    ),
)
_LEADS: Final = (
    "select id, campaign_id, plan_version, channel, version, document, state, closed, revenue_micros,"
    " payout_micros from lead where account_id = $1 and id > $2 order by id limit $3"
)
_EVENTS: Final = (
    "select lead_id, version, document, trace, commands from lead_event"
    " where account_id = $1 and lead_id = any($2) order by lead_id, version"
)


async def broken_leads(tx: Transaction, account_id: AccountId, *, plan_of: PlanOf) -> list[Broken]:
    """What of the leads breaks a promise."""
    found: list[Broken] = []
    for name, question in _QUESTIONS:
        rows = await tx.fetch(f"{question} limit {MAX_COUNTEREXAMPLES}", account_id)
        found += [Broken(name=name, text=row[0]) for row in rows]
    return [*found, *await _broken_replays(tx, account_id, plan_of=plan_of)]


async def _broken_replays(tx: Transaction, account_id: AccountId, *, plan_of: PlanOf) -> list[Broken]:
    """The leads that come out otherwise when their events are taken again."""
    found: list[Broken] = []
    plans: dict[tuple[CampaignId, int], CompiledPlan] = {}
    last = ""
    while len(found) < MAX_COUNTEREXAMPLES:
        stored = await tx.fetch(_LEADS, account_id, last, LEADS_AT_ONCE)
        if not stored:
            break
        last = stored[-1]["id"]
        events: dict[str, list[Row]] = {lead["id"]: [] for lead in stored}
        for event in await tx.fetch(_EVENTS, account_id, list(events)):
            events[event["lead_id"]].append(event)
        for lead in stored:
            pinned = (lead["campaign_id"], lead["plan_version"])
            if len(plans) >= MAX_PLANS:
                plans.clear()
            try:
                if pinned not in plans:
                    plans[pinned] = await plan_of(*pinned)
                said = _judged(account_id, lead, events[lead["id"]], plans[pinned])
            except Refused as refused:
                said = f"there is no plan {pinned[1]} of {pinned[0]}: {refused.detail}"
            except msgspec.MsgspecError as error:
                said = f"an event cannot be read: {error}"
            if said:
                found.append(Broken(name=REPLAY, text=f"lead {lead['id']}: {said}"))
    return found


def _judged(account_id: AccountId, stored: Row, events: list[Row], plan: CompiledPlan) -> str:
    """The first difference between a lead and what its events lead to; empty where there is none."""
    lead = FormLead(
        id=LeadId(stored["id"]),
        account_id=account_id,
        campaign_id=stored["campaign_id"],
        plan_version=stored["plan_version"],
        channel=stored["channel"],
    )
    for row in events:
        event: Event = decode(row["document"], Event)  # type: ignore[arg-type]
        taken = step(lead, event, plan)
        lead = taken.lead
        if decode(row["trace"], StepTrace) != taken.trace:
            return f"event {row['version']} leaves another trace than was kept"
        if decode(row["commands"], tuple[Command, ...]) != taken.commands:
            return f"event {row['version']} orders other commands than were kept"
    if decode(stored["document"], FormLead) != lead:
        return "another document comes out"
    amounts = lead.amounts
    shown = {
        "version": lead.version,
        "state": lead.state,
        "revenue_micros": (amounts.revenue - amounts.credited).micros,
        "payout_micros": (amounts.payout - amounts.clawed_back).micros,
    }
    other = [f"{name} {stored[name]} instead of {now}" for name, now in shown.items() if stored[name] != now]
    return f"its row says {', '.join(other)}" if other else ""
