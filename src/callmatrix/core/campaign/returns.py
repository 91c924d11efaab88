"""Which offers come back by a change of configuration: in a rotation they join the tail (rule 6)."""

from callmatrix.core.campaign.documents import Buyer, Campaign, Offer
from callmatrix.core.ids import OfferId


def comes_back(before: Offer | Buyer, after: Offer | Buyer) -> bool:
    """Whether the offer, or every offer of the buyer, takes calls again that it did not take."""
    return before.status != "active" and after.status == "active"


def entries_back(before: Campaign, after: Campaign) -> tuple[OfferId, ...]:
    """The offers that take part in the campaign again, or for the first time."""
    taking_part = {entry.offer_id for entry in before.plan.entries if not entry.paused}
    return tuple(
        entry.offer_id
        for entry in after.plan.entries
        if not entry.paused and entry.offer_id not in taking_part
    )
