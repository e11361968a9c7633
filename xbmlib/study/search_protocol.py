"""Search for the learning rate and margin of each arm under the paper's protocol.

    python -m xbmlib.study.search_protocol

The verdicts of the README do not rest on it yet. PK batches have K = 4 in both arms, every batch
size makes an equal number of updates, and the memory joins at iteration 1,000 (Section 3.3). D,
pooling and schedule, which the paper does not state for our backbone, are the same in both arms.
Both arms of a loss on a data set run the same trials, on the validation classes, for half of the
12,000 updates that Table 1 will be measured at. An arm takes the trial with the highest MAP@R. If
its learning rate lies at an edge of the grid, both arms get one more rate beyond that edge.

Writes results/search_protocol.csv: every trial that has finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from xbmlib.storage import ROOT, write_csv
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import DATA
from xbmlib.training.experiment import Experiment
from xbmlib.training.run import identify_all
from xbmlib.training.store import RunStore

# The same in both arms.
SHARED_FIELDS: dict[str, Any] = {
    "batch": 64,
    "k": 4,
    "dim": 256,
    "pooling": "max",
    "schedule": "cosine",
}
# Filled during training, its loss added to the batch's, as in the released code; Section 3.3's
# `sample`, and the memory's loss alone, are to be compared with it at the settings found.
MEMORY_FIELDS: dict[str, Any] = {"start": 1000, "init": "fill", "batch_loss": True}
UPDATES = 6_000
# λ = 0.5 is the paper's; the rates surround what 12,000 updates were first tried at.
GRID: dict[str, dict[str, tuple[float, ...]]] = {
    "contrastive": {"lr": (4e-4, 8e-4, 1.6e-3), "lam": (0.5, 0.7)},
}
RATIOS = (0.0, 1.0)


@dataclass(frozen=True)
class Trial:
    """One setting of one arm: ``ratio`` is R_M, 0 for no memory."""

    data: str
    loss: str
    ratio: float
    settings: dict[str, float]

    @property
    def experiment(self) -> Experiment:
        """The trial as a run on the validation classes."""
        fixed = SHARED_FIELDS | MEMORY_FIELDS | {"steps": UPDATES, "split": "validation"}
        return Experiment(
            data=self.data, loss=self.loss, ratio=self.ratio, **fixed, **self.settings
        )


def trials() -> list[Trial]:
    """Every trial: each data set, loss, setting of the grid, and arm."""
    return [
        Trial(data, loss, ratio, dict(zip(grid, values, strict=True)))
        for data in DATA
        for loss, grid in GRID.items()
        for values in product(*grid.values())
        for ratio in RATIOS
    ]


def table(store: RunStore | None = None) -> pd.DataFrame:
    """The trials that have finished.

    Returns:
        One row per trial: data, loss, ratio (R_M), its settings, R@1 and MAP@R in percent on the
        validation classes, run.
    """
    store = store or RunStore()
    wanted = trials()
    ids = identify_all(trial.experiment for trial in wanted)
    rows = [
        {"data": trial.data, "loss": trial.loss, "ratio": trial.ratio}
        | trial.settings
        | {name: 100 * store.load(id).recall[name] for name in ("R@1", "MAP@R")}
        | {"run": id}
        for trial, id in zip(wanted, ids, strict=True)
        if store.done(id)
    ]
    columns = ["data", "loss", "ratio", *GRID["contrastive"], "R@1", "MAP@R", "run"]
    return pd.DataFrame(rows, columns=columns)


def main() -> None:
    """Run what is missing, write the table and print it."""
    run_all(trial.experiment for trial in trials())
    found = table()
    write_csv(ROOT / "results" / "search_protocol.csv", found)
    print(found.to_string(index=False))


if __name__ == "__main__":
    main()
