"""Does the memory need more updates? Its gain against the length of training, at the paper's batch.

At batch 64 the memory lowers R@1 on two of the data sets after as many images as batch 16 needs to
gain from it. As many images are a quarter of the updates there: this tells whether it is that.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import ClassVar

import pandas as pd

from xbmlib.config import Experiment
from xbmlib.runs import RunStore
from xbmlib.study import losses
from xbmlib.study.notebook import Parameters, Verdict, clear, mean_spread
from xbmlib.study.parallel import run_all

# Lengths as multiples of the profile's images.
LENGTHS = {"full": (0.5, 1.0, 2.0)}
LOSS = "contrastive"
PLACE = 1  # of the data set among the profile's: that on which the memory loses most


class UpdatesParameters(Parameters):
    """The study of the length takes no parameters of its own."""

    notebook: ClassVar[str] = "training_length"


def _cases(parameters: UpdatesParameters) -> list[tuple[float, str, int]]:
    """Length, memory and seed of each run."""
    lengths = LENGTHS.get(parameters.profile, (1.0,))
    return list(product(lengths, ("none", "w/ M"), parameters.seed_range))


def experiments(parameters: UpdatesParameters) -> list[Experiment]:
    """The contrastive loss at batch 64, without and with memory, at each length."""
    size = parameters.size
    return [
        losses.case(
            replace(size, images=round(length * size.images)), size.data[PLACE], LOSS, memory, seed
        )
        for length, memory, seed in _cases(parameters)
    ]


def frame(parameters: UpdatesParameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load every length; all else is the tuned setting of each arm.

    Returns:
        A row a run: data, updates, memory ("none" or "w/ M"), seed, R@1 (percent), run.
    """
    runs = run_all(experiments(parameters), store)
    return pd.DataFrame(
        [
            {
                "data": run.experiment.data,
                "updates": run.experiment.steps,
                "memory": memory,
                "seed": seed,
                "R@1": 100 * run.recall["R@1"],
                "run": run.id,
            }
            for (_, memory, seed), run in zip(_cases(parameters), runs, strict=True)
        ]
    )


def verdicts(data: pd.DataFrame, parameters: UpdatesParameters) -> list[Verdict]:
    """Whether the memory's gain grows with the number of updates."""
    r1 = data.set_index(["memory", "updates", "seed"])["R@1"].sort_index()
    gain = r1["w/ M"] - r1["none"]
    lengths = sorted(data["updates"].unique())
    # One length says nothing of how the gain changes.
    growth = [gain[lengths[-1]] - gain[lengths[0]]] if len(lengths) > 1 else [gain.iloc[:0]]
    return [
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
            data=f"{parameters.size.told(parameters.size.data[PLACE])}, batch {losses.BATCH}, "
            f"R_M as searched, contrastive, profile {parameters.profile}",
            seeds=data["seed"].nunique(),
        )
    ]
