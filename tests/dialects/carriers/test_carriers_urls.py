"""The addresses that carriers call, built and read."""

from typing import get_args

import pytest
from carrier_samples import ROOT, connection
from hypothesis import given
from hypothesis import strategies as st

from callmatrix.core.ids import AttemptId, CallId, ConnectionId, attempt_id
from callmatrix.dialects.carriers.urls import (
    MAX_KEY,
    Callback,
    CallbackKind,
    Page,
    PageKind,
    attempt_key,
    callback_path,
    callback_root,
    page_path,
    page_url,
    parse_path,
    signed_url,
)

IDS = st.from_regex(r"[a-z]{3,4}_[0-9a-z]{26}", fullmatch=True)


@given(IDS, IDS, st.sampled_from(get_args(CallbackKind)), st.integers(0, MAX_KEY))
def test_a_callback_reads_back_from_its_path(
    connection_id: str, call_id: str, kind: CallbackKind, key: int
) -> None:
    callback = Callback(
        connection_id=ConnectionId(connection_id), call_id=CallId(call_id), kind=kind, key=key
    )
    assert parse_path(callback_path(callback)) == callback


@given(IDS, st.sampled_from(get_args(PageKind)))
def test_a_page_reads_back_from_its_path(connection_id: str, kind: PageKind) -> None:
    page = Page(connection_id=ConnectionId(connection_id), kind=kind)
    assert parse_path(page_path(page)) == page


@given(st.text(max_size=80).map(lambda tail: "/voice/" + tail))
def test_what_reads_as_an_address_is_written_the_same(path: str) -> None:
    match parse_path(path):
        case Callback() as callback:
            assert callback_path(callback) == path
        case Page() as page:
            assert page_path(page) == path
        case None:
            pass


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/voice",
        "/voice/",
        "/voice/con_1/",
        "/voice/con_1/arrival",
        "/voice/con_1/call_1",
        "/voice/con_1/call_1/gather",
        "/voice/con_1/call_1/gather/",
        "/voice/con_1/call_1/gather/01",
        "/voice/con_1/call_1/gather/-1",
        "/voice/con_1/call_1/gather/1000000",
        "/voice/con_1/call_1/gather/١",
        "/voice/con_1/call_1/gather/1\n",
        "/voice/con_1/call_1/steal/1",
        "/voice/con_1/../gather/1",
        "/voice/" + "a" * 65,
        "/voice/" + "a/" * 200,
    ],
)
def test_other_paths_mean_nothing(path: str) -> None:
    assert parse_path(path) is None


def test_absolute_addresses_begin_with_the_public_one() -> None:
    plain = connection()
    under = connection(public_base_url="https://x.example/calls/")
    assert callback_root(plain, CallId("call_01")) == ROOT
    assert page_url(plain, "arrival") == "https://calls.example.com/voice/con_1"
    assert page_url(under, "status") == "https://x.example/calls/voice/con_1/status"
    assert signed_url(under, "/voice/con_1") == "https://x.example/calls/voice/con_1"
    assert signed_url(under, "/voice/con_1", "a=1&b=") == "https://x.example/calls/voice/con_1?a=1&b="


@given(st.integers(0, MAX_KEY))
def test_an_attempts_key_names_the_attempt(number: int) -> None:
    call_id = CallId("call_01")
    attempt: AttemptId = attempt_id(call_id, number)
    assert attempt_id(call_id, int(attempt_key(attempt))) == attempt
