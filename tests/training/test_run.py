"""Tests of whole runs, on the real data at small size."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from xbmlib import datasets
from xbmlib.backbones import WeightsError
from xbmlib.datasets import Retrieval
from xbmlib.training.experiment import ConfigError, Experiment
from xbmlib.training.run import identify_all, main, read_experiment, run_experiment
from xbmlib.training.store import RunStore

SMALL = {
    "batch": 8,
    "k": 2,
    "steps": 24,
    "start": 6,
    "ratio": 0.05,
    "dim": 16,
    "drift": (2, 7),
    "log_every": 1,
    "evaluations": 2,
    "probes": 8,
    "lemma": 3,
}


@pytest.fixture
def small(monkeypatch):
    """The first classes of hanzi: real images, few of them."""
    whole = datasets.load("hanzi")

    def load(name, split="test", view="rendered"):
        few = [s.of_classes(s.classes[:60]) for s in (whole.train, whole.query)]
        return Retrieval(name, few[0], few[1], None, (1, 10), "small")

    monkeypatch.setattr(datasets, "load", load)


@pytest.fixture(autouse=True)
def one_thread():
    """As the study runs them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def same(a, b):
    """Equal to the last bit, but for the clock."""
    assert a.recall == b.recall and a.history == b.history
    pd.testing.assert_frame_equal(a.metrics, b.metrics, check_exact=True)
    pd.testing.assert_frame_equal(a.drift, b.drift, check_exact=True)


def test_repeatable(small, tmp_path):
    """Oracle: the same run again, elsewhere; another seed differs."""
    runs = [
        run_experiment(Experiment(**SMALL, seed=seed), RunStore(tmp_path / str(i)))
        for i, seed in enumerate((0, 0, 1))
    ]
    same(runs[0], runs[1])
    assert runs[0].metrics["batch_loss"].tolist() != runs[2].metrics["batch_loss"].tolist()


@pytest.mark.parametrize("ratio", [0.0, 0.05])
def test_interrupted_anywhere(small, tmp_path, ratio):
    """Oracle: the undisturbed run. Interrupted twice, between checkpoints, memory not yet full."""
    experiment = Experiment(**SMALL | {"ratio": ratio})
    whole = run_experiment(experiment, RunStore(tmp_path / "whole"))

    class Interrupt(Exception):
        pass

    def until(step):
        count = 0

        def progress(steps):
            nonlocal count
            count += steps
            if count >= step:
                raise Interrupt

        return progress

    store = RunStore(tmp_path / "cut")
    for step in (9, 17):
        with pytest.raises(Interrupt):
            run_experiment(experiment, store, progress=until(step), checkpoint_steps=4)
    same(run_experiment(experiment, store, checkpoint_steps=4), whole)


def test_a_real_sigkill(tmp_path):
    """Oracle: the undisturbed run, on bundled images, in processes of their own."""
    code = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from xbmlib.training.run import run_experiment\n"
        "from xbmlib.training.experiment import Experiment\n"
        "from xbmlib.training.store import RunStore\n"
        "e = Experiment(split='smoke', steps=40, start=10, ratio=0.01, log_every=1)\n"
        "run_experiment(e, RunStore(Path(sys.argv[1])), checkpoint_steps=5)\n"
    )

    def start(folder):
        return subprocess.Popen([sys.executable, "-c", code, str(folder)])

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert start(whole).wait() == 0
    process, deadline = start(cut), time.monotonic() + 120
    while not list(cut.glob("*/checkpoint.pt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not RunStore(cut).ids() and list(cut.glob("*/checkpoint.pt"))
    assert start(cut).wait() == 0
    (id,) = RunStore(whole).ids()
    same(RunStore(whole).load(id), RunStore(cut).load(id))
    left = {p.name for p in Path(cut / id).iterdir()}
    assert left == {"config.json", "metrics.parquet", "provenance.json", "recall.json"}


def test_a_finished_run_is_loaded(small, tmp_path, monkeypatch):
    """Oracle: a trainer that must not be made again."""
    store = RunStore(tmp_path)
    first = run_experiment(Experiment(**SMALL), store)

    def refuse(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr("xbmlib.training.run.Trainer", refuse)
    steps = []
    same(run_experiment(Experiment(**SMALL), store, progress=steps.append), first)
    assert sum(steps) == SMALL["steps"]


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"ratio": 1e-4}, ConfigError, "ratio=0.0001"),
        ({"batch": 512, "k": 1}, ConfigError, "batch=512"),
        ({"weights": "none.pt"}, ValueError, "none.pt"),
    ],
)
def test_refused_before_any_work(small, tmp_path, values, error, message):
    """Oracle: the message names the value, and no run is in the store."""
    with pytest.raises(error, match=message):
        run_experiment(Experiment(**SMALL | values), RunStore(tmp_path))
    assert RunStore(tmp_path).ids() == []


def test_weights_that_do_not_fit_are_found_before_any_work(small, tmp_path, monkeypatch):
    """Oracle: a trainer that must not be made; weights of another net are named with the file."""
    torch.save({"0.0.weight": torch.ones(3)}, tmp_path / "w.pt")
    monkeypatch.setattr("xbmlib.training.run.Trainer", None)
    good, bad = Experiment(**SMALL), Experiment(**SMALL, weights=str(tmp_path / "w.pt"))
    with pytest.raises(WeightsError, match=r"w\.pt: does not fit this backbone; missing"):
        identify_all([good, bad])
    with pytest.raises(WeightsError, match=r"w\.pt"):
        run_experiment(bad, RunStore(tmp_path / "runs"))
    assert len(identify_all([good, good.replace(seed=1)])) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "give a JSON file of an experiment"),
        ("[]", "give an object"),
        ('{"rato": 1}', "did you mean ratio"),
        ('{"ratio": 2}', "ratio=2"),
    ],
)
def test_a_bad_file_is_refused(text, message, tmp_path):
    """Oracle: one error that names what is wrong."""
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_experiment(path)
    with pytest.raises(ConfigError, match=r"none\.json.*give a JSON file"):
        read_experiment(tmp_path / "none.json")


def test_the_command_line_reports_a_bad_file(tmp_path, monkeypatch):
    """Oracle: it ends with the error alone, and no traceback."""
    monkeypatch.setattr(sys, "argv", ["train", str(tmp_path / "none.json")])
    with pytest.raises(SystemExit, match=r"none\.json.*give a JSON file"):
        main()


def test_the_command_line_reports_a_training_that_diverged(tmp_path, monkeypatch):
    """Oracle: it ends with the remedy alone: at a logged step, or else at the evaluation."""
    path = tmp_path / "e.json"
    for every, remedy in (
        (1, r"the loss is (nan|inf) at step 1: lower lr=1e\+38"),
        (1000, "embeddings that are not finite: lower the learning rate"),
    ):
        fields = {"steps": 6, "lr": 1e38, "log_every": every, "split": "smoke", "batch": 8}
        path.write_text(json.dumps(fields | {"k": 2, "dim": 8}))
        store = str(tmp_path / f"runs{every}")
        monkeypatch.setattr(sys, "argv", ["train", str(path), "--store", store])
        with pytest.raises(SystemExit, match=remedy):
            main()
