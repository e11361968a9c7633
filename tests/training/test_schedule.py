"""Tests of the learning rates."""

import math

import pytest

from xbmlib.training.experiment import Experiment
from xbmlib.training.schedule import learning_rate


@pytest.mark.parametrize(
    ("schedule", "step", "share"),
    [
        ("constant", 99, 1),
        ("cosine", 0, 1),
        ("cosine", 50, (1 + math.cos(math.pi * 50 / 101)) / 2),
        ("step", 59, 1),
        ("step", 60, 0.1),
        ("step", 85, 0.01),
    ],
)
def test_learning_rates(schedule, step, share):
    """Oracle: the closed formula."""
    e = Experiment(steps=100, lr=0.5, schedule=schedule)
    assert learning_rate(e, step) == pytest.approx(0.5 * share)
