"""The readable page at /docs: the OpenAPI document as one HTML page without scripts or outside files."""

import json
from html import escape
from typing import Any, Final

from callmatrix.core.errors import REFUSALS

MAX_DEPTH: Final = 4
MAX_SHOWN_FIELDS: Final = 60

_STYLE: Final = """
:root { color-scheme: light dark; --fg: #1c2430; --bg: #fff; --soft: #f3f5f8; --line: #d9dee6; --dim: #5b6675;
  --get: #0b6bcb; --post: #1f7a3d; --put: #8a5a00; --delete: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --fg: #e4e8ee; --bg: #14181f; --soft: #1d232c; --line: #323b48;
  --dim: #9aa5b4; --get: #6bb0ff; --post: #6fce8f; --put: #e0b25a; --delete: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.55 system-ui, sans-serif; color: var(--fg); background: var(--bg); }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem; }
nav { display: flex; flex-wrap: wrap; gap: .3rem .9rem; padding: .8rem 0;
  border-bottom: 1px solid var(--line); }
a { color: var(--get); }
h1 { margin: 0; } h2 { margin-top: 2.2rem; border-bottom: 1px solid var(--line); }
h2::first-letter { text-transform: uppercase; }
h4 { margin: .9rem 0 .2rem; }
details { margin: .5rem 0; border: 1px solid var(--line); border-radius: 6px; }
summary { cursor: pointer; padding: .45rem .7rem; background: var(--soft); border-radius: 6px; }
details > div { padding: .3rem .9rem .9rem; }
code, pre { font: 13px/1.5 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .7rem; background: var(--soft); border: 1px solid var(--line);
  border-radius: 6px; }
.method { display: inline-block; min-width: 4.2rem; font: 600 13px ui-monospace, monospace; }
.GET { color: var(--get); } .POST { color: var(--post); } .PUT, .PATCH { color: var(--put); }
.DELETE { color: var(--delete); }
.dim { color: var(--dim); }
table { border-collapse: collapse; width: 100%; } td, th { padding: .25rem .6rem .25rem 0; text-align: left;
  vertical-align: top; border-bottom: 1px solid var(--line); white-space: nowrap; }
td:last-child { width: 100%; white-space: normal; overflow-wrap: anywhere; }
"""


def docs_page(described: dict[str, Any]) -> str:
    """The page of an OpenAPI document: a section for each tag, and the table of refusals."""
    tags = [tag["name"] for tag in described["tags"]]
    sections = "".join(_section(described, tag) for tag in tags)
    links = "".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in (*tags, "refusals"))
    info = described["info"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(info['title'])} API</h1><p>{_prose(info['description'])} "
        'The same as <a href="/openapi.json">OpenAPI 3.1</a>.</p>'
        f"<nav>{links}</nav>{sections}{_refusals()}</main></body></html>"
    )


def _section(described: dict[str, Any], tag: str) -> str:
    operations = "".join(
        _operation(described, path=path, method=method, operation=operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
        if tag in operation["tags"]
    )
    return f'<section id="{escape(tag)}"><h2>{escape(tag)}</h2>{operations}</section>'


def _operation(described: dict[str, Any], *, path: str, method: str, operation: dict[str, Any]) -> str:
    verb = method.upper()
    parts = [
        f"<p>{_prose(operation['description'])}</p>",
        _parameters(operation["parameters"]),
        _body(described, operation),
        f"<h4>Call</h4><pre>{escape(_curl(described, verb=verb, path=path, operation=operation))}</pre>",
        _answers(described, operation),
    ]
    return (
        f'<details id="{operation["operationId"]}"><summary><span class="method {verb}">{verb}</span>'
        f'<code>{escape(path)}</code> <span class="dim">{escape(operation["summary"])}</span></summary>'
        f"<div>{''.join(parts)}</div></details>"
    )


def _parameters(parameters: list[dict[str, Any]]) -> str:
    if not parameters:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code></td><td>{one['in']}</td>"
        f"<td>{'required' if one['required'] else 'optional'}</td>"
        f"<td><code>{escape(_told(one['schema']))}</code> {escape(one.get('description', ''))}</td></tr>"
        for one in parameters
    )
    return f"<h4>Parameters</h4><table>{rows}</table>"


