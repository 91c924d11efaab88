"""The check before publishing: each kind of mistake is found and laid to its node."""

from datetime import UTC, datetime
from typing import Any

import pytest

from callmatrix.core import hours
from callmatrix.core.errors import MAX_PROBLEMS
from callmatrix.core.flow import (
    MAX_NODES,
    MAX_STEPS,
    BranchNode,
    Case,
    CollectNode,
    Digits,
    Flow,
    FlowProblem,
    FlowState,
    HangupNode,
    HoursNode,
    LookupNode,
    MenuNode,
    Node,
    RouteNode,
    SayNode,
    SetNode,
    Share,
    SplitNode,
    SpokenPrompt,
    ToHangup,
    ToRouting,
    VoicemailNode,
    advance,
    problems,
)
from callmatrix.core.rules import ALWAYS, AllOf, AnyOf, Facts, Leaf

PROMPT = SpokenPrompt(text="Well?")
LONG_CHAIN = {f"n{place}": SayNode(text="x", next=f"n{place + 1}") for place in range(MAX_NODES + 1)}


def flow_of(**nodes: Node) -> Flow:
    """A flow that starts at its first node."""
    return Flow(nodes=nodes, start=next(iter(nodes)))


def say(then: str, text: str = "x") -> SayNode:
    return SayNode(text=text, next=then)


def menu(one: str, no_input: str, **options: Any) -> MenuNode:
    return MenuNode(prompt=PROMPT, branches={"1": one}, no_input=no_input, **options)


def collect(then: str, failed: str, **options: Any) -> CollectNode:
    return CollectNode(prompt=PROMPT, field=options.pop("field", "f"), next=then, failed=failed, **options)


def lookup(**options: Any) -> LookupNode:
    options = {"url": "https://x.example.com/a", "read": {"f": "a.b"}} | options
    return LookupNode(next="end", failed="end", **options)


def field_rule(name: str) -> Leaf:
    return Leaf(subject="field", name=name, operator="present")


def found(flow: Flow) -> list[tuple[str, str]]:
    return [(problem.node, problem.code) for problem in problems(flow)]


END = RouteNode()

MISTAKES = [
    (Flow(nodes={"end": END}, start="gone"), [("gone", "unknown_start")]),
    (flow_of(a=say("gone"), end=END), [("a", "unknown_next"), ("end", "unreachable"), ("", "no_end")]),
    (flow_of(a=menu("end", "gone"), end=END), [("a", "unknown_next")]),
    (flow_of(a=say("end"), b=menu("b", "b"), end=END), [("b", "unreachable"), ("b", "silent_loop")]),
    (flow_of(a=menu("end", "end", invalid="gone"), end=END), [("a", "unknown_next")]),
    (flow_of(a=say("end"), b=say("end"), end=END), [("b", "unreachable")]),
    (flow_of(a=say("end"), b=say("c"), c=say("end"), end=END), [("b", "unreachable"), ("c", "unreachable")]),
    (
        flow_of(a=menu("b", "end"), b=menu("b", "c"), c=menu("b", "b"), end=END),
        [
            ("b", "no_way_out"),
            ("c", "no_way_out"),
            ("b", "silent_loop"),
        ],
    ),
    (flow_of(a=say("a")), [("", "no_end"), ("a", "loop_without_input")]),
    (
        flow_of(
            m=menu("b", "end"),
            b=say("c"),
            c=BranchNode(cases=(Case(rule=ALWAYS, next="b"),), otherwise="end"),
            end=END,
        ),
        [("b", "loop_without_input")],
    ),
    (
        flow_of(a=LookupNode(url="https://x.example.com", read={}, next="end", failed="a"), end=END),
        [("a", "loop_without_input")],
    ),
    (flow_of(a=menu("end", "b"), b=say("a"), end=END), [("a", "silent_loop")]),
    (flow_of(a=collect("end", "a"), end=END), [("a", "silent_loop")]),
    (flow_of(a=say("end", "Hi {name}"), end=END), [("a", "unknown_field")]),
    (flow_of(a=say("end", "Hi {Your Name}"), end=END), [("a", "unknown_field")]),
    (flow_of(a=say("b", "Hi {f}"), b=collect("end", "end"), end=END), [("a", "field_not_yet")]),
    (flow_of(b=collect("end", "a"), a=say("end", "Hi {f}"), end=END), [("a", "field_not_yet")]),
    (flow_of(a=menu("end", "b", field="f"), b=say("end", "{f}"), end=END), [("b", "field_not_yet")]),
    (flow_of(a=VoicemailNode(prompt=SpokenPrompt(text="{x}"))), [("a", "unknown_field")]),
    (flow_of(a=SetNode(field="f", value="{f}", next="end"), end=END), [("a", "field_not_yet")]),
    (
        flow_of(a=lookup(url="https://x.example.com/{x}", send={"a": "{y}"}), end=END),
        [
            ("a", "unknown_field"),
            ("a", "unknown_field"),
        ],
    ),
    (
        flow_of(
            a=BranchNode(cases=(Case(rule=AllOf(rules=(field_rule("x"),)), next="end"),), otherwise="end"),
            end=END,
        ),
        [("a", "unknown_field")],
    ),
    (flow_of(a=MenuNode(prompt=PROMPT, branches={}, no_input="end"), end=END), [("a", "empty")]),
    (flow_of(a=BranchNode(cases=(), otherwise="end"), end=END), [("a", "empty")]),
    (flow_of(a=collect("end", "end", min_length=5, max_length=4), end=END), [("a", "lengths_crossed")]),
    (flow_of(a=collect("end", "end", field="caller_zip"), end=END), [("a", "field_built_in")]),
    (
        flow_of(a=BranchNode(cases=(Case(rule=AnyOf(rules=()), next="end"),), otherwise="end"), end=END),
        [("a", "bad_rule")],
    ),
    (
        flow_of(
            a=HoursNode(hours=hours.Hours(time_zone="Mars/Base", spans=()), open="end", closed="end"), end=END
        ),
        [("a", "bad_hours")],
    ),
    (
        flow_of(a=SplitNode(shares=(Share(percent=50, next="end"), Share(percent=49, next="end"))), end=END),
        [("a", "split_not_whole")],
    ),
    (flow_of(a=lookup(url="ftp://x.example.com/"), end=END), [("a", "bad_url")]),
    (flow_of(a=lookup(url="https://{caller_state}.example.com/"), end=END), [("a", "bad_url")]),
    (flow_of(a=lookup(url="https://user:secret@x.example.com/"), end=END), [("a", "bad_url")]),
    (flow_of(a=lookup(read={"f": "a..b"}), end=END), [("a", "bad_path")]),
    (flow_of(a=lookup(read={"f": ".".join("a" * 30)}), end=END), [("a", "bad_path")]),
]


