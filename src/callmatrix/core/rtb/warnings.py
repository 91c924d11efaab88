"""What an endpoint may be saved with, but somebody should know."""

from collections.abc import Iterator

from callmatrix.core.campaign import Endpoint
from callmatrix.core.errors import Problem
from callmatrix.core.flow import fields_of
from callmatrix.core.plan import CompiledPlan
from callmatrix.core.pricing import minimum_threshold_s


def endpoint_warnings(endpoint: Endpoint, plan: CompiledPlan) -> tuple[Problem, ...]:
    """Bids that are owed before a buyer owes (rule 8), fields that offers need and sellers need not send,
    bidders that are not asked."""
    return (*_owed_early(endpoint, plan), *_not_sent(endpoint, plan), *_not_asked(endpoint, plan))


def _owed_early(endpoint: Endpoint, plan: CompiledPlan) -> Iterator[Problem]:
    for offer_id, entry in plan.entries.items():
        offer = plan.offers[offer_id]
        least_s = minimum_threshold_s(entry.price or offer.price)
        if offer.converts_on != "duration":
            problem = f"A bid is owed after its seconds, and {offer_id} owes nothing before it says so"
            yield Problem(field="min_s", problem=problem, remedy="Bid a smaller part of its price")
        elif endpoint.min_s is not None and endpoint.min_s < least_s:
            problem = (
                f"A bid is owed after {endpoint.min_s} s, and {offer_id} owes nothing before {least_s} s"
            )
            yield Problem(field="min_s", problem=problem, remedy=f"Use {least_s} or more, or leave it out")


def _not_sent(endpoint: Endpoint, plan: CompiledPlan) -> Iterator[Problem]:
    known = {*endpoint.required_fields, *(() if plan.flow is None else fields_of(plan.flow))}
    for offer_id, offer in plan.offers.items():
        missing = [name for name in offer.required_fields if name not in known]
        if missing:
            problem = f"{offer_id} needs {', '.join(missing)}, which a request may lack"
            yield Problem(field="required_fields", problem=problem, remedy="Require it of sellers too")


def _not_asked(endpoint: Endpoint, plan: CompiledPlan) -> Iterator[Problem]:
    strategy = plan.campaign.plan.strategy
    if endpoint.pings and strategy != "auction":
        problem = f"The campaign's strategy is {strategy}, which asks no bidders"
        yield Problem(field="pings", problem=problem, remedy="Use the strategy auction")
