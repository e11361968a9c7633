"""Tests of a run divided over processes, by torchrun and the command line of one run."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch

from tests.distributed.test_processes import ROOT, torchrun
from tests.training.test_run import same
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

# 10 rows on 3 ranks are uneven; float32, so that only the order of sums differs.
SETTINGS = {
    "split": "smoke", "precision": "fp32", "batch": 10, "k": 2, "steps": 12, "start": 3,
    "ratio": 0.01, "init": "sample", "loss": "multi_similarity", "lr": 1e-4, "dim": 16,
    "drift": (3,), "probes": 1, "log_every": 1, "neighbours": 3,
}  # fmt: skip


def config(folder, **changes):
    """A file of the experiment."""
    path = folder / f"{'-'.join(changes) or 'plain'}.json"
    path.write_text(json.dumps(SETTINGS | changes))
    return path


def launched(ranks, path, store):
    """The run that so many processes leave in the store."""
    done = torchrun(ranks, "-m", "xbmlib.train", path, "--store", store)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout.splitlines()[-1])
    run = RunStore(store).load(printed["id"])
    assert printed["recall"] == run.recall
    return run


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run by one process, on the command line."""
    folder = tmp_path_factory.mktemp("alone")
    command = [sys.executable, "-m", "xbmlib.train", config(folder), "--store", folder / "runs"]
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    printed = json.loads(done.stdout)
    run = RunStore(folder / "runs").load(printed["id"])
    assert printed["recall"] == run.recall and run.experiment == Experiment(**SETTINGS)
    return run


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The run by two, the memory sharded; and its folder."""
    folder = tmp_path_factory.mktemp("two")
    return launched(2, config(folder, memory_shards=True), folder / "runs")


def alike(run, other):
    """Equal to what float32 sums in another order leave of it."""
    losses, wanted = run.metrics, other.metrics
    assert losses.columns.tolist() == wanted.columns.tolist()
    counts = [c for c in losses if c.endswith(("negatives", "positives"))]
    # A pair on the edge of being mined may fall on either side.
    assert ((losses[counts] - wanted[counts]).abs() <= 2 + 0.02 * wanted[counts]).where(
        wanted[counts].notna(), True
    ).all(axis=None)  # fmt: skip
    others = losses.columns.difference(counts)
    pd.testing.assert_frame_equal(losses[others], wanted[others], rtol=2e-3)
    pd.testing.assert_frame_equal(run.drift, other.drift, rtol=2e-2)
    assert run.recall == pytest.approx(other.recall, abs=0.01)


def test_two_equal_one(alone, two):
    """Oracle: the run by one process."""
    alike(two, alone)
    assert two.experiment.memory_shards and not alone.experiment.memory_shards


def test_three_equal_one(alone, tmp_path):
    """Oracle: the run by one process; shares of 3, 3 and 4, every rank with all of the memory."""
    run = launched(3, config(tmp_path), tmp_path / "runs")
    alike(run, alone)
    assert run.id == alone.id


def test_killed_and_started_again(two, tmp_path):
    """Oracle: the undisturbed run, to the last bit; killed after a checkpoint with the memory."""
    path, store = config(tmp_path, memory_shards=True), tmp_path / "runs"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    command += ["2", "-m", "xbmlib.train", path, "--store", store, "--checkpoint-steps", "3"]
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline, checkpoint = time.monotonic() + 120, store / two.id / "checkpoint.pt"
    step = 0
    while step < 6 and time.monotonic() < deadline:
        time.sleep(0.1)
        if checkpoint.is_file():
            step = torch.load(checkpoint, weights_only=True)["step"]
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not RunStore(store).ids()
    same(launched(2, path, store), two)
    assert not checkpoint.exists()


def test_a_bad_value_is_one_line(tmp_path):
    """Oracle: the number of lines that name it: of two ranks, one prints."""
    done = torchrun(2, "-m", "xbmlib.train", config(tmp_path, dim=0), "--store", tmp_path / "runs")
    assert done.returncode == 1 and done.stderr.count("dim=0: ") == 1, done.stderr
    assert not (tmp_path / "runs").exists()
