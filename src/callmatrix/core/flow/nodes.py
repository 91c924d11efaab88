"""What a flow is made of: its nodes, what comes in, and where an input leads."""

from typing import Annotated, Final, Literal, assert_never

import msgspec

from callmatrix.core.hours import Hours
from callmatrix.core.rules import Rule

MAX_NODES: Final = 500
MAX_STEPS: Final = 100
MAX_TEXT: Final = 4_000
MAX_BRANCHES: Final = 50
MAX_FIELD_LENGTH: Final = 200
FLOW_VERSION: Final = 1

NodeId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{1,40}$")]
FieldName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
Url = Annotated[str, msgspec.Meta(pattern=r"^https?://\S{1,1990}$")]
WaitSeconds = Annotated[int, msgspec.Meta(ge=1, le=60)]
Retries = Annotated[int, msgspec.Meta(ge=0, le=5)]
Key = Literal["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#"]


# What the caller hears and is asked: orders to the carrier, shared with core/call.


class Say(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="say"):
    """Speak a text to the caller (or, in a whisper, to the buyer)."""

    text: str
    language: str = "en-US"


class Play(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="play"):
    """Play a sound file."""

    url: str


class Gather(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="gather"):
    """Ask for keys. `finish_key` "" means that only the length or the timeout ends the entry."""

    prompts: tuple[Say | Play, ...]
    timeout_s: int
    max_digits: int
    finish_key: str = ""
    barge_in: bool = True


class _Node(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
):
    pass


class SayNode(_Node, frozen=True, kw_only=True, tag="say"):
    """Speak `text`, with `{field}` replaced by what was captured."""

    text: Text
    next: NodeId
    language: str = "en-US"


class PlayNode(_Node, frozen=True, kw_only=True, tag="play"):
    """Play a sound file."""

    url: Url
    next: NodeId


class SpokenPrompt(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="say"
):
    """A prompt that is spoken, `{field}` replaced."""

    text: Text
    language: str = "en-US"


class PlayedPrompt(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="play"
):
    """A prompt that is a sound file."""

    url: Url


Prompt = SpokenPrompt | PlayedPrompt


class MenuNode(_Node, frozen=True, kw_only=True, tag="menu"):
    """One key chooses the way on; after `retries` repeats, `no_input` or `invalid` is taken.

    `invalid` None means the same exit as `no_input`. The key is kept in `field` where one is named.
    """

    prompt: Prompt
    branches: Annotated[dict[Key, NodeId], msgspec.Meta(min_length=1, max_length=12)]
    no_input: NodeId
    invalid: NodeId | None = None
    field: FieldName | None = None
    timeout_s: WaitSeconds = 5
    retries: Retries = 2
    barge_in: bool = True


class CollectNode(_Node, frozen=True, kw_only=True, tag="collect"):
    """Keys are read into `field` and checked by `type`; after `retries` repeats, `failed` is taken.

    Types: digits (min to max length), zip (5 digits that exist), date (MMDDYYYY), phone (10 digits,
    kept as E.164), yes_no (1 or 2, kept as "yes" or "no"). `shareable` fields may go into pings.
    """

    prompt: Prompt
    field: FieldName
    next: NodeId
    failed: NodeId
    type: Literal["digits", "zip", "date", "phone", "yes_no"] = "digits"
    min_length: Annotated[int, msgspec.Meta(ge=1, le=32)] = 1
    max_length: Annotated[int, msgspec.Meta(ge=1, le=32)] = 10
    finish_key: Literal["#", "*", ""] = "#"
    timeout_s: WaitSeconds = 5
    retries: Retries = 2
    barge_in: bool = True
    shareable: bool = True


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where `rule` holds, go to `next`."""

    rule: Rule
    next: NodeId


class BranchNode(_Node, frozen=True, kw_only=True, tag="branch"):
    """The first case that holds."""

    cases: Annotated[tuple[Case, ...], msgspec.Meta(min_length=1, max_length=MAX_BRANCHES)]
    otherwise: NodeId


class HoursNode(_Node, frozen=True, kw_only=True, tag="hours"):
    """Open or closed by the node's own hours."""

    hours: Hours
    open: NodeId
    closed: NodeId


class SetNode(_Node, frozen=True, kw_only=True, tag="set"):
    """Set `field` to `value`, with `{field}` replaced."""

    field: FieldName
    value: Annotated[str, msgspec.Meta(max_length=MAX_FIELD_LENGTH)]
    next: NodeId


class LookupNode(_Node, frozen=True, kw_only=True, tag="lookup"):
    """Ask an HTTP JSON service. `send` values and the URL have `{field}` replaced (URL-encoded);
    `read` maps a field to a dotted path in the reply, such as `customer.tier` or `items.0.id`."""

    url: Url
    read: Annotated[dict[FieldName, str], msgspec.Meta(max_length=20)]
    next: NodeId
    failed: NodeId
    method: Literal["GET", "POST"] = "GET"
    send: Annotated[dict[str, str], msgspec.Meta(max_length=20)] = {}
    timeout_ms: Annotated[int, msgspec.Meta(ge=50, le=3_000)] = 1_000


