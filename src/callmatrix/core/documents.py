"""How values become JSON and come back: the one encoder, and one decoder per type."""

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from callmatrix.core.errors import Problem, Refused
from callmatrix.core.money import decode_hook, encode_hook

T = TypeVar("T")

_ENCODER = msgspec.json.Encoder(enc_hook=encode_hook)


def encode(value: Any) -> bytes:
    """The JSON of any value of ours."""
    return _ENCODER.encode(value)


def encode_text(value: Any) -> str:
    """The JSON of any value of ours, as text (for `jsonb` parameters)."""
    return _ENCODER.encode(value).decode()


@cache
def decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    """The JSON decoder of a type, built once."""
    return msgspec.json.Decoder(cast(Any, kind), dec_hook=decode_hook)


def decode(data: bytes | str, kind: type[T]) -> T:
    """Read a stored document; `msgspec.ValidationError` where it does not fit."""
    result: T = decoder(cast(Hashable, kind)).decode(data)
    return result


def to_plain(value: Any) -> Any:
    """A value as plain dicts, lists and strings."""
    return msgspec.to_builtins(value, enc_hook=encode_hook)


def from_plain(value: Any, kind: type[T]) -> T:
    """A value from plain dicts, lists and strings; `msgspec.ValidationError` where it does not fit."""
    return msgspec.convert(value, kind, dec_hook=decode_hook)


def read_input(data: bytes, kind: type[T]) -> T:
    """Read somebody's JSON body; `Refused` names the field and what it should be."""
    try:
        result: T = decoder(cast(Hashable, kind)).decode(data)
    except msgspec.ValidationError as error:
        raise Refused("invalid", str(error), (problem_of(error),)) from None
    except msgspec.DecodeError as error:
        raise Refused("malformed", f"The body is not valid JSON: {error}") from None
    return result


def problem_of(error: msgspec.ValidationError) -> Problem:
    """A validation error as a problem: msgspec ends its message with the path, "… - at `$.a.b`", or for a
    name that does not fit "… - at `key` in `$.a`"."""
    message, _, path = str(error).partition(" - at `")
    field = path.rstrip("`").rpartition("`")[2].removeprefix("$").removeprefix(".")
    return Problem(field=field, problem=message, remedy="Send a value of the documented type")
