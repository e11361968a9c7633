"""Tests of the study of valid negatives, on a frame made by hand and on a small run."""

import pandas as pd
import torch

from tests.study.figures.frames import SEEDS
from xbmlib import datasets
from xbmlib.plots.valid_negatives import hardest_pairs as plot
from xbmlib.study.figures import valid_negatives
from xbmlib.training.store import RunStore


def test_valid_negatives_over_all_iterations_and_the_last():
    """Oracle: by hand: from the memory's start 505 against 10.5, after the decay 900 against 1."""
    counts = {  # step: batch, memory, decays
        0: (500, None, 0), 10: (20, 110, 0), 20: (1, 900, 1)}  # fmt: skip
    rows = [
        {"step": step, "source": source, "negatives": n, "decays": decays, "seed": s,
         "updates": 30, "start": 10}
        for step, (batch, memory, decays) in counts.items()
        for source, n in (("batch", batch), ("memory", memory)) if n is not None
        for s in SEEDS
    ]  # fmt: skip
    parameters = valid_negatives.Parameters(profile="quick")
    every, late = valid_negatives.verdicts(pd.DataFrame(rows), parameters)
    assert every.outcome == "disagrees" and late.outcome == "agrees"
    assert every.ours.startswith("505.0 ± 0.0 (n=3) from the memory, 10.50 ± 0.00")
    assert late.ours.endswith(": 900 ± 0 (n=3) times")


def test_hardest_pairs_and_their_figure(tmp_path):
    """Oracle: pixels and classes of the training images; images counted from the rows."""
    parameters = valid_negatives.Parameters(profile="smoke")
    data = valid_negatives.hardest_pairs(parameters, RunStore(tmp_path))
    train = datasets.load("hanzi", "validation").train
    images = valid_negatives.images(data)
    for row in data.itertuples():
        same = bool(train.labels[row.anchor] == train.labels[row.id])
        assert same == (row.source == "positive") and row.id != row.anchor
        assert torch.equal(images[row.id], 255 - train.images[row.id])
    ax = plot(data, images, each=2)
    assert data["anchor"].nunique() == valid_negatives.ANCHORS
    assert len(ax.images) == valid_negatives.ANCHORS + (data["rank"] <= 2).sum()
