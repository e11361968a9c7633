"""The gain of the memory against the length of training."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from xbmlib.paper.arms import NO_MEMORY, label
from xbmlib.plots.style import COLOURS, axes, seeds, sets


def r1_by_updates(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """R@1 of both arms against the number of updates.

    Args:
        data: tidy, one row per run: data, updates, arm, seed, R@1.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    for arm, curve in data.groupby("arm", sort=False):
        colour, marker = ("batch", "o") if arm == NO_MEMORY else ("memory", "s")
        sns.lineplot(
            curve, x="updates", y="R@1", ax=ax, color=COLOURS[colour], marker=marker,
            errorbar="sd", label=label(str(arm)),
        )  # fmt: skip
    lengths = sorted(data["updates"].unique())
    ax.set(xscale="log", xlabel="updates", ylabel="R@1 (%)")
    ax.set_xticks(lengths, [f"{n:,}" for n in lengths])
    ax.minorticks_off()
    ax.set_title(f"ours: {sets(data)}, batch 64, contrastive, {seeds(data)}")
    ax.legend(title=None)
    return ax
