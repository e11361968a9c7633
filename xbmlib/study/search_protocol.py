"""Search for the settings of each arm under the protocol.

    python -m xbmlib.study.search_protocol

PK batches have K = 4 in both arms, every batch size makes an equal number of updates, and the
memory joins at iteration 1,000 (Section 3.3). D, pooling and schedule, which the paper does not
state for our backbone, are the same in both arms. A trial is a run on the validation classes, for
half of the updates that the arm will be measured at; a higher MAP@R is better. Both arms of a loss
on a data set get equally many trials, in three stages:

1. the grid of learning rate and margin, the same in both arms;
2. where the best rate of an arm lies at an edge of the grid, one more rate beyond that edge, in
   both arms;
3. with memory, the three other forms of Section 3.3 at the best of the settings: a memory of
   sampled features or filled during training, its loss alone or beside the batch's. With no memory,
   three settings between those of the grid: a margin, and a rate on either side of the best.

Writes results/search_protocol.csv, every trial that has finished, and protocol.json, the best of
each arm whose stages have all finished.
"""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from xbmlib.storage import ROOT, require_writable, write_csv, write_json
from xbmlib.study.parallel import run_all
from xbmlib.study.protocol import CHOSEN_FILE, FORM, FORMS, RATIOS, SEARCHED, Arm
from xbmlib.study.refusal import as_command
from xbmlib.training.experiment import Experiment
from xbmlib.training.run import identify_all
from xbmlib.training.store import Run, RunStore

UPDATES = 6_000
Grid = dict[str, tuple[float, ...]]
# By batch size and loss. λ = 0.5 and η = 0.1 are the released code's.
GRIDS: dict[tuple[int, str], Grid] = {
    (16, "contrastive"): {"lr": (2e-4, 4e-4, 8e-4), "lam": (0.5, 0.7)},
    (64, "contrastive"): {"lr": (4e-4, 8e-4, 1.6e-3), "lam": (0.5, 0.7)},
    (64, "triplet"): {"lr": (4e-4, 8e-4), "eta": (0.1, 0.2)},
    (64, "multi_similarity"): {"lr": (4e-4, 8e-4), "lam": (0.5, 0.7)},
}


@dataclass(frozen=True)
class Trial:
    """One setting of one arm: learning rate and margin, and the form of its memory."""

    arm: Arm
    settings: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, arm: Arm, settings: dict[str, Any]) -> Trial:
        """A trial of settings; equal ones are equal, whatever the order of their names."""
        return cls(arm, tuple(sorted(settings.items())))

    @property
    def experiment(self) -> Experiment:
        """The trial as a run on the validation classes."""
        fields = self.arm.fields(UPDATES, dict(self.settings))
        return Experiment(**fields, split="validation")


Scores = dict[Trial, float]
# A trial without a run has not finished.
Runs = dict[Trial, Run | None]


def arms(loss: str, batch: int, data: str) -> tuple[Arm, Arm]:
    """No memory, and memory."""
    none, memory = (Arm(data, loss, batch, ratio) for ratio in RATIOS)
    return none, memory


def grid_trials(arm: Arm, grid: Grid) -> list[Trial]:
    """The first stage."""
    return [
        Trial.of(arm, dict(zip(grid, values, strict=True))) for values in product(*grid.values())
    ]


def best(arm: Arm, among: list[Trial], scores: Scores) -> Trial:
    """The trial of an arm with the highest MAP@R, the first of several."""
    return max((t for t in among if t.arm == arm), key=lambda t: scores[t])


