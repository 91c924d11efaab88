"""The caller's way through the flow: each input advances it to the next wait or out of it."""

from callmatrix.core.call import dialling
from callmatrix.core.call.commands import Fetch, GatherDigits, HangUp, Record
from callmatrix.core.call.draft import Draft
from callmatrix.core.call.facts import facts_of, geo_of
from callmatrix.core.flow import (
    AskCaller,
    AskService,
    FlowInput,
    ToHangup,
    ToRouting,
    ToVoicemail,
    advance,
)


def walk(draft: Draft, given: FlowInput, *, draw: int) -> None:
    """Give the flow one input and order what it leads to."""
    call, flow = draft.call, draft.plan.flow
    if flow is None:
        dialling.begin(draft)
        return
    moved = advance(
        flow, call.flow, given, fields=call.fields, facts=facts_of(call, draft.plan, draft.at), draw=draw
    )
    draft.visits = moved.visits
    draft.set(flow=moved.state, fields=moved.fields, spoken=(*call.spoken, *moved.spoken))
    match moved.onward:
        case AskCaller(gather=gather):
            draft.set(state="ivr", turn=call.turn + 1)
            draft.reply(GatherDigits(turn=draft.call.turn, gather=gather))
        case AskService() as ask:
            question = Fetch(ask=ask)
            draft.set(state="asking", question=question)
            draft.order(question)
        case ToRouting():
            draft.set(geo=geo_of(draft.call, draft.plan))
            dialling.begin(draft)
        case ToVoicemail(prompt=prompt, max_s=max_s):
            draft.set(state="voicemail", end_reason="voicemail")
            draft.reply(prompt, Record(max_s=max_s))
        case ToHangup(code=code):
            draft.note(code)
            draft.set(state="closing", end_reason=code)
            draft.reply(HangUp())
