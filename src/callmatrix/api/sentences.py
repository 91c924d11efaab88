"""Tells what happened to a call in plain English: a sentence for each event and for each thing decided."""

from typing import Final, assert_never

from callmatrix.core.call import events
from callmatrix.core.call.draft import Note
from callmatrix.core.call.value import Call
from callmatrix.core.phone import area_code

MS_PER_S: Final = 1_000

# A note's code -> what it says. `{name}` is a compared value; a value that is not there reads as "?".
NOTES: Final[dict[str, str]] = {
    "adjusted_too_often": "Nothing was booked: the call was adjusted {most} times, the most there is.",
    "already_adjusted": "This adjustment was booked before; nothing changed.",
    "already_arrived": "The call had arrived before; nothing changed.",
    "already_ended": "The call was over already; nothing changed.",
    "already_rerated": "This re-rating was booked before; nothing changed.",
    "anonymous": "Blocked: the caller hides the number, and the campaign takes no anonymous calls.",
    "already_granted": "The reservation was known already; nothing changed.",
    "answer_not_asked": "The answer came when nobody waited for it any more; nothing changed.",
    "attempts_used_up": (
        "No further offer is tried: {dialled} dialled, {refused} refused by limits, {waited_s} s waited."
    ),
    "auction": "Round {round}: {pings} bidders were pinged, {bids} bid, in {spent_ms} ms.",
    "attestation": "Blocked: the caller ID is attested {found}, and the campaign needs {needed}.",
    "block_list": "Blocked by the block-list entry {entry}.",
    "blocked": "Refused by the reservation: {owner} is blocked.",
    "campaign_closed": "The campaign was outside its hours, so the caller got its closed treatment.",
    "campaign_not_live": "The campaign was {status}, so the caller got its closed treatment.",
    "cap_full": "Refused by the reservation: {owner} has used {used} of {limit} ({cap}).",
    "closed": "Refused by the reservation: {owner} is closed.",
    "concurrency_full": "Refused by the reservation: {owner} has {used} of {limit} calls in the air.",
    "converts_on_duration": "The report changes nothing: the offer converts by duration.",
    "converts_otherwise": "The report changes nothing: the offer converts by {offer}, not by {reported}.",
    "declined": "The buyer did not accept: pressed “{pressed}” instead of “{wanted}”.",
    "durations_unknown": "The carrier cannot say how long the leg lasted: for review, unbilled.",
    "fallback": "Nobody takes the call by the plan, so the campaign's fallback was used ({kind}).",
    "fallback_failed": "The fallback did not work either; the caller heard an apology.",
    "fallback_refused": "The fallback was refused by a limit; the caller heard an apology.",
    "fallback_tried": "The fallback offer had been tried already; the caller heard an apology.",
    "failed_safe": "Something failed while the call was handled; the caller got the fail-safe treatment.",
    "flow_broken": "The flow led to a node that is not there; the call was hung up.",
    "flow_hangup": "The flow ended the call.",
    "flow_too_long": "The flow ran through too many nodes without waiting; the call was hung up.",
    "gather_not_asked": "The keys answer a question that is over; nothing changed.",
    "grant_not_wanted": "The reservation came too late and was given back.",
    "leg_already_reported": "The end of this leg was reported before; nothing changed.",
    "leg_already_settled": "This leg was settled before; nothing changed.",
    "leg_too_late": "The leg is over or unknown, so it was hung up.",
    "more_than_left": (
        "Nothing was booked: only {credit_left} can be credited and {clawback_left} clawed back."
    ),
    "never_arrived": "The call ended before it arrived.",
    "no_funds": "Refused by the reservation: {owner} has not enough funds ({used} of {limit}).",
    "nobody_eligible": "No offer could take the call.",
    "not_connected": "The report changes nothing: no buyer was connected.",
    "nothing_asked": "Nothing was waited for; nothing changed.",
    "nothing_to_rate": "There is nothing to rate again.",
    "paused": "Refused by the reservation: {owner} is paused.",
    "post_refused": "The winner did not take the lead before the dial ({answer}); the next best is tried.",
    "publisher_paused": "Blocked: the publisher {publisher} is paused.",
    "question_timed_out": "An answer never came; the caller heard an apology.",
    "repeat": "Blocked: the same caller called {seconds} s before (within {within_s} s).",
    "rerated_too_often": "Nothing was booked: the call was rated again {most} times, the most there is.",
    "rerouted": "The buyer hung up early ({bridged_ms} ms), so the caller was routed again.",
    "rtb_caller_hidden": "Blocked: the endpoint {endpoint} has no bid for a call that hides its number.",
    "rtb_expired": "Blocked: the bid of the endpoint {endpoint} for this caller had expired.",
    "rtb_no_bid": "Blocked: nobody asked the endpoint {endpoint} for a bid for this caller.",
    "rtb_used": "Blocked: the bid of the endpoint {endpoint} for this caller was used by another call.",
    "rtb_wrong_number": "Blocked: the bid of the endpoint {endpoint} for this caller named another number.",
    "sold": "The publisher sold the call by the bid {bid}: {amount}, owed after {min_s} s.",
    "spacing": "Refused by the reservation: {owner} takes one call in {limit} s.",
    "unknown_attempt": "The attempt {attempt} is not known; nothing changed.",
    "voicemail_not_asked": "No message was being recorded; nothing changed.",
    "revenue_converted": "Revenue: the buyer owes for this call.",
    "revenue_test_call": "Revenue: none, a test call.",
    "revenue_no_buyer": "Revenue: none, nobody pays for a fallback number.",
    "revenue_not_connected": "Revenue: none, the buyer was not connected.",
    "revenue_not_billed_in_review": "Revenue: none yet, the length is unknown and under review.",
    "revenue_no_bid": "Revenue: none, the price is a bid and there is none.",
    "revenue_below_threshold": "Revenue: none, the call was shorter than the price asks for.",
    "revenue_awaits_postback": "Revenue: waits for the buyer's system to report a conversion.",
    "revenue_awaits_manual": "Revenue: waits for a person to report a conversion.",
    "revenue_expired": "Revenue: none, no conversion was reported in time.",
    "revenue_not_converted": "Revenue: none, the buyer reported no conversion.",
    "revenue_duplicate": "Revenue: none, a duplicate of the call {original}.",
    "payout_paid": "Payout: the publisher earns for this call.",
    "payout_test_call": "Payout: none, a test call.",
    "payout_publisher_not_on_call": "Payout: none, no publisher brought this call.",
    "payout_no_buyer": "Payout: none, nobody pays for a fallback number.",
    "payout_not_connected": "Payout: none, the buyer was not connected.",
    "payout_not_billed_in_review": "Payout: none yet, the length is unknown and under review.",
    "payout_number_cooldown_expired": "Payout: none, the number's assignment ended too long ago.",
    "payout_awaits_postback": "Payout: waits for the buyer's system to report a conversion.",
    "payout_awaits_manual": "Payout: waits for a person to report a conversion.",
    "payout_not_converted": "Payout: none, the buyer's side did not convert ({revenue}).",
    "payout_below_threshold": "Payout: none, the call was shorter than the terms ask for.",
    "payout_capped_unpaid": "Payout: none, the publisher's cap is full and the call was routed unpaid.",
    "payout_duplicate": "Payout: none, a duplicate of the call {original}.",
}

