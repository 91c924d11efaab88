"""The kinds of configuration documents, and how each is read from its row."""

from typing import Any, Final, Literal, TypeAlias, TypeVar

import msgspec

from callmatrix.core.campaign import (
    Account,
    Buyer,
    Campaign,
    Connection,
    Endpoint,
    FlowDocument,
    Number,
    Offer,
    Publisher,
)
from callmatrix.core.documents import decode
from callmatrix.core.flow import Flow, lift

Kind = Literal[
    "account", "buyer", "offer", "publisher", "campaign", "number", "connection", "flow", "endpoint"
]
Config: TypeAlias = (
    Account | Buyer | Offer | Publisher | Campaign | Number | Connection | FlowDocument | Endpoint
)
T = TypeVar("T", Account, Buyer, Offer, Publisher, Campaign, Number, Connection, FlowDocument, Endpoint)

KINDS: Final[dict[type, Kind]] = {
    Account: "account",
    Buyer: "buyer",
    Offer: "offer",
    Publisher: "publisher",
    Campaign: "campaign",
    Number: "number",
    Connection: "connection",
    FlowDocument: "flow",
    Endpoint: "endpoint",
}
TYPES: Final[dict[Kind, type[Any]]] = {kind: document for document, kind in KINDS.items()}


def kind_of(document: Config | type[Any]) -> Kind:
    """The kind of a document, or of its type."""
    return KINDS[document if isinstance(document, type) else type(document)]


def read(data: bytes, kind: type[T]) -> T:
    """A stored document, brought to this release's format."""
    if kind is not FlowDocument:
        return decode(data, kind)
    raw = msgspec.json.decode(data)
    return msgspec.convert({**raw, "draft": lift(raw["draft"])}, kind)


def read_flow(data: bytes) -> Flow:
    """A stored version of a flow, brought to this release's format."""
    return msgspec.convert(lift(msgspec.json.decode(data)), Flow)


def name_of(document: Config) -> str:
    """What lists and searches show."""
    return document.number if isinstance(document, Number) else document.name


def status_of(document: Config) -> str:
    """The status in the document's own words; an account is always active."""
    return "active" if isinstance(document, Account) else document.status
