"""Laws of bidder formats: reading is total, money exact, values arrive whole, nobody is given away."""

import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from bidder_cases import AT, NUMBER, bidder, ping, post, said
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from callmatrix.core import documents
from callmatrix.core.auction import Lead, NoBid, Offered, Posted, PostRefused, ping_of
from callmatrix.core.campaign import (
    AuctionTerms,
    BasicAuth,
    BearerAuth,
    Bidder,
    HeaderAuth,
    HmacAuth,
    NativeFormat,
    ReadField,
    RetreaverFormat,
    RingbaFormat,
    TemplateFormat,
    TrackDriveFormat,
)
from callmatrix.core.money import Money
from callmatrix.dialects.bidders import (
    HIDDEN,
    complaints,
    needed_secrets,
    ping_request,
    post_request,
    read_ping,
    read_post,
    shown,
)
from callmatrix.dialects.bidders.trees import read_xml
from callmatrix.dialects.http import HttpReply, HttpRequest

READ_PING = {
    "amount": ReadField(path="bid", conversion="money"),
    "currency": ReadField(path="currency"),
    "bid_id": ReadField(path="bid_id"),
    "expires_in_s": ReadField(path="expires_in_s", conversion="seconds"),
    "expires_at": ReadField(path="expires_at", conversion="epoch_ms"),
    "destination": ReadField(path="phone_number", conversion="phone"),
    "sip": ReadField(path="sip_address"),
    "min_s": ReadField(path="terms.0.min_s", conversion="seconds"),
    "duplicate_days": ReadField(path="duplicate_days", conversion="number"),
    "accepted": ReadField(path="accepted", conversion="yes_no"),
    "reason": ReadField(path="reason"),
}
READ_POST = {
    "accepted": ReadField(path="accepted"),
    "destination": ReadField(path="phone_number", conversion="phone"),
    "reference": ReadField(path="reference"),
}
EVERYTHING = {
    **{
        name: "{" + name + "}"
        for name in ("state", "zip", "area_code", "number", "number_10", "source", "ping_id")
    },
    "field": "{field:homeowner}",
    "name": "{field:name}",
}


def template(encoding: str = "json", reply: str = "json", **changes: Any) -> TemplateFormat:
    given = {"ping": EVERYTHING, "post": {"id": "{bid_id}"}, "read_ping": READ_PING, "read_post": READ_POST}
    return TemplateFormat(encoding=encoding, reply=reply, **{**given, **changes})


BIDDERS = [
    bidder(form, post_url="https://bids.example.com/post", post_timing="before_dial", share_number=consent)
    for consent in (False, True)
    for form in (
        NativeFormat(),
        RingbaFormat(),
        RingbaFormat(encoding="xml", sip_ok=True),
        RingbaFormat(encoding="query"),
        RetreaverFormat(publisher_id="p"),
        TrackDriveFormat(traffic_source_id="t"),
        template(),
        template("xml", "xml"),
        template("form", "form"),
        template("query", "json"),
    )
]
SECRETS = {"token": "tok", "key": "key", "password": "pass"}
NAMES = (
    *("bid", "currency", "bid_id", "expires_in_s", "expires_at", "phone_number", "sip_address", "min_s"),
    *("duplicate_days", "reason", "accepted", "reference", "terms", "bidAmount", "bidId", "expireInSeconds"),
    *("bidExpireEpoch", "bidExpireDT", "phoneNumber", "phoneNumberNoPlus", "sipAddress", "bidTerms"),
    *("warnings", "rejectReason", "uuid", "status", "retreaver_payout", "retreaver_seconds", "errors"),
    *("inbound_number", "buyers", "ping_id", "buyer_id", "callMinDuration", "number", "id", "data"),
)
LIKELY: list[Any] = [
    *(
        "success",
        "reserved",
        "true",
        "12.50",
        "$5",
        "-1",
        "+14155550100",
        "a@b.example",
        "2026-03-01T17:01:00Z",
    ),
    *(
        "3/1/2026 5:01:00 PM +00:00",
        0,
        1,
        60,
        12.5,
        -3,
        1e300,
        2**70,
        True,
        None,
        1772384460000,
        "",
        "\u0000",
    ),
]
values = st.recursive(
    st.sampled_from(LIKELY)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
replies = st.dictionaries(st.sampled_from(NAMES), values, max_size=12)
statuses = st.sampled_from([200, 200, 200, 201, 204, 302, 404, 422, 500, 503, 99, 1000])


def check(reply: HttpReply, asked: Bidder) -> None:
    """What is read can be kept and shown, and complaints never contradict it."""
    read = read_ping(reply, asked, at=AT)
    heard = read_post(reply, asked)
    told = complaints(reply, asked, at=AT)
    assert isinstance(read, Offered | NoBid)
    assert isinstance(heard, Posted | PostRefused)
    assert documents.decode(documents.encode(read), type(read)) == read
    assert documents.decode(documents.encode(heard), type(heard)) == heard
    texts = [*told, read.detail if isinstance(read, NoBid) else read.bid_id + read.currency]
    texts.append(heard.detail if isinstance(heard, PostRefused) else heard.reference)
    assert all(text.isprintable() for text in texts)
    if isinstance(read, NoBid) and read.code != "no_bid":
        assert told[0].startswith(read.code)


@given(st.binary(max_size=300), statuses, st.sampled_from(BIDDERS))
def test_any_bytes_are_read(body: bytes, status: int, asked: Bidder) -> None:
    check(HttpReply(status=status, body=body, headers={"content-type": "application/json"}), asked)


@given(replies, statuses, st.sampled_from(BIDDERS))
def test_any_json_with_the_right_names_is_read(body: dict[str, Any], status: int, asked: Bidder) -> None:
    check(said(body, status=status), asked)


@given(replies, st.data())
def test_a_reply_cut_or_changed_anywhere_is_read(body: dict[str, Any], data: st.DataObject) -> None:
    raw = bytearray(json.dumps(body).encode())
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    check(HttpReply(status=200, body=bytes(raw[:cut])), data.draw(st.sampled_from(BIDDERS)))


xml_trees = st.recursive(
    st.sampled_from([str(one) for one in LIKELY if one != "\u0000"]),
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner | st.lists(inner, max_size=2), max_size=4),
    max_leaves=12,
)