@pytest.mark.parametrize(("flow", "expected"), MISTAKES, ids=lambda value: str(value)[:60])
def test_a_mistake_is_found_and_laid_to_its_node(flow: Flow, expected: list[tuple[str, str]]) -> None:
    assert found(flow) == expected


def test_every_problem_says_what_to_do_in_words() -> None:
    flow = flow_of(a=menu("b", "end"), b=say("c"), c=say("b"), end=HangupNode())
    assert problems(flow) == (
        FlowProblem(
            node="b",
            code="no_way_out",
            problem="From here the caller never comes to an end",
            remedy="Connect an exit that leads to a route, voicemail or hangup node",
        ),
        FlowProblem(
            node="c",
            code="no_way_out",
            problem="From here the caller never comes to an end",
            remedy="Connect an exit that leads to a route, voicemail or hangup node",
        ),
        FlowProblem(
            node="b",
            code="loop_without_input",
            problem="The caller goes round without being asked: b → c → b",
            remedy="Put a menu or collect node into the loop, or let an exit leave it",
        ),
    )


@pytest.mark.parametrize(
    "flow",
    [
        flow_of(a=menu("a", "end"), end=END),
        flow_of(a=menu("b", "end"), b=say("a"), end=END),
        # Silence leads back once only, because the branch then leaves.
        flow_of(
            a=menu("end", "seen"),
            seen=BranchNode(cases=(Case(rule=field_rule("tried"), next="end"),), otherwise="mark"),
            mark=SetNode(field="tried", value="yes", next="a"),
            end=END,
        ),
        # One of two ways captures the field.
        flow_of(a=menu("b", "c"), b=collect("c", "c"), c=say("end", "{f}"), end=END),
        # Each of two ways captures one of the fields.
        flow_of(
            a=menu("b", "c"),
            b=collect("d", "d"),
            c=collect("d", "d", field="g"),
            d=say("end", "{f} {g}"),
            end=END,
        ),
        flow_of(a=say("end", "{caller_state} {caller_zip} {caller_area_code} {dialed_number}"), end=END),
        flow_of(a=lookup(url="http://127.0.0.1:8080?zip={caller_zip}"), end=END),
    ],
)
def test_what_is_no_mistake_is_let_through(flow: Flow) -> None:
    assert problems(flow) == ()


def test_a_flow_of_too_many_nodes_is_refused_and_problems_are_bounded() -> None:
    flow = Flow(nodes={**LONG_CHAIN, "end": END}, start="end")
    assert found(flow)[0] == ("", "too_many_nodes")
    assert len(problems(flow)) == MAX_PROBLEMS


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("texts", [MAX_STEPS - 3, MAX_STEPS - 2, MAX_STEPS - 1])
def test_a_chain_is_refused_before_the_walk_would_give_up(asked: bool, texts: int) -> None:
    chain = {f"n{place:03}": say(f"n{place + 1:03}") for place in range(texts)}
    last = f"n{texts:03}"
    flow = flow_of(ask=menu("n000", last) if asked else say("n000"), **chain, **{last: END})
    facts = Facts(
        caller=None,
        dialed_number="+18005550100",
        caller_state=None,
        area_code=None,
        zip=None,
        publisher_id=None,
        campaign_id="camp_1",
        at=datetime(2026, 3, 4, 15, 0, tzinfo=UTC),
        fields={},
        tags={},
        attestation=None,
    )
    state = FlowState(node="ask")
    onward = advance(flow, state, Digits(digits="1"), fields={}, facts=facts, draw=0).onward
    # The check counts nodes behind a question; a first node that asks nothing counts as one of them.
    nodes = texts + 1 if asked else texts + 2
    refused = [code for _, code in found(flow)] == ["too_many_steps"]
    assert refused == (nodes >= MAX_STEPS)
    assert onward == (ToHangup(code="flow_too_long") if texts + 2 > MAX_STEPS else ToRouting())
