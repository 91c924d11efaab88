"""Keeps what differs between carriers: signatures, parameters, limits, and what each of them can't do."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from callmatrix.core.call.events import EndedBy
from callmatrix.core.campaign import MAX_CALL_S, Campaign, Connection, FallbackOffer, Offer
from callmatrix.core.errors import MAX_PROBLEMS, Problem
from callmatrix.core.ids import OfferId

CarrierName = Literal["twilio", "signalwire", "telnyx", "somleng", "own"]
Scheme = Literal["hmac", "signalwire", "ed25519"]


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection keeps secret.

    `signing`: the auth token (twilio, somleng, own), signing key (signalwire) or public key in base64
    (telnyx) that webhooks are verified by. `api`: the key of the REST interface; "" means `signing`.
    """

    signing: str
    api: str = ""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a carrier honours. What it lacks it ignores in silence, so a campaign must not need it."""

    whisper: bool = True
    answer_on_bridge: bool = True
    time_limit: bool = True
    record: bool = True
    leg_events: bool = True
    precise_ms: bool = False
    empty_gather: bool = True
    lists_legs: bool = True


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest and greatest values that a carrier takes."""

    min_ring_s: int = 5
    max_ring_s: int = 120
    min_time_limit_s: int = 60
    max_time_limit_s: int = MAX_CALL_S


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. Header names are lower case; an empty parameter name means: not sent."""

    name: CarrierName
    scheme: Scheme = "hmac"
    signature_headers: tuple[str, ...] = ("x-twilio-signature",)
    settings_header: str = ""
    sha256_header: str = ""
    timestamp_header: str = ""
    attestation_param: str = ""
    ended_by_param: str = ""
    ended_by: dict[str, EndedBy] = {}
    sip_transport: str = ""
    record_value: str = "record-from-answer-dual"
    rest_root: str = ""
    rest_suffix: str = ".json"
    rest_auth: Literal["basic", "bearer"] = "basic"
    lists_newest_first: bool = True
    capabilities: Capabilities = Capabilities()
    limits: Limits = Limits()


DIALECTS: Final[dict[CarrierName, Dialect]] = {
    "twilio": Dialect(
        name="twilio",
        settings_header="x-twilio-webhooks-signature-settings",
        attestation_param="StirVerstat",
        rest_root="https://api.twilio.com/2010-04-01",
    ),
    "signalwire": Dialect(
        name="signalwire",
        scheme="signalwire",
        signature_headers=("x-signalwire-signature", "x-twilio-signature"),
        sha256_header="x-signalwire-sha256-signature",
        # SignalWire dials SIP over TLS unless the address says otherwise.
        sip_transport="udp",
    ),
    "telnyx": Dialect(
        name="telnyx",
        scheme="ed25519",
        signature_headers=("telnyx-signature-ed25519",),
        timestamp_header="telnyx-timestamp",
        attestation_param="ShakenStirAttestation",
        ended_by_param="HangupSource",
        ended_by={"caller": "caller"},
        record_value="record-from-answer",
        rest_root="https://api.telnyx.com/v2/texml",
        rest_suffix="",
        rest_auth="bearer",
        capabilities=Capabilities(answer_on_bridge=False, empty_gather=False, lists_legs=False),
    ),
    "somleng": Dialect(
        name="somleng",
        rest_root="https://api.somleng.org/2010-04-01",
        capabilities=Capabilities(
            whisper=False,
            answer_on_bridge=False,
            time_limit=False,
            record=False,
            leg_events=False,
            lists_legs=False,
        ),
    ),
    "own": Dialect(
        name="own",
        settings_header="x-twilio-webhooks-signature-settings",
        attestation_param="StirVerstat",
        lists_newest_first=False,
        capabilities=Capabilities(precise_ms=True),
    ),
}


def dialect_of(connection: Connection) -> Dialect:
    """The dialect that a connection's carrier speaks."""
    return DIALECTS[connection.carrier]


def capability_problems(
    dialect: Dialect, campaign: Campaign, offers: Mapping[OfferId, Offer]
) -> tuple[Problem, ...]:
    """What the campaign needs and the carrier of one of its numbers lacks; empty where it may run there.

    `offers` holds at least the plan's offers and the fallback's; others are not looked at.
    """
    problems = list(_campaign_problems(dialect, campaign))
    for field, offer_id in _offers_taking_part(campaign):
        if len(problems) >= MAX_PROBLEMS:
            break
        offer = offers.get(offer_id)
        if offer is not None:
            problems.extend(_offer_problems(dialect, field, offer))
    return tuple(problems[:MAX_PROBLEMS])


def _offers_taking_part(campaign: Campaign) -> list[tuple[str, OfferId]]:
    taking_part = [
        (f"plan.entries.{position}.offer_id", entry.offer_id)
        for position, entry in enumerate(campaign.plan.entries)
    ]
    for field, fallback in (
        ("fallback", campaign.fallback),
        ("closed_treatment", campaign.closed_treatment),
    ):
        if isinstance(fallback, FallbackOffer):
            taking_part.append((f"{field}.offer_id", fallback.offer_id))
    return taking_part


def _campaign_problems(dialect: Dialect, campaign: Campaign) -> list[Problem]:
    can, carrier = dialect.capabilities, dialect.name
    problems = []
    if campaign.recording.on and not can.record:
        problems.append(
            Problem(
                field="recording.on",
                problem=f"{carrier} does not record bridged calls",
                remedy="Turn recording off, or use numbers of another carrier",
            )
        )
    if campaign.max_call_s < MAX_CALL_S and not can.time_limit:
        problems.append(
            Problem(
                field="max_call_s",
                problem=f"{carrier} ignores the time limit of a call",
                remedy=f"Set it to {MAX_CALL_S}, or use numbers of another carrier",
            )
        )
    if campaign.screening.min_attestation != "none" and not dialect.attestation_param:
        problems.append(
            Problem(
                field="screening.min_attestation",
                problem=f"{carrier} passes on no STIR/SHAKEN attestation, so every call would be refused",
                remedy='Set it to "none", or use numbers of another carrier',
            )
        )
    return problems


def _offer_problems(dialect: Dialect, field: str, offer: Offer) -> list[Problem]:
    can, carrier = dialect.capabilities, dialect.name
    problems = []
    if offer.acceptance is not None and not can.whisper:
        problems.append(
            Problem(
                field=field,
                problem=f"{offer.id} asks the buyer to accept the call, which {carrier} can't do",
                remedy="Remove the offer's acceptance, or use numbers of another carrier",
            )
        )
    if offer.whisper and not can.whisper:
        problems.append(
            Problem(
                field=field,
                problem=f"{offer.id} has a whisper, which {carrier} ignores",
                remedy="Remove the offer's whisper, or use numbers of another carrier",
            )
        )
    if offer.time_limit_s < MAX_CALL_S and not can.time_limit:
        problems.append(
            Problem(
                field=field,
                problem=f"{offer.id} limits a call to {offer.time_limit_s} s, which {carrier} ignores",
                remedy=f"Set the offer's time limit to {MAX_CALL_S}, or use numbers of another carrier",
            )
        )
    return problems
