"""Reads one TwiML document into frozen verbs, or says why a carrier would not execute it."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Literal, Never

import msgspec

MAX_TWIML_BYTES = 64 * 1024  # Twilio's own limit (error 11750)
MAX_VERBS = 200
MAX_LOOPS = 100
MAX_TIMEOUT_S = 600
MAX_TIME_LIMIT_S = 14_400  # Twilio's default and most for one Dial
MAX_RECORDING_S = 3_600

ERROR_RETRIEVAL = 11200
ERROR_TOO_LARGE = 11750
ERROR_PARSE = 12100
ERROR_SCHEMA = 12200
ERROR_CONTENT_TYPE = 12300

Method = Literal["GET", "POST"]


class MalformedTwiml(Exception):
    """The document can't be executed; `code` is Twilio's error number."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code


class Say(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="say"):
    text: str
    loop: int = 1


class Play(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="play"):
    url: str
    digits: str = ""
    loop: int = 1


class Pause(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="pause"):
    length_ms: int


Prompt = Say | Play | Pause


class Gather(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="gather"):
    """`action` empty means the address of the current document, as with Twilio."""

    prompts: tuple[Prompt, ...]
    num_digits: int | None
    timeout_ms: int
    finish_on_key: str
    action: str
    method: Method
    action_on_empty_result: bool
    barge_in: bool
    keys_count: bool


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """A Number or Sip noun: where to dial, what the callee hears first, who is told of the leg."""

    noun: Literal["Number", "Sip"]
    address: str
    whisper_url: str
    whisper_method: Method
    status_url: str
    status_method: Method
    status_events: frozenset[str]


class Dial(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="dial"):
    """`action` is None where the attribute is missing: then the next verb follows."""

    destination: Destination
    action: str | None
    method: Method
    timeout_ms: int
    time_limit_ms: int
    caller_id: str
    answer_on_bridge: bool
    hangup_on_star: bool
    record: Literal["", "ringing", "answer"]
    record_channels: int
    recording_url: str
    recording_method: Method
    recording_events: frozenset[str]


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="record"):
    action: str
    method: Method
    timeout_ms: int
    max_length_ms: int
    finish_on_key: str
    play_beep: bool
    recording_url: str
    recording_method: Method
    recording_events: frozenset[str]


class Redirect(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="redirect"):
    url: str
    method: Method


class Reject(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="reject"):
    reason: Literal["rejected", "busy"]


class Hangup(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="hangup"):
    pass


Verb = Say | Play | Pause | Gather | Dial | Record | Redirect | Reject | Hangup


def parse(body: bytes) -> tuple[Verb, ...]:
    """The verbs of a document in order.

    Raises MalformedTwiml for what is too large, not XML, carries a DTD, or holds a verb, noun or value that
    this carrier does not know. Attributes that it does not know are ignored, as Twilio does.
    """
    if len(body) > MAX_TWIML_BYTES:
        raise MalformedTwiml(ERROR_TOO_LARGE, f"the document has {len(body)} bytes")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedTwiml(ERROR_PARSE, "the document is not UTF-8") from error
    if "<!DOCTYPE" in text.upper():
        raise MalformedTwiml(ERROR_PARSE, "the document has a document type declaration")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - entities need a DTD, refused above
    except (ElementTree.ParseError, ValueError) as error:
        raise MalformedTwiml(ERROR_PARSE, f"the document is not XML: {error}") from error
    if root.tag != "Response":
        raise MalformedTwiml(ERROR_SCHEMA, f"the root is {root.tag!r}, not Response")
    if len(root) > MAX_VERBS:
        raise MalformedTwiml(ERROR_SCHEMA, f"the document has {len(root)} verbs")
    return tuple(_verb(element) for element in root)


def _verb(element: ElementTree.Element) -> Verb:
    read = _READERS.get(element.tag)
    if read is None:
        return _refuse(f"unknown verb {element.tag!r}")
    return read(element)


def _refuse(reason: str) -> Never:
    raise MalformedTwiml(ERROR_SCHEMA, reason)


def _text(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _seconds(element: ElementTree.Element, name: str, default: int, most: int) -> int:
    """The attribute in whole seconds as milliseconds, no more than `most` seconds."""
    return min(_whole(element, name, default), most) * 1000


def _whole(element: ElementTree.Element, name: str, default: int) -> int:
    text = element.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        _refuse(f"{element.tag} {name}={text!r} is not a whole number")
    return int(text)


def _flag(element: ElementTree.Element, name: str, default: bool) -> bool:
    text = element.get(name)
    if text is None:
        return default
    if text.lower() not in ("true", "false"):
        _refuse(f"{element.tag} {name}={text!r} is neither true nor false")
    return text.lower() == "true"


def _method(element: ElementTree.Element, name: str = "method") -> Method:
    text = element.get(name, "POST").upper()
    if text == "GET":
        return "GET"
    if text == "POST":
        return "POST"
    return _refuse(f"{element.tag} {name}={text!r} is neither GET nor POST")


def _events(element: ElementTree.Element, name: str, known: frozenset[str]) -> frozenset[str]:
    events = frozenset(element.get(name, "completed").split())
    if not events <= known:
        _refuse(f"{element.tag} {name}={' '.join(sorted(events - known))!r} is not an event")
    return events


_LEG_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})
_RECORDING_EVENTS = frozenset({"in-progress", "completed", "absent"})


