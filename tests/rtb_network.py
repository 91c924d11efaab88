"""A network that sells calls by bids, and a seller who knows of us what the trade has published."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec

import make
import saved
import served
from callmatrix.core.campaign import BidShare, Endpoint, Number, Offer
from callmatrix.core.ids import EndpointId, NumberId
from callmatrix.store import catalog, rtb_keys
from callmatrix.store.db import Database
from served import CALLER, Line, Process

ENDPOINT = EndpointId("rtb_1")
KEY = "a-sellers-key"
SOLD_NUMBER = "+18885550102"
SOLD_NUMBER_ID = NumberId("num_2")


def endpoint(**changes: Any) -> Endpoint:
    """Pays 70 % of what the best offer pays: of the first offer's 29, after 60 seconds, 20.30."""
    given = {
        "id": ENDPOINT,
        "name": "Resale",
        "campaign_id": make.CAMPAIGN,
        "publisher_id": make.PUBLISHER,
        "numbers": (SOLD_NUMBER_ID,),
        "price": BidShare(share_bps=7_000),
    }
    return Endpoint(**{**given, **changes})


def sold_number(digit: int = 2) -> Number:
    return saved.number(digit, status="available", assignments=())


async def save_endpoint(db: Database, **changes: Any) -> None:
    """The endpoint, with a key and its numbers."""
    document = endpoint(**changes)
    async with db.transaction() as tx:
        for number_id in document.numbers:
            await catalog.create(tx, make.ACCOUNT, sold_number(int(number_id[-1])), by=saved.BY)
        await catalog.create(tx, make.ACCOUNT, document, by=saved.BY)
        await rtb_keys.set_key(tx, make.ACCOUNT, document.id, KEY, former_until=None, by=saved.BY)


async def save_selling_network(
    db: Database, *offers: Offer, given: dict[str, Any] | None = None, **campaign_changes: Any
) -> None:
    """The network of `served`, and an endpoint with a key; `given` are changes of the endpoint."""
    await served.save_network(db, *offers, **campaign_changes)
    await save_endpoint(db, **(given or {}))


class Bid(msgspec.Struct, frozen=True):
    """What a seller's system keeps of a reply, by the published names."""

    amount: str
    number: str
    reason: str
    warnings: tuple[int, ...]
    whole: dict[str, Any]


class Seller:
    """Somebody else's system: asks as the publishers' instructions say, and reads as the examples show."""

    def __init__(self, process: Process, *, key: str = KEY) -> None:
        self.process = process
        self.key = key

    async def ask(self, caller: str = CALLER, **tags: str) -> Bid:
        """`POST …/{RTB_ID}.json` with `{"CID": "15557779999", …}`."""
        body = {"CID": caller.removeprefix("+"), "exposeCallerId": "yes", **tags}
        path = f"/rtb/{ENDPOINT}.json?{urlencode({'key': self.key})}"
        answer = await self.process.send(
            path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        assert answer.status == 200, answer
        return self.read(json.loads(answer.body, parse_float=str))

    @staticmethod
    def read(reply: dict[str, Any]) -> Bid:
        return Bid(
            amount=str(reply["bidAmount"]),
            number=reply.get("phoneNumber", ""),
            reason=reply.get("rejectReason", ""),
            warnings=tuple(warning["code"] for warning in reply.get("warnings", ())),
            whole=reply,
        )


class SoldLine(Line):
    """A call to the endpoint's number."""

    def params(self, **more: str) -> dict[str, str]:
        return super().params(**{"To": SOLD_NUMBER, **more})


def later(seconds: float) -> str:
    """An instant of the test's clock, as the examples write it."""
    at = served.START + timedelta(seconds=seconds)
    half = "AM" if at.hour < 12 else "PM"
    return f"{at.month}/{at.day}/{at.year} {at.hour % 12 or 12}:{at:%M:%S} {half} +00:00"
