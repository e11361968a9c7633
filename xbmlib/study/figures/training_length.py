"""Does the number of updates explain the disagreements with Table 1 and Fig. 6?

At an equal number of training images, R@1 with some losses at batch 64 falls with the memory on
some data sets while it rises at batch 16 (Table 1), and with shuffled batches it stays behind that
with PK batches (Fig. 6). A larger batch makes fewer updates there. This study separates the two: by
each loss at batch 16, and by longer training with shuffled batches. Ahead of that, it trains the
contrastive loss by the protocol for half its number of updates, as many as a trial of the search
makes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pandas as pd

from xbmlib import paper
from xbmlib.paper.arms import MEMORY, NO_MEMORY, arm, loss_name, side
from xbmlib.study import profiles
from xbmlib.study.comparison import Quantity, standing
from xbmlib.study.figures.losses_with_memory import BATCH, case
from xbmlib.study.notebook import StudyParameters
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import LOSSES, Profile
from xbmlib.study.verdict import mean_spread
from xbmlib.study.words import change, listed
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

# The profile that has every part; the others have one length only, from which nothing follows.
COMPLETE = "full"
# Multiples of the protocol's updates, and the data set (its place among the profile's) on which R@1
# is farthest from 100%.
LENGTHS, PLACE = (0.5, 1.0), 1
# The batch size to compare with that of Table 1.
SMALL = 16
LOSS = "contrastive"
# Losses that are trained at the large batch for the updates of the small one, too.
LONG = (LOSS, "multi_similarity")

Case = dict[str, Any]


class Parameters(StudyParameters):
    """The parameters that every study has."""

    notebook: ClassVar[str] = "training_length"


def cases(profile: Profile) -> list[Case]:
    """Every case as part, data, loss, sampler, batch, length and memory (whether it has one).

    Parts: "length", the protocol at several lengths; "batch", each loss at the small and at the
    large batch at an equal number of images, the losses of LONG also at an equal number of updates;
    "shuffled", shuffled batches with memory at the sizes of "batch".
    """
    complete = profile.name == COMPLETE
    base: Case = {"data": profile.first, "loss": LOSS, "sampler": "pk"}
    base |= {"batch": BATCH, "length": 1}
    longer: list[Case] = [
        {"part": "length", "data": profile.data[PLACE], "length": length}
        for length in (LENGTHS if complete else (1,))
    ]
    images: list[Case] = [{"batch": SMALL}, {}]
    sizes = [*images, {"length": BATCH / SMALL}]
    batches = [size | {"part": "batch", "loss": loss} for loss in LOSSES for size in images]
    batches += [sizes[-1] | {"part": "batch", "loss": loss} for loss in LONG]
    shuffled = [size | {"part": "shuffled", "sampler": "shuffle"} for size in sizes]
    both = [*longer, *batches] if complete else longer
    return [base | case | {"memory": memory} for case in both for memory in (False, True)] + [
        base | case | {"memory": True} for case in shuffled if complete
    ]


def _listed(parameters: Parameters) -> list[Case]:
    return [
        case | {"seed": seed} for case in cases(parameters.size) for seed in parameters.seed_range
    ]


def experiments(parameters: Parameters) -> list[Experiment]:
    """Every case: "length" by the protocol, the others by the search at an equal number of images.

    Both arms of a case have the settings that the search of the arm found.
    """
    return [_experiment(parameters.size, row) for row in _listed(parameters)]


def _experiment(size: Profile, row: Case) -> Experiment:
    if row["part"] == "length":
        size = replace(size, updates=round(row["length"] * size.updates))
        return case(size, row["data"], row["loss"], row["memory"], row["seed"])
    return profiles.experiment(
        replace(size, images=round(row["length"] * size.images)),
        row["batch"],
        seed=row["seed"],
        ratio=None if row["memory"] else 0.0,
        space=LOSSES[row["loss"]],
        data=row["data"],
        sampler=row["sampler"],
    )


def frame(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load every case.

    Returns:
        One row per run: data, loss, sampler, batch, length (a multiple of the profile's images, of
        its updates where part is "length"), part, arm ("no memory" or such as "memory
        (R_M = 0.1)"), seed, updates, R@1 (percent), run.
    """
    runs = run_all(experiments(parameters), store, parameters.quicker(experiments))
    return pd.DataFrame(
        [
            {name: value for name, value in row.items() if name not in ("memory", "seed")}
            | {"arm": arm(run.experiment.ratio), "seed": row["seed"]}
            | {"updates": run.experiment.steps, "R@1": 100 * run.recall["R@1"], "run": run.id}
            for row, run in zip(_listed(parameters), runs, strict=True)
        ]
    )


