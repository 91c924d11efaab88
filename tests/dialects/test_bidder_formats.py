"""Bidder formats by their files, and what the files cannot say."""

from pathlib import Path
from typing import Any

import pytest
from bidder_cases import AT, FOLDER, GIVEN, NUMBER, bidder, files, load, outcome, ping, post, said

from callmatrix.core import documents
from callmatrix.core.auction import NoBid, Offered, Posted
from callmatrix.core.campaign import (
    BasicAuth,
    BearerAuth,
    HeaderAuth,
    HmacAuth,
    NativeFormat,
    PhoneDestination,
    ReadField,
    RetreaverFormat,
    RingbaFormat,
    SipDestination,
    TemplateFormat,
    TrackDriveFormat,
    needs_number,
)
from callmatrix.core.errors import Problem
from callmatrix.core.money import Money
from callmatrix.dialects.bidders import (
    HIDDEN,
    MAX_COMPLAINTS,
    MAX_REPLY_BYTES,
    bidder_problems,
    complaints,
    needed_secrets,
    ping_request,
    post_request,
    read_ping,
    read_post,
    shown,
    template_problems,
)
from callmatrix.dialects.bidders.readings import Said, Unreadable, read_amount, read_destination, read_instant
from callmatrix.dialects.bidders.template import PING_WORDS, POST_WORDS
from callmatrix.dialects.bidders.tokens import FILTERS, TOKENS, fill, ping_values, post_values
from callmatrix.dialects.bidders.trees import MAX_DEPTH, MAX_ELEMENTS
from callmatrix.dialects.http import HttpReply, HttpRequest

FORMATS = ("native", "retreaver", "ringba", "template", "trackdrive")
XML = {"content-type": "text/xml"}


def template(**changes: Any) -> TemplateFormat:
    given = {"ping": {"zip": "{zip}"}, "read_ping": {"amount": ReadField(path="bid")}}
    return TemplateFormat(**{**given, **changes})


# --- the files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", files(), ids=lambda path: "-".join(path.relative_to(FOLDER).parts))
def test_a_file_tells_what_comes_of_its_givens(path: Path) -> None:
    case = load(path)
    expected = {name: value for name, value in case.items() if name not in GIVEN}
    assert expected
    assert outcome(case) == expected


def test_every_format_has_exemplary_and_odd_files() -> None:
    shelves = {path.parent.relative_to(FOLDER).as_posix() for path in files()}
    assert shelves == {f"{form}/{sort}" for form in FORMATS for sort in ("exemplary", "odd")}


# --- amounts, times, destinations --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("12.50", "12.5", ""),
        (" 12.5 ", "12.5", ""),
        ("$12.50", "12.5", ""),
        ("€12.50", "12.5", "EUR"),
        ("£12.50", "12.5", "GBP"),
        ("USD 12.50", "12.5", "USD"),
        ("12.50USD", "12.5", "USD"),
        ("$-3", "-3", ""),
        ("1,250.00", "1250", ""),
        ("1,250,000", "1250000", ""),
        ("1,250,000.5", "1250000.5", ""),
        ("12,50", "12.5", ""),
        ("0012.5", "12.5", ""),
        ("0.0000005", "0", ""),
        ("0.0000015", "0.000002", ""),
    ],
)
def test_an_amount_is_read_as_people_write_it(text: str, amount: str, currency: str) -> None:
    assert read_amount(text) == (Money.parse(amount), currency)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "1,250",
            "1.250,00",
            "12.50.1",
            "twelve",
            "1e3",
            "NaN",
            "Infinity",
            "0x10",
            "12 50",
            "+",
            "12,5",
        ),
        *("1" * 50, "$$5", "５", True, None, [], {}),
    ],
)
def test_what_has_no_one_meaning_is_no_amount(value: object) -> None:
    with pytest.raises(Unreadable):
        read_amount(value)


