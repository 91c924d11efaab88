"""Once and no more: a POST with an idempotency key is done once, and its answer repeated byte for byte."""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import msgspec
from litestar.response import Response
from nacl.secret import SecretBox

from callmatrix.api.operation import Ask, Operation, Reply
from callmatrix.api.problems import invalid, refused_response
from callmatrix.core.errors import REFUSALS, Refused
from callmatrix.store import repeats
from callmatrix.store.repeats import Answered

LEASE_S: Final = 120
_KEY: Final = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_SERVER_ERROR: Final = 500


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it went out."""

    status: int
    media_type: str
    headers: dict[str, str]
    body: bytes


async def once(
    operation: Operation, ask: Ask, *, key: str, target: str, render: Callable[[Reply], Response[Any]]
) -> Response[Any]:
    """Do the request, or repeat the answer that its key got before.

    Refusals are answers too and are kept; what failed on our side is not, so that it can be tried again.
    The answer is saved after the work: a process that dies between the two lets a repeat do the work again,
    which every operation bears, because `Ask.repeat` names what it makes or books.
    """
    if _KEY.fullmatch(key) is None:
        raise invalid("Idempotency-Key", "It is not a key", "Send 1 to 100 letters, digits and _ . : -")
    account_id, app = ask.who.account_id, ask.app
    # Two people who choose the same key do not meet.
    kept_as = f"{ask.who.id}/{key}"
    request = repeats.request_hash(f"{target} {ask.revision}", ask.raw_body)
    async with app.db.transaction() as tx:
        begun = await repeats.begin(
            tx,
            account_id,
            kept_as,
            request=request,
            now=ask.now,
            lease_until=ask.now + timedelta(seconds=LEASE_S),
        )
    if isinstance(begun, Answered):
        return _again(_opened(operation, ask, begun.response))
    name = hashlib.sha256(f"{account_id}\0{kept_as}\0".encode() + request).digest()
    try:
        answer = render(await operation.run(msgspec.structs.replace(ask, repeat=name)))
    except Refused as refused:
        if REFUSALS[refused.code][0] >= _SERVER_ERROR:
            await _give_up(ask, kept_as, turn=begun.turn)
            raise
        answer = refused_response(refused)
    except BaseException:
        await _give_up(ask, kept_as, turn=begun.turn)
        raise
    kept = _Kept(
        status=answer.status_code or operation.status,
        media_type=str(answer.media_type),
        headers={name: value for name, value in answer.headers.items() if value is not None},
        body=answer.content,
    )
    response = _closed(operation, ask, msgspec.msgpack.encode(kept))
    async with app.db.transaction() as tx:
        if await repeats.finish(
            tx, account_id, kept_as, turn=begun.turn, status=kept.status, response=response
        ):
            return answer
        # The lease ran out and somebody repeated the request: theirs is the answer, for both.
        theirs = await repeats.answered(tx, account_id, kept_as)
    if theirs is None:
        raise Refused("key_in_use", "A repeat of this request is still under way: repeat it a little later")
    return _again(_opened(operation, ask, theirs.response))


async def _give_up(ask: Ask, kept_as: str, *, turn: int) -> None:
    async with ask.app.db.transaction() as tx:
        await repeats.give_up(tx, ask.who.account_id, kept_as, turn=turn)


def _again(kept: _Kept) -> Response[bytes]:
    return Response(kept.body, status_code=kept.status, media_type=kept.media_type, headers=kept.headers)


def _closed(operation: Operation, ask: Ask, packed: bytes) -> bytes:
    """An answer that shows a secret is sealed: what is kept must open nothing."""
    return bytes(SecretBox(_sealing_key(ask)).encrypt(packed)) if operation.secret else packed


def _opened(operation: Operation, ask: Ask, stored: bytes) -> _Kept:
    packed = SecretBox(_sealing_key(ask)).decrypt(stored) if operation.secret else stored
    return msgspec.msgpack.decode(packed, type=_Kept)


def _sealing_key(ask: Ask) -> bytes:
    key = ask.app.settings.secret_key
    if key is None:
        raise Refused("unavailable", "There is no key to seal secrets with; set CALLMATRIX_SECRET_KEY")
    return key
