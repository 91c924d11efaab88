"""Ways to corrupt the rows of a healthy history, and what the promises say about each."""

COPIED: dict[str, str] = {
    "account_id": "account_id",
    "attempt_id": "'extra'",
    "state": "state",
    "reserved_at": "reserved_at",
    "expires_at": "expires_at",
    "ended_at": "ended_at",
    "campaign_id": "'cmp_2'",
    "offer_id": "offer_id",
    "buyer_id": "buyer_id",
    "connects": "connects",
    "conversions": "conversions",
    "revenue_micros": "revenue_micros",
}


def one_more(of: str, *, shift: str, **columns: str) -> str:
    """One more reservation like that of an attempt, so much later, as nobody may have granted it."""
    moved = {"reserved_at": f"reserved_at + interval '{shift}'", "ended_at": f"ended_at + interval '{shift}'"}
    copied = {**COPIED, **moved, **columns}
    return (
        f"insert into reservation ({', '.join(copied)}) select {', '.join(copied.values())}"
        f" from reservation where attempt_id = '{of}'"
    )


def one_more_charge(key: str, *, buyer_id: str, revision: int) -> tuple[str, str]:
    """A charge of 1 micro for the first call."""
    return (
        "insert into ledger_transaction (account_id, key, kind, at, call_id, rating_revision, reason)"
        f" select account_id, '{key}', kind, at, call_id, {revision}, '' from ledger_transaction"
        " where key = 'call_1/charge/1'",
        "insert into posting (account_id, transaction_key, line, account, owner_id, amount_micros, at)"
        f" select account_id, '{key}', line, account, case account when 'buyer' then '{buyer_id}'"
        " else '' end, sign(amount_micros), at from posting where transaction_key = 'call_1/charge/1'",
    )


def one_more_event(kind: str, *, document: str, commands: str = "[]", version: int = 99) -> str:
    """An event that the first call never took."""
    return (
        "insert into call_event (account_id, call_id, version, kind, at, document, trace, commands)"
        f" select account_id, call_id, {version}, '{kind}', at, '{document}', trace, '{commands}'"
        " from call_event where call_id = 'call_1' and version = 1"
    )


def used_bid(call_id: str) -> str:
    """A bid of 1 micro that a call has used."""
    return (
        "insert into rtb_bid (account_id, id, endpoint_id, campaign_id, publisher_id, asked_at, state, code,"
        " detail, request_hash, request, amount_micros, min_s, revenue_micros, offer_id, plan_version, hold,"
        " hold_s, expires_at, number_id, number, sip_host, sold, call_id, used_at, used_by, used_ref)"
        " values ('acc_1', 'bid_1', 'rtb_1', 'cmp_1', 'pub_1', '2026-11-16', 'used', '', '',"
        " decode(repeat('00', 32), 'hex'), '{}', 1, 0, 2, 'off_1', 1, 'none', 0, '2026-11-17', 'num_1',"
        f" '+18885550101', '', '{{}}', '{call_id}', '2026-11-16', 'con_1', 'CA1')"
    )


SELL = (
    'update call_event set document = (document::jsonb || \'{"sold": {"bid_id": "bid_1"}}\')::text'
)  # fmt: skip


