"""Offers' bidders: their secrets, how they fare, and a test ping to see how they answer."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec

from callmatrix.api.config import by_of
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import IdText, Instant
from callmatrix.api.problems import invalid, not_found
from callmatrix.api.upkeep import SecretKept
from callmatrix.core.campaign import Campaign, Channel, FallbackOffer, Offer
from callmatrix.core.errors import Problem, Refused
from callmatrix.core.ids import AccountId, OfferId
from callmatrix.core.phone import BadPhone, parse_e164
from callmatrix.dialects.bidders import needed_secrets
from callmatrix.live.app import App
from callmatrix.live.auctions import bidder_name
from callmatrix.live.bidder_bench import Chosen, Tried, try_bidder
from callmatrix.store import bidder_health, catalog, seals
from callmatrix.store.bidder_health import BidderHealth

BPS: Final = 10_000
DEFAULT_RANGE: Final = timedelta(days=1)
MAX_RANGE: Final = timedelta(days=92)
MAX_TOLD: Final = 1_000
MAX_FIELDS: Final = 40

SecretName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]
Text = Annotated[str, msgspec.Meta(max_length=200)]


class BidderSecretsBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Secrets to keep, by name: `token` (bearer, header), `password` (basic), `key` (HMAC), and whatever a
    template calls `{secret:NAME}`. An empty text removes one. They are sealed and never shown again."""

    secrets: Annotated[
        dict[SecretName, Annotated[str, msgspec.Meta(max_length=seals.MAX_SECRET)]],
        msgspec.Meta(min_length=1, max_length=seals.MAX_SECRETS),
    ]


