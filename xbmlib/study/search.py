"""The search for the settings of each arm: the same number of trials with memory and without.

    python -m xbmlib.study.search

Scored by R@1 on held-out training classes, so that the test classes choose nothing. The trials
are drawn once for each space and batch size and shared by its two arms: what an arm without memory
tries, the arm with memory tries too, at memory settings drawn beside it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pandas as pd

from xbmlib.config import Experiment
from xbmlib.runs import ROOT, RunStore, write_csv
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import sized

IMAGES = 32_000
SEED = 2020

Choices = dict[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Space:
    """What a search may choose among.

    Attributes:
        trials: batch size to number of trials of each arm.
        shared: settings of both arms.
    """

    trials: dict[int, int]
    shared: Choices


COMMON: Choices = {
    "lr": (1e-4, 2e-4, 4e-4, 8e-4),
    "pooling": ("avg", "max"),
    "dim": (128, 256),
    "schedule": ("cosine", "step"),
    "k": (2, 4),
}
LAM: Choices = {"lam": (0.5, 0.6, 0.7, 0.8)}
# The order is that in which the trials are drawn.
FREE = {"lr": COMMON["lr"]} | LAM | COMMON
# "K=4" holds the batch to the images of a class that the authors' code has; its learning rates go
# higher, since the best of "free" lay at the edge. Both are of the contrastive loss.
SPACES = {
    "free": Space({16: 16, 64: 8}, FREE),
    "K=4": Space({16: 16}, FREE | {"lr": (2e-4, 4e-4, 8e-4, 1.6e-3), "k": (4,)}),
    "triplet": Space(
        {16: 8, 64: 8},
        COMMON | {"loss": ("triplet",), "eta": (0.05, 0.1, 0.2), "reduction": ("sum", "mean")},
    ),
    "multi_similarity": Space(
        {16: 8, 64: 8}, COMMON | LAM | {"loss": ("multi_similarity",), "beta": (20.0, 40.0)}
    ),
}
MEMORY: dict[str, tuple[Any, ...]] = {
    "ratio": (0.01, 0.1, 0.3, 1.0),
    "warm_up": (0.05, 0.15, 0.3),
    "init": ("fill", "sample"),
    "batch_loss": (True, False),
}


def trials(space: str, arm: str, batch: int) -> list[dict[str, Any]]:
    """Settings of each trial of an arm ("none" or "memory") in one of the spaces."""
    where = SPACES[space]
    draw = random.Random(SEED + batch)
    out = []
    for _ in range(where.trials[batch]):
        shared = {name: draw.choice(values) for name, values in where.shared.items()}
        memory = {name: draw.choice(values) for name, values in MEMORY.items()}
        out.append(shared | memory if arm == "memory" else shared)
    return out


def trial_experiment(batch: int, settings: dict[str, Any]) -> Experiment:
    """A trial as a run on the validation classes."""
    return sized(IMAGES, batch, {"warm_up": 0.0} | settings, split="validation")


def search(store: RunStore | None = None) -> pd.DataFrame:
    """Run or load every trial.

    Returns:
        A row a trial, best first in each arm: space, arm, batch, R@1 (percent), its settings, run.
    """
    listed: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"space": name, "arm": arm, "batch": batch}, settings)
        for name, space in SPACES.items()
        for batch in space.trials
        for arm in ("none", "memory")
        for settings in trials(name, arm, batch)
    ]
    runs = run_all([trial_experiment(where["batch"], t) for where, t in listed], store)
    rows = [
        {**where, "R@1": 100 * run.recall["R@1"], **settings, "run": run.id}
        for (where, settings), run in zip(listed, runs, strict=True)
    ]
    order = [False, True, True, False]
    return pd.DataFrame(rows).sort_values(["space", "batch", "arm", "R@1"], ascending=order)


def main() -> None:
    """Run the search; write results/search.csv; print the best of each arm."""
    table = search()
    write_csv(ROOT / "results" / "search.csv", table)
    print(table.groupby(["space", "batch", "arm"]).head(3).to_string(index=False))


if __name__ == "__main__":
    main()
