"""Who would get a call, every offer told; and the caps that calls meet, with their use."""

from typing import Annotated, Final

import msgspec

from callmatrix.api.call_story import told_decision
from callmatrix.api.call_views import ToldDecision
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import IdText, Instant, Page
from callmatrix.api.problems import invalid, not_found
from callmatrix.core import geo
from callmatrix.core.campaign import Number
from callmatrix.core.campaign.assignments import assignment_at
from callmatrix.core.caps import Metric, Owner, OwnerKind, Window
from callmatrix.core.ids import AccountId, CallId, CampaignId, OfferId, PublisherId
from callmatrix.core.phone import BadPhone, parse_e164
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.routing import Given, Looked, decide
from callmatrix.core.rules import Facts
from callmatrix.store import calls, caps

MAX_OWNERS_ASKED: Final = 200
MAX_TEXT: Final = 200

Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Texts = Annotated[dict[Annotated[str, msgspec.Meta(max_length=60)], Text], msgspec.Meta(max_length=40)]


class DescribedCaller(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A caller as one might come. Hours are those of `at` (now where it is left out); caps, pauses and
    balances are those of now. `draw` is the chance of a weighted draw: the same draw, the same answer.

    `number_id` is the tracked number that they call; its carrier's tariff counts for the margin floor. Where
    it is left out, that of the campaign's first number in use does.
    """

    caller: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    zip: Annotated[str, msgspec.Meta(pattern="^[0-9]{5}$")] | None = None
    dialed: Annotated[str, msgspec.Meta(max_length=64)] = ""
    number_id: IdText | None = None
    publisher_id: IdText | None = None
    attestation: Annotated[str, msgspec.Meta(pattern="^(A|B|C|failed|none)$")] = "none"
    fields: Texts = {}
    tags: Texts = {}
    at: Instant | None = None
    tried: Annotated[tuple[IdText, ...], msgspec.Meta(max_length=20)] = ()
    draw: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)] | None = None


class WhoWouldGet(msgspec.Struct, frozen=True, kw_only=True):
    """The decision, and the caller as routing saw them."""

    caller: str | None
    caller_state: str | None
    area_code: str | None
    zip: str | None
    decision: ToldDecision


class CapsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose caps: one owner by kind and id (`<offer or publisher>/<campaign>` for a pair)."""

    owner: OwnerKind
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=240)]


class ToldCap(msgspec.Struct, frozen=True, kw_only=True):
    """One cap in its present window. Amounts are units, or decimal strings of money."""

    metric: Metric
    window: Window
    limit: str
    used: str
    overage: str
    resets_at: Instant | None


class OwnerCaps(msgspec.Struct, frozen=True, kw_only=True):
    """What one owner allows and what is used of it now."""

    owner: Owner
    status: str
    concurrency: int | None
    live: int
    spacing_s: int | None
    last_granted_at: Instant | None
    caps: tuple[ToldCap, ...]


async def who_would_get(ask: Ask) -> Reply:
    """Decide as for a call, and tell every offer; reserves and stores nothing."""
    given = ask.given(DescribedCaller)
    plan = await present_plan(ask, CampaignId(ask.path["id"]))
    if plan is None:
        raise not_found("campaign", ask.path["id"])
    at = given.at or ask.now
    caller = _caller(given.caller)
    number = _number(ask, given, plan, at)
    known = geo.caller_geo(caller, given.zip)
    facts = Facts(
        at=at,
        caller=caller,
        dialed_number=given.dialed or ("" if number is None or given.number_id is None else number.number),
        caller_state=known.state,
        area_code=known.area_code,
        zip=known.zip,
        publisher_id=given.publisher_id,
        campaign_id=plan.campaign.id,
        attestation=given.attestation,
        fields=_fields(given, plan),
        tags=given.tags,
    )
    looked = await _looked(ask, plan, caller=caller, at=at)
    decided = Given(
        facts=facts,
        looked=looked,
        at=at,
        draw=ask.app.world.draw() if given.draw is None else given.draw,
        attempt_number=len(given.tried) + 1,
        tried=tuple(OfferId(one) for one in given.tried),
        tariff=plan.tariff_of(None if number is None else number.connection_id),
        pays_publisher=given.publisher_id is not None,
    )
    decision = decide(plan, decided)
    told = WhoWouldGet(
        caller=caller,
        caller_state=known.state,
        area_code=known.area_code,
        zip=known.zip,
        decision=told_decision(plan, decision.trace, decided),
    )
    return Reply(value=told)


async def present_plan(ask: Ask, campaign_id: CampaignId) -> CompiledPlan | None:
    """The plan that a campaign's next call would be pinned to, with every change saved until now."""
    account_id, catalog = ask.who.account_id, ask.app.catalog
    await catalog.refresh(account_id)
    await catalog.settle(account_id)
    return catalog.plan(account_id, campaign_id)


def _caller(text: str | None) -> str | None:
    if text is None:
        return None
    read = parse_e164(text)
    if isinstance(read, BadPhone):
        raise invalid("caller", read.problem, "Send a number such as +14155550100, or none for a hidden one")
    return read


