"""Signatures against the vendors' own code, and whatever was tampered with."""

import base64
import hashlib
import hmac
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from carrier_samples import AT
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey
from signalwire.core.security.webhook_validator import (
    validate_webhook_signature,
    validate_webhook_signature_sha256,
)
from twilio.request_validator import RequestValidator

from callmatrix.dialects.carriers.dialect import DIALECTS, CarrierName
from callmatrix.dialects.carriers.forms import Form, parse_body, parse_form
from callmatrix.dialects.carriers.signatures import TOLERANCE_S, verify

URL = "https://calls.example.com/voice/con_1?a=1"
SECRET = "a-secret"
PARAMS = {"CallSid": "CA1", "From": "+14155550100", "To": "+12125550100", "StirVerstat": ""}
SHA256_SETTINGS = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
MULTIPLE = st.lists(
    st.tuples(st.sampled_from(["A", "B", "Bc", "é"]), st.text(max_size=4)), min_size=1, max_size=8
)


class ManyValues(dict[str, list[str]]):
    """Repeated parameters in the form that Twilio's SDK asks for."""

    def getall(self, name: str) -> list[str]:
        return self[name]


def grouped(pairs: list[tuple[str, str]]) -> ManyValues:
    values = ManyValues()
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def accepts(
    carrier: CarrierName,
    headers: dict[str, str],
    *,
    body: bytes = b"",
    url: str = URL,
    form: Form | None = None,
    secret: str = SECRET,
    late_s: int = 0,
) -> bool:
    return verify(
        DIALECTS[carrier],
        secret=secret,
        url=url,
        headers=headers,
        body=body,
        form=parse_form(body) if form is None else form,
        now=AT + timedelta(seconds=late_s),
    )


def twilio_signature(url: str, params: object, algorithm: str | None = None) -> str:
    signature: str = RequestValidator(SECRET).compute_signature(url, params, algorithm)
    return signature


@pytest.mark.parametrize("carrier", ["twilio", "somleng", "own"])
@given(pairs=MULTIPLE)
def test_what_the_twilio_sdk_signs_is_accepted(carrier: CarrierName, pairs: list[tuple[str, str]]) -> None:
    headers = {"x-twilio-signature": twilio_signature(URL, grouped(pairs))}
    assert accepts(carrier, headers, body=urlencode(pairs).encode())


@given(MULTIPLE)
def test_the_sha256_signatures_of_the_twilio_sdk_are_accepted(pairs: list[tuple[str, str]]) -> None:
    headers = {
        "x-twilio-signature": twilio_signature(URL, grouped(pairs), "HMAC_SHA256"),
        "x-twilio-webhooks-signature-settings": SHA256_SETTINGS,
    }
    body = urlencode(pairs).encode()
    assert accepts("twilio", headers, body=body)
    assert not accepts("twilio", {**headers, "x-twilio-webhooks-signature-settings": ""}, body=body)


def test_an_unknown_algorithm_is_refused() -> None:
    headers = {
        "x-twilio-signature": twilio_signature(URL, PARAMS),
        "x-twilio-webhooks-signature-settings": "key=k,algorithm=HMAC_MD5",
    }
    assert not accepts("twilio", headers, body=urlencode(PARAMS).encode())


@pytest.mark.parametrize(
    ("signed", "ours"),
    [
        ("https://x.example:443/v?a=1", "https://x.example/v?a=1"),
        ("https://x.example/v?a=1", "https://x.example:443/v?a=1"),
        ("http://x.example:80/v", "http://x.example/v"),
        ("http://x.example:80", "http://x.example"),
        ("https://x.example/v", "https://x.example:8443/v"),
        ("https://x.example:443?u=/a", "https://x.example?u=/a"),
        ("https://x.example:443/v?u=http://y", "https://x.example/v?u=http://y"),
    ],
)
def test_a_port_may_be_signed_or_not(signed: str, ours: str) -> None:
    signature = twilio_signature(signed, PARAMS)
    assert RequestValidator(SECRET).validate(ours, PARAMS, signature)
    assert accepts("twilio", {"x-twilio-signature": signature}, body=urlencode(PARAMS).encode(), url=ours)


def test_another_port_is_another_address() -> None:
    headers = {"x-twilio-signature": twilio_signature("https://x.example:8443/v", PARAMS)}
    body = urlencode(PARAMS).encode()
    assert not accepts("twilio", headers, body=body, url="https://x.example/v")
    assert not accepts("twilio", headers, body=body, url="https://x.example:9443/v")


def test_a_json_body_is_vouched_for_by_its_hash_in_the_url() -> None:
    body = b'{"CallSid": "CA1"}'
    url = f"{URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = twilio_signature(url, {})
    assert RequestValidator(SECRET).validate(url, body.decode(), signature)
    headers = {"x-twilio-signature": signature}
    for carrier in ("twilio", "signalwire"):
        form = parse_body(body, "application/json")
        assert accepts(carrier, headers, body=body, url=url, form=form)
        assert not accepts(carrier, headers, body=b'{"CallSid": "CA2"}', url=url, form=form)
        unhashed = {"x-twilio-signature": twilio_signature(URL, {})}
        assert not accepts(carrier, unhashed, body=body, form=form)


def test_a_request_by_get_is_signed_by_its_url() -> None:
    url = f"{URL}&{urlencode(PARAMS)}"
    assert accepts("twilio", {"x-twilio-signature": twilio_signature(url, {})}, url=url)


SIGNALWIRE_PAIRS = st.lists(
    st.tuples(st.sampled_from(["A", "B", "Bc"]), st.text(max_size=4)), min_size=1, max_size=8
)


