"""The ledger: every transaction sums to zero, is written once, and is corrected by another."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callmatrix.core import ledger
from callmatrix.core.ids import BuyerId, CallId, ConnectionId, NumberId, PublisherId
from callmatrix.core.ledger import (
    CallTotals,
    Posting,
    Statement,
    StatementLine,
    Transaction,
    balance_of,
    balanced,
    funds_of,
    statement,
    totals_of,
)
from callmatrix.core.money import ZERO, Money
from callmatrix.core.pricing import Difference

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
CALL, BUYER, PUBLISHER = CallId("call_1"), BuyerId("buy_1"), PublisherId("pub_1")
CARRIER, NUMBER = ConnectionId("con_1"), NumberId("num_1")

amounts = st.integers(1, 10**12).map(Money)


def usd(text: str) -> Money:
    return Money.parse(text)


def all_kinds(amount: Money, at: datetime = AT) -> tuple[Transaction, ...]:
    return (
        ledger.charge(call_id=CALL, revision=1, at=at, buyer_id=BUYER, amount=amount),
        ledger.payout(call_id=CALL, revision=1, at=at, publisher_id=PUBLISHER, amount=amount),
        ledger.cost(call_id=CALL, revision=1, at=at, connection_id=CARRIER, amount=amount),
        ledger.number_rent(
            number_id=NUMBER, day=date(2026, 3, 2), at=at, connection_id=CARRIER, amount=amount
        ),
        ledger.credit(call_id=CALL, revision=2, at=at, buyer_id=BUYER, amount=amount, reason="wrong state"),
        ledger.clawback(
            call_id=CALL, revision=2, at=at, publisher_id=PUBLISHER, amount=amount, reason="wrong state"
        ),
        ledger.deposit(deposit_id="dep_1", at=at, buyer_id=BUYER, amount=amount),
        ledger.disbursement(disbursement_id="dis_1", at=at, publisher_id=PUBLISHER, amount=amount),
    )


def postings(transactions: tuple[Transaction, ...]) -> list[Posting]:
    return [posting for transaction in transactions for posting in transaction.postings]


def test_every_kind_moves_the_two_accounts_that_it_names_with_their_signs() -> None:
    moved = {
        transaction.kind: {(p.account, p.owner_id): str(p.amount) for p in transaction.postings}
        for transaction in all_kinds(usd("7"))
    }
    assert moved == {
        "charge": {("buyer", BUYER): "7.00", ("revenue", ""): "-7.00"},
        "payout": {("payout", ""): "7.00", ("publisher", PUBLISHER): "-7.00"},
        "cost": {("carrier_cost", ""): "7.00", ("carrier", CARRIER): "-7.00"},
        "number_rent": {("carrier_cost", ""): "7.00", ("carrier", CARRIER): "-7.00"},
        "credit": {("adjustments", ""): "7.00", ("buyer", BUYER): "-7.00"},
        "clawback": {("publisher", PUBLISHER): "7.00", ("adjustments", ""): "-7.00"},
        "deposit": {("cash", ""): "7.00", ("buyer", BUYER): "-7.00"},
        "disbursement": {("publisher", PUBLISHER): "7.00", ("cash", ""): "-7.00"},
    }


@given(amounts)
def test_every_transaction_sums_to_zero(amount: Money) -> None:
    assert all(balanced(transaction) for transaction in all_kinds(amount))


def test_a_transaction_that_does_not_sum_to_zero_is_known() -> None:
    one_sided = Transaction(
        key="k",
        kind="charge",
        at=AT,
        postings=(Posting(account="buyer", owner_id=BUYER, amount=usd("1")),),
    )
    assert not balanced(one_sided)


def test_rule_21_keys_name_the_call_the_kind_and_the_revision() -> None:
    assert [transaction.key for transaction in all_kinds(usd("1"))] == [
        "call_1/charge/1",
        "call_1/payout/1",
        "call_1/cost/1",
        "num_1/number_rent/2026-03-02",
        "call_1/credit/2",
        "call_1/clawback/2",
        "dep_1/deposit",
        "dis_1/disbursement",
    ]


def test_rule_21_a_correction_posts_the_difference_of_each_side_that_changed() -> None:
    lower = Difference(call_id=CALL, revision=2, revenue=usd("-5"), payout=usd("1"))
    only_payout = Difference(call_id=CALL, revision=3, payout=usd("-1"))
    nothing = Difference(call_id=CALL, revision=4)
    posted = [
        ledger.correction(difference, at=AT, buyer_id=BUYER, publisher_id=PUBLISHER, reason="price of March")
        for difference in (lower, only_payout, nothing)
    ]
    assert posted == [
        (
            ledger.charge(
                call_id=CALL, revision=2, at=AT, buyer_id=BUYER, amount=usd("-5"), reason="price of March"
            ),
            ledger.payout(
                call_id=CALL,
                revision=2,
                at=AT,
                publisher_id=PUBLISHER,
                amount=usd("1"),
                reason="price of March",
            ),
        ),
        (
            ledger.payout(
                call_id=CALL,
                revision=3,
                at=AT,
                publisher_id=PUBLISHER,
                amount=usd("-1"),
                reason="price of March",
            ),
        ),
        (),
    ]


@given(st.lists(st.integers(-(10**9), 10**9).map(Money), min_size=1, max_size=6))
def test_rule_21_after_any_corrections_the_ledger_stands_at_the_last_rating(ratings: list[Money]) -> None:
    posted: list[Transaction] = []
    before = ZERO
    for revision, amount in enumerate(ratings, start=1):
        difference = Difference(call_id=CALL, revision=revision, revenue=amount - before)
        posted += ledger.correction(difference, at=AT, buyer_id=BUYER, publisher_id=None)
        before = amount
    assert len({transaction.key for transaction in posted}) == len(posted)
    assert balance_of(postings(tuple(posted)), account="buyer", owner_id=BUYER) == ratings[-1]
    assert balance_of(postings(tuple(posted)), account="revenue") == -ratings[-1]
    assert totals_of(posted).revenue == ratings[-1]


def test_rule_23_credit_in_part_and_clawback_in_full_leave_what_can_still_be_adjusted() -> None:
    totals = totals_of(
        (
            ledger.charge(call_id=CALL, revision=1, at=AT, buyer_id=BUYER, amount=usd("25")),
            ledger.payout(call_id=CALL, revision=1, at=AT, publisher_id=PUBLISHER, amount=usd("15")),
            ledger.cost(call_id=CALL, revision=1, at=AT, connection_id=CARRIER, amount=usd("0.06")),
            ledger.credit(
                call_id=CALL, revision=2, at=AT, buyer_id=BUYER, amount=usd("10"), reason="no answer"
            ),
            ledger.clawback(
                call_id=CALL, revision=2, at=AT, publisher_id=PUBLISHER, amount=usd("15"), reason="no answer"
            ),
        )
    )
    assert totals == CallTotals(
        revenue=usd("25"),
        payout=usd("15"),
        cost=usd("0.06"),
        credited=usd("10"),
        clawed_back=usd("15"),
    )
    assert (totals.revenue_left, totals.payout_left) == (usd("15"), ZERO)


def test_rule_23_an_adjustment_has_a_positive_amount_and_a_reason() -> None:
    for amount, reason in ((ZERO, "no answer"), (usd("-1"), "no answer"), (usd("1"), "")):
        with pytest.raises(AssertionError):
            ledger.credit(call_id=CALL, revision=2, at=AT, buyer_id=BUYER, amount=amount, reason=reason)
        with pytest.raises(AssertionError):
            ledger.clawback(
                call_id=CALL, revision=2, at=AT, publisher_id=PUBLISHER, amount=amount, reason=reason
            )


def test_rule_15_funds_are_what_was_paid_ahead_less_what_is_owed() -> None:
    books = postings(
        (
            ledger.deposit(deposit_id="dep_1", at=AT, buyer_id=BUYER, amount=usd("100")),
            ledger.charge(call_id=CALL, revision=1, at=AT, buyer_id=BUYER, amount=usd("130")),
            ledger.charge(call_id=CALL, revision=1, at=AT, buyer_id=BuyerId("buy_2"), amount=usd("9")),
            ledger.credit(
                call_id=CALL, revision=2, at=AT, buyer_id=BUYER, amount=usd("5"), reason="no answer"
            ),
        )
    )
    assert funds_of(books, buyer_id=BUYER) == usd("-25")


MARCH, APRIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


def test_a_statement_has_a_line_per_kind_between_its_balances() -> None:
    books = (
        ledger.deposit(
            deposit_id="dep_1", at=MARCH - timedelta(microseconds=1), buyer_id=BUYER, amount=usd("50")
        ),
        ledger.charge(call_id=CALL, revision=1, at=MARCH, buyer_id=BUYER, amount=usd("25")),
        ledger.payout(call_id=CALL, revision=1, at=MARCH, publisher_id=PUBLISHER, amount=usd("15")),
        ledger.charge(call_id=CALL, revision=2, at=AT, buyer_id=BUYER, amount=usd("-5")),
        ledger.credit(call_id=CALL, revision=3, at=AT, buyer_id=BUYER, amount=usd("4"), reason="no answer"),
        ledger.charge(call_id=CallId("call_2"), revision=1, at=APRIL, buyer_id=BUYER, amount=usd("25")),
    )
    of_buyer = statement(
        books, account="buyer", owner_id=BUYER, starts_at=MARCH, ends_at=APRIL, opening=usd("10")
    )
    assert of_buyer == Statement(
        account="buyer",
        owner_id=BUYER,
        starts_at=MARCH,
        ends_at=APRIL,
        opening=usd("-40"),
        lines=(
            StatementLine(kind="charge", count=2, amount=usd("20")),
            StatementLine(kind="credit", count=1, amount=usd("-4")),
        ),
        closing=usd("-24"),
    )
    of_publisher = statement(books, account="publisher", owner_id=PUBLISHER, starts_at=MARCH, ends_at=APRIL)
    assert of_publisher.lines == (StatementLine(kind="payout", count=1, amount=usd("-15")),)


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(-(10**9), 10**9)), max_size=30),
    st.integers(0, 100),
    st.integers(0, 100),
)
def test_rule_21_one_statement_closes_where_the_next_opens(
    charges: list[tuple[int, int]], one: int, other: int
) -> None:
    books = tuple(
        ledger.charge(
            call_id=CallId(f"call_{number}"),
            revision=1,
            at=MARCH + timedelta(hours=hours),
            buyer_id=BUYER,
            amount=Money(micros),
        )
        for number, (hours, micros) in enumerate(charges)
    )
    cut, end = (MARCH + timedelta(hours=hours) for hours in sorted((one, other)))
    first = statement(books, account="buyer", owner_id=BUYER, starts_at=MARCH, ends_at=cut)
    second = statement(books, account="buyer", owner_id=BUYER, starts_at=cut, ends_at=end)
    assert first.opening == ZERO
    assert first.closing == second.opening
    assert second.closing == sum((t.postings[0].amount for t in books if t.at < end), start=ZERO)