_ENDS: Final = {
    "hung_up": "The call ended",
    "failed": "The call failed",
    "canceled": "The caller hung up before the call was answered",
    "busy": "The caller's line was busy",
    "no_answer": "The call was not answered",
    "swept": "Nobody reported the end of the call; it was closed after asking the carrier",
}


class _Values(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


def told_note(note: Note) -> str:
    """What a step decided."""
    template = NOTES.get(note.code)
    if template is None:
        values = ", ".join(f"{name} {value}" for name, value in note.values.items())
        return f"{note.code.replace('_', ' ').capitalize()}{f' ({values})' if values else ''}."
    return template.format_map(_Values(note.values))


def told_event(event: events.Event, before: Call, names: dict[str, str]) -> str:
    """What happened. `before` is the call when it happened; `names` are those of offers and others by id."""
    match event:
        case events.Arrived():
            return _arrived(event, names)
        case events.FailedSafe():
            return f"The carrier got the fail-safe reply when it asked what now ({event.asked})."
        case events.DigitsEntered():
            return f"The caller pressed {event.digits or 'nothing'}."
        case events.GatherTimedOut():
            return "The caller pressed nothing in time."
        case events.Fetched():
            if event.code:
                return f"The lookup failed ({event.code})."
            found = ", ".join(f"{name} = {value}" for name, value in event.values.items())
            return f"The lookup answered: {found or 'nothing'}."
        case events.Looked():
            return "The open offers, the rotation and the caller's earlier calls were read for routing."
        case events.BidsReturned():
            return _auction(event)
        case events.PostAnswered():
            offer = _offer(event.attempt_id, before, names)
            answer = f"refused it ({event.code})" if event.code else "accepted it"
            return f"The lead was posted to {offer} before the dial, who {answer}."
        case events.Reserved() | events.CapFull():
            return _reservation(event, before, names)
        case events.LegRinging() | events.LegAnswered() | events.AcceptanceEntered():
            return _leg(event, before, names)
        case events.LegEnded():
            return _leg_ended(event, before, names)
        case events.LegReported():
            return (
                f"The carrier reported the end of the leg to {_offer(event.leg.attempt_id, before, names)}."
            )
        case events.RecordingReady():
            return f"A recording of {event.duration_s} s is ready."
        case events.VoicemailEnded():
            return f"The caller left a message of {event.duration_s} s."
        case events.CallEnded():
            by = f" by the {event.ended_by}" if event.ended_by != "unknown" else ""
            length = "" if event.duration_ms is None else f" after {event.duration_ms // MS_PER_S} s"
            return f"{_ENDS[event.reason]}{by}{length}."
        case events.TimedOut():
            return (
                "An answer never came."
                if event.what == "question"
                else "The call should have ended long ago."
            )
        case events.ConversionReported() | events.Adjusted() | events.Rerated() | events.Disposed():
            return _said_later(event)
        case _:
            assert_never(event)


def _arrived(event: events.Arrived, names: dict[str, str]) -> str:
    area = area_code(event.caller)
    who = "A caller who hides the number" if event.caller is None else f"{event.caller}"
    place = f" (area code {area})" if area is not None else ""
    brought = (
        f", brought by {names.get(event.publisher_id, event.publisher_id)}" if event.publisher_id else ""
    )
    return f"{who}{place} called {event.dialed}{brought}."


def _auction(event: events.BidsReturned) -> str:
    bids = [result.bid for result in event.results if result.bid is not None]
    best = f", the best {max(bid.amount for bid in bids)}" if bids else ""
    asked = f"{len(event.results)} bidder{'' if len(event.results) == 1 else 's'}"
    return f"{asked} asked: {len(bids)} bids{best}, in {event.spent_ms} ms."


def _reservation(event: events.Reserved | events.CapFull, before: Call, names: dict[str, str]) -> str:
    offer = _offer(event.attempt_id, before, names)
    if isinstance(event, events.Reserved):
        return f"Capacity for {offer} was reserved; it is dialled."
    return f"Capacity for {offer} was refused ({event.code})."


def _leg(
    event: events.LegRinging | events.LegAnswered | events.AcceptanceEntered,
    before: Call,
    names: dict[str, str],
) -> str:
    offer = _offer(event.attempt_id, before, names)
    match event:
        case events.LegRinging():
            return f"{offer} rings."
        case events.LegAnswered():
            return f"{offer} answered."
        case events.AcceptanceEntered():
            return f"{offer} pressed {event.digits or 'nothing'} when asked to accept."
        case _:
            assert_never(event)


def _leg_ended(event: events.LegEnded, before: Call, names: dict[str, str]) -> str:
    offer = _offer(event.attempt_id, before, names)
    told = {
        "busy": f"{offer} was busy",
        "no_answer": f"{offer} did not answer",
        "failed": f"The dial to {offer} failed",
        "canceled": f"The dial to {offer} was canceled",
        "declined": f"{offer} declined",
        "answered": f"The leg to {offer} ended",
    }[event.outcome]
    if event.outcome != "answered":
        sip = f" (SIP {event.sip_code})" if event.sip_code else ""
        return f"{told} after ringing {event.ring_ms // MS_PER_S} s{sip}."
    talked_ms = event.bridged_ms if event.bridged_ms is not None else event.leg_ms
    length = "of unknown length" if talked_ms is None else f"after {talked_ms // MS_PER_S} s"
    by = f", hung up by the {event.ended_by}" if event.ended_by != "unknown" else ""
    return f"{told} {length}{by}."


def _said_later(
    event: events.ConversionReported | events.Adjusted | events.Rerated | events.Disposed,
) -> str:
    match event:
        case events.ConversionReported():
            said = "converted" if event.converted else "did not convert"
            by = "The buyer's system" if event.by == "postback" else "A person"
            worth = f", worth {event.amount}" if event.amount is not None else ""
            return f"{by} reported that the call {said}{worth}."
        case events.Adjusted():
            return (
                f"{event.by} credited {event.credit} to the buyer and clawed back {event.clawback}"
                f" from the publisher: {event.reason}."
            )
        case events.Rerated():
            return (
                f"{event.by} rated the call again: revenue {event.revenue}, payout {event.payout}"
                f" ({event.reason})."
            )
        case events.Disposed():
            return f"{event.by} noted what came of the call: {event.disposition}."
        case _:
            assert_never(event)


def _offer(attempt_id: str, before: Call, names: dict[str, str]) -> str:
    attempt = next((one for one in before.attempts if one.id == attempt_id), None)
    if attempt is None:
        return "an unknown attempt"
    if attempt.offer_id is None:
        return "the fallback number"
    return names.get(attempt.offer_id, attempt.offer_id)
