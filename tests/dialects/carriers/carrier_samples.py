"""Sample connections, orders and parameters that the carriers' tests share."""

from datetime import UTC, datetime
from typing import Final

from callmatrix.core.call.commands import Connect
from callmatrix.core.campaign import Connection, PhoneDestination
from callmatrix.core.ids import AttemptId, CallId, ConnectionId
from callmatrix.dialects.carriers.dialect import CarrierName

AT: Final = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
CALL: Final = CallId("call_01")
ROOT: Final = "https://calls.example.com/voice/con_1/call_01"


def connection(carrier: CarrierName = "twilio", **changes: str) -> Connection:
    values = {
        "public_base_url": "https://calls.example.com",
        "account_sid": "AC0123",
        **changes,
    }
    return Connection(id=ConnectionId("con_1"), name="Main", carrier=carrier, **values)  # type: ignore[arg-type]


def connect(**changes: object) -> Connect:
    values: dict[str, object] = {
        "attempt_id": AttemptId("call_01-2"),
        "destination": PhoneDestination(number="+14155550123"),
        "caller_id": "+12125550100",
        "ring_timeout_s": 25,
        "time_limit_s": 3_600,
        **changes,
    }
    return Connect(**values)  # type: ignore[arg-type]
