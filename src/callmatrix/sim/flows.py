"""The IVR flows of the seeded network: what its callers hear before they are routed."""

from typing import Final

from callmatrix.core.campaign import FlowDocument
from callmatrix.core.flow import (
    BranchNode,
    Case,
    CollectNode,
    Flow,
    HangupNode,
    HoursNode,
    LookupNode,
    MenuNode,
    Node,
    RouteNode,
    SayNode,
    SetNode,
    Share,
    SplitNode,
    SpokenPrompt,
    VoicemailNode,
)
from callmatrix.core.hours import Hours, Span
from callmatrix.core.ids import FlowId
from callmatrix.core.rules import Leaf

PLUMBING: Final = FlowId("flw_plumbing")
MEDICARE: Final = FlowId("flw_medicare")
AUTO: Final = FlowId("flw_auto")
LEGAL: Final = FlowId("flw_legal")


def plumbing() -> FlowDocument:
    """The kind of work, the caller's ZIP, and a way out for callers from outside California."""
    flow = Flow(
        start="welcome",
        nodes={
            "welcome": SayNode(text="Thank you for calling Golden State Plumbing Help.", next="work"),
            "work": MenuNode(
                prompt=SpokenPrompt(
                    text="For a leak or another emergency, press 1. For a water heater, press 2. "
                    "For anything else, press 3."
                ),
                branches={"1": "emergency", "2": "heater", "3": "other"},
                field="work",
                no_input="other",
            ),
            "emergency": SetNode(field="service", value="emergency", next="zip"),
            "heater": SetNode(field="service", value="water_heater", next="zip"),
            "other": SetNode(field="service", value="general", next="zip"),
            "zip": CollectNode(
                prompt=SpokenPrompt(text="Please enter the five-digit ZIP code where you need a plumber."),
                field="zip",
                type="zip",
                next="connecting",
                failed="connecting",
                retries=1,
            ),
            "connecting": SayNode(text="Please hold while we find a plumber near you.", next="buyers"),
            "buyers": RouteNode(),
        },
    )
    return FlowDocument(id=PLUMBING, name="Plumbing intake", draft=flow)


def medicare() -> FlowDocument:
    """Sixty-five or older, already enrolled or not, the ZIP; others are thanked and let go."""
    flow = Flow(
        start="age",
        nodes={
            "age": CollectNode(
                prompt=SpokenPrompt(
                    text="Thank you for calling Florida Medicare Helpline. Are you sixty-five or older? "
                    "For yes press 1, for no press 2."
                ),
                field="is_65",
                type="yes_no",
                next="old_enough",
                failed="enrolled",
                shareable=True,
            ),
            "old_enough": BranchNode(
                cases=(
                    Case(
                        rule=Leaf(subject="field", name="is_65", operator="equal", values=("no",)),
                        next="too_young",
                    ),
                ),
                otherwise="enrolled",
            ),
            "enrolled": CollectNode(
                prompt=SpokenPrompt(
                    text="Do you have Medicare Part A and Part B? For yes press 1, for no press 2."
                ),
                field="has_a_and_b",
                type="yes_no",
                next="zip",
                failed="zip",
                retries=1,
            ),
            "zip": CollectNode(
                prompt=SpokenPrompt(text="Please enter your five-digit ZIP code."),
                field="zip",
                type="zip",
                next="advisor",
                failed="advisor",
            ),
            "advisor": SayNode(text="A licensed advisor will be with you shortly.", next="buyers"),
            "buyers": RouteNode(),
            "too_young": SayNode(
                text="This line is for people of sixty-five and older. Thank you for calling.", next="end"
            ),
            "end": HangupNode(),
        },
    )
    return FlowDocument(id=MEDICARE, name="Medicare screening", draft=flow)


def auto() -> FlowDocument:
    """Insured now or not, the ZIP; two greetings are compared."""
    flow = Flow(
        start="greeting",
        nodes={
            "greeting": SplitNode(
                shares=(Share(percent=50, next="short_greeting"), Share(percent=50, next="long_greeting"))
            ),
            "short_greeting": SayNode(text="Auto quotes in minutes.", next="insured"),
            "long_greeting": SayNode(
                text="Welcome to Open Road Quotes. We compare auto insurers in your state.", next="insured"
            ),
            "insured": MenuNode(
                prompt=SpokenPrompt(
                    text="If you have auto insurance now, press 1. If you do not, press 2. "
                    "To leave a message, press 9."
                ),
                branches={"1": "is_insured", "2": "not_insured", "9": "message"},
                invalid="not_insured",
                no_input="not_insured",
                retries=1,
            ),
            "is_insured": SetNode(field="insured", value="yes", next="zip"),
            "not_insured": SetNode(field="insured", value="no", next="zip"),
            "zip": CollectNode(
                prompt=SpokenPrompt(text="Please enter your ZIP code."),
                field="zip",
                type="zip",
                next="buyers",
                failed="buyers",
                retries=1,
            ),
            "message": VoicemailNode(
                prompt=SpokenPrompt(text="Please leave your name and number after the tone."), max_s=90
            ),
            "buyers": RouteNode(),
        },
    )
    return FlowDocument(id=AUTO, name="Auto quotes", draft=flow)


def legal(lookup_url: str | None) -> FlowDocument:
    """The year of the accident and, where a CRM is given, whether the caller is a client already."""
    is_client = Leaf(subject="field", name="client", operator="equal", values=("true",))
    # A published flow has no unreachable nodes: those of the lookup come only with its address.
    crm: dict[str, Node] = (
        {}
        if lookup_url is None
        else {
            "crm": LookupNode(
                url=lookup_url,
                send={"zip": "{caller_zip}", "state": "{caller_state}", "injured": "{injured}"},
                read={"client": "client", "case": "case.id"},
                timeout_ms=800,
                next="known",
                failed="office",
            ),
            "known": BranchNode(cases=(Case(rule=is_client, next="client"),), otherwise="office"),
            "client": SayNode(text="Welcome back. We are calling your attorney's office.", next="buyers"),
        }
    )
    flow = Flow(
        start="injured",
        nodes={
            "injured": CollectNode(
                prompt=SpokenPrompt(
                    text="You have reached Injury Help Line. Were you hurt in the accident? "
                    "For yes press 1, for no press 2."
                ),
                field="injured",
                type="yes_no",
                next="month",
                failed="office",
                retries=1,
            ),
            "month": CollectNode(
                prompt=SpokenPrompt(text="How many months ago was it? Enter the number, then press pound."),
                field="months_ago",
                type="digits",
                max_length=3,
                next="office" if lookup_url is None else "crm",
                failed="office",
                retries=1,
            ),
            **crm,
            "office": HoursNode(
                hours=Hours(
                    time_zone="America/New_York",
                    spans=tuple(
                        Span(day=day, opens_minute=7 * 60, closes_minute=24 * 60) for day in range(7)
                    ),
                ),
                open="buyers",
                closed="night",
            ),
            "night": SayNode(
                text="Our offices are closed, but an intake specialist may still be there.", next="buyers"
            ),
            "buyers": RouteNode(),
        },
    )
    return FlowDocument(id=LEGAL, name="Injury intake", draft=flow)