def _body(described: dict[str, Any], operation: dict[str, Any]) -> str:
    body = operation.get("requestBody")
    if body is None:
        return ""
    media_type, media = next(iter(body["content"].items()))
    shape = _shape(described, media["schema"], depth=0)
    example = media.get("example")
    told = _resolved(described, media["schema"])[0].get("description", "")
    prose = f"<p>{_prose(told)}</p>" if told else ""
    shown = f"<h4>Example</h4><pre>{escape(json.dumps(example, indent=2))}</pre>" if example else ""
    return f"<h4>Body <code>{escape(media_type)}</code></h4>{prose}<pre>{escape(shape)}</pre>{shown}"


def _answers(described: dict[str, Any], operation: dict[str, Any]) -> str:
    rows = []
    shape = ""
    for status, response in operation["responses"].items():
        rows.append(f"<tr><td><code>{status}</code></td><td>{_prose(response['description'])}</td></tr>")
        content = response.get("content", {}).get("application/json")
        if content is not None:
            shape = f"<pre>{escape(_shape(described, content['schema'], depth=0))}</pre>"
    return f"<h4>Answers</h4><table>{''.join(rows)}</table>{shape}"


def _curl(described: dict[str, Any], *, verb: str, path: str, operation: dict[str, Any]) -> str:
    words = ["curl" if verb == "GET" else f"curl -X {verb}"]
    if operation["security"]:
        words.append('-H "Authorization: Bearer $CALLMATRIX_KEY"')
    if any(one["name"] == "If-Match" for one in operation["parameters"]):
        words.append("-H 'If-Match: \"1\"'")
    body = operation.get("requestBody")
    if body is not None:
        media_type, media = next(iter(body["content"].items()))
        example = json.dumps(media.get("example", {})).replace("'", "'\\''")
        words += [f"-H 'Content-Type: {media_type}'", f"-d '{example}'"]
    words.append(f"'{described['servers'][0]['url']}{path}'")
    return " \\\n  ".join(words)


def _shape(described: dict[str, Any], schema: dict[str, Any], *, depth: int) -> str:
    """A schema as indented text: names, types and bounds; deeper shapes by name."""
    found, name = _resolved(described, schema)
    if depth >= MAX_DEPTH:
        return name or _told(found)
    if "properties" in found:
        required = set(found.get("required", ()))
        lines = []
        for field, inner in list(found["properties"].items())[:MAX_SHOWN_FIELDS]:
            mark = "" if field in required else "?"
            lines.append(f"{'  ' * (depth + 1)}{field}{mark}: {_shape(described, inner, depth=depth + 1)}")
        return "{\n" + "\n".join(lines) + "\n" + "  " * depth + "}"
    if found.get("type") == "array" and isinstance(found.get("items"), dict):
        return f"[{_shape(described, found['items'], depth=depth)}]"
    kinds = found.get("anyOf")
    if kinds:
        return " | ".join(_resolved(described, kind)[1] or _told(kind) for kind in kinds)
    return _told(found)


def _resolved(described: dict[str, Any], schema: dict[str, Any]) -> tuple[dict[str, Any], str]:
    reference = schema.get("$ref")
    if reference is None:
        return schema, ""
    name = reference.rpartition("/")[2]
    return described["components"]["schemas"][name], name


def _told(schema: dict[str, Any]) -> str:
    """One schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_told(kind) for kind in schema["anyOf"])
    words = [str(schema.get("format") or schema.get("type", "any"))]
    words += [
        f"{word} {schema[word]}" for word in ("minimum", "maximum", "maxLength", "pattern") if word in schema
    ]
    if "default" in schema:
        words.append(f"default {json.dumps(schema['default'])}")
    return ", ".join(words)


def _refusals() -> str:
    rows = "".join(
        f'<tr id="refusals-{code}"><td><code>{code}</code></td><td>{status}</td><td>{escape(title)}</td></tr>'
        for code, (status, title) in REFUSALS.items()
    )
    return f'<section id="refusals"><h2>refusals</h2><table>{rows}</table></section>'


def _prose(text: str) -> str:
    """Plain text with `code` marked."""
    pieces = escape(text).split("`")
    marked = [f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces)]
    return "".join(marked).replace("\n\n", "</p><p>")
