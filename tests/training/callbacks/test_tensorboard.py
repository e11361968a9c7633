"""Tests of the curves of a run, read back with TensorBoard's own reader."""

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
from xbmlib.training.callbacks import Callback, TensorBoard
from xbmlib.training.callbacks.tensorboard import ages
from xbmlib.training.experiment import Experiment
from xbmlib.training.run import identify, run_experiment
from xbmlib.training.store import RunStore

# Fixtures; one_thread is autouse.
__all__ = ["one_thread", "small"]

# On bundled images, for processes of their own.
WHOLE = {
    "split": "smoke",
    "batch": 8,
    "k": 2,
    "steps": 20,
    "start": 5,
    "ratio": 0.01,
    "dim": 16,
    "drift": (2, 6),
    "log_every": 3,
    "evaluations": 2,
    "probes": 8,
}


def logged(folder):
    """Tag to (steps, values) of the scalars in a folder's event files."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {
        tag: tuple(zip(*[(e.step, e.value) for e in events.Scalars(tag)], strict=True))
        for tag in events.Tags()["scalars"]
    }


def assert_logged(folder, run):
    """A curve for each column of the run's frames, in float32; ages by a closed formula."""
    e, found = run.experiment, logged(folder)
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
    """Oracle: the run's frames; and the run without callbacks, to the last bit."""
    e = Experiment(**SMALL)
    plain = run_experiment(e, RunStore(tmp_path / "plain"))
    board = TensorBoard(tmp_path / "board")
    run = run_experiment(e, RunStore(tmp_path / "logged"), callbacks=[board])
    same(run, plain)
    assert_logged(tmp_path / "board", run)
    assert "drift/C_7" in logged(tmp_path / "board")


def killed(folder, step):
    """Train WHOLE until a SIGKILL, checkpoints 5 steps apart; in a process of its own."""
    code = (
        "import os, signal, sys, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from xbmlib.training.run import run_experiment\n"
        "from xbmlib.training.experiment import Experiment\n"
        "from xbmlib.training.store import RunStore\n"
        "done = 0\n"
        "def progress(steps):\n"
        "    global done; done += steps\n"
        f"    if done >= {step}: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"run_experiment(Experiment(**{WHOLE}), RunStore(Path(sys.argv[1])),\n"
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
    assert logged(folder)["step/lr"][0] == (0, 3, 6, 9, 12)
    assert logged(folder)["evaluation/R@1"][0] == (10,)
    run = run_experiment(e, RunStore(tmp_path / "runs"), checkpoint_steps=5)
    assert len(list(folder.iterdir())) == 2
    assert_logged(folder, run)


def test_workers_inherit_the_variable(tmp_path, monkeypatch):
    """Oracle: the run's frames, under its id; a loaded run logs nothing more."""
    monkeypatch.setenv("XBM_TENSORBOARD", str(tmp_path / "boards"))
    e, store = Experiment(**WHOLE | {"evaluations": 1}), RunStore(tmp_path / "runs")
    (run,) = run_all([e], store)
    assert_logged(tmp_path / "boards" / run.id, run)
    run_all([e], store)
    assert len(list(tmp_path.glob("boards/*/*"))) == 1


class Clock(Callback):
    """Logs a table of its own, at every second step."""

    def on_step(self, trainer, step):
        if trainer.step % 2 == 0:
            trainer.log("clock", {"half": trainer.step / 2})


def test_one_that_is_given_comes_before_the_variable(small, tmp_path, monkeypatch):
    """Oracle: the folders; any other callback leaves the variable's in place."""
    monkeypatch.setenv("XBM_TENSORBOARD", str(tmp_path / "boards"))
    e = Experiment(**SMALL)
    board = TensorBoard(tmp_path / "board")
    run_experiment(e, RunStore(tmp_path / "runs"), callbacks=[board])
    assert not (tmp_path / "boards").exists() and (tmp_path / "board").exists()
    run = run_experiment(e, RunStore(tmp_path / "more"), callbacks=[Clock()])
    assert logged(tmp_path / "boards" / run.id).keys() == logged(tmp_path / "board").keys() | {
        "clock/half"
    }


def test_a_table_of_your_own_in_a_resumed_run(small, tmp_path):
    """Oracle: arithmetic; each step once, although those after the checkpoint are taken twice."""

    class Interrupt(Callback):
        def on_step(self, trainer, step):
            if trainer.step == 11:
                raise KeyboardInterrupt

    e, store, board = Experiment(**SMALL), RunStore(tmp_path / "runs"), tmp_path / "board"
    with pytest.raises(KeyboardInterrupt):
        run_experiment(
            e, store, callbacks=[TensorBoard(board), Clock(), Interrupt()], checkpoint_steps=4
        )
    assert logged(board)["clock/half"] == ((2, 4, 6, 8, 10), (1, 2, 3, 4, 5))
    run_experiment(e, store, callbacks=[TensorBoard(board), Clock()], checkpoint_steps=4)
    assert logged(board)["clock/half"] == (tuple(range(2, 25, 2)), tuple(range(1, 13)))


def test_ages():
    """Oracle: by hand: 5 entries enqueued into 4 slots, so ages 0 to 3."""
    memory = CrossBatchMemory(4, 2)
    assert ages(None) == ages(memory) == {}
    memory.enqueue(torch.zeros(5, 2), torch.zeros(5, dtype=torch.int64))
    assert ages(memory) == {"memory_age_mean": 1.5, "memory_age_max": 3}


def test_without_tensorboard(small, tmp_path, monkeypatch):
    """Oracle: the message names folder and remedy, before any work; without the variable, none."""
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for name in [n for n in sys.modules if n.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("XBM_TENSORBOARD", str(tmp_path / "boards"))
    e, steps = Experiment(**SMALL), []
    with pytest.raises(ImportError, match=r"boards/\w+: .*xbmlib\[logging\].*unset XBM_TENSOR"):
        run_experiment(e, RunStore(tmp_path / "runs"), progress=steps.append)
    assert steps == [] and not (tmp_path / "boards").exists()
    monkeypatch.delenv("XBM_TENSORBOARD")
    run_experiment(e, RunStore(tmp_path / "runs"))
