"""Stories of callers in a flow: how the files are read, played and written.

A file has a `flow` (or the name of the file whose flow it shares) and `stories`. A story has a `story` (its
name), `caller`, `dialed`, `at`, `draw`, and `steps`: `in` is what comes in, `out` is everything that it
leads to. Above `stories:` a file is kept byte for byte when it is rewritten; below, comments are lost.
"""

import json
from pathlib import Path
from typing import Any, assert_never

import yaml

from callmatrix.core import geo
from callmatrix.core.documents import from_plain
from callmatrix.core.flow import (
    Advance,
    AskCaller,
    AskService,
    Digits,
    Flow,
    FlowInput,
    LookupAnswered,
    LookupFailed,
    Onward,
    Play,
    Say,
    Silence,
    Started,
    ToHangup,
    ToRouting,
    ToVoicemail,
    advance,
    lift,
    read_reply,
)
from callmatrix.core.rules import Facts

FOLDER = Path(__file__).parent / "flows"
STORIES = "\nstories:\n"


def paths() -> list[Path]:
    return sorted(FOLDER.glob("*.yaml"))


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def flow_of(path: Path) -> Flow:
    flow = read(path)["flow"]
    return flow_of(FOLDER / flow) if isinstance(flow, str) else from_plain(lift(flow), Flow)


def facts_of(story: dict[str, Any]) -> Facts:
    place = geo.from_number(story["caller"])
    return Facts(
        caller=story["caller"],
        dialed_number=story["dialed"],
        caller_state=place.state,
        area_code=place.area_code,
        zip=place.zip,
        publisher_id=None,
        campaign_id="camp_story",
        at=story["at"],
        fields={},
        tags=story.get("tags", {}),
        attestation=None,
    )


def play(flow: Flow, story: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a story with what really comes out."""
    last: Advance | None = None
    steps = []
    for step in story["steps"]:
        last = advance(
            flow,
            last.state if last else None,
            _input(step["in"], last.onward if last else None),
            fields=last.fields if last else {},
            facts=facts_of(story),
            draw=story["draw"],
        )
        steps.append({"in": step["in"], "out": _told(last)})
    return steps


def rewritten(path: Path) -> str:
    """The text of a file with what really comes out."""
    flow, document = flow_of(path), read(path)
    stories = [{**story, "steps": play(flow, story)} for story in document["stories"]]
    head, _, _ = path.read_text(encoding="utf-8").partition(STORIES)
    return head + STORIES + yaml.safe_dump(stories, sort_keys=False, allow_unicode=True, width=1_000)


def _input(said: str | dict[str, Any], onward: Onward | None) -> FlowInput:
    match said:
        case "arrives":
            return Started()
        case "presses nothing":
            return Silence()
        case str() if said.startswith("presses "):
            return Digits(digits=said.removeprefix("presses "))
        case {"service replies": reply}:
            # Through JSON, because that is what a service sends.
            plain = json.loads(json.dumps(reply))
            return LookupAnswered(values=read_reply(onward, plain) if isinstance(onward, AskService) else {})
        case {"service fails": code}:
            return LookupFailed(code=code)
        case _:
            raise ValueError(f"a story can't begin a step with {said!r}")


def _told(result: Advance) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if result.spoken:
        told["hears"] = [_heard(order) for order in result.spoken]
    told |= _onward(result.onward)
    if result.fields:
        told["fields"] = dict(result.fields)
    told["way"] = [
        f"{visit.node} → {visit.exit}" + (f" ({visit.detail})" if visit.detail else "")
        for visit in result.visits
    ]
    return told


def _heard(order: Say | Play) -> str:
    match order:
        case Say():
            return order.text if order.language == "en-US" else f"[{order.language}] {order.text}"
        case Play():
            return f"♪ {order.url}"
        case _:
            assert_never(order)


def _onward(onward: Onward) -> dict[str, Any]:
    match onward:
        case AskCaller(gather=gather):
            ended = f", ended by “{gather.finish_key}”" if gather.finish_key else ""
            uninterrupted = "" if gather.barge_in else ", not before the prompt is over"
            keys = f"at most {gather.max_digits}{ended}, within {gather.timeout_s} s{uninterrupted}"
            return {"asked": [_heard(prompt) for prompt in gather.prompts], "keys": keys}
        case AskService():
            body = {"body": dict(onward.body)} if onward.body else {}
            return {"service": f"{onward.method} {onward.url} within {onward.timeout_ms} ms", **body}
        case ToRouting():
            return {"leaves": "to routing"}
        case ToVoicemail():
            return {"leaves": f"to voicemail of at most {onward.max_s} s", "asked": [_heard(onward.prompt)]}
        case ToHangup():
            return {"leaves": f"hung up, {onward.code}"}
        case _:
            assert_never(onward)
