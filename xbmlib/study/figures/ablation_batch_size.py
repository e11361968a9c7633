"""Figure 1 (left and middle) and Figure 6: R@1 against the size of the mini-batch."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd

from xbmlib import paper
from xbmlib.paper.arms import NO_MEMORY, arm, loss_name
from xbmlib.study.notebook import EQUAL_IMAGES, StudyParameters, Verdict, clear, mean_spread
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import LOSSES, Profile, experiment
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

RATIO = 1.0
SAMPLERS = ("pk", "shuffle")
# Margin in points of R@1 within which shuffled batches count as equal to PK batches.
EQUAL = 1.0
# The paper's numbers for a small batch with memory against a large one with no memory.
SMALL_WITH_MEMORY = (
    f"{paper.SOP_R1_BATCH_16_MEMORY.value} at batch 16 with memory, "
    f"{paper.SOP_R1_BATCH_256.value} at batch 256 with {NO_MEMORY} (SOP, "
    f"{paper.SOP_R1_BATCH_16_MEMORY.where})"
)


class Parameters(StudyParameters):
    """The parameters that every study has."""

    notebook: ClassVar[str] = "ablation_batch_size"


def cases(profile: Profile) -> list[dict[str, Any]]:
    """Every point as data, loss, ratio, sampler and batch; all see the same number of images."""
    first = {"data": profile.first, "loss": "contrastive", "ratio": 0.0, "sampler": "pk"}
    left = [first | {"loss": loss} for loss in LOSSES]
    middle = [first | {"data": data} for data in profile.data]
    six = [first | {"ratio": r, "sampler": s} for r in (0.0, RATIO) for s in SAMPLERS]
    once = {tuple(curve.values()): curve for curve in [*left, *middle, *six]}
    return [curve | {"batch": batch} for curve in once.values() for batch in profile.batches]


def _experiment(profile: Profile, case: dict[str, Any], seed: int) -> Experiment:
    return experiment(
        profile,
        case["batch"],
        seed=seed,
        ratio=case["ratio"],
        space=LOSSES[case["loss"]],
        data=case["data"],
        sampler=case["sampler"],
    )


def _listed(parameters: Parameters) -> list[dict[str, Any]]:
    return [
        case | {"seed": seed} for case in cases(parameters.size) for seed in parameters.seed_range
    ]


def experiments(parameters: Parameters) -> list[Experiment]:
    """Every point of every curve."""
    return [_experiment(parameters.size, row, row["seed"]) for row in _listed(parameters)]


def frame(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load every curve.

    Returns:
        One row per run: data, loss, ratio, sampler, batch, seed, R@1 (percent), run.
    """
    runs = run_all(experiments(parameters), store)
    return pd.DataFrame(
        [
            row | {"R@1": 100 * run.recall["R@1"], "run": run.id}
            for row, run in zip(_listed(parameters), runs, strict=True)
        ]
    )


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """The claims of Section 4.3, "Mini-batch Size", and of Fig. 1 and 6."""
    r1 = data.set_index(["data", "loss", "ratio", "sampler", "batch", "seed"])["R@1"].sort_index()
    first, name_data = parameters.size.first, parameters.size.name_data
    least, most = data["batch"].min(), data["batch"].max()
    common: Any = {"seeds": data["seed"].nunique()}
    where = f"batch {least} to {most}, {EQUAL_IMAGES}, profile {parameters.profile}"

    def gain(name: str, loss: str, ratio: float = 0.0) -> pd.Series:
        curve = r1[name, loss, ratio, "pk"]
        return curve[most] - curve[least]

    losses = {loss: gain(first, loss) for loss in LOSSES}
    sets = {name: gain(name, "contrastive") for name in data["data"].unique()}
    none, memory = r1[first, "contrastive", 0.0], r1[first, "contrastive", RATIO]
    with_memory = gain(first, "contrastive", RATIO)
    by_sampler = {s: memory[s].groupby("seed").mean() for s in SAMPLERS}
    baseline = {s: none[s].groupby("seed").mean() for s in SAMPLERS}
    small, large = memory["pk"][least], none["pk"][most]
    difference = f"R@1 at batch {most} minus that at batch {least}"
    stated = f"{paper.SOP_GAIN_16_TO_256.value} points, contrastive, batch 16 to 256"
    return [
        Verdict(
            claim="R@1 with every pair-based loss is higher at a large batch than at a small one.",
            paper=f"{stated} (SOP, {paper.SOP_GAIN_16_TO_256.where}; three losses in Fig. 1, left)",
            ours=f"{difference}: "
            + "; ".join(f"{loss_name(loss)} {mean_spread(g)} points" for loss, g in losses.items()),
            rule=f"for every loss, R@1 at batch {most} exceeds that at batch {least} by more than "
            "twice the standard error over seeds",
            outcome=clear(*losses.values()),
            data=f"{name_data(first)}, {NO_MEMORY}, {where}",
            **common,
        ),
        Verdict(
            claim="R@1 with the contrastive loss is higher at a large batch than at a small one, "
            "on every data set.",
            paper=paper.claims.LARGER_BATCH_HELPS.quoted,
            ours=f"{difference}: "
            + "; ".join(f"{name} {mean_spread(g)} points" for name, g in sets.items()),
            rule=f"on every data set, R@1 at batch {most} exceeds that at batch {least} by more "
            "than twice the standard error over seeds",
            outcome=clear(*sets.values()),
            data=f"{name_data(*sets)}, {NO_MEMORY}, {where}",
            **common,
        ),
        Verdict(
            claim="With memory, R@1 changes little with the batch size.",
            paper=f"{paper.SOP_MEMORY_GAIN_16_TO_256.value} points with memory, {stated}, with "
            f"{NO_MEMORY} (SOP, {paper.SOP_MEMORY_GAIN_16_TO_256.where})",
            ours=f"{difference}: {mean_spread(with_memory)} points with {arm(RATIO)}, "
            f"{mean_spread(losses['contrastive'])} with {NO_MEMORY}",
            rule=f"half of the change with {NO_MEMORY} exceeds the change with memory by more than "
            "twice the standard error over seeds",
            outcome=clear(losses["contrastive"].abs() / 2 - with_memory.abs()),
            data=f"{name_data(first)}, contrastive, {where}",
            **common,
        ),
        Verdict(
            claim=f"R@1 is higher at batch {least} with memory than at batch {most} with "
            f"{NO_MEMORY}.",
            paper=SMALL_WITH_MEMORY,
            ours=f"{mean_spread(small)} at batch {least}, {arm(RATIO)}; {mean_spread(large)} at "
            f"batch {most}, {NO_MEMORY}",
            rule="the difference exceeds twice the standard error over seeds",
            outcome=clear(small - large),
            data=f"{name_data(first)}, contrastive, {where}",
            **common,
        ),
        Verdict(
            claim="With memory, R@1 with shuffled batches is as high as with PK batches.",
            paper=paper.claims.SHUFFLE_AS_GOOD.quoted,
            ours=f"{arm(RATIO)}: {mean_spread(by_sampler['shuffle'])} with shuffled, "
            f"{mean_spread(by_sampler['pk'])} with PK batches; {NO_MEMORY}: "
            f"{mean_spread(baseline['shuffle'])} and {mean_spread(baseline['pk'])}; means over "
            "batch sizes",
            rule=f"with memory, R@1 with shuffled batches plus {EQUAL:g} point exceeds that with "
            "PK batches by more than twice the standard error over seeds",
            outcome=clear(by_sampler["shuffle"] + EQUAL - by_sampler["pk"]),
            data=f"{name_data(first)}, contrastive, {where}",
            **common,
        ),
    ]
