"""Figure 1 (right): R@1 against the memory ratio R_M, contrastive loss, batch 16."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import pandas as pd
from pydantic import Field

from xbmlib import datasets, paper
from xbmlib.runs import Run, RunStore
from xbmlib.study.notebook import Parameters, Verdict, judge, mean_spread
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import PROFILES, experiment

BATCH = 16
# Without memory at a larger batch and as many images seen: what the memory is held against.
REFERENCE = 64


class RatioParameters(Parameters):
    """Attributes: ratio: one R_M in [0, 1] to run beside the baseline; None for the profile's."""

    notebook: ClassVar[str] = "ablation_memory_ratio"

    ratio: Annotated[float, Field(ge=0, le=1)] | None = None


def frame(parameters: RatioParameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load the points; add whatever points of the same settings the store has.

    Returns:
        A row a run: batch, ratio, memory (M), seed, R@K in percent, run.
    """
    profile = PROFILES[parameters.profile]
    seeds = range(parameters.seeds or profile.seeds)
    ratios = profile.ratios if parameters.ratio is None else (parameters.ratio,)
    points = [(BATCH, ratio) for ratio in (0.0, *ratios)]
    if parameters.ratio is None:
        points.append((REFERENCE, 0.0))
    runs = run_all(
        [
            experiment(profile, batch, seed=seed, ratio=ratio)
            for batch, ratio in points
            for seed in seeds
        ],
        store,
    )
    runs += _stored(parameters, store or RunStore(), {run.id for run in runs})
    rows = [_row(run) for run in {run.id: run for run in runs}.values()]
    return pd.DataFrame(rows).sort_values(["batch", "ratio", "seed"], ignore_index=True)


def _stored(parameters: RatioParameters, store: RunStore, have: set[str]) -> list[Run]:
    """Finished runs of the same settings at other ratios and seeds."""
    profile = PROFILES[parameters.profile]
    found = []
    for id in store.ids():
        if id not in have:
            e = store.experiment(id)
            known = e.batch == BATCH or (e.batch, e.ratio) == (REFERENCE, 0)
            if known and e == experiment(profile, e.batch, seed=e.seed, ratio=e.ratio):
                found.append(store.load(id))
    return found


def _row(run: Run) -> dict[str, float | str]:
    e = run.experiment
    size = e.memory_size(len(datasets.load(e.data, e.split).train))
    recall = {k: 100 * v for k, v in run.recall.items()}
    return {
        "batch": e.batch,
        "ratio": e.ratio,
        "memory": size,
        "seed": e.seed,
        **recall,
        "run": run.id,
    }


def verdicts(data: pd.DataFrame, parameters: RatioParameters) -> list[Verdict]:
    """The claims of Section 4.3, "Memory Ratio", held against the points in ``data``."""
    reference = data[data["batch"] == REFERENCE].set_index("seed")["R@1"]
    r1 = data[data["batch"] == BATCH].set_index("seed").groupby("ratio")["R@1"]
    points = {ratio: r1.get_group(ratio) for ratio in r1.groups}
    base = points.pop(0.0)
    common: dict[str, Any] = {
        "data": f"hanzi (drawn), batch {BATCH}, contrastive, profile {parameters.profile}",
        "seeds": len(base),
    }
    if not points:
        return []
    # Seeds are paired: the same batches and initial head in both arms.
    gains = {ratio: (p - base).dropna() for ratio, p in points.items()}
    best = max(gains, key=lambda ratio: gains[ratio].mean())
    out = [
        Verdict(
            claim="The memory lifts R@1 of the contrastive loss at batch 16 on every data set.",
            paper="over 20 points (Section 4.3)",
            ours=f"{mean_spread(gains[best])} points at R_M = {best:g}: "
            f"{mean_spread(base)} to {mean_spread(points[best])}",
            rule="the gain at the best R_M exceeds twice its standard error (one seed: exceeds 0)",
            outcome=judge(_clear(gains[best])),
            **common,
        ),
        Verdict(
            claim="The gain at batch 16 is over 20 points of R@1.",
            paper=f"over {paper.GAIN_BATCH_16.value:.0f} points ({paper.GAIN_BATCH_16.where})",
            ours=f"{mean_spread(gains[best])} points at R_M = {best:g}",
            rule="the mean gain at the best R_M is at least 20 points",
            outcome=judge(bool(gains[best].mean() >= paper.GAIN_BATCH_16.value)),
            **common,
        ),
    ]
    if len(reference):
        above = (points[best] - reference).dropna()
        out.append(
            Verdict(
                claim="Batch 16 with memory does better than a large batch without.",
                paper=f"{paper.SOP_R1_BATCH_16_MEMORY.value} at batch 16 with memory, "
                f"{paper.SOP_R1_BATCH_256.value} at batch 256 without (SOP, "
                f"{paper.SOP_R1_BATCH_16_MEMORY.where})",
                ours=f"{mean_spread(points[best])} at batch 16, R_M = {best:g}; "
                f"{mean_spread(reference)} at batch {REFERENCE} without, as many images seen",
                rule=f"mean R@1 at the best R_M is at least that of batch {REFERENCE}",
                outcome=judge(bool(above.mean() >= 0), above),
                **common,
            )
        )
    if 0.01 in gains:
        before, after = paper.RATIO_R1["In-shop", 0.0], paper.RATIO_R1["In-shop", 0.01]
        out.append(
            Verdict(
                claim="A memory of 1% of the training set already gives a large gain.",
                paper=f"{before.value} to {after.value} (In-shop, {after.where})",
                ours=f"{mean_spread(gains[0.01])} points at R_M = 0.01",
                rule="the gain at 0.01 is at least a third of the best gain, which is clear of 0",
                outcome=judge(_clear(gains[best]) and gains[0.01].mean() >= gains[best].mean() / 3),
                **common,
            )
        )
    if 1.0 in points and any(0.05 <= ratio <= 0.5 for ratio in points):
        moderate = max((r for r in points if 0.05 <= r <= 0.5), key=lambda r: points[r].mean())
        out.append(
            Verdict(
                claim="R@1 saturates when the memory grows to a moderate size.",
                paper="curves level off (Fig. 1, right)",
                ours=f"{mean_spread(points[moderate])} at R_M = {moderate:g}, "
                f"{mean_spread(points[1.0])} at 1",
                rule="R@1 at R_M = 1 is within 2 points of that at the best R_M in [0.05, 0.5]",
                outcome=judge(abs(points[1.0].mean() - points[moderate].mean()) <= 2),
                **common,
            )
        )
    return out


def _clear(gain: pd.Series) -> bool:
    """Whether a paired gain is clear of zero."""
    error = gain.std(ddof=1) / len(gain) ** 0.5 if len(gain) > 1 else 0.0
    return bool(gain.mean() > 2 * error)
