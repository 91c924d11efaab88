"""What rules may ask about a form, and the form as auctions sell it."""

from datetime import datetime
from typing import Final

from callmatrix.core.auction import Lead
from callmatrix.core.geo import CallerGeo, caller_geo
from callmatrix.core.lead.value import Contact, FormLead
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.rules import Facts

# Contact details by the names under which rules, required fields and buyers know them.
CONTACT_FIELDS: Final = ("name", "first_name", "last_name", "email", "address", "city", "state", "zip")


def geo_of(contact: Contact | None) -> CallerGeo:
    """Where the sender is: the ZIP outranks the area code."""
    return caller_geo(None, None) if contact is None else caller_geo(contact.phone, contact.zip or None)


def state_of(contact: Contact | None) -> str | None:
    """The sender's state: as they say, else by the ZIP or the area code."""
    said = "" if contact is None else contact.state
    return said or geo_of(contact).state


def fields_of(contact: Contact | None, fields: dict[str, str]) -> dict[str, str]:
    """All that a form says, contact details included; what is empty is left out."""
    found = dict(fields)
    if contact is not None:
        found |= {name: getattr(contact, name) for name in CONTACT_FIELDS if getattr(contact, name)}
    return {name: text for name, text in found.items() if text}


def facts_of(lead: FormLead, at: datetime) -> Facts:
    """The facts of this instant."""
    geo = geo_of(lead.contact)
    return Facts(
        at=at,
        caller=None if lead.contact is None else lead.contact.phone,
        dialed_number="",
        caller_state=state_of(lead.contact),
        area_code=geo.area_code,
        zip=geo.zip or (lead.contact.zip if lead.contact is not None else "") or None,
        publisher_id=lead.publisher_id,
        campaign_id=lead.campaign_id,
        attestation=None,
        fields=fields_of(lead.contact, lead.fields),
        tags={},
    )


def lead_of(lead: FormLead, plan: CompiledPlan, at: datetime) -> Lead:
    """The form as a lead: what a bidder may know of it is `ping_of`'s to say."""
    facts = facts_of(lead, at)
    came_from = {"source_url": lead.source_url, "ip_address": lead.ip}
    return Lead(
        id=lead.id,
        channel=lead.channel,
        vertical=plan.campaign.vertical,
        number=facts.caller,
        state=facts.caller_state,
        zip=facts.zip,
        area_code=facts.area_code,
        fields=facts.fields | {name: text for name, text in came_from.items() if text},
        # Never of the contact: who it is, is for the winner alone.
        shared=tuple(name for name in plan.campaign.form.shared_fields if name in lead.fields),
        source=lead.publisher_id or "",
        consent="" if lead.consent is None else lead.consent.text,
        consented_at=None if lead.consent is None else lead.consent.at,
        test=lead.test,
    )
