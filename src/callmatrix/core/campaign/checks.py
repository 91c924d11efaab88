"""What is wrong with a configuration document before it is saved; warnings are told apart."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise

from callmatrix.core import geo, hours, rules
from callmatrix.core.campaign.bidders import TrackDriveFormat
from callmatrix.core.campaign.bidding import asking_problems, holding_problems, holding_warnings
from callmatrix.core.campaign.documents import (
    BY_FORM,
    PERCENT,
    Account,
    Buyer,
    Campaign,
    Entry,
    FallbackOffer,
    Number,
    Offer,
    Publisher,
    PublisherInCampaign,
)
from callmatrix.core.caps import limits_problems
from callmatrix.core.errors import MAX_PROBLEMS, Problem
from callmatrix.core.hours import Hours
from callmatrix.core.ids import BuyerId, CampaignId, OfferId, PublisherId
from callmatrix.core.money import ZERO
from callmatrix.core.pricing import (
    NEVER_S,
    BidPrice,
    FixedPrice,
    Price,
    PublisherTerms,
    minimum_threshold_s,
    payout_precedes_revenue,
    price_problems,
    terms_of,
)
from callmatrix.core.rules import Rule


def account_problems(account: Account) -> tuple[Problem, ...]:
    """What must be mended before an account is saved."""
    return _some((*_zone(account.time_zone), *limits_problems(account.limits, field="limits")))


def buyer_problems(buyer: Buyer) -> tuple[Problem, ...]:
    """What must be mended before a buyer is saved."""
    found = [*_zone(buyer.time_zone), *limits_problems(buyer.limits, field="limits")]
    if buyer.credit_limit < ZERO:
        found.append(
            Problem(field="credit_limit", problem="The credit limit is negative", remedy="Use 0 or more")
        )
    return _some(found)


def publisher_problems(publisher: Publisher) -> tuple[Problem, ...]:
    """What must be mended before a publisher is saved."""
    return _some(
        (
            *_zone(publisher.time_zone),
            *limits_problems(publisher.limits, field="limits"),
            *_terms(publisher.terms, "terms"),
        )
    )


def offer_problems(offer: Offer) -> tuple[Problem, ...]:
    """What must be mended before an offer is saved."""
    return _some(
        (
            *_zone(offer.time_zone),
            *_hours(offer.hours),
            *_rule(offer.rule, "rule"),
            *price_problems(offer.price, field="price"),
            *limits_problems(offer.limits, field="limits"),
            *_reroute(offer, offer.price, "reroute_below_s"),
            *_twice(offer.required_fields, "required_fields"),
            *_form(offer),
            *asking_problems(offer),
        )
    )


def campaign_problems(
    campaign: Campaign,
    *,
    offers: Mapping[OfferId, Offer],
    buyers: Mapping[BuyerId, Buyer],
    publishers: Collection[PublisherId],
    flow_fields: Collection[str],
) -> tuple[Problem, ...]:
    """What must be mended before a campaign is saved, given all offers, buyers and publishers.

    `flow_fields` are the fields that its flow may capture; without a flow, none.
    """
    floor = campaign.margin_floor.amount
    found = [
        *_zone(campaign.time_zone),
        *_hours(campaign.hours),
        *limits_problems(campaign.limits, field="limits"),
        *plan_problems(campaign, offers=offers, buyers=buyers),
        *_states(campaign.geography.states),
    ]
    if floor < ZERO:
        found.append(
            Problem(field="margin_floor.amount", problem="The floor is negative", remedy="Use 0 or more")
        )
    if campaign.terms is not None:
        found += _terms(campaign.terms, "terms")
    found += _twice((one.publisher_id for one in campaign.publishers), "publishers", part="publisher_id")
    for place, one in enumerate(campaign.publishers):
        found += _publisher_in_campaign(one, f"publishers.{place}", known=publishers)
    for place, entry in enumerate(campaign.plan.entries):
        found += _entry(entry, f"plan.entries.{place}", offer=offers.get(entry.offer_id))
    found += _uncaptured(campaign, offers=offers, flow_fields=flow_fields)
    found += _other_offer_when_closed(campaign)
    found += holding_problems(campaign, offers=offers)
    return _some(found)


def _other_offer_when_closed(campaign: Campaign) -> Iterable[Problem]:
    """A plan has one offer outside of its entries: the fallback's; a closed campaign may use that one."""
    closed, fallback = campaign.closed_treatment, campaign.fallback
    if isinstance(closed, FallbackOffer) and closed != fallback:
        yield Problem(
            field="closed_treatment.offer_id",
            problem="It is not the campaign's fallback offer",
            remedy="Name the same offer as the fallback does, or treat closed calls in another way",
        )


