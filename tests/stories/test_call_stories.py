"""Every story in calls/*.yaml happens as it is written."""

from pathlib import Path
from typing import Any

import call_stories
import pytest

PATHS = call_stories.paths()
STORIES = [
    pytest.param(path, story, id=f"{path.stem}: {story['story']}")
    for path in PATHS
    for story in call_stories.read(path)["stories"]
]


@pytest.mark.parametrize(("path", "story"), STORIES)
def test_a_calls_story_happens_as_it_is_written(path: Path, story: dict[str, Any]) -> None:
    assert call_stories.play(call_stories.plan_of(path), story) == story["steps"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_rewriting_a_true_story_of_a_call_changes_no_byte(path: Path) -> None:
    assert call_stories.rewritten(path) == path.read_text(encoding="utf-8")


def test_there_are_stories_of_calls_and_their_names_are_told_apart() -> None:
    assert len({param.id for param in STORIES}) == len(STORIES)
    assert len(STORIES) >= len(PATHS) > 0
