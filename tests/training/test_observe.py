"""Tests of what is told of a run while it goes on, read back with TensorBoard's own reader."""

import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.training.test_run import SMALL, one_thread, same, small
from xbmlib import datasets
from xbmlib.queue import CrossBatchMemory
from xbmlib.study.parallel import run_all
from xbmlib.training.experiment import Experiment
from xbmlib.training.observe import TensorBoard, ages
from xbmlib.training.run import identify, run_one
from xbmlib.training.store import RunStore

# Fixtures, one of which every test uses unasked.
__all__ = ["one_thread", "small"]

# On the whole data set, for processes of their own.
WHOLE = {
    "split": "validation",
    "batch": 8,
    "k": 2,
    "steps": 20,
    "start": 5,
    "ratio": 0.002,
    "dim": 16,
    "drift": (2, 6),
    "log_every": 3,
    "evaluations": 2,
    "probes": 8,
}


def told(folder):
    """Tag to (steps, values) of the scalars in a folder's event files."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {
        tag: tuple(zip(*[(e.step, e.value) for e in events.Scalars(tag)], strict=True))
        for tag in events.Tags()["scalars"]
    }


def assert_tells(folder, run):
    """A curve for each column of the run's frames, in float32; ages by a closed formula."""
    e, found = run.experiment, told(folder)
    frames = {f"step/{c}": run.metrics[["step", c]] for c in run.metrics if c != "step"}
    for delta, rows in run.drift.groupby("delta"):
        for column in set(rows) - {"step", "delta", "lr"}:
            frames[f"drift/{column}_{delta}"] = rows[["step", column]]
    history = pd.DataFrame(run.history)
    frames |= {f"evaluation/{c}": history[["step", c]] for c in history if c != "step"}
    # Filling up: the newest entry has age 0, and each other one more than the next.
    steps = run.metrics["step"][run.metrics["step"] >= e.start]
    size = e.memory_size(len(datasets.load(e.data, e.split).train))
    oldest = ((steps - e.start + 1) * e.batch).clip(upper=size) - 1
    assert oldest.min() < oldest.max() == size - 1
    frames["step/memory_age_max"] = pd.DataFrame({"step": steps, "age": oldest})
    frames["step/memory_age_mean"] = pd.DataFrame({"step": steps, "age": oldest / 2})
    assert found.keys() == frames.keys()
    for tag, frame in frames.items():
        at, values = frame.dropna().to_numpy(np.float64).T
        assert found[tag][0] == tuple(at), tag
        np.testing.assert_array_equal(np.float32(found[tag][1]), np.float32(values), tag)


def test_the_whole_run(small, tmp_path):
    """Oracle: the run's frames; and the run that nobody observed, to the last bit."""
    e = Experiment(**SMALL)
    plain = run_one(e, RunStore(tmp_path / "plain"))
    with TensorBoard(tmp_path / "board") as board:
        run = run_one(e, RunStore(tmp_path / "observed"), observe=board)
    same(run, plain)
    assert_tells(tmp_path / "board", run)
    assert "drift/C_7" in told(tmp_path / "board")


def killed(folder, step):
    """Train WHOLE until a SIGKILL, checkpoints 5 steps apart; in a process of its own."""
    code = (
        "import os, signal, sys, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from xbmlib.training.run import run_one\n"
        "from xbmlib.training.experiment import Experiment\n"
        "from xbmlib.training.store import RunStore\n"
        "done = 0\n"
        "def progress(steps):\n"
        "    global done; done += steps\n"
        f"    if done >= {step}: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"run_one(Experiment(**{WHOLE}), RunStore(Path(sys.argv[1])),\n"
        "          progress=progress, checkpoint_steps=5)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(folder)], check=False)
    assert ended.returncode == -signal.SIGKILL


def test_killed_and_resumed(tmp_path, monkeypatch):
    """Oracle: the run's frames. Evaluated and checkpointed at step 10, killed at 13."""
    monkeypatch.setenv("XBM_TENSORBOARD", str(tmp_path / "boards"))
    e = Experiment(**WHOLE)
    id = identify(e)
    killed(tmp_path / "runs", step=13)
    folder = tmp_path / "boards" / id
    # Each row was on disk before the kill, those after the checkpoint as well.
    assert told(folder)["step/lr"][0] == (0, 3, 6, 9, 12)
    assert told(folder)["evaluation/R@1"][0] == (10,)
    run = run_one(e, RunStore(tmp_path / "runs"), checkpoint_steps=5)
    assert len(list(folder.iterdir())) == 2
    assert_tells(folder, run)


def test_workers_inherit_the_variable(tmp_path, monkeypatch):
    """Oracle: the run's frames, under its id; of a loaded run no more is told."""
    monkeypatch.setenv("XBM_TENSORBOARD", str(tmp_path / "boards"))
    e, store = Experiment(**WHOLE | {"evaluations": 1}), RunStore(tmp_path / "runs")
    (run,) = run_all([e], store)
    assert_tells(tmp_path / "boards" / run.id, run)
    run_all([e], store)
    assert len(list(tmp_path.glob("boards/*/*"))) == 1


def test_any_function_may_observe(small, tmp_path, monkeypatch):
    """Oracle: the run's frames; what is given comes before the variable, and changes no number."""
    monkeypatch.setenv("XBM_TENSORBOARD", str(tmp_path / "boards"))
    rows = []

    def note(kind, row):
        rows.append((kind, dict(row)))
        row.clear()

    e = Experiment(**SMALL)
    run = run_one(e, RunStore(tmp_path / "runs"), observe=note)
    assert not (tmp_path / "boards").exists()
    assert rows[0] == ("start", {"step": 0})
    assert [row for kind, row in rows if kind == "evaluation"] == run.history
    drifts = pd.DataFrame([row for kind, row in rows if kind == "drift"])
    pd.testing.assert_frame_equal(drifts, run.drift, check_exact=True)
    steps = pd.DataFrame([row for kind, row in rows if kind == "step"])[list(run.metrics)]
    pd.testing.assert_frame_equal(steps, run.metrics, check_exact=True)
    assert len(rows) == 1 + len(run.history) + len(run.drift) + len(run.metrics)


def test_ages():
    """Oracle: by hand: 5 entries enqueued into 4 slots, so ages 0 to 3."""
    memory = CrossBatchMemory(4, 2)
    assert ages(None) == ages(memory) == {}
    memory.enqueue(torch.zeros(5, 2), torch.zeros(5, dtype=torch.int64))
    assert ages(memory) == {"memory_age_mean": 1.5, "memory_age_max": 3}


def test_without_tensorboard(small, tmp_path, monkeypatch):
    """Oracle: the message names folder and remedy, before any work; unasked, it is not missed."""
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for name in [n for n in sys.modules if n.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("XBM_TENSORBOARD", str(tmp_path / "boards"))
    e, steps = Experiment(**SMALL), []
    with pytest.raises(ImportError, match=r"boards/\w+: .*xbmlib\[logging\].*unset XBM_TENSOR"):
        run_one(e, RunStore(tmp_path / "runs"), progress=steps.append)
    assert steps == [] and not (tmp_path / "boards").exists()
    monkeypatch.delenv("XBM_TENSORBOARD")
    run_one(e, RunStore(tmp_path / "runs"))
