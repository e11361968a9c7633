"""Tests of training stored runs anew."""

import json
from pathlib import Path

import pytest
import torch

from xbmlib.study import verify
from xbmlib.study.parallel import run_all
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

SHORT = Experiment(split="smoke", batch=8, k=2, dim=8, steps=2, evaluations=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of two finished runs."""
    store = RunStore(tmp_path_factory.mktemp("runs"))
    run_all([SHORT.replace(seed=seed) for seed in (0, 1)], store)
    return store.folder


@pytest.fixture
def store(folder, monkeypatch):
    """Two finished runs, as the store that is there by default."""
    store = RunStore(folder)
    monkeypatch.setattr(
        verify, "RunStore", lambda folder=None: RunStore(folder) if folder else store
    )
    return store


def test_stored_runs_are_equal_trained_anew(store, monkeypatch, capsys):
    """Oracle: the same machine makes the same numbers; the store is left as it was."""
    files = {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}
    monkeypatch.setattr("sys.argv", ["verify", "--minutes", "9"])
    verify.main()
    printed = capsys.readouterr().out
    assert "2 of 2 runs equal bit for bit; R@1 changes by at most 0.00 points" in printed
    assert {path: path.read_bytes() for path in files} == files


def test_another_number_is_shown(store):
    """Oracle: two seeds, which differ, in place of a stored run and the same trained anew."""
    one, other = (store.load(id) for id in store.ids())
    row = verify.compare(one, other)
    assert not row["equal"]
    assert row["change"] == pytest.approx(100 * (other.recall["R@1"] - one.recall["R@1"]))
    assert verify.compare(one, one)["equal"]


def test_the_choice_keeps_to_its_time(store, monkeypatch):
    """Oracle: by hand: at twice its 10 s, one run fits into half a minute of a core."""
    runs = {id: store.load(id) for id in store.ids()}
    for run in runs.values():
        run.provenance["seconds"] = 10.0
    monkeypatch.setattr(store, "load", runs.get)
    chosen = verify.choose(store, minutes=0.5, seed=0, workers=1)
    assert len(chosen) == 1
    assert len(verify.choose(store, minutes=0.5, seed=0, workers=2)) == 2
    orders = {verify.choose(store, 0.5, seed, 1)[0].id for seed in range(8)}
    assert orders == set(runs)
    # None is quick enough: the quickest, rather than nothing.
    runs[chosen[0].id].provenance["seconds"] = 9.0
    assert verify.choose(store, minutes=0.01, seed=0, workers=1) == [runs[chosen[0].id]]


def test_nothing_to_verify(tmp_path, monkeypatch):
    """Oracle: one line with the folder and the remedy; a time that is none is refused."""
    monkeypatch.setattr(verify, "RunStore", lambda: RunStore(tmp_path / "none"))
    monkeypatch.setattr("sys.argv", ["verify"])
    with pytest.raises(SystemExit, match="none: no finished run; `make reproduce`"):
        verify.main()
    monkeypatch.setattr("sys.argv", ["verify", "--minutes", "0"])
    with pytest.raises(SystemExit, match="--minutes 0: give a number above 0"):
        verify.main()


def test_provenance_names_the_processor(store):
    """Oracle: /proc/cpuinfo, where there is one, and torch's name of what it can do."""
    run = json.loads((store.path(store.ids()[0]) / "provenance.json").read_text())
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = {line.partition(": ")[2].strip() for line in lines if line.startswith("model name")}
    name, _, capability = run["processor"].rpartition(", ")
    assert name in names or not names
    assert capability == torch.backends.cpu.get_cpu_capability()
