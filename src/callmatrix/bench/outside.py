"""Gives a process that plays the world outside its turn at once, as if it had a machine of its own."""

import os
from contextlib import suppress
from typing import Final

NICENESS: Final = -10


def outside() -> None:
    """Before the processes under measurement, where the system lets us; elsewhere among them."""
    with suppress(PermissionError):
        os.nice(NICENESS)
