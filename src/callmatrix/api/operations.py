"""Every operation of the API, in the order in which /docs shows them."""

from typing import Final

from callmatrix.api import (
    auctions,
    bidders,
    calls,
    campaign_warnings,
    config,
    config_acts,
    endpoints,
    events,
    facts,
    flows,
    keys,
    leads,
    money,
    names,
    people,
    refusals,
    reratings,
    routing,
    scheduled,
    sessions,
    stops,
    upkeep,
)
from callmatrix.api.operation import Operation

OPERATIONS: Final[tuple[Operation, ...]] = (
    *people.SIGN_IN,
    *sessions.OPERATIONS,
    *calls.OPERATIONS,
    *stops.OPERATIONS,
    *leads.OPERATIONS,
    *events.OPERATIONS,
    *(
        operation
        for noun in config.NOUNS
        for operation in (*config.operations_of(noun), *config_acts.operations_of(noun))
    ),
    *campaign_warnings.OPERATIONS,
    *bidders.OPERATIONS,
    *auctions.OPERATIONS,
    *endpoints.OPERATIONS,
    *scheduled.OPERATIONS,
    *flows.OPERATIONS,
    *routing.OPERATIONS,
    *facts.OPERATIONS,
    *refusals.OPERATIONS,
    *money.OPERATIONS,
    *reratings.OPERATIONS,
    *people.OPERATIONS,
    *keys.OPERATIONS,
    *names.OPERATIONS,
    *upkeep.OPERATIONS,
)
