"""`callmatrix bidder`: a test ping to an offer's bidder, and how its answer is read."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from callmatrix import main
from callmatrix.api.bidders import BenchPing, asked_offer, chosen_of
from callmatrix.core.campaign import Campaign, Offer
from callmatrix.core.documents import from_plain, problem_of
from callmatrix.core.errors import Refused
from callmatrix.core.ids import AccountId
from callmatrix.live.app import App
from callmatrix.live.bidder_bench import Tried, try_bidder
from callmatrix.settings import Settings
from callmatrix.store import catalog
from callmatrix.world import RealWorld

EXIT_NO_BID: Final = 1


async def try_out(settings: Settings, offer_id: str, lead: Mapping[str, Any]) -> int:
    """Ping the offer's bidder and print what came of it; the exit status, 0 where it bids."""
    try:
        given = from_plain({name: value for name, value in lead.items() if value}, BenchPing)
    except msgspec.ValidationError as error:
        raise Refused("invalid", str(error), (problem_of(error),)) from None
    async with (
        main.database(settings) as dsn,
        main.running(settings, dsn=dsn, world=RealWorld(), loops=False) as app,
    ):
        account_id, offer = await _offer(app, offer_id)
        campaign = await _campaign(app, account_id, given.campaign_id)
        tried = await try_bidder(app, account_id, asked_offer(offer), chosen_of(given, campaign))
    show(Console(), offer, tried)
    return 0 if tried.bid is not None else EXIT_NO_BID


def show(console: Console, offer: Offer, tried: Tried) -> None:
    """The request, the answer and what it comes to, as a table."""
    table = Table(title=f"{offer.name} ({offer.id})", title_justify="left", show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _lines(tried):
        table.add_row(name, Text(text))  # a body in brackets is no markup
    console.print(table)


def _lines(tried: Tried) -> Iterator[tuple[str, str]]:
    request, reply = tried.request, tried.reply
    if request is not None:
        yield "request", f"{request.method} {request.url}"
        yield "headers", "\n".join(f"{name}: {value}" for name, value in request.headers.items())
        if request.body:
            yield "body", request.body
    if reply is not None:
        yield "answer", f"status {reply.status}"
        yield "answered", reply.body + (" …" if reply.cut else "")
        opened = f"connect {reply.connect_us}, TLS {reply.tls_us}, " if not reply.reused else ""
        yield "µs", f"{opened}first byte {reply.first_byte_us}, in all {reply.total_us}"
    if tried.said is not None:
        yield "read as", ", ".join(_told(tried.said))
    bid = tried.bid
    if bid is None:
        yield "no bid", f"{tried.code}: {tried.detail}" if tried.detail else tried.code
    else:
        yield "bid", f"{bid.amount}, ranks by {tried.ranks_by}"
    for place, complaint in enumerate(tried.complaints):
        yield "" if place else "complaints", complaint


def _told(value: msgspec.Struct) -> Iterator[str]:
    for name in value.__struct_fields__:
        told = getattr(value, name)
        if told is not None and told != "":
            yield f"{name} {' '.join(_told(told)) if isinstance(told, msgspec.Struct) else told}"


async def _offer(app: App, offer_id: str) -> tuple[AccountId, Offer]:
    """The offer, of whichever account."""
    async with app.db.transaction() as tx:
        for account in app.catalog.accounts():
            found = await catalog.find(tx, account.id, Offer, offer_id)
            if found is not None:
                return account.id, found.document
    raise Refused("not_found", f"There is no offer {offer_id}")


async def _campaign(app: App, account_id: AccountId, campaign_id: str | None) -> Campaign | None:
    if campaign_id is None:
        return None
    async with app.db.transaction() as tx:
        return (await catalog.get(tx, account_id, Campaign, campaign_id)).document
