"""Tests of the diagnosis of a run's memory."""

import pytest
import torch

from tests.training.test_callbacks import trained
from tests.training.test_run import SMALL, one_thread, small
from xbmlib.diagnose import CollapseWarning, Diagnosis, health
from xbmlib.training.callbacks import Callback, Diagnose
from xbmlib.training.experiment import Experiment

# Fixtures; one_thread is autouse.
__all__ = ["one_thread", "small"]

E = Experiment(**SMALL)


class Measured(Callback):
    """What the plain function measures, at every step with a memory."""

    def __init__(self):
        self.rows = {}

    def on_step(self, trainer, step):
        if "memory" in step.parts:
            found = health(
                step.embeddings,
                step.labels,
                trainer.memory,
                valid=step.parts["memory"].valid,
                ids=step.ids,
            )
            self.rows[trainer.step] = {"step": trainer.step, **found.row()}


def test_rows_are_those_of_the_plain_function(small, tmp_path):
    """Oracle: the function itself at each step; the checks are every third, from the start on.

    The run's own numbers are those without the callback.
    """
    measured = Measured()
    trainer = trained(tmp_path, E, [measured, Diagnose(Diagnosis(3))])
    rows = trainer.rows["memory"]
    due = [step for step in range(3, E.steps + 1, 3) if step > E.start]
    assert [row["step"] for row in rows] == due
    assert rows == [measured.rows[step] for step in due]
    other = trained(tmp_path / "without", E)
    for a, b in zip(trainer.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_it_warns_at_its_thresholds(small, tmp_path):
    """Oracle: thresholds that every batch exceeds: the warning has the step of the second check."""
    diagnosis = Diagnosis(1, similarity=-1, share=0, patience=2)
    with pytest.warns(CollapseWarning, match=f"step {E.start + 2}: "):
        trained(tmp_path, E, [Diagnose(diagnosis)])


def test_a_run_with_no_memory_logs_nothing(small, tmp_path):
    """Oracle: no table."""
    trainer = trained(tmp_path, E.replace(ratio=0.0), [Diagnose(Diagnosis(1))])
    assert "memory" not in trainer.rows


def test_it_is_checkpointed(small, tmp_path):
    """Oracle: the state of the finished run: all its steps."""
    callback = Diagnose(Diagnosis(2))
    trained(tmp_path, E, [callback])
    other = Diagnose(Diagnosis(2))
    other.load_state_dict(callback.state_dict())
    assert other.diagnosis.steps == E.steps and other.state_dict() == callback.state_dict()
