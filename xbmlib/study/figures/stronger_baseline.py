"""What is left of the gain if the baseline may choose its batches: P classes of K images each.

At batch 16, K = 4 as in the authors' code gives P = 4 classes; K = 2 gives P = 8.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd

from xbmlib import paper
from xbmlib.paper.arms import NO_MEMORY, arm
from xbmlib.study.comparison import Quantity, at, standing
from xbmlib.study.notebook import StudyParameters
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import experiment
from xbmlib.study.search import RANKS
from xbmlib.study.verdict import BY_TEST, Verdict, clear, mean_spread
from xbmlib.study.words import change
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

BATCH = 16
# The R_M to judge is the whole training set: none is chosen by the test classes.
WHOLE = 1.0
RATIOS = (0.0, 0.01, 0.1, WHOLE)
# Composition to the space of its search; the free search of both arms at batch 16 chose K = 2.
SPACES = {"K = 2, the best of 2 and 4": "free", "K = 4, as in the authors' code": "K=4"}


class Parameters(StudyParameters):
    """The parameters that every study has."""

    notebook: ClassVar[str] = "stronger_baseline"


def _cases(parameters: Parameters) -> list[tuple[str, float, int, int]]:
    """Composition, R_M, rank and seed of each run."""
    _, fixed = SPACES
    size = parameters.size
    ratios = [r for r in RATIOS if r != 0.01 or not size.brief]
    cases = [(name, ratio, 1) for name in SPACES for ratio in ratios]
    if size.setting is None and not size.brief:
        cases += [(fixed, 0.0, rank) for rank in range(2, RANKS + 1)]
    return [(*case, seed) for case in cases for seed in parameters.seed_range]


def experiments(parameters: Parameters) -> list[Experiment]:
    """Both compositions in both arms."""
    return [
        experiment(parameters.size, BATCH, seed=seed, ratio=ratio, space=SPACES[name], rank=rank)
        for name, ratio, rank, seed in _cases(parameters)
    ]


def frame(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load both compositions, with no memory and at each R_M.

    Each arm has the best settings of its search, of equally many trials; the baseline at K = 4 also
    runs with those of the next ranks, unless the profile is brief.

    Returns:
        One row per run: data, batch, composition, K, ratio, rank (of its settings in their search),
        seed, R@1 (percent), run.
    """
    runs = run_all(experiments(parameters), store, parameters.quicker(experiments))
    return pd.DataFrame(
        [
            {"data": run.experiment.data, "batch": BATCH, "composition": name,
             "K": run.experiment.k, "ratio": ratio, "rank": rank, "seed": seed,
             "R@1": 100 * run.recall["R@1"], "run": run.id}
            for (name, ratio, rank, seed), run in zip(_cases(parameters), runs, strict=True)
        ]
    )  # fmt: skip


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """The gain at each composition."""
    common: Any = {
        "data": f"{parameters.size.first_name}, batch {BATCH}, contrastive, "
        f"profile {parameters.profile}",
        "seeds": data["seed"].nunique(),
    }
    first = data[data["rank"] == 1]
    r1 = first.set_index(["composition", "ratio", "seed"])["R@1"]
    others = data[data["rank"] > 1].set_index("seed").groupby("rank")["R@1"]
    stated = f"over {paper.GAIN_BATCH_16.value:.0f} points ({paper.GAIN_BATCH_16.where})"
    out = []
    for name in SPACES:
        runs = r1[name]
        gains = {ratio: runs[ratio] - runs[0.0] for ratio in RATIOS if ratio and ratio in runs}
        further = "".join(
            f"; {mean_spread(runs[WHOLE] - other)} over the baseline at its search's rank {rank}, "
            f"{mean_spread(other)}"
            for rank, other in others
            if SPACES[name] == "K=4"
        )
        out.append(
            Verdict(
                claim=f"R@1 at batch {BATCH} rises with the memory; here {name}.",
                paper=stated,
                ours="; ".join(f"{mean_spread(g)} points with {arm(r)}" for r, g in gains.items())
                + f": {mean_spread(runs[0.0])} to {mean_spread(runs[WHOLE])}{further}",
                rule=f"the gain at R_M = {WHOLE:g}: {BY_TEST}",
                outcome=clear(gains[WHOLE]),
                **common,
            )
        )
    return out


def comparison(data: pd.DataFrame, parameters: Parameters) -> list[Quantity]:
    """R@1 and the gain of each composition beside what the paper prints of SOP; its K is not."""
    first = data[data["rank"] == 1]
    r1 = first.set_index(["composition", "ratio", "seed"])["R@1"].sort_index()
    name = standing(parameters.size, "SOP")
    rows = []
    for composition in SPACES:
        found = at(r1, composition)
        of = f"{name}, batch {BATCH}, {composition}"
        none = at(found, 0.0)
        rows.append(Quantity(of, f"R@1 with {NO_MEMORY}, %", none))
        rows += [
            Quantity(of, f"gain with {arm(ratio)}, points", at(found, ratio) - none,
                     paper.GAIN_BATCH_16.value, "over")
            for ratio in found.index.unique("ratio")
            if ratio > 0
        ]  # fmt: skip
        stated = paper.SOP_R1_BATCH_16_MEMORY.value
        rows.append(Quantity(of, f"R@1 with {arm(WHOLE)}, %", at(found, WHOLE), stated))
    return rows


def closing(data: pd.DataFrame, parameters: Parameters) -> str:
    """What came out, and why, in words."""
    first = data[data["rank"] == 1]
    parts = []
    for _, part in first.groupby("composition", sort=False):
        r1 = part.set_index(["ratio", "seed"])["R@1"]
        k = int(part["K"].iloc[0])
        parts.append(
            f"with K = {k}, of {BATCH // k} classes per batch, R@1 is {r1[0.0].mean():.1f}% with "
            f"{NO_MEMORY} and {change(r1[WHOLE] - r1[0.0])} with {arm(WHOLE)}, to "
            f"{r1[WHOLE].mean():.1f}%"
        )
    ends = first.set_index(["ratio", "composition", "seed"])["R@1"]
    apart = {ratio: ends[ratio].groupby("composition").mean() for ratio in (0.0, WHOLE)}
    none, memory = (float(values.max() - values.min()) for values in apart.values())
    why = (
        ": the baseline learns from its batch alone, while with memory the negatives come from the "
        "queue, whatever the batch holds"
    )
    return (
        f"On {parameters.size.first_name} at batch {BATCH}, {'; '.join(parts)}. The two "
        f"compositions are {none:.1f} points apart with {NO_MEMORY} and {memory:.1f} with memory"
        f"{why if none > memory else ''}."
    )
