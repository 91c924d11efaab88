"""The only clock, dice and id maker.

Everything that needs the time, chance or a new id is handed a `World`; the core gets plain values.
"""

import random
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_RANDOM_BITS = 80
_ID_LENGTH = 26
DRAW_BITS = 53

Dice = random.Random


class World(Protocol):
    """What a process may ask of the world."""

    def now(self) -> datetime:
        """The current instant, aware, UTC."""

    def draw(self) -> int:
        """A fresh uniform integer of `DRAW_BITS` bits, the seed of one decision's chances."""

    def new_id(self, prefix: str) -> str:
        """A new time-ordered id, `<prefix>_<26 characters>`."""

    def token(self) -> str:
        """A new secret of 256 bits, URL-safe text."""


def encode_id(prefix: str, at: datetime, chance: int) -> str:
    """The id of instant `at` (48 bits of milliseconds) and 80 bits of `chance`, in Crockford's base 32."""
    number = (int(at.timestamp() * 1000) << _ID_RANDOM_BITS) | chance
    digits = []
    for _ in range(_ID_LENGTH):
        digits.append(_ID_ALPHABET[number & 31])
        number >>= 5
    return f"{prefix}_{''.join(reversed(digits))}"


class RealWorld:
    """Wall clock, operating-system randomness."""

    def __init__(self) -> None:
        self._dice = random.Random(secrets.randbits(128))  # fast dice; secrets come from `token`

    def now(self) -> datetime:
        return datetime.now(UTC)

    def draw(self) -> int:
        return self._dice.getrandbits(DRAW_BITS)

    def new_id(self, prefix: str) -> str:
        return encode_id(prefix, self.now(), secrets.randbits(_ID_RANDOM_BITS))

    def token(self) -> str:
        return secrets.token_urlsafe(32)


class SeededWorld:
    """Reproducible chance and ids on somebody else's clock (a simulation's virtual time)."""

    def __init__(self, *, seed: int, clock: Callable[[], datetime]) -> None:
        self._dice = random.Random(seed)
        self._clock = clock

    def now(self) -> datetime:
        return self._clock()

    def draw(self) -> int:
        return self._dice.getrandbits(DRAW_BITS)

    def new_id(self, prefix: str) -> str:
        return encode_id(prefix, self.now(), self._dice.getrandbits(_ID_RANDOM_BITS))

    def token(self) -> str:
        return f"{self._dice.getrandbits(256):064x}"


def dice(seed: int) -> Dice:
    """A seeded generator for scripted traffic (simulated callers, gateways, benchmarks)."""
    return random.Random(seed)


def monotonic_s() -> float:
    """Seconds on the monotonic clock, for deadlines and measurements."""
    return time.monotonic()


def cpu_s() -> float:
    """CPU seconds (user and system) of this process so far, for benchmarks."""
    return time.process_time()
