"""Tests of the file that a run resumes from."""

import numpy as np
import pytest
import torch

from tests.training.test_run import SMALL, one_thread, small
from xbmlib import datasets
from xbmlib.training.experiment import ConfigError, Experiment
from xbmlib.training.trainer import Trainer

# Fixtures; one_thread is autouse.
__all__ = ["one_thread", "small"]

E = Experiment(**SMALL)


def trainer(path):
    return Trainer(E, datasets.load(E.data, E.split), path)


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_it_holds_the_whole_state(small, tmp_path, schedule):
    """Oracle: torch's comparison of every state, and of the generator; the file is one file."""
    e = E.replace(schedule=schedule, evaluations=8, lr=1e-3)
    data = datasets.load(e.data, e.split)
    run = Trainer(e, data, tmp_path / "state.pt")
    run.train(checkpoint_steps=12)
    run.save()
    drawn = torch.rand(4)
    other = Trainer(e, data, tmp_path / "state.pt")
    assert torch.equal(torch.rand(4), drawn)
    assert other.step == 24 and other.seconds == run.seconds and other.rows == run.rows
    for name in ("model", "loss", "optimiser", "memory"):
        torch.testing.assert_close(
            getattr(other, name).state_dict(), getattr(run, name).state_dict(), rtol=0, atol=0
        )
    assert other.schedule.state_dict() == run.schedule.state_dict()
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]


@pytest.mark.parametrize("content", [b"", b"weights", "a dict", "a tensor"], ids=str)
def test_another_file_is_refused(small, tmp_path, content):
    """Oracle: one error that names the file and the remedy."""
    path = tmp_path / "state.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save({"step": 3} if content == "a dict" else torch.ones(2), path)
    with pytest.raises(ConfigError, match=r"state\.pt.*remove it"):
        trainer(path)


def test_a_row_that_could_not_be_read_again(small, tmp_path):
    """Oracle: the error names the value's place, its type and the remedy, before it is kept."""
    run = trainer(tmp_path / "state.pt")
    for value, kind in ((np.float32(1.0), r"numpy\.float32"), ("1", r"builtins\.str")):
        message = rf"norms\['mean'\], a {kind}: log plain Python numbers"
        with pytest.raises(TypeError, match=message):
            run.log("norms", {"mean": value})
    assert "norms" not in run.rows
