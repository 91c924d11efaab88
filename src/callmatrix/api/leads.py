"""Leads that come by form: taken in and sold, searched, told whole, and adjusted."""

import asyncio
import hashlib
import ipaddress
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Final, Literal

import msgspec

from callmatrix.api.access import Principal
from callmatrix.api.calls import AdjustmentBody, is_own
from callmatrix.api.lead_story import own_attempts, timeline, told_attempts, told_money
from callmatrix.api.lead_views import LeadDetail, LeadMoney, LeadSummary, summary_of
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import Cursor, IdText, Instant, Limit, Page, cursor_of, is_full, place_of
from callmatrix.api.problems import invalid, not_found
from callmatrix.core import geo
from callmatrix.core.campaign import MAX_FORM_FIELDS, FormTerms
from callmatrix.core.documents import encode
from callmatrix.core.errors import Problem, Refused
from callmatrix.core.flow import FieldName
from callmatrix.core.ids import PREFIXES, CampaignId, LeadId, PublisherId
from callmatrix.core.lead import MAX_ADJUSTMENTS, Consent, Contact, FormLead, events, fields_of
from callmatrix.core.money import ZERO, Money
from callmatrix.core.phone import BadPhone, parse_e164
from callmatrix.core.plan import CompiledPlan
from callmatrix.live import leads as live_leads
from callmatrix.live.reservations import TooManyWaiting
from callmatrix.store import audit, books, leads
from callmatrix.store.audit import Act, By
from callmatrix.store.leads import LeadFilter, LeadStatus

DEFAULT_LIMIT: Final = 50
REPLY_S: Final = 25.0
"""So long a sale is waited for; one that takes longer goes on, and is told as it stands."""
CLOCK_SKEW: Final = timedelta(minutes=5)
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s.]{1,63}(\.[^@\s.]{1,63}){1,8}")
_ZIP: Final = re.compile(r"[0-9]{5}(-[0-9]{4})?")

Short = Annotated[str, msgspec.Meta(max_length=120)]
Phone = Annotated[str, msgspec.Meta(min_length=3, max_length=64)]


class ContactBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who it is. `phone` in any usual spelling; `state` by its two letters."""

    phone: Phone
    name: Short = ""
    first_name: Short = ""
    last_name: Short = ""
    email: Annotated[str, msgspec.Meta(max_length=254)] = ""
    address: Annotated[str, msgspec.Meta(max_length=300)] = ""
    city: Short = ""
    state: Annotated[str, msgspec.Meta(max_length=2)] = ""
    zip: Annotated[str, msgspec.Meta(max_length=10)] = ""


class ConsentBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the sender agreed to, word for word, and when; `version` names the text, if it has one."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=5_000)]
    at: Instant
    version: Annotated[str, msgspec.Meta(max_length=60)] = ""


class LeadBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One form. `external_id` is the sender's own name for it: sent again, it is the same lead. `callback`
    asks to be called. A `test` is decided on and ends there; its bidders are asked if `ping_bidders`."""

    campaign_id: IdText
    contact: ContactBody
    channel: Literal["form", "callback"] = "form"
    publisher_id: IdText | None = None
    fields: Annotated[
        dict[FieldName, Annotated[str, msgspec.Meta(max_length=500)]],
        msgspec.Meta(max_length=MAX_FORM_FIELDS),
    ] = {}
    consent: ConsentBody | None = None
    source_url: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    ip: Annotated[str, msgspec.Meta(max_length=45)] = ""
    external_id: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None = None
    test: bool = False
    ping_bidders: bool = False


class LeadsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which leads to list, newest first. `since <= submitted_at < until`."""

    cursor: Cursor | None = None
    limit: Limit = DEFAULT_LIMIT
    since: Instant | None = None
    until: Instant | None = None
    campaign_id: IdText | None = None
    buyer_id: IdText | None = None
    publisher_id: IdText | None = None
    offer_id: IdText | None = None
    external_id: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None = None
    phone: Phone | None = None
    channel: Literal["form", "callback"] | None = None
    status: LeadStatus | None = None
    test: bool | None = None


# --- taking one in ---------------------------------------------------------------------------------------


async def submit_lead(ask: Ask) -> Reply:
    """Take a form in and sell it."""
    given, who = ask.given(LeadBody), ask.who
    publisher_id = _publisher_of(given, who)
    plan = ask.app.catalog.plan(who.account_id, CampaignId(given.campaign_id))
    if plan is None:
        raise invalid("campaign_id", f"There is no campaign {given.campaign_id}", "Send the id of one")
    event = _submitted(ask, given, publisher_id)
    problems = (*_problems(given, ask, plan, publisher_id), *_missing(plan.campaign.form, event))
    if problems:
        raise Refused("invalid", "The form cannot be read so", problems)
    lead = FormLead(
        id=LeadId(ask.new_id(PREFIXES["lead"])),
        account_id=who.account_id,
        campaign_id=plan.campaign.id,
        plan_version=plan.version,
        channel=given.channel,
    )
    digest = hashlib.sha256(encode(msgspec.structs.replace(given, publisher_id=publisher_id))).digest()
    stored = await _sold(ask, lead, plan, event, digest=digest)
    async with ask.app.db.transaction() as tx:
        row = await leads.one(tx, who.account_id, stored)
    assert row is not None
    summary = summary_of(row, who)
    return Reply(value=summary, status=201, headers={"Location": f"/api/leads/{summary.id}"})


async def _sold(
    ask: Ask, lead: FormLead, plan: CompiledPlan, event: events.Submitted, *, digest: bytes
) -> LeadId:
    """Sell it behind this request, so that a sender who hangs up does not break off a sale; the id of the
    lead, which is the earlier one's where it was sent before."""
    done: asyncio.Future[FormLead] = asyncio.get_running_loop().create_future()
    event = live_leads.standing(ask.app, lead, event)

    async def sale() -> None:
        try:
            sold = await live_leads.submit(ask.app, lead, plan, event, digest=digest)
        except Exception as error:
            if done.done():
                raise
            done.set_exception(error)
            return
        if not done.done():
            done.set_result(sold)

    ask.app.background.start(sale())
    try:
        async with asyncio.timeout(REPLY_S):
            return (await done).id
    except Refused as refused:
        if refused.code != "unavailable":
            raise
    except (TimeoutError, TooManyWaiting):
        pass
    async with ask.app.db.transaction() as tx:
        if await leads.one(tx, ask.who.account_id, lead.id) is None:
            raise Refused("unavailable", "The form could not be taken in now: send it again")
    return lead.id


def _publisher_of(given: LeadBody, who: Principal) -> PublisherId | None:
    """Whose lead it is: a publisher's own program sends theirs only."""
    if who.role != "publisher":
        return None if given.publisher_id is None else PublisherId(given.publisher_id)
    if who.publisher_id is None:
        raise Refused("not_allowed", "This user has the role publisher, but of nobody's leads")
    if given.publisher_id not in (None, who.publisher_id):
        raise invalid("publisher_id", "Publishers send their own leads only", "Leave it out")
    return who.publisher_id


def _submitted(ask: Ask, given: LeadBody, publisher_id: PublisherId | None) -> events.Submitted:
    contact, number = given.contact, parse_e164(given.contact.phone)
    consent = given.consent
    return events.Submitted(
        at=ask.now,
        contact=Contact(
            phone=number if isinstance(number, str) else "",
            name=contact.name,
            first_name=contact.first_name,
            last_name=contact.last_name,
            email=contact.email,
            address=contact.address,
            city=contact.city,
            state=contact.state.upper(),
            zip=contact.zip,
        ),
        fields=given.fields,
        consent=None
        if consent is None
        else Consent(text=consent.text, at=consent.at, version=consent.version),
        source_url=given.source_url,
        ip=given.ip,
        external_id=given.external_id or "",
        publisher_id=publisher_id,
        test=given.test,
        pings=given.ping_bidders or not given.test,
    )


