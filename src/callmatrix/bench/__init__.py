"""Benchmarks: each measures ratios within one run, so that they mean the same on any machine."""

import os
import platform

import msgspec


class BenchReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a benchmark measured. `ratios` compare within the run and may be promised; `figures` are this
    machine's, with the unit last in the name; `conditions` say where and on what."""

    bench: str
    ratios: dict[str, float]
    figures: dict[str, float]
    conditions: dict[str, str | int | float]


def conditions() -> dict[str, str | int | float]:
    """The machine and interpreter that a benchmark ran on."""
    return {
        "cpus": os.cpu_count() or 1,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
    }
