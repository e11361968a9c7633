"""Whether :class:`xbmlib.diagnose.Diagnosis` warns of the runs that a memory hurts, and no others.

python -m benchmarks.diagnosis

The thresholds were set on the runs of ``SETTING`` and are judged on those of ``CALIBRATION``: other
classes, seeds and networks. How the outcome of a run follows from its R@1, relative to that of the
run with no memory on the same classes, network and batches, was fixed before the latter were run.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd
import torch

from xbmlib.diagnose import PATIENCE, SHARE, SIMILARITY
from xbmlib.paper.arms import NO_MEMORY
from xbmlib.storage import ROOT, write_csv
from xbmlib.study.figures.diagnosis import ARMS, HEALTHY_FROM, HURT_BELOW, train
from xbmlib.study.figures.small import classes

STEPS = 500
PATH = ROOT / "results" / "diagnosis.csv"


class Setting(NamedTuple):
    """Attributes: data: set; seed: of everything; norm: batch normalisation; k: K."""

    data: str
    seed: int
    norm: bool
    k: int


SETTING = (
    Setting("hanzi", 0, False, 4),
    Setting("hanzi", 1, True, 4),
    Setting("emoji", 2, False, 4),
    Setting("emoji", 3, True, 2),
    Setting("hangul", 2, False, 4),
)
CALIBRATION = (
    Setting("hangul", 3, True, 2),
    Setting("scripts", 2, False, 4),
    Setting("scripts", 4, False, 2),
    Setting("hangul", 5, True, 4),
)
USES = dict.fromkeys(SETTING, "setting") | dict.fromkeys(CALIBRATION, "calibration")


def level(rows: list[dict[str, float]]) -> float:
    """The similarity up to which a threshold would have led to a warning; -1 for none."""
    alike = [row["batch_similarity"] if row["valid_share"] > SHARE else -1.0 for row in rows]
    windows = (alike[i : i + PATIENCE] for i in range(len(alike) - PATIENCE + 1))
    return max(map(min, windows), default=-1.0)


def measured(setting: Setting, arm: str) -> dict[str, Any]:
    """Train one arm: its R@1 in percent and its level."""
    parts = classes(setting.data, setting.seed)
    run = train(ARMS[arm], parts, steps=STEPS, seed=setting.seed, norm=setting.norm, k=setting.k)
    found = {**setting._asdict(), "arm": arm, "R@1": run.recall, "level": level(run.rows)}
    assert (run.warned is not None) == (found["level"] > SIMILARITY)
    return found


def judged(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with what they were used for, and the outcome and the warning of each.

    Args:
        runs: columns data, seed, norm, k, arm, R@1 and level; each setting has all its arms.

    Returns:
        These and use, baseline (R@1 with no memory), outcome ("hurt", "between" or "healthy") and
        warned; without the runs with no memory.
    """
    keys = [*Setting._fields]
    base = runs[runs["arm"] == NO_MEMORY].set_index(keys)["R@1"].rename("baseline")
    out = runs[runs["arm"] != NO_MEMORY].join(base, on=keys)
    share = out["R@1"] / out["baseline"]
    out["outcome"] = "between"
    out.loc[share < HURT_BELOW, "outcome"] = "hurt"
    out.loc[share >= HEALTHY_FROM, "outcome"] = "healthy"
    out["warned"] = out["level"] > SIMILARITY
    out.insert(0, "use", [USES[Setting(*row)] for row in out[keys].itertuples(index=False)])
    return out.reset_index(drop=True)


def main() -> None:
    """Train all runs, some 10 minutes on one quiet core, and write results/diagnosis.csv."""
    torch.set_num_threads(1)
    rows = []
    for setting in USES:
        for arm in ARMS:
            rows.append(measured(setting, arm))
            print(*rows[-1].values(), sep=", ", flush=True)
    write_csv(PATH, judged(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()
