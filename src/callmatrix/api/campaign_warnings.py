"""What a campaign was saved with, but somebody should know."""

from typing import Final

from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import Page
from callmatrix.api.problems import not_found
from callmatrix.api.routing import present_plan
from callmatrix.core.campaign import campaign_warnings
from callmatrix.core.errors import Problem
from callmatrix.core.ids import CampaignId


async def list_warnings(ask: Ask) -> Reply:
    """The warnings of a campaign as its plan stands."""
    plan = await present_plan(ask, CampaignId(ask.path["id"]))
    if plan is None:
        raise not_found("campaign", ask.path["id"])
    found = campaign_warnings(plan.campaign, offers=plan.offers, publishers=plan.publishers)
    return Reply(value=Page(items=found))


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/campaigns/{id}/warnings",
        name="list_campaign_warnings",
        tag="campaigns",
        summary="What the campaign may go on with, but somebody should know",
        description=(
            "Payout that can be earned before revenue; bidders that nobody asks, or that may take longer than"
            " the auctions do."
        ),
        permission="read_config",
        returns=Page[Problem],
        run=list_warnings,
    ),
)
