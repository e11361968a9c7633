"""Table 1: contrastive, triplet and multi-similarity loss, each without and with memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pandas as pd

from xbmlib import paper
from xbmlib.study.notebook import StudyParameters, Verdict, clear, mean_spread
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import LOSSES, PRINTED, Profile, experiment
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

# Of Section 4.4; the text names no batch size for Table 1 itself.
BATCH = 64


class Parameters(StudyParameters):
    """The study of the losses takes no parameters of its own."""

    notebook: ClassVar[str] = "losses_with_memory"


def case(
    profile: Profile,
    data: str,
    loss: str,
    memory: str,
    seed: int,
    batch: int | None = None,
    sampler: str = "pk",
) -> Experiment:
    """A loss on a data set, "none" or "w/ M" (with the R_M that its search found)."""
    ratio = None if memory == "w/ M" else 0.0
    fixed: Any = {"space": LOSSES[loss], "data": data, "sampler": sampler}
    return experiment(profile, batch or BATCH, seed=seed, ratio=ratio, **fixed)


def _listed(parameters: Parameters) -> list[dict[str, Any]]:
    return [
        {"data": name, "loss": loss, "memory": memory, "seed": seed}
        for name in parameters.size.data
        for loss in LOSSES
        if loss == "contrastive" or name in parameters.size.pictured
        for memory in ("none", "w/ M")
        for seed in parameters.seed_range
    ]


def experiments(parameters: Parameters) -> list[Experiment]:
    """The losses on the data sets, without and with memory: of Table 1, or of a brief profile."""
    return [case(parameters.size, **row) for row in _listed(parameters)]


def frame(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load the losses on the data sets, without and with memory.

    Returns:
        A row a run and measure: data, loss, memory ("none" or "w/ M", with the R_M that its
        search found), ratio, seed, measure (such as "R@1"), value (percent), run.
    """
    listed = _listed(parameters)
    runs = run_all(experiments(parameters), store)
    return pd.DataFrame(
        [
            row
            | {"ratio": run.experiment.ratio, "measure": name, "value": 100 * value, "run": run.id}
            for row, run in zip(listed, runs, strict=True)
            for name, value in run.recall.items()
        ]
    )


def table(data: pd.DataFrame) -> pd.DataFrame:
    """Table 1's rows and ours: a row for each source, data set, loss and memory.

    Returns:
        Cells in percent, "mean ± spread (n)" where ours; columns are each set's own measures.
    """
    rows = [
        {"source": "paper", "data": name, "loss": loss, "memory": memory}
        | {measure: f"{value:.1f}" for measure, value in cells.items()}
        for (name, loss, memory), cells in paper.LOSSES.items()
    ]
    for (name, loss, memory), part in data.groupby(["data", "loss", "memory"], sort=False):
        cells = {m: mean_spread(v) for m, v in part.groupby("measure", sort=False)["value"]}
        ours = {"source": source(str(name)), "data": name, "loss": loss, "memory": memory}
        rows.append(ours | cells)
    return pd.DataFrame(rows).fillna("")


def source(data: str) -> str:
    """Whose rows of a table these are."""
    return "ours" if data in PRINTED else "ours (drawn)"


def stated(loss: str, beyond: tuple[str, str] | None = None) -> str:
    """What Table 1's R@1 of a loss with memory is ahead of: without memory, unless told."""
    other, memory = beyond or (loss, "none")
    parts = []
    for name, measures in paper.SETS.items():
        # VehicleID's largest list stands for the three.
        measure = next(m for m in reversed(measures) if m.endswith("R@1"))
        gain = (
            paper.LOSSES[name, loss, "w/ M"][measure] - paper.LOSSES[name, other, memory][measure]
        )
        parts.append(f"{name} {gain:+.1f}")
    return f"{', '.join(parts)} points (Table 1)"


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """The claims of Section 4.3, "With General Pair-based DML"."""
    first = data[data["measure"] == "R@1"]
    r1 = first.set_index(["data", "loss", "memory", "seed"])["value"].sort_index()
    where = f"batch {BATCH}, R_M as searched, profile {parameters.profile}"

    def common(names: Sequence[str]) -> Any:
        return {"data": f"{parameters.size.told(*names)}, {where}", "seeds": data["seed"].nunique()}

    # A brief profile has not every loss on every data set.
    names = {loss: list(first[first["loss"] == loss]["data"].unique()) for loss in LOSSES}
    gains = {
        (d, loss): r1[d, loss, "w/ M"] - r1[d, loss, "none"] for loss in LOSSES for d in names[loss]
    }
    out = [
        Verdict(
            claim=f"The memory improves the {loss.replace('_', '-')} loss on every data set.",
            paper=stated(loss),
            ours="; ".join(f"{d} {mean_spread(gains[d, loss])} points" for d in names[loss]),
            rule="on every data set the gain of R@1 exceeds twice its standard error over seeds",
            outcome=clear(*(gains[d, loss] for d in names[loss])),
            **common(names[loss]),
        )
        for loss in LOSSES
    ]
    both = names["multi_similarity"]
    for memory, told in (("none", "without"), ("w/ M", "with")):
        ahead = {d: r1[d, "contrastive", "w/ M"] - r1[d, "multi_similarity", memory] for d in both}
        out.append(
            Verdict(
                claim=f"The contrastive loss with memory beats multi-similarity {told}.",
                paper=stated("contrastive", beyond=("multi_similarity", memory)),
                ours="; ".join(f"{d} {mean_spread(a)} points" for d, a in ahead.items()),
                rule="on every data set it is ahead by more than twice the standard error",
                outcome=clear(*ahead.values()),
                **common(both),
            )
        )
    return out
