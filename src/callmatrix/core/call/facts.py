"""What rules may ask about a call, from the call as it stands."""

from datetime import datetime

from callmatrix.core.call.value import Call
from callmatrix.core.geo import CallerGeo, caller_geo
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import PublisherTerms
from callmatrix.core.rtb import geo_of_request, sold_terms
from callmatrix.core.rules import Facts


def geo_of(call: Call, plan: CompiledPlan) -> CallerGeo:
    """Where the caller is: a ZIP that the flow captured outranks the number's area code."""
    zip_code = next((call.fields[name] for name in plan.zip_fields if call.fields.get(name)), None)
    if call.sold is not None:
        return geo_of_request(call.caller, zip_code or call.sold.zip, call.sold.state)
    return caller_geo(call.caller, zip_code)


def terms_of_sale(call: Call, plan: CompiledPlan) -> PublisherTerms | None:
    """What the publisher earns of a call that it sold by a bid; None for every other call."""
    if call.sold is None or call.publisher_id is None:
        return None
    return sold_terms(call.sold.amount, min_s=call.sold.min_s, plan=plan, publisher_id=call.publisher_id)


def facts_of(call: Call, plan: CompiledPlan, at: datetime) -> Facts:
    """The facts of this instant."""
    geo = geo_of(call, plan)
    return Facts(
        at=at,
        caller=call.caller,
        dialed_number=call.dialed,
        caller_state=geo.state,
        area_code=geo.area_code,
        zip=geo.zip,
        publisher_id=call.publisher_id,
        campaign_id=call.campaign_id,
        attestation=call.attestation,
        fields=call.fields,
        tags=call.tags,
    )
