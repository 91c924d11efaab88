"""The compiled plan: the frozen snapshot of all configuration that a campaign's calls need."""

from typing import Final

import msgspec

from callmatrix.core.campaign import (
    Account,
    Buyer,
    Campaign,
    Offer,
    Publisher,
)
from callmatrix.core.flow import Flow

PLAN_FORMAT: Final = 1


class PlanDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a call of one campaign is pinned to; kept while any call refers to its version."""

    version: int
    account: Account
    campaign: Campaign
    offers: tuple[Offer, ...]
    buyers: tuple[Buyer, ...]
    publishers: tuple[Publisher, ...]
    flow: Flow | None = None
    format: int = PLAN_FORMAT