def as_xml(name: str, tree: Any) -> str:
    if isinstance(tree, list):
        return "".join(as_xml(name, one) for one in tree)
    inner = "".join(as_xml(key, one) for key, one in tree.items()) if isinstance(tree, dict) else tree
    return f"<{name}>{inner}</{name}>"


@given(xml_trees, st.sampled_from([one for one in BIDDERS if "xml" in str(one.format)]))
def test_any_xml_with_the_right_names_is_read(tree: Any, asked: Bidder) -> None:
    check(said(as_xml("response", tree)), asked)


@given(st.integers(1, 10**17))
def test_an_amount_is_read_to_the_last_micro_as_number_and_as_text(micros: int) -> None:
    number = str(Decimal(micros).scaleb(-6))
    plain = format(Decimal(micros).scaleb(-6), "f")
    for written in (number, json.dumps(plain)):
        reply = said(f'{{"bid": {written}, "expires_in_s": 60}}')
        assert read_ping(reply, bidder(NativeFormat(), destination="offer"), at=AT).amount == Money(micros)  # type: ignore[union-attr]


# --- values arrive as values ---------------------------------------------------------------------------


in_xml = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff")
)
anything = st.dictionaries(
    st.text("abcXYZ_", min_size=1, max_size=6).filter(lambda name: not name.lower().startswith("xml")),
    st.text(min_size=1, max_size=30),
    max_size=5,
)


def sent(encoding: str, fields: dict[str, str], method: str = "POST") -> HttpRequest:
    """A template that says each field's value under the field's name."""
    texts = {name: "{field:" + name + "}" for name in fields}
    asked = bidder(template(encoding, ping={"fixed": "1", **texts}), method=method)
    request = ping_request(ping(fields=fields), asked, {}, at=AT)
    assert isinstance(request, HttpRequest)
    return request


@given(anything)
def test_values_in_json_are_what_they_were(fields: dict[str, str]) -> None:
    assert json.loads(sent("json", fields).body) == {"fixed": "1", **fields}


@given(anything)
def test_values_in_a_form_and_in_a_query_are_what_they_were(fields: dict[str, str]) -> None:
    expected = [("fixed", "1"), *fields.items()]
    form = sent("form", fields).body.decode()
    assert parse_qsl(form, keep_blank_values=True, strict_parsing=True) == expected
    for request in (sent("query", fields), sent("json", fields, "GET")):
        assert parse_qsl(urlsplit(request.url).query, strict_parsing=True) == expected
        assert request.url.isascii()
        assert request.url.isprintable()
        assert request.body == b""


@given(st.dictionaries(st.text("abcXYZ_", min_size=1, max_size=6), in_xml.filter(len), max_size=5))
def test_values_in_xml_are_what_they_were(fields: dict[str, str]) -> None:
    fields = {name: value for name, value in fields.items() if not name.lower().startswith("xml")}
    root = etree.fromstring(sent("xml", fields).body)
    assert [(one.tag, one.text) for one in root] == [("fixed", "1"), *fields.items()]
    assert root.tag == "request"


@given(st.text(min_size=1, max_size=30))
def test_a_value_in_an_attribute_ends_nowhere_else(value: str) -> None:
    asked = bidder(template("xml", ping={"@a": "{field:x}", "b.@c": "{field:x}", "b.d": "{field:x}"}))
    request = ping_request(ping(fields={"x": value}), asked, {}, at=AT)
    assert isinstance(request, HttpRequest)
    root = etree.fromstring(request.body)
    (inner,) = root
    assert (root.keys(), inner.tag, inner.keys(), [one.tag for one in inner]) == (["a"], "b", ["c"], ["d"])
    assert root.get("a") == inner.get("c") == "".join(one for one in value if in_an_attribute(one))


