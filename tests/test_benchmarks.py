"""Tests of what the benchmarks on a CPU compute from what they measure; no time is judged here."""

import pandas as pd
import pytest
import torch
from torch import nn

from benchmarks import growth, network, training


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
        {"batch": 16, "memory": "none", "part": training.EMBEDDING, "seconds": 0.8},
        {"batch": 16, "memory": "none", "part": training.RECALL, "seconds": 0.2},
        {"batch": 64, "memory": "100%", "part": "forward", "seconds": 8.0},
        {"batch": 64, "memory": "100%", "part": training.EMBEDDING, "seconds": 1.5},
        {"batch": 64, "memory": "100%", "part": training.RECALL, "seconds": 0.5},
    ]
    held, short = training.evaluation(pd.DataFrame(parts))
    assert (held["ours"], held["reference"], held["bar"], held["holds"]) == (1, 10, 0.1, True)
    assert "batch 16" in held["what"] and "none" in held["what"]
    assert (short["ratio"], short["holds"]) == (0.2, False)
    assert held["reason"] == "" and "alone is 15% of" in short["reason"]


def test_what_a_memory_adds_to_a_step():
    """Oracle: by hand: of 20 ms, 24 with it, of which 1 and 0.5 are the product and enqueuing."""
    reason = training.added(20.0, 24.0, 1.0, 0.5)
    assert [word for word in reason.split() if "%" in word] == ["5.0%", "2.5%;", "12.5%"]


def test_layouts_are_compared_with_that_of_the_study():
    """Oracle: the settings' names; a time of each."""
    first, *others = network.LAYOUTS
    found = list(network.layouts(batch=4, rounds=1))
    assert [name in r["what"] for name, r in zip(others, found, strict=True)] == [True, True]
    assert all(r["against"] == first and r["ours"] > 0 and r["reference"] > 0 for r in found)


def test_operations_of_convolutions():
    """Oracle: by hand, 2 · images · pixels · weights of each pass; the first convolution has no
    gradient of its input, and a linear layer is no convolution.
    """
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 5, 2, stride=2), nn.Flatten(), nn.Linear(80, 2)
    )
    first, second = 2 * 4 * 64 * (1 * 3 * 9), 2 * 4 * 16 * (3 * 5 * 4)
    assert network.operations(net, torch.rand(4, 1, 8, 8)) == 2 * first + 3 * second


def test_a_step_is_judged_by_its_quickest_forms(monkeypatch):
    """Oracle: times by hand, in ms, and the bar of 1.3; without a compiler the row is left out."""
    times = {"trained": [20.0], "compiled": [10.0], "unfused": [21.0]}
    monkeypatch.setattr(network, "timings", lambda rounds, **calls: {n: times[n] for n in calls})
    monkeypatch.setattr(network, "trainer", lambda e: FakeTrainer())
    monkeypatch.setattr(network.bfloat16, "is_fast", lambda device: True)
    compiled, fused = network.steps()
    assert (compiled["ratio"], compiled["holds"]) == (2.0, True) and "compile" in compiled["what"]
    assert (fused["ratio"], fused["bar"], fused["holds"]) == (1.05, 1.3, False)
    monkeypatch.setenv("CXX", "no-such-compiler")
    (alone,) = network.steps()
    assert alone == fused
    monkeypatch.delenv("CXX")
    monkeypatch.setattr(network.bfloat16, "is_fast", lambda device: False)
    assert list(network.steps()) == [fused]


class FakeTrainer:
    """What the measurement of a step needs of a trainer; no data set is loaded."""

    def __init__(self):
        self.model = nn.Linear(2, 2)

    def batches(self):
        """One batch."""
        return iter([()])
