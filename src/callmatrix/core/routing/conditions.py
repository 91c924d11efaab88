"""Which offers' rules hold for a call, for all offers at once, as one mask."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Final

from callmatrix.core import rules
from callmatrix.core.auction import lowest, mask_of
from callmatrix.core.routing.steps import Steps
from callmatrix.core.rules import MAX_CLAUSES, Attribute, Facts, Leaf, Literal, Rule

FEW: Final = 8
"""Up to so many positions are kept as such; a mask costs memory up to its highest position."""

_EXACT: Final = ("equal", "in")
_ORDERED: Final = ("less", "greater", "between")

_Hits = int | tuple[int, ...]


class _Exact:
    """The positions that pass for a text: `base`, turned over for those that name the text."""

    __slots__ = ("_base", "_hits")

    def __init__(self, base: int, hits: dict[str, list[int]]) -> None:
        self._base = base
        self._hits = {text: _packed(positions) for text, positions in hits.items()}

    def passing(self, text: str) -> int:
        hits = self._hits.get(text)
        return self._base if hits is None else self._base ^ _unpacked(hits)


class _Prefix:
    """As `_Exact`, turned over for those that name a prefix of the text."""

    __slots__ = ("_base", "_by_length")

    def __init__(self, base: int, hits: dict[str, list[int]]) -> None:
        self._base = base
        by_length: dict[int, dict[str, _Hits]] = defaultdict(dict)
        for prefix, positions in hits.items():
            by_length[len(prefix)][prefix] = _packed(positions)
        self._by_length = tuple(by_length.items())

    def passing(self, text: str) -> int:
        turned = 0
        for length, hits in self._by_length:
            hit = hits.get(text[:length])
            if hit is not None:
                turned |= _unpacked(hit)
        return self._base ^ turned


class _Ordered:
    """The positions whose bounds a number or a time of day keeps; `otherwise` for a text that is neither."""

    __slots__ = ("_key", "_otherwise", "_steps")

    def __init__(self, steps: Steps, *, otherwise: int, key: Callable[[str], Decimal | int | None]) -> None:
        self._steps = steps
        self._otherwise = otherwise
        self._key = key

    def passing(self, text: str) -> int:
        key = self._key(text)
        return self._otherwise if key is None else self._steps.at((key, 0))


class _Table:
    """All that clauses ask of one attribute. A missing value fails every literal that is not negated."""

    __slots__ = ("_if_missing", "_parts", "read")

    def __init__(
        self, attribute: Attribute, *, if_missing: int, parts: Sequence[_Exact | _Prefix | _Ordered]
    ) -> None:
        self.read: Callable[[Facts], str | None] = partial(rules.read, attribute)
        self._if_missing = if_missing
        self._parts = tuple(parts)

    def passing(self, text: str | None) -> int:
        if text is None:
            return self._if_missing
        mask = -1
        for part in self._parts:
            mask &= part.passing(text)
        return mask


class Conditions:
    """The rules of a plan's offers, compiled; position n is the n-th offer's.

    Each rule becomes alternatives (clauses); the first clauses of all offers lie side by side, then the
    second ones, and so on, so that one mask answers for all clauses and folds into one for offers. What
    can't be indexed (patterns, rules of more than `MAX_CLAUSES` clauses) is left out of the index and
    asked of those that it lets through.
    """

    __slots__ = ("_asked", "_clauses", "_count", "_full", "_planes", "_tables", "_tests")

    def __init__(self, wanted: Sequence[Rule]) -> None:
        self._count = len(wanted)
        self._full = (1 << self._count) - 1
        self._tests: dict[int, Callable[[Facts], bool]] = {}
        literals: dict[Attribute, list[tuple[int, Literal]]] = defaultdict(list)
        filled: list[int] = []
        self._planes = 1
        for position, rule in enumerate(wanted):
            clauses = rules.to_dnf(rule, MAX_CLAUSES)
            if clauses is None or any(_is_unindexed(one) for clause in clauses for one in clause):
                self._tests[position] = rules.compile_rule(rule)
            for plane, clause in enumerate(((),) if clauses is None else clauses):
                bit = plane * self._count + position
                filled.append(bit)
                self._planes = max(self._planes, plane + 1)
                for literal in clause:
                    if not _is_unindexed(literal):
                        literals[rules.attribute_of(literal.leaf)].append((bit, literal))
        self._clauses = mask_of(filled)
        self._asked = mask_of(tuple(self._tests))
        every = (1 << self._count * self._planes) - 1
        self._tables = tuple(_table(attribute, found, every) for attribute, found in literals.items())

    def passing(self, facts: Facts) -> int:
        """The mask of the offers whose rule holds."""
        mask = self._clauses
        for table in self._tables:
            mask &= table.passing(table.read(facts))
        folded = mask & self._full
        for _ in range(1, self._planes):
            mask >>= self._count
            folded |= mask & self._full
        asked = folded & self._asked
        if asked:
            failed = [n for n in lowest(asked, asked.bit_count()) if not self._tests[n](facts)]
            folded ^= mask_of(failed)
        return folded


def _is_unindexed(literal: Literal) -> bool:
    return literal.leaf.operator == "matches"


def _packed(positions: Sequence[int]) -> _Hits:
    return tuple(positions) if len(positions) <= FEW else mask_of(positions)


def _unpacked(hits: _Hits) -> int:
    return hits if isinstance(hits, int) else mask_of(hits)


def _table(attribute: Attribute, found: Sequence[tuple[int, Literal]], every: int) -> _Table:
    """Compile one attribute's literals. A part holds at most one literal of each clause; a second one of the
    same kind goes into a further part."""
    parts: dict[tuple[str, int], list[tuple[int, Literal]]] = defaultdict(list)
    used: Counter[tuple[str, int]] = Counter()
    for bit, literal in found:
        kind = _kind(literal.leaf)
        parts[kind, used[kind, bit]].append((bit, literal))
        used[kind, bit] += 1
    positive = mask_of([bit for bit, literal in found if not literal.negated])
    return _Table(
        attribute,
        if_missing=every & ~positive,
        parts=[_part(kind, held, every, attribute) for (kind, _), held in parts.items()],
    )


def _kind(leaf: Leaf) -> str:
    if leaf.operator == "starts_with":
        return "prefix"
    return "ordered" if leaf.operator in _ORDERED else "exact"


def _part(
    kind: str, held: Sequence[tuple[int, Literal]], every: int, attribute: Attribute
) -> _Exact | _Prefix | _Ordered:
    if kind == "ordered":
        return _ordered(held, every, attribute)
    # Before any value is named: a positive literal fails, except for `present`, and a negated one passes.
    base = every & ~mask_of(
        [bit for bit, literal in held if literal.negated == (literal.leaf.operator == "present")]
    )
    hits: dict[str, list[int]] = defaultdict(list)
    for bit, literal in held:
        for value in dict.fromkeys(literal.leaf.values):
            hits[value].append(bit)
    return _Prefix(base, hits) if kind == "prefix" else _Exact(base, hits)


def _ordered(held: Sequence[tuple[int, Literal]], every: int, attribute: Attribute) -> _Ordered:
    is_time = attribute.subject == "time_of_day"
    key: Callable[[str], Decimal | int | None] = rules.parse_minute if is_time else rules.parse_number
    changes: dict[tuple[Decimal | int | None, int], list[int]] = defaultdict(list)
    failing: list[int] = []
    for bit, literal in held:
        bounds = [key(value) for value in literal.leaf.values]
        starts_inside, points = _crossings(literal.leaf, bounds, is_time=is_time)
        if starts_inside == literal.negated:
            failing.append(bit)
        for point in points:
            changes[point].append(bit)
    positive = mask_of([bit for bit, literal in held if not literal.negated])
    return _Ordered(Steps(every & ~mask_of(failing), changes), otherwise=every & ~positive, key=key)


_Bound = Decimal | int | None


def _crossings(
    leaf: Leaf, bounds: Sequence[_Bound], *, is_time: bool
) -> tuple[bool, tuple[tuple[_Bound, int], ...]]:
    """Whether the leaf accepts the least values, and where that changes: at a bound (0) or just after (1)."""
    if leaf.operator == "less":
        return True, ((bounds[0], 0),)
    if leaf.operator == "greater":
        return False, ((bounds[0], 1),)
    least, most = bounds
    if not is_time:
        return False, ((least, 0), (most, 1))
    assert isinstance(least, int)
    assert isinstance(most, int)
    return least > most, ((least, 0), (most, 0))
