"""The promises, each checked again from raw rows: never from counters or balances."""

from collections.abc import Sequence
from typing import Final

import msgspec

from callmatrix.core import ledger
from callmatrix.core.call import Call, step
from callmatrix.core.call.commands import Book
from callmatrix.core.call.dialling import given_at
from callmatrix.core.call.events import BidsReturned, CapFull, Looked, PostAnswered, Reserved
from callmatrix.core.ids import CampaignId, OfferId
from callmatrix.core.ledger import CallTotals
from callmatrix.core.money import Money
from callmatrix.core.plan import CompiledPlan, PlanDocument, compile_plan
from callmatrix.core.routing import Given, Shut, decide
from callmatrix.sim.backend import CallRow, RawRows
from callmatrix.sim.changes import priced
from callmatrix.sim.recount import (
    Configured,
    Held,
    InForce,
    PlanOf,
    attempts_of,
    by_call,
    fresh,
    held_of,
    late_of,
    over_limits,
    overdrawn,
)
from callmatrix.store.promises.prices import with_higher_bid

PROMISES: Final = (
    "no_cap_is_exceeded",
    "no_concurrency_is_exceeded",
    "spacing_is_kept",
    "one_buyer_is_billed_at_most",
    "postings_sum_to_zero",
    "reports_equal_postings",
    "every_reservation_ends",
    "every_call_ends",
    "replay_gives_the_same_call",
    "repeats_change_nothing",
    "closed_offers_are_never_dialled",
    "nothing_is_dialled_unreserved",
    "a_higher_price_never_loses",
    "auctions_charge_the_clearing_price",
    "no_auction_outlasts_its_deadline",
    "payout_needs_a_publisher",
    "sold_calls_are_paid_as_bid",
    "funds_are_never_overdrawn",
    "test_calls_touch_nothing",
)
RAISED_PER_CENT: Final = 125
RAISED_EVERY: Final = 97
"""One in so many decisions of auctions is decided again with the winner's price raised."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What the promises are judged by: rows, the configurations in force, and the plans calls are pinned to.

    `repeats` are the webhooks that changed something when they came twice. One in `replay_every` calls is
    replayed.
    """

    rows: RawRows
    configured: Configured
    plan_of: PlanOf
    repeats: tuple[str, ...] = ()
    replay_every: int = 1


def check(evidence: Evidence) -> dict[str, str]:
    """The broken promises by name, each with its first counterexample; empty where all are kept."""
    rows, in_force = evidence.rows, InForce(evidence.configured)
    held = held_of(rows)
    account_id = in_force.networks[0].account.id
    over = over_limits(held, late_of(rows, evidence.plan_of), in_force, account_id=account_id)
    replayed = _replay(evidence)
    found: dict[str, str | None] = {
        "no_cap_is_exceeded": over.get("caps"),
        "no_concurrency_is_exceeded": over.get("concurrency"),
        "spacing_is_kept": over.get("spacing"),
        "one_buyer_is_billed_at_most": _billed_twice(rows),
        "postings_sum_to_zero": _unbalanced(rows),
        "reports_equal_postings": _misreported(rows),
        "every_reservation_ends": _held_for_ever(rows),
        "every_call_ends": _never_ended(rows),
        "replay_gives_the_same_call": replayed.get("replay"),
        "repeats_change_nothing": next(iter(evidence.repeats), None),
        "closed_offers_are_never_dialled": _closed_dialled(held, in_force),
        "nothing_is_dialled_unreserved": _dialled_unreserved(rows),
        "a_higher_price_never_loses": replayed.get("price"),
        "auctions_charge_the_clearing_price": _wrongly_charged(rows),
        "no_auction_outlasts_its_deadline": _outlasted(rows, evidence.plan_of),
        "payout_needs_a_publisher": _paid_nobody(rows),
        "sold_calls_are_paid_as_bid": _not_paid_as_bid(rows),
        "funds_are_never_overdrawn": overdrawn(held, rows.transactions, in_force),
        "test_calls_touch_nothing": _test_calls(rows),
    }
    assert tuple(found) == PROMISES
    return {name: text for name, text in found.items() if text is not None}


def _billed_twice(rows: RawRows) -> str | None:
    """More than one buyer charged for a call."""
    for call_id, transactions in by_call(rows.transactions).items():
        charged = {
            posting.owner_id
            for transaction in transactions
            if transaction.kind == "charge"
            for posting in transaction.postings
            if posting.account == "buyer"
        }
        if len(charged) > 1:
            return f"{call_id}: {', '.join(sorted(charged))} were charged"
    return None


