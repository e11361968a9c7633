"""Figures 4 and 5: valid negatives of each iteration, from the batch and from the memory."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import pandas as pd
import torch
from torch import Tensor

from xbmlib import datasets, paper
from xbmlib.study.notebook import StudyParameters, Verdict, judge, mean_spread
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import experiment
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

BATCH = 64
# Times the profile's images, for the claim after as many updates as batch 16 has.
LONGER = {"full": 4}
# Anchors of the last batch that are shown with their pairs.
ANCHORS = 4


class Parameters(StudyParameters):
    """The study of valid negatives takes no parameters of its own."""

    notebook: ClassVar[str] = "valid_negatives"


def experiments(parameters: Parameters) -> list[Experiment]:
    """R_M = 1 at batch 64, every step logged; one run keeps its last pairs for Fig. 5.

    After those, where the profile has it, the longer runs that ``training_length`` has too.
    """
    size = parameters.size
    first, *others = (
        experiment(size, BATCH, seed=seed, ratio=1.0).replace(log_every=1)
        for seed in parameters.seed_range
    )
    longer = replace(size, images=LONGER.get(size.name, 0) * size.images)
    return [first.replace(mined=ANCHORS), *others] + [
        experiment(longer, BATCH, seed=seed, ratio=1.0)
        for seed in parameters.seed_range
        if longer.images
    ]


def frame(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load the runs with R_M = 1 at batch 64.

    Returns:
        A row for each seed, updates (steps of the run), logged step and source ("batch" or
        "memory"): data, step, source, negatives (valid pairs of the iteration, over all anchors),
        decays (how often the rate had been divided by 10), seed, updates, start, run.
    """
    parts = []
    for run in run_all(experiments(parameters), store):
        e = run.experiment
        for source in ("batch", "memory"):
            rows = run.metrics[["step", f"{source}_negatives", "lr"]].dropna()
            decays = (e.lr / rows.pop("lr")).map(math.log10).round().astype(int)
            rows.columns = pd.Index(["step", "negatives"])
            parts.append(
                rows.assign(data=e.data, source=source, decays=decays, seed=e.seed,
                            updates=e.steps, start=e.start, run=run.id)
            )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def shown(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """The anchors of the first seed's last batch with their hardest pairs, as Fig. 5 has them.

    Returns:
        As :func:`xbmlib.training.callbacks.mined_pairs.mined_pairs`, with the data set, split and
        view that the ids are of.
    """
    run = run_all(experiments(parameters), store)[0]
    e = run.experiment
    return run.mined.assign(data=e.data, split=e.split, view=e.view, run=run.id)


def pictures(data: pd.DataFrame) -> dict[int, Tensor]:
    """Every picture of the rows, by its id: (C, H, W) uint8."""
    train = datasets.load(*data[["data", "split", "view"]].iloc[0]).train
    ids = pd.unique(pd.concat([data["anchor"], data["id"]]))
    return dict(zip(ids.tolist(), train.show(torch.tensor(ids)), strict=True))


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """The claim of Section 3.3, "Hard Mining Ability", held against the counts in ``data``."""
    after = data[data["step"] >= data["start"]]
    found = []
    for updates, rows in after.groupby("updates"):
        told = f"{parameters.size.first_told}, batch {BATCH}, R_M = 1, contrastive, {updates:,} "
        told += f"updates, profile {parameters.profile}"
        found.append(_verdict(rows, "", "on average from the memory's start", told))
        # The paper's counts are of a training that goes on long after this one ends.
        settled = rows[rows["decays"] > 0]
        later = "; here where the learning rate has decayed"
        if len(settled):
            found.append(_verdict(settled, later, "on average after its first decay", told))
    return found


def _verdict(rows: pd.DataFrame, claim: str, rule: str, told: str) -> Verdict:
    """The claim over some of the iterations."""
    mean = rows.groupby(["source", "seed"])["negatives"].mean()
    batch, memory = mean["batch"], mean["memory"]
    ratio = memory / batch.clip(lower=1e-9)
    wanted = paper.VALID_NEGATIVES_MEMORY.value / paper.VALID_NEGATIVES_BATCH.value
    return Verdict(
        claim="The memory gives about 1,000 valid negatives an iteration, the batch under 10"
        f"{claim}.",
        paper=f"over {wanted:.0f} times as many ({paper.VALID_NEGATIVES_MEMORY.where})",
        ours=f"{mean_spread(memory)} from the memory, {mean_spread(batch, digits=2)} from the "
        f"batch: {mean_spread(ratio, digits=0)} times",
        rule=f"in every seed the memory gives at least {wanted:.0f} times the batch's, {rule}",
        outcome=judge(ratio >= wanted),
        data=told,
        seeds=len(batch),
    )
