"""R@1 while training."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from xbmlib.paper.arms import arm, label
from xbmlib.plots.style import curve, legend_below, letter, look, panels, seeds


def while_training(data: pd.DataFrame, batch: int, *, y: str = "R@1") -> Figure:
    """R@1 at each evaluation against the number of updates, one panel per data set.

    Args:
        data: tidy, one row per evaluation: data, arm, ratio, updates, seed and ``y`` in percent.
        batch: m, for the titles.
        y: the measure to plot.
    """
    names = list(data["data"].unique())
    figure, parts = panels(len(names), 2.4)
    for name, ax in zip(names, parts, strict=True):
        of_set = data[data["data"] == name]
        for ratio, rows in of_set.groupby("ratio"):
            style = look("memory" if ratio else "batch")
            curve(ax, rows, "updates", y, **style, label=label(arm(float(ratio))))
        ax.set(xlabel="updates", title=f"{name}, batch {batch}, {seeds(of_set)}")
        ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 4, 10]))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    parts[0].set_ylabel(f"{y} (%)")
    letter(parts)
    legend_below(figure, parts, 2)
    return figure
