"""One call, step by step, as a carrier would bring it."""

import make
from callmatrix.core.call import Call, events
from callmatrix.core.ids import AttemptId, CallId, NumberId
from callmatrix.live import calls
from callmatrix.live.app import App
from callmatrix.store.calls import CallbackKey
from placed import CALLER, DIALED


class Ringing:
    """A call that arrived and is being dialled to the best offer."""

    def __init__(self, app: App, name: str) -> None:
        self.app = app
        self.id = CallId(name)
        self._told = 0

    async def arrive(self, *, caller: str = CALLER) -> None:
        plan = self.app.catalog.plan(make.ACCOUNT, make.CAMPAIGN)
        assert plan is not None
        arrived = events.Arrived(
            at=self.app.world.now(),
            draw=7,
            caller=caller,
            dialed=DIALED,
            number_id=NumberId("num_1"),
            connection_id=make.CONNECTION,
            carrier_ref=f"ref-{self.id}",
            publisher_id=make.PUBLISHER,
        )
        begun = Call(
            id=self.id, account_id=make.ACCOUNT, campaign_id=make.CAMPAIGN, plan_version=plan.version
        )
        await calls.begin(self.app, begun, plan, arrived, callback=self._key(), respond=calls.no_reply)

    async def answer(self) -> None:
        at = self.app.world.now()
        await self._tell(events.LegAnswered(at=at, attempt_id=AttemptId(f"{self.id}-1")))

    async def hang_up(self, *, talked_s: int = 120) -> None:
        at = self.app.world.now()
        ms = talked_s * 1_000
        await self._tell(
            events.LegEnded(
                at=at,
                attempt_id=AttemptId(f"{self.id}-1"),
                outcome="answered",
                ring_ms=4_000,
                leg_ms=ms,
                bridged_ms=ms,
                ended_by="caller",
                caller_gone=True,
            )
        )
        await self._tell(events.CallEnded(at=at, reason="hung_up", duration_ms=ms + 5_000, ended_by="caller"))

    async def _tell(self, event: events.Event) -> None:
        await calls.receive(
            self.app, make.ACCOUNT, self.id, event, callback=self._key(), respond=calls.no_reply
        )

    def _key(self) -> CallbackKey:
        self._told += 1
        return CallbackKey(
            connection_id=make.CONNECTION, carrier_ref=f"ref-{self.id}", key=f"event {self._told}"
        )
