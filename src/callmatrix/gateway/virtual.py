"""Virtual legs: a scripted caller's and a scripted buyer's side of a call, on a clock, without any media."""

from collections.abc import Callable
from typing import Literal, assert_never

import msgspec

from callmatrix.gateway.callers import (
    AfterArrival,
    AfterBridge,
    Answers,
    AtPrompt,
    Behaviour,
    BehaviourOf,
    Busy,
    Caller,
    Entry,
    Fails,
    Press,
    RingsOnly,
    Silence,
    StaysOn,
    WhileRinging,
)
from callmatrix.gateway.clocks import Clock, Signal
from callmatrix.gateway.legs import Collected, HungUp, Recorded, Rung
from callmatrix.gateway.records import EndedBy
from callmatrix.gateway.twiml import Gather, Pause, Play, Prompt, Record, Say

MAX_CALL_MS = 24 * 3600 * 1000  # Twilio's longest call


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How long sounds last where nobody really speaks."""

    say_ms_per_character: int = 60
    play_ms: int = 3_000
    key_ms: int = 200
    beep_ms: int = 500


PACE = Pace()


def prompt_ms(prompt: Prompt, pace: Pace) -> int:
    """The length of one prompt in milliseconds, loops included."""
    match prompt:
        case Say():
            return len(prompt.text) * pace.say_ms_per_character * prompt.loop
        case Play():
            once = len(prompt.digits) * pace.key_ms if prompt.digits else pace.play_ms
            return once * prompt.loop
        case Pause():
            return prompt.length_ms
        case _:
            assert_never(prompt)


class VirtualLeg:
    """One scripted party. Every wait ends early, with HungUp, when the party or its companion is gone."""

    def __init__(
        self,
        *,
        clock: Clock,
        pace: Pace,
        party: Literal["caller", "buyer"],
        entries: tuple[Entry, ...],
        note: Callable[[str, str], None],
    ) -> None:
        self._clock = clock
        self._pace = pace
        self._party = party
        self._entries = list(entries)
        self._note = note
        self._gone = Signal()
        self._gone_by: EndedBy | None = None
        self._leaves_at_ms: int | None = None
        self._expires_at_ms = clock.now_ms() + MAX_CALL_MS
        self.companion: VirtualLeg | None = None

    def cut(self, by: EndedBy) -> None:
        """End this leg now; the first to cut is the one remembered."""
        if self._gone_by is None:
            self._gone_by = by
            self._gone.set()

    def leave_at(self, at_ms: int) -> None:
        """The party will hang up at the instant, unless it leaves before."""
        self._leaves_at_ms = at_ms if self._leaves_at_ms is None else min(at_ms, self._leaves_at_ms)

    def gone_by(self) -> EndedBy | None:
        """Who ended this leg, or None while it is up."""
        now_ms = self._clock.now_ms()
        if self._leaves_at_ms is not None and now_ms >= self._leaves_at_ms:
            self.cut(self._party)
        if now_ms >= self._expires_at_ms:
            self.cut("limit")
        if self.companion is not None:
            companion_gone_by = self.companion.gone_by()
            if companion_gone_by is not None:
                self.cut(companion_gone_by)
        return self._gone_by

    def check(self) -> None:
        """Raises HungUp if the leg is gone."""
        by = self.gone_by()
        if by is not None:
            raise HungUp(by)

    async def play(self, prompt: Prompt) -> None:
        await self._hear(prompt, until_ms=None)

    async def collect(self, gather: Gather) -> Collected:
        """Keys by the script's next entry; the timeout runs from the prompts' end and from every key."""
        entry = self._entries.pop(0) if self._entries and gather.keys_count else Silence()
        begun_ms = self._clock.now_ms()
        hears_out = isinstance(entry, Press) and (entry.hears_out or not gather.barge_in)
        barges_at_ms = begun_ms + entry.after_ms if isinstance(entry, Press) and not hears_out else None
        for prompt in gather.prompts:
            if barges_at_ms is not None and self._clock.now_ms() >= barges_at_ms:
                break
            await self._hear(prompt, until_ms=barges_at_ms)
        if isinstance(entry, Silence):
            await self._until(self._clock.now_ms() + gather.timeout_ms)
            return Collected(digits="", finished_on_key="")
        first_ms = self._clock.now_ms() + entry.after_ms if barges_at_ms is None else barges_at_ms
        return await self._keys(gather, entry, first_ms)

    async def _keys(self, gather: Gather, entry: Press, first_ms: int) -> Collected:
        digits = ""
        silent_from_ms = self._clock.now_ms()
        for position, key in enumerate(entry.digits):
            pressed_ms = first_ms + position * entry.every_ms
            if pressed_ms > silent_from_ms + gather.timeout_ms:
                break
            await self._until(pressed_ms)
            silent_from_ms = pressed_ms
            if key in gather.finish_on_key:
                return Collected(digits=digits, finished_on_key=key)
            digits += key
            if gather.num_digits is not None and len(digits) >= gather.num_digits:
                return Collected(digits=digits, finished_on_key="")
        await self._until(silent_from_ms + gather.timeout_ms)
        return Collected(digits=digits, finished_on_key="")

    async def _hear(self, prompt: Prompt, *, until_ms: int | None) -> None:
        self.check()
        match prompt:
            case Say():
                self._note("Say", prompt.text)
                self._prompt_begins()
            case Play():
                self._note("Play", prompt.url or prompt.digits)
                self._prompt_begins()
            case Pause():
                self._note("Pause", "")
        ends_ms = self._clock.now_ms() + prompt_ms(prompt, self._pace)
        await self._until(ends_ms if until_ms is None else min(ends_ms, until_ms))

    def _prompt_begins(self) -> None:
        """A place for scripts that count prompts."""

    async def _until(self, at_ms: int) -> None:
        self.check()
        signals = [self._gone]
        instants = [at_ms, self._expires_at_ms]
        if self._leaves_at_ms is not None:
            instants.append(self._leaves_at_ms)
        if self.companion is not None:
            signals.append(self.companion._gone)
            if self.companion._leaves_at_ms is not None:
                instants.append(self.companion._leaves_at_ms)
        await self._clock.wait(min(instants), *signals)
        self.check()


class VirtualCaller(VirtualLeg):
    """The caller's side: follows a Caller script."""

    def __init__(
        self,
        *,
        script: Caller,
        clock: Clock,
        pace: Pace,
        behaviour: BehaviourOf,
        draw: Callable[[], int],
        note: Callable[[str, str], None],
    ) -> None:
        super().__init__(clock=clock, pace=pace, party="caller", entries=script.entries, note=note)
        self.script = script
        self._behaviour = behaviour
        self._draw = draw
        self._prompts = 0
        self._dials = 0
        if isinstance(script.hangs_up, AfterArrival):
            self.leave_at(clock.now_ms() + script.hangs_up.after_ms)

    def _prompt_begins(self) -> None:
        self._prompts += 1
        leaves = self.script.hangs_up
        if isinstance(leaves, AtPrompt) and leaves.nth == self._prompts:
            self.leave_at(self._clock.now_ms() + leaves.after_ms)

    async def record(self, record: Record) -> Recorded:
        """Speak for as long as the script says, then press its key or stay silent until the timeout."""
        begun_ms = self._clock.now_ms() + (self._pace.beep_ms if record.play_beep else 0)
        spoken_ms = min(self.script.voicemail_ms, record.max_length_ms)
        key = self.script.voicemail_key
        by_key = bool(key) and key in record.finish_on_key and spoken_ms < record.max_length_ms
        try:
            await self._until(begun_ms)
            await self._until(begun_ms + spoken_ms)
            if not by_key:
                ends_ms = begun_ms + min(spoken_ms + record.timeout_ms, record.max_length_ms)
                await self._until(ends_ms)
        except HungUp:
            heard_ms = min(max(0, self._clock.now_ms() - begun_ms), spoken_ms)
            return Recorded(duration_ms=heard_ms, begun_ms=begun_ms, digits="hangup")
        return Recorded(duration_ms=spoken_ms, begun_ms=begun_ms, digits=key if by_key else "")

    def dial(self, address: str, note: Callable[[str, str], None]) -> "VirtualCallee":
        """A new leg to the address; how it behaves is drawn now."""
        self._dials += 1
        leaves = self.script.hangs_up
        if isinstance(leaves, WhileRinging) and leaves.nth == self._dials:
            self.leave_at(self._clock.now_ms() + leaves.after_ms)
        behaviour = self._behaviour(address, self._draw())
        return VirtualCallee(caller=self, behaviour=behaviour, clock=self._clock, pace=self._pace, note=note)

    def bridged(self) -> int | None:
        """The script's reaction to a bridge: hang up later, or the instant at which * is pressed."""
        leaves = self.script.hangs_up
        now_ms = self._clock.now_ms()
        match leaves:
            case WhileRinging():
                self._leaves_at_ms = None
            case AfterBridge():
                if leaves.star:
                    return now_ms + leaves.after_ms
                self.leave_at(now_ms + leaves.after_ms)
            case StaysOn() | AtPrompt() | AfterArrival():
                pass
            case _:
                assert_never(leaves)
        return None


