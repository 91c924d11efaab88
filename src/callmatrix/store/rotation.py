"""The order of a round robin: who comes back joins the tail."""

from datetime import datetime

from callmatrix.core.campaign import Buyer, Campaign, Offer
from callmatrix.core.campaign.returns import comes_back, entries_back
from callmatrix.core.ids import AccountId
from callmatrix.store.db import Transaction
from callmatrix.store.kinds import Config

_TO_THE_TAIL = "update rotation set reserved_at = $2, attempt_id = offer_id where account_id = $1 and "
_BUYERS = (
    "offer_id in (select id from config where account_id = $1 and kind = 'offer'"
    " and document ->> 'buyer_id' = $3)"
)


async def keep(
    tx: Transaction, account_id: AccountId, before: Config | None, after: Config, *, now: datetime
) -> None:
    """Move the offers that come back by this change behind all others; among themselves, by their ids."""
    match before, after:
        case Offer(), Offer() if comes_back(before, after):
            await tx.execute(_TO_THE_TAIL + "offer_id = $3", account_id, now, after.id)
        case Buyer(), Buyer() if comes_back(before, after):
            await tx.execute(_TO_THE_TAIL + _BUYERS, account_id, now, after.id)
        case Campaign(), Campaign():
            back = entries_back(before, after)
            if back:
                where = "campaign_id = $3 and offer_id = any($4)"
                await tx.execute(_TO_THE_TAIL + where, account_id, now, after.id, list(back))
        case _:
            pass
