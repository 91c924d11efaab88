"""The benchmark of whole calls: what it reports, and that both servers do the same calls."""

import os

from callmatrix.bench import calls, conditions, cpu
from callmatrix.core.ids import AccountId
from callmatrix.store import promises
from callmatrix.store.db import connect
from callmatrix.world import RealWorld


async def test_the_report_has_every_ratio_figure_and_condition_and_the_calls_keep_the_promises(
    unmigrated_url: str,
) -> None:
    report = await calls.run_on(unmigrated_url, calls=4, rounds=1)
    assert report.bench == "calls"
    assert set(report.ratios) == {"cpu_over_floor"}
    assert set(report.figures) == {
        f"{floor}{figure}"
        for floor in ("", "floor_")
        for figure in (
            "calls_per_s",
            "webhooks_per_call",
            "cpu_ms_per_call",
            "cpu_ms_per_webhook",
            "postgres_cpu_ms_per_call",
        )
    }
    assert report.figures["webhooks_per_call"] == report.figures["floor_webhooks_per_call"] == 10
    assert report.conditions == conditions() | {
        "calls": 4,
        "rounds": 1,
        "at_once": calls.AT_ONCE,
        "seed": calls.SEED,
        "processes": 1,
    }
    db = await connect(unmigrated_url)
    found = await promises.counterexamples(db, AccountId("acc_bench"), now=RealWorld().now())
    async with db.session() as tx:
        stored = await tx.fetchrow(
            "select count(*) as calls, sum(revenue_micros)::bigint as revenue from call where closed"
        )
        floored = await tx.fetchval("select sum(version) from bench_floor")
    await db.close()
    assert found == ()
    # The first call, a warming round and a counted one; each ends with the second buyer.
    assert stored is not None
    assert tuple(stored) == (9, 9 * 38_000_000)
    assert floored == 2 * 4 * 10


def test_a_process_is_found_with_its_parent_and_its_cpu() -> None:
    before = cpu.process_s(os.getpid())
    sum(range(3_000_000))
    assert cpu.process_s(os.getpid()) > before
    assert cpu.parent_of(os.getpid()) == os.getppid()
    alone = cpu.process_s(os.getpid())
    assert cpu.family_s(os.getpid()) >= alone