class Share(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`percent` of the callers go to `next`."""

    percent: Annotated[int, msgspec.Meta(ge=1, le=100)]
    next: NodeId


class SplitNode(_Node, frozen=True, kw_only=True, tag="split"):
    """Chance chooses; the percents sum to 100."""

    shares: Annotated[tuple[Share, ...], msgspec.Meta(min_length=2, max_length=10)]


class VoicemailNode(_Node, frozen=True, kw_only=True, tag="voicemail"):
    """Record a message, then hang up."""

    prompt: Prompt
    max_s: Annotated[int, msgspec.Meta(ge=5, le=600)] = 120


class RouteNode(_Node, frozen=True, kw_only=True, tag="route"):
    """Hand the caller to the campaign's routing plan."""


class HangupNode(_Node, frozen=True, kw_only=True, tag="hangup"):
    """End the call."""


Node = (
    SayNode
    | PlayNode
    | MenuNode
    | CollectNode
    | BranchNode
    | HoursNode
    | SetNode
    | LookupNode
    | SplitNode
    | VoicemailNode
    | RouteNode
    | HangupNode
)


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """One way on from a node: `name` is its path inside the node, such as `next` or `branches.1`."""

    name: str
    next: NodeId


def exits(node: Node) -> tuple[Exit, ...]:
    """Every way on from a node, in the order of its document; none where it leaves the flow."""
    match node:
        case SayNode() | PlayNode() | SetNode():
            return (Exit(name="next", next=node.next),)
        case MenuNode():
            keys = tuple(Exit(name=f"branches.{key}", next=to) for key, to in node.branches.items())
            invalid = () if node.invalid is None else (Exit(name="invalid", next=node.invalid),)
            return (*keys, Exit(name="no_input", next=node.no_input), *invalid)
        case CollectNode() | LookupNode():
            return (Exit(name="next", next=node.next), Exit(name="failed", next=node.failed))
        case BranchNode():
            cases = tuple(Exit(name=f"cases.{n}", next=case.next) for n, case in enumerate(node.cases))
            return (*cases, Exit(name="otherwise", next=node.otherwise))
        case HoursNode():
            return (Exit(name="open", next=node.open), Exit(name="closed", next=node.closed))
        case SplitNode():
            return tuple(Exit(name=f"shares.{n}", next=share.next) for n, share in enumerate(node.shares))
        case VoicemailNode() | RouteNode() | HangupNode():
            return ()
        case _:
            assert_never(node)


class Flow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole IVR: named nodes and where it starts."""

    nodes: Annotated[dict[NodeId, Node], msgspec.Meta(min_length=1, max_length=MAX_NODES)]
    start: NodeId
    version: int = FLOW_VERSION


class FlowState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a caller stands: the node that waits for input, and how often it has asked."""

    node: str
    tries: int = 0


# Why the flow itself hung up: a hangup node; more than `MAX_STEPS` nodes without waiting; a node that is
# not in the flow. The last two cannot happen in a published flow.
HANGUP_CODES: Final = ("flow_hangup", "flow_too_long", "flow_broken")


# What may come in …


class Started(msgspec.Struct, frozen=True, tag_field="kind", tag="started"):
    """The caller enters the flow."""


class Digits(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="digits"):
    """Keys, without the finish key."""

    digits: str


class Silence(msgspec.Struct, frozen=True, tag_field="kind", tag="silence"):
    """No key before the timeout."""


class LookupAnswered(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="lookup_answered"):
    """The service answered; `values` has one text per field of `read` that was found."""

    values: dict[str, str]


class LookupFailed(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="lookup_failed"):
    """The service did not answer in time, or not with JSON."""

    code: str


FlowInput = Started | Digits | Silence | LookupAnswered | LookupFailed

# … and where it leads: wait for keys, ask a service, or leave the flow.


class AskCaller(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="ask_caller"):
    """Wait for the caller's keys."""

    gather: Gather


class AskService(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="ask_service"):
    """Ask an HTTP service; `url` and `body` are complete, `read` is the node's mapping."""

    url: str
    method: Literal["GET", "POST"]
    body: dict[str, str]
    read: dict[str, str]
    timeout_ms: int


class ToRouting(msgspec.Struct, frozen=True, tag_field="kind", tag="to_routing"):
    """Leave the flow to the routing plan."""


class ToVoicemail(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="to_voicemail"):
    """Leave the flow to a recording of at most `max_s` seconds."""

    prompt: Say | Play
    max_s: int


class ToHangup(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="to_hangup"):
    """Leave the flow and hang up. `code` is one of `HANGUP_CODES`."""

    code: str


Onward = AskCaller | AskService | ToRouting | ToVoicemail | ToHangup


class Visit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One node passed, for the trace: which exit was taken and why (a code, a key, a failed rule leaf).

    `exit` is the name of one of the node's `exits`, `wait` where the walk stopped for an answer, or the
    node's kind where it left the flow.
    """

    node: str
    exit: str
    detail: str = ""


class Advance(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one input: what to say first, then `onward`; the captured fields, whole."""

    state: FlowState
    fields: dict[str, str]
    spoken: tuple[Say | Play, ...]
    onward: Onward
    visits: tuple[Visit, ...]
