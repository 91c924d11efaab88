"""Requests for bids in every shape that sellers send, and answers in every shape that they read."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callmatrix.core.auction import NoBid, Offered
from callmatrix.core.campaign import Bidder, NativeFormat, PhoneDestination, RingbaFormat
from callmatrix.core.errors import Refused
from callmatrix.core.money import Money
from callmatrix.core.rtb import REFUSALS, RtbCode
from callmatrix.dialects import bidders
from callmatrix.dialects.http import HttpReply
from callmatrix.dialects.rtb import Answer, Format, NoSale, format_of, read_values, render, split_name

AT = datetime(2026, 8, 12, 16, 12, 17, tzinfo=UTC)
ANSWER = Answer(
    bid_id="bid_1",
    amount=Money(4_200_000),
    now=AT,
    expires_at=AT + timedelta(seconds=39, milliseconds=448),
    number="+17735550100",
    sip_host="sip.example.com",
    min_s=90,
    duplicate_days=30,
    repeated=True,
)
JSON, FORM, XML = "application/json", "application/x-www-form-urlencoded", "application/xml"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, b'{"CID": "15557779999", "zipcode": "12345", "age": 44, "score": 1.50, "owner": true}'),
        (JSON, b'{"CID": 15557779999, "tags": {"zipcode": "12345", "age": 44}, "fields": {"score": 1.50},'
               b' "owner": true, "list": [1], "nothing": null, "deep": {"a": 1}}'),
        ("text/plain", b'{"CID":"15557779999","zipcode":"12345","age":"44","score":"1.50","owner":"true"}'),
        (FORM, b"CID=15557779999&zipcode=12345&age=44&score=1.50&owner=true"),
        (XML, b"<bid_request><CID>15557779999</CID><zipcode>12345</zipcode><age>44</age><score>1.50</score>"
              b"<owner>true</owner></bid_request>"),
        ("", b'<?xml version="1.0"?><r><CID>15557779999</CID><fields><zipcode>12345</zipcode><age>44</age>'
             b"</fields><score>1.50</score><owner>true</owner></r>"),
    ],
)  # fmt: skip
def test_the_same_is_read_from_json_forms_and_xml_whatever_their_type_is_called(
    content_type: str, body: bytes
) -> None:
    values = read_values(query="", content_type=content_type, body=body)
    assert values == {
        "CID": "15557779999",
        "zipcode": "12345",
        "age": "44",
        "score": "1.50",
        "owner": "true",
    }


def test_a_query_stands_beside_the_body_which_wins() -> None:
    values = read_values(query="key=k&CID=1&zip=94105&zip=2", content_type=JSON, body=b'{"CID": "3"}')
    assert values == {"CID": "3", "key": "k", "zip": "94105"}


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ("a=%ff", b"", "malformed"),
        ("", b"{", "malformed"),
        ("", b"[1]", "malformed"),
        ("", b"<a><b></a>", "malformed"),
        ("", b'<!DOCTYPE r [<!ENTITY e "x">]><r><CID>&e;</CID></r>', "malformed"),
        ("", b"{" + b",".join(b'"a%d":1' % n for n in range(200)) + b"}", "too_large"),
    ],
)
def test_what_cannot_be_read_is_refused(query: str, body: bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        read_values(query=query, content_type=JSON, body=body)
    assert refused.value.code == code


@given(st.binary(max_size=300), st.sampled_from((JSON, FORM, XML, "")))
def test_any_body_is_read_or_refused(body: bytes, content_type: str) -> None:
    code, values = "", {}
    try:
        values = read_values(query="", content_type=content_type, body=body)
    except Refused as refused:
        code = refused.code
    assert code in ("", "malformed", "too_large")
    assert all(isinstance(value, str) and "\x00" not in value for value in values.values())


@pytest.mark.parametrize(
    ("address", "wanted", "accept", "expected"),
    [
        ("rtb_1.json", "", "*/*", "ringba_json"),
        ("rtb_1.xml", "", "application/json", "ringba_xml"),
        ("rtb_1", "", "", "ringba_json"),
        ("rtb_1", "", "application/xml", "ringba_xml"),
        ("rtb_1", "xml", "", "ringba_xml"),
        ("rtb_1.json", "native", "", "native"),
        ("rtb_1", "", "application/vnd.callmatrix+json", "native"),
    ],
)
def test_the_answers_shape_is_asked_for_by_address_by_format_or_by_what_is_accepted(
    address: str, wanted: str, accept: str, expected: Format
) -> None:
    name, extension = split_name(address)
    assert (name, format_of(extension, wanted, accept)) == ("rtb_1", expected)


def test_a_bid_in_the_published_shape() -> None:
    content_type, body = render(ANSWER, "ringba_json")
    assert content_type == b"application/json"
    assert b'"bidAmount":4.2,' in body
    assert json.loads(body) == {
        "bidId": "bid_1",
        "bidAmount": 4.2,
        "expireInSeconds": 39,
        "bidExpireDT": "8/12/2026 4:12:56 PM +00:00",
        "bidExpireEpoch": int(AT.timestamp()) * 1_000 + 39_448,
        "phoneNumber": "+17735550100",
        "phoneNumberNoPlus": "17735550100",
        "sipAddress": "+17735550100@sip.example.com",
        "bidTerms": [
            {
                "code": "duration",
                "callMinDuration": 90,
                "description": "Paid once the call lasts 90 seconds",
            },
            {
                "code": "duplicate",
                "windowDays": 30,
                "description": "Not paid for a caller of the last 30 days",
            },
        ],
        "warnings": [
            {
                "code": 230,
                "description": "Previous bid for this request not yet expired. This is a cached version",
            }
        ],
    }


def test_a_bid_as_xml_says_the_same() -> None:
    content_type, body = render(ANSWER, "ringba_xml")
    root = ElementTree.fromstring(body)
    assert (content_type, root.tag) == (b"application/xml; charset=utf-8", "bid_response")
    assert (root.findtext("bidAmount"), root.findtext("phoneNumber")) == ("4.2", "+17735550100")
    assert root.findtext("bidTerms/bidTerm/callMinDuration") == "90"
    assert root.findtext("warnings/warning/code") == "230"


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_has_amount_zero_and_a_reason_with_its_number(code: RtbCode) -> None:
    _, body = render(NoSale(bid_id="bid_1", code=code), "ringba_json")
    reason = f"{REFUSALS[code].name} (Code: {REFUSALS[code].number})"
    assert json.loads(body) == {"bidId": "bid_1", "bidAmount": 0, "rejectReason": reason}
    _, native = render(NoSale(bid_id="bid_1", code=code), "native")
    assert json.loads(native) == {"bid": None, "bid_id": "bid_1", "reason": code}


@pytest.mark.parametrize(
    ("how", "bidder_format"),
    [
        ("ringba_json", RingbaFormat()),
        ("ringba_xml", RingbaFormat(encoding="xml")),
        ("native", NativeFormat()),
    ],
)
def test_what_we_answer_is_read_by_what_we_ask_with(how: Format, bidder_format: Any) -> None:
    """Two networks on this platform can trade: each format of ours is read back by its other side."""
    bidder = Bidder(format=bidder_format, ping_url="https://bids.example.com/rtb/rtb_1")
    _, body = render(ANSWER, how)
    read = bidders.read_ping(HttpReply(status=200, body=body), bidder, at=AT)
    assert isinstance(read, Offered)
    assert (read.amount, read.bid_id, read.min_s) == (ANSWER.amount, "bid_1", 90)
    assert read.destination == PhoneDestination(number="+17735550100")
    assert read.expires_at is not None
    assert abs((read.expires_at - ANSWER.expires_at).total_seconds()) < 1
    _, refused = render(NoSale(bid_id="bid_1", code="no_capacity"), how)
    assert isinstance(bidders.read_ping(HttpReply(status=200, body=refused), bidder, at=AT), NoBid)
