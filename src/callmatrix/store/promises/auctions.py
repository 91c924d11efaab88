"""The promises of live auctions: the winner owes its bid and nothing else, and nobody makes a caller wait."""

from typing import Final

from callmatrix.core.ids import AccountId
from callmatrix.store.db import Transaction
from callmatrix.store.promises.broken import MAX_COUNTEREXAMPLES, Broken

GRACE_MS: Final = 2_000
"""How much later than the deadline a process may be by its own doing: under load its timers are late."""

# Each question answers with one text for each counterexample. $1 is the account, $2 `GRACE_MS`.
_QUESTIONS: Final = (
    (
        "auctions_charge_the_clearing_price",
        """
        with made as (
            select e.call_id, r.value ->> 'offer_id' as offer_id,
                (r.value -> 'bid' ->> 'amount')::numeric * 1000000 as micros
            from call_event e, lateral jsonb_array_elements(e.document::jsonb -> 'results') r
            where e.account_id = $1 and e.kind = 'bids_returned' and e.document::jsonb ? 'results'
                and r.value ? 'bid'
        ), won as (
            select c.id as call_id, a.value ->> 'offer_id' as offer_id
            from call c, lateral jsonb_array_elements(c.document::jsonb -> 'attempts') a
            where c.account_id = $1 and c.id in (select call_id from made)
                and a.value ->> 'id' = c.document::jsonb ->> 'billed_attempt' and a.value ? 'won'
        )
        select format('transaction %s: %s micros were charged, which %s never bid', t.key,
            abs(p.amount_micros), w.offer_id)
        from won w
            join ledger_transaction t on t.account_id = $1 and t.call_id = w.call_id
                and t.kind = 'charge' and t.rating_revision = 1
            join posting p on p.account_id = t.account_id and p.transaction_key = t.key
                and p.account = 'buyer'
        where $2::integer is not null and not exists (select from made m where m.call_id = w.call_id
            and m.offer_id = w.offer_id and m.micros = abs(p.amount_micros))
        order by t.key
        """,
    ),
    (
        "no_auction_outlasts_its_deadline",
        """
        with asked as (
            select e.call_id, (c.value ->> 'round')::integer as round,
                (c.value ->> 'deadline_ms')::integer as deadline_ms
            from call_event e, lateral jsonb_array_elements(e.commands::jsonb) c
            where e.account_id = $1 and e.commands like '%"kind":"ping"%' and c.value ->> 'kind' = 'ping'
        )
        select format('call %s: round %s took %s ms of %s', e.call_id, a.round,
            e.document::jsonb ->> 'spent_ms', a.deadline_ms)
        from call_event e
            join asked a on a.call_id = e.call_id and a.round = (e.document::jsonb ->> 'round')::integer
        where e.account_id = $1 and e.kind = 'bids_returned'
            and coalesce((e.document::jsonb ->> 'spent_ms')::integer, 0) > a.deadline_ms + $2::integer
        order by e.call_id
        """,
    ),
)


async def broken_auctions(tx: Transaction, account_id: AccountId) -> list[Broken]:
    """The auctions that broke one of these promises, at most `MAX_COUNTEREXAMPLES` of each."""
    found: list[Broken] = []
    for name, question in _QUESTIONS:
        rows = await tx.fetch(f"{question} limit {MAX_COUNTEREXAMPLES}", account_id, GRACE_MS)
        found += [Broken(name=name, text=row[0]) for row in rows]
    return found
