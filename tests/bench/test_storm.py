"""The benchmark of the storm: what it reports, and that it tells a recovery from a collapse."""

from callmatrix.bench import conditions, storm
from callmatrix.bench.storm_load import Outcome
from callmatrix.bench.storm_network import ACCOUNT, BIDDERS
from callmatrix.store.db import connect

SIZES = storm.Sizes(first_rate_per_s=4.0, step=1.5, steps=1, step_s=1.0, once_s=1.0, storm_s=2.0, calm_s=1.0)


async def test_the_report_has_every_ratio_figure_and_condition_and_nothing_was_dialled_unreserved(
    unmigrated_url: str,
) -> None:
    report = await storm.run_on(unmigrated_url, sizes=SIZES)
    assert report.bench == "storm"
    assert set(report.ratios) == {"answered_at_3x", "connected_at_3x_over_1x"}
    assert set(report.figures) == {
        "sustainable_per_s",
        "answer_p50_ms_at_1x",
        "answer_p99_ms_at_1x",
        "answer_p50_ms_at_3x",
        "answer_p99_ms_at_3x",
        "answer_max_ms_at_3x",
        "connected_p50_ms_at_3x",
        "connected_p99_ms_at_3x",
        "fail_safe_share_at_3x",
        "recovery_s",
        "static_by_overload",
        "dialled_unreserved",
        "promises_broken",
        "arrivals_shed",
        "arrivals_failed_safe",
    }
    assert set(report.conditions) == {
        *conditions(),
        "bidders",
        "bidders_answer_ms",
        "callers_at_3x",
        "storm_s",
        "processes",
        "load_latest_ms",
        "server_cpus",
        "postgres_cpus",
        "bidders_cpus",
        "load_cpus",
        "others_cpus",
    }
    assert (report.figures["dialled_unreserved"], report.figures["promises_broken"]) == (0, 0)
    db = await connect(unmigrated_url)
    async with db.session() as tx:
        row = await tx.fetchrow(
            "select (select count(*) from attempt where account_id = $1) as dials,"
            " (select count(*) from reservation where account_id = $1 and state = 'settled') as settled,"
            " (select count(distinct auction_id) from ping where account_id = $1) as auctions,"
            " (select count(*) from ping where account_id = $1) as pings",
            ACCOUNT,
        )
    await db.close()
    assert row is not None
    assert row["settled"] == row["dials"] > 0
    assert row["pings"] == BIDDERS * row["auctions"] > 0


def outcome(at_s: float, answer_ms: float, *, end: str = "connected", wrong: str = "") -> Outcome:
    return Outcome(phase=2, at_s=at_s, answer_ms=answer_ms, end=end, wrong=wrong)


def test_a_server_that_is_as_before_at_once_needs_no_recovery() -> None:
    calm = [outcome(35.1, 140.0), outcome(36.0, 150.0)]
    assert storm.recovery_s(calm, began_s=35.0, normal_ms=150.0) == 0.0


def test_the_recovery_lasts_until_the_last_caller_who_waited_longer_or_was_turned_away() -> None:
    calm = [outcome(35.5, 250.0, end="failed_safe"), outcome(36.0, 500.0), outcome(37.0, 149.0)]
    assert storm.recovery_s(calm, began_s=35.0, normal_ms=150.0) == 1.5
    assert storm.recovery_s(calm[:1], began_s=35.0, normal_ms=150.0) == 0.75
    assert storm.recovery_s([outcome(38.0, 1_000.0, wrong="voice: None")], began_s=35.0, normal_ms=9e9) == 4.0
