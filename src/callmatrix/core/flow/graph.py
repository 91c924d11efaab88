"""Where the exits of a flow lead: what is reached, from where an end is reached, and what goes in circles."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from callmatrix.core.flow.fields import captured_by, fields_of
from callmatrix.core.flow.nodes import (
    CollectNode,
    Exit,
    Flow,
    HangupNode,
    LookupNode,
    MenuNode,
    Node,
    NodeId,
    PlayNode,
    RouteNode,
    SayNode,
    SetNode,
    VoicemailNode,
    exits,
)

Links = Mapping[NodeId, tuple[NodeId, ...]]


def links(flow: Flow, leads: Callable[[Node, Exit], bool] = lambda node, exit: True) -> Links:
    """The nodes that each node leads to by the exits that count; exits to nowhere are left out."""
    return {
        here: tuple(way.next for way in exits(node) if way.next in flow.nodes and leads(node, way))
        for here, node in flow.nodes.items()
    }


def without_input(node: Node, way: Exit) -> bool:
    """Whether the caller takes this exit without having been asked for anything."""
    return not isinstance(node, MenuNode | CollectNode)


def in_silence(node: Node, way: Exit) -> bool:
    """Whether a caller who never presses a key is sure to take this exit."""
    match node:
        case SayNode() | PlayNode() | SetNode():
            return True
        case MenuNode():
            return way.name == "no_input"
        case CollectNode():
            return way.name == "failed"
        case _:
            return False


def reached(starts: Iterable[NodeId], along: Links) -> frozenset[NodeId]:
    """The nodes that can be come to, the starts included."""
    seen: set[NodeId] = set()
    waiting = [here for here in starts if here in along]
    while waiting:
        here = waiting.pop()
        if here not in seen:
            seen.add(here)
            waiting.extend(along[here])
    return frozenset(seen)


def with_a_way_out(flow: Flow, along: Links) -> frozenset[NodeId]:
    """The nodes from which a route, voicemail or hangup can be come to."""
    back: dict[NodeId, list[NodeId]] = {here: [] for here in along}
    for here, onward in along.items():
        for there in onward:
            back[there].append(here)
    ends = (n for n, node in flow.nodes.items() if isinstance(node, VoicemailNode | RouteNode | HangupNode))
    return reached(ends, {here: tuple(behind) for here, behind in back.items()})


def circles(along: Links) -> tuple[tuple[NodeId, ...], ...]:
    """Circles that share no node, each in walking order; none only where there is no circle at all."""
    left = dict(along)
    found: list[tuple[NodeId, ...]] = []
    for _ in along:
        # graphlib walks against the links: what it calls a predecessor is here the next node.
        circle = _circle({here: [to for to in onward if to in left] for here, onward in left.items()})
        if circle is None:
            break
        found.append(circle)
        for here in circle:
            del left[here]
    return tuple(found)


def _circle(along: Mapping[NodeId, list[NodeId]]) -> tuple[NodeId, ...] | None:
    try:
        TopologicalSorter(along).prepare()
    except CycleError as error:
        backwards: list[NodeId] = error.args[1]
        forwards = backwards[:0:-1]
        first = forwards.index(min(forwards))
        return (*forwards[first:], *forwards[:first])
    return None


def longest_way(along: Links) -> tuple[NodeId, ...]:
    """A way with the most nodes, where there are no circles."""
    best: dict[NodeId, tuple[NodeId, ...]] = {}
    for here in TopologicalSorter(along).static_order():
        best[here] = (here, *max((best[to] for to in along[here]), key=len, default=()))
    return max(best.values(), key=len, default=())


def known_before(flow: Flow) -> Mapping[NodeId, frozenset[str]]:
    """For each node that is reached, the fields that may have been captured on some way to it."""
    names = sorted(fields_of(flow))
    bits = {name: 1 << place for place, name in enumerate(names)}
    ways = {here: _ways_with_captures(node, bits) for here, node in flow.nodes.items()}
    # Sets of fields as bits, first in first out: a large and dense flow would take seconds otherwise.
    known: dict[NodeId, int] = {flow.start: 0}
    waiting = deque([flow.start])
    while waiting:
        here = waiting.popleft()
        for to, captured in ways.get(here, ()):
            before = known.get(to)
            then = (before or 0) | known[here] | captured
            if then != before:
                known[to] = then
                if to not in waiting:
                    waiting.append(to)
    return {here: frozenset(name for name in names if bits[name] & have) for here, have in known.items()}


def _ways_with_captures(node: Node, bits: Mapping[str, int]) -> tuple[tuple[NodeId, int], ...]:
    """Where a node leads, and which fields are captured by going there."""
    captured = sum(bits[name] for name in captured_by(node))
    return tuple((way.next, captured if _captures(node, way) else 0) for way in exits(node))


def _captures(node: Node, way: Exit) -> bool:
    match node:
        case MenuNode():
            return way.name not in ("no_input", "invalid")
        case CollectNode() | LookupNode() | SetNode():
            return way.name == "next"
        case _:
            return False
