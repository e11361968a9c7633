"""Tests of the run store."""

import hashlib
import multiprocessing as mp
import os
import time

import pandas as pd
import pytest

from xbmlib.storage import write_atomically
from xbmlib.training import store
from xbmlib.training.experiment import ConfigError, Experiment
from xbmlib.training.store import Run, RunStore, run_id

EXPERIMENT = Experiment(drift=(2, 5), weights=None)
ID = run_id(EXPERIMENT, "f")


def example(extras=True):
    """A finished run of two logged steps, with a drift and neighbours or without."""
    measured = {"step": [5, 5], "delta": [2, 5], "drift": [0.1, 1 / 3], "spread": [0.0, 1e-9]}
    found = {"query": [8, 8], "rank": [1, 2], "similarity": [0.5, 1 / 3], "right": [True, False]}
    return Run(
        id=ID,
        experiment=EXPERIMENT,
        recall={"R@1": 1 / 3},
        history=[{"step": 3, "R@1": 0.1}, {"step": 6, "R@1": 1 / 3}],
        metrics=pd.DataFrame({"step": [0, 10], "loss": [1.5, 1 / 3]}),
        drift=pd.DataFrame(measured if extras else {}),
        provenance={"seed": 0, "fingerprints": ["f"], "device": "λ"},
        neighbours=pd.DataFrame(found if extras else {}),
    )


def names(folder):
    """Names of all files below a folder, hidden ones too."""
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_id_follows_every_field():
    """Oracle: every field that changes gives another id; equal ones the same."""
    base = Experiment()
    changes = {
        "data": "scripts",
        "split": "validation",
        "backbone": "resnet50",
        "view": "paper",
        "weights": None,
        "freeze_bn": True,
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
        "memory_shards": True,
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
        "neighbours": 7,
        "mined": 3,
        "lemma": 2,
    }
    assert changes.keys() == Experiment.model_fields.keys()
    ids = {run_id(base.replace(**{k: v}), "f") for k, v in changes.items() if k != "lemma"}
    ids.add(run_id(base.replace(drift=(5,), lemma=changes["lemma"]), "f"))
    assert len(ids | {run_id(base, "f")}) == len(changes) + 1
    assert run_id(Experiment(), "f") == run_id(base, "f")
    # The smallest change counts, another way to write the same does not.
    assert run_id(base.replace(lr=2.0000000001e-4), "f") != run_id(base, "f")
    assert run_id(base.replace(ratio=1), "f") == run_id(base.replace(ratio=1.0), "f")
    ways = (Experiment(lr=1.0, seed=3), Experiment(seed=3, lr=1.0, dim=base.dim))
    assert len({run_id(e, "f") for e in ways}) == 1


def test_id_follows_data_and_weights(monkeypatch):
    """Oracle: other fingerprints, in another order or cut elsewhere, and another version differ."""
    base = Experiment()
    ids = [
        run_id(base, *f) for f in ((), ("f",), ("g",), ("f", "g"), ("g", "f"), ("fg",), ("f", ""))
    ]
    monkeypatch.setattr(store, "TRAINING_VERSION", store.TRAINING_VERSION + 1)
    ids.append(run_id(base, "f"))
    assert len(set(ids)) == len(ids)


def test_id_is_for_ever(monkeypatch):
    """Oracle: SHA-256 of the text written out here; committed runs are named by it.

    Defaults are left out of it, so that a new hyper-parameter does not rename what there is.
    """
    monkeypatch.setattr(store, "TRAINING_VERSION", 1)
    text = '[{"batch": 32, "drift": [1, 10], "lr": 0.001, "weights": null}, "data", "weights", 1]'
    experiment = Experiment(lr=1e-3, batch=32, weights=None, drift=(1, 10), k=4)
    wanted = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert run_id(experiment, "data", "weights") == wanted