def next_trials(pair: tuple[Arm, Arm], grid: Grid, scores: Scores) -> list[Trial]:
    """All trials of the two arms as far as ``scores`` determines them.

    Args:
        pair: no memory, and memory.
        grid: of the first stage.
        scores: MAP@R of the trials that have finished.

    Returns:
        The first stage; with the second once the first has finished, with the third once both have.
    """
    first = [trial for arm in pair for trial in grid_trials(arm, grid)]
    if any(trial not in scores for trial in first):
        return first
    rates = {dict(best(arm, first, scores).settings)["lr"] for arm in pair}
    beyond = [edge * factor for edge, factor in ((min(grid["lr"]), 0.5), (max(grid["lr"]), 2.0))
              if edge in rates]  # fmt: skip
    second = [
        trial for lr in beyond for arm in pair for trial in grid_trials(arm, grid | {"lr": (lr,)})
    ]
    if any(trial not in scores for trial in second):
        return first + second
    none, memory = (dict(best(arm, first + second, scores).settings) for arm in pair)
    forms = [Trial.of(pair[1], memory | form) for form in FORMS.values() if form != FORM]
    return first + second + [Trial.of(pair[0], s) for s in between(none, grid)] + forms


def margin_of(grid: Grid) -> str:
    """The field of a grid beside the learning rate: λ, or η of the triplet loss."""
    return next(name for name in grid if name != "lr")


def between(settings: dict[str, float], grid: Grid) -> list[dict[str, float]]:
    """Three settings between those of the grid: a margin, and a rate on either side."""
    margin = margin_of(grid)
    middle = sum(grid[margin]) / len(grid[margin])
    rates = [float(f"{settings['lr'] * factor:.3g}") for factor in (2**-0.5, 2**0.5)]
    return [settings | {margin: middle}, *(settings | {"lr": rate} for rate in rates)]


def searches(store: RunStore | None = None) -> list[Runs]:
    """The trials of each pair of arms, as far as the stored runs determine them, with these."""
    store = store or RunStore()
    return [
        _search(arms(loss, batch, data), grid, store)
        for (batch, loss), grid in GRIDS.items()
        for data in SEARCHED[batch, loss]
    ]


def _search(pair: tuple[Arm, Arm], grid: Grid, store: RunStore) -> Runs:
    runs: Runs = {}
    while more := [t for t in next_trials(pair, grid, scores(runs)) if t not in runs]:
        ids = identify_all(trial.experiment for trial in more)
        found = (store.load(id) if store.done(id) else None for id in ids)
        runs |= zip(more, found, strict=True)
    return runs


def scores(runs: Runs) -> Scores:
    """MAP@R of those trials that have finished."""
    return {trial: run.recall["MAP@R"] for trial, run in runs.items() if run is not None}


def table(store: RunStore | None = None) -> pd.DataFrame:
    """The trials that have finished.

    Returns:
        One row per trial: data, loss, batch, ratio (R_M), the settings that its arm tries, R@1 and
        MAP@R in percent on the validation classes, run.
    """
    rows = []
    for trial, run in (item for runs in searches(store) for item in runs.items()):
        if run is not None:
            grid = GRIDS[trial.arm.batch, trial.arm.loss]
            # With no memory, its form says nothing.
            form = FORM if trial.arm.ratio else {}
            rows.append(
                vars(trial.arm) | {name: getattr(run.experiment, name) for name in (*grid, *form)}
                | {name: 100 * run.recall[name] for name in ("R@1", "MAP@R")} | {"run": run.id}
            )  # fmt: skip
    return pd.DataFrame(rows)


def chosen(store: RunStore | None = None) -> list[dict[str, Any]]:
    """The best settings of each arm whose trials have all finished, as in protocol.json."""
    return [
        vars(arm) | {"settings": dict(best(arm, list(runs), scores(runs)).settings)}
        for runs in searches(store)
        if None not in runs.values()
        for arm in dict.fromkeys(trial.arm for trial in runs)
    ]


def main() -> None:
    """Run what is missing, write the two files and print the table."""
    ArgumentParser(prog="python -m xbmlib.study.search_protocol", description=__doc__).parse_args()
    with as_command():
        require_writable(ROOT)
        require_writable(CHOSEN_FILE.parent)
        # The runs of one stage determine the next.
        while missing := [trial for runs in searches() for trial in runs if runs[trial] is None]:
            run_all(trial.experiment for trial in missing)
        found = table()
        write_csv(ROOT / "results" / "search_protocol.csv", found)
        write_json(CHOSEN_FILE, chosen())
        print(found.to_string(index=False))


if __name__ == "__main__":
    main()
