"""The benchmark of decisions: what it reports, and that both ways it compares give the same answer."""

from callmatrix.bench import conditions, decide


def test_the_report_has_every_ratio_figure_and_condition() -> None:
    report = decide.run(sizes=(10, 100), rounds=1)
    assert report.bench == "decide"
    assert set(report.ratios) == {"growth", "closures_growth", "closures_over_ours_100"}
    assert set(report.figures) == {
        f"{figure}_{size}"
        for figure in ("decide_us", "closures_us", "explain_ms", "eligible_share", "predicates_per_offer")
        for size in (10, 100)
    }
    assert all(ratio > 0 for ratio in report.ratios.values())
    assert report.conditions == conditions() | {"seed": decide.SEED, "rounds": 1, "calls": decide.CALLS}


def test_the_offers_are_as_hard_as_real_ones() -> None:
    figures = decide.run(sizes=(500,), rounds=1).figures
    assert 8 < figures["predicates_per_offer_500"] < 10
    assert 0.15 < figures["eligible_share_500"] < 0.25
