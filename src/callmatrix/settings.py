"""One frozen Settings, read once from the environment; says what each variable means and allows."""

import base64
import binascii
import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

PREFIX = "CALLMATRIX_"
MAX_VALUE_CHARACTERS = 2_000
MAX_PROCESSES = 64
MAX_DAYS_KEPT = 3_650
SECRET_KEY_BYTES = 32


class SettingRefused(Exception):
    """A variable that cannot be used; the text names it, the problem and the remedy in one line."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator decides outside of the database.

    `database_url` None means the embedded PostgreSQL; `secret_key` None means the one kept in `data`;
    `public_url` has no slash at its end. What bidders were sent and said is kept for `ping_bodies_days`
    (0: never), what came of it for `pings_days`.
    """

    database_url: str | None
    data: Path
    host: str
    port: int
    public_url: str
    processes: int
    secret_key: bytes | None
    allow_loopback: bool
    ping_bodies_days: int = 14
    pings_days: int = 90

    def __repr__(self) -> str:
        """Without the database's password and the key: settings end up in logs."""
        shown = (
            f"data={str(self.data)!r}, host={self.host!r}, port={self.port}, public_url={self.public_url!r}"
        )
        return f"Settings({shown}, processes={self.processes}, allow_loopback={self.allow_loopback}, ...)"


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One variable: `default` is the text that stands for an absent one, None for nothing."""

    variable: str
    field: str
    default: str | None
    parse: Callable[[str], Any]


def parse_secret_key(text: str) -> bytes:
    """The 32 bytes of a key written in URL-safe base64. Raises ValueError."""
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("is not URL-safe base64: give 32 random bytes written so") from error
    if len(key) != SECRET_KEY_BYTES:
        raise ValueError(f"has {len(key)} bytes: give {SECRET_KEY_BYTES} random bytes in URL-safe base64")
    return key


def format_secret_key(key: bytes) -> str:
    """The text that `parse_secret_key` reads."""
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


def _parse_database_url(text: str) -> str:
    if urlsplit(text).scheme not in ("postgresql", "postgres"):
        raise ValueError(
            "is not a PostgreSQL address: give one like postgresql://user:password@host:5432/name"
        )
    return text


def _parse_host(text: str) -> str:
    if any(character.isspace() or character == "/" for character in text):
        raise ValueError("is not an address: give one like 127.0.0.1, or 0.0.0.0 for every interface")
    return text


def _parse_public_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("is not a web address: give one like https://calls.example.com")
    return text.rstrip("/")


def _parse_flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(f"is {text!r}: give 1 for yes or 0 for no")
    return text == "1"


def _whole(*, least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
            raise ValueError(f"is {text!r}: give a whole number from {least} to {most}")
        return int(text)

    return parse


SETTINGS = (
    Setting(variable="DATABASE_URL", field="database_url", default=None, parse=_parse_database_url),
    Setting(variable="CALLMATRIX_DATA", field="data", default="./var", parse=Path),
    Setting(variable="CALLMATRIX_HOST", field="host", default="127.0.0.1", parse=_parse_host),
    Setting(variable="CALLMATRIX_PORT", field="port", default="8000", parse=_whole(least=1, most=65_535)),
    Setting(variable="CALLMATRIX_PUBLIC_URL", field="public_url", default=None, parse=_parse_public_url),
    Setting(
        variable="CALLMATRIX_PROCESSES",
        field="processes",
        default="1",
        parse=_whole(least=1, most=MAX_PROCESSES),
    ),
    Setting(variable="CALLMATRIX_SECRET_KEY", field="secret_key", default=None, parse=parse_secret_key),
    Setting(variable="CALLMATRIX_ALLOW_LOOPBACK", field="allow_loopback", default="0", parse=_parse_flag),
    Setting(
        variable="CALLMATRIX_PING_BODIES_DAYS",
        field="ping_bodies_days",
        default="14",
        parse=_whole(least=0, most=MAX_DAYS_KEPT),
    ),
    Setting(
        variable="CALLMATRIX_PINGS_DAYS",
        field="pings_days",
        default="90",
        parse=_whole(least=1, most=MAX_DAYS_KEPT),
    ),
)


def read(environ: Mapping[str, str]) -> Settings:
    """The settings of an environment; a variable that is empty counts as absent.

    Raises `SettingRefused` for a value that cannot be used and for a CALLMATRIX_* that nobody reads.
    """
    _refuse_unknown(environ)
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        text = environ.get(setting.variable, "").strip() or setting.default
        values[setting.field] = None if text is None else _parse(setting, text)
    if values["public_url"] is None:
        values["public_url"] = f"http://localhost:{values['port']}"
    return Settings(**values)


def _parse(setting: Setting, text: str) -> Any:
    if len(text) > MAX_VALUE_CHARACTERS:
        raise SettingRefused(
            f"{setting.variable} is longer than {MAX_VALUE_CHARACTERS} characters: shorten it"
        )
    try:
        return setting.parse(text)
    except ValueError as error:
        raise SettingRefused(f"{setting.variable} {error}") from error


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    known = [setting.variable for setting in SETTINGS]
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in known:
            near = difflib.get_close_matches(variable, known, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"remove it, or use one of {', '.join(known)}"
            raise SettingRefused(f"{variable} is not a setting: {remedy}")
