"""The walk through a flow: what each input leads to, and that every input in every state leads somewhere."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callmatrix.core import hours
from callmatrix.core.documents import from_plain
from callmatrix.core.errors import Refused
from callmatrix.core.flow import (
    FLOW_VERSION,
    HANGUP_CODES,
    LIFTS,
    MAX_FIELD_LENGTH,
    MAX_STEPS,
    MAX_TEXT,
    Advance,
    AskCaller,
    AskService,
    BranchNode,
    Case,
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
    Node,
    Play,
    PlayedPrompt,
    PlayNode,
    RouteNode,
    Say,
    SayNode,
    SetNode,
    Share,
    Silence,
    SplitNode,
    SpokenPrompt,
    Started,
    ToHangup,
    ToRouting,
    ToVoicemail,
    Visit,
    VoicemailNode,
    advance,
    captured_zip,
    exits,
    fields_of,
    lift,
    node_draw,
    problems,
    read_reply,
    shareable_fields,
    zip_fields,
)
from callmatrix.core.rules import ALWAYS, AnyOf, Facts, Leaf

FACTS = Facts(
    caller="+13125550123",
    dialed_number="+18005550100",
    caller_state="IL",
    area_code="312",
    zip=None,
    publisher_id=None,
    campaign_id="camp_1",
    at=datetime(2026, 3, 4, 15, 0, tzinfo=UTC),
    fields={"stale": "from before"},
    tags={},
    attestation=None,
)
PROMPT = SpokenPrompt(text="Well?")
NEVER = AnyOf(rules=(Leaf(subject="field", name="nobody", operator="present"),))


def flow_of(**nodes: Node) -> Flow:
    """A flow that starts at its first node."""
    return Flow(nodes=nodes, start=next(iter(nodes)))


def step(
    flow: Flow,
    given: FlowInput | None = None,
    *,
    at: str | None = None,
    tries: int = 0,
    fields: dict[str, str] | None = None,
    draw: int = 0,
) -> Advance:
    state = None if at is None else FlowState(node=at, tries=tries)
    return advance(flow, state, given or Started(), fields=fields or {}, facts=FACTS, draw=draw)


def collect(kind: str = "digits", **options: Any) -> CollectNode:
    return CollectNode(
        prompt=PROMPT,
        field="entry",
        next="end",
        failed="lost",
        type=kind,  # type: ignore[arg-type]
        **options,
    )


def collecting(node: CollectNode) -> Flow:
    return flow_of(ask=node, end=RouteNode(), lost=HangupNode())


# --- texts ---------------------------------------------------------------------------------------------


def test_texts_are_heard_in_order_before_the_question() -> None:
    flow = flow_of(
        hello=SayNode(text="Hello {name}{nobody}.", next="music"),
        music=PlayNode(url="https://sounds.example.com/a.mp3", next="ask"),
        ask=collect(timeout_s=7, max_length=4, finish_key="*", barge_in=False),
        end=RouteNode(),
        lost=HangupNode(),
    )
    assert step(flow, fields={"name": "friend"}) == Advance(
        state=FlowState(node="ask"),
        fields={"name": "friend"},
        spoken=(Say(text="Hello friend."), Play(url="https://sounds.example.com/a.mp3")),
        onward=AskCaller(
            gather=Gather(
                prompts=(Say(text="Well?"),), timeout_s=7, max_digits=4, finish_key="*", barge_in=False
            )
        ),
        visits=(
            Visit(node="hello", exit="next"),
            Visit(node="music", exit="next"),
            Visit(node="ask", exit="wait"),
        ),
    )


def test_built_in_fields_are_known_to_every_text() -> None:
    text = "{caller_state} {caller_zip} {caller_area_code} {dialed_number}"
    said = step(flow_of(hello=SayNode(text=text, next="end"), end=RouteNode())).spoken
    assert said == (Say(text="IL  312 +18005550100"),)


def test_a_text_of_nothing_but_empty_fields_is_not_spoken() -> None:
    flow = flow_of(hello=SayNode(text="{nobody} {empty}", next="end"), end=RouteNode())
    assert step(flow, fields={"empty": ""}).spoken == ()


def test_a_prompt_of_nothing_but_empty_fields_still_waits_for_keys() -> None:
    menu = MenuNode(prompt=SpokenPrompt(text="{nobody}"), branches={"1": "end"}, no_input="end")
    assert step(flow_of(ask=menu, end=RouteNode())).onward == AskCaller(
        gather=Gather(prompts=(), timeout_s=5, max_digits=1)
    )


def test_a_filled_text_is_not_filled_again_and_stays_in_bounds() -> None:
    flow = flow_of(hello=SayNode(text="{a}" * 100, next="end"), end=RouteNode())
    assert step(flow, fields={"a": "{b}", "b": "no"}).spoken == (Say(text="{b}" * 100),)
    assert step(flow, fields={"a": "x" * 200}).spoken == (Say(text="x" * MAX_TEXT),)


def test_a_set_value_is_one_short_line_and_known_to_the_next_node() -> None:
    flow = flow_of(
        keep=SetNode(field="note", value="{a}\n{a}", next="tell"),
        tell=SayNode(text="{note}", next="end"),
        end=RouteNode(),
    )
    result = step(flow, fields={"a": "x" * 150})
    kept = ("x" * 150 + " " + "x" * 150)[:MAX_FIELD_LENGTH]
    assert (result.fields["note"], result.spoken) == (kept, (Say(text=kept),))


# --- menus ---------------------------------------------------------------------------------------------

MENU = flow_of(
    ask=MenuNode(
        prompt=PROMPT,
        branches={"1": "end", "#": "lost"},
        no_input="quiet",
        invalid="wrong",
        field="choice",
        retries=1,
    ),
    end=RouteNode(),
    lost=HangupNode(),
    quiet=VoicemailNode(prompt=PROMPT),
    wrong=VoicemailNode(prompt=PROMPT, max_s=30),
)


@pytest.mark.parametrize(
    ("given", "tries", "visit", "onward"),
    [
        (Digits(digits="1"), 0, Visit(node="ask", exit="branches.1"), ToRouting()),
        (Digits(digits="#"), 1, Visit(node="ask", exit="branches.#"), ToHangup(code="flow_hangup")),
        (
            Silence(),
            1,
            Visit(node="ask", exit="no_input", detail="silence"),
            ToVoicemail(prompt=Say(text="Well?"), max_s=120),
        ),
        (
            Digits(digits=""),
            1,
            Visit(node="ask", exit="no_input", detail="silence"),
            ToVoicemail(prompt=Say(text="Well?"), max_s=120),
        ),
        (
            Digits(digits="11"),
            1,
            Visit(node="ask", exit="invalid", detail="invalid 11"),
            ToVoicemail(prompt=Say(text="Well?"), max_s=30),
        ),
    ],
)
def test_a_key_or_the_last_silence_takes_its_exit(
    given: FlowInput, tries: int, visit: Visit, onward: object
) -> None:
    result = step(MENU, given, at="ask", tries=tries)
    assert (result.visits[0], result.onward) == (visit, onward)


def test_a_chosen_key_is_kept_in_the_field_and_a_wrong_one_is_not() -> None:
    assert step(MENU, Digits(digits="1"), at="ask").fields == {"choice": "1"}
    assert step(MENU, Digits(digits="9"), at="ask", tries=1).fields == {}


@pytest.mark.parametrize(("given", "why"), [(Silence(), "silence"), (Digits(digits="7"), "invalid 7")])
def test_a_menu_repeats_its_prompt_while_tries_are_left(given: FlowInput, why: str) -> None:
    assert step(MENU, given, at="ask") == Advance(
        state=FlowState(node="ask", tries=1),
        fields={},
        spoken=(),
        onward=AskCaller(gather=Gather(prompts=(Say(text="Well?"),), timeout_s=5, max_digits=1)),
        visits=(Visit(node="ask", exit="wait", detail=why),),
    )


def test_a_menu_without_an_invalid_exit_takes_no_input_for_a_wrong_key() -> None:
    menu = MenuNode(prompt=PROMPT, branches={"1": "end"}, no_input="quiet", retries=0)
    flow = flow_of(ask=menu, end=RouteNode(), quiet=HangupNode())
    result = step(flow, Digits(digits="2"), at="ask")
    assert result.visits[0] == Visit(node="ask", exit="no_input", detail="invalid 2")


# --- entries -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "digits", "kept"),
    [
        ("digits", "0", "0"),
        ("digits", "0123456789", "0123456789"),
        ("zip", "60614", "60614"),
        ("date", "02292024", "02292024"),
        ("phone", "3125550123", "+13125550123"),
        ("yes_no", "1", "yes"),
        ("yes_no", "2", "no"),
    ],
)
def test_a_good_entry_is_kept(kind: str, digits: str, kept: str) -> None:
    result = step(collecting(collect(kind)), Digits(digits=digits), at="ask")
    assert (result.fields, result.onward) == ({"entry": kept}, ToRouting())


@pytest.mark.parametrize(
    ("kind", "digits", "code"),
    [
        ("digits", "12345678901", "too_long"),
        ("digits", "12*4", "not_digits"),
        ("digits", "١٢٣", "not_digits"),
        ("digits", "", "silence"),
        ("zip", "6061", "too_short"),
        ("zip", "00000", "zip_unknown"),
        ("date", "02292023", "date_invalid"),
        ("date", "13012020", "date_invalid"),
        ("date", "00002020", "date_invalid"),
        ("date", "01011899", "date_invalid"),
        ("date", "01012100", "date_invalid"),
        ("phone", "312555012", "too_short"),
        ("phone", "1125550123", "phone_invalid"),
        ("phone", "3121550123", "phone_invalid"),
        ("phone", "9115550123", "phone_invalid"),
        ("phone", "3129110123", "phone_invalid"),
        ("yes_no", "3", "not_1_or_2"),
        ("yes_no", "12", "too_long"),
    ],
)
def test_a_bad_entry_is_asked_for_again_and_at_last_fails(kind: str, digits: str, code: str) -> None:
    flow = collecting(collect(kind, retries=1))
    again = step(flow, Digits(digits=digits), at="ask")
    assert again.state == FlowState(node="ask", tries=1)
    assert again.visits == (Visit(node="ask", exit="wait", detail=code),)
    failed = step(flow, Digits(digits=digits), at="ask", tries=1)
    assert failed.visits[0] == Visit(node="ask", exit="failed", detail=code)
    assert (failed.fields, failed.onward) == ({}, ToHangup(code="flow_hangup"))


def test_an_entry_shorter_than_the_least_length_is_too_short() -> None:
    result = step(collecting(collect(min_length=4)), Digits(digits="123"), at="ask")
    assert result.visits == (Visit(node="ask", exit="wait", detail="too_short"),)


@pytest.mark.parametrize(
    ("kind", "keys"), [("digits", 10), ("zip", 5), ("date", 8), ("phone", 10), ("yes_no", 1)]
)
def test_the_carrier_waits_for_as_many_keys_as_the_entry_has(kind: str, keys: int) -> None:
    onward = step(collecting(collect(kind))).onward
    assert isinstance(onward, AskCaller)
    assert onward.gather.max_digits == keys


def test_a_failed_second_entry_leaves_the_first_one() -> None:
    result = step(collecting(collect("zip", retries=0)), Silence(), at="ask", fields={"entry": "60614"})
    assert result.fields == {"entry": "60614"}


# --- branches, hours, splits ---------------------------------------------------------------------------


def test_a_branch_sees_the_fields_of_now_and_not_those_of_the_facts() -> None:
    leaf = Leaf(subject="field", name="stale", operator="present")
    branch = BranchNode(cases=(Case(rule=leaf, next="lost"),), otherwise="end")
    flow = flow_of(ask=branch, end=RouteNode(), lost=HangupNode())
    assert step(flow).onward == ToRouting()
    assert step(flow, fields={"stale": "now"}).onward == ToHangup(code="flow_hangup")


def test_a_branch_takes_the_first_case_that_holds() -> None:
    cases = (Case(rule=NEVER, next="a"), Case(rule=ALWAYS, next="b"), Case(rule=ALWAYS, next="c"))
    flow = flow_of(ask=BranchNode(cases=cases, otherwise="c"), a=HangupNode(), b=RouteNode(), c=HangupNode())
    assert step(flow).visits == (Visit(node="ask", exit="cases.1"), Visit(node="b", exit="route"))


def test_a_branch_that_takes_no_case_says_what_the_last_one_lacked() -> None:
    leaf = Leaf(subject="caller_state", operator="in", values=("CA", "NV"))
    flow = flow_of(ask=BranchNode(cases=(Case(rule=leaf, next="end"),), otherwise="end"), end=RouteNode())
    expected = Visit(node="ask", exit="otherwise", detail="caller_state in CA NV: IL")
    assert step(flow).visits[0] == expected


@pytest.mark.parametrize(("entered", "onward"), [("90210", "cases.0"), ("60614", "otherwise")])
def test_a_branch_right_after_the_zip_sees_its_state(entered: str, onward: str) -> None:
    leaf = Leaf(subject="caller_state", operator="equal", values=("CA",))
    zip_node = CollectNode(prompt=PROMPT, field="zip", next="where", failed="end", type="zip")
    branch = BranchNode(cases=(Case(rule=leaf, next="end"),), otherwise="end")
    flow = flow_of(ask=zip_node, where=branch, end=RouteNode())
    assert step(flow, Digits(digits=entered), at="ask").visits[1].exit == onward


def test_hours_are_asked_at_the_instant_of_the_facts() -> None:
    never = hours.Hours(time_zone="UTC", spans=())
    for times, way in ((hours.always_open(), "open"), (never, "closed")):
        flow = flow_of(ask=HoursNode(hours=times, open="end", closed="end"), end=RouteNode())
        assert step(flow).visits[0] == Visit(node="ask", exit=way)


def test_a_split_draws_its_shares_in_their_proportion() -> None:
    shares = (Share(percent=20, next="end"), Share(percent=30, next="end"), Share(percent=50, next="end"))
    flow = flow_of(ask=SplitNode(shares=shares), end=RouteNode())
    taken: dict[int, str] = {}
    for draw in range(2_000):
        taken[node_draw(draw, "ask") % 100] = step(flow, draw=draw).visits[0].exit
    assert taken == {
        drawn: "shares.0" if drawn < 20 else "shares.1" if drawn < 50 else "shares.2" for drawn in range(100)
    }


def test_a_node_draws_every_percent_equally_often() -> None:
    drawn = [node_draw(draw, "ask") % 100 for draw in range(20_000)]
    # Five standard deviations of a binomial draw, because there are a hundred of them.
    for percent in range(100):
        assert abs(drawn.count(percent) - 200) < 5 * (20_000 * 0.01 * 0.99) ** 0.5


def test_two_splits_in_one_walk_draw_independently() -> None:
    joint = [(node_draw(draw, "a") % 2, node_draw(draw, "b") % 2) for draw in range(4_000)]
    for pair in ((0, 0), (0, 1), (1, 0), (1, 1)):
        assert abs(joint.count(pair) - 1_000) < 4 * (4_000 * 3 / 16) ** 0.5


@given(draw=st.integers(), node=st.text(alphabet="abc_019", min_size=1, max_size=40))
def test_a_node_draw_is_of_64_bits(draw: int, node: str) -> None:
    assert 0 <= node_draw(draw, node) < 2**64


# --- lookups -------------------------------------------------------------------------------------------


def looking(**options: Any) -> Flow:
    node = LookupNode(
        url=options.pop("url", "https://crm.example.com/{name}#top"),
        read={"tier": "client.tier", "city": "client.city"},
        next="end",
        failed="lost",
        **options,
    )
    return flow_of(ask=node, end=RouteNode(), lost=HangupNode())


def asked(flow: Flow, fields: dict[str, str]) -> AskService:
    onward = step(flow, fields=fields).onward
    assert isinstance(onward, AskService)
    return onward


def test_what_is_put_into_an_address_can_not_leave_its_place() -> None:
    assert asked(looking(), {"name": "a/b?c&d=é #{x}"}).url == (
        "https://crm.example.com/a%2Fb%3Fc%26d%3D%C3%A9%20%23%7Bx%7D"
    )


def test_get_sends_in_the_query_and_post_in_the_body() -> None:
    send = {"who": "{name}", "from": "{caller_state}"}
    assert asked(looking(send=send), {"name": "A&B"}).url == (
        "https://crm.example.com/A%26B?who=A%26B&from=IL"
    )
    assert asked(looking(send=send, url="https://crm.example.com/?v=1"), {}).url == (
        "https://crm.example.com/?v=1&who=&from=IL"
    )
    posted = asked(looking(send=send, method="POST", timeout_ms=250), {"name": "A&B"})
    assert posted == AskService(
        url="https://crm.example.com/A%26B",
        method="POST",
        body={"who": "A&B", "from": "IL"},
        read={"tier": "client.tier", "city": "client.city"},
        timeout_ms=250,
    )


def test_an_address_that_grows_too_long_is_not_asked() -> None:
    flow = looking(url="https://crm.example.com/" + "{name}" * 100)
    result = step(flow, fields={"name": "x" * 200})
    assert result.visits[0] == Visit(node="ask", exit="failed", detail="url_too_long")


def test_an_answer_fills_the_fields_that_were_asked_for_and_no_other() -> None:
    values = {"tier": "g\0ld" + "x" * 300, "other": "y"}
    result = step(looking(), LookupAnswered(values=values), at="ask", fields={"city": "Rome"})
    assert result.fields == {"city": "Rome", "tier": ("g ld" + "x" * 300)[:MAX_FIELD_LENGTH]}
    assert result.onward == ToRouting()


def test_a_failed_lookup_says_its_code() -> None:
    result = step(looking(), LookupFailed(code="timeout"), at="ask")
    assert result.visits[0] == Visit(node="ask", exit="failed", detail="timeout")


def test_a_reply_is_read_by_dotted_paths() -> None:
    reply = {"a": {"b": [{"c": "x"}, 7]}, "t": True, "f": 2.5, "n": None, "l": [], "0": "zero"}
    read = {
        "text": "a.b.0.c",
        "number": "a.b.1",
        "flag": "t",
        "fraction": "f",
        "key_that_is_a_number": "0",
        "null": "n",
        "list": "l",
        "object": "a",
        "beyond": "a.b.2",
        "negative": "a.b.-1",
        "huge": "a.b." + "9" * 5_000,
        "other_digits": "a.b.٠",
        "into_text": "a.b.0.c.d",
        "missing": "x.y",
        "deep": ".".join("a" * 50),
    }
    ask = AskService(url="https://x.example.com/", method="GET", body={}, read=read, timeout_ms=100)
    assert read_reply(ask, reply) == {
        "text": "x",
        "number": "7",
        "flag": "true",
        "fraction": "2.5",
        "key_that_is_a_number": "zero",
    }
    assert read_reply(ask, ["a", "list"]) == {"key_that_is_a_number": "a"}
    assert read_reply(ask, "a text") == {}
    assert read_reply(ask, {"t": 10**5_000}) == {}


# --- inputs that nobody asked for ----------------------------------------------------------------------


@pytest.mark.parametrize("given", [Started(), LookupAnswered(values={"x": "y"}), LookupFailed(code="late")])
def test_what_is_no_keys_asks_for_keys_again_and_counts_no_try(given: FlowInput) -> None:
    for flow in (MENU, collecting(collect())):
        result = step(flow, given, at="ask", tries=1)
        assert (result.state, result.fields) == (FlowState(node="ask", tries=1), {})
        assert result.visits == (Visit(node="ask", exit="wait", detail="not_keys"),)


@pytest.mark.parametrize("given", [Started(), Silence(), Digits(digits="1")])
def test_what_is_no_answer_asks_the_service_again(given: FlowInput) -> None:
    assert step(looking(), given, at="ask") == step(looking())


@pytest.mark.parametrize("given", [Started(), Silence(), Digits(digits="1"), LookupFailed(code="late")])
def test_after_the_flow_was_left_every_input_gives_the_way_out_again(given: FlowInput) -> None:
    for end in ("end", "lost", "quiet"):
        out = step(MENU, given, at=end)
        assert (out.state, out.onward) == (FlowState(node=end), step(MENU, at=end).onward)
        assert len(out.visits) == 1


def test_a_node_that_is_not_there_hangs_up() -> None:
    result = step(MENU, Digits(digits="1"), at="gone")
    assert result.onward == ToHangup(code="flow_broken")
    assert step(flow_of(hello=SayNode(text="Hello", next="gone"))) == Advance(
        state=FlowState(node="gone"),
        fields={},
        spoken=(Say(text="Hello"),),
        onward=ToHangup(code="flow_broken"),
        visits=(
            Visit(node="hello", exit="next"),
            Visit(node="gone", exit="hangup", detail="no such node"),
        ),
    )


def test_a_circle_ends_after_the_most_steps() -> None:
    result = step(flow_of(a=SetNode(field="x", value="{x}1", next="a")))
    assert result.onward == ToHangup(code="flow_too_long")
    assert (len(result.visits), result.fields) == (MAX_STEPS, {"x": "1" * MAX_STEPS})


# --- what a flow captures ------------------------------------------------------------------------------


def capturing() -> Flow:
    return flow_of(
        menu=MenuNode(prompt=PROMPT, branches={"1": "zip"}, no_input="zip", field="choice"),
        zip=CollectNode(prompt=PROMPT, field="zip", next="phone", failed="phone", type="zip"),
        phone=CollectNode(prompt=PROMPT, field="phone", next="age", failed="age", type="phone"),
        age=CollectNode(prompt=PROMPT, field="age", next="ask", failed="ask", shareable=False),
        ask=LookupNode(url="https://x.example.com/", read={"tier": "t"}, next="a", failed="a"),
        a=SetNode(field="a", value="{b}", next="b"),
        b=SetNode(field="b", value="call {phone}", next="c"),
        c=SetNode(field="c", value="{choice} {caller_state}", next="end"),
        end=RouteNode(),
    )


def test_the_fields_of_a_flow_are_all_that_it_may_capture() -> None:
    assert fields_of(capturing()) == {"choice", "zip", "phone", "age", "tier", "a", "b", "c"}


def test_a_number_a_kept_field_and_whatever_came_from_them_is_not_shareable() -> None:
    assert shareable_fields(capturing()) == {"choice", "zip", "c"}


def test_the_captured_zip_is_the_first_that_exists() -> None:
    zips = zip_fields(capturing())
    assert zips == {"zip"}
    assert captured_zip(zips, {"age": "60614", "zip": "60614"}) == "60614"
    assert captured_zip(zips, {"age": "60614", "zip": "00000"}) is None


# --- versions ------------------------------------------------------------------------------------------


def test_a_stored_flow_is_lifted_step_by_step() -> None:
    lifts = (
        lambda raw: {**raw, "start": raw["first"]},
        lambda raw: {key: value for key, value in raw.items() if key != "first"},
    )
    assert lift({"first": "a"}, lifts=lifts) == {"start": "a", "version": 3}
    assert lift({"first": "a", "start": "a", "version": 2}, lifts=lifts) == {"start": "a", "version": 3}
    assert lift({"start": "a", "version": 3}, lifts=lifts) == {"start": "a", "version": 3}


def test_the_first_version_is_read_as_it_is() -> None:
    raw = {"start": "a", "nodes": {"a": {"kind": "route"}}, "version": 1}
    assert len(LIFTS) + 1 == FLOW_VERSION
    assert from_plain(lift(raw), Flow) == flow_of(a=RouteNode())


@pytest.mark.parametrize("version", [FLOW_VERSION + 1, 0, -1, "1", True, None])
def test_a_version_that_is_not_known_is_refused(version: object) -> None:
    with pytest.raises(Refused, match="this release reads versions 1 to") as refused:
        lift({"version": version})
    assert refused.value.code == "invalid"


# --- laws ----------------------------------------------------------------------------------------------

IDS = tuple(f"n{place}" for place in range(6))
KEYS = ("1", "2", "#")
RULES = (
    ALWAYS,
    NEVER,
    Leaf(subject="field", name="f", operator="present"),
    Leaf(subject="caller_state", operator="equal", values=("CA",)),
)
CLOSED = hours.Hours(time_zone="UTC", spans=())
PROMPTS = st.sampled_from([PROMPT, PlayedPrompt(url="https://s.example.com/a.mp3")])


def nodes(to: st.SearchStrategy[str], asked_to: st.SearchStrategy[str]) -> st.SearchStrategy[Node]:
    """Any node; `asked_to` is where the keys of a menu lead, `to` where every other exit does."""
    texts = st.sampled_from(["Hello", "{caller_state}", "{dialed_number} {caller_zip}"])
    fields = st.sampled_from(["f", "g"])
    few = st.integers(0, 2)
    return st.one_of(
        st.builds(SayNode, text=texts, next=to),
        st.builds(PlayNode, url=st.just("https://s.example.com/a.mp3"), next=to),
        st.builds(
            MenuNode,
            prompt=PROMPTS,
            branches=st.dictionaries(st.sampled_from(KEYS), asked_to, min_size=1),
            no_input=to,
            invalid=st.none() | to,
            field=st.none() | fields,
            retries=few,
        ),
        st.builds(
            CollectNode,
            prompt=PROMPTS,
            field=fields,
            next=to,
            failed=to,
            type=st.sampled_from(["digits", "zip", "date", "phone", "yes_no"]),
            retries=few,
        ),
        st.builds(
            BranchNode,
            cases=st.lists(st.builds(Case, rule=st.sampled_from([*RULES[:1], RULES[3]]), next=to), min_size=1)
            .map(lambda cases: cases[:3])
            .map(tuple),
            otherwise=to,
        ),
        st.builds(HoursNode, hours=st.sampled_from([CLOSED, hours.always_open()]), open=to, closed=to),
        st.builds(SetNode, field=fields, value=texts, next=to),
        st.builds(
            LookupNode,
            url=st.sampled_from(["https://x.example.com/{caller_zip}", "http://x.example.com?q=1"]),
            read=st.dictionaries(fields, st.sampled_from(["a", "a.0.b"])),
            next=to,
            failed=to,
            method=st.sampled_from(["GET", "POST"]),
            send=st.dictionaries(st.sampled_from(["s", "t&"]), texts),
        ),
        st.builds(
            lambda one, other: SplitNode(shares=(Share(percent=60, next=one), Share(percent=40, next=other))),
            to,
            to,
        ),
        ENDS,
    )


ENDS: st.SearchStrategy[Any] = st.one_of(
    st.builds(VoicemailNode, prompt=PROMPTS), st.just(RouteNode()), st.just(HangupNode())
)


@st.composite
def any_flows(draw: st.DrawFn) -> Flow:
    """Exits lead anywhere, to nodes that are not there as well."""
    here = st.sampled_from(IDS)
    return Flow(
        nodes=draw(st.dictionaries(st.sampled_from(IDS), nodes(here, here), min_size=1)), start=draw(here)
    )


@st.composite
def good_flows(draw: st.DrawFn) -> Flow:
    """Exits lead to later nodes, the keys of a menu anywhere; what is not reached is left out."""
    made: dict[str, Node] = {IDS[-1]: draw(ENDS)}
    for place in reversed(range(len(IDS) - 1)):
        made[IDS[place]] = draw(nodes(st.sampled_from(IDS[place + 1 :]), st.sampled_from(IDS)))
    reached: set[str] = set()
    waiting = [IDS[0]]
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting += [way.next for way in exits(made[node])]
    return Flow(nodes={node: made[node] for node in IDS if node in reached}, start=IDS[0])


INPUTS: st.SearchStrategy[FlowInput] = st.one_of(
    st.just(Started()),
    st.just(Silence()),
    st.builds(Digits, digits=st.sampled_from(["1", "2", "#", "60614", "3125550123", "02022020"]) | st.text()),
    st.builds(LookupAnswered, values=st.dictionaries(st.sampled_from(["f", "g", "h"]), st.text())),
    st.builds(LookupFailed, code=st.text()),
)
STATES = st.none() | st.builds(FlowState, node=st.sampled_from(IDS), tries=st.integers(-1, 9))
WAITS = {
    AskCaller: "wait",
    AskService: "wait",
    ToRouting: "route",
    ToVoicemail: "voicemail",
    ToHangup: "hangup",
}


def assert_lawful(flow: Flow, result: Advance) -> None:
    """Every visit but the last took a declared exit to the next one; the last is where the state is."""
    assert 1 <= len(result.visits) <= MAX_STEPS
    for visit, following in zip(result.visits, result.visits[1:], strict=False):
        ways = {way.name: way.next for way in exits(flow.nodes[visit.node])}
        assert ways[visit.exit] == following.node
    if result.onward != ToHangup(code="flow_too_long"):
        last = result.visits[-1]
        assert (last.node, last.exit) == (result.state.node, WAITS[type(result.onward)])
    if isinstance(result.onward, ToHangup):
        assert result.onward.code in HANGUP_CODES
    assert all(len(value) <= MAX_FIELD_LENGTH and value.isprintable() for value in result.fields.values())


@settings(max_examples=150, deadline=None)
@given(any_flows(), STATES, INPUTS, st.integers())
def test_every_input_in_every_state_of_every_flow_has_an_answer(
    flow: Flow, state: FlowState | None, given: FlowInput, draw: int
) -> None:
    result = advance(flow, state, given, fields={}, facts=FACTS, draw=draw)
    assert_lawful(flow, result)
    assert advance(flow, state, given, fields={}, facts=FACTS, draw=draw) == result


@settings(max_examples=60, deadline=None)
@given(good_flows(), st.lists(INPUTS, max_size=12), st.integers(0, 2**64))
def test_a_flow_that_may_be_published_is_never_broken_or_too_long(
    flow: Flow, inputs: list[FlowInput], draw: int
) -> None:
    assert problems(flow) == ()
    result = advance(flow, None, Started(), fields={}, facts=FACTS, draw=draw)
    for entered in inputs:
        assert_lawful(flow, result)
        assert result.onward not in (ToHangup(code="flow_too_long"), ToHangup(code="flow_broken"))
        result = advance(flow, result.state, entered, fields=result.fields, facts=FACTS, draw=draw)


@settings(max_examples=60, deadline=None)
@given(good_flows(), st.integers(0, 2**64))
def test_a_caller_who_presses_nothing_is_let_go(flow: Flow, draw: int) -> None:
    result = advance(flow, None, Started(), fields={}, facts=FACTS, draw=draw)
    most = sum(getattr(node, "retries", 0) + 1 for node in flow.nodes.values())
    for _ in range(most):
        given = LookupFailed(code="timeout") if isinstance(result.onward, AskService) else Silence()
        result = advance(flow, result.state, given, fields=result.fields, facts=FACTS, draw=draw)
    assert isinstance(result.onward, ToRouting | ToVoicemail | ToHangup)


@settings(max_examples=150, deadline=None)
@given(any_flows(), st.lists(INPUTS, max_size=8), st.integers(0, 2**64))
def test_what_the_publish_check_passes_the_walk_never_breaks(
    flow: Flow, inputs: list[FlowInput], draw: int
) -> None:
    codes = {problem.code for problem in problems(flow)}
    state, fields = None, dict[str, str]()
    for entered in (Started(), *inputs):
        result = advance(flow, state, entered, fields=fields, facts=FACTS, draw=draw)
        state, fields = result.state, result.fields
        if result.onward == ToHangup(code="flow_too_long"):
            assert "loop_without_input" in codes
        if result.onward == ToHangup(code="flow_broken"):
            assert codes & {"unknown_next", "unknown_start"}
