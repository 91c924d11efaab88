"""Double-entry postings: which accounts a charge, payout, cost, credit or deposit moves."""

from datetime import datetime
from typing import Final, Literal

import msgspec

from callmatrix.core.ids import CallId
from callmatrix.core.money import Money

MAX_POSTINGS: Final = 20

AccountKind = Literal[
    "buyer",  # asset: what a buyer owes us (positive) or has paid ahead (negative)
    "publisher",  # liability: what we owe a publisher (negative)
    "carrier",  # liability: what we owe a carrier (negative)
    "cash",  # asset: money received and paid out
    "revenue",  # income (negative)
    "payout",  # expense (positive)
    "carrier_cost",  # expense (positive)
    "adjustments",  # income taken back or given (either sign)
]
TransactionKind = Literal[
    "charge",  # buyer owes: buyer +, revenue −
    "payout",  # publisher earns: payout +, publisher −
    "cost",  # carrier earns: carrier_cost +, carrier −
    "number_rent",  # carrier earns the day's rent of a number
    "credit",  # buyer is credited: adjustments +, buyer −
    "clawback",  # publisher returns: publisher +, adjustments −
    "deposit",  # buyer pays: cash +, buyer −
    "disbursement",  # publisher is paid: publisher +, cash −
]


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `owner_id` is the buyer, publisher or connection, empty for the account's own books."""

    account: AccountKind
    owner_id: str
    amount: Money


class Transaction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Postings that sum to zero. Idempotent by `key`: for calls `<call>/<kind>/<rating revision>`."""

    key: str
    kind: TransactionKind
    at: datetime
    postings: tuple[Posting, ...]
    call_id: CallId | None = None
    rating_revision: int = 0
    reason: str = ""
