"""Requests of any network read alike, and every refusal is told as sellers' systems know it."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callmatrix.core.rtb import REFUSALS, BidRequest, RtbCode, read_request, request_hash

CALLER = "+14155550199"
# field.md's map of names: Ringba, Retreaver, TrackDrive, CallGrid, and our own.
SPELLINGS = (
    {"CID": "14155550199", "zipcode": "94105", "State": "CA", "SubID": "s1"},
    {"caller_number": "+14155550199", "caller_zip": "94105", "caller_state": "ca", "publisher_id": "s1"},
    {"caller_id": "4155550199", "zip": "94105", "state": "CA", "traffic_source_id": "s1"},
    {"CallerId": "+14155550199", "InboundZipCode": "94105", "InboundStateCode": "CA", "PublisherId": "s1"},
    {"number": "+14155550199", "zip": "94105", "state": "CA", "source": "s1"},
)


@pytest.mark.parametrize("values", SPELLINGS, ids=lambda values: next(iter(values)))
def test_every_networks_names_say_the_same(values: dict[str, str]) -> None:
    read = read_request(values)
    assert (read.caller, read.zip, read.state, read.sub_id) == (CALLER, "94105", "CA", "s1")
    assert (read.fields["zip"], read.fields["state"]) == ("94105", "CA")


def test_what_is_no_name_of_ours_is_a_field_by_its_name_in_snake_case() -> None:
    values = {
        "CID": "14155550199",
        "publisherInboundCallId": "abc",
        "jornaya-leadid": "x\x07y",
        "Age": "44",
        "empty": " ",
        "9lives": "no",
        "key": "secret",
    }
    fields = {"publisher_inbound_call_id": "abc", "jornaya_leadid": "x y", "age": "44"}
    assert read_request(values) == BidRequest(caller=CALLER, fields=fields)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, (None, "")),
        ({"CID": "anonymous"}, (None, "")),
        ({"CID": "12"}, (None, "too few")),
        ({"CID": "hello there"}, (None, "not")),
    ],
)
def test_a_hidden_caller_is_nobody_and_a_number_that_is_none_is_said_to_be(
    told: dict[str, str], expected: tuple[str | None, str]
) -> None:
    read = read_request(told)
    caller, part = expected
    assert read.caller == caller
    assert part in read.unread
    assert bool(read.unread) == bool(part)


def test_a_seller_says_how_it_dials_whom_it_exposes_how_long_it_waits_and_what_is_too_little() -> None:
    read = read_request({"sipOk": "no", "exposeCallerId": "yes", "deadline_ms": "800", "floor": "12.50"})
    assert (read.sip_ok, read.exposed, read.deadline_ms, str(read.floor)) == (False, True, 800, "12.50")
    silent = read_request({"exposeCallerId": "no", "deadline_ms": "soon", "floor": "much"})
    assert (silent.sip_ok, silent.exposed, silent.deadline_ms, silent.floor) == (True, False, None, None)


def test_how_a_request_is_sent_does_not_make_it_another_one_but_what_it_asks_does() -> None:
    asked = {"CID": "14155550199", "zipcode": "94105"}
    same = request_hash("rtb_1", read_request(asked))
    for changes in ({"key": "k"}, {"format": "native"}, {"ping_id": "p-2"}, {"timeout_ms": "900"}):
        assert request_hash("rtb_1", read_request(asked | changes)) == same, changes
    for changes in ({"CID": "14155550198"}, {"zipcode": "94106"}, {"age": "3"}, {"sipOk": "no"}):
        assert request_hash("rtb_1", read_request(asked | changes)) != same, changes
    assert request_hash("rtb_2", read_request(asked)) != same


@given(st.dictionaries(st.text(max_size=60), st.text(max_size=300), max_size=20))
def test_whatever_is_sent_is_read_and_fits_where_fields_are_kept(values: dict[str, str]) -> None:
    read = read_request(values)
    assert all(len(value) <= 200 and value.isprintable() for value in read.fields.values())
    assert all(name[0].isalpha() and len(name) <= 40 for name in read.fields)
    assert request_hash("rtb_1", read) == request_hash("rtb_1", read_request(values))


def test_every_code_is_told_by_a_number_of_the_trade() -> None:
    assert set(REFUSALS) == set(get_args(RtbCode))
    told = {(one.number, one.name) for one in REFUSALS.values()}
    assert len({number for number, _ in told}) == len(told)
