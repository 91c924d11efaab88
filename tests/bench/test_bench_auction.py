"""The benchmark of auctions: what it reports, with and without TLS."""

from callmatrix.bench import auction, conditions

FIGURES = (
    "cpu_us_per_ping",
    "auctions_per_s_per_core",
    "overhead_p50_ms",
    "overhead_p99_ms",
    "mixed_lost_bids",
    "mixed_past_deadline_p50_ms",
)


def test_the_report_has_every_ratio_figure_and_condition_with_and_without_tls() -> None:
    report = auction.run(rounds=1, round_s=0.05, spread=4, mixed=1)
    assert report.bench == "auction"
    assert set(report.ratios) == {
        f"{library}_over_ours_cpu{ending}" for library in ("aiohttp", "pycurl") for ending in ("", "_tls")
    }
    assert set(report.figures) == {
        f"{client}{figure}{ending}"
        for client in ("", "aiohttp_", "pycurl_")
        for figure in FIGURES
        for ending in ("", "_tls")
    }
    assert all(ratio > 0 for ratio in report.ratios.values())
    assert report.conditions == conditions() | {
        "bidders": auction.BIDDERS,
        "rounds": 1,
        "round_s": 0.05,
        "at_once": auction.AT_ONCE,
        "spread_auctions": 4,
        "spread_at_once": auction.SPREAD_AT_ONCE,
        "mixed_auctions": auction.MIXED_AUCTIONS,
        "deadline_ms": auction.DEADLINE_MS,
        "seed": auction.SEED,
    }
