"""Stories of whole calls: how the files are read, played and written.

A file has `offers` (each what it changes of `make.offer`), `campaign` (what it changes of `make.campaign`),
perhaps a `flow`, and `stories`. A story has a `story` (its name) and `steps`: `in` is what happens, `after`
how many seconds later, `out` what the call orders, `why` the notes of the trace, and `offers` what became of
each offer in a decision. Above `stories:` a file is kept byte for byte when it is rewritten.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, assert_never

import yaml

import make
from callmatrix.core import ledger
from callmatrix.core.auction import PingResult
from callmatrix.core.call import Call, Step, events, step
from callmatrix.core.call import commands as orders
from callmatrix.core.call.dialling import given_at
from callmatrix.core.campaign import Campaign, Offer, PhoneDestination
from callmatrix.core.caps import Settlement
from callmatrix.core.documents import from_plain, to_plain
from callmatrix.core.flow import Flow, Play, Say
from callmatrix.core.ids import NumberId, OfferId
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import PastCall
from callmatrix.core.routing import Looked, Shut, explain

FOLDER = Path(__file__).parent / "calls"
STORIES = "\nstories:\n"
NOON = datetime(2026, 3, 4, 20, 0, tzinfo=UTC)


def paths() -> list[Path]:
    return sorted(FOLDER.glob("*.yaml"))


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def plan_of(path: Path) -> CompiledPlan:
    document = read(path)
    offers = tuple(
        from_plain(to_plain(make.offer(number)) | changes, Offer)
        for number, changes in enumerate(document["offers"], start=1)
    )
    campaign = from_plain(to_plain(make.campaign(*offers)) | document.get("campaign", {}), Campaign)
    kept = [name for name in campaign.__struct_fields__ if name not in ("id", "publishers")]
    changes = {name: getattr(campaign, name) for name in kept}
    flow = from_plain(document["flow"], Flow) if "flow" in document else None
    return make.plan(*offers, flow=flow, **changes)


def play(plan: CompiledPlan, story: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a story with what really comes out."""
    call, now, steps = make.call(), NOON, []
    for told in story["steps"]:
        now += timedelta(seconds=told.get("after", 0))
        event = _event(told["in"], call, plan, now)
        taken = step(call, event, plan)
        came = {key: told[key] for key in ("after", "in") if key in told} | _told(taken)
        if isinstance(event, events.Looked | events.BidsReturned) and taken.trace.decision is not None:
            given = given_at(call, plan, event)
            came["offers"] = {
                one.offer_id: " ".join(
                    [one.code or "taken", *(f"{name}={value}" for name, value in one.values.items())]
                )
                for one in explain(plan, taken.trace.decision, given=given)
            }
        call = taken.call
        steps.append(came)
    return steps


def rewritten(path: Path) -> str:
    """The text of a file with what really comes out."""
    plan, document = plan_of(path), read(path)
    stories = [{**story, "steps": play(plan, story)} for story in document["stories"]]
    head, _, _ = path.read_text(encoding="utf-8").partition(STORIES)
    return head + STORIES + yaml.safe_dump(stories, sort_keys=False, allow_unicode=True, width=1_000)


# --- what comes in -------------------------------------------------------------------------------------


def _event(said: str | dict[str, Any], call: Call, plan: CompiledPlan, now: datetime) -> events.Event:
    if isinstance(said, str):
        return _plain_event(said, call, now)
    ((what, given),) = said.items()
    attempt_id = call.attempts[-1].id if call.attempts else make.attempt(1)
    match what:
        case "arrives":
            return _arrived(now, **given)
        case "world":
            return events.Looked(at=now, draw=7, world=_world(given, plan))
        case "bids return":
            return _bids(now, call, plan, given)
        case "post answers":
            return from_plain({"at": now, "attempt_id": attempt_id, **given}, events.PostAnswered)
        case "refused":
            return from_plain({"at": now, "attempt_id": attempt_id, **given}, events.CapFull)
        case "leg ends":
            return _leg(now, attempt_id, given)
        case "leg reports":
            return events.LegReported(at=now, leg=_leg(now, attempt_id, given))
        case "call ends":
            return from_plain({"at": now, "reason": "hung_up", **given}, events.CallEnded)
        case "converts":
            return from_plain({"at": now, **given}, events.ConversionReported)
        case "adjusted":
            return from_plain({"at": now, "by": "usr_1", **given}, events.Adjusted)
        case _:
            raise ValueError(f"a story can't begin a step with {said!r}")


