"""R@1 by the composition of the batch."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from xbmlib.paper.arms import NO_MEMORY, arm, label
from xbmlib.plots.style import COLOURS, axes, curve, look, seeds, sets

# Marks of a growing R_M: the fuller the larger. And how far apart they stand.
FILLS = ("none", "left", "full")
STEP = 0.13


def stronger_baseline(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """R@1 with no memory and at each R_M, for each composition of the batch.

    Args:
        data: tidy, one row per run: data, batch, composition, ratio, rank, R@1, seed. Further ranks
            of the baseline's search become crosses.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    others = data[data["rank"] > 1]
    data = data[data["rank"] == 1]
    compositions = list(data["composition"].unique())
    ratios = sorted(data["ratio"].unique())
    for i, ratio in enumerate(ratios):
        part = data[data["ratio"] == ratio]
        places = part["composition"].map(compositions.index) + STEP * (i - (len(ratios) - 1) / 2)
        fill = FILLS[max(i - 1, 0)] if ratio else "full"
        curve(ax, part.assign(place=places), "place", "R@1", ls="", fillstyle=fill, ms=5,
              **look("memory" if ratio else "batch"), mfcalt="white",
              label=label(arm(ratio)))  # fmt: skip
    ax.set_xticks(range(len(compositions)), [c.replace(", ", ",\n", 1) for c in compositions])
    if len(others):
        means = others.groupby("rank")["R@1"].mean()
        at = compositions.index(others["composition"].iloc[0])
        ax.plot([at - STEP * len(ratios) / 2] * len(means), means, "x", ms=5, mew=1,
                color=COLOURS["batch"],
                label=f"{NO_MEMORY}, next best of its search")  # fmt: skip
    ax.legend(title=None, loc="upper center", bbox_to_anchor=(0.45, -0.18), ncols=2)
    ax.set_title(f"{sets(data)}, batch {data['batch'].iloc[0]}, contrastive, {seeds(data)}")
    ax.set(xlabel=None, ylabel="R@1 (%)")
    return ax
