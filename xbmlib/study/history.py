"""Recall while training, from the evaluations of runs."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from xbmlib.paper.arms import arm
from xbmlib.training.store import Run


def history(runs: Iterable[Run]) -> pd.DataFrame:
    """Recall at every evaluation of runs.

    Returns:
        One row per evaluation: data, arm, ratio (R_M), updates, seed, R@1 and MAP@R in percent,
        run; NaN where the data set has no such measure.
    """
    return pd.DataFrame(
        [
            {"data": run.experiment.data, "arm": arm(run.experiment.ratio),
             "ratio": run.experiment.ratio, "updates": round(at["step"]),
             "seed": run.experiment.seed}
            | {name: 100 * at.get(name, float("nan")) for name in ("R@1", "MAP@R")}
            | {"run": run.id}
            for run in runs
            for at in run.history
        ]
    )  # fmt: skip
