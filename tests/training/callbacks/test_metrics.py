"""Tests of the rows that a run logs of its steps."""

import math

import pytest

from tests.training.test_run import SMALL, one_thread, small
from xbmlib.losses import ContrastiveLoss
from xbmlib.training import build
from xbmlib.training.experiment import Experiment
from xbmlib.training.run import run_experiment
from xbmlib.training.store import RunStore

# Fixtures; one_thread is autouse.
__all__ = ["one_thread", "small"]


def test_memory_joins_at_its_start(small, tmp_path):
    """Oracle: the columns of the metrics: none before the start, a value at each step after."""
    for init in ("fill", "sample"):
        run = run_experiment(Experiment(**SMALL, init=init), RunStore(tmp_path / init))
        assert (run.metrics["memory_loss"].notna() == (run.metrics["step"] >= 6)).all()


def test_a_batch_loss_that_is_not_minimised(small, tmp_path):
    """Oracle: the first steps of a run that minimises it, before the memory joins and at that step.

    At the step at which the memory joins, the weights are still those of the other run.
    """
    e = Experiment(**SMALL)
    without, both = (
        run_experiment(e.replace(batch_loss=kept), RunStore(tmp_path / str(kept))).metrics
        for kept in (False, True)
    )
    assert list(without) == list(both)
    columns = [name for name in both if name.startswith("batch")]
    assert len(columns) == 3 and without[columns].notna().all(axis=None)
    assert without[columns][:7].equals(both[columns][:7])
    assert not without[columns][7:].equals(both[columns][7:])


def test_divergence_is_reported(small, tmp_path, monkeypatch):
    """Oracle: a loss that is not finite stops the run with the step and the remedy."""

    class Diverged(ContrastiveLoss):
        def forward(self, *args, **kwargs):
            return super().forward(*args, **kwargs) * math.inf

    monkeypatch.setattr(build, "build_loss", lambda e: Diverged())
    with pytest.raises(FloatingPointError, match=r"step 0: lower lr=0\.0002"):
        run_experiment(Experiment(**SMALL), RunStore(tmp_path))
