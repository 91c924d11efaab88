"""Reads a request into an operation's types: path, query, If-Match and body, each refused by name."""

import re
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from litestar import Request

from callmatrix.api.operation import JSON, MERGE_PATCH, Operation
from callmatrix.api.problems import invalid
from callmatrix.core.documents import problem_of, read_input
from callmatrix.core.errors import Refused
from callmatrix.core.money import decode_hook

MAX_QUERY_CHARS: Final = 4_000
MAX_PARAMETERS: Final = 40
MAX_ID_CHARS: Final = 120
MAX_REVISION: Final = 2**31 - 1
MIN_YEAR: Final = 1990
MAX_YEAR: Final = 2200

# A NUL, which PostgreSQL cannot keep in a text, as JSON writes it: the backslash is not itself escaped.
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_REVISION: Final = re.compile(r'(?:W/)?"?([0-9]{1,10})"?')

AnyRequest = Request[Any, Any, Any]


def read_path(request: AnyRequest) -> dict[str, str]:
    """The path's parameters. One that no id can look like is a record that is not there."""
    found: dict[str, str] = {}
    for name, value in request.path_params.items():
        text = str(value)
        if len(text) > MAX_ID_CHARS or not text.isprintable():
            raise Refused("not_found", "There is no record with such an id")
        found[name] = text
    return found


def read_query(operation: Operation, request: AnyRequest) -> Any:
    """The query as the operation's type; texts are read as the numbers, flags and times they stand for."""
    text = request.url.query
    if len(text) > MAX_QUERY_CHARS:
        raise invalid("query", "It is too long", f"Send at most {MAX_QUERY_CHARS} characters")
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict", encoding="utf-8"
        )
    except (ValueError, UnicodeDecodeError):
        raise invalid("query", "It cannot be read", "Encode it as UTF-8, percent-encoded") from None
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise invalid(name[:80], "It is there twice", "Send it once")
        if "\x00" in value or "\x00" in name:
            raise invalid(name[:80].replace("\x00", ""), "It contains a NUL", "Remove it")
        values[name] = value
    if operation.query is None:
        if values:
            raise invalid(next(iter(values))[:80], "This operation takes no query", "Remove it")
        return None
    try:
        query = msgspec.convert(values, operation.query, strict=False, dec_hook=decode_hook)
    except msgspec.ValidationError as error:
        raise Refused("invalid", str(error), (problem_of(error),)) from None
    _refuse_far_instants(query)
    return query


def _refuse_far_instants(value: Any) -> None:
    """Instants beyond what calendars can be asked for, and sums of which would not be instants any more."""
    for name in getattr(value, "__struct_fields__", ()):
        instant = getattr(value, name)
        if isinstance(instant, datetime) and not MIN_YEAR <= instant.year <= MAX_YEAR:
            raise invalid(
                name, "It is too far away", f"Send an instant of the years {MIN_YEAR} to {MAX_YEAR}"
            )


def read_revision(operation: Operation, request: AnyRequest) -> int | None:
    """The revision of `If-Match`, such as `"3"`."""
    text = request.headers.get("if-match", "").strip()
    if not text:
        if operation.needs_revision:
            raise invalid(
                "If-Match", "The header is missing", "Send the revision that you have read, as in its ETag"
            )
        return None
    matched = _REVISION.fullmatch(text)
    if matched is None or int(matched[1]) > MAX_REVISION:
        raise invalid("If-Match", "It is not a revision", 'Send the ETag that you have read, such as "3"')
    return int(matched[1])


async def read_body(operation: Operation, request: AnyRequest) -> tuple[bytes, Any]:
    """The body as sent and as the operation's type (a merge patch: as plain values)."""
    raw = await request.body()
    if operation.body is None:
        if raw:
            raise invalid("body", "This operation takes no body", "Send none")
        return raw, None
    wanted = (JSON, MERGE_PATCH) if operation.patches else (JSON,)
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if named not in wanted:
        raise Refused("wrong_media_type", f"Send the body as {' or '.join(wanted)}")
    if _NUL.search(raw) is not None:
        raise invalid("body", "A text contains a NUL character (\\u0000)", "Remove it")
    try:
        raw.decode()
    except UnicodeDecodeError:
        raise Refused("malformed", "The body is not UTF-8") from None
    try:
        body = read_input(raw, dict[str, Any] if operation.patches else operation.body)
    except RecursionError:
        raise Refused("malformed", "The body is nested too deeply") from None
    _refuse_far_instants(body)
    return raw, body
