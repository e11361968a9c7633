"""Tests of the gains from scratch and from pretrained weights."""

import pandas as pd
import pytest

from xbmlib.plots.from_scratch import r1_by_start
from xbmlib.study.figures.from_scratch import Parameters, comparison

ARMS = ("no memory", "memory (R_M = 0.1)")
# R@1 with no memory, then with memory at the tuned rate and at the other.
R1 = {"pretrained": (80.0, 82.0, 83.0), "scratch": (70.0, 71.0, 74.0)}


def frame(other=0.0):
    """Two seeds; at the second rate R@1 with no memory is higher by ``other``."""
    return pd.DataFrame(
        [
            {"data": "hanzi", "start": start, "arm": arm, "lr": lr, "seed": seed,
             "R@1": (r1[1 + i] if memory else r1[0] + i * other) + seed}
            for start, r1 in R1.items()
            for i, lr in enumerate(("tuned", "0.0008"))
            for memory, arm in enumerate(ARMS)
            for seed in (0, 1)
        ]
    )  # fmt: skip


def test_both_gains_of_a_start_stand_over_its_one_baseline():
    """Oracle: by hand: two places, R@1 with no memory below, two marks each."""
    ax = r1_by_start(frame())
    ticks = [t.get_text() for t in ax.get_xticklabels()]
    assert ticks == ["pretrained weights\nno memory: 80.5%", "from scratch\nno memory: 70.5%"]
    marks = [line for line in ax.lines if line.get_marker() == "s"]
    assert [list(line.get_ydata()) for line in marks] == [[2.0, 1.0], [3.0, 4.0]]
    tuned, other = (list(line.get_xdata()) for line in marks)
    assert [round(x) for x in tuned] == [round(x) for x in other] == [0, 1]
    assert all(x < y for x, y in zip(tuned, other, strict=True))
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sorted(names) == [
        "memory ($R_M$ = 10%), rate 0.0008",
        "memory ($R_M$ = 10%), tuned rate",
        "no memory",
    ]


def test_a_baseline_of_each_rate_has_a_place_of_its_own():
    """Oracle: by hand: the second rate's gains are smaller by what its baseline is higher."""
    ax = r1_by_start(frame(other=0.5))
    assert len(ax.get_xticks()) == 4
    marks = [line for line in ax.lines if line.get_marker() == "s"]
    assert [list(line.get_ydata()) for line in marks] == [[2.0, 1.0], [2.5, 3.5]]


@pytest.mark.parametrize(("other", "each"), [(0.0, 3), (0.5, 4)])
def test_a_baseline_stands_once_in_the_table(other, each):
    """Oracle: by hand: R@1 with no memory once per start, or once per rate where it differs."""
    rows = comparison(frame(other), Parameters(profile="smoke"))
    assert len(rows) == 2 * each and len({(row.of, row.what) for row in rows}) == len(rows)
    values = [row.ours.mean() for row in rows[:each]]
    assert values == ([80.5, 2.0, 3.0] if each == 3 else [80.5, 81.0, 2.0, 2.5])
