"""Leads that come by form: a machine, total over (state, event), that sells one to the best buyer, once."""

from callmatrix.core.lead.draft import Step as Step
from callmatrix.core.lead.events import Event as Event
from callmatrix.core.lead.facts import facts_of as facts_of
from callmatrix.core.lead.facts import fields_of as fields_of
from callmatrix.core.lead.facts import lead_of as lead_of
from callmatrix.core.lead.machine import given_at as given_at
from callmatrix.core.lead.machine import step as step
from callmatrix.core.lead.value import MAX_ADJUSTMENTS as MAX_ADJUSTMENTS
from callmatrix.core.lead.value import OVER as OVER
from callmatrix.core.lead.value import Attempt as Attempt
from callmatrix.core.lead.value import Consent as Consent
from callmatrix.core.lead.value import Contact as Contact
from callmatrix.core.lead.value import FormLead as FormLead
from callmatrix.core.lead.value import State as State
