"""Writes the call's orders as a document that every carrier of the table executes alike."""

import re
from html import escape
from typing import Final, assert_never
from urllib.parse import quote

from callmatrix.core.call.commands import (
    AskAcceptance,
    Bridge,
    CarrierOrder,
    Connect,
    GatherDigits,
    HangUp,
    Record,
    Reject,
)
from callmatrix.core.campaign import Connection, Destination, PhoneDestination, SipDestination
from callmatrix.core.flow import Play, Say
from callmatrix.core.ids import CallId
from callmatrix.dialects.carriers.dialect import Dialect
from callmatrix.dialects.carriers.urls import attempt_key, callback_root

MAX_TWIML_BYTES: Final = 64 * 1024  # Twilio's (error 11750), the smallest that is stated
MAX_SAY_CHARS: Final = 4_000  # Twilio takes 4,096
CONTENT_TYPE: Final = "text/xml; charset=utf-8"
FAILSAFE_RING_S: Final = 30
FAILSAFE_TIME_LIMIT_S: Final = 3_600
VOICEMAIL_SILENCE_S: Final = 5

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?><Response>'
_TAIL: Final = "</Response>"
_SPECIAL: Final = re.compile("[^\t\n !#-%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_XML: Final = re.compile("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

NOTHING: Final = f"{_HEAD}{_TAIL}".encode()
_SORRY: Final = "We are sorry. We cannot take your call right now. Please try again later."
_UNKNOWN_NUMBER: Final = "We are sorry. The number you have dialed is not in service. Goodbye."


def render(
    dialect: Dialect, orders: tuple[CarrierOrder, ...], *, connection: Connection, call_id: CallId
) -> bytes:
    """The document that executes the orders.

    Over MAX_TWIML_BYTES, what is spoken outside gathers is left out, so that the rest is executed.
    """
    root = callback_root(connection, call_id)
    document = _document(dialect, orders, root)
    if len(document) > MAX_TWIML_BYTES:
        unspoken = tuple(order for order in orders if not isinstance(order, Say | Play))
        document = _document(dialect, unspoken, root)
    return document


def failsafe(connection: Connection) -> bytes:
    """What a caller hears when we can't decide: the connection's fail-safe number, or an apology."""
    if connection.failsafe_number is None:
        return _spoken(_SORRY)
    return (
        f'{_HEAD}<Dial answerOnBridge="true" timeout="{FAILSAFE_RING_S}" '
        f'timeLimit="{FAILSAFE_TIME_LIMIT_S}"><Number>{connection.failsafe_number}</Number></Dial>{_TAIL}'
    ).encode()


def unknown_number() -> bytes:
    """What a caller hears who dialled a number that is nobody's."""
    return _spoken(_UNKNOWN_NUMBER)


def _spoken(text: str) -> bytes:
    return f"{_HEAD}{_say(text, 'en-US')}<Hangup/>{_TAIL}".encode()


def _document(dialect: Dialect, orders: tuple[CarrierOrder, ...], root: str) -> bytes:
    verbs = "".join([_verb(dialect, order, root) for order in orders])
    return f"{_HEAD}{verbs}{_TAIL}".encode()


def _verb(dialect: Dialect, order: CarrierOrder, root: str) -> str:
    match order:
        case Say():
            return _say(order.text, order.language)
        case Play():
            return _play(order.url)
        case GatherDigits():
            return _gather(dialect, order, root)
        case Connect():
            return _dial(dialect, order, root)
        case AskAcceptance():
            return _ask_acceptance(order, root)
        case Bridge():
            # The end of a whisper's document is the bridge.
            return ""
        case Record():
            return _record(order, root)
        case Reject():
            return f'<Reject reason="{order.reason}"/>'
        case HangUp():
            return "<Hangup/>"
        case _:
            assert_never(order)


def _say(text: str, language: str) -> str:
    spoken = _xml(text[:MAX_SAY_CHARS])
    return f'<Say language="{_xml(language)}">{spoken}</Say>' if spoken.strip() else ""


def _play(url: str) -> str:
    return f"<Play>{_xml(url)}</Play>"


def _gather(dialect: Dialect, order: GatherDigits, root: str) -> str:
    gather = order.gather
    action = _xml(f"{root}/gather/{order.turn}")
    prompts = "".join(
        [
            _say(prompt.text, prompt.language) if isinstance(prompt, Say) else _play(prompt.url)
            for prompt in gather.prompts
        ]
    )
    # A carrier that does not report silence goes on to the next verb, and reports it there.
    silence = "" if dialect.capabilities.empty_gather else _redirect(action)
    return (
        f'<Gather input="dtmf" action="{action}" method="POST" actionOnEmptyResult="true" '
        f'timeout="{gather.timeout_s}" numDigits="{gather.max_digits}" '
        f'finishOnKey="{_xml(gather.finish_key)}" bargeIn="{_flag(gather.barge_in)}">'
        f"{prompts}</Gather>{silence}"
    )


def _ask_acceptance(order: AskAcceptance, root: str) -> str:
    action = _xml(f"{root}/accept/{attempt_key(order.attempt_id)}")
    # Without the hang-up, a buyer's answering machine would get the caller.
    return (
        f'<Gather input="dtmf" action="{action}" method="POST" actionOnEmptyResult="true" '
        f'timeout="{order.timeout_s}" numDigits="1" finishOnKey="">'
        f"{_say(order.prompt, 'en-US')}</Gather><Hangup/>"
    )


def _dial(dialect: Dialect, order: Connect, root: str) -> str:
    can, limits = dialect.capabilities, dialect.limits
    key = attempt_key(order.attempt_id)
    ring_s = min(max(order.ring_timeout_s, limits.min_ring_s), limits.max_ring_s)
    time_limit_s = min(max(order.time_limit_s, limits.min_time_limit_s), limits.max_time_limit_s)
    caller_id = f' callerId="{_xml(order.caller_id)}"' if order.caller_id else ""
    on_bridge = ' answerOnBridge="true"' if can.answer_on_bridge else ""
    record = ""
    if order.record and can.record:
        record = (
            f' record="{dialect.record_value}" recordingStatusCallback="{_xml(f"{root}/recording/{key}")}"'
            ' recordingStatusCallbackMethod="POST" recordingStatusCallbackEvent="completed"'
        )
    whispers = order.whisper and can.whisper
    noun = _noun_attributes(root, key, whispers=whispers, leg_events=can.leg_events)
    return (
        f'<Dial action="{_xml(f"{root}/dial/{key}")}" method="POST" timeout="{ring_s}" '
        f'timeLimit="{time_limit_s}"{caller_id}{on_bridge}{record}>'
        f"{_noun(dialect, order.destination, noun)}</Dial>"
    )


def _noun_attributes(root: str, key: str, *, whispers: bool, leg_events: bool) -> str:
    attributes = f' url="{_xml(f"{root}/whisper/{key}")}" method="POST"' if whispers else ""
    if leg_events:
        # Of a leg with a whisper, the request for the whisper says that it was answered.
        events = "ringing completed" if whispers else "ringing answered completed"
        attributes += (
            f' statusCallback="{_xml(f"{root}/leg/{key}")}" statusCallbackMethod="POST"'
            f' statusCallbackEvent="{events}"'
        )
    return attributes


def _noun(dialect: Dialect, destination: Destination, attributes: str) -> str:
    match destination:
        case PhoneDestination():
            return f"<Number{attributes}>{_xml(destination.number)}</Number>"
        case SipDestination():
            return f"<Sip{attributes}>{_xml(_sip_uri(dialect, destination))}</Sip>"
        case _:
            assert_never(destination)


def _sip_uri(dialect: Dialect, destination: SipDestination) -> str:
    """The address with an explicit transport where the carrier's own default would surprise, and headers."""
    address, _, query = destination.uri.partition("?")
    if dialect.sip_transport and address.startswith("sip:") and ";transport=" not in address.lower():
        address = f"{address};transport={dialect.sip_transport}"
    headers = [query] if query else []
    headers += [
        f"{quote(name, safe='')}={quote(text, safe='')}" for name, text in destination.headers.items()
    ]
    return f"{address}?{'&'.join(headers)}" if headers else address


def _record(order: Record, root: str) -> str:
    action = _xml(f"{root}/record/0")
    # Carriers do not call the action after mere silence; then the redirect tells that it is over.
    return (
        f'<Record action="{action}" method="POST" maxLength="{order.max_s}" '
        f'timeout="{VOICEMAIL_SILENCE_S}" playBeep="true" finishOnKey="#" '
        f'recordingStatusCallback="{_xml(f"{root}/voicemail/0")}" recordingStatusCallbackMethod="POST" '
        f'recordingStatusCallbackEvent="completed"/>{_redirect(action)}'
    )


def _redirect(escaped_url: str) -> str:
    return f'<Redirect method="POST">{escaped_url}</Redirect>'


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _xml(text: str) -> str:
    """The text for content or attribute: special characters escaped, what XML can't hold left out."""
    if _SPECIAL.search(text) is None:
        return text
    return escape(_NOT_XML.sub("", text), quote=True)
