"""What of a request and its answer may be kept: whatever way a number or a secret is written."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callmatrix.core.auction import Lead, NoBid, gives_away, ping_of
from callmatrix.core.campaign import (
    AuctionTerms,
    Bidder,
    BidderFormat,
    NativeFormat,
    ReadField,
    RetreaverFormat,
    RingbaFormat,
    TemplateFormat,
    TrackDriveFormat,
)
from callmatrix.core.documents import encode
from callmatrix.dialects.bidders import ping_request
from callmatrix.dialects.http import HttpRequest
from callmatrix.live.redaction import kept_reply, kept_request, kept_text, spellings, without_number

NUMBER = "+14155550199"
SECRET = 'tö"k/e&n+1'


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("+14155550199", "+1415•••••99"),
        ('{"CID":"14155550199"}', '{"CID":"1415•••••99"}'),
        ("caller=%2B14155550199&zip=94105", "caller=%2B1415•••••99&zip=94105"),
        ("(415) 555-0199", "(415) •••-••99"),
        ("415%2D555%2D0199", "415%2D•••%2D••99"),
        ("415&#45;555&#x2d;0199", "415&#45;•••&#x2d;••99"),
        ("415\\u002d555\\u002d0199", "415\\u002d•••\\u002d••99"),
        ("5550%31%39%39", "•••••••%39%39"),
        ('{"area":"415","exchange":"555","line":"0199"}', '{"area":"415","exchange":"•••","line":"••99"}'),
        ("5550199, again 5550199", "•••••99, again •••••99"),
        ("+14155550188", "+14155550188"),
        ("nothing 555 here", "nothing 555 here"),
    ],
)
def test_a_number_is_masked_however_it_is_written(written: str, kept: str) -> None:
    assert without_number(written, NUMBER) == kept


def test_a_number_abroad_keeps_no_more_than_its_country_and_end() -> None:
    assert without_number("tel +442079460958.", "+442079460958") == "tel +44••••••••58."


@given(st.text(alphabet='0123456789 -+%u\\{}":', max_size=60), st.text(max_size=30), st.text(max_size=30))
def test_no_text_gives_the_number_away_after_it_was_masked(inside: str, before: str, after: str) -> None:
    spread = "".join(f"{digit}{inside[place : place + 2]}" for place, digit in enumerate(NUMBER))
    for text in (spread, f"{before}{NUMBER}{after}", inside):
        assert not gives_away(without_number(text, NUMBER), NUMBER)


@given(st.text(max_size=200))
def test_a_text_without_the_number_stays_as_it_is(text: str) -> None:
    if not any(character.isdigit() for character in text):
        assert without_number(text, NUMBER) == text


def test_a_request_is_kept_without_headers_that_open_the_bidder() -> None:
    request = HttpRequest(
        method="POST",
        url="https://bids.example.com/ping?api_key=abcdef&zip=94105",
        headers={"authorization": f"Bearer {SECRET}", "content-type": "application/json", "x-sig": "1"},
        body=encode({"token": SECRET, "caller": NUMBER, "zip": "94105"}),
    )
    assert kept_request(request, number=NUMBER, secrets=(SECRET,)) == (
        "POST https://bids.example.com/ping?api_key=***&zip=94105\n"
        "content-type: application/json\n\n"
        '{"token":"***","caller":"+1415•••••99","zip":"94105"}'
    )


@pytest.mark.parametrize("written", spellings(SECRET))
def test_a_secret_is_gone_however_it_is_escaped(written: str) -> None:
    assert kept_text(f"key={written}&zip=1", number=None, secrets=(SECRET,)) == "key=***&zip=1"


def test_what_the_database_cannot_keep_is_replaced() -> None:
    assert kept_reply(b"\xff\x00{}", number=None) == "\ufffd{}"
    assert kept_text("\ud800", number=None) == "?"


def test_a_number_across_the_end_of_what_is_kept_does_not_show_its_beginning() -> None:
    body = b"x" * 7_995 + NUMBER.encode()
    assert kept_reply(body, number=NUMBER) == "x" * 7_995 + "+1415"
    assert len(kept_reply(b"y" * 100_000, number=NUMBER)) == 8_000


EVERY_SPELLING = TemplateFormat(
    ping={
        "a": "{number}",
        "b": "{number_no_plus}",
        "c": "{number_10}",
        "d": "{number_dashed}",
        "e.f": "tel:{number_no_plus|last:7}",
        "k": "{secret:key}",
    },
    read_ping={"amount": ReadField(path="bid")},
)
FORMATS = (
    NativeFormat(),
    RingbaFormat(),
    RingbaFormat(encoding="xml"),
    RingbaFormat(encoding="query"),
    RetreaverFormat(),
    TrackDriveFormat(),
    *(msgspec.structs.replace(EVERY_SPELLING, encoding=one) for one in ("json", "xml", "form", "query")),
)


@pytest.mark.parametrize("bidder_format", FORMATS, ids=lambda one: type(one).__name__)
@given(digits=st.text("0123456789", min_size=9, max_size=9), secret=st.text(min_size=4, max_size=40))
def test_no_request_of_any_format_is_kept_with_the_number_or_a_secret(
    bidder_format: BidderFormat, digits: str, secret: str
) -> None:
    number = f"+12{digits}"
    bidder = Bidder(format=bidder_format, ping_url="https://b.example.com/ping/?x=1", share_number=True)
    lead = Lead(id="call_1", channel="call", vertical="plumbing", number=number, zip="94105")
    ping = ping_of(
        lead,
        ping_id="p",
        at=datetime(2026, 3, 2, tzinfo=UTC),
        deadline_ms=900,
        bidder=bidder,
        auction=AuctionTerms(share_number=True),
    )
    secrets = {"key": f"~{secret}~", "token": f"~{secret}~"}
    made = ping_request(ping, bidder, secrets, at=ping.at)
    if isinstance(made, NoBid):
        return
    told = made.url + made.body.decode()
    kept = kept_request(made, number=number, secrets=tuple(secrets.values()))
    assert not gives_away(kept, number)
    assert not any(spelt in kept for spelt in spellings(f"~{secret}~"))
    if not isinstance(bidder_format, RetreaverFormat | TrackDriveFormat):
        assert gives_away(told, number)
