"""Which fields a flow captures, and which of them are ZIPs or may be told to bidders."""

from callmatrix.core import geo
from callmatrix.core.flow import texts
from callmatrix.core.flow.nodes import CollectNode, Flow, LookupNode, MenuNode, Node, SetNode


def captured_by(node: Node) -> tuple[str, ...]:
    """The fields that a node may capture."""
    match node:
        case CollectNode() | SetNode():
            return (node.field,)
        case MenuNode():
            return () if node.field is None else (node.field,)
        case LookupNode():
            return tuple(node.read)
        case _:
            return ()


def fields_of(flow: Flow) -> frozenset[str]:
    """Every field that a caller's way through the flow may capture."""
    return frozenset(name for node in flow.nodes.values() for name in captured_by(node))


def zip_fields(flow: Flow) -> frozenset[str]:
    """The fields that are collected as a ZIP: one that exists outranks the area code."""
    return frozenset(
        node.field for node in flow.nodes.values() if isinstance(node, CollectNode) and node.type == "zip"
    )


def captured_zip(zips: frozenset[str], fields: dict[str, str]) -> str | None:
    """The first captured of a flow's `zip_fields` that exists."""
    found = (value for name, value in fields.items() if name in zips)
    return next((value for value in found if geo.from_zip(value) is not geo.UNKNOWN), None)


def shareable_fields(flow: Flow) -> frozenset[str]:
    """The captured fields that may go into pings: those that no node keeps from it.

    Kept are collected fields that say so, telephone numbers (a ping never carries the caller), whatever a
    lookup answered (it may be a customer's record), and texts set from a field that is kept.
    """
    kept = {name for node in flow.nodes.values() if _keeps(node) for name in captured_by(node)}
    set_nodes = [node for node in flow.nodes.values() if isinstance(node, SetNode)]
    for _ in set_nodes:
        spread = {node.field for node in set_nodes if kept.intersection(texts.places(node.value))} - kept
        if not spread:
            break
        kept |= spread
    return fields_of(flow) - kept


def _keeps(node: Node) -> bool:
    match node:
        case CollectNode():
            return not node.shareable or node.type == "phone"
        case LookupNode():
            return True
        case _:
            return False
