"""Tests of what verdicts share."""

import pandas as pd
import pytest

from xbmlib.paper import claims
from xbmlib.study.verdict import clear, judged


@pytest.mark.parametrize(
    ("gains", "outcome"),
    [
        (([1.0, 2.0, 3.5],), "agrees"),  # t = 2.99 > 2.92
        (([1.0, 2.0, 3.7],), "undecided"),  # t = 2.84, above twice the standard error
        (([-3.5, -2.0, -1.0],), "disagrees"),
        (([1.0, 2.0, 3.5], [0.0, 2.0, 1.0]), "undecided"),
        (([1.0, 2.0, 3.5], [-3.5, -2.0, -1.0]), "disagrees"),
        (([5.0],), "undecided"),
        (([],), "not testable here"),
    ],
)
def test_clear_of_zero(gains, outcome):
    """Oracle: the mean over its standard error, by hand, against 2.92: t of 2 degrees, 5%."""
    assert clear(*(pd.Series(g, dtype=float) for g in gains)) == outcome


def test_a_verdict_names_what_stands_for_the_papers_data():
    """Oracle: by hand: figures, relative fall of the error, gain in MAP@R, the paper's figures."""
    before = pd.DataFrame({"R@1": [80.0, 82.0], "MAP@R": [40.0, 41.0]})
    after = pd.DataFrame({"R@1": [90.0, 91.0], "MAP@R": [45.0, 46.0]})
    found = judged(
        claims.SMALL_RATIO_HELPS,
        {"In-shop": after["R@1"] - before["R@1"]},
        data="emoji (rendered)",
        names={"In-shop": "emoji"},
        arms={"In-shop": (before, after)},
    )
    assert found.ours == "emoji 9.5 ± 0.7 points (n=2)"
    assert found.paper == "In-shop: 27.4 points (Section 4.3)"
    assert (found.error, found.precision) == ("emoji 50.0 ± 0.0% (n=2)", "emoji 5.0 ± 0.0 (n=2)")
    assert (found.seeds, found.name) == (2, "small_ratio_helps")
    # t = 19 with one degree of freedom.
    assert found.p == pytest.approx(0.0167, abs=1e-4) and found.outcome == "partly"
    nothing = judged(claims.SMALL_RATIO_HELPS, {}, data="", names={})
    assert (nothing.ours, nothing.outcome, nothing.p) == (
        "not measured here", "not testable here", None)  # fmt: skip
    with pytest.raises(ValueError, match="emoji"):
        judged(claims.SMALL_RATIO_HELPS, {"emoji": after["R@1"]}, data="", names={})


def test_the_brief_figures_are_of_the_papers_quantity():
    """Oracle: by hand: the paper prints 3.2, the change with memory, which ours stands beside."""
    found = judged(
        claims.BATCH_MATTERS_LITTLE,
        {"SOP": pd.Series([4.0, 6.0])},
        sizes={"SOP": pd.Series([1.0, 3.0])},
        detail="more",
        data="",
        names={"SOP": "hanzi"},
    )
    assert found.brief == "hanzi 2.0 ± 1.4 points (n=2)"
    assert found.ours == (
        "hanzi 5.0 ± 1.4 points (n=2); absolute change with memory: hanzi 2.0 ± 1.4 points (n=2); "
        "more"
    )


def test_a_bar_of_this_study_stands_beside_the_least_favourable_point():
    """Oracle: by hand: "at most 0.1" of the claim on the drift, whose figure the paper lacks."""
    (bar,) = {bar.limit for bar in claims.DRIFT_SMALL.rule.bars}
    values = {bar.case: pd.Series([0.1, 0.3]) for bar in claims.DRIFT_SMALL.rule.bars}
    found = judged(claims.DRIFT_SMALL, values, data="", names={}, unit="", digits=1)
    assert found.brief.startswith("at the least favourable point: Δt = 10 0.2 ± 0.1 (n=2)")
    assert found.brief.endswith("; this study's bar: at most 0.1") and bar == "at most 0.1"


def test_many_cases_are_briefly_their_range():
    """Oracle: by hand: the lowest and the highest mean of the nine cases, three above 0."""
    means = range(-5, 4)
    bars = claims.EVERY_LOSS_GAINS.rule.bars
    cases = {bar.case: pd.Series([m - 1.0, m + 1.0]) for bar, m in zip(bars, means, strict=True)}
    found = judged(claims.EVERY_LOSS_GAINS, cases, data="", names={"SOP": "hanzi"})
    assert found.brief == (
        f"-5.0 (hanzi, {bars[0].case.split(', ')[1]}) to 3.0 ({bars[-1].case}) points; above 0 in "
        "3 of 9 cases (n=2)"
    )
    assert found.ours.count("±") == 9


def test_a_bar_of_this_study_is_no_figure_of_the_paper():
    """Oracle: Section 3.2 prints no factor by which the drift slows; the rule's is this study's."""
    found = judged(claims.DRIFT_SLOWS_WITH_LEARNING_RATE, {}, data="", names={})
    assert found.paper == "no figure stated"
    assert "at least 10 (this study's bar" in found.rule


def test_many_cases_that_are_not_gains_are_named():
    """Oracle: by hand: an equivalence has no direction, and is brief by its cases."""
    bars = claims.SHUFFLE_AS_GOOD.rule.bars
    cases = {bar.case: pd.Series([1.0, 3.0]) for bar in bars}
    found = judged(claims.SHUFFLE_AS_GOOD, cases, data="", names={})
    assert len(bars) > 4 and found.brief.count("2.0 ± 1.4 points (n=2)") == len(bars)


def test_figures_that_nothing_is_judged_by_have_their_seeds():
    """Oracle: the number given; none where there is no figure."""
    found = judged(claims.BATCH_16_BEATS_256, {}, data="", names={}, detail="R@1 80.0", seeds=3)
    assert (found.outcome, found.seeds, found.ours) == ("not testable here", 3, "R@1 80.0")
    assert judged(claims.BATCH_16_BEATS_256, {}, data="", names={}).seeds == 0
