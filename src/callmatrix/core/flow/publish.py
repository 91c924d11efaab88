"""Decides whether a flow may be published, and names every node that stands in the way."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from callmatrix.core import hours, rules
from callmatrix.core.errors import MAX_PROBLEMS, Problem
from callmatrix.core.flow import graph, texts
from callmatrix.core.flow.fields import captured_by, fields_of
from callmatrix.core.flow.nodes import (
    MAX_NODES,
    MAX_STEPS,
    BranchNode,
    CollectNode,
    Flow,
    HoursNode,
    LookupNode,
    MenuNode,
    Node,
    NodeId,
    SayNode,
    SetNode,
    SplitNode,
    SpokenPrompt,
    VoicemailNode,
    exits,
)

MAX_NAMED: Final = 10
PERCENT: Final = 100

_ORIGIN: Final = re.compile(r"https?://[^/?#\s{}@]+(?=[/?#]|$)", re.IGNORECASE)


class FlowProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that keeps a flow from being published. `node` "" means the whole flow."""

    node: str
    code: str
    problem: str
    remedy: str


def problems(flow: Flow) -> tuple[FlowProblem, ...]:
    """Everything that must be mended before publishing, at most `MAX_PROBLEMS`; empty means it may be.

    A flow without problems never makes `advance` hang up by `flow_too_long` or `flow_broken`.
    """
    found: list[FlowProblem] = []
    for check in (_whole, _ways, _ends, _circles, _fields, _insides):
        found += check(flow)
    return tuple(found[:MAX_PROBLEMS])


def _whole(flow: Flow) -> Iterator[FlowProblem]:
    if len(flow.nodes) > MAX_NODES:
        yield FlowProblem(
            node="",
            code="too_many_nodes",
            problem=f"{len(flow.nodes)} nodes are more than {MAX_NODES}",
            remedy="Split the flow in two and let each serve its own numbers",
        )
    if flow.start not in flow.nodes:
        yield FlowProblem(
            node=flow.start,
            code="unknown_start",
            problem=f"The flow starts at {flow.start!r}, which is not there",
            remedy="Choose one of the nodes as the start",
        )


def _ways(flow: Flow) -> Iterator[FlowProblem]:
    for here, node in flow.nodes.items():
        for way in exits(node):
            if way.next not in flow.nodes:
                yield FlowProblem(
                    node=here,
                    code="unknown_next",
                    problem=f"Its exit {way.name} leads to {way.next!r}, which is not there",
                    remedy="Connect the exit to a node",
                )
    if flow.start in flow.nodes:
        come_to = graph.reached([flow.start], graph.links(flow))
        for here in flow.nodes:
            if here not in come_to:
                yield FlowProblem(
                    node=here,
                    code="unreachable",
                    problem="No way leads here from the start",
                    remedy="Connect an exit to this node, or delete it",
                )


def _ends(flow: Flow) -> Iterator[FlowProblem]:
    along = graph.links(flow)
    come_to = graph.reached([flow.start], along)
    leads_out = graph.with_a_way_out(flow, along)
    if not come_to:
        return
    if flow.start not in leads_out:
        yield FlowProblem(
            node="",
            code="no_end",
            problem="No way through the flow comes to an end",
            remedy="Add a route, voicemail or hangup node and connect an exit to it",
        )
        return
    for here in flow.nodes:
        if here in come_to and here not in leads_out:
            yield FlowProblem(
                node=here,
                code="no_way_out",
                problem="From here the caller never comes to an end",
                remedy="Connect an exit that leads to a route, voicemail or hangup node",
            )


def _circles(flow: Flow) -> Iterator[FlowProblem]:
    unasked = graph.circles(graph.links(flow, graph.without_input))
    for circle in unasked:
        yield FlowProblem(
            node=circle[0],
            code="loop_without_input",
            problem=f"The caller goes round without being asked: {_round(circle)}",
            remedy="Put a menu or collect node into the loop, or let an exit leave it",
        )
    way = () if unasked else graph.longest_way(graph.links(flow, graph.without_input))
    if len(way) >= MAX_STEPS:
        yield FlowProblem(
            node=way[0],
            code="too_many_steps",
            problem=f"{len(way)} nodes follow here without the caller being asked; {MAX_STEPS - 1} may",
            remedy="Join texts that follow each other into one node",
        )
    told = set(unasked)
    for circle in graph.circles(graph.links(flow, graph.in_silence)):
        if circle not in told:
            yield FlowProblem(
                node=circle[0],
                code="silent_loop",
                problem=f"A caller who presses nothing goes round for ever: {_round(circle)}",
                remedy="Let no_input or failed lead out of the loop; retries repeat the prompt already",
            )


