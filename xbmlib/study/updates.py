"""Is it the number of updates? The memory's gain, and the batch's, where that is set apart.

At batch 64 the memory lowers R@1 of some losses on some data sets (Table 1) after as many images as
batch 16 needs to gain from it, and without memory a larger batch is no better (Fig. 1). As many
images are fewer updates there. This tells whether it is that: with longer training, for each loss
at batch 16, and with as many updates at every batch size.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pandas as pd

from xbmlib import paper
from xbmlib.config import Experiment
from xbmlib.runs import RunStore
from xbmlib.study import losses
from xbmlib.study.notebook import Parameters, Verdict, clear, mean_spread
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import LOSSES, Profile

# Lengths as multiples of the profile's images, and the batch beside that of Table 1, where it is
# for the profile to tell.
LENGTHS = {"full": (0.5, 1.0, 2.0, 4.0)}
SMALL = {"full": 16}
# Updates of every batch size, and the batch sizes, where these are set apart from the images.
UPDATES = {"full": 1000}
BATCHES = (16, 64, 256)
LOSS = "contrastive"
PLACE = 1  # of the data set among the profile's: that on which the memory loses most


class UpdatesParameters(Parameters):
    """The study of the length takes no parameters of its own."""

    notebook: ClassVar[str] = "training_length"


def cases(profile: Profile) -> list[dict[str, Any]]:
    """What is run: part ("length", "batch" or "updates"), data, loss, batch and length."""
    longer = [
        {"part": "length", "data": profile.data[PLACE], "loss": LOSS, "batch": losses.BATCH,
         "length": length}
        for length in LENGTHS.get(profile.name, (1.0,))
    ]  # fmt: skip
    smaller = [
        {"part": "batch", "data": profile.first, "loss": loss, "batch": batch, "length": 1.0}
        for loss in LOSSES
        if profile.name in SMALL
        for batch in (SMALL[profile.name], losses.BATCH)
    ]
    as_long = [
        {"part": "updates", "data": profile.first, "loss": LOSS, "batch": batch,
         "length": batch * UPDATES[profile.name] / profile.images}
        for batch in BATCHES
        if profile.name in UPDATES
    ]  # fmt: skip
    return longer + smaller + as_long


def _listed(parameters: UpdatesParameters) -> list[dict[str, Any]]:
    return [
        case | {"memory": memory, "seed": seed}
        for case in cases(parameters.size)
        for memory in ("none", "w/ M")
        for seed in parameters.seed_range
    ]


def experiments(parameters: UpdatesParameters) -> list[Experiment]:
    """Every case without and with memory."""
    size = parameters.size
    return [
        losses.case(
            replace(size, images=round(row["length"] * size.images)),
            **{key: row[key] for key in ("data", "loss", "memory", "seed", "batch")},
        )
        for row in _listed(parameters)
    ]


def frame(parameters: UpdatesParameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load every case; all else is the tuned setting of each arm.

    Returns:
        A row a run: part ("length", "batch" or "updates"), data, loss, batch, length (a multiple of
        the profile's images), memory ("none" or "w/ M"), seed, updates, R@1 (percent), run.
    """
    runs = run_all(experiments(parameters), store)
    return pd.DataFrame(
        [
            row | {"updates": run.experiment.steps, "R@1": 100 * run.recall["R@1"], "run": run.id}
            for row, run in zip(_listed(parameters), runs, strict=True)
        ]
    )


def of(data: pd.DataFrame, part: str) -> pd.DataFrame:
    """The rows of a part: "length", "batch" or "updates"."""
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


