"""Tests of the figure of the batch's composition, on a frame made by hand."""

import pandas as pd

from tests.study.figures.frames import SEEDS
from xbmlib.plots.stronger_baseline import stronger_baseline
from xbmlib.study.figures.stronger_baseline import SPACES


def test_further_ranks_are_crosses_at_their_composition():
    """Oracle: the heights by hand, and the tick of the composition that they are of."""
    free, fixed = SPACES
    cases = [(16, name, ratio, 1, 80) for name in (free, fixed) for ratio in (0.0, 0.1, 1.0)]
    cases += [(16, fixed, 0.0, 2, 70), (16, fixed, 0.0, 3, 75)]
    rows = [
        {"data": "hanzi", "batch": batch, "composition": name, "ratio": ratio, "rank": rank,
         "R@1": r1 + s, "seed": s}
        for batch, name, ratio, rank, r1 in cases for s in SEEDS
    ]  # fmt: skip
    ax = stronger_baseline(pd.DataFrame(rows))
    (crosses,) = (line for line in ax.lines if line.get_marker() == "x")
    assert crosses.get_ydata().tolist() == [71, 76]
    (tick,) = (
        x for x, text in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
        if text.get_text().replace("\n", " ") == fixed
    )  # fmt: skip
    assert all(abs(x - tick) < 0.5 for x in crosses.get_xdata())
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"no memory", "memory ($R_M$ = 10%)", "memory ($R_M$ = 100%)"} <= set(labels)
