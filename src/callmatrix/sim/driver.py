"""Drives simulated calls through the core in virtual time, with a carrier and processes that fail."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, assert_never, get_args

import msgspec

from callmatrix.core import hours, ledger
from callmatrix.core.auction import NoBidCode, PingResult
from callmatrix.core.call import Call, events, step
from callmatrix.core.call.bidding import interrupted
from callmatrix.core.call.commands import (
    Awaited,
    Book,
    BookLate,
    CarrierOrder,
    Command,
    Enqueue,
    Fetch,
    Look,
    Ping,
    Post,
    Reserve,
    Settle,
)
from callmatrix.core.call.legs import ASK_CARRIER
from callmatrix.core.campaign import Campaign, Number, assignment_at, choose_campaign
from callmatrix.core.caps import Denied, Grant, Granted
from callmatrix.core.ids import AttemptId, CallId, PublisherId
from callmatrix.core.money import Money, divide_half_even
from callmatrix.core.plan import CompiledPlan
from callmatrix.sim import bidders
from callmatrix.sim.afterwards import afterwards
from callmatrix.sim.agenda import Agenda
from callmatrix.sim.backend import Backend, Taken
from callmatrix.sim.callers import Visit
from callmatrix.sim.carrier import Carrier, EventOf, Line, Orders, Then
from callmatrix.sim.changes import change
from callmatrix.sim.network import Network
from callmatrix.world import SeededWorld, dice

MAX_ROUNDS: Final = 100
ORPHANED_MS: Final = 30_000
GIVES_UP_MS: Final = 15_000
SETTLED_AGAIN_MS: Final = 6_000
SILENT_S: Final = 900
MAX_SILENT_SWEEPS: Final = 60
"""After the last arrival; a call that is still open then is left open, and breaks a promise."""
MAX_CARRIER_ASKED: Final = 5
PER_MILLE: Final = 1_000

_ORDERS: Final = get_args(CarrierOrder)
_AWAITED: Final = get_args(Awaited)


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong, in per mille of the occasions."""

    lost: int = 5
    doubled: int = 25
    late: int = 25
    dies: int = 4
    slow: int = 15
    never: int = 30
    unsaid: int = 120
    stale: int = 20


NO_FAULTS: Final = Faults(lost=0, doubled=0, late=0, dies=0, slow=0, never=0, unsaid=0, stale=0)


class Counted(msgspec.Struct):
    """What a simulation did, for its report."""

    webhooks: int = 0
    repeats: int = 0
    deaths: int = 0
    lost: int = 0
    changes: int = 0


