"""The one exception that says no at the edge, and the table of its codes."""

from typing import Final

import msgspec

MAX_PROBLEMS: Final = 100


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with an input: where, what, and how to mend it.

    `field` is a path such as `nodes.menu1.branches` or `price.amount`; empty means the whole document.
    """

    field: str
    problem: str
    remedy: str


# code -> (HTTP status, title). Every code that `Refused` carries is listed here and in docs/api.md.
REFUSALS: Final[dict[str, tuple[int, str]]] = {
    "invalid": (422, "The request is not valid"),
    "malformed": (400, "The body could not be read"),
    "too_large": (413, "The body is too large"),
    "not_signed_in": (401, "Sign in first"),
    "bad_signature": (403, "The signature is missing or wrong"),
    "not_allowed": (403, "Not allowed"),
    "not_found": (404, "There is no such record"),
    "wrong_method": (405, "This method is not offered here"),
    "wrong_media_type": (415, "This media type is not read here"),
    "changed_meanwhile": (409, "Somebody changed this record meanwhile"),
    "conflict": (409, "The request conflicts with what is there"),
    "key_reused": (422, "The idempotency key was used for another request"),
    "key_in_use": (409, "A request with this idempotency key is still under way"),
    "too_many_requests": (429, "Too many requests"),
    "internal": (500, "Something went wrong here"),
    "unavailable": (503, "Temporarily unavailable"),
}


class Refused(Exception):
    """An expected no. `code` is a key of `REFUSALS`; `problems` say what to mend."""

    def __init__(self, code: str, detail: str, problems: tuple[Problem, ...] = ()) -> None:
        assert code in REFUSALS, code
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.problems = problems[:MAX_PROBLEMS]