def _problems(
    given: LeadBody, ask: Ask, plan: CompiledPlan, publisher_id: PublisherId | None
) -> Iterator[Problem]:
    """Everything that is wrong with a form, by field."""
    contact, consent = given.contact, given.consent
    number = parse_e164(contact.phone)
    if isinstance(number, BadPhone):
        yield Problem(field="contact.phone", problem=number.problem, remedy="Send one such as +14155550100")
    if contact.email and _EMAIL.fullmatch(contact.email) is None:
        yield Problem(field="contact.email", problem="It is not an address", remedy="Mend it or leave it out")
    if contact.zip and (_ZIP.fullmatch(contact.zip) is None or geo.from_zip(contact.zip) is geo.UNKNOWN):
        yield Problem(field="contact.zip", problem="There is no such ZIP", remedy="Mend it or leave it out")
    if contact.state and contact.state.upper() not in geo.STATE_NAMES:
        yield Problem(
            field="contact.state", problem="There is no such state", remedy="Use two letters, as CA"
        )
    if given.ip and not _is_ip(given.ip):
        yield Problem(field="ip", problem="It is not an IP address", remedy="Mend it or leave it out")
    if consent is not None and consent.at > ask.now + CLOCK_SKEW:
        yield Problem(field="consent.at", problem="It has not come yet", remedy="Send when it was given")
    if consent is None and plan.campaign.form.consent_required:
        yield Problem(
            field="consent",
            problem="The campaign takes no form without consent",
            remedy="Send the text that the sender agreed to, and when",
        )
    if publisher_id is not None and publisher_id not in plan.publishers:
        yield Problem(
            field="publisher_id", problem=f"There is no publisher {publisher_id}", remedy="Send the id of one"
        )


def _missing(terms: FormTerms, event: events.Submitted) -> Iterator[Problem]:
    said = fields_of(event.contact, event.fields)
    for name in terms.required_fields:
        if not said.get(name):
            yield Problem(
                field=f"fields.{name}",
                problem="The campaign takes no form without it",
                remedy="Send it, as a field or with the contact",
            )


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


# --- telling ---------------------------------------------------------------------------------------------


async def list_leads(ask: Ask) -> Reply:
    """A page of leads."""
    query, who = ask.asked(LeadsQuery), ask.who
    async with ask.app.db.transaction() as tx:
        rows = await leads.search(
            tx,
            who.account_id,
            filter_of(query, who),
            after=place_of(query.cursor),
            limit=query.limit,
        )
    last = rows[-1] if is_full(rows, query.limit) else None
    cursor = None if last is None else cursor_of(last["submitted_at"].isoformat(), last["id"])
    return Reply(value=Page(items=tuple(summary_of(row, who) for row in rows), next_cursor=cursor))


def filter_of(query: LeadsQuery, who: Principal) -> LeadFilter:
    """What was asked, narrowed to what `who` may see. Nobody searches by what is masked for them."""
    hidden: tuple[str | None, ...] = ()
    if who.role == "publisher":
        hidden = (query.phone, query.offer_id, query.buyer_id)
    if who.role == "buyer":
        hidden = (query.phone, query.publisher_id, query.external_id)
    if any(value is not None for value in hidden):
        raise Refused("not_allowed", f"The role {who.role} may not search by that")
    return LeadFilter(
        since=query.since,
        until=query.until,
        campaign_id=query.campaign_id,
        buyer_id=who.buyer_id or "" if who.role == "buyer" else query.buyer_id,
        publisher_id=who.publisher_id or "" if who.role == "publisher" else query.publisher_id,
        offer_id=query.offer_id,
        external_id=query.external_id,
        phone=None if query.phone is None else _e164(query.phone),
        channel=query.channel,
        status=query.status,
        test=query.test,
    )


async def read_lead(ask: Ask) -> Reply:
    """One lead, whole."""
    who, lead_id = ask.who, LeadId(ask.path["id"])
    async with ask.app.db.transaction() as tx:
        row = await leads.one(tx, who.account_id, lead_id)
        if row is None or not is_own(row["buyer_id"], row["publisher_id"], who):
            raise not_found("lead", lead_id)
        stored = await leads.events_of(tx, who.account_id, lead_id) if who.is_staff else ()
        booked = await books.of_lead(tx, who.account_id, lead_id) if who.is_staff else ()
    lead, plan = await live_leads.load(ask.app, who.account_id, lead_id)
    staff = who.is_staff
    moments, replays = timeline(lead, stored, plan) if staff else ((), None)
    return Reply(
        value=LeadDetail(
            lead=summary_of(row, who),
            campaign=plan.campaign.name,
            plan_version=lead.plan_version,
            contact=lead.contact if staff else None,
            fields=lead.fields if staff else {},
            consent=lead.consent if staff else None,
            source_url=lead.source_url if staff else "",
            ip=lead.ip if staff else "",
            timeline=moments,
            attempts=told_attempts(lead, plan) if staff else own_attempts(lead, plan, who.buyer_id),
            money=told_money(lead, booked) if staff else None,
            replays=replays,
        )
    )


# --- giving back -----------------------------------------------------------------------------------------


