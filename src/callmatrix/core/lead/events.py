"""What happens to a lead that came by form: past participles, each with its instant; stored."""

from datetime import datetime
from typing import Literal

import msgspec

from callmatrix.core.auction import NoBidCode
from callmatrix.core.call.events import Adjusted as Adjusted
from callmatrix.core.call.events import BidsReturned as BidsReturned
from callmatrix.core.call.events import CapFull as CapFull
from callmatrix.core.call.events import Looked as Looked
from callmatrix.core.call.events import Reserved as Reserved
from callmatrix.core.call.events import TimedOut as TimedOut
from callmatrix.core.ids import AttemptId, PublisherId
from callmatrix.core.lead.value import Consent, Contact
from callmatrix.core.pricing import PastCall


class _Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    at: datetime


class Submitted(_Event, frozen=True, kw_only=True, tag="submitted"):
    """A form came in. It carries what is read live at that instant (rule 1).

    `blocked_by` is the block-list entry that the phone matches; `previous_at` is when a form of the same
    phone came to this campaign last; `campaign_status` and `campaign_open` are the live ones.
    """

    contact: Contact
    fields: dict[str, str] = {}
    consent: Consent | None = None
    source_url: str = ""
    ip: str = ""
    external_id: str = ""
    publisher_id: PublisherId | None = None
    publisher_paused: bool = False
    blocked_by: str = ""
    previous_at: datetime | None = None
    campaign_status: Literal["draft", "live", "paused", "archived"] = "live"
    campaign_open: bool = True
    test: bool = False
    pings: bool = True


class PostAnswered(_Event, frozen=True, kw_only=True, tag="post_answered"):
    """The buyer's answer to the post: taken, or not (`code`). `history` is that of the phone, read under its
    lock in the transaction that settles (rule 18)."""

    attempt_id: AttemptId
    code: NoBidCode | Literal[""] = ""
    detail: str = ""
    reference: str = ""
    history: tuple[PastCall, ...] = ()


Event = Submitted | Looked | BidsReturned | Reserved | CapFull | PostAnswered | TimedOut | Adjusted
