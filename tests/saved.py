"""A small network, saved."""

from datetime import UTC, datetime
from typing import Any

import make
from callmatrix.core.campaign import Assignment, CampaignShare, FlowDocument, Number
from callmatrix.core.flow import CollectNode, Flow, HangupNode, RouteNode, SpokenPrompt
from callmatrix.core.ids import FlowId, NumberId
from callmatrix.store import catalog
from callmatrix.store.audit import By
from callmatrix.store.db import Transaction

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
BY = By(who="usr_1", at=AT)
FLOW = FlowId("flw_1")


def flow() -> Flow:
    """Asks for a ZIP, then routes."""
    return Flow(
        start="zip",
        nodes={
            "zip": CollectNode(
                prompt=SpokenPrompt(text="Your ZIP code, please."),
                field="zip",
                type="zip",
                next="route",
                failed="bye",
            ),
            "route": RouteNode(),
            "bye": HangupNode(),
        },
    )


def flow_document(**changes: Any) -> FlowDocument:
    return FlowDocument(**{"id": FLOW, "name": "Intake", "draft": flow(), **changes})


def number(digit: int = 1, **changes: Any) -> Number:
    given = {
        "id": NumberId(f"num_{digit}"),
        "number": f"+1888555010{digit}",
        "connection_id": make.CONNECTION,
        "status": "assigned",
        "assignments": (
            Assignment(
                split=(CampaignShare(campaign_id=make.CAMPAIGN, percent=100),),
                starts_at=AT,
                publisher_id=make.PUBLISHER,
            ),
        ),
    }
    return Number(**{**given, **changes})


async def save_network(tx: Transaction, *, offers: int = 1) -> None:
    """An account with a connection, a publisher, `offers` offers of as many buyers, and a campaign of them
    all that has a number."""
    account_id = make.ACCOUNT
    await catalog.create_account(tx, make.account(), by=BY)
    await catalog.create(tx, account_id, make.connection(), by=BY)
    await catalog.create(tx, account_id, make.publisher(), by=BY)
    documents = tuple(make.offer(place) for place in range(1, offers + 1))
    for place, offer in enumerate(documents, start=1):
        await catalog.create(tx, account_id, make.buyer(place), by=BY)
        await catalog.create(tx, account_id, offer, by=BY)
    await catalog.create(tx, account_id, make.campaign(*documents), by=BY)
    await catalog.create(tx, account_id, number(), by=BY)
