"""The bodies of webhooks: what is read, and what is refused by name."""

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callmatrix.core.errors import Refused
from callmatrix.dialects.carriers.forms import MAX_BODY_BYTES, MAX_PARAMS, Form, parse_body, parse_form

NAMES = st.text(min_size=1, max_size=10)


def read_or_refusal(body: bytes, content_type: str) -> Form | Refused:
    try:
        return parse_body(body, content_type)
    except Refused as refused:
        return refused


@given(st.dictionaries(NAMES, st.text(max_size=40), max_size=30))
def test_a_form_reads_as_it_was_written(params: dict[str, str]) -> None:
    assert parse_form(urlencode(params).encode()) == Form(params=params)


@given(st.lists(st.tuples(st.sampled_from(["a", "b b", "c"]), st.text(max_size=3)), max_size=8))
def test_every_value_of_a_repeated_name_is_kept_in_order(pairs: list[tuple[str, str]]) -> None:
    form = parse_form(urlencode(pairs).encode())
    values: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        values[name] = (*values.get(name, ()), value)
    assert form.params == {name: given[0] for name, given in values.items()}
    assert form.repeated == {name: given for name, given in values.items() if len(given) > 1}


@given(st.binary(max_size=200) | st.text("ab=&%+4G", max_size=30).map(str.encode))
def test_any_bytes_are_read_as_the_standard_library_does_or_refused(body: bytes) -> None:
    read = read_or_refusal(body, "application/x-www-form-urlencoded")
    if isinstance(read, Refused):
        assert (read.code, len(read.problems)) == ("malformed", 1)
    else:
        expected = parse_qsl(body.decode("ascii"), keep_blank_values=True)
        assert read.params == dict(reversed(expected))


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"a=1&b", "b is no name=value"),
        (b"a=1&", " is no name=value"),
        (b"=1", "=1 is no name=value"),
        (b"a=\xff", "byte 2 is not ASCII"),
        (b"a=%ff", "a is not UTF-8"),
        (b"%ff=a", "%ff is not UTF-8"),
        (b"a=%4", "a has a bad escape"),
        (b"a=%zz&b=1", "a has a bad escape"),
        (b"a=%25%", "a has a bad escape"),
    ],
)
def test_a_broken_form_is_refused_by_name(body: bytes, detail: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_form(body)
    assert caught.value.code == "malformed"
    assert caught.value.detail == f"The body could not be read: {detail}"


def test_an_escaped_percent_sign_is_one() -> None:
    assert parse_form(b"a=100%25+sure") == Form(params={"a": "100% sure"})


@pytest.mark.parametrize("body", [b"a=" + b"x" * MAX_BODY_BYTES, b"&".join([b"a=1"] * (MAX_PARAMS + 1))])
def test_too_much_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        parse_form(body)
    assert caught.value.code == "too_large"


def test_the_most_is_read() -> None:
    body = b"&".join(b"n%d=1" % number for number in range(MAX_PARAMS))
    assert len(parse_form(body).params) == MAX_PARAMS


def test_flat_json_is_read_as_texts() -> None:
    body = b'{"CallSid": "7", "CallDuration": 12, "Done": true, "Mos": 4.5, "Empty": null}'
    assert parse_body(body, "application/json; charset=utf-8") == Form(
        params={"CallSid": "7", "CallDuration": "12", "Done": "true", "Mos": "4.5", "Empty": ""},
        is_json=True,
    )
    assert parse_body(b"a=1", "application/x-www-form-urlencoded") == Form(params={"a": "1"})


@given(st.binary(max_size=60))
def test_any_bytes_called_json_are_read_or_refused(body: bytes) -> None:
    read = read_or_refusal(body, "application/json")
    assert read.code == "malformed" if isinstance(read, Refused) else read.is_json


@pytest.mark.parametrize("body", [b"", b"[]", b'{"a": {}}', b'{"a": "\xff"}', b'{"a": 1'])
def test_other_json_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        parse_body(body, "application/json")
    assert caught.value.code == "malformed"


def test_json_beyond_the_limits_is_refused() -> None:
    many = ",".join(f'"n{number}":1' for number in range(MAX_PARAMS + 1))
    for body in (b'"' + b"x" * MAX_BODY_BYTES, f"{{{many}}}".encode()):
        with pytest.raises(Refused) as caught:
            parse_body(body, "application/json")
        assert caught.value.code == "too_large"
