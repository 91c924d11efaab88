"""Flows beyond their documents: checks, versions, what callers did, and stepping one without a call."""

from datetime import timedelta
from typing import Annotated, Any, Final

import msgspec

from callmatrix.api.config import NOUNS, by_of, record_of, record_reply, revision_of
from callmatrix.api.config_acts import ActBody
from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.pages import IdText, Instant, Page
from callmatrix.api.problems import invalid
from callmatrix.core import geo
from callmatrix.core.campaign import FlowDocument
from callmatrix.core.documents import from_plain, problem_of
from callmatrix.core.errors import MAX_PROBLEMS
from callmatrix.core.flow import (
    FLOW_VERSION,
    MAX_NODES,
    Advance,
    Flow,
    FlowInput,
    FlowProblem,
    FlowState,
    Node,
    NodeId,
    Started,
    advance,
    problems,
)
from callmatrix.core.ids import FlowId
from callmatrix.core.phone import BadPhone, parse_e164
from callmatrix.core.rules import Facts
from callmatrix.store import catalog, flow_use, flows
from callmatrix.store.flow_use import FlowStanding, FlowUse
from callmatrix.store.flows import FlowVersion

MAX_TEXT: Final = 200
MAX_DAYS_COUNTED: Final = 31

_NOUN: Final = next(noun for noun in NOUNS if noun.one == "flow")
Version = Annotated[int, msgspec.Meta(ge=1, le=999_999_999)]
Texts = Annotated[
    dict[Annotated[str, msgspec.Meta(max_length=60)], Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]],
    msgspec.Meta(max_length=100),
]


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps a draft from being published; nothing: it may be."""

    publishable: bool
    problems: tuple[FlowProblem, ...]


class UncheckedFlow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A flow while it is edited: its nodes may still lack what their kind needs."""

    nodes: Annotated[dict[str, Any], msgspec.Meta(min_length=1, max_length=MAX_NODES)]
    start: Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
    version: int = FLOW_VERSION


class DraftProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to mend in a node ("" means the whole flow), in its field where it is one field's."""

    node: str
    field: str
    code: str
    problem: str
    remedy: str


class CheckedDraft(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a flow could be saved as a draft, whether it could be published, and why not."""

    saveable: bool
    publishable: bool
    problems: tuple[DraftProblem, ...]


class PublishedFlow(msgspec.Struct, frozen=True, kw_only=True):
    """A published version, whole."""

    flow_id: str
    version: int
    flow: Flow


class StepBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One input of a caller. Send `state` and `fields` as the step before answered them; none to begin.

    The draft is stepped, or the published `version`. `draw` is the chance of splits.
    """

    input: FlowInput = Started()
    state: FlowState | None = None
    fields: Texts = {}
    version: Version | None = None
    caller: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    dialed: Annotated[str, msgspec.Meta(max_length=64)] = ""
    publisher_id: IdText | None = None
    tags: Texts = {}
    at: Instant | None = None
    draw: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)] = 0


class UseQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many days to look back."""

    days: Annotated[int, msgspec.Meta(ge=1, le=MAX_DAYS_COUNTED)] = 7


async def check_flow(ask: Ask) -> Reply:
    """What is wrong with the draft."""
    async with ask.app.db.transaction() as tx:
        stored = await catalog.get(tx, ask.who.account_id, FlowDocument, ask.path["id"])
    found = problems(stored.document.draft)
    return Reply(value=Checked(publishable=not found, problems=found))


async def check_draft(ask: Ask) -> Reply:
    """What is wrong with a flow that is not saved; nodes are read one by one, so that each is told of."""
    given = ask.given(UncheckedFlow)
    nodes: dict[str, Node] = {}
    found: list[DraftProblem] = []
    for name, plain in given.nodes.items():
        try:
            nodes[from_plain(name, NodeId)] = from_plain(plain, Node)  # type: ignore[arg-type]
        except msgspec.ValidationError as error:
            wrong = problem_of(error)
            found.append(
                DraftProblem(
                    node=name[:MAX_TEXT],
                    field=wrong.field,
                    code="invalid",
                    problem=wrong.problem,
                    remedy=wrong.remedy,
                )
            )
    saveable = not found
    if saveable:
        whole = problems(Flow(nodes=nodes, start=given.start, version=given.version))
        found = [
            DraftProblem(node=one.node, field="", code=one.code, problem=one.problem, remedy=one.remedy)
            for one in whole
        ]
    told = tuple(found[:MAX_PROBLEMS])
    return Reply(value=CheckedDraft(saveable=saveable, publishable=not told, problems=told))


async def publish_flow(ask: Ask) -> Reply:
    """New calls use the draft from now on."""
    async with ask.app.db.transaction() as tx:
        version = await flows.publish(
            tx,
            ask.who.account_id,
            FlowId(ask.path["id"]),
            by=by_of(ask, ask.given(ActBody).note),
            expected_revision=ask.revision,
        )
    location = f"/api/flows/{version.flow_id}/versions/{version.version}"
    return Reply(value=version, status=201, headers={"Location": location})


async def list_standings(ask: Ask) -> Reply:
    """How every flow stands."""
    async with ask.app.db.transaction() as tx:
        found = await flow_use.standings(tx, ask.who.account_id)
    return Reply(value=Page(items=found))


async def read_use(ask: Ask) -> Reply:
    """The ways that callers took through a flow."""
    flow_id, days = FlowId(ask.path["id"]), ask.asked(UseQuery).days
    async with ask.app.db.transaction() as tx:
        await catalog.get(tx, ask.who.account_id, FlowDocument, flow_id)
        found = await flow_use.use(
            tx, ask.who.account_id, flow_id, since=ask.now - timedelta(days=days), until=ask.now
        )
    return Reply(value=found)


async def list_versions(ask: Ask) -> Reply:
    """Published versions, newest first."""
    flow_id = FlowId(ask.path["id"])
    async with ask.app.db.transaction() as tx:
        await catalog.get(tx, ask.who.account_id, FlowDocument, flow_id)
        found = await flows.versions(tx, ask.who.account_id, flow_id)
    return Reply(value=Page(items=found))


async def read_version(ask: Ask) -> Reply:
    """One published version."""
    flow_id, version = FlowId(ask.path["id"]), revision_of(ask.path["version"])
    async with ask.app.db.transaction() as tx:
        flow = await flows.at_version(tx, ask.who.account_id, flow_id, version)
    return Reply(value=PublishedFlow(flow_id=flow_id, version=version, flow=flow))


async def restore_version(ask: Ask) -> Reply:
    """A published version becomes the draft again."""
    async with ask.app.db.transaction() as tx:
        stored = await flows.restore_version(
            tx,
            ask.who.account_id,
            FlowId(ask.path["id"]),
            revision_of(ask.path["version"]),
            by=by_of(ask, ask.given(ActBody).note),
            expected_revision=ask.revision,
        )
    return record_reply(_NOUN, stored, ask.who)


async def step_flow(ask: Ask) -> Reply:
    """Advance the flow by one input, exactly as a call would; stores nothing."""
    given, flow_id = ask.given(StepBody), FlowId(ask.path["id"])
    async with ask.app.db.transaction() as tx:
        if given.version is None:
            stored = await catalog.get(tx, ask.who.account_id, FlowDocument, flow_id)
            flow = stored.document.draft
        else:
            flow = await flows.at_version(tx, ask.who.account_id, flow_id, given.version)
    if given.state is not None and given.state.node not in flow.nodes:
        raise invalid(
            "state.node", f"There is no node {given.state.node[:40]}", "Begin again, without a state"
        )
    moved = advance(
        flow, given.state, given.input, fields=given.fields, facts=_facts(ask, given, flow), draw=given.draw
    )
    return Reply(value=moved)


def _facts(ask: Ask, given: StepBody, flow: Flow) -> Facts:
    caller = None
    if given.caller is not None:
        read = parse_e164(given.caller)
        if isinstance(read, BadPhone):
            raise invalid("caller", read.problem, "Send a number such as +14155550100, or none")
        caller = read
    known = geo.caller_geo(caller, None)
    return Facts(
        at=given.at or ask.now,
        caller=caller,
        dialed_number=given.dialed,
        caller_state=known.state,
        area_code=known.area_code,
        zip=known.zip,
        publisher_id=given.publisher_id,
        campaign_id="",
        attestation="none",
        fields=given.fields,
        tags=given.tags,
    )


_TAG: Final = "flows"

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/flows/{id}/problems",
        name="check_flow",
        tag=_TAG,
        summary="What keeps the draft from being published",
        permission="read_config",
        returns=Checked,
        run=check_flow,
    ),
    Operation(
        method="POST",
        path="/api/flow-checks",
        name="check_flow_draft",
        tag=_TAG,
        summary="What is wrong with a flow that is being edited, saved or not",
        permission="read_config",
        body=UncheckedFlow,
        returns=CheckedDraft,
        example={"start": "end", "nodes": {"end": {"kind": "hangup"}}},
        run=check_draft,
    ),
    Operation(
        method="POST",
        path="/api/flows/{id}/publish",
        name="publish_flow",
        tag=_TAG,
        summary="Make the draft the version that new calls use",
        permission="change_config",
        body=ActBody,
        returns=FlowVersion,
        status=201,
        example=ActBody(note="Shorter greeting"),
        refusals=("conflict", "changed_meanwhile"),
        run=publish_flow,
    ),
    Operation(
        method="GET",
        path="/api/flow-standings",
        name="list_flow_standings",
        tag=_TAG,
        summary="Of every flow: the published version, whether the draft differs, and who uses it",
        permission="read_config",
        returns=Page[FlowStanding],
        run=list_standings,
    ),
    Operation(
        method="GET",
        path="/api/flows/{id}/use",
        name="read_flow_use",
        tag=_TAG,
        summary="How many callers took each way through a flow in the last days",
        permission="read_config",
        query=UseQuery,
        returns=FlowUse,
        run=read_use,
    ),
    Operation(
        method="GET",
        path="/api/flows/{id}/versions",
        name="list_flow_versions",
        tag=_TAG,
        summary="Published versions, newest first",
        permission="read_config",
        returns=Page[FlowVersion],
        run=list_versions,
    ),
    Operation(
        method="GET",
        path="/api/flows/{id}/versions/{version}",
        name="read_flow_version",
        tag=_TAG,
        summary="One published version",
        permission="read_config",
        returns=PublishedFlow,
        run=read_version,
    ),
    Operation(
        method="POST",
        path="/api/flows/{id}/versions/{version}/restore",
        name="restore_flow_version",
        tag=_TAG,
        summary="Make a published version the draft again",
        permission="change_config",
        body=ActBody,
        returns=record_of(_NOUN.body),
        example=ActBody(note="Back to the old menu"),
        refusals=("conflict", "changed_meanwhile"),
        run=restore_version,
    ),
    Operation(
        method="POST",
        path="/api/flows/{id}/step",
        name="step_flow",
        tag=_TAG,
        summary="Step a flow by one input, as a call would, without a call",
        permission="read_config",
        body=StepBody,
        returns=Advance,
        example={"input": {"kind": "started"}, "caller": "+14155550100"},
        run=step_flow,
    ),
)