class BidderSecrets(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets that an offer's bidder has, and since when; `missing` are those without which it cannot
    be asked. Never the secrets."""

    items: tuple[SecretKept, ...]
    missing: tuple[str, ...]


class HealthQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which pings: `since <= at < until`; without them, of the last day."""

    since: Instant | None = None
    until: Instant | None = None


class ThrottleState(msgspec.Struct, frozen=True, kw_only=True):
    """How a bidder stands with the process that answers, since that began: `failing` is the weighted share of
    the latest pings that failed, `skip_share` the chance that the next is not sent for it. `late` answers
    came after the deadline; `retried` pings had met a dead connection."""

    failing: float
    skip_share: float
    asked: int
    throttled: int
    late: int
    retried: int
    connections: int
    idle: int


class ToldHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How an offer's bidder fared. Ratios in ten-thousandths, null where there is nothing to divide by:
    bid rate = bids ÷ sent; win rate = won ÷ bids that were not simulated; timeout rate = timeouts ÷ sent.

    `sent` pings left the server; `errors` are pings without a bid for any reason but `no_bid` and
    `timed_out`; `codes` counts all reasons. `dialled` bids were tried (dialled, or a form posted), `won` ones
    got the lead. Times are those of sent pings, timeouts too. Test leads count nowhere.
    """

    offer_id: str
    offer: str
    buyer_id: str
    mode: str
    since: datetime
    until: datetime
    pings: int
    sent: int
    simulated: int
    bids: int
    no_bids: int
    timeouts: int
    errors: int
    codes: dict[str, int]
    dialled: int
    won: int
    bid_rate_bps: int | None
    win_rate_bps: int | None
    timeout_rate_bps: int | None
    p50_us: int | None
    p95_us: int | None
    p99_us: int | None
    reused: int
    last_at: datetime | None
    throttle: ThrottleState


class CampaignBidders(msgspec.Struct, frozen=True, kw_only=True):
    """The bidders of a campaign in order of its plan, the first 1,000; `more` says that there are others.
    Counts are of this campaign's auctions alone, but the throttle's."""

    items: tuple[ToldHealth, ...]
    more: bool


class BenchPing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The lead to try a bidder with. State and area code follow from ZIP and number where they are left out.

    `campaign_id` names the campaign whose deadline, reserve, vertical and consents hold; without it, what
    the offer allows is allowed. All `fields` are taken as shareable.
    """

    campaign_id: IdText | None = None
    channel: Channel = "call"
    vertical: Annotated[str, msgspec.Meta(max_length=60)] = ""
    number: Annotated[str, msgspec.Meta(min_length=3, max_length=64)] | None = None
    state: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$")] | None = None
    zip: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{5}$")] | None = None
    area_code: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{3}$")] | None = None
    fields: Annotated[
        dict[Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,59}$")], Text],
        msgspec.Meta(max_length=MAX_FIELDS),
    ] = {}
    attestation: Annotated[str, msgspec.Meta(pattern=r"^(A|B|C)?$")] = ""
    source: Text = ""


# --- secrets -------------------------------------------------------------------------------------------


async def set_secrets(ask: Ask) -> Reply:
    """Keep a bidder's secrets."""
    key = ask.app.settings.secret_key
    if key is None:
        raise Refused("unavailable", "There is no key to seal secrets with; set CALLMATRIX_SECRET_KEY")
    offer_id = OfferId(ask.path["id"])
    given = {str(name): secret for name, secret in ask.given(BidderSecretsBody).secrets.items()}
    if any("\0" in secret for secret in given.values()):
        raise invalid("secrets", "One of them contains a NUL", "Remove it")
    async with ask.app.db.transaction() as tx:
        await seals.set_secrets(tx, ask.who.account_id, offer_id, given, key=key, by=by_of(ask), owner=Offer)
    return await list_secrets(ask)


async def list_secrets(ask: Ask) -> Reply:
    """Which secrets a bidder has."""
    offer_id = OfferId(ask.path["id"])
    async with ask.app.db.transaction() as tx:
        offer = (await catalog.get(tx, ask.who.account_id, Offer, offer_id)).document
        found = await seals.secret_names(tx, ask.who.account_id, offer_id, owner=Offer)
    kept = {name for name, _ in found}
    needed = () if offer.bidder is None else needed_secrets(offer.bidder)
    told = BidderSecrets(
        items=tuple(SecretKept(name=name, changed_at=at) for name, at in found),
        missing=tuple(name for name in needed if name not in kept),
    )
    return Reply(value=told)


# --- health --------------------------------------------------------------------------------------------


async def read_health(ask: Ask) -> Reply:
    """How one bidder fares."""
    who, offer_id = ask.who, OfferId(ask.path["id"])
    since, until = range_of(ask)
    async with ask.app.db.transaction() as tx:
        found = await catalog.find(tx, who.account_id, Offer, offer_id)
        if found is None or not (who.is_staff or found.document.buyer_id == who.buyer_id):
            raise not_found("offer", offer_id)
        (health,) = await bidder_health.healths(tx, who.account_id, (offer_id,), since=since, until=until)
    return Reply(value=_told(ask, found.document, health, since=since, until=until))


async def list_campaign_bidders(ask: Ask) -> Reply:
    """How all bidders of a campaign fare."""
    account_id = ask.who.account_id
    since, until = range_of(ask)
    async with ask.app.db.transaction() as tx:
        campaign = (await catalog.get(tx, account_id, Campaign, ask.path["id"])).document
        stored = await catalog.get_many(tx, account_id, Offer, _named(campaign))
        by_id = {one.document.id: one.document for one in stored if one.document.bidder is not None}
        offers = [by_id[each] for each in _named(campaign) if each in by_id]
        healths = await bidder_health.healths(
            tx,
            account_id,
            tuple(offer.id for offer in offers[:MAX_TOLD]),
            since=since,
            until=until,
            campaign_id=campaign.id,
        )
    told = _all_told(ask, offers[:MAX_TOLD], healths, since=since, until=until)
    return Reply(value=CampaignBidders(items=told, more=len(offers) > MAX_TOLD))


def range_of(ask: Ask) -> tuple[datetime, datetime]:
    """The range that is asked for; `Refused` where it is empty or too long."""
    query = ask.asked(HealthQuery)
    until = query.until or ask.now
    since = query.since or until - DEFAULT_RANGE
    if not since < until:
        raise invalid("until", "It is not after since", "Let the range end later")
    if until - since > MAX_RANGE:
        raise invalid("since", f"The range is longer than {MAX_RANGE.days} days", "Ask for a shorter one")
    return since, until


def _named(campaign: Campaign) -> tuple[OfferId, ...]:
    entered = [entry.offer_id for entry in campaign.plan.entries]
    if isinstance(campaign.fallback, FallbackOffer):
        entered.append(campaign.fallback.offer_id)
    return tuple(dict.fromkeys(entered))


def _all_told(
    ask: Ask, offers: Sequence[Offer], healths: Sequence[BidderHealth], *, since: datetime, until: datetime
) -> tuple[ToldHealth, ...]:
    both = zip(offers, healths, strict=True)
    return tuple(_told(ask, offer, health, since=since, until=until) for offer, health in both)


def _told(ask: Ask, offer: Offer, health: BidderHealth, *, since: datetime, until: datetime) -> ToldHealth:
    no_bids, timeouts = health.codes.get("no_bid", 0), health.codes.get("timed_out", 0)
    return ToldHealth(
        offer_id=offer.id,
        offer=offer.name,
        buyer_id=offer.buyer_id,
        mode="none" if offer.bidder is None else offer.bidder.mode,
        since=since,
        until=until,
        pings=health.pings,
        sent=health.sent,
        simulated=health.simulated,
        bids=health.bids,
        no_bids=no_bids,
        timeouts=timeouts,
        errors=sum(health.codes.values()) - no_bids - timeouts,
        codes=health.codes,
        dialled=health.dialled,
        won=health.won,
        bid_rate_bps=_share(health.bids, health.sent),
        win_rate_bps=_share(health.won, health.real_bids),
        timeout_rate_bps=_share(timeouts, health.sent),
        p50_us=health.p50_us,
        p95_us=health.p95_us,
        p99_us=health.p99_us,
        reused=health.reused,
        last_at=health.last_at,
        throttle=_throttle(ask.app, ask.who.account_id, offer.id),
    )


def _share(part: int, whole: int) -> int | None:
    return part * BPS // whole if whole else None


def _throttle(app: App, account_id: AccountId, offer_id: OfferId) -> ThrottleState:
    standing = app.pinger.health(bidder_name(account_id, offer_id))
    return ThrottleState(
        failing=round(standing.failing, 4),
        skip_share=round(standing.skip_share, 4),
        asked=standing.asked,
        throttled=standing.throttled,
        late=standing.late,
        retried=standing.retried,
        connections=standing.connections,
        idle=standing.idle,
    )


# --- the test bench ------------------------------------------------------------------------------------


async def send_test_ping(ask: Ask) -> Reply:
    """Ping an offer's bidder with a chosen lead, and tell everything about it."""
    given, account_id = ask.given(BenchPing), ask.who.account_id
    async with ask.app.db.transaction() as tx:
        offer = (await catalog.get(tx, account_id, Offer, ask.path["id"])).document
        campaign = (
            None
            if given.campaign_id is None
            else (await catalog.get(tx, account_id, Campaign, given.campaign_id)).document
        )
    tried = await try_bidder(ask.app, account_id, asked_offer(offer), chosen_of(given, campaign))
    return Reply(value=tried)


def asked_offer(offer: Offer) -> Offer:
    """The offer, if there is somebody to ask; `Refused("conflict")` otherwise."""
    if offer.bidder is None:
        problem = Problem(field="bidder", problem="The offer has none", remedy="Give the offer a bidder")
        raise Refused("conflict", f"{offer.name} has no bidder to ask", (problem,))
    return offer


def chosen_of(given: BenchPing, campaign: Campaign | None) -> Chosen:
    """The lead that is asked for."""
    number = None if given.number is None else parse_e164(given.number)
    if isinstance(number, BadPhone):
        raise invalid("number", number.problem, "Send a number such as +14155550100")
    return Chosen(
        campaign=campaign,
        channel=given.channel,
        vertical=given.vertical,
        number=number,
        state=given.state,
        zip=given.zip,
        area_code=given.area_code,
        fields=dict(given.fields),
        attestation=given.attestation,
        source=given.source,
    )


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/offers/{id}/secrets",
        name="list_bidder_secrets",
        tag="bidders",
        summary="Which secrets an offer's bidder has, and which are missing; never the secrets",
        permission="read_config",
        returns=BidderSecrets,
        run=list_secrets,
    ),
    Operation(
        method="PUT",
        path="/api/offers/{id}/secrets",
        name="set_bidder_secrets",
        tag="bidders",
        summary="Keep a bidder's secrets, sealed; they are never shown again",
        permission="administer",
        body=BidderSecretsBody,
        returns=BidderSecrets,
        example=BidderSecretsBody(secrets={"token": "the bidder's token"}),
        run=set_secrets,
    ),
    Operation(
        method="POST",
        path="/api/offers/{id}/test-ping",
        name="test_ping",
        tag="bidders",
        summary="Send a test ping and see the request, the answer and how it is read",
        description=(
            "The ping goes out over the wire, marked as a test. Nothing is reserved, kept or charged, and the"
            " bidder's health and throttle are left alone."
        ),
        permission="change_config",
        body=BenchPing,
        returns=Tried,
        example=BenchPing(zip="94105", number="+14155550100", fields={"homeowner": "yes"}),
        refusals=("conflict",),
        run=send_test_ping,
    ),
    Operation(
        method="GET",
        path="/api/offers/{id}/health",
        name="read_bidder_health",
        tag="bidders",
        summary="How often an offer's bidder bids and wins, how fast it is, and what goes wrong",
        permission="read_auctions",
        query=HealthQuery,
        returns=ToldHealth,
        run=read_health,
    ),
    Operation(
        method="GET",
        path="/api/campaigns/{id}/bidders",
        name="list_campaign_bidders",
        tag="bidders",
        summary="How all bidders of a campaign fare",
        permission="read_config",
        query=HealthQuery,
        returns=CampaignBidders,
        run=list_campaign_bidders,
    ),
)
