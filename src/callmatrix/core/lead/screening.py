"""Whether a form is refused before any buyer is asked: what is paused, blocked, repeated, or a machine's."""

from callmatrix.core import phone
from callmatrix.core.campaign import FormTerms
from callmatrix.core.lead.events import Submitted


def rejected(terms: FormTerms, event: Submitted) -> tuple[str, dict[str, str]] | None:
    """The code and the compared values of the first reason to refuse, or None."""
    if event.blocked_by:
        return "block_list", {"entry": event.blocked_by}
    if event.publisher_paused:
        return "publisher_paused", {"publisher": str(event.publisher_id)}
    if event.campaign_status != "live" and not event.test:
        return f"campaign_{event.campaign_status}", {}
    if not event.campaign_open:
        return "campaign_closed", {"at": event.at.isoformat()}
    if terms.trap is not None and event.fields.get(terms.trap):
        return "trap_filled", {"field": terms.trap}
    kind = phone.kind(event.contact.phone)
    if kind != "geographic":
        return "phone_kind", {"kind": kind}
    if event.previous_at is not None and terms.repeat_within_s and not event.test:
        seconds = int((event.at - event.previous_at).total_seconds())
        if 0 <= seconds < terms.repeat_within_s:
            return "repeat", {"seconds": str(seconds), "within_s": str(terms.repeat_within_s)}
    return None
