"""Table 1: contrastive, triplet and multi-similarity loss, each with no memory and with memory."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd

from xbmlib import paper
from xbmlib.paper.arms import MEMORY, NO_MEMORY, UNSTATED, arm, loss_name, side
from xbmlib.study import profiles, protocol
from xbmlib.study.comparison import Quantity, standing
from xbmlib.study.history import history
from xbmlib.study.notebook import StudyParameters
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import LOSSES, Profile
from xbmlib.study.verdict import mean_spread
from xbmlib.study.words import beside, change, listed
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

# Of Section 4.4; for Table 1 itself the paper states no batch size.
BATCH = 64
# The losses that are trained by the protocol of :mod:`xbmlib.study.protocol`. The others have the
# settings and the R_M of an earlier search, at an equal number of training images.
BY_PROTOCOL = ("contrastive",)


class Parameters(StudyParameters):
    """The parameters that every study has."""

    notebook: ClassVar[str] = "losses_with_memory"


def case(profile: Profile, data: str, loss: str, memory: bool, seed: int) -> Experiment:
    """A loss on a data set, with no memory or with memory."""
    if loss in BY_PROTOCOL and profile.setting is None:
        ratio = float(memory)
        return protocol.experiment(profile, BATCH, seed=seed, ratio=ratio, loss=loss, data=data)
    return profiles.experiment(
        profile, BATCH, seed=seed, ratio=None if memory else 0.0, space=LOSSES[loss], data=data
    )


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
        One row per run and measure: data, loss, arm ("no memory" or, with its R_M, such as
        "memory (R_M = 0.1)"), updates, K, seed, ratio, measure (such as "R@1"), value (percent),
        run.
    """
    runs = zip(
        _listed(parameters),
        run_all(experiments(parameters), store, parameters.quicker(experiments)),
        strict=True,
    )
    return pd.DataFrame(
        [
            {"data": row["data"], "loss": row["loss"], "arm": arm(run.experiment.ratio),
             "updates": run.experiment.steps, "K": run.experiment.k, "seed": row["seed"],
             "ratio": run.experiment.ratio, "measure": name, "value": 100 * value, "run": run.id}
            for row, run in runs
            for name, value in run.recall.items()
        ]
    )  # fmt: skip


def training(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Recall while training, in both arms of the contrastive loss."""
    found = [e for e in experiments(parameters) if e.loss == "contrastive"]
    return history(run_all(found, store))


def tables(data: pd.DataFrame, profile: Profile) -> dict[str, pd.DataFrame]:
    """Table 1's rows, then ours, in one table per data set.

    Args:
        data: as returned by :func:`frame`.
        profile: its data sets stand for the paper's.

    Returns:
        Such as "SOP, and hanzi in its place" to a table with one row per source, loss and arm.
        Cells in percent, ours as "mean ± standard deviation (n)"; a column per measure that one of
        the two has; updates and K of ours.
    """
    shown = data.assign(data=data["data"].map(profile.printed))
    found = {}
    for name, ours in profile.stands_for.items():
        rows = [*_printed(name), *_measured(shown[shown["data"] == ours])]
        title = name if ours == name else f"{name}, and {ours} in its place"
        found[title] = pd.DataFrame(rows).fillna("")
    return found


def _printed(name: str) -> list[dict[str, str]]:
    """The rows of Table 1 on a data set."""
    return [
        {"source": "paper", "data": name, "loss": loss_name(loss),
         "arm": UNSTATED if memory == MEMORY else memory, "updates": "", "K": ""}
        | {measure: f"{value:.1f}" for measure, value in cells.items()}
        for (data, loss, memory), cells in paper.LOSSES.items()
        if data == name
    ]  # fmt: skip


def _measured(data: pd.DataFrame) -> list[dict[str, str]]:
    """Our rows on a data set, whose name is as printed."""
    keys = ["data", "loss", "arm", "updates", "K"]
    return [
        {"source": source(name), "data": name, "loss": loss_name(loss), "arm": arm,
         "updates": f"{updates:,}", "K": f"{k}"}
        | {m: mean_spread(v) for m, v in part.groupby("measure", sort=False)["value"]}
        for (name, loss, arm, updates, k), part in each_once(data).groupby(keys, sort=False)
    ]  # fmt: skip


def each_once(data: pd.DataFrame) -> pd.DataFrame:
    """The rows without "R@K" where "large R@K", the same by another name, is among them."""
    return data[~("large " + data["measure"]).isin(set(data["measure"]))]


def source(data: str) -> str:
    """The source of our rows of a table on a data set as printed; it says if it is rendered."""
    return "ours (rendered)" if data in paper.COUNTERPARTS else "ours"


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


def numbers(values: pd.Series) -> str:
    """Values, each once: such as "0.1 and 1"."""
    return listed([f"{value:,g}" for value in sorted(values.unique())])


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
    lengths: dict[str, list[str]] = {}
    for loss, part in data.groupby("loss", sort=False):
        lengths.setdefault(numbers(part["updates"]), []).append(loss_name(str(loss)))
    made = [
        f"{updates} updates with the {listed(losses)} loss" for updates, losses in lengths.items()
    ]
    why = (
        ""
        if len(made) == 1
        else f" A run makes {listed(made)}, so that the losses are not compared with each other; "
        "`training_length` shows how the gain depends on the number of updates."
    )
    return (
        f"{' '.join(parts)} R@1 with the contrastive loss and {NO_MEMORY} is {listed(levels)}.{why}"
    )
