"""Settings: read once, refused in one line, and all of them documented."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callmatrix.settings import (
    SETTINGS,
    SettingRefused,
    Settings,
    format_secret_key,
    parse_secret_key,
    read,
)

OPERATE = Path(__file__).parent.parent / "docs" / "operate.md"
KEY = bytes(range(32))
DEFAULTS = Settings(
    database_url=None,
    data=Path("var"),
    host="127.0.0.1",
    port=8000,
    public_url="http://localhost:8000",
    processes=1,
    secret_key=None,
    allow_loopback=False,
    ping_bodies_days=14,
    pings_days=90,
)


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read({}) == DEFAULTS


def test_an_empty_variable_counts_as_absent_and_foreign_ones_are_ignored() -> None:
    assert read({"CALLMATRIX_PORT": " ", "DATABASE_URL": "", "PATH": "/bin", "CALLMATRIXX": "1"}) == DEFAULTS


def test_every_variable_is_read() -> None:
    environ = {
        "DATABASE_URL": "postgresql://u:p@db/calls",
        "CALLMATRIX_DATA": "/srv/calls",
        "CALLMATRIX_HOST": "0.0.0.0",
        "CALLMATRIX_PORT": "9000",
        "CALLMATRIX_PUBLIC_URL": "https://calls.example.com/",
        "CALLMATRIX_PROCESSES": "4",
        "CALLMATRIX_SECRET_KEY": format_secret_key(KEY),
        "CALLMATRIX_ALLOW_LOOPBACK": "1",
        "CALLMATRIX_PING_BODIES_DAYS": "0",
        "CALLMATRIX_PINGS_DAYS": "30",
    }
    assert read(environ) == Settings(
        database_url="postgresql://u:p@db/calls",
        data=Path("/srv/calls"),
        host="0.0.0.0",
        port=9000,
        public_url="https://calls.example.com",
        processes=4,
        secret_key=KEY,
        allow_loopback=True,
        ping_bodies_days=0,
        pings_days=30,
    )
    assert set(environ) == {setting.variable for setting in SETTINGS}


def test_the_public_address_follows_the_port() -> None:
    assert read({"CALLMATRIX_PORT": "9000"}).public_url == "http://localhost:9000"


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("CALLMATRIX_PORT", "80a", "CALLMATRIX_PORT is '80a': give a whole number from 1 to 65535"),
        ("CALLMATRIX_PORT", "0", "CALLMATRIX_PORT is '0': give a whole number from 1 to 65535"),
        ("CALLMATRIX_PROCESSES", "65", "CALLMATRIX_PROCESSES is '65': give a whole number from 1 to 64"),
        (
            "CALLMATRIX_ALLOW_LOOPBACK",
            "yes",
            "CALLMATRIX_ALLOW_LOOPBACK is 'yes': give 1 for yes or 0 for no",
        ),
        (
            "CALLMATRIX_PUBLIC_URL",
            "calls.example.com",
            "CALLMATRIX_PUBLIC_URL is not a web address: give one like https://calls.example.com",
        ),
        (
            "DATABASE_URL",
            "mysql://db",
            "DATABASE_URL is not a PostgreSQL address: "
            "give one like postgresql://user:password@host:5432/name",
        ),
        (
            "CALLMATRIX_HOST",
            "http://x",
            "CALLMATRIX_HOST is not an address: give one like 127.0.0.1, or 0.0.0.0 for every interface",
        ),
        (
            "CALLMATRIX_SECRET_KEY",
            "c2hvcnQ",
            "CALLMATRIX_SECRET_KEY has 5 bytes: give 32 random bytes in URL-safe base64",
        ),
        (
            "CALLMATRIX_SECRET_KEY",
            "no key!",
            "CALLMATRIX_SECRET_KEY is not URL-safe base64: give 32 random bytes written so",
        ),
        ("CALLMATRIX_DATA", "x" * 2_001, "CALLMATRIX_DATA is longer than 2000 characters: shorten it"),
        ("CALLMATRIX_PROT", "1", "CALLMATRIX_PROT is not a setting: did you mean CALLMATRIX_PORT?"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_in_one_line(variable: str, text: str, said: str) -> None:
    with pytest.raises(SettingRefused) as refused:
        read({variable: text})
    assert str(refused.value) == said


def test_an_unknown_variable_near_to_none_lists_all() -> None:
    with pytest.raises(SettingRefused) as refused:
        read({"CALLMATRIX_ZZZZZZZZZZZZZZZZZZZZZZ": "1"})
    assert all(setting.variable in str(refused.value) for setting in SETTINGS)


def test_printed_settings_show_no_secret() -> None:
    settings = read({"DATABASE_URL": "postgresql://u:hidden@db/x", "CALLMATRIX_SECRET_KEY": "Q" * 43})
    assert repr(settings) == (
        "Settings(data='var', host='127.0.0.1', port=8000, public_url='http://localhost:8000', "
        "processes=1, allow_loopback=False, ...)"
    )


@given(st.binary(min_size=32, max_size=32))
def test_a_written_key_reads_back(key: bytes) -> None:
    assert parse_secret_key(format_secret_key(key)) == key


def test_every_setting_has_a_row_in_the_operators_guide_with_its_default() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([^|]+?) \|", OPERATE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [variable for variable, _ in rows] == [setting.variable for setting in SETTINGS]
    written = {variable: cell.strip("`") for variable, cell in rows}
    plain = {setting.variable: setting.default for setting in SETTINGS if setting.default is not None}
    assert {variable: written[variable] for variable in plain} == plain
