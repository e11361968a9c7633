"""The search for the settings of each arm: the same number of trials with memory and without.

    python -m xbmlib.study.search

Scored by R@1 on held-out training classes, so that the test classes choose nothing. The trials
are drawn once for each space and batch size and shared by its two arms: what an arm without memory
tries, the arm with memory tries too, at memory settings drawn beside it. That is done on hanzi; on
each other data set both arms try the best of what they tried there.

Writes results/search.csv, every trial, and xbmlib/study/tuned.json, the best of each arm.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import pandas as pd

from xbmlib.storage import ROOT, write_csv, write_json
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import DATA, TUNED_FILE, sized
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

IMAGES = 32_000
SEED = 2020

Choices = dict[str, tuple[Any, ...]]


ARMS = ("none", "memory")
# What is searched on the other data sets too: each arm tries there the RANKS best of its trials.
AGAIN = (("free", 64), ("multi_similarity", 64), ("triplet", 64), ("free", 16))
RANKS = 3


@dataclass(frozen=True)
class Trial:
    """One trial of an arm; ``r1`` (percent) and ``run`` once it has run."""

    data: str
    space: str
    batch: int
    arm: str
    settings: dict[str, Any]
    r1: float = float("nan")
    run: str = ""

    @property
    def arm_key(self) -> tuple[str, str, int, str]:
        """What it competes in."""
        return self.data, self.space, self.batch, self.arm


@dataclass(frozen=True)
class Space:
    """What a search may choose among.

    Attributes:
        trials: batch size to number of trials of each arm.
        shared: settings of both arms.
        fixed: what every trial has beside them.
    """

    trials: dict[int, int]
    shared: Choices
    fixed: dict[str, Any] = field(default_factory=dict)


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
# higher, since the best of "free" lay at the edge. "shuffle" is "free" for random batches, trial by
# trial, K meaning nothing there. All three are of the contrastive loss.
SPACES = {
    "free": Space({16: 16, 64: 8}, FREE),
    "K=4": Space({16: 16}, FREE | {"lr": (2e-4, 4e-4, 8e-4, 1.6e-3), "k": (4,)}),
    "shuffle": Space({64: 8}, FREE, {"sampler": "shuffle"}),
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
        out.append((shared | memory if arm == "memory" else shared) | where.fixed)
    return out


def trial_experiment(batch: int, settings: dict[str, Any], data: str = DATA[0]) -> Experiment:
    """A trial as a run on the validation classes."""
    return sized(IMAGES, batch, {"warm_up": 0.0} | settings, split="validation", data=data)


def search(store: RunStore | None = None) -> list[Trial]:
    """Run or load every trial: best first in each arm of each space, batch size and data set."""
    first = _run(
        [
            Trial(DATA[0], name, batch, arm, settings)
            for name, space in SPACES.items()
            for batch in space.trials
            for arm in ARMS
            for settings in trials(name, arm, batch)
        ],
        store,
    )
    again = [
        Trial(data, space, batch, arm, trial.settings)
        for data in DATA[1:]
        for space, batch in AGAIN
        for arm in ARMS
        for trial in [t for t in first if t.arm_key[1:] == (space, batch, arm)][:RANKS]
    ]
    return first + _run(again, store)


def _run(wanted: list[Trial], store: RunStore | None) -> list[Trial]:
    runs = run_all([trial_experiment(t.batch, t.settings, t.data) for t in wanted], store)
    done = [
        replace(t, r1=100 * run.recall["R@1"], run=run.id)
        for t, run in zip(wanted, runs, strict=True)
    ]
    return sorted(done, key=lambda t: (t.arm_key, -t.r1))


def table(done: Iterable[Trial]) -> pd.DataFrame:
    """A row a trial: data, space, batch, arm, R@1 (percent), run, its settings."""
    return pd.DataFrame(
        [
            {"data": t.data, "space": t.space, "batch": t.batch, "arm": t.arm, "R@1": t.r1,
             "run": t.run} | t.settings
            for t in done
        ]
    )  # fmt: skip


def best(done: Iterable[Trial]) -> list[dict[str, Any]]:
    """The settings of the first ``RANKS`` trials of each arm, as ``tuned.json`` has them."""
    return [
        {"data": data, "space": space, "batch": batch, "arm": arm,
         "settings": [t.settings for t in group][:RANKS]}
        for (data, space, batch, arm), group in groupby(done, key=lambda t: t.arm_key)
    ]  # fmt: skip


def main() -> None:
    """Run the search; write its files; print the best of each arm."""
    done = search()
    write_csv(ROOT / "results" / "search.csv", table(done))
    write_json(TUNED_FILE, best(done))
    print(table(done).groupby(["data", "space", "batch", "arm"]).head(3).to_string(index=False))


if __name__ == "__main__":
    main()
