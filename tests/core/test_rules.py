"""Rules: whether they hold, why not, and three forms that agree."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callmatrix.core import documents, rules
from callmatrix.core.rules import (
    ALWAYS,
    AllOf,
    AnyOf,
    Attribute,
    Facts,
    Failed,
    Held,
    Leaf,
    Literal,
    NoneOf,
    Rule,
)

MONDAY_NOON_IN_CHICAGO = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)

FACTS = Facts(
    caller="+14155550134",
    dialed_number="+18335550100",
    caller_state="CA",
    area_code="415",
    zip="94105",
    publisher_id="pub_1",
    campaign_id="cmp_1",
    at=MONDAY_NOON_IN_CHICAGO,
    fields={"age": "66", "plan": "Medicare Advantage", "empty": ""},
    tags={"utm_source": "google"},
    attestation="B",
)
NOTHING = Facts(
    caller=None,
    dialed_number="",
    caller_state=None,
    area_code=None,
    zip=None,
    publisher_id=None,
    campaign_id="cmp_1",
    at=MONDAY_NOON_IN_CHICAGO,
    fields={},
    tags={},
    attestation=None,
)

IN_CALIFORNIA = Leaf(subject="caller_state", operator="equal", values=("CA",))
IN_NEVADA = Leaf(subject="caller_state", operator="equal", values=("NV",))
SENIOR = Leaf(subject="field", name="age", operator="greater", values=("64",))
CHILD = Leaf(subject="field", name="age", operator="less", values=("18",))
FROM_GOOGLE = Leaf(subject="tag", name="utm_source", operator="equal", values=("google",))


def clock(subject: str, operator: str, *values: str, zone: str = "America/Chicago") -> Leaf:
    return msgspec.convert(
        {"kind": "leaf", "subject": subject, "operator": operator, "values": values, "time_zone": zone}, Leaf
    )


def field(operator: str, *values: str, name: str = "age") -> Leaf:
    return msgspec.convert(
        {"kind": "leaf", "subject": "field", "operator": operator, "values": values, "name": name}, Leaf
    )


# --- leaves --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "leaf",
    [
        IN_CALIFORNIA,
        Leaf(subject="caller_state", operator="in", values=("NV", "CA")),
        Leaf(subject="area_code", operator="in", values=("415", "628")),
        Leaf(subject="area_code", operator="starts_with", values=("4",)),
        Leaf(subject="zip", operator="in", values=("94104", "94105")),
        Leaf(subject="zip", operator="starts_with", values=("100", "941")),
        Leaf(subject="zip", operator="between", values=("94000", "94105")),
        Leaf(subject="caller_number", operator="starts_with", values=("+1415",)),
        Leaf(subject="caller_number", operator="matches", values=(r"^\+1415\d+34$",)),
        Leaf(subject="dialed_number", operator="equal", values=("+18335550100",)),
        Leaf(subject="publisher", operator="in", values=("pub_1", "pub_2")),
        Leaf(subject="attestation", operator="in", values=("A", "B")),
        clock("day_of_week", "in", "monday", "tuesday"),
        clock("time_of_day", "between", "12:00", "17:00"),
        clock("time_of_day", "between", "22:00", "12:01"),
        clock("time_of_day", "greater", "11:59"),
        clock("time_of_day", "less", "12:01"),
        clock("time_of_day", "between", "10:00", "10:01", zone="America/Los_Angeles"),
        clock("day_of_week", "equal", "tuesday", zone="Asia/Tokyo"),
        field("equal", "66"),
        field("in", "65", "66"),
        field("greater", "65.5"),
        field("less", "066.1"),
        field("between", "66", "66"),
        field("between", "-5", "100"),
        field("present"),
        field("matches", "(?i)advantage", name="plan"),
        field("starts_with", "Medicare", name="plan"),
        FROM_GOOGLE,
        Leaf(subject="zip", operator="present"),
    ],
)
def test_a_leaf_holds(leaf: Leaf) -> None:
    assert rules.problems(leaf) == ()
    assert rules.holds(leaf, FACTS) == Held()


@pytest.mark.parametrize(
    ("leaf", "actual"),
    [
        (IN_NEVADA, "CA"),
        (Leaf(subject="zip", operator="starts_with", values=("100",)), "94105"),
        (Leaf(subject="zip", operator="between", values=("94106", "95000")), "94105"),
        (Leaf(subject="caller_number", operator="matches", values=(r"^1415",)), "+14155550134"),
        (clock("day_of_week", "equal", "sunday"), "monday"),
        (clock("time_of_day", "between", "09:00", "12:00"), "12:00"),
        (clock("time_of_day", "between", "12:01", "12:00"), "12:00"),
        (clock("time_of_day", "greater", "12:00"), "12:00"),
        (clock("time_of_day", "less", "12:00"), "12:00"),
        (field("greater", "66"), "66"),
        (field("less", "66"), "66"),
        (field("equal", "66.0"), "66"),
        (field("greater", "1", name="plan"), "Medicare Advantage"),
        (field("present", name="empty"), None),
        (field("present", name="unknown"), None),
    ],
)
def test_a_leaf_that_fails_tells_the_value_it_saw(leaf: Leaf, actual: str | None) -> None:
    assert rules.problems(leaf) == ()
    assert rules.holds(leaf, FACTS) == Failed(path=(), leaf=leaf, actual=actual, wanted=True)


@pytest.mark.parametrize(
    "leaf",
    [
        IN_CALIFORNIA,
        Leaf(subject="area_code", operator="starts_with", values=("4",)),
        Leaf(subject="zip", operator="present"),
        Leaf(subject="caller_number", operator="matches", values=(".*",)),
        Leaf(subject="dialed_number", operator="matches", values=("^$",)),
        Leaf(subject="publisher", operator="equal", values=("pub_1",)),
        Leaf(subject="attestation", operator="equal", values=("A",)),
        field("less", "1000"),
        field("present"),
        FROM_GOOGLE,
    ],
)
def test_a_leaf_on_a_missing_value_is_false_and_none_of_it_is_true(leaf: Leaf) -> None:
    assert rules.holds(leaf, NOTHING) == Failed(path=(), leaf=leaf, actual=None, wanted=True)
    assert rules.holds(NoneOf(rules=(leaf,)), NOTHING) == Held()


def test_numbers_compare_exactly_and_text_that_is_no_number_does_not_compare() -> None:
    over = field("greater", "0.3")
    seen = {
        text: rules.holds(over, msgspec.structs.replace(FACTS, fields={"age": text})) == Held()
        for text in (
            "0.30000000000000000001",
            "0.3",
            "1e9",
            "NaN",
            "inf",
            "٩",
            " 1",
            "1_000",
            "9" * 33,
            "+1",
            "-1",
        )
    }
    assert seen == {
        "0.30000000000000000001": True,
        "0.3": False,
        "1e9": False,
        "NaN": False,
        "inf": False,
        "٩": False,
        " 1": False,
        "1_000": False,
        "9" * 33: False,
        "+1": True,
        "-1": False,
    }


def test_a_pattern_that_would_take_forever_elsewhere_is_linear_here() -> None:
    evil = field("matches", "^(a+)+$")
    long_text = msgspec.structs.replace(FACTS, fields={"age": "a" * 50_000 + "b"})
    assert rules.compile_rule(evil)(long_text) is False


def test_half_a_character_in_a_text_is_matched_as_a_question_mark() -> None:
    broken = msgspec.structs.replace(FACTS, fields={"age": "6\ud800"})
    assert rules.holds(field("matches", r"^6\?$"), broken) == Held()


def test_time_is_told_in_the_named_zone_across_a_change_of_clocks() -> None:
    before = msgspec.structs.replace(FACTS, at=datetime(2026, 3, 8, 7, 59, tzinfo=UTC))
    after = msgspec.structs.replace(FACTS, at=datetime(2026, 3, 8, 8, 0, tzinfo=UTC))
    time_of_day = Attribute(subject="time_of_day", name=None, time_zone="America/Chicago")
    assert (rules.read(time_of_day, before), rules.read(time_of_day, after)) == ("01:59", "03:00")


# --- groups and blame ----------------------------------------------------------------------------------


def test_empty_groups() -> None:
    assert rules.holds(ALWAYS, NOTHING) == Held()
    assert rules.holds(NoneOf(rules=()), NOTHING) == Held()
    assert rules.holds(AnyOf(rules=()), NOTHING) == Failed(path=(), leaf=None, actual=None, wanted=True)


def test_of_all_the_first_failure_is_blamed() -> None:
    rule = AllOf(rules=(IN_CALIFORNIA, CHILD, IN_NEVADA))
    assert rules.holds(rule, FACTS) == Failed(path=(1,), leaf=CHILD, actual="66", wanted=True)


def test_of_any_the_closest_alternative_is_blamed() -> None:
    far = AllOf(rules=(IN_NEVADA, CHILD))
    near = AllOf(rules=(IN_CALIFORNIA, SENIOR, field("equal", "none", name="plan")))
    assert rules.holds(AnyOf(rules=(far, near)), FACTS) == Failed(
        path=(1, 2), leaf=near.rules[2], actual="Medicare Advantage", wanted=True
    )


def test_of_any_with_equally_close_alternatives_the_first_is_blamed() -> None:
    assert rules.holds(AnyOf(rules=(IN_NEVADA, CHILD)), FACTS) == Failed(
        path=(0,), leaf=IN_NEVADA, actual="CA", wanted=True
    )


def test_of_none_the_leaf_that_holds_is_blamed() -> None:
    rule = AllOf(rules=(SENIOR, NoneOf(rules=(IN_NEVADA, AllOf(rules=(FROM_GOOGLE, IN_CALIFORNIA))))))
    assert rules.holds(rule, FACTS) == Failed(path=(1, 1, 0), leaf=FROM_GOOGLE, actual="google", wanted=False)


def test_of_none_of_none_the_leaf_that_should_have_held_is_blamed() -> None:
    rule = NoneOf(rules=(NoneOf(rules=(IN_NEVADA,)),))
    assert rules.holds(rule, FACTS) == Failed(path=(0, 0), leaf=IN_NEVADA, actual="CA", wanted=True)


# --- other forms ---------------------------------------------------------------------------------------


def yes(leaf: Leaf) -> Literal:
    return Literal(leaf=leaf, negated=False)


def no(leaf: Leaf) -> Literal:
    return Literal(leaf=leaf, negated=True)


@pytest.mark.parametrize(
    ("rule", "clauses"),
    [
        (ALWAYS, ((),)),
        (AnyOf(rules=()), ()),
        (NoneOf(rules=()), ((),)),
        (IN_CALIFORNIA, ((yes(IN_CALIFORNIA),),)),
        (NoneOf(rules=(IN_CALIFORNIA, SENIOR)), ((no(IN_CALIFORNIA), no(SENIOR)),)),
        (
            AllOf(rules=(SENIOR, AnyOf(rules=(IN_CALIFORNIA, IN_NEVADA)))),
            ((yes(SENIOR), yes(IN_CALIFORNIA)), (yes(SENIOR), yes(IN_NEVADA))),
        ),
        (
            NoneOf(rules=(AllOf(rules=(SENIOR, IN_CALIFORNIA)),)),
            ((no(SENIOR),), (no(IN_CALIFORNIA),)),
        ),
        (AllOf(rules=(SENIOR, NoneOf(rules=(SENIOR,)))), ()),
        (AllOf(rules=(SENIOR, SENIOR)), ((yes(SENIOR),),)),
        (AnyOf(rules=(AllOf(rules=(SENIOR, CHILD)), SENIOR)), ((yes(SENIOR),),)),
        (AnyOf(rules=(SENIOR, AllOf(rules=(SENIOR, CHILD)))), ((yes(SENIOR),),)),
    ],
)
def test_a_rule_becomes_clauses_without_what_is_said_twice(
    rule: Rule, clauses: tuple[tuple[Literal, ...], ...]
) -> None:
    assert rules.to_dnf(rule) == clauses


def test_a_rule_of_too_many_clauses_has_no_clauses() -> None:
    def either(name: str) -> AnyOf:
        return AnyOf(rules=(field("equal", "a", name=name), field("equal", "b", name=name)))

    sixteen = AllOf(rules=tuple(either(name) for name in "abcd"))
    many = AllOf(rules=tuple(either(f"f{number}") for number in range(100)))
    assert len(rules.to_dnf(sixteen) or ()) == 16
    assert rules.to_dnf(sixteen, limit=15) is None
    assert rules.to_dnf(many) is None


def test_leaves_come_from_left_to_right() -> None:
    rule = AllOf(rules=(SENIOR, NoneOf(rules=(IN_NEVADA, AnyOf(rules=(CHILD,))))))
    assert rules.leaves(rule) == (SENIOR, IN_NEVADA, CHILD)


def test_leaves_about_the_same_value_share_an_attribute() -> None:
    assert rules.attribute_of(SENIOR) == rules.attribute_of(CHILD)
    assert rules.attribute_of(SENIOR) != rules.attribute_of(FROM_GOOGLE)
    assert rules.attribute_of(IN_CALIFORNIA) == Attribute(subject="caller_state", name=None, time_zone=None)


# --- laws ----------------------------------------------------------------------------------------------

TEXTS = st.sampled_from(
    ["", "1", "2", "10", "CA", "NV", "94105", "941", "415", "+1415", "a", "A", "12:00", "monday", "("]
)
ANY_LEAVES = st.builds(
    Leaf,
    subject=st.sampled_from(list(rules.OPERATORS)),
    operator=st.sampled_from(list(rules.OPERATORS["field"])),
    values=st.lists(TEXTS, max_size=3).map(tuple),
    name=st.sampled_from([None, "a", "b"]),
    time_zone=st.sampled_from([None, "UTC", "America/Chicago", "EST"]),
)


def good_values(subject: str, operator: str) -> st.SearchStrategy[tuple[str, ...]]:
    by_subject = {
        "caller_state": ["CA", "NV", "PR"],
        "area_code": ["415", "702"],
        "zip": ["94105", "89101"],
        "caller_number": ["+14155550134", "+17025550134"],
        "dialed_number": ["+18335550100", "+18335550101"],
        "publisher": ["pub_1", "pub_2"],
        "day_of_week": ["monday", "sunday"],
        "time_of_day": ["06:00", "12:00", "18:00"],
        "attestation": ["A", "B", "C"],
    }
    known = st.sampled_from(by_subject.get(subject, ["1", "2", "10", "-3.5"]))
    if operator in ("in", "starts_with"):
        return st.lists(known, min_size=1, max_size=3).map(tuple)
    if operator == "between":
        pair = st.lists(known, min_size=2, max_size=2, unique=True)
        return pair.map(lambda both: tuple(both if subject == "time_of_day" else sorted(both, key=float)))
    if operator == "present":
        return st.just(())
    if operator == "matches":
        return st.sampled_from([("1",), ("^[0-9]+$",), (r"^\+1415",), ("",), ("a|2",)])
    return known.map(lambda value: (value,))


@st.composite
def good_leaves(draw: st.DrawFn) -> Leaf:
    subject = draw(st.sampled_from(list(rules.OPERATORS)))
    operator = draw(st.sampled_from(rules.OPERATORS[subject]))
    return msgspec.convert(
        {
            "kind": "leaf",
            "subject": subject,
            "operator": operator,
            "values": draw(good_values(subject, operator)),
            "name": draw(st.sampled_from(["a", "b"])) if subject in ("field", "tag") else None,
            "time_zone": draw(st.sampled_from(["UTC", "America/Chicago"]))
            if subject in ("day_of_week", "time_of_day")
            else None,
        },
        Leaf,
    )


def groups(children: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    several = st.lists(children, max_size=4).map(tuple)
    return st.one_of(
        st.builds(AllOf, rules=several), st.builds(AnyOf, rules=several), st.builds(NoneOf, rules=several)
    )


ANY_RULES: st.SearchStrategy[Rule] = st.recursive(st.one_of(good_leaves(), ANY_LEAVES), groups, max_leaves=12)
NAMED_TEXTS = st.dictionaries(
    st.sampled_from(["a", "b"]), st.sampled_from(["", "1", "2", "10", "a", "\ud800"])
)
ANY_FACTS = st.builds(
    Facts,
    caller=st.sampled_from([None, "+14155550134", "+17025550134"]),
    dialed_number=st.sampled_from(["+18335550100", "+18335550101"]),
    caller_state=st.sampled_from([None, "CA", "NV"]),
    area_code=st.sampled_from([None, "415", "702"]),
    zip=st.sampled_from([None, "94105", "89101"]),
    publisher_id=st.sampled_from([None, "pub_1", "pub_2"]),
    campaign_id=st.just("cmp_1"),
    at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    fields=NAMED_TEXTS,
    tags=NAMED_TEXTS,
    attestation=st.sampled_from([None, "A", "B"]),
)


def by_definition(rule: Rule, facts: Facts) -> bool:
    """The groups as their words say; leaves one at a time."""
    match rule:
        case Leaf():
            return isinstance(rules.holds(rule, facts), Held)
        case AllOf():
            return False not in [by_definition(child, facts) for child in rule.rules]
        case AnyOf():
            return True in [by_definition(child, facts) for child in rule.rules]
        case NoneOf():
            return True not in [by_definition(child, facts) for child in rule.rules]


@settings(max_examples=400, deadline=None)
@given(ANY_RULES, ANY_FACTS)
def test_all_forms_of_a_rule_agree_for_every_call(rule: Rule, facts: Facts) -> None:
    expected = by_definition(rule, facts)
    assert isinstance(rules.holds(rule, facts), Held) == expected
    assert rules.compile_rule(rule)(facts) == expected
    clauses = rules.to_dnf(rule, limit=64)
    if clauses is not None:
        held = [all(rules.literal_holds(literal, facts) for literal in clause) for clause in clauses]
        assert any(held) == expected


@settings(max_examples=400, deadline=None)
@given(ANY_RULES, ANY_FACTS)
def test_the_blamed_leaf_is_where_the_path_leads_and_is_not_as_wanted(rule: Rule, facts: Facts) -> None:
    outcome = rules.holds(rule, facts)
    if isinstance(outcome, Held):
        return
    found = rule
    for place in outcome.path:
        assert not isinstance(found, Leaf)
        found = found.rules[place]
    if outcome.leaf is None:
        assert not isinstance(found, Leaf)
        assert found.rules == ()
        return
    assert found == outcome.leaf
    assert outcome.actual == rules.read(rules.attribute_of(outcome.leaf), facts)
    assert by_definition(outcome.leaf, facts) != outcome.wanted


@settings(max_examples=200, deadline=None)
@given(good_leaves())
def test_leaves_as_they_should_be_have_no_problems(leaf: Leaf) -> None:
    if leaf.values != ("",):
        assert rules.problems(leaf) == ()


@settings(max_examples=200, deadline=None)
@given(ANY_LEAVES, ANY_FACTS)
def test_a_leaf_with_problems_never_holds(leaf: Leaf, facts: Facts) -> None:
    if rules.problems(leaf):
        assert isinstance(rules.holds(leaf, facts), Failed)


@settings(max_examples=100, deadline=None)
@given(ANY_RULES)
def test_a_rule_survives_its_json(rule: Rule) -> None:
    assert documents.decode(documents.encode(rule), Rule) == rule  # type: ignore[arg-type]


# --- problems ------------------------------------------------------------------------------------------


def leaf_of(
    subject: str, operator: str, *values: str, name: str | None = None, zone: str | None = None
) -> Leaf:
    return msgspec.convert(
        {
            "kind": "leaf",
            "subject": subject,
            "operator": operator,
            "values": values,
            "name": name,
            "time_zone": zone,
        },
        Leaf,
    )


def nested(depth: int) -> Rule:
    rule: Rule = IN_CALIFORNIA
    for _ in range(depth - 1):
        rule = AllOf(rules=(rule,))
    return rule


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (leaf_of("caller_state", "matches", "C."), ["rule.operator"]),
        (leaf_of("time_of_day", "present", zone="UTC"), ["rule.operator"]),
        (leaf_of("caller_state", "equal", "California"), ["rule.values.0"]),
        (leaf_of("caller_state", "equal"), ["rule.values"]),
        (leaf_of("caller_state", "equal", "CA", "NV"), ["rule.values"]),
        (leaf_of("caller_state", "in"), ["rule.values"]),
        (leaf_of("caller_state", "in", "CA", "ca"), ["rule.values.1"]),
        (leaf_of("caller_state", "present", "CA"), ["rule.values"]),
        (leaf_of("caller_state", "equal", "CA", name="x"), ["rule.name"]),
        (leaf_of("caller_state", "equal", "CA", zone="UTC"), ["rule.time_zone"]),
        (leaf_of("zip", "equal", "9410"), ["rule.values.0"]),
        (leaf_of("zip", "starts_with", "941055"), ["rule.values.0"]),
        (leaf_of("zip", "between", "95000", "94000"), ["rule.values"]),
        (leaf_of("area_code", "equal", "41"), ["rule.values.0"]),
        (leaf_of("area_code", "starts_with", "x"), ["rule.values.0"]),
        (leaf_of("caller_number", "equal", "4155550100"), ["rule.values.0"]),
        (leaf_of("caller_number", "starts_with", "+"), ["rule.values.0"]),
        (leaf_of("attestation", "equal", "D"), ["rule.values.0"]),
        (leaf_of("day_of_week", "equal", "Monday", zone="UTC"), ["rule.values.0"]),
        (leaf_of("day_of_week", "equal", "monday"), ["rule.time_zone"]),
        (leaf_of("day_of_week", "equal", "monday", zone="ET"), ["rule.time_zone"]),
        (leaf_of("time_of_day", "less", "9:00", zone="UTC"), ["rule.values.0"]),
        (leaf_of("time_of_day", "less", "24:01", zone="UTC"), ["rule.values.0"]),
        (leaf_of("time_of_day", "between", "09:00", "09:00", zone="UTC"), ["rule.values"]),
        (leaf_of("field", "equal", "1"), ["rule.name"]),
        (leaf_of("field", "equal", "1", name="x" * 65), ["rule.name"]),
        (leaf_of("field", "equal", "x" * 129, name="x"), ["rule.values.0"]),
        (leaf_of("field", "greater", "ten", name="x"), ["rule.values.0"]),
        (leaf_of("field", "between", "2", "1", name="x"), ["rule.values"]),
        (leaf_of("field", "between", "2", name="x"), ["rule.values"]),
        (leaf_of("field", "matches", "(", name="x"), ["rule.values.0"]),
        (leaf_of("field", "matches", r"(a)\1", name="x"), ["rule.values.0"]),
        (leaf_of("field", "matches", "(?=a)", name="x"), ["rule.values.0"]),
        (leaf_of("field", "matches", "((a{100}){100}){100}", name="x"), ["rule.values.0"]),
        (leaf_of("field", "matches", "x" * 257, name="x"), ["rule.values.0"]),
        (Leaf(subject="field", operator="matches", values=("\ud800",), name="x"), ["rule.values.0"]),
        (AnyOf(rules=()), ["rule"]),
        (AllOf(rules=(NoneOf(rules=()), IN_CALIFORNIA)), ["rule.rules.0"]),
        (
            AllOf(rules=(IN_CALIFORNIA, NoneOf(rules=(leaf_of("zip", "equal", "x"),)))),
            ["rule.rules.1.rules.0.values.0"],
        ),
        (AllOf(rules=(IN_CALIFORNIA,) * (rules.MAX_LEAVES + 1)), ["rule"]),
        (nested(rules.MAX_DEPTH), []),
        (nested(rules.MAX_DEPTH + 1), ["rule" + ".rules.0" * (rules.MAX_DEPTH - 1)]),
        (ALWAYS, []),
    ],
)
def test_each_problem_is_named_with_its_place(rule: Rule, expected: list[str]) -> None:
    found = rules.problems(rule)
    assert [problem.field for problem in found] == expected
    assert all(problem.problem and problem.remedy for problem in found)


def test_a_bad_pattern_is_told_with_the_reason() -> None:
    (problem,) = rules.problems(leaf_of("field", "matches", "a(b", name="x"))
    assert problem.problem == "The pattern is not valid: missing ): a(b"


def test_a_list_of_every_zip_is_allowed_and_longer_ones_are_not() -> None:
    every = tuple(f"{number:05}" for number in range(rules.MAX_VALUES))
    assert rules.problems(Leaf(subject="zip", operator="in", values=every)) == ()
    longer = Leaf(subject="zip", operator="in", values=(*every, "94105"))
    assert [problem.field for problem in rules.problems(longer)] == ["rule.values"]
    three = AllOf(rules=(Leaf(subject="zip", operator="in", values=every),) * 3)
    assert [problem.field for problem in rules.problems(three)] == ["rule"]
