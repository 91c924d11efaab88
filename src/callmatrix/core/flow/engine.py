"""Walks a flow: from one input to the next question to the caller or a service, or out of the flow."""

from typing import Final, assert_never

import msgspec
from msgspec.structs import replace

from callmatrix.core import geo, hours, rules
from callmatrix.core.flow import texts
from callmatrix.core.flow.fields import captured_zip, zip_fields
from callmatrix.core.flow.nodes import (
    MAX_STEPS,
    Advance,
    AskCaller,
    BranchNode,
    CollectNode,
    Digits,
    Flow,
    FlowInput,
    FlowState,
    Gather,
    HangupNode,
    HoursNode,
    LookupAnswered,
    LookupFailed,
    LookupNode,
    MenuNode,
    NodeId,
    Onward,
    Play,
    PlayedPrompt,
    PlayNode,
    Prompt,
    RouteNode,
    Say,
    SayNode,
    SetNode,
    Silence,
    SplitNode,
    SpokenPrompt,
    Started,
    ToHangup,
    ToRouting,
    ToVoicemail,
    Visit,
    VoicemailNode,
)
from callmatrix.core.rules import Facts, Failed, Held

MAX_BLAMED_VALUES: Final = 5

_WORD: Final = 2**64
_FNV_START: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3


class _Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What a node decides by: the captured fields, the facts they belong to, and the call's draw."""

    fields: dict[str, str]
    facts: Facts
    draw: int


class _Pass(msgspec.Struct, frozen=True, kw_only=True):
    """Go on through an exit, perhaps having said something or captured fields."""

    exit: str
    next: NodeId
    detail: str = ""
    spoken: tuple[Say | Play, ...] = ()
    captured: dict[str, str] = {}


