"""Tests of what is said of runs before they are trained."""

import pytest

from xbmlib.study.estimate import announcement, estimate
from xbmlib.study.parallel import run_all
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

SHORT = Experiment(split="validation", batch=8, k=2, dim=8, steps=2, evaluations=1)


def test_seconds_by_hand():
    """Oracle: arithmetic: 0.1 s an update at batch 16, 4 times that at 64, 8 times at 128."""
    rates = {("compact", 16): 0.1, ("compact", 64): 0.4, ("googlenet", 64): 9.0}
    runs = [Experiment(batch=batch, steps=1000) for batch in (16, 64, 128)]
    assert [estimate([run], rates, 1) for run in runs] == pytest.approx([100, 400, 800])
    # Two cores: 650 s each would be an even split, but the longest run takes 800.
    assert estimate(runs, rates, 2) == pytest.approx(800)
    assert estimate(runs * 2, rates, 2) == pytest.approx(1300)
    assert estimate([Experiment(backbone="resnet50")], rates, 2) is None
    assert estimate([], rates, 2) == 0


def test_runs_are_announced(tmp_path, capsys):
    """Oracle: by hand: of three runs, two of them alike, one is stored; then both are."""
    store = RunStore(tmp_path)
    other = SHORT.replace(seed=1)
    run_all([SHORT], store)
    assert "1 run: 0 stored, 1 to train\n" in capsys.readouterr().out
    run_all([SHORT, other, other], store)
    assert "2 runs: 1 stored, 1 to train, about 1 minute\n" in capsys.readouterr().out
    run_all([SHORT, other], store)
    assert capsys.readouterr().out == "2 runs: 2 stored, 0 to train\n"


def test_minutes(tmp_path):
    """Oracle: a stored run of a known time, and one of a thousand times its updates."""
    store = RunStore(tmp_path)
    (run,) = run_all([SHORT], store)
    minutes = run.provenance["seconds"] / SHORT.steps * 6000 / 60
    line = announcement([SHORT.replace(steps=6000)], 5, store, workers=1)
    found = int(
        line.removeprefix("5 runs: 4 stored, 1 to train, about ").split()[0].replace(",", "")
    )
    assert found == pytest.approx(minutes, abs=1)
