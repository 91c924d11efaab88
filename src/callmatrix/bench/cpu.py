"""Reads what other processes have used of the CPU (Linux)."""

import os
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
# Places in /proc/<pid>/stat, counted from the state, which follows the name in brackets (man 5 proc).
_PARENT: Final = 1
_USER: Final = 11
_SYSTEM: Final = 12
_WAITED_FOR: Final = (13, 14)
# Places in the first line of /proc/stat; guests are counted twice there.
_IDLE: Final = 3
_WAITING: Final = 4
_GUEST: Final = 8


def process_s(pid: int) -> float:
    """User and system seconds of a process and its threads so far; without its children."""
    fields = _fields(pid)
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS_PER_S


def family_s(pid: int) -> float:
    """User and system seconds of a process and of all its children, also of those that have ended."""
    fields = _fields(pid)
    ended_ticks = sum(int(fields[place]) for place in _WAITED_FOR)
    return process_s(pid) + ended_ticks / _TICKS_PER_S + sum(_live_s(child) for child in _children(pid))


def machine_s() -> float:
    """Seconds that all processors together were busy so far, with whatever."""
    ticks = [int(field) for field in (_PROC / "stat").read_text().splitlines()[0].split()[1:]]
    return (sum(ticks[:_GUEST]) - ticks[_IDLE] - ticks[_WAITING]) / _TICKS_PER_S


def parent_of(pid: int) -> int:
    """The process that started this one."""
    return int(_fields(pid)[_PARENT])


def _live_s(pid: int) -> float:
    try:
        return process_s(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it has ended meanwhile


def _children(pid: int) -> list[int]:
    found = []
    for folder in _PROC.iterdir():
        if folder.name.isdecimal():
            try:
                if parent_of(int(folder.name)) == pid:
                    found.append(int(folder.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def _fields(pid: int) -> list[str]:
    # the name may hold spaces and brackets itself
    return (_PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