def test_an_amount_in_cents_is_a_hundredth() -> None:
    assert read_amount(1250, in_cents=True) == (Money.parse("12.5"), "")
    assert read_amount("1250", in_cents=True) == (Money.parse("12.5"), "")
    assert read_amount("0.5", in_cents=True) == (Money.parse("0.005"), "")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-03-01T17:00:30Z", 30),
        ("2026-03-01T12:00:30-05:00", 30),
        ("2026-03-01 17:00:30", 30),
        ("3/1/2026 5:00:30 PM +00:00", 30),
        ("03/01/2026 17:00:30", 30),
        ("3/1/2026 12:00:30 PM -05:00", 30),
        ("3/1/2026 12:00 AM", -17 * 3_600),
    ],
)
def test_an_instant_is_read_in_iso_and_in_american_order(text: str, seconds: int) -> None:
    assert (read_instant(text, "time") - AT).total_seconds() == seconds


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "13/13/2026 5:00 PM",
        "3/1/2026 13:00 PM",
        "3/1/2026 25:00",
        "0001-01-01T00:00:00+14:00",
        "",
        "9" * 50,
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        read_instant(text, "time")


@pytest.mark.parametrize(
    ("number", "sip", "sip_first", "expected"),
    [
        ("+14155550100", None, False, PhoneDestination(number="+14155550100")),
        ("14155550100", None, False, PhoneDestination(number="+14155550100")),
        (14155550100, None, False, PhoneDestination(number="+14155550100")),
        ("442079460123", None, False, PhoneDestination(number="+442079460123")),
        ("(415) 555-0100", "a@b.example", False, PhoneDestination(number="+14155550100")),
        ("+14155550100", "a@b.example", True, SipDestination(uri="sip:a@b.example")),
        ("sip:a@b.example;transport=tls", None, False, SipDestination(uri="sip:a@b.example;transport=tls")),
        (None, "sips:a@[2001:db8::1]:5061", False, SipDestination(uri="sips:a@[2001:db8::1]:5061")),
        ("+14155550100 ext. 5", None, False, None),
        (None, "sip:a@b.example?X-Admin=1", False, None),
        (None, "sip:a b@b.example", False, None),
        (None, "sip:a@b.example\r\nVia: x", False, None),
        (None, 5, False, None),
        ("911", None, False, None),
    ],
)
def test_a_destination_is_a_number_or_a_sip_address(
    number: object, sip: object, sip_first: bool, expected: object
) -> None:
    assert read_destination(Said(number=number, sip=sip, sip_first=sip_first)) == expected


# --- limits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 204, 201])
def test_a_reply_longer_than_the_limit_is_not_read(status: int) -> None:
    reply = HttpReply(status=status, body=b'{"bid": 1}' + b" " * MAX_REPLY_BYTES)
    assert read_ping(reply, bidder(NativeFormat()), at=AT) == NoBid(
        code="too_large", detail=f"More than {MAX_REPLY_BYTES} bytes"
    )


@pytest.mark.parametrize(
    "body",
    [
        "<a>" * (MAX_DEPTH + 2) + "</a>" * (MAX_DEPTH + 2),
        "<r>" + "<a/>" * (MAX_ELEMENTS + 1) + "</r>",
        "<r>",
        "<r></s>",
        "<r/><r/>",
        "<?xml version='1.0' encoding='utf-7'?><r/>",
        "<?xml version='1.0' encoding='no-such'?><r/>",
        "<r>&undefined;</r>",
        "<!DOCTYPE r SYSTEM 'file:///etc/passwd'><r/>",
        "<r>\x01</r>",
    ],
)
def test_xml_that_is_broken_too_large_or_has_a_document_type_is_malformed(body: str) -> None:
    read = read_ping(said(body, headers=XML), bidder(RingbaFormat(encoding="xml")), at=AT)
    assert isinstance(read, NoBid)
    assert read.code == "malformed"


def test_json_nested_without_end_is_malformed() -> None:
    body = b'{"bid": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    read = read_ping(HttpReply(status=200, body=body), bidder(NativeFormat()), at=AT)
    assert read == NoBid(code="malformed", detail="The reply is not JSON")


