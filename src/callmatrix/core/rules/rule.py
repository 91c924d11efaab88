"""Decides whether all, any and none over leaves hold, nested, and which leaf is to blame if not."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, assert_never

import msgspec

from callmatrix.core.errors import Problem
from callmatrix.core.rules.leaf import Facts, Leaf, accepts, attribute_of, leaf_holds, leaf_problems, read

MAX_DEPTH: Final = 8
MAX_LEAVES: Final = 200
MAX_RULE_VALUES: Final = 100_000
MAX_CLAUSES: Final = 16


class AllOf(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    cache_hash=True,
    tag="all",
    tag_field="kind",
):
    """Holds when every rule holds; without rules, always."""

    rules: "tuple[Rule, ...]"


class AnyOf(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    cache_hash=True,
    tag="any",
    tag_field="kind",
):
    """Holds when a rule holds; without rules, never."""

    rules: "tuple[Rule, ...]"


class NoneOf(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    cache_hash=True,
    tag="none",
    tag_field="kind",
):
    """Holds when no rule holds; without rules, always."""

    rules: "tuple[Rule, ...]"


Rule = AllOf | AnyOf | NoneOf | Leaf

ALWAYS: Final = AllOf(rules=())


class Held(msgspec.Struct, frozen=True, kw_only=True, tag="held", tag_field="kind"):
    """The rule holds."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed", tag_field="kind"):
    """The rule does not hold, and the leaf to blame.

    `path` leads from the rule to the leaf by positions; `actual` is the call's value, None if missing.
    `wanted` is False where the leaf holds and must not, being inside a `none`. `leaf` is None only where
    an empty `any` (or a `none` of an empty `all`) is to blame, which `problems` refuses.
    """

    path: tuple[int, ...]
    leaf: Leaf | None
    actual: str | None
    wanted: bool


