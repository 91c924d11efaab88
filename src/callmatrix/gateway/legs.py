"""What the interpreter asks of a leg, whoever carries it."""

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from callmatrix.gateway.records import EndedBy
from callmatrix.gateway.twiml import Gather, Prompt, Record


class HungUp(Exception):
    """The leg is gone; `by` says who ended it."""

    def __init__(self, by: EndedBy) -> None:
        super().__init__(by)
        self.by: EndedBy = by


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    digits: str
    finished_on_key: str


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """`digits` is the key that ended it, "hangup", or empty."""

    duration_ms: int
    begun_ms: int
    digits: str


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    outcome: Literal["answered", "busy", "no-answer", "failed"]
    sip_code: int


class Leg(Protocol):
    """One party's line. Everything that takes time raises HungUp when the party is gone."""

    def cut(self, by: EndedBy) -> None: ...

    def gone_by(self) -> EndedBy | None: ...

    def check(self) -> None: ...

    async def play(self, prompt: Prompt) -> None: ...

    async def collect(self, gather: Gather) -> Collected: ...

    async def record(self, record: Record) -> Recorded: ...


class CalleeLeg(Leg, Protocol):
    """A leg that we dialled for a caller; it ends with its caller."""

    async def ring(self, *, until_ms: int, ringing: Callable[[], None]) -> Rung:
        """Ring until answered, refused, or the instant; `ringing` is called when it really rings."""

    async def bridge(self, *, until_ms: int, star_ends: bool) -> EndedBy:
        """Join both parties until one leaves or the instant comes."""


class CallerLeg(Leg, Protocol):
    """The leg that came in."""

    def dial(self, address: str, note: Callable[[str, str], None]) -> CalleeLeg:
        """A new leg, not ringing yet; `note` is told of each prompt that it hears."""
