"""Is it the number of updates? The memory's gain, the batch's, and PK's, where that is set apart.

At batch 64 the memory lowers R@1 of some losses on some data sets (Table 1) after as many images as
batch 16 needs to gain from it, without memory a larger batch is no better (Fig. 1), and random
batches stay behind PK batches (Fig. 6). As many images are fewer updates there. This tells whether
it is that: with longer training, for each loss at batch 16, with as many updates at every batch
size, and for random batches.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pandas as pd

from xbmlib.study.figures import losses_with_memory
from xbmlib.study.notebook import StudyParameters, mean_spread
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import LOSSES, Profile
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

# The profile that this is told at; the others have one length alone, from which nothing follows.
TOLD = "full"
# Multiples of the profile's images, on the data set (its place among the profile's) on which the
# memory loses most.
LENGTHS, PLACE = (0.5, 1.0, 2.0, 4.0), 1
# The batch beside that of Table 1.
SMALL = 16
# Updates of every batch size, and the batch sizes, where these are set apart from the images.
UPDATES, BATCHES = 1000, (16, 64, 256)
LOSS = "contrastive"
# Those that the large batch makes as many updates with as the small one, too.
LONG = (LOSS, "multi_similarity")

Case = dict[str, Any]


class Parameters(StudyParameters):
    """The study of the length takes no parameters of its own."""

    notebook: ClassVar[str] = "training_length"


def cases(profile: Profile) -> list[Case]:
    """What is run: part, data, loss, sampler, batch, length and memory ("none", "w/ M").

    Parts: "length", of longer training; "batch", each loss at the small batch, and at the large one
    after as many images, those of LONG after as many updates too; "updates", fewer, as many at
    every batch size; "random", random batches with memory at the sizes of "batch".
    """
    told = profile.name == TOLD
    base: Case = {"data": profile.first, "loss": LOSS, "sampler": "pk"}
    base |= {"batch": losses_with_memory.BATCH, "length": 1}
    longer: list[Case] = [
        {"part": "length", "data": profile.data[PLACE], "length": length}
        for length in (LENGTHS if told else (1,))
    ]
    images: list[Case] = [{"batch": SMALL}, {}]
    sizes = [*images, {"length": losses_with_memory.BATCH / SMALL}]
    batches = [size | {"part": "batch", "loss": loss} for loss in LOSSES for size in images]
    batches += [sizes[-1] | {"part": "batch", "loss": loss} for loss in LONG]
    random = [size | {"part": "random", "sampler": "shuffle"} for size in sizes]
    updates: list[Case] = [
        {"part": "updates", "batch": batch, "length": batch * UPDATES / profile.images}
        for batch in BATCHES
    ]
    both = [*longer, *batches, *updates] if told else longer
    return [base | case | {"memory": memory} for case in both for memory in ("none", "w/ M")] + [
        base | case | {"memory": "w/ M"} for case in random if told
    ]


def _listed(parameters: Parameters) -> list[Case]:
    return [
        case | {"seed": seed} for case in cases(parameters.size) for seed in parameters.seed_range
    ]


def experiments(parameters: Parameters) -> list[Experiment]:
    """Every case, all else as the search of its arm found it."""
    size = parameters.size
    return [
        losses_with_memory.case(
            replace(size, images=round(row["length"] * size.images)),
            **{name: value for name, value in row.items() if name not in ("part", "length")},
        )
        for row in _listed(parameters)
    ]


def frame(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load every case.

    Returns:
        A row a run: what :func:`cases` has (length: a multiple of the profile's images), seed,
        updates, R@1 (percent), run.
    """
    runs = run_all(experiments(parameters), store)
    return pd.DataFrame(
        [
            row | {"updates": run.experiment.steps, "R@1": 100 * run.recall["R@1"], "run": run.id}
            for row, run in zip(_listed(parameters), runs, strict=True)
        ]
    )


def of(data: pd.DataFrame, part: str) -> pd.DataFrame:
    """The rows of a part (:func:`cases`)."""
    return data[data["part"] == part]


def gains(data: pd.DataFrame, part: str) -> pd.DataFrame:
    """What the memory gains in a part: loss, batch, updates, R@1 of both, gain."""
    rows = []
    cells = of(data, part).groupby(["loss", "batch", "updates"], sort=False)
    for (loss, batch, updates), cell in cells:
        r1 = cell.set_index(["memory", "seed"])["R@1"]
        rows.append(
            {"loss": loss, "batch": batch, "updates": updates,
             "R@1 without": mean_spread(r1["none"]), "R@1 with": mean_spread(r1["w/ M"]),
             "gain": mean_spread(r1["w/ M"] - r1["none"])}
        )  # fmt: skip
    return pd.DataFrame(rows)


def behind(data: pd.DataFrame) -> pd.Series:
    """By how many points of R@1 random batches are behind PK, with memory: by batch and updates.

    Returns:
        A value for each (batch, updates, seed); empty where none were run.
    """
    index = ["batch", "updates", "seed"]
    random = of(data, "random").set_index(index)["R@1"]
    pk = of(data, "batch").query(f"loss == '{LOSS}' and memory == 'w/ M'").set_index(index)["R@1"]
    return (pk - random).dropna().sort_index()