# What is done to the rows; the promise that it breaks; the counterexamples of that promise, whole.
CORRUPTIONS: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...] = (
    (
        (one_more("call_1-1", shift="4 hours"),),
        "no_cap_is_exceeded",
        (
            "reservation extra: offer:off_1 had 2 of 2 conversion by day at 2026-11-16 13:00:00+00:00, "
            "and 1 more was granted",
        ),
    ),
    (
        (
            one_more("call_1-1", shift="28 hours", conversions="0"),
            one_more("call_1-1", shift="29 hours", conversions="0", attempt_id="'extra 2'"),
        ),
        "no_cap_is_exceeded",
        (
            "reservation extra 2: offer:off_1 had 87.00 of 87.00 revenue by week at "
            "2026-11-17 14:00:00+00:00, and 29.00 more was granted",
        ),
    ),
    (
        (one_more("call_1-1", shift="4 days", campaign_id="'cmp_1'", offer_id="null", buyer_id="null"),),
        "no_cap_is_exceeded",
        (
            "reservation extra: campaign:cmp_1 had 5 of 5 attempt by total at 2026-11-20 09:00:00+00:00, "
            "and 1 more was granted",
        ),
    ),
    (
        (one_more("call_1-1", shift="30 s", conversions="0", revenue_micros="0"),),
        "no_concurrency_is_exceeded",
        ("reservation extra: offer:off_1 had 1 in the air at 2026-11-16 09:00:30+00:00, of 1",),
    ),
    (
        (one_more("call_4-2", shift="20 s"),),
        "spacing_is_kept",
        ("reservation extra: offer:off_2 was granted 20.0 s after 2026-11-16 12:00:00+00:00, not 30 s",),
    ),
    (
        one_more_charge("call_1/charge/2", buyer_id="buy_2", revision=2),
        "one_buyer_is_billed_at_most",
        (
            "call call_1: 2 buyers were charged: buy_1, buy_2",
            "call call_1: buy_2 was charged by call_1/charge/2, and no leg to them was answered",
        ),
    ),
    (
        one_more_charge("again", buyer_id="buy_1", revision=1),
        "one_buyer_is_billed_at_most",
        ("call call_1: 2 transactions of kind charge in rating revision 1: again, call_1/charge/1",),
    ),
    (
        ("update attempt set outcome = 'busy' where id = 'call_1-1'",),
        "one_buyer_is_billed_at_most",
        ("call call_1: buy_1 was charged by call_1/charge/1, and no leg to them was answered",),
    ),
    (
        (
            "update posting set amount_micros = 30000000"
            " where transaction_key = 'call_1/charge/1' and line = 1",
        ),
        "postings_sum_to_zero",
        (
            "transaction call_1/charge/1: 2 postings sum to 1000000 micros",
            "the whole ledger sums to 1000000 micros",
        ),
    ),
    (
        ("delete from posting where transaction_key = 'call_1/payout/1'",),
        "postings_sum_to_zero",
        ("transaction call_1/payout/1: 0 postings sum to 0 micros",),
    ),
    (
        ("delete from ledger_transaction where key = 'call_1/cost/1'",),
        "postings_sum_to_zero",
        (
            "posting 1 of call_1/cost/1: there is no such transaction",
            "posting 2 of call_1/cost/1: there is no such transaction",
        ),
    ),
    (
        ("update call set payout_micros = 1 where id = 'call_3'",),
        "reports_equal_postings",
        (
            "call call_3: revenue, payout, cost are 20000000, 1, 60000 micros, "
            "the postings say 20000000, 10500000, 60000",
        ),
    ),
    (
        ("delete from call where id = 'call_1'",),
        "reports_equal_postings",
        (
            "call call_1: revenue, payout, cost are of no call, ,  micros, "
            "the postings say 29000000, 14500000, 60000",
        ),
    ),
    (
        ("update buyer_funds set balance_micros = 5 where buyer_id = 'buy_2'",),
        "reports_equal_postings",
        ("buyer buy_2: the balance is 5 micros, the postings say -56000000",),
    ),
    (
        ("update buyer_funds set held_micros = 7 where buyer_id = 'buy_2'",),
        "reports_equal_postings",
        ("buyer buy_2: 7 micros are held, the reservations say 0",),
    ),
    (
        ("update reservation set state = 'held', ended_at = null where attempt_id = 'call_4-2'",),
        "every_reservation_ends",
        (
            "reservation call_4-2: still held, and its attempt is settled",
            "owner campaign:cmp_1: 0 in the air, the reservations say 1",
            "owner offer:off_2: 0 in the air, the reservations say 1",
            "reservation call_4-2: still held, and it expired at 2026-11-16 13:02:25+00",
        ),
    ),
    (
        (
            "update reservation set state = 'held', ended_at = null, call_id = 'call_9',"
            " expires_at = '2030-01-01' where attempt_id = 'call_4-2'",
            "update cap_owner set live = 1 where owner in ('campaign:cmp_1', 'offer:off_2')",
            "update attempt set settled = false where id = 'call_4-2'",
        ),
        "every_reservation_ends",
        ("reservation call_4-2: still held, and there is no attempt of call call_9 like it",),
    ),
    (
        ("update cap_owner set live = 1, live_ceiling = 1 where owner = 'offer:off_1'",),
        "every_reservation_ends",
        ("owner offer:off_1: 1 in the air, the reservations say 0",),
    ),
    (
        ("update call set closed = false, state = 'dialling' where id = 'call_2'",),
        "every_call_ends",
        ("call call_2: dialling since 2026-11-16 10:01:36+00",),
    ),
    (
        ("update call set document = replace(document, '+14155550100', '+14155550101') where id = 'call_2'",),
        "replay_gives_the_same_call",
        (
            "call call_2: another document comes out: "
            '\'dialed":"+14155550100","number_id":"num_1","connection_id":"\' instead of '
            '\'dialed":"+14155550101","number_id":"num_1","connection_id":"\'',
        ),
    ),
    (
        (
            "update call_event set document = replace(document, '\"busy\"', '\"no_answer\"')"
            " where call_id = 'call_2' and version = 4",
        ),
        "replay_gives_the_same_call",
        (
            "call call_2: another document comes out: "
            '\':00:00Z","outcome":"no_answer","precision":"ms","ended_at":"\' instead of '
            '\':00:00Z","outcome":"busy","precision":"ms","ended_at":"2026-\'',
        ),
    ),
    (
        ("update call_event set document = '{}' where call_id = 'call_2' and version = 4",),
        "replay_gives_the_same_call",
        ("call call_2: an event cannot be read: Object missing required field `kind`",),
    ),
    (
        ("update call_event set trace = '{}' where call_id = 'call_2' and version = 2",),
        "replay_gives_the_same_call",
        ("call call_2: event 2 leaves another trace than was kept",),
    ),
    (
        ("update call_event set commands = '[]' where call_id = 'call_2' and version = 3",),
        "replay_gives_the_same_call",
        ("call call_2: event 3 orders other commands than were kept",),
    ),
    (
        ("update call set cost_micros = 1 where id = 'call_2'",),
        "replay_gives_the_same_call",
        ("call call_2: its row says cost_micros 1 instead of 60000",),
    ),
    (
        (
            "update call_event set document = replace(document, '\"CA2\"', '\"CA1\"')"
            " where call_id = 'call_2' and version = 1",
        ),
        "repeats_change_nothing",
        ("connection con_1, carrier reference CA1: 2 arrivals, of calls call_1, call_2",),
    ),
    (
        ("delete from call_event where call_id = 'call_2' and version = 3",),
        "repeats_change_nothing",
        ("call call_2: version 8, its events are 7 from 1 to 8",),
    ),
    (
        ("delete from call_event where call_id = 'call_2'",),
        "repeats_change_nothing",
        ("call call_2: version 8, its events are 0 from  to ",),
    ),
    (
        ("update call_event set call_id = 'call_9' where call_id = 'call_1' and version = 5",),
        "repeats_change_nothing",
        (
            "call call_1: version 5, its events are 4 from 1 to 4",
            "call call_9: version of no call, its events are 1 from 5 to 5",
        ),
    ),
    (
        (
            "update config_revision set document = jsonb_set(document, '{status}', '\"paused\"')"
            " where kind = 'buyer' and id = 'buy_2'",
        ),
        "closed_offers_are_never_dialled",
        (
            "attempt call_2-2: buyer:buy_2 was paused at 2026-11-16 10:00:05+00:00",
            "attempt call_4-2: buyer:buy_2 was paused at 2026-11-16 12:00:00+00:00",
        ),
    ),
    (
        (
            "update call_event set commands = replace(commands, 'off_1', 'off_2')"
            " where call_id = 'call_1' and kind = 'looked'",
        ),
        "a_higher_price_never_loses",
        ("call call_1: off_2 lost to off_1 when its price was higher",),
    ),
    (
        (
            one_more_event(
                "bids_returned",
                document='{"results":[{"offer_id":"off_1","bid":{"offer_id":"off_1","amount":"30.00"}}]}',
            ),
            "update call set document = jsonb_set(document::jsonb, '{attempts,0,won}',"
            ' \'{"offer_id":"off_1","amount":"30.00"}\')::text where id = \'call_1\'',
        ),
        "auctions_charge_the_clearing_price",
        ("transaction call_1/charge/1: 29000000 micros were charged, which off_1 never bid",),
    ),
    (
        (
            one_more_event(
                "looked",
                document="{}",
                commands='[{"kind":"ping","round":1,"offer_ids":["off_1"],"deadline_ms":2000}]',
                version=98,
            ),
            one_more_event("bids_returned", document='{"round":1,"spent_ms":4001}'),
        ),
        "no_auction_outlasts_its_deadline",
        ("call call_1: round 1 took 4001 ms of 2000",),
    ),
    (
        ("update call set publisher_id = null where id = 'call_3'",),
        "payout_needs_a_publisher",
        ("call call_3: call_3/payout/1 paid pub_1, and the call is of nobody",),
    ),
    (
        (used_bid("call_1"),),
        "sold_calls_are_paid_as_bid",
        ("bid bid_1: it was used by call call_1, which answers no bid",),
    ),
    (
        (
            used_bid("call_3"),
            *(f"{SELL} where call_id = '{call_id}' and kind = 'arrived'" for call_id in ("call_1", "call_3")),
        ),
        "sold_calls_are_paid_as_bid",
        (
            "bid bid_1: it is answered by call_1, call_3",
            "call call_1: its publisher was paid 14500000 micros, and had sold it for 1",
            "call call_3: its publisher was paid 14500000 micros, and had sold it for 1",
        ),
    ),
    (
        ("update reservation set funds_micros = 9972000001 where attempt_id = 'call_4-2'",),
        "funds_are_never_overdrawn",
        (
            "reservation call_4-2: buy_2 had -28.00 and credit of 10000.00 at 2026-11-16 12:00:00+00:00, "
            "and 9972.000001 was held",
        ),
    ),
    (
        (
            "insert into reservation (account_id, attempt_id, buyer_id, state, reserved_at, expires_at,"
            " funds_micros) values ('acc_1', 'extra', 'buy_2', 'held', '2026-11-16 11:00+00', '2030-01-01',"
            " 9950000000)",
        ),
        "funds_are_never_overdrawn",
        (
            "reservation call_4-2: buy_2 had -9978.00 and credit of 10000.00 at 2026-11-16 12:00:00+00:00, "
            "and 28.00 was held",
        ),
    ),
    (
        ("update call set test = true where id = 'call_1'",),
        "test_calls_touch_nothing",
        (
            "call call_1 is a test: call_1/charge/1 was booked for it",
            "call call_1 is a test: call_1/cost/1 was booked for it",
            "call call_1 is a test: call_1/payout/1 was booked for it",
            "call call_1 is a test: call_1-1 was reserved for it",
        ),
    ),
    (
        ("update reservation set reserved_at = '2026-11-16 07:59:59+00' where attempt_id = 'call_1-1'",),
        "closed_offers_are_never_dialled",
        ("attempt call_1-1: offer:off_1 was closed at 2026-11-16 07:59:59+00:00",),
    ),
    (
        ("delete from reservation where attempt_id = 'call_1-1'",),
        "nothing_is_dialled_unreserved",
        ("attempt call_1-1: dialled at 2026-11-16 09:00:00+00, never reserved",),
    ),
    (
        ("update reservation set reserved_at = reserved_at + interval '1 s' where attempt_id = 'call_1-1'",),
        "nothing_is_dialled_unreserved",
        (
            "attempt call_1-1: dialled at 2026-11-16 09:00:00+00, "
            "its reservation is settled since 2026-11-16 09:00:01+00",
        ),
    ),
    (
        ("update attempt set dialled_at = reserved_at, offer_id = 'off_1' where id = 'call_4-1'",),
        "nothing_is_dialled_unreserved",
        (
            "attempt call_4-1: dialled at 2026-11-16 12:00:00+00, "
            "its reservation is denied since 2026-11-16 12:00:00+00",
        ),
    ),
)
