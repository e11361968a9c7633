"""Tests of whole runs, on the real data at small size."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from xbmlib import backbones, datasets
from xbmlib.datasets import Retrieval
from xbmlib.losses import ContrastiveLoss
from xbmlib.sampler import PKSampler
from xbmlib.training import trainer
from xbmlib.training.experiment import ConfigError, Experiment
from xbmlib.training.loading import crop_generator
from xbmlib.training.run import run_one
from xbmlib.training.schedule import learning_rate
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
    """The first classes of hanzi: real pictures, few of them."""
    whole = datasets.load("hanzi")

    def load(name, split="test", view="rendered"):
        few = [s.of_classes(s.classes[:60]) for s in (whole.train, whole.query)]
        return Retrieval("small", few[0], few[1], None, (1, 10), "small")

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
        run_one(Experiment(**SMALL, seed=seed), RunStore(tmp_path / str(i)))
        for i, seed in enumerate((0, 0, 1))
    ]
    same(runs[0], runs[1])
    assert runs[0].metrics["batch_loss"].tolist() != runs[2].metrics["batch_loss"].tolist()


@pytest.mark.parametrize("ratio", [0.0, 0.05])
def test_interrupted_anywhere(small, tmp_path, ratio):
    """Oracle: the undisturbed run. Interrupted twice, between checkpoints, memory not yet full."""
    experiment = Experiment(**SMALL | {"ratio": ratio})
    whole = run_one(experiment, RunStore(tmp_path / "whole"))

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
            run_one(experiment, store, progress=until(step), checkpoint_steps=4)
    same(run_one(experiment, store, checkpoint_steps=4), whole)


def test_a_real_sigkill(tmp_path):
    """Oracle: the undisturbed run, on the whole data set, in processes of their own."""
    code = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from xbmlib.training.run import run_one\n"
        "from xbmlib.training.experiment import Experiment\n"
        "from xbmlib.training.store import RunStore\n"
        "e = Experiment(split='validation', steps=40, start=10, ratio=0.01, log_every=1)\n"
        "run_one(e, RunStore(Path(sys.argv[1])), checkpoint_steps=5)\n"
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
    first = run_one(Experiment(**SMALL), store)

    def refuse(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr("xbmlib.training.run.Trainer", refuse)
    told = []
    same(run_one(Experiment(**SMALL), store, progress=told.append), first)
    assert sum(told) == SMALL["steps"]


def test_first_steps_equal_a_plain_loop(small, tmp_path):
    """Oracle: Algorithm 1 written out with torch alone, in float32 without cropping."""
    e = Experiment(
        **SMALL
        | {"precision": "fp32", "crop": 1.0, "steps": 10, "start": 2, "drift": (), "lam": 0.3}
    )
    run = run_one(e, RunStore(tmp_path))
    data = datasets.load("hanzi").train
    torch.manual_seed(0)
    model = backbones.build("compact", 16, "scripts").to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), e.lr, weight_decay=5e-4)
    size = round(0.05 * len(data))
    queue_v, queue_y = torch.empty(0, 16), torch.empty(0, dtype=torch.int64)

    def contrastive(v, y, refs, ref_y, skip):
        total = 0
        for i in range(len(v)):
            for j in range(len(refs)):
                if j != skip[i]:
                    s = v[i] @ refs[j]
                    if y[i] == ref_y[j]:
                        total = total + 1 - s
                    elif s > 0.3:
                        total = total + s
        return total / len(v)

    for t, batch in enumerate(PKSampler(data.labels, 4, 2, steps=10)):
        v, y = model(data.images[batch].float() / 255), data.labels[batch]
        loss = contrastive(v, y, v, y, range(8))
        if t >= 2:
            queue_v = torch.cat([queue_v, v.detach()])[-size:]
            queue_y = torch.cat([queue_y, y])[-size:]
            places = range(len(queue_y) - 8, len(queue_y))
            loss = loss + contrastive(v, y, queue_v, queue_y, places)
        row = run.metrics.iloc[t]
        ours = row["batch_loss"] + (row["memory_loss"] if t >= 2 else 0)
        assert ours == pytest.approx(float(loss.detach()), rel=2e-4), t
        optimiser.param_groups[0]["lr"] = learning_rate(e, t)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def test_memory_joins_at_its_start(small, tmp_path):
    """Oracle: the columns of the metrics: none before the start, a value at each step after."""
    for init in ("fill", "sample"):
        run = run_one(Experiment(**SMALL, init=init), RunStore(tmp_path / init))
        assert (run.metrics["memory_loss"].notna() == (run.metrics["step"] >= 6)).all()


def test_drift_rows(small, tmp_path):
    """Oracle: Δt and steps as asked; zero learning left gives zero drift."""
    run = run_one(Experiment(**SMALL), RunStore(tmp_path))
    assert set(run.drift["delta"]) == {2, 7}
    assert (run.drift["step"] >= run.drift["delta"]).all()
    assert (run.drift["drift"] > 0).all()
    assert [h["step"] for h in run.history] == [12, 24]


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
    ("values", "error", "told"),
    [
        ({"ratio": 1e-4}, ConfigError, "ratio=0.0001"),
        ({"batch": 512, "k": 1}, ConfigError, "batch=512"),
        ({"weights": "none.pt"}, ValueError, "none.pt"),
    ],
)
def test_refused_before_any_work(small, tmp_path, values, error, told):
    """Oracle: the message names the value, and no run is in the store."""
    with pytest.raises(error, match=told):
        run_one(Experiment(**SMALL | values), RunStore(tmp_path))
    assert RunStore(tmp_path).ids() == []


def test_divergence_is_told(small, tmp_path, monkeypatch):
    """Oracle: a loss that is not finite stops the run with the step and the remedy."""

    class Diverged(ContrastiveLoss):
        def forward(self, *args, **kwargs):
            return super().forward(*args, **kwargs) * math.inf

    monkeypatch.setattr(trainer, "build_loss", lambda e: Diverged())
    with pytest.raises(FloatingPointError, match=r"step 0: lower lr=0\.0002"):
        run_one(Experiment(**SMALL), RunStore(tmp_path))


def test_seeds_crop_apart():
    """Oracle: counting. Every seed and step draws numbers of its own."""
    drawn = {
        tuple(torch.rand(4, generator=crop_generator(seed, step)).tolist())
        for seed in range(20)
        for step in range(50)
    }
    assert len(drawn) == 20 * 50
