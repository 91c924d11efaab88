"""Whatever a lead holds, nothing that goes over the wire in a ping says who somebody is."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callmatrix.core.auction import PERSONAL_FIELDS, Lead, ping_of
from callmatrix.core.campaign import (
    AuctionTerms,
    Bidder,
    NativeFormat,
    ReadField,
    RetreaverFormat,
    RingbaFormat,
    TemplateFormat,
    TrackDriveFormat,
)
from callmatrix.dialects.bidders import ping_request
from callmatrix.dialects.http import HttpRequest

AT = datetime(2026, 11, 2, 15, 41, 7, tzinfo=UTC)
READ = {"amount": ReadField(path="bid", conversion="money")}
TEMPLATE = {
    "caller": "{number}",
    "caller10": "{number_10}",
    "person": "{field:first_name}",
    "mail": "{field:email}",
    "note": "{field:note}",
    "age": "{field:age}",
    "where": "{state} {zip}",
    "id": "{ping_id}",
}
FORMATS: dict[str, Any] = {
    "native": NativeFormat(),
    "ringba json": RingbaFormat(),
    "ringba xml": RingbaFormat(encoding="xml"),
    "ringba query": RingbaFormat(encoding="query"),
    "retreaver": RetreaverFormat(publisher_id="p"),
    "trackdrive": TrackDriveFormat(traffic_source_id="s"),
    **{
        f"template {encoding}": TemplateFormat(encoding=encoding, ping=TEMPLATE, read_ping=READ)
        for encoding in ("json", "xml", "form", "query")
    },
}
WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=12, max_size=20)
WHO = WORDS.map(lambda text: f"who-{text}")


def spelled(number: str) -> list[str]:
    digits = number[2:]
    return [
        number,
        digits,
        f"({digits[:3]}) {digits[3:6]}-{digits[6:]}",
        f"{digits[:3]}.{digits[3:6]}.{digits[6:]}",
        f"{digits[:3]} {digits[3:6]} {digits[6:]}",
    ]


@st.composite
def leads(draw: st.DrawFn) -> Lead:
    number = f"+1{draw(st.integers(2_000_000_000, 9_999_999_999))}"
    personal = draw(st.dictionaries(st.sampled_from(sorted(PERSONAL_FIELDS)), WHO, max_size=6))
    told = {"age": "41", "note": draw(st.one_of(WORDS, st.sampled_from(spelled(number))))}
    fields = personal | told
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
    )


def on_the_wire(request: HttpRequest) -> str:
    body = request.body.decode()
    return " ".join(
        (request.url, unquote_plus(request.url), body, unquote_plus(body), *request.headers.values())
    )


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None)
@given(lead=leads(), by_offer=st.booleans(), by_campaign=st.booleans())
def test_no_ping_of_any_format_says_who_somebody_is(
    name: str, lead: Lead, by_offer: bool, by_campaign: bool
) -> None:
    bidder = Bidder(
        format=FORMATS[name],
        ping_url="https://bids.example.com/api/v1/inbound_webhooks/ping/x",
        share_number=by_offer,
    )
    ping = ping_of(
        lead,
        ping_id="call_1-1-off_1",
        at=AT,
        deadline_ms=2_000,
        bidder=bidder,
        auction=AuctionTerms(share_number=by_campaign),
    )
    request = ping_request(ping, bidder, {"token": "secret"}, at=AT)
    assert isinstance(request, HttpRequest)
    sent = on_the_wire(request)
    assert lead.number is not None
    for field in PERSONAL_FIELDS & set(lead.fields):
        assert lead.fields[field] not in sent
    assert "pub_1" not in sent
    if not (by_offer and by_campaign):
        assert not any(text in sent for text in spelled(lead.number))
