"""What records are called, for lists that show ids of other records, and for finding by name."""

from typing import Annotated, Final

import msgspec

from callmatrix.api.access import Principal
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import Page, Search
from callmatrix.api.problems import invalid
from callmatrix.core.errors import Refused
from callmatrix.core.ids import BuyerId
from callmatrix.store import names
from callmatrix.store.kinds import Kind
from callmatrix.store.names import Named

MAX_FOUND: Final = 20
STAFFS_KINDS: Final[tuple[Kind, ...]] = (
    "campaign",
    "buyer",
    "offer",
    "publisher",
    "number",
    "flow",
    "connection",
    "endpoint",
)

Ids = Annotated[
    str, msgspec.Meta(min_length=1, max_length=names.MAX_NAMES * 40, description="Ids, separated by commas")
]


class NamesQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either the ids of records, or a part of a name."""

    ids: Ids | None = None
    search: Search | None = None


async def list_names(ask: Ask) -> Reply:
    """The names of records; buyers and publishers are told those of what they see."""
    query, who = ask.asked(NamesQuery), ask.who
    if (query.ids is None) == (query.search is None):
        raise invalid("ids", "It is not clear what is asked", "Send either ids or search")
    async with ask.app.db.transaction() as tx:
        if query.ids is not None:
            wanted = tuple(dict.fromkeys(query.ids.split(",")))
            if len(wanted) > names.MAX_NAMES:
                raise invalid("ids", "There are too many", f"Send at most {names.MAX_NAMES}")
            found = await names.of_ids(
                tx,
                who.account_id,
                wanted,
                kinds=_kinds(who),
                buyer_id=BuyerId(who.buyer_id or "") if who.role == "buyer" else None,
            )
            return Reply(value=Page(items=tuple(one for one in found if _is_shown(one, who))))
        if not who.is_staff:
            raise Refused("not_allowed", f"The role {who.role} may not search by name")
        assert query.search is not None
        found = await names.search(tx, who.account_id, query.search, kinds=STAFFS_KINDS, limit=MAX_FOUND)
    return Reply(value=Page(items=found))


def _kinds(who: Principal) -> tuple[Kind, ...]:
    match who.role:
        case "buyer":
            return ("campaign", "buyer", "offer")
        case "publisher":
            return ("campaign", "publisher")
        case _:
            return STAFFS_KINDS


def _is_shown(one: Named, who: Principal) -> bool:
    """Buyers and publishers know no other buyers and publishers."""
    if one.kind == "buyer" and who.role == "buyer":
        return one.id == who.buyer_id
    if one.kind == "publisher" and who.role == "publisher":
        return one.id == who.publisher_id
    return True


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/names",
        name="list_names",
        tag="account",
        summary="What records are called, by their ids or a part of the name",
        permission="read_own_config",
        query=NamesQuery,
        returns=Page[Named],
        run=list_names,
    ),
)
