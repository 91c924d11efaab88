"""Every operation of the API, in the order in which /docs shows them."""

from typing import Final

from callmatrix.api import (
    calls,
    config,
    config_acts,
    events,
    flows,
    keys,
    money,
    people,
    reratings,
    routing,
    scheduled,
    stops,
    upkeep,
)
from callmatrix.api.operation import Operation

OPERATIONS: Final[tuple[Operation, ...]] = (
    *people.SIGN_IN,
    *calls.OPERATIONS,
    *stops.OPERATIONS,
    *events.OPERATIONS,
    *(
        operation
        for noun in config.NOUNS
        for operation in (*config.operations_of(noun), *config_acts.operations_of(noun))
    ),
    *scheduled.OPERATIONS,
    *flows.OPERATIONS,
    *routing.OPERATIONS,
    *money.OPERATIONS,
    *reratings.OPERATIONS,
    *people.OPERATIONS,
    *keys.OPERATIONS,
    *upkeep.OPERATIONS,
)