def test_complaints_are_bounded() -> None:
    buyers = [{"name": "no bid"}] * 400 + [{"bid": 5, "ping_id": "p"}]
    reply = said({"status": "success", "buyers": buyers})
    assert len(complaints(reply, bidder(TrackDriveFormat()), at=AT)) == MAX_COMPLAINTS


def test_two_ids_that_are_too_long_together_are_refused() -> None:
    reply = said({"status": "success", "buyers": [{"bid": 5, "ping_id": "p" * 150, "buyer_id": "b" * 100}]})
    assert read_ping(reply, bidder(TrackDriveFormat()), at=AT) == NoBid(
        code="malformed", detail="The bid's id is not a text of at most 200 characters"
    )


# --- secrets -------------------------------------------------------------------------------------------


def test_the_secrets_that_a_bidder_needs_are_named_once_and_in_order() -> None:
    form = template(ping={"a": "{secret:key}", "b": "{secret:other}"}, post={"c": "{secret:key}"})
    assert [
        needed_secrets(bidder(NativeFormat())),
        needed_secrets(bidder(NativeFormat(), authentication=BearerAuth())),
        needed_secrets(bidder(RetreaverFormat(), authentication=HeaderAuth())),
        needed_secrets(bidder(RetreaverFormat(), authentication=BasicAuth(user="u"))),
        needed_secrets(bidder(form, authentication=HmacAuth())),
    ] == [(), ("token",), ("token",), ("password", "token"), ("key", "other")]


def test_a_request_is_shown_without_its_secrets() -> None:
    asked = bidder(
        RetreaverFormat(), authentication=BasicAuth(user="acme"), ping_url="https://b.example/r?x=1"
    )
    secrets = {"token": "a+b/c", "password": "hunter2"}
    request = ping_request(ping(fields={}), asked, secrets, at=AT)
    assert isinstance(request, HttpRequest)
    assert shown(request, asked, secrets) == HttpRequest(
        method="POST",
        url="https://b.example/r?x=1&key=%E2%80%A2%E2%80%A2%E2%80%A2%E2%80%A2%E2%80%A2%E2%80%A2"
        "&caller_zip=90001&caller_state=CA",
        headers={"accept": "application/json", "authorization": HIDDEN},
    )


def test_without_a_body_the_query_is_signed() -> None:
    asked = bidder(RingbaFormat(encoding="query"), method="GET", authentication=HmacAuth(name="X-Sig"))
    one = ping_request(ping(), asked, {"key": "k"}, at=AT)
    other = ping_request(ping(zip="90002"), asked, {"key": "k"}, at=AT)
    assert isinstance(one, HttpRequest)
    assert isinstance(other, HttpRequest)
    assert one.headers["x-sig"] != other.headers["x-sig"]


def test_a_header_that_says_how_the_request_is_read_carries_no_secret() -> None:
    asked = bidder(NativeFormat(), authentication=HeaderAuth(name="Content-Length"))
    assert ping_request(ping(), asked, {"token": "0"}, at=AT) == NoBid(
        code="unconfigured", detail="The header content-length cannot carry a secret"
    )
    assert [one.field for one in bidder_problems(asked)] == ["authentication.name"]


# --- rule 26 -------------------------------------------------------------------------------------------


def test_formats_that_match_the_call_by_its_number_need_it() -> None:
    assert [
        needs_number(bidder(RingbaFormat())),
        needs_number(bidder(RetreaverFormat(), share_number=True)),
        needs_number(bidder(RetreaverFormat())),
        needs_number(bidder(TrackDriveFormat())),
        needs_number(bidder(NativeFormat())),
        needs_number(bidder(template())),
    ] == [True, True, False, False, False, False]


# --- templates -----------------------------------------------------------------------------------------