class _Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Wait for an answer, or leave the flow."""

    exit: str
    onward: Onward
    detail: str = ""
    tries: int = 0


def advance(
    flow: Flow,
    state: FlowState | None,
    given: FlowInput,
    *,
    fields: dict[str, str],
    facts: Facts,
    draw: int,
) -> Advance:
    """The answer to one input, total over (state, input) for every flow without `problems`.

    `state` None starts at the flow's start, whatever was given. An input that the waiting node did not
    ask for (keys while a service is asked, an answer while keys are awaited, a second start) changes
    nothing: the same question is asked again and no try is counted. Empty keys are silence. After the
    flow was left, every input gives the way out again.

    `fields` are the captured fields so far; those of `facts` are replaced by them, and a captured ZIP moves
    the facts' place, so a branch right after the ZIP sees it. A field keeps its earlier value where it is
    asked for again in vain. `draw` is any integer of the event; the same draw gives the same walk.
    """
    zips = zip_fields(flow)
    scene = _Scene(fields=fields, facts=_facts_with(facts, fields, zips), draw=draw)
    here = flow.start if state is None else state.node
    spoken: list[Say | Play] = []
    visits: list[Visit] = []
    step = _resume(flow, state, given, scene)
    for _ in range(MAX_STEPS):
        visits.append(Visit(node=here, exit=step.exit, detail=texts.kept(step.detail)))
        if isinstance(step, _Stop):
            return _answer(here, step, scene, spoken, visits)
        spoken += step.spoken
        if step.captured:
            captured = scene.fields | step.captured
            scene = _Scene(fields=captured, facts=_facts_with(facts, captured, zips), draw=draw)
        here = step.next
        step = _enter(flow, here, scene)
    too_long = _Stop(exit="hangup", onward=ToHangup(code="flow_too_long"))
    return _answer(here, too_long, scene, spoken, visits)


def _answer(
    node: NodeId, stop: _Stop, scene: _Scene, spoken: list[Say | Play], visits: list[Visit]
) -> Advance:
    return Advance(
        state=FlowState(node=node, tries=stop.tries),
        fields=scene.fields,
        spoken=tuple(spoken),
        onward=stop.onward,
        visits=tuple(visits),
    )


def _resume(flow: Flow, state: FlowState | None, given: FlowInput, scene: _Scene) -> _Pass | _Stop:
    """The first step: what the input means to the node that waits for it."""
    if state is None:
        return _enter(flow, flow.start, scene)
    node = flow.nodes.get(state.node)
    match node, given:
        case MenuNode(), Digits() | Silence():
            return _choose(node, state.tries, given, scene)
        case CollectNode(), Digits() | Silence():
            return _collect(node, state.tries, given, scene)
        case MenuNode() | CollectNode(), Started() | LookupAnswered() | LookupFailed():
            return _wait(node, scene, tries=state.tries, why="not_keys")
        case LookupNode(), LookupAnswered():
            found = {name: texts.kept(value) for name, value in given.values.items() if name in node.read}
            return _Pass(exit="next", next=node.next, captured=found)
        case LookupNode(), LookupFailed():
            return _Pass(exit="failed", next=node.failed, detail=given.code)
        case _:
            return _enter(flow, state.node, scene)


def _enter(flow: Flow, here: NodeId, scene: _Scene) -> _Pass | _Stop:
    """What a node does when the caller comes to it."""
    node = flow.nodes.get(here)
    match node:
        case None:
            return _Stop(exit="hangup", onward=ToHangup(code="flow_broken"), detail="no such node")
        case SayNode():
            return _Pass(exit="next", next=node.next, spoken=_said(node.text, node.language, scene))
        case PlayNode():
            return _Pass(exit="next", next=node.next, spoken=(Play(url=node.url),))
        case MenuNode() | CollectNode():
            return _wait(node, scene, tries=0, why="")
        case BranchNode():
            return _branch(node, scene)
        case HoursNode():
            is_open = hours.is_open(node.hours, scene.facts.at)
            return _Pass(exit="open" if is_open else "closed", next=node.open if is_open else node.closed)
        case SetNode():
            value = texts.kept(texts.fill(node.value, _known(scene)))
            return _Pass(exit="next", next=node.next, detail=value, captured={node.field: value})
        case LookupNode():
            ask = texts.ask(node, _known(scene))
            if ask is None:
                return _Pass(exit="failed", next=node.failed, detail="url_too_long")
            return _Stop(exit="wait", onward=ask)
        case SplitNode():
            return _split(here, node, scene)
        case VoicemailNode() | RouteNode() | HangupNode():
            return _leave(node, scene)
        case _:
            assert_never(node)


def _leave(node: VoicemailNode | RouteNode | HangupNode, scene: _Scene) -> _Stop:
    match node:
        case VoicemailNode():
            prompt = _prompt(node.prompt, scene)
            return _Stop(exit="voicemail", onward=ToVoicemail(prompt=prompt, max_s=node.max_s))
        case RouteNode():
            return _Stop(exit="route", onward=ToRouting())
        case HangupNode():
            return _Stop(exit="hangup", onward=ToHangup(code="flow_hangup"))
        case _:
            assert_never(node)


def _choose(node: MenuNode, tries: int, given: Digits | Silence, scene: _Scene) -> _Pass | _Stop:
    """The last try decides between `no_input` and `invalid`."""
    key = given.digits if isinstance(given, Digits) else ""
    chosen = next((to for branch, to in node.branches.items() if branch == key), None)
    if chosen is not None:
        captured = {} if node.field is None else {node.field: key}
        return _Pass(exit=f"branches.{key}", next=chosen, captured=captured)
    why = f"invalid {key}" if key else "silence"
    if tries < node.retries:
        return _wait(node, scene, tries=tries + 1, why=why)
    if key and node.invalid is not None:
        return _Pass(exit="invalid", next=node.invalid, detail=why)
    return _Pass(exit="no_input", next=node.no_input, detail=why)


def _collect(node: CollectNode, tries: int, given: Digits | Silence, scene: _Scene) -> _Pass | _Stop:
    digits = given.digits if isinstance(given, Digits) else ""
    entry = texts.check_entry(node, digits) if digits else texts.BadEntry("silence")
    if isinstance(entry, texts.Entered):
        return _Pass(exit="next", next=node.next, captured={node.field: entry.value})
    if tries < node.retries:
        return _wait(node, scene, tries=tries + 1, why=entry.code)
    return _Pass(exit="failed", next=node.failed, detail=entry.code)


def _wait(node: MenuNode | CollectNode, scene: _Scene, *, tries: int, why: str) -> _Stop:
    """Ask for keys: for a menu one, which no finish key ends, so that # can be a choice."""
    prompt = _prompt(node.prompt, scene)
    gather = Gather(
        prompts=() if _is_silent(prompt) else (prompt,),
        timeout_s=node.timeout_s,
        max_digits=1 if isinstance(node, MenuNode) else texts.entry_length(node),
        finish_key="" if isinstance(node, MenuNode) else node.finish_key,
        barge_in=node.barge_in,
    )
    return _Stop(exit="wait", onward=AskCaller(gather=gather), detail=why, tries=tries)


