"""Saves first events of calls, for tests of who is told of them."""

from datetime import UTC, datetime
from typing import Any

import make
from callmatrix.core.call import events as ev
from callmatrix.core.call import step
from callmatrix.core.ids import CallId
from callmatrix.store import calls
from callmatrix.store.calls import Taken
from callmatrix.store.db import Transaction

AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
CALLER = "+14155550199"


async def arrive(tx: Transaction, name: str, **changes: Any) -> None:
    """Save the first event of the call `name`; `changes` are of the call."""
    call = make.call(id=CallId(name), **changes)
    arrived = ev.Arrived(
        at=AT,
        draw=7,
        caller=CALLER,
        dialed="+14155550100",
        number_id="num_1",
        connection_id=make.CONNECTION,
        carrier_ref=f"CA-{name}",
        publisher_id=make.PUBLISHER,
    )
    taken = Taken(event=arrived, step=step(call, arrived, make.plan()))
    assert await calls.save(tx, (taken,), new=True, campaign_group="", saved_at=AT) == "saved"
