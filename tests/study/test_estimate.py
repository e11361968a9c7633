"""Tests of what is said of runs before they are trained."""

import pytest

from xbmlib.study.estimate import Quicker, announcement, estimate, rates
from xbmlib.study.figures import retrievals
from xbmlib.study.parallel import run_all
from xbmlib.training.experiment import Experiment
from xbmlib.training.run import identify_all, run_experiment
from xbmlib.training.store import RunStore

SHORT = Experiment(split="smoke", batch=8, k=2, dim=8, steps=2, evaluations=1)


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


def test_the_quicker_choice_is_announced(tmp_path, monkeypatch):
    """Oracle: arithmetic, at 90 s an update: 9 minutes of 6 updates; of two quick runs of 2 the one
    that is not stored takes 3, and where both are stored, none does.
    """
    monkeypatch.setattr("xbmlib.study.estimate.rates", lambda store: {("compact", 8): 90.0})
    quick = [SHORT, SHORT.replace(seed=1)]
    stored = set(identify_all(quick[:1]))
    monkeypatch.setattr(RunStore, "done", lambda self, id: id in stored)

    def spy(*arguments):
        raise InterruptedError(announcement(*arguments))

    monkeypatch.setattr("xbmlib.study.parallel.announcement", spy)
    line = "1 run: 0 stored, 1 to train, about 9 minutes; `-p profile quick`: "
    for minutes in "30":
        with pytest.raises(InterruptedError, match=f"^{line}{minutes}$"):
            run_all(
                [SHORT.replace(steps=6)], RunStore(tmp_path), Quicker("-p profile quick", quick)
            )
        stored |= set(identify_all(quick))


def test_a_study_names_its_quick_runs():
    """Oracle: the runs of the profile quick; no other profile has a quicker one here."""
    of = retrievals.experiments
    full, quick = (retrievals.Parameters(profile=name, seeds=1) for name in ("full", "quick"))
    assert full.quicker(of) == Quicker("-p profile quick", of(quick)) and quick.quicker(of) is None


def test_an_estimate_leaves_out_what_cannot_be_read(tmp_path):
    """Oracle: the time of the whole run alone, beside a damaged one of another batch size."""
    store = RunStore(tmp_path)
    whole, damaged = (run_experiment(e, store) for e in (SHORT, SHORT.replace(batch=4)))
    assert set(rates(store)) == {("compact", 8), ("compact", 4)}
    for name in ("metrics.parquet", "config.json", "recall.json"):
        (tmp_path / damaged.id / name).write_bytes(b"x")
        assert rates(store) == {
            ("compact", 8): pytest.approx(whole.provenance["seconds"] / SHORT.steps)
        }
