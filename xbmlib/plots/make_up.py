"""R@1 by the make-up of the batch."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from xbmlib.plots.style import COLOURS, axes, seeds


def make_up(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """R@1 without memory and with two sizes of it, for each make-up of the batch.

    Args:
        data: tidy, a row a run: batch, make_up, ratio, R@1, seed; the larger batch as a line.
        ax: where to draw; a new figure when left out.
    """
    ax = axes(ax)
    small = data[data["batch"] == data["batch"].min()].copy()
    large = data[data["batch"] > data["batch"].min()]
    small["memory"] = small["ratio"].map(lambda r: f"$R_M$ = {r:g}" if r else "no memory")
    small["make-up"] = small["make_up"].str.replace(", ", ",\n", n=1)
    order = list(small["memory"].unique())
    palette = dict(zip(order, (COLOURS["batch"], COLOURS["short"], COLOURS["memory"]), strict=True))
    sns.pointplot(
        small, x="make-up", y="R@1", hue="memory", hue_order=order, palette=palette, ax=ax,
        linestyle="none", dodge=0.3, errorbar="sd", markersize=5,
    )  # fmt: skip
    ax.axhline(large["R@1"].mean(), color=COLOURS["batch"], ls="--", lw=1,
               label=f"no memory, batch {large['batch'].iloc[0]}")  # fmt: skip
    ax.legend(title=None, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    ax.set_title(f"ours: hanzi, batch {small['batch'].iloc[0]}, contrastive, {seeds(data)}")
    ax.set(xlabel=None, ylabel="R@1 (%)")
    return ax