@pytest.mark.parametrize("extras", [True, False], ids=["drift, neighbours", "neither"])
def test_round_trip(tmp_path, extras):
    """Oracle: what was saved, to the last bit."""
    store, run = RunStore(tmp_path / "deep" / "runs"), example(extras)
    assert not store.done(ID) and store.ids() == []
    store.save(run)
    assert store.done(ID) and store.ids() == [ID] and not store.done("other")
    loaded = store.load(ID)
    pd.testing.assert_frame_equal(loaded.metrics, run.metrics, check_exact=True)
    pd.testing.assert_frame_equal(loaded.drift, run.drift, check_exact=True)
    pd.testing.assert_frame_equal(loaded.neighbours, run.neighbours, check_exact=True)
    for name in ("id", "experiment", "recall", "history", "provenance"):
        assert getattr(loaded, name) == getattr(run, name)
    assert store.experiment(ID) == EXPERIMENT
    # Saved again, it is the same run, and there is no litter.
    store.save(run)
    extra = [f"{name}.parquet" for name in ("drift", "neighbours") if extras]
    tables = sorted([*extra, "metrics.parquet"])
    assert names(tmp_path) == ["config.json", *tables, "provenance.json", "recall.json"]


def test_a_changed_default_is_noticed(tmp_path):
    """Oracle: a run whose id does not follow from its own configuration is refused."""
    store = RunStore(tmp_path)
    store.save(example())
    (tmp_path / ID).rename(tmp_path / "0123")
    with pytest.raises(ConfigError, match="0123.*TRAINING_VERSION"):
        store.load("0123")


@pytest.mark.parametrize("during", range(6))
def test_interrupted_at_each_file_it_is_not_done(tmp_path, monkeypatch, during):
    """Oracle: six files, of which only the last makes a run; saved again, it is whole."""
    store, count, replace = RunStore(tmp_path), 0, os.replace

    def killed(*paths):
        nonlocal count
        count += 1
        if count == during + 1:
            raise KeyboardInterrupt
        replace(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            store.save(example())
        assert len(names(tmp_path)) == during
        assert not store.done(ID) and store.ids() == []
    store.save(example())
    assert store.done(ID) and len(names(tmp_path)) == 6
    pd.testing.assert_frame_equal(store.load(ID).drift, example().drift)


def die_while_writing(folder):
    """End at once, as by SIGKILL, with a lock held and half a file written."""
    with RunStore(folder).locked(ID) as place:

        def write(temporary):
            temporary.write_text('{"final"')
            os._exit(9)

        write_atomically(place / "recall.json", write)


def compete(folder, log, arrived, turn):
    """Do the work of one run unless the other process did."""
    store = RunStore(folder)
    arrived[turn].set()
    with store.locked(ID):
        if not store.done(ID):
            with open(log, "a") as file:
                file.write("worked\n")
            # Long enough for the other to see an unfinished run, were it let in.
            assert arrived[1 - turn].wait(60)
            time.sleep(0.5)
            store.save(example())


def test_two_processes_do_it_once_even_after_one_that_died(tmp_path):
    """Oracle: a log that both would write to; the dead process's lock and file are no obstacle."""
    context, folder, log = mp.get_context("spawn"), tmp_path / "runs", tmp_path / "log"
    dead = context.Process(target=die_while_writing, args=(folder,))
    dead.start()
    dead.join(60)
    assert dead.exitcode == 9
    assert not RunStore(folder).done(ID) and RunStore(folder).ids() == []
    arrived = [context.Event(), context.Event()]
    both = [context.Process(target=compete, args=(folder, log, arrived, i)) for i in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    assert log.read_text() == "worked\n"
    assert RunStore(folder).load(ID).recall == example().recall
    assert not (folder / ID / ".lock").exists()


def test_a_failed_run_gives_its_lock_back(tmp_path):
    """Oracle: the folder can be held again, by the same process too; another run's all along."""
    store = RunStore(tmp_path)
    with pytest.raises(ValueError, match="diverged"), store.locked(ID) as folder:
        assert folder == tmp_path / ID and folder.is_dir()
        with store.locked("other"):
            raise ValueError("diverged")
    with store.locked(ID):
        assert not store.done(ID)
