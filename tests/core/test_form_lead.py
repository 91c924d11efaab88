"""A form's machine: screened, auctioned, claimed, posted, sold once; total, and settled to the cent."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import make
from callmatrix.core.auction import Bid, PingResult, ping_of
from callmatrix.core.call.commands import Book, Look, Ping, Post, Reserve, Settle
from callmatrix.core.campaign import Bidder, FormTerms, NativeFormat, Offer, offer_problems
from callmatrix.core.caps import Owner, Settlement
from callmatrix.core.documents import encode_text
from callmatrix.core.ids import CallId, LeadId
from callmatrix.core.lead import OVER, Consent, Contact, FormLead, Step, events, lead_of, step
from callmatrix.core.lead.facts import CONTACT_FIELDS
from callmatrix.core.ledger import balanced
from callmatrix.core.money import ZERO, Money
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import (
    BidPrice,
    DuplicateRule,
    FixedPrice,
    MinutePrice,
    PastCall,
    PublisherTerms,
    SharePayout,
)
from callmatrix.core.routing import Looked

AT = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)
PHONE = "+13125550142"
BIDDER = Bidder(
    format=NativeFormat(), ping_url="https://bids.example.com/ping", post_url="https://bids.example.com/post"
)


def form_offer(number: int = 1, **changes: Any) -> Offer:
    given = {"price": BidPrice(), "bidder": BIDDER, "channels": ("form",)}
    return make.offer(number, **{**given, **changes})


def lead(**changes: Any) -> FormLead:
    given = {"id": LeadId("lead_1"), "account_id": make.ACCOUNT, "campaign_id": make.CAMPAIGN}
    return FormLead(**{**given, "plan_version": 1, **changes})


def submitted(**changes: Any) -> events.Submitted:
    given = {
        "at": AT,
        "contact": Contact(phone=PHONE, name="Ada Example", email="ada@example.com", zip="60601"),
        "fields": {"roof_age": "20"},
        "consent": Consent(text="Call me.", at=AT),
        "publisher_id": make.PUBLISHER,
    }
    return events.Submitted(**{**given, **changes})


def looked(**changes: Any) -> events.Looked:
    return events.Looked(**{"at": AT, "draw": 1, "world": Looked(), **changes})


def bids(number_to_amount: dict[int, str], *, round_number: int = 1) -> events.BidsReturned:
    results = tuple(
        PingResult(
            offer_id=make.offer(number).id,
            ping_id=f"png_{number}",
            bid=Bid(
                offer_id=make.offer(number).id,
                amount=make.usd(amount),
                bid_id=f"bid-{number}",
                ping_id=f"png_{number}",
                expires_at=AT + timedelta(minutes=10),
            )
            if amount
            else None,
            code="" if amount else "no_bid",
        )
        for number, amount in number_to_amount.items()
    )
    return events.BidsReturned(
        at=AT, draw=1, world=Looked(), round=round_number, results=results, spent_ms=80
    )


def answered(number: int, **changes: Any) -> events.PostAnswered:
    return events.PostAnswered(**{"at": AT, "attempt_id": f"lead_1-{number}", **changes})


def reserved(number: int) -> events.Reserved:
    return events.Reserved(at=AT, attempt_id=f"lead_1-{number}")


def take(plan: CompiledPlan, *taken: events.Event, since: FormLead | None = None) -> Step:
    """The last step of these events."""
    now = since or lead()
    done = None
    for event in taken:
        done = step(now, event, plan)
        now = done.lead
    assert done is not None
    return done


def codes(done: Step) -> list[str]:
    return [note.code for note in done.trace.notes]


def test_the_highest_bid_gets_the_form_and_owes_what_it_bid() -> None:
    plan = make.plan(form_offer(1), form_offer(2), form_offer(3))
    asked = take(plan, submitted(), looked())
    assert asked.commands == (Ping(round=1, offer_ids=("off_1", "off_2", "off_3"), deadline_ms=2_000),)
    claimed = take(plan, bids({1: "12", 2: "31.50", 3: ""}), since=asked.lead)
    (reserve,) = claimed.commands
    assert isinstance(reserve, Reserve)
    assert (reserve.claim.offer_id, reserve.claim.revenue_max) == ("off_2", make.usd("31.50"))
    assert reserve.claim.payout_max == make.usd("15.75")
    posting = take(plan, reserved(1), since=claimed.lead)
    assert posting.commands == (Post(attempt_id="lead_1-1", deadline_ms=1_500),)
    sold = take(plan, answered(1, reference="r-1"), since=posting.lead)
    settle, charge, payout = sold.commands
    assert settle == Settle(
        settlement=Settlement(
            attempt_id="lead_1-1",
            connected=True,
            converted=True,
            paid=True,
            revenue=make.usd("31.50"),
            payout=make.usd("15.75"),
        )
    )
    assert isinstance(charge, Book)
    assert isinstance(payout, Book)
    assert [
        (one.transaction.key, one.transaction.call_id, one.transaction.lead_id) for one in (charge, payout)
    ] == [("lead_1/charge/1", None, "lead_1"), ("lead_1/payout/1", None, "lead_1")]
    assert (sold.lead.state, sold.lead.end_reason, sold.lead.sold_at) == ("sold", "sold", AT)
    assert sold.lead.sold_to == sold.lead.attempts[0]


def test_whoever_refuses_the_post_owes_nothing_and_the_runner_up_gets_it() -> None:
    plan = make.plan(form_offer(1), form_offer(2))
    done = take(
        plan,
        submitted(),
        looked(),
        bids({1: "12", 2: "31.50"}),
        reserved(1),
        answered(1, code="no_bid", detail="Duplicate"),
    )
    assert done.commands == (Settle(settlement=Settlement(attempt_id="lead_1-1")), Look())
    sold = take(plan, looked(), reserved(2), answered(2), since=done.lead)
    assert [(one.offer_id, one.state) for one in sold.lead.attempts] == [
        ("off_2", "declined"),
        ("off_1", "accepted"),
    ]
    assert sold.lead.amounts.revenue == make.usd("12")


def test_a_fixed_price_sells_without_a_ping() -> None:
    price = FixedPrice(amount=make.usd("9"))
    plan = make.plan(form_offer(price=price))
    done = take(plan, submitted(), looked(), reserved(1), answered(1))
    assert (done.lead.state, done.lead.amounts.revenue) == ("sold", make.usd("9"))


def test_nobody_left_is_unsold_with_the_reason() -> None:
    plan = make.plan(form_offer(1), make.offer(2))
    done = take(plan, submitted(), looked(), bids({1: ""}))
    assert (done.lead.state, done.lead.end_reason, done.commands) == ("unsold", "nobody_eligible", ())


def test_a_refused_claim_goes_on_to_the_next_offer() -> None:
    plan = make.plan(form_offer(1, price=FixedPrice(amount=make.usd("9"))), form_offer(2))
    full = events.CapFull(
        at=AT, attempt_id="lead_1-1", code="cap_full", owner=Owner(kind="buyer", id="buy_2")
    )
    done = take(plan, submitted(), looked(), bids({2: "20"}), full, looked())
    (reserve,) = done.commands
    assert isinstance(reserve, Reserve)
    assert (reserve.claim.attempt_id, reserve.claim.offer_id) == ("lead_1-2", "off_1")


@pytest.mark.parametrize(
    ("changes", "terms", "code"),
    [
        ({"blocked_by": "blk_1"}, {}, "block_list"),
        ({"publisher_paused": True}, {}, "publisher_paused"),
        ({"campaign_status": "paused"}, {}, "campaign_paused"),
        ({"campaign_open": False}, {}, "campaign_closed"),
        ({"fields": {"website": "http://spam.example"}}, {"trap": "website"}, "trap_filled"),
        ({"contact": Contact(phone="+18005550100")}, {}, "phone_kind"),
        ({"previous_at": AT - timedelta(seconds=59)}, {}, "repeat"),
    ],
)
def test_spam_and_what_may_not_come_now_is_refused_before_anybody_is_asked(
    changes: dict[str, Any], terms: dict[str, Any], code: str
) -> None:
    plan = make.plan(form_offer(), form=FormTerms(**terms))
    done = take(plan, submitted(**changes))
    assert (done.lead.state, done.lead.rejected, done.commands) == ("rejected", code, ())


def test_the_same_phone_a_little_later_is_no_repeat() -> None:
    plan = make.plan(form_offer())
    assert take(plan, submitted(previous_at=AT - timedelta(seconds=60))).commands == (Look(),)


def test_a_test_chooses_and_touches_nothing() -> None:
    plan = make.plan(form_offer(price=FixedPrice(amount=make.usd("9"))))
    done = take(plan, submitted(test=True, pings=False, campaign_status="draft"), looked())
    assert (done.lead.state, done.commands, codes(done)) == ("tested", (), ["test_chosen"])


def test_a_fixed_price_of_a_bidder_that_is_paused_or_on_trial_gets_no_form() -> None:
    price = FixedPrice(amount=make.usd("9"))
    offers = (
        form_offer(1, price=price, bidder=replace(BIDDER, mode="paused")),
        form_offer(2, price=price, bidder=replace(BIDDER, mode="simulate")),
    )
    done = take(make.plan(*offers), submitted(), looked())
    assert done.trace.decision is not None
    assert [(shut.code, shut.mask) for shut in done.trace.decision.removed] == [("paused", "3")]
    assert done.lead.end_reason == "nobody_eligible"


def test_a_claim_that_is_asked_for_again_and_found_paused_goes_back() -> None:
    plan = make.plan(form_offer(price=FixedPrice(amount=make.usd("9"))))
    paused = events.CapFull(
        at=AT, attempt_id="lead_1-1", code="paused", owner=Owner(kind="offer", id="off_1")
    )
    done = take(plan, submitted(), looked(), paused)
    assert done.commands == (Settle(settlement=Settlement(attempt_id="lead_1-1")), Look())


def test_a_lead_that_takes_too_long_is_not_sold_any_more() -> None:
    plan = make.plan(form_offer(1), form_offer(2), form=FormTerms(sell_within_s=30))
    late = answered(1, code="no_bid", at=AT + timedelta(seconds=30))
    done = take(plan, submitted(), looked(), bids({1: "12", 2: "9"}), reserved(1), late)
    assert (done.lead.state, done.lead.end_reason) == ("unsold", "out_of_time")


def test_a_lead_is_posted_to_no_more_buyers_than_the_plan_allows() -> None:
    offers = tuple(form_offer(number) for number in (1, 2, 3))
    plan = make.plan(*offers, plan=make.routing_plan(*offers, max_attempts=2))
    done = take(plan, submitted(), looked(), bids({1: "3", 2: "2", 3: "1"}))
    for number in (1, 2):
        done = take(plan, reserved(number), answered(number, code="no_bid"), since=done.lead)
        if done.lead.state not in OVER:
            done = take(plan, looked(), since=done.lead)
    assert (done.lead.state, done.lead.end_reason) == ("unsold", "attempts_used_up")


def test_a_post_that_nobody_answers_is_never_sent_again_and_is_looked_at() -> None:
    plan = make.plan(form_offer(1), form_offer(2))
    posting = take(plan, submitted(), looked(), bids({1: "12", 2: "9"}), reserved(1))
    done = take(plan, events.TimedOut(at=AT, what="question"), since=posting.lead)
    assert done.commands == (Settle(settlement=Settlement(attempt_id="lead_1-1")), Look())
    assert done.lead.review == "post_unanswered"
    sold = take(plan, looked(), reserved(2), answered(2), since=done.lead)
    assert sold.lead.sold_to is not None
    assert sold.lead.sold_to.offer_id == "off_2"
    late = take(plan, answered(1), since=sold.lead)
    assert (late.commands, late.lead.review, codes(late)) == ((), "accepted_late", ["answer_too_late"])
    assert late.lead.amounts == sold.lead.amounts


def test_questions_of_a_lost_process_are_asked_again_but_for_posts() -> None:
    plan = make.plan(form_offer(1))
    lost = events.TimedOut(at=AT, what="question")
    asked = take(plan, submitted(), looked())
    again = take(plan, lost, since=asked.lead)
    assert again.commands == (Ping(round=2, offer_ids=("off_1",), deadline_ms=2_000),)
    claimed = take(plan, bids({1: "12"}, round_number=2), since=again.lead)
    assert take(plan, lost, since=claimed.lead).commands == claimed.commands
    assert take(plan, bids({1: "99"}), since=claimed.lead).commands == ()


def test_a_person_who_was_sold_before_is_not_sold_to_the_same_buyer_again() -> None:
    rule = DuplicateRule(window_days=30)
    plan = make.plan(form_offer(1, duplicates=rule), form_offer(2))
    past = PastCall(
        call_id=CallId("call_9"),
        campaign_id=make.CAMPAIGN,
        connected_at=AT - timedelta(days=3),
        converted_at=AT - timedelta(days=3),
        offer_id=make.offer(1).id,
        buyer_id=make.buyer(1).id,
    )
    asked = take(plan, submitted(), looked(world=Looked(history=(past,))))
    assert asked.commands == (Ping(round=1, offer_ids=("off_2",), deadline_ms=2_000),)
    at_once = replace(past, converted_at=AT, connected_at=AT, call_id=CallId("call_8"))
    raced = take(
        plan,
        submitted(),
        looked(),
        bids({1: "12", 2: ""}),
        reserved(1),
        answered(1, at=AT + timedelta(seconds=1), history=(at_once,)),
    )
    assert (raced.lead.state, raced.lead.amounts.revenue) == ("sold", ZERO)
    assert raced.lead.rating is not None
    assert raced.lead.rating.revenue_reason.code == "duplicate"


def test_terms_that_ask_for_a_duration_earn_nothing_of_a_form() -> None:
    terms = PublisherTerms(payout=FixedPrice(amount=make.usd("5"), after_s=60))
    plan = make.plan(form_offer(1), publishers=(make.publisher(terms=terms),))
    done = take(plan, submitted(), looked(), bids({1: "12"}), reserved(1), answered(1))
    assert (done.lead.amounts.revenue, done.lead.amounts.payout) == (make.usd("12"), ZERO)
    assert done.lead.attempts[0].claim.payout_max == ZERO


def test_an_offer_is_refused_by_its_margin_for_what_a_form_can_earn_and_no_more() -> None:
    dear = FixedPrice(amount=make.usd("25"), after_s=0)
    at_once = make.plan(form_offer(1), publishers=(make.publisher(terms=PublisherTerms(payout=dear)),))
    assert take(at_once, submitted(), looked(), bids({1: "12"})).lead.end_reason == "nobody_eligible"
    later = PublisherTerms(payout=replace(dear, after_s=60))
    never = make.plan(form_offer(1), publishers=(make.publisher(terms=later),))
    assert take(never, submitted(), looked(), bids({1: "12"})).lead.state == "reserving"


def test_no_more_is_given_back_than_was_booked_and_the_same_only_once() -> None:
    plan = make.plan(form_offer(1))
    sold = take(plan, submitted(), looked(), bids({1: "12"}), reserved(1), answered(1))
    back = events.Adjusted(
        at=AT, credit=make.usd("5"), clawback=make.usd("2"), reason="Wrong person", by="Ann", id="adj_1"
    )
    given_back = take(plan, back, since=sold.lead)
    booked = [one.transaction for one in given_back.commands if isinstance(one, Book)]
    assert [one.key for one in booked] == ["lead_1/credit/2", "lead_1/clawback/2"]
    assert all(balanced(one) for one in booked)
    assert take(plan, back, since=given_back.lead).commands == ()
    too_much = replace(back, credit=make.usd("7.01"), id="adj_2")
    assert codes(take(plan, too_much, since=given_back.lead)) == ["more_than_left"]


def test_the_winner_is_told_everything_and_the_bidders_what_the_campaign_shares() -> None:
    plan = make.plan(form_offer(1), form=FormTerms(shared_fields=("roof_age", "email")))
    told = lead_of(take(plan, submitted(source_url="https://roofs.example/quote")).lead, plan, AT)
    assert told.fields == {
        "roof_age": "20",
        "name": "Ada Example",
        "email": "ada@example.com",
        "zip": "60601",
        "source_url": "https://roofs.example/quote",
    }
    assert (told.number, told.state, told.shared) == (PHONE, "IL", ("roof_age",))
    assert (told.consent, told.consented_at) == ("Call me.", AT)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"price": MinutePrice(rate=Money(1))}, ["price"]),
        ({"price": BidPrice(after_s=30)}, ["price"]),
        ({"converts_on": "postback"}, ["converts_on"]),
        ({"bidder": None}, ["bidder"]),
        ({"bidder": replace(BIDDER, post_url=None)}, ["bidder.post_url"]),
        ({}, []),
        ({"channels": ("call",), "price": make.fixed(), "bidder": None}, []),
    ],
)
def test_an_offer_that_takes_forms_has_a_price_without_duration_and_somebody_to_post_to(
    changes: dict[str, Any], fields: list[str]
) -> None:
    assert [one.field for one in offer_problems(form_offer(**changes))] == fields


# --- laws ------------------------------------------------------------------------------------------------

MARKED = st.text(alphabet="abcdefgh", min_size=3, max_size=12).map("zq".__add__)


@given(
    contact=st.builds(
        Contact,
        phone=st.from_regex(r"\+1312555[0-9]{4}", fullmatch=True),
        name=MARKED,
        first_name=MARKED,
        last_name=MARKED,
        email=MARKED.map("{}@example.com".format),
        address=MARKED,
    ),
    said=st.dictionaries(st.sampled_from(["email", "name", "phone", "notes", "roof_age"]), MARKED),
    repeats_number=st.booleans(),
)
def test_no_ping_says_who_sent_the_form_whatever_the_campaign_shares(
    contact: Contact, said: dict[str, str], repeats_number: bool
) -> None:
    said = {name: text.replace("zq", "free ") for name, text in said.items()}
    if repeats_number:
        said["notes"] = f"call {contact.phone[2:5]}-{contact.phone[5:8]}-{contact.phone[8:]}"
    shared = (*CONTACT_FIELDS, "phone", "notes", "roof_age", "source_url", "ip_address")
    plan = make.plan(form_offer(1), form=FormTerms(shared_fields=shared))
    came = submitted(contact=contact, fields=said, source_url="https://zqform.example", ip="203.0.113.9")
    sent = lead_of(take(plan, came).lead, plan, AT)
    ping = ping_of(
        sent, ping_id="png_1", at=AT, deadline_ms=100, bidder=BIDDER, auction=plan.campaign.auction
    )
    told = encode_text(ping)
    assert "zq" not in told
    assert "203.0.113.9" not in told
    assert contact.phone[-4:] not in told.replace("-", "").partition('"fields"')[2]
    assert ping.fields.keys() <= {"notes", "roof_age"}


LAW_PLAN = make.plan(
    form_offer(1),
    form_offer(2, price=FixedPrice(amount=make.usd("9"))),
    form_offer(3),
    publishers=(make.publisher(terms=PublisherTerms(payout=SharePayout(share_bps=3_333))),),
)
ANY_EVENT = st.one_of(
    st.just(submitted()),
    st.just(looked()),
    st.builds(
        bids,
        st.dictionaries(st.sampled_from([1, 3]), st.sampled_from(["", "7", "12.345678"]), min_size=1),
        round_number=st.integers(1, 3),
    ),
    st.builds(reserved, st.integers(1, 4)),
    st.builds(
        lambda number: events.CapFull(
            at=AT, attempt_id=f"lead_1-{number}", code="cap_full", owner=Owner(kind="buyer", id="buy_1")
        ),
        st.integers(1, 4),
    ),
    st.builds(
        lambda number, code: answered(number, code=code),
        st.integers(1, 4),
        st.sampled_from(["", "no_bid", "timed_out"]),
    ),
    st.just(events.TimedOut(at=AT, what="question")),
    st.builds(
        lambda credit, clawback, name: events.Adjusted(
            at=AT, credit=make.usd(credit), clawback=make.usd(clawback), reason="Why", by="Ann", id=name
        ),
        st.sampled_from(["0", "3"]),
        st.sampled_from(["0", "1"]),
        st.sampled_from(["a", "b"]),
    ),
)


@given(st.lists(ANY_EVENT, max_size=25))
def test_whatever_comes_one_buyer_pays_at_most_and_every_claim_ends_once(taken: list[events.Event]) -> None:
    now = lead()
    claims: set[str] = set()
    posts: list[str] = []
    settled: list[str] = []
    charged: dict[str, int] = {}
    for event in (submitted(), looked(), *taken):
        done = step(now, event, LAW_PLAN)
        now = done.lead
        for command in done.commands:
            match command:
                case Reserve(claim=claim):
                    claims.add(claim.attempt_id)
                case Post(attempt_id=attempt_id):
                    posts.append(attempt_id)
                case Settle(settlement=settlement):
                    settled.append(settlement.attempt_id)
                case Book(transaction=transaction):
                    assert balanced(transaction)
                    assert transaction.key not in charged
                    charged[transaction.key] = transaction.postings[0].amount.micros
                case _:
                    pass
    assert len(posts) == len(set(posts))
    accepted = [one for one in now.attempts if one.state == "accepted"]
    assert len(accepted) <= 1
    assert (now.state == "sold") == bool(accepted)
    if now.state in OVER:
        refused = {one.id for one in now.attempts if one.state == "refused"}
        assert claims - refused <= set(settled)
    kinds = [key.split("/")[1] for key in charged]
    assert kinds.count("charge") == int(bool(accepted) and bool(now.amounts.revenue))
    sums = {
        kind: sum(micros for key, micros in charged.items() if f"/{kind}/" in key)
        for kind in ("charge", "payout", "credit", "clawback")
    }
    amounts = now.amounts
    assert sums == {
        "charge": amounts.revenue.micros,
        "payout": amounts.payout.micros,
        "credit": amounts.credited.micros,
        "clawback": amounts.clawed_back.micros,
    }
    assert sums["credit"] <= sums["charge"]
    assert sums["clawback"] <= sums["payout"]
