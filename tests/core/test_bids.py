"""Which answers of bidders are bids, what they rank by, and what a ping may carry."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import make
from callmatrix.core.auction import (
    PERSONAL_FIELDS,
    Bid,
    Lead,
    NoBid,
    Offered,
    bid_of,
    gives_away,
    judge,
    outcome,
    ping_of,
    post_of,
)
from callmatrix.core.campaign import (
    Adjustment,
    AuctionTerms,
    Bidder,
    NativeFormat,
    Offer,
    PhoneDestination,
    RuledAdjustment,
    SipDestination,
)
from callmatrix.core.documents import encode_text
from callmatrix.core.ids import OfferId
from callmatrix.core.money import Money
from callmatrix.core.pricing import BidPrice, DuplicateRule
from callmatrix.core.rules import Facts, Leaf

AT = datetime(2026, 11, 2, 15, tzinfo=UTC)
FACTS = Facts(
    at=AT,
    caller=None,
    dialed_number="+18005550100",
    caller_state="CA",
    area_code=None,
    zip=None,
    publisher_id=None,
    campaign_id=make.CAMPAIGN,
    attestation="A",
    fields={"age": "41"},
    tags={},
)
NATIVE = Bidder(format=NativeFormat(), ping_url="https://bids.example.com/ping")


def offer(bidder: Bidder = NATIVE, **changes: Any) -> Offer:
    return make.offer(1, **{"bidder": bidder, "price": BidPrice(after_s=60), **changes})


def judged(offered: Offered, *, of: Offer | None = None) -> str:
    chosen = of or offer()
    found = judge(offered, offer=chosen, price=chosen.price, currency="USD", at=AT)
    return "" if found is None else found.code


def bidder(**changes: Any) -> Bidder:
    return Bidder(**{"format": NativeFormat(), "ping_url": "https://bids.example.com/ping", **changes})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, ""),
        ({"amount": make.usd("0")}, "bad_amount"),
        ({"amount": make.usd("-4")}, "bad_amount"),
        ({"amount": make.usd("100000")}, ""),
        ({"amount": make.usd("100000.000001")}, "bad_amount"),
        ({"currency": "usd"}, ""),
        ({"currency": "EUR"}, "bad_currency"),
        ({"expires_at": AT + timedelta(seconds=4)}, ""),
        ({"expires_at": AT + timedelta(seconds=3)}, "bad_expiry"),
        ({"min_s": 60}, ""),
        ({"min_s": 61}, "terms_min_s"),
        ({"duplicate_days": 0}, ""),
        ({"duplicate_days": 1}, "terms_duplicates"),
        ({"destination": PhoneDestination(number="+16505550177")}, ""),
        ({"destination": PhoneDestination(number="+19005550177")}, "bad_destination"),
        ({"destination": PhoneDestination(number="+18765550177")}, "bad_destination"),
        ({"destination": PhoneDestination(number="+442079460018")}, "bad_destination"),
        ({"destination": SipDestination(uri="sip:a@pbx.example.com")}, ""),
    ],
)
def test_a_bid_may_be_used_unless_it_says_what_was_not_agreed(changes: dict[str, Any], code: str) -> None:
    assert judged(Offered(**{"amount": make.usd("12"), **changes})) == code


def test_the_terms_that_were_agreed_are_the_offers() -> None:
    agreed = offer(duplicates=DuplicateRule(window_days=30), price=BidPrice(after_s=120))
    assert judged(Offered(amount=make.usd("12"), min_s=120, duplicate_days=30), of=agreed) == ""
    needs = offer(bidder(destination="reply"))
    assert judged(Offered(amount=make.usd("12")), of=needs) == "bad_destination"


def test_a_bid_ranks_by_the_first_adjustment_that_holds_and_owes_what_was_bid() -> None:
    adjusted = bidder(
        adjustment=Adjustment(share_bps=9_000),
        ruled=(
            RuledAdjustment(
                rule=Leaf(subject="caller_state", operator="equal", values=("NV",)), adjustment=Adjustment()
            ),
            RuledAdjustment(
                rule=Leaf(subject="field", name="age", operator="greater", values=("40",)),
                adjustment=Adjustment(amount=make.usd("-3")),
            ),
        ),
    )
    bid = bid_of(
        Offered(amount=make.usd("12"), bid_id="b"), offer=offer(adjusted), ping_id="p", facts=FACTS, at=AT
    )
    assert bid == Bid(
        offer_id=OfferId("off_1"),
        amount=make.usd("12"),
        rank_by=make.usd("9"),
        bid_id="b",
        ping_id="p",
        expires_at=AT + timedelta(seconds=60),
    )


@given(
    st.integers(-(10**12), 10**13),
    st.integers(0, 100_000),
    st.integers(-(10**9), 10**9),
    st.integers(0, 10**6),
)
def test_a_higher_bid_never_ranks_lower(micros: int, share_bps: int, more: int, raised: int) -> None:
    changed = offer(bidder(adjustment=Adjustment(share_bps=share_bps, amount=Money(more))))

    def ranked(amount: int) -> Money | None:
        said = outcome(
            Offered(amount=Money(amount)),
            offer=changed,
            price=changed.price,
            currency="USD",
            ping_id="p",
            facts=FACTS,
            at=AT,
        )
        return said.ranked if isinstance(said, Bid) else None

    before, after = ranked(micros), ranked(micros + raised)
    assert before is None or after is None or after >= before


def test_an_answer_without_a_bid_stays_one() -> None:
    none = NoBid(code="no_bid", detail="Full")
    said = outcome(none, offer=offer(), price=BidPrice(), currency="USD", ping_id="p", facts=FACTS, at=AT)
    assert said == none


# --- privacy -------------------------------------------------------------------------------------------

NUMBERS = st.integers(2_000_000_000, 9_999_999_999).map(lambda digits: f"+1{digits}")
TEXTS = st.text(max_size=20)


@st.composite
def leads(draw: st.DrawFn) -> Lead:
    number = draw(NUMBERS)
    spelled = st.sampled_from(
        (number, number[2:], f"({number[2:5]}) {number[5:8]}-{number[8:]}", ".".join(number[2:]))
    )
    names = st.sampled_from((*sorted(PERSONAL_FIELDS), "age", "service", "note", "zip"))
    fields = draw(st.dictionaries(names, st.one_of(TEXTS, spelled), max_size=8))
    return Lead(
        id="call_1",
        channel="call",
        vertical="plumbing",
        number=number,
        state="CA",
        zip="94105",
        area_code=number[2:5],
        fields=fields,
        shared=tuple(sorted(fields)),
        source="pub_1",
        consent=f"I agree to be called at {number}",
    )


@given(leads(), st.booleans(), st.booleans())
def test_no_ping_tells_who_somebody_is_but_by_the_consent_of_offer_and_campaign(
    lead: Lead, by_offer: bool, by_campaign: bool
) -> None:
    ping = ping_of(
        lead,
        ping_id="call_1-1-off_1",
        at=AT,
        deadline_ms=2_000,
        bidder=bidder(share_number=by_offer),
        auction=AuctionTerms(share_number=by_campaign),
    )
    assert lead.number is not None
    assert not PERSONAL_FIELDS & set(ping.fields)
    assert ping.source == ""
    assert "agree" not in encode_text(ping)
    if by_offer and by_campaign:
        assert ping.number == lead.number
    else:
        assert ping.number is None
        assert not any(gives_away(value, lead.number) for value in ping.fields.values())
        assert lead.number[-7:] not in encode_text(ping.fields)


@given(leads())
def test_the_winner_is_told_everything(lead: Lead) -> None:
    told = post_of(lead, offer_id=OfferId("off_1"), ping_id="p", bid_id="b", amount=make.usd("3"), at=AT)
    assert (told.number, told.fields, told.consent) == (lead.number, lead.fields, lead.consent)