def _unbalanced(rows: RawRows) -> str | None:
    keys = [transaction.key for transaction in rows.transactions]
    if len(set(keys)) != len(keys):
        return "a transaction was booked twice"
    return next((one.key for one in rows.transactions if not ledger.balanced(one)), None)


def _misreported(rows: RawRows) -> str | None:
    """A call's own amounts, which reports sum, that are not what its transactions come to."""
    transactions = by_call(rows.transactions)
    known = {row.call.id for row in rows.calls}
    stray = next((call_id for call_id in transactions if call_id not in known), None)
    if stray is not None:
        return f"{stray} has transactions and is not there"
    for row in rows.calls:
        amounts = row.call.amounts
        told = CallTotals(
            revenue=amounts.revenue,
            payout=amounts.payout,
            cost=amounts.cost,
            credited=amounts.credited,
            clawed_back=amounts.clawed_back,
        )
        booked = ledger.totals_of(transactions.get(row.call.id, ()))
        if told != booked:
            return f"{row.call.id} says {told}, its transactions {booked}"
    return None


def _held_for_ever(rows: RawRows) -> str | None:
    return next((row.attempt_id for row in rows.reservations if row.state == "held"), None)


def _never_ended(rows: RawRows) -> str | None:
    for row in rows.calls:
        call = row.call
        if call.state != "ended" or not call.cost_booked or any(not a.settled for a in call.attempts):
            return f"{call.id} is {call.state}, its attempts {[a.state for a in call.attempts]}"
    return None


def _closed_dialled(held: Sequence[Held], in_force: InForce) -> str | None:
    for one in held:
        shut = in_force.shut(one.claim, one.reserved_at)
        if shut is not None:
            return f"{one.claim.attempt_id}: {shut}"
    return None


def _dialled_unreserved(rows: RawRows) -> str | None:
    granted = {row.attempt_id for row in rows.reservations if row.state != "denied"}
    tests = {row.call.id for row in rows.calls if row.call.test}
    for attempt_id, attempt in attempts_of(rows).items():
        is_test = attempt.claim.call_id in tests
        if attempt.dialled_at is not None and attempt_id not in granted and not is_test:
            return attempt_id
    return None


def _wrongly_charged(rows: RawRows) -> str | None:
    """A call that a bid won, first charged at anything but that bid as its bidder made it."""
    transactions = by_call(rows.transactions)
    for row in rows.calls:
        billed = next((one for one in row.call.attempts if one.id == row.call.billed_attempt), None)
        if billed is None or billed.won is None:
            continue
        made = {
            result.bid.amount
            for event in row.events
            if isinstance(event, BidsReturned)
            for result in event.results
            if result.bid is not None and result.offer_id == billed.offer_id
        }
        for one in transactions.get(row.call.id, ()):
            charged = {posting.amount for posting in one.postings if posting.account == "buyer"}
            if one.kind == "charge" and one.rating_revision == 1 and not charged <= made:
                return f"{one.key} charged {charged}, the bids were {made}"
    return None


def _outlasted(rows: RawRows, plan_of: PlanOf) -> str | None:
    """Rounds of pings and posts before one dial that took longer than the campaign's auctions may."""
    for row in rows.calls:
        plan = plan_of(row.call.campaign_id, row.call.plan_version)
        spent_ms = 0
        for event in row.events:
            if isinstance(event, BidsReturned | PostAnswered):
                spent_ms += event.spent_ms
                if spent_ms > plan.campaign.auction.deadline_ms:
                    return f"{row.call.id}: {spent_ms} ms"
            elif not isinstance(event, Reserved | CapFull | Looked):
                spent_ms = 0
    return None


def _paid_nobody(rows: RawRows) -> str | None:
    """A payout to anybody but the call's own publisher."""
    publishers = {row.call.id: row.call.publisher_id for row in rows.calls}
    for transaction in rows.transactions:
        if transaction.kind != "payout" or transaction.call_id is None:
            continue
        publisher_id = publishers.get(transaction.call_id)
        paid = [one.owner_id for one in transaction.postings if one.account == "publisher"]
        if publisher_id is None or paid != [publisher_id]:
            return f"{transaction.key} paid {paid}, not {publisher_id}"
    return None


def _not_paid_as_bid(rows: RawRows) -> str | None:
    """A call that its publisher sold by a bid, and that is first paid otherwise; or a bid used twice."""
    answered: dict[str, str] = {}
    paid = {
        one.call_id: one for one in rows.transactions if one.kind == "payout" and one.rating_revision == 1
    }
    for row in rows.calls:
        sold, call_id = row.call.sold, row.call.id
        if sold is None:
            continue
        if answered.setdefault(sold.bid_id, call_id) != call_id:
            return f"{sold.bid_id} is answered by {answered[sold.bid_id]} and {call_id}"
        payout = paid.get(call_id)
        amounts = (
            [] if payout is None else [-one.amount for one in payout.postings if one.account == "publisher"]
        )
        if any(amount != sold.amount for amount in amounts):
            return f"{call_id} was paid {amounts}, and sold for {sold.amount}"
    return None


