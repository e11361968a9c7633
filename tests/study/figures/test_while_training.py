"""Tests of R@1 while training: of the memory ratio, and of Table 1's contrastive loss."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xbmlib.plots.while_training import while_training
from xbmlib.study.figures import ablation_memory_ratio, losses_with_memory
from xbmlib.training.run import identify_all
from xbmlib.training.store import RunStore

STORED = Path(__file__).resolve().parents[3] / "results" / "runs"


@pytest.mark.parametrize("study", [ablation_memory_ratio, losses_with_memory])
def test_recall_while_training_is_what_the_runs_logged(study):
    """Oracle: the stored files of R@1, read by hand; the means of the figure's curves, and the
    level that is subtracted from them, by hand.
    """
    parameters = study.Parameters(profile="full")
    listed = identify_all(study.experiments(parameters))
    assert all(map(RunStore(STORED).done, listed)), "runs of profile full are missing: train them"
    data = study.training(parameters)
    assert set(data["ratio"]) == {0.0, 1.0} and set(data["seed"]) == {0, 1, 2}
    for id, rows in data.groupby("run"):
        logged = json.loads((STORED / str(id) / "recall.json").read_text())["history"]
        wanted = [(at["step"], 100 * at["R@1"], 100 * at["MAP@R"]) for at in logged]
        assert rows[["updates", "R@1", "MAP@R"]].to_numpy() == pytest.approx(np.array(wanted))
        assert wanted[-1][0] == 12_000
    figure = while_training(data, study.BATCH)
    assert len(figure.axes) == data["data"].nunique()
    for ax, (_, of_set) in zip(figure.axes, data.groupby("data", sort=False), strict=True):
        curves = {c.get_label(): list(c.lines[0].get_ydata()) for c in ax.containers}
        last = of_set[(of_set["updates"] == 12_000) & (of_set["ratio"] == 0)]["R@1"]
        end = sum(last) / len(last)
        assert curves["no memory"][-1] == pytest.approx(0)
        for label, ratio in (("no memory", 0.0), ("memory ($R_M$ = 100%)", 1.0)):
            part = of_set[of_set["ratio"] == ratio]
            means = [sum(v) / len(v) for _, v in part.groupby("updates")["R@1"]]
            assert curves[label] == pytest.approx([mean - end for mean in means])
        assert ax.get_ylim() == figure.axes[0].get_ylim()


def test_a_single_run_is_a_point_while_training():
    """Oracle: the frame: one set, one seed and one evaluation are one panel with a point, 0 points
    above itself.
    """
    row = {"data": "hanzi", "arm": "no memory", "ratio": 0.0, "updates": 9, "seed": 0, "R@1": 5.0}
    (ax,) = while_training(pd.DataFrame([row]), 16).axes
    (bar,) = ax.containers
    assert (list(bar.lines[0].get_xdata()), list(bar.lines[0].get_ydata())) == ([9], [0.0])
    assert ax.get_title() == "hanzi, batch 16, 1 seed"
