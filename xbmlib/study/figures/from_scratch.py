"""Does the memory need a good start? From scratch, against the pretrained start of the study."""

from __future__ import annotations

from itertools import product
from typing import ClassVar

import pandas as pd

from xbmlib.study.notebook import StudyParameters, Verdict, judge, mean_spread
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import experiment
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

BATCH, RATIO = 16, 0.1
FAST = 8e-4
STARTS = ("pretrained", "scratch")


class Parameters(StudyParameters):
    """The study of the start takes no parameters of its own."""

    notebook: ClassVar[str] = "from_scratch"


def _cases(parameters: Parameters) -> list[tuple[str, float, float | None, int]]:
    """Start, R_M, learning rate (None: the tuned) and seed of each run."""
    return list(product(STARTS, (0.0, RATIO), (None, FAST), parameters.seed_range))


def experiments(parameters: Parameters) -> list[Experiment]:
    """Both starts, without and with memory, at two learning rates."""
    out = []
    for start, ratio, lr, seed in _cases(parameters):
        e = experiment(parameters.size, BATCH, seed=seed, ratio=ratio)
        e = e if start == "pretrained" else e.replace(weights=None)
        out.append(e if lr is None else e.replace(lr=lr))
    return out


def frame(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load: both starts, two learning rates, without and with a memory of 10%.

    All else is the tuned setting of each arm.

    Returns:
        A row a run: data, start, memory ("none" or "10%"), lr ("tuned" or a number), seed, R@1
        (percent), run.
    """
    runs = run_all(experiments(parameters), store)
    return pd.DataFrame(
        [
            {
                "data": run.experiment.data,
                "start": start,
                "memory": f"{RATIO:.0%}" if ratio else "none",
                "lr": "tuned" if lr is None else f"{lr:g}",
                "seed": seed,
                "R@1": 100 * run.recall["R@1"],
                "run": run.id,
            }
            for (start, ratio, lr, seed), run in zip(_cases(parameters), runs, strict=True)
        ]
    )


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """The paper's need for a warm-up and a settled network, held against the runs."""
    r1 = data.set_index(["start", "lr", "memory", "seed"])["R@1"]

    def gain(start: str, lr: str) -> pd.Series:
        return r1[start, lr, f"{RATIO:.0%}"] - r1[start, lr, "none"]

    gains = {(start, lr): gain(start, lr) for start in STARTS for lr in ("tuned", f"{FAST:g}")}
    told = "; ".join(
        f"{start}, {'tuned rate' if lr == 'tuned' else f'rate {lr}'}: {mean_spread(g)}"
        for (start, lr), g in gains.items()
    )
    return [
        Verdict(
            claim="The memory helps whatever the start and the learning rate (not claimed: the "
            "paper starts from ImageNet weights and warms up, drift being large at first).",
            paper="no figure",
            ours=f"gain in points of R@1: {told}",
            rule="every one of the four mean gains is above 0",
            outcome=judge(all(g.mean() > 0 for g in gains.values())),
            data=f"{parameters.size.first_told}, batch {BATCH}, R_M = {RATIO}, contrastive, "
            f"profile {parameters.profile}",
            seeds=data["seed"].nunique(),
        )
    ]
