"""`pytest tests/stories --rewrite-stories` writes down what happens now; the diff is then reviewed."""

import call_stories
import flow_stories
import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-stories",
        action="store_true",
        help="rewrite the `out` parts of the stories to what happens now",
    )


def pytest_configure(config: pytest.Config) -> None:
    # Given only where pytest is started on this folder; there this file is read before the options are.
    if config.getoption("--rewrite-stories", default=False) and not hasattr(config, "workerinput"):
        for stories in (flow_stories, call_stories):
            for path in stories.paths():
                path.write_text(stories.rewritten(path), encoding="utf-8")