def test_what_is_wrong_with_a_template_is_told_by_field_problem_and_remedy() -> None:
    form = template(
        encoding="xml",
        ping={
            "a": "{zap}",
            "b": "{bid_id}",
            "c": "{state|shout}",
            "d": "{",
            "e": "{field:}",
            "s": "{secret:key|first:4}",
            "1x": "1",
            "lead": "x",
            "lead.zip": "{zip}",
            "f..g": "1",
        },
        post={"p": "{deadline_ms}"},
        read_ping={"price": ReadField(path="p"), "min_s": ReadField(path="m", conversion="money")},
    )
    words = ", ".join(PING_WORDS)
    of_docs = "Use a token of docs/exchange.md"
    assert template_problems(form) == (
        Problem(field="ping.a", problem="{zap} is not a token", remedy=of_docs),
        Problem(
            field="ping.b",
            problem="A ping does not have {bid_id}",
            remedy="Leave it out, or use it in the post",
        ),
        Problem(field="ping.c", problem="shout is not a filter", remedy=of_docs),
        Problem(
            field="ping.d",
            problem="A brace stands alone; write {{ for the character itself",
            remedy=of_docs,
        ),
        Problem(field="ping.e", problem="{field:} names nothing after its colon", remedy=of_docs),
        Problem(field="ping.s", problem="A secret takes no filters", remedy=of_docs),
        Problem(
            field="post.p",
            problem="A post does not have {deadline_ms}",
            remedy="Leave it out, or use it in the ping",
        ),
        Problem(
            field="ping.1x",
            problem="XML does not allow this name",
            remedy="Use letters, digits, dashes and underscores, a letter first",
        ),
        Problem(
            field="ping.lead.zip",
            problem="lead has a value of its own, and cannot hold others",
            remedy="Rename one of them",
        ),
        Problem(
            field="ping.f..g",
            problem="The name has an empty part, or more than 10",
            remedy="Write it as outer.inner",
        ),
        Problem(field="read_ping.price", problem="price is none of our words", remedy=f"Use one of: {words}"),
        Problem(
            field="read_ping.min_s.conversion",
            problem="min_s cannot be read as money",
            remedy="Use one of: seconds, text, number",
        ),
        Problem(
            field="read_ping.amount",
            problem="It is not said where the reply's amount stands",
            remedy='Add its path, such as {"path": "bid"}',
        ),
    )


@pytest.mark.parametrize("path", sorted(FOLDER.glob("template/*/*.json")), ids=lambda path: path.stem)
def test_the_templates_of_the_files_have_no_problems(path: Path) -> None:
    form = documents.from_plain(load(path)["bidder"]["format"], TemplateFormat)
    assert template_problems(form) == ()


def test_a_post_url_without_a_post_is_a_problem_and_so_is_a_destination_that_never_comes() -> None:
    posting = bidder(template(), post_url="https://bids.example.com/post")
    assert [one.field for one in bidder_problems(posting)] == ["format.post"]
    asking = bidder(TrackDriveFormat(), destination="reply")
    assert [one.field for one in bidder_problems(asking)] == ["destination"]
    assert bidder_problems(bidder(NativeFormat(), authentication=BearerAuth())) == ()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{zip}", "90001"),
        ("Z{zip}-{state}", "Z90001-CA"),
        ("{{{zip}}}", "{90001}"),
        ("{zip|first:3}", "900"),
        ("{zip|last:2}", "01"),
        ("{vertical|upper}", "PLUMBING"),
        ("{state|lower}", "ca"),
        ("{number}", None),
        ("+{number_no_plus}", None),
        ("{number_10|default:none}", "none"),
        ("{field:homeowner|map:yes=1,no=0}", "1"),
        ("{field:homeowner|map:no=0}", None),
        ("{field:missing}", None),
        ("{field:homeowner|upper|first:1}", "Y"),
        ("{at}", "2026-03-01T17:00:00Z"),
        ("{at_epoch}", "1772384400"),
        ("{at_epoch_ms|digits}", "1772384400000"),
        ("{performance_calls}/{performance_connected}", "120/90"),
        ("{floor}", None),
        ("{nonsense}", None),
        ("plain", "plain"),
    ],
)
def test_a_text_is_filled_in_or_left_out_where_a_token_is_empty(text: str, value: str | None) -> None:
    assert fill(text, ping_values(ping(), {})) == value


