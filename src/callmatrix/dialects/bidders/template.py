"""Any other bidder: its names mapped to texts with tokens, its replies read by path."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any, Final, Literal, assert_never
from urllib.parse import urlencode

import msgspec

from callmatrix.core import documents
from callmatrix.core.auction import NoBid, Ping, Post
from callmatrix.core.campaign import Bidder, Conversion, ReadField, TemplateFormat
from callmatrix.core.errors import Problem
from callmatrix.dialects.bidders.asking import FORM, JSON, XML, Asked, by_query
from callmatrix.dialects.bidders.authentication import Secrets, missing
from callmatrix.dialects.bidders.postings import PostSaid
from callmatrix.dialects.bidders.readings import ExpiryKind, Said, Unreadable, words
from callmatrix.dialects.bidders.tokens import TOKENS, Use, fill, parse, ping_values, post_values, uses
from callmatrix.dialects.bidders.trees import at_path, is_xml_name, read_form, read_json, read_xml, write_xml

MAX_DEPTH: Final = 10
AS_IT_IS: Final = "="
"""A JSON text that begins so is sent as the number, true, false or null that it spells."""

# word -> how it may be read; the first is meant by `text`, too
PING_WORDS: Final[dict[str, tuple[Conversion, ...]]] = {
    "amount": ("money", "text", "number", "cents"),
    "currency": ("text",),
    "bid_id": ("text", "number"),
    "expires_in_s": ("seconds", "text", "number"),
    "expires_at": ("time", "text", "epoch_s", "epoch_ms"),
    "destination": ("phone", "text"),
    "sip": ("text",),
    "min_s": ("seconds", "text", "number"),
    "duplicate_days": ("number", "text"),
    "accepted": ("text", "yes_no", "number"),
    "reason": ("text", "number"),
}
POST_WORDS: Final[dict[str, tuple[Conversion, ...]]] = {
    "accepted": ("text", "yes_no", "number"),
    "destination": ("phone", "text"),
    "sip": ("text",),
    "reference": ("text", "number"),
    "reason": ("text", "number"),
}
_YES: Final = frozenset(("true", "yes", "y", "1"))
_EXPIRY_KINDS: Final[dict[str, ExpiryKind]] = {"epoch_s": "epoch_s", "epoch_ms": "epoch_ms"}
_Nested = dict[str, Any]


# --- asking ----------------------------------------------------------------------------------------------


def ask(ping: Ping, bidder: Bidder, secrets: Secrets) -> Asked | NoBid:
    """The ping by the template; an entry of which a token is empty is left out."""
    form = _form(bidder)
    return _asked(form, form.ping, bidder.ping_url, bidder.method, ping_values(ping, secrets), secrets)


def tell(post: Post, bidder: Bidder, secrets: Secrets) -> Asked | NoBid | None:
    """The post by the template; None where it has none."""
    form = _form(bidder)
    if bidder.post_url is None or not form.post:
        return None
    return _asked(form, form.post, bidder.post_url, bidder.method, post_values(post, secrets), secrets)


def _form(bidder: Bidder) -> TemplateFormat:
    assert isinstance(bidder.format, TemplateFormat)
    return bidder.format


def _asked(
    form: TemplateFormat,
    texts: Mapping[str, str],
    url: str,
    method: Literal["GET", "POST"],
    values: Callable[[str, str], str],
    secrets: Secrets,
) -> Asked | NoBid:
    for name in secrets_of(texts):
        if not secrets.get(name):
            return missing(name)
    filled = [(name, value) for name, text in texts.items() if (value := fill(text, values)) is not None]
    as_it_is = {name for name, text in texts.items() if text.startswith(AS_IT_IS)}
    accept = XML if form.reply == "xml" else FORM if form.reply == "form" else JSON
    encoding = "query" if method == "GET" else form.encoding
    match encoding:
        case "query":
            return by_query(url, filled, method=method, accept=accept)
        case "form":
            body, content_type = urlencode(filled, errors="replace").encode(), FORM
        case "json":
            body, content_type = documents.encode(_nested(_as_json(filled, as_it_is))), JSON
        case "xml":
            body, content_type = write_xml(form.root, _nested(filled)), XML
        case _:
            assert_never(encoding)
    return Asked(method="POST", url=url, body=body, content_type=content_type, accept=accept)


def _nested(filled: Iterable[tuple[str, Any]]) -> _Nested:
    tree: _Nested = {}
    for name, value in filled:
        *outer, last = name.split(".")
        place = tree
        for part in outer[:MAX_DEPTH]:
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                inner = place[part] = {}
            place = inner
        place[last] = value
    return tree


def _as_json(filled: list[tuple[str, str]], as_it_is: Container[str]) -> Iterator[tuple[str, object]]:
    """Whether a value is a text is the template's to say, never the value's: it may begin with anything."""
    for name, value in filled:
        yield name, _spelled(value[len(AS_IT_IS) :]) if name in as_it_is else value


def _spelled(spelled: str) -> object:
    try:
        value = documents.decode(spelled, _Scalar)
    except (msgspec.DecodeError, ValueError):
        return spelled
    # An exact number goes out digit by digit as it is spelled.
    return msgspec.Raw(spelled.strip().encode()) if isinstance(value, int | float) else value


_Scalar: Any = int | float | bool | None


def secrets_of(texts: Mapping[str, str]) -> tuple[str, ...]:
    """The secrets that these texts name, in order."""
    named = (use.argument for text in texts.values() for use in uses(text) if use.name == "secret")
    return tuple(dict.fromkeys(named))


# --- reading ---------------------------------------------------------------------------------------------


def read(body: bytes, bidder: Bidder) -> Said | NoBid:
    """The reply's values by their paths. Where `accepted` is read, only one of `accepts` is a yes."""
    form = _form(bidder)
    tree = _tree(form, body)
    found = {word: _found(tree, field) for word, field in form.read_ping.items()}
    if "accepted" in found and not _accepted(found["accepted"], form.read_ping["accepted"], form):
        return NoBid(code="no_bid", detail=_refusal(found))
    kinds = {word: field.conversion for word, field in form.read_ping.items()}
    amount = found.get("amount")
    if amount is None and found.get("reason") is None:
        raise Unreadable(f"The reply has nothing at {_path_of(form.read_ping, 'amount')}")
    return Said(
        amount=amount,
        in_cents=kinds.get("amount") == "cents",
        currency=found.get("currency"),
        bid_id=found.get("bid_id"),
        lasts_s=found.get("expires_in_s"),
        expires_at=found.get("expires_at"),
        expires_as=_EXPIRY_KINDS.get(kinds.get("expires_at", "time"), "time"),
        number=found.get("destination"),
        sip=found.get("sip"),
        min_s=found.get("min_s"),
        duplicate_days=found.get("duplicate_days"),
        reason=found.get("reason"),
    )


