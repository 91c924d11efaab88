"""What can be said of a form is told: its codes and states in the documents, its notes in sentences."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from msgspec.structs import fields

import callmatrix
from callmatrix.api.events import LEAD_KINDS
from callmatrix.api.lead_story import FORM_NOTES
from callmatrix.api.sentences import NOTES
from callmatrix.core.caps import CapRefusal
from callmatrix.core.lead import OVER, State, events
from callmatrix.core.pricing.rating import RatingCode
from test_docs import read, table

LEAD = Path(callmatrix.__file__).parent / "core" / "lead"
# What rating can say only of calls.
ONLY_OF_CALLS = {
    *("no_buyer", "not_connected", "not_billed_in_review", "awaits_postback", "awaits_manual", "expired"),
    *("number_cooldown_expired", "test_call"),
}


def texts_of(node: ast.AST) -> Iterator[str]:
    return (
        one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    )


def noted() -> set[str]:
    """The codes given to `note`, and returned as the reason to refuse."""
    found: set[str] = set()
    for path in LEAD.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "note"
            ):
                found.update(texts_of(node.args[0]))
    return (found - {"revenue_", "payout_"}) | rejections()


def rejections() -> set[str]:
    tree = ast.parse((LEAD / "screening.py").read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            code = node.value.elts[0]
            if isinstance(code, ast.Constant):
                found.add(str(code.value))
    (status,) = [one for one in fields(events.Submitted) if one.name == "campaign_status"]
    return found | {f"campaign_{one}" for one in get_args(status.type) if one != "live"}


def told(head: str) -> set[str]:
    rows = table(read("docs/exchange.md"), head)
    return {code.strip(" `") for row in rows for code in row[0].split(",")}


def test_every_reason_to_reject_a_form_is_told_and_no_other_is() -> None:
    assert told("| `rejected` | when |") == rejections()


def test_every_state_of_a_form_is_told_and_has_its_event() -> None:
    assert told("| `state` | meaning |") == set(get_args(State)) - {"new"}
    assert {f"lead.{state}" for state in OVER} < set(LEAD_KINDS)


def test_every_note_on_a_form_has_a_sentence() -> None:
    ratings = {
        f"{side}_{code}"
        for side in ("revenue", "payout")
        for code in set(get_args(RatingCode)) - ONLY_OF_CALLS
    }
    assert noted() - {*FORM_NOTES, *NOTES} == set()
    assert set(FORM_NOTES) - noted() - ratings - set(get_args(CapRefusal)) == set()