def _number(ask: Ask, given: DescribedCaller, plan: CompiledPlan, at: Instant) -> Number | None:
    """The number that is called: the one named, or the first whose calls the campaign gets then."""
    numbers = sorted(ask.app.catalog.numbers(ask.who.account_id), key=lambda one: one.id)
    if given.number_id is not None:
        named = next((one for one in numbers if one.id == given.number_id), None)
        if named is None:
            raise invalid(
                "number_id", f"There is no number {given.number_id} in use", "Send another, or none"
            )
        return named
    return next((one for one in numbers if _leads_to(one, plan.campaign.id, at)), None)


def _leads_to(number: Number, campaign_id: CampaignId, at: Instant) -> bool:
    found = assignment_at(number, at)
    return found is not None and any(share.campaign_id == campaign_id for share in found.assignment.split)


def _fields(given: DescribedCaller, plan: CompiledPlan) -> dict[str, str]:
    """The captured fields; a ZIP that was described is one where the flow collects it."""
    if given.zip is None:
        return given.fields
    names = plan.zip_fields or ("zip",)
    return dict.fromkeys(names, given.zip) | given.fields


async def _looked(ask: Ask, plan: CompiledPlan, *, caller: str | None, at: Instant) -> Looked:
    async with ask.app.db.transaction() as tx:
        past = await calls.past_routes(
            tx,
            ask.who.account_id,
            plan.campaign.id,
            caller=caller,
            apart_from=CallId(""),
            rotating=plan.routing.offer_ids if plan.campaign.plan.strategy == "round_robin" else (),
        )
    return Looked(shut=ask.app.masks.shut(plan, at), rotation=past.rotation, history=past.history)


async def list_caps(ask: Ask) -> Reply:
    """One owner's caps with their use."""
    query = ask.asked(CapsQuery)
    owner = Owner(kind=query.owner, id=query.id)
    async with ask.app.db.transaction() as tx:
        found = await caps.cap_use(tx, ask.who.account_id, (owner,), now=ask.now)
    return Reply(value=Page(items=tuple(told_caps(one) for one in found)))


async def campaign_caps(ask: Ask) -> Reply:
    """The caps of everybody whom a campaign's calls may meet."""
    account_id = ask.who.account_id
    plan = await present_plan(ask, CampaignId(ask.path["id"]))
    if plan is None:
        raise not_found("campaign", ask.path["id"])
    async with ask.app.db.transaction() as tx:
        found = await caps.cap_use(tx, account_id, _owners(account_id, plan), now=ask.now)
    return Reply(value=Page(items=tuple(told_caps(one) for one in found)))


def _owners(account_id: AccountId, plan: CompiledPlan) -> tuple[Owner, ...]:
    campaign_id = plan.campaign.id
    offers = tuple(plan.entries)[:MAX_OWNERS_ASKED]
    publishers: tuple[PublisherId, ...] = tuple(plan.publishers)[:MAX_OWNERS_ASKED]
    buyers = dict.fromkeys(plan.offers[offer_id].buyer_id for offer_id in offers)
    return (
        Owner(kind="account", id=account_id),
        Owner(kind="campaign", id=campaign_id),
        *(Owner(kind="buyer", id=one) for one in buyers),
        *(Owner(kind="offer", id=one) for one in offers),
        *(Owner(kind="offer_in_campaign", id=f"{one}/{campaign_id}") for one in offers),
        *(Owner(kind="publisher", id=one) for one in publishers),
        *(Owner(kind="publisher_in_campaign", id=f"{one}/{campaign_id}") for one in publishers),
    )


def told_caps(use: caps.OwnerUse) -> OwnerCaps:
    """What is used of an owner's limits, in units and decimal strings."""
    return OwnerCaps(
        owner=use.owner,
        status=use.status,
        concurrency=use.concurrency,
        live=use.live,
        spacing_s=use.spacing_s,
        last_granted_at=use.last_granted_at,
        caps=tuple(
            ToldCap(
                metric=cap.metric,
                window=cap.window,
                limit=caps.told(cap.metric, cap.limit),
                used=caps.told(cap.metric, cap.used),
                overage=caps.told(cap.metric, cap.overage),
                resets_at=cap.resets_at,
            )
            for cap in use.caps
        ),
    )


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/api/campaigns/{id}/who-would-get",
        name="who_would_get_call",
        tag="routing",
        summary="Who would get this call, and why nobody else",
        permission="read_config",
        body=DescribedCaller,
        returns=WhoWouldGet,
        example=DescribedCaller(caller="+14155550100", zip="94105", fields={"trouble": "leak"}, draw=1),
        run=who_would_get,
    ),
    Operation(
        method="GET",
        path="/api/campaigns/{id}/caps",
        name="list_campaign_caps",
        tag="routing",
        summary="The caps that a campaign's calls meet, with their use now",
        permission="read_config",
        returns=Page[OwnerCaps],
        run=campaign_caps,
    ),
    Operation(
        method="GET",
        path="/api/caps",
        name="list_caps",
        tag="routing",
        summary="One owner's caps with their use now",
        permission="read_config",
        query=CapsQuery,
        returns=Page[OwnerCaps],
        run=list_caps,
    ),
)
