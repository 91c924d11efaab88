"""The same seed through the core in memory and through PostgreSQL: the same calls and postings."""

import msgspec

from callmatrix.core.call import Call
from callmatrix.live.catalog import open_catalog
from callmatrix.sim.driver import Faults
from callmatrix.sim.memory import MemoryBackend
from callmatrix.sim.postgres import PostgresBackend
from callmatrix.sim.run import SimReport, finish, simulate_on, start_network
from callmatrix.store.db import Database

SEED = 2026
DAYS = 2
CALLS_PER_DAY = 1_000


def comparable(call: Call) -> Call:
    """Plans are numbered by whoever keeps them: one change may be one new version there and two here."""
    return msgspec.structs.replace(call, plan_version=0)


def kept(report: SimReport) -> SimReport:
    assert report.broken == {}
    return report


async def test_two_thousand_calls_with_faults_come_out_the_same_from_memory_and_postgresql(
    db: Database,
) -> None:
    network = start_network()
    given = {"seed": SEED, "days": DAYS, "calls_per_day": CALLS_PER_DAY}
    memory = MemoryBackend(network)
    in_memory = kept(finish(simulate_on(memory, network, faults=Faults(), **given)))
    async with open_catalog(db, secret_key=b"k" * 32) as live:
        postgres = PostgresBackend(db, live=live)
        in_postgres = kept(await simulate_on(postgres, network, faults=Faults(), **given))
        stored = await postgres.rows()
    assert in_memory.calls >= 2_000
    assert in_postgres == in_memory
    simulated = finish(memory.rows())
    assert {row.call.id: comparable(row.call) for row in stored.calls} == {
        row.call.id: comparable(row.call) for row in simulated.calls
    }
    assert {one.key: one for one in stored.transactions} == {one.key: one for one in simulated.transactions}