class Simulation:
    """One network, its callers and its carrier against a backend; the same seed does the same."""

    def __init__(
        self,
        backend: Backend,
        network: Network,
        *,
        seed: int,
        starts_at: datetime,
        faults: Faults,
        changes_per_day: int = 6,
    ) -> None:
        self.agenda = Agenda(starts_at)
        self.network = network
        self.configured: list[tuple[datetime, Network]] = []
        self.broken: list[str] = []
        self.counted = Counted()
        self._backend = backend
        self._faults = faults
        self._changes_per_day = changes_per_day
        self._world = SeededWorld(seed=seed, clock=lambda: self.agenda.now)
        self._rolls = dice(seed * 3 + 1)
        self._afterwards = dice(seed * 3 + 2)
        self._bidding = dice(seed * 3 + 4)
        self._carrier = Carrier(self.agenda, dice(seed * 3 + 3), self._webhook)
        self._lines: dict[CallId, Line] = {}
        self._open: dict[CallId, datetime] = {}
        self._jobs: set[str] = set()
        self._numbers: dict[str, Number] = {number.number: number for number in network.numbers}
        self._campaigns: dict[str, Campaign] = {}

    async def run_until(self, visits: Iterable[Visit], *, stops_at: datetime) -> None:
        """What the visits lead to up to an instant; what would come of them later is left out."""
        await self._configure(self.network)
        self._plan_days(stops_at)
        for visit in visits:
            await self._until(visit.at)
            await self._arrive(visit)
        await self._until(stops_at)

    async def run(self, visits: Iterable[Visit], *, ends_at: datetime) -> None:
        """Everything that the visits lead to, until nothing is open any more."""
        await self._configure(self.network)
        self._plan_days(ends_at)
        for visit in visits:
            await self._until(visit.at)
            await self._arrive(visit)
        await self._until(None)
        for _ in range(MAX_SILENT_SWEEPS):
            if not self._open:
                break
            self.agenda.after(SILENT_S * 1_000, self._sweep)
            await self._until(None)
        await self._backend.sweep(at=self.agenda.now + timedelta(days=1))

    async def _until(self, instant: datetime | None) -> None:
        while (due := self.agenda.next_at) is not None and (instant is None or due <= instant):
            await self.agenda.step()
        if instant is not None:
            self.agenda.now = max(instant, self.agenda.now)

    # --- the operator ----------------------------------------------------------------------------------

    async def _configure(self, network: Network) -> None:
        self.network = network
        self._campaigns = {campaign.id: campaign for campaign in network.campaigns}
        self.configured.append((self.agenda.now, network))
        await self._backend.configure(network, at=self.agenda.now)

    def _plan_days(self, ends_at: datetime) -> None:
        day = self.agenda.now
        while day < ends_at:
            self.agenda.at(day, self._deposit)
            for _ in range(self._changes_per_day):
                self.agenda.at(day + timedelta(seconds=self._rolls.randrange(86_400)), self._change)
            day += timedelta(days=1)
        at = self.agenda.now
        while at < ends_at:
            at += timedelta(seconds=SILENT_S)
            self.agenda.at(at, self._sweep)

    async def _change(self) -> None:
        self.counted.changes += 1
        await self._configure(change(self.network, self._rolls))

    async def _deposit(self) -> None:
        """Prepaid buyers who run low pay again."""
        now = self.agenda.now
        for buyer_id, amount in self.network.deposits.items():
            if await self._backend.funds(buyer_id) < Money(divide_half_even(amount.micros, 4)):
                paid = ledger.deposit(
                    deposit_id=f"{buyer_id}/{now.date().isoformat()}",
                    at=now,
                    buyer_id=buyer_id,
                    amount=amount,
                )
                await self._backend.book(paid)

    # --- webhooks --------------------------------------------------------------------------------------

    async def _arrive(self, visit: Visit) -> None:
        number = self._numbers[visit.dialed]
        assigned = assignment_at(number, visit.at)
        assert assigned is not None
        draw = self._world.draw()
        campaign_id = choose_campaign(
            assigned.assignment, caller=visit.caller, number=number.number, draw=draw
        )
        call_id = CallId(self._world.new_id("call"))
        line = Line(visit, ref=f"CA{call_id[5:]}", call_id=call_id, campaign_id=campaign_id)
        publisher_id = assigned.assignment.publisher_id
        self._lines[call_id] = line
        previous_at = None
        if visit.caller is not None:
            previous_at = await self._backend.previous_call_at(campaign_id, visit.caller)

        def event_of(at: datetime, _draw: int) -> events.Event:
            campaign = self._campaigns[campaign_id]
            return events.Arrived(
                at=at,
                draw=draw,
                caller=visit.caller,
                dialed=visit.dialed,
                number_id=number.id,
                connection_id=number.connection_id,
                carrier_ref=line.ref,
                publisher_id=publisher_id,
                publisher_paused=self._is_paused(campaign, publisher_id),
                attestation=visit.attestation,
                previous_call_at=previous_at,
                campaign_status=campaign.status,
                campaign_open=campaign.hours is None or hours.is_open(campaign.hours, at),
                pays_late=assigned.pays,
                test=visit.test,
            )

        async def then(orders: Orders) -> None:
            await self._carrier.execute(line, orders)

        self._carrier.waits(line)
        await self._webhook(line, "arrival", event_of, then)

    def _is_paused(self, campaign: Campaign, publisher_id: PublisherId | None) -> bool:
        if publisher_id is None:
            return False
        if any(own.paused for own in campaign.publishers if own.publisher_id == publisher_id):
            return True
        return any(one.status != "active" for one in self.network.publishers if one.id == publisher_id)

    def _happens(self, per_mille: int) -> bool:
        return self._rolls.random() * PER_MILLE < per_mille

    async def _webhook(self, line: Line, key: str, event_of: EventOf, then: Then | None) -> None:
        """A webhook on its way to us: lost, late, or twice."""
        self.counted.webhooks += 1
        if self._happens(self._faults.lost):
            self.counted.lost += 1
            if then is not None:
                await self._carrier.failed(line)
            return
        if self._happens(self._faults.doubled):
            self.agenda.after(self._rolls.randrange(1, 30_000), self._receive, line, key, event_of, None)
        if then is None and self._happens(self._faults.late):
            self.agenda.after(self._rolls.randrange(1_000, 60_000), self._receive, line, key, event_of, None)
            return
        await self._receive(line, key, event_of, then)

    async def _receive(self, line: Line, key: str, event_of: EventOf, then: Then | None) -> None:
        """One webhook at one of our processes: new, or a repeat."""
        if key in line.in_flight or (not line.saved and key != "arrival"):
            return
        if key in line.replies:
            await self._repeated(line, key, event_of, then)
            return
        line.in_flight.add(key)
        event = event_of(self.agenda.now, self._world.draw())
        if line.saved:
            call = await self._backend.load(line.call_id)
            plan = await self._backend.plan(line.campaign_id, call.plan_version)
        else:
            plan = await self._backend.plan(line.campaign_id)
            call = Call(
                id=line.call_id,
                account_id=plan.account.id,
                campaign_id=line.campaign_id,
                plan_version=plan.version,
            )
        await self._drive(_Turn(line, key, then, plan, event_of), call, event)

    async def _repeated(self, line: Line, key: str, event_of: EventOf, then: Then | None) -> None:
        """A repeat gets the stored reply; where there is none, its maker died, and it is gone on with."""
        self.counted.repeats += 1
        call = await self._backend.load(line.call_id)
        plan = await self._backend.plan(line.campaign_id, call.plan_version)
        stored = line.replies[key]
        if stored is not None:
            self._check_repeat(call, event_of(self.agenda.now, 0), plan)
        elif call.question is not None:
            line.in_flight.add(key)
            turn = _Turn(line, key, then, plan, event_of)
            answer = await self._ask(turn, call, call.question, resumed=True)
            if answer is not None:
                await self._drive(turn, call, answer)
            return
        if then is not None:
            await then(stored or ())

    def _check_repeat(self, call: Call, event: events.Event, plan: CompiledPlan) -> None:
        """The machine itself must bear what the stored replies keep from it: nothing changes twice.

        Acts of people are told apart by their idempotency keys alone: two credits of $5 may both be meant.
        """
        if isinstance(event, events.Adjusted | events.Rerated):
            return
        taken = step(call, event, plan)
        before = msgspec.structs.replace(call, version=taken.call.version)
        orders = [one for one in taken.commands if isinstance(one, (Book, Settle, BookLate, Reserve))]
        rated_again = isinstance(event, events.ConversionReported)
        if orders or (taken.call != before and not rated_again):
            self.broken.append(f"{call.id}: {type(event).__name__} changed something when it came twice")

    # --- steps -----------------------------------------------------------------------------------------

    async def _drive(self, turn: "_Turn", call: Call, event: events.Event) -> None:
        """Take events until only the carrier's orders are left, or until an answer is waited for."""
        batch: list[Taken] = []
        for _ in range(MAX_ROUNDS):
            event = await self._with_history(call, event)
            taken = step(call, event, turn.plan)
            batch.append(Taken(event=event, step=taken))
            call = taken.call
            question = next((one for one in taken.commands if isinstance(one, _AWAITED)), None)
            if isinstance(question, Look):
                event = await self._look(call, turn.plan)
                continue
            if self._happens(self._faults.dies):
                self._died(turn, call, asking=False)
                return
            orders = None
            if question is None:
                orders = tuple(one for one in taken.commands if isinstance(one, _ORDERS))
            dies = self._happens(self._faults.dies)
            await self._save(turn, batch, orders, dies=dies)
            batch = []
            if dies:
                self._died(turn, call, asking=question is not None)
                return
            if orders is not None:
                turn.line.in_flight.discard(turn.key)
                if turn.then is not None:
                    await turn.then(orders)
                return
            assert question is not None
            answer = await self._ask(turn, call, question)
            if answer is None:
                return
            event = answer
        raise AssertionError(f"call {call.id} took more than {MAX_ROUNDS} steps for one event")

    async def _save(
        self, turn: "_Turn", batch: Sequence[Taken], orders: Orders | None, *, dies: bool
    ) -> None:
        """Keep the steps; then perform their intents, unless the process dies: then a sweep does, later."""
        now, line = self.agenda.now, turn.line
        call = batch[-1].step.call
        was_open = not line.saved or line.call_id in self._open
        await self._backend.save(batch, at=now)
        line.saved = True
        if turn.key:
            line.replies[turn.key] = orders
        commands = [command for one in batch for command in one.step.commands]
        for command in commands:
            if isinstance(command, Enqueue):
                self._enqueue(command)
        if dies:
            self.agenda.after(SETTLED_AGAIN_MS, self._perform, commands)
        else:
            await self._perform(commands)
        if call.state == "ended" and call.cost_booked:
            self._open.pop(call.id, None)
            if was_open:
                for key, delay_ms, event_of in afterwards(call, turn.plan, self._afterwards):
                    self.agenda.after(delay_ms, self._webhook, line, key, event_of, None)
        else:
            self._open[call.id] = now

    async def _perform(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, Settle):
                await self._backend.settle(command.settlement, at=self.agenda.now)
            elif isinstance(command, BookLate):
                await self._backend.book_late(command.booking)

    def _enqueue(self, job: Enqueue) -> None:
        if job.job == ASK_CARRIER and job.dedupe_key not in self._jobs:
            self._jobs.add(job.dedupe_key)
            self.agenda.at(job.run_at, self._ask_carrier, CallId(job.payload["call_id"]), 0)

    def _died(self, turn: "_Turn", call: Call, *, asking: bool) -> None:
        """Our process is gone, with everything that it had not saved."""
        self.counted.deaths += 1
        line = turn.line
        line.in_flight.discard(turn.key)
        if asking:
            self.agenda.after(ORPHANED_MS, self._orphaned, line, call.version, turn.key)
        if turn.event_of is None:
            return
        if self._rolls.random() < 0.5:
            delay_ms = self._rolls.randrange(1_000, 6_000)
            self.agenda.after(delay_ms, self._receive, line, turn.key, turn.event_of, turn.then)
        elif turn.then is not None:
            self.agenda.after(GIVES_UP_MS, self._carrier.failed, line)

    async def _orphaned(self, line: Line, version: int, key: str) -> None:
        """A sweep finds a question that nobody waits for any more."""
        if not line.saved:
            return
        call = await self._backend.load(line.call_id)
        if call.version != version or call.question is None:
            return
        line.in_flight.discard(key)
        plan = await self._backend.plan(line.campaign_id, call.plan_version)
        event = events.TimedOut(at=self.agenda.now, what="question")
        await self._drive(_Turn(line, "", None, plan), call, event)

    async def _with_history(self, call: Call, event: events.Event) -> events.Event:
        """What settles carries the caller's history, read in the same transaction (rule 18)."""
        if call.caller is None:
            return event
        match event:
            case events.LegEnded(outcome="answered") | events.ConversionReported():
                history = await self._backend.history(call.caller, apart_from=call.id)
                return msgspec.structs.replace(event, history=history) if history else event
            case events.CallEnded() if any(not attempt.settled for attempt in call.attempts):
                history = await self._backend.history(call.caller, apart_from=call.id)
                legs = tuple(msgspec.structs.replace(leg, history=history) for leg in event.legs)
                return msgspec.structs.replace(event, history=history, legs=legs)
            case _:
                return event

    # --- questions -------------------------------------------------------------------------------------

    async def _look(self, call: Call, plan: CompiledPlan) -> events.Looked:
        now = self.agenda.now
        world = await self._backend.look(call, plan, at=now)
        if self._happens(self._faults.stale):
            world = msgspec.structs.replace(world, shut=())
        return events.Looked(at=now, draw=self._world.draw(), world=world)

    async def _ask(
        self, turn: "_Turn", call: Call, question: Awaited, *, resumed: bool = False
    ) -> events.Event | None:
        """The answer, or None where it comes later or never. `resumed`: whoever asked first has died."""
        match question:
            case Look():
                return await self._look(call, turn.plan)
            case Ping():
                await self._ping(turn, call, question, resumed=resumed)
                return None
            case Post():
                delay_ms = 0 if resumed else self._bidding.randrange(20, 3_000)
                spent_ms = min(delay_ms, question.deadline_ms)
                code: NoBidCode | Literal[""] = "timed_out" if delay_ms > spent_ms else ""
                if resumed:
                    code = "interrupted"
                self.agenda.after(spent_ms, self._posted, turn, question.attempt_id, spent_ms, code)
                return None
            case Fetch(ask=ask):
                self._fetch(turn, call, timeout_ms=ask.timeout_ms)
                return None
            case Reserve(claim=claim):
                if not self._happens(self._faults.slow):
                    return _granted(await self._backend.reserve(claim, at=self.agenda.now), self.agenda.now)
                delay_ms = self._rolls.randrange(100, 20_000)
                held = None
                if self._rolls.random() < 0.5:
                    held = await self._backend.reserve(claim, at=self.agenda.now)
                self.agenda.after(delay_ms, self._reserved, turn, question, held)
                return None
            case _:
                assert_never(question)

    async def _ping(self, turn: "_Turn", call: Call, question: Ping, *, resumed: bool) -> None:
        """A round of pings; one whose asker died is not held again (it might be answered twice)."""
        if resumed:
            lost = interrupted(call.id, question)
            await self._bid(turn, question, lost, 0)
            return
        results, spent_ms = bidders.round_of(call, turn.plan, question, self._bidding, self.agenda.now)
        self.agenda.after(spent_ms, self._bid, turn, question, results, spent_ms)

    async def _bid(
        self, turn: "_Turn", question: Ping, results: tuple[PingResult, ...], spent_ms: int
    ) -> None:
        call = await self._backend.load(turn.line.call_id)
        now = self.agenda.now
        world = await self._backend.look(call, turn.plan, at=now)
        returned = events.BidsReturned(
            at=now,
            draw=self._world.draw(),
            world=world,
            round=question.round,
            results=results,
            spent_ms=spent_ms,
        )
        await self._drive(turn, call, returned)

    async def _posted(
        self, turn: "_Turn", attempt_id: AttemptId, spent_ms: int, code: NoBidCode | Literal[""]
    ) -> None:
        call = await self._backend.load(turn.line.call_id)
        now = self.agenda.now
        if code:
            answer = events.PostAnswered(at=now, attempt_id=attempt_id, spent_ms=spent_ms, code=code)
        else:
            answer = bidders.post_answer(attempt_id, self._bidding, now, spent_ms=spent_ms)
        await self._drive(turn, call, answer)

    def _fetch(self, turn: "_Turn", call: Call, *, timeout_ms: int) -> None:
        if self._happens(self._faults.never):
            self.agenda.after(ORPHANED_MS, self._orphaned, turn.line, call.version, turn.key)
            if turn.then is not None:
                self.agenda.after(GIVES_UP_MS, self._carrier.failed, turn.line)
            return
        delay_ms = self._rolls.randrange(40, timeout_ms * 5 // 4)
        self.agenda.after(min(delay_ms, timeout_ms), self._fetched, turn, delay_ms > timeout_ms)

    async def _fetched(self, turn: "_Turn", is_late: bool) -> None:
        call = await self._backend.load(turn.line.call_id)
        client = "true" if self._rolls.random() < 0.2 else "false"
        now, draw = self.agenda.now, self._world.draw()
        if is_late:
            await self._drive(turn, call, events.Fetched(at=now, draw=draw, code="timeout"))
        else:
            await self._drive(turn, call, events.Fetched(at=now, draw=draw, values={"client": client}))

    async def _reserved(self, turn: "_Turn", question: Reserve, held: Grant | None) -> None:
        grant = held or await self._backend.reserve(question.claim, at=self.agenda.now)
        call = await self._backend.load(turn.line.call_id)
        await self._drive(turn, call, _granted(grant, self.agenda.now))

    # --- sweeps ----------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        """Reservations that expired, and calls of which nothing was heard for long."""
        now = self.agenda.now
        await self._backend.sweep(at=now)
        before = now - timedelta(seconds=SILENT_S)
        for call_id in [call_id for call_id, heard_at in self._open.items() if heard_at <= before]:
            await self._ask_carrier(call_id, 0)

    async def _ask_carrier(self, call_id: CallId, asked: int) -> None:
        """Ask the carrier how a call ended. One that goes on is left; what it cannot say is asked again."""
        call, line = await self._backend.load(call_id), self._lines[call_id]
        if call.cost_booked or line.over_at is None:
            return
        mute = self._happens(self._faults.unsaid)
        if mute and asked < MAX_CARRIER_ASKED:
            self.agenda.after(60_000, self._ask_carrier, call_id, asked + 1)
            return
        known = {leg.connect.attempt_id: leg.end for leg in line.legs}
        ends = [known.get(attempt.id) for attempt in call.attempts if not attempt.settled]
        now = self.agenda.now
        legs = tuple(
            msgspec.structs.replace(end, at=now, caller_gone=True)
            for end in ends
            if end is not None and not self._happens(self._faults.unsaid)
        )
        duration_ms = (line.over_at - line.arrived_at) // timedelta(milliseconds=1)
        event = events.CallEnded(
            at=now, reason="swept", duration_ms=None if mute else duration_ms, asked=True, legs=legs
        )
        plan = await self._backend.plan(line.campaign_id, call.plan_version)
        await self._drive(_Turn(line, "", None, plan), call, event)


class _Turn:
    """One webhook being answered: whose, under which key, and what the carrier does with the reply."""

    __slots__ = ("event_of", "key", "line", "plan", "then")

    def __init__(
        self,
        line: Line,
        key: str,
        then: Then | None,
        plan: CompiledPlan,
        event_of: EventOf | None = None,
    ) -> None:
        self.line = line
        self.key = key
        self.then = then
        self.plan = plan
        self.event_of = event_of


def _granted(grant: Grant, at: datetime) -> events.Event:
    match grant:
        case Granted():
            return events.Reserved(at=at, attempt_id=grant.attempt_id, pays_publisher=grant.pays_publisher)
        case Denied():
            return events.CapFull(
                at=at,
                attempt_id=grant.attempt_id,
                code=grant.code,
                owner=grant.owner,
                metric=grant.metric,
                window=grant.window,
                limit=grant.limit,
                used=grant.used,
            )
        case _:
            assert_never(grant)