def _loop(element: ElementTree.Element) -> int:
    """Zero means until the call ends, bounded here."""
    return min(_whole(element, "loop", 1) or MAX_LOOPS, MAX_LOOPS)


def _say(element: ElementTree.Element) -> Say:
    return Say(text=_text(element), loop=_loop(element))


def _play(element: ElementTree.Element) -> Play:
    return Play(url=_text(element), digits=element.get("digits", ""), loop=_loop(element))


def _pause(element: ElementTree.Element) -> Pause:
    return Pause(length_ms=_seconds(element, "length", 1, MAX_TIMEOUT_S))


def _prompt(element: ElementTree.Element) -> Prompt:
    match element.tag:
        case "Say":
            return _say(element)
        case "Play":
            return _play(element)
        case "Pause":
            return _pause(element)
        case other:
            return _refuse(f"{other!r} inside Gather")


def _gather(element: ElementTree.Element) -> Gather:
    wanted = element.get("numDigits")
    return Gather(
        prompts=tuple(_prompt(child) for child in element),
        num_digits=None if wanted is None else _whole(element, "numDigits", 1),
        timeout_ms=_seconds(element, "timeout", 5, MAX_TIMEOUT_S),
        finish_on_key=element.get("finishOnKey", "#"),
        action=element.get("action", ""),
        method=_method(element),
        action_on_empty_result=_flag(element, "actionOnEmptyResult", False),
        barge_in=_flag(element, "bargeIn", True),
        keys_count="dtmf" in element.get("input", "dtmf").split(),
    )


def _destination(element: ElementTree.Element) -> Destination:
    children = list(element)
    if len(children) > 1:
        _refuse("this carrier dials one noun per Dial")
    noun = children[0] if children else element
    tag: Literal["Number", "Sip"] = "Sip" if noun.tag == "Sip" else "Number"
    if noun.tag not in ("Number", "Sip", "Dial"):
        _refuse(f"unknown noun {noun.tag!r} inside Dial")
    address = _text(noun)
    if not address:
        _refuse("Dial without a destination")
    of_noun = bool(children)
    return Destination(
        noun=tag,
        address=address,
        whisper_url=noun.get("url", "") if of_noun else "",
        whisper_method=_method(noun) if of_noun else "POST",
        status_url=noun.get("statusCallback", "") if of_noun else "",
        status_method=_method(noun, "statusCallbackMethod") if of_noun else "POST",
        status_events=_events(noun, "statusCallbackEvent", _LEG_EVENTS) if of_noun else frozenset(),
    )


_RECORDS: dict[str, tuple[Literal["", "ringing", "answer"], int]] = {
    "do-not-record": ("", 1),
    "false": ("", 1),
    "true": ("answer", 1),
    "record-from-answer": ("answer", 1),
    "record-from-ringing": ("ringing", 1),
    "record-from-answer-dual": ("answer", 2),
    "record-from-ringing-dual": ("ringing", 2),
}


def _dial(element: ElementTree.Element) -> Dial:
    wanted = element.get("record", "do-not-record")
    if wanted not in _RECORDS:
        _refuse(f"Dial record={wanted!r} is unknown")
    record, channels = _RECORDS[wanted]
    return Dial(
        destination=_destination(element),
        action=element.get("action"),
        method=_method(element),
        timeout_ms=_seconds(element, "timeout", 30, MAX_TIMEOUT_S),
        time_limit_ms=_seconds(element, "timeLimit", MAX_TIME_LIMIT_S, MAX_TIME_LIMIT_S),
        caller_id=element.get("callerId", ""),
        answer_on_bridge=_flag(element, "answerOnBridge", False),
        hangup_on_star=_flag(element, "hangupOnStar", False),
        record=record,
        record_channels=channels,
        recording_url=element.get("recordingStatusCallback", ""),
        recording_method=_method(element, "recordingStatusCallbackMethod"),
        recording_events=_events(element, "recordingStatusCallbackEvent", _RECORDING_EVENTS),
    )


def _record(element: ElementTree.Element) -> Record:
    return Record(
        action=element.get("action", ""),
        method=_method(element),
        timeout_ms=_seconds(element, "timeout", 5, MAX_TIMEOUT_S),
        max_length_ms=_seconds(element, "maxLength", MAX_RECORDING_S, MAX_RECORDING_S),
        finish_on_key=element.get("finishOnKey", "1234567890*#"),
        play_beep=_flag(element, "playBeep", True),
        recording_url=element.get("recordingStatusCallback", ""),
        recording_method=_method(element, "recordingStatusCallbackMethod"),
        recording_events=_events(element, "recordingStatusCallbackEvent", _RECORDING_EVENTS),
    )


def _redirect(element: ElementTree.Element) -> Redirect:
    return Redirect(url=_text(element), method=_method(element))


def _reject(element: ElementTree.Element) -> Reject:
    match element.get("reason", "rejected"):
        case "rejected":
            return Reject(reason="rejected")
        case "busy":
            return Reject(reason="busy")
        case other:
            return _refuse(f"Reject reason={other!r} is unknown")


def _hangup(_element: ElementTree.Element) -> Hangup:
    return Hangup()


_READERS: dict[str, Callable[[ElementTree.Element], Verb]] = {
    "Say": _say,
    "Play": _play,
    "Pause": _pause,
    "Gather": _gather,
    "Dial": _dial,
    "Record": _record,
    "Redirect": _redirect,
    "Reject": _reject,
    "Hangup": _hangup,
}
