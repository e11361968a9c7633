"""Tests of the study of valid negatives, on a frame made by hand and on a small run."""

import matplotlib.pyplot as plt
import pandas as pd
import torch

from tests.study.figures.frames import SEEDS
from xbmlib import datasets
from xbmlib.plots import style
from xbmlib.plots.valid_negatives import hardest_pairs as plot
from xbmlib.plots.valid_negatives import valid_negatives as curves
from xbmlib.study.figures import valid_negatives
from xbmlib.training.store import RunStore


def test_valid_negatives_in_every_tenth():
    """Oracle: by hand: the memory gives 1,100 and more, the batch 9 and less; in one tenth of ten
    the memory gives as few as the batch, which its mean does not show.
    """
    parameters = valid_negatives.Parameters(profile="quick")

    def outcome(fewest):
        rows = [
            {"step": 10 + step, "source": source, "negatives": n, "seed": s, "updates": 110,
             "start": 10}
            for step in range(100)
            for source, n in (
                ("batch", 9 - step / 50), ("memory", 1100.0 if step // 10 != 5 else fewest)
            )
            for s in SEEDS
        ]  # fmt: skip
        early = [{"step": 0, "source": "batch", "negatives": 500, "seed": s, "updates": 110,
                  "start": 10} for s in SEEDS]  # fmt: skip
        (found,) = valid_negatives.verdicts(pd.DataFrame(rows + early), parameters)
        assert found.name == "negatives_throughout"
        return found

    assert outcome(1050.0).outcome == "agrees"
    assert outcome(1050.0).ours.startswith("memory over batch 1042.1 ± 0.0 pairs (n=3)")
    assert outcome(500.0).outcome == "partly" and outcome(5.0).outcome == "disagrees"


def test_the_title_says_what_the_runs_were():
    """Oracle: the frame: λ, the memory's start and the length; the paper's line at 1,000 lies
    within the panel, not on its frame.
    """
    rows = [
        {"data": "hanzi", "step": step, "source": source, "negatives": 20.0, "seed": 0,
         "updates": 2000, "start": 200, "lam": 0.6}
        for source, first in (("batch", 0), ("memory", 200))
        for step in range(first, 2000, 10)
    ]  # fmt: skip
    with style():
        figure = curves(pd.DataFrame(rows))
    (ax,) = figure.axes
    assert ax.get_title() == (
        "hanzi, batch 64, 2,000 iterations, 1 seed\n"
        "λ = 0.6, memory of $R_M$ = 100% from iteration 200"
    )
    assert ax.get_ylim()[1] > 1200
    plt.close(figure)


def test_hardest_pairs_and_their_figure(smoke, capsys):
    """Oracle: pixels and classes of the training images; images counted from the rows.

    What the frame has stored is neither trained nor announced once more.
    """
    store = RunStore(smoke[0] / "results" / "runs")
    runs = valid_negatives.frame(valid_negatives.Parameters(profile="smoke"), store)
    capsys.readouterr()
    data = valid_negatives.hardest_pairs(runs, store)
    assert capsys.readouterr().out == ""
    train = datasets.load("hanzi", "smoke").train
    images = valid_negatives.images(data)
    for row in data.itertuples():
        same = bool(train.labels[row.anchor] == train.labels[row.id])
        assert same == (row.source == "positive")
        # An older entry of the same image is a positive, the anchor's own entry none.
        assert row.id != row.anchor or row.similarity < 0.999
        assert torch.equal(images[row.id], 255 - train.images[row.id])
    ax = plot(data, images, each=2)
    assert data["anchor"].nunique() == valid_negatives.ANCHORS
    assert len(ax.images) == valid_negatives.ANCHORS + (data["rank"] <= 2).sum()
    headings = [text.get_text() for text in ax.texts if text.get_text() != "none valid"]
    sources = ["memory's positives", "batch's negatives", "memory's negatives"]
    assert headings == ["anchor", *sources]