def verdicts(data: pd.DataFrame, parameters: UpdatesParameters) -> list[Verdict]:
    """Whether the memory's gain grows with the number of updates, and what else follows it."""
    told, profile = parameters.size.told, f"profile {parameters.profile}"
    common: Any = {"seeds": data["seed"].nunique()}
    longer = of(data, "length")
    r1 = longer.set_index(["memory", "updates", "seed"])["R@1"].sort_index()
    gain = r1["w/ M"] - r1["none"]
    lengths = sorted(longer["updates"].unique())
    # One length says nothing of how the gain changes.
    growth = [gain[lengths[-1]] - gain[lengths[0]]] if len(lengths) > 1 else [gain.iloc[:0]]
    found = [
        Verdict(
            claim="The memory needs more updates than the batch's own loss: its gain grows with "
            "the length of training (not claimed: the paper trains at one length).",
            paper="no figure; the released code makes 35,000 updates",
            ours="; ".join(
                f"{n:,} updates {mean_spread(gain[n])} points, without {mean_spread(r1['none', n])}"
                for n in lengths
            ),
            rule="the gain at the longest exceeds that at the shortest by more than twice the "
            "standard error over seeds",
            outcome=clear(*growth),
            data=f"{told(parameters.size.data[PLACE])}, batch {losses.BATCH}, R_M as searched, "
            f"contrastive, {profile}",
            **common,
        )
    ]
    if len(batches := of(data, "batch")):
        found.append(_small_batch(batches, f"{told(parameters.size.first)}, {profile}", common))
    if len(as_long := of(data, "updates")):
        found += _as_many(as_long, f"{told(parameters.size.first)}, {profile}", common)
    return found


def _small_batch(batches: pd.DataFrame, where: str, common: Any) -> Verdict:
    """The gain of each loss at a small batch against that at a large one."""
    r1 = batches.set_index(["memory", "batch", "loss", "seed"])["R@1"].sort_index()
    gain = r1["w/ M"] - r1["none"]
    small, large = batches["batch"].min(), batches["batch"].max()
    return Verdict(
        claim=f"The memory gains more at batch {small} than at batch {large} after as many images, "
        "whatever the loss (not claimed as such: Fig. 6 is of the contrastive loss).",
        paper="no figure",
        ours="; ".join(
            f"{loss} {mean_spread(gain[small, loss])} points at batch {small}, "
            f"{mean_spread(gain[large, loss])} at batch {large}"
            for loss in LOSSES
        ),
        rule="for every loss the gain is larger by more than twice the standard error over seeds",
        outcome=clear(*(gain[small, loss] - gain[large, loss] for loss in LOSSES)),
        data=f"R_M as searched, {where}",
        **common,
    )


def _as_many(part: pd.DataFrame, where: str, common: Any) -> list[Verdict]:
    """The claims of Fig. 1 and 6 after as many updates at every batch size."""
    r1 = part.set_index(["memory", "batch", "seed"])["R@1"].sort_index()
    updates = f"after {part['updates'].iloc[0]:,} updates at every batch size"
    least, most = min(BATCHES), max(BATCHES)
    without, with_memory = (r1[arm, most] - r1[arm, least] for arm in ("none", "w/ M"))
    common = common | {"data": f"contrastive, R_M as searched, {where}"}
    stated = f"{paper.SOP_GAIN_16_TO_256.value} points, batch 16 to 256"
    return [
        Verdict(
            claim=f"The contrastive loss needs a large batch, {updates}.",
            paper=f"{stated} (SOP, {paper.SOP_GAIN_16_TO_256.where})",
            ours=f"{mean_spread(without)} points, batch {least} to {most}: "
            f"{mean_spread(r1['none', least])} to {mean_spread(r1['none', most])}",
            rule=f"R@1 at batch {most} exceeds that at batch {least} by more than twice the "
            "standard error over seeds",
            outcome=clear(without),
            **common,
        ),
        Verdict(
            claim=f"With memory the size of the batch matters little, {updates}.",
            paper=f"{paper.SOP_MEMORY_GAIN_16_TO_256.value} points with memory, {stated} without "
            f"(SOP, {paper.SOP_MEMORY_GAIN_16_TO_256.where})",
            ours=f"{mean_spread(with_memory)} points with memory, {mean_spread(without)} without",
            rule="half of the change without memory exceeds the change with memory by more than "
            "twice the standard error over seeds",
            outcome=clear(without.abs() / 2 - with_memory.abs()),
            **common,
        ),
    ]