def heard(body: bytes, bidder: Bidder) -> PostSaid:
    """The post's reply by its paths; where nothing is read of it, it is a yes."""
    form = _form(bidder)
    if not form.read_post:
        return PostSaid(accepted=True)
    tree = _tree(form, body)
    found = {word: _found(tree, field) for word, field in form.read_post.items()}
    accepted = "accepted" not in found or _accepted(found["accepted"], form.read_post["accepted"], form)
    return PostSaid(
        accepted=accepted,
        number=found.get("destination"),
        sip=found.get("sip"),
        reference=found.get("reference"),
        reason=_refusal(found),
    )


def _tree(form: TemplateFormat, body: bytes) -> Any:
    match form.reply:
        case "json":
            return read_json(body)
        case "xml":
            return read_xml(body)
        case "form":
            return read_form(body)
        case _:
            assert_never(form.reply)


def _found(tree: Any, field: ReadField) -> object:
    """The value at a path; an empty text is nothing."""
    own = isinstance(tree, dict) and field.path in tree  # a name of theirs may have dots
    value = tree[field.path] if own else at_path(tree, field.path)
    return None if value == "" else value


def _accepted(value: object, field: ReadField, form: TemplateFormat) -> bool:
    text = words(value).casefold()
    if field.conversion == "yes_no":
        return text in _YES
    return text in (one.casefold() for one in form.accepts)


