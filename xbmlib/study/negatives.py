"""Figures 4 and 5: valid negatives of each iteration, from the batch and from the memory."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
import torch
from torch import Tensor

from xbmlib import datasets, paper
from xbmlib.config import Experiment
from xbmlib.runs import RunStore
from xbmlib.study.notebook import Parameters, Verdict, judge, mean_spread
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import experiment

BATCH = 64
# Anchors of the last batch that are shown with their pairs.
ANCHORS = 4


class NegativesParameters(Parameters):
    """The study of valid negatives takes no parameters of its own."""

    notebook: ClassVar[str] = "valid_negatives"


def experiments(parameters: NegativesParameters) -> list[Experiment]:
    """R_M = 1 at batch 64, every step logged; one run keeps its last pairs for Fig. 5."""
    first, *others = (
        experiment(parameters.size, BATCH, seed=seed, ratio=1.0).but(log_every=1)
        for seed in parameters.seed_range
    )
    return [first.but(mined=ANCHORS), *others]


def frame(parameters: NegativesParameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load the runs with R_M = 1 at batch 64.

    Returns:
        A row for each seed, step and source ("batch" or "memory"): data, step, source,
        negatives (valid pairs of the iteration, over all anchors), seed, start, run.
    """
    parts = []
    for run in run_all(experiments(parameters), store):
        e = run.experiment
        for source in ("batch", "memory"):
            rows = run.metrics[["step", f"{source}_negatives"]].dropna()
            rows.columns = pd.Index(["step", "negatives"])
            parts.append(
                rows.assign(data=e.data, source=source, seed=e.seed, start=e.start, run=run.id)
            )
    return pd.concat(parts, ignore_index=True)


def shown(parameters: NegativesParameters, store: RunStore | None = None) -> pd.DataFrame:
    """The anchors of the first seed's last batch with their hardest pairs, as Fig. 5 has them.

    Returns:
        As :func:`xbmlib.mined.mined`, with the data set, split and view that the ids are of.
    """
    run = run_all(experiments(parameters), store)[0]
    e = run.experiment
    return run.mined.assign(data=e.data, split=e.split, view=e.view, run=run.id)


def pictures(data: pd.DataFrame) -> dict[int, Tensor]:
    """Every picture of the rows, by its id: (C, H, W) uint8."""
    train = datasets.load(*data[["data", "split", "view"]].iloc[0]).train
    ids = pd.unique(pd.concat([data["anchor"], data["id"]]))
    return dict(zip(ids.tolist(), train.show(torch.tensor(ids)), strict=True))


def verdicts(data: pd.DataFrame, parameters: NegativesParameters) -> list[Verdict]:
    """The claim of Section 3.3, "Hard Mining Ability", held against the counts in ``data``."""
    after = data[data["step"] >= data["start"]]
    mean = after.groupby(["source", "seed"])["negatives"].mean()
    batch, memory = mean["batch"], mean["memory"]
    ratio = memory / batch.clip(lower=1e-9)
    wanted = paper.VALID_NEGATIVES_MEMORY.value / paper.VALID_NEGATIVES_BATCH.value
    return [
        Verdict(
            claim="The memory gives about 1,000 valid negatives an iteration, the batch under 10.",
            paper=f"over {wanted:.0f} times as many ({paper.VALID_NEGATIVES_MEMORY.where})",
            ours=f"{mean_spread(memory)} from the memory, {mean_spread(batch, digits=2)} from the "
            f"batch: {mean_spread(ratio, digits=0)} times",
            rule=f"in every seed the memory gives at least {wanted:.0f} times the batch's, on "
            "average from the memory's start",
            outcome=judge(ratio >= wanted),
            data=f"{parameters.size.first_told}, batch {BATCH}, R_M = 1, contrastive, "
            f"profile {parameters.profile}",
            seeds=len(batch),
        )
    ]
