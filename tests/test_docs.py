"""The documents name what is there: functions, commands, codes, carriers' capabilities, each other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from callmatrix.api.events import LEAD_KINDS
from callmatrix.core.auction import NoBidCode
from callmatrix.core.call.events import Event
from callmatrix.core.caps import CapRefusal
from callmatrix.core.errors import REFUSALS
from callmatrix.core.pricing.rating import RatingCode
from callmatrix.core.routing.values import RefusalCode
from callmatrix.dialects.carriers.dialect import DIALECTS, Capabilities

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "callmatrix"
DOCS = ROOT / "docs"
HOPS = "| hop | file | function |"
DECISION_PARTS = ["**Status**", "**Context.**", "**Decision.**", "**Consequences.**"]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#]*)(#[^)]*)?\)")


def table(text: str, head: str) -> Iterator[list[str]]:
    """The cells of each row of every table with this first line, or one that begins with it."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(head):
            next(lines)
            for row in lines:
                if not row.startswith("|"):
                    break
                yield [cell.strip() for cell in row.strip("|").split("|")]


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def defined(path: Path) -> set[str]:
    """Functions and classes of a module, methods as `Class.method`."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = (
                child for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            )
            names.update(f"{node.name}.{child.name}" for child in inner)
    return names


def codes(text: str, head: str) -> list[str]:
    return [row[0].strip("`") for row in table(text, head)]


HOP_ROWS = list(table(read("docs/life-of-a-call.md"), HOPS))


@pytest.mark.parametrize(("file", "function"), [(row[1], row[2]) for row in HOP_ROWS])
def test_a_hop_of_a_call_is_a_function_that_exists(file: str, function: str) -> None:
    assert function in defined(SOURCE / file)


def test_the_life_of_a_call_has_its_main_hops() -> None:
    assert {(row[1], row[2]) for row in HOP_ROWS} >= {
        ("api/hot.py", "Lane"),
        ("live/calls.py", "drive"),
        ("core/call/machine.py", "step"),
        ("core/routing/choice.py", "decide"),
        ("store/calls.py", "save"),
        ("dialects/carriers/render.py", "render"),
    }


def test_every_refusal_and_rating_code_has_one_line_in_its_table_and_no_other_has() -> None:
    text = read("docs/life-of-a-call.md")
    found = codes(text, "| code | what it says |")
    split = found.index("converted")
    assert found[:split] == list(get_args(RefusalCode))
    assert found[split:] == list(get_args(RatingCode))
    assert set(get_args(CapRefusal)) <= set(found[:split])


def test_every_event_has_one_line() -> None:
    told = codes(read("docs/api.md"), "| event | what happened |")
    calls = [event.__struct_config__.tag for event in get_args(Event)]
    assert sorted(told) == sorted([*calls, *LEAD_KINDS])


def test_every_reason_not_to_bid_has_one_line() -> None:
    assert codes(read("docs/exchange.md"), "| no bid | what it says |") == list(get_args(NoBidCode))


def test_every_code_of_a_refused_request_has_one_line_with_its_status() -> None:
    rows = list(table(read("docs/api.md"), "| code | status | when |"))
    assert {row[0].strip("`"): int(row[1]) for row in rows} == {
        code: status for code, (status, _title) in REFUSALS.items()
    }
    assert len(rows) == len(REFUSALS)


def test_the_table_of_carriers_is_the_one_in_the_code() -> None:
    text = read("docs/connect-a-carrier.md")
    (head,) = [line for line in text.splitlines() if line.startswith("| capability |")]
    carriers = [cell.strip() for cell in head.strip("|").split("|")][1:]
    shown = {
        (carrier, row[0].partition("`:")[0].strip("`")): cell
        for row in table(text, "| capability |")
        for carrier, cell in zip(carriers, row[1:], strict=True)
    }
    names = [field.name for field in msgspec.structs.fields(Capabilities)]
    assert shown == {
        (carrier, name): "yes" if getattr(dialect.capabilities, name) else "no"
        for carrier, dialect in DIALECTS.items()
        for name in names
    }


def test_every_command_is_listed_by_make_and_every_command_in_the_documents_is_one() -> None:
    makefile = read("Makefile")
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())
    told = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    assert told == phony
    texts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
    used = {
        command
        for path in texts
        for command in re.findall(r"(?:^|`)make ([a-z]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert used - phony == set()


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]:
        for target, _anchor in LINK.findall(path.read_text(encoding="utf-8")):
            if target and not (path.parent / target).exists():
                broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert broken == []


DECISIONS = sorted((DOCS / "decisions").glob("*.md"))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_four_parts_and_begins_with_one_line_to_quote(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    number = int(path.stem.partition("-")[0])
    assert text.startswith(f"# {number}. ")
    places = [text.find(part) for part in DECISION_PARTS]
    assert -1 not in places
    assert places == sorted(places)
    assert re.search(r"\*\*Decision\.\*\* \*[^*\n]+\*", text) is not None


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.stem.partition("-")[0]) for path in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))