def signalwire_signature(url: str, pairs: list[tuple[str, str]]) -> str:
    """Documented: url, then name and value of each parameter by name, in the order sent within a name."""
    over = url + "".join(name + value for name, value in sorted(pairs, key=lambda pair: pair[0]))
    return base64.b64encode(hmac.digest(SECRET.encode(), over.encode(), "sha1")).decode()


@given(SIGNALWIRE_PAIRS)
def test_signalwires_forms_are_judged_as_by_its_sdk(pairs: list[tuple[str, str]]) -> None:
    body = urlencode(pairs).encode()
    signature = signalwire_signature(URL, pairs)
    assert validate_webhook_signature(SECRET, signature, URL, body.decode())
    assert accepts("signalwire", {"x-signalwire-signature": signature}, body=body)
    assert accepts("signalwire", {"x-twilio-signature": signature}, body=body)


def test_signalwires_json_is_judged_as_by_its_sdk() -> None:
    body = b'{"CallSid": "1", "CallStatus": "completed"}'
    form = parse_body(body, "application/json")
    over = URL.encode() + body
    sha1 = hmac.digest(SECRET.encode(), over, "sha1").hex()
    sha256 = hmac.digest(SECRET.encode(), over, "sha256").hex()
    assert validate_webhook_signature(SECRET, sha1, URL, body.decode())
    assert validate_webhook_signature_sha256(SECRET, sha256, URL, body.decode())
    both = {"x-signalwire-signature": sha1, "x-signalwire-sha256-signature": sha256}
    assert accepts("signalwire", both, body=body, form=form)
    assert accepts("signalwire", {"x-signalwire-signature": sha1}, body=body, form=form)
    assert not accepts("signalwire", {**both, "x-signalwire-sha256-signature": sha1}, body=body, form=form)
    assert not accepts("signalwire", both, body=body + b" ", form=form)
    assert not accepts("signalwire", {}, body=body, form=form)


TELNYX_KEY = SigningKey(b"\x07" * 32)
TELNYX_PUBLIC = base64.b64encode(bytes(TELNYX_KEY.verify_key)).decode()
TELNYX_BODY = urlencode(PARAMS).encode()


def telnyx_headers(timestamp: str, body: bytes = TELNYX_BODY) -> dict[str, str]:
    signed = TELNYX_KEY.sign(timestamp.encode() + b"|" + body).signature
    return {
        "telnyx-signature-ed25519": base64.b64encode(signed).decode(),
        "telnyx-timestamp": timestamp,
    }


@pytest.mark.parametrize(
    ("late_s", "accepted"),
    [(0, True), (TOLERANCE_S, True), (-TOLERANCE_S, True), (TOLERANCE_S + 1, False), (-301, False)],
)
def test_telnyx_signs_a_body_for_a_while(late_s: int, accepted: bool) -> None:
    headers = telnyx_headers(str(int(AT.timestamp())))
    assert accepts("telnyx", headers, body=TELNYX_BODY, secret=TELNYX_PUBLIC, late_s=late_s) is accepted


@given(st.binary(max_size=60))
def test_telnyx_vouches_for_no_other_body(body: bytes) -> None:
    headers = telnyx_headers(str(int(AT.timestamp())))
    expected = body == TELNYX_BODY
    assert accepts("telnyx", headers, body=body, secret=TELNYX_PUBLIC, form=Form(params={})) is expected


@pytest.mark.parametrize(
    ("changed", "secret"),
    [
        ({"telnyx-timestamp": "x"}, TELNYX_PUBLIC),
        ({"telnyx-timestamp": "9" * 40}, TELNYX_PUBLIC),
        ({"telnyx-timestamp": ""}, TELNYX_PUBLIC),
        ({"telnyx-signature-ed25519": ""}, TELNYX_PUBLIC),
        ({"telnyx-signature-ed25519": "!"}, TELNYX_PUBLIC),
        ({"telnyx-signature-ed25519": "AAAA"}, TELNYX_PUBLIC),
        ({"telnyx-signature-ed25519": "\udc80é"}, TELNYX_PUBLIC),
        ({}, "not a key"),
        ({}, "AAAA"),
        ({}, ""),
    ],
)
def test_a_broken_telnyx_signature_or_key_is_refused(changed: dict[str, str], secret: str) -> None:
    headers = {**telnyx_headers(str(int(AT.timestamp()))), **changed}
    assert not accepts("telnyx", headers, body=TELNYX_BODY, secret=secret)


@given(
    name=st.sampled_from(sorted(PARAMS)) | st.text(min_size=1, max_size=5),
    value=st.none() | st.text(max_size=5),
)
def test_a_parameter_that_was_tampered_with_is_noticed(name: str, value: str | None) -> None:
    """Added, changed or removed; but not where name and value read the same when joined."""
    tampered = (
        {**PARAMS, name: value} if value is not None else {k: v for k, v in PARAMS.items() if k != name}
    )
    same = "".join(k + v for k, v in sorted(tampered.items())) == "".join(
        k + v for k, v in sorted(PARAMS.items())
    )
    body = urlencode(tampered).encode()
    twilio = {"x-twilio-signature": twilio_signature(URL, PARAMS)}
    assert accepts("twilio", twilio, body=body) is same
    signalwire = {"x-signalwire-signature": signalwire_signature(URL, list(PARAMS.items()))}
    assert accepts("signalwire", signalwire, body=body) is same


@given(st.text(max_size=40))
@settings(max_examples=50)
def test_no_other_text_is_a_signature_or_a_secret(text: str) -> None:
    right = twilio_signature(URL, PARAMS)
    body = urlencode(PARAMS).encode()
    assert accepts("twilio", {"x-twilio-signature": text}, body=body) is (text == right)
    assert accepts("twilio", {"x-twilio-signature": right}, body=body, secret=text) is (text == SECRET)
    assert not accepts("twilio", {}, body=body)
