"""Does the memory need a good start? From scratch and from pretrained weights."""

from __future__ import annotations

from itertools import product
from typing import ClassVar

import pandas as pd

from xbmlib.paper.arms import NO_MEMORY, arm
from xbmlib.study.comparison import Quantity, at
from xbmlib.study.notebook import StudyParameters
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import experiment
from xbmlib.study.verdict import BY_TEST, Verdict, clear, mean_spread
from xbmlib.study.words import change, listed
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

BATCH, RATIO = 16, 0.1
FAST = 8e-4
STARTS = ("pretrained", "scratch")


class Parameters(StudyParameters):
    """The parameters that every study has."""

    notebook: ClassVar[str] = "from_scratch"


def _cases(parameters: Parameters) -> list[tuple[str, float, float | None, int]]:
    """Start, R_M, learning rate (None: the tuned one) and seed of each run."""
    return list(product(STARTS, (0.0, RATIO), (None, FAST), parameters.seed_range))


def experiments(parameters: Parameters) -> list[Experiment]:
    """Both starts in both arms, at two learning rates."""
    out = []
    for start, ratio, lr, seed in _cases(parameters):
        e = experiment(parameters.size, BATCH, seed=seed, ratio=ratio)
        e = e if start == "pretrained" else e.replace(weights=None)
        out.append(e if lr is None else e.replace(lr=lr))
    return out


def frame(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load both starts at two learning rates, with no memory and with R_M = 0.1.

    All other settings are those tuned for each arm.

    Returns:
        One row per run: data, start, arm ("no memory" or "memory (R_M = 0.1)"), lr ("tuned" or a
        number), seed, R@1 (percent), run.
    """
    runs = run_all(experiments(parameters), store, parameters.quicker(experiments))
    return pd.DataFrame(
        [
            {
                "data": run.experiment.data,
                "start": start,
                "arm": arm(ratio),
                "lr": "tuned" if lr is None else f"{lr:g}",
                "seed": seed,
                "R@1": 100 * run.recall["R@1"],
                "run": run.id,
            }
            for (start, ratio, lr, seed), run in zip(_cases(parameters), runs, strict=True)
        ]
    )


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """Whether the memory gains in spite of a start at which the paper expects large drift."""
    # Sorted: pandas warns of a look-up in an index that is not.
    r1 = data.set_index(["start", "lr", "arm", "seed"])["R@1"].sort_index()

    def gain(start: str, lr: str) -> pd.Series:
        return r1[start, lr, arm(RATIO)] - r1[start, lr, NO_MEMORY]

    gains = {(start, lr): gain(start, lr) for start in STARTS for lr in ("tuned", f"{FAST:g}")}
    listed = "; ".join(
        f"{start}, {'tuned rate' if lr == 'tuned' else f'rate {lr}'}: {mean_spread(g)}"
        for (start, lr), g in gains.items()
    )
    return [
        Verdict(
            claim="R@1 rises with the memory at every start and learning rate (not claimed: the "
            "paper starts from ImageNet weights and warms up, as drift is large at first).",
            paper="no value stated",
            ours=f"gain in points of R@1: {listed}",
            rule=f"each of the four gains: {BY_TEST}",
            outcome=clear(*gains.values()),
            data=f"{parameters.size.first_name}, batch {BATCH}, R_M = {RATIO}, contrastive, "
            f"profile {parameters.profile}",
            seeds=data["seed"].nunique(),
        )
    ]


def comparison(data: pd.DataFrame, parameters: Parameters) -> list[Quantity]:
    """R@1 with no memory, once where both rates are the same, and the gains at each start.

    The paper prints neither.
    """
    r1 = data.set_index(["start", "lr", "arm", "seed"])["R@1"].sort_index()
    rows = []
    for start in data["start"].unique():
        of = f"{parameters.size.first_name}, {start}"
        bases = {lr: at(r1, start, lr, NO_MEMORY) for lr in data["lr"].unique()}
        first, *others = bases.values()
        if all(base.equals(first) for base in others):
            rows.append(Quantity(of, f"R@1 with {NO_MEMORY}, %", first))
        else:
            rows += [
                Quantity(of, f"R@1 with {NO_MEMORY}, learning rate {lr}, %", base)
                for lr, base in bases.items()
            ]
        rows += [
            Quantity(of, f"gain with {arm(RATIO)}, learning rate {lr}, points",
                     at(r1, start, lr, arm(RATIO)) - base)
            for lr, base in bases.items()
        ]  # fmt: skip
    return rows


def closing(data: pd.DataFrame, parameters: Parameters) -> str:
    """What came out, and why, in words."""
    r1 = data.set_index(["start", "lr", "arm", "seed"])["R@1"].sort_index()
    rates = {"tuned": "the tuned rate", f"{FAST:g}": f"a rate of {FAST:g}"}
    gains = {
        start: [r1[start, lr, arm(RATIO)] - r1[start, lr, NO_MEMORY] for lr in rates]
        for start in STARTS
    }
    parts = [
        f"from {'pretrained weights' if start == 'pretrained' else start} R@1 "
        + listed([f"{change(g)} at {rate}" for g, rate in zip(found, rates.values(), strict=True)])
        for start, found in gains.items()
    ]
    where = f"at batch {BATCH} on {parameters.size.first_name}"
    text = f"With {arm(RATIO)} {where}: {'; '.join(parts)}."
    if all(clear(gain) == "agrees" for gain in gains["scratch"]):
        return (
            f"{text} The warm-up suffices here: when the memory joins, embeddings of a network "
            "from scratch are no longer alike. Without it nearly all negatives lie above λ, and "
            "the memory ruins the training (`diagnosis`)."
        )
    return (
        f"{text} The paper's runs start from ImageNet weights, where embeddings differ from one "
        "another when the memory joins; from scratch they are alike at first, and most negatives "
        "lie above λ (`diagnosis`)."
    )
