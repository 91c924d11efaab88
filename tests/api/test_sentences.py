"""Everything that the core says of a call has a sentence, and no sentence is of what it never says."""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import callmatrix
import make
from callmatrix.api.call_story import VERDICTS
from callmatrix.api.sentences import NOTES, told_event, told_note
from callmatrix.core.auction import Bid, PingResult
from callmatrix.core.call import Note, events
from callmatrix.core.call.value import Attempt
from callmatrix.core.caps import CapRefusal, Claim, Owner
from callmatrix.core.ids import AttemptId, NumberId, OfferId
from callmatrix.core.money import Money
from callmatrix.core.pricing.rating import RatingCode
from callmatrix.core.routing import Looked
from callmatrix.core.routing.values import RefusalCode
from callmatrix.core.rtb import NotSoldCode

CORE = Path(callmatrix.__file__).parent / "core"
# Of the reasons that a rating gives, those that only the other side can have.
PAYOUT_ONLY = {"paid", "publisher_not_on_call", "number_cooldown_expired", "capped_unpaid"}
REVENUE_ONLY = {"converted", "no_bid", "expired"}
NOTING = ("note", "_too_late", "last_words", "ToHangup")


def literals(path: Path) -> Iterator[str]:
    """The codes that a module notes: given to a noting function, or returned as the reason to refuse."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in NOTING:
                given = [*node.args[:2], *(one.value for one in node.keywords if one.arg == "code")]
                yield from (one.value for one in given if is_text(one))
        elif path.name == "screening.py" and isinstance(node, ast.Return):
            if not isinstance(node.value, ast.Tuple):
                continue
            yield from (one.value for one in node.value.elts if is_text(one))


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def noted() -> set[str]:
    modules = [*(CORE / "call").glob("*.py"), *(CORE / "flow").glob("*.py")]
    codes = {code for module in modules for code in literals(module)}
    ratings = set(get_args(RatingCode))
    return (
        codes - {"revenue_", "payout_"}
        | set(get_args(CapRefusal))
        | set(get_args(NotSoldCode))
        | {f"revenue_{code}" for code in ratings - PAYOUT_ONLY}
        | {f"payout_{code}" for code in ratings - REVENUE_ONLY}
    )


def test_every_note_of_the_core_has_a_sentence_and_every_sentence_a_note() -> None:
    assert noted() == set(NOTES)


def test_a_code_without_a_sentence_is_told_by_its_name_and_values() -> None:
    assert told_note(Note(code="brand_new", values={"limit": "3"})) == "Brand new (limit 3)."


def test_every_verdict_on_an_offer_has_a_sentence() -> None:
    assert set(VERDICTS) == {"", *get_args(RefusalCode)}


AT = datetime(2026, 11, 2, 15, tzinfo=UTC)
OFFER = AttemptId("call_1-1")
LEG = events.LegEnded(at=AT, attempt_id=OFFER, outcome="busy", ring_ms=4_000, sip_code=486)
USD = Money.parse
ATTEMPT = Attempt(
    id=OFFER,
    number=1,
    offer_id=OfferId("off_1"),
    reserved_at=AT,
    claim=Claim(attempt_id=OFFER, call_id=make.call().id, campaign_id=make.CAMPAIGN, expires_at=AT),
)
TOLD: tuple[tuple[events.Event, str], ...] = (
    (
        events.Arrived(
            at=AT,
            draw=1,
            caller=None,
            dialed="+18005550100",
            number_id=NumberId("num_1"),
            connection_id=make.CONNECTION,
            carrier_ref="CA1",
        ),
        "A caller who hides the number called +18005550100.",
    ),
    (
        events.FailedSafe(at=AT, asked="dial"),
        "The carrier got the fail-safe reply when it asked what now (dial).",
    ),
    (events.DigitsEntered(at=AT, draw=1, turn=1, digits="12"), "The caller pressed 12."),
    (events.GatherTimedOut(at=AT, draw=1, turn=1), "The caller pressed nothing in time."),
    (events.Fetched(at=AT, draw=1, code="timeout"), "The lookup failed (timeout)."),
    (
        events.Looked(at=AT, draw=1, world=Looked()),
        "The open offers, the rotation and the caller's earlier calls were read for routing.",
    ),
    (
        events.BidsReturned(
            at=AT,
            draw=1,
            world=Looked(),
            round=1,
            results=(
                PingResult(
                    offer_id=OfferId("off_1"),
                    ping_id="p1",
                    bid=Bid(offer_id=OfferId("off_1"), amount=USD("9")),
                ),
                PingResult(offer_id=OfferId("off_2"), ping_id="p2", code="timed_out"),
            ),
            spent_ms=180,
        ),
        "2 bidders asked: 1 bids, the best 9.00, in 180 ms.",
    ),
    (
        events.PostAnswered(at=AT, attempt_id=OFFER, code="no_bid"),
        "The lead was posted to Offer 1 before the dial, who refused it (no_bid).",
    ),
    (events.Reserved(at=AT, attempt_id=OFFER), "Capacity for Offer 1 was reserved; it is dialled."),
    (
        events.CapFull(at=AT, attempt_id=OFFER, code="cap_full", owner=Owner(kind="offer", id="off_1")),
        "Capacity for Offer 1 was refused (cap_full).",
    ),
    (events.LegRinging(at=AT, attempt_id=OFFER), "Offer 1 rings."),
    (events.LegAnswered(at=AT, attempt_id=OFFER), "Offer 1 answered."),
    (
        events.AcceptanceEntered(at=AT, attempt_id=OFFER, digits=""),
        "Offer 1 pressed nothing when asked to accept.",
    ),
    (LEG, "Offer 1 was busy after ringing 4 s (SIP 486)."),
    (events.LegReported(at=AT, leg=LEG), "The carrier reported the end of the leg to Offer 1."),
    (events.RecordingReady(at=AT, url="https://example.com/1", duration_s=9), "A recording of 9 s is ready."),
    (events.VoicemailEnded(at=AT, duration_s=7), "The caller left a message of 7 s."),
    (
        events.CallEnded(at=AT, reason="hung_up", duration_ms=61_900, ended_by="buyer"),
        "The call ended by the buyer after 61 s.",
    ),
    (events.TimedOut(at=AT, what="question"), "An answer never came."),
    (
        events.ConversionReported(at=AT, by="postback", amount=USD("12.5")),
        "The buyer's system reported that the call converted, worth 12.50.",
    ),
    (
        events.Adjusted(at=AT, credit=USD("5"), clawback=USD("0"), reason="Wrong number", by="Ann"),
        "Ann credited 5.00 to the buyer and clawed back 0.00 from the publisher: Wrong number.",
    ),
    (
        events.Rerated(at=AT, revenue=USD("5"), payout=USD("2"), reason="New price", by="Ann"),
        "Ann rated the call again: revenue 5.00, payout 2.00 (New price).",
    ),
    (events.Disposed(at=AT, disposition="Sold", by="Ann"), "Ann noted what came of the call: Sold."),
)


def test_every_event_is_told() -> None:
    call = make.call(attempts=(ATTEMPT,))
    assert {type(event) for event, _ in TOLD} == set(get_args(events.Event))
    told = [told_event(event, call, {"off_1": "Offer 1"}) for event, _ in TOLD]
    assert told == [text for _, text in TOLD]