def campaign_warnings(
    campaign: Campaign, *, offers: Mapping[OfferId, Offer], publishers: Mapping[PublisherId, Publisher]
) -> tuple[Problem, ...]:
    """What a campaign may be saved with, but somebody should know: payout earned before revenue (rule 8),
    and auctions in which bidders are not asked or not waited for."""
    early = _early_payouts(campaign, offers=offers, publishers=publishers)
    return _some((*early, *holding_warnings(campaign, offers=offers)))


def number_problems(number: Number, *, campaigns: Collection[CampaignId]) -> tuple[Problem, ...]:
    """What must be mended before a number is saved, given all campaigns."""
    found: list[Problem] = []
    for place, assignment in enumerate(number.assignments):
        field = f"assignments.{place}"
        percent = sum(share.percent for share in assignment.split)
        if percent != PERCENT:
            found.append(
                Problem(
                    field=f"{field}.split",
                    problem=f"The percents sum to {percent}",
                    remedy=f"Let them sum to {PERCENT}",
                )
            )
        found += _twice(
            (share.campaign_id for share in assignment.split), f"{field}.split", part="campaign_id"
        )
        found += (
            _unknown(share.campaign_id, "campaign", f"{field}.split.{order}.campaign_id")
            for order, share in enumerate(assignment.split)
            if share.campaign_id not in campaigns
        )
        if assignment.ends_at is not None and assignment.ends_at <= assignment.starts_at:
            found.append(
                Problem(
                    field=f"{field}.ends_at", problem="It ends before it starts", remedy="Let it end later"
                )
            )
    for place, (earlier, later) in enumerate(pairwise(number.assignments), start=1):
        if later.starts_at <= earlier.starts_at:
            found.append(
                Problem(
                    field=f"assignments.{place}.starts_at",
                    problem="It does not start after the assignment before it",
                    remedy="Sort the assignments by their start",
                )
            )
    return _some(found)


def plan_problems(
    campaign: Campaign, *, offers: Mapping[OfferId, Offer], buyers: Mapping[BuyerId, Buyer]
) -> tuple[Problem, ...]:
    """What keeps a campaign's routing plan from being compiled, given all offers and buyers."""
    named = [
        (f"plan.entries.{place}.offer_id", entry.offer_id)
        for place, entry in enumerate(campaign.plan.entries)
    ]
    if isinstance(campaign.fallback, FallbackOffer):
        named.append(("fallback.offer_id", campaign.fallback.offer_id))
    found = _twice((entry.offer_id for entry in campaign.plan.entries), "plan.entries", part="offer_id")
    for field, offer_id in named:
        offer = offers.get(offer_id)
        if offer is None:
            found.append(_unknown(offer_id, "offer", field))
            continue
        if offer.buyer_id not in buyers:
            found.append(_unknown(offer.buyer_id, "buyer", field))
        found += _hours(offer.hours, f"{field}: hours")
        found += _rule(offer.rule, f"{field}: rule")
    for place, entry in enumerate(campaign.plan.entries):
        found += _rule(entry.rule, f"plan.entries.{place}.rule")
    return _some(found)