def _refusal(found: Mapping[str, object]) -> str:
    reason = found.get("reason")
    return words(found.get("accepted") if reason is None else reason)


def _path_of(fields: Mapping[str, ReadField], word: str) -> str:
    return fields[word].path if word in fields else word


# --- what is wrong with a template -------------------------------------------------------------------------


def template_problems(form: TemplateFormat) -> tuple[Problem, ...]:
    """What must be mended before an offer with this format is saved; fields are named below `format`."""
    return (
        *_text_problems(form, form.ping, "ping"),
        *_text_problems(form, form.post, "post"),
        *_name_problems(form, form.ping, "ping"),
        *_name_problems(form, form.post, "post"),
        *_word_problems(form.read_ping, PING_WORDS, "read_ping"),
        *_word_problems(form.read_post, POST_WORDS, "read_post"),
        *_missing_amount(form),
        *_bare_paths(form),
    )


def _text_problems(
    form: TemplateFormat, texts: Mapping[str, str], part: Literal["ping", "post"]
) -> Iterator[Problem]:
    for name, text in texts.items():
        parsed = parse(text)
        for wrong in parsed.wrong:
            yield Problem(field=f"{part}.{name}", problem=wrong, remedy="Use a token of docs/exchange.md")
        for use in uses(text):
            if not _is_had(use, part):
                yield Problem(
                    field=f"{part}.{name}",
                    problem=f"A {part} does not have {{{use.name}}}",
                    remedy=f"Leave it out, or use it in the {'post' if part == 'ping' else 'ping'}",
                )


def _is_had(use: Use, part: Literal["ping", "post"]) -> bool:
    token = TOKENS.get(f"{use.name}:NAME" if use.argument else use.name)
    if token is None:
        return True  # none of ours: said already
    _sentence, in_ping, in_post = token
    return in_ping if part == "ping" else in_post


def _name_problems(form: TemplateFormat, texts: Mapping[str, str], part: str) -> Iterator[Problem]:
    if form.encoding not in ("json", "xml"):
        return
    for name in texts:
        parts = name.split(".")
        if "" in parts or len(parts) > MAX_DEPTH:
            yield Problem(
                field=f"{part}.{name}",
                problem=f"The name has an empty part, or more than {MAX_DEPTH}",
                remedy="Write it as outer.inner",
            )
        elif form.encoding == "xml" and not all(
            is_xml_name(one.removeprefix("@") if one is parts[-1] else one) for one in parts
        ):
            yield Problem(
                field=f"{part}.{name}",
                problem="XML does not allow this name",
                remedy="Use letters, digits, dashes and underscores, a letter first",
            )
        for count in range(1, len(parts)):
            if ".".join(parts[:count]) in texts:
                yield Problem(
                    field=f"{part}.{name}",
                    problem=f"{'.'.join(parts[:count])} has a value of its own, and cannot hold others",
                    remedy="Rename one of them",
                )


def _word_problems(
    fields: Mapping[str, ReadField], known: Mapping[str, tuple[Conversion, ...]], part: str
) -> Iterator[Problem]:
    for word, field in fields.items():
        if word not in known:
            yield Problem(
                field=f"{part}.{word}",
                problem=f"{word} is none of our words",
                remedy=f"Use one of: {', '.join(known)}",
            )
        elif field.conversion not in known[word]:
            yield Problem(
                field=f"{part}.{word}.conversion",
                problem=f"{word} cannot be read as {field.conversion}",
                remedy=f"Use one of: {', '.join(known[word])}",
            )


def _missing_amount(form: TemplateFormat) -> Iterator[Problem]:
    if "amount" not in form.read_ping:
        yield Problem(
            field="read_ping.amount",
            problem="It is not said where the reply's amount stands",
            remedy='Add its path, such as {"path": "bid"}',
        )


def _bare_paths(form: TemplateFormat) -> Iterator[Problem]:
    for part, fields in (("read_ping", form.read_ping), ("read_post", form.read_post)):
        for word, field in fields.items():
            if not field.path and form.reply == "form":
                yield Problem(
                    field=f"{part}.{word}.path", problem="The path is empty", remedy="Name the form's field"
                )