def test_every_token_of_a_ping_and_of_a_post_has_a_value() -> None:
    asked = ping(number=NUMBER, floor=Money.parse("5"), source="search", test=True)
    told = post(consent="Yes", consented_at=AT, test=True)
    for token, (_sentence, in_ping, in_post) in TOKENS.items():
        text = "{" + token.replace("NAME", "homeowner") + "}"
        secrets = {"homeowner": "s"}
        assert (fill(text, ping_values(asked, secrets)) is not None) == in_ping, token
        assert (fill(text, post_values(told, secrets)) is not None) == in_post, token


def test_a_number_outside_of_north_america_has_no_ten_digits() -> None:
    values = ping_values(ping(number="+442079460123"), {})
    assert [fill(text, values) for text in ("{number_10}", "{number_dashed}", "{number_no_plus}")] == [
        None,
        None,
        "442079460123",
    ]


# --- posts ---------------------------------------------------------------------------------------------


def test_a_template_without_a_post_has_nothing_to_tell() -> None:
    asked = bidder(template(), post_url="https://bids.example.com/post")
    assert post_request(post(), asked, {}, at=AT) is None


def test_a_post_is_not_sent_without_its_secret() -> None:
    asked = bidder(NativeFormat(), post_url="https://b.example/post", authentication=BearerAuth())
    assert post_request(post(), asked, {}, at=AT) == NoBid(
        code="unconfigured", detail="The secret token is missing"
    )


@pytest.mark.parametrize(
    ("status", "retry"), [(400, False), (404, False), (408, True), (429, True), (500, True)]
)
def test_a_post_is_tried_again_where_that_may_help(status: int, retry: bool) -> None:
    refused = read_post(said("", status=status), bidder(NativeFormat()))
    assert documents.to_plain(refused) == {
        "code": "http_error",
        "detail": f"Status {status}",
        **({"retry": True} if retry else {}),
    }


def test_a_destination_in_a_posts_reply_counts_before_the_dial_only() -> None:
    body = {"accepted": True, "phone_number": "+14155550199"}
    late = bidder(NativeFormat(), post_url="https://b.example/post")
    early = bidder(NativeFormat(), post_url="https://b.example/post", post_timing="before_dial")
    assert read_post(said(body), late) == Posted()
    assert read_post(said(body), early) == Posted(destination=PhoneDestination(number="+14155550199"))


# --- the documents -------------------------------------------------------------------------------------


EXCHANGE = (Path(__file__).parents[2] / "docs" / "exchange.md").read_text(encoding="utf-8")


def rows(head: str) -> list[list[str]]:
    """The cells of the table that begins with this line."""
    lines = EXCHANGE.splitlines()
    found = []
    for line in lines[lines.index(head) + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.replace("\\|", "¦").strip("|").split("|")])
    return found


def test_the_documents_list_the_tokens_and_filters_that_there_are() -> None:
    assert rows("| token | stands for | ping | post |") == [
        [f"`{{{token}}}`", sentence, "yes" if in_ping else "", "yes" if in_post else ""]
        for token, (sentence, in_ping, in_post) in TOKENS.items()
    ]
    assert rows("| filter | makes of a value |") == [
        [f"`{one}`", sentence] for one, sentence in FILTERS.items()
    ]


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("| word of a ping's reply | read as |", PING_WORDS),
        ("| word of a post's reply | read as |", POST_WORDS),
    ],
)
def test_the_documents_list_the_words_that_are_read(head: str, words: dict[str, tuple[str, ...]]) -> None:
    assert rows(head) == [
        [f"`{word}`", ", ".join(f"`{one}`" for one in conversions)] for word, conversions in words.items()
    ]


def test_the_offer_of_a_bid_is_made_of_what_was_read() -> None:
    body = {
        "bid": "12.50",
        "bid_id": 77,
        "expires_in_s": "60.9",
        "phone_number": "+14155550100",
        "min_s": 60.0,
    }
    read = read_ping(said(body), bidder(NativeFormat()), at=AT)
    assert isinstance(read, Offered)
    assert documents.to_plain(read) == {
        "amount": "12.50",
        "bid_id": "77",
        "expires_at": "2026-03-01T17:01:00Z",
        "destination": {"kind": "phone", "number": "+14155550100"},
        "min_s": 60,
    }
