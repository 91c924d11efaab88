"""Decides stored auctions again with the winner's price raised by the least there is: it must win again."""

from typing import Final, assert_never

import msgspec

from callmatrix.core.call.commands import Command, Reserve
from callmatrix.core.call.dialling import given_at
from callmatrix.core.call.events import BidsReturned, Looked
from callmatrix.core.call.value import Call
from callmatrix.core.ids import CampaignId, OfferId
from callmatrix.core.money import Money
from callmatrix.core.plan import CompiledPlan, compile_plan
from callmatrix.core.pricing import BidPrice, FixedPrice, MinutePrice, Price, TieredPrice
from callmatrix.core.routing import Given, Shut, decide

NAME: Final = "a_higher_price_never_loses"
RAISED_EVERY: Final = 20
"""One in so many decisions of auctions is decided again, the first among them."""
MAX_RAISED: Final = 500
"""How many plans with a raised price are kept at once."""
_LEAST: Final = Money(1)


class Raising:
    """Counts decisions and keeps the plans in which one offer has the raised price."""

    def __init__(self) -> None:
        self._seen = 0
        self._plans: dict[tuple[CampaignId, int, OfferId], CompiledPlan] = {}

    def lost(
        self, call: Call, event: Looked | BidsReturned, commands: tuple[Command, ...], plan: CompiledPlan
    ) -> str:
        """Who won instead when the offer that was reserved asked for more; empty where it won again.

        `call` is the call before the event, `commands` what was ordered after it.
        """
        if plan.campaign.plan.strategy != "auction" or call.treatment is not None:
            return ""
        won = next((one.claim.offer_id for one in commands if isinstance(one, Reserve)), None)
        if won is None:
            return ""
        self._seen += 1
        if self._seen % RAISED_EVERY != 1:
            return ""
        raised = self._raised(plan, won)
        given = with_higher_bid(given_at(call, plan, event), won, by=_LEAST)
        chosen = decide(raised, _translated(given, plan, raised)).chosen
        if chosen is not None and chosen.offer_id == won:
            return ""
        return f"{won} lost to {chosen and chosen.offer_id} when its price was higher"

    def _raised(self, plan: CompiledPlan, offer_id: OfferId) -> CompiledPlan:
        key = (plan.campaign.id, plan.version, offer_id)
        found = self._plans.get(key)
        if found is None:
            if len(self._plans) >= MAX_RAISED:
                self._plans.clear()
            found = self._plans[key] = _with_price(plan, offer_id, _dearer(plan.price_of(offer_id)))
        return found


def with_higher_bid(given: Given, offer_id: OfferId, *, by: Money) -> Given:
    """The same world in which one offer's bids are higher."""
    bids = tuple(
        msgspec.structs.replace(bid, amount=bid.amount + by, rank_by=bid.ranked + by)
        if bid.offer_id == offer_id
        else bid
        for bid in given.bids
    )
    return msgspec.structs.replace(given, bids=bids)


def _with_price(plan: CompiledPlan, offer_id: OfferId, price: Price) -> CompiledPlan:
    document = plan.document
    entries = tuple(
        msgspec.structs.replace(entry, price=price) if entry.offer_id == offer_id else entry
        for entry in document.campaign.plan.entries
    )
    routing = msgspec.structs.replace(document.campaign.plan, entries=entries)
    campaign = msgspec.structs.replace(document.campaign, plan=routing)
    return compile_plan(msgspec.structs.replace(document, campaign=campaign))


def _dearer(price: Price) -> Price:
    match price:
        case FixedPrice():
            return msgspec.structs.replace(price, amount=price.amount + _LEAST)
        case TieredPrice():
            tiers = tuple(msgspec.structs.replace(one, amount=one.amount + _LEAST) for one in price.tiers)
            return msgspec.structs.replace(price, tiers=tiers)
        case MinutePrice():
            return msgspec.structs.replace(price, rate=price.rate + _LEAST)
        case BidPrice():
            return price
        case _:
            assert_never(price)


def _translated(given: Given, plan: CompiledPlan, raised: CompiledPlan) -> Given:
    """The same world for a plan in which the offers may stand in another order."""
    shut = tuple(
        Shut(code=one.code, mask=f"{raised.routing.translated(int(one.mask, 16), plan.routing):x}")
        for one in given.looked.shut
    )
    return msgspec.structs.replace(given, looked=msgspec.structs.replace(given.looked, shut=shut))