class Literal(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """A leaf that must hold or, negated, must not. A missing value satisfies a negated literal."""

    leaf: Leaf
    negated: bool


Clause = tuple[Literal, ...]
"""Holds when every literal does. The empty clause always holds."""

Dnf = tuple[Clause, ...]
"""Holds when a clause does. `((),)` is always, `()` is never."""


# --- does it hold, and if not, why ---------------------------------------------------------------------


def holds(rule: Rule, facts: Facts) -> Held | Failed:
    """Whether a rule holds for a call and, if not, the leaf to blame.

    Of an `all` it is the first rule that fails; of an `any` the alternative that is closest, by the least
    number of leaves that would have to turn out otherwise (the first of equals); of a `none` the first rule
    that holds, and in it the leaf that makes it hold.
    """
    return Held() if _truth(rule, facts) else _blame(rule, facts, path=(), wanted=True)


def _truth(rule: Rule, facts: Facts) -> bool:
    match rule:
        case Leaf():
            return leaf_holds(rule, facts)
        case AllOf():
            return all(_truth(child, facts) for child in rule.rules)
        case AnyOf():
            return any(_truth(child, facts) for child in rule.rules)
        case NoneOf():
            return not any(_truth(child, facts) for child in rule.rules)
        case _:
            assert_never(rule)


def _blame(rule: Rule, facts: Facts, *, path: tuple[int, ...], wanted: bool) -> Failed:
    """The leaf because of which a rule is not as wanted."""
    if isinstance(rule, Leaf):
        return Failed(path=path, leaf=rule, actual=read(attribute_of(rule), facts), wanted=wanted)
    child_wanted, every = _needs(rule, wanted)
    if not rule.rules:
        return Failed(path=path, leaf=None, actual=None, wanted=wanted)
    places = range(len(rule.rules))
    if every:
        place = next(place for place in places if _truth(rule.rules[place], facts) != child_wanted)
    else:
        place = min(places, key=lambda at: _distance(rule.rules[at], facts, wanted=child_wanted))
    return _blame(rule.rules[place], facts, path=(*path, place), wanted=child_wanted)


def _needs(group: AllOf | AnyOf | NoneOf, wanted: bool) -> tuple[bool, bool]:
    """For a group to turn out as wanted: how its rules must turn out, and whether every one must."""
    match group:
        case AllOf():
            return wanted, wanted
        case AnyOf():
            return wanted, not wanted
        case NoneOf():
            return not wanted, wanted
        case _:
            assert_never(group)


def _distance(rule: Rule, facts: Facts, *, wanted: bool) -> int:
    """The least number of leaves that would have to turn out otherwise for the rule to be as wanted."""
    if isinstance(rule, Leaf):
        return int(leaf_holds(rule, facts) != wanted)
    child_wanted, every = _needs(rule, wanted)
    distances = [_distance(child, facts, wanted=child_wanted) for child in rule.rules]
    return sum(distances) if every else min(distances, default=MAX_LEAVES)


# --- other forms of a rule -----------------------------------------------------------------------------


def compile_rule(rule: Rule) -> Callable[[Facts], bool]:
    """The rule as a function, for asking it often."""
    match rule:
        case Leaf():
            attribute, accept = attribute_of(rule), accepts(rule)
            return lambda facts: (text := read(attribute, facts)) is not None and accept(text)
        case AllOf():
            every = tuple(compile_rule(child) for child in rule.rules)
            return lambda facts: all(test(facts) for test in every)
        case AnyOf():
            some = tuple(compile_rule(child) for child in rule.rules)
            return lambda facts: any(test(facts) for test in some)
        case NoneOf():
            no = tuple(compile_rule(child) for child in rule.rules)
            return lambda facts: not any(test(facts) for test in no)
        case _:
            assert_never(rule)


def leaves(rule: Rule) -> tuple[Leaf, ...]:
    """The leaves from left to right."""
    if isinstance(rule, Leaf):
        return (rule,)
    return tuple(leaf for child in rule.rules for leaf in leaves(child))


def to_dnf(rule: Rule, limit: int = MAX_CLAUSES) -> Dnf | None:
    """The rule as alternatives of literals, simplified; None where that takes more than `limit` clauses."""
    return _dnf(rule, wanted=True, limit=limit)


def literal_holds(literal: Literal, facts: Facts) -> bool:
    """Whether a literal is satisfied."""
    return leaf_holds(literal.leaf, facts) != literal.negated


def _dnf(rule: Rule, *, wanted: bool, limit: int) -> Dnf | None:
    if isinstance(rule, Leaf):
        return ((Literal(leaf=rule, negated=not wanted),),)
    child_wanted, every = _needs(rule, wanted)
    clauses: Dnf = ((),) if every else ()
    for child in rule.rules:
        alternatives = _dnf(child, wanted=child_wanted, limit=limit)
        if alternatives is None:
            return None
        if every:
            clauses = _simplified([have + more for have in clauses for more in alternatives])
        else:
            clauses = _simplified([*clauses, *alternatives])
        if len(clauses) > limit:
            return None
    return clauses


def _simplified(clauses: Sequence[Clause]) -> Dnf:
    """Without repeated literals, without clauses that contradict themselves or say more than another one."""
    kept: dict[frozenset[Literal], Clause] = {}
    for clause in clauses:
        literals = frozenset(clause)
        if any(
            literal.negated and Literal(leaf=literal.leaf, negated=False) in literals for literal in clause
        ):
            continue
        if any(shorter <= literals for shorter in kept):
            continue
        kept = {have: told for have, told in kept.items() if not literals <= have}
        kept[literals] = tuple(dict.fromkeys(clause))
    return tuple(kept.values())


# --- problems ----------------------------------------------------------------------------------------


def problems(rule: Rule, *, field: str = "rule") -> tuple[Problem, ...]:
    """What must be mended before this rule may be used; `field` is the path of the rule itself."""
    found = list(_problems(rule, field, depth=1))
    count, value_count = _size(rule, depth=1)
    if count > MAX_LEAVES:
        found.append(
            Problem(field=field, problem=f"{count} conditions are more than {MAX_LEAVES}", remedy="Split it")
        )
    if value_count > MAX_RULE_VALUES:
        found.append(
            Problem(
                field=field,
                problem=f"{value_count} values in all are more than {MAX_RULE_VALUES}",
                remedy="Use prefixes instead of lists",
            )
        )
    return tuple(found)


def _size(rule: Rule, *, depth: int) -> tuple[int, int]:
    """Leaves and values, as far down as a rule may go."""
    if isinstance(rule, Leaf):
        return 1, len(rule.values)
    if depth >= MAX_DEPTH:
        return 0, 0
    sizes = [_size(child, depth=depth + 1) for child in rule.rules]
    return sum(leaf_count for leaf_count, _ in sizes), sum(value_count for _, value_count in sizes)


def _problems(rule: Rule, field: str, *, depth: int) -> Iterator[Problem]:
    if isinstance(rule, Leaf):
        yield from leaf_problems(rule, field)
        return
    if depth >= MAX_DEPTH and rule.rules:
        yield Problem(
            field=field,
            problem=f"Rules are nested more than {MAX_DEPTH} deep",
            remedy="Flatten it: an all inside an all is one all",
        )
        return
    if not rule.rules and (depth > 1 or not isinstance(rule, AllOf)):
        yield Problem(
            field=field, problem="There is nothing in this group", remedy="Add a condition or remove it"
        )
    for place, child in enumerate(rule.rules):
        yield from _problems(child, f"{field}.rules.{place}", depth=depth + 1)