def in_an_attribute(character: str) -> bool:
    """Whether XML can carry it (XML 1.0, production 2)."""
    return character in "\t\n\r" or (character >= " " and character not in "\ufffe\uffff")


@given(anything, st.sampled_from(["json", "xml", "query"]))
def test_ringbas_tags_are_what_they_were(fields: dict[str, str], encoding: Any) -> None:
    asked = bidder(RingbaFormat(encoding=encoding))
    request = ping_request(ping(fields=fields, number=NUMBER), asked, {}, at=AT)
    assert isinstance(request, HttpRequest)
    own = {"CID": NUMBER[1:], "exposeCallerId": "yes", "zipcode": "90001", "State": "CA"}
    if encoding == "json":
        assert json.loads(request.body) == {**fields, **own}
    elif encoding == "query":
        assert dict(parse_qsl(urlsplit(request.url).query)) == {**fields, **own}
    else:
        assert {one.tag for one in etree.fromstring(request.body)} == {*fields, *own}


@given(st.text(min_size=1, max_size=200))
def test_xml_is_read_as_another_parser_reads_it(text: str) -> None:
    body = f"<r><a>{text}</a></r>".encode()
    try:
        expected = etree.fromstring(body).find("a")
    except etree.XMLSyntaxError:
        return
    if expected is not None and len(expected) == 0 and expected.text is not None and "<" not in text:
        assert read_xml(body) == {"a": expected.text.strip()}


# --- secrets and persons -------------------------------------------------------------------------------


@given(st.text(min_size=8, max_size=30), st.sampled_from(["json", "xml", "form", "query"]))
def test_a_request_is_shown_the_same_whatever_its_secret_is(secret: str, encoding: str) -> None:
    asked = bidder(template(encoding, ping={"k": "{secret:key}", "z": "{zip}"}))
    shows = []
    for one in (f"§{secret}", "another-secret"):  # which stands nowhere else in the request
        request = ping_request(ping(), asked, {"key": one}, at=AT)
        assert isinstance(request, HttpRequest)
        shows.append(shown(request, asked, {"key": one}))
    assert shows[0] == shows[1]


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=8, max_size=30))
def test_what_authenticates_is_not_shown(secret: str) -> None:
    for authentication in (BearerAuth(), HeaderAuth(), BasicAuth(user="u"), HmacAuth()):
        asked = bidder(NativeFormat(), authentication=authentication)
        secrets = dict.fromkeys(needed_secrets(asked), secret)
        request = ping_request(ping(), asked, secrets, at=AT)
        assert isinstance(request, HttpRequest)
        usual = {"accept": "application/json", "content-type": "application/json"}
        added = set(request.headers) - set(usual)
        assert len(added) == 1
        assert shown(request, asked, secrets).headers == {**usual, added.pop(): HIDDEN}


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=20))
def test_a_signature_can_be_checked_by_anybody_with_the_key(value: str, key: str) -> None:
    asked = bidder(NativeFormat(), authentication=HmacAuth())
    request = ping_request(ping(fields={"x": value}), asked, {"key": key}, at=AT)
    assert isinstance(request, HttpRequest)
    stamp, _, signature = request.headers["x-signature"].partition(",v1=")
    signed = stamp.removeprefix("t=").encode() + b"." + request.body
    assert signature == hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()


national = st.integers(2_000_000_000, 9_999_999_999)
persons = st.sampled_from(["name", "email", "address", "phone", "ssn"])


@given(
    national, st.dictionaries(persons, st.just("Maria-Q-Lopez"), max_size=4), st.sampled_from(BIDDERS[:10])
)
def test_no_ping_in_any_format_gives_the_person_away(
    digits: int, fields: dict[str, str], asked: Bidder
) -> None:
    lead = Lead(
        id="call_01",
        channel="call",
        vertical="plumbing",
        number=f"+1{digits}",
        state="CA",
        fields={**fields, "homeowner": "yes", "typed": str(digits)},
        shared=(*fields, "homeowner", "typed"),
    )
    told = ping_of(
        lead,
        ping_id="png_01",
        at=AT,
        deadline_ms=1_000,
        bidder=asked,
        auction=AuctionTerms(share_number=True),
    )
    request = ping_request(told, asked, SECRETS, at=AT)
    assert isinstance(request, HttpRequest)
    everything = request.url + str(request.headers) + request.body.decode()
    assert str(digits)[-7:] not in everything
    assert "Lopez" not in everything


@given(st.text(min_size=1, max_size=100), st.sampled_from(BIDDERS))
def test_a_post_can_always_be_written(text: str, asked: Bidder) -> None:
    told = post(bid_id=text, fields={"name": text, "note": text}, consent=text, source=text)
    request = post_request(told, asked, SECRETS, at=AT)
    assert isinstance(request, HttpRequest)
    assert request.url.isascii()
    assert all(value.isascii() and value.isprintable() for value in request.headers.values())
