"""Scripts: what a simulated caller does, and how a simulated buyer's line behaves."""

from collections.abc import Callable
from typing import Literal

import msgspec

Attestation = Literal["A", "B", "C", "failed", "none"]

STIR_VERSTAT: dict[Attestation, str] = {
    "A": "TN-Validation-Passed-A",
    "B": "TN-Validation-Passed-B",
    "C": "TN-Validation-Passed-C",
    "failed": "TN-Validation-Failed",
    "none": "No-TN-Validation",
}


class Press(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="press"):
    """Keys for one Gather.

    The first key comes `after_ms` from the start of the Gather (barging into its prompts), or from the end of
    its prompts where the party `hears_out`; the others follow `every_ms`. A wrong key is just a key.
    """

    digits: str
    after_ms: int = 1_000
    every_ms: int = 300
    hears_out: bool = False


class Silence(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="silence"):
    """Nothing is pressed at this Gather."""


Entry = Press | Silence


class StaysOn(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="stays_on"):
    """The caller never hangs up first."""


class AtPrompt(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="at_prompt"):
    """Hangs up `after_ms` into the nth Say or Play heard, counted from 1."""

    nth: int
    after_ms: int = 0


class AfterArrival(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="after_arrival"):
    """Hangs up `after_ms` from the moment the call reached the carrier, whatever is going on."""

    after_ms: int


class WhileRinging(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="while_ringing"):
    """Hangs up `after_ms` into the nth Dial (from 1), if its leg is not bridged by then."""

    after_ms: int
    nth: int = 1


class AfterBridge(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="after_bridge"):
    """Hangs up `after_ms` into a bridge; with `star`, presses * instead (see hangupOnStar)."""

    after_ms: int
    star: bool = False


HangUp = StaysOn | AtPrompt | AfterArrival | WhileRinging | AfterBridge


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """One caller's script. `entries` are used up by the Gathers in order; after the last: silence.

    `voicemail_ms` is how long they speak at a Record; `voicemail_key` the key that ends it, if any.
    """

    number: str
    dialed: str
    entries: tuple[Entry, ...] = ()
    hangs_up: HangUp = StaysOn()
    attestation: Attestation = "A"
    voicemail_ms: int = 5_000
    voicemail_key: str = ""


class Answers(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="answers"):
    """The buyer picks up after `after_ms` of ringing.

    `talk_ms` from the bridge until the buyer hangs up (None: waits for the other side); `entries` answer the
    Gathers of the whisper; `leaves_whisper_ms` from the answer until the buyer hangs up unbridged.
    """

    after_ms: int = 4_000
    talk_ms: int | None = None
    entries: tuple[Entry, ...] = ()
    leaves_whisper_ms: int | None = None


class Busy(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="busy"):
    after_ms: int = 500


class RingsOnly(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="rings_only"):
    """Nobody ever answers."""


class Fails(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="fails"):
    sip_code: int = 503
    after_ms: int = 200


Behaviour = Answers | Busy | RingsOnly | Fails

BehaviourOf = Callable[[str, int], Behaviour]
"""`(destination, draw) -> Behaviour`: destination is E.164 or a sip: address, draw a fresh 53-bit integer."""


def accepts(*, after_ms: int = 4_000, talk_ms: int | None = None, digits: str = "1") -> Answers:
    """A buyer who answers and presses `digits` at the whisper's Gather."""
    return Answers(after_ms=after_ms, talk_ms=talk_ms, entries=(Press(digits=digits, hears_out=True),))


def presses(*digits: str, after_ms: int = 1_000) -> tuple[Entry, ...]:
    """One entry per text: its keys, or silence where the text is empty."""
    return tuple(Press(digits=text, after_ms=after_ms) if text else Silence() for text in digits)
