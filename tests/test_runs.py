"""Tests of the run store."""

import multiprocessing as mp
import time

import pandas as pd
import pytest

from xbmlib.config import ConfigError, Experiment
from xbmlib.runs import Run, RunStore, run_id, write_atomically

EXPERIMENT = Experiment(drift=(2,))
ID = run_id(EXPERIMENT, "f")


def example():
    return Run(
        id=ID,
        experiment=EXPERIMENT,
        recall={"R@1": 0.5},
        history=[{"step": 3}],
        metrics=pd.DataFrame({"step": [0, 10], "loss": [1.5, 0.25]}),
        drift=pd.DataFrame(),
        provenance={"seed": 0, "fingerprints": ["f"]},
    )


def test_id_follows_every_field():
    """Oracle: every field that changes gives another id; equal ones the same."""
    base = Experiment()
    changes = {
        "data": "scripts",
        "split": "validation",
        "backbone": "resnet50",
        "weights": None,
        "pooling": "max",
        "dim": 64,
        "sampler": "shuffle",
        "batch": 32,
        "k": 2,
        "crop": 0.5,
        "loss": "triplet",
        "reduction": "mean",
        "lam": 0.4,
        "eta": 0.2,
        "alpha": 1.0,
        "beta": 9.0,
        "epsilon": 0.2,
        "ratio": 0.5,
        "start": 7,
        "init": "sample",
        "memory_weight": 2.0,
        "batch_loss": False,
        "memory_dtype": "bfloat16",
        "steps": 3000,
        "lr": 1e-3,
        "weight_decay": 0.0,
        "schedule": "step",
        "precision": "fp32",
        "seed": 1,
        "evaluations": 2,
        "log_every": 1,
        "drift": (3,),
        "probes": 5,
    }
    assert changes.keys() == Experiment.model_fields.keys()
    ids = {run_id(base.but(**{k: v}), "f") for k, v in changes.items()}
    assert len(ids | {run_id(base, "f"), run_id(base, "g")}) == len(changes) + 2
    assert run_id(Experiment(), "f") == run_id(base, "f")


def test_round_trip(tmp_path):
    """Oracle: what was saved."""
    store, run = RunStore(tmp_path), example()
    assert not store.done(ID) and store.ids() == []
    store.save(run)
    assert store.done(ID) and store.ids() == [ID]
    loaded = store.load(ID)
    pd.testing.assert_frame_equal(loaded.metrics, run.metrics)
    assert loaded.drift.empty
    for name in ("id", "experiment", "recall", "history", "provenance"):
        assert getattr(loaded, name) == getattr(run, name)


def test_a_changed_default_is_noticed(tmp_path):
    """Oracle: a run whose id does not follow from its own configuration is refused."""
    store = RunStore(tmp_path)
    store.save(example())
    (tmp_path / ID).rename(tmp_path / "0123")
    with pytest.raises(ConfigError, match="0123.*TRAINING_VERSION"):
        store.load("0123")


def test_nothing_is_half_written(tmp_path):
    """Oracle: the old content, after a writer that fails half-way; and no litter."""
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fails(temporary):
        temporary.write_text("ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fails)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_without_its_last_file_is_not_done(tmp_path, monkeypatch):
    """Oracle: recall.json is written last; killed before it, the run does not count."""
    store = RunStore(tmp_path)

    def killed(path, value):
        if path.name == "recall.json":
            raise KeyboardInterrupt
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")

    monkeypatch.setattr("xbmlib.runs.write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        store.save(example())
    assert not store.done(ID)


def compete(folder, log):
    """Do the work of one run unless the other process did."""
    store = RunStore(folder)
    with store.locked(ID):
        if not store.done(ID):
            with open(log, "a") as file:
                file.write("worked\n")
            time.sleep(0.3)
            store.save(example())


def test_two_processes_do_it_once(tmp_path):
    """Oracle: a log that both would write to."""
    context = mp.get_context("spawn")
    log = tmp_path / "log"
    both = [context.Process(target=compete, args=(tmp_path / "runs", log)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert log.read_text() == "worked\n"
