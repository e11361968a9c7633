"""Tests of the learning rates."""

import math

import pytest
import torch

from xbmlib.training.experiment import Experiment
from xbmlib.training.schedule import Schedule, learning_rate


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


@pytest.mark.parametrize(
    ("schedule", "state"),
    [
        ("cosine", {"best": 0.5}),
        ("plateau", {}),
        ("plateau", {"best": "high"}),
        ("plateau", {"best": 0.5, "unknown": 1}),
    ],
)
def test_a_state_that_is_refused_changes_nothing(schedule, state):
    """Oracle: the state before; the error names what differs and the schedule."""
    e = Experiment(schedule=schedule, evaluations=8)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], e.lr)
    mine = Schedule(e, optimiser)
    mine.observe(0.25)
    before = mine.state_dict()
    if len(state) and schedule == "plateau":
        state = before | state
    with pytest.raises(ValueError, match=rf'differ.*schedule="{schedule}"'):
        mine.load_state_dict(state)
    assert mine.state_dict() == before
    mine.load_state_dict(before)