def _plain_event(said: str, call: Call, now: datetime) -> events.Event:
    attempt_id = call.attempts[-1].id if call.attempts else make.attempt(1)
    match said.split():
        case ["arrives"]:
            return _arrived(now)
        case ["presses", "nothing"]:
            return events.GatherTimedOut(at=now, draw=5, turn=call.turn)
        case ["presses", digits]:
            return events.DigitsEntered(at=now, draw=5, turn=call.turn, digits=digits)
        case ["everybody", "is", "open"]:
            return events.Looked(at=now, draw=7, world=Looked())
        case ["granted"]:
            return events.Reserved(at=now, attempt_id=attempt_id)
        case ["buyer", "answers"]:
            return events.LegAnswered(at=now, attempt_id=attempt_id)
        case ["buyer", "presses", "nothing"]:
            return events.AcceptanceEntered(at=now, attempt_id=attempt_id, digits="")
        case ["buyer", "presses", digits]:
            return events.AcceptanceEntered(at=now, attempt_id=attempt_id, digits=digits)
        case ["message", "left"]:
            return events.VoicemailEnded(at=now, duration_s=8)
        case ["nobody", "answers", "the", "question"]:
            return events.TimedOut(at=now, what="question")
        case _:
            raise ValueError(f"a story can't begin a step with {said!r}")


def _arrived(now: datetime, **changes: Any) -> events.Arrived:
    given = {
        "at": now,
        "draw": 5,
        "caller": "+14155550199",
        "dialed": "+18005550100",
        "number_id": NumberId("num_1"),
        "connection_id": make.CONNECTION,
        "carrier_ref": "CA1",
        "publisher_id": make.PUBLISHER,
        "attestation": "A",
    }
    return from_plain({**given, **changes}, events.Arrived)


def _world(given: dict[str, Any], plan: CompiledPlan) -> Looked:
    shut = tuple(
        Shut(code=code, mask=f"{plan.routing.mask(offers):x}")
        for code, offers in given.items()
        if code != "history"
    )
    return Looked(shut=shut, history=from_plain(given.get("history", []), tuple[PastCall, ...]))


def _bids(now: datetime, call: Call, plan: CompiledPlan, given: dict[str, Any]) -> events.BidsReturned:
    """`spent_ms`, a `world`, and each offer's answer: a bid as its amount or as a `Bid` (`lives_s`: until it
    expires), or a no-bid code."""
    answers = {name: value for name, value in given.items() if name not in ("spent_ms", "world")}
    return events.BidsReturned(
        at=now,
        draw=7,
        world=_world(given.get("world", {}), plan),
        round=call.auctions,
        spent_ms=given.get("spent_ms", 100),
        results=tuple(_result(now, OfferId(offer_id), answer) for offer_id, answer in answers.items()),
    )


def _result(now: datetime, offer_id: OfferId, answer: str | dict[str, Any]) -> PingResult:
    if isinstance(answer, str) and answer[0].isalpha():
        return from_plain({"offer_id": offer_id, "ping_id": "p", "code": answer}, PingResult)
    said = {"amount": answer} if isinstance(answer, str) else dict(answer)
    expires_at = now + timedelta(seconds=said.pop("lives_s", 60))
    bid = {"offer_id": offer_id, "ping_id": "p", "expires_at": expires_at.isoformat(), **said}
    return from_plain({"offer_id": offer_id, "ping_id": "p", "bid": bid}, PingResult)