def rows_of(data: pd.DataFrame, part: str) -> pd.DataFrame:
    """The rows of a part (:func:`cases`), with a column side: "no memory" or "memory"."""
    return data[data["part"] == part].assign(side=lambda rows: rows["arm"].map(side))


def gains(data: pd.DataFrame, part: str) -> pd.DataFrame:
    """The gain of the memory in a part: loss, batch, updates, R@1 of both arms, gain."""
    rows = []
    cells = rows_of(data, part).groupby(["loss", "batch", "updates"], sort=False)
    for (loss, batch, updates), cell in cells:
        r1 = cell.set_index(["side", "seed"])["R@1"]
        rows.append(
            {"loss": loss, "batch": batch, "updates": updates,
             **{f"R@1, {arm}": mean_spread(r1[arm]) for arm in (NO_MEMORY, MEMORY)},
             "gain": mean_spread(r1[MEMORY] - r1[NO_MEMORY])}
        )  # fmt: skip
    return pd.DataFrame(rows)


def behind(data: pd.DataFrame) -> pd.Series:
    """R@1 with PK batches minus R@1 with shuffled batches, in points, both with memory.

    Returns:
        A value for each (batch, updates, seed); empty if there are no shuffled batches.
    """
    index = ["batch", "updates", "seed"]
    shuffled = rows_of(data, "shuffled").set_index(index)["R@1"]
    pk = rows_of(data, "batch").query(f"loss == '{LOSS}' and side == '{MEMORY}'")
    return (pk.set_index(index)["R@1"] - shuffled).dropna().sort_index()


def comparison(data: pd.DataFrame, parameters: Parameters) -> list[Quantity]:
    """The gain at each length, loss and batch size beside Table 1's, which is of batch 64."""
    size = parameters.size
    names = dict(zip(size.data, paper.SETS, strict=True))
    keys = ["part", "data", "loss", "batch", "updates"]
    sides = data[data["sampler"] == "pk"].assign(side=lambda rows: rows["arm"].map(side))
    rows = []
    for (_, ours, loss, batch, updates), cell in sides.groupby(keys, sort=False):
        r1 = cell.set_index(["side", "seed"])["R@1"]
        name = names[ours]
        before, after = paper.r1_of_both_arms(name, loss)
        rows.append(
            Quantity(
                f"{standing(size, name)}, {loss_name(loss)}, batch {batch}",
                f"gain after {updates:,} updates, points",
                r1[MEMORY] - r1[NO_MEMORY],
                round(after - before, 1) if batch == BATCH else None,
            )
        )
    gap = behind(data)
    rows += [
        Quantity(
            f"{standing(size, names[size.first])}, {LOSS}, batch {batch}, {MEMORY}",
            f"R@1 with PK minus with shuffled batches after {updates:,} updates, points",
            gap[batch, updates],
        )
        for batch, updates in gap.index.droplevel("seed").unique()
    ]
    # A length may belong to two parts, and what belongs together stands together.
    places = [row.of for row in rows]
    once = {(row.of, row.what): row for row in rows}.values()
    return sorted(once, key=lambda row: places.index(row.of))


def closing(data: pd.DataFrame, parameters: Parameters) -> str:
    """What came out, and why, in words."""
    size = parameters.size
    part = rows_of(data, "length")
    r1 = part.set_index(["side", "updates", "seed"])["R@1"].sort_index()
    gain = r1[MEMORY] - r1[NO_MEMORY]
    lengths = gain.index.unique("updates")
    moves = listed([f"{change(gain[n])} after {n:,} updates" for n in lengths])
    text = (
        f"On {size.printed(size.data[PLACE])} at batch {BATCH}, from {NO_MEMORY} to memory, R@1 "
        f"with the contrastive loss {moves}."
    )
    if len(lengths) == 1:
        return f"{text} One length says nothing of what a longer training changes."
    growth = change(gain[lengths[-1]] - gain[lengths[0]])
    why = (
        ": a short run understates here what the memory gains in a long one"
        if growth.startswith("rises")
        else ""
    )
    gap = behind(data)
    few, many = gap.index.unique("updates").min(), gap.index.unique("updates").max()
    return (
        f"{text} From the shortest to the longest the gain {growth}{why}. R@1 with shuffled "
        f"batches is {gap[BATCH, few].mean():.1f} points behind that with PK batches after {few:,} "
        f"updates of batch {BATCH} and {gap[BATCH, many].mean():.1f} after {many:,}: positives of "
        "shuffled batches come from the memory, which has to fill first."
    )