def _some(found: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(found)[:MAX_PROBLEMS]


def _unknown(named: str, what: str, field: str) -> Problem:
    return Problem(
        field=field, problem=f"There is no {what} {named}", remedy=f"Add the {what} or leave it out"
    )


def _twice(named: Iterable[str], field: str, *, part: str = "") -> list[Problem]:
    seen: set[str] = set()
    found: list[Problem] = []
    for place, name in enumerate(named):
        if name in seen:
            path = f"{field}.{place}.{part}" if part else f"{field}.{place}"
            found.append(Problem(field=path, problem=f"{name} is there twice", remedy="Keep one of them"))
        seen.add(name)
    return found


def _zone(name: str) -> Iterator[Problem]:
    if name not in geo.zone_names():
        yield Problem(
            field="time_zone",
            problem=f"{name!r} is not an IANA time zone",
            remedy="Name a zone such as America/Chicago",
        )


def _hours(opening: Hours | None, field: str = "hours") -> tuple[Problem, ...]:
    return () if opening is None else hours.problems(opening, field=field)


def _rule(rule: Rule | None, field: str) -> tuple[Problem, ...]:
    return () if rule is None else rules.problems(rule, field=field)


def _terms(terms: PublisherTerms, field: str) -> tuple[Problem, ...]:
    return price_problems(terms.payout, field=f"{field}.payout")


def _states(states: tuple[str, ...]) -> Iterator[Problem]:
    for place, state in enumerate(states):
        if state not in geo.STATE_NAMES:
            yield Problem(
                field=f"geography.states.{place}",
                problem=f"{state!r} is not a state",
                remedy="Use the two letters of the postal service, such as CA",
            )


def _reroute(offer: Offer, price: Price, field: str) -> Iterator[Problem]:
    """Rule 19: a call that is handed on must not have been billable yet."""
    threshold_s = minimum_threshold_s(price)
    if offer.reroute_below_s and offer.reroute_below_s >= threshold_s:
        yield Problem(
            field=field,
            problem=f"Calls under {offer.reroute_below_s} s are routed on, but {threshold_s} s are billed",
            remedy=f"Re-route below less than {threshold_s} s, or bill later",
        )


def _form(offer: Offer) -> Iterator[Problem]:
    """An offer that takes forms: there is no duration, and the post to its bidder is the sale."""
    if BY_FORM.isdisjoint(offer.channels):
        return
    yield from _form_price(offer.price, "price")
    if offer.converts_on != "duration":
        yield Problem(
            field="converts_on",
            problem=f"A form is owed when its buyer accepts it, not by {offer.converts_on}",
            remedy="Use duration, or make an offer apart for forms",
        )
    if offer.bidder is None or not (offer.bidder.post_url or _posts_by_its_format(offer)):
        yield Problem(
            field="bidder.post_url" if offer.bidder is not None else "bidder",
            problem="Nobody says where forms are posted to",
            remedy="Give the offer a bidder with a post_url, or let it take calls only",
        )


def _posts_by_its_format(offer: Offer) -> bool:
    """TrackDrive's post commits a bid; without one there is nothing to commit."""
    trackdrive = offer.bidder is not None and isinstance(offer.bidder.format, TrackDriveFormat)
    return trackdrive and isinstance(offer.price, BidPrice)


def _form_price(price: Price, field: str) -> Iterator[Problem]:
    if not isinstance(price, FixedPrice | BidPrice) or price.after_s:
        yield Problem(
            field=field,
            problem="A form has no duration that a price could hang on",
            remedy="Use a fixed price or a bid with after_s 0, or make an offer apart for forms",
        )


def _publisher_in_campaign(
    one: PublisherInCampaign, field: str, *, known: Collection[PublisherId]
) -> Iterator[Problem]:
    if one.publisher_id not in known:
        yield _unknown(one.publisher_id, "publisher", f"{field}.publisher_id")
    if one.terms is not None:
        yield from _terms(one.terms, f"{field}.terms")
    yield from limits_problems(one.limits, field=f"{field}.limits")


def _entry(entry: Entry, field: str, *, offer: Offer | None) -> Iterator[Problem]:
    yield from limits_problems(entry.limits, field=f"{field}.limits")
    if entry.price is None:
        return
    yield from price_problems(entry.price, field=f"{field}.price")
    if offer is not None:
        yield from _reroute(offer, entry.price, f"{field}.price")
        if not BY_FORM.isdisjoint(offer.channels):
            yield from _form_price(entry.price, f"{field}.price")


def _uncaptured(
    campaign: Campaign, *, offers: Mapping[OfferId, Offer], flow_fields: Collection[str]
) -> Iterator[Problem]:
    for place, entry in enumerate(campaign.plan.entries):
        offer = offers.get(entry.offer_id)
        if offer is None or "call" not in offer.channels:  # what a form brings is not known before it comes
            continue
        missing = [name for name in offer.required_fields if name not in flow_fields]
        if missing:
            yield Problem(
                field=f"plan.entries.{place}.offer_id",
                problem=f"{entry.offer_id} requires {', '.join(missing)}, which the flow never captures",
                remedy="Let the flow capture it, or don't require it",
            )


def _early_payouts(
    campaign: Campaign, *, offers: Mapping[OfferId, Offer], publishers: Mapping[PublisherId, Publisher]
) -> Iterator[Problem]:
    own = {one.publisher_id: one.terms for one in campaign.publishers}
    in_force = {
        terms_of(
            publisher=publisher.terms, campaign=campaign.terms, publisher_in_campaign=own.get(publisher_id)
        ): publisher_id
        for publisher_id, publisher in publishers.items()
    }
    for place, entry in enumerate(campaign.plan.entries):
        offer = offers.get(entry.offer_id)
        if offer is None:
            continue
        price = entry.price or offer.price
        for terms, publisher_id in in_force.items():
            if payout_precedes_revenue(price, converts_on=offer.converts_on, terms=terms):
                yield Problem(
                    field=f"plan.entries.{place}",
                    problem=f"{publisher_id} can earn payout before {entry.offer_id} owes anything",
                    remedy=_later(offer, price),
                )
                break


def _later(offer: Offer, price: Price) -> str:
    threshold_s = minimum_threshold_s(price)
    if offer.converts_on != "duration" or threshold_s == NEVER_S:
        return "Pay only if the call converts"
    return f"Pay from {threshold_s} s on, or only if the call converts"
