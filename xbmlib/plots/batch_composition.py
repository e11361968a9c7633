"""R@1 by the composition of the batch."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from xbmlib.paper.arms import NO_MEMORY, arm, label
from xbmlib.plots.style import COLOURS, axes, seeds, sets

SHADES = {0.0: "batch", 0.01: "middle", 0.1: "short", 1.0: "memory"}


def batch_composition(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """R@1 with no memory and at each R_M, for each composition of the batch.

    Args:
        data: tidy, one row per run: data, batch, composition, ratio, rank, R@1, seed. The larger
            batch becomes a line, further ranks of the baseline's search become crosses.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    others = data[data["rank"] > 1]
    data = data[data["rank"] == 1]
    small = data[data["batch"] == data["batch"].min()].copy()
    large = data[data["batch"] > data["batch"].min()]
    small["arm"] = small["ratio"].map(lambda ratio: label(arm(ratio)))
    compositions = list(small["composition"].unique())
    small["composition"] = small["composition"].str.replace(", ", ",\n", n=1)
    names = dict(zip(small["ratio"], small["arm"], strict=True))
    palette = {names[ratio]: COLOURS[colour] for ratio, colour in SHADES.items() if ratio in names}
    sns.pointplot(
        small, x="composition", y="R@1", hue="arm", hue_order=list(palette), palette=palette,
        ax=ax, linestyle="none", dodge=0.3, errorbar="sd", markersize=5,
    )  # fmt: skip
    if len(others):
        means = others.groupby("rank")["R@1"].mean()
        at = compositions.index(others["composition"].iloc[0])
        ax.plot([at - 0.24] * len(means), means, "x", color=COLOURS["batch"], ms=5, mew=1,
                label=f"{NO_MEMORY}, ranks 2 and 3 of its search")  # fmt: skip
    ax.axhline(large["R@1"].mean(), color=COLOURS["batch"], ls="--", lw=1,
               label=f"{NO_MEMORY}, batch {large['batch'].iloc[0]}")  # fmt: skip
    ax.legend(title=None, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    ax.set_title(f"ours: {sets(data)}, batch {small['batch'].iloc[0]}, contrastive, {seeds(data)}")
    ax.set(xlabel=None, ylabel="R@1 (%)")
    return ax
