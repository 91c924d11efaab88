"""Describes the operations as an OpenAPI 3.1 document, its shapes from the types that are used."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from callmatrix.api.access import PERMISSIONS, ROLES
from callmatrix.api.operation import JSON, MERGE_PATCH, PROBLEM_JSON, Operation
from callmatrix.api.problems import ProblemDocument
from callmatrix.api.schemas import schemas_of
from callmatrix.core.documents import to_plain
from callmatrix.core.errors import REFUSALS

OPENAPI_VERSION: Final = "3.1.0"
API_VERSION: Final = "1"
_PATH_PARAMETER: Final = re.compile(r"\{(\w+)\}")

_ALWAYS: Final = ("internal", "unavailable")
_SIGNED_IN: Final = ("not_signed_in", "not_allowed")
_WITH_BODY: Final = ("malformed", "too_large", "wrong_media_type")
_WITH_KEY: Final = ("key_reused", "key_in_use")

_INTRODUCTION: Final = (
    "Management of a CallMatrix network. Sign in with a session cookie, or send an API key as "
    "`Authorization: Bearer cmk_…`. Money is a decimal string in the account's currency, times are RFC 3339 "
    "in UTC. Errors are problem+json with a `code`. Every POST takes an `Idempotency-Key`."
)


def document(operations: Sequence[Operation], *, server: str) -> dict[str, Any]:
    """The whole OpenAPI document as plain values."""
    schema_of, components = schemas_of(_types(operations))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, schema_of)
    return {
        "openapi": OPENAPI_VERSION,
        "info": {"title": "CallMatrix", "version": API_VERSION, "description": _INTRODUCTION},
        "servers": [{"url": server}],
        "tags": [{"name": tag} for tag in dict.fromkeys(one.tag for one in operations)],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key, cmk_…"},
                "session": {"type": "apiKey", "in": "cookie", "name": "callmatrix_session"},
            },
        },
    }


def _types(operations: Iterable[Operation]) -> list[Any]:
    found: dict[str, Any] = {_key(ProblemDocument): ProblemDocument}
    for operation in operations:
        for kind in (operation.body, operation.returns):
            if kind is not None:
                found.setdefault(_key(kind), kind)
        if operation.query is not None:
            for field in msgspec.structs.fields(operation.query):
                found.setdefault(_key(field.type), field.type)
    return list(found.values())


def _key(kind: Any) -> str:
    return repr(kind)


def _described(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": _description(operation),
        "parameters": _parameters(operation, schema_of),
        "responses": _responses(operation, schema_of),
        "security": [] if operation.permission == "public" else _security(operation),
    }
    if operation.body is not None:
        described["requestBody"] = _request_body(operation, schema_of)
    return described


def _description(operation: Operation) -> str:
    if operation.permission == "public":
        return operation.description
    roles, scope = PERMISSIONS[operation.permission]
    key = f"; an API key needs the scope {scope}" if scope is not None else "; not with an API key"
    role = "role" if len(roles) == 1 else "roles"
    allowed = f"For the {role} {', '.join(one for one in ROLES if one in roles)}{key}."
    return f"{operation.description}\n\n{allowed}".strip()


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    _, scope = PERMISSIONS[operation.permission]
    return [{"session": []}] if scope is None else [{"key": []}, {"session": []}]


def _parameters(operation: Operation, schema_of: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PATH_PARAMETER.findall(operation.path)
    ]
    if operation.query is not None:
        for field in msgspec.structs.fields(operation.query):
            schema = dict(schema_of[_key(field.type)])
            optional = field.default is not msgspec.NODEFAULT
            if optional and field.default is not None:
                schema["default"] = to_plain(field.default)
            found.append(
                {
                    "name": field.encode_name,
                    "in": "query",
                    "required": not optional,
                    "schema": _settled(schema),
                }
            )
    if operation.needs_revision:
        found.append(
            {
                "name": "If-Match",
                "in": "header",
                "required": True,
                "description": "The revision that you have read, as in its ETag",
                "schema": {"type": "string", "pattern": '^"[0-9]{1,9}"$', "examples": ['"1"']},
            }
        )
    if operation.takes_key:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "The same key with the same request gets the first answer again",
                "schema": {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,100}$"},
            }
        )
    return found


def _settled(schema: dict[str, Any]) -> dict[str, Any]:
    """A query parameter cannot be null: it is left out instead."""
    kinds = schema.get("anyOf")
    if kinds is None:
        return schema
    left = [kind for kind in kinds if kind != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return rest | (left[0] if len(left) == 1 else {"anyOf": left})


def _request_body(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    if operation.patches:
        schema: dict[str, Any] = {"type": "object", "description": "A merge patch (RFC 7396) of the document"}
        media = {MERGE_PATCH: {"schema": schema}}
    else:
        media = {JSON: {"schema": schema_of[_key(operation.body)]}}
    if operation.example is not None:
        for each in media.values():
            each["example"] = _shown(to_plain(operation.example))
    return {"required": True, "content": media}


def _shown(plain: Any) -> Any:
    """An example without what may as well be left out."""
    if isinstance(plain, dict):
        return {name: _shown(value) for name, value in plain.items() if value is not None}
    return [_shown(one) for one in plain] if isinstance(plain, list) else plain


def _responses(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    done: dict[str, Any] = {"description": "Done"}
    if operation.returns is not None:
        done["content"] = {operation.returned_as: {"schema": schema_of[_key(operation.returns)]}}
        for media in operation.other_media:
            done["content"][media] = {"schema": {"type": "string"}}
    responses = {str(operation.status): done}
    by_status: dict[int, list[str]] = {}
    for code in refusal_codes(operation):
        by_status.setdefault(REFUSALS[code][0], []).append(code)
    for status, codes in sorted(by_status.items()):
        told = "; ".join(f"`{code}`: {REFUSALS[code][1]}" for code in codes)
        schema = schema_of[_key(ProblemDocument)]
        responses[str(status)] = {"description": told, "content": {PROBLEM_JSON: {"schema": schema}}}
    return responses


def refusal_codes(operation: Operation) -> tuple[str, ...]:
    """Every code with which an operation may be refused."""
    codes = ["invalid", *operation.refusals, *_ALWAYS]
    if operation.permission != "public":
        codes += _SIGNED_IN
    if "{" in operation.path:
        codes.append("not_found")
    if operation.body is not None:
        codes += _WITH_BODY
    if operation.needs_revision:
        codes.append("changed_meanwhile")
    if operation.takes_key:
        codes += _WITH_KEY
    return tuple(dict.fromkeys(codes))
