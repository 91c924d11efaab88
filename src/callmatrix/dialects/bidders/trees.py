"""Reads JSON, XML and forms of strangers as plain trees, finds values in them by path, and writes XML."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl
from xml.parsers import expat

import msgspec

from callmatrix.dialects.bidders.readings import MAX_NUMBER_CHARS, Unreadable

MAX_ELEMENTS: Final = 5_000
MAX_DEPTH: Final = 50
MAX_FORM_FIELDS: Final = 500
MAX_INDEX_DIGITS: Final = 4
TEXT: Final = "#text"
"""Where the text of an element stands that has attributes or elements beside it."""

_BOM: Final = b"\xef\xbb\xbf"
_XML_NAME: Final = re.compile(r"(?!(?i:xml))[A-Za-z_][A-Za-z0-9_.-]{0,79}")
_NOT_IN_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE_ESCAPES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
)

Tree = Mapping[str, "str | Tree"]


def exact(text: str) -> Decimal | None:
    """A JSON number with a point or exponent, to the last digit; None where it is no sensible one."""
    return Decimal(text) if len(text) <= MAX_NUMBER_CHARS else None


def json_decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """A decoder whose numbers are exact. Give fields that strangers fill the type `Any`."""
    return msgspec.json.Decoder(kind, float_hook=exact)


_ANYTHING: Final = json_decoder(Any)


def read_json(body: bytes, decoder: msgspec.json.Decoder[Any] = _ANYTHING) -> Any:
    """A JSON body by this decoder; raises `Unreadable`."""
    try:
        return decoder.decode(body[len(_BOM) :] if body.startswith(_BOM) else body)
    except msgspec.ValidationError:
        raise Unreadable("The reply is JSON, but not an object") from None
    except (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError):
        raise Unreadable("The reply is not JSON") from None


def read_form(body: bytes) -> dict[str, str]:
    """A form's fields; of those with one name the first."""
    try:
        pairs = parse_qsl(
            body.decode().strip(), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS, errors="strict"
        )
    except ValueError:
        raise Unreadable("The reply is not a form") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name, value)
    if not fields:
        raise Unreadable("The reply is not a form")
    return fields


def read_xml(body: bytes) -> dict[str, Any] | str:
    """The root element: elements by local name (a list where one repeats), attributes as `@name`, text as
    itself or as `#text`. Raises `Unreadable`, also for a document type, so that no entity is expanded."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    # Of each open element: its content so far, its text.
    stack: list[tuple[dict[str, Any], list[str]]] = [({}, [])]
    count = 0

    def started(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > MAX_ELEMENTS or len(stack) > MAX_DEPTH:
            raise Unreadable("The reply's XML is too large or too deep")
        stack.append(({f"@{_local(key)}": value for key, value in attributes.items()}, []))

    def ended(name: str) -> None:
        content, texts = stack.pop()
        _put(stack[-1][0], _local(name), _element(content, "".join(texts).strip()))

    def spoken(text: str) -> None:
        stack[-1][1].append(text)

    def refused(*_: Any) -> None:
        raise Unreadable("The reply's XML has a document type, which is not read")

    parser.StartElementHandler = started
    parser.EndElementHandler = ended
    parser.CharacterDataHandler = spoken
    parser.StartDoctypeDeclHandler = refused
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError, ValueError):
        raise Unreadable("The reply is not XML") from None
    (root,) = stack[0][0].values()
    return root  # type: ignore[no-any-return]


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _element(content: dict[str, Any], text: str) -> dict[str, Any] | str:
    if not content:
        return text
    if text:
        content[TEXT] = text
    return content


def _put(parent: dict[str, Any], name: str, value: Any) -> None:
    if name not in parent:
        parent[name] = value
    elif isinstance(parent[name], list):
        parent[name].append(value)
    else:
        parent[name] = [parent[name], value]


def at_path(tree: Any, path: str) -> Any:
    """The value at a dotted path, None where there is none. A number is a place in a list; without one the
    first place is meant, and place 0 of what is no list is the thing itself (an element may repeat)."""
    for part in path.split(".") if path else ():
        if isinstance(tree, list):
            is_place = part.isascii() and part.isdigit() and len(part) <= MAX_INDEX_DIGITS
            place = int(part) if is_place else 0
            tree = tree[place] if place < len(tree) else None
            if is_place:
                continue
        if isinstance(tree, dict) and part in tree:
            tree = tree[part]
        elif part != "0" or tree is None:
            return None
    if isinstance(tree, list):
        tree = tree[0] if tree else None
    return tree[TEXT] if isinstance(tree, dict) and isinstance(tree.get(TEXT), str) else tree


def write_xml(root: str, tree: Tree) -> bytes:
    """A document of this root and these elements; `@name` is an attribute. Names that XML does not allow
    are left out, and so are characters that it cannot carry."""
    return ('<?xml version="1.0" encoding="UTF-8"?>' + _written(root, tree)).encode()


def _written(name: str, value: "str | Tree") -> str:
    if isinstance(value, str):
        return f"<{name}>{xml_text(value)}</{name}>"
    attributes = "".join(
        f' {key[1:]}="{xml_attribute(one)}"'
        for key, one in value.items()
        if isinstance(one, str) and key.startswith("@") and is_xml_name(key[1:])
    )
    inner = "".join(_written(key, one) for key, one in value.items() if is_xml_name(key))
    return f"<{name}{attributes}>{inner}</{name}>"


def xml_text(value: str) -> str:
    """A value as it stands between tags."""
    return _NOT_IN_XML.sub("", value).translate(_TEXT_ESCAPES)


def xml_attribute(value: str) -> str:
    """A value as it stands between an attribute's double quotes."""
    return _NOT_IN_XML.sub("", value).translate(_ATTRIBUTE_ESCAPES)


def is_xml_name(name: str) -> bool:
    """Whether an element or attribute may be called so."""
    return _XML_NAME.fullmatch(name) is not None
