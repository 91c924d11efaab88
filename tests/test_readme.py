"""The commands of the README work as they stand there, on a free port and in a fresh data folder."""

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
START_S = 400
STOP_S = 60

BIDDER = ".venv/bin/callmatrix bidder off_redwood_bids --campaign cmp_plumbing_ca --zip 94105"
# Every command of the README and the test below that runs it; `make test` runs the tests themselves.
RUN_BY = {
    "make demo": "test_make_demo_runs_the_product_and_a_call_can_be_placed",
    "make test": "the reader",
    ".venv/bin/callmatrix call +12135550101 --press 1,94105": (
        "test_make_demo_runs_the_product_and_a_call_can_be_placed"
    ),
    f"CALLMATRIX_ALLOW_LOOPBACK=1 {BIDDER}": "test_make_demo_runs_the_product_and_a_call_can_be_placed",
    ".venv/bin/callmatrix demo --calls 200 --exit": "test_calls_at_full_speed_keep_every_promise",
    ".venv/bin/callmatrix sim --seed 7 --days 1 --json": "test_a_simulated_day_keeps_every_promise",
    "CALLMATRIX_PUBLIC_URL=https://calls.example.com .venv/bin/callmatrix serve": (
        "test_the_server_starts_and_prints_a_first_sign_in_link"
    ),
}


def commands() -> set[str]:
    """The commands in the README's code blocks, and in its text."""
    blocks = re.findall(r"^```\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL)
    lines = {line for block in blocks for line in block.splitlines()}
    prose = re.sub(r"^```\n.*?\n```$", "", README, flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`]+)`", re.sub(r"\s+", " ", prose))
    return lines | {span for span in spans if ".venv/bin/callmatrix" in span}


def test_every_command_of_the_readme_is_run_by_a_test() -> None:
    assert commands() == set(RUN_BY)


def environment(data: Path) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CALLMATRIX_")}
    clean.pop("DATABASE_URL", None)
    return clean | {
        "CALLMATRIX_DATA": str(data),
        "CALLMATRIX_PORT": str(port),
        "CALLMATRIX_PUBLIC_URL": f"http://localhost:{port}",
    }


@asynccontextmanager
async def started(command: str, env: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command that runs until it is told to stop, as a person does with Ctrl-C."""
    process = await asyncio.create_subprocess_exec(
        *command.split(),
        cwd=ROOT,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGINT)
        async with asyncio.timeout(STOP_S):
            await process.communicate()


async def said(process: asyncio.subprocess.Process, text: str) -> list[str]:
    """What the process printed until a line with this text."""
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(START_S):
        while True:
            line = (await process.stdout.readline()).decode()
            assert line, f"it ended without saying {text!r}: {''.join(lines)}"
            lines.append(line)
            if text in line:
                return lines


async def output(command: str, env: dict[str, str], *, ends: tuple[int, ...] = (0,)) -> str:
    process = await asyncio.create_subprocess_exec(
        *command.split(), cwd=ROOT, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(START_S):
        out, errors = await process.communicate()
    assert process.returncode in ends, out.decode() + errors.decode()
    return out.decode()


async def test_make_demo_runs_the_product_and_a_call_can_be_placed(tmp_path: Path) -> None:
    env = environment(tmp_path / "data")
    async with started("make demo", env) as demo:
        lines = await said(demo, "Stop with Ctrl-C")
        assert any("First sign-in, valid once: http" in line for line in lines)
        told = await output(".venv/bin/callmatrix call +12135550101 --press 1,94105", env)
        assert "+14155550199 dials +12135550101" in told
        assert "Who gets the call, by auction" in told
        asked = await output(BIDDER, env | {"CALLMATRIX_ALLOW_LOOPBACK": "1"}, ends=(0, 1))  # 1: no bid
        assert "/redwood/ping" in asked
        assert "plumbing" in asked
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{env['CALLMATRIX_PUBLIC_URL']}/docs") as page:
                assert page.status == 200
                assert "CallMatrix API" in await page.text()


async def test_calls_at_full_speed_keep_every_promise(tmp_path: Path) -> None:
    env = environment(tmp_path / "data")
    # Without the thirty days of history, which `make demo` makes in the test above.
    told = await output(".venv/bin/callmatrix demo --calls 200 --exit --history-days 0", env)
    report = json.loads(told.splitlines()[-1])
    assert report["calls"] == 200
    assert 0 < report["converted"] <= report["connected"] <= 200
    assert report["promises"]
    assert [name for name, kept in report["promises"].items() if not kept] == []


async def test_a_simulated_day_keeps_every_promise(tmp_path: Path) -> None:
    told = await output(".venv/bin/callmatrix sim --seed 7 --days 1 --json", environment(tmp_path / "data"))
    report = json.loads(told)
    assert report["calls"] > 500
    assert [name for name, kept in report["promises"].items() if not kept] == []


async def test_the_server_starts_and_prints_a_first_sign_in_link(tmp_path: Path) -> None:
    env = environment(tmp_path / "data") | {"CALLMATRIX_PUBLIC_URL": "https://calls.example.com"}
    async with started(".venv/bin/callmatrix serve", env) as server:
        lines = await said(server, "CallMatrix is on https://calls.example.com")
    assert any("https://calls.example.com/first-sign-in?token=" in line for line in lines)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"CALLMATRIX_PORT": "http"}, "CALLMATRIX_PORT"),
        ({"CALLMATRIX_PROT": "8000"}, "CALLMATRIX_PORT"),
        ({"DATABASE_URL": "mysql://localhost/x"}, "DATABASE_URL"),
    ],
)
async def test_a_bad_setting_is_refused_in_one_line(
    tmp_path: Path, variables: dict[str, str], told: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        *[".venv/bin/callmatrix", "serve"],
        cwd=ROOT,
        env=environment(tmp_path / "data") | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(START_S):
        _, errors = await process.communicate()
    assert process.returncode == 2
    assert len(errors.decode().splitlines()) == 1
    assert told in errors.decode()
