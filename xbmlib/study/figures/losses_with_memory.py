"""Table 1: contrastive, triplet and multi-similarity loss, each with no memory and with memory."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd

from xbmlib import paper
from xbmlib.paper import claims
from xbmlib.paper.arms import MEMORY, NO_MEMORY, UNSTATED, arm, loss_name, side
from xbmlib.study.comparison import Quantity, standing
from xbmlib.study.notebook import StudyParameters
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import LOSSES, PRINTED, Profile, experiment
from xbmlib.study.verdict import Verdict, judged, mean_spread
from xbmlib.study.words import beside, change, listed
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


def stated(loss: str) -> str:
    """Table 1's R@1 with a loss and memory, minus that with the loss and no memory."""
    parts = []
    for name in paper.SETS:
        before, after = paper.r1_of_both_arms(name, loss)
        parts.append(f"{name} {after - before:+.1f}")
    return f"{', '.join(parts)} points (Table 1)"


def by_arm(data: pd.DataFrame, profile: Profile) -> dict[tuple[str, str, str], pd.DataFrame]:
    """R@1 and MAP@R of each arm, in percent.

    Args:
        data: as returned by :func:`frame`.
        profile: its data sets stand for the paper's.

    Returns:
        (the paper's data set, loss, "no memory" or "memory") to a frame with one row per seed.
    """
    papers = {shown: name for name, shown in profile.stands_for.items()}
    names = data["data"].map(lambda name: papers[profile.printed(name)])
    first = {name: paper.first_measure(name) for name in paper.SETS}
    found = data.assign(name=names, side=data["arm"].map(side))
    if profile.setting is not None:
        large = found["measure"] == found["name"].map(first)
        found = found[large | (found["measure"] == "MAP@R")].assign(
            measure=found["measure"].where(~large, "R@1")
        )
    found = found[found["measure"].isin(("R@1", "MAP@R"))]
    return {
        (str(name), str(loss), str(arm)): part.pivot(
            index="seed", columns="measure", values="value"
        ).reindex(columns=["R@1", "MAP@R"])
        for (name, loss, arm), part in found.groupby(["name", "loss", "side"], sort=False)
    }


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """The claims of the abstract and of Section 4.3, "With General Pair-based DML"."""
    profile = parameters.size
    cells = by_arm(data, profile)
    pairs = {
        (name, loss): (cells[name, loss, NO_MEMORY], cells[name, loss, MEMORY])
        for name in paper.SETS
        for loss in LOSSES
        if (name, loss, MEMORY) in cells
    }
    gains = {key: after["R@1"] - before["R@1"] for key, (before, after) in pairs.items()}

    def above(one: tuple[str, str], other: tuple[str, str]) -> dict[str, Any]:
        """R@1 with one loss and arm minus that with another, by data set."""
        return {
            name: cells[name, *one]["R@1"] - cells[name, *other]["R@1"]
            for name in paper.SETS
            if (name, *one) in cells and (name, *other) in cells
        }

    ms = "multi_similarity"

    def of(*losses: str) -> dict[str, Any]:
        """What verdicts share; names the R_M of the losses that are judged with memory."""
        searched = [
            f"R_M = {listed([f'{ratio:g}' for ratio in sorted(part['ratio'].unique())])} "
            f"({loss_name(str(loss))})"
            for loss, part in data[data["ratio"] > 0].groupby("loss", sort=False)
            if loss in losses
        ]
        where = [profile.name_data(), f"batch {BATCH}", *searched, f"profile {parameters.profile}"]
        return {"names": profile.stands_for, "data": ", ".join(where)}

    contrastive = {name: pair for (name, loss), pair in pairs.items() if loss == "contrastive"}
    without = above((ms, NO_MEMORY), ("contrastive", NO_MEMORY))
    less = {
        name: gains[name, "contrastive"] - gains[name, ms]
        for name in paper.SETS
        if (name, ms) in gains
    }
    return [
        judged(
            claims.CONTRASTIVE_GAINS,
            {name: gains[name, "contrastive"] for name in contrastive},
            arms=contrastive,
            **of("contrastive"),
        ),
        judged(
            claims.EVERY_LOSS_GAINS,
            {f"{name}, {loss_name(loss)}": gain for (name, loss), gain in gains.items()},
            arms={f"{name}, {loss_name(loss)}": pair for (name, loss), pair in pairs.items()},
            **of(*LOSSES),
        ),
        judged(
            claims.MS_BEATS_CONTRASTIVE_WITHOUT_MEMORY,
            {name: values for name, values in without.items() if name == "VehicleID"},
            **of(),
        ),
        judged(
            claims.CONTRASTIVE_BEATS_MS,
            above(("contrastive", MEMORY), (ms, NO_MEMORY)),
            **of("contrastive"),
        ),
        judged(claims.MS_GAINS_LESS, less, **of("contrastive", ms)),
    ]


def comparison(data: pd.DataFrame, parameters: Parameters) -> list[Quantity]:
    """R@1 of both arms, and the gain, beside Table 1."""
    profile = parameters.size
    found = by_arm(data, profile)
    rows = []
    for name, loss in dict.fromkeys((name, loss) for name, loss, _ in paper.LOSSES):
        none, memory = (
            found[name, loss, arm]["R@1"] if (name, loss, arm) in found else pd.Series(dtype=float)
            for arm in (NO_MEMORY, MEMORY)
        )
        before, after = paper.r1_of_both_arms(name, loss)
        of = f"{standing(profile, name)}, {loss_name(loss)}"
        rows += [
            Quantity(of, f"R@1 with {NO_MEMORY}, %", none, before),
            Quantity(of, f"R@1 with {MEMORY}, %", memory, after),
            Quantity(of, "gain, points", memory - none, round(after - before, 1)),
        ]
    return rows


def closing(data: pd.DataFrame, parameters: Parameters) -> str:
    """What came out, and why, in words."""
    profile = parameters.size
    cells = by_arm(data, profile)
    parts, levels = [], []
    for loss in LOSSES:
        moves = []
        for name in paper.SETS:
            if (name, loss, MEMORY) not in cells:
                continue
            none, memory = (cells[name, loss, arm]["R@1"] for arm in (NO_MEMORY, MEMORY))
            moves.append(f"{change(memory - none)} on {profile.stands_for[name]}")
            if loss == "contrastive":
                first, _ = paper.r1_of_both_arms(name, loss)
                levels.append(f"{none.mean():.1f}% on {profile.stands_for[name]}{beside(first)}")
        if moves:
            parts.append(f"With the {loss_name(loss)} loss R@1 {listed(moves)}.")
    why = (
        ""
        if profile.setting
        else (
            f" At batch {BATCH} and an equal number of training images a run makes "
            f"{profile.steps(BATCH):,} updates, with the memory joining after a share of them; "
            "`training_length` shows how the gain depends on it."
        )
    )
    return (
        f"{' '.join(parts)} The baseline with the contrastive loss starts from "
        f"{listed(levels)}.{why}"
    )
