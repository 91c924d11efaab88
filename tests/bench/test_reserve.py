"""The benchmark of reservations runs, grants what it counts, and leaves nothing behind."""

from callmatrix.bench import reserve
from callmatrix.store.db import Database


def _names() -> tuple[set[str], set[str]]:
    few, many = reserve.TASKS
    ratios = {f"over_bare_{few}", f"over_bare_{many}", f"hot_over_bare_{many}"}
    rounds = {f"ours_{few}", f"bare_{few}", f"ours_{many}", f"bare_{many}", f"ended_{many}"}
    rounds |= {f"ours_hot_{many}", f"bare_hot_{many}"}
    return ratios, {f"{name}_{unit}" for name in rounds for unit in ("per_s", "p99_ms")}


async def test_the_benchmark_measures_every_ratio_and_cleans_up(db: Database, database_url: str) -> None:
    report = await reserve.run_on(database_url, rounds=1, round_s=0.1)
    ratios, figures = _names()
    assert (set(report.ratios), set(report.figures)) == (ratios, figures)
    assert all(ratio > 0 for ratio in report.ratios.values())
    assert all(figure > 0 for figure in report.figures.values())
    async with db.transaction() as tx:
        left = await tx.fetchval(
            "select (select count(*) from reservation) + (select count(*) from cap_owner) "
            "+ (select count(*) from account)"
        )
    assert left == 0
