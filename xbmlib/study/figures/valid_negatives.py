"""Figures 4 and 5: valid negatives per iteration, from the batch and from the memory."""

from __future__ import annotations

import math
from typing import ClassVar

import pandas as pd
import torch
from torch import Tensor

from xbmlib import datasets, paper
from xbmlib.study.comparison import Quantity, standing
from xbmlib.study.notebook import StudyParameters
from xbmlib.study.parallel import run_all
from xbmlib.study.protocol import experiment
from xbmlib.study.verdict import Verdict, judged, mean_spread
from xbmlib.study.words import listed
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

BATCH = 64
# Anchors of the last batch that Fig. 5 shows with their pairs.
ANCHORS = 4
# Parts of the training, in the least favourable of which "throughout" is judged.
TENTHS = 10


class Parameters(StudyParameters):
    """The parameters that every study has."""

    notebook: ClassVar[str] = "valid_negatives"


def experiments(parameters: Parameters) -> list[Experiment]:
    """R_M = 1 at batch 64, as in Table 1; the first run stores its last pairs for Fig. 5."""
    first, *others = (
        experiment(parameters.size, BATCH, seed=seed, ratio=1.0) for seed in parameters.seed_range
    )
    return [first.replace(mined=ANCHORS), *others]


def frame(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load the runs with R_M = 1 at batch 64.

    Returns:
        One row per seed, updates (steps of the run), logged step and source ("batch" or "memory"):
        data, step, source, negatives (valid negative pairs of the iteration, over all anchors),
        decays (number of decays of the learning rate so far), seed, updates, start (step at which
        the memory joins), lam (λ), run.
    """
    parts = []
    for run in run_all(experiments(parameters), store, parameters.quicker(experiments)):
        e = run.experiment
        for source in ("batch", "memory"):
            rows = run.metrics[["step", f"{source}_negatives", "lr"]].dropna()
            decays = (e.lr / rows.pop("lr")).map(math.log10).round().astype(int)
            rows.columns = pd.Index(["step", "negatives"])
            parts.append(
                rows.assign(data=e.data, source=source, decays=decays, seed=e.seed,
                            updates=e.steps, start=e.start, lam=e.lam, run=run.id)
            )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def hardest_pairs(data: pd.DataFrame, store: RunStore | None = None) -> pd.DataFrame:
    """Anchors of the first seed's last batch with their hardest pairs, as in Fig. 5.

    Args:
        data: as returned by :func:`frame`; its first run is the one that stores its pairs.
        store: where that run is stored; ``results/runs`` by default.

    Returns:
        As :func:`xbmlib.training.callbacks.mined_pairs.mined_pairs`, with the data set, split and
        view of the ids, and the run.
    """
    run = (store or RunStore()).load(data["run"].iloc[0])
    e = run.experiment
    return run.mined.assign(data=e.data, split=e.split, view=e.view, run=run.id)


def images(data: pd.DataFrame) -> dict[int, Tensor]:
    """Every image of the rows, by its id: (C, H, W) uint8."""
    train = datasets.load(*data[["data", "split", "view"]].iloc[0]).train
    ids = pd.unique(pd.concat([data["anchor"], data["id"]]))
    return dict(zip(ids.tolist(), train.show(torch.tensor(ids)), strict=True))


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """The claim of Section 3.3, "Hard Mining Ability"."""
    overall, tenths = _with_memory(data)
    batch, memory = tenths["batch"], tenths["memory"]
    return [
        judged(
            paper.claims.NEGATIVES_THROUGHOUT,
            {"memory over batch": (memory - batch).groupby("seed").min()},
            sizes={"memory": memory.groupby("seed").min(), "batch": batch.groupby("seed").max()},
            names={},
            unit=" pairs",
            detail="mean of the whole: "
            f"{mean_spread(overall['memory'])} from the memory, "
            f"{mean_spread(overall['batch'])} from the batch",
            data=f"{parameters.size.first_name}, batch {BATCH}, R_M = 1, contrastive, "
            f"{data['updates'].max():,} updates, profile {parameters.profile}",
        )
    ]


def _with_memory(data: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Valid negatives after the memory's start, by source and seed.

    Returns:
        Their mean, and their mean in each tenth.
    """
    rows = data[data["step"] >= data["start"]]
    start = rows["start"]
    tenth = ((rows["step"] - start) * TENTHS // (rows["updates"] - start)).rename("tenth")
    return (
        rows.groupby(["source", "seed"])["negatives"].mean(),
        rows.groupby(["source", "seed", tenth])["negatives"].mean(),
    )


def comparison(data: pd.DataFrame, parameters: Parameters) -> list[Quantity]:
    """Valid negatives per iteration of each source beside the figures in the paper's text."""
    mean, tenths = _with_memory(data)
    of = f"{standing(parameters.size, 'SOP')}, {data['updates'].max():,} updates"
    stated = {
        "memory": (paper.VALID_NEGATIVES_MEMORY.value, "about"),
        "batch": (paper.VALID_NEGATIVES_BATCH.value, "less than"),
    }
    return [
        Quantity(of, f"from the {source}, {what}", values, *stated[source])
        for source in stated
        for what, values in (
            ("mean", mean[source]),
            ("first tenth", tenths[source].groupby("seed").first()),
            ("last tenth", tenths[source].groupby("seed").last()),
        )
    ]


def closing(data: pd.DataFrame, parameters: Parameters) -> str:
    """What came out, and why, in words."""
    mean, tenths = _with_memory(data)
    by_tenth = tenths.groupby(["source", "tenth"]).mean()
    parts = [
        f"the {source} gives {mean[source].mean():,.1f} valid negatives per iteration, "
        f"{by_tenth[source].iloc[0]:,.1f} in the first tenth and {by_tenth[source].iloc[-1]:,.1f} "
        f"in the last (paper: {word} {stated.value:,g})"
        for source, word, stated in (
            ("memory", "about", paper.VALID_NEGATIVES_MEMORY),
            ("batch", "less than", paper.VALID_NEGATIVES_BATCH),
        )
    ]
    falls = all(by_tenth[s].iloc[-1] < by_tenth[s].iloc[0] for s in ("memory", "batch"))
    why = ": both fall as training moves the classes apart and fewer negatives lie above λ"
    above = mean["memory"].mean() / max(mean["batch"].mean(), 1e-9)
    e = experiments(parameters)[0]
    return (
        f"On {parameters.size.first_name}, after the memory has joined at update {e.start:,}, "
        f"{listed(parts)}. A negative is valid above λ = {e.lam:g} here; the paper states no λ, "
        f"the released code has {paper.LOSS_FIELDS['contrastive']['lam']:g}. That is "
        f"{above:,.0f} times as many, since the memory holds the whole training set and the batch "
        f"{BATCH} images of it{why if falls else ''}."
    )