async def adjust_lead(ask: Ask) -> Reply:
    """Credit the buyer and claw back from the publisher, never more than is left."""
    given, who, lead_id = ask.given(AdjustmentBody), ask.who, LeadId(ask.path["id"])
    if given.credit < ZERO or given.clawback < ZERO or not (given.credit or given.clawback):
        raise invalid("credit", "Nothing is given back", "Send a positive credit, clawback, or both")
    adjustment_id = ask.new_id("adj")
    lead, _ = await live_leads.load(ask.app, who.account_id, lead_id)
    if not _is_adjusted(lead, adjustment_id):
        _refuse_too_much(lead, given)
        event = events.Adjusted(
            at=ask.now,
            credit=given.credit,
            clawback=given.clawback,
            reason=given.reason,
            by=who.name,
            id=adjustment_id,
        )
        lead = await live_leads.apply(ask.app, who.account_id, lead_id, event)
    if not _is_adjusted(lead, adjustment_id):  # somebody else was first
        _refuse_too_much(lead, given)
        raise Refused("conflict", f"{lead_id} was adjusted {MAX_ADJUSTMENTS} times, the most there is")
    details = {"credit": str(given.credit), "clawback": str(given.clawback), "adjustment_id": adjustment_id}
    act = Act(what="adjust", kind="lead", target_id=lead_id, details=details)
    async with ask.app.db.transaction() as tx:
        by = By(who=who.id, at=ask.now, note=given.reason)
        await audit.record_once(tx, who.account_id, act, by=by)
        booked = await books.of_lead(tx, who.account_id, lead_id)
    return Reply(value=told_money(lead, booked))


def _is_adjusted(lead: FormLead, adjustment_id: str) -> bool:
    return any(one.id == adjustment_id for one in lead.adjustments)


def _refuse_too_much(lead: FormLead, given: AdjustmentBody) -> None:
    amounts = lead.amounts
    left = {"credit": amounts.revenue - amounts.credited, "clawback": amounts.payout - amounts.clawed_back}
    too_much = tuple(
        Problem(field=field, problem=f"Only {most} is left", remedy=f"Send at most {most}")
        for field, most in left.items()
        if getattr(given, field) > most
    )
    if too_much:
        raise Refused("invalid", "More than is left of what was booked", too_much)


def _e164(text: str) -> str:
    read = parse_e164(text)
    if isinstance(read, BadPhone):
        raise invalid("phone", read.problem, "Send a number such as +14155550100")
    return read


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/api/leads",
        name="submit_lead",
        tag="leads",
        summary="Send a form: it is checked, auctioned and sold",
        description=(
            "Answers when the lead is sold or nobody took it. One that is sent again with the same "
            "`Idempotency-Key` or `external_id` is the same lead. Spam is kept with the state `rejected`."
        ),
        permission="submit_leads",
        body=LeadBody,
        returns=LeadSummary,
        status=201,
        example={
            "campaign_id": "cmp_01jq0000000000000000000000",
            "publisher_id": "pub_01jq0000000000000000000000",
            "contact": {"phone": "+14155550100", "first_name": "Ada", "zip": "94110"},
            "fields": {"roof_age": "20", "homeowner": "yes"},
            "consent": {"text": "I agree to be called about roofing.", "at": "2026-11-01T12:00:00Z"},
            "external_id": "form-2071",
        },
        refusals=("conflict",),
        run=submit_lead,
    ),
    Operation(
        method="GET",
        path="/api/leads",
        name="list_leads",
        tag="leads",
        summary="Search leads that came by form, newest first",
        permission="read_leads",
        query=LeadsQuery,
        returns=Page[LeadSummary],
        run=list_leads,
    ),
    Operation(
        method="GET",
        path="/api/leads/{id}",
        name="read_lead",
        tag="leads",
        summary="One lead: what happened step by step, and why",
        permission="read_leads",
        returns=LeadDetail,
        run=read_lead,
    ),
    Operation(
        method="POST",
        path="/api/leads/{id}/adjustments",
        name="adjust_lead",
        tag="leads",
        summary="Credit the buyer, claw back from the publisher",
        permission="move_money",
        body=AdjustmentBody,
        returns=LeadMoney,
        example=AdjustmentBody(reason="The number was disconnected", credit=Money.parse("12.50")),
        refusals=("conflict",),
        run=adjust_lead,
    ),
)