def _leg(now: datetime, attempt_id: str, given: dict[str, Any]) -> events.LegEnded:
    """`talked` seconds were bridged; `leg` seconds, where it differs, were the whole leg."""
    rest = {name: value for name, value in given.items() if name not in ("talked", "leg")}
    times = {}
    if "talked" in given:
        times = {"bridged_ms": given["talked"] * 1_000, "leg_ms": given.get("leg", given["talked"]) * 1_000}
    return from_plain({"at": now, "attempt_id": attempt_id, **times, **rest}, events.LegEnded)


# --- what comes out ------------------------------------------------------------------------------------


def _told(taken: Step) -> dict[str, Any]:
    told: dict[str, Any] = {"out": [_order(command) for command in taken.commands]}
    notes = [
        " ".join([note.code, *(f"{name}={value}" for name, value in note.values.items())])
        for note in taken.trace.notes
    ]
    if notes:
        told["why"] = notes
    return told


def _order(command: orders.Command) -> str:
    match command:
        case orders.Book(transaction=transaction):
            amount = transaction.postings[0].amount
            owners = " ".join(posting.owner_id for posting in transaction.postings if posting.owner_id)
            assert ledger.balanced(transaction)
            return f"book {transaction.kind} of {amount}, {owners}"
        case orders.Enqueue():
            return f"job {command.job} at {command.run_at - NOON}"
        case orders.Reserve(claim=claim):
            holds = f"{claim.revenue_max} from the buyer, {claim.payout_max} to the publisher"
            return f"reserve {claim.offer_id or 'a number'}, at most {holds}"
        case orders.Settle(settlement=settlement):
            return f"settle {settlement.attempt_id}: {_settled(settlement)}"
        case orders.BookLate(booking=booking):
            counts = f"{booking.conversions:+} converted, {booking.payments:+} paid"
            return f"count late {counts}, {booking.revenue} and {booking.payout}"
        case orders.Look():
            return "look"
        case orders.Fetch(ask=ask):
            return f"fetch {ask.url}"
        case orders.Reject(reason=reason):
            return f"reject as {reason}"
        case Say(text=text):
            return f"say “{text}”"
        case Play(url=url):
            return f"play {url}"
        case orders.GatherDigits(gather=gather):
            asked = " ".join(prompt.text for prompt in gather.prompts if isinstance(prompt, Say))
            return f"ask “{asked}” for at most {gather.max_digits} within {gather.timeout_s} s"
        case orders.AskAcceptance(prompt=prompt, timeout_s=timeout_s):
            return f"ask the buyer “{prompt}” within {timeout_s} s"
        case orders.Bridge():
            return "bridge"
        case orders.Connect():
            return _connect(command)
        case orders.Record(max_s=max_s):
            return f"record at most {max_s} s"
        case orders.HangUp():
            return "hang up"
        case orders.Ping():
            asked = ", ".join(command.offer_ids)
            return f"ping {asked} within {command.deadline_ms} ms, round {command.round}"
        case orders.Post(attempt_id=attempt_id, deadline_ms=deadline_ms):
            return f"post {attempt_id} within {deadline_ms} ms"
        case orders.Simulate(offer_ids=offer_ids):
            return f"ping {', '.join(offer_ids)} for the record"
        case _:
            assert_never(command)


def _connect(command: orders.Connect) -> str:
    to = command.destination
    where = to.number if isinstance(to, PhoneDestination) else to.uri
    extras = [name for name in ("whisper", "record") if getattr(command, name)]
    limits = f"ring {command.ring_timeout_s} s, at most {command.time_limit_s} s"
    return ", ".join(
        [f"connect {command.attempt_id} to {where} showing {command.caller_id}", limits, *extras]
    )


def _settled(settlement: Settlement) -> str:
    if not settlement.connected:
        return "released"
    parts = ["connected"]
    if settlement.converted:
        parts.append(f"converted for {settlement.revenue}")
    if settlement.paid:
        parts.append(f"paid {settlement.payout}")
    return ", ".join(parts)
