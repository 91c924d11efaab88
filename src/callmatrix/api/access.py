"""Who may do what: roles, scopes and permissions as one table, and the principal of a request."""

from typing import Final, Literal, get_args

import msgspec

from callmatrix.core.ids import AccountId, BuyerId, PublisherId, UserId

Role = Literal["admin", "manager", "analyst", "buyer", "publisher"]
Scope = Literal["read", "write", "money", "admin"]
Permission = Literal[
    "public",  # nobody needs to sign in
    "self",  # one's own sign-in
    "read_own_config",  # configuration; buyers and publishers see their own records only
    "read_config",  # the whole network's configuration
    "change_config",
    "read_calls",  # buyers and publishers see their own calls only
    "change_calls",
    "read_auctions",  # buyers see their own pings only
    "read_leads",  # buyers and publishers see their own leads only
    "submit_leads",  # publishers send their own leads only
    "report_conversions",  # buyers report on their own calls only
    "read_money",  # buyers and publishers see their own balance and statements only
    "read_books",  # the whole ledger
    "move_money",
    "administer",
]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
STAFF: Final[frozenset[Role]] = frozenset({"admin", "manager", "analyst"})

# permission -> (the roles that have it, the scope that an API key needs for it; None: no key has it)
PERMISSIONS: Final[dict[Permission, tuple[frozenset[Role], Scope | None]]] = {
    "public": (frozenset(ROLES), "read"),
    "self": (frozenset(ROLES), "read"),
    "read_own_config": (frozenset(ROLES), "read"),
    "read_config": (STAFF, "read"),
    "change_config": (frozenset({"admin", "manager"}), "write"),
    "read_calls": (frozenset(ROLES), "read"),
    "change_calls": (frozenset({"admin", "manager"}), "write"),
    "read_auctions": (STAFF | {"buyer"}, "read"),
    "read_leads": (frozenset(ROLES), "read"),
    "submit_leads": (frozenset({"admin", "manager", "publisher"}), "write"),
    "report_conversions": (frozenset({"admin", "manager", "buyer"}), "write"),
    "read_money": (frozenset(ROLES), "read"),
    "read_books": (STAFF, "read"),
    "move_money": (frozenset({"admin", "manager"}), "money"),
    "administer": (frozenset({"admin"}), "admin"),
}


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `scopes` is None for people, who may all that their role may; `csrf` is their session's."""

    account_id: AccountId
    id: str
    name: str
    role: Role
    user_id: UserId | None = None
    buyer_id: BuyerId | None = None
    publisher_id: PublisherId | None = None
    scopes: frozenset[str] | None = None
    csrf: str = ""

    @property
    def is_staff(self) -> bool:
        """Whether the whole network's records are shown."""
        return self.role in STAFF


def may(principal: Principal, permission: Permission) -> bool:
    """Whether the role has the permission, and the key (if it is one) its scope."""
    roles, scope = PERMISSIONS[permission]
    if principal.role not in roles:
        return False
    return principal.scopes is None or (scope is not None and scope in principal.scopes)
