"""Signed webhooks that came while the database was gone: kept on disk, accounted for when it is back."""

import fcntl
import os
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from callmatrix.core.documents import decode, encode

MAX_SPOOLED: Final = 100_000
MAX_PER_ROUND: Final = 200
_SUFFIX: Final = ".webhook"


class Spooled(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook as it came in, its signature already verified. `params` are the form's."""

    id: str
    at: datetime
    connection_id: str
    path: str
    params: dict[str, str]


class SpoolFull(Exception):
    """There is no room for another webhook; the caller still hears the fail-safe reply."""


def folder(data: Path) -> Path:
    """Where webhooks wait for the database."""
    return data / "spool"


def keep(place: Path, webhook: Spooled, *, room: int = MAX_SPOOLED) -> Path:
    """Write one webhook so that it survives a crash of process and machine; its file is there until told.

    Blocking. Raises `SpoolFull`, or `OSError` where the disk refuses.
    """
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sum(1 for _ in os.scandir(place)) >= room:
        raise SpoolFull(f"{place} holds {room} webhooks already")
    target = place / f"{webhook.id}{_SUFFIX}"
    unfinished = target.with_suffix(".part")
    with unfinished.open("wb") as file:
        file.write(encode(webhook))
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(target)
    _sync_folder(place)
    return target


def waiting(place: Path) -> tuple[Path, ...]:
    """The oldest webhooks kept, at most `MAX_PER_ROUND`; ids are time-ordered."""
    if not place.is_dir():
        return ()
    return tuple(sorted(place.glob(f"*{_SUFFIX}"))[:MAX_PER_ROUND])


def take(path: Path) -> "Taken | None":
    """Lock one webhook for this process; None where another has it or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        still_there = path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        still_there = False
    if not still_there:
        os.close(descriptor)
        return None
    return Taken(path, descriptor)


class Taken:
    """A webhook locked by this process. A crash lets go of it by itself."""

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def read(self) -> Spooled:
        """The webhook; `msgspec.DecodeError` where the file is damaged."""
        return decode(self.path.read_bytes(), Spooled)

    def done(self) -> None:
        """It is accounted for."""
        self.path.unlink()
        _sync_folder(self.path.parent)

    def set_aside(self) -> None:
        """It can't be read or told: keep it, out of the way, for a person."""
        self.path.rename(self.path.with_suffix(".refused"))

    def let_go(self) -> None:
        """Unlock it."""
        os.close(self._descriptor)


def _sync_folder(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
