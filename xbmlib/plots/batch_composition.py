"""R@1 by the composition of the batch."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from xbmlib.plots.style import COLOURS, axes, seeds, sets

SHADES = {0.0: "batch", 0.01: "middle", 0.1: "short", 1.0: "memory"}


def batch_composition(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """R@1 without memory and with sizes of it, for each composition of the batch.

    Args:
        data: tidy, a row a run: batch, composition, ratio, rank, R@1, seed; the larger batch as a
            line, and means of the baseline at its search's next ranks, if any, as crosses.
        ax: where to draw; a new figure when left out.
    """
    ax = axes(ax)
    others = data[data["rank"] > 1]
    data = data[data["rank"] == 1]
    small = data[data["batch"] == data["batch"].min()].copy()
    large = data[data["batch"] > data["batch"].min()]
    small["memory"] = small["ratio"].map(lambda r: f"$R_M$ = {r:g}" if r else "no memory")
    small["composition"] = small["composition"].str.replace(", ", ",\n", n=1)
    names = dict(zip(small["ratio"], small["memory"], strict=True))
    palette = {names[ratio]: COLOURS[colour] for ratio, colour in SHADES.items() if ratio in names}
    sns.pointplot(
        small, x="composition", y="R@1", hue="memory", hue_order=list(palette), palette=palette,
        ax=ax, linestyle="none", dodge=0.3, errorbar="sd", markersize=5,
    )  # fmt: skip
    if len(others):
        means = others.groupby("rank")["R@1"].mean()
        at = list(small["composition"].unique()).index(others["composition"].iloc[0])
        ax.plot([at - 0.24] * len(means), means, "x", color=COLOURS["batch"], ms=5, mew=1,
                label="no memory, ranks 2 and 3 of its search")  # fmt: skip
    ax.axhline(large["R@1"].mean(), color=COLOURS["batch"], ls="--", lw=1,
               label=f"no memory, batch {large['batch'].iloc[0]}")  # fmt: skip
    ax.legend(title=None, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    ax.set_title(f"ours: {sets(data)}, batch {small['batch'].iloc[0]}, contrastive, {seeds(data)}")
    ax.set(xlabel=None, ylabel="R@1 (%)")
    return ax