def _test_calls(rows: RawRows) -> str | None:
    tests = {row.call.id for row in rows.calls if row.call.test}
    booked = next((one.key for one in rows.transactions if one.call_id in tests), None)
    if booked is not None:
        return f"{booked} was booked for a test call"
    attempts = attempts_of(rows)
    for row in rows.reservations:
        attempt = attempts.get(row.attempt_id)
        if attempt is not None and attempt.claim.call_id in tests:
            return f"{row.attempt_id} was reserved for a test call"
    return None


# --- replay --------------------------------------------------------------------------------------------


def _replay(evidence: Evidence) -> dict[str, str]:
    """Fold the stored events of calls again; on the way, raise prices that won."""
    broken: dict[str, str] = {}
    transactions = by_call(evidence.rows.transactions)
    raised = _Raised(evidence.plan_of)
    for place, row in enumerate(evidence.rows.calls):
        if place % evidence.replay_every:
            continue
        booked = [one.key for one in transactions.get(row.call.id, ())]
        call, keys = _fold(row, evidence.plan_of(row.call.campaign_id, row.call.plan_version), raised)
        if call != row.call or sorted(keys) != sorted(booked):
            broken.setdefault("replay", f"{row.call.id}: {keys} instead of {booked}")
    if raised.lost is not None:
        broken["price"] = raised.lost
    return broken


def _fold(row: CallRow, plan: CompiledPlan, raised: "_Raised") -> tuple[Call, list[str]]:
    call = fresh(row.call)
    keys: list[str] = []
    for event in row.events:
        if isinstance(event, Looked | BidsReturned):
            raised.look(call, event, plan)
        taken = step(call, event, plan)
        call = taken.call
        keys += [one.transaction.key for one in taken.commands if isinstance(one, Book)]
    return call, keys


class _Raised:
    """Decides sampled auctions again with a higher price of their winner: it must win again."""

    def __init__(self, plan_of: PlanOf) -> None:
        self.lost: str | None = None
        self._plan_of = plan_of
        self._plans: dict[tuple[CampaignId, int, OfferId], CompiledPlan] = {}
        self._seen = 0

    def look(self, call: Call, event: Looked | BidsReturned, plan: CompiledPlan) -> None:
        if plan.campaign.plan.strategy != "auction" or call.question is None:
            return
        self._seen += 1
        if self._seen % RAISED_EVERY:
            return
        given = given_at(call, plan, event)
        chosen = decide(plan, given).chosen
        if chosen is None:
            return
        raised = self._raise(plan, chosen.offer_id)
        more = with_higher_bid(given, chosen.offer_id, by=Money(1))
        dearer = decide(raised, _translated(more, plan, raised)).chosen
        if dearer is None or dearer.offer_id != chosen.offer_id:
            self.lost = (
                f"{call.id}: {chosen.offer_id} lost to {dearer and dearer.offer_id} with a higher price"
            )

    def _raise(self, plan: CompiledPlan, offer_id: OfferId) -> CompiledPlan:
        key = (plan.campaign.id, plan.version, offer_id)
        known = self._plans.get(key)
        if known is None:
            known = self._plans[key] = compile_plan(_dearer(plan, offer_id))
        return known


def _translated(given: Given, plan: CompiledPlan, raised: CompiledPlan) -> Given:
    """The same world for a plan in which the offers stand in another order."""
    shut = tuple(
        Shut(code=one.code, mask=f"{raised.routing.translated(int(one.mask, 16), plan.routing):x}")
        for one in given.looked.shut
    )
    return msgspec.structs.replace(given, looked=msgspec.structs.replace(given.looked, shut=shut))


def _dearer(plan: CompiledPlan, offer_id: OfferId) -> PlanDocument:
    """The plan's document with one offer's price raised, wherever it stands."""
    document = plan.document
    price = priced(plan.price_of(offer_id), RAISED_PER_CENT)
    entries = tuple(
        msgspec.structs.replace(entry, price=price) if entry.offer_id == offer_id else entry
        for entry in document.campaign.plan.entries
    )
    routing = msgspec.structs.replace(document.campaign.plan, entries=entries)
    return msgspec.structs.replace(
        document,
        campaign=msgspec.structs.replace(document.campaign, plan=routing),
        offers=tuple(
            msgspec.structs.replace(offer, price=price) if offer.id == offer_id else offer
            for offer in document.offers
        ),
    )
