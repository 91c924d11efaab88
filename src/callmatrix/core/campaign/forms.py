"""On what terms a campaign takes leads that come by form."""

from typing import Annotated, Final

import msgspec

from callmatrix.core.campaign.document import Document
from callmatrix.core.flow import FieldName

MAX_FORM_FIELDS: Final = 60
MIN_SELL_S: Final = 5
MAX_SELL_S: Final = 3_600


class FormTerms(Document, frozen=True, kw_only=True):
    """What a form must bring, what is taken for spam, and how long it may take to sell.

    `consent_required`: without the text that the sender agreed to, and when, a form is not read.
    `repeat_within_s`: the same phone again within so many seconds is refused as a repeat.
    `trap` is a field that people don't see: a form in which it is filled comes from a machine.
    `shared_fields` may be told in pings; fields that say who somebody is never are.
    `sell_within_s`: later than so many seconds after it came, no further buyer gets it.
    """

    consent_required: bool = True
    required_fields: Annotated[tuple[FieldName, ...], msgspec.Meta(max_length=MAX_FORM_FIELDS)] = ()
    shared_fields: Annotated[tuple[FieldName, ...], msgspec.Meta(max_length=MAX_FORM_FIELDS)] = ()
    repeat_within_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 60
    trap: FieldName | None = None
    sell_within_s: Annotated[int, msgspec.Meta(ge=MIN_SELL_S, le=MAX_SELL_S)] = 300
