"""R@1 by start and learning rate."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from xbmlib.plots.style import COLOURS, axes, seeds, sets


def starts(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """R@1 without and with memory, for each start and learning rate.

    Args:
        data: tidy, a row a run: start, lr, memory, R@1.
        ax: where to draw; a new figure when left out.
    """
    ax = axes(ax)
    named = data.assign(setting=data["start"] + "\nlr " + data["lr"])
    ratio = next(m for m in data["memory"].unique() if m != "none")
    sns.pointplot(
        named, x="setting", y="R@1", hue="memory", hue_order=["none", ratio], ax=ax,
        palette={"none": COLOURS["batch"], ratio: COLOURS["memory"]},
        linestyle="none", dodge=0.2, errorbar="sd", markersize=5,
    )  # fmt: skip
    handles, _ = ax.get_legend_handles_labels()
    ax.legend(handles, ["no memory", f"memory of {ratio}"], title=None)
    ax.set_title(f"ours: {sets(data)}, batch 16, contrastive, {seeds(data)}")
    ax.set(xlabel=None, ylabel="R@1 (%)", ylim=(0, 100))
    return ax
