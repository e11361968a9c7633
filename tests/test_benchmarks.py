"""Tests of what the benchmarks on a CPU compute from what they measure; no time is judged here."""

import pandas as pd
import pytest

from benchmarks import growth, training


def test_slopes_from_2_to_the_14():
    """Oracle: times by hand: M^0.97 from 2^14 to 2^20, and constant below and above."""
    times = [
        {"M": m, "loss": name, "ms": min(max(m, 1 << 14), 1 << 20) ** 0.97}
        for m in [*growth.SIZES, growth.LARGEST]
        for name in growth.LOSSES
    ]
    found = list(growth.slopes(pd.DataFrame(times)))
    assert [r["ratio"] for r in found] == [pytest.approx(0.97)] * 6
    assert {(r["sense"], r["bar"], r["holds"]) for r in found} == {
        (">=", 0.95, True),
        ("<=", 1.05, True),
    }
    assert all("from 2^14 to 2^20" in r["what"] for r in found)


def test_a_slope_below_the_bar_falls_short():
    """Oracle: by hand, M^0.9."""
    times = [{"M": m, "loss": name, "ms": m**0.9} for m in growth.SIZES for name in growth.LOSSES]
    assert [r["holds"] for r in growth.slopes(pd.DataFrame(times))] == [False, True] * 3


def test_the_share_of_evaluation_is_judged():
    """Oracle: by hand: 1 of 10 seconds holds, 2 of 10 falls short."""
    parts = [
        {"batch": 16, "memory": "none", "part": "forward", "seconds": 5.0},
        {"batch": 16, "memory": "none", "part": "backward", "seconds": 4.0},
        {"batch": 16, "memory": "none", "part": "evaluation", "seconds": 1.0},
        {"batch": 64, "memory": "100%", "part": "forward", "seconds": 8.0},
        {"batch": 64, "memory": "100%", "part": "evaluation", "seconds": 2.0},
    ]
    held, short = training.evaluation(pd.DataFrame(parts))
    assert (held["ours"], held["reference"], held["bar"], held["holds"]) == (1, 10, 0.1, True)
    assert "batch 16" in held["what"] and "none" in held["what"]
    assert (short["ratio"], short["holds"]) == (0.2, False)
