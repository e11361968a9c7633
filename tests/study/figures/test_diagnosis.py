"""Tests of the runs that a diagnosis is judged by, and of the notebook that shows it."""

from pathlib import Path

import nbformat
import pandas as pd
import pytest
import torch
from torch.nn.functional import normalize

from benchmarks.diagnosis import CALIBRATION, SETTING, USES, judged, level
from tests.kernels import papermill
from tests.study.outputs import assert_shown, complaints
from xbmlib import ContrastiveLoss, CrossBatchMemory
from xbmlib.diagnose import SHARE, SIMILARITY, Diagnosis
from xbmlib.paper.arms import NO_MEMORY
from xbmlib.study.figures.diagnosis import ARMS, COLLAPSING, HEALTHY, train
from xbmlib.study.figures.small import DIM, Part

ROOT = Path(__file__).resolve().parents[3]


def test_the_stored_runs_judge_the_diagnosis():
    """Oracle: the rules, one run at a time: at most one of the calibration is wrong, of 10 and 10.

    The runs of the setting are others.
    """
    runs = pd.read_csv(ROOT / "results" / "diagnosis.csv")
    assert len(runs) == len(USES) * (len(ARMS) - 1) and not {*SETTING} & {*CALIBRATION}
    hurt, healthy, wrong = 0, 0, 0
    for run in runs.to_dict("records"):
        share = run["R@1"] / run["baseline"]
        outcome = "hurt" if share < 0.8 else "healthy" if share >= 0.9 else "between"
        assert run["outcome"] == outcome and run["warned"] == (run["level"] > SIMILARITY)
        if run["use"] == "calibration":
            hurt += outcome == "hurt"
            healthy += outcome == "healthy"
            wrong += (outcome, run["warned"]) in (("hurt", False), ("healthy", True))
    assert hurt >= 10 and healthy >= 10 and wrong <= 1


def test_outcomes_by_hand():
    """Oracle: by hand: 40 is the R@1 with no memory, 32 and 36 the bounds."""
    names = {NO_MEMORY: 40.0, "a": 31.9, "b": 32.0, "c": 36.0}
    rows = [
        {**SETTING[0]._asdict(), "arm": arm, "R@1": r1, "level": SIMILARITY + (arm == "a")}
        for arm, r1 in names.items()
    ]
    found = judged(pd.DataFrame(rows))
    assert list(found["arm"]) == ["a", "b", "c"] and set(found["use"]) == {"setting"}
    assert list(found["outcome"]) == ["hurt", "between", "healthy"]
    assert list(found["warned"]) == [True, False, False] and set(found["baseline"]) == {40.0}


@pytest.mark.filterwarnings("ignore::xbmlib.diagnose.CollapseWarning")
@pytest.mark.parametrize("seed", range(3))
def test_the_level_is_where_a_diagnosis_stops_warning(seed):
    """Oracle: `Diagnosis` itself, with thresholds just below and just above the level."""
    generator = torch.Generator().manual_seed(seed)
    labels, loss, steps = torch.arange(6) // 2, ContrastiveLoss(0.5), []
    memory = CrossBatchMemory(12, 4)
    watches = {}
    for _ in range(2):
        memory.reset()
        state = generator.get_state()
        rows = []
        for _ in range(30):
            v = normalize(torch.rand(6, 4, generator=generator), dim=1)
            own = memory.enqueue(v, labels)
            loss(v, labels, memory, own=own)
            found = Diagnosis(1)(v, labels, memory, valid=loss.valid)
            rows.append(found.row())
            for watch in watches.values():
                watch(v, labels, memory, valid=loss.valid)
        generator.set_state(state)
        steps.append(level(rows))
        above, below = steps[0] + 1e-6, steps[0] - 1e-6
        if not watches:
            watches = {s: Diagnosis(1, similarity=s, share=SHARE) for s in (above, below)}
    assert steps[0] == steps[1] > 0
    assert [watch.warned for watch in watches.values()] == [False, True]


def test_a_run_is_watched_while_the_memory_is_there():
    """Oracle: the steps by hand; R@1 in percent; and the same run again, bit for bit."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(64, 1, 32, 32, generator=generator)
    parts = (Part(images, torch.arange(64) // 4), Part(images, torch.arange(64) // 4))
    first, again = (train(ARMS[COLLAPSING], parts, steps=40, seed=0) for _ in range(2))
    assert [row["step"] for row in first.rows] == [9, 19, 29, 39] and 0 <= first.recall <= 100
    assert first == again and first.rows[-1]["age_max"] == 64 - 1
    assert train(ARMS[NO_MEMORY], parts, steps=10, seed=0).rows == []
    assert train(ARMS[HEALTHY], parts, steps=40, seed=0).rows == []  # still warming up
    assert DIM == 64


def test_the_notebook_shows_it_without_a_warning(tmp_path):
    """Oracle: the exported PNG, and the outputs of all cells, at a few steps."""
    notebook, out = ROOT / "notebooks" / "diagnosis.ipynb", tmp_path / "out.ipynb"
    done = papermill(notebook, out, tmp_path, "-p", "steps", "120")
    assert done.returncode == 0, done.stderr
    executed = nbformat.read(out, 4)
    assert complaints(executed) == []
    assert_shown(executed, list((tmp_path / "figures" / "benchmarks").glob("*.png")))
