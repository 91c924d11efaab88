"""Gathers a process's claims and settlements into batches: one in flight per account and direction."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from callmatrix.core.caps import Claim, Settlement
from callmatrix.core.ids import AccountId
from callmatrix.store import reservations as store
from callmatrix.store.db import Database, DatabaseGone, Transaction
from callmatrix.store.reservations import MAX_BATCH, Answer
from callmatrix.world import World

MAX_WAITING: Final = 5_000
"""How many claims or settlements of one account may wait in one process; more are refused at once."""
LINGER_S: Final = 0.02
"""How long an idle lane keeps its connection: giving it back costs a round trip."""

Asked = TypeVar("Asked")
Told = TypeVar("Told")


class TooManyWaiting(Exception):
    """`MAX_WAITING` are waiting already: nothing was asked."""


class _Waiter(msgspec.Struct, Generic[Asked, Told]):
    asked: Asked
    future: "asyncio.Future[Told]"


class _Versioned(msgspec.Struct, frozen=True):
    claim: Claim
    catalog_version: int


class _Lane(Generic[Asked, Told]):
    """A queue with at most one batch in flight. What comes meanwhile makes up the next batch."""

    def __init__(
        self,
        db: Database,
        *,
        send: Callable[[Transaction, Sequence[Asked]], Awaitable[Sequence[Told]]],
        joins: Callable[[Asked, Asked], bool],
    ) -> None:
        self._db = db
        self._send = send
        self._joins = joins
        self._queue: deque[_Waiter[Asked, Told]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()
        self._alone = 0

    async def ask(self, asked: Asked) -> Told:
        """The answer to one item. Raises `TooManyWaiting`, or what its batch ran into."""
        if len(self._queue) >= MAX_WAITING:
            raise TooManyWaiting
        waiter = _Waiter(asked, asyncio.get_running_loop().create_future())
        self._queue.append(waiter)
        self._arrived.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        told: Told = await waiter.future
        return told

    async def drain(self) -> None:
        """Return when everything that was asked is answered."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        batch: list[_Waiter[Asked, Told]] = []
        try:
            async with self._db.session() as session:
                while await self._more():
                    batch = self._take()
                    told = await self._send(session, [waiter.asked for waiter in batch])
                    for waiter, answer in zip(batch, told, strict=True):
                        if not waiter.future.done():
                            waiter.future.set_result(answer)
                    batch = []
                    # Whoever was answered may ask again at once, and so joins the next batch.
                    await asyncio.sleep(0)
        except DatabaseGone as gone:
            _fail((*batch, *self._queue), gone)
            self._queue.clear()
        except Exception as error:
            self._part(batch, error)
        except BaseException:
            _fail((*batch, *self._queue), None)
            self._queue.clear()
            raise
        finally:
            # Also those who came while the connection was given back.
            self._task = asyncio.create_task(self._run()) if self._queue else None

    def _part(self, batch: list[_Waiter[Asked, Told]], error: Exception) -> None:
        """One that cannot be done must not take the others with it: they are sent again one by one."""
        if len(batch) <= 1:
            _fail(batch, error)
        else:
            self._queue.extendleft(reversed(batch))
            self._alone = len(batch)

    async def _more(self) -> bool:
        if self._queue:
            return True
        self._arrived.clear()
        try:
            async with asyncio.timeout(LINGER_S):
                await self._arrived.wait()
        except TimeoutError:
            return bool(self._queue)
        return True

    def _take(self) -> list[_Waiter[Asked, Told]]:
        batch: list[_Waiter[Asked, Told]] = []
        most = 1 if self._alone else MAX_BATCH
        while self._queue and len(batch) < most:
            if batch and not self._joins(batch[0].asked, self._queue[0].asked):
                break
            waiter = self._queue.popleft()
            self._alone = max(0, self._alone - 1)
            if not waiter.future.done():
                batch.append(waiter)
        return batch


def _fail(waiters: "Sequence[_Waiter[Asked, Told]]", error: Exception | None) -> None:
    """Each may ask again by the same attempt id, whatever became of it. None: the process is ending."""
    for waiter in waiters:
        if waiter.future.done():
            continue
        if error is None:
            waiter.future.cancel()
        else:
            waiter.future.set_exception(error)


class Reservations:
    """What calls ask of capacity. One for each process."""

    def __init__(self, db: Database, *, world: World) -> None:
        self._db = db
        self._world = world
        self._reserving: dict[AccountId, _Lane[_Versioned, Answer]] = {}
        self._settling: dict[AccountId, _Lane[Settlement, bool]] = {}

    async def reserve(self, account_id: AccountId, claim: Claim, *, catalog_version: int) -> Answer:
        """Hold what the claim needs, durably, or say why not; `catalog_version` is the configuration by which
        the caller has checked hours, pauses and blocks.

        Idempotent by attempt id. `Stale`: check again by newer configuration, then ask again. Raises
        `DatabaseGone` (unknown whether held: ask again or settle) and `TooManyWaiting`.
        """
        lane = self._reserving.get(account_id)
        if lane is None:
            lane = self._reserving[account_id] = _Lane(
                self._db, send=self._sender(account_id), joins=_same_version
            )
        return await lane.ask(_Versioned(claim, catalog_version))

    async def settle(self, account_id: AccountId, settlement: Settlement) -> bool:
        """End a reservation, durably; False where it was not held any more, or never.

        Idempotent by attempt id. Raises `DatabaseGone` and `TooManyWaiting`: settle again later.
        """
        lane = self._settling.get(account_id)
        if lane is None:
            lane = self._settling[account_id] = _Lane(self._db, send=self._settler(account_id), joins=_always)
        return await lane.ask(settlement)

    async def drain(self) -> None:
        """Return when everything that was asked is answered."""
        for reserving in list(self._reserving.values()):
            await reserving.drain()
        for settling in list(self._settling.values()):
            await settling.drain()

    def _sender(
        self, account_id: AccountId
    ) -> Callable[[Transaction, Sequence[_Versioned]], Awaitable[Sequence[Answer]]]:
        async def send(session: Transaction, asked: Sequence[_Versioned]) -> Sequence[Answer]:
            if not asked:
                return ()
            return await store.reserve_batch(
                session,
                account_id,
                [each.claim for each in asked],
                now=self._world.now(),
                catalog_version=asked[0].catalog_version,
            )

        return send

    def _settler(
        self, account_id: AccountId
    ) -> Callable[[Transaction, Sequence[Settlement]], Awaitable[Sequence[bool]]]:
        async def send(session: Transaction, asked: Sequence[Settlement]) -> Sequence[bool]:
            if not asked:
                return ()
            ended = await store.settle_batch(session, account_id, asked, now=self._world.now())
            return [settlement.attempt_id in ended for settlement in asked]

        return send


def _same_version(first: _Versioned, other: _Versioned) -> bool:
    return first.catalog_version == other.catalog_version


def _always(_first: Settlement, _other: Settlement) -> bool:
    return True