def _branch(node: BranchNode, scene: _Scene) -> _Pass:
    """The first case that holds; otherwise the detail blames a leaf of the last case."""
    held: Held | Failed = Held()
    for place, case in enumerate(node.cases):
        held = rules.holds(case.rule, scene.facts)
        if isinstance(held, Held):
            return _Pass(exit=f"cases.{place}", next=case.next)
    return _Pass(exit="otherwise", next=node.otherwise, detail=_blamed(held))


def _blamed(held: Held | Failed) -> str:
    """Such as `zip starts_with 90 91: 10001`, with `not` in front inside a `none`."""
    if isinstance(held, Held) or held.leaf is None:
        return ""
    leaf = held.leaf
    words = ("" if held.wanted else "not", leaf.subject, leaf.name or "", leaf.operator)
    values = leaf.values[:MAX_BLAMED_VALUES]
    tested = " ".join(word for word in (*words, *values) if word)
    return f"{tested}: {'nothing' if held.actual is None else held.actual}"


def _split(here: NodeId, node: SplitNode, scene: _Scene) -> _Pass:
    """The share that the node's own draw falls into."""
    total = sum(share.percent for share in node.shares)
    drawn = node_draw(scene.draw, here) % max(total, 1)
    passed = 0
    for place, share in enumerate(node.shares):
        passed += share.percent
        if drawn < passed or place == len(node.shares) - 1:
            return _Pass(exit=f"shares.{place}", next=share.next, detail=f"{drawn} of {total}")
    raise AssertionError("a split has shares")


def node_draw(draw: int, node: NodeId) -> int:
    """A node's own 64 bits out of a walk's draw, so that two splits in one walk are independent.

    FNV-1a of the node's id, added to the draw, then the finaliser of SplitMix64 (Steele, Lea, Flood,
    "Fast splittable pseudorandom number generators", 2014).
    """
    mixed = _FNV_START
    for byte in node.encode():
        mixed = (mixed ^ byte) * _FNV_PRIME % _WORD
    mixed = (mixed + draw) % _WORD
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % _WORD
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % _WORD
    return mixed ^ (mixed >> 31)


def _prompt(prompt: Prompt, scene: _Scene) -> Say | Play:
    match prompt:
        case SpokenPrompt():
            return Say(text=texts.fill(prompt.text, _known(scene)), language=prompt.language)
        case PlayedPrompt():
            return Play(url=prompt.url)
        case _:
            assert_never(prompt)


def _said(text: str, language: str, scene: _Scene) -> tuple[Say, ...]:
    """A text whose fields are all empty may leave nothing to say."""
    said = Say(text=texts.fill(text, _known(scene)), language=language)
    return () if _is_silent(said) else (said,)


def _is_silent(order: Say | Play) -> bool:
    return isinstance(order, Say) and not order.text.strip()


def _known(scene: _Scene) -> dict[str, str]:
    """What a text can name: the built-in fields and the captured ones."""
    facts = scene.facts
    return {
        "caller_state": facts.caller_state or "",
        "caller_zip": facts.zip or "",
        "caller_area_code": facts.area_code or "",
        "dialed_number": facts.dialed_number,
    } | scene.fields


def _facts_with(facts: Facts, fields: dict[str, str], zips: frozenset[str]) -> Facts:
    """The facts with these fields; a captured ZIP tells the place, because it outranks the number."""
    captured = captured_zip(zips, fields)
    if captured is None:
        return replace(facts, fields=fields)
    place = geo.from_zip(captured)
    return replace(facts, fields=fields, caller_state=place.state, zip=place.zip)
