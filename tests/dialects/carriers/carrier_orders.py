"""Arbitrary orders to a carrier, for properties."""

from hypothesis import strategies as st

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
from callmatrix.core.campaign import PhoneDestination, SipDestination
from callmatrix.core.flow import Gather, Play, Say
from callmatrix.core.ids import AttemptId

_TEXT = st.text(max_size=300)
_URLS = st.from_regex(r"https?://[^\s]{1,40}", fullmatch=True)
_LANGUAGES = st.sampled_from(["en-US", "es-US", "en-GB"])
_SAYS = st.builds(Say, text=_TEXT, language=_LANGUAGES)
_PROMPTS = st.one_of(_SAYS, st.builds(Play, url=_URLS))
_ATTEMPTS = st.integers(0, 20).map(lambda number: AttemptId(f"call_01-{number}"))
_GATHERS = st.builds(
    Gather,
    prompts=st.lists(_PROMPTS, max_size=3).map(tuple),
    timeout_s=st.integers(1, 60),
    max_digits=st.integers(1, 32),
    finish_key=st.sampled_from(["", "#", "*"]),
    barge_in=st.booleans(),
)
_DESTINATIONS = st.one_of(
    st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True).map(lambda number: PhoneDestination(number=number)),
    st.builds(
        SipDestination,
        uri=st.from_regex(r"sips?:[^\s@<>\"\x00-\x1f]{1,20}@[^\s<>\"\x00-\x1f]{1,30}", fullmatch=True),
        headers=st.dictionaries(st.from_regex(r"X-[A-Za-z-]{1,10}", fullmatch=True), _TEXT, max_size=3),
    ),
)


def orders() -> st.SearchStrategy[CarrierOrder]:
    return st.one_of(
        st.builds(Reject, reason=st.sampled_from(["rejected", "busy"])),
        _PROMPTS,
        st.builds(GatherDigits, turn=st.integers(0, 999), gather=_GATHERS),
        st.builds(AskAcceptance, attempt_id=_ATTEMPTS, prompt=_TEXT, timeout_s=st.integers(3, 30)),
        st.just(Bridge()),
        st.builds(
            Connect,
            attempt_id=_ATTEMPTS,
            destination=_DESTINATIONS,
            caller_id=st.sampled_from(["", "+12125550100"]),
            ring_timeout_s=st.integers(5, 120),
            time_limit_s=st.integers(60, 14_400),
            whisper=st.booleans(),
            record=st.booleans(),
        ),
        st.builds(Record, max_s=st.integers(5, 600)),
        st.just(HangUp()),
    )