class VirtualCallee(VirtualLeg):
    """The buyer's side of one dial."""

    def __init__(
        self,
        *,
        caller: VirtualCaller,
        behaviour: Behaviour,
        clock: Clock,
        pace: Pace,
        note: Callable[[str, str], None],
    ) -> None:
        entries = behaviour.entries if isinstance(behaviour, Answers) else ()
        super().__init__(clock=clock, pace=pace, party="buyer", entries=entries, note=note)
        self._caller = caller
        self._behaviour = behaviour
        self.companion = caller

    async def ring(self, *, until_ms: int, ringing: Callable[[], None]) -> Rung:
        """Ring until answer, refusal or the instant. Raises HungUp when the caller leaves or it is cut."""
        begun_ms = self._clock.now_ms()
        behaviour = self._behaviour
        match behaviour:
            case Answers():
                ringing()
                answers_ms = begun_ms + behaviour.after_ms
                await self._until(min(answers_ms, until_ms))
                if answers_ms > until_ms:
                    return Rung(outcome="no-answer", sip_code=487)
                if behaviour.leaves_whisper_ms is not None:
                    self.leave_at(answers_ms + behaviour.leaves_whisper_ms)
                return Rung(outcome="answered", sip_code=200)
            case RingsOnly():
                ringing()
                await self._until(until_ms)
                return Rung(outcome="no-answer", sip_code=487)
            case Busy():
                await self._until(min(begun_ms + behaviour.after_ms, until_ms))
                return Rung(outcome="busy", sip_code=486)
            case Fails():
                await self._until(min(begun_ms + behaviour.after_ms, until_ms))
                return Rung(outcome="failed", sip_code=behaviour.sip_code)
            case _:
                assert_never(behaviour)

    async def record(self, record: Record) -> Recorded:
        """A buyer says nothing to a machine."""
        begun_ms = self._clock.now_ms()
        await self._until(begun_ms + min(record.timeout_ms, record.max_length_ms))
        return Recorded(duration_ms=0, begun_ms=begun_ms, digits="")

    async def bridge(self, *, until_ms: int, star_ends: bool) -> EndedBy:
        """Both talk until somebody leaves or the instant comes; who ended it."""
        self._leaves_at_ms = None
        if isinstance(self._behaviour, Answers) and self._behaviour.talk_ms is not None:
            self.leave_at(self._clock.now_ms() + self._behaviour.talk_ms)
        star_ms = self._caller.bridged()
        ends_ms = until_ms if star_ms is None or not star_ends else min(star_ms, until_ms)
        try:
            await self._until(ends_ms)
        except HungUp as hung_up:
            return hung_up.by
        return "limit" if ends_ms == until_ms else "star"