def _round(circle: tuple[NodeId, ...]) -> str:
    named = [*circle[:MAX_NAMED], *(["…"] if len(circle) > MAX_NAMED else []), circle[0]]
    return " → ".join(named)


def _fields(flow: Flow) -> Iterator[FlowProblem]:
    """A node may name what is built in and what was captured on some way to it."""
    ever = fields_of(flow)
    known = graph.known_before(flow)
    for here, node in flow.nodes.items():
        for name in dict.fromkeys(_named_by(node)):
            if name in texts.BUILT_IN_FIELDS or name in known.get(here, ever):
                continue
            if name in ever:
                yield FlowProblem(
                    node=here,
                    code="field_not_yet",
                    problem=f"No way to this node captures {name!r} before it",
                    remedy=f"Move the node behind the one that captures {name!r}",
                )
            else:
                yield FlowProblem(
                    node=here,
                    code="unknown_field",
                    problem=f"Nothing in the flow captures {name!r}",
                    remedy=f"Use a captured field or one of {', '.join(texts.BUILT_IN_FIELDS)}",
                )


def _named_by(node: Node) -> Iterator[str]:
    match node:
        case SayNode():
            yield from texts.places(node.text)
        case MenuNode() | CollectNode() | VoicemailNode() if isinstance(node.prompt, SpokenPrompt):
            yield from texts.places(node.prompt.text)
        case SetNode():
            yield from texts.places(node.value)
        case LookupNode():
            for text in (node.url, *node.send.values()):
                yield from texts.places(text)
        case BranchNode():
            for case in node.cases:
                if not rules.problems(case.rule):
                    leaves = rules.leaves(case.rule)
                    yield from (leaf.name for leaf in leaves if leaf.subject == "field" and leaf.name)
        case _:
            return


def _insides(flow: Flow) -> Iterator[FlowProblem]:
    for here, node in flow.nodes.items():
        yield from _captured_names(here, node)
        match node:
            case MenuNode() if not node.branches:
                yield _empty(here, "The menu has no choices", "Add a key and where it leads")
            case CollectNode() if node.type == "digits" and node.min_length > node.max_length:
                yield FlowProblem(
                    node=here,
                    code="lengths_crossed",
                    problem=f"At least {node.min_length} and at most {node.max_length} digits never meet",
                    remedy="Swap the lengths",
                )
            case BranchNode():
                yield from _cases(here, node)
            case HoursNode():
                yield from (_delegated(here, "bad_hours", each) for each in hours.problems(node.hours))
            case SplitNode():
                yield from _shares(here, node)
            case LookupNode():
                yield from _lookup(here, node)
            case _:
                continue


def _captured_names(here: NodeId, node: Node) -> Iterator[FlowProblem]:
    for name in captured_by(node):
        if name in texts.BUILT_IN_FIELDS:
            yield FlowProblem(
                node=here,
                code="field_built_in",
                problem=f"{name!r} is built in and can't be captured",
                remedy="Choose another name for the field",
            )


def _cases(here: NodeId, node: BranchNode) -> Iterator[FlowProblem]:
    if not node.cases:
        yield _empty(here, "The branch has no cases", "Add a case and where it leads")
    for place, case in enumerate(node.cases):
        for each in rules.problems(case.rule, field=f"cases.{place}.rule"):
            yield _delegated(here, "bad_rule", each)


def _shares(here: NodeId, node: SplitNode) -> Iterator[FlowProblem]:
    total = sum(share.percent for share in node.shares)
    if total != PERCENT:
        yield FlowProblem(
            node=here,
            code="split_not_whole",
            problem=f"The shares sum to {total} percent",
            remedy="Make them sum to 100",
        )


def _lookup(here: NodeId, node: LookupNode) -> Iterator[FlowProblem]:
    if _ORIGIN.match(node.url) is None:
        yield FlowProblem(
            node=here,
            code="bad_url",
            problem="The address has no fixed http or https origin",
            remedy="Start with https:// and the host; fields and passwords may not stand in it",
        )
    for name, path in node.read.items():
        if "" in path.split(".") or path.count(".") >= texts.MAX_PATH_PARTS:
            yield FlowProblem(
                node=here,
                code="bad_path",
                problem=f"{path!r} is not a path for {name!r}",
                remedy="Write it as customer.tier or items.0.id",
            )


def _empty(here: NodeId, problem: str, remedy: str) -> FlowProblem:
    return FlowProblem(node=here, code="empty", problem=problem, remedy=remedy)


def _delegated(here: NodeId, code: str, each: Problem) -> FlowProblem:
    return FlowProblem(node=here, code=code, problem=f"{each.field}: {each.problem}", remedy=each.remedy)
