"""Decides which campaign and publisher a number's call belongs to, also after the number was taken away."""

import hashlib
from datetime import datetime, timedelta

import msgspec

from callmatrix.core.campaign.documents import PERCENT, Assignment, Number
from callmatrix.core.ids import CampaignId


class Assigned(msgspec.Struct, frozen=True, kw_only=True):
    """The assignment that a call follows. `late`: it had ended; `pays`: its publisher may still earn."""

    assignment: Assignment
    late: bool = False
    pays: bool = True


def assignment_at(number: Number, at: datetime) -> Assigned | None:
    """The number's assignment at an instant: the last that began and has not ended, else, until the number
    is available to others, the last that ended (rule 29). None: the call is nobody's."""
    begun = sorted((one for one in number.assignments if one.starts_at <= at), key=lambda one: one.starts_at)
    if not begun or number.status == "disabled":
        return None
    in_force = [one for one in begun if one.ends_at is None or at < one.ends_at]
    if in_force:
        return Assigned(assignment=in_force[-1])
    if number.status == "available":
        return None
    last = max(begun, key=_end_of)
    pays_until = _end_of(last) + timedelta(days=number.late_payout_days)
    return Assigned(assignment=last, late=True, pays=at < pays_until)


def _end_of(assignment: Assignment) -> datetime:
    assert assignment.ends_at is not None
    return assignment.ends_at


def choose_campaign(assignment: Assignment, *, caller: str | None, number: str, draw: int) -> CampaignId:
    """The campaign of a split: by percent and sticky by caller (rule 31); callers who hide their number
    are placed by the draw."""
    if caller is None:
        place = draw % PERCENT
    else:
        told = hashlib.blake2b(f"{number} {caller}".encode(), digest_size=8).digest()
        place = int.from_bytes(told, "big") % PERCENT
    for share in assignment.split:
        place -= share.percent
        if place < 0:
            return share.campaign_id
    return assignment.split[-1].campaign_id
