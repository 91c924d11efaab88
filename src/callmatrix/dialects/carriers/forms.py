"""Reads the bodies of webhooks strictly and fast: forms, and flat JSON where a carrier sends it."""

from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from callmatrix.core.errors import Problem, Refused

MAX_BODY_BYTES: Final = 64 * 1024
MAX_PARAMS: Final = 200
MAX_NAME_CHARS: Final = 200

_NOTHING_REPEATED: Final[dict[str, tuple[str, ...]]] = {}
_JSON: Final = msgspec.json.Decoder(dict[str, str | int | float | bool | None])


class Form(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A webhook's parameters. Of a repeated name `params` keeps the first value, `repeated` all in order.

    `is_json`: the body was JSON, so signatures cover the body and not the parameters.
    """

    params: dict[str, str]
    repeated: dict[str, tuple[str, ...]] = _NOTHING_REPEATED
    is_json: bool = False


def parse_body(body: bytes, content_type: str) -> Form:
    """The parameters of a form or of a flat JSON object. Raises Refused as `parse_form` does."""
    if content_type.partition(";")[0].strip().lower() == "application/json":
        return _parse_json(body)
    return parse_form(body)


def parse_form(body: bytes) -> Form:
    """The parameters of an `application/x-www-form-urlencoded` body (or of a query).

    Raises Refused: `too_large` over MAX_BODY_BYTES or MAX_PARAMS, `malformed` where it is no such form: not
    ASCII outside escapes, not UTF-8 inside, a bad escape, a parameter without a name or without `=`.
    """
    if len(body) > MAX_BODY_BYTES:
        raise Refused("too_large", f"A webhook's body has at most {MAX_BODY_BYTES} bytes")
    if not body:
        return Form(params={})
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError as error:
        raise _malformed(f"byte {error.start}", "is not ASCII", "Escape it as %XX") from None
    parts = text.split("&")
    if len(parts) > MAX_PARAMS:
        raise Refused("too_large", f"A webhook has at most {MAX_PARAMS} parameters")
    params: dict[str, str] = {}
    repeated: dict[str, tuple[str, ...]] | None = None
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise _malformed(part[:MAX_NAME_CHARS], "is no name=value", "Send name=value pairs joined by &")
        # Names and most values have no escapes; unescaping is most of the cost of a form.
        if "+" in value:
            value = value.replace("+", " ")
        if "%" in value:
            value = _unescape(value, name)
        if "%" in name or "+" in name:
            name = _unescape(name.replace("+", " "), name)
        if name in params:
            repeated = repeated or {}
            repeated[name] = (*repeated.get(name, (params[name],)), value)
        else:
            params[name] = value
    if repeated is None:
        return Form(params=params)
    return Form(params=params, repeated=repeated)


def _unescape(text: str, name: str) -> str:
    if text.startswith("%2B") and text[3:].isdigit():
        return "+" + text[3:]  # telephone numbers, the most frequent of all
    try:
        plain = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise _malformed(name[:MAX_NAME_CHARS], "is not UTF-8", "Encode it as UTF-8, then escape") from None
    if "%" in plain and _has_bad_escape(text):
        raise _malformed(name[:MAX_NAME_CHARS], "has a bad escape", "Write a percent sign as %25")
    return plain


def _has_bad_escape(text: str) -> bool:
    return any(not _is_hex(piece[:2]) for piece in text.split("%")[1:])


def _is_hex(text: str) -> bool:
    return len(text) == 2 and all(digit in "0123456789abcdefABCDEF" for digit in text)


def _parse_json(body: bytes) -> Form:
    if len(body) > MAX_BODY_BYTES:
        raise Refused("too_large", f"A webhook's body has at most {MAX_BODY_BYTES} bytes")
    try:
        values = _JSON.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed("", f"is no flat JSON object: {error}", "Send one object of plain values") from None
    if len(values) > MAX_PARAMS:
        raise Refused("too_large", f"A webhook has at most {MAX_PARAMS} parameters")
    return Form(params={name: _as_text(value) for name, value in values.items()}, is_json=True)


def _as_text(value: str | int | float | bool | None) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case _:
            return str(value)


def _malformed(field: str, problem: str, remedy: str) -> Refused:
    return Refused(
        "malformed",
        f"The body could not be read: {field} {problem}",
        (Problem(field=field, problem=problem, remedy=remedy),),
    )
