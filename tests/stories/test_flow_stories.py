"""Every story in flows/*.yaml happens as it is written."""

from pathlib import Path
from typing import Any

import flow_stories
import pytest

from callmatrix.core.flow import problems

PATHS = flow_stories.paths()
STORIES = [
    pytest.param(path, story, id=f"{path.stem}: {story['story']}")
    for path in PATHS
    for story in flow_stories.read(path)["stories"]
]


@pytest.mark.parametrize(("path", "story"), STORIES)
def test_a_story_happens_as_it_is_written(path: Path, story: dict[str, Any]) -> None:
    assert flow_stories.play(flow_stories.flow_of(path), story) == story["steps"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_flow_of_a_story_may_be_published(path: Path) -> None:
    assert problems(flow_stories.flow_of(path)) == ()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_rewriting_a_true_story_changes_no_byte(path: Path) -> None:
    assert flow_stories.rewritten(path) == path.read_text(encoding="utf-8")


def test_story_names_are_told_apart() -> None:
    assert len({param.id for param in STORIES}) == len(STORIES)
    assert len(STORIES) >= len(PATHS) > 0


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_rewriting_fills_in_what_was_not_told_or_told_wrong(path: Path, tmp_path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    untold = tmp_path / path.name
    untold.write_text("".join(line.replace("leaves: ", "leaves: not ") for line in lines), encoding="utf-8")
    assert flow_stories.rewritten(untold) == "".join(lines)
