"""Figure 1 (left and middle) and Figure 6: R@1 against the size of the mini-batch."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd

from xbmlib import paper
from xbmlib.study.notebook import StudyParameters, Verdict, clear, mean_spread
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import LOSSES, Profile, experiment
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

RATIO = 1.0
SAMPLERS = ("pk", "shuffle")
# By how many points of R@1 random batches may fall behind PK batches and still be as good.
EQUAL = 1.0


class Parameters(StudyParameters):
    """The study of the batch size takes no parameters of its own."""

    notebook: ClassVar[str] = "ablation_batch_size"


def cases(profile: Profile) -> list[dict[str, Any]]:
    """What is run: data, loss, ratio, sampler and batch; every point as many images."""
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
        A row a run: data, loss, ratio, sampler, batch, seed, R@1 (percent), run.
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
    first, told = parameters.size.first, parameters.size.told
    least, most = data["batch"].min(), data["batch"].max()
    common: Any = {"seeds": data["seed"].nunique()}
    where = f"batch {least} to {most}, as many images seen, profile {parameters.profile}"

    def gain(name: str, loss: str, ratio: float = 0.0) -> pd.Series:
        curve = r1[name, loss, ratio, "pk"]
        return curve[most] - curve[least]

    losses = {loss: gain(first, loss) for loss in LOSSES}
    sets = {name: gain(name, "contrastive") for name in data["data"].unique()}
    plain, memory = r1[first, "contrastive", 0.0], r1[first, "contrastive", RATIO]
    with_memory = gain(first, "contrastive", RATIO)
    behind = {s: memory[s].groupby("seed").mean() for s in SAMPLERS}
    alone = {s: plain[s].groupby("seed").mean() for s in SAMPLERS}
    small, large = memory["pk"][least], plain["pk"][most]
    stated = f"{paper.SOP_GAIN_16_TO_256.value} points, contrastive, batch 16 to 256"
    return [
        Verdict(
            claim="Every pair-based loss needs a large batch.",
            paper=f"{stated} (SOP, {paper.SOP_GAIN_16_TO_256.where}; three losses in Fig. 1, left)",
            ours="; ".join(f"{loss} {mean_spread(g)} points" for loss, g in losses.items()),
            rule=f"for every loss, R@1 at batch {most} exceeds that at batch {least} by more than "
            "twice the standard error over seeds",
            outcome=clear(*losses.values()),
            data=f"{told(first)}, no memory, {where}",
            **common,
        ),
        Verdict(
            claim="The contrastive loss needs a large batch on every data set.",
            paper=paper.claims.LARGER_BATCH_HELPS.quoted,
            ours="; ".join(f"{name} {mean_spread(g)} points" for name, g in sets.items()),
            rule=f"on every data set, R@1 at batch {most} exceeds that at batch {least} by more "
            "than twice the standard error over seeds",
            outcome=clear(*sets.values()),
            data=f"{told(*sets)}, no memory, {where}",
            **common,
        ),
        Verdict(
            claim="With memory the size of the batch matters little.",
            paper=f"{paper.SOP_MEMORY_GAIN_16_TO_256.value} points with memory, {stated} without "
            f"(SOP, {paper.SOP_MEMORY_GAIN_16_TO_256.where})",
            ours=f"{mean_spread(with_memory)} points with R_M = {RATIO:g}, "
            f"{mean_spread(losses['contrastive'])} without",
            rule="half of the change without memory exceeds the change with memory by more than "
            "twice the standard error over seeds",
            outcome=clear(losses["contrastive"].abs() / 2 - with_memory.abs()),
            data=f"{told(first)}, contrastive, {where}",
            **common,
        ),
        Verdict(
            claim=f"Batch {least} with memory beats batch {most} without.",
            paper=f"{paper.SOP_R1_BATCH_16_MEMORY.value} at batch 16 with memory, "
            f"{paper.SOP_R1_BATCH_256.value} at batch 256 without (SOP, "
            f"{paper.SOP_R1_BATCH_16_MEMORY.where})",
            ours=f"{mean_spread(small)} at batch {least}, R_M = {RATIO:g}; {mean_spread(large)} at "
            f"batch {most} without",
            rule="it is higher by more than twice the standard error over seeds",
            outcome=clear(small - large),
            data=f"{told(first)}, contrastive, {where}",
            **common,
        ),
        Verdict(
            claim="With memory, random batches are as good as PK batches.",
            paper=paper.claims.SHUFFLE_AS_GOOD.quoted,
            ours=f"with R_M = {RATIO:g} {mean_spread(behind['shuffle'])} random, "
            f"{mean_spread(behind['pk'])} PK; without {mean_spread(alone['shuffle'])} and "
            f"{mean_spread(alone['pk'])}; means over batch sizes",
            rule=f"with memory, random batches with {EQUAL:g} point more would be ahead, by more "
            "than twice the standard error over seeds",
            outcome=clear(behind["shuffle"] + EQUAL - behind["pk"]),
            data=f"{told(first)}, contrastive, {where}",
            **common,
        ),
    ]
