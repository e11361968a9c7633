"""The search for the settings of each arm: equally many trials with memory and with no memory.

    python -m xbmlib.study.search

Trials are scored by R@1 on held-out training classes, so that the test classes choose nothing.
They are sampled once per space and batch size and shared by the two arms: every setting that the
arm with no memory tries, the arm with memory tries too, with memory settings sampled in addition.
This is done on hanzi; on each other data set both arms try the best of their settings on hanzi.

Writes every trial to results/search.csv and the best of each arm to xbmlib/study/tuned.json.
"""

from __future__ import annotations

import random
from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import pandas as pd

from xbmlib.paper.arms import MEMORY, NO_MEMORY
from xbmlib.storage import ROOT, require_writable, write_csv, write_json
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import DATA, TUNED_FILE, sized
from xbmlib.study.refusal import as_command
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

IMAGES = 32_000
SEED = 2020

Choices = dict[str, tuple[Any, ...]]
ARMS = (NO_MEMORY, MEMORY)

# Space and batch size that are searched on the other data sets too, where each arm tries the RANKS
# best of its trials on the first.
AGAIN = (("free", 64), ("multi_similarity", 64), ("triplet", 64), ("free", 16))
RANKS = 3


@dataclass(frozen=True)
class Trial:
    """One trial of an arm, with its ``r1`` (percent) and the id of its ``run`` once it has run."""

    data: str
    space: str
    batch: int
    arm: str
    settings: dict[str, Any]
    r1: float = float("nan")
    run: str = ""

    @property
    def group(self) -> tuple[str, str, int, str]:
        """The trials that it competes with: data, space, batch size and arm."""
        return self.data, self.space, self.batch, self.arm


@dataclass(frozen=True)
class Space:
    """The choices of a search.

    Attributes:
        trials: batch size to the number of trials of each arm.
        shared: choices for the settings that both arms have.
        fixed: settings that all trials share.
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
# The trials depend on the order of the keys, in which the settings are sampled.
FREE = {"lr": COMMON["lr"]} | LAM | COMMON
# "K=4" fixes K as the authors' code does; its learning rates go higher, as the best of "free" lay
# at the end of its range. "shuffle" has the trials of "free" with shuffled batches, where K has no
# effect. All three are of the contrastive loss.
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
MEMORY_CHOICES: Choices = {
    "ratio": (0.01, 0.1, 0.3, 1.0),
    "warm_up": (0.05, 0.15, 0.3),
    "init": ("fill", "sample"),
    "batch_loss": (True, False),
}


def trials(space: str, arm: str, batch: int) -> list[dict[str, Any]]:
    """Settings of each trial of an arm ("no memory" or "memory") in one of the spaces."""
    choices = SPACES[space]
    draw = random.Random(SEED + batch)
    out = []
    for _ in range(choices.trials[batch]):
        shared = {name: draw.choice(values) for name, values in choices.shared.items()}
        memory = {name: draw.choice(values) for name, values in MEMORY_CHOICES.items()}
        out.append((shared | memory if arm == MEMORY else shared) | choices.fixed)
    return out


def trial_experiment(batch: int, settings: dict[str, Any], data: str = DATA[0]) -> Experiment:
    """The run of a trial, on the validation classes."""
    return sized(IMAGES // batch, batch, {"warm_up": 0.0} | settings, split="validation", data=data)


def search(store: RunStore | None = None) -> list[Trial]:
    """Run or load every trial; return them best first within each :attr:`Trial.group`."""
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
        for trial in [t for t in first if t.group[1:] == (space, batch, arm)][:RANKS]
    ]
    return first + _run(again, store)


def _run(wanted: list[Trial], store: RunStore | None) -> list[Trial]:
    runs = run_all([trial_experiment(t.batch, t.settings, t.data) for t in wanted], store)
    done = [
        replace(t, r1=100 * run.recall["R@1"], run=run.id)
        for t, run in zip(wanted, runs, strict=True)
    ]
    return sorted(done, key=lambda t: (t.group, -t.r1))


def table(done: Iterable[Trial]) -> pd.DataFrame:
    """One row per trial: data, space, batch, arm, R@1 (percent), run, and its settings."""
    return pd.DataFrame(
        [
            {"data": t.data, "space": t.space, "batch": t.batch, "arm": t.arm, "R@1": t.r1,
             "run": t.run} | t.settings
            for t in done
        ]
    )  # fmt: skip


def best(done: Iterable[Trial]) -> list[dict[str, Any]]:
    """The settings of the ``RANKS`` best trials of each arm, in the form of ``tuned.json``."""
    return [
        {"data": data, "space": space, "batch": batch, "arm": arm,
         "settings": [t.settings for t in group][:RANKS]}
        for (data, space, batch, arm), group in groupby(done, key=lambda t: t.group)
    ]  # fmt: skip


def main() -> None:
    """Run the search, write its files and print the best trials of each arm."""
    ArgumentParser(prog="python -m xbmlib.study.search", description=__doc__).parse_args()
    with as_command():
        require_writable(ROOT)
        require_writable(TUNED_FILE.parent)
        done = search()
        write_csv(ROOT / "results" / "search.csv", table(done))
        write_json(TUNED_FILE, best(done))
        print(table(done).groupby(["data", "space", "batch", "arm"]).head(3).to_string(index=False))


if __name__ == "__main__":
    main()
