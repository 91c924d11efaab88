"""Keeps the RTB endpoints of all accounts at hand: who may ask by which key, and which numbers are theirs."""

import hmac
from datetime import datetime

import msgspec

from callmatrix.core.campaign import Endpoint
from callmatrix.core.ids import AccountId, EndpointId, NumberId
from callmatrix.store.rtb_keys import EndpointKey, hashed


class Seller(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint ready to be asked: whose it is, and the key that opens it, once it has one."""

    account_id: AccountId
    endpoint: Endpoint
    key: EndpointKey | None = None

    def opens(self, key: str, at: datetime) -> bool:
        """Whether this is the endpoint's key, or the one before while that is good; in constant time."""
        if self.key is None:
            return False
        given = hashed(key)
        current = hmac.compare_digest(given, self.key.key_hash)
        former = hmac.compare_digest(given, self.key.former_hash or b"")
        return current or (former and self.key.former_until is not None and at < self.key.former_until)


class Endpoints:
    """Kept up to date by `put`, read at every request and arrival."""

    __slots__ = ("_by_number", "_sellers")

    def __init__(self) -> None:
        self._sellers: dict[EndpointId, Seller] = {}
        self._by_number: dict[tuple[AccountId, NumberId], EndpointId] = {}

    def put(self, seller: Seller) -> None:
        """Take over an endpoint as it is now; one that is archived answers no more. An id that another
        account has is left out."""
        endpoint_id = seller.endpoint.id
        known = self._sellers.get(endpoint_id)
        if known is not None and known.account_id != seller.account_id:
            return
        for place in [place for place, of in self._by_number.items() if of == endpoint_id]:
            del self._by_number[place]
        if seller.endpoint.status == "archived":
            self._sellers.pop(endpoint_id, None)
            return
        self._sellers[endpoint_id] = seller
        for number_id in seller.endpoint.numbers:
            self._by_number[seller.account_id, number_id] = endpoint_id

    def get(self, endpoint_id: str) -> Seller | None:
        """The endpoint of this id; None where there is none in use."""
        return self._sellers.get(EndpointId(endpoint_id))

    def of_number(self, account_id: AccountId, number_id: NumberId) -> Seller | None:
        """The endpoint whose calls come over this number."""
        endpoint_id = self._by_number.get((account_id, number_id))
        return None if endpoint_id is None else self._sellers[endpoint_id]
