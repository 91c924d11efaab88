"""How a no looks on the wire: problem+json (RFC 9457) with the code, and each field's problem and remedy."""

from typing import Any, Final

import msgspec
from litestar.exceptions import HTTPException
from litestar.response import Response

from callmatrix.api.operation import MAX_BODY_BYTES, PROBLEM_JSON
from callmatrix.core.documents import encode
from callmatrix.core.errors import REFUSALS, Problem, Refused

DOCS: Final = "/docs#refusals"
_CODE_OF_STATUS: Final = {
    400: "malformed",
    401: "not_signed_in",
    403: "not_allowed",
    404: "not_found",
    405: "wrong_method",
    413: "too_large",
    415: "wrong_media_type",
    429: "too_many_requests",
    503: "unavailable",
}
_DETAILS: Final = {
    "not_found": "Nothing is at this address; /docs lists what there is",
    "wrong_method": "This address does not take this method; /docs lists what it takes",
    "too_large": f"Send at most {MAX_BODY_BYTES} bytes",
}


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused, and what to mend. `code` is one of the refusal codes."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    problems: tuple[Problem, ...] = ()


def document_of(refused: Refused) -> ProblemDocument:
    """A refusal as its document."""
    status, title = REFUSALS[refused.code]
    return ProblemDocument(
        type=f"{DOCS}-{refused.code}",
        title=title,
        status=status,
        detail=refused.detail,
        code=refused.code,
        problems=refused.problems,
    )


def refused_response(refused: Refused, headers: dict[str, str] | None = None) -> Response[bytes]:
    """A refusal as a response."""
    document = document_of(refused)
    extra = dict(headers or {})
    if document.status == 401:
        extra.setdefault("WWW-Authenticate", "Bearer")
    return Response(encode(document), status_code=document.status, media_type=PROBLEM_JSON, headers=extra)


def of_framework(error: HTTPException) -> Refused:
    """What the framework refuses by itself: unknown addresses, methods, bodies over the limit."""
    code = _CODE_OF_STATUS.get(error.status_code, "internal" if error.status_code >= 500 else "malformed")
    return Refused(code, _DETAILS.get(code, str(error.detail)[:200]))


def invalid(field: str, problem: str, remedy: str) -> Refused:
    """A refusal of one field."""
    return Refused("invalid", f"{field}: {problem}", (Problem(field=field, problem=problem, remedy=remedy),))


def not_found(noun: str, record_id: Any) -> Refused:
    """A refusal of an id that is not there, or not shown to who asks."""
    return Refused("not_found", f"There is no {noun} {str(record_id)[:80]}")
