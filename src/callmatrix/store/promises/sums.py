"""The promises that one question to PostgreSQL answers: sums, ends, and rows that should not be there."""

from datetime import datetime
from typing import Final

from callmatrix.core.ids import AccountId
from callmatrix.store.db import Transaction
from callmatrix.store.promises.broken import MAX_COUNTEREXAMPLES, Broken

# Each question answers with one text for each counterexample. $1 is the account.
_QUESTIONS: Final = (
    (
        "one_buyer_is_billed_at_most",
        """
        select format('call %s: %s buyers were charged: %s', t.call_id, count(distinct p.owner_id),
            string_agg(distinct p.owner_id, ', '))
        from ledger_transaction t
            join posting p on p.account_id = t.account_id and p.transaction_key = t.key
        where t.account_id = $1 and t.kind = 'charge' and t.call_id is not null and p.account = 'buyer'
        group by t.call_id having count(distinct p.owner_id) > 1 order by t.call_id
        """,
    ),
    (
        "one_buyer_is_billed_at_most",
        """
        select format('call %s: %s transactions of kind %s in rating revision %s: %s', t.call_id, count(*),
            t.kind, t.rating_revision, string_agg(t.key, ', ' order by t.key))
        from ledger_transaction t where t.account_id = $1 and t.call_id is not null
        group by t.call_id, t.kind, t.rating_revision having count(*) > 1 order by t.call_id
        """,
    ),
    (
        "one_buyer_is_billed_at_most",
        """
        select format('call %s: %s was charged by %s, and no leg to them was answered', t.call_id, p.owner_id,
            t.key)
        from ledger_transaction t
            join posting p on p.account_id = t.account_id and p.transaction_key = t.key
                and p.account = 'buyer'
        where t.account_id = $1 and t.kind = 'charge' and t.call_id is not null and not exists (
            select from attempt a where a.account_id = t.account_id and a.call_id = t.call_id
                and a.buyer_id = p.owner_id and a.outcome = 'answered')
        order by t.key
        """,
    ),
    (
        "postings_sum_to_zero",
        """
        select format('transaction %s: %s postings sum to %s micros', t.key, count(p.line),
            coalesce(sum(p.amount_micros), 0))
        from ledger_transaction t
            left join posting p on p.account_id = t.account_id and p.transaction_key = t.key
        where t.account_id = $1
        group by t.key having count(p.line) = 0 or sum(p.amount_micros) <> 0 order by t.key
        """,
    ),
    (
        "postings_sum_to_zero",
        """
        select format('posting %s of %s: there is no such transaction', p.line, p.transaction_key)
        from posting p where p.account_id = $1 and not exists (
            select from ledger_transaction t where t.account_id = p.account_id and t.key = p.transaction_key)
        order by p.transaction_key, p.line
        """,
    ),
    (
        "postings_sum_to_zero",
        """
        select format('the whole ledger sums to %s micros', sum(p.amount_micros))
        from posting p where p.account_id = $1 having sum(p.amount_micros) <> 0
        """,
    ),
    (
        "reports_equal_postings",
        """
        with booked as (
            select t.call_id,
                coalesce(sum(p.amount_micros) filter (where p.account = 'buyer'), 0) as revenue,
                coalesce(-sum(p.amount_micros) filter (where p.account = 'publisher'), 0) as payout,
                coalesce(-sum(p.amount_micros) filter (where p.account = 'carrier'), 0) as cost
            from ledger_transaction t
                join posting p on p.account_id = t.account_id and p.transaction_key = t.key
            where t.account_id = $1 and t.call_id is not null group by t.call_id
        )
        select format('call %s: revenue, payout, cost are %s, %s, %s micros, the postings say %s, %s, %s',
            coalesce(c.id, b.call_id), coalesce(c.revenue_micros::text, 'of no call'), c.payout_micros,
            c.cost_micros, coalesce(b.revenue, 0), coalesce(b.payout, 0), coalesce(b.cost, 0))
        from (select * from call where account_id = $1) c full join booked b on b.call_id = c.id
        where c.id is null or (c.revenue_micros, c.payout_micros, c.cost_micros)
            is distinct from (coalesce(b.revenue, 0), coalesce(b.payout, 0), coalesce(b.cost, 0))
        order by 1
        """,
    ),
    (
        "reports_equal_postings",
        """
        with booked as (
            select p.owner_id, -sum(p.amount_micros) as balance from posting p
            where p.account_id = $1 and p.account = 'buyer' group by p.owner_id
        )
        select format('buyer %s: the balance is %s micros, the postings say %s',
            coalesce(f.buyer_id, b.owner_id), coalesce(f.balance_micros, 0), coalesce(b.balance, 0))
        from (select * from buyer_funds where account_id = $1) f full join booked b on b.owner_id = f.buyer_id
        where coalesce(f.balance_micros, 0) <> coalesce(b.balance, 0) order by 1
        """,
    ),
    (
        "reports_equal_postings",
        """
        with held as (
            select r.buyer_id, sum(r.funds_micros) as funds from reservation r
            where r.account_id = $1 and r.state = 'held' and r.buyer_id is not null group by r.buyer_id
        )
        select format('buyer %s: %s micros are held, the reservations say %s',
            coalesce(f.buyer_id, h.buyer_id), coalesce(f.held_micros, 0), coalesce(h.funds, 0))
        from (select * from buyer_funds where account_id = $1) f full join held h on h.buyer_id = f.buyer_id
        where coalesce(f.held_micros, 0) <> coalesce(h.funds, 0) order by 1
        """,
    ),
    (
        "every_reservation_ends",
        """
        select format('reservation %s: still held, and its attempt is settled', r.attempt_id)
        from reservation r
            join attempt a on a.account_id = r.account_id and a.id = r.attempt_id and a.settled
        where r.account_id = $1 and r.state = 'held' order by r.attempt_id
        """,
    ),
    (
        "every_reservation_ends",
        """
        select format('reservation %s: still held, and there is no attempt of call %s like it', r.attempt_id,
            r.call_id)
        from reservation r where r.account_id = $1 and r.state = 'held' and r.call_id is not null
            and not exists (select from attempt a where a.account_id = r.account_id and a.id = r.attempt_id
                and a.call_id = r.call_id)
            and not exists (select from lead_attempt a where a.account_id = r.account_id
                and a.id = r.attempt_id and a.lead_id = r.call_id)
        order by r.attempt_id
        """,
    ),
    (
        "every_reservation_ends",
        """
        select format('owner %s: %s in the air, the reservations say %s', o.owner, o.live,
            coalesce(h.held, 0))
        from cap_owner o left join (
            select m.owner, count(*) as held
            from reservation r, owners_of($1, r.campaign_id, r.publisher_id, r.buyer_id, r.offer_id) m
            where r.account_id = $1 and r.state = 'held' group by m.owner
        ) h on h.owner = o.owner
        where o.account_id = $1 and o.live <> coalesce(h.held, 0) order by o.owner
        """,
    ),
    (
        "every_call_ends",
        """
        select format('call %s: %s since %s', c.id, c.state, c.saved_at)
        from call c where c.account_id = $1 and not c.closed order by c.saved_at, c.id
        """,
    ),
    (
        "repeats_change_nothing",
        """
        select format('connection %s, carrier reference %s: %s arrivals, of calls %s',
            e.document::jsonb ->> 'connection_id', e.document::jsonb ->> 'carrier_ref', count(*),
            string_agg(distinct e.call_id, ', '))
        from call_event e where e.account_id = $1 and e.kind = 'arrived'
        group by e.document::jsonb ->> 'connection_id', e.document::jsonb ->> 'carrier_ref'
        having count(*) > 1 order by 1
        """,
    ),
    (
        "repeats_change_nothing",
        """
        with taken as (
            select e.call_id, count(*) as events, min(e.version) as first, max(e.version) as last
            from call_event e where e.account_id = $1 group by e.call_id
        )
        select format('call %s: version %s, its events are %s from %s to %s', coalesce(c.id, t.call_id),
            coalesce(c.version::text, 'of no call'), coalesce(t.events, 0), t.first, t.last)
        from (select * from call where account_id = $1) c full join taken t on t.call_id = c.id
        where (t.first, t.last, t.events) is distinct from (1, c.version, c.version::bigint) order by 1
        """,
    ),
    (
        "nothing_is_dialled_unreserved",
        """
        select format('attempt %s: dialled at %s, %s', a.id, a.dialled_at,
            coalesce('its reservation is ' || r.state || ' since ' || r.reserved_at, 'never reserved'))
        from attempt a
            join call c on c.account_id = a.account_id and c.id = a.call_id
            left join reservation r on r.account_id = a.account_id and r.attempt_id = a.id
        where a.account_id = $1 and a.dialled_at is not null and not c.test
            and (r.attempt_id is null or r.state = 'denied' or r.campaign_id is null
                or r.reserved_at > a.dialled_at)
        order by a.id
        """,
    ),
    (
        "payout_needs_a_publisher",
        """
        select format('call %s: %s paid %s, and the call is of %s', t.call_id, t.key, p.owner_id,
            coalesce(c.publisher_id, 'nobody'))
        from ledger_transaction t
            join posting p on p.account_id = t.account_id and p.transaction_key = t.key
                and p.account = 'publisher'
            left join call c on c.account_id = t.account_id and c.id = t.call_id
        where t.account_id = $1 and t.kind = 'payout' and t.lead_id is null
            and p.owner_id is distinct from c.publisher_id
        order by t.key
        """,
    ),
    (
        "sold_calls_are_paid_as_bid",
        """
        select format('bid %s: it was used by call %s, which answers %s', b.id, b.call_id,
            coalesce(e.document::jsonb #>> '{sold,bid_id}', 'no bid'))
        from rtb_bid b join call_event e on e.account_id = b.account_id and e.call_id = b.call_id
            and e.kind = 'arrived'
        where b.account_id = $1 and b.state = 'used'
            and e.document::jsonb #>> '{sold,bid_id}' is distinct from b.id
        order by b.id
        """,
    ),
    (
        "sold_calls_are_paid_as_bid",
        """
        select format('bid %s: it is answered by %s', e.document::jsonb #>> '{sold,bid_id}',
            string_agg(e.call_id, ', ' order by e.call_id))
        from call_event e where e.account_id = $1 and e.kind = 'arrived' and e.document like '%"sold"%'
            and e.document::jsonb #>> '{sold,bid_id}' is not null
        group by e.document::jsonb #>> '{sold,bid_id}' having count(*) > 1 order by 1
        """,
    ),
    (
        "sold_calls_are_paid_as_bid",
        """
        select format('call %s: its publisher was paid %s micros, and had sold it for %s', e.call_id,
            -p.amount_micros, coalesce(b.amount_micros::text, 'nothing known'))
        from call_event e
            join ledger_transaction t on t.account_id = e.account_id and t.call_id = e.call_id
                and t.kind = 'payout' and t.rating_revision = 1
            join posting p on p.account_id = t.account_id and p.transaction_key = t.key
                and p.account = 'publisher'
            left join rtb_bid b on b.account_id = e.account_id
                and b.id = e.document::jsonb #>> '{sold,bid_id}'
        where e.account_id = $1 and e.kind = 'arrived' and e.document like '%"sold"%'
            and e.document::jsonb #>> '{sold,bid_id}' is not null
            and -p.amount_micros is distinct from b.amount_micros
        order by e.call_id
        """,
    ),
    (
        "test_calls_touch_nothing",
        """
        select format('call %s is a test: %s was booked for it', c.id, t.key)
        from call c join ledger_transaction t on t.account_id = c.account_id and t.call_id = c.id
        where c.account_id = $1 and c.test order by t.key
        """,
    ),
    (
        "test_calls_touch_nothing",
        """
        select format('call %s is a test: %s was reserved for it', c.id, r.attempt_id)
        from call c
            join attempt a on a.account_id = c.account_id and a.call_id = c.id
            join reservation r on r.account_id = a.account_id and r.attempt_id = a.id
        where c.account_id = $1 and c.test order by r.attempt_id
        """,
    ),
)
_EXPIRED: Final = """
    select format('reservation %s: still held, and it expired at %s', r.attempt_id, r.expires_at)
    from reservation r where r.account_id = $1 and r.state = 'held' and r.expires_at <= $2
    order by r.attempt_id
    """


async def broken_sums(tx: Transaction, account_id: AccountId, *, now: datetime) -> list[Broken]:
    """The counterexamples that PostgreSQL finds by itself."""
    found: list[Broken] = []
    for name, question in _QUESTIONS:
        rows = await tx.fetch(f"{question} limit {MAX_COUNTEREXAMPLES}", account_id)
        found += [Broken(name=name, text=row[0]) for row in rows]
    rows = await tx.fetch(f"{_EXPIRED} limit {MAX_COUNTEREXAMPLES}", account_id, now)
    found += [Broken(name="every_reservation_ends", text=row[0]) for row in rows]
    return found
