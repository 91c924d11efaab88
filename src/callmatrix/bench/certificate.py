"""A certificate authority for loopback, made anew for each run, so that no key is kept anywhere."""

import base64
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

import msgspec
from nacl.signing import SigningKey

VALID: Final = timedelta(days=2)
_ED25519: Final = bytes.fromhex("300506032b6570")  # AlgorithmIdentifier of RFC 8410
_COMMON_NAME: Final = bytes.fromhex("0603550403")
_BASIC_CONSTRAINTS: Final = bytes.fromhex("0603551d13")
_KEY_USAGE: Final = bytes.fromhex("0603551d0f")
_ALTERNATIVE_NAME: Final = bytes.fromhex("0603551d11")
_SUBJECT_KEY: Final = bytes.fromhex("0603551d0e")
_AUTHORITY_KEY: Final = bytes.fromhex("0603551d23")
_TRUE: Final = b"\x01\x01\xff"


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """In PEM: who to trust, what the server shows, and its key."""

    authority: str
    chain: str
    key: str


def make(names: tuple[str, ...], *, at: datetime) -> Certificate:
    """A certificate for these host names and addresses from the day before `at` (RFC 5280, Ed25519)."""
    root, leaf = SigningKey.generate(), SigningKey.generate()
    authority = _signed(root, leaf_of=None, names=(), at=at)
    server = _signed(root, leaf_of=leaf, names=names, at=at)
    # The private key as PKCS #8 (RFC 8410, 7).
    private = _of(0x30, b"\x02\x01\x00", _ED25519, _of(0x04, _of(0x04, bytes(leaf))))
    return Certificate(
        authority=_pem("CERTIFICATE", authority),
        chain=_pem("CERTIFICATE", server),
        key=_pem("PRIVATE KEY", private),
    )


def _signed(root: SigningKey, *, leaf_of: SigningKey | None, names: tuple[str, ...], at: datetime) -> bytes:
    key = root if leaf_of is None else leaf_of
    own = key.verify_key.encode()
    issuer = _name("bench authority")
    constraints = _of(0x30, _TRUE) if leaf_of is None else _of(0x30)
    # keyCertSign and cRLSign for the authority, digitalSignature for the server.
    usage = b"\x03\x02\x01\x06" if leaf_of is None else b"\x03\x02\x07\x80"
    extensions = [
        _of(0x30, _BASIC_CONSTRAINTS, _TRUE, _of(0x04, constraints)),
        _of(0x30, _KEY_USAGE, _TRUE, _of(0x04, usage)),
        _of(0x30, _SUBJECT_KEY, _of(0x04, _of(0x04, own[:20]))),
        _of(0x30, _AUTHORITY_KEY, _of(0x04, _of(0x30, _of(0x80, root.verify_key.encode()[:20])))),
    ]
    if names:
        listed = _of(0x30, *(_alternative(name) for name in names))
        extensions.append(_of(0x30, _ALTERNATIVE_NAME, _of(0x04, listed)))
    body = _of(
        0x30,
        _of(0xA0, b"\x02\x01\x02"),
        _of(0x02, b"\x01" if leaf_of is None else b"\x02"),
        _ED25519,
        issuer,
        _of(0x30, _instant(at - timedelta(days=1)), _instant(at + VALID)),
        issuer if leaf_of is None else _name("bench server"),
        _of(0x30, _ED25519, _of(0x03, b"\x00", own)),
        _of(0xA3, _of(0x30, *extensions)),
    )
    return _of(0x30, body, _ED25519, _of(0x03, b"\x00", root.sign(body).signature))


def _of(tag: int, *parts: bytes) -> bytes:
    """One DER value."""
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _name(text: str) -> bytes:
    return _of(0x30, _of(0x31, _of(0x30, _COMMON_NAME, _of(0x0C, text.encode()))))


def _instant(at: datetime) -> bytes:
    return _of(0x17, at.strftime("%y%m%d%H%M%SZ").encode())


def _alternative(name: str) -> bytes:
    try:
        return _of(0x87, ip_address(name).packed)
    except ValueError:
        return _of(0x82, name.encode())


def _pem(label: str, der: bytes) -> str:
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n"
