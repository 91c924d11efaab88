"""Decides whether a webhook was signed by the carrier of its connection."""

import hashlib
import hmac
from binascii import Error as BadBase64
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final, assert_never
from urllib.parse import parse_qs, urlsplit

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from callmatrix.dialects.carriers.dialect import Dialect
from callmatrix.dialects.carriers.forms import Form

TOLERANCE_S: Final = 300  # of a Telnyx timestamp, to both sides
MAX_CACHED_KEYS: Final = 256
MAX_TIMESTAMP_CHARS: Final = 12
ED25519_SIGNATURE_BYTES: Final = 64

_DEFAULT_PORTS: Final = {"https": ":443", "http": ":80"}
_ALGORITHMS: Final = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}


def verify(
    dialect: Dialect,
    *,
    secret: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    form: Form,
    now: datetime,
) -> bool:
    """Whether the connection's carrier signed this request; never raises.

    `secret` is `Secrets.signing`; `url` the public one (`urls.signed_url`), query included; `headers` have
    lower-case names; `body` is raw and `form` what was read from it. A request by GET has an empty body and
    an empty form: its parameters are in the URL. `now` bounds the age where the carrier signs a timestamp.
    """
    if not secret:
        return False
    signature = next((headers[name] for name in dialect.signature_headers if name in headers), "")
    match dialect.scheme:
        case "hmac":
            return _verify_hmac(dialect, secret, url, headers, signature, body, form)
        case "signalwire":
            return _verify_signalwire(dialect, secret, url, headers, signature, body, form)
        case "ed25519":
            timestamp = headers.get(dialect.timestamp_header, "")
            return _verify_ed25519(secret, timestamp=timestamp, signature=signature, body=body, now=now)
        case _:
            assert_never(dialect.scheme)


def _verify_hmac(
    dialect: Dialect,
    secret: str,
    url: str,
    headers: Mapping[str, str],
    signature: str,
    body: bytes,
    form: Form,
) -> bool:
    algorithm = _ALGORITHMS.get(_algorithm_name(headers.get(dialect.settings_header, "")))
    if not signature or algorithm is None:
        return False
    if form.is_json:
        return _body_hash_holds(url, body) and _matches_any(secret, url, b"", signature, algorithm)
    return _matches_any(secret, url, _sorted_params(form), signature, algorithm)


def _algorithm_name(settings: str) -> str:
    """The algorithm in `key=…,algorithm=HMAC_SHA256`; without one it is the auth token's SHA-1."""
    if settings:
        for part in settings.split(","):
            name, _, value = part.partition("=")
            if name.strip() == "algorithm" and value.strip():
                return value.strip().upper()
    return "HMAC_SHA1"


def _verify_signalwire(
    dialect: Dialect,
    secret: str,
    url: str,
    headers: Mapping[str, str],
    signature: str,
    body: bytes,
    form: Form,
) -> bool:
    """SignalWire signs cXML forms like Twilio, and JSON as hex over URL and raw body."""
    if signature and not form.is_json:
        return _matches_any(secret, url, _params_in_order(form), signature, "sha1")
    over = _utf8(url) + body
    sha256_signature = headers.get(dialect.sha256_header, "")
    if sha256_signature:
        return _same(_hexadecimal(secret, over, "sha256"), sha256_signature)
    if not signature:
        return False
    if _same(_hexadecimal(secret, over, "sha1"), signature):
        return True
    return _body_hash_holds(url, body) and _matches_any(secret, url, b"", signature, "sha1")


def _hexadecimal(secret: str, message: bytes, algorithm: str) -> bytes:
    return hmac.digest(_utf8(secret), message, algorithm).hex().encode()


def _matches_any(secret: str, url: str, params: bytes, signature: str, algorithm: str) -> bool:
    """Carriers differ in whether they sign the URL with its port; ours has it or not as configured."""
    key = _utf8(secret)
    if _same(_base64(key, _utf8(url) + params, algorithm), signature):
        return True
    other = _other_port(url)
    return other is not None and _same(_base64(key, _utf8(other) + params, algorithm), signature)


def _base64(key: bytes, message: bytes, algorithm: str) -> bytes:
    return b2a_base64(hmac.digest(key, message, algorithm), newline=False)


def _same(expected: bytes, given: str) -> bool:
    return hmac.compare_digest(expected, _utf8(given))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _other_port(url: str) -> str | None:
    """The URL without its port, or with the scheme's own where it has none."""
    scheme, separator, rest = url.partition("://")
    port = _DEFAULT_PORTS.get(scheme.lower())
    if not separator or port is None:
        return None
    end = min((at for at in (rest.find("/"), rest.find("?"), rest.find("#")) if at >= 0), default=len(rest))
    host, tail = rest[:end], rest[end:]
    bare, colon, digits = host.rpartition(":")
    if colon and digits.isdigit():
        return f"{scheme}://{bare}{tail}"
    return f"{scheme}://{host}{port}{tail}"


def _sorted_params(form: Form) -> bytes:
    """Names and values, sorted by name; of a repeated name each different value once, sorted."""
    params = form.params
    if not form.repeated:
        return _utf8("".join([name + params[name] for name in sorted(params)]))
    pieces = []
    for name in sorted(params):
        values = form.repeated.get(name)
        if values is None:
            pieces.append(name + params[name])
        else:
            pieces.extend(name + value for value in sorted(set(values)))
    return _utf8("".join(pieces))


def _params_in_order(form: Form) -> bytes:
    """As `_sorted_params`, but every value of a repeated name, in the order sent."""
    if not form.repeated:
        return _sorted_params(form)
    pieces = [
        name + value
        for name in sorted(form.params)
        for value in form.repeated.get(name, (form.params[name],))
    ]
    return _utf8("".join(pieces))


def _body_hash_holds(url: str, body: bytes) -> bool:
    """A JSON body is signed only through its hash in the URL; without one nobody vouches for it."""
    try:
        hashes = parse_qs(urlsplit(url).query).get("bodySHA256", [])
    except ValueError:
        return False
    return bool(hashes) and _same(hashlib.sha256(body).hexdigest().encode(), hashes[0])


def _verify_ed25519(public_key: str, *, timestamp: str, signature: str, body: bytes, now: datetime) -> bool:
    """Telnyx signs `timestamp|body`, and not the URL."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= MAX_TIMESTAMP_CHARS):
        return False
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_S:
        return False
    key = _verify_key(public_key)
    if key is None:
        return False
    try:
        signed = a2b_base64(_utf8(signature), strict_mode=True)
        if len(signed) != ED25519_SIGNATURE_BYTES:
            return False
        key.verify(timestamp.encode() + b"|" + body, signed)
    except (BadBase64, BadSignatureError):
        return False
    return True


@lru_cache(maxsize=MAX_CACHED_KEYS)
def _verify_key(public_key: str) -> VerifyKey | None:
    try:
        return VerifyKey(a2b_base64(_utf8(public_key), strict_mode=True))
    except (BadBase64, ValueError, TypeError):
        return None
