"""Table 1: contrastive, triplet and multi-similarity loss, each with no memory and with memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pandas as pd

from xbmlib import paper
from xbmlib.paper.arms import MEMORY, NO_MEMORY, UNSTATED, arm, loss_name, side
from xbmlib.study.notebook import StudyParameters, Verdict, clear, mean_spread
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import LOSSES, PRINTED, Profile, experiment
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

# Of Section 4.4; for Table 1 itself the paper states no batch size.
BATCH = 64


class Parameters(StudyParameters):
    """The parameters that every study has."""

    notebook: ClassVar[str] = "losses_with_memory"


def case(
    profile: Profile,
    data: str,
    loss: str,
    memory: bool,
    seed: int,
    batch: int | None = None,
    sampler: str = "pk",
) -> Experiment:
    """A loss on a data set, with no memory or with the R_M that its search found."""
    ratio = None if memory else 0.0
    fixed: Any = {"space": LOSSES[loss], "data": data, "sampler": sampler}
    return experiment(profile, batch or BATCH, seed=seed, ratio=ratio, **fixed)


def _listed(parameters: Parameters) -> list[dict[str, Any]]:
    return [
        {"data": name, "loss": loss, "memory": memory, "seed": seed}
        for name in parameters.size.data
        for loss in LOSSES
        if loss == "contrastive" or name in parameters.size.main_data
        for memory in (False, True)
        for seed in parameters.seed_range
    ]


def experiments(parameters: Parameters) -> list[Experiment]:
    """Both arms of each loss on each data set: Table 1's, or fewer at a brief profile."""
    return [case(parameters.size, **row) for row in _listed(parameters)]


def frame(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load both arms of each loss on each data set.

    Returns:
        One row per run and measure: data, loss, arm ("no memory" or, with the R_M that its search
        found, such as "memory (R_M = 0.1)"), seed, ratio, measure (such as "R@1"), value (percent),
        run.
    """
    listed = _listed(parameters)
    runs = run_all(experiments(parameters), store)
    return pd.DataFrame(
        [
            {"data": row["data"], "loss": row["loss"], "arm": arm(run.experiment.ratio),
             "seed": row["seed"], "ratio": run.experiment.ratio, "measure": name,
             "value": 100 * value, "run": run.id}
            for row, run in zip(listed, runs, strict=True)
            for name, value in run.recall.items()
        ]
    )  # fmt: skip


def table(data: pd.DataFrame) -> pd.DataFrame:
    """Table 1's rows, then ours: one row per source, data set, loss and arm.

    Returns:
        Cells in percent, ours as "mean ± standard deviation (n)"; a column per measure, empty where
        a data set does not have it.
    """
    rows = [
        {
            "source": "paper",
            "data": name,
            "loss": loss,
            "arm": UNSTATED if memory == MEMORY else memory,
        }
        | {measure: f"{value:.1f}" for measure, value in cells.items()}
        for (name, loss, memory), cells in paper.LOSSES.items()
    ]
    for (name, loss, spelt), part in data.groupby(["data", "loss", "arm"], sort=False):
        cells = {m: mean_spread(v) for m, v in part.groupby("measure", sort=False)["value"]}
        ours = {"source": source(str(name)), "data": name, "loss": loss, "arm": spelt}
        rows.append(ours | cells)
    return pd.DataFrame(rows).fillna("")


def source(data: str) -> str:
    """The source of our rows of a table; it says if the images are rendered."""
    return "ours" if data in PRINTED else "ours (rendered)"


def stated(loss: str, beyond: tuple[str, str] | None = None) -> str:
    """Table 1's R@1 with a loss and memory, minus that of another of its rows.

    Args:
        loss: the loss with memory.
        beyond: loss and arm of the other row; by default the same loss with no memory.
    """
    other, memory = beyond or (loss, NO_MEMORY)
    parts = []
    for name, measures in paper.SETS.items():
        # Of VehicleID's three test lists the largest.
        measure = next(m for m in reversed(measures) if m.endswith("R@1"))
        gain = (
            paper.LOSSES[name, loss, MEMORY][measure] - paper.LOSSES[name, other, memory][measure]
        )
        parts.append(f"{name} {gain:+.1f}")
    return f"{', '.join(parts)} points (Table 1)"


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """The claims of Section 4.3, "With General Pair-based DML"."""
    first = data[data["measure"] == "R@1"]
    first = first.assign(side=first["arm"].map(side))
    r1 = first.set_index(["data", "loss", "side", "seed"])["value"].sort_index()
    where = f"batch {BATCH}, R_M as searched, profile {parameters.profile}"

    def common(names: Sequence[str]) -> Any:
        return {
            "data": f"{parameters.size.name_data(*names)}, {where}",
            "seeds": data["seed"].nunique(),
        }

    # A brief profile does not have every loss on every data set.
    names = {loss: list(first[first["loss"] == loss]["data"].unique()) for loss in LOSSES}
    gains = {
        (d, loss): r1[d, loss, MEMORY] - r1[d, loss, NO_MEMORY]
        for loss in LOSSES
        for d in names[loss]
    }
    out = [
        Verdict(
            claim=f"R@1 with the {loss_name(loss)} loss rises with the memory, on every data set.",
            paper=stated(loss),
            ours="; ".join(f"{d} {mean_spread(gains[d, loss])} points" for d in names[loss]),
            rule="on every data set the gain of R@1 exceeds twice its standard error over seeds",
            outcome=clear(*(gains[d, loss] for d in names[loss])),
            **common(names[loss]),
        )
        for loss in LOSSES
    ]
    both = names["multi_similarity"]
    for other in (NO_MEMORY, MEMORY):
        ahead = {d: r1[d, "contrastive", MEMORY] - r1[d, "multi_similarity", other] for d in both}
        out.append(
            Verdict(
                claim="R@1 is higher with the contrastive loss and memory than with the "
                f"multi-similarity loss and {other}.",
                paper=stated("contrastive", beyond=("multi_similarity", other)),
                ours="; ".join(f"{d} {mean_spread(a)} points" for d, a in ahead.items()),
                rule="on every data set the difference exceeds twice its standard error over seeds",
                outcome=clear(*ahead.values()),
                **common(both),
            )
        )
    return out
