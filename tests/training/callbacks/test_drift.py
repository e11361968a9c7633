"""Tests of the drift that a run logs."""

from tests.training.test_run import SMALL, one_thread, small
from xbmlib.training.experiment import Experiment
from xbmlib.training.run import run_experiment
from xbmlib.training.store import RunStore

# Fixtures; one_thread is autouse.
__all__ = ["one_thread", "small"]


def test_drift_rows(small, tmp_path):
    """Oracle: Δt and steps of the experiment; a model that learns drifts."""
    run = run_experiment(Experiment(**SMALL), RunStore(tmp_path))
    assert set(run.drift["delta"]) == {2, 7}
    assert (run.drift["step"] >= run.drift["delta"]).all()
    assert (run.drift["drift"] > 0).all()
    assert [h["step"] for h in run.history] == [12, 24]
